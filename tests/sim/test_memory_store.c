/* SPDX-License-Identifier: Apache-2.0 */
/* The store in memory behaves as the one in SQLite does: the same calls and the same messages are
 * given to both, and both must say the same. Then what it has of its own: faults, watcher, size. */
#include "audit.h"
#include "ingest_fixture.h"
#include "memory_store.h"
#include "sim_random.h"

#define DEV "dev-1"
#define ROUNDS 400u

/* ---- What a store holds, as text ------------------------------------------------------------- */

typedef struct dump {
  FILE *out;
  const store *s;
  char names[64][DEVICE_BYTES];
  unsigned count;
} dump;

static bool dump_name(void *arg, const char *device) {
  dump *d = arg;
  assert_true(d->count < 64);
  snprintf(d->names[d->count++], DEVICE_BYTES, "%s", device);
  return true;
}

static bool dump_frame(void *arg, const store_frame_row *r) {
  fprintf(((dump *)arg)->out, "frame %llx %u class %u: %u %u %u, %u bytes\n",
          (unsigned long long)r->boot, r->sequence, r->frame_class, r->numerics, r->samples,
          r->alarms, r->payload_bytes);
  return true;
}

static bool dump_aside(void *arg, uint64_t boot, uint32_t sequence) {
  fprintf(((dump *)arg)->out, "aside %llx %u\n", (unsigned long long)boot, sequence);
  return true;
}

static bool dump_loss(void *arg, const store_loss_row *r) {
  const htel_loss *l = &r->loss;
  fprintf(((dump *)arg)->out, "loss %llx/%u by %u: %llx-%llx %llu-%llu %llu %u-%u %u %u %u %u %d\n",
          (unsigned long long)r->carrier_boot, l->id, r->carrier_sequence,
          (unsigned long long)l->boot, (unsigned long long)l->boot_last,
          (unsigned long long)l->tick_first, (unsigned long long)l->tick_last,
          (unsigned long long)l->readings, l->sequence_first, l->sequence_last, l->frames, l->cause,
          l->channel, l->frame_class, l->at_most);
  return true;
}

static bool dump_alert(void *arg, const store_alert *a) {
  fprintf(((dump *)arg)->out, "alert %s %s %d %llx %u %s %lld\n", a->device, a->kind, a->keyed,
          (unsigned long long)a->boot, a->sequence, a->detail, (long long)a->utc_ms);
  return true;
}

