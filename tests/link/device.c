/* SPDX-License-Identifier: Apache-2.0 */
/* device.c - see device.h; device_verify is in device_verify.c. */
#include "device.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define LEAP_MS 100u

static const htel_channel channels[DEVICE_CHANNELS] = {
    [DEVICE_ECG] = {.code = HTEL_MDC_ECG_LEAD_II,
                    .unit = HTEL_UNIT_MV,
                    .kind = HTEL_WAVEFORM,
                    .rate = {1000 / DEVICE_SAMPLE_MS, 1},
                    .gain = 200},
    [DEVICE_NUMERIC] = {.code = HTEL_MDC_HEART_RATE, .unit = HTEL_UNIT_PER_MIN},
    {.code = HTEL_MDC_SPO2, .unit = HTEL_UNIT_PERCENT},
    {.code = HTEL_MDC_RESPIRATION_RATE, .unit = HTEL_UNIT_PER_MIN},
    [DEVICE_ALARM] = {.code = HTEL_MDC_PRIVATE(1), .kind = HTEL_ALARM},
};

/* ---- What is recorded -------------------------------------------------------------------- */

/* A beat of 200 samples over a little noise: about half a byte each when coded. */
int32_t device_sample(const device *self, uint64_t i) {
  static const int16_t beat[20] = {0,  8,   20,  30, 20, 8,  0,  0,  -20, 180,
                                   60, -60, -10, 0,  10, 30, 45, 50, 30,  10};
  uint64_t at = i % 200, noise = i * 0x9E3779B97F4A7C15u;
  int32_t from = at < 120 ? beat[at / 6] : 0, to = at < 114 ? beat[at / 6 + 1] : 0;
  return self->options.first_value + from + (to - from) * (int32_t)(at % 6) / 6 +
         (int32_t)(noise >> 62);
}

int32_t device_value(const device *self, unsigned channel, uint64_t i) {
  return self->options.first_value + (int32_t)(i * 4u + channel);
}

/* ---- What calls cost --------------------------------------------------------------------- */

typedef struct moment {
  uint64_t wall, cpu;
  long sleeps;
} moment;

