/* SPDX-License-Identifier: Apache-2.0 */
#include "pbwalk.h"

enum { TYPE_VARINT = 0, TYPE_64 = 1, TYPE_BYTES = 2, TYPE_32 = 5 };

int pbwalk_varint(pbwalk *w, uint64_t *value) {
  uint64_t v = 0;
  size_t used = w->used;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (used == w->size) return 0;
    uint8_t byte = w->bytes[used++];
    if (shift == 63 && byte > 1) return -1;
    v |= (uint64_t)(byte & 0x7fu) << shift;
    if (byte < 0x80) {
      *value = v;
      w->used = used;
      return 1;
    }
  }
  return -1;
}

static int take_fixed(pbwalk *w, size_t bytes, uint64_t *value) {
  if (w->size - w->used < bytes) return -1;
  uint64_t v = 0;
  for (size_t i = 0; i < bytes; i++) v |= (uint64_t)w->bytes[w->used + i] << (8 * i);
  w->used += bytes;
  *value = v;
  return 1;
}

static int take_bytes(pbwalk *w, pbwalk_field *field) {
  uint64_t size;
  if (pbwalk_varint(w, &size) != 1 || size > w->size - w->used) return -1;
  field->bytes = w->bytes + w->used;
  field->size = (size_t)size;
  w->used += (size_t)size;
  return 1;
}

int pbwalk_next(pbwalk *w, pbwalk_field *field) {
  if (w->used == w->size) return 0;
  uint64_t tag;
  if (pbwalk_varint(w, &tag) != 1 || tag > UINT32_MAX || tag >> 3 == 0) return -1;
  *field = (pbwalk_field){.number = (uint32_t)(tag >> 3), .type = (uint8_t)(tag & 7u)};
  switch (field->type) {
    case TYPE_VARINT: return pbwalk_varint(w, &field->value) == 1 ? 1 : -1;
    case TYPE_64: return take_fixed(w, 8, &field->value);
    case TYPE_32: return take_fixed(w, 4, &field->value);
    case TYPE_BYTES: return take_bytes(w, field);
    default: return -1;
  }
}
