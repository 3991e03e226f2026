/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - where frames and readings are kept: what the ingest needs of a database, and no more.
 *
 * One struct of functions. store_sqlite.h is the one that ships; another database, or memory under
 * a simulator, implements the same and gets the same dedupe, receipts, placing and audit, since all
 * of those stand above this interface and decide nothing below it.
 *
 * Writing: begin, any number of puts, commit. What commit returned 0 for survives a power cut:
 * receipts are sent after it. After any error the transaction is over: call rollback, nothing of it
 * is kept.
 *
 * Every function returns STORE_OK or one of the errors; `visit` functions are called back once an
 * item and stop the walk by returning false. Times are Unix ms of the server unless named
 * otherwise. */
#ifndef INGEST_STORE_H
#define INGEST_STORE_H

#include "message.h"
#include "readings.h"

enum {
  STORE_OK = 0,
  STORE_AGAIN = -1,  /* locked, full, out of memory or reach: the same may work later */
  STORE_REFUSED = -2 /* will not work however often it is tried */
};

/* What the store had to say about a key. */
typedef enum store_outcome {
  STORE_NEW = 1,      /* it is stored now */
  STORE_SAME = 2,     /* it was there already, with this digest */
  STORE_CONFLICT = 3, /* it is there with another digest; nothing was changed */
  STORE_QUOTA = 4     /* the device has as many as it may have; nothing was changed */
} store_outcome;

typedef struct store_frame {
  const char *device;
  const htel_frame *frame; /* the envelope */
  const uint8_t *digest;   /* DIGEST_BYTES */
  const readings *readings;
  const uint8_t *payload;
  size_t payload_size;
  int64_t received_ms;
  bool placed;       /* offset_ms is known */
  int64_t offset_ms; /* UTC of tick 0 */
} store_frame;

typedef struct store_aside {
  const char *device;
  bool keyed; /* boot and sequence are known */
  uint64_t boot;
  uint32_t sequence;
  const uint8_t *digest;
  const char *reason;
  const uint8_t *payload; /* kept whole up to HTEL_FRAME_BYTES_MAX */
  size_t payload_size;
  int64_t received_ms;
} store_aside;

typedef struct store_alert {
  const char *device;
  const char *kind; /* "conflict", "poison", "birth" */
  bool keyed;
  uint64_t boot;
  uint32_t sequence;
  const char *detail; /* static text, never a reading */
  int64_t utc_ms;
} store_alert;

/* Events counted by device. */
typedef enum store_counter {
  STORE_DUPLICATES,     /* frames that were here already */
  STORE_CONFLICTS,      /* other content under a key that was here already */
  STORE_UNREADABLE,     /* damaged, no key */
  STORE_UNKNOWN_SCHEMA, /* frames that came before their birth */
  STORE_BIRTHS_REFUSED, /* not a birth, or too many */
  STORE_COUNTERS
} store_counter;

/* "duplicates", ...: the names under which they are kept and printed. */
const char *store_counter_name(store_counter counter);

/* A stored frame as the audit sees it. */
typedef struct store_frame_row {
  uint64_t boot;
  uint32_t sequence;
  uint8_t frame_class;
  uint32_t numerics, samples, alarms; /* readings by kind */
  uint32_t payload_bytes;
} store_frame_row;

typedef struct store_loss_row {
  htel_loss loss;
  uint64_t carrier_boot; /* the frame that told it */
  uint32_t carrier_sequence;
} store_loss_row;

typedef struct store {
  void *ctx;

  /* ---- Writing ---- */
  int (*begin)(void *ctx);
  int (*commit)(void *ctx);
  void (*rollback)(void *ctx); /* also when begin or commit failed; harmless twice */

  /* The frame with all its readings, unless its key is there already. */
  int (*frame_put)(void *ctx, const store_frame *frame, store_outcome *outcome);
  /* Whether the key is stored, with this digest. STORE_NEW means that it is not. */
  int (*frame_find)(void *ctx, const char *device, uint64_t boot, uint32_t sequence,
                    const uint8_t *digest, store_outcome *outcome);
  /* Into quarantine. SAME where these bytes are there already. With `limit`, keeps no more than
   * that many of its sort (keyed or not) of the device: keyed ones then without payload, others not
   * at all (QUOTA). */
  int (*aside_put)(void *ctx, const store_aside *aside, uint32_t limit, store_outcome *outcome);
  /* A loss record, once: (carrier_boot, loss->id) names it, and of its versions the one with the
   * most readings, then the most frames, is kept. */
  int (*loss_put)(void *ctx, const char *device, const htel_loss *loss, uint64_t carrier_boot,
                  uint32_t carrier_sequence);
  /* STORE_QUOTA when the device has `limit` births. CONFLICT: same schema, other bytes. */
  int (*birth_put)(void *ctx, const char *device, const htel_birth *birth, const uint8_t *bytes,
                   size_t size, int64_t received_ms, uint32_t limit, store_outcome *outcome);
  /* The bytes of a birth. *size is 0 when there is none. */
  int (*birth_get)(void *ctx, const char *device, uint32_t schema, uint8_t *buf, size_t room,
                   size_t *size);
  int (*status_put)(void *ctx, const char *device, bool online, uint64_t boot, int64_t received_ms);
  int (*counter_add)(void *ctx, const char *device, store_counter counter, uint32_t by);
  int (*alert_put)(void *ctx, const store_alert *alert, uint32_t limit);

  /* ---- Placing in time (placing.h) ---- */
  /* Of two anchors at one tick the one from the later frame counts. */
  int (*anchor_put)(void *ctx, const char *device, uint64_t boot, const htel_anchor *anchor,
                    uint32_t sequence);
  /* pair[0]: the latest anchor of the boot at or before `tick`; pair[1]: the earliest after it. */
  int (*anchors_near)(void *ctx, const char *device, uint64_t boot, uint64_t tick,
                      htel_anchor pair[2], bool found[2]);
  /* Places the boot's frames with tick_first <= tick <= tick_last. */
  int (*frames_place)(void *ctx, const char *device, uint64_t boot, uint64_t tick_first,
                      uint64_t tick_last, int64_t offset_ms);

  /* ---- Reading, for the audit: boot by boot, by sequence within a boot ---- */
  int (*devices_visit)(void *ctx, bool (*visit)(void *arg, const char *device), void *arg);
  int (*frames_visit)(void *ctx, const char *device,
                      bool (*visit)(void *arg, const store_frame_row *row), void *arg);
  /* How many frames of the loss's boot and class are stored among its sequences, and their
   * readings. */
  int (*frames_sum)(void *ctx, const char *device, const htel_loss *loss, uint64_t *frames,
                    uint64_t *reading_count);
  int (*asides_visit)(void *ctx, const char *device, /* keyed ones; a key may come twice */
                      bool (*visit)(void *arg, uint64_t boot, uint32_t sequence), void *arg);
  int (*losses_visit)(void *ctx, const char *device,
                      bool (*visit)(void *arg, const store_loss_row *row), void *arg);
  int (*alerts_visit)(void *ctx, const char *device,
                      bool (*visit)(void *arg, const store_alert *alert), void *arg);
  int (*counters_get)(void *ctx, const char *device, uint64_t counters[STORE_COUNTERS]);

  void (*close)(void *ctx);
} store;

#endif
