/* SPDX-License-Identifier: Apache-2.0 */
/* mixture.c - see mixture.h; docs/FORMAT.md has the same in numbers. */
#include "mixture.h"

#include <string.h>

#define WHOLE_BITS 16u
#define WHOLE (1u << WHOLE_BITS)
#define BUCKETS 128                    /* to each side: -128 to 127 */
#define FAR_BITS 5u                    /* usual for a number of buckets beyond the outermost */
#define WEIGHTS (WHOLE - 2u * BUCKETS) /* sum: each bucket gets 1 besides */
#define WEIGHT_KEPT 200u               /* by an opinion that is always wrong */
#define ERROR_FIRST 32u                /* an eighth of a step */
#define ERROR_MORE 32u                 /* added to all: a bell is never narrower than that */
#define ERROR_BITS 13u /* more than that of the lesser mean go into a bucket's width */
#define ERROR_MAX (INT32_MAX / 16)
#define NEAR_SCALE 2u /* a prediction is first taken to be 2^2 times as good as the last value */

/* 2^8 * 2048 * 16 / (256 * k * factor): k = 0.6 makes a logistic's width of its mean error; the
 * factors are 1, 1.2 and 3. */
#define SHARPNESS_USUAL 13981013
#define SHARPNESS_BURST 11650844
#define SHARPNESS_NEAR (13981013 / 3)

/* Means over the last 2^shift errors or so. */
#define SHIFT_USUAL 5u
#define SHIFT_BURST 2u
#define SHIFT_NEAR 4u

static const uint32_t first_weights[2][MIXTURE_OPINIONS] = {
    {30280, 26000, 9000, 0},
    {34280, 15000, 7000, 9000},
};

/* 65536 / (1 + exp(-i / 8)), rounded, for i = -96 to 97; at most 65535. */
static const uint16_t logistic[194] = {
    1,     1,     1,     1,     1,     1,     1,     1,     1,     1,     1,     2,     2,
    2,     2,     3,     3,     3,     4,     4,     5,     6,     6,     7,     8,     9,
    10,    12,    13,    15,    17,    19,    22,    25,    28,    32,    36,    41,    47,
    53,    60,    68,    77,    87,    98,    111,   126,   143,   162,   184,   208,   236,
    267,   302,   342,   387,   439,   497,   562,   636,   720,   815,   922,   1042,  1179,
    1333,  1506,  1701,  1921,  2168,  2446,  2758,  3108,  3500,  3938,  4427,  4971,  5577,
    6249,  6992,  7812,  8714,  9702,  10782, 11955, 13226, 14595, 16062, 17625, 19282, 21025,
    22849, 24743, 26695, 28693, 30723, 32768, 34813, 36843, 38841, 40793, 42687, 44511, 46254,
    47911, 49474, 50941, 52310, 53581, 54754, 55834, 56822, 57724, 58544, 59287, 59959, 60565,
    61109, 61598, 62036, 62428, 62778, 63090, 63368, 63615, 63835, 64030, 64203, 64357, 64494,
    64614, 64721, 64816, 64900, 64974, 65039, 65097, 65149, 65194, 65234, 65269, 65300, 65328,
    65352, 65374, 65393, 65410, 65425, 65438, 65449, 65459, 65468, 65476, 65483, 65489, 65495,
    65500, 65504, 65508, 65511, 65514, 65517, 65519, 65521, 65523, 65524, 65526, 65527, 65528,
    65529, 65530, 65530, 65531, 65532, 65532, 65533, 65533, 65533, 65534, 65534, 65534, 65534,
    65535, 65535, 65535, 65535, 65535, 65535, 65535, 65535, 65535, 65535, 65535, 65535,
};
#define LOGISTIC_HALF (96 * 256) /* in 1/2048 */

/* 1024 * ln(p / (1 - p)), for p = (i + 1/2) / 64: a reader's first guess. */
static const int16_t logit[64] = {
    -4960, -3819, -3280, -2918, -2644, -2421, -2232, -2068, -1921, -1789, -1667, -1555, -1450,
    -1351, -1257, -1168, -1083, -1001, -922,  -845,  -770,  -698,  -627,  -557,  -489,  -422,
    -356,  -290,  -225,  -160,  -96,   -32,   32,    96,    160,   225,   290,   356,   422,
    489,   557,   627,   698,   770,   845,   922,   1001,  1083,  1168,  1257,  1351,  1450,
    1555,  1667,  1789,  1921,  2068,  2232,  2421,  2644,  2918,  3280,  3819,  4960,
};

