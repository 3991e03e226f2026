/* SPDX-License-Identifier: Apache-2.0 */
/* test_ingest_faults.c - htel-ingest as it is run, when all goes wrong: frames from somebody who
 * means no good, the topic of another, a database that is locked or gone. The other device and its
 * readings must not feel any of it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <zlib.h>

#include "frame.h"
#include "ingest_bench.h"

/* What one hostile device may cost: the queue (16 MiB), a batch (8 MiB), SQLite's cache (32 MiB).
 */
#define RSS_GROWTH_KIB_MAX (64 * 1024)
#define OTHER_MS_MAX 5000u

/* ---- Hostile frames ----------------------------------------------------------------------- */

/* Publishes as DEV. */
static void give(bench *b, const uint8_t *bytes, size_t size) {
  publish(b, DEV, "frame", bytes, size, false);
}

/* With the checksum put right, so that it is read to its end. */
static void give_checked(bench *b, uint8_t *bytes, size_t size) {
  uint32_t crc = htel_crc32(0, bytes, size - 5);
  bytes[size - 5] = 0x7d;
  for (unsigned i = 0; i < 4; i++) bytes[size - 4 + i] = (uint8_t)(crc >> (8 * i));
  give(b, bytes, size);
}

static void give_data(bench *b, uint32_t sequence, const uint8_t *data, size_t size) {
  static uint8_t bytes[HTEL_FRAME_BYTES_MAX];
  give(b, bytes, frame_around(b, sequence, data, size, bytes, sizeof bytes));
}

static void give_cuts(bench *b) {
  uint8_t bytes[256];
  size_t size = frame_make(b, 100, 60, bytes, sizeof bytes);
  for (size_t cut = 1; cut < size; cut++) give(b, bytes, cut);
  assert_true(wait_sql(b, "SELECT count FROM counters WHERE name = 'unreadable'", (int)size - 1));
}

static void give_varints(bench *b) {
  uint8_t endless[64];
  memset(endless, 0xff, sizeof endless);
  give(b, endless, sizeof endless); /* no checksum */
  give_checked(b, endless, sizeof endless);
  uint8_t boot[32] = {0x10, 101, 0x08}; /* sequence 101, and a boot of eleven bytes */
  memset(boot + 3, 0x80, 10);
  boot[13] = 1;
  give_checked(b, boot, 19);
  uint8_t length[32] = {0x08, BENCH_BOOT, 0x10, 102, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f};
  give_checked(b, length, 15); /* 4 GiB of readings */
  assert_true(wait_sql(b, "SELECT count(*) FROM quarantine WHERE sequence = 102", 1));
}

enum { PULSE, ECG };
static const htel_channel monitor[] = {
    [PULSE] = {.code = HTEL_MDC_PULSE_RATE_OXIMETER, .unit = "/min", .kind = HTEL_NUMERIC},
    [ECG] = {.code = HTEL_MDC_ECG_LEAD_II, .unit = "mV", .kind = HTEL_WAVEFORM, .rate = {250, 1}},
};

/* Blocks of 512 equal readings in 7 bytes each: 4 million readings in 58 kB. */
static size_t blocks_make(uint8_t channel, uint8_t *out, size_t room) {
  const uint8_t block[] = {channel, 0xfd, 0x0f, 0, channel == ECG ? 0 : 2, 0, 2};
  size_t used = 0;
  for (; used + sizeof block <= room; used += sizeof block) memcpy(out + used, block, sizeof block);
  return used;
}

/* `size` bytes deflated, in a frame that says they are `claimed`. */
static size_t deflated_make(const bench *b, uint32_t sequence, const uint8_t *data, size_t size,
                            uint32_t claimed, uint8_t *out, size_t room) {
  static uint8_t packed[HTEL_FRAME_BYTES_MAX];
  z_stream z = {.zalloc = Z_NULL};
  assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY), Z_OK);
  uint8_t *from = malloc(size);
  assert_non_null(from);
  memcpy(from, data, size);
  z.next_in = from;
  z.avail_in = (uInt)size;
  z.next_out = packed;
  z.avail_out = sizeof packed;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  size_t used = sizeof packed - z.avail_out;
  deflateEnd(&z);
  free(from);
  frame_parts parts = {.boot = BENCH_BOOT,
                       .sequence = sequence,
                       .frame_class = HTEL_CLASS_NUMERIC,
                       .tick = 1000,
                       .schema = b->schema,
                       .coding = 1,
                       .data_size = claimed,
                       .data = packed,
                       .data_bytes = used};
  int made = frame_encode(&parts, out, room);
  assert_true(made > 0);
  return (size_t)made;
}

