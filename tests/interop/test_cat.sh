#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_cat.sh MONITOR CAT INGEST RECORDING SHARED - what htel-monitor plays into a file, htel-cat
# and htel-ingest give back. SHARED is a directory with a corpus of recordings, or missing: then
# RECORDING alone is played.
set -uo pipefail
monitor=$1 cat=$2 ingest=$3 recording=$4 shared=${HEALTHTEL_SHARED:-$5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

fail() {
  echo "FAILED: $*"
  failed=1
}

play() { # play OUT RECORDING...
  local out=$1 arguments=() one
  shift
  for one in "$@"; do arguments+=(--replay "$one"); done
  "$monitor" --device dev-1 "${arguments[@]}" --speed max --out "$out.htel" \
    --summary "$out.json" --quiet || fail "playing $*"
}

# ---- Each recording comes back byte for byte, and through the database -------------------------
recordings=("$recording")
[ ! -d "$shared/corpus" ] || recordings+=("$shared"/corpus/*.csv)
for csv in "${recordings[@]}"; do
  play one "$csv"
  time_option=--no-time
  ! head -n 1 "$csv" | grep -q '^t_ms,' || time_option=
  "$cat" --csv $time_option one.htel | cmp - "$csv" || fail "htel-cat --csv of $(basename "$csv")"
  rm -f one.db*
  "$ingest" import --quiet --db one.db one.htel || fail "importing $(basename "$csv")"
  "$cat" --csv $time_option --db one.db | cmp - "$csv" || fail "htel-cat --db of $(basename "$csv")"
  "$ingest" compare --db one.db --device dev-1 --recording "$csv" --summary one.json >said ||
    fail "comparing $(basename "$csv"): $(cat said)"
  "$ingest" audit --db one.db >said || fail "auditing $(basename "$csv"): $(cat said)"
done

# ---- Comparing finds what is wrong -------------------------------------------------------------
play one "$recording"
rm -f one.db*
"$ingest" import --quiet --db one.db one.htel
compare() { "$ingest" compare --db one.db --device dev-1 --recording "$recording" --summary one.json; }
sqlite3 one.db 'UPDATE frames SET utc_offset_ms = utc_offset_ms + 1 WHERE sequence = 2' # a wrong time
compare >said && fail 'a wrong time is not noticed'
grep -q 'times [1-9]' said || fail "a wrong time is called something else: $(cat said)"
sqlite3 one.db 'UPDATE frames SET utc_offset_ms = utc_offset_ms - 1 WHERE sequence = 2'
compare >said || fail "it is well again, and not seen: $(cat said)"
sqlite3 one.db "UPDATE waves SET samples = CAST(x'01000000' || substr(samples, 5) AS BLOB)
  WHERE frame_id = (SELECT max(frame_id) FROM waves) AND n = 0"
compare >said && fail 'a wrong value is not noticed'
sqlite3 one.db 'DELETE FROM waves WHERE frame_id = (SELECT max(frame_id) FROM waves) AND n = 0'
compare >said && fail 'lost samples are not noticed'
grep -q 'lost=[1-9]' said || fail "lost samples are called something else: $(cat said)"
sqlite3 one.db 'DELETE FROM frames WHERE sequence = 2'
"$ingest" audit --db one.db >said
[ $? -eq 3 ] || fail "a missing frame is not noticed"

# ---- Order, duplicates, damage, other ways in --------------------------------------------------
"$cat" --csv --no-time - <one.htel | cmp - "$recording" || fail 'standard input'
cat one.htel one.htel >twice.htel
"$cat" --csv --no-time twice.htel 2>said | cmp - "$recording" || fail 'a file twice over'
grep -q 'more than once' said || fail 'duplicates are not told'
"$cat" --csv --no-time one.htel one.htel 2>/dev/null | cmp - "$recording" || fail 'two files'
size=$(stat -c %s one.htel)
cp one.htel damaged.htel
printf '\xff' | dd of=damaged.htel bs=1 seek=$((size / 2)) conv=notrunc status=none
"$cat" --csv damaged.htel >out 2>said && fail 'damage is not noticed'
[ "$(wc -l <out)" -gt 1000 ] || fail 'damage takes the rest with it'
grep -q 'at byte' said || fail "where the damage is: $(cat said)"
head -c $((size - 3)) one.htel >cut.htel
"$cat" cut.htel >out 2>said && fail 'a cut file is not noticed'
"$cat" --text one.htel >out && grep -q '^frame dev-1/' out || fail 'text'
"$cat" --jsonl one.htel >out && grep -q '^{"device":"dev-1",.*"samples":\[' out || fail 'jsonl'
"$cat" one.db >out 2>said && fail 'a database as a file'
[ "$(wc -l <said)" -lt 60 ] || fail 'too many words about a file of another kind'
"$cat" 2>/dev/null
[ $? -eq 64 ] || fail 'nothing to show'

# ---- The image of a device's flash -------------------------------------------------------------
# Large enough that nothing is erased: all frames are still there after they were delivered.
"$monitor" --device dev-1 --replay "$recording" --speed max --frame-s 5 --out one.htel \
  --store flash --store-bytes 1048576 --quiet || fail 'playing into a store'
rm -f one.db*
"$ingest" import --quiet --db one.db one.htel
sqlite3 one.db "SELECT writefile('birth', bytes) FROM births" >/dev/null
sum=$(sha256sum flash)
"$cat" --store flash >said || fail "a store: $(cat said)"
grep -q '^boot 1, ended cleanly' said || fail "a store's boot: $(cat said)"
grep -q '^waveform *0 frames wait .* [1-9][0-9]* done' said || fail "a store's frames: $(cat said)"
"$cat" --store flash --birth birth --csv --no-time | cmp - "$recording" || fail 'the frames of a store'
"$cat" --store flash --json >flash.json || fail 'a store as JSON'
[ "$(sha256sum flash)" = "$sum" ] || fail 'reading a store changes it'
# number of the first waveform frame's bytes, and of those that lie there
read -r address size frames < <(python3 -c '
import json
frames = json.load(open("flash.json"))["frames"]
first = next(f for f in frames if f["class"] == "waveform")
print(first["address"], first["size"], len(frames))')
[ "$frames" = "$(sqlite3 one.db 'SELECT count(*) FROM frames')" ] || fail 'a store has lost frames'
flip() { # flip FILE BYTE: its lowest bit
  local was
  was=$(od -An -tu1 -j "$2" -N 1 "$1")
  printf "\\x$(printf '%x' $((was ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
cp flash bad.flash
flip bad.flash $((address + size / 2))
"$cat" --store bad.flash >out 2>said && fail 'a damaged frame is not noticed'
grep -q "at byte $address: a frame's bytes" said || fail "where the damage is: $(cat said)"
grep -q '^waveform .*, 1 damaged' out || fail "how much is damaged: $(cat out)"
"$cat" --store bad.flash --birth birth --csv >out 2>/dev/null && fail 'damage in CSV'
[ "$(wc -l <out)" -gt 10000 ] || fail 'damage takes the rest with it'
cp flash bad.flash
flip bad.flash $((address - 20)) # in its header: set right by the checksum
"$cat" --store bad.flash >out 2>said || fail "a bit that was set right: $(cat said)"
grep -q 'single wrong bits' out || fail "a bit that was set right is not told: $(cat out)"
dd if=/dev/zero of=bad.flash bs=1 seek=$((address - 32)) count=16 conv=notrunc status=none
"$cat" --store bad.flash >out 2>said && fail 'a lost header is not noticed'
grep -q "at byte $((address - 32)): no record" said || fail "where a header was: $(cat said)"
head -c 100000 flash >bad.flash # a reader that stopped in the middle
"$cat" --store bad.flash --birth birth --csv --no-time >out 2>/dev/null
[ "$(wc -l <out)" -gt 1000 ] || fail 'a part of a store gives nothing'
head -c 65536 /dev/urandom >bad.flash
"$cat" --store bad.flash >out 2>said && fail 'something else is taken for a store'
grep -q 'no block of it' said || fail "something else as a store: $(cat said)"
head -c 65536 /dev/zero | tr '\0' '\377' >bad.flash
"$cat" --store bad.flash >out && grep -q 'erased throughout' out || fail 'erased flash'
"$cat" --store nowhere 2>/dev/null && fail 'no store at all'
"$cat" --store flash one.htel 2>/dev/null
[ $? -eq 64 ] || fail 'a store and a file, without a form'

# ---- Two recordings of one device, merged in time ----------------------------------------------
second=$shared/corpus/smartcare_num1.csv
if [ -f "$second" ]; then
  play two "$recording" "$second"
  names=$(head -n 1 "$second" | sed 's/[^,]*/--channel &/g; s/,/ /g')
  # shellcheck disable=SC2086 # the names are several arguments
  "$cat" --csv --no-time $names two.htel | cmp - "$second" || fail 'channels of one of two recordings'
  "$cat" --csv two.htel | awk -F, 'NR > 2 && $1 <= last { exit 1 } { last = $1 }' ||
    fail 'rows are not in the order of time'
fi
[ $failed -eq 0 ] && echo "all well: ${#recordings[@]} recordings"
exit $failed
