/* SPDX-License-Identifier: Apache-2.0 */
/* test_model.c - frames as columns: whatever is recorded comes back, the bytes are the same in
 * every run, and no bytes make the decoder step out of its memory or not come to an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "batch.h"
#include "code_fixture.h"
#include "hostile.h"
#include "model.h"

enum { BLOCK = 256, ROOM = MODEL_COLUMN_MAX + 1, WRITER_BYTES_MAX = 6144, HAIR = 8 };
#define BLOCKS_BYTES (HTEL_CHANNELS_MAX * ROOM / 4u)

/* What was recorded on a channel. */
typedef struct track {
  uint32_t count, coded; /* readings; of which are in blocks */
  int32_t values[ROOM];
  uint64_t ticks[ROOM];
  uint8_t quality[ROOM];
} track;

static htel_channel channels[HTEL_CHANNELS_MAX];
static uint16_t channel_count;
static track tracks[HTEL_CHANNELS_MAX];
static uint8_t blocks[BLOCKS_BYTES], out[BLOCKS_BYTES];
static size_t used, size; /* of blocks, of out */
static size_t fast;       /* what FAST would take */
static bool modelled;
static const uint64_t frame_tick = 1000000;
static htel_frame frame;
static htel_birth birth;
static htel_reader reader;
static htel_series series;
static uint64_t memory[WRITER_BYTES_MAX / 8];

static void begin(unsigned count, uint8_t kind, htel_rate rate) {
  channel_count = (uint16_t)count;
  used = fast = 0;
  memset(&birth, 0, sizeof birth);
  birth.channel_count = channel_count;
  for (unsigned i = 0; i < count; i++) {
    channels[i] = (htel_channel){.code = i, .kind = kind, .rate = rate};
    birth.channels[i].kind = kind;
    birth.channels[i].rate = rate;
    tracks[i].count = tracks[i].coded = 0;
  }
}

/* ---- Recording --------------------------------------------------------------------------------
 */

static void put(unsigned channel, int32_t value, uint8_t quality, uint64_t tick) {
  track *t = &tracks[channel];
  t->values[t->count] = value;
  t->quality[t->count] = quality;
  t->ticks[t->count++] = tick;
}

static void block_add(const code_column *c) {
  size_t room = sizeof blocks - used - 2;
  uint8_t *to = blocks + used + 2;
  size_t bytes = code_block_encode(c, frame_tick, CODE_RICE, to, room);
  fast += bytes;
  bytes = code_block_encode(c, frame_tick, CODE_QUICK, to, room);
  assert_in_range(bytes, 1, code_block_bytes_max(c->count));
  blocks[used] = (uint8_t)bytes;
  blocks[used + 1] = (uint8_t)(bytes >> 8);
  used += 2 + bytes;
}

/* The readings from `begin_at` on that were not yet coded, as blocks. */
static void code_waveform(unsigned channel, uint64_t begin_at, uint32_t phase) {
  track *t = &tracks[channel];
  htel_rate rate = channels[channel].rate;
  uint32_t first = t->coded;
  while (t->coded < t->count) {
    uint64_t past = phase + (uint64_t)(t->coded - first) * 1000u * rate.den;
    uint32_t n = 1;
    while (n < BLOCK && t->coded + n < t->count && t->quality[t->coded + n] == t->quality[t->coded])
      n++;
    code_column c = {.channel = (uint8_t)channel,
                     .kind = HTEL_WAVEFORM,
                     .count = (uint16_t)n,
                     .values = t->values + t->coded,
                     .quality_all = t->quality[t->coded],
                     .tick_first = begin_at + past / rate.num,
                     .phase = (uint32_t)(past % rate.num),
                     .continues = t->coded > first};
    for (uint32_t i = 0; i < n; i++, past += 1000u * rate.den)
      t->ticks[t->coded + i] = begin_at + past / rate.num;
    block_add(&c);
    t->coded += n;
  }
}

