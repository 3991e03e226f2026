/* SPDX-License-Identifier: Apache-2.0 */
/* test_posix_flash.c - a file in the place of flash: made whole or not at all, one process's alone,
 * never cut off, honest about what failed. The system's calls fail on demand (--wrap). */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "htel_posix.h"
#include "store.h"

#define BYTES 65536u

static char directory[64], path[80], beside[88];

/* ---- System calls that fail ------------------------------------------------------------------ */

typedef enum call { PREAD, PWRITE, WRITE, FDATASYNC, FSYNC, RENAME, CALLS } call;

/* The call numbered `at` from now (1: the next) fails with `error`, and so do the `more` after it.
 * `size_max`: no read or write does more at once; 0: no limit. */
static struct {
  unsigned at, more;
  int error;
} faults[CALLS];
static unsigned counts[CALLS];
static size_t size_max;

static bool fails(call which) {
  counts[which]++;
  if (faults[which].at == 0 || --faults[which].at > 0) return false;
  if (faults[which].more > 0) {
    faults[which].more--;
    faults[which].at = 1;
  }
  errno = faults[which].error;
  return true;
}

static void fault(call which, unsigned at, unsigned more, int error) {
  faults[which].at = at;
  faults[which].more = more;
  faults[which].error = error;
}

static size_t limited(size_t size) {
  return size_max != 0 && size > size_max ? size_max : size;
}

ssize_t __real_pread(int fd, void *buf, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *buf, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *buf, size_t size, off_t at) {
  return fails(PREAD) ? -1 : __real_pread(fd, buf, limited(size), at);
}

ssize_t __real_pwrite(int fd, const void *buf, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t size, off_t at) {
  return fails(PWRITE) ? -1 : __real_pwrite(fd, buf, limited(size), at);
}

ssize_t __real_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size) {
  return fails(WRITE) ? -1 : __real_write(fd, buf, limited(size));
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd) {
  return fails(FDATASYNC) ? -1 : __real_fdatasync(fd);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd) {
  return fails(FSYNC) ? -1 : __real_fsync(fd);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to) {
  return fails(RENAME) ? -1 : __real_rename(from, to);
}

/* ---- Fixture --------------------------------------------------------------------------------- */

static int setup(void **state) {
  (void)state;
  memset(faults, 0, sizeof faults);
  memset(counts, 0, sizeof counts);
  size_max = 0;
  strcpy(directory, "/tmp/htel-flash-XXXXXX");
  if (mkdtemp(directory) == NULL) return -1;
  snprintf(path, sizeof path, "%s/store", directory);
  snprintf(beside, sizeof beside, "%s.new", path);
  return 0;
}

static int remove_one(const char *name, const struct stat *status, int flag, struct FTW *walk) {
  (void)status;
  (void)flag;
  (void)walk;
  return remove(name);
}

