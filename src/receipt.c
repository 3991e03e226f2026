/* SPDX-License-Identifier: Apache-2.0 */
/* receipt.c - receipts as a device reads them (healthtel.proto: Receipt). */
#include <pb_decode.h>
#include <string.h>

#include "healthtel/decode.h"
#include "proto.h"

#define BIRTHS_MAX (sizeof((htel_receipt *)0)->births / sizeof(uint32_t))

/* Room for ranges that are read. */
typedef struct range_room {
  htel_range *ranges;
  uint16_t count;
} range_room;

/* Sequence numbers begin at 1. What is beyond the maximum is left out: its frames are receipted
 * again when they are sent again. */
static bool range_decode(pb_istream_t *stream, const pb_field_t *field, void **arg) {
  (void)field;
  range_room *list = *arg;
  healthtel_v1_Range message = healthtel_v1_Range_init_zero;
  if (!pb_decode(stream, healthtel_v1_Range_fields, &message)) return false;
  if (message.first == 0 || message.first > message.last) return false;
  if (list->count == HTEL_RANGES_MAX) return true;
  list->ranges[list->count].first = message.first;
  list->ranges[list->count].last = message.last;
  list->count++;
  return true;
}

static bool birth_take(pb_istream_t *stream, const pb_field_t *field, void **arg) {
  (void)field;
  htel_receipt *receipt = *arg;
  while (stream->bytes_left > 0) {
    uint32_t schema;
    if (!pb_decode_fixed32(stream, &schema)) return false;
    if (receipt->birth_count < BIRTHS_MAX) receipt->births[receipt->birth_count++] = schema;
  }
  return true;
}

int htel_receipt_decode(htel_receipt *receipt, const uint8_t *bytes, size_t size) {
  memset(receipt, 0, sizeof *receipt);
  if (size > HTEL_RECEIPT_BYTES_MAX) return HTEL_E_FORMAT;
  range_room stored = {receipt->stored, 0};
  range_room quarantined = {receipt->quarantined, 0};
  healthtel_v1_Receipt message = healthtel_v1_Receipt_init_zero;
  message.stored.funcs.decode = range_decode;
  message.stored.arg = &stored;
  message.quarantined.funcs.decode = range_decode;
  message.quarantined.arg = &quarantined;
  message.births.funcs.decode = birth_take;
  message.births.arg = receipt;

  pb_istream_t stream = pb_istream_from_buffer(bytes, size);
  if (!pb_decode(&stream, healthtel_v1_Receipt_fields, &message)) return HTEL_E_FORMAT;
  receipt->stored_count = stored.count;
  receipt->quarantined_count = quarantined.count;
  receipt->boot = message.boot;
  receipt->utc_ms = message.utc_ms;
  receipt->pause_ms = message.pause_ms;
  receipt->birth_wanted = message.birth_wanted;
  return 0;
}
