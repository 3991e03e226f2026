/* SPDX-License-Identifier: Apache-2.0 */
/* batch.h - readings on their way from a ring to a frame: columns, and one open frame per class.
 *
 *     reading -> column of its channel -> coded block -> open frame of its class -> taken
 *                                   when full                            when due
 *
 * A column gathers at most column_samples readings of one channel; full, it becomes one coded block
 * at the end of its class's open frame. So no more than a column is ever held uncoded. The caller
 * closes frames: it is told when one is due (batch_due) and when a block finds no room (the add
 * functions return false or NULL: close, and call again).
 *
 * A waveform's samples are placed by count: each block says when its first sample was taken only
 * where it does not simply go on from the one before. Count and clock are held against each other
 * at every arrival, and the count starts anew when they disagree by more than the tolerance. */
#ifndef HTEL_SRC_BATCH_H
#define HTEL_SRC_BATCH_H

#include "code.h"

#define BATCH_LENGTH_BYTES 2u

typedef struct batch_column {
  int32_t *values;
  uint32_t *ticks;  /* numerics */
  uint8_t *quality; /* numerics */
  uint16_t room, count;
  uint8_t quality_all; /* waveforms */
  bool running;        /* waveforms: `next` is where the next sample is expected */
  uint16_t coded;      /* readings in blocks of open frame `serial_coded` */
  uint64_t tick_first;
  uint32_t phase;
  uint64_t tick_next;
  uint32_t phase_next;
  uint64_t tick_coded; /* waveforms: where the last of those blocks ended */
  uint32_t phase_coded;
  uint32_t serial_coded;
} batch_column;

/* One class's open frame. */
typedef struct batch_frame {
  uint8_t *blocks;
  uint32_t room, used;
  uint32_t serial;                /* counts the frames of this class */
  uint32_t since_ms;              /* low 32 bits of the tick at which the first reading came in */
  uint64_t tick_begun;            /* tick of that reading */
  bool begun;                     /* holds a reading, in a column or coded */
  uint64_t tick;                  /* what times in the blocks are relative to */
  uint64_t tick_first, tick_last; /* of the coded readings */
  uint32_t readings;              /* coded */
} batch_frame;

typedef struct batch {
  const htel_channel *channels;
  uint16_t channel_count;
  uint32_t age_ms_max;
  bool for_model; /* blocks are to be read again (model.h): quick ones, each behind its length */
  batch_column *columns; /* one for each channel */
  batch_frame frames[HTEL_CLASS_COUNT];
} batch;

static inline uint8_t batch_class_of(uint8_t kind) {
  return kind == HTEL_ALARM     ? HTEL_CLASS_ALARM
         : kind == HTEL_NUMERIC ? HTEL_CLASS_NUMERIC
                                : HTEL_CLASS_WAVEFORM;
}

/* Milliseconds that `count` samples of a waveform take, rounded up. */
uint32_t batch_span_ms(const htel_channel *channel, uint32_t count);

/* Whether the class's frame should be closed: it is old by the clock (now_ms), or a reading of
 * `tick` would make it span more than its age. */
bool batch_due(const batch *b, uint8_t frame_class, uint32_t now_ms);
bool batch_spans(const batch *b, uint8_t frame_class, uint64_t tick);

/* A numeric, an alarm. False: no room, close the class's frame and call again. */
bool batch_numeric(batch *b, uint8_t channel, int32_t value, uint8_t quality, uint64_t tick,
                   uint32_t now_ms);
bool batch_alarm(batch *b, uint8_t channel, const htel_alarm_event *event, uint64_t tick,
                 uint32_t now_ms);

/* `count` samples of a waveform are about to come, the first (or with tick_is_last the last) taken
 * at `tick`; `gap`: readings before them were refused. False: no room. */
bool batch_samples_begin(batch *b, uint8_t channel, uint64_t tick, bool tick_is_last,
                         uint16_t count, bool gap, uint8_t quality);
/* Where to put the next of them, and how many fit there (at least 1). NULL: no room. */
int32_t *batch_samples_room(batch *b, uint8_t channel, uint16_t *count);
void batch_samples_added(batch *b, uint8_t channel, uint16_t count, uint32_t now_ms);

/* Codes what the class's columns hold. False: not all fitted; take the frame and call again. */
bool batch_flush(batch *b, uint8_t frame_class);
/* The frame has been taken: begin the next. */
void batch_taken(batch *b, uint8_t frame_class);

#endif
