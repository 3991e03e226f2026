/* SPDX-License-Identifier: Apache-2.0 */
#include "spans.h"

#include <stdlib.h>
#include <string.h>

void spans_free(spans *r) {
  free(r->items);
  *r = (spans){0};
}

/* The first run that ends at `number` or later. */
static uint32_t place_of(const spans *r, uint64_t number) {
  uint32_t low = 0, high = r->count;
  if (high > 0 && r->items[high - 1u].end < number) return high;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2u;
    if (r->items[middle].end < number)
      low = middle + 1u;
    else
      high = middle;
  }
  return low;
}

uint64_t spans_within(const spans *r, uint64_t first, uint64_t end) {
  uint64_t all = 0;
  for (uint32_t i = place_of(r, first); i < r->count && r->items[i].first < end; i++) {
    uint64_t from = r->items[i].first > first ? r->items[i].first : first;
    uint64_t to = r->items[i].end < end ? r->items[i].end : end;
    if (to > from) all += to - from;
  }
  return all;
}

uint64_t spans_past(const spans *r, uint64_t number) {
  uint32_t i = place_of(r, number + 1u);
  return i < r->count && r->items[i].first <= number ? r->items[i].end : number;
}

uint64_t spans_last(const spans *r, uint64_t first, uint64_t end) {
  uint32_t i = place_of(r, end);
  if (i < r->count && r->items[i].first < end) return end;
  return i > 0 && r->items[i - 1u].end > first ? r->items[i - 1u].end : first;
}

static bool insert(spans *r, uint32_t place, span one) {
  if (r->count == r->room) {
    uint32_t room = r->room == 0 ? 4u : 2u * r->room;
    span *items = realloc(r->items, room * sizeof *items);
    if (items == NULL) return false;
    r->items = items;
    r->room = room;
  }
  memmove(&r->items[place + 1u], &r->items[place], (r->count - place) * sizeof *r->items);
  r->items[place] = one;
  r->count++;
  return true;
}

uint64_t spans_add(spans *r, uint64_t first, uint64_t end) {
  uint64_t known = spans_within(r, first, end);
  uint32_t place = place_of(r, first), last = place;
  while (last < r->count && r->items[last].first <= end) last++;
  if (last == place) return insert(r, place, (span){first, end}) ? known : UINT64_MAX;
  /* Runs place to last - 1 touch it: they become one. */
  span *one = &r->items[place];
  if (first < one->first) one->first = first;
  uint64_t furthest = r->items[last - 1u].end;
  one->end = furthest > end ? furthest : end;
  memmove(one + 1, &r->items[last], (r->count - last) * sizeof *r->items);
  r->count -= last - place - 1u;
  return known;
}
