/* SPDX-License-Identifier: Apache-2.0 */
/* reader.c - the readings of a frame, one series at a time. Nothing in here is trusted: every
 * number that is read is checked against the birth and the documented limits before it is used. */
#include <string.h>

#include "block.h"
#include "frame.h"
#include "healthtel/decode.h"
#include "model_read.h"
#include "series.h"

#define TICKS_A_SECOND 1000u

/* ---- Opening ---------------------------------------------------------------------------- */

#if HEALTHTEL_ZLIB
#define ZLIB_CONST
#include <zlib.h>

#include "arena.h"

#define INFLATE_WINDOW_BITS (-12) /* raw deflate, 4 KiB */

/* All of the data in one step, into room of just its declared size: it cannot grow beyond. */
static int data_inflate(htel_reader *reader) {
  const htel_frame *frame = reader->frame;
  arena memory = {(uint8_t *)reader->zip.arena, sizeof reader->zip.arena};
  z_stream stream;
  memset(&stream, 0, sizeof stream);
  stream.zalloc = arena_zalloc;
  stream.zfree = arena_zfree;
  stream.opaque = &memory;
  if (inflateInit2(&stream, INFLATE_WINDOW_BITS) != Z_OK) return HTEL_E_UNSUPPORTED;
  stream.next_in = frame->data;
  stream.avail_in = (uInt)frame->data_bytes;
  stream.next_out = reader->zip.inflated;
  stream.avail_out = (uInt)frame->data_size;
  int rc = inflate(&stream, Z_FINISH);
  if (rc != Z_STREAM_END || stream.avail_in != 0 || stream.avail_out != 0) return HTEL_E_FORMAT;
  reader->bytes = reader->zip.inflated;
  reader->size = frame->data_size;
  return 0;
}
#else
static int data_inflate(htel_reader *reader) {
  (void)reader;
  return HTEL_E_UNSUPPORTED;
}
#endif

int htel_reader_open(htel_reader *reader, const htel_frame *frame, const htel_birth *birth) {
  reader->frame = frame;
  reader->birth = birth;
  reader->bytes = NULL;
  reader->size = 0;
  reader->used = 0;
  memset(reader->next, 0, sizeof reader->next);
  if (frame->schema != birth->schema) return HTEL_E_SCHEMA;
  if (frame->coding == FRAME_MODELLED) {
    model_reader *model = (model_reader *)reader->model;
    return model_read_begin(model, birth, frame->data, frame->data_bytes) ? 0 : HTEL_E_FORMAT;
  }
  if (frame->coding != FRAME_STORED) {
    if (frame->data_size > sizeof reader->zip.inflated) return HTEL_E_FORMAT;
    return data_inflate(reader);
  }
  reader->bytes = frame->data;
  reader->size = frame->data_bytes;
  return 0;
}

/* ---- Times ------------------------------------------------------------------------------ */

/* *tick moved by `delta`, unless that leaves the 64 bits. */
static void tick_move(uint64_t *tick, int64_t delta, wire_in *in) {
  uint64_t moved = *tick + (uint64_t)delta;
  if (delta < 0 ? moved > *tick : moved < *tick) in->bad = true;
  *tick = moved;
}

/* Sample i is at tick_first + (phase + i * 1000 * den) / num: exact in whole numbers, and far below
 * 64 bits for the rates that a birth may hold. One division gives the step from sample to sample,
 * in whole milliseconds and a part. */
static void waveform_ticks_fill(htel_series *series, const htel_rate *rate, wire_in *in) {
  uint64_t period = (uint64_t)TICKS_A_SECOND * rate->den;
  uint64_t tick = series->ticks[0], end = tick;
  tick_move(&end, (int64_t)((series->phase + (series->count - 1u) * period) / rate->num), in);
  uint64_t step = period / rate->num, step_part = period % rate->num, part = series->phase;
  for (uint32_t i = 0; i < series->count; i++) {
    series->ticks[i] = tick;
    tick += step;
    part += step_part;
    if (part >= rate->num) {
      part -= rate->num;
      tick++;
    }
  }
}

static void waveform_time_read(htel_reader *reader, htel_series *series, const block_head *head,
                               wire_in *in) {
  const htel_rate *rate = &reader->birth->channels[series->channel].rate;
  uint64_t tick = reader->frame->tick;
  series->continues = !head->has_time;
  if (head->has_time) {
    tick_move(&tick, head->tick_delta, in);
    series->phase = head->phase;
    if (head->phase >= rate->num) in->bad = true;
  } else {
    if (!reader->next[series->channel].known) in->bad = true;
    tick = reader->next[series->channel].tick;
    series->phase = reader->next[series->channel].phase;
  }
  if (in->bad) return;
  series->ticks[0] = tick;
  waveform_ticks_fill(series, rate, in);

  uint64_t end = series->phase + series->count * (uint64_t)TICKS_A_SECOND * rate->den;
  tick_move(&tick, (int64_t)(end / rate->num), in);
  reader->next[series->channel].tick = tick;
  reader->next[series->channel].phase = (uint32_t)(end % rate->num);
  reader->next[series->channel].known = true;
}

/* Irregular steps pass through values[], which is not in use yet. */
static void numeric_time_read(htel_reader *reader, htel_series *series, const block_head *head,
                              wire_in *in) {
  uint64_t tick = reader->frame->tick;
  tick_move(&tick, head->tick_delta, in);
  series->ticks[0] = tick;
  bool irregular = block_has_ticks(head, series->kind);
  if (irregular) series_read(series->values, (uint16_t)(series->count - 1), in);
  for (uint32_t i = 1; i < series->count && !in->bad; i++) {
    tick_move(&tick, irregular ? series->values[i - 1] : head->interval, in);
    series->ticks[i] = tick;
  }
}

