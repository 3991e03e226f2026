/* SPDX-License-Identifier: Apache-2.0 */
/* model_write.c - the writing half of model.h. A column is walked along several times: for its
 * shape, for the divisor, for the predictor of each segment, and for writing it. */
#include "model.h"

#if HEALTHTEL_BEST
#include <string.h>

#include "column.h"
#include "fit.h"

#define FLAG_BITS 12u        /* of an adaptive flag's probability */
#define HEAD_BYTES_ABOUT 10u /* of a block, before its residuals */

enum { CHUNK = FIT_PATCH, BEFORE = FIT_HISTORY };

/* Steps of a series, behind those before them. */
typedef int32_t step_buffer[BEFORE + CHUNK];

/* A series of numbers on its way: values or ticks of a channel, with the last one given. */
typedef struct source {
  column_walk walk, quality;
  bool skips;       /* readings without a value are left out */
  int64_t nominal;  /* ticks: the interval that is taken off their differences */
  int64_t tick;     /* ticks: the one before */
  uint32_t divisor; /* of all steps */
  int32_t last;
} source;

typedef struct column {
  uint8_t channel;
  uint32_t count;  /* readings */
  uint32_t series; /* of which in the series */
  uint32_t divisor;
  bool all_valid, skips;
  bool regular;
  int64_t tick_first;
  int32_t interval;
} column;

typedef struct model_writer {
  range_out out;
  mixture mix;
  predictor predict;
  fit fit;
  source own, other;
  step_buffer own_steps, other_steps;
  const htel_channel *channels;
  const uint8_t *blocks;
  size_t size;
  column column, before; /* the column at hand, and the one written before it */
  bool failed;           /* something that this form does not have */
} model_writer;

/* The readings of a block, when columns are done with. */
typedef struct block_readings {
  int32_t values[HTEL_COLUMN_SAMPLES_MAX];
  uint32_t ticks[HTEL_COLUMN_SAMPLES_MAX];
  uint8_t quality[HTEL_COLUMN_SAMPLES_MAX];
} block_readings;

size_t model_writer_bytes(void) {
  return sizeof(model_writer) > sizeof(block_readings) ? sizeof(model_writer)
                                                       : sizeof(block_readings);
}

static void walk_open(column_walk *walk, const model_writer *w, column_what what, uint8_t channel) {
  column_open(walk, what, w->channels, channel, w->blocks, w->size);
}

/* ---- Series --------------------------------------------------------------------------------- */

static void source_open(const model_writer *w, source *s, column_what what, const column *c,
                        int32_t nominal) {
  walk_open(&s->walk, w, what, c->channel);
  walk_open(&s->quality, w, COLUMN_QUALITIES, c->channel);
  s->skips = c->skips && what == COLUMN_VALUES;
  s->nominal = nominal;
  s->divisor = 1;
  if (what == COLUMN_TICKS) s->tick = column_tick(&s->walk);
}

static int32_t source_next(source *s) {
  int32_t value = 0;
  if (s->walk.what == COLUMN_TICKS) {
    int64_t tick = column_tick(&s->walk);
    value = (int32_t)(tick - s->tick - s->nominal);
    s->tick = tick;
    return value;
  }
  do {
    column_values(&s->walk, &value, 1);
  } while (s->skips && column_quality(&s->quality) == HTEL_NO_VALUE);
  return value;
}

static void source_values(source *s, int32_t *to, uint32_t count) {
  if (s->walk.what == COLUMN_VALUES && !s->skips) {
    column_values(&s->walk, to, count);
    return;
  }
  for (uint32_t i = 0; i < count; i++) to[i] = source_next(s);
}

/* The next `count` steps. */
static void source_steps(source *s, int32_t *to, uint32_t count) {
  if (s->divisor == 1 && s->walk.what == COLUMN_VALUES && !s->skips) {
    column_steps(&s->walk, to, count);
    s->last = (int32_t)s->walk.last;
    return;
  }
  source_values(s, to, count);
  for (uint32_t i = 0; i < count; i++) {
    int64_t step = (int64_t)to[i] - s->last;
    s->last = to[i];
    to[i] = (int32_t)(step / (int64_t)s->divisor);
  }
}

