/* SPDX-License-Identifier: Apache-2.0 */
/* htel.c - the client's life: open, poll, flush, close. Moves readings from the rings into batches,
 * and closes frames when they are due; delivery.c does the rest. */
#include <stdalign.h>
#include <string.h>

#include "client.h"
#include "pack.h"
#include "plant.h"

#define POLL_MS_MAX 1000u
#define UTC_LOOK_MS 1000u    /* how often the port's clock is looked at */
#define SYSTEM_WAIT_MS 1000u /* anchors and loss records wait so long for company */
#define SYSTEM_WAIT_MS_MAX 512000u

int32_t htel_memory_needed(const htel_config *config) {
  return config_apply(config, NULL);
}

/* ---- open ------------------------------------------------------------------------------ */

static bool port_complete(const htel_port *port) {
  if (port == NULL || port->tick_ms == NULL || port->random == NULL || port->link == NULL)
    return false;
  const htel_link *l = port->link;
  return l->open != NULL && l->publish != NULL && l->next != NULL && l->wait_ms != NULL &&
         l->close != NULL;
}

static int boot_begin(htel *tel, const htel_config *config) {
  const htel_port *port = tel->port;
  if (tel->outbox.code != NULL) return tel->outbox.code->open(tel, config);
  if (port->boot_begin != NULL) {
    htel_boot boot = {0};
    int rc = port->boot_begin(port->ctx, &boot);
    if (rc != 0) return rc;
    tel->boot = PLANT(20) ? 1u : boot.number;
    if (boot.unclean && !PLANT(38))
      loss_unclean(&tel->losses, boot.unclean_first, boot.number - 1u);
    return 0;
  }
  uint8_t b[8];
  if (port->random(port->ctx, b, sizeof b) != 0) return HTEL_E_RANDOM;
  for (unsigned i = 0; i < sizeof b; i++) tel->boot = tel->boot << 8 | b[i];
  tel->boot >>= 1; /* 63 bits: databases like their integers signed */
  return 0;
}

int htel_open(htel **tel, void *memory, size_t size, const htel_config *config,
              const htel_port *port) {
  *tel = NULL;
  int32_t needed = config_apply(config, NULL);
  if (needed < 0) return needed;
  if (!port_complete(port)) return HTEL_E_PORT;
  if (memory == NULL || size < (size_t)needed || (uintptr_t)memory % alignof(max_align_t) != 0)
    return HTEL_E_MEMORY;
  memset(memory, 0, (size_t)needed);
  config_apply(config, memory);
  htel *t = memory;
  t->port = port;
  t->schema = birth_schema(&t->birth);
  t->sequence_next = 1;
  t->system_wait_ms = SYSTEM_WAIT_MS;
  timeline_init(&t->time, port->tick_ms(port->ctx));
  int rc = boot_begin(t, config);
  if (rc != 0) return rc;
  t->stats.boot = t->boot;
  delivery_init(&t->delivery, &config->delivery, port->link, t->time.now);
  t->utc_ask_at = t->time.now;
  *tel = t;
  return 0;
}

/* ---- rings to batches ------------------------------------------------------------------ */

/* Readings that a ring refused go into the ledger; when it has no entry free they stay counted
 * where they are. */
static void count_refused(htel *tel, uint8_t channel, uint64_t tick_after) {
  channel_state *s = &tel->states[channel];
  uint32_t refused = atomic_load_explicit(&s->refused, memory_order_acquire);
  uint32_t news = refused - s->refused_counted;
  if (news == 0) return;
  uint64_t last =
      timeline_extend(&tel->time, atomic_load_explicit(&s->refused_tick, memory_order_relaxed));
  /* That was the tick of a block's first sample, perhaps. */
  if (s->kind == HTEL_WAVEFORM) last += batch_span_ms(&tel->channels[channel], s->block_max);
  if (last < tick_after) last = tick_after;
  uint64_t first = s->tick_seen < last ? s->tick_seen : last;
  uint32_t told = PLANT(30) && news > 1u ? news - 1u : news;
  if (!loss_ring_full(&tel->losses, channel, first, last, told)) return;
  s->refused_counted = refused;
  tel->stats.readings_refused += news;
}

