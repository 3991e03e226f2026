/* SPDX-License-Identifier: Apache-2.0 */
/* faults_scene.h - what every case of test_faults has: a device, a network that can be made bad, a
 * real broker, a real ingest with its database.
 *
 *     device --> link_proxy --> broker --> htel-ingest run --> SQLite
 *
 *     scene s;
 *     scene_begin(&s, NULL);          broker and ingest run, the device is open and not yet polled
 *     ... faults, device_run(&s.device, ms) ...
 *     scene_end(&s);                  all well again: everything has to arrive, once, explained
 */
#ifndef HTEL_TEST_FAULTS_SCENE_H
#define HTEL_TEST_FAULTS_SCENE_H

#include "device.h"
#include "link_proxy.h"

typedef struct faults_options { /* of the whole program */
  const char *certs;            /* of dev-1 and dev-2, and of the servers */
  bool mqtt;                    /* which link, */
  bool rabbitmq;                /* and which broker, if not mosquitto */
  unsigned seed;
} faults_options;
extern faults_options faults;

typedef struct scene {
  broker broker;
  link_proxy proxy;
  device device;
  pid_t ingest;                /* -1: none */
  const char *ingest_pause_ms; /* between commit and receipt, for the next scene_ingest; or NULL */
  char database[BROKER_PATH_MAX + 16], ingest_log[BROKER_PATH_MAX + 16];
} scene;

/* `options`: what the device is to be like (id, certs, port and link are filled in), or NULL. */
void scene_begin(scene *self, const device_options *options);
void scene_end(scene *self);
/* The same in parts, for cases that end in another way. */
void scene_heal(scene *self);
void scene_finish(scene *self);              /* device_close, and the ingest ends in order */
void scene_check(scene *self, bool losses);  /* device_verify and the audit */
void scene_audit(scene *self, int expected); /* its exit status */
void scene_free(scene *self);

void scene_ingest(scene *self); /* starts it, waits until it is at the broker */
void scene_ingest_kill(scene *self);

/* Runs the device until it is up, or down; asserts that this takes at most `ms`; how long it took.
 */
unsigned scene_until_up(scene *self, unsigned ms);
unsigned scene_until_down(scene *self, unsigned ms);

/* One number of the database, 0 while there is none. */
uint64_t scene_number(const scene *self, const char *sql);

/* The cases: faults_network.c, faults_broker.c, faults_alarm.c. */
void case_good_network(void **state);
void case_flapping(void **state);
void case_slow_link(void **state);
void case_one_byte_fragments(void **state);
void case_would_block(void **state);
void case_broken_pipe(void **state);
void case_delay_and_jitter(void **state);
void case_half_open_idle(void **state);
void case_half_open_sending(void **state);
void case_one_way_up(void **state);
void case_one_way_down(void **state);
void case_broker_says_nothing(void **state);
void case_broker_reads_one_byte_a_second(void **state);
void case_name_server_hangs(void **state);
void case_name_server_fails(void **state);
void case_overflow_is_told(void **state);

void case_broker_killed(void **state);
void case_broker_refuses(void **state);
void case_pubacks_never_come(void **state);
void case_receipts_never_come(void **state);
void case_receipts_come_late(void **state);
void case_ingest_killed(void **state);
void case_database_locked(void **state);
void case_disk_full(void **state);
void case_hostile_frames(void **state);
void case_boot_number_given_twice(void **state);

void case_alarms_pass_the_backlog(void **state);

#endif
