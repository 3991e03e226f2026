/* SPDX-License-Identifier: Apache-2.0 */
/* test_birth.c - the birth message: a function of the configuration, readable in any pieces, and
 * checked in every field by those who receive it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "birth.h"
#include "code_fixture.h"

static htel_birth birth;
static uint8_t bytes[65536];

static size_t whole(const birth_source *source) {
  uint32_t size = birth_size(source);
  assert_in_range(size, 1, sizeof bytes);
  assert_int_equal(birth_read(source, 0, bytes, size), 0);
  return size;
}

static void test_channels_come_back(void **state) {
  (void)state;
  birth_source source = {"2.0-rc1", fixture_channels, CH_COUNT};
  size_t size = whole(&source);
  assert_int_equal(htel_birth_decode(&birth, bytes, size), 0);
  assert_int_equal(birth.schema, birth_schema(&source));
  assert_int_equal(birth.format, 1);
  assert_string_equal(birth.firmware, "2.0-rc1");
  assert_int_equal(birth.channel_count, CH_COUNT);
  for (unsigned i = 0; i < CH_COUNT; i++) {
    const htel_channel *want = &fixture_channels[i];
    const htel_birth_channel *is = &birth.channels[i];
    assert_int_equal(is->code, want->code);
    assert_int_equal(is->kind, want->kind);
    assert_int_equal(is->index, want->index);
    assert_int_equal(is->rate.num, want->rate.num);
    assert_int_equal(is->rate.den, want->rate.den == 0 ? 1 : want->rate.den);
    assert_int_equal(is->gain, want->gain == 0 ? 1 : want->gain);
    assert_int_equal(is->offset, want->offset);
    assert_int_equal(is->exponent, want->exponent);
    assert_string_equal(is->name, want->name ? want->name : "");
    assert_string_equal(is->unit, want->unit ? want->unit : "1");
  }
}

static void test_every_window_is_the_same_message(void **state) {
  (void)state;
  birth_source source = {"1", fixture_channels, CH_COUNT};
  static uint8_t piece[1024];
  size_t size = whole(&source);
  for (uint32_t offset = 0; offset < size; offset++) {
    for (size_t length = 0; offset + length <= size; length++) {
      memset(piece, 0xA5, length + 1);
      assert_int_equal(birth_read(&source, offset, piece, length), 0);
      assert_memory_equal(piece, bytes + offset, length);
      assert_int_equal(piece[length], 0xA5);
    }
    assert_int_equal(birth_read(&source, offset, piece, size - offset + 1), HTEL_E_ARGUMENT);
  }
}

/* A default that is spelled out is the same device. */
static void test_defaults_give_one_schema(void **state) {
  (void)state;
  htel_channel terse = {.code = 1, .kind = HTEL_WAVEFORM, .rate = {100, 0}};
  htel_channel wordy = {.code = 1,
                        .kind = HTEL_WAVEFORM,
                        .rate = {100, 1},
                        .gain = 1,
                        .unit = "1",
                        .name = "",
                        .block_max = 64,
                        .column_samples = 256};
  birth_source a = {NULL, &terse, 1}, b = {"", &wordy, 1};
  assert_int_equal(birth_schema(&a), birth_schema(&b));
  wordy.gain = 2;
  assert_int_not_equal(birth_schema(&a), birth_schema(&b));
}

static void test_largest_birth(void **state) {
  (void)state;
  static htel_channel channels[HTEL_CHANNELS_MAX];
  for (unsigned i = 0; i < HTEL_CHANNELS_MAX; i++) {
    channels[i] = (htel_channel){.code = UINT32_MAX,
                                 .index = (uint8_t)(255 - i),
                                 .name = "abcdefghijklmnopqrstuvwxyz01234",
                                 .unit = "123456789012345",
                                 .kind = HTEL_WAVEFORM,
                                 .rate = {1000000, 1000000},
                                 .gain = INT32_MIN,
                                 .offset = INT32_MIN,
                                 .exponent = -12};
  }
  birth_source source = {"abcdefghijklmnopqrstuvwxyz01234", channels, HTEL_CHANNELS_MAX};
  size_t size = whole(&source);
  assert_in_range(size, 64 * 80, 64 * 100);
  assert_int_equal(htel_birth_decode(&birth, bytes, size), 0);
  assert_int_equal(birth.channels[63].gain, INT32_MIN);
  assert_string_equal(birth.channels[63].name, channels[63].name);
}

/* The message of one channel that is changed by `change`, decoded. */
static int decode_changed(htel_channel channel) {
  birth_source source = {NULL, &channel, 1};
  return htel_birth_decode(&birth, bytes, whole(&source));
}

static void test_bad_channels_are_refused(void **state) {
  (void)state;
  htel_channel good = {.code = 1, .kind = HTEL_WAVEFORM, .rate = {100, 3}};
  assert_int_equal(decode_changed(good), 0);
  htel_channel c = good;
  c.rate.num = 0;
  assert_int_equal(decode_changed(c), HTEL_E_FORMAT);
  c.rate.num = 1000001;
  assert_int_equal(decode_changed(c), HTEL_E_FORMAT);
  c = good;
  c.rate.den = 1000001;
  assert_int_equal(decode_changed(c), HTEL_E_FORMAT);
  c = good;
  c.kind = 3;
  assert_int_equal(decode_changed(c), HTEL_E_FORMAT);
  c = good;
  c.exponent = 13;
  assert_int_equal(decode_changed(c), HTEL_E_FORMAT);
  c.exponent = -13;
  assert_int_equal(decode_changed(c), HTEL_E_FORMAT);
}

