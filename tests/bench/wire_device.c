/* SPDX-License-Identifier: Apache-2.0 */
/* wire_device.c - a device with healthtel, as a firmware team would write it.
 *
 * Standing: it connects, waits until birth and status are through, then measures. Its clock runs
 * `speed` times faster than the real one from there on, so that a minute's frames come every few
 * seconds, while TCP's own timers, the broker and the ingest stay as they are. The spans end half
 * way between two frames, when nothing is under way.
 *
 * Hourly: while it is away from the network its clock jumps from reading to reading; while it is
 * connected it runs as the real one does. A link in front of the link says when to connect, and
 * hangs up when everything is receipted. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "htel_dial.h"
#include "htel_mqtt.h"
#include "htel_paho.h"
#include "htel_posix.h"
#include "wire_signal.h"

#define WINDOW_BYTES 8192u
#define BLOCK_MS 100u
#define BLOCK (WIRE_ECG_HZ * BLOCK_MS / 1000u)
#define UP_MS_MAX 20000u
#define SETTLE_MS 500u /* real time: for what is still under way */
#define WARM_PERIODS 2u
#define KEEP_ALIVE_S 60u

enum { CH_NUMERICS, CH_ECG = WIRE_SIGNAL_CHANNELS };

typedef struct device {
  const wire_job *job;
  const wire_traffic *traffic;
  wire_source source;
  htel_channel channels[WIRE_SIGNAL_CHANNELS + 1];
  uint16_t channel_count;

  htel_posix posix;
  htel_port real, port; /* port: with the clock of this device */
  uint32_t speed;
  int64_t real0_us, clock0_us; /* when the clock was set last, and what it showed */
  int64_t utc0_us;             /* Unix time when it showed 0 */

  htel_paho *paho;
  htel_dial *dial;
  htel_mqtt mqtt;
  htel_mqtt_config mqtt_config;
  uint8_t mqtt_buffer[HTEL_MQTT_BUFFER_BYTES(WINDOW_BYTES)];
  const htel_link *inner;
  htel_link gate; /* in front of it */
  bool may_connect, is_open, closing;

  htel *tel;
  void *memory;
  htel_stats stats, counted;
  uint32_t tick0;        /* of reading 0 */
  uint64_t blocks, rows; /* recorded */
  wire_told *told;
} device;

/* ---- The clock ------------------------------------------------------------------------------- */

static int64_t monotonic_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t clock_us(const device *d) {
  return d->clock0_us + (monotonic_us() - d->real0_us) * d->speed;
}

static uint32_t tick_ms(void *ctx) {
  return (uint32_t)(clock_us(ctx) / 1000);
}

static int utc(void *ctx, int64_t *utc_ms, uint32_t *uncertainty_ms) {
  const device *d = ctx;
  *utc_ms = (d->utc0_us + clock_us(d)) / 1000;
  *uncertainty_ms = 10;
  return 0;
}

static void clock_set(device *d, int64_t jump_us, uint32_t speed) {
  d->clock0_us = clock_us(d) + jump_us;
  d->real0_us = monotonic_us();
  d->speed = speed;
}

static int port_random(void *ctx, uint8_t *buf, size_t size) {
  const device *d = ctx;
  return d->real.random(d->real.ctx, buf, size);
}

static void port_wake(void *ctx) {
  device *d = ctx;
  htel_posix_wake(&d->posix);
}

/* ---- The link in front of the link ----------------------------------------------------------- */

static int gate_open(void *ctx, const htel_link_session *session) {
  device *d = ctx;
  if (!d->may_connect || d->is_open) return HTEL_E_AGAIN;
  int rc = d->inner->open(d->inner->ctx, session);
  d->is_open = rc == 0;
  return rc;
}

static int gate_publish(void *ctx, const htel_message *message) {
  device *d = ctx;
  return d->closing ? HTEL_E_AGAIN : d->inner->publish(d->inner->ctx, message);
}

static int gate_next(void *ctx, htel_link_event *event) {
  device *d = ctx;
  if (!d->is_open) return 0;
  int rc = d->inner->next(d->inner->ctx, event);
  if (rc == 1 && event->kind == HTEL_LINK_DOWN) d->is_open = d->closing = false;
  return rc;
}

static uint32_t gate_wait_ms(void *ctx) {
  device *d = ctx;
  return d->is_open ? d->inner->wait_ms(d->inner->ctx) : 1000;
}

