/* SPDX-License-Identifier: Apache-2.0 */
/* faults_scene.c - see faults_scene.h. HTEL_INGEST is the program, set by the build. */
#include "faults_scene.h"

#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "libc_faults.h"
#include "rabbitmq.h"

#define DELIVER_MS_MAX 40000u

faults_options faults;

/* ---- The ingest -------------------------------------------------------------------------- */

void scene_ingest(scene *self) {
  char at[32], ca[BROKER_PATH_MAX + 16], cert[BROKER_PATH_MAX + 16], key[BROKER_PATH_MAX + 16];
  snprintf(at, sizeof at, "localhost:%u", (unsigned)self->broker.port);
  snprintf(ca, sizeof ca, "%s/ca.crt", faults.certs);
  snprintf(cert, sizeof cert, "%s/ingest.crt", faults.certs);
  snprintf(key, sizeof key, "%s/ingest.key", faults.certs);
  const char *arguments[] = {
      HTEL_INGEST, "run",   "--db", self->database, "--broker", at,   "--ca", ca, "--cert",
      cert,        "--key", key,    "--json",       NULL,       NULL, NULL};
  if (self->ingest_pause_ms != NULL) {
    arguments[13] = "--pause-after-commit-ms";
    arguments[14] = self->ingest_pause_ms;
  }
  remove(self->ingest_log);
  self->ingest = process_start(self->ingest_log, arguments);
  if (!file_wait(self->ingest_log, "\"event\":\"up\"")) fail_msg("the ingest does not come up");
}

void scene_ingest_kill(scene *self) {
  process_end(self->ingest, SIGKILL);
  self->ingest = -1;
}

void scene_audit(scene *self, int expected) {
  char log[BROKER_PATH_MAX + 16];
  snprintf(log, sizeof log, "%s/audit.log", self->broker.dir);
  const char *arguments[] = {HTEL_INGEST, "audit", "--db", self->database,
                             "--device",  "dev-1", NULL};
  int status = process_run(log, arguments);
  if (status == expected) return;
  char line[256];
  FILE *file = fopen(log, "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) print_message("%s", line);
  if (file != NULL) fclose(file);
  assert_int_equal(status, expected);
}

uint64_t scene_number(const scene *self, const char *sql) {
  sqlite3 *db;
  sqlite3_stmt *stmt = NULL;
  uint64_t value = 0;
  if (sqlite3_open_v2(self->database, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
      sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
    value = (uint64_t)sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  sqlite3_close(db);
  return value;
}

/* ---- The whole --------------------------------------------------------------------------- */

void scene_begin(scene *self, const device_options *options) {
  static const device_options usual;
  if (faults.rabbitmq)
    broker_start_rabbitmq(&self->broker, faults.certs);
  else
    broker_start(&self->broker, faults.certs, "");
  snprintf(self->database, sizeof self->database, "%s/ingest.db", self->broker.dir);
  snprintf(self->ingest_log, sizeof self->ingest_log, "%s/ingest.log", self->broker.dir);
  self->ingest_pause_ms = NULL;
  scene_ingest(self);
  proxy_start(&self->proxy, self->broker.port);
  device_options o = options != NULL ? *options : usual;
  o.id = "dev-1";
  o.certs = faults.certs;
  o.port = self->proxy.port;
  o.mqtt = faults.mqtt;
  device_open(&self->device, &o);
}

void scene_heal(scene *self) {
  resolver_set(RESOLVER_GOOD);
  sockets_stutter(0, 0, 1);
  proxy_lead(&self->proxy, self->broker.port);
  proxy_set(&self->proxy, &(proxy_faults){0});
}

void scene_finish(scene *self) {
  device_close(&self->device, DELIVER_MS_MAX);
  int status = process_end(self->ingest, SIGTERM);
  self->ingest = -1;
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

void scene_check(scene *self, bool losses) {
  device_verify(&self->device, self->database, losses);
  scene_audit(self, 0);
}

void scene_free(scene *self) {
  device_free(&self->device);
  proxy_stop(&self->proxy);
  broker_stop(&self->broker);
}

void scene_end(scene *self) {
  scene_heal(self);
  scene_finish(self);
  scene_check(self, false);
  scene_free(self);
}

/* ---- Waiting ----------------------------------------------------------------------------- */

static unsigned until(scene *self, bool (*done)(device *), const char *what, unsigned ms) {
  uint64_t since = now_ms();
  if (!device_until(&self->device, done, ms))
    fail_msg("not %s after %u ms; last error %s", what, ms,
             htel_errname(device_stats(&self->device).last_error));
  return (unsigned)(now_ms() - since);
}

unsigned scene_until_up(scene *self, unsigned ms) {
  return until(self, device_is_up, "up", ms);
}

unsigned scene_until_down(scene *self, unsigned ms) {
  return until(self, device_is_down, "down", ms);
}
