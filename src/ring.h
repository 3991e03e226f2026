/* SPDX-License-Identifier: Apache-2.0 */
/* ring.h - readings on their way from an interrupt to htel_poll.
 *
 * One producer, one consumer, no lock: each end owns one index and publishes it with release order,
 * the other reads it with acquire order. Both run freely; their difference is what is
 * held. A record is a run of 32-bit words:
 *
 *     +--------------------------------------+---------+------------ ... ---+
 *     | channel:8  quality:3  flags:5  n:16  | tick_ms | n payload words    |
 *     +--------------------------------------+---------+------------ ... ---+
 *
 * The ring never drops what it holds. A push without room fails; the producer counts that, and sets
 * RING_GAP on its next record so that the consumer sees where the stream is broken. */
#ifndef HTEL_SRC_RING_H
#define HTEL_SRC_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_HEAD_WORDS 2u

enum {
  RING_GAP = 1u,      /* readings of this channel were refused before this one */
  RING_TICK_LAST = 2u /* the tick is that of the last sample, not of the first */
};

typedef struct ring {
  _Atomic uint32_t head; /* words ever written; the producer's */
  _Atomic uint32_t tail; /* words ever consumed; the consumer's */
  uint32_t *words;
  uint32_t mask;    /* capacity in words - 1 */
  uint32_t reserve; /* words that only alarms may use */
} ring;

typedef struct ring_record {
  uint8_t channel;
  uint8_t quality;
  uint8_t flags;
  uint16_t count; /* payload words */
  uint32_t tick_ms;
} ring_record;

void ring_init(ring *r, uint32_t *words, uint32_t word_count, uint32_t reserve_words);

static inline uint32_t ring_head_word(unsigned channel, unsigned quality, unsigned flags, uint32_t count) {
  return channel | quality << 8 | flags << 11 | count << 16;
}

/* Producer. False: no room beyond `reserve` words. `used` becomes the words held after the push. */
static inline bool ring_push(ring *r, uint32_t head_word, uint32_t tick_ms, const uint32_t *payload,
                             uint32_t count, uint32_t reserve, uint32_t *used);

/* Consumer. Words held now: a bound for one drain. */
uint32_t ring_used(const ring *r);
/* The oldest record's head; false when empty. */
bool ring_peek(const ring *r, ring_record *record);
/* Copies payload words from..from + count of the oldest record. */
void ring_copy(const ring *r, uint32_t from, uint32_t *out, uint32_t count);
/* Lets go of the oldest record. */
void ring_pop(ring *r);

/* ---- the push, inline: it runs in interrupts ------------------------------------------- */

void ring_store_wrapped(ring *r, uint32_t at, const uint32_t *payload, uint32_t count);

static inline bool ring_push(ring *r, uint32_t head_word, uint32_t tick_ms, const uint32_t *payload,
                             uint32_t count, uint32_t reserve, uint32_t *used) {
  uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
  uint32_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
  uint32_t held = head - tail + RING_HEAD_WORDS + count;
  if (held + reserve > r->mask + 1u) return false;
  r->words[head & r->mask] = head_word;
  r->words[(head + 1u) & r->mask] = tick_ms;
  if (count == 1u)
    r->words[(head + 2u) & r->mask] = payload[0];
  else
    ring_store_wrapped(r, head + 2u, payload, count);
  /* All words before the index: the consumer never sees a torn record. */
  atomic_store_explicit(&r->head, head + RING_HEAD_WORDS + count, memory_order_release);
  *used = held;
  return true;
}

#endif
