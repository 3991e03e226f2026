/* SPDX-License-Identifier: Apache-2.0 */
/* strange.h - a device whose readings are stranger than any patient's.
 *
 * A seed chooses channels of all kinds and rates, then some thousands of readings: signals of many
 * shapes up to the ends of 32 bits, gaps, qualities, values that are not there, times that jump and
 * go back, alarms, a clock that is set, a ring that is too small. The same seed gives the same
 * readings at the same times on every machine and with every compiler. */
#ifndef HTEL_TESTS_STRANGE_H
#define HTEL_TESTS_STRANGE_H

#include "../../ports/sim/sim_random.h"
#include "healthtel/healthtel.h"

enum { STRANGE_CHANNELS = 24 };

typedef struct strange_signal {
  unsigned shape;
  int32_t value, slope;
  uint32_t until;  /* tick of the next change of shape */
  uint64_t sample; /* waveforms: which one is next, by the clock */
  uint32_t next;   /* numerics: tick of the next reading */
  uint32_t period, jitter;
  uint8_t quality;
} strange_signal;

typedef struct strange {
  sim_random random;
  uint32_t tick;
  htel *tel; /* opened by the caller, with strange_port() and strange_config() */
  htel_channel channels[STRANGE_CHANNELS];
  strange_signal signals[STRANGE_CHANNELS];
  uint16_t count;
  bool is_wild;
} strange;

void strange_init(strange *it, uint64_t seed);
/* Boot numbers are random; now and then boots before this one ended without a word. */
htel_port strange_port(strange *it, const htel_link *link);
htel_config strange_config(strange *it, htel_coding coding, uint32_t frame_s);
void strange_live(strange *it, uint32_t seconds);
/* Delivers what there is; as htel_close. */
int strange_close(strange *it);

#endif
