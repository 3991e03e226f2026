/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"

#include "model.h"
#include "plant.h"

bool batch_due(const batch *b, uint8_t frame_class, uint32_t now_ms) {
  const batch_frame *f = &b->frames[frame_class];
  return f->begun && (uint32_t)(now_ms - f->since_ms) >= b->age_ms_max;
}

bool batch_spans(const batch *b, uint8_t frame_class, uint64_t tick) {
  const batch_frame *f = &b->frames[frame_class];
  if (!f->begun) return false;
  uint64_t span = tick > f->tick_begun ? tick - f->tick_begun : f->tick_begun - tick;
  return span >= b->age_ms_max;
}

static void frame_begin(batch_frame *f, uint64_t tick, uint32_t now_ms) {
  if (f->begun) return;
  f->begun = true;
  f->since_ms = now_ms;
  f->tick_begun = tick;
}

/* ---- columns to blocks ----------------------------------------------------------------- */

/* Moves a place in time, exact to 1 / rate.num ms, on by `count` samples. */
static void place_advance(const htel_channel *ch, uint64_t *tick, uint32_t *phase, uint32_t count) {
  uint64_t den = ch->rate.den == 0 ? 1 : ch->rate.den;
  uint64_t total = *phase + 1000u * den * count;
  if (total <= UINT32_MAX) { /* mostly, and 64 bits are a hundred instructions on small machines */
    *tick += (uint32_t)total / ch->rate.num;
    *phase = (uint32_t)total % ch->rate.num;
    return;
  }
  *tick += total / ch->rate.num;
  *phase = (uint32_t)(total % ch->rate.num);
}

uint32_t batch_span_ms(const htel_channel *channel, uint32_t count) {
  uint64_t tick = 0;
  uint32_t phase = 0;
  place_advance(channel, &tick, &phase, count);
  if (phase > 0) tick++;
  return tick > UINT32_MAX ? UINT32_MAX : (uint32_t)tick;
}

static uint64_t column_tick_last(const htel_channel *ch, const batch_column *c) {
  if (ch->kind == HTEL_NUMERIC) {
    int32_t past = (int32_t)(c->ticks[c->count - 1u] - c->ticks[0]);
    return past > 0 ? c->tick_first + (uint32_t)past : c->tick_first;
  }
  uint64_t tick = c->tick_first;
  uint32_t phase = c->phase;
  place_advance(ch, &tick, &phase, c->count - 1u);
  return tick;
}

static void frame_count(batch_frame *f, uint64_t tick_first, uint64_t tick_last,
                        uint32_t readings) {
  if (f->readings == 0 || tick_first < f->tick_first) f->tick_first = tick_first;
  if (f->readings == 0 || tick_last > f->tick_last) f->tick_last = tick_last;
  f->readings += readings;
}

/* The column's readings become a block of the open frame. */
static bool column_code(batch *b, uint8_t channel) {
  const htel_channel *ch = &b->channels[channel];
  batch_column *c = &b->columns[channel];
  if (c->count == 0) return true;
  batch_frame *f = &b->frames[batch_class_of(ch->kind)];
  bool for_model = HEALTHTEL_BEST && b->for_model;
  bool first = c->serial_coded != f->serial; /* of the channel in this frame */
  if (for_model && first) c->coded = 0;
  if (for_model && c->coded + c->count > MODEL_COLUMN_MAX) return false;
  if (f->used == 0) f->tick = c->tick_first;
  code_column column = {
      .channel = channel,
      .kind = ch->kind,
      .count = c->count,
      .values = c->values,
      .quality = c->quality,
      .quality_all = c->quality_all,
      .tick_first = c->tick_first,
      .ticks = c->ticks,
      .phase = c->phase,
      .continues = !first && c->tick_coded == c->tick_first && c->phase_coded == c->phase};
  uint32_t before = for_model ? BATCH_LENGTH_BYTES : 0;
  if (f->room - f->used < before) return false;
  uint8_t *to = f->blocks + f->used;
  size_t bytes = code_block_encode(&column, f->tick, for_model ? CODE_QUICK : CODE_RICE,
                                   to + before, f->room - f->used - before);
  if (bytes == 0) return false;
  if (for_model) {
    to[0] = (uint8_t)bytes;
    to[1] = (uint8_t)(bytes >> 8);
  }
  f->used += (uint32_t)bytes + before;
  frame_count(f, c->tick_first, column_tick_last(ch, c), c->count);
  if (ch->kind == HTEL_WAVEFORM) {
    place_advance(ch, &c->tick_first, &c->phase, c->count); /* samples to come go on from here */
    c->tick_coded = c->tick_first;
    c->phase_coded = c->phase;
  }
  c->serial_coded = f->serial;
  if (for_model) c->coded = (uint16_t)(c->coded + c->count);
  c->count = 0;
  return true;
}

