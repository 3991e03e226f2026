/* SPDX-License-Identifier: Apache-2.0 */
/* scenario.h - what a run is of: devices, their channels, the network, the server, the faults.
 *
 * Read from a file of sections and `name = value` lines (docs/FLEET.md has all of them), or one of
 * those built in (scenarios/). Everything has a default, so an empty file is the standard load.
 * Times in files take a unit (ms, s, min, h); rates and sizes too. */
#ifndef FLEET_SCENARIO_H
#define FLEET_SCENARIO_H

#include <stdbool.h>

#include "healthtel/healthtel.h"

#define SCENARIO_CHANNELS_MAX 16u
#define SCENARIO_EVENTS_MAX 32u
#define SCENARIO_NAME_BYTES 32u
#define SCENARIO_FILE_BYTES 512u
#define SCENARIO_RATE_MIN 0.001 /* of a fault a day; 0 is never */
#define SCENARIO_RATE_MAX 10000.0

/* Faults that come at random, on each device or on the server. */
typedef enum fault_kind {
  FAULT_FLAPS, /* connections that end: FIN, RST, death, in the middle of bytes */
  FAULT_SLOW,  /* a slow and lossy link for a while: few bytes a second, fragments, would-block */
  FAULT_HALF_OPEN, /* silence both ways; nobody is told */
  FAULT_OUTAGE,    /* no network for minutes to hours */
  FAULT_DNS,       /* names fail or hang */
  FAULT_TLS,       /* handshakes fail: expired, wrong name, unknown CA... */
  FAULT_CLOCK,     /* UTC unset at boot and set later, jumps by years; the tick wraps */
  FAULT_RESET,     /* the device is reset (its flash keeps its power) */
  FAULT_POWER,     /* the power fails in the middle of a flash operation, and sometimes again */
  FAULT_ROT,       /* a bit of the flash flips; reads fail for a moment */
  FAULT_WEAR,      /* flash blocks go bad */
  FAULT_OVERFLOW,  /* the application does not poll for a while: rings run full */
  FAULT_CLONE,     /* another device with the same id and a copy of the flash */
  FAULT_BROKER,    /* the broker is killed, or refuses, or is slow */
  FAULT_HOSTILE,   /* the broker sends what it should not */
  FAULT_ACKS,      /* PUBACKs and receipts lost, late, twice, in another order */
  FAULT_INGEST,    /* the ingest is killed, also between commit and receipt */
  FAULT_DISK,      /* the ingest's store is full or locked for a while */
  FAULT_STORM,     /* every connection ends at one moment */
  FAULT_KINDS
} fault_kind;

typedef uint32_t fault_set; /* bits 1u << fault_kind */
#define FAULT_ALL ((1u << FAULT_KINDS) - 1u)

const char *fault_name(fault_kind kind); /* "flaps", "half-open", ... as in files and options */
const char *fault_text(fault_kind kind); /* one line for help and report */
/* "all", "none", or names joined by commas, a leading '-' takes one out ("all,-clone"). False: an
 * unknown name, put into `error`. */
bool fault_set_parse(fault_set *set, const char *text, char *error, size_t error_size);

typedef struct scenario_channel {
  char name[HTEL_NAME_CHARS_MAX + 1];
  uint32_t code; /* HTEL_MDC_* */
  htel_kind kind;
  uint32_t period_ms;      /* numerics: one reading each */
  htel_rate rate;          /* waveforms */
  uint32_t burst_ms;       /* waveforms: recorded for so long, */
  uint32_t burst_every_ms; /* each so often; 0: always */
  uint32_t alarms_per_day; /* alarms: how often the condition begins; it ends some minutes later */
  int32_t low, high;       /* range that the values stay in */
  uint8_t ring;
} scenario_channel;

/* Something that happens to all at a set time, beside what comes at random. */
typedef struct scenario_event {
  fault_kind kind;   /* STORM, OUTAGE, TLS, POWER (a city's power cut), BROKER, INGEST, DISK... */
  int64_t at_ms;     /* of the run; one beyond its end does not come */
  uint32_t for_ms;   /* 0: of what takes no time */
  uint8_t share_pct; /* of the devices; 100 unless given */
} scenario_event;

typedef struct scenario {
  char name[SCENARIO_NAME_BYTES];
  char file[SCENARIO_FILE_BYTES]; /* as it was given; empty: built in */
  char title[96];

  /* [run] */
  uint32_t devices;
  uint32_t hours; /* virtual; minutes are not needed */
  fault_set faults;
  uint32_t cell_devices; /* so many share a broker and an ingest */

  /* [device] */
  uint8_t coding; /* htel_coding */
  uint32_t age_ms_max;
  uint16_t bytes_max;
  uint32_t ring_bytes;
  uint32_t outbox_bytes;
  uint8_t persist_frames;
  bool flash;
  uint32_t flash_block_bytes, flash_block_count, flash_program_bytes;
  uint32_t keep_alive_s;
  uint32_t spread_ms;    /* reconnects: htel_delivery_config's window */
  uint32_t window_bytes; /* of ports/mqtt */
  uint32_t
      sleep_every_ms; /* duty-cycled radio: connects only each so often, drains, sleeps; 0: not */
  uint32_t memory_bytes_max; /* RAM that a device may take; more is a violation */

  scenario_channel channels[SCENARIO_CHANNELS_MAX]; /* [channel NAME] */
  uint32_t channel_count;

  /* [network] */
  uint32_t latency_ms, jitter_ms, up_bytes_per_s, down_bytes_per_s;
  /* [server] */
  uint32_t commit_ms;
  bool broker_forgets;
  /* [rates]: events of each kind per device (or, for the server's kinds, per cell) and day */
  double per_day[FAULT_KINDS];
  /* [event ...] */
  scenario_event events[SCENARIO_EVENTS_MAX];
  uint32_t event_count;
} scenario;

/* The standard load: two numerics at 1 Hz and 10 s of ECG at 250 Hz an hour, all faults. */
void scenario_standard(scenario *s);

/* A file, or the name of one built in. False: `error` says what is wrong, with file and line. */
bool scenario_load(scenario *s, const char *name_or_path, char *error, size_t error_size);
/* Whether the whole fits together; called by scenario_load, and again after options changed it. */
bool scenario_check(const scenario *s, char *error, size_t error_size);

/* Those built in; NULL beyond the last. */
const char *scenario_builtin_name(unsigned i);
/* Its title line. */
void scenario_builtin_title(unsigned i, char *title, size_t size);
const char *scenario_builtin_text(unsigned i); /* the file */

#endif
