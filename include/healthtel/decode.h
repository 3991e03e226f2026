/* SPDX-License-Identifier: Apache-2.0 */
/* decode.h - reads births and frames, for ingests and tools. docs/FORMAT.md has the format.
 *
 *     htel_birth_decode(birth bytes)            -> htel_birth: the channels, and the schema hash
 *     htel_frame_decode(frame bytes)            -> htel_frame: key, class, session, anchors, losses
 *     htel_reader_open(reader, frame, birth)
 *     htel_reader_next(reader, series)  1, 1, 0 -> the readings, one series at a time
 *
 * Input comes from outside and may be anything: every function checks before it uses, runs in time
 * bounded by the input's size plus HTEL_INFLATED_BYTES_MAX, and writes only into the structs it is
 * given. No heap: the structs are large (see each), so put them in static or heap memory. Any
 * number may be used at once, each by one thread. */
#ifndef HEALTHTEL_DECODE_H
#define HEALTHTEL_DECODE_H

#include "healthtel/healthtel.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HTEL_FRAME_BYTES_MAX 61440u
#define HTEL_INFLATED_BYTES_MAX 65536u
#define HTEL_READER_MODEL_BYTES 299008u
#define HTEL_ANCHORS_MAX 8u /* in one frame */
#define HTEL_LOSSES_MAX 16u /* in one frame */

typedef struct htel_birth_channel {
  uint32_t code;
  htel_rate rate; /* den is never 0 */
  int32_t gain;   /* never 0 */
  int32_t offset;
  int8_t exponent;
  uint8_t kind;
  uint8_t index;
  char name[HTEL_NAME_CHARS_MAX + 1];
  char unit[HTEL_UNIT_CHARS_MAX + 1];
} htel_birth_channel;

typedef struct htel_birth { /* about 5 KB */
  uint32_t schema;          /* CRC-32 of the birth's bytes, as frames name it */
  uint32_t format;
  char firmware[HTEL_NAME_CHARS_MAX + 1];
  uint16_t channel_count;
  htel_birth_channel channels[HTEL_CHANNELS_MAX];
} htel_birth;

/* HTEL_E_FORMAT, HTEL_E_TOO_LARGE (too many channels, a string too long), HTEL_E_VERSION. */
int htel_birth_decode(htel_birth *birth, const uint8_t *bytes, size_t size);

typedef struct htel_anchor {
  uint64_t tick;
  int64_t utc_ms;
  uint32_t uncertainty_ms;
} htel_anchor;

typedef enum htel_cause {
  HTEL_CAUSE_UNSPECIFIED = 0,
  HTEL_CAUSE_RING_FULL = 1,
  HTEL_CAUSE_OUTBOX_FULL = 2,
  HTEL_CAUSE_UNCLEAN_STOP = 3
} htel_cause;

typedef struct htel_loss {
  uint64_t boot;      /* filled in from the frame where the record has none */
  uint64_t boot_last; /* UNCLEAN_STOP, OUTBOX_FULL: boots `boot` to this one; 0: `boot` alone */
  uint64_t tick_first, tick_last;
  uint64_t readings;
  uint32_t sequence_first, sequence_last; /* OUTBOX_FULL: the range evicted */
  uint32_t frames; /* OUTBOX_FULL: frames of the class evicted in the range; all of them unless
                      at_most */
  uint32_t id; /* names the record within the boot of the frame that carries it. It may come again,
                  grown: the version with the most readings counts */
  uint8_t cause;       /* htel_cause; others are from a newer device */
  uint8_t channel;     /* RING_FULL */
  uint8_t frame_class; /* OUTBOX_FULL */
  bool at_most;
} htel_loss;

typedef struct htel_frame { /* about 1 KB */
  uint64_t boot;
  uint32_t sequence;
  uint8_t frame_class; /* htel_class */
  uint8_t coding;      /* 0 stored, 1 deflate, 2 modelled */
  uint64_t tick;
  uint64_t session;
  uint32_t schema;
  uint32_t data_size;  /* after inflating */
  const uint8_t *data; /* points into the bytes given */
  size_t data_bytes;
  uint16_t anchor_count, loss_count;
  htel_anchor anchors[HTEL_ANCHORS_MAX];
  htel_loss losses[HTEL_LOSSES_MAX];
} htel_frame;

