/* SPDX-License-Identifier: Apache-2.0 */
/* birth.h - what the device is: the birth message, a function of the configuration alone.
 *
 * It is never kept: each piece is encoded anew when the link asks for it (the link pulls a few
 * hundred bytes once a connection). */
#ifndef HTEL_SRC_BIRTH_H
#define HTEL_SRC_BIRTH_H

#include "healthtel/healthtel.h"

typedef struct birth_source {
  const char *firmware; /* or NULL */
  const htel_channel *channels;
  uint16_t channel_count;
} birth_source;

uint32_t birth_size(const birth_source *source);
uint32_t birth_schema(const birth_source *source); /* CRC-32 of the whole message */
/* Bytes offset to offset + size of the message. 0, or HTEL_E_ARGUMENT past its end. */
int birth_read(const birth_source *source, uint32_t offset, uint8_t *buf, size_t size);

#endif
