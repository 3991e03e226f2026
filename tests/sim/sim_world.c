/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool accepts(void *ctx) {
  return ((const world *)ctx)->listens;
}

static void connected(void *ctx, sim_conn *conn) {
  world *w = ctx;
  assert_true(w->conn_count < CONNS_MAX);
  w->conns[w->conn_count++] = conn;
}

world *world_new(uint64_t seed) {
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  w->listens = true;
  assert_true(sim_queue_init(&w->queue, ACTORS));
  sim_listener listener = {.ctx = w, .accepts = accepts, .connected = connected};
  w->net = sim_net_new(&w->queue, &listener, BROKER);
  assert_non_null(w->net);
  assert_true(sim_path_init(&w->path, w->net, 7, DEVICE, seed));
  w->path.shape.latency_ms = 50;
  return w;
}

void world_free(world *w) {
  sim_path_free(&w->path);
  for (unsigned i = 0; i < w->conn_count; i++)
    if (w->conns[i] != NULL) sim_conn_close(w->conns[i], SIM_END_RST);
  sim_net_free(w->net);
  sim_queue_free(&w->queue);
  free(w);
}

void pass_to(world *w, int64_t ms) {
  uint32_t actor;
  while (sim_queue_next_ms(&w->queue) <= ms) assert_true(sim_queue_take(&w->queue, &actor));
  sim_queue_set(&w->queue, BROKER, ms);
  while (w->queue.now_ms < ms) assert_true(sim_queue_take(&w->queue, &actor));
}

void pass(world *w, int64_t ms) {
  pass_to(w, w->queue.now_ms + ms);
}

void pass_to_appointment(world *w, uint32_t wanted) {
  uint32_t actor = ACTORS;
  while (actor != wanted) assert_true(sim_queue_take(&w->queue, &actor));
}

void device_sleep(world *w) {
  uint32_t wait_ms = w->path.transport.wait_ms(&w->path);
  sim_queue_sooner(&w->queue, DEVICE, w->queue.now_ms + wait_ms);
  pass_to_appointment(w, DEVICE);
}

int step(world *w) {
  return w->path.transport.step(&w->path);
}

int open_path(world *w) {
  return w->path.transport.open(&w->path, TIMEOUT_MS);
}

htel_stream stream_of(world *w) {
  return w->path.transport.stream(&w->path);
}

sim_conn *conn_of(const world *w) {
  return w->conns[w->conn_count - 1];
}

void go_up(world *w) {
  assert_int_equal(open_path(w), 0);
  while (step(w) == HTEL_E_AGAIN) device_sleep(w);
  assert_int_equal(step(w), 0);
  assert_true(sim_path_is_up(&w->path));
}

int device_write(world *w, const char *text) {
  htel_stream s = stream_of(w);
  return s.write(s.ctx, (const uint8_t *)text, strlen(text));
}

int device_read(world *w, char *to, size_t size) {
  htel_stream s = stream_of(w);
  int n = s.read(s.ctx, (uint8_t *)to, size - 1);
  to[n > 0 ? n : 0] = '\0';
  return n;
}

int broker_write(const world *w, const char *text) {
  return sim_conn_write(conn_of(w), (const uint8_t *)text, strlen(text));
}

int broker_read(const world *w, char *to, size_t size) {
  int n = sim_conn_read(conn_of(w), (uint8_t *)to, size - 1);
  to[n > 0 ? n : 0] = '\0';
  return n;
}
