/* SPDX-License-Identifier: Apache-2.0 */
#include "live_device.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "htel_paho.h"

#define OUTBOX_BYTES 65536u /* in the place of the flash that the scenario may have */
#define CLOSE_STEP_MS 100   /* htel_close does not say when it wants to run again */

_Static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT, "what is watched is handed on as it is");

/* The clock that htel_posix gives the library. */
static int64_t clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t live_now_ms(const live_world *w) {
  return clock_ms() - w->zero_ms;
}

/* ---- The port: htel_posix's, but woken for itself alone ------------------------------------ */

static uint32_t port_tick_ms(void *ctx) {
  const live_device *d = ctx;
  return d->base.tick_ms(d->base.ctx);
}

static int port_random(void *ctx, uint8_t *buf, size_t size) {
  const live_device *d = ctx;
  return d->base.random(d->base.ctx, buf, size);
}

static int port_utc(void *ctx, int64_t *utc_ms, uint32_t *uncertainty_ms) {
  const live_device *d = ctx;
  return d->base.utc(d->base.ctx, utc_ms, uncertainty_ms);
}

static void port_wake(void *ctx) {
  live_device *d = ctx;
  d->ready = true;
}

/* ---- Making one ------------------------------------------------------------------------------ */

static bool fail(const live_device *d, const char *what, const char *why, char *error,
                 size_t error_size) {
  snprintf(error, error_size, "device %u (%s): %s: %s", (unsigned)d->number, d->id, what, why);
  return false;
}

static bool dial_make(live_device *d, const char *certificate, const char *key, char *error,
                      size_t error_size) {
  char *cert_pem = NULL, *key_pem = NULL;
  const char *what = certificate;
  int rc = htel_pem_load(certificate, &cert_pem);
  if (rc == 0) {
    what = key;
    rc = htel_pem_load(key, &key_pem);
  }
  if (rc == 0) {
    htel_dial_config config = d->world->dial;
    config.cert_pem = cert_pem;
    config.key_pem = key_pem;
    config.posix = &d->world->posix;
    what = "the connection cannot be set up";
    rc = htel_dial_new(&d->dial, &config);
  }
  htel_pem_free(cert_pem);
  htel_pem_free(key_pem);
  return rc == 0 || fail(d, what, htel_strerror(rc), error, error_size);
}

static htel_config config_of(const live_device *d) {
  const plan *p = d->world->plan;
  htel_config config = p->config;
  config.device_id = d->id;
  if (p->scenario->flash && config.outbox.bytes < OUTBOX_BYTES) config.outbox.bytes = OUTBOX_BYTES;
  return config;
}

static bool memory_make(live_device *d) {
  htel_config config = config_of(d);
  int32_t needed = htel_memory_needed(&config);
  if (needed < 0) return false;
  size_t align = _Alignof(max_align_t);
  d->memory_size = ((size_t)needed + align - 1) / align * align;
  d->memory = aligned_alloc(align, d->memory_size);
  d->mqtt_buffer = malloc(d->mqtt_config.buffer_size);
  d->mqtt_config.buffer = d->mqtt_buffer;
  return d->memory != NULL && d->mqtt_buffer != NULL;
}

bool live_device_init(live_device *d, live_world *w, uint32_t number, const char *certificate,
                      const char *key, char *error, size_t error_size) {
  *d = (live_device){.world = w, .number = number, .close_result = HTEL_E_AGAIN};
  plan_device_id(d->id, w->seed, number);
  if (!dial_make(d, certificate, key, error, error_size)) return false;
  d->base = htel_posix_port(&w->posix, NULL);
  d->port = (htel_port){.ctx = d,
                        .tick_ms = port_tick_ms,
                        .random = port_random,
                        .utc = port_utc,
                        .wake = port_wake,
                        .link = htel_mqtt_link(&d->mqtt)};
  d->mqtt_config =
      (htel_mqtt_config){.transport = htel_dial_transport(d->dial),
                         .tick_ms = port_tick_ms,
                         .tick_ctx = d,
                         .buffer_size = HTEL_MQTT_BUFFER_BYTES(w->plan->scenario->window_bytes)};
  feed_init(&d->feed, w->plan, w->seed, number);
  d->oracle = oracle_new(w->plan, w->seed, number);
  if (d->oracle == NULL || !memory_make(d))
    return fail(d, "it does not fit", "no memory", error, error_size);
  return true;
}

