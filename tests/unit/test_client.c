/* SPDX-License-Identifier: Apache-2.0 */
/* The client from record to close: values, qualities, times, losses, ends. */
#include "client_fixture.h"

/* ---- from reading to store ------------------------------------------------------------- */

static void test_readings_arrive_with_value_quality_and_time(void **state) {
  (void)state;
  open_it();
  it.world.knows_birth = false;
  uint32_t t0 = it.world.tick_ms;
  int32_t block[36];
  for (unsigned second = 0; second < 25; second++) {
    htel_record_at(it.tel, PULSE, 60 + (int32_t)second, second == 3 ? HTEL_SENSOR_OFF : HTEL_VALID,
                   it.world.tick_ms);
    for (unsigned b = 0; b < 10; b++) {
      for (unsigned i = 0; i < 36; i++) block[i] = (int32_t)(second * 360 + b * 36 + i);
      assert_int_equal(
          htel_record_block_at(it.tel, ECG, block, 36, HTEL_VALID, t0 + second * 1000 + b * 100),
          0);
      run_ms(100);
    }
  }
  flushed();
  assert_int_equal(it.world.series[PULSE].count, 25);
  assert_int_equal(it.world.series[PULSE].readings[3].quality, HTEL_SENSOR_OFF);
  assert_int_equal(it.world.series[PULSE].readings[24].value, 84);
  assert_int_equal(it.world.series[PULSE].readings[24].tick, t0 + 24000);
  assert_int_equal(it.world.series[ECG].count, 9000);
  for (unsigned i = 0; i < 9000; i++) {
    assert_int_equal(it.world.series[ECG].readings[i].value, i);
    assert_int_equal(it.world.series[ECG].readings[i].tick, t0 + i * 1000 / 360);
  }
  assert_int_equal(it.world.births, 1);
}

/* Numerics begin 4 s after the waveform. From the first frames on both classes close together: a
 * poll closes none or two. */
static void test_classes_close_their_frames_together(void **state) {
  (void)state;
  open_it();
  run_ms(1000);
  int32_t block[36] = {0};
  unsigned together = 0;
  uint32_t before = stats().frames_closed;
  for (unsigned b = 0; b < 600; b++) {
    assert_int_equal(htel_record_block(it.tel, ECG, block, 36), 0);
    if (b >= 40 && b % 10 == 0) assert_int_equal(htel_record(it.tel, PULSE, 60), 0);
    run_ms(100);
    uint32_t closed = stats().frames_closed - before;
    before += closed;
    if (closed == 2) together++;
    if (b > 150) assert_true(closed == 0 || closed == 2);
  }
  assert_true(together >= 5);
  flushed();
  assert_int_equal(it.world.series[ECG].count, 600 * 36);
  assert_int_equal(it.world.series[PULSE].count, 56);
}

static void test_blocks_without_ticks_are_placed_by_count(void **state) {
  (void)state;
  open_it();
  int32_t block[36] = {0};
  uint32_t begun = it.world.tick_ms;
  for (unsigned b = 0; b < 50; b++) { /* late by up to 40 ms, as a thread is */
    it.world.tick_ms = begun + (b + 1) * 100 + fake_random(&it.world) % 40;
    htel_record_block(it.tel, ECG, block, 36);
    htel_poll(it.tel);
  }
  flushed();
  const fake_series *s = &it.world.series[ECG];
  assert_int_equal(s->count, 1800);
  for (unsigned i = 1; i < s->count; i++) {
    uint64_t step = s->readings[i].tick - s->readings[i - 1].tick;
    assert_true(step == 2 || step == 3); /* 2.78 ms, never a jump */
  }
}

static void test_count_starts_anew_after_a_pause(void **state) {
  (void)state;
  open_it();
  int32_t block[36] = {0};
  uint32_t t0 = it.world.tick_ms;
  htel_record_block_at(it.tel, ECG, block, 36, HTEL_VALID, t0);
  htel_record_block_at(it.tel, ECG, block, 36, HTEL_VALID, t0 + 5000);
  flushed();
  assert_int_equal(it.world.series[ECG].readings[35].tick, t0 + 97);
  assert_int_equal(it.world.series[ECG].readings[36].tick, t0 + 5000);
}

