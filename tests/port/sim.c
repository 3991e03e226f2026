/* SPDX-License-Identifier: Apache-2.0 */
/* sim.c - clock, random bytes, boot number, time of day and wake-up of the made-up device. */
#include "sim.h"

#include <string.h>

#define INTERRUPT_US 700u
#define CALL_US 1u
#define UTC_MS_AT_START INT64_C(1800000000000)

/* ---- Time ---------------------------------------------------------------------------------- */

void sim_spend(sim *s, uint32_t us) {
  s->now_us += us;
  if (s->handler == NULL || s->in_interrupt || s->now_us < s->next_interrupt_us) return;
  s->next_interrupt_us = s->now_us + INTERRUPT_US;
  s->in_interrupt = true;
  s->handler(s->handler_arg);
  s->in_interrupt = false;
}

static uint32_t true_tick(const sim *s) {
  return s->tick_base_ms + (uint32_t)((s->now_us - s->tick_from_us) / 1000u);
}

/* The low part is read, an interrupt moves the counter on, the high part is read. */
static uint32_t torn_tick(sim *s) {
  uint32_t low = true_tick(s) & 0xFFu;
  if (s->handler != NULL && !s->in_interrupt) sim_spend(s, 50);
  return (true_tick(s) & ~0xFFu) | low;
}

static uint32_t tick_ms(void *ctx) {
  sim *s = ctx;
  sim_spend(s, CALL_US);
  uint32_t ms = true_tick(s);
  switch (s->broken) {
    case CLOCK_STANDS: return 0;
    case CLOCK_GOES_BACK: return ms % 64u == 0 && s->now_us % 1000u < 300u ? ms - 64u : ms;
    case CLOCK_IS_COARSE: return ms / 100u * 100u;
    case CLOCK_COUNTS_OTHERWISE: return ms + ms / 24u; /* 1000/1024 mixed up, or so */
    case CLOCK_WRAPS_EARLY: return ms % 4294967u;      /* 2^32 us */
    case CLOCK_IS_SIGNED: return ms < 0x80000000u ? ms : 0x7FFFFFFFu;
    case CLOCK_IS_TORN: return torn_tick(s);
    default: return ms;
  }
}

static void hook_tick_set(void *ctx, uint32_t ms) {
  sim *s = ctx;
  s->tick_base_ms = ms;
  s->tick_from_us = s->now_us;
}

static void hook_sleep(void *ctx, uint32_t ms) {
  sim *s = ctx;
  s->now_us += (uint64_t)ms * 1000u;
  if (s->broken == CLOCK_STOPS_IN_SLEEP) s->tick_base_ms -= ms;
}

static void hook_interrupts(void *ctx, void (*handler)(void *arg), void *arg) {
  sim *s = ctx;
  s->handler = handler;
  s->handler_arg = arg;
  s->next_interrupt_us = s->now_us + INTERRUPT_US;
}

/* ---- Random bytes -------------------------------------------------------------------------- */

static uint8_t random_byte(sim *s) {
  if (s->broken == RANDOM_COUNTS) return (uint8_t)s->random_state++;
  if (s->broken == RANDOM_IS_OFF) return 0xFF;
  uint64_t z = s->random_state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return (uint8_t)(z ^ z >> 31);
}

static int random_bytes(void *ctx, uint8_t *buf, size_t size) {
  sim *s = ctx;
  sim_spend(s, 10);
  if (s->broken == RANDOM_REPEATS) s->random_state = 7;
  if (s->broken == RANDOM_FILLS_WORDS) size -= size % 4u;
  if (s->broken == RANDOM_WRITES_WORDS) size = (size + 3u) / 4u * 4u;
  for (size_t i = 0; i < size; i++) buf[i] = random_byte(s);
  return 0;
}

/* ---- Boot number --------------------------------------------------------------------------- */

static int boot_begin(void *ctx, htel_boot *boot) {
  sim *s = ctx;
  sim_device *d = s->device;
  sim_spend(s, 100);
  boot->number = ++d->boot_number;
  boot->unclean = d->unclean_first != 0;
  boot->unclean_first = d->unclean_first;
  if (d->unclean_first == 0) d->unclean_first = boot->number;
  if (s->broken == BOOT_FORGETS_THE_RUN && boot->unclean) boot->unclean_first = boot->number - 1u;
  if (s->broken == BOOT_IS_ALWAYS_CLEAN) *boot = (htel_boot){.number = boot->number};
  return 0;
}

