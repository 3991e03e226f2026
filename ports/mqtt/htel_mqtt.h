/* SPDX-License-Identifier: Apache-2.0 */
/* htel_mqtt.h - the link for small systems: publish-only MQTT 3.1.1 over any byte stream.
 *
 *     static htel_mqtt mqtt;
 *     static uint8_t buffer[HTEL_MQTT_BUFFER_BYTES(1400)];
 *     static const htel_mqtt_config config = {.transport = &transport, .tick_ms = ..., ...};
 *     htel_mqtt_init(&mqtt, &config);
 *     port.link = htel_mqtt_link(&mqtt);            the core does the rest
 *
 *     core --htel_link--> htel_mqtt --htel_stream--> TLS --> TCP
 *                             \--htel_mqtt_transport: open, step... close
 *
 * No heap, no thread, no waiting: each call does a bounded piece of work. All runs in the thread
 * that calls htel_poll. Memory is the caller's: htel_mqtt (at most 256 bytes
 * beyond its stream where pointers have 32 bits) and
 * one buffer, of which the first HTEL_LINK_MESSAGE_BYTES_MAX bytes take what comes and the rest is
 * a window on what goes: payloads are pulled from htel_message.read() into it as the stream takes
 * them, and are not kept. Every window full becomes one write, so one TLS record: a small window
 * costs bytes on the wire (29 a record with AES-GCM, and 40 of TCP/IP), not speed.
 *
 * In flight (published, PUBACK still to come): HTEL_MQTT_IN_FLIGHT_MAX messages; publish() then
 * says HTEL_E_AGAIN. That is 24 messages a round trip: below the core's own 50 a second (by
 * default) only where a round trip takes over 0.48 s. */
#ifndef HTEL_MQTT_H
#define HTEL_MQTT_H

#include "healthtel/error.h"
#include "healthtel/port.h"
#include "mqtt_packet.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HTEL_MQTT_IN_FLIGHT_MAX 24u
#define HTEL_MQTT_ACKS_MAX 8u             /* received messages whose PUBACK waits for its turn */
#define HTEL_MQTT_WINDOW_BYTES_MIN 256u   /* holds CONNECT and SUBSCRIBE whole */
#define HTEL_MQTT_WINDOW_BYTES_MAX 16384u /* a TLS record */
#define HTEL_MQTT_BUFFER_BYTES(window) (HTEL_LINK_MESSAGE_BYTES_MAX + (window))

/* How to reach the broker: name, TCP, TLS. One connection at a time. A step that ends with an error
 * is followed by close(ctx, false). All functions return at once. ports/dial is one for hosts. */
typedef struct htel_mqtt_transport {
  void *ctx;
  /* Begins. 0: under way; HTEL_E_AGAIN: the last connection is still being taken down; other
   * errors: cannot be. */
  int (*open)(void *ctx, uint32_t timeout_ms);
  /* Goes on. HTEL_E_AGAIN; 0: connected and verified; an error, which comes by itself when
   * `timeout_ms` have passed since open(). */
  int (*step)(void *ctx);
  /* The connection, after step() gave 0 and until close(). */
  htel_stream (*stream)(void *ctx);
  /* Milliseconds until step(), close() or the stream is worth another try although nothing ends the
   * poller's sleep. Asked for before each sleep: the place to arrange for being woken when what
   * would block blocks no longer. 1000 where that is sure, less where not. */
  uint32_t (*wait_ms)(void *ctx);
  /* Ends. `orderly`: tells the other end (close_notify, FIN) and gives it a moment to answer:
   * HTEL_E_AGAIN means call again. 0: gone. Not `orderly`: always 0. Also when nothing is open. */
  int (*close)(void *ctx, bool orderly);
} htel_mqtt_transport;

typedef struct htel_mqtt_config {
  const htel_mqtt_transport *transport;
  uint32_t (*tick_ms)(void *ctx); /* as htel_port.tick_ms */
  void *tick_ctx;
  uint8_t *buffer;
  size_t buffer_size;          /* HTEL_MQTT_BUFFER_BYTES(HTEL_MQTT_WINDOW_BYTES_MIN to ..._MAX) */
  uint32_t connect_timeout_ms; /* open to SUBACK, all together; 0 counts as 20000 */
} htel_mqtt_config;

/* The members are for htel_mqtt.c. Must not move after htel_mqtt_init. */
typedef struct htel_mqtt {
  htel_link link;
  const htel_mqtt_config *config;
  htel_stream stream;

  /* The message that is partly in the window. */
  int (*read)(void *source, uint32_t token, uint32_t offset, uint8_t *buf, size_t size);
  void *source;
  uint32_t offset, left; /* bytes pulled, bytes to pull */

  uint32_t tokens[HTEL_MQTT_IN_FLIGHT_MAX]; /* by slot */
  uint8_t generations[HTEL_MQTT_IN_FLIGHT_MAX];
  uint32_t in_flight;                /* a bit for each slot */
  uint16_t acks[HTEL_MQTT_ACKS_MAX]; /* packet ids to acknowledge */
  mqtt_parser parser;

  uint32_t began_ms; /* when open() or close() was called */
  uint32_t heard_ms; /* last byte from the broker */
  uint32_t sent_ms;  /* last bytes to it */
  uint32_t ack_ms;   /* when the oldest of acks came */
  uint32_t full_ms;  /* when the last slot was taken */
  uint16_t keep_alive_s;
  uint16_t window_used, window_held; /* bytes; of which not to be sent yet: SUBSCRIBE */
  int16_t error;                     /* for DOWN */
  uint8_t state;
  uint8_t slot; /* of the message partly in the window */
  uint8_t ack_count;
  bool suback_due; /* SUBSCRIBE is on its way */
  bool pinged;     /* PINGREQ is out and nothing has come since */
  bool disconnect; /* DISCONNECT is in the window */
  bool blocked;    /* the stream would not take more */
  bool more;       /* there may be more to do at once */
} htel_mqtt;

/* `config` is kept by reference, and all that it names. 0, or HTEL_E_ARGUMENT. */
int htel_mqtt_init(htel_mqtt *mqtt, const htel_mqtt_config *config);

const htel_link *htel_mqtt_link(htel_mqtt *mqtt);

#ifdef __cplusplus
}
#endif

#endif
