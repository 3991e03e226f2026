/* SPDX-License-Identifier: Apache-2.0 */
/* store_note.c - what is not a frame: boots, the ledger, blocks given up, bad blocks.
 *
 * Notes lie in log 0 between alarm frames. Each block of log 0 begins with a copy of all that are
 * in force, so that older blocks need not be kept for them. A BOOT note ends the copy and has in
 * `index` of how many notes it is made: only if all of them are there does the copy count. */
#include <string.h>

#include "store_state.h"

#define BOOT_BYTES                                                              \
  32u /* boot u64 | told_before u64 | risk_before u64 | at_risk u32 | flags u32 \
       */
#define BOOT_ENDED 1u
#define LIST_BYTES 64u /* of serials or indices in one note */
#define VOID_AT_ONCE 2u

int note_room(store *s, size_t size) {
  return room_fits(s, 0, (uint32_t)size, false) ? 0 : room_roll(s);
}

int note_room_spare(store *s, size_t size) {
  int rc = room_pool_raise(s, room_spare(s));
  if (rc != 0 || room_fits(s, 0, (uint32_t)size, false)) return rc;
  rc = room_pool_raise(s, room_spare(s) + 1u);
  return rc == 0 ? note_room(s, size) : rc;
}

static int note_put(store *s, record *note, const uint8_t *payload, uint32_t *offset) {
  note->sequence = s->sequence;
  return append_record(s, 0, note, payload, offset);
}

/* ---- boots ------------------------------------------------------------------------------- */

static int note_boot(store *s, uint16_t snapshot_of) {
  uint8_t payload[BOOT_BYTES];
  uint32_t offset;
  record r = {.kind = RECORD_BOOT, .size = BOOT_BYTES, .index = snapshot_of};
  format_put(payload, 8, s->boot);
  format_put(payload + 8, 8, s->told_before);
  format_put(payload + 16, 8, s->risk_before);
  format_put(payload + 24, 4, s->at_risk);
  format_put(payload + 28, 4, s->ended ? BOOT_ENDED : 0);
  return note_put(s, &r, payload, &offset);
}

static void boot_apply(store *s, const uint8_t *payload) {
  uint32_t flags = (uint32_t)format_get(payload + 28, 4);
  s->boot = format_get(payload, 8);
  s->told_before = format_get(payload + 8, 8);
  s->risk_before = format_get(payload + 16, 8);
  s->at_risk = (uint32_t)format_get(payload + 24, 4);
  s->ended = (flags & BOOT_ENDED) != 0;
}

int store_boot_begin(store *s, uint32_t at_risk, store_boot *boot) {
  if (s->begun) return HTEL_E_CLOSED;
  int rc = s->boot_seen < UINT32_MAX ? note_room_spare(s, BOOT_BYTES) : HTEL_E_STORE;
  if (rc != 0) return rc;
  uint64_t boot_before = s->boot;
  bool unclean = s->boot > 0 && !s->ended;
  bool again = (PLANT(3) && !s->ended) || (PLANT(20) && s->boot_seen > 0);
  *boot = (store_boot){.number = s->boot_seen + (again ? 0 : 1u), .unclean = unclean};
  if (unclean) boot->unclean_first = s->told_before;
  if (unclean) boot->at_risk = s->risk_before + s->at_risk;
  s->boot = boot->number;
  s->told_before = unclean ? boot->unclean_first : boot->number;
  s->risk_before = boot->at_risk;
  s->at_risk = at_risk;
  s->ended = false;
  s->sequence = s->persisted = 0;
  rc = note_boot(s, 0);
  if (rc == 0 && !PLANT(6)) rc = store_sync(s);
  if (rc != 0) {
    s->boot = boot_before; /* the others are set anew by the next try */
    return rc;
  }
  s->boot_seen = s->boot;
  s->begun = true;
  return 0;
}

int store_boot_end(store *s) {
  if (!s->begun) return HTEL_E_CLOSED;
  int rc = store_sync(s);
  if (rc != 0 || s->ended) return rc;
  rc = note_room_spare(s, BOOT_BYTES);
  if (rc != 0) return rc;
  s->ended = true;
  rc = note_boot(s, 0);
  if (rc == 0) rc = store_sync(s);
  s->ended = rc == 0;
  return rc;
}

int boot_resume(store *s) {
  int rc = note_room_spare(s, BOOT_BYTES);
  if (rc != 0) return rc;
  s->ended = false;
  rc = note_boot(s, 0);
  return rc == 0 ? store_sync(s)
                 : rc; /* before any frame: what is after an end is not looked for */
}

/* ---- the ledger -------------------------------------------------------------------------- */

