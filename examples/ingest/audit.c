/* SPDX-License-Identifier: Apache-2.0 */
#include "audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Boots that ended without notice, from a device's own record. */
#define EVICTION_BOOTS_MAX 1000u /* that one record is taken for */

typedef struct unclean_span {
  uint64_t first, last;
} unclean_span;

typedef struct work {
  const store *store;
  audit_report *report;
  audit_ranges present; /* stored or in quarantine */
  audit_ranges aside;
  audit_ranges covered; /* by records of evicted frames */
  htel_loss *evictions;
  size_t eviction_count, eviction_room;
  unclean_span *unclean;
  size_t unclean_count, unclean_room;
  bool no_memory;
} work;

/* ---- Ranges -------------------------------------------------------------------------- */

static bool ranges_push(audit_ranges *r, audit_range range) {
  if (r->count == r->room) {
    size_t room = r->room == 0 ? 64 : 2 * r->room;
    audit_range *items = realloc(r->items, room * sizeof *items);
    if (items == NULL) return false;
    r->items = items;
    r->room = room;
  }
  r->items[r->count++] = range;
  return true;
}

/* Adds a sequence that is not before those added already. */
static bool ranges_extend(audit_ranges *r, uint64_t boot, uint32_t sequence) {
  audit_range *last = r->count > 0 ? &r->items[r->count - 1] : NULL;
  if (last != NULL && last->boot == boot && sequence >= last->first) {
    if (sequence <= last->last) return true;
    if (sequence == last->last + 1) {
      last->last = sequence;
      return true;
    }
  }
  return ranges_push(r, (audit_range){boot, sequence, sequence});
}

static int range_compare(const void *left, const void *right) {
  const audit_range *a = left, *b = right;
  if (a->boot != b->boot) return a->boot < b->boot ? -1 : 1;
  if (a->first != b->first) return a->first < b->first ? -1 : 1;
  return a->last < b->last ? -1 : a->last > b->last;
}

/* Sorted, and one range where several touch. */
static void ranges_join(audit_ranges *r) {
  if (r->count == 0) return;
  qsort(r->items, r->count, sizeof *r->items, range_compare);
  size_t kept = 0;
  for (size_t i = 1; i < r->count; i++) {
    audit_range *into = &r->items[kept];
    const audit_range *next = &r->items[i];
    if (next->boot == into->boot && (uint64_t)next->first <= (uint64_t)into->last + 1) {
      if (next->last > into->last) into->last = next->last;
    } else {
      r->items[++kept] = *next;
    }
  }
  r->count = kept + 1;
}

/* ---- Boots --------------------------------------------------------------------------- */

/* The entry for this boot. Frames come boot by boot, so only the last entry is looked at; a boot
 * that is met again later gets another entry, and boots_join makes one of them. */
static audit_boot *boot_of(work *w, uint64_t boot) {
  audit_report *report = w->report;
  if (report->boot_count > 0 && report->boots[report->boot_count - 1].boot == boot)
    return &report->boots[report->boot_count - 1];
  if (report->boot_count == report->boot_room) {
    size_t room = report->boot_room == 0 ? 16 : 2 * report->boot_room;
    audit_boot *boots = realloc(report->boots, room * sizeof *boots);
    if (boots == NULL) return NULL;
    report->boots = boots;
    report->boot_room = room;
  }
  audit_boot *added = &report->boots[report->boot_count++];
  *added = (audit_boot){.boot = boot};
  return added;
}

static bool boot_reaches(work *w, uint64_t boot, uint32_t sequence) {
  audit_boot *b = boot_of(w, boot);
  if (b == NULL) return false;
  if (sequence > b->highest) b->highest = sequence;
  return true;
}

static int boot_compare(const void *left, const void *right) {
  const audit_boot *a = left, *b = right;
  return a->boot < b->boot ? -1 : a->boot > b->boot;
}

