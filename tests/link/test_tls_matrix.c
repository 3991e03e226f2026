/* SPDX-License-Identifier: Apache-2.0 */
/* test_tls_matrix.c - all the ways in which a TLS handshake goes well or does not, over both links,
 * in one table.
 *
 * Each case has a server of its own, behind a proxy that counts the client's TLS records. A server
 * that is refused has seen no application data, and no ChangeCipherSpec either (after which TLS 1.2
 * sends Finished), unless the fault lies behind that point. Each reason has its own error, and
 * none takes longer than the time that the link was given.
 *
 * ports/mqtt goes first: paho sets SIGPIPE to "ignore", and the other link must not need that. */
#include <dlfcn.h>
#include <netdb.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "htel_tls.h"
#include "link_client.h"
#include "link_proxy.h"
#include "tls_servers.h"

#define TIMEOUT_MS 10000u      /* to connect */
#define SHORT_TIMEOUT_MS 1000u /* where the server is silent, and this is what ends it */
#define LATE_MS 1500u          /* a machine that has other work too */
#define CALL_MS_MAX 500u       /* that one call of the link may take, on such a machine */

static char certs[BROKER_PATH_MAX];

/* Names that end in ".test" are here. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  size_t size = strlen(host);
  bool ours = size > 5 && strcmp(host + size - 5, ".test") == 0;
  return real(ours ? "127.0.0.1" : host, service, hints, found);
}

static int group_setup(void **state) {
  (void)state;
  broker_certs(certs, "--device", "dev-1", NULL);
  char log[BROKER_PATH_MAX + 16];
  snprintf(log, sizeof log, "%s/more.log", certs);
  const char *arguments[] = {HTEL_TEST_SOURCE "/tests/link/link_certs.sh", certs, NULL};
  return process_run(log, arguments);
}

static int group_teardown(void **state) {
  (void)state;
  directory_remove(certs);
  return 0;
}

/* ---- The table ----------------------------------------------------------------------------- */

typedef enum again {
  NOT_AGAIN,
  RESUMED, /* a second connection resumes the first one's session */
  IN_FULL  /* it does not */
} again;

typedef struct tls_case {
  const char *what;
  int error; /* 0: the server gets our CONNECT, or answers it where it speaks MQTT */
  tls_server_spec server;
  const char *host; /* NULL: localhost */
  const char *ca;   /* NULL: ca.crt */
  const char *crl, *alpn;
  const char *ours; /* our certificate: NULL: dev-1, "": none */
  again again;
  bool finished; /* the fault comes after our ChangeCipherSpec */
} tls_case;

#define M(name) .server.kind = TLS_MOSQUITTO, .server.cert = name
#define M_CONF(name, lines) M(name), .server.conf = lines
#define S(name, ...) \
  .server.kind = TLS_S_SERVER, .server.cert = name, .server.options = {__VA_ARGS__}
#define SCRIPT(name)                                                                 \
  .server.kind = TLS_SCRIPT, .server.cert = name, .server.script.kind = SERVER_MQTT, \
  .server.script.suback = 1
#define FAULT(at_, fault_) \
  SCRIPT("broker"), .server.script.fault_at = AT_##at_, .server.script.fault = FAULT_##fault_
#define PLAIN(text)                                                                            \
  .server.kind = TLS_SCRIPT, .server.script.kind = SERVER_PLAIN, .server.script.answer = text, \
  .server.script.answer_size = sizeof text - 1
#define TLS12 "-tls1_2"
#define WEAK "-tls1_2", "-cipher", "DEFAULT:@SECLEVEL=0"

/* What an mbedTLS that knows TLS 1.3, or joins handshake messages, does otherwise. */
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
#define HAVE_TLS13 1 /* which hides our Finished in a record of application data */
#else
#define HAVE_TLS13 0
#endif
#define ONLY_TLS13 (HAVE_TLS13 ? 0 : HTEL_E_TLS_VERSION)
#define CUT_HANDSHAKE (MBEDTLS_VERSION_NUMBER < 0x03060300 ? HTEL_E_TLS_TOO_LARGE : 0)

