/* SPDX-License-Identifier: Apache-2.0 */
#include "store_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_sqlite_parts.h"

#define BUSY_WAIT_MS 2000 /* another process holds the write lock: an import, a backup */

/* ---- Opening and closing ------------------------------------------------------------- */

/* One write and one sync a commit, and nothing of it lost in a power cut. */
static const char settings[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;"
    " PRAGMA cache_size = -32768;";

static void close_db(sqlite_store *s) {
  for (unsigned i = 0; i < Q_COUNT; i++) {
    sqlite3_finalize(s->statements[i]);
    s->statements[i] = NULL;
  }
  sqlite3_close(s->db);
  s->db = NULL;
}

static int open_file(sqlite_store *s, store_sqlite_mode mode, char *error, size_t error_size) {
  bool writes = mode == STORE_SQLITE_WRITE;
  int flags = writes ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  /* Readings are the patient's: a new file is its owner's alone. */
  mode_t mask = umask(S_IRWXG | S_IRWXO);
  int rc = sqlite3_open_v2(s->path, &s->db, flags, NULL);
  if (rc == SQLITE_OK) {
    sqlite3_busy_timeout(s->db, BUSY_WAIT_MS);
    sqlite3_extended_result_codes(s->db, 1);
    if (writes) rc = sqlite3_exec(s->db, settings, NULL, NULL, NULL);
    /* A file that cannot be written is opened for reading without a word, and stays so. */
    if (writes && sqlite3_db_readonly(s->db, "main") == 1) rc = SQLITE_READONLY;
  }
  umask(mask);
  if (rc == SQLITE_OK) return 0;
  snprintf(error, error_size, "cannot be opened (%s): check path and permissions",
           s->db == NULL           ? "no memory"
           : rc == SQLITE_READONLY ? "it cannot be written"
                                   : sqlite3_errmsg(s->db));
  return -1;
}

/* With its tables, which are made where there are none. After a failure close_db is due. */
static int open_db(sqlite_store *s, store_sqlite_mode mode, char *error, size_t error_size) {
  if (open_file(s, mode, error, error_size) != 0 ||
      store_sqlite_schema(s->db, mode == STORE_SQLITE_WRITE, error, error_size) != 0)
    return -1;
  const char *file = sqlite3_db_filename(s->db, "main");
  s->has_wal = mode == STORE_SQLITE_WRITE && file != NULL && file[0] != '\0' &&
               access(sqlite3_filename_wal(file), F_OK) == 0;
  return 0;
}

/* What is committed may be in the log alone, and the log stays at the path when the main file is
 * moved: SQLite would delete it there, or put it into the file that comes next. This empties it
 * into the file that we have open, wherever that is now. false: not yet, there is a reader or no
 * room. */
static bool log_empty(sqlite_store *s) {
  if (s->db == NULL || !s->has_wal) return true;
  int rc = sqlite3_wal_checkpoint_v2(s->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) & 0xff;
  return rc != SQLITE_BUSY && rc != SQLITE_LOCKED && rc != SQLITE_FULL;
}

/* The file at the path, be it a new one, in the place of the one that is gone. */
static int open_anew(sqlite_store *s) {
  char error[256];
  if (!log_empty(s)) return -1;
  close_db(s);
  if (open_db(s, STORE_SQLITE_WRITE, error, sizeof error) == 0) {
    s->gone = false;
    return 0;
  }
  close_db(s);
  return -1;
}

/* ---- Transactions -------------------------------------------------------------------- */

static int run_plain(sqlite_store *s, statement which) {
  query q = q_take(s, which);
  return q_run(&q);
}

/* Unix lets one write to a file that was deleted or replaced: all goes well, and is gone with the
 * last handle. Somebody's `rm` must not make receipts lies. */
static bool is_gone(const sqlite_store *s) {
  int moved = 0;
  if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
      moved != 0)
    return true;
  return s->has_wal && access(sqlite3_filename_wal(sqlite3_db_filename(s->db, "main")), F_OK) != 0;
}

static void close_store(void *ctx) {
  sqlite_store *s = ctx;
  if (s->db != NULL && is_gone(s)) log_empty(s);
  close_db(s);
  free(s);
}

static int begin(void *ctx) {
  sqlite_store *s = ctx;
  if (s->gone && open_anew(s) != 0) return STORE_AGAIN;
  return run_plain(s, Q_BEGIN);
}

static int commit(void *ctx) {
  sqlite_store *s = ctx;
  int rc = run_plain(s, Q_COMMIT);
  return rc == STORE_OK && is_gone(s) ? STORE_AGAIN : rc;
}

