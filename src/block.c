/* SPDX-License-Identifier: Apache-2.0 */
/* block.c - see block.h. */
#include "block.h"

#include <string.h>

void block_head_read(block_head *head, uint8_t kind, wire_in *in) {
  memset(head, 0, sizeof *head);
  head->count = 1;
  uint32_t word = wire_varint32(in);
  uint32_t count = (word >> BLOCK_COUNT_SHIFT) + 1u;
  if (count > HTEL_COLUMN_SAMPLES_MAX) in->bad = true;
  if (in->bad) return;
  head->count = (uint16_t)count;
  head->has_time = (word & BLOCK_FLAG_TIME) != 0;
  head->has_quality = (word & BLOCK_FLAG_QUALITY) != 0;

  if (kind == HTEL_WAVEFORM && head->has_time) {
    head->tick_delta = wire_signed(in);
    head->phase = wire_varint32(in);
  } else if (kind == HTEL_NUMERIC) {
    head->tick_delta = wire_signed(in);
    if (head->has_time && count > 1) head->interval = wire_signed32(in);
    if (head->has_time && count == 1) in->bad = true; /* no interval to be regular */
  } else if (kind == HTEL_ALARM && (head->has_time || head->has_quality)) {
    in->bad = true; /* reserved */
  }
}

bool block_has_ticks(const block_head *head, uint8_t kind) {
  return kind == HTEL_NUMERIC && head->count > 1 && !head->has_time;
}

void block_quality_read(uint8_t *quality, uint16_t count, wire_in *in) {
  for (uint32_t done = 0; done < count && !in->bad;) {
    uint32_t run = wire_varint32(in);
    uint8_t value = wire_byte(in);
    if (run == 0 || run > count - done || value > HTEL_QUALITY_MAX) {
      in->bad = true;
      return;
    }
    if (quality) memset(quality + done, value, run);
    done += run;
  }
}
