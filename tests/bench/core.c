/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* core.c - the operations: record, poll, code, frame, zip and decode, on a real ECG.
 *
 * The whole client runs through its public functions on a port of its own: a clock that is set by
 * hand, and a link that is up at once and acknowledges what it reads. The frames that it
 * publishes are what `decode` reads back. code, frame and zip are also called one by one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "code.h"
#include "common/recording.h"
#include "frame.h"
#include "zip.h"
#if BENCH_CODEC
#include "core_peers.h"
#endif

#define SAMPLES_MAX 21600u /* 60 s at 360 Hz */
#define BLOCK 36u          /* 100 ms at 360 Hz */
#define RECORDS 1024u      /* numerics in one run, blocks likewise */
#define COLUMN 256u
#define FRAMES_MAX 64u
#define FRAME_BYTES 4096u
#define MEMORY_BYTES (2u << 20)

enum { CH_PULSE, CH_ECG, CHANNELS };

static const htel_channel channels[CHANNELS] = {
    [CH_PULSE] = {.code = HTEL_MDC_HEART_RATE, .unit = HTEL_UNIT_PER_MIN},
    [CH_ECG] = {.code = HTEL_MDC_ECG_LEAD_II,
                .unit = HTEL_UNIT_MV,
                .kind = HTEL_WAVEFORM,
                .rate = {360, 1},
                .gain = 200,
                .offset = 1024,
                .ring = 1},
};

typedef struct message {
  size_t size;
  uint8_t bytes[FRAME_BYTES];
} message;

struct bench {
  uint32_t now_ms;
  htel *tel;
  htel_link link;
  htel_port port;
  /* The link: what it will report next, and what it was given. */
  bool up_due, down_due, acked_due;
  uint32_t acked_token;
  message birth, frames[FRAMES_MAX];
  uint32_t frame_count;
  /* Input. */
  uint32_t sample_count;
  int32_t samples[SAMPLES_MAX];
  /* What the stages work on. */
  uint32_t coded;                  /* samples of the last run of code */
  uint32_t decoded;                /* readings of the last decode run */
  uint8_t blocks[FRAME_BYTES * 4]; /* a batch of Rice blocks */
  size_t block_bytes;
  uint8_t out[FRAME_BYTES * 8];
  uint8_t arena[65536] __attribute__((aligned(16)));
  htel_birth births;
  htel_frame frame;
  htel_reader reader;
  htel_series series;
#if BENCH_CODEC
  core_peers *peers;
#endif
  uint8_t memory[MEMORY_BYTES] __attribute__((aligned(16)));
};

/* ---- The port ----------------------------------------------------------------------- */

/* Not static and never inlined: count.c names it to callgrind, which leaves it out. */
uint32_t bench_clock(void *ctx);
__attribute__((noinline)) uint32_t bench_clock(void *ctx) {
  const bench *b = ctx;
  return b->now_ms;
}

static int port_random(void *ctx, uint8_t *buf, size_t size) {
  (void)ctx;
  for (size_t i = 0; i < size; i++) buf[i] = (uint8_t)(i * 37u + 11u); /* the same in every run */
  return 0;
}

static int link_open(void *ctx, const htel_link_session *session) {
  (void)session;
  ((bench *)ctx)->up_due = true;
  return 0;
}

static int link_publish(void *ctx, const htel_message *published) {
  bench *b = ctx;
  if (b->acked_due) return HTEL_E_AGAIN;
  message *into = NULL;
  if (strstr(published->topic, "/birth")) into = &b->birth;
  if (strstr(published->topic, "/frame")) into = &b->frames[b->frame_count % FRAMES_MAX];
  if (into) {
    if (published->size > sizeof into->bytes) return HTEL_E_TOO_LARGE;
    int rc = published->read(published->source, published->token, 0, into->bytes, published->size);
    if (rc < 0) return rc;
    into->size = published->size;
    if (into != &b->birth) b->frame_count++;
  }
  b->acked_token = published->token;
  b->acked_due = true;
  return 0;
}

