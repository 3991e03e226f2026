/* SPDX-License-Identifier: Apache-2.0 */
/* sim_net.c - connections: see sim_net.h; sim_path.c has the device's end.
 *
 * A connection is two pipes. Each carries an end to its reader, when there is one, and lives until
 * both sides have let go of it: so one that the device gave up long ago may still stand at the
 * broker, beside its next. What is written once the other side cannot have it any more goes
 * nowhere, but takes its room in the send buffer, as what is never acknowledged does. */
#include "sim_net_parts.h"

#include <stdlib.h>
#include <string.h>

#define SEND_BUFFER_BYTES 16384u

static void broker_wake(sim_conn *c, int64_t at_ms) {
  if (!c->broker_here) return;
  sim_queue_sooner(c->net->queue, c->net->broker_actor, at_ms);
  if (c->net->listener.ready != NULL) c->net->listener.ready(c->net->listener.ctx, c, at_ms);
}

/* ---- Lanes --------------------------------------------------------------------------------- */

static void lane_begin(lane *l) {
  sim_pipe pipe = l->pipe; /* keeps its memory */
  *l = (lane){.pipe = pipe, .next_ms = SIM_NEVER, .end_ms = SIM_NEVER, .room_ms = SIM_NEVER};
  l->pipe.next_ms = SIM_NEVER;
  l->pipe.line_free_ns = l->pipe.last_ms = 0;
}

static void lane_next_find(lane *l) {
  l->next_ms = l->pipe.next_ms < l->end_ms ? l->pipe.next_ms : l->end_ms;
}

static void lost(sim_conn *c, uint32_t bytes) {
  if (c->path != NULL) c->path->counts.lost_bytes += bytes;
}

static void lane_cut(sim_conn *c, lane *l, uint32_t keep) {
  lost(c, sim_pipe_cut(&l->pipe, &c->net->blocks, keep));
  lane_next_find(l);
}

/* What a partition finds under way, as behind a slow line, never arrives. */
static void silence_settle(sim_conn *c, lane *l, int64_t now_ms) {
  bool end_lost = l->end != NO_END && l->end_ms >= now_ms;
  if (l->pipe.count == 0 && !end_lost) return;
  c->dead = true;
  if (end_lost) {
    l->end = NO_END;
    l->end_ms = SIM_NEVER;
  }
  lane_cut(c, l, l->pipe.arrived);
}

void lane_settle(sim_conn *c, lane *l, int64_t now_ms) {
  if (now_ms < l->next_ms) return;
  if (c->path != NULL && c->path->way == SIM_WAY_SILENT) silence_settle(c, l, now_ms);
  sim_pipe_settle(&l->pipe, now_ms);
  if (l->end == RST && now_ms >= l->end_ms) lane_cut(c, l, 0);
  lane_next_find(l);
  if (now_ms >= l->end_ms) l->next_ms = l->pipe.next_ms; /* it is there: nothing new any more */
}

bool lane_has_ended(const lane *l, int64_t now_ms) {
  return l->end != NO_END && now_ms >= l->end_ms && l->pipe.held == 0;
}

static uint32_t lane_room(const sim_conn *c, const lane *l) {
  uint32_t size = c->path != NULL ? c->path->shape.send_buffer_bytes : 0;
  if (size == 0) size = SEND_BUFFER_BYTES;
  uint32_t used = l->pipe.held + l->stuck;
  return used < size ? size - used : 0;
}

static void reader_wake(sim_conn *c, lane *l, int64_t at_ms) {
  if (l == &c->up) {
    broker_wake(c, at_ms);
  } else if (c->device_here && c->path != NULL) {
    device_wake(c->path, at_ms);
  }
}

/* Whether what this side sends still gets anywhere; if not, it never will again. */
static bool is_way_open(sim_conn *c) {
  if (c->path == NULL || c->path->way == SIM_WAY_SILENT) c->dead = true;
  return !c->dead;
}

void lane_end(sim_conn *c, lane *l, uint8_t end, int64_t now_ms) {
  if (l->end == RST || (l->end == FIN && end == FIN)) return;
  if (!is_way_open(c)) return;
  int64_t end_ms = now_ms + path_delay_ms(c->path);
  if (end == FIN && l->pipe.count > 0 && l->pipe.last_ms > end_ms) end_ms = l->pipe.last_ms;
  l->end = end;
  l->end_ms = end_ms;
  lane_next_find(l);
  reader_wake(c, l, end_ms);
}

