/* SPDX-License-Identifier: Apache-2.0 */
/* test_zip.c - deflated frames: the same readings come back, memory is what was stated, output
 * stays in its room, and no stream inflates to more than it said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "code_fixture.h"
#include "zip.h"

#if HEALTHTEL_ZLIB
#include <zlib.h>

static uint64_t arena[2048];
static uint8_t zipped[HTEL_FRAME_BYTES_MAX];
static int32_t values[64][HTEL_COLUMN_SAMPLES_MAX];
static uint32_t ticks[64][HTEL_COLUMN_SAMPLES_MAX];
static uint8_t quality[64][HTEL_COLUMN_SAMPLES_MAX];
static code_column columns[64];

static code_column *column(fixture *f, unsigned i, uint8_t channel, uint16_t count) {
  for (uint32_t j = 0; j < count; j++) ticks[i][j] = (uint32_t)f->tick + j * 100 + j * j % 7;
  columns[i] = (code_column){.channel = channel,
                             .kind = fixture_channels[channel].kind,
                             .count = count,
                             .values = values[i],
                             .ticks = ticks[i],
                             .tick_first = f->tick};
  return &columns[i];
}

/* What deflate is good at: a wide pattern that comes again. */
static void fill_pattern(fixture *f, unsigned blocks) {
  sim_random r = {1};
  int32_t pattern[16];
  for (unsigned j = 0; j < 16; j++) pattern[j] = random_around(&r, 5000);
  for (unsigned i = 0; i < blocks; i++) {
    for (unsigned j = 0; j < 256; j++) values[i][j] = pattern[j % 16];
    fixture_add(f, column(f, i, i % 2 ? CH_PULSE : CH_ECG, 256), CODE_RICE);
  }
}

static void zipped_frame(fixture *f, size_t size, uint32_t inflated_size) {
  frame_parts parts = {.boot = 7,
                       .sequence = 1,
                       .tick = f->tick,
                       .schema = f->birth.schema,
                       .coding = 1,
                       .data_size = inflated_size,
                       .data = zipped,
                       .data_bytes = size};
  int bytes = frame_encode(&parts, f->bytes, sizeof f->bytes);
  assert_true(bytes > 0);
  f->size = (size_t)bytes;
  assert_int_equal(htel_frame_decode(&f->frame, f->bytes, f->size), 0);
}

static size_t zip_all(fixture *f, size_t arena_bytes, size_t room, uint32_t *inflated_size) {
  assert_true(arena_bytes <= sizeof arena);
  return zip_blocks(arena, arena_bytes, fixture_channels, CH_COUNT, f->blocks, f->used, zipped,
                    room, inflated_size);
}

static void test_readings_come_back(void **state) {
  (void)state;
  fixture *f = fixture_begin();
  fill_pattern(f, 8);
  uint32_t inflated_size = 0;
  size_t size = zip_all(f, zip_arena_bytes(), sizeof zipped, &inflated_size);
  assert_in_range(size, 1, f->used / 2);
  zipped_frame(f, size, inflated_size);
  assert_int_equal(htel_reader_open(&f->reader, &f->frame, &f->birth), 0);
  for (unsigned i = 0; i < 8; i++) fixture_expect(f, &columns[i]);
  fixture_expect_end(f);
}

