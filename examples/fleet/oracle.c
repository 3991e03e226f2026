/* SPDX-License-Identifier: Apache-2.0 */
/* oracle.c - what was accepted, and is each stored reading one of these?
 *
 *     record call -> accepted runs          stored frame -> number of each reading, by its tick
 *                         \________ equal? ________/
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle_parts.h"

#define POLL_GAP_MS 5000 /* a device that is well is polled sooner */

static const char *const names[VIOLATION_KINDS] = {
    [VIOLATION_NONE] = "none",           [VIOLATION_LOST] = "lost",
    [VIOLATION_DUPLICATE] = "duplicate", [VIOLATION_FOREIGN] = "foreign",
    [VIOLATION_VALUE] = "value",         [VIOLATION_TIME] = "time",
    [VIOLATION_COUNT] = "count",         [VIOLATION_HOLE] = "hole",
    [VIOLATION_CONFLICT] = "conflict",   [VIOLATION_ALARM_LATE] = "alarm-late",
    [VIOLATION_NOT_WOKEN] = "not-woken", [VIOLATION_MEMORY] = "memory",
    [VIOLATION_SILENT] = "silent",       [VIOLATION_STORM] = "storm",
    [VIOLATION_STUCK] = "stuck",         [VIOLATION_FLASH] = "flash",
    [VIOLATION_TRANSPORT] = "transport", [VIOLATION_UNVERIFIED] = "unverified",
};

const char *violation_name(violation_kind kind) {
  return (unsigned)kind < VIOLATION_KINDS ? names[kind] : "unknown";
}

uint8_t oracle_class_of(htel_kind kind) {
  if (kind == HTEL_NUMERIC) return HTEL_CLASS_NUMERIC;
  return kind == HTEL_WAVEFORM ? HTEL_CLASS_WAVEFORM : HTEL_CLASS_ALARM;
}

oracle *oracle_new(const plan *p, uint64_t run_seed, uint32_t device) {
  oracle *o = calloc(1, sizeof *o);
  if (o == NULL) return NULL;
  o->plan = p;
  o->device = device;
  o->channel_count = p->scenario->channel_count;
  for (uint32_t c = 0; c < o->channel_count; c++)
    o->channels[c].signal = signal_seed(run_seed, device, c);
  return o;
}

void oracle_free(oracle *o) {
  if (o == NULL) return;
  for (uint32_t c = 0; c < o->channel_count; c++) {
    free(o->channels[c].accepted);
    spans_free(&o->channels[c].stored);
    spans_free(&o->channels[c].aside);
  }
  for (uint32_t b = 0; b < o->boot_count; b++) free(o->boots[b].refused);
  free(o->boots);
  free(o->clocks);
  free(o->odd);
  free(o);
}

void oracle_blame(oracle *o, violation_kind kind, int64_t now_ms, uint32_t channel, uint64_t number,
                  const char *text) {
  o->totals.violations++;
  if (kind == VIOLATION_LOST) o->totals.lost += number;
  if (kind == VIOLATION_DUPLICATE) o->totals.duplicates += number;
  if (o->kept_count == ORACLE_VIOLATIONS_KEPT) return;
  violation *v = &o->kept[o->kept_count++];
  *v = (violation){
      .kind = kind, .at_ms = now_ms, .device = o->device, .channel = channel, .number = number};
  snprintf(v->text, sizeof v->text, "%s", text);
}

void oracle_blame_of(oracle *o, violation_kind kind, int64_t now_ms, uint32_t channel,
                     uint64_t number, const char *format, ...) {
  char text[sizeof o->kept[0].text];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  oracle_blame(o, kind, now_ms, channel, number, text);
}

/* ---- What the device does -------------------------------------------------------------------- */

/* One more at the end of an array; NULL: no memory, which the judge tells. */
static void *grown(oracle *o, void *items, uint32_t count, uint32_t *room, size_t size) {
  if (count < *room) return items;
  uint32_t more = *room == 0 ? 4u : *room + *room / 2u;
  void *new_items = realloc(items, more * size);
  if (new_items == NULL) {
    o->no_memory = true;
    return NULL;
  }
  *room = more;
  return new_items;
}

