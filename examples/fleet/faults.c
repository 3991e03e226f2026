/* SPDX-License-Identifier: Apache-2.0 */
/* faults.c - the agenda of what goes wrong, and the hand that does it. */
#include "faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS 86400000
#define MINUTE_MS 60000u
#define HOUR_MS 3600000u
/* A bit that flips may take the newest block of notes, with its frames (docs/DELIVERY.md). */
#define ROT_FRAMES_MAX 64u
#define YEAR_MS 31557600000

/* What goes wrong with one device now: how many of each kind are at work, and how bad they are. */
typedef struct trouble {
  uint8_t active[FAULT_KINDS];
  int64_t changed_ms; /* when anything of it began or ended last, and what it left is over */
  int64_t silent_ms;  /* since when its way is silent */
  sim_shape slow;
  sim_name name;
  sim_way outage;
  int tls_error;
  int64_t clock_from_ms;
  int64_t clock_by_ms; /* to be taken back; 0: it was unset */
} trouble;

typedef struct process {
  sim_random random;
  bool active;
} process;

struct faults {
  faults_world *world;
  sim_queue agenda;
  process *processes; /* by number in the agenda: see the first_ below */
  trouble *troubles;  /* by device, */
  trouble server;     /* and of the server */
  uint32_t first_server, first_event, first_boot;
  uint64_t counts[FAULT_KINDS];
  bool over;
};

static uint32_t between(sim_random *random, uint32_t least, uint32_t most) {
  return least + random_below(random, most - least + 1u);
}

static void trace(const faults *f, uint32_t number, const char *what, fault_kind kind) {
  if (f->world->trace == NULL) return;
  char text[64];
  snprintf(text, sizeof text, "%s: %s", fault_name(kind), what);
  f->world->trace(f->world->trace_ctx, number, text);
}

/* ---- One device ---------------------------------------------------------------------------- */

/* What its way is like now, with all that is wrong with it. */
static void weather(faults *f, uint32_t i) {
  const scenario *s = f->world->scenario;
  const trouble *t = &f->troubles[i];
  sim_path *path = device_path(f->world->devices[i]);
  path->shape = t->active[FAULT_SLOW] > 0 ? t->slow
                                          : (sim_shape){.latency_ms = s->latency_ms,
                                                        .jitter_ms = s->jitter_ms,
                                                        .up_bytes_per_s = s->up_bytes_per_s,
                                                        .down_bytes_per_s = s->down_bytes_per_s};
  path->way = t->active[FAULT_OUTAGE] > 0      ? t->outage
              : t->active[FAULT_HALF_OPEN] > 0 ? SIM_WAY_SILENT
                                               : SIM_WAY_OPEN;
  path->name = t->active[FAULT_DNS] > 0 ? t->name : SIM_NAME_OK;
  path->tls_error = t->active[FAULT_TLS] > 0 ? t->tls_error : 0;
}

static sim_end any_end(sim_random *random) {
  return (sim_end)random_below(random, SIM_END_DEATH + 1u);
}

typedef struct act { /* one fault on one device, or on the server */
  faults *f;
  uint32_t i; /* device */
  device *device;
  trouble *t;
  sim_random *random;
  int64_t now_ms;
  uint32_t for_ms; /* given by an event; 0: up to the fault */
} act;

/* Each begins and says how long it lasts, in ms; 0: it is over already. */

static uint32_t flaps_begin(act *a) {
  sim_path_cut(device_path(a->device), any_end(a->random));
  return 0;
}

static uint32_t slow_begin(act *a) {
  static const uint32_t rates[] = {1, 20, 200, 2500};
  a->t->slow = (sim_shape){.latency_ms = between(a->random, 50, 3000),
                           .jitter_ms = between(a->random, 0, 1000),
                           .up_bytes_per_s = rates[random_below(a->random, 4u)],
                           .down_bytes_per_s = rates[random_below(a->random, 4u)],
                           .read_bytes_max = between(a->random, 1, 64),
                           .send_buffer_bytes = between(a->random, 512, 8192),
                           .block_pct = (uint8_t)between(a->random, 0, 90)};
  return between(a->random, MINUTE_MS, 10u * MINUTE_MS);
}

static uint32_t half_open_begin(act *a) {
  return between(a->random, MINUTE_MS, 20u * MINUTE_MS);
}

