/* SPDX-License-Identifier: Apache-2.0 */
/* range_out.c - the writing half of range.h. */
#include "range.h"

#include <string.h>

void range_out_begin(range_out *out, uint8_t *to, size_t room) {
  memset(out, 0, sizeof *out);
  out->begin = out->at = to;
  out->end = to + room;
  out->range = UINT32_MAX;
}

void range_carry(range_out *out) {
  uint8_t *at = out->at;
  while (at > out->begin && ++*--at == 0) {
  }
}

void range_shift(range_out *out) {
  if (out->at < out->end)
    *out->at++ = (uint8_t)(out->low >> 24);
  else
    out->full = true;
  out->low <<= 8;
}

void range_put_bits(range_out *out, uint32_t value, unsigned count) {
  if (count > RANGE_BITS_MAX) {
    range_put(out, value >> RANGE_BITS_MAX & ((1u << (count - RANGE_BITS_MAX)) - 1u), 1,
              count - RANGE_BITS_MAX);
    count = RANGE_BITS_MAX;
  }
  if (count > 0) range_put(out, value & ((1u << count) - 1u), 1, count);
}

void range_put_number(range_out *out, uint32_t value, unsigned usual) {
  uint64_t from_one = (uint64_t)value + (1ull << usual);
  unsigned bits = usual;
  for (; from_one >> (bits + 1u) != 0; bits++) range_put_bits(out, 1, 1);
  range_put_bits(out, 0, 1);
  range_put_bits(out, (uint32_t)from_one, bits);
}

size_t range_out_end(range_out *out) {
  for (unsigned zeros = 24; zeros > 0; zeros -= 8) { /* the number with most zero bytes behind */
    uint32_t mask = (1u << zeros) - 1u, number = (out->low + mask) & ~mask;
    if (number - out->low >= out->range) continue;
    if (number < out->low) range_carry(out);
    out->low = number;
    break;
  }
  /* What is zero at the end is left out: a reader puts up to four zeros back. */
  while (out->low != 0 || out->at == out->begin) range_shift(out);
  return (size_t)(out->at - out->begin);
}
