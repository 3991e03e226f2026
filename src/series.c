/* SPDX-License-Identifier: Apache-2.0 */
/* series.c - see series.h.
 *
 * Writing goes over the values twice: once to choose the order, by the least sum of residuals, once
 * to write them. Both go by partitions of 32 through a small window on the stack, so that
 * no array of residuals is needed however long the series is, and so that the inner
 * loops have a length that the compiler knows: on machines with vectors it uses them. */
#include "series.h"

#include <string.h>

#include "bits_out.h"

/* ---- Predictor ------------------------------------------------------------------------ */

#define HISTORY 3u /* values that a prediction looks back on, at most */

/* A partition of values, with the values before it in front: where they lie, or a copy of them. */
typedef struct window {
  uint32_t begin;    /* which value is the partition's first; from 1 on */
  uint32_t count;    /* values in the partition */
  uint32_t first;    /* value 0 */
  const uint32_t *v; /* value `begin`; SERIES_PARTITION may be read from here, and HISTORY before */
  uint32_t values[HISTORY + SERIES_PARTITION];
} window;

static uint32_t source_value(const series_source *source, size_t i) {
  if (source->differences) return source->values[i + 1] - source->values[i];
  return source->values[i];
}

static void source_load(uint32_t *to, const series_source *source, uint32_t begin, uint32_t count) {
  if (source->differences) {
    for (uint32_t i = 0; i < count; i++) to[i] = source_value(source, begin + i);
  } else {
    memcpy(to, source->values + begin, count * sizeof *to);
  }
}

/* Before value 0 all values count as equal to it: then every order predicts value 0 for value 1. */
static void window_copy(window *w, const series_source *source) {
  w->v = w->values + HISTORY;
  if (w->begin == 1) {
    for (uint32_t i = 0; i < HISTORY; i++) w->values[i] = w->first;
    source_load(w->values + HISTORY, source, 1, w->count);
  } else {
    source_load(w->values, source, w->begin - HISTORY, HISTORY + w->count);
  }
  for (uint32_t i = w->count; i < SERIES_PARTITION; i++) w->values[HISTORY + i] = 0;
}

static void window_load(window *w, const series_source *source, uint16_t count) {
  uint32_t left = count - w->begin;
  w->count = left < SERIES_PARTITION ? left : SERIES_PARTITION;
  if (source->differences || w->begin == 1 || left < SERIES_PARTITION) {
    window_copy(w, source);
  } else {
    w->v = source->values + w->begin;
  }
}

static void window_first(window *w, const series_source *source, uint16_t count) {
  w->begin = 1;
  w->first = source_value(source, 0);
  window_load(w, source, count);
}

/* False when there is no more. */
static bool window_next(window *w, const series_source *source, uint16_t count) {
  w->begin += w->count;
  if (w->begin >= count) return false;
  window_load(w, source, count);
  return true;
}

/* The zigzagged residuals of the window's values; behind the last one zeros. */
static void window_residuals(const window *restrict w, uint8_t order,
                             uint32_t u[restrict SERIES_PARTITION]) {
  const uint32_t *v = w->v;
  if (order == 0) {
    for (int i = 0; i < (int)SERIES_PARTITION; i++) u[i] = wire_zigzag32(v[i] - w->first);
  } else if (order == 1) {
    for (int i = 0; i < (int)SERIES_PARTITION; i++) u[i] = wire_zigzag32(v[i] - v[i - 1]);
  } else if (order == 2) {
    for (int i = 0; i < (int)SERIES_PARTITION; i++) {
      u[i] = wire_zigzag32(v[i] - 2 * v[i - 1] + v[i - 2]);
    }
  } else {
    for (int i = 0; i < (int)SERIES_PARTITION; i++) {
      u[i] = wire_zigzag32(v[i] - 3 * (v[i - 1] - v[i - 2]) - v[i - 3]);
    }
    if (w->begin == 1) u[1] = wire_zigzag32(v[1] - 2 * v[0] + v[-1]); /* value 2: order 2 */
  }
  for (uint32_t i = w->count; i < SERIES_PARTITION; i++) u[i] = 0;
}

static uint64_t residual_sum(const uint32_t u[SERIES_PARTITION]) {
  uint64_t sum = 0;
  for (size_t i = 0; i < SERIES_PARTITION; i++) sum += u[i];
  return sum;
}

