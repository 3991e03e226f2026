/* SPDX-License-Identifier: Apache-2.0 */
/* flash_file.h - NOR flash whose bytes lie in a file of the host, so that they survive a restart of
 * the emulated machine. It behaves as a chip: only an erase makes ones, and what is programmed
 * twice is an error here, as it is with ECC. FOR TESTS ONLY, as semihost.h says. */
#ifndef MCU_FLASH_FILE_H
#define MCU_FLASH_FILE_H

#include "healthtel/port.h"

#define FLASH_BLOCK_BYTES 4096u
#define FLASH_BLOCKS 32u
#define FLASH_PROGRAM_BYTES 4u

typedef struct flash_file {
  htel_flash flash;
  int file;
  uint32_t programs, erases, programmed_twice;
} flash_file;

/* Makes the file, erased throughout, where there is none. 0 or HTEL_E_STORE. */
int flash_file_open(flash_file *f, const char *path);

#endif
