/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_far.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void bytes_add(far_bytes *to, const void *bytes, size_t size) {
  if (to->count + size > to->room) {
    to->room = (to->count + size) * 2;
    to->bytes = realloc(to->bytes, to->room);
    assert_non_null(to->bytes);
  }
  if (size > 0) memcpy(to->bytes + to->count, bytes, size);
  to->count += size;
}

static size_t smaller(size_t a, size_t b) {
  return a < b ? a : b;
}

/* ---- Stream and transport -------------------------------------------------------------- */

static bool blocks(far_end *far) {
  return far->block_pct > 0 && random_below(&far->random, 100) < far->block_pct;
}

static int stream_read(void *ctx, uint8_t *buf, size_t size) {
  far_end *far = ctx;
  assert_true(far->is_open);
  assert_true(size > 0);
  if (blocks(far)) return 0;
  if (far->read >= far->read_limit || far->read == far->put.count)
    return far->read >= far->read_limit ? far->read_error : 0;
  size_t n = smaller(smaller(size, far->read_max), far->put.count - far->read);
  n = smaller(n, far->read_limit - far->read);
  memcpy(buf, far->put.bytes + far->read, n);
  far->read += n;
  far->reads++;
  return (int)n;
}

static int stream_write(void *ctx, const uint8_t *buf, size_t size) {
  far_end *far = ctx;
  assert_true(far->is_open);
  assert_true(size > 0);
  if (far->refused_size > 0) {
    assert_true(size >= far->refused_size);
    assert_memory_equal(buf, far->refused, smaller(far->refused_size, sizeof far->refused));
  }
  size_t n = smaller(smaller(size, far->write_max), far->write_limit - far->got.count);
  if (n == 0 && far->write_error != 0) return far->write_error;
  if (blocks(far)) n = 0;
  far->refused_size = n == 0 ? size : 0;
  if (n == 0) memcpy(far->refused, buf, smaller(size, sizeof far->refused));
  bytes_add(&far->got, buf, n);
  far->writes += n > 0;
  return (int)n;
}

static htel_stream transport_stream(void *ctx) {
  far_end *far = ctx;
  assert_true(far->is_open);
  return (htel_stream){.ctx = far, .read = stream_read, .write = stream_write};
}

static int transport_open(void *ctx, uint32_t timeout_ms) {
  far_end *far = ctx;
  assert_false(far->is_open);
  if (far->open_result != 0) return far->open_result;
  far->timeout_ms = timeout_ms;
  far->is_open = true;
  far->opens++;
  far_reset(far);
  return 0;
}

static int transport_step(void *ctx) {
  far_end *far = ctx;
  assert_true(far->is_open);
  return far->step_result;
}

/* As if a poller were woken. */
static uint32_t transport_wait_ms(void *ctx) {
  const far_end *far = ctx;
  bool readable = far->read < smaller(far->put.count, far->read_limit);
  bool writable = far->refused_size > 0 && far->got.count < far->write_limit;
  return readable || writable ? 1 : 1000;
}

uint32_t far_tick_first = 1000;

static int transport_close(void *ctx, bool orderly) {
  far_end *far = ctx;
  if (orderly && far->close_steps > 0) {
    far->close_steps--;
    return HTEL_E_AGAIN;
  }
  far->closes += far->is_open;
  far->orderly = orderly;
  far->is_open = false;
  return 0;
}

void far_init(far_end *far, uint64_t seed) {
  memset(far, 0, sizeof *far);
  far->tick_ms = far_tick_first;
  far->random.state = seed;
  far->read_max = far->write_max = far->read_limit = far->write_limit = FAR_ALL;
  far->transport = (htel_mqtt_transport){.ctx = far,
                                         .open = transport_open,
                                         .step = transport_step,
                                         .stream = transport_stream,
                                         .wait_ms = transport_wait_ms,
                                         .close = transport_close};
}

void far_free(far_end *far) {
  free(far->got.bytes);
  free(far->put.bytes);
}

void far_reset(far_end *far) {
  far->got.count = far->put.count = far->taken = far->read = 0;
  far->writes = far->reads = 0;
  far->refused_size = 0;
}

/* ---- A broker's packets ------------------------------------------------------------------ */

