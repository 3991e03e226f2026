/* SPDX-License-Identifier: Apache-2.0 */
/* code.c - writes blocks: a head with count and time, qualities where any is not valid, then the
 * values as a series (series.c). block.h has the layout. */
#include "code.h"

#include "block.h"
#include "series.h"

/* The varint of a time that is written relative to the frame's. */
static void tick_put(wire_out *out, uint64_t tick, uint64_t frame_tick) {
  wire_put_signed(out, (int64_t)(tick - frame_tick));
}

static uint8_t quality_at(const code_column *column, size_t i) {
  return column->quality ? column->quality[i] : column->quality_all;
}

/* Readings from `begin` on that are of one quality. */
static uint32_t quality_run(const code_column *column, uint32_t begin) {
  if (!column->quality) return column->count - begin;
  uint32_t end = begin + 1;
  while (end < column->count && column->quality[end] == column->quality[begin]) end++;
  return end - begin;
}

static bool quality_is_valid(const code_column *column) {
  return quality_at(column, 0) == HTEL_VALID && quality_run(column, 0) == column->count;
}

static void quality_put(wire_out *out, const code_column *column) {
  for (uint32_t begin = 0; begin < column->count;) {
    uint32_t run = quality_run(column, begin);
    wire_put_varint(out, run);
    wire_put_byte(out, quality_at(column, begin));
    begin += run;
  }
}

static bool ticks_are_regular(const uint32_t *ticks, uint16_t count) {
  uint32_t interval = ticks[1] - ticks[0];
  for (size_t i = 2; i < count; i++) {
    if (ticks[i] - ticks[i - 1] != interval) return false;
  }
  return true;
}

static void head_put(wire_out *out, const code_column *column, bool has_quality, bool has_time) {
  wire_put_varint(out, column->channel);
  wire_put_varint(out, (uint32_t)(column->count - 1) << BLOCK_COUNT_SHIFT |
                           (has_quality ? BLOCK_FLAG_QUALITY : 0) |
                           (has_time ? BLOCK_FLAG_TIME : 0));
}

static void waveform_head_put(wire_out *out, const code_column *column, uint64_t frame_tick,
                              bool has_quality) {
  head_put(out, column, has_quality, !column->continues);
  if (column->continues) return;
  tick_put(out, column->tick_first, frame_tick);
  wire_put_varint(out, column->phase);
}

static void numeric_head_put(wire_out *out, const code_column *column, uint64_t frame_tick,
                             bool has_quality, code_residuals residuals) {
  bool several = column->count > 1;
  bool regular = several && ticks_are_regular(column->ticks, column->count);
  head_put(out, column, has_quality, regular);
  tick_put(out, column->tick_first, frame_tick);
  if (regular) {
    wire_put_signed(out, (int32_t)(column->ticks[1] - column->ticks[0]));
  } else if (several) {
    series_source steps = {column->ticks, true};
    series_write(out, steps, (uint16_t)(column->count - 1), residuals);
  }
}

size_t code_block_encode(const code_column *column, uint64_t frame_tick, code_residuals residuals,
                         uint8_t *out, size_t room) {
  wire_out w = {out, out + room, false};
  bool has_quality = !quality_is_valid(column);
  if (column->kind == HTEL_WAVEFORM) {
    waveform_head_put(&w, column, frame_tick, has_quality);
  } else {
    numeric_head_put(&w, column, frame_tick, has_quality, residuals);
  }
  if (has_quality) quality_put(&w, column);
  /* A value and the unsigned number of the same bits may be read as each other. */
  series_source values = {(const uint32_t *)column->values, false};
  series_write(&w, values, column->count, residuals);
  return w.full ? 0 : (size_t)(w.at - out);
}

size_t code_alarm_encode(uint8_t channel, const htel_alarm_event *event, uint64_t tick,
                         uint64_t frame_tick, uint8_t *out, size_t room) {
  wire_out w = {out, out + room, false};
  wire_put_varint(&w, channel);
  wire_put_varint(&w, 0); /* a count of 1 */
  tick_put(&w, tick, frame_tick);
  wire_put_varint(&w, event->code);
  unsigned bits = event->state | (unsigned)event->priority << BLOCK_ALARM_PRIORITY_SHIFT;
  wire_put_byte(&w, (uint8_t)(event->latched ? bits | BLOCK_ALARM_LATCHED : bits));
  wire_put_varint(&w, event->source == HTEL_NO_SOURCE ? 0u : event->source + 1u);
  return w.full ? 0 : (size_t)(w.at - out);
}

/* Heads: channel 2, count 2, time 10 and 5. Qualities: 2 each, in runs of one. A series: mode 1,
 * value 0 in 5, then at most 32 bits a residual (Rice falls back to that) and 5 bits a partition;
 * a numeric has two of them. */
size_t code_block_bytes_max(uint16_t count) {
  size_t partitions = count / SERIES_PARTITION + 1u;
  size_t series = 6u + 4u * (size_t)count + partitions;
  return 19u + 2u * (size_t)count + 2u * series;
}
