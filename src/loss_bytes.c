/* SPDX-License-Identifier: Apache-2.0 */
#include "loss_bytes.h"

#include "store_format.h"

#define COUNT_MAX 0xFFFFFFFFFFu /* 40 bits */

static uint64_t at_most(uint64_t value) {
  return value < COUNT_MAX ? value : COUNT_MAX;
}

/* cause u8 | channel u8 | class u8 | at_most u8 | boot u32 | boot_last u32 | tick_first u40 |
 * tick_last u40 | readings u40 | sequence_first u32 | sequence_last u32 | frames u32 | carrier u32
 * | ordinal_first u32 | ordinal_last u32 | 0 */
static void entry_write(const loss_entry *e, uint64_t boot, uint8_t *to) {
  const htel_loss *l = &e->loss;
  to[0] = l->cause;
  to[1] = l->channel;
  to[2] = l->frame_class;
  to[3] = l->at_most;
  format_put(to + 4, 4, l->boot != 0 ? l->boot : boot);
  format_put(to + 8, 4, l->boot_last);
  format_put(to + 12, 5, at_most(l->tick_first));
  format_put(to + 17, 5, at_most(l->tick_last));
  format_put(to + 22, 5, at_most(l->readings));
  format_put(to + 27, 4, l->sequence_first);
  format_put(to + 31, 4, l->sequence_last);
  format_put(to + 35, 4, l->frames);
  format_put(to + 39, 4, e->carrier);
  format_put(to + 43, 4, e->ordinal_first);
  format_put(to + 47, 4, e->ordinal_last);
  to[51] = 0;
}

static void entry_read(loss_entry *e, const uint8_t *from) {
  *e = (loss_entry){.loss = {.cause = from[0],
                             .channel = from[1],
                             .frame_class = from[2],
                             .at_most = from[3] != 0,
                             .boot = format_get(from + 4, 4),
                             .boot_last = format_get(from + 8, 4),
                             .tick_first = format_get(from + 12, 5),
                             .tick_last = format_get(from + 17, 5),
                             .readings = format_get(from + 22, 5),
                             .sequence_first = (uint32_t)format_get(from + 27, 4),
                             .sequence_last = (uint32_t)format_get(from + 31, 4),
                             .frames = (uint32_t)format_get(from + 35, 4)},
                    .carrier = (uint32_t)format_get(from + 39, 4),
                    .ordinal_first = (uint32_t)format_get(from + 43, 4),
                    .ordinal_last = (uint32_t)format_get(from + 47, 4)};
}

size_t loss_bytes_write(const loss_ledger *ledger, uint64_t boot, uint8_t bytes[LOSS_BYTES_MAX]) {
  size_t size = 0;
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) {
    if (ledger->entries[i].loss.cause == HTEL_CAUSE_UNSPECIFIED) continue;
    entry_write(&ledger->entries[i], boot, bytes + size);
    size += LOSS_BYTES_EACH;
  }
  return size;
}

void loss_bytes_read(loss_ledger *ledger, const uint8_t *bytes, size_t size,
                     bool (*is_durable)(void *ctx, uint32_t carrier), void *ctx) {
  unsigned count = 0;
  for (size_t at = 0; at + LOSS_BYTES_EACH <= size && count < LOSS_ENTRIES; at += LOSS_BYTES_EACH) {
    loss_entry *e = &ledger->entries[count];
    entry_read(e, bytes + at);
    bool told = e->carrier != 0 && is_durable(ctx, e->carrier);
    if (told || e->loss.cause == HTEL_CAUSE_UNSPECIFIED) {
      *e = (loss_entry){0};
      continue;
    }
    e->carrier = 0;
    e->loss.id = ++ledger->id_last;
    count++;
  }
}
