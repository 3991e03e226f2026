/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h - from a scenario to what htel_open takes: channel table and configuration.
 *
 * One plan serves all devices of a run, simulated or live. */
#ifndef FLEET_PLAN_H
#define FLEET_PLAN_H

#include "scenario.h"
#include "signals.h"

typedef struct plan {
  const scenario *scenario;
  htel_channel channels[SCENARIO_CHANNELS_MAX];
  htel_config config; /* without device_id and flash */
} plan;

/* 0, or the error of htel_memory_needed, with `error` saying field and reason. */
int plan_make(plan *p, const scenario *s, char *error, size_t error_size);

/* "fleet-<16 hex digits>": made of seed and number, opaque. */
#define PLAN_ID_BYTES 23u
void plan_device_id(char id[PLAN_ID_BYTES], uint64_t run_seed, uint32_t device);

/* What is due of every channel is recorded, in order of channels; how far each is, is kept here. */
typedef struct feed {
  const plan *plan;
  uint64_t signals[SCENARIO_CHANNELS_MAX];
  uint64_t next[SCENARIO_CHANNELS_MAX];  /* number of the next reading */
  int64_t due_ms[SCENARIO_CHANNELS_MAX]; /* when it is to be recorded */
  int64_t next_ms;                       /* when the next is due, of all */
} feed;

/* Told of each record call: readings `first` to first + count - 1, and what it returned. */
typedef void feed_told(void *ctx, unsigned channel, uint64_t first, uint32_t count, int rc);

void feed_init(feed *f, const plan *p, uint64_t run_seed, uint32_t device);
/* The device begins (again) at `ms`: what was due before is not recorded. */
void feed_start(feed *f, int64_t ms);
/* Records what is due up to and at `now_ms`. `tick_of_zero`: the device's tick (before wrapping) at
 * ms 0 of the run: a reading due at ms has tick (uint32_t)(tick_of_zero + ms). */
void feed_run(feed *f, htel *tel, int64_t now_ms, int64_t tick_of_zero, feed_told *told, void *ctx);

#endif
