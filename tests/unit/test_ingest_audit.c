/* SPDX-License-Identifier: Apache-2.0 */
/* The audit: every number is stored, in quarantine, told as lost, or a hole. */
#include "audit.h"
#include "ingest_fixture.h"

#define DEV "dev-1"

static void store_range(fixture *f, uint32_t first, uint32_t last, unsigned samples) {
  for (uint32_t s = first; s <= last; s++)
    fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = s, .tick = s, .samples = samples});
}

static void store_losses(fixture *f, uint64_t boot, uint32_t sequence, const htel_loss *losses,
                         unsigned count) {
  fixture_frame(f, DEV,
                &(frame_spec){.boot = boot,
                              .sequence = sequence,
                              .tick = sequence,
                              .losses = losses,
                              .loss_count = count});
}

static audit_report audit(fixture *f) {
  fixture_run(f);
  audit_report report;
  assert_int_equal(audit_device(&f->real, DEV, &report), STORE_OK);
  return report;
}

static void assert_hole(const audit_ranges *holes, size_t i, uint32_t first, uint32_t last) {
  assert_true(i < holes->count);
  assert_int_equal(holes->items[i].first, first);
  assert_int_equal(holes->items[i].last, last);
}

static fixture *begin(void) {
  fixture *f = fixture_open(NULL);
  fixture_birth(f, DEV);
  return f;
}

static void test_nothing_missing_is_clean(void **state) {
  (void)state;
  fixture *f = begin();
  store_range(f, 1, 20, 3);
  audit_report r = audit(f);
  assert_true(audit_clean(&r));
  assert_int_equal(r.frames, 20);
  assert_int_equal(r.samples, 60);
  assert_int_equal(r.numerics, 20);
  assert_int_equal(r.boot_count, 1);
  assert_int_equal(r.boots[0].highest, 20);
  audit_free(&r);
  fixture_close(f);
}

static void test_holes_are_found_from_one_to_the_highest(void **state) {
  (void)state;
  fixture *f = begin();
  store_range(f, 3, 5, 0);
  store_range(f, 9, 9, 0);
  fixture_frame(f, DEV, &(frame_spec){.boot = 3, .sequence = 2}); /* another boot, its own holes */
  audit_report r = audit(f);
  assert_false(audit_clean(&r));
  assert_int_equal(r.hole_count, 2 + 3 + 1);
  assert_int_equal(r.holes.count, 3);
  assert_int_equal(r.holes.items[0].boot, 3);
  assert_hole(&r.holes, 0, 1, 1);
  assert_hole(&r.holes, 1, 1, 2);
  assert_hole(&r.holes, 2, 6, 8);
  audit_free(&r);
  fixture_close(f);
}

static void test_quarantined_numbers_are_no_holes_but_alerts(void **state) {
  (void)state;
  fixture *f = begin();
  store_range(f, 1, 2, 0);
  static const uint8_t bad[] = {63, 0};
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 3, .data = bad, .data_size = 2});
  store_range(f, 4, 4, 0);
  audit_report r = audit(f);
  assert_int_equal(r.hole_count, 0);
  assert_int_equal(r.quarantined, 1);
  assert_int_equal(r.alerts, 1);
  assert_false(audit_clean(&r));
  audit_free(&r);
  fixture_close(f);
}

static void test_conflict_counts_once_and_the_number_stays_stored(void **state) {
  (void)state;
  fixture *f = begin();
  store_range(f, 1, 2, 0);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 2, .value = 99});
  audit_report r = audit(f);
  assert_int_equal(r.frames, 2);
  assert_int_equal(r.quarantined, 1);
  assert_int_equal(r.hole_count, 0);
  assert_int_equal(r.counters[STORE_CONFLICTS], 1);
  audit_free(&r);
  fixture_close(f);
}

static void test_evicted_frames_are_explained_and_their_readings_counted(void **state) {
  (void)state;
  fixture *f = begin();
  store_range(f, 1, 2, 0);
  htel_loss loss = {.id = 1,
                    .cause = HTEL_CAUSE_OUTBOX_FULL,
                    .boot = 7,
                    .frame_class = HTEL_CLASS_WAVEFORM,
                    .sequence_first = 3,
                    .sequence_last = 5,
                    .frames = 3,
                    .readings = 300};
  store_losses(f, 7, 6, &loss, 1);
  audit_report r = audit(f);
  assert_true(audit_clean(&r));
  assert_int_equal(r.lost_outbox_full, 300);
  assert_int_equal(r.lost_outbox_frames, 3);
  assert_false(r.lost_outbox_at_most);
  audit_free(&r);
  fixture_close(f);
}

