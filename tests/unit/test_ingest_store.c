/* SPDX-License-Identifier: Apache-2.0 */
/* The database file itself: reopened, locked by another process, on a full disk, of another
 * program. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "ingest_fixture.h"

#define DEV "dev-1"

typedef struct place {
  char dir[64];
  char db[96];
} place;

static int setup(void **state) {
  place *p = calloc(1, sizeof *p);
  if (p == NULL) return -1;
  const char *base = getenv("TMPDIR");
  snprintf(p->dir, sizeof p->dir, "%.40s/ingestXXXXXX", base == NULL ? "/tmp" : base);
  if (mkdtemp(p->dir) == NULL) return -1;
  snprintf(p->db, sizeof p->db, "%s/test.db", p->dir);
  *state = p;
  return 0;
}

static int teardown(void **state) {
  place *p = *state;
  static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
  for (unsigned i = 0; i < 4; i++) {
    char path[128];
    snprintf(path, sizeof path, "%s%s", p->db, ends[i]);
    unlink(path);
  }
  rmdir(p->dir);
  free(p);
  return 0;
}

static void test_what_was_committed_is_there_when_it_is_opened_again(void **state) {
  const place *p = *state;
  frame_spec spec = {.boot = 7, .sequence = 1, .samples = 10};
  fixture *f = fixture_open(p->db);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &spec);
  fixture_run(f);
  fixture_close(f);
  struct stat s;
  assert_int_equal(stat(p->db, &s), 0);
  assert_int_equal(s.st_mode & (S_IRWXG | S_IRWXO), 0); /* its owner's alone */
  f = fixture_open(p->db);
  fixture_frame(f, DEV, &spec); /* the birth is known too */
  fixture_run(f);
  assert_int_equal(intake_stats_get(f->intake)->duplicates, 1);
  fixture_close(f);
  store reader;
  char error[256];
  assert_int_equal(store_sqlite_open(&reader, p->db, STORE_SQLITE_READ, error, sizeof error), 0);
  audit_report report;
  assert_int_equal(audit_device(&reader, DEV, &report), STORE_OK);
  assert_int_equal(report.samples, 10);
  audit_free(&report);
  reader.close(reader.ctx);
}

static void test_locked_database_delays_and_loses_nothing(void **state) {
  const place *p = *state;
  fixture *f = fixture_open(p->db);
  sqlite3_busy_timeout(((sqlite_store *)f->real.ctx)->db, 1);
  fixture_start(f);
  sqlite3 *other;
  assert_int_equal(sqlite3_open(p->db, &other), SQLITE_OK);
  assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1});
  assert_int_equal(intake_step(f->intake, 0), INTAKE_HELD_UP);
  assert_int_equal(intake_step(f->intake, 0), INTAKE_HELD_UP);
  assert_int_equal(f->receipt_count, 0);
  assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(other);
  fixture_run(f);
  assert_int_equal(fixture_receipt_take(f, DEV, 7).stored_count, 1);
  fixture_close(f);
}

/* Files may not grow beyond what they are: writes fail as on a full disk. */
static void disk_limit(rlim_t bytes) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_full_disk_delays_and_loses_nothing(void **state) {
  const place *p = *state;
  signal(SIGXFSZ, SIG_IGN);
  fixture *f = fixture_open(p->db);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1, .samples = 500});
  fixture_run(f);
  f->receipt_count = 0;
  disk_limit(4096);
  for (uint32_t s = 2; s < 60; s++)
    fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = s, .samples = 500});
  for (unsigned i = 0; i < 5; i++) assert_int_equal(intake_step(f->intake, 0), INTAKE_HELD_UP);
  assert_int_equal(f->receipt_count, 0);
  disk_limit(RLIM_INFINITY);
  fixture_run(f);
  htel_receipt r = fixture_receipt_take(f, DEV, 7);
  assert_int_equal(r.stored[0].first, 2);
  assert_int_equal(r.stored[0].last, 59);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM waves"), 59);
  assert_int_equal(fixture_sql(f, "PRAGMA integrity_check") == 0, 1);
  audit_report report;
  assert_int_equal(audit_device(&f->real, DEV, &report), STORE_OK);
  assert_true(audit_clean(&report));
  audit_free(&report);
  fixture_close(f);
}