static void code_numeric(unsigned channel) {
  track *t = &tracks[channel];
  while (t->coded < t->count) {
    uint32_t n = t->count - t->coded < BLOCK ? t->count - t->coded : BLOCK;
    uint32_t ticks[BLOCK];
    for (uint32_t i = 0; i < n; i++) ticks[i] = (uint32_t)t->ticks[t->coded + i];
    code_column c = {.channel = (uint8_t)channel,
                     .kind = HTEL_NUMERIC,
                     .count = (uint16_t)n,
                     .values = t->values + t->coded,
                     .quality = t->quality + t->coded,
                     .tick_first = t->ticks[t->coded],
                     .ticks = ticks};
    block_add(&c);
    t->coded += n;
  }
}

static void code_all(void) {
  for (unsigned i = 0; i < channel_count; i++) {
    if (channels[i].kind == HTEL_WAVEFORM)
      code_waveform(i, frame_tick, 0);
    else
      code_numeric(i);
  }
}

/* ---- Reading back -----------------------------------------------------------------------------
 */

/* As pack.c has it done. The blocks are kept for the next time. */
static size_t written(uint8_t *to) {
  static uint8_t given[BLOCKS_BYTES];
  memcpy(given, blocks, used);
  size_t bytes = model_write(memory, channels, channel_count, given, used, to, &modelled);
  assert_in_range(bytes, 1, used);
  if (!modelled) memcpy(to, given, bytes);
  return bytes;
}

/* Twice, the second time in memory with something else in it: the bytes must be the same. */
static void write_frame(void) {
  static uint8_t again[BLOCKS_BYTES];
  assert_in_range(model_writer_bytes(), 1, sizeof memory);
  memset(memory, 0xFF, sizeof memory);
  size = written(again);
  bool was_modelled = modelled;
  memset(memory, 0x5A, sizeof memory);
  assert_int_equal(written(out), size);
  assert_int_equal(modelled, was_modelled);
  assert_memory_equal(out, again, size);
  /* Whether blocks are smaller is told by how each begins: that may be wrong, but not by much. */
  assert_in_range(size, 1, fast + fast / HAIR + 16);
}

static void open_frame(size_t bytes) {
  memset(&frame, 0, sizeof frame);
  frame.tick = frame_tick;
  frame.coding = modelled ? 2 : 0;
  frame.data = out;
  frame.data_bytes = bytes;
}

static void expect_all(void) {
  static uint32_t at[HTEL_CHANNELS_MAX];
  memset(at, 0, sizeof at);
  open_frame(size);
  assert_int_equal(htel_reader_open(&reader, &frame, &birth), 0);
  int rc;
  while ((rc = htel_reader_next(&reader, &series)) == 1) {
    assert_in_range(series.channel, 0, channel_count - 1u);
    const track *t = &tracks[series.channel];
    uint32_t from = at[series.channel];
    assert_in_range(series.count, 1, t->count - from);
    assert_memory_equal(series.values, t->values + from, series.count * sizeof t->values[0]);
    assert_memory_equal(series.ticks, t->ticks + from, series.count * sizeof t->ticks[0]);
    assert_memory_equal(series.quality, t->quality + from, series.count);
    at[series.channel] += series.count;
  }
  assert_int_equal(rc, 0);
  for (unsigned i = 0; i < channel_count; i++) assert_int_equal(at[i], tracks[i].count);
}

static void check_comes_back(void) {
  code_all();
  write_frame();
  expect_all();
}

static void check_modelled(void) {
  check_comes_back();
  assert_true(modelled);
}

/* ---- Signals -----------------------------------------------------------------------------------
 */

static const htel_rate ecg = {360, 1}, none = {0, 0}, second = {1, 1};

static void put_valid(unsigned channel, int32_t value) {
  track *t = &tracks[channel];
  uint64_t last = t->count > 0 ? t->ticks[t->count - 1] + 1000 : frame_tick;
  put(channel, value, HTEL_VALID, last);
}

