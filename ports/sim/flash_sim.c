/* SPDX-License-Identifier: Apache-2.0 */
#include "flash_sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "healthtel/error.h"

const char *flash_mode_name(flash_mode mode) {
  static const char *const names[FLASH_MODES] = {"none", "partial", "random", "reordered"};
  return names[mode];
}

const char *flash_kind_name(flash_kind kind) {
  static const char *const names[] = {"program", "erase", "sync"};
  return names[kind];
}

static void *must(void *memory) {
  if (memory == NULL) {
    fprintf(stderr, "flash_sim: no memory\n");
    exit(2);
  }
  return memory;
}

static void violate(flash_sim *f, const char *what, uint32_t address, size_t size) {
  if (f->violation[0] != '\0') return;
  snprintf(f->violation, sizeof f->violation, "%s: address %u, %zu bytes, operation %llu", what,
           (unsigned)address, size, (unsigned long long)f->operation);
}

/* ---- Copy on write ------------------------------------------------------------------- */

static size_t chunk_units(const flash_sim *f) {
  return FLASH_CHUNK / f->geometry.program_bytes;
}

static void save_chunk(flash_sim *f, uint32_t chunk) {
  if (f->saved_count == f->saved_room) {
    f->saved_room = f->saved_room == 0 ? 64 : f->saved_room * 2;
    f->saved = must(realloc(f->saved, f->saved_room * sizeof *f->saved));
    for (size_t i = f->saved_count; i < f->saved_room; i++)
      f->saved[i] = must(malloc(sizeof chunk + 3 * FLASH_CHUNK));
  }
  uint8_t *at = f->saved[f->saved_count++];
  memcpy(at, &chunk, sizeof chunk);
  at += sizeof chunk;
  memcpy(at, f->data + (size_t)chunk * FLASH_CHUNK, FLASH_CHUNK);
  memcpy(at + FLASH_CHUNK, f->unstable + (size_t)chunk * FLASH_CHUNK, FLASH_CHUNK);
  memcpy(at + 2 * FLASH_CHUNK, f->used + chunk * chunk_units(f), chunk_units(f));
}

static void restore_chunk(flash_sim *f, const uint8_t *at) {
  uint32_t chunk;
  memcpy(&chunk, at, sizeof chunk);
  at += sizeof chunk;
  memcpy(f->data + (size_t)chunk * FLASH_CHUNK, at, FLASH_CHUNK);
  memcpy(f->unstable + (size_t)chunk * FLASH_CHUNK, at + FLASH_CHUNK, FLASH_CHUNK);
  memcpy(f->used + chunk * chunk_units(f), at + 2 * FLASH_CHUNK, chunk_units(f));
}

/* To be called before that range is changed in any way. A chunk that an inner level has saved is
 * saved once more, which does no harm: closing restores the latest first. */
static void touch(flash_sim *f, uint32_t address, uint32_t size) {
  if (f->level_count == 0 || size == 0) return;
  uint64_t serial = f->levels[f->level_count - 1].serial;
  for (uint32_t c = address / FLASH_CHUNK; c <= (address + size - 1) / FLASH_CHUNK; c++) {
    if (f->chunk_serial[c] == serial) continue;
    f->chunk_serial[c] = serial;
    save_chunk(f, c);
  }
}

static void drop_pending(flash_sim *f, uint32_t from) {
  while (f->pending_count > from) {
    flash_op *op = &f->pending[--f->pending_count];
    free(op->data);
    free(op->before);
  }
}

void flash_sim_open(flash_sim *f) {
  if (f->level_count == FLASH_LEVELS_MAX) abort();
  flash_level *l = &f->levels[f->level_count++];
  l->serial = ++f->serial_last;
  l->saved_count = f->saved_count;
  l->pending_first = f->pending_first;
  l->pending_count = f->pending_count;
  l->counts = f->counts;
  l->operation = f->operation;
  l->dead = f->dead;
  l->hook_off = f->hook_off;
  l->cut_after = f->cut_after;
  l->random = f->random;
  if (l->wear == NULL) l->wear = must(malloc(f->geometry.block_count * sizeof *l->wear));
  memcpy(l->wear, f->wear, f->geometry.block_count * sizeof *l->wear);
  if (l->bad == NULL) l->bad = must(malloc(f->geometry.block_count * sizeof *l->bad));
  memcpy(l->bad, f->bad, f->geometry.block_count * sizeof *l->bad);
  f->pending_first = f->pending_count;
  f->cut_after = 0;
  f->hook_off = true;
}

