/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - an append-only log of closed frames on raw flash, which a power cut cannot hurt.
 *
 * Frames are appended, read back in order of age within their class, and freed when they are
 * receipted; when there is no room the caller evicts a block. With them the store keeps the boot
 * counter, whether the last boot ended cleanly, and the caller's ledger of losses. docs/DELIVERY.md
 * draws the layout; store_format.h has it to the byte.
 *
 *     log 0   | block | block |      alarm frames and notes (boots, losses, blocks given up)
 *     log 1   | block | block | ...  numeric frames
 *     log 2   | block | block | ...  waveform frames
 *
 * A block belongs to one log. A block's receipts are written into that same block, so it is known
 * of each block alone what is still owed there: blocks are erased in any order, and no class waits
 * for another.
 *
 * Durable means: on the medium since the last store_sync(). Until then a cut may take or keep any
 * part of what was written; what is kept after the next mount is then a run without holes: frame n
 * of a boot is there only if each one before it is there, freed, or in the ledger.
 *
 * Nothing here is called from an interrupt; every call is a bounded number of flash operations.
 * Most are a few programs and at most a few syncs and erases. Those that look for a frame or for
 * room may read every block once after a mount (what is known of it is kept); a move copies a
 * block. Functions return 0 (or 1 for "here it is"), or a negative error: HTEL_E_STORE     the
 * flash failed at reading or at sync, or no good block is left others           as said at the
 * function */
#ifndef HTEL_SRC_STORE_H
#define HTEL_SRC_STORE_H

#include "healthtel/healthtel.h"

#define STORE_LOGS HTEL_CLASS_COUNT
#define STORE_BLOCKS_MIN 4u
#define STORE_BLOCKS_MAX 4096u
#define STORE_LOSSES_BYTES_MAX 640u /* the caller's ledger, in whatever form */
#define STORE_FRAMES_MAX 1024u      /* in one block */
#define STORE_UNSYNCED_MAX 32u      /* sequence numbers: store_append syncs by itself then */

/* What the store keeps in RAM of each block: the caller's memory. */
typedef struct store_block {
  uint32_t serial;      /* of the block: rises with each that is opened, in whatever log */
  uint32_t erases : 20; /* how often it was erased, as far as known */
  uint32_t state : 4;   /* store_state.h */
  uint32_t log : 2;
  uint32_t held : 6; /* frames of it that are under way: better not evicted */
} store_block;

/* A frame on flash: what it is, and where. */
typedef struct store_frame {
  uint64_t boot;
  uint64_t tick_first, tick_last; /* ms since boot, below 2^40; at most 2^32 - 1 apart */
  uint32_t sequence;
  uint32_t readings; /* below 2^24 */
  uint32_t size;     /* of its bytes */
  uint32_t ordinal;  /* number within its class; follows across boots while frames are there */
  uint32_t serial;   /* of its block */
  uint32_t offset;   /* of its record in the block */
  uint16_t index;    /* among the frames of its block, from 0 */
  uint16_t lost;     /* at most so many right before it in the block are owed and cannot be read at
                        all: to be told of, then freed by store_free with index - lost */
  uint8_t frame_class;
} store_frame;

typedef struct store_boot {
  uint64_t number;        /* never given twice; one more than the last */
  bool unclean;           /* boots unclean_first to number - 1 did not end with store_boot_end(), */
  uint64_t unclean_first; /*   and no ledger written since has told of them */
  uint64_t at_risk;       /* their at_risk summed: so many readings they may have had in RAM */
} store_boot;

typedef struct store_stats {
  uint32_t syncs;
  uint32_t erases;
  uint32_t programs;       /* calls */
  uint64_t program_bytes;  /* in them */
  uint32_t frames_damaged; /* whose bytes or header cannot be read: found by mount, next or check */
  uint32_t repairs;        /* single bits set right in headers, notes and receipts, when read */
  uint32_t torn;           /* records, receipts, headers that a cut left in part, and rot there */
  uint32_t blocks_bad;     /* retired */
  uint32_t moves;          /* blocks copied elsewhere, to spread wear */
  uint32_t
      blocks_unread;     /* whose header cannot be read: rotten, or in the middle of an erase that
                            a cut interrupted. Frames in them are lost, and nobody knows how many */
  uint32_t reads_failed; /* even when tried again */
} store_stats;