void oracle_boot(oracle *o, uint64_t boot, int64_t now_ms, int64_t tick_of_zero) {
  oracle_boot_row *rows = grown(o, o->boots, o->boot_count, &o->boot_room, sizeof *rows);
  if (rows == NULL) return;
  o->boots = rows;
  rows[o->boot_count++] = (oracle_boot_row){.number = boot,
                                            .from_ms = now_ms,
                                            .to_ms = INT64_MAX,
                                            .tick_of_zero = tick_of_zero,
                                            .polled_ms = INT64_MIN,
                                            .gap_to_ms = INT64_MIN,
                                            .tick_first = UINT64_MAX,
                                            .unplaced_first = UINT64_MAX};
}

void oracle_polled(oracle *o, int64_t now_ms) {
  if (o->boot_count == 0) return;
  oracle_boot_row *boot = &o->boots[o->boot_count - 1u];
  int64_t before_ms = boot->polled_ms == INT64_MIN ? boot->from_ms : boot->polled_ms;
  if (now_ms - before_ms > POLL_GAP_MS) {
    boot->gap_from_ms = before_ms;
    boot->gap_to_ms = now_ms;
  }
  boot->polled_ms = now_ms;
}

void oracle_evicted(oracle *o, uint64_t count) {
  o->evicted += count;
}

void oracle_reset(oracle *o, int64_t now_ms) {
  if (o->boot_count == 0) return;
  o->boots[o->boot_count - 1u].unclean = true;
  o->boots[o->boot_count - 1u].to_ms = now_ms;
}

void oracle_damaged(oracle *o, uint32_t frames_max) {
  o->damaged_frames += frames_max;
}

void oracle_cloned(oracle *o) {
  o->cloned = true;
}

void oracle_utc(oracle *o, int64_t utc_of_zero) {
  o->utc_of_zero = utc_of_zero;
}

void oracle_clock_wrong(oracle *o, int64_t from_ms, int64_t to_ms) {
  for (uint32_t i = 0; i < o->clock_count; i++) {
    if (o->clocks[i].from_ms != from_ms) continue;
    o->clocks[i].to_ms = to_ms;
    return;
  }
  wrong_clock *clocks = grown(o, o->clocks, o->clock_count, &o->clock_room, sizeof *clocks);
  if (clocks == NULL) return;
  o->clocks = clocks;
  clocks[o->clock_count++] = (wrong_clock){from_ms, to_ms};
}

static void refused(oracle *o, unsigned channel, uint32_t count) {
  o->totals.refused += count;
  oracle_boot_row *boot = &o->boots[o->boot_count - 1u];
  if (boot->refused == NULL) boot->refused = calloc(o->channel_count, sizeof *boot->refused);
  if (boot->refused == NULL)
    o->no_memory = true;
  else
    boot->refused[channel] += count;
}

void oracle_recorded(void *ctx, unsigned channel, uint64_t first, uint32_t count, int rc) {
  oracle *o = ctx;
  if (o->boot_count == 0) return;
  if (rc != 0) {
    refused(o, channel, count);
    return;
  }
  o->totals.accepted += count;
  oracle_channel *c = &o->channels[channel];
  accepted_run *last = c->accepted_count > 0 ? &c->accepted[c->accepted_count - 1u] : NULL;
  if (last != NULL && last->end == first && last->boot == o->boot_count - 1u) {
    last->end += count;
    return;
  }
  accepted_run *runs = grown(o, c->accepted, c->accepted_count, &c->accepted_room, sizeof *runs);
  if (runs == NULL) return;
  c->accepted = runs;
  runs[c->accepted_count++] = (accepted_run){first, first + count, o->boot_count - 1u};
}

/* ---- What is stored ------------------------------------------------------------------------- */

