/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - the way in: from an interrupt, a signal handler or a thread into a ring.
 *
 * Everything here runs in the producer's context. It reads what htel_open laid out and never
 * changes again, and writes the ring's head and the channel's own counters, nothing else. */
#include "client.h"
#include "plant.h"

/* What happens seldom is kept out of the way of what happens always: as calls in last place these
 * cost the common path no register. */
#if defined(__GNUC__)
#define SELDOM __attribute__((noinline, cold))
#else
#define SELDOM
#endif

static SELDOM int refuse(channel_state *s, uint32_t readings, uint32_t tick_ms) {
  /* One producer: no read-modify-write is needed, only that the consumer sees whole words. */
  uint32_t refused = atomic_load_explicit(&s->refused, memory_order_relaxed) + readings;
  atomic_store_explicit(&s->refused_tick, tick_ms, memory_order_relaxed);
  atomic_store_explicit(&s->refused, refused, memory_order_release);
  return HTEL_E_FULL;
}

static SELDOM int wake(const htel *tel) {
  if (tel->port->wake != NULL) tel->port->wake(tel->port->ctx);
  return 0;
}

/* The channel's state, or NULL where there is no such channel of this kind. */
static inline channel_state *state_of(const htel *tel, unsigned channel, uint8_t kind) {
  if (channel >= tel->channel_count) return NULL;
  channel_state *s = &tel->states[channel];
  return s->kind == kind ? s : NULL;
}

/* Readings were refused since the last record of the channel: the next is to say so. */
static inline bool has_gap(const channel_state *s) {
  return atomic_load_explicit(&s->refused, memory_order_relaxed) != s->refused_marked;
}

/* The record is in, and the ring holds `used` words, `words` of them new. The poller is woken on
 * the way past half. */
static inline int accepted(const htel *tel, const channel_state *s, uint32_t used, uint32_t words) {
  return used - s->into->half < words ? wake(tel) : 0;
}

static int push_words(const htel *tel, channel_state *s, uint32_t head_word, uint32_t tick_ms,
                      const uint32_t *words, uint32_t count, uint32_t readings, uint32_t limit) {
  uint32_t used;
  bool gap = has_gap(s);
  if (gap) head_word |= RING_GAP_BIT;
  if (!ring_push(s->into, head_word, tick_ms, words, count, limit, &used))
    return refuse(s, readings, tick_ms);
  if (gap) s->refused_marked = atomic_load_explicit(&s->refused, memory_order_relaxed);
  return accepted(tel, s, used, RING_HEAD_WORDS + count);
}

static SELDOM int push_word_after_gap(const htel *tel, channel_state *s, uint32_t head_word,
                                      uint32_t tick_ms, uint32_t word) {
  return push_words(tel, s, head_word, tick_ms, &word, 1, 1, s->into->limit);
}

/* Written for the fewest instructions: most calls on most devices come this way. */
static inline int push_word(const htel *tel, channel_state *s, uint32_t word, unsigned quality,
                            uint32_t tick_ms) {
  uint32_t head_word = s->head_word | quality << RING_QUALITY_SHIFT;
  if (has_gap(s)) return push_word_after_gap(tel, s, head_word, tick_ms, word);
  uint32_t used;
  if (!ring_push_word(s->into, head_word, tick_ms, word, s->into->limit, &used))
    return refuse(s, 1, tick_ms);
  return accepted(tel, s, used, RING_HEAD_WORDS + 1u);
}

int htel_record(htel *tel, unsigned channel, int32_t value) {
  channel_state *s = state_of(tel, channel, HTEL_NUMERIC);
  if (s == NULL) return HTEL_E_ARGUMENT;
  return push_word(tel, s, (uint32_t)value, HTEL_VALID, tel->port->tick_ms(tel->port->ctx));
}

int htel_record_at(htel *tel, unsigned channel, int32_t value, htel_quality quality,
                   uint32_t tick_ms) {
  channel_state *s = state_of(tel, channel, HTEL_NUMERIC);
  if (s == NULL || (unsigned)quality > HTEL_QUALITY_MAX) return HTEL_E_ARGUMENT;
  return push_word(tel, s, (uint32_t)value, (unsigned)quality, tick_ms);
}

static int push_block(const htel *tel, unsigned channel, const int32_t *samples, uint16_t count,
                      unsigned quality, unsigned flags, uint32_t tick_ms) {
  channel_state *s = &tel->states[channel];
  if (count == 0 || count > s->block_max) return HTEL_E_ARGUMENT;
  /* int32_t and uint32_t may alias (C11 6.5 7); the ring keeps bits. */
  return push_words(tel, s, ring_head_word(channel, quality, flags, count), tick_ms,
                    (const uint32_t *)samples, count, count, s->into->limit);
}

int htel_record_block(htel *tel, unsigned channel, const int32_t *samples, uint16_t count) {
  if (state_of(tel, channel, HTEL_WAVEFORM) == NULL) return HTEL_E_ARGUMENT;
  return push_block(tel, channel, samples, count, HTEL_VALID, RING_TICK_LAST,
                    tel->port->tick_ms(tel->port->ctx));
}

int htel_record_block_at(htel *tel, unsigned channel, const int32_t *samples, uint16_t count,
                         htel_quality quality, uint32_t tick_ms) {
  if (state_of(tel, channel, HTEL_WAVEFORM) == NULL || (unsigned)quality > HTEL_QUALITY_MAX)
    return HTEL_E_ARGUMENT;
  return push_block(tel, channel, samples, count, (unsigned)quality, 0, tick_ms);
}

static bool event_is_valid(const htel *tel, const htel_alarm_event *event) {
  return event->state <= HTEL_ALARM_PAUSED && event->priority <= HTEL_PRIORITY_HIGH &&
         (event->source == HTEL_NO_SOURCE || event->source < tel->channel_count);
}

int htel_alarm_at(htel *tel, unsigned channel, const htel_alarm_event *event, uint32_t tick_ms) {
  channel_state *s = state_of(tel, channel, HTEL_ALARM);
  if (s == NULL || !event_is_valid(tel, event)) return HTEL_E_ARGUMENT;
  uint32_t words[2] = {event->code, event->state | (uint32_t)event->priority << 8 |
                                        (uint32_t)event->latched << 16 |
                                        (uint32_t)event->source << 24};
  /* Alarms have the whole room of the ring, and wake the poller in any case. */
  int rc = push_words(tel, s, ring_head_word(channel, HTEL_VALID, 0, 2), tick_ms, words, 2, 1,
                      s->into->room);
  return rc == 0 && !PLANT(21) ? wake(tel) : rc;
}

int htel_alarm(htel *tel, unsigned channel, const htel_alarm_event *event) {
  return htel_alarm_at(tel, channel, event, tel->port->tick_ms(tel->port->ctx));
}
