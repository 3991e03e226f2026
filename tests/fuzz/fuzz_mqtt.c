/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_mqtt.c - ports/mqtt against a broker that may send anything, on a stream that may do
 * anything.
 *
 * The input: settings, then steps: the broker's bytes, good packets or noise; messages to publish;
 * the clock, the stream's and the transport's moods; close and open again. What the client writes
 * is read by a parser of its own (far_*): whole packets only, payloads as they were given, nothing
 * in the middle of anything. What it tells the core is held against what port.h promises. */
#include "fuzz.h"
#include "htel_mqtt.h"

#define PUT_BYTES_MAX 65536u
#define GOT_BYTES_MAX 65536u
#define PUBLISHED_MAX 256u
#define STEPS_MAX 600u

static const char id[] = "dev-1", status[] = "htel/v1/dev-1/status",
                  frame[] = "htel/v1/dev-1/frame", receipt[] = "htel/v1/dev-1/receipt";

typedef struct world {
  htel_mqtt mqtt;
  const htel_link *link;
  uint32_t now_ms;
  uint8_t tokens;         /* how many tokens are in use: few means that they come again */
  size_t put_count, read; /* of `put` */
  size_t got_count;       /* of `got` */
  bool connect_seen, subscribe_seen, disconnect_seen;
  /* The stream. */
  size_t read_max, write_max, write_budget;
  bool stutter, blocked;
  int read_error, write_error;
  unsigned reads, writes; /* in one next() */
  size_t refused;         /* bytes of a write that would block: the next one has no fewer */
  uint8_t refused_first;
  /* The transport. */
  bool open;
  int step_result;
  uint32_t opened_ms, timeout_ms;
  uint8_t close_steps;
  /* The session as the core sees it. */
  bool in_session, up, closing, gone;
  struct {
    uint32_t token, size;
    uint16_t id; /* once it is on the wire */
    bool acked;
  } published[PUBLISHED_MAX];
  unsigned publish_count, wire_count;
  uint8_t *buffer;            /* of just its size, so that a sanitizer sees its end */
  uint8_t put[PUT_BYTES_MAX]; /* to the client */
  uint8_t got[GOT_BYTES_MAX]; /* from it: the packet that is not whole yet */
} world;

/* ---- What the client writes ----------------------------------------------------------- */

static uint8_t pattern(uint32_t token, uint32_t offset) {
  return (uint8_t)((token * 2654435761u + offset * 40503u) >> 8);
}

static uint16_t u16_at(const uint8_t *at) {
  return (uint16_t)(at[0] << 8 | at[1]);
}

static void far_connect(world *w, const uint8_t *body, size_t size) {
  static const uint8_t head[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 0x2e, 0, 60, 0, 5};
  MUST(!w->connect_seen);
  MUST(size == sizeof head + 5 + 2 + strlen(status) + 2 + 2);
  MUST(memcmp(body, head, sizeof head) == 0 && memcmp(body + sizeof head, id, 5) == 0);
  w->connect_seen = true;
}

static void far_publish(world *w, const uint8_t *body, size_t size) {
  MUST(w->subscribe_seen);                /* or what it brings about would not be heard */
  MUST(w->wire_count < w->publish_count); /* in the order in which they were accepted */
  unsigned n = w->wire_count++;
  size_t head = 2 + strlen(frame) + 2;
  MUST(size == head + w->published[n].size);
  MUST(u16_at(body) == strlen(frame) && memcmp(body + 2, frame, strlen(frame)) == 0);
  w->published[n].id = u16_at(body + head - 2);
  MUST(w->published[n].id != 0);
  for (uint32_t i = 0; i < w->published[n].size; i++)
    MUST(body[head + i] == pattern(w->published[n].token, i));
}

static void far_packet(world *w, uint8_t head, const uint8_t *body, size_t size) {
  MUST(!w->disconnect_seen);
  MUST(w->connect_seen == (head != 0x10));
  switch (head) {
    case 0x10: far_connect(w, body, size); break;
    case 0x82:
      MUST(!w->subscribe_seen && w->read > 0);
      MUST(size == 2 + 2 + strlen(receipt) + 1 && body[size - 1] == 1);
      MUST(memcmp(body + 4, receipt, strlen(receipt)) == 0);
      w->subscribe_seen = true;
      break;
    case 0x32: far_publish(w, body, size); break;
    case 0x40: MUST(size == 2 && u16_at(body) != 0 && w->subscribe_seen); break;
    case 0xc0: MUST(size == 0 && w->subscribe_seen); break;
    case 0xe0:
      MUST(size == 0);
      w->disconnect_seen = true;
      break;
    default: hostile_broken("a packet that no publisher sends", __FILE__, __LINE__);
  }
}

