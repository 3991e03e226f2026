/* SPDX-License-Identifier: Apache-2.0 */
/* ports/mqtt: a stream may cut anywhere, and it must not show.
 *
 * In: each packet that a broker may send (and some that it may not), and rows of them, cut at every
 * byte, at every two bytes where they are short, and into single bytes: what the core is told, and
 * what is answered, is always the same. Out: each packet that a client sends, by a stream that
 * stops after any number of bytes, after any two, or that takes so many at a time: the bytes are
 * always the same, and nothing lands within a payload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mqtt_far.h"

#define SHORT 64u /* bytes: every two cuts */

static near_end near_memory;

/* ---- In -------------------------------------------------------------------------------- */

typedef struct row {
  const char *what;
  bool greeting; /* from the first byte of a connection; otherwise up, with messages 1 and 2 out */
  void (*put)(far_end *far, const uint16_t *ids);
} row;

static const uint8_t payload[600] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static void put_welcome(far_end *far, const uint16_t *ids) {
  (void)ids;
  far_connack(far, 0, 0);
  far_suback(far, HTEL_MQTT_IN_FLIGHT_MAX + 1, 1);
  far_publish(far, 77, payload, 5);
}

static void put_refusal(far_end *far, const uint16_t *ids) {
  (void)ids;
  far_connack(far, 0, 5);
}

static void put_no_receipts(far_end *far, const uint16_t *ids) {
  (void)ids;
  far_connack(far, 0, 0);
  far_suback(far, HTEL_MQTT_IN_FLIGHT_MAX + 1, 0x80);
}

static void put_puback(far_end *far, const uint16_t *ids) {
  far_puback(far, ids[0]);
}

static void put_pingresp(far_end *far, const uint16_t *ids) {
  (void)ids;
  far_pingresp(far);
}

static void put_qos0(far_end *far, const uint16_t *ids) {
  (void)ids;
  far_publish(far, 0, payload, 7);
}

static void put_qos1(far_end *far, const uint16_t *ids) {
  (void)ids;
  far_publish(far, 0x1234, payload, 7);
}

static void put_empty(far_end *far, const uint16_t *ids) {
  (void)ids;
  far_publish(far, 0, payload, 0);
  far_publish(far, 9, payload, 0);
}

static void put_longest(far_end *far, const uint16_t *ids) {
  (void)ids;
  far_publish(far, 9, payload, HTEL_LINK_MESSAGE_BYTES_MAX);
}

static void put_too_long(far_end *far, const uint16_t *ids) {
  (void)ids;
  far_publish(far, 9, payload, HTEL_LINK_MESSAGE_BYTES_MAX + 1);
  far_pingresp(far);
}

static void put_all_kinds(far_end *far, const uint16_t *ids) {
  far_puback(far, ids[1]);
  far_publish(far, 3, payload, 4);
  far_pingresp(far);
  far_puback(far, ids[0]);
  far_puback(far, ids[0]); /* twice */
  far_publish(far, 0, payload, 1);
}

static void put_wrong_type(far_end *far, const uint16_t *ids) {
  far_puback(far, ids[0]);
  far_put(far, (uint8_t[]){0xe0, 0}, 2);
}

static void put_wrong_length(far_end *far, const uint16_t *ids) {
  far_puback(far, ids[0]);
  far_put(far, (uint8_t[]){0x40, 0x82, 0x80, 0x80, 0x80}, 5);
}

static void put_wrong_topic(far_end *far, const uint16_t *ids) {
  (void)ids;
  far_put(far, (uint8_t[]){0x32, 9, 0, 6, 't', 'o', 'p', 'i', 'c', 0, 1}, 11);
}

static void put_id_0(far_end *far, const uint16_t *ids) {
  (void)ids;
  far_put(far, (uint8_t[]){0x32, 6, 0, 1, 't', 0, 0, 'x'}, 8);
}

