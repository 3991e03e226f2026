/* SPDX-License-Identifier: Apache-2.0 */
#include "player.h"

#include <string.h>

#define RECORD_HEAD_BYTES 24u /* at most, of a record in a ring, beside its 4 bytes a value */

/* The client takes ticks within 2^31 ms of now; a play at speed runs ahead of the clock. */
#define AHEAD_MS_MAX (UINT64_C(0x7fffffff) - 3600000u)

static int fail(player *p, const char *label, const char *why) {
  snprintf(p->error, sizeof p->error, "%.*s: %s", (int)RECORDING_PATH_BYTES_MAX, label, why);
  return -1;
}

static int advance(player *p, track *t) {
  if (track_advance(t) == 0) return 0;
  memcpy(p->error, t->error, sizeof p->error);
  return -1;
}

int player_add(player *p, track *t) {
  if (p->track_count == PLAYER_TRACKS_MAX) return fail(p, t->label, "too many tracks");
  p->tracks[p->track_count++] = t;
  return advance(p, t);
}

static track *track_due(const player *p) {
  track *first = NULL;
  for (unsigned i = 0; i < p->track_count; i++) {
    track *t = p->tracks[i];
    if (t->block.count > 0 && (!first || t->block.last_ms < first->block.last_ms)) first = t;
  }
  return first;
}

uint64_t player_due_ms(const player *p) {
  const track *t = track_due(p);
  return t ? t->block.last_ms : UINT64_MAX;
}

uint32_t player_step_bytes(const player *p) {
  const track *t = track_due(p);
  return t ? t->channel_count * (RECORD_HEAD_BYTES + 4u * t->block_samples) : 0;
}

/* What a record function said about `count` readings. */
static int account(player *p, const track *t, int rc, uint16_t count) {
  p->ring_bytes += RECORD_HEAD_BYTES + 4u * count;
  if (rc == 0)
    p->recorded += count;
  else if (rc == HTEL_E_FULL)
    p->refused += count;
  else
    return fail(p, t->label, htel_strerror(rc));
  return 0;
}

static uint32_t row_tick(const player *p, const track *t, uint16_t row) {
  if (p->live) { /* the block's last row is taken now */
    uint64_t before_ms = track_row_ms(t, t->block.row_first + t->block.count - 1u) -
                         track_row_ms(t, t->block.row_first + row);
    return p->port->tick_ms(p->port->ctx) - (uint32_t)before_ms;
  }
  return p->tick0 + (uint32_t)track_row_ms(t, t->block.row_first + row);
}

/* Samples of one channel, in runs of one quality. */
static int waveform_record(player *p, const track *t, uint16_t c) {
  const track_block *block = &t->block;
  unsigned channel = t->channel_first + (unsigned)c;
  const int32_t *values = block->values + (size_t)c * t->block_samples;
  const uint8_t *quality = block->quality + (size_t)c * t->block_samples;
  for (uint16_t first = 0, end; first < block->count; first = end) {
    for (end = first; end < block->count && quality[end] == quality[first];) end++;
    uint16_t count = (uint16_t)(end - first);
    bool plain = p->live && count == block->count && quality[first] == HTEL_VALID;
    int rc = plain ? htel_record_block(p->tel, channel, values, count)
                   : htel_record_block_at(p->tel, channel, values + first, count,
                                          (htel_quality)quality[first], row_tick(p, t, first));
    if (account(p, t, rc, count) != 0) return -1;
  }
  return 0;
}

static int numeric_record(player *p, const track *t, uint16_t c) {
  const track_block *block = &t->block;
  unsigned channel = t->channel_first + (unsigned)c;
  int32_t value = block->values[(size_t)c * t->block_samples];
  htel_quality quality = (htel_quality)block->quality[(size_t)c * t->block_samples];
  int rc;
  if (p->live && quality == HTEL_VALID)
    rc = htel_record(p->tel, channel, value);
  else
    rc = htel_record_at(
        p->tel, channel, value, quality,
        p->live ? p->port->tick_ms(p->port->ctx) : p->tick0 + (uint32_t)block->first_ms);
  return account(p, t, rc, 1);
}

static int alarm_record(player *p, const track *t) {
  htel_alarm_event event = t->block.alarm;
  event.source = p->alarm_source;
  int rc = p->live ? htel_alarm(p->tel, t->channel_first, &event)
                   : htel_alarm_at(p->tel, t->channel_first, &event,
                                   p->tick0 + (uint32_t)t->block.first_ms);
  return account(p, t, rc, 1);
}

static int block_record(player *p, const track *t) {
  if (t->kind == HTEL_ALARM) return alarm_record(p, t);
  for (uint16_t c = 0; c < t->channel_count; c++)
    if ((t->kind == HTEL_WAVEFORM ? waveform_record(p, t, c) : numeric_record(p, t, c)) != 0)
      return -1;
  return 0;
}

int player_step(player *p) {
  track *t = track_due(p);
  if (!t) return 0;
  uint32_t elapsed_ms = p->port->tick_ms(p->port->ctx) - p->tick0;
  if (t->block.last_ms > AHEAD_MS_MAX + elapsed_ms)
    return fail(p, t->label, "more than 24 days ahead of the clock: play it slower or in parts");
  if (block_record(p, t) != 0) return -1;
  t->rows_played += t->block.count;
  return advance(p, t);
}
