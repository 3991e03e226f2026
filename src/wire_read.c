/* SPDX-License-Identifier: Apache-2.0 */
/* wire_read.c - the reading half of wire.h. */
#include "wire.h"

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