static uint32_t divisor_of(uint32_t a, uint32_t b) {
  while (b != 0) {
    uint32_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* The largest number that divides all `count` steps to come; 0 when they are all zero. */
static uint32_t divisor_find(source ahead, uint32_t count) {
  uint32_t divisor = 0, part;
  for (; count > 0 && divisor != 1; count -= part) {
    int32_t values[16], last = ahead.last;
    part = count < 16 ? count : 16;
    source_values(&ahead, values, part);
    ahead.last = values[part - 1];
    for (uint32_t i = 0; i < part && divisor != 1; i++) {
      uint32_t step = values[i] > last ? (uint32_t)values[i] - (uint32_t)last
                                       : (uint32_t)last - (uint32_t)values[i];
      last = values[i];
      if (step != 0) divisor = divisor_of(step, divisor);
    }
  }
  return divisor > INT32_MAX ? 1u : divisor;
}

static uint32_t zigzag(int32_t value) {
  return wire_zigzag32((uint32_t)value);
}

static void predictor_put(range_out *out, const predictor *p, bool has_other) {
  range_put_number(out, p->form, MODEL_FORM);
  if (p->form <= PREDICTOR_BEND) return;
  range_put_bits(out, (p->precision - PREDICTOR_PRECISION_MIN) / 2u, 2);
  unsigned usual = p->precision - MODEL_FACTOR_LESS;
  for (unsigned i = 0; i < predictor_orders[p->form]; i++)
    range_put_number(out, zigzag((int32_t)p->own[i]), usual);
  if (has_other) range_put_bits(out, p->uses_other, 1);
  for (unsigned i = 0; p->uses_other && i < PREDICTOR_OTHERS; i++)
    range_put_number(out, zigzag((int32_t)p->other[i]), usual);
}

static uint32_t chunk_of(uint32_t left) {
  return left < CHUNK ? left : CHUNK;
}

/* Moves the last steps to where those before the next ones stand. */
static void steps_done(step_buffer s, uint32_t count) {
  memmove(s, s + count, BEFORE * sizeof s[0]);
}

/* Looks ahead along a segment, on copies, for its predictor. */
static bool segment_fit(model_writer *w, uint32_t count, bool first, bool has_other,
                        predictor *best, unsigned *scale) {
  fit *f = &w->fit;
  source own = w->own, other = w->other;
  step_buffer own_steps, other_steps;
  memcpy(own_steps, w->own_steps, sizeof own_steps);
  memcpy(other_steps, w->other_steps, sizeof other_steps);
  uint32_t left = count;
  /* The very first step has nothing before it: no predictor is judged by it. */
  if (first && count > 1) {
    source_steps(&own, &own_steps[BEFORE - 1], 1);
    if (has_other) source_steps(&other, &other_steps[BEFORE - 1], 1);
    left--;
  }
  fit_begin(f, has_other);
  uint32_t chunks = (left + CHUNK - 1) / CHUNK, hop = (chunks - 1) / fit_room(has_other) + 1;
  for (uint32_t i = 0; i < chunks; i++) {
    uint32_t part = chunk_of(left);
    source_steps(&own, own_steps + BEFORE, part);
    memset(own_steps + BEFORE + part, 0, (CHUNK - part) * sizeof own_steps[0]);
    if (has_other) source_steps(&other, other_steps + BEFORE, part);
    if (has_other) memset(other_steps + BEFORE + part, 0, (CHUNK - part) * sizeof other_steps[0]);
    if (i % hop == 0) fit_add(f, own_steps, has_other ? other_steps : NULL, part);
    steps_done(own_steps, part);
    steps_done(other_steps, part);
    left -= part;
  }
  return fit_choose(f, count, first ? NULL : &w->predict, best, scale);
}

/* One segment: its predictor, then its steps. */
static void segment_put(model_writer *w, uint32_t count, bool first, bool has_other) {
  predictor best;
  unsigned scale;
  bool keep = segment_fit(w, count, first, has_other, &best, &scale);
  if (!first) range_put_bits(&w->out, !keep, 1);
  if (!keep) predictor_put(&w->out, &best, has_other);
  w->predict = best;
  if (first) {
    if (scale > MIXTURE_SCALE_MAX) scale = MIXTURE_SCALE_MAX;
    range_put_number(&w->out, scale, MODEL_SCALE);
    mixture_begin(&w->mix, scale, best.form != PREDICTOR_HOLD,
                  w->channels[w->column.channel].kind == HTEL_NUMERIC);
  }
  for (uint32_t part; count > 0 && !w->out.full; count -= part) {
    part = chunk_of(count);
    source_steps(&w->own, w->own_steps + BEFORE, part);
    if (has_other) source_steps(&w->other, w->other_steps + BEFORE, part);
    mixture_put(&w->mix, &w->out, &w->predict, w->own_steps + BEFORE, w->other_steps + BEFORE,
                part);
    steps_done(w->own_steps, part);
    steps_done(w->other_steps, part);
  }
}

/* All of a series: `count` numbers. */
static void series_put(model_writer *w, column_what what, int32_t nominal, uint32_t count,
                       bool has_other) {
  source_open(w, &w->own, what, &w->column, nominal);
  w->own.last = source_next(&w->own);
  range_put_number(&w->out, zigzag(w->own.last), MODEL_FIRST);
  w->column.divisor = 1;
  if (count == 1) return;
  uint32_t divisor = divisor_find(w->own, count - 1);
  range_put_bits(&w->out, divisor != 1, 1);
  if (divisor != 1) range_put_bits(&w->out, divisor == 0, 1);
  if (divisor == 0) return;
  if (divisor > 1) range_put_number(&w->out, divisor - 2u, MODEL_DIVISOR);
  w->own.divisor = w->column.divisor = divisor;
  memset(w->own_steps, 0, sizeof w->own_steps);
  memset(w->other_steps, 0, sizeof w->other_steps);
  if (has_other) {
    source_open(w, &w->other, what, &w->before, 0);
    w->other.last = source_next(&w->other);
    w->other.divisor = w->before.divisor;
  }
  uint32_t steps = count - 1, segments = (steps - 1) / MODEL_SEGMENT + 1;
  for (uint32_t i = 0; i < segments && !w->out.full; i++) {
    uint32_t from = steps * i / segments, to = steps * (i + 1) / segments;
    segment_put(w, to - from, i == 0, has_other);
  }
}

/* ---- Times and qualities -------------------------------------------------------------------- */

static void signed_put(range_out *out, int64_t value, unsigned usual) {
  range_put_number(out, zigzag((int32_t)value), usual);
}

static bool is_int32(int64_t value) {
  return value == (int32_t)value;
}

/* The interval that the channel's rate says; 0 where it says none in whole ms. */
static int32_t nominal_interval(const htel_channel *channel) {
  uint64_t den = channel->rate.den == 0 ? 1 : channel->rate.den;
  if (channel->rate.num == 0 || 1000u * den % channel->rate.num != 0) return 0;
  uint64_t ms = 1000u * den / channel->rate.num;
  return ms > 1u << 30 ? 0 : (int32_t)ms;
}

/* Counts, and sees what is irregular. */
static bool column_measure(model_writer *w, column *c, uint8_t channel) {
  memset(c, 0, sizeof *c);
  c->channel = channel;
  c->all_valid = true;
  c->regular = true;
  column_walk walk;
  walk_open(&walk, w, COLUMN_VALUES, channel);
  while (column_block(&walk)) {
    if (c->count == 0) c->tick_first = walk.head.tick_delta;
    if (walk.head.has_quality) c->all_valid = false;
    c->count += walk.head.count;
  }
  c->series = c->count;
  if (c->count > MODEL_COLUMN_MAX) w->failed = true;
  return c->count > 0;
}

static void numeric_measure(model_writer *w, column *c) {
  column_walk walk;
  walk_open(&walk, w, COLUMN_TICKS, c->channel);
  int64_t last = column_tick(&walk), step = 0;
  if (!is_int32(c->tick_first)) w->failed = true;
  for (uint32_t i = 1; i < c->count; i++) {
    int64_t tick = column_tick(&walk);
    if (i > 1 && tick - last != step) c->regular = false;
    step = tick - last;
    last = tick;
    if (step != (int32_t)step || step < -(1 << 30) || step > 1 << 30) w->failed = true;
  }
  c->interval = (int32_t)step;
  if (c->all_valid) return;
  walk_open(&walk, w, COLUMN_QUALITIES, c->channel);
  for (uint32_t i = 0; i < c->count; i++) c->series -= column_quality(&walk) == HTEL_NO_VALUE;
  c->skips = c->series < c->count;
}

/* A flag that learns how likely it is. */
static void flag_put(range_out *out, uint16_t *one, bool value) {
  range_put(out, value ? 0 : *one, value ? *one : (1u << FLAG_BITS) - *one, FLAG_BITS);
  *one = (uint16_t)(value ? *one + ((4064u - *one) >> 3) : *one - ((*one - 32u) >> 3));
}

/* Qualities of numerics, then what stands where there was no value. */
static void qualities_put(model_writer *w, bool has_other) {
  column_walk own, other;
  walk_open(&own, w, COLUMN_QUALITIES, w->column.channel);
  walk_open(&other, w, COLUMN_QUALITIES, w->before.channel);
  uint16_t valid[2][2], same = 1u << (FLAG_BITS - 1);
  for (int i = 0; i < 4; i++) valid[i / 2][i % 2] = 1u << (FLAG_BITS - 1);
  uint8_t last = HTEL_NO_VALUE;
  bool was_valid = true;
  for (uint32_t i = 0; i < w->column.count; i++) {
    uint8_t quality = column_quality(&own);
    bool other_valid = has_other ? column_quality(&other) == HTEL_VALID : true;
    flag_put(&w->out, &valid[was_valid][other_valid], quality == HTEL_VALID);
    was_valid = quality == HTEL_VALID;
    if (was_valid) continue;
    flag_put(&w->out, &same, quality == last);
    if (quality != last) range_put_bits(&w->out, quality, 3);
    last = quality;
  }
}

static void absent_values_put(model_writer *w) {
  column_walk own, quality;
  walk_open(&own, w, COLUMN_VALUES, w->column.channel);
  walk_open(&quality, w, COLUMN_QUALITIES, w->column.channel);
  uint16_t same = 1u << (FLAG_BITS - 1);
  int32_t last = 0;
  for (uint32_t i = 0; i < w->column.count; i++) {
    int32_t value;
    column_values(&own, &value, 1);
    if (column_quality(&quality) != HTEL_NO_VALUE) continue;
    flag_put(&w->out, &same, value == last);
    if (value != last) range_put_bits(&w->out, (uint32_t)value, 32);
    last = value;
  }
}

static void numeric_put(model_writer *w) {
  column *c = &w->column;
  numeric_measure(w, c);
  if (w->failed) return;
  bool pair = w->before.count == c->count;
  int32_t nominal = nominal_interval(&w->channels[c->channel]);
  int32_t expected = pair && w->before.regular ? w->before.interval : nominal;
  bool plain = c->tick_first == 0 && c->all_valid &&
               (c->count == 1 || (c->regular && c->interval == expected));
  range_put_bits(&w->out, !plain, 1);
  if (!plain) {
    range_put_bits(&w->out, !c->all_valid, 1);
    signed_put(&w->out, c->tick_first, 1);
    if (c->count > 1) {
      range_put_bits(&w->out, !c->regular, 1);
      if (c->regular) {
        signed_put(&w->out, (int64_t)c->interval - expected, 1);
      } else {
        series_put(w, COLUMN_TICKS, nominal, c->count - 1, false);
      }
    }
    if (!c->all_valid) qualities_put(w, pair);
    if (c->skips) absent_values_put(w);
  }
  if (c->series > 0)
    series_put(w, COLUMN_VALUES, 0, c->series, pair && w->before.series == c->series);
}

static void waveform_runs_put(model_writer *w) {
  column_walk walk;
  uint32_t runs = 0, since = 0;
  walk_open(&walk, w, COLUMN_VALUES, w->column.channel);
  while (column_block(&walk)) runs += walk.head.has_time;
  if (runs > MODEL_RUNS_MAX) w->failed = true;
  range_put_number(&w->out, runs - 1u, 0);
  walk_open(&walk, w, COLUMN_VALUES, w->column.channel);
  bool first = true;
  while (column_block(&walk)) {
    if (walk.head.has_time) {
      if (!first) range_put_number(&w->out, since, MODEL_COUNT_WAVEFORM);
      if (!is_int32(walk.head.tick_delta)) w->failed = true;
      signed_put(&w->out, walk.head.tick_delta, MODEL_TICK);
      range_put_number(&w->out, walk.head.phase, 0);
      since = 0;
      first = false;
    }
    since += walk.head.count;
  }
}

static void waveform_qualities_put(model_writer *w) {
  for (int pass = 0; pass < 2; pass++) {
    column_walk walk;
    walk_open(&walk, w, COLUMN_QUALITIES, w->column.channel);
    uint32_t runs = 0, length = 0;
    uint8_t last = 0;
    for (uint32_t i = 0; i <= w->column.count; i++) {
      bool end = i == w->column.count;
      uint8_t quality = end ? last : column_quality(&walk);
      if (length > 0 && (end || quality != last)) {
        runs++;
        if (pass == 1) {
          range_put_bits(&w->out, last, 3);
          if (!end) range_put_number(&w->out, length, MODEL_COUNT_WAVEFORM);
        }
        length = 0;
      }
      last = quality;
      length++;
    }
    if (runs > MODEL_RUNS_MAX) w->failed = true;
    if (pass == 0) range_put_number(&w->out, runs - 1u, 0);
    if (w->failed) return;
  }
}

static bool waveform_is_plain(model_writer *w) {
  column_walk walk;
  walk_open(&walk, w, COLUMN_VALUES, w->column.channel);
  bool plain = w->column.all_valid;
  for (bool first = true; column_block(&walk); first = false) {
    if (walk.head.has_time != first) plain = false;
    if (first && (walk.head.tick_delta != 0 || walk.head.phase != 0)) plain = false;
  }
  return plain;
}

static void waveform_put(model_writer *w) {
  bool plain = waveform_is_plain(w);
  range_put_bits(&w->out, !plain, 1);
  if (!plain) {
    waveform_runs_put(w);
    range_put_bits(&w->out, !w->column.all_valid, 1);
    if (!w->column.all_valid) waveform_qualities_put(w);
  }
  if (!w->failed)
    series_put(w, COLUMN_VALUES, 0, w->column.count, w->before.count == w->column.count);
}

/* ---- The whole ------------------------------------------------------------------------------ */

static void column_put(model_writer *w, uint8_t *next) {
  bool numeric = w->channels[w->column.channel].kind == HTEL_NUMERIC;
  bool again = w->before.count == w->column.count;
  range_put_number(&w->out, (uint32_t)(w->column.channel - *next), 0);
  *next = (uint8_t)(w->column.channel + 1u);
  if (w->before.count > 0) range_put_bits(&w->out, !again, 1);
  if (!again)
    range_put_number(&w->out, w->column.count - 1u,
                     numeric ? MODEL_COUNT_NUMERIC : MODEL_COUNT_WAVEFORM);
  numeric ? numeric_put(w) : waveform_put(w);
  w->before = w->column;
}

static size_t columns_put(model_writer *w, uint16_t channel_count) {
  uint32_t columns = 0;
  for (uint16_t i = 0; i < channel_count; i++) columns += column_measure(w, &w->column, (uint8_t)i);
  range_put_number(&w->out, columns - 1u, 0);
  uint8_t next = 0;
  for (uint16_t i = 0; i < channel_count && !w->failed && !w->out.full; i++) {
    if (column_measure(w, &w->column, (uint8_t)i)) column_put(w, &next);
  }
  size_t bytes = range_out_end(&w->out);
  return w->failed || w->out.full ? 0 : bytes;
}

/* ---- Blocks again ---------------------------------------------------------------------------
 * Columns are not for everything. Where they have no form for a frame, or it is of a kind that they
 * take more for, its blocks go out as small as FAST would have made them. */

/* The block that begins at `at`, without its length; *at moves to the next one. */
static wire_in block_next(const uint8_t **at) {
  const uint8_t *block = *at + BATCH_LENGTH_BYTES;
  *at = block + (block[-2] | (size_t)block[-1] << 8);
  return (wire_in){block, *at, false};
}

static void numeric_ticks_read(block_readings *r, const block_head *head, wire_in *in) {
  r->ticks[0] = 0;
  for (uint32_t i = 1; i < head->count; i++) r->ticks[i] = (uint32_t)head->interval;
  if (block_has_ticks(head, HTEL_NUMERIC))
    series_read((int32_t *)r->ticks + 1, (uint16_t)(head->count - 1u), in);
  for (uint32_t i = 1; i < head->count; i++) r->ticks[i] += r->ticks[i - 1];
}

/* Its readings, with times less the frame's. */
static code_column block_read(block_readings *r, const htel_channel *channels, wire_in in) {
  block_head head;
  code_column c = {.values = r->values, .ticks = r->ticks, .quality_all = HTEL_VALID};
  c.channel = wire_byte(&in); /* a varint of one byte */
  c.kind = channels[c.channel].kind;
  block_head_read(&head, c.kind, &in);
  c.count = head.count;
  c.tick_first = (uint64_t)head.tick_delta;
  c.phase = head.phase;
  c.continues = !head.has_time;
  if (c.kind == HTEL_NUMERIC) numeric_ticks_read(r, &head, &in);
  if (head.has_quality) c.quality = r->quality;
  if (head.has_quality) block_quality_read(r->quality, head.count, &in);
  series_read(r->values, head.count, &in);
  return c;
}

/* Whether nearly all residuals take a byte. Then steps are small and much alike, and columns are
 * good at that. Outliers, large steps, and what a polynomial says by itself are another matter. */
static bool blocks_are_calm(const htel_channel *channels, const uint8_t *blocks, size_t size) {
  size_t readings = 0, other = 0;
  for (const uint8_t *at = blocks; at < blocks + size;) {
    wire_in in = block_next(&at);
    size_t bytes = (size_t)(in.end - in.at);
    block_head head;
    block_head_read(&head, channels[wire_byte(&in)].kind, &in);
    size_t least = head.count, most = least + HEAD_BYTES_ABOUT;
    if (bytes > most) other += bytes - most;
    if (bytes < least) other += least - bytes;
    readings += head.count;
  }
  return other <= readings / 64;
}

/* Writes them again where they stand, without their lengths. Returns the bytes. */
static size_t blocks_again(block_readings *r, const htel_channel *channels, uint8_t *blocks,
                           size_t size) {
  size_t used = 0;
  for (const uint8_t *at = blocks; at < blocks + size;) {
    code_column c = block_read(r, channels, block_next(&at));
    size_t room = (size_t)(at - blocks) - used;
    size_t bytes = code_block_encode(&c, 0, CODE_RICE, blocks + used, room);
    if (bytes == 0)
      bytes = code_block_encode(&c, 0, CODE_QUICK, blocks + used, room); /* as it was */
    used += bytes;
  }
  return used;
}

size_t model_write(void *memory, const htel_channel *channels, uint16_t channel_count,
                   uint8_t *blocks, size_t size, uint8_t *out, bool *modelled) {
  model_writer *w = memory;
  memset(w, 0, sizeof *w);
  w->channels = channels;
  w->blocks = blocks;
  w->size = size;
  range_out_begin(&w->out, out, size);
  size_t bytes = columns_put(w, channel_count);
  *modelled = bytes > 0;
  if (*modelled && blocks_are_calm(channels, blocks, size)) return bytes;
  size_t as_blocks = blocks_again(memory, channels, blocks, size);
  if (*modelled && bytes <= as_blocks) return bytes;
  *modelled = false;
  return as_blocks;
}

#else

size_t model_writer_bytes(void) {
  return 0;
}

size_t model_write(void *memory, const htel_channel *channels, uint16_t channel_count,
                   uint8_t *blocks, size_t size, uint8_t *out, bool *modelled) {
  (void)memory, (void)channels, (void)channel_count, (void)blocks, (void)size, (void)out;
  *modelled = false;
  return 0;
}

#endif
