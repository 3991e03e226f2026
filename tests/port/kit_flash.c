/* SPDX-License-Identifier: Apache-2.0 */
/* kit_flash.c - the four functions of htel_flash, used as the outbox uses them: a unit is
 * programmed once between two erases, in ascending order, within one block. */
#include <string.h>

#include "kit_internal.h"

#define PIECE 256u
#define EDGE 64u    /* bytes at the edges of a block that are looked at */
#define UNITS 128u  /* programmed one by one */
#define PAGES 1536u /* bytes programmed over pages, whatever their size up to 1 KB */
#define TIME_DEFAULT_MS 500u
#define BORDERS_MAX 16u

static const char flash_section[] = "Flash";

typedef struct flash_times {
  uint32_t erase_ms, program_ms, read_ms, sync_ms;
} flash_times;

static void note_time(uint32_t *longest_ms, uint32_t took_ms) {
  if (took_ms > *longest_ms) *longest_ms = took_ms;
}

static bool ready(kit *k) {
  if (k->flash == NULL) kit_skip(k, "there is no flash: the outbox is in RAM");
  if (k->flash_broken) kit_skip(k, "the flash must first erase, program and read");
  return k->flash != NULL && !k->flash_broken;
}

static bool f_erase(kit *k, uint32_t block) {
  return kit_returned(k, "flash.erase()", k->flash->erase(k->flash->ctx, block));
}

static bool f_read(kit *k, uint32_t address, uint8_t *bytes, size_t size) {
  return kit_returned(k, "flash.read()", k->flash->read(k->flash->ctx, address, bytes, size));
}

/* Programs the pattern of `seed`, from a buffer `shift` bytes off its alignment. */
static bool f_program_from(kit *k, uint32_t address, uint32_t size, uint32_t seed, uint32_t shift) {
  for (uint32_t i = 0; i < size; i++) k->scratch[shift + i] = kit_pattern(address + i, seed);
  return kit_returned(k, "flash.program()",
                      k->flash->program(k->flash->ctx, address, k->scratch + shift, size));
}

static bool f_program(kit *k, uint32_t address, uint32_t size, uint32_t seed) {
  return f_program_from(k, address, size, seed, 0);
}

static uint32_t start_of(const kit *k, uint32_t block) {
  return block * k->flash->block_bytes;
}

/* Where a range first differs: from the pattern in [from, to), from 0xFF elsewhere. */
typedef struct difference {
  bool found;
  uint32_t address;
  uint8_t is, wanted;
} difference;

static difference compare(kit *k, uint32_t start, uint32_t size, uint32_t from, uint32_t to,
                          uint32_t seed) {
  uint8_t bytes[PIECE];
  difference d = {0};
  for (uint32_t at = start; at < start + size && !d.found; at += PIECE) {
    uint32_t piece = start + size - at < PIECE ? start + size - at : PIECE;
    if (!f_read(k, at, bytes, piece)) return d;
    for (uint32_t i = 0; i < piece && !d.found; i++) {
      uint32_t a = at + i;
      uint8_t wanted = a >= from && a < to ? kit_pattern(a, seed) : 0xFF;
      if (bytes[i] != wanted) d = (difference){true, a, bytes[i], wanted};
    }
  }
  return d;
}

static difference compare_block(kit *k, uint32_t block, uint32_t from, uint32_t to, uint32_t seed) {
  return compare(k, start_of(k, block), k->flash->block_bytes, from, to, seed);
}

/* Fails with `why` where the block is not as it should be. */
static bool expect_block(kit *k, uint32_t block, uint32_t from, uint32_t to, uint32_t seed,
                         const char *why) {
  difference d = compare_block(k, block, from, to, seed);
  if (d.found)
    kit_fail(k, "block %u, byte %u reads 0x%x and not 0x%x: %s", (unsigned)block,
             (unsigned)(d.address - start_of(k, block)), d.is, d.wanted, why);
  return !d.found && !kit_failed(k);
}

static void stands(kit *k) {
  if (kit_failed(k)) k->flash_broken = true;
}

/* ---- The checks ---------------------------------------------------------------------------- */

