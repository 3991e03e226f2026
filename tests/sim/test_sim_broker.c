/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated broker, with ports/mqtt as its clients: it keeps to MQTT, does what its habits say,
 * and however hostile it is it never makes a receipt that is right for a frame that was sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim_client.h"
#include "sim_post.h"

#define HOUR_MS 3600000

static const sim_broker_counts *counts(const yard *y) {
  return sim_broker_counts_of(y->broker);
}

static sim_broker_habits *habits(yard *y) {
  return sim_broker_habits_of(y->broker);
}

/* ---- As it should be ----------------------------------------------------------------------- */

static void test_frames_go_up_and_receipts_come_down(void **state) {
  (void)state;
  yard *y = yard_new(1);
  for (uint32_t i = 0; i < CLIENTS; i++) client_start(y, i, 200);
  assert_true(yard_run_until_done(y, 60000));
  yard_run(y, 20000);
  assert_int_equal(y->taken, 200 * CLIENTS);
  assert_int_equal(y->taken_twice, 0);
  assert_int_equal(y->taken_births, CLIENTS);
  assert_int_equal(y->taps_up, CLIENTS);
  assert_int_equal(y->taps_down, 0);
  assert_int_equal(y->taps_publish, 201 * CLIENTS);
  assert_int_equal(counts(y)->connects, CLIENTS);
  assert_int_equal(counts(y)->publishes, 201 * CLIENTS);
  assert_int_equal(counts(y)->acks, 201 * CLIENTS);
  assert_int_equal(counts(y)->receipts_given, 200 * CLIENTS);
  for (uint32_t i = 0; i < CLIENTS; i++) {
    assert_int_equal(y->clients[i].acked, 201);
    assert_int_equal(y->clients[i].downs, 0);
  }
  yard_free(y);
}

static void test_pings_keep_an_idle_connection(void **state) {
  (void)state;
  yard *y = yard_new(1);
  client_start(y, 0, 1);
  yard_run(y, HOUR_MS);
  assert_int_equal(y->clients[0].ups, 1);
  assert_int_equal(y->clients[0].downs, 0);
  assert_int_equal(counts(y)->keepalive_ends, 0);
  yard_free(y);
}

static void test_a_silent_client_is_ended_after_one_and_a_half_keep_alives(void **state) {
  (void)state;
  yard *y = yard_new(1);
  client_start(y, 0, 1);
  yard_run(y, 10000);
  client_stop(&y->clients[0], SIM_END_DEATH);
  yard_run(y, 70000);
  assert_int_equal(y->taps_down, 0);
  yard_run(y, 30000);
  assert_int_equal(y->taps_down, 1);
  assert_int_equal(counts(y)->keepalive_ends, 1);
  assert_int_equal(y->taken_statuses, 1); /* the will */
  yard_free(y);
}

static void test_a_will_is_dropped_by_an_orderly_end_alone(void **state) {
  (void)state;
  yard *y = yard_new(1);
  client_start(y, 0, 1)->closes = true;
  client_start(y, 1, 1);
  yard_run(y, 10000);
  assert_int_equal(y->clients[0].downs, 1);
  assert_int_equal(y->clients[0].error, 0);
  assert_int_equal(y->taps_down, 1);
  assert_int_equal(y->taken_statuses, 0);
  sim_path_cut(&y->clients[1].path, SIM_END_RST);
  yard_run(y, 500);
  assert_int_equal(y->taps_down, 2);
  assert_int_equal(y->taken_statuses, 1);
  yard_free(y);
}

static void test_a_client_id_is_taken_over(void **state) {
  (void)state;
  yard *y = yard_new(1);
  client_start(y, 0, 1);
  yard_run(y, 10000);
  client_stop(&y->clients[0], SIM_END_DEATH); /* its connection stands */
  client_start(y, 0, 20);
  assert_true(yard_run_until_done(y, 10000));
  assert_int_equal(counts(y)->takeovers, 1);
  assert_int_equal(y->taps_up, 2);
  assert_int_equal(y->taps_down, 1);
  strcpy(y->clients[1].id, y->clients[0].id); /* a clone throws it out */
  client_start(y, 1, 0);
  yard_run(y, 500);
  assert_int_equal(counts(y)->takeovers, 2);
  assert_int_equal(y->clients[0].error, HTEL_E_LINK_LOST);
  yard_free(y);
}

