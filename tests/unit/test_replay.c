/* SPDX-License-Identifier: Apache-2.0 */
/* Tracks, player and capture around the real client: what is played is what the file holds. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after the above, as cmocka wants it */
#include <cmocka.h>

#include "capture.h"
#include "player.h"

/* ---- A device under test ---- */

static uint32_t now_ms;

static uint32_t tick_ms(void *ctx) {
  (void)ctx;
  return now_ms;
}

static int random_bytes(void *ctx, uint8_t *buf, size_t size) {
  (void)ctx;
  memset(buf, 5, size);
  return 0;
}

#define TICK0 1000000u

static char out_path[] = "/tmp/htel-replay-XXXXXX";
static track tracks[4];
static unsigned track_count;
static htel_channel channels[HTEL_CHANNELS_MAX];
static player one;

static int out_make(void **state) {
  (void)state;
  int fd = mkstemp(out_path);
  return fd < 0 ? -1 : close(fd);
}

static int out_remove(void **state) {
  (void)state;
  return unlink(out_path);
}

static int tracks_forget(void **state) {
  (void)state;
  for (unsigned i = 0; i < track_count; i++) track_close(&tracks[i]);
  track_count = 0;
  return 0;
}

static track *recording_add(const char *path, uint32_t repeat) {
  track *t = &tracks[track_count++];
  if (track_open_recording(t, path, repeat) != 0) fail_msg("%s", t->error);
  return t;
}

/* Plays all tracks at once into the file. */
static void play_all(void) {
  static capture file;
  now_ms = TICK0;
  int count = tracks_device(tracks, track_count, 1, channels);
  assert_true(count > 0);
  assert_int_equal(0, capture_open(&file, out_path, "dev"));
  htel_port port = {.tick_ms = tick_ms, .random = random_bytes, .link = capture_link(&file)};
  htel_config config = {.device_id = "dev",
                        .channels = channels,
                        .channel_count = (uint16_t)count,
                        .ring_bytes = {65536},
                        .outbox = {.bytes = 1u << 20},
                        .delivery = {.mode = HTEL_DELIVERY_BROKER, .rate_per_s_max = 90}};
  int32_t needed = htel_memory_needed(&config);
  assert_true(needed > 0);
  void *memory = malloc((size_t)needed);
  htel *tel;
  assert_int_equal(0, htel_open(&tel, memory, (size_t)needed, &config, &port));
  assert_int_equal(0, htel_utc_set(tel, TICK0, 1700000000000, 0));
  one = (player){.tel = tel, .port = &port, .tick0 = TICK0, .alarm_source = HTEL_NO_SOURCE};
  for (unsigned i = 0; i < track_count; i++)
    if (player_add(&one, &tracks[i]) != 0) fail_msg("%s", one.error);
  while (player_due_ms(&one) != UINT64_MAX) {
    if (player_step(&one) != 0) fail_msg("%s", one.error);
    htel_poll(tel);
    now_ms += 3; /* the play is far faster than its clock */
  }
  int rc;
  while ((rc = htel_close(tel, 1000000)) == HTEL_E_AGAIN) now_ms += 5;
  assert_int_equal(0, rc);
  htel_stats stats;
  htel_stats_get(tel, &stats);
  assert_true(stats.readings_delivered == one.recorded);
  assert_int_equal(0, one.refused);
  free(memory);
  assert_int_equal(0, capture_close(&file));
}

/* ---- The captured file, read back ---- */

typedef struct reading {
  uint64_t tick;
  int32_t value;
  uint8_t quality;
} reading;

static reading *readings[HTEL_CHANNELS_MAX];
static size_t reading_count[HTEL_CHANNELS_MAX];

static size_t varint_read(const uint8_t *bytes, size_t size, size_t *at) {
  size_t value = 0;
  for (unsigned shift = 0; *at < size && shift < 35; shift += 7) {
    uint8_t byte = bytes[(*at)++];
    value |= (size_t)(byte & 127) << shift;
    if (byte < 128) return value;
  }
  fail_msg("a varint does not end");
  return 0;
}