void flash_sim_close(flash_sim *f) {
  if (f->level_count == 0) abort();
  flash_level *l = &f->levels[--f->level_count];
  while (f->saved_count > l->saved_count) restore_chunk(f, f->saved[--f->saved_count]);
  drop_pending(f, l->pending_count);
  f->pending_first = l->pending_first;
  f->counts = l->counts;
  f->operation = l->operation;
  f->dead = l->dead;
  f->hook_off = l->hook_off;
  f->cut_after = l->cut_after;
  f->random = l->random;
  memcpy(f->wear, l->wear, f->geometry.block_count * sizeof *l->wear);
  memcpy(f->bad, l->bad, f->geometry.block_count * sizeof *l->bad);
}

/* ---- What operations do -------------------------------------------------------------- */

static void mark_used(flash_sim *f, uint32_t address, uint32_t size, uint8_t used) {
  uint32_t unit = f->geometry.program_bytes;
  uint32_t first = address / unit;
  memset(f->used + first, used, (address + size + unit - 1) / unit - first);
}

static bool any_used(const flash_sim *f, uint32_t address, uint32_t size) {
  uint32_t unit = f->geometry.program_bytes;
  return memchr(f->used + address / unit, 1, size / unit) != NULL;
}

static void do_program(flash_sim *f, uint32_t address, const uint8_t *data, uint32_t size) {
  if (size == 0) return;
  touch(f, address, size);
  for (uint32_t i = 0; i < size; i++) f->data[address + i] &= data[i];
  mark_used(f, address, size, 1);
}

/* A unit that was programmed with ones alone, by an operation of which the rest was torn or came
 * out of order: nobody can know of it, so it counts as erased. */
static void forget_ones(flash_sim *f, const flash_op *op) {
  uint32_t unit = f->geometry.program_bytes;
  for (uint32_t at = 0; op->kind == FLASH_PROGRAM && at < op->size; at += unit) {
    uint8_t all = 0xFF;
    for (uint32_t i = 0; i < unit; i++) all &= f->data[op->address + at + i];
    if (all == 0xFF) mark_used(f, op->address + at, unit, 0);
  }
}

static void do_erase(flash_sim *f, uint32_t address) {
  uint32_t size = f->geometry.block_bytes;
  touch(f, address, size);
  memset(f->data + address, 0xFF, size);
  memset(f->unstable + address, 0, size);
  mark_used(f, address, size, 0);
}

/* Each bit done or not. A unit of which no bit was done counts as not programmed. Programming is
 * serial on some parts (units before the torn one are done, those behind it untouched), and by
 * pages on others (all of it torn). */
static void tear_program_bits(flash_sim *f, const flash_op *op, sim_random *random) {
  uint32_t unit = f->geometry.program_bytes;
  bool serial = random_below(random, 2) == 0;
  uint32_t torn = random_below(random, op->size / unit) * unit;
  if (serial) do_program(f, op->address, op->data, torn);
  touch(f, op->address, op->size);
  for (uint32_t at = serial ? torn : 0; at < (serial ? torn + unit : op->size); at += unit) {
    uint8_t done = 0;
    for (uint32_t i = at; i < at + unit; i++) {
      uint8_t clear = (uint8_t)(f->data[op->address + i] & ~op->data[i] & random_u32(random));
      f->data[op->address + i] = (uint8_t)(f->data[op->address + i] & ~clear);
      done |= clear;
    }
    if (done != 0) mark_used(f, op->address + at, unit, 1);
  }
}

/* Pages of 256 bytes erased or not, in whatever order the part or the file system takes them. */
static void tear_pages(flash_sim *f, uint32_t address, sim_random *random) {
  uint32_t size = f->geometry.block_bytes, how = random_below(random, 3);
  uint32_t from = random_below(random, size / 256 + 1) * 256;
  for (uint32_t at = 0; at < size; at += 256) {
    bool erased = how == 0 ? at < from : how == 1 ? at >= from : random_below(random, 2) == 0;
    if (erased) memset(f->data + address + at, 0xFF, 256);
  }
}

/* A block whose erase was interrupted must be erased again, even if it happens to read as erased:
 * so its units stay used. */