static void test_more_receipts_than_may_be_in_flight_wait(void **state) {
  (void)state;
  yard *y = yard_new(1);
  y->clients[0].path.shape.latency_ms = 1000;
  client_start(y, 0, 300);
  assert_true(yard_run_until_done(y, HOUR_MS));
  assert_int_equal(y->taken_twice, 0);
  assert_int_equal(counts(y)->lost_receipts, 0);
  yard_free(y);
}

/* ---- Moods and habits ------------------------------------------------------------------------ */

static void test_it_refuses_at_connack_and_at_suback_by_turns(void **state) {
  (void)state;
  yard *y = yard_new(1);
  habits(y)->mood = SIM_BROKER_REFUSES;
  client_start(y, 0, 5);
  unsigned refused = 0, subscribe = 0;
  for (unsigned i = 0; i < 200; i++) {
    uint32_t downs = y->clients[0].downs;
    yard_run(y, 100);
    if (y->clients[0].downs == downs) continue;
    refused += y->clients[0].error == HTEL_E_REFUSED;
    subscribe += y->clients[0].error == HTEL_E_SUBSCRIBE;
  }
  assert_true(refused >= 3 && subscribe >= 3);
  assert_true(counts(y)->refused >= 6);
  habits(y)->mood = SIM_BROKER_FAIR;
  assert_true(yard_run_until_done(y, 60000));
  yard_free(y);
}

static void test_a_slow_one_takes_and_gives_a_packet_at_a_time(void **state) {
  (void)state;
  yard *y = yard_new(1);
  habits(y)->mood = SIM_BROKER_SLOW;
  habits(y)->slow_ms = 400;
  client_start(y, 0, 40);
  yard_run(y, 10000);
  assert_true(y->taken >= 5 && y->taken <= 25);
  assert_true(yard_run_until_done(y, 600000));
  assert_int_equal(y->clients[0].downs, 0);
  yard_free(y);
}

static void test_a_full_queue_holds_the_clients_and_loses_nothing(void **state) {
  (void)state;
  yard *y = yard_new(1);
  habits(y)->queue_messages_max = 50;
  y->ingest_away = true;
  for (uint32_t i = 0; i < CLIENTS; i++) client_start(y, i, 100);
  yard_run(y, 20000);
  assert_int_equal(counts(y)->publishes, 50);
  y->ingest_away = false;
  sim_queue_set(&y->queue, INGEST, y->queue.now_ms);
  assert_true(yard_run_until_done(y, 10000)); /* without a resend */
  assert_int_equal(counts(y)->lost_frames, 0);
  yard_free(y);
}

/* `what` is always done: the counts are those of all there was. */
static void test_each_habit_does_what_it_says(void **state) {
  (void)state;
  yard *y = yard_new(1);
  habits(y)->lose_acks_pct = 100;
  client_start(y, 0, 20);
  assert_true(yard_run_until_done(y, 60000));
  assert_int_equal(y->clients[0].acked, 0);
  assert_int_equal(counts(y)->lost_acks, 21);
  yard_free(y);

  y = yard_new(1);
  habits(y)->lose_frames_pct = 100;
  client_start(y, 0, 20);
  yard_run(y, 10000);
  assert_int_equal(y->clients[0].acked, 21);
  assert_int_equal(y->taken, 0);
  assert_int_equal(counts(y)->lost_frames, 21);
  habits(y)->lose_frames_pct = 0;
  assert_true(yard_run_until_done(y, 60000));
  yard_free(y);

  y = yard_new(1);
  habits(y)->lose_receipts_pct = 100;
  client_start(y, 0, 20);
  yard_run(y, 10000);
  assert_int_equal(y->taken, 20);
  assert_int_equal(y->clients[0].messages, 0);
  assert_int_equal(counts(y)->lost_receipts, 20);
  yard_free(y);

  y = yard_new(1);
  habits(y)->double_pct = 100;
  client_start(y, 0, 20);
  yard_run(y, 20000);
  assert_int_equal(y->taken, 40);
  assert_int_equal(y->taken_twice, 20);
  assert_int_equal(y->clients[0].messages, 80);
  assert_int_equal(y->clients[0].acked, 21);
  yard_free(y);

  y = yard_new(1);
  habits(y)->ack_ms = 1500;
  client_start(y, 0, 20);
  while (y->clients[0].acked == 0) yard_run(y, 10);
  assert_true(y->queue.now_ms >= 1500 + 9 * 30);
  assert_true(yard_run_until_done(y, 60000));
  yard_free(y);
}

