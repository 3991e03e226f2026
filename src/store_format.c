/* SPDX-License-Identifier: Apache-2.0 */
#include "store_format.h"

#include <string.h>

#include "healthtel/decode.h"
#include "plant.h"

#define POLYNOMIAL 0xEDB88320u /* of htel_crc32 */

uint64_t format_get(const uint8_t *bytes, unsigned count) {
  uint64_t value = 0;
  for (unsigned i = count; i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

void format_put(uint8_t *bytes, unsigned count, uint64_t value) {
  for (unsigned i = 0; i < count; i++) bytes[i] = (uint8_t)(value >> 8u * i);
}

static uint8_t log_2(uint32_t value) {
  uint8_t bits = 0;
  while (value >>= 1) bits++;
  return bits;
}

uint8_t format_geometry(uint32_t block_bytes, uint32_t program_bytes) {
  return (uint8_t)((log_2(block_bytes) - 12u) << 4 | log_2(program_bytes));
}

bool format_is_blank(const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (bytes[i] != 0xFFu) return false;
  return true;
}

/* A CRC is linear: what a flipped bit does to it depends only on how far from the end it is. So we
 * walk from the last bit to the first, with the difference that a flip there makes. */
format_sight format_repair(uint8_t *bytes, size_t size, uint32_t crc) {
  uint32_t found = htel_crc32(0, bytes, size) ^ crc;
  if (found == 0) return FORMAT_GOOD;
  if ((found & (found - 1u)) == 0) return FORMAT_REPAIRED; /* a bit of the checksum itself */
  uint32_t difference = POLYNOMIAL;
  for (size_t bit = 8u * size; bit-- > 0;) {
    if (difference == found) {
      bytes[bit / 8u] ^= (uint8_t)(1u << bit % 8u);
      return FORMAT_REPAIRED;
    }
    difference = difference >> 1 ^ ((difference & 1u) != 0 ? POLYNOMIAL : 0);
  }
  return FORMAT_BROKEN;
}

format_sight format_look(uint8_t *bytes, size_t size) {
  if (format_is_blank(bytes, size)) return FORMAT_BLANK;
  if (PLANT(8)) return FORMAT_GOOD;
  if (PLANT(2) && size == FORMAT_RECORD_BYTES && bytes[0] < 16u)
    return htel_crc32(0, bytes + 4, size - 8u) == format_get(bytes + size - 4u, 4) ? FORMAT_GOOD
                                                                                   : FORMAT_BROKEN;
  return format_repair(bytes, size - 4u, (uint32_t)format_get(bytes + size - 4u, 4));
}

static void seal(uint8_t *bytes, size_t size) {
  format_put(bytes + size - 4u, 4, htel_crc32(0, bytes, size - 4u));
}

void format_header_write(const block_header *header, uint8_t *bytes) {
  format_put(bytes, 4, FORMAT_MAGIC);
  format_put(bytes + 4, 2, header->layout);
  bytes[6] = header->log;
  bytes[7] = header->geometry;
  format_put(bytes + 8, 4, header->serial);
  format_put(bytes + 12, 3, header->erases);
  bytes[15] = header->generation;
  format_put(bytes + 16, 4, header->ordinal_first);
  format_put(bytes + 20, 4, header->boot);
  format_put(bytes + 24, 4, header->durable);
  seal(bytes, FORMAT_HEADER_BYTES);
}

bool format_header_read(block_header *header, const uint8_t *bytes) {
  *header = (block_header){.layout = (uint16_t)format_get(bytes + 4, 2),
                           .log = bytes[6],
                           .geometry = bytes[7],
                           .serial = (uint32_t)format_get(bytes + 8, 4),
                           .erases = (uint32_t)format_get(bytes + 12, 3),
                           .generation = bytes[15],
                           .ordinal_first = (uint32_t)format_get(bytes + 16, 4),
                           .boot = (uint32_t)format_get(bytes + 20, 4),
                           .durable = (uint32_t)format_get(bytes + 24, 4)};
  return format_get(bytes, 4) == FORMAT_MAGIC;
}

void format_record_write(const record *r, uint8_t *bytes) {
  bytes[0] = r->kind;
  bytes[1] = r->behind;
  format_put(bytes + 2, 2, r->size);
  format_put(bytes + 4, 4, r->sequence);
  format_put(bytes + 8, 2, r->boot_low);
  format_put(bytes + 10, 2, r->index);
  format_put(bytes + 12, 3, r->readings);
  format_put(bytes + 15, 5, r->tick_first);
  format_put(bytes + 20, 4, r->tick_span);
  format_put(bytes + 24, 4, r->payload_crc);
  seal(bytes, FORMAT_RECORD_BYTES);
  if (PLANT(2)) format_put(bytes + 28, 4, htel_crc32(0, bytes + 4, FORMAT_RECORD_BYTES - 8u));
}

bool format_record_read(record *r, const uint8_t *bytes) {
  *r = (record){.kind = bytes[0],
                .behind = bytes[1],
                .size = (uint16_t)format_get(bytes + 2, 2),
                .boot_low = (uint16_t)format_get(bytes + 8, 2),
                .index = (uint16_t)format_get(bytes + 10, 2),
                .sequence = (uint32_t)format_get(bytes + 4, 4),
                .readings = (uint32_t)format_get(bytes + 12, 3),
                .tick_span = (uint32_t)format_get(bytes + 20, 4),
                .tick_first = format_get(bytes + 15, 5),
                .payload_crc = (uint32_t)format_get(bytes + 24, 4)};
  return r->kind >= RECORD_FRAME && r->kind <= RECORD_BAD;
}

void format_slot_write(uint16_t first, uint16_t last, uint8_t *bytes) {
  format_put(bytes, 2, first);
  format_put(bytes + 2, 2, last);
  seal(bytes, FORMAT_SLOT_BYTES);
}

void format_slot_read(uint16_t *first, uint16_t *last, const uint8_t *bytes) {
  *first = (uint16_t)format_get(bytes, 2);
  *last = (uint16_t)format_get(bytes + 2, 2);
}
