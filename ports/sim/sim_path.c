/* SPDX-License-Identifier: Apache-2.0 */
/* sim_path.c - the device's end of the network: the transport that ports/mqtt stands on.
 *
 *     IDLE --open--> NAME --> TCP --> TLS --> UP --close--> CLOSING --> IDLE
 *                      \_______\_______\--> FAILED --close--> IDLE
 *
 * The device sleeps until the net wakes it: for each thing that it waits for there is an
 * appointment. Habits (small pieces, would-block) are the device's alone: the broker's end reads
 * and writes as much as there is. What no transport should be asked for is noted
 * (sim_path_violation). */
#include <stdlib.h>

#include "healthtel/decode.h"
#include "sim_net_parts.h"

#define WAIT_MS 1000u
#define FAREWELL_MS 500  /* for the broker to hang up after our goodbye, as in ports/dial */
#define BLOCK_MS_MAX 20u /* a would-block without reason lasts so long at most */
#define HANDSHAKE_TRIPS 3u
#define HANDSHAKE_BYTES 3200u

static void blame(sim_path *path, const char *what) {
  if (path->state->violation == NULL) path->state->violation = what;
}

/* ---- The device's stream ------------------------------------------------------------------- */

static bool blocks_by_chance(sim_path *path) {
  return path->shape.block_pct > 0 && random_below(&path->random, 100u) < path->shape.block_pct;
}

/* As much of `size` as this one may take. */
static size_t piece(sim_path *path, size_t size) {
  uint32_t most = path->shape.read_bytes_max;
  if (most == 0) return size;
  uint32_t n = 1u + random_below(&path->random, most);
  return n < size ? n : size;
}

static int64_t chance_ms(sim_path *path) {
  return net_now_ms(path->net) + 1 + random_below(&path->random, BLOCK_MS_MAX);
}

static int stream_read(void *ctx, uint8_t *buf, size_t size) {
  sim_path *path = ctx;
  path_state *s = path->state;
  if (s->phase != UP) {
    blame(path, "a stream is read that is not open");
    return HTEL_E_LINK_LOST;
  }
  sim_conn *c = s->conn;
  lane *l = &c->down;
  if (l->pipe.arrived == 0 && net_now_ms(path->net) < l->next_ms && l->end_ms == SIM_NEVER) {
    l->wants_bytes = true;
    l->bytes_ms = 0;
    return 0;
  }
  l->bytes_ms = 0;
  l->wants_bytes = blocks_by_chance(path);
  if (l->wants_bytes) {
    l->bytes_ms = chance_ms(path);
    device_wake(path, l->bytes_ms);
    return 0;
  }
  int n = lane_read(c, l, buf, piece(path, size));
  l->wants_bytes = n == 0;
  return n;
}

/* TLS demands it: what would block is written again, from the same bytes on. */
static void refused_look(sim_path *path, const uint8_t *buf, size_t size) {
  path_state *s = path->state;
  if (s->refused_size == 0) return;
  if (size < s->refused_size || htel_crc32(0, buf, s->refused_size) != s->refused_check)
    blame(path, "after a write that would block other bytes are written");
}

static int stream_write(void *ctx, const uint8_t *buf, size_t size) {
  sim_path *path = ctx;
  path_state *s = path->state;
  if (s->phase != UP) {
    blame(path, "a stream is written that is not open");
    if (s->phase != IDLE && s->phase != CLOSING) path->counts.unverified_bytes += size;
    return HTEL_E_LINK_LOST;
  }
  if (size == 0) {
    blame(path, "nothing is written");
    return 0;
  }
  refused_look(path, buf, size);
  sim_conn *c = s->conn;
  int n = 0;
  if (blocks_by_chance(path)) {
    c->up.wants_room = true;
    c->up.room_ms = chance_ms(path);
    device_wake(path, c->up.room_ms);
  } else {
    n = lane_write(c, &c->up, &c->down, buf, piece(path, size));
  }
  s->refused_size = n == 0 ? (uint32_t)size : 0;
  if (n == 0) s->refused_check = htel_crc32(0, buf, size);
  return n;
}

/* ---- Connecting ---------------------------------------------------------------------------- */

static void phase_begin(sim_path *path, int phase, int64_t due_ms) {
  path->state->phase = phase;
  path->state->due_ms = due_ms;
  if (due_ms != SIM_NEVER) device_wake(path, due_ms);
}

static void fail(sim_path *path, int error) {
  path_state *s = path->state;
  s->phase = FAILED;
  s->error = error;
  device_wake(path, net_now_ms(path->net));
}

static uint32_t handshake_bytes(const sim_path *path) {
  return path->handshake_bytes != 0 ? path->handshake_bytes : HANDSHAKE_BYTES;
}

