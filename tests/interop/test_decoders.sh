#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_decoders.sh MONITOR CAT MAKE_CAPTURE RECORDING SHARED - the decoders in JavaScript and Python,
# written from docs/FORMAT.md, say byte for byte what the library says: of the vectors, of recordings,
# of the synthetic patient, of a device with strange readings, and of captures that are damaged.
# SHARED is a directory with a corpus of recordings, or missing: then RECORDING alone is played.
# Skipped (77) where there is no Node.
set -uo pipefail
monitor=$1 cat=$2 make_capture=$3 recording=$4 shared=${HEALTHTEL_SHARED:-$5}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
examples=$here/../../examples vectors=$here/../vectors
DECODE_S_MAX=60 # for one capture, also a damaged one
CORPUS_S=60     # seconds of each waveform recording of the corpus

node=$(command -v node) || { echo "skipped: there is no node (Debian: apt-get install nodejs)"; exit 77; }
"$node" -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 18 ? 0 : 1)' ||
  { echo "skipped: node is $("$node" --version), and 18 is needed"; exit 77; }
export PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0 compared=0

fail() {
  echo "FAILED: $*"
  failed=$((failed + 1))
}

decode_js() { timeout $DECODE_S_MAX "$node" "$examples/decoder-js/htel.mjs" "$@"; }
decode_py() { timeout $DECODE_S_MAX python3 "$examples/decoder-py/htel.py" "$@"; }

# All three say the same of a capture, and end in the same way. same WHAT FILE FORM...
same() {
  local what=$1 file=$2 status language
  shift 2
  "$cat" "$@" "$file" >expected 2>cat.err
  status=$?
  for language in js py; do
    "decode_$language" "$@" "$file" >got 2>got.err
    local got=$?
    compared=$((compared + 1))
    if [ $got -ne $status ]; then
      fail "$language $* of $what: exit status $got, and htel-cat's is $status: $(tail -n 1 got.err)"
    elif ! cmp -s expected got; then
      fail "$language $* of $what: $(cmp expected got 2>&1)"
    fi
  done
}

# ---- What is shipped -----------------------------------------------------------------------------
count=0
for vector in "$vectors"/*.htel; do
  for form in csv jsonl; do
    [ -e "${vector%.htel}.$form" ] || continue
    "$cat" --$form "$vector" | cmp - "${vector%.htel}.$form" ||
      fail "htel-cat --$form of $(basename "$vector"): is the format another one? See docs/FORMAT.md"
    same "$(basename "$vector")" "$vector" --$form
  done
  count=$((count + 1))
done
[ $count -ge 5 ] || fail "only $count vectors in $vectors"

python3 "$here/check_example.py" "$examples/decoder-py" "$here/../../docs/FORMAT.md" ||
  fail "the worked example of docs/FORMAT.md"

# ---- What the encoder makes now ------------------------------------------------------------------
monitor_play() { # monitor_play OUT ARGUMENT...
  local out=$1
  shift
  "$monitor" --device dev-1 --speed max --frame-bytes 61440 --outbox-bytes 4194304 --rate 90:90 \
    --quiet --out "$out" "$@" || fail "playing $*"
}

for coding in zlib fast best; do
  for frame_s in 1 10 60; do
    monitor_play one.htel --coding $coding --frame-s $frame_s --replay "$recording" --duration 30
    same "the excerpt, $coding, $frame_s s" one.htel --csv --quality
    monitor_play one.htel --coding $coding --frame-s $frame_s --duration 70
    same "the patient, $coding, $frame_s s" one.htel --csv --quality
    same "the patient, $coding, $frame_s s" one.htel --jsonl
    seed=1
    for seconds in 20 90; do
      "$make_capture" $coding $((frame_s + seed)) $frame_s $seconds strange.htel || fail "make_capture"
      same "strange readings $((frame_s + seed)), $coding, $frame_s s" strange.htel --jsonl
      seed=$((seed + 1))
    done
    same "strange readings, $coding, $frame_s s" strange.htel --csv --quality
  done
done

# Seconds of signal in a frame: 60, or about 60 rows of slow recordings.
frame_s() {
  sed -n 's/.*"rate_hz": *\([0-9.eE-]*\).*/\1/p' "${1%.csv}.json" |
    awk 'NR == 1 { print ($1 >= 1 ? 60 : int(60 / $1 + 0.5)) }'
}

