#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fleet_cli.sh HTEL-FLEET - htel-fleet's command line: each option, each mistake, each exit status.
set -uo pipefail
fleet=$1
work=$(mktemp -d "${TMPDIR:-/tmp}/htel-cli.XXXXXX")
trap 'rm -rf "$work"' EXIT
out=$work/out err=$work/err
failed=0 checks=0
fault() { echo "cli: $*"; head -c 600 "$out" "$err"; echo; failed=1; }

# expect STATUS OPTION...
expect() {
  local wanted=$1 status
  shift
  checks=$((checks + 1))
  timeout 300 "$fleet" "$@" >"$out" 2>"$err"
  status=$?
  [ $status = "$wanted" ] || fault "status $status, not $wanted: htel-fleet $*"
  what="htel-fleet $*"
}
has() { grep -q -e "$2" "$1" || fault "no \"$2\" in the ${1##*/}put of $what"; }
lacks() { ! grep -q -e "$2" "$1" || fault "\"$2\" in the ${1##*/}put of $what"; }
# The command line is wrong: status 64, a line that says why, nothing on standard output.
wrong() {
  local text=$1
  shift
  expect 64 "$@"
  has "$err" "$text"
  [ ! -s "$out" ] || fault "not only an error: $what"
}
small=(--devices 2 --hours 1)

# ---- Asking ---------------------------------------------------------------------------------------
expect 0 --help
[ "$(grep -o -e '--[a-z-]*' "$out" | sort -u | wc -l)" -ge 25 ] || fault "--help tells of few options"
has "$out" "Exit status: 0"
expect 0 --usage
expect 0 --version
has "$out" "^htel-fleet [0-9]"
expect 0 --list-scenarios
for name in standard storm ward home-patch ambulance hourly-wearable broker-upgrade \
  certificate-expiry city-power-cut ingest-away; do
  has "$out" "^$name  *[A-Z0-9].*[a-z]"
done
names=$(cut -d ' ' -f 1 "$out")
expect 0 --list-faults
[ "$(wc -l <"$out")" = 19 ] || fault "not 19 faults"
faults=$(cut -d ' ' -f 1 "$out")
expect 0 --list-devices --devices 3 --seed 9
[ "$(sort -u "$out" | wc -l)" = 3 ] || fault "not 3 ids"
cp "$out" "$work/ids"
expect 0 --list-devices --devices 3 --seed 9
cmp -s "$out" "$work/ids" || fault "ids are not the seed's"
expect 0 --print-scenario storm
cp "$out" "$work/storm.ini"
wrong "no scenario 'flood'" --print-scenario flood

# ---- Mistakes ---------------------------------------------------------------------------------
wrong "unrecognized option" --devise 5
wrong "too many" "${small[@]}" more
for option in devices hours cell seeds jobs around seconds; do
  wrong "whole number of 1 to" --$option 0
  wrong "whole number" --$option -1
  wrong "whole number" --$option 1.5
  wrong "whole number" --$option ''
  wrong "whole number" --$option 99999999999999999999
done
for option in seed replay only; do wrong "whole number" --$option x; done
wrong "yes or no" --progress maybe
wrong "no fault 'flips'" --faults flips
wrong "No such file" --scenario "$work/none.ini"
wrong "list-scenarios" --scenario wards
printf '[run]\nhours = 1\ndevices = many\n' >"$work/bad.ini"
wrong "bad.ini, line 3: 'devices'" --scenario "$work/bad.ini"
wrong "no such device" --devices 5 --only 5
wrong "no such device" --devices 5 --replay 7
wrong "give that one by --seed" --seeds 5 --shrink
wrong "give that one by --seed" --seeds 5 --replay 1
wrong "give that one by --seed" --seeds 5 --report "$work/x.html"
wrong "goes with one seed" --seeds 5 --only 1
wrong "goes with --seeds" --first
wrong "one at a time" --replay 1 --shrink
wrong "prints a trace" --replay 1 --json
wrong "prints a trace" --replay 1 --report "$work/x.html"
wrong "go with --replay" --around 5
wrong "go with --replay" --trace
wrong "go with --live" --database x
wrong "go with --live" --ca x
wrong "go with --live" --certs x
wrong "go with --live" --keys x
wrong "go with --live" --seconds 5
wrong "needs --certs" --live localhost:1
for more in "--seeds 2" "--shrink" "--replay 1" "--only 1" "--report x"; do
  # shellcheck disable=SC2086
  wrong "real time" --live localhost:1 --certs x $more
done
expect 2 --live localhost:1 --certs "$work" "${small[@]}"
[ -s "$err" ] || fault "no reason given: $what"
if [ -e /dev/full ]; then
  checks=$((checks + 1))
  what="output to a full disk"
  "$fleet" "${small[@]}" --json >/dev/full 2>"$err"
  [ $? = 2 ] || fault "a full disk under standard output was not told"
