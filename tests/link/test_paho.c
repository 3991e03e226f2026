/* SPDX-License-Identifier: Apache-2.0 */
/* test_paho.c - the paho link: what it delivers, how it ends, and that it never makes the core
 * wait.
 *
 * The whole program runs in a hostile environment: http_proxy names a listener of ours, to which
 * paho would speak plain text, and MQTT_C_CLIENT_TRACE asks for a trace, which would show payloads.
 * The last test looks at both. getaddrinfo is ours: names that begin with "slow" take SLOW_MS. */
#include <MQTTAsync.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "link_client.h"
#include "link_proxy.h"
#include "link_server.h"

#define SLOW_MS 3000
#define FRAME "htel/v1/dev-1/frame"
#define CALL_US_MAX (SLOW_MS * 1000 / 4) /* it did not wait for that; the machine may be busy */

static char certs[BROKER_PATH_MAX], trace[BROKER_PATH_MAX + 16];
static broker mosquitto;
static int proxy_fd; /* where http_proxy leads */

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  if (host != NULL && strncmp(host, "slow", 4) == 0) {
    sleep_ms(SLOW_MS);
    return EAI_AGAIN;
  }
  return real(host, service, hints, found);
}

static int group_setup(void **state) {
  (void)state;
  broker_certs(certs, "--device", "dev-1", "--device", "dev-2", NULL);
  snprintf(trace, sizeof trace, "%s/trace", certs);
  setenv("MQTT_C_CLIENT_TRACE", trace, 1);
  setenv("MQTT_C_CLIENT_TRACE_LEVEL", "MAXIMUM", 1);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  proxy_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (bind(proxy_fd, (struct sockaddr *)&address, sizeof address) != 0 ||
      listen(proxy_fd, 16) != 0 || getsockname(proxy_fd, (struct sockaddr *)&address, &size) != 0) {
    return -1;
  }
  char url[64];
  snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
  setenv("http_proxy", url, 1);
  broker_start(&mosquitto, certs, "");
  return 0;
}

static int group_teardown(void **state) {
  (void)state;
  broker_stop(&mosquitto);
  close(proxy_fd);
  directory_remove(certs);
  return 0;
}

static void client_new(link_client *client, uint16_t port, uint16_t keep_alive_s) {
  link_client_new(client,
                  &(link_client_options){
                      .certs = certs, .id = "dev-1", .port = port, .keep_alive_s = keep_alive_s});
}

/* ---- mosquitto's own tools, as the ingest ------------------------------------------------------
 */

static pid_t ingest_subscribe(const char *topic, const char *count, const char *out,
                              const char *option) {
  return broker_subscribe(&mosquitto, certs, "ingest", topic, out, "-N", "-W", "20", "-C", count,
                          option, NULL);
}

static void ingest_publish(const char *topic, const char *file) {
  broker_publish(&mosquitto, certs, "ingest", topic, "-f", file, NULL);
}

static void file_fill(const char *path, size_t size) {
  FILE *file = fopen(path, "w");
  for (size_t i = 0; i < size; i++) {
    fputc('a' + (int)(i % 26), file);
  }
  fclose(file);
}

/* ---- Delivery
 * ------------------------------------------------------------------------------------ */

static void test_messages_up_to_60_kb_arrive_whole(void **state) {
  (void)state;
  static const uint32_t sizes[] = {61440, 0, 1, 16383, 16384};
  char out[BROKER_PATH_MAX + 16];
  snprintf(out, sizeof out, "%s/frames", certs);
  pid_t subscriber = ingest_subscribe(FRAME, "5", out, NULL);
  link_client client;
  client_new(&client, mosquitto.port, 60);
  link_client_up(&client);
  for (uint32_t i = 0; i < 5; i++) {
    assert_int_equal(link_client_publish(&client, FRAME, sizes[i], i), 0);
  }
  assert_true(link_client_until(&client, &client.acks, 5, 10000));
  assert_int_equal(process_end(subscriber, 0), 0); /* it ends by itself after the fifth */
  FILE *file = fopen(out, "rb");
  for (uint32_t i = 0; i < 5; i++) {
    assert_int_equal(client.acked[i], 1);
    for (uint32_t at = 0; at < sizes[i]; at++) {
      assert_int_equal(fgetc(file), link_client_pattern(i, at));
    }
  }
  assert_int_equal(fgetc(file), EOF);
  fclose(file);
  link_client_close(&client);
  link_client_free(&client);
}