/* A write of which nothing comes. Where the other side is gone and the way is open, its machine
 * answers with a reset. */
static int write_nowhere(sim_conn *c, lane *l, lane *back, uint32_t size, int64_t now_ms) {
  l->stuck += size;
  lost(c, size);
  if (is_way_open(c)) lane_end(c, back, RST, now_ms + c->path->shape.latency_ms);
  return (int)size;
}

int lane_write(sim_conn *c, lane *l, lane *back, const uint8_t *buf, size_t size) {
  int64_t now_ms = net_now_ms(c->net);
  if (back->end == RST && now_ms >= back->end_ms) return HTEL_E_LINK_LOST;
  uint32_t room = lane_room(c, l);
  uint32_t n = size < room ? (uint32_t)size : room;
  l->wants_room = n == 0;
  if (n == 0) {
    l->room_ms = SIM_NEVER;
    return 0;
  }
  bool reader_here = l == &c->up ? c->broker_here : c->device_here;
  if (!is_way_open(c) || !reader_here || l->end != NO_END)
    return write_nowhere(c, l, back, n, now_ms);
  const sim_shape *shape = &c->path->shape;
  uint32_t rate = l == &c->up ? shape->up_bytes_per_s : shape->down_bytes_per_s;
  if (!sim_pipe_put(&l->pipe, &c->net->blocks, buf, n, now_ms, rate, path_delay_ms(c->path)))
    return HTEL_E_MEMORY;
  lane_next_find(l);
  reader_wake(c, l, l->next_ms);
  return (int)n;
}

/* Room for a writer that was refused: it is told once there is some of it. */
static void room_tell(sim_conn *c, lane *l, int64_t now_ms) {
  if (!l->wants_room || l->room_ms <= now_ms) return;
  uint32_t room = lane_room(c, l);
  if (room == 0 || (l->pipe.held > 0 && room < (l->pipe.held + l->stuck) / 4u)) return;
  l->room_ms = now_ms + (c->path != NULL ? c->path->shape.latency_ms : 0);
  if (l == &c->down)
    broker_wake(c, l->room_ms);
  else if (c->device_here && c->path != NULL)
    device_wake(c->path, l->room_ms);
}

int lane_read(sim_conn *c, lane *l, uint8_t *buf, size_t size) {
  int64_t now_ms = net_now_ms(c->net);
  lane_settle(c, l, now_ms);
  uint32_t n = size < INT32_MAX ? (uint32_t)size : INT32_MAX;
  n = sim_pipe_take(&l->pipe, &c->net->blocks, buf, n);
  if (n == 0) return lane_has_ended(l, now_ms) ? HTEL_E_LINK_LOST : 0;
  if (c->path != NULL) {
    sim_path_counts *counts = &c->path->counts;
    *(l == &c->up ? &counts->up_bytes : &counts->down_bytes) += n;
  }
  room_tell(c, l, now_ms);
  return (int)n;
}

/* ---- Connections --------------------------------------------------------------------------- */

sim_conn *conn_new(sim_path *path) {
  sim_net *net = path->net;
  path_state *s = path->state;
  sim_conn *c = net->unused;
  if (c != NULL)
    net->unused = c->next;
  else
    c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  sim_conn fresh = {.net = net,
                    .path = path,
                    .next = s->conns,
                    .up = c->up,
                    .down = c->down,
                    .device = path->device,
                    .device_here = true,
                    .broker_here = true};
  *c = fresh;
  lane_begin(&c->up);
  lane_begin(&c->down);
  s->conns = c;
  return c;
}

/* Gone when both sides have let go of it. */
static void conn_release(sim_conn *c) {
  if (c->device_here || c->broker_here) return;
  lane_cut(c, &c->up, 0);
  lane_cut(c, &c->down, 0);
  if (c->path != NULL) {
    sim_conn **link = &c->path->state->conns;
    while (*link != c) link = &(*link)->next;
    *link = c->next;
  }
  c->path = NULL;
  c->next = c->net->unused;
  c->net->unused = c;
}