/* Takes whole packets off the front of `got`. */
static void far_parse(world *w) {
  size_t at = 0;
  while (at + 1 < w->got_count) {
    size_t length = 0, used = 1;
    bool whole = false;
    for (unsigned shift = 0; at + used < w->got_count && !whole; shift += 7) {
      MUST(shift <= 21);
      uint8_t byte = w->got[at + used++];
      length |= (size_t)(byte & 0x7fu) << shift;
      whole = byte < 0x80;
    }
    if (!whole || w->got_count - at - used < length) break;
    far_packet(w, w->got[at], w->got + at + used, length);
    at += used + length;
  }
  w->got_count -= at;
  memmove(w->got, w->got + at, w->got_count);
}

/* ---- Stream and transport ------------------------------------------------------------- */

static bool blocks(world *w) {
  w->blocked = w->stutter && !w->blocked;
  return w->blocked;
}

static int stream_read(void *ctx, uint8_t *buf, size_t size) {
  world *w = ctx;
  MUST(w->open && size > 0);
  w->reads++;
  if (blocks(w)) return 0;
  size_t n = size < w->read_max ? size : w->read_max;
  if (n > w->put_count - w->read) n = w->put_count - w->read;
  if (n == 0) return w->read_error;
  memcpy(buf, w->put + w->read, n);
  w->read += n;
  return (int)n;
}

static int stream_write(void *ctx, const uint8_t *buf, size_t size) {
  world *w = ctx;
  MUST(w->open && size > 0);
  w->writes++;
  MUST(w->refused == 0 || (size >= w->refused && buf[0] == w->refused_first)); /* as TLS wants */
  if (w->write_error != 0) return w->write_error;
  size_t n = size < w->write_max ? size : w->write_max;
  if (n > w->write_budget) n = w->write_budget;
  if (blocks(w)) n = 0;
  w->refused = n == 0 ? size : 0;
  w->refused_first = buf[0];
  if (w->write_budget != SIZE_MAX) w->write_budget -= n;
  MUST(w->got_count + n <= sizeof w->got);
  memcpy(w->got + w->got_count, buf, n);
  w->got_count += n;
  far_parse(w);
  return (int)n;
}

static int transport_open(void *ctx, uint32_t timeout_ms) {
  world *w = ctx;
  MUST(!w->open);
  w->open = true;
  w->opened_ms = w->now_ms;
  w->timeout_ms = timeout_ms;
  w->put_count = w->read = w->got_count = w->refused = 0;
  w->connect_seen = w->subscribe_seen = w->disconnect_seen = false;
  w->publish_count = w->wire_count = 0;
  w->read_error = w->write_error = 0;
  w->gone = false;
  return 0;
}

static int transport_step(void *ctx) {
  world *w = ctx;
  MUST(w->open);
  bool late = w->now_ms - w->opened_ms >= w->timeout_ms;
  return w->step_result == HTEL_E_AGAIN && late ? HTEL_E_CONNECT : w->step_result;
}

static htel_stream transport_stream(void *ctx) {
  return (htel_stream){.ctx = ctx, .read = stream_read, .write = stream_write};
}

static uint32_t transport_wait_ms(void *ctx) {
  (void)ctx;
  return 1000;
}

static int transport_close(void *ctx, bool orderly) {
  world *w = ctx;
  if (orderly) MUST(w->open && w->disconnect_seen);
  if (orderly && w->close_steps > 0) {
    w->close_steps--;
    return HTEL_E_AGAIN;
  }
  w->open = false;
  return 0;
}

static uint32_t tick_ms(void *ctx) {
  const world *w = ctx;
  return w->now_ms;
}

/* ---- The core's side ------------------------------------------------------------------ */

static int message_read(void *source, uint32_t token, uint32_t offset, uint8_t *buf, size_t size) {
  const world *w = source;
  MUST(size > 0);
  if (w->gone) return HTEL_E_CLOSED;
  for (size_t i = 0; i < size; i++) buf[i] = pattern(token, offset + (uint32_t)i);
  return 0;
}

