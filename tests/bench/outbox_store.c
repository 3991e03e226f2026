/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "htel_posix.h"
#include "outbox.h"
#include "store.h"

#define READINGS 100u     /* said of each frame */
#define LOSSES_BYTES 104u /* a ledger of two entries, as it is while frames are pushed out */
#define PATH_BYTES 512u

static int fail(const char *what, int error) {
  fprintf(stderr, "htel-bench: outbox: %s: %s\n", what, htel_strerror(error));
  return -1;
}

/* ---- Flash in memory, which counts ----------------------------------------------------------- */

typedef struct ram {
  htel_flash flash;
  uint8_t *bytes;
  uint64_t reads, read_bytes;
  outbox_cost cost;
} ram;

static int ram_read(void *ctx, uint32_t address, uint8_t *buf, size_t size) {
  ram *r = ctx;
  r->reads++;
  r->read_bytes += size;
  memcpy(buf, r->bytes + address, size);
  return 0;
}

static int ram_program(void *ctx, uint32_t address, const uint8_t *buf, size_t size) {
  ram *r = ctx;
  r->cost.programs++;
  r->cost.program_bytes += size;
  memcpy(r->bytes + address, buf, size);
  return 0;
}

static int ram_erase(void *ctx, uint32_t block) {
  ram *r = ctx;
  r->cost.erases++;
  memset(r->bytes + block * r->flash.block_bytes, 0xFF, r->flash.block_bytes);
  return 0;
}

static int ram_sync(void *ctx) {
  ram *r = ctx;
  r->cost.syncs++;
  return 0;
}

/* ---- A device's store --------------------------------------------------------------------------
 */

typedef struct device {
  const outbox_frames *frames;
  store store;
  store_block *blocks;
  store_frame window[OUTBOX_WINDOW + OUTBOX_RECEIPT]; /* without receipt, oldest first */
  unsigned waiting;
  uint32_t sequence;
  ram ram;
} device;

static void device_free(device *d) {
  if (d == NULL) return;
  free(d->blocks);
  free(d->ram.bytes);
  free(d);
}

static int device_begin(device *d, const htel_flash *flash) {
  store_boot boot;
  int rc = store_mount(&d->store, flash, d->blocks);
  if (rc == 0) rc = store_boot_begin(&d->store, 0, &boot);
  return rc == 0 ? 0 : fail("mount", rc);
}

static device *device_make(const outbox_geometry *g, const outbox_frames *frames) {
  device *d = calloc(1, sizeof *d);
  if (d == NULL) return NULL;
  d->frames = frames;
  d->ram.bytes = malloc(g->bytes);
  d->blocks = calloc(g->bytes / g->block_bytes, sizeof *d->blocks);
  if (d->ram.bytes == NULL || d->blocks == NULL) {
    device_free(d);
    return NULL;
  }
  memset(d->ram.bytes, 0xFF, g->bytes);
  d->ram.flash = (htel_flash){.ctx = &d->ram,
                              .block_bytes = g->block_bytes,
                              .block_count = g->bytes / g->block_bytes,
                              .program_bytes = g->program_bytes,
                              .read = ram_read,
                              .program = ram_program,
                              .erase = ram_erase,
                              .sync = ram_sync};
  return d;
}

/* Of sixteen frames one is of alarms, three of numerics, the rest of waveforms. */
static uint8_t class_of(uint32_t number) {
  if (number % 16u == 0) return HTEL_CLASS_ALARM;
  return number % 5u == 0 ? HTEL_CLASS_NUMERIC : HTEL_CLASS_WAVEFORM;
}

static int append(device *d, store_frame *f, const uint8_t *bytes, uint32_t size) {
  *f = (store_frame){.boot = d->store.boot,
                     .tick_first = d->sequence * 1000ull,
                     .tick_last = d->sequence * 1000ull + 999u,
                     .sequence = d->sequence + 1u,
                     .readings = READINGS,
                     .size = size,
                     .frame_class = class_of(d->sequence)};
  int rc = store_append(&d->store, f, bytes);
  if (rc == 0) d->sequence++;
  return rc;
}

static int append_next(device *d, store_frame *f) {
  unsigned i = d->sequence % OUTBOX_FRAMES;
  int rc = append(d, f, d->frames->bytes[i], d->frames->sizes[i]);
  if (rc == 0) d->ram.cost.frames++;
  if (rc == 0) d->ram.cost.payload_bytes += d->frames->sizes[i];
  return rc;
}

/* The oldest frames of the window: those of a class that follow each other in a block as one
 * range, as the core does it. */
static int receipt(device *d) {
  store_frame run[HTEL_CLASS_COUNT];
  uint16_t counts[HTEL_CLASS_COUNT] = {0};
  int rc = 0;
  for (unsigned i = 0; rc == 0 && i < OUTBOX_RECEIPT; i++) {
    const store_frame *f = &d->window[i];
    unsigned c = f->frame_class;
    if (counts[c] > 0 && f->serial == run[c].serial && f->index == run[c].index + counts[c]) {
      counts[c]++;
      continue;
    }
    if (counts[c] > 0) rc = store_free(&d->store, &run[c], counts[c]);
    run[c] = *f;
    counts[c] = 1;
  }
  for (unsigned c = 0; rc == 0 && c < HTEL_CLASS_COUNT; c++)
    if (counts[c] > 0) rc = store_free(&d->store, &run[c], counts[c]);
  d->waiting -= OUTBOX_RECEIPT;
  memmove(d->window, d->window + OUTBOX_RECEIPT, d->waiting * sizeof d->window[0]);
  return rc;
}

