/* SPDX-License-Identifier: Apache-2.0 */
/* posix_flash.c - a file in the place of flash. See htel_posix.h.
 *
 * A new file is made under another name, filled, synced and then renamed, so that a power cut never
 * leaves half of one, which would be neither blank nor a log. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "htel_posix.h"
#include "posix_file.h"

#define PATH_ROOM (HTEL_POSIX_PATH_CHARS_MAX + 8u) /* for a suffix */
#define BYTES_MIN 16384u
#define BYTES_MAX 16777216u
#define BLOCK_BYTES_MAX 65536u
#define ERASE_AT_ONCE 4096u

/* Words for what went wrong first; HTEL_E_STORE. */
static int fail(htel_posix_flash *self, const char *what, int error) {
  char room[64];
  if (self->why[0] != '\0') {
    return HTEL_E_STORE;
  }
  snprintf(self->why, sizeof self->why, "%s%s%s", what, error != 0 ? ": " : "",
           error != 0 ? strerror_r(error, room, sizeof room) : "");
  return HTEL_E_STORE;
}

/* ---- The four functions ------------------------------------------------------------------ */

static bool range_is_good(const htel_posix_flash *self, uint32_t address, size_t size) {
  uint64_t bytes = (uint64_t)self->flash.block_bytes * self->flash.block_count;
  return self->fd >= 0 && size <= bytes && address <= bytes - size;
}

static int flash_read(void *ctx, uint32_t address, uint8_t *buf, size_t size) {
  htel_posix_flash *self = ctx;
  if (!range_is_good(self, address, size)) {
    return HTEL_E_ARGUMENT;
  }
  while (size > 0) {
    ssize_t n = pread(self->fd, buf, size, (off_t)address);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return n < 0 ? fail(self, "cannot be read", errno)
                   : fail(self, "has become shorter: something else writes to it", 0);
    }
    buf += n;
    address += (uint32_t)n;
    size -= (size_t)n;
  }
  return 0;
}

static int write_at(htel_posix_flash *self, uint32_t address, const uint8_t *buf, size_t size) {
  while (size > 0 && !self->failed) {
    ssize_t n = pwrite(self->fd, buf, size, (off_t)address);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      self->failed = true;
      return fail(self, "cannot be written", n < 0 ? errno : ENOSPC);
    }
    buf += n;
    address += (uint32_t)n;
    size -= (size_t)n;
  }
  return self->failed ? HTEL_E_STORE : 0;
}

static int flash_program(void *ctx, uint32_t address, const uint8_t *buf, size_t size) {
  htel_posix_flash *self = ctx;
  bool whole = ((address | size) & (self->flash.program_bytes - 1u)) == 0;
  if (!whole || !range_is_good(self, address, size)) {
    return HTEL_E_ARGUMENT;
  }
  return write_at(self, address, buf, size);
}

static int flash_erase(void *ctx, uint32_t block) {
  htel_posix_flash *self = ctx;
  uint8_t erased[ERASE_AT_ONCE];
  if (self->fd < 0 || block >= self->flash.block_count) {
    return HTEL_E_ARGUMENT;
  }
  memset(erased, 0xFF, sizeof erased);
  uint32_t address = block * self->flash.block_bytes;
  int rc = 0;
  for (uint32_t at = 0; rc == 0 && at < self->flash.block_bytes; at += ERASE_AT_ONCE) {
    rc = write_at(self, address + at, erased, sizeof erased);
  }
  return rc;
}

static int flash_sync(void *ctx) {
  htel_posix_flash *self = ctx;
  int rc;
  if (self->failed || self->fd < 0) {
    return HTEL_E_STORE;
  }
  do {
    rc = fdatasync(self->fd);
  } while (rc != 0 && errno == EINTR);
  if (rc == 0) {
    return 0;
  }
  self->failed = true;
  return fail(self, "cannot be made durable", errno);
}

/* ---- Opening ------------------------------------------------------------------------------- */

/* A file of `bytes` that is erased throughout, under its own name. */
static int file_fill(htel_posix_flash *self, uint32_t bytes) {
  uint8_t erased[ERASE_AT_ONCE];
  memset(erased, 0xFF, sizeof erased);
  for (uint32_t at = 0; at < bytes; at += ERASE_AT_ONCE) {
    if (file_write(self->fd, erased, sizeof erased) != 0) {
      return fail(self, "cannot be made", errno);
    }
  }
  return fsync(self->fd) == 0 ? 0 : fail(self, "cannot be made", errno);
}

