/* SPDX-License-Identifier: Apache-2.0 */
#include "source_mqtt.h"

#include <MQTTAsync.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "healthtel/decode.h"
#include "mailbox.h"
#include "source_mqtt_tls.h"

#define KEEP_ALIVE_S 60
#define CONNECT_S 10
#define STEP_WAIT_MS 15000u /* for an answer to connect or subscribe */
#define BACKOFF_MS_FIRST 500u
#define BACKOFF_MS_MAX 30000u
#define GOODBYE_MS 3000u
#define SOCKETS_MAX 256 /* descriptors looked at; the ingest opens a dozen */
/* Receipts that the broker has not acknowledged. paho gets slow when its window is full, so it is
 * given a larger one than is used. */
#define UNACKED_MAX 500
#define PAHO_INFLIGHT 1000
#define PAHO_BUFFERED 2000

/* Only suites of TLS 1.2 (those of 1.3 are listed apart in OpenSSL and stay on): older versions
 * have none in common with this list and so cannot be agreed on. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

enum { SUBSCRIPTIONS = 3, AT_LEAST_ONCE = 1 };

typedef enum link_state {
  LINK_DOWN,
  LINK_WAITING,
  LINK_CONNECTED,
  LINK_UP,
  LINK_FAILED
} link_state;

typedef struct source_mqtt {
  source_mqtt_config config;
  char uri[320];
  mailbox inbox, outbox;
  mail current; /* what next() gave out last */
  pthread_t thread;
  MQTTAsync anchor; /* never connected: keeps paho's threads alive between two handles */
  MQTTAsync handle; /* the link thread's */

  pthread_mutex_t mutex; /* guards what follows */
  pthread_cond_t changed;
  link_state state;
  bool closing;
  bool disconnected;
  int unacked;
  uint32_t connects;
  bool connecting;   /* it failed before it was up */
  char why[128];     /* paho's words for it */
  char tls_why[160]; /* OpenSSL's last word */
} source_mqtt;

/* ---- State, shared with paho's callbacks ---------------------------------------------- */

static struct timespec after_ms(uint32_t ms) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_sec += ms / 1000u;
  t.tv_nsec += (long)(ms % 1000u) * 1000000L;
  if (t.tv_nsec >= 1000000000L) {
    t.tv_sec++;
    t.tv_nsec -= 1000000000L;
  }
  return t;
}

static void state_set(source_mqtt *m, link_state state) {
  pthread_mutex_lock(&m->mutex);
  m->state = state;
  pthread_cond_broadcast(&m->changed);
  pthread_mutex_unlock(&m->mutex);
}

static void state_fail(source_mqtt *m, const char *why) {
  pthread_mutex_lock(&m->mutex);
  if (m->state != LINK_FAILED) snprintf(m->why, sizeof m->why, "%s", why);
  m->state = LINK_FAILED;
  pthread_cond_broadcast(&m->changed);
  pthread_mutex_unlock(&m->mutex);
}

/* Waits while the link is in `state` and nobody asked to close; the state then. */
static link_state state_leave(source_mqtt *m, link_state state, uint32_t wait_ms) {
  struct timespec until = after_ms(wait_ms);
  pthread_mutex_lock(&m->mutex);
  while (m->state == state && !m->closing)
    if (pthread_cond_timedwait(&m->changed, &m->mutex, &until) != 0) break;
  link_state now = m->state;
  pthread_mutex_unlock(&m->mutex);
  return now;
}

static bool is_closing(source_mqtt *m) {
  pthread_mutex_lock(&m->mutex);
  bool closing = m->closing;
  pthread_mutex_unlock(&m->mutex);
  return closing;
}

/* Waits until at most `most` receipts are unacknowledged, or the link fails, or time is up. */
static bool unacked_wait(source_mqtt *m, int most, uint32_t wait_ms) {
  struct timespec until = after_ms(wait_ms);
  pthread_mutex_lock(&m->mutex);
  while (m->unacked > most && m->state == LINK_UP)
    if (pthread_cond_timedwait(&m->changed, &m->mutex, &until) != 0) break;
  bool ok = m->unacked <= most;
  pthread_mutex_unlock(&m->mutex);
  return ok;
}

