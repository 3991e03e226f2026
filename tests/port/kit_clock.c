/* SPDX-License-Identifier: Apache-2.0 */
/* kit_clock.c - tick_ms: it moves, forwards, in milliseconds, in sleep, over its wrap, and under
 * interrupts. */
#include "kit_internal.h"

#define LOOK_MS 300u
#define AFTER 100u /* looks that follow, lest a leap over the end be the last seen */
#define STEP_MS_MAX 10u
#define RATE_MS 2000u
#define RATE_SLACK_MS 40u
#define SLEEP_MS 500u
#define LEAP_MS_MAX 2000u /* between two looks that follow each other */

static const char clock[] = "Clock";

static void check_moves(kit *k) {
  uint32_t ms = kit_ms(k);
  if (!k->clock_works)
    kit_fail(k,
             "tick_ms() says %u each time, %u times in a row: is it filled in, does its timer "
             "run?",
             (unsigned)ms, (unsigned)KIT_SPINS_MAX);
}

static bool is_back(uint32_t from_ms, uint32_t to_ms) {
  return (int32_t)(to_ms - from_ms) < 0;
}

/* Looks at the clock for LOOK_MS; the smallest step that it made. */
static uint32_t watch_steps(kit *k) {
  uint32_t began_ms = kit_ms(k), seen_ms = began_ms, step_ms = UINT32_MAX;
  for (uint32_t spins = 0, after = 0; spins < KIT_SPINS_MAX && after < AFTER; spins++) {
    uint32_t now_ms = kit_ms(k);
    if (is_back(seen_ms, now_ms) || now_ms - seen_ms > LEAP_MS_MAX) {
      kit_fail(k,
               "tick_ms() went from %u to %u: a counter of more than one word that is not read "
               "at once? a timer's overflow that is counted late?",
               (unsigned)seen_ms, (unsigned)now_ms);
      return step_ms;
    }
    if (now_ms != seen_ms && now_ms - seen_ms < step_ms) step_ms = now_ms - seen_ms;
    seen_ms = now_ms;
    after += seen_ms - began_ms >= LOOK_MS;
  }
  return step_ms;
}

static void check_monotone(kit *k) {
  if (!kit_needs_clock(k)) return;
  (void)watch_steps(k);
  if (kit_failed(k)) k->clock_works = false;
}

static void check_step(kit *k) {
  if (!kit_needs_clock(k)) return;
  uint32_t step_ms = watch_steps(k);
  if (step_ms > STEP_MS_MAX)
    kit_fail(k,
             "tick_ms() moves in steps of %u ms: readings are placed no better than that. Count "
             "by a faster timer",
             (unsigned)step_ms);
  kit_say(k, "%u ms", (unsigned)step_ms);
}

/* The reference clock: the one that was configured, or the peer's. */
static bool reference(kit *k, uint32_t *ms, uint32_t *slack_ms) {
  *slack_ms = 0;
  if (k->config->reference_ms == NULL) return kit_peer_clock(k, ms, slack_ms);
  *ms = k->config->reference_ms(k->config->ctx);
  return true;
}

static bool reference_open(kit *k) {
  if (k->config->reference_ms != NULL || kit_peer_clock_open(k)) return true;
  kit_skip(k, "there is no other clock: give reference_ms, or a transport to htel-port-peer");
  return false;
}

static void compare(kit *k, uint32_t ticks_ms, uint32_t true_ms, uint32_t slack_ms) {
  uint32_t off_ms = ticks_ms > true_ms ? ticks_ms - true_ms : true_ms - ticks_ms;
  if (off_ms > RATE_SLACK_MS + slack_ms)
    kit_fail(k,
             "tick_ms() counted %u where another clock counted %u ms: it does not count "
             "milliseconds, loses ticks while interrupts are off, or stops in the product's sleep",
             (unsigned)ticks_ms, (unsigned)true_ms);
  kit_say(k, "%u ms, by another clock %u", (unsigned)ticks_ms, (unsigned)true_ms);
}

static void check_rate(kit *k) {
  uint32_t true_from, true_to, slack_from, slack_to;
  if (!kit_needs_clock(k) || !reference_open(k)) return;
  bool known = reference(k, &true_from, &slack_from);
  uint32_t from_ms = kit_ms(k);
  if (known) {
    kit_pause(k, RATE_MS);
    known = reference(k, &true_to, &slack_to);
  }
  uint32_t to_ms = kit_ms(k);
  kit_net_hang_up(k);
  if (!known) {
    kit_skip(k, "the peer did not tell its clock");
    return;
  }
  compare(k, to_ms - from_ms, true_to - true_from, slack_from + slack_to);
}

