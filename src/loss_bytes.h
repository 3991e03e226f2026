/* SPDX-License-Identifier: Apache-2.0 */
/* loss_bytes.h - the ledger of losses as the bytes that the outbox on flash keeps of it. */
#ifndef HTEL_SRC_LOSS_BYTES_H
#define HTEL_SRC_LOSS_BYTES_H

#include "loss.h"

#define LOSS_BYTES_EACH 52u
#define LOSS_BYTES_MAX (LOSS_BYTES_EACH * LOSS_ENTRIES)

/* Writes the entries that are there. `boot`: that of entries which name none. */
size_t loss_bytes_write(const loss_ledger *ledger, uint64_t boot, uint8_t bytes[LOSS_BYTES_MAX]);

/* Into an empty ledger. An entry whose carrier was durable, as is_durable() says, is left out: the
 * frame that has it is either on flash or at the ingest. All others wait for a frame of this boot.
 */
void loss_bytes_read(loss_ledger *ledger, const uint8_t *bytes, size_t size,
                     bool (*is_durable)(void *ctx, uint32_t carrier), void *ctx);

#endif
