#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# renew.sh BUILD - makes the captures here anew, and what is in them, when the format has changed.
# Then `git diff` shows what became other, and tests/interop/test_decoders.sh whether all agree.
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"

for level in fast zlib best; do "$build"/make_capture $level 13 5 10 $level.htel; done
python3 -B ../interop/random_columns.py ../../examples/decoder-py 31 16 random.htel
rm -f ecg.htel
"$build"/htel-monitor --device vector-1 --replay ../../examples/monitor/recordings/mitdb208_60s.csv \
  --duration 12 --speed max --frame-s 12 --frame-bytes 61440 --coding best --quiet --out ecg.htel
for capture in *.htel; do
  "$build"/htel-cat --jsonl "$capture" >"${capture%.htel}.jsonl"
  [ "$capture" = ecg.htel ] || "$build"/htel-cat --csv "$capture" >"${capture%.htel}.csv"
done
chmod 644 ./*.htel
