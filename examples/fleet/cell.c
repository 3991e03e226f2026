/* SPDX-License-Identifier: Apache-2.0 */
/* cell.c - one cell from beginning to end.
 *
 *     run: turns by virtual time -> calm: no faults any more, all drain and close -> judge */
#include "cell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "frames.h"

#define UTC_OF_ZERO 1767225600000 /* 2026-01-01: when each run begins */
#define CALM_MS_MAX 86400000      /* until all must have closed */
#define SERVER_REST_MS 10000      /* the ingest writes what has come last */
#define STOP_LOOKED_AT 65536u     /* turns */
#define ALARM_MS_MAX 3000         /* DESIGN: on its way within so long, */
#define RECORD_MS_MAX 1000        /* from its record, which comes so late at most */
#define KEEP_ALIVE_SLACK_MS 10000

typedef struct cell {
  const cell_options *options;
  const scenario *scenario;
  plan plan;
  sim_queue queue;
  uint32_t device_room; /* with clones */
  uint32_t broker_actor, server_actor, fault_actor, point_actor;
  sim_broker *broker;
  memory_store *store;
  server *server;
  device **devices;
  int64_t *up_ms; /* by device: since when its connection is up; INT64_MAX: it is not */
  struct heard {
    uint64_t bytes;
    int64_t at_ms;
  } * heard;     /* by device: what had come to it, and when that was seen to grow last */
  bool *awaited; /* by device: ended by the storm, and not back */
  uint32_t awaited_count;
  faults_world world;
  faults *faults;
  frames frames; /* of the transaction that is open */
  result *result;
  result_point point; /* what is being counted */
  uint64_t bytes_up, bytes_down;
  bool failed;
} cell;

/* ---- What the broker and the store show ----------------------------------------------------- */

static uint32_t place_of(const cell *c, uint32_t number) {
  uint32_t place = number - c->options->first_device;
  if (number >= c->options->clone_number && number - c->options->clone_number < CELL_CLONES_MAX)
    place = c->options->device_count + number - c->options->clone_number;
  return place;
}

static void digest_add(cell *c, uint64_t what) {
  c->result->digest = (c->result->digest ^ what) * 0x9E3779B97F4A7C15u;
  c->result->digest ^= c->result->digest >> 29;
}

static void trace(void *ctx, uint32_t number, const char *text) {
  cell *c = ctx;
  c->options->trace(c->options->trace_ctx, c->queue.now_ms, number, text);
}

static void on_up(void *ctx, uint32_t number) {
  cell *c = ctx;
  uint32_t i = place_of(c, number);
  int64_t now_ms = c->queue.now_ms;
  c->up_ms[i] = now_ms;
  c->point.connects++;
  result *r = c->result;
  if (r->storm_ms >= 0 && (now_ms - r->storm_ms) / 1000 < RESULT_CONNECT_SECONDS)
    r->connect_seconds[(now_ms - r->storm_ms) / 1000]++;
  if (c->awaited[i]) {
    c->awaited[i] = false;
    if (--c->awaited_count == 0) r->storm_back_ms = now_ms - r->storm_ms;
  }
  digest_add(c, (uint64_t)now_ms << 20 ^ number);
  if (c->options->trace != NULL) trace(c, number, "is connected");
}

static void on_down(void *ctx, uint32_t number) {
  cell *c = ctx;
  c->up_ms[place_of(c, number)] = INT64_MAX;
  if (c->options->trace != NULL) trace(c, number, "connection ended");
}

static void on_publish(void *ctx, const sim_message *m) {
  cell *c = ctx;
  digest_add(c, (uint64_t)m->sent_ms << 24 ^ (uint64_t)m->device << 12 ^ m->size);
  for (size_t i = 0; i + 8 <= m->size && i < 32; i += 8) {
    uint64_t word = 0;
    for (unsigned k = 0; k < 8; k++) word = word << 8 | m->payload[i + k];
    digest_add(c, word);
  }
  if (m->size > c->scenario->bytes_max)
    oracle_blame(device_oracle(c->devices[place_of(c, m->device)]), VIOLATION_MEMORY, m->sent_ms,
                 UINT32_MAX, m->size, "a message is larger than configured");
  if (c->options->trace == NULL) return;
  char text[96];
  snprintf(text, sizeof text, "published %zu bytes on %s", m->size, strrchr(m->topic, '/') + 1);
  trace(c, m->device, text);
}