static void tear_erase(flash_sim *f, uint32_t address, bool bits, sim_random *random) {
  uint32_t size = f->geometry.block_bytes;
  touch(f, address, size);
  mark_used(f, address, size, 1);
  uint32_t how = bits ? random_below(random, 4) : 0;
  if (how == 0) {
    tear_pages(f, address, random);
    return;
  }
  if (how == 1) { /* reads as erased */
    memset(f->data + address, 0xFF, size);
    return;
  }
  for (uint32_t i = address; i < address + size; i++) {
    uint8_t noise = (uint8_t)random_u32(random);
    f->data[i] = (uint8_t)(how == 2 ? f->data[i] | noise : noise);
    f->unstable[i] = (uint8_t)(random_u32(random) & random_u32(random) & ~noise);
  }
}

/* An erase that was lost may leave old bytes below a later program: flash ands them, a file is
 * written over. */
static void tear(flash_sim *f, const flash_op *op, bool bits, sim_random *random) {
  if (op->kind == FLASH_SYNC) return;
  if (op->kind == FLASH_ERASE) {
    tear_erase(f, op->address, bits, random);
  } else if (bits) {
    tear_program_bits(f, op, random);
  } else {
    uint32_t part = random_below(random, op->size + 1);
    do_program(f, op->address, op->data, part);
  }
  forget_ones(f, op);
}

static void apply(flash_sim *f, const flash_op *op, bool over) {
  if (op->kind == FLASH_SYNC) return;
  if (op->kind == FLASH_ERASE) {
    do_erase(f, op->address);
    return;
  }
  touch(f, op->address, op->size);
  if (over) memset(f->data + op->address, 0xFF, op->size);
  do_program(f, op->address, op->data, op->size);
}

static void undo(flash_sim *f, const flash_op *op) {
  uint32_t unit = f->geometry.program_bytes;
  touch(f, op->address, op->size);
  memcpy(f->data + op->address, op->before, op->size);
  memcpy(f->unstable + op->address, op->before + op->size, op->size);
  memcpy(f->used + op->address / unit, op->before + 2 * op->size, op->size / unit);
}

static void reorder(flash_sim *f, uint32_t first, uint32_t end, const flash_op *last,
                    sim_random *random) {
  for (uint32_t i = end; i > first; i--) undo(f, &f->pending[i - 1]);
  bool over = random_below(random, 2) == 0;
  uint32_t lost_of_8 = random_below(random, 8);
  for (uint32_t i = first; i <= end; i++) {
    const flash_op *op = i < end ? &f->pending[i] : last;
    if (op == NULL) continue;
    if (random_below(random, 8) < lost_of_8) continue;
    if (random_below(random, 6) == 0)
      tear(f, op, random_below(random, 2) == 0, random);
    else
      apply(f, op, over);
    forget_ones(f, op);
  }
}

static void cut(flash_sim *f, uint32_t first, uint32_t end, const flash_op *op, flash_mode mode,
                sim_random *random) {
  if (mode == FLASH_REORDERED) {
    reorder(f, first, end, op, random);
  } else if (mode != FLASH_NONE && op != NULL) {
    tear(f, op, mode == FLASH_RANDOM, random);
  }
  f->random.state = random_u64(random);
}

void flash_sim_cut(flash_sim *f, const flash_op *op, flash_mode mode, sim_random *random) {
  if (f->level_count == 0) abort();
  flash_sim_trace(f, "the power fails");
  const flash_level *outer = &f->levels[f->level_count - 1];
  cut(f, outer->pending_first, outer->pending_count, op, mode, random);
}

void flash_sim_lose_power(flash_sim *f, flash_mode mode) {
  cut(f, f->pending_first, f->pending_count, NULL, mode, &f->random);
  drop_pending(f, f->pending_first);
}

/* ---- The port ------------------------------------------------------------------------ */

static bool outside(const flash_sim *f, uint32_t address, size_t size) {
  return size > f->size || address > f->size - size;
}

static bool within_block(const flash_sim *f, uint32_t address, size_t size) {
  uint32_t block = f->geometry.block_bytes;
  return size == 0 || address / block == (address + (uint32_t)size - 1) / block;
}

