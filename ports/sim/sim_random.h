/* SPDX-License-Identifier: Apache-2.0 */
/* sim_random.h - seeded numbers (splitmix64): the same ones on every machine. */
#ifndef HTEL_SIM_RANDOM_H
#define HTEL_SIM_RANDOM_H

#include <stdint.h>

typedef struct sim_random {
  uint64_t state; /* begins as the seed */
} sim_random;

static inline uint64_t random_u64(sim_random *r) {
  uint64_t z = r->state += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

static inline uint32_t random_u32(sim_random *r) {
  return (uint32_t)(random_u64(r) >> 32);
}

/* 0 to limit - 1. */
static inline uint32_t random_below(sim_random *r, uint32_t limit) {
  return random_u32(r) % limit;
}

/* -range to range. */
static inline int32_t random_around(sim_random *r, uint32_t range) {
  return (int32_t)(random_below(r, 2 * range + 1) - range);
}

#endif
