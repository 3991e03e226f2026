/* SPDX-License-Identifier: Apache-2.0 */
#include "intake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/plant.h"
#include "births.h"
#include "placing.h"
#include "receipts.h"

#define RETRY_MS_FIRST 200u
#define RETRY_MS_MAX 5000u
#define ALERTS_TOLD 16u /* in words, by batch; all of them are in the store */

typedef struct item {
  char device[DEVICE_BYTES];
  message_kind kind;
  size_t at;   /* of the payload in the batch's bytes */
  size_t size; /* as sent; beyond HTEL_FRAME_BYTES_MAX the payload is not kept */
  int64_t received_ms;
} item;

struct intake {
  intake_config config;
  intake_stats stats; /* of committed batches */
  intake_stats batch; /* of the batch being written */
  item *items;
  size_t item_count;
  uint8_t *bytes;
  size_t byte_count;
  uint32_t retry_ms; /* 0: the last commit went through */
  bool gathered;     /* the batch is complete and waits for its commit */
  receipts receipts;
  store_alert alerts[ALERTS_TOLD]; /* of the batch being written: told after its commit */
  unsigned alert_count;
  births births;
  wanted wanted;
  readings readings;
  frame_reader reader;
};

intake *intake_open(const intake_config *config) {
  intake *in = calloc(1, sizeof *in);
  if (in == NULL) return NULL;
  in->config = *config;
  if (in->config.commit_messages == 0) in->config.commit_messages = 1;
  if (in->config.commit_messages > INTAKE_BATCH_MESSAGES_MAX)
    in->config.commit_messages = INTAKE_BATCH_MESSAGES_MAX;
  in->items = calloc(in->config.commit_messages, sizeof *in->items);
  in->bytes = malloc(INTAKE_BATCH_BYTES);
  if (in->items == NULL || in->bytes == NULL || !births_open(&in->births)) {
    intake_close(in);
    return NULL;
  }
  return in;
}

void intake_close(intake *in) {
  if (in == NULL) return;
  births_close(&in->births);
  receipts_free(&in->receipts);
  readings_free(&in->readings);
  free(in->items);
  free(in->bytes);
  free(in);
}

const intake_stats *intake_stats_get(const intake *in) {
  return &in->stats;
}

/* ---- Gathering ----------------------------------------------------------------------- */

static void gather_one(intake *in, const source_message *message) {
  in->stats.messages++;
  item *it = &in->items[in->item_count];
  it->kind = message_topic(message->topic, it->device);
  if (it->kind == MESSAGE_NONE) {
    in->stats.foreign++;
    return;
  }
  it->at = in->byte_count;
  it->size = message->size;
  it->received_ms = in->config.clock->utc_ms(in->config.clock->ctx);
  if (message->payload != NULL && message->size <= HTEL_FRAME_BYTES_MAX) {
    memcpy(in->bytes + it->at, message->payload, message->size);
    in->byte_count += message->size;
  }
  in->item_count++;
}

/* Fills the batch. SOURCE_END when nothing will come after it. */
static int gather(intake *in, uint32_t wait_ms) {
  const intake_clock *clock = in->config.clock;
  int64_t first_ms = 0;
  int rc = SOURCE_NONE;
  /* Messages on topics that are not ours take a turn too: a flood of them must not keep us here. */
  for (unsigned turns = 0; turns < in->config.commit_messages; turns++) {
    if (INTAKE_BATCH_BYTES - in->byte_count < HTEL_FRAME_BYTES_MAX) break;
    uint32_t wait = wait_ms;
    if (in->item_count > 0) {
      int64_t age_ms = clock->tick_ms(clock->ctx) - first_ms;
      if (age_ms >= (int64_t)in->config.commit_ms) break;
      wait = in->config.commit_ms - (uint32_t)(age_ms < 0 ? 0 : age_ms);
    }
    source_message message;
    rc = in->config.source->next(in->config.source->ctx, wait, &message);
    if (rc != SOURCE_MESSAGE) break;
    if (in->item_count == 0) first_ms = clock->tick_ms(clock->ctx);
    gather_one(in, &message);
  }
  return rc;
}

