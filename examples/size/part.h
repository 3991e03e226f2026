/* SPDX-License-Identifier: Apache-2.0 */
/* part.h - machines that the core was measured on, and microcontrollers with one of them.
 *
 * What a client takes in RAM follows from the sizes of its structs, which differ between machines.
 * Those of the three targets were read from cross-compiled objects (tests/bench/sizes.py); those of
 * this host are the compiler's. */
#ifndef HTEL_SIZE_PART_H
#define HTEL_SIZE_PART_H

#include <stdint.h>

#include "healthtel/port.h"

/* Bytes of a client's parts. */
typedef struct target_state {
  uint32_t align, best, channel, client, column, flash_block, flash_box, mqtt, outbox_entry, ring,
      tls, zlib;
} target_state;

/* Bytes of flash that each choice adds; 0: not measured (this host). */
typedef struct target_flash {
  uint32_t core, flash, best, zlib, both, mqtt, tls, mbedtls, texts, words, runtime, runtime_link;
} target_flash;

typedef struct target {
  const char *name;
  const char *title;
  target_state state;
  target_flash flash;
} target;

typedef struct part {
  const char *name;
  const char *target;
  uint32_t ram_kb, flash_kb;
  const char *source;
} part;

/* NULL where there is none of this name. */
const target *target_find(const char *name);
const part *part_find(const char *name);
/* The i-th, or NULL behind the last. */
const target *target_at(unsigned i);
const part *part_at(unsigned i);

/* A flash that is only on paper: its calls answer HTEL_E_STORE. */
htel_flash part_flash(uint32_t block_bytes, uint32_t block_count, uint32_t program_bytes);

#endif
