/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_judge.c - the verdict on one device, when all is delivered.
 *
 * For each boot and class, of the readings that were accepted and are not stored:
 *
 *     told exactly  <=  missing  <=  told exactly + told as upper bounds + bound of an unclean stop
 *
 * With the outbox on flash an unclean stop takes the newest readings only, those that no durable
 * frame had yet:
 *
 *     readings    s s s s - - s s s s s - - - - |cut       s: stored
 *                         evicted       unclean stop
 *
 * Where another device has the same id (a clone), what is missing may be stored in the other's
 * place; there the ingest must have raised an alert. Where the flash was damaged, as many frames
 * may be gone as the damage may have taken. */
#include <stdlib.h>

#include "oracle_parts.h"
#include "placing.h"

#define FRAMES_AT_RISK 3            /* of their greatest age: open, not durable, refused */
#define DURABLE_IN_MS 10000         /* a closed frame, as long as the device is polled */
#define UTC_BOUND_MS 300            /* beyond what an anchor says of itself */
#define CLOCK_NOTICED_MS 900000     /* a device that is not polled notices late */
#define CLOCK_LOOKED_AT_MS 2000     /* one that is, so soon */
#define ANCHOR_BY_MS 600000         /* a boot that lasts so long tells what time it was */
#define ANCHORS_LOOKED_AT_MAX 2000u /* of a boot */

/* What was told of one boot. */
typedef struct told {
  uint64_t exact[HTEL_CLASS_COUNT];
  uint64_t at_most[HTEL_CLASS_COUNT];
  uint64_t unclean; /* UINT64_MAX: no bound */
  bool alarms_gone, cut;
} told;

/* What is missing of one boot. */
typedef struct missing {
  uint64_t all[HTEL_CLASS_COUNT];
  uint64_t old[HTEL_CLASS_COUNT]; /* of these, what no unclean stop can have taken */
  int64_t first_due_ms;           /* of the oldest; INT64_MAX: none */
} missing;

typedef struct verdict {
  oracle *o;
  const store *store;
  const char *id;
  int64_t now_ms;
  told *told;       /* by place in o->boots */
  missing *missing; /* the same */
  uint64_t ring[SCENARIO_CHANNELS_MAX];
  uint64_t evicted; /* readings told as evicted, that came all the same or not */
  bool failed;
} verdict;

/* The last of the boots with this number stands for all of them. */
static uint32_t stands_for(const oracle *o, uint32_t boot) {
  uint32_t at = o->boot_count - 1u;
  while (o->boots[at].number != o->boots[boot].number) at--;
  return at;
}

/* ---- What is missing ------------------------------------------------------------------------- */

static uint64_t there(const oracle_channel *ch, uint64_t first, uint64_t end) {
  return spans_within(&ch->stored, first, end) + spans_within(&ch->aside, first, end);
}

static uint64_t max64(uint64_t a, uint64_t b) {
  return a > b ? a : b;
}

static uint64_t last_there(const oracle_channel *ch, uint64_t first, uint64_t end) {
  return max64(spans_last(&ch->stored, first, end), spans_last(&ch->aside, first, end));
}

/* Readings that were due before it were in a durable frame when the boot was cut. */
static int64_t durable_before_ms(const oracle *o, const oracle_boot_row *boot) {
  const scenario *s = o->plan->scenario;
  if (!s->flash || boot->polled_ms == INT64_MIN) return INT64_MIN;
  int64_t risk_ms = FRAMES_AT_RISK * (int64_t)s->age_ms_max + DURABLE_IN_MS;
  int64_t before_ms = boot->polled_ms - risk_ms;
  return boot->gap_to_ms > before_ms ? boot->gap_from_ms - risk_ms : before_ms;
}

/* Of a boot that was cut, numbers of a channel below it should be there. */
static uint64_t durable_end(const oracle *o, uint32_t channel, uint32_t from, uint32_t to) {
  const oracle_channel *ch = &o->channels[channel];
  const oracle_boot_row *boot = &o->boots[ch->accepted[from].boot];
  if (!boot->unclean) return UINT64_MAX;
  if (!o->plan->scenario->flash) return 0;
  uint64_t first = ch->accepted[from].first, end = ch->accepted[to - 1u].end;
  int64_t before_ms = durable_before_ms(o, boot);
  uint64_t due = 0;
  if (before_ms > boot->from_ms)
    due = signal_first_at(&o->plan->scenario->channels[channel], ch->signal, before_ms);
  return max64(due, last_there(ch, first, end));
}

