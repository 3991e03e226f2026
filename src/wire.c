/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c - the writing half of wire.h. */
#include "wire.h"

void wire_put_byte(wire_out *out, uint8_t byte) {
  if (out->at >= out->end) {
    out->full = true;
    return;
  }
  *out->at++ = byte;
}

void wire_put_varint(wire_out *out, uint64_t value) {
  while (value >= 0x80u) {
    wire_put_byte(out, (uint8_t)(value | 0x80u));
    value >>= 7;
  }
  wire_put_byte(out, (uint8_t)value);
}

void wire_put_signed(wire_out *out, int64_t value) {
  uint64_t bits = (uint64_t)value;
  wire_put_varint(out, (bits << 1) ^ (0u - (bits >> 63)));
}
