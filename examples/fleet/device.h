/* SPDX-License-Identifier: Apache-2.0 */
/* device.h - one simulated device: the library as it is shipped, on a simulated platform.
 *
 *     feed -> htel (src/) -> ports/mqtt -> sim_path
 *                 \-> flash_sim (where the scenario has one)
 *
 * The cell gives it turns; the faults act on it through the functions below. It boots, records,
 * polls when the library asks for it or wakes it, is reset, loses its power in the middle of a
 * flash operation, boots again. */
#ifndef FLEET_DEVICE_H
#define FLEET_DEVICE_H

#include "../../ports/sim/flash_sim.h"
#include "oracle.h"
#include "sim_net.h"

typedef struct device device;

typedef struct device_world {
  const plan *plan;
  sim_queue *queue;
  sim_net *net;
  uint64_t run_seed;
  int64_t utc_of_zero; /* Unix ms of ms 0 of the run */
  /* A line of a trace, where one is wanted; NULL: none. */
  void (*trace)(void *ctx, uint32_t device, const char *text);
  void *trace_ctx;
} device_world;

/* `number` in the fleet; `actor` its place in the queue. NULL: no memory. The device is off. */
device *device_new(const device_world *w, uint32_t number, uint32_t actor);
void device_free(device *d);

/* With a copy of `from`'s flash and its id: a clone. */
device *device_clone(const device *from, uint32_t number, uint32_t actor);

void device_boot(device *d, int64_t now_ms);
/* Stops at once: RAM is gone. `flash_loses`: the flash loses its power too, in the middle of what
 * was not yet synced. */
void device_stop(device *d, bool flash_loses, int64_t now_ms);
/* The power will fail at the so-manieth flash operation from now (device_is_on() then is false). */
void device_cut_in(device *d, uint32_t operations, flash_mode mode);
bool device_is_on(const device *d);

/* Its turn: records what is due, polls, makes its next appointment itself. */
void device_step(device *d, int64_t now_ms);

/* Faults. */
void device_freeze(device *d, int64_t until_ms); /* records, but is not polled */
void device_utc_known(device *d, bool known);    /* its clock is set, or not */
void device_utc_jump(device *d, int64_t by_ms);  /* its clock goes wrong by so much from now on */
void device_rot(device *d, sim_random *random);  /* a bit flips */
void device_unread(device *d, uint32_t reads);   /* so many reads of the flash fail from now on */
void device_wear(device *d, sim_random *random); /* a block goes bad */

/* The end of the run: stops recording, flushes, closes. 0 when it is closed and all is delivered;
 * HTEL_E_AGAIN while under way (it makes its appointments). */
int device_finish(device *d, int64_t now_ms);

sim_path *device_path(device *d);
oracle *device_oracle(device *d);
/* Of a boot that it had. False: it had none of this number. */
bool device_tick_of_zero(const device *d, uint64_t boot, int64_t *tick_of_zero);
/* The first rule of the flash part that was broken; NULL: none. */
const char *device_flash_violation(const device *d);
const char *device_id(const device *d);
uint32_t device_number(const device *d);

/* Numbers for the report, over all boots. */
typedef struct device_counts {
  uint64_t boots, resets, power_cuts;
  uint64_t readings_accepted, frames_closed, frames_resent, payload_bytes;
  uint64_t connects, connect_failures;
  uint64_t flash_programs, flash_erases, flash_bytes_programmed;
  uint32_t flash_erases_max, flash_erases_mean; /* by block */
  uint32_t outbox_frames_max;
  uint32_t poll_ms_max;
  uint64_t polls;
  size_t memory_bytes; /* RAM: library, link, its path, its oracle; the most ever */
  size_t flash_bytes;  /* the image and what watches over it */
} device_counts;
const device_counts *device_counts_of(device *d);
uint32_t device_backlog(const device *d); /* frames that wait now */

#endif
