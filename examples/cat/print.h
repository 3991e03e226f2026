/* SPDX-License-Identifier: Apache-2.0 */
/* print.h - the three forms in which htel-cat prints. */
#ifndef CAT_PRINT_H
#define CAT_PRINT_H

#include "input.h"

#define PRINT_NAMES_MAX 64u

typedef struct print_options {
  const char *channels[PRINT_NAMES_MAX]; /* names of those wanted; none: all */
  unsigned channel_count;
  bool no_time, quality; /* csv */
} print_options;

bool print_wanted(const print_options *o, const htel_birth *birth, uint8_t channel);

/* A channel's name, or one made from its code where it has none. `room` holds PRINT_NAME_BYTES. */
#define PRINT_NAME_BYTES 64u
const char *print_name(const htel_birth *birth, unsigned channel, char *room);

const char *print_quality(uint8_t quality); /* "valid", "sensor_off", ... */

/* Exact time of sample i of a run, rounded down to the ms. */
uint64_t print_sample_tick(const readings_run *run, const htel_birth *birth, unsigned i);

void print_text(const input_decoded *d, const print_options *o);
void print_jsonl(const input_decoded *d, const print_options *o);

/* All frames of the input. False: it cannot be done; said on stderr. */
bool print_csv(input *in, const print_options *o);

#endif
