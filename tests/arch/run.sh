#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh MACHINE DIR FRAMES - the core on another machine, emulated.
#
#   m4      Cortex-M4 without an operating system (newlib, qemu-system-arm)
#   rv32    RISC-V rv32imac, the same (picolibc, qemu-system-riscv32)
#   s390x   Linux on a big-endian machine of 64 bits (glibc, qemu-s390x)
#
# Builds the core at -Os, its unit tests and frames.c in DIR/MACHINE, runs the tests there, and
# compares what frames.c prints there, byte for byte, with what FRAMES, the same program built for
# this machine, prints. Exit status 77: a compiler or an emulator is not installed. The sources of
# cmocka, nanopb and zlib are fetched into DIR/sources (ports/cmake/fetch_sources.sh), or taken from
# HEALTHTEL_SOURCES.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..

fail() { echo "arch: $*" >&2; exit 1; }

case $#:${1:-} in
  3:m4) tools=(arm-none-eabi-gcc qemu-system-arm) toolchain=$root/ports/cmake/cortex_m4.cmake ;;
  3:rv32)
    tools=(riscv64-unknown-elf-gcc qemu-system-riscv32) toolchain=$root/ports/cmake/rv32imac.cmake
    ;;
  3:s390x) tools=(s390x-linux-gnu-gcc qemu-s390x) toolchain=$here/s390x.cmake ;;
  *) sed -n '3,/^set/ { /^#/ s/^# \{0,1\}//p }' "$0" >&2; exit 2 ;;
esac
machine=$1 dir=$2 frames=$3
for tool in "${tools[@]}"; do
  command -v "$tool" >/dev/null || {
    echo "arch: skipped: there is no $tool (examples/install.sh cross installs it)"
    exit 77
  }
done

build=$dir/$machine
mkdir -p "$build"
sources=${HEALTHTEL_SOURCES:-$dir/sources}
"$frames" >"$build/frames_host.txt" </dev/null || fail "frames.c failed here"
bash "$root/ports/cmake/fetch_sources.sh" "$sources" cmocka nanopb zlib
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=MinSizeRel -DHEALTHTEL_ARCH_TESTS=ON \
  -DCMAKE_TOOLCHAIN_FILE="$toolchain" -DHEALTHTEL_ARCH_FRAMES="$build/frames_host.txt" \
  -DCMOCKA_ROOT="$sources/cmocka" -DNANOPB_ROOT="$sources/nanopb" -DZLIB_ROOT="$sources/zlib" \
  >"$build/configure.log" 2>&1 ||
  { cat "$build/configure.log" >&2; fail "$machine: cmake failed"; }
cmake --build "$build" --parallel 2 >"$build/build.log" 2>&1 ||
  { tail -n 60 "$build/build.log" >&2; fail "$machine: the build failed"; }
ctest --test-dir "$build" --parallel 2 --timeout 240 --output-on-failure </dev/null
grep -c '^frame ' "$build/frames_host.txt" |
  sed "s/^/arch: machine=$machine identical_frames=/"
