/* SPDX-License-Identifier: Apache-2.0 */
/* test_receipt.c - receipts between ingest and device. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <pb_decode.h>

#include "healthtel/decode.h"
#include "proto.h"
#include "../../ports/sim/sim_random.h"

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
  sim_random random = {1};
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
  assert_int_equal(DECODE("\x00\x01"), HTEL_E_FORMAT); /* no field has the number 0 */
  assert_int_equal(DECODE("\x68\x01"), 0);             /* an unknown field: from a newer ingest */
}

/* ---- Beside nanopb's decoder ------------------------------------------------------------ */

typedef struct range_list {
  htel_range ranges[HTEL_RANGES_MAX];
  uint16_t count;
} range_list;

static bool range_by_nanopb(pb_istream_t *stream, const pb_field_t *field, void **arg) {
  (void)field;
  range_list *list = *arg;
  healthtel_v1_Range range = healthtel_v1_Range_init_zero;
  if (!pb_decode(stream, healthtel_v1_Range_fields, &range)) return false;
  if (range.first == 0 || range.first > range.last) return false;
  if (list->count < HTEL_RANGES_MAX)
    list->ranges[list->count++] = (htel_range){range.first, range.last};
  return true;
}

static bool births_by_nanopb(pb_istream_t *stream, const pb_field_t *field, void **arg) {
  (void)field;
  htel_receipt *r = *arg;
  while (stream->bytes_left > 0) {
    uint32_t schema;
    if (!pb_decode_fixed32(stream, &schema)) return false;
    if (r->birth_count < 4) r->births[r->birth_count++] = schema;
  }
  return true;
}

static int decode_by_nanopb(htel_receipt *r, const uint8_t *bytes, size_t size) {
  range_list stored = {.count = 0}, quarantined = {.count = 0};
  memset(r, 0, sizeof *r);
  healthtel_v1_Receipt message = healthtel_v1_Receipt_init_zero;
  message.stored = (pb_callback_t){.funcs.decode = range_by_nanopb, .arg = &stored};
  message.quarantined = (pb_callback_t){.funcs.decode = range_by_nanopb, .arg = &quarantined};
  message.births = (pb_callback_t){.funcs.decode = births_by_nanopb, .arg = r};
  pb_istream_t stream = pb_istream_from_buffer(bytes, size);
  if (!pb_decode(&stream, healthtel_v1_Receipt_fields, &message)) return HTEL_E_FORMAT;
  memcpy(r->stored, stored.ranges, stored.count * sizeof stored.ranges[0]);
  memcpy(r->quarantined, quarantined.ranges, quarantined.count * sizeof quarantined.ranges[0]);
  r->stored_count = stored.count;
  r->quarantined_count = quarantined.count;
  r->boot = message.boot;
  r->utc_ms = message.utc_ms;
  r->pause_ms = message.pause_ms;
  r->birth_wanted = message.birth_wanted;
  return 0;
}

static size_t varint_put(uint8_t *to, uint64_t value) {
  size_t n = 0;
  for (; value >= 0x80; value >>= 7) to[n++] = (uint8_t)(value | 0x80);
  to[n++] = (uint8_t)value;
  return n;
}

static size_t range_put(sim_random *random, uint8_t *to) {
  static const uint8_t tags[] = {0x08, 0x08, 0x10, 0x10, 0x18};
  size_t n = 0;
  for (uint32_t fields = random_below(random, 4); fields > 0; fields--) {
    to[n++] = tags[random_below(random, sizeof tags)];
    n += varint_put(to + n, random_u64(random) >> (27 + random_below(random, 37)));
  }
  return n;
}

/* One field of a receipt, of the right wire type, or one from a newer ingest of any. */
static size_t field_put(sim_random *random, uint8_t *to) {
  static const uint8_t tags[] = {0x08, 0x12, 0x1A, 0x20, 0x28, 0x32, 0x35, 0x40, 0x41, 0x42, 0x45};
  uint8_t tag = tags[random_below(random, sizeof tags)], inside[32];
  size_t n = varint_put(to, tag), bytes = (tag & 7) == 1 ? 8 : 4;
  if ((tag & 7) == 0)
    return n + varint_put(to + n, random_u64(random) >> (tag == 0x28 ? 28 + random_below(random, 36)
                                                                     : random_below(random, 64)));
  for (size_t i = 0; i < sizeof inside; i++) inside[i] = (uint8_t)random_u32(random);
  if ((tag & 7) == 2) {
    bytes = tag == 0x12 || tag == 0x1A ? range_put(random, inside) : random_below(random, 20);
    if (tag == 0x32 && random_below(random, 8) > 0) bytes &= ~(size_t)3;
    n += varint_put(to + n, bytes);
  }
  memcpy(to + n, inside, bytes);
  return n + bytes;
}

static void test_nanopb_reads_the_same(void **state) {
  (void)state;
  sim_random random = {3};
  unsigned good = 0, bad = 0;
  for (unsigned round = 0; round < 200000; round++) {
    uint8_t bytes[HTEL_RECEIPT_BYTES_MAX];
    size_t size = 0;
    for (uint32_t fields = random_below(&random, 8); fields > 0; fields--)
      size += field_put(&random, bytes + size);
    if (size > 0 && random_below(&random, 4) == 0) size -= random_below(&random, 4) % size;
    htel_receipt expected;
    int rc = decode_by_nanopb(&expected, bytes, size);
    assert_int_equal(htel_receipt_decode(&receipt, bytes, size), rc);
    rc == 0 ? good++ : bad++;
    if (rc == 0) assert_memory_equal(&receipt, &expected, sizeof receipt);
  }
  assert_true(good > 20000 && bad > 20000);
}

static void test_another_wire_type_is_passed_over(void **state) {
  (void)state;
  assert_int_equal(DECODE("\x0D\x01\x02\x03\x04\x10\x05\x22\x01\x07\x28\x09"), 0);
  assert_int_equal(receipt.boot, 0);
  assert_int_equal(receipt.stored_count, 0);
  assert_int_equal(receipt.utc_ms, 0);
  assert_int_equal(receipt.pause_ms, 9);
}

static void test_garbage_ends_well(void **state) {
  (void)state;
  sim_random random = {2};
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
      cmocka_unit_test(test_nanopb_reads_the_same),
      cmocka_unit_test(test_another_wire_type_is_passed_over),
      cmocka_unit_test(test_garbage_ends_well),
  };
  return cmocka_run_group_tests_name("receipt", tests, NULL, NULL);
}
