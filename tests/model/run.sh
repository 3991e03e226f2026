#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [NAME...] - has spin try the model of delivery (delivery.pml) in every order there is.
#
#   run.sh             all of it
#   run.sh NAME...     these configurations (--list tells which there are)
#   run.sh --bugs      each mistake that can be planted; --bug N: that one
#   run.sh --names     transitions in docs/DELIVERY.md, in the model and in the sources: the same?
#
# A line for each: what was searched, states, depth, seconds, memory. A search that was not
# exhausted fails, as does one that finds something; what it found is told step by step (--bug N
# tells that, too). 77: spin is not here.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

SECONDS_MAX=${MODEL_SECONDS_MAX:-240} # for each search,
MEMORY_MB_MAX=1800                    # and its memory
DEPTH_MAX=20000

# NAME KIND MACROS. KIND: safe (assertions and deadlocks), live (the promise as LTL, weakly fair
# processes), found (a limit that DELIVERY.md admits: the model must show it).
configurations='
window         safe  DATA=3 DROPS=1 KILLS=1 CRASHES=1 TWICE=1 EARLY=1
faults         safe  DATA=2 FRAMES=2 DROPS=2 KILLS=2 CRASHES=1 TWICE=2 EARLY=2
reboot         safe  DATA=2 FRAMES=5 REBOOTS=2 DROPS=1 KILLS=1 TWICE=1
reboot_once    safe  DATA=2 FRAMES=8 REBOOTS=1 DROPS=1
flash          safe  DATA=2 FRAMES=4 REBOOTS=2 TWICE=1 FLASH=1
evict          safe  DATA=3 FRAMES=8 ROOM=2 ALARMS=1 DROPS=1 KILLS=1 TWICE=1
evict_records  safe  DATA=3 FRAMES=8 ROOM=1 ALARMS=2 DROPS=1 POISONS=1
refuse         safe  DATA=3 FRAMES=6 ROOM=2 REFUSE=1 DROPS=1 KILLS=1 TWICE=1
flash_evict    safe  DATA=3 FRAMES=8 ROOM=2 ALARMS=1 REBOOTS=1 FLASH=1 POISONS=1
clone          safe  DEVICES=2 DATA=2 FRAMES=4 KICKS=2 KEY_IS_ENOUGH=1
clone_digests  safe  DEVICES=2 DATA=2 FRAMES=4 KICKS=2 DIGESTS=1
clone_receipt  found DEVICES=2 DATA=2 FRAMES=4 KICKS=2
broker         safe  BROKER_MODE=1 DATA=3 DROPS=2 TWICE=1 EARLY=1
broker_forgets found BROKER_MODE=1 DATA=3 CRASHES=1
promise        live  DATA=2 FRAMES=2 DROPS=1 KILLS=1 CRASHES=1 TWICE=1 EARLY=1
promise_reboot live  DATA=1 FRAMES=3 REBOOTS=1 DROPS=1 KILLS=1 FLASH=1
'

# NUMBER CONFIGURATION WHAT
bugs='
1  window       a frame is freed at its PUBACK
2  refuse       the number of a frame that was refused is used again
3  reboot_once  the boot number is used again
4  reboot       a receipt of another boot is honoured
5  clone        digests are not compared
6  evict        an eviction is not recorded
7  window       a receipt goes out before the commit
8  window       when a connection ends a frame in flight is forgotten
9  window       the ingest does not look whether it has the key
10 flash        a frame is published before it is durable
11 evict_records records of an evicted carrier are not told again
12 reboot       an unclean stop is not reported
13 evict        a record that grows on its way counts as told
14 flash_evict  the ledger is not durable with an eviction
15 reboot       of several unclean stops the last is reported
16 promise      a duplicate is not receipted again
'

work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
fail() { echo "model: $*" >&2; exit 1; }

configuration() { # configuration NAME: KIND and macros
  printf '%s\n' "$configurations" | awk -v n="$1" '$1 == n { $1 = ""; print; exit }'
}

figure() { # figure WHAT: one of the last search
  case $1 in
    states) sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.out | head -n 1 ;;
    depth) sed -n 's/.*depth reached \([0-9]*\).*/\1/p' pan.out | head -n 1 ;;
    errors) sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.out | head -n 1 ;;
    seconds) sed -n 's/.*elapsed time \([0-9.e-]*\) seconds.*/\1/p' pan.out | head -n 1 ;;
    mb) sed -n 's/^ *\([0-9.]*\).*total actual memory usage.*/\1/p' pan.out | head -n 1 ;;
  esac
}

# What a search found: `holds`, `found`, or why there is no answer.
verdict() {
  if grep -qE 'assertion violated .*closed *< *FRAMES|\(closed<[0-9]\)' pan.out; then
    echo 'too few FRAMES in the configuration'
  elif [ "$(figure errors)" = 1 ] && [ -s delivery.pml.trail ]; then
    echo found
  elif grep -qE 'max search depth too small|out of memory|MEMLIM|not completed|VECTORSZ' pan.out; then
    echo 'not exhausted: the configuration is too large'
  elif [ "$(figure errors)" = 0 ]; then
    echo holds
  else
    echo "no result within $SECONDS_MAX s"
  fi
}

