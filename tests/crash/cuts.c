/* SPDX-License-Identifier: Apache-2.0 */
/* cuts.c - the power fails at every operation.
 *
 * A device lives its days on the simulated flash. Before each operation the hook opens a level,
 * cuts the power in that operation, and lets a copy of the device start on what is left: it mounts,
 * checks, goes on for a while, and checks again. Then the level is closed, and the first device
 * goes on as if nothing had been. For the recovery part the same is done once more inside: at each
 * operation of the copy's mount. */
#include <stdio.h>
#include <string.h>

#include "crash.h"
#include "device.h"

typedef struct cut_run {
  const crash_options *options;
  crash_result *result;
  flash_sim flash;
  flash_mode mode;
  device device;
  device branch;  /* after the cut */
  device branch2; /* after a cut in the recovery from it */
  crash_place place;
  uint64_t recovery_from; /* the number of the last operation before the recovery */
  bool deep;
} cut_run;

static uint64_t mixed(uint64_t a, uint64_t b) {
  sim_random r = {a ^ (b * 0x9E3779B97F4A7C15u)};
  return random_u64(&r);
}

static uint64_t seed_of(const cut_run *r) {
  uint64_t seed = mixed(r->options->seed, r->place.at);
  seed = mixed(seed, (uint64_t)r->mode << 32 | r->place.variant);
  return mixed(seed, r->place.recovery << 32 | r->place.recovery_variant);
}

/* True: all is good. */
static bool settle(cut_run *r, const device *d, const char *when) {
  if (r->result->failure[0] == '\0') r->result->place = r->place;
  return crash_settle(r->result, &d->model, &r->flash, when);
}

/* Goes on after a cut, for long enough to come to the next block now and then. */
static bool go_on(cut_run *r, device *d) {
  uint32_t steps = random_below(&d->random, 16) == 0 ? 40 : 3;
  uint32_t at = random_below(&d->random, 500);
  for (uint32_t i = 0; i < steps; i++)
    if (!device_live(d, &at)) return settle(r, d, "going on after the cut");
  if (!device_sync(d)) return settle(r, d, "sync after the cut");
  if (!device_mount(d)) return settle(r, d, "second mount after the cut");
  return settle(r, d, "after the cut");
}

static void start_copy(cut_run *r, device *copy, const device *from) {
  device_copy(copy, from);
  copy->counts = (device_counts){0};
  copy->random.state = seed_of(r) + 1;
  copy->thorough = random_below(&copy->random, 32) == 0;
}

static void add_counts(cut_run *r, const device *d) {
  r->result->cuts++;
  r->result->mounts += d->counts.mounts;
  r->result->frames += d->counts.frames;
}

static bool done(const cut_run *r) {
  return crash_stop || r->result->failure[0] != '\0';
}

/* ---- The second cut, in the recovery --------------------------------------------------- */

static void cut_recovery(void *ctx, const flash_op *op) {
  cut_run *r = ctx;
  const crash_options *o = r->options;
  r->place.recovery = r->flash.operation - r->recovery_from;
  if (op->kind == FLASH_SYNC && (r->mode == FLASH_PARTIAL || r->mode == FLASH_RANDOM)) return;
  for (uint32_t v = 0; v < o->variants && !done(r); v++) {
    if (o->replay && (o->place.recovery != r->place.recovery || o->place.recovery_variant != v))
      continue;
    r->place.recovery_variant = v;
    sim_random random = {seed_of(r)};
    flash_sim_open(&r->flash);
    flash_sim_cut(&r->flash, op, r->mode, &random);
    start_copy(r, &r->branch2, &r->branch);
    if (device_mount(&r->branch2))
      go_on(r, &r->branch2);
    else
      settle(r, &r->branch2, "mount after the second cut");
    add_counts(r, &r->branch2);
    flash_sim_close(&r->flash);
  }
  r->place.recovery = 0;
  r->place.recovery_variant = 0;
}

/* ---- The first cut --------------------------------------------------------------------- */

static void recover(cut_run *r) {
  device *d = &r->branch;
  if (!r->deep) {
    if (device_mount(d))
      go_on(r, d);
    else
      settle(r, d, "mount after the cut");
    return;
  }
  r->recovery_from = r->flash.operation;
  void (*outer)(void *, const flash_op *) = r->flash.hook;
  r->flash.hook = cut_recovery;
  r->flash.hook_off = false;
  device_mount(d);
  r->flash.hook_off = true;
  r->flash.hook = outer;
  settle(r, d, "mount after the cut");
}

static void cut_here(void *ctx, const flash_op *op) {
  cut_run *r = ctx;
  const crash_options *o = r->options;
  if (done(r) || r->flash.operation > o->operations) return;
  r->place = (crash_place){.at = r->flash.operation};
  r->result->operations = r->flash.operation;
  if (o->replay && o->place.at != r->place.at) return;
  if (op->kind == FLASH_SYNC && (r->mode == FLASH_PARTIAL || r->mode == FLASH_RANDOM)) return;
  uint32_t variants = r->mode == FLASH_NONE ? 1 : o->variants;
  for (uint32_t v = 0; v < variants && !done(r); v++) {
    if (o->replay && o->place.variant != v) continue;
    r->place.variant = v;
    sim_random random = {seed_of(r)};
    flash_sim_open(&r->flash);
    flash_sim_cut(&r->flash, op, r->mode, &random);
    start_copy(r, &r->branch, &r->device);
    recover(r);
    add_counts(r, &r->branch);
    flash_sim_close(&r->flash);
  }
  crash_progress(r->result);
}

