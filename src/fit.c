/* SPDX-License-Identifier: Apache-2.0 */
/* fit.c - see fit.h. */
#include "fit.h"

#include <string.h>

#define REWEIGHS 6u          /* at most, */
#define SETTLED 4u           /* or until less than a quarter of the sections change */
#define KEPT_BITS 15u        /* of a step in a patch */
#define WINDOW_BITS 11u      /* of a step when errors are measured */
#define EVEN_BITS 11u        /* of a step when products are summed, */
#define SUM_SHIFT 2u         /* and the sums so much shorter, so that they have 31 bits */
#define GAIN_BITS_MAX 6u     /* a section counts as predictable up to 2^6 times below its steps */
#define FACTOR_BITS 10u      /* behind the point of factors when errors are measured */
#define WORK_BITS 28u        /* of the largest sum when equations are solved */
#define RIDGE_SHIFT 26u      /* what is added to the diagonal, so that it can be divided by */
#define STEPS_PER_SQUARE 3u  /* of the order: solving takes its third power */
#define FACTOR_BITS_ABOUT 8u /* of a factor when written */
#define FACTOR_LESS 3u       /* bits of a factor when written, less than its precision: model.h */

/* Terms, in the order in which they are eliminated. */
enum { OTHER = 0, OWN = PREDICTOR_OTHERS, NOW = OWN + PREDICTOR_ORDER_MAX };

/* Where the other's patches begin. */
enum { OTHER_STEPS = FIT_PATCHES / 2 * FIT_PATCH_ROOM };

/* While sections are still being weighed so many earlier steps will do. */
enum { ROUGH = 8 };

static unsigned length64(uint64_t value) {
  return value == 0 ? 0 : 64u - (unsigned)__builtin_clzll(value);
}

static unsigned length32(uint32_t value) {
  return value == 0 ? 0 : 32u - (unsigned)__builtin_clz(value);
}

static uint32_t magnitude(int32_t value) {
  return value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
}

/* Where the sum of terms i and j is, i >= j. */
static size_t pair(unsigned i, unsigned j) {
  return (size_t)i * (i + 1u) / 2u + j;
}

/* ---- Patches -------------------------------------------------------------------------------- */

void fit_begin(fit *f, bool has_other) {
  f->count = 0;
  f->has_other = has_other;
  f->own_shift = f->other_shift = 0;
}

/* Keeps a patch. Where it needs more than 16 bits all that was kept gets shorter. */
static void patch_keep(int16_t *restrict patches, uint8_t *shift, unsigned index,
                       const int32_t *restrict from) {
  int any = 0;
  for (int i = 0; i < FIT_PATCH_ROOM; i++) any |= from[i] ^ from[i] >> 31;
  unsigned length = length32((uint32_t)any);
  if (length > KEPT_BITS + *shift) {
    unsigned more = length - KEPT_BITS - *shift;
    for (unsigned i = 0; i < index * FIT_PATCH_ROOM; i++)
      patches[i] = (int16_t)(patches[i] >> (more > 15 ? 15 : more));
    *shift = (uint8_t)(*shift + more);
  }
  int16_t *to = patches + index * FIT_PATCH_ROOM;
  int down = *shift;
  for (int i = 0; i < FIT_PATCH_ROOM; i++) to[i] = (int16_t)(from[i] >> down);
}

void fit_add(fit *f, const int32_t *own, const int32_t *other, uint32_t count) {
  unsigned index = f->count / FIT_PATCH;
  patch_keep(f->steps, &f->own_shift, index, own);
  if (other != NULL) patch_keep(f->steps + OTHER_STEPS, &f->other_shift, index, other);
  f->count = (uint16_t)(f->count + count);
}

/* ---- Sections ------------------------------------------------------------------------------- */

static unsigned sections_of(const fit *f) {
  return (f->count + FIT_SECTION - 1u) / FIT_SECTION;
}

static unsigned section_count(const fit *f, unsigned s) {
  unsigned left = f->count - s * FIT_SECTION;
  return left < FIT_SECTION ? left : FIT_SECTION;
}

/* The section's first step in its patch. */
static const int16_t *section_at(const int16_t *patches, unsigned s) {
  unsigned each = FIT_PATCH / FIT_SECTION;
  return patches + s / each * FIT_PATCH_ROOM + FIT_HISTORY + s % each * FIT_SECTION;
}

