/* SPDX-License-Identifier: Apache-2.0 */
/* monitor.h - what the parts of htel-monitor share: one run of one device.
 *
 *     options -> tracks -> player(s) -> htel -> (outage) -> link: paho, mqtt, or a file (capture)
 *
 * monitor.c sets it up and takes it down, play.c runs it, report.c tells about it. */
#ifndef HTEL_MONITOR_MONITOR_H
#define HTEL_MONITOR_MONITOR_H

#include "capture.h"
#include "htel_dial.h"
#include "htel_mqtt.h"
#include "htel_paho.h"
#include "htel_posix.h"
#include "options.h"
#include "outage.h"
#include "player.h"

#define MONITOR_WINDOW_BYTES 8192u /* so that a frame of the usual size is one TLS record */
#define MONITOR_FIRMWARE "htel-monitor " HTEL_VERSION

typedef struct monitor {
  options options;
  track tracks[PLAYER_TRACKS_MAX];
  unsigned track_count;
  htel_channel channels[HTEL_CHANNELS_MAX];
  uint16_t channel_count;
  /* Delivery. */
  htel_posix posix;
  bool posix_open;
  htel_posix_flash store;
  bool store_open;
  htel_paho *paho;
  htel_dial *dial; /* with --link mqtt: the way to the broker, and the link itself */
  htel_mqtt mqtt;
  htel_mqtt_config mqtt_config;
  uint8_t mqtt_buffer[HTEL_MQTT_BUFFER_BYTES(MONITOR_WINDOW_BYTES)];
  capture capture;
  outage outage;
  htel_port port;
  void *memory;
  htel *tel;
  htel_posix_runner runner;
  bool runner_on;
  /* The play. With --threads players[0] plays waveforms and players[1] the rest. */
  player players[2];
  unsigned player_count;
  uint32_t tick0;    /* when it began */
  uint64_t begun_ms; /* the same by monitor_clock_ms() */
  bool utc_known;
  int64_t utc0_ms;  /* Unix time of tick0 */
  uint64_t told_ms; /* last progress line */
  htel_stats stats; /* newest known */
} monitor;

/* Milliseconds that only go forward. */
uint64_t monitor_clock_ms(void);

/* How often SIGINT or SIGTERM has come. */
int monitor_stop_asked(void);

/* What receipts say of the time serves the next TLS handshake, where the system has no clock. */
void monitor_time_learn(monitor *m);

/* ---- play.c */

/* Plays until all is played or a stop is asked for. 0, or -1 with a message on stderr. */
int play(monitor *m);
/* Delivers the rest. htel_close's result. */
int play_close(monitor *m);

/* ---- report.c */

/* A line of progress, where wanted and a second after the last; m->stats must be fresh. */
void report_progress(monitor *m);
/* Clears the line, writes the summary, says what came of it. 0, or -1 when the summary cannot be
 * written. */
int report_end(monitor *m, int close_result);

#endif
