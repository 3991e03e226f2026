/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY_MS 86400000

void scene_begin(scene *s) {
  *s = (scene){.tick_of_zero = TICK_OF_ZERO};
  scenario_standard(&s->scenario);
  s->scenario.channels[ALARM].alarms_per_day = 96;
  char error[200];
  assert_int_equal(plan_make(&s->plan, &s->scenario, error, sizeof error), 0);
  s->oracle = oracle_new(&s->plan, RUN_SEED, DEVICE_NUMBER);
  memory_watch nobody = {0};
  s->store = memory_store_new(&nobody);
  assert_non_null(s->oracle);
  assert_non_null(s->store);
  oracle_utc(s->oracle, UTC_OF_ZERO);
  scene_boot(s, 1, 0);
}

void scene_end(scene *s) {
  oracle_free(s->oracle);
  memory_store_free(s->store);
}

void scene_boot(scene *s, uint64_t boot, int64_t now_ms) {
  s->boot = boot;
  s->sequence = 0;
  oracle_boot(s->oracle, boot, now_ms, s->tick_of_zero);
}

static void told(scene *s, unsigned channel, uint64_t first, uint64_t end, int rc) {
  const scenario_channel *ch = &s->scenario.channels[channel];
  for (uint64_t k = first; k < end;) {
    uint64_t next = ch->kind == HTEL_WAVEFORM ? signal_block_end(ch, k) : k + 1u;
    if (next > end) next = end;
    oracle_recorded(s->oracle, channel, k, (uint32_t)(next - k), rc);
    k = next;
  }
}

void scene_record(scene *s, unsigned channel, uint64_t first, uint64_t end) {
  told(s, channel, first, end, 0);
}

void scene_refuse(scene *s, unsigned channel, uint64_t first, uint64_t end) {
  told(s, channel, first, end, HTEL_E_FULL);
}

/* ---- Frames ---------------------------------------------------------------------------------- */

static void event_fill(const scenario_channel *ch, uint64_t signal, uint64_t k,
                       readings_event *event) {
  if (ch->kind == HTEL_ALARM) {
    signal_alarm(ch, signal, k, &event->alarm);
    return;
  }
  event->value = signal_value(ch, signal, k);
  event->quality = (uint8_t)signal_quality(ch, signal, k);
}

void packet_add(const scene *s, packet *p, unsigned channel, uint64_t first, uint64_t end) {
  const scenario_channel *ch = &s->scenario.channels[channel];
  uint64_t signal = signal_seed(RUN_SEED, DEVICE_NUMBER, channel);
  readings *r = &p->readings;
  bool wave = ch->kind == HTEL_WAVEFORM;
  uint32_t count = (uint32_t)(end - first);
  readings_run *run = &p->runs[r->run_count++];
  *run = (readings_run){.channel = (uint8_t)channel,
                        .kind = (uint8_t)ch->kind,
                        .count = (uint16_t)count,
                        .tick = (uint64_t)(signal_due_ms(ch, signal, first) + s->tick_of_zero),
                        .at = wave ? r->sample_count : r->event_count};
  for (uint32_t i = 0; i < count; i++) {
    if (wave) {
      p->samples[r->sample_count] = signal_value(ch, signal, first + i);
      p->sample_quality[r->sample_count++] = (uint8_t)signal_quality(ch, signal, first + i);
      continue;
    }
    readings_event *event = &p->events[r->event_count++];
    event->tick = (uint64_t)(signal_due_ms(ch, signal, first + i) + s->tick_of_zero);
    event_fill(ch, signal, first + i, event);
  }
  if (ch->kind == HTEL_NUMERIC) r->numerics += count;
  if (ch->kind == HTEL_ALARM) r->alarms += count;
}

