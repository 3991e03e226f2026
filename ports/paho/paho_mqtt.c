/* SPDX-License-Identifier: Apache-2.0 */
/* paho_mqtt.c - see paho_mqtt.h. */
#include "paho_mqtt.h"

#include <MQTTAsync.h>
#include <stdio.h>

#define MQTT_3_1_1 4
#define IN_FLIGHT_MAX 1000 /* far above MAIL_SLOTS: a full window slows paho to a crawl */
#define NO_PERSISTENCE 1   /* MQTTCLIENT_PERSISTENCE_NONE */

/* Making the first and ending the last handle sets up and tears down paho as a whole. */
static pthread_mutex_t global_gate = PTHREAD_MUTEX_INITIALIZER;

void *mqtt_anchor(void) {
  MQTTAsync anchor = NULL;
  pthread_mutex_lock(&global_gate);
  if (MQTTAsync_create(&anchor, "tcp://127.0.0.1:1", "anchor", NO_PERSISTENCE, NULL) != 0) {
    anchor = NULL;
  }
  /* Its trace would print the beginning of each payload, wherever MQTT_C_CLIENT_TRACE says. */
  MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_ERROR);
  pthread_mutex_unlock(&global_gate);
  return anchor;
}

void mqtt_anchor_free(void *anchor) {
  MQTTAsync handle = anchor;
  pthread_mutex_lock(&global_gate);
  MQTTAsync_destroy(&handle);
  pthread_mutex_unlock(&global_gate);
}

/* ---- Callbacks, in paho's threads, with its lock held ------------------------------------- */

static void on_connected(void *context, MQTTAsync_successData *data) {
  (void)data;
  mail_answer_connected(context);
}

static void on_connect_failed(void *context, MQTTAsync_failureData *data) {
  mail_answer_connect_failed(context, data != NULL ? data->code : MQTTASYNC_FAILURE);
}

static void on_lost(void *context, char *cause) {
  (void)cause;
  mail_answer_lost(context);
}

static void on_subscribed(void *context, MQTTAsync_successData *data) {
  mail_answer_subscribed(context, data != NULL && data->alt.qos <= 2);
}

/* Also called when the connection ends before the answer: that is told by itself. */
static void on_subscribe_failed(void *context, MQTTAsync_failureData *data) {
  if (data != NULL && data->code == MQTT_BAD_SUBSCRIBE) {
    mail_answer_subscribed(context, false);
  }
}

static void on_acked(void *context, MQTTAsync_successData *data) {
  (void)data;
  mail_acked(context);
}

static int on_message(void *context, char *topic, int topic_size, MQTTAsync_message *message) {
  (void)topic_size; /* only the receipt topic is subscribed to */
  if (message->payloadlen >= 0) {
    mail_received(context, message->payload, (size_t)message->payloadlen);
  }
  MQTTAsync_freeMessage(&message);
  MQTTAsync_free(topic);
  return 1;
}

/* ---- The worker's calls ------------------------------------------------------------------ */

static int mqtt_connect(mqtt_client *client, const mail_session *session, const char *proxy,
                        uint32_t connect_timeout_ms) {
  MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
  will.struct_version = 1; /* binary payload */
  will.topicName = session->will_topic;
  will.payload.len = (int)session->will_size;
  will.payload.data = session->will;
  will.retained = 1;
  will.qos = 1;

  MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
  options.MQTTVersion = MQTT_3_1_1;
  options.keepAliveInterval = session->keep_alive_s;
  options.cleansession = 1;
  options.maxInflight = IN_FLIGHT_MAX;
  options.automaticReconnect = 0;
  options.connectTimeout =
      (int)(connect_timeout_ms / 1000) + 1; /* the worker keeps the exact one */
  options.will = &will;
  options.httpProxy = proxy; /* see paho_tunnel.h */
  options.onSuccess = on_connected;
  options.onFailure = on_connect_failed;
  options.context = client->mail;
  return MQTTAsync_connect(client->handle, &options) == MQTTASYNC_SUCCESS ? 0 : HTEL_E_MEMORY;
}

int mqtt_begin(mqtt_client *client, mailbox *mail, const mail_session *session, uint16_t port,
               uint32_t connect_timeout_ms) {
  char uri[32], proxy[32];
  snprintf(uri, sizeof uri, "tcp://127.0.0.1:%u", (unsigned)port);
  snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", (unsigned)port);
  client->mail = mail;
  MQTTAsync handle = NULL;
  if (MQTTAsync_create(&handle, uri, session->client_id, NO_PERSISTENCE, NULL) !=
      MQTTASYNC_SUCCESS) {
    return HTEL_E_MEMORY;
  }
  client->handle = handle;
  MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_ERROR); /* see mqtt_anchor */
  if (MQTTAsync_setCallbacks(handle, mail, on_lost, on_message, NULL) != MQTTASYNC_SUCCESS) {
    return HTEL_E_MEMORY;
  }
  return mqtt_connect(client, session, proxy, connect_timeout_ms);
}

/* At QoS 0: paho would answer each message at once with a PUBACK in a record of its own. What gets
 * lost the core makes up for, as after a connection that broke. */
int mqtt_subscribe(mqtt_client *client, const char *topic) {
  MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
  response.onSuccess = on_subscribed;
  response.onFailure = on_subscribe_failed;
  response.context = client->mail;
  return MQTTAsync_subscribe(client->handle, topic, 0, &response) == MQTTASYNC_SUCCESS
             ? 0
             : HTEL_E_LINK_LOST;
}

int mqtt_publish(mqtt_client *client, mail_slot *slot, const uint8_t *payload) {
  MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
  response.onSuccess = on_acked;
  response.context = slot;
  return MQTTAsync_send(client->handle, slot->topic, (int)slot->size, payload, 1, slot->retain,
                        &response) == MQTTASYNC_SUCCESS
             ? 0
             : HTEL_E_LINK_LOST;
}

void mqtt_disconnect(mqtt_client *client) {
  MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
  options.timeout = 0; /* the worker has waited for the acknowledgements itself */
  MQTTAsync_disconnect(client->handle, &options);
}

void mqtt_end(mqtt_client *client) {
  if (client->handle != NULL) {
    MQTTAsync handle = client->handle;
    MQTTAsync_destroy(&handle);
  }
  client->handle = NULL;
}
