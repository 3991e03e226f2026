/* SPDX-License-Identifier: Apache-2.0 */
/* wire_signal.c - see wire_signal.h.
 *
 * An ECG is played at 250 samples a second, whatever it was recorded at: its codes are real, its
 * heart a little slower. So every recording can be used, and none is resampled, which would change
 * its noise. */
#define _GNU_SOURCE
#include "wire_signal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patient.h"

#define ROWS_MAX 25000u /* 100 s of ECG */
#define SEED 1u

static int room_take(wire_signal *s) {
  s->values = calloc((size_t)ROWS_MAX * WIRE_SIGNAL_CHANNELS, sizeof *s->values);
  s->quality = calloc((size_t)ROWS_MAX * WIRE_SIGNAL_CHANNELS, sizeof *s->quality);
  return s->values != NULL && s->quality != NULL ? 0 : -1;
}

static void row_take(wire_signal *s, const recording_row *row) {
  size_t at = (size_t)s->rows * WIRE_SIGNAL_CHANNELS;
  memcpy(s->values + at, row->values, s->channels * sizeof *s->values);
  memcpy(s->quality + at, row->quality, s->channels);
  s->rows++;
}

static uint16_t channels_of(wire_signal_kind kind, uint16_t there) {
  uint16_t wanted = kind == WIRE_SIGNAL_NUMERICS ? WIRE_SIGNAL_CHANNELS : 1;
  return there < wanted ? there : wanted;
}

static int recording_load(wire_signal *s, wire_signal_kind kind, const char *path, char *error,
                          size_t error_size) {
  recording *r = calloc(1, sizeof *r);
  if (r == NULL) return -1;
  int rc = recording_open(r, path);
  if (rc == 0) {
    s->channels = channels_of(kind, r->channel_count);
    memcpy(s->info, r->channels, s->channels * sizeof *s->info);
    recording_row row;
    while (s->rows < ROWS_MAX && (rc = recording_next(r, &row)) == 1) row_take(s, &row);
    if (rc > 0) rc = 0;
  }
  if (rc != 0) snprintf(error, error_size, "%s", r->error);
  if (rc == 0 && s->rows == 0) {
    snprintf(error, error_size, "%s: no rows", path);
    rc = -1;
  }
  recording_close(r);
  free(r);
  return rc;
}

/* The synthetic patient has no glucose: his respiration, slowed down, does for its size. */
static int patient_load(wire_signal *s, wire_signal_kind kind) {
  patient_signal signal = kind == WIRE_SIGNAL_ECG ? PATIENT_ECG : PATIENT_VITALS;
  const patient_info *info = patient_signal_info(signal);
  patient_stream stream;
  s->channels = channels_of(kind, info->channel_count);
  memcpy(s->info, info->channels, s->channels * sizeof *s->info);
  patient_begin(&stream, signal, SEED);
  while (s->rows < ROWS_MAX) {
    recording_row row;
    htel_alarm_event ignored;
    patient_next(&stream, &row, &ignored);
    row_take(s, &row);
  }
  return 0;
}

int wire_signal_load(wire_signal *s, wire_signal_kind kind, const char *path, char *error,
                     size_t error_size) {
  *s = (wire_signal){0};
  if (room_take(s) != 0) {
    snprintf(error, error_size, "no memory");
    return -1;
  }
  return path[0] == '\0' ? patient_load(s, kind) : recording_load(s, kind, path, error, error_size);
}

void wire_signal_free(wire_signal *s) {
  free(s->values);
  free(s->quality);
  *s = (wire_signal){0};
}

static size_t place(const wire_signal *s, uint64_t row, unsigned channel) {
  return (size_t)(row % s->rows) * WIRE_SIGNAL_CHANNELS + channel;
}

int32_t wire_signal_value(const wire_signal *s, uint64_t row, unsigned channel) {
  return s->values[place(s, row, channel)];
}

uint8_t wire_signal_quality(const wire_signal *s, uint64_t row, unsigned channel) {
  return s->quality[place(s, row, channel)];
}

int wire_source_load(wire_source *s, const wire_job *job, char *error, size_t error_size) {
  *s = (wire_source){0};
  wire_readings readings = wire_traffics[job->traffic].readings;
  s->has_ecg = readings == WIRE_ECG;
  if (s->has_ecg && wire_signal_load(&s->ecg, WIRE_SIGNAL_ECG, job->ecg, error, error_size) != 0)
    return -1;
  bool glucose = readings == WIRE_GLUCOSE;
  const char *path = glucose ? job->glucose : s->has_ecg ? job->numerics : job->minutes;
  return wire_signal_load(&s->numerics, glucose ? WIRE_SIGNAL_GLUCOSE : WIRE_SIGNAL_NUMERICS, path,
                          error, error_size);
}

void wire_source_free(wire_source *s) {
  wire_signal_free(&s->ecg);
  wire_signal_free(&s->numerics);
}