/* A section behind the steps before it, shifted up or down. */
enum { BEFORE = FIT_HISTORY, WINDOW = BEFORE + FIT_SECTION };

typedef struct window {
  int16_t own[WINDOW], other[WINDOW];
} window;

static void shifted(int16_t to[restrict WINDOW], const int16_t *restrict from, int up) {
  from -= BEFORE;
  if (up < -15) up = -15;
  int16_t factor = (int16_t)(up > 0 ? 1 << up : 1);
  int down = up < 0 ? -up : 0;
  for (int i = 0; i < WINDOW; i++) to[i] = (int16_t)(from[i] >> down);
  for (int i = 0; i < WINDOW; i++) to[i] = (int16_t)(to[i] * factor);
}

static unsigned size_of(const int16_t *at) {
  int any = 0;
  at -= BEFORE;
  for (int i = 0; i < WINDOW; i++) any |= at[i] ^ at[i] >> 15;
  return length32((uint32_t)any);
}

static void sizes_take(fit *f) {
  for (unsigned s = 0; s < sections_of(f); s++) {
    f->own_size[s] = (uint8_t)size_of(section_at(f->steps, s));
    if (f->has_other) f->other_size[s] = (uint8_t)size_of(section_at(f->steps + OTHER_STEPS, s));
  }
}

/* ---- Errors, section by section ------------------------------------------------------------- */

/* Factors in 2^-FACTOR_BITS, for steps as they are kept. */
typedef struct factors {
  int count;
  int16_t own[PREDICTOR_ORDER_MAX], other[PREDICTOR_OTHERS];
} factors;

static int16_t clamp16(int64_t value) {
  if (value > INT16_MAX) return INT16_MAX;
  return value < -INT16_MAX ? -INT16_MAX : (int16_t)value;
}

/* value * 2^up, of a value of 32 bits at most. */
static int64_t scaled(int64_t value, int up) {
  if (up > 30) up = 30;
  if (up < -32) up = -32;
  return up >= 0 ? value * ((int64_t)1 << up) : value >> -up;
}

static void tap(int32_t left[restrict FIT_SECTION], const int16_t *restrict at, int16_t factor) {
  for (int i = 0; i < FIT_SECTION; i++) left[i] -= at[i] * factor;
}

/* The section's mean error, in 1/16 of a step as kept. */
static uint32_t section_error(const fit *f, unsigned s, const factors *c) {
  int down = f->own_size[s] > WINDOW_BITS ? f->own_size[s] - (int)WINDOW_BITS : 0;
  window w;
  const int16_t *own = section_at(f->steps, s);
  if (down > 0) {
    shifted(w.own, own, -down);
    own = w.own + BEFORE;
  }
  int32_t left[FIT_SECTION];
  for (int i = 0; i < FIT_SECTION; i++) left[i] = own[i] * (1 << FACTOR_BITS);
  for (int k = 0; k < c->count; k++) tap(left, own - 1 - k, c->own[k]);
  if (f->has_other && (c->other[0] | c->other[1]) != 0) {
    int other_down = f->other_size[s] > WINDOW_BITS ? f->other_size[s] - (int)WINDOW_BITS : 0;
    shifted(w.other, section_at(f->steps + OTHER_STEPS, s), -other_down);
    for (int k = 0; k < PREDICTOR_OTHERS; k++)
      tap(left, w.other + BEFORE - k, clamp16(scaled(c->other[k], other_down - down)));
  }
  uint32_t sum = 0, count = section_count(f, s);
  for (uint32_t i = count; i < FIT_SECTION; i++) left[i] = 0;
  for (int i = 0; i < FIT_SECTION; i++) sum += magnitude(left[i]) >> 4;
  return (sum >> (FACTOR_BITS - 8)) / count << down;
}

/* Notes each section's error. How many are not what they were. */
static unsigned weigh(fit *f, const factors *c) {
  unsigned changed = 0;
  for (unsigned s = 0; s < sections_of(f); s++) {
    unsigned scale = length32(section_error(f, s, c) / 4 + 1);
    unsigned floor = f->own_size[s] > GAIN_BITS_MAX ? f->own_size[s] - GAIN_BITS_MAX : 0;
    if (scale < floor) scale = floor;
    changed += scale != f->scale[s];
    f->scale[s] = (uint8_t)scale;
  }
  return changed;
}

