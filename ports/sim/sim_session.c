/* SPDX-License-Identifier: Apache-2.0 */
/* sim_session.c - one client of the broker: its packets, and when they are answered.
 *
 *     conn -> in -> packet_take -> ack, publish, subscribe... -> out -> conn
 *                                           receipts: held -> later -^
 *
 * Packets that came whole are read where they lie; only what is left of one is kept. "3.1" and the
 * like are sections of the OASIS standard. */
#include "sim_broker_parts.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_KEPT 1024u       /* of a buffer that is empty */
#define OUT_BYTES_MAX 262144u  /* a client that takes nothing is given up */
#define LATER_BYTES_MAX 65536u /* receipts beyond it are dropped, as brokers do */
#define READ_BYTES_SLOW 4096u  /* while it takes one packet at a time */
#define CONNECT_MS_MAX 30000   /* from TLS to CONNECT */
#define HELD_MS_MAX 15000u     /* a receipt held back goes then without company */
#define ACK_SWAP_MS 1000u      /* reordered PUBACKs are so much later */
#define CLIENT_ID_CHARS_MAX 64u
#define QOS_REFUSED 0x80u
#define HOSTILE_PCT 15u /* of PUBLISH packets call for an act */

enum {
  CONNECT = 1,
  PUBLISH = 3,
  PUBACK = 4,
  SUBSCRIBE = 8,
  UNSUBSCRIBE = 10,
  PINGREQ = 12,
  DISCONNECT = 14
};

/* ---- Buffers ------------------------------------------------------------------------------- */

static bool bytes_reserve(session_bytes *b, uint32_t more) {
  if (b->room - b->used >= more) return true;
  uint32_t room = b->room > 0 ? b->room : 64u;
  while (room - b->used < more) room *= 2u;
  uint8_t *at = realloc(b->at, room);
  if (at == NULL) return false;
  b->at = at;
  b->room = room;
  return true;
}

static bool bytes_add(session_bytes *b, const uint8_t *bytes, uint32_t size) {
  if (size == 0) return true;
  if (!bytes_reserve(b, size)) return false;
  memcpy(b->at + b->used, bytes, size);
  b->used += size;
  return true;
}

static void bytes_drop(session_bytes *b, uint32_t size) {
  b->used -= size;
  if (b->used > 0) {
    memmove(b->at, b->at + size, b->used);
  } else if (b->room > BYTES_KEPT) {
    free(b->at);
    *b = (session_bytes){0};
  }
}

session *session_new(sim_broker *b, sim_conn *conn, uint32_t place) {
  session *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->conn = conn;
  s->place = place;
  s->device = sim_conn_device(conn);
  s->heard_ms = broker_now_ms(b);
  return s;
}

void session_free(session *s) {
  free(s->client_id);
  free(s->receipt_topic);
  free(s->in.at);
  free(s->out.at);
  free(s->later.at);
  free(s->held.at);
  free(s->acks);
  free(s);
}

void session_over(session *s, sim_end how) {
  if (!s->over) s->how = how;
  s->over = true;
}

/* ---- What goes out ------------------------------------------------------------------------- */

static void out_write(session *s) {
  while (s->out.used > 0) {
    int n = sim_conn_write(s->conn, s->out.at, s->out.used);
    if (n < 0) session_over(s, SIM_END_FIN);
    if (n <= 0) return;
    bytes_drop(&s->out, (uint32_t)n);
  }
}

void session_send(session *s, const uint8_t *bytes, uint32_t size) {
  int n = 0;
  if (s->out.used == 0) n = sim_conn_write(s->conn, bytes, size);
  if (n < 0 || s->out.used > OUT_BYTES_MAX ||
      !bytes_add(&s->out, bytes + n, n < 0 ? 0 : size - (uint32_t)n))
    session_over(s, n < 0 ? SIM_END_FIN : SIM_END_RST);
}

static uint8_t *put_u16(uint8_t *to, size_t value) {
  to[0] = (uint8_t)(value >> 8);
  to[1] = (uint8_t)value;
  return to + 2;
}

