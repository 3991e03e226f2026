/* SPDX-License-Identifier: Apache-2.0 */
/* backoff.h - how long to wait before the next try, so that a fleet does not come back as one.
 *
 * Exponential with full jitter: the wait is drawn evenly from a window that doubles with each
 * failure ("Exponential Backoff And Jitter", M. Brooker, AWS Architecture Blog, 2015). The whole
 * window is used, from 0: it is the spread that protects the server. */
#ifndef HTEL_SRC_BACKOFF_H
#define HTEL_SRC_BACKOFF_H

#include <stdint.h>

typedef struct backoff {
  uint32_t base_ms, max_ms;
  uint32_t window_ms; /* of the next wait */
} backoff;

void backoff_init(backoff *b, uint32_t base_ms, uint32_t max_ms);
/* The wait after a failure, 0 to window - 1 ms; `random` is 32 random bits. Doubles the window. */
uint32_t backoff_next_ms(backoff *b, uint32_t random);
/* It worked: the next failure starts anew. */
void backoff_reset(backoff *b);

#endif
