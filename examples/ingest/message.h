/* SPDX-License-Identifier: Apache-2.0 */
/* message.h - judges what arrives: is it a whole frame, is it readable, and what is in it?
 *
 *     message_topic()  -> which device, which kind of message
 *     frame_open()     -> the frame's key, digest and envelope, or why it has none
 *     frame_read()     -> its readings, all of them, or why not
 *
 * Pure: no store, no clock, no network. Input may be anything; memory and time are bounded by
 * readings.h. A frame ends with one of the fates below, and nothing else. */
#ifndef INGEST_MESSAGE_H
#define INGEST_MESSAGE_H

#include "healthtel/decode.h"
#include "readings.h"

#define DEVICE_BYTES (HTEL_DEVICE_ID_CHARS_MAX + 1u)
#define DIGEST_BYTES 16u /* of SHA-256: tells contents apart, also when chosen with intent */

typedef enum message_kind {
  MESSAGE_NONE = 0, /* not one of our topics, or the device id is not one */
  MESSAGE_FRAME,
  MESSAGE_BIRTH,
  MESSAGE_STATUS
} message_kind;

/* htel/v1/<device>/frame, birth or status. `device` holds DEVICE_BYTES. */
message_kind message_topic(const char *topic, char *device);

/* Online or not, and in which boot. False: not a status message. */
bool message_status(const uint8_t *bytes, size_t size, bool *online, uint64_t *boot);

/* What becomes of a frame. */
typedef enum frame_fate {
  FRAME_GOOD = 0, /* readable in full */
  FRAME_POISON,   /* undamaged, its key is known, but it cannot be read: kept aside with `reason` */
  FRAME_UNREADABLE, /* damaged, or no frame at all: no key */
  FRAME_LATER       /* no memory just now: to be tried again */
} frame_fate;

typedef struct frame_check { /* about 1 KB */
  frame_fate fate;
  const char *reason; /* POISON and UNREADABLE: static text */
  uint64_t boot;      /* the key; UNREADABLE has none */
  uint32_t sequence;
  bool envelope; /* `frame` is filled in */
  htel_frame frame;
  uint8_t digest[DIGEST_BYTES]; /* of all bytes */
} frame_check;

/* Everything but the readings. GOOD here means good so far. `bytes` must stay while check->frame is
 * used. */
void frame_open(frame_check *check, const uint8_t *bytes, size_t size);

/* Works in this memory. */
typedef struct frame_reader { /* about 90 KB */
  htel_reader reader;
  htel_series series;
} frame_reader;

/* Decodes the readings of a frame that frame_open found good, with the birth that it names.
 * Sets check->fate and reason. */
void frame_read(frame_check *check, frame_reader *work, const htel_birth *birth, readings *out);

/* The first DIGEST_BYTES of SHA-256. False: no memory. */
bool digest_make(uint8_t digest[DIGEST_BYTES], const uint8_t *bytes, size_t size);

#endif
