/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h - what the fuzzers share.
 *
 * Each fuzz_<name>.c has libFuzzer's entry point. Most inputs are small programs: a few bytes of
 * settings, then steps, each an opcode and its operands; where the bytes end all operands are 0.
 * Without libFuzzer fuzz_main.c plays the files of corpus_<name>, so that gcc and every sanitizer
 * see them too. tests/fuzz.sh builds and runs all of it. */
#ifndef HTEL_TESTS_FUZZ_H
#define HTEL_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct fuzz_in {
  const uint8_t *at;
  size_t left;
} fuzz_in;

static inline uint8_t fuzz_u8(fuzz_in *in) {
  if (in->left == 0) return 0;
  in->left--;
  return *in->at++;
}

static inline uint16_t fuzz_u16(fuzz_in *in) {
  unsigned low = fuzz_u8(in);
  return (uint16_t)(low | (unsigned)fuzz_u8(in) << 8);
}

static inline uint32_t fuzz_u32(fuzz_in *in) {
  uint32_t low = fuzz_u16(in);
  return low | (uint32_t)fuzz_u16(in) << 16;
}

static inline uint64_t fuzz_u64(fuzz_in *in) {
  uint64_t low = fuzz_u32(in);
  return low | (uint64_t)fuzz_u32(in) << 32;
}

/* Up to `size` bytes, where they are; how many there were. */
static inline size_t fuzz_bytes(fuzz_in *in, size_t size, const uint8_t **bytes) {
  size_t n = size < in->left ? size : in->left;
  *bytes = in->at;
  in->at += n;
  in->left -= n;
  return n;
}

/* A protobuf message as the input says: an item a byte, fields of any number and type, numbers,
 * texts of any length, messages within (`depth` deep), nearly the same item again up to 15 times.
 * No fuzzer makes lengths agree by itself. Bytes written, at most `room`. */
size_t fuzz_message(fuzz_in *in, uint8_t *to, size_t room, unsigned depth);

#endif