static int sim_read(void *ctx, uint32_t address, uint8_t *buf, size_t size) {
  flash_sim *f = ctx;
  if (f->dead) return HTEL_E_STORE;
  f->counts.reads++;
  f->counts.bytes_read += size;
  if (outside(f, address, size) || !within_block(f, address, size)) {
    violate(f, "read outside of the part, or across blocks", address, size);
    return HTEL_E_ARGUMENT;
  }
  bool unread = address < f->unread_to && address + size > f->unread_from;
  if (f->counts.reads >= f->outage_from && f->counts.reads < f->outage_to) unread = true;
  if (unread || (f->unread_every != 0 && f->counts.reads % f->unread_every == 0)) {
    f->counts.unread++;
    memset(buf, 0x5A, size);
    return HTEL_E_STORE;
  }
  memcpy(buf, f->data + address, size);
  for (size_t i = 0; i < size; i++)
    if (f->unstable[address + i] != 0)
      buf[i] ^= (uint8_t)(f->unstable[address + i] & random_u32(&f->random));
  return 0;
}

/* False: the power is off. */
static bool begin(flash_sim *f, const flash_op *op) {
  f->operation++;
  flash_sim_trace(f, "%*s%llu %s block %u at %u, %u bytes", (int)f->level_count * 2, "",
                  (unsigned long long)f->operation, flash_kind_name(op->kind),
                  (unsigned)(op->address / f->geometry.block_bytes),
                  (unsigned)(op->address % f->geometry.block_bytes), (unsigned)op->size);
  if (f->hook != NULL && !f->hook_off) f->hook(f->hook_ctx, op);
  if (f->cut_after == 0 || --f->cut_after > 0) return true;
  cut(f, f->pending_first, f->pending_count, op, f->cut_mode, &f->random);
  drop_pending(f, f->pending_first);
  f->dead = true;
  return false;
}

static void remember(flash_sim *f, const flash_op *op) {
  if (f->pending_count == f->pending_room) {
    f->pending_room = f->pending_room == 0 ? 64 : f->pending_room * 2;
    f->pending = must(realloc(f->pending, f->pending_room * sizeof *f->pending));
  }
  flash_op *to = &f->pending[f->pending_count++];
  *to = *op;
  uint32_t unit = f->geometry.program_bytes;
  to->before = must(malloc(2 * (size_t)op->size + op->size / unit));
  memcpy(to->before, f->data + op->address, op->size);
  memcpy(to->before + op->size, f->unstable + op->address, op->size);
  memcpy(to->before + 2 * op->size, f->used + op->address / unit, op->size / unit);
  to->data = NULL;
  if (op->kind == FLASH_PROGRAM) {
    to->data = must(malloc(op->size));
    memcpy(to->data, op->data, op->size);
  }
}

static bool worn(const flash_sim *f, uint32_t address) {
  uint32_t block = address / f->geometry.block_bytes;
  uint32_t more = block * 2654435761u % (f->wear_max / 2u + 1u);
  return f->bad[block] || (f->wear_max != 0 && f->wear[block] > f->wear_max + more);
}

/* Now and then the block that is being written or erased goes bad, for ever. */
static void grow_bad(flash_sim *f, uint32_t address) {
  if (f->bad_every == 0 || f->operation % f->bad_every != 0) return;
  uint32_t bad = 0;
  for (uint32_t b = 0; b < f->geometry.block_count; b++) bad += f->bad[b];
  if (bad < f->bad_max) f->bad[address / f->geometry.block_bytes] = true;
}

static int sim_program(void *ctx, uint32_t address, const uint8_t *buf, size_t size) {
  flash_sim *f = ctx;
  if (f->dead) return HTEL_E_STORE;
  uint32_t unit = f->geometry.program_bytes;
  if (size == 0 || outside(f, address, size) || address % unit != 0 || size % unit != 0 ||
      !within_block(f, address, size)) {
    violate(f, "program that is not aligned, empty, or not within one block", address, size);
    return HTEL_E_ARGUMENT;
  }
  flash_op op = {.kind = FLASH_PROGRAM, .address = address, .size = (uint32_t)size};
  op.data = must(malloc(size));
  memcpy(op.data, buf, size);
  bool on = begin(f, &op);
  if (on) {
    f->counts.programs++;
    f->counts.bytes_programmed += size;
    if (any_used(f, address, op.size))
      violate(f, "program of a unit that was programmed since its last erase", address, size);
    remember(f, &op);
    grow_bad(f, address);
    if (worn(f, address)) {
      tear(f, &op, true, &f->random);
      f->counts.failed++;
      on = false;
    } else {
      apply(f, &op, false);
    }
  }
  free(op.data);
  return on ? 0 : HTEL_E_STORE;
}

