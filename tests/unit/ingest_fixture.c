/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest_fixture.h"

#include "birth.h"
#include "code.h"

/* ---- Source --------------------------------------------------------------------------- */

static int next(void *ctx, uint32_t wait_ms, source_message *message) {
  fixture *f = ctx;
  if (f->message_next == f->message_count) {
    f->now_ms += wait_ms;
    return SOURCE_NONE;
  }
  size_t i = f->message_next++;
  bool kept = f->messages[i].size <= HTEL_FRAME_BYTES_MAX;
  *message = (source_message){f->messages[i].topic, kept ? f->messages[i].payload : NULL,
                              f->messages[i].size};
  return SOURCE_MESSAGE;
}

static bool publish(void *ctx, const char *topic, const uint8_t *payload, size_t size) {
  fixture *f = ctx;
  assert_true(f->receipt_count < FIXTURE_RECEIPTS);
  fixture_receipt *r = &f->receipts[f->receipt_count++];
  char rest[16] = "";
  assert_int_equal(sscanf(topic, "htel/v1/%36[A-Za-z0-9_-]/%15s", r->device, rest), 2);
  assert_string_equal(rest, "receipt");
  assert_int_equal(htel_receipt_decode(&r->receipt, payload, size), 0);
  return true;
}

/* ---- Clock ---------------------------------------------------------------------------- */

static int64_t utc_ms(void *ctx) {
  return ((fixture *)ctx)->now_ms + 1700000000000;
}

static int64_t tick_ms(void *ctx) {
  return ((fixture *)ctx)->now_ms;
}

static void sleep_ms(void *ctx, uint32_t ms) {
  ((fixture *)ctx)->now_ms += ms;
  ((fixture *)ctx)->slept_ms += ms;
}

/* ---- A store that fails when asked to -------------------------------------------------- */

static int failing_commit(void *ctx) {
  fixture *f = ctx;
  if (f->commits_to_fail > 0) {
    f->commits_to_fail--;
    return f->fail_with;
  }
  return f->real.commit(f->real.ctx);
}

static int failing_frame_put(void *ctx, const store_frame *frame, store_outcome *outcome) {
  fixture *f = ctx;
  int rc = f->real.frame_put(f->real.ctx, frame, outcome);
  if (rc == STORE_OK && f->puts_to_fail > 0 && frame->frame->sequence == 666) {
    f->puts_to_fail--;
    return f->fail_with;
  }
  return rc;
}

#define PASS(name, ...) f->real.name(f->real.ctx, __VA_ARGS__)

static int pass_begin(void *ctx) {
  fixture *f = ctx;
  return f->real.begin(f->real.ctx);
}

static void pass_rollback(void *ctx) {
  fixture *f = ctx;
  f->real.rollback(f->real.ctx);
}

static int pass_find(void *ctx, const char *device, uint64_t boot, uint32_t sequence,
                     const uint8_t *digest, store_outcome *outcome) {
  fixture *f = ctx;
  return PASS(frame_find, device, boot, sequence, digest, outcome);
}

static int pass_aside(void *ctx, const store_aside *aside, uint32_t limit, store_outcome *outcome) {
  fixture *f = ctx;
  return PASS(aside_put, aside, limit, outcome);
}

static int pass_loss(void *ctx, const char *device, const htel_loss *loss, uint64_t boot,
                     uint32_t sequence) {
  fixture *f = ctx;
  return PASS(loss_put, device, loss, boot, sequence);
}

static int pass_birth(void *ctx, const char *device, const htel_birth *birth, const uint8_t *bytes,
                      size_t size, int64_t ms, uint32_t limit, store_outcome *outcome) {
  fixture *f = ctx;
  return PASS(birth_put, device, birth, bytes, size, ms, limit, outcome);
}

static int pass_birth_get(void *ctx, const char *device, uint32_t schema, uint8_t *buf, size_t room,
                          size_t *size) {
  fixture *f = ctx;
  return PASS(birth_get, device, schema, buf, room, size);
}

static int pass_status(void *ctx, const char *device, bool online, uint64_t boot, int64_t ms) {
  fixture *f = ctx;
  return PASS(status_put, device, online, boot, ms);
}

static int pass_counter(void *ctx, const char *device, store_counter counter, uint32_t by) {
  fixture *f = ctx;
  return PASS(counter_add, device, counter, by);
}

static int pass_alert(void *ctx, const store_alert *alert, uint32_t limit) {
  fixture *f = ctx;
  return PASS(alert_put, alert, limit);
}

static int pass_anchor(void *ctx, const char *device, uint64_t boot, const htel_anchor *anchor,
                       uint32_t sequence) {
  fixture *f = ctx;
  return PASS(anchor_put, device, boot, anchor, sequence);
}

static int pass_near(void *ctx, const char *device, uint64_t boot, uint64_t tick,
                     htel_anchor pair[2], bool found[2]) {
  fixture *f = ctx;
  return PASS(anchors_near, device, boot, tick, pair, found);
}

