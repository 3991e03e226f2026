/* SPDX-License-Identifier: Apache-2.0 */
/* live_device.h - one device of a live run: the library on Linux's ports, without a thread.
 *
 *     feed -> htel (src/) -> ports/mqtt -> ports/dial -> broker
 *
 * All devices share one clock, one poller and one queue of appointments. A device's turn comes when
 * its socket is ready, when a reading is due, or when the library wants to be polled. */
#ifndef FLEET_LIVE_DEVICE_H
#define FLEET_LIVE_DEVICE_H

#include "htel_dial.h"
#include "htel_mqtt.h"
#include "htel_posix.h"
#include "oracle.h"
#include "sim_queue.h"

typedef struct live_world {
  const plan *plan;
  uint64_t seed;
  htel_posix posix; /* one thread polls: one for all */
  int poller;       /* an epoll; its events carry a device's number */
  sim_queue queue;  /* ms of the run */
  int64_t zero_ms;  /* ms 0 of the run, by the devices' clock */
  int64_t utc_of_zero;
  htel_dial_config dial; /* all but the device's certificate and key */
} live_world;

typedef enum live_state { LIVE_OFF, LIVE_RUNNING, LIVE_CLOSING, LIVE_CLOSED } live_state;

typedef struct live_device {
  live_world *world;
  uint32_t number;
  char id[PLAN_ID_BYTES];
  live_state state;
  htel *tel;
  void *memory;
  size_t memory_size;
  htel_port base, port; /* what the library is given is the base with a wake-up of its own */
  htel_dial *dial;
  htel_mqtt mqtt;
  htel_mqtt_config mqtt_config;
  uint8_t *mqtt_buffer;
  feed feed;
  oracle *oracle;
  uint64_t boot;
  int64_t tick_of_zero;
  bool ready; /* its socket is, or it was woken: poll it */
  int64_t poll_ms;
  uint32_t close_timeout_ms;
  int close_result;
  htel_stats stats; /* the newest known */
  uint64_t polls;
} live_device;

/* `certificate` and `key`: paths. False: `error`. */
bool live_device_init(live_device *d, live_world *w, uint32_t number, const char *certificate,
                      const char *key, char *error, size_t error_size);
void live_device_free(live_device *d);

/* ms of the run, now. */
int64_t live_now_ms(const live_world *w);

/* Boots the first time; then records and polls what is due, and makes the next appointment. One
 * that cannot boot is closed, with that error. */
void live_device_turn(live_device *d, int64_t now_ms);

/* Stops recording; its turns deliver what is left, and close. */
void live_device_finish(live_device *d, uint32_t timeout_ms, int64_t now_ms);

/* Brings d->stats up to date. */
void live_device_look(live_device *d);

#endif
