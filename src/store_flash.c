/* SPDX-License-Identifier: Apache-2.0 */
/* store_flash.c - the flash with what is known of its blocks: every program is read back, every
 * change of a block's state goes through state_set. */
#include <string.h>

#include "store_state.h"

#define ERASES_MAX 0xFFFFFu /* as store_block counts them */
#define READ_TRIES 3u
#define ASKED_MAX 4u
#define BELIEVED_MAX 32u /* programs in a row that were not read back: then the flash is gone */

int flash_read(store *s, uint16_t block, uint32_t offset, uint8_t *buf, size_t size) {
  uint32_t address = block * s->flash->block_bytes + offset;
  for (unsigned i = 0; i < READ_TRIES; i++)
    if (s->flash->read(s->flash->ctx, address, buf, size) == 0) {
      s->believed = 0;
      return 0;
    }
  s->stats.reads_failed++;
  return HTEL_E_STORE;
}

bool flash_answers(store *s, uint16_t block) {
  uint8_t byte;
  uint32_t count = s->flash->block_count, apart = count / (ASKED_MAX + 1u);
  if (apart == 0) apart = 1; /* far apart otherwise: what is near may be broken as one */
  for (uint32_t i = 1; i <= ASKED_MAX && i < count; i++)
    if (flash_read(s, (uint16_t)((block + i * apart) % count), 0, &byte, 1) == 0) return true;
  return false;
}

/* A block that cannot be read while others can is bad. A flash that does not answer at all says
 * nothing against it: program() said that all is well, and what is wrong in it will be found. But
 * one that stays silent is not to be filled for ever. */
static int read_back(store *s, uint16_t block, uint32_t offset, uint8_t *buf, size_t size) {
  if (flash_read(s, block, offset, buf, size) == 0) return 0;
  if (!flash_answers(s, block)) {
    if (s->believed == BELIEVED_MAX) return HTEL_E_STORE;
    s->believed++;
    return HTEL_E_AGAIN;
  }
  return flash_read(s, block, offset, buf, size); /* it may have come back just now */
}

/* What was programmed is what is there. */
static bool verify(store *s, uint16_t block, uint32_t offset, const uint8_t *buf, size_t size) {
  uint8_t there[STORE_COPY_BYTES];
  for (size_t at = 0; at < size;) {
    size_t n = size - at < sizeof there ? size - at : sizeof there;
    int rc = read_back(s, block, offset + (uint32_t)at, there, n);
    if (rc != 0) return rc == HTEL_E_AGAIN;
    for (size_t i = 0; i < n; i++)
      if (there[i] != buf[at + i]) return false;
    at += n;
  }
  return true;
}

static bool program(store *s, uint16_t block, uint32_t offset, const uint8_t *buf, size_t size) {
  if (size == 0) return true;
  s->dirty = true;
  s->stats.programs++;
  s->stats.program_bytes += size;
  uint32_t address = block * s->flash->block_bytes + offset;
  return s->flash->program(s->flash->ctx, address, buf, size) == 0 &&
         verify(s, block, offset, buf, size);
}

int flash_program(store *s, uint16_t block, uint32_t offset, const uint8_t *buf, size_t size) {
  uint8_t page[16];
  size_t whole = size / s->flash->program_bytes * s->flash->program_bytes;
  if (!program(s, block, offset, buf, whole)) return HTEL_E_STORE;
  if (whole == size) return 0;
  memset(page, 0xFF, sizeof page);
  memcpy(page, buf + whole, size - whole);
  bool good = program(s, block, offset + (uint32_t)whole, page, s->flash->program_bytes);
  return good ? 0 : HTEL_E_STORE;
}

int flash_erase(store *s, uint16_t block) {
  store_block *b = &s->blocks[block];
  if (b->erases < ERASES_MAX) b->erases++;
  s->dirty = true;
  s->stats.erases++;
  if (s->flash->erase(s->flash->ctx, block) != 0) {
    state_set(s, block, STATE_BAD);
    return HTEL_E_STORE;
  }
  state_set(s, block, STATE_ERASED);
  return 0;
}

int flash_blank(store *s, uint16_t block, uint32_t from, uint32_t to) {
  uint8_t there[STORE_COPY_BYTES];
  while (from < to) {
    uint32_t n = to - from < sizeof there ? to - from : (uint32_t)sizeof there;
    int rc = flash_read(s, block, from, there, n);
    if (rc != 0) return rc;
    if (!format_is_blank(there, n)) return 0;
    from += n;
  }
  return 1;
}

/* ---- states ------------------------------------------------------------------------------ */

void state_set(store *s, uint16_t block, store_state state) {
  store_block *b = &s->blocks[block];
  if (state == STATE_BAD && b->state != STATE_BAD) {
    s->stats.blocks_bad++;
    s->bad_untold = true;
  }
  s->counts[b->state]--;
  s->counts[state]++;
  b->state = (uint32_t)state & 15u;
  if (s->look.block == block && state != STATE_USED && state != STATE_DONE)
    s->look.block = STORE_NONE;
}

bool state_has_frames(const store_block *block) {
  return block->state == STATE_UNSEEN || block->state == STATE_USED;
}

uint16_t state_least_worn(const store *s, store_state a, store_state b) {
  uint16_t best = STORE_NONE;
  if (s->counts[a] + s->counts[b] == 0) return best;
  for (uint32_t n = 0; n < s->flash->block_count; n++) {
    /* Of those that are alike another each time: after a mount many are. */
    uint16_t i = (uint16_t)((n + s->serial_next) % s->flash->block_count);
    uint32_t state = s->blocks[i].state;
    if (state != (uint32_t)a && state != (uint32_t)b) continue;
    if (best != STORE_NONE && (PLANT(10) || s->blocks[i].erases >= s->blocks[best].erases))
      continue;
    best = i;
  }
  return best;
}

uint16_t state_find(const store *s, uint32_t serial) {
  for (uint16_t i = 0; i < s->flash->block_count; i++) {
    const store_block *b = &s->blocks[i];
    if (b->serial == serial && (state_has_frames(b) || b->state == STATE_DONE)) return i;
  }
  return STORE_NONE;
}

uint16_t state_next(const store *s, uint8_t log, uint32_t after) {
  uint16_t best = STORE_NONE;
  for (uint16_t i = 0; i < s->flash->block_count; i++) {
    const store_block *b = &s->blocks[i];
    if (!state_has_frames(b) || b->log != log || b->serial <= after) continue;
    if (best == STORE_NONE || b->serial < s->blocks[best].serial) best = i;
  }
  return best;
}

bool state_is_tail(const store *s, uint16_t block) {
  for (unsigned log = 0; log < STORE_LOGS; log++)
    if (s->tails[log].block == block) return true;
  return false;
}

/* ---- sizes ------------------------------------------------------------------------------- */

uint32_t stride_of(const store *s, uint32_t size) {
  uint32_t unit = s->flash->program_bytes;
  return FORMAT_RECORD_BYTES + (size + unit - 1u) / unit * unit;
}

uint32_t slot_bytes(const store *s) {
  uint32_t unit = s->flash->program_bytes;
  return unit > FORMAT_SLOT_BYTES ? unit : FORMAT_SLOT_BYTES;
}

uint32_t slot_offset(const store *s, uint32_t slot) {
  return s->flash->block_bytes - (slot + 1u) * slot_bytes(s);
}
