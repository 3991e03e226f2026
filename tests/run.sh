#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh - builds healthtel in every way that matters and runs every test.
#
#   tests/run.sh          all of it:
#     release             gcc -O2; every test, with a real broker; for other machines the core's
#                         tests, its frames and its size, and the firmware, all of it emulated
#     asan                address and undefined-behaviour sanitizers; every test
#     tsan                thread sanitizer; the tests labelled `tsan`
#     clang               builds without warnings; headers and symbols
#   tests/run.sh --fast   release alone, without what is built for other machines
#
# Installs Debian packages that are missing first (examples/install.sh). The last line is `N
# passed, N failed`: tests, and builds counted as one each. The exit status is 0 when none failed.
# HEALTHTEL_SHARED names a folder with a corpus of recordings; default: ../shared, where it
# exists.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

BUILD_S_MAX=1200 # for each build,
TESTS_S_MAX=2400 # for each run of ctest,
TEST_S_MAX=300   # and for a test that states no bound of its own

passed=0 failed=0 child=
log=$(mktemp) || exit 1
finish() {
  [ -z "$child" ] || { kill "$child" && wait "$child"; } 2>/dev/null
  rm -f "$log"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

usage() { sed -n '/^# run.sh/,/^set/ { /^#/ s/^# \{0,1\}//p }' tests/run.sh; }

say() { printf '[%3d s] %s\n' $SECONDS "$*"; }

count() { # count WHAT STATUS
  if [ "$2" -eq 0 ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    say "FAILED: $1"
  fi
}

# Runs a command with its output in the log; dots show that it is alive.
quietly() { # quietly WHAT COMMAND...
  local what=$1 ticks=0 status
  shift
  printf '[%3d s] %s ' $SECONDS "$what"
  "$@" >"$log" 2>&1 </dev/null &
  child=$!
  while kill -0 "$child" 2>/dev/null; do
    sleep 0.2
    ticks=$((ticks + 1))
    [ $((ticks % 25)) -ne 0 ] || printf .
  done
  wait "$child"
  status=$?
  child=
  if [ $status -eq 0 ]; then
    echo ' done'
  else
    echo ' failed'
    tail -n 60 "$log"
  fi
  return $status
}

build() { # build PRESET [TARGET]
  local status=0
  quietly "$1: configuring" timeout "$BUILD_S_MAX" cmake --preset "$1" &&
    quietly "$1: building" timeout "$BUILD_S_MAX" cmake --build --preset "$1" \
      --parallel "$(nproc)" || status=1
  count "$1 build" $status
  return $status
}

attribute() { # attribute NAME FILE: a number of the test suite
  sed -n 's/.*[[:space:]]'"$1"'="\([0-9]*\)".*/\1/p; /<testcase/q' "$2" | head -n 1
}

# The thread sanitizer wants its memory where it left it: no address randomisation, if we may.
steady=()
setarch "$(uname -m)" -R true 2>/dev/null && steady=(setarch "$(uname -m)" -R)

run_tests() { # run_tests PRESET [CTEST OPTION]...
  local dir=build-$1 tests failures skipped
  [ "$1" != release ] || dir=build
  local report=$PWD/$dir/tests.xml
  rm -f "$report"
  say "$1: testing"
  timeout "$TESTS_S_MAX" "${steady[@]}" ctest --preset "$1" --parallel 2 --timeout "$TEST_S_MAX" \
    --output-junit "$report" "${@:2}" </dev/null &
  child=$! # in the background, for `wait` lets a signal end us at once
  wait "$child"
  child=
  if [ ! -s "$report" ]; then # ctest itself was cut off
    count "$1 tests" 1
    return
  fi
  tests=$(attribute tests "$report")
  failures=$(attribute failures "$report")
  skipped=$(attribute skipped "$report")
  passed=$((passed + tests - failures - skipped))
  failed=$((failed + failures))
  [ "$skipped" -eq 0 ] || say "$1: $skipped skipped"
  [ "$tests" -gt 0 ] || count "$1: no tests at all" 1
}

fast=false
case "$#:${1:-}" in
  0:) ;;
  1:--fast) fast=true ;;
  1:-h | 1:--help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

if [ -z "${HEALTHTEL_SHARED:-}" ] && [ -d ../shared ]; then
  HEALTHTEL_SHARED=$(cd ../shared && pwd)
fi
[ -z "${HEALTHTEL_SHARED:-}" ] || export HEALTHTEL_SHARED
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

say 'looking for what is missing'
if $fast; then bash examples/install.sh test; else bash examples/install.sh cross; fi
count 'installing packages' $?

here_only=()
! $fast || here_only=(-LE 'arch|mcu|size')
build release && run_tests release "${here_only[@]}"
if ! $fast; then
  build asan && run_tests asan
  build tsan && run_tests tsan
  build clang && run_tests clang -L form
fi

say 'done'
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
