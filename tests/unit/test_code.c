/* SPDX-License-Identifier: Apache-2.0 */
/* test_code.c - what is coded comes back: value, quality and time, whatever they are. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "code_fixture.h"
#include "series.h"

#define COUNT_MAX HTEL_COLUMN_SAMPLES_MAX

static int32_t values[COUNT_MAX];
static uint8_t quality[COUNT_MAX];
static uint32_t ticks[COUNT_MAX];

static code_column ecg(uint16_t count) {
  code_column c = {.channel = CH_ECG,
                   .kind = HTEL_WAVEFORM,
                   .count = count,
                   .values = values,
                   .tick_first = 1000123,
                   .phase = 77};
  return c;
}

static code_column pulse(uint16_t count) {
  code_column c = {.channel = CH_PULSE,
                   .kind = HTEL_NUMERIC,
                   .count = count,
                   .values = values,
                   .ticks = ticks,
                   .tick_first = 1000500};
  for (uint32_t i = 0; i < count; i++) ticks[i] = 1000500 + 1000 * i;
  return c;
}

static size_t round_trip(const code_column *column, code_residuals residuals) {
  fixture *f = fixture_begin();
  size_t size = fixture_add(f, column, residuals);
  fixture_frame(f);
  fixture_expect(f, column);
  fixture_expect_end(f);
  return size;
}

static void test_every_count_and_shape_comes_back(void **state) {
  (void)state;
  sim_random r = {1};
  for (uint16_t count = 1; count <= COUNT_MAX; count++) {
    for (unsigned shape = 0; shape < SHAPE_COUNT; shape++) {
      /* All shapes at the counts around a partition's end, one of them elsewhere. */
      if (count % 32 > 2 && shape != count % SHAPE_COUNT) continue;
      fixture_values(&r, shape, values, count);
      code_column wave = ecg(count), numeric = pulse(count);
      round_trip(&wave, CODE_RICE);
      round_trip(&wave, CODE_BYTES);
      round_trip(&numeric, CODE_RICE);
    }
  }
}

static void test_extremes_come_back(void **state) {
  (void)state;
  static const int32_t extremes[] = {INT32_MIN, INT32_MAX, 0, -1, 1, INT32_MIN + 1};
  enum { N = sizeof extremes / sizeof extremes[0] };
  for (unsigned code = 0; code < N * N * N * N; code++) {
    unsigned rest = code;
    for (unsigned i = 0; i < 4; i++, rest /= N) values[i] = extremes[rest % N];
    code_column wave = ecg(4);
    round_trip(&wave, CODE_RICE);
    round_trip(&wave, CODE_BYTES);
  }
}

static void test_constant_takes_no_residuals(void **state) {
  (void)state;
  for (unsigned i = 0; i < COUNT_MAX; i++) values[i] = 1024;
  code_column c = ecg(COUNT_MAX);
  c.continues = false;
  /* channel 1, count 2, tick 2, phase 1, mode 1, first value 2 */
  assert_int_equal(round_trip(&c, CODE_RICE), 9);
}

/* The lowest order that has nothing left is taken for a constant, a ramp and a parabola. */
static void test_order_fits_the_shape(void **state) {
  (void)state;
  uint32_t numbers[64];
  for (unsigned power = 0; power < 3; power++) {
    for (uint32_t i = 0; i < 64; i++) {
      numbers[i] = power == 0 ? 5 : power == 1 ? 100 + 7 * i : i * i;
    }
    uint8_t bytes[512];
    wire_out out = {bytes, bytes + sizeof bytes, false};
    series_source source = {numbers, false};
    series_write(&out, source, 64, CODE_RICE);
    static const uint8_t order[] = {0, 2, 3};
    assert_int_equal(bytes[0] & 3, order[power]);
    assert_in_range(out.at - bytes, 1, 20);
  }
}

/* Noise cannot be made smaller; the bound on how much larger it gets is what sizes buffers. */
static void test_noise_stays_below_its_maximum(void **state) {
  (void)state;
  sim_random r = {2};
  fixture_values(&r, 3, values, COUNT_MAX);
  code_column c = ecg(COUNT_MAX);
  size_t size = round_trip(&c, CODE_RICE);
  assert_in_range(size, 4 * COUNT_MAX - 8, 4 * COUNT_MAX + 40);
}

/* A spike costs its own bits, not those of the samples around it. */
static void test_spike_is_escaped(void **state) {
  (void)state;
  sim_random r = {3};
  for (unsigned i = 0; i < 256; i++) values[i] = (int32_t)random_below(&r, 4);
  code_column c = ecg(256);
  size_t quiet = round_trip(&c, CODE_RICE);
  values[100] = INT32_MAX;
  size_t spiked = round_trip(&c, CODE_RICE);
  assert_in_range(spiked, quiet, quiet + 40);
}

