/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_code.c - there and back: what is coded into a frame is what is read out of it.
 *
 * The input: settings, then blocks. Each of them is coded (Rice, bytes, or by zip.c or as columns
 * as the client does), framed with anchors and losses, decoded, and compared reading by reading. */
#include "batch.h"
#include "birth.h"
#include "code.h"
#include "frame.h"
#include "fuzz.h"
#include "model.h"
#include "zip.h"

#define BLOCKS_MAX 16u

static const htel_channel channels[] = {
    {.code = 1, .kind = HTEL_WAVEFORM, .rate = {360, 1}, .gain = 200, .offset = 1024},
    {.code = 2, .kind = HTEL_NUMERIC},
    {.code = 3, .kind = HTEL_ALARM},
    {.code = 4, .kind = HTEL_WAVEFORM, .rate = {1000, 3}},
    {.code = 5, .kind = HTEL_WAVEFORM, .rate = {1, 1000000}},
};
#define CHANNELS (sizeof channels / sizeof channels[0])

typedef struct block {
  code_column column;
  htel_alarm_event alarm;
  int32_t values[HTEL_COLUMN_SAMPLES_MAX];
  uint32_t ticks[HTEL_COLUMN_SAMPLES_MAX];
  uint8_t quality[HTEL_COLUMN_SAMPLES_MAX];
} block;

/* Values by bytes: plain, small steps, or a few bytes repeated. */
static void values_make(fuzz_in *in, int32_t *values, uint16_t count, uint8_t how) {
  uint32_t at = how & 0x80u ? fuzz_u32(in) : 0;
  const uint8_t *bytes;
  size_t period = fuzz_bytes(in, 1u + (how & 31u), &bytes);
  for (unsigned i = 0; i < count; i++) {
    uint32_t byte = period > 0 ? bytes[i % period] : 0;
    switch (how >> 5 & 3u) {
      case 0: at = fuzz_u32(in); break;
      case 1: at += byte - 128u; break;
      case 2: at += fuzz_u8(in) - 128u; break;
      default: at = at * 1664525u + 1013904223u + byte; break; /* noise */
    }
    values[i] = (int32_t)at;
  }
}

static void block_make(fuzz_in *in, block *b, uint64_t tick) {
  code_column *c = &b->column;
  *c = (code_column){.channel = (uint8_t)(fuzz_u8(in) % CHANNELS),
                     .count = (uint16_t)(1u + fuzz_u16(in) % HTEL_COLUMN_SAMPLES_MAX),
                     .values = b->values,
                     .ticks = b->ticks,
                     .tick_first = tick + fuzz_u16(in)};
  c->kind = channels[c->channel].kind;
  uint8_t how = fuzz_u8(in);
  c->quality_all = how & 7u;
  if (how & 0x80u) {
    const uint8_t *bytes;
    size_t n = fuzz_bytes(in, how >> 3 & 15u, &bytes);
    for (unsigned i = 0; i < c->count; i++) b->quality[i] = n > 0 ? bytes[i % n] & 7u : 0;
    c->quality = b->quality;
  }
  b->alarm = (htel_alarm_event){.code = fuzz_u32(in),
                                .state = how & 3u,
                                .priority = how >> 2 & 3u,
                                .latched = (how & 16u) != 0,
                                .source = how & 32u ? HTEL_NO_SOURCE : (uint8_t)(how % CHANNELS)};
  if (c->kind == HTEL_ALARM) return;
  values_make(in, b->values, c->count, fuzz_u8(in));
  if (c->kind == HTEL_WAVEFORM) {
    c->phase = fuzz_u32(in) % channels[c->channel].rate.num;
    return;
  }
  values_make(in, (int32_t *)b->ticks, c->count, fuzz_u8(in));
  /* Anywhere within hours of the first one, before it too: as a client's readings may be. */
  for (unsigned i = 0; i < c->count; i++)
    b->ticks[i] = (uint32_t)c->tick_first + (i == 0 ? 0 : b->ticks[i] % 0x2000000u) -
                  (i == 0 || c->tick_first < 0x1000000u ? 0 : 0x1000000u);
}

static size_t block_encode(const block *b, uint64_t tick, code_residuals residuals, uint8_t *out,
                           size_t room) {
  const code_column *c = &b->column;
  if (c->kind == HTEL_ALARM) {
    size_t n = code_alarm_encode(c->channel, &b->alarm, c->tick_first, tick, out, room);
    MUST(n <= CODE_ALARM_BYTES_MAX);
    return n;
  }
  size_t n = code_block_encode(c, tick, residuals, out, room);
  MUST(residuals == CODE_BYTES || n <= code_block_bytes_max(c->count));
  return n;
}