static int boot_end(void *ctx) {
  sim *s = ctx;
  sim_spend(s, 100);
  if (s->broken != BOOT_END_IS_EMPTY) s->device->unclean_first = 0;
  return 0;
}

/* ---- Time of day, wake-up ------------------------------------------------------------------ */

static int utc(void *ctx, int64_t *utc_ms, uint32_t *uncertainty_ms) {
  sim *s = ctx;
  sim_spend(s, CALL_US);
  *utc_ms = UTC_MS_AT_START + (int64_t)(s->now_us / 1000u);
  *uncertainty_ms = 5;
  if (s->broken == UTC_IS_SECONDS) *utc_ms /= 1000;
  if (s->broken == UTC_STEPS) *utc_ms -= *utc_ms % 1000;
  if (s->broken == UTC_NEVER_SET) *utc_ms -= UTC_MS_AT_START;
  return 0;
}

static void wake(void *ctx) {
  sim *s = ctx;
  if (s->broken == WAKE_NOT_FROM_INTERRUPT && s->in_interrupt) return;
  s->woken = true;
}

static void hook_wait(void *ctx, uint32_t ms) {
  sim *s = ctx;
  uint64_t until_us = s->now_us + (uint64_t)ms * 1000u;
  if (s->broken == WAKE_IS_LOST) s->woken = false;
  while (!s->woken && s->now_us < until_us) {
    sim_spend(s, 100);
    sim_net_run(s);
    if (s->net.armed && (s->net.in_used > 0 || s->net.ended)) break;
  }
  s->woken = false;
  s->net.armed = false;
}

/* ---- A link that is there and does nothing: the kit brings its own ------------------------- */

static int link_open(void *ctx, const htel_link_session *session) {
  (void)ctx;
  (void)session;
  return HTEL_E_CONNECT;
}

static int link_publish(void *ctx, const htel_message *message) {
  (void)ctx;
  (void)message;
  return HTEL_E_AGAIN;
}

static int link_next(void *ctx, htel_link_event *event) {
  (void)ctx;
  (void)event;
  return 0;
}

static uint32_t link_wait_ms(void *ctx) {
  (void)ctx;
  return 1000;
}

static void link_close(void *ctx) {
  (void)ctx;
}

/* ---- The whole ----------------------------------------------------------------------------- */

void sim_device_init(sim_device *device) {
  memset(device, 0, sizeof *device);
  memset(device->flash, 0xFF, sizeof device->flash);
}

void sim_boot(sim *s, sim_device *device, sim_breakage broken) {
  memset(s, 0, sizeof *s);
  s->broken = broken;
  s->device = device;
  if (broken == FLASH_IS_RAM) memset(device->flash, 0xFF, sizeof device->flash);
  if (broken == BOOT_IS_IN_RAM) device->boot_number = device->unclean_first = 0;
  device->entropy += 0x2545F491u;
  s->random_state = broken == RANDOM_IS_SEEDED_ALIKE ? 1u : device->entropy;
  s->link = (htel_link){s, link_open, link_publish, link_next, link_wait_ms, link_close};
  s->port = (htel_port){.ctx = s,
                        .tick_ms = tick_ms,
                        .random = random_bytes,
                        .boot_begin = boot_begin,
                        .boot_end = boot_end,
                        .utc = utc,
                        .wake = wake,
                        .link = broken == LINK_MISSING ? NULL : &s->link};
  sim_flash_init(s);
  sim_net_init(s);
}

static void hook_flash_fails(void *ctx, bool fails) {
  sim *s = ctx;
  s->flash_fails = fails;
}

void sim_config(sim *s, kit_config *config) {
  config->port = &s->port;
  config->flash = &s->flash;
  config->outbox = &htel_outbox_on_flash;
  config->transport = &s->transport;
  config->nowhere = &s->nowhere;
  config->ctx = s;
  config->wait = hook_wait;
  config->sleep = hook_sleep;
  config->interrupts = hook_interrupts;
  config->tick_set = hook_tick_set;
  config->flash_fails = hook_flash_fails;
  if (s->broken != STACK_IS_ANOTHER) return;
  config->stack_lowest = s->device->flash;
  config->stack_bytes = sizeof s->device->flash;
}
