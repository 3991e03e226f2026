/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "healthtel/healthtel.h"

static htel_channel channel_of(const scenario_channel *ch) {
  htel_channel out = {
      .code = ch->code, .name = ch->name, .kind = (uint8_t)ch->kind, .ring = ch->ring};
  if (ch->kind == HTEL_WAVEFORM) out.rate = ch->rate;
  if (ch->kind == HTEL_NUMERIC) out.rate = (htel_rate){1000u, ch->period_ms};
  return out;
}

/* A flash of the devices' shape, for its configuration to be checked: nobody reads or writes it. */
static int probe_read(void *ctx, uint32_t address, uint8_t *buf, size_t size) {
  (void)ctx, (void)address, (void)buf, (void)size;
  return HTEL_E_STORE;
}

static int probe_program(void *ctx, uint32_t address, const uint8_t *buf, size_t size) {
  (void)ctx, (void)address, (void)buf, (void)size;
  return HTEL_E_STORE;
}

static int probe_erase(void *ctx, uint32_t block) {
  (void)ctx, (void)block;
  return HTEL_E_STORE;
}

static int probe_sync(void *ctx) {
  (void)ctx;
  return HTEL_E_STORE;
}

static htel_flash probe_flash(const scenario *s) {
  return (htel_flash){.block_bytes = s->flash_block_bytes,
                      .block_count = s->flash_block_count,
                      .program_bytes = s->flash_program_bytes,
                      .read = probe_read,
                      .program = probe_program,
                      .erase = probe_erase,
                      .sync = probe_sync};
}

int plan_make(plan *p, const scenario *s, char *error, size_t error_size) {
  *p = (plan){.scenario = s};
  htel_config *c = &p->config;
  *c = (htel_config){.firmware = "htel-fleet " HTEL_VERSION,
                     .channels = p->channels,
                     .channel_count = (uint16_t)s->channel_count,
                     .ring_count = 1,
                     .coding = s->coding,
                     .batch = {.age_ms_max = s->age_ms_max, .bytes_max = s->bytes_max},
                     .outbox = {.bytes = s->outbox_bytes, .persist_frames = s->persist_frames},
                     .delivery = {.keep_alive_s = (uint16_t)s->keep_alive_s,
                                  .backoff_base_ms = s->spread_ms,
                                  .backoff_max_ms = s->spread_ms > 60000u ? s->spread_ms : 0}};
  for (uint32_t i = 0; i < s->channel_count; i++) {
    p->channels[i] = channel_of(&s->channels[i]);
    /* Channels of one code are told apart by their index. */
    for (uint32_t k = 0; k < i; k++)
      if (p->channels[k].code == p->channels[i].code) p->channels[i].index++;
    if (s->channels[i].ring >= c->ring_count) c->ring_count = (uint16_t)(s->channels[i].ring + 1u);
  }
  for (unsigned r = 0; r < c->ring_count; r++) c->ring_bytes[r] = s->ring_bytes;
  htel_config_fault fault = {0};
  htel_config probe = *c;
  probe.device_id = "probe";
  probe.fault = &fault;
  htel_flash flash = probe_flash(s);
  if (s->flash) probe.outbox.code = &htel_outbox_on_flash;
  if (s->flash) probe.outbox.flash = &flash;
  int32_t needed = htel_memory_needed(&probe);
  if (needed >= 0) return 0;
  snprintf(error, error_size, "the devices' configuration is refused: %s: %s",
           fault.field != NULL ? fault.field : "?",
           fault.why != NULL ? fault.why : htel_strerror(needed));
  return needed;
}

void plan_device_id(char id[PLAN_ID_BYTES], uint64_t run_seed, uint32_t device) {
  snprintf(id, PLAN_ID_BYTES, "fleet-%016llx",
           (unsigned long long)signal_seed(run_seed, device, UINT32_MAX - 1u));
}

/* ---- Feeding --------------------------------------------------------------------------------- */

/* When the next record call of a channel is due: of a waveform, when its block is complete. */
static int64_t channel_next_ms(const feed *f, unsigned c) {
  const scenario_channel *ch = &f->plan->scenario->channels[c];
  uint64_t k = f->next[c];
  if (ch->kind == HTEL_WAVEFORM) k = signal_block_end(ch, k) - 1u;
  return signal_due_ms(ch, f->signals[c], k);
}

static void next_find(feed *f) {
  f->next_ms = INT64_MAX;
  for (unsigned c = 0; c < f->plan->scenario->channel_count; c++)
    if (f->due_ms[c] < f->next_ms) f->next_ms = f->due_ms[c];
}

void feed_init(feed *f, const plan *p, uint64_t run_seed, uint32_t device) {
  *f = (feed){.plan = p};
  for (unsigned c = 0; c < p->scenario->channel_count; c++)
    f->signals[c] = signal_seed(run_seed, device, c);
}

void feed_start(feed *f, int64_t ms) {
  for (unsigned c = 0; c < f->plan->scenario->channel_count; c++) {
    f->next[c] = signal_first_at(&f->plan->scenario->channels[c], f->signals[c], ms);
    f->due_ms[c] = channel_next_ms(f, c);
  }
  next_find(f);
}

static int record_one(feed *f, htel *tel, unsigned c, uint64_t k, uint32_t count, uint32_t tick) {
  const scenario_channel *ch = &f->plan->scenario->channels[c];
  uint64_t signal = f->signals[c];
  int32_t values[SIGNAL_BLOCK];
  if (ch->kind == HTEL_ALARM) {
    htel_alarm_event event;
    signal_alarm(ch, signal, k, &event);
    return htel_alarm_at(tel, c, &event, tick);
  }
  signal_values(ch, signal, k, count, values);
  htel_quality quality = signal_quality(ch, signal, k);
  if (ch->kind == HTEL_NUMERIC) return htel_record_at(tel, c, values[0], quality, tick);
  return htel_record_block_at(tel, c, values, (uint16_t)count, quality, tick);
}

void feed_run(feed *f, htel *tel, int64_t now_ms, int64_t tick_of_zero, feed_told *told,
              void *ctx) {
  for (unsigned c = 0; c < f->plan->scenario->channel_count; c++) {
    const scenario_channel *ch = &f->plan->scenario->channels[c];
    while (f->due_ms[c] <= now_ms) {
      uint64_t k = f->next[c];
      uint64_t end = ch->kind == HTEL_WAVEFORM ? signal_block_end(ch, k) : k + 1u;
      int64_t taken_ms =
          ch->kind == HTEL_WAVEFORM ? signal_due_ms(ch, f->signals[c], k) : f->due_ms[c];
      uint32_t count = (uint32_t)(end - k);
      int rc = record_one(f, tel, c, k, count, (uint32_t)(tick_of_zero + taken_ms));
      told(ctx, c, k, count, rc);
      f->next[c] = end;
      f->due_ms[c] = channel_next_ms(f, c);
    }
  }
  next_find(f);
}
