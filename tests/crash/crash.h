/* SPDX-License-Identifier: Apache-2.0 */
/* crash.h - the crash harness: what is to be run, and what came of it.
 *
 *     crash.c        the command line and the report
 *     result.c       what the parts say
 *     cuts.c         a cut at every operation; a cut at every operation of the recovery
 *     damage.c       every bit flipped; images that are not a log
 *     reads.c        pages that cannot be read
 *     wear.c         blocks that wear out, blocks that are bad from the factory
 *     device.[ch]    a device on the store: what it does, and what must be there afterwards
 *     model.[ch]     the frames that must be there
 *     flash_sim.[ch] the flash */
#ifndef HTEL_TESTS_CRASH_CRASH_H
#define HTEL_TESTS_CRASH_CRASH_H

#include <signal.h>

#include "../../ports/sim/flash_sim.h"
#include "model.h"

/* One cut, or one flipped bit: names the place to come back to with --replay. */
typedef struct crash_place {
  uint64_t at;       /* number of the operation, of the bit, of the image */
  uint32_t variant;  /* the draw: the same operation is torn in several ways */
  uint64_t recovery; /* depth 2: operation of the recovery; 0: none */
  uint32_t recovery_variant;
} crash_place;

typedef struct crash_options {
  uint64_t seed;
  uint32_t operations; /* of flash, to be cut; 0: the part's own number */
  uint32_t variants;   /* draws for each operation and mode */
  bool nightly;
  bool replay;
  bool trace;        /* with replay: operations and calls up to there, to stderr */
  crash_place place; /* replay: this one alone */
} crash_options;

typedef struct crash_result {
  const char *part, *geometry, *mode;
  uint64_t seed;
  uint64_t operations, cuts, mounts, frames;
  uint64_t lost, twice, holes, altered; /* all 0, or it failed */
  double seconds;
  char failure[512]; /* empty: none */
  crash_place place; /* of the failure */
  char note[256];    /* figures of the part's own */
} crash_result;

/* A part runs on one geometry in one mode; it stops at the first failure. */
typedef struct crash_part {
  const char *name;
  void (*run)(const flash_geometry *geometry, flash_mode mode, const crash_options *options,
              crash_result *result);
  bool modes;      /* runs in each mode */
  bool small_only; /* exhaustive on the small geometry alone */
} crash_part;

void crash_run_cuts(const flash_geometry *geometry, flash_mode mode, const crash_options *options,
                    crash_result *result);
void crash_run_recovery(const flash_geometry *geometry, flash_mode mode,
                        const crash_options *options, crash_result *result);
void crash_run_failing(const flash_geometry *geometry, flash_mode mode,
                       const crash_options *options, crash_result *result);
void crash_run_lives(const flash_geometry *geometry, flash_mode mode, const crash_options *options,
                     crash_result *result);
void crash_run_bits(const flash_geometry *geometry, flash_mode mode, const crash_options *options,
                    crash_result *result);
void crash_run_images(const flash_geometry *geometry, flash_mode mode, const crash_options *options,
                      crash_result *result);
void crash_run_reads(const flash_geometry *geometry, flash_mode mode, const crash_options *options,
                     crash_result *result);
void crash_run_wear(const flash_geometry *geometry, flash_mode mode, const crash_options *options,
                    crash_result *result);

extern volatile sig_atomic_t crash_stop; /* SIGTERM or SIGINT: end at the next operation */

double crash_now_s(void);

/* Progress for stderr, at most once a second. */
void crash_progress(const crash_result *result);

/* The first failure stays. */
void crash_fail(crash_result *result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* True: model and flash have seen nothing wrong. Otherwise it is counted and told. */
bool crash_settle(crash_result *result, const model *m, const flash_sim *flash, const char *when);

#endif