/* The open block of a log: the only one that takes frames. */
typedef struct store_tail {
  uint16_t block; /* STORE_NONE: the log has none open */
  uint16_t count; /* frames in it */
  uint32_t end;   /* where its next record goes */
  uint32_t ordinal_next;
} store_tail;

/* What is known of the block that was looked at last: which of its frames are freed. */
typedef struct store_look {
  uint16_t block;    /* STORE_NONE: nothing */
  uint16_t count;    /* frames appended to it, readable or not */
  uint16_t live;     /* of which not freed */
  uint16_t slots;    /* receipts written */
  uint32_t end;      /* behind its last record */
  uint32_t blank_to; /* from `end` to here nothing was ever written */
  uint32_t ordinal_first;
  uint64_t boot; /* of the block's first frame: theirs have its upper bits */
  uint8_t freed[STORE_FRAMES_MAX / 8u];
} store_look;

#define STORE_NONE 0xFFFFu
#define STORE_STATES 9u

/* 512 bytes at most on a 32-bit target. The caller's memory; all of it is the store's own. */
typedef struct store {
  const htel_flash *flash;
  store_block *blocks;
  store_tail tails[STORE_LOGS];
  uint64_t boot;        /* of the newest BOOT note */
  uint64_t boot_seen;   /* the highest number seen anywhere */
  uint64_t told_before; /* boots before this one ended cleanly, or a ledger has told of them */
  uint64_t risk_before; /* at_risk of boots told_before to boot - 1 */
  uint32_t at_risk;     /* of this boot */
  bool ended;           /* this boot has said that it ended */
  bool begun;           /* store_boot_begin has been called */
  bool dirty;           /* something was programmed or erased since the last sync */
  bool bad_untold;      /* a block has gone bad and no note says so */
  bool evict_unsynced;  /* a block was evicted since the last sync */
  uint8_t slots_unsynced;
  uint8_t believed;   /* programs in a row that could not be read back */
  uint32_t sequence;  /* newest of this boot, appended or told of */
  uint32_t persisted; /* newest that is durable */
  uint32_t proven;    /* of the last boot, at mount: was durable for sure before the cut */
  uint32_t serial_next;
  uint32_t losses_serial, losses_offset; /* where the newest ledger lies; serial 0: nowhere */
  uint64_t losses_boot;                  /* the boot that wrote it */
  uint16_t counts[STORE_STATES];         /* blocks by state */
  store_look look;
  store_stats stats;
} store;

/* ---- Mount -------------------------------------------------------------------------- */

/* Opens the log on `flash`, formats it when all of it is blank. Reads the header of each block and
 * one block of each log: at most 2 % of 16 MB. Finishes what a cut interrupted. `blocks` has room
 * for flash->block_count, and with `flash` is kept by reference.
 *   HTEL_E_ARGUMENT  a geometry outside of port.h's limits
 *   HTEL_E_VERSION   a healthtel log of a layout that this code does not know: nothing is touched
 *   HTEL_E_FORMAT    neither blank nor a healthtel log: nothing is touched */
int store_mount(store *s, const htel_flash *flash, store_block *blocks);

/* The next boot, durable when it returns 0. `at_risk` bounds how many readings this boot will ever
 * have outside the store. HTEL_E_FULL: evict first. To be called once, before the first append. */
int store_boot_begin(store *s, uint32_t at_risk, store_boot *boot);

/* All that this boot took is durable and nothing is left in RAM: noted durably. What is appended
 * later undoes it. */
int store_boot_end(store *s);

/* ---- Frames in ---------------------------------------------------------------------- */

/* Largest frame of a class that an empty block takes. */
uint32_t store_frame_bytes_max(const store *s, uint8_t frame_class);

/* Appends a frame; from the caller boot (this one), sequence (rising), ticks, readings, size and
 * class; the rest is filled in. Not durable before the next store_sync.
 *   HTEL_E_FULL       no room: evict a block (store_victim), then again
 *   HTEL_E_TOO_LARGE  larger than store_frame_bytes_max, or another number out of range */
