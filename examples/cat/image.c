/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loss_bytes.h"
#include "store_state.h"

#define BLOCK_BYTES_MIN 4096u
#define BLOCK_BYTES_MAX 65536u
#define PROGRAM_BYTES_MAX 16u

static bool fail(const char *name, const char *why) {
  fprintf(stderr, "htel-cat: %s: %s\n", name, why);
  return false;
}

/* Room for one more item at least. */
static bool grow(void **items, size_t item_bytes, size_t count, size_t *room) {
  if (count < *room) return true;
  size_t more = *room == 0 ? 256 : 2 * *room;
  void *larger = realloc(*items, more * item_bytes);
  if (larger == NULL) return false;
  *items = larger;
  *room = more;
  return true;
}

/* ---- The file ---------------------------------------------------------------------------- */

static bool file_read(image *im, int fd) {
  im->bytes = malloc(IMAGE_BYTES_MAX + 1u); /* one more, to see what is too long */
  if (im->bytes == NULL) return fail(im->name, "no memory");
  size_t used = 0;
  while (used <= IMAGE_BYTES_MAX) {
    ssize_t n = read(fd, im->bytes + used, IMAGE_BYTES_MAX + 1u - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(im->name, strerror(errno));
    if (n == 0) break;
    used += (size_t)n;
  }
  if (used > IMAGE_BYTES_MAX) return fail(im->name, "larger than any store (16 MiB)");
  if (used == 0) return fail(im->name, "is empty");
  im->file_size = (uint32_t)used;
  return true;
}

static bool file_load(image *im) {
  int fd = open(im->name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(im->name, strerror(errno));
  bool ok = file_read(im, fd);
  close(fd);
  return ok;
}

/* ---- Memory as flash ------------------------------------------------------------------------ */

static int memory_read(void *ctx, uint32_t address, uint8_t *buf, size_t size) {
  const image *im = ctx;
  memcpy(buf, (im->writable ? im->copy : im->bytes) + address, size);
  return 0;
}

static int memory_program(void *ctx, uint32_t address, const uint8_t *buf, size_t size) {
  image *im = ctx;
  if (!im->writable) return HTEL_E_STORE;
  for (size_t i = 0; i < size; i++) im->copy[address + i] &= buf[i];
  return 0;
}

static int memory_erase(void *ctx, uint32_t block) {
  image *im = ctx;
  if (!im->writable) return HTEL_E_STORE;
  memset(im->copy + block * im->flash.block_bytes, 0xFF, im->flash.block_bytes);
  return 0;
}

static int memory_sync(void *ctx) {
  (void)ctx;
  return 0;
}

/* Block sizes and layout, from the first header of a layout that we know. False: `why` not. */
static bool geometry_find(image *im, const block_header *header, char *why, size_t size) {
  if (header->layout != FORMAT_LAYOUT) {
    snprintf(why, size, "a log of layout %u; this htel-cat knows layout %u",
             (unsigned)header->layout, FORMAT_LAYOUT);
    return false;
  }
  for (uint32_t block = BLOCK_BYTES_MIN; block <= BLOCK_BYTES_MAX; block *= 2)
    for (uint32_t unit = 1; unit <= PROGRAM_BYTES_MAX; unit *= 2)
      if (format_geometry(block, unit) == header->geometry) {
        im->flash = (htel_flash){.ctx = im,
                                 .block_bytes = block,
                                 .program_bytes = unit,
                                 .read = memory_read,
                                 .program = memory_program,
                                 .erase = memory_erase,
                                 .sync = memory_sync};
        return true;
      }
  snprintf(why, size, "a log with block sizes that do not exist");
  return false;
}

static bool header_find(image *im) {
  char why[80] = "no block of it is a healthtel log's";
  for (uint32_t at = 0; at + FORMAT_HEADER_BYTES <= im->file_size; at += BLOCK_BYTES_MIN) {
    uint8_t bytes[FORMAT_HEADER_BYTES];
    block_header header;
    memcpy(bytes, im->bytes + at, sizeof bytes);
    format_sight sight = format_look(bytes, sizeof bytes);
    if (sight != FORMAT_GOOD && sight != FORMAT_REPAIRED) continue;
    if (!format_header_read(&header, bytes)) continue;
    if (geometry_find(im, &header, why, sizeof why)) return true;
  }
  im->erased = format_is_blank(im->bytes, im->file_size);
  return im->erased ? true : fail(im->name, why);
}

static bool memory_make(image *im) {
  uint32_t block = im->flash.block_bytes;
  im->flash.block_count = (im->file_size + block - 1u) / block;
  im->size = im->flash.block_count * block;
  im->copy = malloc(im->size);
  im->blocks = calloc(im->flash.block_count, sizeof *im->blocks);
  uint8_t *bytes = realloc(im->bytes, im->size);
  if (bytes != NULL) im->bytes = bytes;
  if (bytes == NULL || im->copy == NULL || im->blocks == NULL) return fail(im->name, "no memory");
  memset(im->bytes + im->file_size, 0xFF, im->size - im->file_size);
  memcpy(im->copy, im->bytes, im->size);
  return true;
}

/* ---- Block by block, as it lies there ---------------------------------------------------------
 */

typedef struct walk {
  image *im;
  store s; /* for the functions that read blocks: of this only the flash is used */
  uint16_t block;
  block_header header;
  bool ok;
} walk;

static void damage_add(walk *w, image_damage_kind kind, uint32_t offset, uint32_t bytes) {
  image *im = w->im;
  void *p = im->damages;
  w->ok &= grow(&p, sizeof *im->damages, im->damage_count, &im->damage_room);
  im->damages = p;
  if (!w->ok) return;
  im->damages[im->damage_count++] =
      (image_damage){.offset = offset, .bytes = bytes, .block = w->block, .kind = (uint8_t)kind};
}

static bool payload_good(const walk *w, const found *f) {
  const image *im = w->im;
  const uint8_t *at =
      im->bytes + w->block * im->flash.block_bytes + f->offset + FORMAT_RECORD_BYTES;
  uint8_t note[STORE_LOSSES_BYTES_MAX];
  if (f->r.kind == RECORD_FRAME || f->r.size > sizeof note)
    return htel_crc32(0, at, f->r.size) == f->r.payload_crc;
  memcpy(note, at, f->r.size);
  return format_repair(note, f->r.size, f->r.payload_crc) != FORMAT_BROKEN;
}

static void frame_take(walk *w, const found *f, bool damaged) {
  image *im = w->im;
  void *p = im->frames;
  w->ok &= grow(&p, sizeof *im->frames, im->frame_count, &im->frame_room);
  im->frames = p;
  if (!w->ok) return;
  uint64_t boot = w->header.boot;
  im->frames[im->frame_count++] =
      (image_frame){.boot = boot + (uint16_t)(f->r.boot_low - (uint16_t)boot),
                    .tick_first = f->r.tick_first,
                    .tick_last = f->r.tick_first + f->r.tick_span,
                    .sequence = f->r.sequence,
                    .readings = f->r.readings,
                    .size = f->r.size,
                    .address = w->block * im->flash.block_bytes + f->offset + FORMAT_RECORD_BYTES,
                    .offset = f->offset,
                    .block = w->block,
                    .frame_class = w->header.log,
                    .damaged = damaged};
}

static void record_take(walk *w, const found *f) {
  bool damaged = !payload_good(w, f);
  if (f->r.kind == RECORD_FRAME) frame_take(w, f, damaged);
  if (!damaged) return;
  damage_add(w, f->r.kind == RECORD_FRAME ? IMAGE_FRAME_BYTES : IMAGE_NOTE_BYTES,
             f->offset + FORMAT_RECORD_BYTES, f->r.size);
}

/* What is not blank between the last record and the receipts. */
static void leftovers_take(walk *w, uint32_t from, uint32_t to) {
  const uint8_t *block = w->im->bytes + w->block * w->im->flash.block_bytes;
  while (from < to && block[from] == 0xFFu) from++;
  while (to > from && block[to - 1u] == 0xFFu) to--;
  if (from < to) damage_add(w, IMAGE_LEFTOVERS, from, to - from);
}

static void records_take(walk *w) {
  uint32_t at = FORMAT_HEADER_BYTES;
  found f;
  while (scan_next(&w->s, w->block, at, w->im->flash.block_bytes, &f) == 1) {
    if (f.offset > at) damage_add(w, IMAGE_UNREADABLE, at, f.offset - at);
    record_take(w, &f);
    at = f.next;
  }
  uint32_t repairs = w->s.stats.repairs;
  w->s.stats.torn = 0;
  w->s.look.block = STORE_NONE;
  if (look_at(&w->s, w->block) != 0) return;
  w->im->receipts += w->s.look.slots - w->s.stats.torn;
  uint32_t slots =
      w->s.look.slots == 0 ? w->im->flash.block_bytes : slot_offset(&w->s, w->s.look.slots - 1u);
  leftovers_take(w, at, slots);
  if (w->s.stats.torn > 0) damage_add(w, IMAGE_RECEIPT, slots, w->s.stats.torn);
  repairs = w->s.stats.repairs - repairs; /* header, records and receipts are read again by it */
  if (repairs > 0) damage_add(w, IMAGE_REPAIRED, 0, repairs);
}

static void block_take(walk *w) {
  const htel_flash *flash = &w->im->flash;
  int rc = scan_header(&w->s, w->block, &w->header);
  if (rc == 1 && (w->header.layout != FORMAT_LAYOUT || w->header.log >= STORE_LOGS ||
                  w->header.geometry != format_geometry(flash->block_bytes, flash->program_bytes)))
    damage_add(w, IMAGE_OTHER, 0, flash->block_bytes);
  else if (rc == 1)
    records_take(w);
  else if (!format_is_blank(w->im->bytes + w->block * flash->block_bytes, flash->block_bytes))
    damage_add(w, IMAGE_NO_HEADER, 0, flash->block_bytes);
}

static bool blocks_take(image *im) {
  walk w = {.im = im, .ok = true};
  w.s.flash = &im->flash;
  w.s.blocks = im->blocks;
  for (unsigned log = 0; log < STORE_LOGS; log++) w.s.tails[log].block = STORE_NONE;
  for (uint32_t i = 0; i < im->flash.block_count; i++) {
    w.block = (uint16_t)i;
    block_take(&w);
  }
  return w.ok ? true : fail(im->name, "no memory");
}

/* ---- What the device would find ------------------------------------------------------------ */

static image_frame *frame_find(image *im, uint16_t block, uint32_t offset) {
  size_t low = 0, high = im->frame_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    image_frame *f = &im->frames[middle];
    if (f->block == block && f->offset == offset) return f;
    if (f->block < block || (f->block == block && f->offset < offset))
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

static void waiting_mark(image *im, uint8_t frame_class) {
  store_frame f;
  int rc = store_first(&im->store, frame_class, &f);
  for (size_t i = 0; rc == 1 && i <= im->frame_count; i++) {
    uint16_t block = state_find(&im->store, f.serial);
    image_frame *there = block == STORE_NONE ? NULL : frame_find(im, block, f.offset);
    if (there != NULL) there->waiting = true;
    rc = store_next(&im->store, &f);
  }
}

static bool carrier_is_durable(void *ctx, uint32_t carrier) {
  return store_was_durable(ctx, carrier);
}

static void losses_read(image *im) {
  uint8_t bytes[STORE_LOSSES_BYTES_MAX];
  int size = store_losses_read(&im->store, bytes, sizeof bytes);
  if (size <= 0) return;
  loss_bytes_read(&im->losses, bytes, (size_t)size, carrier_is_durable, &im->store);
}

static void device_mount(image *im) {
  im->writable = true;
  im->mounted = store_mount(&im->store, &im->flash, im->blocks);
  if (im->mounted != 0) return;
  losses_read(im);
  for (uint8_t c = 0; c < STORE_LOGS; c++) waiting_mark(im, c);
}

/* ---- All together ---------------------------------------------------------------------------- */

bool image_read(image *im, const char *path) {
  *im = (image){.name = path, .mounted = HTEL_E_CLOSED};
  if (!file_load(im) || !header_find(im)) return false;
  if (im->erased) return true;
  if (!memory_make(im) || !blocks_take(im)) return false;
  device_mount(im);
  return true;
}

void image_free(image *im) {
  free(im->bytes);
  free(im->copy);
  free(im->blocks);
  free(im->frames);
  free(im->damages);
}

const char *image_damage_words(uint8_t kind) {
  static const char *const words[IMAGE_DAMAGE_KINDS] = {
      [IMAGE_NO_HEADER] = "no header that can be read: being erased, or damaged",
      [IMAGE_OTHER] = "of another layout or geometry",
      [IMAGE_UNREADABLE] = "no record that can be read",
      [IMAGE_FRAME_BYTES] = "a frame's bytes do not match their checksum",
      [IMAGE_NOTE_BYTES] = "a note's bytes do not match their checksum",
      [IMAGE_RECEIPT] = "receipts that cannot be read: those frames are sent again",
      [IMAGE_LEFTOVERS] = "behind the last record: what a cut left, or damage",
      [IMAGE_REPAIRED] = "single wrong bits, set right by their checksum"};
  return kind < IMAGE_DAMAGE_KINDS ? words[kind] : "";
}

bool image_damage_counts(uint8_t kind) {
  return kind == IMAGE_OTHER || kind == IMAGE_UNREADABLE || kind == IMAGE_FRAME_BYTES ||
         kind == IMAGE_NOTE_BYTES;
}

void image_blocks_get(const image *im, image_blocks *b) {
  *b = (image_blocks){.erases_min = UINT32_MAX};
  uint64_t sum = 0;
  for (uint32_t i = 0; i < im->flash.block_count; i++) {
    const store_block *block = &im->blocks[i];
    sum += block->erases;
    if (block->erases < b->erases_min) b->erases_min = block->erases;
    if (block->erases > b->erases_max) b->erases_max = block->erases;
    switch ((store_state)block->state) {
      case STATE_UNSEEN:
      case STATE_USED: b->used++; break;
      case STATE_DONE: b->done++; break;
      case STATE_BAD: b->bad++; break;
      default: b->free++; break;
    }
  }
  b->erases_mean = (double)sum / im->flash.block_count;
}
