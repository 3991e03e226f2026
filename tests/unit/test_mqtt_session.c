/* SPDX-License-Identifier: Apache-2.0 */
/* ports/mqtt: sessions from open to DOWN, with a broker that behaves and a clock that the test
 * moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mqtt_far.h"

/* ---- Coming up ------------------------------------------------------------------------- */

static void test_up_and_subscribe_come_after_connack(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near->far.step_result = HTEL_E_AGAIN;
  assert_int_equal(near_open(near), 0);
  assert_int_equal(near_open(near), HTEL_E_AGAIN);
  near_run(near, 5000);
  assert_int_equal(near->far.got.count, 0);
  assert_int_equal(near->far.timeout_ms, 20000);
  near->far.step_result = 0;
  near_run(near, 3000);
  far_packet packet;
  assert_true(far_take(&near->far, &packet));
  assert_memory_equal(packet.body,
                      "\x00\x04MQTT\x04\x2e\x00\x3c\x00\x05"
                      "dev-1",
                      17);
  near_expect_nothing(near);
  assert_int_equal(near->event_count, 0);
  far_connack(&near->far, 0, 0);
  near_run(near, 3000);
  assert_true(far_take(&near->far, &packet));
  assert_int_equal(packet.head, 0x82);
  assert_memory_equal(packet.body + 2, "\x00\x15htel/v1/dev-1/receipt\x01", 24);
  assert_int_equal(near->event_count, 1);
  assert_int_equal(near->events[0].kind, HTEL_LINK_UP);
  far_suback(&near->far, (uint16_t)(packet.body[0] << 8 | packet.body[1]), 1);
  near_run(near, 0);
  assert_int_equal(near->event_count, 1);
  near_delete(near);
}

static void test_what_is_published_first_goes_in_one_write_behind_subscribe(void **state) {
  (void)state;
  near_end *near = near_new(7);
  assert_int_equal(near_open(near), 0);
  near_run(near, 0);
  assert_int_equal(near_publish(near, 1, 1), HTEL_E_CLOSED);
  far_connack(&near->far, 0, 0);
  htel_link_event event;
  assert_int_equal(near->link->next(near->link->ctx, &event), 1);
  assert_int_equal(event.kind, HTEL_LINK_UP);
  assert_int_equal(near->link->next(near->link->ctx, &event), 0);
  size_t writes = near->far.writes;
  assert_int_equal(near_publish(near, 1, 5), 0);
  assert_int_equal(near_publish(near, 2, 5), 0);
  near_run(near, 0);
  assert_int_equal(near->far.writes, writes + 1);
  near_expect_head(near, 0x10);
  near_expect_head(near, 0x82);
  far_packet packet;
  assert_true(far_take(&near->far, &packet));
  near_check_publish(&packet, 1, 5);
  near_delete(near);
}

static void test_without_a_receive_topic_connack_is_enough(void **state) {
  (void)state;
  near_end *near = near_new(7);
  htel_link_session session = {.client_id = "dev-1", .will_topic = "w"};
  assert_int_equal(near->link->open(near->link->ctx, &session), 0);
  far_connack(&near->far, 0, 0);
  near_run(near, 0);
  assert_int_equal(near_count(near, HTEL_LINK_UP), 1);
  far_packet packet;
  assert_true(far_take(&near->far, &packet));
  assert_int_equal(packet.body[9], 60); /* the keep-alive where none is given */
  near_expect_nothing(near);
  near_delete(near);
}

static void test_refusals_have_their_own_errors(void **state) {
  (void)state;
  static const struct {
    uint8_t code;
    int error;
  } cases[] = {{1, HTEL_E_REFUSED},      {2, HTEL_E_REFUSED},      {3, HTEL_E_REFUSED},
               {4, HTEL_E_UNAUTHORIZED}, {5, HTEL_E_UNAUTHORIZED}, {6, HTEL_E_PROTOCOL},
               {255, HTEL_E_PROTOCOL}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    near_end *near = near_new(7);
    assert_int_equal(near_open(near), 0);
    near_run(near, 0);
    far_connack(&near->far, 0, cases[i].code);
    near->far.read_limit = near->far.put.count; /* and hangs up */
    near->far.read_error = HTEL_E_LINK_LOST;
    near_run(near, 0);
    assert_int_equal(near_error(near), cases[i].error);
    assert_false(near->far.is_open);
    near_delete(near);
  }
  near_end *near = near_new(7);
  assert_int_equal(near_open(near), 0);
  near_run(near, 0);
  far_connack(&near->far, 0, 0);
  far_suback(&near->far, HTEL_MQTT_IN_FLIGHT_MAX + 1, 0x80);
  near_run(near, 0);
  assert_int_equal(near_error(near), HTEL_E_SUBSCRIBE);
  near_delete(near);
}