static void put_walk(unsigned channel, sim_random *r, uint32_t range, uint32_t count) {
  uint32_t value = random_u32(r) >> 20;
  for (uint32_t i = 0; i < count; i++) {
    value += (uint32_t)random_around(r, range);
    put_valid(channel, (int32_t)value);
  }
}

/* A wave with some noise: what predictors are for. */
static void put_wave(unsigned channel, sim_random *r, uint32_t count) {
  int32_t x = 0, v = 40 << 8;
  for (uint32_t i = 0; i < count; i++) {
    x += v >> 4;
    v -= x >> 5;
    put_valid(channel, (x >> 4) + random_around(r, 2));
  }
}

static void test_every_length_comes_back(void **state) {
  (void)state;
  sim_random r = {1};
  for (uint32_t count = 1; count <= 600; count++) {
    begin(1, HTEL_WAVEFORM, ecg);
    put_wave(0, &r, count);
    check_modelled();
    begin(2, count % 2 ? HTEL_NUMERIC : HTEL_WAVEFORM, count % 2 ? second : ecg);
    put_walk(0, &r, 1u << count % 9, count);
    for (uint32_t i = 0; i < count; i++)
      put_valid(1, tracks[0].values[i] / 2 + random_around(&r, 1));
    check_comes_back();
  }
}

static void test_walks_of_every_size_come_back(void **state) {
  (void)state;
  sim_random r = {2};
  for (unsigned bits = 0; bits < 31; bits++) {
    for (unsigned kind = HTEL_NUMERIC; kind <= HTEL_WAVEFORM; kind++) {
      begin(1, (uint8_t)kind, ecg);
      put_walk(0, &r, 1u << bits, 700);
      check_comes_back();
    }
  }
}

static void test_shapes_come_back(void **state) {
  (void)state;
  sim_random r = {3};
  for (unsigned shape = 0; shape < SHAPE_COUNT; shape++) {
    for (unsigned n = 0; n < 40; n++) {
      unsigned kind = n % 2 ? HTEL_NUMERIC : HTEL_WAVEFORM;
      begin(3, (uint8_t)kind, n % 3 ? ecg : second);
      uint16_t count = (uint16_t)(1 + random_below(&r, HTEL_COLUMN_SAMPLES_MAX));
      for (unsigned i = 0; i < 3; i++) {
        int32_t values[HTEL_COLUMN_SAMPLES_MAX];
        fixture_values(&r, n < 20 ? shape : random_below(&r, SHAPE_COUNT), values, count);
        for (unsigned j = 0; j < count; j++) put_valid(i, values[j]);
      }
      check_comes_back();
    }
  }
}

static void test_extremes_come_back(void **state) {
  (void)state;
  static const int32_t ends[] = {INT32_MIN, INT32_MAX, 0, -1, 1, INT32_MIN + 1, INT32_MAX - 1};
  sim_random r = {4};
  for (unsigned n = 0; n < 60; n++) {
    begin(2, n % 2 ? HTEL_NUMERIC : HTEL_WAVEFORM, second);
    for (unsigned i = 0; i < 300; i++) {
      /* in turn, at random, seldom, or as a square wave */
      unsigned which = n % 4 == 0   ? i
                       : n % 4 == 1 ? random_below(&r, 7)
                       : n % 4 == 2 ? (random_below(&r, 50) == 0 ? random_below(&r, 7) : 2)
                                    : i / 32;
      put_valid(0, ends[which % 7]);
      put_valid(1, ends[n % 3 ? which % 2 : random_below(&r, 7)]);
    }
    check_comes_back();
  }
}

static void test_still_signals_take_hardly_a_byte(void **state) {
  (void)state;
  begin(4, HTEL_WAVEFORM, ecg);
  for (unsigned i = 0; i < 4 * 3600; i++) put_valid(i / 3600, (int32_t)(i / 3600) * 1000 - 7);
  check_modelled();
  assert_in_range(size, 1, 16);
}

