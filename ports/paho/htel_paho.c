/* SPDX-License-Identifier: Apache-2.0 */
/* htel_paho.c - the public face: setting up, the link's functions, taking down. */
#include "htel_paho.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "htel_posix.h"
#include "paho_worker.h"

#define PORT 8883u
#define CONNECT_TIMEOUT_MS 20000u

static int link_open(void *ctx, const htel_link_session *session) {
  htel_paho *paho = ctx;
  return mail_open(&paho->mail, session);
}

static int link_publish(void *ctx, const htel_message *message) {
  htel_paho *paho = ctx;
  return mail_publish(&paho->mail, message);
}

static int link_next(void *ctx, htel_link_event *event) {
  htel_paho *paho = ctx;
  return mail_next(&paho->mail, event);
}

static uint32_t link_wait_ms(void *ctx) {
  htel_paho *paho = ctx;
  return mail_wait_ms(&paho->mail);
}

static void link_close(void *ctx) {
  htel_paho *paho = ctx;
  mail_close(&paho->mail);
}

static int system_utc(void *ctx, int64_t *utc_ms) {
  (void)ctx;
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0 || now.tv_sec < HTEL_POSIX_UTC_MS_OLDEST / 1000) {
    return HTEL_E_AGAIN;
  }
  *utc_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
  return 0;
}

/* Copies or parses all of `config`. */
static int config_take(htel_paho *paho, const htel_paho_config *config) {
  if (config->host == NULL || config->ca_pem == NULL ||
      strnlen(config->host, sizeof paho->host) == sizeof paho->host ||
      (config->alpn != NULL &&
       strnlen(config->alpn, sizeof paho->alpn_name) == sizeof paho->alpn_name)) {
    return HTEL_E_ARGUMENT;
  }
  strcpy(paho->host, config->host);
  if (config->alpn != NULL) {
    strcpy(paho->alpn_name, config->alpn);
    paho->alpn[0] = paho->alpn_name;
  }
  paho->port = config->port != 0 ? config->port : PORT;
  paho->connect_timeout_ms =
      config->connect_timeout_ms != 0 ? config->connect_timeout_ms : CONNECT_TIMEOUT_MS;
  htel_tls_config tls = {
      .host = paho->host,
      .ca_pem = config->ca_pem,
      .cert_pem = config->cert_pem,
      .key_pem = config->key_pem,
      .crl_pem = config->crl_pem,
      .alpn = config->alpn != NULL ? paho->alpn : NULL,
      .utc = config->utc != NULL ? config->utc : system_utc,
      .utc_ctx = config->utc_ctx,
      .utc_floor_ms = config->utc_floor_ms,
  };
  return htel_tls_identity_load(&paho->identity, &tls);
}

/* All signals are blocked in the worker: the application's handlers run in its own threads. */
static bool thread_start(htel_paho *paho) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = pthread_create(&paho->thread, NULL, worker_main, paho) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return started;
}

static int start(htel_paho *paho, const htel_paho_config *config) {
  int rc = mail_init(&paho->mail, config->wake, config->wake_ctx);
  if (rc != 0) {
    return rc;
  }
  paho->anchor = mqtt_anchor();
  if (paho->anchor != NULL && pthread_mutex_init(&paho->stats_mutex, NULL) == 0) {
    if (thread_start(paho)) {
      return 0;
    }
    pthread_mutex_destroy(&paho->stats_mutex);
  }
  if (paho->anchor != NULL) {
    mqtt_anchor_free(paho->anchor);
  }
  mail_free(&paho->mail);
  return HTEL_E_MEMORY;
}

int htel_paho_new(htel_paho **paho, const htel_paho_config *config) {
  *paho = NULL;
  htel_paho *self = calloc(1, sizeof *self);
  if (self == NULL) {
    return HTEL_E_MEMORY;
  }
  self->link = (htel_link){.ctx = self,
                           .open = link_open,
                           .publish = link_publish,
                           .next = link_next,
                           .wait_ms = link_wait_ms,
                           .close = link_close};
  int rc = config_take(self, config);
  if (rc != 0) {
    free(self);
    return rc;
  }
  rc = start(self, config);
  if (rc != 0) {
    htel_tls_identity_free(&self->identity);
    free(self);
    return rc;
  }
  *paho = self;
  return 0;
}

const htel_link *htel_paho_link(htel_paho *paho) {
  return &paho->link;
}

void htel_paho_free(htel_paho *paho) {
  if (paho == NULL) {
    return;
  }
  mail_quit(&paho->mail);
  pthread_join(paho->thread, NULL);
  mqtt_anchor_free(paho->anchor);
  htel_tls_identity_free(&paho->identity);
  pthread_mutex_destroy(&paho->stats_mutex);
  mail_free(&paho->mail);
  explicit_bzero(paho, sizeof *paho);
  free(paho);
}

void htel_paho_stats_get(htel_paho *paho, htel_paho_stats *stats) {
  pthread_mutex_lock(&paho->stats_mutex);
  *stats = paho->stats;
  pthread_mutex_unlock(&paho->stats_mutex);
  stats->messages_dropped = mail_inbound_dropped(&paho->mail);
}