static int teardown(void **state) {
  (void)state;
  return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static off_t size_of(const char *name) {
  struct stat status;
  return stat(name, &status) == 0 ? status.st_size : -1;
}

static void file_make(const char *name, size_t size, int byte) {
  FILE *file = fopen(name, "wb");
  assert_non_null(file);
  for (size_t i = 0; i < size; i++) putc(byte, file);
  assert_int_equal(fclose(file), 0);
}

static void open_good(htel_posix_flash *f) {
  assert_int_equal(htel_posix_flash_open(f, path, BYTES, 0, 0), 0);
  assert_string_equal(f->why, "");
}

/* It is refused with these words, and leaves no descriptor open. */
static void refused(int error, const char *words, uint32_t bytes, uint32_t block, uint32_t unit) {
  htel_posix_flash f;
  assert_int_equal(htel_posix_flash_open(&f, path, bytes, block, unit), error);
  if (strstr(f.why, words) == NULL) fail_msg("said: %s", f.why);
  assert_int_equal(f.fd, -1);
  assert_int_equal(f.lock_fd, -1);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void test_a_new_file_is_erased_and_its_owners_alone(void **state) {
  (void)state;
  htel_posix_flash f;
  struct stat status;
  mode_t old = umask(0);
  assert_int_equal(htel_posix_flash_open(&f, path, 0, 0, 0), 0);
  umask(old);
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0600);
  assert_int_equal(status.st_size, HTEL_POSIX_FLASH_BYTES);
  assert_int_equal(f.flash.block_bytes, 4096);
  assert_int_equal(f.flash.block_count, 256);
  assert_int_equal(f.flash.program_bytes, 1);
  assert_int_equal(counts[FSYNC], 2); /* the file, and its directory */
  assert_int_equal(size_of(beside), -1);
  for (uint32_t at = 0; at < HTEL_POSIX_FLASH_BYTES; at += 4096) {
    uint8_t bytes[4096], erased[4096];
    memset(erased, 0xFF, sizeof erased);
    assert_int_equal(f.flash.read(f.flash.ctx, at, bytes, sizeof bytes), 0);
    assert_memory_equal(bytes, erased, sizeof bytes);
  }
  htel_posix_flash_close(&f);
}

static void test_what_was_written_is_there_again(void **state) {
  (void)state;
  htel_posix_flash f;
  uint8_t bytes[5];
  open_good(&f);
  assert_int_equal(f.flash.program(f.flash.ctx, 4091, (const uint8_t *)"abcde", 5), 0);
  assert_int_equal(f.flash.program(f.flash.ctx, BYTES - 1, (const uint8_t *)"z", 1), 0);
  assert_int_equal(f.flash.sync(f.flash.ctx), 0);
  assert_int_equal(counts[FDATASYNC], 1);
  htel_posix_flash_close(&f);
  assert_int_equal(htel_posix_flash_open(&f, path, 0, 0, 0), 0); /* its size is known by now */
  assert_int_equal(f.flash.block_count, BYTES / 4096);
  assert_int_equal(f.flash.read(f.flash.ctx, 4091, bytes, 5), 0);
  assert_memory_equal(bytes, "abcde", 5);
  assert_int_equal(f.flash.erase(f.flash.ctx, 0), 0);
  assert_int_equal(f.flash.read(f.flash.ctx, 4091, bytes, 5), 0);
  assert_memory_equal(bytes, "\xff\xff\xff\xff\xff", 5);
  assert_int_equal(f.flash.read(f.flash.ctx, BYTES - 1, bytes, 1), 0);
  assert_int_equal(bytes[0], 'z');
  htel_posix_flash_close(&f);
}

static void test_sizes_that_cannot_be(void **state) {
  (void)state;
  refused(HTEL_E_ARGUMENT, "16 KiB", 8192, 0, 0);
  refused(HTEL_E_ARGUMENT, "16 KiB", 16385, 0, 0);
  refused(HTEL_E_ARGUMENT, "16 KiB", 16777216 + 4096, 0, 0);
  refused(HTEL_E_ARGUMENT, "4 whole blocks", 131072, 65536, 0);
  refused(HTEL_E_ARGUMENT, "16 KiB", 0, 2048, 0);
  refused(HTEL_E_ARGUMENT, "16 KiB", 0, 131072, 0);
  refused(HTEL_E_ARGUMENT, "16 KiB", 0, 4096 + 512, 0);
  refused(HTEL_E_ARGUMENT, "16 KiB", 0, 0, 3);
  refused(HTEL_E_ARGUMENT, "16 KiB", 0, 0, 32);
  assert_int_equal(size_of(path), -1);
  htel_posix_flash f;
  assert_int_equal(htel_posix_flash_open(&f, "", 0, 0, 0), HTEL_E_ARGUMENT);
  assert_int_equal(htel_posix_flash_open(&f, NULL, 0, 0, 0), HTEL_E_ARGUMENT);
  char longest[HTEL_POSIX_PATH_CHARS_MAX + 2];
  memset(longest, 'x', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  assert_int_equal(htel_posix_flash_open(&f, longest, 0, 0, 0), HTEL_E_ARGUMENT);
}

static void test_a_file_of_another_size_stays_as_it_is(void **state) {
  (void)state;
  file_make(path, BYTES, 'x');
  refused(HTEL_E_STORE, "has 65536 bytes, not 131072", 131072, 0, 0);
  refused(HTEL_E_STORE, "has 65536 bytes, not 16384", 16384, 0, 0);
  refused(HTEL_E_STORE, "which no store has", 0, 65536, 0); /* one block only */
  assert_int_equal(size_of(path), BYTES);
  const off_t others[] = {0, 1, 16383, 16385, 16777217};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    assert_int_equal(truncate(path, others[i]), 0);
    refused(HTEL_E_STORE, "which no store has", 0, 0, 0);
    assert_int_equal(size_of(path), others[i]);
  }
}

static void test_what_is_no_file(void **state) {
  (void)state;
  assert_int_equal(mkdir(path, 0700), 0);
  refused(HTEL_E_STORE, "Is a directory", 0, 0, 0);
  assert_int_equal(rmdir(path), 0);
  assert_int_equal(mkfifo(path, 0600), 0);
  refused(HTEL_E_STORE, "no regular file", 0, 0, 0);
  assert_int_equal(unlink(path), 0);
  snprintf(path, sizeof path, "%s/nowhere/store", directory);
  refused(HTEL_E_STORE, "No such file or directory", 0, 0, 0);
}

static void test_two_processes_never_share_one(void **state) {
  (void)state;
  htel_posix_flash f;
  char other[90];
  open_good(&f);
  refused(HTEL_E_STORE, "another process", BYTES, 0, 0);
  snprintf(other, sizeof other, "%s-too", path); /* the same file by another name */
  assert_int_equal(link(path, other), 0);
  strcpy(path, other);
  refused(HTEL_E_STORE, "another process", BYTES, 0, 0);
  htel_posix_flash_close(&f);
  open_good(&f);
  htel_posix_flash_close(&f);
}

static void test_two_processes_never_make_one(void **state) {
  (void)state;
  char lock[90];
  snprintf(lock, sizeof lock, "%s.lock", path);
  int fd = open(lock, O_RDWR | O_CREAT, 0600); /* another is about to */
  assert_true(fd >= 0);
  assert_int_equal(flock(fd, LOCK_EX), 0);
  refused(HTEL_E_STORE, "another process", BYTES, 0, 0);
  assert_int_equal(size_of(path), -1);
  close(fd);
}

static void test_a_killed_process_gives_it_back(void **state) {
  (void)state;
  int ready[2];
  char byte;
  assert_int_equal(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    htel_posix_flash f;
    if (htel_posix_flash_open(&f, path, BYTES, 0, 0) != 0) _exit(1);
    f.flash.program(f.flash.ctx, 0, (const uint8_t *)"a", 1);
    ssize_t n = __real_write(ready[1], "x", 1);
    (void)n;
    pause();
    _exit(0);
  }
  assert_int_equal(read(ready[0], &byte, 1), 1);
  refused(HTEL_E_STORE, "another process", BYTES, 0, 0);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  htel_posix_flash f;
  open_good(&f);
  uint8_t there;
  assert_int_equal(f.flash.read(f.flash.ctx, 0, &there, 1), 0);
  assert_int_equal(there, 'a'); /* not synced, but only the process died */
  htel_posix_flash_close(&f);
  close(ready[0]);
  close(ready[1]);
}

/* ---- Making the file fails ------------------------------------------------------------------- */

static void test_a_full_disk_leaves_no_file(void **state) {
  (void)state;
  fault(WRITE, 5, 0, ENOSPC);
  refused(HTEL_E_STORE, "No space left on device", BYTES, 0, 0);
  fault(FSYNC, 1, 0, EIO);
  refused(HTEL_E_STORE, "Input/output error", BYTES, 0, 0);
  fault(RENAME, 1, 0, EROFS);
  refused(HTEL_E_STORE, "Read-only file system", BYTES, 0, 0);
  assert_int_equal(size_of(path), -1);
  assert_int_equal(size_of(beside), -1);
  fault(FSYNC, 2, 0, EIO); /* the directory's: the file is there, its name perhaps not for long */
  refused(HTEL_E_STORE, "directory", BYTES, 0, 0);
  htel_posix_flash f;
  open_good(&f);
  htel_posix_flash_close(&f);
}

static void test_what_a_power_cut_left_beside_is_no_matter(void **state) {
  (void)state;
  char target[90];
  snprintf(target, sizeof target, "%s/precious", directory);
  file_make(target, 100, 'p');
  assert_int_equal(symlink(target, beside), 0); /* and if it is a link, it is not followed */
  htel_posix_flash f;
  open_good(&f);
  htel_posix_flash_close(&f);
  assert_int_equal(size_of(target), 100);
  assert_int_equal(size_of(path), BYTES);
}

/* ---- Reading and writing fail ------------------------------------------------------------------
 */

static void test_signals_and_short_turns_are_gone_on_from(void **state) {
  (void)state;
  htel_posix_flash f;
  size_max = 7;
  fault(WRITE, 3, 4, EINTR);
  open_good(&f);
  uint8_t bytes[100], back[100];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)i;
  fault(PWRITE, 2, 3, EINTR);
  fault(PREAD, 2, 3, EINTR);
  fault(FDATASYNC, 1, 2, EINTR);
  assert_int_equal(f.flash.program(f.flash.ctx, 300, bytes, sizeof bytes), 0);
  assert_int_equal(f.flash.sync(f.flash.ctx), 0);
  assert_int_equal(f.flash.read(f.flash.ctx, 300, back, sizeof back), 0);
  assert_memory_equal(bytes, back, sizeof bytes);
  fault(PWRITE, 5, 1, EINTR);
  assert_int_equal(f.flash.erase(f.flash.ctx, 0), 0);
  assert_int_equal(f.flash.read(f.flash.ctx, 399, back, 1), 0);
  assert_int_equal(back[0], 0xFF);
  htel_posix_flash_close(&f);
}