/* One refused sample is no more than the clock's tolerance: only the mark in the stream tells. */
static void test_a_single_refused_sample_leaves_its_gap(void **state) {
  (void)state;
  open_it();
  uint32_t t0 = it.world.tick_ms;
  uint32_t sent = 0;
  int32_t sample = 0;
  while (htel_record_block_at(it.tel, ECG, &sample, 1, HTEL_VALID, t0 + sent * 1000 / 360) == 0)
    sample = (int32_t)++sent;
  htel_poll(it.tel);
  uint32_t after = sent + 1;
  assert_int_equal(
      htel_record_block_at(it.tel, ECG, &sample, 1, HTEL_VALID, t0 + after * 1000 / 360), 0);
  flushed();
  assert_int_equal(it.world.series[ECG].count, sent + 1);
  assert_int_equal(it.world.series[ECG].readings[sent].tick, t0 + after * 1000 / 360);
}

static void test_arguments_are_checked(void **state) {
  (void)state;
  open_it();
  int32_t block[65] = {0};
  htel_alarm_event event = {.source = HTEL_NO_SOURCE};
  assert_int_equal(htel_record(it.tel, CHANNELS, 1), HTEL_E_ARGUMENT);
  assert_int_equal(htel_record(it.tel, ECG, 1), HTEL_E_ARGUMENT);
  assert_int_equal(htel_record_at(it.tel, PULSE, 1, (htel_quality)8, 0), HTEL_E_ARGUMENT);
  assert_int_equal(htel_record_block(it.tel, PULSE, block, 1), HTEL_E_ARGUMENT);
  assert_int_equal(htel_record_block(it.tel, ECG, block, 0), HTEL_E_ARGUMENT);
  assert_int_equal(htel_record_block(it.tel, ECG, block, 65), HTEL_E_ARGUMENT);
  assert_int_equal(htel_alarm(it.tel, PULSE, &event), HTEL_E_ARGUMENT);
  event.state = 4;
  assert_int_equal(htel_alarm(it.tel, ALARM, &event), HTEL_E_ARGUMENT);
  event.state = 0;
  event.source = CHANNELS;
  assert_int_equal(htel_alarm(it.tel, ALARM, &event), HTEL_E_ARGUMENT);
  flushed();
  assert_int_equal(stats().readings_accepted, 0);
}

static void test_alarm_wakes_the_poller_and_closes_its_frame(void **state) {
  (void)state;
  open_it();
  run_ms(3000);
  unsigned wakes = it.world.wakes;
  alarm_now(77);
  assert_int_equal(it.world.wakes, wakes + 1);
  htel_poll(it.tel);
  assert_int_equal(stats().frames_in_flight, 1);
  run_ms(100);
  assert_int_equal(it.world.alarms.count, 1);
  assert_int_equal(it.world.alarms.readings[0].value, 77);
}

static void test_ring_past_half_wakes_once(void **state) {
  (void)state;
  open_it();
  int32_t block[64] = {0};
  for (unsigned i = 0; i < 7; i++)
    htel_record_block(it.tel, ECG, block, 64); /* 66 of 512 words each */
  assert_int_equal(it.world.wakes, 1);
}

static void test_full_ring_is_refused_counted_and_alarms_still_fit(void **state) {
  (void)state;
  open_it();
  unsigned refused = 0;
  for (unsigned i = 0; i < 300; i++)
    refused += htel_record(it.tel, PULSE, (int32_t)i) == HTEL_E_FULL;
  assert_true(refused > 0);
  for (uint32_t i = 0; i < 8; i++) alarm_now(i);
  flushed();
  run_ms(2000);
  flushed();
  fake_lost lost;
  fake_account(&it.world, it.tel->sequence_next - 1, &lost);
  assert_int_equal(lost.ring[PULSE], refused);
  assert_int_equal(it.world.series[PULSE].count, 300 - refused);
  assert_int_equal(it.world.alarms.count, 8);
  assert_int_equal(stats().readings_refused, refused);
}

/* ---- time ------------------------------------------------------------------------------ */