/* All that is done for a step goes into one function: calls would take a tenth of the time. */
#if defined(__GNUC__) && !defined(__OPTIMIZE_SIZE__)
#define FLAT __attribute__((flatten))
#else
#define FLAT
#endif

/* What a mixture expects of one step. */
typedef struct view {
  int64_t linear; /* the prediction, in 1/16 step */
  int32_t base;   /* the step that bucket 0 begins with */
  unsigned bucket_bits;
  int32_t same;                /* the bucket of the last value */
  int32_t offset, near_offset; /* of the bells' centres from the base, in 1/16 bucket */
  int32_t usual, burst, near;  /* 1 / width */
  const uint32_t *weight;
  uint32_t share[MIXTURE_OPINIONS]; /* that each gives the bucket found, of 2^16 */
} view;

/* 1 for 0 too. */
static unsigned bit_length(uint32_t value) {
  return (31u ^ (unsigned)__builtin_clz(value | 1u)) + 1u;
}

static int32_t clamp(int64_t value, int32_t limit) {
  if (value > limit) return limit;
  return value < -limit ? -limit : (int32_t)value;
}

void mixture_begin(mixture *m, unsigned scale, bool predicts, bool is_numeric) {
  memset(m, 0, sizeof *m);
  for (int i = 0; i < MIXTURE_REPEATS; i++)
    memcpy(m->weight[i], first_weights[is_numeric], sizeof m->weight[i]);
  m->usual = m->burst = ERROR_FIRST << scale;
  m->near = predicts ? m->usual << NEAR_SCALE : m->usual;
  m->spare = predicts;
  m->is_numeric = is_numeric;
}

static int32_t sharpness(int32_t whole, uint32_t error, unsigned bucket_bits) {
  return whole / (int32_t)((error >> bucket_bits) + ERROR_MORE);
}

static void expect(const mixture *m, view *v, int64_t linear, bool numeric) {
  uint32_t least = (m->burst < m->usual ? m->burst : m->usual) >> ERROR_BITS;
  unsigned bits = least > 0 ? bit_length(least) : 0;
  int64_t base = (linear + 8) >> 4;
  /* Out of reach: all that matters is that both sides do the same. */
  if (base > INT32_MAX || base < -INT32_MAX) {
    base = base < 0 ? -INT32_MAX : INT32_MAX;
    linear = base * 16;
  }
  v->linear = linear;
  v->base = (int32_t)base;
  v->bucket_bits = bits;
  v->offset = (int32_t)(linear - 16 * base + 8) >> bits;
  v->same = -v->base >> bits;
  v->usual = sharpness(SHARPNESS_USUAL, m->usual, bits);
  v->burst = sharpness(SHARPNESS_BURST, m->burst, bits);
  v->weight = m->weight[m->repeats];
  if (!numeric) return;
  v->near_offset = clamp((8 - 16 * base) >> bits, 16 * BUCKETS);
  v->near = sharpness(SHARPNESS_NEAR, m->near, bits);
}

/* The logistic's integral up to `at`, of 2^16. */
static inline uint32_t integral(int32_t at) {
  uint32_t place = (uint32_t)((at >> 8) + LOGISTIC_HALF);
  if (place > 2 * LOGISTIC_HALF) place = at < 0 ? 0 : 2 * LOGISTIC_HALF;
  const uint16_t *from = &logistic[place >> 8];
  return from[0] + (((uint32_t)from[1] - from[0]) * (place & 255u) >> 8);
}

/* What all opinions say of the steps below a bucket. */
typedef struct edge {
  uint32_t usual, burst, near; /* each bell's integral */
  uint32_t below;              /* their weighed sum, of 2^16: there the bucket's share begins */
} edge;