static void test_receipts_change_their_order_and_none_is_lost(void **state) {
  (void)state;
  yard *y = yard_new(1);
  habits(y)->reorder_pct = 50;
  client *c = client_start(y, 0, 200);
  assert_true(yard_run_until_done(y, 60000));
  unsigned backwards = 0;
  for (uint32_t i = 1; i < c->receipt_count; i++)
    backwards += c->receipt_order[i] < c->receipt_order[i - 1];
  assert_true(backwards > 20);
  assert_int_equal(c->receipt_count, 200);
  assert_int_equal(counts(y)->lost_receipts, 0);
  yard_free(y);
}

/* ---- Kills --------------------------------------------------------------------------------- */

static void test_what_a_kill_leaves(void **state) {
  (void)state;
  for (unsigned forgets = 0; forgets < 2; forgets++) {
    for (unsigned dies = 0; dies < 2; dies++) {
      yard *y = yard_new(1);
      habits(y)->forgets = forgets > 0;
      y->ingest_away = true;
      client_start(y, 0, 10);
      yard_run(y, 5000);
      sim_broker_kill(y->broker, dies > 0);
      assert_false(sim_broker_is_up(y->broker));
      assert_int_equal(y->taps_down, 1);
      y->ingest_away = false;
      sim_queue_set(&y->queue, INGEST, y->queue.now_ms);
      yard_run(y, 500);
      assert_int_equal(y->taken, 0);
      /* The device is told by a reset alone. */
      assert_int_equal(y->clients[0].downs, dies > 0 ? 0 : 1);
      yard_run(y, 5000);
      if (dies == 0) assert_int_equal(y->clients[0].error, HTEL_E_CONNECT);
      sim_broker_start(y->broker);
      sim_broker_subscribe(y->broker);
      yard_run(y, 100);
      assert_int_equal(y->taken, forgets > 0 ? 0 : 10);
      assert_int_equal(y->taken_births, forgets > 0 ? 0 : 2); /* queued, and retained */
      assert_true(yard_run_until_done(y, 200000));
      assert_int_equal(counts(y)->kills, 1);
      yard_free(y);
    }
  }
}

static void test_a_load_balancer_drops_all_at_once(void **state) {
  (void)state;
  yard *y = yard_new(1);
  for (uint32_t i = 0; i < CLIENTS; i++) client_start(y, i, 10);
  yard_run(y, 5000);
  sim_broker_drop_all(y->broker, SIM_END_RST);
  assert_int_equal(y->taps_down, CLIENTS);
  yard_run(y, 5000);
  assert_int_equal(y->taps_up, 2 * CLIENTS);
  yard_free(y);
}

static void test_of_a_topic_the_last_message_is_retained(void **state) {
  (void)state;
  sim_shelf shelf = {0};
  sim_message m = {.payload = (const uint8_t *)"payload", .size = 3};
  for (unsigned round = 0; round < 3; round++) {
    for (unsigned i = 0; i < 40; i++) {
      char topic[] = {'t', (char)('0' + i), '\0'};
      m.topic = topic;
      m.size = 3 + round;
      assert_true(sim_shelf_put(&shelf, &m));
    }
    assert_int_equal(shelf.count, 40);
    assert_int_equal(shelf.kept[7]->message.size, 3 + round);
  }
  m.topic = "t1";
  m.size = 0;
  assert_true(sim_shelf_put(&shelf, &m));
  assert_int_equal(shelf.count, 39);
  assert_string_equal(shelf.kept[1]->message.topic, "t2");
  sim_shelf_clear(&shelf);
}

/* ---- Everything at once -------------------------------------------------------------------- */