static void factors_of(factors *c, const fit *f, const predictor *p) {
  memset(c, 0, sizeof *c);
  c->count = predictor_orders[p->form];
  int up = (int)FACTOR_BITS - p->precision;
  for (int k = 0; k < c->count; k++) c->own[k] = clamp16(scaled(p->own[k], up));
  up += f->other_shift - f->own_shift;
  for (int k = 0; p->uses_other && k < PREDICTOR_OTHERS; k++)
    c->other[k] = clamp16(scaled(p->other[k], up));
}

/* ---- Sums of products ----------------------------------------------------------------------- */

/* Products of the steps before a place among each other, the earliest first; the lower half of it
 * is used. */
typedef int32_t edges[BEFORE][BEFORE];

static int32_t product_sum(const int16_t *restrict a, const int16_t *restrict b) {
  int32_t sum = 0;
  for (int i = 0; i < FIT_SECTION; i++) sum += a[i] * b[i];
  return sum;
}

/* Adds the products before a place, or with a sign of -1 takes them off. */
static void edge_add(edges e, const int16_t *at, int16_t sign, bool rough) {
  const int16_t *h = at - BEFORE;
  for (int i = BEFORE - PREDICTOR_ORDER_MAX; !rough && i < 8; i++) {
    int16_t factor = (int16_t)(h[i] * sign);
    for (int j = 0; j < 8; j++) e[i][j] += factor * h[j];
  }
  for (int i = 8; i < BEFORE; i++) {
    int16_t factor = (int16_t)(h[i] * sign);
    for (int j = 8; j < BEFORE; j++) e[i][j] += factor * h[j];
    for (int j = 0; !rough && j < 8; j++) e[i][j] += factor * h[j];
  }
}

/* How far up all sections may be shifted when each is first brought to an error of 1. */
static int headroom(const fit *f, const uint8_t *size) {
  int most = 0;
  for (unsigned s = 0; s < sections_of(f); s++) {
    int bits = size[s] - f->scale[s];
    if (s == 0 || bits > most) most = bits;
  }
  return (int)EVEN_BITS - most;
}

static void section_add_other(fit *f, const window *w) {
  const int16_t *now = w->own + BEFORE, *other = w->other + BEFORE;
  for (unsigned k = 0; k < PREDICTOR_OTHERS; k++) {
    for (unsigned j = 0; j <= k; j++)
      f->sums[pair(OTHER + k, OTHER + j)] += product_sum(other - k, other - j) >> SUM_SHIFT;
    for (unsigned i = 1; i <= PREDICTOR_ORDER_MAX; i++)
      f->sums[pair(OWN + i - 1, OTHER + k)] += product_sum(other - k, now - i) >> SUM_SHIFT;
    f->sums[pair(NOW, OTHER + k)] += product_sum(other - k, now) >> SUM_SHIFT;
  }
}

/* Sums of products of terms, with each section brought to the same error. The products of earlier
 * steps with each other differ from those one step later only by what goes in and out at a
 * section's ends; where the next section goes on at the same scale, what goes out of one goes into
 * the other. */