static int sim_erase(void *ctx, uint32_t block) {
  flash_sim *f = ctx;
  if (f->dead) return HTEL_E_STORE;
  if (block >= f->geometry.block_count) {
    violate(f, "erase of a block that is not there", block, 0);
    return HTEL_E_ARGUMENT;
  }
  flash_op op = {.kind = FLASH_ERASE,
                 .address = block * f->geometry.block_bytes,
                 .size = f->geometry.block_bytes};
  if (!begin(f, &op)) return HTEL_E_STORE;
  f->counts.erases++;
  f->wear[block]++;
  remember(f, &op);
  grow_bad(f, op.address);
  if (worn(f, op.address)) {
    tear_erase(f, op.address, true, &f->random);
    f->counts.failed++;
    return HTEL_E_STORE;
  }
  do_erase(f, op.address);
  return 0;
}

static int sim_sync(void *ctx) {
  flash_sim *f = ctx;
  if (f->dead) return HTEL_E_STORE;
  flash_op op = {.kind = FLASH_SYNC};
  if (!begin(f, &op)) return HTEL_E_STORE;
  f->counts.syncs++;
  drop_pending(f, f->pending_first);
  return 0;
}

void flash_sim_trace(const flash_sim *f, const char *format, ...) {
  if (f->trace_from == 0 || f->operation < f->trace_from) return;
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
}

/* ---- From outside -------------------------------------------------------------------- */

void flash_sim_init(flash_sim *f, const flash_geometry *geometry, uint64_t seed) {
  *f = (flash_sim){.geometry = *geometry, .size = geometry->block_bytes * geometry->block_count};
  f->port = (htel_flash){.ctx = f,
                         .block_bytes = geometry->block_bytes,
                         .block_count = geometry->block_count,
                         .program_bytes = geometry->program_bytes,
                         .read = sim_read,
                         .program = sim_program,
                         .erase = sim_erase,
                         .sync = sim_sync};
  size_t chunks = f->size / FLASH_CHUNK;
  f->data = must(malloc(f->size));
  memset(f->data, 0xFF, f->size);
  f->unstable = must(calloc(f->size, 1));
  f->used = must(calloc(f->size / geometry->program_bytes, 1));
  f->wear = must(calloc(geometry->block_count, sizeof *f->wear));
  f->bad = must(calloc(geometry->block_count, sizeof *f->bad));
  f->chunk_serial = must(calloc(chunks, sizeof *f->chunk_serial));
  f->random.state = seed;
}

void flash_sim_free(flash_sim *f) {
  drop_pending(f, 0);
  for (size_t i = 0; i < f->saved_room; i++) free(f->saved[i]);
  for (unsigned i = 0; i < FLASH_LEVELS_MAX; i++) {
    free(f->levels[i].wear);
    free(f->levels[i].bad);
  }
  free(f->saved);
  free(f->pending);
  free(f->data);
  free(f->unstable);
  free(f->used);
  free(f->wear);
  free(f->bad);
  free(f->chunk_serial);
}

void flash_sim_power_on(flash_sim *f) {
  f->dead = false;
  f->cut_after = 0;
}

uint32_t flash_sim_good_blocks(const flash_sim *f) {
  uint32_t good = 0;
  for (uint32_t b = 0; b < f->geometry.block_count; b++)
    if (!worn(f, b * f->geometry.block_bytes)) good++;
  return good;
}

void flash_sim_flip(flash_sim *f, uint64_t bit) {
  uint32_t at = (uint32_t)(bit / 8u);
  touch(f, at, 1);
  f->data[at] ^= (uint8_t)(1u << (bit % 8u));
}

void flash_sim_fill(flash_sim *f, const uint8_t *image, uint32_t size) {
  uint32_t unit = f->geometry.program_bytes;
  touch(f, 0, size);
  for (uint32_t at = 0; at < size; at += unit)
    if (memcmp(f->data + at, image + at, unit) != 0) mark_used(f, at, unit, 1);
  memcpy(f->data, image, size);
}
