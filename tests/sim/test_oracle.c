/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle that judges a simulated fleet: what is right passes, and of everything that may be
 * wrong a doctored stream is found out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oracle_fixture.h"

static scene s;

static int set_up(void **state) {
  (void)state;
  scene_begin(&s);
  scene_anchor(&s, 0, 0, 50);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  scene_end(&s);
  return 0;
}

/* An hour of all channels: 3600 + 3600 numerics, 2500 samples, a few alarms. */
static uint64_t alarms_of(int64_t ms) {
  return signal_first_at(&s.scenario.channels[ALARM], signal_seed(RUN_SEED, DEVICE_NUMBER, ALARM),
                         ms);
}

static void record_hour(void) {
  scene_record(&s, PULSE, 0, 3600);
  scene_record(&s, SPO2, 0, 3600);
  scene_record(&s, ECG, 0, 2500);
  scene_record(&s, ALARM, 0, alarms_of(3600000));
}

static void deliver_hour(void) {
  scene_deliver(&s, PULSE, 0, 3600);
  scene_deliver(&s, SPO2, 0, 3600);
  scene_deliver(&s, ECG, 0, 2500);
  scene_deliver(&s, ALARM, 0, alarms_of(3600000));
}

/* ---- What is stored -------------------------------------------------------------------------- */

static void test_what_is_right_passes(void **state) {
  (void)state;
  record_hour();
  deliver_hour();
  scene_expect(&s, VIOLATION_NONE);
  const oracle_totals *t = scene_totals(&s);
  uint64_t all = 3600 + 3600 + 2500 + alarms_of(3600000);
  assert_int_equal(t->accepted, all);
  assert_int_equal(t->stored, all);
  assert_int_equal(t->checked, all);
  assert_int_equal(t->placed, all);
  assert_int_equal(t->lost + t->duplicates + t->violations, 0);
}

static void test_several_channels_in_one_frame_in_any_order(void **state) {
  (void)state;
  record_hour();
  packet *p = scene_pack(&s, SPO2, 3200, 3600);
  packet_add(&s, p, PULSE, 0, 400);
  packet_add(&s, p, ECG, 2000, 2500);
  packet_add(&s, p, ECG, 1500, 2000);
  assert_true(scene_send(&s, p));
  scene_deliver(&s, SPO2, 0, 3200);
  scene_deliver(&s, PULSE, 400, 3600);
  scene_deliver(&s, ECG, 0, 1500);
  scene_deliver(&s, ALARM, 0, alarms_of(3600000));
  scene_expect(&s, VIOLATION_NONE);
}

static void test_a_value_that_differs(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 100);
  packet *p = scene_pack(&s, PULSE, 0, 100);
  p->events[99].value++;
  scene_send(&s, p);
  assert_int_equal(oracle_violation(s.oracle, 0)->kind, VIOLATION_VALUE);
}

static void test_a_quality_that_differs(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 100);
  packet *p = scene_pack(&s, PULSE, 0, 100);
  p->events[50].quality ^= 1u;
  scene_send(&s, p);
  assert_int_equal(oracle_violation(s.oracle, 0)->kind, VIOLATION_VALUE);
}

static void test_a_sample_or_its_quality_that_differs(void **state) {
  (void)state;
  scene_record(&s, ECG, 0, 200);
  packet *p = scene_pack(&s, ECG, 0, 100);
  p->samples[99]--;
  scene_send(&s, p);
  p = scene_pack(&s, ECG, 100, 200);
  p->sample_quality[0] ^= 2u;
  scene_send(&s, p);
  assert_int_equal(oracle_violation(s.oracle, 0)->kind, VIOLATION_VALUE);
  assert_int_equal(oracle_violation(s.oracle, 1)->kind, VIOLATION_VALUE);
}

static void test_an_alarm_that_differs(void **state) {
  (void)state;
  scene_record(&s, ALARM, 0, 1);
  packet *p = scene_pack(&s, ALARM, 0, 1);
  p->events[0].alarm.priority ^= 1u;
  scene_send(&s, p);
  assert_int_equal(oracle_violation(s.oracle, 0)->kind, VIOLATION_VALUE);
}

