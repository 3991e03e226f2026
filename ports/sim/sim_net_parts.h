/* SPDX-License-Identifier: Apache-2.0 */
/* sim_net_parts.h - what sim_net.c (connections) and sim_path.c (the device's end) share. */
#ifndef HTEL_SIM_NET_PARTS_H
#define HTEL_SIM_NET_PARTS_H

#include "sim_net.h"
#include "sim_pipe.h"

enum { IDLE, NAME, TCP, TLS, UP, FAILED, CLOSING };
enum { NO_END, FIN, RST };

/* One direction of a connection. */
typedef struct lane {
  sim_pipe pipe;
  int64_t next_ms;  /* when the reader has something new to look at; SIM_NEVER */
  int64_t end_ms;   /* when the end is there */
  int64_t room_ms;  /* when a writer that was refused is to try again */
  uint32_t stuck;   /* bytes that went nowhere */
  uint8_t end;      /* NO_END, FIN, RST */
  bool wants_room;  /* the last write would block */
  bool wants_bytes; /* the last read would block */
  int64_t bytes_ms; /* and will again until then, for no reason */
} lane;

struct sim_conn {
  sim_net *net;
  sim_path *path; /* NULL: is gone */
  sim_conn *next; /* of the path, or of the unused */
  void *tag;
  lane up, down;
  uint32_t device;
  bool device_here, broker_here;
  bool dead;  /* what is sent from now on goes nowhere, either way */
  bool first; /* that was welcomed since the device's reset */
};

struct sim_net {
  sim_queue *queue;
  sim_listener listener;
  uint32_t broker_actor;
  sim_blocks blocks;
  sim_conn *unused;
};

typedef struct sim_path_state {
  int phase;
  int error;          /* FAILED */
  int64_t due_ms;     /* when the phase is over; SIM_NEVER: it hangs */
  int64_t timeout_ms; /* when the attempt is, or the farewell */
  sim_conn *conn;     /* UP, CLOSING */
  sim_conn *conns;    /* all that are, with those the device has left */
  uint32_t refused_size, refused_check;
  uint32_t welcomes; /* since the reset */
  const char *violation;
} path_state;

static inline int64_t net_now_ms(const sim_net *net) {
  return net->queue->now_ms;
}

static inline void device_wake(sim_path *path, int64_t at_ms) {
  sim_queue_sooner(path->net->queue, path->actor, at_ms);
}

/* What one way takes now. */
static inline uint32_t path_delay_ms(sim_path *path) {
  const sim_shape *shape = &path->shape;
  if (shape->jitter_ms == 0) return shape->latency_ms;
  return shape->latency_ms + random_below(&path->random, shape->jitter_ms + 1u);
}

/* Time has moved on. */
void lane_settle(sim_conn *c, lane *l, int64_t now_ms);
bool lane_has_ended(const lane *l, int64_t now_ms);
/* As htel_stream; `back` is the other lane. */
int lane_read(sim_conn *c, lane *l, uint8_t *buf, size_t size);
int lane_write(sim_conn *c, lane *l, lane *back, const uint8_t *buf, size_t size);
/* Tells the lane's reader of an end. */
void lane_end(sim_conn *c, lane *l, uint8_t end, int64_t now_ms);

sim_conn *conn_new(sim_path *path); /* NULL: no memory */
/* Of what is under way some arrives, and nothing after that. */
void conn_cut(sim_path *path, sim_conn *c, sim_end how);
/* The device's side lets go. */
void device_leaves(sim_path *path);

#endif