static void test_what_the_transport_says_is_told(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near->far.open_result = HTEL_E_AGAIN;
  assert_int_equal(near_open(near), HTEL_E_AGAIN);
  near->far.open_result = HTEL_E_MEMORY;
  assert_int_equal(near_open(near), HTEL_E_MEMORY);
  near_run(near, 10);
  assert_int_equal(near->event_count, 0); /* there was no connection */
  near->far.open_result = 0;
  assert_int_equal(near_open(near), 0);
  near->far.step_result = HTEL_E_TLS_NAME;
  near_run(near, 10);
  assert_int_equal(near_error(near), HTEL_E_TLS_NAME);
  assert_int_equal(near->far.closes, 1);
  near->far.step_result = 0;
  near->event_count = 0;
  near_up(near);
  near_delete(near);
}

static void test_a_broker_that_says_nothing_is_given_up(void **state) {
  (void)state;
  for (unsigned connack = 0; connack < 2; connack++) { /* 1: and SUBACK does not come */
    near_end *near = near_new(7);
    near->config.connect_timeout_ms = 7000;
    near->far.tick_ms = UINT32_MAX - 3000; /* the clock wraps */
    assert_int_equal(near_open(near), 0);
    near_run(near, 1000);
    if (connack) far_connack(&near->far, 0, 0);
    near_run(near, 5999);
    assert_int_equal(near_count(near, HTEL_LINK_UP), connack);
    assert_int_equal(near_count(near, HTEL_LINK_DOWN), 0);
    near_run(near, 1);
    assert_int_equal(near_error(near), HTEL_E_LINK_SILENT);
    near_delete(near);
  }
}

static void test_a_session_that_does_not_fit_is_refused(void **state) {
  (void)state;
  near_end *near = near_new(7);
  static char long_topic[300];
  memset(long_topic, 'a', sizeof long_topic - 1);
  htel_link_session session = {.client_id = "d", .will_topic = long_topic};
  assert_int_equal(near->link->open(near->link->ctx, &session), HTEL_E_TOO_LARGE);
  session = (htel_link_session){.client_id = "d", .will_topic = "w", .receive_topic = long_topic};
  assert_int_equal(near->link->open(near->link->ctx, &session), HTEL_E_TOO_LARGE);
  session = (htel_link_session){.client_id = "d"};
  assert_int_equal(near->link->open(near->link->ctx, &session), HTEL_E_ARGUMENT);
  session = (htel_link_session){.client_id = "d", .will_topic = "w", .will_size = 1};
  assert_int_equal(near->link->open(near->link->ctx, &session), HTEL_E_ARGUMENT);
  assert_int_equal(near->far.opens, 0);
  /* The longest that the core makes does fit the smallest window. */
  static const uint8_t will[32] = {0};
  char id[37], status[64], receipt[64];
  memset(id, 'i', 36);
  id[36] = '\0';
  snprintf(status, sizeof status, "htel/v1/%s/status", id);
  snprintf(receipt, sizeof receipt, "htel/v1/%s/receipt", id);
  session = (htel_link_session){.client_id = id,
                                .will_topic = status,
                                .will = will,
                                .will_size = sizeof will,
                                .receive_topic = receipt};
  assert_int_equal(near->link->open(near->link->ctx, &session), 0);
  near_delete(near);
}

static void test_a_config_that_cannot_work_is_refused(void **state) {
  (void)state;
  near_end *near = near_new(7);
  htel_mqtt mqtt;
  htel_mqtt_config config = near->config;
  config.buffer_size--;
  assert_int_equal(htel_mqtt_init(&mqtt, &config), HTEL_E_ARGUMENT);
  config = near->config;
  config.buffer_size = HTEL_MQTT_BUFFER_BYTES(HTEL_MQTT_WINDOW_BYTES_MAX) + 1;
  assert_int_equal(htel_mqtt_init(&mqtt, &config), HTEL_E_ARGUMENT);
  config = near->config;
  config.buffer = NULL;
  assert_int_equal(htel_mqtt_init(&mqtt, &config), HTEL_E_ARGUMENT);
  config = near->config;
  config.transport = NULL;
  assert_int_equal(htel_mqtt_init(&mqtt, &config), HTEL_E_ARGUMENT);
  config = near->config;
  config.tick_ms = NULL;
  assert_int_equal(htel_mqtt_init(&mqtt, &config), HTEL_E_ARGUMENT);
  assert_int_equal(htel_mqtt_init(&mqtt, NULL), HTEL_E_ARGUMENT);
  near_delete(near);
}