static const row rows[] = {
    {"the beginning", true, put_welcome},
    {"a refusal", true, put_refusal},
    {"a refusal of the subscription", true, put_no_receipts},
    {"PUBACK", false, put_puback},
    {"PINGRESP", false, put_pingresp},
    {"PUBLISH at QoS 0", false, put_qos0},
    {"PUBLISH at QoS 1", false, put_qos1},
    {"PUBLISH without payload", false, put_empty},
    {"PUBLISH of the longest payload", false, put_longest},
    {"PUBLISH too long, PINGRESP", false, put_too_long},
    {"a row of all kinds", false, put_all_kinds},
    {"a type that no broker sends", false, put_wrong_type},
    {"a length of five bytes", false, put_wrong_length},
    {"a topic that does not fit", false, put_wrong_topic},
    {"a packet id of 0", false, put_id_0},
};

/* A connection at the place where the row begins, which is put before it. */
static near_end *row_begin(const row *r, size_t *begin) {
  near_end *near = &near_memory;
  near_init(near, 7);
  uint16_t ids[2] = {0, 0};
  if (r->greeting) {
    assert_int_equal(near_open(near), 0);
    near_run(near, 0);
  } else {
    near_up(near);
    for (uint32_t token = 1; token <= 2; token++) {
      far_packet packet;
      assert_int_equal(near_publish(near, token, 10), 0);
      near_run(near, 0);
      assert_true(far_take(&near->far, &packet));
      ids[token - 1] = near_check_publish(&packet, token, 10);
    }
  }
  *begin = near->far.put.count;
  r->put(&near->far, ids);
  return near;
}

static void row_end(near_end *near) {
  near->far.read_limit = FAR_ALL;
  near_run(near, 0);
  near->far.read_max = FAR_ALL;
  near_run(near, 13000); /* held PUBACKs go out */
}

typedef struct outcome {
  htel_link_event events[16];
  uint8_t messages[16][16];
  size_t event_count;
  bool ended;
  uint8_t answer[512];
  size_t answer_size;
} outcome;

static void outcome_take(outcome *o, const near_end *near) {
  memset(o, 0, sizeof *o);
  assert_true(near->event_count <= 16 && near->far.got.count <= sizeof o->answer);
  o->event_count = near->event_count;
  o->ended = near_count(near, HTEL_LINK_DOWN) > 0;
  memcpy(o->answer, near->far.got.bytes, near->far.got.count);
  o->answer_size = near->far.got.count;
  for (size_t i = 0; i < o->event_count; i++) {
    o->events[i] = near->events[i];
    o->events[i].payload = NULL;
    size_t size = o->events[i].size < 16 ? o->events[i].size : 16;
    memcpy(o->messages[i], near->messages[i], size);
  }
}

static void outcome_compare(const outcome *a, const outcome *b, const row *r, size_t cut1,
                            size_t cut2) {
  bool same = a->event_count == b->event_count && a->ended == b->ended;
  /* How much got out before an end is a matter of time. */
  if (same && !a->ended)
    same = a->answer_size == b->answer_size && memcmp(a->answer, b->answer, a->answer_size) == 0;
  for (size_t i = 0; same && i < a->event_count; i++) {
    const htel_link_event *x = &a->events[i];
    const htel_link_event *y = &b->events[i];
    same = x->kind == y->kind && x->error == y->error && x->token == y->token &&
           x->size == y->size && memcmp(a->messages[i], b->messages[i], 16) == 0;
  }
  if (!same) fail_msg("%s, cut at %zu and %zu: another outcome", r->what, cut1, cut2);
}

static void row_cut(const row *r, size_t cut1, size_t cut2, size_t piece, const outcome *whole) {
  size_t begin;
  outcome o;
  near_end *near = row_begin(r, &begin);
  near->far.read_max = piece;
  near->far.read_limit = begin + cut1;
  near_run(near, 20);
  if (cut2 > cut1 && near->far.is_open) {
    near->far.read_limit = begin + cut2;
    near_run(near, 20);
  }
  row_end(near);
  outcome_take(&o, near);
  outcome_compare(&o, whole, r, cut1, cut2);
  near_free(near);
}

