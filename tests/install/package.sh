#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# package.sh SOURCE BUILD CC CXX - the first program of README.md against the installed tree.
#
# Installs, moves the tree elsewhere (a package must not know where it was built), builds the
# program in C11 and C++17 with CMake and with pkg-config, and runs all four: with no broker there
# they must say so and end, with a broker they must deliver.
set -euo pipefail
source=$1 build=$2 cc=$3 cxx=$4
dir=$(mktemp -d)
broker=
finish() {
  [ -z "$broker" ] || { kill "$broker" 2>/dev/null && wait "$broker" 2>/dev/null; } || true
  rm -rf "$dir"
}
trap finish EXIT
fail() { echo "package: $*" >&2; exit 1; }
quietly() { "$@" >"$dir/log" 2>&1 || { cat "$dir/log"; fail "failed: $*"; }; }

# ---- Install, and look for what should not be there -----------------------------------------

quietly cmake --install "$build" --prefix "$dir/first"
mv "$dir/first" "$dir/tree"
files=$(grep -rlF -e "$build" -e "$source" -e "$dir/first" "$dir/tree" --include='*.cmake' \
  --include='*.pc' --include='*.h' || true)
[ -z "$files" ] || fail "paths of the build in $files"

# ---- The program ----------------------------------------------------------------------------

awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$source/README.md" \
  >"$dir/first.c"
lines=$(grep -c '[^[:space:]]' "$dir/first.c" || true)
[ "$lines" -gt 0 ] || fail "README.md has no program"
[ "$lines" -le 20 ] || fail "the program of README.md has $lines lines, 20 were promised"
cp "$dir/first.c" "$dir/first.cc"

# ---- Four builds ----------------------------------------------------------------------------

quietly cmake -S "$source/tests/install/consumer" -B "$dir/cmake" -G Ninja \
  -DCMAKE_PREFIX_PATH="$dir/tree" -DPROGRAM_DIR="$dir" -DCMAKE_C_COMPILER="$cc" \
  -DCMAKE_CXX_COMPILER="$cxx"
quietly cmake --build "$dir/cmake"
PKG_CONFIG_PATH=$(dirname "$(find "$dir/tree" -name healthtel.pc)")
export PKG_CONFIG_PATH
read -ra flags <<<"$(pkg-config --cflags --libs healthtel-paho)"
[ "$(pkg-config --modversion healthtel)" = "$(sed -n 's/.*HTEL_VERSION "\(.*\)"/\1/p' \
  "$source/include/healthtel/healthtel.h")" ] || fail "healthtel.pc and HTEL_VERSION disagree"
quietly "$cc" -std=c11 -Wall -Werror -o "$dir/pc_c" "$dir/first.c" "${flags[@]}"
quietly "$cxx" -std=c++17 -Wall -Werror -o "$dir/pc_cc" "$dir/first.cc" "${flags[@]}"
programs=("$dir/cmake/first_c" "$dir/cmake/first_cc" "$dir/pc_c" "$dir/pc_cc")

# ---- Four runs without a broker, four with one ------------------------------------------------

cd "$dir"
quietly bash "$source/examples/certs.sh" "$dir" --days 2 --device first-device

run() { # run PROGRAM PORT: in a folder of its own, with its boot number; its status
  local name
  name=$(basename "$1")
  mkdir -p "$dir/$name.d"
  cp "$dir/ca.crt" "$dir"/first-device.* "$dir/$name.d"
  (cd "$dir/$name.d" && timeout 60 "$1" localhost "$2") >"$dir/$name.out" 2>&1
}
# A port that was free a moment ago.
free_port() {
  local port
  for port in $(shuf -i 20000-32000 -n 50); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  return 1
}
port=$(free_port)
pids=()
for program in "${programs[@]}"; do
  run "$program" "$port" &
  pids+=($!)
done
for i in "${!programs[@]}"; do
  name=$(basename "${programs[$i]}") status=0
  wait "${pids[$i]}" || status=$?
  { [ $status -eq 1 ] && grep -q 'deadline' "$name.out"; } ||
    { cat "$name.out"; fail "$name without a broker: status $status"; }
  echo "$name, no broker: $(cat "$name.out")"
done

mosquitto=$(PATH=$PATH:/usr/sbin command -v mosquitto) || { echo "no mosquitto: not run"; exit 0; }
port=$(free_port)
cat >broker.conf <<CNF
listener $port 127.0.0.1
cafile $dir/ca.crt
certfile $dir/broker.crt
keyfile $dir/broker.key
require_certificate true
use_identity_as_username true
CNF
[ "$(id -u)" != 0 ] || echo "user root" >>broker.conf # the keys are its owner's alone
"$mosquitto" -c broker.conf >broker.log 2>&1 &
broker=$!
for _ in $(seq 50); do
  (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
  sleep 0.1
done
for program in "${programs[@]}"; do
  name=$(basename "$program")
  run "$program" "$port" || { cat "$name.out" broker.log; fail "$name did not deliver"; }
  echo "$name, broker: $(cat "$name.out")"
done
