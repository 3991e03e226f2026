/* SPDX-License-Identifier: Apache-2.0 */
/* series.h - a run of int32 values as a predictor's residuals: the innermost part of the format.
 *
 *     mode byte | zigzag varint of value 0 | residuals of values 1 to n-1
 *
 * The predictor is a polynomial of order 0 to 3 through the values before: cheap (additions
 * only), exact (modulo 2^32), and what is left of a smooth signal is a few bits a sample. The
 * residuals, zigzagged, are Rice coded in partitions of 32 with a parameter each, or
 * bytes with an escape, or left out when all are zero. docs/FORMAT.md has every bit. */
#ifndef HTEL_SRC_SERIES_H
#define HTEL_SRC_SERIES_H

#include "code.h"
#include "wire.h"

/* The mode byte: bits 0-1 order, bits 2-4 how residuals are written, bits 5-7 zero. */
enum { SERIES_ZERO = 0, SERIES_RICE = 1, SERIES_BYTES = 2 };
#define SERIES_MODE(order, how) ((uint8_t)((unsigned)(order) | (unsigned)(how) << 2))

#define SERIES_PARTITION 32u /* residuals with a Rice parameter of their own */
#define SERIES_PARAMETER_BITS 5u
#define SERIES_PARAMETER_RAW 31u /* instead of a Rice parameter: 32 plain bits each */
#define SERIES_QUOTIENT_MAX 24u  /* so many ones: 32 plain bits follow instead of a remainder */
#define SERIES_BYTE_ESCAPE 255u

/* What is to be written: values, or the differences between neighbours of an array, so that ticks
 * need not be copied to be coded. */
typedef struct series_source {
  const uint32_t *values; /* differences: one more than the series is long */
  bool differences;
} series_source;

/* Writes `count` (1 to HTEL_COLUMN_SAMPLES_MAX) values; code.h says how. */
void series_write(wire_out *out, series_source source, uint16_t count, code_residuals residuals);

/* Reads back, either values or bare residuals, for those who need no more (zip.c). */
typedef struct series_reader {
  wire_in *in;
  uint8_t order;
  uint8_t how;       /* SERIES_ZERO, ... */
  uint8_t parameter; /* Rice: of the current partition */
  uint8_t bit_count; /* Rice: bits held, from the top of `bits` */
  uint16_t used;     /* residuals read */
  uint32_t first;    /* value 0 */
  uint64_t bits;
  uint32_t last, slope, bend; /* the value before, and its first and second differences */
} series_reader;

/* Reads the mode and value 0. The caller then takes exactly count - 1 residuals or values, and
 * closes; in->bad tells whether it all went well. */
void series_open(series_reader *reader, wire_in *in);
/* The next residuals, zigzagged: 32 bits without a sign, whatever the type says. */
uint32_t series_residual(series_reader *reader);
void series_residuals(series_reader *reader, int32_t *to, uint32_t count);
/* The next `count` values, from value 1 on. */
void series_values(series_reader *reader, int32_t *to, uint32_t count);
/* The same as steps from one value to the next, modulo 2^32; `last` is the value before them.
 * Returns the last one. */
uint32_t series_steps(series_reader *reader, uint32_t last, int32_t *to, uint32_t count);
void series_close(series_reader *reader);

/* All of it: values[0] to values[count - 1]. */
void series_read(int32_t *values, uint16_t count, wire_in *in);

#endif
