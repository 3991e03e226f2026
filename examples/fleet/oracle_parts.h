/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_parts.h - what oracle.c (while the run goes on) and oracle_judge.c (at its end) share. */
#ifndef FLEET_ORACLE_PARTS_H
#define FLEET_ORACLE_PARTS_H

#include "oracle.h"
#include "spans.h"

#define ORACLE_ODD_MAX 256u    /* placings that are kept to be looked at */
#define ORACLE_UTC_NEAR_MS 300 /* so near a placing needs no look */

/* Readings that were accepted one after the other, in one boot. Samples are placed by count, from
 * the first of the run, or of the burst where that is later. */
typedef struct accepted_run {
  uint64_t first, end;
  uint32_t boot; /* place in boots */
} accepted_run;

typedef struct oracle_boot_row {
  uint64_t number;
  int64_t from_ms, to_ms, tick_of_zero;   /* to_ms: INT64_MAX while it runs */
  uint32_t *refused;                      /* by channel; NULL: none */
  bool unclean;                           /* ended by oracle_reset */
  int64_t polled_ms;                      /* last; INT64_MIN: never, or nobody told */
  int64_t gap_from_ms, gap_to_ms;         /* its last long time without a poll */
  uint64_t tick_first, tick_last;         /* frames that are stored lie between these, */
  uint64_t unplaced_first, unplaced_last; /* and those without a place; first > last: none */
} oracle_boot_row;

typedef struct oracle_channel {
  accepted_run *accepted;
  uint32_t accepted_count, accepted_room;
  uint32_t hint; /* where the last lookup ended */
  spans stored, aside;
  uint64_t signal;
} oracle_channel;

typedef struct wrong_clock {
  int64_t from_ms, to_ms;
} wrong_clock;

/* Ticks of one boot that are placed far from the truth; perhaps rightly so. */
typedef struct odd_placing {
  uint32_t boot;
  bool cut_first, cut_last; /* that end is where another placing begins, nothing lies on it */
  uint64_t tick_first, tick_last;
  int64_t offset_ms;
} odd_placing;

struct oracle {
  const plan *plan;
  uint32_t device, channel_count;
  oracle_channel channels[SCENARIO_CHANNELS_MAX];
  oracle_boot_row *boots;
  uint32_t boot_count, boot_room;
  wrong_clock *clocks;
  uint32_t clock_count, clock_room;
  odd_placing *odd;
  uint32_t odd_count, odd_room;
  int64_t utc_of_zero;
  uint64_t evicted;        /* readings, by its own count */
  uint64_t damaged_frames; /* that damage to the flash may have taken */
  bool cloned, no_memory;
  oracle_totals totals;
  violation kept[ORACLE_VIOLATIONS_KEPT];
  unsigned kept_count;
};

uint8_t oracle_class_of(htel_kind kind);
int64_t oracle_offset_ms(const oracle *o, uint32_t boot); /* the true one */
uint64_t oracle_apart_ms(int64_t a, int64_t b);
void oracle_blame_of(oracle *o, violation_kind kind, int64_t now_ms, uint32_t channel,
                     uint64_t number, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

#endif