/* The frame of a class is full of age, and takes those along that are half as old: what goes at the
 * same time shares segments, acknowledgements and a receipt. From then on they keep in step. */
static void pack_aged(htel *tel, uint8_t frame_class) {
  uint32_t now_ms = (uint32_t)tel->time.now + tel->batch.age_ms_max / 2u;
  for (uint8_t c = HTEL_CLASS_NUMERIC; c < HTEL_CLASS_COUNT; c++)
    if (c == frame_class || batch_due(&tel->batch, c, now_ms)) pack_class(tel, c, false);
}

static void take_numeric(htel *tel, ring *r, const ring_record *record, uint64_t tick) {
  uint32_t now_ms = (uint32_t)tel->time.now;
  uint32_t word;
  ring_copy(r, 0, &word, 1);
  if (batch_spans(&tel->batch, HTEL_CLASS_NUMERIC, tick)) pack_aged(tel, HTEL_CLASS_NUMERIC);
  while (!batch_numeric(&tel->batch, record->channel, (int32_t)word, record->quality, tick, now_ms))
    pack_class(tel, HTEL_CLASS_NUMERIC, false); /* once: then every column is empty */
}

static void take_samples(htel *tel, ring *r, const ring_record *record, uint64_t tick) {
  batch *b = &tel->batch;
  uint32_t now_ms = (uint32_t)tel->time.now;
  bool tick_is_last = (record->flags & RING_TICK_LAST) != 0;
  bool gap = (record->flags & RING_GAP) != 0;
  if (batch_spans(b, HTEL_CLASS_WAVEFORM, tick)) pack_aged(tel, HTEL_CLASS_WAVEFORM);
  while (!batch_samples_begin(b, record->channel, tick, tick_is_last, record->count, gap,
                              record->quality))
    pack_class(tel, HTEL_CLASS_WAVEFORM, false); /* once: then every column is empty */
  for (uint16_t done = 0; done < record->count;) {
    uint16_t n;
    int32_t *to = batch_samples_room(b, record->channel, &n);
    if (to == NULL) {
      pack_class(tel, HTEL_CLASS_WAVEFORM, false);
      continue;
    }
    if (n > record->count - done) n = (uint16_t)(record->count - done);
    ring_copy(r, done, (uint32_t *)to, n);
    batch_samples_added(b, record->channel, n, now_ms);
    done = (uint16_t)(done + n);
  }
}

static void take_alarm(htel *tel, ring *r, const ring_record *record, uint64_t tick) {
  uint32_t now_ms = (uint32_t)tel->time.now;
  uint32_t words[2];
  ring_copy(r, 0, words, 2);
  htel_alarm_event event = {.code = words[0],
                            .state = (uint8_t)words[1],
                            .priority = (uint8_t)(words[1] >> 8),
                            .latched = (words[1] >> 16 & 1u) != 0,
                            .source = (uint8_t)(words[1] >> 24)};
  while (!batch_alarm(&tel->batch, record->channel, &event, tick, now_ms))
    pack_class(tel, HTEL_CLASS_ALARM, false); /* once: then the frame is empty */
  tel->alarm_now = true;
}

static void take_record(htel *tel, ring *r, const ring_record *record) {
  channel_state *s = &tel->states[record->channel];
  uint64_t tick = timeline_extend(&tel->time, record->tick_ms);
  if (record->flags & RING_GAP) count_refused(tel, record->channel, tick);
  if (s->kind == HTEL_NUMERIC)
    take_numeric(tel, r, record, tick);
  else if (s->kind == HTEL_WAVEFORM)
    take_samples(tel, r, record, tick);
  else
    take_alarm(tel, r, record, tick);
  /* While refusals wait for a ledger entry, they are still to be dated from before them. */
  if (atomic_load_explicit(&s->refused, memory_order_relaxed) == s->refused_counted)
    s->tick_seen = tick;
  tel->stats.readings_accepted += s->kind == HTEL_WAVEFORM ? record->count : 1u;
}