static uint64_t first_gone(const oracle_channel *ch, uint64_t k) {
  for (uint64_t next; (next = max64(spans_past(&ch->stored, k), spans_past(&ch->aside, k))) > k;)
    k = next;
  return k;
}

static void run_count(verdict *v, uint32_t channel, const accepted_run *a, uint64_t durable) {
  const oracle *o = v->o;
  const scenario_channel *ch = &o->plan->scenario->channels[channel];
  const oracle_channel *c = &o->channels[channel];
  missing *m = &v->missing[stands_for(o, a->boot)];
  uint8_t frame_class = oracle_class_of(ch->kind);
  uint64_t gone = a->end - a->first - there(c, a->first, a->end);
  if (gone == 0) return;
  m->all[frame_class] += gone;
  uint64_t end = durable < a->end ? durable : a->end;
  if (end > a->first) m->old[frame_class] += end - a->first - there(c, a->first, end);
  int64_t due_ms = signal_due_ms(ch, c->signal, first_gone(c, a->first));
  if (due_ms < m->first_due_ms) m->first_due_ms = due_ms;
}

static void missing_count(verdict *v) {
  const oracle *o = v->o;
  for (uint32_t b = 0; b < o->boot_count; b++) v->missing[b].first_due_ms = INT64_MAX;
  for (uint32_t c = 0; c < o->channel_count; c++) {
    const oracle_channel *ch = &o->channels[c];
    for (uint32_t from = 0, to; from < ch->accepted_count; from = to) {
      for (to = from + 1u; to < ch->accepted_count; to++)
        if (ch->accepted[to].boot != ch->accepted[from].boot) break;
      uint64_t durable = durable_end(o, c, from, to);
      for (uint32_t i = from; i < to; i++) run_count(v, c, &ch->accepted[i], durable);
    }
  }
}

/* ---- What was told --------------------------------------------------------------------------- */

static void add_bounded(uint64_t *sum, uint64_t more) {
  *sum = *sum > UINT64_MAX - more ? UINT64_MAX : *sum + more;
}

static void told_evicted(verdict *v, const htel_loss *loss, told *t) {
  if (loss->frame_class >= HTEL_CLASS_COUNT) return;
  if (loss->frame_class == HTEL_CLASS_ALARM) t->alarms_gone = true;
  if (loss->at_most || loss->boot_last > loss->boot) {
    add_bounded(&t->at_most[loss->frame_class], loss->readings);
    return;
  }
  uint64_t frames, arrived;
  if (v->store->frames_sum(v->store->ctx, v->id, loss, &frames, &arrived) != STORE_OK) {
    v->failed = true;
    return;
  }
  if (loss->readings > arrived) t->exact[loss->frame_class] += loss->readings - arrived;
}

static bool told_look(void *arg, const store_loss_row *row) {
  verdict *v = arg;
  const htel_loss *loss = &row->loss;
  if (loss->cause == HTEL_CAUSE_RING_FULL && loss->channel < SCENARIO_CHANNELS_MAX)
    v->ring[loss->channel] += loss->readings;
  if (loss->cause == HTEL_CAUSE_OUTBOX_FULL) v->evicted += loss->readings;
  uint64_t last = loss->boot_last > loss->boot ? loss->boot_last : loss->boot;
  for (uint32_t b = 0; b < v->o->boot_count; b++) {
    uint64_t number = v->o->boots[b].number;
    if (number < loss->boot || number > last || stands_for(v->o, b) != b) continue;
    if (loss->cause == HTEL_CAUSE_OUTBOX_FULL) told_evicted(v, loss, &v->told[b]);
    if (loss->cause != HTEL_CAUSE_UNCLEAN_STOP) continue;
    add_bounded(&v->told[b].unclean, loss->at_most ? loss->readings : UINT64_MAX);
    v->told[b].cut = true;
  }
  return true;
}

