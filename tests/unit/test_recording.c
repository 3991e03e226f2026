/* SPDX-License-Identifier: Apache-2.0 */
/* The recording reader: what it reads, and what it refuses with a reason. */
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

#include "common/json.h"
#include "common/recording.h"
#include "healthtel/decode.h"

/* ---- Files of a test's own ------------------------------------------------------------- */

static char dir[] = "/tmp/htel-recording-XXXXXX";
static char csv_path[64], json_path[64];

static int dir_make(void **state) {
  (void)state;
  if (!mkdtemp(dir)) return -1;
  snprintf(csv_path, sizeof csv_path, "%s/a.csv", dir);
  snprintf(json_path, sizeof json_path, "%s/a.json", dir);
  return 0;
}

static int dir_remove(void **state) {
  (void)state;
  unlink(csv_path);
  unlink(json_path);
  return rmdir(dir);
}

static void file_write(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(0, fclose(file));
}

#define ONE_CHANNEL "[{\"name\":\"HR\",\"unit\":\"/min\",\"gain\":1,\"offset\":0}]"
#define SCALAR \
  "{\"kind\":\"scalar\",\"rate_hz\":1,\"irregular\":false,\"channels\":" ONE_CHANNEL "}"
#define TIMED "{\"kind\":\"cgm\",\"rate_hz\":null,\"irregular\":true,\"channels\":" ONE_CHANNEL "}"

static recording r;
static recording_row row;

/* Opens, reads to the end: rows read, or -1. */
static long rows_of(const char *json, const char *csv) {
  file_write(json_path, json);
  file_write(csv_path, csv);
  if (recording_open(&r, csv_path) != 0) return -1;
  long rows = 0;
  int rc;
  while ((rc = recording_next(&r, &row)) == 1) rows++;
  recording_close(&r);
  return rc < 0 ? -1 : rows;
}

static void refused(const char *json, const char *csv, const char *why) {
  assert_int_equal(-1, rows_of(json, csv));
  if (!strstr(r.error, why)) fail_msg("'%s' does not say '%s'", r.error, why);
  assert_null(r.file);
}

/* ---- Reading --------------------------------------------------------------------------- */

static void test_rows_with_values_and_times(void **state) {
  (void)state;
  file_write(
      json_path,
      "{\"kind\":\"scalar\",\"rate_hz\":0.016666666666666666,\"irregular\":false,\"n_rows\":3,"
      "\"channels\":[{\"name\":\"HR\",\"unit\":\"/min\",\"gain\":10,\"offset\":0},"
      "{\"name\":\"NBP_SYS\",\"unit\":\"mmHg\",\"gain\":12.84,\"offset\":-1605}],"
      "\"note\":\"-32768 = no value\"}");
  file_write(csv_path, "HR,NBP_SYS\r\n1013,-32768\r\n-5,2147483647\n0,-2147483648");
  assert_int_equal(0, recording_open(&r, csv_path));
  assert_int_equal(HTEL_NUMERIC, r.kind);
  assert_int_equal(1, r.rate.num);
  assert_int_equal(60, r.rate.den);
  assert_int_equal(2, r.channel_count);
  assert_int_equal(HTEL_MDC_HEART_RATE, r.channels[0].code);
  assert_int_equal(10, r.channels[0].gain);
  assert_int_equal(0, r.channels[0].exponent);
  assert_int_equal(HTEL_MDC_NIBP_SYSTOLIC, r.channels[1].code);
  assert_string_equal(HTEL_UNIT_MMHG, r.channels[1].unit);
  assert_int_equal(1284, r.channels[1].gain);
  assert_int_equal(2, r.channels[1].exponent);
  assert_int_equal(-1605, r.channels[1].offset);

  for (int pass = 0; pass < 2; pass++) {
    assert_int_equal(1, recording_next(&r, &row));
    assert_int_equal(1013, row.values[0]);
    assert_int_equal(HTEL_VALID, row.quality[0]);
    assert_int_equal(-32768, row.values[1]);
    assert_int_equal(HTEL_NO_VALUE, row.quality[1]);
    assert_int_equal(1, recording_next(&r, &row));
    assert_int_equal(60000, row.offset_ms);
    assert_int_equal(-5, row.values[0]);
    assert_int_equal(INT32_MAX, row.values[1]);
    assert_int_equal(1, recording_next(&r, &row));
    assert_int_equal(INT32_MIN, row.values[1]);
    assert_int_equal(0, recording_next(&r, &row));
    assert_int_equal(0, recording_rewind(&r));
  }
  recording_close(&r);
  recording_close(&r);
}