static const uint64_t boots[] = {1, 7, 8, (uint64_t)INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
enum { BOOTS = sizeof boots / sizeof boots[0] };

static void dump_device(dump *d, const char *name) {
  const store *s = d->s;
  fprintf(d->out, "device %s\n", name);
  assert_int_equal(s->frames_visit(s->ctx, name, dump_frame, d), STORE_OK);
  assert_int_equal(s->asides_visit(s->ctx, name, dump_aside, d), STORE_OK);
  assert_int_equal(s->losses_visit(s->ctx, name, dump_loss, d), STORE_OK);
  assert_int_equal(s->alerts_visit(s->ctx, name, dump_alert, d), STORE_OK);
  uint64_t counters[STORE_COUNTERS];
  assert_int_equal(s->counters_get(s->ctx, name, counters), STORE_OK);
  for (unsigned i = 0; i < STORE_COUNTERS; i++)
    fprintf(d->out, "counter %u %llu\n", i, (unsigned long long)counters[i]);
  for (unsigned b = 0; b < BOOTS; b++) {
    for (uint64_t tick = 0; tick < 24; tick++) {
      htel_anchor pair[2] = {{0}, {0}};
      bool found[2];
      assert_int_equal(s->anchors_near(s->ctx, name, boots[b], tick, pair, found), STORE_OK);
      for (unsigned i = 0; i < 2; i++)
        if (found[i])
          fprintf(d->out, "near %u %llu: %llu %lld %u\n", b, (unsigned long long)tick,
                  (unsigned long long)pair[i].tick, (long long)pair[i].utc_ms,
                  pair[i].uncertainty_ms);
    }
    htel_loss range = {
        .boot = boots[b], .sequence_first = 3 + b, .sequence_last = 20, .frame_class = b % 2};
    uint64_t frames, readings_sum;
    assert_int_equal(s->frames_sum(s->ctx, name, &range, &frames, &readings_sum), STORE_OK);
    fprintf(d->out, "sum %llu %llu\n", (unsigned long long)frames,
            (unsigned long long)readings_sum);
  }
}

static char *dump_all(const store *s) {
  char *text = NULL;
  size_t size = 0;
  dump d = {.s = s, .out = open_memstream(&text, &size)};
  assert_non_null(d.out);
  assert_int_equal(s->devices_visit(s->ctx, dump_name, &d), STORE_OK);
  for (unsigned i = 0; i < d.count; i++) dump_device(&d, d.names[i]);
  fclose(d.out);
  return text;
}

static void assert_same(const store *a, const store *b) {
  char *left = dump_all(a), *right = dump_all(b);
  assert_string_equal(left, right);
  free(left);
  free(right);
}

/* ---- The same calls ------------------------------------------------------------------------ */

typedef struct both {
  store sqlite;
  memory_store *m;
  const store *of[2];
  sim_random random;
} both;

static void both_open(both *t, uint64_t seed) {
  char error[256];
  assert_int_equal(
      store_sqlite_open(&t->sqlite, ":memory:", STORE_SQLITE_WRITE, error, sizeof error), 0);
  t->m = memory_store_new(NULL);
  assert_non_null(t->m);
  t->of[0] = &t->sqlite;
  t->of[1] = memory_store_of(t->m);
  t->random.state = seed;
}

static void both_close(both *t) {
  t->sqlite.close(t->sqlite.ctx);
  memory_store_free(t->m);
}

static uint32_t any(both *t, uint32_t limit) {
  return random_below(&t->random, limit);
}

static void digest_any(both *t, uint8_t digest[DIGEST_BYTES]) {
  memset(digest, 0, DIGEST_BYTES);
  digest[any(t, 8)] = (uint8_t)any(t, 4);
}

#define BOTH(call)                            \
  do {                                        \
    int rc[2];                                \
    for (unsigned k = 0; k < 2; k++) {        \
      const store *s = t->of[k];              \
      rc[k] = (call);                         \
    }                                         \
    assert_int_equal(rc[0], rc[1]);           \
    assert_int_equal(rc[0], STORE_OK);        \
    assert_int_equal(outcome[0], outcome[1]); \
  } while (0)

static void call_frame(both *t, const char *device, uint64_t boot) {
  store_outcome outcome[2] = {STORE_NEW, STORE_NEW};
  uint8_t digest[DIGEST_BYTES];
  digest_any(t, digest);
  htel_frame frame = {.boot = boot,
                      .sequence = 1 + any(t, 30),
                      .frame_class = (uint8_t)any(t, 3),
                      .tick = any(t, 20)};
  readings r = {.numerics = any(t, 65536), .sample_count = any(t, 1048577), .alarms = any(t, 5)};
  uint8_t payload[40] = {0};
  store_frame f = {.device = device,
                   .frame = &frame,
                   .digest = digest,
                   .readings = &r,
                   .payload = payload,
                   .payload_size = any(t, sizeof payload)};
  BOTH(s->frame_find(s->ctx, device, boot, frame.sequence, digest, &outcome[k]));
  if (any(t, 4) > 0) BOTH(s->frame_put(s->ctx, &f, &outcome[k]));
}

static void call_aside(both *t, const char *device, uint64_t boot) {
  store_outcome outcome[2] = {STORE_NEW, STORE_NEW};
  uint8_t digest[DIGEST_BYTES];
  digest_any(t, digest);
  uint8_t payload[4] = {1, 2, 3, 4};
  store_aside aside = {.device = device,
                       .keyed = any(t, 2) == 0,
                       .boot = boot,
                       .sequence = any(t, 9),
                       .digest = digest,
                       .reason = "for the test",
                       .payload = payload,
                       .payload_size = sizeof payload};
  uint32_t limit = any(t, 6);
  BOTH(s->aside_put(s->ctx, &aside, limit, &outcome[k]));
}

static void call_loss(both *t, const char *device, uint64_t boot) {
  store_outcome outcome[2] = {STORE_NEW, STORE_NEW};
  htel_loss loss = {.boot = boots[any(t, BOOTS)],
                    .boot_last = any(t, 9),
                    .tick_first = any(t, 5),
                    .tick_last = 5 + any(t, 5),
                    .readings = any(t, 4),
                    .sequence_first = any(t, 5),
                    .sequence_last = any(t, 9),
                    .frames = any(t, 3),
                    .id = 1 + any(t, 6),
                    .cause = (uint8_t)any(t, 4),
                    .channel = (uint8_t)any(t, 4),
                    .frame_class = (uint8_t)any(t, 3),
                    .at_most = any(t, 2) == 0};
  uint32_t sequence = any(t, 50);
  BOTH(s->loss_put(s->ctx, device, &loss, boot, sequence));
}

static void call_birth(both *t, const char *device) {
  store_outcome outcome[2] = {STORE_NEW, STORE_NEW};
  htel_birth birth = {.schema = any(t, 12)};
  uint8_t bytes[3] = {(uint8_t)any(t, 2), 1, 2};
  size_t size = 2 + any(t, 2);
  uint32_t limit = 4 + any(t, 4);
  BOTH(s->birth_put(s->ctx, device, &birth, bytes, size, 0, limit, &outcome[k]));
  uint8_t got[2][4] = {{0}, {0}};
  size_t got_size[2];
  size_t room = 2 + any(t, 2);
  BOTH(s->birth_get(s->ctx, device, birth.schema, got[k], room, &got_size[k]));
  assert_int_equal(got_size[0], got_size[1]);
  assert_memory_equal(got[0], got[1], sizeof got[0]);
}

static void call_anchor(both *t, const char *device, uint64_t boot) {
  store_outcome outcome[2] = {STORE_NEW, STORE_NEW};
  htel_anchor anchor = {any(t, 20), (int64_t)any(t, 1000) - 500, any(t, 100)};
  uint32_t sequence = any(t, 10);
  BOTH(s->anchor_put(s->ctx, device, boot, &anchor, sequence));
  BOTH(s->frames_place(s->ctx, device, boot, anchor.tick, 20, 77));
}

static void call_others(both *t, const char *device, uint64_t boot) {
  store_outcome outcome[2] = {STORE_NEW, STORE_NEW};
  switch (any(t, 3)) {
    case 0: BOTH(s->status_put(s->ctx, device, true, boot, 5)); break;
    case 1: {
      store_counter counter = (store_counter)any(t, STORE_COUNTERS);
      BOTH(s->counter_add(s->ctx, device, counter, 3));
      break;
    }
    default: {
      store_alert alert = {.device = device,
                           .kind = "poison",
                           .keyed = any(t, 2) == 0,
                           .boot = boot,
                           .sequence = any(t, 30),
                           .detail = "for the test",
                           .utc_ms = any(t, 1000)};
      uint32_t limit = any(t, 12);
      BOTH(s->alert_put(s->ctx, &alert, limit));
    }
  }
}

static void call_any(both *t) {
  char device[DEVICE_BYTES];
  snprintf(device, sizeof device, "dev-%u", any(t, 12));
  uint64_t boot = boots[any(t, BOOTS)];
  switch (any(t, 8)) {
    case 0: call_aside(t, device, boot); break;
    case 1: call_loss(t, device, boot); break;
    case 2: call_birth(t, device); break;
    case 3: call_anchor(t, device, boot); break;
    case 4: call_others(t, device, boot); break;
    default: call_frame(t, device, boot); break;
  }
}

static void test_any_calls_give_what_sqlite_gives(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 4; seed++) {
    both pair, *t = &pair;
    both_open(t, seed);
    for (unsigned round = 0; round < ROUNDS; round++) {
      for (unsigned k = 0; k < 2; k++) assert_int_equal(t->of[k]->begin(t->of[k]->ctx), STORE_OK);
      for (uint32_t calls = any(t, 40); calls > 0; calls--) call_any(t);
      bool keep = any(t, 3) > 0;
      for (unsigned k = 0; k < 2; k++) {
        const store *s = t->of[k];
        if (keep) assert_int_equal(s->commit(s->ctx), STORE_OK);
        if (!keep) s->rollback(s->ctx);
      }
      if (round % 8 == 0) assert_same(t->of[0], t->of[1]);
    }
    assert_same(t->of[0], t->of[1]);
    both_close(t);
  }
}

