/* SPDX-License-Identifier: Apache-2.0 */
/* model.h - the smallest form of a frame's readings: HTEL_CODING_BEST.
 *
 *     blocks of an open frame -> columns, a whole channel each -> one range-coded stream
 *
 * A column is a channel's readings in a frame: their count, times and qualities, then the values as
 * steps from one to the next. Each step is predicted (predictor.h), the mixture (mixture.h) says
 * how likely each is, the range coder (range.h) writes it. Predictors are found by the
 * writer (fit.h) and written into the stream for each segment; all else is learnt by both sides
 * while they go along. Nothing outside the frame and its birth is needed. docs/FORMAT.md has every
 * bit. */
#ifndef HTEL_SRC_MODEL_H
#define HTEL_SRC_MODEL_H

#include "healthtel/healthtel.h"
#include "mixture.h"
#include "predictor.h"
#include "range.h"

#define MODEL_COLUMN_MAX 32768u /* readings of one channel in one frame */
#define MODEL_SEGMENT 4096u     /* steps with one predictor, at most */
#define MODEL_RUNS_MAX 32u      /* stretches of a waveform without a gap, or of one quality */

/* Bits that numbers usually have, where they are written (range_put_number). */
#define MODEL_COUNT_WAVEFORM 9u
#define MODEL_COUNT_NUMERIC 4u
#define MODEL_FIRST 10u
#define MODEL_TICK 9u
#define MODEL_FORM 1u
#define MODEL_FACTOR_LESS 3u /* than the factor's precision */
#define MODEL_SCALE 3u
#define MODEL_DIVISOR 2u

/* ---- Writing -------------------------------------------------------------------------------- */

/* Memory that writing takes, aligned for max_align_t; 0 when the library is built without it
 * (HEALTHTEL_BEST). */
size_t model_writer_bytes(void);

/* Writes `size` bytes of blocks, as batch.c keeps them at this coding (each behind its length in
 * two bytes), as columns into `out`, which has room for `size`. Or, where columns do not have what
 * is in there, or seem to be larger, as blocks such as FAST makes them, in place of those given: as
 * *modelled tells. Returns the bytes. */
size_t model_write(void *memory, const htel_channel *channels, uint16_t channel_count,
                   uint8_t *blocks, size_t size, uint8_t *out, bool *modelled);

#endif