/* ---- paho's callbacks ------------------------------------------------------------------ */

static int on_tls_error(const char *text, size_t size, void *arg) {
  source_mqtt *m = arg;
  const char *reason = text; /* "thread:error:code:library:function:reason:file:line:..." */
  for (unsigned colons = 0; colons < 5 && reason < text + size; reason++) colons += *reason == ':';
  size_t left = (size_t)(text + size - reason);
  const char *end = memchr(reason, ':', left);
  pthread_mutex_lock(&m->mutex);
  snprintf(m->tls_why, sizeof m->tls_why, "%.*s",
           (int)(end == NULL ? left : (size_t)(end - reason)), reason);
  pthread_mutex_unlock(&m->mutex);
  return 1;
}

static void on_connected(void *arg, MQTTAsync_successData *data) {
  (void)data;
  state_set(arg, LINK_CONNECTED);
}

static void on_connect_failed(void *arg, MQTTAsync_failureData *data) {
  static const char *const refusals[] = {
      NULL,
      "the broker does not speak MQTT 3.1.1",
      "the broker refused the client id",
      "the broker is not available",
      "the broker wants other credentials",
      "the broker does not accept this certificate's user: check its access control"};
  const char *why = data != NULL && data->message != NULL ? data->message : "no connection";
  bool refused = data != NULL && data->code > 0 && data->code < 6;
  source_mqtt *m = arg;
  pthread_mutex_lock(&m->mutex);
  m->connecting = !refused;
  pthread_mutex_unlock(&m->mutex);
  state_fail(m, refused ? refusals[data->code] : why);
}

static void on_lost(void *arg, char *cause) {
  state_fail(arg, cause != NULL ? cause : "the connection was lost");
}

static void on_subscribed(void *arg, MQTTAsync_successData *data) {
  for (int i = 0; data != NULL && i < SUBSCRIPTIONS; i++) {
    int qos = data->alt.qosList != NULL ? data->alt.qosList[i] : AT_LEAST_ONCE;
    if (qos == AT_LEAST_ONCE) continue;
    state_fail(arg, "the broker refused a subscription: check its access control");
    return;
  }
  state_set(arg, LINK_UP);
}

static void on_subscribe_failed(void *arg, MQTTAsync_failureData *data) {
  (void)data;
  state_fail(arg, "the broker refused the subscriptions: check its access control");
}

static void acked(source_mqtt *m) {
  pthread_mutex_lock(&m->mutex);
  if (m->unacked > 0) m->unacked--;
  pthread_cond_broadcast(&m->changed);
  pthread_mutex_unlock(&m->mutex);
}

static void on_published(void *arg, MQTTAsync_successData *data) {
  (void)data;
  acked(arg);
}

static void on_publish_failed(void *arg, MQTTAsync_failureData *data) {
  (void)data;
  acked(arg); /* not delivered, and not waited for: the frames come again */
}

static void on_disconnected(source_mqtt *m) {
  pthread_mutex_lock(&m->mutex);
  m->disconnected = true;
  pthread_cond_broadcast(&m->changed);
  pthread_mutex_unlock(&m->mutex);
}

static void on_disconnect_done(void *arg, MQTTAsync_successData *data) {
  (void)data;
  on_disconnected(arg);
}

static void on_disconnect_failed(void *arg, MQTTAsync_failureData *data) {
  (void)data;
  on_disconnected(arg);
}

static int on_message(void *arg, char *topic, int topic_size, MQTTAsync_message *message) {
  source_mqtt *m = arg;
  size_t size = topic_size > 0 ? (size_t)topic_size : strlen(topic);
  if (memchr(topic, '\0', size) == NULL)
    mailbox_put(&m->inbox, topic, size, message->payload, (size_t)message->payloadlen,
                HTEL_FRAME_BYTES_MAX, true);
  MQTTAsync_freeMessage(&message);
  MQTTAsync_free(topic);
  return 1;
}

