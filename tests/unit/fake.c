/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

uint32_t fake_random(fake *f) {
  /* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators") */
  f->seed ^= f->seed >> 12;
  f->seed ^= f->seed << 25;
  f->seed ^= f->seed >> 27;
  return (uint32_t)(f->seed * 0x2545F4914F6CDD1DULL >> 32);
}

static bool chance(fake *f, unsigned pct) {
  return pct > 0 && fake_random(f) % 100u < pct;
}

/* ---- port ------------------------------------------------------------------------------ */

static uint32_t port_tick(void *ctx) {
  return ((fake *)ctx)->tick_ms;
}

static int port_random(void *ctx, uint8_t *buf, size_t size) {
  fake *f = ctx;
  if (f->random_fails) return HTEL_E_RANDOM;
  for (size_t i = 0; i < size; i++) buf[i] = (uint8_t)fake_random(f);
  return 0;
}

static int port_boot_begin(void *ctx, htel_boot *boot) {
  *boot = ((fake *)ctx)->boot;
  return 0;
}

static int port_boot_end(void *ctx) {
  ((fake *)ctx)->boot_ended = true;
  return 0;
}

static int port_utc(void *ctx, int64_t *utc_ms, uint32_t *uncertainty_ms) {
  fake *f = ctx;
  if (!f->has_utc) return HTEL_E_AGAIN;
  *utc_ms = f->utc_ms + f->tick_ms;
  *uncertainty_ms = 10;
  return 0;
}

static void port_wake(void *ctx) {
  ((fake *)ctx)->wakes++;
}

/* ---- link ------------------------------------------------------------------------------ */

static void event_put(fake *f, htel_link_event event) {
  assert_true(f->event_count < FAKE_EVENTS_MAX);
  f->events[(f->event_first + f->event_count++) % FAKE_EVENTS_MAX] = event;
}

static int link_open(void *ctx, const htel_link_session *session) {
  fake *f = ctx;
  assert_false(f->open);
  if (f->open_again > 0) {
    f->open_again--;
    return HTEL_E_AGAIN;
  }
  f->open = true;
  f->opens++;
  f->up = false;
  f->up_at = f->tick_ms + f->connect_ms;
  strncpy(f->client_id, session->client_id, sizeof f->client_id - 1);
  strncpy(f->will, session->will_topic, sizeof f->will - 1);
  return 0;
}

static int reply(fake *f, uint32_t delay_ms, uint32_t token, const htel_receipt *receipt) {
  for (unsigned i = 0; i < FAKE_PENDING_MAX; i++) {
    if (f->pending[i].used) continue;
    f->pending[i].used = true;
    f->pending[i].at = f->tick_ms + delay_ms;
    f->pending[i].token = token;
    f->pending[i].receipt = receipt != NULL;
    if (receipt != NULL) {
      int n = htel_receipt_encode(receipt, f->pending[i].bytes, sizeof f->pending[i].bytes);
      assert_true(n > 0);
      f->pending[i].size = (size_t)n;
    }
    return 0;
  }
  return HTEL_E_FULL;
}

static void series_add(fake_series *s, uint64_t tick, int32_t value, uint8_t quality) {
  if (s->count == s->room) {
    s->room = s->room == 0 ? 1024 : s->room * 2;
    s->readings = realloc(s->readings, s->room * sizeof *s->readings);
    assert_non_null(s->readings);
  }
  s->readings[s->count++] = (fake_reading){.tick = tick, .value = value, .quality = quality};
}

const fake_frame *fake_find(const fake *f, uint32_t sequence) {
  for (size_t i = 0; i < f->frame_count; i++)
    if (f->frames[i].sequence == sequence) return &f->frames[i];
  return NULL;
}

const fake_frame *fake_find_of(const fake *f, uint64_t boot, uint32_t sequence) {
  for (size_t i = f->frame_count; i-- > 0;)
    if (f->frames[i].sequence == sequence && f->frames[i].boot == boot) return &f->frames[i];
  return NULL;
}

void fake_reset(fake *f) {
  f->open = f->up = false;
  f->event_first = f->event_count = 0;
  memset(f->pending, 0, sizeof f->pending);
}

static void store(fake *f, const htel_frame *frame) {
  static htel_reader reader;
  static htel_series series;
  if (f->frame_count == f->frame_room) {
    f->frame_room = f->frame_room == 0 ? 256 : f->frame_room * 2;
    f->frames = realloc(f->frames, f->frame_room * sizeof *f->frames);
    assert_non_null(f->frames);
  }
  fake_frame *kept = &f->frames[f->frame_count++];
  *kept = (fake_frame){
      .boot = frame->boot, .sequence = frame->sequence, .frame_class = frame->frame_class};
  f->session_last = frame->session;
  assert_int_equal(htel_reader_open(&reader, frame, &f->birth), 0);
  int rc;
  while ((rc = htel_reader_next(&reader, &series)) == 1) {
    kept->readings += series.count;
    for (unsigned i = 0; i < series.count; i++)
      series_add(series.kind == HTEL_ALARM ? &f->alarms : &f->series[series.channel],
                 series.ticks[i],
                 series.kind == HTEL_ALARM ? (int32_t)series.alarms[i].code : series.values[i],
                 series.kind == HTEL_ALARM ? series.alarms[i].priority : series.quality[i]);
  }
  assert_int_equal(rc, 0);
  for (unsigned i = 0; i < frame->loss_count; i++) {
    assert_true(f->loss_count < sizeof f->losses / sizeof f->losses[0]);
    f->losses[f->loss_count++] = frame->losses[i];
  }
  for (unsigned i = 0; i < frame->anchor_count && f->anchor_count < 256; i++)
    f->anchors[f->anchor_count++] = frame->anchors[i];
}