bool far_take(far_end *far, far_packet *packet) {
  size_t left = far->got.count - far->taken;
  if (left == 0) return false;
  const uint8_t *at = far->got.bytes + far->taken;
  size_t length = 0;
  size_t used = 1;
  for (unsigned shift = 0;; shift += 7, used++) {
    assert_true(shift <= 21);
    if (used >= left) return false;
    length |= (size_t)(at[used] & 0x7f) << shift;
    if (at[used] < 0x80) break;
  }
  used++;
  if (left - used < length) return false;
  *packet = (far_packet){.head = at[0], .body = at + used, .size = length};
  far->taken += used + length;
  return true;
}

void far_put(far_end *far, const void *bytes, size_t size) {
  bytes_add(&far->put, bytes, size);
}

void far_connack(far_end *far, uint8_t flags, uint8_t code) {
  far_put(far, (uint8_t[]){0x20, 2, flags, code}, 4);
}

void far_suback(far_end *far, uint16_t id, uint8_t code) {
  far_put(far, (uint8_t[]){0x90, 3, (uint8_t)(id >> 8), (uint8_t)id, code}, 5);
}

void far_puback(far_end *far, uint16_t id) {
  far_put(far, (uint8_t[]){0x40, 2, (uint8_t)(id >> 8), (uint8_t)id}, 4);
}

void far_pingresp(far_end *far) {
  far_put(far, (uint8_t[]){0xd0, 0}, 2);
}

void far_publish(far_end *far, uint16_t id, const void *payload, size_t size) {
  static const char topic[] = "htel/v1/dev-1/receipt";
  size_t length = 2 + strlen(topic) + (id > 0 ? 2u : 0u) + size;
  far_put(far, (uint8_t[]){id > 0 ? 0x32 : 0x30}, 1);
  for (; length > 127; length >>= 7) far_put(far, (uint8_t[]){(uint8_t)(length | 0x80)}, 1);
  far_put(far, (uint8_t[]){(uint8_t)length, 0, (uint8_t)strlen(topic)}, 3);
  far_put(far, topic, strlen(topic));
  if (id > 0) far_put(far, (uint8_t[]){(uint8_t)(id >> 8), (uint8_t)id}, 2);
  far_put(far, payload, size);
}

/* ---- The client -------------------------------------------------------------------------- */

static uint32_t clock_ms(void *ctx) {
  return ((far_end *)ctx)->tick_ms;
}

void near_init(near_end *near, uint64_t seed) {
  memset(near, 0, sizeof *near);
  far_init(&near->far, seed);
  near->config = (htel_mqtt_config){.transport = &near->far.transport,
                                    .tick_ms = clock_ms,
                                    .tick_ctx = &near->far,
                                    .buffer = near->buffer,
                                    .buffer_size = sizeof near->buffer};
  assert_int_equal(htel_mqtt_init(&near->mqtt, &near->config), 0);
  near->link = htel_mqtt_link(&near->mqtt);
}

void near_free(near_end *near) {
  far_free(&near->far);
}

int near_open(near_end *near) {
  static const uint8_t will[] = {0x10, 7};
  char id[] = "dev-1", status[] = "htel/v1/dev-1/status", receipt[] = "htel/v1/dev-1/receipt";
  htel_link_session session = {.client_id = id,
                               .will_topic = status,
                               .will = will,
                               .will_size = sizeof will,
                               .receive_topic = receipt,
                               .keep_alive_s = 60};
  int rc = near->link->open(near->link->ctx, &session);
  memset(id, 'x', 5); /* they are good during open() only */
  memset(status, 'x', 5);
  memset(receipt, 'x', 5);
  return rc;
}

bool near_poll(near_end *near) {
  for (unsigned i = 0; i < 500; i++) {
    htel_link_event event;
    int rc = near->link->next(near->link->ctx, &event);
    if (rc == 0) return true;
    assert_int_equal(rc, 1);
    if (near->event_count == NEAR_EVENTS_MAX) near->event_count--; /* only the newest then */
    if (event.kind == HTEL_LINK_MESSAGE) {
      assert_true(event.size <= HTEL_LINK_MESSAGE_BYTES_MAX);
      uint8_t *copy = near->messages[near->event_count];
      memcpy(copy, event.payload, event.size < 16 ? event.size : 16);
    }
    near->events[near->event_count++] = event;
  }
  return false;
}

