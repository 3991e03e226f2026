/* SPDX-License-Identifier: Apache-2.0 */
/* codec_client.c - a device as codec.h has it: the client through its public functions alone.
 *
 * Its clock begins at 0 with boot number 1 and is set by hand: to when the last sample of a block
 * was taken. Waveforms come in blocks of 64 (the default of block_max), numerics one by one; a poll
 * follows each row of blocks. Frames close by age, those of slow recordings by htel_flush after so
 * many rows. It has no idea what time it is, unless the recording does: then it is told once. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "codec.h"

#define BLOCK 64u
#define WAVEFORM_COLUMN 256u /* the defaults of column_samples */
#define NUMERIC_COLUMN 32u
#define WAVEFORM_BYTES 4u /* of a reading in a column: value; */
#define NUMERIC_BYTES 9u  /* value, tick, quality */
#define FRAME_BYTES HTEL_FRAME_BYTES_MAX
#define AGE_MS_MAX 86400000u
#define STEP_MS_MAX 1000000000u /* of the clock between two polls: ticks are 32 bits */
#define POLLS_MAX 100000u       /* until everything has left */

const htel_coding codec_levels[CODEC_LEVELS] = {HTEL_CODING_FAST, HTEL_CODING_ZLIB,
                                                HTEL_CODING_BEST};
const char *const codec_level_names[CODEC_LEVELS] = {"FAST", "ZLIB", "BEST"};

struct codec_device {
  const codec_input *in;
  codec_stream *out;
  htel_channel channels[RECORDING_CHANNELS_MAX];
  htel_config config;
  htel_config_fault fault;
  htel_link link;
  htel_port port;
  htel *tel;
  void *memory;
  uint64_t now_ms;
  bool up_due, down_due, acked_due, no_memory;
  uint32_t acked_token;
};

/* ---- The platform ---------------------------------------------------------------------------- */

/* Not static and never inlined: codec_count.c names it to callgrind, which leaves it out. */
uint32_t codec_clock(void *ctx);
__attribute__((noinline)) uint32_t codec_clock(void *ctx) {
  const codec_device *d = ctx;
  return (uint32_t)d->now_ms;
}

static int port_random(void *ctx, uint8_t *buf, size_t size) {
  (void)ctx;
  memset(buf, 0x5a, size); /* the same in every run; it only spreads reconnects */
  return 0;
}

static int port_boot(void *ctx, htel_boot *boot) {
  (void)ctx;
  *boot = (htel_boot){.number = 1};
  return 0;
}

static int link_open(void *ctx, const htel_link_session *session) {
  (void)session;
  ((codec_device *)ctx)->up_due = true;
  return 0;
}

static bool stream_reserve(codec_stream *s, size_t more) {
  if (s->room - s->size < more) {
    size_t room = 2 * s->room + more + (1u << 20);
    uint8_t *bytes = realloc(s->bytes, room);
    if (!bytes) return false;
    s->bytes = bytes;
    s->room = room;
  }
  if (s->count == s->count_room) {
    uint32_t room = 2 * s->count_room + 4096;
    size_t *ends = realloc(s->ends, room * sizeof *ends);
    if (!ends) return false;
    s->ends = ends;
    s->count_room = room;
  }
  return true;
}

static int frame_keep(codec_device *d, const htel_message *m) {
  codec_stream *s = d->out;
  d->no_memory |= !stream_reserve(s, m->size);
  if (d->no_memory) return HTEL_E_LINK_LOST;
  int rc = m->read(m->source, m->token, 0, s->bytes + s->size, m->size);
  if (rc != 0) return rc;
  s->size += m->size;
  s->ends[s->count++] = s->size;
  return 0;
}

static int birth_keep(codec_device *d, const htel_message *m) {
  codec_stream *s = d->out;
  if (m->size > sizeof s->birth) return HTEL_E_TOO_LARGE;
  s->birth_bytes = m->size;
  return m->read(m->source, m->token, 0, s->birth, m->size);
}

static int link_publish(void *ctx, const htel_message *m) {
  codec_device *d = ctx;
  if (d->acked_due) return HTEL_E_AGAIN;
  const char *last = strrchr(m->topic, '/');
  int rc = 0;
  if (last && strcmp(last, "/frame") == 0) rc = frame_keep(d, m);
  if (last && strcmp(last, "/birth") == 0) rc = birth_keep(d, m);
  if (rc != 0) return rc;
  d->acked_token = m->token;
  d->acked_due = true;
  return 0;
}

