/* SPDX-License-Identifier: Apache-2.0 */
/* peers.c - the table of other encoders, and the general compressors behind them. */
#define _GNU_SOURCE
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "codec.h"

#define ZLIB_GZIP (15 + 16) /* window bits, and gzip's header */
#define ZLIB_RAW_9 (-9)
#define XZ_PRESET (9 | LZMA_PRESET_EXTREME)
#define XZ_BOUND_EXTRA 65536u

/* ---- Bytes that grow ------------------------------------------------------------------------- */

void peer_buffer_reserve(peer_buffer *b, size_t more) {
  if (b->failed || b->room - b->size >= more) return;
  size_t room = 2 * b->room + more + 4096;
  uint8_t *bytes = realloc(b->bytes, room);
  b->failed = !bytes;
  if (b->failed) return;
  b->bytes = bytes;
  b->room = room;
}

void peer_buffer_add(peer_buffer *b, const void *bytes, size_t size) {
  peer_buffer_reserve(b, size);
  if (b->failed) return;
  memcpy(b->bytes + b->size, bytes, size);
  b->size += size;
}

void peer_buffer_free(peer_buffer *b) {
  free(b->bytes);
  *b = (peer_buffer){0};
}

int64_t peer_time_ms(const codec_input *in, uint64_t row) {
  int64_t first = in->about.irregular ? in->about.t_ms_first : PEER_EPOCH_MS;
  return first + (int64_t)in->offset_ms[row];
}

/* ---- Compressors: bytes, or -1 --------------------------------------------------------------- */

static int64_t deflated(const peer_buffer *in, int level, int window_bits, int mem_level) {
  z_stream z = {0};
  if (deflateInit2(&z, level, Z_DEFLATED, window_bits, mem_level, Z_DEFAULT_STRATEGY) != Z_OK)
    return -1;
  peer_buffer out = {0};
  peer_buffer_reserve(&out, deflateBound(&z, in->size));
  int rc = Z_MEM_ERROR;
  if (!out.failed) {
    z.next_in = in->bytes;
    z.avail_in = (uInt)in->size;
    z.next_out = out.bytes;
    z.avail_out = (uInt)out.room;
    rc = deflate(&z, Z_FINISH);
  }
  int64_t size = rc == Z_STREAM_END ? (int64_t)z.total_out : -1;
  deflateEnd(&z);
  peer_buffer_free(&out);
  return size;
}

static int64_t gzip_9(const peer_buffer *in) {
  return deflated(in, 9, ZLIB_GZIP, 9); /* as the gzip command: its memory is the largest too */
}

static int64_t deflate_plain(const peer_buffer *in) {
  return deflated(in, Z_DEFAULT_COMPRESSION, -15, 8);
}

static int64_t zlib_9_1(const peer_buffer *in) {
  return deflated(in, 9, ZLIB_RAW_9, 1);
}

static int64_t zstd_19(const peer_buffer *in) {
  peer_buffer out = {0};
  peer_buffer_reserve(&out, ZSTD_compressBound(in->size));
  size_t size = out.failed ? 0 : ZSTD_compress(out.bytes, out.room, in->bytes, in->size, 19);
  bool bad = out.failed || ZSTD_isError(size);
  peer_buffer_free(&out);
  return bad ? -1 : (int64_t)size;
}

/* The dictionary as large as the input: the preset's 64 MiB would only cost time. */
static int64_t xz_9e(const peer_buffer *in) {
  lzma_options_lzma options;
  if (lzma_lzma_preset(&options, XZ_PRESET)) return -1;
  if (in->size < options.dict_size) options.dict_size = (uint32_t)in->size;
  if (options.dict_size < LZMA_DICT_SIZE_MIN) options.dict_size = LZMA_DICT_SIZE_MIN;
  lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
  peer_buffer out = {0};
  peer_buffer_reserve(&out, lzma_stream_buffer_bound(in->size) + XZ_BOUND_EXTRA);
  size_t size = 0;
  lzma_ret rc = out.failed ? LZMA_MEM_ERROR
                           : lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, in->bytes,
                                                       in->size, out.bytes, &size, out.room);
  peer_buffer_free(&out);
  return rc == LZMA_OK ? (int64_t)size : -1;
}

static int64_t as_it_is(const peer_buffer *in) {
  return (int64_t)in->size;
}

static int64_t made(const peer_rows *rows, void (*make)(const peer_rows *, peer_buffer *),
                    int64_t (*compress)(const peer_buffer *)) {
  peer_buffer message = {0};
  make(rows, &message);
  int64_t size = message.failed ? -1 : compress(&message);
  peer_buffer_free(&message);
  return size;
}

/* ---- The table ------------------------------------------------------------------------------- */

static int64_t json_gzip(const peer_rows *rows) {
  return made(rows, peer_json, gzip_9);
}
static int64_t senml(const peer_rows *rows) {
  return made(rows, peer_senml, as_it_is);
}
static int64_t sparkplug_plain(const peer_rows *rows) {
  return made(rows, peer_sparkplug, as_it_is);
}
static int64_t sparkplug_deflate(const peer_rows *rows) {
  return made(rows, peer_sparkplug, deflate_plain);
}
static int64_t packed_zlib(const peer_rows *rows) {
  return made(rows, peer_packed, zlib_9_1);
}
static int64_t packed_zstd(const peer_rows *rows) {
  return made(rows, peer_packed, zstd_19);
}
static int64_t packed_xz(const peer_rows *rows) {
  return made(rows, peer_packed, xz_9e);
}

const peer peers[] = {
    {"json_gzip9", "json+gz", "JSON, a reading an object, gzip -9", .bytes = json_gzip},
    {"senml_cbor", "senml", "SenML CBOR (RFC 8428)", .bytes = senml},
    {"sparkplug_b", "spb", "Sparkplug B", .bytes = sparkplug_plain},
    {"sparkplug_b_deflate", "spb+z", "Sparkplug B, deflated", .bytes = sparkplug_deflate},
    {"packed_zlib_9_1", "pack+z", "packed sint32 deltas, zlib (9,1)", .bytes = packed_zlib},
    {"zstd19", "zstd", "packed sint32 deltas, zstd -19", .bytes = packed_zstd},
    {"xz9e", "xz", "packed sint32 deltas, xz -9e", .bytes = packed_xz},
    {"xz9e_recording", "xz all", "the same, a whole recording at once", .whole = true,
     .bytes = packed_xz},
    {"flac8", "flac", "FLAC -8", .waves_only = true, .bytes = peer_flac},
};
const size_t peer_count = sizeof peers / sizeof peers[0];
_Static_assert(sizeof peers / sizeof peers[0] <= PEERS_MAX, "PEERS_MAX");

int64_t peer_total(const peer *p, const codec_input *in) {
  int64_t total = 0;
  for (uint32_t f = 0; f < in->frame_count && total >= 0; f++) {
    peer_rows rows = {.in = in,
                      .first = in->frame_rows[f],
                      .count = in->frame_rows[f + 1] - in->frame_rows[f],
                      .sequence = f + 1};
    if (p->whole) rows.count = in->rows;
    int64_t bytes = p->bytes(&rows);
    total = bytes < 0 ? -1 : total + bytes;
    if (p->whole) break;
  }
  if (total < 0) fprintf(stderr, "htel-bench: %s: %s failed\n", in->about.path, p->what);
  return total;
}
