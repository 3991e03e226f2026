/* SPDX-License-Identifier: Apache-2.0 */
/* spans.h - sets of numbers as sorted spans without gaps between them. */
#ifndef FLEET_SPANS_H
#define FLEET_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct span {
  uint64_t first, end; /* end: one beyond the last */
} span;

typedef struct spans {
  span *items;
  uint32_t count, room;
} spans;

void spans_free(spans *r);

/* Adds first to end - 1. Returns how many of them were there already; UINT64_MAX: no memory. */
uint64_t spans_add(spans *r, uint64_t first, uint64_t end);

/* How many of first to end - 1 are there. */
uint64_t spans_within(const spans *r, uint64_t first, uint64_t end);

/* The first number from `number` on that is not there. */
uint64_t spans_past(const spans *r, uint64_t number);

/* One beyond the last of first to end - 1 that is there; `first`: none is. */
uint64_t spans_last(const spans *r, uint64_t first, uint64_t end);

#endif
