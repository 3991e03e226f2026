/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "healthtel/decode.h"
#include "player.h"

#define ACKS_MAX 24u /* as ports/mqtt: messages whose PUBACK is still to come */
#define DRAIN_S 3600u
#define REPEATS_MAX 1000000u
#define RATE_SHORTEST_MS 1000u

/* The world around the client. */
typedef struct world {
  uint64_t now_ms;
  uint64_t outage_from_ms, outage_to_ms;
  bool up, up_due, down_due;
  uint32_t acks[ACKS_MAX];
  uint64_t acks_due_ms[ACKS_MAX];
  unsigned ack_count;
  uint32_t ack_ms;
  trial_result *result;
  uint32_t frame_room;
  bool out_of_memory;
  uint8_t message[HTEL_FRAME_BYTES_MAX];
  htel_frame frame;
} world;

static bool is_outage(const world *w) {
  return w->now_ms >= w->outage_from_ms && w->now_ms < w->outage_to_ms;
}

/* ---- port ------------------------------------------------------------------------------ */

static uint32_t port_tick_ms(void *ctx) {
  return (uint32_t)((world *)ctx)->now_ms;
}

/* Waits as long as may be: backoff draws the end of its window. */
static int port_random(void *ctx, uint8_t *buf, size_t size) {
  (void)ctx;
  memset(buf, 0xff, size);
  return 0;
}

static int port_boot_begin(void *ctx, htel_boot *boot) {
  (void)ctx;
  *boot = (htel_boot){.number = 1};
  return 0;
}

static int port_utc(void *ctx, int64_t *utc_ms, uint32_t *uncertainty_ms) {
  const world *w = ctx;
  *utc_ms = INT64_C(1760000000000) + (int64_t)w->now_ms;
  *uncertainty_ms = 20;
  return 0;
}

/* ---- link ------------------------------------------------------------------------------ */

static int link_open(void *ctx, const htel_link_session *session) {
  world *w = ctx;
  (void)session;
  if (is_outage(w))
    w->down_due = true;
  else
    w->up = w->up_due = true;
  return 0;
}

static int frame_note(world *w, uint32_t size) {
  trial_result *r = w->result;
  if (r->frame_count == w->frame_room) {
    uint32_t room = w->frame_room == 0 ? 256 : 2 * w->frame_room;
    trial_frame *frames =
        room > 2 * TRIAL_FRAMES_MAX ? NULL : realloc(r->frames, room * sizeof *frames);
    w->out_of_memory |= frames == NULL;
    if (frames == NULL) return HTEL_E_MEMORY;
    r->frames = frames;
    w->frame_room = room;
  }
  r->frames[r->frame_count++] =
      (trial_frame){.tick = w->now_ms, .size = size, .frame_class = w->frame.frame_class};
  return 0;
}

static int link_publish(void *ctx, const htel_message *message) {
  world *w = ctx;
  if (!w->up || is_outage(w)) return HTEL_E_LINK_LOST;
  if (w->ack_count == ACKS_MAX) return HTEL_E_AGAIN;
  int rc = message->read(message->source, message->token, 0, w->message, message->size);
  const char *last = strrchr(message->topic, '/');
  if (rc == 0 && last != NULL && strcmp(last, "/frame") == 0 &&
      htel_frame_decode(&w->frame, w->message, message->size) == 0)
    rc = frame_note(w, message->size);
  if (rc != 0) return rc;
  w->acks_due_ms[w->ack_count] = w->now_ms + w->ack_ms;
  w->acks[w->ack_count++] = message->token;
  return 0;
}

static int link_next(void *ctx, htel_link_event *event) {
  world *w = ctx;
  *event = (htel_link_event){0};
  if (w->up && is_outage(w)) {
    w->up = w->up_due = false;
    w->ack_count = 0;
    w->down_due = true;
  }
  if (w->down_due) {
    w->down_due = false;
    *event =
        (htel_link_event){.kind = HTEL_LINK_DOWN, .error = is_outage(w) ? HTEL_E_LINK_LOST : 0};
    return 1;
  }
  if (w->up_due) {
    w->up_due = false;
    event->kind = HTEL_LINK_UP;
    return 1;
  }
  if (w->ack_count == 0 || w->now_ms < w->acks_due_ms[0]) return 0;
  *event = (htel_link_event){.kind = HTEL_LINK_ACKED, .token = w->acks[0]};
  w->ack_count--;
  memmove(w->acks, w->acks + 1, w->ack_count * sizeof *w->acks);
  memmove(w->acks_due_ms, w->acks_due_ms + 1, w->ack_count * sizeof *w->acks_due_ms);
  return 1;
}

static uint32_t link_wait_ms(void *ctx) {
  const world *w = ctx;
  return w->ack_count > 0 ? 0 : RATE_SHORTEST_MS;
}