static void sums_take(fit *f, bool rough) {
  int order = rough ? ROUGH : PREDICTOR_ORDER_MAX;
  int own_up = headroom(f, f->own_size);
  int other_up = f->has_other ? headroom(f, f->other_size) : 0;
  f->other_gain = (int8_t)(other_up - own_up + f->own_shift - f->other_shift);
  f->floor = 1;
  int32_t row[PREDICTOR_ORDER_MAX + 1];
  edges e;
  memset(row, 0, sizeof row);
  memset(e, 0, sizeof e);
  memset(f->sums, 0, sizeof f->sums);
  unsigned sections = sections_of(f), each = FIT_PATCH / FIT_SECTION;
  for (unsigned s = 0; s < sections; s++) {
    window w;
    int up = own_up - f->scale[s];
    shifted(w.own, section_at(f->steps, s), up);
    const int16_t *now = w.own + BEFORE;
    for (int i = 0; i <= order; i++) row[i] += product_sum(now, now - i) >> SUM_SHIFT;
    bool begins = s % each == 0 || f->scale[s - 1] != f->scale[s];
    bool ends = s + 1 == sections || s % each == each - 1u || f->scale[s + 1] != f->scale[s];
    /* Whole numbers are not predicted to better than a quarter or so. */
    if (up > f->own_shift)
      f->floor += (int64_t)section_count(f, s) << 2 * (up - f->own_shift) >> (4 + SUM_SHIFT);
    if (begins) edge_add(e, now, 1, rough);
    if (ends) edge_add(e, now + section_count(f, s), -1, rough);
    if (!f->has_other || rough) continue;
    shifted(w.other, section_at(f->steps + OTHER_STEPS, s), other_up - f->scale[s]);
    section_add_other(f, &w);
  }
  for (unsigned i = 1; i <= PREDICTOR_ORDER_MAX; i++) f->sums[pair(NOW, OWN + i - 1)] = row[i];
  f->sums[pair(NOW, NOW)] = row[0];
  for (unsigned apart = 0; apart < PREDICTOR_ORDER_MAX; apart++) {
    int32_t sum = row[apart];
    for (unsigned i = 0; i + apart < PREDICTOR_ORDER_MAX; i++) {
      unsigned late = BEFORE - 1u - i;
      sum += e[late][late - apart] >> SUM_SHIFT;
      f->sums[pair(OWN + i + apart, OWN + i)] = sum;
    }
  }
}

/* ---- Solving --------------------------------------------------------------------------------
 * Gauss, with the row of what is predicted going along: after each term has been eliminated its own
 * sum is what is left of it when predicted by the terms so far. */

/* The terms that take part: from `first` (OTHER or OWN) to before `end`. */
typedef struct terms {
  unsigned first, end;
} terms;

static void work_load(fit *f, const terms *t) {
  int32_t largest = f->sums[pair(NOW, NOW)];
  for (unsigned i = t->first; i < t->end; i++)
    if (f->sums[pair(i, i)] > largest) largest = f->sums[pair(i, i)];
  int up = (int)WORK_BITS - (int)length32((uint32_t)largest);
  /* Sums of terms that take no part may be larger, and wrap. */
  for (size_t i = 0; i < FIT_PAIRS; i++)
    f->work[i] = up >= 0 ? (int32_t)((uint32_t)f->sums[i] << up) : f->sums[i] >> -up;
  for (unsigned i = t->first; i < t->end; i++) {
    int32_t *sum = &f->work[pair(i, i)];
    *sum += (*sum >> RIDGE_SHIFT) + 1;
    if (*sum <= 0) *sum = 1;
  }
}

static int32_t clamp32(int64_t value) {
  if (value > INT32_MAX) return INT32_MAX;
  return value < -INT32_MAX ? -INT32_MAX : (int32_t)value;
}

#define RATIO_MAX ((int64_t)1 << 44) /* in 2^-32 */

/* ratio * value, ratio in 2^-32. In halves: the product may have more than 64 bits. */
static inline int64_t share_of(int64_t high, int64_t low, int32_t value) {
  return (high * value >> 16) + (low * value >> 32);
}

/* Takes from row i, up to column j_end, what term k tells of it. Signals are smooth and equations
 * so much alike that every bit counts. */
static void row_reduce(fit *f, unsigned i, unsigned k, unsigned j_end) {
  int32_t *row = &f->work[pair(i, 0)];
  int64_t ratio = (int64_t)row[k] * ((int64_t)1 << 32) / f->work[pair(k, k)];
  if (ratio > RATIO_MAX) ratio = RATIO_MAX;
  if (ratio < -RATIO_MAX) ratio = -RATIO_MAX;
  int64_t high = ratio >> 16, low = ratio & 0xFFFF;
  size_t at = pair(k + 1, k);
  for (unsigned j = k + 1; j < j_end; j++) {
    row[j] = clamp32(row[j] - share_of(high, low, f->work[at]));
    at += j + 1;
  }
  if (i == NOW) row[NOW] = clamp32(row[NOW] - share_of(high, low, row[k]));
}

/* left[k]: what is left of the predicted when terms to k have been eliminated; above 0. */
static void eliminate(fit *f, const terms *t, int32_t left[FIT_TERMS]) {
  for (unsigned k = t->first; k < t->end; k++) {
    if (f->work[pair(k, k)] <= 0) f->work[pair(k, k)] = 1;
    for (unsigned i = k + 1; i < t->end; i++) row_reduce(f, i, k, i + 1);
    row_reduce(f, NOW, k, t->end);
    left[k] = f->work[pair(NOW, NOW)] > 0 ? f->work[pair(NOW, NOW)] : 1;
  }
}