static void test_irregular_rows_keep_their_times(void **state) {
  (void)state;
  file_write(json_path, TIMED);
  file_write(csv_path, "t_ms,HR\n1477308257000,1\n1477308557001,2\n1477308557001,3\n");
  assert_int_equal(0, recording_open(&r, csv_path));
  assert_true(r.t_ms_first == 1477308257000);
  assert_int_equal(1, recording_next(&r, &row));
  assert_int_equal(0, row.offset_ms);
  assert_int_equal(1, recording_next(&r, &row));
  assert_int_equal(300001, row.offset_ms);
  recording_close(&r);
}

static void test_codes_tell_repeats_apart(void **state) {
  (void)state;
  assert_int_equal(1, rows_of("{\"kind\":\"ecg\",\"rate_hz\":360,\"irregular\":false,\"channels\":["
                              "{\"name\":\"ECG_II\",\"unit\":\"mV\",\"gain\":200,\"offset\":0},"
                              "{\"name\":\"ECG_MLII\",\"unit\":\"mV\",\"gain\":200,\"offset\":0},"
                              "{\"name\":\"OTHER\",\"unit\":\"NU\",\"gain\":1,\"offset\":0}]}",
                              "ECG_II,ECG_MLII,OTHER\n1,2,3\n"));
  assert_int_equal(HTEL_WAVEFORM, r.kind);
  assert_int_equal(HTEL_MDC_ECG_LEAD_II, r.channels[1].code);
  assert_int_equal(0, r.channels[0].index);
  assert_int_equal(1, r.channels[1].index);
  assert_true(r.channels[2].code >= HTEL_MDC_PRIVATE(0xF000));
  assert_true(r.channels[2].code <= HTEL_MDC_PRIVATE(0xFFFF));
  assert_int_equal(recording_code("OTHER"), r.channels[2].code);
  assert_string_equal(HTEL_UNIT_ONE, r.channels[2].unit);
}

/* ---- Fractions and gains ----------------------------------------------------------------- */

static void test_rates_become_fractions(void **state) {
  (void)state;
  static const struct {
    double hz;
    uint32_t num, den;
  } cases[] = {{360, 360, 1},
               {1, 1, 1},
               {0.016666666666666666, 1, 60},
               {0.016666, 1, 60},
               {0.01667, 1, 60},
               {0.0033333333333333335, 1, 300},
               {0.00333, 1, 300},
               {31.25, 125, 4},
               {333.333333, 1000, 3},
               {333.333, 1000, 3},
               {0.5, 1, 2},
               {0.3, 3, 10},
               {62.5, 125, 2},
               {1000000, 1000000, 1},
               {0.000011574074, 1, 86400}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    htel_rate rate = {0, 0};
    assert_int_equal(0, recording_fraction(cases[i].hz, &rate));
    if (rate.num != cases[i].num || rate.den != cases[i].den)
      fail_msg("%.9g gives %u/%u", cases[i].hz, rate.num, rate.den);
  }
  static const double bad[] = {0, -1, 1e-7, 2e6, 1e300};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    htel_rate rate;
    assert_int_equal(-1, recording_fraction(bad[i], &rate));
  }
}

