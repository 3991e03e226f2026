/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h - memory for zlib out of a piece that the caller owns: no heap.
 *
 * Pieces are taken one after another and never given back; when the work is done the arena is
 * simply forgotten, so deflateEnd() and inflateEnd() need not be called. When it is used up
 * zlib gets NULL, which it reports as Z_MEM_ERROR. */
#ifndef HTEL_SRC_ARENA_H
#define HTEL_SRC_ARENA_H

#include <zconf.h>

#include <stddef.h>
#include <stdint.h>

#define ARENA_ALIGN 8u /* zlib keeps pointers and long integers, nothing wider */

typedef struct arena {
  uint8_t *at; /* aligned to ARENA_ALIGN */
  size_t left;
} arena;

/* For z_stream.zalloc and zfree; z_stream.opaque is the arena. */
static inline voidpf arena_zalloc(voidpf opaque, uInt items, uInt size) {
  arena *memory = (arena *)opaque;
  if (size != 0 && items > (UINT32_MAX - ARENA_ALIGN) / size) return NULL;
  size_t bytes = ((size_t)items * size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
  if (bytes > memory->left) return NULL;
  uint8_t *piece = memory->at;
  memory->at += bytes;
  memory->left -= bytes;
  return piece;
}

static inline void arena_zfree(voidpf opaque, voidpf address) {
  (void)opaque;
  (void)address;
}

#endif