static void give_bombs(bench *b) {
  static uint8_t data[58000], bytes[HTEL_FRAME_BYTES_MAX];
  uint32_t sequence = 110;
  for (uint8_t channel = PULSE; channel <= ECG; channel++) {
    size_t size = blocks_make(channel, data, sizeof data);
    give_data(b, sequence++, data, size);
    give(b, bytes, /* as many in 300 bytes */
         deflated_make(b, sequence++, data, size, (uint32_t)size, bytes, sizeof bytes));
  }
  size_t zeros = 50000000;
  uint8_t *big = calloc(1, zeros);
  assert_non_null(big);
  static const uint32_t claims[] = {100, HTEL_INFLATED_BYTES_MAX, UINT32_MAX};
  for (size_t i = 0; i < 3; i++)
    give(b, bytes, deflated_make(b, sequence++, big, zeros, claims[i], bytes, sizeof bytes));
  free(big);
  for (sequence = 110; sequence <= 116; sequence++)
    assert_true(wait_receipt(b, QUARANTINED, sequence));
  assert_int_equal(sql(b, "SELECT count(*) FROM quarantine WHERE reason LIKE 'more readings%'"), 4);
}

/* Known and in quarantine, but each is decoded anew: 1,048,576 samples until it is given up. */
static void give_many_bombs(bench *b) {
  static uint8_t data[58000], bytes[HTEL_FRAME_BYTES_MAX];
  size_t size = blocks_make(ECG, data, sizeof data);
  size = deflated_make(b, 111, data, size, (uint32_t)size, bytes, sizeof bytes);
  give(b, bytes, size); /* makes the file */
  char path[BENCH_PATH_MAX];
  snprintf(path, sizeof path, "%s/frame", b->dir);
  broker_publish(&b->broker, bench_certs, DEV, "htel/v1/" DEV "/frame", "-f", path, "--repeat",
                 "50", NULL);
}

static void give_strange(bench *b) {
  static const uint8_t unknown_channel[] = {63, 0, 0, 0, 0};
  give_data(b, 130, unknown_channel, sizeof unknown_channel);
  uint32_t schema = b->schema;
  b->schema ^= 1; /* a birth that nobody has seen */
  give_data(b, 131, unknown_channel, sizeof unknown_channel);
  b->schema = schema;
  static uint8_t junk[HTEL_FRAME_BYTES_MAX];
  for (size_t i = 0; i < sizeof junk; i++) junk[i] = (uint8_t)(i * i >> 7);
  give(b, junk, sizeof junk);
}

/* The other device's next frame: stored, and in good time. */
static void other_is_well(bench *b, uint32_t sequence, unsigned *ms_max) {
  char text[128];
  snprintf(text, sizeof text,
           "SELECT count(*) FROM frames f JOIN devices d ON d.id = f.device_id"
           " WHERE device = '" OTHER "' AND sequence = %u",
           (unsigned)sequence);
  uint64_t from = now_ms();
  publish_frame(b, OTHER, sequence, 70);
  assert_true(wait_sql(b, text, 1));
  unsigned ms = (unsigned)(now_ms() - from);
  if (ms > *ms_max) *ms_max = ms;
}

static void test_hostile_frames_cost_little_and_harm_only_their_sender(void **state) {
  bench *b = *state;
  subscriber_start(b);
  ingest_start(b, NULL, NULL);
  publish_birth_of(b, DEV, monitor, 2);
  publish_birth_of(b, OTHER, monitor, 2);
  publish_frame(b, DEV, 1, 60);
  unsigned ms_max = 0;
  other_is_well(b, 1, &ms_max);
  long before = ingest_rss_kib(b);
  static void (*const attacks[])(bench * b) = {give_cuts, give_varints, give_bombs, give_many_bombs,
                                               give_strange};
  for (uint32_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
    attacks[i](b);
    other_is_well(b, 2 + i, &ms_max);
  }
  print_message("the other device waited %u ms at most; memory %ld KiB, %ld KiB before\n", ms_max,
                ingest_rss_kib(b), before);
  assert_true(ms_max <= OTHER_MS_MAX);
  assert_true(ingest_rss_kib(b) - before <= RSS_GROWTH_KIB_MAX);

  assert_true(wait_receipt(b, QUARANTINED, 130));
  assert_true(receipted(b, QUARANTINED, 102));
  assert_true(wait_receipt(b, WANTED, 0));
  assert_false(receipted(b, STORED, 100));
  ingest_stop(b);
  assert_int_equal(sql(b, "SELECT count(*) FROM frames"), 1 + 6);
  assert_int_equal(sql(b, "SELECT sum(value) FROM numerics"), 60 + 6 * 70);
  assert_int_equal(audit(b, OTHER), 0);
  assert_int_equal(audit(b, DEV), 3); /* alerts, and holes among its numbers */
}

static void test_packet_larger_than_any_frame_ends_at_the_broker(void **state) {
  bench *b = *state;
  ingest_start(b, NULL, NULL);
  publish_birth(b, OTHER);
  long before = ingest_rss_kib(b);
  char path[BENCH_PATH_MAX];
  snprintf(path, sizeof path, "%s/large", b->dir);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(ftruncate(fileno(file), 50000000), 0);
  fclose(file);
  assert_true(broker_publish_refused(&b->broker, bench_certs, DEV, "htel/v1/" DEV "/frame", "-f",
                                     path, NULL));
  unsigned ms_max = 0;
  other_is_well(b, 1, &ms_max);
  assert_true(ingest_rss_kib(b) - before < 4096);
  ingest_stop(b);
}

