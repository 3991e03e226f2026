/* SPDX-License-Identifier: Apache-2.0 */
/* store_move.c - a block copied to another place: because it has gone bad, because cuts have wasted
 * its slots for receipts, or so that wear evens out.
 *
 * The copy has the same serial and the next generation, and every record at the same offset, so
 * nobody notices. Its header is written last, after a sync: from then on it is the copy that
 * counts. The old block must be erased (or known as bad) before the copy can be given up, else it
 * would come back: it is erased here at once. */
#include <string.h>

#include "store_state.h"

#define TRIES_MAX 8u   /* blocks that may turn out bad one after another */
#define COLD_ERASES 4u /* differences in wear below this are not worth a copy */

#define UNREAD_BYTES 16u /* any program unit at least */

/* Bytes of records from one block to another; blank pieces are left blank. What cannot be read is
 * copied as zeros: what stands behind it is still to be found. */
static int copy_records(store *s, uint16_t from, uint16_t to, uint32_t end) {
  uint8_t piece[STORE_COPY_BYTES];
  for (uint32_t at = FORMAT_HEADER_BYTES; at < end;) {
    uint32_t n = end - at < sizeof piece ? end - at : (uint32_t)sizeof piece;
    if (flash_read(s, from, at, piece, n) != 0) {
      if (n > UNREAD_BYTES) n = UNREAD_BYTES;
      if (flash_read(s, from, at, piece, n) != 0) {
        if (!flash_answers(s, from)) return HTEL_E_STORE; /* that is no damage: later */
        memset(piece, 0, n);
      }
    }
    if (!format_is_blank(piece, n) && flash_program(s, to, at, piece, n) != 0) return HTEL_E_AGAIN;
    at += n;
  }
  return 0;
}

/* The looked-at block's receipts, in as few slots as they take. */
static int copy_receipts(store *s, uint16_t to) {
  const store_look *l = &s->look;
  uint16_t slot = 0;
  for (uint32_t i = 0; i < l->count; i++) {
    if (!look_is_freed(s, (uint16_t)i)) continue;
    uint32_t first = i;
    while (i + 1u < l->count && look_is_freed(s, (uint16_t)(i + 1u))) i++;
    uint8_t bytes[FORMAT_SLOT_BYTES];
    format_slot_write((uint16_t)first, (uint16_t)i, bytes);
    if (flash_program(s, to, slot_offset(s, slot++), bytes, sizeof bytes) != 0) return HTEL_E_AGAIN;
  }
  return 0;
}

static int copy_header(store *s, uint16_t from, uint16_t to, uint8_t generations) {
  block_header header;
  uint8_t bytes[FORMAT_HEADER_BYTES];
  int rc = scan_header(s, from, &header);
  if (rc != 1) return rc < 0 ? rc : HTEL_E_STORE;
  header.erases = s->blocks[to].erases;
  header.generation = (uint8_t)(header.generation + generations);
  format_header_write(&header, bytes);
  return flash_program(s, to, 0, bytes, sizeof bytes) == 0 ? 0 : HTEL_E_AGAIN;
}

/* HTEL_E_AGAIN: `to` is bad. Its header may be there all the same: the next try counts more. */
static int copy(store *s, uint16_t from, uint16_t to, uint8_t generations) {
  int rc = look_at(s, from);
  if (rc == 0) rc = copy_records(s, from, to, s->look.end);
  if (rc == 0) rc = copy_receipts(s, to);
  if (rc == 0) rc = store_sync(s);
  if (rc == 0) rc = copy_header(s, from, to, generations);
  return rc == 0 ? store_sync(s) : rc;
}

int move_block(store *s, uint16_t from, bool bad) {
  uint16_t to;
  uint8_t generations = 0;
  int rc;
  do {
    rc = room_ready(s, &to);
    if (rc != 0) return rc;
    rc = copy(s, from, to, ++generations); /* with `from` looked at */
    if (rc == HTEL_E_AGAIN) state_set(s, to, STATE_BAD);
  } while (rc == HTEL_E_AGAIN && generations < TRIES_MAX); /* each round retires a block */
  if (rc == HTEL_E_AGAIN) return HTEL_E_STORE;
  if (rc != 0) {
    state_set(s, to, STATE_DIRTY);
    return rc;
  }
  s->stats.moves++;
  s->blocks[to].serial = s->blocks[from].serial;
  s->blocks[to].log = s->blocks[from].log;
  s->blocks[to].held = s->blocks[from].held;
  state_set(s, to, (store_state)s->blocks[from].state);
  store_tail *tail = &s->tails[s->blocks[to].log];
  if (tail->block == from) {
    tail->block = to;
    tail->end = s->look.end; /* what was skipped behind the last record was not copied */
  }
  s->look.block = STORE_NONE;
  s->blocks[from].serial = 0;
  if (bad)
    state_set(s, from, STATE_BAD);
  else
    (void)flash_erase(s, from);
  return store_sync(s);
}

/* Frames that nobody takes keep their block from being erased, and the others wear out instead. Of
 * the blocks that are free the least worn one is looked at: it would be the next in use. */
int move_cold(store *s) {
  uint32_t free_erases = UINT32_MAX;
  uint16_t cold = STORE_NONE;
  if (PLANT(10)) return 0;
  for (uint16_t i = 0; i < s->flash->block_count; i++) {
    const store_block *b = &s->blocks[i];
    if (b->state <= STATE_READY) {
      if (b->erases < free_erases) free_erases = b->erases;
    } else if (b->state != STATE_BAD && !state_is_tail(s, i)) {
      if (cold == STORE_NONE || b->erases < s->blocks[cold].erases) cold = i;
    }
  }
  if (cold == STORE_NONE || free_erases == UINT32_MAX) return 0;
  uint32_t coldest = s->blocks[cold].erases;
  if (free_erases <= coldest + coldest / 4u + COLD_ERASES) return 0;
  return s->blocks[cold].state == STATE_DONE ? 0 : move_block(s, cold, false);
}
