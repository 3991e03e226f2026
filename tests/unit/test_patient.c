/* SPDX-License-Identifier: Apache-2.0 */
/* The synthetic patient: the same to the bit for one seed, and plausible to look at. */
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

#include "patient.h"

static recording_row row;
static htel_alarm_event event;

static void test_one_seed_gives_one_patient(void **state) {
  (void)state;
  for (patient_signal signal = 0; signal < PATIENT_SIGNAL_COUNT; signal++) {
    patient_stream a, b;
    patient_begin(&a, signal, 7);
    patient_begin(&b, signal, 7);
    unsigned rows = signal == PATIENT_ALARMS ? 20 : 20000;
    for (unsigned i = 0; i < rows; i++) {
      recording_row other;
      htel_alarm_event other_event = {0};
      patient_next(&a, &row, &event);
      patient_next(&b, &other, &other_event);
      assert_true(row.offset_ms == other.offset_ms);
      if (signal == PATIENT_ALARMS) {
        assert_int_equal(event.state, other_event.state);
        continue;
      }
      for (unsigned c = 0; c < patient_signal_info(signal)->channel_count; c++) {
        assert_int_equal(row.values[c], other.values[c]);
        assert_int_equal(row.quality[c], other.quality[c]);
      }
    }
  }
}

static void test_another_seed_gives_another(void **state) {
  (void)state;
  patient_stream a, b;
  patient_begin(&a, PATIENT_ECG, 1);
  patient_begin(&b, PATIENT_ECG, 2);
  unsigned different = 0;
  for (unsigned i = 0; i < 5000; i++) {
    recording_row other;
    patient_next(&a, &row, NULL);
    patient_next(&b, &other, NULL);
    different += row.values[0] != other.values[0];
  }
  assert_true(different > 1000);
}

/* R waves: upward crossings of 0.6 mV. */
static void test_the_heart_beats_at_its_rate(void **state) {
  (void)state;
  patient_stream ecg;
  patient_begin(&ecg, PATIENT_ECG, 3);
  unsigned beats = 0;
  int32_t before = 0;
  for (unsigned i = 0; i < 250 * 300; i++) {
    patient_next(&ecg, &row, NULL);
    assert_in_range(row.values[0], 600, 1700); /* 11 bits, with room */
    beats += before <= 1024 + 120 && row.values[0] > 1024 + 120;
    before = row.values[0];
  }
  assert_in_range(beats, 5 * 65, 5 * 85);
}

static void test_saturation_falls_and_the_probe_slips(void **state) {
  (void)state;
  patient_stream oximetry, pleth;
  patient_begin(&oximetry, PATIENT_OXIMETRY, 1);
  patient_begin(&pleth, PATIENT_PLETH, 1);
  unsigned low = 0, off = 0, pleth_off = 0;
  for (unsigned i = 0; i < 60; i++) {
    patient_next(&oximetry, &row, NULL);
    if (row.quality[1] == HTEL_SENSOR_OFF)
      off++;
    else if (row.values[1] < 900)
      low++;
  }
  for (unsigned i = 0; i < 6000; i++) {
    patient_next(&pleth, &row, NULL);
    pleth_off += row.quality[0] == HTEL_SENSOR_OFF;
  }
  assert_in_range(low, 10, 30);
  assert_in_range(off, 3, 4);
  assert_int_equal(300, pleth_off);
}

static void test_alarms_follow_their_states(void **state) {
  (void)state;
  patient_stream alarms;
  patient_begin(&alarms, PATIENT_ALARMS, 1);
  uint64_t before_ms = 0;
  for (unsigned i = 0; i < 30; i++) {
    static const uint8_t cycle[] = {HTEL_ALARM_ACTIVE, HTEL_ALARM_ACKNOWLEDGED,
                                    HTEL_ALARM_INACTIVE};
    patient_next(&alarms, &row, &event);
    assert_int_equal(cycle[i % 3], event.state);
    assert_int_equal(PATIENT_ALARM_SPO2_LOW, event.code);
    assert_true(row.offset_ms > before_ms);
    before_ms = row.offset_ms;
  }
  assert_in_range(before_ms, 9 * 120000, 10 * 120000);
}

static void test_written_recordings_read_back(void **state) {
  (void)state;
  char dir[] = "/tmp/htel-patient-XXXXXX", error[200], path[200];
  assert_non_null(mkdtemp(dir));
  assert_int_equal(0, patient_record(dir, 60, 1, error, sizeof error));
  for (patient_signal signal = 0; signal < PATIENT_ALARMS; signal++) {
    const patient_info *info = patient_signal_info(signal);
    snprintf(path, sizeof path, "%s/%s.csv", dir, info->label);
    static recording r;
    if (recording_open(&r, path) != 0) fail_msg("%s", r.error);
    assert_int_equal(info->kind, r.kind);
    assert_int_equal(info->rate.num, r.rate.num);
    assert_int_equal(info->channel_count, r.channel_count);
    patient_stream stream;
    patient_begin(&stream, signal, 1);
    recording_row read;
    uint64_t rows = 0;
    for (; recording_next(&r, &read) == 1; rows++) {
      patient_next(&stream, &row, NULL);
      for (unsigned c = 0; c < info->channel_count; c++) {
        assert_int_equal(info->channels[c].code, r.channels[c].code);
        assert_int_equal(info->channels[c].gain, r.channels[c].gain);
        bool valid = row.quality[c] == HTEL_VALID;
        assert_int_equal(valid ? HTEL_VALID : HTEL_NO_VALUE, read.quality[c]);
        if (valid) assert_int_equal(row.values[c], read.values[c]);
      }
    }
    assert_int_equal(60 * info->rate.num, rows);
    recording_close(&r);
    unlink(path);
    snprintf(path, sizeof path, "%s/%s.json", dir, info->label);
    unlink(path);
  }
  assert_int_equal(0, rmdir(dir));
}

static void test_an_unwritable_directory_is_named(void **state) {
  (void)state;
  char error[200];
  assert_int_equal(-1, patient_record("/nowhere", 1, 1, error, sizeof error));
  assert_non_null(strstr(error, "/nowhere/synthetic_ecg250.csv: No such file"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_seed_gives_one_patient),
      cmocka_unit_test(test_another_seed_gives_another),
      cmocka_unit_test(test_the_heart_beats_at_its_rate),
      cmocka_unit_test(test_saturation_falls_and_the_probe_slips),
      cmocka_unit_test(test_alarms_follow_their_states),
      cmocka_unit_test(test_written_recordings_read_back),
      cmocka_unit_test(test_an_unwritable_directory_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