/* What predictors and bells are not made for. */
static int32_t odd_value(sim_random *r, unsigned sort, uint32_t i) {
  static const int32_t ends[] = {INT32_MIN, INT32_MAX};
  int32_t noise = random_around(r, 2);
  switch (sort) {
    case 0: return i % 173 == 0 ? 20000 : noise;        /* a pacemaker's spikes */
    case 1: return (i / 62 % 2 ? 1000 : -1000) + noise; /* calibration */
    case 2: return random_below(r, 33) ? 0 : (int32_t)random_below(r, 4000);
    case 3: return (int32_t)random_u32(r);                            /* over all of int32 */
    case 4: return random_below(r, 100) ? noise : ends[i % 2];        /* a loose wire */
    case 5: return random_below(r, 100) ? (int32_t)(i % 90) : -32768; /* lead off */
    case 6: return i / 500 % 2 ? -32768 : noise;
    case 7: return (int32_t)(i * 37 % 65536);                    /* a counter */
    case 8: return i / 700 % 5 ? noise : random_around(r, 3000); /* bursts */
    default: return (int32_t)random_below(r, 65536) - 32768;
  }
}

enum { ODD_SORTS = 10 };

static void test_odd_signals_are_not_larger_than_at_fast(void **state) {
  (void)state;
  sim_random r = {16};
  for (unsigned n = 0; n < 2 * ODD_SORTS; n++) {
    size_t sum = 0, fast_sum = 0;
    for (unsigned frames = 0; frames < 10; frames++) {
      begin(2, n % 2 ? HTEL_NUMERIC : HTEL_WAVEFORM, second);
      for (uint32_t i = 0; i < 3000; i++) {
        put_valid(0, odd_value(&r, n / 2, i));
        put_valid(1, odd_value(&r, n / 2, i + 1));
      }
      check_comes_back();
      sum += size;
      fast_sum += fast;
    }
    assert_in_range(sum, 1, fast_sum + fast_sum / 50);
  }
}

static void test_what_columns_do_not_have_is_as_at_fast(void **state) {
  (void)state;
  sim_random r = {17};
  begin(1, HTEL_WAVEFORM, ecg);
  put_walk(0, &r, 100, 2000);
  for (unsigned i = 0; i < 2000; i += 20) tracks[0].quality[i] = HTEL_NO_VALUE;
  check_comes_back();
  assert_false(modelled);
  assert_in_range(size, 1, fast);
}

static void test_divisors_come_back(void **state) {
  (void)state;
  static const int64_t divisors[] = {2, 3, 5, 1000, 65536, 715827882, INT32_MAX, 1ll << 31};
  sim_random r = {5};
  for (unsigned d = 0; d < 8; d++) {
    for (unsigned n = 0; n < 4; n++) {
      begin(2, n % 2 ? HTEL_NUMERIC : HTEL_WAVEFORM, second);
      int64_t value = n < 2 ? 17 : INT32_MIN;
      for (unsigned i = 0; i < 400; i++) {
        int64_t next = value + random_around(&r, 3) * divisors[d];
        if (next == (int32_t)next) value = next;
        put_valid(0, (int32_t)value);
        put_valid(1, (int32_t)(value / 3) + (int32_t)(i & 1));
      }
      check_comes_back();
    }
  }
}

static void test_pairs_cost_less_than_two(void **state) {
  (void)state;
  sim_random r = {6};
  for (unsigned kind = HTEL_NUMERIC; kind <= HTEL_WAVEFORM; kind++) {
    begin(1, (uint8_t)kind, second);
    put_walk(0, &r, 500, 3000);
    check_modelled();
    size_t alone = size;
    begin(2, (uint8_t)kind, second);
    put_walk(0, &r, 500, 3000);
    for (unsigned i = 0; i < 3000; i++) put_valid(1, tracks[0].values[i] + random_around(&r, 1));
    check_modelled();
    assert_in_range(size, alone, alone * 3 / 2);
  }
}

