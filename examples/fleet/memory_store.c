/* SPDX-License-Identifier: Apache-2.0 */
/* memory_store.c - the writing half: transactions with a journal that takes them back.
 *
 * Changes are made in place at once, and a line is written into the journal for each; a rollback
 * reads it from its end. A commit forgets it: that is all it does. */
#include "memory_store.h"

#include <stdlib.h>
#include <string.h>

#include "memory_parts.h"

#define CHANGE_LINES 2u /* of the journal, for one change: a device that is new, and itself */

_Static_assert(READINGS_SAMPLES_MAX < 1u << 21 && READINGS_EVENTS_MAX < 1u << 17,
               "mem_frame has room for what a frame may hold");
_Static_assert(sizeof(mem_frame) == 24, "most of the memory of a run is these");

/* ---- Taking back ----------------------------------------------------------------------------- */

static void undo_aside(mem_device *d, const mem_undo *u) {
  bool keyed = u->was.aside.keyed;
  list_remove(&d->digests, sizeof(mem_digest), digest_place(d, u->was.aside.digest.bytes).at);
  if (keyed) list_remove(&d->keys, sizeof(mem_key), key_place(d, (mem_key){u->boot, u->number}).at);
  d->asides[keyed]--;
}

static void undo_birth(memory_store *m, mem_device *d, uint32_t schema) {
  uint32_t at = birth_place(d, schema).at;
  mem_birth *birth = list_at(&d->births, sizeof *birth, at);
  m->bytes -= birth->size;
  d->bytes -= birth->size;
  free(birth->bytes);
  list_remove(&d->births, sizeof *birth, at);
}

static void undo_anchor(const mem_device *d, const mem_undo *u) {
  mem_boot *b = boot_find(d, u->boot);
  uint32_t at = anchor_place(b, u->was.anchor.anchor.tick).at;
  if (u->kind == UNDO_ANCHOR)
    list_remove(&b->anchors, sizeof(mem_anchor), at);
  else
    *(mem_anchor *)list_at(&b->anchors, sizeof(mem_anchor), at) = u->was.anchor;
}

static void undo_loss(mem_device *d, const mem_undo *u) {
  uint32_t at = loss_place(d, u->was.loss.carrier_boot, u->was.loss.loss.id).at;
  if (u->kind == UNDO_LOSS)
    list_remove(&d->losses, sizeof(store_loss_row), at);
  else
    *(store_loss_row *)list_at(&d->losses, sizeof(store_loss_row), at) = u->was.loss;
}

static void undo_frame(const mem_device *d, const mem_undo *u) {
  mem_boot *b = boot_find(d, u->boot);
  list_remove(&b->frames, sizeof(mem_frame), frame_place(b, u->number).at);
}

static void undo(memory_store *m, const mem_undo *u) {
  mem_device *d = u->device;
  switch (u->kind) {
    case UNDO_DEVICE: d->known = false; break;
    case UNDO_FRAME: undo_frame(d, u); break;
    case UNDO_ANCHOR:
    case UNDO_ANCHOR_CHANGE: undo_anchor(d, u); break;
    case UNDO_LOSS:
    case UNDO_LOSS_CHANGE: undo_loss(d, u); break;
    case UNDO_BIRTH: undo_birth(m, d, u->number); break;
    case UNDO_ASIDE: undo_aside(d, u); break;
    case UNDO_ALERT: d->alerts.count--; break;
    case UNDO_COUNTER: d->counters[u->number] -= u->was.by; break;
  }
}

/* ---- Transactions ---------------------------------------------------------------------------- */

static int fail(memory_store *m) {
  m->failed = true;
  return STORE_AGAIN;
}

/* Each function of the store begins with it: may it go on? */
static int operation(memory_store *m) {
  if (!m->open) return STORE_OK;
  if (m->failed || (m->fail_in > 0 && --m->fail_in == 0)) return fail(m);
  return STORE_OK;
}