fi

# ---- Runs ---------------------------------------------------------------------------------------
expect 0 "${small[@]}" --faults none --progress yes
has "$out" "lost=0 duplicates=0 violations=0: the promise was kept"
has "$err" "1 of 1 cells, 0 violations"
expect 0 "${small[@]}" --faults none
[ ! -s "$err" ] || fault "progress without a terminal: $what"
for name in $faults; do expect 0 "${small[@]}" --faults "$name" --progress no; done
for name in $names; do expect 0 --scenario "$name" "${small[@]}" --progress no; done
expect 0 --scenario "$work/storm.ini" --devices 20
has "$out" "^storm.ini: 10,000 devices"
expect 0 "${small[@]}" --cell 1 --progress yes
has "$err" "2 of 2 cells"
expect 0 "${small[@]}" --only 1 --json
has "$out" '"devices":1,'
expect 0 "${small[@]}" --replay 1 --trace
has "$out" "no violation in this run"
has "$out" "device 1 *boots"
lacks "$out" "device 0"

# One line of JSON; the same seed gives the same bytes but for the machine's, whatever the threads.
run_cut() { sed 's/,"machine":.*//' "$out"; }
expect 0 --devices 6 --hours 2 --cell 2 --seed 7 --json --jobs 2
[ "$(wc -l <"$out")" = 1 ] || fault "not one line"
if command -v python3 >/dev/null; then
  python3 -c 'import json, sys; json.load(sys.stdin)' <"$out" || fault "not JSON: $what"
fi
has "$out" '"verdict":"kept","lost":0,"duplicates":0,"violations":0'
has "$out" '"machine":{"wall_s":'
run_cut >"$work/first"
expect 0 --devices 6 --hours 2 --cell 2 --seed 7 --json --jobs 1
run_cut | cmp - "$work/first" || fault "another run by one thread"
expect 0 --devices 6 --hours 2 --cell 2 --seed 8 --json
run_cut | cmp -s - "$work/first" && fault "another seed, the same run"

expect 0 "${small[@]}" --seeds 3 --seed 40 --json
has "$out" '"seeds":3,"first_seed":40,"seeds_failed":0'
[ "$(wc -l <"$out")" = 1 ] || fault "not one line"
expect 0 "${small[@]}" --seeds 3
has "$out" "^seeds=3 from=1 failed=0"

# ---- A promise that is broken: devices that are allowed less memory than they take ---------------
printf '[run]\nfaults = flaps,dns\n[device]\nmemory-bytes = 4 KB\n' >"$work/tight.ini"
tight=(--scenario "$work/tight.ini" --devices 3 --hours 4 --seed 3)
expect 1 "${tight[@]}"
has "$out" "the promise was broken"
has "$out" "memory, device"
has "$out" "see it: htel-fleet .*--seed 3.*--replay"
expect 1 "${tight[@]}" --json
has "$out" '"verdict":"broken"'
has "$out" '"kind":"memory"'
expect 1 "${tight[@]}" --replay 2
has "$out" "VIOLATION memory, device 2"
lines=$(wc -l <"$out")
expect 1 "${tight[@]}" --replay 2 --trace
[ "$(wc -l <"$out")" -gt "$lines" ] || fault "--trace shows no more"
expect 1 "${tight[@]}" --replay 2 --around 1
expect 1 "${tight[@]}" --seeds 4
has "$out" "failed=4"
has "$err" "seed 3 breaks the promise"
expect 1 "${tight[@]}" --seeds 4 --first --jobs 1
has "$out" "seeds=1 from=3 failed=1"
expect 1 "${tight[@]}" --shrink
has "$err" "made smaller in"
has "$out" "devices=1 hours=1"
has "$out" "--faults none --replay"
expect 0 "${small[@]}" --shrink
has "$out" "keeps the promise: nothing to make smaller"

# ---- Stopped ----------------------------------------------------------------------------------
# stopped SIGNAL OPTION...: ends within a second, with status 2
stopped() {
  local signal=$1 pid began took status
  shift
  checks=$((checks + 1))
  what="htel-fleet $*, stopped"
  "$fleet" --progress no "$@" >"$out" 2>"$err" &
  pid=$!
  sleep 0.7
  began=$(date +%s%N)
  kill "-$signal" $pid
  wait $pid
  status=$?
  took=$((($(date +%s%N) - began) / 1000000))
  [ $status = 2 ] || fault "status $status: $what"
  [ $took -le 1000 ] || fault "took $took ms to end: $what"
  has "$err" "htel-fleet: stopped"
}
stopped TERM --devices 200 --hours 500
stopped TERM --devices 200 --hours 500 --seeds 100
stopped TERM --devices 200 --hours 500 --replay 1
stopped TERM --devices 200 --hours 500 --shrink

[ $failed = 0 ] && echo "cli: $checks command lines, all as they should be"
exit $failed
