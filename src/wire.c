/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c - see wire.h. */
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

uint8_t wire_byte(wire_in *in) {
  if (in->bad || in->at >= in->end) {
    in->bad = true;
    return 0;
  }
  return *in->at++;
}

uint64_t wire_varint(wire_in *in) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    uint8_t byte = wire_byte(in);
    if (shift == 63 && byte > 1) break; /* more than 64 bits */
    value |= (uint64_t)(byte & 0x7Fu) << shift;
    if (byte < 0x80u) return in->bad ? 0 : value;
  }
  in->bad = true;
  return 0;
}

uint32_t wire_varint32(wire_in *in) {
  uint64_t value = wire_varint(in);
  if (value > UINT32_MAX) {
    in->bad = true;
    return 0;
  }
  return (uint32_t)value;
}

int64_t wire_signed(wire_in *in) {
  uint64_t code = wire_varint(in);
  return (int64_t)((code >> 1) ^ (0u - (code & 1u)));
}

int32_t wire_signed32(wire_in *in) {
  return (int32_t)wire_unzigzag32(wire_varint32(in));
}
