/* SPDX-License-Identifier: Apache-2.0 */
/* Results of cells add up to that of the run; delays and wear fall into the right buckets; a storm
 * is judged by what its spread explains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "result.h"

static scenario standard(void) {
  scenario s;
  scenario_standard(&s);
  return s;
}

static result made(void) {
  scenario s = standard();
  result r;
  assert_true(result_init(&r, &s));
  return r;
}

/* ---- Buckets -------------------------------------------------------------------------------- */

static void test_each_delay_falls_into_the_first_bucket_that_holds_it(void **state) {
  (void)state;
  assert_int_equal(result_delay_bucket(-5), 0);
  assert_int_equal(result_delay_bucket(0), 0);
  for (unsigned i = 0; i + 1u < RESULT_DELAYS; i++) {
    assert_int_equal(result_delay_bucket(result_delay_ms(i)), i);
    assert_int_equal(result_delay_bucket(result_delay_ms(i) + 1), i + 1u);
    assert_true(result_delay_ms(i) < result_delay_ms(i + 1u));
  }
  assert_true(result_delay_ms(RESULT_DELAYS - 1u) == INT64_MAX);
  assert_int_equal(result_delay_bucket(INT64_MAX), RESULT_DELAYS - 1u);
}

static void test_wear_falls_into_the_first_bucket_that_holds_it(void **state) {
  (void)state;
  assert_int_equal(result_wear_bucket(0), 0);
  for (unsigned i = 0; i + 1u < RESULT_WEARS; i++) {
    assert_int_equal(result_wear_bucket(result_wear_erases(i)), i);
    assert_int_equal(result_wear_bucket(result_wear_erases(i) + 1u), i + 1u);
  }
  assert_int_equal(result_wear_bucket(UINT32_MAX), RESULT_WEARS - 1u);
}

/* ---- Points --------------------------------------------------------------------------------- */

static void test_a_point_beyond_the_last_is_added_to_it(void **state) {
  (void)state;
  result r = made();
  for (uint32_t i = 0; i < RESULT_POINTS_MAX + 3u; i++)
    assert_true(result_point_add(&r, &(result_point){.connects = 1, .up_bytes = 10}));
  assert_int_equal(r.point_count, RESULT_POINTS_MAX);
  assert_int_equal(r.points[0].connects, 1);
  assert_int_equal(r.points[RESULT_POINTS_MAX - 1u].connects, 4);
  assert_int_equal(r.points[RESULT_POINTS_MAX - 1u].up_bytes, 40);
  result_free(&r);
}

static void test_the_points_of_a_long_run_are_farther_apart(void **state) {
  (void)state;
  scenario s = standard();
  const unsigned hours[] = {1, 23, 24, 25, 72, 8784};
  for (size_t i = 0; i < sizeof hours / sizeof *hours; i++) {
    s.hours = hours[i];
    result r;
    assert_true(result_init(&r, &s));
    assert_true(((int64_t)s.hours + 24) * 3600000 / r.step_ms < RESULT_POINTS_MAX);
    assert_true(r.step_ms == 60000 || hours[i] >= 24);
    result_free(&r);
  }
}

static void test_points_of_cells_add_up_where_one_ends_earlier(void **state) {
  (void)state;
  result sum = made(), one = made(), two = made();
  for (int i = 0; i < 3; i++) result_point_add(&one, &(result_point){.backlog_frames = 2});
  for (int i = 0; i < 5; i++)
    result_point_add(&two, &(result_point){.backlog_frames = 5, .stored = 7, .online = 1});
  assert_true(result_add(&sum, &one));
  assert_true(result_add(&sum, &two));
  assert_int_equal(sum.point_count, 5);
  assert_int_equal(sum.points[2].backlog_frames, 7);
  assert_int_equal(sum.points[4].backlog_frames, 5);
  assert_int_equal(sum.points[4].stored, 7);
  assert_int_equal(sum.points[4].online, 1);
  result_free(&sum);
  result_free(&one);
  result_free(&two);
}

/* ---- Cells ---------------------------------------------------------------------------------- */