static void test_any_blocks_come_back(void **state) {
  (void)state;
  sim_random r = {2};
  unsigned made = 0;
  for (unsigned round = 0; round < 300; round++) {
    fixture *f = fixture_begin();
    unsigned blocks = 1 + random_below(&r, 20);
    static const uint8_t choice[] = {CH_ECG, CH_PULSE, CH_TEMP, CH_THIRDS};
    for (unsigned i = 0; i < blocks; i++) {
      uint16_t count = (uint16_t)(1 + random_below(&r, 200));
      code_column *c = column(f, i, choice[random_below(&r, 4)], count);
      fixture_values(&r, random_below(&r, 3) ? 9 : random_below(&r, SHAPE_COUNT), values[i], count);
      if (round % 2) c->quality_all = HTEL_ARTEFACT;
      if (round % 3 == 0) {
        for (unsigned j = 0; j < count; j++) quality[i][j] = (uint8_t)(j / 30 % 3);
        c->quality = quality[i];
      }
      fixture_add(f, c, CODE_RICE);
      /* Alarms in between are copied. */
      htel_alarm_event event = {random_u32(&r), 1, 3, true, CH_ECG};
      f->used += code_alarm_encode(CH_ALARM, &event, f->tick + i, f->tick, f->blocks + f->used,
                                   CODE_ALARM_BYTES_MAX);
    }
    uint32_t inflated_size = 0;
    size_t size = zip_all(f, zip_arena_bytes(), sizeof zipped, &inflated_size);
    if (size == 0) continue;
    made++;
    assert_true(size < f->used);
    zipped_frame(f, size, inflated_size);
    assert_int_equal(htel_reader_open(&f->reader, &f->frame, &f->birth), 0);
    for (unsigned i = 0; i < blocks; i++) {
      fixture_expect(f, &columns[i]);
      assert_int_equal(htel_reader_next(&f->reader, &f->series), 1);
      assert_int_equal(f->series.kind, HTEL_ALARM);
      assert_int_equal(f->series.ticks[0], f->tick + i);
    }
    fixture_expect_end(f);
  }
  assert_in_range(made, 20, 300);
}

static void test_output_stays_in_its_room(void **state) {
  (void)state;
  fixture *f = fixture_begin();
  fill_pattern(f, 4);
  uint32_t inflated_size = 0;
  size_t size = zip_all(f, zip_arena_bytes(), sizeof zipped, &inflated_size);
  for (size_t room = 0; room <= size; room++) {
    memset(zipped, 0xA5, size);
    assert_int_equal(zip_all(f, zip_arena_bytes(), room, &inflated_size), 0);
    for (size_t i = room; i < size; i++) assert_int_equal(zipped[i], 0xA5);
  }
  assert_int_equal(zip_all(f, zip_arena_bytes(), size + 1, &inflated_size), size);
}

static void test_noise_is_left_alone(void **state) {
  (void)state;
  fixture *f = fixture_begin();
  sim_random r = {3};
  fixture_values(&r, 3, values[0], 512);
  fixture_add(f, column(f, 0, CH_ECG, 512), CODE_RICE);
  uint32_t inflated_size = 0;
  assert_int_equal(zip_all(f, zip_arena_bytes(), sizeof zipped, &inflated_size), 0);
  f->used = 0;
  assert_int_equal(zip_all(f, zip_arena_bytes(), sizeof zipped, &inflated_size), 0);
}

/* As with an allocator of which every allocation fails in turn: less memory than stated ends in a
 * stored frame, never in anything worse. */
static void test_less_memory_gives_nothing(void **state) {
  (void)state;
  fixture *f = fixture_begin();
  fill_pattern(f, 2);
  uint32_t inflated_size = 0;
  size_t size = zip_all(f, zip_arena_bytes(), sizeof zipped, &inflated_size);
  assert_true(size > 0);
  unsigned failed = 0;
  for (size_t bytes = 0; bytes < zip_arena_bytes(); bytes += 8) {
    memset(arena, 0xA5, sizeof arena);
    size_t is = zip_all(f, bytes, sizeof zipped, &inflated_size);
    assert_true(is == 0 || is == size);
    for (size_t i = bytes / 8; i < sizeof arena / 8; i++) {
      assert_true(arena[i] == 0xA5A5A5A5A5A5A5A5u);
    }
    failed += is == 0;
  }
  assert_in_range(failed, zip_arena_bytes() * 3 / 4 / 8, zip_arena_bytes() / 8);
}

static voidpf counting_zalloc(voidpf opaque, uInt items, uInt size) {
  *(size_t *)opaque += ((size_t)items * size + 7u) / 8u * 8u;
  return test_malloc((size_t)items * size);
}

static void counting_zfree(voidpf opaque, voidpf address) {
  (void)opaque;
  test_free(address);
}

/* The installed zlib takes what zip.c computes from its formula, and not much less. */
static void test_the_arena_is_as_large_as_zlib_needs(void **state) {
  (void)state;
  size_t taken = 0;
  z_stream stream;
  memset(&stream, 0, sizeof stream);
  stream.zalloc = counting_zalloc;
  stream.zfree = counting_zfree;
  stream.opaque = &taken;
  assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -9, 1, Z_DEFAULT_STRATEGY), Z_OK);
  deflateEnd(&stream);
  assert_in_range(zip_arena_bytes(), taken + sizeof stream, taken + 1024);
}

