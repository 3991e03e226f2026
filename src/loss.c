/* SPDX-License-Identifier: Apache-2.0 */
#include "loss.h"

static bool is_free(const loss_entry *e) {
  return e->loss.cause == HTEL_CAUSE_UNSPECIFIED;
}

static loss_entry *find_free(loss_ledger *ledger) {
  for (unsigned i = 0; i < LOSS_ENTRIES; i++)
    if (is_free(&ledger->entries[i])) return &ledger->entries[i];
  return NULL;
}

static unsigned count_ring(const loss_ledger *ledger) {
  unsigned n = 0;
  for (unsigned i = 0; i < LOSS_ENTRIES; i++)
    n += ledger->entries[i].loss.cause == HTEL_CAUSE_RING_FULL;
  return n;
}

bool loss_ring_full(loss_ledger *ledger, uint8_t channel, uint64_t tick_first, uint64_t tick_last,
                    uint64_t readings) {
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) {
    loss_entry *e = &ledger->entries[i];
    if (e->loss.cause != HTEL_CAUSE_RING_FULL || e->loss.channel != channel) continue;
    if (e->carrier != 0 || e->loss.boot != 0) continue; /* said, or of an earlier boot */
    if (tick_first < e->loss.tick_first) e->loss.tick_first = tick_first;
    if (tick_last > e->loss.tick_last) e->loss.tick_last = tick_last;
    e->loss.readings += readings;
    return true;
  }
  loss_entry *e = find_free(ledger);
  if (e == NULL || count_ring(ledger) >= LOSS_RING_ENTRIES) return false;
  *e = (loss_entry){.loss = {.id = ++ledger->id_last,
                             .cause = HTEL_CAUSE_RING_FULL,
                             .channel = channel,
                             .tick_first = tick_first,
                             .tick_last = tick_last,
                             .readings = readings}};
  return true;
}

static void evicted_join(htel_loss *into, const htel_loss *from) {
  if (from->sequence_first < into->sequence_first) into->sequence_first = from->sequence_first;
  if (from->sequence_last > into->sequence_last) into->sequence_last = from->sequence_last;
  if (from->tick_first < into->tick_first) into->tick_first = from->tick_first;
  if (from->tick_last > into->tick_last) into->tick_last = from->tick_last;
  into->readings += from->readings;
  into->frames += from->frames;
}

/* Where an evicted frame belongs: an open entry that it adjoins, else a new one, else any that it
 * must share. */
static loss_entry *entry_for(loss_ledger *ledger, const outbox_entry *frame, bool *adjoins) {
  unsigned count = 0;
  loss_entry *any = NULL;
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) {
    loss_entry *e = &ledger->entries[i];
    if (e->loss.cause != HTEL_CAUSE_OUTBOX_FULL || e->loss.frame_class != frame->frame_class ||
        e->loss.boot != frame->boot)
      continue;
    *adjoins = frame->ordinal == e->ordinal_last + 1u || frame->ordinal + 1u == e->ordinal_first;
    if (*adjoins && e->carrier == 0) return e;
    if (any == NULL || e->carrier == 0)
      any = e; /* better one that is open than one that was said */
    count++;
  }
  loss_entry *slot = find_free(ledger);
  if (count < LOSS_CLASS_ENTRIES && slot != NULL) return slot;
  if (any != NULL)
    *adjoins =
        frame->ordinal == any->ordinal_last + 1u || frame->ordinal + 1u == any->ordinal_first;
  return any;
}

void loss_evicted(loss_ledger *ledger, const outbox_entry *frame) {
  htel_loss loss = {.cause = HTEL_CAUSE_OUTBOX_FULL,
                    .boot = frame->boot,
                    .frame_class = frame->frame_class,
                    .sequence_first = frame->sequence,
                    .sequence_last = frame->sequence,
                    .tick_first = frame->tick_first,
                    .tick_last = frame->tick_last,
                    .readings = frame->readings,
                    .frames = 1};
  bool adjoins = false;
  loss_entry *e = entry_for(ledger, frame, &adjoins);
  if (e == NULL) return; /* cannot be: the shares of all add up to the entries */
  if (is_free(e)) {
    loss.id = ++ledger->id_last;
    *e =
        (loss_entry){.loss = loss, .ordinal_first = frame->ordinal, .ordinal_last = frame->ordinal};
    return;
  }
  e->carrier = 0; /* said already or not: it is said again, larger */
  if (!adjoins) e->loss.at_most = true;
  if (frame->ordinal < e->ordinal_first) e->ordinal_first = frame->ordinal;
  if (frame->ordinal > e->ordinal_last) e->ordinal_last = frame->ordinal;
  evicted_join(&e->loss, &loss);
}

void loss_unclean(loss_ledger *ledger, uint64_t boot_first, uint64_t boot_last) {
  loss_entry *e = find_free(ledger);
  if (e == NULL) return; /* called once, on an empty ledger */
  *e = (loss_entry){.loss = {.id = ++ledger->id_last,
                             .cause = HTEL_CAUSE_UNCLEAN_STOP,
                             .boot = boot_first,
                             .boot_last = boot_last}};
}

bool loss_waiting(const loss_ledger *ledger) {
  if (ledger->id_last == 0) return false; /* nothing ever was: asked at every poll */
  for (unsigned i = 0; i < LOSS_ENTRIES; i++)
    if (!is_free(&ledger->entries[i]) && ledger->entries[i].carrier == 0) return true;
  return false;
}

uint16_t loss_take(loss_ledger *ledger, uint32_t carrier, htel_loss *losses, uint16_t room) {
  uint16_t taken = 0;
  for (unsigned i = 0; i < LOSS_ENTRIES && taken < room; i++) {
    loss_entry *e = &ledger->entries[i];
    if (is_free(e) || e->carrier != 0) continue;
    e->carrier = carrier;
    losses[taken++] = e->loss;
  }
  return taken;
}

void loss_delivered(loss_ledger *ledger, uint32_t carrier) {
  for (unsigned i = 0; i < LOSS_ENTRIES; i++)
    if (!is_free(&ledger->entries[i]) && ledger->entries[i].carrier == carrier)
      ledger->entries[i] = (loss_entry){0};
}

void loss_returned(loss_ledger *ledger, uint32_t carrier) {
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) {
    loss_entry *e = &ledger->entries[i];
    if (!is_free(e) && e->carrier == carrier) e->carrier = 0;
  }
}