uint32_t session_publish_make(const char *topic, uint16_t id, const uint8_t *payload, size_t size,
                              uint8_t *to, uint32_t room) {
  size_t chars = strlen(topic);
  size_t length = 2 + chars + (id != 0 ? 2u : 0u) + size;
  if (length + 5 > room) return 0;
  uint8_t *at = to;
  *at++ = (uint8_t)(PUBLISH << 4 | (id != 0 ? 2 : 0));
  size_t left = length;
  for (; left > 127; left >>= 7) *at++ = (uint8_t)(left | 0x80u);
  *at++ = (uint8_t)left;
  at = put_u16(at, chars);
  memcpy(at, topic, chars);
  at += chars;
  if (id != 0) at = put_u16(at, id);
  if (size > 0) memcpy(at, payload, size);
  return (uint32_t)(at - to) + (uint32_t)size;
}

static void puback_send(sim_broker *b, session *s, uint16_t id) {
  uint8_t packet[4] = {PUBACK << 4, 2};
  put_u16(packet + 2, id);
  session_send(s, packet, sizeof packet);
  b->counts.acks++;
}

static void puback_put(sim_broker *b, session *s, uint16_t id, int64_t due_ms) {
  /* A hostile broker sends them behind what else it does in this turn. */
  bool now =
      due_ms <= broker_now_ms(b) && s->ack_count == 0 && b->habits.mood != SIM_BROKER_HOSTILE;
  if (!now && s->acks == NULL) s->acks = malloc(SESSION_ACKS_MAX * sizeof *s->acks);
  if (now || s->acks == NULL || s->ack_count == SESSION_ACKS_MAX)
    puback_send(b, s, id);
  else
    s->acks[s->ack_count++] = (session_ack){due_ms, id};
}

static void publish_ack(sim_broker *b, session *s, uint16_t id) {
  if (broker_chance(b, b->habits.lose_acks_pct)) {
    b->counts.lost_acks++;
    return;
  }
  int64_t due_ms = broker_now_ms(b) + b->habits.ack_ms;
  if (broker_chance(b, b->habits.reorder_pct)) due_ms += random_below(&b->random, ACK_SWAP_MS);
  puback_put(b, s, id, due_ms);
  if (broker_chance(b, b->habits.double_pct))
    puback_put(b, s, id, due_ms + random_below(&b->random, ACK_SWAP_MS));
}

static void acks_send(sim_broker *b, session *s) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < s->ack_count; i++) {
    if (s->acks[i].due_ms <= broker_now_ms(b))
      puback_send(b, s, s->acks[i].id);
    else
      s->acks[kept++] = s->acks[i];
  }
  s->ack_count = kept;
}

/* ---- Receipts ------------------------------------------------------------------------------ */

/* Its place; SESSION_IN_FLIGHT_MAX: it has none. */
static unsigned flight_find(const session *s, uint16_t id) {
  unsigned i = 0;
  while (i < SESSION_IN_FLIGHT_MAX && s->in_flight[i] != id) i++;
  return i;
}

static bool flight_has_room(const session *s) {
  return flight_find(s, 0) < SESSION_IN_FLIGHT_MAX;
}

/* Sends a PUBLISH, once or twice. */
static void publish_send(sim_broker *b, session *s, uint8_t *packet, uint32_t size) {
  session_send(s, packet, size);
  b->counts.receipts_given++;
  if (!broker_chance(b, b->habits.double_pct)) return;
  packet[0] |= 8; /* 3.3.1.1: DUP */
  session_send(s, packet, size);
}

/* Those that waited go as far as there is room in flight; each lies behind its id and size. */
static void later_send(sim_broker *b, session *s) {
  while (s->later.used > 0 && !s->over) {
    if (!flight_has_room(s)) return;
    uint32_t head[2];
    memcpy(head, s->later.at, sizeof head);
    s->in_flight[flight_find(s, 0)] = (uint16_t)head[0];
    publish_send(b, s, s->later.at + sizeof head, head[1]);
    bytes_drop(&s->later, (uint32_t)sizeof head + head[1]);
    if (b->habits.mood == SIM_BROKER_SLOW) return;
  }
}

