/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "source_mqtt_tls.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBE_S 3

static int fail(char *error, size_t error_size, const char *file, const char *what) {
  const char *reason = ERR_reason_error_string(ERR_peek_last_error());
  snprintf(error, error_size, "'%s' %s%s%s", file, what, reason == NULL ? "" : ": ",
           reason == NULL ? "" : reason);
  return -1;
}

static int check(SSL_CTX *ctx, const char *ca_file, const char *cert_file, const char *key_file,
                 char *error, size_t size) {
  if (SSL_CTX_load_verify_locations(ctx, ca_file, NULL) != 1)
    return fail(error, size, ca_file, "holds no certificates in PEM form");
  if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
    return fail(error, size, cert_file, "is no usable certificate in PEM form");
  if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(ctx) != 1)
    return fail(error, size, key_file, "is no private key in PEM form, or another certificate's");
  return 0;
}

int source_mqtt_tls_check(const char *ca_file, const char *cert_file, const char *key_file,
                          char *error, size_t error_size) {
  ERR_clear_error();
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  int rc = -1;
  if (ctx == NULL)
    snprintf(error, error_size, "no memory");
  else
    rc = check(ctx, ca_file, cert_file, key_file, error, error_size);
  SSL_CTX_free(ctx);
  ERR_clear_error();
  return rc;
}

/* 0, or errno of the last address tried. */
static int try_addresses(const struct addrinfo *found) {
  int error = ECONNREFUSED;
  for (const struct addrinfo *a = found; a != NULL; a = a->ai_next) {
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0) continue;
    struct timeval wait = {.tv_sec = PROBE_S};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    error = connect(fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    close(fd);
    if (error == 0) return 0;
  }
  return error == EINPROGRESS ? ETIMEDOUT : error;
}

static void probe(const char *host, uint16_t port, const char *paho, char *why, size_t size) {
  char service[8];
  snprintf(service, sizeof service, "%u", (unsigned)port);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
  int rc = getaddrinfo(host, service, &hints, &found);
  if (rc != 0) {
    snprintf(why, size, "the name cannot be resolved (%s): check name and DNS", gai_strerror(rc));
    return;
  }
  int error = try_addresses(found);
  freeaddrinfo(found);
  if (error != 0)
    snprintf(why, size, "no TCP connection (%s): check address, port and firewall",
             strerrordesc_np(error));
  else
    snprintf(why, size,
             "%s, though there is a TCP connection: the broker's certificate is for another name "
             "than %.64s, "
             "or it does not accept ours, or it does not speak TLS here",
             paho, host);
}

void source_mqtt_tls_explain(const char *host, uint16_t port, const char *paho, const char *tls,
                             char *why, size_t why_size) {
  if (strstr(tls, "certificate verify failed") != NULL)
    snprintf(why, why_size,
             "%s: the broker's certificate is not signed by the CA given, or not valid now", tls);
  else if (strstr(tls, "wrong version number") != NULL)
    snprintf(why, why_size, "%s: the broker does not speak TLS on this port", tls);
  else if (tls[0] != '\0')
    snprintf(why, why_size, "%s: %s", paho, tls);
  else
    probe(host, port, paho, why, why_size);
}
