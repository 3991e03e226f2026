/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from someone who means no good: cut at each byte, with each bit turned, blown up, out of
 * range. */
#include <sys/resource.h>

#include "capture.h"
#include "ingest_fixture.h"
#include "pbwalk.h"
#include "placing.h"

#define DEV "dev-1"

static void test_frame_cut_at_each_byte_is_never_stored(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  htel_anchor anchor = {.tick = 5, .utc_ms = 1700000000000};
  uint8_t bytes[FIXTURE_BYTES];
  size_t size = frame_make(f,
                           &(frame_spec){.boot = 7,
                                         .sequence = 9,
                                         .value = 3,
                                         .samples = 30,
                                         .anchors = &anchor,
                                         .anchor_count = 1},
                           bytes, sizeof bytes);
  for (size_t cut = 0; cut < size; cut++) fixture_give(f, DEV, "frame", bytes, cut);
  fixture_run(f);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM frames"), 0);
  assert_int_equal(fixture_sql(f, "SELECT count FROM counters WHERE name = 'unreadable'"), size);
  assert_int_equal(fixture_receipt_take(f, DEV, 7).stored_count, 0);
  fixture_give(f, DEV, "frame", bytes, size);
  fixture_run(f);
  assert_int_equal(fixture_receipt_take(f, DEV, 7).stored_count, 1);
  fixture_close(f);
}

static void test_frame_with_any_bit_turned_is_never_stored(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  fixture_run(f);
  uint8_t bytes[FIXTURE_BYTES];
  size_t size =
      frame_make(f, &(frame_spec){.boot = 7, .sequence = 9, .samples = 8}, bytes, sizeof bytes);
  for (size_t bit = 0; bit < 8 * size; bit++) {
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    fixture_give(f, DEV, "frame", bytes, size);
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    fixture_run(f);
  }
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM frames"), 0);
  assert_int_equal(intake_stats_get(f->intake)->poison, 0);
  fixture_close(f);
}

/* Changes the frame in any way and puts the right checksum on it. */
static void checksum_set(uint8_t *bytes, size_t size) {
  uint32_t crc = htel_crc32(0, bytes, size - 5);
  for (unsigned i = 0; i < 4; i++) bytes[size - 4 + i] = (uint8_t)(crc >> (8 * i));
}

static void test_changed_frame_with_right_checksum_harms_nobody(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  fixture_birth(f, "dev-2");
  fixture_run(f);
  uint8_t bytes[FIXTURE_BYTES];
  htel_loss loss = {.id = 1,
                    .cause = HTEL_CAUSE_OUTBOX_FULL,
                    .boot = 7,
                    .sequence_first = 1,
                    .sequence_last = 3,
                    .frames = 2,
                    .readings = 20};
  size_t size = frame_make(
      f,
      &(frame_spec){
          .boot = 7, .sequence = 9, .samples = 16, .alarm = true, .losses = &loss, .loss_count = 1},
      bytes, sizeof bytes);
  for (size_t i = 0; i + 5 < size; i++) {
    uint8_t was = bytes[i];
    for (unsigned change = 1; change < 256; change += 7) {
      bytes[i] = (uint8_t)(was ^ change);
      checksum_set(bytes, size);
      fixture_give(f, DEV, "frame", bytes, size);
    }
    bytes[i] = was;
    fixture_frame(f, "dev-2", &(frame_spec){.boot = 1, .sequence = (uint32_t)i + 1});
    fixture_run(f);
    f->receipt_count = 0;
  }
  assert_int_equal(fixture_sql(f,
                               "SELECT count(*) FROM frames JOIN devices d ON d.id = device_id"
                               " WHERE device = 'dev-2'"),
                   size - 5);
  assert_true(fixture_sql(f, "SELECT count(*) FROM quarantine") > 0);
  /* Each of them was seen through: stored, known, in quarantine, or without birth. */
  assert_int_equal(intake_stats_get(f->intake)->refused, 0);
  fixture_close(f);
}

