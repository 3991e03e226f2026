/* SPDX-License-Identifier: Apache-2.0 */
/* device.h - a device that keeps its frames in the store, and knows what it owes.
 *
 * It closes frames, publishes and frees them, evicts when there is no room, is reset, and after
 * each mount holds all that it finds against the model. It is the only part of the harness that
 * calls the store, by store.h alone. Where the flash loses its power in the middle of a call the
 * model keeps what was in doubt, and the next mount settles it. */
#ifndef HTEL_TESTS_CRASH_DEVICE_H
#define HTEL_TESTS_CRASH_DEVICE_H

#include "../../ports/sim/flash_sim.h"
#include "model.h"
#include "store.h"

typedef struct device_counts {
  uint64_t mounts, frames, appends, evicted, refused, freed;
} device_counts;

typedef struct device {
  flash_sim *flash;
  model model;
  store store;
  store_block *blocks;
  sim_random random;
  uint32_t sequence; /* last one used in this boot */
  uint32_t ledger;   /* last number given to a ledger */
  uint64_t tick;
  uint64_t readings;     /* ever */
  bool running;          /* this boot has begun */
  bool unclean;          /* and told of others that no ledger tells of yet */
  bool full;             /* a note found no room, and nothing may go: it must wait */
  uint32_t damaged;      /* frames found by the last check that cannot be read */
  uint32_t damaged_ever; /* those found by all checks, each once */
  uint32_t lost;         /* frames before these that the last check was told of as lost */
  bool wears;            /* blocks may fail: HTEL_E_STORE is a fair answer, and the end */
  bool worn_out;         /* it came: */
  const char *last_call;
  int last_answer;
  bool thorough; /* reads the bytes of every frame after each mount */
  uint8_t when_full[HTEL_CLASS_COUNT];
  bool cold[HTEL_CLASS_COUNT]; /* nobody fetches these */
  device_counts counts;
} device;

void device_init(device *d, flash_sim *flash, uint64_t seed);
void device_free(device *d);
/* The same device, as it is known at this moment, to be mounted on what a cut has left. */
void device_copy(device *to, const device *from);

/* Mounts, checks all against the model, begins a boot. False: a fault, or the power went. */
bool device_mount(device *d);
/* The check alone; the mount must have been made. */
bool device_check(device *d);

/* What a device does in a step: weights of each, drawn at random. */
typedef enum device_act {
  ACT_ALARM, /* a frame of that class */
  ACT_NUMERIC,
  ACT_WAVEFORM,
  ACT_FREE_FIRST, /* the oldest frames of a class */
  ACT_FREE_ANY,   /* frames from the middle */
  ACT_SYNC,
  ACT_LEDGER, /* writes the ledger */
  ACT_RESET,  /* RAM is gone, the flash keeps its power */
  ACT_BOOT,   /* an orderly end, and a new boot */
  ACT_CUT,    /* the power goes within the next operations */
  ACTS
} device_act;

typedef struct device_phase {
  const char *name;
  bool large; /* frames as long as they may be */
  uint16_t steps;
  uint8_t weights[ACTS];
} device_phase;

/* One step. After a cut by the flash's own count: power on and mount. False: a fault. */
bool device_step(device *d, const device_phase *phase);
/* An endless day: steady, offline, drained, out of order, boots, cuts. */
bool device_live(device *d, uint32_t *step);

bool device_sync(device *d);

#endif
