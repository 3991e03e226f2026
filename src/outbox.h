/* SPDX-License-Identifier: Apache-2.0 */
/* outbox.h - closed frames waiting for their receipt. Only here is anything evicted.
 *
 * In RAM, which is what outbox.c does:
 *
 *     | entry | frame | entry | frame | ... free ... |
 *     ^ arena: the oldest first       ^ end
 *
 * Frames lie in the order of their sequence numbers, each behind its entry. A freed frame leaves a
 * hole until the next reserve needs the room and moves the rest together, so pointers into the
 * arena are good only until the next reserve; frames are named by their token.
 *
 * On flash (outbox_code, outbox_flash.c) the frames lie in a store, and the arena holds the entries
 * of some: of those in flight and of the next few. Behind such an entry lies where its frame is. So
 * delivery sees entries alone and need not know which it is. */
#ifndef HTEL_SRC_OUTBOX_H
#define HTEL_SRC_OUTBOX_H

#include "healthtel/healthtel.h"

typedef enum outbox_state {
  OUTBOX_FREE = 0,
  OUTBOX_WAITING = 1,   /* to be published */
  OUTBOX_IN_FLIGHT = 2, /* published on this connection, no receipt yet */
  OUTBOX_UNSAFE = 3     /* on flash, but a power cut might still take it: not to be published */
} outbox_state;

typedef struct outbox_entry {
  uint64_t boot;
  uint32_t token; /* names it to the link and the ledger: the sequence; from 2^31 on for frames of
                     earlier boots */
  uint32_t sequence;
  uint32_t ordinal; /* number within its class */
  uint32_t size;    /* of the frame */
  uint32_t kept;    /* bytes behind the entry: the frame, or where it is */
  uint32_t readings;
  uint32_t sent_ms; /* low 32 bits of the tick at which it was last published */
  uint64_t tick_first, tick_last;
  uint8_t frame_class; /* htel_class */
  uint8_t state;       /* outbox_state */
  bool acked;          /* PUBACK has come on this connection */
  uint8_t sends;       /* times published, 255 at most */
} outbox_entry;

/* The outbox on flash: where a function is named here it does the work of the one in RAM. */
struct htel_outbox_code {
  /* 0 and the bytes that its arena takes, or HTEL_E_CONFIG: config->fault says what is wrong. */
  int32_t (*check)(const htel_config *config, uint32_t frame_bytes, uint32_t *arena_bytes);
  /* Mounts, counts the boot up and takes the ledger of losses over. */
  int (*open)(htel *tel, const htel_config *config);
  /* Makes room for a frame of up to `size` bytes, and says where to put it together; or NULL. */
  uint8_t *(*reserve)(htel *tel, uint8_t frame_class, uint32_t size);
  /* The frame reserved last is complete. */
  int (*commit)(htel *tel, outbox_entry *entry);
  /* Evicts what must go so that one of `frame_class` can come; false: it is the newcomer. */
  bool (*evict)(htel *tel, uint8_t frame_class);
  /* Entries of the frames that are to be sent next; makes durable what is due to be. Milliseconds
   * after which it wants to run again. */
  uint32_t (*fill)(htel *tel);
  int (*read)(htel *tel, const outbox_entry *entry, uint32_t offset, uint8_t *buf, size_t size);
  /* Receipted, as stored or as put aside; the caller frees the entry. */
  void (*freed)(htel *tel, const outbox_entry *entry, bool aside);
  uint32_t (*used)(const htel *tel); /* bytes */
  /* All that is in RAM is durable, and the boot has ended; `clean`: nothing was left elsewhere. */
  int (*close)(htel *tel, bool clean);
};

typedef struct outbox {
  const htel_outbox_code *code; /* NULL: in RAM */
  void *flash;                  /* its state */
  uint8_t *arena;
  uint32_t size; /* of the arena */
  uint32_t end;  /* first byte behind the last frame */
  uint32_t used; /* bytes of frames that are not free, with their entries */
  uint32_t used_max;
  uint32_t frames;    /* that are not free */
  uint32_t in_flight; /* of which published and without receipt */
  uint32_t in_flight_bytes;
  uint32_t unacked_bytes;              /* of frames in flight without PUBACK */
  bool more;                           /* there may be frames of which none has an entry yet */
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
outbox_entry *outbox_find(const outbox *o, uint32_t token);

/* What lies behind the entry: in RAM the frame, valid until the next reserve. */
const uint8_t *outbox_frame(const outbox_entry *entry);

void outbox_sent(outbox *o, outbox_entry *entry, uint32_t now_ms);
void outbox_acked(outbox *o, outbox_entry *entry);
void outbox_unsend(outbox *o, outbox_entry *entry); /* in flight -> waiting */
void outbox_free(outbox *o, outbox_entry *entry);

#endif
