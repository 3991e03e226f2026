/* SPDX-License-Identifier: Apache-2.0 */
/* wire_signal.h - the readings: rows of a recording in memory, over and over. */
#ifndef HTEL_TESTS_WIRE_SIGNAL_H
#define HTEL_TESTS_WIRE_SIGNAL_H

#include "common/recording.h"
#include "wire.h"

#define WIRE_SIGNAL_CHANNELS 3u

typedef struct wire_signal {
  recording_channel info[WIRE_SIGNAL_CHANNELS];
  uint16_t channels;
  uint32_t rows;
  int32_t *values;
  uint8_t *quality;
} wire_signal;

typedef enum wire_signal_kind {
  WIRE_SIGNAL_ECG,      /* one channel */
  WIRE_SIGNAL_NUMERICS, /* up to three */
  WIRE_SIGNAL_GLUCOSE   /* one */
} wire_signal_kind;

/* The first channels of a recording; `path` empty: a synthetic one. 0, or -1 with `error`. */
int wire_signal_load(wire_signal *s, wire_signal_kind kind, const char *path, char *error,
                     size_t error_size);
void wire_signal_free(wire_signal *s);

int32_t wire_signal_value(const wire_signal *s, uint64_t row, unsigned channel);
uint8_t wire_signal_quality(const wire_signal *s, uint64_t row, unsigned channel);

/* What the readings of a traffic are: an ECG or none, and numerics. */
typedef struct wire_source {
  bool has_ecg;
  wire_signal ecg, numerics;
} wire_source;

#define WIRE_ECG_HZ 250u

int wire_source_load(wire_source *s, const wire_job *job, char *error, size_t error_size);
void wire_source_free(wire_source *s);

#endif
