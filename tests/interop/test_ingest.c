/* SPDX-License-Identifier: Apache-2.0 */
/* test_ingest.c - htel-ingest as it is run: against mosquitto with mutual TLS, frames published by
 * mosquitto_pub, receipts caught by mosquitto_sub; killed between commit and receipt; with the
 * broker gone; refusing wrong servers. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "ingest_bench.h"

/* ---- Tests ------------------------------------------------------------------------------ */

static void test_frames_are_stored_receipted_and_audited(void **state) {
  bench *b = *state;
  ingest_start(b, NULL, NULL);
  subscriber_start(b);
  publish_birth(b, DEV);
  assert_true(wait_receipt(b, BORN, b->schema));
  for (uint32_t s = 1; s <= 3; s++) publish_frame(b, DEV, s, 60);
  publish_frame(b, DEV, 2, 60); /* again */
  publish_frame(b, DEV, 3, 61); /* the key of another */
  assert_true(wait_receipt(b, STORED, 3));
  assert_true(wait_receipt(b, QUARANTINED, 3));
  ingest_stop(b);
  assert_int_equal(sql(b, "SELECT count(*) FROM frames"), 3);
  assert_int_equal(sql(b, "SELECT sum(value) FROM numerics"), 180);
  assert_int_equal(sql(b, "SELECT count FROM counters WHERE name = 'duplicates'"), 1);
  assert_int_equal(audit(b, NULL), 3); /* an alert */
  assert_true(file_contains(b->log, "alert"));
}

static void test_kill_between_commit_and_receipt_stores_once_and_receipts_in_the_end(void **state) {
  bench *b = *state;
  subscriber_start(b);
  ingest_start(b, "--pause-after-commit-ms", "60000");
  publish_birth(b, DEV);
  assert_true(wait_sql(b, "SELECT count(*) FROM births", 1));
  ingest_kill(b); /* in its pause: the birth is committed and not receipted */
  ingest_start(b, "--pause-after-commit-ms", "0");
  publish_frame(b, DEV, 1, 60);
  assert_true(wait_receipt(b, STORED, 1));
  ingest_kill(b);
  publish_frame(b, DEV, 2, 60); /* before it is back: its first commit has it, beside the birth */
  ingest_start(b, "--pause-after-commit-ms", "60000");
  assert_true(wait_sql(b, "SELECT count(*) FROM frames", 2));
  receipts_flush(b);
  assert_false(receipted(b, STORED, 2)); /* committed, and nobody was told */
  ingest_kill(b);
  ingest_start(b, NULL, NULL);
  publish_frame(b, DEV, 2, 60); /* so the device sends it again */
  assert_true(wait_receipt(b, STORED, 2));
  ingest_stop(b);
  assert_int_equal(sql(b, "SELECT count(*) FROM frames"), 2);
  assert_int_equal(sql(b, "SELECT count(*) FROM numerics"), 2);
  assert_int_equal(audit(b, NULL), 0);
}

static void test_ingest_comes_back_after_the_broker(void **state) {
  bench *b = *state;
  ingest_start(b, NULL, NULL);
  subscriber_start(b);
  publish_birth(b, DEV);
  publish_frame(b, DEV, 1, 60);
  assert_true(wait_receipt(b, STORED, 1));
  for (uint32_t turn = 0; turn < 3; turn++) {
    unsigned up = log_count(b, "connected and subscribed");
    broker_kill(&b->broker);
    process_end(b->subscriber, SIGTERM);
    broker_restart(&b->broker);
    subscriber_start(b);
    uint64_t end = now_ms() + BENCH_WAIT_MS;
    while (log_count(b, "connected and subscribed") == up && now_ms() < end) sleep_ms(20);
    publish_frame(b, DEV, 2 + turn, 60);
    assert_true(wait_receipt(b, STORED, 2 + turn));
  }
  ingest_stop(b);
  assert_int_equal(sql(b, "SELECT count(*) FROM frames"), 4);
  assert_int_equal(audit(b, NULL), 0);
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
  publish_birth(b, DEV);
  publish_frame(b, DEV, 1, 61);
  publish_frame(b, DEV, 2, 62);
  assert_true(wait_sql(b, "SELECT count(*) FROM frames", 2));
  ingest_stop(b);
  char out[BENCH_PATH_MAX], raw[BENCH_PATH_MAX], birth[BENCH_PATH_MAX];
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_frames_are_stored_receipted_and_audited),
      TEST(test_kill_between_commit_and_receipt_stores_once_and_receipts_in_the_end),
      TEST(test_ingest_comes_back_after_the_broker),
      TEST(test_wrong_name_and_wrong_authority_are_refused),
      TEST(test_cat_shows_what_the_database_has),
  };
  return cmocka_run_group_tests(tests, bench_group_setup, bench_group_teardown);
}
