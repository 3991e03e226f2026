/* SPDX-License-Identifier: Apache-2.0 */
/* faults_broker.c - what broker, ingest and database do: they die, refuse, forget, are late. See
 * faults_scene.h. */
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "faults_scene.h"
#include "link_server.h"

#define UP_MS_MAX 15000u
#define FRAMES "SELECT count(*) FROM frames"
#define UNREADABLE(device)                                                               \
  "SELECT coalesce(sum(count), 0) FROM counters k JOIN devices d ON d.id = k.device_id " \
  "WHERE name = 'unreadable' AND device = '" device "'"
#define TWICE "SELECT coalesce(sum(count), 0) FROM counters WHERE name = 'duplicates'"

/* With the ingest away the broker acknowledges what it then forgets. */
void case_broker_killed(void **state) {
  (void)state;
  scene s;
  scene_begin(&s, NULL);
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 500);
  for (unsigned i = 0; i < 3; i++) {
    scene_ingest_kill(&s);
    device_run(&s.device, 1200);
    assert_true(device_stats(&s.device).frames_in_flight > 0);
    broker_kill(&s.broker);
    device_run(&s.device, 500);
    assert_false(device_is_up(&s.device));
    broker_restart(&s.broker);
    scene_ingest(&s);
    scene_until_up(&s, UP_MS_MAX);
    if (i == 0) device_heap_note(&s.device);
  }
  assert_true(device_stats(&s.device).frames_resent > 0);
  scene_end(&s);
}

static int expected_error;

static bool is_refused(device *d) {
  return device_stats(d).last_error == expected_error;
}

void case_broker_refuses(void **state) {
  (void)state;
  static const struct {
    uint8_t connack, suback;
    int error;
  } answers[] = {{.connack = 3, .error = HTEL_E_REFUSED},
                 {.connack = 5, .error = HTEL_E_UNAUTHORIZED},
                 {.suback = 0x80, .error = HTEL_E_SUBSCRIBE}};
  scene s;
  scene_begin(&s, NULL);
  for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
    link_server server;
    server_start(&server, &(server_script){.kind = SERVER_MQTT,
                                           .certs = faults.certs,
                                           .connack = answers[i].connack,
                                           .suback = answers[i].suback});
    proxy_lead(&s.proxy, server.port);
    expected_error = answers[i].error;
    assert_true(device_until(&s.device, is_refused, 5000));
    device_run(&s.device, 500);
    assert_false(device_is_up(&s.device));
    server_stop(&server);
  }
  scene_heal(&s);
  scene_until_up(&s, UP_MS_MAX);
  scene_end(&s);
}

/* It answers pings, and acknowledges nothing. */
void case_pubacks_never_come(void **state) {
  (void)state;
  scene s;
  link_server server;
  scene_begin(&s, &(device_options){.receipt_wait_ms = 1000});
  server_start(&server, &(server_script){.kind = SERVER_MQTT, .certs = faults.certs, .suback = 1});
  proxy_lead(&s.proxy, server.port);
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 5000);
  print_message("%u messages were not acknowledged\n", atomic_load(&server.publishes));
  assert_true(atomic_load(&server.publishes) >= 5);
  assert_int_equal(device_stats(&s.device).frames_delivered, 0);
  proxy_lead(&s.proxy, s.broker.port);
  proxy_set(&s.proxy, &(proxy_faults){.down = {.end_after = 1, .end = PROXY_RESET},
                                      .up = {.end_after = 1, .end = PROXY_RESET}});
  scene_until_down(&s, 5000);
  scene_heal(&s);
  scene_until_up(&s, UP_MS_MAX);
  server_stop(&server);
  scene_end(&s);
}

/* No ingest: the broker acknowledges, and has nobody to give it to. */
void case_receipts_never_come(void **state) {
  (void)state;
  scene s;
  scene_begin(&s, &(device_options){.receipt_wait_ms = 1000});
  scene_ingest_kill(&s);
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 4000);
  htel_stats stats = device_stats(&s.device);
  assert_int_equal(stats.frames_delivered, 0);
  assert_true(stats.frames_resent > 0);
  assert_true(stats.connected);
  scene_ingest(&s);
  scene_end(&s);
}

/* Later than the device waits: it sends again what is stored already. */
void case_receipts_come_late(void **state) {
  (void)state;
  scene s;
  scene_begin(&s, &(device_options){.receipt_wait_ms = 1000});
  scene_ingest_kill(&s);
  s.ingest_pause_ms = "1500";
  scene_ingest(&s);
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 5000);
  assert_true(scene_number(&s, TWICE) > 0);
  scene_end(&s);
}