/* What the rings hold at this moment, and no more: a fast producer cannot keep us here. */
static void drain(htel *tel) {
  for (uint16_t i = 0; i < tel->ring_count; i++) {
    ring *r = &tel->rings[i];
    ring_record record;
    for (uint32_t left = ring_used(r); left > 0 && ring_peek(r, &record);
         left -= RING_HEAD_WORDS + record.count) {
      take_record(tel, r, &record);
      ring_pop(r);
    }
  }
  for (uint16_t i = 0; i < tel->channel_count; i++) count_refused(tel, (uint8_t)i, 0);
}

/* ---- frames that are due --------------------------------------------------------------- */

static void look_at_clock(htel *tel) {
  if (tel->port->utc == NULL || tel->time.now < tel->utc_ask_at) return;
  if (tel->leaving) return; /* no frame would bring an anchor any more, and it would be owed */
  tel->utc_ask_at = tel->time.now + UTC_LOOK_MS;
  int64_t utc_ms;
  uint32_t uncertainty_ms;
  if (tel->port->utc(tel->port->ctx, &utc_ms, &uncertainty_ms) != 0 || !timeline_is_utc(utc_ms))
    return;
  tel->utc_own = true;
  if (timeline_observe(&tel->time, tel->time.now, utc_ms, uncertainty_ms)) pack_anchor(tel);
}

/* An alarm frame has no receipt yet. It may carry loss records, and goes before any other. */
static bool alarm_is_owed(const htel *tel) {
  const outbox_entry *e = outbox_next(&tel->outbox, NULL);
  while (e != NULL && e->frame_class != HTEL_CLASS_ALARM) e = outbox_next(&tel->outbox, e);
  return e != NULL;
}

/* Anchors are packed at once or nearly; loss records only while connected, and not while others may
 * be on their way: during an outage, of the network or of the ingest, more of the same come, and
 * each frame of them would push another frame out. */
static void close_due(htel *tel) {
  uint32_t now_ms = (uint32_t)tel->time.now;
  for (uint8_t c = HTEL_CLASS_NUMERIC; c < HTEL_CLASS_COUNT; c++)
    if (batch_due(&tel->batch, c, now_ms)) pack_aged(tel, c);
  bool online = tel->delivery.state == DELIVERY_ONLINE;
  bool told = online && loss_waiting(&tel->losses) && !alarm_is_owed(tel);
  bool waiting = tel->anchor_count > 0 || told;
  if (waiting && !tel->system_waiting) tel->system_since = tel->time.now;
  tel->system_waiting = waiting;
  bool system = waiting && tel->time.now - tel->system_since >= tel->system_wait_ms;
  if (!tel->alarm_now && !system) return;
  pack_class(tel, HTEL_CLASS_ALARM, online);
  tel->alarm_now = false;
  tel->system_waiting = false;
}

static uint32_t due_ms(const htel *tel) {
  uint32_t wait = POLL_MS_MAX;
  for (unsigned c = 0; c < HTEL_CLASS_COUNT; c++) {
    const batch_frame *f = &tel->batch.frames[c];
    if (!f->begun) continue;
    uint32_t age = (uint32_t)tel->time.now - f->since_ms;
    uint32_t left = age < tel->batch.age_ms_max ? tel->batch.age_ms_max - age : 0;
    if (left < wait) wait = left;
  }
  return wait;
}