# The same readings at each level come back as the same. (A frame's times are placed as one, so where
# the clock is set they depend on where frames end.)
for seed in 21 22 23 24 25 26; do
  for coding in zlib fast best; do
    "$make_capture" $coding $seed $seed 40 strange.htel || fail "make_capture"
    "$cat" --csv --quality --no-time strange.htel >$coding.csv
  done
  cmp -s zlib.csv fast.csv && cmp -s best.csv fast.csv || fail "seed $seed: levels do not agree"
done

# Columns of one segment just, of two, and of three.
for rows in 4097 4098 8194; do
  { echo WALK; awk -v n=$rows 'BEGIN { for (v = 0; n > 0; n--) print v += int(rand() * 9) - 4 }'; } >walk.csv
  echo '{"kind": "ecg", "rate_hz": 200, "channels": [{"name": "WALK", "unit": "mV", "gain": 1, "offset": 0}]}' \
    >walk.json
  monitor_play one.htel --coding best --frame-s 60 --replay walk.csv
  same "$rows samples" one.htel --csv
done

# Columns that no encoder would write.
for seed in 1 2 3; do
  python3 "$here/random_columns.py" "$examples/decoder-py" $seed 40 random.htel || fail "random_columns.py"
  same "random columns $seed" random.htel --jsonl
done

