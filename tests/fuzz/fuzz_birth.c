/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_birth.c - births: any bytes at all, and readings by whatever they say.
 *
 * The input: two bytes, how much of the rest is readings; the birth; the readings. With all bits of
 * those two set the birth is a program for fuzz_message(), and the readings are what it leaves. */
#include "fuzz.h"

static void birth(const uint8_t *bytes, size_t size, const uint8_t *readings, size_t count) {
  static htel_birth decoded;
  hostile_birth(bytes, size);
  if (htel_birth_decode(&decoded, bytes, size) == 0) hostile_read(&decoded, 1000, readings, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static uint8_t made[6144];
  fuzz_in in = {data, size};
  size_t readings = fuzz_u16(&in);
  if (in.left > HTEL_FRAME_BYTES_MAX) return 0;
  if (readings == UINT16_MAX) {
    made[0] = 0x08, made[1] = 1; /* the format */
    size_t n = 2 + fuzz_message(&in, made + 2, sizeof made - 2, 1);
    birth(made, n, in.at, in.left);
    return 0;
  }
  if (readings > in.left) readings = 0;
  const uint8_t *bytes;
  size_t n = fuzz_bytes(&in, in.left - readings, &bytes);
  birth(bytes, n, in.at, in.left);
  return 0;
}