/* ---- The link thread ------------------------------------------------------------------- */

static bool handle_open(source_mqtt *m) {
  MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
  create.MQTTVersion = MQTTVERSION_3_1_1;
  create.maxBufferedMessages = PAHO_BUFFERED;
  if (MQTTAsync_createWithOptions(&m->handle, m->uri, m->config.client_id,
                                  MQTTCLIENT_PERSISTENCE_NONE, NULL, &create) != MQTTASYNC_SUCCESS)
    return false;
  MQTTAsync_setCallbacks(m->handle, m, on_lost, on_message, NULL);

  MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
  tls.trustStore = m->config.ca_file;
  tls.keyStore = m->config.cert_file;
  tls.privateKey = m->config.key_file;
  tls.enabledCipherSuites = CIPHERS;
  tls.enableServerCertAuth = 1;
  tls.verify = 1; /* the host's name or address too */
  tls.disableDefaultTrustStore = 1;
  tls.ssl_error_cb = on_tls_error;
  tls.ssl_error_context = m;

  MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer;
  connect.keepAliveInterval = KEEP_ALIVE_S;
  connect.connectTimeout = CONNECT_S;
  connect.cleansession = 0;
  connect.maxInflight = PAHO_INFLIGHT;
  connect.MQTTVersion = MQTTVERSION_3_1_1;
  connect.ssl = &tls;
  connect.onSuccess = on_connected;
  connect.onFailure = on_connect_failed;
  connect.context = m;
  return MQTTAsync_connect(m->handle, &connect) == MQTTASYNC_SUCCESS;
}

static bool subscribe(source_mqtt *m) {
  char *const topics[SUBSCRIPTIONS] = {(char[]){"htel/v1/+/birth"}, (char[]){"htel/v1/+/frame"},
                                       (char[]){"htel/v1/+/status"}};
  const int qos[SUBSCRIPTIONS] = {AT_LEAST_ONCE, AT_LEAST_ONCE, AT_LEAST_ONCE};
  MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
  options.onSuccess = on_subscribed;
  options.onFailure = on_subscribe_failed;
  options.context = m;
  return MQTTAsync_subscribeMany(m->handle, SUBSCRIPTIONS, topics, qos, &options) ==
         MQTTASYNC_SUCCESS;
}

/* A receipt must not wait for the broker's TCP to acknowledge our last PUBACK, which takes it 40
 * ms: it comes to the device with the broker's own PUBACKs then, and not in a segment by itself.
 * paho has no option for that, and does not say which socket is its own; but who is at the other
 * end does. */
static void socket_hurry(uint16_t port) {
  for (int fd = 0; fd < SOCKETS_MAX; fd++) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0) continue;
    uint16_t there = peer.ss_family == AF_INET    ? ((struct sockaddr_in *)&peer)->sin_port
                     : peer.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&peer)->sin6_port
                                                  : 0;
    int on = 1;
    if (there == htons(port)) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
}

static void connect_and_subscribe(source_mqtt *m) {
  pthread_mutex_lock(&m->mutex);
  m->state = LINK_WAITING;
  m->why[0] = m->tls_why[0] = '\0';
  m->connecting = false;
  m->unacked = 0;
  m->disconnected = false;
  pthread_mutex_unlock(&m->mutex);
  if (!handle_open(m)) {
    state_fail(m, "the connection cannot be set up: check CA, certificate and key");
    return;
  }
  if (state_leave(m, LINK_WAITING, STEP_WAIT_MS) == LINK_CONNECTED) {
    socket_hurry(m->config.port);
    if (!subscribe(m)) state_fail(m, "the subscriptions cannot be sent");
    state_leave(m, LINK_CONNECTED, STEP_WAIT_MS);
  }
  pthread_mutex_lock(&m->mutex);
  bool silent = m->state == LINK_WAITING || m->state == LINK_CONNECTED;
  pthread_mutex_unlock(&m->mutex);
  if (silent) state_fail(m, "the broker did not answer in time");
}

