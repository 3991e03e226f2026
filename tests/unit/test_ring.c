/* SPDX-License-Identifier: Apache-2.0 */
/* The ring: order, wrap, refusal, reserve; and one producer against one consumer, as a thread and
 * as a signal handler. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ring.h"

#define WORDS 64u

static uint32_t words[WORDS];

static bool push(ring *r, unsigned channel, uint32_t tick, uint32_t count, uint32_t first,
                 uint32_t limit) {
  uint32_t payload[WORDS];
  for (uint32_t i = 0; i < count; i++) payload[i] = first + i;
  uint32_t used;
  return ring_push(r, ring_head_word(channel, 3, RING_GAP, count), tick, payload, count, limit,
                   &used);
}

static void test_records_come_out_as_they_went_in(void **state) {
  (void)state;
  ring r;
  ring_init(&r, words, WORDS, 0);
  uint32_t value = 0;
  for (uint32_t round = 0; round < 1000; round++) { /* wraps at every possible place */
    uint32_t count = round % 30u + 1u;
    assert_true(push(&r, round % 200u, round * 7u, count, value, WORDS));
    ring_record record;
    assert_true(ring_peek(&r, &record));
    assert_int_equal(record.channel, round % 200u);
    assert_int_equal(record.tick_ms, round * 7u);
    assert_int_equal(record.quality, 3);
    assert_int_equal(record.flags, RING_GAP);
    assert_int_equal(record.count, count);
    uint32_t out[WORDS];
    uint32_t half = count / 2u;
    ring_copy(&r, 0, out, half);
    ring_copy(&r, half, out + half, count - half);
    for (uint32_t i = 0; i < count; i++) assert_int_equal(out[i], value + i);
    ring_pop(&r);
    value += count;
    assert_false(ring_peek(&r, &record));
  }
}

static void test_full_ring_refuses_and_keeps_what_it_holds(void **state) {
  (void)state;
  ring r;
  ring_init(&r, words, WORDS, 0);
  for (uint32_t i = 0; i < 6; i++)
    assert_true(push(&r, i, i, 8, i * 100, WORDS)); /* 60 of 64 words */
  assert_false(push(&r, 9, 9, 8, 0, WORDS));
  assert_true(push(&r, 7, 7, 2, 5, WORDS)); /* exactly full */
  assert_false(push(&r, 8, 8, 1, 0, WORDS));
  assert_int_equal(ring_used(&r), WORDS);
  for (uint32_t i = 0; i < 6; i++) {
    ring_record record;
    uint32_t first;
    assert_true(ring_peek(&r, &record));
    ring_copy(&r, 0, &first, 1);
    assert_int_equal(first, i * 100);
    ring_pop(&r);
  }
}

static void test_reserve_is_kept_for_alarms(void **state) {
  (void)state;
  ring r;
  ring_init(&r, words, WORDS, 16);
  while (push(&r, 0, 0, 4, 0, r.limit)) {
  }
  assert_true(ring_used(&r) <= WORDS - 16);
  for (unsigned i = 0; i < 4; i++) assert_true(push(&r, 1, 0, 2, 0, r.room));
}

/* ---- one producer, one consumer -------------------------------------------------------- */

static ring shared;
static uint32_t shared_words[1024];
static uint64_t records_wanted = 2000000;

static void *produce(void *arg) {
  (void)arg;
  uint32_t payload[8];
  for (uint64_t i = 0; i < records_wanted; i++) {
    uint32_t count = (uint32_t)(i % 8u) + 1u;
    for (uint32_t k = 0; k < count; k++) payload[k] = (uint32_t)i * 31u + k;
    uint32_t used;
    while (!ring_push(&shared, ring_head_word((unsigned)(i % 64u), 0, 0, count), (uint32_t)i,
                      payload, count, 1024, &used)) {
    }
  }
  return NULL;
}