/* Every quotient around the escape, over lines as noisy as makes every Rice parameter. */
static void test_quotients_around_the_escape_come_back(void **state) {
  (void)state;
  sim_random r = {13};
  for (uint32_t noise = 1; noise < 1u << 26; noise += noise / 3 + 1) {
    for (uint32_t spike = 10; spike < 100; spike++) {
      for (unsigned i = 0; i < 40; i++) values[i] = random_around(&r, noise);
      values[0] = 0; /* in the middle, so that order 0 is the best and residuals are the values */
      values[20] = (int32_t)(noise * (uint64_t)spike / 4);
      code_column c = ecg(40);
      round_trip(&c, CODE_RICE);
    }
  }
}

static void test_qualities_come_back(void **state) {
  (void)state;
  sim_random r = {4};
  for (uint16_t count = 1; count <= COUNT_MAX; count = (uint16_t)(count * 2 - 1 + (count == 1))) {
    fixture_values(&r, 1, values, count);
    for (unsigned change = 1; change <= 64; change *= 8) {
      uint8_t q = HTEL_VALID;
      for (unsigned i = 0; i < count; i++) {
        if (i % change == 0) q = (uint8_t)random_below(&r, HTEL_QUALITY_MAX + 1);
        quality[i] = q;
      }
      code_column wave = ecg(count), numeric = pulse(count);
      wave.quality = quality;
      numeric.quality = quality;
      round_trip(&wave, CODE_RICE);
      round_trip(&numeric, CODE_RICE);
    }
  }
}

static void test_valid_quality_takes_no_bytes(void **state) {
  (void)state;
  sim_random r = {5};
  fixture_values(&r, 1, values, 100);
  memset(quality, HTEL_VALID, sizeof quality);
  code_column with = ecg(100), without = ecg(100), off = ecg(100);
  with.quality = quality;
  off.quality_all = HTEL_SENSOR_OFF;
  assert_int_equal(round_trip(&with, CODE_RICE), round_trip(&without, CODE_RICE));
  assert_int_equal(round_trip(&off, CODE_RICE), round_trip(&without, CODE_RICE) + 2);
}

static void test_irregular_ticks_come_back(void **state) {
  (void)state;
  sim_random r = {6};
  for (unsigned round = 0; round < 200; round++) {
    uint16_t count = (uint16_t)(1 + random_below(&r, COUNT_MAX));
    fixture_values(&r, round % SHAPE_COUNT, values, count);
    code_column c = pulse(count);
    uint32_t spread = 1u << random_below(&r, 20);
    for (unsigned i = 1; i < count; i++) {
      ticks[i] =
          ticks[i - 1] + (uint32_t)((int32_t)spread + random_around(&r, spread + spread / 4));
    }
    /* Far enough from zero that ticks which step back stay above it. */
    c.tick_first = ((uint64_t)1 << 40) + ticks[0];
    round_trip(&c, CODE_RICE);
    round_trip(&c, CODE_BYTES);
  }
}

/* Only the low 32 bits of ticks are given; they wrap inside a column after 49.7 days. */
static void test_ticks_wrap_at_32_bits(void **state) {
  (void)state;
  for (unsigned jitter = 0; jitter < 2; jitter++) {
    code_column c = pulse(50);
    for (uint32_t i = 0; i < 50; i++) {
      ticks[i] = 0xFFFFFFFFu - 20000 + 1000 * i + (jitter ? i * i : 0);
      values[i] = (int32_t)i;
    }
    c.tick_first = ((uint64_t)3 << 32) + ticks[0];
    round_trip(&c, CODE_RICE);
  }
}

static void test_regular_ticks_cost_one_interval(void **state) {
  (void)state;
  memset(values, 0, sizeof values);
  code_column c = pulse(100);
  /* channel 1, count 2, tick 2, interval 2, mode 1, first value 1 */
  assert_int_equal(round_trip(&c, CODE_RICE), 9);
}

static void test_ticks_before_the_frame_come_back(void **state) {
  (void)state;
  code_column wave = ecg(3), numeric = pulse(3);
  wave.tick_first = 1;
  numeric.tick_first = 500;
  for (uint32_t i = 0; i < 3; i++) ticks[i] = 500 + 10 * i;
  round_trip(&wave, CODE_RICE);
  round_trip(&numeric, CODE_RICE);
}

/* Blocks that follow each other carry no time, and samples of 360 Hz or 1000/3 Hz do not drift. */
static void test_waveforms_continue_without_drift(void **state) {
  (void)state;
  static const uint8_t channels[] = {CH_ECG, CH_THIRDS, CH_SLOW};
  sim_random r = {7};
  for (unsigned k = 0; k < 3; k++) {
    fixture *f = fixture_begin();
    htel_rate rate = fixture_channels[channels[k]].rate;
    code_column columns[20];
    uint64_t tick = f->tick + 5;
    uint32_t phase = rate.num - 1;
    for (unsigned i = 0; i < 20; i++) {
      uint16_t count = (uint16_t)(1 + random_below(&r, 100));
      code_column c = ecg(count);
      c.channel = channels[k];
      c.tick_first = tick;
      c.phase = phase;
      c.continues = i > 0;
      columns[i] = c;
      uint64_t end = phase + (uint64_t)count * 1000 * rate.den;
      tick += end / rate.num;
      phase = (uint32_t)(end % rate.num);
      fixture_values(&r, 1, values, COUNT_MAX);
      sim_random again = {100 + i};
      fixture_values(&again, 1, values, count);
      fixture_add(f, &columns[i], CODE_RICE);
    }
    fixture_frame(f);
    for (unsigned i = 0; i < 20; i++) {
      sim_random again = {100 + i};
      fixture_values(&again, 1, values, columns[i].count);
      fixture_expect(f, &columns[i]);
    }
    fixture_expect_end(f);
  }
}

