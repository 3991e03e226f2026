/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_files.c - what the tools and ports/posix read from disk: recordings, boot files, captures.
 *
 * The first byte chooses. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture.h"
#include "cat/input.h"
#include "common/recording.h"
#include "fuzz.h"
#include "posix_boot.h"

/* Names in a directory of our own, of files in memory: no disk can keep up with a fuzzer. */
typedef struct memory_file {
  char name[80];
  int fd;
} memory_file;

static char dir[64];
static memory_file csv, json, other;

static void dir_remove(void) {
  unlink(csv.name);
  unlink(json.name);
  unlink(other.name);
  rmdir(dir);
}

static void file_make(memory_file *file, const char *name) {
  char target[32];
  file->fd = memfd_create(name, MFD_CLOEXEC);
  MUST(file->fd >= 0);
  snprintf(file->name, sizeof file->name, "%s/%s", dir, name);
  snprintf(target, sizeof target, "/proc/self/fd/%d", file->fd);
  MUST(symlink(target, file->name) == 0);
}

static void dir_make(void) {
  if (dir[0] != '\0') return;
  const char *tmp = getenv("TMPDIR");
  MUST(snprintf(dir, sizeof dir, "%.40s/fuzz_XXXXXX", tmp != NULL ? tmp : "/tmp") > 0);
  MUST(mkdtemp(dir) != NULL);
  file_make(&csv, "r.csv");
  file_make(&json, "r.json");
  file_make(&other, "other");
  atexit(dir_remove);
  FILE *quiet = fopen("/dev/null", "w"); /* htel-cat tells what is damaged, which is most of it */
  MUST(quiet != NULL);
  stderr = quiet;
}

static void file_write(const memory_file *file, const uint8_t *bytes, size_t size) {
  MUST(ftruncate(file->fd, 0) == 0);
  MUST(size == 0 || pwrite(file->fd, bytes, size, 0) == (ssize_t)size);
}

/* ---- Recordings ----------------------------------------------------------------------- */

static void recording_check(const recording *r) {
  MUST(r->channel_count >= 1 && r->channel_count <= RECORDING_CHANNELS_MAX);
  for (unsigned i = 0; i < r->channel_count; i++) {
    MUST(r->channels[i].gain != 0 && strlen(r->channels[i].name) >= 1);
    MUST(r->channels[i].exponent >= -12 && r->channels[i].exponent <= 12);
  }
  MUST(r->irregular || (r->rate.num != 0 && r->rate.den != 0));
}

/* All rows; how many, and a sum over them. */
static uint64_t rows_read(recording *r, uint32_t *sum, int *rc) {
  recording_row row;
  uint64_t rows = 0, last_ms = 0;
  *sum = 0;
  while ((*rc = recording_next(r, &row)) == 1) {
    MUST(rows == 0 || row.offset_ms >= last_ms);
    last_ms = row.offset_ms;
    rows++;
    *sum = htel_crc32(*sum, row.values, r->channel_count * sizeof row.values[0]);
  }
  MUST(*rc == 0 || r->error[0] != '\0');
  return rows;
}

static void recording_play(fuzz_in *in) {
  static recording r;
  const uint8_t *bytes;
  size_t n = fuzz_bytes(in, fuzz_u16(in), &bytes);
  file_write(&json, bytes, n);
  file_write(&csv, in->at, in->left);
  if (recording_open(&r, csv.name) != 0) {
    MUST(r.error[0] != '\0' && r.file == NULL);
    return;
  }
  recording_check(&r);
  uint32_t sum, again;
  int rc, rc_again;
  uint64_t rows = rows_read(&r, &sum, &rc);
  MUST(recording_rewind(&r) == 0);
  MUST(rows_read(&r, &again, &rc_again) == rows && again == sum && rc_again == rc);
  recording_close(&r);
}

/* ---- Boot files ----------------------------------------------------------------------- */

static void boot_play(fuzz_in *in) {
  boot_record record = {0};
  file_write(&other, in->at, in->left);
  int rc = boot_read(other.name, &record);
  MUST(rc == HTEL_E_STORE || rc == 1);
  if (rc == 1) MUST(record.number > 0 && record.unclean_first <= record.number);
}

/* A line with its checksum right: the numbers are the input's. */
static void boot_line_play(fuzz_in *in) {
  char line[80] = "healthtel-boot 1 ";
  const uint8_t *bytes;
  size_t n = fuzz_bytes(in, 42, &bytes);
  if (n > 0) memcpy(line + 17, bytes, n);
  uint32_t crc = htel_crc32(0, line, 17 + n);
  snprintf(line + 17 + n, sizeof line - 17 - n, "%08x\n", crc);
  fuzz_in whole = {(const uint8_t *)line, 17 + n + 9};
  boot_play(&whole);
}

/* ---- Captures ------------------------------------------------------------------------- */

/* With `padded`, behind it is more than the largest message: a length that lies finds bytes. */
static void capture_play(fuzz_in *in, bool padded) {
  static uint8_t bytes[CAPTURE_BYTES_MAX + 4096u];
  input *found = calloc(1, sizeof *found);
  input_decoded *frame = calloc(1, sizeof *frame);
  MUST(found != NULL && frame != NULL);
  size_t n = in->left < 4096 ? in->left : 4096;
  if (n > 0) memcpy(bytes, in->at, n);
  memset(bytes + n, 0x5A, sizeof bytes - n);
  file_write(&other, bytes, padded ? sizeof bytes : n);
  input_add_file(found, other.name);
  input_sort(found);
  input_ticks(found, frame);
  for (size_t i = 0; i < found->entry_count; i++)
    if (input_frame(found, i, frame)) MUST(frame->birth != NULL && frame->check.sequence > 0);
  input_decoded_free(frame);
  input_free(found);
  free(frame);
  free(found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_in in = {data, size};
  dir_make();
  uint8_t what = fuzz_u8(&in);
  switch (what % 4u) {
    case 0: recording_play(&in); break;
    case 1: boot_play(&in); break;
    case 2: boot_line_play(&in); break;
    default: capture_play(&in, (what & 0x80u) != 0); break;
  }
  return 0;
}
