/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox on flash over many lives of one device: reset at any moment, the power cut in the
 * middle of any flash operation, the network there or not. What was durable arrives once, and each
 * boot's sequence numbers are all stored or told of as lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../ports/sim/flash_sim.h"
#include "fake.h"

enum { PULSE, ALARM, CHANNELS };

static const htel_channel channels[CHANNELS] = {
    [PULSE] = {.code = HTEL_MDC_PULSE_RATE_OXIMETER},
    [ALARM] = {.code = 1, .kind = HTEL_ALARM},
};

typedef struct device {
  fake world;
  flash_sim flash;
  htel *tel;
  htel_config config;
  max_align_t memory[16384];
  int32_t said;     /* readings are numbered through */
  uint32_t refused; /* by the ring */
  uint64_t boot;
} device;

static device it;

static void power(void) {
  fake_reset(&it.world);
  if (it.flash.dead) flash_sim_power_on(&it.flash);
  assert_int_equal(htel_open(&it.tel, it.memory, sizeof it.memory, &it.config, &it.world.port), 0);
  assert_true(it.tel->boot > it.boot); /* one more, or several where some were cut at once */
  it.boot = it.tel->boot;
}

static void begin(uint64_t seed, const flash_geometry *part) {
  memset(&it, 0, sizeof it);
  fake_init(&it.world, seed);
  flash_sim_init(&it.flash, part, seed);
  it.world.reads_may_fail = true;
  it.config = (htel_config){.device_id = "device-1",
                            .channels = channels,
                            .channel_count = CHANNELS,
                            .batch = {.age_ms_max = 1000, .bytes_max = 1024},
                            .outbox = {.code = &htel_outbox_on_flash,
                                       .flash = &it.flash.port,
                                       .bytes = 2048,
                                       .persist_frames = (uint8_t)(seed % 3u * 4u)}};
}

static void finish(void) {
  assert_string_equal(it.flash.violation, "");
  flash_sim_free(&it.flash);
  fake_free(&it.world);
}

static void record(void) {
  if (htel_record(it.tel, PULSE, it.said) == 0)
    it.said++;
  else
    it.refused++;
}

/* Some seconds of a device's life. */
static void live(uint32_t steps) {
  fake *w = &it.world;
  for (uint32_t i = 0; i < steps && !it.flash.dead; i++) {
    for (uint32_t n = fake_random(w) % 8u; n > 0; n--) record();
    if (fake_random(w) % 40u == 0) {
      htel_alarm_event event = {.code = 7, .state = 1, .priority = 3, .source = PULSE};
      htel_alarm(it.tel, ALARM, &event);
    }
    if (fake_random(w) % 60u == 0) w->reachable = fake_random(w) % 2u == 0;
    if (w->up && !w->reachable) fake_cut(w, HTEL_E_LINK_LOST);
    fake_run(w, it.tel, 100);
  }
}

static void drain(void) {
  it.world.reachable = true;
  int rc = HTEL_E_AGAIN;
  for (unsigned i = 0; i < 4000 && rc == HTEL_E_AGAIN; i++) {
    rc = htel_close(it.tel, 600000);
    fake_run(&it.world, it.tel, 100);
  }
  assert_int_equal(rc, 0);
}

/* ---- what must be true in the end --------------------------------------------------------- */

static uint32_t highest_of(uint64_t boot) {
  const fake *f = &it.world;
  uint32_t highest = 0;
  for (size_t i = 0; i < f->frame_count; i++)
    if (f->frames[i].boot == boot && f->frames[i].sequence > highest)
      highest = f->frames[i].sequence;
  return highest;
}

static bool is_told(uint64_t boot, uint32_t sequence) {
  const fake *f = &it.world;
  for (size_t i = 0; i < f->loss_count; i++) {
    const htel_loss *l = &f->losses[i];
    uint64_t last = l->boot_last > l->boot ? l->boot_last : l->boot;
    if (l->cause == HTEL_CAUSE_OUTBOX_FULL && boot >= l->boot && boot <= last &&
        sequence >= l->sequence_first && sequence <= l->sequence_last)
      return true;
  }
  return false;
}

static bool is_unclean(uint64_t boot) {
  const fake *f = &it.world;
  for (size_t i = 0; i < f->loss_count; i++) {
    const htel_loss *l = &f->losses[i];
    uint64_t last = l->boot_last > l->boot ? l->boot_last : l->boot;
    if (l->cause == HTEL_CAUSE_UNCLEAN_STOP && boot >= l->boot && boot <= last) return true;
  }
  return false;
}