static void test_a_tick_that_differs(void **state) {
  (void)state;
  record_hour();
  packet *p = scene_pack(&s, PULSE, 0, 100);
  p->events[42].tick++;
  scene_send(&s, p);
  p = scene_pack(&s, ECG, 0, 100);
  p->runs[0].tick++; /* half a sample off */
  scene_send(&s, p);
  p = scene_pack(&s, ALARM, 0, 1);
  p->events[0].tick--;
  scene_send(&s, p);
  for (unsigned i = 0; i < 3; i++)
    assert_int_equal(oracle_violation(s.oracle, i)->kind, VIOLATION_TIME);
}

/* Samples keep their place to a fraction of a millisecond. */
static void test_a_phase_that_differs(void **state) {
  (void)state;
  record_hour();
  packet *p = scene_pack(&s, ECG, 0, 100);
  p->runs[0].phase = 1;
  scene_send(&s, p);
  assert_int_equal(oracle_violation(s.oracle, 0)->kind, VIOLATION_TIME);
}

static void test_samples_that_are_one_late(void **state) {
  (void)state;
  record_hour();
  packet *p = scene_pack(&s, ECG, 300, 400);
  p->runs[0].tick += 4; /* 250 Hz */
  scene_send(&s, p);
  assert_int_equal(oracle_violation(s.oracle, 0)->kind, VIOLATION_VALUE);
}

static void test_ticks_that_lost_their_upper_bits(void **state) {
  (void)state;
  s.tick_of_zero = (int64_t)UINT32_MAX - 30000;
  scene_boot(&s, 2, 0);
  scene_record(&s, PULSE, 0, 100);
  assert_true(scene_send(&s, scene_pack(&s, PULSE, 0, 60)));
  assert_null(oracle_violation(s.oracle, 0)); /* over the wrap */
  packet *p = scene_pack(&s, PULSE, 60, 100);
  for (unsigned i = 0; i < 40; i++) p->events[i].tick &= UINT32_MAX;
  scene_send(&s, p);
  assert_non_null(oracle_violation(s.oracle, 0));
}

static void test_a_reading_stored_twice(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 200);
  scene_deliver(&s, PULSE, 0, 200);
  scene_deliver(&s, PULSE, 199, 200);
  scene_expect(&s, VIOLATION_DUPLICATE);
  assert_int_equal(scene_totals(&s)->duplicates, 1);
}

static void test_a_reading_that_was_refused_and_is_stored(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 50);
  scene_refuse(&s, PULSE, 50, 60);
  scene_record(&s, PULSE, 60, 100);
  scene_send(&s, scene_pack(&s, PULSE, 0, 100));
  assert_int_equal(oracle_violation(s.oracle, 0)->kind, VIOLATION_FOREIGN);
}

static void test_a_reading_from_before_or_behind_what_was_recorded(void **state) {
  (void)state;
  scene_record(&s, PULSE, 100, 200);
  scene_record(&s, ECG, 0, 100);
  scene_send(&s, scene_pack(&s, PULSE, 99, 150));
  scene_send(&s, scene_pack(&s, PULSE, 150, 201));
  scene_send(&s, scene_pack(&s, ECG, 50, 101));
  for (unsigned i = 0; i < 3; i++)
    assert_int_equal(oracle_violation(s.oracle, i)->kind, VIOLATION_FOREIGN);
}

static void test_a_frame_under_another_boot(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 100);
  scene_boot(&s, 2, 100000);
  scene_record(&s, PULSE, 100, 200);
  packet *p = scene_pack(&s, PULSE, 0, 100); /* says 2 */
  scene_send(&s, p);
  p = scene_pack(&s, PULSE, 100, 200);
  p->frame.boot = 9;
  scene_send(&s, p);
  scene_send(&s, scene_pack(&s, PULSE, 100, 200)); /* rightly */
  scene_send(&s, scene_pack(&s, PULSE, 0, 100));
  for (unsigned i = 0; i < 3; i++)
    assert_int_equal(oracle_violation(s.oracle, i)->kind, VIOLATION_FOREIGN);
}

