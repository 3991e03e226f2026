/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - the ingest by appointments.
 *
 *     first message -> collects for commit_ms -> intake_step until nothing is left -> ...
 *                                                   | held up: pauses, and tries again
 *
 * The real one gathers while it waits. Here messages wait with the broker instead, and are gathered
 * all at once when the batch is due: the same batches, without a turn for each message. Killed
 * while it collects, it takes what it would have gathered with it. */
#include "server.h"

#include <stdlib.h>

#define BATCH_MESSAGES 500u /* htel-ingest's own: --commit-frames */
#define BATCHES_MAX 64u     /* in one turn */
#define KILL_NONE (-1)

struct server {
  sim_queue *queue;
  uint32_t actor;
  sim_broker *broker;
  memory_store *store;
  uint32_t commit_ms;
  int64_t utc_of_zero;
  source source;
  intake_clock clock;
  intake *intake; /* NULL: it is down */
  int64_t due_ms; /* when the batch is to be written; SIM_NEVER: none has begun */
  int kill;       /* server_kill that is to come in the next transaction */
  bool drained;   /* the broker had nothing more */
  bool dying;     /* it has come: nothing leaves any more */
  uint64_t alerts;
  intake_stats past; /* of earlier lives, */
  intake_stats sum;  /* and with this one */
};

/* ---- What the intake sees -------------------------------------------------------------------- */

static int next(void *ctx, uint32_t wait_ms, source_message *message) {
  (void)wait_ms;
  server *s = ctx;
  sim_message m;
  s->drained = !sim_broker_take(s->broker, &m);
  if (s->drained) return SOURCE_NONE;
  bool kept = m.size <= HTEL_FRAME_BYTES_MAX;
  *message = (source_message){m.topic, kept ? m.payload : NULL, m.size};
  return SOURCE_MESSAGE;
}

static bool publish(void *ctx, const char *topic, const uint8_t *payload, size_t size) {
  server *s = ctx;
  return !s->dying && sim_broker_publish(s->broker, topic, payload, size);
}

static void stop(void *ctx) {
  (void)ctx;
}

static int64_t tick_ms(void *ctx) {
  return ((server *)ctx)->queue->now_ms;
}

static int64_t utc_ms(void *ctx) {
  server *s = ctx;
  return s->utc_of_zero + s->queue->now_ms;
}

/* Nobody waits: the next turn comes later. */
static void sleep_ms(void *ctx, uint32_t ms) {
  server *s = ctx;
  s->due_ms = s->queue->now_ms + ms;
}

static void alert(void *ctx, const store_alert *a) {
  (void)a;
  server *s = ctx;
  if (!s->dying) s->alerts++;
}

/* The store is about to commit. */
static bool commit_gate(void *ctx) {
  server *s = ctx;
  s->dying = s->kill != KILL_NONE;
  return s->kill != SERVER_KILL_BEFORE_COMMIT;
}

/* ---- Life ------------------------------------------------------------------------------------ */

server *server_new(sim_queue *queue, uint32_t actor, sim_broker *broker, memory_store *m,
                   uint32_t commit_ms, int64_t utc_of_zero) {
  server *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->queue = queue;
  s->actor = actor;
  s->broker = broker;
  s->store = m;
  s->commit_ms = commit_ms;
  s->utc_of_zero = utc_of_zero;
  s->source = (source){.ctx = s, .next = next, .publish = publish, .stop = stop, .close = stop};
  s->clock = (intake_clock){s, utc_ms, tick_ms, sleep_ms};
  memory_store_gate(m, commit_gate, s);
  server_start(s);
  if (server_is_up(s)) return s;
  server_free(s);
  return NULL;
}

void server_free(server *s) {
  if (s == NULL) return;
  memory_store_gate(s->store, NULL, NULL);
  intake_close(s->intake);
  free(s);
}

void server_start(server *s) {
  if (s->intake != NULL) return;
  /* Age is not asked for: when a batch is complete is decided here. */
  intake_config config = {.source = &s->source,
                          .store = memory_store_of(s->store),
                          .clock = &s->clock,
                          .commit_ms = 1,
                          .commit_messages = BATCH_MESSAGES,
                          .alert = alert,
                          .alert_arg = s};
  s->intake = intake_open(&config);
  s->kill = KILL_NONE;
  s->dying = false;
  s->due_ms = SIM_NEVER;
  if (s->intake == NULL) return;
  sim_broker_subscribe(s->broker);
  sim_queue_set(s->queue, s->actor, s->queue->now_ms); /* something may have waited for it */
}

bool server_is_up(const server *s) {
  return s->intake != NULL;
}

static void stats_add(intake_stats *to, const intake_stats *more) {
  to->messages += more->messages;
  to->stored += more->stored;
  to->readings += more->readings;
  to->duplicates += more->duplicates;
  to->conflicts += more->conflicts;
  to->poison += more->poison;
  to->unreadable += more->unreadable;
  to->birthless += more->birthless;
  to->births += more->births;
  to->births_refused += more->births_refused;
  to->statuses += more->statuses;
  to->foreign += more->foreign;
  to->commits += more->commits;
  to->commit_retries += more->commit_retries;
  to->refused += more->refused;
  to->receipts += more->receipts;
  to->receipts_dropped += more->receipts_dropped;
}

static void die(server *s) {
  stats_add(&s->past, intake_stats_get(s->intake));
  intake_close(s->intake);
  s->intake = NULL;
  sim_queue_set(s->queue, s->actor, SIM_NEVER);
}

/* What the real one would have gathered by now. */
static void gathered_drop(server *s) {
  sim_message m;
  for (uint32_t i = 0; i < INTAKE_BATCH_MESSAGES_MAX && sim_broker_take(s->broker, &m); i++) {
  }
}

void server_kill_it(server *s, server_kill how) {
  if (s->intake == NULL) return;
  if (how != SERVER_KILL_NOW) {
    s->kill = (int)how;
    return;
  }
  if (s->due_ms != SIM_NEVER) gathered_drop(s);
  die(s);
}

/* ---- Its turn -------------------------------------------------------------------------------- */

static void write_batches(server *s) {
  int rc = INTAKE_IDLE;
  s->drained = false;
  for (unsigned i = 0; i < BATCHES_MAX && !s->drained && rc != INTAKE_HELD_UP && !s->dying; i++)
    rc = intake_step(s->intake, 0);
  if (s->dying) {
    die(s);
    return;
  }
  /* Held up: sleep_ms has said until when. */
  if (rc != INTAKE_HELD_UP) s->due_ms = s->drained ? SIM_NEVER : s->queue->now_ms + 1;
  sim_queue_set(s->queue, s->actor, s->due_ms);
}

void server_step(server *s) {
  if (s->intake == NULL) return;
  int64_t now_ms = s->queue->now_ms;
  if (s->due_ms == SIM_NEVER) s->due_ms = now_ms + (int64_t)s->commit_ms;
  if (now_ms < s->due_ms)
    sim_queue_set(s->queue, s->actor, s->due_ms); /* a message came, and waits with the others */
  else
    write_batches(s);
}

const intake_stats *server_stats(server *s) {
  s->sum = s->past;
  if (s->intake != NULL) stats_add(&s->sum, intake_stats_get(s->intake));
  return &s->sum;
}

uint64_t server_alerts(const server *s) {
  return s->alerts;
}
