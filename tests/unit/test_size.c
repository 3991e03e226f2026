/* SPDX-License-Identifier: Apache-2.0 */
/* htel-size: its memory is the library's, its figures are the documents', and a device that is
 * configured as it says loses nothing in the outage that was asked for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ports/sim/flash_sim.h"
#include "healthtel/decode.h"
#include "plan.h"
#include "trial.h"

static const char *const recordings[] = {EXAMPLE_RECORDING};

static wish usual(void) {
  return (wish){.recordings = {EXAMPLE_RECORDING},
                .recording_count = 1,
                .alarms_per_hour = 6,
                .coding = HTEL_CODING_FAST,
                .frame_s = 10,
                .outage_s = 60,
                .reconnect_s = 15,
                .poll_ms = 100,
                .block_ms = 100,
                .margin = 20,
                .flash_block_bytes = 4096,
                .flash_program_bytes = 8,
                .target = target_find("m4")};
}

static void plan_must(plan *p, const wish *w) {
  char error[PLAN_ERROR_BYTES_MAX] = "";
  if (plan_make(p, w, error) != 0) fail_msg("%s", error);
}

/* ---- memory ---------------------------------------------------------------------------- */

typedef struct any_config {
  htel_channel channels[HTEL_CHANNELS_MAX];
  htel_flash flash;
  htel_config config;
} any_config;

static void config_draw(any_config *c, sim_random *r) {
  *c = (any_config){.config = {.device_id = "d", .channels = c->channels}};
  htel_config *k = &c->config;
  k->channel_count = (uint16_t)(1 + random_below(r, HTEL_CHANNELS_MAX));
  k->ring_count = (uint16_t)(1 + random_below(r, HTEL_RINGS_MAX));
  for (unsigned i = 0; i < k->ring_count; i++) k->ring_bytes[i] = 1024u << random_below(r, 6);
  for (uint16_t i = 0; i < k->channel_count; i++) {
    uint8_t kind = (uint8_t)random_below(r, 3);
    c->channels[i] = (htel_channel){
        .code = 1,
        .kind = kind,
        .index = (uint8_t)i,
        .ring = (uint8_t)random_below(r, k->ring_count),
        .rate = {kind == HTEL_ALARM ? 0 : 1 + random_below(r, 500), 1},
        .column_samples = (uint16_t)(random_below(r, 2) ? 0 : 8 + random_below(r, 57))};
  }
  k->coding = (uint8_t)random_below(r, 3);
  k->batch.bytes_max = (uint16_t)(1024 + random_below(r, 1000));
  k->outbox.bytes = 8192 + random_below(r, 100000);
  if (random_below(r, 3) != 0) return;
  uint32_t block_bytes = 4096u << random_below(r, 5);
  uint32_t blocks = 4 + random_below(r, (16u << 20) / block_bytes - 3u);
  c->flash = part_flash(block_bytes, blocks, 1u << random_below(r, 5));
  k->outbox.code = &htel_outbox_on_flash;
  k->outbox.flash = &c->flash;
}

static void here_it_is_what_the_library_says(void **state) {
  sim_random r = {1};
  unsigned taken = 0;
  (void)state;
  for (unsigned i = 0; i < 2000; i++) {
    static any_config c;
    plan_memory m;
    config_draw(&c, &r);
    int32_t bytes = htel_memory_needed(&c.config);
    assert_int_equal(plan_memory_on(&c.config, target_find("host"), &m), bytes > 0);
    if (bytes <= 0) continue;
    taken++;
    assert_int_equal(m.all, bytes);
    assert_int_equal(m.all, m.state + m.ring + m.columns + m.frames + m.outbox + m.coding);
  }
  assert_true(taken > 500);
}

/* Pointers are half as large there; nothing is larger. */
static void elsewhere_it_is_less_but_not_by_much(void **state) {
  sim_random r = {2};
  (void)state;
  for (unsigned i = 0; i < 500; i++) {
    static any_config c;
    plan_memory here, there;
    config_draw(&c, &r);
    if (!plan_memory_on(&c.config, target_find("host"), &here)) continue;
    for (unsigned t = 0; target_at(t) != target_find("host"); t++) {
      assert_true(plan_memory_on(&c.config, target_at(t), &there));
      assert_true(there.all <= here.all);
      assert_true(there.all + 700 + 64u * c.config.channel_count >= here.all);
    }
  }
}

/* ---- figures --------------------------------------------------------------------------- */

/* The columns FAST, ZLIB, BEST of a recording's row; `nth` table of docs/SIZES.md. */
static void row_find(const char *name, unsigned nth, double figures[SIGNAL_CODINGS]) {
  char line[512], start[64];
  FILE *file = fopen(SIZES_MD, "r");
  assert_non_null(file);
  snprintf(start, sizeof start, "| %s | ", name);
  while (fgets(line, sizeof line, file)) {
    if (strncmp(line, start, strlen(start)) != 0 || nth-- > 0) continue;
    double zlib, fast, best;
    int found = sscanf(line + strlen(start), "%*d | %*d | %lf | %lf | %lf", &fast, &zlib, &best);
    fclose(file);
    assert_int_equal(found, 3);
    figures[HTEL_CODING_FAST] = fast;
    figures[HTEL_CODING_ZLIB] = zlib;
    figures[HTEL_CODING_BEST] = best;
    return;
  }
  fclose(file);
  fail_msg("docs/SIZES.md has no row of %s", name);
}