static int pass_place(void *ctx, const char *device, uint64_t boot, uint64_t first, uint64_t last,
                      int64_t offset) {
  fixture *f = ctx;
  return PASS(frames_place, device, boot, first, last, offset);
}

static const store failing_store = {.begin = pass_begin,
                                    .commit = failing_commit,
                                    .rollback = pass_rollback,
                                    .frame_put = failing_frame_put,
                                    .frame_find = pass_find,
                                    .aside_put = pass_aside,
                                    .loss_put = pass_loss,
                                    .birth_put = pass_birth,
                                    .birth_get = pass_birth_get,
                                    .status_put = pass_status,
                                    .counter_add = pass_counter,
                                    .alert_put = pass_alert,
                                    .anchor_put = pass_anchor,
                                    .anchors_near = pass_near,
                                    .frames_place = pass_place};

/* ---- Making messages ------------------------------------------------------------------- */

size_t birth_make(int32_t gain, uint8_t *out, size_t room, uint32_t *schema) {
  const htel_channel channels[] = {
      [CH_PULSE] = {.code = HTEL_MDC_PULSE_RATE_OXIMETER,
                    .name = "PULSE",
                    .unit = "/min",
                    .kind = HTEL_NUMERIC,
                    .gain = gain},
      [CH_ECG] = {.code = HTEL_MDC_ECG_LEAD_II,
                  .name = "ECG_II",
                  .unit = "mV",
                  .kind = HTEL_WAVEFORM,
                  .rate = {ECG_HZ, 1},
                  .gain = 200,
                  .offset = 1024},
      [CH_ALARM] = {.code = HTEL_MDC_PRIVATE(0xF001), .name = "ALARM", .kind = HTEL_ALARM},
  };
  birth_source about = {"test", channels, 3};
  uint32_t size = birth_size(&about);
  assert_true(size <= room);
  assert_int_equal(birth_read(&about, 0, out, size), 0);
  *schema = birth_schema(&about);
  return size;
}

static size_t data_make(const frame_spec *spec, uint8_t *data, size_t room) {
  uint32_t tick = (uint32_t)spec->tick;
  code_column numeric = {.channel = CH_PULSE,
                         .kind = HTEL_NUMERIC,
                         .count = 1,
                         .values = &spec->value,
                         .tick_first = spec->tick,
                         .ticks = &tick};
  size_t used = code_block_encode(&numeric, spec->tick, CODE_RICE, data, room);
  assert_true(used > 0);
  int32_t values[HTEL_COLUMN_SAMPLES_MAX];
  for (unsigned i = 0; i < spec->samples; i++) values[i] = spec->value + (int32_t)i;
  code_column wave = {.channel = CH_ECG,
                      .kind = HTEL_WAVEFORM,
                      .count = (uint16_t)spec->samples,
                      .values = values,
                      .tick_first = spec->tick};
  if (spec->samples > 0)
    used += code_block_encode(&wave, spec->tick, CODE_RICE, data + used, room - used);
  htel_alarm_event event = {
      .code = 42, .state = HTEL_ALARM_ACTIVE, .priority = HTEL_PRIORITY_HIGH, .source = CH_PULSE};
  if (spec->alarm)
    used += code_alarm_encode(CH_ALARM, &event, spec->tick, spec->tick, data + used, room - used);
  return used;
}

size_t frame_make(const fixture *f, const frame_spec *spec, uint8_t *out, size_t room) {
  uint8_t data[4096];
  size_t data_size = spec->data != NULL ? spec->data_size : data_make(spec, data, sizeof data);
  frame_parts parts = {.boot = spec->boot,
                       .sequence = spec->sequence,
                       .frame_class = spec->samples > 0 ? HTEL_CLASS_WAVEFORM : HTEL_CLASS_NUMERIC,
                       .tick = spec->tick,
                       .schema = spec->schema != 0 ? spec->schema : f->schema,
                       .data = spec->data != NULL ? spec->data : data,
                       .data_bytes = data_size,
                       .anchors = spec->anchors,
                       .anchor_count = (uint16_t)spec->anchor_count,
                       .losses = spec->losses,
                       .loss_count = (uint16_t)spec->loss_count};
  int size = frame_encode(&parts, out, room);
  assert_true(size > 0);
  return (size_t)size;
}

void fixture_give(fixture *f, const char *device, const char *kind, const void *bytes,
                  size_t size) {
  if (f->message_next == f->message_count) {
    for (size_t i = 0; i < f->message_count; i++) free(f->messages[i].payload);
    f->message_count = f->message_next = 0;
  }
  assert_true(f->message_count < FIXTURE_MESSAGES);
  size_t i = f->message_count++;
  snprintf(f->messages[i].topic, sizeof f->messages[i].topic, "htel/v1/%s/%s", device, kind);
  f->messages[i].payload = malloc(size + 1);
  assert_non_null(f->messages[i].payload);
  if (size > 0) memcpy(f->messages[i].payload, bytes, size);
  f->messages[i].size = size;
}

