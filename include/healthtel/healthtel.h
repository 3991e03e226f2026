/* SPDX-License-Identifier: Apache-2.0 */
/* healthtel.h - the client: record vitals readings, have them delivered.
 *
 *     record -> ring -> batch -> code -> frame -> outbox -> link -> broker -> ingest
 *                                                   ^                            |
 *                                                   +--------- receipt ----------+
 *
 * A reading that a record function accepted is stored exactly once at the ingest, or is counted in
 * a loss record. The library takes no memory of its own: the caller gives one block,
 * htel_memory_needed() says how large. It never blocks and starts no thread.
 *
 * Who may call what, from where:
 *   htel_record*, htel_alarm*   any thread, task or interrupt, as long as no two contexts
 *                               use one ring at the same time (a channel names its ring).
 *   all others                  one thread at a time, never from an interrupt.
 *
 * Every function that returns int returns 0 or a positive count on success and a negative HTEL_E_*
 * on failure; htel_strerror() has the words. */
#ifndef HEALTHTEL_HEALTHTEL_H
#define HEALTHTEL_HEALTHTEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "healthtel/codes.h"
#include "healthtel/error.h"
#include "healthtel/port.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HTEL_VERSION "0.1.0"

/* Limits of a configuration. */
#define HTEL_DEVICE_ID_CHARS_MAX 36u /* the shortest MQTT client id limit among brokers in use */
#define HTEL_CHANNELS_MAX 64u
#define HTEL_RINGS_MAX 8u
#define HTEL_NAME_CHARS_MAX 31u /* channel name and firmware version */
#define HTEL_UNIT_CHARS_MAX 15u
#define HTEL_COLUMN_SAMPLES_MAX 512u /* samples coded together as one block */

/* ---- What a device measures ------------------------------------------------------- */

typedef enum htel_kind {
  HTEL_NUMERIC = 0,  /* one value now and then: pulse, SpO2, temperature */
  HTEL_WAVEFORM = 1, /* evenly spaced samples: ECG, PPG, respiration */
  HTEL_ALARM = 2     /* alarm events: code, state, priority (IEC 60601-1-8) */
} htel_kind;

typedef enum htel_quality {
  HTEL_VALID = 0,
  HTEL_SENSOR_OFF = 1, /* lead or probe not on the patient */
  HTEL_ARTEFACT = 2,   /* motion, electrosurgery, flush */
  HTEL_ESTIMATED = 3,  /* held or interpolated by the device */
  HTEL_NO_VALUE = 4    /* a measurement was due and gave nothing; the value is kept as recorded */
} htel_quality;
#define HTEL_QUALITY_MAX 7u /* 5 to 7 are reserved and carried unchanged */

/* Samples a second as a fraction, so that 360 Hz or 1000/3 Hz do not drift. */
typedef struct htel_rate {
  uint32_t num; /* 1 to 1,000,000; 0: none, which a waveform must not have */
  uint32_t den; /* 1 to 1,000,000; 0 counts as 1 */
} htel_rate;

/* One signal of the device. physical = (value - offset) / gain * 10^exponent, in `unit`. */
typedef struct htel_channel {
  uint32_t code;    /* nomenclature code, HTEL_MDC_* of codes.h (ISO/IEEE 11073-10101) */
  const char *name; /* short label for tools ("ECG_II"), or NULL; never a patient's data */
  const char *unit; /* UCUM unit, HTEL_UNIT_* of codes.h; NULL counts as "1" */
  htel_rate rate;   /* of samples; of numerics their usual rate, which then costs nothing, or 0 */
  int32_t gain;     /* 0 counts as 1 */
  int32_t offset;
  int8_t exponent;    /* -12 to 12 */
  uint8_t kind;       /* htel_kind */
  uint8_t index;      /* tells channels of one code apart: 0 for the first, 1 for the next */
  uint8_t ring;       /* which ring takes its readings, 0 to ring_count - 1 */
  uint16_t block_max; /* waveforms: samples in one htel_record_block call at most; 0 counts as 64 */
  uint16_t column_samples; /* samples coded as one block, 8 to 512; 0 counts as 256 for waveforms,
                              32 for other kinds */
} htel_channel;

