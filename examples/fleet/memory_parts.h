/* SPDX-License-Identifier: Apache-2.0 */
/* memory_parts.h - what the parts of the store in memory share: its tables.
 *
 *     device (found by hash) -> boots  -> frames   by sequence
 *                                      -> anchors  by tick
 *                            -> losses, births, quarantine, alerts, counters
 *
 * Each table is a sorted array. What arrives is nearly always the last of its table, so that adding
 * costs nothing; the rest is a binary search and a move. Numbers are in order as in SQLite, where
 * 64 bits have a sign. */
#ifndef FLEET_MEMORY_PARTS_H
#define FLEET_MEMORY_PARTS_H

#include "memory_store.h"

typedef struct mem_list {
  void *items;
  uint32_t count, room;
} mem_list;

typedef struct mem_frame { /* 24 bytes: a device-day is some 1,500 of them */
  uint64_t digest;         /* its first 8 bytes: nobody here makes collisions with intent */
  uint64_t samples : 21, numerics : 17, alarms : 17, frame_class : 8;
  uint32_t sequence, payload_bytes;
} mem_frame;

typedef struct mem_anchor {
  htel_anchor anchor;
  uint32_t sequence; /* of the frame that told it */
} mem_anchor;

/* Stays, empty, when the transaction that made it is rolled back: nobody sees an empty one. */
typedef struct mem_boot {
  uint64_t boot;
  mem_list frames;  /* mem_frame */
  mem_list anchors; /* mem_anchor */
} mem_boot;

typedef struct mem_birth {
  uint32_t schema, size;
  uint8_t *bytes;
} mem_birth;

typedef struct mem_digest {
  uint8_t bytes[DIGEST_BYTES];
} mem_digest;

typedef struct mem_key {
  uint64_t boot;
  uint32_t sequence;
} mem_key;

typedef struct mem_device {
  char id[DEVICE_BYTES];
  bool known; /* in the database; it stays here when the transaction that made it is rolled back */
  uint32_t hash;
  struct mem_device *next; /* of the same bucket */
  mem_list boots;          /* mem_boot */
  mem_list losses;         /* store_loss_row, by carrier's boot and id */
  mem_list births;         /* mem_birth */
  mem_list digests;        /* of all in quarantine */
  mem_list keys;           /* of those that have one; a key may be there twice */
  mem_list alerts;         /* store_alert without device, in the order in which they came */
  uint32_t asides[2];      /* in quarantine: without key, with key */
  uint64_t counters[STORE_COUNTERS];
  size_t bytes;
} mem_device;

typedef enum mem_undo_kind {
  UNDO_DEVICE,
  UNDO_FRAME,
  UNDO_ANCHOR,
  UNDO_ANCHOR_CHANGE,
  UNDO_LOSS,
  UNDO_LOSS_CHANGE,
  UNDO_BIRTH,
  UNDO_ASIDE,
  UNDO_ALERT,
  UNDO_COUNTER
} mem_undo_kind;

/* One line of the journal: how to take back one change. */
typedef struct mem_undo {
  mem_undo_kind kind;
  uint32_t number; /* sequence, schema, counter */
  mem_device *device;
  uint64_t boot;
  union {
    mem_anchor anchor;   /* the one to take out, or that was there before */
    store_loss_row loss; /* likewise */
    struct {
      mem_digest digest;
      bool keyed; /* by boot and number */
    } aside;
    uint64_t by;
  } was;
} mem_undo;

struct memory_store {
  store face;
  memory_watch watch;
  mem_device **devices; /* in no order until they are visited */
  mem_device **buckets;
  uint32_t device_count, device_room, bucket_count; /* buckets: a power of two */
  bool sorted;
  mem_device *last; /* asked for: the next question is nearly always about the same */
  mem_undo *journal;
  size_t undo_count, undo_room;
  bool open, failed; /* a transaction; after an error in it only rollback helps */
  bool broken;
  uint32_t broken_begins; /* begins while broken */
  uint32_t fail_in;       /* operations; 0: not */
  bool (*gate)(void *ctx);
  void *gate_ctx;
  size_t bytes;
};

/* ---- memory_table.c ---- */

/* Where in the list the first item is that is not before the key. */
typedef bool (*mem_before)(const void *item, const void *key);
uint32_t list_find(const mem_list *l, size_t item_bytes, mem_before before, const void *key);
void *list_at(const mem_list *l, size_t item_bytes, uint32_t at);
/* Makes a place at `at`. NULL: no memory. */
void *list_insert(memory_store *m, mem_device *d, mem_list *l, size_t item_bytes, uint32_t at);
void list_remove(mem_list *l, size_t item_bytes, uint32_t at);

/* The place of what has this key, where an insert would go, and whether it is there. */
typedef struct mem_place {
  uint32_t at;
  bool found;
} mem_place;
mem_place boot_place(const mem_device *d, uint64_t boot);
mem_place frame_place(const mem_boot *b, uint32_t sequence);
mem_place anchor_place(const mem_boot *b, uint64_t tick);
mem_place loss_place(const mem_device *d, uint64_t carrier_boot, uint32_t id);
mem_place birth_place(const mem_device *d, uint32_t schema);
mem_place digest_place(const mem_device *d, const uint8_t *digest);
mem_place key_place(const mem_device *d, mem_key key);

/* NULL: none. */
mem_boot *boot_find(const mem_device *d, uint64_t boot);
/* NULL: no memory. */
mem_boot *boot_need(memory_store *m, mem_device *d, uint64_t boot);

/* NULL: not known. */
mem_device *device_find(memory_store *m, const char *id);
/* A new one is not known yet. NULL: no memory. */
mem_device *device_need(memory_store *m, const char *id);
void device_free_all(memory_store *m);
void devices_sort(memory_store *m);

/* ---- memory_read.c ---- */
void memory_add_readers(store *s);

#endif
