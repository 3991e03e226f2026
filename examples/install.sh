#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# install.sh [build|mcu|test|cross] - installs the Debian packages that are missing, and only those.
#
#   build  (default) what it takes to build everything and to run quickstart.sh
#   mcu    that, and what it takes to run examples/mcu/run.sh
#   test   what build installs, and what tests need that run on this machine
#   cross  that, and what tests need that are built for others: compilers, emulators, and what reads
#          the descriptions of Zephyr and ESP-IDF (all that tests/run.sh needs)
#
# Debian 12. As root, or with sudo. Where nothing is missing it does nothing and needs neither.
set -euo pipefail

packages_build=(
  gcc g++ libc6-dev cmake ninja-build pkg-config
  libmbedtls-dev libpaho-mqtt-dev zlib1g-dev libsqlite3-dev libcjson-dev libssl-dev libcmocka-dev
  nanopb libnanopb-dev protobuf-compiler python3 libinih-dev libjs-chart.js
  mosquitto openssl sqlite3 ca-certificates
)
packages_mcu=(gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm)
packages_test=(
  clang clang-format-14 valgrind mosquitto-clients rabbitmq-server bzip2 git make xz-utils procps
  "${packages_mcu[@]}" libpcap-dev libclang-rt-14-dev
  libflac-dev libzstd-dev liblzma-dev libck-dev nodejs spin chromium
)
packages_cross=(
  gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf
  qemu-system-misc qemu-user gcc-s390x-linux-gnu libc6-dev-s390x-cross
  python3-yaml python3-kconfiglib
)

log=
policy=
running= # process id of an apt-get at work

fail() { echo "install: $*" >&2; exit 1; }

# apt-get is never cut off in the middle: that could leave packages half installed.
clean_up() {
  if [ -n "$running" ]; then
    echo "install: waiting for apt-get to come to its end" >&2
    wait "$running" || true
  fi
  [ -z "$log" ] || rm -f "$log"
  [ -z "$policy" ] || $as_root rm -f "$policy"
}

is_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Runs a command with its output in the log, three times at most; dots show that it is alive.
run_quietly() {
  local what=$1 try pid ticks
  shift
  for try in 1 2 3; do
    [ "$try" = 1 ] || sleep $((try * 3))
    printf 'install: %s ' "$what"
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    running=$pid
    ticks=0
    while kill -0 "$pid" 2>/dev/null; do
      sleep 0.2
      ticks=$((ticks + 1))
      [ $((ticks % 10)) != 0 ] || printf .
    done
    if wait "$pid"; then
      running=
      echo ' done'
      return 0
    fi
    running=
    echo ' failed'
  done
  tail -n 25 "$log" >&2
  return 1
}

# Debian starts a broker when it installs one. Ours are started by hand, so no service is wanted.
forbid_services() {
  [ ! -e /usr/sbin/policy-rc.d ] || return 0
  policy=/usr/sbin/policy-rc.d
  printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
  $as_root chmod 755 "$policy"
}

case ${1:-build} in
  build) wanted=("${packages_build[@]}") ;;
  mcu) wanted=("${packages_build[@]}" "${packages_mcu[@]}") ;;
  test) wanted=("${packages_build[@]}" "${packages_test[@]}") ;;
  cross) wanted=("${packages_build[@]}" "${packages_test[@]}" "${packages_cross[@]}") ;;
  -h|--help) sed -n '3,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) fail "usage: install.sh [build|mcu|test|cross]" ;;
esac

command -v dpkg-query >/dev/null ||
  fail "this is not Debian. Install what is there called: ${wanted[*]}"
missing=()
for package in "${wanted[@]}"; do
  is_installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null ||
    fail "as root, please:  apt-get install --no-install-recommends ${missing[*]}"
  as_root=sudo
  sudo -v || fail "sudo is needed to install: ${missing[*]}"
fi

log=$(mktemp)
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120
     -o Dpkg::Use-Pty=0)

echo "install: missing: ${missing[*]}"
run_quietly "reading the package lists" $as_root "${apt[@]}" update ||
  fail "the package lists cannot be read: check the network and /etc/apt"
forbid_services
run_quietly "installing ${#missing[@]} packages" \
  $as_root "${apt[@]}" install -y --no-install-recommends "${missing[@]}" ||
  fail "apt-get could not install: ${missing[*]}"
