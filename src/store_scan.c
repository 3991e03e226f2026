/* SPDX-License-Identifier: Apache-2.0 */
/* store_scan.c - what is in a block: its records one after the other, and which are receipted.
 *
 * A record header that is broken beyond repair hides how long its record is, and so does one that a
 * cut left blank although it kept what was written later. Then every program unit behind it is
 * tried: what has a good checksum there is the next record, and its index says how many were passed
 * over. Nothing is left to be found by a later look that the first one did not find. What cannot be
 * read at all, as where the flash's own code finds more wrong bits than it can set right, is damage
 * like any other. */
#include <string.h>

#include "store_state.h"

int scan_header(store *s, uint16_t block, block_header *header) {
  uint8_t bytes[FORMAT_HEADER_BYTES];
  int rc = flash_read(s, block, 0, bytes, sizeof bytes);
  if (rc != 0) return rc;
  format_sight sight = format_look(bytes, sizeof bytes);
  if (sight == FORMAT_BLANK) return 0;
  if (sight == FORMAT_BROKEN || !format_header_read(header, bytes)) return HTEL_E_CRC;
  if (sight == FORMAT_REPAIRED) s->stats.repairs++;
  return 1;
}

static bool record_fits(store *s, const record *r, uint32_t offset, uint32_t limit) {
  return offset + stride_of(s, r->size) <= limit;
}

#define UNREAD_BYTES 8u /* what a flash reads or not at the least, and its records at a time */

/* Behind what cannot be read of the 32 bytes at `offset`. */
static uint32_t scan_unread(store *s, uint16_t block, uint32_t offset) {
  uint32_t unit = s->flash->program_bytes, end = offset + unit;
  uint32_t to = offset + FORMAT_RECORD_BYTES;
  for (uint32_t at = offset / UNREAD_BYTES * UNREAD_BYTES; at < to; at += UNREAD_BYTES) {
    uint8_t bytes[UNREAD_BYTES];
    if (flash_read(s, block, at, bytes, sizeof bytes) != 0) end = at + UNREAD_BYTES;
  }
  return (end + unit - 1u) / unit * unit;
}

/* Past damage: the next place that has a record, unrepaired. None begins in a blank piece. Where
 * there is none all from the first offset to f->next is blank. */
static int scan_past(store *s, uint16_t block, uint32_t offset, uint32_t limit, found *f) {
  uint8_t bytes[2u * FORMAT_RECORD_BYTES];
  bool blank = true; /* so far */
  for (f->next = offset; offset + FORMAT_RECORD_BYTES <= limit;) {
    uint32_t n = limit - offset < sizeof bytes ? limit - offset : (uint32_t)sizeof bytes;
    if (flash_read(s, block, offset, bytes, n) != 0) {
      n = FORMAT_RECORD_BYTES;
      if (flash_read(s, block, offset, bytes, n) != 0) {
        offset = scan_unread(s, block, offset);
        blank = false;
        continue;
      }
    }
    if (format_is_blank(bytes, n)) {
      offset += n;
      if (blank) f->next = offset;
      continue;
    }
    blank = false;
    uint32_t at = 0;
    for (; at + FORMAT_RECORD_BYTES <= n; at += s->flash->program_bytes) {
      uint8_t one[FORMAT_RECORD_BYTES];
      if (bytes[at] < RECORD_FRAME || bytes[at] > RECORD_BAD) continue;
      memcpy(one, bytes + at, sizeof one);
      if (!format_record_read(&f->r, one) || !record_fits(s, &f->r, offset + at, limit)) continue;
      if (format_look(one, sizeof one) != FORMAT_GOOD) continue;
      f->offset = offset + at;
      f->next = f->offset + stride_of(s, f->r.size);
      return 1;
    }
    offset += at;
  }
  return 0;
}

int scan_next(store *s, uint16_t block, uint32_t offset, uint32_t limit, found *f) {
  uint8_t bytes[FORMAT_RECORD_BYTES];
  f->next = offset;
  if (offset + FORMAT_RECORD_BYTES > limit) return 0;
  bool there = flash_read(s, block, offset, bytes, sizeof bytes) == 0;
  format_sight sight = there ? format_look(bytes, sizeof bytes) : FORMAT_BROKEN;
  if (sight == FORMAT_BLANK) return PLANT(4) ? 0 : scan_past(s, block, offset, limit, f);
  if (sight == FORMAT_BROKEN || !format_record_read(&f->r, bytes) ||
      !record_fits(s, &f->r, offset, limit)) {
    int rc = scan_past(s, block, offset + s->flash->program_bytes, limit, f);
    if (rc == 0) f->next = offset;
    return rc;
  }
  if (sight == FORMAT_REPAIRED) s->stats.repairs++;
  f->offset = offset;
  f->next = offset + stride_of(s, f->r.size);
  return 1;
}

/* ---- the block that is looked at ---------------------------------------------------------- */

bool look_is_freed(const store *s, uint16_t index) {
  return ((uint32_t)s->look.freed[index / 8u] >> index % 8u & 1u) != 0;
}

void look_set_freed(store *s, uint16_t first, uint16_t last) {
  for (uint32_t i = first; i <= last && i < s->look.count; i++) {
    if (look_is_freed(s, (uint16_t)i)) continue;
    s->look.freed[i / 8u] |= (uint8_t)(1u << i % 8u);
    s->look.live--;
  }
}

