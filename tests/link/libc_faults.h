/* SPDX-License-Identifier: Apache-2.0 */
/* libc_faults.h - the C library as it is on a bad day: a program that links this has getaddrinfo,
 * send and recv that fail as told, in all its threads. Other programs that it starts do not. */
#ifndef HTEL_TEST_LIBC_FAULTS_H
#define HTEL_TEST_LIBC_FAULTS_H

#include <stdint.h>

typedef enum resolver_mood {
  RESOLVER_GOOD,
  RESOLVER_FAILS, /* at once */
  RESOLVER_HANGS  /* says nothing until the mood changes, 10 s at most, and then that it failed */
} resolver_mood;

void resolver_set(resolver_mood mood);

/* Sockets whose other end is 127.0.0.1:port would block `percent` of the times that they are asked
 * to send or receive, and else take or give `bytes_max` at most. Port 0: none do. */
void sockets_stutter(uint16_t port, unsigned percent, unsigned bytes_max);
unsigned sockets_blocked(void); /* how often they did */

/* The next send on such a socket finds its pipe broken: EPIPE, and SIGPIPE for who does not forbid
 * it. */
void sockets_break(uint16_t port);

#endif