/* ---- Publishing -------------------------------------------------------------------------- */

static void test_messages_arrive_whole_and_are_acknowledged_by_token(void **state) {
  (void)state;
  static const uint32_t sizes[] = {0, 1, 100, 226, 227, 228, 5000, 61440};
  near_end *near = near_new(7);
  near_up(near);
  for (uint32_t i = 0; i < 8; i++) {
    uint32_t token = i % 2 == 0 ? i : 0xfffffff0u + i;
    assert_int_equal(near_publish(near, token, sizes[i]), 0);
    near_run(near, 0);
    far_packet packet;
    assert_true(far_take(&near->far, &packet));
    uint16_t id = near_check_publish(&packet, token, sizes[i]);
    near->event_count = 0;
    far_puback(&near->far, id);
    near_run(near, 0);
    assert_int_equal(near->event_count, 1);
    assert_int_equal(near->events[0].kind, HTEL_LINK_ACKED);
    assert_int_equal(near->events[0].token, token);
  }
  near_delete(near);
}

static void test_small_messages_of_one_poll_go_in_one_write(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  unsigned writes = near->far.writes;
  for (uint32_t token = 1; token <= 4; token++) assert_int_equal(near_publish(near, token, 20), 0);
  assert_int_equal(near->far.writes, writes);
  assert_int_equal(near->link->wait_ms(near->link->ctx), 0);
  near_run(near, 0);
  assert_int_equal(near->far.writes, writes + 1);
  far_packet packet;
  for (uint32_t token = 1; token <= 4; token++) {
    assert_true(far_take(&near->far, &packet));
    near_check_publish(&packet, token, 20);
  }
  near_delete(near);
}

static void test_a_message_that_does_not_fit_the_window_keeps_the_next_one_waiting(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  near->far.write_limit = near->far.got.count + 100;
  assert_int_equal(near_publish(near, 1, 1000), 0);
  assert_int_equal(near_publish(near, 2, 1), HTEL_E_AGAIN);
  near_run(near, 2000);
  assert_int_equal(near_publish(near, 2, 1), HTEL_E_AGAIN);
  near->far.write_limit = FAR_ALL;
  near_run(near, 2000);
  assert_int_equal(near_publish(near, 2, 1), 0);
  near_run(near, 0);
  far_packet packet;
  assert_true(far_take(&near->far, &packet));
  near_check_publish(&packet, 1, 1000);
  assert_true(far_take(&near->far, &packet));
  near_check_publish(&packet, 2, 1);
  near_delete(near);
}

/* The window may have room while a payload is not all in: it is refilled at the next turn. */
static void test_no_message_gets_between_the_pieces_of_another(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  assert_int_equal(near_publish(near, 1, 60000), 0);
  htel_link_event event;
  size_t before = near->far.got.count;
  near->link->next(near->link->ctx, &event);
  assert_in_range(near->far.got.count - before, 1, 30000); /* its share of one call */
  assert_int_equal(near_publish(near, 2, 5), HTEL_E_AGAIN);
  near_run(near, 0);
  far_packet packet;
  assert_true(far_take(&near->far, &packet));
  near_check_publish(&packet, 1, 60000);
  near_delete(near);
}

