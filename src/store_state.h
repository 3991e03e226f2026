/* SPDX-License-Identifier: Apache-2.0 */
/* store_state.h - what the files of the store share. See store.h.
 *
 * The life of a block. A step that must not reach the flash before another has is taken only after
 * the sync() that lies between them; mostly that is the sync of a frame which was due anyway.
 *
 *                    VOID note       sync        erase         sync        header
 *     USED --> DONE -----------> GOING ---> GONE -----> ERASED ----> READY ------> USED
 *       all freed                            ^
 *     USED ---- ledger that tells of it -----+ (by GOING)           DIRTY: as GONE; what a cut left
 *
 * The VOID note comes first because an erase that is cut may leave a header and frames, and lose
 * the receipts: what a note has given up is never looked at again. */
#ifndef HTEL_SRC_STORE_STATE_H
#define HTEL_SRC_STORE_STATE_H

#include "plant.h"
#include "store.h"
#include "store_format.h"

typedef enum store_state {
  STATE_DIRTY = 0, /* no good header: to be erased before use */
  STATE_GOING,     /* given up by a note that is not durable yet */
  STATE_GONE,      /* given up */
  STATE_ERASED,    /* the erase is not durable yet */
  STATE_READY,     /* erased */
  STATE_UNSEEN,    /* has frames, perhaps: not looked at since the mount or since it was closed */
  STATE_USED,      /* has frames that are not freed, or is open */
  STATE_DONE,      /* all freed */
  STATE_BAD        /* never again */
} store_state;

#define STORE_SLOTS_SPARE 4u    /* in each block, beside one a frame: cuts may waste some */
#define STORE_SLOTS_UNSYNCED 8u /* receipts in a row that may be missing before a later one */
#define STORE_GOING_MAX 8u      /* blocks given up and not erased: a snapshot names them all */
#define STORE_COPY_BYTES 64u    /* read at once, on the stack; a multiple of any program unit */

/* A record found in a block. */
typedef struct found {
  record r;
  uint32_t offset;
  uint32_t next; /* offset behind it */
} found;

/* ---- store_flash.c: the flash, checked; states ----------------------------------------- */

/* Tries again before it says HTEL_E_STORE. */
int flash_read(store *s, uint16_t block, uint32_t offset, uint8_t *buf, size_t size);
/* Something can be read in other blocks than this one: then it is this one that is damaged. */
bool flash_answers(store *s, uint16_t block);
/* Programs and reads back. HTEL_E_STORE: the block is bad. Pads the last unit with 0xFF. */
int flash_program(store *s, uint16_t block, uint32_t offset, const uint8_t *buf, size_t size);
/* GONE or DIRTY -> ERASED, or BAD. */
int flash_erase(store *s, uint16_t block);
/* 1: nothing but 0xFF from `from` to `to`; 0: something; or an error. */
int flash_blank(store *s, uint16_t block, uint32_t from, uint32_t to);

void state_set(store *s, uint16_t block, store_state state);
bool state_has_frames(const store_block *block);
/* The block with the fewest erases among those in state `a` or `b`, or STORE_NONE. */
uint16_t state_least_worn(const store *s, store_state a, store_state b);
/* The block that has frames, of this serial, or STORE_NONE. */
uint16_t state_find(const store *s, uint32_t serial);
/* The block of `log` with the lowest serial above `after` that has frames, or STORE_NONE. */
uint16_t state_next(const store *s, uint8_t log, uint32_t after);
bool state_is_tail(const store *s, uint16_t block);

uint32_t stride_of(const store *s, uint32_t size); /* of a record with `size` bytes */
uint32_t slot_bytes(const store *s);
uint32_t slot_offset(const store *s, uint32_t slot);

/* ---- store_scan.c: records and receipts in a block ---------------------------------------- */

/* The first record at `offset` or, past damage, behind it; up to `limit`. 1; 0: that was all, and
 * all from `offset` to f->next is blank. */
int scan_next(store *s, uint16_t block, uint32_t offset, uint32_t limit, found *f);
/* Where the records of a block end at the latest. */
uint32_t scan_limit(const store *s, uint16_t block);
int scan_header(store *s, uint16_t block, block_header *header);
/* Fills in s->look. HTEL_E_CRC: the header cannot be read, so nothing can be had of this block;
 * HTEL_E_STORE: of no other either. */
int look_at(store *s, uint16_t block);
bool look_is_freed(const store *s, uint16_t index);
void look_set_freed(store *s, uint16_t first, uint16_t last);
/* A block that was closed or not yet seen: USED or DONE. Errors as look_at: USED all the same, so
 * that nobody asks again for what is in it. */
int look_settle(store *s, uint16_t block);

/* The first frame of the looked-at block, at `offset` or behind, that is not freed: 1; 0: none. */
int look_first(store *s, uint32_t offset, store_frame *frame);

/* ---- store_note.c: notes in log 0 -------------------------------------------------------- */

/* Room for a note that gives a block up: opens another block of log 0, with the last of the pool if
 * need be. */
int note_room(store *s, size_t size);
/* Room for any other: leaves a block in the pool. HTEL_E_FULL. */
int note_room_spare(store *s, size_t size);
/* These write into the open block of log 0, which has room. */
int note_losses(store *s, const uint8_t *losses, size_t size, uint32_t serial_given_up);
int note_bad(store *s);       /* blocks that no note calls bad yet; makes room by itself */
int note_void_done(store *s); /* gives up the least worn of those that are DONE; makes room */
/* A freshly opened block of log 0 gets all notes that are in force: it can be read alone. */
int note_snapshot(store *s);

/* At mount: 1: a note, and readable. */
int note_is_whole(store *s, uint16_t block, const found *f);
/* In the order in which they were written. */
int note_apply(store *s, uint16_t block, const found *f);

/* This boot goes on although it had ended. */
int boot_resume(store *s);

/* ---- store_room.c: blocks to write into ----------------------------------------------------- */

/* Blocks that are free or soon will be. */
uint32_t room_pool(const store *s);
/* How many of these are kept for log 0. */
uint32_t room_spare(const store *s);
/* `count` of these, giving up blocks that are done. HTEL_E_FULL. */
int room_pool_raise(store *s, uint32_t count);
/* A block that may be written now. HTEL_E_FULL. */
int room_ready(store *s, uint16_t *block);
/* Opens another block in `log` unless a frame of `size` fits. HTEL_E_FULL. */
int room_open(store *s, uint8_t log, uint32_t size);
/* Opens another block in log 0, if the pool has one. */
int room_roll(store *s);
/* Makes an eviction durable before anything else that tells of it is written. */
int room_evict_settle(store *s);
/* Opens the very first. */
int room_start(store *s);
/* The open block of `log` takes a record with `size` bytes. */
bool room_fits(const store *s, uint8_t log, uint32_t size, bool frame);
/* One step ahead of need, before a frame of `size`: erases, gives up. */
int room_tend(store *s, uint32_t size);

/* ---- store_append.c ---------------------------------------------------------------------- */

/* A record at the end of the open block of `log`, which has room; fills in crc and behind. A block
 * that turns out bad is moved. */
int append_record(store *s, uint8_t log, record *r, const uint8_t *payload, uint32_t *offset);

/* ---- store_move.c ------------------------------------------------------------------------ */

/* Copies a block to another place, under its own serial. `from` is then BAD, or erased. */
int move_block(store *s, uint16_t from, bool bad);
/* Moves what has lain long where little was erased, so that wear evens out. */
int move_cold(store *s);

#endif