static void consume_one(uint64_t i) {
  ring_record record;
  while (!ring_peek(&shared, &record)) {
  }
  uint32_t payload[8];
  if (record.tick_ms != (uint32_t)i || record.channel != i % 64u || record.count != i % 8u + 1u)
    fail_msg("record %llu is torn or out of order", (unsigned long long)i);
  ring_copy(&shared, 0, payload, record.count);
  for (uint32_t k = 0; k < record.count; k++)
    if (payload[k] != (uint32_t)i * 31u + k)
      fail_msg("record %llu has torn samples", (unsigned long long)i);
  ring_pop(&shared);
}

static void test_thread_produces_while_another_consumes(void **state) {
  (void)state;
  const char *wanted = getenv("HEALTHTEL_RING_RECORDS"); /* 100000000 in the long form */
  if (wanted != NULL) records_wanted = strtoull(wanted, NULL, 10);
  ring_init(&shared, shared_words, 1024, 0);
  pthread_t producer;
  assert_int_equal(pthread_create(&producer, NULL, produce, NULL), 0);
  for (uint64_t i = 0; i < records_wanted; i++) consume_one(i);
  pthread_join(producer, NULL);
  assert_int_equal(ring_used(&shared), 0);
}

/* A signal handler stands for an interrupt: it comes at any instruction of the consumer. */
#define SIGNAL_RECORDS 200000
static volatile sig_atomic_t produced;
static uint32_t refused;

static void on_signal(int signal) {
  (void)signal;
  for (unsigned n = 0; n < 20; n++) {
    uint32_t i = (uint32_t)produced;
    uint32_t payload[8];
    uint32_t count = i % 8u + 1u;
    for (uint32_t k = 0; k < count; k++) payload[k] = i * 31u + k;
    uint32_t used;
    if (!ring_push(&shared, ring_head_word(i % 64u, 0, 0, count), i, payload, count, 1024, &used)) {
      refused++;
      return;
    }
    produced = produced + 1;
  }
}

static struct sigaction old_action;

static void signals_begin(void) {
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGALRM, &action, &old_action);
  struct itimerval every = {.it_interval = {.tv_usec = 50}, .it_value = {.tv_usec = 50}};
  setitimer(ITIMER_REAL, &every, NULL);
}

static void signals_end(void) {
  setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0}}, NULL);
  sigaction(SIGALRM, &old_action, NULL);
}

static void test_signal_handler_produces_while_interrupting_the_consumer(void **state) {
  (void)state;
  ring_init(&shared, shared_words, 1024, 0);
  produced = 0;
  signals_begin();
  uint64_t consumed = 0;
  ring_record record;
  while (consumed < SIGNAL_RECORDS)
    if (ring_peek(&shared, &record)) consume_one(consumed++);
  signals_end();
  while (ring_peek(&shared, &record)) consume_one(consumed++);
  assert_int_equal(consumed, produced);
}

static void *consume(void *arg) {
  (void)arg;
  for (uint64_t i = 0; i < SIGNAL_RECORDS; i++) consume_one(i);
  return NULL;
}

static void test_signal_handler_produces_while_a_thread_consumes(void **state) {
  (void)state;
  ring_init(&shared, shared_words, 1024, 0);
  produced = 0;
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm, NULL); /* the consumer inherits it: the handler runs here */
  pthread_t consumer;
  assert_int_equal(pthread_create(&consumer, NULL, consume, NULL), 0);
  pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
  signals_begin();
  while (produced < SIGNAL_RECORDS) usleep(100); /* where the thread sanitizer lets signals in */
  signals_end();
  pthread_join(consumer, NULL);
  uint64_t consumed = SIGNAL_RECORDS;
  ring_record record;
  while (ring_peek(&shared, &record)) consume_one(consumed++);
  assert_int_equal(consumed, produced);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_records_come_out_as_they_went_in),
      cmocka_unit_test(test_full_ring_refuses_and_keeps_what_it_holds),
      cmocka_unit_test(test_reserve_is_kept_for_alarms),
      cmocka_unit_test(test_thread_produces_while_another_consumes),
      cmocka_unit_test(test_signal_handler_produces_while_interrupting_the_consumer),
      cmocka_unit_test(test_signal_handler_produces_while_a_thread_consumes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
