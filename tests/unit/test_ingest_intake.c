/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of messages: stored, refused, kept aside, receipted; and what does not, when the
 * store fails. */
#include "ingest_fixture.h"

#define DEV "dev-1"

static void test_frame_is_stored_with_its_readings_and_receipted(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  fixture_frame(
      f, DEV,
      &(frame_spec){
          .boot = 7, .sequence = 1, .tick = 1000, .value = 72, .samples = 100, .alarm = true});
  fixture_run(f);
  htel_receipt r = fixture_receipt_take(f, DEV, 7);
  assert_int_equal(r.stored_count, 1);
  assert_int_equal(r.stored[0].first, 1);
  assert_int_equal(r.stored[0].last, 1);
  assert_true(r.utc_ms >= 1700000000000);
  r = fixture_receipt_take(f, DEV, 0);
  assert_int_equal(r.birth_count, 1);
  assert_int_equal(r.births[0], f->schema);
  assert_int_equal(fixture_sql(f, "SELECT value FROM numerics WHERE tick = 1000"), 72);
  assert_int_equal(fixture_sql(f, "SELECT count FROM waves WHERE tick = 1000"), 100);
  assert_int_equal(fixture_sql(f, "SELECT length(samples) FROM waves"), 400);
  /* samples[1] = 73, little endian */
  assert_int_equal(fixture_sql(f, "SELECT hex(substr(samples, 5, 4)) = '49000000' FROM waves"), 1);
  assert_int_equal(fixture_sql(f, "SELECT quality IS NULL FROM waves"), 1);
  assert_int_equal(fixture_sql(f, "SELECT code FROM alarms"), 42);
  assert_int_equal(fixture_sql(f, "SELECT numerics + samples + alarms FROM frames"), 102);
  fixture_close(f);
}

static void test_duplicate_is_stored_once_and_receipted_again(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  frame_spec spec = {.boot = 7, .sequence = 3, .tick = 5, .value = 1};
  fixture_frame(f, DEV, &spec);
  fixture_frame(f, DEV, &spec); /* in the same transaction */
  fixture_run(f);
  fixture_receipt_take(f, DEV, 7);
  fixture_frame(f, DEV, &spec); /* and in a later one */
  fixture_run(f);
  htel_receipt r = fixture_receipt_take(f, DEV, 7);
  assert_true(receipt_has(r.stored, r.stored_count, 3));
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM frames"), 1);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM numerics"), 1);
  assert_int_equal(fixture_sql(f, "SELECT count FROM counters WHERE name = 'duplicates'"), 2);
  assert_int_equal(intake_stats_get(f->intake)->duplicates, 2);
  fixture_close(f);
}

static void test_other_content_under_a_known_key_is_quarantined_with_an_alert(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 3, .value = 1});
  fixture_run(f);
  fixture_receipt_take(f, DEV, 7);
  frame_spec other = {.boot = 7, .sequence = 3, .value = 2};
  fixture_frame(f, DEV, &other);
  fixture_run(f);
  htel_receipt r = fixture_receipt_take(f, DEV, 7);
  assert_int_equal(r.stored_count, 0);
  assert_true(receipt_has(r.quarantined, r.quarantined_count, 3));
  assert_int_equal(fixture_sql(f, "SELECT value FROM numerics"), 1);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM alerts WHERE kind = 'conflict'"), 1);
  assert_int_equal(fixture_sql(f, "SELECT length(payload) > 20 FROM quarantine"), 1);
  assert_int_equal(f->alerts_told, 1);
  fixture_frame(f, DEV, &other); /* sent again: receipted again, no second alert */
  fixture_run(f);
  r = fixture_receipt_take(f, DEV, 7);
  assert_true(receipt_has(r.quarantined, r.quarantined_count, 3));
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM quarantine"), 1);
  assert_int_equal(f->alerts_told, 1);
  fixture_close(f);
}