static uint64_t tick_of(const block *b, unsigned i) {
  const code_column *c = &b->column;
  if (c->kind == HTEL_ALARM || i == 0) return c->tick_first;
  if (c->kind == HTEL_NUMERIC)
    return c->tick_first + (uint64_t)(int64_t)(int32_t)(c->ticks[i] - c->ticks[0]);
  htel_rate rate = channels[c->channel].rate;
  return c->tick_first + (c->phase + (uint64_t)i * 1000u * rate.den) / rate.num;
}

/* One reading of the series against one of the block. */
static void reading_compare(const block *b, unsigned i, const htel_series *s, unsigned k) {
  const code_column *c = &b->column;
  MUST(s->ticks[k] == tick_of(b, i) && s->values[k] == c->values[i]);
  MUST(s->quality[k] == (c->quality ? c->quality[i] : c->quality_all));
}

static void block_compare(const block *b, const htel_series *s) {
  const code_column *c = &b->column;
  MUST(s->channel == c->channel && s->kind == c->kind);
  MUST(s->count == (c->kind == HTEL_ALARM ? 1 : c->count));
  if (c->kind == HTEL_ALARM) {
    MUST(s->ticks[0] == tick_of(b, 0));
    const htel_alarm_event *a = &s->alarms[0];
    MUST(a->code == b->alarm.code && a->state == b->alarm.state);
    MUST(a->priority == b->alarm.priority && a->latched == b->alarm.latched);
    MUST(a->source == b->alarm.source);
    return;
  }
  for (unsigned i = 0; i < s->count; i++) reading_compare(b, i, s, i);
  if (c->kind == HTEL_WAVEFORM) MUST(s->phase == c->phase);
}

/* Columns bring a channel's readings together, in the order of its blocks. */
static void columns_compare(const block *blocks, unsigned count, htel_reader *reader) {
  static htel_series series;
  unsigned at[CHANNELS] = {0}, taken[CHANNELS] = {0}; /* which block, readings of it */
  uint32_t left = 0;
  for (unsigned b = 0; b < count; b++) left += blocks[b].column.count;
  while (left > 0) {
    MUST(htel_reader_next(reader, &series) == 1);
    unsigned *b = &at[series.channel], *i = &taken[series.channel];
    for (unsigned k = 0; k < series.count; k++) {
      while (*b < count &&
             (blocks[*b].column.channel != series.channel || *i == blocks[*b].column.count)) {
        (*b)++;
        *i = 0;
      }
      MUST(*b < count);
      reading_compare(&blocks[*b], (*i)++, &series, k);
    }
    MUST(series.count <= left);
    left -= series.count;
  }
}

static void company_make(fuzz_in *in, frame_parts *parts, htel_anchor *anchors, htel_loss *losses) {
  parts->anchor_count = fuzz_u8(in) % (HTEL_ANCHORS_MAX + 1u);
  parts->loss_count = fuzz_u8(in) % (HTEL_LOSSES_MAX + 1u);
  for (unsigned i = 0; i < parts->anchor_count; i++)
    anchors[i] = (htel_anchor){fuzz_u64(in), (int64_t)fuzz_u64(in), fuzz_u32(in)};
  for (unsigned i = 0; i < parts->loss_count; i++) {
    uint32_t first = 1u + fuzz_u16(in);
    uint32_t more = fuzz_u16(in);
    losses[i] = (htel_loss){.cause = 1u + fuzz_u8(in) % 3u,
                            .boot = parts->boot + fuzz_u8(in),
                            .boot_last = fuzz_u8(in),
                            .channel = fuzz_u8(in),
                            .frame_class = fuzz_u8(in) % HTEL_CLASS_COUNT,
                            .sequence_first = first,
                            .sequence_last = first + more,
                            .frames = more,
                            .tick_first = fuzz_u64(in),
                            .tick_last = fuzz_u64(in),
                            .readings = fuzz_u32(in),
                            .id = fuzz_u16(in),
                            .at_most = (fuzz_u8(in) & 1u) != 0};
  }
  parts->anchors = anchors;
  parts->losses = losses;
}

static void frame_compare(const frame_parts *p, const htel_frame *f) {
  MUST(f->boot == p->boot && f->sequence == p->sequence && f->frame_class == p->frame_class);
  MUST(f->tick == p->tick && f->schema == p->schema && f->session == p->session);
  MUST(f->coding == p->coding && f->data_bytes == p->data_bytes);
  MUST(f->anchor_count == p->anchor_count && f->loss_count == p->loss_count);
  for (unsigned i = 0; i < f->anchor_count; i++) {
    const htel_anchor *a = &f->anchors[i];
    const htel_anchor *b = &p->anchors[i];
    MUST(a->tick == b->tick && a->utc_ms == b->utc_ms && a->uncertainty_ms == b->uncertainty_ms);
  }
  for (unsigned i = 0; i < f->loss_count; i++) {
    const htel_loss *a = &f->losses[i];
    const htel_loss *b = &p->losses[i];
    MUST(a->cause == b->cause && a->boot_last == b->boot_last && a->channel == b->channel);
    MUST(a->boot == (b->boot == 0 ? p->boot : b->boot) && a->frame_class == b->frame_class);
    MUST(a->sequence_first == b->sequence_first && a->sequence_last == b->sequence_last);
    MUST(a->tick_first == b->tick_first && a->tick_last == b->tick_last);
    MUST(a->readings == b->readings && a->frames == b->frames && a->id == b->id);
    MUST(a->at_most == b->at_most);
  }
}