static void test_long_columns_come_back(void **state) {
  (void)state;
  static const uint32_t counts[] = {4095, 4096, 4097, 4098, 8193, 20000, MODEL_COLUMN_MAX};
  sim_random r = {7};
  for (unsigned n = 0; n < 7; n++) {
    begin(2, HTEL_WAVEFORM, ecg);
    put_wave(0, &r, counts[n]);
    put_walk(1, &r, 3, counts[n]);
    check_modelled();
  }
  begin(1, HTEL_WAVEFORM, ecg);
  put_walk(0, &r, 3, MODEL_COLUMN_MAX + 1);
  check_comes_back();
  assert_false(modelled);
}

static void test_a_frame_is_full_before_a_column_is_too_long(void **state) {
  (void)state;
  enum { ROOM_OF_COLUMN = 200 };
  static int32_t values[ROOM_OF_COLUMN];
  batch_column column = {.values = values, .room = ROOM_OF_COLUMN};
  begin(1, HTEL_WAVEFORM, (htel_rate){1000, 1});
  batch b = {.channels = channels, .channel_count = 1, .for_model = true, .columns = &column};
  batch_frame *f = &b.frames[HTEL_CLASS_WAVEFORM];
  *f = (batch_frame){.blocks = blocks, .room = sizeof blocks, .serial = 1};
  uint32_t count = 0;
  uint16_t room;
  while (count < 2 * MODEL_COLUMN_MAX) {
    assert_true(batch_samples_begin(&b, 0, count, false, ROOM_OF_COLUMN, false, HTEL_VALID));
    if (batch_samples_room(&b, 0, &room) == NULL) break;
    batch_samples_added(&b, 0, room, count);
    count += room;
  }
  assert_in_range(f->readings, MODEL_COLUMN_MAX - ROOM_OF_COLUMN + 1, MODEL_COLUMN_MAX);
  assert_false(batch_flush(&b, HTEL_CLASS_WAVEFORM));
  batch_taken(&b, HTEL_CLASS_WAVEFORM);
  assert_true(batch_flush(&b, HTEL_CLASS_WAVEFORM));
  assert_int_equal(f->readings, ROOM_OF_COLUMN);
}

static void test_64_channels_come_back(void **state) {
  (void)state;
  sim_random r = {8};
  for (unsigned kind = HTEL_NUMERIC; kind <= HTEL_WAVEFORM; kind++) {
    for (unsigned n = 0; n < 6; n++) {
      begin(64, (uint8_t)kind, ecg);
      for (unsigned i = 0; i < 64; i++) {
        if (random_below(&r, 4) == 0 && i > 0) continue; /* not all channels are in a frame */
        put_walk(i, &r, 1u << random_below(&r, 12), n == 0 ? 1 : 1 + random_below(&r, 100));
      }
      check_comes_back();
    }
  }
}

/* ---- Times and qualities -----------------------------------------------------------------------
 */

static void test_gaps_come_back(void **state) {
  (void)state;
  static const htel_rate rates[] = {{360, 1}, {1000, 3}, {1, 60}, {1000000, 1}, {1, 1000000}};
  sim_random r = {9};
  for (unsigned n = 0; n < 100; n++) {
    unsigned runs = 1 + random_below(&r, n < 90 ? MODEL_RUNS_MAX : 2 * MODEL_RUNS_MAX);
    htel_rate rate = rates[n % 5];
    begin(2, HTEL_WAVEFORM, rate);
    uint64_t tick = frame_tick;
    for (unsigned run = 0; run < runs; run++) {
      for (unsigned i = 0; i < 2; i++) {
        put_walk(i, &r, 20, 1 + random_below(&r, 90));
        code_waveform(i, tick, random_below(&r, rate.num));
      }
      tick += random_below(&r, 100000);
      if (random_below(&r, 8) == 0) tick -= random_below(&r, 300000); /* a clock put back */
    }
    check_comes_back();
    assert_true(modelled || runs > MODEL_RUNS_MAX || n % 5 != 0);
  }
}