static void test_evicted_frame_that_arrived_after_all_is_taken_off(void **state) {
  (void)state;
  fixture *f = begin();
  store_range(f, 1, 2, 0);
  store_range(f, 4, 4, 99); /* a waveform frame: 1 numeric and 99 samples */
  htel_loss loss = {.id = 1,
                    .cause = HTEL_CAUSE_OUTBOX_FULL,
                    .boot = 7,
                    .frame_class = HTEL_CLASS_WAVEFORM,
                    .sequence_first = 3,
                    .sequence_last = 5,
                    .frames = 3,
                    .readings = 300};
  store_losses(f, 7, 6, &loss, 1);
  audit_report r = audit(f);
  assert_int_equal(r.lost_outbox_full, 200);
  assert_int_equal(r.lost_outbox_frames, 2);
  assert_false(r.lost_outbox_at_most);
  audit_free(&r);
  store_range(f, 3, 3, 99); /* and the others too */
  store_range(f, 5, 5, 99);
  r = audit(f);
  assert_int_equal(r.lost_outbox_full, 0);
  assert_int_equal(r.lost_outbox_frames, 0);
  audit_free(&r);
  fixture_close(f);
}

/* The range holds a delivered frame of the class that was never evicted: nothing is taken off for
 * it. */
static void test_delivered_frame_between_evicted_ones_is_not_taken_off(void **state) {
  (void)state;
  fixture *f = begin();
  store_range(f, 1, 2, 0);
  store_range(f, 4, 4, 99);
  htel_loss loss = {.id = 1,
                    .cause = HTEL_CAUSE_OUTBOX_FULL,
                    .boot = 7,
                    .frame_class = HTEL_CLASS_WAVEFORM,
                    .sequence_first = 3,
                    .sequence_last = 5,
                    .frames = 2,
                    .readings = 200,
                    .at_most = true};
  store_losses(f, 7, 6, &loss, 1);
  audit_report r = audit(f);
  assert_int_equal(r.lost_outbox_full, 200);
  assert_int_equal(r.lost_outbox_frames, 2);
  audit_free(&r);
  fixture_close(f);
}

/* Numbers of other classes lie in the range: one that is missing is not among the evicted. */
static void test_more_missing_than_evicted_is_not_explained(void **state) {
  (void)state;
  fixture *f = begin();
  store_range(f, 1, 2, 0);
  store_range(f, 6, 6, 0);
  htel_loss loss = {.id = 1,
                    .cause = HTEL_CAUSE_OUTBOX_FULL,
                    .boot = 7,
                    .frame_class = HTEL_CLASS_WAVEFORM,
                    .sequence_first = 3,
                    .sequence_last = 7,
                    .frames = 3,
                    .readings = 300};
  store_losses(f, 7, 8, &loss, 1);
  audit_report r = audit(f); /* 3, 4, 5, 7 are missing */
  assert_false(audit_clean(&r));
  assert_int_equal(r.hole_count, 1);
  assert_int_equal(r.holes_among_evicted, 1);
  audit_free(&r);
  store_range(f, 5, 5, 0);
  r = audit(f);
  assert_true(audit_clean(&r));
  audit_free(&r);
  fixture_close(f);
}

static void test_range_told_again_after_it_grew_counts_once(void **state) {
  (void)state;
  fixture *f = begin();
  store_range(f, 1, 2, 0);
  htel_loss small = {.id = 1,
                     .cause = HTEL_CAUSE_OUTBOX_FULL,
                     .boot = 7,
                     .frame_class = HTEL_CLASS_NUMERIC,
                     .sequence_first = 3,
                     .sequence_last = 4,
                     .frames = 2,
                     .readings = 20};
  htel_loss grown = small;
  grown.sequence_last = 6;
  grown.frames = 4;
  grown.readings = 40;
  store_losses(f, 7, 7, &small, 1);
  store_losses(f, 7, 8, &grown, 1);
  store_losses(f, 7, 9, &small, 1);
  audit_report r = audit(f);
  assert_true(audit_clean(&r));
  assert_int_equal(r.lost_outbox_full, 40);
  assert_int_equal(r.lost_outbox_frames, 4);
  audit_free(&r);
  fixture_close(f);
}