static void test_same_key_of_other_boot_or_device_is_another_frame(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  fixture_birth(f, "dev-2");
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1, .value = 1});
  fixture_frame(f, DEV, &(frame_spec){.boot = UINT64_MAX, .sequence = 1, .value = 2});
  fixture_frame(f, "dev-2", &(frame_spec){.boot = 7, .sequence = 1, .value = 3});
  fixture_run(f);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM frames"), 3);
  assert_int_equal(fixture_receipt_take(f, DEV, UINT64_MAX).stored_count, 1);
  assert_int_equal(fixture_receipt_take(f, "dev-2", 7).stored_count, 1);
  fixture_close(f);
}

static void test_unreadable_readings_are_quarantined_and_receipted(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  static const uint8_t unknown_channel[] = {63, 0, 0, 0, 0};
  htel_loss loss = {.id = 1,
                    .cause = HTEL_CAUSE_RING_FULL,
                    .boot = 7,
                    .channel = 1,
                    .readings = 5,
                    .sequence_first = 4};
  fixture_frame(f, DEV,
                &(frame_spec){.boot = 7,
                              .sequence = 4,
                              .data = unknown_channel,
                              .data_size = sizeof unknown_channel,
                              .losses = &loss,
                              .loss_count = 1});
  fixture_frame(f, "dev-2", &(frame_spec){.boot = 1, .sequence = 1}); /* has no birth */
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 5, .value = 1});
  fixture_run(f);
  htel_receipt r = fixture_receipt_take(f, DEV, 7);
  assert_true(receipt_has(r.quarantined, r.quarantined_count, 4));
  assert_true(receipt_has(r.stored, r.stored_count, 5));
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM quarantine WHERE sequence = 4"), 1);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM alerts WHERE kind = 'poison'"), 1);
  /* What its envelope says is lost stays said. */
  assert_int_equal(fixture_sql(f, "SELECT readings FROM losses"), 5);
  fixture_close(f);
}

static void test_damaged_frames_are_counted_and_a_few_kept(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  for (unsigned i = 0; i < 200; i++) {
    uint8_t junk[40] = {(uint8_t)i, 1};
    fixture_give(f, DEV, "frame", junk, sizeof junk);
  }
  static uint8_t huge[HTEL_FRAME_BYTES_MAX + 1];
  fixture_give(f, DEV, "frame", huge, sizeof huge);
  fixture_give(f, DEV, "frame", huge, 0);
  fixture_run(f);
  assert_int_equal(fixture_sql(f, "SELECT count FROM counters WHERE name = 'unreadable'"), 202);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM quarantine"), INTAKE_UNREADABLE_KEPT);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM alerts"), 0);
  assert_int_equal(fixture_receipt_take(f, DEV, 0).quarantined_count, 0);
  fixture_close(f);
}

static void test_frame_before_its_birth_asks_for_it_now_and_then(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  frame_spec spec = {.boot = 7, .sequence = 1};
  fixture_frame(f, DEV, &spec);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 2});
  fixture_run(f);
  assert_int_equal(f->receipt_count, 1);
  htel_receipt r = fixture_receipt_take(f, DEV, 7);
  assert_true(r.birth_wanted);
  assert_int_equal(r.stored_count + r.quarantined_count, 0);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM frames"), 0);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM quarantine"), 0);
  fixture_frame(f, DEV, &spec);
  fixture_run(f);
  assert_int_equal(f->receipt_count, 0); /* asked just now */
  f->now_ms += INTAKE_BIRTH_WANTED_MS;
  fixture_frame(f, DEV, &spec);
  fixture_run(f);
  assert_true(fixture_receipt_take(f, DEV, 7).birth_wanted);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &spec);
  fixture_run(f);
  assert_int_equal(fixture_receipt_take(f, DEV, 7).stored_count, 1);
  fixture_close(f);
}