/* A receipt that cannot go is dropped: its frames come again. */
static void publish_one(source_mqtt *m, const mail *receipt) {
  MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
  options.onSuccess = on_published;
  options.onFailure = on_publish_failed;
  options.context = m;
  pthread_mutex_lock(&m->mutex);
  m->unacked++;
  pthread_mutex_unlock(&m->mutex);
  if (MQTTAsync_send(m->handle, receipt->topic, (int)receipt->size, receipt->payload, AT_LEAST_ONCE,
                     0, &options) != MQTTASYNC_SUCCESS)
    acked(m);
}

/* Publishes while the link is up. Returns when it has failed, or when all is said and we are
 * closing. */
static void serve(source_mqtt *m) {
  for (;;) {
    pthread_mutex_lock(&m->mutex);
    bool up = m->state == LINK_UP;
    pthread_mutex_unlock(&m->mutex);
    if (!up) return;
    if (!unacked_wait(m, UNACKED_MAX, 100)) continue;
    mail receipt;
    int rc = mailbox_take(&m->outbox, 100, &receipt);
    if (rc < 0) return;
    if (rc == 0) continue;
    publish_one(m, &receipt);
    mail_free(&receipt);
  }
}

static void say_goodbye(source_mqtt *m) {
  unacked_wait(m, 0, GOODBYE_MS);
  MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
  options.timeout = 500;
  options.onSuccess = on_disconnect_done;
  options.onFailure = on_disconnect_failed;
  options.context = m;
  if (MQTTAsync_disconnect(m->handle, &options) != MQTTASYNC_SUCCESS) return;
  struct timespec until = after_ms(GOODBYE_MS);
  pthread_mutex_lock(&m->mutex);
  while (!m->disconnected && pthread_cond_timedwait(&m->changed, &m->mutex, &until) == 0) {
  }
  pthread_mutex_unlock(&m->mutex);
}

/* Full jitter: anywhere in a window that doubles, so that many clients do not return at once. */
static uint32_t backoff_ms(uint32_t *window_ms) {
  uint32_t random = 0;
  if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) random = UINT32_MAX / 2;
  uint32_t wait = (uint32_t)((uint64_t)*window_ms * random >> 32);
  *window_ms = *window_ms > BACKOFF_MS_MAX / 2 ? BACKOFF_MS_MAX : 2 * *window_ms;
  return wait;
}

static void tell(source_mqtt *m, bool up, const char *text) {
  if (m->config.state != NULL) m->config.state(m->config.state_arg, up, text);
}

/* Tells why the link is down, and forgets it. */
static void tell_down(source_mqtt *m) {
  char paho[sizeof m->why], tls[sizeof m->tls_why], why[384];
  pthread_mutex_lock(&m->mutex);
  memcpy(paho, m->why, sizeof paho);
  memcpy(tls, m->tls_why, sizeof tls);
  bool connecting = m->connecting;
  m->state = LINK_DOWN;
  pthread_mutex_unlock(&m->mutex);
  if (connecting)
    source_mqtt_tls_explain(m->config.host, m->config.port, paho, tls, why, sizeof why);
  else
    snprintf(why, sizeof why, "%s", paho);
  tell(m, false, why);
}

static void *link_thread(void *arg) {
  source_mqtt *m = arg;
  uint32_t window_ms = BACKOFF_MS_FIRST;
  while (!is_closing(m)) {
    connect_and_subscribe(m);
    pthread_mutex_lock(&m->mutex);
    bool up = m->state == LINK_UP;
    if (up) m->connects++;
    pthread_mutex_unlock(&m->mutex);
    if (up) {
      window_ms = BACKOFF_MS_FIRST;
      tell(m, true, "connected and subscribed");
      serve(m);
    }
    if (is_closing(m) && up) say_goodbye(m);
    if (m->handle != NULL) MQTTAsync_destroy(&m->handle);
    if (is_closing(m)) break;
    tell_down(m);
    state_leave(m, LINK_DOWN, backoff_ms(&window_ms));
  }
  return NULL;
}