/* Sorted, one entry for each boot. */
static void boots_join(audit_report *report) {
  if (report->boot_count == 0) return;
  qsort(report->boots, report->boot_count, sizeof *report->boots, boot_compare);
  size_t kept = 0;
  for (size_t i = 1; i < report->boot_count; i++) {
    audit_boot *into = &report->boots[kept];
    const audit_boot *next = &report->boots[i];
    if (next->boot != into->boot) {
      report->boots[++kept] = *next;
      continue;
    }
    if (next->highest > into->highest) into->highest = next->highest;
    into->frames += next->frames;
    into->unclean |= next->unclean;
  }
  report->boot_count = kept + 1;
}

static audit_boot *boot_find(audit_report *report, uint64_t boot) {
  audit_boot key = {.boot = boot};
  if (report->boot_count == 0) return NULL;
  return bsearch(&key, report->boots, report->boot_count, sizeof key, boot_compare);
}

static int loss_compare(const void *left, const void *right) {
  const htel_loss *a = left, *b = right;
  return a->boot < b->boot ? -1 : a->boot > b->boot;
}

/* ---- What the store says ------------------------------------------------------------- */

static bool eviction_add(work *w, const htel_loss *loss) {
  if (w->eviction_count == w->eviction_room) {
    size_t room = w->eviction_room == 0 ? 64 : 2 * w->eviction_room;
    htel_loss *evictions = realloc(w->evictions, room * sizeof *evictions);
    if (evictions == NULL) return false;
    w->evictions = evictions;
    w->eviction_room = room;
  }
  w->evictions[w->eviction_count++] = *loss;
  /* A record of several boots does not say how far each of them came. */
  return loss->boot_last > loss->boot || boot_reaches(w, loss->boot, loss->sequence_last);
}

/* A record of several boots counts for each of them, as far as that can be. */
static bool evictions_add(work *w, const htel_loss *loss) {
  htel_loss one = *loss;
  bool ok = eviction_add(w, &one);
  for (uint32_t i = 1; ok && i < EVICTION_BOOTS_MAX && loss->boot + i <= loss->boot_last; i++) {
    one.boot = loss->boot + i;
    one.readings = 0; /* counted with the first */
    one.boot_last = UINT64_MAX;
    ok = eviction_add(w, &one);
  }
  return ok;
}

static bool unclean_add(work *w, const htel_loss *loss) {
  if (w->unclean_count == w->unclean_room) {
    size_t room = w->unclean_room == 0 ? 16 : 2 * w->unclean_room;
    unclean_span *unclean = realloc(w->unclean, room * sizeof *unclean);
    if (unclean == NULL) return false;
    w->unclean = unclean;
    w->unclean_room = room;
  }
  uint64_t last = loss->boot_last > loss->boot ? loss->boot_last : loss->boot;
  w->unclean[w->unclean_count++] = (unclean_span){loss->boot, last};
  w->report->lost_unclean += loss->readings;
  if (!loss->at_most) w->report->lost_unclean_open = true;
  return true;
}

static bool visit_loss(void *arg, const store_loss_row *row) {
  work *w = arg;
  bool ok = true;
  switch (row->loss.cause) {
    case HTEL_CAUSE_RING_FULL: w->report->lost_ring_full += row->loss.readings; break;
    case HTEL_CAUSE_OUTBOX_FULL: ok = evictions_add(w, &row->loss); break;
    case HTEL_CAUSE_UNCLEAN_STOP: ok = unclean_add(w, &row->loss); break;
    default: w->report->lost_other += row->loss.readings; break;
  }
  if (!ok) w->no_memory = true;
  return ok;
}

static bool visit_frame(void *arg, const store_frame_row *row) {
  work *w = arg;
  audit_report *report = w->report;
  report->frames++;
  report->numerics += row->numerics;
  report->samples += row->samples;
  report->alarms += row->alarms;
  report->payload_bytes += row->payload_bytes;
  audit_boot *b = boot_of(w, row->boot);
  if (b == NULL || !ranges_extend(&w->present, row->boot, row->sequence)) {
    w->no_memory = true;
    return false;
  }
  b->frames++;
  if (row->sequence > b->highest) b->highest = row->sequence;
  return true;
}

static bool visit_aside(void *arg, uint64_t boot, uint32_t sequence) {
  work *w = arg;
  w->no_memory = !boot_reaches(w, boot, sequence) || !ranges_extend(&w->aside, boot, sequence);
  return !w->no_memory;
}

