/* SPDX-License-Identifier: Apache-2.0 */
/* test_decode.c - the decoder against what it must refuse: each rule of the format broken by hand,
 * then bytes at random and good messages with bits turned over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "code_fixture.h"
#include "hostile.h"

/* Reads hand-made blocks (hexadecimal) at frame tick 1000; the result of the last call. */
static int read_hex(fixture *f, const char *hex, uint64_t tick, unsigned *series) {
  *f = *fixture_begin();
  f->used = 0;
  for (; *hex; hex++) {
    if (*hex == ' ') continue;
    unsigned byte;
    assert_int_equal(sscanf(hex++, "%2x", &byte), 1);
    f->blocks[f->used++] = (uint8_t)byte;
  }
  f->tick = tick;
  fixture_frame(f);
  int rc;
  for (*series = 0; (rc = htel_reader_next(&f->reader, &f->series)) == 1;) (*series)++;
  return rc;
}

/* Channels: 0 ECG 360 Hz, 1 pulse, 2 alarms, 3 waveform 1000/3 Hz. */
static void test_every_rule_of_a_block(void **state) {
  (void)state;
  static const struct {
    const char *why;
    const char *hex;
    int rc; /* 0: fine */
  } cases[] = {
      {"one sample", "00 01 00 00 00 02", 0},
      {"one numeric", "01 00 00 00 02", 0},
      {"one alarm", "02 00 00 05 0D 00", 0},
      {"channel not in the birth", "06 01 00 00 00 02", HTEL_E_FORMAT},
      {"channel far beyond", "80 02 01 00 00 00 02", HTEL_E_FORMAT},
      {"channel over 64 bits", "80 80 80 80 80 80 80 80 80 80 00 01 00 00 00 02", HTEL_E_FORMAT},
      {"tick over 64 bits", "00 01 80 80 80 80 80 80 80 80 80 02 00 00 02", HTEL_E_FORMAT},
      {"513 samples", "00 81 10 00 00 00 02", HTEL_E_FORMAT},
      {"512 samples", "00 FD 0F 00 00 00 02", 0},
      {"count over 32 bits", "00 FD FF FF FF FF 01 00 00 00 02", HTEL_E_FORMAT},
      {"waveform without a start", "00 00 00 02", HTEL_E_FORMAT},
      {"another channel's start", "00 01 00 00 00 02 03 00 00 02", HTEL_E_FORMAT},
      {"goes on after its start", "00 01 00 00 00 02 00 00 00 04", 0},
      {"phase of rate.num", "00 01 00 E8 02 00 02", HTEL_E_FORMAT},
      {"phase below rate.num", "00 01 00 E7 02 00 02", 0},
      {"start before tick 0", "00 01 D1 0F 00 00 02", HTEL_E_FORMAT},
      {"start at tick 0", "00 01 CF 0F 00 00 02", 0},
      {"numeric before tick 0", "01 00 D1 0F 00 02", HTEL_E_FORMAT},
      {"interval of one reading", "01 01 00 00 02", HTEL_E_FORMAT},
      {"regular interval to before 0", "01 05 00 D1 0F 00 02", HTEL_E_FORMAT},
      {"interval over 32 bits", "01 05 00 80 80 80 80 10 00 02", HTEL_E_FORMAT},
      {"irregular steps", "01 08 00 08 04 01 00 02", 0},
      {"irregular steps to before 0", "01 08 00 08 D1 0F 01 00 02", HTEL_E_FORMAT},
      {"quality", "00 03 00 00 01 02 00 02", 0},
      {"quality reserved, carried", "00 03 00 00 01 07 00 02", 0},
      {"quality over 7", "00 03 00 00 01 08 00 02", HTEL_E_FORMAT},
      {"quality run of none", "00 03 00 00 00 02 00 02", HTEL_E_FORMAT},
      {"quality run of none first", "00 03 00 00 00 02 01 02 00 02", HTEL_E_FORMAT},
      {"quality run too long", "00 03 00 00 02 02 00 02", HTEL_E_FORMAT},
      {"quality runs too long", "00 07 00 00 01 02 02 01 00 02", HTEL_E_FORMAT},
      {"mode reserved 3", "00 01 00 00 0C 02", HTEL_E_FORMAT},
      {"mode reserved bit 5", "00 01 00 00 20 02", HTEL_E_FORMAT},
      {"value over 32 bits", "00 01 00 00 00 80 80 80 80 10", HTEL_E_FORMAT},
      {"value of 32 bits", "00 01 00 00 00 FF FF FF FF 0F", 0},
      {"a residual in Rice", "00 05 00 00 04 02 00", 0},
      {"Rice bits missing", "00 05 00 00 04 02", HTEL_E_FORMAT},
      {"Rice padding not zero", "00 05 00 00 04 02 01", HTEL_E_FORMAT},
      /* k 30, quotient 4: 11110 then 30 bits */
      {"Rice code over 32 bits", "00 05 00 00 04 02 F7 80 00 00 00", HTEL_E_FORMAT},
      {"Rice code of 32 bits", "00 05 00 00 04 02 F7 00 00 00 00", 0},
      {"Rice escape cut short", "00 05 00 00 04 02 07 FF FF F8 00", HTEL_E_FORMAT},
      {"Rice escape", "00 05 00 00 04 02 07 FF FF F8 00 00 00 00", 0},
      {"raw partition", "00 05 00 00 04 02 F8 00 00 00 00", 0},
      {"raw partition cut short", "00 05 00 00 04 02 F8 00 00 00", HTEL_E_FORMAT},
      {"a residual in bytes", "00 05 00 00 08 02 FE", 0},
      {"bytes missing", "00 05 00 00 08 02", HTEL_E_FORMAT},
      {"byte escape", "00 05 00 00 08 02 FF 00", 0},
      {"byte escape of 32 bits", "00 05 00 00 08 02 FF 80 FE FF FF 0F", 0},
      {"byte escape over 32 bits", "00 05 00 00 08 02 FF 81 FE FF FF 0F", HTEL_E_FORMAT},
      {"alarm with flag 0", "02 01 00 05 0D 00", HTEL_E_FORMAT},
      {"alarm with flag 1", "02 02 00 05 0D 00", HTEL_E_FORMAT},
      {"alarm with reserved bit", "02 00 00 05 20 00", HTEL_E_FORMAT},
      {"alarm with all bits", "02 00 00 05 1F 00", 0},
      {"alarm of the last channel", "02 00 00 05 0D 06", 0},
      {"alarm of no channel", "02 00 00 05 0D 07", HTEL_E_FORMAT},
      {"alarm code over 32 bits", "02 00 00 80 80 80 80 10 0D 00", HTEL_E_FORMAT},
      {"alarm before tick 0", "02 00 D1 0F 05 0D 00", HTEL_E_FORMAT},
      {"two alarms", "02 04 00 05 0D 00 00 05 0D 00", 0},
      {"two alarms, one there", "02 04 00 05 0D 00", HTEL_E_FORMAT},
      {"something behind", "01 00 00 00 02 FF", HTEL_E_FORMAT},
  };
  static fixture f;
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    unsigned series;
    int rc = read_hex(&f, cases[i].hex, 1000, &series);
    if (rc != cases[i].rc) fail_msg("%s: %d", cases[i].why, rc);
    if (rc == 0) assert_true(series >= 1);
  }
}

