/* SPDX-License-Identifier: Apache-2.0 */
/* posix_boot.c - the boot file. See posix_boot.h. */
#include "posix_boot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "healthtel/decode.h"
#include "htel_posix.h"
#include "posix_file.h"

#define LINE_CHARS 68u /* with the newline */
#define CRC_AT 59u     /* what comes before is covered by the checksum */
#define PATH_ROOM (HTEL_POSIX_PATH_CHARS_MAX + 8u) /* for a suffix */

static void line_format(char line[LINE_CHARS + 1], const boot_record *record) {
  char numbers[43];
  snprintf(numbers, sizeof numbers, "%020" PRIu64 " %020" PRIu64, record->number,
           record->unclean_first);
  snprintf(line, LINE_CHARS + 1, "healthtel-boot 1 %s ", numbers);
  uint32_t crc = htel_crc32(0, line, CRC_AT);
  snprintf(line + CRC_AT, LINE_CHARS + 1 - CRC_AT, "%08" PRIx32 "\n", crc);
}

/* 20 digits. */
static int number_parse(const char *digits, uint64_t *number) {
  *number = 0;
  for (unsigned i = 0; i < 20; i++) {
    unsigned digit = (unsigned)(unsigned char)digits[i] - '0';
    if (digit > 9 || *number > (UINT64_MAX - digit) / 10) {
      return HTEL_E_STORE;
    }
    *number = *number * 10 + digit;
  }
  return 0;
}

/* Reads the numbers, spells the line anew and compares: only the exact line passes. */
static int line_parse(const char line[LINE_CHARS], boot_record *record) {
  if (number_parse(line + 17, &record->number) != 0 ||
      number_parse(line + 38, &record->unclean_first) != 0 ||
      record->unclean_first > record->number) {
    return HTEL_E_STORE;
  }
  char expected[LINE_CHARS + 1];
  line_format(expected, record);
  return memcmp(line, expected, LINE_CHARS) == 0 && record->number > 0 ? 0 : HTEL_E_STORE;
}

/* At most `size` bytes, fewer only at the end of the file. */
static ssize_t read_fully(int fd, char *buf, size_t size) {
  size_t used = 0;
  while (used < size) {
    ssize_t n = read(fd, buf + used, size - used);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return -1;
    }
    if (n == 0) {
      break;
    }
    used += (size_t)n;
  }
  return (ssize_t)used;
}

int boot_read(const char *path, boot_record *record) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return errno == ENOENT ? 0 : HTEL_E_STORE;
  }
  char line[LINE_CHARS + 1]; /* one more, to see a file that is too long */
  ssize_t size = read_fully(fd, line, sizeof line);
  close(fd);
  if (size != (ssize_t)LINE_CHARS || line_parse(line, record) != 0) {
    return HTEL_E_STORE;
  }
  return 1;
}

int boot_write(const char *path, const boot_record *record) {
  char temporary[PATH_ROOM];
  snprintf(temporary, sizeof temporary, "%s.new", path);
  char line[LINE_CHARS + 1];
  line_format(line, record);

  /* One left over from a power cut is removed, not opened: it might be a link to elsewhere. */
  if (unlink(temporary) != 0 && errno != ENOENT) {
    return HTEL_E_STORE;
  }
  int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) {
    return HTEL_E_STORE;
  }
  int rc = file_write(fd, line, LINE_CHARS) == 0 ? 0 : HTEL_E_STORE;
  if (rc == 0 && fsync(fd) != 0) {
    rc = HTEL_E_STORE;
  }
  if (close(fd) != 0) {
    rc = HTEL_E_STORE;
  }
  if (rc == 0 && rename(temporary, path) != 0) {
    rc = HTEL_E_STORE;
  }
  if (rc != 0) {
    unlink(temporary);
    return rc;
  }
  return file_directory_sync(path) == 0 ? 0 : HTEL_E_STORE;
}
