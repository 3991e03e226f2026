/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_message.c - see fuzz.h. */
#include "fuzz.h"

typedef struct writer {
  uint8_t *at, *end;
} writer;

static void put_byte(writer *out, uint8_t byte) {
  if (out->at < out->end) *out->at++ = byte;
}

static void put_varint(writer *out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) put_byte(out, (uint8_t)(value | 0x80u));
  put_byte(out, (uint8_t)value);
}

static void put_number(writer *out, uint8_t field, uint64_t value) {
  put_byte(out, (uint8_t)(field << 3));
  put_varint(out, value);
}

static void put_fixed(writer *out, uint8_t field, uint64_t value, unsigned bytes) {
  put_byte(out, (uint8_t)(field << 3 | (bytes == 4 ? 5 : 1)));
  for (unsigned i = 0; i < bytes; i++) put_byte(out, (uint8_t)(value >> 8 * i));
}

static void put_bytes(writer *out, uint8_t field, const uint8_t *bytes, size_t size) {
  put_byte(out, (uint8_t)(field << 3 | 2));
  put_varint(out, size);
  for (size_t i = 0; i < size; i++) put_byte(out, bytes[i]);
}

static void put_text(writer *out, uint8_t field, uint8_t chars) {
  uint8_t text[256];
  memset(text, 'a', sizeof text);
  put_bytes(out, field, text, chars);
}

/* The last item once more; its last byte counts on, so that numbers in a row are not alike. */
static void put_again(writer *out, const uint8_t *item, size_t size, uint8_t copy) {
  if (size == 0 || (size_t)(out->end - out->at) < size) return;
  memcpy(out->at, item, size);
  out->at += size;
  out->at[-1] = (uint8_t)(out->at[-1] + copy);
}

#define NESTED_BYTES 512u

size_t fuzz_message(fuzz_in *in, uint8_t *to, size_t room, unsigned depth) {
  writer out = {to, to + room};
  const uint8_t *item = to;
  size_t item_size = 0;
  uint8_t copies = 0;
  while (in->left > 0) {
    uint8_t what = fuzz_u8(in), field = what & 15u, nested[NESTED_BYTES];
    const uint8_t *bytes;
    uint8_t *begin = out.at;
    size_t n;
    switch (what >> 4) {
      case 4: put_number(&out, field, fuzz_u16(in)); break;
      case 5: put_number(&out, field, fuzz_u32(in)); break;
      case 6: put_number(&out, field, fuzz_u64(in)); break;
      case 7: put_fixed(&out, field, fuzz_u32(in), 4); break;
      case 8: put_fixed(&out, field, fuzz_u64(in), 8); break;
      case 9:
        n = fuzz_bytes(in, fuzz_u8(in), &bytes);
        put_bytes(&out, field, bytes, n);
        break;
      case 10: put_text(&out, field, fuzz_u8(in)); break;
      case 11:
      case 12:
      case 13:
        n = depth > 0 ? fuzz_message(in, nested, sizeof nested, depth - 1) : 0;
        put_bytes(&out, field, nested, n);
        break;
      case 14:
        for (; field > 0; field--) put_again(&out, item, item_size, ++copies);
        continue;
      case 15: return (size_t)(out.at - to);
      default: put_number(&out, field, fuzz_u8(in)); break;
    }
    item = begin;
    item_size = (size_t)(out.at - begin);
    copies = 0;
  }
  return (size_t)(out.at - to);
}