static void test_a_channel_that_it_does_not_have(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 100);
  packet *p = scene_pack(&s, PULSE, 0, 100);
  p->runs[0].channel = 9;
  scene_send(&s, p);
  assert_int_equal(oracle_violation(s.oracle, 0)->kind, VIOLATION_FOREIGN);
}

/* A burst an hour: each is placed from its own beginning. */
static void test_bursts_that_follow_each_other(void **state) {
  (void)state;
  scene_record(&s, ECG, 100, 7500);
  scene_deliver(&s, ECG, 100, 2500);
  scene_deliver(&s, ECG, 2500, 5000);
  scene_deliver(&s, ECG, 5000, 7500);
  scene_expect(&s, VIOLATION_NONE);
  assert_int_equal(scene_totals(&s)->stored, 7400);
}

/* Samples that go on in the next burst, an hour later. */
static void test_samples_that_go_on_over_a_burst_s_end(void **state) {
  (void)state;
  scene_record(&s, ECG, 0, 5000);
  scene_send(&s, scene_pack(&s, ECG, 2450, 2550));
  assert_int_equal(oracle_violation(s.oracle, 0)->kind, VIOLATION_FOREIGN);
}

/* ---- What is not -------------------------------------------------------------------------------
 */

static void test_a_reading_that_is_lost(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 300);
  scene_deliver(&s, PULSE, 0, 150);
  scene_deliver(&s, PULSE, 151, 300);
  scene_expect(&s, VIOLATION_LOST);
  assert_int_equal(scene_totals(&s)->lost, 1);
  assert_in_range(oracle_violation(s.oracle, 0)->at_ms, 150000, 150002); /* for the replay */
}

static void test_a_segment_of_samples_that_is_lost(void **state) {
  (void)state;
  scene_record(&s, ECG, 0, 1000);
  scene_deliver(&s, ECG, 0, 900);
  scene_expect(&s, VIOLATION_LOST);
  assert_int_equal(scene_totals(&s)->lost, 100);
}

/* Frame 2 of the numerics, 100 readings, does not come; the record says `readings`. */
static void evict_one(uint64_t count, bool at_most) {
  scene_record(&s, PULSE, 0, 300);
  scene_deliver(&s, PULSE, 0, 100);
  s.sequence++;
  scene_deliver(&s, PULSE, 200, 300);
  scene_loss(&s,
             (htel_loss){.cause = HTEL_CAUSE_OUTBOX_FULL,
                         .frame_class = HTEL_CLASS_NUMERIC,
                         .sequence_first = 2,
                         .sequence_last = 2,
                         .frames = 1,
                         .readings = count,
                         .at_most = at_most},
             1);
}

static void test_an_evicted_frame_is_covered(void **state) {
  (void)state;
  evict_one(100, false);
  scene_expect(&s, VIOLATION_NONE);
  assert_int_equal(scene_totals(&s)->covered_evicted, 100);
}

static void test_a_record_that_says_too_little(void **state) {
  (void)state;
  evict_one(99, false);
  scene_expect(&s, VIOLATION_LOST);
  assert_int_equal(scene_totals(&s)->lost, 1);
}

static void test_a_record_that_says_too_much(void **state) {
  (void)state;
  evict_one(101, false);
  scene_expect(&s, VIOLATION_COUNT);
}

static void test_an_upper_bound_may_be_too_much(void **state) {
  (void)state;
  evict_one(500, true);
  scene_expect(&s, VIOLATION_NONE);
  assert_int_equal(scene_totals(&s)->covered_evicted, 100);
}

static void test_an_upper_bound_that_is_too_little(void **state) {
  (void)state;
  evict_one(60, true);
  scene_expect(&s, VIOLATION_LOST);
}

