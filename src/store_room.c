/* SPDX-License-Identifier: Apache-2.0 */
/* store_room.c - blocks to write into: opened, given up, evicted.
 *
 * The pool is what is free or soon will be: from DIRTY and GOING to READY. A spare block of it is
 * kept for log 0 alone, since nothing can be given up without a note; two where there are many, for
 * one may turn out bad. A frame that needs a new block must find one beside these; if there is none
 * the caller has to evict. While spare blocks are missing nothing is written but the note that
 * gives a block up. */
#include "store_state.h"

#define POOL_AHEAD 6u /* so the next block is there without waiting for a sync of its own */
#define POOL_AHEAD_SMALL 2u
#define SMALL_FLASH 16u

uint32_t room_pool(const store *s) {
  const uint16_t *n = s->counts;
  return (uint32_t)n[STATE_DIRTY] + n[STATE_GOING] + n[STATE_GONE] + n[STATE_ERASED] +
         n[STATE_READY];
}

uint32_t room_spare(const store *s) {
  return s->flash->block_count >= SMALL_FLASH ? 2u : 1u;
}

/* The open block of a log takes no more. */
static void tail_close(store *s, uint8_t log) {
  uint16_t block = s->tails[log].block;
  if (block == STORE_NONE) return;
  s->tails[log].block = STORE_NONE;
  state_set(s, block, STATE_UNSEEN);
}

/* An open block of numerics or waveforms that holds nothing any more. */
static int tails_done(store *s, bool *any) {
  *any = false;
  for (uint8_t log = 1; log < STORE_LOGS; log++) {
    if (s->tails[log].block == STORE_NONE) continue;
    int rc = look_at(s, s->tails[log].block);
    if (rc == HTEL_E_CRC) continue;
    if (rc != 0) return rc;
    if (s->look.live > 0) continue;
    tail_close(s, log);
    *any = true;
  }
  return 0;
}

static uint16_t oldest_unseen(const store *s) {
  uint16_t best = STORE_NONE;
  for (uint16_t i = 0; i < s->flash->block_count; i++) {
    if (s->blocks[i].state != STATE_UNSEEN) continue;
    if (best == STORE_NONE || s->blocks[i].serial < s->blocks[best].serial) best = i;
  }
  return best;
}

int room_pool_raise(store *s, uint32_t count) {
  for (uint32_t i = 0; i < 2u * s->flash->block_count; i++) {
    if (room_pool(s) >= count) return 0;
    int rc;
    if (s->counts[STATE_DONE] > 0) {
      rc = note_void_done(s);
    } else if (s->counts[STATE_UNSEEN] > 0) {
      rc = look_settle(s, oldest_unseen(s));
      if (rc == HTEL_E_CRC) rc = 0;
    } else {
      bool any;
      rc = tails_done(s, &any);
      if (rc == 0 && !any) return HTEL_E_FULL;
    }
    if (rc != 0) return rc;
  }
  return HTEL_E_FULL;
}

int room_ready(store *s, uint16_t *block) {
  for (uint32_t i = 0; i < s->flash->block_count + 4u; i++) {
    *block = state_least_worn(s, STATE_READY, PLANT(14) ? STATE_ERASED : STATE_READY);
    if (PLANT(9) && *block == STORE_NONE) *block = state_least_worn(s, STATE_DIRTY, STATE_DIRTY);
    if (*block != STORE_NONE) return 0;
    uint16_t old = state_least_worn(s, STATE_GONE, STATE_DIRTY);
    int rc = 0;
    if (s->counts[STATE_ERASED] > 0)
      rc = store_sync(s);
    else if (old != STORE_NONE)
      (void)flash_erase(s, old); /* a bad one: the next, then */
    else if (s->counts[STATE_GOING] > 0)
      rc = store_sync(s);
    else
      return HTEL_E_FULL;
    if (rc != 0) return rc;
  }
  return HTEL_E_FULL;
}

