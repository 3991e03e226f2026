/* SPDX-License-Identifier: Apache-2.0 */
/* Two ways of running a device:
 *
 *   the loop      records what is due, polls, sleeps until the next of both. At --speed max it
 *                 watches the outbox and waits for room, so that a replay loses nothing.
 *   --threads     as a device with converters does: the runner delivers in a thread of its
 *                 own, this one samples waveforms, another measures the rest. What finds no
 *                 room is lost, and counted. */
#define _GNU_SOURCE
#include <stdio.h>
#include <time.h>

#include "monitor.h"

#define STEPS_A_TURN 256u  /* then the loop looks up: polls, tells, hears signals */
#define ROOM_WAIT_MS 20u   /* between looks for room */
#define SLEEP_MS_MAX 100u  /* of threads, so that they hear of a stop */
#define OPEN_FRAMES 4u     /* that may be closed at once: one a class, and one that filled up */
#define COLUMN_BYTES 1024u /* of a channel's readings that are not coded yet: 256 samples */
#define ENTRY_BYTES 64u    /* what the outbox keeps beside a frame, generously */

/* How far the play should be by now. */
static uint64_t play_ms(const monitor *m) {
  if (m->options.speed == 0) return UINT64_MAX - 1;
  return (uint64_t)((double)(monitor_clock_ms() - m->begun_ms) * m->options.speed);
}

/* Wall-clock ms until the play has come to due_ms. */
static uint32_t wait_for(const monitor *m, uint64_t due_ms, uint32_t max_ms) {
  uint64_t now_ms = play_ms(m);
  if (due_ms <= now_ms) return 0;
  double wait_ms = (double)(due_ms - now_ms) / m->options.speed + 1;
  return wait_ms < max_ms ? (uint32_t)wait_ms : max_ms;
}

static int step(player *p) {
  if (player_step(p) == 0) return 0;
  fprintf(stderr, "htel-monitor: %s\n", p->error);
  return -1;
}

/* ---- The loop -------------------------------------------------------------------------- */

static uint32_t poll_once(monitor *m) {
  uint32_t wait_ms = htel_poll(m->tel);
  monitor_time_learn(m);
  m->players[0].ring_bytes = 0;
  htel_stats_get(m->tel, &m->stats);
  return wait_ms;
}

/* What may wait. Of a store some blocks are always being emptied, and receipts need room too. */
static uint32_t outbox_room(const monitor *m) {
  const htel_flash *flash = &m->store.flash;
  return m->store_open ? flash->block_bytes / 4 * 3 * flash->block_count : m->options.outbox_bytes;
}

/* Whether the outbox takes all frames that may be closed before the next look: the open ones, the
 * columns of each channel, and what the ring holds, which is coded to less than twice its size. */
static bool room(const monitor *m) {
  if (m->options.speed > 0) return true;
  uint32_t used = m->stats.outbox_bytes_used;
  uint32_t to_come = OPEN_FRAMES * (m->options.frame_bytes + ENTRY_BYTES);
  to_come += m->channel_count * COLUMN_BYTES;
  to_come += 2 * (m->players[0].ring_bytes + player_step_bytes(&m->players[0]));
  if (m->players[0].ring_bytes == 0 && m->stats.frames_waiting == 0) return true; /* all there is */
  return used < outbox_room(m) && outbox_room(m) - used >= to_come;
}

/* Records what is due. 1: nothing more is due now; 0: something may be, after a poll; -1. */
static int turn(monitor *m) {
  player *p = &m->players[0];
  for (unsigned steps = 0; player_due_ms(p) <= play_ms(m); steps++) {
    if (steps == STEPS_A_TURN || monitor_stop_asked()) return 0;
    if (p->ring_bytes + player_step_bytes(p) > m->options.ring_bytes / 2 || !room(m)) poll_once(m);
    if (!room(m)) return 1;
    if (step(p) != 0) return -1;
  }
  return 1;
}

static int play_loop(monitor *m) {
  player *p = &m->players[0];
  while (player_due_ms(p) != UINT64_MAX && !monitor_stop_asked()) {
    int rc = turn(m);
    if (rc < 0) return -1;
    uint32_t wait_ms = poll_once(m);
    report_progress(m);
    if (rc == 0) continue;
    uint32_t due_ms =
        m->options.speed == 0 ? (room(m) ? 0 : ROOM_WAIT_MS) : wait_for(m, player_due_ms(p), 1000);
    wait_ms = due_ms < wait_ms ? due_ms : wait_ms;
    if (wait_ms > 0) htel_posix_wait(&m->posix, wait_ms);
  }
  return 0;
}

/* ---- Threads --------------------------------------------------------------------------- */

static void sleep_ms(uint32_t ms) {
  struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
  nanosleep(&time, NULL);
}

typedef struct context {
  monitor *m;
  player *player;
  bool tells; /* of progress */
  int result;
} context;

static void tell(monitor *m) {
  if (monitor_clock_ms() - m->told_ms < 1000) return;
  htel_posix_runner_lock(&m->runner);
  htel_stats_get(m->tel, &m->stats);
  monitor_time_learn(m);
  htel_posix_runner_unlock(&m->runner);
  report_progress(m);
}

static void *context_run(void *arg) {
  context *c = arg;
  while (player_due_ms(c->player) != UINT64_MAX && !monitor_stop_asked() && c->result == 0) {
    uint32_t wait_ms = wait_for(c->m, player_due_ms(c->player), SLEEP_MS_MAX);
    if (wait_ms > 0)
      sleep_ms(wait_ms);
    else
      c->result = step(c->player);
    if (c->tells) tell(c->m);
  }
  return NULL;
}

static int play_threads(monitor *m) {
  int rc = htel_posix_runner_start(&m->runner, m->tel, &m->posix);
  if (rc != 0) {
    fprintf(stderr, "htel-monitor: cannot start a thread: %s\n", htel_strerror(rc));
    return -1;
  }
  m->runner_on = true;
  context waveforms = {m, &m->players[0], true, 0};
  context others = {m, &m->players[1], false, 0};
  pthread_t thread;
  if (pthread_create(&thread, NULL, context_run, &others) != 0) {
    fprintf(stderr, "htel-monitor: cannot start a thread\n");
    return -1;
  }
  context_run(&waveforms);
  pthread_join(thread, NULL);
  return waveforms.result | others.result;
}

int play(monitor *m) {
  return m->options.threads ? play_threads(m) : play_loop(m);
}

/* ---- The end --------------------------------------------------------------------------- */

int play_close(monitor *m) {
  uint32_t timeout_ms = m->options.close_timeout_s * 1000;
  int rc;
  if (m->runner_on) {
    rc = htel_posix_runner_stop(&m->runner, timeout_ms);
    m->runner_on = false;
    htel_stats_get(m->tel, &m->stats);
    return rc;
  }
  int asked = monitor_stop_asked();
  while ((rc = htel_close(m->tel, timeout_ms)) == HTEL_E_AGAIN) {
    htel_stats_get(m->tel, &m->stats);
    report_progress(m);
    if (monitor_stop_asked() > asked + (asked == 0)) break; /* asked again: at once */
    htel_posix_wait(&m->posix, ROOM_WAIT_MS);
  }
  htel_stats_get(m->tel, &m->stats);
  return rc;
}
