/* SPDX-License-Identifier: Apache-2.0 */
/* wire_traffic.c - what is measured, and what both programs need. The speeds keep TCP's delayed
 * acknowledgement (40 ms) and the ingest's gathering small against the time between messages. */
#define _GNU_SOURCE
#include <errno.h>
#include <time.h>

#include "wire.h"

#define HOUR_MS 3600000u

const wire_traffic wire_traffics[] = {
    {.name = "ecg-1s",
     .what = "one ECG at 250 Hz and three numerics a second, frames of 1 s",
     .readings = WIRE_ECG,
     .period_ms = 1000,
     .row_ms = 1000,
     .message_ms = 1000,
     .speed = 2,
     .message_speed = 2,
     .periods = 20},
    {.name = "ecg-10s",
     .what = "one ECG at 250 Hz and three numerics a second, frames of 10 s",
     .readings = WIRE_ECG,
     .period_ms = 10000,
     .row_ms = 1000,
     .message_ms = 1000,
     .speed = 10,
     .message_speed = 4,
     .periods = 10},
    {.name = "ecg-60s",
     .what = "one ECG at 250 Hz and three numerics a second, frames of 60 s",
     .readings = WIRE_ECG,
     .period_ms = 60000,
     .row_ms = 1000,
     .message_ms = 1000,
     .speed = 20,
     .message_speed = 0, /* as ecg-10s */
     .periods = 6},
    {.name = "wearable",
     .what = "three numerics a minute, connecting once an hour",
     .readings = WIRE_WEARABLE,
     .hourly = true,
     .period_ms = HOUR_MS,
     .row_ms = 60000,
     .message_ms = 60000,
     .speed = 1,
     .message_speed = 1,
     .periods = 5},
    {.name = "cgm-hourly",
     .what = "a glucose reading in five minutes, connecting once an hour",
     .readings = WIRE_GLUCOSE,
     .hourly = true,
     .period_ms = HOUR_MS,
     .row_ms = 300000,
     .message_ms = 300000,
     .speed = 1,
     .message_speed = 1,
     .periods = 5},
    {.name = "cgm",
     .what = "a glucose reading in five minutes, a frame each, on a standing connection",
     .readings = WIRE_GLUCOSE,
     .period_ms = 300000,
     .row_ms = 300000,
     .message_ms = 300000,
     .speed = 20,
     .message_speed = 20,
     .periods = 3},
};
const size_t wire_traffic_count = sizeof wire_traffics / sizeof wire_traffics[0];

int64_t wire_now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void wire_sleep_ms(uint32_t ms) {
  struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) {
  }
}