static void test_ring_losses_add_up_and_a_repeated_record_does_not(void **state) {
  (void)state;
  fixture *f = begin();
  htel_loss a = {.id = 1, .cause = HTEL_CAUSE_RING_FULL, .boot = 7, .channel = 1, .readings = 10};
  htel_loss b = {.id = 2, .cause = HTEL_CAUSE_RING_FULL, .boot = 7, .channel = 1, .readings = 5};
  store_losses(f, 7, 1, &a, 1);
  store_losses(f, 7, 2, (const htel_loss[]){a, b}, 2); /* a again: its first carrier was evicted */
  audit_report r = audit(f);
  assert_int_equal(r.lost_ring_full, 15);
  audit_free(&r);
  fixture_close(f);
}

static void test_unclean_stop_explains_holes_of_its_boot_alone(void **state) {
  (void)state;
  fixture *f = begin();
  store_range(f, 1, 1, 0);
  store_range(f, 4, 4, 0);
  htel_loss stop = {.id = 1, .cause = HTEL_CAUSE_UNCLEAN_STOP, .boot = 7};
  store_losses(f, 8, 2, &stop, 1); /* boot 8 lacks its first frame */
  store_losses(f, 8, 3, &stop, 1); /* told twice */
  audit_report r = audit(f);
  assert_int_equal(r.unclean_stops, 1);
  assert_true(r.lost_unclean_open);
  assert_int_equal(r.unclean_holes.count, 1);
  assert_hole(&r.unclean_holes, 0, 2, 3);
  assert_int_equal(r.hole_count, 1);
  assert_int_equal(r.holes.items[0].boot, 8);
  audit_free(&r);
  fixture_close(f);
}

static void test_widest_range_costs_no_time(void **state) {
  (void)state;
  fixture *f = begin();
  htel_loss loss = {.id = 1,
                    .cause = HTEL_CAUSE_OUTBOX_FULL,
                    .boot = 7,
                    .sequence_first = 1,
                    .sequence_last = UINT32_MAX,
                    .frames = 1,
                    .readings = 1};
  store_losses(f, 7, UINT32_MAX, &loss, 1);
  audit_report r = audit(f);
  assert_true(r.hole_count == UINT32_MAX - 2ull); /* one was evicted, and one is stored */
  assert_int_equal(r.boots[0].highest, UINT32_MAX);
  audit_free(&r);
  fixture_close(f);
}

/* An outbox on flash has joined what it evicted of boots 7 and 8. */
static void test_a_record_of_several_boots_covers_each(void **state) {
  (void)state;
  fixture *f = begin();
  store_range(f, 1, 3, 0);
  store_range(f, 6, 10, 0); /* 4 and 5 of boot 7 are missing */
  fixture_frame(f, DEV, &(frame_spec){.boot = 8, .sequence = 2, .tick = 2}); /* and 1 of boot 8 */
  fixture_frame(f, DEV, &(frame_spec){.boot = 8, .sequence = 6, .tick = 6}); /* and 3 to 5 */
  htel_loss loss = {.id = 1,
                    .cause = HTEL_CAUSE_OUTBOX_FULL,
                    .boot = 7,
                    .boot_last = 8,
                    .frame_class = HTEL_CLASS_NUMERIC,
                    .sequence_first = 3,
                    .sequence_last = 5,
                    .frames = 5,
                    .readings = 50,
                    .at_most = true};
  store_losses(f, 9, 1, &loss, 1);
  audit_report r = audit(f);
  assert_int_equal(r.hole_count, 1);
  assert_hole(&r.holes, 0, 1, 1);
  assert_int_equal(r.lost_outbox_full, 50);
  assert_true(r.lost_outbox_at_most);
  audit_free(&r);
  fixture_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nothing_missing_is_clean),
      cmocka_unit_test(test_a_record_of_several_boots_covers_each),
      cmocka_unit_test(test_holes_are_found_from_one_to_the_highest),
      cmocka_unit_test(test_quarantined_numbers_are_no_holes_but_alerts),
      cmocka_unit_test(test_conflict_counts_once_and_the_number_stays_stored),
      cmocka_unit_test(test_evicted_frames_are_explained_and_their_readings_counted),
      cmocka_unit_test(test_evicted_frame_that_arrived_after_all_is_taken_off),
      cmocka_unit_test(test_delivered_frame_between_evicted_ones_is_not_taken_off),
      cmocka_unit_test(test_more_missing_than_evicted_is_not_explained),
      cmocka_unit_test(test_range_told_again_after_it_grew_counts_once),
      cmocka_unit_test(test_ring_losses_add_up_and_a_repeated_record_does_not),
      cmocka_unit_test(test_unclean_stop_explains_holes_of_its_boot_alone),
      cmocka_unit_test(test_widest_range_costs_no_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
