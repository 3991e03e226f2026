/* SPDX-License-Identifier: Apache-2.0 */
/* device_verify.c - what a database has, held against what a device recorded. See device.h. */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "device.h"

#define BUSY_MS 5000

typedef struct check {
  const device *device;
  sqlite3 *db;
  bool losses;
  uint64_t stored;
} check;

/* The rows of this device, in the order of its frames. */
static sqlite3_stmt *rows(const check *c, const char *columns, const char *table, int channel) {
  char sql[512];
  sqlite3_stmt *stmt;
  snprintf(sql, sizeof sql,
           "SELECT %s FROM %s r JOIN frames f ON f.id = r.frame_id JOIN devices d ON d.id = "
           "f.device_id WHERE d.device = ? AND r.channel = ? ORDER BY f.boot, f.sequence, r.n",
           columns, table);
  assert_int_equal(sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL), SQLITE_OK);
  sqlite3_bind_text(stmt, 1, c->device->options.id, -1, SQLITE_STATIC);
  sqlite3_bind_int(stmt, 2, channel);
  return stmt;
}

/* `i`, at `tick`, comes after all before `next`: at once, unless something was lost. */
static void place_check(const check *c, uint64_t i, uint64_t next, uint32_t tick,
                        uint32_t period_ms) {
  if (c->losses)
    assert_true(i >= next);
  else
    assert_int_equal(i, next);
  assert_int_equal(tick, c->device->tick0 + (uint32_t)i * period_ms);
}

static uint64_t place(const check *c, uint32_t tick, uint32_t period_ms) {
  return (tick - c->device->tick0) / period_ms;
}

static int32_t sample_at(const uint8_t *bytes, int i) {
  const uint8_t *b = bytes + (size_t)i * 4;
  return (int32_t)(b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24);
}

static void waves_check(check *c) {
  sqlite3_stmt *stmt =
      rows(c, "r.tick, r.phase, r.count, r.quality, r.samples", "waves", DEVICE_ECG);
  uint64_t next = 0;
  while (sqlite3_step(stmt) == SQLITE_ROW) {
    uint32_t tick = (uint32_t)sqlite3_column_int64(stmt, 0);
    int count = sqlite3_column_int(stmt, 2);
    assert_int_equal(sqlite3_column_int64(stmt, 1), 0); /* periods are whole milliseconds */
    assert_int_equal(sqlite3_column_type(stmt, 3), SQLITE_NULL); /* all valid */
    assert_int_equal(sqlite3_column_bytes(stmt, 4), count * 4);
    uint64_t i = place(c, tick, DEVICE_SAMPLE_MS);
    place_check(c, i, next, tick, DEVICE_SAMPLE_MS);
    const uint8_t *samples = sqlite3_column_blob(stmt, 4);
    for (int k = 0; k < count; k++)
      assert_int_equal(sample_at(samples, k), device_sample(c->device, i + (uint64_t)k));
    next = i + (uint64_t)count;
    c->stored += (uint64_t)count;
  }
  sqlite3_finalize(stmt);
  if (!c->losses) assert_int_equal(next, c->device->samples);
}

static void numerics_check(check *c, unsigned channel) {
  sqlite3_stmt *stmt = rows(c, "r.tick, r.value, r.quality", "numerics", (int)channel);
  uint64_t next = 0;
  while (sqlite3_step(stmt) == SQLITE_ROW) {
    uint32_t tick = (uint32_t)sqlite3_column_int64(stmt, 0);
    uint64_t i = place(c, tick, DEVICE_NUMERIC_MS);
    place_check(c, i, next, tick, DEVICE_NUMERIC_MS);
    assert_int_equal(sqlite3_column_int(stmt, 1), device_value(c->device, channel, i));
    assert_int_equal(sqlite3_column_int(stmt, 2), HTEL_VALID);
    next = i + 1;
    c->stored++;
  }
  sqlite3_finalize(stmt);
  if (!c->losses) assert_int_equal(next, c->device->numerics);
}

static void alarms_check(check *c) {
  sqlite3_stmt *stmt = rows(c, "r.code", "alarms", DEVICE_ALARM);
  uint32_t next = DEVICE_ALARM_CODE;
  while (sqlite3_step(stmt) == SQLITE_ROW) {
    uint32_t code = (uint32_t)sqlite3_column_int64(stmt, 0);
    if (c->losses)
      assert_true(code >= next);
    else
      assert_int_equal(code, next);
    next = code + 1;
    c->stored++;
  }
  sqlite3_finalize(stmt);
  if (!c->losses) assert_int_equal(next - DEVICE_ALARM_CODE, c->device->alarms);
}

static uint64_t number(const check *c, const char *sql) {
  sqlite3_stmt *stmt;
  assert_int_equal(sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL), SQLITE_OK);
  sqlite3_bind_text(stmt, 1, c->device->options.id, -1, SQLITE_STATIC);
  assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
  uint64_t value = (uint64_t)sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  return value;
}

void device_verify(const device *self, const char *database, bool losses) {
  check c = {.device = self, .losses = losses};
  assert_int_equal(sqlite3_open_v2(database, &c.db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
  sqlite3_busy_timeout(c.db, BUSY_MS);
  waves_check(&c);
  for (unsigned i = 0; i < DEVICE_NUMERICS; i++) numerics_check(&c, DEVICE_NUMERIC + i);
  alarms_check(&c);
  uint64_t lost = number(&c,
                         "SELECT coalesce(sum(l.readings), 0) FROM losses l JOIN devices d ON "
                         "d.id = l.device_id WHERE d.device = ? AND l.at_most = 0");
  uint64_t twice = number(&c,
                          "SELECT coalesce(sum(k.count), 0) FROM counters k JOIN devices d ON d.id "
                          "= k.device_id WHERE d.device = ? AND k.name = 'duplicates'");
  print_message("%u readings stored, each once; %u lost, told so; %u frames came twice\n",
                (unsigned)c.stored, (unsigned)lost, (unsigned)twice);
  if (!losses) assert_int_equal(lost, 0);
  assert_int_equal(c.stored + lost,
                   self->waves.accepted + self->values.accepted + self->events.accepted);
  sqlite3_close(c.db);
}
