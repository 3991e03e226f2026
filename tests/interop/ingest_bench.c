/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_bench.c - see ingest_bench.h. HTEL_INGEST is the program, set by the build. */
#include "ingest_bench.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "birth.h"
#include "code.h"
#include "frame.h"

#define RECEIPTS "htel/v1/" DEV "/receipt"

char bench_certs[BROKER_PATH_MAX];

/* ---- Messages --------------------------------------------------------------------------- */

void publish(bench *b, const char *device, const char *kind, const void *bytes, size_t size,
             bool retain) {
  char topic[64], path[BENCH_PATH_MAX];
  snprintf(topic, sizeof topic, "htel/v1/%s/%s", device, kind);
  snprintf(path, sizeof path, "%s/%s", b->dir, kind);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  fclose(file);
  broker_publish(&b->broker, bench_certs, device, topic, "-f", path, retain ? "-r" : NULL, NULL);
}

void publish_birth_of(bench *b, const char *device, const htel_channel *channels, uint16_t count) {
  birth_source source = {"test", channels, count};
  uint8_t bytes[512];
  uint32_t size = birth_size(&source);
  assert_true(size <= sizeof bytes);
  assert_int_equal(birth_read(&source, 0, bytes, size), 0);
  b->schema = birth_schema(&source);
  publish(b, device, "birth", bytes, size, true);
}

void publish_birth(bench *b, const char *device) {
  static const htel_channel pulse = {
      .code = HTEL_MDC_PULSE_RATE_OXIMETER, .name = "PULSE", .unit = "/min", .kind = HTEL_NUMERIC};
  publish_birth_of(b, device, &pulse, 1);
}

size_t frame_around(const bench *b, uint32_t sequence, const uint8_t *data, size_t size,
                    uint8_t *out, size_t room) {
  frame_parts parts = {.boot = BENCH_BOOT,
                       .sequence = sequence,
                       .frame_class = HTEL_CLASS_NUMERIC,
                       .tick = 1000 * sequence,
                       .schema = b->schema,
                       .data = data,
                       .data_bytes = size};
  int made = frame_encode(&parts, out, room);
  assert_true(made > 0);
  return (size_t)made;
}

size_t frame_make(const bench *b, uint32_t sequence, int32_t value, uint8_t *out, size_t room) {
  uint8_t data[64];
  uint32_t tick = 1000 * sequence;
  code_column column = {.channel = 0,
                        .kind = HTEL_NUMERIC,
                        .count = 1,
                        .values = &value,
                        .tick_first = tick,
                        .ticks = &tick};
  size_t used = code_block_encode(&column, tick, CODE_RICE, data, sizeof data);
  assert_true(used > 0);
  return frame_around(b, sequence, data, used, out, room);
}

void publish_frame(bench *b, const char *device, uint32_t sequence, int32_t value) {
  uint8_t bytes[256];
  publish(b, device, "frame", bytes, frame_make(b, sequence, value, bytes, sizeof bytes), false);
}

/* ---- The ingest --------------------------------------------------------------------------- */

unsigned log_count(const bench *b, const char *text) {
  char line[512];
  unsigned count = 0;
  FILE *file = fopen(b->log, "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strstr(line, text) != NULL) count++;
  }
  if (file != NULL) fclose(file);
  return count;
}

bool wait_log(const bench *b, const char *text, unsigned count) {
  for (uint64_t end = now_ms() + BENCH_WAIT_MS; now_ms() < end; sleep_ms(20)) {
    if (log_count(b, text) >= count) return true;
  }
  return false;
}

void ingest_start_with(bench *b, const char *host, const char *ca_name, const char *option,
                       const char *value) {
  char address[64], ca[BENCH_PATH_MAX], cert[BENCH_PATH_MAX], key[BENCH_PATH_MAX];
  snprintf(address, sizeof address, "%s:%u", host, (unsigned)b->broker.port);
  snprintf(ca, sizeof ca, "%s/%s.crt", bench_certs, ca_name);
  snprintf(cert, sizeof cert, "%s/ingest.crt", bench_certs);
  snprintf(key, sizeof key, "%s/ingest.key", bench_certs);
  remove(b->log);
  const char *arguments[] = {HTEL_INGEST, "run", "--db",  b->db, "--broker", address, "--ca", ca,
                             "--cert",    cert,  "--key", key,   option,     value,   NULL};
  b->ingest = process_start(b->log, arguments);
}

void ingest_start(bench *b, const char *option, const char *value) {
  ingest_start_with(b, "localhost", "ca", option, value);
  assert_true(file_wait(b->log, "connected and subscribed"));
}

void ingest_stop(bench *b) {
  int status = process_end(b->ingest, SIGTERM);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  b->ingest = -1;
}

void ingest_kill(bench *b) {
  process_end(b->ingest, SIGKILL);
  b->ingest = -1;
}