static void test_what_comes_in_may_be_cut_anywhere(void **state) {
  (void)state;
  size_t cases = 0;
  for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++) {
    const row *r = &rows[n];
    size_t begin;
    outcome whole;
    near_end *near = row_begin(r, &begin);
    size_t size = near->far.put.count - begin;
    row_end(near);
    outcome_take(&whole, near);
    near_free(near);
    for (size_t cut1 = 0; cut1 <= size; cut1++) {
      row_cut(r, cut1, cut1, FAR_ALL, &whole);
      row_cut(r, cut1, cut1, 1, &whole); /* and what follows in single bytes */
      for (size_t cut2 = cut1 + 1; cut2 <= size && size <= SHORT; cut2++, cases++)
        row_cut(r, cut1, cut2, FAR_ALL, &whole);
      cases += 2;
    }
    for (size_t piece = 1; piece <= size && piece <= SHORT; piece++, cases++)
      row_cut(r, size, size, piece, &whole);
  }
  print_message("%zu cuts of %zu rows\n", cases, sizeof rows / sizeof rows[0]);
}

/* ---- Out ------------------------------------------------------------------------------- */

typedef struct act {
  const char *what;
  void (*begin)(near_end *near);
  uint32_t wait_ms; /* until it is written */
} act;

static void begin_connect(near_end *near) {
  assert_int_equal(near_open(near), 0);
}

/* CONNECT is out; what follows CONNACK. */
static void begin_subscribe(near_end *near) {
  far_connack(&near->far, 0, 0);
}

static void publish(near_end *near, uint32_t token, uint32_t size) {
  assert_int_equal(near_publish(near, token, size), 0);
}

static void begin_publish_0(near_end *near) {
  publish(near, 1, 0);
}

static void begin_publish_20(near_end *near) {
  publish(near, 1, 20);
}

static void begin_publish_226(near_end *near) {
  publish(near, 1, 226); /* one byte of the window is left, */
}

static void begin_publish_227(near_end *near) {
  publish(near, 1, 227); /* none, */
}

static void begin_publish_228(near_end *near) {
  publish(near, 1, 228); /* and one is pulled later */
}

static void begin_publish_900(near_end *near) {
  publish(near, 1, 900);
}

static void begin_publish_three(near_end *near) {
  for (uint32_t token = 1; token <= 3; token++) publish(near, token, token);
}

static void begin_puback(near_end *near) {
  far_publish(&near->far, 0x0102, payload, 3);
}

static void begin_nothing(near_end *near) {
  (void)near;
}

static void begin_close(near_end *near) {
  near->link->close(near->link->ctx);
}

static const act acts[] = {
    {"CONNECT", begin_connect, 0},
    {"SUBSCRIBE", begin_subscribe, 0},
    {"PUBLISH of nothing", begin_publish_0, 0},
    {"PUBLISH of 20 bytes", begin_publish_20, 0},
    {"PUBLISH that nearly fills the window", begin_publish_226, 0},
    {"PUBLISH that fills the window", begin_publish_227, 0},
    {"PUBLISH that is one too long for it", begin_publish_228, 0},
    {"PUBLISH pulled piece by piece", begin_publish_900, 0},
    {"three PUBLISH", begin_publish_three, 0},
    {"PUBACK", begin_puback, 12000},
    {"PINGREQ", begin_nothing, 60000},
    {"DISCONNECT", begin_close, 0},
};

/* Does it while the stream stops after `stop1` and then `stop2` bytes, and takes `piece` at a time.
 * The bytes that came are left in near->far.got, from *begin on. */
static near_end *act_do(const act *a, size_t stop1, size_t stop2, size_t piece, size_t *begin) {
  near_end *near = &near_memory;
  near_init(near, 7);
  if (a->begin == begin_subscribe) {
    assert_int_equal(near_open(near), 0);
    near_run(near, 0);
  } else if (a->begin != begin_connect) {
    near_up(near);
  }
  *begin = a->begin == begin_connect ? 0 : near->far.got.count; /* open() forgets what was before */
  near->far.write_max = piece;
  near->far.write_limit = *begin + stop1;
  a->begin(near);
  near_run(near, a->wait_ms + 10);
  if (stop2 > stop1) {
    near->far.write_limit = *begin + stop2;
    near_run(near, 10);
  }
  near->far.write_limit = FAR_ALL;
  near_run(near, 1000);
  return near;
}

