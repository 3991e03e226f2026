/* SPDX-License-Identifier: Apache-2.0 */
/* link_proxy.h - a TCP proxy in front of a server, in a thread, that sees what a wire-tap would
 * see: bytes each way, and TLS records by type in the client's direction. It can also freeze, to
 * play a half-open connection. */
#ifndef HTEL_TEST_LINK_PROXY_H
#define HTEL_TEST_LINK_PROXY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TLS_CHANGE_CIPHER = 20, TLS_ALERT = 21, TLS_HANDSHAKE = 22, TLS_APPLICATION = 23 };

typedef struct proxy_counts {
  uint64_t bytes_up, bytes_down; /* client to server, server to client */
  uint32_t connections;
  uint32_t records_up[256]; /* by TLS content type */
} proxy_counts;

typedef struct link_proxy {
  uint16_t port;
  uint16_t target;
  int listen_fd;
  pthread_t thread;
  pthread_mutex_t mutex;
  proxy_counts counts;
  atomic_bool stop, frozen;
} link_proxy;

void proxy_start(link_proxy *self, uint16_t target);
void proxy_stop(link_proxy *self);
/* Passes nothing on any more, in either direction, and closes nothing. */
void proxy_freeze(link_proxy *self, bool frozen);
proxy_counts proxy_counts_take(link_proxy *self); /* and begins again at 0 */

#endif
