/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle and boots that were cut: what they may have lost, and what has to tell of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oracle_fixture.h"

static scene s;

static int set_up(void **state) {
  (void)state;
  scene_begin(&s);
  scene_anchor(&s, 0, 0, 50);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  scene_end(&s);
  return 0;
}

/* Boot 1 records until 1000 s and is cut; 2 comes after it, and says what it must. */
static void cut_after(uint64_t stored_to, uint64_t bound) {
  scene_record(&s, PULSE, 0, 1000);
  for (int64_t ms = 0; ms <= 1000000; ms += 1000) oracle_polled(s.oracle, ms);
  scene_deliver(&s, PULSE, 0, stored_to);
  oracle_reset(s.oracle, 1000000);
  scene_boot(&s, 2, 1010000);
  scene_anchor(&s, 1010000, 0, 50);
  scene_loss(&s,
             (htel_loss){.cause = HTEL_CAUSE_UNCLEAN_STOP,
                         .boot = 1,
                         .boot_last = 1,
                         .readings = bound,
                         .at_most = true},
             2);
}

static void test_the_newest_readings_of_a_cut_boot_may_be_gone(void **state) {
  (void)state;
  cut_after(950, 400);
  scene_expect(&s, VIOLATION_NONE);
  assert_int_equal(scene_totals(&s)->covered_unclean, 50);
}

static void test_more_than_the_bound_of_an_unclean_stop(void **state) {
  (void)state;
  cut_after(950, 49);
  scene_expect(&s, VIOLATION_LOST);
  assert_int_equal(scene_totals(&s)->lost, 1);
}

/* They were in frames on flash long before. */
static void test_old_readings_of_a_cut_boot(void **state) {
  (void)state;
  cut_after(500, 212416);
  scene_expect(&s, VIOLATION_LOST);
}

static void test_old_readings_of_a_cut_boot_that_was_not_polled(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 1000);
  oracle_polled(s.oracle, 700000);
  oracle_polled(s.oracle, 999000);
  scene_deliver(&s, PULSE, 0, 650);
  oracle_reset(s.oracle, 1000000);
  scene_boot(&s, 2, 1010000);
  scene_loss(&s,
             (htel_loss){.cause = HTEL_CAUSE_UNCLEAN_STOP,
                         .boot = 1,
                         .boot_last = 1,
                         .readings = 9999,
                         .at_most = true},
             2);
  scene_expect(&s, VIOLATION_NONE);
}

/* A frame in the middle: what came after it was durable, so it was. */
static void test_a_gap_in_a_cut_boot(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 1000);
  scene_deliver(&s, PULSE, 0, 900);
  scene_deliver(&s, PULSE, 950, 1000);
  oracle_reset(s.oracle, 1000000);
  scene_boot(&s, 2, 1010000);
  scene_loss(&s,
             (htel_loss){.cause = HTEL_CAUSE_UNCLEAN_STOP,
                         .boot = 1,
                         .boot_last = 1,
                         .readings = 9999,
                         .at_most = true},
             2);
  scene_expect(&s, VIOLATION_LOST);
  assert_int_equal(scene_totals(&s)->lost, 50);
}

static void test_in_ram_a_cut_may_take_any_frame(void **state) {
  (void)state;
  s.scenario.flash = false;
  scene_record(&s, PULSE, 0, 1000);
  scene_deliver(&s, PULSE, 500, 900);
  oracle_reset(s.oracle, 1000000);
  scene_boot(&s, 2, 1010000);
  scene_loss(&s, (htel_loss){.cause = HTEL_CAUSE_UNCLEAN_STOP, .boot = 1, .boot_last = 1}, 2);
  scene_expect(&s, VIOLATION_NONE);
  assert_int_equal(scene_totals(&s)->covered_unclean, 600);
}

static void test_a_cut_that_nobody_tells_of(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 100);
  scene_deliver(&s, PULSE, 0, 100);
  oracle_reset(s.oracle, 100000);
  scene_boot(&s, 2, 110000);
  scene_expect(&s, VIOLATION_COUNT);
}

static void test_a_boot_that_is_told_as_cut_and_was_not(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 100);
  scene_deliver(&s, PULSE, 0, 100);
  scene_boot(&s, 2, 110000);
  scene_loss(&s, (htel_loss){.cause = HTEL_CAUSE_UNCLEAN_STOP, .boot = 1, .boot_last = 1}, 2);
  scene_expect(&s, VIOLATION_COUNT);
}

static void test_a_tail_that_is_missing_without_a_cut(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 100);
  scene_deliver(&s, PULSE, 0, 90);
  scene_expect(&s, VIOLATION_LOST);
  assert_int_equal(scene_totals(&s)->lost, 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {TEST(test_the_newest_readings_of_a_cut_boot_may_be_gone),
                                     TEST(test_more_than_the_bound_of_an_unclean_stop),
                                     TEST(test_old_readings_of_a_cut_boot),
                                     TEST(test_old_readings_of_a_cut_boot_that_was_not_polled),
                                     TEST(test_a_gap_in_a_cut_boot),
                                     TEST(test_in_ram_a_cut_may_take_any_frame),
                                     TEST(test_a_cut_that_nobody_tells_of),
                                     TEST(test_a_boot_that_is_told_as_cut_and_was_not),
                                     TEST(test_a_tail_that_is_missing_without_a_cut)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
