/* SPDX-License-Identifier: Apache-2.0 */
/* A wrong configuration is refused with the field and the reason; a right one costs what it
 * says. Without HEALTHTEL_TEXTS the field is named and the reason left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "code.h"
#include "fake.h"
#include "model.h"
#include "zip.h"

#ifndef HEALTHTEL_TEXTS
#define HEALTHTEL_TEXTS 1
#endif

typedef struct setup {
  htel_channel channels[4];
  htel_config config;
  htel_config_fault fault;
} setup;

/* One ECG at 360 Hz and three numerics, all else by default. */
static void standard(setup *s) {
  memset(s, 0, sizeof *s);
  s->channels[0] = (htel_channel){
      .code = HTEL_MDC_ECG_LEAD_II, .kind = HTEL_WAVEFORM, .rate = {360, 1}, .block_max = 36};
  s->channels[1] = (htel_channel){.code = HTEL_MDC_PULSE_RATE_OXIMETER};
  s->channels[2] = (htel_channel){.code = HTEL_MDC_SPO2};
  s->channels[3] = (htel_channel){.code = HTEL_MDC_RESPIRATION_RATE};
  s->config = (htel_config){
      .device_id = "device-1", .channels = s->channels, .channel_count = 4, .fault = &s->fault};
}

static void refused(setup *s, const char *field, unsigned index, const char *why) {
  assert_int_equal(htel_memory_needed(&s->config), HTEL_E_CONFIG);
  assert_string_equal(s->fault.field, field);
  assert_int_equal(s->fault.index, index);
  if (!HEALTHTEL_TEXTS) why = "see healthtel.h";
  if (strstr(s->fault.why, why) == NULL) fail_msg("%s does not say %s", s->fault.why, why);
}

static void test_standard_configuration_fits_52_kib(void **state) {
  (void)state;
  setup s;
  standard(&s);
  s.config.outbox.bytes = 32768;
  s.config.batch.age_ms_max = 10000;
  int32_t needed = htel_memory_needed(&s.config);
  print_message("core memory: %d bytes\n", (int)needed);
  assert_true(needed > 32768 && needed <= 52 * 1024);
}

static void test_memory_needed_is_enough_and_one_less_is_not(void **state) {
  (void)state;
  setup s;
  standard(&s);
  static fake world;
  fake_init(&world, 1);
  int32_t needed = htel_memory_needed(&s.config);
  /* The sanitizer watches its ends. */
  uint8_t *memory = aligned_alloc(_Alignof(max_align_t), (size_t)needed);
  htel *tel;
  assert_int_equal(htel_open(&tel, memory, (size_t)needed - 1, &s.config, &world.port),
                   HTEL_E_MEMORY);
  assert_null(tel);
  assert_int_equal(htel_open(&tel, memory + 1, (size_t)needed, &s.config, &world.port),
                   HTEL_E_MEMORY);
  assert_int_equal(htel_open(&tel, NULL, (size_t)needed, &s.config, &world.port), HTEL_E_MEMORY);
  assert_int_equal(htel_open(&tel, memory, (size_t)needed, &s.config, &world.port), 0);
  free(memory);
  fake_free(&world);
}

static void test_device_id(void **state) {
  (void)state;
  setup s;
  standard(&s);
  static const char *const bad[] = {
      NULL,       "",         "a b",
      "a/b",      "a+b",      "a#b",
      "\xc3\xa4", "device.1", "1234567890123456789012345678901234567"};
  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    s.config.device_id = bad[i];
    refused(&s, "device_id", 0, "1 to 36 characters");
  }
  s.config.device_id = "abcdefghijklmnopqrstuvwxyz_-01234567";
  assert_true(htel_memory_needed(&s.config) > 0);
}

static void test_channels(void **state) {
  (void)state;
  setup s;
  standard(&s);
  s.channels[0].rate.num = 0;
  refused(&s, "channels.rate", 0, "needs its rate in Hz");
  standard(&s);
  s.channels[2] = (htel_channel){.code = 1, .kind = HTEL_ALARM, .rate = {1, 1}};
  refused(&s, "channels.rate", 2, "0 for alarms");
  standard(&s);
  s.channels[2].rate.num = 1000001; /* a numeric may have one */
  refused(&s, "channels.rate", 2, "1,000,000");
  standard(&s);
  s.channels[3].code = s.channels[1].code;
  refused(&s, "channels.index", 3, "earlier channel");
  s.channels[3].index = 1;
  assert_true(htel_memory_needed(&s.config) > 0);
  standard(&s);
  s.channels[1].kind = 3;
  refused(&s, "channels.kind", 1, "HTEL_NUMERIC");
  standard(&s);
  s.channels[1].ring = 1;
  refused(&s, "channels.ring", 1, "below ring_count");
  standard(&s);
  s.channels[1].name = "a name of more than thirty-one chars";
  refused(&s, "channels.name", 1, "31");
  standard(&s);
  s.channels[1].unit = "mm\n";
  refused(&s, "channels.unit", 1, "UCUM");
  standard(&s);
  s.channels[0].column_samples = 513;
  refused(&s, "channels.column_samples", 0, "8 to 512");
  standard(&s);
  s.config.channel_count = 0;
  refused(&s, "channels", 0, "at least one");
  s.config.channel_count = 65;
  refused(&s, "channel_count", 0, "64");
}

static void test_ring_too_small_for_its_block(void **state) {
  (void)state;
  setup s;
  standard(&s);
  s.channels[0].block_max = 300;
  refused(&s, "ring_bytes", 0, "must hold two blocks");
  s.config.ring_bytes[0] = 4096;
  assert_true(htel_memory_needed(&s.config) > 0);
  s.config.ring_bytes[0] = 3000;
  refused(&s, "ring_bytes", 0, "power of two");
}

