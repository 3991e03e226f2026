#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# mcu.sh BOARD... - examples/mcu/run.sh on each board, HEALTHTEL_MCU_RUNS times in a row (default 1).
#
# Passes when every run does. HEALTHTEL_SEED is the seed of the first run, the next ones count on.
# Exit status 77: the compiler or the emulator is not installed.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
runs=${HEALTHTEL_MCU_RUNS:-1} seed=${HEALTHTEL_SEED:-$RANDOM} figures=()

for tool in arm-none-eabi-gcc qemu-system-arm; do
  command -v "$tool" >/dev/null || {
    echo "mcu: skipped: there is no $tool (examples/install.sh mcu installs it)"
    exit 77
  }
done

log=$(mktemp) child=
finish() {
  [ -z "$child" ] || { kill "$child" && wait "$child"; } 2>/dev/null
  rm -f "$log"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

status=0
for board in "$@"; do
  passed=0 recorded=0 told=0 since=$SECONDS
  for ((i = 0; i < runs; i++)); do
    "$here/../../examples/mcu/run.sh" --board "$board" --seed $((seed + i)) >"$log" 2>&1 </dev/null &
    child=$! # in the background, for `wait` lets a signal end us at once
    if wait "$child"; then
      passed=$((passed + 1))
      [ "$runs" = 1 ] && cat "$log" || tail -n 1 "$log"
    else
      cat "$log"
      status=1
    fi
    child=
    line=$(grep '^mcu: board=' "$log" | tail -n 1)
    recorded=$((recorded + $(sed -n 's/.* recorded=\([0-9]*\).*/\1/p' <<<"${line:-x recorded=0}")))
    told=$((told + $(sed -n 's/.* told=\([0-9]*\).*/\1/p' <<<"${line:-x told=0}")))
  done
  echo "mcu: $board: $passed of $runs runs passed in $((SECONDS - since)) s, first seed $seed"
  figures+=("\"$board\":{\"runs\":$runs,\"passed\":$passed,\"recorded\":$recorded,\"told\":$told}")
done
(IFS=,; echo "figures mcu {${figures[*]}}")
exit $status
