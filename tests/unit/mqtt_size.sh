#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# mqtt_size.sh ARM-CC SOURCE - code of ports/mqtt on Cortex-M4 at -Os, and what one session takes.
set -euo pipefail
cc=$1 source=$2
limit=5120
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
flags=(-mcpu=cortex-m4 -mthumb -Os -std=c11 -I"$source/include" -I"$source/ports/mqtt")
total=0
for name in mqtt_packet htel_mqtt; do
  "$cc" "${flags[@]}" -c "$source/ports/mqtt/$name.c" -o "$dir/$name.o"
  read -r text data bss _ < <("${cc%gcc}size" "$dir/$name.o" | tail -n 1)
  echo "$name: $text bytes of code and constants"
  [ "$((data + bss))" -eq 0 ] || { echo "$name has $((data + bss)) bytes of static data"; exit 1; }
  total=$((total + text))
done
printf '#include "htel_mqtt.h"\nchar session[sizeof(htel_mqtt)], stream[sizeof(htel_stream)];\n' \
  >"$dir/state.c"
"$cc" "${flags[@]}" -c "$dir/state.c" -o "$dir/state.o"
symbol() { "${cc%gcc}nm" -S "$dir/state.o" | awk -v n="$1" '$4 == n { print $2 }'; }
state=$((16#$(symbol session) - 16#$(symbol stream)))
echo "ports/mqtt: $total bytes of code (limit $limit), $state bytes of state beyond the stream (256)"
[ "$total" -le "$limit" ] && [ "$state" -le 256 ]
