/* SPDX-License-Identifier: Apache-2.0 */
/* sim_flash.c - the made-up device's flash: blocks of 4 KB, units of 8 bytes with ECC, pages of 256
 * bytes; and the port's four functions over it. */
#include <string.h>

#include "sim.h"

#define PAGE 256u
#define ERASE_US 30000u
#define PAGE_US 700u

/* ---- The part ------------------------------------------------------------------------------ */

/* Units from `address` on: false where one was programmed before. */
static bool part_program(sim *s, uint32_t address, const uint8_t *bytes, uint32_t size) {
  sim_device *d = s->device;
  sim_spend(s, PAGE_US);
  if (s->flash_fails) return false;
  if (s->broken == FLASH_FAILS_UNDER_INTERRUPTS && s->handler != NULL) return false;
  for (uint32_t unit = address / SIM_UNIT; unit <= (address + size - 1u) / SIM_UNIT; unit++) {
    if (d->used[unit]) return false;
    d->used[unit] = true;
  }
  for (uint32_t i = 0; i < size; i++) d->flash[address + i] &= bytes[i];
  return true;
}

static bool part_erase(sim *s, uint32_t address, uint32_t size) {
  sim_device *d = s->device;
  sim_spend(s, s->broken == FLASH_IS_SLOW ? 900000u : ERASE_US);
  if (s->flash_fails) return false;
  memset(d->flash + address, 0xFF, size);
  memset(d->used + address / SIM_UNIT, 0, size / SIM_UNIT * sizeof d->used[0]);
  return true;
}

/* ---- The port ------------------------------------------------------------------------------ */

static int status(const sim *s, bool done) {
  if (done || s->broken == FLASH_HIDES_ERRORS) return 0;
  return s->broken == FLASH_STATUS_POSITIVE ? 1 : HTEL_E_STORE;
}

static uint32_t place(const sim *s, uint32_t address) {
  return s->broken == FLASH_MIRRORED ? address % (SIM_BYTES / 2u) : address;
}

static int flash_read(void *ctx, uint32_t address, uint8_t *buf, size_t size) {
  sim *s = ctx;
  sim_spend(s, 5);
  if (address > SIM_BYTES || size > SIM_BYTES - address) return HTEL_E_ARGUMENT;
  memcpy(buf, s->device->flash + place(s, address), size);
  if (s->broken != FLASH_CACHE_IS_STALE) return 0;
  /* A line of 64 bytes, in the middle of each block, is told as it was read first. */
  uint32_t line = address / SIM_BLOCK_BYTES * SIM_BLOCK_BYTES + SIM_BLOCK_BYTES / 2u;
  if (address > line || address + size < line + sizeof s->cached) return 0;
  if (s->cached_at == line) {
    memcpy(buf + (line - address), s->cached, sizeof s->cached);
  } else {
    memcpy(s->cached, buf + (line - address), sizeof s->cached);
    s->cached_at = line;
  }
  return 0;
}

static int program_piece(sim *s, uint32_t address, const uint8_t *buf, uint32_t size) {
  uint8_t page[PAGE];
  uint32_t to_end = PAGE - address % PAGE;
  if (s->broken == FLASH_PAGE_WRAPS && size > to_end) { /* goes on at the beginning of the page */
    (void)part_program(s, address, buf, to_end);
    (void)part_program(s, address - address % PAGE, buf + to_end, size - to_end);
    return 0;
  }
  if (s->broken == FLASH_PADS_WITH_ZERO) {
    memset(page, 0, sizeof page);
    memcpy(page, buf, size);
    return status(s, part_program(s, address, page, to_end));
  }
  return status(s, part_program(s, address, buf, size));
}

static int flash_program(void *ctx, uint32_t address, const uint8_t *buf, size_t size) {
  sim *s = ctx;
  uint32_t unit = s->flash.program_bytes, left = (uint32_t)size;
  if (address % unit != 0 || size % unit != 0 || address > SIM_BYTES ||
      size > SIM_BYTES - address ||
      address / SIM_BLOCK_BYTES != (address + size - 1u) / SIM_BLOCK_BYTES)
    return HTEL_E_ARGUMENT;
  if (s->broken == FLASH_NEEDS_ALIGNED) buf -= (uintptr_t)buf % 4u;
  address = place(s, address);
  while (left > 0) {
    uint32_t piece = PAGE - address % PAGE;
    if (s->broken == FLASH_PAGE_WRAPS) piece = PAGE;
    if (piece > left) piece = left;
    int rc = program_piece(s, address, buf, piece);
    if (rc != 0) return rc;
    address += piece;
    buf += piece;
    left -= piece;
  }
  return 0;
}

static int flash_erase(void *ctx, uint32_t block) {
  sim *s = ctx;
  if (block >= SIM_BLOCKS) return HTEL_E_ARGUMENT;
  uint32_t address = place(s, block * SIM_BLOCK_BYTES), size = SIM_BLOCK_BYTES;
  if (s->broken == FLASH_ERASE_TAKES_ADDRESS) address = block - block % SIM_BLOCK_BYTES;
  if (s->broken == FLASH_BLOCKS_TOO_SMALL) {
    size = 4u * SIM_BLOCK_BYTES;
    address -= address % size;
  }
  return status(s, part_erase(s, address, size));
}

static int flash_sync(void *ctx) {
  sim *s = ctx;
  sim_spend(s, 1000);
  return s->broken == FLASH_SYNC_FAILS ? HTEL_E_STORE : 0;
}

void sim_flash_init(sim *s) {
  s->flash = (htel_flash){.ctx = s,
                          .block_bytes = s->broken == FLASH_GEOMETRY ? 2048u : SIM_BLOCK_BYTES,
                          .block_count = SIM_BLOCKS,
                          .program_bytes = s->broken == FLASH_UNIT_TOO_SMALL ? 1u : SIM_UNIT,
                          .read = flash_read,
                          .program = flash_program,
                          .erase = flash_erase,
                          .sync = flash_sync};
}
