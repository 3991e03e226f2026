/* SPDX-License-Identifier: Apache-2.0 */
/* series_read.c - series read back: for decoders, and for zip.c. Input may be anything. */
#include "series.h"

#include <string.h>

void series_open(series_reader *reader, wire_in *in) {
  uint8_t mode = wire_byte(in);
  reader->in = in;
  reader->order = mode & 3u;
  reader->how = mode >> 2;
  if (reader->how > SERIES_BYTES) in->bad = true;
  reader->parameter = 0;
  reader->bit_count = 0;
  reader->bits = 0;
  reader->used = 0;
  reader->first = (uint32_t)wire_signed32(in);
  reader->last = reader->first;
  reader->slope = 0;
  reader->bend = 0;
}

/* ---- Residuals ------------------------------------------------------------------------ */

/* Bits on their way in, the next one on top; those not held are zero. It reads ahead, up to 32 bits
 * more than are asked for: bits_end gives back the bytes that were not touched. */
typedef struct bit_in {
  const uint8_t *at, *end;
  uint64_t bits;
  unsigned count;
  bool bad; /* more was asked for than there is, or than 32 bits can hold */
} bit_in;

static bit_in bits_begin(const series_reader *reader) {
  const wire_in *in = reader->in;
  return (bit_in){in->at, in->end, reader->bits, reader->bit_count, in->bad};
}

/* Fewer than 8 bits stay with the reader: what follows the series begins at its in->at. */
static void bits_end(series_reader *reader, const bit_in *b) {
  reader->bit_count = b->count & 7u;
  reader->bits = b->bits & ~(UINT64_MAX >> reader->bit_count);
  reader->in->at = b->at - b->count / 8;
  reader->in->bad = b->bad;
}

/* To 32 bits at least, or to all that there are. */
static inline void bits_fill(bit_in *b) {
  if (b->count >= 32) return;
  if (b->end - b->at >= 4) {
    const uint8_t *at = b->at;
    uint32_t word = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    b->bits |= (uint64_t)word << (32 - b->count);
    b->count += 32;
    b->at = at + 4;
    return;
  }
  for (; b->at < b->end; b->count += 8) b->bits |= (uint64_t)*b->at++ << (56 - b->count);
}

/* Takes 0 to 32 bits. */
static uint32_t bits_take(bit_in *b, unsigned count) {
  bits_fill(b);
  if (count > b->count) {
    b->bad = true;
    return 0;
  }
  uint32_t value = (uint32_t)(b->bits >> 32 >> (32 - count));
  b->bits <<= count;
  b->count -= count;
  return value;
}

/* A code of any length, of which `ones` ones are known. */
static uint32_t rice_take_long(bit_in *b, unsigned parameter, unsigned ones) {
  if (ones >= SERIES_QUOTIENT_MAX) {
    bits_take(b, SERIES_QUOTIENT_MAX);
    return bits_take(b, 32);
  }
  bits_take(b, ones + 1);
  uint64_t value = (uint64_t)ones << parameter | bits_take(b, parameter);
  if (value > UINT32_MAX) b->bad = true;
  return (uint32_t)value;
}

/* Residuals of one partition. */
static void rice_take(bit_in *in, unsigned parameter, int32_t *to, uint32_t count) {
  bit_in b = *in;                      /* a copy whose address nobody has can stay in registers */
  unsigned ones_max = 31u - parameter; /* so that a code has 32 bits at most */
  if (ones_max > SERIES_QUOTIENT_MAX - 1) ones_max = SERIES_QUOTIENT_MAX - 1;
  for (uint32_t i = 0; i < count; i++) {
    bits_fill(&b);
    unsigned ones = (unsigned)__builtin_clzll(~b.bits); /* at most 63 bits are held */
    unsigned length = ones + 1 + parameter;
    if (ones > ones_max || length > b.count) {
      *in = b;
      to[i] = (int32_t)rice_take_long(in, parameter, ones);
      b = *in;
      continue;
    }
    uint64_t rest = b.bits << ones; /* a zero, then the remainder */
    to[i] = (int32_t)(ones << parameter | (uint32_t)(rest >> (63 - parameter)));
    b.bits = rest << 1 << parameter;
    b.count -= length;
  }
  *in = b;
}

static void raw_take(bit_in *b, int32_t *to, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) to[i] = (int32_t)bits_take(b, 32);
}