/* ---- The same messages --------------------------------------------------------------------- */

static fixture *fixture_over(memory_store *m) {
  fixture *f = fixture_open(NULL);
  if (m == NULL) return f;
  f->real.close(f->real.ctx);
  f->real = *memory_store_of(m);
  return f;
}

/* Good, known, other content, unreadable, damaged, births, anchors, losses, in any order. */
static void give_any(fixture *f, sim_random *random) {
  char device[16];
  snprintf(device, sizeof device, "dev-%u", random_below(random, 5));
  htel_anchor anchor = {random_below(random, 500), random_below(random, 9), 1};
  htel_loss loss = {.id = 1 + random_below(random, 3),
                    .boot = 7,
                    .cause = (uint8_t)(1 + random_below(random, 3)),
                    .readings = random_below(random, 5),
                    .sequence_first = 2,
                    .sequence_last = 2 + random_below(random, 6),
                    .frames = random_below(random, 3)};
  frame_spec spec = {.boot = 7 + random_below(random, 2),
                     .sequence = 1 + random_below(random, 40),
                     .tick = random_below(random, 1000),
                     .value = (int32_t)random_below(random, 2),
                     .samples = 10 * random_below(random, 3),
                     .alarm = random_below(random, 9) == 0,
                     .anchors = &anchor,
                     .anchor_count = random_below(random, 5) == 0,
                     .losses = &loss,
                     .loss_count = random_below(random, 5) == 0};
  static const uint8_t bad[] = {63, 0};
  switch (random_below(random, 12)) {
    case 0: fixture_birth(f, device); return;
    case 1: fixture_give(f, device, "birth", bad, sizeof bad); return;
    case 2: fixture_give(f, device, "frame", bad, 1 + random_below(random, 2)); return;
    case 3: fixture_give(f, device, "status", "\x08\x01", 2); return;
    case 4: spec.data = bad, spec.data_size = sizeof bad; break;
    default: break;
  }
  fixture_frame(f, device, &spec);
}

