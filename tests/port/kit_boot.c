/* SPDX-License-Identifier: Apache-2.0 */
/* kit_boot.c - the boot number, Unix time and the wake-up. */
#include "kit_internal.h"

#define UTC_MS_OLDEST INT64_C(1704067200000) /* 2024-01-01 */
#define UTC_MS_NEWEST INT64_C(4102444800000) /* 2100-01-01 */
#define UTC_LOOK_MS 1300u
#define UTC_SLACK_MS 20u
#define DAY_MS 86400000u
#define WAKE_LOOK_MS 400u
#define WAKE_LATE_MS 100u

static const char boot_section[] = "Boot number";
static const char utc_section[] = "Time of day";
static const char wake_section[] = "Wake-up";

/* ---- Boot number --------------------------------------------------------------------------- */

static bool boot_given(kit *k) {
  if (k->port->boot_begin != NULL) return true;
  kit_skip(k, "boot_begin is NULL: the outbox on flash counts boots, or random numbers are taken");
  return false;
}

static bool begin(kit *k, htel_boot *boot) {
  *boot = (htel_boot){0};
  return kit_returned(k, "boot_begin()", k->port->boot_begin(k->port->ctx, boot));
}

/* In words that fit 32 bits: kit numbers are small, or what is wrong shows in the low ones. */
static unsigned low(uint64_t number) {
  return (unsigned)(number & 0xFFFFFFFFu);
}

/* The first boot of this run, beside the last one of the run before. */
static void check_boot_kept(kit *k) {
  htel_boot boot;
  if (!boot_given(k) || !begin(k, &boot)) return;
  if (!k->note_found || k->before.boot == 0) {
    kit_no_note(k, "the boot number", low(boot.number));
    return;
  }
  if (boot.number <= k->before.boot) {
    kit_fail(k,
             "boot %u after boot %u, which was before the reset: the number was not on stable "
             "storage when boot_begin() returned. Given twice it makes frames look known, and they "
             "are lost",
             low(boot.number), low(k->before.boot));
  } else if (boot.number != k->before.boot + 1) {
    kit_fail(k, "boot %u after boot %u: it must be one more than the last", low(boot.number),
             low(k->before.boot));
  } else if (boot.unclean != (k->before.unclean_first != 0) ||
             (boot.unclean && boot.unclean_first != k->before.unclean_first)) {
    kit_fail(k, "boot %u reports unclean=%d from boot %u; %s", low(boot.number), boot.unclean,
             low(boot.unclean_first),
             k->before.unclean_first != 0 ? "the boot before did not end with boot_end()"
                                          : "boot_end() was called before the reset");
  }
  kit_say(k, "boot %u after %u", low(boot.number), low(k->before.boot));
}

/* Two more boots, neither ended: a run of unclean ones. */
static void check_boot_counts(kit *k) {
  htel_boot first, second;
  if (!boot_given(k) || !begin(k, &first) || !begin(k, &second)) return;
  uint64_t run_first = first.unclean ? first.unclean_first : first.number;
  if (first.number == 0) kit_fail(k, "boot_begin() gave 0: the first boot is 1");
  if (second.number != first.number + 1)
    kit_fail(k, "boot_begin() gave %u and then %u: one more each time, and never one twice",
             low(first.number), low(second.number));
  if (!second.unclean)
    kit_fail(k,
             "boot %u was not ended by boot_end(), and boot %u says unclean=0: what was lost "
             "with it would not be reported",
             low(first.number), low(second.number));
  if (second.unclean_first != run_first)
    kit_fail(k, "boots %u to %u were not ended, and boot %u says unclean_first=%u", low(run_first),
             low(first.number), low(second.number), low(second.unclean_first));
}

static void check_boot_ends(kit *k) {
  htel_boot boot;
  if (!boot_given(k)) return;
  if (k->port->boot_end == NULL) {
    kit_skip(k, "boot_end is NULL: every boot counts as unclean");
    return;
  }
  if (!begin(k, &boot) || !kit_returned(k, "boot_end()", k->port->boot_end(k->port->ctx))) return;
  htel_boot next;
  if (!begin(k, &next)) return;
  if (next.unclean)
    kit_fail(k, "boot %u was ended by boot_end(), and boot %u says unclean=1", low(boot.number),
             low(next.number));
}

/* ---- Time of day --------------------------------------------------------------------------- */

static bool utc_given(kit *k, int64_t *utc_ms, uint32_t *uncertainty_ms) {
  if (k->port->utc == NULL) {
    kit_skip(k, "utc is NULL: time comes by htel_utc_set() and receipts");
    return false;
  }
  int rc = k->port->utc(k->port->ctx, utc_ms, uncertainty_ms);
  if (rc == HTEL_E_AGAIN) {
    kit_skip(k, "utc() does not know the time yet: set the clock and run again");
    return false;
  }
  return kit_returned(k, "utc()", rc);
}

static void check_utc_range(kit *k) {
  int64_t utc_ms = 0;
  uint32_t uncertainty_ms = 0;
  if (!utc_given(k, &utc_ms, &uncertainty_ms)) return;
  if (utc_ms >= UTC_MS_OLDEST / 1000 && utc_ms < UTC_MS_NEWEST / 1000)
    kit_fail(k, "utc() gave seconds: milliseconds are wanted");
  if (utc_ms < UTC_MS_OLDEST || utc_ms > UTC_MS_NEWEST)
    kit_fail(k,
             "utc() gave a time outside of 2024 to 2100: milliseconds since 1970 are wanted, and "
             "HTEL_E_AGAIN while the clock was never set");
  if (uncertainty_ms > DAY_MS)
    kit_fail(k, "utc() says +-%u ms: more than a day; HTEL_E_AGAIN says that it does not know",
             (unsigned)uncertainty_ms);
  kit_say(k, "+-%u ms", (unsigned)uncertainty_ms);
}

