/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h - the argument `bench`: what recording, coding and a minute without a broker cost on this
 * core, in instructions and RAM. No network, no flash, and a clock that the bench turns itself. */
#ifndef MCU_BENCH_H
#define MCU_BENCH_H

#include <stddef.h>

/* `memory` is aligned for max_align_t. Returns the exit status: 1 where something was lost. */
int bench_run(void *memory, size_t size);

#endif
