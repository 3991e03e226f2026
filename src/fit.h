/* SPDX-License-Identifier: Apache-2.0 */
/* fit.h - finds the predictor for a segment of a signal: weighted least squares, in whole numbers.
 *
 * What counts is the number of bits, which goes by the logarithm of the error: a quiet stretch
 * weighs as much as a loud one. So the segment is taken in sections of 16 steps, each is made
 * larger or smaller until its error is like that of the others, and the fit is done again, a
 * few times. Long segments are judged by patches of 64 steps, evenly spread. */
#ifndef HTEL_SRC_FIT_H
#define HTEL_SRC_FIT_H

#include "predictor.h"

enum {
  FIT_SECTION = 16,
  FIT_PATCH = 64,
  FIT_HISTORY = 16,       /* steps before a patch that are kept with it */
  FIT_PATCHES_ALONE = 16, /* of a channel alone: more do not pay */
  FIT_PATCHES = 20,       /* of one channel, or half as many of each of two */
  FIT_PATCH_ROOM = FIT_HISTORY + FIT_PATCH,
  FIT_SECTIONS = FIT_PATCHES * (FIT_PATCH / FIT_SECTION),
  FIT_TERMS = PREDICTOR_OTHERS + PREDICTOR_ORDER_MAX + 1,
  FIT_PAIRS = FIT_TERMS * (FIT_TERMS + 1) / 2
};

typedef struct fit {
  uint16_t count; /* steps in patches */
  bool has_other;
  uint8_t own_shift, other_shift; /* steps are kept in 16 bits, so many bits shorter */
  int8_t other_gain; /* bits by which the other's factor is larger than that for its sums */
  int64_t floor;     /* of the sum of squares that is left */
  uint8_t own_size[FIT_SECTIONS], other_size[FIT_SECTIONS / 2]; /* bits of the largest step */
  uint8_t scale[FIT_SECTIONS];                                  /* bits of four mean errors */
  int16_t steps[FIT_PATCHES * FIT_PATCH_ROOM]; /* the own patches, then the other's */
  int32_t sums[FIT_PAIRS]; /* of products of terms: the other's steps, earlier ones, the step */
  int32_t work[FIT_PAIRS];
} fit;

/* Patches that a segment may have. */
static inline uint32_t fit_room(bool has_other) {
  return has_other ? FIT_PATCHES / 2 : FIT_PATCHES_ALONE;
}

void fit_begin(fit *f, bool has_other);
/* Adds a patch of `count` steps; all but the last one have FIT_PATCH. They stand behind FIT_HISTORY
 * earlier ones and before zeros, FIT_PATCH_ROOM in all; `other` is NULL where there is none. */
void fit_add(fit *f, const int32_t *own, const int32_t *other, uint32_t count);

/* The best predictor for a segment of `steps`, of which there are patches. `last`, where there is
 * one, is kept where it is good enough: true then. *scale: the mixture's first scale. */
bool fit_choose(fit *f, uint32_t steps, const predictor *last, predictor *best, unsigned *scale);

#endif