/* One frame of a device that is online. */
static int live(device *d, const uint8_t *bytes, uint32_t size, uint32_t group) {
  store_frame f;
  if (d->waiting >= OUTBOX_WINDOW) {
    int rc = receipt(d);
    if (rc != 0) return rc;
  }
  int rc = bytes == NULL ? append_next(d, &f) : append(d, &f, bytes, size);
  if (rc != 0) return rc;
  d->window[d->waiting++] = f;
  return d->sequence % group == 0 ? store_sync(&d->store) : 0;
}

int outbox_store_steady(const outbox_geometry *g, const outbox_frames *frames, uint32_t group,
                        outbox_cost *cost) {
  device *d = device_make(g, frames);
  if (d == NULL) return fail("memory", HTEL_E_MEMORY);
  int rc = device_begin(d, &d->ram.flash);
  if (rc == 0) {
    d->ram.cost = (outbox_cost){0};
    while (rc == 0 && d->ram.cost.payload_bytes < 2ull * g->bytes) rc = live(d, NULL, 0, group);
    if (rc != 0) rc = fail("a frame", rc);
  }
  *cost = d->ram.cost;
  device_free(d);
  return rc;
}

/* ---- A full store ------------------------------------------------------------------------------
 */

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int fill(device *d) {
  store_frame f;
  int rc;
  while ((rc = append_next(d, &f)) == 0) {
    rc = store_sync(&d->store);
    if (rc != 0) return rc;
  }
  return rc == HTEL_E_FULL ? 0 : rc;
}

/* With the ledger that a device would write. */
static int evict(device *d, uint8_t frame_class) {
  static const uint8_t drop_oldest[HTEL_CLASS_COUNT] = {0};
  static const uint8_t losses[LOSSES_BYTES] = {1};
  store_frame victim;
  int rc = store_victim(&d->store, frame_class, drop_oldest, &victim);
  if (rc != 1) return rc < 0 ? rc : HTEL_E_FULL;
  return store_evict(&d->store, &victim, losses, sizeof losses);
}

static int overflow(device *d, uint64_t frames) {
  store_frame f;
  int rc = 0;
  while (rc == 0 && d->ram.cost.frames < frames) {
    rc = append_next(d, &f);
    if (rc == 0) rc = store_sync(&d->store);
    if (rc == HTEL_E_FULL) rc = evict(d, class_of(d->sequence));
  }
  return rc;
}

int outbox_store_full(const outbox_geometry *g, const outbox_frames *frames, outbox_mount *mount,
                      outbox_cost *cost) {
  device *d = device_make(g, frames);
  if (d == NULL) return fail("memory", HTEL_E_MEMORY);
  int rc = device_begin(d, &d->ram.flash);
  if (rc == 0) {
    d->ram.cost = (outbox_cost){0};
    rc = fill(d);
    if (rc != 0) rc = fail("filling", rc);
  }
  *mount = (outbox_mount){.frames = d->ram.cost.frames, .payload_bytes = d->ram.cost.payload_bytes};
  if (rc == 0) {
    d->ram.reads = d->ram.read_bytes = 0;
    double begun = now_ms();
    rc = store_mount(&d->store, &d->ram.flash, d->blocks);
    mount->ms = now_ms() - begun;
    mount->reads = d->ram.reads;
    mount->read_bytes = d->ram.read_bytes;
    store_boot boot;
    while (rc == 0 && (rc = store_boot_begin(&d->store, 0, &boot)) == HTEL_E_FULL)
      rc = evict(d, HTEL_CLASS_ALARM);
    if (rc != 0) rc = fail("mounting a full store", rc);
  }
  if (rc == 0) {
    d->ram.cost = (outbox_cost){0};
    d->sequence = 0;
    rc = overflow(d, mount->frames);
    if (rc != 0) rc = fail("pushing the oldest out", rc);
  }
  *cost = d->ram.cost;
  device_free(d);
  return rc;
}

/* ---- In a file ---------------------------------------------------------------------------------
 */

typedef struct file_sink {
  device device;
  htel_posix_flash file;
  uint32_t group;
  char path[PATH_BYTES];
} file_sink;

static int file_put(outbox_sink *sink, uint32_t number, const uint8_t *bytes, uint32_t size) {
  file_sink *self = sink->ctx;
  (void)number;
  int rc = live(&self->device, bytes, size, self->group);
  return rc == 0 ? 0 : fail(self->path, rc);
}

static void file_close(outbox_sink *sink) {
  file_sink *self = sink->ctx;
  char lock[PATH_BYTES + 8];
  htel_posix_flash_close(&self->file);
  snprintf(lock, sizeof lock, "%s.lock", self->path);
  unlink(lock);
  unlink(self->path);
  free(self->device.blocks);
  free(self);
}

int outbox_store_sink(outbox_sink *sink, const char *directory, const outbox_geometry *g,
                      uint32_t group) {
  file_sink *self = calloc(1, sizeof *self);
  if (self == NULL) return fail("memory", HTEL_E_MEMORY);
  *sink = (outbox_sink){.ctx = self, .put = file_put, .close = file_close};
  self->group = group;
  snprintf(self->path, sizeof self->path, "%s/htel-bench-%ld.store", directory, (long)getpid());
  int rc =
      htel_posix_flash_open(&self->file, self->path, g->bytes, g->block_bytes, g->program_bytes);
  if (rc != 0) fprintf(stderr, "htel-bench: %s: %s\n", self->path, self->file.why);
  self->device.blocks = calloc(g->bytes / g->block_bytes, sizeof *self->device.blocks);
  if (rc == 0 && self->device.blocks != NULL) rc = device_begin(&self->device, &self->file.flash);
  if (rc == 0 && self->device.blocks != NULL) return 0;
  file_close(sink);
  return -1;
}