/* Asks each function something harmless, for those that are still as the template has them. */
static void check_filled(kit *k) {
  const htel_flash *f = k->flash;
  uint8_t byte;
  bool read = f->read(f->ctx, 0, &byte, 1) != HTEL_E_PORT, sync = f->sync(f->ctx) != HTEL_E_PORT;
  bool erase = f->erase(f->ctx, 1) != HTEL_E_PORT, program = erase;
  memset(k->scratch, 0xFF, EDGE);
  if (erase) program = f->program(f->ctx, f->block_bytes, k->scratch, EDGE) != HTEL_E_PORT;
  if (read && sync && erase && program) return;
  kit_fail(k, "not filled in yet:%s%s%s%s. They return HTEL_E_PORT as the template does",
           read ? "" : " flash_read", erase ? "" : " flash_erase", program ? "" : " flash_program",
           sync ? "" : " flash_sync");
}

static void check_there(kit *k) {
  if (!ready(k)) return;
  const char *fault = kit_flash_fault(k->flash);
  if (fault != NULL)
    kit_fail(k, "%s", fault);
  else
    check_filled(k);
  stands(k);
  kit_say(k, "%u blocks of %u bytes, programmed by %u", (unsigned)k->flash->block_count,
          (unsigned)k->flash->block_bytes, (unsigned)k->flash->program_bytes);
}

/* Block 1 as the last run left it. */
static void check_kept(kit *k) {
  if (!ready(k)) return;
  if (!k->note_found && k->config->again) {
    kit_fail(k,
             "the note of the run before is gone: the flash forgets, sync() does not wait for "
             "what was programmed, or something else erases block 0");
    return;
  }
  if (!k->note_found) {
    kit_skip(k, "no note of an earlier run: reset the device and run again, with .again set");
    return;
  }
  uint32_t start = start_of(k, 1);
  (void)expect_block(k, 1, start, start + k->flash->block_bytes, k->before.run,
                     "the reset changed what was synced");
}

static void check_erase(kit *k) {
  if (!ready(k)) return;
  const uint32_t blocks[] = {1, 2, k->flash->block_count - 1u};
  for (size_t i = 0; i < 3 && !kit_failed(k); i++) {
    uint32_t start = start_of(k, blocks[i]), end = start + k->flash->block_bytes;
    if (!f_erase(k, blocks[i]) ||
        !expect_block(k, blocks[i], 0, 0, 0, "erase() must leave 0xFF in all of its block") ||
        !f_program(k, start, EDGE, 1) || !f_program(k, end - EDGE, EDGE, 1) ||
        !f_erase(k, blocks[i]))
      break;
    (void)expect_block(k, blocks[i], 0, 0, 0,
                       "what was programmed is still there after erase(): is `block` a number, not "
                       "an address? is block_bytes what one erase clears?");
  }
  stands(k);
}

/* Read, programmed, read again: what a cache holds must not be told. */
static void check_program(kit *k) {
  if (!ready(k)) return;
  uint32_t start = start_of(k, 1), middle = start + k->flash->block_bytes / 2u;
  if (!f_erase(k, 1) || !expect_block(k, 1, 0, 0, 0, "erase() must leave 0xFF")) {
    stands(k);
    return;
  }
  if (f_program(k, middle, EDGE, 2))
    (void)expect_block(k, 1, middle, middle + EDGE, 2,
                       "program() of 64 bytes must write those and no others, and read() must tell "
                       "them at once (does a cache keep what was there? are short programs padded "
                       "with something else than 0xFF?)");
  stands(k);
}

/* What the geometry calls a unit must be one: single units, one after the other. */
static void check_units(kit *k) {
  if (!ready(k)) return;
  uint32_t unit = k->flash->program_bytes, start = start_of(k, 2);
  if (!f_erase(k, 2)) return;
  for (uint32_t i = 0; i < UNITS; i++) {
    uint32_t at = start + i * unit;
    for (uint32_t b = 0; b < unit; b++) k->scratch[b] = kit_pattern(at + b, 3);
    int rc = k->flash->program(k->flash->ctx, at, k->scratch, unit);
    if (rc == 0) continue;
    kit_fail(k,
             "program() of unit %u, %u bytes, returned %d after those before it were programmed: "
             "does the part program more at once, with ECC? Then program_bytes is that (8 or 16)",
             (unsigned)i, (unsigned)unit, rc);
    return;
  }
  (void)expect_block(k, 2, start, start + UNITS * unit, 3,
                     "units programmed one by one damage each other: does the part program more at "
                     "once, with ECC? Then program_bytes is that (8 or 16)");
}

