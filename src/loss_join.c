/* SPDX-License-Identifier: Apache-2.0 */
#include "loss_join.h"

#define ORDINAL_NOWHERE 0x80000000u /* beside no frame */

static uint64_t last_boot(const htel_loss *l) {
  return l->boot_last > l->boot ? l->boot_last : l->boot;
}

static void join_boots(htel_loss *into, const htel_loss *from) {
  uint64_t last = last_boot(into) > last_boot(from) ? last_boot(into) : last_boot(from);
  if (from->boot < into->boot) into->boot = from->boot;
  if (last > into->boot) into->boot_last = last;
  into->readings += from->readings;
  into->at_most = true;
}

static void join_evicted(htel_loss *into, const htel_loss *from) {
  join_boots(into, from);
  if (from->sequence_first < into->sequence_first) into->sequence_first = from->sequence_first;
  if (from->sequence_last > into->sequence_last) into->sequence_last = from->sequence_last;
  if (from->tick_first < into->tick_first) into->tick_first = from->tick_first;
  if (from->tick_last > into->tick_last) into->tick_last = from->tick_last;
  into->frames += from->frames;
}

void loss_make_way(loss_ledger *ledger, uint8_t frame_class, uint64_t boot) {
  loss_entry *one = NULL;
  loss_entry *other = NULL;
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) {
    loss_entry *e = &ledger->entries[i];
    if (e->loss.cause != HTEL_CAUSE_OUTBOX_FULL || e->loss.frame_class != frame_class) continue;
    other = one;
    one = e;
  }
  if (other == NULL || one->loss.boot == boot || other->loss.boot == boot) return;
  join_evicted(&one->loss, &other->loss);
  one->carrier = 0;
  *other = (loss_entry){0};
}

bool loss_is_told(const loss_ledger *ledger, const outbox_entry *frame) {
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) {
    const loss_entry *e = &ledger->entries[i];
    if (e->loss.cause != HTEL_CAUSE_OUTBOX_FULL || e->loss.frame_class != frame->frame_class ||
        e->loss.boot != frame->boot || e->loss.at_most)
      continue;
    if (frame->ordinal >= e->ordinal_first && frame->ordinal <= e->ordinal_last) return true;
  }
  return false;
}

void loss_clamp(loss_ledger *ledger) {
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) {
    htel_loss *l = &ledger->entries[i].loss;
    uint32_t numbers = l->sequence_last - l->sequence_first + 1u;
    if (l->cause != HTEL_CAUSE_OUTBOX_FULL || l->boot_last > l->boot || l->frames <= numbers)
      continue;
    l->frames = numbers;
    l->at_most = true;
  }
}

static loss_entry *find(loss_ledger *ledger, uint8_t cause) {
  for (unsigned i = 0; i < LOSS_ENTRIES; i++)
    if (ledger->entries[i].loss.cause == cause) return &ledger->entries[i];
  return NULL;
}

static void add(loss_ledger *ledger, const htel_loss *loss) {
  loss_entry *e = find(ledger, HTEL_CAUSE_UNSPECIFIED);
  if (e == NULL) return; /* cannot be: each cause keeps to its share */
  *e = (loss_entry){
      .loss = *loss, .ordinal_first = ORDINAL_NOWHERE, .ordinal_last = ORDINAL_NOWHERE};
  e->loss.id = ++ledger->id_last;
}

void loss_unclean_at_most(loss_ledger *ledger, uint64_t boot_first, uint64_t boot_last,
                          uint64_t readings) {
  htel_loss loss = {.cause = HTEL_CAUSE_UNCLEAN_STOP,
                    .boot = boot_first,
                    .boot_last = boot_last,
                    .readings = readings,
                    .at_most = true};
  loss_entry *e = find(ledger, HTEL_CAUSE_UNCLEAN_STOP);
  if (e == NULL) {
    add(ledger, &loss);
    return;
  }
  join_boots(&e->loss, &loss);
  e->carrier = 0;
}

/* Of earlier boots one channel's refusals share an entry; their ticks are of the last of them.
 * Where the share of all rings is used up, what is left to say is of which boot they were. */
static void take_back_ring(loss_ledger *ledger, const htel_loss *loss) {
  unsigned count = 0;
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) {
    loss_entry *e = &ledger->entries[i];
    if (e->loss.cause != HTEL_CAUSE_RING_FULL) continue;
    count++;
    if (e->loss.channel != loss->channel || e->loss.boot == 0) continue;
    e->loss.readings += loss->readings;
    e->carrier = 0;
    return;
  }
  if (count < LOSS_RING_ENTRIES)
    add(ledger, loss);
  else
    loss_unclean_at_most(ledger, loss->boot, loss->boot, loss->readings);
}

void loss_take_back(loss_ledger *ledger, const htel_loss *loss) {
  if (loss->cause == HTEL_CAUSE_UNCLEAN_STOP) {
    loss_unclean_at_most(ledger, loss->boot, last_boot(loss), loss->readings);
  } else if (loss->cause == HTEL_CAUSE_OUTBOX_FULL && loss->frame_class < HTEL_CLASS_COUNT) {
    loss_make_way(ledger, loss->frame_class, UINT64_MAX); /* no frame is of that boot */
    add(ledger, loss);
  } else if (loss->cause == HTEL_CAUSE_RING_FULL) {
    take_back_ring(ledger, loss);
  }
}
