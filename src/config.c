/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - is this configuration right, and how does it lie in memory?
 *
 * One pass does both, so that htel_memory_needed and htel_open cannot disagree: it walks the parts
 * in order and hands out addresses (from NULL when only the size is asked for). */
#include <stdalign.h>
#include <string.h>

#include "client.h"
#include "frame.h"
#include "model.h"
#include "zip.h"

#ifndef HEALTHTEL_TEXTS
#define HEALTHTEL_TEXTS 1
#endif

#define ALIGN (alignof(max_align_t))

#define ALARM_BLOCK_BYTES 256u /* alarms close their frame at once: room for a burst of eight */
#define NUMERIC_BLOCK_BYTES_MIN 288u /* and for each reading that the columns of numerics hold: */
#define NUMERIC_BLOCK_BYTES_EACH 2u
#define RING_ALARM_WORDS 4u
#define RING_ALARMS_RESERVED 8u

/* Configuration with its defaults in place. */
typedef struct sizes {
  uint32_t ring_words[HTEL_RINGS_MAX];
  uint16_t ring_count;
  uint32_t frame_bytes;
  uint32_t block_bytes[HTEL_CLASS_COUNT]; /* coded readings of an open frame */
  uint16_t column_samples[HTEL_CHANNELS_MAX];
  uint32_t outbox_bytes;
  bool ring_has_alarms[HTEL_RINGS_MAX];
  uint16_t index; /* of the channel or ring that is wrong */
} sizes;

/* ---- checks: NULL, or a FAULT ---------------------------------------------------------- */

/* What is wrong is one text: the field, and behind its end why. A device without a console needs
 * the field at most; the reasons are 1.3 KB. */
#if HEALTHTEL_TEXTS
#define FAULT(field, why) (field "\0" why)
#else
#define FAULT(field, why) (field)
#endif

static const char *why_of(const char *fault) {
#if HEALTHTEL_TEXTS
  return fault + strlen(fault) + 1;
#else
  (void)fault;
  return "see healthtel.h (built without HEALTHTEL_TEXTS)";
#endif
}

static int32_t refuse(const htel_config *config, const char *field, unsigned index,
                      const char *why) {
  if (config->fault != NULL)
    *config->fault = (htel_config_fault){.field = field, .index = (uint16_t)index, .why = why};
  return HTEL_E_CONFIG;
}

static const char *fault_at(sizes *s, unsigned index, const char *fault) {
  s->index = (uint16_t)index;
  return fault;
}

static bool is_id(const char *s) {
  size_t n = 0;
  for (; s[n] != '\0'; n++) {
    char c = s[n];
    bool ok = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-';
    if (!ok || n >= HTEL_DEVICE_ID_CHARS_MAX) return false;
  }
  return n > 0;
}

/* NULL, or printable ASCII of at most `max` characters. */
static bool is_label(const char *s, size_t max) {
  if (s == NULL) return true;
  for (size_t n = 0; s[n] != '\0'; n++)
    if (n >= max || s[n] < 0x20 || s[n] > 0x7e) return false;
  return true;
}

static uint32_t block_max_of(const htel_channel *ch) {
  return ch->block_max == 0 ? 64u : ch->block_max;
}

static const char *check_channel(const htel_config *c, unsigned i, sizes *s) {
  const htel_channel *ch = &c->channels[i];
  if (ch->kind > HTEL_ALARM) return FAULT("channels.kind", "HTEL_NUMERIC, _WAVEFORM or _ALARM");
  if (ch->ring >= s->ring_count) return FAULT("channels.ring", "must be below ring_count");
  if (!is_label(ch->name, HTEL_NAME_CHARS_MAX))
    return FAULT("channels.name", "at most 31 printable ASCII characters");
  if (!is_label(ch->unit, HTEL_UNIT_CHARS_MAX))
    return FAULT("channels.unit", "a UCUM unit of at most 15 ASCII characters");
  if (ch->exponent < -12 || ch->exponent > 12) return FAULT("channels.exponent", "from -12 to 12");
  if (ch->kind == HTEL_WAVEFORM) {
    if (ch->rate.num == 0)
      return FAULT("channels.rate", "a waveform needs its rate in Hz, {num, den}");
    if (block_max_of(ch) > UINT16_MAX / 2u)
      return FAULT("channels.block_max", "at most 32767 samples");
  } else if (ch->kind == HTEL_ALARM && ch->rate.num != 0) {
    return FAULT("channels.rate", "0 for alarms");
  }
  if (ch->rate.num > 1000000u || ch->rate.den > 1000000u)
    return FAULT("channels.rate", "num and den at most 1,000,000");
  if (ch->column_samples != 0 &&
      (ch->column_samples < 8u || ch->column_samples > HTEL_COLUMN_SAMPLES_MAX))
    return FAULT("channels.column_samples", "from 8 to 512, or 0 for the default");
  for (unsigned j = 0; j < i; j++)
    if (c->channels[j].code == ch->code && c->channels[j].index == ch->index)
      return FAULT("channels.index", "taken by an earlier channel of this code: give each its own");
  return NULL;
}