static const tls_case cases[] = {
    /* Good: certificates. */
    {"the plainest", 0, M("broker")},
    {"one certificate between", 0, M("chain1")},
    {"two between", 0, M("chain2")},
    {"the root is sent as well", 0, M("chain_root")},
    {"wildcard name", 0, M("wild"), .host = "a.wild.test"},
    {"one of several names", 0, M("sans")},
    {"the last of several names", 0, M("sans"), .host = "two.test"},
    {"ECDSA P-384", 0, M("p384")},
    {"RSA 2048 below an ECDSA CA", 0, M("rsa2048")},
    {"RSA 4096", 0, M("rsa4096")},
    {"ECDSA below an RSA CA", 0, M("mixed"), .ca = "rsa-ca.crt"},
    {"all RSA", 0, M("rsa_rsa"), .ca = "rsa-ca.crt"},
    {"a large certificate", 0, M("large")},
    {"self-signed, and configured as its own CA", 0, M("selfsigned"), .ca = "selfsigned.crt"},
    {"revocation list, not on it", 0, M("broker"), .crl = "crl.pem"},
    {"revocation lists of the whole chain", 0, M("chain1"), .crl = "crl-all.pem"},
    /* Good: protocol. */
    {"TLS 1.2 only", 0, M_CONF("broker", "tls_version tlsv1.2")},
    {"TLS 1.3 only", ONLY_TLS13, S("broker", "-tls1_3")},
    {"AES-256-GCM only", 0, S("broker", TLS12, "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384")},
    {"ChaCha20 only", 0, S("broker", TLS12, "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305")},
    {"CCM only", 0, S("broker", TLS12, "-cipher", "ECDHE-ECDSA-AES128-CCM")},
    {"X25519 only", 0, S("broker", TLS12, "-groups", "X25519")},
    {"P-384 only", 0, S("broker", TLS12, "-groups", "P-384")},
    {"records of 1024 bytes at most", 0, S("broker", TLS12, "-max_send_frag", "1024")},
    {"ALPN agreed on", 0, S("broker", "-alpn", "h2,mqtt"), .alpn = "mqtt"},
    {"another certificate for other names", 0,
     S("othername", "-servername", "localhost", "-servername_fatal", "-cert2", "@broker.crt",
       "-key2", "@broker.key")},
    {"our certificate is asked for", 0, S("broker", "-CAfile", "@ca.crt", "-Verify", "1")},
    {"it would be taken, and we have none", 0, S("broker", "-verify", "1"), .ours = ""},
    {"resumption by ticket", 0, M("broker"), .again = RESUMED},
    {"a server that forgets sessions", 0, S("broker", TLS12, "-no_ticket", "-no_cache"),
     .again = IN_FULL},
    {"a server that asks for renegotiation", 0, SCRIPT("broker"),
     .server.script.renegotiates = true},

    /* Bad: time. */
    {"expired", HTEL_E_TLS_EXPIRED, M("expired")},
    {"not valid yet", HTEL_E_TLS_NOT_YET, M("future")},
    {"expired certificate between", HTEL_E_TLS_CA_EXPIRED, M("under_expired")},
    {"expired CA", HTEL_E_TLS_CA_EXPIRED, M("under_old"), .ca = "old-ca.crt"},
    /* Bad: name. */
    {"another host's", HTEL_E_TLS_NAME, M("othername")},
    {"wildcard for one label, not two", HTEL_E_TLS_NAME, M("wild"), .host = "a.b.wild.test"},
    {"wildcard without a label", HTEL_E_TLS_NAME, M("wild"), .host = "wild.test"},
    {"wildcard within a label", HTEL_E_TLS_NAME, M("partwild")},
    {"common name alone, another", HTEL_E_TLS_NAME, M("nosan")},
    {"address instead of a name", HTEL_E_TLS_NAME, M("iponly")},
    {"the server does not know our name for it", HTEL_E_TLS_NAME,
     S("broker", "-servername", "other.test", "-servername_fatal", "-cert2", "@broker.crt", "-key2",
       "@broker.key")},
    /* Bad: who signed it. */
    {"another CA of the same name", HTEL_E_TLS_CA, M("otherca")},
    {"another CA of the same name is ours", HTEL_E_TLS_CA, M("broker"), .ca = "otherca-ca.crt"},
    {"another CA, which is sent too", HTEL_E_TLS_CA, M("strange_root")},
    {"another CA, which is not sent", HTEL_E_TLS_CHAIN, M("strange")},
    {"the certificate between is missing", HTEL_E_TLS_CHAIN, M("truncated")},
    {"self-signed", HTEL_E_TLS_SELF_SIGNED, M("selfsigned")},
    {"signed by one that is no CA", HTEL_E_TLS_NOT_CA, M("no_ca")},
    {"signed by one that may not sign", HTEL_E_TLS_NOT_CA, M("nosign")},
    {"more between than the CA allows", HTEL_E_TLS_NOT_CA, M("path")},
    /* Bad: what for. */
    {"for clients only", HTEL_E_TLS_USAGE, M("usage")},
    {"key that may not sign handshakes", HTEL_E_TLS_USAGE, M("kusage")},
    /* Bad: revocation. */
    {"revoked", HTEL_E_TLS_REVOKED, M("revoked"), .crl = "crl.pem"},
    {"revoked certificate between", HTEL_E_TLS_REVOKED, M("under_revoked"), .crl = "crl-all.pem"},
    {"revocation list out of date", HTEL_E_TLS_CRL, M("broker"), .crl = "crl-old.pem"},
    {"revocation list of the future", HTEL_E_TLS_CRL, M("broker"), .crl = "crl-future.pem"},
    {"revocation list by a CA of that name", HTEL_E_TLS_CRL, M("broker"), .crl = "crl-forged.pem"},
    {"revocation list by another CA", HTEL_E_TLS_CRL, M("broker"), .crl = "crl-strange.pem"},
    {"no revocation list of the CA between", HTEL_E_TLS_CRL, M("chain1"), .crl = "crl.pem"},
    /* Bad: strength. */
    {"signed with MD5", HTEL_E_TLS_HASH, S("md5", WEAK), .ca = "rsa-ca.crt"},
    {"signed with SHA-1", HTEL_E_TLS_HASH, S("weakhash", WEAK)},
    {"SHA-1 between", HTEL_E_TLS_HASH, S("under_hash", WEAK)},
    {"RSA 1024", HTEL_E_TLS_WEAK, S("weakkey", WEAK)},
    {"RSA 1024 between", HTEL_E_TLS_WEAK, S("under_rsa1024", WEAK)},
    {"P-224 between", HTEL_E_TLS_WEAK, S("under_p224", WEAK)},
    {"Ed25519 between, which mbedTLS does not know", HTEL_E_TLS_KIND, S("under_ed25519", WEAK)},
    {"TLS 1.1 only", HTEL_E_TLS_VERSION, S("broker", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")},
    {"TLS 1.0 only", HTEL_E_TLS_VERSION, S("broker", "-tls1", "-cipher", "ALL:@SECLEVEL=0")},
    {"SSL 3.0", HTEL_E_TLS_VERSION,
     PLAIN("\x16\3\0\0\x2a\2\0\0\x26\3\0"
           "01234567890123456789012345678901"
           "\0\0\x2f\0")},
    {"CBC only", HTEL_E_TLS_CIPHER, S("broker", TLS12, "-cipher", "ECDHE-ECDSA-AES128-SHA256")},
    {"RSA key exchange only", HTEL_E_TLS_CIPHER,
     S("rsa2048", TLS12, "-cipher", "AES128-GCM-SHA256")},
    {"P-521 only", HTEL_E_TLS_CIPHER, S("rsa2048", TLS12, "-groups", "P-521")},
    {"certificate and key do not fit", HTEL_E_TLS_SIGNATURE, SCRIPT("mismatch")},
    {"the same with RSA", HTEL_E_TLS_SIGNATURE, SCRIPT("rsa_mismatch")},
    {"a bit of the key exchange turned over", HTEL_E_TLS_SIGNATURE, FAULT(KEY_EXCHANGE, FLIP)},
    {"nine certificates between", HTEL_E_TLS_TOO_LARGE, M("deep")},
    {"handshake in pieces of 512 bytes", CUT_HANDSHAKE,
     S("chain2", TLS12, "-max_send_frag", "512")},
    /* Bad: ALPN. */
    {"another ALPN protocol", HTEL_E_TLS_ALPN, S("broker", "-alpn", "h2"), .alpn = "mqtt"},
    {"no ALPN", HTEL_E_TLS_ALPN, S("broker", TLS12), .alpn = "mqtt", .finished = true},
    /* Bad: ours. The server is good, so it hears our Finished before it refuses. */
    {"we have no certificate", HTEL_E_TLS_NO_CERT, M_CONF("broker", "require_certificate true"),
     .ours = "", .finished = true},
    {"our CA is unknown there", HTEL_E_TLS_CLIENT_CERT,
     M_CONF("broker", "require_certificate true"), .ours = "stranger", .finished = true},
    {"ours has expired", HTEL_E_TLS_CLIENT_EXPIRED, M_CONF("broker", "require_certificate true"),
     .ours = "expired_client", .finished = true},
    {"ours is revoked", HTEL_E_TLS_CLIENT_REVOKED, M_CONF("broker", "crlfile crl.pem"),
     .ours = "revoked_client", .finished = true},
    /* Bad: no TLS at all, or only half of it. */
    {"a broker without TLS", HTEL_E_TLS_CLOSED, M(NULL)},
    {"HTTP", HTEL_E_TLS_NOT_TLS, PLAIN("HTTP/1.1 400 Bad Request\r\n\r\n")},
    {"SSH", HTEL_E_TLS_NOT_TLS, PLAIN("SSH-2.0-OpenSSH_9.2\r\n")},
    {"closed after our hello", HTEL_E_TLS_CLOSED, FAULT(SERVER_HELLO, CLOSE)},
    {"closed after the server's hello", HTEL_E_TLS_CLOSED, FAULT(CERTIFICATE, CLOSE)},
    {"closed after its certificate", HTEL_E_TLS_CLOSED, FAULT(KEY_EXCHANGE, CLOSE)},
    {"closed at the end", HTEL_E_TLS_CLOSED, FAULT(CHANGE_CIPHER, CLOSE), .finished = true},
    {"reset after our hello", HTEL_E_TLS_CLOSED, FAULT(SERVER_HELLO, RESET)},
    {"reset after the server's hello", HTEL_E_TLS_CLOSED, FAULT(CERTIFICATE, RESET)},
    {"reset after its certificate", HTEL_E_TLS_CLOSED, FAULT(KEY_EXCHANGE, RESET)},
    {"record cut off", HTEL_E_TLS_CLOSED, FAULT(CERTIFICATE, TRUNCATE)},
    {"garbage instead of the server's hello", HTEL_E_TLS_NOT_TLS, FAULT(SERVER_HELLO, GARBAGE)},
    {"garbage instead of its certificate", HTEL_E_TLS_GARBLED, FAULT(CERTIFICATE, GARBAGE)},
    {"garbage at the end", HTEL_E_TLS_GARBLED, FAULT(CHANGE_CIPHER, GARBAGE), .finished = true},
    {"a message that there is not", HTEL_E_TLS_GARBLED, FAULT(KEY_EXCHANGE, NONSENSE)},
    {"an alert that says nothing", HTEL_E_TLS, FAULT(CERTIFICATE, ALERT)},
    {"silence after our hello", HTEL_E_LINK_SILENT, FAULT(SERVER_HELLO, SILENCE)},
    {"silence after its certificate", HTEL_E_LINK_SILENT, FAULT(KEY_EXCHANGE, SILENCE)},
    {"silence at the end", HTEL_E_LINK_SILENT, FAULT(CHANGE_CIPHER, SILENCE), .finished = true},
    {"a byte each 100 ms", HTEL_E_LINK_SILENT, FAULT(CERTIFICATE, DRIP)},
    {"warnings without end", HTEL_E_LINK_SILENT, FAULT(CERTIFICATE, FLOOD)},
};

/* ---- One case ------------------------------------------------------------------------------ */

typedef struct scene {
  const tls_case *it;
  tls_server server;
  link_proxy proxy;
  link_client client;
} scene;

static uint32_t timeout_ms(const tls_case *it) {
  return it->error == HTEL_E_LINK_SILENT ? SHORT_TIMEOUT_MS : TIMEOUT_MS;
}

static void scene_set(scene *self, const tls_case *it, bool mqtt) {
  self->it = it;
  tls_server_start(&self->server, certs, &it->server);
  proxy_start(&self->proxy, self->server.port);
  link_client_new(&self->client, &(link_client_options){.certs = certs,
                                                        .id = "dev-1",
                                                        .ca = it->ca,
                                                        .cert = it->ours,
                                                        .crl = it->crl,
                                                        .host = it->host,
                                                        .alpn = it->alpn,
                                                        .port = self->proxy.port,
                                                        .connect_timeout_ms = timeout_ms(it),
                                                        .mqtt = mqtt});
}

static void scene_clear(scene *self) {
  link_client_free(&self->client);
  proxy_stop(&self->proxy);
  tls_server_stop(&self->server);
}

static void handshakes(scene *self, uint32_t *done, uint32_t *resumed) {
  if (self->client.dial != NULL) {
    htel_dial_stats stats = htel_dial_stats_get(self->client.dial);
    *done = stats.handshakes;
    *resumed = stats.resumed;
    return;
  }
  htel_paho_stats stats;
  htel_paho_stats_get(self->client.paho, &stats);
  *done = stats.handshakes;
  *resumed = stats.resumed;
}

/* Up where the server speaks MQTT, else heard. */
static void connect_well(scene *self, const char *heard_as) {
  link_client *client = &self->client;
  uint32_t ups = client->ups + 1, downs = client->downs;
  bool mqtt = self->it->server.kind != TLS_S_SERVER;
  link_client_open(client);
  for (uint64_t until = now_ms() + TIMEOUT_MS; now_ms() < until && client->downs == downs;) {
    if (link_client_until(client, &client->ups, ups, 20) ||
        (!mqtt && file_contains(self->server.log, heard_as))) {
      return;
    }
  }
  fail_msg("%s: %s", self->it->what,
           client->downs > downs ? htel_errname(client->down_error) : "does not come up");
}

static void assert_good(scene *self) {
  uint32_t done, resumed;
  connect_well(self, "MQTT"); /* s_server tells our certificate's name before the end */
  if (self->it->again != NOT_AGAIN) {
    link_client_close(&self->client);
    self->client.id[0] = 'D'; /* s_server's log shows who comes now */
    connect_well(self, "Dev-1");
  }
  handshakes(self, &done, &resumed);
  assert_int_equal(done, self->it->again == NOT_AGAIN ? 1 : 2);
  assert_int_equal(resumed, self->it->again == RESUMED);
}

static void assert_renegotiation_refused(scene *self) {
  proxy_counts_take(&self->proxy);
  link_client *client = &self->client;
  assert_false(link_client_until(client, &client->downs, client->downs + 1, 300));
  proxy_counts counts = proxy_counts_take(&self->proxy);
  assert_int_equal(counts.records_up[TLS_ALERT], 1);
  assert_int_equal(counts.records_up[TLS_HANDSHAKE], 0);
  assert_int_equal(link_client_publish(client, "htel/v1/dev-1/frame", 500, 1), 0);
  link_client_until(client, &client->downs, client->downs + 1, 100);
  assert_int_equal(client->downs, 0);
  counts = proxy_counts_take(&self->proxy);
  assert_true(counts.records_up[TLS_APPLICATION] >= 1);
}

static void assert_bad(scene *self) {
  const tls_case *it = self->it;
  int error = link_client_fails(&self->client);
  if (error != it->error) {
    fail_msg("%s: %s, not %s", it->what, htel_errname(error), htel_errname(it->error));
  }
  proxy_counts counts = proxy_counts_take(&self->proxy);
  assert_true(counts.connections >= 1);
  if (!it->finished || !HAVE_TLS13) {
    assert_int_equal(counts.records_up[TLS_APPLICATION], 0);
  }
  if (!it->finished) {
    assert_int_equal(counts.records_up[TLS_CHANGE_CIPHER], 0);
  }
  if (it->server.kind != TLS_SCRIPT || it->server.script.kind == SERVER_MQTT) {
    assert_false(tls_server_heard(&self->server));
  }
}

static void run(bool mqtt) {
  uint64_t longest_us = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const tls_case *it = &cases[i];
    static scene here; /* its threads outlive a test that fails */
    scene_set(&here, it, mqtt);
    uint64_t since = now_ms();
    it->error == 0 ? assert_good(&here) : assert_bad(&here);
    unsigned took = (unsigned)(now_ms() - since);
    print_message("%-46s %-26s %5u ms\n", it->what, htel_errname(it->error), took);
    assert_true(took < timeout_ms(it) + LATE_MS);
    if (it->server.script.renegotiates) {
      assert_renegotiation_refused(&here);
    }
    longest_us = here.client.next_us_max > longest_us ? here.client.next_us_max : longest_us;
    scene_clear(&here);
  }
  print_message("%zu cases, longest call %u us\n", sizeof cases / sizeof cases[0],
                (unsigned)longest_us);
  assert_true(longest_us < CALL_MS_MAX * 1000);
}

static void test_each_case_by_mqtt_without_sigpipe(void **state) {
  (void)state;
  struct sigaction now;
  run(true);
  sigaction(SIGPIPE, NULL, &now);
  assert_true(now.sa_handler == SIG_DFL); /* so it would have ended us */
}

static void test_each_case_by_paho(void **state) {
  (void)state;
  run(false);
}

/* ---- The table as a whole ------------------------------------------------------------------ */

/* Each error has a case here, but for two that come before any server is called. */
static void test_each_error_has_a_case(void **state) {
  (void)state;
  for (int error = HTEL_E_TLS; strcmp(htel_errname(error), "HTEL_E_UNKNOWN") != 0; error--) {
    bool found = error == HTEL_E_TLS_CREDENTIALS || error == HTEL_E_TLS_NO_TIME; /* test_tls.c */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
      found = found || cases[i].error == error;
    }
    if (!found || !file_contains(HTEL_TEST_SOURCE "/docs/TLS.md", htel_errname(error))) {
      fail_msg("%s has no case, or is not in docs/TLS.md", htel_errname(error));
    }
  }
}

