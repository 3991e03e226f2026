/* SPDX-License-Identifier: Apache-2.0 */
/* range_in.c - the reading half of range.h. Input may be anything. */
#include "range.h"

#include <string.h>

/* Behind the end come up to four zeros: the writer leaves them out. */
uint8_t range_byte(range_in *in) {
  if (in->at < in->end) return *in->at++;
  if (++in->zeros > 4) in->bad = true;
  return 0;
}

void range_in_begin(range_in *in, const uint8_t *from, size_t size) {
  memset(in, 0, sizeof *in);
  in->at = from;
  in->end = from + size;
  in->range = UINT32_MAX;
  for (unsigned i = 0; i < 4; i++) in->code = in->code << 8 | range_byte(in);
}

static uint32_t few_bits(range_in *in, unsigned count) {
  if (count == 0) return 0;
  uint32_t value = range_find(in, count);
  range_take(in, value, 1, count);
  return value;
}

uint32_t range_bits(range_in *in, unsigned count) {
  if (count <= RANGE_BITS_MAX) return few_bits(in, count);
  uint32_t high = few_bits(in, count - RANGE_BITS_MAX);
  return high << RANGE_BITS_MAX | few_bits(in, RANGE_BITS_MAX);
}

uint32_t range_number(range_in *in, unsigned usual) {
  unsigned bits = usual;
  while (bits < 33 && few_bits(in, 1) == 1) bits++;
  if (bits == 33) {
    in->bad = true;
    return 0;
  }
  uint64_t from_one = 1ull << bits | range_bits(in, bits);
  uint64_t value = from_one - (1ull << usual);
  if (value > UINT32_MAX) {
    in->bad = true;
    return 0;
  }
  return (uint32_t)value;
}