static int link_next(void *ctx, htel_link_event *event) {
  bench *b = ctx;
  *event = (htel_link_event){0};
  if (b->up_due) {
    b->up_due = false;
    event->kind = HTEL_LINK_UP;
  } else if (b->acked_due) {
    b->acked_due = false;
    event->kind = HTEL_LINK_ACKED;
    event->token = b->acked_token;
  } else if (b->down_due) {
    b->down_due = false;
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
  ((bench *)ctx)->down_due = true;
}

/* ---- The client ---------------------------------------------------------------------- */

static int client_open(bench *b, htel_coding coding) {
  b->link = (htel_link){.ctx = b,
                        .open = link_open,
                        .publish = link_publish,
                        .next = link_next,
                        .wait_ms = link_wait_ms,
                        .close = link_close};
  b->port = (htel_port){.ctx = b, .tick_ms = bench_clock, .random = port_random, .link = &b->link};
  b->up_due = b->down_due = b->acked_due = false;
  b->frame_count = 0;
  b->now_ms = 1000;
  htel_config_fault fault = {0};
  const htel_config config = {.device_id = "bench",
                              .channels = channels,
                              .channel_count = CHANNELS,
                              .ring_count = 2,
                              .ring_bytes = {1u << 17, 1u << 18},
                              .coding = (uint8_t)coding,
                              .delivery = {.mode = HTEL_DELIVERY_BROKER},
                              .fault = &fault};
  int rc = htel_open(&b->tel, b->memory, sizeof b->memory, &config, &b->port);
  if (rc != 0)
    fprintf(stderr, "htel-bench: htel_open: %s (%s: %s)\n", htel_strerror(rc),
            fault.field ? fault.field : "-", fault.why ? fault.why : "-");
  return rc;
}

static int prepare_client(bench *b) {
  return client_open(b, HTEL_CODING_FAST);
}

/* Up, and the birth is out. */
static int prepare_pipeline(bench *b, htel_coding coding) {
  int rc = client_open(b, coding);
  for (int i = 0; rc == 0 && i < 50; i++) {
    b->now_ms += 100;
    htel_poll(b->tel);
  }
  return rc;
}

static int prepare_fast(bench *b) {
  return prepare_pipeline(b, HTEL_CODING_FAST);
}
#if HEALTHTEL_ZLIB
static int prepare_zlib(bench *b) {
  return prepare_pipeline(b, HTEL_CODING_ZLIB);
}
#endif

#if HEALTHTEL_BEST
static int prepare_best(bench *b) {
  return prepare_pipeline(b, HTEL_CODING_BEST);
}
#endif

/* ---- Operations ---------------------------------------------------------------------- */

static void run_loop(bench *b) {
  for (uint32_t i = 0; i < RECORDS; i++) __asm__ volatile("" : : "r"(b), "r"(i) : "memory");
}

static void run_record(bench *b) {
  htel *tel = b->tel;
  for (uint32_t i = 0; i < RECORDS; i++) htel_record(tel, CH_PULSE, (int32_t)i);
}

static void run_record_block(bench *b) {
  htel *tel = b->tel;
  const int32_t *samples = b->samples;
  for (uint32_t i = 0; i < RECORDS; i++) htel_record_block(tel, CH_ECG, samples, BLOCK);
}

static void run_poll_idle(bench *b) {
  htel *tel = b->tel;
  for (uint32_t i = 0; i < RECORDS; i++) htel_poll(tel);
}

/* One 100 ms block, one poll: a bedside monitor's life. The block is given with its tick. */
static void run_pipeline(bench *b) {
  for (uint32_t at = 0; at + BLOCK <= b->sample_count; at += BLOCK) {
    b->now_ms += 100;
    htel_record_block_at(b->tel, CH_ECG, b->samples + at, BLOCK, HTEL_VALID, b->now_ms - 100);
    htel_poll(b->tel);
  }
}

static int prepare_none(bench *b) {
  (void)b;
  return 0;
}

static void run_code(bench *b) {
  b->coded = 0;
  for (uint32_t at = 0; at + COLUMN <= b->sample_count; at += COLUMN) {
    const code_column column = {.channel = CH_ECG,
                                .kind = HTEL_WAVEFORM,
                                .count = COLUMN,
                                .values = b->samples + at,
                                .continues = at > 0};
    code_block_encode(&column, 0, CODE_RICE, b->out, sizeof b->out);
    b->coded += COLUMN;
  }
}

/* A batch as it is when a frame closes: 10 s of ECG. */
static int prepare_batch(bench *b) {
  b->block_bytes = 0;
  for (uint32_t at = 0; at + COLUMN <= b->sample_count && at < 3600; at += COLUMN) {
    const code_column column = {.channel = CH_ECG,
                                .kind = HTEL_WAVEFORM,
                                .count = COLUMN,
                                .values = b->samples + at,
                                .continues = at > 0};
    size_t room = sizeof b->blocks - b->block_bytes;
    size_t bytes = code_block_encode(&column, 0, CODE_RICE, b->blocks + b->block_bytes, room);
    if (bytes == 0) return HTEL_E_TOO_LARGE;
    b->block_bytes += bytes;
  }
  return 0;
}

static void run_frame(bench *b) {
  const frame_parts parts = {.boot = 7,
                             .sequence = 1000,
                             .frame_class = HTEL_CLASS_WAVEFORM,
                             .tick = 123456789,
                             .schema = 0x12345678u,
                             .data = b->blocks,
                             .data_bytes = b->block_bytes};
  for (uint32_t i = 0; i < FRAMES_MAX; i++) frame_encode(&parts, b->out, sizeof b->out);
}

#if HEALTHTEL_ZLIB
static void run_zip(bench *b) {
  uint32_t inflated = 0;
  for (uint32_t i = 0; i < FRAMES_MAX; i++)
    zip_blocks(b->arena, sizeof b->arena, channels, CHANNELS, b->blocks, b->block_bytes, b->out,
               sizeof b->out, &inflated);
}
#endif

static int prepare_decode(bench *b) {
  int rc = prepare_pipeline(b, HTEL_CODING_FAST);
  if (rc != 0) return rc;
  run_pipeline(b);
  rc = htel_birth_decode(&b->births, b->birth.bytes, b->birth.size);
  return rc != 0 ? rc : b->frame_count > 0 ? 0 : HTEL_E_FORMAT;
}

static uint32_t frames_kept(const bench *b) {
  return b->frame_count < FRAMES_MAX ? b->frame_count : FRAMES_MAX;
}

static void run_decode(bench *b) {
  b->decoded = 0;
  for (uint32_t i = 0; i < frames_kept(b); i++) {
    const message *m = &b->frames[i];
    if (htel_frame_decode(&b->frame, m->bytes, m->size) != 0) continue;
    if (htel_reader_open(&b->reader, &b->frame, &b->births) != 0) continue;
    while (htel_reader_next(&b->reader, &b->series) == 1) b->decoded += b->series.count;
  }
}

#if BENCH_CODEC
/* ---- What others would do ------------------------------------------------------------ */

static int prepare_peers(bench *b) {
  core_peers_empty(b->peers);
  return 0;
}

static void run_mutex(bench *b) {
  for (uint32_t i = 0; i < RECORDS; i++) core_peers_mutex(b->peers, CH_PULSE, (int32_t)i, i);
}

static void run_ck(bench *b) {
  for (uint32_t i = 0; i < RECORDS; i++) core_peers_ck(b->peers, CH_PULSE, (int32_t)i, i);
}

static void run_peer(bench *b, core_peers_form form) {
  b->coded = 0;
  for (uint32_t at = 0; at + BLOCK <= b->sample_count; at += BLOCK)
    if (core_peers_samples(b->peers, form, b->samples + at, BLOCK) >= 0) b->coded += BLOCK;
}

static void run_plain(bench *b) {
  run_peer(b, CORE_PEERS_PLAIN);
}

static void run_packed(bench *b) {
  run_peer(b, CORE_PEERS_PACKED);
}
#endif

/* ---- What was done ------------------------------------------------------------------- */

static uint32_t count_records(const bench *b) {
  (void)b;
  return RECORDS;
}

/* Only what was accepted counts: a refusal is cheaper. The client knows when it has drained. */
static uint32_t count_accepted(const bench *b) {
  htel_stats stats;
  for (uint32_t i = 0; i < RECORDS; i++) htel_poll(b->tel);
  htel_stats_get(b->tel, &stats);
  return (uint32_t)stats.readings_accepted;
}

static uint32_t count_blocks(const bench *b) {
  return count_accepted(b) / BLOCK;
}

static uint32_t count_coded(const bench *b) {
  return b->coded;
}

static uint32_t count_columns(const bench *b) {
  return b->coded / COLUMN;
}

static uint32_t count_frames(const bench *b) {
  (void)b;
  return FRAMES_MAX;
}

static uint32_t count_decoded(const bench *b) {
  return b->decoded;
}

const bench_operation bench_operations[] = {
    {"loop", "round", "an empty loop, taken off all others", 0, prepare_none, run_loop,
     count_records, count_records},
    {"record", "reading", "htel_record, without the clock", 60, prepare_client, run_record,
     count_accepted, count_records},
    {"record_block", "block of 36", "htel_record_block, without the clock", 250, prepare_client,
     run_record_block, count_blocks, count_records},
    {"poll_idle", "call", "htel_poll with nothing to do", 0, prepare_fast, run_poll_idle,
     count_records, count_records},
    {"poll", "sample", "record a block, poll: ring to acknowledged frame", 95, prepare_fast,
     run_pipeline, count_accepted, count_blocks},
#if HEALTHTEL_BEST
    {"poll_best", "sample", "the same with HTEL_CODING_BEST", 600, prepare_best, run_pipeline,
     count_accepted, count_blocks},
#endif
#if HEALTHTEL_ZLIB
    {"poll_zlib", "sample", "the same with HTEL_CODING_ZLIB", 0, prepare_zlib, run_pipeline,
     count_accepted, count_blocks},
#endif
    {"code", "sample", "predictor and Rice codes, columns of 256", 80, prepare_none, run_code,
     count_coded, count_columns},
    {"frame", "frame", "envelope and checksum around 10 s of ECG", 0, prepare_batch, run_frame,
     count_frames, count_frames},
#if HEALTHTEL_ZLIB
    {"zip", "frame", "zlib tried on 10 s of ECG", 0, prepare_batch, run_zip, count_frames,
     count_frames},
#endif
    {"decode", "reading", "frame to values and ticks", 80, prepare_decode, run_decode,
     count_decoded, frames_kept},
#if BENCH_CODEC
    {"mutex", "reading", "instead of htel_record: a queue behind a mutex", 0, prepare_peers,
     run_mutex, count_records, count_records},
    {"ck_ring", "reading", "instead of htel_record: Concurrency Kit's ring", 0, prepare_peers,
     run_ck, count_records, count_records},
    {"plain", "sample", "instead of poll: nanopb plain fields, zlib", 0, prepare_peers, run_plain,
     count_coded, count_blocks},
    {"packed", "sample", "instead of poll: nanopb packed sint32, zlib (9,1)", 0, prepare_peers,
     run_packed, count_coded, count_blocks},
#endif
};
const size_t bench_operation_count = sizeof bench_operations / sizeof bench_operations[0];

/* ---- The fixture --------------------------------------------------------------------- */

bench *bench_open(const char *recording_path) {
  bench *b = calloc(1, sizeof *b);
  recording *r = calloc(1, sizeof *r);
  int rc = -1;
  if (!b || !r) {
    fprintf(stderr, "htel-bench: out of memory\n");
#if BENCH_CODEC
  } else if (!(b->peers = core_peers_open())) {
    fprintf(stderr, "htel-bench: out of memory\n");
#endif
  } else if (recording_open(r, recording_path) != 0) {
    fprintf(stderr, "htel-bench: %s\n", r->error);
  } else {
    recording_row row;
    while (b->sample_count < SAMPLES_MAX && (rc = recording_next(r, &row)) == 1)
      b->samples[b->sample_count++] = row.values[0];
    if (rc < 0) fprintf(stderr, "htel-bench: %s\n", r->error);
    if (rc >= 0 && b->sample_count < 3600) {
      fprintf(stderr, "htel-bench: %s: needs 3600 rows at least\n", recording_path);
      rc = -1;
    }
    recording_close(r);
  }
  free(r);
  if (rc >= 0) return b;
  bench_close(b);
  return NULL;
}

void bench_close(bench *b) {
#if BENCH_CODEC
  if (b) core_peers_close(b->peers);
#endif
  free(b);
}
