/* SPDX-License-Identifier: Apache-2.0 */
/* faults_alarm.c - an alarm's way through the drain of a backlog: half an hour of one ECG and three
 * numerics over 20 kbit/s, with everything else as the library has it by default. The bar: an alarm
 * is committed within 3 s of the link's being up, or of its being recorded, where that is later. */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "faults_scene.h"

#define OUTAGE_MS 1800000u
#define BYTES_PER_S 2500u /* 20 kbit/s */
#define ALARM_MS_MAX 3000u
#define ALARMS_MAX 32u
#define LOOK_MS 20u

typedef struct watch {
  scene *scene;
  sqlite3 *db;
  sqlite3_stmt *stmt;
  uint64_t due_from[ALARMS_MAX]; /* by the alarm's number */
  unsigned took[ALARMS_MAX];     /* 0: not yet committed */
  unsigned count, longest;
} watch;

static void watch_begin(watch *self, scene *s) {
  *self = (watch){.scene = s};
  assert_int_equal(sqlite3_open_v2(s->database, &self->db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
  sqlite3_busy_timeout(self->db, 1000);
  assert_int_equal(sqlite3_prepare_v2(self->db, "SELECT code FROM alarms", -1, &self->stmt, NULL),
                   SQLITE_OK);
}

static void watch_end(watch *self) {
  sqlite3_finalize(self->stmt);
  sqlite3_close(self->db);
}

static void alarm_raise(watch *self) {
  assert_true(self->count < ALARMS_MAX);
  uint32_t code = device_alarm(&self->scene->device);
  assert_int_equal(code - DEVICE_ALARM_CODE, self->count);
  self->due_from[self->count++] = now_ms();
}

static unsigned look(watch *self) { /* how many alarms have been committed by now */
  unsigned done = 0;
  uint64_t now = now_ms();
  while (sqlite3_step(self->stmt) == SQLITE_ROW) {
    uint32_t i = (uint32_t)sqlite3_column_int64(self->stmt, 0) - DEVICE_ALARM_CODE;
    assert_true(i < self->count);
    if (self->took[i] == 0) self->took[i] = (unsigned)(now - self->due_from[i]) + 1;
    if (self->took[i] > self->longest) self->longest = self->took[i];
    done++;
  }
  sqlite3_reset(self->stmt);
  return done;
}

static void run(watch *self, unsigned ms) {
  for (uint64_t until = now_ms() + ms; now_ms() < until;) {
    device_run(&self->scene->device, LOOK_MS);
    look(self);
  }
}

static void run_until_committed(watch *self) {
  uint64_t until = now_ms() + 3 * ALARM_MS_MAX;
  while (look(self) < self->count && now_ms() < until) run(self, LOOK_MS);
}

static void outage(watch *self) {
  device *d = &self->scene->device;
  for (unsigned i = 0; i < 4; i++) {
    device_leap(d, OUTAGE_MS / 4);
    alarm_raise(self);
  }
  htel_stats stats = device_stats(d);
  print_message("backlog: %u frames, %u bytes, %u readings\n", stats.frames_waiting,
                stats.outbox_bytes_used, (unsigned)stats.readings_accepted);
  assert_int_equal(stats.frames_evicted, 0);
}

void case_alarms_pass_the_backlog(void **state) {
  (void)state;
  static const proxy_way slow = {.bytes_per_s = BYTES_PER_S};
  scene s;
  watch w;
  scene_begin(&s, &(device_options){
                      .gated = true, .quiet = true, .receipt_wait_ms = 30000, .age_ms_max = 10000});
  watch_begin(&w, &s);
  outage(&w);
  proxy_set(&s.proxy, &(proxy_faults){.up = slow, .down = slow});
  device_gate(&s.device);
  unsigned handshake = scene_until_up(&s, 15000);
  for (unsigned i = 0; i < w.count; i++) w.due_from[i] = now_ms();
  uint32_t backlog = device_stats(&s.device).frames_waiting;
  alarm_raise(&w); /* right at UP */
  for (unsigned i = 0; i < 12; i++) {
    run(&w, 200 + 370 * i % 1300); /* at any moment of a frame's way */
    alarm_raise(&w);
  }
  run_until_committed(&w);
  htel_stats stats = device_stats(&s.device);
  print_message("up after %u ms; %u of %u frames of the backlog delivered meanwhile\n", handshake,
                stats.frames_delivered, backlog);
  for (unsigned i = 0; i < w.count; i++)
    print_message("alarm %2u, %s: committed %u ms later\n", i,
                  i < 4    ? "before UP"
                  : i == 4 ? "at UP"
                           : "in the drain",
                  w.took[i]);
  for (unsigned i = 0; i < w.count; i++) assert_in_range(w.took[i], 1, ALARM_MS_MAX);
  assert_true(stats.frames_waiting > 0); /* there was a backlog all the time */
  watch_end(&w);
  scene_end(&s);
}