static uint32_t outage_begin(act *a) {
  a->t->outage = random_below(a->random, 2u) == 0 ? SIM_WAY_SILENT : SIM_WAY_REFUSED;
  sim_path_cut(device_path(a->device), any_end(a->random));
  return between(a->random, MINUTE_MS, 2u * HOUR_MS);
}

static uint32_t dns_begin(act *a) {
  a->t->name = random_below(a->random, 2u) == 0 ? SIM_NAME_FAILS : SIM_NAME_HANGS;
  sim_path_cut(device_path(a->device), any_end(a->random));
  return between(a->random, MINUTE_MS, 20u * MINUTE_MS);
}

static uint32_t tls_begin(act *a) {
  static const int errors[] = {HTEL_E_TLS_EXPIRED, HTEL_E_TLS_NOT_YET, HTEL_E_TLS_NAME,
                               HTEL_E_TLS_CA,      HTEL_E_TLS_REVOKED, HTEL_E_TLS_NOT_TLS,
                               HTEL_E_TLS_VERSION};
  a->t->tls_error = errors[random_below(a->random, sizeof errors / sizeof *errors)];
  sim_path_cut(device_path(a->device), any_end(a->random));
  return between(a->random, MINUTE_MS, 30u * MINUTE_MS);
}

static uint32_t clock_begin(act *a) {
  if (a->t->active[FAULT_CLOCK] > 0) return 0; /* by an event */
  if (random_below(a->random, 2u) == 0) {
    a->t->clock_by_ms = 0;
    device_utc_known(a->device, false);
    device_stop(a->device, false, a->now_ms);
    faults_device_off(a->f, a->i, a->now_ms);
  } else {
    int64_t by_ms = (int64_t)between(a->random, 1, 10) * YEAR_MS;
    a->t->clock_by_ms = random_below(a->random, 2u) == 0 ? by_ms : -by_ms;
    device_utc_jump(a->device, a->t->clock_by_ms);
    oracle_clock_wrong(device_oracle(a->device), a->now_ms, INT64_MAX);
    a->t->clock_from_ms = a->now_ms;
  }
  return between(a->random, MINUTE_MS, 2u * HOUR_MS);
}

static void clock_end(act *a) {
  if (a->t->clock_by_ms == 0) {
    device_utc_known(a->device, true);
    return;
  }
  device_utc_jump(a->device, -a->t->clock_by_ms);
  oracle_clock_wrong(device_oracle(a->device), a->t->clock_from_ms, a->now_ms);
}

static uint32_t reset_begin(act *a) {
  device_stop(a->device, false, a->now_ms);
  faults_device_off(a->f, a->i, a->now_ms);
  return 0;
}

/* The power goes at some flash operation soon, or between two. */
static uint32_t power_begin(act *a) {
  if (a->for_ms == 0 && random_below(a->random, 4u) != 0 && a->f->world->scenario->flash) {
    device_cut_in(a->device, between(a->random, 1, 40),
                  (flash_mode)random_below(a->random, FLASH_MODES));
    return 0;
  }
  device_stop(a->device, true, a->now_ms);
  if (a->for_ms == 0) faults_device_off(a->f, a->i, a->now_ms);
  return 0;
}

static void power_end(act *a) {
  device_boot(a->device, a->now_ms);
}

static uint32_t rot_begin(act *a) {
  if (random_below(a->random, 2u) == 0) {
    oracle_damaged(device_oracle(a->device), ROT_FRAMES_MAX);
    device_rot(a->device, a->random);
  } else
    device_unread(a->device, between(a->random, 1, 200));
  return 0;
}

static uint32_t wear_begin(act *a) {
  device_wear(a->device, a->random);
  return 0;
}

static uint32_t overflow_begin(act *a) {
  uint32_t for_ms = a->for_ms > 0 ? a->for_ms : between(a->random, MINUTE_MS / 6u, 10u * MINUTE_MS);
  device_freeze(a->device, a->now_ms + for_ms);
  return for_ms;
}

