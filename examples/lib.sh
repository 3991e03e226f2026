# SPDX-License-Identifier: Apache-2.0
# lib.sh - a broker and an ingest on loopback, for quickstart.sh and the tests. Sourced by bash.
#
#     . examples/lib.sh
#     work_begin                 a temporary directory $work; at the end it is removed, and what
#                                was started is ended
#     broker_start               mosquitto with mutual TLS on localhost:$broker_port
#     ingest_start               htel-ingest into $db
#     ...                        "$build/htel-monitor" $(device_args ID) ...
#     broker_kill; broker_start  SIGKILL, and up again on the same port with the same state
#
# Every process is ended by its process id, and only those that were started here. Settings, made
# before sourcing:
#
#     build   directory of the htel-* tools (default: build/ of this project)
#     keep    not empty: leave $work where it is at the end

lib_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${build:-$lib_dir/../build}
keep=${keep:-}

work= certs= db= broker_port= broker_pid= broker_log_lines=0 ingest_pid= ingest_log_lines=0
started_pids=()

lib_fail() { echo "${0##*/}: $*" >&2; exit 1; }

# ---- The run as a whole ----------------------------------------------------------------------

# Makes $work and sees to its end. work_begin [NAME]
work_begin() {
  work=$(mktemp -d "${TMPDIR:-/tmp}/htel-${1:-run}.XXXXXX")
  certs=$work/certs
  db=$work/ingest.db
  trap work_end EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

work_end() {
  local status=$? pid
  trap - EXIT
  trap '' INT TERM HUP
  # All are told first, so that none waits for another that has gone.
  for pid in "${started_pids[@]}"; do kill -TERM "$pid" 2>/dev/null; done
  for pid in "${started_pids[@]}"; do process_end "$pid"; done
  if [ -n "$keep" ]; then
    echo "kept: $work" >&2
  else
    rm -rf "$work"
  fi
  exit "$status"
}

# Notes a background process of this shell, so that it is ended in any case. process_note PID
process_note() { started_pids+=("$1"); }

# It has ended and been waited for: its number may be another's from now on.
process_forget() {
  local pid rest=()
  for pid in "${started_pids[@]}"; do [ "$pid" = "$1" ] || rest+=("$pid"); done
  started_pids=("${rest[@]}")
}

process_noted() {
  local pid
  for pid in "${started_pids[@]}"; do [ "$pid" != "$1" ] || return 0; done
  return 1
}

# Waits for it to end by itself, and returns its exit status. process_wait PID
process_wait() {
  local status=0
  wait "$1" || status=$?
  process_forget "$1"
  return "$status"
}

# TERM, and KILL when it has not ended within 5 s; nothing when it was waited for. process_end PID
process_end() {
  local pid=$1 tries
  process_noted "$pid" || return 0
  kill -TERM "$pid" 2>/dev/null
  for ((tries = 0; tries < 50; tries++)); do
    process_alive "$pid" || break
    sleep 0.1
  done
  process_kill "$pid"
}

process_kill() {
  process_noted "$1" || return 0
  kill -KILL "$1" 2>/dev/null
  wait "$1" 2>/dev/null
  process_forget "$1"
}

# Runs a command until it succeeds. wait_until SECONDS COMMAND...
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -le "$deadline" ] || return 1
    sleep 0.05
  done
}

# ---- Ports -------------------------------------------------------------------------------------

# A TCP port of 127.0.0.1 that nobody listens on.
free_port() {
  python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

process_alive() { kill -0 "$1" 2>/dev/null; }

# ---- Certificates ------------------------------------------------------------------------------

# Makes what is missing: authority, broker, ingest and the given devices. certs_make ID...
certs_make() {
  local id args=()
  for id in "$@"; do args+=(--device "$id"); done
  "$lib_dir/certs.sh" "$certs" "${args[@]}" >/dev/null || lib_fail "no certificates"
}

# What htel-monitor needs to be device ID. device_args ID
device_args() {
  printf '%s\n' --device "$1" --broker "localhost:$broker_port" --ca "$certs/ca.crt" \
    --cert "$certs/$1.crt" --key "$certs/$1.key" --boot-file "$work/$1.boot"
}

# ---- The broker --------------------------------------------------------------------------------

# Starts mosquitto, the first time on a free port, later on the same one and with the state that
# it saved. Extra configuration lines may be given. broker_start [LINE...]
broker_start() {
  local tries=1
  [ -n "$broker_port" ] || tries=5 # another may take the port before mosquitto does
  for (( ; tries > 0; tries--)); do
    [ -n "$broker_port" ] || broker_port=$(free_port)
    broker_launch "$@"
    wait_until 10 broker_settled
    ! broker_running || return 0
    process_alive "$broker_pid" && tries=1 # it hangs: that is not for want of a port
    process_kill "$broker_pid"
    [ "$tries" -eq 1 ] || broker_port=
  done
  tail -n 5 "$work/broker.log" >&2
  lib_fail "the broker did not start"
}

broker_launch() {
  local dir=$work/broker line
  mkdir -p "$dir"
  chmod 700 "$dir"
  cp "$lib_dir/mosquitto.acl" "$dir/acl"
  chmod 600 "$dir/acl"
  sed -e "s|@PORT@|$broker_port|; s|@DIR@|$dir|; s|@CERTS@|$certs|; s|@USER@|$(id -un)|" \
    "$lib_dir/mosquitto.conf.in" >"$dir/mosquitto.conf"
  for line in "$@"; do printf '%s\n' "$line" >>"$dir/mosquitto.conf"; done
  : >>"$work/broker.log"
  broker_log_lines=$(wc -l <"$work/broker.log")
  PATH=$PATH:/usr/sbin:/sbin mosquitto -c "$dir/mosquitto.conf" \
    >>"$work/broker.log" 2>&1 </dev/null &
  broker_pid=$!
  process_note "$broker_pid"
}

# By its own word: who listens on the port might be another.
broker_running() {
  tail -n +$((broker_log_lines + 1)) "$work/broker.log" | grep -q 'mosquitto version .* running'
}
broker_settled() { broker_running || ! process_alive "$broker_pid"; }

broker_stop() { process_end "$broker_pid"; }
broker_kill() { process_kill "$broker_pid"; }

# ---- The ingest --------------------------------------------------------------------------------

# Starts htel-ingest into $db, with further arguments. ingest_start [ARGUMENT...]
ingest_start() {
  : >>"$work/ingest.log"
  ingest_log_lines=$(wc -l <"$work/ingest.log")
  "$build/htel-ingest" run --db "$db" --broker "localhost:$broker_port" --ca "$certs/ca.crt" \
    --cert "$certs/ingest.crt" --key "$certs/ingest.key" "$@" >>"$work/ingest.log" 2>&1 </dev/null &
  ingest_pid=$!
  process_note "$ingest_pid"
}

# Waits until the one started last is connected and subscribed. ingest_ready [SECONDS]
ingest_ready() { wait_until "${1:-10}" ingest_subscribed; }
ingest_subscribed() {
  tail -n +$((ingest_log_lines + 1)) "$work/ingest.log" | grep -q " at localhost:$broker_port"
}

ingest_stop() { process_end "$ingest_pid"; }
ingest_kill() { process_kill "$ingest_pid"; }
