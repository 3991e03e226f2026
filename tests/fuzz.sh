#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh [--minutes N] [--only NAME]... [--jobs N] [--keep] - every fuzzer for N CPU-minutes.
#
#   --minutes N   CPU-minutes for each fuzzer (10)
#   --only NAME   this one alone: mqtt, receipt, frame, birth, code, intake or files; may be said
#                 several times
#   --jobs N      so many at a time (1)
#   --keep        puts what reached new code into tests/fuzz/corpus_<name>, made as small as it can
#
# Builds them with clang, libFuzzer, and the address and undefined-behaviour sanitizers in
# build-fuzz/. Inputs of interest and logs go to HEALTHTEL_FUZZ_DIR (default: healthtel-fuzz in the
# directory for temporary files), where the next run goes on from; inputs that crash, hang (10 s)
# or take over 2 GB are in its folder crashes/. One of them alone: build-fuzz/fuzz_<name> FILE.
# The last line is `N passed, N failed`, a fuzzer that found nothing counts as passed; the exit
# status is 0 when none failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
root=$PWD build=$PWD/build-fuzz
all=(mqtt receipt frame birth code intake files)

usage() { sed -n '/^# fuzz.sh/,/^set/ { /^#/ s/^# \{0,1\}//p }' tests/fuzz.sh; }
say() { printf '[%4d s] %s\n' $SECONDS "$*"; }
bad() { echo "fuzz: $* (--help tells the options)" >&2; exit 2; }

minutes=10 jobs=1 keep=false names=()
while [ $# -gt 0 ]; do
  case $1 in
    --minutes | --jobs)
      [[ ${2:-} =~ ^[1-9][0-9]{0,4}$ ]] || bad "$1 wants a number"
      printf -v "${1#--}" %s "$2"
      shift
      ;;
    --only)
      [[ " ${all[*]} " == *" ${2:-none} "* ]] || bad "--only wants one of: ${all[*]}"
      names+=("$2")
      shift
      ;;
    --keep) keep=true ;;
    -h | --help) usage; exit 0 ;;
    *) bad "unknown option $1" ;;
  esac
  shift
done

