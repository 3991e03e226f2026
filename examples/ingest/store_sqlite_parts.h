/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_parts.h - what the two halves of the SQLite store (writing, reading) share.
 *
 * A statement is used in one pattern: q_take it, bind with q_int, q_text, q_blob, q_null from left
 * to right, then q_run (no rows) or q_row until it stops, q_done. Errors stick, q_run and q_done
 * tell them: a chain of binds needs no checks in between. */
#ifndef INGEST_STORE_SQLITE_PARTS_H
#define INGEST_STORE_SQLITE_PARTS_H

#include <sqlite3.h>

#include "store.h"

/* X(name, SQL): every statement of the store. Prepared when first used. */
#define STATEMENTS(X)                                                                              \
  X(BEGIN, "BEGIN IMMEDIATE")                                                                      \
  X(COMMIT, "COMMIT")                                                                              \
  X(ROLLBACK, "ROLLBACK")                                                                          \
  X(DEVICE_FIND, "SELECT id FROM devices WHERE device = ?")                                        \
  X(DEVICE_ADD, "INSERT INTO devices(device) VALUES(?)")                                           \
  X(DEVICE_STATUS, "UPDATE devices SET online = ?, online_boot = ?, status_ms = ? WHERE id = ?")   \
  X(FRAME_ADD,                                                                                     \
    "INSERT INTO frames(device_id, boot, sequence, digest, class, tick, session, schema,"          \
    " numerics, samples, alarms, received_ms, utc_offset_ms, payload)"                             \
    " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"                                            \
    " ON CONFLICT(device_id, boot, sequence) DO NOTHING")                                          \
  X(FRAME_DIGEST, "SELECT digest FROM frames WHERE device_id = ? AND boot = ? AND sequence = ?")   \
  X(NUMERIC_ADD, "INSERT INTO numerics VALUES(?, ?, ?, ?, ?, ?)")                                  \
  X(WAVE_ADD, "INSERT INTO waves VALUES(?, ?, ?, ?, ?, ?, ?, ?)")                                  \
  X(ALARM_ADD, "INSERT INTO alarms VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)")                             \
  X(ASIDE_FIND, "SELECT 1 FROM quarantine WHERE device_id = ? AND digest = ?")                     \
  X(ASIDE_ADD,                                                                                     \
    "INSERT INTO quarantine(device_id, boot, sequence, digest, reason, received_ms,"               \
    " payload_bytes, payload) VALUES(?, ?, ?, ?, ?, ?, ?, ?)")                                     \
  X(ASIDE_COUNT, "SELECT keyed_asides, other_asides FROM devices WHERE id = ?")                    \
  X(ASIDE_COUNT_ADD,                                                                               \
    "UPDATE devices SET keyed_asides = keyed_asides + ?, other_asides = other_asides + ?"          \
    " WHERE id = ?")                                                                               \
  X(LOSS_ADD,                                                                                      \
    "REPLACE INTO losses SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15," \
    " ?16 WHERE NOT EXISTS (SELECT 1 FROM losses WHERE device_id = ?1 AND carrier_boot = ?2 AND"   \
    " id = ?3 AND (readings > ?15 OR (readings = ?15 AND frames >= ?12)))")                        \
  X(BIRTH_FIND, "SELECT bytes FROM births WHERE device_id = ? AND schema = ?")                     \
  X(BIRTH_COUNT, "SELECT count(*) FROM births WHERE device_id = ?")                                \
  X(BIRTH_ADD,                                                                                     \
    "INSERT INTO births(device_id, schema, received_ms, firmware, bytes) VALUES(?, ?, ?, ?, ?)")   \
  X(CHANNEL_ADD, "INSERT INTO channels VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")             \
  X(COUNTER_ADD,                                                                                   \
    "INSERT INTO counters VALUES(?1, ?2, ?3)"                                                      \
    " ON CONFLICT(device_id, name) DO UPDATE SET count = count + ?3")                              \
  X(COUNTERS, "SELECT name, count FROM counters WHERE device_id = ?")                              \
  X(ALERT_COUNT, "SELECT count(*) FROM alerts WHERE device_id = ?")                                \
  X(ALERT_ADD,                                                                                     \
    "INSERT INTO alerts(device_id, kind, boot, sequence, detail, utc_ms)"                          \
    " VALUES(?, ?, ?, ?, ?, ?)")                                                                   \
  X(ANCHOR_ADD,                                                                                    \
    "INSERT INTO anchors VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(device_id, boot, tick)"        \
    " DO UPDATE SET utc_ms = ?4, uncertainty_ms = ?5, sequence = ?6 WHERE sequence < ?6")          \
  X(ANCHOR_BEFORE,                                                                                 \
    "SELECT tick, utc_ms, uncertainty_ms FROM anchors WHERE device_id = ? AND boot = ?"            \
    " AND tick <= ? ORDER BY tick DESC LIMIT 1")                                                   \
  X(ANCHOR_AFTER,                                                                                  \
    "SELECT tick, utc_ms, uncertainty_ms FROM anchors WHERE device_id = ? AND boot = ?"            \
    " AND tick > ? ORDER BY tick LIMIT 1")                                                         \
  X(FRAMES_PLACE,                                                                                  \
    "UPDATE frames SET utc_offset_ms = ?1 WHERE device_id = ?2 AND boot = ?3"                      \
    " AND tick BETWEEN ?4 AND ?5 AND utc_offset_ms IS NOT ?1")                                     \
  X(DEVICES, "SELECT device FROM devices ORDER BY device")                                         \
  X(FRAMES,                                                                                        \
    "SELECT boot, sequence, class, numerics, samples, alarms, length(payload) FROM frames"         \
    " WHERE device_id = ? ORDER BY boot, sequence")                                                \
  X(FRAMES_SUM,                                                                                    \
    "SELECT count(*), ifnull(sum(numerics + samples + alarms), 0) FROM frames"                     \
    " WHERE device_id = ? AND boot = ? AND sequence BETWEEN ? AND ? AND class = ?")                \
  X(ASIDES,                                                                                        \
    "SELECT boot, sequence FROM quarantine WHERE device_id = ? AND boot IS NOT NULL"               \
    " ORDER BY boot, sequence")                                                                    \
  X(LOSSES,                                                                                        \
    "SELECT boot, cause, channel, class, sequence_first, sequence_last, frames, tick_first,"       \
    " tick_last, readings, at_most, carrier_boot, carrier_sequence, id, boot_last FROM losses"     \
    " WHERE device_id = ? ORDER BY carrier_boot, id")                                              \
  X(ALERTS,                                                                                        \
    "SELECT kind, boot, sequence, detail, utc_ms FROM alerts WHERE device_id = ? ORDER BY id")