/* SPI flash goes back to the beginning of its page of 256 bytes when a program runs over its end.
 */
static void check_pages(kit *k) {
  if (!ready(k)) return;
  uint32_t unit = k->flash->program_bytes, from = start_of(k, 1) + PIECE - 2u * unit;
  if (!f_erase(k, 1) || !f_program(k, from, PAGES, 4)) return;
  (void)expect_block(k, 1, from, from + PAGES, 4,
                     "a program over the end of a page went wrong: cut it at the part's pages "
                     "(often 256 bytes)");
}

static void check_alignment(kit *k) {
  if (!ready(k)) return;
  uint32_t start = start_of(k, 2), size = 4u * PIECE;
  if (!f_erase(k, 2)) return;
  for (uint32_t i = 0; i < 4; i++)
    if (!f_program_from(k, start + i * PIECE, PIECE, 5, i)) return;
  if (!expect_block(k, 2, start, start + size, 5,
                    "program() from a buffer at any address: copy it where the part or its DMA "
                    "needs words"))
    return;
  for (uint32_t from = 0; from < 9; from++) {
    for (uint32_t n = 1; n < 12; n++) {
      uint8_t *to = k->scratch + from;
      memset(k->scratch, 0x5A, 32);
      if (!f_read(k, start + from, to, n)) return;
      for (uint32_t i = 0; i < n; i++)
        if (to[i] != kit_pattern(start + from + i, 5))
          kit_fail(k,
                   "read() of %u bytes at address %u, into a buffer off its alignment by %u, is "
                   "wrong: any address, size and buffer must do",
                   (unsigned)n, (unsigned)(start + from), (unsigned)from);
      if (to[n] != 0x5A) kit_fail(k, "read() of %u bytes wrote beyond them", (unsigned)n);
    }
  }
}

/* The edges of a block's neighbours stay when it is erased. */
static void check_beside(kit *k) {
  if (!ready(k)) return;
  uint32_t bytes = k->flash->block_bytes;
  for (uint32_t block = 1; block <= 3; block++)
    if (!f_erase(k, block) || !f_program(k, start_of(k, block), EDGE, 6) ||
        !f_program(k, start_of(k, block) + bytes - EDGE, EDGE, 6))
      return;
  if (!f_erase(k, 2)) return;
  for (uint32_t block = 1; block <= 3; block += 2) {
    for (uint32_t edge = 0; edge < 2; edge++) {
      uint32_t at = start_of(k, block) + edge * (bytes - EDGE);
      if (compare(k, at, EDGE, at, at + EDGE, 6).found)
        kit_fail(k,
                 "erase() of block 2 changed block %u: the part's sector is larger than "
                 "block_bytes",
                 (unsigned)block);
    }
  }
}

/* A block for each address line, and the last: none may be another one's mirror. */
static void check_borders(kit *k) {
  if (!ready(k)) return;
  uint32_t blocks[BORDERS_MAX], count = 0, last = k->flash->block_count - 1u;
  blocks[count++] = 0;
  for (uint32_t block = 1; block < last && count < BORDERS_MAX - 1u; block *= 2)
    blocks[count++] = block;
  blocks[count++] = last;
  for (uint32_t i = 0; i < count; i++)
    if (!f_erase(k, blocks[i]) || !f_program(k, start_of(k, blocks[i]), EDGE, 7)) return;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t at = start_of(k, blocks[i]);
    if (compare(k, at, EDGE, at, at + EDGE, 7).found)
      kit_fail(k,
               "block %u changed when others were erased and programmed: are there so many "
               "blocks, or do addresses begin again?",
               (unsigned)blocks[i]);
  }
}

static void check_sync(kit *k) {
  if (!ready(k)) return;
  if (f_erase(k, 1) && f_program(k, start_of(k, 1), EDGE, 8))
    (void)kit_returned(k, "flash.sync()", k->flash->sync(k->flash->ctx));
}

