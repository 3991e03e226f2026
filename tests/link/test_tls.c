/* SPDX-License-Identifier: Apache-2.0 */
/* test_tls.c - whom the link refuses to speak to, with which error, and that nothing but a
 * handshake was said.
 *
 * Servers are OpenSSL's s_server and mosquitto, with a proxy before them that counts the client's
 * TLS records: a refused server sees no application data and no Finished (which in TLS 1.2 follows
 * a change of cipher). */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "htel_socket.h"
#include "htel_tls.h"
#include "link_client.h"
#include "link_proxy.h"
#include "link_server.h"

#define S_SERVER_OPTIONS_MAX 8

static char certs[BROKER_PATH_MAX];

static int group_setup(void **state) {
  (void)state;
  broker_certs(certs, "--device", "dev-1", NULL);
  char log[BROKER_PATH_MAX + 16];
  snprintf(log, sizeof log, "%s/bad.log", certs);
  const char *arguments[] = {HTEL_TEST_SOURCE "/tests/link/link_bad_certs.sh", certs, NULL};
  return process_run(log, arguments);
}

static int group_teardown(void **state) {
  (void)state;
  directory_remove(certs);
  return 0;
}

/* ---- OpenSSL's server --------------------------------------------------------------------------
 */

typedef struct s_server {
  uint16_t port;
  pid_t pid;
  char log[BROKER_PATH_MAX + 32]; /* what it prints, and what clients said in plain text */
} s_server;

static void s_server_start(s_server *self, const char *cert, const char *const options[]) {
  char port[8], crt[BROKER_PATH_MAX + 64], key[BROKER_PATH_MAX + 64];
  self->port = port_free();
  snprintf(port, sizeof port, "%u", (unsigned)self->port);
  snprintf(crt, sizeof crt, "%s/%s.crt", certs, cert);
  snprintf(key, sizeof key, "%s/%s.key", certs, cert);
  snprintf(self->log, sizeof self->log, "%s/s_server-%s.log", certs, port);
  const char *arguments[8 + S_SERVER_OPTIONS_MAX + 1] = {"openssl", "s_server", "-accept", port,
                                                         "-cert",   crt,        "-key",    key};
  for (size_t i = 0; options != NULL && options[i] != NULL; i++) {
    assert_true(i < S_SERVER_OPTIONS_MAX);
    arguments[8 + i] = options[i];
  }
  self->pid = process_start(self->log, arguments);
  assert_true(port_wait(self->port));
}

static void s_server_stop(s_server *self) {
  process_end(self->pid, SIGKILL);
}

static void assert_nothing_said(const proxy_counts *counts) {
  assert_true(counts->connections >= 1);
  assert_int_equal(counts->records_up[TLS_APPLICATION], 0);
  assert_int_equal(counts->records_up[TLS_CHANGE_CIPHER], 0);
}

/* ---- Each reason its own error
 * --------------------------------------------------------------------- */

typedef struct refusal {
  const char *what;
  int error;
  const char *cert; /* the server's */
  const char *ca, *crl, *alpn;
  const char *options[S_SERVER_OPTIONS_MAX];
} refusal;