static void rollback(void *ctx) {
  sqlite_store *s = ctx;
  devices_forget(s);
  if (s->db == NULL) return;
  if (!sqlite3_get_autocommit(s->db)) run_plain(s, Q_ROLLBACK); /* else SQLite did it already */
  s->gone = is_gone(s);
}

/* ---- Frames -------------------------------------------------------------------------- */

static int frame_find_id(sqlite_store *s, int64_t device, uint64_t boot, uint32_t sequence,
                         const uint8_t *digest, store_outcome *outcome) {
  *outcome = STORE_NEW;
  query q = q_take(s, Q_FRAME_DIGEST);
  q_int(&q, device);
  q_int(&q, (int64_t)boot);
  q_int(&q, sequence);
  if (q_row(&q)) {
    bool same = sqlite3_column_bytes(q.stmt, 0) == (int)DIGEST_BYTES &&
                memcmp(sqlite3_column_blob(q.stmt, 0), digest, DIGEST_BYTES) == 0;
    *outcome = same ? STORE_SAME : STORE_CONFLICT;
  }
  return q_done(&q);
}

static int frame_find(void *ctx, const char *device, uint64_t boot, uint32_t sequence,
                      const uint8_t *digest, store_outcome *outcome) {
  int64_t id;
  *outcome = STORE_NEW;
  int rc = q_device_id(ctx, device, false, &id);
  if (rc != STORE_OK || id == 0) return rc;
  return frame_find_id(ctx, id, boot, sequence, digest, outcome);
}

static int numerics_put(sqlite_store *s, int64_t frame, const readings_run *run, int64_t n,
                        const readings_event *events) {
  for (unsigned i = 0; i < run->count; i++) {
    query q = q_take(s, Q_NUMERIC_ADD);
    q_int(&q, frame);
    q_int(&q, run->channel);
    q_int(&q, n + i);
    q_int(&q, (int64_t)events[i].tick);
    q_int(&q, events[i].value);
    q_int(&q, events[i].quality);
    int rc = q_run(&q);
    if (rc != STORE_OK) return rc;
  }
  return STORE_OK;
}

static int alarms_put(sqlite_store *s, int64_t frame, const readings_run *run, int64_t n,
                      const readings_event *events) {
  for (unsigned i = 0; i < run->count; i++) {
    const htel_alarm_event *alarm = &events[i].alarm;
    query q = q_take(s, Q_ALARM_ADD);
    q_int(&q, frame);
    q_int(&q, run->channel);
    q_int(&q, n + i);
    q_int(&q, (int64_t)events[i].tick);
    q_int(&q, alarm->code);
    q_int(&q, alarm->state);
    q_int(&q, alarm->priority);
    q_int(&q, alarm->latched);
    if (alarm->source == HTEL_NO_SOURCE)
      q_null(&q);
    else
      q_int(&q, alarm->source);
    int rc = q_run(&q);
    if (rc != STORE_OK) return rc;
  }
  return STORE_OK;
}

static int wave_put(sqlite_store *s, int64_t frame, const readings_run *run, int64_t n,
                    const int32_t *samples, const uint8_t *quality) {
  uint8_t bytes[HTEL_COLUMN_SAMPLES_MAX * 4u]; /* little endian, whatever this machine is */
  for (unsigned i = 0; i < run->count; i++) {
    uint32_t v = (uint32_t)samples[i];
    for (unsigned k = 0; k < 4; k++) bytes[4 * i + k] = (uint8_t)(v >> (8 * k));
  }
  query q = q_take(s, Q_WAVE_ADD);
  q_int(&q, frame);
  q_int(&q, run->channel);
  q_int(&q, n);
  q_int(&q, (int64_t)run->tick);
  q_int(&q, run->phase);
  q_int(&q, run->count);
  if (run->valid)
    q_null(&q);
  else
    q_blob(&q, quality, run->count);
  q_blob(&q, bytes, (size_t)run->count * 4u);
  return q_run(&q);
}

static int runs_put(sqlite_store *s, int64_t frame, const readings *r) {
  int64_t next[HTEL_CHANNELS_MAX] = {0}; /* place of a channel's next row within the frame */
  for (size_t i = 0; i < r->run_count; i++) {
    const readings_run *run = &r->runs[i];
    if (run->channel >= HTEL_CHANNELS_MAX) return STORE_REFUSED;
    int64_t n = next[run->channel];
    int rc;
    if (run->kind == HTEL_WAVEFORM) {
      rc = wave_put(s, frame, run, n, r->samples + run->at, r->sample_quality + run->at);
      next[run->channel] += 1;
    } else {
      rc = (run->kind == HTEL_ALARM ? alarms_put : numerics_put)(s, frame, run, n,
                                                                 r->events + run->at);
      next[run->channel] += run->count;
    }
    if (rc != STORE_OK) return rc;
  }
  return STORE_OK;
}