/* The first storm is the one that is measured. */
static void on_storm(void *ctx) {
  cell *c = ctx;
  result *r = c->result;
  if (r->storm_ms >= 0) return;
  r->storm_ms = c->queue.now_ms;
  r->storm_back_ms = -1;
  for (uint32_t i = 0; i < c->world.device_count; i++) {
    c->awaited[i] = c->up_ms[i] != INT64_MAX;
    c->awaited_count += c->awaited[i];
  }
  r->storm_devices = c->awaited_count;
}

/* An alarm that was recorded while all was well, or waited for this connection, comes at once. */
static void alarm_look(cell *c, device *d, int64_t due_ms) {
  uint32_t i = place_of(c, device_number(d));
  int64_t now_ms = c->queue.now_ms, up_ms = c->up_ms[i];
  int64_t calm_ms = faults_calm_since_ms(c->faults, i);
  if (calm_ms == INT64_MAX || up_ms == INT64_MAX) return;
  int64_t from_ms;
  if (due_ms >= calm_ms && due_ms >= up_ms)
    from_ms = due_ms;
  else if (due_ms < up_ms && up_ms >= calm_ms)
    from_ms = up_ms;
  else
    return;
  int64_t way_ms = 10 * (int64_t)(c->scenario->latency_ms + c->scenario->jitter_ms);
  if (now_ms - from_ms > ALARM_MS_MAX + RECORD_MS_MAX + way_ms + c->scenario->commit_ms)
    oracle_blame(device_oracle(d), VIOLATION_ALARM_LATE, now_ms, UINT32_MAX,
                 (uint64_t)(now_ms - from_ms),
                 "an alarm took longer than 3 s although all was well");
}

static void delay_add(cell *c, device *d, const frames_item *f) {
  int64_t tick_of_zero;
  if (!device_tick_of_zero(d, f->envelope.boot, &tick_of_zero)) return;
  for (size_t r = 0; r < f->readings.run_count; r++) {
    const readings_run *run = &f->readings.runs[r];
    int64_t due_ms = (int64_t)run->tick - tick_of_zero;
    unsigned bucket = result_delay_bucket(c->queue.now_ms - due_ms);
    if (run->kind == HTEL_ALARM) {
      c->result->delays_alarm[bucket] += run->count;
      alarm_look(c, d, due_ms);
    } else {
      c->result->delays[bucket] += run->count;
    }
  }
}

static device *owner_of(cell *c, const frames_item *f) {
  uint32_t all = c->world.device_count + c->world.clone_count;
  store_frame frame;
  frames_as_store(f, &frame);
  for (uint32_t i = 0; i < all; i++) {
    device *d = c->devices[i];
    if (strcmp(device_id(d), frame.device) != 0) continue;
    if (oracle_takes(device_oracle(d), &frame, f->quarantined, c->queue.now_ms)) return d;
  }
  return NULL;
}

static device *device_of_id(cell *c, const char *id) {
  for (uint32_t i = 0; i < c->world.device_count; i++)
    if (strcmp(device_id(c->devices[i]), id) == 0) return c->devices[i];
  return NULL;
}

/* A transaction is committed: what was in it is stored now. */
static void on_committed(void *ctx) {
  cell *c = ctx;
  for (size_t i = 0; i < frames_count(&c->frames); i++) {
    const frames_item *f = frames_at(&c->frames, i);
    if (f->is_placing) {
      for (uint32_t k = 0; k < c->world.device_count + c->world.clone_count; k++)
        if (strcmp(device_id(c->devices[k]), f->device) == 0)
          oracle_placed(device_oracle(c->devices[k]), f->boot, f->tick_first, f->tick_last,
                        f->offset_ms);
      continue;
    }
    device *d = owner_of(c, f);
    if (d != NULL && !f->quarantined) {
      c->point.stored += f->readings.sample_count + f->readings.event_count;
      delay_add(c, d, f);
    }
    if (d == NULL && (d = device_of_id(c, f->device)) != NULL)
      oracle_blame(device_oracle(d), VIOLATION_FOREIGN, c->queue.now_ms, UINT32_MAX,
                   f->envelope.sequence, "a frame is stored whose readings nobody recorded so");
  }
  frames_clear(&c->frames);
}

