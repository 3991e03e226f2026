#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [OPTION]... - firmware on an emulated microcontroller, from its ECG to a database.
#
#   recording -> healthtel ==TLS, MQTT, lwIP==> mosquitto ====> htel-ingest -> SQLite
#   Cortex-M in QEMU |
#                    +-- outbox on an emulated NOR flash (a file)
#
#   --board BOARD   an386 (Cortex-M4; default) or lm3s (Cortex-M3, 64 KB of RAM)
#   --seconds N     how long the second boot records, 5 to 3600 (default 12)
#   --seed N        when the broker is cut and the power fails (default: another one each time)
#   --json          the line before the last is a summary as JSON, with the instruction counts
#   --keep          leave the temporary directory (database, logs, flash) where it is
#
# Installs what is missing (Debian 12; as root or with sudo), fetches the sources of mbedTLS, lwIP,
# nanopb and zlib by name through apt, builds into build/ and build/mcu/BOARD, makes throw-away
# certificates, and starts a broker and an ingest on loopback. In its first boot the machine records
# while the broker is killed and started again, until its power fails at a random moment. In the
# second one, over the same flash, it delivers what is there and what it goes on recording, and ends.
# Then the database is compared with the recording, value by value and time by time. Last the loop is
# made late, to see what the ring holds, and the firmware's bench is run. All of it ends with the
# script.
#
# The last line is (here in two)
#   mcu: board=an386 recorded=N stored=N told=N lost=0 duplicates=0 mismatches=0
#        flash=N ram_static=N tls_heap=N stack_peak=N
# and the exit status is 0 only when it says so. `told` are readings that were in RAM when the power
# failed, and that a loss record tells of; `lost` are those that none does.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
host_is_built=${build:+yes} # a test says where
build=${build:-$root/build}
keep=
. "$root/examples/lib.sh"

BUILD_S_MAX=1200   # for each step of the build,
BOOT_S_MAX=120     # from power to the first frame stored,
DELIVER_S_MAX=180  # from the end of recording to the last receipt,
RING_S_MAX=180     # for five seconds of recording and a reset,
BENCH_S_MAX=180    # and for the bench, on a machine that has much else to do
OUTAGE_S=4
RING_HOLDS_MS=200 # the ring of the ECG is half full after 300 ms at least
RING_FULL_MS=1500

device=mcu-1
board=an386 seconds=12 seed=$RANDOM json=
usage() { sed -n '/^# run.sh/,/^set/ { /^#/ s/^# \{0,1\}//p }' "$0"; }
refuse() { echo "mcu: $* (--help tells the options)" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --board) board=${2:-}; shift ;;
    --seconds) seconds=${2:-}; shift ;;
    --seed) seed=${2:-}; shift ;;
    --json) json=yes ;;
    --keep) keep=yes ;;
    -h | --help) usage; exit 0 ;;
    *) refuse "unknown option $1" ;;
  esac
  shift || refuse "the last option wants a value"
done
[[ $seconds =~ ^[0-9]{1,4}$ ]] && [ "$seconds" -ge 5 ] && [ "$seconds" -le 3600 ] ||
  refuse "--seconds wants 5 to 3600"
[[ $seed =~ ^[0-9]{1,9}$ ]] || refuse "--seed wants a number"
case $board in
  an386) machine=(-M mps2-an386 -nic user,model=lan9118) ;;
  lm3s) machine=(-M lm3s6965evb -nic user,model=stellaris) ;;
  *) refuse "--board wants an386 or lm3s" ;;
esac
RANDOM=$seed

say() { printf '[%3d s] %s\n' $SECONDS "$*"; }
pause_random() { # MAX: up to so many seconds
  sleep "$(awk -v r="$RANDOM" -v max="$1" 'BEGIN { print max * r / 32768 }')"
}

# Ends everything that was started, with what is known of it.
fail() {
  echo "mcu: $*" >&2
  if [ -s "$work/fw.log" ]; then
    echo "mcu: the firmware's last words:" >&2
    tail -n 3 "$work/fw.log" >&2
  fi
  lib_fail "failed: --board $board --seed $seed cuts at the same moments, --keep leaves the logs"
}

run_long() { # WHAT COMMAND...
  local what=$1
  shift
  say "$what"
  timeout "$BUILD_S_MAX" "$@" >"$work/build.log" 2>&1 </dev/null &
  process_note $!
  process_wait $! || { tail -n 30 "$work/build.log" >&2; fail "$what failed"; }
}

# ---- Firmware and host tools -------------------------------------------------------------------