static void test_blown_up_frames_are_refused_in_bounded_memory(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  fixture_run(f);
  /* Blocks of 512 equal samples, 7 bytes each: 4 million samples in 58 kB. */
  static uint8_t waves[58000], numerics[58000];
  size_t n = 0;
  while (n + 8 < sizeof waves) {
    const uint8_t block[] = {CH_ECG, 0xfd, 0x0f, 0, 0, 0, 2}; /* (512 - 1) << 2 | has_start */
    memcpy(waves + n, block, sizeof block);
    n += sizeof block;
  }
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1, .data = waves, .data_size = n});
  n = 0;
  while (n + 8 < sizeof numerics) {
    const uint8_t block[] = {CH_PULSE, 0xfd, 0x0f, 0, 2, 0, 2}; /* (512 - 1) << 2 | regular */
    memcpy(numerics + n, block, sizeof block);
    n += sizeof block;
  }
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 2, .data = numerics, .data_size = n});
  fixture_run(f);
  htel_receipt r = fixture_receipt_take(f, DEV, 7);
  assert_true(receipt_has(r.quarantined, r.quarantined_count, 1));
  assert_true(receipt_has(r.quarantined, r.quarantined_count, 2));
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM quarantine WHERE reason LIKE 'more%'"), 2);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM waves"), 0);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM numerics"), 0);
  fixture_close(f);
}

static void test_numbers_beyond_all_clocks_are_quarantined(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  htel_anchor early = {.tick = 0, .utc_ms = INT64_MIN};
  htel_anchor late = {.tick = UINT64_MAX, .utc_ms = 0};
  htel_loss backwards = {
      .id = 1, .cause = HTEL_CAUSE_OUTBOX_FULL, .boot = 7, .sequence_first = 9, .sequence_last = 3};
  htel_loss many = {.id = 1, .cause = HTEL_CAUSE_RING_FULL, .boot = 7, .readings = UINT64_MAX};
  const frame_spec specs[] = {
      {.boot = 7, .sequence = 1, .anchors = &early, .anchor_count = 1},
      {.boot = 7, .sequence = 2, .anchors = &late, .anchor_count = 1},
      {.boot = 7, .sequence = 3, .losses = &backwards, .loss_count = 1},
      {.boot = 7, .sequence = 4, .losses = &many, .loss_count = 1},
      {.boot = 7, .sequence = 5, .tick = UINT64_MAX},
  };
  for (unsigned i = 0; i < sizeof specs / sizeof specs[0]; i++) fixture_frame(f, DEV, &specs[i]);
  fixture_run(f);
  htel_receipt r = fixture_receipt_take(f, DEV, 7);
  assert_int_equal(r.stored_count, 0);
  assert_int_equal(r.quarantined_count, 1);
  assert_int_equal(r.quarantined[0].first, 1);
  assert_int_equal(r.quarantined[0].last, 5);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM losses"), 0);
  fixture_close(f);
}

static void test_key_is_found_where_the_rest_is_of_a_newer_format(void **state) {
  (void)state;
  /* boot 7, sequence 8, coding 9: no such coding; checksum right. */
  uint8_t bytes[] = {0x08, 7, 0x10, 8, 0x30, 9, 0x7d, 0, 0, 0, 0};
  checksum_set(bytes, sizeof bytes);
  frame_check check;
  frame_open(&check, bytes, sizeof bytes);
  assert_int_equal(check.fate, FRAME_POISON);
  assert_int_equal(check.boot, 7);
  assert_int_equal(check.sequence, 8);
  bytes[1] ^= 1; /* the checksum is wrong now: then there is no key either */
  frame_open(&check, bytes, sizeof bytes);
  assert_int_equal(check.fate, FRAME_UNREADABLE);
}

/* One receipt has the frames of a device and boot: a number that no frame has would spoil it. */
static void test_sequence_0_spoils_no_receipt(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1});
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 0});
  static const uint8_t twice[] = {0x08, 7, 0x10, 3, 0x10, 0, 0x7D, 0, 0, 0, 0};
  uint8_t bytes[sizeof twice];
  memcpy(bytes, twice, sizeof twice);
  checksum_set(bytes, sizeof bytes);
  fixture_give(f, DEV, "frame", bytes, sizeof bytes);
  fixture_run(f);
  htel_receipt r = fixture_receipt_take(f, DEV, 7);
  assert_true(receipt_has(r.stored, r.stored_count, 1));
  assert_int_equal(r.quarantined_count, 0);
  assert_int_equal(fixture_sql(f, "SELECT count FROM counters WHERE name = 'unreadable'"), 2);
  fixture_close(f);
}

