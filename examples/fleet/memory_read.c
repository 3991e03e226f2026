/* SPDX-License-Identifier: Apache-2.0 */
/* memory_read.c - the reading half of the store in memory: what an audit asks. */
#include <string.h>

#include "memory_parts.h"

static int devices_visit(void *ctx, bool (*visit)(void *arg, const char *device), void *arg) {
  memory_store *m = ctx;
  devices_sort(m);
  for (uint32_t i = 0; i < m->device_count; i++)
    if (m->devices[i]->known && !visit(arg, m->devices[i]->id)) break;
  return STORE_OK;
}

static int frames_visit(void *ctx, const char *device,
                        bool (*visit)(void *arg, const store_frame_row *row), void *arg) {
  const mem_device *d = device_find(ctx, device);
  if (d == NULL) return STORE_OK;
  const mem_boot *boots = d->boots.items;
  for (uint32_t b = 0; b < d->boots.count; b++) {
    const mem_frame *frames = boots[b].frames.items;
    for (uint32_t i = 0; i < boots[b].frames.count; i++) {
      store_frame_row row = {.boot = boots[b].boot,
                             .sequence = frames[i].sequence,
                             .frame_class = frames[i].frame_class,
                             .numerics = frames[i].numerics,
                             .samples = frames[i].samples,
                             .alarms = frames[i].alarms,
                             .payload_bytes = frames[i].payload_bytes};
      if (!visit(arg, &row)) return STORE_OK;
    }
  }
  return STORE_OK;
}

static int frames_sum(void *ctx, const char *device, const htel_loss *loss, uint64_t *frames,
                      uint64_t *reading_count) {
  *frames = *reading_count = 0;
  const mem_device *d = device_find(ctx, device);
  const mem_boot *b = d == NULL ? NULL : boot_find(d, loss->boot);
  if (b == NULL) return STORE_OK;
  const mem_frame *all = b->frames.items;
  for (uint32_t i = frame_place(b, loss->sequence_first).at;
       i < b->frames.count && all[i].sequence <= loss->sequence_last; i++) {
    if (all[i].frame_class != loss->frame_class) continue;
    ++*frames;
    *reading_count += (uint64_t)all[i].numerics + all[i].samples + all[i].alarms;
  }
  return STORE_OK;
}

static int asides_visit(void *ctx, const char *device,
                        bool (*visit)(void *arg, uint64_t boot, uint32_t sequence), void *arg) {
  const mem_device *d = device_find(ctx, device);
  if (d == NULL) return STORE_OK;
  const mem_key *keys = d->keys.items;
  for (uint32_t i = 0; i < d->keys.count; i++)
    if (!visit(arg, keys[i].boot, keys[i].sequence)) break;
  return STORE_OK;
}

static int losses_visit(void *ctx, const char *device,
                        bool (*visit)(void *arg, const store_loss_row *row), void *arg) {
  const mem_device *d = device_find(ctx, device);
  if (d == NULL) return STORE_OK;
  const store_loss_row *rows = d->losses.items;
  for (uint32_t i = 0; i < d->losses.count; i++)
    if (!visit(arg, &rows[i])) break;
  return STORE_OK;
}

static int alerts_visit(void *ctx, const char *device,
                        bool (*visit)(void *arg, const store_alert *alert), void *arg) {
  const mem_device *d = device_find(ctx, device);
  if (d == NULL) return STORE_OK;
  const store_alert *alerts = d->alerts.items;
  for (uint32_t i = 0; i < d->alerts.count; i++)
    if (!visit(arg, &alerts[i])) break;
  return STORE_OK;
}

static int counters_get(void *ctx, const char *device, uint64_t counters[STORE_COUNTERS]) {
  memset(counters, 0, STORE_COUNTERS * sizeof *counters);
  const mem_device *d = device_find(ctx, device);
  if (d != NULL) memcpy(counters, d->counters, sizeof d->counters);
  return STORE_OK;
}

void memory_add_readers(store *s) {
  s->devices_visit = devices_visit;
  s->frames_visit = frames_visit;
  s->frames_sum = frames_sum;
  s->asides_visit = asides_visit;
  s->losses_visit = losses_visit;
  s->alerts_visit = alerts_visit;
  s->counters_get = counters_get;
}
