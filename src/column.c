/* SPDX-License-Identifier: Apache-2.0 */
/* column.c - see column.h. */
#include "column.h"

#include <string.h>

void column_open(column_walk *walk, column_what what, const htel_channel *channels, uint8_t channel,
                 const uint8_t *blocks, size_t size) {
  memset(walk, 0, sizeof *walk);
  walk->at = blocks;
  walk->end = blocks + size;
  walk->channels = channels;
  walk->channel = channel;
  walk->what = (uint8_t)what;
}

bool column_block(column_walk *walk) {
  while (walk->at < walk->end) {
    const uint8_t *block = walk->at + BATCH_LENGTH_BYTES;
    walk->at = block + (walk->at[0] | (size_t)walk->at[1] << 8);
    if (block[0] != walk->channel) continue; /* a varint of one byte: channels are below 64 */
    walk->in = (wire_in){block + 1, walk->at, false};
    block_head_read(&walk->head, walk->channels[walk->channel].kind, &walk->in);
    return true;
  }
  return false;
}

static void ticks_skip(column_walk *walk) {
  if (!block_has_ticks(&walk->head, walk->channels[walk->channel].kind)) return;
  series_open(&walk->series, &walk->in);
  for (uint16_t i = 2; i < walk->head.count; i++) series_residual(&walk->series);
}

/* Opens the next block where it is time to. */
static bool block_begin(column_walk *walk) {
  if (walk->left > 0 || !column_block(walk)) return false;
  walk->left = walk->head.count;
  if (walk->what != COLUMN_TICKS) ticks_skip(walk);
  if (walk->what == COLUMN_VALUES) {
    if (walk->head.has_quality) block_quality_read(NULL, walk->head.count, &walk->in);
    series_open(&walk->series, &walk->in);
  }
  return true;
}

void column_steps(column_walk *walk, int32_t *to, uint32_t count) {
  while (count > 0) {
    uint32_t part = 1;
    if (block_begin(walk)) {
      to[0] = (int32_t)(walk->series.first - walk->last);
      walk->last = walk->series.first;
    } else {
      part = walk->left < count ? walk->left : count;
      if (part == 0) return;
      walk->series.in = &walk->in;
      walk->last = series_steps(&walk->series, walk->last, to, part);
    }
    walk->left = (uint16_t)(walk->left - part);
    to += part;
    count -= part;
  }
}

void column_values(column_walk *walk, int32_t *to, uint32_t count) {
  uint32_t value = walk->last;
  column_steps(walk, to, count);
  for (uint32_t i = 0; i < count; i++) to[i] = (int32_t)(value += (uint32_t)to[i]);
}

uint8_t column_quality(column_walk *walk) {
  if (block_begin(walk)) {
    walk->run = walk->head.has_quality ? 0 : walk->head.count;
    walk->quality = HTEL_VALID;
  }
  walk->left--;
  if (walk->run == 0) {
    walk->run = (uint16_t)wire_varint32(&walk->in);
    walk->quality = wire_byte(&walk->in);
  }
  walk->run--;
  return walk->quality;
}

int64_t column_tick(column_walk *walk) {
  int32_t step = 0;
  if (block_begin(walk)) {
    walk->tick = walk->head.tick_delta;
    if (block_has_ticks(&walk->head, HTEL_NUMERIC)) series_open(&walk->series, &walk->in);
  } else if (walk->head.has_time) {
    step = walk->head.interval;
  } else if (walk->left + 1u == walk->head.count) {
    step = (int32_t)walk->series.first;
  } else {
    walk->series.in = &walk->in;
    series_values(&walk->series, &step, 1);
  }
  walk->left--;
  walk->tick += step;
  return walk->tick;
}
