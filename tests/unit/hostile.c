/* SPDX-License-Identifier: Apache-2.0 */
/* hostile.c - see hostile.h. */
#define _GNU_SOURCE
#include "hostile.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "birth.h"
#include "frame.h"

_Noreturn void hostile_broken(const char *what, const char *file, int line) {
#if defined(__unix__) /* also where stderr is elsewhere */
  dprintf(2, "%s:%d: broken promise: %s\n", file, line, what);
#else
  fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, what);
#endif
  abort();
}

/* Made here so that it depends on nothing under test. */
const htel_birth *hostile_desk(void) {
  static const struct {
    uint8_t kind;
    htel_rate rate;
  } kinds[] = {{HTEL_WAVEFORM, {360, 1}},         {HTEL_NUMERIC, {0, 1}}, {HTEL_ALARM, {0, 1}},
               {HTEL_WAVEFORM, {1, 1000000}},       /* the slowest, */
               {HTEL_WAVEFORM, {1000000, 1}},       /* the fastest, */
               {HTEL_WAVEFORM, {999983, 1000000}}}; /* the oddest there is */
  static htel_birth birth;
  birth.format = 1;
  birth.schema = 0x12345678;
  birth.channel_count = sizeof kinds / sizeof kinds[0];
  for (unsigned i = 0; i < birth.channel_count; i++)
    birth.channels[i] =
        (htel_birth_channel){.code = i, .kind = kinds[i].kind, .rate = kinds[i].rate, .gain = 1};
  return &birth;
}

/* ---- Readings ------------------------------------------------------------------------- */

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
  bool modelled = frame->coding == 2;
  for (size_t n = 0, readings = 0; (rc = htel_reader_next(&reader, &series)) == 1; n++) {
    readings += series.count;
    /* There is an end: a block has bytes, a column at most 32768 readings. */
    MUST(modelled ? readings <= birth->channel_count * 32768u : n < reader.size);
    MUST(reader.used <= reader.size);
    series_check(birth, &series);
  }
  MUST(rc == 0 || rc == HTEL_E_FORMAT);
  MUST(modelled || (rc == 0) == (reader.used == reader.size));
}

void hostile_read(const htel_birth *birth, uint64_t tick, const uint8_t *data, size_t size) {
  htel_frame frame;
  memset(&frame, 0, sizeof frame);
  frame.sequence = 1;
  frame.schema = birth->schema;
  frame.tick = tick;
  frame.data = data;
  frame.data_bytes = size;
  frame.data_size = (uint32_t)size;
  frame_read(&frame, birth);
}

/* The first three bytes choose the frame's tick and the size that is claimed for inflating. */
int hostile_data(const uint8_t *bytes, size_t size) {
  if (size < 3 || size > HTEL_FRAME_BYTES_MAX) return 0;
  static const uint64_t ticks[] = {0, 1, 1000000, UINT64_MAX, UINT64_MAX / 2};
  uint64_t tick = ticks[bytes[0] % 5];
  hostile_read(hostile_desk(), tick, bytes + 3, size - 3);
  if (size == 3) return 0;
  htel_frame frame;
  memset(&frame, 0, sizeof frame);
  frame.sequence = 1;
  frame.schema = hostile_desk()->schema;
  frame.tick = tick;
  frame.data = bytes + 3;
  frame.data_bytes = size - 3;
  frame.coding = 2;
  frame_read(&frame, hostile_desk());
  frame.coding = 1;
  frame.data_size = 1u + bytes[1] + 256u * bytes[2];
  frame_read(&frame, hostile_desk());
  return 0;
}

/* ---- Frames --------------------------------------------------------------------------- */

static void frame_check(const htel_frame *f, const uint8_t *bytes, size_t size) {
  MUST(f->sequence >= 1);
  MUST(f->frame_class < HTEL_CLASS_COUNT);
  MUST(f->coding <= 2);
  MUST(f->anchor_count <= HTEL_ANCHORS_MAX && f->loss_count <= HTEL_LOSSES_MAX);
  MUST(f->data_size <= HTEL_INFLATED_BYTES_MAX);
  if (f->data_bytes == 0) return;
  MUST(f->data > bytes && f->data + f->data_bytes <= bytes + size);
}