static const refusal refusals[] = {
    {"signed by another CA of the same name", HTEL_E_TLS_CA, "otherca", .ca = NULL},
    {"we trust another CA", HTEL_E_TLS_CA, "broker", .ca = "otherca-ca.crt"},
    {"self-signed", HTEL_E_TLS_CA, "selfsigned", .ca = NULL},
    {"expired", HTEL_E_TLS_EXPIRED, "expired", .ca = NULL},
    {"not yet valid", HTEL_E_TLS_NOT_YET, "future", .ca = NULL},
    {"another host's", HTEL_E_TLS_NAME, "othername", .ca = NULL},
    {"for clients only", HTEL_E_TLS_USAGE, "usage", .ca = NULL},
    {"revoked", HTEL_E_TLS_REVOKED, "revoked", .crl = "crl.pem"},
    {"revocation list out of date", HTEL_E_TLS_CREDENTIALS, "broker", .crl = "crl-old.pem"},
    {"RSA key of 1024 bits", HTEL_E_TLS_WEAK, "weakkey",
     .options = {"-cipher", "DEFAULT:@SECLEVEL=0", "-tls1_2"}},
    {"signed with SHA-1", HTEL_E_TLS_WEAK, "weakhash",
     .options = {"-cipher", "DEFAULT:@SECLEVEL=0", "-tls1_2"}},
    {"TLS 1.0 only", HTEL_E_TLS_VERSION, "broker",
     .options = {"-tls1", "-cipher", "ALL:@SECLEVEL=0"}},
    {"TLS 1.1 only", HTEL_E_TLS_VERSION, "broker",
     .options = {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}},
    {"CBC only", HTEL_E_TLS, "broker",
     .options = {"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA"}},
    {"RSA key exchange only", HTEL_E_TLS, "weakkey",
     .options = {"-tls1_2", "-cipher", "AES128-GCM-SHA256:@SECLEVEL=0"}},
    {"another ALPN protocol", HTEL_E_TLS_ALPN, "broker", .alpn = "mqtt",
     .options = {"-alpn", "h2"}},
};

static void test_bad_server_is_refused_with_its_own_error(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
    const refusal *it = &refusals[i];
    s_server server;
    link_proxy proxy;
    s_server_start(&server, it->cert, it->options);
    proxy_start(&proxy, server.port);
    link_client client;
    link_client_new(&client, &(link_client_options){.certs = certs,
                                                    .id = "dev-1",
                                                    .ca = it->ca,
                                                    .crl = it->crl,
                                                    .alpn = it->alpn,
                                                    .port = proxy.port});
    int error = link_client_fails(&client);
    print_message("%-38s %s\n", it->what, htel_errname(error));
    assert_string_equal(htel_errname(error), htel_errname(it->error));
    proxy_counts counts = proxy_counts_take(&proxy);
    assert_nothing_said(&counts);
    assert_false(file_contains(server.log, "MQTT"));
    assert_false(file_contains(server.log, "dev-1"));
    link_client_free(&client);
    proxy_stop(&proxy);
    s_server_stop(&server);
  }
}

static void test_server_that_is_not_tls(void **state) {
  (void)state;
  static const struct {
    server_kind kind;
    int error;
  } cases[] = {{SERVER_PLAIN, HTEL_E_TLS_NOT_TLS},
               {SERVER_CLOSES, HTEL_E_TLS_NOT_TLS},
               {SERVER_MIDWAY, HTEL_E_LINK_LOST},
               {SERVER_SILENT, HTEL_E_LINK_SILENT}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    link_server server;
    link_proxy proxy;
    server_start(&server, &(server_script){.kind = cases[i].kind});
    proxy_start(&proxy, server.port);
    link_client client;
    link_client_new(
        &client,
        &(link_client_options){
            .certs = certs, .id = "dev-1", .port = proxy.port, .connect_timeout_ms = 1000});
    uint64_t since = now_ms();
    int error = link_client_fails(&client);
    print_message("%d: %s\n", (int)cases[i].kind, htel_errname(error));
    assert_int_equal(error, cases[i].error);
    assert_true(now_ms() - since < 3000);
    proxy_counts counts = proxy_counts_take(&proxy);
    assert_nothing_said(&counts);
    assert_int_equal(counts.records_up[TLS_HANDSHAKE], 1); /* the hello */
    link_client_free(&client);
    proxy_stop(&proxy);
    server_stop(&server);
  }
}

static void test_no_server_and_no_such_host(void **state) {
  (void)state;
  link_client client;
  link_client_options options = {.certs = certs, .id = "dev-1", .port = port_free()};
  link_client_new(&client, &options);
  assert_int_equal(link_client_fails(&client), HTEL_E_CONNECT);
  link_client_free(&client);
  options.host = "no-such-host.invalid";
  link_client_new(&client, &options);
  assert_int_equal(link_client_fails(&client), HTEL_E_RESOLVE);
  link_client_free(&client);
}