void fixture_birth(fixture *f, const char *device) {
  uint8_t bytes[FIXTURE_BYTES];
  size_t size = birth_make(1, bytes, sizeof bytes, &f->schema);
  fixture_give(f, device, "birth", bytes, size);
}

void fixture_frame(fixture *f, const char *device, const frame_spec *spec) {
  static uint8_t bytes[HTEL_FRAME_BYTES_MAX];
  fixture_give(f, device, "frame", bytes, frame_make(f, spec, bytes, sizeof bytes));
}

/* ---- Life ------------------------------------------------------------------------------ */

static void alert(void *arg, const store_alert *a) {
  (void)a;
  ((fixture *)arg)->alerts_told++;
}

#ifdef FIXTURE_MEMORY_STORE /* the same tests over the simulator's store */
#include "memory_store.h"

static void memory_close(void *ctx) {
  memory_store_free(ctx);
}

static void real_open(store *s, const char *db_path) {
  assert_null(db_path);
  memory_store *m = memory_store_new(NULL);
  assert_non_null(m);
  *s = *memory_store_of(m);
  s->close = memory_close;
}
#else
static void real_open(store *s, const char *db_path) {
  char error[256];
  if (store_sqlite_open(s, db_path == NULL ? ":memory:" : db_path, STORE_SQLITE_WRITE, error,
                        sizeof error) != 0)
    fail_msg("the database %s", error);
}
#endif

fixture *fixture_open(const char *db_path) {
  fixture *f = calloc(1, sizeof *f);
  assert_non_null(f);
  real_open(&f->real, db_path);
  uint8_t bytes[FIXTURE_BYTES];
  birth_make(1, bytes, sizeof bytes, &f->schema);
  f->store = failing_store;
  f->store.ctx = f;
  f->fail_with = STORE_AGAIN;
  f->source = (source){.ctx = f, .next = next, .publish = publish};
  f->clock = (intake_clock){f, utc_ms, tick_ms, sleep_ms};
  f->config = (intake_config){.source = &f->source,
                              .store = &f->store,
                              .clock = &f->clock,
                              .commit_ms = 50,
                              .commit_messages = 100,
                              .alert = alert,
                              .alert_arg = f};
  return f;
}

void fixture_start(fixture *f) {
  f->intake = intake_open(&f->config);
  assert_non_null(f->intake);
}

void fixture_close(fixture *f) {
  intake_close(f->intake);
  f->real.close(f->real.ctx);
  for (size_t i = 0; i < f->message_count; i++) free(f->messages[i].payload);
  free(f);
}

void fixture_run(fixture *f) {
  if (f->intake == NULL) fixture_start(f);
  unsigned steps = 0;
  while (intake_step(f->intake, 0) != INTAKE_IDLE) assert_true(steps++ < 1000);
}

/* ---- Looking --------------------------------------------------------------------------- */

static void ranges_join(htel_range *into, uint16_t *count, const htel_range *from, uint16_t more) {
  for (uint16_t i = 0; i < more && *count < HTEL_RANGES_MAX; i++) into[(*count)++] = from[i];
}

htel_receipt fixture_receipt_take(fixture *f, const char *device, uint64_t boot) {
  htel_receipt sum = {.boot = boot};
  size_t kept = 0;
  for (size_t i = 0; i < f->receipt_count; i++) {
    const htel_receipt *r = &f->receipts[i].receipt;
    if (r->boot != boot || strcmp(f->receipts[i].device, device) != 0) {
      f->receipts[kept++] = f->receipts[i];
      continue;
    }
    ranges_join(sum.stored, &sum.stored_count, r->stored, r->stored_count);
    ranges_join(sum.quarantined, &sum.quarantined_count, r->quarantined, r->quarantined_count);
    for (unsigned k = 0; k < r->birth_count && sum.birth_count < 4; k++)
      sum.births[sum.birth_count++] = r->births[k];
    sum.birth_wanted |= r->birth_wanted;
    sum.utc_ms = r->utc_ms;
    sum.pause_ms = r->pause_ms;
  }
  f->receipt_count = kept;
  return sum;
}

bool receipt_has(const htel_range *ranges, unsigned count, uint32_t sequence) {
  for (unsigned i = 0; i < count; i++)
    if (ranges[i].first <= sequence && sequence <= ranges[i].last) return true;
  return false;
}

int64_t fixture_sql(fixture *f, const char *sql) {
  sqlite3 *db = ((sqlite_store *)f->real.ctx)->db;
  sqlite3_stmt *stmt;
  if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
    fail_msg("%s: %s", sql, sqlite3_errmsg(db));
  assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
  int64_t value = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  return value;
}
