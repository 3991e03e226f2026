/* SPDX-License-Identifier: Apache-2.0 */
/* ports/mqtt: how a session is kept alive and how it ends, by a clock that the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mqtt_far.h"

/* ---- Keep-alive ---------------------------------------------------------------------------- */

static void test_silence_is_asked_about_and_then_taken_for_the_end(void **state) {
  (void)state;
  static const uint32_t starts[] = {1000, UINT32_MAX - 70000};
  for (unsigned i = 0; i < 2; i++) {
    near_end *near = near_new(7);
    near->far.tick_ms = starts[i];
    near_up(near);
    near_run(near, 59999);
    near_expect_nothing(near);
    near_run(near, 1);
    near_expect_head(near, 0xc0);
    near_run(near, 29999);
    near_expect_nothing(near); /* it asks once */
    assert_int_equal(near->event_count, 0);
    unsigned polls = near_run(near, 1);
    assert_int_equal(near_error(near), HTEL_E_LINK_SILENT);
    assert_true(polls < 10);
    near_delete(near);
  }
}

static void test_answers_keep_the_connection_for_ever(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  for (unsigned i = 0; i < 100; i++) {
    unsigned polls = near_run(near, 60000);
    near_expect_head(near, 0xc0);
    assert_true(polls < 80); /* about one a second: it sleeps */
    far_pingresp(&near->far);
  }
  assert_int_equal(near->event_count, 0);
  near_delete(near);
}

static void test_a_broker_that_only_takes_is_noticed(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  unsigned published = 0;
  uint32_t began = near->far.tick_ms;
  while (near->event_count == 0) {
    if (near->mqtt.in_flight < 0xffff) assert_int_equal(near_publish(near, ++published, 50), 0);
    near_run(near, 7000);
  }
  assert_int_equal(near_error(near), HTEL_E_LINK_SILENT);
  assert_true(near->far.tick_ms - began < 97000);
  near_delete(near);
}

static void test_a_broker_that_only_talks_is_still_pinged(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  for (unsigned i = 0; i < 12; i++) {
    near_run(near, 10000);
    far_publish(&near->far, 0, "r", 1);
  }
  near_expect_head(near, 0xc0);
  assert_int_equal(near_count(near, HTEL_LINK_DOWN), 0);
  near_delete(near);
}

/* ---- Ending ---------------------------------------------------------------------------------- */

static void test_close_says_disconnect_after_the_last_acknowledgement(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  assert_int_equal(near_publish(near, 1, 10), 0);
  far_publish(&near->far, 77, "r", 1);
  near_run(near, 0);
  near->far.close_steps = 3;
  near->link->close(near->link->ctx);
  near->link->close(near->link->ctx);
  assert_int_equal(near_publish(near, 2, 10), HTEL_E_CLOSED);
  near_run(near, 500);
  far_packet packet;
  assert_true(far_take(&near->far, &packet));
  uint16_t id = near_check_publish(&packet, 1, 10);
  near_expect_puback(near, 77);
  near_expect_nothing(near);
  far_puback(&near->far, id);
  near_run(near, 0);
  near_expect_head(near, 0xe0);
  near_run(near, 5000);
  assert_int_equal(near_error(near), 0);
  assert_int_equal(near_count(near, HTEL_LINK_ACKED), 1);
  assert_true(near->far.orderly);
  near->event_count = 0;
  near_up(near);
  near_delete(near);
}

static void test_close_does_not_wait_for_ever(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  assert_int_equal(near_publish(near, 1, 10), 0);
  near_run(near, 0);
  near_expect_head(near, 0x32);
  near->link->close(near->link->ctx); /* the PUBACK never comes */
  near_run(near, 1999);
  near_expect_nothing(near);
  near_run(near, 1001);
  near_expect_head(near, 0xe0);
  assert_int_equal(near_error(near), 0);
  near_delete(near);

  near = near_new(7);
  near_up(near);
  near->far.write_limit = near->far.got.count;
  assert_int_equal(near_publish(near, 1, 1000), 0);
  near->link->close(near->link->ctx); /* the stream takes nothing */
  near_run(near, 6000);
  assert_int_equal(near_error(near), 0);
  assert_false(near->far.orderly);
  near_delete(near);
}

static void test_close_before_up_ends_at_once(void **state) {
  (void)state;
  for (unsigned stage = 0; stage < 3; stage++) {
    near_end *near = near_new(7);
    near->link->close(near->link->ctx); /* nothing to close */
    near->far.step_result = stage == 0 ? HTEL_E_AGAIN : 0;
    assert_int_equal(near_open(near), 0);
    if (stage == 2) far_connack(&near->far, 0, 0);
    near_run(near, 0);
    near->link->close(near->link->ctx);
    near_run(near, 0);
    assert_int_equal(near_error(near), 0);
    assert_false(near->far.is_open);
    near_delete(near);
  }
}

static void test_a_loss_while_closing_is_no_error(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  assert_int_equal(near_publish(near, 1, 10), 0);
  near->link->close(near->link->ctx);
  near->far.read_limit = near->far.read;
  near->far.read_error = HTEL_E_LINK_LOST;
  near_run(near, 100);
  assert_int_equal(near_error(near), 0);
  near_delete(near);
}

/* While the stream is blocked with DISCONNECT before it, the broker goes on: more than there is
 * room to note. */
static void test_nothing_follows_disconnect(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  near->far.write_limit = near->far.got.count;
  near->link->close(near->link->ctx);
  near_run(near, 0);
  for (uint16_t id = 1; id <= 3 * HTEL_MQTT_ACKS_MAX; id++) {
    far_publish(&near->far, id, "r", 1);
    near_run(near, 10);
  }
  near->far.write_limit = FAR_ALL;
  near_run(near, 6000);
  near_expect_head(near, 0xe0);
  near_expect_nothing(near);
  assert_int_equal(near_error(near), 0);
  near_delete(near);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_silence_is_asked_about_and_then_taken_for_the_end),
      cmocka_unit_test(test_answers_keep_the_connection_for_ever),
      cmocka_unit_test(test_a_broker_that_only_takes_is_noticed),
      cmocka_unit_test(test_a_broker_that_only_talks_is_still_pinged),
      cmocka_unit_test(test_close_says_disconnect_after_the_last_acknowledgement),
      cmocka_unit_test(test_close_does_not_wait_for_ever),
      cmocka_unit_test(test_close_before_up_ends_at_once),
      cmocka_unit_test(test_a_loss_while_closing_is_no_error),
      cmocka_unit_test(test_nothing_follows_disconnect),
  };
  /* The same in the middle of the clock's range, and over its end after a moment or a minute. */
  static const uint32_t starts[] = {1000, UINT32_MAX - 2000, UINT32_MAX - 65000};
  int failed = 0;
  for (unsigned i = 0; i < sizeof starts / sizeof starts[0]; i++) {
    far_tick_first = starts[i];
    failed += cmocka_run_group_tests(tests, NULL, NULL);
  }
  return failed;
}
