#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# soak.sh [--seeds N] [--kills N] [--records N] - the long forms of tests that CI runs short.
#
#   ring      a thread records --records readings (100,000,000) while another takes them out, under
#             the thread sanitizer
#   promise   the client against random faults for --seeds seeds (20,000)
#   kills     a device, a broker and an ingest on loopback; broker and ingest are each killed
#             --kills times (100)
#
# Builds what it needs (presets release and tsan). An hour or so; the last line is
# `N passed, N failed`, and the exit status is 0 when none failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
root=$PWD

seeds=20000 kills=100 records=100000000
while [ $# -gt 0 ]; do
  case $1 in
    --seeds | --kills | --records)
      [[ ${2:-} =~ ^[1-9][0-9]{0,11}$ ]] || { echo "soak: $1 wants a number" >&2; exit 2; }
      printf -v "${1#--}" %s "$2"
      shift
      ;;
    -h | --help) sed -n '3,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "soak: unknown option $1 (--help tells the options)" >&2; exit 2 ;;
  esac
  shift
done

passed=0 failed=0
run() { # run NAME COMMAND...
  local name=$1 since=$SECONDS
  shift
  echo "== $name"
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  echo "== $name took $((SECONDS - since)) s"
}

bash examples/install.sh test || exit 1
for preset in release tsan; do
  cmake --preset $preset >/dev/null && cmake --build --preset $preset >/dev/null || exit 1
done

# The thread sanitizer wants its memory where it left it.
steady=()
setarch "$(uname -m)" -R true 2>/dev/null && steady=(setarch "$(uname -m)" -R)

run ring "${steady[@]}" env HEALTHTEL_RING_RECORDS="$records" build-tsan/test_ring
run promise env HEALTHTEL_SEEDS="$seeds" build/test_promise
run kills env build="$root/build" HEALTHTEL_KILLS="$kills" bash tests/interop/test_kills.sh
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
