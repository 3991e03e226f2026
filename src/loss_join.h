/* SPDX-License-Identifier: Apache-2.0 */
/* loss_join.h - the ledger over several boots, for the outbox on flash: records of boots before
 * this one share its entries, so that it does not overflow however often the power goes. */
#ifndef HTEL_SRC_LOSS_JOIN_H
#define HTEL_SRC_LOSS_JOIN_H

#include "loss.h"

/* Frames of `boot` are about to be evicted. A class has two entries for that: where both are taken
 * and not both by this boot, they become one, over all boots between: an upper bound, but nothing
 * is forgotten. */
void loss_make_way(loss_ledger *ledger, uint8_t frame_class, uint64_t boot);

/* The ledger tells exactly of this frame already: a cut came between that and its end. */
bool loss_is_told(const loss_ledger *ledger, const outbox_entry *frame);

/* No more frames of one boot can be missing in a range than it has numbers. */
void loss_clamp(loss_ledger *ledger);

/* Boots that did not end, and so many readings that they may have had in RAM. */
void loss_unclean_at_most(loss_ledger *ledger, uint64_t boot_first, uint64_t boot_last,
                          uint64_t readings);

/* A record that a frame of an earlier boot carried, which is evicted: it is to be said again. */
void loss_take_back(loss_ledger *ledger, const htel_loss *loss);

#endif