int store_append(store *s, store_frame *frame, const uint8_t *bytes);

/* All so far becomes durable. Does nothing when all is. */
int store_sync(store *s);

/* Room for a frame of up to `size` bytes, numbered `sequence` at most, so that its store_append
 * will find it: HTEL_E_FULL as there. */
int store_reserve(store *s, uint8_t frame_class, uint32_t size, uint32_t sequence);

/* Between mount and store_boot_begin: whether frame `sequence` of the last boot was durable for
 * sure. One that was not may be there all the same, whole or torn. */
bool store_was_durable(const store *s, uint32_t sequence);
/* Whether this frame is here still, and was freed. */
bool store_was_freed(store *s, uint8_t frame_class, uint64_t boot, uint32_t sequence);

/* The highest sequence number of this boot that is durable, with all before it. Frames above it
 * must not be published: their number may be gone after a cut. */
uint32_t store_persisted(const store *s);

/* ---- Frames out --------------------------------------------------------------------- */

/* The oldest frame of a class that is not freed: 1 and `frame`; 0: none. */
int store_first(store *s, uint8_t frame_class, store_frame *frame);
/* The one after `frame`, which may itself be freed and its block erased by now. */
int store_next(store *s, store_frame *frame);

/* Reads the frame's bytes through and compares checksums. HTEL_E_CRC: damaged: write the ledger
 * with its loss, then free it. HTEL_E_CLOSED: it is not there any more. */
int store_check(store *s, const store_frame *frame);

/* All bytes of the frame, with a single wrong bit set right. HTEL_E_CRC: more are wrong. */
int store_repair(store *s, const store_frame *frame, uint8_t *bytes);

/* `size` bytes from `offset` of a frame. HTEL_E_CLOSED: it is not there any more (evicted). */
int store_read(store *s, const store_frame *frame, uint32_t offset, uint8_t *buf, size_t size);

/* The frame, and those of the same block that follow it, `count` in all, have been receipted: one
 * range is programmed. Durable with the next store_sync; a cut before it may bring them back. Those
 * that were free before, or are not there any more, do no harm. */
int store_free(store *s, const store_frame *frame, uint16_t count);

/* The frame is under way to the link, or no more: store_victim avoids its block. */
void store_hold(store *s, const store_frame *frame, bool held);

/* ---- Room --------------------------------------------------------------------------- */

/* Which block must go so that a frame of `frame_class` can come: 1 and its first frame that is not
 * freed. The oldest block of the least important class that is not more important than the
 * newcomer's (which does not count where its when_full is HTEL_REFUSE_NEWEST); one without held
 * frames if there is any. 0: the newcomer itself must go. */
int store_victim(store *s, uint8_t frame_class, const uint8_t *when_full, store_frame *victim);

/* The next frame of the same block that is not freed: 1; 0: that was all. */
int store_next_in_block(store *s, store_frame *frame);

/* The block of `victim` is given up with all its frames; `losses` is the ledger that tells of them.
 * Both happen or neither does, and before the boot has begun they are durable when it returns; else
 * with the next sync: the caller's, before it appends a frame that tells of them, or the store's
 * own before it writes another ledger. Then append again. HTEL_E_TOO_LARGE: the ledger. */
int store_evict(store *s, const store_frame *victim, const uint8_t *losses, size_t size);

/* ---- The ledger of losses ----------------------------------------------------------- */

/* Replaces the ledger, durably. It is to tell of every frame of this boot up to `sequence` that was
 * closed and not appended. */
int store_losses_write(store *s, const uint8_t *losses, size_t size, uint32_t sequence);

/* The newest ledger: its size (0: never written), or HTEL_E_TOO_LARGE for `room`. */
int store_losses_read(store *s, uint8_t *losses, size_t room);

/* ---- For tools ---------------------------------------------------------------------- */

void store_stats_get(const store *s, store_stats *stats);

/* Bytes of frames that are not freed, roughly: whole blocks. */
uint32_t store_bytes_used(const store *s);

#endif
