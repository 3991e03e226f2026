/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h - what is measured: operations on the core, each with its unit and its bar.
 *
 * An operation is prepared, which is never counted, and run, which is. A run does a known number of
 * rounds of one loop (`rounds`) over a number of units (readings, frames, calls); what an empty
 * loop of so many rounds costs is taken off. The same operations are counted in instructions
 * (count.c, under callgrind) and timed in processor time (bench.c). */
#ifndef HTEL_TESTS_BENCH_H
#define HTEL_TESTS_BENCH_H

#include <stdio.h>

#include "healthtel/decode.h"

typedef struct bench bench; /* the fixture, core.c */

typedef struct bench_operation {
  const char *name;
  const char *unit; /* what `units` counts */
  const char *what;
  uint32_t instructions_max; /* a bar for each unit; 0: none */
  int (*prepare)(bench *b);  /* 0, or an HTEL_E_* */
  void (*run)(bench *b);
  uint32_t (*units)(const bench *b); /* after run */
  uint32_t (*rounds)(const bench *b);
} bench_operation;

/* The first is the empty loop. */
extern const bench_operation bench_operations[];
extern const size_t bench_operation_count;

/* A fixture with the samples of the recording's first channel; NULL with a message on stderr. */
bench *bench_open(const char *recording_path);
void bench_close(bench *b);

typedef struct bench_count {
  double instructions; /* for each unit; negative: not counted */
} bench_count;

/* Runs this program once more under callgrind, for counts[bench_operation_count]. 0, or -1 with a
 * message on stderr. */
int bench_count_all(const char *recording_path, bench_count *counts);

/* The same for any operations: runs this program with `args` under callgrind, which leaves the
 * function `clock` out; read() takes the child's output, and `dir` for bench_count_total(). 0, or
 * -1 with a message on stderr. */
int bench_count_run(const char *clock, char *const *args, size_t arg_count,
                    int (*read)(FILE *out, const char *dir, void *ctx), void *ctx);
/* Instructions in the child's dump number `index`, from 1; or -1. */
double bench_count_total(const char *dir, size_t index);

/* What that child does. Its exit status. */
int bench_count_child(bench *b);

/* Bytes of RAM of a bedside monitor (memory.c). 0 or -1. */
typedef struct bench_memory {
  uint32_t all, outbox, ring, zlib, rest; /* rest: batches, columns, state */
} bench_memory;
int bench_memory_get(bench_memory *memory);

#endif