static void figures_are_those_of_the_documents(void **state) {
  const signal *s;
  (void)state;
  for (unsigned i = 0; (s = signal_at(i)) != NULL; i++) {
    double frames_10[SIGNAL_CODINGS], frames_60[SIGNAL_CODINGS];
    row_find(s->recording, 0, frames_10);
    row_find(s->recording, 1, frames_60);
    for (uint8_t c = 0; c < SIGNAL_CODINGS; c++) {
      double channel, reading;
      /* To 2 %, as the documents themselves are held to the bench. */
      assert_true(s->bytes_short[c] < frames_10[c] * 1.02 + 0.0005);
      assert_true(s->bytes_short[c] > frames_10[c] * 0.98 - 0.0005);
      assert_true(s->bytes_long[c] < frames_60[c] * 1.02 + 0.0005);
      assert_true(s->bytes_long[c] > frames_60[c] * 0.98 - 0.0005);
      /* Put together again they make the frame that was measured. */
      signal_cost(s, c, &channel, &reading);
      double frame = SIGNAL_ENVELOPE + s->channels * (channel + reading * s->rows_short);
      double measured = s->channels * s->rows_short * s->bytes_short[c];
      assert_true(frame > measured * 0.97 - 12 && frame < measured * 1.03 + 12);
    }
  }
}

/* docs/WIRE.md, the traffic of its first table: bytes on the wire, beyond the alarms' and anchors'.
 */
static void the_wire_is_as_measured(void **state) {
  wish w = usual();
  plan p;
  (void)state;
  w.recording_count = 0;
  w.alarms_per_hour = 0;
  w.tls_out_bytes = 1400;
  w.channels[w.channel_count++] = (wish_channel){signal_find("ecg", 3), {250, 1}};
  for (int i = 0; i < 3; i++)
    w.channels[w.channel_count++] = (wish_channel){signal_find("vitals", 6), {1, 1}};
  plan_must(&p, &w);
  double beyond = (p.wire_day - p.payload_day) / 8640;
  assert_true(beyond > 614 - 10 && beyond < 614 + 20);

  w.channel_count = 0;
  w.channels[w.channel_count++] = (wish_channel){signal_find("glucose", 7), {1, 300}};
  w.frame_s = 300;
  plan_must(&p, &w);
  double each = p.wire_day / 288;
  assert_true(each > 1537 * 0.95 && each < 1537 * 1.07);
}

/* ---- it survives ------------------------------------------------------------------------ */

typedef struct outcome {
  uint64_t evicted, refused;
  uint32_t used;
  int closed;
} outcome;

static uint32_t ack_ms; /* of the broker */

static outcome outage_play(const plan *p, const wish *w, const htel_flash *flash, uint32_t at_s,
                           uint32_t outage_s) {
  char error[PLAN_ERROR_BYTES_MAX] = "";
  htel_config config = p->config;
  trial_device device;
  trial_result r;
  assert_int_equal(trial_device_open(&device, recordings, 1, 1, error, sizeof error), 0);
  htel_channel channels[HTEL_CHANNELS_MAX];
  memcpy(channels, device.channels, sizeof channels);
  channels[device.channel_count] =
      (htel_channel){.code = 1, .kind = HTEL_ALARM}; /* as the plan has it */
  config.channels = channels;
  config.channel_count = (uint16_t)(device.channel_count + 1u);
  if (flash != NULL) config.outbox.flash = flash;
  trial_plan t = {.paths = recordings,
                  .path_count = 1,
                  .config = &config,
                  .poll_ms = w->poll_ms,
                  .ack_ms = ack_ms,
                  .duration_s = at_s + outage_s + w->reconnect_s + 120,
                  .outage_at_s = at_s,
                  .outage_s = outage_s};
  int rc = trial_run(&t, &r, error, sizeof error);
  if (rc != 0) fail_msg("%s", error);
  outcome o = {.evicted = r.stats.readings_evicted + r.stats.frames_evicted,
               .refused = r.refused,
               .used = r.stats.outbox_bytes_max,
               .closed = r.closed};
  uint64_t played_ms = t.duration_s * UINT64_C(1000) - t.poll_ms - 200;
  assert_true(r.recorded + r.refused >= played_ms * 360 / 1000);
  if (o.evicted == 0) assert_int_equal(r.stats.readings_delivered, r.recorded);
  free(r.frames);
  trial_device_close(&device);
  return o;
}

/* Wherever the outage begins. With one that is far longer something must go: the outbox is not as
 * large as any. */