# search KIND MACRO...: into pan.out; the trail of what it finds into delivery.pml.trail
search() {
  local kind=$1 build=(-DSAFETY -DNOCLAIM) run=() optimise=-O2
  shift
  [[ "$*" != *BUG=* ]] || optimise=-O0 # what is found is found soon
  [ "$kind" != live ] || { build=(-DNFAIR=3) run=(-a -f); }
  rm -rf ./*
  cp -p "$here"/*.pml .
  timeout 60 spin -a "${@/#/-D}" delivery.pml >spin.out 2>&1 && ! grep -q Error spin.out ||
    { cat spin.out >&2; fail 'spin does not take the model'; }
  gcc "$optimise" -w -DCOLLAPSE -DMEMLIM=$MEMORY_MB_MAX "${build[@]}" -o pan pan.c || fail 'gcc'
  timeout "$SECONDS_MAX" ./pan "${run[@]}" -m$DEPTH_MAX >pan.out 2>&1
}

# What the model said on the way there, and what is wrong at its end.
trail() { # trail MACRO...
  timeout 60 spin -t -T "${@/#/-D}" delivery.pml 2>&1 |
    sed -n '/^spin: trail ends/q; /^ltl promise\|^Never claim\|^never claim/d; s/^ */    /p'
  printf '    => %s\n' "$(what_is_wrong)"
}

what_is_wrong() { # why pan stopped: its assertion, or that all wait, or go round in circles
  sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' pan.out
}

line() { # line NAME VERDICT
  printf '%-16s %-7s %9s states, depth %s, %s s, %s MB, errors=%s\n' "$1" "$2" "$(figure states)" \
    "$(figure depth)" "$(figure seconds)" "$(figure mb)" "$(figure errors)"
}

check() { # check NAME
  local kind macros found
  read -r kind macros <<<"$(configuration "$1")"
  [ -n "$kind" ] || fail "no configuration $1; there are: $(list | tr '\n' ' ')"
  # shellcheck disable=SC2086 # macros are words
  search "$kind" $macros
  found=$(verdict)
  line "$1" "$found"
  case $kind:$found in
    found:found | safe:holds | live:holds) return 0 ;;
    *:found) trail $macros ;;
    found:*) echo "    DELIVERY.md admits a loss here that the model does not show any more" ;;
  esac
  return 1
}

bug() { # bug NUMBER [trail]
  local name what kind macros found
  read -r name what <<<"$(printf '%s\n' "$bugs" | awk -v n="$1" '$1 == n { $1 = ""; print; exit }')"
  [ -n "$name" ] || fail "no bug $1"
  read -r kind macros <<<"$(configuration "$name")"
  # shellcheck disable=SC2086
  search "$kind" $macros "BUG=$1"
  found=$(verdict)
  line "bug_$1" "$found"
  printf '    %s (%s): %s\n' "$what" "$name" "$(what_is_wrong)"
  # shellcheck disable=SC2086
  [ $# = 1 ] || trail $macros "BUG=$1"
  [ "$found" = found ]
}

# Transitions named in docs/DELIVERY.md (`@name` in a row of a table, with the function and its file)
# are those of the model, and the functions are there.
names() {
  local doc=$root/docs/DELIVERY.md status=0 rows differences name function file
  rows=$(sed -n 's/^| `@\([a-z_]*\)` |.*| `\([a-z_0-9]*\)` | `\([a-z_0-9./]*\)` |$/\1 \2 \3/p' "$doc")
  [ "$(grep -c '^| `@' "$doc")" = "$(printf '%s\n' "$rows" | wc -l)" ] ||
    { echo "DELIVERY.md: a row of a transition that cannot be read"; status=1; }
  differences=$(diff <(printf '%s\n' "$rows" | cut -d' ' -f1 | sort -u) \
    <(grep -ho '@[a-z_]*' "$here"/*.pml | cut -c2- | sort -u) |
    sed -n 's/^< /only in DELIVERY.md: /p; s/^> /only in the model: /p')
  [ -z "$differences" ] || { echo "$differences"; status=1; }
  while read -r name function file; do
    grep -qE "^[a-z].*[ *]$function\(" "$root/$file" ||
      { echo "@$name: there is no function $function in $file"; status=1; }
  done <<<"$rows"
  [ $status != 0 ] || echo "names            holds   $(printf '%s\n' "$rows" | wc -l) transitions"
  return $status
}

list() { printf '%s\n' "$configurations" | awk 'NF { print $1 }'; }
list_bugs() { printf '%s\n' "$bugs" | awk 'NF { print $1 }'; }

tried=0 failed=0
try() { "$@" || failed=$((failed + 1)); tried=$((tried + 1)); }

case ${1:-} in
  --list) list; exit ;;
  --list-bugs) list_bugs; exit ;;
  --names) names; exit ;;
  -h | --help) sed -n '3,12s/^# \{0,1\}//p' "$0"; exit ;;
esac
command -v spin >/dev/null || { echo 'model: skipped: spin is not installed'; exit 77; }
command -v gcc >/dev/null || { echo 'model: skipped: gcc is not installed'; exit 77; }
work=$(mktemp -d) && cd "$work" || fail 'no temporary directory'

case ${1:-} in
  --bugs) for n in $(list_bugs); do try bug "$n"; done ;;
  --bug) try bug "${2:-}" trail ;;
  '')
    try names
    for name in $(list); do try check "$name"; done
    for n in $(list_bugs); do try bug "$n"; done
    ;;
  *) for name in "$@"; do try check "$name"; done ;;
esac
[ $tried = 1 ] || echo "$((tried - failed)) passed, $failed failed"
[ $failed = 0 ]
