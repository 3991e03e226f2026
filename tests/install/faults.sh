#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# faults.sh ROOT BUILD - docs/TESTING.md has a row for each fault that is to be survived, and each test
# that it names there is one of this build.
set -uo pipefail
section='Every fault, and where it is tested'
rows_wanted=19

table=$(awk -v head="## $section" '$0 == head { on = 1; next } /^## / { on = 0 } on && /^\| /' \
  "$1/docs/TESTING.md" | tail -n +2)
rows=$(grep -c . <<<"$table")
known=$(ctest --test-dir "$2" -N | sed -n 's/^ *Test *#[0-9]*: //p')
[ -n "$known" ] || { echo "no tests in $2"; exit 1; }

failed=0
[ "$rows" -eq "$rows_wanted" ] ||
  { echo "docs/TESTING.md, '$section': $rows rows, not $rows_wanted"; failed=1; }
while IFS='|' read -r _ fault tests _; do
  names=$(grep -oE '`[a-z]+\.[a-z0-9_]+`' <<<"$tests" | tr -d '`')
  [ -n "$names" ] || { echo "no test for:$fault"; failed=1; }
  for name in $names; do
    grep -qxF "$name" <<<"$known" || { echo "there is no test $name, named for:$fault"; failed=1; }
  done
done <<<"$table"
echo "$rows faults, $(grep -oE '`[a-z]+\.[a-z0-9_]+`' <<<"$table" | sort -u | wc -l) tests"
exit $failed
