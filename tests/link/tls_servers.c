/* SPDX-License-Identifier: Apache-2.0 */
/* tls_servers.c - see tls_servers.h. */
#include "tls_servers.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define START_TRIES 5
#define FIXED 8 /* arguments of s_server that each case has */

static void s_server_launch(tls_server *self, const char *certs, const tls_server_spec *spec) {
  char port[8], cert[BROKER_PATH_MAX + 64], key[BROKER_PATH_MAX + 64];
  char above[BROKER_PATH_MAX + 64];
  char files[TLS_SERVER_OPTIONS_MAX][BROKER_PATH_MAX + 64];
  snprintf(port, sizeof port, "%u", (unsigned)self->port);
  snprintf(cert, sizeof cert, "%s/%s.crt", certs, spec->cert);
  snprintf(key, sizeof key, "%s/%s.key", certs, spec->cert);
  snprintf(above, sizeof above, "%s/%s.above", certs, spec->cert);
  const char *arguments[FIXED + TLS_SERVER_OPTIONS_MAX + 2 + 1] = {
      "openssl", "s_server", "-accept", port, "-cert", cert, "-key", key};
  size_t count = FIXED;
  for (size_t i = 0; i < TLS_SERVER_OPTIONS_MAX && spec->options[i] != NULL; i++) {
    const char *option = spec->options[i];
    if (option[0] == '@') {
      snprintf(files[i], sizeof files[i], "%s/%s", certs, option + 1);
      option = files[i];
    }
    arguments[count++] = option;
  }
  if (access(above, R_OK) == 0) {
    arguments[count++] = "-cert_chain";
    arguments[count] = above;
  }
  self->pid = process_start(self->log, arguments);
}

static void mosquitto_configure(const tls_server *self, const char *certs,
                                const tls_server_spec *spec) {
  FILE *conf = fopen(self->conf, "w");
  assert_non_null(conf);
  fprintf(conf,
          "listener %u 127.0.0.1\n"
          "%s" /* as root it would change to a user who cannot read the certificates */
          "allow_anonymous true\n"
          "persistence false\n"
          "log_dest stderr\n"
          "log_type all\n",
          (unsigned)self->port, geteuid() == 0 ? "user root\n" : "");
  if (spec->cert != NULL) {
    fprintf(conf, "cafile %s/ca.crt\ncertfile %s/%s.crt\nkeyfile %s/%s.key\n", certs, certs,
            spec->cert, certs, spec->cert);
  }
  if (spec->conf != NULL && strncmp(spec->conf, "crlfile ", 8) == 0) {
    fprintf(conf, "require_certificate true\ncrlfile %s/%s\n", certs, spec->conf + 8);
  } else if (spec->conf != NULL) {
    fprintf(conf, "%s\n", spec->conf);
  }
  fclose(conf);
}

static void mosquitto_launch(tls_server *self, const char *certs, const tls_server_spec *spec) {
  mosquitto_configure(self, certs, spec);
  const char *arguments[] = {"mosquitto", "-c", self->conf, NULL};
  self->pid = process_start(self->log, arguments);
}

/* Whether it listens; false when the port was snatched and it has ended. */
static bool process_launch(tls_server *self, const char *certs, const tls_server_spec *spec) {
  self->port = port_free();
  snprintf(self->log, sizeof self->log, "%s/server-%u.log", certs, (unsigned)self->port);
  snprintf(self->conf, sizeof self->conf, "%s/server-%u.conf", certs, (unsigned)self->port);
  unlink(self->log); /* a port may come again */
  if (spec->kind == TLS_S_SERVER) {
    s_server_launch(self, certs, spec);
  } else {
    mosquitto_launch(self, certs, spec);
  }
  return port_wait(self->port) && waitpid(self->pid, NULL, WNOHANG) == 0;
}

void tls_server_start(tls_server *self, const char *certs, const tls_server_spec *spec) {
  memset(self, 0, sizeof *self);
  self->kind = spec->kind;
  if (spec->kind == TLS_SCRIPT) {
    server_script script = spec->script;
    script.certs = certs;
    script.cert = spec->cert;
    server_start(&self->script, &script);
    self->port = self->script.port;
    return;
  }
  for (int i = 0; i < START_TRIES; i++) {
    if (process_launch(self, certs, spec)) {
      return;
    }
  }
  fail_msg("the server does not start: see %s", self->log);
}

/* All clients here are called dev-1, and say so in MQTT's CONNECT. s_server may print that name
 * from a certificate too, but "MQTT" only from what it has decrypted. */
bool tls_server_heard(tls_server *self) {
  switch (self->kind) {
    case TLS_SCRIPT: return atomic_load(&self->script.application_bytes) > 0;
    case TLS_S_SERVER: return file_contains(self->log, "MQTT");
    default: return file_contains(self->log, "dev-1");
  }
}

void tls_server_stop(tls_server *self) {
  if (self->kind == TLS_SCRIPT) {
    server_stop(&self->script);
  } else {
    process_end(self->pid, SIGKILL);
  }
}
