/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated network: bytes come whole, in order and in their time, or not at all; each end is
 * told what it should be told, and nobody sleeps through anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim_world.h"

/* ---- Connecting ---------------------------------------------------------------------------- */

static void test_a_handshake_takes_name_and_round_trips(void **state) {
  (void)state;
  world *w = world_new(1);
  go_up(w);
  /* The name, TCP, and two trips of TLS: four times there and back. */
  assert_int_equal(w->queue.now_ms, 4 * 2 * 50);
  assert_int_equal(w->path.counts.opens, 1);
  assert_int_equal(w->path.counts.ups, 1);
  assert_int_equal(w->path.counts.handshake_bytes, 3200);
  assert_int_equal(sim_conn_device(conn_of(w)), 7);
  assert_null(sim_path_violation(&w->path));
  world_free(w);
}

static void test_a_slow_line_makes_the_handshake_slow(void **state) {
  (void)state;
  world *w = world_new(1);
  w->path.handshake_bytes = 3000;
  w->path.shape.up_bytes_per_s = 1000;
  w->path.shape.down_bytes_per_s = 2000;
  go_up(w);
  assert_int_equal(w->queue.now_ms, 400 + 1000 + 1000);
  world_free(w);
}

typedef struct failure {
  sim_name name;
  sim_way way;
  int tls_error;
  bool deaf;
  int error;
  int64_t ms;
} failure;

static void test_each_failure_says_what_it_is_and_comes_in_time(void **state) {
  (void)state;
  static const failure failures[] = {
      {SIM_NAME_FAILS, SIM_WAY_OPEN, 0, false, HTEL_E_RESOLVE, 100},
      {SIM_NAME_HANGS, SIM_WAY_OPEN, 0, false, HTEL_E_RESOLVE, TIMEOUT_MS},
      {SIM_NAME_OK, SIM_WAY_REFUSED, 0, false, HTEL_E_CONNECT, 200},
      {SIM_NAME_OK, SIM_WAY_SILENT, 0, false, HTEL_E_CONNECT, TIMEOUT_MS},
      {SIM_NAME_OK, SIM_WAY_OPEN, 0, true, HTEL_E_CONNECT, 200},
      {SIM_NAME_OK, SIM_WAY_OPEN, HTEL_E_TLS_EXPIRED, false, HTEL_E_TLS_EXPIRED, 400},
      {SIM_NAME_OK, SIM_WAY_OPEN, HTEL_E_TLS_NAME, false, HTEL_E_TLS_NAME, 400},
  };
  for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
    const failure *f = &failures[i];
    world *w = world_new(i);
    w->path.name = f->name;
    w->path.way = f->way;
    w->path.tls_error = f->tls_error;
    w->listens = !f->deaf;
    assert_int_equal(open_path(w), 0);
    while (step(w) == HTEL_E_AGAIN) device_sleep(w);
    assert_int_equal(step(w), f->error);
    assert_int_equal(w->queue.now_ms, f->ms);
    assert_int_equal(w->path.transport.close(&w->path, false), 0);
    assert_int_equal(w->conn_count, 0);
    assert_int_equal(w->path.counts.unverified_bytes, 0);
    assert_null(sim_path_violation(&w->path));
    world_free(w);
  }
}

static void test_what_is_written_to_a_server_that_was_not_verified_is_counted(void **state) {
  (void)state;
  world *w = world_new(1);
  w->path.tls_error = HTEL_E_TLS_CA;
  assert_int_equal(open_path(w), 0);
  while (step(w) == HTEL_E_AGAIN) device_sleep(w);
  assert_true(device_write(w, "secret") < 0);
  assert_int_equal(w->path.counts.unverified_bytes, 6);
  assert_int_equal(w->path.counts.up_bytes, 0);
  assert_non_null(sim_path_violation(&w->path));
  world_free(w);
}

