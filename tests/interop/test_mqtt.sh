#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_mqtt.sh - htel-monitor --link mqtt against mosquitto with mutual TLS, and htel-ingest.
#
# First a minute of ECG and a synthetic patient in real order at six times their speed, the broker
# killed and restarted in the middle; then the ECG as fast as it goes, which measures the link.
# Passes when every reading is stored once and the audit finds no hole. Last, what must fail: a
# broker of another authority, a port where nobody listens, a name that is not; each with its own
# error.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../examples/lib.sh"

ecg=$here/../../examples/monitor/recordings/mitdb208_60s.csv
link=${HEALTHTEL_LINK:-mqtt}
say() { echo "mqtt: $*"; }

work_begin mqtt
certs_make mqtt-1 mqtt-2 mqtt-3
broker_start
ingest_start
ingest_ready || lib_fail "the ingest did not come up"
"$build/htel-monitor" --write-recording "$work" --duration 60 || exit 1

# ---- A kill ------------------------------------------------------------------------------------

connected_since_kill() { [ "$(stored_frames)" -gt "$1" ]; }
stored_frames() { sqlite3 -readonly "$db" 'select count(*) from frames' 2>/dev/null || echo 0; }

mapfile -t arguments < <(device_args mqtt-1)
recordings=("$ecg" "$work/synthetic_pleth100.csv" "$work/synthetic_oximetry1.csv")
"$build/htel-monitor" "${arguments[@]}" --link "$link" --replay "${recordings[0]}" \
  --replay "${recordings[1]}" --replay "${recordings[2]}" --speed 6 --frame-s 2 \
  --backoff 200:1000 --receipt-wait 2000 --close-timeout 20 --quiet \
  --summary "$work/mqtt-1.json" &
monitor_pid=$!
process_note "$monitor_pid"
wait_until 10 connected_since_kill 5 || lib_fail "nothing arrives"
broker_kill
at_kill=$(stored_frames)
say "broker killed after $at_kill frames"
sleep 0.5
broker_start
wait_until 10 connected_since_kill "$at_kill" || lib_fail "nothing arrives after the kill"
process_wait "$monitor_pid" || lib_fail "the device could not deliver everything"

# ---- As fast as it goes --------------------------------------------------------------------------

mapfile -t arguments < <(device_args mqtt-2)
began=$(date +%s%3N)
"$build/htel-monitor" "${arguments[@]}" --link "$link" --replay "$ecg" --speed max --repeat 10 \
  --frame-s 2 --rate 90:90 --close-timeout 20 --quiet --summary "$work/mqtt-2.json" ||
  lib_fail "the second device could not deliver everything"
took=$(($(date +%s%3N) - began))

number() { sed -n 's/.*"'"$1"'":[[:space:]]*\([0-9]*\).*/\1/p' "$2" | head -n 1; }
frames=$(number frames "$work/mqtt-2.json")
say "$frames frames, $(number payload_bytes "$work/mqtt-2.json") bytes in $took ms with TLS and receipts:" \
  "$((frames * 1000 / took)) frames a second (90 allowed)"
connects=$(number connects "$work/mqtt-1.json")
say "mqtt-1 connected $connects times"
[ "$connects" -ge 2 ] || lib_fail "the kill was not noticed"

# ---- What must fail ------------------------------------------------------------------------------

# fails CODE ARGUMENT...: does not deliver, and the summary names the error
fails() {
  local code=$1
  shift
  "$build/htel-monitor" "$@" --link "$link" --duration 1 --speed max --connect-timeout 1 --quiet \
    --close-timeout 3 --backoff 100:200 --summary "$work/fails.json" 2>/dev/null &&
    { say "$code: delivered"; return 1; }
  grep -q "\"$code\"" "$work/fails.json" && return 0
  say "$code expected: $(grep -o '"last_error":[^,]*' "$work/fails.json")"
  return 1
}
status=0
mapfile -t arguments < <(device_args mqtt-3)
"$here/../../examples/certs.sh" "$work/others" --device mqtt-3 >/dev/null || exit 1
fails HTEL_E_TLS_CA "${arguments[@]}" --ca "$work/others/ca.crt" || status=1
fails HTEL_E_CONNECT "${arguments[@]}" --broker "localhost:$(free_port)" || status=1
fails HTEL_E_RESOLVE "${arguments[@]}" --broker "nowhere.invalid:$broker_port" || status=1

ingest_stop
"$build/htel-ingest" audit --db "$db" || status=1
"$build/htel-ingest" compare --db "$db" --device mqtt-1 --summary "$work/mqtt-1.json" \
  --recording "${recordings[0]}" --recording "${recordings[1]}" --recording "${recordings[2]}" ||
  status=1
"$build/htel-ingest" compare --db "$db" --device mqtt-2 --summary "$work/mqtt-2.json" \
  --recording "$ecg" || status=1
exit "$status"
