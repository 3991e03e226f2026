/* SPDX-License-Identifier: Apache-2.0 */
#include "live_check.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_sqlite.h"

#define BUSY_WAIT_MS 5000

typedef enum query { FRAMES, NUMERICS, WAVES, ALARMS, QUERIES } query;

static const char *const queries[QUERIES] = {
    [FRAMES] =
        "SELECT f.id, f.sequence, f.class, f.tick, f.received_ms, f.utc_offset_ms"
        " FROM frames f JOIN devices d ON d.id = f.device_id"
        " WHERE d.device = ? AND f.boot = ? ORDER BY f.sequence",
    [NUMERICS] =
        "SELECT channel, tick, value, quality FROM numerics WHERE frame_id = ?"
        " ORDER BY channel, n",
    [WAVES] =
        "SELECT channel, tick, phase, count, samples, quality FROM waves WHERE frame_id = ?"
        " ORDER BY channel, n",
    [ALARMS] =
        "SELECT channel, tick, code, state, priority, latched, source FROM alarms"
        " WHERE frame_id = ? ORDER BY channel, n"};

struct live_check {
  store store;
  bool has_store;
  sqlite3 *db;
  sqlite3_stmt *statements[QUERIES];
  readings readings; /* of one frame */
  htel_series series;
  const live_device *device; /* that is checked now */
  result *result;
  int64_t now_ms;
  uint64_t delay_count;
  uint64_t delays[LIVE_DELAY_MS_MAX + 1u]; /* readings by ms; the last: and more */
};

/* ---- The readings of a frame ----------------------------------------------------------------- */

static bool series_flush(live_check *c) {
  bool ok = c->series.count == 0 || readings_add(&c->readings, &c->series) == 0;
  c->series.count = 0;
  return ok;
}

/* Room for one more of this channel. */
static bool series_go_on(live_check *c, uint8_t channel, htel_kind kind) {
  htel_series *s = &c->series;
  bool fits = s->count > 0 && s->count < HTEL_COLUMN_SAMPLES_MAX && s->channel == channel &&
              s->kind == (uint8_t)kind;
  if (!fits && !series_flush(c)) return false;
  s->channel = channel;
  s->kind = (uint8_t)kind;
  return true;
}

static bool numeric_row(live_check *c, sqlite3_stmt *row) {
  if (!series_go_on(c, (uint8_t)sqlite3_column_int(row, 0), HTEL_NUMERIC)) return false;
  unsigned i = c->series.count++;
  c->series.ticks[i] = (uint64_t)sqlite3_column_int64(row, 1);
  c->series.values[i] = sqlite3_column_int(row, 2);
  c->series.quality[i] = (uint8_t)sqlite3_column_int(row, 3);
  return true;
}

static bool alarm_row(live_check *c, sqlite3_stmt *row) {
  if (!series_go_on(c, (uint8_t)sqlite3_column_int(row, 0), HTEL_ALARM)) return false;
  unsigned i = c->series.count++;
  bool has_source = sqlite3_column_type(row, 6) != SQLITE_NULL;
  c->series.ticks[i] = (uint64_t)sqlite3_column_int64(row, 1);
  c->series.alarms[i] = (htel_alarm_event){
      .code = (uint32_t)sqlite3_column_int64(row, 2),
      .state = (uint8_t)sqlite3_column_int(row, 3),
      .priority = (uint8_t)sqlite3_column_int(row, 4),
      .latched = sqlite3_column_int(row, 5) != 0,
      .source = has_source ? (uint8_t)sqlite3_column_int(row, 6) : (uint8_t)HTEL_NO_SOURCE};
  return true;
}

static int32_t sample_at(const uint8_t *samples, unsigned i) {
  const uint8_t *p = samples + (size_t)i * 4u;
  return (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                   (uint32_t)p[3] << 24);
}

/* A row is a block. */
static bool wave_row(live_check *c, sqlite3_stmt *row) {
  htel_series *s = &c->series;
  int count = sqlite3_column_int(row, 3), quality_bytes = sqlite3_column_bytes(row, 5);
  if (count < 1 || count > (int)HTEL_COLUMN_SAMPLES_MAX ||
      sqlite3_column_bytes(row, 4) != 4 * count || (quality_bytes != 0 && quality_bytes != count))
    return false;
  if (!series_flush(c)) return false;
  const uint8_t *samples = sqlite3_column_blob(row, 4), *quality = sqlite3_column_blob(row, 5);
  s->channel = (uint8_t)sqlite3_column_int(row, 0);
  s->kind = HTEL_WAVEFORM;
  s->phase = (uint32_t)sqlite3_column_int64(row, 2);
  s->count = (uint16_t)count;
  for (unsigned i = 0; i < (unsigned)count; i++) {
    s->ticks[i] = (uint64_t)sqlite3_column_int64(row, 1);
    s->values[i] = sample_at(samples, i);
    s->quality[i] = quality_bytes == 0 ? (uint8_t)HTEL_VALID : quality[i];
  }
  return series_flush(c);
}

