/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_intake.c - the ingest from its source to its database, and messages that may be anything.
 *
 * The input: messages, one after the other: any bytes on any topic, or a frame of which the input
 * chooses key, tick, anchors, losses and data. The store is the real one, in memory. Every receipt
 * must be readable and cover only what is stored or kept aside; every message must have a fate;
 * the audit afterwards must end well. */
#include <stdio.h>

#include "audit.h"
#include "birth.h"
#include "frame.h"
#include "fuzz.h"
#include "intake.h"
#include "store_sqlite.h"
#include "store_sqlite_parts.h"

#define MESSAGES_MAX 200u

static const char *const devices[] = {"d1", "d2", "another-device_of-thirty-six-chars-0"};
static const char *const names[] = {"frame", "frame", "frame", "birth", "status", "receipt", ""};

typedef struct world {
  fuzz_in in;
  store real;
  source source;
  intake_clock clock;
  int64_t now_ms;
  unsigned given;
  uint32_t schema;
  char topic[80];
  uint8_t bytes[HTEL_FRAME_BYTES_MAX];
} world;

static world w;

/* ---- Messages ------------------------------------------------------------------------- */

static size_t birth_make(void) {
  static const htel_channel channels[] = {
      {.code = 1, .kind = HTEL_WAVEFORM, .rate = {250, 1}},
      {.code = 2, .kind = HTEL_NUMERIC},
      {.code = 3, .kind = HTEL_ALARM},
  };
  birth_source about = {"test", channels, 3};
  uint32_t size = birth_size(&about);
  MUST(birth_read(&about, 0, w.bytes, size) == 0);
  w.schema = birth_schema(&about);
  return size;
}

static void company_make(frame_parts *parts, uint8_t how, htel_anchor *anchors, htel_loss *losses) {
  fuzz_in *in = &w.in;
  parts->anchor_count = how >> 2 & 3u;
  parts->loss_count = how >> 4 & 3u;
  for (unsigned i = 0; i < parts->anchor_count; i++)
    anchors[i] =
        (htel_anchor){how & 1u ? fuzz_u64(in) : fuzz_u16(in),
                      how & 1u ? (int64_t)fuzz_u64(in) : 1700000000000 + fuzz_u16(in), fuzz_u8(in)};
  for (unsigned i = 0; i < parts->loss_count; i++)
    losses[i] = (htel_loss){.cause = fuzz_u8(in) % 4u,
                            .boot = how & 2u ? parts->boot : fuzz_u64(in),
                            .boot_last = how & 2u ? 0 : fuzz_u64(in),
                            .channel = fuzz_u8(in),
                            .frame_class = fuzz_u8(in) % 4u,
                            .sequence_first = fuzz_u8(in),
                            .sequence_last = how & 1u ? fuzz_u32(in) : fuzz_u8(in),
                            .frames = fuzz_u8(in),
                            .tick_first = fuzz_u16(in),
                            .tick_last = how & 1u ? fuzz_u64(in) : UINT32_MAX,
                            .readings = how & 1u ? fuzz_u64(in) : fuzz_u8(in),
                            .id = fuzz_u8(in),
                            .at_most = (how & 64u) != 0};
  parts->anchors = anchors;
  parts->losses = losses;
}

static size_t frame_make(void) {
  uint8_t how = fuzz_u8(&w.in);
  htel_anchor anchors[3];
  htel_loss losses[3];
  frame_parts parts = {.boot = how & 1u ? fuzz_u64(&w.in) : 1,
                       .sequence = how & 1u ? fuzz_u32(&w.in) : fuzz_u8(&w.in) % 24u,
                       .frame_class = fuzz_u8(&w.in) % 3u,
                       .tick = how & 1u ? fuzz_u64(&w.in) : fuzz_u16(&w.in),
                       .schema = how & 128u ? fuzz_u32(&w.in) : w.schema,
                       .session = fuzz_u8(&w.in)};
  company_make(&parts, how, anchors, losses);
  parts.data_bytes = fuzz_bytes(&w.in, fuzz_u8(&w.in), &parts.data);
  int size = frame_encode(&parts, w.bytes, sizeof w.bytes);
  MUST(size > 0);
  return (size_t)size;
}

static size_t raw_make(void) {
  const uint8_t *bytes;
  size_t size = fuzz_bytes(&w.in, fuzz_u16(&w.in) % 2048u, &bytes);
  if (size > 0) memcpy(w.bytes, bytes, size);
  return size;
}

/* A raw frame whose checksum is right. */
static size_t signed_make(void) {
  size_t size = raw_make();
  uint32_t crc = htel_crc32(0, w.bytes, size);
  w.bytes[size++] = 0x7D;
  for (unsigned i = 0; i < 4; i++) w.bytes[size++] = (uint8_t)(crc >> 8 * i);
  return size;
}

