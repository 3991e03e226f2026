/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_packet.c - see mqtt_packet.h. "3.1" and the like are sections of the OASIS standard. */
#include "mqtt_packet.h"

#include <string.h>

#include "healthtel/error.h"

#define LENGTH_MAX 268435455u /* four bytes of seven bits */

/* ---- Encoding ------------------------------------------------------------------------ */

static size_t length_size(uint32_t length) {
  size_t size = 1;
  for (; length > 127u; length >>= 7) size++;
  return size;
}

static uint8_t *put_u16(uint8_t *to, uint32_t value) {
  to[0] = (uint8_t)(value >> 8);
  to[1] = (uint8_t)value;
  return to + 2;
}

/* A string or binary field: two bytes of size, then the bytes. */
static uint8_t *put_field(uint8_t *to, const void *bytes, size_t size) {
  to = put_u16(to, (uint32_t)size);
  if (size > 0) memcpy(to, bytes, size);
  return to + size;
}

/* The fixed header of a packet of which `here` bytes after it must fit and `later` follow; NULL
 * when they do not. Sizes are checked here, once for all. */
static uint8_t *put_head(uint8_t head, size_t here, uint32_t later, uint8_t *to, size_t room) {
  if (here > UINT16_MAX * 4u || later > LENGTH_MAX - here) return NULL;
  uint32_t length = (uint32_t)here + later;
  size_t size = 1 + length_size(length);
  if (size > room || here > room - size) return NULL;
  *to++ = head;
  for (; length > 127u; length >>= 7) *to++ = (uint8_t)(length | 0x80u);
  *to++ = (uint8_t)length;
  return to;
}

size_t mqtt_packet_connect(const mqtt_connect *connect, uint8_t *to, size_t room) {
  static const uint8_t protocol[] = {0,   4, 'M', 'Q', 'T', 'T', 4 /* 3.1.1 */,
                                     0x2e /* will retained, QoS 1, clean session */};
  size_t id = strlen(connect->client_id);
  size_t topic = strlen(connect->will_topic);
  if (id > UINT16_MAX || topic > UINT16_MAX || connect->will_size > UINT16_MAX) return 0;
  size_t size = sizeof protocol + 2 + 2 + id + 2 + topic + 2 + connect->will_size;
  uint8_t *at = put_head(MQTT_CONNECT << 4, size, 0, to, room);
  if (at == NULL) return 0;
  memcpy(at, protocol, sizeof protocol);
  at = put_u16(at + sizeof protocol, connect->keep_alive_s);
  at = put_field(at, connect->client_id, id);
  at = put_field(at, connect->will_topic, topic);
  at = put_field(at, connect->will, connect->will_size);
  return (size_t)(at - to);
}

size_t mqtt_packet_subscribe(uint16_t id, const char *topic, uint8_t *to, size_t room) {
  size_t size = strlen(topic);
  uint8_t *at =
      size > UINT16_MAX ? NULL : put_head(MQTT_SUBSCRIBE << 4 | 2, 2 + 2 + size + 1, 0, to, room);
  if (at == NULL) return 0;
  at = put_field(put_u16(at, id), topic, size);
  *at++ = 1;
  return (size_t)(at - to);
}

size_t mqtt_packet_publish(uint16_t id, const char *topic, bool retain, uint32_t payload_size,
                           uint8_t *to, size_t room) {
  size_t size = strlen(topic);
  uint8_t head = MQTT_PUBLISH << 4 | 1 << 1;
  uint8_t *at = size > UINT16_MAX ? NULL
                                  : put_head((uint8_t)(head | (retain ? 1 : 0)), 2 + size + 2,
                                             payload_size, to, room);
  if (at == NULL) return 0;
  at = put_u16(put_field(at, topic, size), id);
  return (size_t)(at - to);
}

size_t mqtt_packet_puback(uint16_t id, uint8_t *to, size_t room) {
  uint8_t *at = put_head(MQTT_PUBACK << 4, 2, 0, to, room);
  return at == NULL ? 0 : (size_t)(put_u16(at, id) - to);
}

size_t mqtt_packet_bare(mqtt_type type, uint8_t *to, size_t room) {
  uint8_t *at = put_head((uint8_t)(type << 4), 0, 0, to, room);
  return at == NULL ? 0 : (size_t)(at - to);
}

/* ---- Parsing ------------------------------------------------------------------------- */

enum { HEAD, LENGTH, FIELDS, TOPIC_SIZE, TOPIC, ID, PAYLOAD, WHOLE };

static uint16_t get_u16(const uint8_t *from) {
  return (uint16_t)(from[0] << 8 | from[1]);
}

mqtt_type mqtt_parser_type(const mqtt_parser *parser) {
  return (mqtt_type)(parser->head >> 4);
}

bool mqtt_parser_wants_ack(const mqtt_parser *parser) {
  return (parser->head & 0x06u) != 0;
}