static void test_anchor_when_the_clock_is_set_and_when_it_jumps(void **state) {
  (void)state;
  open_it();
  run_ms(5000);
  assert_int_equal(it.world.anchor_count, 0);
  it.world.utc_ms = 1700000000000;
  it.world.has_utc = true;
  run_ms(5000);
  assert_int_equal(it.world.anchor_count, 1);
  it.world.utc_ms += 315360000000; /* ten years on */
  run_ms(5000);
  assert_int_equal(it.world.anchor_count, 2);
  it.world.utc_ms -= 2 * 315360000000;
  run_ms(5000);
  assert_int_equal(it.world.anchor_count, 3);
  const htel_anchor *a = &it.world.anchors[2];
  assert_int_equal(a->utc_ms - (int64_t)a->tick, it.world.utc_ms);
  run_ms(3600000);
  assert_int_equal(it.world.anchor_count, 4); /* refreshed hourly */
  int64_t utc_ms;
  uint32_t uncertainty_ms;
  assert_int_equal(htel_utc_now(it.tel, &utc_ms, &uncertainty_ms), 0);
  assert_int_equal(utc_ms, it.world.utc_ms + it.world.tick_ms);
}

static void test_device_without_a_clock_learns_the_time_from_receipts(void **state) {
  (void)state;
  open_it();
  it.world.server_time = true;
  it.world.utc_ms = 1700000000000;
  run_ms(2000);
  alarm_now(1);
  run_ms(5000);
  int64_t utc_ms;
  uint32_t uncertainty_ms;
  assert_int_equal(htel_utc_now(it.tel, &utc_ms, &uncertainty_ms), 0);
  int64_t error = utc_ms - (it.world.utc_ms + it.world.tick_ms);
  assert_true(error <= (int64_t)uncertainty_ms && -error <= (int64_t)uncertainty_ms);
  assert_true(uncertainty_ms <= 20);
}

static void test_ticks_wrap_without_a_seam(void **state) {
  (void)state;
  it.world.tick_ms = 0xFFFFF000u;
  open_it();
  uint64_t t0 = it.world.tick_ms;
  for (unsigned i = 0; i < 10; i++) {
    htel_record(it.tel, PULSE, (int32_t)i);
    run_ms(1000);
  }
  flushed();
  for (unsigned i = 0; i < 10; i++)
    assert_int_equal(it.world.series[PULSE].readings[i].tick, t0 + i * 1000);
}

/* ---- session, flush, close ------------------------------------------------------------- */

static void test_session_parts_the_readings(void **state) {
  (void)state;
  it.config.session = 11;
  open_it();
  htel_record(it.tel, PULSE, 1);
  htel_session_set(it.tel, 22);
  htel_record(it.tel, PULSE, 2);
  flushed();
  assert_int_equal(it.world.frame_count, 2);
  assert_int_equal(it.world.session_last, 22);
}

static void test_flush_says_when_time_is_up(void **state) {
  (void)state;
  it.world.reachable = false;
  open_it();
  htel_record(it.tel, PULSE, 1);
  int rc = HTEL_E_AGAIN;
  uint32_t begun = it.world.tick_ms;
  while (rc == HTEL_E_AGAIN) {
    rc = htel_flush(it.tel, 3000);
    run_ms(10);
  }
  assert_int_equal(rc, HTEL_E_TIMEOUT);
  assert_in_range(it.world.tick_ms - begun, 3000, 3100);
  assert_int_equal(stats().frames_waiting, 1);
}

static void test_close_delivers_says_goodbye_and_ends_the_boot(void **state) {
  (void)state;
  IN_RAM_ONLY();
  open_it();
  htel_record(it.tel, PULSE, 1);
  assert_int_equal(close_it(5000), 0);
  assert_int_equal(it.world.series[PULSE].count, 1);
  assert_true(it.world.offline_said);
  assert_true(it.world.boot_ended);
  assert_false(it.world.open);
  assert_int_equal(htel_close(it.tel, 5000), 0);
}

static void test_close_without_a_network_leaves_the_boot_unclean(void **state) {
  (void)state;
  it.world.reachable = false;
  open_it();
  htel_record(it.tel, PULSE, 1);
  uint32_t begun = it.world.tick_ms;
  assert_int_equal(close_it(2000), HTEL_E_TIMEOUT);
  assert_true(it.world.tick_ms - begun < 6000);
  assert_false(it.world.boot_ended);
}