static void on_rolled_back(void *ctx) {
  cell *c = ctx;
  frames_clear(&c->frames);
}

static void on_frame(void *ctx, const store_frame *frame) {
  cell *c = ctx;
  if (!frames_add(&c->frames, frame)) c->failed = true;
}

static void on_aside(void *ctx, const store_aside *aside) {
  cell *c = ctx;
  if (!frames_add_aside(&c->frames, memory_store_of(c->store), aside)) c->failed = true;
}

static void on_placed(void *ctx, const char *id, uint64_t boot, uint64_t tick_first,
                      uint64_t tick_last, int64_t offset_ms) {
  cell *c = ctx;
  if (!frames_add_placing(&c->frames, id, boot, tick_first, tick_last, offset_ms)) c->failed = true;
}

/* ---- Beginning and end ---------------------------------------------------------------------- */

static bool devices_begin(cell *c) {
  device_world world = {.plan = &c->plan,
                        .queue = &c->queue,
                        .net = sim_broker_net(c->broker),
                        .run_seed = c->options->seed,
                        .utc_of_zero = UTC_OF_ZERO};
  if (c->options->trace != NULL) {
    world.trace = trace;
    world.trace_ctx = c;
  }
  c->devices = calloc(c->device_room, sizeof *c->devices);
  c->up_ms = calloc(c->device_room, sizeof *c->up_ms);
  c->awaited = calloc(c->device_room, sizeof *c->awaited);
  c->heard = calloc(c->device_room, sizeof *c->heard);
  if (c->devices == NULL || c->up_ms == NULL || c->awaited == NULL || c->heard == NULL)
    return false;
  for (uint32_t i = 0; i < c->device_room; i++) c->up_ms[i] = INT64_MAX;
  for (uint32_t i = 0; i < c->options->device_count; i++) {
    c->devices[i] = device_new(&world, c->options->first_device + i, i);
    if (c->devices[i] == NULL) return false;
    oracle_utc(device_oracle(c->devices[i]), UTC_OF_ZERO);
  }
  return true;
}

static bool faults_begin(cell *c) {
  c->world = (faults_world){.scenario = c->scenario,
                            .queue = &c->queue,
                            .actor = c->fault_actor,
                            .run_seed = c->options->seed,
                            .cell = c->options->cell,
                            .broker = c->broker,
                            .server = c->server,
                            .store = c->store,
                            .devices = c->devices,
                            .device_count = c->options->device_count,
                            .clones_max = CELL_CLONES_MAX,
                            .clone_number = c->options->clone_number,
                            .end_ms = (int64_t)c->scenario->hours * 3600000,
                            .storm = on_storm,
                            .storm_ctx = c};
  if (c->options->trace != NULL) {
    c->world.trace = trace;
    c->world.trace_ctx = c;
  }
  c->faults = faults_new(&c->world);
  return c->faults != NULL;
}

static bool cell_begin(cell *c) {
  uint32_t n = c->device_room = c->options->device_count + CELL_CLONES_MAX;
  c->broker_actor = n;
  c->server_actor = n + 1u;
  c->fault_actor = n + 2u;
  c->point_actor = n + 3u;
  char error[200];
  if (plan_make(&c->plan, c->scenario, error, sizeof error) != 0) return false;
  if (!sim_queue_init(&c->queue, n + 4u)) return false;
  uint64_t seed = signal_seed(c->options->seed, c->options->cell, 4000u);
  c->broker = sim_broker_new(&c->queue, c->broker_actor, c->server_actor, seed);
  if (c->broker == NULL) return false;
  sim_broker_habits_of(c->broker)->forgets = c->scenario->broker_forgets;
  sim_broker_tap tap = {.ctx = c, .up = on_up, .down = on_down, .publish = on_publish};
  sim_broker_tap_set(c->broker, &tap);
  memory_watch watch = {.ctx = c,
                        .frame = on_frame,
                        .aside = on_aside,
                        .placed = on_placed,
                        .committed = on_committed,
                        .rolled_back = on_rolled_back};
  c->store = memory_store_new(&watch);
  if (c->store == NULL) return false;
  c->server = server_new(&c->queue, c->server_actor, c->broker, c->store, c->scenario->commit_ms,
                         UTC_OF_ZERO);
  return c->server != NULL && devices_begin(c) && faults_begin(c);
}