static bool rows_read(live_check *c, query which, int64_t frame,
                      bool (*take)(live_check *c, sqlite3_stmt *row)) {
  sqlite3_stmt *stmt = c->statements[which];
  bool ok = sqlite3_bind_int64(stmt, 1, frame) == SQLITE_OK;
  int rc = SQLITE_DONE;
  while (ok && (rc = sqlite3_step(stmt)) == SQLITE_ROW) ok = take(c, stmt);
  sqlite3_reset(stmt);
  return series_flush(c) && ok && rc == SQLITE_DONE;
}

/* ---- How long it took ------------------------------------------------------------------------ */

static void delay_add(live_check *c, uint64_t tick, int64_t received_ms, bool is_alarm,
                      uint64_t count) {
  const live_device *d = c->device;
  int64_t taken_ms = d->world->utc_of_zero + (int64_t)tick - d->tick_of_zero;
  int64_t delay_ms = received_ms > taken_ms ? received_ms - taken_ms : 0;
  unsigned bucket = result_delay_bucket(delay_ms);
  *(is_alarm ? &c->result->delays_alarm[bucket] : &c->result->delays[bucket]) += count;
  c->delays[delay_ms < LIVE_DELAY_MS_MAX ? delay_ms : LIVE_DELAY_MS_MAX] += count;
  c->delay_count += count;
}

static void delays_add(live_check *c, int64_t received_ms) {
  for (size_t r = 0; r < c->readings.run_count; r++) {
    const readings_run *run = &c->readings.runs[r];
    if (run->kind == HTEL_WAVEFORM) {
      delay_add(c, run->tick, received_ms, false, run->count);
      continue;
    }
    for (unsigned i = 0; i < run->count; i++)
      delay_add(c, c->readings.events[run->at + i].tick, received_ms, run->kind == HTEL_ALARM, 1);
  }
}

int64_t live_check_delay_ms(const live_check *c, unsigned pct) {
  uint64_t wanted = (c->delay_count * pct + 99u) / 100u, sum = 0;
  int64_t ms = 0;
  while (ms < (int64_t)LIVE_DELAY_MS_MAX && (sum += c->delays[ms]) < wanted) ms++;
  return ms;
}

/* ---- Frames ---------------------------------------------------------------------------------- */

static bool frame_row(live_check *c, sqlite3_stmt *row) {
  int64_t id = sqlite3_column_int64(row, 0);
  readings_clear(&c->readings);
  if (!rows_read(c, NUMERICS, id, numeric_row) || !rows_read(c, WAVES, id, wave_row) ||
      !rows_read(c, ALARMS, id, alarm_row))
    return false;
  htel_frame envelope = {.boot = c->device->boot,
                         .sequence = (uint32_t)sqlite3_column_int64(row, 1),
                         .frame_class = (uint8_t)sqlite3_column_int(row, 2),
                         .tick = (uint64_t)sqlite3_column_int64(row, 3)};
  store_frame frame = {.device = c->device->id,
                       .frame = &envelope,
                       .readings = &c->readings,
                       .received_ms = sqlite3_column_int64(row, 4),
                       .placed = sqlite3_column_type(row, 5) != SQLITE_NULL,
                       .offset_ms = sqlite3_column_int64(row, 5)};
  oracle_takes(c->device->oracle, &frame, false, c->now_ms);
  delays_add(c, frame.received_ms);
  return true;
}

static bool frames_read(live_check *c) {
  sqlite3_stmt *stmt = c->statements[FRAMES];
  bool ok = sqlite3_bind_text(stmt, 1, c->device->id, -1, SQLITE_STATIC) == SQLITE_OK &&
            sqlite3_bind_int64(stmt, 2, (int64_t)c->device->boot) == SQLITE_OK;
  int rc = SQLITE_DONE;
  while (ok && (rc = sqlite3_step(stmt)) == SQLITE_ROW) ok = frame_row(c, stmt);
  sqlite3_reset(stmt);
  return ok && rc == SQLITE_DONE;
}

/* ---- The store as if there had been no other boot -------------------------------------------- */

typedef struct boot_view {
  const store *whole;
  uint64_t boot;
} boot_view;

typedef struct boot_visit {
  uint64_t boot;
  void *arg;
  bool (*frame)(void *arg, const store_frame_row *row);
  bool (*aside)(void *arg, uint64_t boot, uint32_t sequence);
  bool (*loss)(void *arg, const store_loss_row *row);
  bool (*alert)(void *arg, const store_alert *alert);
} boot_visit;

static bool frame_of_boot(void *arg, const store_frame_row *row) {
  const boot_visit *v = arg;
  return row->boot != v->boot || v->frame(v->arg, row);
}

static bool aside_of_boot(void *arg, uint64_t boot, uint32_t sequence) {
  const boot_visit *v = arg;
  return boot != v->boot || v->aside(v->arg, boot, sequence);
}

