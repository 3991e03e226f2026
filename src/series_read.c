/* SPDX-License-Identifier: Apache-2.0 */
/* series_read.c - series read back: for decoders, and for zip.c. Input may be anything. */
#include "series.h"

/* At value 1 all orders predict value 0, and at value 2 orders 2 and 3 are alike: the differences
 * begin as zero, and the second one is left at zero by the first step. */
static void walk_begin(series_walk *w, uint32_t first, uint8_t order) {
  w->last = first;
  w->slope = 0;
  w->bend = 0;
  w->hold_mask = order == 0 ? UINT32_MAX : 0;
  w->slope_mask = order >= 2 ? UINT32_MAX : 0;
  w->bend_mask = order >= 3 ? UINT32_MAX : 0;
}

static uint32_t walk_prediction(const series_walk *w) {
  return w->last + (w->slope & w->slope_mask) + (w->bend & w->bend_mask);
}

static void walk_step(series_walk *w, uint32_t value, bool is_first) {
  uint32_t step = value - w->last;
  w->bend = is_first ? 0 : step - w->slope;
  w->slope = step;
  w->last += step & ~w->hold_mask; /* order 0 predicts value 0 for ever */
}

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
  walk_begin(&reader->walk, reader->first, reader->order);
}

static void bits_drop(series_reader *reader, unsigned count) {
  reader->bits <<= count;
  reader->bit_count = (uint8_t)(reader->bit_count - count);
}

/* A byte more is taken only when it is needed, so never one that belongs to what follows. */
static void bits_fill(series_reader *reader) {
  reader->bits |= (uint64_t)wire_byte(reader->in) << (56 - reader->bit_count);
  reader->bit_count = (uint8_t)(reader->bit_count + 8);
}

/* Takes 0 to 32 bits. */
static uint32_t bits_take(series_reader *reader, unsigned count) {
  while (reader->bit_count < count) bits_fill(reader);
  if (count == 0) return 0;
  uint32_t value = (uint32_t)(reader->bits >> (64 - count));
  bits_drop(reader, count);
  return value;
}

/* Ones up to a zero, which is taken too; or SERIES_QUOTIENT_MAX of them, and no zero then. */
static unsigned ones_take(series_reader *reader) {
  unsigned ones = 0;
  for (;;) {
    if (reader->bit_count == 0) bits_fill(reader);
    /* The bits not held are zero, so that inverted they end the run at the latest. */
    unsigned run = (unsigned)__builtin_clzll(~reader->bits);
    if (ones + run >= SERIES_QUOTIENT_MAX) {
      bits_drop(reader, SERIES_QUOTIENT_MAX - ones);
      return SERIES_QUOTIENT_MAX;
    }
    ones += run;
    if (run < reader->bit_count) {
      bits_drop(reader, run + 1);
      return ones;
    }
    bits_drop(reader, run);
  }
}

static uint32_t rice_take(series_reader *reader) {
  if (reader->used % SERIES_PARTITION == 0) {
    reader->parameter = (uint8_t)bits_take(reader, SERIES_PARAMETER_BITS);
  }
  if (reader->parameter == SERIES_PARAMETER_RAW) return bits_take(reader, 32);
  uint64_t quotient = ones_take(reader);
  if (quotient == SERIES_QUOTIENT_MAX) return bits_take(reader, 32);
  uint64_t value = quotient << reader->parameter | bits_take(reader, reader->parameter);
  if (value > UINT32_MAX) reader->in->bad = true;
  return (uint32_t)value;
}

static uint32_t byte_take(series_reader *reader) {
  uint32_t byte = wire_byte(reader->in);
  if (byte < SERIES_BYTE_ESCAPE) return byte;
  uint32_t more = wire_varint32(reader->in);
  if (more > UINT32_MAX - SERIES_BYTE_ESCAPE) reader->in->bad = true;
  return SERIES_BYTE_ESCAPE + more;
}

uint32_t series_residual(series_reader *reader) {
  uint32_t residual = 0;
  if (reader->how == SERIES_RICE) {
    residual = rice_take(reader);
  } else if (reader->how == SERIES_BYTES) {
    residual = byte_take(reader);
  }
  reader->used++;
  return residual;
}

int32_t series_value(series_reader *reader) {
  bool is_first = reader->used == 0;
  uint32_t residual = wire_unzigzag32(series_residual(reader));
  uint32_t value = walk_prediction(&reader->walk) + residual;
  walk_step(&reader->walk, value, is_first);
  return (int32_t)value;
}

void series_close(series_reader *reader) {
  if (reader->bits != 0) reader->in->bad = true; /* padding that is not zero */
}

void series_read(int32_t *values, uint16_t count, wire_in *in) {
  series_reader reader;
  series_open(&reader, in);
  values[0] = (int32_t)reader.first;
  for (uint16_t i = 1; i < count && !in->bad; i++) values[i] = series_value(&reader);
  series_close(&reader);
}