static void test_broker_refuses_our_certificate(void **state) {
  (void)state;
  static const char *const ours[] = {"stranger", ""};
  broker mosquitto;
  broker_start(&mosquitto, certs, "");
  for (size_t i = 0; i < 2; i++) {
    link_client client;
    link_client_new(&client,
                    &(link_client_options){
                        .certs = certs, .id = "dev-1", .cert = ours[i], .port = mosquitto.port});
    assert_string_equal(htel_errname(link_client_fails(&client)), "HTEL_E_TLS_CLIENT_CERT");
    link_client_free(&client);
  }
  broker_stop(&mosquitto);
}

static void test_alpn_is_agreed_on_or_refused(void **state) {
  (void)state;
  static const char *const known[] = {"x-amzn-mqtt-ca", NULL};
  for (size_t i = 0; i < 2; i++) {
    link_server server;
    server_start(&server, &(server_script){
                              .kind = SERVER_MQTT, .certs = certs, .alpn = known[i], .suback = 1});
    link_client client;
    link_client_new(
        &client, &(link_client_options){
                     .certs = certs, .id = "dev-1", .alpn = "x-amzn-mqtt-ca", .port = server.port});
    if (known[i] != NULL) {
      link_client_up(&client);
      link_client_close(&client);
    } else { /* a server without ALPN might be any service with a good certificate */
      assert_int_equal(link_client_fails(&client), HTEL_E_TLS_ALPN);
      assert_int_equal(atomic_load(&server.application_bytes), 0);
    }
    link_client_free(&client);
    server_stop(&server);
  }
}

/* ---- The TLS layer by itself
 * --------------------------------------------------------------------- */

static int64_t clock_ms; /* 0: not set */

static int clock_utc(void *ctx, int64_t *utc_ms) {
  (void)ctx;
  *utc_ms = clock_ms;
  return clock_ms != 0 ? 0 : HTEL_E_AGAIN;
}

static char *file_read(const char *name) {
  char path[BROKER_PATH_MAX + 64], *text;
  snprintf(path, sizeof path, "%s/%s", certs, name);
  assert_int_equal(htel_pem_load(path, &text), 0);
  return text;
}

static int identity_load(htel_tls_identity *identity, const char *cert, const char *key) {
  char *texts[3] = {file_read("ca.crt"), file_read(cert), file_read(key)};
  htel_tls_config config = {.host = "localhost",
                            .ca_pem = texts[0],
                            .cert_pem = texts[1],
                            .key_pem = texts[2],
                            .utc = clock_utc};
  int rc = htel_tls_identity_load(identity, &config);
  for (size_t i = 0; i < 3; i++) {
    htel_pem_free(texts[i]);
  }
  return rc;
}

static void socket_open(htel_socket *sock, uint16_t port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
  assert_int_equal(htel_socket_connect(sock, (struct sockaddr *)&address, sizeof address), 0);
  int rc;
  while ((rc = htel_socket_finish(sock)) == HTEL_E_AGAIN) {
    sleep_ms(1);
  }
  assert_int_equal(rc, 0);
}

/* A stream that would block nine times of ten and moves a byte at a time otherwise. */
typedef struct slow_stream {
  htel_stream inner;
  unsigned calls;
} slow_stream;

static int slow_read(void *ctx, uint8_t *buf, size_t size) {
  slow_stream *slow = ctx;
  return ++slow->calls % 10 != 0 ? 0 : slow->inner.read(slow->inner.ctx, buf, size > 0 ? 1 : 0);
}

static int slow_write(void *ctx, const uint8_t *buf, size_t size) {
  slow_stream *slow = ctx;
  return ++slow->calls % 10 != 0 ? 0 : slow->inner.write(slow->inner.ctx, buf, size > 0 ? 1 : 0);
}

