/* SPDX-License-Identifier: Apache-2.0 */
/* The reading half of the SQLite store: what an audit asks. */
#include <string.h>

#include "store_sqlite_parts.h"

static int devices_visit(void *ctx, bool (*visit)(void *arg, const char *device), void *arg) {
  query q = q_take(ctx, Q_DEVICES);
  while (q_row(&q)) {
    const char *name = (const char *)sqlite3_column_text(q.stmt, 0);
    if (name == NULL || !visit(arg, name)) break;
  }
  return q_done(&q);
}

/* A statement with the device's number bound; no rows when there is no such device. */
static int take_for_device(sqlite_store *s, statement which, const char *device, query *q) {
  int64_t id;
  int rc = q_device_id(s, device, false, &id);
  *q = q_take(s, which);
  q_int(q, id);
  return rc;
}

static int frames_visit(void *ctx, const char *device,
                        bool (*visit)(void *arg, const store_frame_row *row), void *arg) {
  query q;
  int rc = take_for_device(ctx, Q_FRAMES, device, &q);
  while (rc == STORE_OK && q_row(&q)) {
    store_frame_row row = {.boot = (uint64_t)q_get_int(&q, 0),
                           .sequence = (uint32_t)q_get_int(&q, 1),
                           .frame_class = (uint8_t)q_get_int(&q, 2),
                           .numerics = (uint32_t)q_get_int(&q, 3),
                           .samples = (uint32_t)q_get_int(&q, 4),
                           .alarms = (uint32_t)q_get_int(&q, 5),
                           .payload_bytes = (uint32_t)q_get_int(&q, 6)};
    if (!visit(arg, &row)) break;
  }
  int done = q_done(&q);
  return rc == STORE_OK ? done : rc;
}

static int frames_sum(void *ctx, const char *device, const htel_loss *loss, uint64_t *frames,
                      uint64_t *reading_count) {
  query q;
  int rc = take_for_device(ctx, Q_FRAMES_SUM, device, &q);
  q_int(&q, (int64_t)loss->boot);
  q_int(&q, loss->sequence_first);
  q_int(&q, loss->sequence_last);
  q_int(&q, loss->frame_class);
  *frames = *reading_count = 0;
  if (rc == STORE_OK && q_row(&q)) {
    *frames = (uint64_t)q_get_int(&q, 0);
    *reading_count = (uint64_t)q_get_int(&q, 1);
  }
  int done = q_done(&q);
  return rc == STORE_OK ? done : rc;
}

static int asides_visit(void *ctx, const char *device,
                        bool (*visit)(void *arg, uint64_t boot, uint32_t sequence), void *arg) {
  query q;
  int rc = take_for_device(ctx, Q_ASIDES, device, &q);
  while (rc == STORE_OK && q_row(&q))
    if (!visit(arg, (uint64_t)q_get_int(&q, 0), (uint32_t)q_get_int(&q, 1))) break;
  int done = q_done(&q);
  return rc == STORE_OK ? done : rc;
}

static int losses_visit(void *ctx, const char *device,
                        bool (*visit)(void *arg, const store_loss_row *row), void *arg) {
  query q;
  int rc = take_for_device(ctx, Q_LOSSES, device, &q);
  while (rc == STORE_OK && q_row(&q)) {
    store_loss_row row = {.loss = {.boot = (uint64_t)q_get_int(&q, 0),
                                   .cause = (uint8_t)q_get_int(&q, 1),
                                   .channel = (uint8_t)q_get_int(&q, 2),
                                   .frame_class = (uint8_t)q_get_int(&q, 3),
                                   .sequence_first = (uint32_t)q_get_int(&q, 4),
                                   .sequence_last = (uint32_t)q_get_int(&q, 5),
                                   .frames = (uint32_t)q_get_int(&q, 6),
                                   .tick_first = (uint64_t)q_get_int(&q, 7),
                                   .tick_last = (uint64_t)q_get_int(&q, 8),
                                   .readings = (uint64_t)q_get_int(&q, 9),
                                   .at_most = q_get_int(&q, 10) != 0,
                                   .id = (uint32_t)q_get_int(&q, 13),
                                   .boot_last = (uint64_t)q_get_int(&q, 14)},
                          .carrier_boot = (uint64_t)q_get_int(&q, 11),
                          .carrier_sequence = (uint32_t)q_get_int(&q, 12)};
    if (!visit(arg, &row)) break;
  }
  int done = q_done(&q);
  return rc == STORE_OK ? done : rc;
}

static int alerts_visit(void *ctx, const char *device,
                        bool (*visit)(void *arg, const store_alert *alert), void *arg) {
  query q;
  int rc = take_for_device(ctx, Q_ALERTS, device, &q);
  while (rc == STORE_OK && q_row(&q)) {
    store_alert alert = {.device = device,
                         .kind = (const char *)sqlite3_column_text(q.stmt, 0),
                         .keyed = sqlite3_column_type(q.stmt, 1) != SQLITE_NULL,
                         .boot = (uint64_t)q_get_int(&q, 1),
                         .sequence = (uint32_t)q_get_int(&q, 2),
                         .detail = (const char *)sqlite3_column_text(q.stmt, 3),
                         .utc_ms = q_get_int(&q, 4)};
    if (alert.kind == NULL || alert.detail == NULL || !visit(arg, &alert)) break;
  }
  int done = q_done(&q);
  return rc == STORE_OK ? done : rc;
}

static int counters_get(void *ctx, const char *device, uint64_t counters[STORE_COUNTERS]) {
  query q;
  memset(counters, 0, STORE_COUNTERS * sizeof *counters);
  int rc = take_for_device(ctx, Q_COUNTERS, device, &q);
  while (rc == STORE_OK && q_row(&q)) {
    const char *name = (const char *)sqlite3_column_text(q.stmt, 0);
    for (unsigned i = 0; name != NULL && i < STORE_COUNTERS; i++)
      if (strcmp(name, store_counter_name(i)) == 0) counters[i] = (uint64_t)q_get_int(&q, 1);
  }
  int done = q_done(&q);
  return rc == STORE_OK ? done : rc;
}

void store_sqlite_add_readers(store *s) {
  s->devices_visit = devices_visit;
  s->frames_visit = frames_visit;
  s->frames_sum = frames_sum;
  s->asides_visit = asides_visit;
  s->losses_visit = losses_visit;
  s->alerts_visit = alerts_visit;
  s->counters_get = counters_get;
}