static int frame_put(void *ctx, const store_frame *f, store_outcome *outcome) {
  sqlite_store *s = ctx;
  int64_t device;
  int rc = q_device_id(s, f->device, true, &device);
  if (rc != STORE_OK) return rc;
  query q = q_take(s, Q_FRAME_ADD);
  q_int(&q, device);
  q_int(&q, (int64_t)f->frame->boot);
  q_int(&q, f->frame->sequence);
  q_blob(&q, f->digest, DIGEST_BYTES);
  q_int(&q, f->frame->frame_class);
  q_int(&q, (int64_t)f->frame->tick);
  q_int(&q, (int64_t)f->frame->session);
  q_int(&q, f->frame->schema);
  q_int(&q, f->readings->numerics);
  q_int(&q, (int64_t)f->readings->sample_count);
  q_int(&q, f->readings->alarms);
  q_int(&q, f->received_ms);
  if (f->placed)
    q_int(&q, f->offset_ms);
  else
    q_null(&q);
  q_blob(&q, f->payload, f->payload_size);
  rc = q_run(&q);
  if (rc != STORE_OK) return rc;
  if (sqlite3_changes(s->db) == 0)
    return frame_find_id(s, device, f->frame->boot, f->frame->sequence, f->digest, outcome);
  *outcome = STORE_NEW;
  return runs_put(s, sqlite3_last_insert_rowid(s->db), f->readings);
}

/* ---- What is kept aside, lost, alerted ----------------------------------------------- */

/* How many of its sort the device has already. */
static int aside_count(sqlite_store *s, int64_t device, bool keyed, int64_t *count) {
  *count = 0;
  query q = q_take(s, Q_ASIDE_COUNT);
  q_int(&q, device);
  if (q_row(&q)) *count = q_get_int(&q, keyed ? 0 : 1);
  return q_done(&q);
}

static int aside_insert(sqlite_store *s, int64_t device, const store_aside *aside, bool whole) {
  query q = q_take(s, Q_ASIDE_ADD);
  q_int(&q, device);
  if (aside->keyed) {
    q_int(&q, (int64_t)aside->boot);
    q_int(&q, aside->sequence);
  } else {
    q_null(&q);
    q_null(&q);
  }
  q_blob(&q, aside->digest, DIGEST_BYTES);
  q_text(&q, aside->reason);
  q_int(&q, aside->received_ms);
  q_int(&q, (int64_t)aside->payload_size);
  if (whole)
    q_blob(&q, aside->payload, aside->payload_size);
  else
    q_null(&q);
  int rc = q_run(&q);
  if (rc != STORE_OK) return rc;
  q = q_take(s, Q_ASIDE_COUNT_ADD);
  q_int(&q, aside->keyed ? 1 : 0);
  q_int(&q, aside->keyed ? 0 : 1);
  q_int(&q, device);
  return q_run(&q);
}

static int aside_put(void *ctx, const store_aside *aside, uint32_t limit, store_outcome *outcome) {
  sqlite_store *s = ctx;
  int64_t device, count;
  int rc = q_device_id(s, aside->device, true, &device);
  if (rc != STORE_OK) return rc;
  query q = q_take(s, Q_ASIDE_FIND);
  q_int(&q, device);
  q_blob(&q, aside->digest, DIGEST_BYTES);
  bool known = q_row(&q);
  rc = q_done(&q);
  *outcome = STORE_SAME;
  if (rc != STORE_OK || known) return rc;
  rc = aside_count(s, device, aside->keyed, &count);
  if (rc != STORE_OK) return rc;
  bool over = count >= limit;
  *outcome = over ? STORE_QUOTA : STORE_NEW;
  if (over && !aside->keyed) return STORE_OK;
  return aside_insert(s, device, aside, !over && aside->payload_size <= HTEL_FRAME_BYTES_MAX);
}