/* Deflated where that is smaller, as pack.c does. */
static void compress(frame_parts *parts, uint8_t *to, size_t room) {
  static uint64_t arena[2048];
  MUST(zip_arena_bytes() <= sizeof arena);
  if (zip_arena_bytes() == 0) return;
  uint32_t size = 0;
  size_t n = zip_blocks(arena, zip_arena_bytes(), channels, CHANNELS, parts->data,
                        parts->data_bytes, to, room, &size);
  if (n == 0) return;
  MUST(n < parts->data_bytes && n < room + 1u);
  parts->coding = 1;
  parts->data = to;
  parts->data_bytes = n;
  parts->data_size = size;
}

/* As columns or smaller blocks, as pack.c does. */
static void model(frame_parts *parts, uint8_t *blocks, uint8_t *to) {
  static uint64_t memory[768];
  MUST(model_writer_bytes() <= sizeof memory);
  size_t given = parts->data_bytes;
  if (given == 0) return;
  bool modelled;
  parts->data_bytes = model_write(memory, channels, CHANNELS, blocks, given, to, &modelled);
  MUST(parts->data_bytes > 0 && parts->data_bytes <= given);
  if (!modelled) return;
  parts->coding = 2;
  parts->data = to;
}

static const htel_birth *birth_of_channels(void) {
  static htel_birth birth;
  static uint8_t bytes[1024];
  if (birth.channel_count > 0) return &birth;
  birth_source source = {NULL, channels, CHANNELS};
  uint32_t size = birth_size(&source);
  MUST(size <= sizeof bytes && birth_read(&source, 0, bytes, size) == 0);
  MUST(htel_birth_decode(&birth, bytes, size) == 0);
  return &birth;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static block blocks[BLOCKS_MAX];
  static uint8_t coded[16384], zipped[16384], bytes[32768];
  static htel_reader reader;
  static htel_series series;
  fuzz_in in = {data, size};
  uint8_t how = fuzz_u8(&in);
  bool columns = how & 64u && model_writer_bytes() > 0;
  code_residuals residuals = columns ? CODE_QUICK : how & 1u ? CODE_BYTES : CODE_RICE;
  size_t before = columns ? BATCH_LENGTH_BYTES : 0;
  frame_parts parts = {
      .boot = fuzz_u32(&in),
      .sequence = 1u + fuzz_u16(&in),
      .frame_class = how >> 1 & 1u,
      .tick = how & 8u ? UINT64_MAX - fuzz_u32(&in) - (UINT64_C(1) << 60) : fuzz_u32(&in),
      .schema = birth_of_channels()->schema,
      .session = how & 16u ? fuzz_u64(&in) : 0,
      .data = coded};
  uint32_t room = how & 32u ? fuzz_u16(&in) : sizeof zipped; /* zip runs out of it */
  htel_anchor anchors[HTEL_ANCHORS_MAX];
  htel_loss losses[HTEL_LOSSES_MAX];
  company_make(&in, &parts, anchors, losses);
  unsigned count = 0;
  while (count < BLOCKS_MAX && (in.left > 0 || count == 0)) {
    block_make(&in, &blocks[count], parts.tick);
    if (columns && blocks[count].column.kind == HTEL_ALARM) break;
    size_t used = parts.data_bytes + before;
    if (used >= sizeof coded) break;
    uint8_t *to = coded + used;
    size_t n = block_encode(&blocks[count], parts.tick, residuals, to, sizeof coded - used);
    if (n == 0) break;
    if (columns) {
      to[-2] = (uint8_t)n;
      to[-1] = (uint8_t)(n >> 8);
    }
    parts.data_bytes += before + n;
    count++;
  }
  if (columns) model(&parts, coded, zipped);
  if (how & 4u && !columns) compress(&parts, zipped, room < sizeof zipped ? room : sizeof zipped);
  int n = frame_encode(&parts, bytes, sizeof bytes);
  MUST(n > 0);
  static htel_frame frame;
  MUST(htel_frame_decode(&frame, bytes, (size_t)n) == 0);
  frame_compare(&parts, &frame);
  MUST(htel_reader_open(&reader, &frame, birth_of_channels()) == 0);
  if (parts.coding == 2) columns_compare(blocks, count, &reader);
  for (unsigned i = 0; i < count && parts.coding != 2; i++) {
    MUST(htel_reader_next(&reader, &series) == 1);
    block_compare(&blocks[i], &series);
  }
  MUST(htel_reader_next(&reader, &series) == 0);
  return 0;
}
