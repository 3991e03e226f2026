/* SPDX-License-Identifier: Apache-2.0 */
/* The packets of ports/mqtt: bytes as the standard has them, and each one cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "mqtt_far.h"

/* ---- Encoding ------------------------------------------------------------------------ */

static void test_connect_has_the_bytes_of_the_standard(void **state) {
  (void)state;
  static const uint8_t will[] = {8, 1};
  static const uint8_t expected[] = {0x10, 27,  0,   4,   'M', 'Q', 'T', 'T', 4, 0x2e,
                                     1,    44,  0,   3,   'd', '-', '1', 0,   6, 's',
                                     't',  'a', 't', 'u', 's', 0,   2,   8,   1};
  mqtt_connect connect = {.client_id = "d-1",
                          .will_topic = "status",
                          .will = will,
                          .will_size = 2,
                          .keep_alive_s = 300};
  uint8_t to[64];
  size_t size = mqtt_packet_connect(&connect, to, sizeof to);
  assert_int_equal(expected[1] + 2, sizeof expected);
  assert_int_equal(size, sizeof expected);
  assert_memory_equal(to, expected, sizeof expected);
}

static void test_small_packets_have_the_bytes_of_the_standard(void **state) {
  (void)state;
  uint8_t to[16];
  assert_int_equal(mqtt_packet_subscribe(0x0102, "a/b", to, sizeof to), 10);
  assert_memory_equal(to,
                      "\x82\x08\x01\x02\x00\x03"
                      "a/b\x01",
                      10);
  assert_int_equal(mqtt_packet_puback(0xfffe, to, sizeof to), 4);
  assert_memory_equal(to, "\x40\x02\xff\xfe", 4);
  assert_int_equal(mqtt_packet_bare(MQTT_PINGREQ, to, sizeof to), 2);
  assert_memory_equal(to, "\xc0\x00", 2);
  assert_int_equal(mqtt_packet_bare(MQTT_DISCONNECT, to, sizeof to), 2);
  assert_memory_equal(to, "\xe0\x00", 2);
}

static void test_publish_counts_the_payload_in_its_length(void **state) {
  (void)state;
  static const struct {
    uint32_t payload;
    size_t head;
    uint8_t length[4];
  } cases[] = {{0, 9, {7}},
               {120, 9, {127}},
               {121, 10, {0x80, 1}},
               {16376, 10, {0xff, 0x7f}},
               {16377, 11, {0x80, 0x80, 1}},
               {61440, 11, {0x87, 0xe0, 3}},
               {2097144, 11, {0xff, 0xff, 0x7f}},
               {2097145, 12, {0x80, 0x80, 0x80, 1}},
               {268435448, 12, {0xff, 0xff, 0xff, 0x7f}}};
  uint8_t to[16];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    size_t size = mqtt_packet_publish(0x0304, "a/b", true, cases[i].payload, to, sizeof to);
    assert_int_equal(size, cases[i].head);
    assert_int_equal(to[0], 0x33);
    assert_memory_equal(to + 1, cases[i].length, size - 8);
    assert_memory_equal(to + size - 7,
                        "\x00\x03"
                        "a/b\x03\x04",
                        7);
  }
  assert_int_equal(mqtt_packet_publish(1, "a/b", false, 268435449, to, sizeof to), 0);
  assert_int_equal(mqtt_packet_publish(1, "a/b", false, UINT32_MAX, to, sizeof to), 0);
  assert_int_equal(mqtt_packet_publish(1, "a/b", false, 1, to, sizeof to), 9);
  assert_int_equal(to[0], 0x32);
}

/* Each packet into each room: whole, or nothing said and nothing written behind the room. */
static size_t encode(unsigned which, uint8_t *to, size_t room) {
  static const uint8_t will[] = {1, 2, 3};
  mqtt_connect connect = {.client_id = "device", .will_topic = "a/b", .will = will, .will_size = 3};
  switch (which) {
    case 0: return mqtt_packet_connect(&connect, to, room);
    case 1: return mqtt_packet_subscribe(7, "a/b/c", to, room);
    case 2: return mqtt_packet_publish(7, "a/b/c", false, 300, to, room);
    case 3: return mqtt_packet_puback(7, to, room);
    default: return mqtt_packet_bare(MQTT_PINGREQ, to, room);
  }
}

