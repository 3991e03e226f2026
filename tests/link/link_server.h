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
  SERVER_PLAIN,  /* answers whatever comes with `answer` */
  SERVER_CLOSES, /* hangs up after the first bytes */
  SERVER_MIDWAY, /* begins a TLS record and hangs up in the middle */
  SERVER_SILENT, /* never says anything */
  SERVER_MQTT    /* TLS, then the script below */
} server_kind;

/* What comes in the place of a handshake message, and is the last thing to come. */
typedef enum server_fault {
  FAULT_NONE,
  FAULT_CLOSE,
  FAULT_RESET,
  FAULT_SILENCE,
  FAULT_GARBAGE,  /* bytes that are not TLS, then silence */
  FAULT_NONSENSE, /* a handshake message of a type that there is not, then silence */
  FAULT_TRUNCATE, /* half of the message, then the end */
  FAULT_ALERT,    /* internal_error */
  FAULT_FLIP,     /* the message with a bit of its last byte turned over; the handshake goes on */
  FAULT_DRIP,     /* a byte each 100 ms */
  FAULT_FLOOD     /* alerts that are only warnings, without end */
} server_fault;

/* Types of handshake messages, for `fault_at`. */
enum {
  AT_SERVER_HELLO = 2,
  AT_CERTIFICATE = 11,
  AT_KEY_EXCHANGE = 12,
  AT_HELLO_DONE = 14,
  AT_CHANGE_CIPHER = 0x100 /* no handshake message: the first to come after the client's own */
};

typedef struct server_script {
  server_kind kind;
  const char *answer; /* SERVER_PLAIN; NULL: some HTTP */
  size_t answer_size; /* 0: it is a string */
  const char *certs;  /* directory; SERVER_MQTT */
  const char *cert;   /* name in it; NULL: broker */
  const char *alpn;   /* the protocol it knows, or NULL */
  server_fault fault;
  int fault_at;
  bool renegotiates; /* after SUBACK: asks for another handshake, and goes on without */
  uint8_t connack;   /* return code */
  uint8_t suback;    /* 1: QoS 1; 0x80: refused */
  bool silent;       /* after TLS: answers nothing at all */
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
  atomic_uint publishes;         /* never acknowledged */
} link_server;

void server_start(link_server *self, const server_script *script);
void server_stop(link_server *self);

#endif