static void test_receipts_arrive_and_longer_ones_are_dropped(void **state) {
  (void)state;
  char path[BROKER_PATH_MAX + 16];
  snprintf(path, sizeof path, "%s/receipt", certs);
  link_client client;
  client_new(&client, mosquitto.port, 60);
  link_client_up(&client);
  file_fill(path, HTEL_LINK_MESSAGE_BYTES_MAX);
  ingest_publish("htel/v1/dev-1/receipt", path);
  assert_true(link_client_until(&client, &client.messages, 1, 5000));
  assert_int_equal(strlen(client.message), HTEL_LINK_MESSAGE_BYTES_MAX);
  assert_memory_equal(client.message, "abcdef", 6);
  file_fill(path, HTEL_LINK_MESSAGE_BYTES_MAX + 1);
  ingest_publish("htel/v1/dev-1/receipt", path);
  file_fill(path, 3);
  ingest_publish("htel/v1/dev-1/receipt", path);
  assert_true(link_client_until(&client, &client.messages, 2, 5000));
  assert_string_equal(client.message, "abc");
  htel_paho_stats stats;
  htel_paho_stats_get(client.paho, &stats);
  assert_int_equal(stats.messages_dropped, 1);
  link_client_close(&client);
  link_client_free(&client);
}

static void test_will_tells_a_loss_and_not_a_goodbye(void **state) {
  (void)state;
  char out[BROKER_PATH_MAX + 16];
  snprintf(out, sizeof out, "%s/status", certs);
  link_proxy proxy;
  proxy_start(&proxy, mosquitto.port);
  link_client client;
  client_new(&client, proxy.port, 60);
  link_client_up(&client);
  link_client_close(&client);
  link_client_up(&client);
  proxy_stop(&proxy);
  assert_true(link_client_until(&client, &client.downs, 2, 5000));
  assert_int_equal(client.down_error, HTEL_E_LINK_LOST);
  link_client_free(&client);
  sleep_ms(300);
  /* Retained, so one who comes late gets it; were there one from the goodbye too, nobody could
   * tell. */
  pid_t subscriber = ingest_subscribe("htel/v1/dev-1/status", "1", out, NULL);
  assert_int_equal(process_end(subscriber, 0), 0);
  assert_true(file_contains(out, "gone"));
  link_client late;
  client_new(&late, mosquitto.port, 60);
  link_client_up(&late);
  remove(out);
  subscriber = ingest_subscribe("htel/v1/dev-1/status", "1", out, "-R"); /* not the retained one */
  link_client_close(&late);
  broker_publish(&mosquitto, certs, "dev-1", "htel/v1/dev-1/status", "-m", "later", NULL);
  assert_int_equal(process_end(subscriber, 0), 0);
  assert_int_equal(file_size(out), 5);
  assert_true(file_contains(out, "later")); /* and nothing before it */
  link_client_free(&late);
}

static void test_a_hundred_in_flight(void **state) {
  (void)state;
  link_client client;
  client_new(&client, mosquitto.port, 60);
  link_client_up(&client);
  for (uint32_t burst = 1; burst <= 5; burst++) {
    for (uint32_t i = 0; i < 100; i++) {
      assert_int_equal(link_client_publish(&client, FRAME, 640, i), 0);
    }
    assert_true(link_client_until(&client, &client.acks, burst * 100, 10000));
  }
  for (uint32_t i = 0; i < 100; i++) {
    assert_int_equal(client.acked[i], 5);
  }
  link_client_close(&client);
  link_client_free(&client);
}

