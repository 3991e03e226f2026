/* SPDX-License-Identifier: Apache-2.0 */
/* Delivery: each rule of docs/DELIVERY.md by itself. */
#include "client_fixture.h"

/* ---- delivery -------------------------------------------------------------------------- */

static void test_puback_alone_frees_nothing(void **state) {
  (void)state;
  open_it();
  it.world.no_receipts = true;
  run_ms(2000);
  alarm_now(1);
  run_ms(1000);
  assert_int_equal(it.world.alarms.count, 1);
  assert_int_equal(stats().frames_waiting, 1);
  assert_int_equal(stats().frames_in_flight, 1);
  it.world.no_receipts = false;
  run_ms(120000); /* resent, known there, receipted */
  assert_int_equal(stats().frames_waiting, 0);
  assert_true(it.world.duplicates >= 1);
  assert_int_equal(it.world.alarms.count, 1);
}

static void test_puback_frees_where_the_broker_is_trusted(void **state) {
  (void)state;
  it.config.delivery.mode = HTEL_DELIVERY_BROKER;
  it.world.no_receipts = true;
  open_it();
  run_ms(2000);
  alarm_now(1);
  run_ms(1000);
  assert_int_equal(stats().frames_waiting, 0);
  assert_int_equal(stats().readings_delivered, 1);
}

static void test_frames_in_flight_are_sent_again_after_a_cut(void **state) {
  (void)state;
  open_it();
  run_ms(2000);
  it.world.lose_frames_pct = 100; /* the broker takes them and dies */
  alarm_now(1);
  run_ms(100);
  assert_int_equal(it.world.alarms.count, 0);
  it.world.lose_frames_pct = 0;
  fake_cut(&it.world, HTEL_E_LINK_LOST);
  run_ms(10000);
  assert_int_equal(it.world.alarms.count, 1);
  assert_int_equal(stats().disconnects, 1);
  assert_int_equal(stats().frames_resent, 1);
  assert_int_equal(stats().frames_waiting, 0);
}

static void test_receipts_of_others_and_garbage_are_ignored(void **state) {
  (void)state;
  IN_RAM_ONLY();
  open_it();
  it.world.no_receipts = true;
  run_ms(2000);
  alarm_now(1);
  run_ms(100);
  uint8_t bytes[HTEL_RECEIPT_BYTES_MAX];
  htel_receipt other_boot = {.boot = 8, .stored_count = 1, .stored = {{1, 100}}};
  int n = htel_receipt_encode(&other_boot, bytes, sizeof bytes);
  fake_inject(&it.world, bytes, (size_t)n);
  htel_poll(it.tel);
  assert_int_equal(stats().frames_waiting, 1);
  memset(bytes, 0xff, sizeof bytes);
  fake_inject(&it.world, bytes, sizeof bytes);
  htel_poll(it.tel);
  assert_int_equal(stats().frames_waiting, 1);
  assert_int_equal(stats().messages_ignored, 2);
  /* Nor does a receipt free a frame that was never sent. */
  it.world.reachable = false;
  fake_cut(&it.world, HTEL_E_LINK_LOST);
  frame_now(60);
  uint32_t waiting = stats().frames_waiting;
  htel_receipt early = {.boot = 7, .stored_count = 1, .stored = {{2, 100}}};
  n = htel_receipt_encode(&early, bytes, sizeof bytes);
  fake_inject(&it.world, bytes, (size_t)n);
  htel_poll(it.tel);
  assert_int_equal(stats().frames_waiting, waiting);
}

static void test_unknown_birth_is_sent_again_when_asked_for(void **state) {
  (void)state;
  open_it();
  run_ms(5000);
  assert_int_equal(it.world.births, 1);
  it.world.knows_birth = false; /* the ingest's database was lost */
  alarm_now(5);
  run_ms(5000);
  assert_int_equal(it.world.births, 2);
  assert_int_equal(it.world.alarms.count, 1);
  assert_int_equal(stats().frames_waiting, 0);
}

