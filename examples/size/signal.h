/* SPDX-License-Identifier: Apache-2.0 */
/* signal.h - what kinds of signals take on the wire, as docs/SIZES.md ("Bytes a reading") has it.
 *
 * There a recording of each kind is coded in frames of 10 and of 60 s, so that its bytes fall apart
 * into those of a frame and those of a reading. Your signal will differ: by its noise most of all.
 */
#ifndef HTEL_SIZE_SIGNAL_H
#define HTEL_SIZE_SIGNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGNAL_CODINGS 3u   /* as htel_coding: ZLIB, FAST, BEST */
#define SIGNAL_ENVELOPE 24u /* bytes of a frame that do not depend on how many channels it has */

typedef struct signal {
  const char *name;
  const char *what;
  const char *recording; /* the row of docs/SIZES.md */
  bool waveform;
  uint8_t channels;               /* of the recording */
  uint16_t rows_short, rows_long; /* of its frames of 10 s (or 10 rows), 60 s (60 rows) */
  double bytes_short[SIGNAL_CODINGS], bytes_long[SIGNAL_CODINGS]; /* a reading, frame included */
} signal;

const signal *signal_find(const char *name, size_t size);
/* The i-th, or NULL behind the last. */
const signal *signal_at(unsigned i);

/* Bytes that a channel adds to a frame, and each of its readings. */
void signal_cost(const signal *s, uint8_t coding, double *channel, double *reading);

#endif
