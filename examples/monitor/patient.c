/* SPDX-License-Identifier: Apache-2.0 */
/* The beats are a renewal process; each adds its P, Q, R, S and T as five Gaussians around its R
 * wave, and a pulse to the pleth a fifth of a second later. Everything random is a hash of seed, a
 * stream of its own and a number, so that no stream depends on how far another was read. */
#include "patient.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

static const patient_info infos[PATIENT_SIGNAL_COUNT] = {
    [PATIENT_ECG] = {"synthetic_ecg250",
                     "ecg",
                     "Synthetic ECG, lead II",
                     HTEL_WAVEFORM,
                     {250, 1},
                     1,
                     {{"ECG_II", HTEL_UNIT_MV, HTEL_MDC_ECG_LEAD_II, 0, 200, 1024, 0}}},
    [PATIENT_PLETH] = {"synthetic_pleth100",
                       "ppg",
                       "Synthetic plethysmogram",
                       HTEL_WAVEFORM,
                       {100, 1},
                       1,
                       {{"PLETH", HTEL_UNIT_ONE, HTEL_MDC_PLETH, 0, 1000, 2048, 0}}},
    [PATIENT_OXIMETRY] = {"synthetic_oximetry1",
                          "scalar",
                          "Synthetic pulse rate and SpO2",
                          HTEL_NUMERIC,
                          {1, 1},
                          2,
                          {{"PULSE", HTEL_UNIT_PER_MIN, HTEL_MDC_PULSE_RATE_OXIMETER, 0, 1, 0, 0},
                           {"SPO2", HTEL_UNIT_PERCENT, HTEL_MDC_SPO2, 0, 10, 0, 0}}},
    [PATIENT_VITALS] = {"synthetic_vitals1",
                        "scalar",
                        "Synthetic heart rate, respiration rate, temperature",
                        HTEL_NUMERIC,
                        {1, 1},
                        3,
                        {{"HR", HTEL_UNIT_PER_MIN, HTEL_MDC_HEART_RATE, 0, 1, 0, 0},
                         {"RR", HTEL_UNIT_PER_MIN, HTEL_MDC_RESPIRATION_RATE, 0, 10, 0, 0},
                         {"TEMP", HTEL_UNIT_CELSIUS, HTEL_MDC_BODY_TEMPERATURE, 0, 100, 0, 0}}},
    [PATIENT_ALARMS] = {"synthetic_alarms",
                        NULL,
                        "Synthetic alarms",
                        HTEL_ALARM,
                        {1, 1},
                        1,
                        {{"SPO2_LOW", HTEL_UNIT_ONE, PATIENT_ALARM_SPO2_LOW, 0, 1, 0, 0}}},
};

const patient_info *patient_signal_info(patient_signal signal) {
  return &infos[signal];
}

/* ---- Chance -------------------------------------------------------------------------- */

enum { CHANCE_BEAT = 1, CHANCE_ECTOPIC, CHANCE_FALL, CHANCE_PROBE, CHANCE_NOISE };

/* splitmix64's mixing of the three into 0 <= x < 1. */
static double chance(uint64_t seed, uint64_t stream, uint64_t number) {
  uint64_t x = seed * 0x9e3779b97f4a7c15u + stream * 0xbf58476d1ce4e5b9u + number;
  for (int round = 0; round < 2; round++) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
  }
  return (double)(x >> 11) / 9007199254740992.0;
}

/* ---- What happens to the patient, by time alone --------------------------------------- */

#define FALL_EVERY_S 120.0
#define PROBE_EVERY_S 90.0

/* 0 to 1: how far the fall of saturation of these two minutes has gone. */
static double fall_at(uint64_t seed, double time_s) {
  double window = floor(time_s / FALL_EVERY_S);
  double start = 12 + 20 * chance(seed, CHANCE_FALL, (uint64_t)window);
  double since = time_s - window * FALL_EVERY_S - start;
  if (since < 0 || since > 40) return 0;
  return 0.5 - 0.5 * cos(2 * PI * since / 40);
}

