/* SPDX-License-Identifier: Apache-2.0 */
/* loss.h - the ledger of what was lost: nothing disappears silently.
 *
 * An entry is open until a frame carries it, then frozen until that frame is delivered, then gone.
 * If the carrying frame is itself evicted the entry opens again and the next frame takes it. Since
 * a frame may have arrived although it was evicted, a record can reach the ingest twice: its id
 * says so, and it only ever grows, so the ingest keeps the larger.
 *
 * The ledger never overflows. Ring losses wait in their channel's counter until an entry is free;
 * each class has two entries of its own for evictions. Evicted frames that follow each other within
 * their class share an entry: as all of them are in it, the ingest can subtract exactly those that
 * arrived all the same. Where the entries run out, ranges are joined across frames that were not
 * evicted, and the count becomes an upper bound (at_most). */
#ifndef HTEL_SRC_LOSS_H
#define HTEL_SRC_LOSS_H

#include "healthtel/decode.h"
#include "outbox.h"

#define LOSS_ENTRIES 12u
/* Who may have how many of them: together they are all. */
#define LOSS_CLASS_ENTRIES 2u /* evictions, for each class */
#define LOSS_RING_ENTRIES \
  (LOSS_ENTRIES - LOSS_CLASS_ENTRIES * HTEL_CLASS_COUNT - 1u) /* 1: unclean stop */

typedef struct loss_entry {
  htel_loss loss;                       /* cause HTEL_CAUSE_UNSPECIFIED: free */
  uint32_t carrier;                     /* sequence of the frame that carries it; 0: none yet */
  uint32_t ordinal_first, ordinal_last; /* evictions: the frames' numbers within their class */
} loss_entry;

typedef struct loss_ledger {
  loss_entry entries[LOSS_ENTRIES];
  uint32_t id_last;
} loss_ledger;

/* Readings refused by a channel's ring. False when no entry is free: ask again later. */
bool loss_ring_full(loss_ledger *ledger, uint8_t channel, uint64_t tick_first, uint64_t tick_last,
                    uint32_t readings);

/* A frame evicted from the outbox, or refused by it. */
void loss_evicted(loss_ledger *ledger, const outbox_entry *entry);

/* Boots that ended without htel_close delivering everything. */
void loss_unclean(loss_ledger *ledger, uint64_t boot_first, uint64_t boot_last);

/* Whether an entry waits for a frame. */
bool loss_waiting(const loss_ledger *ledger);

/* Puts at most `room` waiting entries into `losses` for frame `carrier`; returns how many. */
uint16_t loss_take(loss_ledger *ledger, uint32_t carrier, htel_loss *losses, uint16_t room);

/* The frame has been delivered: its entries are done. */
void loss_delivered(loss_ledger *ledger, uint32_t carrier);
/* The frame was evicted or put aside, and may or may not have been read: its entries go again. */
void loss_returned(loss_ledger *ledger, uint32_t carrier);

#endif