unsigned near_run(near_end *near, uint32_t ms) {
  uint32_t end = near->far.tick_ms + ms;
  for (unsigned polls = 1;; polls++) {
    assert_true(near_poll(near));
    uint32_t wait = near->link->wait_ms(near->link->ctx);
    uint32_t left = end - near->far.tick_ms;
    assert_true(wait <= 1000);
    if (wait > 0 && left == 0) return polls;
    near->far.tick_ms += wait < left ? wait : left;
    assert_true(polls < 1000000); /* it does not spin */
  }
}

size_t near_count(const near_end *near, htel_link_event_kind kind) {
  size_t count = 0;
  for (size_t i = 0; i < near->event_count; i++) count += near->events[i].kind == kind;
  return count;
}

int near_error(const near_end *near) {
  int error = 1;
  for (size_t i = 0; i < near->event_count; i++)
    if (near->events[i].kind == HTEL_LINK_DOWN) error = near->events[i].error;
  assert_int_equal(near_count(near, HTEL_LINK_DOWN), 1);
  return error;
}

void near_up(near_end *near) {
  far_packet packet = {0};
  assert_int_equal(near_open(near), 0);
  near_run(near, 0);
  assert_true(far_take(&near->far, &packet));
  assert_int_equal(packet.head, 0x10);
  far_connack(&near->far, 0, 0);
  near_run(near, 0);
  assert_true(far_take(&near->far, &packet));
  assert_int_equal(packet.head, 0x82);
  far_suback(&near->far, (uint16_t)(packet.body[0] << 8 | packet.body[1]), 1);
  assert_int_equal(near->event_count, 1);
  assert_int_equal(near->events[0].kind, HTEL_LINK_UP);
  near_run(near, 0);
  assert_int_equal(near->event_count, 1);
  assert_false(far_take(&near->far, &packet));
  near->event_count = 0;
}

uint8_t near_pattern(uint32_t token, uint32_t offset) {
  return (uint8_t)((token * 2654435761u + offset * 40503u) >> 8);
}

static int pattern_read(void *source, uint32_t token, uint32_t offset, uint8_t *buf, size_t size) {
  const near_end *near = source;
  if (token == near->gone) return HTEL_E_CLOSED;
  for (size_t i = 0; i < size; i++) buf[i] = near_pattern(token, offset + (uint32_t)i);
  return 0;
}

int near_publish(near_end *near, uint32_t token, uint32_t size) {
  char topic[] = "htel/v1/dev-1/frame";
  htel_message message = {
      .topic = topic, .size = size, .token = token, .source = near, .read = pattern_read};
  int rc = near->link->publish(near->link->ctx, &message);
  memset(topic, 'x', 5); /* it is good during publish() only */
  return rc;
}

uint16_t near_check_publish(const far_packet *packet, uint32_t token, uint32_t size) {
  static const char topic[] = "htel/v1/dev-1/frame";
  size_t head = 2 + strlen(topic);
  assert_int_equal(packet->head, 0x32);
  assert_int_equal(packet->size, head + 2 + size);
  assert_int_equal(packet->body[0] << 8 | packet->body[1], strlen(topic));
  assert_memory_equal(packet->body + 2, topic, strlen(topic));
  for (uint32_t i = 0; i < size; i++)
    assert_int_equal(packet->body[head + 2 + i], near_pattern(token, i));
  return (uint16_t)(packet->body[head] << 8 | packet->body[head + 1]);
}

/* ---- In short ---------------------------------------------------------------------- */

near_end *near_new(uint64_t seed) {
  near_end *near = calloc(1, sizeof *near);
  assert_non_null(near);
  near_init(near, seed);
  return near;
}

void near_delete(near_end *near) {
  near_free(near);
  free(near);
}

void near_expect_head(near_end *near, uint8_t head) {
  far_packet packet = {0};
  assert_true(far_take(&near->far, &packet));
  assert_int_equal(packet.head, head);
}

void near_expect_puback(near_end *near, uint16_t id) {
  far_packet packet = {0};
  assert_true(far_take(&near->far, &packet));
  assert_int_equal(packet.head, 0x40);
  assert_int_equal(packet.body[0] << 8 | packet.body[1], id);
}

void near_expect_nothing(near_end *near) {
  far_packet packet;
  assert_false(far_take(&near->far, &packet));
}
