#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# live.sh [--full] - htel-fleet --live against mosquitto with mutual TLS and htel-ingest.
#
# Devices with a certificate each, under the access control of examples/mosquitto.acl, from one
# process, in real time. The broker is killed with SIGKILL twice meanwhile and started again; all
# must be back and everything delivered at the end: every reading of every device is held against
# the database, value by value. 40 devices for 40 s; with --full 300 devices for 300 s. Then what
# must fail: a broker that is not there, a certificate that is not there, readings that are changed,
# taken out of the database, put in twice; and an order to stop in the middle.
#
# HEALTHTEL_LIVE_DEVICES, _SECONDS, _SPREAD_S (in which reconnects are spread), _KILLS and _SEED
# change the run.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../examples/lib.sh"

devices=40 seconds=40 spread_s=4
[ "${1:-}" != --full ] || devices=300 seconds=300 spread_s=20
devices=${HEALTHTEL_LIVE_DEVICES:-$devices}
seconds=${HEALTHTEL_LIVE_SECONDS:-$seconds}
spread_s=${HEALTHTEL_LIVE_SPREAD_S:-$spread_s}
kills=${HEALTHTEL_LIVE_KILLS:-2}
seed=${HEALTHTEL_LIVE_SEED:-$RANDOM}
say() { echo "live: $*"; }

work_begin live
say "seed $seed, $devices devices, $seconds s, $kills kills of the broker"

cat >"$work/live.ini" <<EOF
[run]
title = Two numerics at 1 Hz, 2 s of ECG in each 20 s, an alarm now and then
faults = none
[device]
age = 5 s
frame-bytes = 4096
ring-bytes = 16 KB
outbox-bytes = 256 KB
flash = no
keep-alive = 20 s
spread = $spread_s s
[channel pulse]
kind = numeric
period = 1 s
low = 40
high = 140
[channel spo2]
kind = numeric
period = 1 s
low = 80
high = 100
[channel ecg]
kind = waveform
rate = 250
burst = 2 s
burst-every = 20 s
low = -1000
high = 1500
[channel alarms]
kind = alarm
alarms-per-day = 2880
EOF

# This run's scenario, devices and certificates; what comes after them changes them.
fleet=("$build/htel-fleet" --scenario "$work/live.ini" --seed "$seed" --devices "$devices"
  --certs "$certs" --progress no --json)
number() { grep -o "\"$1\":[0-9.]*" "$2" | head -n 1 | cut -d : -f 2; }
# expect WHAT FILE VALUE
expect() {
  local found
  found=$(number "$1" "$2")
  [ "$found" = "$3" ] || { say "$1 is '$found', not $3"; status=1; }
}

mapfile -t ids < <("${fleet[@]}" --list-devices)
[ "${#ids[@]}" = "$devices" ] || lib_fail "htel-fleet names ${#ids[@]} devices"
certs_make "${ids[@]}"
broker_start "max_queued_messages 100000"
ingest_start
ingest_ready || lib_fail "the ingest did not come up"

# ---- The run -------------------------------------------------------------------------------------

status=0
"${fleet[@]}" --live "localhost:$broker_port" --database "$db" --seconds "$seconds" --progress yes \
  >"$work/live.json" 2>"$work/progress.log" &
fleet_pid=$!
process_note "$fleet_pid"
for ((i = 1; i <= kills; i++)); do
  sleep "$((seconds / (kills + 1)))"
  process_alive "$fleet_pid" || lib_fail "ended too soon: $(tail -n 1 "$work/progress.log")"
  tail -n 1 "$work/progress.log"
  broker_kill
  say "broker killed"
  sleep 1
  broker_start "max_queued_messages 100000"
