/* SPDX-License-Identifier: Apache-2.0 */
/* The ingest by appointments: when it writes, what a kill takes with it, and that a store that
 * fails delays it in virtual time. The broker here is a list of messages. */
#include "ingest_fixture.h"
#include "server.h"

#define DEV "dev-1"
#define BOOT 7u
#define COMMIT_MS 50u
#define UTC_OF_ZERO 1767225600000

/* ---- A broker ------------------------------------------------------------------------------ */

struct sim_broker {
  fixture *f; /* makes and keeps the messages */
  sim_queue queue;
  uint32_t flood; /* so many messages on foreign topics come first */
  unsigned subscribed;
};

bool sim_broker_take(sim_broker *b, sim_message *out) {
  if (b->flood > 0) {
    b->flood--;
    *out = (sim_message){.topic = "weather/today", .payload = (const uint8_t *)"", .size = 0};
    return true;
  }
  fixture *f = b->f;
  if (f->message_next == f->message_count) return false;
  size_t i = f->message_next++;
  *out = (sim_message){.topic = f->messages[i].topic,
                       .payload = f->messages[i].payload,
                       .size = f->messages[i].size};
  return true;
}

bool sim_broker_publish(sim_broker *b, const char *topic, const uint8_t *payload, size_t size) {
  return b->f->source.publish(b->f, topic, payload, size);
}

void sim_broker_subscribe(sim_broker *b) {
  b->subscribed++;
}

/* ---- The world ----------------------------------------------------------------------------- */

typedef struct world {
  sim_broker broker;
  memory_store *m;
  server *server;
  fixture *f;
} world;

static int setup(void **state) {
  world *w = calloc(1, sizeof *w);
  if (w == NULL || !sim_queue_init(&w->broker.queue, 1)) return -1;
  w->f = w->broker.f = fixture_open(NULL);
  w->m = memory_store_new(NULL);
  w->server = server_new(&w->broker.queue, 0, &w->broker, w->m, COMMIT_MS, UTC_OF_ZERO);
  *state = w;
  return w->server == NULL ? -1 : 0;
}

static int teardown(void **state) {
  world *w = *state;
  server_free(w->server);
  memory_store_free(w->m);
  fixture_close(w->f);
  sim_queue_free(&w->broker.queue);
  free(w);
  return 0;
}

/* As the broker does when a message comes. */
static void ring(world *w) {
  sim_queue_sooner(&w->broker.queue, 0, w->broker.queue.now_ms);
}

static void give(world *w, uint32_t sequence) {
  fixture_frame(w->f, DEV, &(frame_spec){.boot = BOOT, .sequence = sequence});
  ring(w);
}

/* The turns up to that moment. */
static void run_to(world *w, int64_t end_ms) {
  uint32_t actor;
  unsigned turns = 0;
  while (sim_queue_next_ms(&w->broker.queue) <= end_ms) {
    assert_true(sim_queue_take(&w->broker.queue, &actor));
    server_step(w->server);
    assert_true(turns++ < 10000);
  }
  w->broker.queue.now_ms = end_ms;
}

static bool count_frame(void *arg, const store_frame_row *row) {
  (void)row;
  ++*(unsigned *)arg;
  return true;
}

static unsigned stored(const world *w) {
  const store *s = memory_store_of(w->m);
  unsigned count = 0;
  assert_int_equal(s->frames_visit(s->ctx, DEV, count_frame, &count), STORE_OK);
  return count;
}

/* With a birth and nothing else, at rest. */
static world *begin(void **state) {
  world *w = *state;
  fixture_birth(w->f, DEV);
  run_to(w, 1000);
  assert_int_equal(fixture_receipt_take(w->f, DEV, 0).birth_count, 1);
  assert_int_equal(sim_queue_next_ms(&w->broker.queue), SIM_NEVER);
  return w;
}

/* ---- Batches --------------------------------------------------------------------------------- */

