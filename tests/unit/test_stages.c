/* SPDX-License-Identifier: Apache-2.0 */
/* The small stages by themselves: timeline, backoff, loss ledger, outbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backoff.h"
#include "loss.h"
#include "outbox.h"
#include "timeline.h"

/* ---- timeline -------------------------------------------------------------------------- */

static void test_timeline_extends_over_wraps(void **state) {
  (void)state;
  timeline t;
  timeline_init(&t, 0xFFFFFF00u);
  timeline_advance(&t, 0x100u);
  assert_int_equal(t.now, 0x100000100u);
  assert_int_equal(timeline_extend(&t, 0xFFFFFFFFu), 0xFFFFFFFFu);
  assert_int_equal(timeline_extend(&t, 0x200u), 0x100000200u);
  for (unsigned i = 0; i < 10; i++) timeline_advance(&t, (uint32_t)(t.now + 0x7FFFFFFFu));
  assert_int_equal(t.now, 0x100000100u + 10ull * 0x7FFFFFFFu);
}

static void test_timeline_stands_still_when_the_clock_steps_back(void **state) {
  (void)state;
  timeline t;
  timeline_init(&t, 1000);
  timeline_advance(&t, 5000);
  timeline_advance(&t, 4999);
  assert_int_equal(t.now, 5000);
  timeline_advance(&t, 5001);
  assert_int_equal(t.now, 5001);
}

static void test_timeline_never_goes_before_boot(void **state) {
  (void)state;
  timeline t;
  timeline_init(&t, 5);
  assert_int_equal(timeline_extend(&t, 3), 3);
  assert_int_equal(timeline_extend(&t, 0xFFFFFFF0u), 0);
}

static void test_timeline_anchors_only_news(void **state) {
  (void)state;
  timeline t;
  timeline_init(&t, 0);
  assert_true(timeline_observe(&t, 1000, 1700000000000, 10));
  assert_false(timeline_observe(&t, 2000, 1700000001000, 10));
  assert_false(timeline_observe(&t, 2000, 1700000001219, 10));
  assert_true(timeline_observe(&t, 2000, 1700000001221, 10));
  assert_true(timeline_observe(&t, 3000, INT64_MIN / 2, 10));
  assert_true(timeline_observe(&t, 3000, INT64_MAX / 2, 10));
}

/* ---- backoff --------------------------------------------------------------------------- */

