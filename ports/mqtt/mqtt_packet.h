/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_packet.h - MQTT 3.1.1 packets to bytes and back, as far as a publisher needs them.
 *
 * Pure: no I/O, no clock, no heap. What is sent is encoded whole into the caller's buffer (of
 * PUBLISH only the part before the payload). What comes is parsed without knowing how the stream
 * cuts it:
 *
 *     n = mqtt_parser_wants(&parser, payload, sizeof payload, &at);
 *     n = stream.read(at, n);                       any 1 to n bytes
 *     rc = mqtt_parser_advance(&parser, n);         1: a packet is whole
 *
 * The parser says where the next bytes belong, so nothing is copied and none are read too many: the
 * payload lands in its buffer, all else in the parser itself. */
#ifndef HTEL_MQTT_PACKET_H
#define HTEL_MQTT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mqtt_type {
  MQTT_CONNECT = 1,
  MQTT_CONNACK = 2,
  MQTT_PUBLISH = 3,
  MQTT_PUBACK = 4,
  MQTT_SUBSCRIBE = 8,
  MQTT_SUBACK = 9,
  MQTT_PINGREQ = 12,
  MQTT_PINGRESP = 13,
  MQTT_DISCONNECT = 14
} mqtt_type;

/* ---- Encoding: bytes written, or 0 where they do not fit in `room` ----------------------- */

typedef struct mqtt_connect {
  const char *client_id;
  const char *will_topic; /* retained, QoS 1 */
  const uint8_t *will;
  size_t will_size;
  uint16_t keep_alive_s;
} mqtt_connect;

/* A clean session, without user name and password: TLS says who we are. */
size_t mqtt_packet_connect(const mqtt_connect *connect, uint8_t *to, size_t room);

/* One topic at QoS 1. */
size_t mqtt_packet_subscribe(uint16_t id, const char *topic, uint8_t *to, size_t room);

/* Everything before the payload, at QoS 1; `payload_size` bytes must follow. */
size_t mqtt_packet_publish(uint16_t id, const char *topic, bool retain, uint32_t payload_size,
                           uint8_t *to, size_t room);

size_t mqtt_packet_puback(uint16_t id, uint8_t *to, size_t room);

/* PINGREQ and DISCONNECT. */
size_t mqtt_packet_bare(mqtt_type type, uint8_t *to, size_t room);

/* ---- Parsing what a broker sends ----------------------------------------------------- */

/* A PUBLISH with more after its fixed header is no broker's that serves us: topic and payload come
 * to some 600 bytes. */
#define MQTT_PUBLISH_BYTES_MAX 131072u

/* All zero is the beginning. After a packet was whole, the members below the line describe it
 * until the next mqtt_parser_wants(). */
typedef struct mqtt_parser {
  uint32_t left;       /* bytes of the packet still to come */
  uint16_t topic_left; /* of which topic */
  uint8_t stage;
  uint8_t count; /* bytes of the present field */
  /* ---- */
  uint8_t head;          /* type and flags */
  uint8_t field[3];      /* CONNACK: flags, code; SUBACK: id, code */
  uint16_t id;           /* PUBLISH at QoS 1, PUBACK, SUBACK */
  uint32_t payload_size; /* PUBLISH; when larger than the buffer, the payload was thrown away */
} mqtt_parser;

/* Where the next bytes are to go and how many at most; never 0. `room` is the same at every call, 1
 * at least. */
size_t mqtt_parser_wants(mqtt_parser *parser, uint8_t *payload, size_t room, uint8_t **at);

/* `count` bytes have come, at least 1. 0: go on; 1: a packet is whole; HTEL_E_PROTOCOL: this is no
 * packet that a broker may send to a client of 3.1.1 that subscribed at QoS 1 (nothing can be
 * parsed after it: begin with all zero). */
int mqtt_parser_advance(mqtt_parser *parser, size_t count);

mqtt_type mqtt_parser_type(const mqtt_parser *parser);
bool mqtt_parser_wants_ack(const mqtt_parser *parser); /* of a PUBLISH: QoS 1 */

#ifdef __cplusplus
}
#endif

#endif