/* The factors of the terms before `end`, in 2^-16. */
static void substitute(const fit *f, const terms *t, int32_t factor[FIT_TERMS]) {
  for (unsigned k = t->end; k-- > t->first;) {
    int64_t sum = (int64_t)f->work[pair(NOW, k)] * 65536;
    for (unsigned j = k + 1; j < t->end; j++) sum -= (int64_t)factor[j] * f->work[pair(j, k)];
    sum /= f->work[pair(k, k)];
    factor[k] = sum > 1 << 20 ? 1 << 20 : sum < -(1 << 20) ? -(1 << 20) : (int32_t)sum;
  }
}

/* ---- Bits ----------------------------------------------------------------------------------- */

/* 16 * log2(value), value > 0. */
static int32_t log16(uint64_t value) {
  unsigned length = length64(value);
  uint64_t mantissa = length > 9 ? value >> (length - 9) : value << (9 - length); /* 256 to 511 */
  uint32_t x = (uint32_t)mantissa - 256u;
  return (int32_t)((length - 1) * 16u + ((x * (344u - (88u * x >> 8))) >> 12));
}

static uint32_t number_bits(uint32_t value, unsigned usual) {
  return 2u * length64((uint64_t)value + (1ull << usual)) - usual - 1u;
}

static uint32_t zigzag(int32_t value) {
  return (uint32_t)value << 1 ^ (0u - (value < 0));
}

static uint32_t factor_bits(const predictor *p) {
  if (p->form <= PREDICTOR_BEND) return 2;
  uint32_t bits = 6;
  for (unsigned i = 0; i < predictor_orders[p->form]; i++)
    bits += number_bits(zigzag((int32_t)p->own[i]), p->precision - FACTOR_LESS);
  for (unsigned i = 0; p->uses_other && i < PREDICTOR_OTHERS; i++)
    bits += number_bits(zigzag((int32_t)p->other[i]), p->precision - FACTOR_LESS);
  return bits;
}

/* The sum of squares that a predictor leaves, by the sums. */
static int64_t left_over(const fit *f, const predictor *p) {
  int32_t c[FIT_TERMS] = {0};
  unsigned first = p->uses_other ? OTHER : OWN, end = OWN + predictor_orders[p->form];
  for (unsigned i = OWN; i < end; i++) c[i] = (int32_t)p->own[i - OWN];
  int32_t limit = 1 << (p->precision + 5);
  for (unsigned i = OTHER; i < OWN; i++) {
    int64_t even = scaled(p->other[i - OTHER], -f->other_gain);
    c[i] = even > limit ? limit : even < -limit ? -limit : (int32_t)even;
  }
  int64_t total = (int64_t)f->sums[pair(NOW, NOW)] << p->precision;
  for (unsigned i = first; i < end; i++) {
    const int32_t *row = &f->sums[pair(i, 0)];
    int64_t sum = 0;
    for (unsigned j = first; j < i; j++) sum += (int64_t)row[j] * c[j];
    sum = (2 * sum + (int64_t)row[i] * c[i]) >> p->precision;
    total += (sum - 2 * (int64_t)f->sums[pair(NOW, i)]) * c[i];
  }
  return total < 0 ? 0 : total >> p->precision;
}

/* ---- Choosing ------------------------------------------------------------------------------- */

typedef struct choice {
  predictor best;
  int64_t bits; /* in sixteenths */
  uint32_t steps;
} choice;

static void consider(const fit *f, choice *c, const predictor *p, uint32_t bits) {
  int64_t error = left_over(f, p);
  if (error < f->floor) error = f->floor;
  int64_t all = (int64_t)c->steps * log16((uint64_t)error) / 2 + 16 * (int64_t)bits;
  if (all >= c->bits) return;
  c->bits = all;
  c->best = *p;
}

static int32_t rounded(int32_t factor, int up, unsigned precision) {
  int64_t limit = (1 << (precision + 4)) - 1;
  int64_t value = (scaled(factor, up) + (1 << (15 - precision))) >> (16 - precision);
  return (int32_t)(value > limit ? limit : value < -limit ? -limit : value);
}

