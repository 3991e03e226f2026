#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fleet.sh HTEL-FLEET PART [whole|small] - fleets that must keep the promise.
#
#     standard   1,000 devices for 24 h: at least 2 x 10^8 readings checked, at most 64 KB of memory
#                a device, at most 120 s of processor time (60 s on two)
#     seeds      1,000 seeds of 10 devices and 2 h
#     scenarios  each built-in scenario, seed 1
#     storm      10,000 devices dropped at one instant: at most 334 connects in a second, all back
#                within 300 s
#     same       the same seed gives the same run, by one thread or two
#
# `small` is for builds with sanitizers: fewer devices, fewer seeds, no bar for time.
set -uo pipefail
fleet=$1 part=$2 size=${3:-whole}
work=$(mktemp -d "${TMPDIR:-/tmp}/htel-fleet.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0
fault() { echo "fleet: $*"; failed=1; }

# number NAME FILE: of the JSON's first member of this name that is a result
number() {
  sed 's/"configuration":{[^}]*}//' "$2" | grep -o "\"$1\":[0-9]*" | head -n 1 | cut -d : -f 2
}

# run NAME OPTION...: into $work/NAME.json; must keep the promise
run() {
  local name=$1 status json=$work/$1.json member
  shift
  "$fleet" --progress no --json "$@" >"$json"
  status=$?
  for member in lost duplicates violations; do
    [ "$(number $member "$json")" = 0 ] || fault "$name: $member is not 0"
  done
  [ $status = 0 ] && return 0
  fault "$name: ended with status $status"
  head -c 2000 "$json"
  echo
}

# at_most WHAT FILE BOUND
at_most() {
  local found
  found=$(number "$1" "$2")
  echo "fleet: $1=$found (at most $3)"
  [ -n "$found" ] && [ "$found" -le "$3" ] || fault "$1 is over $3"
}

# Into $cpu: processor time of what this shell has waited for. (A subshell would tell its own.)
cpu_seconds() {
  times >"$work/times"
  cpu=$(awk -F '[ms ]' 'NR == 2 { print int($1 * 60 + $2 + $4 * 60 + $5) }' "$work/times")
}

part_standard() {
  local options=() json=$work/standard.json readings=200000000 cpu
  [ "$size" = whole ] || { options=(--devices 20 --hours 2) readings=250000; }
  run standard "${options[@]}"
  cpu_seconds
  echo "fleet: readings_checked=$(number readings_checked "$json")" \
    "device_hours_per_s=$(number device_hours_per_s "$json") cpu_s=$cpu"
  [ "$(number readings_checked "$json")" -ge $readings ] || fault "fewer than $readings checked"
  at_most memory_bytes_max "$json" 65536
  [ "$size" != whole ] || [ "$cpu" -le 120 ] || fault "$cpu s of processor time"
}

part_seeds() {
  local seeds=1000
  [ "$size" = whole ] || seeds=20
  run seeds --devices 10 --hours 2 --seeds $seeds
  [ "$(number seeds "$work/seeds.json")" = $seeds ] || fault "not all seeds were run"
}

part_scenarios() {
  local name options=()
  [ "$size" = whole ] || options=(--devices 3)
  for name in $("$fleet" --list-scenarios | cut -d ' ' -f 1); do
    case $name in standard | storm) continue ;; esac # have parts of their own
    run "$name" --scenario "$name" "${options[@]}"
    echo "fleet: $name: readings_checked=$(number readings_checked "$work/$name.json")" \
      "readings_told=$(number readings_told "$work/$name.json")"
  done
}

part_storm() {
  local options=() json=$work/storm.json devices=10000 connects=334
  [ "$size" = whole ] || { options=(--devices 300) devices=300 connects=30; }
  run storm --scenario storm "${options[@]}"
  [ "$(number devices "$json")" = $devices ] || fault "not $devices devices"
  grep -q '"storm":{"at_ms":1800000,"devices":'"$devices," "$json" || fault "not all were dropped"
  at_most connects_max_in_a_second "$json" $connects
  at_most all_back_ms "$json" 300000
}

# What is of the machine and not of the run is left out.
same_as() {
  local file
  for file in "$@"; do sed 's/,"machine":.*//' "$file.json" >"$file.cut"; done
  cmp "$1.cut" "$2.cut" || fault "${1##*/} and ${2##*/} differ"
  [ "$(wc -c <"$1.cut")" -gt 2000 ] || fault "there is not much to compare"
}

part_same() {
  local options=(--devices 120 --hours 12)
  [ "$size" = whole ] || options=(--devices 8 --hours 2 --cell 4)
  run once "${options[@]}" --seed 5 --jobs 2
  run again "${options[@]}" --seed 5 --jobs 2
  run alone "${options[@]}" --seed 5 --jobs 1
  run other "${options[@]}" --seed 6 --jobs 2
  same_as "$work/once" "$work/again"
  same_as "$work/once" "$work/alone"
  cmp -s <(grep -o '"digest":"[0-9a-f]*"' "$work/once.json") \
    <(grep -o '"digest":"[0-9a-f]*"' "$work/other.json") && fault "another seed, the same digest"
  run seeds_one --devices 4 --hours 1 --seeds 20 --jobs 1
  run seeds_two --devices 4 --hours 1 --seeds 20 --jobs 2
  cmp "$work/seeds_one.json" "$work/seeds_two.json" || fault "many seeds by two threads differ"
}

case $part in
  standard | seeds | scenarios | storm | same) "part_$part" ;;
  *) echo "fleet: there is no part '$part'"; exit 64 ;;
esac
[ $failed = 0 ] && echo "fleet: $part: the promise was kept"
exit $failed