static int link_next(void *ctx, htel_link_event *event) {
  codec_device *d = ctx;
  *event = (htel_link_event){0};
  if (d->up_due) {
    d->up_due = false;
    event->kind = HTEL_LINK_UP;
  } else if (d->acked_due) {
    d->acked_due = false;
    event->kind = HTEL_LINK_ACKED;
    event->token = d->acked_token;
  } else if (d->down_due) {
    d->down_due = false;
    event->kind = HTEL_LINK_DOWN;
  } else {
    return 0;
  }
  return 1;
}

static uint32_t link_wait_ms(void *ctx) {
  (void)ctx;
  return 1000;
}

static void link_close(void *ctx) {
  ((codec_device *)ctx)->down_due = true;
}

/* ---- The configuration ----------------------------------------------------------------------- */

/* A numeric's column holds a frame's readings where that is possible, in whole 32s. */
static uint16_t column_samples(const codec_input *in, uint32_t frame_s) {
  const recording *r = &in->about;
  if (r->kind == HTEL_WAVEFORM) return WAVEFORM_COLUMN;
  uint64_t rows = frame_s;
  if (!in->by_rows && r->rate.num > 0) rows = frame_s * (uint64_t)r->rate.num / r->rate.den;
  if (rows > HTEL_COLUMN_SAMPLES_MAX) rows = HTEL_COLUMN_SAMPLES_MAX;
  return (uint16_t)((rows + NUMERIC_COLUMN - 1) / NUMERIC_COLUMN * NUMERIC_COLUMN);
}

static void config_make(codec_device *d, const codec_input *in, uint8_t coding, uint32_t frame_s) {
  const recording *r = &in->about;
  for (uint16_t c = 0; c < r->channel_count; c++) {
    const recording_channel *from = &r->channels[c];
    d->channels[c] = (htel_channel){.code = from->code,
                                    .name = from->name,
                                    .unit = from->unit,
                                    .rate = r->rate,
                                    .gain = from->gain,
                                    .offset = from->offset,
                                    .exponent = from->exponent,
                                    .kind = (uint8_t)r->kind,
                                    .index = from->index,
                                    .block_max = BLOCK,
                                    .column_samples = column_samples(in, frame_s)};
  }
  d->config = (htel_config){
      .device_id = "bench",
      .channels = d->channels,
      .channel_count = r->channel_count,
      .ring_bytes = {1u << 16},
      .coding = coding,
      .batch = {.age_ms_max = in->by_rows ? AGE_MS_MAX : 1000u * frame_s, .bytes_max = FRAME_BYTES},
      .outbox = {.bytes = 1u << 20},
      .delivery = {.mode = HTEL_DELIVERY_BROKER},
      .fault = &d->fault};
}

static int complain(const codec_device *d, const char *what, int rc) {
  fprintf(stderr, "htel-bench: %s: %s: %s", d->in->about.path, what,
          d->no_memory ? "out of memory" : htel_strerror(rc));
  if (d->fault.field) fprintf(stderr, " (%s: %s)", d->fault.field, d->fault.why);
  fputc('\n', stderr);
  return -1;
}

static int client_open(codec_device *d) {
  d->link = (htel_link){.ctx = d,
                        .open = link_open,
                        .publish = link_publish,
                        .next = link_next,
                        .wait_ms = link_wait_ms,
                        .close = link_close};
  d->port = (htel_port){.ctx = d,
                        .tick_ms = codec_clock,
                        .random = port_random,
                        .boot_begin = port_boot,
                        .link = &d->link};
  int32_t needed = htel_memory_needed(&d->config);
  if (needed < 0) return complain(d, "the configuration is refused", needed);
  d->memory = calloc(1, (size_t)needed);
  d->no_memory = !d->memory;
  int rc = d->no_memory ? HTEL_E_MEMORY
                        : htel_open(&d->tel, d->memory, (size_t)needed, &d->config, &d->port);
  if (rc != 0) return complain(d, "htel_open", rc);
  d->out->size = d->out->count = 0;
  d->out->birth_bytes = 0;
  for (unsigned i = 0; i < 16; i++) htel_poll(d->tel);
  if (d->out->birth_bytes == 0) return complain(d, "no birth was published", HTEL_E_AGAIN);
  return 0;
}

codec_device *codec_device_open(const codec_input *in, unsigned level, uint32_t frame_s,
                                codec_stream *out) {
  codec_device *d = calloc(1, sizeof *d);
  if (!d) {
    fprintf(stderr, "htel-bench: out of memory\n");
    return NULL;
  }
  d->in = in;
  d->out = out;
  config_make(d, in, (uint8_t)codec_levels[level], frame_s);
  if (client_open(d) == 0) return d;
  codec_device_free(d);
  return NULL;
}

void codec_device_free(codec_device *d) {
  if (!d) return;
  free(d->memory);
  free(d);
}