static int loss_put(void *ctx, const char *device, const htel_loss *loss, uint64_t carrier_boot,
                    uint32_t carrier_sequence) {
  int64_t id;
  int rc = q_device_id(ctx, device, true, &id);
  if (rc != STORE_OK) return rc;
  query q = q_take(ctx, Q_LOSS_ADD);
  q_int(&q, id);
  q_int(&q, (int64_t)carrier_boot);
  q_int(&q, loss->id);
  q_int(&q, carrier_sequence);
  q_int(&q, (int64_t)loss->boot);
  q_int(&q, (int64_t)loss->boot_last);
  q_int(&q, loss->cause);
  q_int(&q, loss->channel);
  q_int(&q, loss->frame_class);
  q_int(&q, loss->sequence_first);
  q_int(&q, loss->sequence_last);
  q_int(&q, loss->frames);
  q_int(&q, (int64_t)loss->tick_first);
  q_int(&q, (int64_t)loss->tick_last);
  q_int(&q, (int64_t)loss->readings);
  q_int(&q, loss->at_most);
  return q_run(&q);
}

static int count_rows(sqlite_store *s, statement which, int64_t device, int64_t *count) {
  *count = 0;
  query q = q_take(s, which);
  q_int(&q, device);
  if (q_row(&q)) *count = q_get_int(&q, 0);
  return q_done(&q);
}

static int alert_put(void *ctx, const store_alert *alert, uint32_t limit) {
  int64_t id, count;
  int rc = q_device_id(ctx, alert->device, true, &id);
  if (rc == STORE_OK) rc = count_rows(ctx, Q_ALERT_COUNT, id, &count);
  if (rc != STORE_OK || count >= limit) return rc;
  query q = q_take(ctx, Q_ALERT_ADD);
  q_int(&q, id);
  q_text(&q, alert->kind);
  if (alert->keyed) {
    q_int(&q, (int64_t)alert->boot);
    q_int(&q, alert->sequence);
  } else {
    q_null(&q);
    q_null(&q);
  }
  q_text(&q, alert->detail);
  q_int(&q, alert->utc_ms);
  return q_run(&q);
}

static int counter_add(void *ctx, const char *device, store_counter counter, uint32_t by) {
  int64_t id;
  int rc = q_device_id(ctx, device, true, &id);
  if (rc != STORE_OK) return rc;
  query q = q_take(ctx, Q_COUNTER_ADD);
  q_int(&q, id);
  q_text(&q, store_counter_name(counter));
  q_int(&q, by);
  return q_run(&q);
}

static int status_put(void *ctx, const char *device, bool online, uint64_t boot,
                      int64_t received_ms) {
  int64_t id;
  int rc = q_device_id(ctx, device, true, &id);
  if (rc != STORE_OK) return rc;
  query q = q_take(ctx, Q_DEVICE_STATUS);
  q_int(&q, online);
  q_int(&q, (int64_t)boot);
  q_int(&q, received_ms);
  q_int(&q, id);
  return q_run(&q);
}

/* ---- Births -------------------------------------------------------------------------- */

static int channel_put(sqlite_store *s, int64_t device, uint32_t schema, unsigned number,
                       const htel_birth_channel *c) {
  query q = q_take(s, Q_CHANNEL_ADD);
  q_int(&q, device);
  q_int(&q, schema);
  q_int(&q, number);
  q_text(&q, c->name);
  q_int(&q, c->code);
  q_int(&q, c->index);
  q_int(&q, c->kind);
  q_text(&q, c->unit);
  q_int(&q, c->rate.num);
  q_int(&q, c->rate.den);
  q_int(&q, c->gain);
  q_int(&q, c->offset);
  q_int(&q, c->exponent);
  return q_run(&q);
}

static int birth_put(void *ctx, const char *device, const htel_birth *birth, const uint8_t *bytes,
                     size_t size, int64_t received_ms, uint32_t limit, store_outcome *outcome) {
  sqlite_store *s = ctx;
  int64_t id, count;
  int rc = q_device_id(s, device, true, &id);
  if (rc != STORE_OK) return rc;
  query q = q_take(s, Q_BIRTH_FIND);
  q_int(&q, id);
  q_int(&q, birth->schema);
  bool known = q_row(&q);
  if (known) {
    bool same = sqlite3_column_bytes(q.stmt, 0) == (int)size &&
                memcmp(sqlite3_column_blob(q.stmt, 0), bytes, size) == 0;
    *outcome = same ? STORE_SAME : STORE_CONFLICT;
  }
  rc = q_done(&q);
  if (rc != STORE_OK || known) return rc;
  rc = count_rows(s, Q_BIRTH_COUNT, id, &count);
  *outcome = count >= limit ? STORE_QUOTA : STORE_NEW;
  if (rc != STORE_OK || count >= limit) return rc;
  q = q_take(s, Q_BIRTH_ADD);
  q_int(&q, id);
  q_int(&q, birth->schema);
  q_int(&q, received_ms);
  q_text(&q, birth->firmware);
  q_blob(&q, bytes, size);
  rc = q_run(&q);
  for (unsigned i = 0; i < birth->channel_count && rc == STORE_OK; i++)
    rc = channel_put(s, id, birth->schema, i, &birth->channels[i]);
  return rc;
}

