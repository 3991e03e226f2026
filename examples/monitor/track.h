/* SPDX-License-Identifier: Apache-2.0 */
/* track.h - one thing that is played: a recording, or a signal of the synthetic patient.
 *
 *     recording, patient -> track -> player -> htel_record...
 *
 * A track turns rows into blocks: about 100 ms of a waveform, one row of numerics, one alarm.
 * Offsets are ms since the start of the play. */
#ifndef HTEL_MONITOR_TRACK_H
#define HTEL_MONITOR_TRACK_H

#include "common/recording.h"
#include "patient.h"

#define TRACK_BLOCK_SAMPLES_MAX 512u
#define TRACK_ERROR_BYTES_MAX (RECORDING_PATH_BYTES_MAX + 256)

typedef struct track_block {
  uint16_t count;         /* rows; 0: the track has ended */
  uint64_t row_first;     /* of the track, over all repeats */
  uint64_t first_ms;      /* offset of the first row */
  uint64_t last_ms;       /* and of the last: the block is complete then */
  int32_t *values;        /* channel * block_samples + row */
  uint8_t *quality;       /* the same */
  htel_alarm_event alarm; /* alarms */
} track_block;

typedef struct track {
  const char *label;
  htel_kind kind;
  htel_rate rate; /* rows a second; irregular: about so many, or 0/0 */
  bool irregular;
  uint16_t channel_count;
  const recording_channel *channels;
  uint16_t channel_first; /* its first channel's number within the device */
  uint16_t block_samples; /* rows in a block at most */
  uint64_t start_ms;      /* offset of row 0 */
  uint64_t end_ms;        /* rows at or after this offset are not played */
  uint32_t passes;        /* over the recording, still to be played after this one */
  uint64_t rows;          /* read so far, over all passes */
  uint64_t rows_played;   /* of which given to the client */
  bool ended;
  track_block block;    /* what comes next */
  recording *recording; /* one of these two */
  patient_stream *patient;
  char error[TRACK_ERROR_BYTES_MAX];
} track;

/* Opens a recording, to be played `repeat` times. 0, or -1 with t->error. */
int track_open_recording(track *t, const char *path, uint32_t repeat);
/* 0, or -1 (no memory) with t->error. */
int track_open_patient(track *t, patient_signal signal, uint64_t seed);
void track_close(track *t);

/* Reads the next block into t->block. 0 (block.count is 0 at the end), or -1 with t->error. */
int track_advance(track *t);

/* ms since the start of the play of a row of a regular track. */
uint64_t track_row_ms(const track *t, uint64_t row);

/* All tracks' channels as those of one device: numbers them, tells apart those of one code, spreads
 * them over the rings (waveforms 0; the others ring_count - 1). The count, or -1 when there are too
 * many. */
int tracks_device(track *tracks, unsigned count, uint8_t ring_count,
                  htel_channel channels[HTEL_CHANNELS_MAX]);

#endif
