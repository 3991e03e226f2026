/* SPDX-License-Identifier: Apache-2.0 */
/* test_mqtt_link.c - ports/mqtt over ports/dial against real servers: how it comes up, what it does
 * when they go, and that no call of it waits. getaddrinfo is ours: names that begin with "slow"
 * take SLOW_MS. */
#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "link_client.h"
#include "link_proxy.h"
#include "link_server.h"
#include "posix_resolve.h"

#define SLOW_MS 3000
#define FRAME "htel/v1/dev-1/frame"
/* A handshake's signature is the longest step; the rest is for a busy machine. */
#define CALL_US_MAX 200000

static char certs[BROKER_PATH_MAX];
static broker mosquitto;
static atomic_uint slow_names; /* asked for */

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  if (host != NULL && strncmp(host, "slow", 4) == 0) {
    slow_names++;
    sleep_ms(SLOW_MS);
    return EAI_AGAIN;
  }
  return real(host, service, hints, found);
}

static int group_setup(void **state) {
  (void)state;
  broker_certs(certs, "--device", "dev-1", NULL);
  broker_start(&mosquitto, certs, "");
  return 0;
}

static int group_teardown(void **state) {
  (void)state;
  broker_stop(&mosquitto);
  directory_remove(certs);
  return 0;
}

static link_client_options options(uint16_t port) {
  return (link_client_options){
      .certs = certs, .id = "dev-1", .port = port, .keep_alive_s = 60, .mqtt = true};
}

static void client_new(link_client *client, uint16_t port) {
  link_client_options o = options(port);
  link_client_new(client, &o);
}

static void client_free(link_client *client) {
  assert_true(client->next_us_max < CALL_US_MAX);
  assert_true(client->publish_us_max < CALL_US_MAX);
  assert_true(client->open_us_max < CALL_US_MAX);
  link_client_free(client);
}

/* ---- Delivery ---------------------------------------------------------------------------- */

static void publish_all(link_client *client, uint32_t count, uint32_t size, uint32_t *again) {
  uint32_t acks = client->acks;
  for (uint32_t i = 0; i < count; i++) {
    while (link_client_publish(client, FRAME, size, i % 1024) == HTEL_E_AGAIN) {
      (*again)++;
      assert_true(link_client_until(client, &client->acks, client->acks + 1, 10000));
    }
  }
  assert_true(link_client_until(client, &client->acks, acks + count, 10000));
}

static void test_throughput(void **state) {
  (void)state;
  static const struct {
    uint32_t count, size;
  } runs[] = {{5000, 100}, {5000, 1000}, {2000, 4096}, {200, 61440}};
  link_client client;
  client_new(&client, mosquitto.port);
  link_client_up(&client);
  for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
    uint32_t again = 0;
    uint64_t since = now_ms();
    publish_all(&client, runs[i].count, runs[i].size, &again);
    uint64_t ms = now_ms() - since + 1;
    print_message("%5u messages of %5u bytes: %6u a second, %6.2f MB/s (%u times no room)\n",
                  runs[i].count, runs[i].size, (unsigned)(runs[i].count * 1000u / ms),
                  (double)runs[i].count * runs[i].size / 1000.0 / (double)ms, again);
    assert_true(runs[i].count * 1000u / ms > 100); /* the most that brokers allow a connection */
  }
  print_message("longest next() %u us, publish() %u us\n", (unsigned)client.next_us_max,
                (unsigned)client.publish_us_max);
  link_client_close(&client);
  client_free(&client);
}

/* The goodbye must reach the broker although its PUBACKs may be unread: else it publishes the will.
 */
static void test_goodbye_is_heard(void **state) {
  (void)state;
  char log[BROKER_PATH_MAX + 16];
  link_client client;
  broker talkative;
  broker_start(&talkative, certs, "log_type notice\n");
  snprintf(log, sizeof log, "%s/log", talkative.dir);
  client_new(&client, talkative.port);
  for (uint32_t i = 0; i < 10; i++) {
    link_client_up(&client);
    for (uint32_t j = 0; j < 20; j++) link_client_publish(&client, FRAME, 500, j);
    link_client_close(&client);
  }
  sleep_ms(200);
  assert_true(file_contains(log, "dev-1 disconnected."));
  assert_false(file_contains(log, "dev-1 closed its connection"));
  client_free(&client);
  broker_stop(&talkative);
}