static void test_alarms_first_then_live_then_backlog(void **state) {
  (void)state;
  it.world.reachable = false;
  open_it();
  for (int32_t i = 0; i < 30; i++) frame_now(i);
  alarm_now(1);
  htel_poll(it.tel);
  it.world.reachable = true;
  it.world.publish_room = 1;
  it.world.receipt_ms = 1;
  while (!stats().connected) run_ms(5);
  alarm_now(2);
  htel_record(it.tel, PULSE, 1000);
  htel_poll(it.tel);
  htel_flush(it.tel, 60000);
  flushed();
  const fake_frame *f = it.world.frames;
  assert_int_equal(f[0].sequence, 31); /* the alarm of the outage */
  bool live = false;
  for (unsigned i = 1; i < 4; i++) live |= f[i].sequence >= 33;
  assert_true(live); /* before most of the backlog */
  uint32_t last = 0;
  for (size_t i = 0; i < it.world.frame_count; i++) {
    if (f[i].sequence > 30) continue;
    assert_true(f[i].sequence > last); /* oldest first */
    last = f[i].sequence;
  }
  assert_int_equal(last, 30);
}

static void test_backlog_keeps_to_its_rate(void **state) {
  (void)state;
  it.config.delivery.backlog_per_s_max = 5;
  it.world.reachable = false;
  open_it();
  for (int32_t i = 0; i < 60; i++) frame_now(i);
  it.world.reachable = true;
  while (!stats().connected) run_ms(5);
  size_t before = it.world.frame_count;
  run_ms(4000);
  size_t sent = it.world.frame_count - before;
  assert_in_range(sent, 15, 26); /* 5 a second and a bucket of 5 */
}

static void test_pause_asked_for_by_the_ingest(void **state) {
  (void)state;
  open_it();
  run_ms(2000);
  it.world.pause_ms = 60000;
  alarm_now(1);
  run_ms(200);
  it.world.pause_ms = 0;
  frame_now(60);
  run_ms(1000);
  assert_int_equal(it.world.series[PULSE].count, 0);
  alarm_now(2); /* its receipt ends the pause: the newest word counts */
  run_ms(3000);
  assert_int_equal(it.world.alarms.count, 2);
  assert_int_equal(it.world.series[PULSE].count, 1);
}

static void test_slow_link_keeps_little_under_way(void **state) {
  (void)state;
  it.world.reachable = false;
  open_it();
  int32_t block[64];
  for (unsigned b = 0; b < 2000; b++) {
    for (unsigned i = 0; i < 64; i++) block[i] = (int32_t)(fake_random(&it.world) % 2000);
    htel_record_block_at(it.tel, ECG, block, 64, HTEL_VALID, it.world.tick_ms);
    it.world.tick_ms += 178;
    htel_poll(it.tel);
  }
  it.world.reachable = true;
  it.world.ack_ms = 1600;
  it.world.receipt_ms = 1700;
  while (!stats().connected) run_ms(5);
  assert_true(stats().frames_waiting >= 8);
  for (unsigned i = 0; i < 20; i++) {
    run_ms(200);
    assert_true(it.tel->outbox.unacked_bytes <= 2u * it.tel->frame_bytes_max);
  }
  assert_true(stats().frames_delivered > 0);
}

static void test_backoff_spreads_attempts_and_resets(void **state) {
  (void)state;
  it.world.reachable = false;
  it.config.delivery.backoff_base_ms = 1000;
  it.config.delivery.backoff_max_ms = 8000;
  open_it();
  run_ms(600000);
  unsigned opens = it.world.opens;
  assert_in_range(opens, 75, 300); /* 4 s on average */
  assert_int_equal(stats().last_error, HTEL_E_CONNECT);
  it.world.reachable = true;
  run_ms(20000);
  assert_true(stats().connected);
  assert_int_equal(stats().last_error, 0);
  assert_int_equal(it.tel->delivery.reconnect.window_ms, 1000);
}

/* PUBACKs come, and then that there will be no receipts: as bad as no connection. */
static void test_refused_subscription_does_not_reset_the_backoff(void **state) {
  (void)state;
  it.world.ack_ms = 5;
  it.world.no_receipts = true;
  it.config.delivery.backoff_base_ms = 1000;
  it.config.delivery.backoff_max_ms = 8000;
  open_it();
  for (unsigned ms = 0; ms < 600000; ms += 20) {
    run_ms(20);
    if (stats().connected) fake_cut(&it.world, HTEL_E_SUBSCRIBE);
  }
  assert_in_range(it.world.opens, 75, 300); /* 4 s on average */
}

