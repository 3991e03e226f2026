#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# monitor_cli.sh HTEL-MONITOR HTEL-CAT RECORDING.csv - htel-monitor without a broker: which command
# lines it refuses, and that a recording comes back from a captured file as it was.
set -uo pipefail
monitor=$1 cat=$2 recording=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

check() { # check NAME CONDITION...
  local name=$1
  shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; fi
}

# refuses STATUS WORDS ARGUMENT... - ends with the status and says so
refuses() {
  local status=$1 words=$2 said got
  shift 2
  said=$("$monitor" "$@" 2>&1 </dev/null)
  got=$?
  [ "$got" = "$status" ] && [[ $said == *"$words"* ]] && return 0
  printf '%s: status %s, and said: %s\n' "$*" "$got" "$said"
  return 1
}

file=(--device dev --out "$dir/a.htel")
tls=(--ca a --cert b --key c)
check 'no device' refuses 64 '--device is missing' --out "$dir/a.htel"
check 'no destination' refuses 64 'one of --broker and --out' --device dev
check 'two destinations' refuses 64 'one of --broker and --out' "${file[@]}" --broker h:1 \
  "${tls[@]}"
check 'no certificates' refuses 64 '--broker needs' --device dev --broker h:1
check 'no port' refuses 64 'HOST:PORT' --device dev --broker h "${tls[@]}"
check 'port 0' refuses 64 '1 to 65535' --device dev --broker h:0 "${tls[@]}"
check 'port not a number' refuses 64 '1 to 65535' --device dev --broker h:8x "${tls[@]}"
check 'no such key file' refuses 1 '/nowhere/ca' --device dev --broker localhost:1 \
  --ca /nowhere/ca --cert b --key c
check 'a bad id' refuses 1 'device_id' --device 'a b' --out "$dir/a.htel" --duration 1 --speed max
check 'speed 0' refuses 64 '--speed must be' "${file[@]}" --speed 0
check 'speed nan' refuses 64 '--speed must be' "${file[@]}" --speed nan
check 'no end at max' refuses 64 'needs --duration' "${file[@]}" --speed max
check 'a floor that is no date' refuses 64 '--clock-floor must be' "${file[@]}" \
  --clock-floor soon
check 'a floor before all time' refuses 64 '--clock-floor must be' "${file[@]}" \
  --clock-floor 1969-12-31
check 'a floor on no day' refuses 64 '--clock-floor must be' "${file[@]}" \
  --clock-floor 2026-02-31
check 'a floor with a rest' refuses 64 '--clock-floor must be' "${file[@]}" \
  --clock-floor 2026-01-02x
check 'threads at max' refuses 64 '--threads needs a speed' "${file[@]}" --speed max --threads \
  --duration 1
check 'a negative number' refuses 64 '--frame-s must be' "${file[@]}" --frame-s -1
check 'an unknown word' refuses 64 '--delivery must be' "${file[@]}" --delivery maybe
check 'an unknown coding' refuses 64 '--coding must be zlib|fast|best' "${file[@]}" --coding besst
check 'half an outage' refuses 64 '--outage must be' "${file[@]}" --outage 5
check 'backoff upside down' refuses 64 '--backoff must not' "${file[@]}" --backoff 20:10
check 'a stray argument' refuses 64 'is not an option' "${file[@]}" stray
check 'a ring of 300 bytes' refuses 1 'ring_bytes' "${file[@]}" --ring-bytes 300 --duration 1 \
  --speed max
check 'a size without a store' refuses 64 'need --store' "${file[@]}" --store-bytes 65536
check 'a store of 5000' refuses 64 'multiple of 4096' "${file[@]}" --store "$dir/s" \
  --store-bytes 20000
check 'a store too small' refuses 64 '16384 to' "${file[@]}" --store "$dir/s" --store-bytes 8192
check 'persist 33' refuses 64 '--persist must' "${file[@]}" --store "$dir/s" --persist 33:100
check 'frames too large for the blocks' refuses 1 '2048 fits any' "${file[@]}" --store "$dir/s" \
  --frame-bytes 4096 --duration 1 --speed max