static void cell_free(cell *c) {
  faults_free(c->faults);
  for (uint32_t i = 0; c->devices != NULL && i < c->device_room; i++) device_free(c->devices[i]);
  free(c->devices);
  free(c->up_ms);
  free(c->awaited);
  free(c->heard);
  if (c->server != NULL) server_free(c->server);
  if (c->store != NULL) memory_store_free(c->store);
  if (c->broker != NULL) sim_broker_free(c->broker);
  frames_free(&c->frames);
  sim_queue_free(&c->queue);
}

/* ---- Running -------------------------------------------------------------------------------- */

/* A connection on which nothing comes any more is given up after 1.5 keep-alives. What was slow may
 * still be on its way when silence begins. */
static void silence_look(cell *c, uint32_t i, int64_t now_ms) {
  device *d = c->devices[i];
  uint64_t bytes = device_path(d)->counts.down_bytes;
  int64_t silent_ms = faults_silent_since_ms(c->faults, i);
  if (bytes != c->heard[i].bytes || silent_ms > c->heard[i].at_ms) c->heard[i].at_ms = now_ms;
  c->heard[i].bytes = bytes;
  int64_t limit_ms = (int64_t)c->scenario->keep_alive_s * 1500 + KEEP_ALIVE_SLACK_MS;
  if (now_ms - c->heard[i].at_ms > limit_ms && device_is_on(d) && sim_path_is_up(device_path(d)))
    oracle_blame(device_oracle(d), VIOLATION_SILENT, now_ms, UINT32_MAX,
                 (uint64_t)(now_ms - c->heard[i].at_ms), "a dead connection was taken for alive");
}

static void device_look(cell *c, uint32_t i, int64_t now_ms) {
  device *d = c->devices[i];
  uint32_t backlog = device_backlog(d);
  c->point.backlog_frames += backlog;
  c->point.backlog_devices += backlog > 0;
  c->point.online += c->up_ms[i] != INT64_MAX;
  const sim_path *path = device_path(d);
  c->point.up_bytes += path->counts.up_bytes + path->counts.handshake_bytes;
  c->point.down_bytes += path->counts.down_bytes;
  silence_look(c, i, now_ms);
  const device_counts *counts = device_counts_of(d);
  if (counts->memory_bytes > c->scenario->memory_bytes_max)
    oracle_blame(device_oracle(d), VIOLATION_MEMORY, now_ms, UINT32_MAX, counts->memory_bytes,
                 "more memory than the scenario allows");
}

/* Closes a point of the series. */
static void point_step(cell *c, int64_t now_ms) {
  for (uint32_t i = 0; i < c->world.device_count + c->world.clone_count; i++)
    device_look(c, i, now_ms);
  uint64_t up = c->point.up_bytes, down = c->point.down_bytes;
  c->point.up_bytes = up > c->bytes_up ? up - c->bytes_up : 0;
  c->point.down_bytes = down > c->bytes_down ? down - c->bytes_down : 0;
  c->bytes_up = up;
  c->bytes_down = down;
  if (!result_point_add(c->result, &c->point)) c->failed = true;
  c->point = (result_point){0};
  sim_queue_set(&c->queue, c->point_actor, now_ms + c->result->step_ms);
}

static void turn(cell *c, uint32_t actor) {
  int64_t now_ms = c->queue.now_ms;
  if (actor < c->device_room) {
    bool was_on = device_is_on(c->devices[actor]);
    device_step(c->devices[actor], now_ms);
    if (was_on && !device_is_on(c->devices[actor])) faults_device_off(c->faults, actor, now_ms);
  } else if (actor == c->broker_actor) {
    sim_broker_step(c->broker);
  } else if (actor == c->server_actor) {
    server_step(c->server);
  } else if (actor == c->fault_actor) {
    faults_step(c->faults, now_ms);
  } else {
    point_step(c, now_ms);
  }
}

