/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/recording.h"
#include "outbox.h"

#define BLOCK 36u /* 100 ms at 360 Hz */
#define PASSES_MAX 100u
#define MEMORY_BYTES (1u << 20)

/* A device whose link is always up and keeps what it is given. */
typedef struct source {
  outbox_frames *frames;
  unsigned count;
  uint32_t bytes_min;
  uint32_t now_ms;
  bool up_due, acked_due;
  uint32_t token;
  htel_channel channel;
  htel_link link;
  htel_port port;
  htel *tel;
  uint8_t memory[MEMORY_BYTES] __attribute__((aligned(16)));
} source;

static uint32_t tick_ms(void *ctx) {
  return ((source *)ctx)->now_ms;
}

static int random_bytes(void *ctx, uint8_t *buf, size_t size) {
  (void)ctx;
  for (size_t i = 0; i < size; i++) buf[i] = (uint8_t)(i * 37u + 11u); /* the same in every run */
  return 0;
}

static int link_open(void *ctx, const htel_link_session *session) {
  (void)session;
  ((source *)ctx)->up_due = true;
  return 0;
}

static int link_publish(void *ctx, const htel_message *m) {
  source *s = ctx;
  if (s->acked_due) return HTEL_E_AGAIN;
  bool wanted = strstr(m->topic, "/frame") != NULL && m->size >= s->bytes_min &&
                m->size <= OUTBOX_FRAME_BYTES_MAX && s->count < OUTBOX_FRAMES;
  if (wanted) {
    int rc = m->read(m->source, m->token, 0, s->frames->bytes[s->count], m->size);
    if (rc != 0) return rc;
    s->frames->sizes[s->count++] = m->size;
  }
  s->token = m->token;
  s->acked_due = true;
  return 0;
}

static int link_next(void *ctx, htel_link_event *event) {
  source *s = ctx;
  *event = (htel_link_event){.token = s->token};
  if (!s->up_due && !s->acked_due) return 0;
  event->kind = s->up_due ? HTEL_LINK_UP : HTEL_LINK_ACKED;
  if (s->up_due)
    s->up_due = false;
  else
    s->acked_due = false;
  return 1;
}

static uint32_t link_wait_ms(void *ctx) {
  (void)ctx;
  return 1000;
}

static void link_close(void *ctx) {
  (void)ctx;
}

static int source_open(source *s, const recording_channel *channel, uint32_t bytes_max) {
  s->channel = (htel_channel){.code = channel->code,
                              .kind = HTEL_WAVEFORM,
                              .rate = {360, 1},
                              .gain = channel->gain,
                              .offset = channel->offset};
  const htel_config config = {.device_id = "bench",
                              .channels = &s->channel,
                              .channel_count = 1,
                              .ring_bytes = {1u << 16},
                              .coding = HTEL_CODING_FAST,
                              .batch = {.age_ms_max = 3600000, .bytes_max = (uint16_t)bytes_max},
                              .outbox = {.bytes = 1u << 18},
                              .delivery = {.mode = HTEL_DELIVERY_BROKER}};
  s->link = (htel_link){.ctx = s,
                        .open = link_open,
                        .publish = link_publish,
                        .next = link_next,
                        .wait_ms = link_wait_ms,
                        .close = link_close};
  s->port = (htel_port){.ctx = s, .tick_ms = tick_ms, .random = random_bytes, .link = &s->link};
  return htel_open(&s->tel, s->memory, sizeof s->memory, &config, &s->port);
}

static void source_block(source *s, const int32_t *samples) {
  s->now_ms += 100;
  htel_record_block_at(s->tel, 0, samples, BLOCK, HTEL_VALID, s->now_ms - 100);
  htel_poll(s->tel);
}

static int frames_gather(source *s, recording *r) {
  int32_t samples[BLOCK];
  unsigned filled = 0;
  for (unsigned pass = 0; s->count < OUTBOX_FRAMES && pass < PASSES_MAX;) {
    recording_row row;
    int rc = recording_next(r, &row);
    if (rc < 0) return -1;
    if (rc == 0) {
      pass++;
      if (recording_rewind(r) != 0) return -1;
      continue;
    }
    samples[filled++] = row.values[0];
    if (filled == BLOCK) source_block(s, samples);
    filled %= BLOCK;
  }
  return s->count == OUTBOX_FRAMES ? 0 : -1;
}

int outbox_frames_make(outbox_frames *frames, const char *recording_path, uint32_t bytes_min,
                       uint32_t bytes_max) {
  source *s = calloc(1, sizeof *s);
  recording *r = calloc(1, sizeof *r);
  int rc = -1;
  if (s != NULL && r != NULL && recording_open(r, recording_path) == 0) {
    s->frames = frames;
    s->bytes_min = bytes_min;
    s->now_ms = 1000;
    rc = source_open(s, &r->channels[0], bytes_max);
    if (rc == 0) rc = frames_gather(s, r);
  }
  if (rc != 0) fprintf(stderr, "htel-bench: %s: no frames come of it\n", recording_path);
  uint64_t sum = 0;
  for (unsigned i = 0; rc == 0 && i < OUTBOX_FRAMES; i++) sum += frames->sizes[i];
  frames->mean = (uint32_t)(sum / OUTBOX_FRAMES);
  if (r != NULL) recording_close(r);
  free(r);
  free(s);
  return rc == 0 ? 0 : -1;
}