static void test_sums_are_sums_and_the_most_is_the_most(void **state) {
  (void)state;
  result sum = made(), one = made(), two;
  one.devices = 50;
  one.run_ms = 900;
  one.totals = (oracle_totals){.accepted = 10,
                               .stored = 9,
                               .covered_ring = 1,
                               .lost = 1,
                               .duplicates = 2,
                               .violations = 3,
                               .utc_error_ms_max = 40};
  one.sum = (device_counts){.boots = 3, .poll_ms_max = 9, .connects = 5};
  one.delays[4] = 6;
  one.delays_alarm[2] = 1;
  one.wears[3] = 50;
  one.wear_erases_max = 4;
  one.memory_bytes_max = 100;
  one.faults[0] = 8;
  one.by_kind[1] = 3;
  one.intake.duplicates = 11;
  two = one;
  two.points = NULL;
  two.run_ms = 700;
  two.totals.utc_error_ms_max = 50;
  two.sum.poll_ms_max = 7;
  two.wear_erases_max = 6;
  two.memory_bytes_max = 90;
  assert_true(result_add(&sum, &one));
  assert_true(result_add(&sum, &two));
  assert_int_equal(sum.devices, 100);
  assert_int_equal(sum.run_ms, 900);
  assert_int_equal(sum.totals.accepted, 20);
  assert_int_equal(sum.totals.stored, 18);
  assert_int_equal(sum.totals.covered_ring, 2);
  assert_int_equal(sum.totals.lost, 2);
  assert_int_equal(sum.totals.duplicates, 4);
  assert_int_equal(sum.totals.violations, 6);
  assert_int_equal(sum.totals.utc_error_ms_max, 50);
  assert_int_equal(sum.sum.boots, 6);
  assert_int_equal(sum.sum.connects, 10);
  assert_int_equal(sum.sum.poll_ms_max, 9);
  assert_int_equal(sum.delays[4], 12);
  assert_int_equal(sum.delays_alarm[2], 2);
  assert_int_equal(sum.wears[3], 100);
  assert_int_equal(sum.wear_erases_max, 6);
  assert_int_equal(sum.memory_bytes_max, 100);
  assert_int_equal(sum.faults[0], 16);
  assert_int_equal(sum.by_kind[1], 6);
  assert_int_equal(sum.intake.duplicates, 22);
  result_free(&sum);
  result_free(&one);
}

static void test_the_digest_depends_on_the_order_of_cells(void **state) {
  (void)state;
  result forth = made(), back = made(), one = made(), two = made();
  one.digest = 1;
  two.digest = 2;
  result_add(&forth, &one);
  result_add(&forth, &two);
  result_add(&back, &two);
  result_add(&back, &one);
  assert_true(forth.digest != back.digest);
  result *all[] = {&forth, &back, &one, &two};
  for (size_t i = 0; i < 4; i++) result_free(all[i]);
}

static void test_no_more_violations_are_kept_than_there_is_room_for(void **state) {
  (void)state;
  result sum = made(), one = made();
  one.violation_count = RESULT_VIOLATIONS_MAX - 4u;
  for (uint32_t i = 0; i < one.violation_count; i++) one.violations[i].device = i;
  result_add(&sum, &one);
  result_add(&sum, &one);
  assert_int_equal(sum.violation_count, RESULT_VIOLATIONS_MAX);
  assert_int_equal(sum.violations[RESULT_VIOLATIONS_MAX - 1u].device, 3);
  result_free(&sum);
  result_free(&one);
}

/* By violations, then told, then number; from whatever cell they come. */
static void test_the_worst_devices_of_all_cells_come_first(void **state) {
  (void)state;
  result sum = made();
  for (uint32_t cell = 0; cell < 3; cell++) {
    result one = made();
    one.worst_count = RESULT_WORST_MAX;
    for (uint32_t i = 0; i < RESULT_WORST_MAX; i++)
      one.worst[i] = (result_device){.number = cell * 100u + i, .told = 1000u - i * 10u - cell};
    if (cell == 2) one.worst[0].violations = 1;
    result_add(&sum, &one);
    result_free(&one);
  }
  assert_int_equal(sum.worst_count, RESULT_WORST_MAX);
  assert_int_equal(sum.worst[0].number, 200);
  assert_int_equal(sum.worst[1].number, 0);
  assert_int_equal(sum.worst[2].number, 100);
  assert_int_equal(sum.worst[3].number, 1);
  for (uint32_t i = 2; i < RESULT_WORST_MAX; i++)
    assert_true(sum.worst[i - 1u].told >= sum.worst[i].told);
  result_free(&sum);
}

