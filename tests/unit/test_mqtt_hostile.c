/* SPDX-License-Identifier: Apache-2.0 */
/* ports/mqtt and a broker that wishes it ill: what breaks the protocol ends the connection with an
 * error, and nothing that a broker sends makes the link tell the core what is not so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mqtt_far.h"

typedef enum stage { GREETING, SUBSCRIBING, UP, PUBLISHED, PUBLISHING } stage;

static near_end *setup(stage at) {
  near_end *near = near_new(3);
  if (at >= UP) {
    near_up(near);
  } else {
    assert_int_equal(near_open(near), 0);
    near_run(near, 0);
    if (at == SUBSCRIBING) far_connack(&near->far, 0, 0);
  }
  if (at == PUBLISHING) near->far.write_limit = near->far.got.count + 40;
  if (at >= PUBLISHED) assert_int_equal(near_publish(near, 1, at == PUBLISHED ? 5 : 5000), 0);
  near_run(near, 0);
  return near;
}

static void test_what_is_out_of_place_ends_the_connection(void **state) {
  (void)state;
  static const struct {
    stage at;
    const char *bytes;
    size_t size;
  } cases[] = {
      {GREETING, "\x20\x02\x01\x00", 4},     /* a session that we never had */
      {GREETING, "\x90\x03\x00\x19\x01", 5}, /* anything before CONNACK */
      {GREETING, "\x40\x02\x00\x01", 4},
      {GREETING, "\xd0\x00", 2},
      {GREETING,
       "\x30\x04\x00\x01"
       "ab",
       6},
      {GREETING, "HTTP/1.1 400 Bad Request", 24},
      {SUBSCRIBING, "\x20\x02\x00\x00", 4},     /* twice */
      {SUBSCRIBING, "\x90\x03\x00\x18\x01", 5}, /* another id */
      {SUBSCRIBING, "\x90\x03\x00\x19\x02", 5}, /* more than was asked for */
      {SUBSCRIBING, "\x90\x03\x00\x19\x81", 5},
      {UP, "\x90\x03\x00\x19\x01", 5},
      {UP, "\x20\x02\x00\x00", 4},
      {UP, "\x40\x02\x00\x00", 4},
      {UP, "\x40\x02\x00\x19", 4},
      {UP, "\x40\x02\xff\xff", 4},
      {UP,
       "\x34\x05\x00\x01"
       "a\x00\x01",
       7}, /* QoS 2 */
      {UP, "\xe0\x00", 2},
      {UP, "\x40\x02\x20\x01", 4},
      {PUBLISHING, "\x40\x02\x00\x38", 4}, /* before it was sent */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    near_end *near = setup(cases[i].at);
    assert_int_equal(near_count(near, HTEL_LINK_DOWN), 0);
    far_put(&near->far, cases[i].bytes, cases[i].size);
    near_run(near, 0);
    assert_int_equal(near_error(near), HTEL_E_PROTOCOL);
    assert_false(near->far.is_open);
    near_delete(near);
  }
}

/* An endless stream of good packets: each call is bounded, and the clock goes on. */
static void test_a_flood_does_not_hold_the_poll(void **state) {
  (void)state;
  near_end *near = setup(UP);
  static uint8_t payload[400];
  for (unsigned i = 0; i < 2000; i++) far_publish(&near->far, 1, payload, sizeof payload);
  for (unsigned i = 0; i < 100000; i++) far_pingresp(&near->far);
  htel_link_event event;
  while (near->far.read < near->far.put.count) {
    unsigned reads = near->far.reads;
    near->link->next(near->link->ctx, &event);
    assert_true(near->far.reads - reads <= 16 && near->far.reads > reads);
    assert_true(event.kind != HTEL_LINK_DOWN);
  }
  near_delete(near);
}

/* What the core relies on, checked after any bytes at all. */
static void check_sane(const near_end *near, unsigned published) {
  bool up = false, down = false;
  unsigned acked = 0;
  for (size_t i = 0; i < near->event_count; i++) {
    const htel_link_event *e = &near->events[i];
    assert_false(down); /* it is the last */
    if (e->kind == HTEL_LINK_UP) {
      assert_false(up);
      up = true;
    } else if (e->kind == HTEL_LINK_ACKED) {
      assert_true(up);
      assert_true(e->token >= 1 && e->token <= published);
      assert_int_equal(acked >> e->token & 1u, 0);
      acked |= 1u << e->token;
    } else if (e->kind == HTEL_LINK_MESSAGE) {
      assert_true(up);
    } else {
      assert_int_equal(e->kind, HTEL_LINK_DOWN);
      assert_true(e->error == HTEL_E_PROTOCOL || e->error == HTEL_E_REFUSED ||
                  e->error == HTEL_E_UNAUTHORIZED || e->error == HTEL_E_SUBSCRIBE ||
                  e->error == HTEL_E_LINK_SILENT);
      down = true;
    }
  }
}

/* A good conversation's bytes, some of them changed, and some noise at the end. */
static void noise(near_end *near, sim_random *random, unsigned changes) {
  far_end *far = &near->far;
  uint8_t payload[64];
  far_connack(far, 0, 0);
  far_suback(far, HTEL_MQTT_IN_FLIGHT_MAX + 1, 1);
  for (unsigned i = 0; i < 12; i++) {
    uint32_t which = random_below(random, 4);
    for (unsigned j = 0; j < sizeof payload; j++) payload[j] = (uint8_t)random_u32(random);
    if (which == 0) far_puback(far, (uint16_t)(1 + random_below(random, 6)));
    if (which == 1) far_pingresp(far);
    if (which >= 2)
      far_publish(far, (uint16_t)random_below(random, 9), payload, random_below(random, 64));
  }
  for (unsigned i = 0; i < changes; i++)
    far->put.bytes[random_below(random, (uint32_t)far->put.count)] = (uint8_t)random_u32(random);
  far_put(far, payload, random_below(random, 64));
}

static void test_any_bytes_at_all(void **state) {
  (void)state;
  unsigned downs = 0, ups = 0;
  for (uint64_t seed = 1; seed <= 20000; seed++) {
    sim_random random = {seed};
    near_end *near = near_new(seed);
    assert_int_equal(near_open(near), 0);
    noise(near, &random, random_below(&random, 4));
    near->far.read_max = 1 + random_below(&random, 20);
    near->far.write_max = 1 + random_below(&random, 200);
    near->far.block_pct = random_below(&random, 60);
    unsigned published = 0;
    for (unsigned turn = 0; turn < 20; turn++) {
      near_run(near, random_below(&random, 30));
      uint32_t size = random_below(&random, 600);
      if (published < 20 && near_publish(near, published + 1, size) == 0) published++;
    }
    near_run(near, 200000); /* by then it is silent */
    check_sane(near, published);
    assert_int_equal(near_count(near, HTEL_LINK_DOWN), 1);
    ups += near_count(near, HTEL_LINK_UP) > 0;
    downs += near_error(near) == HTEL_E_PROTOCOL;
    near_delete(near);
  }
  assert_true(downs > 1000 && ups > 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_is_out_of_place_ends_the_connection),
      cmocka_unit_test(test_a_flood_does_not_hold_the_poll),
      cmocka_unit_test(test_any_bytes_at_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
