/* SPDX-License-Identifier: Apache-2.0 */
/* compare.h - is what is stored what was recorded: value by value, quality by quality, ms by ms?
 *
 * Two walks in the order of time are laid side by side for each channel: the rows of the recording,
 * and the readings of the database. Where both are at the same time they must be equal. What only
 * one side has is a loss, a duplicate or a reading at a wrong time. Memory does not grow with the
 * recording. */
#ifndef INGEST_COMPARE_H
#define INGEST_COMPARE_H

#include <sqlite3.h>

#include "common/recording.h"

typedef struct compare_task {
  const char *device;
  uint64_t boot;
  const char *csv_path;
  /* Channel numbers of the recording's columns within the device. */
  uint8_t channels[RECORDING_CHANNELS_MAX];
  uint64_t rows; /* of the recording that were played, over all repeats */
  bool utc;      /* times are compared as UTC, first_ms being that of row 0; else as ticks */
  int64_t first_ms;
} compare_task;

typedef struct compare_result {
  uint64_t recorded, stored; /* readings expected, and of those found, right or wrong */
  uint64_t lost, duplicates;
  uint64_t wrong_values, wrong_qualities, wrong_times;
  uint64_t unexpected; /* stored at a time at which nothing was recorded */
} compare_result;

static inline uint64_t compare_mismatches(const compare_result *r) {
  return r->wrong_values + r->wrong_qualities + r->wrong_times + r->unexpected;
}

/* Adds to `result`. 0, or -1 with `error` filled in. */
int compare_recording(sqlite3 *db, const compare_task *task, compare_result *result, char *error,
                      size_t error_size);

#endif
