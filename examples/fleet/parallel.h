/* SPDX-License-Identifier: Apache-2.0 */
/* parallel.h - independent pieces of work on several threads, their results taken in order. */
#ifndef FLEET_PARALLEL_H
#define FLEET_PARALLEL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct parallel {
  void *ctx;
  uint64_t count;
  unsigned jobs;
  /* One piece, on any thread. NULL: it failed, and no further ones are begun. */
  void *(*work)(void *ctx, uint64_t i);
  /* Takes the result of piece i, and frees it: one call at a time, in order of i. False: enough,
   * no further ones are begun, and results of those under way come to `drop`. */
  bool (*take)(void *ctx, uint64_t i, void *done);
  void (*drop)(void *ctx, void *done);
} parallel;

/* False: a piece failed, or a thread could not be made. */
bool parallel_run(const parallel *p);

#endif
