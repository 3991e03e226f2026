#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_store_kills.sh [SEED] - htel-monitor --store killed by SIGKILL at random moments, again and
# again over the same store, with a real mosquitto and the real ingest.
#
# A life begins with the network there or not, with or without a backlog, and ends while the device
# mounts its store, records, delivers, or waits for receipts. Between two lives htel-cat notes which
# frames lie in the store. Passes when in the end each of these is at the ingest once, no boot has an
# unexplained hole, and every killed boot is reported with an upper bound of what it had in memory.
# HEALTHTEL_KILLS: how many (default 20).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../examples/lib.sh"

seed=${1:-${HEALTHTEL_SEED:-$$}}
RANDOM=$seed
echo "store kills: seed $seed"
kills=${HEALTHTEL_KILLS:-20}
device=store-kills

pause_random() { # FROM TO: so many seconds
  sleep "$(awk -v r="$RANDOM" -v from="$1" -v to="$2" 'BEGIN { print from + (to - from) * r / 32768 }')"
}

query() { sqlite3 -readonly "$db" "$1"; }
stored_frames() { query 'select count(*) from frames' 2>/dev/null || echo 0; }

work_begin store-kills
store=$work/store
certs_make "$device"
"$build/htel-monitor" --write-recording "$work" --duration 60 || exit 1
broker_start
ingest_start --pause-after-commit-ms 100
ingest_ready || lib_fail "the ingest did not come up"

# The ingest too, which would wait longer and longer for a broker that dies so often.
network_start() {
  broker_start
  ingest_kill
  ingest_start --pause-after-commit-ms 100
  ingest_ready || lib_fail "the ingest did not come up"
}

device_pid=
device_start() {
  local arguments
  mapfile -t arguments < <(device_args "$device")
  "$build/htel-monitor" "${arguments[@]}" --store "$store" --store-bytes 1048576 --quiet \
    --replay "$lib_dir/monitor/recordings/mitdb208_60s.csv" \
    --replay "$work/synthetic_oximetry1.csv" --speed 20 --frame-s 3 --backoff 50:300 \
    --receipt-wait 2000 "$@" 2>>"$work/device.log" &
  device_pid=$!
  process_note $!
}

# The frames of the store that wait, as "boot sequence" lines, added to those seen before.
: >"$work/seen"
waiting=0
store_note() {
  "$build/htel-cat" --store "$store" --json >"$work/store.json" || lib_fail "the store cannot be read"
  python3 - "$work/store.json" >"$work/waiting" <<'PYTHON' || lib_fail "htel-cat --json"
import json, sys
for frame in json.load(open(sys.argv[1]))["frames"]:
    if frame["state"] == "waiting":
        print(frame["boot"], frame["sequence"])
PYTHON
  waiting=$(wc -l <"$work/waiting")
  cat "$work/waiting" >>"$work/seen"
}

# ---- Lives -------------------------------------------------------------------------------------
online=1
declare -A deaths=([mount]=0 [online]=0 [offline]=0 [backlogged]=0)
for ((i = 1; i <= kills; i++)); do
  case $((RANDOM % 4)) in
    0) kind=mount ;;
    1) kind=online ;;
    2) kind=offline ;;
    3) kind=backlogged ;;
  esac
  if [ "$kind" = offline ]; then
    [ $online = 0 ] || broker_kill
    online=0
  elif [ "$kind" != mount ] && [ $online = 0 ]; then
    network_start
    online=1
  fi
  device_start --repeat 1000
  case $kind in
    mount) pause_random 0.001 0.04 ;;
    backlogged) # while the backlog and what is live go out together
      pause_random 0.3 1
      broker_kill
      pause_random 0.5 1.5
      network_start
      pause_random 0.2 1.2
      ;;
    *) pause_random 0.2 3 ;;
  esac
  process_alive "$device_pid" || { cat "$work/device.log" >&2; lib_fail "the device ended in life $i"; }
  process_kill "$device_pid"
  deaths[$kind]=$((deaths[$kind] + 1))
  [ ! -s "$store" ] || store_note
  echo "store kills: $i, $kind, $(stored_frames) frames stored, $waiting wait"
done
[ $online = 1 ] || network_start

# ---- The last one delivers everything ------------------------------------------------------------
device_start --duration 5 --close-timeout 120 --summary "$work/last.json"
process_wait "$device_pid" || { cat "$work/device.log" >&2; lib_fail "the last life could not deliver all"; }
sleep 1
ingest_stop

# ---- What must be true ---------------------------------------------------------------------------
status=0
fail() { echo "store kills: $*" >&2; status=1; }

"$build/htel-ingest" audit --db "$db" --device "$device" || fail "the audit finds fault"
"$build/htel-ingest" audit --db "$db" --device "$device" --json >"$work/audit.json"
"$build/htel-cat" --store "$store" --json >"$work/store.json" || fail "the last store cannot be read"
query 'select boot, sequence from frames' | tr '|' ' ' | sort >"$work/stored"
sort -u "$work/seen" >"$work/seen.once"
missing=$(comm -23 "$work/seen.once" <(sort -u "$work/stored") | wc -l)
[ "$missing" = 0 ] || fail "$missing frames that had lain in the store are not at the ingest"
[ -z "$(uniq -d "$work/stored")" ] || fail "frames are stored twice"

# Every killed boot is told of, with a bound; the last one ended cleanly, and its store is empty.
python3 - "$work" "$kills" "$(wc -l <"$work/seen.once")" <<'PYTHON' || fail "see above"
import json, sys
work, kills, seen = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
audit = json.load(open(work + "/audit.json"))["devices"][0]
store = json.load(open(work + "/store.json"))
summary = json.load(open(work + "/last.json"))
faults = []
def must(true, words):
    if not true:
        faults.append(words)
must(audit["clean"], "the audit is not clean")
must(audit["unexplained_holes"] == 0, "holes")
must(audit["unclean_holes"] == [], "holes in boots that were killed: numbers below the highest stored")
must(not audit["lost_unclean_unknown"], "an unclean stop without a bound")
must(audit["lost_ring_full"] == 0, "readings refused")
must(audit["lost_outbox_full"] == 0, "readings evicted")
must(audit["alerts"] == 0, "alerts")
must(store["ended"], "the last boot did not end")
must(all(f["state"] == "done" for f in store["frames"]), "something still waits in the store")
last = store["boot"]
must(summary["boot"] == last, "the store's boot is not the device's")
must(max(b["boot"] for b in audit["boots"]) == last, "the last boot is not at the ingest")
must(audit["unclean_stops"] == last - 1, "%d unclean stops told of %d" % (audit["unclean_stops"], last - 1))
must(last <= kills + 1, "more boots than lives")
must(seen > kills, "hardly a frame ever waited in the store: nothing was tested")
print("figures store_kills " + json.dumps({
    "kills": kills, "boots": last, "frames": audit["frames"], "frames_waited": seen,
    "readings": audit["readings"], "duplicates_refused": audit["duplicates"],
    "unclean_stops": audit["unclean_stops"], "lost_at_most": audit["lost_unclean_at_most"],
    "erases_max": store["erases"]["max"]}))
for fault in faults:
    print("store kills:", fault, file=sys.stderr)
sys.exit(1 if faults else 0)
PYTHON
for kind in "${!deaths[@]}"; do echo "store kills: ${deaths[$kind]} $kind"; done
exit "$status"