static int file_make(htel_posix_flash *self, const char *path, uint32_t bytes) {
  char temporary[PATH_ROOM];
  snprintf(temporary, sizeof temporary, "%s.new", path);
  /* One left over from a power cut is removed, not opened: it might be a link to elsewhere. */
  if (unlink(temporary) != 0 && errno != ENOENT) {
    return fail(self, "cannot be made", errno);
  }
  self->fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (self->fd < 0) {
    return fail(self, "cannot be made", errno);
  }
  int rc = file_fill(self, bytes);
  if (rc == 0 && rename(temporary, path) != 0) {
    rc = fail(self, "cannot be made", errno);
  }
  if (rc != 0) {
    unlink(temporary);
    return rc;
  }
  return file_directory_sync(path) == 0 ? 0 : fail(self, "its directory cannot be synced", errno);
}

/* What is there must be a file of this size; 0 bytes: of any that flash may have. */
static int file_check(htel_posix_flash *self, uint32_t bytes) {
  struct stat status;
  char words[HTEL_POSIX_FLASH_WHY_BYTES];
  if (fstat(self->fd, &status) != 0) {
    return fail(self, "cannot be looked at", errno);
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(self, "is no regular file", 0);
  }
  intmax_t there = (intmax_t)status.st_size;
  if (bytes != 0 && there != (intmax_t)bytes) {
    snprintf(words, sizeof words, "has %jd bytes, not %u: give its size, or another file", there,
             (unsigned)bytes);
    return fail(self, words, 0);
  }
  if (there < (intmax_t)BYTES_MIN || there > (intmax_t)BYTES_MAX ||
      there % (intmax_t)self->flash.block_bytes != 0 ||
      there / (intmax_t)self->flash.block_bytes < 4) {
    snprintf(words, sizeof words, "has %jd bytes, which no store has: it is something else", there);
    return fail(self, words, 0);
  }
  self->flash.block_count = (uint32_t)there / self->flash.block_bytes;
  return 0;
}

static int file_open(htel_posix_flash *self, const char *path, uint32_t bytes) {
  self->lock_fd = file_lock(path);
  if (self->lock_fd < 0) {
    return errno == EWOULDBLOCK ? fail(self, "is open in another process", 0)
                                : fail(self, "its lock cannot be taken", errno);
  }
  self->fd = open(path, O_RDWR | O_CLOEXEC);
  if (self->fd < 0 && errno != ENOENT) {
    return fail(self, "cannot be opened", errno);
  }
  if (self->fd < 0) {
    int rc = file_make(self, path, bytes != 0 ? bytes : HTEL_POSIX_FLASH_BYTES);
    if (rc != 0) {
      return rc;
    }
  }
  if (flock(self->fd, LOCK_EX | LOCK_NB) != 0) { /* under another name, perhaps */
    return errno == EWOULDBLOCK ? fail(self, "is open in another process", 0)
                                : fail(self, "cannot be locked", errno);
  }
  return file_check(self, bytes);
}

static bool is_power_of_2(uint32_t n) {
  return n != 0 && (n & (n - 1u)) == 0;
}

static bool sizes_are_good(uint32_t bytes, uint32_t block_bytes, uint32_t program_bytes) {
  if (!is_power_of_2(block_bytes) || block_bytes < HTEL_POSIX_FLASH_BLOCK_BYTES ||
      block_bytes > BLOCK_BYTES_MAX || !is_power_of_2(program_bytes) || program_bytes > 16u) {
    return false;
  }
  return bytes == 0 || (bytes >= BYTES_MIN && bytes <= BYTES_MAX && bytes % block_bytes == 0 &&
                        bytes / block_bytes >= 4u);
}

int htel_posix_flash_open(htel_posix_flash *self, const char *path, uint32_t bytes,
                          uint32_t block_bytes, uint32_t program_bytes) {
  *self = (htel_posix_flash){
      .flash = {.ctx = self,
                .block_bytes = block_bytes != 0 ? block_bytes : HTEL_POSIX_FLASH_BLOCK_BYTES,
                .program_bytes = program_bytes != 0 ? program_bytes : 1u,
                .read = flash_read,
                .program = flash_program,
                .erase = flash_erase,
                .sync = flash_sync},
      .fd = -1,
      .lock_fd = -1};
  size_t chars = path != NULL ? strnlen(path, HTEL_POSIX_PATH_CHARS_MAX + 1) : 0;
  if (chars == 0 || chars > HTEL_POSIX_PATH_CHARS_MAX) {
    fail(self, "the path is empty or too long", 0);
    return HTEL_E_ARGUMENT;
  }
  if (!sizes_are_good(bytes, self->flash.block_bytes, self->flash.program_bytes)) {
    fail(self, "must have 16 KiB to 16 MiB, in at least 4 whole blocks", 0);
    return HTEL_E_ARGUMENT;
  }
  int rc = file_open(self, path, bytes);
  if (rc != 0) {
    htel_posix_flash_close(self);
  }
  return rc;
}

void htel_posix_flash_close(htel_posix_flash *self) {
  if (self->fd >= 0) {
    close(self->fd);
  }
  if (self->lock_fd >= 0) {
    close(self->lock_fd); /* gives the lock up */
  }
  self->fd = -1;
  self->lock_fd = -1;
}