static void test_without_random_the_whole_window_is_waited(void **state) {
  (void)state;
  it.world.reachable = false;
  open_it();
  it.world.random_fails = true;
  run_ms(300000);
  assert_in_range(it.world.opens, 5, 12);
}

static void test_no_second_sees_a_hundred_messages(void **state) {
  (void)state;
  it.config.delivery.rate_per_s_max = 90;
  it.config.delivery.backlog_per_s_max = 90;
  it.world.reachable = false;
  it.world.receipt_ms = 1;
  it.world.ack_ms = 1;
  open_it();
  for (int32_t i = 0; i < 400; i++) frame_now(i);
  it.world.reachable = true;
  while (!stats().connected) run_ms(1);
  uint32_t before = it.world.publishes, most = 0;
  for (unsigned i = 0; i < 4; i++) {
    run_ms(1000);
    uint32_t sent = it.world.publishes - before;
    before = it.world.publishes;
    if (sent > most) most = sent;
  }
  assert_in_range(most, 80, 99);
}

static void test_a_link_still_being_taken_down_is_not_hammered(void **state) {
  (void)state;
  open_it();
  it.world.open_again = 10;
  uint32_t wait = htel_poll(it.tel);
  assert_int_equal(it.world.opens, 0);
  assert_in_range(wait, 20, 1000);
  run_ms(2000);
  assert_true(stats().connected);
}

static void test_eviction_spares_frames_that_a_link_is_at(void **state) {
  (void)state;
  IN_RAM_ONLY();
  it.world.no_receipts = true;
  it.world.no_acks = true;
  it.config.outbox.bytes = 8192;
  open_it();
  run_ms(1000);
  for (unsigned i = 0; i < 300; i++) frame_now((int32_t)i);
  const outbox_entry *oldest = outbox_next(&it.tel->outbox, NULL);
  assert_true(stats().frames_evicted > 0);
  assert_int_equal(oldest->state, OUTBOX_IN_FLIGHT);
}

/* The broker is there and the ingest is not: what tells of losses must not cost more of them. */
static void test_loss_records_push_nothing_out(void **state) {
  (void)state;
  IN_RAM_ONLY();
  it.world.no_receipts = true;
  it.config.outbox.bytes = 8192;
  open_it();
  run_ms(1000);
  alarm_now(1);
  run_ms(1000);
  uint32_t kept = 0;
  for (uint32_t i = 0; i < 400; i++) {
    htel_record(it.tel, PULSE, (int32_t)i);
    run_ms(10001);
    if (stats().frames_evicted == 0) kept = stats().frames_waiting; /* in flight or not */
  }
  assert_true(stats().frames_evicted > 300);
  uint32_t alarms = 0;
  uint32_t frames = 0;
  for (const outbox_entry *e = outbox_next(&it.tel->outbox, NULL); e != NULL;
       e = outbox_next(&it.tel->outbox, e)) {
    frames++;
    alarms += e->frame_class == HTEL_CLASS_ALARM;
  }
  assert_int_equal(alarms, 1); /* the real one */
  assert_in_range(frames, kept - 2u, kept);

  it.world.no_receipts = false;
  run_ms(700000);
  fake_lost lost;
  assert_int_equal(stats().frames_waiting, 0);
  fake_account(&it.world, it.tel->sequence_next - 1u, &lost);
  assert_int_equal(lost.holes, 0);
  assert_int_equal(lost.evicted[HTEL_CLASS_NUMERIC], 0); /* they had come all the same */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      T(test_puback_alone_frees_nothing),
      T(test_puback_frees_where_the_broker_is_trusted),
      T(test_frames_in_flight_are_sent_again_after_a_cut),
      T(test_receipts_of_others_and_garbage_are_ignored),
      T(test_unknown_birth_is_sent_again_when_asked_for),
      T(test_alarms_first_then_live_then_backlog),
      T(test_backlog_keeps_to_its_rate),
      T(test_pause_asked_for_by_the_ingest),
      T(test_slow_link_keeps_little_under_way),
      T(test_backoff_spreads_attempts_and_resets),
      T(test_refused_subscription_does_not_reset_the_backoff),
      T(test_without_random_the_whole_window_is_waited),
      T(test_no_second_sees_a_hundred_messages),
      T(test_a_link_still_being_taken_down_is_not_hammered),
      T(test_eviction_spares_frames_that_a_link_is_at),
      T(test_loss_records_push_nothing_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
