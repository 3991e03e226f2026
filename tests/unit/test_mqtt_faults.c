/* SPDX-License-Identifier: Apache-2.0 */
/* ports/mqtt on streams as they are: one whole conversation, with every packet that there is, in
 * pieces of any size, stopped at every byte in each direction, and broken off at every byte in each
 * direction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mqtt_far.h"

#define MESSAGES 6u
static const uint32_t sizes[MESSAGES] = {0, 3, 700, 1, 60, 300};
static const size_t receipt_sizes[MESSAGES] = {20, 0, 512, 600, 1, 5}; /* one is too long */

typedef struct broker {
  unsigned connects, subscribes, pubacks, disconnects, pings;
  bool seen[MESSAGES];
} broker;

static void on_publish(near_end *near, broker *b, const far_packet *packet) {
  for (uint32_t i = 0; i < MESSAGES; i++) {
    if (b->seen[i] || packet->size != 23u + sizes[i]) continue;
    b->seen[i] = true;
    uint16_t id = near_check_publish(packet, i + 1, sizes[i]);
    uint8_t receipt[600];
    memset(receipt, (int)(i + 1), sizeof receipt);
    far_publish(&near->far, (uint16_t)(i + 1), receipt, receipt_sizes[i]);
    far_puback(&near->far, id);
    return;
  }
  fail_msg("a PUBLISH that nobody sent");
}

/* Answers what has come, as a broker with an ingest behind it does. */
static void serve(near_end *near, broker *b) {
  far_packet packet;
  while (far_take(&near->far, &packet)) {
    switch (packet.head) {
      case 0x10:
        b->connects++;
        far_connack(&near->far, 0, 0);
        break;
      case 0x82:
        b->subscribes++;
        far_suback(&near->far, (uint16_t)(packet.body[0] << 8 | packet.body[1]), 1);
        break;
      case 0x32: on_publish(near, b, &packet); break;
      case 0x40: b->pubacks++; break;
      case 0xc0:
        b->pings++;
        far_pingresp(&near->far);
        break;
      case 0xe0: b->disconnects++; break;
      default: fail_msg("a packet of type %02x", packet.head);
    }
  }
}

static bool stopped(const far_end *far) {
  return far->read >= far->read_limit || far->got.count >= far->write_limit;
}

/* The whole conversation. A stop at one of the stream's limits is over after `pause_ms`. false:
 * DOWN came before close. */
static bool converse(near_end *near, broker *b, uint32_t pause_ms) {
  memset(b, 0, sizeof *b);
  near->event_count = 0;
  uint32_t next = 0;
  uint32_t stopped_ms = 0;
  bool idle = false;
  bool closing = false;
  assert_int_equal(near_open(near), 0);
  for (unsigned turn = 0; turn < 5000; turn++) {
    uint32_t step_ms = idle ? 20000 : 20;
    if (stopped(&near->far) && (stopped_ms += step_ms) > pause_ms)
      near->far.read_limit = near->far.write_limit = FAR_ALL;
    near_run(near, step_ms);
    serve(near, b);
    if (near_count(near, HTEL_LINK_DOWN) > 0) return closing;
    if (near_count(near, HTEL_LINK_UP) == 0) continue;
    while (next < MESSAGES && near_publish(near, next + 1, sizes[next]) == 0) next++;
    if (near_count(near, HTEL_LINK_ACKED) < MESSAGES) continue;
    idle = true; /* long enough for held PUBACKs and a ping */
    if (b->pubacks < MESSAGES || b->pings == 0) continue;
    if (!closing) near->link->close(near->link->ctx);
    closing = true;
  }
  fail_msg("it does not come to an end");
  return false;
}

