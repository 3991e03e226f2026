/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - time from SysTick, which every Cortex-M has: 24 bits that count down, and an interrupt
 * when they begin anew.
 *
 * Milliseconds are computed when asked for, not counted by an interrupt each: where the emulator's
 * host is busy, several of those would come as one. */
#include "board.h"

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define ICSR (*(volatile uint32_t *)0xE000ED04u)
#define ICSR_SYSTICK_WAITS 0x4000000u
#define SHPR_SYSTICK (*(volatile uint8_t *)0xE000ED23u)
#define CSR_ON_CORE_CLOCK_WITH_INTERRUPT 7u
#define TOP 0xFFFFFFu
#define CYCLES_MS (BOARD_HZ / 1000u)

/* As of the last round's end; the interrupt writes it. */
static volatile struct {
  uint32_t rounds;
  uint32_t ms;
  uint32_t cycles; /* beyond ms, and TOP: less the counter, it is what has passed since ms */
} done = {0, 0, TOP};

void board_on_systick(void) {
  uint32_t cycles = done.cycles + 1u; /* at the end of a round, when the counter shows TOP again */
  done.ms += cycles / CYCLES_MS;
  done.cycles = cycles % CYCLES_MS + TOP;
  done.rounds++;
}

/* Before all other interrupts: none of them may see the counter anew and the round not. */
void clock_start(void) {
  SHPR_SYSTICK = 0;
  SYST_RVR = TOP;
  SYST_CVR = 0;
  SYST_CSR = CSR_ON_CORE_CLOCK_WITH_INTERRUPT;
  while (SYST_CVR == 0) {
  }
}

/* Cycles of a round that has ended while its interrupt still waits: it cannot come into another one
 * of its priority, and an emulator takes its time. */
static uint32_t begun_anew(uint32_t left) {
  return (ICSR & ICSR_SYSTICK_WAITS) != 0 && left > TOP / 2u ? TOP + 1u : 0;
}

uint32_t clock_cycles(void) {
  uint32_t round, left, late;
  do {
    round = done.rounds;
    left = SYST_CVR;
    late = begun_anew(left);
  } while (round != done.rounds);
  return (round << 24) + (TOP - left) + late;
}

/* `ms` changes with each round, so it says whether one has ended in between. */
uint32_t clock_ms(void) {
  uint32_t ms, cycles;
  do {
    ms = done.ms;
    uint32_t left = SYST_CVR;
    cycles = done.cycles - left + begun_anew(left);
  } while (ms != done.ms);
  return ms + cycles / CYCLES_MS;
}

void clock_sleep(void) {
  __asm volatile("wfi");
}
