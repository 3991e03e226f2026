/* SPDX-License-Identifier: Apache-2.0 */
/* sim_broker.c - the broker as a whole: its life, its sessions, what it keeps.
 *
 * Each session has a place in an agenda of the broker's own; the broker's one appointment in the
 * queue is the agenda's next. The net tells when something will come for a session, so one that is
 * idle costs nothing but its keep-alive. */
#include "sim_broker_parts.h"

#include <stdlib.h>
#include <string.h>

#define QUEUE_MESSAGES_MAX 4096u
#define QUEUE_BYTES_MAX 33554432u
#define PLACES_MIN 16u

/* ---- The ingest's queue -------------------------------------------------------------------- */

static uint32_t messages_max(const sim_broker *b) {
  uint32_t max = b->habits.queue_messages_max;
  return max != 0 ? max : QUEUE_MESSAGES_MAX;
}

bool broker_has_room(const sim_broker *b) {
  return b->post.count < messages_max(b) && b->post.used < QUEUE_BYTES_MAX;
}

/* A will comes whether there is room or not; beyond all bounds it is dropped. */
void broker_give(sim_broker *b, const sim_message *message) {
  if (b->post.count >= 2u * messages_max(b)) return;
  if (!sim_post_put(&b->post, message)) b->counts.lost_frames++;
  sim_queue_sooner(b->queue, b->ingest_actor, broker_now_ms(b));
}

static void agenda_sooner(sim_broker *b, uint32_t place, int64_t at_ms) {
  sim_queue_sooner(&b->agenda, place, at_ms);
  sim_queue_sooner(b->queue, b->actor, at_ms);
}

static void stalled_wake(sim_broker *b) {
  b->any_stalled = false;
  for (uint32_t i = 0; i < b->room; i++) {
    if (b->sessions[i] == NULL || !b->sessions[i]->stalled) continue;
    b->sessions[i]->stalled = false;
    agenda_sooner(b, i, broker_now_ms(b));
  }
}

bool sim_broker_take(sim_broker *b, sim_message *out) {
  if (b->down || !sim_post_take(&b->post, out)) return false;
  if (b->any_stalled && b->post.count <= messages_max(b) / 2u && broker_has_room(b))
    stalled_wake(b);
  return true;
}

void sim_broker_subscribe(sim_broker *b) {
  for (uint32_t i = 0; !b->down && i < b->shelf.count; i++)
    broker_give(b, &b->shelf.kept[i]->message);
}

bool sim_broker_publish(sim_broker *b, const char *topic, const uint8_t *payload, size_t size) {
  if (b->down || size > SESSION_PACKET_BYTES_MAX / 2u) return false;
  uint32_t hash = sim_text_hash(topic);
  for (uint32_t i = 0; i < b->room; i++) {
    if (b->topic_hashes[i] != hash) continue;
    session *s = b->sessions[i];
    if (s->receipt_topic == NULL || strcmp(s->receipt_topic, topic) != 0) continue;
    session_receipt(b, s, payload, size);
    agenda_sooner(b, i, s->over ? broker_now_ms(b) : session_next_ms(b, s));
  }
  return true;
}

/* ---- Sessions ------------------------------------------------------------------------------ */

static bool places_grow(sim_broker *b) {
  uint32_t room = b->room == 0 ? PLACES_MIN : 2u * b->room;
  session **sessions = realloc(b->sessions, room * sizeof *sessions);
  if (sessions == NULL) return false;
  b->sessions = sessions;
  uint32_t *ids = realloc(b->id_hashes, room * sizeof *ids);
  if (ids == NULL) return false;
  b->id_hashes = ids;
  uint32_t *topics = realloc(b->topic_hashes, room * sizeof *topics);
  if (topics == NULL) return false;
  b->topic_hashes = topics;
  sim_queue agenda;
  if (!sim_queue_init(&agenda, room)) return false;
  for (uint32_t i = 0; i < b->room; i++) sim_queue_set(&agenda, i, b->agenda.at_ms[i]);
  agenda.now_ms = b->agenda.now_ms;
  sim_queue_free(&b->agenda);
  b->agenda = agenda;
  for (; b->room < room; b->room++) {
    b->sessions[b->room] = NULL;
    b->id_hashes[b->room] = b->topic_hashes[b->room] = 0;
  }
  return true;
}

static bool on_accepts(void *ctx) {
  return !((const sim_broker *)ctx)->down;
}

static void on_connected(void *ctx, sim_conn *conn) {
  sim_broker *b = ctx;
  uint32_t place = 0;
  while (place < b->room && b->sessions[place] != NULL) place++;
  session *s = NULL;
  if (place < b->room || places_grow(b)) s = session_new(b, conn, place);
  sim_conn_tag_set(conn, s);
  if (s == NULL) {
    sim_conn_close(conn, SIM_END_RST);
    return;
  }
  b->sessions[place] = s;
  agenda_sooner(b, place, session_next_ms(b, s));
}

