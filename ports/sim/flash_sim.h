/* SPDX-License-Identifier: Apache-2.0 */
/* flash_sim.h - a NOR-like flash in memory, with a watchful eye and a hand on the power switch.
 *
 * Erasing a block makes it all ones; programming clears bits, in units of `program_bytes`, each at
 * most once between two erases. Whoever breaks a rule of the part (a unit programmed twice, an
 * unaligned or too long access) is written down in `violation`, and the first stays.
 *
 * Operations are numbered from 1: programs, erases and syncs, not reads. Before each of them the
 * hook is called. There a test may open a level (a copy on write of the whole part), cut the power
 * in the middle of this very operation, start whatever it likes on what is left, and close the
 * level again: everything is as it was and the operation goes on. Thus each operation of a long
 * run can be cut in every way without running from the start again. Levels nest: so does a cut
 * during the recovery from a cut. */
#ifndef HTEL_SIM_FLASH_H
#define HTEL_SIM_FLASH_H

#include <stdbool.h>

#include "healthtel/port.h"
#include "sim_random.h"

/* What becomes of the operation in which the power fails, and of those before it. */
typedef enum flash_mode {
  FLASH_NONE,      /* it did not happen */
  FLASH_PARTIAL,   /* its first bytes only; of an erase, the first part of the block */
  FLASH_RANDOM,    /* each bit of it done or not; a torn erase leaves bits that read as they like */
  FLASH_REORDERED, /* of all operations since the last sync, any were lost or torn */
  FLASH_MODES
} flash_mode;

typedef enum flash_kind { FLASH_PROGRAM, FLASH_ERASE, FLASH_SYNC } flash_kind;

typedef struct flash_geometry {
  const char *name;
  uint32_t block_bytes, block_count, program_bytes;
} flash_geometry;

typedef struct flash_counts {
  uint64_t reads, bytes_read;
  uint64_t programs, bytes_programmed;
  uint64_t erases, syncs;
  uint64_t failed; /* programs and erases refused by a worn or bad block */
  uint64_t unread; /* reads that failed */
} flash_counts;

/* One program or erase: what it does, and what was there before. */
typedef struct flash_op {
  flash_kind kind;
  uint32_t address, size;
  uint8_t *data;   /* to be programmed */
  uint8_t *before; /* data, unstable, used of that range */
} flash_op;

typedef struct flash_level {
  uint64_t serial;
  size_t saved_count; /* of chunks, when it was opened */
  uint32_t pending_count, pending_first;
  flash_counts counts;
  uint64_t operation;
  uint32_t *wear; /* as it was */
  bool *bad;
  bool dead, hook_off;
  uint64_t cut_after;
  sim_random random;
} flash_level;

enum { FLASH_LEVELS_MAX = 4, FLASH_CHUNK = 1024 };

typedef struct flash_sim {
  htel_flash port; /* for the code under test */
  flash_geometry geometry;
  uint32_t size;
  uint8_t *data;
  uint8_t *unstable;           /* bits that read differently each time */
  uint8_t *used;               /* one byte for each program unit: programmed since the last erase */
  uint32_t *wear;              /* erases of each block */
  bool *bad;                   /* blocks that refuse programs and erases */
  uint32_t bad_every, bad_max; /* at each so-manieth operation another goes bad, up to so many */
  uint32_t unread_from, unread_to; /* whoever reads from there fails, always: wrong bits too many */
  uint32_t unread_every;           /* each so-manieth read fails, once; 0: none */
  uint64_t outage_from, outage_to; /* reads of these numbers fail, wherever they are */
  uint32_t wear_max; /* erases that a block stands, or up to half as many more; 0: any number */
  flash_counts counts;
  uint64_t operation; /* the number of the last one begun */
  char violation[160];
  bool dead;          /* the power is off: all calls fail, nothing happens */
  uint64_t cut_after; /* operations from now at which the power fails, by cut_mode; 0: never */
  flash_mode cut_mode;
  sim_random random;

  uint64_t trace_from; /* operations from this number on are written to stderr; 0: none */

  void (*hook)(void *ctx, const flash_op *op);
  void *hook_ctx;
  bool hook_off;

  /* Operations since the last sync, oldest first; those of outer levels stay in front. */
  flash_op *pending;
  uint32_t pending_first, pending_count, pending_room;

  flash_level levels[FLASH_LEVELS_MAX];
  uint32_t level_count;
  uint64_t serial_last;
  uint64_t *chunk_serial; /* the level for which each chunk was saved last */
  uint8_t **saved;        /* chunks as they were: number, data, unstable, used */
  size_t saved_count, saved_room;
} flash_sim;

/* All erased. Ends the program where there is no memory: this is a test. */
void flash_sim_init(flash_sim *f, const flash_geometry *geometry, uint64_t seed);
void flash_sim_free(flash_sim *f);

/* The power fails in the middle of `op`, the one that the hook was called for (NULL: between two
 * operations). Afterwards the power is on again. Call it inside of a level. */
void flash_sim_cut(flash_sim *f, const flash_op *op, flash_mode mode, sim_random *random);

/* Opens a level, in which the hook is off and no cut is to come; closing puts all back to that
 * moment. */
void flash_sim_open(flash_sim *f);
void flash_sim_close(flash_sim *f);

/* The power fails now, between two operations and outside of any level, and comes back. */
void flash_sim_lose_power(flash_sim *f, flash_mode mode);

/* After the power failed by `cut_after`. */
void flash_sim_power_on(flash_sim *f);

/* Blocks that still can be erased and programmed. */
uint32_t flash_sim_good_blocks(const flash_sim *f);

/* A line among the traced operations. */
void flash_sim_trace(const flash_sim *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void flash_sim_flip(flash_sim *f, uint64_t bit);
void flash_sim_fill(flash_sim *f, const uint8_t *image, uint32_t size); /* the rest stays */

const char *flash_mode_name(flash_mode mode);
const char *flash_kind_name(flash_kind kind);

#endif
