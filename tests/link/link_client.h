/* SPDX-License-Identifier: Apache-2.0 */
/* link_client.h - drives a link as the core does, for tests, with waits that are bounded. */
#ifndef HTEL_TEST_LINK_CLIENT_H
#define HTEL_TEST_LINK_CLIENT_H

#include <pthread.h>

#include "broker.h"
#include "htel_dial.h"
#include "htel_mqtt.h"
#include "htel_paho.h"
#include "htel_posix.h"

typedef struct link_client {
  htel_posix posix; /* its wake-up */
  htel_paho *paho;  /* or, with options.mqtt, the four below */
  htel_dial *dial;
  htel_mqtt mqtt;
  htel_mqtt_config mqtt_config;
  uint8_t mqtt_buffer[HTEL_MQTT_BUFFER_BYTES(2048)];
  const htel_link *link;
  char id[40], will_topic[128], receive_topic[128];
  uint16_t keep_alive_s;
  bool subscribe;
  /* What came. */
  uint32_t ups, downs, acks, messages;
  int down_error;
  uint8_t acked[1024]; /* by token */
  char message[HTEL_LINK_MESSAGE_BYTES_MAX + 1];
  uint64_t publish_us_max, open_us_max, next_us_max;
} link_client;

typedef struct link_client_options {
  const char *certs; /* directory */
  const char *ca;    /* file in it; NULL: ca.crt */
  const char *id;    /* device; its certificate ID.crt, unless `cert` */
  const char *cert;  /* name of another certificate, "" for none */
  const char *crl;   /* file in it, or NULL */
  const char *host;  /* NULL: localhost */
  const char *alpn;
  uint16_t port;
  uint16_t keep_alive_s;
  uint32_t connect_timeout_ms; /* 0: 10000 */
  int64_t utc_floor_ms;
  bool mqtt; /* the link is ports/mqtt over ports/dial */
} link_client_options;

void link_client_new(link_client *self, const link_client_options *options);
void link_client_free(link_client *self);

void link_client_open(link_client *self);
/* Takes events until `*counter` has reached `count` or the time is over; whether it has. */
bool link_client_until(link_client *self, const uint32_t *counter, uint32_t count, unsigned ms);
/* open, then UP, asserted. */
void link_client_up(link_client *self);
/* open, then DOWN: its error. */
int link_client_fails(link_client *self);
/* close, then DOWN with 0, asserted. */
void link_client_close(link_client *self);
/* Publishes `size` bytes of a pattern; what publish() returned. */
int link_client_publish(link_client *self, const char *topic, uint32_t size, uint32_t token);
/* What link_client_publish sends at `offset` of message `token`. */
uint8_t link_client_pattern(uint32_t token, uint32_t offset);

#endif