static void test_batch_is_written_when_its_first_message_is_old_enough(void **state) {
  world *w = begin(state);
  uint64_t commits = server_stats(w->server)->commits;
  give(w, 1);
  run_to(w, 1020);
  give(w, 2);
  run_to(w, 1049);
  assert_int_equal(stored(w), 0);
  run_to(w, 1050);
  assert_int_equal(stored(w), 2);
  assert_int_equal(server_stats(w->server)->commits, commits + 1);
  htel_receipt r = fixture_receipt_take(w->f, DEV, BOOT);
  assert_true(receipt_has(r.stored, r.stored_count, 1));
  assert_true(receipt_has(r.stored, r.stored_count, 2));
  assert_int_equal(r.utc_ms, UTC_OF_ZERO + 1050);
  assert_int_equal(sim_queue_next_ms(&w->broker.queue), SIM_NEVER);
}

static void test_all_that_waits_is_written_in_several_batches(void **state) {
  world *w = begin(state);
  uint64_t commits = server_stats(w->server)->commits;
  for (uint32_t i = 1; i <= 1200; i++) give(w, i);
  run_to(w, 1050);
  assert_int_equal(stored(w), 1200);
  assert_int_equal(server_stats(w->server)->commits, commits + 3);
}

static void test_flood_of_foreign_messages_hides_nothing(void **state) {
  world *w = begin(state);
  w->broker.flood = 50000;
  give(w, 1);
  run_to(w, 1050);
  assert_int_equal(stored(w), 0); /* not in one turn */
  run_to(w, 1060);
  assert_int_equal(stored(w), 1);
  assert_int_equal(server_stats(w->server)->foreign, 50000);
}

/* ---- Kills ----------------------------------------------------------------------------------- */

static void assert_comes_again(world *w, uint64_t duplicates) {
  int64_t now_ms = w->broker.queue.now_ms;
  unsigned subscribed = w->broker.subscribed;
  server_start(w->server);
  assert_true(server_is_up(w->server));
  assert_int_equal(w->broker.subscribed, subscribed + 1);
  give(w, 1); /* by the device, which has no receipt */
  run_to(w, now_ms + 1000);
  assert_int_equal(stored(w), 1);
  assert_int_equal(fixture_receipt_take(w->f, DEV, BOOT).stored_count, 1);
  assert_int_equal(server_stats(w->server)->duplicates, duplicates);
  assert_int_equal(sim_queue_next_ms(&w->broker.queue), SIM_NEVER);
}

static void assert_down(world *w) {
  assert_false(server_is_up(w->server));
  assert_int_equal(w->f->receipt_count, 0);
  assert_int_equal(sim_queue_next_ms(&w->broker.queue), SIM_NEVER);
  server_step(w->server); /* somebody rings */
  assert_int_equal(sim_queue_next_ms(&w->broker.queue), SIM_NEVER);
}

static void test_kill_while_it_collects_takes_the_messages_along(void **state) {
  world *w = begin(state);
  give(w, 1);
  give(w, 2);
  run_to(w, 1020);
  server_kill_it(w->server, SERVER_KILL_NOW);
  assert_down(w);
  assert_int_equal(w->f->message_next, w->f->message_count);
  run_to(w, 2000);
  assert_int_equal(stored(w), 0);
  assert_comes_again(w, 0);
}

static void test_kill_at_rest_leaves_what_comes_later_to_the_next_life(void **state) {
  world *w = begin(state);
  server_kill_it(w->server, SERVER_KILL_NOW);
  assert_down(w);
  fixture_frame(w->f, DEV, &(frame_spec){.boot = BOOT, .sequence = 1});
  server_start(w->server);
  server_start(w->server); /* it is up already */
  run_to(w, 2000);
  assert_int_equal(stored(w), 1);
}

static void test_kill_before_commit_stores_nothing(void **state) {
  world *w = begin(state);
  server_kill_it(w->server, SERVER_KILL_BEFORE_COMMIT);
  assert_true(server_is_up(w->server));
  give(w, 1);
  run_to(w, 1050);
  assert_int_equal(stored(w), 0);
  assert_down(w);
  assert_comes_again(w, 0);
}

static void test_kill_after_commit_stores_and_receipts_nothing(void **state) {
  world *w = begin(state);
  server_kill_it(w->server, SERVER_KILL_AFTER_COMMIT);
  give(w, 1);
  run_to(w, 1050);
  assert_int_equal(stored(w), 1);
  assert_down(w);
  assert_comes_again(w, 1);
}