static void test_limits_of_frame_outbox_and_delivery(void **state) {
  (void)state;
  setup s;
  standard(&s);
  s.config.batch.bytes_max = 511;
  refused(&s, "batch.bytes_max", 0, "512 to 61440");
  standard(&s);
  s.config.outbox.bytes = 7000;
  refused(&s, "outbox.bytes", 0, "two frames");
  standard(&s);
  s.config.outbox.when_full[1] = 2;
  refused(&s, "outbox.when_full", 1, "HTEL_DROP_OLDEST");
  standard(&s);
  s.config.delivery.rate_per_s_max = 100;
  refused(&s, "delivery.rate_per_s_max", 0, "at most 90");
  standard(&s);
  s.config.delivery.mode = 2;
  refused(&s, "delivery.mode", 0, "HTEL_DELIVERY_RECEIPT");
  standard(&s);
  s.config.coding = 3;
  refused(&s, "coding", 0, "HTEL_CODING_ZLIB, _FAST or _BEST");
  standard(&s);
  s.config.ring_count = 9;
  refused(&s, "ring_count", 0, "8");
}

/* What was left out of the library is refused, and said; what is there costs its memory. */
static void test_coding_that_was_left_out(void **state) {
  (void)state;
  setup s;
  standard(&s);
  s.config.coding = HTEL_CODING_FAST;
  int32_t plain = htel_memory_needed(&s.config);
  assert_true(plain > 0);
  s.config.coding = HTEL_CODING_BEST;
  int32_t beyond = htel_memory_needed(&s.config) - plain;
  if (model_writer_bytes() > 0)
    assert_in_range(beyond, 4096, 6144);
  else
    refused(&s, "coding", 0, "without HEALTHTEL_BEST");
  s.config.coding = HTEL_CODING_ZLIB;
  if (zip_arena_bytes() > 0)
    assert_true(htel_memory_needed(&s.config) > plain);
  else
    refused(&s, "coding", 0, "without zlib");
}

/* Numerics: two bytes of the open frame for each reading that their columns hold. */
static void test_longer_columns_of_numerics_get_a_longer_frame(void **state) {
  (void)state;
  setup s;
  standard(&s);
  int32_t plain = htel_memory_needed(&s.config);
  for (unsigned i = 1; i < 4; i++) s.channels[i].column_samples = 32; /* the default */
  assert_int_equal(htel_memory_needed(&s.config), plain);
  for (unsigned i = 1; i < 4; i++) s.channels[i].column_samples = 48;
  int32_t columns = 3 * 16 * 9, frame = 3 * 16 * 2;
  assert_int_equal(htel_memory_needed(&s.config), plain + columns + frame);
  /* And one column fits whatever its values are. */
  s.channels[0] = s.channels[3];
  s.config.channel_count = 1;
  s.config.batch.bytes_max = 8192;
  s.channels[0].column_samples = 256;
  plain = htel_memory_needed(&s.config);
  s.channels[0].column_samples = 512;
  frame = (int32_t)(code_block_bytes_max(512) - code_block_bytes_max(256));
  assert_in_range(htel_memory_needed(&s.config) - plain, 256 * 9 + frame - 16,
                  256 * 9 + frame + 16);
}

/* Every frame size from the least to the most works with the columns that it gets by default. */
static void test_every_frame_size(void **state) {
  (void)state;
  for (uint32_t bytes = 512; bytes <= 61440; bytes += 61) {
    setup s;
    standard(&s);
    s.config.batch.bytes_max = (uint16_t)bytes;
    s.config.outbox.bytes = 200000;
    if (htel_memory_needed(&s.config) < 0) fail_msg("%u: %s %s", bytes, s.fault.field, s.fault.why);
  }
}

static void test_port_must_be_complete(void **state) {
  (void)state;
  setup s;
  standard(&s);
  static fake world;
  fake_init(&world, 1);
  static max_align_t memory[8192];
  htel *tel;
  htel_port port = world.port;
  port.tick_ms = NULL;
  assert_int_equal(htel_open(&tel, memory, sizeof memory, &s.config, &port), HTEL_E_PORT);
  port = world.port;
  port.link = NULL;
  assert_int_equal(htel_open(&tel, memory, sizeof memory, &s.config, &port), HTEL_E_PORT);
  port = world.port;
  port.boot_begin = NULL;
  world.random_fails = true;
  assert_int_equal(htel_open(&tel, memory, sizeof memory, &s.config, &port), HTEL_E_RANDOM);
  world.random_fails = false;
  assert_int_equal(htel_open(&tel, memory, sizeof memory, &s.config, &port), 0);
  htel_stats stats;
  htel_stats_get(tel, &stats);
  assert_true(stats.boot > UINT32_MAX); /* random */
  fake_free(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_standard_configuration_fits_52_kib),
      cmocka_unit_test(test_memory_needed_is_enough_and_one_less_is_not),
      cmocka_unit_test(test_device_id),
      cmocka_unit_test(test_channels),
      cmocka_unit_test(test_ring_too_small_for_its_block),
      cmocka_unit_test(test_limits_of_frame_outbox_and_delivery),
      cmocka_unit_test(test_coding_that_was_left_out),
      cmocka_unit_test(test_longer_columns_of_numerics_get_a_longer_frame),
      cmocka_unit_test(test_every_frame_size),
      cmocka_unit_test(test_port_must_be_complete),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
