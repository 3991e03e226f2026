/* SPDX-License-Identifier: Apache-2.0 */
/* receipt.c - receipts as a device reads them (healthtel.proto: Receipt).
 *
 * The one message that a device reads. It is taken apart here, with wire.h, and not by nanopb's
 * decoder, which would cost a device five times as much flash; receipt_write.c, the ingest's side,
 * uses nanopb, and the tests hold the two against each other. As protobuf wants it, fields may come
 * in any order, and one that is unknown, or of another wire type than ours, is passed over. */
#include <string.h>

#include "healthtel/decode.h"
#include "wire.h"

#define BIRTHS_MAX (sizeof((htel_receipt *)0)->births / sizeof(uint32_t))

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };
#define TAG(number, wire_type) ((number) << 3 | (wire_type))

/* What stands behind a tag. */
typedef struct field {
  uint64_t value; /* of a varint */
  wire_in bytes;  /* of anything else */
} field;

/* Reads one field. Its tag, or 0: the message is over, or bad. */
static uint32_t field_read(wire_in *in, field *f) {
  f->value = 0;
  if (in->at >= in->end) return 0;
  uint32_t tag = wire_varint32(in);
  uint32_t wire_type = tag & 7u;
  uint32_t size = 8;
  if (wire_type == WIRE_VARINT) {
    f->value = wire_varint(in);
    size = 0;
  } else if (wire_type == WIRE_BYTES) {
    size = wire_varint32(in);
  } else if (wire_type == WIRE_FIXED32) {
    size = 4;
  } else if (wire_type != WIRE_FIXED64) {
    in->bad = true;
  }
  if (tag < TAG(1u, 0u) || size > (size_t)(in->end - in->at)) in->bad = true;
  if (in->bad) return 0;
  f->bytes = (wire_in){in->at, in->at + size, false};
  in->at += size;
  return tag;
}

static uint32_t value_32(wire_in *in, const field *f) {
  if (f->value > UINT32_MAX) in->bad = true;
  return (uint32_t)f->value;
}

/* Sequence numbers begin at 1. What is beyond the maximum is left out: its frames are receipted
 * again when they are sent again. */
static void range_read(wire_in *in, htel_range *ranges, uint16_t *count) {
  htel_range range = {0, 0};
  field f;
  for (uint32_t tag; (tag = field_read(in, &f)) != 0;) {
    if (tag == TAG(1, WIRE_VARINT)) range.first = value_32(in, &f);
    if (tag == TAG(2, WIRE_VARINT)) range.last = value_32(in, &f);
  }
  if (range.first == 0 || range.first > range.last) in->bad = true;
  if (*count < HTEL_RANGES_MAX && !in->bad) ranges[(*count)++] = range;
}

/* One schema, or a packed list of them. */
static void births_read(wire_in *in, htel_receipt *receipt) {
  while (in->at < in->end) {
    uint32_t schema = 0;
    for (unsigned shift = 0; shift < 32; shift += 8) schema |= (uint32_t)wire_byte(in) << shift;
    if (receipt->birth_count < BIRTHS_MAX) receipt->births[receipt->birth_count++] = schema;
  }
}

int htel_receipt_decode(htel_receipt *receipt, const uint8_t *bytes, size_t size) {
  memset(receipt, 0, sizeof *receipt);
  if (size > HTEL_RECEIPT_BYTES_MAX) return HTEL_E_FORMAT;
  wire_in in = {bytes, bytes + size, false};
  field f;
  for (uint32_t tag; (tag = field_read(&in, &f)) != 0;) {
    switch (tag) {
      case TAG(1, WIRE_VARINT): receipt->boot = f.value; break;
      case TAG(2, WIRE_BYTES): range_read(&f.bytes, receipt->stored, &receipt->stored_count); break;
      case TAG(3, WIRE_BYTES):
        range_read(&f.bytes, receipt->quarantined, &receipt->quarantined_count);
        break;
      case TAG(4, WIRE_VARINT):
        receipt->utc_ms = (int64_t)(f.value >> 1 ^ (0u - (f.value & 1u)));
        break;
      case TAG(5, WIRE_VARINT): receipt->pause_ms = value_32(&in, &f); break;
      case TAG(6, WIRE_BYTES):
      case TAG(6, WIRE_FIXED32): births_read(&f.bytes, receipt); break;
      case TAG(7, WIRE_VARINT): receipt->birth_wanted = f.value != 0; break;
      default: break;
    }
    if (f.bytes.bad) in.bad = true; /* what the field holds */
  }
  return in.bad ? HTEL_E_FORMAT : 0;
}