/* Turns until `end_ms`. False: stopped, or no memory. */
static bool run_until(cell *c, int64_t end_ms) {
  for (uint32_t n = 0; sim_queue_next_ms(&c->queue) <= end_ms; n++) {
    uint32_t actor;
    if (!sim_queue_take(&c->queue, &actor)) break;
    turn(c, actor);
    if (n % STOP_LOOKED_AT == 0 && c->options->stop != NULL && *c->options->stop) return false;
    if (c->failed) return false;
  }
  return true;
}

/* Originals close while their clones are off: two that share an id would throw each other out. */
static bool close_all(cell *c, uint32_t from, uint32_t to, int64_t *now_ms) {
  int64_t end_ms = *now_ms + CALM_MS_MAX;
  bool all = false;
  while (!all && *now_ms < end_ms) {
    all = true;
    for (uint32_t i = from; i < to; i++)
      if (device_finish(c->devices[i], *now_ms) == HTEL_E_AGAIN) all = false;
    *now_ms += 1000;
    if (!run_until(c, *now_ms)) return false;
  }
  for (uint32_t i = from; !all && i < to; i++)
    if (device_finish(c->devices[i], *now_ms) == HTEL_E_AGAIN)
      oracle_blame(device_oracle(c->devices[i]), VIOLATION_STUCK, *now_ms, UINT32_MAX,
                   device_backlog(c->devices[i]), "not at rest after a day without faults");
  return true;
}

static bool calm(cell *c, int64_t *now_ms) {
  uint32_t devices = c->world.device_count, all = devices + c->world.clone_count;
  faults_end(c->faults, *now_ms);
  for (uint32_t i = devices; i < all; i++) device_stop(c->devices[i], false, *now_ms);
  if (!close_all(c, 0, devices, now_ms) || !close_all(c, devices, all, now_ms)) return false;
  *now_ms += SERVER_REST_MS;
  return run_until(c, *now_ms);
}

/* ---- The verdict ---------------------------------------------------------------------------- */

static void judge(cell *c, uint32_t i, int64_t now_ms) {
  device *d = c->devices[i];
  audit_report audit;
  if (audit_device(memory_store_of(c->store), device_id(d), &audit) != STORE_OK) {
    c->failed = true;
    return;
  }
  oracle_judge(device_oracle(d), memory_store_of(c->store), device_id(d), &audit, now_ms);
  audit_free(&audit);
  if (device_path(d)->counts.unverified_bytes > 0)
    oracle_blame(device_oracle(d), VIOLATION_UNVERIFIED, now_ms, UINT32_MAX,
                 device_path(d)->counts.unverified_bytes,
                 "bytes for a server that was not verified");
  const char *broken = device_flash_violation(d);
  if (broken != NULL)
    oracle_blame(device_oracle(d), VIOLATION_FLASH, now_ms, UINT32_MAX, 0, broken);
  broken = sim_path_violation(device_path(d));
  if (broken != NULL)
    oracle_blame(device_oracle(d), VIOLATION_TRANSPORT, now_ms, UINT32_MAX, 0, broken);
  result_device_add(c->result, d);
}

bool cell_run(const cell_options *options, result *out) {
  cell c = {.options = options, .scenario = options->scenario, .result = out};
  bool ok = cell_begin(&c);
  if (ok) {
    int64_t now_ms = (int64_t)c.scenario->hours * 3600000;
    for (uint32_t i = 0; i < options->device_count; i++) device_boot(c.devices[i], 0);
    sim_queue_set(&c.queue, c.point_actor, out->step_ms);
    ok = run_until(&c, now_ms) && calm(&c, &now_ms);
    for (uint32_t i = 0; ok && i < c.world.device_count + c.world.clone_count; i++)
      judge(&c, i, now_ms);
    out->run_ms = now_ms;
    out->intake = *server_stats(c.server);
    memcpy(out->faults, faults_counts(c.faults), sizeof out->faults);
  }
  ok = ok && !c.failed;
  cell_free(&c);
  return ok;
}