static bool visit_alert(void *arg, const store_alert *alert) {
  (void)alert;
  ++*(uint64_t *)arg;
  return true;
}

/* ---- What follows from it ------------------------------------------------------------ */

/* Where the ranges of this boot begin that end at `sequence` or later. */
static size_t ranges_from(const audit_ranges *r, uint64_t boot, uint32_t sequence) {
  size_t low = 0, high = r->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const audit_range *range = &r->items[middle];
    if (range->boot < boot || (range->boot == boot && range->last < sequence))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Numbers of `range` that none of `present` holds. */
static uint64_t missing_within(const audit_ranges *present, const audit_range *range) {
  uint64_t missing = (uint64_t)range->last - range->first + 1;
  for (size_t i = ranges_from(present, range->boot, range->first); i < present->count; i++) {
    const audit_range *p = &present->items[i];
    if (p->boot != range->boot || p->first > range->last) break;
    uint32_t first = p->first > range->first ? p->first : range->first;
    uint32_t last = p->last < range->last ? p->last : range->last;
    missing -= (uint64_t)last - first + 1;
  }
  return missing;
}

/* Of the evicted frames, those that are stored have arrived after all. Unless the count is an upper
 * bound the range holds no other frames of the class, so these are exactly they. */
static int eviction_settle(work *w, const htel_loss *e, uint64_t *lost_frames) {
  audit_report *report = w->report;
  uint64_t stored = 0, stored_readings = 0;
  int rc = w->store->frames_sum(w->store->ctx, report->device, e, &stored, &stored_readings);
  if (rc != STORE_OK) return rc;
  audit_range range = {e->boot, e->sequence_first, e->sequence_last};
  uint64_t missing = missing_within(&w->present, &range);
  if (e->at_most) {
    bool any = missing > 0;
    report->lost_outbox_at_most |= any;
    report->lost_outbox_full += any ? e->readings : 0;
    *lost_frames = e->frames < missing ? e->frames : missing;
    report->lost_outbox_frames += *lost_frames;
    return STORE_OK;
  }
  report->lost_outbox_full +=
      e->readings - (stored_readings < e->readings ? stored_readings : e->readings);
  *lost_frames = e->frames - (stored < e->frames ? stored : e->frames);
  report->lost_outbox_frames += *lost_frames;
  return STORE_OK;
}

static int span_compare(const void *left, const void *right) {
  const unclean_span *a = left, *b = right;
  if (a->first != b->first) return a->first < b->first ? -1 : 1;
  return a->last < b->last ? -1 : a->last > b->last;
}

/* Counts the boots that ended without notice, each once however often it was told, and marks those
 * that something is known of. */
static void unclean_settle(work *w) {
  audit_report *report = w->report;
  if (w->unclean_count == 0) return;
  qsort(w->unclean, w->unclean_count, sizeof *w->unclean, span_compare);
  uint64_t next = 0; /* boots below are counted */
  for (size_t i = 0; i < w->unclean_count; i++) {
    unclean_span span = w->unclean[i];
    if (span.first < next) span.first = next;
    if (span.last < span.first) continue;
    report->unclean_stops += span.last - span.first + 1;
    next = span.last + 1;
    for (size_t k = 0; k < report->boot_count; k++)
      if (report->boots[k].boot >= span.first && report->boots[k].boot <= span.last)
        report->boots[k].unclean = true;
  }
}

/* Walks the numbers of one boot from 1 and notes what no range of `covered` holds. */
static bool find_holes(work *w, const audit_ranges *covered, const audit_boot *boot) {
  audit_ranges *into = boot->unclean ? &w->report->unclean_holes : &w->report->holes;
  uint64_t next = 1;
  for (size_t i = ranges_from(covered, boot->boot, 0); next <= boot->highest; i++) {
    bool more = i < covered->count && covered->items[i].boot == boot->boot;
    uint64_t until = more ? covered->items[i].first : (uint64_t)boot->highest + 1;
    if (until > next) {
      audit_range hole = {boot->boot, (uint32_t)next, (uint32_t)(until - 1)};
      if (!ranges_push(into, hole)) return false;
      if (!boot->unclean) w->report->hole_count += until - next;
    }
    next = more ? (uint64_t)covered->items[i].last + 1 : until;
  }
  return true;
}

/* A range of evicted frames also spans numbers of other classes. More missing in it than were
 * evicted is unexplained, though which ones cannot be said. The ranges go into `covered`. */
static int evictions_conclude(work *w) {
  audit_ranges ranges = {0};
  uint64_t evicted = 0; /* frames of the boot at hand that are lost by its records */
  int rc = STORE_OK;
  for (size_t i = 0; i < w->eviction_count && rc == STORE_OK; i++) {
    const htel_loss *e = &w->evictions[i];
    uint64_t lost_frames = 0;
    rc = eviction_settle(w, e, &lost_frames);
    evicted += lost_frames;
    if (!ranges_push(&ranges, (audit_range){e->boot, e->sequence_first, e->sequence_last}))
      rc = STORE_AGAIN;
    bool last_of_boot = i + 1 == w->eviction_count || w->evictions[i + 1].boot != e->boot;
    if (!last_of_boot || rc != STORE_OK) continue;
    ranges_join(&ranges);
    uint64_t missing = 0;
    for (size_t k = 0; k < ranges.count; k++)
      missing += missing_within(&w->present, &ranges.items[k]);
    audit_boot *boot = boot_find(w->report, e->boot);
    if (missing > evicted && boot != NULL && !boot->unclean) {
      w->report->hole_count += missing - evicted;
      w->report->holes_among_evicted += missing - evicted;
    }
    for (size_t k = 0; k < ranges.count && rc == STORE_OK; k++)
      if (!ranges_push(&w->covered, ranges.items[k])) rc = STORE_AGAIN;
    ranges.count = 0;
    evicted = 0;
  }
  free(ranges.items);
  return rc;
}

static int conclude(work *w) {
  audit_report *report = w->report;
  for (size_t i = 0; i < w->aside.count; i++) {
    report->quarantined += (uint64_t)w->aside.items[i].last - w->aside.items[i].first + 1;
    if (!ranges_push(&w->present, w->aside.items[i])) return STORE_AGAIN;
  }
  ranges_join(&w->present);
  boots_join(report);
  unclean_settle(w);
  if (w->eviction_count > 0)
    qsort(w->evictions, w->eviction_count, sizeof *w->evictions, loss_compare);
  int rc = evictions_conclude(w);
  if (rc != STORE_OK) return rc;
  for (size_t i = 0; i < w->covered.count; i++)
    if (!ranges_push(&w->present, w->covered.items[i])) return STORE_AGAIN;
  ranges_join(&w->present);
  for (size_t i = 0; i < report->boot_count; i++)
    if (!find_holes(w, &w->present, &report->boots[i])) return STORE_AGAIN;
  return STORE_OK;
}

int audit_device(const store *s, const char *device, audit_report *report) {
  *report = (audit_report){0};
  snprintf(report->device, sizeof report->device, "%s", device);
  work w = {.store = s, .report = report};
  int rc = s->losses_visit(s->ctx, device, visit_loss, &w);
  if (rc == STORE_OK) rc = s->frames_visit(s->ctx, device, visit_frame, &w);
  if (rc == STORE_OK) rc = s->asides_visit(s->ctx, device, visit_aside, &w);
  if (rc == STORE_OK) rc = s->alerts_visit(s->ctx, device, visit_alert, &report->alerts);
  if (rc == STORE_OK) rc = s->counters_get(s->ctx, device, report->counters);
  if (rc == STORE_OK) rc = w.no_memory ? STORE_AGAIN : conclude(&w);
  free(w.present.items);
  free(w.aside.items);
  free(w.covered.items);
  free(w.unclean);
  free(w.evictions);
  return rc;
}

void audit_free(audit_report *report) {
  free(report->boots);
  free(report->unclean_holes.items);
  free(report->holes.items);
  *report = (audit_report){0};
}

bool audit_clean(const audit_report *report) {
  return report->hole_count == 0 && report->alerts == 0;
}
