/* SPDX-License-Identifier: Apache-2.0 */
/* test_ingest.c - htel-ingest as it is run: against mosquitto with mutual TLS, frames published by
 * mosquitto_pub, receipts caught by mosquitto_sub; killed between commit and receipt; with the
 * broker gone; refusing wrong servers. */
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
#include "broker.h"
#include "code.h"
#include "frame.h"

#define DEV "dev-1"
#define RECEIPTS "htel/v1/" DEV "/receipt"
#define WAIT_MS 15000u
#define PATH_MAX_HERE (BROKER_PATH_MAX + 64)

static char certs[BROKER_PATH_MAX];
static broker mosquitto;

typedef struct bench {
  char dir[BROKER_PATH_MAX];
  char db[PATH_MAX_HERE], log[PATH_MAX_HERE], receipts[PATH_MAX_HERE];
  pid_t ingest, subscriber;
  uint32_t schema;
} bench;

/* ---- Messages --------------------------------------------------------------------------- */

static const htel_channel channels[] = {
    {.code = HTEL_MDC_PULSE_RATE_OXIMETER, .name = "PULSE", .unit = "/min", .kind = HTEL_NUMERIC}};

static void file_write(const char *path, const uint8_t *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  fclose(file);
}

/* Publishes what is in the file as the device, and waits for the broker's acknowledgement. */
static void publish_file(const char *kind, const char *path, bool retain) {
  char topic[64];
  snprintf(topic, sizeof topic, "htel/v1/" DEV "/%s", kind);
  broker_publish(&mosquitto, certs, DEV, topic, "-f", path, retain ? "-r" : NULL, NULL);
}

static void publish_birth(bench *b) {
  birth_source about = {"test", channels, 1};
  uint8_t bytes[512];
  uint32_t size = birth_size(&about);
  assert_true(size <= sizeof bytes);
  assert_int_equal(birth_read(&about, 0, bytes, size), 0);
  b->schema = birth_schema(&about);
  char path[PATH_MAX_HERE];
  snprintf(path, sizeof path, "%s/birth", b->dir);
  file_write(path, bytes, size);
  publish_file("birth", path, true);
}

static size_t frame_make(const bench *b, uint32_t sequence, int32_t value, uint8_t *out,
                         size_t room) {
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
  frame_parts parts = {.boot = 7,
                       .sequence = sequence,
                       .frame_class = HTEL_CLASS_NUMERIC,
                       .tick = tick,
                       .schema = b->schema,
                       .data = data,
                       .data_bytes = used};
  int size = frame_encode(&parts, out, room);
  assert_true(size > 0);
  return (size_t)size;
}

static void publish_frame(const bench *b, uint32_t sequence, int32_t value) {
  uint8_t bytes[256];
  char path[PATH_MAX_HERE];
  snprintf(path, sizeof path, "%s/frame", b->dir);
  file_write(path, bytes, frame_make(b, sequence, value, bytes, sizeof bytes));
  publish_file("frame", path, false);
}

/* ---- Programs --------------------------------------------------------------------------- */