/* What failed behind the end of an open block was moved away. */
uint32_t scan_limit(const store *s, uint16_t block) {
  for (unsigned log = 0; log < STORE_LOGS; log++)
    if (s->tails[log].block == block) return s->tails[log].end;
  return s->flash->block_bytes;
}

static int look_at_records(store *s, uint16_t block, bool *any_lost) {
  store_look *l = &s->look;
  uint32_t limit = scan_limit(s, block);
  found f;
  int rc;
  for (l->end = FORMAT_HEADER_BYTES; (rc = scan_next(s, block, l->end, limit, &f)) == 1;
       l->end = f.next) {
    if (f.r.kind != RECORD_FRAME || f.r.index < l->count || f.r.index >= STORE_FRAMES_MAX) continue;
    *any_lost = *any_lost || f.r.index > l->count;
    for (; l->count <= f.r.index; l->count++) { /* those that were passed over are owed, too */
      l->live++;
      l->freed[l->count / 8u] &= (uint8_t) ~(1u << l->count % 8u);
    }
  }
  l->blank_to = f.next;
  return rc;
}

/* Frames that cannot be read are told of with the next one that can (store_frame.lost). Where there
 * is none left in the block nobody will ask for them, and they must not keep it from being erased.
 */
static int look_at_lost(store *s, uint16_t block) {
  store_look *l = &s->look;
  uint32_t last = 0; /* behind the last frame that can be had */
  found f;
  int rc;
  for (uint32_t at = FORMAT_HEADER_BYTES; (rc = scan_next(s, block, at, l->end, &f)) == 1;
       at = f.next)
    if (f.r.kind == RECORD_FRAME && f.r.index < l->count && !look_is_freed(s, f.r.index))
      last = f.r.index + 1u;
  if (rc == 0 && last < l->count) look_set_freed(s, (uint16_t)last, (uint16_t)(l->count - 1u));
  return rc;
}

/* Receipts were written one below the other, but a cut may have kept a later one and not an
 * earlier: so many blank ones in a row may be passed over as may have been without a sync. */
static int look_at_slots(store *s, uint16_t block) {
  store_look *l = &s->look;
  unsigned most = PLANT(16) ? 1u : STORE_SLOTS_UNSYNCED;
  unsigned blanks = 0;
  for (uint16_t n = 0; n < l->count + STORE_SLOTS_SPARE && blanks < most; n++) {
    uint8_t bytes[FORMAT_SLOT_BYTES];
    if (slot_offset(s, n) < l->end) break;
    bool there = flash_read(s, block, slot_offset(s, n), bytes, sizeof bytes) == 0;
    format_sight sight = there ? format_look(bytes, sizeof bytes) : FORMAT_BROKEN;
    blanks = sight == FORMAT_BLANK ? blanks + 1u : 0;
    if (sight == FORMAT_BLANK) continue;
    l->slots = (uint16_t)(n + 1u);
    if (sight == FORMAT_REPAIRED) s->stats.repairs++;
    if (sight == FORMAT_BROKEN) s->stats.torn++;
    if (sight == FORMAT_BROKEN) continue;
    uint16_t first, last;
    format_slot_read(&first, &last, bytes);
    look_set_freed(s, first, last);
  }
  return 0;
}

static int look_once(store *s, uint16_t block) {
  store_look *l = &s->look;
  block_header header;
  uint32_t failed = s->stats.reads_failed;
  int rc = scan_header(s, block, &header);
  if (rc == HTEL_E_STORE) {
    if (!flash_answers(s, block)) return HTEL_E_STORE;
    rc = scan_header(s, block, &header); /* the flash may have come back just now */
  }
  if (rc != 1) return HTEL_E_CRC;
  *l =
      (store_look){.block = STORE_NONE, .ordinal_first = header.ordinal_first, .boot = header.boot};
  memset(l->freed, 0xFF, sizeof l->freed);
  bool any_lost = false;
  rc = look_at_records(s, block, &any_lost);
  if (rc == 0) rc = look_at_slots(s, block);
  if (rc == 0 && any_lost) rc = look_at_lost(s, block);
  /* That nothing is owed is not to be concluded from a flash that has fallen silent. */
  if (rc == 0 && l->live == 0 && failed != s->stats.reads_failed && !flash_answers(s, block))
    rc = HTEL_E_STORE;
  return rc;
}

/* What cannot be read counts as damage only if others can be read, and if it is the same when
 * looked at again: a flash that answers one time and not another has to be asked later. */
int look_at(store *s, uint16_t block) {
  if (s->look.block == block) return 0;
  uint32_t failed = s->stats.reads_failed;
  s->look.block = STORE_NONE;
  int rc = look_once(s, block);
  failed = s->stats.reads_failed - failed;
  if (rc == 0 && failed > 0) {
    if (!flash_answers(s, block)) return HTEL_E_STORE;
    uint32_t again = s->stats.reads_failed;
    rc = look_once(s, block);
    if (s->stats.reads_failed - again != failed) rc = HTEL_E_STORE;
  }
  if (rc == 0) s->look.block = block;
  return rc;
}

int look_settle(store *s, uint16_t block) {
  int rc = look_at(s, block);
  if (rc == HTEL_E_CRC && s->blocks[block].state == STATE_UNSEEN) {
    s->stats.blocks_unread++;
    state_set(s, block, STATE_USED);
  }
  if (rc != 0) return rc;
  state_set(s, block, s->look.live == 0 && !state_is_tail(s, block) ? STATE_DONE : STATE_USED);
  return 0;
}