static bool probe_off(uint64_t seed, double time_s) {
  double window = floor(time_s / PROBE_EVERY_S);
  double start = 38 + 12 * chance(seed, CHANCE_PROBE, (uint64_t)window);
  double since = time_s - window * PROBE_EVERY_S - start;
  return since >= 0 && since < 3;
}

static double breath_at(double time_s) {
  return sin(2 * PI * 0.25 * time_s);
}

static double heart_rate_at(uint64_t seed, double time_s) {
  return 72 + 3.5 * breath_at(time_s) + 2 * sin(2 * PI * 0.1 * time_s) + 14 * fall_at(seed, time_s);
}

static double spo2_at(uint64_t seed, double time_s) {
  return 97.4 + 0.4 * sin(2 * PI * time_s / 47) - 11 * fall_at(seed, time_s);
}

/* ---- The heart ------------------------------------------------------------------------ */

static void beat_add(patient_stream *s) {
  const patient_beat *last = &s->beats[PATIENT_BEATS - 1];
  double time_s = last->time_s + last->length_s;
  uint64_t number = s->beat_number++;
  double length_s = 60 / heart_rate_at(s->seed, time_s > 0 ? time_s : 0);
  length_s *= 0.99 + 0.02 * chance(s->seed, CHANCE_BEAT, number);
  bool ectopic = number > 0 && chance(s->seed, CHANCE_ECTOPIC, number) < 1.0 / 40;
  /* An ectopic beat comes early, and the one after it waits for the rhythm. */
  bool next_ectopic = chance(s->seed, CHANCE_ECTOPIC, number + 1) < 1.0 / 40;
  if (ectopic) length_s *= 1.35;
  if (next_ectopic && !ectopic) length_s *= 0.65;
  memmove(s->beats, s->beats + 1, sizeof s->beats - sizeof s->beats[0]);
  s->beats[PATIENT_BEATS - 1] = (patient_beat){time_s, length_s, ectopic};
}

/* Two beats are behind `time_s` and two from there on. */
static void beats_advance(patient_stream *s, double time_s) {
  while (s->beats[PATIENT_BEATS - 2].time_s < time_s) beat_add(s);
}

static double gaussian(double x, double centre, double width) {
  double d = (x - centre) / width;
  return d * d > 40 ? 0 : exp(-0.5 * d * d);
}

static double ecg_beat_mv(const patient_beat *beat, double since_s) {
  static const struct {
    double centre_s, width_s, mv;
  } normal[] = {{-0.17, 0.022, 0.13},
                {-0.028, 0.009, -0.12},
                {0, 0.011, 1.15},
                {0.030, 0.011, -0.26},
                {0.27, 0.050, 0.30}},
    wide[] = {{-0.02, 0.030, 1.30}, {0.09, 0.045, -0.55}, {0.33, 0.060, -0.35}};
  double mv = 0;
  if (beat->ectopic)
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
      mv += wide[i].mv * gaussian(since_s, wide[i].centre_s, wide[i].width_s);
  else
    for (size_t i = 0; i < sizeof normal / sizeof normal[0]; i++)
      mv += normal[i].mv * gaussian(since_s, normal[i].centre_s, normal[i].width_s);
  return mv;
}

/* Rise, systolic peak, dicrotic notch and wave. */
static double pulse_beat(const patient_beat *beat, double since_s) {
  double strength = beat->ectopic ? 0.45 : 1;
  since_s -= 0.20; /* from heart to finger */
  return strength * (gaussian(since_s, 0.14, 0.060) + 0.55 * gaussian(since_s, 0.27, 0.085) +
                     0.28 * gaussian(since_s, 0.44, 0.080));
}

/* ---- Rows ----------------------------------------------------------------------------- */

static int32_t code_of(const recording_channel *channel, double physical) {
  return (int32_t)lround(physical * channel->gain + channel->offset);
}

