/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_frame.c - frames as an ingest gets them: any bytes at all.
 *
 * A checksum that no fuzzer guesses stands before everything else, so the harness puts it right;
 * and as lengths that must add up stand before the readings, these are tried alone too, plain and
 * inflated. First byte: which of them. */
#include "fuzz.h"

#if HEALTHTEL_ZLIB
#include <zlib.h>

/* What the bytes inflate to, as zlib's ordinary interface sees it; 0 where they do not. */
static uint32_t inflated_size(const uint8_t *bytes, size_t size) {
  static uint8_t out[HTEL_INFLATED_BYTES_MAX + 1];
  z_stream stream;
  memset(&stream, 0, sizeof stream);
  if (inflateInit2(&stream, -12) != Z_OK) return 0;
  stream.next_in = (Bytef *)(uintptr_t)bytes;
  stream.avail_in = (uInt)size;
  stream.next_out = out;
  stream.avail_out = sizeof out;
  int rc = inflate(&stream, Z_FINISH);
  uint32_t n = rc == Z_STREAM_END && stream.avail_in == 0 ? (uint32_t)stream.total_out : 0;
  inflateEnd(&stream);
  return n;
}

/* With the size that is right, so that what is behind inflating is reached. */
static void deflated(const uint8_t *bytes, size_t size) {
  static htel_reader reader;
  static htel_series series;
  uint32_t n = inflated_size(bytes, size);
  htel_frame frame;
  memset(&frame, 0, sizeof frame);
  frame.sequence = 1;
  frame.coding = 1;
  frame.schema = hostile_desk()->schema;
  frame.data = bytes;
  frame.data_bytes = size;
  frame.data_size = n > 0 ? n : 1000;
  int rc = htel_reader_open(&reader, &frame, hostile_desk());
  MUST((rc == 0) == (n > 0 && n <= HTEL_INFLATED_BYTES_MAX));
  if (rc != 0) return;
  MUST(reader.size == n);
  for (uint32_t i = 0; htel_reader_next(&reader, &series) == 1; i++) MUST(i < n);
}
#else
static void deflated(const uint8_t *bytes, size_t size) {
  (void)bytes, (void)size;
}
#endif

static void message(const uint8_t *bytes, size_t size) {
  static uint8_t frame[4096];
  fuzz_in in = {bytes, size};
  size_t n = fuzz_message(&in, frame, sizeof frame - 5, 1);
  hostile_frame(frame, n + 5); /* with room for the checksum */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1 || size > HTEL_FRAME_BYTES_MAX) return 0;
  switch (data[0] % 8) {
    case 4: message(data + 1, size - 1); return 0;
    case 0: return hostile_frame(data + 1, size - 1);
    case 1: return hostile_data(data + 1, size - 1);
    case 2: deflated(data + 1, size - 1); return 0;
    default: hostile_read(hostile_desk(), UINT64_MAX / 3, data + 1, size - 1); return 0;
  }
}