static int header_put(store *s, uint8_t log, uint16_t block) {
  block_header header = {
      .layout = FORMAT_LAYOUT,
      .log = log,
      .geometry = format_geometry(s->flash->block_bytes, s->flash->program_bytes),
      .serial = s->serial_next,
      .erases = s->blocks[block].erases,
      .ordinal_first = s->tails[log].ordinal_next,
      .boot = (uint32_t)s->boot,
      .durable = s->persisted};
  uint8_t bytes[FORMAT_HEADER_BYTES];
  format_header_write(&header, bytes);
  return flash_program(s, block, 0, bytes, sizeof bytes);
}

/* All that is not durable lies in the open blocks: so it is made durable before another is opened,
 * and a mount need look for it nowhere else. */
static int tail_open(store *s, uint8_t log) {
  uint16_t block;
  int rc = s->sequence != s->persisted ? store_sync(s) : 0;
  for (uint32_t i = 0; rc == 0 && i < s->flash->block_count; i++) {
    rc = room_ready(s, &block);
    /* Something must be left in the pool even if the notes that are not durable are lost. */
    if (rc == 0 && room_pool(s) < s->counts[STATE_GOING] + 2u) rc = store_sync(s);
    if (rc != 0) return rc;
    if (header_put(s, log, block) == 0) {
      tail_close(s, log);
      s->blocks[block].serial = s->serial_next++;
      s->blocks[block].log = log & 3u;
      s->blocks[block].held = 0;
      s->tails[log].block = block;
      s->tails[log].count = 0;
      s->tails[log].end = FORMAT_HEADER_BYTES;
      state_set(s, block, STATE_USED);
      return 0;
    }
    if (!flash_answers(s, block)) {
      state_set(s, block, STATE_DIRTY); /* that is not the block's fault */
      s->serial_next++;
      return HTEL_E_STORE;
    }
    state_set(s, block, STATE_BAD);
    s->serial_next++; /* for all that is known the header is there, with this one */
  }
  return rc != 0 ? rc : HTEL_E_STORE;
}

int room_roll(store *s) {
  int rc = tail_open(s, 0);
  return rc == 0 ? note_snapshot(s) : rc;
}

int room_start(store *s) {
  int rc = tail_open(s, 0);
  if (rc == 0) rc = store_sync(s); /* a header alone, when cut, is told from foreign data */
  return rc == 0 ? note_snapshot(s) : rc;
}

int room_open(store *s, uint8_t log, uint32_t size) {
  int rc = room_pool_raise(s, room_spare(s) + 1u);
  if (rc != 0) return rc;
  if (room_fits(s, log, size, true)) return 0; /* a note needed another block of log 0 */
  rc = log == 0 ? room_roll(s) : tail_open(s, log);
  return rc == 0 ? move_cold(s) : rc;
}

bool room_fits(const store *s, uint8_t log, uint32_t size, bool frame) {
  const store_tail *t = &s->tails[log];
  if (t->block == STORE_NONE) return false;
  uint32_t count = t->count + (frame ? 1u : 0u);
  if (count > STORE_FRAMES_MAX) return false;
  uint32_t slots = (count + STORE_SLOTS_SPARE) * slot_bytes(s);
  return t->end + stride_of(s, size) + slots <= s->flash->block_bytes;
}

/* Logs that will need another block within four frames of `size`. Not more is erased ahead: after a
 * mount nobody knows that a block had been erased, and it is erased again. */
static uint32_t soon_full(const store *s, uint32_t size) {
  uint32_t count = 0;
  for (uint8_t i = 0; i < STORE_LOGS; i++) {
    const store_tail *t = &s->tails[i];
    uint32_t left = t->block == STORE_NONE ? 0 : s->flash->block_bytes - t->end;
    uint32_t slots = (t->count + 4u + STORE_SLOTS_SPARE) * slot_bytes(s);
    count += left < 4u * stride_of(s, size) + slots;
  }
  return count;
}

