/* SPDX-License-Identifier: Apache-2.0 */
/* semihost.h - the machine that runs the emulator, as the firmware sees it: arguments, files, a
 * console, an end. ARM semihosting, which QEMU answers when asked to.
 *
 * FOR TESTS ONLY: it gives the firmware all files of who runs the emulator. A product has a flash
 * chip, a random number generator and a provisioned key in these places. */
#ifndef MCU_SEMIHOST_H
#define MCU_SEMIHOST_H

#include <stddef.h>
#include <stdint.h>

typedef enum semihost_mode {
  SEMIHOST_READ = 1,   /* "rb" */
  SEMIHOST_UPDATE = 3, /* "r+b" */
  SEMIHOST_CREATE = 7  /* "w+b" */
} semihost_mode;

/* The arguments with a space between; 0 or -1. */
int semihost_arguments(char *buf, size_t size);

/* A handle, or -1. */
int semihost_open(const char *path, semihost_mode mode);
int semihost_close(int file);
/* 0: all of it; otherwise -1. */
int semihost_read_at(int file, uint32_t at, void *buf, size_t size);
int semihost_write_at(int file, uint32_t at, const void *buf, size_t size);
/* Bytes in the file, or -1. */
int semihost_size(int file);
/* Up to `size` bytes from where the last read ended; how many. */
size_t semihost_read(int file, void *buf, size_t size);

void semihost_print(const char *text);
_Noreturn void semihost_exit(int status);

#endif