static void check_sleep(kit *k) {
  const kit_config *c = k->config;
  if (!kit_needs_clock(k)) return;
  if (c->sleep == NULL) {
    kit_skip(k, "sleep() was not given: a clock that stops in sleep would not be seen");
    return;
  }
  uint32_t true_ms = c->reference_ms != NULL ? c->reference_ms(c->ctx) : 0;
  uint32_t from_ms = kit_ms(k);
  c->sleep(c->ctx, SLEEP_MS);
  uint32_t ticks_ms = kit_ms(k) - from_ms;
  if (c->reference_ms != NULL) {
    compare(k, ticks_ms, c->reference_ms(c->ctx) - true_ms, 0);
  } else if (ticks_ms < SLEEP_MS - RATE_SLACK_MS) {
    kit_fail(k,
             "tick_ms() counted %u ms in a sleep of %u ms: it stops in sleep, or sleep() did not "
             "sleep. Count by a timer "
             "that runs on (RTC, low-power timer), or add what the sleep took",
             (unsigned)ticks_ms, (unsigned)SLEEP_MS);
  }
  if (!kit_failed(k) && c->reference_ms == NULL)
    kit_say(k, "%u ms in a sleep of %u ms", (unsigned)ticks_ms, (unsigned)SLEEP_MS);
}

/* Over the places where ports are known to trip: microseconds in 32 bits, the sign, the wrap. */
static void check_wrap(kit *k) {
  static const struct {
    uint32_t at_ms;
    const char *why;
  } places[] = {{4294967u, "2^32 us: the microseconds wrapped before they were divided"},
                {0x80000000u, "2^31 ms: an int somewhere"},
                {0u, "2^32 ms"}};
  const kit_config *c = k->config;
  if (!kit_needs_clock(k)) return;
  if (c->tick_set == NULL) {
    kit_skip(k,
             "tick_set() was not given: the wraps after 71.6 minutes, 24.9 and 49.7 days would "
             "not be seen");
    return;
  }
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    uint32_t set_ms = places[i].at_ms - 50u;
    c->tick_set(c->ctx, set_ms);
    uint32_t past_ms = 0, before_ms = 0;
    for (uint32_t spins = 0; spins < KIT_SPINS_MAX && past_ms < 100; spins++) {
      past_ms = kit_ms(k) - set_ms;
      if (past_ms < before_ms || past_ms - before_ms > LEAP_MS_MAX) break;
      before_ms = past_ms;
    }
    if (past_ms >= 100 && past_ms < 100 + LEAP_MS_MAX) continue;
    kit_fail(k, "tick_ms() is wrong after %s; it must go on to 2^32 ms and then from 0",
             places[i].why);
  }
  c->tick_set(c->ctx, 1000);
}

/* What the handler and the code under it have seen of the clock. */
typedef struct two_views {
  const kit *k;
  volatile uint32_t calls, handler_ms, main_ms;
  volatile bool wrong;
} two_views;

static bool leaps(uint32_t from_ms, uint32_t to_ms) {
  return is_back(from_ms, to_ms) || to_ms - from_ms > LEAP_MS_MAX;
}

static void look_in_interrupt(void *arg) {
  two_views *v = arg;
  uint32_t now_ms = kit_ms(v->k);
  if (leaps(v->main_ms, now_ms) || leaps(v->handler_ms, now_ms)) v->wrong = true;
  v->handler_ms = now_ms;
  v->calls++;
}

static void check_interrupt(kit *k) {
  const kit_config *c = k->config;
  if (!kit_needs_clock(k)) return;
  if (c->interrupts == NULL) {
    kit_skip(k,
             "interrupts() was not given: a clock that is wrong in interrupts would not be seen");
    return;
  }
  uint32_t began_ms = kit_ms(k);
  two_views v = {.k = k, .handler_ms = began_ms, .main_ms = began_ms};
  c->interrupts(c->ctx, look_in_interrupt, &v);
  uint32_t now_ms = began_ms;
  for (uint32_t spins = 0, after = 0; spins < KIT_SPINS_MAX && after < AFTER; spins++) {
    uint32_t handler_ms = v.handler_ms;
    now_ms = kit_ms(k);
    if (leaps(handler_ms, now_ms) || leaps(v.main_ms, now_ms)) v.wrong = true;
    v.main_ms = now_ms;
    if (v.wrong) break;
    after += now_ms - began_ms >= LOOK_MS;
  }
  c->interrupts(c->ctx, NULL, NULL);
  if (v.wrong)
    kit_fail(k,
             "tick_ms() jumps where an interrupt reads it in the middle of another reading: "
             "read all its words again until they agree, or with interrupts off");
  if (v.calls < 3)
    kit_fail(k,
             "interrupts() called its handler %u times in %u ms: 100 to 2000 times a second are "
             "wanted",
             (unsigned)v.calls, (unsigned)LOOK_MS);
  kit_say(k, "%u interrupts", (unsigned)v.calls);
}

const kit_check kit_clock_checks[] = {
    {"clock.moves", clock, check_moves},         {"clock.monotone", clock, check_monotone},
    {"clock.step", clock, check_step},           {"clock.rate", clock, check_rate},
    {"clock.sleep", clock, check_sleep},         {"clock.wrap", clock, check_wrap},
    {"clock.interrupt", clock, check_interrupt}, {NULL, NULL, NULL}};