static void test_a_read_that_fails_spoils_nothing(void **state) {
  (void)state;
  htel_posix_flash f;
  uint8_t byte;
  open_good(&f);
  fault(PREAD, 1, 0, EIO);
  assert_int_equal(f.flash.read(f.flash.ctx, 0, &byte, 1), HTEL_E_STORE);
  assert_non_null(strstr(f.why, "cannot be read: Input/output error"));
  assert_int_equal(f.flash.read(f.flash.ctx, 0, &byte, 1), 0);
  assert_int_equal(f.flash.program(f.flash.ctx, 0, (const uint8_t *)"a", 1), 0);
  htel_posix_flash_close(&f);
  open_good(&f);
  assert_int_equal(truncate(path, 4096), 0);
  assert_int_equal(f.flash.read(f.flash.ctx, 8192, &byte, 1), HTEL_E_STORE);
  assert_non_null(strstr(f.why, "shorter"));
  htel_posix_flash_close(&f);
}

/* After it nothing is written, nor said to be durable, until the file is opened anew. */
static void spoils(call which, int error, const char *words) {
  htel_posix_flash f;
  open_good(&f);
  fault(which, 1, 0, error);
  int rc = f.flash.program(f.flash.ctx, 0, (const uint8_t *)"a", 1);
  if (which == FDATASYNC) rc = f.flash.sync(f.flash.ctx);
  assert_int_equal(rc, HTEL_E_STORE);
  if (strstr(f.why, words) == NULL) fail_msg("said: %s", f.why);
  unsigned writes = counts[PWRITE], syncs = counts[FDATASYNC];
  assert_int_equal(f.flash.program(f.flash.ctx, 1, (const uint8_t *)"b", 1), HTEL_E_STORE);
  assert_int_equal(f.flash.erase(f.flash.ctx, 1), HTEL_E_STORE);
  assert_int_equal(f.flash.sync(f.flash.ctx), HTEL_E_STORE);
  assert_int_equal(counts[PWRITE], writes);
  assert_int_equal(counts[FDATASYNC], syncs);
  assert_non_null(strstr(f.why, words)); /* the first reason stays */
  htel_posix_flash_close(&f);
  open_good(&f);
  assert_int_equal(f.flash.program(f.flash.ctx, 1, (const uint8_t *)"b", 1), 0);
  assert_int_equal(f.flash.sync(f.flash.ctx), 0);
  htel_posix_flash_close(&f);
}

