#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# size_cli.sh HTEL-SIZE RECORDING.csv SIZES.md - htel-size as it is called: which command lines it
# refuses, how it ends, what its JSON says, and whether docs/SIZES.md says the same.
set -uo pipefail
size=$1 recording=$2 document=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

check() { # check NAME CONDITION...
  local name=$1
  shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; fi
}

# ends STATUS WORDS ARGUMENT... - ends with the status and says so
ends() {
  local status=$1 words=$2 said got
  shift 2
  said=$("$size" "$@" 2>&1 </dev/null)
  got=$?
  [ "$got" = "$status" ] && [[ $said == *"$words"* ]] && return 0
  printf '%s: status %s, and said: %s\n' "$*" "$got" "$said"
  return 1
}

# A number of the JSON, as in `number ram.all ARGUMENT...`.
number() {
  local path=$1
  shift
  "$size" --json "$@" | python3 -c '
import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1].split("."):
    value = value[key]
print(value)' "$path"
}

# same A OPERATOR B, two numbers
is() { [ -n "$1" ] && [ -n "$3" ] && [ "$1" "$2" "$3" ]; }

ecg=(--wave ecg:250)
check 'nothing measured' ends 64 'say what is measured'
check 'no rate' ends 64 'KIND:HZ' --wave ecg
check 'no such kind' ends 64 'see --list' --wave eeg:250
check 'a numeric as a waveform' ends 64 'see --list' --wave vitals:1
check 'a waveform as a numeric' ends 64 'see --list' --numeric ecg:1
check 'rate 0' ends 64 'must be Hz' --wave ecg:0
check 'rate nan' ends 64 'must be Hz' --wave ecg:nan
check 'rate negative' ends 64 'must be Hz' --wave ecg:-250
check 'rate too high' ends 64 'must be Hz' --wave ecg:1000001
check 'rate over 0' ends 64 'must be Hz' --numeric hr:1/0
check 'rate with a rest' ends 64 'KIND:HZxN' --wave ecg:250y
check 'no channels' ends 64 '1 to 64' --wave ecg:250x0
check 'too many channels' ends 64 'more than 63' --wave ecg:250x40 --wave ecg:250x24
check 'recording and waves' ends 64 'not --wave' "${ecg[@]}" --recording "$recording"
check 'recording and bytes' ends 64 '--bytes-per' --recording "$recording" --bytes-per-sample 1
check 'no such recording' ends 2 '/nowhere.csv' --recording /nowhere.csv
check 'no such part' ends 64 'see --list' "${ecg[@]}" --part z80
check 'no such target' ends 64 'm0|m4|rv32|host' "${ecg[@]}" --target m7
check 'no such coding' ends 64 'zlib|fast|best' "${ecg[@]}" --coding better
check 'RAM no number' ends 64 'as 65536' "${ecg[@]}" --ram lots
check 'RAM too large' ends 64 'as 65536' "${ecg[@]}" --ram 5000M
check 'outage negative' ends 64 '0 to 604800' "${ecg[@]}" --outage -1
check 'outage with a rest' ends 64 '0 to 604800' "${ecg[@]}" --outage 60s
check 'frame too small' ends 64 '512 to 61440' "${ecg[@]}" --frame-bytes 100
check 'block no power of two' ends 64 'powers of two' "${ecg[@]}" --flash-block 5000
check 'TLS without a link' ends 64 '--link mqtt' "${ecg[@]}" --tls mbedtls
check 'records one number' ends 64 'IN:OUT' "${ecg[@]}" --tls-records 4096
check 'an argument' ends 64 'is not an option' "${ecg[@]}" more
check 'bytes nan' ends 64 '0.01 to 16' "${ecg[@]}" --bytes-per-sample nan
check 'a log too large' ends 2 '16 MiB at most' --wave ecg:500x12 --outbox flash --outage 604800
check 'more than RAM can be' ends 2 '--outbox flash' --wave ecg:2000x60 --outage 604800
check 'more than a ring holds' ends 2 '--poll-ms' --wave ecg:4000x8 --poll-ms 30000
check 'the utmost' ends 2 'bytes' --wave ecg:1000000x63 --outage 604800 --reconnect 86400 \
  --frame-s 86400 --poll-ms 60000
check 'what the library refuses' ends 2 'batch.bytes_max' "${ecg[@]}" --outbox flash \
  --frame-bytes 8192

