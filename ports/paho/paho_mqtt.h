/* SPDX-License-Identifier: Apache-2.0 */
/* paho_mqtt.h - one MQTT connection by paho.mqtt.c, over the tunnel.
 *
 * A new handle for each connection (a used one may crash in its reconnect code up to 1.3.12), no
 * persistence, no reconnecting, MQTT 3.1.1. Calls take paho's own lock, which another of paho's
 * clients in this process may hold for seconds while it resolves a name: only the worker makes
 * them. What paho says arrives in the mailbox, from paho's threads, until mqtt_end() has returned.
 */
#ifndef HTEL_PAHO_MQTT_H
#define HTEL_PAHO_MQTT_H

#include "paho_mailbox.h"

/* paho stops its threads with its last handle, and a handle made meanwhile by another thread is
 * pulled from under it. So each link holds one handle that never connects. NULL: no memory. */
void *mqtt_anchor(void);
void mqtt_anchor_free(void *anchor);

typedef struct mqtt_client {
  void *handle; /* MQTTAsync */
  mailbox *mail;
} mqtt_client;

#define MQTT_CLIENT_NONE \
  { 0 }

/* Makes a handle and lets it connect to 127.0.0.1:port. 0, HTEL_E_MEMORY. */
int mqtt_begin(mqtt_client *client, mailbox *mail, const mail_session *session, uint16_t port,
               uint32_t connect_timeout_ms);

/* 0, or HTEL_E_LINK_LOST. The answer comes as mail_answers. */
int mqtt_subscribe(mqtt_client *client, const char *topic);

/* Hands a message over; paho copies it. 0, or HTEL_E_LINK_LOST. */
int mqtt_publish(mqtt_client *client, mail_slot *slot, const uint8_t *payload);

/* Begins to say goodbye; paho then closes its end of the tunnel. */
void mqtt_disconnect(mqtt_client *client);

/* Destroys the handle. No callback comes after it. Also when none was made. */
void mqtt_end(mqtt_client *client);

#endif
