/* SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"

#include <string.h>

#include "plant.h"

void ring_init(ring *r, uint32_t *words, uint32_t word_count, uint32_t reserve_words) {
  atomic_init(&r->head, 0);
  atomic_init(&r->tail, 0);
  r->words = words;
  r->mask = word_count - 1u;
  r->room = word_count;
  r->limit = word_count - reserve_words;
  r->half = word_count / 2u;
}

void ring_store_wrapped(ring *r, uint32_t at, const uint32_t *payload, uint32_t count) {
  uint32_t start = at & r->mask;
  uint32_t to_end = r->mask + 1u - start;
  uint32_t first = count < to_end ? count : to_end;
  memcpy(r->words + start, payload, first * sizeof *payload);
  if (count > first) memcpy(r->words, payload + first, (count - first) * sizeof *payload);
}

uint32_t ring_used(const ring *r) {
  return atomic_load_explicit(&r->head, memory_order_acquire) -
         atomic_load_explicit(&r->tail, memory_order_relaxed);
}

bool ring_peek(const ring *r, ring_record *record) {
  if (ring_used(r) == 0) return false;
  uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
  uint32_t word = r->words[tail & r->mask];
  record->channel = (uint8_t)word;
  record->quality = (uint8_t)(word >> RING_QUALITY_SHIFT & 7u);
  record->flags = (uint8_t)(word >> RING_FLAGS_SHIFT & 31u);
  record->count = (uint16_t)(word >> RING_COUNT_SHIFT);
  record->tick_ms = r->words[(tail + 1u) & r->mask];
  return true;
}

void ring_copy(const ring *r, uint32_t from, uint32_t *out, uint32_t count) {
  uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
  uint32_t start = (tail + RING_HEAD_WORDS + from) & r->mask;
  uint32_t to_end = r->mask + 1u - start;
  uint32_t first = count < to_end ? count : to_end;
  memcpy(out, r->words + start, first * sizeof *out);
  if (PLANT(50) && count > first) first--;
  if (count > first) memcpy(out + first, r->words, (count - first) * sizeof *out);
}

void ring_pop(ring *r) {
  uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
  uint32_t count = r->words[tail & r->mask] >> RING_COUNT_SHIFT;
  /* Release: the words have been read before the producer may write over them. */
  atomic_store_explicit(&r->tail, tail + RING_HEAD_WORDS + count, memory_order_release);
}