static void ingest_frame(fake *f, const uint8_t *bytes, uint32_t size) {
  htel_frame frame;
  assert_int_equal(htel_frame_decode(&frame, bytes, size), 0);
  htel_receipt receipt = {.boot = frame.boot, .pause_ms = f->pause_ms};
  if (f->server_time) receipt.utc_ms = f->utc_ms + f->tick_ms + f->receipt_ms / 2;
  if (!f->knows_birth) {
    receipt.birth_wanted = true;
    reply(f, f->receipt_ms, 0, &receipt);
    return;
  }
  htel_range range = {frame.sequence, frame.sequence};
  if (f->quarantine) {
    receipt.quarantined[receipt.quarantined_count++] = range;
  } else {
    if (fake_find_of(f, frame.boot, frame.sequence) != NULL)
      f->duplicates++;
    else
      store(f, &frame);
    receipt.stored[receipt.stored_count++] = range;
  }
  if (f->no_receipts || chance(f, f->lose_receipts_pct)) return;
  reply(f, f->receipt_ms, 0, &receipt);
  if (chance(f, f->repeat_receipts_pct)) reply(f, f->receipt_ms * 3 + 5, 0, &receipt);
}

static void ingest(fake *f, const char *topic, const uint8_t *bytes, uint32_t size) {
  const char *last = strrchr(topic, '/');
  if (strcmp(last, "/birth") == 0) {
    f->births++;
    assert_int_equal(htel_birth_decode(&f->birth, bytes, size), 0);
    f->knows_birth = true;
    htel_receipt receipt = {.birth_count = 1, .births = {f->birth.schema}};
    if (!f->no_receipts) reply(f, f->receipt_ms, 0, &receipt);
  } else if (strcmp(last, "/status") == 0) {
    f->statuses++;
    if (size > 0 && bytes[0] == 0x08)
      f->online_said = true;
    else
      f->offline_said = true;
  } else {
    ingest_frame(f, bytes, size);
  }
}

static int link_publish(void *ctx, const htel_message *m) {
  fake *f = ctx;
  static uint8_t bytes[HTEL_FRAME_BYTES_MAX];
  assert_true(f->up);
  assert_true(m->size <= sizeof bytes);
  if (f->publish_room > 0 && f->taken >= f->publish_room) return HTEL_E_AGAIN;
  f->taken++;
  f->publishes++;
  f->bytes += m->size;
  if (m->size > f->frame_bytes_max) f->frame_bytes_max = m->size;
  /* In pieces, as a small link would pull it. */
  for (uint32_t at = 0; at < m->size;) {
    uint32_t n = m->size - at < 100 ? m->size - at : 100;
    if (m->read(m->source, m->token, at, bytes + at, n) != 0) { /* the flash has no power */
      assert_true(f->reads_may_fail);
      fake_cut(f, HTEL_E_CLOSED);
      return HTEL_E_CLOSED;
    }
    at += n;
  }
  if (f->tap != NULL) f->tap(f->tap_ctx, m->topic, bytes, m->size);
  if (chance(f, f->lose_frames_pct)) return 0; /* the broker forgot it, acknowledged or not */
  if (!f->no_acks && !chance(f, f->lose_acks_pct)) reply(f, f->ack_ms, m->token, NULL);
  ingest(f, m->topic, bytes, m->size);
  return 0;
}

static int link_next(void *ctx, htel_link_event *event) {
  fake *f = ctx;
  f->taken = 0;
  if (f->open && !f->up && f->reachable && (int32_t)(f->tick_ms - f->up_at) >= 0) {
    f->up = true;
    event_put(f, (htel_link_event){.kind = HTEL_LINK_UP});
  } else if (f->open && !f->up && !f->reachable && (int32_t)(f->tick_ms - f->up_at) >= 0) {
    fake_cut(f, HTEL_E_CONNECT);
  }
  if (f->event_count > 0) {
    *event = f->events[f->event_first];
    f->event_first = (f->event_first + 1) % FAKE_EVENTS_MAX;
    f->event_count--;
    return 1;
  }
  if (!f->up) return 0;
  for (unsigned i = 0; i < FAKE_PENDING_MAX; i++) {
    if (!f->pending[i].used || (int32_t)(f->tick_ms - f->pending[i].at) < 0) continue;
    f->pending[i].used = false;
    if (f->pending[i].receipt) {
      memcpy(f->message, f->pending[i].bytes, f->pending[i].size);
      *event = (htel_link_event){
          .kind = HTEL_LINK_MESSAGE, .payload = f->message, .size = f->pending[i].size};
    } else {
      *event = (htel_link_event){.kind = HTEL_LINK_ACKED, .token = f->pending[i].token};
    }
    return 1;
  }
  return 0;
}