static void on_ready(void *ctx, sim_conn *conn, int64_t at_ms) {
  sim_broker *b = ctx;
  const session *s = sim_conn_tag(conn);
  if (s != NULL) sim_queue_sooner(&b->agenda, s->place, at_ms);
}

session *broker_session_of(sim_broker *b, const char *client_id, const session *but) {
  uint32_t hash = sim_text_hash(client_id);
  for (uint32_t i = 0; i < b->room; i++)
    if (b->id_hashes[i] == hash && b->sessions[i] != but &&
        strcmp(b->sessions[i]->client_id, client_id) == 0)
      return b->sessions[i];
  return NULL;
}

static void will_publish(sim_broker *b, const session *s) {
  sim_message will = {.topic = s->will_topic,
                      .payload = s->will,
                      .size = s->will_size,
                      .device = s->device,
                      .sent_ms = broker_now_ms(b)};
  sim_shelf_put(&b->shelf, &will);
  broker_give(b, &will);
}

static void session_drop(sim_broker *b, session *s, sim_end how, bool with_will) {
  b->sessions[s->place] = NULL;
  b->id_hashes[s->place] = b->topic_hashes[s->place] = 0;
  sim_queue_set(&b->agenda, s->place, SIM_NEVER);
  sim_conn_close(s->conn, how);
  if (s->connected && b->tap.down != NULL) b->tap.down(b->tap.ctx, s->device);
  if (with_will && s->connected && !s->orderly && s->will_topic != NULL) will_publish(b, s);
  session_free(s);
}

void broker_session_end(sim_broker *b, session *s, sim_end how) {
  session_drop(b, s, how, true);
}

void sim_broker_step(sim_broker *b) {
  int64_t now_ms = broker_now_ms(b);
  uint32_t place;
  while (sim_queue_next_ms(&b->agenda) <= now_ms && sim_queue_take(&b->agenda, &place)) {
    session *s = b->sessions[place];
    if (s == NULL) continue;
    session_step(b, s);
    if (s->over) {
      session_drop(b, s, s->how, true);
      continue;
    }
    int64_t next_ms = session_next_ms(b, s);
    sim_queue_sooner(&b->agenda, place, next_ms > now_ms ? next_ms : now_ms + 1);
  }
  sim_queue_sooner(b->queue, b->actor, sim_queue_next_ms(&b->agenda));
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void drop_all(sim_broker *b, sim_end how, bool with_wills) {
  for (uint32_t i = 0; i < b->room; i++)
    if (b->sessions[i] != NULL) session_drop(b, b->sessions[i], how, with_wills);
}

void sim_broker_drop_all(sim_broker *b, sim_end how) {
  drop_all(b, how, true);
}

void sim_broker_kill(sim_broker *b, bool dies) {
  if (b->down) return;
  b->counts.kills++;
  b->down = true;
  drop_all(b, dies ? SIM_END_DEATH : SIM_END_RST, false);
  if (!b->habits.forgets) return;
  sim_post_clear(&b->post);
  sim_shelf_clear(&b->shelf);
}

void sim_broker_start(sim_broker *b) {
  b->down = false;
  if (b->post.count > 0) sim_queue_sooner(b->queue, b->ingest_actor, broker_now_ms(b));
}

bool sim_broker_is_up(const sim_broker *b) {
  return !b->down;
}

sim_broker *sim_broker_new(sim_queue *queue, uint32_t actor, uint32_t ingest_actor, uint64_t seed) {
  sim_broker *b = calloc(1, sizeof *b);
  if (b == NULL) return NULL;
  b->queue = queue;
  b->actor = actor;
  b->ingest_actor = ingest_actor;
  b->random.state = seed;
  sim_listener listener = {
      .ctx = b, .accepts = on_accepts, .connected = on_connected, .ready = on_ready};
  b->net = sim_net_new(queue, &listener, actor);
  if (b->net == NULL || !places_grow(b)) {
    sim_broker_free(b);
    return NULL;
  }
  return b;
}

void sim_broker_free(sim_broker *b) {
  if (b == NULL) return;
  b->tap = (sim_broker_tap){0};
  drop_all(b, SIM_END_DEATH, false);
  sim_net_free(b->net);
  sim_post_free(&b->post);
  sim_shelf_clear(&b->shelf);
  sim_queue_free(&b->agenda);
  free(b->sessions);
  free(b->id_hashes);
  free(b->topic_hashes);
  free(b);
}

sim_net *sim_broker_net(sim_broker *b) {
  return b->net;
}

sim_broker_habits *sim_broker_habits_of(sim_broker *b) {
  return &b->habits;
}

const sim_broker_counts *sim_broker_counts_of(const sim_broker *b) {
  return &b->counts;
}

void sim_broker_tap_set(sim_broker *b, const sim_broker_tap *tap) {
  b->tap = *tap;
}
