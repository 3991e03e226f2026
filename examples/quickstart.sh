#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# quickstart.sh [--keep] - a real ECG and pulse oximetry, from a device into a database.
#
#   recordings -> htel-monitor ==TLS, MQTT==> mosquitto ==TLS, MQTT==> htel-ingest -> SQLite
#                     ^------------------------- receipts --------------------'
#
# Installs what is missing (Debian 12; as root or with sudo), builds into build/, makes throw-away
# certificates, starts a broker and an ingest on loopback, plays a minute of signals at ten times
# their speed, kills the broker in the middle, and compares the database with the recordings, value
# by value and time by time. All else lives in a temporary directory, and ends with the script.
#
#   --keep   leave the temporary directory (database, logs, certificates) where it is
#
# The last line is
#   quickstart: recorded=N stored=N lost=0 duplicates=0 mismatches=0 bytes_per_reading=X
# and the exit status is 0 only when it says so.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/.." && pwd)
build=$root/build
keep=

while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=yes ;;
    -h | --help) sed -n '3,19s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "quickstart: unknown option $1 (--help tells the options)" >&2; exit 64 ;;
  esac
  shift
done

. "$here/lib.sh"

device=quickstart-1
minute=60    # of signal, at ten times its speed
outage_s=2
bold= plain= clear=
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m' clear=$'\r\e[K'; fi
say() { printf '%s%s==>%s %s\n' "$clear" "$bold" "$plain" "$*"; }

# ---- Build -------------------------------------------------------------------------------------

# A long command with its output in a log; dots show that it is alive. timeout gives it a process
# group of its own, so that all of a build ends with us.
run_long() {
  local what=$1 log=$work/$2.log pid ticks=0
  shift 2
  printf '    %s ' "$what"
  timeout 1200 "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  process_note "$pid"
  while process_alive "$pid"; do
    sleep 0.1
    ticks=$((ticks + 1))
    [ $((ticks % 10)) != 0 ] || printf .
  done
  if process_wait "$pid"; then echo ' done'; else
    echo ' failed'
    tail -n 30 "$log" >&2
    lib_fail "$what failed"
  fi
}

work_begin quickstart

say "Installing what is missing"
"$here/install.sh" build || exit 1

say "Building"
cd "$root" || exit 1
run_long configuring configure cmake --preset release
run_long compiling compile cmake --build --preset release \
  --target htel-monitor htel-ingest htel-cat

# ---- Pictures ------------------------------------------------------------------------------------

# Braille where the terminal is likely to have it.
ascii=
case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in '' | *UTF-8* | *utf8*) ;; *) ascii=1 ;; esac
case ${TERM:-} in linux | dumb | vt*) ascii=1 ;; esac

# The channel's readings between $from_ms and 2 s later. stored CHANNEL
stored() {
  "$build/htel-cat" --db "$db" --device "$device" --channel "$1" --csv |
    awk -F, -v from="$from_ms" \
      'NR > 1 && $1 >= from && $1 < from + 2000 && $2 != "" && $2 > -32768 { print $2 }'
}

picture() {
  stored "$1" | LC_ALL=C awk -v ascii="$ascii" -v width=72 -v height=6 -f "$here/plot.awk" ||
    echo '    (nothing was measured then)'
}

# The first of them as a number with its unit's size. reading CHANNEL GAIN
reading() {
  stored "$1" | awk -v gain="$2" 'NR == 1 { value = $1 / gain } END { print NR ? value : "-" }'
}

# ---- Broker, ingest, recordings ------------------------------------------------------------------

started=$SECONDS
say "Making certificates, starting mosquitto (mutual TLS) and htel-ingest on loopback"
certs_make "$device"
broker_start
ingest_start
ingest_ready || lib_fail "the ingest did not come up: $(tail -n 3 "$work/ingest.log")"

ecg=$here/monitor/recordings/mitdb208_60s.csv
pleth=$work/synthetic_pleth100.csv
oximetry=$work/synthetic_oximetry1.csv
"$build/htel-monitor" --write-recording "$work" --duration "$minute" || exit 1

# ---- Play ----------------------------------------------------------------------------------------

say "Playing a minute of ECG (MIT-BIH 208) and pulse oximetry (synthetic) at ten times its speed"
mapfile -t arguments < <(device_args "$device")
"$build/htel-monitor" "${arguments[@]}" --replay "$ecg" --replay "$pleth" --replay "$oximetry" \
  --speed 10 --backoff 200:1000 --receipt-wait 2000 --close-timeout 40 --progress \
  --summary "$work/summary.json" &
monitor_pid=$!
process_note "$monitor_pid"

sleep 2.5
broker_kill
killed_ms=$(date +%s%3N)
say "The broker was killed (SIGKILL); the device goes on recording"
sleep "$outage_s"
broker_start
say "The broker is back, and has forgotten everything"
process_wait "$monitor_pid" || lib_fail "htel-monitor could not deliver everything"
ingest_stop

# ---- What arrived --------------------------------------------------------------------------------

say "What the ingest says (htel-ingest audit)"
clean=yes
"$build/htel-ingest" audit --db "$db" || clean=

# Two seconds of signal, taken half a second after the broker had gone.
first_ms=$(sed -n 's/.*"first_utc_ms":[^0-9]*\([0-9]*\).*/\1/p' "$work/summary.json" | head -n 1)
from_ms=$((first_ms + (killed_ms + 500 - first_ms) * 10))
say "Two seconds that were measured while the broker was away, as the database has them"
printf '    ECG\n'
picture ECG_MLII
printf '    pleth: SpO2 %s %%, pulse %s /min\n' "$(reading SPO2 10)" "$(reading PULSE 1)"
picture PLETH

say "Comparing the database with the recordings"
verdict=$("$build/htel-ingest" compare --db "$db" --device "$device" \
  --summary "$work/summary.json" \
  --recording "$ecg" --recording "$pleth" --recording "$oximetry") || clean=
echo "    took $((SECONDS - started)) s after building"
printf '%s\n' "$verdict" | sed -n '2,$s/^/    /p'
echo "quickstart: ${verdict%%$'\n'*}"
case $verdict in *' lost=0 duplicates=0 mismatches=0 '*) ;; *) clean= ;; esac
[ -n "$clean" ]