/* ---- Writing one message ------------------------------------------------------------- */

static int receipt(intake *in, const item *it, uint64_t boot, receipt_kind kind, uint32_t number) {
  receipt_note note = {.device = it->device, .boot = boot, .kind = kind, .number = number};
  return receipts_add(&in->receipts, note) ? STORE_OK : STORE_AGAIN;
}

static int alert(intake *in, const item *it, const char *kind, const frame_check *check,
                 const char *detail) {
  store_alert a = {.device = it->device, .kind = kind, .detail = detail, .utc_ms = it->received_ms};
  if (check != NULL) {
    a.keyed = true;
    a.boot = check->boot;
    a.sequence = check->sequence;
  }
  int rc = in->config.store->alert_put(in->config.store->ctx, &a, INTAKE_ALERTS_PER_DEVICE);
  if (rc == STORE_OK && in->alert_count < ALERTS_TOLD) in->alerts[in->alert_count++] = a;
  return rc;
}

static int count(intake *in, const item *it, store_counter counter, uint64_t *stat) {
  ++*stat;
  return in->config.store->counter_add(in->config.store->ctx, it->device, counter, 1);
}

/* Places the frames that this anchor is the right one for: those from its tick to the next anchor,
 * and where it is the boot's first, those before it. */
static int anchor_write(intake *in, const item *it, const htel_frame *frame,
                        const htel_anchor *anchor) {
  const store *s = in->config.store;
  int rc = s->anchor_put(s->ctx, it->device, frame->boot, anchor, frame->sequence);
  htel_anchor pair[2];
  bool found[2];
  if (rc == STORE_OK)
    rc = s->anchors_near(s->ctx, it->device, frame->boot, anchor->tick, pair, found);
  if (rc != STORE_OK || !found[0]) return rc;
  int64_t offset_ms = placing_offset_ms(&pair[0]); /* of two at one tick, the one that counts */
  uint64_t first = anchor->tick, last = found[1] ? pair[1].tick - 1 : PLACING_TICK_MAX;
  if (anchor->tick > 0) {
    htel_anchor before[2];
    bool known[2];
    rc = s->anchors_near(s->ctx, it->device, frame->boot, anchor->tick - 1, before, known);
    if (rc != STORE_OK) return rc;
    if (!known[0]) first = 0;
  }
  return s->frames_place(s->ctx, it->device, frame->boot, first, last, offset_ms);
}

/* Loss records say what will never come: they are kept of every frame whose envelope is sound. */
static int losses_write(intake *in, const item *it, const htel_frame *frame) {
  const store *s = in->config.store;
  int rc = STORE_OK;
  for (unsigned i = 0; i < frame->loss_count && rc == STORE_OK; i++) {
    rc = s->loss_put(s->ctx, it->device, &frame->losses[i], frame->boot, frame->sequence);
  }
  return rc;
}

static int aside_write(intake *in, const item *it, const frame_check *check, const char *kind,
                       const char *reason) {
  const store *s = in->config.store;
  store_aside aside = {.device = it->device,
                       .keyed = true,
                       .boot = check->boot,
                       .sequence = check->sequence,
                       .digest = check->digest,
                       .reason = reason,
                       .payload = in->bytes + it->at,
                       .payload_size = it->size,
                       .received_ms = it->received_ms};
  store_outcome outcome;
  int rc = s->aside_put(s->ctx, &aside, INTAKE_ASIDES_WHOLE, &outcome);
  if (rc == STORE_OK && outcome != STORE_SAME && !PLANT(42))
    rc = alert(in, it, kind, check, reason);
  if (rc != STORE_OK) return rc;
  return receipt(in, it, check->boot, RECEIPT_QUARANTINED, check->sequence);
}

