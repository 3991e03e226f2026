/* SPDX-License-Identifier: Apache-2.0 */
/* source_mqtt.h - the broker as a source: paho.mqtt.c over OpenSSL, mutual TLS, MQTT 3.1.1.
 *
 *     paho's thread --inbox--> next()            the caller's thread
 *     link thread  <--outbox-- publish()
 *
 * paho calls back holding its own lock. So its callback only puts into the inbox, waiting there
 * while it is full (TCP then slows the broker down), and everything that needs paho's lock is done
 * by one link thread: connecting, subscribing, publishing, reconnecting. The caller's thread
 * touches the two queues alone, and so can always empty the inbox that the callback waits for.
 *
 * Each connection gets a new paho handle (1.3.12 may crash when one is used again). The session is
 * persistent: the broker keeps messages for a while that we are away. It may lose them, and paho
 * acknowledges them before they are committed; both are healed by receipts, without which devices
 * send again. */
#ifndef INGEST_SOURCE_MQTT_H
#define INGEST_SOURCE_MQTT_H

#include "source.h"

typedef struct source_mqtt_config {
  const char *host; /* name or address, as in the broker's certificate */
  uint16_t port;
  const char *client_id; /* [A-Za-z0-9_-]{1,36} */
  const char *ca_file;   /* PEM: who may sign the broker's certificate */
  const char *cert_file; /* PEM: our certificate and the chain up to the CA */
  const char *key_file;  /* PEM */
  /* Told of each change: `up` or not, and in words. From the link thread. */
  void (*state)(void *arg, bool up, const char *text);
  void *state_arg;
} source_mqtt_config;

/* Starts to connect and returns; the strings must stay. 0, or -1 with `error` filled in. */
int source_mqtt_open(source *s, const source_mqtt_config *config, char *error, size_t error_size);

typedef struct source_mqtt_stats {
  bool up;
  size_t waiting; /* messages in the inbox */
  uint32_t connects;
} source_mqtt_stats;

void source_mqtt_stats_get(const source *s, source_mqtt_stats *stats);

#endif
