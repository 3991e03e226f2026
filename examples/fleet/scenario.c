/* SPDX-License-Identifier: Apache-2.0 */
/* scenario.c - the standard load, and what every scenario must keep to. */
#include "scenario.h"

#include <stdio.h>
#include <string.h>

#include "htel_mqtt.h"
#include "plan.h"

#define MINUTE_MS 60000u
#define HOUR_MS 3600000u

static const double per_day_standard[FAULT_KINDS] = {
    [FAULT_FLAPS] = 24,   [FAULT_SLOW] = 4,   [FAULT_HALF_OPEN] = 4, [FAULT_OUTAGE] = 2,
    [FAULT_DNS] = 4,      [FAULT_TLS] = 2,    [FAULT_CLOCK] = 2,     [FAULT_RESET] = 2,
    [FAULT_POWER] = 2,    [FAULT_ROT] = 0.5,  [FAULT_WEAR] = 0.2,    [FAULT_OVERFLOW] = 4,
    [FAULT_CLONE] = 0.01, [FAULT_BROKER] = 4, [FAULT_HOSTILE] = 4,   [FAULT_ACKS] = 8,
    [FAULT_INGEST] = 6,   [FAULT_DISK] = 2,   [FAULT_STORM] = 1};

void scenario_standard(scenario *s) {
  *s = (scenario){.name = "standard",
                  .title = "Two numerics at 1 Hz and 10 s of ECG an hour, all faults",
                  .devices = 1000,
                  .hours = 24,
                  .faults = FAULT_ALL,
                  .cell_devices = 50,
                  .coding = HTEL_CODING_FAST,
                  .age_ms_max = MINUTE_MS,
                  .bytes_max = 2048,
                  .ring_bytes = 4096,
                  .outbox_bytes = 4096,
                  .persist_frames = 1,
                  .flash = true,
                  .flash_block_bytes = 4096,
                  .flash_block_count = 64,
                  .flash_program_bytes = 8,
                  .keep_alive_s = 60,
                  .spread_ms = MINUTE_MS,
                  .window_bytes = 1400,
                  .memory_bytes_max = 65536,
                  .channels = {{.name = "pulse",
                                .code = HTEL_MDC_PULSE_RATE_OXIMETER,
                                .kind = HTEL_NUMERIC,
                                .period_ms = 1000,
                                .low = 40,
                                .high = 140},
                               {.name = "spo2",
                                .code = HTEL_MDC_SPO2,
                                .kind = HTEL_NUMERIC,
                                .period_ms = 1000,
                                .low = 80,
                                .high = 100},
                               {.name = "ecg",
                                .code = HTEL_MDC_ECG_LEAD_II,
                                .kind = HTEL_WAVEFORM,
                                .rate = {250, 1},
                                .burst_ms = 10000,
                                .burst_every_ms = HOUR_MS,
                                .low = -1000,
                                .high = 1500},
                               {.name = "alarms",
                                .code = HTEL_MDC_PRIVATE(0xF0A0),
                                .kind = HTEL_ALARM,
                                .alarms_per_day = 6}},
                  .channel_count = 4,
                  .latency_ms = 40,
                  .jitter_ms = 20,
                  .commit_ms = 200};
  memcpy(s->per_day, per_day_standard, sizeof s->per_day);
}

/* ---- Does it fit together? ------------------------------------------------------------------- */

static bool refuse(char *error, size_t error_size, const char *text) {
  snprintf(error, error_size, "%s", text);
  return false;
}

static bool channel_check(const scenario_channel *ch, char *error, size_t error_size) {
  const char *why = NULL;
  if (ch->low > ch->high) why = "low is above high";
  if (ch->kind == HTEL_NUMERIC && (ch->period_ms < 10u || ch->period_ms > 24u * HOUR_MS))
    why = "a numeric needs a period of 10 ms to 24 h";
  if (ch->kind == HTEL_ALARM && ch->alarms_per_day > 10000u) why = "more than 10000 alarms a day";
  if (ch->kind == HTEL_WAVEFORM) {
    uint64_t burst = (uint64_t)ch->burst_ms * ch->rate.num;
    if (ch->rate.num == 0 || ch->rate.den == 0 || ch->rate.num > 10000u * (uint64_t)ch->rate.den)
      why = "a waveform needs a rate of up to 10000 Hz";
    else if (ch->burst_every_ms != 0 && (ch->burst_ms == 0 || ch->burst_ms >= ch->burst_every_ms))
      why = "burst must be shorter than burst-every";
    else if (ch->burst_every_ms == 0 && ch->burst_ms != 0)
      why = "burst needs burst-every";
    else if (ch->burst_every_ms != 0 && burst < 1000u * (uint64_t)ch->rate.den)
      why = "a burst holds no sample";
  }
  if (why == NULL) return true;
  snprintf(error, error_size, "channel '%s': %s", ch->name, why);
  return false;
}

/* Faults that are over as they come; all others last, and an event says for how long. */
static const fault_set moments = 1u << FAULT_FLAPS | 1u << FAULT_RESET | 1u << FAULT_ROT |
                                 1u << FAULT_WEAR | 1u << FAULT_CLONE | 1u << FAULT_STORM;

static bool event_check(const scenario_event *e, char *error, size_t error_size) {
  const char *why = NULL;
  bool moment = (moments >> e->kind & 1u) != 0;
  if (moment && e->for_ms > 0) why = "is over at once: leave `for` out";
  if (!moment && e->for_ms == 0 && e->kind != FAULT_POWER)
    why = "lasts: say how long (for = 5 min)";
  if (why == NULL) return true;
  snprintf(error, error_size, "event '%s' %s", fault_name(e->kind), why);
  return false;
}

static bool rates_are_sane(const scenario *s) {
  for (unsigned k = 0; k < FAULT_KINDS; k++) {
    double rate = s->per_day[k];
    if (rate != 0.0 && !(rate >= SCENARIO_RATE_MIN && rate <= SCENARIO_RATE_MAX)) return false;
  }
  return true;
}

bool scenario_check(const scenario *s, char *error, size_t error_size) {
  if (s->channel_count == 0) return refuse(error, error_size, "no channel: nothing to record");
  for (uint32_t i = 0; i < s->channel_count; i++)
    if (!channel_check(&s->channels[i], error, error_size)) return false;
  if (s->devices == 0) return refuse(error, error_size, "no devices");
  if (s->hours == 0) return refuse(error, error_size, "no hours");
  if (s->cell_devices == 0) return refuse(error, error_size, "no device in a cell");
  bool is_power =
      s->flash_block_bytes != 0 && (s->flash_block_bytes & (s->flash_block_bytes - 1)) == 0;
  uint64_t flash = (uint64_t)s->flash_block_bytes * s->flash_block_count;
  if (s->flash && (!is_power || flash < 16384u || flash > 16777216u || s->flash_block_count < 4u))
    return refuse(error, error_size,
                  "flash: flash-block-bytes a power of two of 4096 to 65536, flash-blocks 4 or "
                  "more, 16 KiB to 16 MiB in all");
  if (s->window_bytes < HTEL_MQTT_WINDOW_BYTES_MIN || s->window_bytes > HTEL_MQTT_WINDOW_BYTES_MAX)
    return refuse(error, error_size, "window-bytes must be 256 to 16384");
  if (!rates_are_sane(s)) return refuse(error, error_size, "rates are 0, or 0.001 to 10000 a day");
  for (uint32_t i = 0; i < s->event_count; i++)
    if (!event_check(&s->events[i], error, error_size)) return false;
  plan p;
  return plan_make(&p, s, error, error_size) == 0; /* what the library itself refuses */
}