static void test_a_cut_ends_a_handshake(void **state) {
  (void)state;
  static const int errors[] = {HTEL_E_TLS_CLOSED, HTEL_E_TLS_CLOSED, HTEL_E_LINK_SILENT};
  for (unsigned how = SIM_END_FIN; how <= SIM_END_DEATH; how++) {
    world *w = world_new(1);
    assert_int_equal(open_path(w), 0);
    while (w->queue.now_ms < 200) {
      assert_int_equal(step(w), HTEL_E_AGAIN);
      device_sleep(w);
    }
    assert_int_equal(step(w), HTEL_E_AGAIN); /* TCP is done */
    sim_path_cut(&w->path, (sim_end)how);
    while (step(w) == HTEL_E_AGAIN) device_sleep(w);
    assert_int_equal(step(w), errors[how]);
    world_free(w);
  }
}

/* ---- Bytes --------------------------------------------------------------------------------- */

static void test_bytes_arrive_after_the_latency_and_wake(void **state) {
  (void)state;
  world *w = world_new(1);
  char text[64];
  go_up(w);
  int64_t from_ms = w->queue.now_ms;
  assert_int_equal(device_read(w, text, sizeof text), 0);
  assert_int_equal(w->path.transport.wait_ms(&w->path), 1000);
  assert_int_equal(device_write(w, "hello"), 5);
  assert_int_equal(sim_conn_ready_ms(conn_of(w)), from_ms + 50);
  pass_to_appointment(w, BROKER);
  assert_int_equal(w->queue.now_ms, from_ms + 50);
  assert_int_equal(broker_read(w, text, sizeof text), 5);
  assert_string_equal(text, "hello");
  assert_int_equal(broker_write(w, "world"), 5);
  assert_int_equal(w->path.transport.wait_ms(&w->path), 50);
  pass_to_appointment(w, DEVICE);
  assert_int_equal(w->queue.now_ms, from_ms + 100);
  assert_int_equal(device_read(w, text, sizeof text), 5);
  assert_string_equal(text, "world");
  assert_int_equal(w->path.counts.up_bytes, 5);
  assert_int_equal(w->path.counts.down_bytes, 5);
  assert_int_equal(w->path.counts.lost_bytes, 0);
  world_free(w);
}

/* 1 and 3 bytes a second; the third has no whole number of ms a byte. */
static void test_a_very_slow_line_is_exact(void **state) {
  (void)state;
  static const uint32_t rates[] = {1, 3, 7, 1000, 0};
  for (unsigned i = 0; i < 5; i++) {
    world *w = world_new(1);
    char text[64];
    go_up(w);
    w->path.shape.up_bytes_per_s = rates[i];
    int64_t from_ms = w->queue.now_ms;
    for (unsigned part = 0; part < 21; part++) assert_int_equal(device_write(w, "x"), 1);
    for (unsigned got = 0; got < 21;) {
      assert_int_equal(broker_read(w, text, sizeof text), 0);
      pass_to(w, sim_conn_ready_ms(conn_of(w)));
      got += (unsigned)broker_read(w, text, sizeof text);
    }
    int64_t takes_ms = rates[i] == 0 ? 0 : (21 * 1000 + rates[i] - 1) / rates[i];
    assert_int_equal(w->queue.now_ms - from_ms, takes_ms + 50);
    world_free(w);
  }
}

static void test_a_full_send_buffer_blocks_and_wakes_when_there_is_room(void **state) {
  (void)state;
  world *w = world_new(1);
  char text[2048];
  go_up(w);
  w->path.shape.send_buffer_bytes = 1000;
  memset(text, 'a', sizeof text);
  htel_stream s = stream_of(w);
  assert_int_equal(s.write(s.ctx, (uint8_t *)text, 900), 900);
  assert_int_equal(s.write(s.ctx, (uint8_t *)text, 900), 100);
  assert_int_equal(s.write(s.ctx, (uint8_t *)text, 800), 0);
  assert_int_equal(w->path.transport.wait_ms(&w->path), 1000);
  int64_t from_ms = w->queue.now_ms;
  pass_to_appointment(w, BROKER);
  assert_int_equal(broker_read(w, text, sizeof text), 1000);
  memset(text, 'a', sizeof text);
  pass_to_appointment(w, DEVICE);
  assert_int_equal(w->queue.now_ms, from_ms + 100);
  assert_int_equal(s.write(s.ctx, (uint8_t *)text, 800), 800);
  assert_null(sim_path_violation(&w->path));
  world_free(w);
}

