#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# mcu.sh BOARD DIR PEER - the conformance kit on the firmware's port (examples/mcu, with lwIP) on an
# emulated BOARD, an386 or lm3s: two runs over one flash, the second after a restart.
#
# Builds in DIR/BOARD. Exit status 77: a compiler or the emulator is not installed. The sources of
# lwIP, mbedTLS, nanopb and zlib are fetched into DIR/sources (ports/cmake/fetch_sources.sh), or
# taken from HEALTHTEL_SOURCES.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
board=$1 dir=$2 peer=$3
case $board in
  an386) machine=(-M mps2-an386 -nic user,model=lan9118) ;;
  lm3s) machine=(-M lm3s6965evb -nic user,model=stellaris) ;;
  *) echo "mcu: no such board: $board" >&2; exit 2 ;;
esac
for tool in arm-none-eabi-gcc qemu-system-arm; do
  command -v "$tool" >/dev/null || {
    echo "mcu: skipped: there is no $tool (examples/install.sh cross installs it)"
    exit 77
  }
done
fail() { echo "mcu: $*" >&2; exit 1; }

build=$dir/$board
mkdir -p "$build"
sources=${HEALTHTEL_SOURCES:-$dir/sources}
bash "$root/ports/cmake/fetch_sources.sh" "$sources" lwip mbedtls nanopb zlib
{ cmake -S "$root/examples/mcu" -B "$build" -G Ninja -DBOARD="$board" -DLWIP_ROOT="$sources/lwip" \
  -DMBEDTLS_ROOT="$sources/mbedtls" -DNANOPB_ROOT="$sources/nanopb" -DZLIB_ROOT="$sources/zlib" &&
  cmake --build "$build" --parallel 2 --target kit; } >"$build/build.log" 2>&1 ||
  { tail -n 60 "$build/build.log" >&2; fail "the build failed"; }

work=$(mktemp -d)
peer_id=
finish() {
  [ -z "$peer_id" ] || { kill "$peer_id" && wait "$peer_id"; } 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
"$peer" 127.0.0.1 0 >"$work/peer" &
peer_id=$!
for _ in $(seq 100); do
  grep -q port "$work/peer" && break
  sleep 0.05
done
port=$(sed 's/.* port //' "$work/peer")
[ -n "$port" ] || fail "the peer does not start"

for run in first again; do # "first" means nothing to it
  status=0
  timeout 120 qemu-system-arm "${machine[@]}" -nographic -monitor none -serial none \
    -semihosting-config "enable=on,target=native,arg=kit,arg=port=$port,arg=flash=$work/nor,arg=$run" \
    -kernel "$build/kit.elf" >"$work/$run" 2>&1 </dev/null || status=$?
  if [ $status -ne 0 ]; then
    cat "$work/$run"
    fail "$board, $run run: status $status"
  fi
  grep -E '^(clock.rate|flash.time|net.calls|client|stack|port:)' "$work/$run"
done
