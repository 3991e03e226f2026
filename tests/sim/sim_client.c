/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "healthtel/decode.h"

#define RETRY_MS 1000
#define RESEND_MS 30000
#define TOKEN_BIRTH 0xfffffff0u

static uint32_t tick_ms(void *ctx) {
  return (uint32_t)((const client *)ctx)->yard->queue.now_ms;
}

/* ---- Frames: boot and sequence as docs/FORMAT.md has them, then anything ----------------------
 */

static size_t put_varint(uint8_t *to, uint64_t value) {
  size_t n = 0;
  for (; value > 127; value >>= 7) to[n++] = (uint8_t)(value | 0x80u);
  to[n++] = (uint8_t)value;
  return n;
}

static size_t get_varint(const uint8_t *from, uint64_t *value) {
  size_t n = 0;
  *value = 0;
  do *value |= (uint64_t)(from[n] & 0x7fu) << 7u * n;
  while (from[n++] > 127);
  return n;
}

static int frame_read(void *source, uint32_t token, uint32_t offset, uint8_t *buf, size_t size) {
  const client *c = source;
  uint8_t head[24] = {0x08};
  size_t n = 1 + put_varint(head + 1, c->boot);
  head[n++] = 0x10;
  n += put_varint(head + n, token);
  for (size_t i = 0; i < size; i++)
    buf[i] = offset + i < n ? head[offset + i] : (uint8_t)(token * 31u + offset + i);
  return 0;
}

static int birth_read(void *source, uint32_t token, uint32_t offset, uint8_t *buf, size_t size) {
  (void)token;
  memset(buf, ((const client *)source)->id[4], size);
  (void)offset;
  return 0;
}

static int publish(client *c, const char *last, uint32_t token, uint32_t size, bool retain,
                   int (*read)(void *, uint32_t, uint32_t, uint8_t *, size_t)) {
  char topic[64];
  snprintf(topic, sizeof topic, "htel/v1/%s/%s", c->id, last);
  htel_message m = {
      .topic = topic, .size = size, .token = token, .retain = retain, .source = c, .read = read};
  return c->mqtt.link.publish(&c->mqtt, &m);
}

/* ---- The sender ---------------------------------------------------------------------------- */

static void receipts_look(client *c, const htel_range *ranges, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    for (uint32_t n = 1; n <= c->frames; n++) {
      if (n < ranges[i].first || n > ranges[i].last) continue;
      if (!c->ever_sent[n]) {
        c->strangers++; /* a device pays no attention to these */
        continue;
      }
      assert_true(c->stored[n]); /* no broker here makes one up for what was sent */
      if (!c->receipted[n]) c->receipted_count++;
      c->receipted[n] = true;
      if (c->receipt_count < FRAMES_MAX) c->receipt_order[c->receipt_count++] = n;
    }
  }
}

static void on_message(client *c, const uint8_t *bytes, size_t size) {
  htel_receipt receipt;
  if (htel_receipt_decode(&receipt, bytes, size) != 0) return;
  c->messages++;
  c->births_wanted += receipt.birth_wanted;
  c->pauses += receipt.pause_ms > 0;
  if (receipt.boot != c->boot) return;
  receipts_look(c, receipt.stored, receipt.stored_count);
  receipts_look(c, receipt.quarantined, receipt.quarantined_count);
}

static void on_event(client *c, const htel_link_event *event) {
  switch (event->kind) {
    case HTEL_LINK_UP:
      c->up = true;
      c->ups++;
      memset(c->sent_ms, 0, sizeof c->sent_ms);
      publish(c, "birth", TOKEN_BIRTH, 40, true, birth_read);
      break;
    case HTEL_LINK_DOWN:
      c->up = c->open = false;
      c->downs++;
      c->error = event->error;
      c->retry_ms = c->yard->queue.now_ms + RETRY_MS;
      break;
    case HTEL_LINK_ACKED: c->acked++; break;
    case HTEL_LINK_MESSAGE: on_message(c, event->payload, event->size); break;
  }
}