/* All of these are fine at an earlier tick. */
static void test_ticks_do_not_overflow(void **state) {
  (void)state;
  static const char *const hex[] = {
      "00 01 02 00 00 02",             /* a start one ms on */
      "00 03 00 00 01 00 00 02",       /* a sample whose successor lies beyond */
      "01 00 02 00 02",                /* a numeric one ms on */
      "01 05 00 02 00 02",             /* its second, regularly */
      "01 08 00 00 02 00 02 00 00 02", /* its second, in steps */
      "02 00 02 05 0D 00",             /* an alarm */
  };
  static fixture f;
  for (unsigned i = 0; i < sizeof hex / sizeof hex[0]; i++) {
    unsigned series;
    if (i != 4) assert_int_equal(read_hex(&f, hex[i], 1000, &series), 0);
    assert_int_equal(read_hex(&f, hex[i], UINT64_MAX, &series), HTEL_E_FORMAT);
  }
}

static void test_a_birth_that_does_not_fit_is_refused(void **state) {
  (void)state;
  fixture *f = fixture_begin();
  fixture_frame(f);
  f->birth.schema++;
  assert_int_equal(htel_reader_open(&f->reader, &f->frame, &f->birth), HTEL_E_SCHEMA);
}

static void test_after_an_error_there_is_no_more(void **state) {
  (void)state;
  static fixture f;
  unsigned series;
  assert_int_equal(read_hex(&f, "01 00 00 00 02 3F 01 00 00 00 02", 1000, &series), HTEL_E_FORMAT);
  assert_int_equal(series, 1);
  for (unsigned i = 0; i < 3; i++) {
    assert_int_equal(htel_reader_next(&f.reader, &f.series), HTEL_E_FORMAT);
  }
}