static void test_other_bytes_after_a_write_that_would_block_are_a_violation(void **state) {
  (void)state;
  for (unsigned i = 0; i < 3; i++) {
    world *w = world_new(1);
    go_up(w);
    w->path.shape.send_buffer_bytes = 4;
    assert_int_equal(device_write(w, "1234"), 4);
    assert_int_equal(device_write(w, "56789"), 0);
    static const char *const again[] = {"56789x", "5678", "5x789"};
    device_write(w, again[i]);
    assert_int_equal(sim_path_violation(&w->path) != NULL, i > 0);
    world_free(w);
  }
}

/* ---- Random traffic ------------------------------------------------------------------------ */

/* Both sides write a stream that is known, and sleep but for their appointments. */
typedef struct traffic {
  world *w;
  uint64_t digest;
  uint32_t sent[2], got[2]; /* up, down */
  uint32_t refused;         /* bytes of the device's last write that would block */
} traffic;

static uint8_t byte_at(unsigned way, uint32_t at) {
  return (uint8_t)((at * 2654435761u >> 13) + way);
}

static void got(traffic *t, unsigned way, const uint8_t *bytes, int n) {
  for (int i = 0; i < n; i++) assert_int_equal(bytes[i], byte_at(way, t->got[way]++));
  t->digest = (t->digest ^ (uint64_t)t->w->queue.now_ms ^ (uint64_t)n << 40) * 0x9E3779B97F4A7C15u;
}

static void device_turn(traffic *t, uint32_t total) {
  uint8_t bytes[512];
  htel_stream s = stream_of(t->w);
  for (int n; (n = s.read(s.ctx, bytes, sizeof bytes)) != 0;) {
    assert_true(n > 0);
    got(t, 1, bytes, n);
  }
  while (t->sent[0] < total) {
    uint32_t size = t->refused > 0 ? t->refused : 1 + t->sent[0] % 300;
    if (size > total - t->sent[0]) size = total - t->sent[0];
    for (uint32_t i = 0; i < size; i++) bytes[i] = byte_at(0, t->sent[0] + i);
    int n = s.write(s.ctx, bytes, size);
    assert_true(n >= 0);
    t->refused = n == 0 ? size : 0;
    if (n == 0) break;
    t->sent[0] += (uint32_t)n;
  }
  uint32_t wait_ms = t->w->path.transport.wait_ms(&t->w->path);
  if (wait_ms < 1000) sim_queue_sooner(&t->w->queue, DEVICE, t->w->queue.now_ms + wait_ms);
}

static void broker_turn(traffic *t, uint32_t total) {
  uint8_t bytes[700];
  sim_conn *conn = conn_of(t->w);
  for (int n; (n = sim_conn_read(conn, bytes, sizeof bytes)) != 0;) {
    assert_true(n > 0);
    got(t, 0, bytes, n);
  }
  while (t->sent[1] < total) {
    uint32_t size = 1 + t->sent[1] % 400;
    if (size > total - t->sent[1]) size = total - t->sent[1];
    for (uint32_t i = 0; i < size; i++) bytes[i] = byte_at(1, t->sent[1] + i);
    int n = sim_conn_write(conn, bytes, size);
    assert_true(n >= 0);
    if (n == 0) break;
    t->sent[1] += (uint32_t)n;
  }
  sim_queue_sooner(&t->w->queue, BROKER, sim_conn_ready_ms(conn));
}

static uint64_t traffic_run(uint64_t seed, uint32_t total) {
  world *w = world_new(seed);
  go_up(w);
  sim_random random = {seed};
  w->path.shape = (sim_shape){.latency_ms = random_below(&random, 300),
                              .jitter_ms = random_below(&random, 200),
                              .up_bytes_per_s = random_below(&random, 3) * 997u,
                              .down_bytes_per_s = random_below(&random, 3) * 1499u,
                              .send_buffer_bytes = random_below(&random, 3) * 777u,
                              .read_bytes_max = random_below(&random, 3) * 5u,
                              .block_pct = (uint8_t)(random_below(&random, 4) * 30u)};
  traffic t = {.w = w};
  sim_queue_set(&w->queue, DEVICE, w->queue.now_ms);
  sim_queue_set(&w->queue, BROKER, w->queue.now_ms);
  while (t.got[0] < total || t.got[1] < total) {
    uint32_t actor;
    assert_true(sim_queue_take(&w->queue, &actor)); /* else somebody sleeps for ever */
    if (actor == DEVICE)
      device_turn(&t, total);
    else
      broker_turn(&t, total);
    if (random_below(&random, 50) == 0) w->path.shape.latency_ms = random_below(&random, 300);
  }
  assert_int_equal(w->path.counts.up_bytes, total);
  assert_int_equal(w->path.counts.down_bytes, total);
  assert_int_equal(w->path.counts.lost_bytes, 0);
  assert_null(sim_path_violation(&w->path));
  world_free(w);
  return t.digest;
}

