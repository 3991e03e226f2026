/* SPDX-License-Identifier: Apache-2.0 */
/* column.h - walks along one channel's readings through the coded blocks of an open frame. Blocks
 * are our own and sound: nothing is checked. A walk may be copied, to look ahead with. */
#ifndef HTEL_SRC_COLUMN_H
#define HTEL_SRC_COLUMN_H

#include "batch.h"
#include "block.h"
#include "series.h"

typedef enum column_what { COLUMN_VALUES, COLUMN_TICKS, COLUMN_QUALITIES } column_what;

typedef struct column_walk {
  const uint8_t *at, *end; /* of the blocks not yet looked at */
  const htel_channel *channels;
  uint8_t channel;
  uint8_t what;
  uint8_t quality;
  uint16_t left; /* readings of the block at hand that were not given yet */
  uint16_t run;  /* of which so many are still of this quality */
  uint32_t last; /* value */
  block_head head;
  int64_t tick;
  wire_in in;
  series_reader series;
} column_walk;

void column_open(column_walk *walk, column_what what, const htel_channel *channels, uint8_t channel,
                 const uint8_t *blocks, size_t size);
/* The next `count` values, or steps from each to the next, modulo 2^32; the first is one from 0.
 * There must be as many, as for the next two. */
void column_values(column_walk *walk, int32_t *to, uint32_t count);
void column_steps(column_walk *walk, int32_t *to, uint32_t count);
/* The next reading's quality. */
uint8_t column_quality(column_walk *walk);
/* The next reading's tick less the frame's, of a numeric. */
int64_t column_tick(column_walk *walk);

/* The next block of the channel: its head, with `in` behind the head. False: no more. */
bool column_block(column_walk *walk);

#endif
