/* SPDX-License-Identifier: Apache-2.0 */
/* frames.h - the frames of a transaction that is open: kept until it is committed or not.
 *
 * What the store shows is valid in the call alone, and may be rolled back. So it is copied here, in
 * memory that is used again from transaction to transaction. */
#ifndef FLEET_FRAMES_H
#define FLEET_FRAMES_H

#include "memory_store.h"
#include "message.h"

typedef struct frames_item {
  char device[DEVICE_BYTES];
  bool quarantined;
  /* A frame */
  htel_frame envelope; /* without data */
  readings readings;   /* points into the arena once all are in: frames_at */
  size_t runs_at, samples_at, quality_at, events_at;
  int64_t received_ms;
  bool placed;
  int64_t offset_ms;
  /* or a placing: is_placing */
  bool is_placing;
  uint64_t boot, tick_first, tick_last;
} frames_item;

typedef struct frames {
  frames_item *items;
  size_t count, room;
  uint8_t *arena;
  size_t used, arena_room;
  frame_reader *reader; /* for those put aside */
  readings aside;
} frames;

void frames_free(frames *f);
void frames_clear(frames *f); /* keeps the memory */

/* False: no memory. */
bool frames_add(frames *f, const store_frame *frame);
/* Reads it with its birth; what cannot be read is left out. */
bool frames_add_aside(frames *f, const store *s, const store_aside *aside);
bool frames_add_placing(frames *f, const char *device, uint64_t boot, uint64_t tick_first,
                        uint64_t tick_last, int64_t offset_ms);

size_t frames_count(const frames *f);
/* Valid until something is added. */
const frames_item *frames_at(frames *f, size_t i);
void frames_as_store(const frames_item *item, store_frame *frame);

#endif