/* A file that is locked fails here, a disk that is full at the end: by turns. */
static int begin(void *ctx) {
  memory_store *m = ctx;
  if (m->open) return fail(m);
  if (m->broken && m->broken_begins++ % 2 == 0) return STORE_AGAIN;
  m->open = true;
  m->failed = false;
  return operation(m);
}

static int commit(void *ctx) {
  memory_store *m = ctx;
  if (!m->open) return STORE_AGAIN;
  int rc = operation(m);
  if (rc != STORE_OK) return rc;
  if (m->broken || (m->gate != NULL && !m->gate(m->gate_ctx))) return fail(m);
  m->open = false;
  m->undo_count = 0;
  if (m->watch.committed != NULL) m->watch.committed(m->watch.ctx);
  return STORE_OK;
}

static void rollback(void *ctx) {
  memory_store *m = ctx;
  if (!m->open) return;
  while (m->undo_count > 0) undo(m, &m->journal[--m->undo_count]);
  m->open = false;
  if (m->watch.rolled_back != NULL) m->watch.rolled_back(m->watch.ctx);
}

static bool journal_reserve(memory_store *m) {
  if (m->undo_room - m->undo_count >= CHANGE_LINES) return true;
  size_t room = m->undo_room == 0 ? 64 : 2 * m->undo_room;
  mem_undo *journal = realloc(m->journal, room * sizeof *journal);
  if (journal == NULL) return false;
  m->journal = journal;
  m->bytes += (room - m->undo_room) * sizeof *journal;
  m->undo_room = room;
  return true;
}

/* There is room: change_begin saw to it. */
static mem_undo *note(memory_store *m, mem_undo_kind kind, mem_device *d) {
  mem_undo *u = &m->journal[m->undo_count++];
  u->kind = kind;
  u->device = d;
  return u;
}

/* Each function that writes begins with it: the device is known from then on, as is a row of its
 * table. */
static int change_begin(memory_store *m, const char *device, mem_device **out) {
  if (!m->open) return STORE_AGAIN;
  int rc = operation(m);
  if (rc != STORE_OK) return rc;
  if (!journal_reserve(m)) return fail(m);
  mem_device *d = *out = device_need(m, device);
  if (d == NULL) return fail(m);
  if (d->known) return STORE_OK;
  note(m, UNDO_DEVICE, d);
  d->known = true;
  return STORE_OK;
}

/* ---- Frames ---------------------------------------------------------------------------------- */

static uint64_t digest_head(const uint8_t *digest) {
  uint64_t head;
  memcpy(&head, digest, sizeof head);
  return head;
}

static store_outcome frame_outcome(const mem_boot *b, mem_place place, const uint8_t *digest) {
  if (!place.found) return STORE_NEW;
  const mem_frame *frames = b->frames.items;
  return frames[place.at].digest == digest_head(digest) ? STORE_SAME : STORE_CONFLICT;
}

static int frame_find(void *ctx, const char *device, uint64_t boot, uint32_t sequence,
                      const uint8_t *digest, store_outcome *outcome) {
  *outcome = STORE_NEW;
  int rc = operation(ctx);
  if (rc != STORE_OK) return rc;
  const mem_device *d = device_find(ctx, device);
  const mem_boot *b = d == NULL ? NULL : boot_find(d, boot);
  if (b != NULL) *outcome = frame_outcome(b, frame_place(b, sequence), digest);
  return STORE_OK;
}