static void test_all_bytes_come_in_order_whatever_the_line_and_nobody_oversleeps(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 400; seed++) traffic_run(seed, 5000);
}

static void test_the_same_seed_is_the_same_run(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 20; seed++)
    assert_int_equal(traffic_run(seed, 3000), traffic_run(seed, 3000));
}

/* ---- Ends ---------------------------------------------------------------------------------- */

static void test_a_cut_lets_some_of_what_is_under_way_arrive_and_tells_both(void **state) {
  (void)state;
  bool some = false, none = false, all = false;
  for (uint64_t seed = 0; seed < 200; seed++) {
    for (unsigned how = SIM_END_FIN; how <= SIM_END_RST; how++) {
      world *w = world_new(seed);
      char text[64];
      go_up(w);
      device_write(w, "0123456789");
      broker_write(w, "abcdefghij");
      sim_path_cut(&w->path, (sim_end)how);
      /* Each side is woken for it. */
      pass_to_appointment(w, DEVICE);
      pass(w, 50);
      int up = 0, down = 0, n;
      while ((n = broker_read(w, text, sizeof text)) > 0) up += n;
      assert_int_equal(n, HTEL_E_LINK_LOST);
      while ((n = device_read(w, text, sizeof text)) > 0) down += n;
      assert_int_equal(n, HTEL_E_LINK_LOST);
      assert_false(sim_path_is_up(&w->path));
      assert_true(up <= 10 && down <= 10);
      some |= up > 0 && up < 10;
      none |= up == 0;
      all |= up == 10;
      assert_int_equal(w->path.counts.lost_bytes, 20 - up - down);
      world_free(w);
    }
  }
  assert_true(some && none && all);
}

static void test_death_is_told_to_nobody(void **state) {
  (void)state;
  world *w = world_new(3);
  char text[64];
  go_up(w);
  w->path.shape.send_buffer_bytes = 100;
  sim_path_cut(&w->path, SIM_END_DEATH);
  int wrote = 0;
  for (unsigned i = 0; i < 12; i++) {
    wrote += device_write(w, "0123456789");
    pass(w, 100000);
    assert_int_equal(broker_read(w, text, sizeof text), 0);
    assert_int_equal(device_read(w, text, sizeof text), 0);
  }
  assert_int_equal(wrote, 100); /* the send buffer is full: nobody acknowledges */
  assert_true(sim_path_is_up(&w->path));
  assert_int_equal(w->path.counts.lost_bytes, 100);
  world_free(w);
}

/* A hole in a stream must never be: what was sent in the silence is not made up for later. */
static void test_after_silence_a_connection_that_sent_into_it_stays_dead(void **state) {
  (void)state;
  for (unsigned sends = 0; sends < 2; sends++) {
    world *w = world_new(1);
    char text[64];
    go_up(w);
    w->path.way = SIM_WAY_SILENT;
    if (sends > 0) device_write(w, "lost");
    pass(w, 5000);
    w->path.way = SIM_WAY_OPEN;
    assert_int_equal(device_write(w, "more"), 4);
    assert_int_equal(broker_write(w, "back"), 4);
    pass(w, 5000);
    assert_int_equal(broker_read(w, text, sizeof text), sends > 0 ? 0 : 4);
    assert_int_equal(device_read(w, text, sizeof text), sends > 0 ? 0 : 4);
    world_free(w);
  }
}

