/* SPDX-License-Identifier: Apache-2.0 */
/* htel_mqtt.c - one MQTT session after the other: see htel_mqtt.h.
 *
 *     IDLE --open--> DIALING --connected--> GREETING --CONNACK--> UP
 *      ^                                                          | close
 *      +--DOWN told-- ENDED <--gone-- HANGING_UP <--- LEAVING <---+
 *                       ^--- any error, from anywhere
 *
 * What goes out is put into the window, whole packets one behind the other, but for the payload of
 * the last, which is pulled as room comes free. While a payload is not all in the window nothing
 * else can go in: PUBACK and PINGREQ wait. next() writes, publish() does not, so that several small
 * messages of one poll go as one record. PUBACKs wait for company too, since alone each costs a
 * record and a segment.
 *
 * CONNECT and SUBSCRIBE are encoded in open(), while the texts of the session are there; SUBSCRIBE
 * is held back until CONNACK. (The standard allows to send it at once; AWS IoT Core was seen to
 * hang up then.) SUBACK is not waited for: what is published first goes behind SUBSCRIBE, in one
 * record with it. A refusal of it ends the connection, as does its not coming.
 */
#include "htel_mqtt.h"

#include <string.h>

#define CONNECT_TIMEOUT_MS 20000u
#define KEEP_ALIVE_S 60u
#define PAYLOAD_BYTES_MAX 61440u

/* A packet id is 8 bits of generation and 5 of slot + 1, so that an acknowledgement which comes
 * late or twice is never taken for another message's. */
#define SLOT_BITS 5u
#define SLOT_MASK ((1u << SLOT_BITS) - 1u)
#define SUBSCRIBE_ID (HTEL_MQTT_IN_FLIGHT_MAX + 1u)
#define ALL_IN_FLIGHT ((1u << HTEL_MQTT_IN_FLIGHT_MAX) - 1u)

#define READS_MAX 16u /* by one next() */
#define WRITES_MAX 4u
#define WAIT_MS_MAX 1000u

/* A PUBACK waits so long for something to go with, more than the usual 10 s between frames, or
 * until so many wait: fewer than the smallest window that brokers give a client (mosquitto: 20). */
#define ACK_HOLD_MS 12000u
#define ACK_HOLD_COUNT 4u

#define CLOSE_ACK_MS 2000u /* for PUBACKs, before DISCONNECT */
#define CLOSE_MS 5000u     /* to get DISCONNECT out */

_Static_assert(sizeof(void *) > 4 || sizeof(htel_mqtt) - sizeof(htel_stream) <= 256,
               "htel_mqtt.h promises it");
_Static_assert(SUBSCRIBE_ID <= SLOT_MASK, "its id must be no message's");

enum { IDLE, DIALING, GREETING, UP, LEAVING, HANGING_UP, ENDED };

static uint32_t now_ms(const htel_mqtt *m) {
  return m->config->tick_ms(m->config->tick_ctx);
}

static uint8_t *window(const htel_mqtt *m) {
  return m->config->buffer + HTEL_LINK_MESSAGE_BYTES_MAX;
}

static size_t window_room(const htel_mqtt *m) {
  return m->config->buffer_size - HTEL_LINK_MESSAGE_BYTES_MAX - m->window_used;
}

static uint8_t *window_end(const htel_mqtt *m) {
  return window(m) + m->window_used;
}

static uint32_t connect_timeout_ms(const htel_mqtt *m) {
  uint32_t ms = m->config->connect_timeout_ms;
  return ms != 0 ? ms : CONNECT_TIMEOUT_MS;
}

static uint32_t keep_alive_ms(const htel_mqtt *m) {
  return m->keep_alive_s * 1000u;
}

static uint32_t silence_ms(const htel_mqtt *m) {
#if defined(HEALTHTEL_PLANT) && HEALTHTEL_PLANT == 33 /* ../../src/plant.h */
  if (m->state > IDLE) return INT32_MAX;
#endif
  return m->keep_alive_s * 1500u;
}

/* There is a stream. */
static bool is_talking(const htel_mqtt *m) {
  return m->state >= GREETING && m->state <= LEAVING;
}

