/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "cell.h"
#include "parallel.h"

static _Thread_local struct {
  uint64_t seed;
  uint32_t cell;
} where;

void fleet_where(uint64_t *seed, uint32_t *cell) {
  *seed = where.seed;
  *cell = where.cell;
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- One run -------------------------------------------------------------------------------- */

typedef struct sum {
  const fleet *fleet;
  result *result;
  uint64_t cells;
} sum;

static void result_delete(void *ctx, void *done) {
  (void)ctx;
  result_free(done);
  free(done);
}

static void *cell_work(void *ctx, uint64_t i) {
  const sum *s = ctx;
  const fleet *f = s->fleet;
  const scenario *sc = f->scenario;
  bool alone = f->only != FLEET_ALL;
  uint32_t cell = alone ? f->only / sc->cell_devices : (uint32_t)i;
  uint32_t first = cell * sc->cell_devices;
  uint32_t left = sc->devices - first;
  cell_options options = {.scenario = sc,
                          .seed = f->seed,
                          .cell = cell,
                          .first_device = alone ? f->only : first,
                          .device_count = alone                     ? 1u
                                          : left < sc->cell_devices ? left
                                                                    : sc->cell_devices,
                          .clone_number = sc->devices + cell * CELL_CLONES_MAX,
                          .trace = f->trace,
                          .trace_ctx = f->trace_ctx,
                          .stop = f->stop};
  where.seed = f->seed;
  where.cell = cell;
  result *r = malloc(sizeof *r);
  if (r == NULL || !result_init(r, sc)) {
    free(r);
    return NULL;
  }
  if (cell_run(&options, r)) return r;
  result_delete(NULL, r);
  return NULL;
}

static bool cell_take(void *ctx, uint64_t i, void *done) {
  sum *s = ctx;
  result *r = done;
  bool ok = result_add(s->result, r);
  result_delete(NULL, r);
  if (s->fleet->progress != NULL)
    s->fleet->progress(s->fleet->progress_ctx, i + 1, s->cells, s->result->totals.violations);
  return ok;
}

bool fleet_run(const fleet *f, result *out) {
  double began_s = now_s();
  if (!result_init(out, f->scenario)) return false;
  uint32_t size = f->scenario->cell_devices;
  sum s = {.fleet = f,
           .result = out,
           .cells = f->only != FLEET_ALL ? 1u : (f->scenario->devices + size - 1u) / size};
  parallel p = {.ctx = &s,
                .count = s.cells,
                .jobs = f->trace != NULL ? 1u : f->jobs,
                .work = cell_work,
                .take = cell_take,
                .drop = result_delete};
  if (!parallel_run(&p)) {
    result_free(out);
    return false;
  }
  result_storm_judge(out, f->scenario);
  out->wall_s = now_s() - began_s;
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) == 0) out->rss_bytes_max = (uint64_t)usage.ru_maxrss * 1024u;
  return true;
}

/* ---- Many seeds ------------------------------------------------------------------------------ */

typedef struct seeds {
  const fleet *fleet;
  uint64_t count, violations;
  bool (*each)(void *ctx, uint64_t seed, const result *r);
  void *ctx;
} seeds;

static void *seed_work(void *ctx, uint64_t i) {
  const seeds *s = ctx;
  fleet f = *s->fleet;
  f.seed += i;
  f.jobs = 1;
  f.progress = NULL;
  result *r = malloc(sizeof *r);
  if (r != NULL && fleet_run(&f, r)) return r;
  free(r);
  return NULL;
}

static bool seed_take(void *ctx, uint64_t i, void *done) {
  seeds *s = ctx;
  result *r = done;
  s->violations += r->totals.violations;
  bool more = s->each(s->ctx, s->fleet->seed + i, r);
  result_delete(NULL, r);
  if (s->fleet->progress != NULL)
    s->fleet->progress(s->fleet->progress_ctx, i + 1, s->count, s->violations);
  return more;
}

bool fleet_seeds(const fleet *f, uint64_t count,
                 bool (*each)(void *ctx, uint64_t seed, const result *r), void *ctx) {
  seeds s = {.fleet = f, .count = count, .each = each, .ctx = ctx};
  parallel p = {.ctx = &s,
                .count = count,
                .jobs = f->jobs,
                .work = seed_work,
                .take = seed_take,
                .drop = result_delete};
  return parallel_run(&p);
}

/* ---- The smaller case ------------------------------------------------------------------------ */

/* The first violation of a run; VIOLATION_NONE: it passes. */
static violation first_of(const fleet *f) {
  result r;
  violation first = {.kind = VIOLATION_NONE};
  if (!fleet_run(f, &r)) return first;
  if (r.violation_count > 0) first = r.violations[0];
  result_free(&r);
  return first;
}

static bool fails_as(const fleet *f, violation_kind kind, violation *v) {
  violation now = first_of(f);
  if (now.kind != kind) return false;
  *v = now;
  return true;
}

unsigned fleet_shrink(fleet *f, scenario *s) {
  f->scenario = s;
  violation v = first_of(f);
  if (v.kind == VIOLATION_NONE) return 0;
  unsigned runs = 2;
  if (v.device < s->devices) {
    f->only = v.device;
    if (!fails_as(f, v.kind, &v)) f->only = FLEET_ALL;
  }
  for (unsigned k = 0; k < FAULT_KINDS; k++) {
    fault_set all = s->faults;
    if ((all >> k & 1u) == 0) continue;
    s->faults = all & ~(1u << k);
    runs++;
    if (!fails_as(f, v.kind, &v)) s->faults = all;
  }
  for (uint32_t hours = s->hours / 2u; hours > 0;) {
    uint32_t all = s->hours;
    s->hours = hours;
    runs++;
    if (!fails_as(f, v.kind, &v)) {
      s->hours = all;
      break;
    }
    hours = s->hours / 2u;
  }
  return runs;
}
