/* SPDX-License-Identifier: Apache-2.0 */
/* delivery.c - closed frames to the ingest, each until it is receipted. docs/DELIVERY.md draws the
 * states.
 *
 *     OFFLINE --backoff over--> CONNECTING --UP--> ONLINE --goodbye--> LEAVING --> CLOSED
 *        ^                          |                 |
 *        +----------DOWN------------+------DOWN-------+
 *
 * What goes next: birth and status once a connection; then alarms, oldest first; then live frames
 * (closed since the connection came up); then the backlog, oldest first and at its own rate. How
 * much goes at once is bounded by four things: the window of frames without a receipt, with slots
 * kept for alarms; the rate limits; the pace (bytes without a PUBACK, so that on a slow link an
 * alarm never queues behind more than a frame or so); and the ingest's own wish to pause. */
#include <string.h>

#include "client.h"
#include "frame.h"
#include "plant.h"

#define WINDOW_BYTES_MAX 65536u /* data in flight: Azure Event Grid's limit, the lowest known */
#define WINDOW_FRAMES_MAX 100u  /* messages: AWS IoT Core's */
#define ALARM_BYTES 4096u       /* of which kept for alarms */
#define ALARM_FRAMES 4u

#define SENDS_PER_POLL_MAX 16u
#define EVENTS_PER_POLL_MAX 64u

#define ACK_QUICK_MS 300u /* a PUBACK so soon: more may be under way */
#define ACK_SLOW_MS 1000u /* so late: less */

#define GOODBYE_MS 2000u            /* to get the offline status out */
#define RECEIPT_WAIT_MS_MAX 300000u /* not doubled from there on */
#define UNACKED_WAITS 4u
#define OPEN_AGAIN_MS 50u     /* the last connection is still being taken down */
#define BIRTH_AGAIN_MS 2000u  /* births asked for are not sent more often */
#define PAUSE_MS_MAX 3600000u /* an ingest cannot silence a device for longer */

#define TOKEN_BIRTH 0xFFFFFFFFu
#define TOKEN_ONLINE 0xFFFFFFFEu
#define TOKEN_OFFLINE 0xFFFFFFFDu

/* ---- small parts ----------------------------------------------------------------------- */

static void state_set(htel *tel, delivery_state state) {
  tel->delivery.state = state;
  tel->delivery.state_since = tel->time.now;
  tel->stats.connected = state == DELIVERY_ONLINE;
}

static const char *topic(htel *tel, const char *last) {
  char *to = tel->delivery.topic;
  static const char prefix[] = "htel/v1/";
  size_t id = strlen(tel->device_id);
  memcpy(to, prefix, sizeof prefix - 1u);
  to += sizeof prefix - 1u;
  memcpy(to, tel->device_id, id);
  to += id;
  memcpy(to, last, strlen(last) + 1u);
  return tel->delivery.topic;
}