int room_tend(store *s, uint32_t size) {
  int rc = s->bad_untold ? note_bad(s) : 0;
  if (rc != 0) return rc;
  uint32_t ahead = soon_full(s, size);
  for (uint32_t i = 0; i < ahead; i++) {
    uint16_t old = state_least_worn(s, STATE_GONE, STATE_DIRTY);
    if (old == STORE_NONE || s->counts[STATE_READY] + s->counts[STATE_ERASED] >= ahead) break;
    (void)flash_erase(s, old);
  }
  uint32_t pool = s->flash->block_count >= SMALL_FLASH ? POOL_AHEAD : POOL_AHEAD_SMALL;
  if (room_pool(s) >= pool) return 0;
  if (s->counts[STATE_UNSEEN] > 0) { /* closed or mounted: perhaps nothing is owed there */
    rc = look_settle(s, oldest_unseen(s));
    if (rc != 0 && rc != HTEL_E_CRC) return rc;
  }
  bool now = s->sequence == s->persisted; /* else it would cost a sync */
  return now && room_pool(s) > 0 && s->counts[STATE_DONE] > 0 ? note_void_done(s) : 0;
}

/* ---- eviction ---------------------------------------------------------------------------- */

/* The newest block of log 0 has what notes are in force. */
static bool is_newest_notes(const store *s, uint16_t block) {
  for (uint16_t i = 0; i < s->flash->block_count; i++) {
    const store_block *b = &s->blocks[i];
    bool there = state_has_frames(b) || b->state == STATE_DONE;
    if (there && b->log == 0 && b->serial > s->blocks[block].serial) return false;
  }
  return true;
}

/* The oldest block of a log with frames in it that are not freed. */
static int victim_in(store *s, uint8_t log, bool held, store_frame *victim) {
  uint32_t after = 0;
  uint16_t block;
  while ((block = state_next(s, log, after)) != STORE_NONE) {
    after = s->blocks[block].serial;
    if ((s->blocks[block].held > 0) != held) continue;
    if (log == 0 && is_newest_notes(s, block)) continue;
    int rc = look_settle(s, block);
    if (rc == HTEL_E_CRC) continue;
    if (rc == 0 && s->look.live > 0) rc = look_first(s, FORMAT_HEADER_BYTES, victim);
    if (rc != 0) return rc;
  }
  return 0;
}

int store_victim(store *s, uint8_t frame_class, const uint8_t *when_full, store_frame *victim) {
  for (uint8_t log = STORE_LOGS; log-- > frame_class;) {
    if (log == frame_class && when_full[log] == HTEL_REFUSE_NEWEST) continue;
    int rc = victim_in(s, log, false, victim);
    if (rc == 0) rc = victim_in(s, log, true, victim);
    if (rc != 0) return rc;
  }
  return 0;
}

/* Another ledger tells of the evicted frames too: theirs has to be durable by then. */
int room_evict_settle(store *s) {
  return s->evict_unsynced && !PLANT(18) ? store_sync(s) : 0;
}

int store_evict(store *s, const store_frame *victim, const uint8_t *losses, size_t size) {
  if (size > STORE_LOSSES_BYTES_MAX) return HTEL_E_TOO_LARGE;
  while (s->counts[STATE_GOING] + s->counts[STATE_GONE] >= STORE_GOING_MAX) {
    int rc = store_sync(s);
    if (rc != 0) return rc;
    (void)flash_erase(s, state_least_worn(s, STATE_GONE, STATE_GONE));
  }
  int rc = note_room(s, size);
  if (rc == HTEL_E_FULL) rc = HTEL_E_STORE; /* block after block has gone bad */
  uint16_t block = state_find(s, victim->serial);
  uint32_t serial = block == STORE_NONE ? 0 : victim->serial;
  /* The frames that go must not be taken for a hole. */
  if (rc == 0 && s->sequence != s->persisted) rc = store_sync(s);
  if (rc == 0) rc = room_evict_settle(s);
  if (PLANT(7)) size = 0;
  if (rc == 0) rc = note_losses(s, losses, size, serial);
  if (rc != 0 || block == STORE_NONE) return rc != 0 ? rc : store_sync(s);
  for (uint8_t log = 0; log < STORE_LOGS; log++)
    if (s->tails[log].block == block) s->tails[log].block = STORE_NONE;
  state_set(s, block, PLANT(1) ? STATE_GONE : STATE_GOING);
  s->evict_unsynced = true;
  return s->begun ? 0 : store_sync(s);
}