static bool is_slow_now(const sim_broker *b, const session *s) {
  return b->habits.mood == SIM_BROKER_SLOW && broker_now_ms(b) < s->slow_ms;
}

static void receipt_give(sim_broker *b, session *s, const uint8_t *payload, size_t size) {
  if (++s->next_id == 0) s->next_id = 1;
  uint16_t id = s->next_id;
  uint32_t n =
      session_publish_make(s->receipt_topic, id, payload, size, b->packet, sizeof b->packet);
  if (!flight_has_room(s) || s->later.used > 0 || b->habits.mood == SIM_BROKER_SLOW) {
    uint32_t head[2] = {id, n};
    if (s->later.used + sizeof head + n > LATER_BYTES_MAX ||
        !bytes_reserve(&s->later, (uint32_t)sizeof head + n)) {
      b->counts.lost_receipts++;
      return;
    }
    bytes_add(&s->later, (const uint8_t *)head, sizeof head);
    bytes_add(&s->later, b->packet, n);
    return;
  }
  s->in_flight[flight_find(s, 0)] = id;
  publish_send(b, s, b->packet, n);
}

static void held_give(sim_broker *b, session *s) {
  session_bytes held = s->held;
  s->held = (session_bytes){0};
  if (held.used > 0) receipt_give(b, s, held.at, held.used);
  free(held.at);
}

void session_receipt(sim_broker *b, session *s, const uint8_t *payload, size_t size) {
  if (s->over) return;
  if (broker_chance(b, b->habits.lose_receipts_pct)) {
    b->counts.lost_receipts++;
    return;
  }
  if (s->held.used == 0 && size > 0 && broker_chance(b, b->habits.reorder_pct)) {
    if (!bytes_add(&s->held, payload, (uint32_t)size)) b->counts.lost_receipts++;
    s->held_ms = broker_now_ms(b) + random_below(&b->random, HELD_MS_MAX);
    return;
  }
  receipt_give(b, s, payload, size);
  held_give(b, s);
}

/* ---- What comes in ------------------------------------------------------------------------- */

/* The rest of a packet. */
typedef struct reader {
  uint8_t *at;
  uint32_t left;
  bool bad;
} reader;

static uint8_t *take(reader *r, uint32_t size) {
  uint8_t *at = r->at;
  if (r->bad || size > r->left) {
    r->bad = true;
    return NULL;
  }
  r->at += size;
  r->left -= size;
  return at;
}

static uint8_t take_u8(reader *r) {
  const uint8_t *at = take(r, 1);
  return at != NULL ? *at : 0;
}

static uint16_t take_u16(reader *r) {
  const uint8_t *at = take(r, 2);
  return (uint16_t)(at != NULL ? at[0] << 8 | at[1] : 0);
}

/* A string, moved one byte down over its size so that a NUL has room; NULL: it is none. */
static char *take_text(reader *r) {
  uint32_t size = take_u16(r);
  uint8_t *at = take(r, size);
  if (at == NULL || memchr(at, '\0', size) != NULL) {
    r->bad = true;
    return NULL;
  }
  uint8_t *text = at - 1;
  memmove(text, at, size);
  text[size] = '\0';
  return (char *)text;
}

static bool texts_keep(session *s, const char *client_id, const char *topic, const uint8_t *will,
                       uint16_t will_size) {
  size_t id_size = strlen(client_id) + 1, topic_size = topic != NULL ? strlen(topic) + 1 : 0;
  s->client_id = malloc(id_size + topic_size + will_size);
  if (s->client_id == NULL) return false;
  memcpy(s->client_id, client_id, id_size);
  if (topic == NULL) return true;
  s->will_topic = s->client_id + id_size;
  memcpy(s->will_topic, topic, topic_size);
  s->will = (uint8_t *)s->will_topic + topic_size;
  if (will_size > 0) memcpy(s->will, will, will_size);
  s->will_size = will_size;
  return true;
}

