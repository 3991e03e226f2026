/* SPDX-License-Identifier: Apache-2.0 */
/* paho_pem.c - PEM files, which come from outside, into memory: bounded, and wiped when done with.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "htel_paho.h"

#define PEM_BYTES_MAX (64u * 1024u)

/* Bytes read, at most `room`; negative on an error. */
static ssize_t read_fully(int fd, char *buf, size_t room) {
  size_t used = 0;
  while (used < room) {
    ssize_t n = read(fd, buf + used, room - used);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return n < 0 ? -1 : (ssize_t)used;
    }
    used += (size_t)n;
  }
  return (ssize_t)used;
}

int htel_pem_load(const char *path, char **pem) {
  *pem = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
  if (fd < 0) {
    return HTEL_E_TLS_CREDENTIALS;
  }
  struct stat status;
  char *text = NULL;
  ssize_t size = -1;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
    text = malloc(PEM_BYTES_MAX + 1); /* one more shows a file that is too large */
    size = text != NULL ? read_fully(fd, text, PEM_BYTES_MAX + 1) : -1;
  }
  close(fd);
  if (size <= 0 || (size_t)size > PEM_BYTES_MAX || memchr(text, '\0', (size_t)size) != NULL) {
    if (text != NULL) {
      explicit_bzero(text, PEM_BYTES_MAX + 1);
    }
    free(text);
    return HTEL_E_TLS_CREDENTIALS;
  }
  text[size] = '\0';
  *pem = text;
  return 0;
}

void htel_pem_free(char *pem) {
  if (pem != NULL) {
    explicit_bzero(pem, strlen(pem));
  }
  free(pem);
}
