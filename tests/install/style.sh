#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# style.sh ROOT - what every file of the project has to look like, as far as a machine can see it.
# (The layout of C files is clang-format's business: the test form.format.)
set -uo pipefail
cd "$1" || exit 1
failed=0

report() { # report WHAT HITS
  [ -n "$2" ] || return 0
  printf '%s:\n%s\n' "$1" "$2"
  failed=1
}

mapfile -t code < <(find include src ports examples tests .ci -type f \
  \( -name '*.[ch]' -o -name '*.cc' -o -name '*.sh' -o -name '*.py' -o -name '*.mjs' -o -name '*.cmake' \
  -o -name '*.pml' -o -name '*.proto' -o -name '*.options' -o -name CMakeLists.txt -o -path .ci/run \) | sort)
mapfile -t prose < <(find docs ./*.md examples -name '*.md' -type f | sort)
[ ${#code[@]} -gt 20 ] || { echo "only ${#code[@]} source files found in $1"; exit 1; }

report 'No SPDX line at the top' "$(for f in "${code[@]}"; do
  head -n 2 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$f"; done)"
report 'Tabs' "$(grep -lP '\t' "${code[@]}")"
report 'Blanks at the end of a line' "$(grep -nE ' +$' "${code[@]}" | head)"
report 'Carriage returns' "$(grep -l $'\r' "${code[@]}" "${prose[@]}")"
report 'No newline at the end' "$(for f in "${code[@]}" "${prose[@]}"; do
  [ -z "$(tail -c 1 "$f")" ] || echo "$f"; done)"
report 'Lines over 100 columns (120 in scripts)' "$(for f in "${code[@]}"; do
  awk -v f="$f" 'length > (f ~ /\.sh$/ ? 120 : 100) { print f ":" FNR }' "$f"; done | head)"
report 'Files over 700 lines: more than one idea?' "$(for f in "${code[@]}"; do
  n=$(wc -l <"$f"); [ "$n" -le 700 ] || echo "$f: $n"; done)"
# Written so that this file does not find itself.
# ports/template is left open on purpose: its marks say what a porter fills in (test port.template).
report 'Left open' "$(grep -nE 'TOD[O]|FIXM[E]|\bXX[X]\b|\bHAC[K]\b' "${code[@]}" "${prose[@]}" |
  grep -v '^ports/template/port_template\.c:' | head)"
report 'Paths of one machine' \
  "$(grep -nE '(^|[^a-zA-Z0-9_.$}])/(wor[k]|roo[t]|hom[e]|tm[p]/b-)' "${code[@]}" "${prose[@]}" | head)"
report 'Hosts of package registries' \
  "$(grep -nE 'de[b]\.debian\.org|pyp[i]\.org|registry\.np[m]js' "${code[@]}" "${prose[@]}" | head)"
report 'Not at the top level' "$(find . -mindepth 1 -maxdepth 1 -type d ! -name .git ! -name .ci \
  ! -name include ! -name src ! -name ports ! -name examples ! -name tests ! -name docs \
  ! -name zephyr ! -name 'build*' ! -name .cache)"

echo "${#code[@]} source files, ${#prose[@]} documents"
exit $failed