static void test_kill_in_the_middle_spares_later_batches(void **state) {
  world *w = begin(state);
  server_kill_it(w->server, SERVER_KILL_AFTER_COMMIT);
  for (uint32_t i = 1; i <= 700; i++) give(w, i);
  run_to(w, 1050);
  assert_int_equal(stored(w), 500);
  assert_down(w);
  server_start(w->server);
  run_to(w, 2000);
  assert_int_equal(stored(w), 700);
  htel_receipt r = fixture_receipt_take(w->f, DEV, BOOT);
  assert_false(receipt_has(r.stored, r.stored_count, 500));
  assert_true(receipt_has(r.stored, r.stored_count, 501));
}

static void test_stats_are_of_all_lives(void **state) {
  world *w = begin(state);
  for (uint32_t life = 1; life <= 5; life++) {
    give(w, life);
    run_to(w, w->broker.queue.now_ms + 100);
    server_kill_it(w->server, SERVER_KILL_NOW);
    assert_int_equal(server_stats(w->server)->stored, life);
    server_start(w->server);
  }
  assert_int_equal(server_stats(w->server)->births, 1);
}

/* ---- A store that fails ---------------------------------------------------------------------- */

static void test_store_that_fails_delays_and_loses_nothing(void **state) {
  world *w = begin(state);
  memory_store_break(w->m, true);
  give(w, 1);
  run_to(w, 1100);
  give(w, 2); /* waits behind it, and does not make it try sooner */
  assert_int_equal(server_stats(w->server)->commit_retries, 1);
  run_to(w, 1249);
  assert_int_equal(server_stats(w->server)->commit_retries, 1);
  run_to(w, 1250);
  assert_int_equal(server_stats(w->server)->commit_retries, 2);
  run_to(w, 61000);
  uint64_t retries = server_stats(w->server)->commit_retries;
  assert_true(retries > 12 && retries < 20); /* less and less often, down to once in 5 s */
  assert_int_equal(w->f->receipt_count, 0);
  assert_int_equal(stored(w), 0);
  memory_store_break(w->m, false);
  run_to(w, 66000);
  assert_int_equal(stored(w), 2);
  htel_receipt r = fixture_receipt_take(w->f, DEV, BOOT);
  assert_true(receipt_has(r.stored, r.stored_count, 1));
  assert_true(receipt_has(r.stored, r.stored_count, 2));
}

static void test_kill_while_it_is_held_up_takes_the_batch_along(void **state) {
  world *w = begin(state);
  memory_store_break(w->m, true);
  give(w, 1);
  run_to(w, 1100);
  server_kill_it(w->server, SERVER_KILL_NOW);
  assert_down(w);
  memory_store_break(w->m, false);
  run_to(w, 9000);
  assert_int_equal(stored(w), 0);
  assert_comes_again(w, 0);
}

static void test_alerts_are_counted(void **state) {
  world *w = begin(state);
  give(w, 1);
  fixture_frame(w->f, DEV, &(frame_spec){.boot = BOOT, .sequence = 1, .value = 5});
  run_to(w, 1100);
  assert_int_equal(server_alerts(w->server), 1);
  server_kill_it(w->server, SERVER_KILL_AFTER_COMMIT);
  fixture_frame(w->f, DEV, &(frame_spec){.boot = BOOT, .sequence = 1, .value = 6});
  ring(w);
  run_to(w, 1200);
  assert_int_equal(server_alerts(w->server), 1); /* it had no time to tell */
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_batch_is_written_when_its_first_message_is_old_enough),
      TEST(test_all_that_waits_is_written_in_several_batches),
      TEST(test_flood_of_foreign_messages_hides_nothing),
      TEST(test_kill_while_it_collects_takes_the_messages_along),
      TEST(test_kill_at_rest_leaves_what_comes_later_to_the_next_life),
      TEST(test_kill_before_commit_stores_nothing),
      TEST(test_kill_after_commit_stores_and_receipts_nothing),
      TEST(test_kill_in_the_middle_spares_later_batches),
      TEST(test_stats_are_of_all_lives),
      TEST(test_store_that_fails_delays_and_loses_nothing),
      TEST(test_kill_while_it_is_held_up_takes_the_batch_along),
      TEST(test_alerts_are_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
