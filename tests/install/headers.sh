#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# headers.sh CC CXX INCLUDE_DIR... - every header of these directories compiles alone, included
# twice, as C11 and as C++17, with the project's warnings as errors.
set -uo pipefail
cc=$1 cxx=$2
shift 2
warnings=(-fsyntax-only -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef
  -Werror)
includes=()
for dir in "$@"; do includes+=("-I$dir"); done
# System headers of other projects are not ours to warn about.
count=0 failed=0
for dir in "$@"; do
  while IFS= read -r header; do
    name=${header#"$dir"/}
    count=$((count + 1))
    for language in c c++; do
      if [ $language = c ]; then compile=("$cc" -std=c11 -D_GNU_SOURCE -Wmissing-prototypes)
      else compile=("$cxx" -std=c++17 -D_GNU_SOURCE); fi
      if ! printf '#include "%s"\n#include "%s"\nint main(void) { return 0; }\n' "$name" "$name" |
        "${compile[@]}" "${warnings[@]}" "${includes[@]}" -x $language -; then
        echo "$name does not compile alone as $language"
        failed=$((failed + 1))
      fi
    done
  done < <(find "$dir" -name '*.h' | sort)
done
[ $count -gt 0 ] || { echo "no headers in $*"; exit 1; }
echo "$count headers, $failed failures"
[ $failed -eq 0 ]