static void waveform_row(patient_stream *s, double time_s, recording_row *row) {
  const recording_channel *channel = infos[s->signal].channels;
  double noise = chance(s->seed, CHANCE_NOISE + s->signal, s->row) - 0.5;
  double value = 0;
  beats_advance(s, time_s);
  for (unsigned i = 0; i < PATIENT_BEATS; i++) {
    double since_s = time_s - s->beats[i].time_s;
    value += s->signal == PATIENT_ECG ? ecg_beat_mv(&s->beats[i], since_s)
                                      : pulse_beat(&s->beats[i], since_s);
  }
  if (s->signal == PATIENT_ECG)
    value += 0.05 * breath_at(time_s) + 0.02 * noise;
  else
    value = value * (1 + 0.06 * breath_at(time_s)) - 0.4 + 0.004 * noise;
  row->values[0] = code_of(channel, value);
  if (s->signal == PATIENT_PLETH && probe_off(s->seed, time_s)) {
    row->values[0] = code_of(channel, 0.02 * noise);
    row->quality[0] = HTEL_SENSOR_OFF;
  }
}

static void numeric_row(const patient_stream *s, double time_s, recording_row *row) {
  const recording_channel *channels = infos[s->signal].channels;
  double rate = heart_rate_at(s->seed, time_s);
  if (s->signal == PATIENT_VITALS) {
    row->values[0] = code_of(&channels[0], rate);
    row->values[1] = code_of(&channels[1], 15 + 4 * fall_at(s->seed, time_s));
    row->values[2] = code_of(&channels[2], 36.8 + 0.1 * sin(2 * PI * time_s / 600));
    return;
  }
  row->values[0] = code_of(&channels[0], heart_rate_at(s->seed, time_s > 2 ? time_s - 2 : 0));
  row->values[1] = code_of(&channels[1], spo2_at(s->seed, time_s));
  if (probe_off(s->seed, time_s))
    for (unsigned i = 0; i < 2; i++) {
      row->values[i] = 0;
      row->quality[i] = HTEL_SENSOR_OFF;
    }
}

/* Active below 90 %, acknowledged after eight seconds, inactive from 92 % on. */
static bool alarm_changes(patient_stream *s, double spo2) {
  uint8_t before = s->alarm_state;
  if (s->alarm_state == HTEL_ALARM_INACTIVE) {
    if (spo2 < 90) s->alarm_state = HTEL_ALARM_ACTIVE, s->alarm_row = s->row;
  } else if (spo2 >= 92) {
    s->alarm_state = HTEL_ALARM_INACTIVE;
  } else if (s->alarm_state == HTEL_ALARM_ACTIVE && s->row >= s->alarm_row + 8) {
    s->alarm_state = HTEL_ALARM_ACKNOWLEDGED;
  }
  return s->alarm_state != before;
}

/* Saturation falls below 90 % once in every FALL_EVERY_S, so this ends soon. */
static void alarm_row(patient_stream *s, recording_row *row, htel_alarm_event *event) {
  while (!alarm_changes(s, spo2_at(s->seed, (double)s->row))) s->row++;
  row->offset_ms = s->row * 1000;
  *event = (htel_alarm_event){.code = PATIENT_ALARM_SPO2_LOW,
                              .state = s->alarm_state,
                              .priority = HTEL_PRIORITY_MEDIUM,
                              .source = HTEL_NO_SOURCE};
}

void patient_begin(patient_stream *s, patient_signal signal, uint64_t seed) {
  *s = (patient_stream){.signal = signal, .seed = seed};
  s->beats[PATIENT_BEATS - 1].time_s = -0.6; /* as if there had been one before the start */
  s->beats[PATIENT_BEATS - 1].length_s = 0.85;
  for (unsigned i = 0; i + 1 < PATIENT_BEATS; i++) s->beats[i].time_s = -1000;
}

void patient_next(patient_stream *s, recording_row *row, htel_alarm_event *event) {
  const patient_info *info = &infos[s->signal];
  memset(row->quality, HTEL_VALID, sizeof row->quality);
  if (info->kind == HTEL_ALARM) {
    alarm_row(s, row, event);
  } else {
    row->offset_ms = recording_offset_ms(info->rate, s->row);
    double time_s = (double)s->row * info->rate.den / info->rate.num;
    if (info->kind == HTEL_WAVEFORM)
      waveform_row(s, time_s, row);
    else
      numeric_row(s, time_s, row);
  }
  s->row++;
}