static void test_bad_strings_are_refused(void **state) {
  (void)state;
  htel_channel c = {.code = 1, .name = "abcdefghijklmnopqrstuvwxyz012345"};
  assert_int_equal(decode_changed(c), HTEL_E_TOO_LARGE);
  c.name = NULL;
  c.unit = "1234567890123456";
  assert_int_equal(decode_changed(c), HTEL_E_TOO_LARGE);
  static const char *const bad[] = {"a\nb", "\x1B[2J", "\x7F", "caf\xC3\xA9", "\xFF"};
  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    htel_channel named = {.code = 1, .name = bad[i]}, united = {.code = 1, .unit = bad[i]};
    assert_int_equal(decode_changed(named), HTEL_E_FORMAT);
    assert_int_equal(decode_changed(united), HTEL_E_FORMAT);
    htel_channel plain = {.code = 1};
    birth_source source = {bad[i], &plain, 1};
    assert_int_equal(htel_birth_decode(&birth, bytes, whole(&source)), HTEL_E_FORMAT);
  }
  /* a zero byte inside */
  assert_int_equal(htel_birth_decode(&birth,
                                     (const uint8_t *)"\x08\x01\x12\x03"
                                                      "a\0b\x1A\x00",
                                     9),
                   HTEL_E_FORMAT);
}

static void test_two_channels_alike_are_refused(void **state) {
  (void)state;
  htel_channel channels[3] = {{.code = 7}, {.code = 8}, {.code = 7}};
  birth_source source = {NULL, channels, 3};
  assert_int_equal(htel_birth_decode(&birth, bytes, whole(&source)), HTEL_E_FORMAT);
  channels[2].index = 1;
  assert_int_equal(htel_birth_decode(&birth, bytes, whole(&source)), 0);
}

static int decode_text(const char *text, size_t size) {
  return htel_birth_decode(&birth, (const uint8_t *)text, size);
}
#define DECODE(text) decode_text(text, sizeof text - 1)

static void test_formats_and_counts(void **state) {
  (void)state;
  assert_int_equal(DECODE("\x08\x01\x1A\x00"), 0); /* one channel, all of it default */
  assert_int_equal(DECODE("\x08\x02\x1A\x00"), HTEL_E_VERSION);
  assert_int_equal(DECODE("\x08\x02\xFF\xFF"), HTEL_E_VERSION); /* whatever follows */
  assert_int_equal(DECODE("\x08\x00\x1A\x00"), HTEL_E_FORMAT);
  assert_int_equal(DECODE("\x08\x01\x08\x02\x1A\x00"), HTEL_E_FORMAT);
  assert_int_equal(DECODE("\x1A\x00\x08\x01"), HTEL_E_FORMAT); /* the format is not first */
  assert_int_equal(DECODE("\x08\x01"), HTEL_E_FORMAT);         /* no channel */
  assert_int_equal(DECODE(""), HTEL_E_FORMAT);
  assert_int_equal(DECODE("\x08"), HTEL_E_FORMAT);
  assert_int_equal(DECODE("\x08\x01\x10\x26\x1A\x00"), HTEL_E_FORMAT); /* firmware is a number, */
  assert_int_equal(DECODE("\x08\x01\x18\x00"), HTEL_E_FORMAT);         /* a channel, */
  assert_int_equal(DECODE("\x08\x01\x1A\x02\x20\x26"), HTEL_E_FORMAT); /* its name, */
  assert_int_equal(DECODE("\x08\x01\x1A\x02\x28\x26"), HTEL_E_FORMAT); /* its unit */
  assert_int_equal(DECODE("\x08\x01\x1A\x03\x10\x80\x02"), HTEL_E_FORMAT); /* index 256 */
  assert_int_equal(DECODE("\x08\x01\x1A\x02\x30\x01"), 0); /* a numeric may have a rate */
  assert_int_equal(DECODE("\x08\x01\x1A\x04\x18\x02\x30\x01"), HTEL_E_FORMAT); /* no alarm */
  size_t size = 0;
  bytes[size++] = 0x08;
  bytes[size++] = 1;
  for (unsigned i = 0; i <= HTEL_CHANNELS_MAX; i++) {
    bytes[size++] = 0x1A;
    bytes[size++] = 2;
    bytes[size++] = 0x08;
    bytes[size++] = (uint8_t)(i + 1);
  }
  assert_int_equal(htel_birth_decode(&birth, bytes, size), HTEL_E_TOO_LARGE);
  assert_int_equal(htel_birth_decode(&birth, bytes, size - 4), 0);
  assert_int_equal(birth.channel_count, HTEL_CHANNELS_MAX);
}

static void test_every_truncation_ends_well(void **state) {
  (void)state;
  birth_source source = {"1.2", fixture_channels, CH_COUNT};
  size_t size = whole(&source);
  for (size_t cut = 0; cut < size; cut++) {
    int rc = htel_birth_decode(&birth, bytes, cut);
    assert_true(rc == HTEL_E_FORMAT || (rc == 0 && birth.channel_count < CH_COUNT));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_channels_come_back),
      cmocka_unit_test(test_every_window_is_the_same_message),
      cmocka_unit_test(test_defaults_give_one_schema),
      cmocka_unit_test(test_largest_birth),
      cmocka_unit_test(test_bad_channels_are_refused),
      cmocka_unit_test(test_bad_strings_are_refused),
      cmocka_unit_test(test_two_channels_alike_are_refused),
      cmocka_unit_test(test_formats_and_counts),
      cmocka_unit_test(test_every_truncation_ends_well),
  };
  return cmocka_run_group_tests_name("birth", tests, NULL, NULL);
}
