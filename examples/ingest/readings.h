/* SPDX-License-Identifier: Apache-2.0 */
/* readings.h - everything that one frame says, decoded: runs of readings in growing arrays.
 *
 * A run is one block of the frame: consecutive readings of one channel. The arrays are used again
 * from frame to frame; their growth is bounded by the limits below, so a small frame that inflates
 * to a mountain (a run of equal values costs a few bytes) is refused in bounded memory and time. */
#ifndef INGEST_READINGS_H
#define INGEST_READINGS_H

#include "healthtel/decode.h"

/* In one frame. Ordinary frames hold 10 s: 500 Hz on 12 channels is 60,000 samples. */
#define READINGS_SAMPLES_MAX 1048576u
#define READINGS_EVENTS_MAX 65536u /* numerics and alarms */

typedef struct readings_run {
  uint8_t channel;
  uint8_t kind;   /* htel_kind */
  uint16_t count; /* 1 to HTEL_COLUMN_SAMPLES_MAX */
  bool valid;     /* waveforms: every sample is HTEL_VALID */
  uint32_t phase; /* waveforms: the first sample is at tick + phase / rate.num ms */
  uint64_t tick;  /* of the first reading */
  size_t at;      /* where it begins: samples and sample_quality, or events */
} readings_run;

/* A numeric or an alarm. */
typedef struct readings_event {
  uint64_t tick;
  int32_t value;
  uint8_t quality;
  htel_alarm_event alarm;
} readings_event;

typedef struct readings {
  readings_run *runs;
  int32_t *samples;
  uint8_t *sample_quality;
  readings_event *events;
  size_t run_count, sample_count, event_count;
  size_t run_room, sample_room, event_room;
  uint32_t numerics, alarms; /* how many of each there are; waveform samples are sample_count */
} readings;

void readings_free(readings *r);

/* Forgets what it holds, keeps the memory. */
void readings_clear(readings *r);

/* Adds one run. 0; HTEL_E_TOO_LARGE: over the limits; HTEL_E_MEMORY: none to be had now;
 * HTEL_E_FORMAT: a tick that no clock has. */
int readings_add(readings *r, const htel_series *series);

#endif
