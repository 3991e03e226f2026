/* SPDX-License-Identifier: Apache-2.0 */
/* births.h - decoded births at hand, and how often to ask for one.
 *
 * Both are tables of fixed size with one place for each hash: a fleet larger than the table costs
 * look-ups in the store, not memory. */
#ifndef INGEST_BIRTHS_H
#define INGEST_BIRTHS_H

#include "store.h"

#define BIRTHS_SLOTS 256u /* about 5 KB each */
#define WANTED_SLOTS 4096u

typedef struct births_slot {
  char device[DEVICE_BYTES]; /* "" where free */
  htel_birth birth;
} births_slot;

typedef struct births {
  births_slot *slots;
  htel_birth scratch; /* for a birth that is just being looked at */
  uint8_t bytes[HTEL_FRAME_BYTES_MAX];
} births;

bool births_open(births *b); /* false: no memory */
void births_close(births *b);

/* The birth of this device with this schema; *birth is NULL where the store has none. Valid until
 * the next call. STORE_*. Only what is committed, or in the open transaction, is ever found. */
int births_find(births *b, const store *s, const char *device, uint32_t schema,
                const htel_birth **birth);

/* After a rollback: a birth that was never committed must not stay. */
void births_forget(births *b);

typedef struct wanted {
  struct {
    uint32_t hash;
    int64_t asked_ms;
  } slots[WANTED_SLOTS];
} wanted;

/* Whether to ask this device for its birth now; notes that it was asked. */
bool wanted_due(wanted *w, const char *device, int64_t now_ms, int64_t interval_ms);

#endif