/* A record of the largest block must fit twice: one being read while the next comes in. */
static const char *check_ring(const htel_config *c, sizes *s, unsigned channel) {
  const htel_channel *ch = &c->channels[channel];
  uint32_t words = RING_HEAD_WORDS + (ch->kind == HTEL_WAVEFORM ? block_max_of(ch) : 2u);
  uint32_t reserve = s->ring_has_alarms[ch->ring] ? RING_ALARM_WORDS * RING_ALARMS_RESERVED : 0;
  if (2u * words + reserve <= s->ring_words[ch->ring]) return NULL;
  return fault_at(s, ch->ring,
                  FAULT("ring_bytes",
                        "must hold two blocks of block_max samples (4 bytes each, and 8), "
                        "and 128 bytes for alarms"));
}

static const char *check_rings(const htel_config *c, sizes *s) {
  s->ring_count = c->ring_count == 0 ? 1u : c->ring_count;
  if (s->ring_count > HTEL_RINGS_MAX) return FAULT("ring_count", "at most 8");
  for (unsigned i = 0; i < s->ring_count; i++) {
    uint32_t bytes = c->ring_bytes[i] == 0 ? 2048u : c->ring_bytes[i];
    if (bytes < 256u || bytes > 1048576u || (bytes & (bytes - 1u)) != 0)
      return fault_at(s, i,
                      FAULT("ring_bytes", "a power of two from 256 to 1048576, or 0 for 2048"));
    s->ring_words[i] = bytes / 4u;
  }
  return NULL;
}

/* Room for coded readings, by class; and columns whose blocks fit there whatever their values. */
static const char *check_columns(const htel_config *c, sizes *s) {
  uint32_t most = s->frame_bytes - FRAME_ENVELOPE_BYTES_MAX;
  uint32_t numeric = NUMERIC_BLOCK_BYTES_MIN, least = 0;
  uint32_t length = HEALTHTEL_BEST && c->coding == HTEL_CODING_BEST ? BATCH_LENGTH_BYTES : 0;
  for (unsigned i = 0; i < c->channel_count; i++) {
    const htel_channel *ch = &c->channels[i];
    if (ch->kind == HTEL_ALARM) continue;
    uint16_t want = ch->column_samples != 0    ? ch->column_samples
                    : ch->kind == HTEL_NUMERIC ? 32u
                                               : 256u;
    while (ch->column_samples == 0 && want > 8u && code_block_bytes_max(want) + length > most)
      want = (uint16_t)(want / 2u);
    if (code_block_bytes_max(want) + length > most)
      return fault_at(s, i,
                      FAULT("channels.column_samples",
                            "a block may not fit a frame: lower it, or raise batch.bytes_max"));
    s->column_samples[i] = want;
    if (ch->kind != HTEL_NUMERIC) continue;
    numeric += NUMERIC_BLOCK_BYTES_EACH * want;
    uint32_t block = (uint32_t)code_block_bytes_max(want) + length;
    if (block > least) least = block;
  }
  if (numeric < least) numeric = least;
  s->block_bytes[HTEL_CLASS_ALARM] = ALARM_BLOCK_BYTES;
  s->block_bytes[HTEL_CLASS_NUMERIC] = numeric < most ? numeric : most;
  s->block_bytes[HTEL_CLASS_WAVEFORM] = most;
  bool waves = false;
  for (unsigned i = 0; i < c->channel_count; i++) waves |= c->channels[i].kind == HTEL_WAVEFORM;
  if (!waves) s->block_bytes[HTEL_CLASS_WAVEFORM] = 0;
  return NULL;
}