static void test_births_are_bounded_and_checked(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  uint8_t bytes[FIXTURE_BYTES];
  uint32_t schema;
  for (int32_t i = 1; i <= (int32_t)INTAKE_BIRTHS_PER_DEVICE + 10; i++)
    fixture_give(f, DEV, "birth", bytes, birth_make(i, bytes, sizeof bytes, &schema));
  fixture_give(f, DEV, "birth", "\xff\xff\xff", 3);
  fixture_give(f, DEV, "birth", "", 0);
  fixture_birth(f, DEV); /* known: receipted again */
  fixture_run(f);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM births"), INTAKE_BIRTHS_PER_DEVICE);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM channels"), 3 * INTAKE_BIRTHS_PER_DEVICE);
  assert_int_equal(fixture_sql(f, "SELECT count FROM counters WHERE name = 'births_refused'"), 11);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM alerts WHERE kind = 'birth'"), 11);
  assert_int_equal(intake_stats_get(f->intake)->births, INTAKE_BIRTHS_PER_DEVICE + 1);
  fixture_close(f);
}

static void test_topics_that_are_not_ours_change_nothing(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_give(f, "a b", "frame", "x", 1);
  fixture_give(f, "", "frame", "x", 1);
  fixture_give(f, "0123456789012345678901234567890123456", "frame", "x", 1); /* 37 characters */
  fixture_give(f, DEV, "receipt", "x", 1);
  fixture_give(f, DEV, "frame/x", "x", 1);
  fixture_run(f);
  assert_int_equal(intake_stats_get(f->intake)->foreign, 5);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM devices"), 0);
  fixture_close(f);
}

static void test_status_is_noted(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  uint8_t bytes[32];
  int size = status_encode(true, 99, bytes, sizeof bytes);
  fixture_give(f, DEV, "status", bytes, (size_t)size);
  fixture_run(f);
  assert_int_equal(fixture_sql(f, "SELECT online FROM devices"), 1);
  assert_int_equal(fixture_sql(f, "SELECT online_boot FROM devices"), 99);
  fixture_close(f);
}

static void test_failed_commit_receipts_nothing_and_is_tried_again(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_start(f);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1});
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1, .value = 9}); /* an alert */
  f->commits_to_fail = 3;
  for (unsigned i = 0; i < 3; i++) {
    assert_int_equal(intake_step(f->intake, 0), INTAKE_HELD_UP);
    assert_int_equal(f->receipt_count, 0);
    assert_int_equal(f->alerts_told, 0);
    assert_int_equal(fixture_sql(f, "SELECT count(*) FROM frames"), 0);
  }
  assert_true(f->slept_ms > 0);
  assert_int_equal(intake_step(f->intake, 0), INTAKE_WROTE);
  assert_int_equal(fixture_receipt_take(f, DEV, 7).stored_count, 1);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM frames"), 1);
  assert_int_equal(f->alerts_told, 1);
  assert_int_equal(intake_stats_get(f->intake)->stored, 1);
  fixture_close(f);
}

static void test_one_message_that_the_store_refuses_does_not_hold_up_others(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1});
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 666});
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 2});
  f->puts_to_fail = 2; /* in the batch, and alone */
  f->fail_with = STORE_REFUSED;
  fixture_run(f);
  htel_receipt r = fixture_receipt_take(f, DEV, 7);
  assert_true(receipt_has(r.stored, r.stored_count, 1));
  assert_true(receipt_has(r.stored, r.stored_count, 2));
  assert_false(receipt_has(r.stored, r.stored_count, 666));
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM frames"), 2);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM numerics"), 2);
  assert_int_equal(intake_stats_get(f->intake)->refused, 1);
  fixture_close(f);
}

