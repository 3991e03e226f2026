/* SPDX-License-Identifier: Apache-2.0 */
/* test_tls_clock.c - devices whose clock was never set, is set late, jumps or wraps, over both
 * links and a real broker.
 *
 * clock_gettime is ours (the linker wraps it), for all of the library in this program: the system's
 * clock may show any time, or none, and the time since boot may stand before its wrap. Brokers are
 * other programs, with the real time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "healthtel/decode.h"
#include "healthtel/healthtel.h"
#include "link_client.h"
#include "link_proxy.h"

#define DAY_MS INT64_C(86400000)
#define YEARS_MS(n) ((n)*INT64_C(31556952000))
#define Y2020_MS INT64_C(1577836800000)

static char certs[BROKER_PATH_MAX];

/* ---- The clock ----------------------------------------------------------------------------- */

static atomic_llong utc_ahead_ms, boot_ahead_ms;
static atomic_bool unset; /* it shows the time since 1970-01-01 that the device is on */

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now) {
  bool utc = clock == CLOCK_REALTIME;
  int rc = __real_clock_gettime(utc && atomic_load(&unset) ? CLOCK_MONOTONIC : clock, now);
  long long ahead_ms = utc                       ? atomic_load(&utc_ahead_ms)
                       : clock == CLOCK_BOOTTIME ? atomic_load(&boot_ahead_ms)
                                                 : 0;
  now->tv_sec += (time_t)(ahead_ms / 1000);
  return rc;
}

