/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated flash itself: what it calls a violation, what a cut leaves, that levels close. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "../../ports/sim/flash_sim.h"
#include "healthtel/decode.h"
#include "healthtel/error.h"

static const flash_geometry geometry = {"test", 4096, 4, 4};

static int sim_new(void **state) {
  static flash_sim f;
  flash_sim_init(&f, &geometry, 7);
  *state = &f;
  return 0;
}

static int sim_end(void **state) {
  flash_sim_free(*state);
  return 0;
}

static int program(flash_sim *f, uint32_t address, const void *bytes, size_t size) {
  return f->port.program(f->port.ctx, address, bytes, size);
}

static uint32_t word_at(flash_sim *f, uint32_t address) {
  uint8_t b[4];
  assert_int_equal(f->port.read(f->port.ctx, address, b, 4), 0);
  return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void test_sim_programs_and_erases(void **state) {
  flash_sim *f = *state;
  assert_int_equal(program(f, 8, "abcd", 4), 0);
  assert_int_equal(word_at(f, 8), 0x64636261);
  assert_int_equal(f->port.erase(f->port.ctx, 0), 0);
  assert_int_equal(word_at(f, 8), UINT32_MAX);
  assert_int_equal(program(f, 8, "efgh", 4), 0);
  assert_string_equal(f->violation, "");
  assert_int_equal(f->wear[0], 1);
}

static void test_sim_tells_of_a_unit_programmed_twice(void **state) {
  flash_sim *f = *state;
  program(f, 8, "\xFF\xFF\xFF\xFF", 4); /* ones count as well */
  program(f, 4, "abcdefgh", 8);
  assert_non_null(strstr(f->violation, "programmed since"));
}

static void test_sim_tells_of_alignment_and_range(void **state) {
  flash_sim *f = *state;
  static const struct {
    uint32_t address;
    size_t size;
  } bad[] = {{2, 4}, {4, 3}, {4, 0}, {4092, 8}, {16384, 4}, {16380, 8}, {UINT32_MAX - 3, 4}};
  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    f->violation[0] = '\0';
    assert_int_equal(program(f, bad[i].address, "abcdefgh", bad[i].size), HTEL_E_ARGUMENT);
    assert_string_not_equal(f->violation, "");
  }
  uint8_t b[8];
  f->violation[0] = '\0';
  assert_int_equal(f->port.read(f->port.ctx, 4092, b, 8), HTEL_E_ARGUMENT);
  assert_string_not_equal(f->violation, "");
}

static void test_sim_closes_a_level_as_if_nothing_had_been(void **state) {
  flash_sim *f = *state;
  program(f, 0, "abcd", 4);
  flash_sim_open(f);
  program(f, 4, "efgh", 4);
  flash_sim_open(f);
  f->port.erase(f->port.ctx, 0);
  program(f, 0, "ijkl", 4);
  flash_sim_close(f);
  assert_int_equal(word_at(f, 0), 0x64636261);
  f->port.erase(f->port.ctx, 0);
  flash_sim_close(f);
  assert_int_equal(word_at(f, 0), 0x64636261);
  assert_int_equal(word_at(f, 4), UINT32_MAX);
  assert_int_equal(f->wear[0], 0);
  assert_int_equal(f->operation, 1);
  program(f, 4, "mnop", 4);
  assert_string_equal(f->violation, "");
}

typedef struct seen {
  flash_sim *flash;
  flash_mode mode;
  unsigned old, done, torn;
} seen;

/* Cuts in the second of two programs and counts what each left. */
static void cut_many(void *ctx, const flash_op *op) {
  seen *s = ctx;
  if (op->address != 4) return;
  for (uint64_t i = 0; i < 1000; i++) {
    sim_random random = {i};
    flash_sim_open(s->flash);
    flash_sim_cut(s->flash, op, s->mode, &random);
    uint32_t first = word_at(s->flash, 0), second = word_at(s->flash, 4);
    if (s->mode != FLASH_REORDERED) assert_int_equal(first, 0);
    if (second == UINT32_MAX) s->old++;
    if (second == 0) s->done++;
    if (second != 0 && second != UINT32_MAX) s->torn++;
    flash_sim_close(s->flash);
  }
}

