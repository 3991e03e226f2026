/* SPDX-License-Identifier: Apache-2.0 */
/* peer_flac.c - libFLAC at -8: a frame's samples as one FLAC block, the stream's header not
 * counted. Channels go together, eight at most, as FLAC has it. The sample size is the smallest
 * that holds the recording, of those that a frame can name without its stream's header. */
#include <FLAC/stream_encoder.h>
#include <stdlib.h>

#include "codec.h"

#define CHANNELS_MAX 8u
#define BLOCK_MAX 65535u
#define BLOCK_MIN 16u

typedef struct counter {
  int64_t bytes;
} counter;

/* samples is 0 for the stream's header. */
static FLAC__StreamEncoderWriteStatus count(const FLAC__StreamEncoder *encoder,
                                            const FLAC__byte bytes[], size_t size, uint32_t samples,
                                            uint32_t frame, void *ctx) {
  (void)encoder, (void)bytes, (void)frame;
  if (samples > 0) ((counter *)ctx)->bytes += (int64_t)size;
  return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
}

static unsigned bits_of(const codec_input *in, uint16_t first, unsigned channels) {
  int32_t low = 0, high = 0;
  const int32_t *values = codec_values(in, first);
  for (uint64_t i = 0; i < in->rows * channels; i++) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  static const unsigned sizes[] = {8, 12, 16, 20, 24, 32};
  size_t i = 0;
  while (i + 1 < sizeof sizes / sizeof sizes[0] &&
         (low < -(INT64_C(1) << (sizes[i] - 1)) || high >= INT64_C(1) << (sizes[i] - 1)))
    i++;
  return sizes[i];
}

static bool feed(FLAC__StreamEncoder *e, const peer_rows *rows, uint16_t first, unsigned channels) {
  const FLAC__int32 *at[CHANNELS_MAX];
  for (unsigned c = 0; c < channels; c++)
    at[c] = codec_values(rows->in, (uint16_t)(first + c)) + rows->first;
  return FLAC__stream_encoder_process(e, at, (uint32_t)rows->count);
}

static bool set_up(FLAC__StreamEncoder *e, const peer_rows *rows, uint16_t first,
                   unsigned channels) {
  htel_rate rate = rows->in->about.rate;
  uint32_t block = rows->count < BLOCK_MIN ? BLOCK_MIN : (uint32_t)rows->count;
  if (block > BLOCK_MAX) block = BLOCK_MAX;
  return FLAC__stream_encoder_set_channels(e, channels) &&
         FLAC__stream_encoder_set_bits_per_sample(e, bits_of(rows->in, first, channels)) &&
         FLAC__stream_encoder_set_sample_rate(e,
                                              rate.num / rate.den > 0 ? rate.num / rate.den : 1) &&
         FLAC__stream_encoder_set_compression_level(e, 8) &&
         FLAC__stream_encoder_set_streamable_subset(e, false) &&
         FLAC__stream_encoder_set_blocksize(e, block);
}

static int64_t group(const peer_rows *rows, uint16_t first, unsigned channels) {
  counter counted = {0};
  FLAC__StreamEncoder *e = FLAC__stream_encoder_new();
  if (!e) return -1;
  bool ok = set_up(e, rows, first, channels) &&
            FLAC__stream_encoder_init_stream(e, count, NULL, NULL, NULL, &counted) ==
                FLAC__STREAM_ENCODER_INIT_STATUS_OK;
  ok = ok && feed(e, rows, first, channels) && FLAC__stream_encoder_finish(e);
  FLAC__stream_encoder_delete(e);
  return ok ? counted.bytes : -1;
}

int64_t peer_flac(const peer_rows *rows) {
  int64_t total = 0;
  uint16_t channels = rows->in->about.channel_count;
  for (uint16_t c = 0; c < channels && total >= 0; c = (uint16_t)(c + CHANNELS_MAX)) {
    unsigned some = channels - c < (int)CHANNELS_MAX ? (unsigned)(channels - c) : CHANNELS_MAX;
    int64_t bytes = group(rows, c, some);
    total = bytes < 0 ? -1 : total + bytes;
  }
  return total;
}
