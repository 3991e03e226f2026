/* SPDX-License-Identifier: Apache-2.0 */
/* Memory runs out at any one allocation, ours or SQLite's: the batch waits, nothing is lost or
 * leaked. */
#include "ingest_fixture.h"

#define DEV "dev-1"

/* The linker gives us all allocations of the ingest (--wrap); `countdown` says which one fails. */
static unsigned countdown;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

static bool fails(void) {
  return countdown > 0 && --countdown == 0;
}

void *__wrap_malloc(size_t size) {
  return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
  return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size) {
  return fails() ? NULL : __real_realloc(block, size);
}

static void give_frames(fixture *f) {
  fixture_birth(f, DEV);
  for (uint32_t s = 1; s <= 10; s++)
    fixture_frame(
        f, DEV, &(frame_spec){.boot = 7, .sequence = s, .tick = s, .samples = 400, .alarm = true});
}

static void assert_all_there(fixture *f) {
  htel_receipt r = fixture_receipt_take(f, DEV, 7);
  assert_int_equal(r.stored_count, 1);
  assert_int_equal(r.stored[0].first, 1);
  assert_int_equal(r.stored[0].last, 10);
  assert_int_equal(fixture_sql(f, "SELECT sum(samples) FROM frames"), 4000);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM alarms"), 10);
}

static void test_any_allocation_of_the_intake_may_fail(void **state) {
  (void)state;
  bool failed = true;
  unsigned n = 1;
  for (; failed; n++) {
    fixture *f = fixture_open(NULL);
    give_frames(f);
    countdown = n;
    f->intake = intake_open(&f->config);
    if (f->intake == NULL) {
      fixture_close(f);
      continue;
    }
    unsigned steps = 0, held_up = 0;
    int rc;
    while ((rc = intake_step(f->intake, 0)) != INTAKE_IDLE) {
      held_up += rc == INTAKE_HELD_UP;
      assert_true(steps++ < 10);
    }
    failed = countdown == 0;
    countdown = 0;
    assert_true(held_up <= 1);
    assert_all_there(f);
    fixture_close(f);
  }
  assert_true(n > 6); /* some of them did fail */
}

static void test_sqlite_may_run_out_of_memory(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_start(f);
  give_frames(f);
  sqlite3_int64 used = sqlite3_memory_used();
  unsigned held_up = 0;
  for (sqlite3_int64 more = 1; f->receipt_count == 0; more += 2048) {
    sqlite3_hard_heap_limit64(used + more);
    int rc = intake_step(f->intake, 0);
    sqlite3_hard_heap_limit64(0);
    if (rc == INTAKE_HELD_UP) assert_int_equal(f->receipt_count, 0);
    held_up += rc == INTAKE_HELD_UP;
    assert_true(more < 100000000);
  }
  assert_true(held_up > 3);
  assert_all_there(f);
  fixture_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_any_allocation_of_the_intake_may_fail),
      cmocka_unit_test(test_sqlite_may_run_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