static int frame_put(void *ctx, const store_frame *f, store_outcome *outcome) {
  memory_store *m = ctx;
  mem_device *d;
  int rc = change_begin(m, f->device, &d);
  if (rc != STORE_OK) return rc;
  mem_boot *b = boot_need(m, d, f->frame->boot);
  if (b == NULL) return fail(m);
  mem_place place = frame_place(b, f->frame->sequence);
  *outcome = frame_outcome(b, place, f->digest);
  if (place.found) return STORE_OK;
  mem_frame *frame = list_insert(m, d, &b->frames, sizeof *frame, place.at);
  if (frame == NULL) return fail(m);
  *frame = (mem_frame){.digest = digest_head(f->digest),
                       .samples = f->readings->sample_count & 0x1fffffu,
                       .numerics = f->readings->numerics & 0x1ffffu,
                       .alarms = f->readings->alarms & 0x1ffffu,
                       .frame_class = f->frame->frame_class,
                       .sequence = f->frame->sequence,
                       .payload_bytes = (uint32_t)f->payload_size};
  mem_undo *u = note(m, UNDO_FRAME, d);
  u->boot = f->frame->boot;
  u->number = f->frame->sequence;
  if (m->watch.frame != NULL) m->watch.frame(m->watch.ctx, f);
  return STORE_OK;
}

/* ---- What is kept aside, lost, alerted ------------------------------------------------------- */

static int aside_insert(memory_store *m, mem_device *d, const store_aside *aside) {
  mem_digest *digest =
      list_insert(m, d, &d->digests, sizeof *digest, digest_place(d, aside->digest).at);
  if (digest == NULL) return fail(m);
  memcpy(digest->bytes, aside->digest, DIGEST_BYTES);
  mem_undo *u = note(m, UNDO_ASIDE, d);
  u->was.aside.digest = *digest;
  u->was.aside.keyed = false; /* until it is in that table too */
  d->asides[0]++;
  if (aside->keyed) {
    mem_key key = {aside->boot, aside->sequence};
    mem_key *place = list_insert(m, d, &d->keys, sizeof *place, key_place(d, key).at);
    if (place == NULL) return fail(m);
    *place = key;
    u->was.aside.keyed = true;
    u->boot = key.boot;
    u->number = key.sequence;
    d->asides[0]--;
    d->asides[1]++;
  }
  if (m->watch.aside != NULL) m->watch.aside(m->watch.ctx, aside);
  return STORE_OK;
}

static int aside_put(void *ctx, const store_aside *aside, uint32_t limit, store_outcome *outcome) {
  memory_store *m = ctx;
  mem_device *d;
  int rc = change_begin(m, aside->device, &d);
  if (rc != STORE_OK) return rc;
  *outcome = STORE_SAME;
  if (digest_place(d, aside->digest).found) return STORE_OK;
  bool over = d->asides[aside->keyed] >= limit;
  *outcome = over ? STORE_QUOTA : STORE_NEW;
  return over && !aside->keyed ? STORE_OK : aside_insert(m, d, aside);
}

static int loss_put(void *ctx, const char *device, const htel_loss *loss, uint64_t carrier_boot,
                    uint32_t carrier_sequence) {
  memory_store *m = ctx;
  mem_device *d;
  int rc = change_begin(m, device, &d);
  if (rc != STORE_OK) return rc;
  store_loss_row row = {*loss, carrier_boot, carrier_sequence};
  mem_place place = loss_place(d, carrier_boot, loss->id);
  if (place.found) {
    store_loss_row *old = list_at(&d->losses, sizeof row, place.at);
    if (old->loss.readings > loss->readings ||
        (old->loss.readings == loss->readings && old->loss.frames >= loss->frames))
      return STORE_OK;
    note(m, UNDO_LOSS_CHANGE, d)->was.loss = *old;
    *old = row;
    return STORE_OK;
  }
  store_loss_row *hole = list_insert(m, d, &d->losses, sizeof row, place.at);
  if (hole == NULL) return fail(m);
  *hole = row;
  note(m, UNDO_LOSS, d)->was.loss = row;
  return STORE_OK;
}

