/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the command line of htel-monitor, checked. */
#ifndef HTEL_MONITOR_OPTIONS_H
#define HTEL_MONITOR_OPTIONS_H

#include "healthtel/healthtel.h"

#define OPTIONS_REPLAYS_MAX 16u
#define OPTIONS_OUTAGES_MAX 16u
#define OPTIONS_HOST_CHARS_MAX 253u

typedef enum options_utc {
  OPTIONS_UTC_RECORDING, /* recordings with times of their own are placed there */
  OPTIONS_UTC_NOW        /* all is placed where it is played */
} options_utc;

typedef enum options_link { OPTIONS_LINK_PAHO, OPTIONS_LINK_MQTT } options_link;

typedef struct options_outage {
  uint32_t start_s, length_s; /* after the start of the program */
} options_outage;

/* Strings point into argv, but for the host. */
typedef struct options {
  const char *device;
  uint64_t session;
  /* Where to. */
  char host[OPTIONS_HOST_CHARS_MAX + 1];
  uint16_t port;
  uint8_t link;
  const char *out; /* a file instead of a broker */
  const char *ca, *cert, *key, *crl, *alpn;
  int64_t utc_floor_ms; /* what time it is at least, while the clock is not set; 0: wait for it */
  const char *boot_file;
  const char *store; /* the outbox lies in this file; NULL: in memory */
  /* What. */
  const char *replays[OPTIONS_REPLAYS_MAX];
  unsigned replay_count;
  double speed; /* 0: as fast as possible */
  uint32_t repeat;
  uint32_t duration_s; /* of signal; 0: no end */
  uint8_t utc;
  uint64_t seed;
  bool threads;
  const char *recording_dir; /* write the synthetic patient there, and end */
  /* How. */
  uint8_t delivery, coding; /* htel_delivery, htel_coding */
  uint32_t frame_s;         /* 0: as suits the tracks */
  uint32_t frame_bytes, ring_bytes;
  uint32_t outbox_bytes; /* 0: as suits where it lies */
  uint32_t store_bytes;  /* 0: as the file is */
  uint32_t persist_frames, persist_ms;
  uint32_t rate_per_s, backlog_per_s; /* frames */
  uint32_t keep_alive_s, backoff_base_ms, backoff_max_ms, receipt_wait_ms, connect_timeout_s;
  options_outage outages[OPTIONS_OUTAGES_MAX];
  unsigned outage_count;
  uint32_t close_timeout_s;
  /* What it says. */
  const char *summary;
  bool json, quiet, progress;
} options;

/* Ends the program with a clear message when the command line is wrong (status 64) or asks for
 * help. */
void options_parse(options *o, int argc, char **argv);

#endif