static void check_conversation(const near_end *near, const broker *b) {
  assert_int_equal(b->connects, 1);
  assert_int_equal(b->subscribes, 1);
  assert_int_equal(b->pubacks, MESSAGES);
  assert_int_equal(near_count(near, HTEL_LINK_UP), 1);
  assert_int_equal(near_count(near, HTEL_LINK_ACKED), MESSAGES);
  assert_int_equal(near_count(near, HTEL_LINK_MESSAGE), MESSAGES - 1);
  bool acked[MESSAGES] = {false};
  for (size_t i = 0; i < near->event_count; i++) {
    const htel_link_event *e = &near->events[i];
    if (e->kind == HTEL_LINK_ACKED) acked[e->token - 1] = true;
    if (e->kind == HTEL_LINK_MESSAGE && e->size > 0)
      assert_int_equal(e->size, receipt_sizes[near->messages[i][0] - 1]);
  }
  for (unsigned i = 0; i < MESSAGES; i++) assert_true(acked[i]);
  assert_int_equal(near_error(near), 0);
}

static void test_pieces_of_any_size(void **state) {
  (void)state;
  static const size_t pieces[] = {1, 2, 3, 5, 7, 16, 100, FAR_ALL};
  static const unsigned blocks[] = {0, 50, 90};
  for (size_t r = 0; r < 8; r++)
    for (size_t w = 0; w < 8; w++)
      for (size_t p = 0; p < 3; p++) {
        near_end *near = near_new(r * 100 + w * 10 + p);
        broker b;
        near->far.read_max = pieces[r];
        near->far.write_max = pieces[w];
        near->far.block_pct = blocks[p];
        assert_true(converse(near, &b, 0));
        check_conversation(near, &b);
        assert_int_equal(b.disconnects, 1);
        near_delete(near);
      }
}

/* How many bytes go each way when nothing is in the way. */
static void measure(size_t *in, size_t *out) {
  near_end *near = near_new(1);
  broker b;
  assert_true(converse(near, &b, 0));
  *in = near->far.put.count;
  *out = near->far.got.count;
  assert_true(*in > 1000 && *out > 1000);
  near_delete(near);
}

static void test_a_pause_at_every_byte(void **state) {
  (void)state;
  size_t in, out;
  measure(&in, &out);
  for (size_t at = 0; at <= in; at++) {
    near_end *near = near_new(at);
    broker b;
    near->far.read_limit = at;
    assert_true(converse(near, &b, 800));
    check_conversation(near, &b);
    near_delete(near);
  }
  for (size_t at = 0; at <= out; at++) {
    near_end *near = near_new(at);
    broker b;
    near->far.write_limit = at;
    assert_true(converse(near, &b, 800));
    check_conversation(near, &b);
    near_delete(near);
  }
}

static void test_an_end_at_every_byte(void **state) {
  (void)state;
  size_t in, out;
  measure(&in, &out);
  for (size_t at = 0; at < in + out; at++) {
    near_end *near = near_new(at);
    broker b;
    near->far.read_error = near->far.write_error = HTEL_E_LINK_LOST;
    if (at < in)
      near->far.read_limit = at;
    else
      near->far.write_limit = at - in;
    near->far.read_max = at % 3 == 0 ? 1 : FAR_ALL;
    if (!converse(near, &b, UINT32_MAX)) assert_int_equal(near_error(near), HTEL_E_LINK_LOST);
    assert_false(near->far.is_open);
    /* The next connection knows nothing of the last. */
    near->far.read_limit = near->far.write_limit = FAR_ALL;
    assert_true(converse(near, &b, 0));
    check_conversation(near, &b);
    near_delete(near);
  }
}

/* A silence that begins at any byte: half-open, so nothing fails, and nothing comes. */
static void test_silence_at_every_byte(void **state) {
  (void)state;
  size_t in, out;
  measure(&in, &out);
  for (size_t at = 0; at < in; at += 3) {
    near_end *near = near_new(at);
    broker b;
    near->far.read_limit = at;
    if (!converse(near, &b, UINT32_MAX)) assert_int_equal(near_error(near), HTEL_E_LINK_SILENT);
    near_delete(near);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pieces_of_any_size),
      cmocka_unit_test(test_a_pause_at_every_byte),
      cmocka_unit_test(test_an_end_at_every_byte),
      cmocka_unit_test(test_silence_at_every_byte),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