static void test_nothing_is_written_after_a_failure(void **state) {
  (void)state;
  spoils(PWRITE, ENOSPC, "cannot be written: No space left on device");
  spoils(PWRITE, EIO, "cannot be written: Input/output error");
  spoils(FDATASYNC, EIO, "cannot be made durable: Input/output error");
  spoils(FDATASYNC, ENOSPC, "cannot be made durable: No space left on device");
}

static void test_nothing_outside_is_touched(void **state) {
  (void)state;
  htel_posix_flash f;
  uint8_t bytes[8] = {0};
  assert_int_equal(htel_posix_flash_open(&f, path, BYTES, 4096, 8), 0);
  assert_int_equal(f.flash.read(f.flash.ctx, BYTES - 7, bytes, 8), HTEL_E_ARGUMENT);
  assert_int_equal(f.flash.read(f.flash.ctx, UINT32_MAX, bytes, 8), HTEL_E_ARGUMENT);
  assert_int_equal(f.flash.program(f.flash.ctx, BYTES, bytes, 8), HTEL_E_ARGUMENT);
  assert_int_equal(f.flash.program(f.flash.ctx, 4, bytes, 8), HTEL_E_ARGUMENT);
  assert_int_equal(f.flash.program(f.flash.ctx, 8, bytes, 4), HTEL_E_ARGUMENT);
  assert_int_equal(f.flash.erase(f.flash.ctx, BYTES / 4096), HTEL_E_ARGUMENT);
  assert_int_equal(counts[PWRITE], 0);
  htel_posix_flash_close(&f);
  assert_int_equal(f.flash.read(f.flash.ctx, 0, bytes, 8), HTEL_E_ARGUMENT); /* closed */
  assert_int_equal(f.flash.erase(f.flash.ctx, 0), HTEL_E_ARGUMENT);
  assert_int_equal(f.flash.sync(f.flash.ctx), HTEL_E_STORE);
  assert_int_equal(size_of(path), BYTES);
}

