/* SPDX-License-Identifier: Apache-2.0 */
/* model_read.c - see model_read.h. Input may be anything: every count is checked before it is used,
 * and at most MODEL_COLUMN_MAX readings of each of the birth's channels are made of it. */
#include "model_read.h"

#include <string.h>

#include "wire.h"

#define FLAG_BITS 12u /* of an adaptive flag's probability */
#define CHUNK 64u     /* steps that are read at a time */

static bool bit_get(range_in *in) {
  return range_bits(in, 1) != 0;
}

static int32_t signed_get(range_in *in, unsigned usual) {
  return (int32_t)wire_unzigzag32(range_number(in, usual));
}

static bool flag_get(range_in *in, uint16_t *one) {
  bool value = range_find(in, FLAG_BITS) < *one;
  range_take(in, value ? 0 : *one, value ? *one : (1u << FLAG_BITS) - *one, FLAG_BITS);
  *one = (uint16_t)(value ? *one + ((4064u - *one) >> 3) : *one - ((*one - 32u) >> 3));
  return value;
}

/* ---- Series --------------------------------------------------------------------------------- */

static void predictor_get(range_in *in, predictor *p, bool has_other) {
  uint32_t form = range_number(in, MODEL_FORM);
  if (form >= PREDICTOR_FORMS) {
    in->bad = true;
    return;
  }
  predictor_fixed(p, (uint8_t)form);
  if (form <= PREDICTOR_BEND) return;
  p->precision = (uint8_t)(PREDICTOR_PRECISION_MIN + 2u * range_bits(in, 2));
  unsigned usual = p->precision - MODEL_FACTOR_LESS;
  int32_t limit = 1 << (p->precision + 4);
  for (unsigned i = 0; i < predictor_orders[form]; i++) {
    p->own[i] = signed_get(in, usual);
    if (p->own[i] >= limit || p->own[i] <= -limit) in->bad = true;
  }
  p->uses_other = has_other && bit_get(in);
  for (unsigned i = 0; p->uses_other && i < PREDICTOR_OTHERS; i++) {
    p->other[i] = signed_get(in, usual);
    if (p->other[i] >= limit || p->other[i] <= -limit) in->bad = true;
  }
}

static void segment_head_get(model_reader *r, bool first, bool has_other) {
  range_in *in = &r->in;
  if (first || bit_get(in)) predictor_get(in, &r->predict, has_other);
  if (!first) return;
  uint32_t scale = range_number(in, MODEL_SCALE);
  if (scale > MIXTURE_SCALE_MAX) in->bad = true;
  if (in->bad) return;
  mixture_begin(&r->mix, scale, r->predict.form != PREDICTOR_HOLD, r->column.kind == HTEL_NUMERIC);
}

/* Returns the first of `count` numbers, and gives the divisor and, into steps[0] to steps[count -
 * 2], the steps to the others, divided. Before them are PREDICTOR_ORDER_MAX places that are used.
 * With `together` the steps of another series of as many numbers stand there. */
static int32_t series_get(model_reader *r, int32_t *steps, uint32_t count, bool together,
                          uint32_t *divisor) {
  range_in *in = &r->in;
  int32_t first = signed_get(in, MODEL_FIRST);
  *divisor = 1;
  if (count == 1 || in->bad) return first;
  if (bit_get(in)) {
    bool still = bit_get(in);
    if (still) memset(steps, 0, (count - 1) * sizeof *steps);
    if (still) return first;
    *divisor = range_number(in, MODEL_DIVISOR);
    if (*divisor > INT32_MAX - 2) in->bad = true;
    *divisor += 2u;
  }
  memset(steps - PREDICTOR_ORDER_MAX, 0, PREDICTOR_ORDER_MAX * sizeof *steps);
  uint32_t segments = (count - 2) / MODEL_SEGMENT + 1;
  int32_t other[1 + CHUNK] = {0}; /* the steps that those to come are put in the place of */
  for (uint32_t s = 0; s < segments && !in->bad; s++) {
    segment_head_get(r, s == 0, together);
    uint32_t end = (count - 1) * (s + 1) / segments;
    for (uint32_t i = (count - 1) * s / segments, part; i < end && !in->bad; i += part) {
      part = end - i < CHUNK ? end - i : CHUNK;
      if (together) memcpy(other + 1, steps + i, part * sizeof *other);
      mixture_get(&r->mix, in, &r->predict, steps + i, other + 1, part);
      other[0] = other[part];
    }
  }
  return first;
}

/* ---- Times and qualities -------------------------------------------------------------------- */