static void on_acked(world *w, uint32_t token) {
  MUST(w->up);
  for (unsigned i = w->publish_count; i-- > 0;) { /* the newest of that token */
    if (w->published[i].token != token) continue;
    MUST(!w->published[i].acked);
    w->published[i].acked = true;
    return;
  }
  hostile_broken("an acknowledgement of what was never published", __FILE__, __LINE__);
}

static void on_event(world *w, const htel_link_event *event) {
  MUST(w->in_session);
  switch (event->kind) {
    case HTEL_LINK_UP:
      MUST(!w->up); /* a broker may answer before it was asked: that harms nobody */
      w->up = true;
      break;
    case HTEL_LINK_DOWN:
      MUST(event->error <= 0 && (event->error == 0 || !w->closing) && !w->open);
      w->in_session = w->up = w->closing = false;
      break;
    case HTEL_LINK_ACKED: on_acked(w, event->token); break;
    case HTEL_LINK_MESSAGE:
      MUST(w->up && event->size <= HTEL_LINK_MESSAGE_BYTES_MAX);
      MUST(event->size == 0 || event->payload == w->buffer);
      break;
    default: hostile_broken("an event that is none", __FILE__, __LINE__);
  }
}

/* As the core does: until there is no more event, so many at most. */
static void poll(world *w) {
  htel_link_event event;
  for (unsigned i = 0; i < 64; i++) {
    w->reads = w->writes = 0;
    int rc = w->link->next(w->link->ctx, &event);
    MUST(w->reads <= 16 && w->writes <= 4);
    MUST(w->mqtt.window_used <= w->mqtt.config->buffer_size - HTEL_LINK_MESSAGE_BYTES_MAX);
    if (rc == 0) break;
    MUST(rc == 1);
    on_event(w, &event);
  }
  MUST(w->link->wait_ms(w->link->ctx) <= 1000);
}

static void open_session(world *w) {
  static const uint8_t will[] = {0x10, 7};
  htel_link_session session = {.client_id = id,
                               .will_topic = status,
                               .will = will,
                               .will_size = sizeof will,
                               .receive_topic = receipt,
                               .keep_alive_s = 60};
  int rc = w->link->open(w->link->ctx, &session);
  MUST(rc == (w->in_session ? HTEL_E_AGAIN : 0));
  w->in_session = true;
}

static void publish(world *w, uint32_t size) {
  if (w->publish_count == PUBLISHED_MAX) return;
  unsigned n = w->publish_count;
  htel_message message = {
      .topic = frame, .size = size, .token = n % w->tokens, .source = w, .read = message_read};
  w->published[n].token = message.token;
  w->published[n].size = size;
  w->published[n].acked = false;
  int rc = w->link->publish(w->link->ctx, &message);
  if (rc == 0) w->publish_count++;
  if (!w->up || w->closing)
    MUST(rc == HTEL_E_CLOSED);
  else
    MUST(rc == 0 || rc == HTEL_E_AGAIN || w->gone || rc == HTEL_E_CLOSED);
}

/* ---- The broker's side ---------------------------------------------------------------- */

static void put(world *w, const void *bytes, size_t size) {
  if (size > sizeof w->put - w->put_count) return;
  if (size > 0) memcpy(w->put + w->put_count, bytes, size);
  w->put_count += size;
}

static void put_publish(world *w, uint16_t packet_id, size_t size) {
  static const uint8_t payload[700];
  size_t length = 2 + strlen(receipt) + (packet_id > 0 ? 2u : 0u) + size;
  uint8_t head[40] = {packet_id > 0 ? 0x32 : 0x30};
  size_t n = 1;
  for (; length > 127; length >>= 7) head[n++] = (uint8_t)(length | 0x80);
  head[n++] = (uint8_t)length;
  head[n++] = 0;
  head[n++] = (uint8_t)strlen(receipt);
  memcpy(head + n, receipt, strlen(receipt));
  n += strlen(receipt);
  if (packet_id > 0) head[n++] = (uint8_t)(packet_id >> 8);
  if (packet_id > 0) head[n++] = (uint8_t)packet_id;
  put(w, head, n);
  put(w, payload, size);
}

static void put_raw(world *w, fuzz_in *in) {
  const uint8_t *bytes;
  size_t n = fuzz_bytes(in, fuzz_u8(in), &bytes);
  put(w, bytes, n);
}

