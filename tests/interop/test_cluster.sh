#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_cluster.sh - one broker node of three is killed: RabbitMQ, the ingest's session in a quorum
# queue. Run by soak.sh, since three nodes take their time to start.
#
# Two devices, one over each link, and the ingest connect through forward.py, which gives each
# connection to the next node that is alive. Each node is killed once (HEALTHTEL_KILLS: so many kills,
# turn by turn), so that the leader of the queue and the node that the ingest is at are among them,
# and started again after 5 s. Passes when frames go on after each kill, every reading of both is
# stored once, and the audit finds no hole.
#
# RabbitMQ 3.10 keeps the queue of a session that ends with its connection on one node, and refuses
# the client until that node is back: a device that was there waits for it, others and the ingest do
# not. So frames need not arrive while the node is gone, and it is printed whether they did.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../examples/lib.sh"
. "$here/two_devices.sh"
say() { echo "cluster: $*"; }

kills=${HEALTHTEL_KILLS:-3}
nodes=(1 2 3)
declare -A node_ports=() dist_ports=() node_pids=() node_lines=()
more_than() { [ "$(stored_frames)" -gt "$1" ]; }

# Dies with this script, whatever becomes of it.
start() { setpriv --pdeathsig KILL "$@" </dev/null & process_note $!; }

node_launch() {
  local n=$1 dir=$work/node$1
  mkdir -p "$dir"
  [ -e "$dir/.erlang.cookie" ] || install -m 400 "$work/cookie" "$dir/.erlang.cookie"
  : >>"$work/node$n.log"
  node_lines[$n]=$(wc -l <"$work/node$n.log")
  "$build/rabbitmq_node" "$dir" "$certs" "${node_ports[$n]}" "$n" "$epmd_port" "${dist_ports[$n]}" \
    >>"$work/node$n.log" 2>&1 </dev/null &
  node_pids[$n]=$!
  process_note $!
}
node_settled() {
  tail -n +$((node_lines[$1] + 1)) "$work/node$1.log" | grep -q 'Ready to start client connection' ||
    ! process_alive "${node_pids[$1]}"
}
node_start() {
  local began=$SECONDS
  node_launch "$1"
  if wait_until 120 node_settled "$1" && process_alive "${node_pids[$1]}"; then
    say "node $1 up in $((SECONDS - began)) s"
    return
  fi
  tail -n 5 "$work/node$1.log" >&2
  lib_fail "node $1 did not start"
}

work_begin cluster
devices_make cluster
head -c 20 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/cookie"
epmd_port=$(free_port)
start epmd -address 127.0.0.1 -port "$epmd_port"
for n in "${nodes[@]}"; do
  node_ports[$n]=$(free_port)
  dist_ports[$n]=$(free_port)
done
for n in "${nodes[@]}"; do node_start "$n"; done # one after another, or one may stay out
broker_port=$(free_port)
start python3 "$here/forward.py" "$broker_port" "${node_ports[@]}"

ingest_start
ingest_ready 30 || lib_fail "the ingest did not come up"
for link in "${device_links[@]}"; do
  device_start "$link" --repeat "$kills" --speed 2 --frame-s 2 --backoff 200:1000 \
    --receipt-wait 3000 --close-timeout 120
done
wait_until 30 more_than 10 || lib_fail "nothing arrives"

worst=0 without=0
for ((i = 0; i < kills; i++)); do
  n=${nodes[$((i % 3))]}
  sleep 3
  devices_alive || lib_fail "a device had played to its end too soon"
  process_kill "${node_pids[$n]}"
  at_kill=$(stored_frames) began=$(date +%s%3N)
  sleep 5
  arrived=$(($(stored_frames) - at_kill))
  [ "$arrived" -eq 0 ] || without=$((without + 1))
  node_start "$n"
  wait_until 60 more_than $((at_kill + arrived + 10)) || lib_fail "nothing arrives after node $n"
  took=$(($(date +%s%3N) - began))
  [ "$took" -le "$worst" ] || worst=$took
  say "node $n killed after $at_kill frames, $arrived without it, ten more after $took ms"
done
devices_wait || lib_fail "a device could not deliver everything"
ingest_stop

status=0
figures="\"node_kills\":$kills,\"went_on_without\":$without,\"ten_frames_ms_max\":$worst,"
devices_check || status=1
exit "$status"