static void test_wrong_sizes_are_refused(void **state) {
  (void)state;
  fixture *f = fixture_begin();
  fill_pattern(f, 2);
  uint32_t right = 0;
  size_t size = zip_all(f, zip_arena_bytes(), sizeof zipped, &right);
  const struct {
    size_t size;
    uint32_t inflated_size;
    int rc;
  } cases[] = {{size, right, 0},
               {size, right - 1, HTEL_E_FORMAT},
               {size, right + 1, HTEL_E_FORMAT},
               {size, 1, HTEL_E_FORMAT},
               {size, HTEL_INFLATED_BYTES_MAX, HTEL_E_FORMAT},
               {size - 1, right, HTEL_E_FORMAT}, /* cut */
               {size + 1, right, HTEL_E_FORMAT}, /* something behind it */
               {1, right, HTEL_E_FORMAT}};
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    zipped_frame(f, cases[i].size, cases[i].inflated_size);
    assert_int_equal(htel_reader_open(&f->reader, &f->frame, &f->birth), cases[i].rc);
    if (cases[i].rc != 0) assert_int_equal(htel_reader_next(&f->reader, &f->series), 0);
  }
}

/* zlib may have been built without a heap of its own. */
static voidpf zalloc_heap(voidpf ctx, uInt count, uInt size) {
  (void)ctx;
  return calloc(count, size);
}

static void zfree_heap(voidpf ctx, voidpf block) {
  (void)ctx;
  free(block);
}

/* A kilobyte that would inflate to a megabyte. */
static void test_a_bomb_does_not_go_off(void **state) {
  (void)state;
  fixture *f = fixture_begin();
  static uint8_t zeros[1 << 20];
  z_stream stream;
  memset(&stream, 0, sizeof stream);
  stream.zalloc = zalloc_heap;
  stream.zfree = zfree_heap;
  assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = zeros;
  stream.avail_in = sizeof zeros;
  stream.next_out = zipped;
  stream.avail_out = sizeof zipped;
  assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
  size_t size = sizeof zipped - stream.avail_out;
  deflateEnd(&stream);
  zipped_frame(f, size, HTEL_INFLATED_BYTES_MAX);
  assert_int_equal(htel_reader_open(&f->reader, &f->frame, &f->birth), HTEL_E_FORMAT);
  /* Whoever fills in the struct himself is not trusted either. */
  f->frame.data_size = sizeof zeros;
  assert_int_equal(htel_reader_open(&f->reader, &f->frame, &f->birth), HTEL_E_FORMAT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_readings_come_back),
      cmocka_unit_test(test_any_blocks_come_back),
      cmocka_unit_test(test_output_stays_in_its_room),
      cmocka_unit_test(test_noise_is_left_alone),
      cmocka_unit_test(test_less_memory_gives_nothing),
      cmocka_unit_test(test_the_arena_is_as_large_as_zlib_needs),
      cmocka_unit_test(test_wrong_sizes_are_refused),
      cmocka_unit_test(test_a_bomb_does_not_go_off),
  };
  return cmocka_run_group_tests_name("zip", tests, NULL, NULL);
}

#else

static void test_without_zlib_frames_are_stored(void **state) {
  (void)state;
  fixture *f = fixture_begin();
  uint32_t inflated_size = 0;
  assert_int_equal(zip_arena_bytes(), 0);
  assert_int_equal(
      zip_blocks(NULL, 0, fixture_channels, CH_COUNT, f->blocks, 1, f->bytes, 1, &inflated_size),
      0);
  f->frame.coding = 1;
  f->frame.schema = f->birth.schema;
  f->frame.data = f->bytes;
  f->frame.data_bytes = 1;
  f->frame.data_size = 1;
  assert_int_equal(htel_reader_open(&f->reader, &f->frame, &f->birth), HTEL_E_UNSUPPORTED);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_without_zlib_frames_are_stored)};
  return cmocka_run_group_tests_name("zip", tests, NULL, NULL);
}

#endif