build_all() {
  local sources=${HEALTHTEL_SOURCES:-$build/sources} out=$build/mcu/$board
  "$root/examples/install.sh" mcu || exit 1
  run_long 'fetching sources' bash "$root/ports/cmake/fetch_sources.sh" "$sources" \
    mbedtls lwip nanopb zlib
  if [ -z "$host_is_built" ]; then
    cd "$root" || exit 1
    run_long 'configuring the host' cmake --preset release
    run_long 'building the host' cmake --build --preset release --target htel-ingest htel-cat
  fi
  run_long "configuring the firmware for $board" cmake -S "$here" -B "$out" -G Ninja \
    -DBOARD="$board" -DMBEDTLS_ROOT="$sources/mbedtls" -DLWIP_ROOT="$sources/lwip" \
    -DNANOPB_ROOT="$sources/nanopb" -DZLIB_ROOT="$sources/zlib"
  run_long 'building the firmware' cmake --build "$out" --target fw
  firmware=$out/fw.elf
}

# ---- The machine -------------------------------------------------------------------------------

# An instruction takes 16 ns, and no second of the machine is shorter than one of the host: the dates
# of what it records are compared with the host's.
CLOCK=shift=4,align=on
ALONE_CLOCK=shift=4,sleep=off # the host's time does not come into it
BENCH_CLOCK=shift=10          # 1,024 ns: the board's timers count instructions

machine_pid=
channels=(ecg pulse spo2 resp alarm)

# Time is what instructions take, so nothing is lost when the host is busy.
# machine_start CLOCK QEMU_OPTION... -- ARGUMENT...
machine_start() {
  local clock=$1 options=() arguments=arg=fw argument
  shift
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  for argument in "$@"; do arguments+=,arg=$argument; done
  : >"$work/fw.out"
  qemu-system-arm "${machine[@]}" -nographic -monitor none -serial none \
    -icount "$clock" "${options[@]}" \
    -semihosting-config "enable=on,target=native,$arguments" -kernel "$firmware" \
    >"$work/fw.out" 2>&1 </dev/null &
  machine_pid=$!
  process_note $machine_pid
}

# What the firmware has printed: other lines are the emulator's own.
machine_lines() { grep -ao "$1: .*" "$work/fw.out"; }

machine_wait() { # SECONDS: until it ends by itself
  if ! wait_until "$1" machine_gone; then
    machine_lines fw >>"$work/fw.log"
    fail "the machine did not come to its end within $1 s"
  fi
  local status=0
  process_wait "$machine_pid" || status=$?
  cat "$work/fw.out" >>"$work/fw.log"
  return $status
}
machine_gone() { ! process_alive "$machine_pid"; }

network_arguments() {
  printf '%s\n' port="$broker_port" dir="$certs" device="$device" flash="$work/nor"
}

frames_stored() { sqlite3 -readonly "$db" 'SELECT count(*) FROM frames' 2>/dev/null || echo 0; }
frames_stored_at_least() { [ "$(frames_stored)" -ge "$1" ] || machine_gone; }

value() { sed -n "s/.*[ ]$1=\([^ ]*\).*/\1/p" <<<" $2"; } # value KEY LINE

# ---- First boot: broker and power fail -----------------------------------------------------------

first_boot() {
  local arguments address words word refused=0 counts= i
  mapfile -t arguments < <(network_arguments)
  address=$(arm-none-eabi-nm "$firmware" | awk '$3 == "device_counted" { print $1 }')
  [ -n "$address" ] || fail "the firmware has no device_counted"
  say 'first boot'
  machine_start $CLOCK -qmp "unix:$work/qmp,server=on,wait=off" -- "${arguments[@]}" seconds=3600
  wait_until "$BOOT_S_MAX" frames_stored_at_least 2 && ! machine_gone ||
    { cat "$work/fw.out" >"$work/fw.log"; fail "no frame came within $BOOT_S_MAX s"; }
  pause_random 5
  broker_kill
  say "broker killed, $(frames_stored) frames stored"
  sleep "$OUTAGE_S"
  broker_start
  pause_random 8
  words=$(python3 "$here/cut_power.py" "$work/qmp" "$address" 10) ||
    fail "the power could not be cut"
  process_kill "$machine_pid"
  words=($words) # accepted of each channel, refused of each
  for i in 0 1 2 3 4; do counts+=${channels[i]}=${words[i]},; done
  for word in "${words[@]:5}"; do refused=$((refused + word)); done
  first=1:cut:${counts}refused=$refused
  "$build/htel-cat" --store "$work/nor" --json >"$work/flash.json" ||
    fail "the flash cannot be read"
  cat "$work/fw.out" >"$work/fw.log"
  say "power cut, $(frames_stored) frames stored"
}