[ ${#names[@]} -gt 0 ] || names=("${all[@]}")

dir=${HEALTHTEL_FUZZ_DIR:-${TMPDIR:-/tmp}/healthtel-fuzz}
mkdir -p "$dir/tmp" && dir=$(cd "$dir" && pwd) || exit 1
export TMPDIR=$dir/tmp

# Ends what this process started, wherever it is.
workers=() child=
finish() {
  [ ${#workers[@]} -eq 0 ] || kill "${workers[@]}" 2>/dev/null
  [ -z "$child" ] || kill "$child" 2>/dev/null
  wait
  rm -rf "$dir/tmp"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

waited() { # waited COMMAND...: with a signal ending us at once
  "$@" &
  child=$!
  wait "$child"
  local status=$?
  child=
  return $status
}

# ---- Building -------------------------------------------------------------------------------

build_all() {
  local compiler flags sources=() log=$dir/build.log
  waited bash examples/install.sh test >"$log" 2>&1 || return 1
  compiler=$(command -v clang-14 || command -v clang) || return 1
  flags='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all'
  # nanopb from its sources, so that the fuzzer sees into it; without network, as it is installed.
  if waited bash ports/cmake/fetch_sources.sh "$build/sources" nanopb >>"$log" 2>&1; then
    sources=("-DNANOPB_ROOT=$build/sources/nanopb")
  fi
  waited cmake -S . -B "$build" -G Ninja -DCMAKE_C_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_C_FLAGS="$flags -fno-omit-frame-pointer" -DCMAKE_C_FLAGS_DEBUG='-O1 -g' \
    -DHEALTHTEL_SANITIZE=address,undefined -DHEALTHTEL_FUZZ=ON "${sources[@]}" >>"$log" 2>&1 &&
    waited ninja -C "$build" fuzzers >>"$log" 2>&1 &&
    waited "$build/fuzz_seeds" "$dir/seeds" >>"$log" 2>&1
}

# ---- One fuzzer -----------------------------------------------------------------------------

max_len() { # longest input: long enough for each to do all that it can
  case $1 in frame | files) echo 4096 ;; *) echo 2048 ;; esac
}

# CPU time of a process's children that have ended, in hundredths of a second.
cpu_of() { awk '{ sub(/.*\) /, ""); print $14 + $15 }' "/proc/$1/stat"; }

# Runs for as much CPU time as was asked for, a minute of the clock at a time, for a machine may be
# busy with something else. What it did goes to $dir/NAME.result.
fuzz_one() {
  local name=$1 want=$((minutes * 6000)) used=0 runs=0 crashes=0 cov=0 left status n self=$BASHPID
  local new=$dir/corpus/$name log=$dir/$name.log
  child=
  workers=()
  trap '[ -z "$child" ] || { kill "$child"; wait "$child"; } 2>/dev/null; exit 143' TERM
  trap - EXIT
  mkdir -p "$new" "$dir/crashes/$name"
  local options=(-rss_limit_mb=2048 -timeout=10 -print_final_stats=1 "-max_len=$(max_len "$name")"
    "-artifact_prefix=$dir/crashes/$name/")
  [ ! -f "tests/fuzz/$name.dict" ] || options+=("-dict=tests/fuzz/$name.dict")
  local corpora=("$new" "tests/fuzz/corpus_$name")
  [ ! -d "$dir/seeds/$name" ] || corpora+=("$dir/seeds/$name")
  : >"$log"
  while [ "$used" -lt "$want" ] && [ "$crashes" -lt 5 ]; do
    left=$(((want - used) / 100))
    left=$((left < 10 ? 10 : left > 60 ? 60 : left))
    waited "$build/fuzz_$name" "${options[@]}" "-max_total_time=$left" \
      "${corpora[@]}" >"$log.now" 2>&1
    status=$?
    used=$(cpu_of "$self")
    n=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log.now")
    runs=$((runs + ${n:-0}))
    n=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log.now" | tail -n 1)
    cov=${n:-$cov}
    if [ $status -ne 0 ]; then
      crashes=$((crashes + 1))
      grep -aE 'broken promise|runtime error|^SUMMARY|Test unit written' "$log.now" | head -n 5
    fi
    cat "$log.now" >>"$log"
    say "$name: $((used / 6000)) of $minutes CPU-minutes, $runs executions, $crashes crashes"
  done
  rm -f "$log.now"
  printf '%-8s %12d executions in %d CPU-seconds, %d edges reached, %d inputs, %d crashes\n' "$name" \
    "$runs" $((used / 100)) "$cov" "$(find "$new" -type f | wc -l)" "$crashes" >"$dir/$name.result"
  return $((crashes > 0))
}

# ---- A corpus to keep -----------------------------------------------------------------------

# The fewest inputs that reach every edge that all of them reach, under short names. Those that
# were given a name in words (what was found once) stay.
corpus_keep() {
  local name=$1 to=$root/tests/fuzz/corpus_$1 small=$dir/tmp/small file from=("$dir/corpus/$1")
  rm -rf "$small"
  mkdir -p "$small" "$to"
  [ ! -d "$dir/seeds/$name" ] || from+=("$dir/seeds/$name")
  waited "$build/fuzz_$name" -set_cover_merge=1 -use_counters=0 "-max_len=$(max_len "$name")" "$small" "$to" \
    "${from[@]}" >>"$dir/$name.log" 2>&1 || { say "$name: merging failed, see $dir/$name.log"; return 1; }
  find "$to" -type f -regextype posix-extended -regex '.*/[0-9a-f]{8}' -delete
  for file in "$small"/*; do
    mv "$file" "$to/$(basename "$file" | cut -c 1-8)"
  done
  say "$name: $(find "$to" -type f | wc -l) inputs, $(cat "$to"/* | wc -c) bytes kept"
}

# ---- All of them ----------------------------------------------------------------------------

passed=0 failed=0
say "building; inputs and logs are in $dir"
if ! build_all; then
  tail -n 30 "$dir/build.log"
  say 'FAILED: building'
  echo '0 passed, 1 failed'
  exit 1
fi

declare -A name_of=()
reap() { # takes one that has ended
  local pid status
  wait -n -p pid "${workers[@]}"
  status=$?
  if [ $status -eq 0 ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    say "FAILED: ${name_of[$pid]}: see $dir/crashes/${name_of[$pid]}"
  fi
  unset "name_of[$pid]"
  workers=("${!name_of[@]}")
}
for name in "${names[@]}"; do
  [ ${#workers[@]} -lt "$jobs" ] || reap
  rm -f "$dir/$name.result"
  fuzz_one "$name" &
  name_of[$!]=$name
  workers=("${!name_of[@]}")
done
while [ ${#workers[@]} -gt 0 ]; do reap; done

if $keep; then
  for name in "${names[@]}"; do corpus_keep "$name" || failed=$((failed + 1)); done
fi
for name in "${names[@]}"; do cat "$dir/$name.result"; done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
