/* SPDX-License-Identifier: Apache-2.0 */
/* From the device's clock to the database: a client whose clock is set late, jumps ten years either
 * way or wraps, and what the ingest makes of its frames. Ticks, order and intervals stay exact
 * whatever the clock does; the time of day is the clock's of that moment. */
#include "client_fixture.h"
#include "ingest_fixture.h"

#define TEN_YEARS_MS INT64_C(315360000000)
#define UTC0_MS INT64_C(1700000000000)
#define FRAME_S 11 /* readings that may share a frame, which is placed by its first tick */

static fixture *far;

static void pass_on(void *ctx, const char *topic, const uint8_t *bytes, size_t size) {
  const char *kind = strrchr(topic, '/') + 1;
  if (strcmp(kind, "status") != 0) fixture_give(ctx, "device-1", kind, bytes, size);
}

static void begin(uint32_t first_tick) {
  far = fixture_open(NULL);
  it.world.tap = pass_on;
  it.world.tap_ctx = far;
  it.world.knows_birth = false;
  it.world.tick_ms = first_tick;
  open_it();
}

/* A reading each second; its value says which. */
static void record(unsigned from, unsigned to) {
  for (unsigned i = from; i < to; i++) {
    assert_int_equal(htel_record(it.tel, PULSE, (int32_t)i), 0);
    run_ms(1000);
  }
}

static int64_t count(const char *condition, int64_t a, int64_t b, int64_t c) {
  char sql[600];
  snprintf(sql, sizeof sql,
           "WITH r AS (SELECT n.value AS value, n.tick AS tick, n.tick + f.utc_offset_ms AS utc_ms,"
           " n.tick - lag(n.tick) OVER (ORDER BY n.value) AS step FROM numerics n"
           " JOIN frames f ON f.id = n.frame_id), v(a, b, c) AS (VALUES(%lld, %lld, %lld))"
           " SELECT count(*) FROM r, v WHERE %s",
           (long long)a, (long long)b, (long long)c, condition);
  return fixture_sql(far, sql);
}

static void finish(unsigned recorded, uint64_t first_tick) {
  flushed();
  fixture_run(far);
  assert_int_equal(count("1", 0, 0, 0), recorded);
  assert_int_equal(count("tick = a + value * 1000", (int64_t)first_tick, 0, 0), recorded);
  assert_int_equal(count("step = 1000", 0, 0, 0), recorded - 1);
}

/* How many of the readings a to b - 1 are at utc_ms + 1000 a reading. */
static int64_t placed(unsigned a, unsigned b, int64_t utc_ms) {
  return count("value >= a AND value < b AND utc_ms = c + value * 1000", a, b, utc_ms);
}

static void jumps_with(bool reachable_at_the_jump) {
  begin(1000);
  const int64_t utc_ms = UTC0_MS + 1000;
  record(0, 50);
  it.world.utc_ms = UTC0_MS;
  it.world.has_utc = true; /* set after the first readings, which are placed afterwards */
  record(50, 100);
  it.world.reachable = reachable_at_the_jump;
  if (!reachable_at_the_jump) fake_cut(&it.world, HTEL_E_LINK_LOST);
  it.world.utc_ms += TEN_YEARS_MS;
  record(100, 200);
  it.world.utc_ms -= 2 * TEN_YEARS_MS;
  record(200, 300);
  it.world.reachable = true;
  it.world.utc_ms += TEN_YEARS_MS; /* and right again */
  record(300, 400);
  run_ms(120000);
  finish(400, 1000);
  assert_int_equal(placed(0, 100, utc_ms), 100);
  assert_int_equal(placed(100 + FRAME_S, 200, utc_ms + TEN_YEARS_MS), 100 - FRAME_S);
  assert_int_equal(placed(200 + FRAME_S, 300, utc_ms - TEN_YEARS_MS), 100 - FRAME_S);
  assert_int_equal(placed(300 + FRAME_S, 400, utc_ms), 100 - FRAME_S);
  fixture_close(far);
}

static void test_jumps_leave_order_and_intervals_exact(void **state) {
  (void)state;
  jumps_with(true);
}

static void test_jumps_during_an_outage_too(void **state) {
  (void)state;
  jumps_with(false);
}

static void test_a_wrap_leaves_them_exact_too(void **state) {
  (void)state;
  const uint32_t first = 0u - 100000u;
  begin(first);
  assert_int_equal(htel_utc_set(it.tel, first, UTC0_MS, 10), 0);
  record(0, 200);
  finish(200, first);
  assert_int_equal(placed(0, 200, UTC0_MS), 200);
  fixture_close(far);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      T(test_jumps_leave_order_and_intervals_exact),
      T(test_jumps_during_an_outage_too),
      T(test_a_wrap_leaves_them_exact_too),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
