/* SPDX-License-Identifier: Apache-2.0 */
/* The promise, tried on many seeds: every reading that was accepted is stored once with its value,
 * quality and time, or is in a loss record with the right count. The core runs whole against a
 * network that drops connections, frames, acknowledgements and receipts, with rings and outbox that
 * are too small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../ports/sim/flash_sim.h"
#include "fake.h"
#include "model.h"
#include "zip.h"

enum { PULSE, SPO2, ECG, PLETH, ALARM, CHANNELS };

static const htel_channel channels[CHANNELS] = {
    [PULSE] = {.code = HTEL_MDC_PULSE_RATE_OXIMETER, .kind = HTEL_NUMERIC},
    [SPO2] = {.code = HTEL_MDC_SPO2, .kind = HTEL_NUMERIC, .ring = 1},
    [ECG] = {.code = HTEL_MDC_ECG_LEAD_II,
             .kind = HTEL_WAVEFORM,
             .rate = {360, 1},
             .block_max = 64},
    [PLETH] = {.code = HTEL_MDC_PLETH, .kind = HTEL_WAVEFORM, .rate = {1000, 3}, .ring = 1},
    [ALARM] = {.code = 1, .kind = HTEL_ALARM},
};

typedef struct run {
  fake world;
  htel *tel;
  void *memory;
  htel_config config;
  flash_sim flash;
  fake_series said[CHANNELS]; /* accepted, in order */
  uint64_t refused[CHANNELS];
  uint64_t samples[CHANNELS]; /* offered, of waveforms */
  uint64_t origin[CHANNELS];
  uint64_t began; /* the first tick; the clock wraps on some seeds */
  int32_t level;
} run;

static void said(run *r, unsigned channel, uint64_t tick, int32_t value, uint8_t quality) {
  fake_series *s = &r->said[channel];
  if (s->count == s->room) {
    s->room = s->room == 0 ? 4096 : s->room * 2;
    s->readings = realloc(s->readings, s->room * sizeof *s->readings);
  }
  s->readings[s->count++] = (fake_reading){.tick = tick, .value = value, .quality = quality};
}

static uint64_t wide(const run *r, uint32_t tick_ms) {
  return r->began + (uint64_t)(int64_t)(int32_t)(tick_ms - (uint32_t)r->began);
}

static void record_numeric(run *r, unsigned channel) {
  fake *w = &r->world;
  int32_t value = (int32_t)(fake_random(w) % 200u);
  uint8_t quality = fake_random(w) % 10u == 0 ? (uint8_t)(fake_random(w) % 5u) : 0;
  uint32_t tick = w->tick_ms - fake_random(w) % 3u;
  if (htel_record_at(r->tel, channel, value, (htel_quality)quality, tick) == 0)
    said(r, channel, wide(r, tick), value, quality);
  else
    r->refused[channel]++;
}

/* Samples are placed by count from the channel's origin, as the core does; after a gap both begin
 * anew from the tick of the first sample, which is all that the core is told. */
static void record_samples(run *r, unsigned channel) {
  fake *w = &r->world;
  const htel_channel *ch = &channels[channel];
  uint32_t den = ch->rate.den;
  uint16_t count = (uint16_t)(fake_random(w) % 60u + 1u);
  int32_t block[64];
  for (unsigned i = 0; i < count; i++) block[i] = r->level += (int32_t)(fake_random(w) % 21u) - 10;
  uint64_t at = r->samples[channel];
  uint32_t tick = (uint32_t)(r->origin[channel] + at * 1000u * den / ch->rate.num);
  uint8_t quality = fake_random(w) % 30u == 0 ? HTEL_ARTEFACT : HTEL_VALID;
  if (htel_record_block_at(r->tel, channel, block, count, (htel_quality)quality, tick) == 0) {
    for (unsigned i = 0; i < count; i++)
      said(r, channel, r->origin[channel] + (at + i) * 1000u * den / ch->rate.num, block[i],
           quality);
    r->samples[channel] += count;
  } else {
    r->refused[channel] += count;
    r->origin[channel] += (at + count) * 1000u * den / ch->rate.num;
    r->samples[channel] = 0;
  }
}

