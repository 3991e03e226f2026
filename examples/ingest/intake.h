/* SPDX-License-Identifier: Apache-2.0 */
/* intake.h - the ingest itself: gathers messages, writes them as one transaction, then receipts.
 *
 *     source -> gather -> check -> put, put, put -> commit -> receipts -> source
 *
 * A batch is closed by count, by bytes or by the age of its first message. It is held in memory
 * until its commit has succeeded: a store that is full or locked delays it, and the source behind
 * it, but loses nothing. A receipt is only ever sent for what a commit covers.
 *
 * What becomes of a message is decided here and in message.c, above any store or source:
 *
 *   frame, new key, readable         stored with its readings    receipt: stored
 *   frame, key and digest known      counted                     receipt: stored
 *   frame, key known, other digest   quarantine, alert           receipt: quarantined
 *   frame, key readable, rest not    quarantine, alert           receipt: quarantined
 *   frame, no birth for its schema   counted                     receipt: birth wanted
 *   frame, damaged                   counted, some are kept      none
 *   birth                            stored                      receipt: its schema
 *   status                           noted                       none
 */
#ifndef INGEST_INTAKE_H
#define INGEST_INTAKE_H

#include "message.h"
#include "source.h"
#include "store.h"

#define INTAKE_BATCH_MESSAGES_MAX 10000u
#define INTAKE_BATCH_BYTES 8388608u
#define INTAKE_BIRTHS_PER_DEVICE 256u
#define INTAKE_ALERTS_PER_DEVICE 1000u
#define INTAKE_ASIDES_WHOLE 4096u   /* quarantined frames of a device with payload */
#define INTAKE_UNREADABLE_KEPT 64u  /* damaged ones kept for a look, by device */
#define INTAKE_BIRTH_WANTED_MS 5000 /* by device, at most so often */

/* The outside world, so that a simulator can give another one. */
typedef struct intake_clock {
  void *ctx;
  int64_t (*utc_ms)(void *ctx);
  int64_t (*tick_ms)(void *ctx); /* monotonic */
  void (*sleep_ms)(void *ctx, uint32_t ms);
} intake_clock;

typedef struct intake_config {
  const source *source;
  const store *store;
  const intake_clock *clock;
  uint32_t commit_ms;             /* a batch is written when its first message is this old */
  uint32_t commit_messages;       /* ... or when it holds so many, 1 to INTAKE_BATCH_MESSAGES_MAX */
  uint32_t pause_ms;              /* put into every receipt: asks devices to slow down; 0: not */
  uint32_t pause_after_commit_ms; /* for tests: widens the window between commit and receipt */
  void (*alert)(void *arg, const store_alert *alert); /* told once each; may be NULL */
  void *alert_arg;
} intake_config;

typedef struct intake_stats {
  uint64_t messages, stored, readings, duplicates, conflicts, poison, unreadable, birthless;
  uint64_t births, births_refused, statuses, foreign; /* foreign: topics that are not ours */
  uint64_t commits, commit_retries, refused; /* refused: messages that the store will never take */
  uint64_t receipts, receipts_dropped;
} intake_stats;

typedef struct intake intake;

/* NULL: no memory. */
intake *intake_open(const intake_config *config);
void intake_close(intake *in);

enum { INTAKE_IDLE = 0, INTAKE_WROTE = 1, INTAKE_END = 2, INTAKE_HELD_UP = 3 };

/* Gathers one batch and writes it. Waits for a first message `wait_ms` at most.
 * INTAKE_WROTE: a batch is committed and receipted; INTAKE_IDLE: nothing came; INTAKE_END: nothing
 * will come any more; INTAKE_HELD_UP: the store cannot take it now. The batch is kept; the next
 * call tries again, after the pause that has already been made. */
int intake_step(intake *in, uint32_t wait_ms);

const intake_stats *intake_stats_get(const intake *in);

#endif
