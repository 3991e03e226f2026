/* SPDX-License-Identifier: Apache-2.0 */
/* store_mount.c - finds out what is there, and finishes what a cut interrupted.
 *
 *     1. every block's header: which log, which serial, how worn
 *     2. log 0, from its newest block that begins with a whole snapshot: the notes
 *     3. the newest block of each log: where it ends, and whether what follows is still blank
 *     4. frames that were not durable: those behind a hole are freed
 *
 * Nothing is written before it is certain that the flash is ours. */
#include <string.h>

#include "store_state.h"

#define RUN_MAX 64u /* more than STORE_UNSYNCED_MAX */

/* ---- 1. headers -------------------------------------------------------------------------- */

typedef struct survey {
  uint32_t ours;   /* blocks with a header of this layout */
  uint32_t others; /* with one of another */
  uint32_t filled; /* with something else in the place of the header */
  uint64_t erases; /* of ours, summed */
} survey;

static int geometry_check(const htel_flash *f) {
  if (f == NULL || f->read == NULL || f->program == NULL || f->erase == NULL || f->sync == NULL)
    return HTEL_E_PORT;
  bool powers = (f->block_bytes & (f->block_bytes - 1u)) == 0 &&
                (f->program_bytes & (f->program_bytes - 1u)) == 0;
  if (!powers || f->block_bytes < 4096u || f->block_bytes > 65536u || f->program_bytes < 1u ||
      f->program_bytes > 16u)
    return HTEL_E_ARGUMENT;
  return f->block_count < STORE_BLOCKS_MIN || f->block_count > STORE_BLOCKS_MAX ? HTEL_E_ARGUMENT
                                                                                : 0;
}

/* Of two blocks with one serial the older generation was being moved: GOING marks it here. */
static void twin_settle(store *s, uint16_t block, const block_header *header) {
  for (uint16_t i = 0; i < block; i++) {
    block_header other;
    if (s->blocks[i].state != STATE_UNSEEN || s->blocks[i].serial != header->serial) continue;
    bool newer =
        scan_header(s, i, &other) != 1 || (uint8_t)(header->generation - other.generation) < 128u;
    if (PLANT(17)) newer = !newer;
    state_set(s, newer ? i : block, STATE_GOING);
    return;
  }
}

static void header_take(store *s, uint16_t block, survey *found_so_far) {
  block_header header;
  int rc = scan_header(s, block, &header);
  if (rc == 0) return;
  if (rc < 0) {
    found_so_far->filled++;
    s->stats.blocks_unread++;
    if (rc == HTEL_E_STORE) state_set(s, block, STATE_GOING); /* it may be read again some day */
    return;
  }
  uint8_t geometry = format_geometry(s->flash->block_bytes, s->flash->program_bytes);
  if (header.layout != FORMAT_LAYOUT || header.geometry != geometry || header.log >= STORE_LOGS) {
    found_so_far->others++;
    return;
  }
  found_so_far->ours++;
  found_so_far->erases += header.erases;
  store_block *b = &s->blocks[block];
  b->serial = header.serial;
  b->erases = header.erases & 0xFFFFFu;
  b->log = header.log & 3u;
  if (header.serial >= s->serial_next) s->serial_next = header.serial + 1u;
  if (header.boot > s->boot_seen) s->boot_seen = header.boot;
  state_set(s, block, STATE_UNSEEN);
  twin_settle(s, block, &header);
}

/* A block without a header has been worn like the others, as far as we know. */
static void wear_guess(store *s, const survey *all) {
  uint32_t mean = (uint32_t)((all->erases + all->ours - 1u) / all->ours);
  for (uint16_t i = 0; i < s->flash->block_count; i++)
    if (s->blocks[i].serial == 0) s->blocks[i].erases = mean & 0xFFFFFu;
}

/* ---- format ------------------------------------------------------------------------------ */

/* Flash without a single header of ours is blank throughout, but for headers that were cut: then
 * it is taken. Anything else is somebody's. */
static int blank_take(store *s) {
  for (uint16_t i = 0; i < s->flash->block_count; i++) {
    int rc = flash_blank(s, i, FORMAT_HEADER_BYTES, s->flash->block_bytes);
    if (rc != 1) return rc < 0 ? rc : HTEL_E_FORMAT;
  }
  for (uint16_t i = 0; i < s->flash->block_count; i++) {
    int rc = flash_blank(s, i, 0, FORMAT_HEADER_BYTES);
    if (rc < 0) return rc;
    if (rc == 1) state_set(s, i, STATE_READY);
  }
  s->ended = true;
  int rc = room_start(s);
  return rc == 0 ? store_sync(s) : rc;
}

