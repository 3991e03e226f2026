/* SPDX-License-Identifier: Apache-2.0 */
/* result.h - what a run says: totals, violations, series over time, the worst devices.
 *
 * Cells are run in any order by any number of threads; each has a result of its own, and they are
 * added up in the order of their numbers, so that the sum is the same every time. Printed as text,
 * as JSON (docs/FLEET.md has the members), and as a report in HTML that is made from that JSON. */
#ifndef FLEET_RESULT_H
#define FLEET_RESULT_H

#include <cjson/cJSON.h>

#include "device.h"
#include "intake.h"

#define RESULT_DELAYS 40u /* buckets of delivery delay: bounds in result_delay_ms() */
#define RESULT_WEARS 16u  /* buckets of flash wear: bounds in result_wear_erases() */
#define RESULT_POINTS_MAX                                                \
  2880u /* of the series: 48 h by minutes; longer runs have longer steps \
         */
#define RESULT_WORST_MAX 20u
#define RESULT_VIOLATIONS_MAX 64u
#define RESULT_CONNECT_SECONDS 600u /* connects are counted by second for so long after a storm */

/* One point in time, of all devices. */
typedef struct result_point {
  uint64_t connects;             /* that came up since the last point */
  uint64_t backlog_frames;       /* waiting at this moment */
  uint64_t backlog_devices;      /* that have any */
  uint64_t up_bytes, down_bytes; /* since the last point, on the wire (with handshakes) */
  uint64_t stored;               /* readings stored since the last point */
  uint64_t online;               /* devices with a connection now */
} result_point;

typedef struct result_device {
  uint32_t number;
  char id[HTEL_DEVICE_ID_CHARS_MAX + 1];
  uint64_t accepted, stored, told, violations; /* told: in loss records */
  uint64_t boots, connects, frames_resent, flash_erases_max;
  uint64_t memory_bytes;
  int64_t delay_ms_max;
} result_device;

typedef struct result {
  uint32_t devices;
  int64_t run_ms;  /* of virtual time, with the end */
  int64_t step_ms; /* between points */
  oracle_totals totals;
  uint64_t by_kind[VIOLATION_KINDS];
  violation violations[RESULT_VIOLATIONS_MAX];
  uint32_t violation_count; /* kept */
  result_point *points;
  uint32_t point_count;
  uint64_t delays[RESULT_DELAYS]; /* readings by the time from due to stored, ... */
  uint64_t delays_alarm[RESULT_DELAYS];
  uint32_t
      connect_seconds[RESULT_CONNECT_SECONDS]; /* connects in each second after the first storm */
  int64_t storm_ms;                            /* of the run; -1: there was none */
  uint32_t storm_devices;                      /* connected when it came */
  uint32_t storm_connects_max;                 /* in any one second */
  int64_t storm_back_ms; /* until the last device that was up before was up again; -1: never */
  uint64_t faults[FAULT_KINDS];          /* times that each was injected */
  device_counts sum;                     /* of all devices; *_max are the most of any */
  uint64_t wear_erases_max;              /* of a block; */
  uint64_t wears[RESULT_WEARS];          /* devices by the erases of their most worn block */
  double wear_ratio_max;                 /* most worn block to the mean, of any device */
  result_device worst[RESULT_WORST_MAX]; /* by violations, then readings told as lost, then delay */
  uint32_t worst_count;
  intake_stats intake;
  size_t memory_bytes_max; /* RAM of the most hungry device */
  uint64_t digest;         /* of everything that happened: the same seed gives the same */
  /* Not of the run but of the machine; not in the digest. */
  double wall_s;
  uint64_t rss_bytes_max;
} result;

/* Points are so far apart that the scenario's hours, and a day of drain, fit. False: no memory. */
bool result_init(result *r, const scenario *s);
void result_free(result *r);

/* Into which bucket of `delays` a delay goes, and the most that is in it (INT64_MAX: the last). */
unsigned result_delay_bucket(int64_t delay_ms);
int64_t result_delay_ms(unsigned bucket);
/* The same of `wears` (UINT32_MAX: the last). */
unsigned result_wear_bucket(uint32_t erases);
uint32_t result_wear_erases(unsigned bucket);

/* False: no memory. A point beyond the last that there is room for is added to the last. */
bool result_point_add(result *r, const result_point *point);
/* At the end: the device's totals, counts and violations, and its place among the worst. */
void result_device_add(result *r, device *d);
/* The same of one that is not simulated. */
void result_machine_add(result *r, uint32_t number, const char *id, const oracle *o,
                        const device_counts *c);

/* Adds the result of a cell, or of a whole run. False: no memory. */
bool result_add(result *into, const result *from);

/* The most connects in one second after a storm that a spread of spread_ms explains. */
uint32_t result_storm_limit(uint32_t devices, uint32_t spread_ms);
/* More than that is a violation. */
void result_storm_judge(result *r, const scenario *s);

#endif
