/* SPDX-License-Identifier: Apache-2.0 */
/* oracle.h - holds what a device recorded against what the ingest stored, reading by reading.
 *
 * Readings are known by channel and number (signal.h), so the oracle keeps runs of numbers, not
 * readings: accepted (by boot), refused, stored. It is told while the run goes on, and judges at
 * its end. Every stored reading must have been accepted, in this boot, with this value, quality and
 * tick, and not be stored already; every accepted one must be stored or covered by a loss record.
 *
 * Two machines with one id (a clone and its original) are two oracles; a frame belongs to the one
 * whose readings it holds. */
#ifndef FLEET_ORACLE_H
#define FLEET_ORACLE_H

#include "audit.h"
#include "plan.h"
#include "store.h"

typedef enum violation_kind {
  VIOLATION_NONE,
  VIOLATION_LOST,       /* accepted, not stored, not covered */
  VIOLATION_DUPLICATE,  /* stored twice */
  VIOLATION_FOREIGN,    /* stored and never accepted */
  VIOLATION_VALUE,      /* value or quality differs */
  VIOLATION_TIME,       /* tick differs, or UTC beyond its uncertainty */
  VIOLATION_COUNT,      /* a loss record says another number than was lost */
  VIOLATION_HOLE,       /* sequence numbers that nothing explains */
  VIOLATION_CONFLICT,   /* quarantine without a clone, or a clone without an alert */
  VIOLATION_ALARM_LATE, /* an alarm waited behind others */
  VIOLATION_NOT_WOKEN,  /* an alarm did not wake the poller */
  VIOLATION_MEMORY,     /* RAM over its bound, or another bound of the core broken */
  VIOLATION_SILENT,     /* a dead connection was not noticed in 1.5 keep-alives */
  VIOLATION_STORM,      /* too many connects in one second */
  VIOLATION_STUCK,      /* does not come to rest although nothing is wrong any more */
  VIOLATION_FLASH,      /* a rule of the flash part was broken */
  VIOLATION_TRANSPORT,  /* ports/mqtt broke a rule of htel_mqtt_transport */
  VIOLATION_UNVERIFIED, /* bytes went to a server that was not verified */
  VIOLATION_KINDS
} violation_kind;

const char *violation_name(violation_kind kind); /* "lost", "alarm-late", ... */

typedef struct violation {
  violation_kind kind;
  int64_t at_ms; /* of the run; when it was noticed; of lost readings: when the first was due */
  uint32_t device;
  uint32_t channel; /* UINT32_MAX: none */
  uint64_t number;  /* of the reading, or how many */
  char text[120];   /* what, in words; no values */
} violation;

#define ORACLE_VIOLATIONS_KEPT 4u

typedef struct oracle_totals {
  uint64_t accepted, refused, stored;
  uint64_t checked; /* stored readings compared, value by value */
  uint64_t covered_ring, covered_evicted, covered_unclean; /* told as lost, by cause */
  uint64_t covered_quarantine;                             /* put aside (clones) */
  uint64_t covered_damaged; /* in frames that flash damage took, told by audit or record */
  uint64_t lost, duplicates, violations;
  uint64_t placed, utc_error_ms_max; /* stored with a UTC; worst distance from the truth */
} oracle_totals;

typedef struct oracle oracle;

/* `device_id` as the ingest sees it. NULL: no memory. */
oracle *oracle_new(const plan *p, uint64_t run_seed, uint32_t device);
void oracle_free(oracle *o);

/* The device began boot number `boot`; tick_of_zero as in feed_run (the tick of ms 0 of the run,
 * before wrapping; may be negative). `unclean`: it did not end the last one well. */
void oracle_boot(oracle *o, uint64_t boot, int64_t now_ms, int64_t tick_of_zero);
/* A feed_told. */
void oracle_recorded(void *ctx, unsigned channel, uint64_t first, uint32_t count, int rc);
/* What really is so: UTC in ms = true_utc_of_zero + ms of the run. */
void oracle_utc(oracle *o, int64_t utc_of_zero);

/* It was polled: what is older than a frame may be is in a frame now. Without it the oracle does
 * not know how much a cut may have taken, and takes the device's word for it. */
void oracle_polled(oracle *o, int64_t now_ms);

/* The library says that it has evicted so many more readings. */
void oracle_evicted(oracle *o, uint64_t count);

/* What happened to it, so that the promise's own exceptions can be told from faults. */
void oracle_reset(oracle *o, int64_t now_ms);        /* stopped uncleanly */
void oracle_damaged(oracle *o, uint32_t frames_max); /* flash rot: so many frames may be damaged */
void oracle_cloned(oracle *o);                       /* another uses its id from now on */

/* Does a committed frame hold this device's readings? Counts them as stored and returns true; else
 * changes nothing. `quarantined`: put aside instead of stored. `offset_ms` is as in store_frame. */
bool oracle_takes(oracle *o, const store_frame *frame, bool quarantined, int64_t now_ms);
/* The ingest placed frames of a boot (again): UTC of its tick 0. */
void oracle_placed(oracle *o, uint64_t boot, uint64_t tick_first, uint64_t tick_last,
                   int64_t offset_ms);
/* The device's clock was wrong or unset from `from_ms` to `to_ms`; INT64_MAX: still is. A second
 * call with the same beginning says when it ended. */
void oracle_clock_wrong(oracle *o, int64_t from_ms, int64_t to_ms);

/* A frame that no device says is its own; or one that is stored under a key that was there. */
void oracle_blame(oracle *o, violation_kind kind, int64_t now_ms, uint32_t channel, uint64_t number,
                  const char *text);

/* At the end, with the ingest's audit of this id and its loss records (through the store). */
void oracle_judge(oracle *o, const store *s, const char *device_id, const audit_report *audit,
                  int64_t now_ms);

const oracle_totals *oracle_totals_of(const oracle *o);
/* The first ones; NULL beyond the last kept. */
const violation *oracle_violation(const oracle *o, unsigned i);
size_t oracle_memory_bytes(const oracle *o);

#endif
