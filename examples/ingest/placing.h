/* SPDX-License-Identifier: Apache-2.0 */
/* placing.h - which UTC time belongs to a tick: the one rule, for the ingest and for htel-cat.
 *
 * A frame is placed by the latest anchor of its boot that is not after the frame's tick; where
 * there is none, by the earliest anchor after it (readings taken before the clock was set).
 *
 *     ticks    ----f1-----A-----f2----f3----B----f4---->
 *     placed by     A           A     A          B
 *
 * A clock that jumps makes a new anchor, so readings before the jump keep the old time. */
#ifndef INGEST_PLACING_H
#define INGEST_PLACING_H

#include "healthtel/decode.h"

/* Ticks and times beyond these are no device's; within them no sum overflows. */
#define PLACING_TICK_MAX ((uint64_t)1 << 62)
#define PLACING_UTC_MS_MAX ((int64_t)1 << 60)

/* UTC ms at tick 0 of the boot, by this anchor. */
static inline int64_t placing_offset_ms(const htel_anchor *anchor) {
  return anchor->utc_ms - (int64_t)anchor->tick;
}

bool placing_anchor_valid(const htel_anchor *anchor);

/* The anchor that places `tick`, out of `count` in the order of their ticks; NULL when there is
 * none. */
const htel_anchor *placing_find(const htel_anchor *anchors, size_t count, uint64_t tick);

#endif
