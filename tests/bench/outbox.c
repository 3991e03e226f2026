/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* outbox.c - htel-bench outbox. See outbox.h.
 *
 *     htel-bench outbox               tables; exit status 1 when a bar is broken
 *     htel-bench outbox --json        the same for machines
 *     htel-bench outbox --quick       fewer frames on the disk, 1 MB only: for the test
 */
#include "outbox.h"

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROGRAM_FACTOR_MAX 1.1 /* of the payload, */
#define PROGRAM_MORE_MAX 24.0  /* and so many bytes a frame */
#define MOUNT_PART_MAX 0.02    /* of 16 MiB */
#define MIB (1u << 20)
#define ROUNDS_MAX 400u /* on the disk, store and SQLite in turns: a round is a sync */
#define ROUNDS_QUICK 100u
#define NOISE 0.9 /* two runs of one thing differ by as much on a busy disk */
#define GROUP 8u  /* frames a sync, where several share one */

typedef struct options {
  const char *directory, *recording;
  bool json, quick;
} options;

/* Frames of the size that is asked about, as large as this geometry takes them. */
typedef struct size_row {
  uint32_t bytes_min, bytes_max; /* frames; the batch closes at bytes_max */
  outbox_geometry geometry;      /* but for the size in all */
} size_row;

static const size_row sizes[] = {
    {512, 640, {.block_bytes = 4096, .program_bytes = 1}},
    {1024, 1152, {.block_bytes = 4096, .program_bytes = 1}},
    {512, 640, {.block_bytes = 65536, .program_bytes = 8}},
    {1024, 1152, {.block_bytes = 65536, .program_bytes = 8}},
    {4096, 4352, {.block_bytes = 65536, .program_bytes = 8}},
};
#define SIZES (sizeof sizes / sizeof sizes[0])

typedef struct row {
  outbox_geometry geometry;
  uint32_t frame_bytes;
  outbox_cost steady, grouped, overflow;
  outbox_mount mount;
} row;

typedef struct disk_row {
  outbox_geometry geometry;
  uint32_t frame_bytes, group, frames;
  double store_per_s, sqlite_per_s;     /* by the median round */
  double store_slow_ms, sqlite_slow_ms; /* 99 of 100 rounds take no longer */
  double store_written, sqlite_written; /* bytes a frame, by write() and its like */
} disk_row;

typedef struct report {
  row rows[2 * SIZES];
  unsigned row_count;
  disk_row disk[5];
  unsigned disk_count;
} report;

/* ---- Measuring ---------------------------------------------------------------------------------
 */

static int measure_row(row *r, const outbox_frames *frames) {
  r->frame_bytes = frames->mean;
  if (outbox_store_steady(&r->geometry, frames, 1, &r->steady) != 0) return -1;
  if (outbox_store_steady(&r->geometry, frames, GROUP, &r->grouped) != 0) return -1;
  return outbox_store_full(&r->geometry, frames, &r->mount, &r->overflow);
}

static int measure_flash(report *rep, const options *o, outbox_frames *frames) {
  for (size_t i = 0; i < SIZES; i++) {
    if (outbox_frames_make(frames, o->recording, sizes[i].bytes_min, sizes[i].bytes_max) != 0)
      return -1;
    for (uint32_t bytes = MIB; bytes <= (o->quick ? MIB : 16u * MIB); bytes *= 16u) {
      row *r = &rep->rows[rep->row_count++];
      r->geometry = sizes[i].geometry;
      r->geometry.bytes = bytes;
      if (measure_row(r, frames) != 0) return -1;
    }
  }
  return 0;
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What this process has handed to the kernel to be written so far. */
static double written_bytes(void) {
  FILE *file = fopen("/proc/self/io", "r");
  char line[80];
  double bytes = 0;
  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, "wchar:", 6) == 0) bytes = strtod(line + 6, NULL);
  if (file != NULL) fclose(file);
  return bytes;
}

typedef struct side {
  outbox_sink sink;
  uint32_t number;
  double ms[ROUNDS_MAX], written;
} side;

