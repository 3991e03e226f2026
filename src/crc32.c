/* SPDX-License-Identifier: Apache-2.0 */
/* crc32.c - CRC-32 as in IEEE 802.3, zlib and PNG: polynomial 0x04C11DB7, reflected.
 *
 * zlib's where the library is built with it, and not for size: a quarter of the instructions, and
 * kilobytes of tables. Else half a byte at a time: a table of 16 words costs 64 bytes of flash, and
 * frames are small. */
#include "healthtel/decode.h"

#if HEALTHTEL_ZLIB && !defined(__OPTIMIZE_SIZE__)
#include <zlib.h>

uint32_t htel_crc32(uint32_t crc, const void *bytes, size_t size) {
  return size == 0 ? crc : (uint32_t)crc32_z(crc, bytes, size);
}

#else

static const uint32_t crc_of_nibble[16] = {0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu,
                                           0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
                                           0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
                                           0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu};

uint32_t htel_crc32(uint32_t crc, const void *bytes, size_t size) {
  const uint8_t *at = bytes;
  crc = ~crc;
  for (size_t i = 0; i < size; i++) {
    crc ^= at[i];
    crc = (crc >> 4) ^ crc_of_nibble[crc & 15u];
    crc = (crc >> 4) ^ crc_of_nibble[crc & 15u];
  }
  return ~crc;
}

#endif