static void test_silence_takes_what_is_still_behind_a_slow_line(void **state) {
  (void)state;
  world *w = world_new(1);
  char text[64];
  go_up(w);
  w->path.shape.down_bytes_per_s = 1;
  broker_write(w, "0123456789");
  pass(w, 4050);
  assert_int_equal(device_read(w, text, sizeof text), 4);
  w->path.way = SIM_WAY_SILENT;
  pass(w, 3000);
  assert_int_equal(device_read(w, text, sizeof text), 0);
  w->path.way = SIM_WAY_OPEN;
  pass(w, 30000);
  assert_int_equal(device_read(w, text, sizeof text), 0);
  assert_int_equal(w->path.counts.lost_bytes, 6);
  world_free(w);
}

static void test_a_refused_way_leaves_connections_that_are(void **state) {
  (void)state;
  world *w = world_new(1);
  char text[64];
  go_up(w);
  w->path.way = SIM_WAY_REFUSED;
  assert_int_equal(device_write(w, "still"), 5);
  pass(w, 50);
  assert_int_equal(broker_read(w, text, sizeof text), 5);
  world_free(w);
}

static void test_after_a_power_cut_the_old_connection_stands_beside_the_new(void **state) {
  (void)state;
  world *w = world_new(1);
  char text[64];
  go_up(w);
  sim_path_reset(&w->path, SIM_END_DEATH);
  go_up(w);
  assert_int_equal(w->conn_count, 2);
  device_write(w, "new");
  pass(w, 100000);
  assert_int_equal(sim_conn_read(w->conns[0], (uint8_t *)text, sizeof text), 0);
  assert_int_equal(broker_read(w, text, sizeof text), 3);
  sim_conn_close(w->conns[0], SIM_END_FIN);
  w->conns[0] = NULL;
  broker_write(w, "to the new");
  pass(w, 100);
  assert_int_equal(device_read(w, text, sizeof text), 10);
  world_free(w);
}

static void test_an_orderly_close_waits_for_the_other_side_but_not_for_ever(void **state) {
  (void)state;
  for (unsigned answers = 0; answers < 2; answers++) {
    world *w = world_new(1);
    char text[64];
    go_up(w);
    int64_t from_ms = w->queue.now_ms;
    device_write(w, "bye");
    assert_int_equal(w->path.transport.close(&w->path, true), HTEL_E_AGAIN);
    pass_to_appointment(w, BROKER);
    assert_int_equal(broker_read(w, text, sizeof text), 3);
    assert_int_equal(broker_read(w, text, sizeof text), HTEL_E_LINK_LOST);
    if (answers > 0) {
      sim_conn_close(conn_of(w), SIM_END_FIN);
      w->conns[0] = NULL;
    }
    while (w->path.transport.close(&w->path, true) == HTEL_E_AGAIN)
      pass(w, w->path.transport.wait_ms(&w->path));
    assert_int_equal(w->queue.now_ms - from_ms, answers > 0 ? 100 : 500);
    assert_null(sim_path_violation(&w->path));
    world_free(w);
  }
}

/* As a kernel does after close(): it sends what it has; with bytes unread, a reset instead. */
static void test_a_hurried_close_still_sends_what_was_written(void **state) {
  (void)state;
  for (unsigned unread = 0; unread < 2; unread++) {
    world *w = world_new(1);
    char text[64];
    go_up(w);
    w->path.shape.up_bytes_per_s = 10;
    if (unread > 0) broker_write(w, "unread");
    pass(w, 60);
    device_write(w, "0123456789");
    assert_int_equal(w->path.transport.close(&w->path, false), 0);
    pass(w, 5000);
    if (unread == 0) assert_int_equal(broker_read(w, text, sizeof text), 10);
    assert_int_equal(broker_read(w, text, sizeof text), HTEL_E_LINK_LOST);
    world_free(w);
  }
}

static void test_a_write_to_one_who_is_gone_is_answered_with_a_reset(void **state) {
  (void)state;
  world *w = world_new(1);
  char text[64];
  go_up(w);
  sim_conn_close(conn_of(w), SIM_END_FIN);
  w->conns[0] = NULL;
  assert_int_equal(device_write(w, "anyone?"), 7);
  pass(w, 150);
  assert_int_equal(device_read(w, text, sizeof text), HTEL_E_LINK_LOST);
  assert_int_equal(device_write(w, "anyone?"), HTEL_E_LINK_LOST);
  world_free(w);
}

