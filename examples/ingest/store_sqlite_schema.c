/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, as README.md explains them. Boot and session are 64 random or counted bits, kept in
 * SQLite's signed 64-bit integers bit for bit. Large columns stand last in their rows, so that what
 * is before them is read without them. */
#include <stdio.h>

#include "store_sqlite_parts.h"

#define SCHEMA_VERSION 1
#define APPLICATION_ID 0x4874656c /* "Htel" */

#define TEXT(x) #x
#define NUMBER_TEXT(x) TEXT(x)

static const char tables[] =
    "CREATE TABLE devices("
    " id INTEGER PRIMARY KEY, device TEXT NOT NULL UNIQUE,"
    " online INTEGER, online_boot INTEGER, status_ms INTEGER,"
    " keyed_asides INTEGER NOT NULL DEFAULT 0, other_asides INTEGER NOT NULL DEFAULT 0);"

    "CREATE TABLE births("
    " device_id INTEGER NOT NULL, schema INTEGER NOT NULL, received_ms INTEGER NOT NULL,"
    " firmware TEXT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY(device_id, schema)) WITHOUT ROWID;"

    "CREATE TABLE channels("
    " device_id INTEGER NOT NULL, schema INTEGER NOT NULL, channel INTEGER NOT NULL,"
    " name TEXT NOT NULL, code INTEGER NOT NULL, idx INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " unit TEXT NOT NULL, rate_num INTEGER NOT NULL, rate_den INTEGER NOT NULL,"
    " gain INTEGER NOT NULL, offset INTEGER NOT NULL, exponent INTEGER NOT NULL,"
    " PRIMARY KEY(device_id, schema, channel)) WITHOUT ROWID;"

    "CREATE TABLE frames("
    " id INTEGER PRIMARY KEY, device_id INTEGER NOT NULL, boot INTEGER NOT NULL,"
    " sequence INTEGER NOT NULL, digest BLOB NOT NULL, class INTEGER NOT NULL,"
    " tick INTEGER NOT NULL, session INTEGER NOT NULL, schema INTEGER NOT NULL,"
    " numerics INTEGER NOT NULL, samples INTEGER NOT NULL, alarms INTEGER NOT NULL,"
    " received_ms INTEGER NOT NULL, utc_offset_ms INTEGER, payload BLOB NOT NULL,"
    " UNIQUE(device_id, boot, sequence));"
    "CREATE INDEX frames_by_tick ON frames(device_id, boot, tick);"

    "CREATE TABLE numerics("
    " frame_id INTEGER NOT NULL, channel INTEGER NOT NULL, n INTEGER NOT NULL,"
    " tick INTEGER NOT NULL, value INTEGER NOT NULL, quality INTEGER NOT NULL,"
    " PRIMARY KEY(frame_id, channel, n)) WITHOUT ROWID;"

    "CREATE TABLE waves("
    " frame_id INTEGER NOT NULL, channel INTEGER NOT NULL, n INTEGER NOT NULL,"
    " tick INTEGER NOT NULL, phase INTEGER NOT NULL, count INTEGER NOT NULL, quality BLOB,"
    " samples BLOB NOT NULL, PRIMARY KEY(frame_id, channel, n)) WITHOUT ROWID;"

    "CREATE TABLE alarms("
    " frame_id INTEGER NOT NULL, channel INTEGER NOT NULL, n INTEGER NOT NULL,"
    " tick INTEGER NOT NULL, code INTEGER NOT NULL, state INTEGER NOT NULL,"
    " priority INTEGER NOT NULL, latched INTEGER NOT NULL, source INTEGER,"
    " PRIMARY KEY(frame_id, channel, n)) WITHOUT ROWID;"

    "CREATE TABLE anchors("
    " device_id INTEGER NOT NULL, boot INTEGER NOT NULL, tick INTEGER NOT NULL,"
    " utc_ms INTEGER NOT NULL, uncertainty_ms INTEGER NOT NULL, sequence INTEGER NOT NULL,"
    " PRIMARY KEY(device_id, boot, tick)) WITHOUT ROWID;"

    "CREATE TABLE losses("
    " device_id INTEGER NOT NULL, carrier_boot INTEGER NOT NULL, id INTEGER NOT NULL,"
    " carrier_sequence INTEGER NOT NULL, boot INTEGER NOT NULL, boot_last INTEGER NOT NULL,"
    " cause INTEGER NOT NULL, channel INTEGER NOT NULL, class INTEGER NOT NULL,"
    " sequence_first INTEGER NOT NULL, sequence_last INTEGER NOT NULL, frames INTEGER NOT NULL,"
    " tick_first INTEGER NOT NULL, tick_last INTEGER NOT NULL, readings INTEGER NOT NULL,"
    " at_most INTEGER NOT NULL, PRIMARY KEY(device_id, carrier_boot, id))"
    " WITHOUT ROWID;"

    "CREATE TABLE quarantine("
    " id INTEGER PRIMARY KEY, device_id INTEGER NOT NULL, boot INTEGER, sequence INTEGER,"
    " digest BLOB NOT NULL, reason TEXT NOT NULL, received_ms INTEGER NOT NULL,"
    " payload_bytes INTEGER NOT NULL, payload BLOB);"
    "CREATE INDEX quarantine_by_digest ON quarantine(device_id, digest);"
    "CREATE INDEX quarantine_by_key ON quarantine(device_id, boot, sequence);"

    "CREATE TABLE counters("
    " device_id INTEGER NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL,"
    " PRIMARY KEY(device_id, name)) WITHOUT ROWID;"

    "CREATE TABLE alerts("
    " id INTEGER PRIMARY KEY, device_id INTEGER NOT NULL, kind TEXT NOT NULL, boot INTEGER,"
    " sequence INTEGER, detail TEXT NOT NULL, utc_ms INTEGER NOT NULL);"
    "CREATE INDEX alerts_by_device ON alerts(device_id);";