/* 3.1. User name and password are read over: TLS has said who it is. */
static bool connect_read(session *s, reader *r) {
  static const uint8_t protocol[] = {0, 4, 'M', 'Q', 'T', 'T', 4};
  const uint8_t *name = take(r, sizeof protocol);
  uint8_t flags = take_u8(r);
  s->keep_alive_s = take_u16(r);
  const char *client_id = take_text(r), *topic = NULL;
  const uint8_t *will = NULL;
  uint16_t will_size = 0;
  if ((flags & 0x04) != 0) {
    topic = take_text(r);
    will_size = take_u16(r);
    will = take(r, will_size);
  }
  if ((flags & 0x80) != 0) take(r, take_u16(r));
  if ((flags & 0x40) != 0) take(r, take_u16(r));
  if (r->bad || r->left != 0 || memcmp(name, protocol, sizeof protocol) != 0) return false;
  if ((flags & 0x03) != 0x02) return false; /* reserved bit; sessions are clean ones */
  if (client_id[0] == '\0' || strlen(client_id) > CLIENT_ID_CHARS_MAX) return false;
  return texts_keep(s, client_id, topic, will, will_size);
}

static void connack_send(session *s, uint8_t code) {
  session_send(s, (uint8_t[]){0x20, 2, 0, code}, 4);
}

static bool connack_is_refused(sim_broker *b) {
  if (b->habits.mood != SIM_BROKER_REFUSES) return false;
  b->subacks_refused = !b->subacks_refused;
  return b->subacks_refused; /* that is: not this time */
}

static void on_connect(sim_broker *b, session *s, reader *r) {
  if (s->connected || !connect_read(s, r)) {
    session_over(s, SIM_END_RST);
    return;
  }
  b->counts.connects++;
  if (connack_is_refused(b)) {
    b->counts.refused++;
    connack_send(s, 3);
    session_over(s, SIM_END_FIN);
    return;
  }
  session *old = broker_session_of(b, s->client_id, s);
  if (old != NULL) { /* 3.1.4: the new one takes over */
    b->counts.takeovers++;
    broker_session_end(b, old, SIM_END_FIN);
  }
  b->id_hashes[s->place] = sim_text_hash(s->client_id);
  if (b->habits.mood == SIM_BROKER_HOSTILE && hostile_connack(b, s)) return;
  sim_conn_welcome(s->conn);
  connack_send(s, 0);
  s->connected = true;
  if (b->tap.up != NULL) b->tap.up(b->tap.ctx, s->device);
}

static void on_subscribe(sim_broker *b, session *s, reader *r) {
  uint16_t id = take_u16(r);
  const char *topic = take_text(r);
  uint8_t qos = take_u8(r);
  if (r->bad || r->left != 0 || id == 0 || topic[0] == '\0' || qos > 2) {
    session_over(s, SIM_END_RST);
    return;
  }
  uint8_t packet[5] = {0x90, 3, (uint8_t)(id >> 8), (uint8_t)id, qos > 1 ? 1 : qos};
  if (b->habits.mood == SIM_BROKER_REFUSES) {
    packet[4] = QOS_REFUSED;
    b->counts.refused++;
    session_send(s, packet, sizeof packet);
    return;
  }
  free(s->receipt_topic);
  s->receipt_topic = malloc(strlen(topic) + 1);
  if (s->receipt_topic == NULL) {
    session_over(s, SIM_END_RST);
    return;
  }
  memcpy(s->receipt_topic, topic, strlen(topic) + 1);
  b->topic_hashes[s->place] = sim_text_hash(topic);
  session_send(s, packet, sizeof packet);
}

static void message_take(sim_broker *b, session *s, const sim_message *message, bool retain) {
  b->counts.publishes++;
  if (b->tap.publish != NULL) b->tap.publish(b->tap.ctx, message);
  size_t chars = strlen(message->topic);
  if (chars > 6 && strcmp(message->topic + chars - 6, "/frame") == 0)
    hostile_learn(s, message->payload, message->size);
  if (broker_chance(b, b->habits.lose_frames_pct)) {
    b->counts.lost_frames++;
    return;
  }
  if (retain) sim_shelf_put(&b->shelf, message);
  broker_give(b, message);
  if (broker_chance(b, b->habits.double_pct)) broker_give(b, message);
}