static void test_resumed_handshake_costs_fewer_bytes(void **state) {
  (void)state;
  link_proxy proxy;
  proxy_start(&proxy, mosquitto.port);
  link_client client;
  client_new(&client, proxy.port);
  uint64_t bytes[2];
  for (unsigned i = 0; i < 2; i++) {
    link_client_up(&client);
    proxy_counts counts = proxy_counts_take(&proxy);
    bytes[i] = counts.bytes_up + counts.bytes_down;
    print_message("%s handshake with CONNECT and SUBSCRIBE: %u bytes up, %u down\n",
                  i == 0 ? "full   " : "resumed", (unsigned)counts.bytes_up,
                  (unsigned)counts.bytes_down);
    link_client_close(&client);
    proxy_counts_take(&proxy);
  }
  assert_int_equal(htel_dial_stats_get(client.dial).handshakes, 2);
  assert_int_equal(htel_dial_stats_get(client.dial).resumed, 1);
  assert_true(bytes[1] * 10 < bytes[0] * 7);
  client_free(&client);
  proxy_stop(&proxy);
}

/* ---- Losing the broker ----------------------------------------------------------------------- */

static void test_broker_killed_and_back(void **state) {
  (void)state;
  link_client client;
  client_new(&client, mosquitto.port);
  for (uint32_t i = 1; i <= 3; i++) {
    link_client_up(&client);
    assert_int_equal(link_client_publish(&client, FRAME, 1000, i), 0);
    broker_kill(&mosquitto);
    assert_true(link_client_until(&client, &client.downs, i, 5000));
    assert_int_equal(client.down_error, HTEL_E_LINK_LOST);
    assert_int_equal(link_client_publish(&client, FRAME, 1000, i), HTEL_E_CLOSED);
    broker_restart(&mosquitto);
  }
  link_client_up(&client);
  link_client_close(&client);
  client_free(&client);
}

static void test_silence_is_noticed(void **state) {
  (void)state;
  link_proxy proxy;
  proxy_start(&proxy, mosquitto.port);
  link_client client;
  link_client_options o = options(proxy.port);
  o.keep_alive_s = 2;
  link_client_new(&client, &o);
  link_client_up(&client);
  assert_false(link_client_until(&client, &client.downs, 1, 5000)); /* pings keep it up */
  proxy_freeze(&proxy, true);
  uint64_t since = now_ms();
  assert_int_equal(link_client_publish(&client, FRAME, 1000, 1), 0); /* while sending, too */
  assert_true(link_client_until(&client, &client.downs, 1, 6000));
  assert_int_equal(client.down_error, HTEL_E_LINK_SILENT);
  print_message("keep-alive 2 s: silence noticed after %u ms\n", (unsigned)(now_ms() - since));
  assert_true(now_ms() - since <= 3000 + 200);
  client_free(&client);
  proxy_stop(&proxy);
}

/* ---- Servers that are not what they should be
 * ---------------------------------------------------- */

static void test_answers_have_their_own_errors(void **state) {
  (void)state;
  static const struct {
    server_script script;
    int error;
  } cases[] = {
      {{.kind = SERVER_MQTT, .connack = 1}, HTEL_E_REFUSED},
      {{.kind = SERVER_MQTT, .connack = 3}, HTEL_E_REFUSED},
      {{.kind = SERVER_MQTT, .connack = 4}, HTEL_E_UNAUTHORIZED},
      {{.kind = SERVER_MQTT, .connack = 5}, HTEL_E_UNAUTHORIZED},
      {{.kind = SERVER_MQTT, .suback = 0x80}, HTEL_E_SUBSCRIBE},
      {{.kind = SERVER_PLAIN}, HTEL_E_TLS_NOT_TLS},
      {{.kind = SERVER_CLOSES}, HTEL_E_TLS_CLOSED},
      {{.kind = SERVER_MIDWAY}, HTEL_E_TLS_CLOSED},
      {{.kind = SERVER_SILENT}, HTEL_E_LINK_SILENT},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    server_script script = cases[i].script;
    script.certs = certs;
    link_server server;
    server_start(&server, &script);
    link_client client;
    link_client_options o = options(server.port);
    o.connect_timeout_ms = 1500;
    link_client_new(&client, &o);
    uint64_t since = now_ms();
    assert_string_equal(htel_errname(link_client_fails(&client)), htel_errname(cases[i].error));
    assert_true(now_ms() - since < 2000);
    client_free(&client);
    server_stop(&server);
  }
}

