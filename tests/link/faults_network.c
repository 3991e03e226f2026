/* SPDX-License-Identifier: Apache-2.0 */
/* faults_network.c - what the network does: it flaps, crawls, splits, delays, falls silent, loses
 * names. See faults_scene.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "faults_scene.h"
#include "libc_faults.h"
#include "link_server.h"

#define UP_MS_MAX 15000u
#define LATE_MS 500u /* what a busy machine may add */

/* paho pings one keep-alive after the last packet, up to 2 s late: below 6 s its link waits
 * longer than 1.5 keep-alives. */
static uint16_t keep_alive_s(void) {
  return faults.mqtt ? 4 : 6;
}

static unsigned silence_ms(void) {
  return keep_alive_s() * 1500u;
}

void case_good_network(void **state) {
  (void)state;
  scene s;
  scene_begin(&s, NULL);
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 3000);
  assert_int_equal(device_stats(&s.device).frames_resent, 0);
  scene_end(&s);
}

/* Ended at any byte of the handshake, of CONNECT, of a frame, of a receipt. */
static void cut(scene *s) {
  proxy_way way = {.end_after = 1 + (unsigned)(rand() % 200) * (unsigned)(rand() % 20),
                   .end = (proxy_end)(rand() % (PROXY_RESET + 1))};
  proxy_set(&s->proxy, rand() % 2 == 0 ? &(proxy_faults){.up = way} : &(proxy_faults){.down = way});
}

/* Connected now, as it will be when it is looked at again. */
static void heap_note_up(scene *s) {
  scene_heal(s);
  scene_until_up(s, UP_MS_MAX);
  device_run(&s->device, 500);
  device_heap_note(&s->device);
}

void case_flapping(void **state) {
  (void)state;
  enum { CUTS = 40, WARM = 5 };
  scene s;
  srand(faults.seed);
  scene_begin(&s, &(device_options){.age_ms_max = 100});
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 1000);
  unsigned ends = 0;
  for (uint64_t until = now_ms() + 30000; ends < CUTS && now_ms() < until;) {
    unsigned before = ends;
    sockets_stutter(ends % 2 == 0 ? s.proxy.port : 0, 70, 4000); /* so that it hears of it late */
    cut(&s);
    for (uint64_t late = now_ms() + 2000; ends == before && now_ms() < late;) {
      device_run(&s.device, 20);
      ends += proxy_counts_take(&s.proxy).ends;
    }
    if (before < WARM && ends >= WARM) heap_note_up(&s);
  }
  htel_stats stats = device_stats(&s.device);
  print_message("cut %u times: %u times when up, %u times on the way there\n", ends,
                stats.disconnects, stats.connect_failures);
  assert_true(ends >= CUTS / 2);
  assert_true(stats.disconnects > 0 && stats.connect_failures > 0);
  scene_end(&s);
}

void case_slow_link(void **state) {
  (void)state;
  static const proxy_way crawl = {.bytes_per_s = 1}, slow = {.bytes_per_s = 2500};
  scene s;
  scene_begin(&s, &(device_options){.receipt_wait_ms = 10000});
  scene_until_up(&s, UP_MS_MAX);
  proxy_set(&s.proxy, &(proxy_faults){.up = crawl, .down = crawl});
  device_run(&s.device, 4000);
  proxy_set(&s.proxy, &(proxy_faults){.up = slow, .down = slow});
  device_run(&s.device, 5000);
  proxy_set(&s.proxy, &(proxy_faults){.up = {.bytes_per_s = 2500, .end_after = 1},
                                      .down = {.bytes_per_s = 2500}}); /* and a handshake over it */
  scene_until_down(&s, 5000);
  proxy_set(&s.proxy, &(proxy_faults){.up = slow, .down = slow});
  print_message("up again over 20 kbit/s after %u ms\n", scene_until_up(&s, UP_MS_MAX));
  device_run(&s.device, 2000);
  scene_end(&s);
}

void case_one_byte_fragments(void **state) {
  (void)state;
  static const proxy_way split = {.piece_bytes = 1};
  scene s;
  scene_begin(&s, NULL);
  proxy_set(&s.proxy, &(proxy_faults){.up = split, .down = split});
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 3000);
  scene_end(&s);
}

/* Nine of ten sends and receives would block, the tenth moves a few bytes. */
void case_would_block(void **state) {
  (void)state;
  scene s;
  scene_begin(&s, NULL);
  sockets_stutter(s.proxy.port, 90, 9);
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 3000);
  print_message("would have blocked %u times\n", sockets_blocked());
  assert_true(sockets_blocked() > 1000);
  scene_end(&s);
}

/* Dies of SIGPIPE who lets it. */
void case_broken_pipe(void **state) {
  (void)state;
  scene s;
  scene_begin(&s, NULL);
  for (unsigned i = 0; i < 5; i++) {
    scene_until_up(&s, UP_MS_MAX);
    device_run(&s.device, 300);
    sockets_break(s.proxy.port);
    scene_until_down(&s, 3000);
    assert_int_equal(device_stats(&s.device).last_error, HTEL_E_LINK_LOST);
  }
  scene_end(&s);
}

void case_delay_and_jitter(void **state) {
  (void)state;
  static const proxy_way late = {.delay_ms = 300, .jitter_ms = 100};
  scene s;
  scene_begin(&s, NULL);
  proxy_set(&s.proxy, &(proxy_faults){.up = late, .down = late});
  print_message("up after %u ms\n", scene_until_up(&s, UP_MS_MAX));
  device_run(&s.device, 4000);
  scene_end(&s);
}

