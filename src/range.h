/* SPDX-License-Identifier: Apache-2.0 */
/* range.h - a range coder: each symbol costs as many bits as its probability says, to a fraction.
 *
 * Coding narrows an interval of numbers: of the present range a symbol gets the part that is its
 * share of the probability, and any number of the last range tells all symbols again. Shares are
 * counted in 2^-bits of the whole. Bytes leave from the top; a carry that comes late goes through
 * those that have left. */
#ifndef HTEL_SRC_RANGE_H
#define HTEL_SRC_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANGE_BITS_MAX 16u      /* of a total */
#define RANGE_BOTTOM (1u << 24) /* the range is kept at least this wide between symbols */

typedef struct range_out {
  uint8_t *begin, *at, *end;
  uint32_t low; /* the lowest number of the interval, behind the bytes that have left */
  uint32_t range;
  bool full; /* something did not fit */
} range_out;

void range_out_begin(range_out *out, uint8_t *to, size_t room);
/* One more in the bytes that have left: seldom, and then seldom in more than one of them. */
void range_carry(range_out *out);
/* The top byte leaves. */
void range_shift(range_out *out);

/* A symbol that takes `share` of 2^bits, with `below` before it: share > 0, bits <= 16. */
static inline void range_put(range_out *out, uint32_t below, uint32_t share, unsigned bits) {
  uint32_t unit = out->range >> bits, low = out->low;
  out->low += below * unit;
  if (out->low < low) range_carry(out);
  /* The last symbol gets what the division left over. */
  out->range = below + share == 1u << bits ? out->range - below * unit : share * unit;
  while (out->range < RANGE_BOTTOM) {
    out->range <<= 8;
    range_shift(out);
  }
}

/* Plain bits, 0 to 32. */
void range_put_bits(range_out *out, uint32_t value, unsigned count);
/* A number that is most likely below 2^usual (Exp-Golomb): usual <= 31. */
void range_put_number(range_out *out, uint32_t value, unsigned usual);
/* The shortest bytes that say it all; how many there are. */
size_t range_out_end(range_out *out);

typedef struct range_in {
  const uint8_t *at, *end;
  uint32_t code, range;
  uint8_t zeros; /* bytes taken behind the end */
  bool bad;      /* too many of them, or a number over 32 bits */
} range_in;

void range_in_begin(range_in *in, const uint8_t *from, size_t size);
uint8_t range_byte(range_in *in);

/* Where in 2^bits the next symbol lies. The symbol found is then taken. */
static inline uint32_t range_find(const range_in *in, unsigned bits) {
  uint32_t at = in->code / (in->range >> bits);
  return at >> bits == 0 ? at : (1u << bits) - 1u;
}

static inline void range_take(range_in *in, uint32_t below, uint32_t share, unsigned bits) {
  uint32_t unit = in->range >> bits;
  in->code -= below * unit;
  in->range = below + share == 1u << bits ? in->range - below * unit : share * unit;
  while (in->range < RANGE_BOTTOM) {
    in->range <<= 8;
    in->code = in->code << 8 | range_byte(in);
  }
}

uint32_t range_bits(range_in *in, unsigned count);
uint32_t range_number(range_in *in, unsigned usual);

#endif