/* Of the handshake's bytes a third goes up and the rest comes down. */
static int64_t tls_ms(sim_path *path) {
  uint32_t trips = path->handshake_trips != 0 ? path->handshake_trips : HANDSHAKE_TRIPS;
  uint64_t bytes = handshake_bytes(path), up = bytes / 3u, ms = 0;
  const sim_shape *shape = &path->shape;
  if (shape->up_bytes_per_s > 0) ms += up * 1000u / shape->up_bytes_per_s;
  if (shape->down_bytes_per_s > 0) ms += (bytes - up) * 1000u / shape->down_bytes_per_s;
  for (uint32_t i = 1; i < trips; i++) ms += (uint64_t)path_delay_ms(path) + path_delay_ms(path);
  return (int64_t)ms;
}

static bool is_answered(const sim_path *path) {
  const sim_listener *listener = &path->net->listener;
  return path->way == SIM_WAY_OPEN && listener->accepts(listener->ctx);
}

static void name_end(sim_path *path, int64_t now_ms) {
  if (path->name == SIM_NAME_FAILS)
    fail(path, HTEL_E_RESOLVE);
  else if (path->way == SIM_WAY_SILENT)
    phase_begin(path, TCP, SIM_NEVER);
  else
    phase_begin(path, TCP, now_ms + path_delay_ms(path) + path_delay_ms(path));
}

static void tcp_end(sim_path *path, int64_t now_ms) {
  if (path->way == SIM_WAY_SILENT)
    path->state->due_ms = SIM_NEVER;
  else if (!is_answered(path))
    fail(path, HTEL_E_CONNECT);
  else
    phase_begin(path, TLS, now_ms + tls_ms(path));
}

static void tls_end(sim_path *path, int64_t now_ms) {
  (void)now_ms;
  path_state *s = path->state;
  path->counts.handshake_bytes += handshake_bytes(path);
  if (path->way == SIM_WAY_SILENT) {
    s->due_ms = SIM_NEVER;
    return;
  }
  int error = !is_answered(path) ? HTEL_E_TLS_CLOSED : path->tls_error;
  if (error != 0) {
    fail(path, error);
    return;
  }
  s->conn = conn_new(path);
  if (s->conn == NULL) {
    fail(path, HTEL_E_MEMORY);
    return;
  }
  path->counts.ups++;
  s->phase = UP;
  path->net->listener.connected(path->net->listener.ctx, s->conn);
}

static const struct {
  void (*end)(sim_path *path, int64_t now_ms);
  int late; /* the error when the time is over */
} phases[] = {[NAME] = {name_end, HTEL_E_RESOLVE},
              [TCP] = {tcp_end, HTEL_E_CONNECT},
              [TLS] = {tls_end, HTEL_E_LINK_SILENT}};

static int transport_open(void *ctx, uint32_t timeout_ms) {
  sim_path *path = ctx;
  path_state *s = path->state;
  int64_t now_ms = net_now_ms(path->net);
  if (s->phase != IDLE) {
    blame(path, "it is opened although it is open");
    return HTEL_E_AGAIN;
  }
  path->counts.opens++;
  s->timeout_ms = now_ms + timeout_ms;
  s->refused_size = 0;
  bool hangs = path->name == SIM_NAME_HANGS;
  phase_begin(path, NAME, hangs ? SIM_NEVER : now_ms + path_delay_ms(path) + path_delay_ms(path));
  device_wake(path, s->timeout_ms);
  return 0;
}

static int transport_step(void *ctx) {
  sim_path *path = ctx;
  path_state *s = path->state;
  int64_t now_ms = net_now_ms(path->net);
  while (s->phase >= NAME && s->phase <= TLS && now_ms >= s->due_ms && now_ms < s->timeout_ms)
    phases[s->phase].end(path, now_ms);
  if (s->phase >= NAME && s->phase <= TLS && now_ms >= s->timeout_ms)
    fail(path, phases[s->phase].late);
  switch (s->phase) {
    case UP: return 0;
    case FAILED: return s->error;
    case IDLE:
    case CLOSING: blame(path, "a step, and nothing is open"); return HTEL_E_LINK_LOST;
    default: return HTEL_E_AGAIN;
  }
}

static htel_stream transport_stream(void *ctx) {
  sim_path *path = ctx;
  if (path->state->phase != UP) blame(path, "the stream is asked for before it is there");
  return (htel_stream){.ctx = path, .read = stream_read, .write = stream_write};
}

/* As when a socket is closed: what was written still goes out; but with bytes unread the other end
 * gets a reset. */
static void hang_up(sim_path *path) {
  path_state *s = path->state;
  sim_conn *c = s->conn;
  if (c != NULL) {
    int64_t now_ms = net_now_ms(path->net);
    lane_settle(c, &c->down, now_ms);
    lane_end(c, &c->up, c->down.pipe.arrived > 0 ? RST : FIN, now_ms);
  }
  device_leaves(path);
  s->phase = IDLE;
}