static int conflict_write(intake *in, const item *it, const frame_check *check) {
  int rc = count(in, it, STORE_CONFLICTS, &in->batch.conflicts);
  if (rc != STORE_OK) return rc;
  return aside_write(in, it, check, "conflict",
                     "another frame is stored under this key: a cloned device, or a boot counter "
                     "that was reset");
}

static int poison_write(intake *in, const item *it, const frame_check *check) {
  in->batch.poison++;
  int rc = check->envelope ? losses_write(in, it, &check->frame) : STORE_OK;
  return rc == STORE_OK ? aside_write(in, it, check, "poison", check->reason) : rc;
}

static int unreadable_write(intake *in, const item *it, const frame_check *check) {
  int rc = count(in, it, STORE_UNREADABLE, &in->batch.unreadable);
  if (rc != STORE_OK || it->size == 0 || it->size > HTEL_FRAME_BYTES_MAX) return rc;
  store_aside aside = {.device = it->device,
                       .digest = check->digest,
                       .reason = check->reason,
                       .payload = in->bytes + it->at,
                       .payload_size = it->size,
                       .received_ms = it->received_ms};
  store_outcome outcome;
  return in->config.store->aside_put(in->config.store->ctx, &aside, INTAKE_UNREADABLE_KEPT,
                                     &outcome);
}

static int duplicate_write(intake *in, const item *it, const frame_check *check) {
  int rc = count(in, it, STORE_DUPLICATES, &in->batch.duplicates);
  return rc == STORE_OK ? receipt(in, it, check->boot, RECEIPT_STORED, check->sequence) : rc;
}

static int birthless_write(intake *in, const item *it, const frame_check *check) {
  int rc = count(in, it, STORE_UNKNOWN_SCHEMA, &in->batch.birthless);
  if (rc != STORE_OK) return rc;
  int64_t now_ms = in->config.clock->tick_ms(in->config.clock->ctx);
  if (!wanted_due(&in->wanted, it->device, now_ms, INTAKE_BIRTH_WANTED_MS)) return STORE_OK;
  return receipt(in, it, check->boot, RECEIPT_BIRTH_WANTED, 0);
}

static int good_write(intake *in, const item *it, const frame_check *check) {
  const store *s = in->config.store;
  const htel_frame *frame = &check->frame;
  htel_anchor pair[2];
  bool found[2];
  int rc = s->anchors_near(s->ctx, it->device, frame->boot, frame->tick, pair, found);
  if (rc != STORE_OK) return rc;
  store_frame f = {.device = it->device,
                   .frame = frame,
                   .digest = check->digest,
                   .readings = &in->readings,
                   .payload = in->bytes + it->at,
                   .payload_size = it->size,
                   .received_ms = it->received_ms,
                   .placed = found[0] || found[1]};
  if (f.placed) f.offset_ms = placing_offset_ms(&pair[found[0] ? 0 : 1]);
  if (PLANT(49) && found[1]) f.offset_ms = placing_offset_ms(&pair[1]);
  store_outcome outcome;
  rc = s->frame_put(s->ctx, &f, &outcome);
  if (rc != STORE_OK) return rc;
  if (outcome == STORE_SAME) return duplicate_write(in, it, check);
  if (outcome == STORE_CONFLICT) return conflict_write(in, it, check);
  in->batch.stored++;
  in->batch.readings += in->readings.sample_count + in->readings.numerics + in->readings.alarms;
  for (unsigned i = 0; i < frame->anchor_count && rc == STORE_OK; i++)
    rc = anchor_write(in, it, frame, &frame->anchors[i]);
  if (rc == STORE_OK) rc = losses_write(in, it, frame);
  return rc == STORE_OK ? receipt(in, it, frame->boot, RECEIPT_STORED, frame->sequence) : rc;
}

