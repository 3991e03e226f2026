/* SPDX-License-Identifier: Apache-2.0 */
/* link_proxy.h - a TCP proxy in front of a server, in a thread: a network that is as bad as told,
 * and that sees what a wire-tap would see.
 *
 *     proxy_start(&proxy, broker.port);                             clients go to proxy.port
 *     proxy_set(&proxy, &(proxy_faults){.up = {.bytes_per_s = 1}}); from now on
 *     proxy_set(&proxy, &(proxy_faults){0});                        as good as loopback again
 *     counts = proxy_counts_take(&proxy);
 *     proxy_stop(&proxy);
 *
 * Each direction of each connection is a queue of a few KB with times at which its bytes may go on.
 * What does not fit stays with the sender, so a slow way is a narrow one, not a deep one. */
#ifndef HTEL_TEST_LINK_PROXY_H
#define HTEL_TEST_LINK_PROXY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TLS_CHANGE_CIPHER = 20, TLS_ALERT = 21, TLS_HANDSHAKE = 22, TLS_APPLICATION = 23 };

typedef enum proxy_end {
  PROXY_FIN,   /* both sides hear a good end */
  PROXY_DEATH, /* an end, and resets for what they say then: a process that was killed */
  PROXY_RESET, /* both hear a reset */
  PROXY_STALL  /* nobody hears anything, ever: half-open */
} proxy_end;

typedef enum proxy_door {
  PROXY_OPEN,
  PROXY_REFUSES, /* new connections are reset */
  PROXY_SWALLOWS /* taken, and never answered */
} proxy_door;

/* One direction. 0 in a field: nothing is wrong with that. */
typedef struct proxy_way {
  uint32_t delay_ms, jitter_ms; /* each byte is late by so much, and by up to so much more */
  uint32_t bytes_per_s;
  uint32_t piece_bytes; /* in a write, at most */
  uint32_t end_after;   /* bytes, from now on or from the connection's first, until `end` strikes */
  proxy_end end;
  bool frozen; /* passes nothing on, and closes nothing, until it is thawed */
} proxy_way;

typedef struct proxy_faults {
  proxy_way up, down; /* client to server, server to client */
  proxy_door door;
} proxy_faults;

typedef struct proxy_counts {
  uint64_t bytes_up, bytes_down; /* taken from the client, from the server */
  uint32_t connections;
  uint32_t ends;            /* that proxy_way.end made */
  uint32_t records_up[256]; /* by TLS content type */
} proxy_counts;

typedef struct link_proxy {
  uint16_t port;
  int listen_fd;
  pthread_t thread;
  atomic_bool stop;
  pthread_mutex_t mutex; /* of all below */
  uint16_t target;
  proxy_faults faults;
  unsigned generation; /* counts proxy_set */
  bool stall;          /* asked for */
  proxy_counts counts;
} link_proxy;

void proxy_start(link_proxy *self, uint16_t target);
void proxy_stop(link_proxy *self);
/* For connections that are there and those to come. */
void proxy_set(link_proxy *self, const proxy_faults *faults);
/* The same in short: both directions frozen, or all well again. */
void proxy_freeze(link_proxy *self, bool frozen);
/* The connections that are there go half-open for ever; new ones are not concerned. */
void proxy_stall(link_proxy *self);
/* Where new connections go. */
void proxy_lead(link_proxy *self, uint16_t target);
proxy_counts proxy_counts_take(link_proxy *self); /* and begins again at 0 */

#endif
