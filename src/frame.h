/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - the envelope: one batch as one protobuf message (healthtel.proto: Frame). */
#ifndef HTEL_SRC_FRAME_H
#define HTEL_SRC_FRAME_H

#include "healthtel/decode.h"

/* How a frame's readings are written: htel_frame.coding. */
enum { FRAME_STORED = 0, FRAME_DEFLATED = 1, FRAME_MODELLED = 2 };

typedef struct frame_parts {
  uint64_t boot;
  uint32_t sequence;
  uint8_t frame_class; /* htel_class */
  uint64_t tick;
  uint32_t schema;
  uint64_t session;
  uint8_t coding;     /* FRAME_STORED, ... */
  uint32_t data_size; /* deflate: bytes after inflating */
  const uint8_t *data;
  size_t data_bytes;
  const htel_anchor *anchors;
  uint16_t anchor_count;   /* at most HTEL_ANCHORS_MAX */
  const htel_loss *losses; /* .boot equal to the frame's boot is left out on the wire */
  uint16_t loss_count;     /* at most HTEL_LOSSES_MAX */
} frame_parts;

/* Bytes of envelope around `data`, at most, without anchors and losses; and of each of those. */
#define FRAME_ENVELOPE_BYTES_MAX 72u
#define FRAME_ANCHOR_BYTES_MAX 30u
#define FRAME_LOSS_BYTES_MAX 96u

/* Writes the frame. Bytes written, or HTEL_E_TOO_LARGE when `room` is too small. `data` may lie
 * inside `out`, from out + FRAME_ENVELOPE_BYTES_MAX on: all that is written before it ends below
 * that. */
int frame_encode(const frame_parts *parts, uint8_t *out, size_t room);

/* The status message (also the will); at most 32 bytes. */
int status_encode(bool online, uint64_t boot, uint8_t *out, size_t room);

#endif