uint32_t htel_poll(htel *tel) {
  uint32_t began_ms = tel->port->tick_ms(tel->port->ctx);
  timeline_advance(&tel->time, began_ms);
  look_at_clock(tel);
  drain(tel);
  close_due(tel);
  uint32_t wait = delivery_poll(tel);
  uint32_t took_ms = tel->port->tick_ms(tel->port->ctx) - began_ms;
  if (took_ms > tel->stats.poll_ms_max) tel->stats.poll_ms_max = took_ms;
  uint32_t due = due_ms(tel);
  if (due < wait) wait = due;
  return wait < POLL_MS_MAX ? wait : POLL_MS_MAX;
}

/* ---- flush and close ------------------------------------------------------------------- */

static void pack_all(htel *tel) {
  timeline_advance(&tel->time, tel->port->tick_ms(tel->port->ctx));
  drain(tel);
  for (unsigned c = HTEL_CLASS_COUNT; c-- > 0;) pack_class(tel, (uint8_t)c, c == HTEL_CLASS_ALARM);
  tel->alarm_now = false;
}

static bool delivered_to(const htel *tel, uint32_t sequence) {
  const outbox_entry *e = outbox_next(&tel->outbox, NULL);
  while (e != NULL && (int32_t)e->token > (int32_t)sequence) e = outbox_next(&tel->outbox, e);
  return e == NULL && !tel->outbox.more;
}

int htel_flush(htel *tel, uint32_t timeout_ms) {
  if (!tel->flushing) {
    pack_all(tel);
    tel->flushing = true;
    tel->flush_deadline = tel->time.now + timeout_ms;
    tel->flush_sequence = tel->sequence_next - 1u;
  }
  htel_poll(tel);
  int rc = HTEL_E_AGAIN;
  if (delivered_to(tel, tel->flush_sequence))
    rc = 0;
  else if (tel->time.now >= tel->flush_deadline || tel->delivery.state == DELIVERY_CLOSED)
    rc = HTEL_E_TIMEOUT;
  if (rc != HTEL_E_AGAIN) tel->flushing = false;
  return rc;
}

/* Something was accepted, or is to be reported as lost, that is in no frame yet. */
static bool is_gathering(const htel *tel) {
  for (uint16_t i = 0; i < tel->ring_count; i++)
    if (ring_used(&tel->rings[i]) > 0) return true;
  for (unsigned c = 0; c < HTEL_CLASS_COUNT; c++)
    if (tel->batch.frames[c].begun) return true;
  for (uint16_t i = 0; i < tel->channel_count; i++)
    if (atomic_load_explicit(&tel->states[i].refused, memory_order_relaxed) !=
        tel->states[i].refused_counted)
      return true;
  return pack_system_waiting(tel) && !PLANT(44);
}

/* The same, or that no frame has brought to the ingest. */
static bool is_owing(const htel *tel) {
  return tel->outbox.frames > 0 || tel->outbox.more || is_gathering(tel);
}

/* Flushes as often as it takes: loss records, and readings that come meanwhile, want frames of
 * their own. */
static int close_flush(htel *tel) {
  bool time_is_up = tel->time.now >= tel->close_deadline;
  int rc = htel_flush(tel, time_is_up ? 0 : (uint32_t)(tel->close_deadline - tel->time.now));
  if (rc != 0 || !is_owing(tel)) return rc;
  return time_is_up ? HTEL_E_TIMEOUT : HTEL_E_AGAIN;
}

int htel_close(htel *tel, uint32_t timeout_ms) {
  if (tel->closed) return tel->close_result;
  if (!tel->closing) {
    tel->closing = true;
    tel->flushing = false; /* a flush under way does not know of what came after it */
    timeline_advance(&tel->time, tel->port->tick_ms(tel->port->ctx));
    tel->close_deadline = tel->time.now + timeout_ms;
  }
  if (!tel->leaving) {
    tel->close_result = close_flush(tel);
    if (tel->close_result == HTEL_E_AGAIN) return HTEL_E_AGAIN;
    tel->leaving = true;
    delivery_leave(tel);
  } else {
    htel_poll(tel);
  }
  if (tel->delivery.state != DELIVERY_CLOSED) return HTEL_E_AGAIN;
  tel->closed = true;
  if (tel->close_result == 0 && is_owing(tel)) tel->close_result = HTEL_E_TIMEOUT;
  int rc = 0;
  if (tel->outbox.code != NULL)
    rc = tel->outbox.code->close(tel, !is_gathering(tel));
  else if (tel->close_result == 0 && tel->port->boot_end != NULL)
    rc = tel->port->boot_end(tel->port->ctx);
  if (rc != 0) tel->close_result = HTEL_E_STORE;
  return tel->close_result;
}