static int side_round(side *s, const outbox_frames *frames, uint32_t count, unsigned round) {
  double written = written_bytes(), begun = now_s();
  for (uint32_t i = 0; i < count; i++, s->number++) {
    unsigned f = s->number % OUTBOX_FRAMES;
    if (s->sink.put(&s->sink, s->number, frames->bytes[f], frames->sizes[f]) != 0) return -1;
  }
  s->ms[round] = (now_s() - begun) * 1000;
  s->written += written_bytes() - written;
  return 0;
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* In turns, so that what else the disk does falls on both. */
static int measure_disk(disk_row *d, const options *o, const outbox_frames *frames) {
  static side store, sqlite;
  unsigned rounds = o->quick ? ROUNDS_QUICK : ROUNDS_MAX;
  store = sqlite = (side){0};
  if (outbox_store_sink(&store.sink, o->directory, &d->geometry, d->group) != 0) return -1;
  int rc = outbox_sqlite_sink(&sqlite.sink, o->directory, d->group);
  bool both = rc == 0;
  for (unsigned i = 0; rc == 0 && i < rounds; i++) {
    rc = side_round(&store, frames, d->group, i);
    if (rc == 0) rc = side_round(&sqlite, frames, d->group, i);
  }
  store.sink.close(&store.sink);
  if (both) sqlite.sink.close(&sqlite.sink);
  qsort(store.ms, rounds, sizeof store.ms[0], compare_doubles);
  qsort(sqlite.ms, rounds, sizeof sqlite.ms[0], compare_doubles);
  d->frame_bytes = frames->mean;
  d->frames = rounds * d->group;
  d->store_per_s = 1000.0 * d->group / store.ms[rounds / 2];
  d->sqlite_per_s = 1000.0 * d->group / sqlite.ms[rounds / 2];
  d->store_slow_ms = store.ms[rounds * 99 / 100];
  d->sqlite_slow_ms = sqlite.ms[rounds * 99 / 100];
  d->store_written = store.written / d->frames;
  d->sqlite_written = sqlite.written / d->frames;
  return rc;
}

static int measure_disks(report *rep, const options *o, outbox_frames *frames) {
  static const struct {
    unsigned size, group;
  } rows[] = {{0, 1}, {1, 1}, {4, 1}, {1, GROUP}, {3, GROUP}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    disk_row *d = &rep->disk[rep->disk_count++];
    const size_row *size = &sizes[rows[i].size];
    d->group = rows[i].group;
    d->geometry = size->geometry;
    d->geometry.bytes = 16u * MIB;
    if (outbox_frames_make(frames, o->recording, size->bytes_min, size->bytes_max) != 0 ||
        measure_disk(d, o, frames) != 0)
      return -1;
  }
  return 0;
}

/* ---- Bars --------------------------------------------------------------------------------------
 */

static bool bar(bool kept, const char *words, const row *r) {
  if (!kept)
    fprintf(stderr, "htel-bench: outbox of %u KiB, blocks of %u, frames of %u bytes: %s\n",
            r->geometry.bytes / 1024u, r->geometry.block_bytes, r->frame_bytes, words);
  return kept;
}

static bool cost_kept(const row *r, const outbox_cost *c) {
  double most =
      PROGRAM_FACTOR_MAX * (double)c->payload_bytes + PROGRAM_MORE_MAX * (double)c->frames;
  bool kept = bar((double)c->program_bytes <= most,
                  "programs more than 1.1 of the payload and 24 a frame", r);
  return bar(c->syncs <= c->frames, "more than one sync a frame", r) && kept;
}

static bool bars_kept(const report *rep) {
  bool kept = true;
  for (unsigned i = 0; i < rep->row_count; i++) {
    const row *r = &rep->rows[i];
    kept &= cost_kept(r, &r->steady);
    kept &= cost_kept(r, &r->grouped);
    kept &= bar(r->geometry.bytes < 16u * MIB ||
                    (double)r->mount.read_bytes <= MOUNT_PART_MAX * r->geometry.bytes,
                "mount reads more than 2 %", r);
  }
  for (unsigned i = 0; i < rep->disk_count; i++) {
    const disk_row *d = &rep->disk[i];
    if (d->group > 1 || d->store_per_s >= NOISE * d->sqlite_per_s) continue;
    fprintf(stderr, "htel-bench: outbox: frames of %u bytes: slower on disk than SQLite\n",
            d->frame_bytes);
    kept = false;
  }
  return kept;
}

/* ---- Telling -----------------------------------------------------------------------------------
 */

static double each(uint64_t sum, uint64_t count) {
  return count > 0 ? (double)sum / (double)count : 0;
}

static void print_tables(const report *rep) {
  printf("%-7s %6s %4s %6s | %9s %6s %7s %7s | %9s %6s | %8s %7s %8s\n", "store", "block", "unit",
         "frame", "program", "syncs", "erases", "syncs/8", "when full", "syncs", "frames", "mount",
         "read");
  for (unsigned i = 0; i < rep->row_count; i++) {
    const row *r = &rep->rows[i];
    printf("%4u KB %6u %4u %6u | %9.1f %6.3f %7.3f %7.3f | %9.1f %6.3f | %8" PRIu64
           " %4.1f ms %6.2f %%\n",
           r->geometry.bytes / 1024u, r->geometry.block_bytes, r->geometry.program_bytes,
           r->frame_bytes, each(r->steady.program_bytes, r->steady.frames),
           each(r->steady.syncs, r->steady.frames), each(r->steady.erases, r->steady.frames),
           each(r->grouped.syncs, r->grouped.frames),
           each(r->overflow.program_bytes, r->overflow.frames),
           each(r->overflow.syncs, r->overflow.frames), r->mount.frames, r->mount.ms,
           100.0 * (double)r->mount.read_bytes / r->geometry.bytes);
  }
  printf(
      "program: bytes a frame; syncs, erases: a frame; syncs/8: where 8 frames share one; "
      "when full: each block pushes another out\n\n");
  printf("%6s %6s %6s %9s %9s %7s | %9s %9s | %9s %9s\n", "block", "frame", "a sync", "store/s",
         "SQLite/s", "", "store ms", "SQLite ms", "store B", "SQLite B");
  for (unsigned i = 0; i < rep->disk_count; i++) {
    const disk_row *d = &rep->disk[i];
    printf("%6u %6u %6u %9.1f %9.1f %6.2fx | %9.1f %9.1f | %9.0f %9.0f\n", d->geometry.block_bytes,
           d->frame_bytes, d->group, d->store_per_s, d->sqlite_per_s,
           d->store_per_s / d->sqlite_per_s, d->store_slow_ms, d->sqlite_slow_ms, d->store_written,
           d->sqlite_written);
  }
  printf(
      "frames a second on disk, durably, by the median; ms: 99 of 100 syncs take no longer; "
      "B: bytes a frame handed to the kernel\n");
}

static void print_cost(const char *name, const outbox_cost *c) {
  printf("\"%s\": {\"frames\": %" PRIu64 ", \"payload_bytes\": %" PRIu64
         ", \"program_bytes\": %" PRIu64 ", \"programs\": %" PRIu64 ", \"syncs\": %" PRIu64
         ", \"erases\": %" PRIu64 "}, ",
         name, c->frames, c->payload_bytes, c->program_bytes, c->programs, c->syncs, c->erases);
}

static void print_json(const report *rep) {
  printf("{\"suite\": \"outbox\", \"stores\": [");
  for (unsigned i = 0; i < rep->row_count; i++) {
    const row *r = &rep->rows[i];
    printf(
        "%s\n  {\"bytes\": %u, \"block_bytes\": %u, \"program_bytes\": %u, \"frame_bytes\": %u, ",
        i > 0 ? "," : "", r->geometry.bytes, r->geometry.block_bytes, r->geometry.program_bytes,
        r->frame_bytes);
    print_cost("steady", &r->steady);
    print_cost("steady_by_8", &r->grouped);
    print_cost("overflow", &r->overflow);
    printf("\"mount\": {\"frames\": %" PRIu64 ", \"read_bytes\": %" PRIu64 ", \"ms\": %.2f}}",
           r->mount.frames, r->mount.read_bytes, r->mount.ms);
  }
  printf("\n], \"disk\": [");
  for (unsigned i = 0; i < rep->disk_count; i++) {
    const disk_row *d = &rep->disk[i];
    printf(
        "%s\n  {\"block_bytes\": %u, \"frame_bytes\": %u, \"frames_a_sync\": %u, \"frames\": %u, "
        "\"store_per_s\": %.1f, "
        "\"sqlite_per_s\": %.1f, \"store_slow_ms\": %.2f, \"sqlite_slow_ms\": %.2f, "
        "\"store_written\": %.0f, \"sqlite_written\": %.0f}",
        i > 0 ? "," : "", d->geometry.block_bytes, d->frame_bytes, d->group, d->frames,
        d->store_per_s, d->sqlite_per_s, d->store_slow_ms, d->sqlite_slow_ms, d->store_written,
        d->sqlite_written);
  }
  printf("\n]}\n");
}

/* ---- Command line ------------------------------------------------------------------------------
 */

enum { OPTION_DIR = 256, OPTION_QUICK };

static const struct argp_option option_table[] = {
    {"json", 'j', 0, 0, "Print JSON", 0},
    {"quick", OPTION_QUICK, 0, 0, "A store of 1 MB alone, and fewer frames on the disk", 0},
    {"dir", OPTION_DIR, "DIR", 0, "Where the files are made, and removed (default: here)", 0},
    {"recording", 'r', "FILE", 0, "A recording (CSV with JSON beside it), an ECG first", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
  options *o = state->input;
  switch (key) {
    case 'j': o->json = true; return 0;
    case 'r': o->recording = arg; return 0;
    case OPTION_QUICK: o->quick = true; return 0;
    case OPTION_DIR: o->directory = arg; return 0;
    case ARGP_KEY_ARG: argp_error(state, "'%s' is not an option", arg); return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

int outbox_main(int argc, char **argv, const char *recording) {
  static const struct argp parser = {
      .options = option_table,
      .parser = parse_option,
      .doc =
          "What the outbox on flash costs: bytes programmed, syncs, erases, mount, and frames a "
          "second on disk beside SQLite. Exit status 1 when one is over its bar."};
  static report rep;
  options o = {.directory = ".", .recording = recording};
  argp_parse(&parser, argc, argv, 0, NULL, &o);
  outbox_frames *frames = malloc(sizeof *frames);
  int rc = frames != NULL ? measure_flash(&rep, &o, frames) : -1;
  if (rc == 0) rc = measure_disks(&rep, &o, frames);
  free(frames);
  if (rc != 0) return 1;
  (o.json ? print_json : print_tables)(&rep);
  return bars_kept(&rep) ? 0 : 1;
}