static void gate_close(void *ctx) {
  device *d = ctx;
  if (!d->is_open || d->closing) return;
  d->closing = true;
  d->inner->close(d->inner->ctx);
}

/* ---- Setting up ------------------------------------------------------------------------------ */

static int fail(device *d, const char *what, int rc) {
  if (d->told->error[0] == '\0')
    snprintf(d->told->error, sizeof d->told->error, "%s%s%s", what, rc != 0 ? ": " : "",
             rc != 0 ? htel_strerror(rc) : "");
  return -1;
}

static void channel_add(device *d, const recording_channel *from, bool waveform) {
  d->channels[d->channel_count++] = (htel_channel){.code = from->code,
                                                   .name = from->name,
                                                   .unit = from->unit,
                                                   .rate = {waveform ? WIRE_ECG_HZ : 0, 0},
                                                   .gain = from->gain,
                                                   .offset = from->offset,
                                                   .exponent = from->exponent,
                                                   .kind = waveform ? HTEL_WAVEFORM : HTEL_NUMERIC,
                                                   .index = from->index};
}

static int mqtt_new(device *d, htel_paho_config *from) {
  htel_dial_config config = {.host = from->host,
                             .port = from->port,
                             .ca_pem = from->ca_pem,
                             .cert_pem = from->cert_pem,
                             .key_pem = from->key_pem,
                             .posix = &d->posix};
  int rc = htel_dial_new(&d->dial, &config);
  if (rc != 0) return rc;
  d->mqtt_config = (htel_mqtt_config){.transport = htel_dial_transport(d->dial),
                                      .tick_ms = tick_ms,
                                      .tick_ctx = d,
                                      .buffer = d->mqtt_buffer,
                                      .buffer_size = sizeof d->mqtt_buffer};
  rc = htel_mqtt_init(&d->mqtt, &d->mqtt_config);
  d->inner = htel_mqtt_link(&d->mqtt);
  return rc;
}

static int paho_new(device *d, htel_paho_config *config) {
  config->wake = htel_posix_wake;
  config->wake_ctx = &d->posix;
  int rc = htel_paho_new(&d->paho, config);
  if (rc == 0) d->inner = htel_paho_link(d->paho);
  return rc;
}

static int pem_load(const device *d, const char *name, const char *suffix, char **pem) {
  char path[WIRE_PATH_MAX + 80];
  snprintf(path, sizeof path, "%s/%s%s", d->job->certs, name, suffix);
  return htel_pem_load(path, pem);
}

static int link_new(device *d) {
  char *ca = NULL, *cert = NULL, *key = NULL;
  int rc = pem_load(d, "ca", ".crt", &ca);
  if (rc == 0) rc = pem_load(d, d->job->device, ".crt", &cert);
  if (rc == 0) rc = pem_load(d, d->job->device, ".key", &key);
  htel_paho_config config = {
      .host = "localhost", .port = d->job->port, .ca_pem = ca, .cert_pem = cert, .key_pem = key};
  if (rc == 0) rc = d->job->client == WIRE_MQTT ? mqtt_new(d, &config) : paho_new(d, &config);
  htel_pem_free(ca);
  htel_pem_free(cert);
  htel_pem_free(key);
  return rc;
}

static int client_open(device *d) {
  htel_config_fault fault = {0};
  /* paho counts its keep-alive in real seconds. */
  uint32_t faster = d->job->client == WIRE_PAHO && !d->traffic->hourly ? d->job->speed : 1;
  htel_config config = {.device_id = d->job->device,
                        .firmware = "1.0.0",
                        .channels = d->channels,
                        .channel_count = d->channel_count,
                        .ring_bytes = {65536},
                        .batch = {.age_ms_max = d->traffic->period_ms, .bytes_max = 16384},
                        .outbox = {.bytes = 131072},
                        .delivery = {.keep_alive_s = (uint16_t)(KEEP_ALIVE_S / faster)},
                        .fault = &fault};
  int32_t needed = htel_memory_needed(&config);
  if (needed < 0) return fail(d, fault.field != NULL ? fault.why : "configuration", needed);
  d->memory = malloc((size_t)needed);
  if (d->memory == NULL) return fail(d, "no memory", 0);
  int rc = htel_open(&d->tel, d->memory, (size_t)needed, &config, &d->port);
  return rc == 0 ? 0 : fail(d, "htel_open", rc);
}

