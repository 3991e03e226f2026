/* SPDX-License-Identifier: Apache-2.0 */
/* parallel.c - threads take the next piece; a result waits until all before it were taken. */
#include "parallel.h"

#include <pthread.h>
#include <stdlib.h>

#define JOBS_MAX 64u
#define WINDOW 256u /* pieces ahead of the oldest that is not taken */

typedef struct pool {
  const parallel *p;
  pthread_mutex_t mutex;
  pthread_cond_t moved; /* `taken` went on */
  uint64_t next, taken;
  void *done[WINDOW];
  bool failed, enough;
} pool;

/* With the mutex held: all results that are next in order. */
static void take_all(pool *pl) {
  while (!pl->enough && pl->done[pl->taken % WINDOW] != NULL) {
    void *done = pl->done[pl->taken % WINDOW];
    pl->done[pl->taken % WINDOW] = NULL;
    if (!pl->p->take(pl->p->ctx, pl->taken, done)) pl->enough = true;
    pl->taken++;
  }
  pthread_cond_broadcast(&pl->moved);
}

static void *run(void *arg) {
  pool *pl = arg;
  pthread_mutex_lock(&pl->mutex);
  while (!pl->failed && !pl->enough && pl->next < pl->p->count) {
    if (pl->next - pl->taken >= WINDOW) {
      pthread_cond_wait(&pl->moved, &pl->mutex);
      continue;
    }
    uint64_t i = pl->next++;
    pthread_mutex_unlock(&pl->mutex);
    void *done = pl->p->work(pl->p->ctx, i);
    pthread_mutex_lock(&pl->mutex);
    if (done == NULL) {
      pl->failed = true;
      pthread_cond_broadcast(&pl->moved);
    } else {
      pl->done[i % WINDOW] = done;
      take_all(pl);
    }
  }
  pthread_mutex_unlock(&pl->mutex);
  return NULL;
}

bool parallel_run(const parallel *p) {
  pool pl = {.p = p};
  pthread_t threads[JOBS_MAX];
  unsigned jobs = p->jobs < 1 ? 1u : p->jobs > JOBS_MAX ? JOBS_MAX : p->jobs;
  if (jobs > p->count) jobs = (unsigned)p->count;
  pthread_mutex_init(&pl.mutex, NULL);
  pthread_cond_init(&pl.moved, NULL);
  unsigned made = 0;
  while (made + 1 < jobs && pthread_create(&threads[made], NULL, run, &pl) == 0) made++;
  run(&pl); /* this thread works too, so that it goes on where no other could be made */
  for (unsigned i = 0; i < made; i++) pthread_join(threads[i], NULL);
  for (unsigned i = 0; i < WINDOW; i++)
    if (pl.done[i] != NULL) p->drop(p->ctx, pl.done[i]);
  pthread_cond_destroy(&pl.moved);
  pthread_mutex_destroy(&pl.mutex);
  return !pl.failed;
}