static void test_nonsense_and_muteness_after_suback(void **state) {
  (void)state;
  for (unsigned mute = 0; mute < 2; mute++) {
    link_server server;
    server_start(&server, &(server_script){.kind = SERVER_MQTT,
                                           .certs = certs,
                                           .suback = 1,
                                           .mute = mute == 1,
                                           .nonsense = mute == 0});
    link_client client;
    link_client_options o = options(server.port);
    o.keep_alive_s = 1;
    link_client_new(&client, &o);
    link_client_open(&client);
    assert_true(link_client_until(&client, &client.downs, 1, 10000));
    assert_int_equal(client.down_error, mute == 1 ? HTEL_E_LINK_SILENT : HTEL_E_PROTOCOL);
    client_free(&client);
    server_stop(&server);
  }
}

static void test_names_and_ports_that_lead_nowhere(void **state) {
  (void)state;
  link_client client;
  client_new(&client, port_free());
  assert_int_equal(link_client_fails(&client), HTEL_E_CONNECT);
  client_free(&client);

  link_client_options o = options(mosquitto.port);
  o.host = "127.0.0.1"; /* where the broker is, but not the name in its certificate */
  link_client_new(&client, &o);
  assert_int_equal(link_client_fails(&client), HTEL_E_TLS_NAME);
  client_free(&client);

  o.host = "slow.invalid"; /* the resolver hangs, then says no */
  o.connect_timeout_ms = 500;
  link_client_new(&client, &o);
  uint64_t since = now_ms();
  assert_int_equal(link_client_fails(&client), HTEL_E_RESOLVE);
  assert_true(now_ms() - since < 1000);
  assert_int_equal(link_client_fails(&client), HTEL_E_RESOLVE); /* the same thread still hangs */
  since = now_ms();
  client_free(&client);
  assert_true(now_ms() - since < 200);
  sleep_ms(SLOW_MS); /* it frees what it held */
}

static unsigned descriptors(void) {
  DIR *dir = opendir("/proc/self/fd");
  unsigned count = 0;
  while (readdir(dir) != NULL) count++;
  closedir(dir);
  return count;
}

#define ASKERS 50u

static void test_one_name_is_asked_for_once_at_a_time(void **state) {
  (void)state;
  resolve_job *jobs[ASKERS];
  resolve_list list;
  unsigned before = descriptors();
  slow_names = 0;
  for (unsigned i = 0; i < ASKERS; i++) {
    jobs[i] = resolve_start("slow.invalid", 8883);
    assert_non_null(jobs[i]);
  }
  resolve_job *other = resolve_start("slow.invalid", 8884); /* another question */
  for (unsigned i = 0; i < ASKERS; i += 2) resolve_release(jobs[i]);
  for (unsigned i = 1; i < ASKERS; i += 2) {
    struct pollfd fd = {.fd = resolve_fd(jobs[i]), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 2 * SLOW_MS), 1);
    assert_int_equal(resolve_result(jobs[i], &list), HTEL_E_RESOLVE);
  }
  assert_int_equal(slow_names, 2);
  resolve_job *later = resolve_start("slow.invalid", 8883); /* an answer is not kept */
  assert_int_equal(resolve_result(later, &list), HTEL_E_AGAIN);
  for (unsigned i = 1; i < ASKERS; i += 2) resolve_release(jobs[i]);
  resolve_release(other);
  resolve_release(later);
  sleep_ms(SLOW_MS + 500); /* its thread frees what it held */
  assert_int_equal(slow_names, 3);
  assert_int_equal(descriptors(), before);
}

static void test_close_at_any_moment_leaks_nothing(void **state) {
  (void)state;
  link_client client;
  client_new(&client, mosquitto.port);
  link_client_up(&client);
  link_client_close(&client);
  unsigned before = descriptors();
  for (uint32_t i = 0; i < 40; i++) {
    link_client_open(&client);
    link_client_until(&client, &client.ups, UINT32_MAX, i % 20);
    link_client_close(&client);
  }
  assert_int_equal(descriptors(), before);
  client_free(&client);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_throughput),
      cmocka_unit_test(test_goodbye_is_heard),
      cmocka_unit_test(test_resumed_handshake_costs_fewer_bytes),
      cmocka_unit_test(test_broker_killed_and_back),
      cmocka_unit_test(test_silence_is_noticed),
      cmocka_unit_test(test_answers_have_their_own_errors),
      cmocka_unit_test(test_nonsense_and_muteness_after_suback),
      cmocka_unit_test(test_names_and_ports_that_lead_nowhere),
      cmocka_unit_test(test_one_name_is_asked_for_once_at_a_time),
      cmocka_unit_test(test_close_at_any_moment_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
