/* SPDX-License-Identifier: Apache-2.0 */
/* The queue between paho's thread and ours: bounded, in order, nothing dropped while it is open. */
#include <pthread.h>
#include <sched.h>

#include "ingest_fixture.h"
#include "mailbox.h"

enum { MAILS = 50000 };

static void *put_many(void *arg) {
  for (uint32_t i = 0; i < MAILS; i++)
    if (!mailbox_put(arg, "t", 1, &i, sizeof i, 100, true)) return NULL;
  mailbox_close(arg);
  return NULL;
}

static mailbox *box_new(void) {
  mailbox *box = malloc(sizeof *box);
  assert_non_null(box);
  assert_true(mailbox_init(box));
  return box;
}

static void test_all_mail_arrives_in_order_through_a_full_box(void **state) {
  (void)state;
  mailbox *box = box_new();
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, put_many, box), 0);
  while (mailbox_count(box) < MAILBOX_MESSAGES_MAX) sched_yield(); /* it waits for us now */
  mail m;
  uint32_t expected = 0;
  int rc;
  while ((rc = mailbox_take(box, 10000, &m)) == 1) {
    uint32_t got;
    memcpy(&got, m.payload, sizeof got);
    assert_int_equal(got, expected++);
    assert_string_equal(m.topic, "t");
    mail_free(&m);
  }
  assert_int_equal(rc, -1);
  assert_int_equal(expected, MAILS);
  pthread_join(thread, NULL);
  mailbox_free(box);
  free(box);
}

static void test_full_box_refuses_those_who_do_not_wait(void **state) {
  (void)state;
  mailbox *box = box_new();
  static uint8_t payload[60000];
  unsigned taken = 0;
  while (mailbox_put(box, "t", 1, payload, sizeof payload, sizeof payload, false)) taken++;
  assert_true(taken * sizeof payload < MAILBOX_BYTES_MAX + sizeof payload);
  assert_true(taken < MAILBOX_MESSAGES_MAX);
  mailbox_free(box);
  free(box);
}

static void test_long_payload_is_announced_without_its_bytes(void **state) {
  (void)state;
  mailbox *box = box_new();
  static uint8_t payload[1000];
  assert_true(mailbox_put(box, "abc", 3, payload, sizeof payload, 999, false));
  mail m;
  assert_int_equal(mailbox_take(box, 0, &m), 1);
  assert_int_equal(m.size, 1000);
  assert_int_equal(m.kept, 0);
  mail_free(&m);
  assert_int_equal(mailbox_take(box, 1, &m), 0);
  mailbox_free(box);
  free(box);
}

static void *put_one_more(void *arg) {
  return mailbox_put(arg, "t", 1, "", 0, 0, true) ? arg : NULL;
}

static void test_closing_lets_go_of_those_who_wait(void **state) {
  (void)state;
  mailbox *box = box_new();
  while (mailbox_put(box, "t", 1, "", 0, 0, false)) {
  }
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, put_one_more, box), 0);
  mailbox_close(box);
  void *taken = box;
  pthread_join(thread, &taken);
  assert_null(taken);
  assert_int_equal(mailbox_count(box), MAILBOX_MESSAGES_MAX);
  mailbox_free(box);
  free(box);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_all_mail_arrives_in_order_through_a_full_box),
      cmocka_unit_test(test_full_box_refuses_those_who_do_not_wait),
      cmocka_unit_test(test_long_payload_is_announced_without_its_bytes),
      cmocka_unit_test(test_closing_lets_go_of_those_who_wait),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