static void test_varints_end(void **state) {
  (void)state;
  uint64_t value;
  uint8_t endless[20];
  memset(endless, 0xff, sizeof endless);
  pbwalk w = {.bytes = endless, .size = sizeof endless};
  assert_int_equal(pbwalk_varint(&w, &value), -1);
  w = (pbwalk){.bytes = endless, .size = 5};
  assert_int_equal(pbwalk_varint(&w, &value), 0);
  const uint8_t most[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
  w = (pbwalk){.bytes = most, .size = sizeof most};
  assert_int_equal(pbwalk_varint(&w, &value), 1);
  assert_true(value == UINT64_MAX);
  const uint8_t beyond[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1}; /* 4 GiB of bytes */
  w = (pbwalk){.bytes = beyond, .size = sizeof beyond};
  pbwalk_field field;
  assert_int_equal(pbwalk_next(&w, &field), -1);
}

/* ---- Capture files ---------------------------------------------------------------------- */

static FILE *capture_file(size_t keep, size_t *whole) {
  FILE *file = tmpfile();
  assert_non_null(file);
  static const uint8_t body[300] = {1, 2, 3};
  assert_int_equal(capture_write(file, DEV, CAPTURE_BIRTH, body, 10), 0);
  assert_int_equal(capture_write(file, DEV, CAPTURE_FRAME, body, sizeof body), 0);
  *whole = (size_t)ftell(file);
  rewind(file);
  if (keep < *whole) {
    char bytes[1024];
    assert_int_equal(fread(bytes, 1, keep, file), keep);
    fclose(file);
    file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, keep, file), keep);
    rewind(file);
  }
  return file;
}

static void test_capture_is_read_back_and_ends_clean_or_broken(void **state) {
  (void)state;
  size_t whole;
  fclose(capture_file(SIZE_MAX, &whole));
  capture_reader *reader = malloc(sizeof *reader);
  assert_non_null(reader);
  for (size_t keep = 0; keep <= whole; keep++) {
    size_t unused;
    FILE *file = capture_file(keep, &unused);
    capture_begin(reader, file);
    capture_entry entry;
    unsigned entries = 0;
    int rc;
    while ((rc = capture_next(reader, &entry)) == 1) {
      assert_string_equal(entry.device, DEV);
      assert_int_equal(entry.kind, entries == 0 ? CAPTURE_BIRTH : CAPTURE_FRAME);
      assert_int_equal(entry.bytes[2], 3);
      entries++;
    }
    bool at_end = keep == 0 || keep == whole || (rc == 0 && entries == 1);
    assert_int_equal(rc, at_end ? 0 : CAPTURE_BROKEN);
    fclose(file);
  }
  free(reader);
}

static void test_capture_passes_over_damage_inside_a_message(void **state) {
  (void)state;
  const uint8_t bytes[] = {4, 0x0a, 2, 'a', '!',      /* a bad device id */
                           3, 0x1a, 9, 1,             /* a field longer than its message */
                           5, 0x0a, 1, 'a', 0x12, 0}; /* a birth of no bytes */
  FILE *file = tmpfile();
  assert_non_null(file);
  fwrite(bytes, 1, sizeof bytes, file);
  rewind(file);
  capture_reader *reader = malloc(sizeof *reader);
  assert_non_null(reader);
  capture_begin(reader, file);
  capture_entry entry;
  assert_int_equal(capture_next(reader, &entry), CAPTURE_DAMAGED);
  assert_int_equal(capture_next(reader, &entry), CAPTURE_DAMAGED);
  assert_int_equal(capture_next(reader, &entry), 1);
  assert_string_equal(entry.device, "a");
  assert_int_equal(capture_next(reader, &entry), 0);
  free(reader);
  fclose(file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_frame_cut_at_each_byte_is_never_stored),
      cmocka_unit_test(test_frame_with_any_bit_turned_is_never_stored),
      cmocka_unit_test(test_changed_frame_with_right_checksum_harms_nobody),
      cmocka_unit_test(test_blown_up_frames_are_refused_in_bounded_memory),
      cmocka_unit_test(test_numbers_beyond_all_clocks_are_quarantined),
      cmocka_unit_test(test_key_is_found_where_the_rest_is_of_a_newer_format),
      cmocka_unit_test(test_sequence_0_spoils_no_receipt),
      cmocka_unit_test(test_varints_end),
      cmocka_unit_test(test_capture_is_read_back_and_ends_clean_or_broken),
      cmocka_unit_test(test_capture_passes_over_damage_inside_a_message),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