static void test_queue_is_bounded_and_no_ack_is_lost(void **state) {
  (void)state;
  link_proxy proxy;
  proxy_start(&proxy, mosquitto.port);
  link_client client;
  client_new(&client, proxy.port, 60);
  link_client_up(&client);
  proxy_freeze(&proxy, true);
  uint32_t accepted = 0;
  int rc;
  while ((rc = link_client_publish(&client, FRAME, 100, accepted)) == 0) {
    accepted++;
    assert_true(accepted <= 1000);
  }
  assert_int_equal(rc, HTEL_E_AGAIN);
  assert_true(accepted >= 100); /* the core's window */
  proxy_freeze(&proxy, false);
  sleep_ms(1500); /* all acknowledged before the first event is taken */
  assert_true(link_client_until(&client, &client.acks, accepted, 10000));
  for (uint32_t i = 0; i < accepted; i++) {
    assert_int_equal(client.acked[i], 1);
  }
  /* And by bytes. */
  proxy_freeze(&proxy, true);
  uint32_t large = 0;
  while ((rc = link_client_publish(&client, FRAME, 61440, 500 + large)) == 0) {
    large++;
    assert_true(large <= 100);
  }
  assert_int_equal(rc, HTEL_E_AGAIN);
  assert_in_range(large, 1, 10);
  proxy_freeze(&proxy, false);
  assert_true(link_client_until(&client, &client.acks, accepted + large, 10000));
  link_client_close(&client);
  link_client_free(&client);
  proxy_stop(&proxy);
}

static void test_resumed_handshake_costs_fewer_bytes(void **state) {
  (void)state;
  link_proxy proxy;
  proxy_start(&proxy, mosquitto.port);
  link_client client;
  client_new(&client, proxy.port, 60);
  proxy_counts counts[2];
  for (size_t i = 0; i < 2; i++) {
    link_client_up(&client);
    counts[i] = proxy_counts_take(&proxy);
    link_client_close(&client);
    proxy_counts_take(&proxy);
  }
  htel_paho_stats stats;
  htel_paho_stats_get(client.paho, &stats);
  assert_int_equal(stats.handshakes, 2);
  assert_int_equal(stats.resumed, 1);
  for (size_t i = 0; i < 2; i++) {
    print_message("%s handshake with CONNECT and SUBSCRIBE: %u bytes up, %u down\n",
                  i == 0 ? "full   " : "resumed", (unsigned)counts[i].bytes_up,
                  (unsigned)counts[i].bytes_down);
  }
  /* OpenSSL's ticket has our certificate in it, so what is saved is saved on the way down. */
  assert_true((counts[1].bytes_up + counts[1].bytes_down) * 10 <
              (counts[0].bytes_up + counts[0].bytes_down) * 7); /* TLS 1.3: two new tickets */
  link_client_free(&client);
  proxy_stop(&proxy);
}

/* ---- Losing the broker
 * --------------------------------------------------------------------------- */

static void test_broker_killed_and_back(void **state) {
  (void)state;
  link_client client;
  client_new(&client, mosquitto.port, 60);
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
  link_client_free(&client);
}

static void test_silence_is_noticed(void **state) {
  (void)state;
  link_proxy proxy;
  proxy_start(&proxy, mosquitto.port);
  link_client client;
  client_new(&client, proxy.port, 6);
  link_client_up(&client);
  assert_false(link_client_until(&client, &client.downs, 1, 10500)); /* pings keep it up */
  proxy_freeze(&proxy, true);
  uint64_t since = now_ms();
  assert_int_equal(link_client_publish(&client, FRAME, 1000, 1), 0); /* while sending, too */
  assert_true(link_client_until(&client, &client.downs, 1, 12000));
  assert_int_equal(client.down_error, HTEL_E_LINK_SILENT);
  print_message("keep-alive 6 s: silence noticed after %u ms\n", (unsigned)(now_ms() - since));
  assert_true(now_ms() - since <= 9000 + 500);
  link_client_free(&client);
  proxy_stop(&proxy);
}

/* ---- What the broker answers
 * ----------------------------------------------------------------------- */

static void test_answers_have_their_own_errors(void **state) {
  (void)state;
  static const struct {
    server_script script;
    int error;
  } cases[] = {
      {{.connack = 1}, HTEL_E_REFUSED},      {{.connack = 2}, HTEL_E_REFUSED},
      {{.connack = 3}, HTEL_E_REFUSED},      {{.connack = 4}, HTEL_E_UNAUTHORIZED},
      {{.connack = 5}, HTEL_E_UNAUTHORIZED}, {{.suback = 0x80}, HTEL_E_SUBSCRIBE},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    server_script script = cases[i].script;
    script.kind = SERVER_MQTT;
    script.certs = certs;
    link_server server;
    server_start(&server, &script);
    link_client client;
    client_new(&client, server.port, 60);
    assert_string_equal(htel_errname(link_client_fails(&client)), htel_errname(cases[i].error));
    link_client_free(&client);
    server_stop(&server);
  }
}