/* Readings that one frame may hold at most: those of twice its greatest age, a byte for each. */
static uint64_t frame_readings_max(const scenario *s) {
  uint64_t numerics = 64, samples = 0, span_ms = 2u * (uint64_t)s->age_ms_max + 1000u;
  for (uint32_t c = 0; c < s->channel_count; c++) {
    const scenario_channel *ch = &s->channels[c];
    if (ch->kind == HTEL_NUMERIC) numerics += span_ms / ch->period_ms + 1u;
    if (ch->kind == HTEL_WAVEFORM) samples += span_ms * ch->rate.num / (1000u * ch->rate.den) + 1u;
  }
  if (samples > s->bytes_max) samples = s->bytes_max;
  return max64(numerics, samples);
}

static uint64_t min64(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

/* How many readings of a boot nothing explains. */
static uint64_t unexplained(verdict *v, uint32_t boot) {
  oracle_totals *sum = &v->o->totals;
  const missing *m = &v->missing[boot];
  const told *t = &v->told[boot];
  uint64_t rest = 0, rest_old = 0;
  for (unsigned c = 0; c < HTEL_CLASS_COUNT; c++) {
    uint64_t evicted = t->exact[c];
    add_bounded(&evicted, t->at_most[c]);
    evicted = min64(evicted, m->all[c]);
    sum->covered_evicted += evicted;
    rest += m->all[c] - evicted;
    rest_old += m->old[c] - min64(evicted, m->old[c]);
    if (m->all[c] < t->exact[c] && !v->o->cloned && v->o->damaged_frames == 0)
      oracle_blame_of(v->o, VIOLATION_COUNT, v->now_ms, UINT32_MAX, t->exact[c] - m->all[c],
                      "boot %llu, class %u: more were told as evicted than are missing",
                      (unsigned long long)v->o->boots[boot].number, c);
  }
  uint64_t unclean = min64(rest - rest_old, t->unclean);
  sum->covered_unclean += unclean;
  return rest - unclean;
}

static void judge_missing(verdict *v, const audit_report *audit) {
  oracle *o = v->o;
  uint64_t damaged = o->damaged_frames * frame_readings_max(o->plan->scenario), lost = 0;
  for (uint32_t b = 0; b < o->boot_count; b++) {
    if (stands_for(o, b) != b) continue;
    uint64_t rest = unexplained(v, b);
    if (rest == 0) continue;
    if (o->cloned) {
      o->totals.covered_quarantine += rest;
      lost += rest;
      continue;
    }
    uint64_t gone = min64(rest, damaged);
    damaged -= gone;
    o->totals.covered_damaged += gone;
    if (rest > gone)
      oracle_blame_of(o, VIOLATION_LOST, v->missing[b].first_due_ms, UINT32_MAX, rest - gone,
                      "boot %llu%s: accepted, neither stored nor told as lost",
                      (unsigned long long)o->boots[b].number, o->boots[b].unclean ? " (cut)" : "");
  }
  if (audit->alerts > 0) return;
  if (lost > 0)
    oracle_blame(o, VIOLATION_CONFLICT, v->now_ms, UINT32_MAX, lost,
                 "readings of one of two devices with one id are gone, and there was no alert");
  else if (audit->quarantined > 0)
    oracle_blame(o, VIOLATION_CONFLICT, v->now_ms, UINT32_MAX, audit->quarantined,
                 "frames were put aside, and there was no alert");
}

/* Refusals of rings are told exactly; those of a boot that was cut perhaps not all of them. */
static void judge_ring(verdict *v) {
  oracle *o = v->o;
  for (uint32_t c = 0; c < o->channel_count; c++) {
    uint64_t refused = 0, surely = 0;
    for (uint32_t b = 0; b < o->boot_count; b++) {
      uint64_t of_boot = o->boots[b].refused != NULL ? o->boots[b].refused[c] : 0;
      refused += of_boot;
      if (!o->boots[b].unclean) surely += of_boot;
    }
    o->totals.covered_ring += min64(v->ring[c], refused);
    if (v->ring[c] > refused)
      oracle_blame(o, VIOLATION_COUNT, v->now_ms, c, v->ring[c] - refused,
                   "more were told as refused by a ring than it refused");
    if (v->ring[c] < surely && o->damaged_frames == 0)
      oracle_blame(o, VIOLATION_COUNT, v->now_ms, c, surely - v->ring[c],
                   "fewer were told as refused by a ring than it refused");
  }
}

/* Each eviction is told once, also where it is part of an upper bound. On flash there are upper
 * bounds of frames that cannot be read, too. */
static void judge_evicted(verdict *v) {
  const oracle *o = v->o;
  if (o->plan->scenario->flash || v->evicted <= o->evicted) return;
  oracle_blame(v->o, VIOLATION_COUNT, v->now_ms, UINT32_MAX, v->evicted - o->evicted,
               "more were told as evicted than were");
}

/* Each boot that was cut is told of, and no other one. */
static void judge_unclean(verdict *v) {
  oracle *o = v->o;
  for (uint32_t b = 0; b < o->boot_count; b++) {
    const oracle_boot_row *boot = &o->boots[b];
    if (stands_for(o, b) != b || boot->unclean == v->told[b].cut) continue;
    if (boot->unclean && b + 1u == o->boot_count) continue; /* nobody could tell */
    oracle_blame_of(o, VIOLATION_COUNT, v->now_ms, UINT32_MAX, boot->number,
                    boot->unclean ? "boot %llu was cut, and nothing tells of it"
                                  : "boot %llu is told as cut, and was not",
                    (unsigned long long)boot->number);
  }
}

/* ---- Time ------------------------------------------------------------------------------------ */

static bool clock_was_wrong(const oracle *o, int64_t ms, int64_t noticed_ms) {
  for (uint32_t i = 0; i < o->clock_count; i++) {
    int64_t to_ms = o->clocks[i].to_ms;
    if (to_ms < INT64_MAX - noticed_ms) to_ms += noticed_ms;
    if (ms >= o->clocks[i].from_ms - CLOCK_LOOKED_AT_MS && ms <= to_ms) return true;
  }
  return false;
}

static bool anchors_near(verdict *v, uint64_t boot, uint64_t tick, htel_anchor pair[2],
                         bool found[2]) {
  if (v->store->anchors_near(v->store->ctx, v->id, boot, tick, pair, found) == STORE_OK)
    return true;
  v->failed = true;
  return false;
}

static bool anchor_is_right(const oracle *o, uint32_t boot, const htel_anchor *a,
                            uint64_t *error_ms) {
  *error_ms = oracle_apart_ms(placing_offset_ms(a), oracle_offset_ms(o, boot));
  if (*error_ms <= (uint64_t)a->uncertainty_ms + 1u) return true;
  int64_t at_ms = (int64_t)a->tick - o->boots[boot].tick_of_zero;
  return clock_was_wrong(o, at_ms, CLOCK_LOOKED_AT_MS);
}

static bool anchor_look(verdict *v, uint32_t boot, const htel_anchor *a) {
  uint64_t error_ms;
  if (anchor_is_right(v->o, boot, a, &error_ms)) return true;
  oracle_blame(v->o, VIOLATION_TIME, v->now_ms, UINT32_MAX, error_ms,
               "an anchor is further from the truth than it says, in ms");
  return false;
}

/* Each anchor is as right as it says. How many the boot has. */
static uint32_t judge_anchors(verdict *v, uint32_t boot) {
  htel_anchor pair[2];
  bool found[2];
  uint32_t count = 0;
  for (uint64_t tick = 0; count < ANCHORS_LOOKED_AT_MAX; tick = pair[1].tick) {
    if (!anchors_near(v, v->o->boots[boot].number, tick, pair, found)) return count;
    if (tick == 0 && found[0]) count++;
    if (tick == 0 && found[0] && !anchor_look(v, boot, &pair[0])) return count;
    if (!found[1]) return count;
    count++;
    if (!anchor_look(v, boot, &pair[1])) return count;
  }
  return count;
}

/* A place far from the truth has to be that of the anchor before it, and the clock wrong then. */
static void judge_odd(verdict *v, const odd_placing *odd, uint64_t tick) {
  oracle *o = v->o;
  const oracle_boot_row *b = &o->boots[odd->boot];
  htel_anchor pair[2];
  bool found[2];
  if (!anchors_near(v, b->number, tick, pair, found) || (!found[0] && !found[1])) return;
  const htel_anchor *a = &pair[found[0] ? 0 : 1];
  if (placing_offset_ms(a) != odd->offset_ms) {
    oracle_blame(o, VIOLATION_TIME, v->now_ms, UINT32_MAX, tick,
                 "a frame is placed by another anchor than the one before it");
    return;
  }
  uint64_t error_ms = oracle_apart_ms(odd->offset_ms, oracle_offset_ms(o, odd->boot));
  if (error_ms <= (uint64_t)a->uncertainty_ms + UTC_BOUND_MS) return;
  int64_t anchor_ms = (int64_t)a->tick - b->tick_of_zero;
  if (clock_was_wrong(o, (int64_t)tick - b->tick_of_zero, CLOCK_NOTICED_MS)) return;
  if (a->tick > tick && clock_was_wrong(o, anchor_ms, CLOCK_LOOKED_AT_MS)) return;
  oracle_blame(o, VIOLATION_TIME, v->now_ms, UINT32_MAX, error_ms,
               "readings are placed too far from the truth, in ms");
}

static bool has_stored(const oracle *o, uint32_t boot) {
  for (uint32_t c = 0; c < o->channel_count; c++) {
    const oracle_channel *ch = &o->channels[c];
    for (uint32_t i = 0; i < ch->accepted_count; i++) {
      const accepted_run *a = &ch->accepted[i];
      if (a->boot == boot && spans_within(&ch->stored, a->first, a->end) > 0) return true;
    }
  }
  return false;
}

/* It lasted so long, and closed well, so it must have said what time it was: from its own clock or
 * from the server's. */
static bool owes_anchor(const verdict *v, uint32_t boot) {
  const oracle_boot_row *b = &v->o->boots[boot];
  return !b->unclean && v->now_ms - b->from_ms >= ANCHOR_BY_MS && has_stored(v->o, boot);
}

static void judge_time(verdict *v) {
  oracle *o = v->o;
  for (uint32_t b = 0; b < o->boot_count; b++) {
    if (v->told[b].alarms_gone || stands_for(o, b) != b) continue;
    uint32_t anchors = judge_anchors(v, b);
    if (anchors > 0 && o->boots[b].unplaced_first <= o->boots[b].unplaced_last)
      oracle_blame(o, VIOLATION_TIME, v->now_ms, UINT32_MAX, o->boots[b].number,
                   "frames of a boot that said what time it was have no place");
    if (anchors == 0 && owes_anchor(v, b))
      oracle_blame(o, VIOLATION_TIME, v->now_ms, UINT32_MAX, o->boots[b].number,
                   "a boot that never said what time it was");
  }
  for (uint32_t i = 0; i < o->odd_count; i++) {
    const odd_placing *odd = &o->odd[i];
    if (v->told[stands_for(o, odd->boot)].alarms_gone) continue;
    if (!odd->cut_first) judge_odd(v, odd, odd->tick_first);
    if (!odd->cut_last && odd->tick_last != odd->tick_first) judge_odd(v, odd, odd->tick_last);
  }
}

/* ---- All of it ------------------------------------------------------------------------------- */

static void judge_holes(verdict *v, const audit_report *audit) {
  oracle *o = v->o;
  if (audit->hole_count > o->damaged_frames)
    oracle_blame(o, VIOLATION_HOLE, v->now_ms, UINT32_MAX, audit->hole_count,
                 "sequence numbers that nothing explains");
  if (audit->alerts > 0 && audit->quarantined > 0)
    oracle_blame(o, VIOLATION_CONFLICT, v->now_ms, UINT32_MAX, audit->quarantined,
                 "frames in quarantine, although nobody else has this id");
}

static void judge_all(verdict *v, const audit_report *audit) {
  oracle *o = v->o;
  missing_count(v);
  judge_missing(v, audit);
  if (o->cloned) return;
  judge_ring(v);
  judge_evicted(v);
  judge_holes(v, audit);
  if (o->damaged_frames > 0) return;
  judge_unclean(v);
  judge_time(v);
}

void oracle_judge(oracle *o, const store *s, const char *device_id, const audit_report *audit,
                  int64_t now_ms) {
  verdict v = {.o = o, .store = s, .id = device_id, .now_ms = now_ms};
  if (o->boot_count == 0) return;
  v.told = calloc(o->boot_count, sizeof *v.told);
  v.missing = calloc(o->boot_count, sizeof *v.missing);
  v.failed = v.told == NULL || v.missing == NULL || o->no_memory;
  if (!v.failed) v.failed = s->losses_visit(s->ctx, device_id, told_look, &v) != STORE_OK;
  if (!v.failed) judge_all(&v, audit);
  if (v.failed) oracle_blame(o, VIOLATION_MEMORY, now_ms, UINT32_MAX, 0, "no memory to judge with");
  free(v.told);
  free(v.missing);
}
