/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_fixture.h - a device and an ingest that tell the oracle whatever a test wants told.
 *
 * Readings are made from the signals, packed into frames as a decoder would show them, put into the
 * store in memory and shown to the oracle. A test spoils any of it in between. */
#ifndef TESTS_ORACLE_FIXTURE_H
#define TESTS_ORACLE_FIXTURE_H

#include "memory_store.h"
#include "oracle.h"

enum { PULSE, SPO2, ECG, ALARM, CHANNELS };

#define RUN_SEED 3u
#define DEVICE_NUMBER 17u
#define DEVICE "device-1"
#define UTC_OF_ZERO 1767225600000
#define TICK_OF_ZERO 5000

typedef struct scene {
  scenario scenario;
  plan plan;
  oracle *oracle;
  memory_store *store;
  uint64_t boot; /* frames are of it */
  int64_t tick_of_zero;
  uint32_t sequence; /* of the last frame */
  uint32_t loss_id;
  bool judged;
} scene;

/* A frame as a test builds it. */
typedef struct packet {
  htel_frame frame;
  readings readings;
  readings_run runs[8];
  int32_t samples[8192];
  uint8_t sample_quality[8192];
  readings_event events[8192];
  bool placed, quarantined;
  int64_t offset_ms;
} packet;

void scene_begin(scene *s);
void scene_end(scene *s);
void scene_boot(scene *s, uint64_t boot, int64_t now_ms);

/* The device records numbers first to end - 1 of a channel, as the feed would. */
void scene_record(scene *s, unsigned channel, uint64_t first, uint64_t end);
void scene_refuse(scene *s, unsigned channel, uint64_t first, uint64_t end);

/* The frame with these numbers; of the next sequence, of the boot at hand, placed rightly. */
packet *scene_pack(scene *s, unsigned channel, uint64_t first, uint64_t end);
void packet_add(const scene *s, packet *p, unsigned channel, uint64_t first, uint64_t end);
/* Into the store, and to the oracle; frees the packet. What oracle_takes said. */
bool scene_send(scene *s, packet *p);
/* All of these, a frame for each hundred. */
void scene_deliver(scene *s, unsigned channel, uint64_t first, uint64_t end);

void scene_loss(scene *s, htel_loss loss, uint64_t carrier_boot);
/* True UTC, but for `error_ms`. */
void scene_anchor(scene *s, int64_t at_ms, int64_t error_ms, uint32_t uncertainty_ms);

/* The verdict. */
void scene_judge(scene *s, int64_t now_ms);
/* Judges at 24 h, and fails the test unless just this was found; VIOLATION_NONE: nothing. */
void scene_expect(scene *s, violation_kind kind);
const oracle_totals *scene_totals(const scene *s);

#endif
