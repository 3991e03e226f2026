/* SPDX-License-Identifier: Apache-2.0 */
#include "backoff.h"
#include "plant.h"

void backoff_init(backoff *b, uint32_t base_ms, uint32_t max_ms) {
  b->base_ms = base_ms;
  b->max_ms = max_ms;
  b->window_ms = base_ms;
}

uint32_t backoff_next_ms(backoff *b, uint32_t random) {
  /* Scaled by multiplication: even to within 1 in 2^32 / window. */
  uint32_t wait = (uint32_t)((uint64_t)random * b->window_ms >> 32);
  if (PLANT(23)) wait = b->window_ms;
  b->window_ms = b->window_ms > b->max_ms / 2u ? b->max_ms : b->window_ms * 2u;
  return wait;
}

void backoff_reset(backoff *b) {
  b->window_ms = b->base_ms;
}
