/* SPDX-License-Identifier: Apache-2.0 */
/* model.h - what must be in the store, and what may be.
 *
 * While a call is under way, and until what it did is durable, more than one thing may be true
 * after a cut. For frames each carries its own doubt; for the rest (ledger, boots) the model keeps
 * every state that may be found, and the check after a mount must find one of them. What it finds
 * becomes certain: a mount makes durable what it shows.
 *
 *     frame      after a cut
 *     certain    there, once, byte for byte
 *     unsynced   there or not, but not when an earlier one of its boot is missing
 *     going      receipted, not yet durably: there or not
 *     evicting   gone if the new ledger (or a later one) is found, there if the old one is
 *     any other  not there: it was freed or evicted durably, or never was
 */
#ifndef HTEL_TESTS_CRASH_MODEL_H
#define HTEL_TESTS_CRASH_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct model_frame {
  uint64_t boot, tick_first, tick_last;
  uint32_t sequence, size, readings, ordinal;
  uint8_t frame_class;
  bool unsynced, going, seen;
  bool coming;          /* store_append has not returned yet */
  bool damaged;         /* there, but torn or rotten: its bytes cannot be read */
  uint32_t evicting_by; /* the number of the ledger that tells of it; 0: not being evicted */
} model_frame;

/* What stands in the log beside the frames. */
typedef struct model_state {
  uint32_t ledger;        /* number of the newest one; 0: none was ever written */
  uint32_t told;          /* sequence numbers of this boot that it may leave out */
  uint64_t boot;          /* the newest */
  bool clean;             /* it ended with store_boot_end */
  uint32_t risk;          /* its own */
  uint64_t unclean_first; /* boots before it that did not, and of which no ledger tells; 0: none */
  uint64_t unclean_risk;  /* theirs, summed */
} model_state;

enum { MODEL_STATES_MAX = 256 };

typedef enum model_fault {
  MODEL_GOOD,
  MODEL_LOST,    /* a persisted frame is not there */
  MODEL_TWICE,   /* a frame is there again, or never was appended, or out of order */
  MODEL_HOLE,    /* a frame is there although an earlier one is neither there nor explained */
  MODEL_ALTERED, /* bytes or description differ */
  MODEL_LEDGER,  /* the ledger is not the one that must be there */
  MODEL_BOOT,    /* the boot number or what it says of those before is wrong */
  MODEL_ANSWER   /* the store answered what it must not answer here */
} model_fault;

typedef struct model {
  model_frame *frames; /* in order of boot and sequence */
  size_t count, room;
  model_state states[MODEL_STATES_MAX]; /* the first is the oldest that may be found */
  unsigned state_count;
  bool either;      /* all states stay possible, although everything is durable */
  uint32_t refused; /* lowest sequence number of this boot that was used, not appended, not told */
  uint64_t seen_boot[3]; /* the last frame found of each class */
  uint32_t seen_sequence[3];
  bool rot;          /* one bit was flipped: a persisted frame may be missing, and is counted */
  bool ruin;         /* whole blocks were: any may be missing, freed ones may be back */
  uint32_t missing;  /* of those */
  model_fault fault; /* the first */
  char what[200];
} model;

void model_init(model *m);
void model_free(model *m);
void model_copy(model *to, const model *from); /* `to` was initialized */

void model_fail(model *m, model_fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- What the device does ------------------------------------------------------------ */

/* It may be there from now on. The pointer is good until the next one is added or removed. */
model_frame *model_append(model *m, const model_frame *frame);
model_frame *model_find(model *m, uint64_t boot, uint32_t sequence);
void model_remove(model *m, uint64_t boot, uint32_t sequence);

/* Frames of this boot up to `sequence` are durable. */
void model_persisted(model *m, uint32_t sequence);
/* Everything is: what was receipted does not come back. */
void model_synced(model *m);

/* A call begins that may leave `state`; it returned, and that is the state. */
void model_doubt(model *m, const model_state *state);
void model_certain(model *m, const model_state *state);
/* A call begins that writes a ledger, which tells of all up to `told` and, where the boot has
 * begun, of the boots before it; it returned: that ledger stands, and the frames evicted with it
 * are gone. */
void model_ledger_doubt(model *m, uint32_t ledger, uint32_t told, bool running);
void model_ledger_certain(model *m, uint32_t ledger);
void model_ledger_undone(model *m, uint32_t ledger); /* it was refused, and not begun */

/* ---- What is found after a mount ----------------------------------------------------- */

/* In this order: the ledger, then frames class by class, then the end. */
void model_check_begin(model *m, uint32_t ledger);
/* The frame of the model, or NULL when it must not be there. */
model_frame *model_found(model *m, const model_frame *found);
void model_check_end(model *m);

/* What store_boot_begin answered. */
void model_boot(model *m, uint64_t number, bool unclean, uint64_t unclean_first, uint64_t at_risk,
                uint32_t risk);

/* The state after a boot began. */
model_state model_next_boot(const model_state *s, uint32_t risk);

#endif
