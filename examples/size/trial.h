/* SPDX-License-Identifier: Apache-2.0 */
/* trial.h - runs the real client over recordings, in a time of its own, to see what it takes.
 *
 *     recording -> player -> htel_record... -> the client -> a broker that acknowledges
 *
 * What comes out is each frame as it was closed: when, how large, of which class. And, with an
 * outage, whether anything had to go. Time passes as fast as the machine can. */
#ifndef HTEL_SIZE_TRIAL_H
#define HTEL_SIZE_TRIAL_H

#include "track.h"

#define TRIAL_TRACKS_MAX 16u
#define TRIAL_FRAMES_MAX 100000u

typedef struct trial_frame {
  uint64_t tick; /* ms since the beginning at which it was published */
  uint32_t size;
  uint8_t frame_class;
} trial_frame;

/* What is played: recordings as `paths`, over and over for duration_s. */
typedef struct trial_plan {
  const char *const *paths;
  unsigned path_count;
  const htel_config *config;      /* its channels are the recordings', from trial_channels() */
  uint32_t poll_ms;               /* between two htel_poll */
  uint32_t ack_ms;                /* from publishing a frame to its acknowledgement */
  uint32_t duration_s;            /* of signal; what then waits has an hour to be delivered */
  uint32_t outage_at_s, outage_s; /* 0, 0: none */
} trial_plan;

typedef struct trial_result {
  htel_stats stats;
  uint64_t recorded, refused; /* readings */
  int closed;                 /* what htel_close said */
  uint32_t frame_count;
  trial_frame *frames; /* in order of publishing, resends left out; free() it */
} trial_result;

/* The channels of these recordings as one device's: the count, or -1 with `error`. Their names stay
 * good until trial_channels_free(). */
typedef struct trial_device {
  track tracks[TRIAL_TRACKS_MAX];
  unsigned track_count;
  htel_channel channels[HTEL_CHANNELS_MAX];
  uint16_t channel_count;
} trial_device;
int trial_device_open(trial_device *device, const char *const *paths, unsigned path_count,
                      uint32_t repeat, char *error, size_t error_size);
void trial_device_close(trial_device *device);

/* 0, or -1 with `error`. */
int trial_run(const trial_plan *plan, trial_result *result, char *error, size_t error_size);

#endif
