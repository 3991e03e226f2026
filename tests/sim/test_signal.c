/* SPDX-License-Identifier: Apache-2.0 */
/* What simulated devices measure: the same by any way of asking, within its range, in step with
 * time; and a feed that records each of it once, to the device that is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plan.h"

enum { PULSE, ECG, PLETH, ALARM, CHANNELS };

static scenario some;

static int set_up(void **state) {
  (void)state;
  scenario_standard(&some);
  some.flash = false;
  some.outbox_bytes = 65536;
  some.channels[PULSE] = (scenario_channel){.name = "pulse",
                                            .code = HTEL_MDC_PULSE_RATE_OXIMETER,
                                            .kind = HTEL_NUMERIC,
                                            .period_ms = 1000,
                                            .low = 40,
                                            .high = 140};
  some.channels[ECG] = (scenario_channel){.name = "ecg",
                                          .code = HTEL_MDC_ECG_LEAD_II,
                                          .kind = HTEL_WAVEFORM,
                                          .rate = {360, 1},
                                          .burst_ms = 7000,
                                          .burst_every_ms = 60000,
                                          .low = -1000,
                                          .high = 1500};
  some.channels[PLETH] = (scenario_channel){.name = "pleth",
                                            .code = HTEL_MDC_PLETH,
                                            .kind = HTEL_WAVEFORM,
                                            .rate = {125, 2},
                                            .low = 0,
                                            .high = 4095};
  some.channels[ALARM] = (scenario_channel){
      .name = "alarm", .code = HTEL_MDC_PRIVATE(7), .kind = HTEL_ALARM, .alarms_per_day = 600};
  some.channel_count = CHANNELS;
  return 0;
}

static void test_a_value_is_the_same_however_it_is_asked_for(void **state) {
  (void)state;
  for (unsigned c = PULSE; c <= PLETH; c++) {
    const scenario_channel *ch = &some.channels[c];
    uint64_t signal = signal_seed(7, 3, c);
    static int32_t all[5000];
    signal_values(ch, signal, 1000, 5000, all);
    for (uint32_t i = 0; i < 5000; i++) {
      assert_int_equal(signal_value(ch, signal, 1000u + i), all[i]);
      assert_in_range(all[i] - ch->low, 0, ch->high - ch->low);
    }
    int32_t part[37];
    for (uint32_t at = 0; at + 37 < 5000; at += 29) {
      signal_values(ch, signal, 1000u + at, 37, part);
      assert_memory_equal(part, all + at, sizeof part);
    }
  }
}

static void test_patients_differ(void **state) {
  (void)state;
  int32_t one[500], other[500];
  for (unsigned c = PULSE; c <= PLETH; c++) {
    signal_values(&some.channels[c], signal_seed(7, 3, c), 0, 500, one);
    signal_values(&some.channels[c], signal_seed(7, 4, c), 0, 500, other);
    assert_memory_not_equal(one, other, sizeof one);
    signal_values(&some.channels[c], signal_seed(8, 3, c), 0, 500, other);
    assert_memory_not_equal(one, other, sizeof one);
  }
}

/* Every run that may have another quality is announced, most readings are valid, and not all. */
static void test_quality_changes_where_it_says_so(void **state) {
  (void)state;
  for (unsigned c = PULSE; c <= ECG; c++) {
    const scenario_channel *ch = &some.channels[c];
    uint64_t signal = signal_seed(7, 3, c);
    uint32_t valid = 0;
    for (uint64_t k = 0; k < 50000; k++) {
      htel_quality q = signal_quality(ch, signal, k);
      if (k > 0 && !signal_quality_changes(ch, k))
        assert_int_equal(q, signal_quality(ch, signal, k - 1u));
      valid += q == HTEL_VALID;
    }
    assert_in_range(valid, 45000, 49990);
  }
}

static void test_readings_are_due_one_after_the_other(void **state) {
  (void)state;
  for (unsigned c = 0; c < CHANNELS; c++) {
    const scenario_channel *ch = &some.channels[c];
    uint64_t signal = signal_seed(1, 2, c);
    for (uint64_t k = 1; k < 20000; k++)
      assert_true(signal_due_ms(ch, signal, k) > signal_due_ms(ch, signal, k - 1u));
  }
}

static void test_the_first_at_a_moment_is_found(void **state) {
  (void)state;
  for (unsigned c = 0; c < CHANNELS; c++) {
    const scenario_channel *ch = &some.channels[c];
    uint64_t signal = signal_seed(1, 2, c);
    for (int64_t ms = 0; ms < 400000; ms += 997) {
      uint64_t k = signal_first_at(ch, signal, ms);
      assert_true(signal_due_ms(ch, signal, k) >= ms);
      if (k > 0) assert_true(signal_due_ms(ch, signal, k - 1u) < ms);
    }
  }
}

static void test_samples_are_evenly_spaced_within_a_burst(void **state) {
  (void)state;
  const scenario_channel *ch = &some.channels[ECG];
  uint32_t burst = 7u * 360u;
  for (uint64_t k = 0; k < 3u * burst; k++) {
    uint64_t i = k % burst;
    assert_int_equal(signal_due_ms(ch, 5, k), k / burst * 60000u + i * 1000u / 360u);
    uint64_t burst_end;
    assert_int_equal(signal_burst_at(ch, signal_due_ms(ch, 5, k), &burst_end), k - i);
    assert_int_equal(burst_end, k - i + burst);
    uint64_t end = signal_block_end(ch, k);
    assert_in_range(end - k, 1, SIGNAL_BLOCK);
    assert_true(end % SIGNAL_BLOCK == 0 || end % burst == 0);
    assert_true((end - 1u) / burst == k / burst);
  }
}