static int frame_write(intake *in, const item *it) {
  const store *s = in->config.store;
  frame_check check;
  frame_open(&check, in->bytes + it->at, it->size);
  if (check.fate == FRAME_LATER) return STORE_AGAIN;
  if (check.fate == FRAME_UNREADABLE) return unreadable_write(in, it, &check);

  /* A key that is here already decides alone, whatever else there is to say about the frame. */
  store_outcome outcome;
  int rc = s->frame_find(s->ctx, it->device, check.boot, check.sequence, check.digest, &outcome);
  if (rc != STORE_OK) return rc;
  if (PLANT(26) && outcome == STORE_CONFLICT) outcome = STORE_SAME;
  if (outcome == STORE_SAME) return duplicate_write(in, it, &check);
  if (outcome == STORE_CONFLICT) return conflict_write(in, it, &check);
  if (check.fate == FRAME_POISON) return poison_write(in, it, &check);

  const htel_birth *birth;
  rc = births_find(&in->births, s, it->device, check.frame.schema, &birth);
  if (rc != STORE_OK) return rc;
  if (birth == NULL) return birthless_write(in, it, &check);
  frame_read(&check, &in->reader, birth, &in->readings);
  if (check.fate == FRAME_LATER) return STORE_AGAIN;
  if (check.fate == FRAME_POISON) return poison_write(in, it, &check);
  return good_write(in, it, &check);
}

static int birth_refused(intake *in, const item *it, const char *why) {
  int rc = count(in, it, STORE_BIRTHS_REFUSED, &in->batch.births_refused);
  return rc == STORE_OK ? alert(in, it, "birth", NULL, why) : rc;
}

static int birth_write(intake *in, const item *it) {
  const store *s = in->config.store;
  if (it->size == 0) return STORE_OK; /* a retained birth that was cleared */
  htel_birth *birth = &in->births.scratch;
  const uint8_t *bytes = in->bytes + it->at;
  if (it->size > HTEL_FRAME_BYTES_MAX || htel_birth_decode(birth, bytes, it->size) < 0)
    return birth_refused(in, it, "cannot be read");
  store_outcome outcome;
  int rc = s->birth_put(s->ctx, it->device, birth, bytes, it->size, it->received_ms,
                        INTAKE_BIRTHS_PER_DEVICE, &outcome);
  if (rc != STORE_OK) return rc;
  if (outcome == STORE_NEW || outcome == STORE_SAME) {
    in->batch.births++;
    return receipt(in, it, 0, RECEIPT_BIRTH, birth->schema);
  }
  return birth_refused(in, it,
                       outcome == STORE_QUOTA ? "more births than a device may have"
                                              : "another birth is stored under this schema");
}

static int status_write(intake *in, const item *it) {
  bool online;
  uint64_t boot;
  if (it->size > HTEL_FRAME_BYTES_MAX ||
      !message_status(in->bytes + it->at, it->size, &online, &boot))
    return STORE_OK;
  in->batch.statuses++;
  return in->config.store->status_put(in->config.store->ctx, it->device, online, boot,
                                      it->received_ms);
}

static int item_write(intake *in, const item *it) {
  switch (it->kind) {
    case MESSAGE_FRAME: return frame_write(in, it);
    case MESSAGE_BIRTH: return birth_write(in, it);
    case MESSAGE_STATUS: return status_write(in, it);
    case MESSAGE_NONE: break;
  }
  return STORE_OK;
}

/* ---- Writing a batch ----------------------------------------------------------------- */

/* One transaction. Afterwards either everything of it is committed and noted, or nothing. */
static int transact(intake *in, size_t first, size_t messages) {
  const store *s = in->config.store;
  receipts_clear(&in->receipts);
  in->batch = (intake_stats){0};
  in->alert_count = 0;
  int rc = s->begin(s->ctx);
  for (size_t i = 0; i < messages && rc == STORE_OK; i++)
    rc = item_write(in, &in->items[first + i]);
  if (rc == STORE_OK) rc = s->commit(s->ctx);
  if (rc == STORE_OK) return STORE_OK;
  s->rollback(s->ctx);
  if (PLANT(41)) return STORE_OK;
  births_forget(&in->births); /* one of them may have been rolled back */
  receipts_clear(&in->receipts);
  return rc;
}