/* ---- Blocks ----------------------------------------------------------------------------- */

static void alarms_read(htel_reader *reader, htel_series *series, wire_in *in) {
  for (uint32_t i = 0; i < series->count && !in->bad; i++) {
    htel_alarm_event *event = &series->alarms[i];
    series->ticks[i] = reader->frame->tick;
    tick_move(&series->ticks[i], wire_signed(in), in);
    event->code = wire_varint32(in);
    uint8_t bits = wire_byte(in);
    event->state = bits & 3u;
    event->priority = bits >> BLOCK_ALARM_PRIORITY_SHIFT & 3u;
    event->latched = (bits & BLOCK_ALARM_LATCHED) != 0;
    if (bits > (BLOCK_ALARM_LATCHED | 15u)) in->bad = true; /* reserved */
    uint32_t source = wire_varint32(in);
    if (source > reader->birth->channel_count) in->bad = true;
    event->source = source == 0 ? HTEL_NO_SOURCE : (uint8_t)(source - 1);
    series->quality[i] = HTEL_VALID;
    series->values[i] = 0;
  }
}

static void block_read(htel_reader *reader, htel_series *series, wire_in *in) {
  uint32_t channel = wire_varint32(in);
  if (channel >= reader->birth->channel_count) in->bad = true;
  if (in->bad) return;
  series->channel = (uint8_t)channel;
  series->kind = reader->birth->channels[channel].kind;
  series->phase = 0;
  series->continues = false;

  block_head head;
  block_head_read(&head, series->kind, in);
  series->count = head.count;
  if (in->bad) return;
  if (series->kind == HTEL_ALARM) {
    alarms_read(reader, series, in);
    return;
  }
  if (series->kind == HTEL_WAVEFORM) {
    waveform_time_read(reader, series, &head, in);
  } else {
    numeric_time_read(reader, series, &head, in);
  }
  memset(series->quality, HTEL_VALID, series->count);
  if (head.has_quality) block_quality_read(series->quality, series->count, in);
  if (!in->bad) series_read(series->values, series->count, in);
}

/* ---- Columns of a modelled frame -------------------------------------------------------- */

_Static_assert(sizeof(model_reader) <= HTEL_READER_MODEL_BYTES, "decode.h says how much");

/* Which run the column's next reading is in. */
static const model_run *run_of(const model_reader *model, uint32_t *end) {
  uint32_t run = 0;
  while (run + 1 < model->run_count && model->runs[run + 1].begin <= model->taken) run++;
  *end = run + 1 < model->run_count ? model->runs[run + 1].begin : model->column.count;
  return &model->runs[run];
}

/* The series ends where the run does. */
static void column_waveform(htel_reader *reader, const model_reader *model, htel_series *series,
                            wire_in *in) {
  uint32_t end;
  const model_run *run = run_of(model, &end);
  if (series->count > end - model->taken) series->count = (uint16_t)(end - model->taken);
  const htel_rate *rate = &reader->birth->channels[series->channel].rate;
  uint64_t past = (uint64_t)(model->taken - run->begin) * TICKS_A_SECOND * rate->den;
  uint64_t place = run->phase + past, tick = reader->frame->tick;
  tick_move(&tick, run->tick, in);
  tick_move(&tick, (int64_t)(place / rate->num), in);
  series->phase = (uint32_t)(place % rate->num);
  series->continues = model->taken > run->begin;
  series->ticks[0] = tick;
  if (!in->bad) waveform_ticks_fill(series, rate, in);
}

static void column_numeric(htel_reader *reader, model_reader *model, htel_series *series,
                           wire_in *in) {
  for (uint32_t i = 0; i < series->count; i++) {
    series->ticks[i] = reader->frame->tick;
    tick_move(&series->ticks[i], model_read_tick(model), in);
  }
}

static int column_next(htel_reader *reader, htel_series *series) {
  model_reader *model = (model_reader *)reader->model;
  if (model->taken == model->column.count && model_read_column(model) == NULL && !model->in.bad)
    return 0;
  if (model->in.bad) return HTEL_E_FORMAT;
  const model_column *c = &model->column;
  wire_in in = {NULL, NULL, false};
  uint32_t left = c->count - model->taken;
  series->channel = c->channel;
  series->kind = c->kind;
  series->phase = 0;
  series->continues = false;
  series->count = (uint16_t)(left < HTEL_COLUMN_SAMPLES_MAX ? left : HTEL_COLUMN_SAMPLES_MAX);
  if (c->kind == HTEL_WAVEFORM)
    column_waveform(reader, model, series, &in);
  else
    column_numeric(reader, model, series, &in);
  model_read_values(model, series->values, series->quality, series->count);
  if (in.bad) model->in.bad = true; /* nothing more then */
  return in.bad ? HTEL_E_FORMAT : 1;
}

/* After an error the rest is not tried: where the next block begins is not known. */
int htel_reader_next(htel_reader *reader, htel_series *series) {
  if (reader->frame->coding == FRAME_MODELLED) return column_next(reader, series);
  if (reader->used >= reader->size) return 0;
  wire_in in = {reader->bytes + reader->used, reader->bytes + reader->size, false};
  block_read(reader, series, &in);
  if (in.bad) return HTEL_E_FORMAT;
  reader->used = (size_t)(in.at - reader->bytes);
  return 1;
}
