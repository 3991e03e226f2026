/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle and UTC: frames lie where the anchors say, and anchors are as right as they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oracle_fixture.h"

static scene s;

#define OFFSET (UTC_OF_ZERO - TICK_OF_ZERO)
#define YEAR_MS 31557600000

static int set_up(void **state) {
  (void)state;
  scene_begin(&s);
  scene_record(&s, PULSE, 0, 3600);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  scene_end(&s);
  return 0;
}

/* Numbers first to end - 1, a frame of each hundred, placed with so much error. */
static void deliver(uint64_t first, uint64_t end, int64_t error_ms) {
  for (uint64_t k = first; k < end; k += 100) {
    packet *p = scene_pack(&s, PULSE, k, k + 100u);
    p->offset_ms += error_ms;
    scene_send(&s, p);
  }
}

static void test_a_boot_that_never_says_what_time_it_was(void **state) {
  (void)state;
  for (uint64_t k = 0; k < 3600; k += 100) {
    packet *p = scene_pack(&s, PULSE, k, k + 100u);
    p->placed = false;
    scene_send(&s, p);
  }
  scene_expect(&s, VIOLATION_TIME);
}

static void test_a_frame_that_is_placed_by_no_anchor(void **state) {
  (void)state;
  scene_anchor(&s, 0, 0, 50);
  deliver(0, 3500, 0);
  packet *p = scene_pack(&s, PULSE, 3500, 3600);
  p->placed = false;
  scene_send(&s, p);
  scene_expect(&s, VIOLATION_TIME);
}

static void test_frames_that_are_placed_when_the_anchor_comes(void **state) {
  (void)state;
  for (uint64_t k = 0; k < 3600; k += 100) {
    packet *p = scene_pack(&s, PULSE, k, k + 100u);
    p->placed = false;
    scene_send(&s, p);
  }
  scene_anchor(&s, 3000000, 10, 50);
  oracle_placed(s.oracle, 1, 0, UINT64_MAX / 4, OFFSET + 10);
  scene_expect(&s, VIOLATION_NONE);
  assert_int_equal(scene_totals(&s)->utc_error_ms_max, 10);
}

static void test_an_anchor_that_places_only_what_is_behind_it(void **state) {
  (void)state;
  for (uint64_t k = 0; k < 3600; k += 100) {
    packet *p = scene_pack(&s, PULSE, k, k + 100u);
    p->placed = false;
    scene_send(&s, p);
  }
  scene_anchor(&s, 3000000, 0, 50);
  oracle_placed(s.oracle, 1, 3000000 + TICK_OF_ZERO, UINT64_MAX / 4, OFFSET);
  scene_expect(&s, VIOLATION_TIME);
}

static void test_an_anchor_further_off_than_it_says(void **state) {
  (void)state;
  scene_anchor(&s, 0, 0, 50);
  scene_anchor(&s, 1000000, 70, 50);
  deliver(0, 3600, 0);
  scene_expect(&s, VIOLATION_TIME);
}

static void test_the_first_anchor_further_off_than_it_says(void **state) {
  (void)state;
  scene_anchor(&s, -TICK_OF_ZERO, 70, 50);
  deliver(0, 3600, 70);
  scene_expect(&s, VIOLATION_TIME);
}

static void test_a_frame_placed_by_nobodys_anchor(void **state) {
  (void)state;
  scene_anchor(&s, 0, 0, 50);
  deliver(0, 3500, 0);
  deliver(3500, 3600, YEAR_MS);
  scene_expect(&s, VIOLATION_TIME);
}

/* The clock is a year ahead from 1000 s to 2000 s, and anchors say so. */
static void jump(void) {
  oracle_clock_wrong(s.oracle, 1000000, INT64_MAX);
  oracle_clock_wrong(s.oracle, 1000000, 2000000);
  scene_anchor(&s, 0, 0, 50);
  scene_anchor(&s, 1000500, YEAR_MS, 50);
  scene_anchor(&s, 2000500, 0, 50);
}

static void test_a_clock_that_jumped_and_came_back(void **state) {
  (void)state;
  jump();
  deliver(0, 1100, 0);
  deliver(1100, 2100, YEAR_MS);
  deliver(2100, 3600, 0);
  scene_expect(&s, VIOLATION_NONE);
}

static void test_a_jump_whose_anchor_came_late(void **state) {
  (void)state;
  jump();
  deliver(0, 3600, 0);
  oracle_placed(s.oracle, 1, 1000500 + TICK_OF_ZERO, 2000499 + TICK_OF_ZERO, OFFSET + YEAR_MS);
  scene_expect(&s, VIOLATION_NONE);
}