static void weather(yard *y, sim_random *random) {
  client *c = &y->clients[random_below(random, CLIENTS)];
  sim_shape *shape = &c->path.shape;
  switch (random_below(random, 9)) {
    case 0: sim_path_cut(&c->path, (sim_end)random_below(random, 3)); break;
    case 1:
      client_stop(c, (sim_end)random_below(random, 3));
      client_start(y, c->number, c->frames);
      break;
    case 2: c->path.way = (sim_way)random_below(random, 3); break;
    case 3: c->path.tls_error = random_below(random, 2) == 0 ? 0 : HTEL_E_TLS_EXPIRED; break;
    case 4: c->path.name = (sim_name)random_below(random, 3); break;
    case 5:
      *shape = (sim_shape){.latency_ms = random_below(random, 2000),
                           .jitter_ms = random_below(random, 500),
                           .up_bytes_per_s = random_below(random, 3) * 400u,
                           .down_bytes_per_s = random_below(random, 3) * 400u,
                           .read_bytes_max = random_below(random, 2) * 9u,
                           .block_pct = (uint8_t)(random_below(random, 4) * 30u)};
      break;
    case 6:
      if (sim_broker_is_up(y->broker))
        sim_broker_kill(y->broker, random_below(random, 2) == 0);
      else
        sim_broker_start(y->broker);
      break;
    case 7:
      habits(y)->mood = (sim_mood)random_below(random, 4);
      habits(y)->slow_ms = random_below(random, 300);
      habits(y)->forgets = random_below(random, 2) == 0;
      break;
    default:
      habits(y)->lose_acks_pct = (uint8_t)random_below(random, 60);
      habits(y)->lose_frames_pct = (uint8_t)random_below(random, 40);
      habits(y)->lose_receipts_pct = (uint8_t)random_below(random, 60);
      habits(y)->double_pct = (uint8_t)random_below(random, 40);
      habits(y)->reorder_pct = (uint8_t)random_below(random, 60);
      habits(y)->ack_ms = random_below(random, 2000);
      habits(y)->queue_messages_max = random_below(random, 2) * 20u;
  }
}

static void calm(yard *y) {
  *habits(y) = (sim_broker_habits){0};
  if (!sim_broker_is_up(y->broker)) sim_broker_start(y->broker);
  for (uint32_t i = 0; i < CLIENTS; i++) {
    sim_path *path = &y->clients[i].path;
    path->shape = (sim_shape){.latency_ms = 30};
    path->name = SIM_NAME_OK;
    path->way = SIM_WAY_OPEN;
    path->tls_error = 0;
  }
}

static uint64_t everything(uint64_t seed, uint64_t *acts, uint64_t *strangers) {
  yard *y = yard_new(seed);
  sim_random random = {seed};
  for (uint32_t i = 0; i < CLIENTS; i++) client_start(y, i, 150);
  for (unsigned i = 0; i < 60; i++) {
    weather(y, &random);
    yard_run(y, random_below(&random, 30000));
  }
  calm(y);
  bool done = yard_run_until_done(y, HOUR_MS);
  assert_true(done);
  assert_true(y->taps_up - y->taps_down <= CLIENTS);
  *acts += counts(y)->hostile_acts;
  for (uint32_t i = 0; i < CLIENTS; i++) *strangers += y->clients[i].strangers;
  uint64_t digest = y->digest;
  yard_free(y);
  return digest;
}

static void test_after_any_weather_all_arrives(void **state) {
  (void)state;
  uint64_t acts = 0, strangers = 0;
  for (uint64_t seed = 0; seed < 60; seed++) everything(seed, &acts, &strangers);
  assert_true(acts > 500);
}

static void test_the_same_seed_is_the_same_run(void **state) {
  (void)state;
  uint64_t acts = 0, strangers = 0;
  for (uint64_t seed = 100; seed < 104; seed++)
    assert_int_equal(everything(seed, &acts, &strangers), everything(seed, &acts, &strangers));
}

/* ---- Hostility ------------------------------------------------------------------------------- */

static void test_a_hostile_one_tries_all_and_never_a_receipt_that_is_right(void **state) {
  (void)state;
  uint64_t acts = 0, pauses = 0, births = 0, strangers = 0, protocol = 0, messages = 0;
  for (uint64_t seed = 0; seed < 20; seed++) {
    yard *y = yard_new(seed);
    habits(y)->mood = SIM_BROKER_HOSTILE;
    for (uint32_t i = 0; i < CLIENTS; i++) client_start(y, i, 400)->send_max = 300;
    for (unsigned i = 0; i < 1200; i++) {
      yard_run(y, 500);
      /* In one life after the other, so that there are frames that were not sent in it. */
      if (i % 100 == 99) {
        client *c = &y->clients[i / 100 % CLIENTS];
        client_stop(c, SIM_END_DEATH);
        c->boot++;
        c->receipted_count = 0;
        memset(c->stored, 0, sizeof c->stored);
        memset(c->receipted, 0, sizeof c->receipted);
        client_start(y, c->number, 400);
      }
      for (uint32_t k = 0; k < CLIENTS; k++) protocol += y->clients[k].error == HTEL_E_PROTOCOL;
    }
    acts += counts(y)->hostile_acts;
    for (uint32_t i = 0; i < CLIENTS; i++) {
      pauses += y->clients[i].pauses;
      births += y->clients[i].births_wanted;
      strangers += y->clients[i].strangers;
      messages += y->clients[i].messages;
    }
    yard_free(y);
  }
  assert_true(acts > 2000);
  assert_true(pauses > 20 && births > 20 && strangers > 1000 && protocol > 100 && messages > 1000);
}

