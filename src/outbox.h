/* SPDX-License-Identifier: Apache-2.0 */
/* outbox.h - closed frames waiting for their receipt, in RAM. Only here is anything evicted.
 *
 *     | entry | frame | entry | frame | ... free ... |
 *     ^ arena: the oldest first       ^ end
 *
 * Frames lie in the order of their sequence numbers, each behind its entry. A freed frame leaves a
 * hole until the next reserve needs the room and moves the rest together, so pointers into the
 * arena are good only until the next reserve; frames are named by their sequence. */
#ifndef HTEL_SRC_OUTBOX_H
#define HTEL_SRC_OUTBOX_H

#include "healthtel/healthtel.h"

typedef enum outbox_state {
  OUTBOX_FREE = 0,
  OUTBOX_WAITING = 1,  /* to be published */
  OUTBOX_IN_FLIGHT = 2 /* published on this connection, no receipt yet */
} outbox_state;

typedef struct outbox_entry {
  uint32_t sequence;
  uint32_t ordinal; /* number within its class */
  uint32_t size;    /* of the frame */
  uint32_t readings;
  uint32_t sent_ms; /* low 32 bits of the tick at which it was last published */
  uint64_t tick_first, tick_last;
  uint8_t frame_class; /* htel_class */
  uint8_t state;       /* outbox_state */
  bool acked;          /* PUBACK has come on this connection */
  uint8_t sends;       /* times published, 255 at most */
} outbox_entry;

typedef struct outbox {
  uint8_t *arena;
  uint32_t size; /* of the arena */
  uint32_t end;  /* first byte behind the last frame */
  uint32_t used; /* bytes of frames that are not free, with their entries */
  uint32_t used_max;
  uint32_t frames;    /* that are not free */
  uint32_t in_flight; /* of which published and without receipt */
  uint32_t in_flight_bytes;
  uint32_t unacked_bytes;              /* of frames in flight without PUBACK */
  uint8_t when_full[HTEL_CLASS_COUNT]; /* htel_full */
} outbox;

/* Bytes that a frame of `size` takes in the arena. */
uint32_t outbox_bytes_for(uint32_t size);

void outbox_init(outbox *o, uint8_t *arena, uint32_t size, const uint8_t *when_full);

/* Room for a frame of up to `size` bytes at the end of the arena, or NULL while there is none: then
 * outbox_victim says what must go first. */
uint8_t *outbox_reserve(outbox *o, uint32_t size);

/* The frame reserved last is complete: `entry` says what it is (state WAITING). */
void outbox_commit(outbox *o, const outbox_entry *entry);

/* Which frame must go so that one of `frame_class` can come: the oldest of the least important
 * class that is not more important than the newcomer's; one that is not in flight if there is any,
 * since a link may be at it. NULL: the newcomer itself. */
outbox_entry *outbox_victim(outbox *o, uint8_t frame_class);

/* In order of sequence: the first after `previous` (NULL: the first of all), NULL at the end. */
outbox_entry *outbox_next(const outbox *o, const outbox_entry *previous);
outbox_entry *outbox_find(const outbox *o, uint32_t sequence);

/* Frame bytes, valid until the next reserve. */
const uint8_t *outbox_frame(const outbox_entry *entry);

void outbox_sent(outbox *o, outbox_entry *entry, uint32_t now_ms);
void outbox_acked(outbox *o, outbox_entry *entry);
void outbox_unsend(outbox *o, outbox_entry *entry); /* in flight -> waiting */
void outbox_free(outbox *o, outbox_entry *entry);

#endif