static void record_some(run *r) {
  fake *w = &r->world;
  uint32_t n = fake_random(w);
  if (n % 3 == 0) record_numeric(r, PULSE);
  if (n % 5 == 0) record_numeric(r, SPO2);
  for (unsigned c = ECG; c <= PLETH; c++) { /* keep up with the clock */
    while (r->origin[c] + r->samples[c] * 1000u * channels[c].rate.den / channels[c].rate.num <
           wide(r, w->tick_ms))
      record_samples(r, c);
  }
  if (n % 97 == 0) {
    htel_alarm_event event = {.code = n, .state = 1, .priority = 3, .source = PULSE};
    if (htel_alarm_at(r->tel, ALARM, &event, w->tick_ms) == 0)
      said(r, ALARM, wide(r, w->tick_ms), (int32_t)n, 3);
    else
      r->refused[ALARM]++;
  }
}

static void disturb(run *r) {
  fake *w = &r->world;
  switch (fake_random(w) % 12u) {
    case 0: fake_cut(w, HTEL_E_LINK_LOST); break;
    case 1:
      w->reachable = fake_random(w) % 2 == 0;
      if (!w->reachable) fake_cut(w, HTEL_E_LINK_LOST);
      break;
    case 2: w->lose_receipts_pct = fake_random(w) % 60u; break;
    case 3: w->lose_acks_pct = fake_random(w) % 60u; break;
    case 4: w->lose_frames_pct = fake_random(w) % 40u; break;
    case 5: w->repeat_receipts_pct = fake_random(w) % 60u; break;
    case 6: w->receipt_ms = fake_random(w) % 3000u; break;
    case 7: w->ack_ms = fake_random(w) % 2000u; break;
    case 8: w->publish_room = fake_random(w) % 4u; break;
    case 9: w->no_receipts = fake_random(w) % 3u == 0; break;
    case 10: w->knows_birth = fake_random(w) % 2u == 0; break;
    default: w->reachable = true; break;
  }
}

static void calm(fake *w) {
  w->reachable = true;
  w->lose_acks_pct = w->lose_receipts_pct = w->lose_frames_pct = w->repeat_receipts_pct = 0;
  w->no_acks = w->no_receipts = false;
  w->publish_room = 0;
  w->receipt_ms = 30;
  w->ack_ms = 5;
  w->pause_ms = 0;
}

/* Any that the library was built with. */
static uint8_t coding_choose(fake *w) {
  uint8_t some[3] = {HTEL_CODING_FAST}, count = 1;
  if (zip_arena_bytes() > 0) some[count++] = HTEL_CODING_ZLIB;
  if (model_writer_bytes() > 0) some[count++] = HTEL_CODING_BEST;
  return some[fake_random(w) % count];
}

/* The same outbox on flash: from 16 KB to 1 MB, frames made durable one by one or in groups. */
static void put_on_flash(run *r, uint64_t seed) {
  static const flash_geometry parts[] = {{"16 KB", 4096, 4, 1},
                                         {"64 KB", 8192, 8, 4},
                                         {"256 KB", 16384, 16, 16},
                                         {"1 MB", 65536, 16, 8}};
  fake *w = &r->world;
  const flash_geometry *part = &parts[fake_random(w) % 4u];
  flash_sim_init(&r->flash, part, seed);
  r->config.outbox.code = &htel_outbox_on_flash;
  r->config.outbox.flash = &r->flash.port;
  r->config.outbox.bytes = fake_random(w) % 2u * 2048u;
  r->config.outbox.persist_frames = (uint8_t)(fake_random(w) % 3u * 8u);
  if (part->block_bytes == 4096u && r->config.batch.bytes_max > 2048u)
    r->config.batch.bytes_max = 2048;
  w->boot.unclean = false; /* the store knows */
}

