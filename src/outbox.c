/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox.h"

#include <string.h>

#define ALIGN 8u
#define ENTRY_BYTES ((uint32_t)((sizeof(outbox_entry) + ALIGN - 1u) / ALIGN * ALIGN))

uint32_t outbox_bytes_for(uint32_t size) {
  return ENTRY_BYTES + (size + ALIGN - 1u) / ALIGN * ALIGN;
}

void outbox_init(outbox *o, uint8_t *arena, uint32_t size, const uint8_t *when_full) {
  *o = (outbox){.arena = arena, .size = size};
  memcpy(o->when_full, when_full, sizeof o->when_full);
}

/* Entries lie at multiples of ALIGN of an aligned arena. */
static outbox_entry *entry_at(const outbox *o, uint32_t offset) {
  return (outbox_entry *)(void *)(o->arena + offset);
}

static uint32_t offset_of(const outbox *o, const outbox_entry *entry) {
  return (uint32_t)((const uint8_t *)entry - o->arena);
}

static void compact(outbox *o) {
  uint32_t to = 0;
  uint32_t from = 0;
  while (from < o->end) {
    const outbox_entry *e = entry_at(o, from);
    uint32_t bytes = outbox_bytes_for(e->kept);
    if (e->state != OUTBOX_FREE) {
      if (to != from) memmove(o->arena + to, o->arena + from, bytes);
      to += bytes;
    }
    from += bytes;
  }
  o->end = to;
}

uint8_t *outbox_reserve(outbox *o, uint32_t size) {
  uint32_t bytes = outbox_bytes_for(size);
  if (o->size - o->used < bytes) return NULL;
  if (o->size - o->end < bytes) compact(o);
  return o->arena + o->end + ENTRY_BYTES;
}

void outbox_commit(outbox *o, const outbox_entry *entry) {
  uint32_t bytes = outbox_bytes_for(entry->kept);
  *entry_at(o, o->end) = *entry;
  o->end += bytes;
  o->used += bytes;
  o->frames++;
  if (o->used > o->used_max) o->used_max = o->used;
}

outbox_entry *outbox_next(const outbox *o, const outbox_entry *previous) {
  uint32_t at = previous == NULL ? 0 : offset_of(o, previous) + outbox_bytes_for(previous->kept);
  while (at < o->end) {
    outbox_entry *e = entry_at(o, at);
    if (e->state != OUTBOX_FREE) return e;
    at += outbox_bytes_for(e->kept);
  }
  return NULL;
}

outbox_entry *outbox_find(const outbox *o, uint32_t token) {
  outbox_entry *e = outbox_next(o, NULL);
  while (e != NULL && e->token != token) e = outbox_next(o, e);
  return e;
}

outbox_entry *outbox_victim(outbox *o, uint8_t frame_class) {
  outbox_entry *victim = NULL;
  for (outbox_entry *e = outbox_next(o, NULL); e != NULL; e = outbox_next(o, e)) {
    if (e->frame_class < frame_class) continue;
    if (e->frame_class == frame_class && o->when_full[frame_class] == HTEL_REFUSE_NEWEST) continue;
    bool rather = victim == NULL || e->frame_class > victim->frame_class ||
                  (e->frame_class == victim->frame_class && e->state < victim->state);
    if (rather) victim = e;
  }
  return victim;
}

const uint8_t *outbox_frame(const outbox_entry *entry) {
  return (const uint8_t *)entry + ENTRY_BYTES;
}

void outbox_sent(outbox *o, outbox_entry *entry, uint32_t now_ms) {
  entry->state = OUTBOX_IN_FLIGHT;
  entry->acked = false;
  if (entry->sends < UINT8_MAX) entry->sends++;
  entry->sent_ms = now_ms;
  o->in_flight++;
  o->in_flight_bytes += entry->size;
  o->unacked_bytes += entry->size;
}

void outbox_acked(outbox *o, outbox_entry *entry) {
  if (entry->state != OUTBOX_IN_FLIGHT || entry->acked) return;
  entry->acked = true;
  o->unacked_bytes -= entry->size;
}

void outbox_unsend(outbox *o, outbox_entry *entry) {
  if (entry->state != OUTBOX_IN_FLIGHT) return;
  outbox_acked(o, entry);
  entry->state = OUTBOX_WAITING;
  o->in_flight--;
  o->in_flight_bytes -= entry->size;
}

void outbox_free(outbox *o, outbox_entry *entry) {
  outbox_unsend(o, entry);
  entry->state = OUTBOX_FREE;
  o->frames--;
  o->used -= outbox_bytes_for(entry->kept);
  if (o->frames == 0) o->end = 0;
}
