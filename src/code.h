/* SPDX-License-Identifier: Apache-2.0 */
/* code.h - readings of one channel to bytes and back: the inside of Frame.data.
 *
 * Frame.data is a sequence of blocks; a block is a run of readings of one channel. Blocks of a
 * frame stand on nothing outside it (and its birth). docs/FORMAT.md has every bit. */
#ifndef HTEL_SRC_CODE_H
#define HTEL_SRC_CODE_H

#include "healthtel/healthtel.h"

/* How residuals are written. */
typedef enum code_residuals {
  CODE_RICE,  /* whatever is smallest, mostly Rice codes, a parameter for each 32 */
  CODE_BYTES, /* mostly a byte each: larger, but what deflate likes */
  CODE_QUICK  /* bytes too where residuals are small: cheap to write and to read again */
} code_residuals;

/* A column of readings to be coded. Arrays are the caller's. */
typedef struct code_column {
  uint8_t channel;
  uint8_t kind;   /* HTEL_NUMERIC or HTEL_WAVEFORM */
  uint16_t count; /* 1 to HTEL_COLUMN_SAMPLES_MAX */
  const int32_t *values;
  const uint8_t *quality; /* count of them, or NULL: all of quality_all */
  uint8_t quality_all;
  uint64_t tick_first;   /* ms since boot of values[0] */
  const uint32_t *ticks; /* numerics: low 32 bits of each reading's tick, ticks[0] of tick_first */
  uint32_t phase;        /* waveforms: values[0] is at tick_first + phase / rate.num ms */
  bool continues;        /* waveforms: goes on exactly where this channel's block before it, in this
                            frame, ended: its time is not written */
} code_column;

/* Writes the column as one block. frame_tick is what its times are relative to. Returns the bytes
 * written, or 0 when `room` is too small (out's contents are then undefined). Time is bounded by
 * the count. */
size_t code_block_encode(const code_column *column, uint64_t frame_tick, code_residuals residuals,
                         uint8_t *out, size_t room);

/* Writes one alarm event as a block. 0 when there is no room. */
size_t code_alarm_encode(uint8_t channel, const htel_alarm_event *event, uint64_t tick,
                         uint64_t frame_tick, uint8_t *out, size_t room);

/* Most bytes that code_block_encode can need for a column of `count` with CODE_RICE, whatever its
 * values. */
size_t code_block_bytes_max(uint16_t count);
#define CODE_ALARM_BYTES_MAX 32u

#endif
