/* SPDX-License-Identifier: Apache-2.0 */
/* zip.c - see zip.h.
 *
 * A block is copied as it is, but for its series: their residuals are read from the Rice bits and
 * written as bytes, one after another, with a small buffer between here and deflate. No array
 * of samples is needed. */
#include "zip.h"

#if HEALTHTEL_ZLIB
#define ZLIB_CONST
#include <string.h>
#include <zlib.h>

#include "arena.h"
#include "block.h"
#include "healthtel/decode.h"
#include "series.h"

#define ZIP_LEVEL 9
#define ZIP_WINDOW_BITS (-9) /* raw deflate, 512 bytes */
#define ZIP_MEM_LEVEL 1
#define ZIP_STAGE_BYTES 128u

/* What deflate takes at these parameters (deflateInit2_ in zlib): its state; the window twice;
 * a link for each byte of the window; a head for each hash; and the pending buffer, which is also
 * the symbol buffer (5 bytes a symbol in zlib 1.3 built with LIT_MEM, else 4). The state's size is
 * not public: 5,828 bytes on 32 bits and 5,952 on 64 in zlib 1.2.13; rounded up here for other
 * versions. */
#define ZIP_STATE_BYTES (sizeof(void *) > 4 ? 6144u : 6016u)
#define ZIP_WINDOW_BYTES (1u << 9)
#define ZIP_HASH_COUNT (1u << (ZIP_MEM_LEVEL + 7))
#define ZIP_SYMBOL_COUNT (1u << (ZIP_MEM_LEVEL + 6))
#define ZIP_DEFLATE_BYTES \
  (ZIP_STATE_BYTES + 4u * ZIP_WINDOW_BYTES + 2u * ZIP_HASH_COUNT + 5u * ZIP_SYMBOL_COUNT)

typedef struct zip {
  z_stream stream;
  uint32_t inflated_size;
  bool failed; /* out of room, or out of memory */
  uint32_t staged;
  uint8_t stage[ZIP_STAGE_BYTES];
} zip;

#define ZIP_BYTES ((sizeof(zip) + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN)

static void zip_flush(zip *z, int flush) {
  z->stream.next_in = z->stage;
  z->stream.avail_in = z->staged;
  z->inflated_size += z->staged;
  z->staged = 0; /* also after a failure: what still comes must find room */
  if (z->failed) return;
  /* As long as there is room deflate takes all of its input; without, the next call says so. */
  int rc = deflate(&z->stream, flush);
  if (rc != (flush == Z_FINISH ? Z_STREAM_END : Z_OK)) z->failed = true;
}

static void zip_byte(zip *z, uint8_t byte) {
  z->stage[z->staged++] = byte;
  if (z->staged == ZIP_STAGE_BYTES) zip_flush(z, Z_NO_FLUSH);
}

static void zip_copy(zip *z, const uint8_t *from, const uint8_t *to) {
  while (from < to) zip_byte(z, *from++);
}

static void zip_residual(zip *z, uint32_t residual) {
  if (residual < SERIES_BYTE_ESCAPE) {
    zip_byte(z, (uint8_t)residual);
    return;
  }
  zip_byte(z, SERIES_BYTE_ESCAPE);
  uint32_t rest = residual - SERIES_BYTE_ESCAPE;
  for (; rest >= 0x80u; rest >>= 7) zip_byte(z, (uint8_t)(rest | 0x80u));
  zip_byte(z, (uint8_t)rest);
}

/* The mode becomes bytes, value 0 stays as it is, residuals are rewritten. */
static void zip_series(zip *z, uint16_t count, wire_in *in) {
  const uint8_t *begin = in->at;
  series_reader reader;
  series_open(&reader, in);
  if (in->bad) return;
  uint8_t how = reader.how == SERIES_ZERO ? SERIES_ZERO : SERIES_BYTES;
  zip_byte(z, SERIES_MODE(reader.order, how));
  zip_copy(z, begin + 1, in->at);
  uint32_t part;
  for (uint32_t left = count - 1u; left > 0 && !in->bad && !z->failed; left -= part) {
    int32_t residuals[SERIES_PARTITION];
    part = left < SERIES_PARTITION ? left : SERIES_PARTITION;
    series_residuals(&reader, residuals, part);
    for (uint32_t i = 0; i < part && how == SERIES_BYTES; i++) {
      zip_residual(z, (uint32_t)residuals[i]);
    }
  }
  series_close(&reader);
}

static void zip_alarms(uint16_t count, wire_in *in) {
  for (uint16_t i = 0; i < count && !in->bad; i++) {
    wire_varint(in);
    wire_varint(in);
    wire_byte(in);
    wire_varint(in);
  }
}

static void zip_block(zip *z, const htel_channel *channels, uint16_t channel_count, wire_in *in) {
  const uint8_t *begin = in->at;
  uint32_t channel = wire_varint32(in);
  if (channel >= channel_count) in->bad = true;
  if (in->bad) return;
  uint8_t kind = channels[channel].kind;
  block_head head;
  block_head_read(&head, kind, in);
  if (kind == HTEL_ALARM) zip_alarms(head.count, in);
  zip_copy(z, begin, in->at);
  if (kind == HTEL_ALARM) return;

  if (block_has_ticks(&head, kind)) zip_series(z, (uint16_t)(head.count - 1), in);
  begin = in->at;
  if (head.has_quality) block_quality_read(NULL, head.count, in);
  zip_copy(z, begin, in->at);
  zip_series(z, head.count, in);
}

size_t zip_arena_bytes(void) {
  return ZIP_BYTES + ZIP_DEFLATE_BYTES;
}

size_t zip_blocks(void *arena_memory, size_t arena_bytes, const htel_channel *channels,
                  uint16_t channel_count, const uint8_t *blocks, size_t size, uint8_t *out,
                  size_t room, uint32_t *inflated_size) {
  if (arena_bytes < ZIP_BYTES || size == 0 || room == 0) return 0;
  zip *z = arena_memory;
  arena memory = {(uint8_t *)arena_memory + ZIP_BYTES, arena_bytes - ZIP_BYTES};
  memset(z, 0, sizeof *z);
  z->stream.zalloc = arena_zalloc;
  z->stream.zfree = arena_zfree;
  z->stream.opaque = &memory;
  if (deflateInit2(&z->stream, ZIP_LEVEL, Z_DEFLATED, ZIP_WINDOW_BITS, ZIP_MEM_LEVEL,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return 0;
  }
  /* zlib ends a stream only with a byte to spare, so that what fits is smaller than `size`. */
  size_t limit = room < size ? room : size;
  z->stream.next_out = out;
  z->stream.avail_out = (uInt)limit;

  wire_in in = {blocks, blocks + size, false};
  while (in.at < in.end && !in.bad && !z->failed) zip_block(z, channels, channel_count, &in);
  zip_flush(z, Z_FINISH);
  if (in.bad || z->failed || z->inflated_size > HTEL_INFLATED_BYTES_MAX) return 0;
  *inflated_size = z->inflated_size;
  return limit - z->stream.avail_out;
}

#else

size_t zip_arena_bytes(void) {
  return 0;
}

size_t zip_blocks(void *arena, size_t arena_bytes, const htel_channel *channels,
                  uint16_t channel_count, const uint8_t *blocks, size_t size, uint8_t *out,
                  size_t room, uint32_t *inflated_size) {
  (void)arena, (void)arena_bytes, (void)channels, (void)channel_count, (void)blocks;
  (void)size, (void)out, (void)room, (void)inflated_size;
  return 0;
}

#endif
