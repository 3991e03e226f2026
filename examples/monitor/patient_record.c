/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the synthetic patient's signals as recordings. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "patient.h"

#define NO_VALUE (-32768) /* a recording has no quality: what is not valid is written as this */

static int csv_write(const patient_info *info, patient_signal signal, uint64_t rows, uint64_t seed,
                     const char *path) {
  FILE *file = fopen(path, "we");
  if (!file) return -1;
  for (uint16_t c = 0; c < info->channel_count; c++)
    fprintf(file, "%s%c", info->channels[c].name, c + 1 < info->channel_count ? ',' : '\n');
  patient_stream stream;
  patient_begin(&stream, signal, seed);
  for (uint64_t i = 0; i < rows; i++) {
    recording_row row;
    patient_next(&stream, &row, NULL);
    for (uint16_t c = 0; c < info->channel_count; c++)
      fprintf(file, "%" PRId32 "%c", row.quality[c] == HTEL_VALID ? row.values[c] : NO_VALUE,
              c + 1 < info->channel_count ? ',' : '\n');
  }
  bool failed = ferror(file) != 0;
  return fclose(file) != 0 || failed ? -1 : 0;
}

static int json_write(const patient_info *info, uint64_t rows, uint64_t seed, const char *path,
                      char *error, size_t error_size) {
  cJSON *json = cJSON_CreateObject();
  char text[160];
  cJSON_AddStringToObject(json, "name", info->label);
  cJSON_AddStringToObject(json, "kind", info->json_kind);
  cJSON_AddStringToObject(json, "subject", "synthetic: nobody was measured");
  snprintf(text, sizeof text, "%s, made by htel-monitor with seed %" PRIu64, info->description,
           seed);
  cJSON_AddStringToObject(json, "description", text);
  cJSON_AddNumberToObject(json, "rate_hz", (double)info->rate.num / info->rate.den);
  cJSON_AddBoolToObject(json, "irregular", false);
  json_add_uint(json, "n_rows", rows);
  cJSON *channels = cJSON_AddArrayToObject(json, "channels");
  for (uint16_t c = 0; c < info->channel_count; c++) {
    cJSON *channel = cJSON_CreateObject();
    cJSON_AddStringToObject(channel, "name", info->channels[c].name);
    cJSON_AddStringToObject(channel, "unit", info->channels[c].unit);
    json_add_int(channel, "gain", info->channels[c].gain);
    json_add_int(channel, "offset", info->channels[c].offset);
    cJSON_AddItemToArray(channels, channel);
  }
  cJSON_AddStringToObject(json, "physical", "(raw-offset)/gain");
  cJSON_AddStringToObject(json, "licence", "Apache-2.0");
  snprintf(text, sizeof text, "%d = no value", NO_VALUE);
  cJSON_AddStringToObject(json, "note", text);
  int rc = json_store(json, path, error, error_size);
  cJSON_Delete(json);
  return rc;
}

int patient_record(const char *dir, uint32_t seconds, uint64_t seed, char *error,
                   size_t error_size) {
  for (patient_signal signal = 0; signal < PATIENT_SIGNAL_COUNT; signal++) {
    const patient_info *info = patient_signal_info(signal);
    if (info->kind == HTEL_ALARM) continue;
    uint64_t rows = (uint64_t)seconds * info->rate.num / info->rate.den;
    char path[RECORDING_PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%.900s/%s.csv", dir, info->label);
    if (csv_write(info, signal, rows, seed, path) != 0) {
      snprintf(error, error_size, "%s: %s", path, strerror(errno));
      return -1;
    }
    snprintf(path, sizeof path, "%.900s/%s.json", dir, info->label);
    if (json_write(info, rows, seed, path, error, error_size) != 0) return -1;
  }
  return 0;
}
