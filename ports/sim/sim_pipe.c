/* SPDX-License-Identifier: Apache-2.0 */
/* sim_pipe.c - a chain of blocks, and a short list of segments that says when its bytes arrive.
 *
 * Times of leaving are kept in ns, so that any rate from 1 byte a second up is exact to a
 * billionth; arrivals are rounded up to the ms. Of a segment a chunk arrives when its last byte
 * does: so many bytes as leave in 50 ms, at most a TCP segment. */
#include "sim_pipe.h"

#include <stdlib.h>
#include <string.h>

#include "sim_queue.h"

#define NS_PER_MS 1000000
#define NS_PER_S 1000000000u
#define CHUNK_BYTES_MAX 1400u
#define CHUNKS_PER_S 20u
#define SEGMENTS_MIN 4u
#define SEGMENTS_MAX 64u

/* ---- Blocks -------------------------------------------------------------------------------- */

static sim_block *block_get(sim_blocks *blocks) {
  sim_block *block = blocks->unused;
  if (block == NULL) return malloc(sizeof *block);
  blocks->unused = block->next;
  return block;
}

static void block_put(sim_blocks *blocks, sim_block *block) {
  block->next = blocks->unused;
  blocks->unused = block;
}

void sim_blocks_free(sim_blocks *blocks) {
  while (blocks->unused != NULL) {
    sim_block *block = blocks->unused;
    blocks->unused = block->next;
    free(block);
  }
}

static bool bytes_add(sim_pipe *p, sim_blocks *blocks, const uint8_t *bytes, uint32_t size) {
  while (size > 0) {
    if (p->tail == NULL || p->tail_at == SIM_BLOCK_BYTES) {
      sim_block *block = block_get(blocks);
      if (block == NULL) return false;
      block->next = NULL;
      if (p->tail == NULL) {
        p->head = block;
        p->head_at = 0;
      } else {
        p->tail->next = block;
      }
      p->tail = block;
      p->tail_at = 0;
    }
    uint32_t n = SIM_BLOCK_BYTES - p->tail_at;
    if (n > size) n = size;
    memcpy(p->tail->bytes + p->tail_at, bytes, n);
    p->tail_at += n;
    p->held += n;
    bytes += n;
    size -= n;
  }
  return true;
}

static void head_drop(sim_pipe *p, sim_blocks *blocks) {
  sim_block *block = p->head;
  p->head = block->next;
  p->head_at = 0;
  if (p->head == NULL) p->tail = NULL;
  block_put(blocks, block);
}

/* ---- Segments ------------------------------------------------------------------------------ */

static int64_t up_to_ms(int64_t ns) {
  return (ns + NS_PER_MS - 1) / NS_PER_MS;
}

/* When the first `bytes` of it are there. */
static int64_t arrival_ms(const sim_segment *s, uint32_t bytes) {
  int64_t ms = up_to_ms(s->start_ns + (int64_t)s->byte_ns * bytes) + s->delay_ms;
  return ms > s->least_ms ? ms : s->least_ms;
}

/* How much of it is there; whole chunks, or all. */
static uint32_t arrived_by(const sim_segment *s, int64_t now_ms) {
  if (now_ms < s->least_ms) return 0;
  int64_t past_ns = (now_ms - s->delay_ms) * NS_PER_MS - s->start_ns;
  if (past_ns < 0) return 0;
  if (s->byte_ns == 0) return s->count;
  int64_t bytes = past_ns / s->byte_ns;
  return bytes >= s->count ? s->count : (uint32_t)bytes / s->chunk * s->chunk;
}

static void next_find(sim_pipe *p) {
  p->next_ms = SIM_NEVER;
  if (p->count == 0) return;
  const sim_segment *s = &p->segments[p->first];
  uint32_t bytes = s->came + s->chunk;
  p->next_ms = arrival_ms(s, bytes < s->count ? bytes : s->count);
}

void sim_pipe_settle(sim_pipe *p, int64_t now_ms) {
  if (now_ms < p->next_ms) return;
  while (p->count > 0) {
    sim_segment *s = &p->segments[p->first];
    uint32_t came = arrived_by(s, now_ms);
    p->arrived += came - s->came;
    s->came = came;
    if (came < s->count) break;
    p->first++;
    p->count--;
  }
  if (p->count == 0) p->first = 0;
  next_find(p);
}

static sim_segment *segment_add(sim_pipe *p) {
  if (p->first + p->count == p->room && p->first > 0) {
    memmove(p->segments, p->segments + p->first, p->count * sizeof *p->segments);
    p->first = 0;
  }
  if (p->count == p->room) {
    uint32_t room = p->room == 0 ? SEGMENTS_MIN : 2u * p->room;
    sim_segment *segments = realloc(p->segments, room * sizeof *segments);
    if (segments == NULL) return NULL;
    p->segments = segments;
    p->room = room;
  }
  return &p->segments[p->first + p->count++];
}

/* Goes on where the last one ends, or joins it where there would be too many: then all of it
 * arrives with its end. */
