/* SPDX-License-Identifier: Apache-2.0 */
/* player.h - plays tracks into a client: the part of the monitor that measures.
 *
 * One player is one context in the sense of healthtel.h: it uses rings of its own, so that two
 * players may run in two threads. It never waits; whoever drives it asks when the next block is
 * due. */
#ifndef HTEL_MONITOR_PLAYER_H
#define HTEL_MONITOR_PLAYER_H

#include "track.h"

#define PLAYER_TRACKS_MAX 16u

typedef struct player {
  htel *tel;
  const htel_port *port;
  uint32_t tick0; /* tick of the play's beginning */
  bool live;      /* readings are taken at the moment of recording (htel_record), not at tick0 +
                     offset (htel_record_at) */
  uint8_t alarm_source; /* the channel that the patient's alarms concern */
  track *tracks[PLAYER_TRACKS_MAX];
  unsigned track_count;
  uint64_t recorded, refused; /* readings */
  uint32_t ring_bytes; /* at most so much was put into rings since the driver last set it to 0 */
  char error[TRACK_ERROR_BYTES_MAX];
} player;

/* Takes over the track and reads its first block. 0, or -1 with p->error. */
int player_add(player *p, track *t);

/* ms since the beginning at which the next block is complete; UINT64_MAX when all is played. */
uint64_t player_due_ms(const player *p);

/* About how many bytes of its ring the next step will take. */
uint32_t player_step_bytes(const player *p);

/* Records the block that is due first. A full ring is no error, but counted. 0, or -1 with
 * p->error. */
int player_step(player *p);

#endif