static oracle_boot_row *boot_of(const oracle *o, uint64_t number) {
  for (uint32_t i = o->boot_count; i > 0; i--)
    if (o->boots[i - 1u].number == number) return &o->boots[i - 1u];
  return NULL;
}

/* The run of this boot in which number k is; NULL: it was not accepted in this boot. */
static const accepted_run *accepted_at(oracle_channel *c, uint32_t boot, uint64_t k) {
  const accepted_run *runs = c->accepted;
  if (c->hint < c->accepted_count && runs[c->hint].first <= k && k < runs[c->hint].end)
    return runs[c->hint].boot == boot ? &runs[c->hint] : NULL;
  uint32_t low = 0, high = c->accepted_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2u;
    if (runs[middle].end <= k)
      low = middle + 1u;
    else
      high = middle;
  }
  if (low == c->accepted_count || runs[low].first > k || runs[low].boot != boot) return NULL;
  c->hint = low;
  return &runs[low];
}

/* A stretch of readings that follow each other in number. */
typedef struct stretch {
  uint64_t k;
  uint32_t count;
} stretch;

/* What `found` says of its first bad reading; VIOLATION_NONE: all are right. */
typedef violation_kind (*look)(oracle *o, oracle_boot_row *boot, const readings *r,
                               const readings_run *run, uint32_t from, stretch *found);

static violation_kind stretch_accepted(oracle *o, const oracle_boot_row *boot, unsigned channel,
                                       const stretch *s) {
  uint32_t place = (uint32_t)(boot - o->boots);
  for (uint64_t k = s->k; k < s->k + s->count;) {
    const accepted_run *run = accepted_at(&o->channels[channel], place, k);
    if (run == NULL) return VIOLATION_FOREIGN;
    k = run->end;
  }
  return VIOLATION_NONE;
}

static violation_kind numerics_look(oracle *o, oracle_boot_row *boot, const readings *r,
                                    const readings_run *run, uint32_t from, stretch *found) {
  const scenario_channel *ch = &o->plan->scenario->channels[run->channel];
  uint64_t signal = o->channels[run->channel].signal;
  const readings_event *events = r->events + run->at;
  int64_t ms = (int64_t)events[from].tick - boot->tick_of_zero;
  if (ms < 0) return VIOLATION_FOREIGN;
  uint64_t k = (uint64_t)ms / ch->period_ms;
  *found = (stretch){.k = k};
  while (from + found->count < run->count &&
         signal_due_ms(ch, signal, k + found->count) ==
             (int64_t)events[from + found->count].tick - boot->tick_of_zero)
    found->count++;
  if (found->count == 0) return VIOLATION_TIME;
  violation_kind kind = stretch_accepted(o, boot, run->channel, found);
  if (kind != VIOLATION_NONE) return kind;
  int32_t values[HTEL_COLUMN_SAMPLES_MAX];
  signal_values(ch, signal, k, found->count, values);
  htel_quality quality = HTEL_VALID;
  for (uint32_t i = 0; i < found->count; i++) {
    if (i == 0 || signal_quality_changes(ch, k + i)) quality = signal_quality(ch, signal, k + i);
    if (events[from + i].value != values[i] || events[from + i].quality != quality)
      return VIOLATION_VALUE;
  }
  return VIOLATION_NONE;
}

static violation_kind alarms_look(oracle *o, oracle_boot_row *boot, const readings *r,
                                  const readings_run *run, uint32_t from, stretch *found) {
  const scenario_channel *ch = &o->plan->scenario->channels[run->channel];
  uint64_t signal = o->channels[run->channel].signal;
  const readings_event *event = r->events + run->at + from;
  int64_t ms = (int64_t)event->tick - boot->tick_of_zero;
  *found = (stretch){.k = signal_first_at(ch, signal, ms), .count = 1};
  if (ms < 0 || signal_due_ms(ch, signal, found->k) != ms) return VIOLATION_TIME;
  violation_kind kind = stretch_accepted(o, boot, run->channel, found);
  if (kind != VIOLATION_NONE) return kind;
  htel_alarm_event want;
  signal_alarm(ch, signal, found->k, &want);
  const htel_alarm_event *got = &event->alarm;
  bool same = want.code == got->code && want.state == got->state &&
              want.priority == got->priority && want.latched == got->latched &&
              want.source == got->source;
  return same ? VIOLATION_NONE : VIOLATION_VALUE;
}

