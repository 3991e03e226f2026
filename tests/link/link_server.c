/* SPDX-License-Identifier: Apache-2.0 */
/* link_server.c - see link_server.h. */
#include "link_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include <cmocka.h>

#define ROUND_MS 20

/* ---- Without TLS ---------------------------------------------------------------------------- */

/* Waits for bytes: how many came, 0 when the connection or the server has ended. */
static size_t plain_read(link_server *self, int fd, uint8_t *buf, size_t size) {
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  while (!atomic_load(&self->stop)) {
    if (poll(&wait, 1, ROUND_MS) > 0) {
      ssize_t n = recv(fd, buf, size, 0);
      return n > 0 ? (size_t)n : 0;
    }
  }
  return 0;
}

static void plain_serve(link_server *self, int fd) {
  const server_script *script = &self->script;
  const char *text = script->answer != NULL ? script->answer : "HTTP/1.1 400 Bad Request\r\n\r\n";
  size_t text_size = script->answer_size != 0 ? script->answer_size : strlen(text);
  static const uint8_t half[] = {22, 3, 3, 0, 90, 2, 0, 0, 86, 3, 3};
  uint8_t buf[2048];
  size_t n;
  while ((n = plain_read(self, fd, buf, sizeof buf)) > 0) {
    atomic_fetch_add(&self->application_bytes, (unsigned)n);
    if (script->kind == SERVER_PLAIN) {
      send(fd, text, text_size, MSG_NOSIGNAL);
    } else if (script->kind == SERVER_MIDWAY) {
      send(fd, half, sizeof half, MSG_NOSIGNAL);
      return;
    } else if (script->kind == SERVER_CLOSES) {
      return;
    }
  }
}

/* ---- With TLS ---------------------------------------------------------------------------------
 */

typedef struct tls_side {
  mbedtls_ssl_context ssl;
  mbedtls_ssl_config config;
  mbedtls_x509_crt cert;
  mbedtls_pk_context key;
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
  const char *alpn[2];
  link_server *server;
  int fd;
  bool struck;         /* the script's fault has come */
  uint8_t body[70000]; /* of a packet */
} tls_side;

/* Until the client has gone, or the server is to end. */
static void side_discard(tls_side *side) {
  uint8_t ignored[512];
  while (plain_read(side->server, side->fd, ignored, sizeof ignored) > 0) {
  }
}

static bool client_gone(const tls_side *side) {
  struct pollfd wait = {.fd = side->fd, .events = POLLRDHUP};
  return atomic_load(&side->server->stop) || poll(&wait, 1, 0) > 0;
}

static void side_drip(tls_side *side, const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size && !client_gone(side); i++) {
    send(side->fd, bytes + i, 1, MSG_NOSIGNAL);
    sleep_ms(100);
  }
}

/* Many in a write: the client must have no time to find nothing there. */
static void side_flood(tls_side *side) {
  static const uint8_t warning[] = {21, 3, 3, 0, 2, 1, 90};
  uint8_t *bytes = side->body;
  size_t size = sizeof side->body / sizeof warning * sizeof warning;
  for (size_t i = 0; i < size; i++) {
    bytes[i] = warning[i % sizeof warning];
  }
  while (!client_gone(side) && send(side->fd, bytes, size, MSG_NOSIGNAL) > 0) {
  }
}

/* Does what the script says in the place of a handshake message, which is a record by itself. */
static void side_strike(tls_side *side, const unsigned char *record, size_t size) {
  static const uint8_t alert[] = {21, 3, 3, 0, 2, 2, 80};
  static const uint8_t nonsense[] = {22, 3, 3, 0, 4, 99, 0, 0, 0};
  static const uint8_t garbage[] = "neither TLS nor anything else";
  static const struct linger reset = {.l_onoff = 1};
  switch (side->server->script.fault) {
    case FAULT_RESET:
      setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      break; /* by closing it */
    case FAULT_SILENCE: side_discard(side); break;
    case FAULT_GARBAGE:
      send(side->fd, garbage, sizeof garbage, MSG_NOSIGNAL);
      side_discard(side);
      break;
    case FAULT_NONSENSE:
      send(side->fd, nonsense, sizeof nonsense, MSG_NOSIGNAL);
      side_discard(side);
      break;
    case FAULT_TRUNCATE: send(side->fd, record, size / 2, MSG_NOSIGNAL); break;
    case FAULT_ALERT:
      send(side->fd, alert, sizeof alert, MSG_NOSIGNAL);
      side_discard(side);
      break;
    case FAULT_DRIP: side_drip(side, record, size); break;
    case FAULT_FLOOD: side_flood(side); break;
    default: break;
  }
}