head -c 65536 /dev/urandom >"$dir/foreign"
check 'a store that is none' refuses 1 'neither a store' "${file[@]}" --store "$dir/foreign" \
  --duration 1 --speed max
check 'a store of another size' refuses 1 'has 65536 bytes' "${file[@]}" --store "$dir/foreign" \
  --store-bytes 16384 --duration 1 --speed max
check 'no such recording' refuses 1 'its description cannot be read' "${file[@]}" \
  --replay /nowhere/a.csv
check 'a full disk' refuses 1 '/dev/full: No space' --device dev --out /dev/full --duration 20 \
  --speed max --close-timeout 1

comes_back() { # comes_back MONITOR-ARGUMENT...
  "$monitor" "${file[@]}" --replay "$recording" --quiet "$@" &&
    "$cat" --csv --no-time "$dir/a.htel" | cmp - "$recording"
}
check 'comes back at max' comes_back --speed max
check 'comes back without zlib' comes_back --speed max --coding fast
check 'comes back in small frames' comes_back --speed max --frame-bytes 512
check 'waits for room while offline' comes_back --speed max --outbox-bytes 4096 --frame-bytes 512 \
  --outage 0:1 --backoff 100:200
check 'comes back with floors' comes_back --speed max --clock-floor wait --clock-floor build \
  --clock-floor 2026-01-02
check 'comes back from a small ring' comes_back --speed max --ring-bytes 1024
check 'comes back at 60 times its speed' comes_back --speed 60
check 'comes back from threads' comes_back --speed 60 --threads
check 'comes back over an outage' comes_back --speed 40 --outage 0:1 --backoff 100:200

for bytes in 16384 65536 1048576; do
  rm -f "$dir/store"
  check "comes back from a store of $bytes" comes_back --speed max --store "$dir/store" \
    --store-bytes $bytes --frame-bytes 512
  check "and again, in groups" comes_back --speed max --store "$dir/store" --frame-bytes 512 \
    --persist 8:200
done
rm -f "$dir/store"
check 'waits for room in a store' comes_back --speed max --store "$dir/store" --store-bytes 16384 \
  --frame-bytes 512 --outage 0:1 --backoff 100:200

# Killed while nothing can be sent; what it had made durable comes with the next life.
outlives() {
  rm -f "$dir/store"
  "$monitor" --device dev --out "$dir/b.htel" --quiet --speed 20 --frame-s 1 --outage 0:60 \
    --store "$dir/store" &
  local pid=$! waits
  sleep 1.5
  "$monitor" "${file[@]}" --store "$dir/store" --speed max --duration 1 2>"$dir/said" && return 1
  grep -q 'another process' "$dir/said" || return 1
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null
  waits=$("$cat" --store "$dir/store" | grep -c '^[a-z]* *[1-9][0-9]* frames wait')
  [ "$waits" -ge 2 ] || return 1
  "$monitor" "${file[@]}" --quiet --store "$dir/store" --speed max --duration 1 || return 1
  "$cat" --store "$dir/store" | grep -q '^boot 2, ended cleanly' &&
    "$cat" --text "$dir/a.htel" >"$dir/text" && grep -q '^frame dev/1/1 ' "$dir/text" &&
    grep -q '^frame dev/2/1 ' "$dir/text"
}
check 'frames outlive SIGKILL' outlives

stops() { # a signal: what was recorded is delivered, and the summary is whole
  "$monitor" "${file[@]}" --quiet --frame-s 1 --summary "$dir/s.json" &
  local pid=$!
  sleep 1.5
  kill -TERM "$pid"
  wait "$pid" && grep -q '"complete":[[:space:]]*true' "$dir/s.json" &&
    grep -q '"recorded":[[:space:]]*[1-9]' "$dir/s.json"
}
check 'stops at a signal' stops

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