static uint32_t clone_begin(act *a) {
  faults_world *w = a->f->world;
  if (w->clone_count == w->clones_max || a->t->active[FAULT_CLONE] > 0) return 0;
  uint32_t place = w->device_count + w->clone_count;
  device *clone = device_clone(a->device, w->clone_number + w->clone_count, place);
  if (clone == NULL) return 0;
  w->devices[place] = clone;
  w->clone_count++;
  oracle_cloned(device_oracle(a->device));
  oracle_cloned(device_oracle(clone));
  device_boot(clone, a->now_ms);
  return DAY_MS; /* for good: one clone of a device is enough */
}

/* ---- The server ---------------------------------------------------------------------------- */

static uint32_t broker_begin(act *a) {
  sim_broker *b = a->f->world->broker;
  sim_broker_habits *habits = sim_broker_habits_of(b);
  uint32_t what = a->for_ms > 0 ? 0 : random_below(a->random, 4u);
  if (what == 2) habits->mood = SIM_BROKER_REFUSES;
  if (what == 3) {
    habits->mood = SIM_BROKER_SLOW;
    habits->slow_ms = between(a->random, 10, 500);
  }
  if (what < 2) sim_broker_kill(b, random_below(a->random, 2u) == 0);
  return between(a->random, 1000, 10u * MINUTE_MS);
}

static void broker_end(act *a) {
  sim_broker *b = a->f->world->broker;
  sim_broker_habits_of(b)->mood = SIM_BROKER_FAIR;
  if (!sim_broker_is_up(b)) sim_broker_start(b);
}

static uint32_t hostile_begin(act *a) {
  sim_broker_habits *habits = sim_broker_habits_of(a->f->world->broker);
  if (habits->mood != SIM_BROKER_FAIR) return 0;
  habits->mood = SIM_BROKER_HOSTILE;
  return between(a->random, MINUTE_MS, 10u * MINUTE_MS);
}

static void hostile_end(act *a) {
  sim_broker_habits *habits = sim_broker_habits_of(a->f->world->broker);
  if (habits->mood == SIM_BROKER_HOSTILE) habits->mood = SIM_BROKER_FAIR;
}

static uint32_t acks_begin(act *a) {
  sim_broker_habits *habits = sim_broker_habits_of(a->f->world->broker);
  habits->lose_acks_pct = (uint8_t)between(a->random, 0, 60);
  habits->lose_frames_pct = (uint8_t)between(a->random, 0, 40);
  habits->lose_receipts_pct = (uint8_t)between(a->random, 0, 60);
  habits->double_pct = (uint8_t)between(a->random, 0, 40);
  habits->reorder_pct = (uint8_t)between(a->random, 0, 60);
  habits->ack_ms = between(a->random, 0, 2000);
  return between(a->random, 5u * MINUTE_MS, 30u * MINUTE_MS);
}

static void acks_end(act *a) {
  sim_broker_habits *habits = sim_broker_habits_of(a->f->world->broker);
  habits->lose_acks_pct = habits->lose_frames_pct = habits->lose_receipts_pct = 0;
  habits->double_pct = habits->reorder_pct = 0;
  habits->ack_ms = 0;
}

static uint32_t ingest_begin(act *a) {
  server_kill_it(a->f->world->server,
                 (server_kill)random_below(a->random, SERVER_KILL_AFTER_COMMIT + 1u));
  return between(a->random, 1000, 10u * MINUTE_MS);
}

static void ingest_end(act *a) {
  server *s = a->f->world->server;
  if (server_is_up(s)) server_kill_it(s, SERVER_KILL_NOW); /* the kill has not come to pass */
  server_start(s);
}

static uint32_t disk_begin(act *a) {
  memory_store *m = a->f->world->store;
  if (a->for_ms == 0 && random_below(a->random, 2u) == 0) {
    memory_store_fail_in(m, between(a->random, 1, 50));
    return 0;
  }
  memory_store_break(m, true);
  return between(a->random, 1000, 10u * MINUTE_MS);
}

static void disk_end(act *a) {
  memory_store_break(a->f->world->store, false);
}

static uint32_t storm_begin(act *a) {
  faults_world *w = a->f->world;
  w->storm(w->storm_ctx); /* who is connected now is awaited */
  sim_broker_drop_all(w->broker, random_below(a->random, 2u) == 0 ? SIM_END_FIN : SIM_END_RST);
  return 0;
}

/* ---- All of them --------------------------------------------------------------------------- */