static uint64_t order_sum(const series_source *source, uint16_t count, uint8_t order) {
  uint64_t sum = 0;
  uint32_t u[SERIES_PARTITION];
  window w;
  window_first(&w, source, count);
  do {
    window_residuals(&w, order, u);
    sum += residual_sum(u);
  } while (window_next(&w, source, count));
  return sum;
}

#if defined(__SSE2__) || defined(__ARM_NEON)
#define RESIDUAL_SMALL (UINT32_MAX / SERIES_PARTITION) /* so that a partition's sum has 32 bits */

/* One value's residuals of orders 0 to 3. */
static inline void residuals(const uint32_t *v, uint32_t first, uint32_t *u0, uint32_t *u1,
                             uint32_t *u2, uint32_t *u3) {
  uint32_t step = v[0] - v[-1], step_before = v[-1] - v[-2];
  uint32_t bend = step - step_before, bend_before = step_before - (v[-2] - v[-3]);
  *u0 = wire_zigzag32(v[0] - first);
  *u1 = wire_zigzag32(step);
  *u2 = wire_zigzag32(bend);
  *u3 = wire_zigzag32(bend - bend_before);
}

/* Sums of the residuals of all orders in one go, which with vectors costs little more than one of
 * them; to the last bit what window_residuals gives. False where a residual is so large that a sum
 * could need more than 32 bits. */
static bool window_sums(const window *w, uint64_t sums[4]) {
  const uint32_t *v = w->v;
  uint32_t all = 0, sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0, u0, u1, u2, u3;
  for (int i = 0; i < (int)SERIES_PARTITION; i++) {
    residuals(v + i, w->first, &u0, &u1, &u2, &u3);
    sum0 += u0;
    sum1 += u1;
    sum2 += u2;
    sum3 += u3;
    all |= u0 | u1 | u2 | u3;
  }
  if (all > RESIDUAL_SMALL) return false;
  for (uint32_t i = w->count; i < SERIES_PARTITION; i++) { /* behind the last value */
    residuals(v + i, w->first, &u0, &u1, &u2, &u3);
    sum0 -= u0;
    sum1 -= u1;
    sum2 -= u2;
    sum3 -= u3;
  }
  if (w->begin == 1 && w->count > 1) { /* value 2: order 2 */
    residuals(v + 1, w->first, &u0, &u1, &u2, &u3);
    sum3 += u2 - u3;
  }
  sums[0] += sum0;
  sums[1] += sum1;
  sums[2] += sum2;
  sums[3] += sum3;
  return true;
}

static void order_sums(const series_source *source, uint16_t count, uint64_t sums[4]) {
  window w;
  window_first(&w, source, count);
  do {
    if (window_sums(&w, sums)) continue;
    for (uint8_t order = 0; order < 4; order++) {
      uint32_t u[SERIES_PARTITION];
      window_residuals(&w, order, u);
      sums[order] += residual_sum(u);
    }
  } while (window_next(&w, source, count));
}
#else
#define RESIDUAL_SMALL 0x100000u /* in orders 0 and 1: then a sum of order 3 has 32 bits, too */

/* Without vectors value by value, in registers; to the last bit what window_residuals gives. False
 * where a sum could need more than 32 bits. */
static bool small_sums(const uint32_t *v, uint16_t count, uint64_t sums[4]) {
  const uint32_t first = v[0], *end = v + count;
  uint32_t before = v[1], step_before = before - first, bend_before = 0; /* value 2: order 2 */
  uint32_t sum0 = wire_zigzag32(step_before), sum1 = sum0, sum2 = sum0, sum3 = sum0, all = sum0;
  for (v += 2; v < end; v++) {
    uint32_t step = *v - before, bend = step - step_before;
    uint32_t u0 = wire_zigzag32(*v - first), u1 = wire_zigzag32(step);
    sum0 += u0;
    sum1 += u1;
    sum2 += wire_zigzag32(bend);
    sum3 += wire_zigzag32(bend - bend_before);
    all |= u0 | u1;
    before = *v;
    step_before = step;
    bend_before = bend;
  }
  sums[0] = sum0;
  sums[1] = sum1;
  sums[2] = sum2;
  sums[3] = sum3;
  return all < RESIDUAL_SMALL;
}