/* ---- A session that is offered elsewhere --------------------------------------------------- */

/* What stands at the broker's address now has a bad certificate: a session of the good one does not
 * open the door, and it is forgotten. */
static void test_session_does_not_vouch_for_another_server(void **state) {
  (void)state;
  static const tls_case good = {"good", 0, M("broker")};
  static const struct {
    const char *cert;
    int error;
  } bad[] = {
      {"otherca", HTEL_E_TLS_CA}, {"othername", HTEL_E_TLS_NAME}, {"expired", HTEL_E_TLS_EXPIRED}};
  for (int mqtt = 0; mqtt < 2; mqtt++) {
    static scene here;
    uint32_t done, resumed;
    scene_set(&here, &good, mqtt != 0);
    link_client_up(&here.client);
    link_client_close(&here.client);
    link_client_up(&here.client);
    link_client_close(&here.client);
    handshakes(&here, &done, &resumed);
    assert_int_equal(resumed, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
      tls_server other;
      tls_server_start(&other, certs, &(tls_server_spec){.cert = bad[i].cert});
      proxy_lead(&here.proxy, other.port);
      proxy_counts_take(&here.proxy);
      assert_string_equal(htel_errname(link_client_fails(&here.client)),
                          htel_errname(bad[i].error));
      assert_int_equal(proxy_counts_take(&here.proxy).records_up[TLS_APPLICATION], 0);
      tls_server_stop(&other);
      proxy_lead(&here.proxy, here.server.port);
      link_client_up(&here.client);
      link_client_close(&here.client);
    }
    handshakes(&here, &done, &resumed);
    assert_int_equal(done, 2 + sizeof bad / sizeof bad[0]);
    assert_int_equal(resumed, 1);
    scene_clear(&here);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_error_has_a_case),
      cmocka_unit_test(test_each_case_by_mqtt_without_sigpipe),
      cmocka_unit_test(test_each_case_by_paho),
      cmocka_unit_test(test_session_does_not_vouch_for_another_server),
  };
  return cmocka_run_group_tests_name("tls_matrix", tests, group_setup, group_teardown);
}
