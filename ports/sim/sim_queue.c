/* SPDX-License-Identifier: Apache-2.0 */
/* sim_queue.c - a binary heap of actors by (time, number), with each actor's place in it. */
#include "sim_queue.h"

#include <stdlib.h>

#define NOWHERE UINT32_MAX

bool sim_queue_init(sim_queue *q, uint32_t actors) {
  *q = (sim_queue){.count = actors};
  q->at_ms = malloc(actors * sizeof *q->at_ms);
  q->heap = malloc(actors * sizeof *q->heap);
  q->place = malloc(actors * sizeof *q->place);
  if (q->at_ms == NULL || q->heap == NULL || q->place == NULL) {
    sim_queue_free(q);
    return false;
  }
  for (uint32_t i = 0; i < actors; i++) {
    q->at_ms[i] = SIM_NEVER;
    q->place[i] = NOWHERE;
  }
  return true;
}

void sim_queue_free(sim_queue *q) {
  free(q->at_ms);
  free(q->heap);
  free(q->place);
  *q = (sim_queue){0};
}

static bool is_before(const sim_queue *q, uint32_t a, uint32_t b) {
  if (q->at_ms[a] != q->at_ms[b]) return q->at_ms[a] < q->at_ms[b];
  return a < b;
}

static void put(sim_queue *q, uint32_t place, uint32_t actor) {
  q->heap[place] = actor;
  q->place[actor] = place;
}

static void rise(sim_queue *q, uint32_t place, uint32_t actor) {
  while (place > 0 && is_before(q, actor, q->heap[(place - 1) / 2])) {
    put(q, place, q->heap[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  put(q, place, actor);
}

static void sink(sim_queue *q, uint32_t place, uint32_t actor) {
  for (uint32_t child; (child = 2 * place + 1) < q->used; place = child) {
    if (child + 1 < q->used && is_before(q, q->heap[child + 1], q->heap[child])) child++;
    if (!is_before(q, q->heap[child], actor)) break;
    put(q, place, q->heap[child]);
  }
  put(q, place, actor);
}

static void settle(sim_queue *q, uint32_t place, uint32_t actor) {
  if (place > 0 && is_before(q, actor, q->heap[(place - 1) / 2]))
    rise(q, place, actor);
  else
    sink(q, place, actor);
}

static void leave(sim_queue *q, uint32_t actor) {
  uint32_t place = q->place[actor];
  q->place[actor] = NOWHERE;
  uint32_t last = q->heap[--q->used];
  if (last != actor) settle(q, place, last);
}

void sim_queue_set(sim_queue *q, uint32_t actor, int64_t at_ms) {
  if (at_ms < q->now_ms) at_ms = q->now_ms;
  q->at_ms[actor] = at_ms;
  uint32_t place = q->place[actor];
  if (at_ms == SIM_NEVER) {
    if (place != NOWHERE) leave(q, actor);
  } else if (place == NOWHERE) {
    rise(q, q->used++, actor);
  } else {
    settle(q, place, actor);
  }
}

void sim_queue_sooner(sim_queue *q, uint32_t actor, int64_t at_ms) {
  if (at_ms < q->at_ms[actor]) sim_queue_set(q, actor, at_ms);
}

int64_t sim_queue_next_ms(const sim_queue *q) {
  return q->used > 0 ? q->at_ms[q->heap[0]] : SIM_NEVER;
}

bool sim_queue_take(sim_queue *q, uint32_t *actor) {
  if (q->used == 0) return false;
  *actor = q->heap[0];
  q->now_ms = q->at_ms[*actor];
  q->at_ms[*actor] = SIM_NEVER;
  leave(q, *actor);
  return true;
}