static void test_frames_after_a_jump_that_are_placed_by_the_anchor_before(void **state) {
  (void)state;
  jump();
  deliver(0, 1100, 0);
  deliver(1100, 3600, YEAR_MS); /* 2100 to 3599 belong to the third one */
  scene_expect(&s, VIOLATION_TIME);
}

static void test_frames_before_a_jump_that_are_placed_by_the_anchor_behind(void **state) {
  (void)state;
  jump();
  deliver(0, 500, 0);
  deliver(500, 2100, YEAR_MS);
  deliver(2100, 3600, 0);
  scene_expect(&s, VIOLATION_TIME);
}

static void test_a_clock_that_was_right_and_an_anchor_a_year_ahead(void **state) {
  (void)state;
  scene_anchor(&s, 0, 0, 50);
  scene_anchor(&s, 1000500, YEAR_MS, 50);
  deliver(0, 1100, 0);
  deliver(1100, 3600, YEAR_MS);
  scene_expect(&s, VIOLATION_TIME);
}

static void test_frames_that_lay_right_and_were_placed_wrongly(void **state) {
  (void)state;
  scene_anchor(&s, 0, 0, 50);
  deliver(0, 3600, 0);
  oracle_placed(s.oracle, 1, 1000000, UINT64_MAX / 4, OFFSET + YEAR_MS);
  scene_expect(&s, VIOLATION_TIME);
}

static void test_frames_that_lay_wrongly_and_were_placed_anew(void **state) {
  (void)state;
  scene_anchor(&s, 0, 0, 50);
  deliver(0, 3600, YEAR_MS);
  oracle_placed(s.oracle, 1, 0, UINT64_MAX / 4, OFFSET);
  scene_expect(&s, VIOLATION_NONE);
}

/* The clock was wrong, but not like that. */
static void test_frames_of_a_wrong_clock_that_lie_elsewhere(void **state) {
  (void)state;
  jump();
  deliver(0, 1100, 0);
  deliver(1100, 2100, YEAR_MS + 5000);
  deliver(2100, 3600, 0);
  scene_expect(&s, VIOLATION_TIME);
}

/* A jump back that gets no anchor: what follows lies a year off, long after the clock was set. */
static void test_a_clock_that_came_back_without_an_anchor(void **state) {
  (void)state;
  scene_record(&s, PULSE, 3600, 7200);
  oracle_clock_wrong(s.oracle, 1000000, 2000000);
  scene_anchor(&s, 0, 0, 50);
  scene_anchor(&s, 1000500, YEAR_MS, 50);
  deliver(0, 1100, 0);
  deliver(1100, 7200, YEAR_MS);
  scene_expect(&s, VIOLATION_TIME);
}

/* A jump that gets none at all: everything is placed rightly, by chance. */
static void test_a_wrong_clock_that_nobody_noticed_hurts_nobody(void **state) {
  (void)state;
  oracle_clock_wrong(s.oracle, 1000000, 2000000);
  scene_anchor(&s, 0, 0, 50);
  deliver(0, 3600, 0);
  scene_expect(&s, VIOLATION_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_a_boot_that_never_says_what_time_it_was),
      TEST(test_a_frame_that_is_placed_by_no_anchor),
      TEST(test_frames_that_are_placed_when_the_anchor_comes),
      TEST(test_an_anchor_that_places_only_what_is_behind_it),
      TEST(test_an_anchor_further_off_than_it_says),
      TEST(test_the_first_anchor_further_off_than_it_says),
      TEST(test_a_frame_placed_by_nobodys_anchor),
      TEST(test_a_clock_that_jumped_and_came_back),
      TEST(test_a_jump_whose_anchor_came_late),
      TEST(test_frames_after_a_jump_that_are_placed_by_the_anchor_before),
      TEST(test_frames_before_a_jump_that_are_placed_by_the_anchor_behind),
      TEST(test_a_clock_that_was_right_and_an_anchor_a_year_ahead),
      TEST(test_frames_that_lay_right_and_were_placed_wrongly),
      TEST(test_frames_that_lay_wrongly_and_were_placed_anew),
      TEST(test_frames_of_a_wrong_clock_that_lie_elsewhere),
      TEST(test_a_clock_that_came_back_without_an_anchor),
      TEST(test_a_wrong_clock_that_nobody_noticed_hurts_nobody)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
