/* SPDX-License-Identifier: Apache-2.0 */
/* Where readings stand in UTC: anchors before, after, between; late ones; clocks that jump. */
#include "ingest_fixture.h"
#include "placing.h"
#include "../../ports/sim/sim_random.h"

#define DEV "dev-1"

static void give(fixture *f, uint32_t sequence, uint64_t tick, const htel_anchor *anchor) {
  fixture_frame(f, DEV,
                &(frame_spec){.boot = 7,
                              .sequence = sequence,
                              .tick = tick,
                              .anchors = anchor,
                              .anchor_count = anchor != NULL});
}

/* UTC of the frame's tick, or -1 where it is not placed. */
static int64_t utc_of(fixture *f, uint32_t sequence) {
  char sql[160];
  snprintf(sql, sizeof sql,
           "SELECT ifnull(tick + utc_offset_ms, -1) FROM frames WHERE boot = 7 AND sequence = %u",
           (unsigned)sequence);
  return fixture_sql(f, sql);
}

static void test_find_takes_latest_not_after_else_earliest(void **state) {
  (void)state;
  const htel_anchor anchors[] = {{.tick = 10}, {.tick = 20}, {.tick = 30}};
  assert_null(placing_find(anchors, 0, 5));
  assert_int_equal(placing_find(anchors, 3, 5)->tick, 10);
  assert_int_equal(placing_find(anchors, 3, 10)->tick, 10);
  assert_int_equal(placing_find(anchors, 3, 19)->tick, 10);
  assert_int_equal(placing_find(anchors, 3, 20)->tick, 20);
  assert_int_equal(placing_find(anchors, 3, 1000)->tick, 30);
}

static void test_late_anchor_places_readings_before_it(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  give(f, 1, 1000, NULL);
  give(f, 2, 2000, NULL);
  fixture_run(f);
  assert_int_equal(utc_of(f, 1), -1);
  give(f, 3, 60000, &(htel_anchor){.tick = 50000, .utc_ms = 1700000050000});
  fixture_run(f);
  assert_int_equal(utc_of(f, 1), 1700000001000);
  assert_int_equal(utc_of(f, 2), 1700000002000);
  assert_int_equal(utc_of(f, 3), 1700000060000);
  fixture_frame(f, DEV, &(frame_spec){.boot = 8, .sequence = 1, .tick = 5}); /* another boot */
  fixture_run(f);
  assert_int_equal(fixture_sql(f, "SELECT utc_offset_ms IS NULL FROM frames WHERE boot = 8"), 1);
  fixture_close(f);
}

static void test_clock_jump_moves_only_what_comes_after(void **state) {
  (void)state;
  static const int64_t ten_years_ms = INT64_C(315360000000);
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  give(f, 1, 1000, &(htel_anchor){.tick = 900, .utc_ms = 1700000000900});
  give(f, 2, 2000, NULL);
  give(f, 3, 3000, &(htel_anchor){.tick = 2500, .utc_ms = 1700000002500 - ten_years_ms});
  give(f, 4, 4000, NULL);
  fixture_run(f);
  assert_int_equal(utc_of(f, 1), 1700000001000);
  assert_int_equal(utc_of(f, 2), 1700000002000);
  assert_int_equal(utc_of(f, 3), 1700000003000 - ten_years_ms);
  assert_int_equal(utc_of(f, 4), 1700000004000 - ten_years_ms);
  fixture_close(f);
}

static void test_of_two_anchors_at_one_tick_the_later_frame_counts_in_any_order(void **state) {
  (void)state;
  for (unsigned turn = 0; turn < 2; turn++) {
    fixture *f = fixture_open(NULL);
    fixture_birth(f, DEV);
    htel_anchor first = {.tick = 100, .utc_ms = 1000000}, second = {.tick = 100, .utc_ms = 2000000};
    give(f, 5, 150, NULL);
    if (turn == 0) give(f, 1, 100, &first);
    give(f, 2, 100, &second);
    if (turn == 1) give(f, 1, 100, &first);
    fixture_run(f);
    assert_int_equal(utc_of(f, 5), 2000050);
    assert_int_equal(utc_of(f, 1), 2000000);
    fixture_close(f);
  }
}

/* Whatever the order of arrival, the end is the same as if all anchors had been known. */
static void test_order_of_arrival_does_not_matter(void **state) {
  (void)state;
  enum { FRAMES = 60 };
  for (uint64_t seed = 1; seed <= 20; seed++) {
    sim_random r = {seed};
    fixture *f = fixture_open(NULL);
    fixture_birth(f, DEV);
    f->config.commit_messages = 1 + random_below(&r, 7);
    frame_spec specs[FRAMES];
    htel_anchor anchors[FRAMES], sorted[FRAMES];
    unsigned anchor_count = 0;
    for (unsigned i = 0; i < FRAMES; i++) {
      specs[i] = (frame_spec){.boot = 7, .sequence = i + 1, .tick = 100 * (i + 1)};
      if (random_below(&r, 6) != 0) continue;
      anchors[i] = (htel_anchor){.tick = specs[i].tick - random_below(&r, 50),
                                 .utc_ms = (int64_t)random_u32(&r) * 256};
      sorted[anchor_count++] = anchors[i];
      specs[i].anchors = &anchors[i];
      specs[i].anchor_count = 1;
    }
    frame_spec shuffled[FRAMES];
    memcpy(shuffled, specs, sizeof specs);
    for (unsigned i = FRAMES - 1; i > 0; i--) {
      unsigned k = random_below(&r, i + 1);
      frame_spec swap = shuffled[i];
      shuffled[i] = shuffled[k];
      shuffled[k] = swap;
    }
    for (unsigned i = 0; i < FRAMES; i++) fixture_frame(f, DEV, &shuffled[i]);
    fixture_run(f);
    for (unsigned i = 0; i < FRAMES; i++) {
      const htel_anchor *anchor = placing_find(sorted, anchor_count, specs[i].tick);
      int64_t expected = anchor == NULL ? -1 : (int64_t)specs[i].tick + placing_offset_ms(anchor);
      assert_int_equal(utc_of(f, i + 1), expected);
    }
    fixture_close(f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_find_takes_latest_not_after_else_earliest),
      cmocka_unit_test(test_late_anchor_places_readings_before_it),
      cmocka_unit_test(test_clock_jump_moves_only_what_comes_after),
      cmocka_unit_test(test_of_two_anchors_at_one_tick_the_later_frame_counts_in_any_order),
      cmocka_unit_test(test_order_of_arrival_does_not_matter),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
