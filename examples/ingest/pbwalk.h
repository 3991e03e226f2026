/* SPDX-License-Identifier: Apache-2.0 */
/* pbwalk.h - walks the fields of one protobuf message, without copying.
 *
 * For the small messages around the frames (Capture, Status), and to find the key of a frame whose
 * rest cannot be read. Input may be anything: a field that does not fit the bytes ends the walk. */
#ifndef INGEST_PBWALK_H
#define INGEST_PBWALK_H

#include <stddef.h>
#include <stdint.h>

typedef struct pbwalk {
  const uint8_t *bytes;
  size_t size, used;
} pbwalk;

typedef struct pbwalk_field {
  uint32_t number;
  uint8_t type;         /* protobuf's wire type: 0 varint, 1 64 bits, 2 bytes, 5 32 bits */
  uint64_t value;       /* types 0, 1 and 5 */
  const uint8_t *bytes; /* type 2 */
  size_t size;
} pbwalk_field;

/* One varint. 1: read; 0: the bytes end inside it; -1: longer than 64 bits. */
int pbwalk_varint(pbwalk *w, uint64_t *value);

/* The next field. 1: read; 0: the message ended; -1: what follows is not a field. */
int pbwalk_next(pbwalk *w, pbwalk_field *field);

#endif