done
process_wait "$fleet_pid" || { say "not kept, status $?: $(tail -n 1 "$work/progress.log")"; status=1; }
tail -n 1 "$work/progress.log"
for name in lost duplicates violations readings_told; do expect "$name" "$work/live.json" 0; done
accepted=$(number readings_accepted "$work/live.json")
expect devices "$work/live.json" "$devices"
expect readings_checked "$work/live.json" "$accepted"
expect readings_delivered "$work/live.json" "$accepted"
# Two a second, but for the seconds until each began.
[ "${accepted:-0}" -ge $((devices * (seconds - 31) * 2)) ] || { say "only $accepted readings"; status=1; }
connects=$(number connects "$work/live.json")
[ "${connects:-0}" -ge $((devices * (kills + 1))) ] ||
  { say "only $connects connects: the kills were not noticed"; status=1; }
figure() { number "$1" "$work/live.json"; }
echo "figures live {\"devices\":$devices,\"readings\":${accepted:-0},\"connects\":${connects:-0}," \
  "\"delay_ms_p99\":$(figure p99),\"cpu_pct\":$(figure cpu_pct_of_a_core)," \
  "\"rss_bytes\":$(figure rss_bytes_max)}"
say "$accepted readings, $connects connects," \
  "delay 50/95/99/100 % $(figure p50)/$(figure p95)/$(figure p99)/$(figure max) ms," \
  "$(figure cpu_pct_of_a_core) % of a core, $(figure rss_bytes_max) bytes of memory"
"$build/htel-ingest" audit --db "$db" >"$work/audit.txt" || { cat "$work/audit.txt"; status=1; }
[ "$status" = 0 ] || grep -o '"violation_list":.*"delays"' "$work/live.json" | head -c 2000

# ---- What must fail ------------------------------------------------------------------------------

# refuses STATUS WORDS ARGUMENT...: ends so, and says so
refuses() {
  local wanted=$1 words=$2 found=0
  shift 2
  "${fleet[@]}" "$@" >"$work/refuses.json" 2>"$work/refuses.log" || found=$?
  [ "$found" = "$wanted" ] && grep -q "$words" "$work/refuses.log" "$work/refuses.json" && return
  say "status $wanted and '$words' expected, got $found: $(tail -n 1 "$work/refuses.log")"
  status=1
}
refuses 2 "HOST:PORT" --live "localhost:" --seconds 1
refuses 2 "no device could connect" --live "localhost:$(free_port)" --seconds 2 --devices 2
refuses 2 "fleet-" --live "localhost:$broker_port" --seconds 1 --seed $((seed + 1))
refuses 2 "htel-ingest" --live "localhost:$broker_port" --seconds 1 --database "$work/none.db"

# A second run with the same ids, ended in the middle: what was there before does not count.
"${fleet[@]}" --live "localhost:$broker_port" --database "$db" --seconds 600 --devices 3 \
  >"$work/stopped.json" 2>"$work/stopped.log" &
fleet_pid=$!
process_note "$fleet_pid"
sleep 4
kill -TERM "$fleet_pid"
process_wait "$fleet_pid" || { say "stopped: status $?"; status=1; }
expect lost "$work/stopped.json" 0
expect violations "$work/stopped.json" 0
expect devices "$work/stopped.json" 3

# The database is not what was delivered.
spoil='
CREATE TRIGGER spoil AFTER INSERT ON numerics WHEN NEW.n = 2 BEGIN
  UPDATE numerics SET value = value + 1 WHERE frame_id = NEW.frame_id AND channel = 0 AND n = 0;
  INSERT OR IGNORE INTO numerics SELECT frame_id, channel, 1000, tick, value, quality
    FROM numerics WHERE frame_id = NEW.frame_id AND channel = 1 AND n = 0;
  DELETE FROM numerics WHERE frame_id = NEW.frame_id AND channel = 1 AND n = 1;
END;'
sqlite3 "$db" "$spoil" || lib_fail "the database cannot be spoilt"
refuses 1 '"kind":"value"' --live "localhost:$broker_port" --database "$db" --seconds 8 --devices 3
for name in lost duplicates; do
  [ "$(number "$name" "$work/refuses.json")" -gt 0 ] || { say "not found: $name"; status=1; }
done
[ "$status" != 0 ] || say "passed"
exit "$status"
