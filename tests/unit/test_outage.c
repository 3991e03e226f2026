/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated outage: the core sees what a lost network looks like, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after the above, as cmocka wants it */
#include <cmocka.h>

#include "outage.h"

/* An inner link that comes up at once, and acknowledges once after it was closed. */
static struct {
  bool up_due, closed, ack_due;
  unsigned opened, published;
} inner;
static uint32_t now_ms;

static uint32_t tick_ms(void *ctx) {
  (void)ctx;
  return now_ms;
}

static int inner_open(void *ctx, const htel_link_session *session) {
  (void)ctx, (void)session;
  inner.up_due = true;
  inner.opened++;
  return 0;
}

static int inner_publish(void *ctx, const htel_message *message) {
  (void)ctx, (void)message;
  inner.published++;
  inner.ack_due = true;
  return 0;
}

static int inner_next(void *ctx, htel_link_event *event) {
  (void)ctx;
  *event = (htel_link_event){0};
  if (inner.up_due)
    event->kind = HTEL_LINK_UP, inner.up_due = false;
  else if (inner.ack_due)
    event->kind = HTEL_LINK_ACKED, inner.ack_due = false;
  else if (inner.closed)
    event->kind = HTEL_LINK_DOWN, inner.closed = false;
  else
    return 0;
  return 1;
}

static uint32_t inner_wait_ms(void *ctx) {
  (void)ctx;
  return 1000;
}

static void inner_close(void *ctx) {
  (void)ctx;
  inner.closed = true;
}

static const htel_link inner_link = {NULL,       inner_open,    inner_publish,
                                     inner_next, inner_wait_ms, inner_close};
static const htel_port port = {.tick_ms = tick_ms};
static const options_outage plan[] = {{10, 5}};
static outage cut;
static const htel_link *link;
static htel_link_event event;

static int link_begin(void **state) {
  (void)state;
  memset(&inner, 0, sizeof inner);
  now_ms = 0xffffffffu - 5000; /* the clock wraps in the middle */
  outage_init(&cut, &inner_link, &port, plan, 1);
  cut.tick0 = now_ms;
  link = outage_link(&cut);
  assert_int_equal(0, link->open(link->ctx, NULL));
  assert_int_equal(1, link->next(link->ctx, &event));
  assert_int_equal(HTEL_LINK_UP, event.kind);
  return 0;
}

static void test_passes_all_while_there_is_network(void **state) {
  (void)state;
  now_ms += 9999;
  assert_int_equal(0, link->publish(link->ctx, NULL));
  assert_int_equal(1, link->next(link->ctx, &event));
  assert_int_equal(HTEL_LINK_ACKED, event.kind);
  assert_int_equal(0, link->next(link->ctx, &event));
  link->close(link->ctx);
  assert_int_equal(1, link->next(link->ctx, &event));
  assert_int_equal(HTEL_LINK_DOWN, event.kind);
  assert_int_equal(0, event.error);
}

static void test_an_outage_is_a_lost_link(void **state) {
  (void)state;
  assert_int_equal(0, link->publish(link->ctx, NULL));
  now_ms += 10000;
  assert_int_equal(HTEL_E_AGAIN, link->publish(link->ctx, NULL));
  assert_int_equal(1, link->next(link->ctx, &event)); /* the PUBACK is not heard any more */
  assert_int_equal(HTEL_LINK_DOWN, event.kind);
  assert_int_equal(HTEL_E_LINK_LOST, event.error);
  assert_int_equal(0, link->next(link->ctx, &event));
  assert_int_equal(1, inner.published);
}

static void test_attempts_fail_until_it_is_over(void **state) {
  (void)state;
  now_ms += 10000;
  assert_int_equal(1, link->next(link->ctx, &event));
  for (int i = 0; i < 3; i++) {
    assert_int_equal(0, link->open(link->ctx, NULL));
    assert_int_equal(0, link->wait_ms(link->ctx));
    assert_int_equal(1, link->next(link->ctx, &event));
    assert_int_equal(HTEL_LINK_DOWN, event.kind);
    assert_int_equal(HTEL_E_CONNECT, event.error);
    assert_int_equal(0, link->next(link->ctx, &event));
  }
  assert_int_equal(1, inner.opened);
  now_ms += 5000;
  assert_int_equal(0, link->open(link->ctx, NULL));
  assert_int_equal(1, link->next(link->ctx, &event));
  assert_int_equal(HTEL_LINK_UP, event.kind);
  assert_int_equal(2, inner.opened);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_passes_all_while_there_is_network, link_begin),
      cmocka_unit_test_setup(test_an_outage_is_a_lost_link, link_begin),
      cmocka_unit_test_setup(test_attempts_fail_until_it_is_over, link_begin),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
