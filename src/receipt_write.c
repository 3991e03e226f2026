/* SPDX-License-Identifier: Apache-2.0 */
/* receipt_write.c - receipts as an ingest writes them (healthtel.proto: Receipt). */
#include <pb_encode.h>

#include "healthtel/decode.h"
#include "proto.h"

#define BIRTHS_MAX (sizeof((htel_receipt *)0)->births / sizeof(uint32_t))

/* Ranges to be written. */
typedef struct range_list {
  const htel_range *ranges;
  uint16_t count;
} range_list;

static bool ranges_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg) {
  const range_list *list = *arg;
  for (uint16_t i = 0; i < list->count; i++) {
    healthtel_v1_Range message = {list->ranges[i].first, list->ranges[i].last};
    if (!pb_encode_tag_for_field(stream, field) ||
        !pb_encode_submessage(stream, healthtel_v1_Range_fields, &message)) {
      return false;
    }
  }
  return true;
}

/* A packed list of fixed words: its length is known without a trial run. */
static bool births_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg) {
  const htel_receipt *receipt = *arg;
  if (receipt->birth_count == 0) return true;
  if (!pb_encode_tag(stream, PB_WT_STRING, field->tag) ||
      !pb_encode_varint(stream, receipt->birth_count * sizeof(uint32_t))) {
    return false;
  }
  for (uint16_t i = 0; i < receipt->birth_count; i++) {
    if (!pb_encode_fixed32(stream, &receipt->births[i])) return false;
  }
  return true;
}

int htel_receipt_encode(const htel_receipt *receipt, uint8_t *buf, size_t size) {
  if (receipt->stored_count > HTEL_RANGES_MAX || receipt->quarantined_count > HTEL_RANGES_MAX ||
      receipt->birth_count > BIRTHS_MAX) {
    return HTEL_E_TOO_LARGE;
  }
  range_list stored = {receipt->stored, receipt->stored_count};
  range_list quarantined = {receipt->quarantined, receipt->quarantined_count};
  healthtel_v1_Receipt message = healthtel_v1_Receipt_init_zero;
  message.boot = receipt->boot;
  message.stored.funcs.encode = ranges_encode;
  message.stored.arg = &stored;
  message.quarantined.funcs.encode = ranges_encode;
  message.quarantined.arg = &quarantined;
  message.utc_ms = receipt->utc_ms;
  message.pause_ms = receipt->pause_ms;
  message.births.funcs.encode = births_encode;
  message.births.arg = proto_arg(receipt);
  message.birth_wanted = receipt->birth_wanted;

  size_t room = size < HTEL_RECEIPT_BYTES_MAX ? size : HTEL_RECEIPT_BYTES_MAX;
  pb_ostream_t stream = pb_ostream_from_buffer(buf, room);
  if (!pb_encode(&stream, healthtel_v1_Receipt_fields, &message)) return HTEL_E_TOO_LARGE;
  return (int)stream.bytes_written;
}