static int end(htel_mqtt *m, int error) {
  m->config->transport->close(m->config->transport->ctx, false);
  m->error = (int16_t)(m->state >= LEAVING ? 0 : error); /* an end was asked for: any will do */
  m->state = ENDED;
  return error;
}

/* ---- Out: what goes into the window ---------------------------------------------------- */

/* Pulls as much of the payload as there is room for. */
static int fill(htel_mqtt *m) {
  size_t size = window_room(m);
  if (size > m->left) size = m->left;
  if (size == 0) return 0;
  int rc = m->read(m->source, m->tokens[m->slot], m->offset, window_end(m), size);
  if (rc != 0) return rc;
  m->window_used = (uint16_t)(m->window_used + size);
  m->offset += (uint32_t)size;
  m->left -= (uint32_t)size;
  return 0;
}

/* Not behind DISCONNECT, which is the last of all. */
static void put_acks(htel_mqtt *m) {
  uint8_t done = 0;
  while (m->left == 0 && !m->disconnect && done < m->ack_count) {
    size_t size = mqtt_packet_puback(m->acks[done], window_end(m), window_room(m));
    if (size == 0) break;
    m->window_used = (uint16_t)(m->window_used + size);
    done++;
  }
  m->ack_count = (uint8_t)(m->ack_count - done);
  memmove(m->acks, m->acks + done, m->ack_count * sizeof m->acks[0]);
}

static bool acks_due(const htel_mqtt *m) {
  if (m->ack_count == 0) return false;
  return m->window_used > 0 || m->ack_count >= ACK_HOLD_COUNT || m->state == LEAVING ||
         now_ms(m) - m->ack_ms >= ACK_HOLD_MS;
}

/* PINGREQ, DISCONNECT: whether it went in. */
static bool put_bare(htel_mqtt *m, mqtt_type type) {
  size_t size = mqtt_packet_bare(type, window_end(m), window_room(m));
  m->window_used = (uint16_t)(m->window_used + size);
  return size > 0;
}

static bool quiet_for(const htel_mqtt *m, uint32_t ms) {
  uint32_t now = now_ms(m);
  return now - m->sent_ms >= ms || now - m->heard_ms >= ms;
}

/* Everything but messages, each when it is time. Comes after fill(): a payload that is not all in
 * has left no room. */
static void put_control(htel_mqtt *m) {
  if (m->state < UP || m->window_held > 0 || m->disconnect) return;
  if (!m->pinged && quiet_for(m, keep_alive_ms(m))) m->pinged = put_bare(m, MQTT_PINGREQ);
  if (acks_due(m)) put_acks(m);
  if (m->state == LEAVING && m->ack_count == 0 &&
      (m->in_flight == 0 || now_ms(m) - m->began_ms >= CLOSE_ACK_MS))
    m->disconnect = put_bare(m, MQTT_DISCONNECT);
}

static int transmit(htel_mqtt *m) {
  m->blocked = false;
  for (unsigned i = 0; i < WRITES_MAX; i++) {
    int rc = fill(m);
    if (rc != 0) return rc;
    put_control(m);
    size_t size = (size_t)m->window_used - m->window_held;
    if (size == 0) return 0;
    int n = m->stream.write(m->stream.ctx, window(m), size);
    if (n < 0) return n;
    m->blocked = n == 0;
    if (m->blocked) return 0;
    m->window_used = (uint16_t)(m->window_used - n);
    memmove(window(m), window(m) + n, m->window_used);
    m->sent_ms = now_ms(m);
  }
  m->more = true;
  return 0;
}

/* ---- In: what a packet means ----------------------------------------------------------- */

static int connack_error(uint8_t code) {
  switch (code) {
    case 0: return 0;
    case 1: /* protocol version */
    case 2: /* client id */
    case 3: /* server unavailable */ return HTEL_E_REFUSED;
    case 4: /* user name or password */
    case 5: /* not authorized */ return HTEL_E_UNAUTHORIZED;
    default: return HTEL_E_PROTOCOL;
  }
}

static int on_connack(htel_mqtt *m, htel_link_event *event) {
  int rc = connack_error(m->parser.field[1]);
  if (rc != 0) return rc;
  if (m->parser.field[0] != 0) return HTEL_E_PROTOCOL; /* a session that we never had */
  m->suback_due = m->window_held > 0;
  m->state = UP;
  event->kind = HTEL_LINK_UP;
  return 1;
}