static void test_when_the_brokers_machine_dies_the_device_is_not_told(void **state) {
  (void)state;
  world *w = world_new(1);
  char text[64];
  go_up(w);
  sim_conn_close(conn_of(w), SIM_END_DEATH);
  w->conns[0] = NULL;
  for (unsigned i = 0; i < 10; i++) {
    assert_int_equal(device_write(w, "anyone?"), 7);
    pass(w, 10000);
    assert_int_equal(device_read(w, text, sizeof text), 0);
  }
  assert_true(sim_path_is_up(&w->path));
  world_free(w);
}

/* Cuts, ends and writes in any order on any line: nothing hangs on memory that is gone, and what
 * arrives is a beginning of what was sent. */
static void test_any_order_of_ends(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 3000; seed++) {
    world *w = world_new(seed);
    sim_random random = {seed};
    uint8_t bytes[300];
    uint32_t sent = 0, arrived = 0;
    go_up(w);
    w->path.shape.jitter_ms = random_below(&random, 100);
    w->path.shape.up_bytes_per_s = random_below(&random, 2) * 300u;
    for (unsigned i = 0; i < 30; i++) {
      uint32_t what = random_below(&random, 12);
      htel_stream s = stream_of(w);
      int n;
      if (what < 4) {
        uint32_t size = 1 + random_below(&random, sizeof bytes);
        for (uint32_t k = 0; k < size; k++) bytes[k] = byte_at(0, sent + k);
        n = s.write(s.ctx, bytes, size);
        if (n <= 0) break;
        sent += (uint32_t)n;
      } else if (what < 8 && w->conns[0] != NULL) {
        while ((n = sim_conn_read(w->conns[0], bytes, sizeof bytes)) > 0)
          for (int k = 0; k < n; k++) assert_int_equal(bytes[k], byte_at(0, arrived++));
        sim_conn_write(w->conns[0], bytes, 10);
      } else if (what == 8) {
        sim_path_cut(&w->path, (sim_end)random_below(&random, 3));
      } else if (what == 9 && random_below(&random, 4) == 0 && w->conns[0] != NULL) {
        sim_conn_close(w->conns[0], (sim_end)random_below(&random, 3));
        w->conns[0] = NULL;
      } else if (what == 10 && random_below(&random, 4) == 0) {
        w->path.way = (sim_way)random_below(&random, 3);
      } else if (what == 11 && random_below(&random, 8) == 0) {
        w->path.transport.close(&w->path, false);
        break;
      }
      pass(w, random_below(&random, 200));
    }
    assert_true(arrived <= sent);
    world_free(w);
  }
}

/* ---- At once: only where the broker knows for certain what the device has sent -----------------
 */

static bool at_once(const world *w) {
  return sim_conn_write_at_once(conn_of(w), (const uint8_t *)"!", 1);
}

static void welcomed(world *w) {
  go_up(w);
  sim_conn_welcome(conn_of(w));
}

static void test_at_once_is_at_once(void **state) {
  (void)state;
  world *w = world_new(1);
  char text[64];
  go_up(w);
  assert_false(at_once(w)); /* not welcome yet */
  sim_conn_welcome(conn_of(w));
  w->path.shape.down_bytes_per_s = 1;
  assert_true(at_once(w));
  assert_int_equal(device_read(w, text, sizeof text), 1);
  assert_true(at_once(w));
  assert_false(at_once(w)); /* not read yet */
  world_free(w);
}

static void test_at_once_is_not_while_anything_is_under_way(void **state) {
  (void)state;
  world *w = world_new(1);
  char text[64];
  welcomed(w);
  device_write(w, "up");
  assert_false(at_once(w));
  pass(w, 50);
  assert_false(at_once(w));
  broker_read(w, text, sizeof text);
  broker_write(w, "down");
  assert_false(at_once(w));
  pass(w, 50);
  device_read(w, text, sizeof text);
  assert_true(at_once(w));
  device_read(w, text, sizeof text);
  w->path.shape.read_bytes_max = 1;
  assert_false(at_once(w));
  w->path.shape.read_bytes_max = 0;
  w->path.shape.block_pct = 1;
  assert_false(at_once(w));
  w->path.shape.block_pct = 0;
  w->path.way = SIM_WAY_SILENT;
  assert_false(at_once(w));
  world_free(w);
}

