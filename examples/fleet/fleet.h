/* SPDX-License-Identifier: Apache-2.0 */
/* fleet.h - whole runs: a fleet cut into cells, many seeds, the smaller case, the replay. */
#ifndef FLEET_FLEET_H
#define FLEET_FLEET_H

#include "result.h"

#define FLEET_ALL UINT32_MAX

typedef struct fleet {
  const scenario *scenario;
  uint64_t seed;
  unsigned jobs;
  uint32_t only; /* simulate this device of the fleet alone; FLEET_ALL: all */
  const volatile bool *stop;
  /* Told now and then: `done` of `all` pieces; violations so far. May be NULL. */
  void (*progress)(void *ctx, uint64_t done, uint64_t all, uint64_t violations);
  void *progress_ctx;
  /* As in cell_options; then jobs counts as 1. */
  void (*trace)(void *ctx, int64_t at_ms, uint32_t device, const char *text);
  void *trace_ctx;
} fleet;

/* One run; `out` must not be initialised. False: no memory, or stopped (then nothing is in `out`).
 */
bool fleet_run(const fleet *f, result *out);

/* Runs of `count` seeds from f->seed on, in order: `each` sees each result and may end it by
 * returning false. */
bool fleet_seeds(const fleet *f, uint64_t count,
                 bool (*each)(void *ctx, uint64_t seed, const result *r), void *ctx);

/* A run that fails, made smaller as long as it fails in the same way: one device, fewer faults,
 * fewer hours. `s` is changed, and f->only. Returns how many runs it took; 0: it does not fail. */
unsigned fleet_shrink(fleet *f, scenario *s);

/* What this thread is at, for a crash report. */
void fleet_where(uint64_t *seed, uint32_t *cell);

#endif