/* ---- Hostile clients ----------------------------------------------------------------------- */

static void device_bytes(sim_path *path, const uint8_t *bytes, size_t size) {
  htel_stream s = path->transport.stream(path);
  s.write(s.ctx, bytes, size);
}

static void raw_open(yard *y, sim_path *path) {
  assert_int_equal(path->transport.open(path, 20000), 0);
  while (path->transport.step(path) == HTEL_E_AGAIN) yard_run(y, 10);
  assert_int_equal(path->transport.step(path), 0);
}

/* Any bytes from a device: the broker ends the connection or waits for more. */
static void test_any_bytes_of_a_client(void **state) {
  (void)state;
  static const uint8_t connect[] = {0x10, 14, 0, 4,  'M', 'Q', 'T', 'T',
                                    4,    2,  0, 60, 0,   2,   'm', 'e'};
  uint8_t bytes[200];
  for (uint64_t seed = 0; seed < 3000; seed++) {
    yard *y = yard_new(seed);
    sim_random random = {seed};
    sim_path *path = &y->clients[0].path;
    sim_queue_set(&y->queue, 1, 1); /* so that time passes */
    client_start(y, 1, 1);
    raw_open(y, path);
    if (seed % 4 > 0) device_bytes(path, connect, sizeof connect);
    for (unsigned i = 0; i < 3; i++) {
      uint32_t size = 1 + random_below(&random, sizeof bytes);
      for (uint32_t k = 0; k < size; k++) bytes[k] = (uint8_t)random_u32(&random);
      if (seed % 2 > 0) { /* a packet of a type that there is, of the right or a wrong length */
        bytes[0] = (uint8_t)(random_below(&random, 16) << 4 | random_below(&random, 4));
        bytes[1] = (uint8_t)(size - 2 + random_below(&random, 3) - 1) & 0x7f;
        bytes[2] = 0;
        bytes[3] = (uint8_t)random_below(&random, 8);
      }
      device_bytes(path, bytes, size);
      yard_run(y, 40);
    }
    path->transport.close(path, false);
    yard_run(y, 1000);
    yard_free(y);
  }
}

static void test_a_packet_too_long_ends_the_connection(void **state) {
  (void)state;
  yard *y = yard_new(1);
  sim_path *path = &y->clients[0].path;
  client_start(y, 1, 1);
  raw_open(y, path);
  device_bytes(path, (const uint8_t[]){0x10, 0xff, 0xff, 0x7f, 0}, 5);
  yard_run(y, 200);
  uint8_t byte;
  htel_stream s = path->transport.stream(path);
  assert_int_equal(s.read(s.ctx, &byte, 1), HTEL_E_LINK_LOST);
  path->transport.close(path, false);
  yard_free(y);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_frames_go_up_and_receipts_come_down),
      cmocka_unit_test(test_pings_keep_an_idle_connection),
      cmocka_unit_test(test_a_silent_client_is_ended_after_one_and_a_half_keep_alives),
      cmocka_unit_test(test_a_will_is_dropped_by_an_orderly_end_alone),
      cmocka_unit_test(test_a_client_id_is_taken_over),
      cmocka_unit_test(test_more_receipts_than_may_be_in_flight_wait),
      cmocka_unit_test(test_it_refuses_at_connack_and_at_suback_by_turns),
      cmocka_unit_test(test_a_slow_one_takes_and_gives_a_packet_at_a_time),
      cmocka_unit_test(test_a_full_queue_holds_the_clients_and_loses_nothing),
      cmocka_unit_test(test_each_habit_does_what_it_says),
      cmocka_unit_test(test_receipts_change_their_order_and_none_is_lost),
      cmocka_unit_test(test_what_a_kill_leaves),
      cmocka_unit_test(test_of_a_topic_the_last_message_is_retained),
      cmocka_unit_test(test_a_load_balancer_drops_all_at_once),
      cmocka_unit_test(test_after_any_weather_all_arrives),
      cmocka_unit_test(test_the_same_seed_is_the_same_run),
      cmocka_unit_test(test_a_hostile_one_tries_all_and_never_a_receipt_that_is_right),
      cmocka_unit_test(test_any_bytes_of_a_client),
      cmocka_unit_test(test_a_packet_too_long_ends_the_connection)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
