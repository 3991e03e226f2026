/* SPDX-License-Identifier: Apache-2.0 */
/* posix_resolve.c - see posix_resolve.h. */
#include "posix_resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "healthtel/error.h"

#define HOST_ROOM 256u

/* One question to the resolver, and all that wait for the answer. Freed when it is answered and
 * nobody holds it any more. */
typedef struct lookup {
  struct lookup *next;
  resolve_job *jobs;
  bool done;
  resolve_list list;
  char host[HOST_ROOM];
  char port[6];
} lookup;

struct resolve_job {
  resolve_job *next; /* of the same lookup */
  lookup *lookup;
  int done_fd;
};

/* For all that follows, but for what getaddrinfo is given. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static lookup *under_way;

static void addresses_copy(resolve_list *list, const struct addrinfo *found) {
  for (; found != NULL && list->count < RESOLVE_ADDRESSES_MAX; found = found->ai_next) {
    if (found->ai_addrlen <= sizeof list->entries[0].address) {
      memcpy(&list->entries[list->count].address, found->ai_addr, found->ai_addrlen);
      list->entries[list->count].size = found->ai_addrlen;
      list->count++;
    }
  }
}

static void under_way_remove(const lookup *l) {
  lookup **at = &under_way;
  while (*at != l) at = &(*at)->next;
  *at = l->next;
}

static void *resolve_main(void *arg) {
  lookup *l = arg;
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  resolve_list list = {0};
  if (getaddrinfo(l->host, l->port, &hints, &found) == 0) {
    addresses_copy(&list, found);
    freeaddrinfo(found);
  }
  pthread_mutex_lock(&mutex);
  under_way_remove(l);
  l->list = list;
  l->done = true;
  uint64_t one = 1;
  for (resolve_job *job = l->jobs; job != NULL; job = job->next) {
    ssize_t n = write(job->done_fd, &one, sizeof one);
    (void)n;
  }
  bool unused = l->jobs == NULL;
  pthread_mutex_unlock(&mutex);
  if (unused) free(l);
  return NULL;
}

static bool thread_start(lookup *l) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) {
    return false;
  }
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it */
  pthread_t thread;
  bool started = pthread_create(&thread, &attributes, resolve_main, l) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return started;
}

/* The one under way for this name, or a new one, whose thread then waits for the mutex. */
static lookup *lookup_take(const char *host, const char *port) {
  for (lookup *l = under_way; l != NULL; l = l->next)
    if (strcmp(l->host, host) == 0 && strcmp(l->port, port) == 0) return l;
  lookup *l = calloc(1, sizeof *l);
  if (l == NULL) return NULL;
  snprintf(l->host, sizeof l->host, "%s", host);
  snprintf(l->port, sizeof l->port, "%s", port);
  if (!thread_start(l)) {
    free(l);
    return NULL;
  }
  l->next = under_way;
  under_way = l;
  return l;
}

resolve_job *resolve_start(const char *host, uint16_t port) {
  resolve_job *job = calloc(1, sizeof *job);
  if (job == NULL) return NULL;
  job->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (job->done_fd < 0) {
    free(job);
    return NULL;
  }
  char service[6];
  snprintf(service, sizeof service, "%u", (unsigned)port);
  pthread_mutex_lock(&mutex);
  lookup *l = lookup_take(host, service);
  if (l != NULL) {
    job->lookup = l;
    job->next = l->jobs;
    l->jobs = job;
  }
  pthread_mutex_unlock(&mutex);
  if (l != NULL) return job;
  close(job->done_fd);
  free(job);
  return NULL;
}

int resolve_fd(const resolve_job *job) {
  return job->done_fd;
}

int resolve_result(resolve_job *job, resolve_list *list) {
  pthread_mutex_lock(&mutex);
  bool done = job->lookup->done;
  *list = job->lookup->list;
  pthread_mutex_unlock(&mutex);
  if (!done) return HTEL_E_AGAIN;
  return list->count > 0 ? 0 : HTEL_E_RESOLVE;
}

void resolve_release(resolve_job *job) {
  lookup *l = job->lookup;
  pthread_mutex_lock(&mutex);
  resolve_job **at = &l->jobs;
  while (*at != job) at = &(*at)->next;
  *at = job->next;
  bool unused = l->done && l->jobs == NULL;
  pthread_mutex_unlock(&mutex);
  close(job->done_fd);
  free(job);
  if (unused) free(l);
}
