/* SPDX-License-Identifier: Apache-2.0 */
/* damage.c - every bit of a full log flipped; images that are not a log of ours, or not any more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash.h"
#include "device.h"
#include "healthtel/decode.h"

typedef struct damage_run {
  const crash_options *options;
  crash_result *result;
  flash_sim flash;
  device device, copy;
} damage_run;

static void run_begin(damage_run *r, const flash_geometry *geometry, const crash_options *options,
                      crash_result *result) {
  *r = (damage_run){.options = options, .result = result};
  flash_sim_init(&r->flash, geometry, options->seed);
  device_init(&r->device, &r->flash, options->seed);
  device_init(&r->copy, &r->flash, 0);
}

static void run_end(damage_run *r) {
  device_free(&r->device);
  device_free(&r->copy);
  flash_sim_free(&r->flash);
}

static bool done(const damage_run *r) {
  return crash_stop || r->result->failure[0] != '\0';
}

static bool settle(damage_run *r, const device *d, const char *when) {
  return crash_settle(r->result, &d->model, &r->flash, when);
}

/* ---- A log that is full, with evictions, receipts, ledgers and boots behind it ---------- */

static const device_phase fills = {"fills", true, 0, {3, 6, 4, 1, 1, 3, 0, 0, 0, 0}};

static bool fill_log(damage_run *r) {
  device *d = &r->device;
  uint32_t step = 0;
  bool good = device_mount(d);
  for (int i = 0; i < 400 && good; i++) good = device_live(d, &step);
  uint64_t evicted = d->counts.evicted;
  for (int i = 0; i < 20000 && good; i++) {
    good = device_step(d, &fills);
    if (d->counts.evicted > evicted + 40 && i > 200) break;
  }
  if (good) good = device_sync(d);
  /* All of it as a mount has found it. */
  if (good) good = device_mount(d) && device_sync(d);
  return settle(r, d, "while the log was filled") && good;
}

/* ---- One bit ---------------------------------------------------------------------------- */

typedef struct bit_counts {
  uint64_t frames, repaired, torn, silent_used, silent_blank;
  store_stats before; /* of the log without a flipped bit, read through */
} bit_counts;

/* Mounted, read through, counted: at most one frame, and the store knows of it. */
static bool judge_bit(damage_run *r, bit_counts *counts, uint64_t bit) {
  device *d = &r->copy;
  store_stats stats;
  if (!settle(r, d, "after one bit was flipped")) return false;
  store_stats_get(&d->store, &stats);
  uint32_t gone = d->model.missing + d->damaged_ever;
  if (gone > 1) crash_fail(r->result, "one bit cost %u frames", (unsigned)gone);
  if (gone != stats.frames_damaged)
    crash_fail(r->result, "one bit cost %u frames, stats.frames_damaged says %u", (unsigned)gone,
               (unsigned)stats.frames_damaged);
  if (gone > 0)
    counts->frames++;
  else if (stats.repairs != counts->before.repairs)
    counts->repaired++;
  else if (stats.torn != counts->before.torn)
    counts->torn++;
  else if (r->flash.used[bit / 8u / r->flash.geometry.program_bytes] != 0)
    counts->silent_used++;
  else
    counts->silent_blank++;
  return !done(r);
}

static void flip(damage_run *r, bit_counts *counts, uint64_t bit) {
  device *d = &r->copy;
  flash_sim_open(&r->flash);
  flash_sim_flip(&r->flash, bit);
  device_copy(d, &r->device);
  d->counts = (device_counts){0};
  d->thorough = d->model.rot = true;
  d->damaged_ever = 0;
  d->random.state = bit;
  bool good = device_mount(d);
  if (settle(r, d, "mount with one bit flipped")) good = judge_bit(r, counts, bit) && good;
  uint32_t at = random_below(&d->random, 500);
  /* Now and then on from there: what was lost stays lost, the rest lives. */
  for (int i = 0; good && bit % 64 == 0 && i < 20; i++) good = device_live(d, &at);
  if (good && bit % 64 == 0) good = device_mount(d);
  settle(r, d, "going on with one bit flipped");
  r->result->mounts += d->counts.mounts;
  r->result->frames += d->counts.frames;
  flash_sim_close(&r->flash);
}

/* Nothing but frames that are owed, as many as go in without an eviction. */
static bool fill_with_live(damage_run *r) {
  static const device_phase first = {"first", false, 0, {1, 2, 0, 0, 0, 1, 0, 0, 0, 0}};
  static const device_phase then = {"then", false, 0, {0, 0, 4, 0, 0, 1, 0, 0, 0, 0}};
  device *d = &r->device;
  d->when_full[HTEL_CLASS_WAVEFORM] = HTEL_REFUSE_NEWEST;
  bool good = device_mount(d);
  for (int i = 0; i < 2000 && good && d->counts.refused == 0; i++)
    good = device_step(d, i < 20 ? &first : &then);
  return settle(r, d, "while the log was filled with live frames") && good && device_sync(d);
}

