/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "common/json.h"

#define READINGS_MAX (UINT64_C(1) << 28)
#define AGE_MS_MAX UINT64_C(86400000) /* of a frame: htel_batch_config.age_ms_max */

static int fail(const codec_input *in, const char *why) {
  fprintf(stderr, "htel-bench: %s: %s\n", in->about.path, why);
  return -1;
}

/* The reader of recordings has said what is wrong. */
static int told(const codec_input *in) {
  fprintf(stderr, "htel-bench: %s\n", in->about.error);
  return -1;
}

/* Scalars and glucose are numerics alike to the reader of recordings. */
static int class_read(codec_input *in) {
  in->class_of = in->about.kind == HTEL_WAVEFORM ? CODEC_WAVES : CODEC_SCALARS;
  if (in->about.kind == HTEL_WAVEFORM) return 0;
  char path[RECORDING_PATH_BYTES_MAX + 8], why[RECORDING_PATH_BYTES_MAX + 128];
  snprintf(path, sizeof path, "%.*s.json", (int)(strlen(in->about.path) - 4), in->about.path);
  cJSON *json = json_load(path, RECORDING_JSON_BYTES_MAX, why, sizeof why);
  if (!json) return fail(in, why);
  const char *kind = json_string(json, "kind");
  if (kind && strcmp(kind, "cgm") == 0) in->class_of = CODEC_CGM;
  cJSON_Delete(json);
  return 0;
}

/* Rows from here to the end, rows_max at most, or -1. */
static int64_t rows_count(codec_input *in, uint64_t rows_max) {
  recording_row row;
  int64_t count = 0;
  while (rows_max == 0 || (uint64_t)count < rows_max) {
    int rc = recording_next(&in->about, &row);
    if (rc < 0) return told(in);
    if (rc == 0) break;
    count++;
  }
  if ((uint64_t)count * in->about.channel_count > READINGS_MAX)
    return fail(in, "more than 268,435,456 readings: cut it into parts");
  return recording_rewind(&in->about) == 0 ? count : told(in);
}

static int rows_read(codec_input *in) {
  recording_row row;
  for (uint64_t r = 0; r < in->rows; r++) {
    if (recording_next(&in->about, &row) != 1) return fail(in, "changed while it was read");
    in->offset_ms[r] = row.offset_ms;
    for (uint16_t c = 0; c < in->about.channel_count; c++) {
      in->values[c * in->rows + r] = row.values[c];
      in->quality[c * in->rows + r] = row.quality[c];
    }
  }
  return 0;
}

static bool is_slow(const codec_input *in) {
  htel_rate rate = in->about.rate;
  if (rate.num > 0) return rate.num < (rate.den ? rate.den : 1);
  return in->rows > 1 && in->offset_ms[in->rows - 1] / (in->rows - 1) > 1000;
}

/* As the client will close them: when the first reading is so old, or by the row. */
static void frames_cut(codec_input *in, uint32_t frame_s) {
  uint64_t span_ms = in->by_rows ? AGE_MS_MAX : 1000u * (uint64_t)frame_s;
  uint64_t first = 0;
  in->frame_rows[in->frame_count++] = 0;
  for (uint64_t r = 1; r < in->rows; r++) {
    bool full = in->offset_ms[r] - in->offset_ms[first] >= span_ms;
    if (!full && !(in->by_rows && r - first >= frame_s)) continue;
    in->frame_rows[in->frame_count++] = first = r;
  }
  in->frame_rows[in->frame_count] = in->rows;
}

static int load(codec_input *in, uint32_t frame_s, uint64_t rows_max) {
  int64_t rows = class_read(in) == 0 ? rows_count(in, rows_max) : -1;
  if (rows < 0) return -1;
  in->rows = (uint64_t)rows;
  size_t readings = (size_t)codec_readings(in);
  in->values = calloc(readings, sizeof *in->values);
  in->quality = calloc(readings, sizeof *in->quality);
  in->offset_ms = calloc((size_t)rows, sizeof *in->offset_ms);
  in->frame_rows = calloc((size_t)rows + 2, sizeof *in->frame_rows);
  if (!in->values || !in->quality || !in->offset_ms || !in->frame_rows)
    return fail(in, "out of memory");
  if (rows_read(in) != 0) return -1;
  in->by_rows = is_slow(in);
  frames_cut(in, frame_s);
  return 0;
}

int codec_input_load(codec_input *in, const char *path, uint32_t frame_s, uint64_t rows_max) {
  *in = (codec_input){0};
  if (recording_open(&in->about, path) != 0) return told(in);
  int rc = load(in, frame_s, rows_max);
  recording_close(&in->about);
  if (rc != 0) codec_input_free(in);
  return rc;
}

void codec_input_free(codec_input *in) {
  free(in->values);
  free(in->quality);
  free(in->offset_ms);
  free(in->frame_rows);
  in->values = NULL;
  in->quality = NULL;
  in->offset_ms = in->frame_rows = NULL;
}
