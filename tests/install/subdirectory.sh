#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# subdirectory.sh SOURCE CC - healthtel within another project, by add_subdirectory.
set -euo pipefail
source=$1 cc=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cmake -S "$source/tests/install/parent" -B "$dir" -G Ninja -DHEALTHTEL_SOURCE="$source" \
  -DCMAKE_C_COMPILER="$cc" >"$dir/log" || { cat "$dir/log"; exit 1; }
cmake --build "$dir" -j 2 >"$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/parent"