static void begin(run *r, uint64_t seed, bool on_flash) {
  memset(r, 0, sizeof *r);
  fake_init(&r->world, seed);
  fake *w = &r->world;
  w->knows_birth = false;
  w->tick_ms = fake_random(w) % 4u == 0 ? 0xFFFFFFFFu - fake_random(w) % 60000u
                                        : 1000u + fake_random(w) % 9000u;
  w->boot.unclean = fake_random(w) % 4u == 0;
  w->boot.unclean_first = 5;
  static const uint32_t outbox_bytes[] = {2048, 4096, 16384, 65536, 1048576};
  r->config = (htel_config){.device_id = "device-1",
                            .channels = channels,
                            .channel_count = CHANNELS,
                            .ring_count = 2,
                            .ring_bytes = {1024u << fake_random(w) % 4u, 2048},
                            .coding = coding_choose(w),
                            .batch = {.age_ms_max = 500u + fake_random(w) % 10000u,
                                      .bytes_max = (uint16_t)(700u + fake_random(w) % 4000u)},
                            .outbox = {.bytes = outbox_bytes[fake_random(w) % 5u]}};
  if (fake_random(w) % 3u == 0)
    r->config.outbox.when_full[fake_random(w) % 3u] = HTEL_REFUSE_NEWEST;
  while (r->config.outbox.bytes < 2u * outbox_bytes_for(r->config.batch.bytes_max))
    r->config.outbox.bytes *= 2u;
  if (on_flash) put_on_flash(r, seed);
  htel_config_fault fault = {0};
  r->config.fault = &fault;
  int32_t needed = htel_memory_needed(&r->config);
  if (needed < 0) fail_msg("%s: %s", fault.field, fault.why);
  r->memory = aligned_alloc(_Alignof(max_align_t), (size_t)needed);
  assert_int_equal(htel_open(&r->tel, r->memory, (size_t)needed, &r->config, &w->port), 0);
  for (unsigned c = 0; c < CHANNELS; c++) r->origin[c] = w->tick_ms;
  r->began = w->tick_ms;
}

static void finish(run *r) {
  fake_free(&r->world);
  for (unsigned c = 0; c < CHANNELS; c++) free(r->said[c].readings);
  free(r->memory);
  if (r->config.outbox.code != NULL) flash_sim_free(&r->flash);
}

static int by_tick(const void *a, const void *b) {
  const fake_reading *x = a;
  const fake_reading *y = b;
  if (x->tick != y->tick) return x->tick < y->tick ? -1 : 1;
  if (x->value != y->value) return x->value < y->value ? -1 : 1;
  return (int)x->quality - (int)y->quality;
}

/* What is stored is part of what was said, each once; returns how many are missing. */
static uint64_t match(const run *r, unsigned channel, uint64_t seed) {
  const fake_series *in = &r->said[channel];
  const fake_series *out = channel == ALARM ? &r->world.alarms : &r->world.series[channel];
  if (in->count > 0) qsort(in->readings, in->count, sizeof *in->readings, by_tick);
  if (out->count > 0) qsort(out->readings, out->count, sizeof *out->readings, by_tick);
  size_t i = 0;
  for (size_t j = 0; j < out->count; j++) {
    while (i < in->count && by_tick(&in->readings[i], &out->readings[j]) < 0) i++;
    if (i == in->count || by_tick(&in->readings[i], &out->readings[j]) != 0)
      fail_msg("seed %llu, channel %u: a reading is stored that was not recorded, or twice",
               (unsigned long long)seed, channel);
    i++;
  }
  return in->count - out->count;
}