static void db_remove(const place *p, const char *end) {
  char path[128];
  snprintf(path, sizeof path, "%s%s", p->db, end);
  assert_int_equal(unlink(path), 0);
}

/* What is written to a file that has no name any more is gone with its last handle. */
static void test_deleted_database_receipts_nothing_and_a_new_one_is_made(void **state) {
  const place *p = *state;
  fixture *f = fixture_open(p->db);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1});
  fixture_run(f);
  f->receipt_count = 0;
  db_remove(p, "");
  db_remove(p, "-wal");
  db_remove(p, "-shm");
  assert_int_equal(rmdir(p->dir), 0); /* so that none can be made */
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 2});
  for (unsigned i = 0; i < 3; i++) assert_int_equal(intake_step(f->intake, 0), INTAKE_HELD_UP);
  assert_int_equal(f->receipt_count, 0);
  assert_int_equal(mkdir(p->dir, 0700), 0);
  fixture_run(f); /* the new one knows no birth: it is asked for */
  assert_true(fixture_receipt_take(f, DEV, 7).birth_wanted);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 2});
  fixture_run(f);
  assert_true(receipt_has(fixture_receipt_take(f, DEV, 7).stored, 1, 2));
  fixture_close(f);
  f = fixture_open(p->db);
  assert_int_equal(fixture_sql(f, "SELECT sum(sequence) FROM frames"), 2);
  fixture_close(f);
}

static void test_log_deleted_under_the_ingest_loses_nothing(void **state) {
  const place *p = *state;
  fixture *f = fixture_open(p->db);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1});
  fixture_run(f);
  db_remove(p, "-wal");
  f->receipt_count = 0;
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 2});
  assert_int_equal(intake_step(f->intake, 0), INTAKE_HELD_UP);
  assert_int_equal(f->receipt_count, 0);
  fixture_run(f);
  assert_true(receipt_has(fixture_receipt_take(f, DEV, 7).stored, 1, 2));
  sqlite3 *other; /* as another process sees it, while this one has not closed it */
  assert_int_equal(sqlite3_open(p->db, &other), SQLITE_OK);
  sqlite3_stmt *stmt;
  assert_int_equal(sqlite3_prepare_v2(other, "SELECT count(*) FROM frames", -1, &stmt, NULL), 0);
  assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
  assert_int_equal(sqlite3_column_int(stmt, 0), 2);
  sqlite3_finalize(stmt);
  sqlite3_close(other);
  fixture_close(f);
}

static void test_database_put_in_the_place_of_ours_is_used(void **state) {
  const place *p = *state;
  char backup[128];
  snprintf(backup, sizeof backup, "%s.backup", p->db);
  fixture *f = fixture_open(backup); /* an older state of it */
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1});
  fixture_run(f);
  fixture_close(f);
  f = fixture_open(p->db);
  fixture_birth(f, DEV);
  fixture_run(f);
  db_remove(p, "-wal"); /* as one does who restores with care */
  db_remove(p, "-shm");
  assert_int_equal(rename(backup, p->db), 0);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1});
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 2});
  assert_int_equal(intake_step(f->intake, 0), INTAKE_HELD_UP);
  fixture_run(f);
  assert_int_equal(intake_stats_get(f->intake)->duplicates, 1);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM frames"), 2);
  fixture_close(f);
}

