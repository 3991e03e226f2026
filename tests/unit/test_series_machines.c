/* SPDX-License-Identifier: Apache-2.0 */
/* Series are the same bytes on machines with vectors and without: series.c is compiled twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../ports/sim/sim_random.h"
#include "series.h"

/* series_write of a build without vectors. */
void series_write_plain(wire_out *out, series_source source, uint16_t count,
                        code_residuals residuals);

/* Walks of any size, some of them smooth, some with spikes. */
static void values_make(sim_random *r, uint32_t *values, uint32_t count) {
  uint32_t size = 1u << random_below(r, 31), value = random_u32(r), slope = 0;
  unsigned shape = random_below(r, 4);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t step = random_below(r, size) - size / 2;
    if (shape == 1) step = slope += step / 8;
    if (shape == 2) step = random_below(r, 8) == 0 ? step : 0;
    value = shape == 3 ? step : value + step;
    values[i] = value;
  }
}

static void test_bytes_do_not_depend_on_vectors(void **state) {
  (void)state;
  static const code_residuals how[] = {CODE_RICE, CODE_BYTES, CODE_QUICK};
  static uint32_t values[HTEL_COLUMN_SAMPLES_MAX + 1];
  static uint8_t with[8 * HTEL_COLUMN_SAMPLES_MAX], without[sizeof with];
  sim_random r = {20261122};
  for (unsigned n = 0; n < 20000; n++) {
    uint16_t count = (uint16_t)(1u + random_below(&r, n % 2 ? 100 : HTEL_COLUMN_SAMPLES_MAX));
    values_make(&r, values, count + 1u);
    series_source source = {values, random_below(&r, 4) == 0};
    wire_out a = {with, with + sizeof with, false}, b = {without, without + sizeof without, false};
    series_write(&a, source, count, how[n % 3]);
    series_write_plain(&b, source, count, how[n % 3]);
    assert_false(a.full || b.full);
    assert_int_equal(a.at - with, b.at - without);
    assert_memory_equal(with, without, (size_t)(a.at - with));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes_do_not_depend_on_vectors)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
