/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - bytes and varints, written into and read out of a bounded piece of memory.
 *
 * Varints are protobuf's: seven bits a byte, least significant first; signed ones are
 * zigzagged. Errors stick: after the first one nothing more is written (or every read gives 0), so
 * a caller does its steps in a row and looks at `full` or `bad` once, at the end. Loops must
 * still have bounds of their own: a count that was read is checked before it is looped over. */
#ifndef HTEL_SRC_WIRE_H
#define HTEL_SRC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct wire_out {
  uint8_t *at; /* the next byte goes here */
  uint8_t *end;
  bool full; /* something did not fit */
} wire_out;

void wire_put_byte(wire_out *out, uint8_t byte);
void wire_put_varint(wire_out *out, uint64_t value);
void wire_put_signed(wire_out *out, int64_t value);

typedef struct wire_in {
  const uint8_t *at; /* the next byte to be read */
  const uint8_t *end;
  bool bad; /* ended too early, or a number was out of range */
} wire_in;

uint8_t wire_byte(wire_in *in);
uint64_t wire_varint(wire_in *in);
uint32_t wire_varint32(wire_in *in); /* bad when over 32 bits */
int64_t wire_signed(wire_in *in);
int32_t wire_signed32(wire_in *in);

static inline uint32_t wire_zigzag32(uint32_t value) {
  return (value << 1) ^ (0u - (value >> 31));
}

static inline uint32_t wire_unzigzag32(uint32_t code) {
  return (code >> 1) ^ (0u - (code & 1u));
}

#endif