static void judge(const run *r, uint64_t seed) {
  const fake *w = &r->world;
  fake_lost lost;
  uint32_t last = r->tel->sequence_next - 1u;
  fake_account(w, last, &lost);
  if (lost.holes != 0)
    fail_msg("seed %llu: %u unexplained holes", (unsigned long long)seed, lost.holes);
  assert_int_equal(lost.unclean, w->boot.unclean ? 1 : 0);
  uint64_t missing[HTEL_CLASS_COUNT] = {0};
  for (unsigned c = 0; c < CHANNELS; c++) {
    missing[batch_class_of(channels[c].kind)] += match(r, c, seed);
    if (lost.ring[c] != r->refused[c])
      fail_msg("seed %llu, channel %u: %llu refused, %llu recorded as lost",
               (unsigned long long)seed, c, (unsigned long long)r->refused[c],
               (unsigned long long)lost.ring[c]);
  }
  for (unsigned c = 0; c < HTEL_CLASS_COUNT; c++) {
    bool right = lost.at_most[c] ? missing[c] <= lost.evicted[c] : missing[c] == lost.evicted[c];
    if (!right)
      fail_msg("seed %llu, class %u: %llu missing, %llu in loss records", (unsigned long long)seed,
               c, (unsigned long long)missing[c], (unsigned long long)lost.evicted[c]);
  }
  assert_true(w->frame_bytes_max <= r->config.batch.bytes_max);
}

static uint64_t readings, lost_readings;

static void play(uint64_t seed, bool on_flash) {
  static run r;
  begin(&r, seed, on_flash);
  fake *w = &r.world;
  for (unsigned step = 0; step < 400; step++) {
    record_some(&r);
    if (fake_random(w) % 20u == 0) disturb(&r);
    if (fake_random(w) % 40u == 0) w->pause_ms = fake_random(w) % 2u * 3000u;
    if (fake_random(w) % 50u == 0)
      htel_utc_set(r.tel, w->tick_ms, (int64_t)fake_random(w) * 1000, 5);
    if (fake_random(w) % 60u == 0)
      w->tick_ms += fake_random(w) % 4000u; /* the poller sleeps: rings fill */
    else
      fake_run(w, r.tel, fake_random(w) % 400u);
    assert_true(r.tel->outbox.in_flight <= 100 && r.tel->outbox.in_flight_bytes <= 65536);
  }
  calm(w);
  int rc = HTEL_E_AGAIN;
  for (unsigned i = 0; i < 2000 && rc != 0; i++) {
    rc = htel_flush(r.tel, 600000);
    fake_run(w, r.tel, 500);
    bool more = loss_waiting(&r.tel->losses) || r.tel->anchor_count > 0;
    if (rc == 0 && (more || r.tel->outbox.frames > 0)) rc = HTEL_E_AGAIN;
  }
  if (rc != 0)
    fail_msg("seed %llu: does not come to rest (%s)", (unsigned long long)seed, htel_strerror(rc));
  judge(&r, seed);
  for (unsigned i = 0; i < 1000 && (rc = htel_close(r.tel, 60000)) == HTEL_E_AGAIN; i++)
    fake_run(w, r.tel, 20);
  assert_int_equal(rc, 0);
  assert_true(w->boot_ended || on_flash);
  if (on_flash) assert_string_equal(r.flash.violation, "");
  assert_true(w->offline_said);
  htel_stats stats;
  htel_stats_get(r.tel, &stats);
  readings += stats.readings_accepted;
  lost_readings += stats.readings_refused + stats.readings_evicted;
  finish(&r);
}

static void play_all(bool on_flash) {
  readings = lost_readings = 0;
  const char *seeds = getenv("HEALTHTEL_SEEDS");
  const char *first = getenv("HEALTHTEL_SEED");
  uint64_t from = first != NULL ? strtoull(first, NULL, 10) : 1;
  uint64_t count = seeds != NULL ? strtoull(seeds, NULL, 10) : 300;
  for (uint64_t seed = from; seed < from + count; seed++) play(seed, on_flash);
  print_message("%llu seeds: %llu readings, of which %llu refused or evicted, all accounted for\n",
                (unsigned long long)count, (unsigned long long)readings,
                (unsigned long long)lost_readings);
  assert_true(first != NULL || lost_readings > 0);
}

static void test_every_reading_is_stored_once_or_counted_as_lost(void **state) {
  (void)state;
  play_all(false);
}

static void test_the_same_with_the_outbox_on_flash(void **state) {
  (void)state;
  play_all(true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_reading_is_stored_once_or_counted_as_lost),
      cmocka_unit_test(test_the_same_with_the_outbox_on_flash)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
