/* SPDX-License-Identifier: Apache-2.0 */
/* crc32_fast.c - htel_crc32 with large tables, eight bytes at a time. The harness reads the same
 * frames some million times, and would spend two thirds of its time in the small one of src/. */
#include <stdbool.h>

#include "healthtel/decode.h"

static uint32_t table[8][256];

static void table_fill(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0xEDB88320u : 0);
    table[0][i] = crc;
  }
  for (uint32_t i = 0; i < 256; i++)
    for (int k = 1; k < 8; k++)
      table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 255u];
}

uint32_t htel_crc32(uint32_t crc, const void *bytes, size_t size) {
  static bool filled;
  if (!filled) table_fill();
  filled = true;
  const uint8_t *p = bytes;
  crc = ~crc;
  for (; size >= 8; size -= 8, p += 8) {
    crc ^= p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    crc = table[7][crc & 255u] ^ table[6][crc >> 8 & 255u] ^ table[5][crc >> 16 & 255u] ^
          table[4][crc >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
  }
  for (; size > 0; size--, p++) crc = (crc >> 8) ^ table[0][(crc ^ *p) & 255u];
  return ~crc;
}