static int device_open(device *d) {
  if (wire_source_load(&d->source, d->job, d->told->error, sizeof d->told->error) != 0) return -1;
  for (unsigned i = 0; i < d->source.numerics.channels; i++)
    channel_add(d, &d->source.numerics.info[i], false);
  if (d->source.has_ecg) channel_add(d, &d->source.ecg.info[0], true);
  if (htel_posix_open(&d->posix, NULL) != 0) return fail(d, "no posix port", 0);
  d->speed = 1;
  d->real0_us = monotonic_us();
  d->clock0_us = 1000000;
  d->utc0_us = wire_now_us() - d->clock0_us;
  d->real = htel_posix_port(&d->posix, NULL);
  int rc = link_new(d);
  if (rc != 0) return fail(d, "the link", rc);
  d->gate = (htel_link){.ctx = d,
                        .open = gate_open,
                        .publish = gate_publish,
                        .next = gate_next,
                        .wait_ms = gate_wait_ms,
                        .close = gate_close};
  d->port = (htel_port){.ctx = d,
                        .tick_ms = tick_ms,
                        .random = port_random,
                        .utc = utc,
                        .wake = port_wake,
                        .link = &d->gate};
  return client_open(d);
}

static void device_close(device *d) {
  if (d->dial != NULL) {
    htel_dial_stats stats = htel_dial_stats_get(d->dial);
    d->told->handshakes = stats.handshakes;
    d->told->resumed = stats.resumed;
  }
  if (d->paho != NULL) {
    htel_paho_stats stats;
    htel_paho_stats_get(d->paho, &stats);
    d->told->handshakes = stats.handshakes;
    d->told->resumed = stats.resumed;
  }
  htel_paho_free(d->paho);
  htel_dial_free(d->dial);
  htel_posix_close(&d->posix);
  free(d->memory);
  wire_source_free(&d->source);
}

/* ---- Measuring
 * ------------------------------------------------------------------------------------ */

static uint64_t since_ms(const device *d) {
  return (uint32_t)(tick_ms((void *)(uintptr_t)d) - d->tick0);
}

static uint64_t due_ms(const device *d) {
  uint64_t row = d->rows * d->traffic->row_ms;
  if (!d->source.has_ecg) return row;
  uint64_t block = (d->blocks + 1) * BLOCK_MS; /* complete with its last sample */
  return block < row ? block : row;
}

static int record_row(device *d) {
  int rc = 0;
  uint32_t tick = d->tick0 + (uint32_t)(d->rows * d->traffic->row_ms);
  for (unsigned c = 0; c < d->source.numerics.channels && rc == 0; c++)
    rc = htel_record_at(d->tel, c, wire_signal_value(&d->source.numerics, d->rows, c),
                        (htel_quality)wire_signal_quality(&d->source.numerics, d->rows, c), tick);
  d->rows++;
  return rc;
}

static int record_block(device *d) {
  int32_t samples[BLOCK];
  for (unsigned i = 0; i < BLOCK; i++)
    samples[i] = wire_signal_value(&d->source.ecg, d->blocks * BLOCK + i, 0);
  uint32_t tick = d->tick0 + (uint32_t)(d->blocks * BLOCK_MS);
  d->blocks++;
  return htel_record_block_at(d->tel, d->source.numerics.channels, samples, BLOCK, HTEL_VALID,
                              tick);
}

/* Everything that is due. */
static int record_due(device *d) {
  uint64_t now = since_ms(d);
  while (due_ms(d) <= now) {
    bool row = d->rows * d->traffic->row_ms <= due_ms(d);
    int rc = row ? record_row(d) : record_block(d);
    if (rc != 0) return fail(d, "a reading was refused", rc);
  }
  return 0;
}

/* One turn of the loop: at most `most_ms` of the device's time. */
static void turn(device *d, uint64_t most_ms) {
  uint64_t wait = htel_poll(d->tel);
  htel_stats_get(d->tel, &d->stats);
  if (most_ms < wait) wait = most_ms;
  if (wait == 0) return;
  uint32_t real = (uint32_t)(wait / d->speed);
  htel_posix_wait(&d->posix, real > 0 ? real : 1);
}

static void turns(device *d, uint32_t real_ms) {
  int64_t until = monotonic_us() + (int64_t)real_ms * 1000;
  while (monotonic_us() < until) turn(d, 50 * d->speed);
}