static void test_waveform_qualities_come_back(void **state) {
  (void)state;
  sim_random r = {10};
  for (unsigned n = 0; n < 50; n++) {
    begin(2, HTEL_WAVEFORM, ecg);
    for (unsigned i = 0; i < 2; i++) {
      put_walk(i, &r, 20, 500);
      uint8_t quality = 0;
      for (unsigned k = 0; k < 500; k++) {
        if (random_below(&r, n < 40 ? 100 : 8) == 0) quality = (uint8_t)random_below(&r, 8);
        tracks[i].quality[k] = quality;
      }
    }
    check_comes_back();
  }
}

static void test_numeric_times_and_qualities_come_back(void **state) {
  (void)state;
  sim_random r = {11};
  for (unsigned n = 0; n < 300; n++) {
    begin(3, HTEL_NUMERIC, n % 4 == 0 ? none : n % 4 == 1 ? (htel_rate){1, 60} : second);
    uint64_t begin_at = frame_tick + (n % 3 ? 0 : random_below(&r, 5000));
    uint32_t count = 1 + random_below(&r, 300), bad = n % 5 == 0 ? 0 : 2 + random_below(&r, 20);
    for (unsigned i = 0; i < 3; i++) {
      uint64_t tick = begin_at;
      for (uint32_t k = 0; k < count; k++) {
        bool is_bad = bad > 0 && random_below(&r, bad) == 0;
        uint8_t quality = is_bad ? (uint8_t)random_below(&r, 8) : HTEL_VALID;
        put(i, quality == HTEL_NO_VALUE ? -32768 : random_around(&r, 50), quality, tick);
        if (n % 7 == 6 && quality == HTEL_NO_VALUE && k % 3 == 0)
          tracks[i].values[k] = (int32_t)random_u32(&r); /* kept as recorded */
        tick += n % 6 < 2 ? 1000 : n % 6 < 4 ? 900 + random_below(&r, 200) : 60000;
        if (n % 6 == 5 && random_below(&r, 10) == 0) tick -= random_below(&r, 400000);
      }
    }
    check_comes_back();
  }
}

static void test_nothing_but_missing_values_comes_back(void **state) {
  (void)state;
  for (uint32_t count = 1; count < 80; count++) {
    begin(2, HTEL_NUMERIC, second);
    for (unsigned i = 0; i < 2 * count; i++)
      put(i % 2, -32768, HTEL_NO_VALUE, frame_tick + i / 2 * 1000);
    check_modelled();
  }
}

static void test_far_ticks_come_back(void **state) {
  (void)state;
  sim_random r = {12};
  for (unsigned n = 0; n < 60; n++) {
    begin(1, HTEL_NUMERIC, second);
    uint64_t tick = frame_tick + (n % 2 ? 1ull << random_below(&r, 40) : 0);
    for (unsigned k = 0; k < 40; k++) {
      put(0, random_around(&r, 9), HTEL_VALID, tick);
      code_numeric(0); /* far apart: each in a block of its own */
      tick += 1ull << random_below(&r, 34);
    }
    check_comes_back();
  }
}

/* ---- Anything at all ---------------------------------------------------------------------------
 */

/* Reads what there is; there must be an end, and not more than columns can hold. */
static void read_anything(size_t bytes) {
  modelled = true;
  open_frame(bytes);
  if (htel_reader_open(&reader, &frame, &birth) != 0) return;
  uint64_t readings = 0;
  while (htel_reader_next(&reader, &series) == 1) readings += series.count;
  assert_in_range(readings, 0, (uint64_t)channel_count * MODEL_COLUMN_MAX);
  assert_int_not_equal(htel_reader_next(&reader, &series), 1); /* and it stays at the end */
}

