#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# compare.sh FILE COMMAND... - passes when COMMAND prints, on whichever stream, what is in FILE.
set -euo pipefail
expected=$1
shift
printed=$(mktemp)
trap 'rm -f "$printed"' EXIT
"$@" >"$printed" 2>&1 </dev/null || { tail -n 3 "$printed"; exit 1; }
[ "$(tail -n 1 "$printed")" = end ] || { echo "it did not come to its end"; exit 1; }
cmp "$expected" "$printed" || {
  diff "$expected" "$printed" | head -n 6 | cut -c 1-100
  line=$(diff "$expected" "$printed" | sed -n '1s/[^0-9].*//p')
  head -n "$line" "$expected" | grep '^run' | tail -n 1
  exit 1
}
