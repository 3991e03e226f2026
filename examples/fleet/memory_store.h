/* SPDX-License-Identifier: Apache-2.0 */
/* memory_store.h - the ingest's store (store.h) in memory, for simulations.
 *
 * Keeps keys, digests, births, loss records, anchors, quarantine and counters; of readings it keeps
 * none, but shows each frame, once its transaction is committed, to whoever watches. A transaction
 * that is rolled back leaves nothing. May be told to fail as a full disk does. Survives the kill of
 * the ingest that writes to it: only what was committed is there. */
#ifndef FLEET_MEMORY_STORE_H
#define FLEET_MEMORY_STORE_H

#include "store.h"

typedef struct memory_store memory_store;

typedef struct memory_watch {
  void *ctx;
  /* In the transaction, for each frame that is put and new; readings are valid in the call. The
   * watcher keeps what it learns apart until `committed`, or forgets it at `rolled_back`. */
  void (*frame)(void *ctx, const store_frame *frame);
  void (*aside)(void *ctx, const store_aside *aside);
  void (*placed)(void *ctx, const char *device, uint64_t boot, uint64_t tick_first,
                 uint64_t tick_last, int64_t offset_ms);
  void (*committed)(void *ctx);
  void (*rolled_back)(void *ctx);
} memory_watch;

memory_store *memory_store_new(const memory_watch *watch); /* NULL: no memory */
void memory_store_free(memory_store *m);
/* Its close() rolls back what is open; all else stays, for the next one who opens it. */
const store *memory_store_of(memory_store *m);
/* Transactions fail with STORE_AGAIN: all, while `broken`; one, in so many operations from now. */
void memory_store_break(memory_store *m, bool broken);
void memory_store_fail_in(memory_store *m, uint32_t operations);
/* Asked last of all in a commit. False: it fails, because who writes has been killed. */
void memory_store_gate(memory_store *m, bool (*gate)(void *ctx), void *ctx);
size_t memory_store_bytes(const memory_store *m);
size_t memory_store_bytes_of(const memory_store *m, const char *device);

#endif