static int on_suback(htel_mqtt *m) {
  if (!m->suback_due || m->parser.id != SUBSCRIBE_ID) return HTEL_E_PROTOCOL;
  uint8_t code = m->parser.field[2];
  if (code > 1) return code == 0x80 ? HTEL_E_SUBSCRIBE : HTEL_E_PROTOCOL;
  m->suback_due = false;
  return 0;
}

static int on_puback(htel_mqtt *m, htel_link_event *event) {
  unsigned slot = (m->parser.id & SLOT_MASK) - 1u; /* wraps for id 0 */
  unsigned generation = m->parser.id >> SLOT_BITS;
  if (slot >= HTEL_MQTT_IN_FLIGHT_MAX || generation > UINT8_MAX) return HTEL_E_PROTOCOL;
  if ((m->in_flight >> slot & 1u) == 0 || generation != m->generations[slot]) return 0;
  if (m->left > 0 && slot == m->slot) return HTEL_E_PROTOCOL; /* it cannot have all of it */
  m->in_flight &= ~(1u << slot);
  event->kind = HTEL_LINK_ACKED;
  event->token = m->tokens[slot];
  return 1;
}

static int on_publish(htel_mqtt *m, htel_link_event *event) {
  if (mqtt_parser_wants_ack(&m->parser)) {
    if (m->ack_count == 0) m->ack_ms = m->heard_ms;
    m->acks[m->ack_count++] = m->parser.id; /* receive() has seen to the room */
  }
  if (m->parser.payload_size > HTEL_LINK_MESSAGE_BYTES_MAX) return 0;
  event->kind = HTEL_LINK_MESSAGE;
  event->payload = m->config->buffer;
  event->size = m->parser.payload_size;
  return 1;
}

/* 1: `event` is filled in; 0: nothing to tell; or an error. */
static int on_packet(htel_mqtt *m, htel_link_event *event) {
  mqtt_type type = mqtt_parser_type(&m->parser);
  if ((m->state == GREETING) != (type == MQTT_CONNACK)) return HTEL_E_PROTOCOL;
  switch (type) {
    case MQTT_CONNACK: return on_connack(m, event);
    case MQTT_SUBACK: return on_suback(m);
    case MQTT_PUBACK: return on_puback(m, event);
    case MQTT_PUBLISH: return on_publish(m, event);
    default: return 0; /* PINGRESP */
  }
}

static int receive(htel_mqtt *m, htel_link_event *event) {
  for (unsigned i = 0; i < READS_MAX; i++) {
    if (m->ack_count == HTEL_MQTT_ACKS_MAX) put_acks(m);
    if (m->ack_count == HTEL_MQTT_ACKS_MAX) return 0; /* the broker has to wait a little */
    uint8_t *at;
    size_t size =
        mqtt_parser_wants(&m->parser, m->config->buffer, HTEL_LINK_MESSAGE_BYTES_MAX, &at);
    int n = m->stream.read(m->stream.ctx, at, size);
    if (n <= 0) return n;
    m->heard_ms = now_ms(m);
    m->pinged = false;
    int rc = mqtt_parser_advance(&m->parser, (size_t)n);
    if (rc == 1) rc = on_packet(m, event);
    if (rc != 0) {
      m->more = true;
      return rc;
    }
  }
  m->more = true;
  return 0;
}

/* ---- The session ----------------------------------------------------------------------- */

/* Silence and lateness. A stream that takes bytes proves nothing: only what comes does. A broker
 * that acknowledges none of a full table is as good as silent. */
static int watch(const htel_mqtt *m) {
  uint32_t now = now_ms(m);
  if (m->state == LEAVING && now - m->began_ms >= CLOSE_MS) return HTEL_E_TIMEOUT;
  if ((m->state < UP || m->suback_due) && now - m->began_ms >= connect_timeout_ms(m))
    return HTEL_E_LINK_SILENT;
  if (m->state < UP) return 0;
  bool full = m->in_flight == ALL_IN_FLIGHT && now - m->full_ms >= silence_ms(m);
  return full || now - m->heard_ms >= silence_ms(m) ? HTEL_E_LINK_SILENT : 0;
}