static void act_check(const act *a, size_t stop1, size_t stop2, size_t piece,
                      const far_bytes *whole) {
  size_t begin;
  near_end *near = act_do(a, stop1, stop2, piece, &begin);
  size_t size = near->far.got.count - begin;
  if (size != whole->count || memcmp(near->far.got.bytes + begin, whole->bytes, size) != 0)
    fail_msg("%s, stopped at %zu and %zu, by %zu: other bytes", a->what, stop1, stop2, piece);
  near_free(near);
}

static void test_what_goes_out_may_stop_anywhere(void **state) {
  (void)state;
  size_t cases = 0;
  for (size_t n = 0; n < sizeof acts / sizeof acts[0]; n++) {
    const act *a = &acts[n];
    size_t begin;
    near_end *near = act_do(a, FAR_ALL / 2, 0, FAR_ALL, &begin);
    far_bytes whole = {.count = near->far.got.count - begin};
    assert_true(whole.count > 0);
    whole.bytes = malloc(whole.count);
    assert_non_null(whole.bytes);
    memcpy(whole.bytes, near->far.got.bytes + begin, whole.count);
    near_free(near);
    for (size_t stop1 = 0; stop1 <= whole.count; stop1++) {
      act_check(a, stop1, 0, FAR_ALL, &whole);
      act_check(a, stop1, 0, 1, &whole);
      act_check(a, whole.count, 0, stop1 + 1, &whole);
      for (size_t stop2 = stop1 + 1; stop2 <= whole.count && whole.count <= SHORT; stop2++, cases++)
        act_check(a, stop1, stop2, FAR_ALL, &whole);
      cases += 3;
    }
    free(whole.bytes);
  }
  print_message("%zu stops of %zu acts\n", cases, sizeof acts / sizeof acts[0]);
}

/* ---- Both at once ------------------------------------------------------------------------ */

#define RECEIPTS 12u /* more than are noted at a time */

/* The stream stops somewhere in a message; receipts come and have to be acknowledged, and it is
 * time to ask whether the broker is there. All of that goes out behind the message, whole. */
static void test_nothing_lands_within_a_payload(void **state) {
  (void)state;
  static const size_t pieces[] = {1, 7, 64, 256, FAR_ALL};
  size_t whole = 23 + 3 + 900; /* topic and id, head, payload */
  unsigned pings = 0;
  for (size_t stop = 0; stop <= whole; stop++) {
    near_end *near = &near_memory;
    near_init(near, stop);
    near_up(near);
    near->far.write_max = pieces[stop % 5];
    near->far.write_limit = near->far.got.count + stop;
    assert_int_equal(near_publish(near, 1, 900), 0);
    near_run(near, 10);
    for (uint16_t id = 1; id <= RECEIPTS; id++) far_publish(&near->far, id, payload, id);
    near_run(near, 61000);
    int next = near_publish(near, 2, 30); /* once the first is all in the window it may fit */
    assert_true(next == HTEL_E_AGAIN || (next == 0 && stop + 256 > whole));
    near->far.write_limit = FAR_ALL;
    for (unsigned polls = 0; next != 0; polls++) { /* at every moment, also when there is room */
      assert_true(near_poll(near) && polls < 2000);
      next = near_publish(near, 2, 30);
    }
    near_run(near, 13000);

    far_packet packet;
    unsigned acked = 0, messages = 0;
    while (far_take(&near->far, &packet)) {
      if (packet.head == 0x32) {
        messages++;
        near_check_publish(&packet, messages, messages == 1 ? 900 : 30);
      } else if (packet.head == 0x40) {
        acked++;
        assert_int_equal(packet.body[0] << 8 | packet.body[1], acked);
      } else {
        assert_int_equal(packet.head, 0xc0);
        pings++;
      }
      assert_true(messages > 0);
    }
    assert_int_equal(messages, 2);
    assert_int_equal(acked, RECEIPTS);
    assert_int_equal(near_count(near, HTEL_LINK_MESSAGE), RECEIPTS);
    assert_int_equal(near_count(near, HTEL_LINK_DOWN), 0);
    assert_int_equal(near->far.got.count, near->far.taken); /* no half packet at the end */
    near_free(near);
  }
  assert_true(pings > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_comes_in_may_be_cut_anywhere),
      cmocka_unit_test(test_what_goes_out_may_stop_anywhere),
      cmocka_unit_test(test_nothing_lands_within_a_payload),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
