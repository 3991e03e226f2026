#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_netem.sh [SEED] - two devices, one over each link, behind a network that is bad in turns.
#
# Broker and ingest are in one network namespace, the devices in another; between them netem.c
# delays, loses, doubles, reorders and damages packets. The devices play an ECG and two synthetic
# signals faster than they are: for a minute, in which each kind of network has its turn; or for
# HEALTHTEL_NETEM_MINUTES, in which kinds and their lengths are drawn from the seed, and memory is
# watched. Passes when every reading of both is stored once, the audit finds no hole, and nothing
# has grown. Exit status 77 where namespaces are not allowed.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../link/netem.sh"
netem_enter "$@"
. "$here/../../examples/lib.sh"
. "$here/two_devices.sh"

seed=${1:-${HEALTHTEL_SEED:-$$}}
minutes=${HEALTHTEL_NETEM_MINUTES:-0} # 0: the short form
[[ $minutes =~ ^[0-9]{1,3}$ ]] || lib_fail "HEALTHTEL_NETEM_MINUTES must be 0 to 999"
RANDOM=$seed
echo "netem: seed $seed, congestion control $(cat /proc/sys/net/ipv4/tcp_congestion_control 2>/dev/null)"

# ---- Networks ------------------------------------------------------------------------------------

declare -A networks=(
  [gprs]='delay 600ms 100ms loss 2% rate 20kbit limit 20'
  [edge]='delay 50ms 50ms loss 20%'
  [flap]='delay 30ms flap 3s 2s'
  [mess]='delay 40ms 20ms reorder 25% duplicate 5% corrupt 3%'
  [away]='loss 100%'
  [good]='delay 20ms 5ms'
)

# at SECOND KIND: a line of the schedule
at() { echo "# $2"; echo "at $1s both ${networks[$2]}"; }

short_schedule() {
  at 0 gprs
  at 14 edge
  at 24 away
  at 36 flap
  at 46 mess
  at 58 good
}

long_schedule() {
  local kinds=(gprs edge flap mess away good) second=0 kind length
  while [ "$second" -lt $((minutes * 60)) ]; do
    kind=${kinds[RANDOM % ${#kinds[@]}]}
    length=$((30 + RANDOM % 60))
    [ "$kind" != away ] || length=$((10 + RANDOM % 50))
    at "$second" "$kind"
    second=$((second + length))
  done
  at "$second" good
}

# ---- The run -------------------------------------------------------------------------------------

work_begin netem
devices_make netem
if [ "$minutes" -gt 0 ]; then long_schedule; else short_schedule; fi >"$work/schedule"
netem_start --seed "$seed" --schedule "$work/schedule"
broker_start "${netem_listener[@]}"
ingest_start
ingest_ready || lib_fail "the ingest did not come up"

how=(--speed 4 --repeat 4 --keep-alive 5 --backoff 200:1000 --receipt-wait 5000)
[ "$minutes" -eq 0 ] ||
  how=(--speed 2 --repeat $((minutes * 2)) --keep-alive 20 --backoff 500:8000)
for link in "${device_links[@]}"; do
  device_start "$link" "${how[@]}" --frame-s 2 --close-timeout 120
done

began=$SECONDS samples=0
while device_alive; do
  sleep 0.5
  [ $((SECONDS - began)) -ge $((samples * 10)) ] || continue
  memory_sample
  [ $((samples++ % 6)) -ne 0 ] ||
    echo "netem: $((SECONDS - began)) s, $(stored_frames) frames stored, memory $(tail -n 1 "$work/memory")"
done
devices_wait || lib_fail "a device could not deliver everything"
checksums=$(netem_bad_checksums)
netem_stop
sleep 1
ingest_stop

status=0
figures="\"seed\":$seed,\"minutes\":$minutes,\"bad_checksums\":$checksums,\"network\":$netem_counts,"
devices_check || status=1

# ---- Was it bad? ---------------------------------------------------------------------------------

# total WHAT: both ways together
total() { grep -oE "\"$1\":[0-9]+" <<<"$netem_counts" | awk -F: '{ sum += $2 } END { print sum + 0 }'; }

echo "netem: $netem_counts"
[ "$minutes" -eq 0 ] || [ "$minutes" -ge 10 ] || exit "$status" # not every kind had its turn
for what in lost duplicated reordered corrupted; do
  [ "$(total "$what")" -gt 0 ] || { echo "netem: nothing was $what" >&2; status=1; }
done
[ "$checksums" -gt 0 ] || { echo "netem: no damaged segment was noticed" >&2; status=1; }
for link in "${device_links[@]}"; do
  connects=$(number connects "$(cat "$work/netem-$link.json")")
  [ "${connects:-0}" -ge 2 ] || { echo "netem: $link noticed no outage" >&2; status=1; }
done
exit "$status"
