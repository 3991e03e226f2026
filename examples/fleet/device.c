/* SPDX-License-Identifier: Apache-2.0 */
/* device.c - a device from boot to boot.
 *
 *     OFF --boot--> RUNNING --finish--> FLUSHING --> CLOSING --> CLOSED
 *      ^               |
 *      +-- stop, cut --+
 *
 * What is in here is what a product's firmware would have: the port's functions, the call of
 * htel_open, the loop around htel_poll. All else is the library. */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FINISH_STEP_MS 200u
#define FLUSH_TIMEOUT_MS 3600000u
#define TICK_WRAP_SOON_MS 7200000u /* some boots begin so long before the tick wraps */
#define UTC_UNCERTAINTY_MS 50u
#define RADIO_ON_MS_MIN 10000
#define RADIO_ON_MS_MAX 600000

typedef enum device_state { OFF, RUNNING, FLUSHING, CLOSING, CLOSED } device_state;

typedef struct boot_place {
  uint64_t number;
  int64_t tick_of_zero;
} boot_place;

struct device {
  device_world world;
  uint32_t number, actor;
  char id[PLAN_ID_BYTES];
  device_state state;

  htel *tel;
  void *memory;
  size_t memory_size;
  htel_config config;
  htel_port port;
  htel_mqtt mqtt;
  htel_mqtt_config mqtt_config;
  uint8_t *mqtt_buffer;
  sim_path path;
  flash_sim flash; /* where the scenario has one */
  feed feed;
  oracle *oracle;
  sim_random random;

  int64_t tick_of_zero;
  boot_place *boots; /* all that there were */
  uint32_t boots_count, boots_room;
  uint64_t boot;   /* counter of the port, for devices without flash */
  bool ended_well; /* it noted the end of that boot */
  uint64_t unclean_first;
  int64_t frozen_until_ms;
  htel_mqtt_transport radio;
  bool radio_on;
  int64_t radio_next_ms, radio_since_ms;
  bool utc_known;
  int64_t utc_wrong_ms;
  bool woken;

  device_counts counts;
  htel_stats last; /* of this boot, as far as they are in `counts` */
};

static void trace(device *d, const char *text) {
  if (d->world.trace != NULL) d->world.trace(d->world.trace_ctx, d->number, text);
}

/* ---- The port ------------------------------------------------------------------------------ */

static uint32_t port_tick_ms(void *ctx) {
  const device *d = ctx;
  return (uint32_t)(d->tick_of_zero + d->world.queue->now_ms);
}

static int port_random(void *ctx, uint8_t *buf, size_t size) {
  device *d = ctx;
  for (size_t i = 0; i < size; i++) buf[i] = (uint8_t)random_u64(&d->random);
  return 0;
}

static int port_boot_begin(void *ctx, htel_boot *boot) {
  device *d = ctx;
  bool unclean = d->boot > 0 && !d->ended_well;
  if (unclean && d->unclean_first == 0) d->unclean_first = d->boot;
  *boot = (htel_boot){
      .number = ++d->boot, .unclean = d->unclean_first != 0, .unclean_first = d->unclean_first};
  d->ended_well = false;
  return 0;
}

static int port_boot_end(void *ctx) {
  device *d = ctx;
  d->ended_well = true;
  d->unclean_first = 0;
  return 0;
}

static int port_utc(void *ctx, int64_t *utc_ms, uint32_t *uncertainty_ms) {
  const device *d = ctx;
  if (!d->utc_known) return HTEL_E_AGAIN;
  *utc_ms = d->world.utc_of_zero + d->world.queue->now_ms + d->utc_wrong_ms;
  *uncertainty_ms = UTC_UNCERTAINTY_MS;
  return 0;
}

static void port_wake(void *ctx) {
  device *d = ctx;
  d->woken = true;
}

/* ---- The radio ------------------------------------------------------------------------------ */

/* Between the library and the path: a duty-cycled radio is off most of the time. It comes on each
 * sleep_every_ms, and goes off when nothing waits any more. */

