/* SPDX-License-Identifier: Apache-2.0 */
/* sim_world.h - one path and the broker's end of its connections, for tests of the network. */
#ifndef HTEL_TESTS_SIM_WORLD_H
#define HTEL_TESTS_SIM_WORLD_H

#include "sim_net.h"

enum { DEVICE, BROKER, ACTORS };
enum { CONNS_MAX = 8, TIMEOUT_MS = 20000 };

typedef struct world {
  sim_queue queue;
  sim_net *net;
  sim_path path;
  bool listens;
  sim_conn *conns[CONNS_MAX];
  unsigned conn_count;
} world;

world *world_new(uint64_t seed);
/* Closes what is still open at the broker. */
void world_free(world *w);
/* Time passes; nothing is done at the appointments on the way. */
void pass_to(world *w, int64_t ms);
void pass(world *w, int64_t ms);
/* Time passes to the next appointment of this actor. */
void pass_to_appointment(world *w, uint32_t wanted);
/* As a device sleeps: for as long as the transport says, unless it is woken. */
void device_sleep(world *w);
int step(world *w);
int open_path(world *w);
htel_stream stream_of(world *w);
/* The broker's end of the newest connection. */
sim_conn *conn_of(const world *w);
void go_up(world *w);
int device_write(world *w, const char *text);
int device_read(world *w, char *to, size_t size);
int broker_write(const world *w, const char *text);
int broker_read(const world *w, char *to, size_t size);

#endif
