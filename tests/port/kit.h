/* SPDX-License-Identifier: Apache-2.0 */
/* kit.h - the conformance kit: says in words what is wrong with a port, and where to read.
 *
 *     static max_align_t memory[KIT_MEMORY_BYTES / sizeof(max_align_t)];
 *     kit_config config = {.port = &port, .flash = &flash, .transport = &transport, ...};
 *     return kit_run(&config, NULL) == 0 ? 0 : 1;
 *
 * Link it with the port, run it where the port runs, read what it prints, reset the device, run it
 * again: what must outlive a reset is compared with what the last run left on the flash. What a
 * port does not have stays NULL, and its checks say so and are skipped. docs/PORTING.md is the
 * guide.
 *
 * IT ERASES ALL OF THE FLASH THAT IT IS GIVEN.
 *
 * No heap, no stdio, no threads, no file statics: about 2 KB of stack and the caller's memory. */
#ifndef HTEL_TESTS_PORT_KIT_H
#define HTEL_TESTS_PORT_KIT_H

#include "healthtel/healthtel.h"
#include "htel_mqtt.h"

#define KIT_MEMORY_BYTES (sizeof(void *) > 4 ? 10240u : 8192u) /* enough for all checks */

typedef enum kit_outcome { KIT_PASSED, KIT_FAILED, KIT_SKIPPED } kit_outcome;

/* What one check said; valid during report(). */
typedef struct kit_result {
  const char *name;    /* "flash.erase" */
  const char *section; /* of docs/PORTING.md */
  kit_outcome outcome;
  const char *words; /* passed: what was measured, or ""; failed: what is wrong; skipped: why */
} kit_result;

typedef struct kit_totals {
  uint32_t passed, failed, skipped;
} kit_totals;

typedef struct kit_config {
  const htel_port *port;                /* must be there */
  const htel_flash *flash;              /* all of it is erased; NULL: there is none */
  const htel_outbox_code *outbox;       /* &htel_outbox_on_flash where the product uses it */
  const htel_mqtt_transport *transport; /* to a htel-port-peer; NULL: there is none */
  const htel_mqtt_transport *nowhere;   /* to an address that does not answer; may be NULL */
  void *memory;                         /* aligned for max_align_t; KIT_MEMORY_BYTES */
  size_t memory_size;

  void (*print)(void *ctx, const char *text); /* lines, with their newline; must be there */
  void (*report)(void *ctx, const kit_result *result); /* the same for machines; may be NULL */
  void *ctx;                                           /* for all functions here */
  bool again;       /* a run before this one has left its note on the flash: it must be there */
  const char *only; /* run the checks whose names begin so; NULL: all */

  /* What the kit cannot do by itself. Each may be NULL. */

  /* Where the product sleeps between two polls: until wake(), or what the transport arranged, or
   * `ms` have passed. */
  void (*wait)(void *ctx, uint32_t ms);
  /* The deepest sleep that the product uses, for `ms`. */
  void (*sleep)(void *ctx, uint32_t ms);
  /* From now on `handler(arg)` is called from an interrupt of the priority that the product records
   * from, 100 to 2000 times a second, at moments that the code under it cannot foresee. NULL: no
   * more; none is under way when the call returns. */
  void (*interrupts)(void *ctx, void (*handler)(void *arg), void *arg);
  /* Another clock in ms, right to 0.5 %. NULL: the peer's is used, over the transport. */
  uint32_t (*reference_ms)(void *ctx);
  /* Sets what tick_ms() counts by to `ms`, so that its wrap can be seen. */
  void (*tick_set)(void *ctx, uint32_t ms);
  /* From now on (or no longer) programs and erases fail as the part would fail: write protection.
   */
  void (*flash_fails)(void *ctx, bool fails);

  uint32_t call_ms_max;  /* longest call of the transport; 0 counts as 5 */
  uint32_t flash_ms_max; /* longest call of the flash: what the rings are sized for; 0: 500 */

  uint8_t *stack_lowest; /* lowest byte of the stack that kit_run() is called on; NULL: the stack */
  size_t stack_bytes;    /* is not looked at */
} kit_config;

/* Runs the checks. How many failed, or a negative error: HTEL_E_ARGUMENT when the configuration
 * itself cannot be used (print says why). `totals` may be NULL. */
int kit_run(const kit_config *config, kit_totals *totals);

#endif