/* A clock of whole seconds that says +-1 ms would move all readings with each look. */
static void check_utc_steps(kit *k) {
  int64_t began_utc = 0, utc_ms;
  uint32_t said_ms = 0, uncertainty_ms;
  if (!kit_needs_clock(k) || !utc_given(k, &began_utc, &said_ms)) return;
  uint32_t began_ms = kit_ms(k), past_ms = 0;
  for (uint32_t turns = 0; turns < 1000 && past_ms < UTC_LOOK_MS; turns++) {
    kit_pause(k, 7);
    past_ms = kit_ms(k) - began_ms;
    if (!utc_given(k, &utc_ms, &uncertainty_ms)) return;
    uint32_t now_ms = kit_ms(k) - began_ms;
    int64_t early_ms = (int64_t)past_ms - (utc_ms - began_utc);
    int64_t late_ms = (utc_ms - began_utc) - (int64_t)now_ms;
    int64_t off_ms = early_ms > late_ms ? early_ms : late_ms;
    if (off_ms <= (int64_t)(said_ms + uncertainty_ms + UTC_SLACK_MS)) continue;
    kit_fail(k,
             "in %u ms of tick_ms() utc() went %d ms on, but says +-%u ms: a clock of whole "
             "seconds? Then say +-1000, or add the part of the second",
             (unsigned)past_ms, (int)(utc_ms - began_utc), (unsigned)uncertainty_ms);
    return;
  }
}

/* ---- Wake-up ------------------------------------------------------------------------------- */

static bool wake_given(kit *k) {
  if (!kit_needs_clock(k)) return false;
  if (k->port->wake == NULL)
    kit_skip(k, "wake is NULL: the product must poll anyway, as often as its rings need");
  else if (k->config->wait == NULL)
    kit_skip(k, "wait() was not given: a wake-up that is lost would not be seen");
  return k->port->wake != NULL && k->config->wait != NULL;
}

/* wait() may return early now and then; asked for LOOK_MS again and again it must sleep. */
static uint32_t wait_longest(kit *k) {
  uint32_t longest_ms = 0;
  for (unsigned i = 0; i < 3; i++) {
    uint32_t from_ms = kit_ms(k);
    kit_wait(k, WAKE_LOOK_MS);
    uint32_t took_ms = kit_ms(k) - from_ms;
    if (took_ms > longest_ms) longest_ms = took_ms;
  }
  return longest_ms;
}

static bool sleeps(kit *k) {
  uint32_t slept_ms = wait_longest(k);
  if (slept_ms < WAKE_LOOK_MS / 2)
    kit_skip(k, "wait() returns at once (%u ms of %u): the product polls all the time",
             (unsigned)slept_ms, (unsigned)WAKE_LOOK_MS);
  if (slept_ms > WAKE_LOOK_MS + 1000u)
    kit_fail(k, "wait() of %u ms took %u ms", (unsigned)WAKE_LOOK_MS, (unsigned)slept_ms);
  return slept_ms >= WAKE_LOOK_MS / 2 && !kit_failed(k);
}

/* A wake-up between two waits must end the next: a flag, not a signal that nobody hears. */
static void check_wake_before(kit *k) {
  if (!wake_given(k) || !sleeps(k)) return;
  k->port->wake(k->port->ctx);
  uint32_t from_ms = kit_ms(k);
  kit_wait(k, WAKE_LOOK_MS);
  uint32_t took_ms = kit_ms(k) - from_ms;
  if (took_ms > WAKE_LATE_MS)
    kit_fail(k,
             "wake() just before wait() was lost: it slept for %u ms. Set a flag in wake(), and "
             "look at it with interrupts off before sleeping",
             (unsigned)took_ms);
}

typedef struct waker {
  const kit *k;
  volatile bool woken;
  volatile uint32_t woken_ms;
} waker;

static void wake_in_interrupt(void *arg) {
  waker *w = arg;
  if (w->woken) return;
  w->woken_ms = kit_ms(w->k);
  w->woken = true;
  w->k->port->wake(w->k->port->ctx);
}

static void check_wake_interrupt(kit *k) {
  const kit_config *c = k->config;
  if (!wake_given(k)) return;
  if (c->interrupts == NULL) {
    kit_skip(k, "interrupts() was not given: a wake() that fails there would not be seen");
    return;
  }
  if (!sleeps(k)) return;
  waker w = {.k = k};
  uint32_t took_ms = 0;
  c->interrupts(c->ctx, wake_in_interrupt, &w);
  for (unsigned i = 0; i < 20 && !w.woken; i++) kit_wait(k, WAKE_LOOK_MS);
  if (w.woken) took_ms = kit_ms(k) - w.woken_ms;
  c->interrupts(c->ctx, NULL, NULL);
  if (!w.woken) {
    kit_fail(k, "interrupts() never called its handler");
  } else if (took_ms > WAKE_LATE_MS) {
    kit_fail(k, "wake() from an interrupt did not end wait(): it went on for %u ms",
             (unsigned)took_ms);
  }
}

const kit_check kit_boot_checks[] = {{"boot.kept", boot_section, check_boot_kept},
                                     {"boot.counts", boot_section, check_boot_counts},
                                     {"boot.ends", boot_section, check_boot_ends},
                                     {"utc.range", utc_section, check_utc_range},
                                     {"utc.steps", utc_section, check_utc_steps},
                                     {"wake.before", wake_section, check_wake_before},
                                     {"wake.interrupt", wake_section, check_wake_interrupt},
                                     {NULL, NULL, NULL}};
