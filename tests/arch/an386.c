/* SPDX-License-Identifier: Apache-2.0 */
/* an386.c - from reset to newlib's start code, on an emulated Cortex-M4. A fault ends the program
 * with a status that says so. */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

extern uint8_t __stack[];
_Noreturn void _start(void);
_Noreturn void an386_reset(void);

/* newlib's own one asks for a function that newlib does not have here. */
void *aligned_alloc(size_t alignment, size_t size) {
  return memalign(alignment, size);
}

void an386_reset(void) {
  _start();
}

static _Noreturn void on_fault(void) {
  _Exit(99);
}

__attribute__((section(".vectors"), used)) static const struct {
  const void *stack;
  void (*handlers[15])(void);
} vectors = {__stack, {an386_reset, on_fault, on_fault, on_fault, on_fault, on_fault}};