static void connect(client *c) {
  char will_topic[64], receive[64];
  snprintf(will_topic, sizeof will_topic, "htel/v1/%s/status", c->id);
  snprintf(receive, sizeof receive, "htel/v1/%s/receipt", c->id);
  static const uint8_t will[] = {0x10, 7};
  htel_link_session session = {.client_id = c->id,
                               .will_topic = will_topic,
                               .will = will,
                               .will_size = sizeof will,
                               .receive_topic = receive,
                               .keep_alive_s = 60};
  int rc = c->mqtt.link.open(&c->mqtt, &session);
  assert_true(rc == 0 || rc == HTEL_E_AGAIN);
  c->open = rc == 0;
}

static void send_due(client *c) {
  int64_t now_ms = c->yard->queue.now_ms;
  uint32_t last = c->send_max != 0 ? c->send_max : c->frames;
  for (uint32_t n = 1; n <= last; n++) {
    if (c->receipted[n]) continue;
    if (c->sent_ms[n] > 0 && now_ms - c->sent_ms[n] < RESEND_MS) continue;
    if (publish(c, "frame", n, c->frame_bytes, false, frame_read) != 0) return;
    c->sent_ms[n] = now_ms;
    c->ever_sent[n] = true;
  }
}

static void client_turn(client *c) {
  if (!c->on) return;
  htel_link_event event;
  int64_t now_ms = c->yard->queue.now_ms;
  for (unsigned i = 0; i < 32 && c->mqtt.link.next(&c->mqtt, &event) == 1; i++) on_event(c, &event);
  bool done = c->receipted_count == c->frames;
  if (!c->open && now_ms >= c->retry_ms && !(done && c->closes)) connect(c);
  if (c->up) send_due(c);
  if (c->up && done && c->closes) c->mqtt.link.close(&c->mqtt);
  uint32_t wait_ms = c->mqtt.link.wait_ms(&c->mqtt);
  sim_queue_sooner(&c->yard->queue, c->number, now_ms + wait_ms);
}

client *client_start(yard *y, uint32_t number, uint32_t frames) {
  client *c = &y->clients[number];
  assert_true(frames <= FRAMES_MAX);
  c->frames = frames;
  c->on = true;
  c->up = c->open = false;
  memset(c->ever_sent, 0, sizeof c->ever_sent);
  htel_mqtt_init(&c->mqtt, &c->config);
  sim_queue_set(&y->queue, number, y->queue.now_ms);
  return c;
}

void client_stop(client *c, sim_end how) {
  sim_path_reset(&c->path, how);
  c->on = c->up = c->open = false;
}

/* ---- The ingest ---------------------------------------------------------------------------- */

static void frame_take(yard *y, const sim_message *m) {
  uint64_t boot, sequence;
  size_t at = 1 + get_varint(m->payload + 1, &boot);
  get_varint(m->payload + at + 1, &sequence);
  client *c = &y->clients[m->device];
  assert_true(sequence >= 1 && sequence <= c->frames && boot <= c->boot);
  if (boot < c->boot) return; /* from a life that is over */
  assert_int_equal(m->size, c->frame_bytes);
  uint8_t again[4096];
  assert_int_equal(frame_read(c, (uint32_t)sequence, 0, again, m->size), 0);
  assert_memory_equal(again, m->payload, m->size);
  y->taken++;
  y->taken_twice += c->stored[sequence];
  c->stored[sequence] = true;
  htel_receipt receipt = {.boot = boot, .stored_count = 1};
  receipt.stored[0] = (htel_range){(uint32_t)sequence, (uint32_t)sequence};
  uint8_t bytes[HTEL_RECEIPT_BYTES_MAX];
  int size = htel_receipt_encode(&receipt, bytes, sizeof bytes);
  char topic[64];
  snprintf(topic, sizeof topic, "htel/v1/%s/receipt", c->id);
  assert_true(size > 0 && sim_broker_publish(y->broker, topic, bytes, (size_t)size));
}