/* The samples that were being recorded at `ms` in this boot, without a gap. */
static bool segment_at(const oracle *o, unsigned channel, uint32_t boot, int64_t ms,
                       accepted_run *segment) {
  const scenario_channel *ch = &o->plan->scenario->channels[channel];
  const oracle_channel *c = &o->channels[channel];
  uint32_t low = 0, high = c->accepted_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2u;
    if (signal_due_ms(ch, c->signal, c->accepted[middle].first) <= ms)
      low = middle + 1u;
    else
      high = middle;
  }
  if (low == 0 || c->accepted[low - 1u].boot != boot) return false;
  *segment = c->accepted[low - 1u];
  uint64_t end, first = signal_burst_at(ch, ms, &end);
  if (first > segment->first) segment->first = first;
  if (end < segment->end) segment->end = end;
  return segment->first < segment->end;
}

static violation_kind samples_look(oracle *o, oracle_boot_row *boot, const readings *r,
                                   const readings_run *run, uint32_t from, stretch *found) {
  const scenario_channel *ch = &o->plan->scenario->channels[run->channel];
  uint64_t signal = o->channels[run->channel].signal;
  (void)from; /* a run of samples is one stretch */
  int64_t ms = (int64_t)run->tick - boot->tick_of_zero;
  accepted_run segment;
  if (!segment_at(o, run->channel, (uint32_t)(boot - o->boots), ms, &segment))
    return VIOLATION_FOREIGN;
  int64_t since_ms = ms - signal_due_ms(ch, signal, segment.first);
  uint64_t parts = (uint64_t)since_ms * ch->rate.num + run->phase;
  if (parts % (1000u * (uint64_t)ch->rate.den) != 0) return VIOLATION_TIME;
  *found = (stretch){segment.first + parts / (1000u * (uint64_t)ch->rate.den), run->count};
  if (found->k + found->count > segment.end) return VIOLATION_FOREIGN;
  int32_t values[HTEL_COLUMN_SAMPLES_MAX];
  signal_values(ch, signal, found->k, run->count, values);
  if (memcmp(values, r->samples + run->at, run->count * sizeof *values) != 0)
    return VIOLATION_VALUE;
  const uint8_t *got = r->sample_quality + run->at;
  htel_quality quality = HTEL_VALID;
  for (uint32_t i = 0; i < run->count; i++) {
    if (i == 0 || signal_quality_changes(ch, found->k + i))
      quality = signal_quality(ch, signal, found->k + i);
    if (got[i] != quality) return VIOLATION_VALUE;
  }
  return VIOLATION_NONE;
}

static look look_of(const oracle *o, const readings_run *run) {
  if (run->channel >= o->channel_count) return NULL;
  htel_kind kind = o->plan->scenario->channels[run->channel].kind;
  if (kind != (htel_kind)run->kind) return NULL;
  return kind == HTEL_WAVEFORM ? samples_look : kind == HTEL_ALARM ? alarms_look : numerics_look;
}

static bool is_its_own(oracle *o, oracle_boot_row *boot, const store_frame *frame) {
  for (size_t i = 0; i < frame->readings->run_count; i++) {
    const readings_run *run = &frame->readings->runs[i];
    look fits = look_of(o, run);
    stretch found;
    for (uint32_t at = 0; at < run->count; at += found.count)
      if (fits == NULL || fits(o, boot, frame->readings, run, at, &found) != VIOLATION_NONE)
        return false;
  }
  return true;
}