static int birth_get(void *ctx, const char *device, uint32_t schema, uint8_t *buf, size_t room,
                     size_t *size) {
  int64_t id;
  *size = 0;
  int rc = q_device_id(ctx, device, false, &id);
  if (rc != STORE_OK || id == 0) return rc;
  query q = q_take(ctx, Q_BIRTH_FIND);
  q_int(&q, id);
  q_int(&q, schema);
  if (q_row(&q)) {
    size_t bytes = (size_t)sqlite3_column_bytes(q.stmt, 0);
    const void *blob = sqlite3_column_blob(q.stmt, 0);
    if (blob != NULL && bytes <= room) {
      memcpy(buf, blob, bytes);
      *size = bytes;
    }
  }
  return q_done(&q);
}

/* ---- Placing ------------------------------------------------------------------------- */

static int anchor_put(void *ctx, const char *device, uint64_t boot, const htel_anchor *anchor,
                      uint32_t sequence) {
  int64_t id;
  int rc = q_device_id(ctx, device, true, &id);
  if (rc != STORE_OK) return rc;
  query q = q_take(ctx, Q_ANCHOR_ADD);
  q_int(&q, id);
  q_int(&q, (int64_t)boot);
  q_int(&q, (int64_t)anchor->tick);
  q_int(&q, anchor->utc_ms);
  q_int(&q, anchor->uncertainty_ms);
  q_int(&q, sequence);
  return q_run(&q);
}

static int anchors_near(void *ctx, const char *device, uint64_t boot, uint64_t tick,
                        htel_anchor pair[2], bool found[2]) {
  static const statement which[2] = {Q_ANCHOR_BEFORE, Q_ANCHOR_AFTER};
  int64_t id;
  found[0] = found[1] = false;
  int rc = q_device_id(ctx, device, false, &id);
  if (rc != STORE_OK || id == 0) return rc;
  for (unsigned i = 0; i < 2 && rc == STORE_OK; i++) {
    query q = q_take(ctx, which[i]);
    q_int(&q, id);
    q_int(&q, (int64_t)boot);
    q_int(&q, (int64_t)tick);
    found[i] = q_row(&q);
    if (found[i])
      pair[i] = (htel_anchor){.tick = (uint64_t)q_get_int(&q, 0),
                              .utc_ms = q_get_int(&q, 1),
                              .uncertainty_ms = (uint32_t)q_get_int(&q, 2)};
    rc = q_done(&q);
  }
  return rc;
}

static int frames_place(void *ctx, const char *device, uint64_t boot, uint64_t tick_first,
                        uint64_t tick_last, int64_t offset_ms) {
  int64_t id;
  int rc = q_device_id(ctx, device, false, &id);
  if (rc != STORE_OK || id == 0) return rc;
  query q = q_take(ctx, Q_FRAMES_PLACE);
  q_int(&q, offset_ms);
  q_int(&q, id);
  q_int(&q, (int64_t)boot);
  q_int(&q, (int64_t)tick_first);
  q_int(&q, (int64_t)tick_last);
  return q_run(&q);
}

/* ---- The interface --------------------------------------------------------------------- */

int store_sqlite_open(store *s, const char *path, store_sqlite_mode mode, char *error,
                      size_t error_size) {
  sqlite_store *ctx = calloc(1, sizeof *ctx);
  if (ctx == NULL) {
    snprintf(error, error_size, "no memory");
    return -1;
  }
  ctx->path = path;
  if (open_db(ctx, mode, error, error_size) != 0) {
    close_store(ctx);
    return -1;
  }
  *s = (store){.ctx = ctx,
               .begin = begin,
               .commit = commit,
               .rollback = rollback,
               .frame_put = frame_put,
               .frame_find = frame_find,
               .aside_put = aside_put,
               .loss_put = loss_put,
               .birth_put = birth_put,
               .birth_get = birth_get,
               .status_put = status_put,
               .counter_add = counter_add,
               .alert_put = alert_put,
               .anchor_put = anchor_put,
               .anchors_near = anchors_near,
               .frames_place = frames_place,
               .close = close_store};
  store_sqlite_add_readers(s);
  return 0;
}