static bool segment_join(sim_pipe *p, const sim_segment *next) {
  if (p->count == 0) return false;
  sim_segment *last = &p->segments[p->first + p->count - 1];
  bool alike = last->byte_ns == next->byte_ns && last->delay_ms == next->delay_ms;
  if (alike && last->start_ns + (int64_t)last->byte_ns * last->count == next->start_ns) {
    last->count += next->count;
    return true;
  }
  if (p->count < SEGMENTS_MAX) return false;
  int64_t end_ms = arrival_ms(next, next->count);
  *last = (sim_segment){.start_ns = end_ms * NS_PER_MS,
                        .least_ms = last->least_ms,
                        .count = last->count + next->count,
                        .chunk = CHUNK_BYTES_MAX};
  return true;
}

static uint32_t chunk_bytes(uint32_t bytes_per_s) {
  uint32_t chunk = bytes_per_s / CHUNKS_PER_S;
  if (bytes_per_s == 0 || chunk > CHUNK_BYTES_MAX) return CHUNK_BYTES_MAX;
  return chunk > 0 ? chunk : 1u;
}

bool sim_pipe_put(sim_pipe *p, sim_blocks *blocks, const uint8_t *bytes, uint32_t size,
                  int64_t now_ms, uint32_t bytes_per_s, uint32_t delay_ms) {
  sim_pipe_settle(p, now_ms);
  int64_t now_ns = now_ms * NS_PER_MS;
  sim_segment next = {.start_ns = now_ns > p->line_free_ns ? now_ns : p->line_free_ns,
                      .least_ms = p->count > 0 || p->last_ms > now_ms ? p->last_ms : 0,
                      .byte_ns = bytes_per_s > 0 ? NS_PER_S / bytes_per_s : 0,
                      .delay_ms = delay_ms,
                      .count = size,
                      .chunk = chunk_bytes(bytes_per_s)};
  /* What follows at once takes the way of what went before it. */
  if (p->count > 0 && next.start_ns == p->line_free_ns)
    next.delay_ms = p->segments[p->first + p->count - 1].delay_ms;
  if (!bytes_add(p, blocks, bytes, size)) return false;
  if (!segment_join(p, &next)) {
    sim_segment *s = segment_add(p);
    if (s == NULL) return false;
    *s = next;
  }
  p->line_free_ns = next.start_ns + (int64_t)next.byte_ns * size;
  const sim_segment *last = &p->segments[p->first + p->count - 1];
  p->last_ms = arrival_ms(last, last->count);
  next_find(p);
  return true;
}

/* ---- Taking -------------------------------------------------------------------------------- */

uint32_t sim_pipe_take(sim_pipe *p, sim_blocks *blocks, uint8_t *to, uint32_t size) {
  if (size > p->arrived) size = p->arrived;
  for (uint32_t left = size; left > 0;) {
    uint32_t end = p->head == p->tail ? p->tail_at : SIM_BLOCK_BYTES;
    uint32_t n = end - p->head_at;
    if (n > left) n = left;
    if (to != NULL) {
      memcpy(to, p->head->bytes + p->head_at, n);
      to += n;
    }
    p->head_at += n;
    left -= n;
    if (p->head_at == end) head_drop(p, blocks);
  }
  p->held -= size;
  p->arrived -= size;
  return size;
}

/* The last blocks go, so that `keep` bytes are left. */
static void bytes_cut(sim_pipe *p, sim_blocks *blocks, uint32_t keep) {
  sim_block *last = NULL, *block = p->head;
  uint32_t at = p->head_at;
  for (uint32_t left = keep; left > 0; at = 0) {
    uint32_t n = SIM_BLOCK_BYTES - at < left ? SIM_BLOCK_BYTES - at : left;
    last = block;
    block = block->next;
    p->tail_at = at + n;
    left -= n;
  }
  while (block != NULL) {
    sim_block *next = block->next;
    block_put(blocks, block);
    block = next;
  }
  p->tail = last;
  if (last != NULL)
    last->next = NULL;
  else
    p->head = NULL;
  p->held = keep;
}

uint32_t sim_pipe_cut(sim_pipe *p, sim_blocks *blocks, uint32_t keep) {
  if (keep >= p->held) return 0;
  uint32_t lost = p->held - keep;
  bytes_cut(p, blocks, keep);
  if (p->arrived > keep) p->arrived = keep;
  for (uint32_t left = lost; p->count > 0 && left > 0;) {
    sim_segment *last = &p->segments[p->first + p->count - 1];
    uint32_t n = last->count - last->came < left ? last->count - last->came : left;
    last->count -= n;
    left -= n;
    if (last->count > last->came) break;
    p->count--;
  }
  if (p->count > 0) {
    const sim_segment *last = &p->segments[p->first + p->count - 1];
    p->last_ms = arrival_ms(last, last->count);
  }
  next_find(p);
  return lost;
}

void sim_pipe_free(sim_pipe *p, sim_blocks *blocks) {
  sim_pipe_cut(p, blocks, 0);
  free(p->segments);
  *p = (sim_pipe){.next_ms = SIM_NEVER};
}

size_t sim_pipe_memory_bytes(const sim_pipe *p) {
  size_t blocks = 0;
  for (const sim_block *block = p->head; block != NULL; block = block->next) blocks++;
  return blocks * sizeof(sim_block) + p->room * sizeof *p->segments;
}