static void test_many_ranges_go_into_several_receipts(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  f->config.pause_ms = 250;
  fixture_birth(f, DEV);
  for (uint32_t s = 1; s <= 99; s += 2)
    fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = s, .tick = s});
  fixture_run(f);
  unsigned seen = 0;
  for (size_t i = 0; i < f->receipt_count; i++) {
    const htel_receipt *r = &f->receipts[i].receipt;
    assert_true(r->stored_count <= HTEL_RANGES_MAX);
    assert_int_equal(r->pause_ms, 250);
    for (unsigned k = 0; k < r->stored_count; k++) {
      assert_int_equal(r->stored[k].first, r->stored[k].last);
      assert_int_equal(r->stored[k].first % 2, 1);
      seen++;
    }
  }
  assert_int_equal(seen, 50);
  f->receipt_count = 0;
  for (uint32_t s = 2; s <= 98; s += 2)
    fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = s, .tick = s});
  for (uint32_t s = 1; s <= 99; s += 2)
    fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = s, .tick = s});
  fixture_run(f);
  htel_receipt r = fixture_receipt_take(f, DEV, 7);
  assert_int_equal(r.stored_count, 1); /* stored anew and known before, joined */
  assert_int_equal(r.stored[0].first, 1);
  assert_int_equal(r.stored[0].last, 99);
  fixture_close(f);
}

static void test_quality_is_kept_with_samples(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  /* A wave block of 2 with quality runs: 1 valid, 1 sensor off; mode 0: constant 5. */
  static const uint8_t data[] = {CH_ECG, (2 - 1) << 2 | 2 | 1, 0, 0, 1, HTEL_VALID,
                                 1,      HTEL_SENSOR_OFF,      0, 10};
  fixture_frame(f, DEV,
                &(frame_spec){.boot = 7, .sequence = 1, .data = data, .data_size = sizeof data});
  fixture_run(f);
  assert_int_equal(fixture_sql(f, "SELECT hex(quality) = '0001' FROM waves"), 1);
  assert_int_equal(fixture_sql(f, "SELECT hex(samples) = '0500000005000000' FROM waves"), 1);
  fixture_close(f);
}

static void test_views_show_physical_values_and_utc(void **state) {
  (void)state;
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  htel_anchor anchor = {.tick = 500, .utc_ms = 1700000000500};
  fixture_frame(f, DEV,
                &(frame_spec){.boot = 7,
                              .sequence = 1,
                              .tick = 1000,
                              .value = 72,
                              .samples = 4,
                              .alarm = true,
                              .anchors = &anchor,
                              .anchor_count = 1});
  fixture_run(f);
  assert_int_equal(fixture_sql(f,
                               "SELECT utc_ms = 1700000001000 AND physical = 72.0"
                               " AND unit = '/min' AND name = 'PULSE' FROM numerics_utc"),
                   1);
  assert_int_equal(fixture_sql(f, "SELECT utc = '2023-11-14T22:13:21.000' FROM waves_utc"), 1);
  assert_int_equal(fixture_sql(f,
                               "SELECT source = 'PULSE' AND name = 'ALARM'"
                               " FROM alarms_utc"),
                   1);
  fixture_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_frame_is_stored_with_its_readings_and_receipted),
      cmocka_unit_test(test_duplicate_is_stored_once_and_receipted_again),
      cmocka_unit_test(test_other_content_under_a_known_key_is_quarantined_with_an_alert),
      cmocka_unit_test(test_same_key_of_other_boot_or_device_is_another_frame),
      cmocka_unit_test(test_unreadable_readings_are_quarantined_and_receipted),
      cmocka_unit_test(test_damaged_frames_are_counted_and_a_few_kept),
      cmocka_unit_test(test_frame_before_its_birth_asks_for_it_now_and_then),
      cmocka_unit_test(test_births_are_bounded_and_checked),
      cmocka_unit_test(test_topics_that_are_not_ours_change_nothing),
      cmocka_unit_test(test_status_is_noted),
      cmocka_unit_test(test_failed_commit_receipts_nothing_and_is_tried_again),
      cmocka_unit_test(test_one_message_that_the_store_refuses_does_not_hold_up_others),
      cmocka_unit_test(test_many_ranges_go_into_several_receipts),
      cmocka_unit_test(test_quality_is_kept_with_samples),
      cmocka_unit_test(test_views_show_physical_values_and_utc),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
