/* SPDX-License-Identifier: Apache-2.0 */
/* patient.h - a synthetic patient: signals with the look of real ones, for demos and tests.
 *
 * ECG, pleth, numerics and alarms, each a stream of rows as a recording has them. All streams of
 * one seed show the same heart: beats that vary with breathing, an ectopic beat now and then, a
 * fall of oxygen saturation in every two minutes (with its alarm), a probe that slips off for
 * seconds. A row is a function of seed and row number alone, so a run can be repeated to the bit.
 * Nobody was measured for it, and nothing may be concluded from it about anybody. */
#ifndef HTEL_EXAMPLES_PATIENT_H
#define HTEL_EXAMPLES_PATIENT_H

#include "common/recording.h"

typedef enum patient_signal {
  PATIENT_ECG,      /* lead II, 250 Hz */
  PATIENT_PLETH,    /* 100 Hz */
  PATIENT_OXIMETRY, /* pulse rate and SpO2, 1 Hz */
  PATIENT_VITALS,   /* heart rate, respiration rate, temperature, 1 Hz */
  PATIENT_ALARMS,   /* SpO2 low: one event a row, when it happens */
  PATIENT_SIGNAL_COUNT
} patient_signal;

#define PATIENT_ALARM_SPO2_LOW HTEL_MDC_PRIVATE(0xF0A0)

typedef struct patient_info {
  const char *label;     /* "synthetic_ecg250": also the name of a written recording */
  const char *json_kind; /* "ecg", ...; NULL for alarms */
  const char *description;
  htel_kind kind;
  htel_rate rate; /* rows a second; alarms: how often the condition is looked at */
  uint16_t channel_count;
  recording_channel channels[3];
} patient_info;

const patient_info *patient_signal_info(patient_signal signal);

typedef struct patient_beat {
  double time_s;   /* of the R wave */
  double length_s; /* to the next one */
  bool ectopic;
} patient_beat;

#define PATIENT_BEATS 4u

/* One stream, read on from row to row. */
typedef struct patient_stream {
  patient_signal signal;
  uint64_t seed;
  uint64_t row;
  uint64_t beat_number;              /* of the next beat to be made */
  patient_beat beats[PATIENT_BEATS]; /* those around now, oldest first */
  uint8_t alarm_state;               /* htel_alarm_state */
  uint64_t alarm_row;                /* when it became active */
} patient_stream;

void patient_begin(patient_stream *stream, patient_signal signal, uint64_t seed);

/* The next row; for PATIENT_ALARMS `event` and row->offset_ms (`source` is left HTEL_NO_SOURCE). A
 * stream has no end. */
void patient_next(patient_stream *stream, recording_row *row, htel_alarm_event *event);

/* Writes `seconds` of every signal but the alarms into `dir`, a recording each (CSV and JSON,
 * labelled synthetic). 0, or -1 with `error` saying why. */
int patient_record(const char *dir, uint32_t seconds, uint64_t seed, char *error,
                   size_t error_size);

#endif
