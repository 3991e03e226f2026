/* SPDX-License-Identifier: Apache-2.0 */
/* store_frames.c - frames out: found in order of age, read, checked, freed.
 *
 * A frame is named by the serial of its block and its place there. Neither changes when a block is
 * moved, and a serial is not used twice, so what was erased meanwhile is simply not found. */
#include "healthtel/decode.h"
#include "store_state.h"

/* ---- in order of age --------------------------------------------------------------------- */

static void frame_fill(const store *s, const found *f, uint32_t expected, store_frame *frame) {
  const store_look *l = &s->look;
  const store_block *b = &s->blocks[l->block];
  *frame = (store_frame){.boot = l->boot + (uint16_t)(f->r.boot_low - (uint16_t)l->boot),
                         .tick_first = f->r.tick_first,
                         .tick_last = f->r.tick_first + f->r.tick_span,
                         .sequence = f->r.sequence,
                         .readings = f->r.readings,
                         .size = f->r.size,
                         .ordinal = l->ordinal_first + f->r.index,
                         .serial = b->serial,
                         .offset = f->offset,
                         .index = f->r.index,
                         .lost = (uint16_t)(f->r.index - expected),
                         .frame_class = (uint8_t)b->log};
}

static int look_through(store *s, uint32_t offset, uint32_t expected, store_frame *frame) {
  found f;
  int rc = 0;
  while (offset < s->look.end && (rc = scan_next(s, s->look.block, offset, s->look.end, &f)) == 1) {
    offset = f.next;
    if (f.r.kind != RECORD_FRAME || f.r.index < expected || f.r.index >= s->look.count) continue;
    while (expected < f.r.index && look_is_freed(s, (uint16_t)expected)) expected++;
    if (!look_is_freed(s, f.r.index)) {
      frame_fill(s, &f, expected, frame);
      return 1;
    }
    if (expected == f.r.index) expected++; /* else one before it is lost: the next tells */
  }
  return rc < 0 ? rc : 0;
}

/* From `offset` on, where the frame is expected to have the index `expected`. That there is none
 * any more, or that one before it is lost, is believed as look_at() believes it: if the flash
 * answers, and says the same again. */
static int look_onward(store *s, uint32_t offset, uint32_t expected, store_frame *frame) {
  uint32_t failed = s->stats.reads_failed;
  int rc = look_through(s, offset, expected, frame);
  failed = s->stats.reads_failed - failed;
  if (rc < 0 || failed == 0) return rc;
  if (!flash_answers(s, s->look.block)) return HTEL_E_STORE;
  uint32_t again = s->stats.reads_failed;
  rc = look_through(s, offset, expected, frame);
  return s->stats.reads_failed - again == failed ? rc : HTEL_E_STORE;
}

int look_first(store *s, uint32_t offset, store_frame *frame) {
  return look_onward(s, offset, 0, frame);
}

/* The block's next frame behind `frame`, wherever it lies now; 0 also when the block has gone. */
int store_next_in_block(store *s, store_frame *frame) {
  uint16_t block = state_find(s, frame->serial);
  if (block == STORE_NONE) return 0;
  int rc = look_at(s, block);
  if (rc != 0) return rc == HTEL_E_CRC ? 0 : rc;
  return look_onward(s, frame->offset + stride_of(s, frame->size), frame->index + 1u, frame);
}

/* The first frame in a block of `log` that is younger than `serial`. */
static int frames_after(store *s, uint8_t log, uint32_t serial, store_frame *frame) {
  uint16_t block;
  while ((block = state_next(s, log, serial)) != STORE_NONE) {
    serial = s->blocks[block].serial;
    int rc = look_settle(s, block);
    if (rc == HTEL_E_CRC) continue;
    if (rc == 0 && s->look.live > 0) rc = look_first(s, FORMAT_HEADER_BYTES, frame);
    if (rc != 0) return rc;
  }
  return 0;
}

int store_first(store *s, uint8_t frame_class, store_frame *frame) {
  if (frame_class >= STORE_LOGS) return HTEL_E_ARGUMENT;
  return frames_after(s, frame_class, 0, frame);
}

int store_next(store *s, store_frame *frame) {
  int rc = store_next_in_block(s, frame);
  return rc != 0 ? rc : frames_after(s, frame->frame_class, frame->serial, frame);
}

/* Of the block that is looked at: 1 when it holds this frame, freed. */
static int look_for_freed(store *s, uint64_t boot, uint32_t sequence) {
  found f;
  int rc = 0;
  for (uint32_t at = FORMAT_HEADER_BYTES;
       at < s->look.end && (rc = scan_next(s, s->look.block, at, s->look.end, &f)) == 1;
       at = f.next) {
    if (f.r.kind != RECORD_FRAME || f.r.sequence != sequence || f.r.index >= s->look.count)
      continue;
    store_frame frame;
    frame_fill(s, &f, f.r.index, &frame);
    if (frame.boot == boot && look_is_freed(s, f.r.index)) return 1;
  }
  return rc < 0 ? rc : 0;
}

bool store_was_freed(store *s, uint8_t frame_class, uint64_t boot, uint32_t sequence) {
  uint16_t block;
  for (uint32_t serial = 0; (block = state_next(s, frame_class, serial)) != STORE_NONE;) {
    serial = s->blocks[block].serial;
    if (look_settle(s, block) == 0 && look_for_freed(s, boot, sequence) == 1) return true;
  }
  return false;
}

