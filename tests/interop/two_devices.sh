# SPDX-License-Identifier: Apache-2.0
# two_devices.sh - two devices at once, one over each link, and what must be true of them in the
# end. Sourced after examples/lib.sh by test_kills.sh and test_netem.sh.
#
#     devices_make NAME           devices NAME-paho and NAME-mqtt, their certificates, and what
#                                 they play: an ECG and two synthetic signals
#     device_start LINK ARG...    plays it over that link, with further arguments of htel-monitor
#     memory_sample               what the processes use now; often, while they run
#     devices_wait                until both have delivered everything
#     devices_check               every reading stored once and no hole, else status 1. The last
#                                 line is `figures NAME {...}`, which soak.sh gathers

device_links=(paho mqtt)
declare -A device_pids=()
device_name= recordings=() figures= servers_live=yes

devices_make() {
  device_name=$1
  certs_make "$device_name-paho" "$device_name-mqtt"
  "$build/htel-monitor" --write-recording "$work" --duration 60 || exit 1
  recordings=("$lib_dir/monitor/recordings/mitdb208_60s.csv" "$work/synthetic_pleth100.csv"
    "$work/synthetic_oximetry1.csv")
}

# Set `far` to a command that runs another elsewhere (netem.sh); by default devices run here.
far=()
device_start() {
  local link=$1 id=$device_name-$1 arguments recording
  shift
  mapfile -t arguments < <(device_args "$id")
  for recording in "${recordings[@]}"; do arguments+=(--replay "$recording"); done
  "${far[@]}" "$build/htel-monitor" "${arguments[@]}" --link "$link" --quiet \
    --summary "$work/$id.json" "$@" &
  device_pids[$link]=$!
  process_note $!
}

# Has each of them something to play or to deliver?
devices_alive() { process_alive "${device_pids[paho]}" && process_alive "${device_pids[mqtt]}"; }
device_alive() { process_alive "${device_pids[paho]}" || process_alive "${device_pids[mqtt]}"; }

devices_wait() {
  local link status=0
  for link in "${device_links[@]}"; do
    process_wait "${device_pids[$link]}" || { echo "$device_name-$link: not all delivered" >&2; status=1; }
  done
  return "$status"
}

stored_frames() { sqlite3 -readonly "$db" 'select count(*) from frames' 2>/dev/null || echo 0; }

# ---- Memory ------------------------------------------------------------------------------------

# One line: seconds, KiB of the database, and the resident KiB of monitor by paho, monitor by mqtt,
# ingest and broker; - where it does not run.
memory_sample() {
  local pid line kib
  line="$SECONDS $(($(stat -c %s "$db" 2>/dev/null || echo 0) / 1024))"
  for pid in "${device_pids[paho]}" "${device_pids[mqtt]}" "$ingest_pid" "$broker_pid"; do
    kib=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status" 2>/dev/null)
    line+=" ${kib:--}"
  done
  echo "$line" >>"$work/memory"
}

# Flat: the most in the last third of the samples is not above the most in the first third by more
# than a tenth and 512 KiB. The first 30 s are left out, in which everything is read in and
# allocated for the first time; and of the ingest what comes before the database is larger than
# its cache of pages, 32 MiB. Too few samples say nothing. memory_check NAME COLUMN [DATABASE_KIB]
memory_check() {
  local name=$1
  awk -v column="$2" -v least="${3:-0}" '
    NR == 1 { from = $1 + 30 }
    $1 >= from && $2 >= least && $column != "-" { kib[n++] = $column }
    END {
      if (n < 9) { print 0, 0, n + 0; exit }
      for (i = 0; i < n; i++) {
        if (i < n / 3 && kib[i] > first) first = kib[i]
        if (i >= n * 2 / 3 && kib[i] > last) last = kib[i]
      }
      print first, last, n
    }' "$work/memory" >"$work/memory.$name"
  local first last samples
  read -r first last samples <"$work/memory.$name"
  [ "$samples" -ge 9 ] || return 0
  echo "$device_name: memory of $name: $first KiB in the first third, $last KiB in the last ($samples samples)"
  figures+="\"rss_$name\":{\"first_kib\":$first,\"last_kib\":$last,\"samples\":$samples},"
  [ "$last" -le $((first + first / 10 + 512)) ] || { echo "$device_name: $name grows" >&2; return 1; }
}

# ---- The end -----------------------------------------------------------------------------------

# number KEY TEXT: the first number under this name in one-line JSON
number() { grep -oE "\"$1\":[[:space:]]*[0-9]+" <<<"$2" | head -n 1 | grep -oE '[0-9]+$'; }

devices_check() {
  local status=0 link id summary audit compare
  "$build/htel-ingest" audit --db "$db" || status=1
  for link in "${device_links[@]}"; do
    id=$device_name-$link
    summary=$(cat "$work/$id.json") || { status=1; continue; }
    audit=$("$build/htel-ingest" audit --db "$db" --device "$id" --json) || status=1
    compare=$("$build/htel-ingest" compare --db "$db" --device "$id" --summary "$work/$id.json" \
      --recording "${recordings[0]}" --recording "${recordings[1]}" --recording "${recordings[2]}" \
      --json) || status=1
    echo "$id: $compare"
    figures+="\"$link\":{\"frames\":$(number frames "$summary"),\"readings\":$(number stored "$compare"),"
    figures+="\"connects\":$(number connects "$summary"),"
    figures+="\"connect_failures\":$(number connect_failures "$summary"),"
    figures+="\"frames_resent\":$(number frames_resent "$summary"),"
    figures+="\"duplicates_refused\":$(number duplicates "$audit"),"
    figures+="\"lost\":$(number lost "$compare"),\"duplicates\":$(number duplicates "$compare"),"
    figures+="\"mismatches\":$(number mismatches "$compare"),"
    figures+="\"holes\":$(number unexplained_holes "$audit"),"
    figures+="\"poll_ms_max\":$(number poll_ms_max "$summary")},"
  done
  if [ -s "$work/memory" ]; then
    memory_check paho 3 || status=1
    memory_check mqtt 4 || status=1
    if [ "$servers_live" = yes ]; then # one that was killed leaves nothing to compare
      memory_check ingest 5 34816 || status=1
      memory_check broker 6 || status=1
    fi
  fi
  echo "figures $device_name {${figures%,}}"
  return "$status"
}
