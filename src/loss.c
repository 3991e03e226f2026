/* SPDX-License-Identifier: Apache-2.0 */
#include "loss.h"

#include "plant.h"

static bool is_free(const loss_entry *e) {
  return e->loss.cause == HTEL_CAUSE_UNSPECIFIED;
}

/* Makes one of a free entry, all of which is 0. */
static void begin(loss_ledger *ledger, loss_entry *e, uint8_t cause) {
  e->loss.id = ++ledger->id_last;
  e->loss.cause = cause;
}

static loss_entry *find_free(loss_ledger *ledger) {
  for (unsigned i = 0; i < LOSS_ENTRIES; i++)
    if (is_free(&ledger->entries[i])) return &ledger->entries[i];
  return NULL;
}

/* The channel's entry that is still to be said, or a new one. */
static loss_entry *ring_entry(loss_ledger *ledger, uint8_t channel) {
  unsigned count = 0;
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) {
    loss_entry *e = &ledger->entries[i];
    if (e->loss.cause != HTEL_CAUSE_RING_FULL) continue;
    if (e->loss.channel == channel && e->carrier == 0 && e->loss.boot == 0)
      return e; /* of this boot */
    count++;
  }
  return count < LOSS_RING_ENTRIES ? find_free(ledger) : NULL;
}

bool loss_ring_full(loss_ledger *ledger, uint8_t channel, uint64_t tick_first, uint64_t tick_last,
                    uint32_t readings) {
  loss_entry *e = ring_entry(ledger, channel);
  if (e == NULL) return false;
  htel_loss *loss = &e->loss;
  if (is_free(e)) {
    begin(ledger, e, HTEL_CAUSE_RING_FULL);
    loss->channel = channel;
    loss->tick_first = tick_first;
    loss->tick_last = tick_last;
  }
  if (tick_first < loss->tick_first) loss->tick_first = tick_first;
  if (tick_last > loss->tick_last) loss->tick_last = tick_last;
  loss->readings += readings;
  return true;
}

static bool adjoins(const loss_entry *e, const outbox_entry *frame) {
  return frame->ordinal == e->ordinal_last + 1u || frame->ordinal + 1u == e->ordinal_first;
}

/* Where an evicted frame belongs: an open entry that it adjoins, else a new one, else any that it
 * must share. */
static loss_entry *entry_for(loss_ledger *ledger, const outbox_entry *frame) {
  unsigned count = 0;
  loss_entry *any = NULL;
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) {
    loss_entry *e = &ledger->entries[i];
    if (e->loss.cause != HTEL_CAUSE_OUTBOX_FULL || e->loss.frame_class != frame->frame_class ||
        e->loss.boot != frame->boot)
      continue;
    if (e->carrier == 0 && adjoins(e, frame)) return e;
    if (any == NULL || e->carrier == 0)
      any = e; /* better one that is open than one that was said */
    count++;
  }
  loss_entry *slot = find_free(ledger);
  return count < LOSS_CLASS_ENTRIES && slot != NULL ? slot : any;
}

void loss_evicted(loss_ledger *ledger, const outbox_entry *frame) {
  loss_entry *e = entry_for(ledger, frame);
  if (e == NULL) return; /* cannot be: the shares of all add up to the entries */
  htel_loss *loss = &e->loss;
  if (is_free(e)) {
    begin(ledger, e, HTEL_CAUSE_OUTBOX_FULL);
    loss->boot = frame->boot;
    loss->frame_class = frame->frame_class;
    loss->sequence_first = loss->sequence_last = frame->sequence;
    loss->tick_first = frame->tick_first;
    loss->tick_last = frame->tick_last;
    e->ordinal_first = e->ordinal_last = frame->ordinal;
  } else if (!adjoins(e, frame) && !PLANT(47)) {
    loss->at_most = true;
  }
  e->carrier = 0; /* said already or not: it is said again, larger */
  if (frame->ordinal < e->ordinal_first) e->ordinal_first = frame->ordinal;
  if (frame->ordinal > e->ordinal_last) e->ordinal_last = frame->ordinal;
  if (frame->sequence < loss->sequence_first) loss->sequence_first = frame->sequence;
  if (frame->sequence > loss->sequence_last) loss->sequence_last = frame->sequence;
  if (frame->tick_first < loss->tick_first) loss->tick_first = frame->tick_first;
  if (frame->tick_last > loss->tick_last) loss->tick_last = frame->tick_last;
  loss->readings += frame->readings;
  loss->frames++;
}

void loss_unclean(loss_ledger *ledger, uint64_t boot_first, uint64_t boot_last) {
  loss_entry *e = find_free(ledger);
  if (e == NULL) return; /* called once, on an empty ledger */
  begin(ledger, e, HTEL_CAUSE_UNCLEAN_STOP);
  e->loss.boot = boot_first;
  e->loss.boot_last = boot_last;
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
    if (is_free(e) || (e->carrier != 0 && !PLANT(29))) continue;
    if (PLANT(29) && e->carrier != 0) e->loss.id = ++ledger->id_last;
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
