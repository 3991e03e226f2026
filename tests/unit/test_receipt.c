/* SPDX-License-Identifier: Apache-2.0 */
/* test_receipt.c - receipts between ingest and device. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "healthtel/decode.h"
#include "random.h"

static htel_receipt receipt;

static int decode_text(const char *text, size_t size) {
  return htel_receipt_decode(&receipt, (const uint8_t *)text, size);
}
#define DECODE(text) decode_text(text, sizeof text - 1)

static htel_receipt largest(void) {
  htel_receipt r;
  memset(&r, 0xFF, sizeof r);
  r.utc_ms = INT64_MIN;
  r.stored_count = HTEL_RANGES_MAX;
  r.quarantined_count = HTEL_RANGES_MAX;
  r.birth_count = 4;
  r.birth_wanted = true;
  return r;
}

static void test_the_largest_fits(void **state) {
  (void)state;
  uint8_t bytes[HTEL_RECEIPT_BYTES_MAX];
  htel_receipt r = largest();
  int size = htel_receipt_encode(&r, bytes, sizeof bytes);
  assert_in_range(size, 1, HTEL_RECEIPT_BYTES_MAX);
  assert_int_equal(htel_receipt_encode(&r, bytes, (size_t)size - 1), HTEL_E_TOO_LARGE);
  assert_int_equal(htel_receipt_decode(&receipt, bytes, (size_t)size), 0);
  assert_int_equal(receipt.boot, UINT64_MAX);
  assert_int_equal(receipt.utc_ms, INT64_MIN);
  assert_int_equal(receipt.pause_ms, UINT32_MAX);
  assert_int_equal(receipt.stored_count, HTEL_RANGES_MAX);
  assert_int_equal(receipt.quarantined_count, HTEL_RANGES_MAX);
  assert_int_equal(receipt.birth_count, 4);
  assert_int_equal(receipt.births[3], UINT32_MAX);
  assert_true(receipt.birth_wanted);
}

static void test_any_receipt_comes_back(void **state) {
  (void)state;
  test_random random = {1};
  for (unsigned round = 0; round < 2000; round++) {
    htel_receipt r;
    memset(&r, 0, sizeof r);
    r.boot = random_u64(&random) >> random_below(&random, 64);
    r.utc_ms = (int64_t)random_u64(&random) >> random_below(&random, 63);
    r.pause_ms = random_u32(&random) >> random_below(&random, 32);
    r.stored_count = (uint16_t)random_below(&random, HTEL_RANGES_MAX + 1);
    r.quarantined_count = (uint16_t)random_below(&random, HTEL_RANGES_MAX + 1);
    r.birth_count = (uint16_t)random_below(&random, 5);
    r.birth_wanted = random_below(&random, 2);
    for (unsigned i = 0; i < r.stored_count + r.quarantined_count; i++) {
      htel_range *range = i < r.stored_count ? &r.stored[i] : &r.quarantined[i - r.stored_count];
      range->first = 1 + (random_u32(&random) >> (1 + random_below(&random, 31)));
      range->last = range->first + random_below(&random, 100);
    }
    for (unsigned i = 0; i < r.birth_count; i++) r.births[i] = random_u32(&random);
    uint8_t bytes[HTEL_RECEIPT_BYTES_MAX];
    int size = htel_receipt_encode(&r, bytes, sizeof bytes);
    assert_true(size >= 0);
    memset(&receipt, 0xA5, sizeof receipt);
    assert_int_equal(htel_receipt_decode(&receipt, bytes, (size_t)size), 0);
    assert_int_equal(receipt.boot, r.boot);
    assert_int_equal(receipt.utc_ms, r.utc_ms);
    assert_int_equal(receipt.pause_ms, r.pause_ms);
    assert_int_equal(receipt.birth_wanted, r.birth_wanted);
    assert_int_equal(receipt.stored_count, r.stored_count);
    assert_int_equal(receipt.quarantined_count, r.quarantined_count);
    assert_int_equal(receipt.birth_count, r.birth_count);
    assert_memory_equal(receipt.stored, r.stored, sizeof r.stored);
    assert_memory_equal(receipt.quarantined, r.quarantined, sizeof r.quarantined);
    assert_memory_equal(receipt.births, r.births, sizeof r.births);
  }
}

static void test_what_is_beyond_the_maximum_is_left_out(void **state) {
  (void)state;
  uint8_t bytes[HTEL_RECEIPT_BYTES_MAX];
  size_t size = 0;
  for (uint8_t i = 1; i <= HTEL_RANGES_MAX + 4; i++) {
    const uint8_t range[] = {0x12, 4, 0x08, i, 0x10, i};
    memcpy(bytes + size, range, sizeof range);
    size += sizeof range;
  }
  bytes[size++] = 0x32;
  bytes[size++] = 24;
  for (unsigned i = 0; i < 24; i++) bytes[size++] = 1;
  assert_int_equal(htel_receipt_decode(&receipt, bytes, size), 0);
  assert_int_equal(receipt.stored_count, HTEL_RANGES_MAX);
  assert_int_equal(receipt.stored[15].last, 16);
  assert_int_equal(receipt.birth_count, 4);

  htel_receipt many = largest();
  many.stored_count++;
  assert_int_equal(htel_receipt_encode(&many, bytes, sizeof bytes), HTEL_E_TOO_LARGE);
  many = largest();
  many.birth_count = 5;
  assert_int_equal(htel_receipt_encode(&many, bytes, sizeof bytes), HTEL_E_TOO_LARGE);
}

static void test_births_may_come_unpacked(void **state) {
  (void)state;
  assert_int_equal(DECODE("\x35\x04\x03\x02\x01\x35\x01\x00\x00\x00"), 0);
  assert_int_equal(receipt.birth_count, 2);
  assert_int_equal(receipt.births[0], 0x01020304);
}

static void test_bad_receipts_are_refused(void **state) {
  (void)state;
  uint8_t long_one[HTEL_RECEIPT_BYTES_MAX + 2];
  for (size_t i = 0; i < sizeof long_one; i++) long_one[i] = i % 2 ? 0x01 : 0x68;
  assert_int_equal(htel_receipt_decode(&receipt, long_one, sizeof long_one), HTEL_E_FORMAT);
  assert_int_equal(htel_receipt_decode(&receipt, long_one, HTEL_RECEIPT_BYTES_MAX), 0);
  assert_int_equal(DECODE(""), 0); /* says nothing, which is allowed */
  assert_int_equal(DECODE("\x12\x04\x08\x05\x10\x04"), HTEL_E_FORMAT); /* 5 to 4 */
  assert_int_equal(DECODE("\x12\x02\x10\x04"), HTEL_E_FORMAT);         /* 0 to 4 */
  assert_int_equal(DECODE("\x12\x04\x08\x05"), HTEL_E_FORMAT);         /* cut */
  assert_int_equal(DECODE("\x32\x03\x01\x02\x03"), HTEL_E_FORMAT);     /* three quarters */
  assert_int_equal(DECODE("\x08"), HTEL_E_FORMAT);
  assert_int_equal(DECODE("\x0B"), HTEL_E_FORMAT);
  assert_int_equal(DECODE("\x68\x01"), 0); /* an unknown field: from a newer ingest */
}

static void test_garbage_ends_well(void **state) {
  (void)state;
  test_random random = {2};
  for (unsigned round = 0; round < 100000; round++) {
    uint8_t bytes[64];
    uint32_t size = random_below(&random, sizeof bytes + 1);
    for (uint32_t i = 0; i < size; i++) bytes[i] = (uint8_t)random_u32(&random);
    int rc = htel_receipt_decode(&receipt, bytes, size);
    assert_true(rc == 0 || rc == HTEL_E_FORMAT);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_largest_fits),
      cmocka_unit_test(test_any_receipt_comes_back),
      cmocka_unit_test(test_what_is_beyond_the_maximum_is_left_out),
      cmocka_unit_test(test_births_may_come_unpacked),
      cmocka_unit_test(test_bad_receipts_are_refused),
      cmocka_unit_test(test_garbage_ends_well),
  };
  return cmocka_run_group_tests_name("receipt", tests, NULL, NULL);
}
