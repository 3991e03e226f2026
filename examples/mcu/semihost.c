/* SPDX-License-Identifier: Apache-2.0 */
/* semihost.c - see semihost.h. */
#include "semihost.h"

#include <string.h>

enum {
  SYS_OPEN = 0x01,
  SYS_CLOSE = 0x02,
  SYS_WRITE0 = 0x04,
  SYS_WRITE = 0x05,
  SYS_READ = 0x06,
  SYS_SEEK = 0x0A,
  SYS_FLEN = 0x0C,
  SYS_GET_CMDLINE = 0x15,
  SYS_EXIT_EXTENDED = 0x20
};
#define STOPPED_APPLICATION_EXIT 0x20026u

static int call(unsigned operation, const void *argument) {
  register unsigned r0 __asm("r0") = operation;
  register const void *r1 __asm("r1") = argument;
  __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return (int)r0;
}

int semihost_arguments(char *buf, size_t size) {
  struct {
    char *buf;
    size_t size;
  } block = {buf, size};
  return call(SYS_GET_CMDLINE, &block);
}

int semihost_open(const char *path, semihost_mode mode) {
  const struct {
    const char *path;
    unsigned mode;
    size_t chars;
  } block = {path, mode, strlen(path)};
  return call(SYS_OPEN, &block);
}

int semihost_close(int file) {
  return call(SYS_CLOSE, &file);
}

int semihost_size(int file) {
  return call(SYS_FLEN, &file);
}

static int seek(int file, uint32_t at) {
  const struct {
    int file;
    uint32_t at;
  } block = {file, at};
  return call(SYS_SEEK, &block);
}

size_t semihost_read(int file, void *buf, size_t size) {
  const struct {
    int file;
    void *buf;
    size_t size;
  } block = {file, buf, size};
  int left = call(SYS_READ, &block); /* bytes that were not read */
  return left < 0 || (size_t)left > size ? 0 : size - (size_t)left;
}

int semihost_read_at(int file, uint32_t at, void *buf, size_t size) {
  return seek(file, at) == 0 && semihost_read(file, buf, size) == size ? 0 : -1;
}

int semihost_write_at(int file, uint32_t at, const void *buf, size_t size) {
  const struct {
    int file;
    const void *buf;
    size_t size;
  } block = {file, buf, size};
  return seek(file, at) == 0 && call(SYS_WRITE, &block) == 0 ? 0 : -1;
}

void semihost_print(const char *text) {
  call(SYS_WRITE0, text);
}

void semihost_exit(int status) {
  const struct {
    unsigned reason;
    int status;
  } block = {STOPPED_APPLICATION_EXIT, status};
  for (;;) call(SYS_EXIT_EXTENDED, &block);
}