/* An alarm event: one change of state of one alarm condition. */
typedef enum htel_alarm_state {
  HTEL_ALARM_INACTIVE = 0,
  HTEL_ALARM_ACTIVE = 1,
  HTEL_ALARM_ACKNOWLEDGED = 2,
  HTEL_ALARM_PAUSED = 3
} htel_alarm_state;

typedef enum htel_alarm_priority {
  HTEL_PRIORITY_NONE = 0,
  HTEL_PRIORITY_LOW = 1,
  HTEL_PRIORITY_MEDIUM = 2,
  HTEL_PRIORITY_HIGH = 3
} htel_alarm_priority;

#define HTEL_NO_SOURCE 0xFFu

typedef struct htel_alarm_event {
  uint32_t code;    /* what is wrong: nomenclature or private code */
  uint8_t state;    /* htel_alarm_state */
  uint8_t priority; /* htel_alarm_priority */
  bool latched;     /* stays signalled after its cause has gone */
  uint8_t source;   /* the channel that it concerns, or HTEL_NO_SOURCE */
} htel_alarm_event;

/* ---- Configuration ---------------------------------------------------------------- */

typedef enum htel_delivery {
  HTEL_DELIVERY_RECEIPT = 0, /* a frame is freed when the ingest says that it is stored */
  HTEL_DELIVERY_BROKER = 1   /* ... when the broker acknowledges it (PUBACK): brokers may
                                lose what they acknowledged, so only where no ingest answers */
} htel_delivery;

typedef enum htel_coding {
  HTEL_CODING_ZLIB = 0, /* predictor + Rice, and zlib where that is found to be smaller */
  HTEL_CODING_FAST = 1, /* predictor + Rice: no zlib, no arena */
  HTEL_CODING_BEST = 2  /* each frame modelled as a whole when it is closed: the smallest, for 6 KB
                           of RAM; docs/SIZES.md has what each level costs */
} htel_coding;

/* Frames are of one class each. What is lost first when the outbox is full goes from the last class
 * to the first; what is sent first goes the other way. */
typedef enum htel_class {
  HTEL_CLASS_ALARM = 0, /* alarms, and frames that carry only time anchors or loss records */
  HTEL_CLASS_NUMERIC = 1,
  HTEL_CLASS_WAVEFORM = 2
} htel_class;
#define HTEL_CLASS_COUNT 3u

typedef enum htel_full { HTEL_DROP_OLDEST = 0, HTEL_REFUSE_NEWEST = 1 } htel_full;

typedef struct htel_batch_config {
  uint32_t age_ms_max; /* a frame is closed when its first reading is this old, or half as old when
                          a frame of another class goes; 0 counts as 10000 */
  uint16_t bytes_max;  /* payload of a frame, 512 to 61440; 0 counts as 3584. With HTEL_CODING_BEST
                          readings gather in it first, at a byte or two each */
} htel_batch_config;

/* The outbox on flash; an application that does not name it does not link it. */
typedef struct htel_outbox_code htel_outbox_code;
extern const htel_outbox_code htel_outbox_on_flash;

typedef struct htel_outbox_config {
  uint32_t bytes; /* RAM for closed frames; 0 counts as 32768; at least 2 frames. On flash: for the
                     entries of frames under way, 0 counts as 8192, at least 1024; what else the
                     outbox needs comes on top */
  uint8_t when_full[HTEL_CLASS_COUNT]; /* htel_full, by class */
  /* Frames on flash outlive resets and power cuts, and with them the boot counter, so that the
   * port's is not used. A frame is published only once it is durable. */
  const htel_outbox_code *code; /* &htel_outbox_on_flash, or NULL: in RAM */
  const htel_flash *flash;      /* kept by reference until htel_close */
  uint8_t persist_frames; /* made durable together: a sync for so many frames, 1 to 32; 0 counts as
                             1. Alarms are made durable at once, with all before them */
  uint32_t persist_ms;    /* or after so long, at most 3600000; 0 counts as 1000 */
} htel_outbox_config;