static void keep(oracle *o, const readings_run *run, const stretch *found, bool aside,
                 int64_t now_ms) {
  oracle_channel *c = &o->channels[run->channel];
  uint64_t end = found->k + found->count;
  uint64_t known = spans_add(aside ? &c->aside : &c->stored, found->k, end);
  if (known == UINT64_MAX) {
    o->no_memory = true;
    return;
  }
  if (aside) {
    o->totals.covered_quarantine += found->count - known;
    return;
  }
  o->totals.stored += found->count;
  if (known == 0) return;
  oracle_blame(o, VIOLATION_DUPLICATE, now_ms, run->channel, known, "readings are stored twice");
}

static const char *text_of(violation_kind kind) {
  if (kind == VIOLATION_FOREIGN) return "stored, and not accepted in that boot";
  return kind == VIOLATION_TIME ? "stored with another tick"
                                : "stored with another value or quality";
}

static void run_take(oracle *o, oracle_boot_row *boot, const store_frame *frame,
                     const readings_run *run, bool aside, int64_t now_ms) {
  look fits = look_of(o, run);
  if (fits == NULL) {
    oracle_blame(o, VIOLATION_FOREIGN, now_ms, run->channel, 0, "a channel that it does not have");
    return;
  }
  for (uint32_t at = 0; at < run->count;) {
    stretch found = {0};
    violation_kind kind = fits(o, boot, frame->readings, run, at, &found);
    if (kind != VIOLATION_NONE) {
      oracle_blame(o, kind, now_ms, run->channel, found.k, text_of(kind));
      return;
    }
    o->totals.checked += found.count;
    keep(o, run, &found, aside, now_ms);
    at += found.count;
  }
}

/* ---- Where it is placed --------------------------------------------------------------------- */

int64_t oracle_offset_ms(const oracle *o, uint32_t boot) {
  return o->utc_of_zero - o->boots[boot].tick_of_zero;
}