static void test_as_many_in_flight_as_the_table_holds_in_any_order(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  uint16_t ids[HTEL_MQTT_IN_FLIGHT_MAX];
  far_packet packet;
  for (uint32_t i = 0; i < HTEL_MQTT_IN_FLIGHT_MAX; i++) {
    assert_int_equal(near_publish(near, 100 + i, 10), 0);
    near_run(near, 0);
    assert_true(far_take(&near->far, &packet));
    ids[i] = near_check_publish(&packet, 100 + i, 10);
    for (uint32_t j = 0; j < i; j++) assert_int_not_equal(ids[i], ids[j]);
  }
  assert_int_equal(near_publish(near, 200, 10), HTEL_E_AGAIN);
  near_expect_nothing(near);
  for (uint32_t i = 0; i < HTEL_MQTT_IN_FLIGHT_MAX; i++) { /* 7 and 24 have no common factor */
    uint32_t at = i * 7 % HTEL_MQTT_IN_FLIGHT_MAX;
    far_puback(&near->far, ids[at]);
    near->event_count = 0;
    near_run(near, 0);
    assert_int_equal(near->events[0].token, 100 + at);
    assert_int_equal(near_publish(near, 200 + i, 10), 0);
  }
  assert_int_equal(near_publish(near, 300, 10), HTEL_E_AGAIN);
  near_delete(near);
}

/* A broker that throttles gives no PUBACK at all; one that repeats gives two. */
static void test_acknowledgements_may_be_lost_late_and_doubled(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  far_packet packet;
  uint16_t ids[600];
  for (unsigned i = 0; i < 600; i++) { /* published again and again, and no PUBACK */
    assert_int_equal(near_publish(near, 9, 10), 0);
    near_run(near, 0);
    assert_true(far_take(&near->far, &packet));
    ids[i] = near_check_publish(&packet, 9, 10);
    if (i > 0) assert_int_not_equal(ids[i], ids[i - 1]);
  }
  for (unsigned i = 500; i < 599; i++) far_puback(&near->far, ids[i]); /* for the earlier times */
  near_run(near, 0);
  assert_int_equal(near->event_count, 0);
  for (unsigned i = 0; i < 3; i++) far_puback(&near->far, ids[599]);
  near_run(near, 0);
  assert_int_equal(near->event_count, 1);
  assert_int_equal(near->events[0].token, 9);
  near_delete(near);
}

static void test_a_full_table_without_acknowledgements_is_the_end(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  for (uint32_t i = 0; i < HTEL_MQTT_IN_FLIGHT_MAX; i++) {
    assert_int_equal(near_publish(near, i + 1, 1), 0);
    near_run(near, 0);
  }
  for (unsigned i = 0; i < 8; i++) {
    near_run(near, 10000);
    far_pingresp(&near->far); /* it is alive */
  }
  assert_int_equal(near->event_count, 0);
  near_run(near, 10000);
  assert_int_equal(near_error(near), HTEL_E_LINK_SILENT);
  near_delete(near);
}

static void test_a_message_that_goes_away_in_the_middle_ends_the_connection(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  near->far.write_limit = near->far.got.count + 50;
  assert_int_equal(near_publish(near, 1, 1000), 0);
  near_run(near, 100);
  near->gone = 1;
  near->far.write_limit = FAR_ALL;
  near_run(near, 1000);
  assert_int_equal(near_error(near), HTEL_E_CLOSED);
  assert_false(near->far.is_open);
  near->event_count = 0;
  near_up(near);
  assert_int_equal(near_publish(near, 1, 10), HTEL_E_CLOSED); /* at once */
  near_run(near, 0);
  assert_int_equal(near_error(near), HTEL_E_CLOSED);
  near_delete(near);
}

static void test_messages_too_large_end_the_connection(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  assert_int_equal(near_publish(near, 1, 61441), HTEL_E_TOO_LARGE);
  near_run(near, 0);
  assert_int_equal(near_error(near), HTEL_E_TOO_LARGE);
  near_delete(near);
}

/* ---- Receiving --------------------------------------------------------------------------- */

static void test_received_messages_are_told_and_acknowledged(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  uint8_t payload[513];
  memset(payload, 0xa5, sizeof payload);
  far_publish(&near->far, 0x1234, payload, 512);
  far_publish(&near->far, 2, payload, 513); /* longer than the core takes: dropped, acknowledged */
  far_publish(&near->far, 0, payload, 0);
  far_publish(&near->far, 3, payload, 5);
  near_run(near, 0);
  assert_int_equal(near->event_count, 3);
  assert_int_equal(near->events[0].size, 512);
  assert_int_equal(near->events[1].size, 0);
  assert_int_equal(near->events[2].size, 5);
  assert_memory_equal(near->messages[2], payload, 5);
  near_run(near, 12000);
  near_expect_puback(near, 0x1234);
  near_expect_puback(near, 2);
  near_expect_puback(near, 3);
  near_expect_nothing(near);
  near_delete(near);
}