static void test_gains_become_integers(void **state) {
  (void)state;
  static const struct {
    double value;
    int32_t gain;
    int exponent;
  } cases[] = {{12.84, 1284, 2},
               {135.12, 13512, 2},
               {200, 200, 0},
               {1, 1, 0},
               {0.01, 1, 2},
               {-2.5, -25, 1},
               {1e10, 1000000000, -1},
               {2000, 2000, 0},
               {64, 64, 0},
               {1e-12, 1, 12},
               {123456789, 123456789, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int32_t gain = 0;
    int8_t exponent = 0;
    assert_int_equal(0, recording_gain(cases[i].value, &gain, &exponent));
    if (gain != cases[i].gain || exponent != cases[i].exponent)
      fail_msg("%g gives %d, %d", cases[i].value, gain, exponent);
  }
  int32_t gain;
  int8_t exponent;
  assert_int_equal(-1, recording_gain(0, &gain, &exponent));
  assert_int_equal(-1, recording_gain(1e-20, &gain, &exponent));
  assert_int_equal(-1, recording_gain(1e300, &gain, &exponent));
}

static void test_rows_fall_on_whole_ms_below(void **state) {
  (void)state;
  htel_rate rate = {360, 1};
  assert_int_equal(0, recording_offset_ms(rate, 0));
  assert_int_equal(2, recording_offset_ms(rate, 1));
  assert_int_equal(1000, recording_offset_ms(rate, 360));
  assert_int_equal(997, recording_offset_ms(rate, 359));
  rate = (htel_rate){1, 300};
  assert_true(recording_offset_ms(rate, RECORDING_ROWS_MAX) == 300000ull * RECORDING_ROWS_MAX);
}

/* ---- What is refused ------------------------------------------------------------------------ */

static void test_malformed_rows_are_named(void **state) {
  (void)state;
  refused(SCALAR, "HR\n1\nx\n", "a.csv:3: column 1");
  refused(SCALAR, "HR\n1\n\n", "a.csv:3: column 1");
  refused(SCALAR, "HR\n1\n2147483648\n", "a.csv:3: column 1");
  refused(SCALAR, "HR\n1\n99999999999999999999\n", "a.csv:3: column 1");
  refused(SCALAR, "HR\n1\n1.5\n", "a.csv:3: column 1");
  refused(SCALAR, "HR\n1\n 1\n", "a.csv:3: column 1");
  refused(SCALAR, "HR\n1\n+1\n", "a.csv:3: column 1");
  refused(SCALAR, "HR\n1,2\n", "a.csv:2: the row has more values");
  refused(SCALAR, "HR\n", "there are no rows");
  refused(SCALAR, "", "a.csv:1: the file is empty");
  refused(SCALAR, "PULSE\n1\n", "a.csv:1: column 1 must be HR");
  refused(SCALAR, "HR,PULSE\n1,1\n", "a.csv:1: there are more columns");
  refused(
      "{\"kind\":\"scalar\",\"rate_hz\":1,\"channels\":["
      "{\"name\":\"HR\",\"unit\":\"/min\",\"gain\":1,\"offset\":0},"
      "{\"name\":\"RR\",\"unit\":\"/min\",\"gain\":1,\"offset\":0}]}",
      "HR,RR\n1,1\n1\n", "a.csv:3: the row has fewer values");
  refused("{\"kind\":\"scalar\",\"rate_hz\":1,\"n_rows\":3,\"channels\":" ONE_CHANNEL "}",
          "HR\n1\n2\n", "ends after 2 rows");
  refused(TIMED, "HR\n1\n", "a.csv:1: the first column must be t_ms");
  refused(TIMED, "t_ms,HR\n5,1\n4,1\n", "a.csv:3: t_ms goes back");
  refused(TIMED, "t_ms,HR\n-5,1\n", "a.csv:2: t_ms must be");
  refused(TIMED, "t_ms,HR\n5\n", "a.csv:2: t_ms must be");
}

static void test_any_kind_is_a_waveform_but_those_of_numerics(void **state) {
  (void)state;
  static const struct {
    const char *kind, *rate;
    bool irregular;
    htel_kind is;
    htel_rate rate_is;
  } cases[] = {
      {"ecg", "128", false, HTEL_WAVEFORM, {128, 1}},
      {"eeg", "31.25", false, HTEL_WAVEFORM, {125, 4}},
      {"imu", "62.4725", false, HTEL_WAVEFORM, {5685, 91}},
      {"resp", "0.5", false, HTEL_WAVEFORM, {1, 2}},
      {"scalar", "0.0033333", false, HTEL_NUMERIC, {1, 300}},
      {"scalar_hr", "4", false, HTEL_NUMERIC, {4, 1}},
      {"cgm", "0.0033333", false, HTEL_NUMERIC, {1, 300}},
      {"rr", "null", true, HTEL_NUMERIC, {0, 0}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char json[256];
    snprintf(json, sizeof json,
             "{\"kind\":\"%s\",\"rate_hz\":%s,\"irregular\":%s,\"channels\":" ONE_CHANNEL "}",
             cases[i].kind, cases[i].rate, cases[i].irregular ? "true" : "false");
    assert_int_equal(2, rows_of(json, cases[i].irregular ? "t_ms,HR\n5,1\n9,2\n" : "HR\n1\n2\n"));
    assert_int_equal(cases[i].is, r.kind);
    assert_int_equal(cases[i].rate_is.num, r.rate.num);
    assert_int_equal(cases[i].rate_is.den, r.rate.den);
  }
}

static void test_a_line_without_end_is_refused(void **state) {
  (void)state;
  char text[3 * RECORDING_LINE_BYTES_MAX] = "HR\n";
  memset(text + 3, '1', sizeof text - 4);
  refused(SCALAR, text, "a.csv:2: the line is longer than");
}

static void test_malformed_descriptions_are_named(void **state) {
  (void)state;
  refused("", "HR\n1\n", "a.json:1: this is not JSON");
  refused("{\n\"kind\":,", "HR\n1\n", "a.json:2: this is not JSON");
  refused("[]", "HR\n1\n", "kind must be scalar or cgm");
  refused("{\"kind\":\"\"}", "HR\n1\n", "kind must be scalar or cgm");
  refused("{\"kind\":1}", "HR\n1\n", "kind must be scalar or cgm");
  refused("{\"kind\":\"eeg\"}", "HR\n1\n", "rate_hz must be");
  refused("{\"kind\":\"ecg\",\"rate_hz\":0}", "HR\n1\n", "rate_hz must be");
  refused("{\"kind\":\"ecg\",\"rate_hz\":\"1\"}", "HR\n1\n", "rate_hz must be");
  refused("{\"kind\":\"ecg\",\"rate_hz\":1}", "HR\n1\n", "channels must be an array");
  refused("{\"kind\":\"ecg\",\"rate_hz\":1,\"n_rows\":0.5}", "HR\n1\n", "n_rows must be");
#define WITH(channel) "{\"kind\":\"scalar\",\"rate_hz\":1,\"channels\":[" channel "]}"
  refused(WITH("{\"name\":\"\",\"unit\":\"1\",\"gain\":1,\"offset\":0}"), "HR\n1\n",
          "name must be");
  refused(WITH("{\"name\":\"a b\",\"unit\":\"1\",\"gain\":1,\"offset\":0}"), "HR\n1\n",
          "name must be");
  refused(WITH("{\"name\":\"HR\",\"unit\":\"sixteen-letters!\",\"gain\":1,\"offset\":0}"),
          "HR\n1\n", "the unit of HR");
  refused(WITH("{\"name\":\"HR\",\"unit\":\"1\",\"gain\":0,\"offset\":0}"), "HR\n1\n",
          "the gain of HR");
  refused(WITH("{\"name\":\"HR\",\"unit\":\"1\",\"gain\":1,\"offset\":0.5}"), "HR\n1\n",
          "the offset of HR");
  refused(WITH("{\"name\":\"HR\",\"unit\":\"1\",\"gain\":1,\"offset\":0},"
               "{\"name\":\"HR\",\"unit\":\"1\",\"gain\":1,\"offset\":0}"),
          "HR,HR\n1,1\n", "two channels are called HR");
}

static void test_too_many_channels_are_refused(void **state) {
  (void)state;
  char json[8192] = "{\"kind\":\"scalar\",\"rate_hz\":1,\"channels\":[";
  for (unsigned i = 0; i <= RECORDING_CHANNELS_MAX; i++)
    snprintf(json + strlen(json), sizeof json - strlen(json),
             "%s{\"name\":\"C%u\",\"unit\":\"1\",\"gain\":1,\"offset\":0}", i ? "," : "", i);
  strcat(json, "]}");
  refused(json, "C0\n1\n", "channels must be an array of 1 to 64, it has 65");
}

static void test_missing_files_are_named(void **state) {
  (void)state;
  file_write(csv_path, "HR\n1\n");
  unlink(json_path);
  assert_int_equal(-1, recording_open(&r, csv_path));
  assert_non_null(strstr(r.error, "a.json: No such file"));
  file_write(json_path, SCALAR);
  unlink(csv_path);
  assert_int_equal(-1, recording_open(&r, csv_path));
  assert_non_null(strstr(r.error, "a.csv: No such file"));
  assert_int_equal(-1, recording_open(&r, json_path));
  assert_non_null(strstr(r.error, "must end in .csv"));
  assert_int_equal(-1, recording_open(&r, ".csv"));
  char long_path[2 * RECORDING_PATH_BYTES_MAX];
  memset(long_path, 'a', sizeof long_path);
  long_path[sizeof long_path - 1] = 0;
  assert_int_equal(-1, recording_open(&r, long_path));
}

/* A description cut short at every byte is refused or read, never more. */
static void test_every_cut_of_a_description(void **state) {
  (void)state;
  char json[] = SCALAR;
  for (size_t size = sizeof json - 2; size > 0; size--) {
    json[size] = 0;
    assert_int_equal(-1, rows_of(json, "HR\n1\n"));
  }
}

/* ---- Whole numbers in JSON ------------------------------------------------------------------- */

static void test_json_numbers_are_exact(void **state) {
  (void)state;
  char error[200];
  cJSON *json = cJSON_CreateObject();
  assert_true(json_add_uint(json, "big", UINT64_MAX));
  assert_true(json_add_int(json, "small", -7));
  assert_true(json_add_uint(json, "edge", (UINT64_C(1) << 53) - 1));
  assert_int_equal(0, json_store(json, json_path, error, sizeof error));
  cJSON_Delete(json);
  json = json_load(json_path, 1000, error, sizeof error);
  assert_non_null(json);
  int64_t value;
  assert_false(json_int(json, "big", 0, INT64_MAX, &value));
  assert_false(json_int(json, "small", 0, 10, &value));
  assert_false(json_int(json, "absent", 0, 10, &value));
  assert_true(json_int(json, "small", -10, 10, &value));
  assert_true(value == -7);
  assert_true(json_int(json, "edge", 0, INT64_MAX, &value));
  assert_true(value == (INT64_C(1) << 53) - 1);
  cJSON_Delete(json);
  assert_null(json_load(json_path, 10, error, sizeof error));
  assert_non_null(strstr(error, "larger"));
}

/* ---- Real files --------------------------------------------------------------------------- */

static void test_example_recording_is_whole(void **state) {
  (void)state;
  static char text[200000];
  FILE *file = fopen(EXAMPLE_RECORDING, "rb");
  assert_non_null(file);
  size_t size = fread(text, 1, sizeof text, file);
  fclose(file);
  assert_int_equal(93902, size);
  assert_true(htel_crc32(0, text, size) == 4238612449u);

  assert_int_equal(0, recording_open(&r, EXAMPLE_RECORDING));
  assert_int_equal(HTEL_WAVEFORM, r.kind);
  assert_int_equal(360, r.rate.num);
  assert_int_equal(21600, r.rows_stated);
  uint64_t rows = 0;
  while (recording_next(&r, &row) == 1) rows++;
  assert_int_equal(21600, rows);
  assert_int_equal(59997, row.offset_ms);
  recording_close(&r);
}

static void test_corpus_is_readable(void **state) {
  (void)state;
  static const struct {
    const char *name;
    uint64_t rows;
    uint32_t num, den;
  } files[] = {{"cgm_dexcomG6", 2148, 1, 300},
               {"e4_acc32", 9998, 32, 1},
               {"e4_bvp64", 9998, 64, 1},
               {"e4_hr1", 4998, 1, 1},
               {"e4_temp4", 4998, 4, 1},
               {"mimic037_abp_resp125", 37500, 125, 1},
               {"mimic037_ecg500", 150000, 500, 1},
               {"mimic3_s25047_num", 72, 1, 60},
               {"mitdb100_ecg360", 108000, 360, 1},
               {"mitdb208_ecg360", 108000, 360, 1},
               {"smartcare_num1", 613, 1, 1},
               {"smartcare_ppg100", 30000, 100, 1}};
  const char *shared = getenv("HEALTHTEL_SHARED");
  char path[500];
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    snprintf(path, sizeof path, "%s/corpus/%s.csv", shared ? shared : SHARED_DEFAULT,
             files[i].name);
    if (access(path, R_OK) != 0) skip();
    if (recording_open(&r, path) != 0) fail_msg("%s", r.error);
    assert_int_equal(files[i].num, r.rate.num);
    assert_int_equal(files[i].den, r.rate.den);
    uint64_t rows = 0;
    int rc;
    while ((rc = recording_next(&r, &row)) == 1) rows++;
    if (rc < 0) fail_msg("%s", r.error);
    assert_int_equal(files[i].rows, rows);
    recording_close(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows_with_values_and_times),
      cmocka_unit_test(test_irregular_rows_keep_their_times),
      cmocka_unit_test(test_codes_tell_repeats_apart),
      cmocka_unit_test(test_rates_become_fractions),
      cmocka_unit_test(test_gains_become_integers),
      cmocka_unit_test(test_rows_fall_on_whole_ms_below),
      cmocka_unit_test(test_malformed_rows_are_named),
      cmocka_unit_test(test_any_kind_is_a_waveform_but_those_of_numerics),
      cmocka_unit_test(test_a_line_without_end_is_refused),
      cmocka_unit_test(test_malformed_descriptions_are_named),
      cmocka_unit_test(test_too_many_channels_are_refused),
      cmocka_unit_test(test_missing_files_are_named),
      cmocka_unit_test(test_every_cut_of_a_description),
      cmocka_unit_test(test_json_numbers_are_exact),
      cmocka_unit_test(test_example_recording_is_whole),
      cmocka_unit_test(test_corpus_is_readable),
  };
  return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
