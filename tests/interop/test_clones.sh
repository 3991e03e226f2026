#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_clones.sh - one identity used twice: a boot counter that was reset, a copied boot file, and
# two devices with one id at the same time.
#
# Passes when what came first under a key stays as it is, all that came later under it with other
# content is in quarantine with an alert, nothing of it was taken for a duplicate, and a third
# device, which minds its own business meanwhile, feels nothing.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../examples/lib.sh"

status=0
say() { echo "clones: $*"; }
wrong() { say "$*" >&2; status=1; }
query() { sqlite3 -readonly "$db" "$1"; }
number() { sed -n 's/.*"'"$1"'":[[:space:]]*\([0-9]*\).*/\1/p' "$2" | head -n 1; }
expect() { [ "$2" = "$3" ] || wrong "$1: $3 expected, $2 found"; } # expect WHAT FOUND EXPECTED

# plays NAME SEED [ARGUMENT...]: the device twin, with the boot file NAME.boot
plays() {
  local name=$1 seed=$2
  shift 2
  mapfile -t arguments < <(device_args twin)
  "$build/htel-monitor" "${arguments[@]}" --boot-file "$work/$name.boot" --seed "$seed" --frame-s 1 \
    --backoff 100:500 --receipt-wait 1000 --quiet --summary "$work/$name.json" "$@"
}

of_twin="device_id = (select id from devices where device = 'twin')"
stored() { query "select count(*) from frames where $of_twin"; }
aside() { query "select count(*) from quarantine where $of_twin"; }

work_begin clones
certs_make twin other
broker_start
ingest_start
ingest_ready || lib_fail "the ingest did not come up"
mapfile -t arguments < <(device_args other)
"$build/htel-monitor" "${arguments[@]}" --write-recording "$work" --duration 60 || exit 1
recording=$work/synthetic_pleth100.csv
"$build/htel-monitor" "${arguments[@]}" --replay "$recording" --speed 4 --frame-s 1 --quiet \
  --summary "$work/other.json" &
other_pid=$!
process_note "$other_pid"

# ---- A boot counter that was reset: the same boot once more, with other readings ------------------

# Whoever finds that all the numbers he uses are taken goes on until the time anchor that his frames
# need is stored under a new one.
plays first 1 --duration 20 --speed max || wrong "the first boot was not delivered"
taken=$(number frames "$work/first.json")
digests() {
  query "select hex(digest) from frames where $of_twin and boot = 1 and sequence <= $taken
    order by sequence" | cksum
}
before=$(digests)
expect "frames of the first boot" "$(stored)" "$taken"

rm "$work/first.boot"
plays first 2 --duration 15 --speed max || wrong "the device does not come to an end"
again=$(number frames "$work/first.json")
expect "frames set aside" "$(aside)" "$taken"
expect "frames that the device was told of" "$(number frames_quarantined "$work/first.json")" "$taken"
expect "frames stored" "$(stored)" "$again"
expect "what was stored" "$(digests)" "$before"
say "a reset counter: $taken of $again frames in quarantine"

# ---- A cloned flash: the copy boots with the number that the first one boots with, too ------------

cp "$work/first.boot" "$work/clone.boot"
plays first 3 --duration 10 --speed max || wrong "the second boot was not delivered"
plays clone 4 --duration 8 --speed max || wrong "the clone does not come to an end"
cloned=$(number frames_quarantined "$work/clone.json")
expect "frames of the clone in quarantine" "$cloned" "$(number frames "$work/first.json")"
expect "frames set aside" "$(aside)" $((taken + cloned))
expect "frames stored" "$(stored)" $((again + $(number frames "$work/clone.json")))
say "a cloned flash: $cloned of $(number frames "$work/clone.json") frames in quarantine"

# ---- Both at once: each connection ends the other's ----------------------------------------------

cp "$work/first.boot" "$work/clone.boot"
stored=$(stored)
plays first 5 --duration 20 --speed 4 --close-timeout 10 &
first_pid=$!
process_note "$first_pid"
plays clone 6 --duration 20 --speed 4 --close-timeout 10 --link mqtt
process_wait "$first_pid"
ingest_settled() { [ "$(aside)" -gt $((taken + cloned)) ]; }
wait_until 10 ingest_settled || wrong "two at once: nothing was set aside"
say "two at once: $(($(stored) - stored)) frames stored, $(($(aside) - taken - cloned)) in quarantine," \
  "$(number connects "$work/first.json") and $(number connects "$work/clone.json") connections"

# ---- What it has come to --------------------------------------------------------------------------

process_wait "$other_pid" || wrong "the other device could not deliver everything"
ingest_stop
expect "alerts" "$(query "select count(*) from alerts where kind = 'conflict' and $of_twin")" \
  "$(aside)"
expect "frames both stored and set aside" \
  "$(query "select count(*) from frames join quarantine using (device_id, digest)")" 0
grep -q 'alert: device twin, boot [0-9]*, sequence [0-9]*: conflict' "$work/ingest.log" ||
  wrong "the ingest says nothing of it"
"$build/htel-ingest" audit --db "$db" --device twin >/dev/null
expect "the audit's status of the twin" "$?" 3
"$build/htel-ingest" audit --db "$db" --device other || wrong "the other device was harmed"
"$build/htel-ingest" compare --db "$db" --device other --summary "$work/other.json" \
  --recording "$recording" || wrong "the other device was harmed"
exit "$status"