/* For people. '1e' || exponent is a power of ten without the need for SQLite's optional maths. */
static const char views[] =
    "CREATE VIEW numerics_utc AS"
    " SELECT d.device, c.name, c.code, c.idx, n.tick + f.utc_offset_ms AS utc_ms,"
    " strftime('%Y-%m-%dT%H:%M:%f', (n.tick + f.utc_offset_ms) / 1000.0, 'unixepoch') AS utc,"
    " (n.value - c.offset) * CAST('1e' || c.exponent AS REAL) / c.gain AS physical, c.unit,"
    " n.value, n.quality, f.session, f.boot, f.sequence, n.tick"
    " FROM numerics n JOIN frames f ON f.id = n.frame_id JOIN devices d ON d.id = f.device_id"
    " JOIN channels c ON c.device_id = f.device_id AND c.schema = f.schema"
    " AND c.channel = n.channel;"

    "CREATE VIEW waves_utc AS"
    " SELECT d.device, c.name, c.code, c.idx, w.tick + f.utc_offset_ms AS utc_ms,"
    " strftime('%Y-%m-%dT%H:%M:%f', (w.tick + f.utc_offset_ms) / 1000.0, 'unixepoch') AS utc,"
    " w.count, c.rate_num, c.rate_den, c.gain, c.offset, c.exponent, c.unit,"
    " f.session, f.boot, f.sequence, w.tick, w.phase, w.quality, w.samples"
    " FROM waves w JOIN frames f ON f.id = w.frame_id JOIN devices d ON d.id = f.device_id"
    " JOIN channels c ON c.device_id = f.device_id AND c.schema = f.schema"
    " AND c.channel = w.channel;"

    "CREATE VIEW alarms_utc AS"
    " SELECT d.device, c.name, a.tick + f.utc_offset_ms AS utc_ms,"
    " strftime('%Y-%m-%dT%H:%M:%f', (a.tick + f.utc_offset_ms) / 1000.0, 'unixepoch') AS utc,"
    " a.code, a.state, a.priority, a.latched, s.name AS source, f.session, f.boot, f.sequence,"
    " a.tick"
    " FROM alarms a JOIN frames f ON f.id = a.frame_id JOIN devices d ON d.id = f.device_id"
    " JOIN channels c ON c.device_id = f.device_id AND c.schema = f.schema"
    " AND c.channel = a.channel"
    " LEFT JOIN channels s ON s.device_id = f.device_id AND s.schema = f.schema"
    " AND s.channel = a.source;";

static int pragma_get(sqlite3 *db, const char *sql, int *value) {
  sqlite3_stmt *stmt;
  if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) return -1;
  int rc = sqlite3_step(stmt) == SQLITE_ROW ? 0 : -1;
  if (rc == 0) *value = sqlite3_column_int(stmt, 0);
  sqlite3_finalize(stmt);
  return rc;
}

/* All or nothing, also when two ingests begin on an empty file at once. */
static int create(sqlite3 *db) {
  if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) return -1;
  int version = 0;
  if (pragma_get(db, "PRAGMA user_version", &version) == 0 && version == 0 &&
      sqlite3_exec(db, tables, NULL, NULL, NULL) == SQLITE_OK &&
      sqlite3_exec(db, views, NULL, NULL, NULL) == SQLITE_OK &&
      sqlite3_exec(db,
                   "PRAGMA user_version = " NUMBER_TEXT(
                       SCHEMA_VERSION) "; PRAGMA application_id = " NUMBER_TEXT(APPLICATION_ID),
                   NULL, NULL, NULL) == SQLITE_OK)
    version = SCHEMA_VERSION;
  if (version == SCHEMA_VERSION && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
    return 0;
  sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
  return -1;
}

int store_sqlite_schema(sqlite3 *db, bool may_create, char *error, size_t error_size) {
  int version = 0, application = 0, items = 0;
  if (pragma_get(db, "PRAGMA user_version", &version) != 0 ||
      pragma_get(db, "PRAGMA application_id", &application) != 0 ||
      pragma_get(db, "SELECT count(*) FROM sqlite_master", &items) != 0) {
    snprintf(error, error_size, "cannot be read as a SQLite database: %s", sqlite3_errmsg(db));
    return -1;
  }
  if (items == 0 && may_create) {
    if (create(db) == 0) return 0;
    snprintf(error, error_size, "its tables cannot be made: %s", sqlite3_errmsg(db));
    return -1;
  }
  if (application != APPLICATION_ID) {
    snprintf(error, error_size, "is not a database of htel-ingest: give another file");
    return -1;
  }
  if (version == SCHEMA_VERSION) return 0;
  snprintf(error, error_size,
           "has tables of version %d, this program knows %d: use the program that made it", version,
           SCHEMA_VERSION);
  return -1;
}