static int alert_put(void *ctx, const store_alert *alert, uint32_t limit) {
  memory_store *m = ctx;
  mem_device *d;
  int rc = change_begin(m, alert->device, &d);
  if (rc != STORE_OK || d->alerts.count >= limit) return rc;
  store_alert *hole = list_insert(m, d, &d->alerts, sizeof *hole, d->alerts.count);
  if (hole == NULL) return fail(m);
  *hole = *alert; /* kind and detail are static text */
  hole->device = d->id;
  if (!alert->keyed) {
    hole->boot = 0;
    hole->sequence = 0;
  }
  note(m, UNDO_ALERT, d);
  return STORE_OK;
}

static int counter_add(void *ctx, const char *device, store_counter counter, uint32_t by) {
  memory_store *m = ctx;
  mem_device *d;
  int rc = change_begin(m, device, &d);
  if (rc != STORE_OK) return rc;
  d->counters[counter] += by;
  mem_undo *u = note(m, UNDO_COUNTER, d);
  u->number = (uint32_t)counter;
  u->was.by = by;
  return STORE_OK;
}

/* Nobody asks the store for it: the device is known from now on, and that is all. */
static int status_put(void *ctx, const char *device, bool online, uint64_t boot,
                      int64_t received_ms) {
  (void)online;
  (void)boot;
  (void)received_ms;
  mem_device *d;
  return change_begin(ctx, device, &d);
}

/* ---- Births ---------------------------------------------------------------------------------- */

static int birth_insert(memory_store *m, mem_device *d, uint32_t at, const htel_birth *birth,
                        const uint8_t *bytes, size_t size) {
  uint8_t *copy = malloc(size + 1);
  mem_birth *hole = copy == NULL ? NULL : list_insert(m, d, &d->births, sizeof *hole, at);
  if (hole == NULL) {
    free(copy);
    return fail(m);
  }
  memcpy(copy, bytes, size);
  *hole = (mem_birth){birth->schema, (uint32_t)size, copy};
  m->bytes += size;
  d->bytes += size;
  note(m, UNDO_BIRTH, d)->number = birth->schema;
  return STORE_OK;
}

static int birth_put(void *ctx, const char *device, const htel_birth *birth, const uint8_t *bytes,
                     size_t size, int64_t received_ms, uint32_t limit, store_outcome *outcome) {
  (void)received_ms;
  memory_store *m = ctx;
  mem_device *d;
  int rc = change_begin(m, device, &d);
  if (rc != STORE_OK) return rc;
  mem_place place = birth_place(d, birth->schema);
  if (place.found) {
    const mem_birth *known = list_at(&d->births, sizeof *known, place.at);
    bool same = known->size == size && memcmp(known->bytes, bytes, size) == 0;
    *outcome = same ? STORE_SAME : STORE_CONFLICT;
    return STORE_OK;
  }
  *outcome = d->births.count >= limit ? STORE_QUOTA : STORE_NEW;
  return *outcome == STORE_QUOTA ? STORE_OK : birth_insert(m, d, place.at, birth, bytes, size);
}

static int birth_get(void *ctx, const char *device, uint32_t schema, uint8_t *buf, size_t room,
                     size_t *size) {
  *size = 0;
  int rc = operation(ctx);
  if (rc != STORE_OK) return rc;
  const mem_device *d = device_find(ctx, device);
  mem_place place = d == NULL ? (mem_place){0, false} : birth_place(d, schema);
  if (!place.found) return STORE_OK;
  const mem_birth *birth = list_at(&d->births, sizeof *birth, place.at);
  if (birth->size > room) return STORE_OK;
  memcpy(buf, birth->bytes, birth->size);
  *size = birth->size;
  return STORE_OK;
}

/* ---- Placing --------------------------------------------------------------------------------- */

