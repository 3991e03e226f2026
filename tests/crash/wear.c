/* SPDX-License-Identifier: Apache-2.0 */
/* wear.c - blocks that wear out, blocks that are bad from the factory, and whether wear is even. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash.h"
#include "device.h"

typedef struct wear_run {
  const crash_options *options;
  crash_result *result;
  flash_sim flash;
  device device;
} wear_run;

static void run_begin(wear_run *r, const flash_geometry *geometry, const crash_options *options,
                      crash_result *result, uint64_t seed) {
  *r = (wear_run){.options = options, .result = result};
  flash_sim_init(&r->flash, geometry, seed);
  device_init(&r->device, &r->flash, seed);
}

static void run_end(wear_run *r) {
  r->result->operations += r->flash.operation;
  r->result->mounts += r->device.counts.mounts;
  r->result->frames += r->device.counts.frames;
  device_free(&r->device);
  flash_sim_free(&r->flash);
}

static bool done(const wear_run *r) {
  return crash_stop || r->result->failure[0] != '\0';
}

static bool settle(wear_run *r, const char *when) {
  return crash_settle(r->result, &r->device.model, &r->flash, when);
}

/* ---- Is wear even? ----------------------------------------------------------------------- */

typedef struct wear_habit {
  const char *name;
  bool cold;
  device_phase phase;
} wear_habit;

/* A class that is written all the time, beside frames that nobody fetches. */
static const wear_habit habits[] = {
    {"mixed", false, {"", false, 0, {2, 6, 6, 8, 2, 4, 0, 0, 0, 0}}},
    {"waveforms beside cold frames", true, {"", true, 0, {0, 0, 16, 4, 0, 4, 0, 0, 0, 0}}},
    {"alarms, fetched at once", false, {"", false, 0, {16, 0, 0, 16, 0, 12, 0, 0, 0, 0}}},
    {"ledgers beside cold frames", true, {"", false, 0, {1, 0, 2, 2, 0, 4, 8, 0, 0, 0}}},
    {"boots", false, {"", false, 0, {1, 2, 1, 4, 0, 4, 0, 2, 2, 0}}},
};
enum { HABITS = sizeof habits / sizeof habits[0] };

/* Numerics that nobody fetches lie in their blocks for ever: these must take part, too. */
static bool leave_cold_frames(wear_run *r) {
  static const device_phase cold = {"cold", true, 0, {0, 8, 0, 0, 0, 1, 0, 0, 0, 0}};
  device *d = &r->device;
  d->cold[HTEL_CLASS_NUMERIC] = true;
  uint64_t bytes = 0;
  while (bytes < (uint64_t)r->flash.size * 6 / 10) {
    if (!device_step(d, &cold)) return false;
    bytes = r->flash.counts.bytes_programmed;
  }
  return true;
}

static double unevenness(const flash_sim *f) {
  uint64_t sum = 0;
  uint32_t most = 0;
  for (uint32_t b = 0; b < f->geometry.block_count; b++) {
    sum += f->wear[b];
    if (f->wear[b] > most) most = f->wear[b];
  }
  return sum == 0 ? 0 : (double)most * f->geometry.block_count / (double)sum;
}

static double run_habit(const flash_geometry *geometry, const crash_options *options,
                        crash_result *result, unsigned habit) {
  wear_run r;
  run_begin(&r, geometry, options, result, options->seed * 31 + habit);
  bool good = device_mount(&r.device) && (!habits[habit].cold || leave_cold_frames(&r));
  uint64_t erases = (uint64_t)geometry->block_count * (options->nightly ? 400 : 40);
  for (uint64_t i = 0; good && r.flash.counts.erases < erases && i < 2000000 && !done(&r); i++) {
    good = device_step(&r.device, &habits[habit].phase);
    crash_progress(result);
  }
  if (settle(&r, habits[habit].name) && good) good = device_mount(&r.device);
  settle(&r, habits[habit].name);
  double uneven = unevenness(&r.flash);
  if (!crash_stop && uneven > 2.0)
    crash_fail(result, "%s: the most worn block has %.2f times the mean", habits[habit].name,
               uneven);
  run_end(&r);
  return uneven;
}

/* ---- Until nothing goes any more ----------------------------------------------------------- */