static void test_alarms_come_back(void **state) {
  (void)state;
  fixture *f = fixture_begin();
  sim_random r = {8};
  htel_alarm_event events[100];
  uint64_t when[100];
  for (unsigned i = 0; i < 100; i++) {
    htel_alarm_event *e = &events[i];
    e->code = random_u32(&r) >> random_below(&r, 32);
    e->state = (uint8_t)random_below(&r, 4);
    e->priority = (uint8_t)random_below(&r, 4);
    e->latched = random_below(&r, 2);
    e->source = (uint8_t)random_below(&r, CH_COUNT + 1);
    if (e->source == CH_COUNT) e->source = HTEL_NO_SOURCE;
    when[i] = random_u64(&r) >> (1 + random_below(&r, 63)); /* ticks are below 2^63 */
    uint8_t *out = f->blocks + f->used;
    size_t size = code_alarm_encode(CH_ALARM, e, when[i], f->tick, out, CODE_ALARM_BYTES_MAX);
    assert_in_range(size, 6, CODE_ALARM_BYTES_MAX);
    assert_int_equal(code_alarm_encode(CH_ALARM, e, when[i], f->tick, out, size - 1), 0);
    assert_int_equal(code_alarm_encode(CH_ALARM, e, when[i], f->tick, out, size), size);
    f->used += size;
  }
  fixture_frame(f);
  for (unsigned i = 0; i < 100; i++) {
    assert_int_equal(htel_reader_next(&f->reader, &f->series), 1);
    assert_int_equal(f->series.kind, HTEL_ALARM);
    assert_int_equal(f->series.count, 1);
    assert_int_equal(f->series.ticks[0], when[i]);
    assert_int_equal(f->series.alarms[0].code, events[i].code);
    assert_int_equal(f->series.alarms[0].state, events[i].state);
    assert_int_equal(f->series.alarms[0].priority, events[i].priority);
    assert_int_equal(f->series.alarms[0].latched, events[i].latched);
    assert_int_equal(f->series.alarms[0].source, events[i].source);
  }
  fixture_expect_end(f);
}

static void test_channels_mix_in_one_frame(void **state) {
  (void)state;
  sim_random r = {9};
  for (unsigned round = 0; round < 50; round++) {
    fixture *f = fixture_begin();
    static int32_t data[40][64];
    static uint32_t when[40][64];
    code_column columns[40];
    static const uint8_t choice[] = {CH_ECG, CH_PULSE, CH_TEMP, CH_SLOW};
    for (unsigned i = 0; i < 40; i++) {
      code_column c = {.channel = choice[random_below(&r, 4)],
                       .count = (uint16_t)(1 + random_below(&r, 64)),
                       .values = data[i],
                       .ticks = when[i],
                       .tick_first = f->tick + random_below(&r, 10000)};
      c.kind = fixture_channels[c.channel].kind;
      for (unsigned j = 0; j < 64; j++) when[i][j] = (uint32_t)c.tick_first + j * (j % 5);
      fixture_values(&r, i % SHAPE_COUNT, data[i], c.count);
      columns[i] = c;
      fixture_add(f, &columns[i], round % 2 ? CODE_BYTES : CODE_RICE);
    }
    fixture_frame(f);
    for (unsigned i = 0; i < 40; i++) fixture_expect(f, &columns[i]);
    fixture_expect_end(f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_count_and_shape_comes_back),
      cmocka_unit_test(test_extremes_come_back),
      cmocka_unit_test(test_constant_takes_no_residuals),
      cmocka_unit_test(test_order_fits_the_shape),
      cmocka_unit_test(test_noise_stays_below_its_maximum),
      cmocka_unit_test(test_spike_is_escaped),
      cmocka_unit_test(test_quotients_around_the_escape_come_back),
      cmocka_unit_test(test_qualities_come_back),
      cmocka_unit_test(test_valid_quality_takes_no_bytes),
      cmocka_unit_test(test_irregular_ticks_come_back),
      cmocka_unit_test(test_ticks_wrap_at_32_bits),
      cmocka_unit_test(test_regular_ticks_cost_one_interval),
      cmocka_unit_test(test_ticks_before_the_frame_come_back),
      cmocka_unit_test(test_waveforms_continue_without_drift),
      cmocka_unit_test(test_alarms_come_back),
      cmocka_unit_test(test_channels_mix_in_one_frame),
  };
  return cmocka_run_group_tests_name("code", tests, NULL, NULL);
}
