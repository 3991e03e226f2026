/* SPDX-License-Identifier: Apache-2.0 */
/* result.c - adding up. */
#include "result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS 60000
#define DRAIN_MS 86400000
#define SPREAD_MS 1000 /* the library's own window, where the scenario gives none */

/* 10, 20, 50, 100 ms ... */
static const int64_t bounds_ms[RESULT_DELAYS] = {
    10,       20,       50,       100,       200,       500,       1000,      2000,
    3000,     5000,     10000,    20000,     30000,     45000,     60000,     90000,
    120000,   180000,   300000,   600000,    900000,    1800000,   2700000,   3600000,
    5400000,  7200000,  10800000, 14400000,  21600000,  28800000,  36000000,  43200000,
    57600000, 72000000, 86400000, 108000000, 129600000, 151200000, 172800000, INT64_MAX};

/* Erases of a block that datasheets promise are 10,000 and 100,000. */
static const uint32_t wears_erases[RESULT_WEARS] = {
    0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000, UINT32_MAX};

bool result_init(result *r, const scenario *s) {
  *r = (result){.storm_ms = -1, .storm_back_ms = -1, .step_ms = MINUTE_MS};
  int64_t whole_ms = (int64_t)s->hours * 60 * MINUTE_MS + DRAIN_MS;
  while (whole_ms / r->step_ms >= RESULT_POINTS_MAX) r->step_ms *= 2;
  r->points = calloc(RESULT_POINTS_MAX, sizeof *r->points);
  return r->points != NULL;
}

void result_free(result *r) {
  free(r->points);
  r->points = NULL;
}

unsigned result_delay_bucket(int64_t delay_ms) {
  unsigned low = 0, high = RESULT_DELAYS - 1u;
  while (low < high) {
    unsigned middle = (low + high) / 2u;
    if (delay_ms <= bounds_ms[middle])
      high = middle;
    else
      low = middle + 1u;
  }
  return low;
}

int64_t result_delay_ms(unsigned bucket) {
  return bounds_ms[bucket];
}

unsigned result_wear_bucket(uint32_t erases) {
  unsigned bucket = 0;
  while (erases > wears_erases[bucket]) bucket++;
  return bucket;
}

uint32_t result_wear_erases(unsigned bucket) {
  return wears_erases[bucket];
}

static void point_sum(result_point *to, const result_point *from) {
  to->connects += from->connects;
  to->backlog_frames += from->backlog_frames;
  to->backlog_devices += from->backlog_devices;
  to->up_bytes += from->up_bytes;
  to->down_bytes += from->down_bytes;
  to->stored += from->stored;
  to->online += from->online;
}

bool result_point_add(result *r, const result_point *point) {
  if (r->point_count < RESULT_POINTS_MAX)
    r->points[r->point_count++] = *point;
  else
    point_sum(&r->points[RESULT_POINTS_MAX - 1u], point);
  return true;
}

/* ---- Devices ------------------------------------------------------------------------------------
 */

static void totals_sum(oracle_totals *to, const oracle_totals *from) {
  to->accepted += from->accepted;
  to->refused += from->refused;
  to->stored += from->stored;
  to->checked += from->checked;
  to->covered_ring += from->covered_ring;
  to->covered_evicted += from->covered_evicted;
  to->covered_unclean += from->covered_unclean;
  to->covered_quarantine += from->covered_quarantine;
  to->covered_damaged += from->covered_damaged;
  to->lost += from->lost;
  to->duplicates += from->duplicates;
  to->violations += from->violations;
  to->placed += from->placed;
  if (from->utc_error_ms_max > to->utc_error_ms_max) to->utc_error_ms_max = from->utc_error_ms_max;
}

static void most32(uint32_t *to, uint32_t from) {
  if (from > *to) *to = from;
}