static void order_sums(const series_source *source, uint16_t count, uint64_t sums[4]) {
  if (!source->differences && small_sums(source->values, count, sums)) return;
  for (uint8_t order = 0; order < 4; order++) sums[order] = order_sum(source, count, order);
}
#endif

/* The order whose residuals are smallest in sum, the lowest of equals; and that sum. `count` is 2
 * at least. */
static uint8_t order_choose(const series_source *source, uint16_t count, uint64_t *least) {
  uint64_t sums[4] = {0, 0, 0, 0};
  order_sums(source, count, sums);
  uint8_t best = 0;
  for (uint8_t order = 1; order < 4; order++) {
    if (sums[order] < sums[best]) best = order;
  }
  *least = sums[best];
  return best;
}

/* ---- Writing -------------------------------------------------------------------------- */

/* A residual that is too large for a short code. */
static void rice_put_long(bit_out *b, uint32_t residual, unsigned parameter) {
  uint32_t quotient = residual >> parameter;
  if (quotient >= SERIES_QUOTIENT_MAX) {
    bits_put(b, (1u << SERIES_QUOTIENT_MAX) - 1u, SERIES_QUOTIENT_MAX);
    bits_put(b, residual, 32);
    return;
  }
  bits_put(b, (2u << quotient) - 2u, quotient + 1);
  if (parameter > 0) bits_put(b, residual & ((1u << parameter) - 1u), parameter);
}

static void rice_put(bit_out *out, const uint32_t *u, uint32_t count, unsigned parameter) {
  bit_out b = *out;
  uint32_t low = (1u << parameter) - 1u;
  uint32_t quotient_max = 31u - parameter; /* so that a code has 32 bits at most */
  if (quotient_max > SERIES_QUOTIENT_MAX - 1) quotient_max = SERIES_QUOTIENT_MAX - 1;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t quotient = u[i] >> parameter;
    if (quotient > quotient_max) {
      rice_put_long(&b, u[i], parameter);
      continue;
    }
    bits_put_code(&b, quotient, u[i] & low, parameter);
  }
  *out = b;
}

/* Bits that the partition takes, less the parameter's own: an escape is priced at 56 bits, its true
 * cost, and a quotient of 24 or more that is still below the price a little too low. */
static uint32_t rice_cost(const uint32_t u[SERIES_PARTITION], uint32_t count, unsigned parameter,
                          uint32_t all) {
  uint32_t sum = 0, quotient_max = SERIES_QUOTIENT_MAX + 31u - parameter;
  if (all >> parameter <= quotient_max) {
    for (size_t i = 0; i < SERIES_PARTITION; i++) sum += u[i] >> parameter;
  } else {
    for (size_t i = 0; i < SERIES_PARTITION; i++) {
      uint32_t quotient = u[i] >> parameter;
      sum += quotient < quotient_max ? quotient : quotient_max;
    }
  }
  return sum + count * (1u + parameter);
}

/* Mean of the residuals' binary logarithms, which a few large ones do not move; every fourth
 * residual is enough for where a search begins. */
static unsigned log2_mean(const uint32_t *u, uint32_t count) {
  unsigned sum = 0;
  for (uint32_t i = 0; i < count; i += 4) sum += 31u ^ (unsigned)__builtin_clz(u[i] | 1u);
  uint32_t terms = (count + 3) / 4;
  return (sum + terms / 2) / terms;
}

/* The cheapest parameter: from the mean logarithm up or down for as long as it pays. */
static unsigned rice_parameter(const uint32_t u[SERIES_PARTITION], uint32_t count) {
  uint32_t all = 0;
  for (size_t i = 0; i < SERIES_PARTITION; i++) all |= u[i];
  unsigned best = log2_mean(u, count);
  if (best >= SERIES_PARAMETER_RAW) best = SERIES_PARAMETER_RAW - 1;
  uint32_t cost = rice_cost(u, count, best, all);
  /* One more takes a bit a residual and saves half of the quotients: with a mean quotient of more
   * than 1 it may pay, with less the other way may. Escapes blur that: then both are tried. */
  unsigned step = cost > count * (2u + best) ? 1u : 0u - 1u;
  for (unsigned tries = 0; tries < SERIES_PARAMETER_RAW; tries++) {
    unsigned next = best + step;
    uint32_t next_cost = next < SERIES_PARAMETER_RAW ? rice_cost(u, count, next, all) : UINT32_MAX;
    if (next_cost < cost) {
      cost = next_cost;
      best = next;
    } else if (tries == 0 && all >> best >= SERIES_QUOTIENT_MAX) {
      step = 0u - step;
    } else {
      break;
    }
  }
  return cost < count * 32u ? best : SERIES_PARAMETER_RAW;
}

