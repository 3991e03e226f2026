#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# coverage.sh SOURCE BUILD GCOV - runs the tests of a coverage build and prints the lines reached,
# by file.
set -euo pipefail
source=$1 build=$2 gcov=$3
cd "$build"
find . -name '*.gcda' -delete
status=0
ctest --output-on-failure --parallel 2 || status=$?
find . -path '*healthtel*' -name '*.gcda' ! -path '*bench*' ! -path '*generated*' -exec \
  "$gcov" --no-output --relative-only --source-prefix "$source" {} + 2>/dev/null | awk '
    /^File / { file = $2; gsub(/\x27/, "", file) }
    /^Lines executed:/ && file != "" {
      split($0, part, /[:% ]+/)
      reached[file] = part[3]; lines[file] = part[5]; file = ""
    }
    END {
      for (file in lines) {
        printf "%6.1f %% of %4d lines  %s\n", reached[file], lines[file], file | "sort -k6"
        all += lines[file]; hit += lines[file] * reached[file] / 100
      }
      close("sort -k6")
      if (all) printf "%6.1f %% of %4d lines  in all\n", 100 * hit / all, all
    }'
exit $status
