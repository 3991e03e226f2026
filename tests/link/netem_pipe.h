/* SPDX-License-Identifier: Apache-2.0 */
/* netem_pipe.h - one direction of a bad network: packets go in, and come out later, or twice, or
 * damaged, or never (netem_words.h tells how).
 *
 *     put -> lost? -> corrupt? -> line (rate) -> delay -> waiting, by time -> take
 *             \-> twice? ------------^
 *
 * It knows no clock and no network: the caller tells the time. What it does to the n-th packet
 * depends on the seed and on what came before alone, so that a run can be made again. */
#ifndef HTEL_TEST_NETEM_PIPE_H
#define HTEL_TEST_NETEM_PIPE_H

#include "../../ports/sim/sim_random.h"
#include "netem_words.h"

#define NETEM_PACKET_BYTES_MAX 1500u

typedef struct netem_counts {
  uint64_t packets, bytes; /* that came in */
  uint64_t passed, passed_bytes;
  uint64_t lost;     /* by loss, */
  uint64_t cut;      /* while the flapping network was down, */
  uint64_t overflow; /* for want of room (limit) */
  uint64_t duplicated, reordered, corrupted;
} netem_counts;

typedef struct netem_packet {
  uint64_t due_us, order;
  uint16_t size;
  uint8_t bytes[NETEM_PACKET_BYTES_MAX];
} netem_packet;

typedef struct netem_pipe {
  netem_settings settings;
  uint64_t since_us; /* these settings hold */
  uint64_t line_free_us;
  uint64_t order;
  sim_random random;
  netem_counts counts;
  unsigned waiting;
  uint16_t heap[NETEM_LIMIT_MAX]; /* indices of packets: those that wait, by time; then free ones */
  netem_packet store[NETEM_LIMIT_MAX];
} netem_pipe;

void netem_pipe_init(netem_pipe *pipe, uint64_t seed);
/* Packets that wait already keep their time. */
void netem_pipe_set(netem_pipe *pipe, const netem_settings *settings, uint64_t now_us);
/* An IPv4 packet of at most NETEM_PACKET_BYTES_MAX; anything else is not taken. */
void netem_pipe_put(netem_pipe *pipe, uint64_t now_us, const uint8_t *bytes, size_t size);
/* When there will be something to take; UINT64_MAX when nothing waits. */
uint64_t netem_pipe_due_us(const netem_pipe *pipe);
/* The packet that is due, valid until the next put; NULL when none is. */
const netem_packet *netem_pipe_take(netem_pipe *pipe, uint64_t now_us);

#endif