static void flip_all(damage_run *r, bit_counts *counts, uint64_t first) {
  uint64_t bits = (uint64_t)r->flash.size * 8;
  flash_sim_open(&r->flash);
  device_copy(&r->copy, &r->device);
  r->copy.thorough = true;
  bool good = device_mount(&r->copy);
  store_stats_get(&r->copy.store, &counts->before);
  flash_sim_close(&r->flash);
  if (!settle(r, &r->copy, "mount without a flipped bit") || !good) return;
  for (uint64_t bit = 0; bit < bits && !done(r); bit++) {
    if (r->options->replay && first + bit != r->options->place.at) continue;
    r->result->place.at = first + bit;
    r->result->operations++;
    flip(r, counts, bit);
    crash_progress(r->result);
  }
}

/* Of a log with a long life, and of one in which nothing is dead: there no flip in what was
 * programmed may go unseen, but in the bytes that fill up the last unit of a record, and in the
 * boot notes that newer ones have replaced: less than one in a hundred. */
void crash_run_bits(const flash_geometry *geometry, flash_mode mode, const crash_options *options,
                    crash_result *result) {
  (void)mode;
  damage_run old, live;
  bit_counts counts = {0}, counts_live = {0};
  run_begin(&old, geometry, options, result);
  run_begin(&live, geometry, options, result);
  if (fill_log(&old)) flip_all(&old, &counts, 0);
  if (!done(&old) && fill_with_live(&live))
    flip_all(&live, &counts_live, (uint64_t)old.flash.size * 8);
  if (!options->replay && counts_live.silent_used * 100 > (uint64_t)live.flash.size * 8)
    crash_fail(result, "%llu flips in live bytes went unseen",
               (unsigned long long)counts_live.silent_used);
  snprintf(result->note, sizeof result->note,
           "live image: frame=%llu repaired=%llu seen=%llu unseen=%llu blank=%llu; old image: "
           "frame=%llu repaired=%llu seen=%llu dead=%llu blank=%llu",
           (unsigned long long)counts_live.frames, (unsigned long long)counts_live.repaired,
           (unsigned long long)counts_live.torn, (unsigned long long)counts_live.silent_used,
           (unsigned long long)counts_live.silent_blank, (unsigned long long)counts.frames,
           (unsigned long long)counts.repaired, (unsigned long long)counts.torn,
           (unsigned long long)counts.silent_used, (unsigned long long)counts.silent_blank);
  run_end(&old);
  run_end(&live);
}

/* ---- Images ------------------------------------------------------------------------------ */

/* What a mount may read at the worst, so that no image makes it go on for ever. */
enum { READS_MAX = 300000 };

static bool touched(const damage_run *r, const flash_counts *before) {
  return r->flash.counts.programs != before->programs || r->flash.counts.erases != before->erases;
}

static void judge_refusal(damage_run *r, int wanted, int or_wanted, const char *what) {
  store s;
  flash_counts before = r->flash.counts;
  memset(&s, 0xA5, sizeof s);
  int rc = store_mount(&s, &r->flash.port, r->copy.blocks);
  r->result->mounts++;
  crash_result *result = r->result;
  unsigned long long reads = r->flash.counts.reads - before.reads;
  if (rc != wanted && rc != or_wanted)
    crash_fail(result, "%s: store_mount said %d, not %d", what, rc, wanted);
  if (touched(r, &before)) crash_fail(result, "%s: it was written to", what);
  if (reads > READS_MAX) crash_fail(result, "%s: %llu reads", what, reads);
  settle(r, &r->copy, what);
}

static uint8_t *noise(uint32_t size, sim_random *random) {
  uint8_t *bytes = malloc(size);
  if (bytes == NULL) abort();
  for (uint32_t i = 0; i < size; i++) bytes[i] = (uint8_t)random_u32(random);
  return bytes;
}

static void try_noise(damage_run *r, sim_random *random) {
  uint32_t kind = random_below(random, 4);
  uint8_t *bytes = noise(r->flash.size, random);
  if (kind == 1) memset(bytes, 0, r->flash.size);
  if (kind == 2) memset(bytes + r->flash.size / 2, 0xFF, r->flash.size / 2);
  if (kind == 3) memcpy(bytes, "SQLite format 3", 16);
  flash_sim_open(&r->flash);
  flash_sim_fill(&r->flash, bytes, r->flash.size);
  judge_refusal(r, HTEL_E_FORMAT, HTEL_E_FORMAT, "an image that is not a log");
  flash_sim_close(&r->flash);
  free(bytes);
}