long ingest_rss_kib(const bench *b) {
  char path[64], line[128];
  long kib = -1;
  snprintf(path, sizeof path, "/proc/%ld/status", (long)b->ingest);
  FILE *file = fopen(path, "r");
  while (file != NULL && kib < 0 && fgets(line, sizeof line, file) != NULL) {
    sscanf(line, "VmHWM: %ld kB", &kib);
  }
  if (file != NULL) fclose(file);
  assert_true(kib > 0);
  return kib;
}

/* ---- Receipts ----------------------------------------------------------------------------- */

/* Each as a line of hex. */
void subscriber_start(bench *b) {
  b->subscriber =
      broker_subscribe(&b->broker, bench_certs, DEV, RECEIPTS, b->receipts, "-F", "%x", NULL);
}

void receipts_flush(const bench *b) {
  broker_publish(&b->broker, bench_certs, "ingest", RECEIPTS, "-m", "flushed", NULL);
  assert_true(file_wait(b->receipts, "666c7573686564")); /* the same in hex */
}

static bool receipt_says(const htel_receipt *r, about what, uint32_t number) {
  const htel_range *ranges = what == STORED ? r->stored : r->quarantined;
  unsigned count = what == STORED ? r->stored_count : r->quarantined_count;
  if (what == WANTED) return r->birth_wanted;
  for (unsigned i = 0; what == BORN && i < r->birth_count; i++)
    if (r->births[i] == number) return true;
  for (unsigned i = 0; what != BORN && i < count; i++)
    if (r->boot == BENCH_BOOT && ranges[i].first <= number && number <= ranges[i].last) return true;
  return false;
}

bool receipted(const bench *b, about what, uint32_t number) {
  FILE *file = fopen(b->receipts, "r");
  char line[2 * HTEL_RECEIPT_BYTES_MAX + 8];
  bool found = false;
  while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
    uint8_t bytes[HTEL_RECEIPT_BYTES_MAX];
    size_t size = 0;
    unsigned byte;
    while (size < sizeof bytes && sscanf(line + 2 * size, "%2x", &byte) == 1)
      bytes[size++] = (uint8_t)byte;
    htel_receipt receipt;
    found = htel_receipt_decode(&receipt, bytes, size) == 0 && receipt_says(&receipt, what, number);
  }
  if (file != NULL) fclose(file);
  return found;
}

bool wait_receipt(const bench *b, about what, uint32_t number) {
  for (uint64_t end = now_ms() + BENCH_WAIT_MS; now_ms() < end; sleep_ms(20))
    if (receipted(b, what, number)) return true;
  return false;
}

/* ---- The database ------------------------------------------------------------------------- */

int64_t sql(const bench *b, const char *text) {
  sqlite3 *db;
  sqlite3_stmt *stmt = NULL;
  int64_t value = -1;
  if (sqlite3_open_v2(b->db, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
      sqlite3_prepare_v2(db, text, -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_step(stmt) == SQLITE_ROW)
    value = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  sqlite3_close(db);
  return value;
}

bool wait_sql(const bench *b, const char *text, int64_t wanted) {
  for (uint64_t end = now_ms() + BENCH_WAIT_MS; now_ms() < end; sleep_ms(20))
    if (sql(b, text) == wanted) return true;
  return false;
}

int audit(const bench *b, const char *device) {
  const char *arguments[] = {
      HTEL_INGEST, "audit", "--db", b->db, device == NULL ? NULL : "--device", device, NULL};
  return process_run(b->log, arguments);
}

/* ---- Setting up ------------------------------------------------------------------------- */

int bench_group_setup(void **state) {
  (void)state;
  broker_certs(bench_certs, "--device", DEV, "--device", OTHER, NULL);
  char stranger[BROKER_PATH_MAX], from[BENCH_PATH_MAX], to[BENCH_PATH_MAX];
  broker_certs(stranger, NULL);
  snprintf(from, sizeof from, "%s/ca.crt", stranger);
  snprintf(to, sizeof to, "%s/stranger.crt", bench_certs);
  int rc = rename(from, to);
  directory_remove(stranger);
  return rc;
}

int bench_group_teardown(void **state) {
  (void)state;
  directory_remove(bench_certs);
  return 0;
}

int bench_setup(void **state) {
  bench *b = calloc(1, sizeof *b);
  if (b == NULL) return -1;
  directory_make(b->dir);
  snprintf(b->db, sizeof b->db, "%s/ingest.db", b->dir);
  snprintf(b->log, sizeof b->log, "%s/log", b->dir);
  snprintf(b->receipts, sizeof b->receipts, "%s/receipts", b->dir);
  b->ingest = b->subscriber = -1;
  /* As examples/mosquitto.conf.in has it. */
  broker_start(&b->broker, bench_certs, "max_packet_size 65536\n");
  *state = b;
  return 0;
}

int bench_teardown(void **state) {
  bench *b = *state;
  if (b->ingest > 0) process_end(b->ingest, SIGKILL);
  if (b->subscriber > 0) process_end(b->subscriber, SIGKILL);
  broker_stop(&b->broker);
  directory_remove(b->dir);
  free(b);
  return 0;
}
