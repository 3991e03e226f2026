/* SPDX-License-Identifier: Apache-2.0 */
/* codec_check.c - the public decoder over what was published; every reading is looked at. Frames
 * may leave in another order than they were closed in: time before readings, for one. */
#include <stdlib.h>
#include <string.h>

#include "codec.h"

typedef struct checker {
  const codec_input *in;
  uint64_t next[RECORDING_CHANNELS_MAX]; /* the row that is to come */
  uint64_t wrong;
  bool placed; /* in time, by an anchor that is right */
} checker;

static const uint8_t *frame_bytes(const codec_stream *s, uint32_t i, size_t *size) {
  size_t start = i > 0 ? s->ends[i - 1] : 0;
  *size = s->ends[i] - start;
  return s->bytes + start;
}

static void complain(const codec_input *in, uint32_t frame, const char *why) {
  fprintf(stderr, "htel-bench: %s: frame %u: %s\n", in->about.path, (unsigned)frame, why);
}

/* Waveforms have places finer than a ms: row * 1000 * den / num, exactly. */
static bool phase_is_right(const checker *k, uint64_t row, uint32_t phase) {
  htel_rate rate = k->in->about.rate;
  return row * 1000u * rate.den % rate.num == phase;
}

static void series_check(checker *k, const htel_series *series) {
  const codec_input *in = k->in;
  if (series->channel >= in->about.channel_count || series->kind != in->about.kind) {
    k->wrong += series->count;
    return;
  }
  uint64_t row = k->next[series->channel];
  const int32_t *values = codec_values(in, series->channel);
  const uint8_t *quality = codec_quality(in, series->channel);
  bool phased = series->kind != HTEL_WAVEFORM || phase_is_right(k, row, series->phase);
  for (uint16_t i = 0; i < series->count; i++, row++) {
    bool right = phased && row < in->rows && series->values[i] == values[row] &&
                 series->quality[i] == quality[row] && series->ticks[i] == in->offset_ms[row];
    k->wrong += !right;
  }
  k->next[series->channel] = row;
}

static void anchors_check(checker *k, const htel_frame *frame) {
  for (uint16_t i = 0; i < frame->anchor_count; i++) {
    const htel_anchor *a = &frame->anchors[i];
    k->placed = a->utc_ms - (int64_t)a->tick == k->in->about.t_ms_first;
  }
}

static void frame_check(checker *k, codec_decoder *d, uint32_t i, const uint8_t *bytes,
                        size_t size) {
  int rc = htel_frame_decode(&d->frame, bytes, size);
  if (rc == 0) anchors_check(k, &d->frame);
  if (rc == 0) rc = htel_reader_open(&d->reader, &d->frame, &d->birth);
  while (rc >= 0 && (rc = htel_reader_next(&d->reader, &d->series)) == 1)
    series_check(k, &d->series);
  if (rc < 0) complain(k->in, i, htel_strerror(rc));
}

/* order[sequence - 1] is the frame's place in the stream. Sequences are 1 to count, each once, of
 * boot 1, and nothing was lost. How many frames break that. */
static uint32_t frames_order(checker *k, codec_decoder *d, const codec_stream *stream,
                             uint32_t *order) {
  uint32_t bad = 0;
  for (uint32_t i = 0; i < stream->count; i++) order[i] = UINT32_MAX;
  for (uint32_t i = 0; i < stream->count; i++) {
    size_t size;
    const uint8_t *bytes = frame_bytes(stream, i, &size);
    const htel_frame *f = &d->frame;
    int rc = htel_frame_decode(&d->frame, bytes, size);
    bool right = rc == 0 && f->boot == 1 && f->loss_count == 0 && f->sequence >= 1 &&
                 f->sequence <= stream->count && order[f->sequence - 1] == UINT32_MAX;
    if (right) {
      order[f->sequence - 1] = i;
      continue;
    }
    complain(k->in, i, rc != 0 ? htel_strerror(rc) : "boot, sequence or losses are not right");
    bad++;
  }
  return bad;
}

static void stream_check(checker *k, codec_decoder *d, const codec_stream *stream,
                         uint32_t *order) {
  k->wrong += frames_order(k, d, stream, order);
  for (uint32_t i = 0; i < stream->count; i++) {
    if (order[i] == UINT32_MAX) continue;
    size_t size;
    const uint8_t *bytes = frame_bytes(stream, order[i], &size);
    frame_check(k, d, order[i], bytes, size);
  }
  for (uint16_t c = 0; c < k->in->about.channel_count; c++)
    if (k->next[c] < k->in->rows) k->wrong += k->in->rows - k->next[c];
}

static bool birth_is_right(const codec_input *in, const htel_birth *birth) {
  bool right = birth->channel_count == in->about.channel_count;
  for (uint16_t c = 0; right && c < birth->channel_count; c++) {
    const htel_birth_channel *is = &birth->channels[c];
    const recording_channel *was = &in->about.channels[c];
    right = is->code == was->code && is->index == was->index && is->kind == in->about.kind &&
            is->gain == was->gain && is->offset == was->offset && is->exponent == was->exponent &&
            strcmp(is->name, was->name) == 0;
  }
  return right;
}

uint64_t codec_mismatches(codec_decoder *d, const codec_input *in, const codec_stream *stream) {
  checker k = {.in = in, .placed = !in->about.irregular};
  uint64_t all = codec_readings(in);
  int rc = htel_birth_decode(&d->birth, stream->birth, stream->birth_bytes);
  if (rc != 0 || !birth_is_right(in, &d->birth)) {
    complain(in, 0, "the birth cannot be read, or tells of other channels");
    return all;
  }
  uint32_t *order = calloc(stream->count + 1u, sizeof *order);
  if (!order) {
    complain(in, 0, "out of memory");
    return all;
  }
  stream_check(&k, d, stream, order);
  free(order);
  if (!k.placed) complain(in, 0, "it cannot be placed in time");
  return k.placed ? k.wrong : all;
}

uint64_t codec_decode(codec_decoder *d, const codec_stream *stream) {
  uint64_t readings = 0;
  for (uint32_t i = 0; i < stream->count; i++) {
    size_t size;
    const uint8_t *bytes = frame_bytes(stream, i, &size);
    if (htel_frame_decode(&d->frame, bytes, size) != 0) continue;
    if (htel_reader_open(&d->reader, &d->frame, &d->birth) != 0) continue;
    while (htel_reader_next(&d->reader, &d->series) == 1) readings += d->series.count;
  }
  return readings;
}