static uint32_t link_wait(void *ctx) {
  fake *f = ctx;
  uint32_t wait = 1000;
  if (f->open && !f->up) wait = 10;
  for (unsigned i = 0; f->up && i < FAKE_PENDING_MAX; i++) {
    if (!f->pending[i].used) continue;
    int32_t left = (int32_t)(f->pending[i].at - f->tick_ms);
    if (left < (int32_t)wait) wait = left > 0 ? (uint32_t)left : 0;
  }
  return wait;
}

void fake_cut(fake *f, int error) {
  if (!f->open) return;
  f->open = false;
  f->up = false;
  for (unsigned i = 0; i < FAKE_PENDING_MAX; i++) f->pending[i].used = false;
  event_put(f, (htel_link_event){.kind = HTEL_LINK_DOWN, .error = error});
}

static void link_close(void *ctx) {
  fake_cut(ctx, 0);
}

/* ---- the test's side ------------------------------------------------------------------- */

void fake_init(fake *f, uint64_t seed) {
  memset(f, 0, sizeof *f);
  f->seed = seed * 0x9E3779B97F4A7C15ULL + 1;
  f->reachable = true;
  f->connect_ms = 20;
  f->ack_ms = 5;
  f->receipt_ms = 30;
  f->knows_birth = true;
  f->tick_ms = 1000;
  f->link = (htel_link){.ctx = f,
                        .open = link_open,
                        .publish = link_publish,
                        .next = link_next,
                        .wait_ms = link_wait,
                        .close = link_close};
  f->has_boot = true;
  f->boot.number = 7;
  f->port = (htel_port){.ctx = f,
                        .tick_ms = port_tick,
                        .random = port_random,
                        .boot_begin = port_boot_begin,
                        .boot_end = port_boot_end,
                        .utc = port_utc,
                        .wake = port_wake,
                        .link = &f->link};
}

void fake_free(fake *f) {
  free(f->frames);
  for (unsigned i = 0; i < HTEL_CHANNELS_MAX; i++) free(f->series[i].readings);
  free(f->alarms.readings);
}

void fake_run(fake *f, htel *tel, uint32_t ms) {
  uint32_t end = f->tick_ms + ms;
  for (;;) {
    uint32_t wait = htel_poll(tel);
    uint32_t left = end - f->tick_ms;
    if (left == 0) return;
    if (wait == 0) wait = 1;
    f->tick_ms += wait < left ? wait : left;
  }
}

void fake_inject(fake *f, const uint8_t *bytes, size_t size) {
  assert_true(size <= sizeof f->message);
  memcpy(f->message, bytes, size);
  event_put(f, (htel_link_event){.kind = HTEL_LINK_MESSAGE, .payload = f->message, .size = size});
}

/* Another version of the same record says more, or the same earlier. */
static bool superseded(const fake *f, size_t i) {
  const htel_loss *a = &f->losses[i];
  for (size_t j = 0; j < f->loss_count; j++) {
    const htel_loss *b = &f->losses[j];
    if (j == i || b->id != a->id) continue;
    assert_int_equal(b->cause, a->cause);
    if (b->readings > a->readings || (b->readings == a->readings && b->frames > a->frames))
      return true;
    if (b->readings == a->readings && b->frames == a->frames && j < i) return true;
  }
  return false;
}

void fake_account(const fake *f, uint32_t sequence_last, fake_lost *lost) {
  memset(lost, 0, sizeof *lost);
  bool *covered = calloc(sequence_last + 1u, sizeof *covered);
  assert_non_null(covered);
  for (size_t i = 0; i < f->loss_count; i++) {
    const htel_loss *l = &f->losses[i];
    if (superseded(f, i)) continue;
    if (l->cause == HTEL_CAUSE_RING_FULL) lost->ring[l->channel] += l->readings;
    if (l->cause == HTEL_CAUSE_UNCLEAN_STOP) lost->unclean++;
    if (l->cause != HTEL_CAUSE_OUTBOX_FULL) continue;
    uint64_t readings = l->readings;
    for (uint32_t s = l->sequence_first; s <= l->sequence_last; s++) {
      const fake_frame *kept = fake_find(f, s);
      if (kept != NULL && kept->frame_class == l->frame_class && !l->at_most)
        readings -= kept->readings;
      assert_true(s <= sequence_last);
      covered[s] = true;
    }
    lost->evicted[l->frame_class] += readings;
    lost->at_most[l->frame_class] |= l->at_most;
  }
  for (uint32_t s = 1; s <= sequence_last; s++)
    if (fake_find(f, s) == NULL && !covered[s]) lost->holes++;
  free(covered);
}