/* Checks the checksum, then the envelope. `bytes` must stay while frame->data is used.
 * HTEL_E_TOO_LARGE (also too many anchors or losses), HTEL_E_CRC, HTEL_E_FORMAT, HTEL_E_UNSUPPORTED
 * (a coding or an encryption that this library does not know). */
int htel_frame_decode(htel_frame *frame, const uint8_t *bytes, size_t size);

/* A run of readings of one channel. */
typedef struct htel_series { /* about 7 KB */
  uint8_t channel;
  uint8_t kind;   /* of the channel, from the birth */
  uint16_t count; /* 1 to HTEL_COLUMN_SAMPLES_MAX */
  /* Waveforms: the exact place of values[0] is tick_first + phase / rate.num ms, 0 <= phase <
   * rate.num. ticks[] is filled in for every kind (rounded down to the ms). */
  uint32_t phase;
  uint64_t ticks[HTEL_COLUMN_SAMPLES_MAX];          /* ms since boot */
  int32_t values[HTEL_COLUMN_SAMPLES_MAX];          /* alarms: not used */
  uint8_t quality[HTEL_COLUMN_SAMPLES_MAX];         /* htel_quality */
  htel_alarm_event alarms[HTEL_COLUMN_SAMPLES_MAX]; /* alarms only */
  bool continues; /* waveforms: goes on where this channel's last series, in this frame, ended */
} htel_series;

typedef struct htel_reader_zip {
  uint8_t inflated[HTEL_INFLATED_BYTES_MAX];
  uint64_t arena[1536]; /* zlib's state */
} htel_reader_zip;

typedef struct htel_reader { /* about 300 KB */
  const htel_frame *frame;
  const htel_birth *birth;
  const uint8_t *bytes;
  size_t size, used;
  struct {
    uint64_t tick;
    uint32_t phase;
    bool known;
  } next[HTEL_CHANNELS_MAX];
  union {
    htel_reader_zip zip;                         /* of a deflated frame */
    uint64_t model[HTEL_READER_MODEL_BYTES / 8]; /* a column of a modelled frame */
  };
} htel_reader;

/* Inflates where needed. `frame`, its bytes and `birth` must stay. HTEL_E_SCHEMA when the birth is
 * another one, HTEL_E_FORMAT, HTEL_E_UNSUPPORTED (built without zlib). */
int htel_reader_open(htel_reader *reader, const htel_frame *frame, const htel_birth *birth);

/* 1: `series` holds the next run; 0: that was all; HTEL_E_FORMAT: what follows cannot be read. */
int htel_reader_next(htel_reader *reader, htel_series *series);

/* Receipts, for ingests. Ranges are inclusive. */
#define HTEL_RANGES_MAX 16u
#define HTEL_RECEIPT_BYTES_MAX 512u

typedef struct htel_range {
  uint32_t first, last;
} htel_range;

typedef struct htel_receipt {
  uint64_t boot;
  int64_t utc_ms;
  uint32_t pause_ms;
  uint16_t stored_count, quarantined_count, birth_count;
  htel_range stored[HTEL_RANGES_MAX];
  htel_range quarantined[HTEL_RANGES_MAX];
  uint32_t births[4];
  bool birth_wanted;
} htel_receipt;

/* Bytes written, at most HTEL_RECEIPT_BYTES_MAX, or HTEL_E_TOO_LARGE. */
int htel_receipt_encode(const htel_receipt *receipt, uint8_t *buf, size_t size);
/* 0 or HTEL_E_FORMAT; ranges and births beyond the maximum are left out. */
int htel_receipt_decode(htel_receipt *receipt, const uint8_t *bytes, size_t size);

/* CRC-32 (IEEE 802.3, reflected, as in zlib and PNG) of `size` bytes, going on from `crc` (0 to
 * begin). */
uint32_t htel_crc32(uint32_t crc, const void *bytes, size_t size);

#ifdef __cplusplus
}
#endif
#endif