static int source_next(void *ctx, uint32_t wait_ms, source_message *message) {
  (void)ctx;
  if (w.in.left == 0 || w.given == MESSAGES_MAX) {
    w.now_ms += wait_ms;
    return SOURCE_END;
  }
  uint8_t what = fuzz_u8(&w.in);
  const char *name = names[(what >> 3) % 7u];
  snprintf(w.topic, sizeof w.topic, "htel/v1/%s/%s", devices[what % 8u % 3u], name);
  size_t size = 0;
  switch (what >> 6) {
    case 0: size = frame_make(); break;
    case 1: size = signed_make(); break;
    case 2: size = raw_make(); break;
    default: size = name[0] == 'b' ? birth_make() : raw_make(); break;
  }
  *message = (source_message){w.topic, w.bytes, size};
  if (what == 0xF7) *message = (source_message){w.topic, NULL, 1000000};
  w.given++;
  return SOURCE_MESSAGE;
}

/* ---- Receipts ------------------------------------------------------------------------- */

static bool is_stored(const char *device, uint64_t boot, uint32_t sequence) {
  static const uint8_t digest[DIGEST_BYTES];
  store_outcome outcome;
  MUST(w.real.frame_find(w.real.ctx, device, boot, sequence, digest, &outcome) == STORE_OK);
  return outcome != STORE_NEW;
}

typedef struct wanted_key {
  uint64_t boot;
  uint32_t sequence;
  bool found;
} wanted_key;

static bool aside_look(void *arg, uint64_t boot, uint32_t sequence) {
  wanted_key *key = arg;
  key->found |= boot == key->boot && sequence == key->sequence;
  return true;
}

static bool is_aside(const char *device, uint64_t boot, uint32_t sequence) {
  wanted_key key = {.boot = boot, .sequence = sequence};
  MUST(w.real.asides_visit(w.real.ctx, device, aside_look, &key) == STORE_OK);
  return key.found;
}

static bool publish(void *ctx, const char *topic, const uint8_t *payload, size_t size) {
  (void)ctx;
  char device[DEVICE_BYTES], rest[16];
  htel_receipt r;
  MUST(sscanf(topic, "htel/v1/%36[A-Za-z0-9_-]/%15s", device, rest) == 2);
  MUST(strcmp(rest, "receipt") == 0 && htel_receipt_decode(&r, payload, size) == 0);
  for (unsigned i = 0; i < r.stored_count; i++)
    for (uint32_t s = r.stored[i].first; s <= r.stored[i].last && s != 0; s++)
      MUST(is_stored(device, r.boot, s));
  for (unsigned i = 0; i < r.quarantined_count; i++)
    for (uint32_t s = r.quarantined[i].first; s <= r.quarantined[i].last && s != 0; s++)
      MUST(is_aside(device, r.boot, s));
  return true;
}

/* ---- Life ----------------------------------------------------------------------------- */

static int64_t utc_ms(void *ctx) {
  (void)ctx;
  return w.now_ms + 1700000000000;
}

static int64_t tick_ms(void *ctx) {
  (void)ctx;
  return w.now_ms++;
}

static void sleep_ms(void *ctx, uint32_t ms) {
  (void)ctx;
  w.now_ms += ms;
}

static void store_empty(void) {
  static const char empty[] =
      "BEGIN; DELETE FROM devices; DELETE FROM births; DELETE FROM channels; DELETE FROM frames;"
      "DELETE FROM numerics; DELETE FROM waves; DELETE FROM alarms; DELETE FROM anchors;"
      "DELETE FROM losses; DELETE FROM counters; DELETE FROM alerts; DELETE FROM quarantine;"
      "COMMIT";
  static int changes;
  char error[256];
  if (w.real.ctx == NULL)
    MUST(store_sqlite_open(&w.real, ":memory:", STORE_SQLITE_WRITE, error, sizeof error) == 0);
  sqlite3 *db = ((sqlite_store *)w.real.ctx)->db;
  if (sqlite3_total_changes(db) == changes) return;
  MUST(sqlite3_exec(db, empty, NULL, NULL, NULL) == SQLITE_OK);
  changes = sqlite3_total_changes(db);
}

static void audit_all(void) {
  for (unsigned i = 0; i < sizeof devices / sizeof devices[0]; i++) {
    audit_report report;
    MUST(audit_device(&w.real, devices[i], &report) == STORE_OK);
    audit_clean(&report);
    audit_free(&report);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  w.in = (fuzz_in){data, size};
  w.given = 0;
  w.now_ms = 1;
  w.schema = 0;
  birth_make();
  store_empty();
  w.source = (source){.next = source_next, .publish = publish};
  w.clock = (intake_clock){NULL, utc_ms, tick_ms, sleep_ms};
  intake_config config = {.source = &w.source,
                          .store = &w.real,
                          .clock = &w.clock,
                          .commit_ms = 1000,
                          .commit_messages = 1u + fuzz_u8(&w.in) % 8u};
  intake *in = intake_open(&config);
  MUST(in != NULL);
  int rc = INTAKE_WROTE;
  for (unsigned i = 0; rc != INTAKE_END; i++) {
    MUST(i < 2 * MESSAGES_MAX && rc != INTAKE_HELD_UP);
    rc = intake_step(in, 0);
  }
  const intake_stats *s = intake_stats_get(in);
  MUST(s->messages == w.given && s->refused == 0 && s->commit_retries == 0);
  MUST(s->foreign + s->stored + s->duplicates + s->conflicts + s->poison + s->unreadable +
           s->birthless + s->births + s->births_refused + s->statuses <=
       s->messages);
  intake_close(in);
  audit_all();
  return 0;
}