/* ---- The source ------------------------------------------------------------------------ */

static int next(void *ctx, uint32_t wait_ms, source_message *message) {
  source_mqtt *m = ctx;
  mail_free(&m->current);
  int rc = mailbox_take(&m->inbox, wait_ms, &m->current);
  if (rc < 0) return SOURCE_END;
  if (rc == 0) return SOURCE_NONE;
  const mail *got = &m->current;
  bool whole = got->kept == got->size;
  *message = (source_message){got->topic, whole ? got->payload : NULL, got->size};
  return SOURCE_MESSAGE;
}

static bool publish(void *ctx, const char *topic, const uint8_t *payload, size_t size) {
  source_mqtt *m = ctx;
  return mailbox_put(&m->outbox, topic, strlen(topic), payload, size, HTEL_RECEIPT_BYTES_MAX,
                     false);
}

static void stop(void *ctx) {
  mailbox_close(&((source_mqtt *)ctx)->inbox);
}

static void free_all(source_mqtt *m) {
  if (m->anchor != NULL) MQTTAsync_destroy(&m->anchor);
  mail_free(&m->current);
  mailbox_free(&m->inbox);
  mailbox_free(&m->outbox);
  pthread_cond_destroy(&m->changed);
  pthread_mutex_destroy(&m->mutex);
  free(m);
}

static void close_link(void *ctx) {
  source_mqtt *m = ctx;
  pthread_mutex_lock(&m->mutex);
  m->closing = true; /* first: an outbox that ends means goodbye only where we are closing */
  pthread_cond_broadcast(&m->changed);
  pthread_mutex_unlock(&m->mutex);
  mailbox_close(&m->inbox);
  mailbox_close(&m->outbox);
  pthread_join(m->thread, NULL);
  free_all(m);
}

static bool sync_init(source_mqtt *m) {
  pthread_condattr_t attr;
  if (pthread_condattr_init(&attr) != 0) return false;
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  bool ok = pthread_mutex_init(&m->mutex, NULL) == 0 && pthread_cond_init(&m->changed, &attr) == 0;
  pthread_condattr_destroy(&attr);
  return ok && mailbox_init(&m->inbox) && mailbox_init(&m->outbox);
}

int source_mqtt_open(source *s, const source_mqtt_config *config, char *error, size_t error_size) {
  if (source_mqtt_tls_check(config->ca_file, config->cert_file, config->key_file, error,
                            error_size) != 0)
    return -1;
  MQTTAsync_init_options init = MQTTAsync_init_options_initializer;
  init.do_openssl_init = 1;
  MQTTAsync_global_init(&init);

  source_mqtt *m = calloc(1, sizeof *m);
  if (m == NULL || !sync_init(m)) {
    snprintf(error, error_size, "no memory");
    free(m);
    return -1;
  }
  m->config = *config;
  snprintf(m->uri, sizeof m->uri, "ssl://%s:%u", config->host, (unsigned)config->port);
  if (MQTTAsync_create(&m->anchor, "tcp://127.0.0.1:1", "anchor", MQTTCLIENT_PERSISTENCE_NONE,
                       NULL) != MQTTASYNC_SUCCESS) {
    snprintf(error, error_size, "the MQTT library cannot be set up");
    free_all(m);
    return -1;
  }
  if (pthread_create(&m->thread, NULL, link_thread, m) != 0) {
    snprintf(error, error_size, "no thread can be started");
    free_all(m);
    return -1;
  }
  *s = (source){.ctx = m, .next = next, .publish = publish, .stop = stop, .close = close_link};
  return 0;
}

void source_mqtt_stats_get(const source *s, source_mqtt_stats *stats) {
  source_mqtt *m = s->ctx;
  pthread_mutex_lock(&m->mutex);
  stats->up = m->state == LINK_UP;
  stats->connects = m->connects;
  pthread_mutex_unlock(&m->mutex);
  stats->waiting = mailbox_count(&m->inbox);
}
