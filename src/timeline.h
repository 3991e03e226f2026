/* SPDX-License-Identifier: Apache-2.0 */
/* timeline.h - the core's time: 32-bit ticks that wrap made 64-bit, and what is known of UTC.
 *
 * A tick is a millisecond since boot. The port's clock wraps every 49.7 days; the timeline is
 * brought up to date at every htel_poll, and any tick within 2^31 ms of it has one meaning. UTC
 * is known by anchors: at this tick it was that time. A new anchor is made when the clock is
 * first set, when it disagrees with the last anchor by more than both are uncertain of, and
 * every hour. */
#ifndef HTEL_SRC_TIMELINE_H
#define HTEL_SRC_TIMELINE_H

#include "healthtel/decode.h"

#define TIMELINE_SLACK_MS 200u       /* disagreement that is not yet a jump */
#define TIMELINE_REFRESH_MS 3600000u /* a new anchor at least this often */

typedef struct timeline {
  uint64_t now; /* ms since boot */
  bool known;   /* anchor is valid */
  htel_anchor anchor;
} timeline;

void timeline_init(timeline *t, uint32_t tick_ms);
/* To be called at least every 2^31 ms (24.8 days). */
void timeline_advance(timeline *t, uint32_t tick_ms);

/* The 64-bit tick that a 32-bit one stands for; never before boot. */
uint64_t timeline_extend(const timeline *t, uint32_t tick_ms);

/* Whether it is a time from 1970 to 9999: what comes from outside may be anything. */
static inline bool timeline_is_utc(int64_t utc_ms) {
  return utc_ms >= 0 && utc_ms <= 253402300799999;
}

/* It is utc_ms (timeline_is_utc) at `tick`, says someone who knows: a new anchor. */
void timeline_set(timeline *t, uint64_t tick, int64_t utc_ms, uint32_t uncertainty_ms);

/* It seems to be utc_ms at `tick`. True: that is news, and made a new anchor, to be sent. */
bool timeline_observe(timeline *t, uint64_t tick, int64_t utc_ms, uint32_t uncertainty_ms);

#endif
