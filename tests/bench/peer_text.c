/* SPDX-License-Identifier: Apache-2.0 */
/* peer_text.c - the messages that name every reading: JSON, SenML CBOR, Sparkplug B.
 *
 * JSON     {"device":...,"seq":...,"readings":[{"t":Unix ms,"n":name,"v":value},...]}, null where
 *          there is no value
 * SenML    RFC 8428: base name and base time once, then a record {n, t, v} each, by a writer of
 *          CBOR below; numbers in their shortest form (RFC 8949, preferred serialization); t in
 *          seconds; where there is no value the recording's code for that
 * Sparkplug B  by wire_sparkplug.c: alias, timestamp and value of each; no datatype, which the
 *          birth has */
#include <math.h>
#include <string.h>

#include "codec.h"
#include "wire_sparkplug.h"

#define SPARKPLUG_METRIC_BYTES_MAX 64u

/* ---- JSON ------------------------------------------------------------------------------------ */

void peer_json(const peer_rows *rows, peer_buffer *out) {
  const codec_input *in = rows->in;
  char text[160];
  int n = snprintf(text, sizeof text, "{\"device\":\"bench\",\"boot\":1,\"seq\":%u,\"readings\":[",
                   (unsigned)rows->sequence);
  peer_buffer_add(out, text, (size_t)n);
  for (uint64_t i = 0; i < rows->count; i++)
    for (uint16_t c = 0; c < in->about.channel_count; c++) {
      uint64_t row = rows->first + i;
      n = snprintf(text, sizeof text, "%s{\"t\":%lld,\"n\":\"%s\",\"v\":", i + c > 0 ? "," : "",
                   (long long)peer_time_ms(in, row), in->about.channels[c].name);
      peer_buffer_add(out, text, (size_t)n);
      bool none = codec_quality(in, c)[row] == HTEL_NO_VALUE;
      n = none ? snprintf(text, sizeof text, "null}")
               : snprintf(text, sizeof text, "%d}", (int)codec_values(in, c)[row]);
      peer_buffer_add(out, text, (size_t)n);
    }
  peer_buffer_add(out, "]}", 2);
}

/* ---- CBOR ------------------------------------------------------------------------------------ */

enum { CBOR_UNSIGNED = 0, CBOR_NEGATIVE = 1, CBOR_TEXT = 3, CBOR_ARRAY = 4, CBOR_MAP = 5 };
enum { CBOR_FLOAT16 = 0xF9, CBOR_FLOAT32 = 0xFA, CBOR_FLOAT64 = 0xFB };
enum { SENML_N = 0, SENML_V = 2, SENML_T = 6, SENML_BN = -2, SENML_BT = -3 };

static void big_endian(peer_buffer *out, uint8_t head, uint64_t value, unsigned bytes) {
  uint8_t text[9] = {head};
  for (unsigned i = 0; i < bytes; i++) text[1 + i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
  peer_buffer_add(out, text, 1 + bytes);
}

static void cbor_head(peer_buffer *out, unsigned major, uint64_t value) {
  unsigned bytes = value < 24            ? 0
                   : value <= 0xFF       ? 1
                   : value <= 0xFFFF     ? 2
                   : value <= 0xFFFFFFFF ? 4
                                         : 8;
  static const uint8_t more[] = {[1] = 24, [2] = 25, [4] = 26, [8] = 27};
  unsigned low = bytes == 0 ? (unsigned)value : more[bytes];
  big_endian(out, (uint8_t)(major << 5 | low), value, bytes);
}

static void cbor_int(peer_buffer *out, int64_t value) {
  if (value < 0)
    cbor_head(out, CBOR_NEGATIVE, (uint64_t)(-1 - value));
  else
    cbor_head(out, CBOR_UNSIGNED, (uint64_t)value);
}

static void cbor_text(peer_buffer *out, const char *text) {
  cbor_head(out, CBOR_TEXT, strlen(text));
  peer_buffer_add(out, text, strlen(text));
}

/* A float of 11 significant bits and a small exponent goes into 16 bits. */
static bool half_of(double value, uint16_t *half) {
  int exponent;
  double mantissa = frexp(value, &exponent) * 2048; /* 1024 to 2047 where it fits */
  if (value <= 0 || mantissa != floor(mantissa) || exponent < -13 || exponent > 16) return false;
  *half = (uint16_t)((unsigned)(exponent + 14) << 10 | ((unsigned)mantissa & 1023u));
  return true;
}

static void cbor_number(peer_buffer *out, double value) {
  uint16_t half;
  float single = (float)value;
  uint32_t single_bits;
  uint64_t bits;
  memcpy(&single_bits, &single, 4);
  memcpy(&bits, &value, 8);
  if (value == floor(value) && fabs(value) < 9e15)
    cbor_int(out, (int64_t)value);
  else if (half_of(value, &half))
    big_endian(out, CBOR_FLOAT16, half, 2);
  else if ((double)single == value)
    big_endian(out, CBOR_FLOAT32, single_bits, 4);
  else
    big_endian(out, CBOR_FLOAT64, bits, 8);
}

static void senml_record(const codec_input *in, peer_buffer *out, uint64_t row, uint64_t first,
                         uint16_t c) {
  bool base = row == first && c == 0;
  bool timed = row != first; /* t is 0 where it is left out */
  cbor_head(out, CBOR_MAP, 2u + timed + 2u * base);
  if (base) {
    cbor_int(out, SENML_BN);
    cbor_text(out, "bench:");
    cbor_int(out, SENML_BT);
    cbor_number(out, (double)peer_time_ms(in, row) / 1000);
  }
  cbor_int(out, SENML_N);
  cbor_text(out, in->about.channels[c].name);
  if (timed) {
    cbor_int(out, SENML_T);
    cbor_number(out, (double)(in->offset_ms[row] - in->offset_ms[first]) / 1000);
  }
  cbor_int(out, SENML_V);
  cbor_int(out, codec_values(in, c)[row]);
}

void peer_senml(const peer_rows *rows, peer_buffer *out) {
  cbor_head(out, CBOR_ARRAY, rows->count * rows->in->about.channel_count);
  for (uint64_t i = 0; i < rows->count; i++)
    for (uint16_t c = 0; c < rows->in->about.channel_count; c++)
      senml_record(rows->in, out, rows->first + i, rows->first, c);
}

/* ---- Sparkplug B ----------------------------------------------------------------------------- */

void peer_sparkplug(const peer_rows *rows, peer_buffer *out) {
  const codec_input *in = rows->in;
  uint64_t readings = rows->count * in->about.channel_count;
  peer_buffer_reserve(out, (size_t)(readings + 1) * SPARKPLUG_METRIC_BYTES_MAX);
  if (out->failed) return;
  sparkplug s = {.bytes = out->bytes, .room = out->room};
  sparkplug_begin(&s, (uint64_t)peer_time_ms(in, rows->first));
  for (uint64_t row = rows->first; row < rows->first + rows->count; row++)
    for (uint16_t c = 0; c < in->about.channel_count; c++)
      sparkplug_value(&s, c + 1u, (uint64_t)peer_time_ms(in, row), codec_values(in, c)[row],
                      codec_quality(in, c)[row] == HTEL_NO_VALUE, false);
  sparkplug_end(&s, (uint8_t)rows->sequence);
  out->size = s.size;
  out->failed = s.failed;
}
