#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# figures.sh [--check] [HTEL_BENCH] - makes the figures of `htel-bench codec` in the documents again.
#
#   docs/SIZES.md   the tables between <!-- codec --> and <!-- /codec -->
#   README.md       the line between the same marks
#   docs/codec.svg  the plot
#
# --check writes nothing: it fails when a figure there is more than 2 % off. HTEL_BENCH is
# build/htel-bench by default. The recordings are those in corpus/ of the folder that
# HEALTHTEL_SHARED names (default: ../shared); without them --check is skipped (exit status 77).
set -euo pipefail
cd "$(dirname "$0")/../.."

OFF_MAX=0.02
FRAMES_S='10 60'

fail() { echo "figures: $*" >&2; exit 1; }

check=false
if [ "${1:-}" = --check ]; then
  check=true
  shift
fi
[ $# -le 1 ] || fail 'usage: figures.sh [--check] [HTEL_BENCH]'
bench=${1:-build/htel-bench}
[ -x "$bench" ] || fail "$bench is not there: build it, or name it"

corpus=${HEALTHTEL_SHARED:-../shared}/corpus
shopt -s nullglob
recordings=("$corpus"/*.csv)
if [ ${#recordings[@]} -eq 0 ]; then
  echo "figures: no recordings in corpus/ of HEALTHTEL_SHARED or ../shared: nothing to compare" >&2
  $check && exit 77
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for frame_s in $FRAMES_S; do
  "$bench" codec --markdown --frame-s "$frame_s" --svg "$work/codec-$frame_s.svg" \
    "${recordings[@]}" >"$work/$frame_s.md" || fail "htel-bench codec --frame-s $frame_s failed"
done

# Speed differs from run to run: it is written down, not compared. (Its exit status tells of bars.)
speed() {
  { "$bench" core 2>/dev/null || true; } | awk '
    $2 == "is" && $4 == "times" && $5 == "packed" { times[$1] = $3 }
    END {
      if (!("poll" in times) || !("poll_best" in times)) exit 1
      printf "\nFrom `htel-bench core`: record to closed frame, `FAST` takes %s times and `BEST` %s " \
             "times as many\nreadings a second as nanopb packed sint32 with zlib (9,1).\n",
             times["poll"], times["poll_best"]
    }' || fail 'htel-bench core prints no ratios'
}

sizes() {
  for frame_s in $FRAMES_S; do
    [ "$frame_s" = 10 ] || echo
    cat "$work/$frame_s.md"
  done
}

# The column `waves` of the first table.
waves() { awk -F ' *[|] *' -v what="$1" 'index($2, what) { print $3; exit }' "$work/10.md"; }

headline() {
  cat <<END
Real ECG, PPG, pressure and acceleration take **$(waves BEST) bytes a sample**, lossless, in frames of 10 s
that stand alone; FLAC -8 $(waves FLAC), Sparkplug B deflated $(waves 'Sparkplug B, deflated'), JSON with
gzip -9 $(waves JSON) ([how it was measured](docs/SIZES.md#bytes-a-reading)).

![bytes a reading, beside other encoders](docs/codec.svg)
END
}

# What stands between the marks in a file.
block() { sed -n '/^<!-- codec -->$/,/^<!-- \/codec -->$/ p' "$1"; }

replace() { # replace FILE BLOCK
  grep -q '^<!-- codec -->$' "$1" && grep -q '^<!-- /codec -->$' "$1" ||
    fail "$1 lacks the lines <!-- codec --> and <!-- /codec -->"
  awk -v new="$2" '
    /^<!-- codec -->$/ { print; while ((getline line < new) > 0) print line; inside = 1 }
    /^<!-- \/codec -->$/ { inside = 0 }
    !inside' "$1" >"$work/new"
  cat "$work/new" >"$1"
}

numbers() { grep -oE '[0-9]+(\.[0-9]+)?' | cat; }
compared() { grep -v 'htel-bench core' | sed '/^readings a second as/d'; }
labels() { grep -oE '>[^<]*</text>' "$1"; }

same() { # same WHAT OLD NEW: files with a number a line
  [ "$(wc -l <"$2")" -eq "$(wc -l <"$3")" ] ||
    fail "$1 has other rows than the bench: run tests/bench/figures.sh"
  paste "$2" "$3" | awk -v max=$OFF_MAX -v what="$1" '
    { off = $1 > $2 ? $1 - $2 : $2 - $1; base = $2 > 0 ? $2 : 1 }
    off > max * base + 0.0005 {
      printf "figures: %s says %s, it is %s\n", what, $1, $2 > "/dev/stderr"; bad = 1
    }
    END { exit bad }' || stale=true
}

if $check; then
  stale=false
  block docs/SIZES.md | compared | numbers >"$work/old"
  sizes | numbers >"$work/new"
  same docs/SIZES.md "$work/old" "$work/new"
  block README.md | numbers >"$work/old"
  headline | numbers >"$work/new"
  same README.md "$work/old" "$work/new"
  labels docs/codec.svg | numbers >"$work/old"
  labels "$work/codec-10.svg" | numbers >"$work/new"
  same docs/codec.svg "$work/old" "$work/new"
  ! $stale || fail 'figures are stale: run tests/bench/figures.sh'
  echo 'figures: as they are'
else
  { sizes; speed; } >"$work/sizes"
  headline >"$work/headline"
  replace docs/SIZES.md "$work/sizes"
  replace README.md "$work/headline"
  cp "$work/codec-10.svg" docs/codec.svg
  echo 'figures: docs/SIZES.md, README.md and docs/codec.svg are written'
fi