static void test_no_packet_is_written_into_too_little_room(void **state) {
  (void)state;
  for (unsigned which = 0; which < 5; which++) {
    uint8_t whole[64];
    size_t size = encode(which, whole, sizeof whole);
    assert_true(size > 0);
    for (size_t room = 0; room <= size; room++) {
      uint8_t to[64];
      memset(to, 0xee, sizeof to);
      assert_int_equal(encode(which, to, room), room == size ? size : 0);
      for (size_t i = room; i < sizeof to; i++) assert_int_equal(to[i], 0xee);
    }
  }
}

static void test_texts_that_no_field_can_hold_are_refused(void **state) {
  (void)state;
  static char text[65537];
  static uint8_t to[70000];
  memset(text, 'a', 65536);
  mqtt_connect connect = {.client_id = text, .will_topic = "t"};
  assert_int_equal(mqtt_packet_connect(&connect, to, sizeof to), 0);
  connect = (mqtt_connect){.client_id = "i", .will_topic = text};
  assert_int_equal(mqtt_packet_connect(&connect, to, sizeof to), 0);
  connect = (mqtt_connect){.client_id = "i", .will_topic = "t", .will = to, .will_size = 65536};
  assert_int_equal(mqtt_packet_connect(&connect, to, sizeof to), 0);
  assert_int_equal(mqtt_packet_subscribe(1, text, to, sizeof to), 0);
  assert_int_equal(mqtt_packet_publish(1, text, false, 0, to, sizeof to), 0);
  text[65535] = '\0';
  assert_int_equal(mqtt_packet_subscribe(1, text, to, sizeof to), 65544);
}

/* ---- Parsing ------------------------------------------------------------------------- */

#define ROOM 40u

/* Feeds all of `bytes` in pieces that end at each of two cuts (and wherever the parser wants);
 * notes every whole packet. HTEL_E_PROTOCOL ends it. */
typedef struct heard {
  unsigned packets;
  int error;
  mqtt_parser last[8];
  uint8_t payloads[8][ROOM];
} heard;

static heard feed(const uint8_t *bytes, size_t size, size_t cut1, size_t cut2) {
  heard h = {0};
  mqtt_parser parser = {0};
  uint8_t payload[ROOM];
  for (size_t at = 0; at < size;) {
    uint8_t *to;
    size_t n = mqtt_parser_wants(&parser, payload, ROOM, &to);
    assert_true(n >= 1);
    bool in_payload = to >= payload && to < payload + ROOM;
    bool in_parser = to >= (uint8_t *)&parser && to < (uint8_t *)(&parser + 1);
    assert_true((in_payload && n <= (size_t)(payload + ROOM - to)) ||
                (in_parser && n <= (size_t)((uint8_t *)(&parser + 1) - to)));
    size_t end = at < cut1 ? cut1 : at < cut2 ? cut2 : size;
    if (n > end - at) n = end - at;
    memcpy(to, bytes + at, n);
    at += n;
    int rc = mqtt_parser_advance(&parser, n);
    if (rc < 0) {
      h.error = rc;
      return h;
    }
    if (rc == 1 && h.packets < 8) {
      h.last[h.packets] = parser;
      memcpy(h.payloads[h.packets++], payload, ROOM);
    }
  }
  return h;
}

static void check_all(const heard *h, const uint8_t *payload) {
  assert_int_equal(h->error, 0);
  assert_int_equal(h->packets, 8);
  assert_int_equal(mqtt_parser_type(&h->last[0]), MQTT_CONNACK);
  assert_memory_equal(h->last[0].field, "\x01\x05", 2);
  assert_int_equal(mqtt_parser_type(&h->last[1]), MQTT_SUBACK);
  assert_int_equal(h->last[1].id, 0x0119);
  assert_int_equal(h->last[1].field[2], 0x80);
  assert_int_equal(mqtt_parser_type(&h->last[2]), MQTT_PUBACK);
  assert_int_equal(h->last[2].id, 0x0203);
  assert_int_equal(mqtt_parser_type(&h->last[3]), MQTT_PUBLISH);
  assert_true(mqtt_parser_wants_ack(&h->last[3]));
  assert_int_equal(h->last[3].id, 0x0405);
  assert_int_equal(h->last[3].payload_size, ROOM);
  assert_memory_equal(h->payloads[3], payload, ROOM);
  assert_int_equal(mqtt_parser_type(&h->last[4]), MQTT_PINGRESP);
  assert_int_equal(h->last[5].payload_size, 0);
  assert_false(mqtt_parser_wants_ack(&h->last[5]));
  assert_int_equal(h->last[6].payload_size, 200); /* thrown away */
  assert_int_equal(h->last[7].payload_size, 3);
  assert_memory_equal(h->payloads[7], payload, 3);
}