static uint32_t random_32(htel *tel) {
  uint8_t b[4];
  if (tel->port->random(tel->port->ctx, b, sizeof b) != 0)
    return UINT32_MAX; /* the whole window then */
  return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void wait_to_connect(htel *tel) {
  delivery *d = &tel->delivery;
  d->retry_at = tel->time.now + backoff_next_ms(&d->reconnect, random_32(tel));
  state_set(tel, DELIVERY_OFFLINE);
}

static uint32_t min32(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

/* Milliseconds from now until `at`; 0 when it is past. */
static uint32_t until(const htel *tel, uint64_t at) {
  if (at <= tel->time.now) return 0;
  uint64_t ms = at - tel->time.now;
  return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

void delivery_init(delivery *d, const htel_delivery_config *config, const htel_link *link,
                   uint64_t now) {
  *d = (delivery){.config = *config, .link = link};
  htel_delivery_config *c = &d->config;
  if (c->keep_alive_s == 0) c->keep_alive_s = 60;
  if (c->backoff_base_ms == 0)
    c->backoff_base_ms = min32(1000, c->backoff_max_ms == 0 ? 1000 : c->backoff_max_ms);
  if (c->backoff_max_ms == 0)
    c->backoff_max_ms = c->backoff_base_ms > 60000u ? c->backoff_base_ms : 60000u;
  if (c->receipt_wait_ms == 0) c->receipt_wait_ms = 30000;
  if (c->rate_per_s_max == 0) c->rate_per_s_max = 50;
  if (c->backlog_per_s_max == 0) c->backlog_per_s_max = 20;
  backoff_init(&d->reconnect, c->backoff_base_ms, c->backoff_max_ms);
  d->receipt_wait_ms = c->receipt_wait_ms;
  d->refill_at = now;
  d->tokens = 1000u;
  d->backlog_tokens = 1000u;
  d->state_since = now;
  d->retry_at = now;
}

/* ---- what the link reads --------------------------------------------------------------- */

static int read_status(const htel *tel, bool online, uint32_t offset, uint8_t *buf, size_t size) {
  uint8_t status[32];
  int bytes = status_encode(online, tel->boot, status, sizeof status);
  if (bytes < 0 || offset > (uint32_t)bytes || size > (uint32_t)bytes - offset)
    return HTEL_E_ARGUMENT;
  memcpy(buf, status + offset, size);
  return 0;
}

/* htel_message.read: any piece of any message that is under way. */
static int read_message(void *source, uint32_t token, uint32_t offset, uint8_t *buf, size_t size) {
  htel *tel = source;
  if (token == TOKEN_BIRTH) return birth_read(&tel->birth, offset, buf, size);
  if (token == TOKEN_ONLINE || token == TOKEN_OFFLINE)
    return read_status(tel, token == TOKEN_ONLINE, offset, buf, size);
  const outbox_entry *e = outbox_find(&tel->outbox, token);
  if (e == NULL) return HTEL_E_CLOSED;
  if (offset > e->size || size > e->size - offset) return HTEL_E_ARGUMENT;
  if (tel->outbox.code != NULL) return tel->outbox.code->read(tel, e, offset, buf, size);
  memcpy(buf, outbox_frame(e) + offset, size);
  return 0;
}

static int publish(htel *tel, const char *last, uint32_t token, uint32_t size, bool retain) {
  htel_message message = {.topic = topic(tel, last),
                          .size = size,
                          .token = token,
                          .retain = retain,
                          .source = tel,
                          .read = read_message};
  int rc = tel->delivery.link->publish(tel->delivery.link->ctx, &message);
  tel->delivery.link_full = rc != 0;
  return rc;
}

/* ---- events ---------------------------------------------------------------------------- */

static void all_unsent(htel *tel) {
  for (outbox_entry *e = outbox_next(&tel->outbox, NULL); e != NULL;
       e = outbox_next(&tel->outbox, e)) {
    if (PLANT(32) && e->state == OUTBOX_IN_FLIGHT && e->acked) client_delivered(tel, e);
    outbox_unsend(&tel->outbox, e);
  }
}

static void on_up(htel *tel) {
  delivery *d = &tel->delivery;
  state_set(tel, DELIVERY_ONLINE);
  tel->stats.connects++;
  d->window_before_ms = d->reconnect.window_ms;
  tel->stats.last_error = 0;
  d->birth_due = !d->birth_done || d->config.mode == HTEL_DELIVERY_BROKER;
  d->status_due = true;
  d->live_from = tel->sequence_next;
  d->pace_bytes = tel->frame_bytes_max; /* so the first alarm waits for one frame, not for two */
  d->receipt_wait_ms = d->config.receipt_wait_ms;
}

static void on_down(htel *tel, int error) {
  delivery *d = &tel->delivery;
  all_unsent(tel);
  if (d->state == DELIVERY_LEAVING) {
    state_set(tel, DELIVERY_CLOSED);
    return;
  }
  /* What was acknowledged before the refusal of the subscription came proves nothing: no receipt
   * can come. */
  if (d->state == DELIVERY_ONLINE && error == HTEL_E_SUBSCRIBE)
    d->reconnect.window_ms = d->window_before_ms;
  if (d->state == DELIVERY_ONLINE)
    tel->stats.disconnects++;
  else
    tel->stats.connect_failures++;
  tel->stats.last_error = error == 0 ? HTEL_E_LINK_LOST : error;
  if (d->goodbye)
    state_set(tel, DELIVERY_CLOSED);
  else
    wait_to_connect(tel);
}

/* The connection does carry something: the next failure is a new one. */
static void on_progress(htel *tel) {
  backoff_reset(&tel->delivery.reconnect);
}

static void pace_adapt(htel *tel, const outbox_entry *e) {
  delivery *d = &tel->delivery;
  uint32_t took_ms = (uint32_t)tel->time.now - e->sent_ms;
  if (took_ms < ACK_QUICK_MS)
    d->pace_bytes = min32(WINDOW_BYTES_MAX, d->pace_bytes + e->size);
  else if (took_ms > ACK_SLOW_MS)
    d->pace_bytes =
        d->pace_bytes / 2u > tel->frame_bytes_max ? d->pace_bytes / 2u : tel->frame_bytes_max;
}

static void on_acked(htel *tel, uint32_t token) {
  delivery *d = &tel->delivery;
  on_progress(tel);
  if (token == TOKEN_ONLINE) return;
  if (token == TOKEN_OFFLINE) {
    d->goodbye_acked = true;
    return;
  }
  if (token == TOKEN_BIRTH) {
    if (d->config.mode == HTEL_DELIVERY_BROKER) d->birth_done = true;
    return;
  }
  outbox_entry *e = outbox_find(&tel->outbox, token);
  if (e == NULL || e->state != OUTBOX_IN_FLIGHT) return; /* evicted, or receipted before */
  if (!e->acked) pace_adapt(tel, e);
  outbox_acked(&tel->outbox, e);
  if (d->config.mode == HTEL_DELIVERY_BROKER || PLANT(19)) client_delivered(tel, e);
}

static bool in_ranges(const htel_range *ranges, uint16_t count, uint32_t sequence) {
  for (uint16_t i = 0; i < count; i++)
    if (sequence >= ranges[i].first && sequence - PLANT(34) <= ranges[i].last) return true;
  return false;
}

/* Frees what the receipt covers. The round trip of the newest frame that was sent once bounds the
 * error of the server's time: UINT32_MAX where there is none. */
static uint32_t receipt_free(htel *tel, const htel_receipt *receipt) {
  uint32_t round_trip_ms = UINT32_MAX;
  bool any = false;
  for (outbox_entry *e = outbox_next(&tel->outbox, NULL); e != NULL;
       e = outbox_next(&tel->outbox, e)) {
    if (e->boot != receipt->boot && !PLANT(22)) continue;
    bool stored = in_ranges(receipt->stored, receipt->stored_count, e->sequence);
    bool aside = in_ranges(receipt->quarantined, receipt->quarantined_count, e->sequence);
    /* A frame that was never sent cannot have arrived, whatever the message says. */
    if ((!stored && !aside) || (e->sends == 0 && !PLANT(45))) continue;
    /* One of an earlier boot may have been sent then, too. */
    if (e->state == OUTBOX_IN_FLIGHT && (e->sends == 1 || PLANT(40)) && receipt->boot == tel->boot)
      round_trip_ms = (uint32_t)tel->time.now - e->sent_ms;
    any = true;
    if (aside)
      client_quarantined(tel, e);
    else
      client_delivered(tel, e);
  }
  if (any) {
    tel->delivery.receipt_wait_ms = tel->delivery.config.receipt_wait_ms;
    on_progress(tel);
  }
  return round_trip_ms;
}

static void birth_again(htel *tel) {
  delivery *d = &tel->delivery;
  if (tel->time.now - d->birth_sent_at < BIRTH_AGAIN_MS) return;
  d->birth_done = false;
  d->birth_due = true;
  all_unsent(tel); /* they could not be read without it */
}

static void on_message(htel *tel, const uint8_t *bytes, size_t size) {
  delivery *d = &tel->delivery;
  htel_receipt receipt;
  if (d->config.mode != HTEL_DELIVERY_RECEIPT || htel_receipt_decode(&receipt, bytes, size) != 0) {
    tel->stats.messages_ignored++;
    return;
  }
  tel->stats.receipts++;
  for (uint16_t i = 0; i < receipt.birth_count; i++)
    if (receipt.births[i] == tel->schema) d->birth_done = true;
  if (receipt.birth_wanted) birth_again(tel);
  d->paused_until = tel->time.now + min32(receipt.pause_ms, PAUSE_MS_MAX);
  if (receipt.boot != tel->boot && tel->outbox.code == NULL && !PLANT(22)) {
    if (receipt.stored_count + receipt.quarantined_count > 0) tel->stats.messages_ignored++;
    return;
  }
  uint32_t round_trip_ms = receipt_free(tel, &receipt);
  if (receipt.utc_ms > 0 && timeline_is_utc(receipt.utc_ms) && round_trip_ms != UINT32_MAX)
    client_server_time(tel, tel->time.now - round_trip_ms / 2u, receipt.utc_ms,
                       round_trip_ms / 2u + 1u);
}

static void take_events(htel *tel) {
  delivery *d = &tel->delivery;
  htel_link_event event;
  for (unsigned i = 0; i < EVENTS_PER_POLL_MAX && d->link->next(d->link->ctx, &event) == 1; i++) {
    switch (event.kind) {
      case HTEL_LINK_UP:
        if (d->state == DELIVERY_CONNECTING) on_up(tel);
        break;
      case HTEL_LINK_DOWN: on_down(tel, event.error); break;
      case HTEL_LINK_ACKED: on_acked(tel, event.token); break;
      case HTEL_LINK_MESSAGE: on_message(tel, event.payload, event.size); break;
    }
  }
}

/* ---- sending --------------------------------------------------------------------------- */

static void connect(htel *tel) {
  delivery *d = &tel->delivery;
  uint8_t will[32];
  int will_bytes = status_encode(false, tel->boot, will, sizeof will);
  char receive[sizeof d->topic];
  memcpy(receive, topic(tel, "/receipt"), sizeof receive);
  htel_link_session session = {
      .client_id = tel->device_id,
      .will_topic = topic(tel, "/status"),
      .will = will,
      .will_size = will_bytes > 0 ? (size_t)will_bytes : 0,
      .receive_topic = d->config.mode == HTEL_DELIVERY_RECEIPT ? receive : NULL,
      .keep_alive_s = d->config.keep_alive_s};
  int rc = d->link->open(d->link->ctx, &session);
  if (rc == 0) {
    state_set(tel, DELIVERY_CONNECTING);
  } else if (rc == HTEL_E_AGAIN) {
    d->retry_at = tel->time.now + OPEN_AGAIN_MS;
  } else {
    tel->stats.last_error = rc;
    tel->stats.connect_failures++;
    wait_to_connect(tel);
  }
}

/* What a bucket may hold: with what flows in, no second sees 98 frames; birth and status make
 * 99. */
static uint32_t burst_max(uint32_t rate) {
  return 1000u * min32(rate, 97u - rate);
}

static void refill(htel *tel) {
  delivery *d = &tel->delivery;
  uint32_t elapsed_ms = (uint32_t)(tel->time.now - d->refill_at);
  if (elapsed_ms > 1000u) elapsed_ms = 1000u;
  d->refill_at = tel->time.now;
  uint32_t rate = d->config.rate_per_s_max;
  d->tokens = min32(d->tokens + elapsed_ms * rate, burst_max(rate));
  rate = d->config.backlog_per_s_max;
  d->backlog_tokens = min32(d->backlog_tokens + elapsed_ms * rate, burst_max(rate));
}

/* Frames without a receipt for too long are sent again; the wait doubles until something comes. One
 * without even a PUBACK is given longer: it may still be on its way out, on a slow link. */
static void resend_late(htel *tel) {
  delivery *d = &tel->delivery;
  bool late = false;
  for (outbox_entry *e = outbox_next(&tel->outbox, NULL); e != NULL;
       e = outbox_next(&tel->outbox, e)) {
    uint32_t wait_ms = e->acked ? d->receipt_wait_ms : UNACKED_WAITS * d->config.receipt_wait_ms;
    if (e->state != OUTBOX_IN_FLIGHT || (uint32_t)tel->time.now - e->sent_ms < wait_ms) continue;
    if (PLANT(31)) continue;
    outbox_unsend(&tel->outbox, e);
    late = true;
  }
  if (!d->birth_done && !d->birth_due && tel->time.now - d->birth_sent_at >= d->receipt_wait_ms)
    d->birth_due = late = true;
  if (late && d->receipt_wait_ms < RECEIPT_WAIT_MS_MAX) d->receipt_wait_ms *= 2u;
}

/* On flash only some of the frames have an entry: those that may go next, after this. */
static uint32_t fill(htel *tel) {
  return tel->outbox.code != NULL ? tel->outbox.code->fill(tel) : UINT32_MAX;
}

/* Closed since the connection came up. */
static bool is_live(const htel *tel, const outbox_entry *e) {
  return (int32_t)e->token >= (int32_t)tel->delivery.live_from;
}

/* The frame to send next, or NULL: nothing waits, or what waits may not go yet. */
static outbox_entry *choose(htel *tel) {
  const delivery *d = &tel->delivery;
  const outbox *o = &tel->outbox;
  if (o->frames == o->in_flight || o->in_flight >= WINDOW_FRAMES_MAX || d->tokens < 1000u)
    return NULL;
  outbox_entry *live = NULL;
  outbox_entry *backlog = NULL;
  for (outbox_entry *e = outbox_next(o, NULL); e != NULL; e = outbox_next(o, e)) {
    if (e->state != OUTBOX_WAITING) continue;
    if (e->frame_class == HTEL_CLASS_ALARM && !PLANT(28))
      return o->in_flight_bytes == 0 || o->in_flight_bytes + e->size <= WINDOW_BYTES_MAX ? e : NULL;
    if (is_live(tel, e)) {
      if (live == NULL) live = e;
    } else if (backlog == NULL) {
      backlog = e;
    }
  }
  outbox_entry *e = live != NULL ? live : backlog;
  if (PLANT(28) && backlog != NULL) e = backlog;
  if (e == NULL || tel->time.now < d->paused_until) return NULL;
  if (e == backlog && d->backlog_tokens < 1000u) return NULL;
  if (o->in_flight >= WINDOW_FRAMES_MAX - ALARM_FRAMES) return NULL;
  if (o->in_flight_bytes > 0 && o->in_flight_bytes + e->size > WINDOW_BYTES_MAX - ALARM_BYTES)
    return NULL;
  if (o->unacked_bytes > 0 && o->unacked_bytes + e->size > d->pace_bytes) return NULL;
  return e;
}

static void send_frames(htel *tel) {
  delivery *d = &tel->delivery;
  for (unsigned i = 0; i < SENDS_PER_POLL_MAX; i++) {
    fill(tel);
    outbox_entry *e = choose(tel);
    if (e == NULL) return;
    if (publish(tel, "/frame", e->token, e->size, false) != 0) return;
    if (e->sends == 0)
      tel->stats.frames_published++;
    else
      tel->stats.frames_resent++;
    outbox_sent(&tel->outbox, e, (uint32_t)tel->time.now);
    d->tokens -= 1000u;
    if (!is_live(tel, e) && e->frame_class != HTEL_CLASS_ALARM) d->backlog_tokens -= 1000u;
  }
}

static void send_all(htel *tel) {
  delivery *d = &tel->delivery;
  refill(tel);
  if (d->birth_due) {
    if (publish(tel, "/birth", TOKEN_BIRTH, birth_size(&tel->birth), true) != 0) return;
    d->birth_due = false;
    d->birth_sent_at = tel->time.now;
  }
  if (d->status_due) {
    uint8_t status[32];
    int bytes = status_encode(!d->goodbye, tel->boot, status, sizeof status);
    uint32_t token = d->goodbye ? TOKEN_OFFLINE : TOKEN_ONLINE;
    if (bytes < 0 || publish(tel, "/status", token, (uint32_t)bytes, true) != 0) return;
    d->status_due = false;
  }
  resend_late(tel);
  send_frames(tel);
}

/* ---- the step -------------------------------------------------------------------------- */

void delivery_leave(htel *tel) {
  delivery *d = &tel->delivery;
  if (d->goodbye) return;
  d->goodbye = true;
  if (d->state == DELIVERY_ONLINE) {
    d->status_due = true;
    d->state_since = tel->time.now;
  } else if (d->state == DELIVERY_CONNECTING) {
    d->link->close(d->link->ctx);
    state_set(tel, DELIVERY_LEAVING);
  } else {
    state_set(tel, DELIVERY_CLOSED);
  }
}

static void leave_when_said(htel *tel) {
  delivery *d = &tel->delivery;
  bool late = tel->time.now - d->state_since >= GOODBYE_MS;
  if (d->state == DELIVERY_ONLINE && d->goodbye && (d->goodbye_acked || late)) {
    d->link->close(d->link->ctx);
    state_set(tel, DELIVERY_LEAVING);
  } else if (d->state == DELIVERY_LEAVING && late) {
    state_set(tel, DELIVERY_CLOSED); /* the link has had its time */
  }
}

/* When something is to be done although nothing happens. */
static uint32_t wait_ms(htel *tel) {
  const delivery *d = &tel->delivery;
  uint32_t wait = d->link->wait_ms(d->link->ctx);
  if (d->state == DELIVERY_OFFLINE) return min32(wait, until(tel, d->retry_at));
  if (d->state != DELIVERY_ONLINE) return min32(wait, 100);
  if (d->goodbye) wait = min32(wait, 50);
  if (d->link_full) return wait; /* it wakes, or says when it has room */
  const outbox *o = &tel->outbox;
  if (o->frames > o->in_flight) {
    /* Something waits: for tokens, for the pause to end, or for an acknowledgement (which
     * wakes). */
    if (d->tokens < 1000u || d->backlog_tokens < 1000u)
      wait = min32(wait, 1000u / d->config.backlog_per_s_max + 1u);
    if (choose(tel) != NULL) wait = min32(wait, 1);
    if (tel->time.now < d->paused_until) wait = min32(wait, until(tel, d->paused_until));
  }
  return wait;
}

uint32_t delivery_poll(htel *tel) {
  delivery *d = &tel->delivery;
  if (d->state == DELIVERY_CLOSED) return 1000;
  take_events(tel);
  uint32_t wait = fill(tel);
  if (d->state == DELIVERY_OFFLINE && tel->time.now >= d->retry_at) connect(tel);
  if (d->state == DELIVERY_ONLINE) send_all(tel);
  leave_when_said(tel);
  return d->state == DELIVERY_CLOSED ? 0 : min32(wait, wait_ms(tel));
}