static void test_backoff_doubles_to_its_maximum_and_uses_the_whole_window(void **state) {
  (void)state;
  backoff b;
  backoff_init(&b, 1000, 60000);
  static const uint32_t windows[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
  for (unsigned i = 0; i < 8; i++) {
    assert_int_equal(b.window_ms, windows[i]);
    backoff top = b;
    assert_int_equal(backoff_next_ms(&top, UINT32_MAX), windows[i] - 1);
    assert_int_equal(backoff_next_ms(&b, 0), 0);
  }
  backoff_reset(&b);
  assert_int_equal(b.window_ms, 1000);
  backoff_init(&b, 0x90000000u, UINT32_MAX);
  backoff_next_ms(&b, 0);
  assert_int_equal(b.window_ms, UINT32_MAX); /* no overflow */
}

/* ---- loss ledger ----------------------------------------------------------------------- */

static outbox_entry evicted(uint32_t sequence, uint32_t ordinal, uint8_t frame_class) {
  return (outbox_entry){
      .sequence = sequence, .ordinal = ordinal, .frame_class = frame_class, .readings = 10};
}

static void evict(loss_ledger *l, uint32_t sequence, uint32_t ordinal) {
  outbox_entry e = evicted(sequence, ordinal, HTEL_CLASS_WAVEFORM);
  loss_evicted(l, &e);
}

static void test_consecutive_evictions_share_a_record(void **state) {
  (void)state;
  loss_ledger l = {0};
  htel_loss out[LOSS_ENTRIES];
  evict(&l, 5, 1);
  evict(&l, 8, 2);
  evict(&l, 3, 0);
  assert_int_equal(loss_take(&l, 20, out, LOSS_ENTRIES), 1);
  assert_int_equal(out[0].sequence_first, 3);
  assert_int_equal(out[0].sequence_last, 8);
  assert_int_equal(out[0].readings, 30);
  assert_int_equal(out[0].frames, 3);
  assert_false(out[0].at_most);
  assert_false(loss_waiting(&l));
  loss_delivered(&l, 20);
  assert_int_equal(loss_take(&l, 21, out, LOSS_ENTRIES), 0);
}

static void test_record_of_an_evicted_carrier_goes_again_under_its_id(void **state) {
  (void)state;
  loss_ledger l = {0};
  htel_loss out[LOSS_ENTRIES];
  loss_ring_full(&l, 2, 100, 200, 7);
  loss_take(&l, 20, out, LOSS_ENTRIES);
  uint32_t id = out[0].id;
  loss_ring_full(&l, 2, 300, 400, 1); /* a new record: the first is on its way */
  loss_returned(&l, 20);
  assert_int_equal(loss_take(&l, 22, out, LOSS_ENTRIES), 2);
  assert_int_equal(out[0].id, id);
  assert_int_equal(out[0].readings, 7);
  assert_int_not_equal(out[1].id, id);
  assert_int_equal(out[1].readings, 1);
}

static void test_ledger_never_overflows(void **state) {
  (void)state;
  loss_ledger l = {0};
  htel_loss out[LOSS_ENTRIES];
  uint64_t said[100] = {0};
  loss_unclean(&l, 1, 1);
  unsigned refused = 0;
  for (uint8_t c = 0; c < 20; c++) refused += !loss_ring_full(&l, c, 0, 1, 1);
  assert_int_equal(refused, 15);
  for (uint32_t i = 0; i < 600; i++) { /* no two adjoin: every other frame of a class */
    outbox_entry e = evicted(i, i / 3 * 2, (uint8_t)(i % 3));
    loss_evicted(&l, &e);
    if (i % 7 == 0) {
      uint16_t n = loss_take(&l, 1000 + i, out, LOSS_ENTRIES);
      for (unsigned k = 0; k < n; k++) said[out[k].id] = out[k].readings;
    }
  }
  uint16_t n = loss_take(&l, 5000, out, LOSS_ENTRIES);
  for (unsigned k = 0; k < n; k++) said[out[k].id] = out[k].readings;
  uint64_t sum = 0;
  for (unsigned k = 0; k < 100; k++) sum += said[k];
  assert_int_equal(sum, 600 * 10 + 5);
}

static void test_ledger_says_when_and_how_exactly(void **state) {
  (void)state;
  loss_ledger l = {0};
  htel_loss out[LOSS_ENTRIES];
  static const uint64_t first[] = {500, 300, 600}, last[] = {600, 900, 700};
  for (unsigned i = 0; i < 3; i++) {
    loss_ring_full(&l, 2, first[i], last[i], 1);
    outbox_entry e = evicted(i + 1, i, 1);
    e.tick_first = first[i];
    e.tick_last = last[i];
    loss_evicted(&l, &e);
  }
  assert_int_equal(loss_take(&l, 20, out, LOSS_ENTRIES), 2);
  for (unsigned i = 0; i < 2; i++) {
    assert_int_equal(out[i].tick_first, 300);
    assert_int_equal(out[i].tick_last, 900);
    assert_int_equal(out[i].readings, out[i].cause == HTEL_CAUSE_RING_FULL ? 3 : 30);
    assert_false(out[i].at_most);
  }
}

/* However many frames of one class go, the others keep their entries. */
static void test_classes_keep_to_their_share(void **state) {
  (void)state;
  loss_ledger l = {0};
  htel_loss out[LOSS_ENTRIES];
  for (uint32_t i = 0; i < 50; i++) {
    outbox_entry e = evicted(i + 1, 2 * i, HTEL_CLASS_WAVEFORM); /* no two adjoin */
    loss_evicted(&l, &e);
  }
  unsigned taken = loss_take(&l, 100, out, LOSS_ENTRIES), at_most = 0;
  assert_int_equal(taken, LOSS_CLASS_ENTRIES);
  for (unsigned i = 0; i < taken; i++) at_most += out[i].at_most;
  assert_int_equal(at_most, 1); /* the first frame alone is exact, the rest share */
  for (uint8_t c = 0; c < LOSS_RING_ENTRIES; c++) assert_true(loss_ring_full(&l, c, 0, 1, 1));
}

/* ---- outbox ---------------------------------------------------------------------------- */

static max_align_t arena[128];
static const uint8_t drop_oldest[HTEL_CLASS_COUNT] = {0};

static void put(outbox *o, uint32_t sequence, uint8_t frame_class, uint32_t size) {
  uint8_t *to = outbox_reserve(o, size);
  assert_non_null(to);
  memset(to, (int)sequence, size);
  outbox_entry e = {.token = sequence,
                    .sequence = sequence,
                    .kept = size,
                    .size = size,
                    .frame_class = frame_class,
                    .state = OUTBOX_WAITING};
  outbox_commit(o, &e);
}

static void check(const outbox *o, uint32_t sequence) {
  const outbox_entry *e = outbox_find(o, sequence);
  assert_non_null(e);
  for (uint32_t i = 0; i < e->size; i++) assert_int_equal(outbox_frame(e)[i], (uint8_t)sequence);
}

static void test_outbox_closes_its_holes(void **state) {
  (void)state;
  outbox o;
  outbox_init(&o, (uint8_t *)arena, sizeof arena, drop_oldest);
  uint32_t oldest = 1;
  for (uint32_t s = 1; s <= 500; s++) {
    uint32_t size = s * 7 % 200 + 1;
    while (outbox_reserve(&o, size) == NULL) { /* every second goes, then the rest */
      outbox_entry *e = outbox_find(&o, oldest + 1);
      if (e == NULL) e = outbox_next(&o, NULL);
      outbox_free(&o, e);
      oldest = outbox_next(&o, NULL) != NULL ? outbox_next(&o, NULL)->sequence : s;
    }
    put(&o, s, 1, size);
    uint32_t last = 0;
    for (const outbox_entry *e = outbox_next(&o, NULL); e != NULL; e = outbox_next(&o, e)) {
      assert_true(e->sequence > last);
      last = e->sequence;
      check(&o, e->sequence);
    }
    assert_int_equal(last, s);
    assert_true(o.used <= o.size && o.end <= o.size);
  }
}

static void test_outbox_gives_up_the_oldest_of_the_least_class(void **state) {
  (void)state;
  outbox o;
  outbox_init(&o, (uint8_t *)arena, sizeof arena, drop_oldest);
  put(&o, 1, HTEL_CLASS_ALARM, 10);
  put(&o, 2, HTEL_CLASS_NUMERIC, 10);
  put(&o, 3, HTEL_CLASS_WAVEFORM, 10);
  put(&o, 4, HTEL_CLASS_WAVEFORM, 10);
  static const uint32_t order[] = {3, 4, 2, 1};
  for (unsigned i = 0; i < 4; i++) {
    outbox_entry *e = outbox_victim(&o, HTEL_CLASS_ALARM);
    assert_int_equal(e->sequence, order[i]);
    outbox_free(&o, e);
  }
  put(&o, 5, HTEL_CLASS_NUMERIC, 10);
  assert_null(outbox_victim(&o, HTEL_CLASS_WAVEFORM)); /* the newcomer matters less */
}

static void test_outbox_refuses_the_newest_where_told_to(void **state) {
  (void)state;
  static const uint8_t refuse[HTEL_CLASS_COUNT] = {[HTEL_CLASS_NUMERIC] = HTEL_REFUSE_NEWEST};
  outbox o;
  outbox_init(&o, (uint8_t *)arena, sizeof arena, refuse);
  put(&o, 1, HTEL_CLASS_NUMERIC, 10);
  assert_null(outbox_victim(&o, HTEL_CLASS_NUMERIC));
  put(&o, 2, HTEL_CLASS_WAVEFORM, 10);
  assert_int_equal(outbox_victim(&o, HTEL_CLASS_NUMERIC)->sequence, 2);
  assert_int_equal(outbox_victim(&o, HTEL_CLASS_WAVEFORM)->sequence, 2);
}

static void test_outbox_counts_what_is_in_flight(void **state) {
  (void)state;
  outbox o;
  outbox_init(&o, (uint8_t *)arena, sizeof arena, drop_oldest);
  put(&o, 1, 1, 100);
  put(&o, 2, 1, 50);
  outbox_sent(&o, outbox_find(&o, 1), 0);
  outbox_sent(&o, outbox_find(&o, 2), 0);
  outbox_acked(&o, outbox_find(&o, 1));
  outbox_acked(&o, outbox_find(&o, 1)); /* a second PUBACK changes nothing */
  assert_int_equal(o.unacked_bytes, 50);
  assert_int_equal(o.in_flight_bytes, 150);
  outbox_unsend(&o, outbox_find(&o, 2));
  assert_int_equal(o.unacked_bytes, 0);
  outbox_free(&o, outbox_find(&o, 1));
  assert_int_equal(o.in_flight, 0);
  assert_int_equal(o.in_flight_bytes, 0);
  assert_int_equal(o.frames, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_timeline_extends_over_wraps),
      cmocka_unit_test(test_timeline_stands_still_when_the_clock_steps_back),
      cmocka_unit_test(test_timeline_never_goes_before_boot),
      cmocka_unit_test(test_timeline_anchors_only_news),
      cmocka_unit_test(test_backoff_doubles_to_its_maximum_and_uses_the_whole_window),
      cmocka_unit_test(test_consecutive_evictions_share_a_record),
      cmocka_unit_test(test_record_of_an_evicted_carrier_goes_again_under_its_id),
      cmocka_unit_test(test_ledger_never_overflows),
      cmocka_unit_test(test_ledger_says_when_and_how_exactly),
      cmocka_unit_test(test_classes_keep_to_their_share),
      cmocka_unit_test(test_outbox_closes_its_holes),
      cmocka_unit_test(test_outbox_gives_up_the_oldest_of_the_least_class),
      cmocka_unit_test(test_outbox_refuses_the_newest_where_told_to),
      cmocka_unit_test(test_outbox_counts_what_is_in_flight),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
