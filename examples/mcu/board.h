/* SPDX-License-Identifier: Apache-2.0 */
/* board.h - what differs between boards: clocks, two timers, Ethernet. */
#ifndef MCU_BOARD_H
#define MCU_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(BOARD_AN386)
#define BOARD_NAME "an386" /* ARM MPS2 with application note 386: Cortex-M4 */
#define BOARD_HZ 25000000u
#define BOARD_IRQ_WAVE 8
#define BOARD_IRQ_NUMERICS 9
#elif defined(BOARD_LM3S)
#define BOARD_NAME "lm3s" /* Stellaris LM3S6965: Cortex-M3, 256 KB of flash, 64 KB of RAM */
#define BOARD_HZ 50000000u
#define BOARD_IRQ_WAVE 19
#define BOARD_IRQ_NUMERICS 21
#else
#error "no such board"
#endif
#define BOARD_IRQ_COUNT 32

/* ---- Interrupts, given by device.c --------------------------------------------------------- */

void board_on_systick(void);
void board_on_wave(void);
void board_on_numerics(void);

/* ---- board_<name>.c ------------------------------------------------------------------------ */

void board_init(void);

/* Periodic interrupts. board_wave_ack() and board_numerics_ack() end the one at hand. */
void board_timers_start(uint32_t wave_cycles, uint32_t numerics_cycles);
void board_wave_ack(void);
void board_numerics_ack(void);

void board_eth_init(const uint8_t mac[6]);
/* Bytes of the frame that has come, 0 for none. It must then be taken whole, in words. */
size_t board_eth_pending(void);
/* The next bytes of it; the last call takes what is left, checksum and all. `last` may be short. */
void board_eth_take(uint8_t *buf, size_t size);
void board_eth_taken(void);
/* The next frame has `size` bytes, which follow in pieces of any size. */
bool board_eth_begin(size_t size);
void board_eth_give(const uint8_t *buf, size_t size);
void board_eth_send(void);

/* ---- clock.c: SysTick ---------------------------------------------------------------------- */

void clock_start(void);
uint32_t clock_cycles(void); /* of BOARD_HZ; wraps at 2^32 */
uint32_t clock_ms(void);
void clock_sleep(void); /* until the next interrupt */

/* ---- startup.c ------------------------------------------------------------------------------ */

uint32_t board_stack_peak(void); /* bytes of stack that were ever used */
_Noreturn void board_reset(void);

#endif