check 'help' ends 0 '--tls-records' --help
check 'list' ends 0 'nrf52840' --list
check 'no part' ends 0 'htel_memory_needed' "${ecg[@]}"
check 'fits' ends 0 'fits' "${ecg[@]}" --part nRF52840
check 'RAM is too small' ends 1 'RAM: ' "${ecg[@]}" --ram 8K
check 'says so' ends 1 'DOES NOT FIT' "${ecg[@]}" --part stm32l072cz --outage 600
check 'flash is too small' ends 1 'DOES NOT FIT' "${ecg[@]}" --flash 16K
check 'the rest of the firmware counts' ends 1 'DOES NOT FIT' "${ecg[@]}" --part nrf52832 \
  --other-ram 60K
check 'this machine' ends 0 'this machine' "${ecg[@]}" --target host
check 'a recording is tried' ends 0 '0 readings lost' --recording "$recording"

ram=$(number ram.all "${ecg[@]}")
needed=$(number ram.memory_needed "${ecg[@]}")
check 'the sum holds memory' is "$ram" -gt "$needed"
check 'longer outages cost' is "$(number config.outbox_bytes "${ecg[@]}" --outage 120)" -gt \
  "$(number config.outbox_bytes "${ecg[@]}" --outage 60)"
check 'flash spares RAM' is "$(number ram.all "${ecg[@]}" --outage 3600 --outbox flash)" -lt \
  "$(number ram.all "${ecg[@]}" --outage 3600)"
check 'BEST takes more flash' is "$(number flash.all "${ecg[@]}" --coding best)" -gt \
  "$(number flash.all "${ecg[@]}")"
check 'BEST sends less' is "$(number day.wire "${ecg[@]}" --coding best)" -lt \
  "$(number day.wire "${ecg[@]}")"
check 'a given size counts' is "$(number day.payload "${ecg[@]}" --bytes-per-sample 2)" -gt \
  "$(($(number day.payload "${ecg[@]}") * 3))"
check 'TLS takes RAM' is "$(number ram.tls_heap "${ecg[@]}" --link mqtt --tls mbedtls)" -gt 5000
check 'smaller records take less' is \
  "$(number ram.all "${ecg[@]}" --link mqtt --tls mbedtls --tls-records 1024:512)" -lt \
  "$(number ram.all "${ecg[@]}" --link mqtt --tls mbedtls)"
check 'texts take flash' is "$(number flash.texts "${ecg[@]}" --texts)" -gt 4000
check 'rates as fractions' is "$(number day.readings --numeric monitor:1/60x7)" -eq 10080
check 'rates with decimals' is "$(number day.readings --numeric temperature:0.25)" -eq 21600
check 'here it is what the library says' is "$(number ram.memory_needed --target host "${ecg[@]}")" \
  -eq "$(number ram.memory_needed_here "${ecg[@]}")"
# The bar: one ECG at 250 Hz, three numerics, 60 s of outage in 24 KB at FAST.
bar=("${ecg[@]}" --numeric vitals:1x3 --alarms 2 --outage 60 --reconnect 5 --margin 10)
check '24 KB at FAST' is "$(number ram.memory_needed "${bar[@]}")" -le 24576
check '36 KB at BEST' is "$(number ram.memory_needed "${bar[@]}" --coding best)" -le 36864
# A row of the table in docs/SIZES.md: as it is, to 3 % (bytes move when structs do).
written() { sed -n "s/^| [*]*$1[^|]*| [*]*\([0-9,]*\)[*]* | [*]*\([0-9,]*\)[*]* |\$/\\$2/p" "$document" | tr -d ,; }
near() { [ -n "$1" ] && [ -n "$2" ] && [ $(($1 * 100)) -le $(($2 * 103)) ] && [ $(($2 * 97)) -le $(($1 * 100)) ]; }
for row in ring:ring columns:columns frames:frames outbox:outbox state:state \
  '`htel_memory_needed`:memory_needed'; do
  check "docs/SIZES.md, ${row%:*}, FAST" near "$(written "${row%:*}" 1 | head -n 1)" \
    "$(number "ram.${row#*:}" "${bar[@]}")"
  check "docs/SIZES.md, ${row%:*}, BEST" near "$(written "${row%:*}" 2 | head -n 1)" \
    "$(number "ram.${row#*:}" "${bar[@]}" --coding best)"
done

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