/* ---- bytes ------------------------------------------------------------------------------- */

int store_read(store *s, const store_frame *frame, uint32_t offset, uint8_t *buf, size_t size) {
  if (offset > frame->size || size > frame->size - offset) return HTEL_E_ARGUMENT;
  uint16_t block = state_find(s, frame->serial);
  if (block == STORE_NONE) return HTEL_E_CLOSED;
  return flash_read(s, block, frame->offset + FORMAT_RECORD_BYTES + offset, buf, size);
}

int store_check(store *s, const store_frame *frame) {
  found f;
  uint16_t block = state_find(s, frame->serial);
  if (block == STORE_NONE) return HTEL_E_CLOSED;
  int rc = scan_next(s, block, frame->offset, s->flash->block_bytes, &f);
  if (rc < 0) return rc;
  bool there = rc == 1 && f.offset == frame->offset && f.r.sequence == frame->sequence;
  uint32_t crc = 0;
  uint8_t piece[STORE_COPY_BYTES];
  for (uint32_t at = 0; there && at < f.r.size;) {
    uint32_t n = f.r.size - at < sizeof piece ? f.r.size - at : (uint32_t)sizeof piece;
    rc = store_read(s, frame, at, piece, n);
    if (rc != 0) return rc;
    crc = htel_crc32(crc, piece, n);
    at += n;
  }
  if (there && (crc == f.r.payload_crc || PLANT(12))) return 0;
  s->stats.frames_damaged++;
  return HTEL_E_CRC;
}

int store_repair(store *s, const store_frame *frame, uint8_t *bytes) {
  found f;
  uint16_t block = state_find(s, frame->serial);
  if (block == STORE_NONE) return HTEL_E_CLOSED;
  int rc = scan_next(s, block, frame->offset, s->flash->block_bytes, &f);
  if (rc < 0) return rc;
  if (rc == 0 || f.offset != frame->offset || f.r.size != frame->size) return HTEL_E_CRC;
  rc = flash_read(s, block, frame->offset + FORMAT_RECORD_BYTES, bytes, frame->size);
  if (rc != 0) return rc;
  format_sight sight = format_repair(bytes, frame->size, f.r.payload_crc);
  if (sight == FORMAT_REPAIRED) s->stats.repairs++;
  return sight == FORMAT_BROKEN ? HTEL_E_CRC : 0;
}

/* ---- receipts ---------------------------------------------------------------------------- */

/* The looked-at block gets a slot that says so. */
static int slot_put(store *s, uint16_t first, uint16_t last) {
  store_look *l = &s->look;
  uint8_t bytes[FORMAT_SLOT_BYTES];
  uint16_t block = l->block;
  bool room = false;
  for (; !room && l->slots < l->count + STORE_SLOTS_SPARE;
       l->slots = (uint16_t)(l->slots + (room ? 0u : 1u))) {
    uint32_t at = slot_offset(s, l->slots);
    if (at < l->end) break;
    room = flash_blank(s, block, at, at + slot_bytes(s)) == 1;
  }
  format_slot_write(first, last, bytes);
  if (room && flash_program(s, block, slot_offset(s, l->slots), bytes, sizeof bytes) == 0) {
    l->slots++;
    return 0;
  }
  /* Cuts have wasted all the slots, or the block has gone bad: elsewhere there is room again. */
  uint32_t serial = s->blocks[block].serial;
  int rc = move_block(s, block, room);
  if (rc == 0) rc = look_at(s, state_find(s, serial));
  if (rc != 0) return rc;
  rc = flash_program(s, l->block, slot_offset(s, l->slots), bytes, sizeof bytes);
  if (rc == 0) l->slots++;
  return rc;
}

int store_free(store *s, const store_frame *frame, uint16_t count) {
  uint16_t block = state_find(s, frame->serial);
  if (block == STORE_NONE || count == 0) return 0;
  int rc = look_at(s, block);
  if (rc != 0) return rc;
  if (s->look.count == 0) return 0; /* what was there cannot be read any more */
  uint32_t last = frame->index + count - 1u;
  if (last >= s->look.count) last = s->look.count - 1u;
  uint32_t first = frame->index;
  while (first <= last && look_is_freed(s, (uint16_t)first)) first++;
  if (first > last) return 0;
  rc = slot_put(s, (uint16_t)first, (uint16_t)last);
  if (rc != 0) return rc;
  look_set_freed(s, (uint16_t)first, (uint16_t)last);
  block = s->look.block; /* it may have moved */
  if (s->look.live == 0 && !state_is_tail(s, block)) state_set(s, block, STATE_DONE);
  return ++s->slots_unsynced < STORE_SLOTS_UNSYNCED ? 0 : store_sync(s);
}

void store_hold(store *s, const store_frame *frame, bool held) {
  uint16_t block = state_find(s, frame->serial);
  if (block == STORE_NONE) return;
  uint32_t n = s->blocks[block].held;
  if (held && n < 63u) n++;
  if (!held && n > 0) n--;
  s->blocks[block].held = n & 63u;
}

/* ---- figures ----------------------------------------------------------------------------- */

void store_stats_get(const store *s, store_stats *stats) {
  *stats = s->stats;
}

uint32_t store_bytes_used(const store *s) {
  return (uint32_t)(s->counts[STATE_USED] + s->counts[STATE_UNSEEN]) * s->flash->block_bytes;
}
