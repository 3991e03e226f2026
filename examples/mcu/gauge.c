/* SPDX-License-Identifier: Apache-2.0 */
/* gauge.c - see gauge.h. */
#include "gauge.h"

#include "board.h"

#define LOOPS 200000u
#define LOOP_INSTRUCTIONS 2u

static uint32_t known_cycles;
static bool exact;

static uint32_t loop_cycles(void) {
  uint32_t before = clock_cycles();
  uint32_t left = LOOPS;
  __asm volatile("1: subs %0, #1\n bne 1b" : "+l"(left) : : "cc");
  return clock_cycles() - before;
}

/* Twice: where time goes by as the host has it, no two are alike. */
void gauge_start(void) {
  known_cycles = loop_cycles();
  uint32_t again = loop_cycles();
  uint32_t apart = again > known_cycles ? again - known_cycles : known_cycles - again;
  exact = apart < known_cycles / 1000u;
}

bool gauge_exact(void) {
  return exact;
}

uint64_t gauge_instructions(uint64_t cycles) {
  return known_cycles == 0 ? 0 : cycles * (LOOPS * LOOP_INSTRUCTIONS) / known_cycles;
}
