/* SPDX-License-Identifier: Apache-2.0 */
/* link_server.h - a server that misbehaves as told, in a thread: without TLS, or with TLS
 * (mbedTLS, 1.2) and just enough MQTT to refuse, to fall silent or to talk nonsense. Serves one
 * connection after the other. */
#ifndef HTEL_TEST_LINK_SERVER_H
#define HTEL_TEST_LINK_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker.h"

typedef enum server_kind {
  SERVER_PLAIN,  /* answers whatever comes with a line of text */
  SERVER_CLOSES, /* hangs up after the first bytes */
  SERVER_MIDWAY, /* begins a TLS record and hangs up in the middle */
  SERVER_SILENT, /* never says anything */
  SERVER_MQTT    /* TLS, then the script below */
} server_kind;

typedef struct server_script {
  server_kind kind;
  const char *certs; /* directory; SERVER_MQTT */
  const char *cert;  /* name in it; NULL: broker */
  const char *alpn;  /* the protocol it knows, or NULL */
  uint8_t connack;   /* return code */
  uint8_t suback;    /* 1: QoS 1; 0x80: refused */
  bool mute;         /* after SUBACK: answers nothing more, no PINGRESP either */
  bool nonsense;     /* after SUBACK: a packet that MQTT does not have */
} server_script;

typedef struct link_server {
  uint16_t port;
  int listen_fd;
  server_script script;
  pthread_t thread;
  atomic_bool stop;
  atomic_uint connections;
  atomic_uint application_bytes; /* decrypted, or received at all without TLS */
} link_server;

void server_start(link_server *self, const server_script *script);
void server_stop(link_server *self);

#endif
