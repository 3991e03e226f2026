/* SPDX-License-Identifier: Apache-2.0 */
/* startup.c - from reset to main() on a Cortex-M3 or M4, and how deep the stack ever was. */
#include "board.h"
#include "semihost.h"

#define PAINT 0x5AA55AA5u
#define SCB_AIRCR (*(volatile uint32_t *)0xE000ED0Cu)
#define AIRCR_RESET 0x05FA0004u

/* The linker's. */
extern uint32_t stack_bottom[], stack_top[];
extern uint32_t data_begin[], data_end[], bss_begin[], bss_end[];
extern const uint32_t data_image[];

int main(void);
void reset(void);

static void fault(void) {
  semihost_print("fw: fault\n");
  semihost_exit(3);
}

static const void *const vectors[16 + BOARD_IRQ_COUNT]
    __attribute__((section(".vectors"), used)) = {
        stack_top,
        (const void *)reset,
        (const void *)fault,
        (const void *)fault,
        (const void *)fault,
        (const void *)fault,
        (const void *)fault,
        NULL,
        NULL,
        NULL,
        NULL,
        (const void *)fault,
        (const void *)fault,
        NULL,
        (const void *)fault,
        (const void *)board_on_systick,
        [16 + BOARD_IRQ_WAVE] = (const void *)board_on_wave,
        [16 + BOARD_IRQ_NUMERICS] = (const void *)board_on_numerics,
};

/* Not to be inlined or made into calls of memset: the stack below is being painted. */
__attribute__((noreturn, optimize("no-tree-loop-distribute-patterns"))) void reset(void) {
  uint32_t *here = (uint32_t *)__builtin_frame_address(0) - 16;
  for (uint32_t *p = stack_bottom; p < here; p++) *p = PAINT;
  const uint32_t *from = data_image;
  for (uint32_t *p = data_begin; p < data_end; p++) *p = *from++;
  for (uint32_t *p = bss_begin; p < bss_end; p++) *p = 0;
  semihost_exit(main());
}

uint32_t board_stack_peak(void) {
  const uint32_t *p = stack_bottom;
  while (p < stack_top && *p == PAINT) p++;
  return (uint32_t)((const char *)stack_top - (const char *)p);
}

void board_reset(void) {
  __asm volatile("dsb");
  SCB_AIRCR = AIRCR_RESET;
  for (;;) {
  }
}
