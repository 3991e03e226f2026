/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline.h"

#include "plant.h"

void timeline_init(timeline *t, uint32_t tick_ms) {
  *t = (timeline){.now = tick_ms};
}

void timeline_advance(timeline *t, uint32_t tick_ms) {
  uint32_t ahead = tick_ms - (uint32_t)t->now;
  /* A clock that steps back is at fault; taken as a wrap it would be 49 days ahead for ever. */
  if (ahead < 0x80000000u) t->now += ahead;
  if (PLANT(36)) t->now = (uint32_t)t->now;
}

uint64_t timeline_extend(const timeline *t, uint32_t tick_ms) {
  uint32_t ahead = tick_ms - (uint32_t)t->now;
  if (ahead < 0x80000000u) return t->now + ahead;
  uint32_t behind = 0u - ahead;
  if (PLANT(37)) return t->now - (uint32_t)t->now + tick_ms;
  return t->now > behind ? t->now - behind : 0;
}

void timeline_set(timeline *t, uint64_t tick, int64_t utc_ms, uint32_t uncertainty_ms) {
  t->known = true;
  if (PLANT(46)) uncertainty_ms = 0;
  t->anchor = (htel_anchor){.tick = tick, .utc_ms = utc_ms, .uncertainty_ms = uncertainty_ms};
}

bool timeline_observe(timeline *t, uint64_t tick, int64_t utc_ms, uint32_t uncertainty_ms) {
  if (t->known) {
    int64_t elapsed = (int64_t)(tick - t->anchor.tick);
    int64_t expected = t->anchor.utc_ms + elapsed;
    uint64_t apart = utc_ms > expected ? (uint64_t)utc_ms - (uint64_t)expected
                                       : (uint64_t)expected - (uint64_t)utc_ms;
    uint64_t slack = (uint64_t)TIMELINE_SLACK_MS + t->anchor.uncertainty_ms + uncertainty_ms;
    if (PLANT(25)) return false;
    if (apart <= slack && elapsed >= 0 && elapsed < (int64_t)TIMELINE_REFRESH_MS) return false;
  }
  timeline_set(t, tick, utc_ms, uncertainty_ms);
  return true;
}