typedef struct fault_code {
  bool on_server;
  uint32_t (*begin)(act *a);
  void (*end)(act *a);
} fault_code;

static const fault_code codes[FAULT_KINDS] = {
    [FAULT_FLAPS] = {false, flaps_begin, NULL},
    [FAULT_SLOW] = {false, slow_begin, NULL},
    [FAULT_HALF_OPEN] = {false, half_open_begin, NULL},
    [FAULT_OUTAGE] = {false, outage_begin, NULL},
    [FAULT_DNS] = {false, dns_begin, NULL},
    [FAULT_TLS] = {false, tls_begin, NULL},
    [FAULT_CLOCK] = {false, clock_begin, clock_end},
    [FAULT_RESET] = {false, reset_begin, NULL},
    [FAULT_POWER] = {false, power_begin, power_end},
    [FAULT_ROT] = {false, rot_begin, NULL},
    [FAULT_WEAR] = {false, wear_begin, NULL},
    [FAULT_OVERFLOW] = {false, overflow_begin, NULL},
    [FAULT_CLONE] = {false, clone_begin, NULL},
    [FAULT_BROKER] = {true, broker_begin, broker_end},
    [FAULT_HOSTILE] = {true, hostile_begin, hostile_end},
    [FAULT_ACKS] = {true, acks_begin, acks_end},
    [FAULT_INGEST] = {true, ingest_begin, ingest_end},
    [FAULT_DISK] = {true, disk_begin, disk_end},
    [FAULT_STORM] = {true, storm_begin, NULL},
};

static act act_on(faults *f, fault_kind kind, uint32_t i, sim_random *random, int64_t now_ms) {
  bool on_server = codes[kind].on_server;
  return (act){.f = f,
               .i = i,
               .device = on_server ? NULL : f->world->devices[i],
               .t = on_server ? &f->server : &f->troubles[i],
               .random = random,
               .now_ms = now_ms};
}

static bool is_silent(const faults *f, uint32_t i) {
  const trouble *t = &f->troubles[i];
  if (t->active[FAULT_HALF_OPEN] == 0) return false;
  for (unsigned k = 0; k < FAULT_KINDS; k++)
    if (k != FAULT_HALF_OPEN && k != FAULT_CLOCK && k != FAULT_CLONE && t->active[k] > 0)
      return false;
  return true;
}

static void changed(faults *f, fault_kind kind, uint32_t i, int64_t now_ms) {
  if (codes[kind].on_server) {
    f->server.changed_ms = now_ms;
    return;
  }
  trouble *t = &f->troubles[i];
  /* What was sent over a slow link still creeps along it, and all else behind. */
  int64_t clear_ms = sim_path_clear_ms(device_path(f->world->devices[i]));
  t->changed_ms = clear_ms > now_ms ? clear_ms : now_ms;
  t->silent_ms = is_silent(f, i) ? now_ms : INT64_MAX;
  weather(f, i);
}

/* How long it lasts; 0: it is over. */
static uint32_t begin(faults *f, fault_kind kind, uint32_t i, sim_random *random, uint32_t for_ms,
                      int64_t now_ms) {
  act a = act_on(f, kind, i, random, now_ms);
  a.for_ms = for_ms;
  uint32_t lasts_ms = codes[kind].begin(&a);
  if (for_ms > 0) lasts_ms = for_ms;
  f->counts[kind]++;
  if (lasts_ms > 0) a.t->active[kind]++;
  changed(f, kind, i, now_ms);
  trace(f, codes[kind].on_server ? UINT32_MAX : device_number(a.device),
        lasts_ms > 0 ? "begins" : "happens", kind);
  return lasts_ms;
}

static void end(faults *f, fault_kind kind, uint32_t i, sim_random *random, int64_t now_ms) {
  act a = act_on(f, kind, i, random, now_ms);
  a.t->active[kind]--;
  if (codes[kind].end != NULL && a.t->active[kind] == 0) codes[kind].end(&a);
  changed(f, kind, i, now_ms);
  trace(f, codes[kind].on_server ? UINT32_MAX : device_number(a.device), "ends", kind);
}

/* ---- The agenda ---------------------------------------------------------------------------- */