corpus=("$shared"/corpus/*.csv)
[ -e "${corpus[0]}" ] || corpus=()
for csv in "${corpus[@]}"; do
  only=()
  [ "$(wc -l <"$csv")" -lt 12000 ] || only=(--duration $CORPUS_S)
  monitor_play one.htel --coding best --frame-s "$(frame_s "$csv")" --replay "$csv" "${only[@]}"
  same "$(basename "$csv")" one.htel --csv
done

# ---- Losses, which no form but --text shows --------------------------------------------------------
cat >losses.mjs <<END
import { readFileSync } from 'node:fs';
import { entries } from '$examples/decoder-js/healthtel/capture.mjs';
import { decodeBirth, decodeFrame } from '$examples/decoder-js/healthtel/healthtel.mjs';
let birth;
for (const { isFrame, bytes } of entries(readFileSync('strange.htel'), console.error)) {
  if (!isFrame) birth = decodeBirth(bytes);
  for (const l of isFrame ? decodeFrame(bytes).losses : []) {
    const { name, code, index } = birth.channels[l.channel];
    const channel = ', channel ' + (name || 'code_' + code + '_' + index);
    console.log('  lost: ' + ['', 'ring_full', 'outbox_full', 'unclean_stop'][l.cause] + ', boot ' +
      l.boot + (l.cause === 1 ? channel : '') + ', ticks ' + l.tickFirst + ' to ' + l.tickLast +
      ', ' + (l.atMost ? 'at most ' : '') + l.readings + ' readings');
  }
}
END
cat >losses.py <<END
import sys
sys.path.insert(0, '$examples/decoder-py')
from healthtel import decode_birth, decode_frame
from healthtel.capture import entries
for _, _, is_frame, data in entries(open('strange.htel', 'rb').read(), print):
    if not is_frame:
        birth = decode_birth(data)
    for l in decode_frame(data).losses if is_frame else []:
        c = birth.channels[l.channel]
        channel = f", channel {c.name or f'code_{c.code}_{c.index}'}" if l.cause == 1 else ""
        print(f"  lost: {['', 'ring_full', 'outbox_full', 'unclean_stop'][l.cause]}, boot "
              f"{l.boot}{channel}, ticks {l.tick_first} to {l.tick_last}, "
              f"{'at most ' if l.at_most else ''}{l.readings} readings")
END
told=0
for seed in 2 3 4 5; do
  "$make_capture" best $seed 10 60 strange.htel || fail "make_capture"
  "$cat" --text strange.htel | grep '^  lost:' | sort >expected
  told=$((told + $(wc -l <expected)))
  "$node" losses.mjs | sort | cmp - expected || fail "losses in JavaScript"
  python3 losses.py | sort | cmp - expected || fail "losses in Python"
done
[ $told -gt 20 ] || fail "only $told losses to compare"

# ---- What is to be refused is refused, for the same reason -----------------------------------------
cat >refused.mjs <<END
import { readFileSync } from 'node:fs';
import { DecodeError, decodeBirth, decodeFrame, readings }
  from '$examples/decoder-js/healthtel/healthtel.mjs';
let first;
for (const line of readFileSync('$vectors/refused.txt', 'utf8').split('\n')) {
  const [what, kind, hex] = line.split(';')[0].split(' ');
  if (what !== 'birth' && what !== 'frame') continue;
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  let got = 'ok';
  try {
    if (what === 'frame') [...readings(decodeFrame(bytes), first)];
    else {
      const birth = decodeBirth(bytes);
      first ??= birth;
    }
  } catch (error) {
    got = error instanceof DecodeError ? error.kind : String(error);
  }
  if (got !== kind) console.log(got, line);
}
END
cat >refused.py <<END
import sys
sys.path.insert(0, '$examples/decoder-py')
from healthtel import DecodeError, decode_birth, decode_frame, readings
first = None
for line in open('$vectors/refused.txt'):
    what, kind, bytes_hex = (line.split(';')[0].split(' ') + ['', ''])[:3]
    if what not in ('birth', 'frame'):
        continue
    data, got = bytes.fromhex(bytes_hex), 'ok'
    try:
        if what == 'frame':
            list(readings(decode_frame(data), first))
        else:
            birth = decode_birth(data)
            first = first or birth
    except DecodeError as why:
        got = why.kind
    if got != kind:
        print(got, line)
END
"$node" refused.mjs >said 2>&1
[ ! -s said ] || fail "refusing in JavaScript: $(head -c 500 said)"
python3 refused.py >said 2>&1
[ ! -s said ] || fail "refusing in Python: $(head -c 500 said)"

# ---- In a browser, inflating takes a while ---------------------------------------------------------
cat >stream.mjs <<END
import { readFileSync } from 'node:fs';
const bytes = readFileSync('$vectors/zlib.htel');
try { new DecompressionStream('deflate-raw'); } catch { process.exit(0); } // an older Node
const node = process;
globalThis.process = undefined;
const { decodeBirth, decodeFrame, inflateFrame, readings } =
  await import('$examples/decoder-js/healthtel/healthtel.mjs');
const { entries } = await import('$examples/decoder-js/healthtel/capture.mjs');
let birth, deflated = 0, count = 0;
for (const entry of entries(bytes, console.error)) {
  if (!entry.isFrame) { birth = decodeBirth(entry.bytes); continue; }
  const frame = decodeFrame(entry.bytes);
  deflated += frame.coding;
  for (const series of readings(await inflateFrame(frame), birth)) count += series.count;
  if (frame.coding === 1) {
    const short = await inflateFrame({ ...frame, dataSize: frame.dataSize - 1 }).catch((e) => e.kind);
    if (short !== 'format') throw new Error('a size that is not so is taken');
  }
}
node.exitCode = deflated > 0 && count > 0 ? 0 : 1;
END
"$node" stream.mjs || fail "inflating by DecompressionStream"

# ---- Damage ------------------------------------------------------------------------------------------
for coding in zlib fast best; do
  monitor_play patient.htel --coding $coding --duration 40
  "$make_capture" $coding 7 10 30 strange.htel || fail "make_capture"
  for seed in 1 2; do
    for how in frames fields bits cut; do
      for source in patient strange; do
        python3 "$here/damage.py" $seed $how $source.htel damaged.htel || fail "damage.py"
        same "the $source, $coding, damaged: $how $seed" damaged.htel --jsonl
      done
    done
  done
done
head -c 100000 /dev/urandom >noise.htel
: >empty.htel
same 'noise' noise.htel --csv
same 'nothing' empty.htel --csv
for language in js py; do
  "decode_$language" --csv >/dev/null 2>said
  [ $? -eq 64 ] || fail "$language: no file"
  "decode_$language" --csv --unheard-of one.htel >/dev/null 2>said
  [ $? -eq 64 ] || fail "$language: an unknown option"
  "decode_$language" --csv missing.htel >/dev/null 2>said
  [ $? -eq 1 ] && grep -q 'missing.htel' said || fail "$language: a file that is not there: $(cat said)"
  "decode_$language" --csv damaged.htel 2>said | true
  grep -q 'Traceback\|Error:' said && fail "$language: a pipe that closes: $(head -n 3 said)"
done

[ $failed -eq 0 ] && echo "all well: $compared comparisons"
[ $failed -eq 0 ]
