/* SPDX-License-Identifier: Apache-2.0 */
#include "placing.h"

bool placing_anchor_valid(const htel_anchor *anchor) {
  return anchor->tick <= PLACING_TICK_MAX && anchor->utc_ms <= PLACING_UTC_MS_MAX &&
         anchor->utc_ms >= -PLACING_UTC_MS_MAX;
}

const htel_anchor *placing_find(const htel_anchor *anchors, size_t count, uint64_t tick) {
  if (count == 0) return NULL;
  size_t low = 0,
         high = count; /* anchors before `low` are not after the tick, those from `high` are */
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (anchors[middle].tick <= tick)
      low = middle + 1;
    else
      high = middle;
  }
  return &anchors[low == 0 ? 0 : low - 1];
}
