/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h - from what a device measures and must survive to a configuration, and what it takes.
 *
 *     wish -> frames (from docs/SIZES.md's figures, or coded for real) -> ring, frame, outbox
 *          -> htel_config -> htel_memory_needed, here and on the target -> RAM, flash, wire
 *
 * Memory is reckoned by the library's own code: the configuration is laid out by config_apply(),
 * and its parts are then added up with the sizes that they have on the target. */
#ifndef HTEL_SIZE_PLAN_H
#define HTEL_SIZE_PLAN_H

#include "healthtel/healthtel.h"
#include "part.h"
#include "signal.h"

#define PLAN_ERROR_BYTES_MAX 1536u
#define PLAN_RECORDINGS_MAX 16u

typedef struct wish_channel {
  const signal *signal;
  htel_rate rate;
} wish_channel;

typedef struct wish {
  wish_channel channels[HTEL_CHANNELS_MAX];
  uint16_t channel_count;
  const char *recordings[PLAN_RECORDINGS_MAX]; /* instead of channels: coded for real */
  unsigned recording_count;
  uint32_t alarms_per_hour;
  uint8_t coding; /* htel_coding */
  uint32_t frame_s;
  uint32_t frame_bytes; /* 0: found */
  uint32_t outage_s;
  uint32_t reconnect_s; /* the longest wait behind the outage: delivery.backoff_max_ms */
  uint32_t poll_ms;     /* the longest time between two htel_poll */
  uint32_t block_ms;    /* of samples in one htel_record_block */
  uint32_t margin;      /* per cent on top of frames that figures gave */
  double wave_bytes, numeric_bytes; /* a reading, instead of the figures; 0: these */
  bool on_flash;
  uint32_t flash_block_bytes, flash_program_bytes;
  bool link, tls, texts;
  uint32_t tls_in_bytes, tls_out_bytes;
  const target *target;
  uint32_t ram_bytes, flash_bytes; /* of the part; 0: not given */
  uint32_t other_ram, other_flash; /* taken by the rest of the firmware */
} wish;

/* Frames of one class. */
typedef struct plan_class {
  bool used;
  double frame_bytes; /* on average */
  uint32_t frame_bytes_max;
  double frames_per_day;
  uint32_t frames_waiting; /* when the outage ends */
} plan_class;

/* Bytes of the client's memory. */
typedef struct plan_memory {
  uint32_t state, ring, columns, frames, outbox, coding, all;
} plan_memory;

typedef struct plan {
  htel_channel channels[HTEL_CHANNELS_MAX];
  htel_flash flash; /* the log's geometry: not to be called */
  htel_config config;
  plan_class classes[HTEL_CLASS_COUNT];
  uint64_t outbox_waiting; /* bytes of it that frames take when the outage ends */
  uint32_t log_bytes;      /* flash that is set aside for frames */
  plan_memory here, there; /* this machine: as htel_memory_needed says; the target */
  uint32_t link_ram, tls_ram, tls_heap, stack, ram_all;
  uint32_t core_flash, flash_outbox_flash, coding_flash, link_flash, tls_flash, texts_flash,
      runtime_flash;
  uint32_t flash_all;
  double readings_day, payload_day, wire_day;
  bool tried; /* with recordings: an outage was played */
  uint64_t tried_lost;
  uint32_t tried_used;
  bool fits_ram, fits_flash;
} plan;

/* 0; -1 with `error` (PLAN_ERROR_BYTES_MAX). `wish` is kept by reference. */
int plan_make(plan *p, const wish *w, char *error);

/* Parts of the memory that a configuration takes on a target. False: the library refuses the
 * configuration (config->fault), or there is no memory here. */
bool plan_memory_on(const htel_config *config, const target *t, plan_memory *memory);

#endif