static void test_topic_of_another_is_out_of_reach(void **state) {
  bench *b = *state;
  ingest_start(b, NULL, NULL);
  publish_birth(b, DEV);
  publish_birth(b, OTHER);
  publish_frame(b, OTHER, 1, 70);
  char path[BENCH_PATH_MAX];
  snprintf(path, sizeof path, "%s/frame", b->dir);
  uint8_t bytes[256];
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  size_t size = frame_make(b, 2, 66, bytes, sizeof bytes);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  fclose(file);
  static const char *const kinds[] = {"frame", "birth", "status", "receipt"};
  for (size_t i = 0; i < 4; i++) {
    char topic[64];
    snprintf(topic, sizeof topic, "htel/v1/" OTHER "/%s", kinds[i]);
    broker_publish(&b->broker, bench_certs, DEV, topic, "-f", path, NULL);
  }
  publish_frame(b, DEV, 1, 60);
  assert_true(wait_sql(b, "SELECT count(*) FROM frames", 2));
  /* Were it let in, a known key would not change what is stored. */
  publish_frame(b, OTHER, 1, 99);
  assert_true(wait_sql(b, "SELECT count(*) FROM quarantine", 1));
  ingest_stop(b);
  assert_int_equal(sql(b, "SELECT sum(value) FROM numerics"), 60 + 70);
  assert_int_equal(sql(b, "SELECT count(*) FROM alerts WHERE kind = 'conflict'"), 1);
}

/* ---- The database --------------------------------------------------------------------------- */

static void test_locked_database_is_waited_for(void **state) {
  bench *b = *state;
  subscriber_start(b);
  ingest_start(b, NULL, NULL);
  publish_birth(b, DEV);
  publish_frame(b, DEV, 1, 60);
  assert_true(wait_receipt(b, STORED, 1));
  sqlite3 *other;
  assert_int_equal(sqlite3_open(b->db, &other), SQLITE_OK);
  sqlite3_busy_timeout(other, 5000);
  assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  for (uint32_t s = 2; s <= 5; s++) publish_frame(b, DEV, s, 60);
  assert_true(wait_log(b, "cannot be written", 1));
  receipts_flush(b);
  assert_false(receipted(b, STORED, 2));
  assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(other);
  assert_true(wait_receipt(b, STORED, 5)); /* nobody sent them again */
  assert_true(wait_log(b, "can be written again", 1));
  ingest_stop(b);
  assert_int_equal(sql(b, "SELECT count(*) FROM numerics"), 5);
  assert_int_equal(audit(b, NULL), 0);
}

static void db_remove(const bench *b) {
  static const char *const ends[] = {"", "-wal", "-shm"};
  for (size_t i = 0; i < 3; i++) {
    char path[BENCH_PATH_MAX + 8];
    snprintf(path, sizeof path, "%s%s", b->db, ends[i]);
    assert_int_equal(unlink(path), 0);
  }
}

static void test_deleted_database_receipts_nothing_and_comes_back_by_itself(void **state) {
  bench *b = *state;
  subscriber_start(b);
  ingest_start(b, NULL, NULL);
  publish_birth(b, DEV);
  publish_frame(b, DEV, 1, 60);
  assert_true(wait_receipt(b, STORED, 1));
  db_remove(b);
  publish_frame(b, DEV, 2, 61);
  assert_true(wait_receipt(b, WANTED, 0)); /* by a new database, which knows nothing */
  assert_false(receipted(b, STORED, 2));
  assert_true(wait_log(b, "cannot be written", 1));
  assert_true(wait_log(b, "can be written again", 1));
  publish_birth(b, DEV);
  publish_frame(b, DEV, 2, 61);
  assert_true(wait_receipt(b, STORED, 2));
  ingest_kill(b);
  assert_int_equal(sql(b, "SELECT sum(value) FROM numerics"), 61);
  assert_int_equal(audit(b, NULL), 3); /* number 1 was receipted and is gone: that is said */
}

static void test_database_that_cannot_be_opened_is_said_at_once(void **state) {
  bench *b = *state;
  snprintf(b->db, sizeof b->db, "%s/nowhere/ingest.db", b->dir);
  ingest_start_with(b, "localhost", "ca", NULL, NULL);
  assert_true(file_wait(b->log, "check path and permissions"));
  int status = process_end(b->ingest, 0);
  b->ingest = -1;
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_hostile_frames_cost_little_and_harm_only_their_sender),
      TEST(test_packet_larger_than_any_frame_ends_at_the_broker),
      TEST(test_topic_of_another_is_out_of_reach),
      TEST(test_locked_database_is_waited_for),
      TEST(test_deleted_database_receipts_nothing_and_comes_back_by_itself),
      TEST(test_database_that_cannot_be_opened_is_said_at_once),
  };
  return cmocka_run_group_tests(tests, bench_group_setup, bench_group_teardown);
}
