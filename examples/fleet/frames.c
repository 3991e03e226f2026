/* SPDX-License-Identifier: Apache-2.0 */
/* frames.c - an array of items and one arena for what they hold. */
#include "frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIRTH_BYTES_MAX 16384u

void frames_free(frames *f) {
  free(f->items);
  free(f->arena);
  free(f->reader);
  readings_free(&f->aside);
  *f = (frames){0};
}

void frames_clear(frames *f) {
  f->count = f->used = 0;
}

/* Copies `size` bytes in and says where; SIZE_MAX: no memory. */
static size_t keep(frames *f, const void *bytes, size_t size) {
  size_t at = (f->used + 7u) & ~(size_t)7u;
  if (f->arena == NULL || at + size > f->arena_room) {
    size_t room = 2u * (at + size) + 4096u;
    uint8_t *arena = realloc(f->arena, room);
    if (arena == NULL) return SIZE_MAX;
    f->arena = arena;
    f->arena_room = room;
  }
  if (size > 0) memcpy(f->arena + at, bytes, size);
  f->used = at + size;
  return at;
}

static frames_item *add(frames *f, const char *device) {
  if (f->count == f->room) {
    size_t room = f->room == 0 ? 64u : 2u * f->room;
    frames_item *items = realloc(f->items, room * sizeof *items);
    if (items == NULL) return NULL;
    f->items = items;
    f->room = room;
  }
  frames_item *item = &f->items[f->count++];
  item->quarantined = item->is_placing = false;
  snprintf(item->device, sizeof item->device, "%s", device);
  return item;
}

bool frames_add(frames *f, const store_frame *frame) {
  frames_item *item = add(f, frame->device);
  if (item == NULL) return false;
  const readings *r = frame->readings;
  item->envelope = *frame->frame;
  item->envelope.data = NULL;
  item->readings = *r;
  item->received_ms = frame->received_ms;
  item->placed = frame->placed;
  item->offset_ms = frame->offset_ms;
  item->runs_at = keep(f, r->runs, r->run_count * sizeof *r->runs);
  item->samples_at = keep(f, r->samples, r->sample_count * sizeof *r->samples);
  item->quality_at = keep(f, r->sample_quality, r->sample_count * sizeof *r->sample_quality);
  item->events_at = keep(f, r->events, r->event_count * sizeof *r->events);
  return item->runs_at != SIZE_MAX && item->samples_at != SIZE_MAX &&
         item->quality_at != SIZE_MAX && item->events_at != SIZE_MAX;
}

bool frames_add_aside(frames *f, const store *s, const store_aside *aside) {
  if (!aside->keyed || aside->payload == NULL) return true;
  if (f->reader == NULL) f->reader = malloc(sizeof *f->reader);
  if (f->reader == NULL) return false;
  frame_check check;
  frame_open(&check, aside->payload, aside->payload_size);
  if (check.fate != FRAME_GOOD) return true;
  uint8_t bytes[BIRTH_BYTES_MAX];
  size_t size = 0;
  htel_birth birth;
  if (s->birth_get(s->ctx, aside->device, check.frame.schema, bytes, sizeof bytes, &size) !=
          STORE_OK ||
      size == 0 || htel_birth_decode(&birth, bytes, size) != 0)
    return true;
  readings_clear(&f->aside);
  frame_read(&check, f->reader, &birth, &f->aside);
  if (check.fate != FRAME_GOOD) return true;
  store_frame frame = {.device = aside->device,
                       .frame = &check.frame,
                       .readings = &f->aside,
                       .received_ms = aside->received_ms};
  if (!frames_add(f, &frame)) return false;
  f->items[f->count - 1].quarantined = true;
  return true;
}

bool frames_add_placing(frames *f, const char *device, uint64_t boot, uint64_t tick_first,
                        uint64_t tick_last, int64_t offset_ms) {
  frames_item *item = add(f, device);
  if (item == NULL) return false;
  item->is_placing = true;
  item->boot = boot;
  item->tick_first = tick_first;
  item->tick_last = tick_last;
  item->offset_ms = offset_ms;
  return true;
}

size_t frames_count(const frames *f) {
  return f->count;
}

const frames_item *frames_at(frames *f, size_t i) {
  frames_item *item = &f->items[i];
  if (item->is_placing) return item;
  item->readings.runs = (readings_run *)(void *)(f->arena + item->runs_at);
  item->readings.samples = (int32_t *)(void *)(f->arena + item->samples_at);
  item->readings.sample_quality = f->arena + item->quality_at;
  item->readings.events = (readings_event *)(void *)(f->arena + item->events_at);
  return item;
}

void frames_as_store(const frames_item *item, store_frame *frame) {
  *frame = (store_frame){.device = item->device,
                         .frame = &item->envelope,
                         .readings = &item->readings,
                         .received_ms = item->received_ms,
                         .placed = item->placed,
                         .offset_ms = item->offset_ms};
}