/* ---- 2. notes ---------------------------------------------------------------------------- */

static uint16_t newest_below(const store *s, uint8_t log, uint32_t serial) {
  uint16_t best = STORE_NONE;
  for (uint16_t i = 0; i < s->flash->block_count; i++) {
    const store_block *b = &s->blocks[i];
    if (!state_has_frames(b) || b->log != log || b->serial >= serial) continue;
    if (best == STORE_NONE || b->serial > s->blocks[best].serial) best = i;
  }
  return best;
}

/* 1: the block has a whole snapshot. */
static int notes_are_whole(store *s, uint16_t block) {
  found f;
  int rc;
  uint32_t notes = 0;
  for (uint32_t at = FORMAT_HEADER_BYTES;
       (rc = scan_next(s, block, at, s->flash->block_bytes, &f)) == 1; at = f.next) {
    rc = note_is_whole(s, block, &f);
    if (rc < 0) return rc;
    notes += (uint32_t)rc;
    if (rc == 1 && f.r.kind == RECORD_BOOT && f.r.index > 0) return f.r.index == notes;
  }
  return rc;
}

static int notes_apply(store *s, uint16_t block) {
  found f;
  uint32_t limit = scan_limit(s, block);
  int rc;
  for (uint32_t at = FORMAT_HEADER_BYTES; (rc = scan_next(s, block, at, limit, &f)) == 1;
       at = f.next) {
    rc = note_apply(s, block, &f);
    if (rc != 0) return rc;
    if (s->boot > s->boot_seen) s->boot_seen = s->boot;
  }
  return rc;
}

/* 1: something was written there after a sync, so the snapshot had been whole: it has rotted, and
 * no cut came between. The note with which a boot begins says nothing: it is there before its sync.
 */
static int notes_were_whole(store *s, uint16_t block) {
  block_header header;
  found f;
  if (scan_header(s, block, &header) != 1) return 0;
  int rc;
  for (uint32_t at = FORMAT_HEADER_BYTES;
       (rc = scan_next(s, block, at, s->flash->block_bytes, &f)) == 1; at = f.next) {
    bool same_boot = f.r.boot_low == (uint16_t)header.boot;
    if (same_boot && f.r.sequence - f.r.behind > header.durable) return 1;
    if (!same_boot && f.r.kind != RECORD_BOOT) return 1;
  }
  return rc;
}

/* All notes in force are in the newest block of log 0 that has a whole snapshot: `from` is its
 * serial. Younger ones were being opened when the power went: nothing in them was durable, and they
 * are as if never opened; unless they have rotted, then what can be read of them counts. Where
 * there is no snapshot at all, as in a format cut short, all blocks are read. */
static int notes_find(store *s, uint32_t *from) {
  uint16_t block;
  uint32_t below = UINT32_MAX;
  int rc = 0;
  while (rc == 0 && (block = newest_below(s, 0, below)) != STORE_NONE) {
    below = s->blocks[block].serial;
    rc = notes_are_whole(s, block);
  }
  *from = rc == 1 ? below : 0;
  for (uint32_t after = below; rc == 1 && (block = state_next(s, 0, after)) != STORE_NONE;
       after = s->blocks[block].serial) {
    rc = notes_were_whole(s, block);
    if (rc == 0) state_set(s, block, STATE_GOING);
    if (rc == 0) rc = 1;
  }
  return rc < 0 ? rc : 0;
}

static int notes_take(store *s, uint32_t from) {
  uint16_t block;
  uint32_t after = from == 0 ? 0 : from - 1u;
  int rc = 0;
  while (rc == 0 && (block = state_next(s, 0, after)) != STORE_NONE) {
    after = s->blocks[block].serial;
    rc = notes_apply(s, block);
  }
  return rc;
}

/* Blocks that are as if never there are erased before anything can be written that makes them look
 * different at the next mount; those whose header cannot be read, too. If it can a moment later, it
 * is not the block that has a fault: then rather no mount at all. */
