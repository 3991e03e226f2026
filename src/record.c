/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - the way in: from an interrupt, a signal handler or a thread into a ring.
 *
 * Everything here runs in the producer's context. It reads what htel_open laid out and never changes again, and
 * writes the ring's head and the channel's own counters, nothing else. */
#include "client.h"

static void refuse(channel_state *s, uint32_t readings, uint32_t tick_ms) {
  /* One producer: no read-modify-write is needed, only that the consumer sees whole words. */
  uint32_t refused = atomic_load_explicit(&s->refused, memory_order_relaxed) + readings;
  atomic_store_explicit(&s->refused_tick, tick_ms, memory_order_relaxed);
  atomic_store_explicit(&s->refused, refused, memory_order_release);
}

static inline int push(htel *tel, unsigned channel, unsigned quality, unsigned flags, uint32_t tick_ms,
                       const uint32_t *payload, uint32_t count, uint32_t readings) {
  channel_state *s = &tel->states[channel];
  ring *r = s->into;
  uint32_t refused = atomic_load_explicit(&s->refused, memory_order_relaxed);
  if (refused != s->refused_marked) flags |= RING_GAP;
  bool alarm = s->kind == HTEL_ALARM;
  uint32_t used;
  if (!ring_push(r, ring_head_word(channel, quality, flags, count), tick_ms, payload, count,
                 alarm ? 0 : r->reserve, &used)) {
    refuse(s, readings, tick_ms);
    return HTEL_E_FULL;
  }
  s->refused_marked = refused;
  /* Wake the poller for an alarm, and once on the way past half full. */
  uint32_t half = (r->mask + 1u) / 2u;
  bool half_full = used >= half && used - count - RING_HEAD_WORDS < half;
  if ((alarm || half_full) && tel->port->wake != NULL) tel->port->wake(tel->port->ctx);
  return 0;
}

static inline bool is_kind(const htel *tel, unsigned channel, uint8_t kind) {
  return channel < tel->channel_count && tel->states[channel].kind == kind;
}

int htel_record(htel *tel, unsigned channel, int32_t value) {
  if (!is_kind(tel, channel, HTEL_NUMERIC)) return HTEL_E_ARGUMENT;
  uint32_t word = (uint32_t)value;
  return push(tel, channel, HTEL_VALID, 0, tel->port->tick_ms(tel->port->ctx), &word, 1, 1);
}

int htel_record_at(htel *tel, unsigned channel, int32_t value, htel_quality quality, uint32_t tick_ms) {
  if (!is_kind(tel, channel, HTEL_NUMERIC) || (unsigned)quality > HTEL_QUALITY_MAX) return HTEL_E_ARGUMENT;
  uint32_t word = (uint32_t)value;
  return push(tel, channel, (unsigned)quality, 0, tick_ms, &word, 1, 1);
}

static inline int push_block(htel *tel, unsigned channel, const int32_t *samples, uint16_t count,
                             unsigned quality, unsigned flags, uint32_t tick_ms) {
  if (count == 0 || count > tel->states[channel].block_max) return HTEL_E_ARGUMENT;
  /* int32_t and uint32_t may alias (C11 6.5 7); the ring keeps bits. */
  return push(tel, channel, quality, flags, tick_ms, (const uint32_t *)samples, count, count);
}

int htel_record_block(htel *tel, unsigned channel, const int32_t *samples, uint16_t count) {
  if (!is_kind(tel, channel, HTEL_WAVEFORM)) return HTEL_E_ARGUMENT;
  return push_block(tel, channel, samples, count, HTEL_VALID, RING_TICK_LAST,
                    tel->port->tick_ms(tel->port->ctx));
}

int htel_record_block_at(htel *tel, unsigned channel, const int32_t *samples, uint16_t count,
                         htel_quality quality, uint32_t tick_ms) {
  if (!is_kind(tel, channel, HTEL_WAVEFORM) || (unsigned)quality > HTEL_QUALITY_MAX) return HTEL_E_ARGUMENT;
  return push_block(tel, channel, samples, count, (unsigned)quality, 0, tick_ms);
}

int htel_alarm_at(htel *tel, unsigned channel, const htel_alarm_event *event, uint32_t tick_ms) {
  if (!is_kind(tel, channel, HTEL_ALARM)) return HTEL_E_ARGUMENT;
  if (event->state > HTEL_ALARM_PAUSED || event->priority > HTEL_PRIORITY_HIGH) return HTEL_E_ARGUMENT;
  if (event->source != HTEL_NO_SOURCE && event->source >= tel->channel_count) return HTEL_E_ARGUMENT;
  uint32_t words[2] = {event->code, event->state | (uint32_t)event->priority << 8 |
                                        (uint32_t)event->latched << 16 | (uint32_t)event->source << 24};
  return push(tel, channel, HTEL_VALID, 0, tick_ms, words, 2, 1);
}

int htel_alarm(htel *tel, unsigned channel, const htel_alarm_event *event) {
  return htel_alarm_at(tel, channel, event, tel->port->tick_ms(tel->port->ctx));
}