static inline void edge_find(const view *v, int32_t bucket, bool numeric, edge *e) {
  int32_t at = 16 * bucket - v->offset;
  e->usual = integral(at * v->usual);
  e->burst = integral(at * v->burst);
  uint32_t sum = v->weight[MIXTURE_USUAL] * e->usual + v->weight[MIXTURE_BURST] * e->burst;
  if (bucket > v->same) sum += v->weight[MIXTURE_SAME] * WHOLE;
  e->near = 0;
  if (numeric) {
    e->near = integral((16 * bucket - v->near_offset) * v->near);
    sum += v->weight[MIXTURE_NEAR] * e->near;
  }
  e->below = (sum >> WHOLE_BITS) + (uint32_t)(bucket + BUCKETS); /* each bucket has 1 besides */
}

/* The share of the bucket that has these edges; returns where it begins. */
static inline uint32_t share_of(view *v, int32_t bucket, const edge *low, const edge *high,
                                uint32_t *share) {
  v->share[MIXTURE_SAME] = bucket == v->same ? WHOLE : 0;
  v->share[MIXTURE_USUAL] = high->usual - low->usual;
  v->share[MIXTURE_BURST] = high->burst - low->burst;
  v->share[MIXTURE_NEAR] = high->near - low->near;
  /* The outermost have all that is left. */
  uint32_t begin = bucket == -BUCKETS ? 0 : low->below;
  uint32_t end = bucket == BUCKETS - 1 ? WHOLE : high->below;
  *share = end - begin;
  return begin;
}

/* The bucket in which a place lies, and its edges: first tried where it would be if the heavier
 * bell were alone; then as far off as that bell's slope there says; that failing, by halving. */
static int32_t find(const view *v, uint32_t place, bool numeric, edge *low, edge *high) {
  int32_t first = -BUCKETS, last = BUCKETS - 1; /* it is one of these */
  bool calm = v->weight[MIXTURE_USUAL] > v->weight[MIXTURE_BURST];
  int32_t sharp = (calm ? v->usual : v->burst) + 1;
  uint32_t slope = (uint32_t)((uint64_t)place * (WHOLE - place) * (uint32_t)sharp >> 31) + 1u;
  int32_t at = clamp((logit[place >> 10] * 512 / sharp + v->offset) >> 4, BUCKETS - 1);
  int32_t high_at = at; /* whose lower edge `high` is */
  edge_find(v, at, numeric, low);
  *high = *low;
  for (int round = 0;; round++) { /* each takes at least one bucket off */
    if (at > first && place < low->below) {
      *high = *low;
      high_at = at;
      last = at - 1;
      at = last - (int32_t)((low->below - 1u - place) / slope);
    } else {
      if (high_at != at + 1) edge_find(v, at + 1, numeric, high);
      if (at == last || place < high->below) return at;
      *low = *high;
      high_at = first = at + 1;
      at = first + (int32_t)((place - low->below) / slope);
      if (at == first && round < 4) continue;
    }
    if (round > 3) at = first + (last - first) / 2;
    if (at < first) at = first;
    if (at > last) at = last;
    edge_find(v, at, numeric, low);
  }
}

static void weigh(mixture *m, const view *v, bool numeric) {
  uint32_t *weight = m->weight[m->repeats];
  uint32_t usual = weight[MIXTURE_USUAL] * (v->share[MIXTURE_USUAL] + 1u) >> 4;
  uint32_t burst = weight[MIXTURE_BURST] * (v->share[MIXTURE_BURST] + 1u) >> 4;
  uint32_t same = weight[MIXTURE_SAME] * (v->share[MIXTURE_SAME] + 1u) >> 4;
  uint32_t near = numeric ? weight[MIXTURE_NEAR] * (v->share[MIXTURE_NEAR] + 1u) >> 4 : 0;
  uint32_t sum = usual + burst + same + near;
  unsigned length = bit_length(sum), shift = length > 16 ? length - 16u : 0;
  uint32_t unit = ((WEIGHTS - MIXTURE_OPINIONS * WEIGHT_KEPT) << 15) / ((sum >> shift) + 1u);
  weight[MIXTURE_USUAL] = WEIGHT_KEPT + ((usual >> shift) * unit >> 15);
  weight[MIXTURE_BURST] = WEIGHT_KEPT + ((burst >> shift) * unit >> 15);
  weight[MIXTURE_SAME] = WEIGHT_KEPT + ((same >> shift) * unit >> 15);
  if (numeric) weight[MIXTURE_NEAR] = WEIGHT_KEPT + ((near >> shift) * unit >> 15);
}

static uint32_t magnitude(int64_t error) {
  if (error < 0) error = -error;
  return error > ERROR_MAX ? ERROR_MAX : (uint32_t)error;
}