static void test_a_record_of_another_class_does_not_help(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 300);
  scene_deliver(&s, PULSE, 0, 100);
  s.sequence++;
  scene_deliver(&s, PULSE, 200, 300);
  scene_loss(&s,
             (htel_loss){.cause = HTEL_CAUSE_OUTBOX_FULL,
                         .frame_class = HTEL_CLASS_WAVEFORM,
                         .sequence_first = 2,
                         .sequence_last = 2,
                         .frames = 1,
                         .readings = 100},
             1);
  scene_judge(&s, 86400000);
  assert_int_equal(scene_totals(&s)->lost, 100);
}

static void test_an_evicted_frame_that_came_is_taken_off(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 300);
  scene_deliver(&s, PULSE, 0, 200); /* frames 1 and 2 */
  scene_loss(&s,
             (htel_loss){.cause = HTEL_CAUSE_OUTBOX_FULL,
                         .frame_class = HTEL_CLASS_NUMERIC,
                         .sequence_first = 2,
                         .sequence_last = 3,
                         .frames = 2,
                         .readings = 200},
             1);
  scene_expect(&s, VIOLATION_NONE);
  assert_int_equal(scene_totals(&s)->covered_evicted, 100);
}

/* Two records that are upper bounds, of the same frames. */
static void test_evictions_told_twice_as_upper_bounds(void **state) {
  (void)state;
  s.scenario.flash = false;
  oracle_evicted(s.oracle, 100);
  evict_one(100, true);
  scene_loss(&s,
             (htel_loss){.cause = HTEL_CAUSE_OUTBOX_FULL,
                         .frame_class = HTEL_CLASS_NUMERIC,
                         .sequence_first = 1,
                         .sequence_last = 3,
                         .frames = 1,
                         .readings = 100,
                         .at_most = true},
             1);
  scene_expect(&s, VIOLATION_COUNT);
}

static void test_a_sequence_that_nothing_explains(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 200);
  scene_deliver(&s, PULSE, 0, 100);
  s.sequence++; /* of a frame without readings, perhaps */
  scene_deliver(&s, PULSE, 100, 200);
  scene_expect(&s, VIOLATION_HOLE);
}

static void refusals(uint64_t told) {
  scene_record(&s, PULSE, 0, 100);
  scene_refuse(&s, PULSE, 100, 120);
  scene_record(&s, PULSE, 120, 200);
  scene_deliver(&s, PULSE, 0, 100);
  scene_deliver(&s, PULSE, 120, 200);
  if (told == 0) return;
  scene_loss(&s, (htel_loss){.cause = HTEL_CAUSE_RING_FULL, .channel = PULSE, .readings = told}, 1);
}

static void test_refusals_of_a_ring_are_told(void **state) {
  (void)state;
  refusals(20);
  scene_expect(&s, VIOLATION_NONE);
  assert_int_equal(scene_totals(&s)->covered_ring, 20);
  assert_int_equal(scene_totals(&s)->refused, 20);
}

static void test_refusals_told_one_short(void **state) {
  (void)state;
  refusals(19);
  scene_expect(&s, VIOLATION_COUNT);
}

static void test_refusals_told_one_more(void **state) {
  (void)state;
  refusals(21);
  scene_expect(&s, VIOLATION_COUNT);
}

static void test_refusals_not_told(void **state) {
  (void)state;
  refusals(0);
  scene_expect(&s, VIOLATION_COUNT);
}

/* ---- Damage, clones ----------------------------------------------------------------------------
 */

static void test_a_frame_that_rot_took(void **state) {
  (void)state;
  oracle_damaged(s.oracle, 1);
  scene_record(&s, PULSE, 0, 300);
  scene_deliver(&s, PULSE, 0, 100);
  s.sequence++;
  scene_deliver(&s, PULSE, 200, 300);
  scene_expect(&s, VIOLATION_NONE);
  assert_int_equal(scene_totals(&s)->covered_damaged, 100);
}