static int64_t clock_ms(clockid_t clock) {
  struct timespec now;
  __real_clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void clock_set(int64_t ahead_ms) {
  atomic_store(&utc_ahead_ms, ahead_ms);
  atomic_store(&unset, false);
}

static void clock_unset(void) {
  atomic_store(&utc_ahead_ms, 0);
  atomic_store(&unset, true);
}

/* The 32-bit tick wraps in `ms`, or up to a second later. */
static void ticks_wrap_in(uint32_t ms) {
  uint32_t tick_ms = (uint32_t)clock_ms(CLOCK_BOOTTIME);
  atomic_store(&boot_ahead_ms, (long long)(0u - tick_ms - ms) / 1000 * 1000);
}

static int clock_reset(void **state) {
  (void)state;
  clock_set(0);
  atomic_store(&boot_ahead_ms, 0);
  return 0;
}

static int group_setup(void **state) {
  (void)state;
  broker_certs(certs, "--device", "dev-1", NULL);
  return 0;
}

static int group_teardown(void **state) {
  (void)state;
  directory_remove(certs);
  return 0;
}

/* ---- A place: a broker behind a proxy, and a client ------------------------------------------ */

typedef struct place {
  broker mosquitto;
  link_proxy proxy;
  link_client client;
} place;

static void place_open(place *self, bool mqtt, int64_t floor_ms) {
  broker_start(&self->mosquitto, certs, "");
  proxy_start(&self->proxy, self->mosquitto.port);
  link_client_new(&self->client, &(link_client_options){.certs = certs,
                                                        .id = "dev-1",
                                                        .port = self->proxy.port,
                                                        .utc_floor_ms = floor_ms,
                                                        .mqtt = mqtt});
}

static void place_close(place *self) {
  link_client_free(&self->client);
  proxy_stop(&self->proxy);
  broker_stop(&self->mosquitto);
}

static uint32_t resumed(const place *self) {
  if (self->client.dial != NULL) {
    return htel_dial_stats_get(self->client.dial).resumed;
  }
  htel_paho_stats stats;
  htel_paho_stats_get(self->client.paho, &stats);
  return stats.resumed;
}

static void assert_refused(place *self, int error) {
  while (proxy_counts_take(&self->proxy).bytes_up > 0) {
    sleep_ms(50); /* the last connection's farewell is still on its way */
  }
  assert_string_equal(htel_errname(link_client_fails(&self->client)), htel_errname(error));
  assert_int_equal(proxy_counts_take(&self->proxy).records_up[TLS_APPLICATION], 0);
}

/* ---- A device: the core over the client's link ------------------------------------------------
 */

typedef struct device {
  place place;
  htel_port port;
  htel *tel;
  htel_stats stats;
  max_align_t memory[8192];
} device;

static device it;

static void device_open(bool mqtt, int64_t floor_ms, htel_delivery mode) {
  static const htel_channel channels[] = {
      {.code = HTEL_MDC_PULSE_RATE_OXIMETER, .unit = HTEL_UNIT_PER_MIN}};
  htel_config config = {
      .device_id = "dev-1",
      .channels = channels,
      .channel_count = 1,
      .coding = HTEL_CODING_FAST,
      .batch = {.age_ms_max = 100},
      .outbox = {.bytes = 8192},
      .delivery = {.mode = (uint8_t)mode, .backoff_base_ms = 50, .backoff_max_ms = 200}};
  memset(&it, 0, sizeof it);
  place_open(&it.place, mqtt, floor_ms);
  it.port = htel_posix_port(&it.place.client.posix, it.place.client.link);
  assert_int_equal(htel_open(&it.tel, it.memory, sizeof it.memory, &config, &it.port), 0);
}

/* As an application's loop does, until `*count` has come up to `wanted` or the time is over. */
static bool device_run(const uint32_t *count, uint32_t wanted, uint32_t ms) {
  for (uint64_t until = now_ms() + ms; now_ms() < until;) {
    int64_t utc_ms;
    uint32_t uncertainty_ms;
    uint32_t wait_ms = htel_poll(it.tel);
    if (htel_utc_now(it.tel, &utc_ms, &uncertainty_ms) == 0) {
      htel_posix_utc_learn(&it.place.client.posix, utc_ms);
    }
    htel_stats_get(it.tel, &it.stats);
    if (*count >= wanted) {
      return true;
    }
    htel_posix_wait(&it.place.client.posix, wait_ms < 50 ? wait_ms : 50);
  }
  return false;
}

static void device_close(void) {
  int rc;
  while ((rc = htel_close(it.tel, 0)) == HTEL_E_AGAIN) {
    htel_posix_wait(&it.place.client.posix, 10);
  }
  place_close(&it.place);
}

/* The ingest has stored all frames up to `sequence`, and says what time it is. */
static void receipt(uint32_t sequence, int64_t utc_ms) {
  htel_receipt receipt = {.boot = it.stats.boot,
                          .utc_ms = utc_ms,
                          .stored_count = 1,
                          .stored = {{.first = 1, .last = sequence}}};
  uint8_t bytes[HTEL_RECEIPT_BYTES_MAX];
  int size = htel_receipt_encode(&receipt, bytes, sizeof bytes);
  assert_true(size > 0);
  char path[BROKER_PATH_MAX + 16];
  snprintf(path, sizeof path, "%s/receipt", certs);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, (size_t)size, file), (size_t)size);
  fclose(file);
  broker_publish(&it.place.mosquitto, certs, "ingest", "htel/v1/dev-1/receipt", "-f", path, NULL);
}

/* ---- Unset at boot ------------------------------------------------------------------------- */

static void test_without_a_clock_nobody_is_called_until_it_is_set(void **state) {
  (void)state;
  for (int mqtt = 0; mqtt < 2; mqtt++) {
    clock_unset();
    device_open(mqtt != 0, 0, HTEL_DELIVERY_BROKER);
    assert_int_equal(htel_record(it.tel, 0, 72), 0);
    assert_false(device_run(&it.stats.connects, 1, 600));
    assert_string_equal(htel_errname(it.stats.last_error), "HTEL_E_TLS_NO_TIME");
    proxy_counts counts = proxy_counts_take(&it.place.proxy);
    assert_int_equal(counts.connections, 0);
    clock_set(0);
    assert_true(device_run(&it.stats.frames_delivered, 1, 10000));
    device_close();
  }
}