static int radio_open(void *ctx, uint32_t timeout_ms) {
  device *d = ctx;
  if (!d->radio_on) return HTEL_E_CONNECT;
  return d->path.transport.open(d->path.transport.ctx, timeout_ms);
}

static int radio_step(void *ctx) {
  device *d = ctx;
  return d->path.transport.step(d->path.transport.ctx);
}

static htel_stream radio_stream(void *ctx) {
  device *d = ctx;
  return d->path.transport.stream(d->path.transport.ctx);
}

static uint32_t radio_wait_ms(void *ctx) {
  device *d = ctx;
  return d->path.transport.wait_ms(d->path.transport.ctx);
}

static int radio_close(void *ctx, bool orderly) {
  device *d = ctx;
  return d->path.transport.close(d->path.transport.ctx, orderly);
}

static void radio_look(device *d, int64_t now_ms) {
  int64_t every_ms = d->world.plan->scenario->sleep_every_ms;
  if (every_ms == 0) return;
  if (!d->radio_on && now_ms >= d->radio_next_ms) {
    d->radio_on = true;
    d->radio_next_ms += every_ms;
    d->radio_since_ms = now_ms;
    return;
  }
  if (!d->radio_on || now_ms - d->radio_since_ms < RADIO_ON_MS_MIN) return;
  htel_stats stats;
  htel_stats_get(d->tel, &stats);
  if (stats.frames_waiting > 0 && now_ms - d->radio_since_ms < RADIO_ON_MS_MAX) return;
  d->radio_on = false;
  sim_path_cut(&d->path, SIM_END_FIN);
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void flash_begin(device *d) {
  const scenario *s = d->world.plan->scenario;
  flash_geometry part = {.name = "flash",
                         .block_bytes = s->flash_block_bytes,
                         .block_count = s->flash_block_count,
                         .program_bytes = s->flash_program_bytes};
  flash_sim_init(&d->flash, &part, random_u64(&d->random));
  d->config.outbox.code = &htel_outbox_on_flash;
  d->config.outbox.flash = &d->flash.port;
}

static bool memory_begin(device *d) {
  int32_t needed = htel_memory_needed(&d->config);
  if (needed < 0) return false;
  d->memory_size = (size_t)needed;
  size_t align = _Alignof(max_align_t);
  d->memory = aligned_alloc(align, (d->memory_size + align - 1) / align * align);
  d->mqtt_buffer = malloc(d->mqtt_config.buffer_size);
  return d->memory != NULL && d->mqtt_buffer != NULL;
}

static device *device_make(const device_world *w, uint32_t number, uint32_t actor, const char *id) {
  device *d = calloc(1, sizeof *d);
  if (d == NULL) return NULL;
  const scenario *s = w->plan->scenario;
  d->world = *w;
  d->number = number;
  d->actor = actor;
  d->random.state = signal_seed(w->run_seed, number, 1000u);
  d->utc_known = true;
  d->radio = (htel_mqtt_transport){.ctx = d,
                                   .open = radio_open,
                                   .step = radio_step,
                                   .stream = radio_stream,
                                   .wait_ms = radio_wait_ms,
                                   .close = radio_close};
  d->radio_on = s->sleep_every_ms == 0;
  if (!d->radio_on) d->radio_next_ms = random_below(&d->random, s->sleep_every_ms);
  snprintf(d->id, sizeof d->id, "%s", id);
  d->config = w->plan->config;
  d->config.device_id = d->id;
  d->port = (htel_port){.ctx = d,
                        .tick_ms = port_tick_ms,
                        .random = port_random,
                        .boot_begin = port_boot_begin,
                        .boot_end = port_boot_end,
                        .utc = port_utc,
                        .wake = port_wake};
  d->mqtt_config = (htel_mqtt_config){.transport = &d->radio,
                                      .tick_ms = port_tick_ms,
                                      .tick_ctx = d,
                                      .buffer_size = HTEL_MQTT_BUFFER_BYTES(s->window_bytes)};
  if (s->flash) flash_begin(d);
  feed_init(&d->feed, w->plan, w->run_seed, number);
  d->oracle = oracle_new(w->plan, w->run_seed, number);
  bool has_path =
      sim_path_init(&d->path, w->net, number, actor, signal_seed(w->run_seed, number, 1001u));
  if (!has_path || d->oracle == NULL || !memory_begin(d)) {
    device_free(d);
    return NULL;
  }
  d->mqtt_config.buffer = d->mqtt_buffer;
  d->path.shape = (sim_shape){.latency_ms = s->latency_ms,
                              .jitter_ms = s->jitter_ms,
                              .up_bytes_per_s = s->up_bytes_per_s,
                              .down_bytes_per_s = s->down_bytes_per_s};
  return d;
}

device *device_new(const device_world *w, uint32_t number, uint32_t actor) {
  char id[PLAN_ID_BYTES];
  plan_device_id(id, w->run_seed, number);
  return device_make(w, number, actor, id);
}

device *device_clone(const device *from, uint32_t number, uint32_t actor) {
  device *d = device_make(&from->world, number, actor, from->id);
  if (d == NULL) return NULL;
  d->boot = from->boot;
  d->ended_well = from->ended_well;
  d->unclean_first = from->unclean_first;
  if (d->config.outbox.flash != NULL) flash_sim_fill(&d->flash, from->flash.data, from->flash.size);
  return d;
}

void device_free(device *d) {
  if (d == NULL) return;
  sim_path_free(&d->path);
  if (d->config.outbox.flash != NULL) flash_sim_free(&d->flash);
  oracle_free(d->oracle);
  free(d->memory);
  free(d->mqtt_buffer);
  free(d->boots);
  free(d);
}

static void blame(device *d, violation_kind kind, int64_t now_ms, uint64_t number,
                  const char *text) {
  oracle_blame(d->oracle, kind, now_ms, UINT32_MAX, number, text);
}

/* Adds to the counts what happened in this boot since the last call. */
static void counts_take(device *d) {
  if (d->tel == NULL) return;
  htel_stats now;
  htel_stats_get(d->tel, &now);
  device_counts *c = &d->counts;
  c->readings_accepted += now.readings_accepted - d->last.readings_accepted;
  c->frames_closed += now.frames_closed - d->last.frames_closed;
  c->frames_resent += now.frames_resent - d->last.frames_resent;
  c->payload_bytes += now.payload_bytes - d->last.payload_bytes;
  oracle_evicted(d->oracle, now.readings_evicted - d->last.readings_evicted);
  c->connects += now.connects - d->last.connects;
  c->connect_failures += now.connect_failures - d->last.connect_failures;
  if (now.poll_ms_max > c->poll_ms_max) c->poll_ms_max = now.poll_ms_max;
  d->last = now;
}

/* Without memory the delays of this boot's readings are not in the report; no more than that. */
static void boot_note(device *d, uint64_t number) {
  if (d->boots_count == d->boots_room) {
    uint32_t room = d->boots_room == 0 ? 8u : 2u * d->boots_room;
    boot_place *boots = realloc(d->boots, room * sizeof *boots);
    if (boots == NULL) return;
    d->boots = boots;
    d->boots_room = room;
  }
  d->boots[d->boots_count++] = (boot_place){number, d->tick_of_zero};
}

bool device_tick_of_zero(const device *d, uint64_t boot, int64_t *tick_of_zero) {
  for (uint32_t i = d->boots_count; i > 0; i--) {
    if (d->boots[i - 1].number != boot) continue;
    *tick_of_zero = d->boots[i - 1].tick_of_zero;
    return true;
  }
  return false;
}

void device_boot(device *d, int64_t now_ms) {
  const scenario *s = d->world.plan->scenario;
  if (d->state != OFF) return;
  if (d->config.outbox.flash != NULL && d->flash.dead) flash_sim_power_on(&d->flash);
  uint32_t tick = 1000u + random_below(&d->random, 9000u);
  if ((s->faults >> FAULT_CLOCK & 1u) != 0 && random_below(&d->random, 4u) == 0)
    tick = UINT32_MAX - random_below(&d->random, TICK_WRAP_SOON_MS);
  d->tick_of_zero = (int64_t)tick - now_ms;
  d->counts.boots++;
  d->last = (htel_stats){0};
  int rc = htel_mqtt_init(&d->mqtt, &d->mqtt_config);
  d->port.link = htel_mqtt_link(&d->mqtt);
  if (rc == 0) rc = htel_open(&d->tel, d->memory, d->memory_size, &d->config, &d->port);
  if (rc != 0) {
    d->tel = NULL;
    /* Where the power went in the mount, the next boot tries again. */
    bool excused = rc == HTEL_E_STORE && d->config.outbox.flash != NULL &&
                   (d->flash.dead || d->flash.outage_to > 0 || d->flash.counts.unread > 0 ||
                    d->flash.counts.failed > 0);
    if (!excused) blame(d, VIOLATION_FLASH, now_ms, 0, htel_errname(rc));
    trace(d, "does not start");
    return;
  }
  htel_stats stats;
  htel_stats_get(d->tel, &stats);
  oracle_boot(d->oracle, stats.boot, now_ms, d->tick_of_zero);
  boot_note(d, stats.boot);
  feed_start(&d->feed, now_ms);
  d->state = RUNNING;
  d->frozen_until_ms = now_ms;
  trace(d, "boots");
  sim_queue_set(d->world.queue, d->actor, now_ms);
}

void device_stop(device *d, bool flash_loses, int64_t now_ms) {
  if (d->state == OFF || d->state == CLOSED) return;
  counts_take(d);
  oracle_reset(d->oracle, now_ms);
  if (d->config.outbox.flash != NULL && flash_loses && !d->flash.dead)
    flash_sim_lose_power(&d->flash, (flash_mode)random_below(&d->random, FLASH_MODES));
  sim_path_reset(&d->path, SIM_END_DEATH);
  d->counts.resets++;
  d->tel = NULL;
  d->state = OFF;
  sim_queue_set(d->world.queue, d->actor, SIM_NEVER);
  trace(d, flash_loses ? "loses its power" : "is reset");
}

void device_cut_in(device *d, uint32_t operations, flash_mode mode) {
  if (d->config.outbox.flash == NULL) return;
  d->flash.cut_mode = mode;
  d->flash.cut_after = operations;
}

bool device_is_on(const device *d) {
  return d->state != OFF;
}

/* ---- Turns --------------------------------------------------------------------------------- */

static void told(void *ctx, unsigned channel, uint64_t first, uint32_t count, int rc) {
  device *d = ctx;
  oracle_recorded(d->oracle, channel, first, count, rc);
  if (rc != 0 || d->world.plan->channels[channel].kind != HTEL_ALARM) return;
  if (!d->woken)
    blame(d, VIOLATION_NOT_WOKEN, d->world.queue->now_ms, first,
          "an alarm was recorded and the poller was not woken");
}

/* The flash lost its power in this turn: so did everything. */
static bool is_cut(device *d, int64_t now_ms) {
  if (d->config.outbox.flash == NULL || !d->flash.dead) return false;
  d->counts.power_cuts++;
  device_stop(d, true, now_ms);
  return true;
}

static void finish_step(device *d, int64_t now_ms) {
  if (d->state == FLUSHING) {
    int rc = htel_flush(d->tel, FLUSH_TIMEOUT_MS);
    if (rc == 0) d->state = CLOSING;
  } else {
    int rc = htel_close(d->tel, FLUSH_TIMEOUT_MS);
    if (rc != HTEL_E_AGAIN) {
      counts_take(d);
      if (rc != 0) blame(d, VIOLATION_STUCK, now_ms, 0, htel_errname(rc));
      d->tel = NULL;
      d->state = CLOSED;
      trace(d, "is closed");
    }
  }
  if (is_cut(d, now_ms) || d->state == CLOSED) return;
  sim_queue_sooner(d->world.queue, d->actor, now_ms + FINISH_STEP_MS);
}

void device_step(device *d, int64_t now_ms) {
  if (d->state == OFF || d->state == CLOSED) return;
  d->counts.polls++;
  if (d->state != RUNNING) {
    finish_step(d, now_ms);
    return;
  }
  if (d->feed.next_ms <= now_ms) feed_run(&d->feed, d->tel, now_ms, d->tick_of_zero, told, d);
  if (now_ms < d->frozen_until_ms) {
    int64_t next_ms = d->feed.next_ms > now_ms + 1000 ? d->feed.next_ms : now_ms + 1000;
    sim_queue_set(d->world.queue, d->actor,
                  next_ms < d->frozen_until_ms ? next_ms : d->frozen_until_ms);
    return;
  }
  radio_look(d, now_ms);
  d->woken = false;
  uint32_t wait_ms = htel_poll(d->tel);
  if (is_cut(d, now_ms)) return;
  oracle_polled(d->oracle, now_ms);
  if (d->woken) wait_ms = 0;
  sim_queue_sooner(d->world.queue, d->actor, now_ms + wait_ms);
}

int device_finish(device *d, int64_t now_ms) {
  if (d->state == CLOSED) return 0;
  if (d->state == OFF) device_boot(d, now_ms);
  if (d->state == RUNNING) {
    d->state = FLUSHING;
    d->radio_on = true;
    sim_queue_set(d->world.queue, d->actor, now_ms);
  }
  return HTEL_E_AGAIN;
}

/* ---- Faults -------------------------------------------------------------------------------- */

void device_freeze(device *d, int64_t until_ms) {
  d->frozen_until_ms = until_ms;
}

void device_utc_known(device *d, bool known) {
  d->utc_known = known;
}

void device_utc_jump(device *d, int64_t by_ms) {
  d->utc_wrong_ms += by_ms;
}

void device_rot(device *d, sim_random *random) {
  if (d->config.outbox.flash == NULL) return;
  flash_sim_flip(&d->flash, random_u64(random) % ((uint64_t)d->flash.size * 8u));
}

void device_unread(device *d, uint32_t reads) {
  if (d->config.outbox.flash == NULL) return;
  d->flash.outage_from = d->flash.counts.reads + 1u;
  d->flash.outage_to = d->flash.outage_from + reads;
}

void device_wear(device *d, sim_random *random) {
  if (d->config.outbox.flash == NULL) return;
  d->flash.bad[random_below(random, d->flash.geometry.block_count)] = true;
}

/* ---- What it is ---------------------------------------------------------------------------- */

sim_path *device_path(device *d) {
  return &d->path;
}

oracle *device_oracle(device *d) {
  return d->oracle;
}

const char *device_flash_violation(const device *d) {
  bool broken = d->config.outbox.flash != NULL && d->flash.violation[0] != '\0';
  return broken ? d->flash.violation : NULL;
}

const char *device_id(const device *d) {
  return d->id;
}

uint32_t device_number(const device *d) {
  return d->number;
}

uint32_t device_backlog(const device *d) {
  if (d->tel == NULL) return 0;
  htel_stats stats;
  htel_stats_get(d->tel, &stats);
  return stats.frames_waiting;
}

const device_counts *device_counts_of(device *d) {
  counts_take(d);
  device_counts *c = &d->counts;
  c->memory_bytes = sizeof *d + d->memory_size + d->mqtt_config.buffer_size +
                    d->boots_room * sizeof *d->boots + sim_path_memory_bytes(&d->path) +
                    oracle_memory_bytes(d->oracle);
  if (d->config.outbox.flash == NULL) return c;
  const flash_sim *f = &d->flash;
  c->flash_programs = f->counts.programs;
  c->flash_erases = f->counts.erases;
  c->flash_bytes_programmed = f->counts.bytes_programmed;
  uint64_t all = 0;
  for (uint32_t b = 0; b < f->geometry.block_count; b++) {
    all += f->wear[b];
    if (f->wear[b] > c->flash_erases_max) c->flash_erases_max = f->wear[b];
  }
  c->flash_erases_mean = (uint32_t)(all / f->geometry.block_count);
  c->flash_bytes = (size_t)f->size * 2u + f->size / f->geometry.program_bytes;
  return c;
}
