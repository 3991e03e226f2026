/* SPDX-License-Identifier: Apache-2.0 */
/* tls_servers.h - servers for tests of TLS, each with the certificate and the habits that a case
 * asks for: mosquitto, OpenSSL's s_server for what a broker would not do, link_server.h for what no
 * server should.
 *
 *     tls_server_start(&server, certs, &(tls_server_spec){.kind = TLS_MOSQUITTO, .cert = "broker"})
 *     ... a client connects to server.port
 *     tls_server_heard(&server)      whether it could read anything that the client said
 *     tls_server_stop(&server) */
#ifndef HTEL_TEST_TLS_SERVERS_H
#define HTEL_TEST_TLS_SERVERS_H

#include "broker.h"
#include "link_server.h"

#define TLS_SERVER_OPTIONS_MAX 12

typedef enum tls_server_kind { TLS_MOSQUITTO, TLS_S_SERVER, TLS_SCRIPT } tls_server_kind;

typedef struct tls_server_spec {
  tls_server_kind kind;
  const char
      *cert; /* CERT.crt and CERT.key in the directory; mosquitto without one speaks no TLS */
  const char *conf; /* more lines for mosquitto */
  const char
      *options[TLS_SERVER_OPTIONS_MAX]; /* for s_server; "@NAME" is a file of the directory */
  server_script script;                 /* its `certs` and `cert` are filled in */
} tls_server_spec;

typedef struct tls_server {
  tls_server_kind kind;
  uint16_t port;
  pid_t pid;
  char conf[BROKER_PATH_MAX + 32], log[BROKER_PATH_MAX + 32];
  link_server script;
} tls_server;

void tls_server_start(tls_server *self, const char *certs, const tls_server_spec *spec);
bool tls_server_heard(tls_server *self);
void tls_server_stop(tls_server *self);

#endif