static void losses_are_at(store *s, uint32_t serial, uint32_t offset, uint64_t boot) {
  s->losses_serial = serial;
  s->losses_offset = offset;
  s->losses_boot = boot;
  if (boot < s->boot || boot == 0) return;
  s->told_before = s->boot;
  s->risk_before = 0;
}

int note_losses(store *s, const uint8_t *losses, size_t size, uint32_t serial_given_up) {
  /* Before the boot has begun the ledger is still that of the boot it is from. */
  record r = {.kind = RECORD_LOSSES,
              .size = (uint16_t)size,
              .tick_first = s->begun ? s->boot : s->losses_boot,
              .tick_span = serial_given_up};
  uint32_t offset;
  int rc = note_put(s, &r, losses, &offset);
  if (rc == 0) losses_are_at(s, s->blocks[s->tails[0].block].serial, offset, r.tick_first);
  return rc;
}

int store_losses_write(store *s, const uint8_t *losses, size_t size, uint32_t sequence) {
  if (size > STORE_LOSSES_BYTES_MAX) return HTEL_E_TOO_LARGE;
  int rc = note_room_spare(s, size);
  if (rc == 0) rc = room_evict_settle(s);
  if (rc == 0) rc = note_losses(s, losses, size, 0);
  if (rc == 0) rc = store_sync(s);
  if (rc == 0 && sequence > s->sequence) s->sequence = s->persisted = sequence;
  return rc;
}

/* The ledger's record. 1: found; 0: there is none. */
static int losses_find(store *s, uint16_t *block, found *f) {
  *block = s->losses_serial == 0 ? STORE_NONE : state_find(s, s->losses_serial);
  if (*block == STORE_NONE) return 0;
  int rc = scan_next(s, *block, s->losses_offset, s->flash->block_bytes, f);
  return rc == 1 && f->offset == s->losses_offset && f->r.kind == RECORD_LOSSES ? 1
         : rc < 0                                                               ? rc
                                                                                : 0;
}

static int note_get(store *s, uint16_t block, const found *f, uint8_t *payload) {
  int rc = flash_read(s, block, f->offset + FORMAT_RECORD_BYTES, payload, f->r.size);
  if (rc != 0) return flash_answers(s, block) ? HTEL_E_CRC : rc;
  format_sight sight = format_repair(payload, f->r.size, f->r.payload_crc);
  if (sight == FORMAT_REPAIRED) s->stats.repairs++;
  return sight == FORMAT_BROKEN ? HTEL_E_CRC : 0;
}

int store_losses_read(store *s, uint8_t *losses, size_t room) {
  uint16_t block;
  found f;
  int rc = losses_find(s, &block, &f);
  if (rc != 1) return rc;
  if (f.r.size > room) return HTEL_E_TOO_LARGE;
  rc = note_get(s, block, &f, losses);
  return rc == 0 ? f.r.size : rc;
}

static int losses_copy(store *s) {
  uint8_t losses[STORE_LOSSES_BYTES_MAX];
  uint16_t block;
  found f;
  int rc = losses_find(s, &block, &f);
  if (rc != 1 || f.r.size > sizeof losses) return rc < 0 ? rc : 0;
  rc = note_get(s, block, &f, losses);
  if (rc == HTEL_E_CRC) return 0; /* rotten: there is nothing to copy */
  if (rc != 0) return rc;
  record r = {.kind = RECORD_LOSSES, .size = f.r.size, .tick_first = f.r.tick_first};
  uint32_t offset;
  rc = note_put(s, &r, losses, &offset);
  if (rc == 0) losses_are_at(s, s->blocks[s->tails[0].block].serial, offset, r.tick_first);
  return rc;
}

/* ---- lists of blocks --------------------------------------------------------------------- */

static int note_list(store *s, uint8_t kind, const uint8_t *list, uint32_t size) {
  record r = {.kind = kind, .size = (uint16_t)size};
  uint32_t offset;
  return size == 0 ? 0 : note_put(s, &r, list, &offset);
}

int note_void_done(store *s) {
  /* Frames that go must not be taken for a hole in what was not durable: none of them is then. */
  int rc = s->sequence != s->persisted ? store_sync(s) : 0;
  if (rc == 0) rc = note_room(s, LIST_BYTES);
  if (rc != 0) return rc;
  uint16_t blocks[VOID_AT_ONCE];
  uint8_t list[4u * VOID_AT_ONCE];
  uint32_t count = 0;
  while (count < VOID_AT_ONCE) {
    uint16_t block = state_least_worn(s, STATE_DONE, STATE_DONE);
    if (block == STORE_NONE) break;
    format_put(list + 4u * count, 4, s->blocks[block].serial);
    blocks[count++] = block;
    state_set(s, block, STATE_UNSEEN); /* for now: not the same one twice */
  }
  if (!PLANT(5)) rc = note_list(s, RECORD_VOID, list, 4u * count);
  store_state given_up = PLANT(1) || PLANT(5) ? STATE_GONE : STATE_GOING;
  for (uint32_t i = 0; i < count; i++) state_set(s, blocks[i], rc == 0 ? given_up : STATE_DONE);
  return rc;
}