typedef struct htel_delivery_config {
  uint8_t mode;             /* htel_delivery */
  uint16_t keep_alive_s;    /* 0 counts as 60 */
  uint32_t backoff_base_ms; /* window of the first attempt after a failure; 0 counts as 1000 */
  uint32_t backoff_max_ms;  /* window of later attempts at most; 0 counts as 60000 */
  uint32_t receipt_wait_ms; /* resend after this; doubles while nothing comes; 0 counts as 30000 */
  uint16_t rate_per_s_max;  /* frames a second, 1 to 90; 0 counts as 50 */
  uint16_t backlog_per_s_max; /* of which frames from before the connection; 0 counts as 20 */
} htel_delivery_config;

/* Where htel_open found the configuration wrong. */
typedef struct htel_config_fault {
  const char *field; /* "channels.rate", "device_id", ...; static text */
  uint16_t index;    /* which channel or ring, where the field is one of several */
  const char *why;   /* what it should be, or what is wrong; static text. Built with HEALTHTEL_TEXTS
                        off, for the smallest devices, it only says to look here */
} htel_config_fault;

typedef struct htel_config {
  const char *device_id;        /* opaque, [A-Za-z0-9_-]{1,36}; never a name or record number */
  const char *firmware;         /* version of the device's firmware, or NULL */
  const htel_channel *channels; /* kept by reference until htel_close */
  uint16_t channel_count;       /* 1 to HTEL_CHANNELS_MAX */
  uint16_t ring_count;          /* 0 counts as 1 */
  uint32_t ring_bytes[HTEL_RINGS_MAX]; /* power of two, 256 to 1 MiB; 0 counts as 2048 */
  uint64_t session;                    /* opaque id of the patient's session, 0 for none */
  uint8_t coding;                      /* htel_coding */
  htel_batch_config batch;
  htel_outbox_config outbox;
  htel_delivery_config delivery;
  htel_config_fault *fault; /* filled in when the configuration is refused; may be NULL */
} htel_config;

typedef struct htel htel; /* one device's client; lives in the caller's memory */

/* ---- Life ------------------------------------------------------------------------- */

/* Bytes of memory that htel_open needs for this configuration, or a negative error that says what
 * is wrong with it (config->fault has field and reason). Nothing is kept. */
int32_t htel_memory_needed(const htel_config *config);

/* Sets up a client in `memory` (aligned for max_align_t, size bytes, the caller's until htel_close
 * has returned something other than HTEL_E_AGAIN). `config`'s strings and channel array and `port`
 * are kept by reference; `config` itself may go. Reads the boot number from the port; does not
 * connect yet (htel_poll does). Errors: HTEL_E_CONFIG (see config->fault), HTEL_E_MEMORY (too small
 * or misaligned), HTEL_E_PORT (a function that must be there is missing), or the port's own error
 * for the boot number. With the outbox on flash also HTEL_E_VERSION (a log of a layout or geometry
 * that this library does not know) and HTEL_E_FORMAT (something else is on the flash): neither is
 * touched; and HTEL_E_STORE (it cannot be read or written). */
int htel_open(htel **tel, void *memory, size_t size, const htel_config *config,
              const htel_port *port);

/* One bounded step: drains the rings, closes frames that are due, does what the link has to do.
 * Returns the milliseconds after which it wants to run again (0: at once; at most 1000). Calling it
 * sooner does no harm; the port's wake() tells when it is needed.
 * With the outbox on flash a step also waits for the flash: for each frame closed a few programs,
 * a sync, and seldom up to one erase for each class; for each of at most 16 frames sent two reads
 * of it; for each run of receipts in a block a program; a ledger of 640 bytes and a sync for each
 * frame found damaged, evicted block, or alarm frame with loss records. docs/DELIVERY.md has
 * figures. */
uint32_t htel_poll(htel *tel);

/* Closes the open frames and reports whether everything recorded before the first call has been
 * delivered. Never blocks: call it until it returns something other than HTEL_E_AGAIN, waiting
 * htel_poll's milliseconds in between (each call is one htel_poll). 0: all has left the device:
 * delivered, or told as lost (htel_stats says which);
 * HTEL_E_TIMEOUT: `timeout_ms` passed; what is left stays in the outbox. */
int htel_flush(htel *tel, uint32_t timeout_ms);

/* Flushes, says goodbye to the broker, marks the boot as cleanly ended (where the port keeps that)
 * and disconnects. Stop recording first: what is recorded from now on is flushed too while there is
 * time, and what then is left makes the boot an unclean one. Call it until it returns something
 * other than HTEL_E_AGAIN; the memory is then the caller's again. 0: everything accepted was
 * delivered or told as lost; HTEL_E_TIMEOUT: something was left (htel_stats has how many frames);
 * HTEL_E_STORE: the port could not note the clean end. */