packet *scene_pack(scene *s, unsigned channel, uint64_t first, uint64_t end) {
  packet *p = calloc(1, sizeof *p);
  assert_non_null(p);
  static const uint8_t classes[] = {[HTEL_NUMERIC] = HTEL_CLASS_NUMERIC,
                                    [HTEL_WAVEFORM] = HTEL_CLASS_WAVEFORM,
                                    [HTEL_ALARM] = HTEL_CLASS_ALARM};
  p->readings = (readings){.runs = p->runs,
                           .samples = p->samples,
                           .sample_quality = p->sample_quality,
                           .events = p->events};
  packet_add(s, p, channel, first, end);
  p->frame = (htel_frame){.boot = s->boot,
                          .sequence = ++s->sequence,
                          .frame_class = classes[s->scenario.channels[channel].kind],
                          .tick = p->runs[0].tick};
  p->placed = true;
  p->offset_ms = UTC_OF_ZERO - s->tick_of_zero;
  return p;
}

static void put(scene *s, const store_frame *frame) {
  const store *m = memory_store_of(s->store);
  store_outcome outcome;
  assert_int_equal(m->begin(m->ctx), STORE_OK);
  assert_int_equal(m->frame_put(m->ctx, frame, &outcome), STORE_OK);
  assert_int_equal(m->commit(m->ctx), STORE_OK);
}

bool scene_send(scene *s, packet *p) {
  uint8_t digest[DIGEST_BYTES] = {(uint8_t)p->frame.sequence};
  store_frame frame = {.device = DEVICE,
                       .frame = &p->frame,
                       .digest = digest,
                       .readings = &p->readings,
                       .placed = p->placed,
                       .offset_ms = p->offset_ms};
  if (!p->quarantined) put(s, &frame);
  bool taken = oracle_takes(s->oracle, &frame, p->quarantined, 0);
  free(p);
  return taken;
}

void scene_deliver(scene *s, unsigned channel, uint64_t first, uint64_t end) {
  for (uint64_t k = first; k < end; k += 100) {
    uint64_t next = k + 100u < end ? k + 100u : end;
    assert_true(scene_send(s, scene_pack(s, channel, k, next)));
  }
}

/* ---- The ingest's tables --------------------------------------------------------------------- */

void scene_loss(scene *s, htel_loss loss, uint64_t carrier_boot) {
  const store *m = memory_store_of(s->store);
  loss.id = ++s->loss_id;
  if (loss.boot == 0) loss.boot = carrier_boot;
  assert_int_equal(m->begin(m->ctx), STORE_OK);
  assert_int_equal(m->loss_put(m->ctx, DEVICE, &loss, carrier_boot, 1), STORE_OK);
  assert_int_equal(m->commit(m->ctx), STORE_OK);
}

void scene_anchor(scene *s, int64_t at_ms, int64_t error_ms, uint32_t uncertainty_ms) {
  const store *m = memory_store_of(s->store);
  htel_anchor anchor = {.tick = (uint64_t)(at_ms + s->tick_of_zero),
                        .utc_ms = UTC_OF_ZERO + at_ms + error_ms,
                        .uncertainty_ms = uncertainty_ms};
  assert_int_equal(m->begin(m->ctx), STORE_OK);
  assert_int_equal(m->anchor_put(m->ctx, DEVICE, s->boot, &anchor, 1), STORE_OK);
  assert_int_equal(m->commit(m->ctx), STORE_OK);
}

/* ---- The verdict ----------------------------------------------------------------------------- */

void scene_judge(scene *s, int64_t now_ms) {
  audit_report audit;
  const store *m = memory_store_of(s->store);
  assert_int_equal(audit_device(m, DEVICE, &audit), STORE_OK);
  oracle_judge(s->oracle, m, DEVICE, &audit, now_ms);
  audit_free(&audit);
  s->judged = true;
}

const oracle_totals *scene_totals(const scene *s) {
  return oracle_totals_of(s->oracle);
}

void scene_expect(scene *s, violation_kind kind) {
  if (!s->judged) scene_judge(s, DAY_MS);
  const violation *v = oracle_violation(s->oracle, 0);
  if (kind == VIOLATION_NONE && v != NULL)
    fail_msg("%s: %s (%llu)", violation_name(v->kind), v->text, (unsigned long long)v->number);
  if (kind == VIOLATION_NONE) return;
  if (v == NULL) fail_msg("nothing was found, not %s", violation_name(kind));
  for (unsigned i = 0; (v = oracle_violation(s->oracle, i)) != NULL; i++)
    if (v->kind != kind)
      fail_msg("%s, not %s: %s", violation_name(v->kind), violation_name(kind), v->text);
}