static int handshake(htel_tls *tls) {
  int rc;
  uint64_t until = now_ms() + 10000;
  while ((rc = htel_tls_handshake(tls)) == HTEL_E_AGAIN && now_ms() < until) {
  }
  return rc;
}

static void test_clock_decides(void **state) {
  (void)state;
  static const struct {
    int64_t utc_ms;
    int error;
  } cases[] = {{0, HTEL_E_TLS_NO_TIME},
               {1000000000000, HTEL_E_TLS_NOT_YET},  /* 2001 */
               {4000000000000, HTEL_E_TLS_EXPIRED}}; /* 2096 */
  s_server server;
  s_server_start(&server, "broker", NULL);
  htel_tls_identity identity;
  assert_int_equal(identity_load(&identity, "dev-1.crt", "dev-1.key"), 0);
  for (size_t i = 0; i < 3; i++) {
    clock_ms = cases[i].utc_ms;
    htel_socket sock = HTEL_SOCKET_NONE;
    socket_open(&sock, server.port);
    htel_tls tls;
    int rc = htel_tls_start(&tls, &identity, htel_socket_stream(&sock));
    rc = rc != 0 ? rc : handshake(&tls);
    assert_string_equal(htel_errname(rc), htel_errname(cases[i].error));
    assert_int_equal(htel_tls_write(&tls, (const uint8_t *)"x", 1), cases[i].error);
    htel_tls_free(&tls);
    htel_socket_close(&sock);
  }
  htel_tls_identity_free(&identity);
  s_server_stop(&server);
}

/* One handshake and a few bytes each way; whether it was resumed. */
static bool visit(htel_tls_identity *identity, uint16_t port, bool slowly) {
  htel_socket sock = HTEL_SOCKET_NONE;
  socket_open(&sock, port);
  slow_stream slow = {.inner = htel_socket_stream(&sock)};
  htel_stream slow_face = {.ctx = &slow, .read = slow_read, .write = slow_write};
  htel_tls tls;
  assert_int_equal(htel_tls_start(&tls, identity, slowly ? slow_face : slow.inner), 0);
  assert_int_equal(htel_tls_write(&tls, (const uint8_t *)"early", 5), HTEL_E_CLOSED);
  assert_int_equal(handshake(&tls), 0);
  static const uint8_t connect[] = {0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 9, 0, 2, 'i', 'd'};
  for (size_t done = 0; done < sizeof connect;) {
    int n = htel_tls_write(&tls, connect + done, sizeof connect - done);
    assert_true(n >= 0);
    done += (size_t)n;
  }
  uint8_t connack[4];
  uint64_t until = now_ms() + 10000;
  for (size_t done = 0; done < sizeof connack && now_ms() < until;) {
    int n = htel_tls_read(&tls, connack + done, sizeof connack - done);
    assert_true(n >= 0);
    done += (size_t)n;
  }
  assert_memory_equal(connack, "\x20\x02\x00\x00", 4);
  bool resumed = htel_tls_resumed(&tls);
  htel_tls_close_notify(&tls);
  htel_tls_free(&tls);
  htel_socket_close(&sock);
  return resumed;
}

static void test_session_is_resumed_for_a_day_at_most(void **state) {
  (void)state;
  broker mosquitto;
  broker_start(&mosquitto, certs, "");
  htel_tls_identity identity;
  assert_int_equal(identity_load(&identity, "dev-1.crt", "dev-1.key"), 0);
  int64_t start = clock_ms = (int64_t)time(NULL) * 1000;
  assert_false(visit(&identity, mosquitto.port, false));
  assert_true(visit(&identity, mosquitto.port, false));
  clock_ms = start + 86399 * (int64_t)1000;
  assert_true(visit(&identity, mosquitto.port, false));
  clock_ms = start + 86400 * (int64_t)1000; /* counted from the last look at the certificate */
  assert_false(visit(&identity, mosquitto.port, false));
  assert_true(visit(&identity, mosquitto.port, false));
  clock_ms = start; /* a clock that went back */
  assert_false(visit(&identity, mosquitto.port, false));
  /* Nor beyond the certificate's end, here in 30 days: then there is a full handshake, which fails.
   */
  identity.session_until_s = start / 1000;
  assert_false(visit(&identity, mosquitto.port, false));
  htel_tls_identity_free(&identity);
  broker_stop(&mosquitto);
}