static void assert_same_receipts(const fixture *a, const fixture *b) {
  assert_int_equal(a->receipt_count, b->receipt_count);
  for (size_t i = 0; i < a->receipt_count; i++)
    assert_memory_equal(&a->receipts[i], &b->receipts[i], sizeof a->receipts[i]);
}

static void test_any_messages_have_the_same_receipts_and_audit(void **state) {
  (void)state;
  memory_store *m = memory_store_new(NULL);
  fixture *of[2] = {fixture_over(NULL), fixture_over(m)};
  sim_random random = {11};
  for (unsigned round = 0; round < 200; round++) {
    uint64_t seed = random_u64(&random);
    int fails = random_below(&random, 4) == 0;
    for (unsigned k = 0; k < 2; k++) {
      sim_random own = {seed};
      of[k]->commits_to_fail = fails;
      memset(of[k]->receipts, 0, sizeof of[k]->receipts);
      of[k]->receipt_count = 0;
      for (unsigned i = 0; i < 20; i++) give_any(of[k], &own);
      fixture_run(of[k]);
    }
    assert_same_receipts(of[0], of[1]);
    assert_same(&of[0]->real, &of[1]->real);
  }
  assert_memory_equal(intake_stats_get(of[0]->intake), intake_stats_get(of[1]->intake),
                      sizeof(intake_stats));
  assert_true(intake_stats_get(of[0]->intake)->conflicts > 0);
  for (unsigned k = 0; k < 2; k++) fixture_close(of[k]);
  memory_store_free(m);
}

/* ---- Faults -------------------------------------------------------------------------------- */

static char *dump_of_run(uint32_t fail_in, bool *failed) {
  memory_store *m = memory_store_new(NULL);
  fixture *f = fixture_over(m);
  sim_random random = {3};
  for (unsigned i = 0; i < 60; i++) {
    if (i == 30) {
      fixture_run(f);
      memory_store_fail_in(m, fail_in);
    }
    give_any(f, &random);
  }
  fixture_run(f);
  *failed = intake_stats_get(f->intake)->commit_retries > 0;
  char *text = dump_all(&f->real);
  fixture_close(f);
  memory_store_free(m);
  return text;
}

static void test_failure_of_any_operation_changes_nothing_in_the_end(void **state) {
  (void)state;
  bool failed;
  char *whole = dump_of_run(0, &failed);
  assert_false(failed);
  uint32_t n = 0;
  do {
    char *text = dump_of_run(++n, &failed);
    assert_string_equal(text, whole);
    free(text);
  } while (failed);
  assert_true(n > 60);
  free(whole);
}