static int list_bad(store *s) {
  uint8_t list[LIST_BYTES];
  uint32_t size = 0;
  int rc = 0;
  for (uint16_t i = 0; rc == 0 && i < s->flash->block_count; i++) {
    if (s->blocks[i].state != STATE_BAD) continue;
    format_put(list + size, 2, i);
    size += 2u;
    if (size < LIST_BYTES) continue;
    if (!room_fits(s, 0, size, false)) return HTEL_E_FULL;
    rc = note_list(s, RECORD_BAD, list, size);
    size = 0;
  }
  if (rc != 0 || size == 0) return rc;
  return room_fits(s, 0, size, false) ? note_list(s, RECORD_BAD, list, size) : HTEL_E_FULL;
}

int note_bad(store *s) {
  int rc = note_room_spare(s, LIST_BYTES);
  if (rc != 0) return rc;
  s->bad_untold = false; /* a block that goes bad now sets it again */
  rc = list_bad(s);
  if (rc != 0) s->bad_untold = true;
  return rc;
}

/* Also those whose erase is not durable: without it they would be there again. */
static int list_given_up(store *s) {
  uint8_t list[LIST_BYTES];
  uint32_t size = 0;
  for (uint16_t i = 0; i < s->flash->block_count && size < LIST_BYTES; i++) {
    if (s->blocks[i].state < STATE_GOING || s->blocks[i].state > STATE_ERASED) continue;
    if (s->blocks[i].serial == 0) continue;
    format_put(list + size, 4, s->blocks[i].serial);
    size += 4u;
  }
  return note_list(s, RECORD_VOID, list, size);
}

int note_snapshot(store *s) {
  int rc = PLANT(15) ? 0 : losses_copy(s);
  if (rc == 0) rc = list_given_up(s);
  if (rc == 0) rc = list_bad(s);
  if (rc != 0) return rc;
  uint16_t notes = 1; /* with the BOOT note itself */
  found f;
  uint16_t block = s->tails[0].block;
  for (uint32_t at = FORMAT_HEADER_BYTES; (rc = scan_next(s, block, at, s->tails[0].end, &f)) == 1;
       at = f.next)
    notes++;
  return rc == 0 ? note_boot(s, notes) : rc;
}

/* ---- at mount ---------------------------------------------------------------------------- */

static void given_up(store *s, uint32_t serial) {
  uint16_t block = serial == 0 ? STORE_NONE : state_find(s, serial);
  if (block != STORE_NONE) state_set(s, block, STATE_GONE);
  if (serial >= s->serial_next) s->serial_next = serial + 1u; /* it is not to be used again */
}

int note_is_whole(store *s, uint16_t block, const found *f) {
  uint8_t payload[STORE_LOSSES_BYTES_MAX];
  if (f->r.kind == RECORD_FRAME || f->r.size > sizeof payload) return 0;
  int rc = note_get(s, block, f, payload);
  return rc == 0 ? 1 : rc == HTEL_E_CRC ? 0 : rc;
}

int note_apply(store *s, uint16_t block, const found *f) {
  uint8_t payload[STORE_LOSSES_BYTES_MAX];
  if (f->r.kind == RECORD_FRAME || f->r.size > sizeof payload) return 0;
  int rc = note_get(s, block, f, payload);
  if (rc == HTEL_E_CRC) s->stats.torn++;
  if (rc != 0) return rc == HTEL_E_CRC ? 0 : rc;
  if (f->r.kind == RECORD_LOSSES) {
    losses_are_at(s, s->blocks[block].serial, f->offset, f->r.tick_first);
    given_up(s, f->r.tick_span);
  }
  if (f->r.kind == RECORD_BOOT && f->r.size == BOOT_BYTES) boot_apply(s, payload);
  for (uint32_t i = 0; f->r.kind == RECORD_VOID && i + 4u <= f->r.size; i += 4u)
    given_up(s, (uint32_t)format_get(payload + i, 4));
  for (uint32_t i = 0; f->r.kind == RECORD_BAD && i + 2u <= f->r.size; i += 2u) {
    uint16_t bad = (uint16_t)format_get(payload + i, 2);
    if (bad < s->flash->block_count) state_set(s, bad, STATE_BAD);
  }
  return 0;
}
