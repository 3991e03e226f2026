/* SPDX-License-Identifier: Apache-2.0 */
/* store_format.h - what lies on the flash, to the byte. Numbers are little-endian.
 *
 *     block   | header | record | record | ...        blank        ... | slot | slot |
 *             0        32       each at a multiple of the program unit        the end
 *
 *     header  magic u32 | layout u16 | log u8 | geometry u8 | serial u32 | erases u24 |
 *             generation u8 | ordinal_first u32 | boot u32 | durable u32 | crc u32
 *     record  kind u8 | behind u8 | size u16 | sequence u32 | boot u16 | index u16 | readings u24 |
 *             tick_first u40 | tick_span u32 | payload crc u32 | crc u32, then `size` bytes
 *     slot    first u16 | last u16 | crc u32: frames of this block that are receipted
 *
 * Magic, layout and the place of the header's checksum stay as they are in every layout to come, so
 * that a log of another one is known for what it is. Each of the three is read with its checksum; a
 * single flipped bit is found from the checksum and set right, so rot in them costs nothing. */
#ifndef HTEL_SRC_STORE_FORMAT_H
#define HTEL_SRC_STORE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORMAT_MAGIC 0x4C455448u /* "HTEL" */
#define FORMAT_LAYOUT 1u
#define FORMAT_HEADER_BYTES 32u
#define FORMAT_RECORD_BYTES 32u
#define FORMAT_SLOT_BYTES 8u

typedef enum format_sight {
  FORMAT_BLANK = 0,
  FORMAT_GOOD = 1,
  FORMAT_REPAIRED = 2, /* one bit was wrong */
  FORMAT_BROKEN = 3
} format_sight;

typedef struct block_header {
  uint16_t layout;
  uint8_t log;
  uint8_t geometry;   /* format_geometry() */
  uint8_t generation; /* of two blocks with one serial, the lower one was being moved away */
  uint32_t serial;    /* from 1 */
  uint32_t erases;
  uint32_t ordinal_first; /* number within its class of the first frame */
  uint32_t boot;          /* that opened the block: the frames' is found from it */
  uint32_t durable;       /* of that boot, all frames up to this sequence were durable then */
} block_header;

typedef enum record_kind {
  RECORD_FRAME = 1,
  RECORD_BOOT = 2,   /* note_boot; in log 0, as all that follow */
  RECORD_LOSSES = 3, /* the ledger; tick_first: the boot it is of; tick_span: a block given up */
  RECORD_VOID = 4,   /* serials of blocks that will be erased: u32 each */
  RECORD_BAD = 5     /* indices of blocks that are not to be used: u16 each */
} record_kind;

typedef struct record {
  uint8_t kind;
  uint8_t behind;    /* sequence - behind was durable when this was written, with all before it */
  uint16_t size;     /* of the payload */
  uint16_t boot_low; /* lower bits of the boot */
  uint16_t index;    /* frames: number in the block */
  uint32_t sequence; /* notes: of the newest frame */
  uint32_t readings;
  uint32_t tick_span;
  uint64_t tick_first;
  uint32_t payload_crc;
} record;

uint8_t format_geometry(uint32_t block_bytes, uint32_t program_bytes);

/* `size` bytes, the last four of them the checksum of those before: what do they look like? A
 * single wrong bit is set right. */
format_sight format_look(uint8_t *bytes, size_t size);

/* Compares `bytes` with their checksum, and sets a single wrong bit right. */
format_sight format_repair(uint8_t *bytes, size_t size, uint32_t crc);

bool format_is_blank(const uint8_t *bytes, size_t size);

void format_header_write(const block_header *header, uint8_t *bytes);
/* From bytes that format_look() found good. False: not a healthtel block. */
bool format_header_read(block_header *header, const uint8_t *bytes);

void format_record_write(const record *r, uint8_t *bytes);
/* False: no record of this layout. */
bool format_record_read(record *r, const uint8_t *bytes);

void format_slot_write(uint16_t first, uint16_t last, uint8_t *bytes);
void format_slot_read(uint16_t *first, uint16_t *last, const uint8_t *bytes);

uint64_t format_get(const uint8_t *bytes, unsigned count);
void format_put(uint8_t *bytes, unsigned count, uint64_t value);

#endif