static void counts_sum(device_counts *to, const device_counts *from) {
  to->boots += from->boots;
  to->resets += from->resets;
  to->power_cuts += from->power_cuts;
  to->readings_accepted += from->readings_accepted;
  to->frames_closed += from->frames_closed;
  to->frames_resent += from->frames_resent;
  to->payload_bytes += from->payload_bytes;
  to->connects += from->connects;
  to->connect_failures += from->connect_failures;
  to->flash_programs += from->flash_programs;
  to->flash_erases += from->flash_erases;
  to->flash_bytes_programmed += from->flash_bytes_programmed;
  most32(&to->flash_erases_max, from->flash_erases_max);
  most32(&to->flash_erases_mean, from->flash_erases_mean);
  most32(&to->outbox_frames_max, from->outbox_frames_max);
  most32(&to->poll_ms_max, from->poll_ms_max);
  to->polls += from->polls;
  if (from->memory_bytes > to->memory_bytes) to->memory_bytes = from->memory_bytes;
  if (from->flash_bytes > to->flash_bytes) to->flash_bytes = from->flash_bytes;
}

static bool is_worse(const result_device *a, const result_device *b) {
  if (a->violations != b->violations) return a->violations > b->violations;
  if (a->told != b->told) return a->told > b->told;
  return a->number < b->number;
}

static void worst_add(result *r, const result_device *d) {
  uint32_t place = r->worst_count;
  while (place > 0 && is_worse(d, &r->worst[place - 1u])) place--;
  if (place == RESULT_WORST_MAX) return;
  if (r->worst_count < RESULT_WORST_MAX) r->worst_count++;
  memmove(&r->worst[place + 1u], &r->worst[place],
          (r->worst_count - place - 1u) * sizeof *r->worst);
  r->worst[place] = *d;
}

static void violation_add(result *r, const violation *v) {
  r->by_kind[v->kind]++;
  if (r->violation_count < RESULT_VIOLATIONS_MAX) r->violations[r->violation_count++] = *v;
}

void result_device_add(result *r, device *d) {
  result_machine_add(r, device_number(d), device_id(d), device_oracle(d), device_counts_of(d));
}

void result_machine_add(result *r, uint32_t number, const char *id, const oracle *o,
                        const device_counts *c) {
  const oracle_totals *t = oracle_totals_of(o);
  r->devices++;
  totals_sum(&r->totals, t);
  counts_sum(&r->sum, c);
  if (c->memory_bytes > r->memory_bytes_max) r->memory_bytes_max = c->memory_bytes;
  if (c->flash_erases_max > r->wear_erases_max) r->wear_erases_max = c->flash_erases_max;
  if (c->flash_bytes > 0) r->wears[result_wear_bucket(c->flash_erases_max)]++;
  if (c->flash_erases_mean > 0) {
    double ratio = (double)c->flash_erases_max / (double)c->flash_erases_mean;
    if (ratio > r->wear_ratio_max) r->wear_ratio_max = ratio;
  }
  const violation *v;
  for (unsigned i = 0; (v = oracle_violation(o, i)) != NULL; i++) violation_add(r, v);
  result_device w = {.number = number,
                     .accepted = t->accepted,
                     .stored = t->stored,
                     .told = t->covered_ring + t->covered_evicted + t->covered_unclean +
                             t->covered_damaged + t->covered_quarantine,
                     .violations = t->violations,
                     .boots = c->boots,
                     .connects = c->connects,
                     .frames_resent = c->frames_resent,
                     .flash_erases_max = c->flash_erases_max,
                     .memory_bytes = c->memory_bytes};
  snprintf(w.id, sizeof w.id, "%s", id);
  worst_add(r, &w);
}

/* ---- Cells
 * ---------------------------------------------------------------------------------------- */

static void storm_sum(result *to, const result *from) {
  if (from->storm_ms < 0) return;
  bool first = to->storm_ms < 0;
  /* A cell in which a device never came back: the fleet did not. */
  if (first)
    to->storm_back_ms = from->storm_back_ms;
  else if (to->storm_back_ms < 0 || (from->storm_back_ms < 0 && from->storm_devices > 0))
    to->storm_back_ms = -1;
  else if (from->storm_back_ms > to->storm_back_ms)
    to->storm_back_ms = from->storm_back_ms;
  to->storm_ms = from->storm_ms;
  to->storm_devices += from->storm_devices;
  for (unsigned i = 0; i < RESULT_CONNECT_SECONDS; i++) {
    to->connect_seconds[i] += from->connect_seconds[i];
    most32(&to->storm_connects_max, to->connect_seconds[i]);
  }
}

