/* SPDX-License-Identifier: Apache-2.0 */
/* audit.h - are all of a device's readings accounted for?
 *
 * A device numbers its frames from 1 without holes in each boot. So every number up to the highest
 * one known is either stored, or in quarantine, or told as lost, or the stop of its boot was told
 * as unclean; whatever else is missing is an unexplained hole.
 *
 *     sequence   1  2  3  4  5  6  7  8  9 10 11 12
 *     stored     x  x        x           x  x     x
 *     told lost        x  x
 *     quarantine                x
 *     unexplained                  x  x        x      -> 7-8, 11
 *
 * Loss records of a full outbox name sequences and how many frames and readings of one class were
 * evicted among them. An evicted frame may have arrived after all: it is taken off again. More
 * missing among them than were evicted is unexplained too. */
#ifndef INGEST_AUDIT_H
#define INGEST_AUDIT_H

#include "store.h"

typedef struct audit_range {
  uint64_t boot;
  uint32_t first, last;
} audit_range;

typedef struct audit_ranges {
  audit_range *items;
  size_t count, room;
} audit_ranges;

typedef struct audit_boot {
  uint64_t boot;
  uint32_t highest; /* highest sequence known of */
  uint64_t frames;
  bool unclean; /* a later boot told that this one ended without closing */
} audit_boot;

typedef struct audit_report {
  char device[DEVICE_BYTES];
  audit_boot *boots;
  size_t boot_count, boot_room;
  uint64_t frames, numerics, samples, alarms, payload_bytes;
  uint64_t quarantined; /* keys */
  uint64_t counters[STORE_COUNTERS];
  uint64_t alerts;
  /* Readings lost, by cause. */
  uint64_t lost_ring_full;
  uint64_t lost_outbox_full;
  uint64_t lost_outbox_frames;
  bool lost_outbox_at_most; /* lost_outbox_full is an upper bound */
  uint64_t lost_unclean;    /* as far as the records say */
  uint64_t unclean_stops;
  bool lost_unclean_open;       /* some record gives no count: more may be lost */
  uint64_t lost_other;          /* causes of a newer device */
  audit_ranges unclean_holes;   /* missing in a boot that stopped uncleanly */
  audit_ranges holes;           /* unexplained */
  uint64_t hole_count;          /* sequences in holes, */
  uint64_t holes_among_evicted; /* of which somewhere among evicted frames: not in `holes` */
} audit_report;

/* Fills in `report` for one device; audit_free it. STORE_*; STORE_AGAIN where memory is short. */
int audit_device(const store *s, const char *device, audit_report *report);
void audit_free(audit_report *report);

/* Nothing is missing and there is no alert. */
bool audit_clean(const audit_report *report);

#endif