static void put_puback(world *w, uint8_t which) {
  if (w->wire_count == 0) return;
  uint16_t packet_id = w->published[w->wire_count - 1 - which % w->wire_count].id;
  put(w, (uint8_t[]){0x40, 2, (uint8_t)(packet_id >> 8), (uint8_t)packet_id}, 4);
}

static void stream_mood(world *w, fuzz_in *in) {
  uint8_t mood = fuzz_u8(in);
  w->read_max = mood & 1u ? SIZE_MAX : 1u + fuzz_u8(in);
  w->write_max = mood & 2u ? SIZE_MAX : 1u + fuzz_u8(in);
  w->write_budget = mood & 4u ? SIZE_MAX : fuzz_u16(in);
  w->stutter = (mood & 8u) != 0;
  if (mood & 16u) w->read_error = HTEL_E_LINK_LOST;
  if (mood & 32u) w->write_error = HTEL_E_LINK_LOST;
}

static void step(world *w, fuzz_in *in) {
  static const uint32_t times[] = {1, 10, 999, 2000, 5000, 12000, 29999, 60000};
  static const int results[] = {0, HTEL_E_AGAIN, HTEL_E_RESOLVE, HTEL_E_TLS};
  switch (fuzz_u8(in) % 14u) {
    case 0: put_raw(w, in); break;
    case 1: put(w, (uint8_t[]){0x20, 2, 0, fuzz_u8(in) % 8u}, 4); break;
    case 2: put(w, (uint8_t[]){0x90, 3, 0, HTEL_MQTT_IN_FLIGHT_MAX + 1, 1}, 5); break;
    case 3: put_puback(w, fuzz_u8(in)); break;
    case 4: put_publish(w, fuzz_u8(in), fuzz_u16(in) % 700u); break;
    case 5: put(w, (uint8_t[]){0xd0, 0}, 2); break;
    case 6: publish(w, fuzz_u8(in)); break;
    case 7: publish(w, fuzz_u16(in) % 61441u); break;
    case 8: w->now_ms += times[fuzz_u8(in) % 8u]; break;
    case 9: stream_mood(w, in); break;
    case 10:
      w->closing = w->closing || w->in_session;
      w->close_steps = fuzz_u8(in) % 4u;
      w->link->close(w->link->ctx);
      break;
    case 11: w->step_result = results[fuzz_u8(in) % 4u]; break;
    case 12: w->gone = true; break;
    default: open_session(w); break;
  }
}

/* After open() exactly one DOWN follows, whatever the far end does, or leaves undone. */
static void come_to_an_end(world *w) {
  w->put_count = w->read; /* and then it is silent */
  for (unsigned i = 0; i < 400 && w->in_session; i++) {
    w->now_ms += 500;
    poll(w);
  }
  MUST(!w->in_session && !w->open);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static world w;
  fuzz_in in = {data, size};
  memset(&w, 0, offsetof(world, put));
  htel_mqtt_transport transport = {.ctx = &w,
                                   .open = transport_open,
                                   .step = transport_step,
                                   .stream = transport_stream,
                                   .wait_ms = transport_wait_ms,
                                   .close = transport_close};
  uint8_t settings = fuzz_u8(&in);
  size_t buffer_size = HTEL_MQTT_BUFFER_BYTES(HTEL_MQTT_WINDOW_BYTES_MIN + (settings & 7u) * 256u);
  w.buffer = malloc(buffer_size);
  MUST(w.buffer != NULL);
  htel_mqtt_config config = {.transport = &transport,
                             .tick_ms = tick_ms,
                             .tick_ctx = &w,
                             .buffer = w.buffer,
                             .buffer_size = buffer_size};
  w.now_ms = settings & 0x40u ? UINT32_MAX - 20000u : 1000u;
  w.tokens = settings & 0x20u ? 3 : 255;
  w.read_max = w.write_max = w.write_budget = SIZE_MAX;
  MUST(htel_mqtt_init(&w.mqtt, &config) == 0);
  w.link = htel_mqtt_link(&w.mqtt);
  open_session(&w);
  poll(&w);
  if ((settings & 0x80u) == 0) { /* straight to where most of it happens */
    put(&w, "\x20\x02\x00\x00\x90\x03\x00\x19\x01", 9);
    poll(&w);
    MUST(w.up);
  }
  for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++) {
    step(&w, &in);
    poll(&w);
  }
  come_to_an_end(&w);
  free(w.buffer);
  return 0;
}
