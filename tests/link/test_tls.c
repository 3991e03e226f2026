/* SPDX-License-Identifier: Apache-2.0 */
/* test_tls.c - the TLS layer by itself: by which clock certificates are judged, how long a session
 * lives, streams that block, credentials that do not fit. test_tls_matrix.c has servers good and
 * bad, test_tls_clock.c the clock seen by whole links. */
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
#include "tls_servers.h"

static char certs[BROKER_PATH_MAX];

static int group_setup(void **state) {
  (void)state;
  broker_certs(certs, "--device", "dev-1", NULL);
  char log[BROKER_PATH_MAX + 16];
  snprintf(log, sizeof log, "%s/bad.log", certs);
  const char *arguments[] = {HTEL_TEST_SOURCE "/tests/link/link_certs.sh", certs, NULL};
  return process_run(log, arguments);
}

static int group_teardown(void **state) {
  (void)state;
  directory_remove(certs);
  return 0;
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

static int identity_load_floor(htel_tls_identity *identity, const char *cert, const char *key,
                               const char *crl, int64_t floor_ms) {
  char *texts[4] = {file_read("ca.crt"), file_read(cert), file_read(key)};
  texts[3] = crl != NULL ? file_read(crl) : NULL;
  htel_tls_config config = {.host = "localhost",
                            .ca_pem = texts[0],
                            .cert_pem = texts[1],
                            .key_pem = texts[2],
                            .crl_pem = texts[3],
                            .utc = clock_utc,
                            .utc_floor_ms = floor_ms};
  int rc = htel_tls_identity_load(identity, &config);
  for (size_t i = 0; i < 4; i++) {
    htel_pem_free(texts[i]);
  }
  return rc;
}

static int identity_load(htel_tls_identity *identity, const char *cert, const char *key) {
  return identity_load_floor(identity, cert, key, NULL, 0);
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

/* A handshake with a server that has the certificate `cert`: its error. After an error nothing can
 * be written. */
static int judge(htel_tls_identity *identity, const char *cert) {
  tls_server server;
  tls_server_start(&server, certs, &(tls_server_spec){.kind = TLS_S_SERVER, .cert = cert});
  htel_socket sock = HTEL_SOCKET_NONE;
  socket_open(&sock, server.port);
  htel_tls tls;
  int ready = htel_tls_ready(identity);
  int rc = htel_tls_start(&tls, identity, htel_socket_stream(&sock));
  assert_int_equal(rc, ready);
  rc = rc != 0 ? rc : handshake(&tls);
  if (rc != 0) {
    assert_int_equal(htel_tls_write(&tls, (const uint8_t *)"x", 1), rc);
  }
  htel_tls_free(&tls);
  htel_socket_close(&sock);
  tls_server_stop(&server);
  return rc;
}

#define Y2001_MS 1000000000000
#define Y2096_MS 4000000000000
#define DAY_MS INT64_C(86400000)

static int64_t real_ms(void) {
  return (int64_t)time(NULL) * 1000;
}

static void test_clock_decides(void **state) {
  (void)state;
  static const struct {
    int64_t utc_ms;
    int error;
  } cases[] = {
      {0, HTEL_E_TLS_NO_TIME}, {Y2001_MS, HTEL_E_TLS_NOT_YET}, {Y2096_MS, HTEL_E_TLS_EXPIRED}};
  htel_tls_identity identity;
  assert_int_equal(identity_load(&identity, "dev-1.crt", "dev-1.key"), 0);
  for (size_t i = 0; i < 3; i++) {
    clock_ms = cases[i].utc_ms;
    assert_string_equal(htel_errname(judge(&identity, "broker")), htel_errname(cases[i].error));
  }
  clock_ms = real_ms();
  assert_int_equal(judge(&identity, "broker"), 0);
  htel_tls_identity_free(&identity);
}

/* The floor stands in for the clock while that shows less, and never for one that shows more. */
static void test_floor_stands_in_for_a_clock(void **state) {
  (void)state;
  const int64_t now = real_ms();
  const struct {
    int64_t clock_ms, floor_ms;
    const char *cert;
    int error;
  } cases[] = {
      {0, now, "broker", 0},
      {0, now - 3650 * DAY_MS, "broker", 0}, /* issued since: not judged */
      {0, now - 3650 * DAY_MS, "future", 0},
      {0, now, "expired", HTEL_E_TLS_EXPIRED},
      {0, now, "under_expired", HTEL_E_TLS_CA_EXPIRED},
      {0, Y2001_MS, "expired", 0}, /* that is what a floor cannot see */
      {0, Y2096_MS, "broker", HTEL_E_TLS_EXPIRED},
      {0, now, "othername", HTEL_E_TLS_NAME}, /* all else is as ever */
      {0, now, "otherca", HTEL_E_TLS_CA},
      {Y2001_MS, now, "broker", 0}, /* a clock that cannot be right */
      {Y2001_MS, now, "expired", HTEL_E_TLS_EXPIRED},
      {Y2096_MS, now, "broker", HTEL_E_TLS_EXPIRED}, /* the clock is set */
      {now, now - 3650 * DAY_MS, "future", HTEL_E_TLS_NOT_YET},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    htel_tls_identity identity;
    assert_int_equal(
        identity_load_floor(&identity, "dev-1.crt", "dev-1.key", NULL, cases[i].floor_ms), 0);
    clock_ms = cases[i].clock_ms;
    assert_string_equal(htel_errname(judge(&identity, cases[i].cert)),
                        htel_errname(cases[i].error));
    htel_tls_identity_free(&identity);
  }
}

static void test_floor_judges_revocation_lists_too(void **state) {
  (void)state;
  static const struct {
    const char *crl, *cert;
    int error;
  } cases[] = {{"crl.pem", "broker", 0},
               {"crl.pem", "revoked", HTEL_E_TLS_REVOKED},
               {"crl-future.pem", "broker", 0},
               {"crl-old.pem", "broker", HTEL_E_TLS_CRL}};
  clock_ms = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    htel_tls_identity identity;
    assert_int_equal(
        identity_load_floor(&identity, "dev-1.crt", "dev-1.key", cases[i].crl, real_ms()), 0);
    assert_string_equal(htel_errname(judge(&identity, cases[i].cert)),
                        htel_errname(cases[i].error));
    htel_tls_identity_free(&identity);
  }
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
  int64_t start = clock_ms = real_ms();
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

/* Without a clock nobody can say how old a session is: none is kept, and none is used. */
static void test_floor_keeps_no_session(void **state) {
  (void)state;
  broker mosquitto;
  broker_start(&mosquitto, certs, "");
  htel_tls_identity identity;
  const int64_t now = real_ms();
  assert_int_equal(identity_load_floor(&identity, "dev-1.crt", "dev-1.key", NULL, now), 0);
  clock_ms = 0;
  assert_false(visit(&identity, mosquitto.port, false));
  assert_false(visit(&identity, mosquitto.port, false));
  clock_ms = now;
  assert_false(visit(&identity, mosquitto.port, false)); /* the certificate is looked at again */
  assert_true(visit(&identity, mosquitto.port, false));
  clock_ms = 0;
  assert_false(visit(&identity, mosquitto.port, false)); /* the clock was lost: as at first */
  clock_ms = now;
  assert_false(visit(&identity, mosquitto.port, false));
  htel_tls_identity_free(&identity);
  broker_stop(&mosquitto);
}

/* OpenSSL keeps a session by its id only when the connection ended well. */
static bool resumed_by_id(htel_tls_identity *identity, uint16_t port) {
  htel_socket sock = HTEL_SOCKET_NONE;
  socket_open(&sock, port);
  htel_tls tls;
  assert_int_equal(htel_tls_start(&tls, identity, htel_socket_stream(&sock)), 0);
  assert_int_equal(handshake(&tls), 0);
  assert_int_equal(htel_tls_write(&tls, (const uint8_t *)"x", 1), 1);
  assert_int_equal(htel_tls_close_notify(&tls), 0);
  uint8_t byte;
  for (uint64_t until = now_ms() + 5000; htel_tls_read(&tls, &byte, 1) == 0 && now_ms() < until;) {
    sleep_ms(1);
  }
  bool resumed = htel_tls_resumed(&tls);
  htel_tls_free(&tls);
  htel_socket_close(&sock);
  return resumed;
}

static void test_session_is_resumed_by_its_id(void **state) {
  (void)state;
  static const char *const memories[] = {NULL, "-no_cache"};
  clock_ms = real_ms();
  for (size_t i = 0; i < 2; i++) {
    tls_server server;
    tls_server_start(&server, certs,
                     &(tls_server_spec){.kind = TLS_S_SERVER,
                                        .cert = "broker",
                                        .options = {"-tls1_2", "-no_ticket", memories[i]}});
    htel_tls_identity identity;
    assert_int_equal(identity_load(&identity, "dev-1.crt", "dev-1.key"), 0);
    assert_false(resumed_by_id(&identity, server.port));
    assert_int_equal(resumed_by_id(&identity, server.port), memories[i] == NULL);
    htel_tls_identity_free(&identity);
    tls_server_stop(&server);
  }
}

static void test_stream_that_blocks_and_fragments(void **state) {
  (void)state;
  broker mosquitto;
  broker_start(&mosquitto, certs, "");
  htel_tls_identity identity;
  clock_ms = real_ms();
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
      cmocka_unit_test(test_no_server_and_no_such_host),
      cmocka_unit_test(test_clock_decides),
      cmocka_unit_test(test_floor_stands_in_for_a_clock),
      cmocka_unit_test(test_floor_judges_revocation_lists_too),
      cmocka_unit_test(test_floor_keeps_no_session),
      cmocka_unit_test(test_session_is_resumed_for_a_day_at_most),
      cmocka_unit_test(test_session_is_resumed_by_its_id),
      cmocka_unit_test(test_stream_that_blocks_and_fragments),
      cmocka_unit_test(test_credentials_that_do_not_fit),
      cmocka_unit_test(test_pem_files_are_bounded),
  };
  return cmocka_run_group_tests_name("tls", tests, group_setup, group_teardown);
}