void case_ingest_killed(void **state) {
  (void)state;
  scene s;
  scene_begin(&s, NULL);
  scene_ingest_kill(&s);
  s.ingest_pause_ms = "400";
  scene_ingest(&s);
  scene_until_up(&s, UP_MS_MAX);
  for (unsigned i = 0; i < 3; i++) {
    uint64_t frames = scene_number(&s, FRAMES), until = now_ms() + 5000;
    while (scene_number(&s, FRAMES) == frames) {
      assert_true(now_ms() < until);
      device_run(&s.device, 10);
    }
    scene_ingest_kill(&s); /* committed, and not receipted */
    device_run(&s.device, 300);
    scene_ingest(&s);
    device_run(&s.device, 500);
  }
  scene_finish(&s);
  assert_true(scene_number(&s, TWICE) > 0);
  scene_check(&s, false);
  scene_free(&s);
}

void case_database_locked(void **state) {
  (void)state;
  scene s;
  sqlite3 *db;
  scene_begin(&s, NULL);
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 1000);
  assert_int_equal(sqlite3_open(s.database, &db), SQLITE_OK);
  sqlite3_busy_timeout(db, 5000);
  assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  device_run(&s.device, 500);
  uint32_t delivered = device_stats(&s.device).frames_delivered;
  device_run(&s.device, 3000);
  assert_int_equal(device_stats(&s.device).frames_delivered, delivered); /* no commit, no receipt */
  assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
  scene_end(&s);
}

/* A write beyond a limit fails as it would on a full disk. */
void case_disk_full(void **state) {
  (void)state;
  static const struct rlimit full = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY},
                             room = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  scene s;
  signal(SIGXFSZ, SIG_IGN); /* the ingest inherits it */
  scene_begin(&s, NULL);
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 1000);
  assert_int_equal(prlimit(s.ingest, RLIMIT_FSIZE, &full, NULL), 0);
  device_run(&s.device, 1000);
  uint32_t delivered = device_stats(&s.device).frames_delivered;
  device_run(&s.device, 3000);
  assert_int_equal(device_stats(&s.device).frames_delivered, delivered);
  assert_int_equal(prlimit(s.ingest, RLIMIT_FSIZE, &room, NULL), 0);
  scene_end(&s);
}

/* Under its own name, and another device under its name: nobody else is disturbed. */
void case_hostile_frames(void **state) {
  (void)state;
  scene s;
  char file[BROKER_PATH_MAX + 16];
  scene_begin(&s, NULL);
  snprintf(file, sizeof file, "%s/noise", s.broker.dir);
  scene_until_up(&s, UP_MS_MAX);
  srand(faults.seed);
  for (unsigned i = 0; i < 8; i++) {
    FILE *noise = fopen(file, "wb");
    assert_non_null(noise);
    for (unsigned bytes = 1u << (2 * i); bytes > 0; bytes--) fputc(rand() & 255, noise);
    fclose(noise);
    broker_publish(&s.broker, faults.certs, "dev-2", "htel/v1/dev-2/frame", "-f", file, NULL);
    broker_publish(&s.broker, faults.certs, "dev-2", "htel/v1/dev-1/frame", "-f", file, NULL);
    device_run(&s.device, 300);
  }
  scene_heal(&s);
  scene_finish(&s);
  scene_check(&s, false);
  assert_int_equal(scene_number(&s, UNREADABLE("dev-1")), 0);
  assert_int_equal(scene_number(&s, UNREADABLE("dev-2")), 8);
  scene_free(&s);
}

/* A cloned device, or one whose boot counter was reset: other frames under known keys. */
void case_boot_number_given_twice(void **state) {
  (void)state;
  scene s;
  char dir[BROKER_PATH_MAX], boot[BROKER_PATH_MAX + 16];
  directory_make(dir);
  snprintf(boot, sizeof boot, "%s/boot", dir);
  scene_begin(&s, &(device_options){.boot_file = boot});
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 3000);
  device_close(&s.device, 20000);
  uint64_t frames = scene_number(&s, FRAMES);

  device_options again = s.device.options;
  again.first_value = 1000;
  device *first = &s.device;
  static device second;
  remove(boot);
  device_free(first);
  device_open(&second, &again);
  device_run(&second, 2000);
  device_close(&second, 20000);
  htel_stats stats = device_stats(&second);
  print_message("%u frames under known keys: quarantined\n", stats.frames_quarantined);
  assert_true(stats.frames_quarantined > 0);
  assert_int_equal(stats.frames_quarantined + stats.frames_delivered, stats.frames_closed);
  assert_int_equal(scene_number(&s, FRAMES), frames + stats.frames_delivered);
  assert_int_equal(scene_number(&s, "SELECT count(*) FROM quarantine"), stats.frames_quarantined);
  assert_true(scene_number(&s, "SELECT count(*) FROM alerts") > 0);
  scene_audit(&s, 3); /* there are alerts */
  device_free(&second);
  process_end(s.ingest, 15);
  proxy_stop(&s.proxy);
  broker_stop(&s.broker);
  directory_remove(dir);
}
