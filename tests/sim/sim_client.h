/* SPDX-License-Identifier: Apache-2.0 */
/* sim_client.h - ports/mqtt on the simulated network, a simple sender on it, and a simple ingest.
 *
 * The sender has so many frames to send, sends each until a receipt for it comes, and reconnects
 * after a second. The ingest gives a receipt for each frame that it takes. */
#ifndef HTEL_TESTS_SIM_CLIENT_H
#define HTEL_TESTS_SIM_CLIENT_H

#include "sim_broker.h"

enum { CLIENTS = 6, BROKER = CLIENTS, INGEST, ACTORS, FRAMES_MAX = 2000 };

typedef struct client {
  struct yard *yard;
  uint32_t number;
  char id[16];
  uint64_t boot;
  sim_path path;
  htel_mqtt mqtt;
  htel_mqtt_config config;
  uint8_t buffer[HTEL_MQTT_BUFFER_BYTES(HTEL_MQTT_WINDOW_BYTES_MIN)];
  bool on, up, open;
  bool closes; /* once all is receipted */
  int64_t retry_ms;
  uint32_t frame_bytes;
  uint32_t send_max;               /* frames beyond it are there and are not sent; 0: none */
  uint32_t frames;                 /* to be sent; they are 1 to so many */
  int64_t sent_ms[FRAMES_MAX + 1]; /* 0: not on this connection */
  bool ever_sent[FRAMES_MAX + 1];  /* given to ports/mqtt since the start */
  bool stored[FRAMES_MAX + 1];     /* the ingest had it */
  bool receipted[FRAMES_MAX + 1];
  uint32_t receipted_count, acked, ups, downs, messages, births_wanted, pauses, strangers;
  uint32_t receipt_order[FRAMES_MAX + 1], receipt_count; /* sequence numbers as they came */
  int error;                                             /* of the last DOWN */
} client;

typedef struct yard {
  sim_queue queue;
  sim_broker *broker;
  client clients[CLIENTS];
  bool ingest_away;
  uint32_t taken, taken_births, taken_statuses, taken_twice;
  uint32_t taps_up, taps_down, taps_publish;
  uint64_t digest;
} yard;

yard *yard_new(uint64_t seed);
void yard_free(yard *y);
client *client_start(yard *y, uint32_t number, uint32_t frames);
void client_stop(client *c, sim_end how); /* power off */
/* Until virtual time has gone on so far. */
void yard_run(yard *y, int64_t ms);
/* Until every client that is on has all its receipts; false: not within `ms`. */
bool yard_run_until_done(yard *y, int64_t ms);

#endif
