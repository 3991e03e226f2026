/* SPDX-License-Identifier: Apache-2.0 */
/* image.h - the image of a device's flash: what is in its log, without changing it.
 *
 *     image_read  the file, read-only, whole, into memory
 *                 -> block by block as it lies there: every record, receipt, and all that is
 * damaged
 *                 -> a copy is mounted by the device's own code, which says what the device would
 *                    find: what still waits, boots, wear
 *
 * The first goes through whatever is there; the second needs a log that a device would accept. */
#ifndef CAT_IMAGE_H
#define CAT_IMAGE_H

#include "loss.h"
#include "store.h"

#define IMAGE_BYTES_MAX 16777216u

typedef struct image_frame {
  uint64_t boot;
  uint64_t tick_first, tick_last;
  uint32_t sequence, readings, size;
  uint32_t address; /* of its bytes in the file */
  uint32_t offset;  /* of its record in the block */
  uint16_t block;
  uint8_t frame_class;
  bool damaged; /* its bytes do not match their checksum */
  bool waiting; /* not receipted, says the mount */
} image_frame;

typedef enum image_damage_kind {
  IMAGE_NO_HEADER,   /* a block that is neither blank nor begins with a header */
  IMAGE_OTHER,       /* a block of another layout or geometry */
  IMAGE_UNREADABLE,  /* something in the place of a record */
  IMAGE_FRAME_BYTES, /* of a frame */
  IMAGE_NOTE_BYTES,  /* of a note */
  IMAGE_RECEIPT,     /* one that cannot be read */
  IMAGE_LEFTOVERS,   /* something behind the last record */
  IMAGE_REPAIRED,    /* single bits, set right by their checksum: nothing is lost */
  IMAGE_DAMAGE_KINDS
} image_damage_kind;

typedef struct image_damage {
  uint32_t offset; /* in its block */
  uint32_t bytes;  /* so many; IMAGE_REPAIRED, IMAGE_RECEIPT: so many of them in the block */
  uint16_t block;
  uint8_t kind;
} image_damage;

typedef struct image {
  const char *name;
  uint8_t *bytes; /* as in the file, filled up with 0xFF to a whole block */
  uint8_t *copy;  /* what is mounted */
  uint32_t size, file_size;
  htel_flash flash; /* geometry; its context is this struct */
  bool writable;    /* the copy is mounted, and read instead */
  bool erased;      /* there is nothing in it */
  store_block *blocks;
  store store;
  int mounted; /* store_mount's result; 0: what follows holds */
  loss_ledger losses;
  image_frame *frames; /* by block and offset */
  size_t frame_count, frame_room;
  image_damage *damages;
  size_t damage_count, damage_room;
  uint32_t receipts; /* ranges */
} image;

/* False, with a message on stderr, where there is nothing to be shown: the file cannot be read, or
 * no block of it is a log's. */
bool image_read(image *im, const char *path);
void image_free(image *im);

const char *image_damage_words(uint8_t kind);
/* Something was lost or may have been. */
bool image_damage_counts(uint8_t kind);

/* Wear, and how many blocks are in which use, says the mount. */
typedef struct image_blocks {
  uint32_t erases_min, erases_max;
  double erases_mean;
  uint32_t used, done, free, bad;
} image_blocks;
void image_blocks_get(const image *im, image_blocks *b);

#endif
