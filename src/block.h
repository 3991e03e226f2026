/* SPDX-License-Identifier: Apache-2.0 */
/* block.h - the parts of a block around its series, as a reader takes them.
 *
 *     varint channel | head, by the channel's kind | [steps of ticks] | [quality] | series
 *
 * code.c writes blocks; reader.c and zip.c read them with this. Alarm blocks have a head with
 * a count and nothing of the rest. */
#ifndef HTEL_SRC_BLOCK_H
#define HTEL_SRC_BLOCK_H

#include "healthtel/healthtel.h"
#include "wire.h"

/* The varint after the channel: count - 1 above two flags. The first one tells for waveforms that a
 * start time follows, for numerics that the interval is regular. */
#define BLOCK_FLAG_TIME 1u
#define BLOCK_FLAG_QUALITY 2u
#define BLOCK_COUNT_SHIFT 2u

#define BLOCK_ALARM_PRIORITY_SHIFT 2u
#define BLOCK_ALARM_LATCHED 0x10u

typedef struct block_head {
  uint16_t count; /* 1 to HTEL_COLUMN_SAMPLES_MAX */
  bool has_quality;
  bool has_time;      /* the flag of that name */
  int64_t tick_delta; /* first reading's tick less the frame's, where there is one */
  uint32_t phase;     /* waveforms with a start */
  int32_t interval;   /* regular numerics with count > 1 */
} block_head;

/* Reads what stands between the channel and the first series or quality. */
void block_head_read(block_head *head, uint8_t kind, wire_in *in);

/* Whether a series of count - 1 tick differences follows the head. */
bool block_has_ticks(const block_head *head, uint8_t kind);

/* Reads the quality runs into quality[count], or past them where that is NULL. */
void block_quality_read(uint8_t *quality, uint16_t count, wire_in *in);

#endif