static void run_begin(cut_run *r, const flash_geometry *geometry, flash_mode mode,
                      const crash_options *options, crash_result *result) {
  *r = (cut_run){.options = options, .result = result, .mode = mode};
  flash_sim_init(&r->flash, geometry, options->seed);
  r->flash.cut_mode = mode;
  if (options->trace) r->flash.trace_from = options->place.at > 100 ? options->place.at - 100 : 1;
  device_init(&r->device, &r->flash, mixed(options->seed, geometry->block_bytes));
  device_init(&r->branch, &r->flash, 0);
  device_init(&r->branch2, &r->flash, 0);
  if (options->seed % 4 == 0) r->device.when_full[HTEL_CLASS_WAVEFORM] = HTEL_REFUSE_NEWEST;
  if (options->seed % 4 == 2) r->device.when_full[HTEL_CLASS_ALARM] = HTEL_REFUSE_NEWEST;
}

static void run_end(cut_run *r) {
  device_free(&r->device);
  device_free(&r->branch);
  device_free(&r->branch2);
  flash_sim_free(&r->flash);
}

static void run_all(cut_run *r) {
  r->flash.hook = cut_here;
  r->flash.hook_ctx = r;
  bool good = device_mount(&r->device);
  uint32_t step = 0;
  while (good && !done(r) && r->flash.operation < r->options->operations)
    good = device_live(&r->device, &step);
  const device_counts *c = &r->device.counts;
  r->result->mounts += c->mounts;
  r->result->frames += c->frames;
  if (r->result->failure[0] == '\0') {
    r->place = (crash_place){.at = r->flash.operation};
    settle(r, &r->device, "without a cut");
  }
  snprintf(r->result->note, sizeof r->result->note, "appends=%llu evicted=%llu refused=%llu",
           (unsigned long long)c->appends, (unsigned long long)c->evicted,
           (unsigned long long)c->refused);
}

void crash_run_cuts(const flash_geometry *geometry, flash_mode mode, const crash_options *options,
                    crash_result *result) {
  cut_run r;
  run_begin(&r, geometry, mode, options, result);
  run_all(&r);
  run_end(&r);
}

void crash_run_recovery(const flash_geometry *geometry, flash_mode mode,
                        const crash_options *options, crash_result *result) {
  cut_run r;
  run_begin(&r, geometry, mode, options, result);
  r.deep = true;
  run_all(&r);
  run_end(&r);
}

/* Blocks go bad while the power is cut: each costs a move of what is in it. */
void crash_run_failing(const flash_geometry *geometry, flash_mode mode,
                       const crash_options *options, crash_result *result) {
  cut_run r;
  if (geometry->block_count < 16) {
    snprintf(result->note, sizeof result->note, "too few blocks");
    return;
  }
  run_begin(&r, geometry, mode, options, result);
  r.flash.bad_max = geometry->block_count / 3;
  r.flash.bad_every = options->operations / r.flash.bad_max;
  r.device.wears = r.branch.wears = true;
  run_all(&r);
  if (r.device.worn_out || r.branch.worn_out)
    crash_fail(result, "%s returned %d with %u good blocks left",
               r.device.worn_out ? r.device.last_call : r.branch.last_call,
               r.device.worn_out ? r.device.last_answer : r.branch.last_answer,
               (unsigned)flash_sim_good_blocks(&r.flash));
  run_end(&r);
}

/* ---- Many lives, many cuts in a row ---------------------------------------------------- */

/* No copies: the device itself is cut again and again, at random moments, also while it recovers,
 * so that what one cut leaves is there when the next one comes. */
void crash_run_lives(const flash_geometry *geometry, flash_mode mode, const crash_options *options,
                     crash_result *result) {
  cut_run r;
  run_begin(&r, geometry, mode, options, result);
  sim_random random = {mixed(options->seed, 77)};
  bool good = device_mount(&r.device);
  uint32_t step = 0;
  uint64_t operations = (uint64_t)options->operations * 10;
  while (good && !done(&r) && r.flash.operation < operations) {
    if (r.flash.cut_after == 0 && random_below(&random, 20) == 0) {
      r.flash.cut_after = 1 + random_below(&random, random_below(&random, 2) == 0 ? 8 : 200);
      result->cuts++;
    }
    r.device.thorough = random_below(&random, 8) == 0;
    good = device_live(&r.device, &step);
    result->operations = r.place.at = r.flash.operation;
    crash_progress(result);
  }
  settle(&r, &r.device, "in the course of many cuts");
  result->mounts = r.device.counts.mounts;
  result->frames = r.device.counts.frames;
  run_end(&r);
}
