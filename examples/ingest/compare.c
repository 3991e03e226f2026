/* SPDX-License-Identifier: Apache-2.0 */
#include "compare.h"

#include <stdlib.h>
#include <string.h>

typedef struct sample {
  int64_t ms;
  int32_t value;
  uint8_t quality;
  bool placed; /* ms is what the database says, not a stand-in */
} sample;

/* ---- What was recorded ---------------------------------------------------------------- */

typedef struct expected {
  recording *recording;
  const compare_task *task;
  unsigned column;
  uint64_t row; /* over all repeats */
} expected;

/* 1, 0 at the end, -1 with recording->error. */
static int expected_next(expected *e, sample *out) {
  recording *r = e->recording;
  if (e->row == e->task->rows) return 0;
  recording_row row;
  int rc = recording_next(r, &row);
  if (rc == 0) { /* played again from its beginning */
    if (recording_rewind(r) != 0) return -1;
    rc = recording_next(r, &row);
  }
  if (rc <= 0) return rc;
  uint64_t offset_ms = r->irregular ? row.offset_ms : recording_offset_ms(r->rate, e->row);
  *out = (sample){.ms = e->task->first_ms + (int64_t)offset_ms,
                  .value = row.values[e->column],
                  .quality = row.quality[e->column],
                  .placed = true};
  e->row++;
  return 1;
}

/* ---- What is stored ------------------------------------------------------------------- */

static const char numerics_sql[] =
    "SELECT n.tick, f.utc_offset_ms, n.value, n.quality FROM frames f"
    " JOIN devices d ON d.id = f.device_id JOIN numerics n ON n.frame_id = f.id"
    " WHERE d.device = ? AND f.boot = ? AND n.channel = ? ORDER BY n.tick, f.sequence, n.n";

static const char waves_sql[] =
    "SELECT w.tick, f.utc_offset_ms, w.phase, w.count, c.rate_num, c.rate_den, w.samples, w.quality"
    " FROM frames f JOIN devices d ON d.id = f.device_id JOIN waves w ON w.frame_id = f.id"
    " JOIN channels c ON c.device_id = f.device_id AND c.schema = f.schema"
    " AND c.channel = w.channel"
    " WHERE d.device = ? AND f.boot = ? AND w.channel = ? ORDER BY w.tick, f.sequence, w.n";

typedef struct stored {
  sqlite3_stmt *stmt;
  const compare_task *task;
  bool wave;
  unsigned at, count; /* in the current block; numerics are blocks of one */
} stored;

static bool stored_open(stored *s, sqlite3 *db, const compare_task *task, unsigned column,
                        bool wave) {
  *s = (stored){.task = task, .wave = wave};
  return sqlite3_prepare_v2(db, wave ? waves_sql : numerics_sql, -1, &s->stmt, NULL) == SQLITE_OK &&
         sqlite3_bind_text(s->stmt, 1, task->device, -1, SQLITE_STATIC) == SQLITE_OK &&
         sqlite3_bind_int64(s->stmt, 2, (int64_t)task->boot) == SQLITE_OK &&
         sqlite3_bind_int(s->stmt, 3, task->channels[column]) == SQLITE_OK;
}

/* Time of sample i of the block, rounded down to the ms: ticks of a rational rate do not drift. */
static int64_t wave_tick(const stored *s) {
  uint64_t num = (uint64_t)sqlite3_column_int64(s->stmt, 4);
  uint64_t den = (uint64_t)sqlite3_column_int64(s->stmt, 5);
  uint64_t phase = (uint64_t)sqlite3_column_int64(s->stmt, 2);
  if (num == 0) num = 1;
  return sqlite3_column_int64(s->stmt, 0) +
         (int64_t)((phase + (uint64_t)s->at * 1000u * den) / num);
}