/* Evenly spread over twice the mean distance: no logarithm, so the same on every machine. */
static int64_t distance_ms(const faults *f, fault_kind kind, sim_random *random) {
  double per_day = f->world->scenario->per_day[kind];
  if (per_day <= 0.0 || (f->world->scenario->faults >> kind & 1u) == 0) return SIM_NEVER;
  uint64_t twice_ms = (uint64_t)(2.0 * DAY_MS / per_day);
  return 1 + (int64_t)(random_u64(random) % (twice_ms + 1u));
}

static void plan_next(faults *f, uint32_t number, fault_kind kind, int64_t now_ms) {
  int64_t away_ms = distance_ms(f, kind, &f->processes[number].random);
  bool late = away_ms == SIM_NEVER || now_ms + away_ms >= f->world->end_ms;
  sim_queue_set(&f->agenda, number, late ? SIM_NEVER : now_ms + away_ms);
}

static void process_step(faults *f, uint32_t number, fault_kind kind, uint32_t i, int64_t now_ms) {
  process *p = &f->processes[number];
  uint32_t lasts_ms = 0;
  if (p->active) {
    end(f, kind, i, &p->random, now_ms);
    p->active = false;
  } else {
    lasts_ms = begin(f, kind, i, &p->random, 0, now_ms);
    p->active = lasts_ms > 0;
  }
  if (p->active)
    sim_queue_set(&f->agenda, number, now_ms + lasts_ms);
  else
    plan_next(f, number, kind, now_ms);
}

/* An event takes its share of the devices, the same ones at its beginning and its end. */
static void event_step(faults *f, uint32_t number, const scenario_event *e, int64_t now_ms) {
  process *p = &f->processes[number];
  sim_random random = p->random;
  uint32_t count = codes[e->kind].on_server ? 1u : f->world->device_count;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t draw = random_below(&random, 100u);
    sim_random own = {random_u64(&random)};
    if (!codes[e->kind].on_server && draw >= e->share_pct) continue;
    if (p->active)
      end(f, e->kind, i, &own, now_ms);
    else
      begin(f, e->kind, i, &own, e->for_ms, now_ms);
  }
  p->active = !p->active && e->for_ms > 0;
  if (p->active) sim_queue_set(&f->agenda, number, now_ms + e->for_ms);
}

static void boot_step(faults *f, uint32_t i, int64_t now_ms) {
  process *p = &f->processes[f->first_boot + i];
  device *d = f->world->devices[i];
  if (f->troubles[i].active[FAULT_POWER] > 0) return; /* an event started it off, and will on */
  bool again = (f->world->scenario->faults >> FAULT_POWER & 1u) != 0 && !f->over;
  if (again && random_below(&p->random, 4u) == 0)
    device_cut_in(d, between(&p->random, 1, 30), (flash_mode)random_below(&p->random, FLASH_MODES));
  device_boot(d, now_ms);
  if (!device_is_on(d)) faults_device_off(f, i, now_ms);
  f->troubles[i].changed_ms = now_ms;
}

void faults_step(faults *f, int64_t now_ms) {
  uint32_t number;
  while (sim_queue_next_ms(&f->agenda) <= now_ms && sim_queue_take(&f->agenda, &number)) {
    if (number < f->first_server)
      process_step(f, number, (fault_kind)(number % FAULT_KINDS), number / FAULT_KINDS, now_ms);
    else if (number < f->first_event)
      process_step(f, number, (fault_kind)(number - f->first_server), 0, now_ms);
    else if (number < f->first_boot)
      event_step(f, number, &f->world->scenario->events[number - f->first_event], now_ms);
    else
      boot_step(f, number - f->first_boot, now_ms);
  }
  sim_queue_set(f->world->queue, f->world->actor, sim_queue_next_ms(&f->agenda));
}

void faults_device_off(faults *f, uint32_t i, int64_t now_ms) {
  process *p = &f->processes[f->first_boot + i];
  sim_queue_set(&f->agenda, f->first_boot + i, now_ms + between(&p->random, 500, MINUTE_MS));
  sim_queue_sooner(f->world->queue, f->world->actor, sim_queue_next_ms(&f->agenda));
  f->troubles[i].changed_ms = now_ms;
}