/* A span counts what was closed since `counted`: since the last span, where readings are gathered
 * between two. */
static wire_span *span_begin(device *d) {
  wire_span *s = &d->told->spans[d->told->span_count];
  *s = (wire_span){.begin_us = wire_now_us()};
  return s;
}

static void span_end(device *d, wire_span *s, uint32_t periods) {
  htel_stats_get(d->tel, &d->stats);
  s->end_us = wire_now_us();
  s->payload = d->stats.payload_bytes - d->counted.payload_bytes;
  s->messages = d->stats.frames_closed - d->counted.frames_closed;
  s->readings = (uint32_t)(d->stats.readings_delivered - d->counted.readings_delivered);
  s->periods = periods;
  d->counted = d->stats;
  d->told->span_count++;
}

static int come_up(device *d) {
  d->may_connect = true;
  for (int64_t until = monotonic_us() + UP_MS_MAX * 1000; !d->stats.connected;) {
    if (monotonic_us() > until) return fail(d, "no connection", d->stats.last_error);
    turn(d, 50);
  }
  return 0;
}

/* ---- The two ways of living
 * ------------------------------------------------------------------------ */

static int measure_until(device *d, uint64_t end_ms) {
  while (since_ms(d) < end_ms) {
    if (record_due(d) != 0) return -1;
    uint64_t now = since_ms(d), due = due_ms(d);
    turn(d, due > now ? due - now : 0);
    if (!d->stats.connected) return fail(d, "the connection was lost", d->stats.last_error);
  }
  return 0;
}

static int run_standing(device *d) {
  wire_span *s = span_begin(d);
  if (come_up(d) != 0) return -1;
  turns(d, SETTLE_MS);
  span_end(d, s, 0);
  clock_set(d, 0, d->job->speed);
  d->tick0 = tick_ms(d);
  uint64_t period = d->traffic->period_ms;
  if (measure_until(d, WARM_PERIODS * period + period / 2) != 0) return -1;
  s = span_begin(d);
  d->counted = d->stats;
  if (measure_until(d, (WARM_PERIODS + d->job->periods) * period + period / 2) != 0) return -1;
  span_end(d, s, d->job->periods);
  if (d->stats.frames_resent > 0) return fail(d, "frames were sent twice", 0);
  return 0;
}

/* Records an hour. The clock jumps to each reading's time. */
static int hour_pass(device *d, unsigned hour) {
  uint64_t end = (hour + 1ull) * d->traffic->period_ms;
  while (due_ms(d) < end) {
    uint64_t now = since_ms(d), due = due_ms(d);
    if (due > now) clock_set(d, (int64_t)(due - now) * 1000, 1);
    if (record_due(d) != 0) return -1;
    htel_poll(d->tel);
  }
  uint64_t now = since_ms(d);
  if (end > now) clock_set(d, (int64_t)(end - now) * 1000, 1);
  return 0;
}

static int drain(device *d) {
  int64_t until = monotonic_us() + UP_MS_MAX * 1000;
  int rc;
  while ((rc = htel_flush(d->tel, UP_MS_MAX)) == HTEL_E_AGAIN && monotonic_us() < until)
    turn(d, 20);
  if (rc != 0) return fail(d, "not everything was receipted", rc);
  d->may_connect = false;
  gate_close(d);
  while (d->is_open && monotonic_us() < until) turn(d, 20);
  return d->is_open ? fail(d, "the connection does not end", 0) : 0;
}

static int run_hourly(device *d) {
  d->tick0 = tick_ms(d);
  for (unsigned hour = 0; hour <= d->job->periods; hour++) {
    if (hour_pass(d, hour) != 0) return -1;
    htel_flush(d->tel, UP_MS_MAX); /* closes the frame, so that it goes as soon as it can */
    wire_span *s = span_begin(d);
    if (come_up(d) != 0 || drain(d) != 0) return -1;
    turns(d, SETTLE_MS);
    span_end(d, s, 1);
  }
  return 0;
}

int wire_device_run(const wire_job *job, wire_told *told) {
  device *d = calloc(1, sizeof *d);
  if (d == NULL) return -1;
  d->job = job;
  d->traffic = &wire_traffics[job->traffic];
  d->told = told;
  int rc = device_open(d);
  if (rc == 0) rc = d->traffic->hourly ? run_hourly(d) : run_standing(d);
  device_close(d);
  free(d);
  return rc;
}
