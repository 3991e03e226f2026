/* SPDX-License-Identifier: Apache-2.0 */
/* sim_broker.h - an MQTT 3.1.1 broker in virtual time: devices on one side, one ingest on the
 * other.
 *
 *     devices ==bytes==> sessions -> queue of the ingest -> sim_broker_take()
 *             <==bytes== sessions <- sim_broker_publish() <- receipts
 *
 * It reads and writes whole packets with a codec of its own (not ports/mqtt's, which it is there to
 * test). QoS 1 both ways, one subscription for each client, wills, keep-alive (1.5 times),
 * take-over of a client id, retained messages for births. What it knows may outlive a kill or not
 * (`forgets`), as brokers differ. */
#ifndef HTEL_SIM_BROKER_H
#define HTEL_SIM_BROKER_H

#include "sim_net.h"

typedef enum sim_mood {
  SIM_BROKER_FAIR = 0,
  SIM_BROKER_REFUSES, /* CONNACK with code 3 (unavailable), or SUBACK 0x80, by turns */
  SIM_BROKER_SLOW,    /* takes and gives one packet in `slow_ms` */
  SIM_BROKER_HOSTILE  /* garbage, cut packets, PUBACKs for what never was, receipts that are none,
                         receipts of other boots and of frames never sent, oversized packets */
} sim_mood;

typedef struct sim_broker_habits {
  sim_mood mood;
  uint32_t slow_ms;
  bool forgets;            /* a kill takes its queue and retained messages; else they stay */
  uint8_t lose_acks_pct;   /* PUBACKs that are not sent (the message counts) */
  uint8_t lose_frames_pct; /* acknowledged, and then lost: brokers do */
  uint8_t lose_receipts_pct;
  uint8_t double_pct;          /* messages given twice, either way */
  uint8_t reorder_pct;         /* receipts held back behind the next */
  uint32_t ack_ms;             /* PUBACKs come so late */
  uint32_t queue_messages_max; /* for the ingest; beyond it PUBLISH is not read; 0 counts as 4096 */
} sim_broker_habits;

typedef struct sim_broker_counts {
  uint64_t connects, refused, publishes, acks, receipts_given, takeovers, kills, keepalive_ends;
  uint64_t lost_acks, lost_frames, lost_receipts, hostile_acts;
} sim_broker_counts;

typedef struct sim_message {
  const char *topic;
  const uint8_t *payload;
  size_t size;
  uint32_t device; /* the machine that sent it, whatever id it uses */
  int64_t sent_ms; /* when the broker had it whole */
} sim_message;

typedef struct sim_broker sim_broker;

/* Makes the net's listener too; `actor` and `ingest_actor` are the queue's: the ingest gets an
 * appointment when a message is there for it. NULL: no memory. */
sim_broker *sim_broker_new(sim_queue *queue, uint32_t actor, uint32_t ingest_actor, uint64_t seed);
void sim_broker_free(sim_broker *b);
sim_net *sim_broker_net(sim_broker *b);
sim_broker_habits *sim_broker_habits_of(sim_broker *b); /* to be set between steps */
const sim_broker_counts *sim_broker_counts_of(const sim_broker *b);

/* The broker's turn; makes its next appointment itself. */
void sim_broker_step(sim_broker *b);

/* kill -9, and the start. While it is down, connections are refused. `dies`: the machine is gone
 * and tells nobody; else its connections are reset. */
void sim_broker_kill(sim_broker *b, bool dies);
void sim_broker_start(sim_broker *b);
bool sim_broker_is_up(const sim_broker *b);
/* Ends all connections at once, as a load balancer that restarts does. */
void sim_broker_drop_all(sim_broker *b, sim_end how);

/* The ingest's end. It has one durable session: what comes while it is away waits. */
bool sim_broker_take(sim_broker *b, sim_message *out); /* valid until the next call */
bool sim_broker_publish(sim_broker *b, const char *topic, const uint8_t *payload, size_t size);
/* The ingest subscribes again, as after its start: all retained messages come to it once more. */
void sim_broker_subscribe(sim_broker *b);

/* Sees every connection that got its CONNACK, every end, and every device's PUBLISH that was whole;
 * any may be NULL. */
typedef struct sim_broker_tap {
  void *ctx;
  void (*up)(void *ctx, uint32_t device);
  void (*down)(void *ctx, uint32_t device);
  void (*publish)(void *ctx, const sim_message *message);
} sim_broker_tap;
void sim_broker_tap_set(sim_broker *b, const sim_broker_tap *tap);

#endif
