/* SPDX-License-Identifier: Apache-2.0 */
/* cell.h - a broker, an ingest and the devices that they serve: the unit that is simulated.
 *
 *     faults --> devices <==bytes==> broker <--> ingest --> store --> oracles --> result
 *
 * Devices meet each other nowhere but at the broker and the ingest, so a fleet is as many cells as
 * it takes, each with its own virtual time; a storm comes to all at one moment. What a cell does is
 * a function of scenario, seed and its number, whatever thread runs it. */
#ifndef FLEET_CELL_H
#define FLEET_CELL_H

#include "result.h"
#include "scenario.h"

typedef struct cell_options {
  const scenario *scenario;
  uint64_t seed;
  uint32_t cell;         /* number of this one */
  uint32_t first_device; /* number in the fleet */
  uint32_t device_count;
  uint32_t clone_number; /* in the fleet, of its first clone */
  /* Lines of what happens, with virtual time; NULL: none. `device` UINT32_MAX: the server. */
  void (*trace)(void *ctx, int64_t at_ms, uint32_t device, const char *text);
  void *trace_ctx;
  const volatile bool *stop; /* looked at now and then: give up */
} cell_options;

#define CELL_CLONES_MAX 2u

/* `out` must be initialised. False: no memory, or stopped. */
bool cell_run(const cell_options *options, result *out);

#endif
