/* SPDX-License-Identifier: Apache-2.0 */
/* outbox.h - htel-bench outbox: what the outbox on flash costs.
 *
 *     outbox.c         what is measured, and bars
 *     outbox_frames.c  real frames: a recording through the whole client
 *     outbox_store.c   them into a store, in memory that counts or in a file
 *     outbox_sqlite.c  them into SQLite, as an application would do instead
 */
#ifndef HTEL_TESTS_BENCH_OUTBOX_H
#define HTEL_TESTS_BENCH_OUTBOX_H

#include "healthtel/healthtel.h"

#define OUTBOX_FRAMES 64u /* different ones, used over and over */
#define OUTBOX_FRAME_BYTES_MAX 8192u
#define OUTBOX_RECEIPT 16u /* frames in one receipt */
#define OUTBOX_WINDOW 64u  /* frames without receipt at most, while the ingest is there */

typedef struct outbox_frames {
  uint32_t sizes[OUTBOX_FRAMES];
  uint32_t mean;
  uint8_t bytes[OUTBOX_FRAMES][OUTBOX_FRAME_BYTES_MAX];
} outbox_frames;

/* Frames of `bytes_min` to `bytes_max`, from the recording's first channel. 0, or -1 with a message
 * on stderr. */
int outbox_frames_make(outbox_frames *frames, const char *recording, uint32_t bytes_min,
                       uint32_t bytes_max);

typedef struct outbox_geometry {
  uint32_t bytes, block_bytes, program_bytes;
} outbox_geometry;

typedef struct outbox_cost {
  uint64_t frames, payload_bytes;
  uint64_t program_bytes, programs, syncs, erases;
} outbox_cost;

typedef struct outbox_mount {
  uint64_t frames, payload_bytes; /* in the full store */
  uint64_t read_bytes, reads;
  double ms;
} outbox_mount;

/* Twice as many frames as the store has room for, a sync every `group`; they are receipted as they
 * are while the ingest is there. All functions: 0, or -1 with a message on stderr. */
int outbox_store_steady(const outbox_geometry *g, const outbox_frames *frames, uint32_t group,
                        outbox_cost *cost);
/* Fills a store until it takes no more, mounts it, and then as many frames again, which push the
 * oldest out. */
int outbox_store_full(const outbox_geometry *g, const outbox_frames *frames, outbox_mount *mount,
                      outbox_cost *overflow);

/* Something that takes frames durably, one after the other. */
typedef struct outbox_sink outbox_sink;
struct outbox_sink {
  void *ctx;
  int (*put)(outbox_sink *self, uint32_t number, const uint8_t *bytes, uint32_t size);
  void (*close)(outbox_sink *self);
};

/* Files in `directory`, removed on close. Durable at every `group` frames. */
int outbox_store_sink(outbox_sink *sink, const char *directory, const outbox_geometry *g,
                      uint32_t group);
int outbox_sqlite_sink(outbox_sink *sink, const char *directory, uint32_t group);

/* htel-bench outbox ...; its exit status. */
int outbox_main(int argc, char **argv, const char *recording);

#endif
