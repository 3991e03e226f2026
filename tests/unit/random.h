/* SPDX-License-Identifier: Apache-2.0 */
/* random.h - seeded numbers for tests (splitmix64): the same ones on every machine. */
#ifndef HTEL_TESTS_RANDOM_H
#define HTEL_TESTS_RANDOM_H

#include <stdint.h>

typedef struct test_random {
  uint64_t state; /* begins as the seed */
} test_random;

static inline uint64_t random_u64(test_random *r) {
  uint64_t z = r->state += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

static inline uint32_t random_u32(test_random *r) {
  return (uint32_t)(random_u64(r) >> 32);
}

/* 0 to limit - 1. */
static inline uint32_t random_below(test_random *r, uint32_t limit) {
  return random_u32(r) % limit;
}

/* -range to range. */
static inline int32_t random_around(test_random *r, uint32_t range) {
  return (int32_t)(random_below(r, 2 * range + 1) - range);
}

#endif