static void test_close_delivers_what_came_during_a_flush(void **state) {
  (void)state;
  IN_RAM_ONLY();
  open_it();
  htel_record(it.tel, PULSE, 1);
  assert_int_equal(htel_flush(it.tel, 5000), HTEL_E_AGAIN);
  htel_record(it.tel, PULSE, 2);
  htel_record(it.tel, PULSE, 3);
  assert_int_equal(close_it(5000), 0);
  assert_int_equal(it.world.series[PULSE].count, 3);
  assert_true(it.world.boot_ended);
}

/* The hour after which an anchor is sent again ends at any moment of the close. */
static void test_close_does_not_owe_an_anchor_that_comes_due_in_it(void **state) {
  (void)state;
  for (uint32_t before_ms = 0; before_ms < 3000; before_ms += 200) {
    fake_free(&it.world);
    fake_init(&it.world, 42);
    it.world.has_utc = true;
    it.world.utc_ms = 1767225600000;
    it.world.ack_ms = 1500; /* so long the goodbye takes */
    open_it();
    htel_record(it.tel, PULSE, 1);
    run_ms(20000);
    assert_int_equal(stats().frames_waiting, 0);
    it.world.tick_ms += TIMELINE_REFRESH_MS - 20000u - before_ms;
    assert_int_equal(close_it(10000), 0);
  }
}

static void test_close_with_a_producer_still_running_is_not_clean(void **state) {
  (void)state;
  open_it();
  int rc;
  while ((rc = htel_close(it.tel, 1000)) == HTEL_E_AGAIN) {
    htel_record(it.tel, PULSE, 1);
    it.world.tick_ms += 10; /* no poll between the last record and the end */
  }
  htel_stats s = stats();
  bool all = s.readings_delivered == s.readings_accepted && ring_used(&it.tel->rings[0]) == 0;
  assert_true(rc == (all ? 0 : HTEL_E_TIMEOUT));
  assert_true(it.world.boot_ended == all);
  assert_false(all);
}

static void test_close_reports_every_refusal(void **state) {
  (void)state;
  htel_channel many[12] = {0};
  for (uint32_t i = 0; i < 12; i++) many[i] = (htel_channel){.code = 100 + i};
  it.config.channels = many;
  it.config.channel_count = 12;
  open_it();
  uint64_t refused = 0;
  for (unsigned i = 0; i < 2400; i++) refused += htel_record(it.tel, i % 12, 1) == HTEL_E_FULL;
  assert_int_equal(close_it(60000), 0);
  fake_lost lost;
  fake_account(&it.world, it.tel->sequence_next - 1, &lost);
  uint64_t told = 0;
  for (unsigned c = 0; c < 12; c++) told += lost.ring[c];
  assert_int_equal(told, refused);
}

static void test_rest_of_a_block_is_sent_when_its_frame_was_full(void **state) {
  (void)state;
  it.config.batch.bytes_max = 512;
  open_it();
  int32_t block[64];
  for (unsigned b = 0; b < 40; b++) {
    for (unsigned i = 0; i < 64; i++) block[i] = (int32_t)(fake_random(&it.world) % 5000);
    htel_record_block_at(it.tel, ECG, block, 64, HTEL_VALID, it.world.tick_ms);
    run_ms(178);
  }
  run_ms(30000); /* the probe is off: nothing else comes */
  assert_int_equal(it.world.series[ECG].count, 40 * 64);
}

/* zlib costs more than all else, and seldom pays on a waveform: after a failure it rests, but it
 * comes back when the signal has become one that deflates. */
static void test_zlib_rests_where_it_does_not_pay_and_comes_back(void **state) {
  (void)state;
  open_it();
  int32_t block[64];
  int32_t pattern[16];
  for (unsigned i = 0; i < 16; i++) pattern[i] = (int32_t)(fake_random(&it.world) % 4000);
  unsigned rested = 0;
  for (unsigned b = 0; b < 3000; b++) {
    for (unsigned i = 0; i < 64; i++)
      block[i] = b < 1000 ? (int32_t)(fake_random(&it.world) % 4000) : pattern[i % 16];
    htel_record_block_at(it.tel, ECG, block, 64, HTEL_VALID, it.world.tick_ms);
    run_ms(178);
    if (b < 1000) rested += it.tel->zip_rest > 0;
  }
  assert_true(rested > 600);
  assert_int_equal(it.tel->zip_rest, 0);
  flushed();
  assert_int_equal(it.world.series[ECG].count, 3000 * 64);
}