static unsigned text_count(const char *path, const char *text) {
  char line[512];
  unsigned count = 0;
  FILE *file = fopen(path, "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    if (strstr(line, text) != NULL) count++;
  if (file != NULL) fclose(file);
  return count;
}

static void ingest_start_with(bench *b, const char *host, const char *ca_name, const char *option,
                              const char *value) {
  char address[64], ca[PATH_MAX_HERE], cert[PATH_MAX_HERE], key[PATH_MAX_HERE];
  snprintf(address, sizeof address, "%s:%u", host, (unsigned)mosquitto.port);
  snprintf(ca, sizeof ca, "%s/%s.crt", certs, ca_name);
  snprintf(cert, sizeof cert, "%s/ingest.crt", certs);
  snprintf(key, sizeof key, "%s/ingest.key", certs);
  remove(b->log);
  const char *arguments[] = {HTEL_INGEST, "run", "--db",  b->db, "--broker", address, "--ca", ca,
                             "--cert",    cert,  "--key", key,   option,     value,   NULL};
  b->ingest = process_start(b->log, arguments);
}

static void ingest_start(bench *b, const char *option, const char *value) {
  ingest_start_with(b, "localhost", "ca", option, value);
  assert_true(file_wait(b->log, "connected and subscribed"));
}

static void ingest_stop(bench *b) {
  int status = process_end(b->ingest, SIGTERM);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  b->ingest = -1;
}

/* Writes each receipt as a line of hex. */
static void subscriber_start(bench *b) {
  b->subscriber = broker_subscribe(&mosquitto, certs, DEV, RECEIPTS, b->receipts, "-F", "%x", NULL);
}

/* Until every receipt that the broker has taken is in the file. */
static void receipts_flush(const bench *b) {
  broker_publish(&mosquitto, certs, "ingest", RECEIPTS, "-m", "flushed", NULL);
  assert_true(file_wait(b->receipts, "666c7573686564")); /* the same in hex */
}

typedef enum about { STORED, QUARANTINED, BORN } about;

static bool receipt_says(const htel_receipt *r, about what, uint32_t number) {
  const htel_range *ranges = what == STORED ? r->stored : r->quarantined;
  unsigned count = what == STORED ? r->stored_count : r->quarantined_count;
  for (unsigned i = 0; what == BORN && i < r->birth_count; i++)
    if (r->births[i] == number) return true;
  for (unsigned i = 0; what != BORN && i < count; i++)
    if (r->boot == 7 && ranges[i].first <= number && number <= ranges[i].last) return true;
  return false;
}

static bool receipted(const bench *b, about what, uint32_t number) {
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

static bool wait_receipt(const bench *b, about what, uint32_t number) {
  for (uint64_t end = now_ms() + WAIT_MS; now_ms() < end; sleep_ms(20))
    if (receipted(b, what, number)) return true;
  return false;
}

static int64_t sql(const bench *b, const char *text) {
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

static bool wait_sql(const bench *b, const char *text, int64_t wanted) {
  for (uint64_t end = now_ms() + WAIT_MS; now_ms() < end; sleep_ms(20))
    if (sql(b, text) == wanted) return true;
  return false;
}

static int audit(const bench *b) {
  const char *arguments[] = {HTEL_INGEST, "audit", "--db", b->db, NULL};
  return process_run(b->log, arguments);
}

/* ---- Tests ------------------------------------------------------------------------------ */

static void test_frames_are_stored_receipted_and_audited(void **state) {
  bench *b = *state;
  ingest_start(b, NULL, NULL);
  subscriber_start(b);
  publish_birth(b);
  assert_true(wait_receipt(b, BORN, b->schema));
  for (uint32_t s = 1; s <= 3; s++) publish_frame(b, s, 60);
  publish_frame(b, 2, 60); /* again */
  publish_frame(b, 3, 61); /* the key of another */
  assert_true(wait_receipt(b, STORED, 3));
  assert_true(wait_receipt(b, QUARANTINED, 3));
  ingest_stop(b);
  assert_int_equal(sql(b, "SELECT count(*) FROM frames"), 3);
  assert_int_equal(sql(b, "SELECT sum(value) FROM numerics"), 180);
  assert_int_equal(sql(b, "SELECT count FROM counters WHERE name = 'duplicates'"), 1);
  assert_int_equal(audit(b), 3); /* an alert */
  assert_true(file_contains(b->log, "alert"));
}

static void test_kill_between_commit_and_receipt_stores_once_and_receipts_in_the_end(void **state) {
  bench *b = *state;
  subscriber_start(b);
  ingest_start(b, "--pause-after-commit-ms", "60000");
  publish_birth(b);
  assert_true(wait_sql(b, "SELECT count(*) FROM births", 1));
  process_end(b->ingest, SIGKILL); /* in its pause: the birth is committed and not receipted */
  ingest_start(b, "--pause-after-commit-ms", "0");
  publish_frame(b, 1, 60);
  assert_true(wait_receipt(b, STORED, 1));
  process_end(b->ingest, SIGKILL);
  ingest_start(b, "--pause-after-commit-ms", "60000");
  publish_frame(b, 2, 60);
  assert_true(wait_sql(b, "SELECT count(*) FROM frames", 2));
  receipts_flush(b);
  assert_false(receipted(b, STORED, 2)); /* committed, and nobody was told */
  process_end(b->ingest, SIGKILL);
  ingest_start(b, NULL, NULL);
  publish_frame(b, 2, 60); /* so the device sends it again */
  assert_true(wait_receipt(b, STORED, 2));
  ingest_stop(b);
  assert_int_equal(sql(b, "SELECT count(*) FROM frames"), 2);
  assert_int_equal(sql(b, "SELECT count(*) FROM numerics"), 2);
  assert_int_equal(audit(b), 0);
}

static void test_ingest_comes_back_after_the_broker(void **state) {
  bench *b = *state;
  ingest_start(b, NULL, NULL);
  subscriber_start(b);
  publish_birth(b);
  publish_frame(b, 1, 60);
  assert_true(wait_receipt(b, STORED, 1));
  for (uint32_t turn = 0; turn < 3; turn++) {
    unsigned up = text_count(b->log, "connected and subscribed");
    broker_kill(&mosquitto);
    process_end(b->subscriber, SIGTERM);
    broker_restart(&mosquitto);
    subscriber_start(b);
    uint64_t end = now_ms() + WAIT_MS;
    while (text_count(b->log, "connected and subscribed") == up && now_ms() < end) sleep_ms(20);
    publish_frame(b, 2 + turn, 60);
    assert_true(wait_receipt(b, STORED, 2 + turn));
  }
  ingest_stop(b);
  assert_int_equal(sql(b, "SELECT count(*) FROM frames"), 4);
  assert_int_equal(audit(b), 0);
}

static void test_wrong_name_and_wrong_authority_are_refused(void **state) {
  bench *b = *state;
  ingest_start_with(b, "127.0.0.1", "ca", NULL, NULL); /* the certificate says localhost */
  assert_true(file_wait(b->log, "trying again"));
  assert_false(file_contains(b->log, "subscribed"));
  process_end(b->ingest, SIGTERM);
  ingest_start_with(b, "localhost", "stranger", NULL, NULL);
  assert_true(file_wait(b->log, "certificate verify failed"));
  assert_false(file_contains(b->log, "subscribed"));
  ingest_stop(b);
}

static void test_cat_shows_what_the_database_has(void **state) {
  bench *b = *state;
  ingest_start(b, NULL, NULL);
  publish_birth(b);
  publish_frame(b, 1, 61);
  publish_frame(b, 2, 62);
  assert_true(wait_sql(b, "SELECT count(*) FROM frames", 2));
  ingest_stop(b);
  char out[PATH_MAX_HERE], raw[PATH_MAX_HERE], birth[PATH_MAX_HERE];
  snprintf(out, sizeof out, "%s/out", b->dir);
  const char *csv[] = {HTEL_CAT, "--csv", "--db", b->db, NULL};
  assert_int_equal(process_run(out, csv), 0);
  assert_true(file_contains(out, "t_ms,PULSE\n1000,61\n2000,62\n"));
  remove(out);
  snprintf(raw, sizeof raw, "%s/frame", b->dir);
  snprintf(birth, sizeof birth, "%s/birth", b->dir);
  const char *jsonl[] = {HTEL_CAT, "--jsonl", "--device", DEV, "--birth", birth, raw, NULL};
  assert_int_equal(process_run(out, jsonl), 0);
  assert_true(
      file_contains(out, "\"channel\":\"PULSE\",\"tick\":2000,\"value\":62,\"quality\":0}"));
  const char *birthless[] = {HTEL_CAT, raw, NULL};
  assert_int_equal(process_run(out, birthless), 1);
  assert_true(file_contains(out, "give --birth"));
}

/* ---- Setting up ------------------------------------------------------------------------- */

static int group_setup(void **state) {
  (void)state;
  broker_certs(certs, "--device", DEV, NULL);
  char stranger[BROKER_PATH_MAX], from[PATH_MAX_HERE], to[PATH_MAX_HERE];
  broker_certs(stranger, NULL); /* another authority */
  snprintf(from, sizeof from, "%s/ca.crt", stranger);
  snprintf(to, sizeof to, "%s/stranger.crt", certs);
  int rc = rename(from, to);
  directory_remove(stranger);
  return rc;
}

static int group_teardown(void **state) {
  (void)state;
  directory_remove(certs);
  return 0;
}

static int setup(void **state) {
  bench *b = calloc(1, sizeof *b);
  if (b == NULL) return -1;
  directory_make(b->dir);
  snprintf(b->db, sizeof b->db, "%s/ingest.db", b->dir);
  snprintf(b->log, sizeof b->log, "%s/log", b->dir);
  snprintf(b->receipts, sizeof b->receipts, "%s/receipts", b->dir);
  b->ingest = b->subscriber = -1;
  broker_start(&mosquitto, certs, "");
  *state = b;
  return 0;
}

static int teardown(void **state) {
  bench *b = *state;
  if (b->ingest > 0) process_end(b->ingest, SIGKILL);
  if (b->subscriber > 0) process_end(b->subscriber, SIGKILL);
  broker_stop(&mosquitto);
  directory_remove(b->dir);
  free(b);
  return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_frames_are_stored_receipted_and_audited),
      TEST(test_kill_between_commit_and_receipt_stores_once_and_receipts_in_the_end),
      TEST(test_ingest_comes_back_after_the_broker),
      TEST(test_wrong_name_and_wrong_authority_are_refused),
      TEST(test_cat_shows_what_the_database_has),
  };
  return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
