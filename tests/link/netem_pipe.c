/* SPDX-License-Identifier: Apache-2.0 */
#include "netem_pipe.h"

#include <string.h>

#define IP_HEADER_BYTES_MIN 20u

void netem_pipe_init(netem_pipe *pipe, uint64_t seed) {
  memset(pipe, 0, sizeof *pipe);
  pipe->random.state = seed;
  pipe->settings.limit = NETEM_LIMIT_MAX;
  for (unsigned i = 0; i < NETEM_LIMIT_MAX; i++) pipe->heap[i] = (uint16_t)i;
}

void netem_pipe_set(netem_pipe *pipe, const netem_settings *settings, uint64_t now_us) {
  pipe->settings = *settings;
  pipe->since_us = now_us;
  pipe->line_free_us = now_us;
}

/* ---- Waiting packets: a heap, the one that is due first on top -------------------------- */

static bool before(const netem_pipe *pipe, unsigned a, unsigned b) {
  const netem_packet *first = &pipe->store[pipe->heap[a]];
  const netem_packet *second = &pipe->store[pipe->heap[b]];
  if (first->due_us != second->due_us) return first->due_us < second->due_us;
  return first->order < second->order;
}

static void swap(netem_pipe *pipe, unsigned a, unsigned b) {
  uint16_t kept = pipe->heap[a];
  pipe->heap[a] = pipe->heap[b];
  pipe->heap[b] = kept;
}

static void waiting_add(netem_pipe *pipe) {
  for (unsigned at = pipe->waiting++; at > 0 && before(pipe, at, (at - 1) / 2); at = (at - 1) / 2)
    swap(pipe, at, (at - 1) / 2);
}

/* The first one's index goes behind those that wait. */
static void waiting_remove(netem_pipe *pipe) {
  swap(pipe, 0, --pipe->waiting);
  for (unsigned at = 0;;) {
    unsigned next = 2 * at + 1;
    if (next >= pipe->waiting) return;
    if (next + 1 < pipe->waiting && before(pipe, next + 1, next)) next++;
    if (!before(pipe, next, at)) return;
    swap(pipe, at, next);
    at = next;
  }
}

/* ---- What becomes of a packet ----------------------------------------------------------- */

static bool chance(netem_pipe *pipe, uint64_t ppm) {
  return ppm > 0 && random_below(&pipe->random, 1000000) < ppm;
}

static bool flapped_down(const netem_pipe *pipe, uint64_t now_us) {
  const netem_settings *s = &pipe->settings;
  if (s->flap_down_us == 0) return false;
  return (now_us - pipe->since_us) % (s->flap_up_us + s->flap_down_us) >= s->flap_up_us;
}

/* When the line has sent it. */
static uint64_t line_pass(netem_pipe *pipe, uint64_t now_us, size_t size) {
  if (pipe->settings.rate_bit_s == 0) return now_us;
  if (pipe->line_free_us < now_us) pipe->line_free_us = now_us;
  pipe->line_free_us += (uint64_t)size * 8 * 1000000 / pipe->settings.rate_bit_s;
  return pipe->line_free_us;
}

static uint64_t delay_draw(netem_pipe *pipe) {
  const netem_settings *s = &pipe->settings;
  if (s->delay_us > 0 && chance(pipe, s->reorder_ppm)) {
    pipe->counts.reordered++;
    return 0;
  }
  if (s->jitter_us == 0) return s->delay_us;
  return s->delay_us - s->jitter_us + random_u64(&pipe->random) % (2 * s->jitter_us + 1);
}

/* One bit, which the checksum of TCP or UDP always shows. */
static void corrupt(netem_pipe *pipe, netem_packet *packet) {
  unsigned header = (packet->bytes[0] & 15u) * 4u;
  if (header < IP_HEADER_BYTES_MIN || header >= packet->size) return;
  unsigned at = header + random_below(&pipe->random, packet->size - header);
  packet->bytes[at] ^= (uint8_t)(1u << random_below(&pipe->random, 8));
  pipe->counts.corrupted++;
}

static void enqueue(netem_pipe *pipe, uint64_t now_us, const uint8_t *bytes, size_t size) {
  if (pipe->waiting >= pipe->settings.limit) {
    pipe->counts.overflow++;
    return;
  }
  netem_packet *packet = &pipe->store[pipe->heap[pipe->waiting]];
  packet->size = (uint16_t)size;
  memcpy(packet->bytes, bytes, size);
  if (chance(pipe, pipe->settings.corrupt_ppm)) corrupt(pipe, packet);
  packet->order = pipe->order++;
  packet->due_us = line_pass(pipe, now_us, size) + delay_draw(pipe);
  waiting_add(pipe);
}

void netem_pipe_put(netem_pipe *pipe, uint64_t now_us, const uint8_t *bytes, size_t size) {
  if (size < IP_HEADER_BYTES_MIN || size > NETEM_PACKET_BYTES_MAX || bytes[0] >> 4 != 4) return;
  netem_counts *counts = &pipe->counts;
  counts->packets++;
  counts->bytes += size;
  if (flapped_down(pipe, now_us)) {
    counts->cut++;
    return;
  }
  bool twice = chance(pipe, pipe->settings.duplicate_ppm);
  if (twice) {
    counts->duplicated++;
    enqueue(pipe, now_us, bytes, size);
  }
  if (chance(pipe, pipe->settings.loss_ppm))
    counts->lost++;
  else
    enqueue(pipe, now_us, bytes, size);
}

uint64_t netem_pipe_due_us(const netem_pipe *pipe) {
  return pipe->waiting > 0 ? pipe->store[pipe->heap[0]].due_us : UINT64_MAX;
}

const netem_packet *netem_pipe_take(netem_pipe *pipe, uint64_t now_us) {
  if (netem_pipe_due_us(pipe) > now_us) return NULL;
  const netem_packet *packet = &pipe->store[pipe->heap[0]];
  waiting_remove(pipe);
  pipe->counts.passed++;
  pipe->counts.passed_bytes += packet->size;
  return packet;
}