static void survives(const wish *w, bool from_figures) {
  plan p;
  wish asked = *w;
  if (from_figures) {
    asked.recording_count = 0;
    asked.channels[asked.channel_count++] = (wish_channel){signal_find("ecg", 3), {360, 1}};
  }
  plan_must(&p, &asked);
  for (uint32_t at_s = 20; at_s < 60; at_s += 7) {
    outcome o = outage_play(&p, &asked, NULL, at_s, w->outage_s);
    assert_int_equal(o.evicted, 0);
    assert_int_equal(o.refused, 0);
    assert_int_equal(o.closed, 0);
    assert_true(o.used <= p.config.outbox.bytes);
  }
  uint32_t longer_s = 2 * (w->outage_s + w->reconnect_s) + 4 * w->frame_s;
  assert_true(outage_play(&p, &asked, NULL, 20, longer_s).evicted > 0);
}

static void an_outage_loses_nothing(void **state) {
  wish w = usual();
  (void)state;
  for (w.coding = 0; w.coding <= HTEL_CODING_BEST; w.coding++) survives(&w, false);
  w.coding = HTEL_CODING_FAST;
  w.frame_s = 3;
  survives(&w, false);
  w.frame_s = 30;
  w.outage_s = 300;
  survives(&w, false);
  w.coding = HTEL_CODING_BEST;
  survives(&w, false);
}

/* Where reconnecting takes no time to speak of, and receipts nearly a frame's, there is nothing to
 * spare. */
static void not_even_at_the_edge(void **state) {
  wish w = usual();
  plan p;
  (void)state;
  w.reconnect_s = 1;
  w.alarms_per_hour = 0;
  ack_ms = w.frame_s * 1000u - 500u;
  for (w.coding = HTEL_CODING_FAST; w.coding <= HTEL_CODING_BEST; w.coding++) {
    plan_must(&p, &w);
    for (uint32_t at_s = 60; at_s < 120; at_s++)
      assert_int_equal(outage_play(&p, &w, NULL, at_s, w.outage_s).evicted, 0);
  }
  ack_ms = 0;
}

static void nor_by_figures(void **state) {
  wish w = usual();
  (void)state;
  for (w.coding = 0; w.coding <= HTEL_CODING_BEST; w.coding++) survives(&w, true);
  w.coding = HTEL_CODING_FAST;
  w.outage_s = 600;
  survives(&w, true);
}

static void nor_on_flash(void **state) {
  wish w = usual();
  plan p;
  (void)state;
  w.on_flash = true;
  w.outage_s = 300;
  plan_must(&p, &w);
  const flash_geometry geometry = {.block_bytes = p.flash.block_bytes,
                                   .block_count = p.flash.block_count,
                                   .program_bytes = p.flash.program_bytes};
  for (uint32_t long_too = 0; long_too < 2; long_too++) {
    flash_sim flash;
    flash_sim_init(&flash, &geometry, 1);
    outcome o = outage_play(&p, &w, &flash.port, 40, long_too ? 1000 : w.outage_s);
    assert_int_equal(o.evicted > 0, long_too);
    assert_int_equal(o.refused, 0);
    assert_string_equal(flash.violation, "");
    flash_sim_free(&flash);
  }
}

/* A poll that comes late: the ring holds what came in the meantime, and hardly more. */
static void the_ring_holds_a_long_poll(void **state) {
  wish w = usual();
  plan p;
  (void)state;
  for (w.poll_ms = 50; w.poll_ms <= 3200; w.poll_ms *= 2) {
    plan_must(&p, &w);
    assert_int_equal(outage_play(&p, &w, NULL, 40, 10).refused, 0);
    if (w.poll_ms < 400) continue; /* then it is the smallest there is */
    p.config.ring_bytes[0] /= 4;
    assert_true(outage_play(&p, &w, NULL, 40, 10).refused > 0);
  }
}

/* The longest wait behind an outage counts: without it the same outage loses something. */
static void reconnecting_takes_its_time(void **state) {
  wish w = usual();
  plan patient, hasty;
  (void)state;
  w.reconnect_s = 60;
  plan_must(&patient, &w);
  w.reconnect_s = 1;
  plan_must(&hasty, &w);
  assert_true(hasty.config.outbox.bytes + 8000 < patient.config.outbox.bytes);
  assert_int_equal(hasty.config.delivery.backoff_max_ms, 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(here_it_is_what_the_library_says),
      cmocka_unit_test(elsewhere_it_is_less_but_not_by_much),
      cmocka_unit_test(figures_are_those_of_the_documents),
      cmocka_unit_test(the_wire_is_as_measured),
      cmocka_unit_test(an_outage_loses_nothing),
      cmocka_unit_test(not_even_at_the_edge),
      cmocka_unit_test(nor_by_figures),
      cmocka_unit_test(nor_on_flash),
      cmocka_unit_test(the_ring_holds_a_long_poll),
      cmocka_unit_test(reconnecting_takes_its_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
