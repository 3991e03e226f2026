/* SPDX-License-Identifier: Apache-2.0 */
/* Appointments come in order of time, then of number, whatever was moved about before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sim_queue.h"
#include "sim_random.h"

enum { ACTORS = 50 };

static void test_the_earliest_comes_first_and_of_two_the_lower_number(void **state) {
  (void)state;
  sim_queue q;
  assert_true(sim_queue_init(&q, 3));
  sim_queue_set(&q, 2, 5);
  sim_queue_set(&q, 1, 5);
  sim_queue_set(&q, 0, 7);
  uint32_t actor;
  assert_true(sim_queue_take(&q, &actor));
  assert_int_equal(actor, 1);
  sim_queue_sooner(&q, 0, 6);
  sim_queue_sooner(&q, 0, 9);
  assert_true(sim_queue_take(&q, &actor));
  assert_int_equal(actor, 2);
  assert_int_equal(sim_queue_next_ms(&q), 6);
  sim_queue_set(&q, 0, SIM_NEVER);
  assert_false(sim_queue_take(&q, &actor));
  assert_int_equal(sim_queue_next_ms(&q), SIM_NEVER);
  sim_queue_free(&q);
}

static void test_nothing_is_before_the_present(void **state) {
  (void)state;
  sim_queue q;
  uint32_t actor;
  assert_true(sim_queue_init(&q, 2));
  sim_queue_set(&q, 0, 100);
  assert_true(sim_queue_take(&q, &actor));
  sim_queue_set(&q, 1, 3);
  assert_int_equal(sim_queue_next_ms(&q), 100);
  sim_queue_free(&q);
}

/* Held against an array that is searched. */
static void test_against_a_plain_array(void **state) {
  (void)state;
  sim_random random = {7};
  sim_queue q;
  int64_t at[ACTORS];
  assert_true(sim_queue_init(&q, ACTORS));
  for (unsigned i = 0; i < ACTORS; i++) at[i] = SIM_NEVER;
  for (unsigned step = 0; step < 20000; step++) {
    uint32_t actor = random_below(&random, ACTORS);
    int64_t when = q.now_ms + random_below(&random, 40);
    switch (random_below(&random, 4)) {
      case 0: sim_queue_set(&q, actor, at[actor] = when); break;
      case 1:
        sim_queue_sooner(&q, actor, when);
        if (when < at[actor]) at[actor] = when;
        break;
      case 2: sim_queue_set(&q, actor, at[actor] = SIM_NEVER); break;
      default: {
        uint32_t first = 0, taken = 0;
        for (uint32_t i = 1; i < ACTORS; i++)
          if (at[i] < at[first]) first = i;
        bool any = at[first] != SIM_NEVER;
        assert_int_equal(sim_queue_next_ms(&q), at[first]);
        assert_int_equal(sim_queue_take(&q, &taken), any);
        if (any) assert_int_equal(taken, first);
        at[first] = SIM_NEVER;
      }
    }
  }
  sim_queue_free(&q);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_earliest_comes_first_and_of_two_the_lower_number),
      cmocka_unit_test(test_nothing_is_before_the_present),
      cmocka_unit_test(test_against_a_plain_array)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