bool batch_flush(batch *b, uint8_t frame_class) {
  for (uint16_t i = 0; i < b->channel_count; i++) {
    if (batch_class_of(b->channels[i].kind) != frame_class) continue;
    if (!column_code(b, (uint8_t)i)) return false;
  }
  return true;
}

void batch_taken(batch *b, uint8_t frame_class) {
  batch_frame *f = &b->frames[frame_class];
  f->used = 0;
  f->readings = 0;
  f->begun = false;
  f->serial++;
}

/* ---- readings to columns --------------------------------------------------------------- */

bool batch_numeric(batch *b, uint8_t channel, int32_t value, uint8_t quality, uint64_t tick,
                   uint32_t now_ms) {
  batch_column *c = &b->columns[channel];
  /* Within a column ticks are 32 bits; one that is further off than they can tell starts a new
   * block. */
  bool far = c->count > 0 &&
             (tick > c->tick_first ? tick - c->tick_first : c->tick_first - tick) > INT32_MAX / 2;
  if ((c->count == c->room || far) && !column_code(b, channel)) return false;
  if (c->count == 0) c->tick_first = tick;
  c->values[c->count] = value;
  c->ticks[c->count] = (uint32_t)tick;
  c->quality[c->count] = quality;
  c->count++;
  frame_begin(&b->frames[HTEL_CLASS_NUMERIC], tick, now_ms);
  return true;
}

bool batch_alarm(batch *b, uint8_t channel, const htel_alarm_event *event, uint64_t tick,
                 uint32_t now_ms) {
  batch_frame *f = &b->frames[HTEL_CLASS_ALARM];
  if (f->used == 0) f->tick = tick;
  size_t bytes =
      code_alarm_encode(channel, event, tick, f->tick, f->blocks + f->used, f->room - f->used);
  if (bytes == 0) return false;
  f->used += (uint32_t)bytes;
  frame_count(f, tick, tick, 1);
  frame_begin(f, tick, now_ms);
  return true;
}

/* Whether samples that the clock places at `tick` go on from where the count stands: it may be off
 * by less than a period, or by less than half a block where it was read when the block was
 * complete. */
static bool goes_on(const htel_channel *ch, const batch_column *c, uint64_t tick, uint32_t count,
                    bool tick_is_last) {
  if (!c->running) return false;
  uint64_t apart = tick > c->tick_next ? tick - c->tick_next : c->tick_next - tick;
  uint64_t den = ch->rate.den == 0 ? 1 : ch->rate.den;
  if (apart > UINT32_MAX) return false; /* so that nothing wraps below */
  uint64_t period = 1000u * den;        /* in 1 / rate.num ms */
  if (!tick_is_last || count < 2) return apart * ch->rate.num < period;
  return 2u * apart * ch->rate.num < period * count;
}

bool batch_samples_begin(batch *b, uint8_t channel, uint64_t tick, bool tick_is_last,
                         uint16_t count, bool gap, uint8_t quality) {
  const htel_channel *ch = &b->channels[channel];
  batch_column *c = &b->columns[channel];
  if (tick_is_last) {
    uint64_t span = 0;
    uint32_t phase = 0;
    place_advance(ch, &span, &phase, count - 1u);
    tick = tick > span ? tick - span : 0;
  }
  bool on = !gap && goes_on(ch, c, tick, count, tick_is_last);
  bool ends = !on || (quality != c->quality_all && !PLANT(39)); /* the block so far */
  if (ends && !column_code(b, channel)) return false;
  if (!on) {
    c->tick_next = tick;
    c->phase_next = 0;
    if (PLANT(35) && gap) place_advance(ch, &c->tick_next, &c->phase_next, 1);
  }
  if (c->count == 0) {
    c->tick_first = c->tick_next;
    c->phase = c->phase_next;
  }
  c->running = true;
  c->quality_all = quality;
  place_advance(ch, &c->tick_next, &c->phase_next, count);
  return true;
}

int32_t *batch_samples_room(batch *b, uint8_t channel, uint16_t *count) {
  batch_column *c = &b->columns[channel];
  if (c->count == c->room && !column_code(b, channel)) return NULL;
  *count = (uint16_t)(c->room - c->count);
  return c->values + c->count;
}

void batch_samples_added(batch *b, uint8_t channel, uint16_t count, uint32_t now_ms) {
  batch_column *c = &b->columns[channel];
  c->count = (uint16_t)(c->count + count);
  /* The frame may have been closed since batch_samples_begin: the rest is in the next one. */
  frame_begin(&b->frames[HTEL_CLASS_WAVEFORM], c->tick_first, now_ms);
}
