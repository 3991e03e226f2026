/* SPDX-License-Identifier: Apache-2.0 */
#include "posix_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "htel_posix.h"

#define PATH_ROOM (HTEL_POSIX_PATH_CHARS_MAX + 8u) /* for a suffix */

int file_lock(const char *path) {
  char lock[PATH_ROOM];
  snprintf(lock, sizeof lock, "%s.lock", path);
  int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (fd < 0) {
    return -1;
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    int why = errno;
    close(fd);
    errno = why;
    return -1;
  }
  return fd;
}

int file_write(int fd, const void *bytes, size_t size) {
  const char *at = bytes;
  while (size > 0) {
    ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return -1;
    }
    at += n;
    size -= (size_t)n;
  }
  return 0;
}

int file_directory_sync(const char *path) {
  char directory[PATH_ROOM];
  snprintf(directory, sizeof directory, "%s", path);
  char *slash = strrchr(directory, '/');
  if (slash == NULL) {
    snprintf(directory, sizeof directory, ".");
  } else {
    slash[slash == directory ? 1 : 0] = '\0';
  }
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return -1;
  }
  int rc = fsync(fd);
  int why = errno;
  close(fd);
  errno = why;
  return rc;
}
