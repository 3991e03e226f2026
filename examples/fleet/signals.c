/* SPDX-License-Identifier: Apache-2.0 */
/* signals.c - hashes of numbers, smoothed: slow wandering for numerics, a beat for waveforms.
 *
 * Integers alone, so that a run is the same on every machine. */
#include "signals.h"

#define WANDER 64u         /* readings between two nodes of the wandering line */
#define BEAT 200u          /* samples of a beat */
#define QUALITY_RUN 32u    /* numerics that share a quality */
#define QUALITY_BAD_IN 40u /* one run in so many is not valid */
#define DAY_MS 86400000

static uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t z = a + b * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

uint64_t signal_seed(uint64_t run_seed, uint32_t device, uint32_t channel) {
  return mix(mix(run_seed, (uint64_t)device + 1u), (uint64_t)channel + 1u);
}

/* Rise and fall of one beat in 1/256 of its height, at so many samples from its begin. */
static const struct {
  uint16_t at;
  int16_t height;
} beat[] = {{0, 0},    {20, 0}, {32, 28}, {44, 0},   {52, 0},  {56, -24}, {62, 256},
            {68, -56}, {74, 0}, {100, 6}, {122, 62}, {144, 4}, {160, 0},  {BEAT, 0}};

static int32_t beat_height(uint32_t phase) {
  unsigned i = 1;
  while (phase >= beat[i].at) i++;
  int32_t from = beat[i - 1].height, to = beat[i].height;
  int32_t done = (int32_t)(phase - beat[i - 1].at), all = beat[i].at - beat[i - 1].at;
  return from + (to - from) * done / all;
}

/* A line between random nodes, 0 to 65535. */
static int32_t wander(uint64_t from, uint64_t to, uint32_t place) {
  int32_t a = (int32_t)(from & 0xFFFFu), b = (int32_t)(to & 0xFFFFu);
  return a + (b - a) * (int32_t)place / (int32_t)WANDER;
}

static uint32_t burst_samples(const scenario_channel *ch) {
  return (uint32_t)((uint64_t)ch->burst_ms * ch->rate.num / (1000u * (uint64_t)ch->rate.den));
}

static int32_t clamp(const scenario_channel *ch, int64_t value) {
  if (value < ch->low) return ch->low;
  return value > ch->high ? ch->high : (int32_t)value;
}

void signal_values(const scenario_channel *ch, uint64_t signal, uint64_t k, uint32_t count,
                   int32_t *values) {
  int64_t range = (int64_t)ch->high - ch->low;
  bool is_wave = ch->kind == HTEL_WAVEFORM;
  uint64_t node = k / WANDER;
  uint64_t from = mix(signal, node), to = mix(signal, node + 1u), noise = 0;
  uint32_t phase = (uint32_t)((k + signal) % BEAT);
  for (uint32_t i = 0; i < count; i++, k++) {
    if (k / WANDER != node) {
      node++;
      from = to;
      to = mix(signal, node + 1u);
    }
    if (i == 0 || k % 16u == 0) noise = mix(signal ^ 0x5A5Au, k / 16u);
    int32_t shake = (int32_t)(noise >> (k % 16u * 4u) & 15u);
    int32_t line = wander(from, to, (uint32_t)(k % WANDER));
    if (is_wave) {
      int64_t middle = ch->low + range / 4 + range * line / (65536 * 16);
      values[i] = clamp(ch, middle + range * beat_height(phase) / 512 + (shake - 8) / 3);
      if (++phase == BEAT) phase = 0;
    } else {
      values[i] = clamp(ch, ch->low + range / 4 + range * line / (65536 * 2) + (shake > 12));
    }
  }
}

int32_t signal_value(const scenario_channel *ch, uint64_t signal, uint64_t k) {
  int32_t value;
  signal_values(ch, signal, k, 1, &value);
  return value;
}

htel_quality signal_quality(const scenario_channel *ch, uint64_t signal, uint64_t k) {
  uint64_t run = k / (ch->kind == HTEL_WAVEFORM ? SIGNAL_BLOCK : QUALITY_RUN);
  uint64_t draw = mix(signal ^ 0xA5A5u, run);
  if (draw % QUALITY_BAD_IN != 0) return HTEL_VALID;
  return (htel_quality)(1u + (draw >> 32) % 4u);
}

