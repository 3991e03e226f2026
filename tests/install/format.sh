#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# format.sh CLANG_FORMAT ROOT [--fix] - the layout of every C file is what .clang-format makes of
# it. Says where it is not; --fix rewrites the files.
set -euo pipefail
format=$1
cd "$2"
mapfile -t files < <(find include src ports examples tests -type f -name '*.[ch]' | sort)
if [ "${3:-}" = --fix ]; then
  "$format" -i "${files[@]}"
  exit
fi
failed=0
for file in "${files[@]}"; do
  places=$("$format" "$file" | diff "$file" - | grep -c '^[0-9]' || true)
  [ "$places" -eq 0 ] || { echo "$file: $places places"; failed=1; }
done
echo "${#files[@]} files"
exit $failed