static int transport_close(void *ctx, bool orderly) {
  sim_path *path = ctx;
  path_state *s = path->state;
  int64_t now_ms = net_now_ms(path->net);
  if (!orderly || (s->phase != UP && s->phase != CLOSING)) {
    hang_up(path);
    return 0;
  }
  sim_conn *c = s->conn;
  if (s->phase == UP) {
    lane_end(c, &c->up, FIN, now_ms);
    s->phase = CLOSING;
    s->timeout_ms = now_ms + FAREWELL_MS;
  }
  lane_settle(c, &c->down, now_ms);
  path->counts.lost_bytes +=
      sim_pipe_take(&c->down.pipe, &path->net->blocks, NULL, c->down.pipe.arrived);
  if (now_ms < s->timeout_ms && !lane_has_ended(&c->down, now_ms)) return HTEL_E_AGAIN;
  hang_up(path);
  return 0;
}

/* When the stream is worth another try; SIM_NEVER: nothing is under way. */
static int64_t stream_ms(const sim_conn *c) {
  const lane *down = &c->down, *up = &c->up;
  int64_t at_ms = SIM_NEVER;
  if (down->wants_bytes) {
    bool there = down->pipe.arrived > 0 || down->bytes_ms > 0;
    at_ms = there ? down->bytes_ms : down->next_ms;
  }
  if (up->wants_room && up->room_ms < at_ms) at_ms = up->room_ms;
  return at_ms;
}

static uint32_t transport_wait_ms(void *ctx) {
  const sim_path *path = ctx;
  const path_state *s = path->state;
  int64_t now_ms = net_now_ms(path->net), at_ms = SIM_NEVER;
  if (s->phase == UP) at_ms = stream_ms(s->conn);
  if (s->phase == FAILED) return 0;
  if (s->phase >= NAME && s->phase <= TLS)
    at_ms = s->due_ms < s->timeout_ms ? s->due_ms : s->timeout_ms;
  if (s->phase == CLOSING)
    at_ms = s->conn->down.next_ms < s->timeout_ms ? s->conn->down.next_ms : s->timeout_ms;
  if (at_ms - now_ms >= WAIT_MS) return WAIT_MS;
  return at_ms > now_ms ? (uint32_t)(at_ms - now_ms) : 1u;
}

/* ---- The path ------------------------------------------------------------------------------ */

bool sim_path_init(sim_path *path, sim_net *net, uint32_t device, uint32_t actor, uint64_t seed) {
  path_state *s = calloc(1, sizeof *s);
  *path = (sim_path){.random = {seed}, .net = net, .device = device, .actor = actor, .state = s};
  path->transport = (htel_mqtt_transport){.ctx = path,
                                          .open = transport_open,
                                          .step = transport_step,
                                          .stream = transport_stream,
                                          .wait_ms = transport_wait_ms,
                                          .close = transport_close};
  return s != NULL;
}

void sim_path_free(sim_path *path) {
  path_state *s = path->state;
  if (s == NULL) return;
  sim_path_reset(path, SIM_END_DEATH);
  while (s->conns != NULL) { /* the broker's */
    sim_conn *c = s->conns;
    s->conns = c->next;
    c->path = NULL;
    c->dead = true;
  }
  free(s);
  path->state = NULL;
}

void sim_path_cut(sim_path *path, sim_end how) {
  path_state *s = path->state;
  if (s->phase == UP || s->phase == CLOSING) conn_cut(path, s->conn, how);
  if (s->phase != TCP && s->phase != TLS) return;
  if (how == SIM_END_DEATH)
    s->due_ms = SIM_NEVER;
  else
    fail(path, s->phase == TCP ? HTEL_E_CONNECT : HTEL_E_TLS_CLOSED);
}

void sim_path_reset(sim_path *path, sim_end how) {
  path_state *s = path->state;
  if (s->conn != NULL) conn_cut(path, s->conn, how);
  device_leaves(path);
  s->phase = IDLE;
  s->welcomes = 0;
}

bool sim_path_is_up(const sim_path *path) {
  const path_state *s = path->state;
  return s->phase == UP && !lane_has_ended(&s->conn->down, net_now_ms(path->net));
}

int64_t sim_path_clear_ms(const sim_path *path) {
  const sim_conn *c = path->state->conn;
  if (c == NULL) return 0;
  return c->up.pipe.last_ms > c->down.pipe.last_ms ? c->up.pipe.last_ms : c->down.pipe.last_ms;
}

const char *sim_path_violation(const sim_path *path) {
  return path->state->violation;
}

size_t sim_path_memory_bytes(const sim_path *path) {
  size_t bytes = sizeof *path + sizeof *path->state;
  for (const sim_conn *c = path->state->conns; c != NULL; c = c->next)
    bytes += sizeof *c + sim_pipe_memory_bytes(&c->up.pipe) + sim_pipe_memory_bytes(&c->down.pipe);
  return bytes;
}