bool signal_quality_changes(const scenario_channel *ch, uint64_t k) {
  return k % (ch->kind == HTEL_WAVEFORM ? SIGNAL_BLOCK : QUALITY_RUN) == 0;
}

void signal_alarm(const scenario_channel *ch, uint64_t signal, uint64_t k,
                  htel_alarm_event *event) {
  uint64_t draw = mix(signal, k / 2u);
  *event = (htel_alarm_event){.code = ch->code,
                              .state = k % 2u == 0 ? HTEL_ALARM_ACTIVE : HTEL_ALARM_INACTIVE,
                              .priority = (uint8_t)(HTEL_PRIORITY_LOW + draw % 3u),
                              .latched = (draw >> 8 & 1u) != 0,
                              .source = HTEL_NO_SOURCE};
}

/* ---- When ----------------------------------------------------------------------------------- */

/* Numerics come up to 2 ms late; where they are as close as that, exactly. */
static uint32_t late_ms(const scenario_channel *ch, uint64_t signal, uint64_t k) {
  return ch->period_ms < 10u ? 0 : (uint32_t)(mix(signal ^ 0x3C3Cu, k) % 3u);
}

static int64_t alarm_period_ms(const scenario_channel *ch) {
  return DAY_MS / (2 * (int64_t)ch->alarms_per_day);
}

static int64_t wave_ms(const scenario_channel *ch, uint64_t i) {
  return (int64_t)(i * 1000u * ch->rate.den / ch->rate.num);
}

int64_t signal_due_ms(const scenario_channel *ch, uint64_t signal, uint64_t k) {
  if (ch->kind == HTEL_NUMERIC) return (int64_t)(k * ch->period_ms) + late_ms(ch, signal, k);
  if (ch->kind == HTEL_ALARM) {
    if (ch->alarms_per_day == 0) return INT64_MAX;
    int64_t period_ms = alarm_period_ms(ch);
    return (int64_t)k * period_ms + period_ms / 2 +
           (int64_t)(mix(signal ^ 0xC3C3u, k) % (uint64_t)(period_ms / 2));
  }
  if (ch->burst_every_ms == 0) return wave_ms(ch, k);
  uint32_t burst = burst_samples(ch);
  return (int64_t)(k / burst * ch->burst_every_ms) + wave_ms(ch, k % burst);
}

uint64_t signal_first_at(const scenario_channel *ch, uint64_t signal, int64_t ms) {
  if (ms <= 0) return 0;
  uint64_t at = (uint64_t)ms, k;
  if (ch->kind == HTEL_NUMERIC) {
    k = at / ch->period_ms;
  } else if (ch->kind == HTEL_ALARM) {
    if (ch->alarms_per_day == 0) return 0;
    k = at / (uint64_t)alarm_period_ms(ch);
  } else if (ch->burst_every_ms == 0) {
    k = at * ch->rate.num / (1000u * (uint64_t)ch->rate.den);
  } else {
    uint64_t within = at % ch->burst_every_ms * ch->rate.num / (1000u * (uint64_t)ch->rate.den);
    uint32_t burst = burst_samples(ch);
    k = at / ch->burst_every_ms * burst + (within < burst ? within : burst);
  }
  while (signal_due_ms(ch, signal, k) < ms) k++;
  return k;
}

uint64_t signal_block_end(const scenario_channel *ch, uint64_t k) {
  uint64_t end = (k / SIGNAL_BLOCK + 1u) * SIGNAL_BLOCK;
  if (ch->burst_every_ms == 0) return end;
  uint32_t burst = burst_samples(ch);
  uint64_t burst_end = (k / burst + 1u) * burst;
  return end < burst_end ? end : burst_end;
}

uint64_t signal_burst_at(const scenario_channel *ch, int64_t ms, uint64_t *end) {
  *end = UINT64_MAX;
  if (ch->burst_every_ms == 0 || ms < 0) return 0;
  uint64_t first = (uint64_t)ms / ch->burst_every_ms * burst_samples(ch);
  *end = first + burst_samples(ch);
  return first;
}
