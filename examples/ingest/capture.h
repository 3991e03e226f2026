/* SPDX-License-Identifier: Apache-2.0 */
/* capture.h - reads capture files: births and frames as they travelled, one after another.
 *
 * A capture is a sequence of Capture messages (healthtel.proto), each with its length before it as
 * a varint. A message that is damaged inside is told and passed over; a damaged length ends the
 * file, since nothing says where the next one begins. */
#ifndef INGEST_CAPTURE_H
#define INGEST_CAPTURE_H

#include <stdint.h>
#include <stdio.h>

#include "healthtel/decode.h"

/* Room for the largest frame with the device's id around it. */
#define CAPTURE_BYTES_MAX (HTEL_FRAME_BYTES_MAX + 64u)

typedef enum capture_kind { CAPTURE_BIRTH = 1, CAPTURE_FRAME = 2 } capture_kind;

typedef struct capture_entry {
  char device[HTEL_DEVICE_ID_CHARS_MAX + 1];
  capture_kind kind;
  const uint8_t *bytes; /* the birth or frame; valid until the next call */
  size_t size;
  uint64_t offset; /* of `bytes` in the file */
} capture_entry;

typedef struct capture_reader { /* about 60 KB */
  FILE *file;
  uint64_t offset; /* of the next message */
  uint8_t buf[CAPTURE_BYTES_MAX];
} capture_reader;

/* `file` stays the caller's. */
void capture_begin(capture_reader *reader, FILE *file);

/* 1: an entry; 0: the end; CAPTURE_DAMAGED: this message was passed over, call again;
 * CAPTURE_BROKEN: nothing more can be read. entry->offset says where, in both. */
int capture_next(capture_reader *reader, capture_entry *entry);
#define CAPTURE_DAMAGED (-1)
#define CAPTURE_BROKEN (-2)

/* Writes one entry to `file`. 0, or -1 with errno. */
int capture_write(FILE *file, const char *device, capture_kind kind, const uint8_t *bytes,
                  size_t size);

/* Whether `id` is a device id: [A-Za-z0-9_-]{1,36}. `size` without a closing zero. */
bool device_id_valid(const char *id, size_t size);

#endif