uint64_t oracle_apart_ms(int64_t a, int64_t b) {
  return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

/* True: it is so near that it needs no look. */
static bool place_is_near(oracle *o, uint32_t boot, int64_t offset_ms) {
  uint64_t error_ms = oracle_apart_ms(offset_ms, oracle_offset_ms(o, boot));
  if (error_ms > ORACLE_UTC_NEAR_MS) return false;
  if (error_ms > o->totals.utc_error_ms_max) o->totals.utc_error_ms_max = error_ms;
  return true;
}

static void odd_add(oracle *o, const odd_placing *one) {
  if (o->odd_count == ORACLE_ODD_MAX) return;
  odd_placing *odd = grown(o, o->odd, o->odd_count, &o->odd_room, sizeof *odd);
  if (odd == NULL) return;
  o->odd = odd;
  odd[o->odd_count++] = *one;
}

static void frame_place(oracle *o, uint32_t boot, uint64_t tick, int64_t offset_ms) {
  if (place_is_near(o, boot, offset_ms)) return;
  for (uint32_t i = 0; i < o->odd_count; i++) {
    odd_placing *odd = &o->odd[i];
    if (odd->boot != boot || odd->offset_ms != offset_ms) continue;
    if (tick <= odd->tick_first) odd->cut_first = false;
    if (tick <= odd->tick_first) odd->tick_first = tick;
    if (tick >= odd->tick_last) odd->cut_last = false;
    if (tick >= odd->tick_last) odd->tick_last = tick;
    return;
  }
  odd_add(o, &(odd_placing){boot, false, false, tick, tick, offset_ms});
}

/* What is left of an odd placing beside first to last. */
static bool odd_trim(odd_placing *odd, uint64_t first, uint64_t last) {
  if (odd->tick_last < first || odd->tick_first > last) return true;
  bool before = odd->tick_first<first, after = odd->tick_last> last;
  if (before && after) return true; /* its ends still stand */
  if (!before && !after) return false;
  if (before) {
    odd->tick_last = first - 1u;
    odd->cut_last = true;
  } else {
    odd->tick_first = last + 1u;
    odd->cut_first = true;
  }
  return true;
}

static void unplaced_trim(oracle_boot_row *boot, uint64_t first, uint64_t last) {
  bool begin = first <= boot->unplaced_first, end = last >= boot->unplaced_last;
  if (begin && end) {
    boot->unplaced_first = UINT64_MAX;
    boot->unplaced_last = 0;
  } else if (begin && last >= boot->unplaced_first) {
    boot->unplaced_first = last + 1u;
  } else if (end && first <= boot->unplaced_last && first > 0) {
    boot->unplaced_last = first - 1u;
  }
}

/* The ingest places frames anew when an anchor comes: what was placed there before is not any more.
 */
void oracle_placed(oracle *o, uint64_t boot, uint64_t tick_first, uint64_t tick_last,
                   int64_t offset_ms) {
  oracle_boot_row *row = boot_of(o, boot);
  if (row == NULL) return;
  uint32_t place = (uint32_t)(row - o->boots), kept = 0;
  for (uint32_t i = 0; i < o->odd_count; i++)
    if (o->odd[i].boot != place || odd_trim(&o->odd[i], tick_first, tick_last))
      o->odd[kept++] = o->odd[i];
  o->odd_count = kept;
  if (row->unplaced_first <= row->unplaced_last) unplaced_trim(row, tick_first, tick_last);
  /* Where frames lie. */
  if (tick_first < row->tick_first) tick_first = row->tick_first;
  if (tick_last > row->tick_last) tick_last = row->tick_last;
  if (tick_first > tick_last || place_is_near(o, place, offset_ms)) return;
  odd_add(o, &(odd_placing){place, false, false, tick_first, tick_last, offset_ms});
}

static void frame_in_time(oracle *o, oracle_boot_row *boot, const store_frame *frame) {
  uint64_t tick = frame->frame->tick;
  if (tick < boot->tick_first) boot->tick_first = tick;
  if (tick > boot->tick_last) boot->tick_last = tick;
  if (!frame->placed) {
    if (tick < boot->unplaced_first) boot->unplaced_first = tick;
    if (tick > boot->unplaced_last) boot->unplaced_last = tick;
    return;
  }
  o->totals.placed += frame->readings->sample_count + frame->readings->event_count;
  frame_place(o, (uint32_t)(boot - o->boots), tick, frame->offset_ms);
}

bool oracle_takes(oracle *o, const store_frame *frame, bool quarantined, int64_t now_ms) {
  oracle_boot_row *boot = boot_of(o, frame->frame->boot);
  if (o->cloned && (boot == NULL || !is_its_own(o, boot, frame))) return false;
  if (boot == NULL) {
    oracle_blame(o, VIOLATION_FOREIGN, now_ms, UINT32_MAX, frame->frame->boot,
                 "a boot that it did not have");
    return true;
  }
  for (size_t i = 0; i < frame->readings->run_count; i++)
    run_take(o, boot, frame, &frame->readings->runs[i], quarantined, now_ms);
  if (quarantined && !o->cloned)
    oracle_blame(o, VIOLATION_CONFLICT, now_ms, UINT32_MAX, frame->frame->sequence,
                 "put aside, although nobody else has this id");
  if (!quarantined) frame_in_time(o, boot, frame);
  return true;
}

/* ---- What it says --------------------------------------------------------------------------- */

const oracle_totals *oracle_totals_of(const oracle *o) {
  return &o->totals;
}

const violation *oracle_violation(const oracle *o, unsigned i) {
  return i < o->kept_count ? &o->kept[i] : NULL;
}

size_t oracle_memory_bytes(const oracle *o) {
  size_t bytes = sizeof *o + o->boot_room * sizeof *o->boots + o->clock_room * sizeof *o->clocks +
                 o->odd_room * sizeof *o->odd;
  for (uint32_t c = 0; c < o->channel_count; c++) {
    const oracle_channel *ch = &o->channels[c];
    bytes += ch->accepted_room * sizeof *ch->accepted +
             (ch->stored.room + ch->aside.room) * sizeof *ch->stored.items;
  }
  return bytes;
}
