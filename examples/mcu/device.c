/* SPDX-License-Identifier: Apache-2.0 */
/* device.c - see device.h. */
#include "device.h"

#include "board.h"

const htel_channel device_channels[CH_COUNT] = {
    [CH_ECG] = {.code = HTEL_MDC_ECG_LEAD_II,
                .name = "ECG_MLII",
                .unit = HTEL_UNIT_MV,
                .rate = {ECG_HZ, 1},
                .gain = 200,
                .offset = 1024,
                .kind = HTEL_WAVEFORM,
                .block_max = ECG_BLOCK},
    [CH_PULSE] = {.code = HTEL_MDC_PULSE_RATE_OXIMETER,
                  .name = "PULSE",
                  .unit = HTEL_UNIT_PER_MIN,
                  .rate = {1000, NUMERICS_MS},
                  .ring = 1},
    [CH_SPO2] = {.code = HTEL_MDC_SPO2,
                 .name = "SPO2",
                 .unit = HTEL_UNIT_PERCENT,
                 .rate = {1000, NUMERICS_MS},
                 .exponent = -1,
                 .ring = 1},
    [CH_RESP] = {.code = HTEL_MDC_RESPIRATION_RATE,
                 .name = "RESP",
                 .unit = HTEL_UNIT_PER_MIN,
                 .rate = {1000, NUMERICS_MS},
                 .ring = 1},
    [CH_ALARM] = {.code = HTEL_MDC_PRIVATE(2), .name = "ALARM", .kind = HTEL_ALARM, .ring = 1},
};

volatile device_counts device_counted;

static htel *client;

/* Each count has one writer: an interrupt, or the main loop once they are stopped. */
static void count(unsigned channel, int rc, uint32_t readings) {
  volatile uint32_t *to =
      rc == 0 ? &device_counted.accepted[channel] : &device_counted.refused[channel];
  *to += readings;
}

/* ---- When readings are taken ---------------------------------------------------------------- */

/* An interrupt of each period takes one. An emulator lets time jump where its host was busy: then
 * what the converter would have made meanwhile is taken too, each with the tick that it is of, a
 * few at a time, so that the loop can go on between. */
#define CATCH_UP 4u

typedef struct pace {
  uint32_t period, due; /* cycles */
} pace;

static volatile bool stopped;

/* Whether one more is due, and its tick. */
static bool pace_next(pace *p, uint32_t *tick_ms) {
  uint32_t late = clock_cycles() - p->due;
  if (stopped || late >= 0x80000000u) return false;
  p->due += p->period;
  *tick_ms = clock_ms() - late / (BOARD_HZ / 1000u);
  return true;
}

/* ---- The ECG ------------------------------------------------------------------------------- */

static pace ecg_pace = {.period = (BOARD_HZ + ECG_HZ / 2u) / ECG_HZ};
static uint32_t ecg_next, ecg_held, ecg_tick_ms; /* of the block's first sample */
static int32_t ecg_block[ECG_BLOCK];

static void ecg_record(void) {
  int rc =
      htel_record_block_at(client, CH_ECG, ecg_block, (uint16_t)ecg_held, HTEL_VALID, ecg_tick_ms);
  count(CH_ECG, rc, ecg_held);
  ecg_held = 0;
}

void board_on_wave(void) {
  uint32_t tick_ms;
  board_wave_ack();
  for (unsigned n = 0; n < CATCH_UP && pace_next(&ecg_pace, &tick_ms); n++) {
    if (ecg_held == 0) ecg_tick_ms = tick_ms;
    ecg_block[ecg_held++] = recording[ecg_next];
    if (++ecg_next == recording_samples) ecg_next = 0;
    if (ecg_held == ECG_BLOCK) ecg_record();
  }
}

/* ---- Numerics and alarms ------------------------------------------------------------------- */

static pace numerics_pace = {.period = BOARD_HZ / 1000u * NUMERICS_MS};
static uint32_t numerics_taken;

static void alarm_record(uint32_t n, uint32_t tick_ms) {
  htel_alarm_event event = {.code = ALARM_CODE,
                            .state = n % 2u == 0 ? HTEL_ALARM_ACTIVE : HTEL_ALARM_INACTIVE,
                            .priority = HTEL_PRIORITY_MEDIUM,
                            .source = CH_SPO2};
  count(CH_ALARM, htel_alarm_at(client, CH_ALARM, &event, tick_ms), 1);
}

static void numerics_record(uint32_t tick_ms) {
  uint32_t n = numerics_taken++;
  for (unsigned channel = CH_PULSE; channel <= CH_RESP; channel++)
    count(channel, htel_record_at(client, channel, device_numeric(channel, n), HTEL_VALID, tick_ms),
          1);
  if (n % ALARM_EACH == ALARM_EACH - 1u) alarm_record(n / ALARM_EACH, tick_ms);
}

void board_on_numerics(void) {
  uint32_t tick_ms;
  board_numerics_ack();
  while (pace_next(&numerics_pace, &tick_ms)) numerics_record(tick_ms);
}

/* ---- Start and stop ------------------------------------------------------------------------ */

void device_start(htel *tel) {
  client = tel;
  uint32_t now = clock_cycles();
  ecg_pace.due = now + ecg_pace.period;
  numerics_pace.due = now + numerics_pace.period;
  board_timers_start(ecg_pace.period, numerics_pace.period);
}

void device_stop(void) {
  stopped = true;
  if (ecg_held > 0) ecg_record();
}
