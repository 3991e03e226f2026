/* SPDX-License-Identifier: Apache-2.0 */
/* peer_packed.c - nanopb's packed sint32: what a good engineer makes in an afternoon. The same
 * envelope as ours (boot, sequence, tick, schema, checksum), times only where there is no even
 * rate, each channel its differences. */
#include <pb_encode.h>
#include <stdlib.h>

#include "codec.h"
#include "peer.pb.h"

#define SERIES_MAX (sizeof((peer_Series *)0)->deltas / sizeof(int32_t))
#define ENVELOPE_BYTES_MAX 64u
#define READING_BYTES_MAX 10u /* a delta, and a tick */
#define SERIES_BYTES_MAX 64u

typedef struct source {
  const peer_rows *rows;
  peer_Series *series;
} source;

static int32_t less(int64_t a, int64_t b) {
  return (int32_t)(uint32_t)((uint64_t)a - (uint64_t)b);
}

static void deltas_fill(peer_Series *s, const int32_t *values, uint64_t count) {
  s->deltas_count = (pb_size_t)count;
  s->deltas[0] = values[0];
  for (uint64_t i = 1; i < count; i++) s->deltas[i] = less(values[i], values[i - 1]);
}

static void ticks_fill(peer_Series *s, const uint64_t *ticks, uint64_t count) {
  s->ticks_count = (pb_size_t)(count - 1);
  int64_t before = 0;
  for (uint64_t i = 1; i < count; i++) {
    int64_t interval = (int64_t)(ticks[i] - ticks[i - 1]);
    s->ticks[i - 1] = less(interval, before);
    before = interval;
  }
}

static bool series_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg) {
  const source *from = *arg;
  const codec_input *in = from->rows->in;
  uint64_t first = from->rows->first, end = first + from->rows->count;
  for (uint16_t c = 0; c < in->about.channel_count; c++)
    for (uint64_t at = first, count; at < end; at += count) {
      peer_Series *s = from->series;
      count = end - at < SERIES_MAX ? end - at : SERIES_MAX;
      s->channel = c;
      s->tick = (uint32_t)(in->offset_ms[at] - in->offset_ms[first]);
      deltas_fill(s, codec_values(in, c) + at, count);
      s->ticks_count = 0;
      if (in->about.irregular) ticks_fill(s, in->offset_ms + at, count);
      if (!pb_encode_tag_for_field(stream, field) ||
          !pb_encode_submessage(stream, peer_Series_fields, s))
        return false;
    }
  return true;
}

void peer_packed(const peer_rows *rows, peer_buffer *out) {
  size_t readings = (size_t)rows->count * rows->in->about.channel_count;
  size_t series = rows->in->about.channel_count + readings / SERIES_MAX;
  peer_buffer_reserve(
      out, ENVELOPE_BYTES_MAX + readings * READING_BYTES_MAX + series * SERIES_BYTES_MAX);
  source from = {.rows = rows, .series = malloc(sizeof *from.series)};
  peer_Packed message = {
      .boot = 1,
      .sequence = rows->sequence,
      .tick = rows->in->offset_ms[rows->first],
      .schema = 0x12345678,
      .series = {.funcs.encode = series_encode, .arg = &from},
      .crc = 0x12345678}; /* none is ever 0 here: what it would be is no matter */
  out->failed |= !from.series;
  if (!out->failed) {
    pb_ostream_t stream = pb_ostream_from_buffer(out->bytes, out->room);
    out->failed = !pb_encode(&stream, peer_Packed_fields, &message);
    out->size = stream.bytes_written;
  }
  free(from.series);
}