static void test_acknowledgements_wait_for_company_but_not_for_long(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  far_publish(&near->far, 1, "r", 1);
  near_run(near, 10000);
  near_expect_nothing(near);
  unsigned writes = near->far.writes;
  assert_int_equal(near_publish(near, 1, 10), 0);
  near_run(near, 0);
  assert_int_equal(near->far.writes, writes + 1);
  near_expect_puback(near, 1);
  near_expect_head(near, 0x32);
  far_publish(&near->far, 2, "r", 1);
  near_run(near, 11999);
  near_expect_nothing(near);
  near_run(near, 1);
  near_expect_puback(near, 2);
  for (uint16_t id = 3; id <= 6; id++) far_publish(&near->far, id, "r", 1);
  near_run(near, 0);
  for (uint16_t id = 3; id <= 6; id++) near_expect_puback(near, id);
  near_delete(near);
}

static void test_more_receipts_than_can_be_acknowledged_have_to_wait(void **state) {
  (void)state;
  near_end *near = near_new(7);
  near_up(near);
  near->far.write_limit = near->far.got.count + 30;
  assert_int_equal(near_publish(near, 1, 3000), 0); /* nothing else can go before its end */
  for (uint16_t id = 1; id <= 40; id++) far_publish(&near->far, id, &id, 2);
  near_run(near, 5000);
  assert_int_equal(near->event_count, HTEL_MQTT_ACKS_MAX);
  near->far.write_limit = FAR_ALL;
  near_run(near, 0);
  assert_int_equal(near->event_count, 40);
  far_packet packet;
  assert_true(far_take(&near->far, &packet));
  near_check_publish(&packet, 1, 3000);
  near_run(near, 12000);
  for (uint16_t id = 1; id <= 40; id++) near_expect_puback(near, id);
  near_delete(near);
}

static void test_a_message_before_suback_is_told(void **state) {
  (void)state;
  near_end *near = near_new(7);
  assert_int_equal(near_open(near), 0);
  far_connack(&near->far, 0, 0);
  far_publish(&near->far, 5, "r", 1);
  far_suback(&near->far, HTEL_MQTT_IN_FLIGHT_MAX + 1, 0);
  near_run(near, 13000);
  assert_int_equal(near->event_count, 2);
  assert_int_equal(near->events[0].kind, HTEL_LINK_UP);
  assert_int_equal(near->events[1].kind, HTEL_LINK_MESSAGE);
  near_expect_head(near, 0x10);
  near_expect_head(near, 0x82);
  near_expect_puback(near, 5);
  near_delete(near);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_up_and_subscribe_come_after_connack),
      cmocka_unit_test(test_what_is_published_first_goes_in_one_write_behind_subscribe),
      cmocka_unit_test(test_without_a_receive_topic_connack_is_enough),
      cmocka_unit_test(test_refusals_have_their_own_errors),
      cmocka_unit_test(test_what_the_transport_says_is_told),
      cmocka_unit_test(test_a_broker_that_says_nothing_is_given_up),
      cmocka_unit_test(test_a_session_that_does_not_fit_is_refused),
      cmocka_unit_test(test_a_config_that_cannot_work_is_refused),
      cmocka_unit_test(test_messages_arrive_whole_and_are_acknowledged_by_token),
      cmocka_unit_test(test_small_messages_of_one_poll_go_in_one_write),
      cmocka_unit_test(test_a_message_that_does_not_fit_the_window_keeps_the_next_one_waiting),
      cmocka_unit_test(test_no_message_gets_between_the_pieces_of_another),
      cmocka_unit_test(test_as_many_in_flight_as_the_table_holds_in_any_order),
      cmocka_unit_test(test_acknowledgements_may_be_lost_late_and_doubled),
      cmocka_unit_test(test_a_full_table_without_acknowledgements_is_the_end),
      cmocka_unit_test(test_a_message_that_goes_away_in_the_middle_ends_the_connection),
      cmocka_unit_test(test_messages_too_large_end_the_connection),
      cmocka_unit_test(test_received_messages_are_told_and_acknowledged),
      cmocka_unit_test(test_acknowledgements_wait_for_company_but_not_for_long),
      cmocka_unit_test(test_more_receipts_than_can_be_acknowledged_have_to_wait),
      cmocka_unit_test(test_a_message_before_suback_is_told),
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
