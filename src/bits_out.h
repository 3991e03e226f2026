/* SPDX-License-Identifier: Apache-2.0 */
/* bits_out.h - bits on their way out, the first bit of a byte on top.
 *
 * The same bytes twice: with 64 bits that wait where the machine has registers for them, with 32
 * where it has not. */
#ifndef HTEL_SRC_BITS_OUT_H
#define HTEL_SRC_BITS_OUT_H

#include "wire.h"

#if !defined(BITS_OUT_64)
#if UINTPTR_MAX > 0xFFFFFFFFu
#define BITS_OUT_64 1
#else
#define BITS_OUT_64 0
#endif
#endif

static inline void bits_word_put(wire_out *out, uint32_t word) {
  uint8_t *at = out->at;
  if (out->end - at < 4) {
    out->full = true;
    return;
  }
  at[0] = (uint8_t)(word >> 24);
  at[1] = (uint8_t)(word >> 16);
  at[2] = (uint8_t)(word >> 8);
  at[3] = (uint8_t)word;
  out->at = at + 4;
}

#if BITS_OUT_64

/* Fewer than 32 wait, at the bottom of `bits`. */
typedef struct bit_out {
  wire_out *out;
  uint64_t bits;
  unsigned count;
} bit_out;

static inline bit_out bits_begin(wire_out *out) {
  return (bit_out){out, 0, 0};
}

/* Adds `count` bits, 1 to 32. */
static inline void bits_put(bit_out *b, uint32_t value, unsigned count) {
  b->bits = b->bits << count | value;
  b->count += count;
  if (b->count < 32) return;
  b->count -= 32;
  bits_word_put(b->out, (uint32_t)(b->bits >> b->count));
}

/* `ones` ones, a zero, and a rest of `count` bits: 1 to 32 in all. */
static inline void bits_put_code(bit_out *b, unsigned ones, uint32_t rest, unsigned count) {
  b->bits = ((b->bits + 1) << ones) - 1;
  b->count += ones;
  bits_put(b, rest, count + 1);
}

/* Pads with zeros to a byte. */
static inline void bits_end(bit_out *b) {
  unsigned padding = (0u - b->count) & 7u;
  b->bits <<= padding;
  for (b->count += padding; b->count > 0;) {
    b->count -= 8;
    wire_put_byte(b->out, (uint8_t)(b->bits >> b->count));
  }
}

#else

/* Those that wait are on top of `bits`, which has room for `free` more, 1 to 32. */
typedef struct bit_out {
  wire_out *out;
  uint32_t bits;
  unsigned free;
} bit_out;

static inline bit_out bits_begin(wire_out *out) {
  return (bit_out){out, 0, 32};
}

/* Adds `count` bits, 1 to 32. */
static inline void bits_put(bit_out *b, uint32_t value, unsigned count) {
  if (count < b->free) {
    b->free -= count;
    b->bits |= value << b->free;
    return;
  }
  unsigned over = count - b->free;
  bits_word_put(b->out, b->bits | value >> over);
  b->free = 32u - over;
  b->bits = value << 1 << (31u - over);
}

/* `ones` ones, a zero, and a rest of `count` bits: 1 to 32 in all. */
static inline void bits_put_code(bit_out *b, unsigned ones, uint32_t rest, unsigned count) {
  bits_put(b, ((1u << ones) - 1u) << (count + 1u) | rest, ones + 1u + count);
}

/* Pads with zeros to a byte. */
static inline void bits_end(bit_out *b) {
  for (; b->free < 32u; b->free += b->free < 24u ? 8u : 32u - b->free) {
    wire_put_byte(b->out, (uint8_t)(b->bits >> 24));
    b->bits <<= 8;
  }
}

#endif
#endif
