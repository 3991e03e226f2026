/* SPDX-License-Identifier: Apache-2.0 */
/* hostile.c - see hostile.h. */
#include "hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "healthtel/decode.h"

#define MUST(what) ((what) ? (void)0 : broken(#what, __LINE__))

static void broken(const char *what, int line) {
  fprintf(stderr, "hostile.c:%d: broken promise: %s\n", line, what);
  abort();
}

/* A birth with a channel of each kind, made here so that it depends on nothing under test. */
static const htel_birth *desk_birth(void) {
  static htel_birth birth;
  birth.format = 1;
  birth.schema = 0x12345678;
  birth.channel_count = 4;
  for (unsigned i = 0; i < 4; i++) {
    birth.channels[i].code = i;
    birth.channels[i].gain = 1;
    birth.channels[i].rate.den = 1;
  }
  birth.channels[0].kind = HTEL_WAVEFORM;
  birth.channels[0].rate.num = 360;
  birth.channels[1].kind = HTEL_NUMERIC;
  birth.channels[2].kind = HTEL_ALARM;
  birth.channels[3].kind = HTEL_WAVEFORM; /* the slowest there is */
  birth.channels[3].rate = (htel_rate){1, 1000000};
  return &birth;
}

static void series_check(const htel_birth *birth, const htel_series *s) {
  MUST(s->channel < birth->channel_count);
  MUST(s->kind == birth->channels[s->channel].kind);
  MUST(s->count >= 1 && s->count <= HTEL_COLUMN_SAMPLES_MAX);
  for (unsigned i = 0; i < s->count; i++) {
    MUST(s->quality[i] <= HTEL_QUALITY_MAX);
    if (s->kind != HTEL_ALARM) continue;
    MUST(s->alarms[i].state <= HTEL_ALARM_PAUSED);
    MUST(s->alarms[i].priority <= HTEL_PRIORITY_HIGH);
    uint8_t source = s->alarms[i].source;
    MUST(source == HTEL_NO_SOURCE || source < birth->channel_count);
  }
  if (s->kind != HTEL_WAVEFORM) return;
  MUST(s->phase < birth->channels[s->channel].rate.num);
  for (unsigned i = 1; i < s->count; i++) MUST(s->ticks[i] >= s->ticks[i - 1]);
}

static void frame_read(const htel_frame *frame, const htel_birth *birth) {
  static htel_reader reader;
  static htel_series series;
  int rc = htel_reader_open(&reader, frame, birth);
  MUST(rc == 0 || rc == HTEL_E_FORMAT || rc == HTEL_E_SCHEMA || rc == HTEL_E_UNSUPPORTED);
  if (rc != 0) return;
  MUST(reader.size <= HTEL_INFLATED_BYTES_MAX);
  for (size_t n = 0; (rc = htel_reader_next(&reader, &series)) == 1; n++) {
    MUST(n < reader.size); /* a block has bytes: there is an end */
    MUST(reader.used <= reader.size);
    series_check(birth, &series);
  }
  MUST(rc == 0 || rc == HTEL_E_FORMAT);
  MUST((rc == 0) == (reader.used == reader.size));
}

static void frame_check(const htel_frame *f, const uint8_t *bytes, size_t size) {
  MUST(f->sequence >= 1);
  MUST(f->frame_class < HTEL_CLASS_COUNT);
  MUST(f->coding <= 1);
  MUST(f->anchor_count <= HTEL_ANCHORS_MAX && f->loss_count <= HTEL_LOSSES_MAX);
  MUST(f->data_size <= HTEL_INFLATED_BYTES_MAX);
  if (f->data_bytes == 0) return;
  MUST(f->data > bytes && f->data + f->data_bytes <= bytes + size);
}

int hostile_frame(const uint8_t *bytes, size_t size) {
  static htel_frame frame;
  static uint8_t copy[HTEL_FRAME_BYTES_MAX];
  if (htel_frame_decode(&frame, bytes, size) == 0) frame_check(&frame, bytes, size);
  if (size < 5 || size > sizeof copy) return 0;

  memcpy(copy, bytes, size);
  uint32_t crc = htel_crc32(0, copy, size - 5);
  copy[size - 5] = 0x7D;
  for (unsigned i = 0; i < 4; i++) copy[size - 4 + i] = (uint8_t)(crc >> 8 * i);
  int rc = htel_frame_decode(&frame, copy, size);
  MUST(rc == 0 || rc == HTEL_E_FORMAT || rc == HTEL_E_UNSUPPORTED || rc == HTEL_E_TOO_LARGE);
  if (rc != 0) return 0;
  frame_check(&frame, copy, size);
  frame.schema = desk_birth()->schema;
  frame_read(&frame, desk_birth());
  return 0;
}

/* The first three bytes choose the frame's tick and the size that is claimed for inflating. */
int hostile_data(const uint8_t *bytes, size_t size) {
  if (size < 3 || size > HTEL_FRAME_BYTES_MAX) return 0;
  static const uint64_t ticks[] = {0, 1, 1000000, UINT64_MAX, UINT64_MAX / 2};
  htel_frame frame;
  memset(&frame, 0, sizeof frame);
  frame.sequence = 1;
  frame.schema = desk_birth()->schema;
  frame.tick = ticks[bytes[0] % 5];
  frame.data = bytes + 3;
  frame.data_bytes = size - 3;
  frame.data_size = (uint32_t)frame.data_bytes;
  frame_read(&frame, desk_birth());
  if (frame.data_bytes == 0) return 0;
  frame.coding = 1;
  frame.data_size = 1u + bytes[1] + 256u * bytes[2];
  frame_read(&frame, desk_birth());
  return 0;
}

int hostile_birth(const uint8_t *bytes, size_t size) {
  static htel_birth birth;
  int rc = htel_birth_decode(&birth, bytes, size);
  MUST(rc == 0 || rc == HTEL_E_FORMAT || rc == HTEL_E_TOO_LARGE || rc == HTEL_E_VERSION);
  if (rc != 0) return 0;
  MUST(birth.channel_count >= 1 && birth.channel_count <= HTEL_CHANNELS_MAX);
  MUST(strlen(birth.firmware) <= HTEL_NAME_CHARS_MAX);
  for (unsigned i = 0; i < birth.channel_count; i++) {
    const htel_birth_channel *c = &birth.channels[i];
    MUST(c->gain != 0 && c->rate.den != 0 && c->kind <= HTEL_ALARM);
    MUST((c->kind == HTEL_WAVEFORM) == (c->rate.num != 0));
    MUST(strlen(c->name) <= HTEL_NAME_CHARS_MAX);
    MUST(strlen(c->unit) >= 1 && strlen(c->unit) <= HTEL_UNIT_CHARS_MAX);
  }
  return 0;
}

int hostile_receipt(const uint8_t *bytes, size_t size) {
  htel_receipt receipt;
  int rc = htel_receipt_decode(&receipt, bytes, size);
  MUST(rc == 0 || rc == HTEL_E_FORMAT);
  if (rc != 0) return 0;
  MUST(receipt.stored_count <= HTEL_RANGES_MAX && receipt.quarantined_count <= HTEL_RANGES_MAX);
  MUST(receipt.birth_count <= sizeof receipt.births / sizeof receipt.births[0]);
  for (unsigned i = 0; i < receipt.stored_count; i++) {
    MUST(receipt.stored[i].first >= 1 && receipt.stored[i].first <= receipt.stored[i].last);
  }
  return 0;
}
