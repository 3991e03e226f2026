/* SPDX-License-Identifier: Apache-2.0 */
/* client_fixture.h - one client in the fake world, for tests of the client as a whole. With
 * OUTBOX_ON_FLASH the same tests run over a simulated flash of 1 MB. */
#ifndef HTEL_TESTS_UNIT_CLIENT_FIXTURE_H
#define HTEL_TESTS_UNIT_CLIENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef OUTBOX_ON_FLASH
#include "../../ports/sim/flash_sim.h"
#endif
#include "fake.h"

enum { PULSE, ECG, ALARM, CHANNELS };

static const htel_channel channels[CHANNELS] = {
    [PULSE] = {.code = HTEL_MDC_PULSE_RATE_OXIMETER, .unit = HTEL_UNIT_PER_MIN},
    [ECG] = {.code = HTEL_MDC_ECG_LEAD_II,
             .kind = HTEL_WAVEFORM,
             .rate = {360, 1},
             .gain = 200,
             .offset = 1024},
    [ALARM] = {.code = 1, .kind = HTEL_ALARM},
};

typedef struct bench {
  fake world;
  htel *tel;
  htel_config config;
  max_align_t memory[16384];
} bench;

static bench it;

static inline int set_up(void **state) {
  (void)state;
  fake_init(&it.world, 42);
  it.config =
      (htel_config){.device_id = "device-1", .channels = channels, .channel_count = CHANNELS};
  return 0;
}

/* Tests of what the outbox in RAM has for itself: its size, and the port's boot counter. */
#ifdef OUTBOX_ON_FLASH
static flash_sim flash;
#define IN_RAM_ONLY() skip()
#else
#define IN_RAM_ONLY() (void)0
#endif

static inline void put_on_flash(void) {
#ifdef OUTBOX_ON_FLASH
  static const flash_geometry part = {"1 MB", 16384, 64, 4};
  flash_sim_free(&flash);
  flash_sim_init(&flash, &part, 1);
  it.config.outbox.code = &htel_outbox_on_flash;
  it.config.outbox.flash = &flash.port;
  if (it.config.outbox.bytes < 1024) it.config.outbox.bytes = 8192;
#endif
}

static inline int tear_down(void **state) {
  (void)state;
  fake_free(&it.world);
  return 0;
}

static inline void open_it(void) {
  put_on_flash();
  assert_int_equal(htel_open(&it.tel, it.memory, sizeof it.memory, &it.config, &it.world.port), 0);
}

static inline htel_stats stats(void) {
  htel_stats s;
  htel_stats_get(it.tel, &s);
  return s;
}

static inline void run_ms(uint32_t ms) {
  fake_run(&it.world, it.tel, ms);
}

static inline void alarm_now(uint32_t code) {
  htel_alarm_event event = {
      .code = code, .state = HTEL_ALARM_ACTIVE, .priority = HTEL_PRIORITY_HIGH, .source = PULSE};
  assert_int_equal(htel_alarm(it.tel, ALARM, &event), 0);
}

/* Numerics that fill a frame each: one frame a call. */
static inline void frame_now(int32_t value) {
  htel_record(it.tel, PULSE, value);
  htel_poll(it.tel);
  it.world.tick_ms += 10001;
  htel_poll(it.tel);
}

static inline void flushed(void) {
  int rc = HTEL_E_AGAIN;
  for (unsigned i = 0; i < 1000 && rc == HTEL_E_AGAIN; i++) {
    rc = htel_flush(it.tel, 60000);
    run_ms(20);
  }
  assert_int_equal(rc, 0);
}

static inline int close_it(uint32_t timeout_ms) {
  int rc;
  while ((rc = htel_close(it.tel, timeout_ms)) == HTEL_E_AGAIN) run_ms(10);
  return rc;
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
