#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# template.sh SOURCE PEER CC FLAG... -- LIBRARY... - ports/template against the kit: filled in by
# filled.txt it passes, in two runs; with one function left as the template has it, the kit names
# that function.
set -euo pipefail
source=$1 peer=$2 cc=$3
shift 3
flags=()
while [ "$1" != -- ]; do flags+=("$1"); shift; done
shift
libraries=("$@")
here=$source/tests/port
dir=$(mktemp -d)
peer_id=
finish() {
  [ -z "$peer_id" ] || { kill "$peer_id" && wait "$peer_id"; } 2>/dev/null || true
  rm -rf "$dir"
}
trap finish EXIT
fail() { echo "template: $*" >&2; exit 1; }

"$peer" 127.0.0.1 0 >"$dir/peer" &
peer_id=$!
for _ in $(seq 100); do
  grep -q port "$dir/peer" && break
  sleep 0.05
done
port=$(sed 's/.* port //' "$dir/peer")
[ -n "$port" ] || fail "the peer does not start"

build() { # build NAME SKIP FLAG...: the program $dir/NAME/NAME
  local name=$1 skip=$2
  shift 2
  mkdir -p "$dir/$name"
  awk -v skip="$skip" -f "$here/fill.awk" "$here/filled.txt" "$source/ports/template/port_template.c" \
    >"$dir/$name/port.c" || fail "the template and filled.txt do not fit"
  "$cc" -std=c11 -D_GNU_SOURCE -DPORT_KIT -DPEER_PORT="$port" "$@" "${flags[@]}" -I"$here" \
    "$dir/$name/port.c" "${libraries[@]}" -o "$dir/$name/$name" || fail "$name does not build"
}
run() { (cd "$dir/$1" && timeout 100 "./$2") >"$dir/$1/out" 2>&1; }

# ---- Filled in -------------------------------------------------------------------------------

build filled none
run filled filled || { cat "$dir/filled/out"; fail "filled in, it does not pass"; }
build filled none -DPORT_KIT_AGAIN
run filled filled || { cat "$dir/filled/out"; fail "filled in, it does not pass after a reset"; }
tail -n 1 "$dir/filled/out"

# What may stay: the kit says what it means.
build wait wait '-DPORT_KIT_ONLY="wake"'
run wait wait || { cat "$dir/wait/out"; fail "without wait it fails"; }
grep -q 'the product polls all the time' "$dir/wait/out" || fail "nobody says that it does not sleep"

# ---- One function left out -------------------------------------------------------------------------

left_out=0
while read -r name only words; do
  build "$name" "$name" "-DPORT_KIT_ONLY=\"$only\""
  if run "$name" "$name"; then fail "without $name it passes"; fi
  grep -q "FAIL.*$words" "$dir/$name/out" ||
    { cat "$dir/$name/out"; fail "without $name nobody says: $words"; }
  left_out=$((left_out + 1))
done <<'TABLE'
tick_ms clock tick_ms() says 0 each time
random random random() is not filled in
boot_begin boot boot_begin() is not filled in
boot_end boot boot_end() is not filled in
utc utc utc() is not filled in
wake wake wake() just before wait() was lost
flash_read flash not filled in yet: flash_read\.
flash_program flash not filled in yet: flash_program\.
flash_erase flash not filled in yet: flash_erase
flash_sync flash not filled in yet: flash_sync\.
net_open net net_open is not filled in
net_step net transport.step() is not filled in
stream_read net stream.read() is not filled in
stream_write net stream.write() is not filled in
net_close net.close 5000 bytes were written, then close() was orderly
sleep clock.sleep sleep() did not sleep
interrupts clock.interrupt interrupts() called its handler 0 times
TABLE
echo "template: $left_out functions left out, each of them named"
