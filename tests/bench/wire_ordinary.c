/* SPDX-License-Identifier: Apache-2.0 */
/* wire_ordinary.c - the same readings by an ordinary client: paho.mqtt.c with OpenSSL, as its own
 * samples use it (defaults, mutual TLS, the server verified), 3.1.1, a clean session, keep-alive of
 * a minute.
 *
 *     JSON        a message each second (each minute or five where readings are so slow), at
 *                 QoS 1: {"device":..., "ts":..., "ecg":[250 codes], "pulse":83, "spo2":97.6, ...}
 *     JSON array  all of a period (10 s, an hour...) in one message
 *     Sparkplug B a birth at each connection, then the same cadence as JSON; each reading a metric
 *                 with alias and time. QoS 0, as its specification demands: nobody acknowledges
 *
 * The hourly ones make a new connection each time. JSON goes out at once then, message behind
 * message; Sparkplug B as one payload of historical metrics. A program of its own, since it and
 * ports/paho stand on two builds of one library that have the same names inside. */
#define _GNU_SOURCE
#include <MQTTAsync.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire_signal.h"
#include "wire_sparkplug.h"

#define KEEP_ALIVE_S 60
#define STEP_MS_MAX 20000u
#define SETTLE_MS 500u
#define WARM_PERIODS 2u
#define TEXT_BYTES (1u << 20)
#define TOPIC_BYTES 128u
#define ECG_ALIAS 10u
#define GROUP "ward"

typedef struct ordinary {
  const wire_job *job;
  const wire_traffic *traffic;
  wire_source source;
  MQTTAsync handle;
  char topic[TOPIC_BYTES], death_topic[TOPIC_BYTES], birth_topic[TOPIC_BYTES];
  char command_topic[TOPIC_BYTES];
  uint64_t utc0_ms, session;
  uint64_t rows, samples; /* published */
  uint8_t sequence;
  uint8_t *bytes, *death;
  size_t death_size;
  wire_told *told;
  wire_span *span;

  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool connected, subscribed, ended, failed;
  uint32_t unacked;
} ordinary;

static int fail(ordinary *o, const char *what) {
  if (o->told->error[0] == '\0') snprintf(o->told->error, sizeof o->told->error, "%s", what);
  return -1;
}

/* ---- paho ------------------------------------------------------------------------------------ */

static void note(ordinary *o, bool *flag) {
  pthread_mutex_lock(&o->mutex);
  *flag = true;
  pthread_cond_broadcast(&o->changed);
  pthread_mutex_unlock(&o->mutex);
}

static void on_connected(void *ctx, MQTTAsync_successData *data) {
  (void)data;
  note(ctx, &((ordinary *)ctx)->connected);
}

static void on_subscribed(void *ctx, MQTTAsync_successData *data) {
  (void)data;
  note(ctx, &((ordinary *)ctx)->subscribed);
}

static void on_ended(void *ctx, MQTTAsync_successData *data) {
  (void)data;
  note(ctx, &((ordinary *)ctx)->ended);
}

static void on_failed(void *ctx, MQTTAsync_failureData *data) {
  (void)data;
  note(ctx, &((ordinary *)ctx)->failed);
}

static void on_lost(void *ctx, char *cause) {
  (void)cause;
  note(ctx, &((ordinary *)ctx)->failed);
}

static void on_published(void *ctx, MQTTAsync_successData *data) {
  (void)data;
  ordinary *o = ctx;
  pthread_mutex_lock(&o->mutex);
  o->unacked--;
  pthread_cond_broadcast(&o->changed);
  pthread_mutex_unlock(&o->mutex);
}

static int on_message(void *ctx, char *topic, int topic_size, MQTTAsync_message *message) {
  (void)ctx;
  (void)topic_size;
  MQTTAsync_freeMessage(&message);
  MQTTAsync_free(topic);
  return 1;
}

/* Waits for a flag; NULL: for all acknowledgements. */
static int wait_for(ordinary *o, const bool *flag, const char *what) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += STEP_MS_MAX / 1000u;
  pthread_mutex_lock(&o->mutex);
  int rc = 0;
  while (rc == 0 && !o->failed && (flag != NULL ? !*flag : o->unacked > 0))
    rc = pthread_cond_timedwait(&o->changed, &o->mutex, &until);
  bool ok = flag != NULL ? *flag : o->unacked == 0;
  pthread_mutex_unlock(&o->mutex);
  return ok ? 0 : fail(o, what);
}

static bool is_sparkplug(const ordinary *o) {
  return o->job->client == WIRE_SPARKPLUG;
}

