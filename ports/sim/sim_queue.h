/* SPDX-License-Identifier: Apache-2.0 */
/* sim_queue.h - virtual time: who is to run next, and when.
 *
 * Each actor (a device, a broker, an ingest, a fault) has a number from 0 to count - 1 and at most
 * one appointment. The earliest comes first; of two at one moment the lower number, so that a run
 * is the same everywhere. Time is in ms from the beginning of the run. */
#ifndef HTEL_SIM_QUEUE_H
#define HTEL_SIM_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_NEVER INT64_MAX

typedef struct sim_queue {
  int64_t *at_ms;  /* by actor; SIM_NEVER: none */
  uint32_t *heap;  /* actors, a heap by (at_ms, actor) */
  uint32_t *place; /* by actor: where in heap; UINT32_MAX: not in it */
  uint32_t count;  /* actors */
  uint32_t used;   /* of heap */
  int64_t now_ms;  /* of the appointment last taken */
} sim_queue;

/* False: no memory. */
bool sim_queue_init(sim_queue *q, uint32_t actors);
void sim_queue_free(sim_queue *q);

/* The actor's only appointment is at `at_ms` now, not before the present; SIM_NEVER: it has none.
 */
void sim_queue_set(sim_queue *q, uint32_t actor, int64_t at_ms);
/* The same where that is earlier than the appointment it has. */
void sim_queue_sooner(sim_queue *q, uint32_t actor, int64_t at_ms);

/* The time of the next appointment, SIM_NEVER where there is none. */
int64_t sim_queue_next_ms(const sim_queue *q);
/* Takes the next appointment: time moves on to it. False: there is none. */
bool sim_queue_take(sim_queue *q, uint32_t *actor);

#endif