/* Layout number and checksum lie at the same place in the header of each layout to come. */
static void try_layout(damage_run *r, uint16_t layout) {
  flash_sim_open(&r->flash);
  uint8_t *image = malloc(r->flash.size);
  if (image == NULL) abort();
  memcpy(image, r->flash.data, r->flash.size);
  for (uint32_t b = 0; b < r->flash.geometry.block_count; b++) {
    uint8_t *header = image + b * r->flash.geometry.block_bytes;
    if (header[0] == 0xFF) continue;
    header[4] = (uint8_t)layout;
    header[5] = (uint8_t)(layout >> 8);
    uint32_t crc = htel_crc32(0, header, 28);
    for (int i = 0; i < 4; i++) header[28 + i] = (uint8_t)(crc >> (8 * i));
  }
  flash_sim_fill(&r->flash, image, r->flash.size);
  judge_refusal(r, HTEL_E_VERSION, HTEL_E_VERSION, "a log of another layout");
  free(image);
  flash_sim_close(&r->flash);
}

/* The same bytes on a part with other blocks or units. */
static void try_geometry(damage_run *r, uint32_t block_bytes, uint32_t program_bytes) {
  uint32_t count = r->flash.size / block_bytes;
  if (count < STORE_BLOCKS_MIN) return;
  flash_geometry other = {"other", block_bytes, count, program_bytes};
  damage_run second;
  crash_result result = {.geometry = "other"};
  run_begin(&second, &other, r->options, &result);
  flash_sim_fill(&second.flash, r->flash.data, r->flash.size);
  judge_refusal(&second, HTEL_E_FORMAT, HTEL_E_VERSION, "a log of another geometry");
  if (result.failure[0] != '\0')
    crash_fail(r->result, "blocks of %u, units of %u: %.400s", (unsigned)block_bytes,
               (unsigned)program_bytes, result.failure);
  run_end(&second);
}

/* Blocks of a good log are overwritten with noise, or many bits are flipped: it mounts or says why
 * not, and hands out nothing that was not appended. */
static void try_ruin(damage_run *r, sim_random *random) {
  device *d = &r->copy;
  flash_sim_open(&r->flash);
  uint32_t block = r->flash.geometry.block_bytes;
  uint32_t ruined = 1 + random_below(random, r->flash.geometry.block_count);
  uint8_t *bytes = malloc(r->flash.size);
  if (bytes == NULL) abort();
  memcpy(bytes, r->flash.data, r->flash.size);
  bool noisy = random_below(random, 2) == 0;
  for (uint32_t i = 0; i < ruined; i++) {
    uint32_t at = random_below(random, r->flash.geometry.block_count) * block;
    for (uint32_t j = 0; j < block; j++) {
      if (noisy) bytes[at + j] = (uint8_t)random_u32(random);
      if (!noisy && random_below(random, 64) == 0) bytes[at + j] ^= (uint8_t)random_u32(random);
    }
  }
  flash_sim_fill(&r->flash, bytes, r->flash.size);
  free(bytes);
  device_copy(d, &r->device);
  d->model.rot = d->model.ruin = d->thorough = true;
  d->wears = true;
  flash_counts before = r->flash.counts;
  device_mount(d);
  r->result->mounts++;
  unsigned long long reads = r->flash.counts.reads - before.reads;
  if (reads > READS_MAX) crash_fail(r->result, "a ruined log: %llu reads", reads);
  settle(r, d, "a ruined log");
  flash_sim_close(&r->flash);
}

void crash_run_images(const flash_geometry *geometry, flash_mode mode, const crash_options *options,
                      crash_result *result) {
  (void)mode;
  static const uint32_t blocks[] = {4096, 8192, 16384, 32768, 65536};
  damage_run r;
  run_begin(&r, geometry, options, result);
  uint32_t images = options->nightly ? 2000 : 100;
  bool good = fill_log(&r);
  for (uint32_t i = 0; i < images && good && !done(&r); i++) {
    if (options->replay && options->place.at != i) continue;
    sim_random random = {options->seed * 100003u + i};
    result->place.at = i;
    result->operations++;
    try_noise(&r, &random);
    try_ruin(&r, &random);
    crash_progress(result);
  }
  if (good && !done(&r)) {
    try_layout(&r, 2);
    try_layout(&r, 0xFFFF);
    for (unsigned i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
      if (blocks[i] != geometry->block_bytes) try_geometry(&r, blocks[i], geometry->program_bytes);
    try_geometry(&r, geometry->block_bytes, geometry->program_bytes * 2);
  }
  run_end(&r);
}
