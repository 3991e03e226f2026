/* SPDX-License-Identifier: Apache-2.0 */
/* Statements and device numbers of the SQLite store. */
#include <stdio.h>
#include <string.h>

#include "store_sqlite_parts.h"

#define STATEMENT_TEXT(name, sql) sql,
static const char *const statement_texts[Q_COUNT] = {STATEMENTS(STATEMENT_TEXT)};
#undef STATEMENT_TEXT

/* ---- Statements ---------------------------------------------------------------------- */

static int store_rc(int sqlite_rc) {
  switch (sqlite_rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return STORE_OK;
    /* What this message holds is at fault, and always will be. */
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE: return STORE_REFUSED;
    /* Locked, full, unreadable, damaged: nothing is taken until somebody has mended it. */
    default: return STORE_AGAIN;
  }
}

query q_take(sqlite_store *s, statement which) {
  query q = {.rc = SQLITE_OK};
  sqlite3_stmt **stmt = &s->statements[which];
  if (*stmt == NULL)
    q.rc = sqlite3_prepare_v3(s->db, statement_texts[which], -1, SQLITE_PREPARE_PERSISTENT, stmt,
                              NULL);
  q.stmt = *stmt;
  return q;
}

static void note(query *q, int rc) {
  if (q->rc == SQLITE_OK && rc != SQLITE_OK) q->rc = rc;
}

void q_int(query *q, int64_t value) {
  if (q->rc == SQLITE_OK) note(q, sqlite3_bind_int64(q->stmt, ++q->bound, value));
}

void q_text(query *q, const char *text) {
  if (q->rc == SQLITE_OK) note(q, sqlite3_bind_text(q->stmt, ++q->bound, text, -1, SQLITE_STATIC));
}

void q_blob(query *q, const void *bytes, size_t size) {
  if (q->rc == SQLITE_OK)
    note(q, sqlite3_bind_blob64(q->stmt, ++q->bound, bytes, size, SQLITE_STATIC));
}

void q_null(query *q) {
  if (q->rc == SQLITE_OK) note(q, sqlite3_bind_null(q->stmt, ++q->bound));
}

bool q_row(query *q) {
  if (q->rc != SQLITE_OK) return false;
  int rc = sqlite3_step(q->stmt);
  if (rc == SQLITE_ROW) return true;
  if (rc != SQLITE_DONE) q->rc = rc;
  return false;
}

int q_done(query *q) {
  if (q->stmt != NULL) {
    sqlite3_reset(q->stmt);
    sqlite3_clear_bindings(q->stmt);
  }
  q->stmt = NULL;
  return store_rc(q->rc);
}

int q_run(query *q) {
  q_row(q);
  return q_done(q);
}

int64_t q_get_int(const query *q, int column) {
  return sqlite3_column_int64(q->stmt, column);
}

/* ---- Devices ------------------------------------------------------------------------- */

static uint32_t device_slot(const char *device) {
  return htel_crc32(0, device, strlen(device)) % DEVICE_CACHE;
}

int q_device_id(sqlite_store *s, const char *device, bool add, int64_t *id) {
  uint32_t slot = device_slot(device);
  if (strcmp(s->devices[slot].device, device) == 0) {
    *id = s->devices[slot].id;
    return STORE_OK;
  }
  *id = 0;
  query q = q_take(s, Q_DEVICE_FIND);
  q_text(&q, device);
  if (q_row(&q)) *id = q_get_int(&q, 0);
  int rc = q_done(&q);
  if (rc != STORE_OK) return rc;
  if (*id == 0) {
    if (!add) return STORE_OK;
    q = q_take(s, Q_DEVICE_ADD);
    q_text(&q, device);
    rc = q_run(&q);
    if (rc != STORE_OK) return rc;
    *id = sqlite3_last_insert_rowid(s->db);
  }
  snprintf(s->devices[slot].device, DEVICE_BYTES, "%s", device);
  s->devices[slot].id = *id;
  return STORE_OK;
}

void devices_forget(sqlite_store *s) {
  memset(s->devices, 0, sizeof s->devices);
}