static void test_more_frames_than_rot_can_take(void **state) {
  (void)state;
  oracle_damaged(s.oracle, 1);
  scene_record(&s, PULSE, 0, 3000);
  scene_deliver(&s, PULSE, 0, 100);
  s.sequence += 28;
  scene_deliver(&s, PULSE, 2900, 3000);
  scene_judge(&s, 86400000);
  assert_int_equal(oracle_violation(s.oracle, 0)->kind, VIOLATION_LOST);
  assert_int_equal(oracle_violation(s.oracle, 1)->kind, VIOLATION_HOLE);
}

static void test_a_quarantine_without_a_clone(void **state) {
  (void)state;
  scene_record(&s, PULSE, 0, 100);
  packet *p = scene_pack(&s, PULSE, 0, 100);
  p->quarantined = true;
  scene_send(&s, p);
  assert_int_equal(oracle_violation(s.oracle, 0)->kind, VIOLATION_CONFLICT);
}

static void test_the_frames_of_a_clone_are_not_its_own(void **state) {
  (void)state;
  oracle_cloned(s.oracle);
  scene_record(&s, PULSE, 0, 100);
  packet *p = scene_pack(&s, PULSE, 0, 100);
  p->events[3].value += 7; /* another patient */
  assert_false(scene_send(&s, p));
  assert_true(scene_send(&s, scene_pack(&s, PULSE, 0, 100)));
  assert_null(oracle_violation(s.oracle, 0));
  assert_int_equal(scene_totals(&s)->stored, 100);
}

static void clone_without_half(bool alert) {
  oracle_cloned(s.oracle);
  scene_record(&s, PULSE, 0, 200);
  scene_deliver(&s, PULSE, 0, 100);
  if (!alert) return;
  const store *m = memory_store_of(s.store);
  store_alert conflict = {.device = DEVICE, .kind = "conflict", .detail = "two devices"};
  assert_int_equal(m->begin(m->ctx), STORE_OK);
  assert_int_equal(m->alert_put(m->ctx, &conflict, 100), STORE_OK);
  assert_int_equal(m->commit(m->ctx), STORE_OK);
}

static void test_what_a_clone_displaced_takes_an_alert(void **state) {
  (void)state;
  clone_without_half(true);
  scene_expect(&s, VIOLATION_NONE);
  assert_int_equal(scene_totals(&s)->covered_quarantine, 100);
}

static void test_what_a_clone_put_aside_without_an_alert(void **state) {
  (void)state;
  oracle_cloned(s.oracle);
  scene_record(&s, PULSE, 0, 100);
  scene_deliver(&s, PULSE, 0, 100);
  const store *m = memory_store_of(s.store);
  store_aside aside = {.device = DEVICE,
                       .keyed = true,
                       .boot = 1,
                       .sequence = 1,
                       .digest = (const uint8_t[DIGEST_BYTES]){9},
                       .reason = "conflict"};
  store_outcome outcome;
  assert_int_equal(m->begin(m->ctx), STORE_OK);
  assert_int_equal(m->aside_put(m->ctx, &aside, 100, &outcome), STORE_OK);
  assert_int_equal(m->commit(m->ctx), STORE_OK);
  scene_expect(&s, VIOLATION_CONFLICT);
}

static void test_what_a_clone_displaced_without_an_alert(void **state) {
  (void)state;
  clone_without_half(false);
  scene_expect(&s, VIOLATION_CONFLICT);
}

/* ---- What it costs --------------------------------------------------------------------------- */

static void test_a_day_takes_little_memory(void **state) {
  (void)state;
  uint64_t pulse = 0, ecg = 0;
  for (uint64_t boot = 2; boot <= 6; boot++) {
    scene_boot(&s, boot, (int64_t)pulse * 1000);
    scene_record(&s, PULSE, pulse, pulse + 17280);
    scene_record(&s, SPO2, pulse, pulse + 17280);
    scene_record(&s, ECG, ecg, ecg + 12000);
    for (uint64_t k = pulse; k < pulse + 17280; k += 120) {
      uint64_t at = k ^ 120; /* by turns the other way round */
      if (at + 120 > pulse + 17280) at = k;
      packet *p = scene_pack(&s, PULSE, at, at + 60);
      packet_add(&s, p, SPO2, at, at + 60);
      free(p);
    }
    scene_deliver(&s, PULSE, pulse, pulse + 17280);
    scene_deliver(&s, SPO2, pulse, pulse + 17280);
    scene_deliver(&s, ECG, ecg, ecg + 12000);
    oracle_reset(s.oracle, (int64_t)(pulse + 17280) * 1000);
    pulse += 17280;
    ecg += 12500;
  }
  assert_true(oracle_memory_bytes(s.oracle) < 10240);
}

