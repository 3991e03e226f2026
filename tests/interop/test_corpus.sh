#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_corpus.sh - every recording through the real broker into the real database, and through
# a file and htel-cat back into the same CSV.
#
# Plays the recordings of the corpus ($HEALTHTEL_SHARED/corpus) where it is there, else the one
# that is shipped. Each is one device; all share a broker and an ingest. Passes when every value,
# quality and time is as recorded, once.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../examples/lib.sh"

shared=${HEALTHTEL_SHARED:-$here/../../../shared}
recordings=("$shared"/corpus/*.csv)
[ -e "${recordings[0]}" ] || recordings=("$here"/../../examples/monitor/recordings/*.csv)

# Seconds of signal in a frame: 10, or about ten rows of slow recordings.
frame_s() {
  sed -n 's/.*"rate_hz": *\([0-9.eE-]*\).*/\1/p' "${1%.csv}.json" |
    awk 'NR == 1 { print ($1 >= 1 ? 10 : int(10 / $1 + 0.5)) }'
}

work_begin corpus
devices=()
for i in "${!recordings[@]}"; do devices+=("corpus-$i"); done
certs_make "${devices[@]}"
broker_start
ingest_start
ingest_ready || lib_fail "the ingest did not come up"

failures=0
for i in "${!recordings[@]}"; do
  csv=${recordings[i]}
  device=${devices[i]}
  mapfile -t arguments < <(device_args "$device")
  "$build/htel-monitor" "${arguments[@]}" --replay "$csv" --speed max --frame-s "$(frame_s "$csv")" --quiet \
    --summary "$work/$device.json" || { echo "$csv: not delivered" >&2; failures=$((failures + 1)); }
  "$build/htel-monitor" --device "$device" --replay "$csv" --speed max --frame-s "$(frame_s "$csv")" --quiet \
    --out "$work/$device.htel" || { echo "$csv: not written" >&2; failures=$((failures + 1)); }
  # A recording with times of its own begins with the column that htel-cat writes as well.
  no_time=--no-time
  head -n 1 "$csv" | grep -q '^t_ms' && no_time=
  if ! "$build/htel-cat" --csv $no_time "$work/$device.htel" | cmp - "$csv"; then
    echo "$csv: htel-cat does not give it back" >&2
    failures=$((failures + 1))
  fi
done
ingest_stop

for i in "${!recordings[@]}"; do
  verdict=$("$build/htel-ingest" compare --db "$db" --device "${devices[i]}" --recording "${recordings[i]}" \
    --summary "$work/${devices[i]}.json") || failures=$((failures + 1))
  printf '%s: %s\n' "$(basename "${recordings[i]}")" "$(printf '%s\n' "$verdict" | head -n 1)"
done
"$build/htel-ingest" audit --db "$db" >"$work/audit" || { cat "$work/audit"; failures=$((failures + 1)); }
echo "corpus: ${#recordings[@]} recordings, $failures failures"
[ "$failures" = 0 ]
