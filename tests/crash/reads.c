/* SPDX-License-Identifier: Apache-2.0 */
/* reads.c - pages that cannot be read any more, as the flash's own code says of them, and reads
 * that fail once. A page costs the frames that it holds and no others, they are told of, and life
 * goes on; a read that fails once costs nothing. */
#include <stdio.h>
#include <string.h>

#include "crash.h"
#include "device.h"

enum { PAGE_BYTES = 256, FRAMES_MAX = 8192 };

typedef struct place {
  uint32_t block, from, to; /* where a frame lies */
} place;

typedef struct reads_run {
  const crash_options *options;
  crash_result *result;
  flash_sim flash;
  device device, copy;
  uint64_t gone, told, headers;
  size_t place_count;
  place places[FRAMES_MAX];
} reads_run;

static bool done(const reads_run *r) {
  return crash_stop || r->result->failure[0] != '\0';
}

static bool settle(reads_run *r, const device *d, const char *when) {
  return crash_settle(r->result, &d->model, &r->flash, when);
}

static void note_places(reads_run *r) {
  store *s = &r->device.store;
  for (uint8_t c = 0; c < HTEL_CLASS_COUNT; c++) {
    store_frame f;
    int rc = store_first(s, c, &f);
    for (; rc == 1 && r->place_count < FRAMES_MAX; rc = store_next(s, &f)) {
      uint32_t block = 0;
      while (block + 1 < r->flash.geometry.block_count && s->blocks[block].serial != f.serial)
        block++;
      uint32_t from = block * r->flash.geometry.block_bytes + f.offset;
      r->places[r->place_count++] = (place){block, from, from + 32 + f.size};
    }
  }
}

/* The newest notes are there in one block alone. A page in it may cost all of it: without a whole
 * copy of the notes it looks as if the power had failed while it was opened. And where the flash is
 * full no note can give up another block. */
static bool is_newest_notes(const reads_run *r, uint32_t page) {
  return page / r->flash.geometry.block_bytes == r->device.store.tails[0].block;
}

/* Frames that `page` may cost; `behind`: another of the block comes after it, and can tell. */
static uint32_t held(const reads_run *r, uint32_t page, bool *behind) {
  uint32_t block = page / r->flash.geometry.block_bytes, count = 0;
  bool header = page % r->flash.geometry.block_bytes == 0 || is_newest_notes(r, page);
  *behind = false;
  for (size_t i = 0; i < r->place_count; i++) {
    const place *p = &r->places[i];
    if (p->block != block) continue;
    if (header || (p->from < page + PAGE_BYTES && p->to > page)) count++;
    if (!header && p->from >= page + PAGE_BYTES) *behind = true;
  }
  return count;
}

static void judge(reads_run *r, uint32_t page) {
  device *d = &r->copy;
  bool behind;
  uint32_t most = held(r, page, &behind);
  uint32_t gone = d->model.missing + d->damaged_ever, told = d->lost + d->damaged_ever;
  r->gone += gone;
  r->told += told < gone ? told : gone;
  if (gone > most)
    crash_fail(r->result, "a page cost %u frames, and holds %u", (unsigned)gone, (unsigned)most);
  if (behind && told < gone)
    crash_fail(r->result, "a page cost %u frames, %u were told of", (unsigned)gone, (unsigned)told);
  store_stats stats;
  store_stats_get(&d->store, &stats);
  if (page % r->flash.geometry.block_bytes != 0 || most == 0) return;
  r->headers++;
  if (stats.blocks_unread == 0) crash_fail(r->result, "a block is unread, and not counted");
}

static void lose_page(reads_run *r, uint32_t page) {
  device *d = &r->copy;
  flash_sim_open(&r->flash);
  device_copy(d, &r->device);
  d->counts = (device_counts){0};
  d->thorough = d->model.ruin = d->model.rot = d->wears = true;
  d->damaged_ever = 0;
  d->random.state = page;
  r->flash.unread_from = page;
  r->flash.unread_to = page + PAGE_BYTES;
  memset(&d->store, 0xA5, sizeof d->store);
  d->running = false;
  int rc = store_mount(&d->store, &r->flash.port, d->blocks);
  if (rc != 0) crash_fail(r->result, "mount with a page that cannot be read: %d", rc);
  if (rc == 0 && device_check(d)) judge(r, page);
  /* The block goes bad as soon as that page is written: a few blocks are none too many. */
  bool lives = r->flash.geometry.block_count >= 16 && !is_newest_notes(r, page);
  bool good = !done(r) && lives && device_mount(d);
  uint32_t at = random_below(&d->random, 500);
  for (int i = 0; good && i < 20; i++) good = device_live(d, &at);
  if (good) good = device_sync(d) && device_mount(d);
  settle(r, d, "with a page that cannot be read");
  if (d->worn_out)
    crash_fail(r->result, "%s returned %d with a page that cannot be read", d->last_call,
               d->last_answer);
  if (good && d->lost != 0) crash_fail(r->result, "what was told of as lost is told of again");
  r->result->mounts += 1 + d->counts.mounts;
  r->result->frames += d->counts.frames;
  r->flash.unread_from = r->flash.unread_to = 0;
  flash_sim_close(&r->flash);
}

static bool fill_log(reads_run *r) {
  static const device_phase fills = {"fills", false, 0, {3, 6, 4, 1, 1, 3, 0, 0, 0, 0}};
  device *d = &r->device;
  bool good = device_mount(d);
  for (int i = 0; i < 20000 && good && d->counts.evicted < 40; i++) good = device_step(d, &fills);
  if (good) good = device_sync(d) && device_mount(d) && device_sync(d);
  return settle(r, d, "while the log was filled") && good;
}

/* Nothing is lost while each seventh read fails at first. */
static void fail_now_and_then(reads_run *r) {
  device *d = &r->device;
  uint32_t step = 0;
  r->flash.unread_every = 7;
  bool good = device_mount(d);
  for (int i = 0; i < 2000 && good && !done(r); i++) good = device_live(d, &step);
  r->flash.unread_every = 0;
  settle(r, d, "while each seventh read failed once");
}

void crash_run_reads(const flash_geometry *geometry, flash_mode mode, const crash_options *options,
                     crash_result *result) {
  (void)mode;
  static reads_run r;
  r = (reads_run){.options = options, .result = result};
  flash_sim_init(&r.flash, geometry, options->seed);
  device_init(&r.device, &r.flash, options->seed);
  device_init(&r.copy, &r.flash, 0);
  bool good = fill_log(&r);
  note_places(&r);
  for (uint32_t page = 0; good && page < r.flash.size && !done(&r); page += PAGE_BYTES) {
    if (options->replay && options->place.at != page) continue;
    result->place.at = page;
    result->operations++;
    lose_page(&r, page);
    crash_progress(result);
  }
  if (good && !done(&r) && !options->replay) fail_now_and_then(&r);
  snprintf(result->note, sizeof result->note, "frames gone=%llu told=%llu, headers=%llu",
           (unsigned long long)r.gone, (unsigned long long)r.told, (unsigned long long)r.headers);
  device_free(&r.device);
  device_free(&r.copy);
  flash_sim_free(&r.flash);
}