static int anchor_put(void *ctx, const char *device, uint64_t boot, const htel_anchor *anchor,
                      uint32_t sequence) {
  memory_store *m = ctx;
  mem_device *d;
  int rc = change_begin(m, device, &d);
  if (rc != STORE_OK) return rc;
  mem_boot *b = boot_need(m, d, boot);
  if (b == NULL) return fail(m);
  mem_anchor item = {*anchor, sequence};
  mem_place place = anchor_place(b, anchor->tick);
  if (place.found) {
    mem_anchor *old = list_at(&b->anchors, sizeof item, place.at);
    if (old->sequence >= sequence) return STORE_OK;
    mem_undo *u = note(m, UNDO_ANCHOR_CHANGE, d);
    u->boot = boot;
    u->was.anchor = *old;
    *old = item;
    return STORE_OK;
  }
  mem_anchor *hole = list_insert(m, d, &b->anchors, sizeof item, place.at);
  if (hole == NULL) return fail(m);
  *hole = item;
  mem_undo *u = note(m, UNDO_ANCHOR, d);
  u->boot = boot;
  u->was.anchor = item;
  return STORE_OK;
}

static int anchors_near(void *ctx, const char *device, uint64_t boot, uint64_t tick,
                        htel_anchor pair[2], bool found[2]) {
  found[0] = found[1] = false;
  int rc = operation(ctx);
  if (rc != STORE_OK) return rc;
  const mem_device *d = device_find(ctx, device);
  const mem_boot *b = d == NULL ? NULL : boot_find(d, boot);
  if (b == NULL) return STORE_OK;
  const mem_anchor *anchors = b->anchors.items;
  mem_place place = anchor_place(b, tick);
  uint32_t after = place.at + place.found;
  found[0] = after > 0;
  if (found[0]) pair[0] = anchors[after - 1].anchor;
  found[1] = after < b->anchors.count;
  if (found[1]) pair[1] = anchors[after].anchor;
  return STORE_OK;
}

/* The offset itself is with whoever watches. */
static int frames_place(void *ctx, const char *device, uint64_t boot, uint64_t tick_first,
                        uint64_t tick_last, int64_t offset_ms) {
  memory_store *m = ctx;
  if (!m->open) return STORE_AGAIN;
  int rc = operation(m);
  if (rc != STORE_OK || device_find(m, device) == NULL) return rc;
  if (m->watch.placed != NULL)
    m->watch.placed(m->watch.ctx, device, boot, tick_first, tick_last, offset_ms);
  return STORE_OK;
}

/* ---- Life ------------------------------------------------------------------------------------ */

memory_store *memory_store_new(const memory_watch *watch) {
  memory_store *m = calloc(1, sizeof *m);
  if (m == NULL) return NULL;
  if (watch != NULL) m->watch = *watch;
  m->bytes = sizeof *m;
  m->face = (store){.ctx = m,
                    .begin = begin,
                    .commit = commit,
                    .rollback = rollback,
                    .frame_put = frame_put,
                    .frame_find = frame_find,
                    .aside_put = aside_put,
                    .loss_put = loss_put,
                    .birth_put = birth_put,
                    .birth_get = birth_get,
                    .status_put = status_put,
                    .counter_add = counter_add,
                    .alert_put = alert_put,
                    .anchor_put = anchor_put,
                    .anchors_near = anchors_near,
                    .frames_place = frames_place,
                    .close = rollback};
  memory_add_readers(&m->face);
  return m;
}

void memory_store_free(memory_store *m) {
  if (m == NULL) return;
  device_free_all(m);
  free(m->journal);
  free(m);
}

const store *memory_store_of(memory_store *m) {
  return &m->face;
}

void memory_store_break(memory_store *m, bool broken) {
  m->broken = broken;
}

void memory_store_fail_in(memory_store *m, uint32_t operations) {
  m->fail_in = operations;
}

void memory_store_gate(memory_store *m, bool (*gate)(void *ctx), void *ctx) {
  m->gate = gate;
  m->gate_ctx = ctx;
}

size_t memory_store_bytes(const memory_store *m) {
  return m->bytes;
}

size_t memory_store_bytes_of(const memory_store *m, const char *device) {
  for (uint32_t i = 0; i < m->device_count; i++)
    if (strcmp(m->devices[i]->id, device) == 0) return m->devices[i]->bytes;
  return 0;
}