static int leftovers_erase(store *s) {
  block_header header;
  for (uint16_t i = 0; i < s->flash->block_count; i++)
    if (s->blocks[i].state == STATE_GOING && s->blocks[i].serial == 0 &&
        scan_header(s, i, &header) != HTEL_E_STORE)
      return HTEL_E_STORE;
  for (uint16_t i = 0; i < s->flash->block_count; i++)
    if (s->blocks[i].state == STATE_GOING) (void)flash_erase(s, i);
  return store_sync(s);
}

/* ---- 3. tails ---------------------------------------------------------------------------- */

/* Behind the last record of the looked-at block nothing should have been written. `end`: behind all
 * that a cut left there: it is passed over, now and whenever the block is looked at again. */
static void leftovers_end(store *s, uint32_t *end) {
  const store_look *l = &s->look;
  uint32_t unit = s->flash->program_bytes;
  uint32_t to = l->slots == 0 ? s->flash->block_bytes : slot_offset(s, l->slots - 1u);
  *end = l->end;
  for (uint32_t at = l->blank_to; at < to && !PLANT(4); at += STORE_COPY_BYTES) {
    uint32_t next = to - at < STORE_COPY_BYTES ? to : at + STORE_COPY_BYTES;
    if (flash_blank(s, l->block, at, next) != 1) *end = next;
  }
  *end = (*end + unit - 1u) / unit * unit;
}

static int tail_take(store *s, uint8_t log) {
  store_tail *tail = &s->tails[log];
  uint16_t block = newest_below(s, log, UINT32_MAX);
  if (block == STORE_NONE || look_at(s, block) != 0) return 0; /* it takes no more, then */
  leftovers_end(s, &tail->end);
  if (tail->end != s->look.end) s->stats.torn++;
  tail->count = s->look.count;
  tail->ordinal_next = s->look.ordinal_first + s->look.count;
  tail->block = block;
  return look_settle(s, block);
}

/* ---- 4. what was not durable ----------------------------------------------------------------- */

typedef struct run {
  uint32_t durable;     /* this sequence and all before it were */
  uint64_t present;     /* bit n: frame durable + 1 + n is there */
  uint32_t first, last; /* of a block's frames that are to go, by index */
  uint32_t index;       /* that the next frame of the block should have */
  uint16_t later;       /* records are there of a boot so much later */
} run;

typedef void run_step(run *r, const record *frame);

static void run_durable(run *r, uint32_t durable) {
  if (durable > r->durable) r->durable = durable;
}

static void step_durable(run *r, const record *frame) {
  run_durable(r, frame->sequence - frame->behind);
}

static void step_present(run *r, const record *frame) {
  uint32_t n = frame->sequence - r->durable - 1u;
  if (frame->kind == RECORD_FRAME && frame->sequence > r->durable && n < RUN_MAX)
    r->present |= 1ull << n;
}

/* The first number that is missing is durable + 1 by now: what is above it goes. */
static void step_drop(run *r, const record *frame) {
  if (frame->kind != RECORD_FRAME || frame->sequence <= r->durable) return;
  if (r->index < r->first) r->first = r->index; /* with those before it that cannot be read */
  if (frame->index > r->last) r->last = frame->index;
}

/* Every record of the last boot in the newest block of `log`. */
static int run_walk(store *s, uint16_t block, run *r, run_step *step) {
  found f;
  uint32_t limit = scan_limit(s, block);
  int rc;
  r->index = 0;
  for (uint32_t at = FORMAT_HEADER_BYTES; (rc = scan_next(s, block, at, limit, &f)) == 1;
       at = f.next) {
    if (f.r.boot_low == (uint16_t)s->boot) step(r, &f.r);
    uint16_t later = (uint16_t)(f.r.boot_low - (uint16_t)s->boot);
    bool noted = f.r.kind != RECORD_BOOT; /* that note may have been cut; not so what follows it */
    if (noted && later < 0x8000u && later > r->later) r->later = later;
    if (f.r.kind == RECORD_FRAME) r->index = f.r.index + 1u;
  }
  return rc;
}

static int run_walk_all(store *s, run *r, run_step *step) {
  for (uint8_t log = 0; log < STORE_LOGS; log++) {
    uint16_t block = newest_below(s, log, UINT32_MAX);
    int rc = block == STORE_NONE ? 0 : run_walk(s, block, r, step);
    if (rc != 0) return rc;
  }
  return 0;
}