size_t mqtt_parser_wants(mqtt_parser *parser, uint8_t *payload, size_t room, uint8_t **at) {
  *at = parser->field + parser->count;
  switch (parser->stage) {
    case WHOLE:
      memset(parser, 0, sizeof *parser);
      *at = &parser->head;
      return 1;
    case HEAD: *at = &parser->head; return 1;
    case LENGTH: *at = parser->field; return 1;
    case FIELDS: return parser->left;
    case TOPIC: /* only one was subscribed to: it need not be looked at */
      *at = payload;
      return parser->topic_left < room ? parser->topic_left : room;
    case PAYLOAD:
      *at = payload;
      if (parser->payload_size > room) return parser->left < room ? parser->left : room;
      *at += parser->payload_size - parser->left;
      return parser->left;
    default: return 2u - parser->count; /* TOPIC_SIZE, ID */
  }
}

/* What a broker may send, and how long the packet must be (0x0f: any length). */
static int head_length(uint8_t head) {
  switch (head) {
    case MQTT_CONNACK << 4: return 2;
    case MQTT_PUBACK << 4: return 2;
    case MQTT_SUBACK << 4: return 3;
    case MQTT_PINGRESP << 4: return 0;
    /* PUBLISH: DUP only at QoS 1; QoS 2 was not asked for. */
    case MQTT_PUBLISH << 4 | 0:
    case MQTT_PUBLISH << 4 | 1:
    case MQTT_PUBLISH << 4 | 2:
    case MQTT_PUBLISH << 4 | 3:
    case MQTT_PUBLISH << 4 | 10:
    case MQTT_PUBLISH << 4 | 11: return 0x0f;
    default: return HTEL_E_PROTOCOL;
  }
}

static int stage_begin(mqtt_parser *parser, uint8_t stage) {
  parser->stage = stage;
  parser->count = 0;
  return 0;
}

static int whole(mqtt_parser *parser) {
  parser->stage = WHOLE;
  return 1;
}

static int on_length(mqtt_parser *parser) {
  uint8_t byte = parser->field[0];
  parser->left |= (uint32_t)(byte & 0x7fu) << (7u * parser->count++);
  if ((byte & 0x80u) != 0) return parser->count < 4 ? 0 : HTEL_E_PROTOCOL;
  if (mqtt_parser_type(parser) != MQTT_PUBLISH) {
    if (parser->left != (uint32_t)head_length(parser->head)) return HTEL_E_PROTOCOL;
    return parser->left == 0 ? whole(parser) : stage_begin(parser, FIELDS);
  }
  uint32_t least = mqtt_parser_wants_ack(parser) ? 5 : 3; /* with a topic of one character */
  /* One that claims to be longer would swallow all that comes after it, receipts too. */
  if (parser->left < least || parser->left > MQTT_PUBLISH_BYTES_MAX) return HTEL_E_PROTOCOL;
  return stage_begin(parser, TOPIC_SIZE);
}

static int on_fields(mqtt_parser *parser, size_t count) {
  parser->count = (uint8_t)(parser->count + count);
  if (parser->left > 0) return 0;
  parser->id = get_u16(parser->field);
  return whole(parser);
}

static int on_topic_size(mqtt_parser *parser) {
  parser->topic_left = get_u16(parser->field);
  uint32_t rest = mqtt_parser_wants_ack(parser) ? 2 : 0;
  if (parser->topic_left == 0 || parser->topic_left + rest > parser->left) return HTEL_E_PROTOCOL;
  return stage_begin(parser, TOPIC);
}

static int payload_begin(mqtt_parser *parser) {
  parser->payload_size = parser->left;
  return parser->left == 0 ? whole(parser) : stage_begin(parser, PAYLOAD);
}

static int on_id(mqtt_parser *parser) {
  parser->id = get_u16(parser->field);
  return parser->id == 0 ? HTEL_E_PROTOCOL : payload_begin(parser);
}

int mqtt_parser_advance(mqtt_parser *parser, size_t count) {
  if (parser->stage == HEAD) {
    return head_length(parser->head) < 0 ? HTEL_E_PROTOCOL : stage_begin(parser, LENGTH);
  }
  if (parser->stage == LENGTH) return on_length(parser);
  parser->left -= (uint32_t)count;
  switch (parser->stage) {
    case FIELDS: return on_fields(parser, count);
    case TOPIC:
      parser->topic_left = (uint16_t)(parser->topic_left - count);
      if (parser->topic_left > 0) return 0;
      return mqtt_parser_wants_ack(parser) ? stage_begin(parser, ID) : payload_begin(parser);
    case PAYLOAD: return parser->left > 0 ? 0 : whole(parser);
    default: break;
  }
  parser->count = (uint8_t)(parser->count + count); /* TOPIC_SIZE, ID: two bytes */
  if (parser->count < 2) return 0;
  return parser->stage == ID ? on_id(parser) : on_topic_size(parser);
}
