/* SPDX-License-Identifier: Apache-2.0 */
/* The bad network itself: it reads its words, and does to packets what they say, by a clock that
 * is set by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "netem_pipe.h"

#define PACKETS 100000u
#define PACKET_BYTES 100u

static netem_pipe line; /* large: not for the stack */

static netem_step step_of(const char *text) {
  netem_step step;
  char error[128] = "";
  if (!netem_step_parse(&step, text, error, sizeof error)) fail_msg("%s: %s", text, error);
  return step;
}

static void line_begin(uint64_t seed, const char *text) {
  netem_step step = step_of(text);
  netem_pipe_init(&line, seed);
  netem_pipe_set(&line, &step.settings, 0);
}

/* An IPv4 packet with this number in it. */
static void put(uint64_t now_us, uint32_t number) {
  uint8_t bytes[PACKET_BYTES] = {0x45};
  memcpy(bytes + 20, &number, sizeof number);
  netem_pipe_put(&line, now_us, bytes, sizeof bytes);
}

static uint32_t number_of(const netem_packet *packet) {
  uint32_t number;
  memcpy(&number, packet->bytes + 20, sizeof number);
  return number;
}

static void test_words_are_those_of_tc(void **state) {
  (void)state;
  netem_step s = step_of(
      "at 1.5s up delay 200ms 50ms loss 5% duplicate 1% reorder 10% "
      "corrupt 0.5% rate 64kbit limit 50 flap 3s 250us");
  assert_int_equal(s.at_us, 1500000);
  assert_int_equal(s.directions, NETEM_UP);
  assert_int_equal(s.settings.delay_us, 200000);
  assert_int_equal(s.settings.jitter_us, 50000);
  assert_int_equal(s.settings.loss_ppm, 50000);
  assert_int_equal(s.settings.duplicate_ppm, 10000);
  assert_int_equal(s.settings.reorder_ppm, 100000);
  assert_int_equal(s.settings.corrupt_ppm, 5000);
  assert_int_equal(s.settings.rate_bit_s, 64000);
  assert_int_equal(s.settings.limit, 50);
  assert_int_equal(s.settings.flap_up_us, 3000000);
  assert_int_equal(s.settings.flap_down_us, 250);
  s = step_of("");
  assert_int_equal(s.directions, NETEM_BOTH);
  assert_int_equal(s.settings.limit, NETEM_LIMIT_MAX);
  assert_int_equal(step_of("down loss 100%").directions, NETEM_DOWN);
}

static void test_other_words_are_refused(void **state) {
  (void)state;
  static const char *const wrong[] = {"delay",
                                      "delay 5",
                                      "delay -5ms",
                                      "delay 5 ms",
                                      "delay 100000s",
                                      "delay 1ms 2ms",
                                      "loss 101%",
                                      "loss 5",
                                      "loss nan%",
                                      "reorder 5%",
                                      "rate 1bit",
                                      "rate 1e30bit",
                                      "limit 0",
                                      "limit 1001",
                                      "flap 3s",
                                      "flap 0s 1s",
                                      "at",
                                      "at 5",
                                      "at 5s at 6s",
                                      "delay 1ms up",
                                      "slot 1ms",
                                      "loss 5% 1ms",
                                      "limit 18446744073709551617",
                                      "at 1s both both",
                                      "wordwordwordwordwordwordword"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    netem_step step;
    char error[128] = "";
    if (netem_step_parse(&step, wrong[i], error, sizeof error)) fail_msg("taken: %s", wrong[i]);
    assert_true(error[0] != '\0');
  }
}

static void test_shares_are_as_told(void **state) {
  (void)state;
  line_begin(1, "delay 10ms loss 20% duplicate 5% reorder 10% corrupt 3%");
  uint32_t seen = 0, damaged = 0;
  for (uint32_t i = 0; i < PACKETS; i++) {
    put(i * 100, 0xAAAAAAAA);
    for (const netem_packet *p; (p = netem_pipe_take(&line, i * 100)) != NULL; seen++) {
      assert_int_equal(p->bytes[0], 0x45);
      for (unsigned b = 0; b < p->size; b++) {
        uint8_t flipped = p->bytes[b] ^ (uint8_t)(b == 0 ? 0x45 : b >= 20 && b < 24 ? 0xAA : 0);
        assert_true(b >= 20 || flipped == 0);
        assert_int_equal(flipped & (flipped - 1), 0);
        damaged += flipped != 0;
      }
    }
  }
  const netem_counts *c = &line.counts;
  assert_int_equal(c->packets, PACKETS);
  assert_int_equal(c->passed, seen);
  assert_int_equal(c->passed + c->lost + line.waiting, PACKETS + c->duplicated);
  assert_in_range(c->lost, PACKETS * 19 / 100, PACKETS * 21 / 100);
  assert_in_range(c->duplicated, PACKETS * 45 / 1000, PACKETS * 55 / 1000);
  assert_in_range(c->reordered, PACKETS * 8 / 100, PACKETS * 9 / 100); /* of 85 % */
  assert_in_range(c->corrupted, PACKETS * 23 / 1000, PACKETS * 28 / 1000);
  assert_in_range(damaged, c->corrupted - 10, c->corrupted);
}