/* A block that has no record yet says by its header what was durable. */
static int run_headers(store *s, run *r) {
  for (uint8_t log = 0; log < STORE_LOGS; log++) {
    block_header header;
    uint16_t block = newest_below(s, log, UINT32_MAX);
    int rc = block == STORE_NONE ? 0 : scan_header(s, block, &header);
    if (rc == 1 && header.boot == (uint32_t)s->boot) run_durable(r, header.durable);
  }
  return 0;
}

static int run_drop(store *s, run *r, uint8_t log) {
  uint16_t block = newest_below(s, log, UINT32_MAX);
  if (block == STORE_NONE) return 0;
  r->first = UINT32_MAX;
  r->last = 0;
  int rc = run_walk(s, block, r, step_drop);
  if (rc != 0 || r->first == UINT32_MAX) return rc;
  store_frame frame = {.serial = s->blocks[block].serial, .index = (uint16_t)r->first};
  return store_free(s, &frame, (uint16_t)(r->last - r->first + 1u));
}

/* Frames of the last boot above the first hole had not been durable, so nobody has seen them. With
 * them the hole would have to be explained. Where the note of the last boot has rotted away it is
 * another one whose frames these are, and its holes are receipted and erased frames. */
static int run_close(store *s) {
  run r = {0};
  if (s->boot == 0 || PLANT(13)) return 0;
  uint32_t before = s->stats.reads_failed;
  int rc = run_headers(s, &r);
  if (rc == 0) rc = run_walk_all(s, &r, step_durable);
  uint32_t between = s->stats.reads_failed;
  if (rc == 0) rc = run_walk_all(s, &r, step_present);
  if (rc == 0 && s->stats.reads_failed - between > between - before) return HTEL_E_STORE;
  if (rc != 0 || (s->ended && r.later == 0)) return rc;
  if (r.later > 0) { /* its note has rotted: neither is its number used again nor its end known */
    if (s->boot + r.later > s->boot_seen) s->boot_seen = s->boot + r.later;
    s->ended = false;
  }
  s->proven = r.durable;
  for (; (r.present & 1u) != 0; r.present >>= 1) r.durable++;
  for (uint8_t log = 0; rc == 0 && r.later == 0 && log < STORE_LOGS; log++)
    rc = run_drop(s, &r, log);
  s->sequence = s->persisted = r.durable; /* whatever is opened next says so */
  return rc;
}

/* ---- mount ------------------------------------------------------------------------------- */

static void store_clear(store *s, const htel_flash *flash, store_block *blocks) {
  *s = (store){.flash = flash, .blocks = blocks, .serial_next = 1};
  memset(blocks, 0, flash->block_count * sizeof *blocks);
  s->counts[STATE_DIRTY] = (uint16_t)flash->block_count;
  s->look.block = STORE_NONE;
  for (unsigned log = 0; log < STORE_LOGS; log++) s->tails[log].block = STORE_NONE;
}

/* All that is read before anything is written. */
static int mount_read(store *s, survey *all) {
  *all = (survey){0};
  for (uint16_t i = 0; i < s->flash->block_count; i++) header_take(s, i, all);
  if (all->others > 0) return HTEL_E_VERSION;
  if (all->ours == 0) return 0;
  wear_guess(s, all);
  uint32_t from;
  int rc = notes_find(s, &from);
  if (rc == 0) rc = tail_take(s, 0);
  if (rc == 0) rc = notes_take(s, from);
  s->bad_untold = false;
  for (uint8_t log = 1; rc == 0 && log < STORE_LOGS; log++) rc = tail_take(s, log);
  return rc;
}

/* What cannot be read counts as damage, and is given up, only if it is the same the second time. */
int store_mount(store *s, const htel_flash *flash, store_block *blocks) {
  int rc = geometry_check(flash);
  if (rc != 0) return rc;
  survey all;
  store_clear(s, flash, blocks);
  rc = mount_read(s, &all);
  uint32_t failed = s->stats.reads_failed;
  if (failed > 0) {
    store_clear(s, flash, blocks);
    rc = mount_read(s, &all);
    if (s->stats.reads_failed > 0 && s->stats.reads_failed != failed) return HTEL_E_STORE;
  }
  if (rc != 0) return rc;
  if (all.ours == 0) return blank_take(s);
  rc = leftovers_erase(s);
  if (rc == 0) rc = run_close(s);
  if (rc != 0) return rc;
  s->dirty = true; /* what is shown from now on stays, whatever of it had been synced */
  return store_sync(s);
}
