#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# amalgamation.sh SOURCE BUILD CC CXX - the core in two files, made, compiled and run.
#
# Made by the target `amalgamation`; compiled alone with the project's warnings as errors, at each
# choice of options, by each C compiler there is; its header as C++; and in the place of the library
# under unit tests that know nothing of it.
set -euo pipefail
source=$1 build=$2 cc=$3 cxx=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "amalgamation: $*" >&2; exit 1; }
quietly() { "$@" >"$dir/log" 2>&1 || { tail -n 40 "$dir/log"; fail "failed: $*"; }; }

quietly cmake --build "$build" --target amalgamation
cp "$build/amalgamation/healthtel.c" "$build/amalgamation/healthtel.h" "$dir"
! grep -nF -e "$source" -e "$build" "$dir/healthtel.c" "$dir/healthtel.h" || fail "paths of the build"
! grep -n '#include "' "$dir/healthtel.h" || fail "healthtel.h includes files of the project"
[ "$(grep -c '#include "' "$dir/healthtel.c")" = 1 ] || fail "healthtel.c includes files of the project"

warnings=(-Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wcast-qual -Wundef -Wvla
  -Wmissing-prototypes -Werror)
compilers=("$cc")
case $("$cc" --version) in
  *clang*) other=gcc ;;
  *) other=$(command -v clang-14 || echo clang) ;;
esac
! command -v "$other" >/dev/null || compilers+=("$other")
count=0
for compiler in "${compilers[@]}"; do
  for options in "" "-DHEALTHTEL_BEST=1" "-DHEALTHTEL_ZLIB=1" "-DHEALTHTEL_BEST=1 -DHEALTHTEL_ZLIB=1"; do
    read -ra defines <<<"$options"
    quietly "$compiler" -std=c11 -O1 "${warnings[@]}" "${defines[@]}" -c "$dir/healthtel.c" \
      -o "$dir/healthtel.o"
    count=$((count + 1))
  done
done
# Ports include the headers one by one: before it, behind it.
printf '#include "healthtel.h"\n#include "healthtel/port.h"\n#include "healthtel/healthtel.h"\n' \
  >"$dir/after.h"
printf '#include "healthtel/port.h"\n#include "healthtel.h"\n#include "healthtel.h"\n' >"$dir/before.h"
for header in healthtel.h after.h before.h; do
  quietly "$cxx" -std=c++17 -fsyntax-only "${warnings[@]:0:7}" -Wpedantic -Werror -I"$source/include" \
    -x c++ "$dir/$header"
done

# The last object has all options. Unit tests look into the library; they find its names in there.
quietly "$cc" -std=c11 -O1 -DHEALTHTEL_BEST=1 -DHEALTHTEL_ZLIB=1 -c "$dir/healthtel.c" -o "$dir/all.o"
cd "$source/tests/unit"
tests=(
  "test_client.c fake.c" "test_delivery.c fake.c" "test_code.c code_fixture.c"
  "test_decode.c code_fixture.c hostile.c" "test_model.c code_fixture.c hostile.c"
  "test_store.c ../../ports/sim/flash_sim.c" "test_restart.c fake.c ../../ports/sim/flash_sim.c"
)
read -ra cmocka <<<"$(pkg-config --cflags --libs cmocka)"
for test in "${tests[@]}"; do
  read -ra files <<<"$test"
  quietly "$cc" -std=gnu11 -O1 -w -DHEALTHTEL_BEST=1 -DHEALTHTEL_ZLIB=1 -I"$source/src" \
    -I"$source/include" -I"$build/generated" -I. "${files[@]}" "$dir/all.o" -o "$dir/test" \
    "${cmocka[@]}" -lprotobuf-nanopb -lz -lpthread
  quietly timeout 100 "$dir/test"
done
# And a user's program, which has the header alone.
mkdir "$dir/healthtel"
cp "$dir/healthtel.h" "$dir/healthtel/healthtel.h"
quietly "$cc" -std=c11 -Wall -Werror -I"$dir" "$source/tests/install/parent/parent.c" "$dir/all.o" \
  -o "$dir/parent" -lprotobuf-nanopb -lz
echo "amalgamation: $(wc -l <"$dir/healthtel.c") lines, $count compilations, ${#tests[@]} unit tests," \
  "a program: $("$dir/parent")"