void conn_cut(sim_path *path, sim_conn *c, sim_end how) {
  int64_t now_ms = net_now_ms(path->net);
  lane *both[] = {&c->up, &c->down};
  for (unsigned i = 0; i < 2; i++) {
    lane *l = both[i];
    lane_settle(c, l, now_ms);
    uint32_t flying = l->pipe.held - l->pipe.arrived;
    if (flying > 0) lane_cut(c, l, l->pipe.arrived + random_below(&path->random, flying + 1u));
    if (how != SIM_END_DEATH) lane_end(c, l, how == SIM_END_FIN ? FIN : RST, now_ms);
  }
  c->dead = true;
}

void device_leaves(sim_path *path) {
  path_state *s = path->state;
  sim_conn *c = s->conn;
  s->conn = NULL;
  s->refused_size = 0;
  if (c == NULL) return;
  lane_cut(c, &c->down, 0);
  c->device_here = false;
  room_tell(c, &c->down, net_now_ms(path->net));
  conn_release(c);
}

int64_t sim_conn_ready_ms(const sim_conn *conn) {
  int64_t now_ms = net_now_ms(conn->net);
  if (conn->up.pipe.arrived > 0 || lane_has_ended(&conn->up, now_ms)) return now_ms;
  int64_t at_ms = conn->up.next_ms;
  if (conn->down.wants_room && conn->down.room_ms < at_ms) at_ms = conn->down.room_ms;
  return at_ms > now_ms ? at_ms : now_ms;
}

int sim_conn_read(sim_conn *conn, uint8_t *buf, size_t size) {
  return lane_read(conn, &conn->up, buf, size);
}

int sim_conn_write(sim_conn *conn, const uint8_t *buf, size_t size) {
  return lane_write(conn, &conn->down, &conn->up, buf, size);
}

void sim_conn_close(sim_conn *conn, sim_end how) {
  int64_t now_ms = net_now_ms(conn->net);
  if (how == SIM_END_DEATH) conn->dead = true;
  if (how == SIM_END_RST) lane_end(conn, &conn->down, RST, now_ms);
  if (how == SIM_END_FIN) lane_end(conn, &conn->down, FIN, now_ms);
  lane_cut(conn, &conn->up, 0);
  conn->broker_here = false;
  conn_release(conn);
}

uint32_t sim_conn_device(const sim_conn *conn) {
  return conn->device;
}

void sim_conn_welcome(sim_conn *conn) {
  if (conn->path != NULL) conn->first = conn->path->state->welcomes++ == 0;
}

/* Nothing of the device's is anywhere but at the reader of its bytes: where any were lost the
 * connection is dead, or has an end. */
static bool is_still(const sim_conn *c) {
  if (c->path == NULL || !c->device_here || c->dead || !c->first) return false;
  const sim_shape *shape = &c->path->shape;
  bool plain = shape->block_pct == 0 && shape->read_bytes_max == 0;
  return plain && c->path->way == SIM_WAY_OPEN && c->path->state->phase == UP &&
         c->up.end == NO_END && c->down.end == NO_END && !c->up.wants_room &&
         c->up.pipe.held == 0 && c->down.pipe.held == 0;
}

bool sim_conn_write_at_once(sim_conn *conn, const uint8_t *buf, size_t size) {
  int64_t now_ms = net_now_ms(conn->net);
  if (!is_still(conn) || size > lane_room(conn, &conn->down)) return false;
  if (!sim_pipe_put(&conn->down.pipe, &conn->net->blocks, buf, (uint32_t)size, now_ms, 0, 0))
    return false;
  lane_next_find(&conn->down);
  device_wake(conn->path, now_ms);
  return true;
}

void sim_conn_tag_set(sim_conn *conn, void *tag) {
  conn->tag = tag;
}

void *sim_conn_tag(const sim_conn *conn) {
  return conn->tag;
}

/* ---- Paths and the net --------------------------------------------------------------------- */

sim_net *sim_net_new(sim_queue *queue, const sim_listener *listener, uint32_t broker_actor) {
  sim_net *net = calloc(1, sizeof *net);
  if (net == NULL) return NULL;
  net->queue = queue;
  net->listener = *listener;
  net->broker_actor = broker_actor;
  return net;
}

void sim_net_free(sim_net *net) {
  if (net == NULL) return;
  while (net->unused != NULL) {
    sim_conn *c = net->unused;
    net->unused = c->next;
    sim_pipe_free(&c->up.pipe, &net->blocks);
    sim_pipe_free(&c->down.pipe, &net->blocks);
    free(c);
  }
  sim_blocks_free(&net->blocks);
  free(net);
}