static void intake_sum(intake_stats *to, const intake_stats *from) {
  const uint64_t *in = (const uint64_t *)(const void *)from;
  uint64_t *out = (uint64_t *)(void *)to;
  for (size_t i = 0; i < sizeof *to / sizeof *out; i++) out[i] += in[i];
}

bool result_add(result *into, const result *from) {
  into->devices += from->devices;
  if (from->run_ms > into->run_ms) into->run_ms = from->run_ms;
  totals_sum(&into->totals, &from->totals);
  counts_sum(&into->sum, &from->sum);
  for (uint32_t i = 0; i < from->violation_count && into->violation_count < RESULT_VIOLATIONS_MAX;
       i++)
    into->violations[into->violation_count++] = from->violations[i];
  for (unsigned k = 0; k < VIOLATION_KINDS; k++) into->by_kind[k] += from->by_kind[k];
  for (uint32_t i = 0; i < from->point_count; i++) point_sum(&into->points[i], &from->points[i]);
  if (from->point_count > into->point_count) into->point_count = from->point_count;
  for (unsigned i = 0; i < RESULT_DELAYS; i++) {
    into->delays[i] += from->delays[i];
    into->delays_alarm[i] += from->delays_alarm[i];
  }
  for (unsigned i = 0; i < RESULT_WEARS; i++) into->wears[i] += from->wears[i];
  storm_sum(into, from);
  for (unsigned k = 0; k < FAULT_KINDS; k++) into->faults[k] += from->faults[k];
  if (from->wear_erases_max > into->wear_erases_max) into->wear_erases_max = from->wear_erases_max;
  if (from->wear_ratio_max > into->wear_ratio_max) into->wear_ratio_max = from->wear_ratio_max;
  for (uint32_t i = 0; i < from->worst_count; i++) worst_add(into, &from->worst[i]);
  intake_sum(&into->intake, &from->intake);
  if (from->memory_bytes_max > into->memory_bytes_max)
    into->memory_bytes_max = from->memory_bytes_max;
  into->digest = (into->digest ^ from->digest) * 0x9E3779B97F4A7C15u;
  return true;
}

/* ---- After a storm
 * ---------------------------------------------------------------------------------- */

/* The smallest t for which (devices choose t) / seconds^t * seconds < 1e-9: more than t - 1 in one
 * of `seconds` seconds by chance does not happen. Twice the mean where that is more. */
uint32_t result_storm_limit(uint32_t devices, uint32_t spread_ms) {
  double seconds = (spread_ms > 0 ? spread_ms : SPREAD_MS) / 1000.0;
  if (seconds < 2.0) return UINT32_MAX; /* no spread worth the name */
  uint32_t twice = (uint32_t)(2.0 * devices / seconds) + 1u;
  double chance = seconds;
  uint32_t t = 0;
  while (t < devices && chance >= 1e-9) {
    t++;
    chance *= (double)(devices - t + 1u) / (double)t / seconds;
  }
  /* One device may come twice: its first connection ended at once. */
  t += 2u;
  /* For large fleets the bound above is loose; twice the mean is 13 sigma of 10,000 in 60 s. */
  if (devices >= 5000u && seconds >= 30.0) return twice;
  return t > twice ? t : twice;
}

void result_storm_judge(result *r, const scenario *s) {
  if (r->storm_ms < 0) return;
  for (unsigned i = 0; i < RESULT_CONNECT_SECONDS; i++)
    most32(&r->storm_connects_max, r->connect_seconds[i]);
  uint32_t limit = result_storm_limit(r->devices, s->spread_ms);
  if (r->storm_connects_max <= limit) return;
  violation v = {.kind = VIOLATION_STORM,
                 .at_ms = r->storm_ms,
                 .device = UINT32_MAX,
                 .channel = UINT32_MAX,
                 .number = r->storm_connects_max};
  snprintf(v.text, sizeof v.text, "%u connects in one second, at most %u expected",
           (unsigned)r->storm_connects_max, (unsigned)limit);
  violation_add(r, &v);
  r->totals.violations++;
}