/* ---- With the store -------------------------------------------------------------------------- */

static int mount(uint32_t block_bytes, uint32_t unit, store_boot *boot) {
  static store s;
  static store_block blocks[BYTES / 4096];
  htel_posix_flash f;
  assert_int_equal(htel_posix_flash_open(&f, path, 0, block_bytes, unit), 0);
  int rc = store_mount(&s, &f.flash, blocks);
  if (rc == 0) rc = store_boot_begin(&s, 0, boot);
  if (rc == 0) rc = store_boot_end(&s);
  htel_posix_flash_close(&f);
  return rc;
}

static void bytes_of(uint8_t *bytes) {
  int fd = open(path, O_RDONLY);
  assert_true(fd >= 0);
  assert_int_equal(read(fd, bytes, BYTES), BYTES);
  close(fd);
}

static void test_a_log_of_another_geometry_stays_as_it_is(void **state) {
  (void)state;
  static uint8_t before[BYTES], after[BYTES];
  htel_posix_flash f;
  store_boot boot;
  open_good(&f);
  htel_posix_flash_close(&f);
  assert_int_equal(mount(4096, 1, &boot), 0);
  assert_int_equal(boot.number, 1);
  bytes_of(before);
  int rc = mount(8192, 1, &boot); /* what it sees where it looks for headers is a matter of luck */
  assert_true(rc == HTEL_E_VERSION || rc == HTEL_E_FORMAT);
  assert_int_equal(mount(4096, 8, &boot), HTEL_E_VERSION);
  bytes_of(after);
  assert_memory_equal(before, after, BYTES);
  assert_int_equal(mount(4096, 1, &boot), 0);
  assert_int_equal(boot.number, 2);
  assert_false(boot.unclean);
  file_make(path, BYTES, 'x');
  bytes_of(before);
  assert_int_equal(mount(4096, 1, &boot), HTEL_E_FORMAT);
  bytes_of(after);
  assert_memory_equal(before, after, BYTES);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
      TEST(test_a_new_file_is_erased_and_its_owners_alone),
      TEST(test_what_was_written_is_there_again),
      TEST(test_sizes_that_cannot_be),
      TEST(test_a_file_of_another_size_stays_as_it_is),
      TEST(test_what_is_no_file),
      TEST(test_two_processes_never_share_one),
      TEST(test_two_processes_never_make_one),
      TEST(test_a_killed_process_gives_it_back),
      TEST(test_a_full_disk_leaves_no_file),
      TEST(test_what_a_power_cut_left_beside_is_no_matter),
      TEST(test_signals_and_short_turns_are_gone_on_from),
      TEST(test_a_read_that_fails_spoils_nothing),
      TEST(test_nothing_is_written_after_a_failure),
      TEST(test_nothing_outside_is_touched),
      TEST(test_a_log_of_another_geometry_stays_as_it_is),
  };
  return cmocka_run_group_tests_name("posix_flash", tests, NULL, NULL);
}