static void judge(uint64_t seed) {
  for (uint64_t boot = 1; boot <= it.boot; boot++) {
    uint32_t highest = highest_of(boot);
    for (uint32_t s = 1; s <= highest; s++)
      if (fake_find_of(&it.world, boot, s) == NULL && !is_told(boot, s))
        fail_msg("seed %llu: frame %llu.%u is a hole", (unsigned long long)seed,
                 (unsigned long long)boot, (unsigned)s);
    if (boot < it.boot && !is_unclean(boot))
      fail_msg("seed %llu: boot %llu was cut and nobody says so", (unsigned long long)seed,
               (unsigned long long)boot);
  }
  /* Every reading once at most, with its value. */
  const fake_series *got = &it.world.series[PULSE];
  bool *seen = calloc((size_t)it.said + 1u, sizeof *seen);
  assert_non_null(seen);
  for (size_t i = 0; i < got->count; i++) {
    assert_in_range(got->readings[i].value, 0, it.said);
    if (seen[got->readings[i].value])
      fail_msg("seed %llu: a reading is stored twice", (unsigned long long)seed);
    seen[got->readings[i].value] = true;
  }
  free(seen);
}

static const flash_geometry parts[] = {
    {"16 KB", 4096, 4, 1}, {"128 KB", 4096, 32, 16}, {"256 KB", 65536, 4, 8}};

static void play(uint64_t seed) {
  begin(seed, &parts[seed % 3u]);
  fake *w = &it.world;
  uint32_t lives = 4u + fake_random(w) % 8u;
  power();
  for (uint32_t i = 0; i < lives; i++) {
    w->reachable = fake_random(w) % 3u != 0;
    if (fake_random(w) % 3u != 0) {
      it.flash.cut_mode = (flash_mode)(fake_random(w) % FLASH_MODES);
      it.flash.cut_after = 1u + fake_random(w) % 300u;
    }
    live(20u + fake_random(w) % 300u);
    it.flash.cut_after = 0;
    power();
  }
  drain();
  judge(seed);
  finish();
}

static void test_what_was_durable_arrives_once_over_many_lives(void **state) {
  (void)state;
  const char *seeds = getenv("HEALTHTEL_SEEDS");
  const char *first = getenv("HEALTHTEL_SEED");
  uint64_t from = first != NULL ? strtoull(first, NULL, 10) : 1;
  uint64_t count = seeds != NULL ? strtoull(seeds, NULL, 10) : 200;
  for (uint64_t seed = from; seed < from + count; seed++) play(seed);
}

/* A day in the basement, with a change of battery in the middle: nothing is missing. */
static void test_an_outage_with_a_reset_loses_nothing_that_was_durable(void **state) {
  (void)state;
  begin(3, &parts[1]);
  it.world.reachable = false;
  power();
  live(500);
  it.world.reachable = false;
  live(20);
  uint32_t frames = it.tel->sequence_next - 1u;
  assert_true(frames > 10);
  power();
  it.world.reachable = true;
  drain();
  for (uint32_t s = 1; s <= frames; s++) assert_non_null(fake_find_of(&it.world, 1, s));
  assert_int_equal(it.world.duplicates, 0);
  assert_true(is_unclean(1));
  finish();
}

static void test_a_clean_end_is_not_told_as_unclean(void **state) {
  (void)state;
  begin(3, &parts[1]);
  power();
  it.world.reachable = true;
  live(50);
  drain();
  power();
  live(50);
  drain();
  assert_false(is_unclean(1));
  assert_int_equal(it.boot, 2);
  assert_int_equal(it.world.series[PULSE].count, it.said);
  finish();
}

static uint64_t told_refused(void) {
  uint64_t sum = 0;
  for (size_t i = 0; i < it.world.loss_count; i++)
    if (it.world.losses[i].cause == HTEL_CAUSE_RING_FULL) sum += it.world.losses[i].readings;
  return sum;
}

/* The next boot alone knows what was said before it, and is cut at its n-th operation. */
static void test_a_boot_that_is_cut_at_once_has_nothing_said_twice(void **state) {
  (void)state;
  for (uint32_t n = 1; n < 40; n++) {
    begin(n, &parts[1]);
    it.world.reachable = true;
    power();
    while (it.refused < 9) record();
    fake_run(&it.world, it.tel, 60000);
    for (unsigned i = 0; n % 2u == 0 && i < 20; i++) {
      record();
      fake_run(&it.world, it.tel, 1000);
    }
    assert_int_equal(told_refused(), it.refused);
    fake_reset(&it.world);
    it.flash.cut_mode = (flash_mode)(n % FLASH_MODES);
    it.flash.cut_after = n;
    if (htel_open(&it.tel, it.memory, sizeof it.memory, &it.config, &it.world.port) == 0)
      fake_run(&it.world, it.tel, 1);
    it.flash.cut_after = 0;
    power();
    drain();
    assert_int_equal(told_refused(), it.refused);
    judge(n);
    finish();
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_boot_that_is_cut_at_once_has_nothing_said_twice),
      cmocka_unit_test(test_a_clean_end_is_not_told_as_unclean),
      cmocka_unit_test(test_an_outage_with_a_reset_loses_nothing_that_was_durable),
      cmocka_unit_test(test_what_was_durable_arrives_once_over_many_lives)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
