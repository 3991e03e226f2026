/* SPDX-License-Identifier: Apache-2.0 */
/* posix_resolve.h - host name to addresses without waiting for the resolver.
 *
 * getaddrinfo blocks for as long as DNS likes and cannot be stopped, so it runs in a detached
 * thread. Jobs for the same name that begin while one of them is under way share its thread and its
 * answer: a process with a thousand links to one broker has one such thread, not a thousand. A link
 * keeps a job that has not ended and asks it again at its next attempt. */
#ifndef HTEL_POSIX_RESOLVE_H
#define HTEL_POSIX_RESOLVE_H

#include <stdint.h>
#include <sys/socket.h>

#define RESOLVE_ADDRESSES_MAX 8u

typedef struct resolve_list {
  unsigned count;
  struct {
    struct sockaddr_storage address;
    socklen_t size;
  } entries[RESOLVE_ADDRESSES_MAX];
} resolve_list;

typedef struct resolve_job resolve_job;

/* NULL when there is no memory or no thread. */
resolve_job *resolve_start(const char *host, uint16_t port);

/* Becomes readable when the job is done. */
int resolve_fd(const resolve_job *job);

/* HTEL_E_AGAIN, 0 and the addresses (one at least), or HTEL_E_RESOLVE. */
int resolve_result(resolve_job *job, resolve_list *list);

void resolve_release(resolve_job *job);

#endif