static int frames_in(const char *path) {
  sqlite3 *other;
  sqlite3_stmt *stmt;
  assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
  int n = -1;
  if (sqlite3_prepare_v2(other, "SELECT count(*) FROM frames", -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_step(stmt) == SQLITE_ROW)
    n = sqlite3_column_int(stmt, 0);
  sqlite3_finalize(stmt);
  sqlite3_close(other);
  return n;
}

/* `mv` takes the main file alone: what is committed is in the log, which stays behind. */
static void test_database_moved_away_keeps_what_was_receipted(void **state) {
  const place *p = *state;
  char away[128];
  snprintf(away, sizeof away, "%s.away", p->db);
  fixture *f = fixture_open(p->db);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1});
  fixture_run(f);
  assert_true(receipt_has(fixture_receipt_take(f, DEV, 7).stored, 1, 1));
  assert_int_equal(rename(p->db, away), 0);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 2});
  assert_int_equal(intake_step(f->intake, 0), INTAKE_HELD_UP);
  fixture_run(f);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 2});
  fixture_run(f);
  assert_int_equal(fixture_sql(f, "SELECT sum(sequence) FROM frames"), 2);
  fixture_close(f);
  int kept = frames_in(away);
  unlink(away);
  assert_int_equal(kept, 2); /* the second one's commit did not count, and is there as well */
}

static void test_database_moved_away_before_the_end_keeps_what_was_receipted(void **state) {
  const place *p = *state;
  char away[128];
  snprintf(away, sizeof away, "%s.away", p->db);
  fixture *f = fixture_open(p->db);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1});
  fixture_run(f);
  assert_int_equal(rename(p->db, away), 0);
  fixture_close(f);
  int kept = frames_in(away);
  unlink(away);
  assert_int_equal(kept, 1);
}

/* The same with another put in its place: the log that is there is not the newcomer's. */
static void test_log_of_ours_is_not_put_into_another(void **state) {
  const place *p = *state;
  char backup[128];
  snprintf(backup, sizeof backup, "%s.backup", p->db);
  fixture *f = fixture_open(backup);
  fixture_birth(f, DEV);
  for (uint32_t s = 1; s < 200; s++)
    fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = s, .samples = 500});
  fixture_run(f);
  fixture_close(f);
  f = fixture_open(p->db);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 8, .sequence = 1, .samples = 500});
  fixture_run(f);
  assert_int_equal(rename(backup, p->db), 0);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 200});
  assert_int_equal(intake_step(f->intake, 0), INTAKE_HELD_UP);
  fixture_run(f);
  assert_int_equal(fixture_sql(f, "SELECT count(*) FROM frames WHERE boot = 7"), 200);
  fixture_close(f);
}

static void test_other_files_are_refused_and_left_alone(void **state) {
  const place *p = *state;
  store s;
  char error[256];
  assert_int_not_equal(store_sqlite_open(&s, p->db, STORE_SQLITE_READ, error, sizeof error), 0);
  sqlite3 *other;
  assert_int_equal(sqlite3_open(p->db, &other), SQLITE_OK);
  assert_int_equal(sqlite3_exec(other, "CREATE TABLE mine(a)", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(other);
  assert_int_not_equal(store_sqlite_open(&s, p->db, STORE_SQLITE_WRITE, error, sizeof error), 0);
  assert_non_null(strstr(error, "not a database of htel-ingest"));
  FILE *file = fopen(p->db, "wb");
  assert_non_null(file);
  for (unsigned i = 0; i < 5000; i++) putc('x', file);
  fclose(file);
  assert_int_not_equal(store_sqlite_open(&s, p->db, STORE_SQLITE_WRITE, error, sizeof error), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_what_was_committed_is_there_when_it_is_opened_again,
                                      setup, teardown),
      cmocka_unit_test_setup_teardown(test_locked_database_delays_and_loses_nothing, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_full_disk_delays_and_loses_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown(test_deleted_database_receipts_nothing_and_a_new_one_is_made,
                                      setup, teardown),
      cmocka_unit_test_setup_teardown(test_log_deleted_under_the_ingest_loses_nothing, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_database_moved_away_keeps_what_was_receipted, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(
          test_database_moved_away_before_the_end_keeps_what_was_receipted, setup, teardown),
      cmocka_unit_test_setup_teardown(test_log_of_ours_is_not_put_into_another, setup, teardown),
      cmocka_unit_test_setup_teardown(test_database_put_in_the_place_of_ours_is_used, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_other_files_are_refused_and_left_alone, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
