/* SPDX-License-Identifier: Apache-2.0 */
#include "code_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

const htel_channel fixture_channels[CH_COUNT] = {
    [CH_ECG] = {.code = HTEL_MDC_ECG_LEAD_II,
                .name = "ECG_II",
                .unit = HTEL_UNIT_MV,
                .kind = HTEL_WAVEFORM,
                .rate = {360, 1},
                .gain = 200,
                .offset = 1024},
    [CH_PULSE] = {.code = HTEL_MDC_PULSE_RATE_OXIMETER, .unit = HTEL_UNIT_PER_MIN},
    [CH_ALARM] = {.code = HTEL_MDC_PRIVATE(0xF000), .kind = HTEL_ALARM},
    [CH_THIRDS] = {.code = HTEL_MDC_PLETH, .kind = HTEL_WAVEFORM, .rate = {1000, 3}},
    [CH_TEMP] = {.code = HTEL_MDC_BODY_TEMPERATURE, .unit = HTEL_UNIT_CELSIUS, .exponent = -2},
    [CH_SLOW] = {.code = HTEL_MDC_ETCO2, .kind = HTEL_WAVEFORM, .rate = {1, 60}},
};

fixture *fixture_begin(void) {
  static fixture f;
  memset(&f, 0, sizeof f);
  birth_source source = {"1.2.3", fixture_channels, CH_COUNT};
  uint32_t size = birth_size(&source);
  assert_in_range(size, 1, sizeof f.bytes);
  assert_int_equal(birth_read(&source, 0, f.bytes, size), 0);
  assert_int_equal(htel_birth_decode(&f.birth, f.bytes, size), 0);
  assert_int_equal(f.birth.schema, birth_schema(&source));
  f.tick = 1000000;
  return &f;
}

#define CANARY 0xA5u

size_t fixture_add(fixture *f, const code_column *column, code_residuals residuals) {
  uint8_t *out = f->blocks + f->used;
  size_t room = sizeof f->blocks - f->used;
  size_t size = code_block_encode(column, f->tick, residuals, out, room);
  assert_in_range(size, 1, code_block_bytes_max(column->count));

  /* Twice more into a place of just the right size, and of one byte less. */
  static uint8_t tight[16384];
  assert_true(size + 8 <= sizeof tight);
  memset(tight, CANARY, size + 8);
  assert_int_equal(code_block_encode(column, f->tick, residuals, tight, size), size);
  assert_memory_equal(tight, out, size);
  memset(tight, CANARY, size + 8);
  assert_int_equal(code_block_encode(column, f->tick, residuals, tight, size - 1), 0);
  for (size_t i = size - 1; i < size + 8; i++) assert_int_equal(tight[i], CANARY);
  f->used += size;
  return size;
}

void fixture_frame(fixture *f) {
  frame_parts parts = {.boot = 7,
                       .sequence = 1,
                       .frame_class = HTEL_CLASS_WAVEFORM,
                       .tick = f->tick,
                       .schema = f->birth.schema,
                       .data = f->blocks,
                       .data_bytes = f->used};
  int size = frame_encode(&parts, f->bytes, sizeof f->bytes);
  assert_in_range(size, 1, f->used + FRAME_ENVELOPE_BYTES_MAX);
  f->size = (size_t)size;
  assert_int_equal(htel_frame_decode(&f->frame, f->bytes, f->size), 0);
  assert_int_equal(htel_reader_open(&f->reader, &f->frame, &f->birth), 0);
}

/* Where sample i of a waveform is, computed from the format's definition. */
static uint64_t waveform_tick(const code_column *column, uint32_t i) {
  htel_rate rate = fixture_channels[column->channel].rate;
  return column->tick_first + (column->phase + (uint64_t)i * 1000u * rate.den) / rate.num;
}

void fixture_expect(fixture *f, const code_column *column) {
  htel_series *s = &f->series;
  memset(s, CANARY, sizeof *s);
  assert_int_equal(htel_reader_next(&f->reader, s), 1);
  assert_int_equal(s->channel, column->channel);
  assert_int_equal(s->kind, column->kind);
  assert_int_equal(s->count, column->count);
  assert_memory_equal(s->values, column->values, column->count * sizeof column->values[0]);
  for (uint32_t i = 0; i < column->count; i++) {
    assert_int_equal(s->quality[i], column->quality ? column->quality[i] : column->quality_all);
    uint64_t tick = column->tick_first;
    if (column->kind == HTEL_WAVEFORM) {
      tick = waveform_tick(column, i);
    } else {
      tick += (uint64_t)(int64_t)(int32_t)(column->ticks[i] - column->ticks[0]);
    }
    assert_int_equal(s->ticks[i], tick);
  }
  if (column->kind != HTEL_WAVEFORM) return;
  assert_int_equal(s->continues, column->continues);
  assert_int_equal(s->phase, column->phase);
}

void fixture_expect_end(fixture *f) {
  assert_int_equal(htel_reader_next(&f->reader, &f->series), 0);
  assert_int_equal(htel_reader_next(&f->reader, &f->series), 0);
}

void fixture_values(sim_random *r, unsigned shape, int32_t *values, uint16_t count) {
  uint32_t at = random_u32(r), slope = random_u32(r) % 1000;
  for (uint32_t i = 0; i < count; i++) {
    switch (shape) {
      case 0: /* constant */ break;
      case 1: /* slow walk */ at += (uint32_t)random_around(r, 3); break;
      case 2: /* walk in wide steps, through the ends of the range */
        at += (uint32_t)random_around(r, 1u << 30);
        break;
      case 3: /* any value */ at = random_u32(r); break;
      case 4: /* the two ends in turn */ at = i % 2 ? 0x7FFFFFFFu : 0x80000000u; break;
      case 5: /* a quiet line with spikes */
        at = random_below(r, 40) ? random_below(r, 3) : random_u32(r);
        break;
      case 6: /* ramp */ at += slope; break;
      case 7: /* noise around a mean */ at = 5000 + random_below(r, 256); break;
      case 8: /* parabola: order 3 has nothing left to say */ at = i * i * 17; break;
      default: /* steps of a coarse converter */ at += 22u * (uint32_t)random_around(r, 2); break;
    }
    values[i] = (int32_t)at;
  }
}