static uint64_t clock_us(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static moment moment_now(void) {
  struct rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return (moment){.wall = clock_us(CLOCK_MONOTONIC),
                  .cpu = clock_us(CLOCK_THREAD_CPUTIME_ID),
                  .sleeps = usage.ru_nvcsw};
}

static void longest(uint64_t *most, uint64_t us) {
  *most = us > *most ? us : *most;
}

static void cost_note(device_cost *cost, const moment *since) {
  moment now = moment_now();
  longest(&cost->wall, now.wall - since->wall);
  longest(&cost->cpu, now.cpu - since->cpu);
  if (now.sleeps != since->sleeps) longest(&cost->slept, now.wall - since->wall);
}

static void cost_check(const char *what, const device_cost *cost, uint64_t most) {
  print_message("%s at most %u us (cpu %u us, waiting %u us)\n", what, (unsigned)cost->wall,
                (unsigned)cost->cpu, (unsigned)cost->slept);
  assert_in_range(cost->cpu, 0, most);
  assert_in_range(cost->slept, 0, most);
}

/* ---- Setting up -------------------------------------------------------------------------- */

static uint32_t device_tick(void *ctx) {
  device *self = ctx;
  htel_port real = htel_posix_port(&self->posix, NULL);
  return real.tick_ms(real.ctx) + self->shift_ms;
}

static int device_random(void *ctx, uint8_t *buf, size_t size) {
  device *self = ctx;
  return htel_posix_port(&self->posix, NULL).random(&self->posix, buf, size);
}

static int device_boot_begin(void *ctx, htel_boot *boot) {
  device *self = ctx;
  return htel_posix_port(&self->posix, NULL).boot_begin(&self->posix, boot);
}

static int device_boot_end(void *ctx) {
  device *self = ctx;
  return htel_posix_port(&self->posix, NULL).boot_end(&self->posix);
}

static int device_utc(void *ctx, int64_t *utc_ms, uint32_t *uncertainty_ms) {
  device *self = ctx;
  int rc = htel_posix_port(&self->posix, NULL).utc(&self->posix, utc_ms, uncertainty_ms);
  *utc_ms += self->shift_ms;
  return rc;
}

static void device_wake(void *ctx) {
  device *self = ctx;
  htel_posix_wake(&self->posix);
}

static int gate_open(void *ctx, const htel_link_session *session) {
  device *self = ctx;
  return self->options.gated ? HTEL_E_AGAIN : self->link->open(self->link->ctx, session);
}

static int gate_publish(void *ctx, const htel_message *message) {
  device *self = ctx;
  return self->link->publish(self->link->ctx, message);
}

static int gate_next(void *ctx, htel_link_event *event) {
  device *self = ctx;
  return self->link->next(self->link->ctx, event);
}

static uint32_t gate_wait(void *ctx) {
  device *self = ctx;
  return self->link->wait_ms(self->link->ctx);
}

static void gate_close(void *ctx) {
  device *self = ctx;
  self->link->close(self->link->ctx);
}

static char *pem_load(const device *self, const char *name, const char *suffix) {
  char path[BROKER_PATH_MAX + 64], *text;
  snprintf(path, sizeof path, "%s/%s%s", self->options.certs, name, suffix);
  assert_int_equal(htel_pem_load(path, &text), 0);
  return text;
}

static const htel_link *mqtt_open(device *self, const htel_paho_config *from) {
  htel_dial_config dial = {.host = from->host,
                           .port = from->port,
                           .ca_pem = from->ca_pem,
                           .cert_pem = from->cert_pem,
                           .key_pem = from->key_pem,
                           .posix = &self->posix};
  assert_int_equal(htel_dial_new(&self->dial, &dial), 0);
  htel_port clock = htel_posix_port(&self->posix, NULL);
  self->mqtt_config = (htel_mqtt_config){.transport = htel_dial_transport(self->dial),
                                         .tick_ms = clock.tick_ms,
                                         .tick_ctx = clock.ctx,
                                         .buffer = self->mqtt_buffer,
                                         .buffer_size = sizeof self->mqtt_buffer,
                                         .connect_timeout_ms = from->connect_timeout_ms};
  assert_int_equal(htel_mqtt_init(&self->mqtt, &self->mqtt_config), 0);
  return htel_mqtt_link(&self->mqtt);
}

static const htel_link *paho_open(device *self, const htel_paho_config *config) {
  assert_int_equal(htel_paho_new(&self->paho, config), 0);
  return htel_paho_link(self->paho);
}

static void link_open(device *self) {
  const device_options *o = &self->options;
  char *ca = pem_load(self, "ca", ".crt"), *cert = pem_load(self, o->id, ".crt");
  char *key = pem_load(self, o->id, ".key");
  htel_paho_config config = {.host = "localhost",
                             .port = o->port,
                             .ca_pem = ca,
                             .cert_pem = cert,
                             .key_pem = key,
                             .connect_timeout_ms = o->connect_timeout_ms,
                             .wake = htel_posix_wake,
                             .wake_ctx = &self->posix};
  self->link = o->mqtt ? mqtt_open(self, &config) : paho_open(self, &config);
  htel_pem_free(ca);
  htel_pem_free(cert);
  htel_pem_free(key);
}

static void port_make(device *self) {
  self->gate = (htel_link){.ctx = self,
                           .open = gate_open,
                           .publish = gate_publish,
                           .next = gate_next,
                           .wait_ms = gate_wait,
                           .close = gate_close};
  bool durable = self->options.boot_file != NULL;
  self->port = (htel_port){.ctx = self,
                           .tick_ms = device_tick,
                           .random = device_random,
                           .boot_begin = durable ? device_boot_begin : NULL,
                           .boot_end = durable ? device_boot_end : NULL,
                           .utc = device_utc,
                           .wake = device_wake,
                           .link = &self->gate};
}

static void client_open(device *self) {
  const device_options *o = &self->options;
  htel_config config = {
      .device_id = o->id,
      .channels = channels,
      .channel_count = DEVICE_CHANNELS,
      .ring_bytes = {65536},
      .batch = {.age_ms_max = o->age_ms_max},
      .outbox = {.bytes = o->outbox_bytes},
      .delivery = {.keep_alive_s = o->keep_alive_s,
                   .receipt_wait_ms = o->receipt_wait_ms,
                   .backoff_base_ms = 100,
                   .backoff_max_ms = 500},
  };
  int32_t needed = htel_memory_needed(&config);
  assert_true(needed > 0);
  self->memory = malloc((size_t)needed);
  assert_non_null(self->memory);
  assert_int_equal(htel_open(&self->tel, self->memory, (size_t)needed, &config, &self->port), 0);
}

void device_open(device *self, const device_options *options) {
  memset(self, 0, sizeof *self);
  self->options = *options;
  device_options *o = &self->options;
  if (o->keep_alive_s == 0) o->keep_alive_s = 60;
  if (o->connect_timeout_ms == 0) o->connect_timeout_ms = 5000;
  if (o->receipt_wait_ms == 0) o->receipt_wait_ms = 2000;
  if (o->outbox_bytes == 0) o->outbox_bytes = 1 << 20;
  if (o->age_ms_max == 0) o->age_ms_max = 500;
  assert_int_equal(htel_posix_open(&self->posix, o->boot_file), 0);
  link_open(self);
  port_make(self);
  client_open(self);
  self->recording = true;
  self->tick0 = device_tick(self);
}

void device_free(device *self) {
  free(self->memory);
  htel_paho_free(self->paho);
  htel_dial_free(self->dial);
  htel_posix_close(&self->posix);
}

/* ---- Recording --------------------------------------------------------------------------- */

static void series_note(device *self, device_series *series, int rc, const moment *since,
                        unsigned readings) {
  cost_note(&self->record, since);
  assert_true(rc == 0 || rc == HTEL_E_FULL);
  *(rc == 0 ? &series->accepted : &series->refused) += readings;
}

static void record_block(device *self) {
  int32_t samples[DEVICE_BLOCK];
  for (unsigned i = 0; i < DEVICE_BLOCK; i++) samples[i] = device_sample(self, self->samples + i);
  uint32_t tick = self->tick0 + (uint32_t)self->samples * DEVICE_SAMPLE_MS;
  moment since = moment_now();
  int rc = htel_record_block_at(self->tel, DEVICE_ECG, samples, DEVICE_BLOCK, HTEL_VALID, tick);
  series_note(self, &self->waves, rc, &since, DEVICE_BLOCK);
  self->samples += DEVICE_BLOCK;
}

static void record_numerics(device *self) {
  uint32_t tick = self->tick0 + (uint32_t)self->numerics * DEVICE_NUMERIC_MS;
  for (unsigned c = DEVICE_NUMERIC; c < DEVICE_NUMERIC + DEVICE_NUMERICS; c++) {
    int32_t value = device_value(self, c, self->numerics);
    moment since = moment_now();
    int rc = htel_record_at(self->tel, c, value, HTEL_VALID, tick);
    series_note(self, &self->values, rc, &since, 1);
  }
  self->numerics++;
}

uint32_t device_alarm(device *self) {
  htel_alarm_event event = {.code = DEVICE_ALARM_CODE + (uint32_t)self->alarms++,
                            .state = HTEL_ALARM_ACTIVE,
                            .priority = HTEL_PRIORITY_HIGH,
                            .source = HTEL_NO_SOURCE};
  moment since = moment_now();
  int rc = htel_alarm(self->tel, DEVICE_ALARM, &event);
  series_note(self, &self->events, rc, &since, 1);
  return event.code;
}

/* Milliseconds from `tick` until now, negative before it. */
static int32_t since_tick(device *self, uint32_t tick) {
  return (int32_t)(device_tick(self) - tick);
}

/* All that is due; how long until more is. */
static uint32_t record_due(device *self) {
  if (!self->recording || self->idle) return 1000;
  const uint32_t block_ms = DEVICE_BLOCK * DEVICE_SAMPLE_MS;
  int32_t left;
  while ((left = since_tick(self, self->tick0 + (uint32_t)self->samples * DEVICE_SAMPLE_MS)) >=
         (int32_t)block_ms)
    record_block(self);
  while (since_tick(self, self->tick0 + (uint32_t)self->numerics * DEVICE_NUMERIC_MS) >= 0)
    record_numerics(self);
  while (!self->options.quiet &&
         since_tick(self, self->tick0 + (uint32_t)self->alarms * DEVICE_ALARM_MS) >= 0)
    device_alarm(self);
  return left < 0 ? block_ms : block_ms - (uint32_t)left;
}

void device_idle(device *self, bool idle) {
  self->idle = idle;
}

/* ---- Polling ----------------------------------------------------------------------------- */

static uint32_t poll_once(device *self) {
  moment since = moment_now();
  uint32_t wait = htel_poll(self->tel);
  cost_note(&self->poll, &since);
  return wait;
}

bool device_until(device *self, bool (*done)(device *self), unsigned ms) {
  uint64_t until = now_ms() + ms;
  for (;;) {
    uint32_t due = record_due(self), wait = poll_once(self);
    uint64_t now = now_ms();
    if (done != NULL && done(self)) return true;
    if (now >= until) return false;
    wait = due < wait ? due : wait;
    htel_posix_wait(&self->posix, until - now < wait ? (uint32_t)(until - now) : wait);
  }
}

void device_run(device *self, unsigned ms) {
  device_until(self, NULL, ms);
}

void device_leap(device *self, uint32_t ms) {
  for (uint32_t past = 0; past < ms; past += LEAP_MS) {
    self->shift_ms += LEAP_MS;
    record_due(self);
    poll_once(self);
  }
}

void device_gate(device *self) {
  self->options.gated = false;
}

htel_stats device_stats(const device *self) {
  htel_stats stats;
  htel_stats_get(self->tel, &stats);
  return stats;
}

bool device_is_up(device *self) {
  return device_stats(self).connected;
}

bool device_is_down(device *self) {
  return !device_stats(self).connected;
}

/* ---- Ending ------------------------------------------------------------------------------ */

static long heap_used(void) {
  struct mallinfo2 info = mallinfo2();
  return (long)(info.uordblks + info.hblkhd);
}

static long rss_kb(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%*s %ld", &pages) != 1) pages = 0;
  if (file != NULL) fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

void device_heap_note(device *self) {
  self->rss_kb = rss_kb();
  self->heap = heap_used();
}

static void heap_check(const device *self) {
  if (self->heap == 0) return; /* not asked for, or a sanitizer has the heap */
  long grown = heap_used() - self->heap;
  print_message("heap grown by %ld bytes, resident memory by %ld KB\n", grown,
                rss_kb() - self->rss_kb);
  assert_true(grown <= DEVICE_HEAP_GROWTH_MAX);
}

static bool all_delivered(device *self) {
  htel_stats stats = device_stats(self);
  return stats.connected && stats.frames_waiting == 0;
}

void device_close(device *self, unsigned timeout_ms) {
  self->recording = false;
  if (self->heap != 0) device_until(self, all_delivered, timeout_ms);
  heap_check(self);
  int rc;
  moment since = moment_now();
  while ((rc = htel_close(self->tel, timeout_ms)) == HTEL_E_AGAIN) {
    cost_note(&self->poll, &since);
    htel_posix_wait(&self->posix, 10);
    since = moment_now();
  }
  htel_stats stats = device_stats(self);
  print_message("%u connections, %u lost, %u failed; %u frames, %u sent again; %u readings\n",
                stats.connects, stats.disconnects, stats.connect_failures, stats.frames_closed,
                stats.frames_resent, (unsigned)stats.readings_accepted);
  cost_check("htel_record", &self->record, DEVICE_RECORD_US_MAX);
  cost_check("htel_poll", &self->poll, DEVICE_POLL_US_MAX);
  if (rc != 0) fail_msg("htel_close: %s; %u frames left", htel_errname(rc), stats.frames_waiting);
  assert_int_equal(stats.readings_accepted,
                   self->waves.accepted + self->values.accepted + self->events.accepted);
  assert_int_equal(self->waves.refused + self->values.refused + self->events.refused, 0);
}