static void test_garbage_ends_well(void **state) {
  (void)state;
  sim_random r = {1};
  uint8_t bytes[96];
  for (unsigned round = 0; round < 200000; round++) {
    uint32_t size = random_below(&r, sizeof bytes + 1);
    /* Small numbers are valid counts, channels and modes more often. */
    uint8_t mask = round % 2 ? 0xFF : 0x1F;
    for (uint32_t i = 0; i < size; i++) bytes[i] = (uint8_t)random_u32(&r) & mask;
    hostile_frame(bytes, size);
    hostile_data(bytes, size);
    hostile_birth(bytes, size);
    hostile_receipt(bytes, size);
  }
}

/* Changes 1 to 4 places: a bit, a byte, a piece moved, a cut. */
static size_t mutate(sim_random *r, uint8_t *bytes, size_t size) {
  for (unsigned n = 1 + random_below(r, 4); n > 0 && size > 1; n--) {
    uint32_t at = random_below(r, (uint32_t)size);
    switch (random_below(r, 5)) {
      case 0:
      case 1: bytes[at] ^= (uint8_t)(1u << random_below(r, 8)); break;
      case 2: bytes[at] = (uint8_t)random_u32(r); break;
      case 3: memmove(bytes + at, bytes + random_below(r, at + 1), size - at); break;
      default: size -= random_below(r, (uint32_t)size) / 8; break;
    }
  }
  return size;
}

static void test_good_messages_gone_bad_end_well(void **state) {
  (void)state;
  sim_random r = {2};
  static int32_t values[256];
  static uint32_t ticks[256];
  static uint8_t copy[HTEL_FRAME_BYTES_MAX];
  for (unsigned message = 0; message < 60; message++) {
    fixture *f = fixture_begin();
    for (unsigned i = 0; i < 6; i++) {
      uint16_t count = (uint16_t)(1 + random_below(&r, 64));
      fixture_values(&r, random_below(&r, SHAPE_COUNT), values, count);
      for (unsigned j = 0; j < count; j++) ticks[j] = (uint32_t)f->tick + j * (90 + j % 3);
      code_column c = {
          .channel = (uint8_t)(i % 2), /* a waveform, a numeric: as hostile.c's birth */
          .kind = i % 2 ? HTEL_NUMERIC : HTEL_WAVEFORM,
          .count = count,
          .values = values,
          .ticks = ticks,
          .tick_first = f->tick,
          .quality_all = (uint8_t)(message % 3),
          .continues = i == 2};
      fixture_add(f, &c, message % 2 ? CODE_RICE : CODE_BYTES);
    }
    fixture_frame(f);
    for (unsigned round = 0; round < 1000; round++) {
      memcpy(copy, f->bytes, f->size);
      hostile_frame(copy, mutate(&r, copy, f->size));
      memcpy(copy + 3, f->blocks, f->used);
      copy[0] = copy[1] = copy[2] = (uint8_t)round;
      hostile_data(copy, 3 + mutate(&r, copy + 3, f->used));
    }
  }
  birth_source source = {"1", fixture_channels, CH_COUNT};
  static uint8_t birth[1024];
  size_t size = birth_size(&source);
  for (unsigned round = 0; round < 20000; round++) {
    assert_int_equal(birth_read(&source, 0, birth, size), 0);
    hostile_birth(birth, mutate(&r, birth, size));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_rule_of_a_block),
      cmocka_unit_test(test_ticks_do_not_overflow),
      cmocka_unit_test(test_a_birth_that_does_not_fit_is_refused),
      cmocka_unit_test(test_after_an_error_there_is_no_more),
      cmocka_unit_test(test_garbage_ends_well),
      cmocka_unit_test(test_good_messages_gone_bad_end_well),
  };
  return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
