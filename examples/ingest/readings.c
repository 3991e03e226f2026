/* SPDX-License-Identifier: Apache-2.0 */
#include "readings.h"

#include <stdlib.h>
#include <string.h>

#include "placing.h"

void readings_free(readings *r) {
  free(r->runs);
  free(r->samples);
  free(r->sample_quality);
  free(r->events);
  *r = (readings){0};
}

void readings_clear(readings *r) {
  r->run_count = r->sample_count = r->event_count = 0;
  r->numerics = r->alarms = 0;
}

static size_t room_after(size_t room, size_t wanted) {
  size_t more = room < 64 ? 128 : 2 * room;
  return more < wanted ? wanted : more;
}

static bool reserve_runs(readings *r) {
  if (r->run_count < r->run_room) return true;
  size_t room = room_after(r->run_room, r->run_count + 1);
  readings_run *runs = realloc(r->runs, room * sizeof *runs);
  if (runs == NULL) return false;
  r->runs = runs;
  r->run_room = room;
  return true;
}

static bool reserve_samples(readings *r, size_t more) {
  if (r->sample_count + more <= r->sample_room) return true;
  size_t room = room_after(r->sample_room, r->sample_count + more);
  int32_t *samples = realloc(r->samples, room * sizeof *samples);
  if (samples == NULL) return false;
  r->samples = samples;
  uint8_t *quality = realloc(r->sample_quality, room);
  if (quality == NULL) return false;
  r->sample_quality = quality;
  r->sample_room = room;
  return true;
}

static bool reserve_events(readings *r, size_t more) {
  if (r->event_count + more <= r->event_room) return true;
  size_t room = room_after(r->event_room, r->event_count + more);
  readings_event *events = realloc(r->events, room * sizeof *events);
  if (events == NULL) return false;
  r->events = events;
  r->event_room = room;
  return true;
}

static int add_samples(readings *r, readings_run *run, const htel_series *series) {
  if (r->sample_count + series->count > READINGS_SAMPLES_MAX) return HTEL_E_TOO_LARGE;
  if (!reserve_samples(r, series->count)) return HTEL_E_MEMORY;
  run->at = r->sample_count;
  run->phase = series->phase;
  run->valid = true;
  memcpy(r->samples + run->at, series->values, series->count * sizeof *r->samples);
  memcpy(r->sample_quality + run->at, series->quality, series->count);
  for (unsigned i = 0; i < series->count; i++)
    if (series->quality[i] != HTEL_VALID) run->valid = false;
  r->sample_count += series->count;
  return 0;
}

static int add_events(readings *r, readings_run *run, const htel_series *series) {
  if (r->event_count + series->count > READINGS_EVENTS_MAX) return HTEL_E_TOO_LARGE;
  if (!reserve_events(r, series->count)) return HTEL_E_MEMORY;
  run->at = r->event_count;
  bool alarm = series->kind == HTEL_ALARM;
  for (unsigned i = 0; i < series->count; i++) {
    readings_event *event = &r->events[run->at + i];
    *event = (readings_event){.tick = series->ticks[i]};
    if (alarm) {
      event->alarm = series->alarms[i];
    } else {
      event->value = series->values[i];
      event->quality = series->quality[i];
    }
  }
  r->event_count += series->count;
  if (alarm)
    r->alarms += series->count;
  else
    r->numerics += series->count;
  return 0;
}

int readings_add(readings *r, const htel_series *series) {
  for (unsigned i = 0; i < series->count; i++)
    if (series->ticks[i] > PLACING_TICK_MAX) return HTEL_E_FORMAT;
  if (!reserve_runs(r)) return HTEL_E_MEMORY;
  readings_run run = {.channel = series->channel,
                      .kind = series->kind,
                      .count = series->count,
                      .tick = series->ticks[0]};
  int rc =
      series->kind == HTEL_WAVEFORM ? add_samples(r, &run, series) : add_events(r, &run, series);
  if (rc == 0) r->runs[r->run_count++] = run;
  return rc;
}
