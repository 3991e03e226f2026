/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_fixture.h - an ingest without network: messages put in by hand, receipts caught. */
#ifndef INGEST_FIXTURE_H
#define INGEST_FIXTURE_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frame.h"
#include "intake.h"
#include "store_sqlite.h"
#include "store_sqlite_parts.h"

/* The channels of the device under test. */
enum { CH_PULSE = 0, CH_ECG = 1, CH_ALARM = 2 };
#define ECG_HZ 250u

#define FIXTURE_MESSAGES 4096u
#define FIXTURE_RECEIPTS 512u
#define FIXTURE_BYTES 2048u

typedef struct fixture_receipt {
  char device[DEVICE_BYTES];
  htel_receipt receipt;
} fixture_receipt;

typedef struct fixture {
  source source;
  store store;
  intake_clock clock;
  intake_config config; /* to be changed before fixture_start */
  intake *intake;
  int64_t now_ms;
  uint32_t slept_ms;
  struct {
    char topic[80];
    uint8_t *payload;
    size_t size;
  } messages[FIXTURE_MESSAGES];
  size_t message_count, message_next;
  fixture_receipt receipts[FIXTURE_RECEIPTS];
  size_t receipt_count;
  size_t alerts_told;
  uint32_t schema; /* of the birth that fixture_birth gives */
  /* Faults: the store fails with this once so many more calls of the kind have gone through. */
  store real;
  int commits_to_fail, puts_to_fail;
  int fail_with;
} fixture;

/* A frame to be made; the zero value of the rest is useful. */
typedef struct frame_spec {
  uint64_t boot;
  uint32_t sequence;
  uint64_t tick;
  int32_t value;       /* of its one numeric, taken at tick */
  uint32_t schema;     /* 0: the fixture's */
  unsigned samples;    /* waveform samples after the numeric, value, value + 1, ... */
  bool alarm;          /* an alarm event too */
  const uint8_t *data; /* instead of all these readings */
  size_t data_size;
  const htel_anchor *anchors;
  unsigned anchor_count;
  const htel_loss *losses;
  unsigned loss_count;
} frame_spec;

fixture *fixture_open(const char *db_path); /* NULL: in memory */
void fixture_start(fixture *f);             /* the intake, with f->config */
void fixture_close(fixture *f);

size_t frame_make(const fixture *f, const frame_spec *spec, uint8_t *out, size_t room);
size_t birth_make(int32_t gain, uint8_t *out, size_t room, uint32_t *schema);

void fixture_give(fixture *f, const char *device, const char *kind, const void *bytes, size_t size);
void fixture_birth(fixture *f, const char *device);
void fixture_frame(fixture *f, const char *device, const frame_spec *spec);
/* Steps until all messages are in. */
void fixture_run(fixture *f);

/* The receipts since the last call about this device and boot, joined into one. */
htel_receipt fixture_receipt_take(fixture *f, const char *device, uint64_t boot);
bool receipt_has(const htel_range *ranges, unsigned count, uint32_t sequence);

/* One number out of the database. */
int64_t fixture_sql(fixture *f, const char *sql);

#endif
