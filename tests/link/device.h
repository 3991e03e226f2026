/* SPDX-License-Identifier: Apache-2.0 */
/* device.h - a whole device in one loop, and the proof that what it recorded is stored.
 *
 *     device_open(&device, &(device_options){.id = "dev-1", .certs = certs, .port = port});
 *     device_run(&device, 5000);                records by the real clock, polls
 *     device_close(&device, 30000);             delivers the rest
 *     device_verify(&device, database);         every accepted reading, once, in order, in its
 * place device_free(&device);
 *
 * It records an ECG-like waveform, three numerics and an alarm a second. Each value follows from
 * its number in the series, and each tick too, so a database can be checked without keeping a copy.
 *
 * Every call of the library is measured. `wall` is what a busy machine makes of it; `cpu` is what
 * the call itself takes; `slept` is the wall time of those calls in which the thread gave the
 * processor up by itself, that is, waited for something. Bounds are for `cpu` and `slept`. */
#ifndef HTEL_TEST_DEVICE_H
#define HTEL_TEST_DEVICE_H

#include "broker.h"
#include "htel_dial.h"
#include "htel_mqtt.h"
#include "htel_paho.h"
#include "htel_posix.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DEVICE_SLOWER 10u /* what sanitizers cost */
#else
#define DEVICE_SLOWER 1u
#endif
#define DEVICE_RECORD_US_MAX (5000u * DEVICE_SLOWER)
#define DEVICE_POLL_US_MAX (250000u * DEVICE_SLOWER) /* a TLS signature is in it */
#define DEVICE_HEAP_GROWTH_MAX 65536

enum { DEVICE_ECG, DEVICE_NUMERIC, DEVICE_NUMERICS = 3, DEVICE_ALARM = 4, DEVICE_CHANNELS };

#define DEVICE_BLOCK 25u        /* samples of the ECG recorded together */
#define DEVICE_SAMPLE_MS 4u     /* 250 Hz */
#define DEVICE_NUMERIC_MS 1000u /* from one value to the next */
#define DEVICE_ALARM_MS 1000u
#define DEVICE_ALARM_CODE 0x10000u /* of the first; the next has one more */

typedef struct device_options {
  const char *id, *certs;
  uint16_t port;
  bool mqtt;                   /* the link: ports/mqtt; else ports/paho */
  bool gated;                  /* the link stays shut until device_gate */
  bool quiet;                  /* no alarm but those by device_alarm */
  const char *boot_file;       /* NULL: random boot numbers */
  int32_t first_value;         /* added to every value */
  uint16_t keep_alive_s;       /* 0 in all that follow: a default that makes tests short */
  uint32_t connect_timeout_ms; /* 5000 */
  uint32_t receipt_wait_ms;    /* 2000 */
  uint32_t outbox_bytes;       /* 1 MiB */
  uint32_t age_ms_max;         /* 500 */
} device_options;

typedef struct device_cost { /* the longest, in microseconds */
  uint64_t wall, cpu, slept;
} device_cost;

typedef struct device_series {
  uint64_t accepted, refused;
} device_series;

typedef struct device {
  device_options options;
  htel_posix posix;
  htel_paho *paho;
  htel_dial *dial;
  htel_mqtt mqtt;
  htel_mqtt_config mqtt_config;
  uint8_t mqtt_buffer[HTEL_MQTT_BUFFER_BYTES(8192)];
  const htel_link *link;
  htel_link gate;
  htel_port port;
  uint32_t shift_ms; /* how far its clock is ahead of the real one */
  void *memory;
  htel *tel;
  bool recording, idle;
  uint32_t tick0;
  uint64_t samples, numerics, alarms; /* recorded so far, refused ones too */
  device_series waves, values, events;
  device_cost record, poll;
  long heap, rss_kb; /* as device_heap_note found them */
} device;

void device_open(device *self, const device_options *options);
void device_free(device *self);

/* Records what is due and polls, for so long or until done(self) says so: whether it did. */
void device_run(device *self, unsigned ms);
bool device_until(device *self, bool (*done)(device *self), unsigned ms);
/* Lets so much time pass in an instant, for the device: its clock is set forward step by step. */
void device_leap(device *self, uint32_t ms);
/* Lets the link through. */
void device_gate(device *self);
/* Records nothing until told otherwise, and then what it has missed; polls go on. */
void device_idle(device *self, bool idle);
/* An alarm now: its code. */
uint32_t device_alarm(device *self);
htel_stats device_stats(const device *self);
bool device_is_up(device *self);
bool device_is_down(device *self);

/* From here on the heap must not grow: device_close looks. */
void device_heap_note(device *self);

/* Stops recording; htel_close until it is done. Asserts that all was delivered, that nothing was
 * refused, and the bounds above; prints them. */
void device_close(device *self, unsigned timeout_ms);

/* Asserts that the database has every accepted reading once, in order and at its tick. With
 * `losses`: that what it has is so, and that the loss records tell exactly how many are missing. */
void device_verify(const device *self, const char *database, bool losses);

/* What readings are worth. */
int32_t device_sample(const device *self, uint64_t i);
int32_t device_value(const device *self, unsigned channel, uint64_t i);

#endif