static void test_stream_that_blocks_and_fragments(void **state) {
  (void)state;
  broker mosquitto;
  broker_start(&mosquitto, certs, "");
  htel_tls_identity identity;
  clock_ms = (int64_t)time(NULL) * 1000;
  assert_int_equal(identity_load(&identity, "dev-1.crt", "dev-1.key"), 0);
  assert_false(visit(&identity, mosquitto.port, true));
  assert_true(visit(&identity, mosquitto.port, true));
  htel_tls_identity_free(&identity);
  broker_stop(&mosquitto);
}

static void test_credentials_that_do_not_fit(void **state) {
  (void)state;
  htel_tls_identity identity;
  assert_int_equal(identity_load(&identity, "dev-1.crt", "ingest.key"), HTEL_E_TLS_CREDENTIALS);
  assert_int_equal(identity_load(&identity, "dev-1.key", "dev-1.key"), HTEL_E_TLS_CREDENTIALS);
  assert_int_equal(identity_load(&identity, "dev-1.crt", "dev-1.crt"), HTEL_E_TLS_CREDENTIALS);
  char *ca = file_read("ca.crt");
  htel_tls_config config = {.host = NULL, .ca_pem = ca};
  assert_int_equal(htel_tls_identity_load(&identity, &config), HTEL_E_ARGUMENT);
  config.host = "localhost";
  config.ca_pem = NULL;
  assert_int_equal(htel_tls_identity_load(&identity, &config), HTEL_E_ARGUMENT);
  config.ca_pem = "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n";
  assert_int_equal(htel_tls_identity_load(&identity, &config), HTEL_E_TLS_CREDENTIALS);
  htel_pem_free(ca);
}

static void test_pem_files_are_bounded(void **state) {
  (void)state;
  char path[BROKER_PATH_MAX + 16], *pem = (char *)1;
  snprintf(path, sizeof path, "%s/huge", certs);
  assert_int_equal(htel_pem_load(path, &pem), HTEL_E_TLS_CREDENTIALS); /* not there */
  assert_null(pem);
  FILE *file = fopen(path, "w");
  assert_int_equal(htel_pem_load(path, &pem), HTEL_E_TLS_CREDENTIALS); /* empty */
  for (int i = 0; i < 65537; i++) {
    fputc('x', file);
  }
  fclose(file);
  assert_int_equal(htel_pem_load(path, &pem), HTEL_E_TLS_CREDENTIALS);
  assert_int_equal(htel_pem_load("/dev/zero", &pem), HTEL_E_TLS_CREDENTIALS);
  assert_int_equal(htel_pem_load(certs, &pem), HTEL_E_TLS_CREDENTIALS); /* a directory */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bad_server_is_refused_with_its_own_error),
      cmocka_unit_test(test_server_that_is_not_tls),
      cmocka_unit_test(test_no_server_and_no_such_host),
      cmocka_unit_test(test_broker_refuses_our_certificate),
      cmocka_unit_test(test_alpn_is_agreed_on_or_refused),
      cmocka_unit_test(test_clock_decides),
      cmocka_unit_test(test_session_is_resumed_for_a_day_at_most),
      cmocka_unit_test(test_stream_that_blocks_and_fragments),
      cmocka_unit_test(test_credentials_that_do_not_fit),
      cmocka_unit_test(test_pem_files_are_bounded),
  };
  return cmocka_run_group_tests_name("tls", tests, group_setup, group_teardown);
}