static void mixed_frame(sim_random *r) {
  unsigned kind = random_below(r, 2) ? HTEL_NUMERIC : HTEL_WAVEFORM;
  begin(4, (uint8_t)kind, second);
  for (unsigned i = 0; i < 4; i++) {
    put_walk(i, r, 1u << random_below(r, 20), 20 + i / 2 * random_below(r, 200));
    for (unsigned k = 0; kind == HTEL_NUMERIC && k < tracks[i].count; k++) {
      if (random_below(r, 30) == 0) tracks[i].quality[k] = (uint8_t)random_below(r, 8);
      if (i == 1) tracks[i].ticks[k] += random_below(r, 300);
    }
  }
  code_all();
  write_frame();
}

static void test_broken_frames_end(void **state) {
  (void)state;
  sim_random r = {13};
  static uint8_t good[BLOCKS_BYTES];
  for (unsigned n = 0; n < 40; n++) {
    mixed_frame(&r);
    memcpy(good, out, size);
    for (size_t bytes = 0; bytes < size; bytes += 1 + bytes / 16) read_anything(bytes);
    for (unsigned k = 0; k < 100; k++) {
      memcpy(out, good, size);
      for (unsigned flips = 1 + random_below(&r, 3); flips > 0; flips--)
        out[random_below(&r, (uint32_t)size)] ^= (uint8_t)(1u << random_below(&r, 8));
      read_anything(size);
    }
  }
}

static void test_cut_frames_are_refused(void **state) {
  (void)state;
  sim_random r = {15};
  begin(1, HTEL_WAVEFORM, ecg);
  put_walk(0, &r, 100, 3600);
  check_modelled();
  for (size_t cut = 5; cut < size; cut += 101) {
    open_frame(size - cut);
    assert_int_equal(htel_reader_open(&reader, &frame, &birth), 0);
    assert_int_equal(htel_reader_next(&reader, &series), HTEL_E_FORMAT);
  }
}

/* A column's numbers as a writer would put them, of which the last one given is out of range. */
typedef enum wrong {
  NOTHING_WRONG,
  COLUMNS,
  CHANNEL,
  COUNT,
  RUNS,
  RUN_LENGTH_0,
  RUN_LENGTH,
  PHASE,
  QUALITY_RUNS,
  QUALITY_LENGTH,
  DIVISOR,
  FORM,
  FACTOR,
  SCALE,
  WRONGS
} wrong;

static void put_wrong(wrong what) {
  range_out to;
  range_out_begin(&to, out, 4096);
  range_put_number(&to, what == COLUMNS ? 2 : 0, 0);
  range_put_number(&to, what == CHANNEL ? 2 : 0, 0);
  uint32_t count = what == COUNT ? MODEL_COLUMN_MAX + 1u : 600;
  range_put_number(&to, count - 1, MODEL_COUNT_WAVEFORM);
  range_put_bits(&to, 1, 1); /* not plain */
  uint32_t runs = what == RUNS ? MODEL_RUNS_MAX + 1 : MODEL_RUNS_MAX;
  range_put_number(&to, runs - 1, 0);
  for (uint32_t i = 0; i < runs; i++) {
    uint32_t length = what == RUN_LENGTH_0 && i == 9 ? 0 : what == RUN_LENGTH && i == 9 ? 600 : 5;
    if (i > 0) range_put_number(&to, length, MODEL_COUNT_WAVEFORM);
    range_put_number(&to, 0, MODEL_TICK);
    range_put_number(&to, what == PHASE ? 360 : 359, 0);
  }
  range_put_bits(&to, 1, 1); /* not all valid */
  runs = what == QUALITY_RUNS ? MODEL_RUNS_MAX + 1 : MODEL_RUNS_MAX;
  range_put_number(&to, runs - 1, 0);
  for (uint32_t i = 0; i < runs; i++) {
    range_put_bits(&to, i & 7u, 3);
    uint32_t length = what == QUALITY_LENGTH && i == 3 ? 600 : 5;
    if (i + 1 < runs) range_put_number(&to, length, MODEL_COUNT_WAVEFORM);
  }
  range_put_number(&to, 0, MODEL_FIRST);
  range_put_bits(&to, 2, 2);
  range_put_number(&to, what == DIVISOR ? INT32_MAX - 1u : INT32_MAX - 2u, MODEL_DIVISOR);
  range_put_number(&to, what == FORM ? PREDICTOR_FORMS : PREDICTOR_FORMS - 1, MODEL_FORM);
  range_put_bits(&to, 0, 2);
  uint32_t most = 2u * ((1u << (PREDICTOR_PRECISION_MIN + 4)) - 1u);
  for (unsigned i = 0; i < PREDICTOR_ORDER_MAX; i++)
    range_put_number(&to, what == FACTOR && i == 5 ? most + 2 : most,
                     PREDICTOR_PRECISION_MIN - MODEL_FACTOR_LESS);
  range_put_number(&to, what == SCALE ? MIXTURE_SCALE_MAX + 1 : MIXTURE_SCALE_MAX, MODEL_SCALE);
  range_put_bits(&to, 0, 32);
  for (unsigned i = 0; i < 1000; i++) range_put_bits(&to, i * 2654435761u, 32);
  size = range_out_end(&to);
}