static void test_broken_store_holds_up_and_loses_nothing(void **state) {
  (void)state;
  memory_store *m = memory_store_new(NULL);
  fixture *f = fixture_over(m);
  fixture_start(f);
  memory_store_break(m, true);
  fixture_birth(f, DEV);
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 1});
  for (unsigned i = 0; i < 6; i++) {
    assert_int_equal(intake_step(f->intake, 0), INTAKE_HELD_UP);
    char *text = dump_all(&f->real);
    assert_string_equal(text, "");
    free(text);
  }
  assert_int_equal(f->receipt_count, 0);
  const store *s = memory_store_of(m); /* by turns */
  assert_int_equal(s->begin(s->ctx), STORE_AGAIN);
  assert_int_equal(s->begin(s->ctx), STORE_OK);
  assert_int_equal(s->commit(s->ctx), STORE_AGAIN);
  s->rollback(s->ctx);
  memory_store_break(m, false);
  fixture_run(f);
  assert_int_equal(fixture_receipt_take(f, DEV, 7).stored_count, 1);
  fixture_close(f);
  memory_store_free(m);
}

static bool gate_closed(void *ctx) {
  ++*(unsigned *)ctx;
  return false;
}

static void test_gate_keeps_a_commit_from_happening(void **state) {
  (void)state;
  memory_store *m = memory_store_new(NULL);
  const store *s = memory_store_of(m);
  unsigned asked = 0;
  memory_store_gate(m, gate_closed, &asked);
  assert_int_equal(s->begin(s->ctx), STORE_OK);
  assert_int_equal(s->counter_add(s->ctx, DEV, STORE_DUPLICATES, 1), STORE_OK);
  assert_int_equal(s->commit(s->ctx), STORE_AGAIN);
  assert_int_equal(s->counter_add(s->ctx, DEV, STORE_DUPLICATES, 1), STORE_AGAIN); /* it is over */
  assert_int_equal(s->commit(s->ctx), STORE_AGAIN);
  assert_int_equal(asked, 1);
  s->close(s->ctx);
  char *text = dump_all(s);
  assert_string_equal(text, "");
  free(text);
  memory_store_free(m);
}

static void test_nothing_is_written_outside_of_a_transaction(void **state) {
  (void)state;
  memory_store *m = memory_store_new(NULL);
  const store *s = memory_store_of(m);
  assert_int_equal(s->counter_add(s->ctx, DEV, STORE_DUPLICATES, 1), STORE_AGAIN);
  assert_int_equal(s->commit(s->ctx), STORE_AGAIN);
  s->rollback(s->ctx);
  char *text = dump_all(s);
  assert_string_equal(text, "");
  free(text);
  memory_store_free(m);
}

/* ---- The watcher --------------------------------------------------------------------------- */

typedef struct seen {
  char log[256];
} seen;

static void seen_add(void *ctx, const char *what) {
  seen *s = ctx;
  size_t used = strlen(s->log);
  snprintf(s->log + used, sizeof s->log - used, "%s ", what);
}

static void seen_frame(void *ctx, const store_frame *frame) {
  char text[32];
  snprintf(text, sizeof text, "frame-%u", frame->frame->sequence);
  assert_true(frame->readings->numerics == 1);
  seen_add(ctx, text);
}

static void seen_aside(void *ctx, const store_aside *aside) {
  char text[32];
  snprintf(text, sizeof text, "aside-%u", aside->sequence);
  seen_add(ctx, text);
}

static void seen_placed(void *ctx, const char *device, uint64_t boot, uint64_t first, uint64_t last,
                        int64_t offset_ms) {
  char text[64];
  snprintf(text, sizeof text, "placed-%s-%u-%u-%d-%d", device, (unsigned)boot, (unsigned)first,
           last > 1000, (int)offset_ms);
  seen_add(ctx, text);
}

static void seen_committed(void *ctx) {
  seen_add(ctx, "committed");
}

static void seen_rolled_back(void *ctx) {
  seen_add(ctx, "back");
}

