/* SPDX-License-Identifier: Apache-2.0 */
/* sim_pipe.h - bytes on their way in one direction, each with its time of arrival.
 *
 *     put -> [ segment | segment | segment ] -> arrived -> take
 *
 * The bytes lie in blocks that all pipes of a net share, so an idle pipe holds none. A segment is
 * what was written at one go: it leaves at the rate of its time, byte behind byte, and arrives in
 * chunks, as TCP segments do. */
#ifndef HTEL_SIM_PIPE_H
#define HTEL_SIM_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_BLOCK_BYTES 496u

typedef struct sim_block {
  struct sim_block *next;
  uint8_t bytes[SIM_BLOCK_BYTES];
} sim_block;

/* Where blocks come from and go to. All zero is the beginning. */
typedef struct sim_blocks {
  sim_block *unused;
} sim_blocks;

typedef struct sim_segment {
  int64_t start_ns; /* when its first byte begins to leave */
  int64_t least_ms; /* nothing of it arrives before what went ahead of it */
  uint32_t byte_ns; /* 0: no time at all */
  uint32_t delay_ms;
  uint32_t count, came; /* bytes; of which have arrived (of the first segment) */
  uint32_t chunk;
} sim_segment;

/* All zero but `next_ms` (SIM_NEVER) is an empty one. */
typedef struct sim_pipe {
  sim_block *head, *tail;
  uint32_t head_at, tail_at;
  uint32_t held;                 /* bytes in the blocks */
  uint32_t arrived;              /* of which have arrived by the last settle */
  int64_t next_ms;               /* when more arrives; SIM_NEVER */
  int64_t line_free_ns, last_ms; /* when the last byte has left, has arrived */
  sim_segment *segments;
  uint32_t first, count, room; /* in `segments` */
} sim_pipe;

void sim_blocks_free(sim_blocks *blocks);

/* False: no memory. `bytes_per_s` 0: any. */
bool sim_pipe_put(sim_pipe *p, sim_blocks *blocks, const uint8_t *bytes, uint32_t size,
                  int64_t now_ms, uint32_t bytes_per_s, uint32_t delay_ms);
/* Time has moved on to `now_ms`. */
void sim_pipe_settle(sim_pipe *p, int64_t now_ms);
/* Takes up to `size` bytes of those that have arrived; `to` NULL: throws them away. */
uint32_t sim_pipe_take(sim_pipe *p, sim_blocks *blocks, uint8_t *to, uint32_t size);
/* All but the first `keep` bytes will never have been; returns how many these are. */
uint32_t sim_pipe_cut(sim_pipe *p, sim_blocks *blocks, uint32_t keep);
/* Empties it and gives its memory back. */
void sim_pipe_free(sim_pipe *p, sim_blocks *blocks);
size_t sim_pipe_memory_bytes(const sim_pipe *p);

#endif