static bool strikes(const tls_side *side, const unsigned char *record, size_t size) {
  const server_script *script = &side->server->script;
  int type = record[0] == 20 ? AT_CHANGE_CIPHER : record[0] == 22 && size > 5 ? record[5] : -1;
  return script->fault != FAULT_NONE && !side->struck && type == script->fault_at;
}

/* mbedTLS sends each handshake message in one record by one call. */
static int side_send(void *ctx, const unsigned char *buf, size_t size) {
  tls_side *side = ctx;
  if (side->struck && side->server->script.fault != FAULT_FLIP) {
    return MBEDTLS_ERR_SSL_CONN_EOF;
  }
  if (strikes(side, buf, size)) {
    side->struck = true;
    if (side->server->script.fault != FAULT_FLIP || size > sizeof side->body) {
      side_strike(side, buf, size);
      return MBEDTLS_ERR_SSL_CONN_EOF;
    }
    memcpy(side->body, buf, size);
    side->body[size - 1] ^= 1;
    buf = side->body;
  }
  ssize_t n = send(side->fd, buf, size, MSG_NOSIGNAL);
  return n > 0 ? (int)n : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int side_receive(void *ctx, unsigned char *buf, size_t size) {
  tls_side *side = ctx;
  return (int)plain_read(side->server, side->fd, buf, size);
}

static void side_load(tls_side *side) {
  const server_script *script = &side->server->script;
  const char *name = script->cert != NULL ? script->cert : "broker";
  char path[BROKER_PATH_MAX + 64];
  snprintf(path, sizeof path, "%s/%s.crt", script->certs, name);
  int rc = mbedtls_x509_crt_parse_file(&side->cert, path);
  snprintf(path, sizeof path, "%s/%s.key", script->certs, name);
#if MBEDTLS_VERSION_NUMBER < 0x03000000
  rc |= mbedtls_pk_parse_keyfile(&side->key, path, NULL);
#else
  rc |= mbedtls_pk_parse_keyfile(&side->key, path, NULL, mbedtls_ctr_drbg_random, &side->random);
#endif
  if (rc != 0) {
    fprintf(stderr, "link_server: cannot read %s\n", path);
  }
}

static void side_setup(tls_side *side) {
  mbedtls_ssl_init(&side->ssl);
  mbedtls_ssl_config_init(&side->config);
  mbedtls_x509_crt_init(&side->cert);
  mbedtls_pk_init(&side->key);
  mbedtls_entropy_init(&side->entropy);
  mbedtls_ctr_drbg_init(&side->random);
  mbedtls_ctr_drbg_seed(&side->random, mbedtls_entropy_func, &side->entropy, NULL, 0);
  side_load(side);
  mbedtls_ssl_config_defaults(&side->config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                              MBEDTLS_SSL_PRESET_DEFAULT);
  mbedtls_ssl_conf_authmode(&side->config, MBEDTLS_SSL_VERIFY_NONE); /* of the client */
#if MBEDTLS_VERSION_NUMBER >= 0x03020000
  mbedtls_ssl_conf_max_tls_version(&side->config, MBEDTLS_SSL_VERSION_TLS1_2);
#endif
  mbedtls_ssl_conf_rng(&side->config, mbedtls_ctr_drbg_random, &side->random);
  mbedtls_ssl_conf_own_cert(&side->config, &side->cert, &side->key);
#if defined(MBEDTLS_SSL_RENEGOTIATION)
  if (side->server->script.renegotiates) {
    mbedtls_ssl_conf_renegotiation(&side->config, MBEDTLS_SSL_RENEGOTIATION_ENABLED);
    mbedtls_ssl_conf_renegotiation_enforced(&side->config, MBEDTLS_SSL_RENEGOTIATION_NOT_ENFORCED);
  }
#endif
  if (side->server->script.alpn != NULL) {
    side->alpn[0] = side->server->script.alpn;
    mbedtls_ssl_conf_alpn_protocols(&side->config, side->alpn);
  }
  mbedtls_ssl_setup(&side->ssl, &side->config);
  mbedtls_ssl_set_bio(&side->ssl, side, side_send, side_receive, NULL);
}

static void side_free(tls_side *side) {
  mbedtls_ssl_free(&side->ssl);
  mbedtls_ssl_config_free(&side->config);
  mbedtls_x509_crt_free(&side->cert);
  mbedtls_pk_free(&side->key);
  mbedtls_ctr_drbg_free(&side->random);
  mbedtls_entropy_free(&side->entropy);
}

static bool read_exactly(tls_side *side, uint8_t *buf, size_t size) {
  for (size_t done = 0; done < size;) {
    int n = mbedtls_ssl_read(&side->ssl, buf + done, size - done);
    if (n == MBEDTLS_ERR_SSL_WANT_READ) {
      continue; /* the client has refused to renegotiate */
    }
    if (n <= 0) {
      return false;
    }
    done += (size_t)n;
    atomic_fetch_add(&side->server->application_bytes, (unsigned)n);
  }
  return true;
}

/* One MQTT packet: its first byte, with its body (as far as it fits) in `body`; 0 at the end. */
static uint8_t packet_read(tls_side *side, uint8_t *body, size_t room) {
  uint8_t first, digit;
  size_t size = 0;
  if (!read_exactly(side, &first, 1)) {
    return 0;
  }
  for (unsigned shift = 0; shift < 28; shift += 7) {
    if (!read_exactly(side, &digit, 1)) {
      return 0;
    }
    size |= (size_t)(digit & 127) << shift;
    if (digit < 128) {
      break;
    }
  }
  return size <= room && read_exactly(side, body, size) ? first : 0;
}

static void mqtt_serve(tls_side *side) {
  const server_script *script = &side->server->script;
  uint8_t *body = side->body, kind;
  bool mute = script->silent;
  while ((kind = packet_read(side, body, sizeof side->body)) != 0) {
    uint8_t answer[5] = {0};
    size_t size = 0;
    switch (kind >> 4) {
      case 1: /* CONNECT */
        memcpy(answer, (uint8_t[]){0x20, 2, 0, script->connack}, size = 4);
        break;
      case 3: /* PUBLISH */ atomic_fetch_add(&side->server->publishes, 1); break;
      case 8: /* SUBSCRIBE */
        memcpy(answer, (uint8_t[]){0x90, 3, body[0], body[1], script->suback}, size = 5);
        break;
      case 12: /* PINGREQ */ memcpy(answer, (uint8_t[]){0xd0, 0}, size = 2); break;
      default: break;
    }
    if (size > 0 && !mute && mbedtls_ssl_write(&side->ssl, answer, size) <= 0) {
      return;
    }
    if (kind >> 4 == 1 && script->connack != 0) {
      return;
    }
    if (kind >> 4 == 8 && script->nonsense) {
      mbedtls_ssl_write(&side->ssl, (const uint8_t *)"\xf0\xff\xff\xff\xff\xff", 6);
    }
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    if (kind >> 4 == 8 && script->renegotiates) {
      mbedtls_ssl_renegotiate(&side->ssl);
    }
#endif
    mute = mute || (kind >> 4 == 8 && script->mute);
  }
}

static void tls_serve(link_server *self, int fd) {
  tls_side side = {.server = self, .fd = fd};
  side_setup(&side);
  if (mbedtls_ssl_handshake(&side.ssl) == 0) {
    mqtt_serve(&side);
  }
  mbedtls_ssl_close_notify(&side.ssl);
  side_free(&side);
}

static void *server_main(void *arg) {
  link_server *self = arg;
  struct pollfd wait = {.fd = self->listen_fd, .events = POLLIN};
  while (!atomic_load(&self->stop)) {
    if (poll(&wait, 1, ROUND_MS) <= 0) {
      continue;
    }
    int fd = accept4(self->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
      continue;
    }
    atomic_fetch_add(&self->connections, 1);
    if (self->script.kind == SERVER_MQTT) {
      tls_serve(self, fd);
    } else {
      plain_serve(self, fd);
    }
    close(fd);
  }
  return NULL;
}

void server_start(link_server *self, const server_script *script) {
  memset(self, 0, sizeof *self);
  self->script = *script;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  self->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_int_equal(bind(self->listen_fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(self->listen_fd, (struct sockaddr *)&address, &size), 0);
  assert_int_equal(listen(self->listen_fd, 8), 0);
  self->port = ntohs(address.sin_port);
  assert_int_equal(pthread_create(&self->thread, NULL, server_main, self), 0);
}

void server_stop(link_server *self) {
  atomic_store(&self->stop, true);
  pthread_join(self->thread, NULL);
  close(self->listen_fd);
}