static void test_packets_may_be_cut_anywhere(void **state) {
  (void)state;
  far_end far;
  far_init(&far, 1);
  uint8_t payload[200];
  for (unsigned i = 0; i < sizeof payload; i++) payload[i] = (uint8_t)(i * 7 + 1);
  far_connack(&far, 1, 5);
  far_suback(&far, 0x0119, 0x80);
  far_puback(&far, 0x0203);
  far_publish(&far, 0x0405, payload, ROOM);
  far_pingresp(&far);
  far_publish(&far, 0, payload, 0);
  far_publish(&far, 9, payload, 200);
  far_publish(&far, 0, payload, 3);
  size_t size = far.put.count;
  for (size_t cut1 = 0; cut1 <= size; cut1++)
    for (size_t cut2 = cut1; cut2 <= size; cut2++) {
      heard h = feed(far.put.bytes, size, cut1, cut2);
      check_all(&h, payload);
    }
  /* Short of the end the last packet is not whole. */
  for (size_t short_of = 1; short_of < 29; short_of++)
    assert_int_equal(feed(far.put.bytes, size - short_of, 0, 0).packets, 7);
  far_free(&far);
}

static void test_what_a_broker_may_not_send_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t size;
  } cases[] = {
      {"\x00", 1},
      {"\x10", 1},
      {"\x21", 1},
      {"\x2f", 1},
      {"\x36", 1},
      {"\x34", 1}, /* QoS 3, QoS 2 */
      {"\x38", 1},
      {"\x41", 1},
      {"\x50", 1}, /* DUP at QoS 0; PUBREC */
      {"\x62", 1},
      {"\x70", 1},
      {"\x82", 1},
      {"\x91", 1},
      {"\xa2", 1},
      {"\xb0", 1},
      {"\xc0", 1},
      {"\xd1", 1},
      {"\xe0", 1},
      {"\xf0", 1},
      {"\x20\x01", 2},
      {"\x20\x03", 2},
      {"\x20\x00", 2},
      {"\x40\x03", 2},
      {"\x90\x02", 2},
      {"\x90\x04", 2},
      {"\xd0\x01", 2},
      {"\x30\x02", 2},
      {"\x32\x04", 2},
      {"\x30\x05\x00\x00", 4}, /* no topic */
      {"\x30\x05\x00\x04", 4},
      {"\x32\x06\x00\x03", 4}, /* topic too long */
      {"\x32\x06\x00\x01"
       "a\x00\x00",
       7}, /* id 0 */
      {"\x30\xff\xff\xff\xff", 5},
      {"\x20\x82\x80\x80\x80", 5}, /* length of five bytes */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
    assert_int_equal(feed(bytes, cases[i].size, 0, 0).error, HTEL_E_PROTOCOL);
    assert_int_equal(feed(bytes, cases[i].size - 1, 0, 0).error, 0); /* not before it shows */
  }
}

static void test_any_bytes_at_all(void **state) {
  (void)state;
  sim_random random = {42};
  unsigned refused = 0;
  for (unsigned round = 0; round < 100000; round++) {
    uint8_t bytes[64];
    size_t size = 1 + random_below(&random, sizeof bytes);
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)random_u32(&random);
    static const uint8_t heads[] = {0x20, 0x30, 0x32, 0x3a, 0x40, 0x90, 0xd0};
    bytes[0] = heads[random_below(&random, sizeof heads)];
    if (size > 1 && round % 2 == 0) bytes[1] &= 0x1f;
    refused += feed(bytes, size, random_below(&random, 64), random_below(&random, 64)).error != 0;
  }
  assert_true(refused > 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_connect_has_the_bytes_of_the_standard),
      cmocka_unit_test(test_small_packets_have_the_bytes_of_the_standard),
      cmocka_unit_test(test_publish_counts_the_payload_in_its_length),
      cmocka_unit_test(test_no_packet_is_written_into_too_little_room),
      cmocka_unit_test(test_texts_that_no_field_can_hold_are_refused),
      cmocka_unit_test(test_packets_may_be_cut_anywhere),
      cmocka_unit_test(test_what_a_broker_may_not_send_is_refused),
      cmocka_unit_test(test_any_bytes_at_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