static const char *check_delivery(const htel_config *c) {
  const htel_delivery_config *d = &c->delivery;
  if (d->mode > HTEL_DELIVERY_BROKER)
    return FAULT("delivery.mode", "HTEL_DELIVERY_RECEIPT or _BROKER");
  if (d->rate_per_s_max > DELIVERY_RATE_MAX)
    return FAULT("delivery.rate_per_s_max",
                 "at most 90: brokers cut off who sends 100 messages a second");
  if (d->backlog_per_s_max > DELIVERY_RATE_MAX)
    return FAULT("delivery.backlog_per_s_max", "at most 90");
  if (d->backoff_base_ms > 3600000u || d->backoff_max_ms > 86400000u)
    return FAULT("delivery.backoff_max_ms", "base at most an hour, max at most a day");
  if (d->backoff_base_ms != 0 && d->backoff_max_ms != 0 && d->backoff_max_ms < d->backoff_base_ms)
    return FAULT("delivery.backoff_max_ms", "at least backoff_base_ms");
  if (d->receipt_wait_ms > 86400000u || (d->receipt_wait_ms != 0 && d->receipt_wait_ms < 1000u))
    return FAULT("delivery.receipt_wait_ms", "from 1000 to 86400000, or 0 for 30000");
  return NULL;
}

static const char *check_frames(const htel_config *c, sizes *s) {
  if (c->device_id == NULL || !is_id(c->device_id))
    return FAULT("device_id", "1 to 36 characters of A-Z a-z 0-9 _ -");
  if (!is_label(c->firmware, HTEL_NAME_CHARS_MAX))
    return FAULT("firmware", "at most 31 printable ASCII characters");
  if (c->channels == NULL || c->channel_count == 0)
    return FAULT("channels", "at least one channel is needed");
  if (c->channel_count > HTEL_CHANNELS_MAX) return FAULT("channel_count", "at most 64");
  if (c->coding > HTEL_CODING_BEST) return FAULT("coding", "HTEL_CODING_ZLIB, _FAST or _BEST");
  if (c->coding == HTEL_CODING_ZLIB && zip_arena_bytes() == 0)
    return FAULT("coding", "built without zlib: use HTEL_CODING_FAST");
  if (c->coding == HTEL_CODING_BEST && model_writer_bytes() == 0)
    return FAULT("coding", "built without HEALTHTEL_BEST: use HTEL_CODING_FAST");
  if (c->batch.age_ms_max > 86400000u) return FAULT("batch.age_ms_max", "at most a day (86400000)");
  s->frame_bytes = c->batch.bytes_max == 0 ? 3584u : c->batch.bytes_max;
  if (s->frame_bytes < 512u || s->frame_bytes > HTEL_FRAME_BYTES_MAX)
    return FAULT("batch.bytes_max", "from 512 to 61440, or 0 for 3584");
  s->outbox_bytes = c->outbox.bytes == 0 ? 32768u : c->outbox.bytes;
  return NULL;
}

static const char *check_channels(const htel_config *c, sizes *s) {
  for (unsigned i = 0; i < c->channel_count; i++) {
    const char *wrong = check_channel(c, i, s);
    if (wrong != NULL) return fault_at(s, i, wrong);
    if (c->channels[i].kind == HTEL_ALARM) s->ring_has_alarms[c->channels[i].ring] = true;
  }
  const char *wrong = NULL;
  for (unsigned i = 0; wrong == NULL && i < c->channel_count; i++) wrong = check_ring(c, s, i);
  return wrong;
}

static const char *check_rest(const htel_config *c, sizes *s) {
  if ((c->outbox.code == NULL && s->outbox_bytes < 2u * outbox_bytes_for(s->frame_bytes)) ||
      s->outbox_bytes > 0x40000000u)
    return FAULT("outbox.bytes", "two frames of batch.bytes_max at least, at most 1 GiB");
  for (unsigned i = 0; i < HTEL_CLASS_COUNT; i++)
    if (c->outbox.when_full[i] > HTEL_REFUSE_NEWEST)
      return fault_at(s, i, FAULT("outbox.when_full", "HTEL_DROP_OLDEST or HTEL_REFUSE_NEWEST"));
  const char *wrong = check_delivery(c);
  if (wrong == NULL) wrong = check_rings(c, s);
  if (wrong == NULL) wrong = check_channels(c, s);
  if (wrong == NULL) wrong = check_columns(c, s);
  return wrong;
}

static int32_t check(const htel_config *c, sizes *s) {
  const char *wrong = check_frames(c, s);
  if (wrong == NULL && c->outbox.code != NULL) {
    int32_t rc = c->outbox.code->check(c, s->frame_bytes, &s->outbox_bytes);
    if (rc != 0) return rc;
  }
  if (wrong == NULL) wrong = check_rest(c, s);
  return wrong == NULL ? 0 : refuse(c, wrong, s->index, why_of(wrong));
}

/* ---- layout ---------------------------------------------------------------------------- */