/* `error` in 1/16 step. */
static void mean_move(uint32_t *mean, uint32_t error, unsigned shift) {
  *mean = (uint32_t)((int32_t)*mean + (((int32_t)(error * 16u) - (int32_t)*mean) >> shift));
}

static void learn(mixture *m, const view *v, int32_t step, bool numeric) {
  unsigned age = SHIFT_USUAL;
  bool spare = false;
  if (m->seen < 17) { /* at first means are over fewer errors */
    spare = m->seen == 0 && m->spare;
    age = m->seen < 5 ? 2 : 3;
    m->seen++;
  }
  if (numeric)
    mean_move(&m->near, magnitude(16 * (int64_t)step), age < SHIFT_NEAR ? age : SHIFT_NEAR);
  if (!spare) {
    weigh(m, v, numeric);
    uint32_t error = magnitude(16 * (int64_t)step - v->linear);
    uint32_t most = m->usual / 2 + 16u; /* eight times the mean: one outlier is not to spoil it */
    mean_move(&m->usual, error < most ? error : most, age);
    mean_move(&m->burst, error, SHIFT_BURST);
  }
  if (step != 0)
    m->repeats = 0;
  else if (m->repeats < MIXTURE_REPEATS - 1)
    m->repeats++;
}

/* ---- Writing and reading -------------------------------------------------------------------- */

static void far_put(range_out *out, int64_t bucket) {
  if (bucket <= -BUCKETS) range_put_number(out, (uint32_t)(-BUCKETS - bucket), FAR_BITS);
  if (bucket >= BUCKETS - 1) range_put_number(out, (uint32_t)(bucket - (BUCKETS - 1)), FAR_BITS);
}

static inline void put(mixture *m, range_out *out, int64_t linear, int32_t step, bool numeric) {
  view v;
  expect(m, &v, linear, numeric);
  int64_t off = (int64_t)step - v.base, bucket = off >> v.bucket_bits;
  bool is_far = bucket <= -BUCKETS || bucket >= BUCKETS - 1;
  int32_t nearest = is_far ? (bucket < 0 ? -BUCKETS : BUCKETS - 1) : (int32_t)bucket;
  edge low, high;
  edge_find(&v, nearest, numeric, &low);
  edge_find(&v, nearest + 1, numeric, &high);
  uint32_t share, place = share_of(&v, nearest, &low, &high, &share);
  range_put(out, place, share, WHOLE_BITS);
  if (is_far) far_put(out, bucket);
  if (v.bucket_bits > 0) range_put_bits(out, (uint32_t)off, v.bucket_bits);
  learn(m, &v, step, numeric);
}

static inline int32_t get(mixture *m, range_in *in, int64_t linear, bool numeric) {
  view v;
  expect(m, &v, linear, numeric);
  edge low, high;
  int32_t found = find(&v, range_find(in, WHOLE_BITS), numeric, &low, &high);
  uint32_t share, place = share_of(&v, found, &low, &high, &share);
  range_take(in, place, share, WHOLE_BITS);
  int64_t bucket = found;
  if (bucket == -BUCKETS) bucket -= range_number(in, FAR_BITS);
  if (bucket == BUCKETS - 1) bucket += range_number(in, FAR_BITS);
  uint64_t off = (uint64_t)bucket << v.bucket_bits;
  if (v.bucket_bits > 0) off |= range_bits(in, v.bucket_bits);
  int32_t step = (int32_t)((uint32_t)off + (uint32_t)v.base);
  learn(m, &v, step, numeric);
  return step;
}

FLAT void mixture_put(mixture *m, range_out *out, const predictor *p, const int32_t *own,
                      const int32_t *other, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    int64_t linear = predictor_step(p, own + i, other + i);
    if (m->is_numeric)
      put(m, out, linear, own[i], true);
    else
      put(m, out, linear, own[i], false);
  }
}

FLAT void mixture_get(mixture *m, range_in *in, const predictor *p, int32_t *own,
                      const int32_t *other, uint32_t count) {
  for (uint32_t i = 0; i < count && !in->bad; i++) {
    int64_t linear = predictor_step(p, own + i, other + i);
    own[i] = m->is_numeric ? get(m, in, linear, true) : get(m, in, linear, false);
  }
}
