/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - the client whole: every stage's state, laid out in the caller's memory.
 *
 *     htel | channel states | columns | rings | batch buffers | outbox arena | zlib arena
 *
 * config.c checks a configuration and lays it out; htel.c moves readings from the rings to closed
 * frames; delivery.c moves closed frames to the link and takes receipts. */
#ifndef HTEL_SRC_CLIENT_H
#define HTEL_SRC_CLIENT_H

#include "backoff.h"
#include "batch.h"
#include "birth.h"
#include "healthtel/decode.h"
#include "loss.h"
#include "outbox.h"
#include "ring.h"
#include "timeline.h"

/* What record functions touch, for each channel: written by the channel's producer alone. */
typedef struct channel_state {
  ring *into;
  _Atomic uint32_t refused;      /* readings, since open; wraps */
  _Atomic uint32_t refused_tick; /* of the last one */
  uint32_t refused_marked;       /* how many of them the stream has been marked with */
  uint32_t head_word;            /* of a record with one word */
  uint16_t block_max;
  uint8_t kind;
  /* From here on the consumer's. */
  uint32_t refused_counted; /* how many of them are in the loss ledger */
  uint64_t tick_seen;       /* of the last reading that came through */
} channel_state;

typedef enum delivery_state {
  DELIVERY_OFFLINE = 0, /* waiting for retry_ms */
  DELIVERY_CONNECTING,
  DELIVERY_ONLINE,
  DELIVERY_LEAVING, /* goodbye said, waiting for DOWN */
  DELIVERY_CLOSED
} delivery_state;

#define DELIVERY_RATE_MAX 90u /* frames a second */

typedef struct delivery {
  htel_delivery_config config; /* with defaults filled in */
  const htel_link *link;
  delivery_state state;
  backoff reconnect;
  uint64_t retry_at;        /* OFFLINE: when to connect */
  uint64_t state_since;     /* when `state` began */
  uint64_t paused_until;    /* the ingest asked for it: alarms only */
  uint64_t refill_at;       /* when the token buckets were last filled */
  uint32_t tokens;          /* thousandths of a frame that may be sent now */
  uint32_t backlog_tokens;  /* the same, for frames from before the connection */
  uint32_t receipt_wait_ms; /* current; doubles while nothing comes */
  uint32_t live_from;       /* frames from this sequence on are live, older ones backlog */
  uint32_t pace_bytes; /* how much may await its PUBACK: grows and shrinks with the time to it */
  bool birth_due, birth_done; /* to be published; the ingest (or the broker) has it */
  uint64_t birth_sent_at;
  uint32_t window_before_ms; /* of `reconnect`, when the connection came up */
  bool status_due;
  bool link_full;              /* it took no more at the last step */
  bool goodbye, goodbye_acked; /* the status to publish is offline; and has arrived */
  char topic[sizeof "htel/v1//receipt" + HTEL_DEVICE_ID_CHARS_MAX];
} delivery;

/* What all look at comes first: short offsets are shorter code on small machines. */
struct htel {
  const htel_port *port;
  channel_state *states;
  uint16_t channel_count;
  uint16_t ring_count;
  const htel_channel *channels;
  ring *rings;
  timeline time;
  uint32_t sequence_next; /* of the next frame, from 1 */
  uint32_t schema;
  uint64_t boot;
  uint16_t frame_bytes_max;
  uint8_t coding;   /* htel_coding */
  uint8_t zip_rest; /* waveform frames that zlib will not be tried on */
  uint8_t anchor_count;
  bool alarm_now;          /* an alarm is in the open frame: close it */
  bool system_waiting;     /* anchors or loss records wait for a frame, */
  bool utc_own;            /* the device has a clock of its own: receipts' time is not needed */
  uint64_t system_since;   /* since then, */
  uint32_t system_wait_ms; /* for so long: longer while frames of theirs are put aside */
  outbox outbox;
  delivery delivery;
  htel_stats stats;
  batch batch;
  const char *device_id;
  birth_source birth;
  uint64_t session;
  uint32_t ordinal_next[HTEL_CLASS_COUNT];
  uint64_t utc_ask_at; /* when to look at the port's clock again */
  void *zip;
  size_t zip_bytes;
  /* flush and close */
  bool flushing, closing, leaving, closed;
  uint64_t flush_deadline, close_deadline;
  uint32_t flush_sequence; /* all frames up to this one are to be delivered */
  int close_result;
  htel_anchor anchors[4]; /* waiting for a frame */
  loss_ledger losses;
};

/* config.c: checks `config`; fills in `tel` and its parts at `memory` unless that is NULL. Bytes
 * needed, or HTEL_E_CONFIG with config->fault filled in. */
int32_t config_apply(const htel_config *config, uint8_t *memory);

/* htel.c, for delivery.c */
/* Frees a delivered frame and all that hung on it. */
void client_delivered(htel *tel, outbox_entry *entry);
/* The frame was stored aside unread: what it carried for others must be said again. */
void client_quarantined(htel *tel, outbox_entry *entry);
/* The ingest's clock, right to +-uncertainty_ms. */
void client_server_time(htel *tel, uint64_t tick, int64_t utc_ms, uint32_t uncertainty_ms);

/* delivery.c */
void delivery_init(delivery *d, const htel_delivery_config *config, const htel_link *link,
                   uint64_t now);
/* One bounded step; milliseconds until the next is wanted. */
uint32_t delivery_poll(htel *tel);
/* Publishes the offline status and ends the connection. */
void delivery_leave(htel *tel);

#endif