# ---- Second boot: over the same flash ------------------------------------------------------------

second_boot() {
  local arguments counts= name
  mapfile -t arguments < <(network_arguments)
  say 'second boot'
  machine_start $CLOCK -- "${arguments[@]}" seconds="$seconds" drop=5
  machine_wait $((BOOT_S_MAX + DELIVER_S_MAX + 4 * seconds)) ||
    fail "the firmware ended with status $?"
  line=$(machine_lines fw | grep ' end=' | tail -n 1)
  [ "$(value end "$line")" = closed ] && [ "$(value boot "$line")" = 2 ] ||
    fail "the second boot did not end as it should"
  [ "$(value nor_programmed_twice "$line")" = 0 ] || fail "flash was programmed that was not erased"
  for name in "${channels[@]}" refused; do counts+=,$name=$(value "$name" "$line"); done
  second=2:closed:${counts#,}
}

# ---- The ring ----------------------------------------------------------------------------------

# Half a ring must do until the loop has come, which is the longest htel_poll. With a pass of the loop
# made longer than that a time, it still does; with one made longer than the ring, readings are
# refused, which are counted. No broker; the machine resets when it has recorded.
ring() {
  local arguments stall_ms refused
  mapfile -t arguments < <(network_arguments)
  say 'making the loop late'
  for stall_ms in $RING_HOLDS_MS $RING_FULL_MS; do
    rm -f "$work/nor"
    machine_start $ALONE_CLOCK -no-reboot -- "${arguments[@]}" reset=5 stall="$stall_ms"
    machine_wait "$RING_S_MAX" || fail "the firmware ended with status $?"
    refused=$(value refused "$(machine_lines fw | grep ' end=' | tail -n 1)")
    echo "ring: stall_ms=$stall_ms refused=$refused"
    if [ $stall_ms = $RING_HOLDS_MS ]; then
      [ "$refused" = 0 ] || fail "the ring is too small for a pass of $stall_ms ms"
    else
      [ "$refused" -gt 0 ] || fail "nothing was refused although the loop stood still"
    fi
  done
}

# ---- The bench ---------------------------------------------------------------------------------

bench() {
  say 'counting instructions'
  machine_start $BENCH_CLOCK -- bench
  machine_wait "$BENCH_S_MAX" || fail "the bench ended with status $?"
  machine_lines bench
}

# ---- All of it ---------------------------------------------------------------------------------

work_begin mcu
: >"$work/fw.log"
build_all
certs_make "$device"
broker_start
ingest_start
ingest_ready || lib_fail "the ingest did not come up: $(tail -n 2 "$work/ingest.log")"
from_s=$(date +%s)
first_boot
second_boot
ingest_stop
say 'comparing'
status=0
compared=$(python3 "$here/compare.py" "$db" "$device" \
  "$root/examples/monitor/recordings/mitdb208_60s.csv" "$work/flash.json" "$from_s" \
  "$first" "$second") || status=1
[ -n "$compared" ] || fail "the database could not be compared"
"$build/htel-ingest" audit --db "$db" --device "$device" >"$work/audit.txt" 2>&1 || {
  cat "$work/audit.txt" >&2
  status=1
}
broker_stop
ring
bench_lines=$(bench) || exit 1
printf '%s\n' "$bench_lines"
echo "$line"

summary=$(python3 - "$board" "$seed" "$compared" "$line" "$bench_lines" <<'PYTHON'
import json, sys
board, seed, compared, line, bench = sys.argv[1:]
def pairs(text):
    found = dict(word.split("=", 1) for word in text.split() if "=" in word)
    return {k: int(v) if v.lstrip("-").isdigit() else v for k, v in found.items()}
summary = {"board": board, "seed": int(seed)} | json.loads(compared)
summary["firmware"] = pairs(line)
summary["bench"] = [pairs(text) for text in bench.split("\n") if text.startswith("bench:")]
print(json.dumps(summary))
PYTHON
) || fail "no summary"
[ -z "$json" ] || echo "$summary"
python3 - "$summary" <<'PYTHON'
import json, sys
s = json.loads(sys.argv[1])
keys = ("board", "recorded", "stored", "told", "lost", "duplicates", "mismatches")
words = [f"{key}={s[key]}" for key in keys]
keys = ("flash", "ram_static", "tls_heap", "stack_peak")
words += [f"{key}={s['firmware'][key]}" for key in keys]
print("mcu:", *words)
PYTHON
[ $status -eq 0 ] || fail "see above"