static void test_a_violation_has_no_value_in_its_text(void **state) {
  (void)state;
  oracle_blame(s.oracle, VIOLATION_STUCK, 5, UINT32_MAX, 3, "does not come to rest");
  const violation *v = oracle_violation(s.oracle, 0);
  assert_int_equal(v->kind, VIOLATION_STUCK);
  assert_int_equal(v->device, DEVICE_NUMBER);
  assert_string_equal(violation_name(v->kind), "stuck");
  for (unsigned k = 0; k < VIOLATION_KINDS; k++)
    assert_string_not_equal(violation_name((violation_kind)k), "unknown");
  for (unsigned i = 0; i < 10; i++)
    oracle_blame(s.oracle, VIOLATION_STUCK, 5, UINT32_MAX, 3, "again");
  assert_null(oracle_violation(s.oracle, ORACLE_VIOLATIONS_KEPT));
  assert_int_equal(scene_totals(&s)->violations, 11);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {TEST(test_what_is_right_passes),
                                     TEST(test_several_channels_in_one_frame_in_any_order),
                                     TEST(test_a_value_that_differs),
                                     TEST(test_a_quality_that_differs),
                                     TEST(test_a_sample_or_its_quality_that_differs),
                                     TEST(test_an_alarm_that_differs),
                                     TEST(test_a_tick_that_differs),
                                     TEST(test_a_phase_that_differs),
                                     TEST(test_samples_that_are_one_late),
                                     TEST(test_ticks_that_lost_their_upper_bits),
                                     TEST(test_a_reading_stored_twice),
                                     TEST(test_a_reading_that_was_refused_and_is_stored),
                                     TEST(test_a_reading_from_before_or_behind_what_was_recorded),
                                     TEST(test_a_frame_under_another_boot),
                                     TEST(test_a_channel_that_it_does_not_have),
                                     TEST(test_bursts_that_follow_each_other),
                                     TEST(test_samples_that_go_on_over_a_burst_s_end),
                                     TEST(test_a_reading_that_is_lost),
                                     TEST(test_a_segment_of_samples_that_is_lost),
                                     TEST(test_an_evicted_frame_is_covered),
                                     TEST(test_a_record_that_says_too_little),
                                     TEST(test_a_record_that_says_too_much),
                                     TEST(test_an_upper_bound_may_be_too_much),
                                     TEST(test_an_upper_bound_that_is_too_little),
                                     TEST(test_a_record_of_another_class_does_not_help),
                                     TEST(test_an_evicted_frame_that_came_is_taken_off),
                                     TEST(test_evictions_told_twice_as_upper_bounds),
                                     TEST(test_a_sequence_that_nothing_explains),
                                     TEST(test_refusals_of_a_ring_are_told),
                                     TEST(test_refusals_told_one_short),
                                     TEST(test_refusals_told_one_more),
                                     TEST(test_refusals_not_told),
                                     TEST(test_a_frame_that_rot_took),
                                     TEST(test_more_frames_than_rot_can_take),
                                     TEST(test_a_quarantine_without_a_clone),
                                     TEST(test_the_frames_of_a_clone_are_not_its_own),
                                     TEST(test_what_a_clone_displaced_takes_an_alert),
                                     TEST(test_what_a_clone_put_aside_without_an_alert),
                                     TEST(test_what_a_clone_displaced_without_an_alert),
                                     TEST(test_a_day_takes_little_memory),
                                     TEST(test_a_violation_has_no_value_in_its_text)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