static int32_t nominal_interval(const htel_rate *rate) {
  uint64_t den = rate->den == 0 ? 1 : rate->den;
  if (rate->num == 0 || 1000u * den % rate->num != 0) return 0;
  uint64_t ms = 1000u * den / rate->num;
  return ms > 1u << 30 ? 0 : (int32_t)ms;
}

/* `together`: r->quality has those of the column before, of as many readings. */
static void qualities_get(model_reader *r, bool together) {
  model_column *c = &r->column;
  uint16_t valid[2][2], same = 1u << (FLAG_BITS - 1);
  for (int i = 0; i < 4; i++) valid[i / 2][i % 2] = 1u << (FLAG_BITS - 1);
  uint8_t last = HTEL_NO_VALUE;
  bool was_valid = true;
  c->series = 0;
  for (uint32_t i = 0; i < c->count; i++) {
    bool other_valid = together ? r->quality[i] == HTEL_VALID : true;
    was_valid = flag_get(&r->in, &valid[was_valid][other_valid]);
    if (!was_valid && !flag_get(&r->in, &same)) last = (uint8_t)range_bits(&r->in, 3);
    if (last == HTEL_VALID) r->in.bad = true; /* that would be the other flag's */
    r->quality[i] = was_valid ? HTEL_VALID : last;
    c->series += r->quality[i] != HTEL_NO_VALUE;
  }
}

static int32_t *absent_value(model_reader *r, uint32_t i) {
  return &r->steps[PREDICTOR_ORDER_MAX + MODEL_COLUMN_MAX - 1 - i];
}

static void absent_values_get(model_reader *r) {
  uint16_t same = 1u << (FLAG_BITS - 1);
  int32_t last = 0;
  for (uint32_t i = 0; i < r->column.count - r->column.series; i++) {
    if (!flag_get(&r->in, &same)) last = (int32_t)range_bits(&r->in, 32);
    *absent_value(r, i) = last;
  }
}

/* Times that are not what the column before or the rate says. */
static void ticks_get(model_reader *r, int32_t nominal) {
  range_in *in = &r->in;
  model_column *c = &r->column;
  c->tick = signed_get(in, 1);
  if (c->count == 1) return;
  c->regular = !bit_get(in);
  if (c->regular) {
    c->interval = (int32_t)((uint32_t)c->interval + (uint32_t)signed_get(in, 1));
    return;
  }
  c->interval = nominal;
  r->tick_step =
      series_get(r, r->tick_changes + PREDICTOR_ORDER_MAX, c->count - 1, false, &r->tick_divisor);
}

static void numeric_get(model_reader *r, const model_column *before) {
  range_in *in = &r->in;
  model_column *c = &r->column;
  bool pair = before->count == c->count;
  int32_t nominal = nominal_interval(&r->birth->channels[c->channel].rate);
  bool plain = !bit_get(in), valid = true;
  c->regular = true;
  c->interval = pair && before->regular ? before->interval : nominal;
  c->tick = 0;
  if (!plain) {
    valid = !bit_get(in);
    ticks_get(r, nominal);
  }
  if (c->count == 1) c->interval = 0;
  if (in->bad) return;
  if (valid) {
    memset(r->quality, HTEL_VALID, c->count);
  } else {
    qualities_get(r, pair);
    absent_values_get(r);
  }
  if (c->series == 0 || in->bad) return;
  bool together = pair && before->series == c->series;
  c->first = series_get(r, r->steps + PREDICTOR_ORDER_MAX, c->series, together, &c->divisor);
}

static void runs_get(model_reader *r) {
  range_in *in = &r->in;
  const model_column *c = &r->column;
  const htel_rate *rate = &r->birth->channels[c->channel].rate;
  uint32_t runs = range_number(in, 0), begin = 0;
  if (runs >= MODEL_RUNS_MAX) in->bad = true;
  r->run_count = in->bad ? 0 : runs + 1u;
  for (uint32_t i = 0; i < r->run_count && !in->bad; i++) {
    if (i > 0) {
      uint32_t length = range_number(in, MODEL_COUNT_WAVEFORM);
      if (length == 0 || length >= c->count - begin) in->bad = true;
      begin += length;
    }
    r->runs[i].begin = begin;
    r->runs[i].tick = signed_get(in, MODEL_TICK);
    r->runs[i].phase = range_number(in, 0);
    if (r->runs[i].phase >= rate->num) in->bad = true;
  }
}