static void rice_read(series_reader *reader, int32_t *to, uint32_t count) {
  bit_in b = bits_begin(reader);
  uint32_t used = reader->used;
  for (uint32_t i = 0; i < count;) {
    uint32_t place = (used + i) % SERIES_PARTITION;
    if (place == 0) reader->parameter = (uint8_t)bits_take(&b, SERIES_PARAMETER_BITS);
    uint32_t part = SERIES_PARTITION - place;
    if (part > count - i) part = count - i;
    if (reader->parameter == SERIES_PARAMETER_RAW) {
      raw_take(&b, to + i, part);
    } else {
      rice_take(&b, reader->parameter, to + i, part);
    }
    i += part;
  }
  bits_end(reader, &b);
}

static uint32_t byte_take(wire_in *in) {
  uint32_t byte = wire_byte(in);
  if (byte < SERIES_BYTE_ESCAPE) return byte;
  uint32_t more = wire_varint32(in);
  if (more > UINT32_MAX - SERIES_BYTE_ESCAPE) in->bad = true;
  return SERIES_BYTE_ESCAPE + more;
}

/* A byte at `at`, where there is one that is no escape; else what `in` says, with both kept in
 * step. */
static inline uint32_t byte_at(wire_in *in, const uint8_t **at, const uint8_t *end) {
  if (*at < end && **at != SERIES_BYTE_ESCAPE) return *(*at)++;
  in->at = *at;
  uint32_t residual = byte_take(in);
  *at = in->at;
  return residual;
}

static void bytes_read(wire_in *in, int32_t *to, uint32_t count) {
  const uint8_t *at = in->at, *end = in->end;
  for (uint32_t i = 0; i < count; i++) to[i] = (int32_t)byte_at(in, &at, end);
  in->at = at;
}

void series_residuals(series_reader *reader, int32_t *to, uint32_t count) {
  if (reader->how == SERIES_RICE) {
    rice_read(reader, to, count);
  } else if (reader->how == SERIES_BYTES) {
    bytes_read(reader->in, to, count);
  } else {
    memset(to, 0, count * sizeof *to);
  }
  reader->used = (uint16_t)(reader->used + count);
}

uint32_t series_residual(series_reader *reader) {
  int32_t residual;
  series_residuals(reader, &residual, 1);
  return (uint32_t)residual;
}

/* ---- Values --------------------------------------------------------------------------- */

/* At value 1 all orders predict value 0, and at value 2 orders 2 and 3 are alike: the differences
 * begin as zero, and the second one is left at zero by the first step. */
void series_values(series_reader *reader, int32_t *to, uint32_t count) {
  bool is_first = reader->used == 0;
  series_residuals(reader, to, count);
  uint32_t last = reader->last, slope = reader->slope, bend = reader->bend, i = 0;
  if (is_first && count > 0 && reader->order > 0) {
    slope = wire_unzigzag32((uint32_t)to[0]);
    to[i++] = (int32_t)(last += slope);
  }
  if (reader->order == 0) { /* all from value 0 */
    for (; i < count; i++) to[i] = (int32_t)(last + wire_unzigzag32((uint32_t)to[i]));
  } else if (reader->order == 1) {
    for (; i < count; i++) to[i] = (int32_t)(last += wire_unzigzag32((uint32_t)to[i]));
  } else if (reader->order == 2) {
    for (; i < count; i++) {
      slope += wire_unzigzag32((uint32_t)to[i]);
      to[i] = (int32_t)(last += slope);
    }
  } else {
    for (; i < count; i++) {
      bend += wire_unzigzag32((uint32_t)to[i]);
      to[i] = (int32_t)(last += slope += bend);
    }
  }
  reader->last = last;
  reader->slope = slope;
  reader->bend = bend;
}

uint32_t series_steps(series_reader *reader, uint32_t last, int32_t *to, uint32_t count) {
  if (reader->how == SERIES_BYTES && reader->order == 1) { /* they stand there as they are */
    const uint8_t *at = reader->in->at, *end = reader->in->end;
    for (uint32_t i = 0; i < count; i++) {
      uint32_t step = wire_unzigzag32(byte_at(reader->in, &at, end));
      to[i] = (int32_t)step;
      last += step;
    }
    reader->in->at = at;
    reader->used = (uint16_t)(reader->used + count);
    return reader->last = last;
  }
  series_values(reader, to, count);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t value = (uint32_t)to[i];
    to[i] = (int32_t)(value - last);
    last = value;
  }
  return last;
}

void series_close(series_reader *reader) {
  if (reader->bits != 0) reader->in->bad = true; /* padding that is not zero */
}

void series_read(int32_t *values, uint16_t count, wire_in *in) {
  series_reader reader;
  series_open(&reader, in);
  values[0] = (int32_t)reader.first;
  series_values(&reader, values + 1, count - 1u);
  series_close(&reader);
}