static int dial(htel_mqtt *m) {
  const htel_mqtt_transport *transport = m->config->transport;
  int rc = transport->step(transport->ctx);
  if (rc != 0) return rc == HTEL_E_AGAIN ? 0 : rc;
  m->stream = transport->stream(transport->ctx);
  m->heard_ms = m->sent_ms = now_ms(m);
  m->state = GREETING;
  return 0;
}

static void hang_up(htel_mqtt *m) {
  const htel_mqtt_transport *transport = m->config->transport;
  if (transport->close(transport->ctx, true) == HTEL_E_AGAIN) return;
  m->error = 0;
  m->state = ENDED;
}

static int converse(htel_mqtt *m, htel_link_event *event) {
  int told = receive(m, event); /* first: a refusal must be read before a write finds the end */
  if (told < 0) return told;
  int rc = watch(m);
  if (rc == 0) rc = transmit(m);
  if (rc == 0 && m->disconnect && m->window_used == 0) m->state = HANGING_UP;
  if (rc != 0) end(m, rc);
  return told;
}

static int link_next(void *ctx, htel_link_event *event) {
  htel_mqtt *m = ctx;
  memset(event, 0, sizeof *event);
  m->more = false;
  int rc = m->state == DIALING ? dial(m) : 0;
  if (rc == 0 && is_talking(m)) rc = converse(m, event);
  if (rc == 1) return 1;
  if (rc < 0) end(m, rc);
  if (m->state == HANGING_UP) hang_up(m);
  if (m->state != ENDED) return 0;
  m->state = IDLE;
  event->kind = HTEL_LINK_DOWN;
  event->error = m->error;
  return 1;
}

static int session_encode(htel_mqtt *m, const htel_link_session *session) {
  if (session->client_id == NULL || session->will_topic == NULL ||
      (session->will == NULL && session->will_size > 0))
    return HTEL_E_ARGUMENT;
  m->keep_alive_s = session->keep_alive_s != 0 ? session->keep_alive_s : KEEP_ALIVE_S;
  mqtt_connect connect = {.client_id = session->client_id,
                          .will_topic = session->will_topic,
                          .will = session->will,
                          .will_size = session->will_size,
                          .keep_alive_s = m->keep_alive_s};
  size_t size = mqtt_packet_connect(&connect, window_end(m), window_room(m));
  if (size == 0) return HTEL_E_TOO_LARGE;
  m->window_used = (uint16_t)size;
  if (session->receive_topic == NULL) return 0;
  size = mqtt_packet_subscribe(SUBSCRIBE_ID, session->receive_topic, window_end(m), window_room(m));
  if (size == 0) return HTEL_E_TOO_LARGE;
  m->window_used = (uint16_t)(m->window_used + size);
  m->window_held = (uint16_t)size;
  return 0;
}

static int link_open(void *ctx, const htel_link_session *session) {
  htel_mqtt *m = ctx;
  const htel_mqtt_transport *transport = m->config->transport;
  if (m->state != IDLE) return HTEL_E_AGAIN;
  htel_mqtt_init(m, m->config);
  int rc = session_encode(m, session);
  if (rc != 0) return rc;
  m->began_ms = now_ms(m);
  rc = transport->open(transport->ctx, connect_timeout_ms(m));
  if (rc == 0) m->state = DIALING;
  return rc;
}

/* Where a message is to be noted. One that is published again takes the place of its first time,
 * whose acknowledgement is overdue (AWS IoT Core gives none when it throttles). */
static uint8_t slot_find(const htel_mqtt *m, uint32_t token) {
  uint8_t unused = HTEL_MQTT_IN_FLIGHT_MAX;
  for (uint8_t slot = 0; slot < HTEL_MQTT_IN_FLIGHT_MAX; slot++) {
    bool used = (m->in_flight >> slot & 1u) != 0;
    if (used && m->tokens[slot] == token) return slot;
    if (!used) unused = slot;
  }
  return unused;
}