static void stats_take(intake *in) {
  intake_stats *t = &in->stats;
  const intake_stats *b = &in->batch;
  t->stored += b->stored;
  t->readings += b->readings;
  t->duplicates += b->duplicates;
  t->conflicts += b->conflicts;
  t->poison += b->poison;
  t->unreadable += b->unreadable;
  t->birthless += b->birthless;
  t->births += b->births;
  t->births_refused += b->births_refused;
  t->statuses += b->statuses;
  t->commits++;
}

static void send_receipt(void *arg, const char *device, const uint8_t *bytes, size_t size) {
  intake *in = arg;
  char topic[sizeof "htel/v1//receipt" + DEVICE_BYTES];
  snprintf(topic, sizeof topic, "htel/v1/%s/receipt", device);
  const source *src = in->config.source;
  if (src->publish(src->ctx, topic, bytes, size))
    in->stats.receipts++;
  else
    in->stats.receipts_dropped++;
}

static void committed(intake *in) {
  const intake_clock *clock = in->config.clock;
  stats_take(in);
  for (unsigned i = 0; i < in->alert_count && in->config.alert != NULL; i++)
    in->config.alert(in->config.alert_arg, &in->alerts[i]);
  if (in->config.pause_after_commit_ms > 0)
    clock->sleep_ms(clock->ctx, in->config.pause_after_commit_ms);
  receipts_send(&in->receipts, clock->utc_ms(clock->ctx), in->config.pause_ms, send_receipt, in);
}

static void batch_clear(intake *in) {
  in->item_count = in->byte_count = 0;
  in->gathered = false;
  in->retry_ms = 0;
}

/* Not stored, not receipted, and so never without a word. */
static void tell_refused(intake *in, const item *it) {
  in->stats.refused++;
  store_alert a = {.device = it->device,
                   .kind = "refused",
                   .detail = "the database will not take this message, however often it comes",
                   .utc_ms = it->received_ms};
  if (in->config.alert != NULL) in->config.alert(in->config.alert_arg, &a);
}

/* The store refused the batch for something in it: each message on its own, so that one cannot hold
 * up all others. What is refused alone is not receipted. */
static int write_singly(intake *in) {
  size_t done = 0;
  for (; done < in->item_count; done++) {
    int rc = transact(in, done, 1);
    if (rc == STORE_AGAIN) break;
    if (rc == STORE_OK)
      committed(in);
    else
      tell_refused(in, &in->items[done]);
  }
  if (done == in->item_count) return STORE_OK;
  in->item_count -= done;
  memmove(in->items, in->items + done, in->item_count * sizeof *in->items);
  return STORE_AGAIN;
}

static int hold_up(intake *in) {
  in->stats.commit_retries++;
  in->retry_ms = in->retry_ms == 0 ? RETRY_MS_FIRST : 2 * in->retry_ms;
  if (in->retry_ms > RETRY_MS_MAX) in->retry_ms = RETRY_MS_MAX;
  in->config.clock->sleep_ms(in->config.clock->ctx, in->retry_ms);
  return INTAKE_HELD_UP;
}

int intake_step(intake *in, uint32_t wait_ms) {
  int source_rc = SOURCE_NONE;
  if (!in->gathered) source_rc = gather(in, wait_ms);
  if (in->item_count == 0) return source_rc == SOURCE_END ? INTAKE_END : INTAKE_IDLE;
  in->gathered = true;
  int rc = transact(in, 0, in->item_count);
  if (rc == STORE_OK)
    committed(in);
  else if (rc == STORE_REFUSED)
    rc = write_singly(in);
  if (rc != STORE_OK) return hold_up(in);
  batch_clear(in);
  return INTAKE_WROTE;
}