static void wave_sample(const stored *s, sample *out) {
  const uint8_t *samples = sqlite3_column_blob(s->stmt, 6);
  const uint8_t *quality = sqlite3_column_blob(s->stmt, 7);
  const uint8_t *p = samples + (size_t)s->at * 4u;
  out->value =
      (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
  out->quality = quality == NULL ? HTEL_VALID : quality[s->at];
}

/* Whether the row's blobs are as long as its count says. */
static bool block_sound(const stored *s) {
  int quality_bytes = sqlite3_column_bytes(s->stmt, 7);
  return s->count >= 1 && s->count <= HTEL_COLUMN_SAMPLES_MAX &&
         sqlite3_column_bytes(s->stmt, 6) == (int)s->count * 4 &&
         (quality_bytes == 0 || quality_bytes == (int)s->count);
}

/* 1, 0 at the end, -1 when the database cannot be read. */
static int stored_next(stored *s, sample *out) {
  if (s->at == s->count) {
    int rc = sqlite3_step(s->stmt);
    if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? 0 : -1;
    s->at = 0;
    s->count = s->wave ? (unsigned)sqlite3_column_int(s->stmt, 3) : 1;
    if (s->wave && !block_sound(s)) return -1;
  }
  int64_t tick = s->wave ? wave_tick(s) : sqlite3_column_int64(s->stmt, 0);
  *out = (sample){.ms = tick, .placed = true};
  if (s->task->utc) {
    out->placed = sqlite3_column_type(s->stmt, 1) != SQLITE_NULL;
    out->ms += sqlite3_column_int64(s->stmt, 1);
  }
  if (s->wave) {
    wave_sample(s, out);
  } else {
    out->value = sqlite3_column_int(s->stmt, 2);
    out->quality = (uint8_t)sqlite3_column_int(s->stmt, 3);
  }
  s->at++;
  return 1;
}

/* ---- Side by side --------------------------------------------------------------------- */

static void match(compare_result *r, const sample *e, const sample *s) {
  r->stored++;
  if (e->value != s->value) r->wrong_values++;
  if (e->quality != s->quality) r->wrong_qualities++;
}

/* One channel. `only_*`: readings that one side alone has. */
static int compare_channel(expected *e, stored *s, compare_result *r) {
  sample want, have;
  bool matched = false;
  int64_t matched_ms = 0;
  uint64_t only_recorded = 0, only_stored = 0;
  int more_e = expected_next(e, &want), more_s = stored_next(s, &have);
  while (more_e > 0 || more_s > 0) {
    if (more_e < 0 || more_s < 0) return -1;
    if (more_e > 0 && more_s > 0 && have.placed && want.ms == have.ms) {
      match(r, &want, &have);
      matched = true;
      matched_ms = want.ms;
      r->recorded++;
      more_e = expected_next(e, &want);
      more_s = stored_next(s, &have);
    } else if (more_s > 0 && (more_e == 0 || !have.placed || have.ms < want.ms)) {
      if (matched && have.placed && have.ms == matched_ms)
        r->duplicates++;
      else
        only_stored++;
      more_s = stored_next(s, &have);
    } else {
      only_recorded++;
      r->recorded++;
      more_e = expected_next(e, &want);
    }
  }
  if (more_e < 0 || more_s < 0) return -1;
  /* A reading missing here and one too much there are one reading at a wrong time. */
  uint64_t moved = only_recorded < only_stored ? only_recorded : only_stored;
  r->stored += moved;
  r->wrong_times += moved;
  r->lost += only_recorded - moved;
  r->unexpected += only_stored - moved;
  return 0;
}

static int compare_column(sqlite3 *db, const compare_task *task, recording *rec, unsigned column,
                          compare_result *result, char *error, size_t error_size) {
  expected e = {.recording = rec, .task = task, .column = column};
  stored s;
  int rc = stored_open(&s, db, task, column, rec->kind == HTEL_WAVEFORM) ? 0 : -1;
  if (rc == 0) rc = compare_channel(&e, &s, result);
  sqlite3_finalize(s.stmt);
  if (rc == 0) return 0;
  if (rec->error[0] != '\0')
    snprintf(error, error_size, "%s", rec->error);
  else
    snprintf(error, error_size, "the database cannot be read: %s", sqlite3_errmsg(db));
  return -1;
}

int compare_recording(sqlite3 *db, const compare_task *task, compare_result *result, char *error,
                      size_t error_size) {
  recording *rec = calloc(1, sizeof *rec);
  if (rec == NULL) {
    snprintf(error, error_size, "no memory");
    return -1;
  }
  int rc = recording_open(rec, task->csv_path);
  if (rc != 0) snprintf(error, error_size, "%s", rec->error);
  for (unsigned i = 0; rc == 0 && i < rec->channel_count; i++) {
    rc = compare_column(db, task, rec, i, result, error, error_size);
    if (rc == 0 && recording_rewind(rec) != 0) {
      snprintf(error, error_size, "%s", rec->error);
      rc = -1;
    }
  }
  recording_close(rec);
  free(rec);
  return rc;
}