static void run_cuts(flash_sim *f, seen *s) {
  s->flash = f;
  f->hook = cut_many;
  f->hook_ctx = s;
  program(f, 0, "\0\0\0\0", 4);
  program(f, 4, "\0\0\0\0", 4);
  assert_int_equal(word_at(f, 0), 0);
  assert_int_equal(word_at(f, 4), 0);
}

static void test_sim_cut_leaves_nothing_a_part_or_any_bits(void **state) {
  seen none = {.mode = FLASH_NONE}, partial = {.mode = FLASH_PARTIAL},
       bits = {.mode = FLASH_RANDOM};
  run_cuts(*state, &none);
  sim_end(state);
  sim_new(state);
  run_cuts(*state, &partial);
  sim_end(state);
  sim_new(state);
  run_cuts(*state, &bits);
  assert_int_equal(none.old, 1000);
  assert_in_range(partial.torn, 400, 800);
  assert_in_range(partial.old, 100, 300);
  assert_in_range(bits.torn, 990, 1000);
}

static void test_sim_keeps_what_was_synced_and_reorders_the_rest(void **state) {
  flash_sim *f = *state;
  seen loose = {.mode = FLASH_REORDERED};
  run_cuts(f, &loose);
  assert_in_range(loose.old, 200, 800);
  assert_in_range(loose.done, 100, 700);
  f->hook = NULL;
  f->port.sync(f->port.ctx);
  for (uint64_t i = 0; i < 100; i++) {
    sim_random random = {i};
    flash_sim_open(f);
    flash_sim_cut(f, NULL, FLASH_REORDERED, &random);
    assert_int_equal(word_at(f, 0) | word_at(f, 4), 0);
    flash_sim_close(f);
  }
}

static void test_sim_wants_a_torn_erase_done_again(void **state) {
  flash_sim *f = *state;
  program(f, 0, "abcd", 4);
  f->cut_after = 1;
  f->cut_mode = FLASH_RANDOM;
  assert_int_equal(f->port.erase(f->port.ctx, 0), HTEL_E_STORE);
  assert_true(f->dead);
  assert_int_equal(program(f, 64, "abcd", 4), HTEL_E_STORE);
  flash_sim_power_on(f);
  assert_int_equal(program(f, 64, "abcd", 4), 0);
  assert_string_not_equal(f->violation, "");
}

static void test_sim_wears_out(void **state) {
  flash_sim *f = *state;
  f->wear_max = 10;
  unsigned erases = 0;
  while (erases < 100 && f->port.erase(f->port.ctx, 1) == 0) erases++;
  assert_in_range(erases, 10, 15);
  assert_int_equal(program(f, 4096, "abcd", 4), HTEL_E_STORE);
  f->bad[3] = true;
  assert_int_equal(program(f, 3 * 4096, "abcd", 4), HTEL_E_STORE);
}

/* The harness has a checksum of its own; 0xCBF43926 is the catalogues' check value. */
static void test_sim_crc_is_the_usual_one(void **state) {
  (void)state;
  assert_int_equal(htel_crc32(0, "123456789", 9), 0xCBF43926u);
  assert_int_equal(htel_crc32(htel_crc32(0, "1", 1), "23456789", 8), 0xCBF43926u);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_sim_programs_and_erases, sim_new, sim_end),
      cmocka_unit_test_setup_teardown(test_sim_tells_of_a_unit_programmed_twice, sim_new, sim_end),
      cmocka_unit_test_setup_teardown(test_sim_tells_of_alignment_and_range, sim_new, sim_end),
      cmocka_unit_test_setup_teardown(test_sim_closes_a_level_as_if_nothing_had_been, sim_new,
                                      sim_end),
      cmocka_unit_test_setup_teardown(test_sim_cut_leaves_nothing_a_part_or_any_bits, sim_new,
                                      sim_end),
      cmocka_unit_test_setup_teardown(test_sim_keeps_what_was_synced_and_reorders_the_rest, sim_new,
                                      sim_end),
      cmocka_unit_test_setup_teardown(test_sim_wants_a_torn_erase_done_again, sim_new, sim_end),
      cmocka_unit_test_setup_teardown(test_sim_wears_out, sim_new, sim_end),
      cmocka_unit_test(test_sim_crc_is_the_usual_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
