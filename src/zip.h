/* SPDX-License-Identifier: Apache-2.0 */
/* zip.h - a closed batch, made smaller by zlib where zlib does make it smaller.
 *
 * Rice-coded bits do not deflate, but the same residuals as bytes sometimes do (gapped ADC codes,
 * numerics that repeat). So a batch is read back block by block, its residuals are written again as
 * bytes into a deflate stream, and that is kept if it beats the Rice form. zlib's memory comes from
 * an arena: no heap. */
#ifndef HTEL_SRC_ZIP_H
#define HTEL_SRC_ZIP_H

#include "healthtel/healthtel.h"

/* Bytes of arena, aligned for max_align_t: zlib's state at windowBits 9 and memLevel 1, and a
 * little around it. 0 when the library is built without zlib. */
size_t zip_arena_bytes(void);

/* Recodes `size` bytes of blocks, as code_block_encode made them, into `out`. Returns the deflated
 * bytes and sets *inflated_size; or 0 when the result would not be smaller than both `size` and
 * `room`. `out` is then undefined, `blocks` never change. */
size_t zip_blocks(void *arena, size_t arena_bytes, const htel_channel *channels,
                  uint16_t channel_count, const uint8_t *blocks, size_t size, uint8_t *out,
                  size_t room, uint32_t *inflated_size);

#endif