static void test_an_alarm_ends_as_it_began(void **state) {
  (void)state;
  htel_alarm_event begin, end;
  for (uint64_t k = 0; k < 100; k += 2) {
    signal_alarm(&some.channels[ALARM], 9, k, &begin);
    signal_alarm(&some.channels[ALARM], 9, k + 1u, &end);
    assert_int_equal(begin.state, HTEL_ALARM_ACTIVE);
    assert_int_equal(end.state, HTEL_ALARM_INACTIVE);
    assert_int_equal(begin.priority, end.priority);
    assert_in_range(begin.priority, HTEL_PRIORITY_LOW, HTEL_PRIORITY_HIGH);
  }
}

/* ---- The feed -------------------------------------------------------------------------------- */

typedef struct heard {
  uint64_t next[CHANNELS];
  uint64_t count[CHANNELS];
  uint64_t refused;
} heard;

static void hear(void *ctx, unsigned channel, uint64_t first, uint32_t count, int rc) {
  heard *h = ctx;
  assert_true(first >= h->next[channel]);
  h->next[channel] = first + count;
  h->count[channel] += count;
  if (rc != 0) h->refused += count;
}

static uint32_t now;

static uint32_t tick_ms(void *ctx) {
  (void)ctx;
  return now;
}

static int no_random(void *ctx, uint8_t *buf, size_t size) {
  (void)ctx;
  memset(buf, 7, size);
  return 0;
}

static int link_open(void *ctx, const htel_link_session *session) {
  (void)ctx;
  (void)session;
  return HTEL_E_CONNECT;
}

static int link_publish(void *ctx, const htel_message *m) {
  (void)ctx;
  (void)m;
  return HTEL_E_CLOSED;
}

static int link_next(void *ctx, htel_link_event *event) {
  (void)ctx;
  (void)event;
  return 0;
}

static uint32_t link_wait_ms(void *ctx) {
  (void)ctx;
  return 1000;
}

static void link_close(void *ctx) {
  (void)ctx;
}

static void test_the_feed_records_each_reading_once_and_skips_what_was_due_while_off(void **state) {
  (void)state;
  static plan p;
  char error[200];
  assert_int_equal(plan_make(&p, &some, error, sizeof error), 0);
  htel_config config = p.config;
  config.device_id = "device-1";
  int32_t size = htel_memory_needed(&config);
  assert_true(size > 0);
  void *memory = aligned_alloc(_Alignof(max_align_t), ((size_t)size + 63u) / 64u * 64u);
  assert_non_null(memory);
  htel_link link = {.open = link_open,
                    .publish = link_publish,
                    .next = link_next,
                    .wait_ms = link_wait_ms,
                    .close = link_close};
  htel_port port = {.tick_ms = tick_ms, .random = no_random, .link = &link};
  htel *tel;
  now = 500;
  assert_int_equal(htel_open(&tel, memory, (size_t)size, &config, &port), 0);
  feed f;
  heard h = {0};
  feed_init(&f, &p, 11, 5);
  feed_start(&f, 0);
  for (int64_t ms = 0; ms <= 600000; ms += 250) {
    now = (uint32_t)ms + 500u;
    feed_run(&f, tel, ms, 500, hear, &h);
    assert_true(f.next_ms > ms);
    htel_poll(tel);
  }
  assert_int_equal(h.refused, 0);
  for (unsigned c = 0; c < CHANNELS; c++) {
    uint64_t due = signal_first_at(&some.channels[c], f.signals[c], 600001);
    assert_in_range(h.count[c], due - SIGNAL_BLOCK < due ? due - SIGNAL_BLOCK : 0, due);
    assert_int_equal(h.count[c], h.next[c]);
  }
  feed_start(&f, 900000); /* it was off for five minutes */
  for (unsigned c = 0; c < CHANNELS; c++)
    assert_true(signal_due_ms(&some.channels[c], f.signals[c], f.next[c]) >= 900000);
  free(memory);
}

static void test_a_configuration_that_is_refused_is_told_of(void **state) {
  (void)state;
  static plan p;
  char error[200] = "";
  scenario bad = some;
  bad.bytes_max = 10;
  assert_true(plan_make(&p, &bad, error, sizeof error) < 0);
  assert_non_null(strstr(error, "bytes_max"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_value_is_the_same_however_it_is_asked_for),
      cmocka_unit_test(test_patients_differ),
      cmocka_unit_test(test_quality_changes_where_it_says_so),
      cmocka_unit_test(test_readings_are_due_one_after_the_other),
      cmocka_unit_test(test_the_first_at_a_moment_is_found),
      cmocka_unit_test(test_samples_are_evenly_spaced_within_a_burst),
      cmocka_unit_test(test_an_alarm_ends_as_it_began),
      cmocka_unit_test(test_the_feed_records_each_reading_once_and_skips_what_was_due_while_off),
      cmocka_unit_test(test_a_configuration_that_is_refused_is_told_of)};
  return cmocka_run_group_tests(tests, set_up, NULL);
}