static void waveform_qualities_get(model_reader *r) {
  range_in *in = &r->in;
  const model_column *c = &r->column;
  uint32_t runs = range_number(in, 0), begin = 0;
  if (runs >= MODEL_RUNS_MAX) in->bad = true;
  for (uint32_t i = 0; i <= runs && !in->bad; i++) {
    uint8_t quality = (uint8_t)range_bits(in, 3);
    uint32_t left = c->count - begin;
    uint32_t length = i == runs ? left : range_number(in, MODEL_COUNT_WAVEFORM);
    if (length == 0 || length > left || (i < runs && length == left)) {
      in->bad = true;
      return;
    }
    memset(r->quality + begin, quality, length);
    begin += length;
  }
}

static void waveform_get(model_reader *r, const model_column *before) {
  range_in *in = &r->in;
  model_column *c = &r->column;
  r->run_count = 1;
  memset(&r->runs[0], 0, sizeof r->runs[0]);
  memset(r->quality, HTEL_VALID, c->count);
  if (bit_get(in)) {
    runs_get(r);
    if (bit_get(in)) waveform_qualities_get(r);
  }
  if (in->bad) return;
  bool together = before->count == c->count && before->series == c->series;
  c->first = series_get(r, r->steps + PREDICTOR_ORDER_MAX, c->count, together, &c->divisor);
}

/* ---- The whole ------------------------------------------------------------------------------ */

bool model_read_begin(model_reader *r, const htel_birth *birth, const uint8_t *bytes, size_t size) {
  r->birth = birth;
  r->next = 0;
  r->taken = 0;
  memset(&r->column, 0, sizeof r->column);
  range_in_begin(&r->in, bytes, size);
  r->left = range_number(&r->in, 0);
  if (r->left >= birth->channel_count) r->in.bad = true;
  r->left++;
  return !r->in.bad;
}

const model_column *model_read_column(model_reader *r) {
  range_in *in = &r->in;
  if (r->left == 0 && in->at < in->end) in->bad = true; /* bytes behind the last column */
  if (r->left == 0 || in->bad) return NULL;
  r->left--;
  model_column before = r->column, *c = &r->column;
  uint32_t channel = range_number(in, 0);
  if (channel >= r->birth->channel_count - r->next) in->bad = true;
  if (in->bad) return NULL;
  memset(c, 0, sizeof *c);
  c->channel = (uint8_t)(r->next + channel);
  c->kind = r->birth->channels[c->channel].kind;
  r->next = c->channel + 1u;
  if (c->kind == HTEL_ALARM) in->bad = true;
  bool again = before.count > 0 && !bit_get(in);
  unsigned usual = c->kind == HTEL_NUMERIC ? MODEL_COUNT_NUMERIC : MODEL_COUNT_WAVEFORM;
  uint32_t less = again ? before.count - 1u : range_number(in, usual);
  if (less >= MODEL_COLUMN_MAX) in->bad = true;
  if (in->bad) return NULL;
  c->count = c->series = less + 1u;
  c->kind == HTEL_NUMERIC ? numeric_get(r, &before) : waveform_get(r, &before);
  r->taken = r->ticks_taken = r->series_taken = 0;
  return in->bad ? NULL : c;
}

int64_t model_read_tick(model_reader *r) {
  const model_column *c = &r->column;
  uint32_t i = r->ticks_taken++;
  if (i == 0) return r->tick = c->tick;
  if (i >= 2 && !c->regular)
    r->tick_step =
        (int32_t)((uint32_t)r->tick_step +
                  (uint32_t)r->tick_changes[PREDICTOR_ORDER_MAX + i - 2] * r->tick_divisor);
  return r->tick += (int64_t)c->interval + (c->regular ? 0 : r->tick_step);
}

static int32_t value_next(model_reader *r, uint32_t i) {
  const model_column *c = &r->column;
  if (r->quality[i] == HTEL_NO_VALUE && c->series < c->count)
    return *absent_value(r, i - r->series_taken);
  uint32_t k = r->series_taken++;
  if (k == 0) return r->value = c->first;
  r->value =
      (int32_t)((uint32_t)r->value + (uint32_t)r->steps[PREDICTOR_ORDER_MAX + k - 1] * c->divisor);
  return r->value;
}

void model_read_values(model_reader *r, int32_t *values, uint8_t *quality, uint32_t count) {
  memcpy(quality, r->quality + r->taken, count);
  uint32_t i = 0;
  if (r->taken == 0) values[i++] = value_next(r, 0);
  if (r->column.series == r->column.count) { /* none is left out */
    const int32_t *step = r->steps + PREDICTOR_ORDER_MAX + r->taken - 1;
    uint32_t value = (uint32_t)r->value, divisor = r->column.divisor;
    for (; i < count; i++) values[i] = (int32_t)(value += (uint32_t)step[i] * divisor);
    r->value = (int32_t)value;
  }
  for (; i < count; i++) values[i] = value_next(r, r->taken + i);
  r->taken += count;
}
