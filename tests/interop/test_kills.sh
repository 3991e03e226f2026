#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_kills.sh [SEED] - mosquitto killed three times, the ingest three times, at random moments.
#
# Two devices at once, one over each link, play an ECG and two synthetic recordings at ten times
# their speed. The broker has its default settings, so SIGKILL makes it forget what it acknowledged.
# The ingest waits between commit and receipt, and one of its deaths is put into that gap. Passes
# when every reading of both is stored once and the audit finds no hole. HEALTHTEL_KILLS asks for
# more kills.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../examples/lib.sh"
. "$here/two_devices.sh"

seed=${1:-${HEALTHTEL_SEED:-$$}}
RANDOM=$seed
echo "kills: seed $seed"
kills=${HEALTHTEL_KILLS:-3} # of each
seconds=$((kills * 90))     # of signal

# pause_random FROM TO: that many seconds
pause_random() {
  sleep "$(awk -v r="$RANDOM" -v from="$1" -v to="$2" 'BEGIN { print from + (to - from) * r / 32768 }')"
}

# A commit has come: with --pause-after-commit-ms its receipts are still to be sent.
committed_since() { [ "$(stored_frames)" -gt "$1" ]; }

work_begin kills
devices_make kills
broker_start
ingest_start --pause-after-commit-ms 300
ingest_ready || lib_fail "the ingest did not come up"
for link in "${device_links[@]}"; do
  device_start "$link" --repeat $((seconds / 60 + 1)) --speed 10 --frame-s 5 --backoff 200:1000 \
    --receipt-wait 2000 --close-timeout 60
done

for ((i = 0; i < kills; i++)); do
  pause_random 0.5 2
  broker_kill
  echo "kills: broker $((i + 1)), after $(stored_frames) frames"
  pause_random 0.2 1
  broker_start
  pause_random 1 3
  devices_alive || lib_fail "a device had played to its end too soon"
  memory_sample
  if [ "$i" = 0 ]; then
    wait_until 10 committed_since "$(stored_frames)" || lib_fail "nothing was committed in 10 s"
  fi
  ingest_kill
  echo "kills: ingest $((i + 1)), after $(stored_frames) frames"
  pause_random 0.2 1
  ingest_start --pause-after-commit-ms 300
done
devices_wait || lib_fail "a device could not deliver everything"
sleep 1
ingest_stop

status=0
figures="\"seed\":$seed,\"broker_kills\":$kills,\"ingest_kills\":$kills,"
servers_live=no
devices_check || status=1
duplicates=$(sqlite3 "$db" "select coalesce(sum(count), 0) from counters where name = 'duplicates'")
[ "$duplicates" -gt 0 ] || { echo "kills: no frame came twice: no kill fell before a receipt" >&2; status=1; }
for link in "${device_links[@]}"; do
  connects=$(number connects "$(cat "$work/kills-$link.json")")
  # A kill while the device was still on its way back adds none.
  [ "${connects:-0}" -gt $((kills * 3 / 4)) ] || { echo "kills: only $connects connections by $link" >&2; status=1; }
done
exit "$status"
