/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_far.h - the far end of ports/mqtt for tests: a transport and stream that do as they are
 * told, and the packets of a broker, written without ports/mqtt's own codec.
 *
 * The stream checks the rule of TLS: after a write that would block, the next one begins with the
 * same bytes and has no fewer. */
#ifndef HTEL_TESTS_UNIT_MQTT_FAR_H
#define HTEL_TESTS_UNIT_MQTT_FAR_H

#include "htel_mqtt.h"
#include "../../ports/sim/sim_random.h"

#define FAR_ALL SIZE_MAX

typedef struct far_bytes {
  uint8_t *bytes;
  size_t count, room;
} far_bytes;

typedef struct far_packet {
  uint8_t head;
  const uint8_t *body;
  size_t size;
} far_packet;

/* What the clock shows when a far end is made. */
extern uint32_t far_tick_first;

typedef struct far_end {
  htel_mqtt_transport transport;
  uint32_t tick_ms;
  sim_random random;
  /* What has come from the client, and what it is to get. */
  far_bytes got, put;
  size_t taken;           /* of got, by far_take */
  size_t read;            /* of put, by the client */
  unsigned writes, reads; /* that carried bytes */
  /* How the stream behaves. */
  size_t read_max, write_max;     /* bytes a call at most */
  unsigned block_pct;             /* calls that would block for no reason */
  size_t read_limit, write_limit; /* bytes in all; then it would block, */
  int read_error, write_error;    /* or fail, where not 0 */
  /* The transport. */
  int open_result, step_result;
  unsigned close_steps; /* orderly closes that say HTEL_E_AGAIN */
  bool is_open, orderly;
  unsigned opens, closes;
  uint32_t timeout_ms;
  uint8_t refused[32]; /* what the blocked write began with */
  size_t refused_size; /* 0: none */
} far_end;

void far_init(far_end *far, uint64_t seed);
void far_free(far_end *far);

/* Forgets both directions: a new connection. */
void far_reset(far_end *far);

/* The next whole packet from the client; false: none yet. Valid until the client writes again. */
bool far_take(far_end *far, far_packet *packet);

/* Puts bytes, or a packet, before the client. */
void far_put(far_end *far, const void *bytes, size_t size);
void far_connack(far_end *far, uint8_t flags, uint8_t code);
void far_suback(far_end *far, uint16_t id, uint8_t code);
void far_puback(far_end *far, uint16_t id);
void far_pingresp(far_end *far);
void far_publish(far_end *far, uint16_t id, const void *payload, size_t size); /* id 0: QoS 0 */

/* ---- A client on it, and what it told -------------------------------------------------- */

#define NEAR_EVENTS_MAX 4096u

typedef struct near_end {
  far_end far;
  htel_mqtt mqtt;
  htel_mqtt_config config;
  uint8_t buffer[HTEL_MQTT_BUFFER_BYTES(HTEL_MQTT_WINDOW_BYTES_MIN)];
  const htel_link *link;
  htel_link_event events[NEAR_EVENTS_MAX]; /* payloads are copied to `messages` */
  size_t event_count;
  uint8_t messages[NEAR_EVENTS_MAX][16]; /* how they begin */
  uint32_t gone;                         /* token whose read() fails; 0: none */
} near_end;

void near_init(near_end *near, uint64_t seed);
void near_free(near_end *near);
int near_open(near_end *near); /* device "dev-1" with a receive topic, keep-alive 60 s */
/* Takes events until there are none; false when it does not come to that. */
bool near_poll(near_end *near);
/* The clock moves as far as the link's wait_ms says, until `ms` have passed; how many polls it
 * took. */
unsigned near_run(near_end *near, uint32_t ms);
size_t near_count(const near_end *near, htel_link_event_kind kind);
/* The error of the only DOWN. */
int near_error(const near_end *near);
/* open, CONNACK, SUBACK: UP, and nothing else is left to take. */
void near_up(near_end *near);
/* Publishes a pattern made of the token. */
int near_publish(near_end *near, uint32_t token, uint32_t size);
uint8_t near_pattern(uint32_t token, uint32_t offset);
/* A PUBLISH of `token` as the far end got it; its packet id. Asserts that all is right. */
uint16_t near_check_publish(const far_packet *packet, uint32_t token, uint32_t size);

/* On the heap. */
near_end *near_new(uint64_t seed);
void near_delete(near_end *near);

/* The next packet from the client begins so; is a PUBACK for `id`; is not there. */
void near_expect_head(near_end *near, uint8_t head);
void near_expect_puback(near_end *near, uint16_t id);
void near_expect_nothing(near_end *near);

#endif