static void expect_error(kit *k, const char *function, int rc) {
  if (rc == 0)
    kit_fail(k, "%s returned 0 although the part refused: look at its status, or read back",
             function);
  if (rc > 0)
    kit_fail(k,
             "%s returned %d for an error: only negative HTEL_E_* are allowed (was a vendor's "
             "status passed on?)",
             function, rc);
}

static void check_errors(kit *k) {
  const kit_config *c = k->config;
  if (!ready(k)) return;
  if (c->flash_fails == NULL) {
    kit_skip(k, "flash_fails() was not given: an error that is hidden would not be seen");
    return;
  }
  if (!f_erase(k, 1)) return;
  memset(k->scratch, 0x3C, EDGE);
  c->flash_fails(c->ctx, true);
  int program = k->flash->program(k->flash->ctx, start_of(k, 1), k->scratch, EDGE);
  int erase = k->flash->erase(k->flash->ctx, 1);
  c->flash_fails(c->ctx, false);
  expect_error(k, "flash.program()", program);
  expect_error(k, "flash.erase()", erase);
  if (!kit_failed(k)) (void)f_erase(k, 1);
}

static uint32_t since(const kit *k, uint32_t from_ms) {
  return kit_ms(k) - from_ms;
}

/* As the outbox calls them: an erase, frames of a few hundred bytes with a sync each. */
static bool measure(kit *k, flash_times *t) {
  uint32_t from_ms = kit_ms(k);
  if (!f_erase(k, 1)) return false;
  note_time(&t->erase_ms, since(k, from_ms));
  for (uint32_t i = 0; i < 4; i++) {
    uint32_t at = start_of(k, 1) + i * 2u * PIECE;
    from_ms = kit_ms(k);
    if (!f_program(k, at, 2u * PIECE, 9)) return false;
    note_time(&t->program_ms, since(k, from_ms));
    from_ms = kit_ms(k);
    if (!kit_returned(k, "flash.sync()", k->flash->sync(k->flash->ctx))) return false;
    note_time(&t->sync_ms, since(k, from_ms));
    from_ms = kit_ms(k);
    if (!f_read(k, at, k->scratch, 2u * PIECE)) return false;
    note_time(&t->read_ms, since(k, from_ms));
  }
  return true;
}

static void check_time(kit *k) {
  flash_times t = {0};
  uint32_t max_ms = k->config->flash_ms_max != 0 ? k->config->flash_ms_max : TIME_DEFAULT_MS;
  if (!ready(k) || !kit_needs_clock(k) || !measure(k, &t)) return;
  const struct {
    const char *name;
    uint32_t ms;
  } calls[] = {{"erase()", t.erase_ms},
               {"program() of 512 bytes", t.program_ms},
               {"sync()", t.sync_ms},
               {"read() of 512 bytes", t.read_ms}};
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
    if (calls[i].ms > max_ms)
      kit_fail(k,
               "%s took %u ms, %u were allowed (flash_ms_max): nothing is sent and no ring is "
               "emptied meanwhile. Smaller blocks, or larger rings and a larger flash_ms_max",
               calls[i].name, (unsigned)calls[i].ms, (unsigned)max_ms);
  kit_say(k, "erase %u ms, program %u, sync %u, read %u", (unsigned)t.erase_ms,
          (unsigned)t.program_ms, (unsigned)t.sync_ms, (unsigned)t.read_ms);
}

const kit_check kit_flash_checks[] = {
    {"flash.kept", flash_section, check_kept}, /* before an erase */
    {"flash.there", flash_section, check_there},
    {"flash.erase", flash_section, check_erase},
    {"flash.program", flash_section, check_program},
    {"flash.units", flash_section, check_units},
    {"flash.pages", flash_section, check_pages},
    {"flash.alignment", flash_section, check_alignment},
    {"flash.beside", flash_section, check_beside},
    {"flash.borders", flash_section, check_borders},
    {"flash.sync", flash_section, check_sync},
    {"flash.errors", flash_section, check_errors},
    {"flash.time", flash_section, check_time},
    {NULL, NULL, NULL}};
