/* SPDX-License-Identifier: Apache-2.0 */
/* flash_file.c - see flash_file.h. */
#include "flash_file.h"

#include <string.h>

#include "healthtel/error.h"
#include "semihost.h"

#define PIECE_BYTES 64u

static int flash_read(void *ctx, uint32_t address, uint8_t *buf, size_t size) {
  flash_file *f = ctx;
  return semihost_read_at(f->file, address, buf, size) == 0 ? 0 : HTEL_E_STORE;
}

static bool is_erased(const flash_file *f, uint32_t address, size_t size) {
  uint8_t there[PIECE_BYTES];
  for (size_t done = 0; done < size; done += sizeof there) {
    size_t piece = size - done < sizeof there ? size - done : sizeof there;
    if (semihost_read_at(f->file, address + (uint32_t)done, there, piece) != 0) return false;
    for (size_t i = 0; i < piece; i++)
      if (there[i] != 0xFF) return false;
  }
  return true;
}

static int flash_program(void *ctx, uint32_t address, const uint8_t *buf, size_t size) {
  flash_file *f = ctx;
  f->programs++;
  if (!is_erased(f, address, size)) {
    f->programmed_twice++;
    return HTEL_E_STORE;
  }
  return semihost_write_at(f->file, address, buf, size) == 0 ? 0 : HTEL_E_STORE;
}

static int flash_erase(void *ctx, uint32_t block) {
  flash_file *f = ctx;
  uint8_t erased[PIECE_BYTES];
  memset(erased, 0xFF, sizeof erased);
  f->erases++;
  for (uint32_t at = 0; at < FLASH_BLOCK_BYTES; at += sizeof erased)
    if (semihost_write_at(f->file, block * FLASH_BLOCK_BYTES + at, erased, sizeof erased) != 0)
      return HTEL_E_STORE;
  return 0;
}

/* What the host has taken outlives the emulator; a power cut of the host is not played here. */
static int flash_sync(void *ctx) {
  (void)ctx;
  return 0;
}

int flash_file_open(flash_file *f, const char *path) {
  *f = (flash_file){.flash = {.ctx = f,
                              .block_bytes = FLASH_BLOCK_BYTES,
                              .block_count = FLASH_BLOCKS,
                              .program_bytes = FLASH_PROGRAM_BYTES,
                              .read = flash_read,
                              .program = flash_program,
                              .erase = flash_erase,
                              .sync = flash_sync}};
  f->file = semihost_open(path, SEMIHOST_UPDATE);
  if (f->file >= 0)
    return semihost_size(f->file) == (int)(FLASH_BLOCK_BYTES * FLASH_BLOCKS) ? 0 : HTEL_E_STORE;
  f->file = semihost_open(path, SEMIHOST_CREATE);
  if (f->file < 0) return HTEL_E_STORE;
  int rc = 0;
  for (uint32_t block = 0; block < FLASH_BLOCKS && rc == 0; block++) rc = flash_erase(f, block);
  f->erases = 0;
  return rc;
}
