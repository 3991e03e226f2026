# SPDX-License-Identifier: Apache-2.0
# netem.sh - a test with its devices behind a bad network. Sourced by bash; needs no root where
# ordinary users may make namespaces and open /dev/net/tun.
#
#     . tests/link/netem.sh
#     netem_enter "$@"              first of all: the script starts over in namespaces of its own,
#                                   where no other network exists
#     . examples/lib.sh; work_begin
#     netem_start [ARGUMENT...]     the network, and a far side behind it (netem.c)
#     broker_start "${netem_listener[@]}"
#     "${far[@]}" COMMAND           runs it on the far side, where the broker is `localhost` too
#     netem_stop                    what it did to packets: $netem_counts, one line of JSON
#
# Exit status 77 where namespaces are not allowed: skipped.

netem_near=192.0.2.1 netem_pid= netem_counts= netem_listener=() far=()

netem_skip() { echo "skipped: $*" >&2; exit 77; }

# Root needs no user namespace, and an ordinary user gets none without one.
netem_enter() {
  local ways=(--user --map-root-user) hosts
  if [ -z "${HEALTHTEL_NETEM_ROOM:-}" ]; then
    [ "$(id -u)" != 0 ] || ways=()
    unshare "${ways[@]}" --net --mount true 2>/dev/null ||
      netem_skip "network and mount namespaces are not allowed here (unshare --net --mount)"
    HEALTHTEL_NETEM_ROOM=1 exec unshare "${ways[@]}" --net --mount bash "$0" "$@"
  fi
  # On both sides the name in the broker's certificate is the near end.
  hosts=$(mktemp) && echo "$netem_near localhost" >"$hosts" && chmod 644 "$hosts"
  mount --bind "$hosts" /etc/hosts || netem_skip "/etc/hosts cannot be replaced in a namespace"
  rm -f "$hosts"
}

netem_start() {
  local status=0
  "$build/netem" "$@" >"$work/netem.log" 2>&1 </dev/null &
  netem_pid=$!
  process_note "$netem_pid"
  wait_until 10 netem_settled
  if ! netem_ready; then
    cat "$work/netem.log" >&2
    process_wait "$netem_pid" || status=$?
    [ "$status" -ne 77 ] || netem_skip "no tun device here (/dev/net/tun)"
    lib_fail "the network did not start"
  fi
  far=(nsenter "--net=/proc/$netem_pid/ns/net" --)
  # As the listener on loopback, but at the near end of the network.
  [ -n "$broker_port" ] || broker_port=$(free_port)
  netem_listener=("listener $broker_port $netem_near" "cafile $certs/ca.crt" "certfile $certs/broker.crt"
    "keyfile $certs/broker.key" 'require_certificate true' 'use_identity_as_username true'
    'tls_version tlsv1.2')
}
netem_ready() { grep -q ready "$work/netem.log"; }
netem_settled() { netem_ready || ! process_alive "$netem_pid"; }

netem_stop() {
  kill -TERM "$netem_pid"
  process_wait "$netem_pid" || lib_fail "the network failed: $(tail -n 3 "$work/netem.log")"
  netem_counts=$(tail -n 1 "$work/netem.log")
}

# Segments that the kernels of both sides found damaged. Before netem_stop.
netem_bad_checksums() {
  cat /proc/net/snmp "/proc/$netem_pid/net/snmp" |
    awk '/^Tcp:/ && ++line[FILENAME] % 2 == 1 { for (i = 1; i <= NF; i++) if ($i == "InCsumErrors") at = i; next }
         /^Tcp:/ { sum += $at } END { print sum + 0 }'
}