typedef struct cursor {
  uint8_t *base; /* NULL: only counting */
  uint64_t used; /* 64 bits: the sum of all maxima does not wrap */
} cursor;

static void *take(cursor *at, uint64_t bytes) {
  void *p = at->base == NULL ? NULL : at->base + at->used;
  at->used += (bytes + ALIGN - 1u) / ALIGN * ALIGN;
  return p;
}

static void lay_rings(htel *tel, cursor *at, const sizes *s) {
  ring *rings = take(at, s->ring_count * sizeof(ring));
  if (tel != NULL) {
    tel->rings = rings;
    tel->ring_count = s->ring_count;
  }
  for (unsigned i = 0; i < s->ring_count; i++) {
    uint32_t *words = take(at, 4u * (uint64_t)s->ring_words[i]);
    if (tel == NULL) continue;
    uint32_t reserve = s->ring_has_alarms[i] ? RING_ALARM_WORDS * RING_ALARMS_RESERVED : 0;
    ring_init(&rings[i], words, s->ring_words[i], reserve);
  }
}

static void lay_channels(htel *tel, cursor *at, const htel_config *c, const sizes *s) {
  channel_state *states = take(at, c->channel_count * sizeof(channel_state));
  batch_column *columns = take(at, c->channel_count * sizeof(batch_column));
  for (unsigned i = 0; i < c->channel_count; i++) {
    const htel_channel *ch = &c->channels[i];
    uint64_t n = s->column_samples[i];
    batch_column column = {.room = (uint16_t)n};
    column.values = take(at, n * sizeof *column.values);
    if (ch->kind == HTEL_NUMERIC) {
      column.ticks = take(at, n * sizeof *column.ticks);
      column.quality = take(at, n * sizeof *column.quality);
    }
    if (tel == NULL) continue;
    columns[i] = column;
    states[i].into = &tel->rings[ch->ring];
    atomic_init(&states[i].refused, 0);
    atomic_init(&states[i].refused_tick, 0);
    states[i].head_word = ring_head_word(i, 0, 0, 1);
    states[i].kind = ch->kind;
    states[i].block_max = (uint16_t)block_max_of(ch);
  }
  if (tel == NULL) return;
  tel->states = states;
  tel->batch.columns = columns;
}

static void lay_frames(htel *tel, cursor *at, const sizes *s) {
  for (unsigned i = 0; i < HTEL_CLASS_COUNT; i++) {
    uint8_t *blocks = take(at, s->block_bytes[i]);
    if (tel != NULL)
      tel->batch.frames[i] =
          (batch_frame){.blocks = blocks, .room = s->block_bytes[i], .serial = 1};
  }
}

int32_t config_apply(const htel_config *config, uint8_t *memory) {
  sizes s;
  memset(&s, 0, sizeof s);
  int32_t rc = check(config, &s);
  if (rc != 0) return rc;

  cursor at = {.base = memory};
  htel *tel = take(&at, sizeof(htel));
  lay_rings(tel, &at, &s);
  lay_channels(tel, &at, config, &s);
  lay_frames(tel, &at, &s);
  uint8_t *arena = take(&at, s.outbox_bytes);
  size_t zip_bytes = config->coding == HTEL_CODING_ZLIB   ? zip_arena_bytes()
                     : config->coding == HTEL_CODING_BEST ? model_writer_bytes()
                                                          : 0;
  void *zip = take(&at, zip_bytes);
  if (at.used > INT32_MAX) {
    const char *wrong = FAULT("outbox.bytes", "more than 2 GiB in all are needed");
    return refuse(config, wrong, 0, why_of(wrong));
  }
  if (tel == NULL) return (int32_t)at.used;

  outbox_init(&tel->outbox, arena, s.outbox_bytes / 8u * 8u, config->outbox.when_full);
  tel->outbox.code = config->outbox.code;
  tel->coding = config->coding;
  tel->batch.for_model = config->coding == HTEL_CODING_BEST;
  tel->zip = zip;
  tel->zip_bytes = zip_bytes;
  tel->channels = config->channels;
  tel->channel_count = config->channel_count;
  tel->device_id = config->device_id;
  tel->birth = (birth_source){.firmware = config->firmware,
                              .channels = config->channels,
                              .channel_count = config->channel_count};
  tel->session = config->session;
  tel->frame_bytes_max = (uint16_t)s.frame_bytes;
  tel->batch.channels = config->channels;
  tel->batch.channel_count = config->channel_count;
  tel->batch.age_ms_max = config->batch.age_ms_max == 0 ? 10000u : config->batch.age_ms_max;
  return (int32_t)at.used;
}
