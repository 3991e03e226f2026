/* SPDX-License-Identifier: Apache-2.0 */
/* faults.h - what goes wrong in a cell, and when.
 *
 *     agenda -> begin(fault) ... end(fault) -> agenda        each fault of each device a process
 *
 * A fault of one kind on one device (or on the server) is a process of its own with its own random
 * numbers: taking one kind away, or one device, changes nothing for the others. So a failing run
 * can be made smaller, fault by fault. Several may be at work on one device at a time; what its
 * network is like then is made anew from all that are (weather()). */
#ifndef FLEET_FAULTS_H
#define FLEET_FAULTS_H

#include "device.h"
#include "server.h"

typedef struct faults faults;

typedef struct faults_world {
  const scenario *scenario;
  sim_queue *queue;
  uint32_t actor; /* in it, of the faults */
  uint64_t run_seed;
  uint32_t cell;
  sim_broker *broker;
  server *server;
  memory_store *store;
  device **devices; /* `device_count`, then room for as many clones as `clones_max` */
  uint32_t device_count, clones_max;
  uint32_t clone_count;
  uint32_t clone_number;    /* in the fleet, of the first clone of this cell */
  int64_t end_ms;           /* nothing begins after it */
  void (*storm)(void *ctx); /* every connection is about to be ended */
  void *storm_ctx;
  void (*trace)(void *ctx, uint32_t device, const char *text); /* device UINT32_MAX: the server */
  void *trace_ctx;
} faults_world;

faults *faults_new(faults_world *world); /* NULL: no memory; makes its first appointment */
void faults_free(faults *f);

void faults_step(faults *f, int64_t now_ms);

/* All is well from now on: the end of a run. Devices that are off are started. */
void faults_end(faults *f, int64_t now_ms);

/* The device is off (its power was cut): it will be started in a while. */
void faults_device_off(faults *f, uint32_t index, int64_t now_ms);

/* Since when nothing has begun or ended that concerns this device, its way or the server; INT64_MAX
 * while something is wrong. */
int64_t faults_calm_since_ms(const faults *f, uint32_t index);

/* Since when its way is silent and nothing else is wrong with the device; INT64_MAX: it is not. */
int64_t faults_silent_since_ms(const faults *f, uint32_t index);

const uint64_t *faults_counts(const faults *f); /* by kind: how often each began */

#endif
