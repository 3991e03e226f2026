/* SPDX-License-Identifier: Apache-2.0 */
/* link_client.c - see link_client.h. */
#include "link_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static uint64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static void note_longest(uint64_t *longest, uint64_t since_us) {
  uint64_t us = now_us() - since_us;
  *longest = us > *longest ? us : *longest;
}

static char *pem(const char *dir, const char *name, const char *suffix) {
  char path[BROKER_PATH_MAX + 64];
  char *text;
  snprintf(path, sizeof path, "%s/%s%s", dir, name, suffix);
  assert_int_equal(htel_pem_load(path, &text), 0);
  return text;
}

static void mqtt_new(link_client *self, const htel_paho_config *from) {
  htel_dial_config dial = {.host = from->host,
                           .port = from->port,
                           .ca_pem = from->ca_pem,
                           .cert_pem = from->cert_pem,
                           .key_pem = from->key_pem,
                           .crl_pem = from->crl_pem,
                           .alpn = from->alpn,
                           .utc_floor_ms = from->utc_floor_ms,
                           .posix = &self->posix};
  assert_int_equal(htel_dial_new(&self->dial, &dial), 0);
  htel_port port = htel_posix_port(&self->posix, NULL);
  self->mqtt_config = (htel_mqtt_config){.transport = htel_dial_transport(self->dial),
                                         .tick_ms = port.tick_ms,
                                         .tick_ctx = port.ctx,
                                         .buffer = self->mqtt_buffer,
                                         .buffer_size = sizeof self->mqtt_buffer,
                                         .connect_timeout_ms = from->connect_timeout_ms};
  assert_int_equal(htel_mqtt_init(&self->mqtt, &self->mqtt_config), 0);
  self->link = htel_mqtt_link(&self->mqtt);
}

static void paho_new(link_client *self, const htel_paho_config *config) {
  assert_int_equal(htel_paho_new(&self->paho, config), 0);
  self->link = htel_paho_link(self->paho);
}

void link_client_new(link_client *self, const link_client_options *options) {
  memset(self, 0, sizeof *self);
  snprintf(self->id, sizeof self->id, "%s", options->id);
  snprintf(self->will_topic, sizeof self->will_topic, "htel/v1/%s/status", options->id);
  snprintf(self->receive_topic, sizeof self->receive_topic, "htel/v1/%s/receipt", options->id);
  self->keep_alive_s = options->keep_alive_s;
  self->subscribe = true;
  assert_int_equal(htel_posix_open(&self->posix, NULL), 0);
  const char *cert = options->cert != NULL ? options->cert : options->id;
  char *ca = pem(options->certs, options->ca != NULL ? options->ca : "ca.crt", "");
  char *own = cert[0] != '\0' ? pem(options->certs, cert, ".crt") : NULL;
  char *key = cert[0] != '\0' ? pem(options->certs, cert, ".key") : NULL;
  char *crl = options->crl != NULL ? pem(options->certs, options->crl, "") : NULL;
  htel_paho_config config = {
      .host = options->host != NULL ? options->host : "localhost",
      .port = options->port,
      .ca_pem = ca,
      .cert_pem = own,
      .key_pem = key,
      .crl_pem = crl,
      .alpn = options->alpn,
      .connect_timeout_ms = options->connect_timeout_ms != 0 ? options->connect_timeout_ms : 10000,
      .utc = htel_posix_utc,
      .utc_ctx = &self->posix,
      .utc_floor_ms = options->utc_floor_ms,
      .wake = htel_posix_wake,
      .wake_ctx = &self->posix,
  };
  options->mqtt ? mqtt_new(self, &config) : paho_new(self, &config);
  htel_pem_free(ca);
  htel_pem_free(own);
  htel_pem_free(key);
  htel_pem_free(crl);
}

void link_client_free(link_client *self) {
  htel_paho_free(self->paho);
  htel_dial_free(self->dial);
  htel_posix_close(&self->posix);
}

void link_client_open(link_client *self) {
  static const uint8_t will[] = "gone";
  htel_link_session session = {
      .client_id = self->id,
      .will_topic = self->will_topic,
      .will = will,
      .will_size = 4,
      .receive_topic = self->subscribe ? self->receive_topic : NULL,
      .keep_alive_s = self->keep_alive_s,
  };
  uint64_t since = now_us();
  assert_int_equal(self->link->open(self->link->ctx, &session), 0);
  note_longest(&self->open_us_max, since);
}

static void take_event(link_client *self, const htel_link_event *event) {
  switch (event->kind) {
    case HTEL_LINK_UP: self->ups++; break;
    case HTEL_LINK_DOWN:
      self->downs++;
      self->down_error = event->error;
      break;
    case HTEL_LINK_ACKED:
      self->acks++;
      self->acked[event->token % sizeof self->acked]++;
      break;
    case HTEL_LINK_MESSAGE:
      self->messages++;
      memcpy(self->message, event->payload, event->size);
      self->message[event->size] = '\0';
      break;
    default: fail_msg("unknown event %d", (int)event->kind);
  }
}

bool link_client_until(link_client *self, const uint32_t *counter, uint32_t count, unsigned ms) {
  uint64_t until = now_ms() + ms;
  for (;;) {
    htel_link_event event;
    for (;;) {
      uint64_t since = now_us();
      int rc = self->link->next(self->link->ctx, &event);
      note_longest(&self->next_us_max, since);
      if (rc == 0) {
        break;
      }
      take_event(self, &event);
    }
    uint64_t now = now_ms();
    if (*counter >= count || now >= until) {
      return *counter >= count;
    }
    uint32_t wait = self->link->wait_ms(self->link->ctx);
    htel_posix_wait(&self->posix, until - now < wait ? (uint32_t)(until - now) : wait);
  }
}

void link_client_up(link_client *self) {
  uint32_t ups = self->ups + 1, downs = self->downs;
  link_client_open(self);
  if (!link_client_until(self, &self->ups, ups, 15000)) {
    fail_msg("not up; error %s", self->downs > downs ? htel_errname(self->down_error) : "none");
  }
}

int link_client_fails(link_client *self) {
  uint32_t downs = self->downs + 1, ups = self->ups;
  link_client_open(self);
  assert_true(link_client_until(self, &self->downs, downs, 20000));
  /* That a subscription is refused shows only behind UP. */
  assert_int_equal(self->ups, ups + (self->down_error == HTEL_E_SUBSCRIBE));
  return self->down_error;
}

void link_client_close(link_client *self) {
  uint32_t downs = self->downs + 1;
  self->link->close(self->link->ctx);
  assert_true(link_client_until(self, &self->downs, downs, 15000));
  assert_int_equal(self->down_error, 0);
}

uint8_t link_client_pattern(uint32_t token, uint32_t offset) {
  return (uint8_t)(token * 31u + offset * 7u + (offset >> 8));
}

static int pattern_read(void *source, uint32_t token, uint32_t offset, uint8_t *buf, size_t size) {
  (void)source;
  for (size_t i = 0; i < size; i++) {
    buf[i] = link_client_pattern(token, offset + (uint32_t)i);
  }
  return 0;
}

int link_client_publish(link_client *self, const char *topic, uint32_t size, uint32_t token) {
  htel_message message = {.topic = topic, .size = size, .token = token, .read = pattern_read};
  uint64_t since = now_us();
  int rc = self->link->publish(self->link->ctx, &message);
  note_longest(&self->publish_us_max, since);
  return rc;
}
