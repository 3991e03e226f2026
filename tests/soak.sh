#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# soak.sh [OPTION]... - the long forms of tests that CI runs short.
#
#   ring      a thread records --records readings (100,000,000) while another takes them out, under
#             the thread sanitizer
#   promise   the client against random faults for --seeds seeds (20,000)
#   kills     two devices, one over each link, a broker and an ingest on loopback; broker and
#             ingest are each killed --kills times (100)
#   store_kills  htel-monitor --store killed --store-kills times (200), started again each time
#   cluster   two devices and an ingest over three RabbitMQ nodes, of which one after another is
#             killed, --node-kills times (9)
#   netem     two devices, one over each link, behind a network that is bad in changing ways, for
#             --netem-minutes minutes (60); memory must stay flat
#   live      htel-fleet --live: 300 devices in one process for 300 s, the broker killed twice
#   mcu       examples/mcu/run.sh on each board --mcu-runs times in a row (10)
#
#   --only PART   this part alone; may be given several times
#   --json        the line before the last is a summary as JSON, with the figures of each part
#
# Builds what it needs (presets release and tsan). One part after the other; kills alone takes a
# quarter of an hour. The last line is `N passed, N failed`, and the exit status is 0 when none
# failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
root=$PWD

parts=(ring promise kills store_kills cluster netem live mcu)
seeds=20000 kills=100 store_kills=200 node_kills=9 records=100000000 netem_minutes=60 mcu_runs=10
only=() json=false
usage() { sed -n '/^# soak.sh/,/^set/ { /^#/ s/^# \{0,1\}//p }' tests/soak.sh; }
refuse() { echo "soak: $* (--help tells the options)" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --seeds | --kills | --store-kills | --node-kills | --records | --netem-minutes | \
      --mcu-runs)
      [[ ${2:-} =~ ^[1-9][0-9]{0,11}$ ]] || refuse "$1 wants a number above 0"
      name=${1#--}
      printf -v "${name//-/_}" %s "$2"
      shift
      ;;
    --only)
      [[ " ${parts[*]} " == *" ${2:-} "* && -n ${2:-} ]] || refuse "--only wants one of ${parts[*]}"
      only+=("$2")
      shift
      ;;
    --json) json=true ;;
    -h | --help) usage; exit 0 ;;
    *) refuse "unknown option $1" ;;
  esac
  shift
done
[ ${#only[@]} -gt 0 ] || only=("${parts[@]}")
wanted() { [[ " ${only[*]} " == *" $1 "* ]]; }

passed=0 failed=0 summary='' child='' log=$(mktemp) || exit 1
finish() {
  [ -z "$child" ] || { kill "$child" && wait "$child"; } 2>/dev/null
  rm -f "$log"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Runs a part if it is wanted; what it prints is seen, and searched for its figures. What could not
# be run has failed, for then there are no figures. part NAME COMMAND...
part() {
  local name=$1 since=$SECONDS status=0 figures tee
  wanted "$name" || return 0
  shift
  echo "== $name"
  exec 3> >(exec tee "$log")
  tee=$!
  "$@" >&3 2>&1 3>&- </dev/null &
  child=$! # in the background, for `wait` lets a signal end us at once
  wait "$child" || status=$?
  child=
  exec 3>&-
  wait "$tee"
  if [ "$status" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  figures=$(sed -n "s/^figures $name //p" "$log")
  summary+=",\"$name\":{\"status\":$status,\"seconds\":$((SECONDS - since)),\"figures\":${figures:-{\}}}"
  echo "== $name: status $status after $((SECONDS - since)) s"
}

build() { # build PRESET
  cmake --preset "$1" >"$log" 2>&1 && cmake --build --preset "$1" >"$log" 2>&1 && return 0
  tail -n 30 "$log" >&2
  exit 1
}

bash examples/install.sh test || exit 1
[ "${only[*]}" = ring ] || build release
! wanted ring || build tsan

# The thread sanitizer wants its memory where it left it.
steady=()
setarch "$(uname -m)" -R true 2>/dev/null && steady=(setarch "$(uname -m)" -R)

part ring "${steady[@]}" env HEALTHTEL_RING_RECORDS="$records" build-tsan/test_ring
part promise env HEALTHTEL_SEEDS="$seeds" build/test_promise
part kills env build="$root/build" HEALTHTEL_KILLS="$kills" bash tests/interop/test_kills.sh
part store_kills env build="$root/build" HEALTHTEL_KILLS="$store_kills" \
  bash tests/interop/test_store_kills.sh
part cluster env build="$root/build" HEALTHTEL_KILLS="$node_kills" \
  bash tests/interop/test_cluster.sh
part netem env build="$root/build" HEALTHTEL_NETEM_MINUTES="$netem_minutes" \
  bash tests/interop/test_netem.sh
part live env build="$root/build" bash tests/sim/live.sh --full
part mcu env build="$root/build" HEALTHTEL_MCU_RUNS="$mcu_runs" bash tests/arch/mcu.sh an386 lm3s
! $json || echo "{\"passed\":$passed,\"failed\":$failed,\"seconds\":$SECONDS$summary}"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
