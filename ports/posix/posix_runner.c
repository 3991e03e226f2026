/* SPDX-License-Identifier: Apache-2.0 */
/* posix_runner.c - the thread that polls a client. See htel_posix.h.
 *
 * The lock is a ticket: the poller takes it again at once when there is much to do, and with a
 * plain mutex the others could wait for ever. */
#include <signal.h>
#include <string.h>

#include "htel_posix.h"

#define CLOSE_STEP_MS 20u /* htel_close does not say when it wants to run again */

void htel_posix_runner_lock(htel_posix_runner *runner) {
  pthread_mutex_lock(&runner->mutex);
  uint64_t turn = runner->turn_next++;
  while (turn != runner->turn_now) {
    pthread_cond_wait(&runner->turn_changed, &runner->mutex);
  }
  pthread_mutex_unlock(&runner->mutex);
}

void htel_posix_runner_unlock(htel_posix_runner *runner) {
  pthread_mutex_lock(&runner->mutex);
  runner->turn_now++;
  pthread_cond_broadcast(&runner->turn_changed);
  pthread_mutex_unlock(&runner->mutex);
}

static void *runner_main(void *arg) {
  htel_posix_runner *runner = arg;
  while (!atomic_load(&runner->stop)) {
    htel_posix_runner_lock(runner);
    uint32_t ms = htel_poll(runner->tel);
    htel_posix_runner_unlock(runner);
    htel_posix_wait(runner->posix, ms);
  }
  /* htel_close keeps the deadline itself: it ends. */
  for (;;) {
    htel_posix_runner_lock(runner);
    runner->result = htel_close(runner->tel, runner->timeout_ms);
    htel_posix_runner_unlock(runner);
    if (runner->result != HTEL_E_AGAIN) {
      return NULL;
    }
    htel_posix_wait(runner->posix, CLOSE_STEP_MS);
  }
}

int htel_posix_runner_start(htel_posix_runner *runner, htel *tel, htel_posix *posix) {
  memset(runner, 0, sizeof *runner);
  runner->tel = tel;
  runner->posix = posix;
  if (pthread_mutex_init(&runner->mutex, NULL) != 0) {
    return HTEL_E_MEMORY;
  }
  if (pthread_cond_init(&runner->turn_changed, NULL) != 0) {
    pthread_mutex_destroy(&runner->mutex);
    return HTEL_E_MEMORY;
  }
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it */
  int failed = pthread_create(&runner->thread, NULL, runner_main, runner);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (failed) {
    pthread_cond_destroy(&runner->turn_changed);
    pthread_mutex_destroy(&runner->mutex);
    return HTEL_E_MEMORY;
  }
  return 0;
}

int htel_posix_runner_stop(htel_posix_runner *runner, uint32_t timeout_ms) {
  runner->timeout_ms = timeout_ms;
  atomic_store(&runner->stop, true);
  htel_posix_wake(runner->posix);
  pthread_join(runner->thread, NULL);
  pthread_cond_destroy(&runner->turn_changed);
  pthread_mutex_destroy(&runner->mutex);
  return runner->result;
}