static void test_delay_holds_and_jitter_stays_within(void **state) {
  (void)state;
  line_begin(2, "delay 100ms 30ms");
  uint64_t least = UINT64_MAX, most = 0;
  for (uint32_t i = 0; i < 1000; i++) {
    uint64_t now_us = i * UINT64_C(1000000);
    put(now_us, i);
    uint64_t delay_us = netem_pipe_due_us(&line) - now_us;
    assert_null(netem_pipe_take(&line, now_us + delay_us - 1));
    assert_int_equal(number_of(netem_pipe_take(&line, now_us + delay_us)), i);
    if (delay_us < least) least = delay_us;
    if (delay_us > most) most = delay_us;
  }
  assert_in_range(least, 70000, 71000);
  assert_in_range(most, 129000, 130000);
  assert_true(netem_pipe_due_us(&line) == UINT64_MAX);
}

static void test_without_jitter_order_is_kept(void **state) {
  (void)state;
  line_begin(3, "delay 5ms");
  for (uint32_t i = 0; i < NETEM_LIMIT_MAX; i++) put(i / 10, i);
  for (uint32_t i = 0; i < NETEM_LIMIT_MAX; i++)
    assert_int_equal(number_of(netem_pipe_take(&line, 10000)), i);
}

static void test_reordered_packets_overtake(void **state) {
  (void)state;
  line_begin(4, "delay 5ms reorder 50%");
  for (uint32_t i = 0; i < 100; i++) put(i, i);
  uint32_t overtaken = 0, last = 0;
  for (const netem_packet *p; (p = netem_pipe_take(&line, 10000)) != NULL; last = number_of(p))
    overtaken += number_of(p) < last;
  assert_int_equal(overtaken,
                   1); /* those without delay in their order, then the others in theirs */
  assert_in_range(line.counts.reordered, 30, 70);
}

static void test_line_passes_no_more_than_its_rate(void **state) {
  (void)state;
  line_begin(5, "rate 8kbit limit 5"); /* a packet of 100 bytes in 100 ms */
  for (uint32_t i = 0; i < 10; i++) put(0, i);
  assert_int_equal(line.counts.overflow, 5);
  for (uint32_t i = 0; i < 5; i++) {
    assert_int_equal(netem_pipe_due_us(&line), (i + 1) * 100000);
    assert_int_equal(number_of(netem_pipe_take(&line, (i + 1) * 100000)), i);
  }
  put(2000000, 7); /* the line had rested: no credit for that */
  assert_int_equal(netem_pipe_due_us(&line), 2100000);
}

static void test_flapping_network_is_down_in_turns(void **state) {
  (void)state;
  line_begin(6, "flap 3s 2s");
  for (uint32_t second = 0; second < 20; second++) {
    put(second * UINT64_C(1000000), second);
    const netem_packet *p = netem_pipe_take(&line, second * UINT64_C(1000000));
    assert_int_equal(p != NULL, second % 5 < 3);
  }
  assert_int_equal(line.counts.cut, 8);
}

static void test_same_seed_is_the_same_network(void **state) {
  (void)state;
  uint32_t first[200], count[2] = {0, 0};
  for (int run = 0; run < 2; run++) {
    line_begin(7, "delay 10ms 10ms loss 30% duplicate 10%");
    for (uint32_t i = 0; i < 150; i++) put(i * 500, i);
    for (const netem_packet *p; (p = netem_pipe_take(&line, 1000000)) != NULL; count[run]++) {
      assert_true(count[run] < 200);
      if (run == 0) first[count[0]] = number_of(p);
      assert_int_equal(number_of(p), first[count[run]]);
    }
  }
  assert_int_equal(count[0], count[1]);
}

static void test_other_packets_are_not_taken(void **state) {
  (void)state;
  line_begin(8, "");
  uint8_t bytes[NETEM_PACKET_BYTES_MAX + 1] = {0x60}; /* version 6 */
  netem_pipe_put(&line, 0, bytes, 40);
  bytes[0] = 0x45;
  netem_pipe_put(&line, 0, bytes, 19);
  netem_pipe_put(&line, 0, bytes, sizeof bytes);
  assert_int_equal(line.counts.packets, 0);
  netem_pipe_put(&line, 0, bytes, NETEM_PACKET_BYTES_MAX);
  assert_int_equal(netem_pipe_take(&line, 0)->size, NETEM_PACKET_BYTES_MAX);
}

static void test_corruption_spares_what_it_cannot_reach(void **state) {
  (void)state;
  line_begin(9, "corrupt 100%");
  uint8_t header_only[20] = {0x45}, long_header[40] = {0x4F};
  netem_pipe_put(&line, 0, header_only, sizeof header_only);
  netem_pipe_put(&line, 0, long_header, sizeof long_header); /* says 60 bytes of header */
  assert_int_equal(line.counts.corrupted, 0);
  assert_memory_equal(netem_pipe_take(&line, 0)->bytes, header_only, sizeof header_only);
  assert_memory_equal(netem_pipe_take(&line, 0)->bytes, long_header, sizeof long_header);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_words_are_those_of_tc),
      cmocka_unit_test(test_other_words_are_refused),
      cmocka_unit_test(test_shares_are_as_told),
      cmocka_unit_test(test_delay_holds_and_jitter_stays_within),
      cmocka_unit_test(test_without_jitter_order_is_kept),
      cmocka_unit_test(test_reordered_packets_overtake),
      cmocka_unit_test(test_line_passes_no_more_than_its_rate),
      cmocka_unit_test(test_flapping_network_is_down_in_turns),
      cmocka_unit_test(test_same_seed_is_the_same_network),
      cmocka_unit_test(test_other_packets_are_not_taken),
      cmocka_unit_test(test_corruption_spares_what_it_cannot_reach),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