#define STATEMENT_ENUM(name, sql) Q_##name,
typedef enum statement { STATEMENTS(STATEMENT_ENUM) Q_COUNT } statement;
#undef STATEMENT_ENUM

#define DEVICE_CACHE 256u /* power of two */

typedef struct sqlite_store {
  sqlite3 *db;      /* NULL: gone, and not yet opened anew */
  const char *path; /* the caller's */
  bool has_wal;     /* there is a file for what is committed and not yet in the main one */
  bool gone;        /* the file that `db` writes to is not the one at `path` any more */
  sqlite3_stmt *statements[Q_COUNT];
  struct {
    char device[DEVICE_BYTES]; /* "" where free */
    int64_t id;
  } devices[DEVICE_CACHE]; /* forgotten at a rollback, which may take a new device with it */
} sqlite_store;

/* A statement in use. */
typedef struct query {
  sqlite3_stmt *stmt; /* NULL after an error */
  int bound;
  int rc;
} query;

query q_take(sqlite_store *s, statement which);
void q_int(query *q, int64_t value);
void q_text(query *q, const char *text);               /* must stay until q_run or q_done */
void q_blob(query *q, const void *bytes, size_t size); /* likewise */
void q_null(query *q);
bool q_row(query *q); /* true: a row to be read */
int q_done(query *q); /* STORE_* */
int q_run(query *q);  /* for statements without rows */
int64_t q_get_int(const query *q, int column);

/* What is remembered of device numbers may be of a transaction that was rolled back. */
void devices_forget(sqlite_store *s);

/* The device's row number. *id is 0 when it is not there and `add` is false. */
int q_device_id(sqlite_store *s, const char *device, bool add, int64_t *id);

/* The functions of store_sqlite_read.c. */
void store_sqlite_add_readers(store *s);

/* Makes or checks the tables. 0, or -1 with `error` filled in. store_sqlite_schema.c */
int store_sqlite_schema(sqlite3 *db, bool may_create, char *error, size_t error_size);

#endif