/* ---- what delivery asks for ------------------------------------------------------------ */

static void free_frame(htel *tel, outbox_entry *entry, bool aside) {
  if (tel->outbox.code != NULL) tel->outbox.code->freed(tel, entry, aside);
  outbox_free(&tel->outbox, entry);
}

void client_delivered(htel *tel, outbox_entry *entry) {
  tel->stats.frames_delivered++;
  tel->stats.readings_delivered += entry->readings;
  loss_delivered(&tel->losses, entry->token);
  tel->system_wait_ms = SYSTEM_WAIT_MS;
  free_frame(tel, entry, false);
}

void client_quarantined(htel *tel, outbox_entry *entry) {
  tel->stats.frames_quarantined++;
  if (entry->frame_class == HTEL_CLASS_ALARM) {
    loss_returned(&tel->losses, entry->token);
    if (tel->time.known && tel->anchor_count == 0) pack_anchor(tel);
    if (tel->system_wait_ms < SYSTEM_WAIT_MS_MAX)
      tel->system_wait_ms *= 2u; /* it may be so for ever */
  }
  free_frame(tel, entry, true);
}

void client_server_time(htel *tel, uint64_t tick, int64_t utc_ms, uint32_t uncertainty_ms) {
  if (tel->utc_own) return;
  /* Better than what is known, or what is known has grown old. */
  bool better = !tel->time.known || uncertainty_ms < tel->time.anchor.uncertainty_ms / 2u;
  if (better)
    timeline_set(&tel->time, tick, utc_ms, uncertainty_ms);
  else if (!timeline_observe(&tel->time, tick, utc_ms, uncertainty_ms))
    return;
  pack_anchor(tel);
}

/* ---- time, session, statistics --------------------------------------------------------- */

int htel_utc_set(htel *tel, uint32_t tick_ms, int64_t utc_ms, uint32_t uncertainty_ms) {
  if (!timeline_is_utc(utc_ms)) return HTEL_E_ARGUMENT;
  timeline_advance(&tel->time, tel->port->tick_ms(tel->port->ctx));
  tel->utc_own = true;
  timeline_set(&tel->time, timeline_extend(&tel->time, tick_ms), utc_ms, uncertainty_ms);
  pack_anchor(tel);
  return 0;
}

int htel_utc_now(const htel *tel, int64_t *utc_ms, uint32_t *uncertainty_ms) {
  if (!tel->time.known) return HTEL_E_AGAIN;
  uint64_t now = timeline_extend(&tel->time, tel->port->tick_ms(tel->port->ctx));
  *utc_ms = tel->time.anchor.utc_ms + (int64_t)(now - tel->time.anchor.tick);
  *uncertainty_ms = tel->time.anchor.uncertainty_ms;
  return 0;
}

int htel_session_set(htel *tel, uint64_t session) {
  pack_all(tel);
  tel->session = session;
  return 0;
}

void htel_stats_get(const htel *tel, htel_stats *stats) {
  *stats = tel->stats;
  stats->frames_waiting = tel->outbox.frames;
  stats->frames_in_flight = tel->outbox.in_flight;
  stats->outbox_bytes_used = tel->outbox.used;
  stats->outbox_bytes_max = tel->outbox.used_max;
  if (tel->outbox.code != NULL) stats->outbox_bytes_used = tel->outbox.code->used(tel);
}
