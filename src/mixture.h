/* SPDX-License-Identifier: Apache-2.0 */
/* mixture.h - how likely is each next step? A few opinions, weighed by how right each has been.
 *
 *     opinion   says                                   is there for
 *     -------   ------------------------------------   ------------------------------
 *     usual     a bell around the linear prediction,   all
 *               as wide as its error has been lately
 *     burst     the same by the last few errors        all
 *     same      the last value again, for certain      all
 *     near      a bell around the last value           numerics: they rest for a while,
 *                                                      then move by more than waves do
 *
 * A bell is a logistic distribution. The sum of opinions by weight is what the range coder gets.
 * After each step the opinions that found it likely gain weight (Bayes), and each keeps a little,
 * so that it can come back. Weights are kept apart for 0, 1, 2, and 3 or more repeats of the last
 * value: a signal that is held, such as 1 Hz in a stream of 4 Hz, shows in that. Whole numbers
 * only: the same on every machine.
 *
 * Steps are taken in buckets of 2^bucket_bits, so that the bells stay narrower than the table of
 * 256 buckets around the linear prediction; what lies outside goes in the first or last bucket. */
#ifndef HTEL_SRC_MIXTURE_H
#define HTEL_SRC_MIXTURE_H

#include "predictor.h"
#include "range.h"

enum { MIXTURE_USUAL, MIXTURE_BURST, MIXTURE_SAME, MIXTURE_NEAR, MIXTURE_OPINIONS };
enum { MIXTURE_REPEATS = 4 };
#define MIXTURE_SCALE_MAX 20u

typedef struct mixture {
  uint32_t weight[MIXTURE_REPEATS][MIXTURE_OPINIONS]; /* of 2^16 */
  uint32_t usual, burst, near;                        /* mean errors, in 1/256 step */
  uint8_t seen;                                       /* steps learnt, as far as it matters */
  uint8_t repeats;                                    /* of the last value */
  bool is_numeric;                                    /* `near` takes part */
  bool spare; /* the first step: not to be held against the linear prediction */
} mixture;

/* Errors are first taken to be about 2^scale / 8 steps; scale is at most MIXTURE_SCALE_MAX.
 * `predicts`: the predictor needs steps to look back on, of which the first has none. */
void mixture_begin(mixture *m, unsigned scale, bool predicts, bool is_numeric);
/* Writes the next `count` steps, own[0] and so on, or reads them into there, as far as `in` is not
 * bad; `own` and `other` as predictor_step takes them. */
void mixture_put(mixture *m, range_out *out, const predictor *p, const int32_t *own,
                 const int32_t *other, uint32_t count);
void mixture_get(mixture *m, range_in *in, const predictor *p, int32_t *own, const int32_t *other,
                 uint32_t count);

#endif