static void test_nonsense_ends_the_connection(void **state) {
  (void)state;
  link_server server;
  server_start(&server, &(server_script){
                            .kind = SERVER_MQTT, .certs = certs, .suback = 1, .nonsense = true});
  link_client client;
  client_new(&client, server.port, 60);
  link_client_open(&client);
  assert_true(link_client_until(&client, &client.downs, 1, 10000));
  assert_int_equal(client.down_error, HTEL_E_PROTOCOL);
  link_client_free(&client);
  server_stop(&server);
}

static void test_mosquitto_refuses_who_has_no_name(void **state) {
  (void)state;
  broker strict;
  broker_start(&strict, certs, "use_identity_as_username false");
  link_client client;
  client_new(&client, strict.port, 60);
  assert_string_equal(htel_errname(link_client_fails(&client)), "HTEL_E_UNAUTHORIZED");
  link_client_free(&client);
  broker_stop(&strict);
}

/* ---- Order of calls
 * -------------------------------------------------------------------------------- */

static int read_fails(void *source, uint32_t token, uint32_t offset, uint8_t *buf, size_t size) {
  (void)source;
  (void)token;
  (void)offset;
  (void)buf;
  (void)size;
  return HTEL_E_CLOSED;
}

static void test_message_that_has_gone_drops_the_connection(void **state) {
  (void)state;
  link_client client;
  client_new(&client, mosquitto.port, 60);
  link_client_up(&client);
  htel_message message = {.topic = FRAME, .size = 10, .token = 1, .read = read_fails};
  assert_int_equal(client.link->publish(client.link->ctx, &message), HTEL_E_CLOSED);
  assert_true(link_client_until(&client, &client.downs, 1, 5000));
  link_client_up(&client);
  message.size = 61441;
  assert_int_equal(client.link->publish(client.link->ctx, &message), HTEL_E_TOO_LARGE);
  assert_true(link_client_until(&client, &client.downs, 2, 5000));
  assert_int_equal(client.down_error, HTEL_E_TOO_LARGE);
  link_client_free(&client);
}

static void test_close_at_any_moment(void **state) {
  (void)state;
  link_client client;
  client_new(&client, mosquitto.port, 60);
  client.link->close(client.link->ctx); /* nothing to close: nothing happens */
  assert_false(link_client_until(&client, &client.downs, 1, 50));
  for (unsigned ms = 0; ms < 240; ms += 8) {
    link_client_open(&client);
    link_client_until(&client, &client.ups, client.ups + 1, ms);
    link_client_close(&client);
  }
  htel_link_session session = {.client_id = "dev-1", .will_topic = client.will_topic};
  link_client_open(&client);
  assert_int_equal(client.link->open(client.link->ctx, &session), HTEL_E_AGAIN);
  link_client_close(&client);
  link_client_up(&client);
  link_client_free(&client); /* while it is up */
}

static unsigned descriptors_count(void) {
  unsigned count = 0;
  DIR *open_ones = opendir("/proc/self/fd");
  while (readdir(open_ones) != NULL) {
    count++;
  }
  closedir(open_ones);
  return count;
}

static void test_reconnecting_leaks_no_descriptor(void **state) {
  (void)state;
  link_client client;
  client_new(&client, mosquitto.port, 60);
  link_client_up(&client);
  link_client_close(&client);
  unsigned before = descriptors_count();
  for (int i = 0; i < 10; i++) {
    link_client_up(&client);
    link_client_close(&client);
  }
  assert_int_equal(descriptors_count(), before);
  link_client_free(&client);
}

static void test_two_links_do_not_disturb_each_other(void **state) {
  (void)state;
  link_client one, other;
  client_new(&one, mosquitto.port, 60);
  link_client_new(&other,
                  &(link_client_options){.certs = certs, .id = "dev-2", .port = mosquitto.port});
  link_client_up(&one);
  for (uint32_t i = 1; i <= 5; i++) {
    link_client_up(&other);
    assert_int_equal(link_client_publish(&one, FRAME, 100, i), 0);
    assert_int_equal(link_client_publish(&other, "htel/v1/dev-2/frame", 100, i), 0);
    assert_true(link_client_until(&one, &one.acks, i, 5000));
    assert_true(link_client_until(&other, &other.acks, i, 5000));
    link_client_close(&other);
  }
  link_client_free(&other);
  assert_int_equal(link_client_publish(&one, FRAME, 100, 9), 0);
  assert_true(link_client_until(&one, &one.acks, 6, 5000));
  assert_int_equal(one.downs, 0);
  link_client_close(&one);
  link_client_free(&one);
}