/* False: not now, the ingest's queue is full. */
static bool on_publish(sim_broker *b, session *s, uint8_t head, reader *r) {
  uint8_t qos = head >> 1 & 3;
  if (!broker_has_room(b)) {
    s->stalled = b->any_stalled = true;
    return false;
  }
  const char *topic = take_text(r);
  uint16_t id = qos > 0 ? take_u16(r) : 0;
  if (r->bad || qos > 1 || (qos > 0 && id == 0) || topic[0] == '\0' ||
      strpbrk(topic, "+#") != NULL) {
    session_over(s, SIM_END_RST);
    return true;
  }
  sim_message message = {.topic = topic,
                         .payload = r->at,
                         .size = r->left,
                         .device = s->device,
                         .sent_ms = broker_now_ms(b)};
  s->last_id = id;
  message_take(b, s, &message, (head & 1) != 0);
  if (id != 0) publish_ack(b, s, id);
  if (b->habits.mood == SIM_BROKER_HOSTILE && broker_chance(b, HOSTILE_PCT))
    s->hostile_ms = broker_now_ms(b);
  return true;
}

static void on_puback(sim_broker *b, session *s, reader *r) {
  uint16_t id = take_u16(r);
  if (r->bad || r->left != 0 || id == 0) session_over(s, SIM_END_RST);
  unsigned place = flight_find(s, id);
  if (s->over || place == SESSION_IN_FLIGHT_MAX) return;
  s->in_flight[place] = 0;
  if (!is_slow_now(b, s)) later_send(b, s);
}

/* False: it stays where it is and is taken later. */
static bool packet_take(sim_broker *b, session *s, uint8_t head, reader r) {
  unsigned type = head >> 4;
  if (!s->connected && type != CONNECT) {
    session_over(s, SIM_END_RST);
    return true;
  }
  switch (type) {
    case CONNECT: on_connect(b, s, &r); return true;
    case PUBLISH: return on_publish(b, s, head, &r);
    case PUBACK: on_puback(b, s, &r); return true;
    case SUBSCRIBE: on_subscribe(b, s, &r); return true;
    case PINGREQ: session_send(s, (uint8_t[]){0xd0, 0}, 2); return true;
    case DISCONNECT:
      s->orderly = true;
      session_over(s, SIM_END_FIN);
      return true;
    default: session_over(s, SIM_END_RST); return true;
  }
}

/* Bytes of the head, the packet's size in `size`; 0: not there yet, or `over`. */
static uint32_t head_read(session *s, const uint8_t *at, uint32_t used, uint32_t *size) {
  uint32_t length = 0;
  for (uint32_t i = 1; i < used; i++) {
    length |= (at[i] & 0x7fu) << 7u * (i - 1);
    if (length > SESSION_PACKET_BYTES_MAX - 5u || (i == 4 && at[i] > 0x7f)) break;
    if (at[i] > 0x7f) continue;
    *size = length + i + 1;
    return i + 1;
  }
  if (used > 4 || length > SESSION_PACKET_BYTES_MAX - 5u) session_over(s, SIM_END_RST);
  return 0;
}

/* Returns how many of the bytes are done with. */
static uint32_t packets_take(sim_broker *b, session *s, uint8_t *at, uint32_t used) {
  uint32_t done = 0;
  while (done < used && !s->over && !is_slow_now(b, s)) {
    uint32_t size = 0, head = head_read(s, at + done, used - done, &size);
    if (head == 0 || size > used - done) break;
    reader r = {at + done + head, size - head, false};
    if (!packet_take(b, s, at[done], r)) break;
    done += size;
    if (b->habits.mood == SIM_BROKER_SLOW) s->slow_ms = broker_now_ms(b) + b->habits.slow_ms;
  }
  return done;
}

static bool receives(const sim_broker *b, const session *s) {
  return !s->over && !s->stalled && !is_slow_now(b, s);
}

