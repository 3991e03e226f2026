# SPDX-License-Identifier: Apache-2.0
# rabbitmq.sh - RabbitMQ in the place of mosquitto. Sourced after examples/lib.sh: broker_start,
# broker_kill and broker_stop are RabbitMQ's then. Its users are the certificates that are there
# when it starts.

broker_start() {
  [ -n "$broker_port" ] || broker_port=$(free_port)
  broker_launch
  wait_until 60 broker_settled
  broker_running && return
  tail -n 5 "$work/broker.log" >&2
  lib_fail "RabbitMQ did not start (apt-get install rabbitmq-server)"
}

broker_launch() {
  mkdir -p "$work/broker"
  : >>"$work/broker.log"
  broker_log_lines=$(wc -l <"$work/broker.log")
  "$build/rabbitmq_node" "$work/broker" "$certs" "$broker_port" \
    >>"$work/broker.log" 2>&1 </dev/null &
  broker_pid=$!
  process_note "$broker_pid"
}

broker_running() {
  tail -n +$((broker_log_lines + 1)) "$work/broker.log" | grep -q 'Ready to start client connection'
}