void live_device_free(live_device *d) {
  htel_dial_free(d->dial);
  oracle_free(d->oracle);
  free(d->memory);
  free(d->mqtt_buffer);
  *d = (live_device){0};
}

/* ---- Turns ----------------------------------------------------------------------------------- */

static void boot(live_device *d, int64_t now_ms) {
  htel_config config = config_of(d);
  d->tick_of_zero = (int64_t)port_tick_ms(d) - now_ms;
  int rc = htel_mqtt_init(&d->mqtt, &d->mqtt_config);
  if (rc == 0) rc = htel_open(&d->tel, d->memory, d->memory_size, &config, &d->port);
  if (rc != 0) {
    d->tel = NULL;
    d->state = LIVE_CLOSED;
    d->close_result = rc;
    return;
  }
  live_device_look(d);
  d->boot = d->stats.boot;
  oracle_utc(d->oracle, d->world->utc_of_zero);
  oracle_boot(d->oracle, d->boot, now_ms, d->tick_of_zero);
  feed_start(&d->feed, now_ms);
  d->state = LIVE_RUNNING;
  d->ready = true;
}

/* What the link wants to be told of; once, as it would be by htel_posix_wait. */
static void watch(live_device *d) {
  int fd;
  short events;
  if (!htel_posix_watched(&d->world->posix, &fd, &events)) return;
  struct epoll_event event = {.events = (uint32_t)events | EPOLLONESHOT, .data.u32 = d->number};
  /* A socket that was closed has left the poller: the same number may be another's by now. */
  if (epoll_ctl(d->world->poller, EPOLL_CTL_MOD, fd, &event) != 0)
    (void)epoll_ctl(d->world->poller, EPOLL_CTL_ADD, fd, &event);
}

static void run(live_device *d, int64_t now_ms) {
  if (d->feed.next_ms <= now_ms)
    feed_run(&d->feed, d->tel, now_ms, d->tick_of_zero, oracle_recorded, d->oracle);
  if (d->ready || d->poll_ms <= now_ms) {
    d->ready = false;
    uint32_t wait_ms = htel_poll(d->tel);
    watch(d);
    /* At once means after the others. */
    d->poll_ms = now_ms + (wait_ms > 0 && !d->ready ? (int64_t)wait_ms : 1);
    d->polls++;
  }
  int64_t next_ms = d->poll_ms < d->feed.next_ms ? d->poll_ms : d->feed.next_ms;
  sim_queue_set(&d->world->queue, d->number, next_ms);
}

static void close_on(live_device *d, int64_t now_ms) {
  live_device_look(d);
  d->close_result = htel_close(d->tel, d->close_timeout_ms);
  watch(d);
  if (d->close_result != HTEL_E_AGAIN) {
    d->tel = NULL;
    d->state = LIVE_CLOSED;
    return;
  }
  sim_queue_set(&d->world->queue, d->number, now_ms + CLOSE_STEP_MS);
}

void live_device_turn(live_device *d, int64_t now_ms) {
  if (d->state == LIVE_OFF) boot(d, now_ms);
  if (d->state == LIVE_RUNNING) run(d, now_ms);
  if (d->state == LIVE_CLOSING) close_on(d, now_ms);
}

void live_device_finish(live_device *d, uint32_t timeout_ms, int64_t now_ms) {
  d->close_timeout_ms = timeout_ms;
  sim_queue_set(&d->world->queue, d->number, d->state == LIVE_RUNNING ? now_ms : SIM_NEVER);
  d->state = d->state == LIVE_RUNNING ? LIVE_CLOSING : LIVE_CLOSED;
}

void live_device_look(live_device *d) {
  if (d->tel != NULL) htel_stats_get(d->tel, &d->stats);
}
