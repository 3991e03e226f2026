/* SPDX-License-Identifier: Apache-2.0 */
/* fake.h - a world for the core to live in: a clock that the test moves, a link with a broker and
 * an ingest behind it that decode for real and can be made to misbehave.
 *
 * The ingest keeps each frame once by (boot, sequence), with the readings in it, so that a test can
 * compare what was recorded with what is stored, reading by reading. */
#ifndef HTEL_TESTS_UNIT_FAKE_H
#define HTEL_TESTS_UNIT_FAKE_H

#include "client.h"

#define FAKE_PENDING_MAX 256
#define FAKE_EVENTS_MAX 512

typedef struct fake_reading {
  uint64_t tick;
  int32_t value;
  uint8_t quality;
} fake_reading;

typedef struct fake_series {
  fake_reading *readings;
  size_t count, room;
} fake_series;

typedef struct fake_frame {
  uint64_t boot;
  uint32_t sequence, readings;
  uint8_t frame_class;
} fake_frame;

typedef struct fake {
  /* the clock */
  uint32_t tick_ms;
  uint64_t seed;
  bool random_fails;
  unsigned wakes;
  bool has_utc;
  int64_t utc_ms;
  bool has_boot, boot_ended;
  htel_boot boot;
  /* what the network does; the test sets it */
  bool reachable;      /* connections come up */
  uint32_t connect_ms; /* after so long */
  uint32_t ack_ms;     /* PUBACK after so long */
  uint32_t receipt_ms; /* receipt after so long */
  bool no_acks, no_receipts;
  unsigned lose_acks_pct, lose_receipts_pct, lose_frames_pct, repeat_receipts_pct;
  unsigned open_again;   /* open() says HTEL_E_AGAIN so often */
  uint32_t publish_room; /* messages taken between two polls; 0: any number */
  bool knows_birth;      /* the ingest has the birth; false: asks for it */
  uint32_t pause_ms;     /* told in receipts */
  bool quarantine;       /* all frames are put aside */
  bool server_time;      /* receipts carry utc_ms */
  bool reads_may_fail;   /* of messages that are published */
  /* the link */
  htel_link link;
  htel_port port;
  bool open, up;
  uint32_t up_at;
  uint32_t taken;
  htel_link_event events[FAKE_EVENTS_MAX];
  unsigned event_first, event_count;
  struct {
    bool used, receipt;
    uint32_t at, token;
    uint8_t bytes[HTEL_RECEIPT_BYTES_MAX];
    size_t size;
  } pending[FAKE_PENDING_MAX];
  uint8_t message[HTEL_RECEIPT_BYTES_MAX];
  char will[64], client_id[64];
  /* the ingest */
  htel_birth birth;
  unsigned births, statuses;
  bool online_said, offline_said;
  uint32_t *order; /* sequences as they arrived the first time */
  fake_frame *frames;
  size_t frame_count, frame_room;
  unsigned duplicates, publishes, opens;
  /* sees each message as it was published; may be NULL */
  void (*tap)(void *ctx, const char *topic, const uint8_t *bytes, size_t size);
  void *tap_ctx;
  fake_series series[HTEL_CHANNELS_MAX];
  fake_series alarms;
  htel_loss losses[4096];
  size_t loss_count;
  htel_anchor anchors[256];
  size_t anchor_count;
  uint64_t session_last;
  uint32_t frame_bytes_max;
  uint64_t bytes;
} fake;

void fake_init(fake *f, uint64_t seed);
void fake_free(fake *f);
uint32_t fake_random(fake *f);
/* The connection breaks now. */
void fake_cut(fake *f, int error);
/* Moves the clock on by `ms`, polling as often as the client asks. */
void fake_run(fake *f, htel *tel, uint32_t ms);
/* Puts a message from the broker in front of the client. */
void fake_inject(fake *f, const uint8_t *bytes, size_t size);
const fake_frame *fake_find(const fake *f, uint32_t sequence);
const fake_frame *fake_find_of(const fake *f, uint64_t boot, uint32_t sequence);
/* The device is reset: the link and what was under way are gone. */
void fake_reset(fake *f);

/* What the loss records add up to, as docs/FORMAT.md says an ingest reads them. */
typedef struct fake_lost {
  uint64_t ring[HTEL_CHANNELS_MAX];   /* readings refused, by channel */
  uint64_t evicted[HTEL_CLASS_COUNT]; /* readings in evicted frames that did not arrive */
  bool at_most[HTEL_CLASS_COUNT];
  unsigned holes; /* sequences neither stored nor covered */
  unsigned unclean;
} fake_lost;
void fake_account(const fake *f, uint32_t sequence_last, fake_lost *lost);

#endif