static void test_at_once_is_not_where_bytes_may_have_been_lost(void **state) {
  (void)state;
  world *w = world_new(1);
  char text[64];
  welcomed(w);
  device_write(w, "on a connection that ends");
  sim_path_cut(&w->path, SIM_END_RST);
  assert_false(at_once(w));
  pass(w, 100);
  assert_true(device_read(w, text, sizeof text) < 0);
  w->path.transport.close(&w->path, false);
  welcomed(w);
  assert_false(at_once(w)); /* the second in this life */
  sim_path_reset(&w->path, SIM_END_RST);
  welcomed(w);
  assert_true(at_once(w));
  world_free(w);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static void test_an_idle_path_is_small(void **state) {
  (void)state;
  world *w = world_new(1);
  go_up(w);
  size_t before = sim_path_memory_bytes(&w->path);
  assert_true(before < 1500);
  uint8_t bytes[1500];
  memset(bytes, 1, sizeof bytes);
  htel_stream s = stream_of(w);
  for (unsigned i = 0; i < 1000; i++) {
    assert_int_equal(s.write(s.ctx, bytes, sizeof bytes), sizeof bytes);
    assert_true(sim_path_memory_bytes(&w->path) >= sizeof bytes);
    pass(w, 50);
    assert_int_equal(sim_conn_read(conn_of(w), bytes, sizeof bytes), sizeof bytes);
  }
  assert_true(sim_path_memory_bytes(&w->path) <= before + 4 * 64);
  world_free(w);
}

static void test_a_path_may_go_before_the_brokers_end(void **state) {
  (void)state;
  world *w = world_new(1);
  char text[64];
  go_up(w);
  device_write(w, "last words");
  sim_path_free(&w->path);
  pass(w, 1000);
  assert_true(broker_read(w, text, sizeof text) <= 10);
  assert_true(broker_write(w, "hm") >= 0);
  sim_conn_close(conn_of(w), SIM_END_RST);
  w->conns[0] = NULL;
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_handshake_takes_name_and_round_trips),
      cmocka_unit_test(test_a_slow_line_makes_the_handshake_slow),
      cmocka_unit_test(test_each_failure_says_what_it_is_and_comes_in_time),
      cmocka_unit_test(test_what_is_written_to_a_server_that_was_not_verified_is_counted),
      cmocka_unit_test(test_a_cut_ends_a_handshake),
      cmocka_unit_test(test_bytes_arrive_after_the_latency_and_wake),
      cmocka_unit_test(test_a_very_slow_line_is_exact),
      cmocka_unit_test(test_a_full_send_buffer_blocks_and_wakes_when_there_is_room),
      cmocka_unit_test(test_other_bytes_after_a_write_that_would_block_are_a_violation),
      cmocka_unit_test(test_all_bytes_come_in_order_whatever_the_line_and_nobody_oversleeps),
      cmocka_unit_test(test_the_same_seed_is_the_same_run),
      cmocka_unit_test(test_a_cut_lets_some_of_what_is_under_way_arrive_and_tells_both),
      cmocka_unit_test(test_death_is_told_to_nobody),
      cmocka_unit_test(test_after_silence_a_connection_that_sent_into_it_stays_dead),
      cmocka_unit_test(test_silence_takes_what_is_still_behind_a_slow_line),
      cmocka_unit_test(test_a_refused_way_leaves_connections_that_are),
      cmocka_unit_test(test_after_a_power_cut_the_old_connection_stands_beside_the_new),
      cmocka_unit_test(test_an_orderly_close_waits_for_the_other_side_but_not_for_ever),
      cmocka_unit_test(test_a_hurried_close_still_sends_what_was_written),
      cmocka_unit_test(test_a_write_to_one_who_is_gone_is_answered_with_a_reset),
      cmocka_unit_test(test_when_the_brokers_machine_dies_the_device_is_not_told),
      cmocka_unit_test(test_any_order_of_ends),
      cmocka_unit_test(test_at_once_is_at_once),
      cmocka_unit_test(test_at_once_is_not_while_anything_is_under_way),
      cmocka_unit_test(test_at_once_is_not_where_bytes_may_have_been_lost),
      cmocka_unit_test(test_an_idle_path_is_small),
      cmocka_unit_test(test_a_path_may_go_before_the_brokers_end)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
