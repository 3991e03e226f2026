/* SPDX-License-Identifier: Apache-2.0 */
/* Spans against a plain array of flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim_random.h"
#include "spans.h"

#define NUMBERS 200u

static uint64_t count_of(const bool *set, uint64_t first, uint64_t end) {
  uint64_t count = 0;
  for (uint64_t i = first; i < end; i++) count += set[i];
  return count;
}

static void compare(const spans *r, const bool *set, uint64_t first, uint64_t end) {
  assert_int_equal(spans_within(r, first, end), count_of(set, first, end));
  uint64_t last = end, past = first;
  while (last > first && !set[last - 1u]) last--;
  while (past < NUMBERS && set[past]) past++;
  assert_int_equal(spans_last(r, first, end), last);
  assert_int_equal(spans_past(r, first), past);
}

static void test_spans_say_what_a_plain_set_says(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    sim_random random = {seed};
    spans r = {0};
    bool set[NUMBERS + 1u] = {false};
    for (unsigned step = 0; step < 60; step++) {
      uint64_t first = random_below(&random, NUMBERS), end = first + 1u;
      end += random_below(&random, 8u);
      if (end > NUMBERS) end = NUMBERS;
      assert_int_equal(spans_add(&r, first, end), count_of(set, first, end));
      memset(set + first, true, end - first);
      for (unsigned look = 0; look < 10; look++) {
        first = random_below(&random, NUMBERS);
        compare(&r, set, first, first + 1u + random_below(&random, (uint32_t)(NUMBERS - first)));
      }
      for (uint32_t i = 1; i < r.count; i++) assert_true(r.items[i].first > r.items[i - 1u].end);
    }
    spans_free(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_spans_say_what_a_plain_set_says)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