static int link_publish(void *ctx, const htel_message *message) {
  htel_mqtt *m = ctx;
  if (m->state != UP) return HTEL_E_CLOSED;
  if (message->topic == NULL || message->size > PAYLOAD_BYTES_MAX) return end(m, HTEL_E_TOO_LARGE);
  m->window_held = 0;
  put_acks(m);
  uint8_t slot = slot_find(m, message->token);
  if (m->left > 0 || slot == HTEL_MQTT_IN_FLIGHT_MAX) return HTEL_E_AGAIN;
  uint8_t generation = (uint8_t)(m->generations[slot] + 1u);
  uint16_t id = (uint16_t)((unsigned)generation << SLOT_BITS | (slot + 1u));
  size_t size = mqtt_packet_publish(id, message->topic, message->retain, message->size,
                                    window_end(m), window_room(m));
  if (size == 0) return m->window_used > 0 ? HTEL_E_AGAIN : end(m, HTEL_E_TOO_LARGE);
  m->window_used = (uint16_t)(m->window_used + size);
  m->generations[slot] = generation;
  m->in_flight |= 1u << slot;
  if (m->in_flight == ALL_IN_FLIGHT) m->full_ms = now_ms(m);
  m->tokens[slot] = message->token;
  m->slot = slot;
  m->read = message->read;
  m->source = message->source;
  m->offset = 0;
  m->left = message->size;
  int rc = fill(m);
  return rc != 0 ? end(m, rc) : 0;
}

static uint32_t min32(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

/* What is left of `span_ms` that began at `from_ms`. */
static uint32_t rest_ms(const htel_mqtt *m, uint32_t from_ms, uint32_t span_ms) {
  uint32_t past_ms = now_ms(m) - from_ms;
  return past_ms < span_ms ? span_ms - past_ms : 0;
}

static uint32_t link_wait_ms(void *ctx) {
  htel_mqtt *m = ctx;
  if (m->state == IDLE) return WAIT_MS_MAX;
  if (m->state == ENDED || m->more) return 0;
  if (m->state >= UP) m->window_held = 0; /* nothing was published for it to go with */
  if (is_talking(m) && m->window_used > m->window_held && !m->blocked) return 0;
  const htel_mqtt_transport *transport = m->config->transport;
  uint32_t wait = min32(WAIT_MS_MAX, transport->wait_ms(transport->ctx));
  if (!is_talking(m)) return wait;
  if (m->state < UP || m->suback_due)
    wait = min32(wait, rest_ms(m, m->began_ms, connect_timeout_ms(m)));
  if (m->state < UP) return wait;
  wait = min32(wait, rest_ms(m, m->heard_ms, silence_ms(m)));
  if (m->blocked) return wait;
  if (m->ack_count > 0) wait = min32(wait, rest_ms(m, m->ack_ms, ACK_HOLD_MS));
  if (m->pinged) return wait;
  wait = min32(wait, rest_ms(m, m->heard_ms, keep_alive_ms(m)));
  return min32(wait, rest_ms(m, m->sent_ms, keep_alive_ms(m)));
}

static void link_close(void *ctx) {
  htel_mqtt *m = ctx;
  if (m->state == IDLE || m->state >= LEAVING) return;
  m->began_ms = now_ms(m);
  m->window_held = 0;
  m->more = true;
  if (m->state < UP)
    end(m, 0);
  else
    m->state = LEAVING;
}

int htel_mqtt_init(htel_mqtt *mqtt, const htel_mqtt_config *config) {
  if (config == NULL || config->transport == NULL || config->tick_ms == NULL ||
      config->buffer == NULL ||
      config->buffer_size < HTEL_MQTT_BUFFER_BYTES(HTEL_MQTT_WINDOW_BYTES_MIN) ||
      config->buffer_size > HTEL_MQTT_BUFFER_BYTES(HTEL_MQTT_WINDOW_BYTES_MAX))
    return HTEL_E_ARGUMENT;
  memset(mqtt, 0, sizeof *mqtt);
  mqtt->config = config;
  mqtt->link = (htel_link){.ctx = mqtt,
                           .open = link_open,
                           .publish = link_publish,
                           .next = link_next,
                           .wait_ms = link_wait_ms,
                           .close = link_close};
  return 0;
}

const htel_link *htel_mqtt_link(htel_mqtt *mqtt) {
  return &mqtt->link;
}