static void test_with_a_floor_it_connects_at_once(void **state) {
  (void)state;
  for (int mqtt = 0; mqtt < 2; mqtt++) {
    static place here; /* its threads outlive a test that fails */
    clock_unset();
    place_open(&here, mqtt != 0, Y2020_MS);
    link_client_up(&here.client);
    link_client_close(&here.client);
    link_client_up(&here.client);
    assert_int_equal(resumed(&here), 0); /* by a floor no session is kept */
    link_client_close(&here.client);
    clock_set(-YEARS_MS(1)); /* the clock is set, and counts at once */
    assert_refused(&here, HTEL_E_TLS_NOT_YET);
    clock_set(0);
    link_client_up(&here.client);
    link_client_close(&here.client);
    link_client_up(&here.client);
    assert_int_equal(resumed(&here), 1);
    link_client_close(&here.client);
    place_close(&here);
  }
}

static bool fails_with(int error) {
  for (uint64_t until = now_ms() + 10000; now_ms() < until;) {
    device_run(&it.stats.connect_failures, it.stats.connect_failures + 1, 1000);
    if (it.stats.last_error == error) {
      return true;
    }
  }
  return false;
}

/* The way of a device that no NTP reaches: in by the floor, the time from a receipt, and by that
 * time from then on. A receipt that says "next year" shows that it is used. */
static void test_time_of_a_receipt_serves_the_next_handshake(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++) {
    int64_t ahead_ms = i < 2 ? 0 : YEARS_MS(1);
    clock_unset();
    device_open(i % 2 != 0, Y2020_MS, HTEL_DELIVERY_RECEIPT);
    int64_t utc_ms;
    assert_int_equal(htel_posix_utc(&it.place.client.posix, &utc_ms), HTEL_E_AGAIN);
    assert_int_equal(htel_record(it.tel, 0, 72), 0);
    assert_true(device_run(&it.stats.frames_in_flight, 1, 10000));
    for (int tries = 0; tries < 10 && it.stats.frames_delivered == 0; tries++) {
      receipt(1, clock_ms(CLOCK_REALTIME) + ahead_ms); /* may come before the subscription */
      device_run(&it.stats.frames_delivered, 1, 1000);
    }
    assert_int_equal(it.stats.frames_delivered, 1);
    assert_int_equal(htel_posix_utc(&it.place.client.posix, &utc_ms), 0);
    int64_t off_ms = utc_ms - clock_ms(CLOCK_REALTIME) - ahead_ms;
    assert_true(off_ms > -10000 && off_ms < 10000); /* half of the round trip */

    broker_kill(&it.place.mosquitto);
    broker_restart(&it.place.mosquitto);
    if (ahead_ms == 0) {
      assert_true(device_run(&it.stats.connects, 2, 10000));
    } else {
      assert_true(fails_with(HTEL_E_TLS_EXPIRED));
    }
    device_close();
  }
}

/* ---- Jumps --------------------------------------------------------------------------------- */

static void test_jumps_of_ten_years_end_no_connection_and_resume_none(void **state) {
  (void)state;
  static const struct {
    int64_t ahead_ms;
    int error;
  } jumps[] = {{YEARS_MS(10), HTEL_E_TLS_EXPIRED},
               {-YEARS_MS(1), HTEL_E_TLS_NOT_YET},
               {-YEARS_MS(10), HTEL_E_TLS_NO_TIME}}; /* before 2024: not set, for us */
  for (int mqtt = 0; mqtt < 2; mqtt++) {
    static place here; /* its threads outlive a test that fails */
    clock_set(0);
    place_open(&here, mqtt != 0, 0);
    link_client *client = &here.client;
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
      link_client_up(client);
      uint32_t acks = client->acks, downs = client->downs, before = resumed(&here);
      clock_set(jumps[i].ahead_ms);
      assert_int_equal(link_client_publish(client, "htel/v1/dev-1/frame", 300, 7), 0);
      assert_true(link_client_until(client, &client->acks, acks + 1, 10000));
      assert_false(link_client_until(client, &client->downs, downs + 1, 100));
      link_client_close(client);
      assert_refused(&here, jumps[i].error);
      clock_set(0);
      link_client_up(client);
      /* Nor is the session of before the jump used; where none was begun meanwhile, nothing was
       * forgotten. */
      assert_int_equal(resumed(&here) - before, jumps[i].error == HTEL_E_TLS_NO_TIME);
      link_client_close(client);
    }
    place_close(&here);
  }
}