static void frame_read(const htel_birth *birth, const uint8_t *bytes, size_t size) {
  static htel_frame frame;
  static htel_reader reader;
  static htel_series series;
  assert_int_equal(0, htel_frame_decode(&frame, bytes, size));
  assert_int_equal(0, htel_reader_open(&reader, &frame, birth));
  int rc;
  while ((rc = htel_reader_next(&reader, &series)) == 1) {
    size_t *count = &reading_count[series.channel];
    readings[series.channel] =
        realloc(readings[series.channel], (*count + series.count) * sizeof(reading));
    for (unsigned i = 0; i < series.count; i++)
      readings[series.channel][(*count)++] =
          (reading){series.ticks[i], series.values[i], series.quality[i]};
  }
  assert_int_equal(0, rc);
}

/* A Capture message by hand: 1 device, 2 birth, 3 frame. */
static void capture_read(void) {
  static uint8_t bytes[4u << 20];
  static htel_birth birth;
  FILE *file = fopen(out_path, "rb");
  assert_non_null(file);
  size_t size = fread(bytes, 1, sizeof bytes, file), at = 0;
  fclose(file);
  assert_true(size < sizeof bytes);
  for (unsigned c = 0; c < HTEL_CHANNELS_MAX; c++) {
    free(readings[c]);
    readings[c] = NULL;
    reading_count[c] = 0;
  }
  bool birth_seen = false;
  while (at < size) {
    size_t end = varint_read(bytes, size, &at);
    end += at;
    assert_true(end <= size);
    assert_int_equal(1 << 3 | 2, bytes[at++]);
    assert_int_equal(3, varint_read(bytes, end, &at));
    assert_memory_equal("dev", bytes + at, 3);
    at += 3;
    uint8_t tag = bytes[at++];
    size_t length = varint_read(bytes, end, &at);
    assert_int_equal(end, at + length);
    if (tag == (2 << 3 | 2)) {
      assert_int_equal(0, htel_birth_decode(&birth, bytes + at, length));
      birth_seen = true;
    } else {
      assert_int_equal(3 << 3 | 2, tag);
      assert_true(birth_seen); /* the birth comes first */
      frame_read(&birth, bytes + at, length);
    }
    at = end;
  }
}

static int reading_order(const void *a, const void *b) {
  const reading *left = a, *right = b;
  return left->tick < right->tick ? -1 : left->tick > right->tick;
}

/* Every row of the recording, in value, quality and time, `repeat` times over. */
static void track_compare(const track *t, uint32_t repeat) {
  static recording r;
  static recording_row row;
  assert_int_equal(0, recording_open(&r, t->label));
  for (uint16_t c = 0; c < t->channel_count; c++)
    qsort(readings[t->channel_first + c], reading_count[t->channel_first + c], sizeof(reading),
          reading_order);
  uint64_t n = 0;
  for (uint32_t pass = 0; pass < repeat; pass++) {
    for (; recording_next(&r, &row) == 1; n++) {
      uint64_t at_ms = t->irregular ? row.offset_ms : recording_offset_ms(t->rate, n);
      for (uint16_t c = 0; c < t->channel_count; c++) {
        unsigned channel = t->channel_first + (unsigned)c;
        assert_true(n < reading_count[channel]);
        const reading *got = &readings[channel][n];
        if (got->tick != TICK0 + t->start_ms + at_ms || got->value != row.values[c] ||
            got->quality != row.quality[c])
          fail_msg("%s: row %lu of column %u came back otherwise", t->label, (unsigned long)n, c);
      }
    }
    assert_int_equal(0, recording_rewind(&r));
  }
  for (uint16_t c = 0; c < t->channel_count; c++)
    assert_true(reading_count[t->channel_first + c] == n);
  assert_true(t->rows_played == n);
  recording_close(&r);
}

/* ---- Tests ---- */

static void test_example_comes_back(void **state) {
  (void)state;
  recording_add(EXAMPLE_RECORDING, 1);
  play_all();
  capture_read();
  track_compare(&tracks[0], 1);
}

static void test_repeats_follow_without_a_gap(void **state) {
  (void)state;
  recording_add(EXAMPLE_RECORDING, 3);
  play_all();
  capture_read();
  track_compare(&tracks[0], 3);
}

static void test_two_of_one_code_play_as_one_device(void **state) {
  (void)state;
  recording_add(EXAMPLE_RECORDING, 1);
  recording_add(EXAMPLE_RECORDING, 1);
  play_all();
  assert_int_equal(0, channels[0].index);
  assert_int_equal(1, channels[1].index);
  capture_read();
  track_compare(&tracks[0], 1);
  track_compare(&tracks[1], 1);
}

