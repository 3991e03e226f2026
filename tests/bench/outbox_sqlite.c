/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* What an application does that has SQLite: a row for each frame, deleted by the receipt, with
 * journal_mode=WAL and synchronous=FULL, so that a committed frame survives a power cut. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outbox.h"

#define PATH_BYTES 512u

typedef struct sqlite_sink {
  sqlite3 *db;
  sqlite3_stmt *begin, *insert, *delete, *commit;
  uint32_t group, first; /* first: oldest row that is there */
  bool in_transaction;
  char path[PATH_BYTES];
} sqlite_sink;

static int fail(sqlite_sink *self) {
  fprintf(stderr, "htel-bench: %s: %s\n", self->path, sqlite3_errmsg(self->db));
  return -1;
}

static int step(sqlite3_stmt *stmt) {
  int rc = sqlite3_step(stmt);
  sqlite3_reset(stmt);
  return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : -1;
}

static int sqlite_put(outbox_sink *sink, uint32_t number, const uint8_t *bytes, uint32_t size) {
  sqlite_sink *self = sink->ctx;
  if (!self->in_transaction && step(self->begin) != 0) return fail(self);
  self->in_transaction = true;
  if (number >= self->first + OUTBOX_WINDOW) { /* a receipt, which costs no sync of its own */
    self->first += OUTBOX_RECEIPT;
    sqlite3_bind_int64(self->delete, 1, self->first);
    if (step(self->delete) != 0) return fail(self);
  }
  sqlite3_bind_int64(self->insert, 1, number);
  sqlite3_bind_blob(self->insert, 2, bytes, (int)size, SQLITE_STATIC);
  if (step(self->insert) != 0) return fail(self);
  if ((number + 1u) % self->group != 0) return 0;
  self->in_transaction = false;
  return step(self->commit) == 0 ? 0 : fail(self);
}

static void sqlite_close(outbox_sink *sink) {
  static const char *const suffixes[] = {"", "-wal", "-shm"};
  sqlite_sink *self = sink->ctx;
  sqlite3_finalize(self->begin);
  sqlite3_finalize(self->insert);
  sqlite3_finalize(self->delete);
  sqlite3_finalize(self->commit);
  sqlite3_close(self->db);
  for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
    char path[PATH_BYTES + 8];
    snprintf(path, sizeof path, "%s%s", self->path, suffixes[i]);
    unlink(path);
  }
  free(self);
}

static int prepare(sqlite_sink *self, const char *sql, sqlite3_stmt **stmt) {
  return sqlite3_prepare_v2(self->db, sql, -1, stmt, NULL) == SQLITE_OK ? 0 : -1;
}

int outbox_sqlite_sink(outbox_sink *sink, const char *directory, uint32_t group) {
  static const char setup[] =
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
      "CREATE TABLE frames(sequence INTEGER PRIMARY KEY, payload BLOB NOT NULL)";
  sqlite_sink *self = calloc(1, sizeof *self);
  if (self == NULL) return -1;
  *sink = (outbox_sink){.ctx = self, .put = sqlite_put, .close = sqlite_close};
  self->group = group;
  snprintf(self->path, sizeof self->path, "%s/htel-bench-%ld.db", directory, (long)getpid());
  if (sqlite3_open(self->path, &self->db) == SQLITE_OK &&
      sqlite3_exec(self->db, setup, NULL, NULL, NULL) == SQLITE_OK &&
      prepare(self, "BEGIN IMMEDIATE", &self->begin) == 0 &&
      prepare(self, "INSERT INTO frames VALUES(?1, ?2)", &self->insert) == 0 &&
      prepare(self, "DELETE FROM frames WHERE sequence < ?1", &self->delete) == 0 &&
      prepare(self, "COMMIT", &self->commit) == 0)
    return 0;
  fail(self);
  sqlite_close(sink);
  return -1;
}