static void ingest_turn(yard *y) {
  sim_message m;
  while (!y->ingest_away && sim_broker_take(y->broker, &m)) {
    const char *last = strrchr(m.topic, '/');
    last = last != NULL ? last + 1 : "";
    if (strcmp(last, "frame") == 0) frame_take(y, &m);
    y->taken_births += strcmp(last, "birth") == 0;
    y->taken_statuses += strcmp(last, "status") == 0;
    y->digest = (y->digest ^ (uint64_t)y->queue.now_ms ^ m.size << 40) * 0x9E3779B97F4A7C15u;
  }
}

/* ---- All together -------------------------------------------------------------------------- */

static void on_up(void *ctx, uint32_t device) {
  (void)device;
  ((yard *)ctx)->taps_up++;
}

static void on_down(void *ctx, uint32_t device) {
  (void)device;
  ((yard *)ctx)->taps_down++;
}

static void on_publish(void *ctx, const sim_message *m) {
  yard *y = ctx;
  assert_true(m->device < CLIENTS);
  assert_int_equal(m->sent_ms, y->queue.now_ms);
  y->taps_publish++;
}

yard *yard_new(uint64_t seed) {
  yard *y = calloc(1, sizeof *y);
  assert_non_null(y);
  assert_true(sim_queue_init(&y->queue, ACTORS));
  y->broker = sim_broker_new(&y->queue, BROKER, INGEST, seed);
  assert_non_null(y->broker);
  sim_broker_tap tap = {.ctx = y, .up = on_up, .down = on_down, .publish = on_publish};
  sim_broker_tap_set(y->broker, &tap);
  for (uint32_t i = 0; i < CLIENTS; i++) {
    client *c = &y->clients[i];
    c->yard = y;
    c->number = i;
    c->boot = 7;
    c->frame_bytes = 300;
    snprintf(c->id, sizeof c->id, "dev-%c", 'a' + (char)i);
    assert_true(sim_path_init(&c->path, sim_broker_net(y->broker), i, i, seed * 100 + i));
    c->path.shape.latency_ms = 30;
    c->config = (htel_mqtt_config){.transport = &c->path.transport,
                                   .tick_ms = tick_ms,
                                   .tick_ctx = c,
                                   .buffer = c->buffer,
                                   .buffer_size = sizeof c->buffer};
  }
  return y;
}

void yard_free(yard *y) {
  for (uint32_t i = 0; i < CLIENTS; i++) {
    assert_null(sim_path_violation(&y->clients[i].path));
    assert_int_equal(y->clients[i].path.counts.unverified_bytes, 0);
    sim_path_free(&y->clients[i].path);
  }
  sim_broker_free(y->broker);
  sim_queue_free(&y->queue);
  free(y);
}

static bool is_done(const yard *y) {
  for (uint32_t i = 0; i < CLIENTS; i++)
    if (y->clients[i].on && y->clients[i].receipted_count < y->clients[i].frames) return false;
  return true;
}

static bool run(yard *y, int64_t ms, bool until_done) {
  int64_t end_ms = y->queue.now_ms + ms;
  while (sim_queue_next_ms(&y->queue) <= end_ms && !(until_done && is_done(y))) {
    uint32_t actor = 0;
    assert_true(sim_queue_take(&y->queue, &actor));
    if (actor < CLIENTS) client_turn(&y->clients[actor]);
    if (actor == BROKER) sim_broker_step(y->broker);
    if (actor == INGEST) ingest_turn(y);
  }
  return is_done(y);
}

void yard_run(yard *y, int64_t ms) {
  int64_t end_ms = y->queue.now_ms + ms;
  run(y, ms, false);
  y->queue.now_ms = end_ms;
}

bool yard_run_until_done(yard *y, int64_t ms) {
  return run(y, ms, true);
}
