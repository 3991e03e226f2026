/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "track.h"

#include <stdlib.h>
#include <string.h>

/* About 100 ms of a waveform, as a device's converter hands it over. */
static uint16_t block_samples_of(const track *t) {
  if (t->kind != HTEL_WAVEFORM) return 1;
  uint32_t samples = t->rate.num / (10u * t->rate.den);
  if (samples < 1) return 1;
  return (uint16_t)(samples < TRACK_BLOCK_SAMPLES_MAX ? samples : TRACK_BLOCK_SAMPLES_MAX);
}

static int buffers_take(track *t) {
  t->block_samples = block_samples_of(t);
  size_t cells = (size_t)t->block_samples * t->channel_count;
  t->block.values = calloc(cells, sizeof *t->block.values);
  t->block.quality = calloc(cells, sizeof *t->block.quality);
  if (t->block.values && t->block.quality) return 0;
  snprintf(t->error, sizeof t->error, "out of memory");
  return -1;
}

int track_open_recording(track *t, const char *path, uint32_t repeat) {
  *t = (track){.label = path, .end_ms = UINT64_MAX, .passes = repeat - 1};
  t->recording = calloc(1, sizeof *t->recording);
  if (!t->recording) {
    snprintf(t->error, sizeof t->error, "out of memory");
    return -1;
  }
  recording *r = t->recording;
  if (recording_open(r, path) != 0) {
    snprintf(t->error, sizeof t->error, "%s", r->error);
    return -1;
  }
  if (r->irregular && repeat > 1) {
    snprintf(t->error, sizeof t->error, "%s: a recording with t_ms cannot be repeated", path);
    return -1;
  }
  t->kind = r->kind;
  t->rate = r->rate;
  t->irregular = r->irregular;
  t->channel_count = r->channel_count;
  t->channels = r->channels;
  return buffers_take(t);
}

int track_open_patient(track *t, patient_signal signal, uint64_t seed) {
  const patient_info *info = patient_signal_info(signal);
  *t = (track){.label = info->label,
               .end_ms = UINT64_MAX,
               .kind = info->kind,
               .rate = info->rate,
               .irregular = info->kind == HTEL_ALARM,
               .channel_count = info->channel_count,
               .channels = info->channels};
  t->patient = calloc(1, sizeof *t->patient);
  if (!t->patient) {
    snprintf(t->error, sizeof t->error, "out of memory");
    return -1;
  }
  patient_begin(t->patient, signal, seed);
  return buffers_take(t);
}

void track_close(track *t) {
  if (t->recording) recording_close(t->recording);
  free(t->recording);
  free(t->patient);
  free(t->block.values);
  free(t->block.quality);
  *t = (track){0};
}

uint64_t track_row_ms(const track *t, uint64_t row) {
  return t->start_ms + recording_offset_ms(t->rate, row);
}

/* 1, 0 at the end of the last pass, -1. */
static int row_read(track *t, recording_row *row) {
  if (t->patient) {
    patient_next(t->patient, row, &t->block.alarm);
    return 1;
  }
  int rc = recording_next(t->recording, row);
  if (rc == 0 && t->passes > 0) {
    t->passes--;
    rc = recording_rewind(t->recording) != 0 ? -1 : recording_next(t->recording, row);
  }
  if (rc < 0) snprintf(t->error, sizeof t->error, "%s", t->recording->error);
  return rc;
}

int track_advance(track *t) {
  track_block *block = &t->block;
  block->count = 0;
  block->row_first = t->rows;
  while (!t->ended && block->count < t->block_samples) {
    recording_row row;
    int rc = row_read(t, &row);
    if (rc < 0) return -1;
    uint64_t at_ms = t->irregular ? t->start_ms + row.offset_ms : track_row_ms(t, t->rows);
    if (rc == 0 || at_ms >= t->end_ms || t->rows >= RECORDING_ROWS_MAX) {
      t->ended = true;
      break;
    }
    for (uint16_t c = 0; t->kind != HTEL_ALARM && c < t->channel_count; c++) {
      block->values[c * t->block_samples + block->count] = row.values[c];
      block->quality[c * t->block_samples + block->count] = row.quality[c];
    }
    if (block->count == 0) block->first_ms = at_ms;
    block->last_ms = at_ms;
    block->count++;
    t->rows++;
  }
  return 0;
}

static uint8_t index_of(const htel_channel *channels, int count, uint32_t code) {
  uint8_t index = 0;
  for (int i = 0; i < count; i++)
    if (channels[i].code == code) index++;
  return index;
}

int tracks_device(track *tracks, unsigned count, uint8_t ring_count,
                  htel_channel channels[HTEL_CHANNELS_MAX]) {
  int n = 0;
  for (unsigned i = 0; i < count; i++) {
    track *t = &tracks[i];
    t->channel_first = (uint16_t)n;
    for (uint16_t c = 0; c < t->channel_count; c++, n++) {
      if (n == (int)HTEL_CHANNELS_MAX) return -1;
      const recording_channel *from = &t->channels[c];
      bool waveform = t->kind == HTEL_WAVEFORM;
      channels[n] = (htel_channel){
          .code = from->code,
          .name = from->name,
          .unit = from->unit,
          .rate = t->kind == HTEL_ALARM ? (htel_rate){0, 0} : t->rate,
          .gain = from->gain,
          .offset = from->offset,
          .exponent = from->exponent,
          .kind = (uint8_t)t->kind,
          .index = index_of(channels, n, from->code),
          .ring = (uint8_t)(waveform ? 0 : ring_count - 1),
          .block_max = waveform ? t->block_samples : (uint16_t)0,
      };
    }
  }
  return n;
}