/* Behind a packet that is not whole yet. Whether something came. */
static bool receive_more(sim_broker *b, session *s) {
  uint32_t most = SESSION_PACKET_BYTES_MAX - s->in.used;
  if (most > READ_BYTES_SLOW) most = READ_BYTES_SLOW;
  if (most == 0 || !bytes_reserve(&s->in, most)) return false;
  int n = sim_conn_read(s->conn, s->in.at + s->in.used, most);
  if (n < 0) session_over(s, SIM_END_FIN);
  if (n <= 0) return false;
  s->in.used += (uint32_t)n;
  s->heard_ms = broker_now_ms(b);
  bytes_drop(&s->in, packets_take(b, s, s->in.at, s->in.used));
  return true;
}

static bool receive_fresh(sim_broker *b, session *s) {
  bool slow = b->habits.mood == SIM_BROKER_SLOW;
  int n = sim_conn_read(s->conn, b->scratch, slow ? READ_BYTES_SLOW : SESSION_PACKET_BYTES_MAX);
  if (n < 0) session_over(s, SIM_END_FIN);
  if (n <= 0) return false;
  s->heard_ms = broker_now_ms(b);
  uint32_t done = packets_take(b, s, b->scratch, (uint32_t)n);
  if (!bytes_add(&s->in, b->scratch + done, (uint32_t)n - done)) session_over(s, SIM_END_RST);
  return true;
}

static void receive(sim_broker *b, session *s) {
  if (s->in.used > 0 && receives(b, s))
    bytes_drop(&s->in, packets_take(b, s, s->in.at, s->in.used));
  while (receives(b, s))
    if (!(s->in.used > 0 ? receive_more(b, s) : receive_fresh(b, s))) return;
}

/* ---- Time ---------------------------------------------------------------------------------- */

static int64_t silence_ends_ms(const session *s) {
  if (!s->connected) return s->heard_ms + CONNECT_MS_MAX;
  return s->keep_alive_s > 0 ? s->heard_ms + s->keep_alive_s * 1500 : SIM_NEVER;
}

static void silence_look(sim_broker *b, session *s) {
  if (s->stalled || s->over || broker_now_ms(b) < silence_ends_ms(s)) return;
  if (s->connected) b->counts.keepalive_ends++;
  session_over(s, SIM_END_FIN);
}

void session_step(sim_broker *b, session *s) {
  int64_t now_ms = broker_now_ms(b);
  out_write(s);
  receive(b, s);
  if (s->over) return;
  if (b->habits.mood == SIM_BROKER_HOSTILE && s->connected && now_ms >= s->hostile_ms)
    hostile_act(b, s);
  if (s->ack_count > 0) acks_send(b, s);
  if (s->held.used > 0 && now_ms >= s->held_ms) held_give(b, s);
  if (s->later.used > 0 && !is_slow_now(b, s)) {
    later_send(b, s);
    if (b->habits.mood == SIM_BROKER_SLOW) s->slow_ms = now_ms + b->habits.slow_ms;
  }
  silence_look(b, s);
}

static int64_t sooner(int64_t a, int64_t b) {
  return a < b ? a : b;
}

int64_t session_next_ms(const sim_broker *b, const session *s) {
  int64_t at_ms = s->stalled ? SIM_NEVER : silence_ends_ms(s);
  bool slow = is_slow_now(b, s);
  if (slow)
    at_ms = sooner(at_ms, s->slow_ms);
  else if (!s->stalled)
    at_ms = sooner(at_ms, sim_conn_ready_ms(s->conn));
  if (s->later.used > 0 && !slow && flight_has_room(s)) return broker_now_ms(b);
  for (uint32_t i = 0; i < s->ack_count; i++) at_ms = sooner(at_ms, s->acks[i].due_ms);
  if (s->held.used > 0) at_ms = sooner(at_ms, s->held_ms);
  if (b->habits.mood == SIM_BROKER_HOSTILE && s->connected) at_ms = sooner(at_ms, s->hostile_ms);
  return at_ms;
}
