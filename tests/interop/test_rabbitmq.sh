#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_rabbitmq.sh - the tools over another broker: RabbitMQ's MQTT listener, with mutual TLS.
#
# Two devices, one over each link, play an ECG and two synthetic signals. They begin before the
# ingest does: what they send is acknowledged and, as nobody has subscribed, dropped; and a birth
# that is retained is not given to a subscription with wildcards, so that the ingest has to ask for
# it. Then SIGKILL for the ingest, and for the broker. Passes when every reading of both is stored
# once and the audit finds no hole.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../examples/lib.sh"
. "$here/two_devices.sh"
. "$here/rabbitmq.sh"
say() { echo "rabbitmq: $*"; }

more_than() { [ "$(stored_frames)" -gt "$1" ]; }

work_begin rabbitmq
devices_make rabbitmq
began=$SECONDS
broker_start
say "up in $((SECONDS - began)) s"
for link in "${device_links[@]}"; do
  device_start "$link" --speed 3 --frame-s 1 --backoff 200:1000 --receipt-wait 2000 \
    --close-timeout 40
done
sleep 2
ingest_start
ingest_ready || lib_fail "the ingest did not come up"
wait_until 15 more_than 10 || lib_fail "nothing arrives"

ingest_kill
say "ingest killed after $(stored_frames) frames"
sleep 1
ingest_start
at_kill=$(stored_frames)
wait_until 15 more_than "$at_kill" || lib_fail "nothing arrives after the ingest's kill"

devices_alive || lib_fail "a device had played to its end too soon"
broker_kill
at_kill=$(stored_frames)
began=$SECONDS
broker_start
say "killed after $at_kill frames, up again in $((SECONDS - began)) s"
devices_wait || lib_fail "a device could not deliver everything"
ingest_stop

status=0
devices_check || status=1
asked=$(sqlite3 "$db" "select count(*) from counters where name = 'unknown_schema' and count > 0")
[ "$asked" -gt 0 ] || { say "no frame came before its birth: the ingest had nothing to ask for"; status=1; }
for link in "${device_links[@]}"; do
  connects=$(number connects "$(cat "$work/rabbitmq-$link.json")")
  [ "${connects:-0}" -ge 2 ] || { say "$link connected $connects times"; status=1; }
done
exit "$status"