int htel_close(htel *tel, uint32_t timeout_ms);

/* ---- Recording: a bounded copy into a ring, safe from an interrupt ------------------- */

/* All return 0 when the reading was accepted, HTEL_E_FULL when the ring had no room (the reading is
 * then counted and reported to the ingest as lost), HTEL_E_ARGUMENT for a channel, kind, quality or
 * count that the configuration does not have. */

/* A numeric, valid, taken now. */
int htel_record(htel *tel, unsigned channel, int32_t value);

/* A numeric with its quality, taken at `tick_ms` of the port's clock (wraps at 2^32; within 2^31 ms
 * of now). */
int htel_record_at(htel *tel, unsigned channel, int32_t value, htel_quality quality,
                   uint32_t tick_ms);

/* `count` consecutive samples of a waveform, valid, the last of them taken now. */
int htel_record_block(htel *tel, unsigned channel, const int32_t *samples, uint16_t count);

/* The same with a quality for the whole block; `tick_ms` is when samples[0] was taken. Blocks that
 * follow each other without a gap are placed by count, so jitter of `tick_ms` below one sample
 * period (or half a block, for htel_record_block) does not show. */
int htel_record_block_at(htel *tel, unsigned channel, const int32_t *samples, uint16_t count,
                         htel_quality quality, uint32_t tick_ms);

/* An alarm event, now or at `tick_ms`. Its frame is closed at once. */
int htel_alarm(htel *tel, unsigned channel, const htel_alarm_event *event);
int htel_alarm_at(htel *tel, unsigned channel, const htel_alarm_event *event, uint32_t tick_ms);

/* ---- Time, session, state ------------------------------------------------------------ */

/* Says what time it is: `utc_ms` is Unix time in ms at `tick_ms` of the port's clock, right to
 * +-uncertainty_ms. Kept as an anchor and sent; readings taken before it are placed by it too. Call
 * it when the clock is set and when it jumps. Ports with utc() need not call it. */
int htel_utc_set(htel *tel, uint32_t tick_ms, int64_t utc_ms, uint32_t uncertainty_ms);

/* The newest anchor's idea of Unix time now. HTEL_E_AGAIN while no anchor is known. */
int htel_utc_now(const htel *tel, int64_t *utc_ms, uint32_t *uncertainty_ms);

/* Another patient: readings recorded before this call belong to the old session id, later ones to
 * the new. Closes the open frames. */
int htel_session_set(htel *tel, uint64_t session);

typedef struct htel_stats {
  uint64_t readings_accepted;  /* taken from the rings so far; a waveform sample is a reading */
  uint64_t readings_refused;   /* ring full; all of them are in loss records */
  uint64_t readings_delivered; /* in frames that were receipted */
  uint64_t readings_evicted;   /* in frames evicted from the outbox */
  uint64_t payload_bytes;      /* of closed frames */
  uint32_t frames_closed;
  uint32_t frames_published; /* resends not counted */
  uint32_t frames_resent;
  uint32_t frames_delivered;
  uint32_t frames_quarantined; /* stored at the ingest but not understood there */
  uint32_t frames_evicted;
  uint32_t frames_waiting;    /* in the outbox now; on flash: those of them that are under way */
  uint32_t frames_in_flight;  /* of which published and not receipted */
  uint32_t outbox_bytes_used; /* on flash: of blocks with frames that wait */
  uint32_t outbox_bytes_max;  /* most ever used; on flash: of RAM, by frames under way */
  uint32_t connects;          /* connections that came up */
  uint32_t disconnects;       /* that ended without being asked to */
  uint32_t connect_failures;
  uint32_t receipts;
  uint32_t
      messages_ignored; /* from the broker, not understood or (outbox in RAM) not for this boot */
  int32_t last_error;   /* why the link last went down or refused, HTEL_E_* or 0 */
  uint32_t poll_ms_max; /* longest htel_poll by the port's clock */
  uint64_t boot;
  bool connected;
} htel_stats;

void htel_stats_get(const htel *tel, htel_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