static void test_numbers_out_of_range_are_refused(void **state) {
  (void)state;
  modelled = true;
  for (wrong what = NOTHING_WRONG; what < WRONGS; what++) {
    begin(2, HTEL_WAVEFORM, ecg);
    put_wrong(what);
    open_frame(size);
    int rc = htel_reader_open(&reader, &frame, &birth);
    if (rc == 0) rc = htel_reader_next(&reader, &series);
    assert_int_equal(rc, what == NOTHING_WRONG ? 1 : HTEL_E_FORMAT);
  }
  begin(2, HTEL_ALARM, ecg);
  put_wrong(NOTHING_WRONG);
  open_frame(size);
  assert_int_equal(htel_reader_open(&reader, &frame, &birth), 0);
  assert_int_equal(htel_reader_next(&reader, &series), HTEL_E_FORMAT);
}

static void test_garbage_ends(void **state) {
  (void)state;
  sim_random r = {14};
  for (unsigned n = 0; n < 6000; n++) {
    uint32_t bytes = 1 + random_below(&r, n % 8 ? 64 : 2000);
    for (uint32_t i = 0; i < bytes; i++) out[i] = (uint8_t)random_u32(&r);
    if (n % 4 == 1) memset(out, n % 8 == 1 ? 0 : 0xFF, bytes / 2);
    begin(1 + n % 64, n % 3 ? HTEL_WAVEFORM : HTEL_NUMERIC, n % 5 ? ecg : second);
    read_anything(bytes);
    hostile_data(out, bytes);
    hostile_frame(out, bytes);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_length_comes_back),
      cmocka_unit_test(test_walks_of_every_size_come_back),
      cmocka_unit_test(test_shapes_come_back),
      cmocka_unit_test(test_extremes_come_back),
      cmocka_unit_test(test_still_signals_take_hardly_a_byte),
      cmocka_unit_test(test_odd_signals_are_not_larger_than_at_fast),
      cmocka_unit_test(test_what_columns_do_not_have_is_as_at_fast),
      cmocka_unit_test(test_divisors_come_back),
      cmocka_unit_test(test_pairs_cost_less_than_two),
      cmocka_unit_test(test_long_columns_come_back),
      cmocka_unit_test(test_a_frame_is_full_before_a_column_is_too_long),
      cmocka_unit_test(test_64_channels_come_back),
      cmocka_unit_test(test_gaps_come_back),
      cmocka_unit_test(test_waveform_qualities_come_back),
      cmocka_unit_test(test_numeric_times_and_qualities_come_back),
      cmocka_unit_test(test_nothing_but_missing_values_comes_back),
      cmocka_unit_test(test_far_ticks_come_back),
      cmocka_unit_test(test_broken_frames_end),
      cmocka_unit_test(test_cut_frames_are_refused),
      cmocka_unit_test(test_numbers_out_of_range_are_refused),
      cmocka_unit_test(test_garbage_ends),
  };
  return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