static void rice_write(wire_out *out, const series_source *source, uint16_t count, uint8_t order) {
  bit_out b = bits_begin(out);
  window w;
  window_first(&w, source, count);
  do {
    uint32_t u[SERIES_PARTITION];
    window_residuals(&w, order, u);
    unsigned parameter = rice_parameter(u, w.count);
    bits_put(&b, parameter, SERIES_PARAMETER_BITS);
    if (parameter == SERIES_PARAMETER_RAW) {
      for (uint32_t i = 0; i < w.count; i++) bits_put(&b, u[i], 32);
    } else {
      rice_put(&b, u, w.count, parameter);
    }
  } while (window_next(&w, source, count));
  bits_end(&b);
}

/* Bytes behind an escape. */
static size_t escape_cost(uint32_t u) {
  return 1u + (31u - (unsigned)__builtin_clz((u - SERIES_BYTE_ESCAPE) | 1u)) / 7u;
}

/* Whether all residuals as bytes take less than `size`. Mostly escapes soon say no. */
static bool bytes_fit(const series_source *source, uint16_t count, uint8_t order, size_t size) {
  size_t cost = count - 1u;
  window w;
  window_first(&w, source, count);
  do {
    uint32_t u[SERIES_PARTITION];
    window_residuals(&w, order, u);
    for (uint32_t i = 0; i < w.count; i++) {
      if (u[i] >= SERIES_BYTE_ESCAPE) cost += escape_cost(u[i]);
    }
  } while (cost < size && window_next(&w, source, count));
  return cost < size;
}

static void bytes_write(wire_out *out, const series_source *source, uint16_t count, uint8_t order) {
  window w;
  window_first(&w, source, count);
  do {
    uint32_t u[SERIES_PARTITION];
    window_residuals(&w, order, u);
    for (uint32_t i = 0; i < w.count; i++) {
      if (u[i] < SERIES_BYTE_ESCAPE && out->at < out->end) {
        *out->at++ = (uint8_t)u[i];
        continue;
      }
      bool escape = u[i] >= SERIES_BYTE_ESCAPE;
      wire_put_byte(out, escape ? SERIES_BYTE_ESCAPE : (uint8_t)u[i]);
      if (escape) wire_put_varint(out, u[i] - SERIES_BYTE_ESCAPE);
    }
  } while (window_next(&w, source, count));
}

/* CODE_QUICK: differences as they are with a mean below this, or the best order below that: then
 * bytes are no more than 4 each, which is what code_block_bytes_max counts on. */
#define QUICK_MEAN_SMALL 64u
#define QUICK_MEAN_MAX 512u

void series_write(wire_out *out, series_source source, uint16_t count, code_residuals residuals) {
  uint64_t sum = 0;
  uint8_t order = 1;
  bool quick = HEALTHTEL_BEST && residuals == CODE_QUICK && count > 1;
  if (quick) sum = order_sum(&source, count, 1);
  if (!quick || sum > (uint64_t)QUICK_MEAN_SMALL * count) {
    order = count > 1 ? order_choose(&source, count, &sum) : 0;
    quick = quick && sum <= (uint64_t)QUICK_MEAN_MAX * count;
  }
  uint8_t *mode = out->at;
  wire_put_byte(out, SERIES_MODE(order, SERIES_ZERO));
  wire_put_signed(out, (int32_t)source_value(&source, 0));
  if (sum == 0 || out->full) return;

  wire_out body = *out;
  if (residuals != CODE_BYTES && !quick) {
    *mode = SERIES_MODE(order, SERIES_RICE);
    rice_write(out, &source, count, order);
    size_t size = (size_t)(out->at - body.at);
    /* Bytes are seldom smaller, and cannot be below one a residual. */
    if (!out->full && (size < count || !bytes_fit(&source, count, order, size))) return;
  }
  *mode = SERIES_MODE(order, SERIES_BYTES);
  *out = body;
  bytes_write(out, &source, count, order);
}
