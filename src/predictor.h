/* SPDX-License-Identifier: Apache-2.0 */
/* predictor.h - the next step of a signal from its last steps and those of another channel.
 *
 * A step is a value less the one before, modulo 2^32. The prediction is a sum of the last steps,
 * each times a whole number; where two channels show one thing (two leads, red and infrared), the
 * other channel's step of the same time and the one before it take part. The factors are
 * written into the frame, so a reader only adds up. */
#ifndef HTEL_SRC_PREDICTOR_H
#define HTEL_SRC_PREDICTOR_H

#include <stdbool.h>
#include <stdint.h>

enum { PREDICTOR_ORDER_MAX = 12, PREDICTOR_OTHERS = 2 };

/* By form: no step, the last one again, a parabola; then factors of their own. */
enum { PREDICTOR_HOLD = 0, PREDICTOR_LINE = 1, PREDICTOR_BEND = 2, PREDICTOR_FORMS = 7 };
extern const uint8_t predictor_orders[PREDICTOR_FORMS];

/* Shifts to the right keep the sign, here and in mixture.c and fit.c. */
_Static_assert(-1 >> 1 == -1, "the compiler's shifts are not arithmetic");

#define PREDICTOR_PRECISION_MIN 6u /* bits behind the point of factors, in steps of 2: */
#define PREDICTOR_PRECISION_MAX 12u

typedef struct predictor {
  uint8_t form;
  uint8_t precision;
  bool uses_other;
  /* Below 2^(precision + 4); fast: 64-bit machines multiply them without widening. */
  int_fast32_t own[PREDICTOR_ORDER_MAX]; /* of the latest step first */
  int_fast32_t other[PREDICTOR_OTHERS];
} predictor;

/* A form without factors of its own. */
void predictor_fixed(predictor *p, uint8_t form);

/* Behind the order the factors are zero. */
static inline int64_t predictor_four(const int_fast32_t *factor, const int32_t *last) {
  return (int64_t)factor[0] * last[0] + (int64_t)factor[1] * last[-1] +
         (int64_t)factor[2] * last[-2] + (int64_t)factor[3] * last[-3];
}

/* The step to come, in 1/16. own[-1] is the last step, own[-2] the one before, and so on for
 * PREDICTOR_ORDER_MAX steps; other[0] is the other channel's of the time to be predicted. `other`
 * is only looked at where the predictor uses it. */
static inline int64_t predictor_step(const predictor *p, const int32_t *own, const int32_t *other) {
  uint8_t order = predictor_orders[p->form];
  int64_t sum = predictor_four(p->own, own - 1);
  if (order > 4) sum += predictor_four(p->own + 4, own - 5);
  if (order > 8) sum += predictor_four(p->own + 8, own - 9);
  if (p->uses_other) sum += (int64_t)p->other[0] * other[0] + (int64_t)p->other[1] * other[-1];
  return sum >> (p->precision - 4);
}

#endif
