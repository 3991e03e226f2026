/* SPDX-License-Identifier: Apache-2.0 */
/* ring.h - readings on their way from an interrupt to htel_poll.
 *
 * One producer, one consumer, no lock: each end owns one index and publishes it with release order,
 * the other reads it with acquire order. Both run freely; their difference is what is held. A
 * record is a run of 32-bit words:
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
  uint32_t mask;  /* capacity in words - 1 */
  uint32_t room;  /* words in all, */
  uint32_t limit; /* of which so many for any record: the rest is kept for alarms */
  uint32_t half;  /* of the room */
} ring;

typedef struct ring_record {
  uint8_t channel;
  uint8_t quality;
  uint8_t flags;
  uint16_t count; /* payload words */
  uint32_t tick_ms;
} ring_record;

void ring_init(ring *r, uint32_t *words, uint32_t word_count, uint32_t reserve_words);

#define RING_QUALITY_SHIFT 8
#define RING_FLAGS_SHIFT 11
#define RING_COUNT_SHIFT 16
#define RING_GAP_BIT ((uint32_t)RING_GAP << RING_FLAGS_SHIFT)

static inline uint32_t ring_head_word(unsigned channel, unsigned quality, unsigned flags,
                                      uint32_t count) {
  return channel | quality << RING_QUALITY_SHIFT | flags << RING_FLAGS_SHIFT |
         count << RING_COUNT_SHIFT;
}

/* Producer. Puts a record in unless the ring would then hold more than `limit` words (the ring's
 * `limit`, or its `room` for an alarm). `used` becomes the words held after it. ring_push_word is
 * for a payload of one word, the most frequent one. */
static inline bool ring_push(ring *r, uint32_t head_word, uint32_t tick_ms, const uint32_t *payload,
                             uint32_t count, uint32_t limit, uint32_t *used);
static inline bool ring_push_word(ring *r, uint32_t head_word, uint32_t tick_ms, uint32_t word,
                                  uint32_t limit, uint32_t *used);

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

/* Whether `words` fit below `limit`; if so `head` is where they begin. */
static inline bool ring_begin(const ring *r, uint32_t words, uint32_t limit, uint32_t *head,
                              uint32_t *used) {
  *head = atomic_load_explicit(&r->head, memory_order_relaxed);
  *used = *head - atomic_load_explicit(&r->tail, memory_order_acquire) + words;
  return *used <= limit;
}

/* The record is complete. All words before the index: the consumer never sees a torn record. */
static inline void ring_end(ring *r, uint32_t head, uint32_t words) {
  atomic_store_explicit(&r->head, head + words, memory_order_release);
}

static inline bool ring_push(ring *r, uint32_t head_word, uint32_t tick_ms, const uint32_t *payload,
                             uint32_t count, uint32_t limit, uint32_t *used) {
  uint32_t head;
  if (!ring_begin(r, RING_HEAD_WORDS + count, limit, &head, used)) return false;
  r->words[head & r->mask] = head_word;
  r->words[(head + 1u) & r->mask] = tick_ms;
  ring_store_wrapped(r, head + RING_HEAD_WORDS, payload, count);
  ring_end(r, head, RING_HEAD_WORDS + count);
  return true;
}

static inline bool ring_push_word(ring *r, uint32_t head_word, uint32_t tick_ms, uint32_t word,
                                  uint32_t limit, uint32_t *used) {
  uint32_t head;
  if (!ring_begin(r, RING_HEAD_WORDS + 1u, limit, &head, used)) return false;
  uint32_t *words = r->words;
  const uint32_t mask = r->mask; /* once: for all the compiler knows the stores could change it */
  words[head & mask] = head_word;
  words[(head + 1u) & mask] = tick_ms;
  words[(head + 2u) & mask] = word;
  ring_end(r, head, RING_HEAD_WORDS + 1u);
  return true;
}

#endif