static void consider_solved(const fit *f, choice *c, const terms *t, uint8_t form) {
  int32_t factor[FIT_TERMS];
  terms some = {t->first, OWN + predictor_orders[form]};
  substitute(f, &some, factor);
  for (uint8_t precision = PREDICTOR_PRECISION_MIN; precision <= PREDICTOR_PRECISION_MAX;
       precision = (uint8_t)(precision + 2u)) {
    predictor p = {.form = form, .precision = precision, .uses_other = t->first == OTHER};
    for (unsigned i = OWN; i < some.end; i++) p.own[i - OWN] = rounded(factor[i], 0, precision);
    for (unsigned i = OTHER; p.uses_other && i < OWN; i++)
      p.other[i - OTHER] = rounded(factor[i], f->other_gain, precision);
    consider(f, c, &p, factor_bits(&p));
  }
}

/* The largest form whose factors so many steps can tell. */
static uint8_t form_max(const fit *f) {
  for (uint8_t form = PREDICTOR_FORMS - 1; form > PREDICTOR_BEND; form--) {
    unsigned order = predictor_orders[form];
    if (f->count >= STEPS_PER_SQUARE * order * order) return form;
  }
  return PREDICTOR_BEND;
}

static terms solve(fit *f, unsigned first, unsigned order, int32_t left[FIT_TERMS]) {
  terms t = {first, OWN + order};
  work_load(f, &t);
  eliminate(f, &t, left);
  return t;
}

/* By what each leaves, with some bits for each factor. */
static uint8_t form_choose(const fit *f, const choice *c, const int32_t left[FIT_TERMS]) {
  uint8_t best = PREDICTOR_BEND + 1;
  int64_t least = INT64_MAX;
  for (uint8_t form = best; form <= form_max(f); form++) {
    unsigned order = predictor_orders[form];
    int64_t bits = (int64_t)c->steps * log16((uint64_t)left[OWN + order - 1]) / 2;
    bits += 16 * (int64_t)(FACTOR_BITS_ABOUT * order);
    if (bits >= least) continue;
    least = bits;
    best = form;
  }
  return best;
}

static void choose(fit *f, choice *c) {
  c->bits = INT64_MAX;
  for (uint8_t form = 0; form <= PREDICTOR_BEND; form++) {
    predictor p;
    predictor_fixed(&p, form);
    consider(f, c, &p, factor_bits(&p));
  }
  if (form_max(f) <= PREDICTOR_BEND) return;
  for (int with_other = 0; with_other <= f->has_other; with_other++) {
    int32_t left[FIT_TERMS];
    terms t = solve(f, with_other ? OTHER : OWN, predictor_orders[form_max(f)], left);
    consider_solved(f, c, &t, form_choose(f, c, left));
  }
}

/* Brings the sections to the same error, as far as the best factors for them as they are now tell.
 */
static unsigned reweigh(fit *f) {
  int32_t factor[FIT_TERMS], left[FIT_TERMS];
  unsigned order = predictor_orders[form_max(f)];
  sums_take(f, true);
  terms t = solve(f, OWN, order > ROUGH ? ROUGH : order, left);
  substitute(f, &t, factor);
  factors c = {.count = (int)(t.end - OWN)};
  for (unsigned i = OWN; i < t.end; i++)
    c.own[i - OWN] = clamp16(scaled(factor[i], (int)FACTOR_BITS - 16));
  return weigh(f, &c);
}

bool fit_choose(fit *f, uint32_t steps, const predictor *last, predictor *best, unsigned *scale) {
  choice c = {.steps = steps};
  const factors none = {0};
  sizes_take(f);
  weigh(f, &none);
  unsigned rounds = f->count > FIT_SECTION && form_max(f) > PREDICTOR_BEND ? REWEIGHS : 0;
  while (rounds > 0 && reweigh(f) * SETTLED > sections_of(f)) rounds--;
  sums_take(f, false);
  choose(f, &c);
  bool keep = false;
  if (last != NULL) {
    c.bits += 16; /* a bit for saying that there is another */
    int64_t bits = c.bits;
    consider(f, &c, last, 0);
    keep = c.bits < bits;
  }
  *best = c.best;
  factors first;
  factors_of(&first, f, best);
  *scale = length64(((uint64_t)section_error(f, 0, &first) << f->own_shift) * 3 / 4);
  return keep;
}