static void test_watcher_sees_what_is_new_and_how_it_ended(void **state) {
  (void)state;
  seen saw = {""};
  memory_watch watch = {&saw,        seen_frame,     seen_aside,
                        seen_placed, seen_committed, seen_rolled_back};
  memory_store *m = memory_store_new(&watch);
  fixture *f = fixture_over(m);
  fixture_birth(f, DEV);
  htel_anchor anchor = {10, 110, 1};
  fixture_frame(
      f, DEV,
      &(frame_spec){.boot = 7, .sequence = 1, .tick = 10, .anchors = &anchor, .anchor_count = 1});
  f->commits_to_fail = 1;
  fixture_run(f);
  assert_string_equal(saw.log,
                      "frame-1 placed-dev-1-7-0-1-100 back "
                      "frame-1 placed-dev-1-7-0-1-100 committed ");
  saw.log[0] = '\0';
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 2});
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 2});
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 2, .value = 5});
  fixture_frame(f, DEV, &(frame_spec){.boot = 7, .sequence = 2, .value = 5});
  fixture_run(f);
  assert_string_equal(saw.log, "frame-2 aside-2 committed ");
  fixture_close(f);
  memory_store_free(m);
}

/* ---- Size ---------------------------------------------------------------------------------- */

/* A day of a device, arriving as it does after outages: newer frames between older ones. */
static void test_a_device_day_is_small(void **state) {
  (void)state;
  enum { FRAMES = 1500 };
  memory_store *m = memory_store_new(NULL);
  const store *s = memory_store_of(m);
  for (uint32_t i = 0; i < FRAMES; i++) {
    uint32_t sequence = 1 + (i % 10 < 5 ? i + 5 : i - 5);
    htel_frame frame = {.boot = 1, .sequence = sequence};
    readings r = {.numerics = 20};
    uint8_t digest[DIGEST_BYTES] = {(uint8_t)i};
    store_frame f = {.device = DEV, .frame = &frame, .digest = digest, .readings = &r};
    store_outcome outcome;
    assert_int_equal(s->begin(s->ctx), STORE_OK);
    assert_int_equal(s->frame_put(s->ctx, &f, &outcome), STORE_OK);
    assert_int_equal(outcome, STORE_NEW);
    assert_int_equal(s->commit(s->ctx), STORE_OK);
  }
  assert_true(memory_store_bytes_of(m, DEV) < 28 * FRAMES);
  assert_true(memory_store_bytes(m) < 28 * FRAMES + 16384);
  assert_int_equal(memory_store_bytes_of(m, "nobody"), 0);
  memory_store_free(m);
}

typedef struct order {
  char last[DEVICE_BYTES];
  unsigned count;
} order;

static bool order_check(void *arg, const char *device) {
  order *o = arg;
  assert_true(strcmp(o->last, device) < 0);
  snprintf(o->last, sizeof o->last, "%s", device);
  o->count++;
  return true;
}

static void test_many_devices_are_found_and_visited_in_order(void **state) {
  (void)state;
  enum { DEVICES = 3000 };
  memory_store *m = memory_store_new(NULL);
  const store *s = memory_store_of(m);
  char device[DEVICE_BYTES];
  for (unsigned round = 0; round < 2; round++) {
    for (unsigned i = 0; i < DEVICES; i++) {
      snprintf(device, sizeof device, "dev-%u", (i * 7919u + 1u) % DEVICES);
      assert_int_equal(s->begin(s->ctx), STORE_OK);
      assert_int_equal(s->counter_add(s->ctx, device, STORE_CONFLICTS, i % 5), STORE_OK);
      assert_int_equal(s->commit(s->ctx), STORE_OK);
    }
    order o = {"", 0};
    assert_int_equal(s->devices_visit(s->ctx, order_check, &o), STORE_OK);
    assert_int_equal(o.count, DEVICES);
  }
  for (unsigned i = 0; i < DEVICES; i++) {
    uint64_t counters[STORE_COUNTERS];
    snprintf(device, sizeof device, "dev-%u", (i * 7919u + 1u) % DEVICES);
    assert_int_equal(s->counters_get(s->ctx, device, counters), STORE_OK);
    assert_int_equal(counters[STORE_CONFLICTS], 2u * (i % 5));
  }
  memory_store_free(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_any_calls_give_what_sqlite_gives),
      cmocka_unit_test(test_any_messages_have_the_same_receipts_and_audit),
      cmocka_unit_test(test_failure_of_any_operation_changes_nothing_in_the_end),
      cmocka_unit_test(test_broken_store_holds_up_and_loses_nothing),
      cmocka_unit_test(test_gate_keeps_a_commit_from_happening),
      cmocka_unit_test(test_nothing_is_written_outside_of_a_transaction),
      cmocka_unit_test(test_watcher_sees_what_is_new_and_how_it_ended),
      cmocka_unit_test(test_a_device_day_is_small),
      cmocka_unit_test(test_many_devices_are_found_and_visited_in_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