/* ---- Half-open --------------------------------------------------------------------------- */

static void assert_noticed(scene *s) {
  unsigned took = scene_until_down(s, silence_ms() + LATE_MS);
  print_message("keep-alive %u s: noticed after %u ms\n", keep_alive_s(), took);
  assert_int_equal(device_stats(&s->device).last_error, HTEL_E_LINK_SILENT);
}

static bool nothing_waits(device *d) {
  return device_stats(d).frames_waiting == 0;
}

static void half_open(bool idle) {
  scene s;
  scene_begin(&s, &(device_options){.keep_alive_s = keep_alive_s(), .receipt_wait_ms = 30000});
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 1000);
  device_idle(&s.device, idle);
  assert_true(!idle || device_until(&s.device, nothing_waits, 5000));
  proxy_stall(&s.proxy);
  assert_noticed(&s);
  device_idle(&s.device, false);
  print_message("up again after %u ms\n", scene_until_up(&s, 5000));
  scene_end(&s);
}

void case_half_open_idle(void **state) {
  (void)state;
  half_open(true);
}

void case_half_open_sending(void **state) {
  (void)state;
  half_open(false);
}

static void one_way(const proxy_faults *frozen) {
  scene s;
  scene_begin(&s, &(device_options){.keep_alive_s = keep_alive_s(), .connect_timeout_ms = 1500});
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 1000);
  proxy_set(&s.proxy, frozen);
  assert_noticed(&s);
  device_run(&s.device, 2000); /* no new one comes up either */
  assert_false(device_is_up(&s.device));
  scene_end(&s);
}

void case_one_way_up(void **state) {
  (void)state;
  one_way(&(proxy_faults){.up.frozen = true});
}

void case_one_way_down(void **state) {
  (void)state;
  one_way(&(proxy_faults){.down.frozen = true});
}

/* ---- Servers that are there and do not serve ----------------------------------------------- */

void case_broker_says_nothing(void **state) {
  (void)state;
  scene s;
  scene_begin(&s, &(device_options){.connect_timeout_ms = 1500});
  proxy_set(&s.proxy, &(proxy_faults){.door = PROXY_SWALLOWS});
  device_run(&s.device, 2500);
  assert_int_equal(device_stats(&s.device).last_error, HTEL_E_LINK_SILENT);

  link_server server; /* which is silent once TLS is there */
  server_start(&server,
               &(server_script){.kind = SERVER_MQTT, .certs = faults.certs, .silent = true});
  proxy_lead(&s.proxy, server.port);
  proxy_set(&s.proxy, &(proxy_faults){0});
  device_run(&s.device, 4500);
  assert_true(atomic_load(&server.application_bytes) > 0);
  assert_int_equal(device_stats(&s.device).last_error, HTEL_E_LINK_SILENT);
  assert_int_equal(device_stats(&s.device).connects, 0);
  assert_true(device_stats(&s.device).connect_failures >= 3);

  proxy_set(&s.proxy, &(proxy_faults){.door = PROXY_REFUSES});
  device_run(&s.device, 1000);
  scene_heal(&s);
  scene_until_up(&s, UP_MS_MAX);
  server_stop(&server);
  scene_end(&s);
}

void case_broker_reads_one_byte_a_second(void **state) {
  (void)state;
  static const proxy_way crawl = {.bytes_per_s = 1};
  scene s;
  scene_begin(&s, &(device_options){.connect_timeout_ms = 1500});
  proxy_set(&s.proxy, &(proxy_faults){.up = crawl}); /* in the handshake */
  device_run(&s.device, 2500);
  assert_int_equal(device_stats(&s.device).last_error, HTEL_E_LINK_SILENT);
  scene_heal(&s);
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 500);
  proxy_counts_take(&s.proxy);
  proxy_set(&s.proxy, &(proxy_faults){.up = crawl}); /* and when it was up */
  device_run(&s.device, 6000);
  assert_in_range(proxy_counts_take(&s.proxy).bytes_up, 1, 10);
  scene_end(&s);
}

/* ---- Names ------------------------------------------------------------------------------- */

static void bad_names(resolver_mood mood) {
  scene s;
  scene_begin(&s, &(device_options){.connect_timeout_ms = 700});
  resolver_set(mood);
  device_run(&s.device, 3000);
  htel_stats stats = device_stats(&s.device);
  assert_int_equal(stats.last_error, HTEL_E_RESOLVE);
  assert_true(stats.connect_failures >= 2);
  resolver_set(RESOLVER_GOOD);
  scene_until_up(&s, UP_MS_MAX);
  scene_end(&s);
}

void case_name_server_hangs(void **state) {
  (void)state;
  bad_names(RESOLVER_HANGS);
}

void case_name_server_fails(void **state) {
  (void)state;
  bad_names(RESOLVER_FAILS);
}

/* ---- Away for too long ------------------------------------------------------------------- */

void case_overflow_is_told(void **state) {
  (void)state;
  scene s;
  scene_begin(&s, &(device_options){
                      .gated = true, .quiet = true, .outbox_bytes = 16384, .age_ms_max = 10000});
  device_leap(&s.device, 300000);
  assert_true(device_stats(&s.device).frames_evicted > 0);
  device_gate(&s.device);
  scene_until_up(&s, UP_MS_MAX);
  device_run(&s.device, 1000);
  scene_finish(&s);
  scene_check(&s, true);
  scene_free(&s);
}