static void test_by_a_floor_a_jump_to_before_it_is_no_hindrance(void **state) {
  (void)state;
  for (int mqtt = 0; mqtt < 2; mqtt++) {
    static place here; /* its threads outlive a test that fails */
    clock_set(0);
    place_open(&here, mqtt != 0, clock_ms(CLOCK_REALTIME));
    link_client_up(&here.client);
    link_client_close(&here.client);
    clock_set(-YEARS_MS(1));
    link_client_up(&here.client);
    assert_int_equal(resumed(&here), 0);
    link_client_close(&here.client);
    place_close(&here);
  }
}

/* ---- The 32-bit tick ----------------------------------------------------------------------- */

static void test_ticks_wrap_in_the_middle_of_connecting(void **state) {
  (void)state;
  for (int mqtt = 0; mqtt < 2; mqtt++) {
    static place here; /* its threads outlive a test that fails */
    link_client *client = &here.client;
    ticks_wrap_in(500);
    place_open(&here, mqtt != 0, 0);
    proxy_freeze(&here.proxy, true);
    link_client_free(client);
    link_client_new(client, &(link_client_options){.certs = certs,
                                                   .id = "dev-1",
                                                   .port = here.proxy.port,
                                                   .connect_timeout_ms = 2000,
                                                   .mqtt = mqtt != 0});
    uint64_t since = now_ms();
    assert_string_equal(htel_errname(link_client_fails(client)), "HTEL_E_LINK_SILENT");
    uint64_t took = now_ms() - since;
    assert_true(took >= 2000 && took < 3500);
    place_close(&here);
  }
}

/* Keep-alive, publishing and the notice of silence go on as if nothing had happened. */
static void test_ticks_wrap_while_connected(void **state) {
  (void)state;
  for (int mqtt = 0; mqtt < 2; mqtt++) {
    static place here; /* its threads outlive a test that fails */
    ticks_wrap_in(1500);
    place_open(&here, mqtt != 0, 0);
    link_client *client = &here.client;
    client->keep_alive_s = 1;
    link_client_up(client);
    for (uint32_t i = 1; i <= 8; i++) {
      assert_int_equal(link_client_publish(client, "htel/v1/dev-1/frame", 300, i), 0);
      assert_false(link_client_until(client, &client->downs, 1, 500));
      assert_int_equal(client->acks, i);
    }
    link_client_close(client);
    place_close(&here);

    ticks_wrap_in(2000);
    place_open(&here, mqtt != 0, 0);
    client->keep_alive_s = 4;
    link_client_up(client);
    assert_int_equal(link_client_publish(client, "htel/v1/dev-1/frame", 300, 9), 0);
    assert_true(link_client_until(client, &client->acks, 1, 5000));
    proxy_freeze(&here.proxy, true);
    uint64_t since = now_ms();
    assert_true(link_client_until(client, &client->downs, 1, 10000));
    assert_string_equal(htel_errname(client->down_error), "HTEL_E_LINK_SILENT");
    assert_true(now_ms() - since >= 5000 && now_ms() - since < 8000);
    place_close(&here);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, clock_reset, clock_reset)
      T(test_without_a_clock_nobody_is_called_until_it_is_set),
      T(test_with_a_floor_it_connects_at_once),
      T(test_time_of_a_receipt_serves_the_next_handshake),
      T(test_jumps_of_ten_years_end_no_connection_and_resume_none),
      T(test_by_a_floor_a_jump_to_before_it_is_no_hindrance),
      T(test_ticks_wrap_in_the_middle_of_connecting),
      T(test_ticks_wrap_while_connected),
  };
  return cmocka_run_group_tests_name("tls_clock", tests, group_setup, group_teardown);
}
