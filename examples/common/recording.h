/* SPDX-License-Identifier: Apache-2.0 */
/* recording.h - reads a recording: a CSV of integer codes with a JSON beside it.
 *
 *     ecg.csv      ECG_MLII            first line: channel names; t_ms first where sampling
 *                  975                 is irregular (Unix time in ms)
 *                  981                 then one row of integers a sampling instant
 *     ecg.json     kind                scalar, scalar..., cgm: numerics; any other is a waveform
 *                  rate_hz             rows a second
 *                  irregular           true: t_ms gives each row's time; numerics then, always
 *                  n_rows              how many rows follow (optional, checked at the end)
 *                  channels[]          name, unit, gain, offset: physical = (code - offset) / gain
 *                  note                "-32768 = no value": that code means HTEL_NO_VALUE
 *
 * Rows are read one at a time, so a file may be long; memory is this struct alone. Files come
 * from outside: everything is checked, and an error names file, line and what is wrong. */
#ifndef HTEL_EXAMPLES_RECORDING_H
#define HTEL_EXAMPLES_RECORDING_H

#include <stdio.h>

#include "healthtel/healthtel.h"

#define RECORDING_CHANNELS_MAX HTEL_CHANNELS_MAX
#define RECORDING_ROWS_MAX UINT32_MAX /* row numbers times 10^9 still fit 63 bits */
#define RECORDING_LINE_BYTES_MAX 4096u
#define RECORDING_JSON_BYTES_MAX 65536u
#define RECORDING_PATH_BYTES_MAX 1024u
#define RECORDING_TIME_MS_MAX 253402300799999 /* the end of the year 9999 */

typedef struct recording_channel {
  char name[HTEL_NAME_CHARS_MAX + 1];
  char unit[HTEL_UNIT_CHARS_MAX + 1]; /* UCUM */
  uint32_t code;                      /* HTEL_MDC_*, see recording_code() */
  uint8_t index;                      /* tells channels of one code apart within this recording */
  int32_t gain;                       /* physical = (value - offset) / gain * 10^exponent */
  int32_t offset;
  int8_t exponent;
} recording_channel;

typedef struct recording {
  char path[RECORDING_PATH_BYTES_MAX]; /* of the CSV */
  htel_kind kind;                      /* of every channel: HTEL_WAVEFORM or HTEL_NUMERIC */
  bool irregular;
  htel_rate rate;       /* rows a second; irregular: about so many, or 0/0 */
  int64_t t_ms_first;   /* irregular: Unix time of row 0 */
  uint64_t rows_stated; /* n_rows of the JSON, or 0 */
  bool has_no_value;
  int32_t no_value;
  uint16_t channel_count;
  recording_channel channels[RECORDING_CHANNELS_MAX];
  /* Reading on: */
  FILE *file;
  long data_start;    /* where row 0 begins */
  uint64_t rows_read; /* since the start or the last rewind */
  uint64_t line;      /* of the CSV, from 1 */
  uint64_t offset_ms_last;
  char error[RECORDING_PATH_BYTES_MAX + 256]; /* "file:line: what is wrong" after a -1 */
} recording;

typedef struct recording_row {
  uint64_t offset_ms; /* since row 0: floor(row * 1000 * den / num), or t_ms - t_ms_first */
  int32_t values[RECORDING_CHANNELS_MAX];
  uint8_t quality[RECORDING_CHANNELS_MAX]; /* HTEL_VALID or HTEL_NO_VALUE; the value is kept */
} recording_row;

/* Opens `csv_path` and the JSON beside it (.csv -> .json), and reads the header. 0; or -1, with
 * r->error filled in and nothing open. */
int recording_open(recording *r, const char *csv_path);

/* 1: the next row; 0: that was the last; -1: what follows cannot be read, see r->error. */
int recording_next(recording *r, recording_row *row);

/* Back to row 0. 0 or -1. */
int recording_rewind(recording *r);

/* May be called twice, and on an all-zero struct. */
void recording_close(recording *r);

/* ---- Parts that stand alone ---------------------------------------------------------- */

/* floor(row * 1000 * den / num): ms from row 0 to `row` at an even rate. */
uint64_t recording_offset_ms(htel_rate rate, uint64_t row);

/* The fraction that a decimal rate means: 360 -> 360/1, 0.016667 -> 1/60, 333.333 -> 1000/3.
 * Numerator and denominator are 1 to 1,000,000. 0, or -1 where no such fraction is near. */
int recording_fraction(double rate_hz, htel_rate *rate);

/* A decimal gain as integer and power of ten: 12.84 -> 1284, 2. 0, or -1 when it is zero, not
 * finite, or needs an exponent beyond +-12. */
int recording_gain(double value, int32_t *gain, int8_t *exponent);

/* The nomenclature code for a channel's name. A name without one there gets a private code
 * made from its letters, the same in every recording. */
uint32_t recording_code(const char *name);

#endif