static void test_a_missing_block_is_noticed(void **state) {
  (void)state;
  open_it();
  int32_t block[36] = {0};
  uint32_t t0 = it.world.tick_ms;
  for (unsigned b = 0; b < 20; b++) {
    it.world.tick_ms = t0 + (b + 1) * 100;
    if (b != 10) htel_record_block(it.tel, ECG, block, 36);
    htel_poll(it.tel);
  }
  flushed();
  const fake_series *s = &it.world.series[ECG];
  assert_int_equal(s->count, 19 * 36);
  assert_in_range(s->readings[360].tick - s->readings[359].tick, 90, 110);
}

static void test_absurd_times_are_refused(void **state) {
  (void)state;
  open_it();
  assert_int_equal(htel_utc_set(it.tel, 0, INT64_MAX, 0), HTEL_E_ARGUMENT);
  assert_int_equal(htel_utc_set(it.tel, 0, -1, 0), HTEL_E_ARGUMENT);
  it.world.has_utc = true;
  it.world.utc_ms = INT64_MIN / 2;
  run_ms(3000);
  int64_t utc_ms;
  uint32_t uncertainty_ms;
  assert_int_equal(htel_utc_now(it.tel, &utc_ms, &uncertainty_ms), HTEL_E_AGAIN);
}

static void test_anchor_put_aside_is_said_again_but_ever_more_seldom(void **state) {
  (void)state;
  open_it();
  it.world.has_utc = true;
  it.world.utc_ms = 1700000000000;
  it.world.quarantine = true;
  run_ms(600000);
  assert_in_range(stats().frames_quarantined, 5, 20);
  it.world.quarantine = false;
  run_ms(600000);
  assert_true(it.world.anchor_count >= 1);
}

static void test_unclean_stops_are_reported_by_the_next_boot(void **state) {
  (void)state;
  IN_RAM_ONLY();
  it.world.boot = (htel_boot){.number = 9, .unclean = true, .unclean_first = 6};
  open_it();
  run_ms(5000);
  assert_int_equal(it.world.loss_count, 1);
  assert_int_equal(it.world.losses[0].cause, HTEL_CAUSE_UNCLEAN_STOP);
  assert_int_equal(it.world.losses[0].boot, 6);
  assert_int_equal(it.world.losses[0].boot_last, 8);
}

static void test_quarantined_frames_are_not_sent_again(void **state) {
  (void)state;
  open_it();
  it.world.quarantine = true;
  run_ms(2000);
  alarm_now(1);
  run_ms(60000);
  assert_int_equal(stats().frames_quarantined, 1);
  assert_int_equal(stats().frames_waiting, 0);
  assert_int_equal(stats().frames_resent, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      T(test_readings_arrive_with_value_quality_and_time),
      T(test_classes_close_their_frames_together),
      T(test_blocks_without_ticks_are_placed_by_count),
      T(test_count_starts_anew_after_a_pause),
      T(test_a_single_refused_sample_leaves_its_gap),
      T(test_arguments_are_checked),
      T(test_alarm_wakes_the_poller_and_closes_its_frame),
      T(test_ring_past_half_wakes_once),
      T(test_full_ring_is_refused_counted_and_alarms_still_fit),
      T(test_anchor_when_the_clock_is_set_and_when_it_jumps),
      T(test_device_without_a_clock_learns_the_time_from_receipts),
      T(test_ticks_wrap_without_a_seam),
      T(test_session_parts_the_readings),
      T(test_flush_says_when_time_is_up),
      T(test_close_delivers_says_goodbye_and_ends_the_boot),
      T(test_close_without_a_network_leaves_the_boot_unclean),
      T(test_unclean_stops_are_reported_by_the_next_boot),
      T(test_close_delivers_what_came_during_a_flush),
      T(test_close_does_not_owe_an_anchor_that_comes_due_in_it),
      T(test_close_with_a_producer_still_running_is_not_clean),
      T(test_close_reports_every_refusal),
      T(test_rest_of_a_block_is_sent_when_its_frame_was_full),
      T(test_zlib_rests_where_it_does_not_pay_and_comes_back),
      T(test_a_missing_block_is_noticed),
      T(test_absurd_times_are_refused),
      T(test_anchor_put_aside_is_said_again_but_ever_more_seldom),
      T(test_quarantined_frames_are_not_sent_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
