/* SPDX-License-Identifier: Apache-2.0 */
/* gauge.h - how many instructions something took.
 *
 * QEMU's -icount makes the virtual clock advance by a fixed time for each instruction, so a count
 * of clock cycles is one of instructions, exact and repeatable. gauge_start() finds the ratio by a
 * loop of known length. Without -icount the figures mean nothing, and gauge_exact() says so. */
#ifndef MCU_GAUGE_H
#define MCU_GAUGE_H

#include <stdbool.h>
#include <stdint.h>

void gauge_start(void);
bool gauge_exact(void);
uint64_t gauge_instructions(uint64_t cycles);

#endif