/* ---- Storms --------------------------------------------------------------------------------- */

static result cell_with_storm(uint32_t devices, int64_t back_ms) {
  result r = made();
  r.storm_ms = 1000;
  r.storm_devices = devices;
  r.storm_back_ms = back_ms;
  r.connect_seconds[5] = devices;
  return r;
}

static int64_t back_of(const result *a, const result *b) {
  result sum = made();
  result_add(&sum, a);
  result_add(&sum, b);
  assert_int_equal(sum.storm_ms, 1000);
  assert_int_equal(sum.storm_devices, a->storm_devices + b->storm_devices);
  assert_int_equal(sum.storm_connects_max, a->connect_seconds[5] + b->connect_seconds[5]);
  result_free(&sum);
  return sum.storm_back_ms;
}

static void test_a_fleet_is_back_when_its_last_cell_is(void **state) {
  (void)state;
  result soon = cell_with_storm(10, 3000), late = cell_with_storm(10, 7000),
         never = cell_with_storm(10, -1);
  assert_int_equal(back_of(&soon, &late), 7000);
  assert_int_equal(back_of(&late, &soon), 7000);
  assert_int_equal(back_of(&soon, &never), -1);
  assert_int_equal(back_of(&never, &soon), -1);
  result_free(&soon);
  result_free(&late);
  result_free(&never);
}

static void test_the_limit_is_what_the_spread_explains(void **state) {
  (void)state;
  assert_true(result_storm_limit(1000, 0) == UINT32_MAX);
  assert_true(result_storm_limit(1000, 1999) == UINT32_MAX);
  const uint32_t sizes[] = {1, 10, 100, 500, 1000, 4999, 5000, 10000, 100000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    uint32_t limit = result_storm_limit(sizes[i], 60000);
    assert_true(limit >= sizes[i] * 2u / 60u);
    assert_true(limit <= sizes[i] * 2u / 60u + 120u);
  }
  /* All at once is told from spread out, from the size on at which that can be. */
  assert_true(result_storm_limit(100, 60000) < 100);
  assert_true(result_storm_limit(10000, 60000) < 400);
}

static void test_more_connects_than_the_limit_are_a_violation(void **state) {
  (void)state;
  scenario s = standard();
  s.spread_ms = 60000;
  for (unsigned more = 0; more < 2; more++) {
    result r = made();
    r.devices = 1000;
    r.storm_ms = 5;
    r.connect_seconds[RESULT_CONNECT_SECONDS - 1u] = result_storm_limit(1000, s.spread_ms) + more;
    result_storm_judge(&r, &s);
    assert_int_equal(r.totals.violations, more);
    assert_int_equal(r.by_kind[VIOLATION_STORM], more);
    assert_int_equal(r.violation_count, more);
    result_free(&r);
  }
}

static void test_without_a_storm_there_is_nothing_to_judge(void **state) {
  (void)state;
  scenario s = standard();
  result r = made();
  r.devices = 1000;
  r.connect_seconds[0] = 1000;
  result_storm_judge(&r, &s);
  assert_int_equal(r.totals.violations, 0);
  result_free(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_delay_falls_into_the_first_bucket_that_holds_it),
      cmocka_unit_test(test_wear_falls_into_the_first_bucket_that_holds_it),
      cmocka_unit_test(test_a_point_beyond_the_last_is_added_to_it),
      cmocka_unit_test(test_the_points_of_a_long_run_are_farther_apart),
      cmocka_unit_test(test_points_of_cells_add_up_where_one_ends_earlier),
      cmocka_unit_test(test_sums_are_sums_and_the_most_is_the_most),
      cmocka_unit_test(test_the_digest_depends_on_the_order_of_cells),
      cmocka_unit_test(test_no_more_violations_are_kept_than_there_is_room_for),
      cmocka_unit_test(test_the_worst_devices_of_all_cells_come_first),
      cmocka_unit_test(test_a_fleet_is_back_when_its_last_cell_is),
      cmocka_unit_test(test_the_limit_is_what_the_spread_explains),
      cmocka_unit_test(test_more_connects_than_the_limit_are_a_violation),
      cmocka_unit_test(test_without_a_storm_there_is_nothing_to_judge),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