/* decode(encode(decode(x))) is decode(x), and what we write is never longer than what we read. */
static void frame_again(const htel_frame *f, size_t size) {
  static uint8_t bytes[HTEL_FRAME_BYTES_MAX];
  static htel_frame again;
  frame_parts parts = {.boot = f->boot,
                       .sequence = f->sequence,
                       .frame_class = f->frame_class,
                       .tick = f->tick,
                       .schema = f->schema,
                       .session = f->session,
                       .coding = f->coding,
                       .data_size = f->data_size,
                       .data = f->data,
                       .data_bytes = f->data_bytes,
                       .anchors = f->anchors,
                       .anchor_count = f->anchor_count,
                       .losses = f->losses,
                       .loss_count = f->loss_count};
  for (unsigned i = 0; i < f->loss_count; i++)
    if (f->losses[i].frame_class >= HTEL_CLASS_COUNT)
      return; /* of a class to come: kept, never written */
  int n = frame_encode(&parts, bytes, sizeof bytes);
  MUST(n > 0 && (size_t)n <= size);
  MUST(htel_frame_decode(&again, bytes, (size_t)n) == 0);
  MUST(again.data_bytes == f->data_bytes);
  MUST(f->data_bytes == 0 || memcmp(again.data, f->data, f->data_bytes) == 0);
  again.data = f->data;
  MUST(memcmp(&again, f, sizeof again) == 0); /* both were all zero before */
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
  frame_again(&frame, size);
  frame.schema = hostile_desk()->schema;
  frame_read(&frame, hostile_desk());
  return 0;
}

/* ---- Births --------------------------------------------------------------------------- */

/* Not byte by byte: a name that came twice leaves bytes of the first one behind its end. */
static void birth_compare(const htel_birth *a, const htel_birth *b) {
  MUST(a->format == b->format && strcmp(a->firmware, b->firmware) == 0);
  MUST(a->channel_count == b->channel_count);
  for (unsigned i = 0; i < a->channel_count; i++) {
    const htel_birth_channel *x = &a->channels[i];
    const htel_birth_channel *y = &b->channels[i];
    MUST(x->code == y->code && x->index == y->index && x->kind == y->kind);
    MUST(x->gain == y->gain && x->offset == y->offset && x->exponent == y->exponent);
    MUST(x->rate.num == y->rate.num);
    MUST(x->rate.num == 0 || x->rate.den == y->rate.den);
    MUST(strcmp(x->name, y->name) == 0 && strcmp(x->unit, y->unit) == 0);
  }
}

static void birth_again(const htel_birth *birth, size_t size) {
  static htel_channel channels[HTEL_CHANNELS_MAX];
  static uint8_t bytes[HTEL_FRAME_BYTES_MAX];
  static htel_birth again;
  for (unsigned i = 0; i < birth->channel_count; i++) {
    const htel_birth_channel *c = &birth->channels[i];
    channels[i] = (htel_channel){.code = c->code,
                                 .name = c->name,
                                 .unit = c->unit,
                                 .kind = c->kind,
                                 .rate = c->rate,
                                 .gain = c->gain,
                                 .offset = c->offset,
                                 .exponent = c->exponent,
                                 .index = c->index};
  }
  birth_source source = {birth->firmware, channels, birth->channel_count};
  uint32_t n = birth_size(&source);
  MUST(n > 0 && n <= size + 3u * birth->channel_count); /* a unit that was absent is written */
  MUST(birth_read(&source, 0, bytes, n) == 0);
  MUST(htel_birth_decode(&again, bytes, n) == 0);
  MUST(again.schema == birth_schema(&source));
  birth_compare(&again, birth);
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
    MUST(c->kind == HTEL_NUMERIC || (c->kind == HTEL_WAVEFORM) == (c->rate.num != 0));
    MUST(strlen(c->name) <= HTEL_NAME_CHARS_MAX);
    MUST(strlen(c->unit) >= 1 && strlen(c->unit) <= HTEL_UNIT_CHARS_MAX);
  }
  birth_again(&birth, size);
  return 0;
}

/* ---- Receipts ------------------------------------------------------------------------- */

static void ranges_check(const htel_range *ranges, unsigned count) {
  MUST(count <= HTEL_RANGES_MAX);
  for (unsigned i = 0; i < count; i++)
    MUST(ranges[i].first >= 1 && ranges[i].first <= ranges[i].last);
}

int hostile_receipt(const uint8_t *bytes, size_t size) {
  htel_receipt receipt, again;
  uint8_t copy[HTEL_RECEIPT_BYTES_MAX];
  int rc = htel_receipt_decode(&receipt, bytes, size);
  MUST(rc == 0 || rc == HTEL_E_FORMAT);
  if (rc != 0) return 0;
  ranges_check(receipt.stored, receipt.stored_count);
  ranges_check(receipt.quarantined, receipt.quarantined_count);
  MUST(receipt.birth_count <= sizeof receipt.births / sizeof receipt.births[0]);
  int n = htel_receipt_encode(&receipt, copy, sizeof copy); /* the fullest one fits */
  MUST(n >= 0 && htel_receipt_decode(&again, copy, (size_t)n) == 0);
  MUST(memcmp(&again, &receipt, sizeof again) == 0);
  return 0;
}