static int publish(ordinary *o, const char *topic, const void *bytes, size_t size, int qos) {
  MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
  options.onSuccess = on_published;
  options.onFailure = on_failed;
  options.context = o;
  pthread_mutex_lock(&o->mutex);
  o->unacked++;
  pthread_mutex_unlock(&o->mutex);
  int rc = MQTTAsync_send(o->handle, topic, (int)size, bytes, qos, 0, &options);
  return rc == MQTTASYNC_SUCCESS ? 0 : fail(o, "a message cannot be sent");
}

/* ---- The messages ---------------------------------------------------------------------------- */

static uint64_t row_utc_ms(const ordinary *o, uint64_t row) {
  return o->utc0_ms + row * o->traffic->row_ms;
}

static const char *lower(const char *name, char to[HTEL_NAME_CHARS_MAX + 1]) {
  size_t i = 0;
  for (; name[i] != '\0'; i++)
    to[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
  to[i] = '\0';
  return to;
}

static double physical(const recording_channel *c, int32_t value) {
  double v = (double)(value - c->offset) / (c->gain != 0 ? c->gain : 1);
  for (int e = c->exponent; e > 0; e--) v *= 10;
  for (int e = c->exponent; e < 0; e++) v /= 10;
  return v;
}

/* One object: time, the ECG since the object before, each numeric. */
static void json_row(ordinary *o, FILE *to, bool with_device) {
  fputc('{', to);
  if (with_device) fprintf(to, "\"device\":\"%s\",", o->job->device);
  fprintf(to, "\"ts\":%llu", (unsigned long long)row_utc_ms(o, o->rows));
  if (o->source.has_ecg) {
    fputs(",\"ecg\":[", to);
    uint32_t count = WIRE_ECG_HZ * o->traffic->row_ms / 1000u;
    for (uint32_t i = 0; i < count; i++)
      fprintf(to, "%s%d", i > 0 ? "," : "",
              (int)wire_signal_value(&o->source.ecg, o->samples++, 0));
    fputc(']', to);
    o->span->readings += count;
  }
  const wire_signal *n = &o->source.numerics;
  for (unsigned c = 0; c < n->channels; c++) {
    char name[HTEL_NAME_CHARS_MAX + 1];
    fprintf(to, ",\"%s\":", lower(n->info[c].name, name));
    if (wire_signal_quality(n, o->rows, c) == HTEL_NO_VALUE)
      fputs("null", to);
    else
      fprintf(to, "%.6g", physical(&n->info[c], wire_signal_value(n, o->rows, c)));
  }
  fputc('}', to);
  o->span->readings += n->channels;
  o->rows++;
}

static int json_send(ordinary *o, uint32_t rows) {
  FILE *to = fmemopen(o->bytes, TEXT_BYTES, "w");
  if (to == NULL) return fail(o, "no memory");
  if (rows == 1) {
    json_row(o, to, true);
  } else {
    fprintf(to, "{\"device\":\"%s\",\"readings\":[", o->job->device);
    for (uint32_t i = 0; i < rows; i++) {
      if (i > 0) fputc(',', to);
      json_row(o, to, false);
    }
    fputs("]}", to);
  }
  long size = ftell(to);
  fclose(to);
  if (size <= 0 || (unsigned long)size >= TEXT_BYTES) return fail(o, "a message is too long");
  o->span->payload += (uint64_t)size;
  o->span->messages++;
  return publish(o, o->topic, o->bytes, (size_t)size, 1);
}

static void sparkplug_row(ordinary *o, sparkplug *s) {
  uint64_t ts = row_utc_ms(o, o->rows);
  if (o->source.has_ecg) {
    uint32_t count = WIRE_ECG_HZ * o->traffic->row_ms / 1000u;
    for (uint32_t i = 0; i < count; i++)
      sparkplug_value(s, ECG_ALIAS, ts + i * 1000u / WIRE_ECG_HZ,
                      wire_signal_value(&o->source.ecg, o->samples++, 0), false, false);
    o->span->readings += count;
  }
  const wire_signal *n = &o->source.numerics;
  for (unsigned c = 0; c < n->channels; c++)
    sparkplug_value(s, c + 1, ts, wire_signal_value(n, o->rows, c),
                    wire_signal_quality(n, o->rows, c) == HTEL_NO_VALUE, o->traffic->hourly);
  o->span->readings += n->channels;
  o->rows++;
}

static int sparkplug_send(ordinary *o, uint32_t rows) {
  sparkplug s = {.bytes = o->bytes, .room = TEXT_BYTES};
  sparkplug_begin(&s, row_utc_ms(o, o->rows));
  for (uint32_t i = 0; i < rows; i++) sparkplug_row(o, &s);
  sparkplug_end(&s, ++o->sequence);
  if (s.failed) return fail(o, "a payload is too long");
  o->span->payload += s.size;
  o->span->messages++;
  return publish(o, o->topic, o->bytes, s.size, 0);
}

static int sparkplug_birth(ordinary *o) {
  MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
  options.onSuccess = on_subscribed;
  options.onFailure = on_failed;
  options.context = o;
  if (MQTTAsync_subscribe(o->handle, o->command_topic, 1, &options) != MQTTASYNC_SUCCESS ||
      wait_for(o, &o->subscribed, "no subscription") != 0)
    return fail(o, "no subscription");
  uint64_t now = row_utc_ms(o, o->rows);
  sparkplug s = {.bytes = o->bytes, .room = TEXT_BYTES};
  sparkplug_begin(&s, now);
  sparkplug_session(&s, now, o->session);
  for (unsigned c = 0; c < o->source.numerics.channels; c++)
    sparkplug_define(&s, o->source.numerics.info[c].name, c + 1, now);
  if (o->source.has_ecg) sparkplug_define(&s, o->source.ecg.info[0].name, ECG_ALIAS, now);
  o->sequence = 0;
  sparkplug_end(&s, 0);
  if (s.failed) return fail(o, "a payload is too long");
  return publish(o, o->birth_topic, o->bytes, s.size, 0);
}

/* ---- A connection
 * ---------------------------------------------------------------------------------- */

static int handle_make(ordinary *o) {
  char uri[64];
  MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
  create.maxBufferedMessages = 1000;
  snprintf(uri, sizeof uri, "ssl://localhost:%u", (unsigned)o->job->port);
  if (MQTTAsync_createWithOptions(&o->handle, uri, o->job->device, MQTTCLIENT_PERSISTENCE_NONE,
                                  NULL, &create) != MQTTASYNC_SUCCESS ||
      MQTTAsync_setCallbacks(o->handle, o, on_lost, on_message, NULL) != MQTTASYNC_SUCCESS)
    return fail(o, "no client");
  return 0;
}

static int connect_begin(ordinary *o, const char *ca, const char *cert, const char *key) {
  MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
  tls.trustStore = ca;
  tls.keyStore = cert;
  tls.privateKey = key;
  tls.enableServerCertAuth = 1;
  tls.verify = 1;
  MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
  sparkplug death = {.bytes = o->death, .room = TEXT_BYTES};
  sparkplug_begin(&death, row_utc_ms(o, o->rows));
  sparkplug_session(&death, row_utc_ms(o, o->rows), ++o->session);
  o->death_size = death.size;
  will.struct_version = 1;
  will.topicName = o->death_topic;
  will.payload.data = o->death;
  will.payload.len = (int)death.size;
  will.qos = 1;
  MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer;
  int keep_alive = KEEP_ALIVE_S / (int)(o->traffic->hourly ? 1 : o->job->speed);
  connect.keepAliveInterval = keep_alive > 3 ? keep_alive : 3;
  connect.cleansession = 1;
  connect.maxInflight = 100;
  connect.MQTTVersion = MQTTVERSION_3_1_1;
  connect.ssl = &tls;
  connect.will = is_sparkplug(o) ? &will : NULL;
  connect.onSuccess = on_connected;
  connect.onFailure = on_failed;
  connect.context = o;
  return MQTTAsync_connect(o->handle, &connect) == MQTTASYNC_SUCCESS ? 0 : fail(o, "no connection");
}

static int connection_begin(ordinary *o) {
  char ca[WIRE_PATH_MAX + 80], cert[WIRE_PATH_MAX + 80], key[WIRE_PATH_MAX + 80];
  snprintf(ca, sizeof ca, "%s/ca.crt", o->job->certs);
  snprintf(cert, sizeof cert, "%s/%s.crt", o->job->certs, o->job->device);
  snprintf(key, sizeof key, "%s/%s.key", o->job->certs, o->job->device);
  o->connected = o->subscribed = o->ended = false;
  if (handle_make(o) != 0 || connect_begin(o, ca, cert, key) != 0 ||
      wait_for(o, &o->connected, "no connection") != 0)
    return -1;
  o->told->handshakes++;
  return is_sparkplug(o) ? sparkplug_birth(o) : 0;
}

static int connection_end(ordinary *o) {
  if (is_sparkplug(o) && publish(o, o->death_topic, o->death, o->death_size, 0) != 0) return -1;
  if (wait_for(o, NULL, "a message was not acknowledged") != 0) return -1;
  MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
  options.timeout = 1000;
  options.onSuccess = on_ended;
  options.onFailure = on_failed;
  options.context = o;
  int rc = MQTTAsync_disconnect(o->handle, &options) == MQTTASYNC_SUCCESS
               ? wait_for(o, &o->ended, "no disconnection")
               : fail(o, "no disconnection");
  MQTTAsync_destroy(&o->handle);
  return rc;
}

/* ---- Measuring
 * ------------------------------------------------------------------------------------- */

static wire_span *span_begin(ordinary *o) {
  o->span = &o->told->spans[o->told->span_count];
  *o->span = (wire_span){.begin_us = wire_now_us()};
  return o->span;
}

static void span_end(ordinary *o, uint32_t periods) {
  o->span->end_us = wire_now_us();
  o->span->periods = periods;
  o->told->span_count++;
}

static uint32_t message_ms(const ordinary *o) {
  return o->job->client == WIRE_JSON_ARRAY ? o->traffic->period_ms : o->traffic->message_ms;
}

static int send_rows(ordinary *o, uint32_t rows) {
  return is_sparkplug(o) ? sparkplug_send(o, rows) : json_send(o, rows);
}

/* Until the clock shows `end_ms`, messages at their times. */
static int measure_until(ordinary *o, int64_t begin_us, uint64_t end_ms) {
  uint32_t every = message_ms(o), rows = every / o->traffic->row_ms;
  for (;;) {
    uint64_t due = (o->rows / rows + 1) * every; /* when its last reading is there */
    uint64_t next = due < end_ms ? due : end_ms;
    int64_t at_us = begin_us + (int64_t)(next * 1000 / o->job->speed);
    while (wire_now_us() < at_us) wire_sleep_ms((uint32_t)((at_us - wire_now_us()) / 1000 + 1));
    if (next == end_ms) return o->failed ? fail(o, "the connection was lost") : 0;
    if (send_rows(o, rows) != 0) return -1;
  }
}

static int run_standing(ordinary *o) {
  span_begin(o);
  if (connection_begin(o) != 0) return -1;
  wire_sleep_ms(SETTLE_MS);
  span_end(o, 0);
  int64_t begin_us = wire_now_us();
  uint64_t every = message_ms(o);
  uint64_t warm = WARM_PERIODS * every + every / 2;
  wire_span ignored = {0};
  o->span = &ignored;
  if (measure_until(o, begin_us, warm) != 0) return -1;
  span_begin(o);
  uint64_t span_ms = (uint64_t)o->job->periods * o->traffic->period_ms;
  if (measure_until(o, begin_us, warm + span_ms) != 0) return -1;
  span_end(o, o->job->periods);
  return 0;
}

static int run_hourly(ordinary *o) {
  uint32_t rows = o->traffic->period_ms / o->traffic->row_ms;
  for (unsigned hour = 0; hour <= o->job->periods; hour++) {
    span_begin(o);
    if (connection_begin(o) != 0) return -1;
    uint32_t at_once = o->job->client == WIRE_JSON ? 1 : rows;
    for (uint32_t i = 0; i < rows; i += at_once)
      if (send_rows(o, at_once) != 0) return -1;
    if (connection_end(o) != 0) return -1;
    wire_sleep_ms(SETTLE_MS);
    span_end(o, 1);
  }
  return 0;
}

int wire_ordinary_run(const wire_job *job, wire_told *told) {
  ordinary *o = calloc(1, sizeof *o);
  if (o == NULL) return -1;
  o->job = job;
  o->traffic = &wire_traffics[job->traffic];
  o->told = told;
  o->utc0_ms = (uint64_t)wire_now_us() / 1000u;
  o->bytes = malloc(TEXT_BYTES);
  o->death = calloc(1, TEXT_BYTES);
  pthread_mutex_init(&o->mutex, NULL);
  pthread_cond_init(&o->changed, NULL);
  bool data = job->client == WIRE_SPARKPLUG;
  snprintf(o->topic, sizeof o->topic, data ? "spBv1.0/" GROUP "/NDATA/%s" : "devices/%s/vitals",
           job->device);
  snprintf(o->birth_topic, sizeof o->birth_topic, "spBv1.0/" GROUP "/NBIRTH/%s", job->device);
  snprintf(o->death_topic, sizeof o->death_topic, "spBv1.0/" GROUP "/NDEATH/%s", job->device);
  snprintf(o->command_topic, sizeof o->command_topic, "spBv1.0/" GROUP "/NCMD/%s", job->device);
  int rc = o->bytes == NULL || o->death == NULL ? fail(o, "no memory") : 0;
  if (rc == 0) rc = wire_source_load(&o->source, job, told->error, sizeof told->error);
  if (rc == 0) rc = o->traffic->hourly ? run_hourly(o) : run_standing(o);
  wire_source_free(&o->source);
  free(o->bytes);
  free(o->death);
  free(o);
  return rc;
}

/* The job comes on descriptor 3, what is told goes to 4: both from and to the same build. */
int main(void) {
  wire_job job;
  wire_told told = {0};
  if (read(3, &job, sizeof job) != (ssize_t)sizeof job || job.traffic >= wire_traffic_count) {
    fprintf(stderr, "wire-ordinary is a part of htel-bench wire, which starts it\n");
    return 64;
  }
  int rc = wire_ordinary_run(&job, &told);
  if (write(4, &told, sizeof told) != (ssize_t)sizeof told) return 1;
  return rc == 0 ? 0 : 1;
}