static void test_duration_ends_the_play(void **state) {
  (void)state;
  recording_add(EXAMPLE_RECORDING, 1)->end_ms = 2000;
  play_all();
  capture_read();
  assert_int_equal(720, reading_count[0]);
  assert_int_equal(720, tracks[0].rows_played);
  assert_int_equal(720, one.recorded);
}

static void test_patient_comes_back_with_quality(void **state) {
  (void)state;
  for (patient_signal signal = PATIENT_PLETH; signal <= PATIENT_OXIMETRY; signal++) {
    assert_int_equal(0, track_open_patient(&tracks[track_count], signal, 1));
    tracks[track_count++].end_ms = 60000;
  }
  play_all();
  capture_read();
  patient_stream stream;
  patient_begin(&stream, PATIENT_PLETH, 1);
  assert_int_equal(6000, reading_count[0]);
  for (unsigned i = 0; i < 6000; i++) {
    recording_row row;
    patient_next(&stream, &row, NULL);
    assert_int_equal(row.values[0], readings[0][i].value);
    assert_int_equal(row.quality[0], readings[0][i].quality);
    assert_true(readings[0][i].tick == TICK0 + i * 10u);
  }
  assert_int_equal(60, reading_count[1]);
  assert_int_equal(60, reading_count[2]);
}

static void test_corpus_comes_back(void **state) {
  (void)state;
  static const char *const names[] = {
      "cgm_dexcomG6",    "e4_acc32",          "e4_bvp64",
      "e4_hr1",          "e4_temp4",          "mimic037_abp_resp125",
      "mimic037_ecg500", "mimic3_s25047_num", "mitdb100_ecg360",
      "mitdb208_ecg360", "smartcare_num1",    "smartcare_ppg100"};
  const char *shared = getenv("HEALTHTEL_SHARED");
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char path[500];
    snprintf(path, sizeof path, "%s/corpus/%s.csv", shared ? shared : SHARED_DEFAULT, names[i]);
    if (access(path, R_OK) != 0) skip();
    recording_add(path, 1);
    play_all();
    capture_read();
    track_compare(&tracks[0], 1);
    tracks_forget(NULL);
  }
}

static void test_a_recording_with_times_cannot_repeat(void **state) {
  (void)state;
  char csv[64], json[64], dir[] = "/tmp/htel-times-XXXXXX";
  assert_non_null(mkdtemp(dir));
  snprintf(csv, sizeof csv, "%s/a.csv", dir);
  snprintf(json, sizeof json, "%s/a.json", dir);
  FILE *file = fopen(json, "w");
  fputs(
      "{\"kind\":\"cgm\",\"irregular\":true,\"channels\":"
      "[{\"name\":\"GLUCOSE\",\"unit\":\"mg/dL\",\"gain\":1,\"offset\":0}]}",
      file);
  fclose(file);
  file = fopen(csv, "w");
  fputs("t_ms,GLUCOSE\n1700000000000,100\n1700000000900,101\n", file);
  fclose(file);
  assert_int_equal(-1, track_open_recording(&tracks[0], csv, 2));
  assert_non_null(strstr(tracks[0].error, "cannot be repeated"));
  track_close(&tracks[0]);
  recording_add(csv, 1);
  play_all();
  capture_read();
  track_compare(&tracks[0], 1);
  unlink(csv);
  unlink(json);
  assert_int_equal(0, rmdir(dir));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_example_comes_back, tracks_forget),
      cmocka_unit_test_teardown(test_repeats_follow_without_a_gap, tracks_forget),
      cmocka_unit_test_teardown(test_two_of_one_code_play_as_one_device, tracks_forget),
      cmocka_unit_test_teardown(test_duration_ends_the_play, tracks_forget),
      cmocka_unit_test_teardown(test_patient_comes_back_with_quality, tracks_forget),
      cmocka_unit_test_teardown(test_corpus_comes_back, tracks_forget),
      cmocka_unit_test_teardown(test_a_recording_with_times_cannot_repeat, tracks_forget),
  };
  return cmocka_run_group_tests(tests, out_make, out_remove);
}