static bool loss_of_boot(void *arg, const store_loss_row *row) {
  const boot_visit *v = arg;
  return row->loss.boot != v->boot || v->loss(v->arg, row);
}

static bool alert_of_boot(void *arg, const store_alert *alert) {
  const boot_visit *v = arg;
  return !alert->keyed || alert->boot != v->boot || v->alert(v->arg, alert);
}

static int view_frames(void *ctx, const char *id,
                       bool (*visit)(void *arg, const store_frame_row *row), void *arg) {
  const boot_view *view = ctx;
  boot_visit v = {.boot = view->boot, .arg = arg, .frame = visit};
  return view->whole->frames_visit(view->whole->ctx, id, frame_of_boot, &v);
}

static int view_asides(void *ctx, const char *id,
                       bool (*visit)(void *arg, uint64_t boot, uint32_t sequence), void *arg) {
  const boot_view *view = ctx;
  boot_visit v = {.boot = view->boot, .arg = arg, .aside = visit};
  return view->whole->asides_visit(view->whole->ctx, id, aside_of_boot, &v);
}

static int view_losses(void *ctx, const char *id,
                       bool (*visit)(void *arg, const store_loss_row *row), void *arg) {
  const boot_view *view = ctx;
  boot_visit v = {.boot = view->boot, .arg = arg, .loss = visit};
  return view->whole->losses_visit(view->whole->ctx, id, loss_of_boot, &v);
}

static int view_alerts(void *ctx, const char *id,
                       bool (*visit)(void *arg, const store_alert *alert), void *arg) {
  const boot_view *view = ctx;
  boot_visit v = {.boot = view->boot, .arg = arg, .alert = visit};
  return view->whole->alerts_visit(view->whole->ctx, id, alert_of_boot, &v);
}

static int view_frames_sum(void *ctx, const char *id, const htel_loss *loss, uint64_t *frames,
                           uint64_t *reading_count) {
  const boot_view *view = ctx;
  return view->whole->frames_sum(view->whole->ctx, id, loss, frames, reading_count);
}

static int view_anchors(void *ctx, const char *id, uint64_t boot, uint64_t tick,
                        htel_anchor pair[2], bool found[2]) {
  const boot_view *view = ctx;
  return view->whole->anchors_near(view->whole->ctx, id, boot, tick, pair, found);
}

/* Kept by device, not by boot. */
static int view_counters(void *ctx, const char *id, uint64_t counters[STORE_COUNTERS]) {
  (void)ctx;
  (void)id;
  memset(counters, 0, STORE_COUNTERS * sizeof *counters);
  return STORE_OK;
}

static bool judge(live_check *c) {
  boot_view view = {.whole = &c->store, .boot = c->device->boot};
  store face = {.ctx = &view,
                .frames_visit = view_frames,
                .frames_sum = view_frames_sum,
                .asides_visit = view_asides,
                .losses_visit = view_losses,
                .alerts_visit = view_alerts,
                .anchors_near = view_anchors,
                .counters_get = view_counters};
  audit_report report = {0};
  int rc = audit_device(&face, c->device->id, &report);
  if (rc == STORE_OK) oracle_judge(c->device->oracle, &face, c->device->id, &report, c->now_ms);
  audit_free(&report);
  return rc == STORE_OK;
}

bool live_check_device(live_check *c, const live_device *d, result *r, int64_t now_ms, char *error,
                       size_t error_size) {
  c->device = d;
  c->result = r;
  c->now_ms = now_ms;
  if (frames_read(c) && judge(c)) return true;
  snprintf(error, error_size, "the database cannot be read: %s", sqlite3_errmsg(c->db));
  return false;
}

/* ---- Opening --------------------------------------------------------------------------------- */

live_check *live_check_open(const char *path, char *error, size_t error_size) {
  live_check *c = calloc(1, sizeof *c);
  if (c == NULL) {
    snprintf(error, error_size, "no memory");
    return NULL;
  }
  char why[200] = "";
  c->has_store = store_sqlite_open(&c->store, path, STORE_SQLITE_READ, why, sizeof why) == 0;
  bool ok = c->has_store && sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK;
  if (ok) sqlite3_busy_timeout(c->db, BUSY_WAIT_MS);
  for (unsigned q = 0; ok && q < QUERIES; q++)
    ok = sqlite3_prepare_v2(c->db, queries[q], -1, &c->statements[q], NULL) == SQLITE_OK;
  if (ok) return c;
  snprintf(error, error_size, "database %s: %s (htel-ingest makes it: start that first)", path,
           c->has_store ? sqlite3_errmsg(c->db) : why);
  live_check_close(c);
  return NULL;
}

void live_check_close(live_check *c) {
  if (c == NULL) return;
  for (unsigned q = 0; q < QUERIES; q++) sqlite3_finalize(c->statements[q]);
  sqlite3_close(c->db);
  if (c->has_store) c->store.close(c->store.ctx);
  readings_free(&c->readings);
  free(c);
}
