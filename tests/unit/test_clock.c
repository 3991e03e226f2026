/* SPDX-License-Identifier: Apache-2.0 */
/* The 32-bit tick in all that waits: batches, backoff, resends, pauses, the backlog's rate.
 *
 * One troubled quarter of an hour is lived again and again from different first ticks, so that the
 * wrap falls on every part of it. Seen from the first tick, each must be the same to the
 * millisecond. All begin above 2^28, where a tick takes as many bytes as beyond the wrap. */
#include "client_fixture.h"

#define STEP_MS 250u
#define STEPS 3600u

typedef struct moment {
  uint32_t publishes, opens, delivered, resent, in_flight, waiting, connected;
} moment;

static moment first_life[STEPS], this_life[STEPS];

static void trouble(unsigned step) {
  fake *w = &it.world;
  w->reachable = step < 400 || (step > 1000 && step < 2000) || step > 2200;
  if ((step == 400 || step == 2000) && w->up) fake_cut(w, HTEL_E_LINK_LOST);
  w->no_receipts = step > 1200 && step < 1500; /* resends */
  w->no_acks = step > 1300 && step < 1400;     /* which have more patience */
  w->pause_ms = step > 2400 && step < 2410 ? 20000 : 0;
  w->lose_acks_pct = step > 2600 ? 10 : 0;
  w->lose_receipts_pct = step > 2600 ? 10 : 0;
}

static void live(uint32_t first_tick, moment *life) {
  fake_init(&it.world, 42);
  it.world.tick_ms = first_tick;
  it.config.coding = HTEL_CODING_FAST;
  it.config.delivery.backoff_max_ms = 16000;
  open_it();
  for (unsigned step = 0; step < STEPS; step++) {
    trouble(step);
    assert_int_equal(htel_record(it.tel, PULSE, (int32_t)(step % 50)), 0);
    if (step % 97 == 0) alarm_now(step);
    run_ms(STEP_MS);
    htel_stats s = stats();
    life[step] = (moment){.publishes = it.world.publishes,
                          .opens = it.world.opens,
                          .delivered = s.frames_delivered,
                          .resent = s.frames_resent,
                          .in_flight = s.frames_in_flight,
                          .waiting = s.frames_waiting,
                          .connected = s.connected};
  }
  for (size_t i = 0; i < it.world.series[PULSE].count; i++) { /* delivered in any order */
    uint64_t after = it.world.series[PULSE].readings[i].tick - first_tick;
    assert_true(after < (uint64_t)STEPS * STEP_MS && after % STEP_MS == 0);
    assert_int_equal(it.world.series[PULSE].readings[i].value, after / STEP_MS % 50);
  }
}

static void test_a_wrap_changes_nothing_wherever_it_falls(void **state) {
  (void)state;
  live(0xC0000000u, first_life);
  assert_true(first_life[STEPS - 1].resent > 3 && first_life[STEPS - 1].opens > 8);
  for (uint32_t after_ms = 1; after_ms < STEPS * STEP_MS; after_ms += 7919) {
    fake_free(&it.world);
    live(0u - after_ms, this_life);
    for (unsigned step = 0; step < STEPS; step++)
      if (memcmp(&first_life[step], &this_life[step], sizeof(moment)) != 0)
        fail_msg("wrap after %u ms: another life from step %u on", (unsigned)after_ms, step);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      T(test_a_wrap_changes_nothing_wherever_it_falls),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
