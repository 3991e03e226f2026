/* SPDX-License-Identifier: Apache-2.0 */
/* model_read.h - the reading half of model.h: for servers and tools. */
#ifndef HTEL_SRC_MODEL_READ_H
#define HTEL_SRC_MODEL_READ_H

#include "healthtel/decode.h"
#include "model.h"

typedef struct model_run { /* of a waveform, without a gap */
  uint32_t begin;          /* which reading */
  int32_t tick;            /* less the frame's */
  uint32_t phase;
} model_run;

/* The shape of a column. */
typedef struct model_column {
  uint8_t channel;
  uint8_t kind;
  uint32_t count;  /* readings; 0: there is no such column */
  uint32_t series; /* of which have a value in the series */
  bool regular;    /* numerics */
  int32_t tick, interval;
  int32_t first; /* value of the series, from which steps go on */
  uint32_t divisor;
} model_column;

/* Columns are read one after the other into the same place: what is left there of the column
 * before, which the next one may be predicted from, is overwritten as it is used. About 290 KB. */
typedef struct model_reader {
  range_in in;
  const htel_birth *birth;
  uint32_t left; /* columns to come */
  uint32_t next; /* channel that may come next */
  model_column column;
  uint32_t run_count;
  model_run runs[MODEL_RUNS_MAX];
  mixture mix;
  predictor predict;
  /* How many ticks and readings of the column, and numbers of its series, have been taken; and the
   * last of each. */
  uint32_t ticks_taken, taken, series_taken;
  int32_t value, tick_step;
  int64_t tick;
  uint32_t tick_divisor;
  /* Steps of the series, behind as many places as a predictor looks back; and from the end down
   * what stands where there is no value. */
  int32_t steps[PREDICTOR_ORDER_MAX + MODEL_COLUMN_MAX];
  int32_t tick_changes[PREDICTOR_ORDER_MAX + MODEL_COLUMN_MAX]; /* of numerics, irregular ones */
  uint8_t quality[MODEL_COLUMN_MAX];
} model_reader;

/* False: cannot be right. */
bool model_read_begin(model_reader *r, const htel_birth *birth, const uint8_t *bytes, size_t size);
/* The next column, or NULL: no more, or with in.bad it cannot be read. */
const model_column *model_read_column(model_reader *r);
/* The ticks of the column's readings one by one, less the frame's: numerics. */
int64_t model_read_tick(model_reader *r);
/* The column's next `count` readings. */
void model_read_values(model_reader *r, int32_t *values, uint8_t *quality, uint32_t count);

#endif