static void link_close(void *ctx) {
  world *w = ctx;
  w->up = w->up_due = false;
  w->ack_count = 0;
  w->down_due = true;
}

/* ---- the device ------------------------------------------------------------------------ */

int trial_device_open(trial_device *device, const char *const *paths, unsigned path_count,
                      uint32_t repeat, char *error, size_t error_size) {
  *device = (trial_device){0};
  for (unsigned i = 0; i < path_count; i++) {
    track *t = &device->tracks[device->track_count++];
    int rc = track_open_recording(t, paths[i], repeat);
    if (rc != 0 && repeat > 1) { /* one with times of its own cannot be repeated */
      track_close(t);
      rc = track_open_recording(t, paths[i], 1);
    }
    if (rc == 0) continue;
    snprintf(error, error_size, "%s", t->error);
    trial_device_close(device);
    return -1;
  }
  int count = tracks_device(device->tracks, device->track_count, 1, device->channels);
  if (count >= 0) {
    device->channel_count = (uint16_t)count;
    return 0;
  }
  snprintf(error, error_size, "more than %u channels", HTEL_CHANNELS_MAX);
  trial_device_close(device);
  return -1;
}

void trial_device_close(trial_device *device) {
  for (unsigned i = 0; i < device->track_count; i++) track_close(&device->tracks[i]);
  device->track_count = 0;
}

static int play(const trial_plan *plan, player *p, world *w, htel *tel) {
  uint64_t poll_ms = plan->poll_ms;
  uint64_t end_ms = plan->duration_s * UINT64_C(1000);
  for (w->now_ms = 0; w->now_ms < end_ms; w->now_ms += poll_ms) {
    uint64_t due;
    while ((due = player_due_ms(p)) <= w->now_ms && due < end_ms)
      if (player_step(p) != 0) return -1;
    if (due == UINT64_MAX) break;
    htel_poll(tel);
  }
  return 0;
}

static int run_device(const trial_plan *plan, trial_device *device, world *w, char *error,
                      size_t error_size) {
  const htel_link link = {.ctx = w,
                          .open = link_open,
                          .publish = link_publish,
                          .next = link_next,
                          .wait_ms = link_wait_ms,
                          .close = link_close};
  const htel_port port = {.ctx = w,
                          .tick_ms = port_tick_ms,
                          .random = port_random,
                          .boot_begin = port_boot_begin,
                          .utc = port_utc,
                          .link = &link};
  htel_config_fault fault = {0};
  htel_config config = *plan->config;
  htel *tel;
  config.delivery.mode = HTEL_DELIVERY_BROKER;
  config.fault = &fault;
  int32_t bytes = htel_memory_needed(&config);
  void *memory = bytes > 0 ? malloc((size_t)bytes) : NULL;
  int rc = memory == NULL ? HTEL_E_MEMORY : htel_open(&tel, memory, (size_t)bytes, &config, &port);
  if (rc != 0) {
    snprintf(error, error_size, "%s %s", fault.field ? fault.field : htel_strerror(rc),
             fault.why ? fault.why : "");
    free(memory);
    return -1;
  }
  player p = {.tel = tel, .port = &port};
  for (unsigned i = 0; rc == 0 && i < device->track_count; i++)
    rc = player_add(&p, &device->tracks[i]);
  if (rc == 0) rc = play(plan, &p, w, tel);
  if (rc != 0) snprintf(error, error_size, "%s", p.error);
  trial_result *r = w->result;
  r->recorded = p.recorded;
  r->refused = p.refused;
  uint64_t give_up_ms = w->now_ms + 2 * DRAIN_S * UINT64_C(1000);
  while ((r->closed = htel_close(tel, DRAIN_S * 1000u)) == HTEL_E_AGAIN && w->now_ms < give_up_ms)
    w->now_ms += plan->poll_ms;
  htel_stats_get(tel, &r->stats);
  free(memory);
  return rc;
}

int trial_run(const trial_plan *plan, trial_result *result, char *error, size_t error_size) {
  *result = (trial_result){0};
  trial_device device;
  if (trial_device_open(&device, plan->paths, plan->path_count, REPEATS_MAX, error, error_size))
    return -1;
  world *w = calloc(1, sizeof *w);
  int rc = -1;
  if (w == NULL) {
    snprintf(error, error_size, "out of memory");
  } else {
    w->result = result;
    w->ack_ms = plan->ack_ms;
    w->outage_from_ms = plan->outage_at_s * UINT64_C(1000);
    w->outage_to_ms = w->outage_from_ms + plan->outage_s * UINT64_C(1000);
    rc = run_device(plan, &device, w, error, error_size);
    if (rc == 0 && w->out_of_memory) {
      snprintf(error, error_size, "more than %u frames: a shorter --outage, please",
               TRIAL_FRAMES_MAX);
      rc = -1;
    }
  }
  trial_device_close(&device);
  free(w);
  return rc;
}