/* Blocks fail one after another while the power is cut now and then. No persisted frame is lost on
 * the way; when the store says HTEL_E_STORE, what it has can still be read. It may say so while
 * some blocks are good: all of these are full, and those that were given up for room failed at
 * once. */
static void run_to_the_end(const flash_geometry *geometry, const crash_options *options,
                           crash_result *result, uint32_t bad, uint32_t life) {
  wear_run r;
  uint64_t seed = options->seed * 31 + 100 + life;
  run_begin(&r, geometry, options, result, seed);
  sim_random random = {seed};
  r.flash.wear_max = life;
  r.flash.cut_mode = (flash_mode)(life % FLASH_MODES);
  r.device.wears = true;
  for (uint32_t i = 0; i < bad; i++)
    r.flash.bad[random_below(&random, geometry->block_count)] = true;
  bool good = device_mount(&r.device);
  uint32_t step = 0;
  uint64_t limit = 2000ull * geometry->block_count * life;
  for (uint64_t i = 0; good && i < limit && !done(&r); i++) {
    good = device_live(&r.device, &step);
    crash_progress(result);
  }
  char what[64];
  snprintf(what, sizeof what, "blocks that stand %u erases, %u bad ones", (unsigned)life,
           (unsigned)bad);
  settle(&r, what);
  uint32_t left = flash_sim_good_blocks(&r.flash);
  if (!r.device.worn_out && !crash_stop) crash_fail(result, "%s: it never ended", what);
  if (r.device.worn_out && left > 4 && r.device.last_answer != HTEL_E_STORE)
    crash_fail(result, "%s: %s returned %d with %u good blocks left", what, r.device.last_call,
               r.device.last_answer, (unsigned)left);
  r.device.worn_out = false;
  if (result->failure[0] == '\0' && !crash_stop) device_mount(&r.device);
  settle(&r, what);
  run_end(&r);
}

/* Bad from the factory, good otherwise: the rest is used as if they were not there. */
static void run_with_bad(const flash_geometry *geometry, const crash_options *options,
                         crash_result *result, uint64_t seed) {
  wear_run r;
  run_begin(&r, geometry, options, result, seed);
  sim_random random = {seed};
  uint32_t spare = geometry->block_count - 4, bad = spare > 3 ? 3 : spare;
  for (uint32_t i = 0; i < bad; i++)
    r.flash.bad[i == 0 ? 0 : random_below(&random, geometry->block_count)] = true;
  bool good = device_mount(&r.device);
  uint32_t step = 0;
  for (int i = 0; good && i < 1200 && !done(&r); i++) good = device_live(&r.device, &step);
  settle(&r, "blocks bad from the factory");
  store_stats stats;
  store_stats_get(&r.device.store, &stats);
  uint32_t marked = 0;
  for (uint32_t b = 0; b < geometry->block_count; b++) marked += r.flash.bad[b];
  if (good && !done(&r) && stats.blocks_bad != marked)
    crash_fail(result, "%u blocks are bad, stats.blocks_bad says %u", (unsigned)marked,
               (unsigned)stats.blocks_bad);
  run_end(&r);
}

void crash_run_wear(const flash_geometry *geometry, flash_mode mode, const crash_options *options,
                    crash_result *result) {
  (void)mode;
  double worst = 0;
  for (unsigned h = 0; h < HABITS && !crash_stop && result->failure[0] == '\0'; h++) {
    result->place.at = h;
    if (options->replay && options->place.at != h) continue;
    double uneven = run_habit(geometry, options, result, h);
    if (uneven > worst) worst = uneven;
  }
  uint32_t lives = options->nightly ? 40 : 6;
  for (uint32_t i = 0; i < lives && !crash_stop && result->failure[0] == '\0'; i++) {
    result->place.at = 100 + i;
    if (options->replay && options->place.at != 100 + i) continue;
    if (geometry->block_count > 4)
      run_with_bad(geometry, options, result, options->seed * 1000 + i);
    run_to_the_end(geometry, options, result, geometry->block_count > 4 ? i % 2 : 0, 3 + i * 2);
  }
  snprintf(result->note, sizeof result->note, "most worn block: %.2f times the mean at the worst",
           worst);
}
