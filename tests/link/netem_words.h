/* SPDX-License-Identifier: Apache-2.0 */
/* netem_words.h - what a bad network does to packets, in the words of `tc qdisc add ... netem`.
 *
 *     delay TIME [JITTER]   each packet comes so much later, by JITTER more or less; packets that
 *                           jitter lets overtake each other do
 *     loss P%               is dropped
 *     duplicate P%          comes twice
 *     reorder P%            has no delay, and so overtakes those that have
 *     corrupt P%            one bit is flipped, behind the IP header
 *     rate RATE             a line of so many bits a second
 *     limit N               packets that may wait for line and delay; more are dropped (1000)
 *     flap UP DOWN          not in tc: passes packets for UP, then drops all for DOWN, and so on
 *
 * TIME is a number with us, ms or s; RATE one with bit, kbit or mbit. */
#ifndef HTEL_TEST_NETEM_WORDS_H
#define HTEL_TEST_NETEM_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETEM_LIMIT_MAX 1000u
#define NETEM_TIME_US_MAX UINT64_C(86400000000) /* a day */

typedef struct netem_settings {
  uint64_t delay_us, jitter_us;
  uint64_t loss_ppm, duplicate_ppm, reorder_ppm, corrupt_ppm;
  uint64_t rate_bit_s; /* 0: no line between */
  uint64_t limit;
  uint64_t flap_up_us, flap_down_us; /* 0: always up */
} netem_settings;

enum { NETEM_UP = 1, NETEM_DOWN = 2, NETEM_BOTH = 3 };

/* Settings that hold from a time on. */
typedef struct netem_step {
  uint64_t at_us;
  int directions;
  netem_settings settings;
} netem_step;

/* `[at TIME] [up|down|both] WORD...`, words apart by blanks; no words: nothing is done to packets.
 * A step replaces all settings of its directions. false with `error` set: what is wrong. */
bool netem_step_parse(netem_step *step, const char *text, char *error, size_t error_size);

#endif
