/* SPDX-License-Identifier: Apache-2.0 */
/* codec_count.c - instructions of coding and decoding, by callgrind, exactly.
 *
 * Coding is all that the device does: record, poll, code, frame, outbox, link; without its clock,
 * and without opening and connecting. Decoding is all of the public decoder. The first 50,000
 * readings of each recording stand for it. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "codec.h"

#include <valgrind/callgrind.h>

#define READINGS_COUNTED 50000u

typedef struct counting {
  char *const *files;
  size_t count;
  uint32_t frame_s;
  codec_cost *costs;
} counting;

/* `rows` of one file that are counted. */
static int input_load(codec_input *in, const char *path, uint32_t frame_s) {
  recording about;
  if (recording_open(&about, path) != 0) {
    fprintf(stderr, "htel-bench: %s\n", about.error);
    return -1;
  }
  uint64_t rows = READINGS_COUNTED / about.channel_count;
  recording_close(&about);
  return codec_input_load(in, path, frame_s, rows);
}

/* ---- The child ------------------------------------------------------------------------------- */

static void count_end(void) {
  CALLGRIND_TOGGLE_COLLECT;
  CALLGRIND_DUMP_STATS;
}

static void count_begin(void) {
  CALLGRIND_ZERO_STATS;
  CALLGRIND_TOGGLE_COLLECT;
}

/* Once uncounted: the dynamic linker looks functions up on the first call. */
static int level_count(const codec_input *in, unsigned level, uint32_t frame_s, codec_stream *s,
                       codec_decoder *d) {
  for (int counted = 0; counted < 2; counted++) {
    codec_device *device = codec_device_open(in, level, frame_s, s);
    if (!device) return -1;
    if (counted) count_begin();
    int rc = codec_device_play(device);
    if (counted) count_end();
    codec_device_free(device);
    if (rc != 0 || htel_birth_decode(&d->birth, s->birth, s->birth_bytes) != 0) return -1;
    if (counted) count_begin();
    codec_decode(d, s);
    if (counted) count_end();
  }
  return 0;
}

static int file_count(const char *path, uint32_t frame_s, codec_decoder *d) {
  codec_input in;
  codec_stream s = {0};
  if (input_load(&in, path, frame_s) != 0) return -1;
  int rc = 0;
  for (unsigned level = 0; level < CODEC_LEVELS && rc == 0; level++)
    rc = level_count(&in, level, frame_s, &s, d);
  codec_stream_free(&s);
  codec_input_free(&in);
  return rc;
}

int codec_count_child(char *const *files, size_t count, uint32_t frame_s) {
  codec_decoder *d = calloc(1, sizeof *d);
  int rc = d ? 0 : -1;
  for (size_t i = 0; i < count && rc == 0; i++) rc = file_count(files[i], frame_s, d);
  free(d);
  return rc == 0 ? 0 : 1;
}

/* ---- The parent ------------------------------------------------------------------------------ */

static int totals_read(FILE *out, const char *dir, void *ctx) {
  const counting *k = ctx;
  (void)out;
  size_t dump = 1;
  for (size_t i = 0; i < k->count; i++) {
    codec_input in;
    if (input_load(&in, k->files[i], k->frame_s) != 0) return -1;
    double readings = (double)codec_readings(&in);
    codec_input_free(&in);
    for (unsigned level = 0; level < CODEC_LEVELS; level++) {
      codec_cost *cost = &k->costs[i * CODEC_LEVELS + level];
      double encode = bench_count_total(dir, dump++), decode = bench_count_total(dir, dump++);
      if (encode < 0 || decode < 0) return -1;
      *cost = (codec_cost){encode / readings, decode / readings};
    }
  }
  return 0;
}

bool codec_count(char *const *files, size_t count, uint32_t frame_s, codec_cost *costs) {
  counting k = {.files = files, .count = count, .frame_s = frame_s, .costs = costs};
  char suite[] = "codec", counted[] = "--counted", option[] = "--frame-s", end[] = "--", value[16];
  snprintf(value, sizeof value, "%u", (unsigned)frame_s);
  char *head[] = {suite, counted, option, value, end};
  size_t heads = sizeof head / sizeof head[0];
  char **args = calloc(heads + count, sizeof *args);
  if (!args) return false;
  memcpy(args, head, sizeof head);
  memcpy(args + heads, files, count * sizeof *args);
  int rc = bench_count_run("codec_clock", args, heads + count, totals_read, &k);
  free(args);
  return rc == 0;
}
