/* SPDX-License-Identifier: Apache-2.0 */
/* live.h - the same devices against a real broker and ingest, in real time.
 *
 * One thread, one epoll: each device is the library, ports/mqtt and ports/dial (TLS), with its
 * outbox in RAM. At the end what was recorded is held against the ingest's database by the same
 * oracle, where one is named. */
#ifndef FLEET_LIVE_H
#define FLEET_LIVE_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "plan.h"

#define LIVE_DEVICES_MAX 10000u

typedef struct live_options {
  const char *broker;          /* host:port */
  const char *ca;              /* NULL: ca.crt in certificate_dir */
  const char *certificate_dir; /* ID.crt of each device */
  const char *key_dir;         /* ID.key; NULL: certificate_dir */
  const char *database;        /* of htel-ingest (SQLite), for the check; NULL: none */
  uint64_t seed;
  uint32_t devices;
  uint32_t seconds;
  bool progress;             /* a line a second on stderr */
  const volatile bool *stop; /* becomes true: stop recording, deliver, check; NULL: never */
} live_options;

/* The devices' ids, one a line: who makes their certificates needs them beforehand. */
void live_ids_print(FILE *out, const live_options *options);

/* Runs until the time is over or stopped, then delivers the rest. `out` gets the members that the
 * result of a simulated run has, as far as they apply. 0: nothing lost; 1: violations; 2: could not
 * run (`error`). */
int live_run(const live_options *options, const scenario *s, cJSON *out, char *error,
             size_t error_size);

#endif
