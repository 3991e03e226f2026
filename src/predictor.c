/* SPDX-License-Identifier: Apache-2.0 */
/* predictor.c - see predictor.h. */
#include "predictor.h"

#include <string.h>

const uint8_t predictor_orders[PREDICTOR_FORMS] = {0, 1, 2, 2, 4, 8, 12};

void predictor_fixed(predictor *p, uint8_t form) {
  memset(p, 0, sizeof *p);
  p->form = form;
  p->precision = PREDICTOR_PRECISION_MIN;
  if (form == PREDICTOR_LINE) p->own[0] = 1 << PREDICTOR_PRECISION_MIN;
  if (form == PREDICTOR_BEND) {
    p->own[0] = 2 << PREDICTOR_PRECISION_MIN;
    p->own[1] = -(1 << PREDICTOR_PRECISION_MIN);
  }
}
