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

struct resolve_job {
  pthread_mutex_t mutex;
  unsigned holders;
  bool done;
  int done_fd;
  resolve_list list;
  char host[HOST_ROOM];
  char port[6];
};

static void addresses_copy(resolve_list *list, const struct addrinfo *found) {
  for (; found != NULL && list->count < RESOLVE_ADDRESSES_MAX; found = found->ai_next) {
    if (found->ai_addrlen <= sizeof list->entries[0].address) {
      memcpy(&list->entries[list->count].address, found->ai_addr, found->ai_addrlen);
      list->entries[list->count].size = found->ai_addrlen;
      list->count++;
    }
  }
}

static void *resolve_main(void *arg) {
  resolve_job *job = arg;
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  resolve_list list = {0};
  if (getaddrinfo(job->host, job->port, &hints, &found) == 0) {
    addresses_copy(&list, found);
    freeaddrinfo(found);
  }
  pthread_mutex_lock(&job->mutex);
  job->list = list;
  job->done = true;
  uint64_t one = 1;
  ssize_t n = write(job->done_fd, &one, sizeof one);
  (void)n;
  pthread_mutex_unlock(&job->mutex);
  resolve_release(job);
  return NULL;
}

static bool thread_start(resolve_job *job) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) {
    return false;
  }
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it */
  pthread_t thread;
  bool started = pthread_create(&thread, &attributes, resolve_main, job) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return started;
}

resolve_job *resolve_start(const char *host, uint16_t port) {
  resolve_job *job = calloc(1, sizeof *job);
  if (job == NULL) {
    return NULL;
  }
  snprintf(job->host, sizeof job->host, "%s", host);
  snprintf(job->port, sizeof job->port, "%u", (unsigned)port);
  job->holders = 2;
  job->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (job->done_fd < 0) {
    free(job);
    return NULL;
  }
  pthread_mutex_init(&job->mutex, NULL);
  if (!thread_start(job)) {
    job->holders = 1;
    resolve_release(job);
    return NULL;
  }
  return job;
}

int resolve_fd(const resolve_job *job) {
  return job->done_fd;
}

int resolve_result(resolve_job *job, resolve_list *list) {
  pthread_mutex_lock(&job->mutex);
  bool done = job->done;
  *list = job->list;
  pthread_mutex_unlock(&job->mutex);
  if (!done) {
    return HTEL_E_AGAIN;
  }
  return list->count > 0 ? 0 : HTEL_E_RESOLVE;
}

void resolve_release(resolve_job *job) {
  pthread_mutex_lock(&job->mutex);
  bool last = --job->holders == 0;
  pthread_mutex_unlock(&job->mutex);
  if (last) {
    pthread_mutex_destroy(&job->mutex);
    close(job->done_fd);
    free(job);
  }
}