/* ---- Never waiting
 * ----------------------------------------------------------------------------------- */

static void test_hanging_dns_holds_nothing_up(void **state) {
  (void)state;
  link_client client;
  link_client_new(&client, &(link_client_options){.certs = certs,
                                                  .id = "dev-1",
                                                  .host = "slow.invalid",
                                                  .port = 1,
                                                  .connect_timeout_ms = 300});
  uint64_t since = now_ms();
  for (int i = 0; i < 3; i++) {
    assert_int_equal(link_client_fails(&client), HTEL_E_RESOLVE);
  }
  assert_true(now_ms() - since < 2000);
  link_client_open(&client);
  link_client_close(&client);
  link_client_free(&client);
  assert_true(now_ms() - since < SLOW_MS);
  print_message("with a resolver that hangs: open() at most %u us, next() %u us\n",
                (unsigned)client.open_us_max, (unsigned)client.next_us_max);
  assert_true(client.open_us_max < CALL_US_MAX);
  assert_true(client.next_us_max < CALL_US_MAX);
}

static void test_publish_does_not_wait_for_pahos_lock(void **state) {
  (void)state;
  link_client client;
  client_new(&client, mosquitto.port, 60);
  link_client_up(&client);
  /* Another of paho's clients in this process resolves a name: paho holds its lock for SLOW_MS. */
  MQTTAsync other;
  unsetenv("http_proxy"); /* it would go there instead */
  assert_int_equal(MQTTAsync_create(&other, "tcp://slow.invalid:1883", "other", 1, NULL), 0);
  MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
  assert_int_equal(MQTTAsync_connect(other, &options), 0);
  sleep_ms(200);
  uint64_t since = now_ms();
  for (uint32_t i = 0; i < 100; i++) {
    assert_int_equal(link_client_publish(&client, FRAME, 1000, i), 0);
  }
  assert_true(now_ms() - since < SLOW_MS / 2);
  assert_true(link_client_until(&client, &client.acks, 100, 3 * SLOW_MS));
  print_message("publish() with paho's lock held: at most %u us; 100th PUBACK after %u ms\n",
                (unsigned)client.publish_us_max, (unsigned)(now_ms() - since));
  assert_true(now_ms() - since > SLOW_MS / 2); /* the lock was held indeed */
  assert_true(client.publish_us_max < CALL_US_MAX);
  link_client_close(&client);
  link_client_free(&client);
  MQTTAsync_destroy(&other);
}

/* ---- The environment
 * ----------------------------------------------------------------------------------- */

static void test_nothing_went_to_the_proxy_or_the_trace(void **state) {
  (void)state;
  assert_int_equal(accept(proxy_fd, NULL, NULL), -1);
  assert_false(file_contains(trace, "PUBLISH"));
  assert_false(file_contains(trace, "dev-1"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_messages_up_to_60_kb_arrive_whole),
      cmocka_unit_test(test_receipts_arrive_and_longer_ones_are_dropped),
      cmocka_unit_test(test_will_tells_a_loss_and_not_a_goodbye),
      cmocka_unit_test(test_a_hundred_in_flight),
      cmocka_unit_test(test_queue_is_bounded_and_no_ack_is_lost),
      cmocka_unit_test(test_resumed_handshake_costs_fewer_bytes),
      cmocka_unit_test(test_broker_killed_and_back),
      cmocka_unit_test(test_silence_is_noticed),
      cmocka_unit_test(test_answers_have_their_own_errors),
      cmocka_unit_test(test_nonsense_ends_the_connection),
      cmocka_unit_test(test_mosquitto_refuses_who_has_no_name),
      cmocka_unit_test(test_message_that_has_gone_drops_the_connection),
      cmocka_unit_test(test_close_at_any_moment),
      cmocka_unit_test(test_reconnecting_leaks_no_descriptor),
      cmocka_unit_test(test_two_links_do_not_disturb_each_other),
      cmocka_unit_test(test_hanging_dns_holds_nothing_up),
      cmocka_unit_test(test_publish_does_not_wait_for_pahos_lock),
      cmocka_unit_test(test_nothing_went_to_the_proxy_or_the_trace),
  };
  return cmocka_run_group_tests_name("paho", tests, group_setup, group_teardown);
}
