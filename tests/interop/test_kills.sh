#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_kills.sh [SEED] - mosquitto killed three times, the ingest three times, at random moments.
#
# One device plays an ECG and two synthetic recordings at ten times their speed. The broker has
# its default settings, so SIGKILL makes it forget what it acknowledged. The ingest waits between
# commit and receipt, and one of its deaths is put into that gap. Passes when every reading is
# stored once and the audit finds no hole.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../examples/lib.sh"

seed=${1:-${HEALTHTEL_SEED:-$$}}
RANDOM=$seed
echo "kills: seed $seed"
kills=${HEALTHTEL_KILLS:-3} # of each
seconds=$((kills * 70))     # of signal

# pause_random FROM TO: that many seconds
pause_random() {
  sleep "$(awk -v r="$RANDOM" -v from="$1" -v to="$2" 'BEGIN { print from + (to - from) * r / 32768 }')"
}

stored_frames() { sqlite3 -readonly "$db" 'select count(*) from frames' 2>/dev/null || echo 0; }

# A commit has come: with --pause-after-commit-ms its receipts are still to be sent.
committed_since() { [ "$(stored_frames)" -gt "$1" ]; }

work_begin kills
certs_make kills-1
broker_start
ingest_start --pause-after-commit-ms 300
ingest_ready || lib_fail "the ingest did not come up"

ecg=$here/../../examples/monitor/recordings/mitdb208_60s.csv
"$build/htel-monitor" --write-recording "$work" --duration 60 || exit 1
mapfile -t arguments < <(device_args kills-1)
recordings=("$ecg" "$work/synthetic_pleth100.csv" "$work/synthetic_oximetry1.csv")
"$build/htel-monitor" "${arguments[@]}" --replay "${recordings[0]}" --replay "${recordings[1]}" \
  --replay "${recordings[2]}" --repeat $((seconds / 60 + 1)) --speed 10 --frame-s 5 --backoff 200:1000 \
  --receipt-wait 2000 --close-timeout 60 --quiet --summary "$work/summary.json" &
monitor_pid=$!
process_note "$monitor_pid"

for ((i = 0; i < kills; i++)); do
  pause_random 0.5 2
  broker_kill
  echo "kills: broker, after $(stored_frames) frames"
  pause_random 0.2 1
  broker_start
  pause_random 1 3
  process_alive "$monitor_pid" || lib_fail "the device had played to its end too soon"
  if [ "$i" = 0 ]; then
    wait_until 10 committed_since "$(stored_frames)" || lib_fail "nothing was committed in 10 s"
  fi
  ingest_kill
  echo "kills: ingest, after $(stored_frames) frames"
  pause_random 0.2 1
  ingest_start --pause-after-commit-ms 300
done
process_wait "$monitor_pid" || lib_fail "the device could not deliver everything"
sleep 1
ingest_stop

status=0
"$build/htel-ingest" audit --db "$db" || status=1
duplicates=$(sqlite3 "$db" "select coalesce(sum(count), 0) from counters where name = 'duplicates'")
[ "$duplicates" -gt 0 ] || { echo "kills: no frame came twice: no kill fell before a receipt" >&2; status=1; }
connects=$(sed -n 's/.*"connects":[^0-9]*\([0-9]*\).*/\1/p' "$work/summary.json")
[ "$connects" -gt "$kills" ] || { echo "kills: only $connects connections" >&2; status=1; }
"$build/htel-ingest" compare --db "$db" --device kills-1 --summary "$work/summary.json" \
  --recording "${recordings[0]}" --recording "${recordings[1]}" --recording "${recordings[2]}" || status=1
exit "$status"