void faults_end(faults *f, int64_t now_ms) {
  f->over = true;
  faults_world *w = f->world;
  for (uint32_t number = 0; number < f->first_boot; number++) {
    sim_queue_set(&f->agenda, number, SIM_NEVER);
    process *p = &f->processes[number];
    if (!p->active) continue;
    p->active = false;
    if (number < f->first_server)
      end(f, (fault_kind)(number % FAULT_KINDS), number / FAULT_KINDS, &p->random, now_ms);
    else if (number < f->first_event)
      end(f, (fault_kind)(number - f->first_server), 0, &p->random, now_ms);
    else {
      p->active = true;
      event_step(f, number, &w->scenario->events[number - f->first_event], now_ms);
    }
  }
  acks_end(&(act){.f = f});
  for (uint32_t i = 0; i < w->device_count + w->clone_count; i++) {
    device_freeze(w->devices[i], now_ms);
    device_cut_in(w->devices[i], 0, FLASH_NONE);
  }
}

/* ---- What others ask ----------------------------------------------------------------------- */

static bool any_active(const trouble *t) {
  for (unsigned k = 0; k < FAULT_KINDS; k++)
    if (k != FAULT_CLOCK && t->active[k] > 0) return true;
  return false;
}

int64_t faults_calm_since_ms(const faults *f, uint32_t i) {
  const trouble *t = &f->troubles[i];
  if (any_active(t) || any_active(&f->server)) return INT64_MAX;
  return t->changed_ms > f->server.changed_ms ? t->changed_ms : f->server.changed_ms;
}

int64_t faults_silent_since_ms(const faults *f, uint32_t i) {
  return f->troubles[i].silent_ms;
}

const uint64_t *faults_counts(const faults *f) {
  return f->counts;
}

/* A storm comes to all cells at one moment; all else each has for itself. */
static uint64_t seed_of(const faults_world *w, uint32_t number, uint32_t devices_processes) {
  if (number < devices_processes) {
    uint32_t owner = device_number(w->devices[number / FAULT_KINDS]);
    return signal_seed(w->run_seed, owner, 2000u + number % FAULT_KINDS);
  }
  uint32_t own = number - devices_processes;
  return signal_seed(w->run_seed, own == FAULT_STORM ? UINT32_MAX : w->cell, 3000u + own);
}

static void processes_begin(faults *f) {
  const faults_world *w = f->world;
  uint32_t count = f->agenda.count, own = w->device_count * FAULT_KINDS;
  for (uint32_t n = 0; n < count; n++) f->processes[n].random.state = seed_of(w, n, own);
  for (uint32_t n = 0; n < f->first_event; n++) {
    bool on_server = n >= f->first_server;
    fault_kind kind = (fault_kind)(on_server ? n - f->first_server : n % FAULT_KINDS);
    if (codes[kind].on_server == on_server) plan_next(f, n, kind, 0);
  }
  for (uint32_t e = 0; e < w->scenario->event_count; e++) {
    const scenario_event *event = &w->scenario->events[e];
    bool wanted = (w->scenario->faults >> event->kind & 1u) != 0 && event->at_ms < w->end_ms;
    if (wanted) sim_queue_set(&f->agenda, f->first_event + e, event->at_ms);
  }
}

faults *faults_new(faults_world *w) {
  faults *f = calloc(1, sizeof *f);
  if (f == NULL) return NULL;
  f->world = w;
  uint32_t all = w->device_count + w->clones_max;
  f->first_server = w->device_count * FAULT_KINDS;
  f->first_event = f->first_server + FAULT_KINDS;
  f->first_boot = f->first_event + w->scenario->event_count;
  f->troubles = calloc(all, sizeof *f->troubles);
  f->processes = calloc(f->first_boot + all, sizeof *f->processes);
  bool ok = sim_queue_init(&f->agenda, f->first_boot + all);
  if (!ok || f->troubles == NULL || f->processes == NULL) {
    faults_free(f);
    return NULL;
  }
  for (uint32_t i = 0; i < all; i++) f->troubles[i].silent_ms = INT64_MAX;
  processes_begin(f);
  sim_queue_set(w->queue, w->actor, sim_queue_next_ms(&f->agenda));
  return f;
}

void faults_free(faults *f) {
  if (f == NULL) return;
  sim_queue_free(&f->agenda);
  free(f->troubles);
  free(f->processes);
  free(f);
}