void codec_stream_free(codec_stream *stream) {
  free(stream->bytes);
  free(stream->ends);
  *stream = (codec_stream){0};
}

/* ---- Playing --------------------------------------------------------------------------------- */

/* A long pause is slept through in parts, as a device would that polls now and then. */
static void clock_to(codec_device *d, uint64_t ms) {
  while (ms > d->now_ms && ms - d->now_ms > STEP_MS_MAX) {
    d->now_ms += STEP_MS_MAX;
    htel_poll(d->tel);
  }
  if (ms > d->now_ms) d->now_ms = ms;
}

static int numerics_record(codec_device *d, uint64_t row) {
  const codec_input *in = d->in;
  for (uint16_t c = 0; c < in->about.channel_count; c++) {
    int rc = htel_record_at(d->tel, c, codec_values(in, c)[row],
                            (htel_quality)codec_quality(in, c)[row], (uint32_t)in->offset_ms[row]);
    if (rc != 0) return rc;
  }
  return 0;
}

/* Samples of a channel, in runs of one quality. */
static int samples_record(codec_device *d, uint16_t channel, uint64_t first, uint64_t end) {
  const codec_input *in = d->in;
  const int32_t *values = codec_values(in, channel);
  const uint8_t *quality = codec_quality(in, channel);
  for (uint64_t stop; first < end; first = stop) {
    for (stop = first; stop < end && quality[stop] == quality[first];) stop++;
    int rc = htel_record_block_at(d->tel, channel, values + first, (uint16_t)(stop - first),
                                  (htel_quality)quality[first], (uint32_t)in->offset_ms[first]);
    if (rc != 0) return rc;
  }
  return 0;
}

static int rows_record(codec_device *d, uint64_t first, uint64_t end) {
  if (d->in->about.kind != HTEL_WAVEFORM) return numerics_record(d, first);
  int rc = 0;
  for (uint16_t c = 0; rc == 0 && c < d->in->about.channel_count; c++)
    rc = samples_record(d, c, first, end);
  return rc;
}

static int frame_play(codec_device *d, uint64_t first, uint64_t end) {
  uint32_t step = d->in->about.kind == HTEL_WAVEFORM ? BLOCK : 1;
  for (uint64_t stop; first < end; first = stop) {
    stop = end - first > step ? first + step : end;
    clock_to(d, d->in->offset_ms[stop - 1]);
    int rc = rows_record(d, first, stop);
    if (rc != 0) return rc;
    htel_poll(d->tel);
  }
  return 0;
}

/* Closes the open frame and waits until all have left. */
static int flush(codec_device *d) {
  int rc = HTEL_E_AGAIN;
  for (unsigned i = 0; rc == HTEL_E_AGAIN && i < POLLS_MAX; i++) {
    rc = htel_flush(d->tel, UINT32_MAX / 4);
    if (rc == HTEL_E_AGAIN && i > 8) d->now_ms++; /* its rate is limited */
  }
  return rc;
}

int codec_device_play(codec_device *d) {
  const codec_input *in = d->in;
  int rc = 0;
  if (in->about.irregular) rc = htel_utc_set(d->tel, 0, in->about.t_ms_first, 0);
  for (uint32_t f = 0; rc == 0 && f < in->frame_count; f++) {
    rc = frame_play(d, in->frame_rows[f], in->frame_rows[f + 1]);
    if (rc == 0 && (in->by_rows || f + 1 == in->frame_count)) rc = flush(d);
  }
  return rc == 0 ? 0 : complain(d, "recording", rc);
}

/* ---- RAM ------------------------------------------------------------------------------------- */

int codec_ram_get(const codec_input *in, uint32_t frame_s, codec_ram *ram) {
  codec_device *d = calloc(1, sizeof *d);
  if (!d) return -1;
  d->in = in;
  config_make(d, in, HTEL_CODING_FAST, frame_s);
  int32_t plain = 0;
  int rc = 0;
  for (unsigned level = 0; rc == 0 && level < CODEC_LEVELS; level++) {
    d->config.coding = (uint8_t)codec_levels[level];
    int32_t needed = htel_memory_needed(&d->config);
    if (needed < 0) rc = complain(d, "htel_memory_needed", needed);
    if (level == 0) plain = needed; /* FAST */
    ram->beyond[level] = needed - plain;
  }
  uint32_t each = in->about.kind == HTEL_WAVEFORM ? WAVEFORM_BYTES : NUMERIC_BYTES;
  ram->columns = (int32_t)(each * column_samples(in, frame_s) * in->about.channel_count);
  codec_device_free(d);
  return rc;
}
