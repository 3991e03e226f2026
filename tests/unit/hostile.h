/* SPDX-License-Identifier: Apache-2.0 */
/* hostile.h - anything at all, given to the decoders: bodies for tests and for the fuzzers.
 *
 * Each takes any bytes, decodes them in every way there is, and aborts when a decoder says that it
 * went well but its result breaks a promise of decode.h. What was read is also written again and
 * read once more: both readings must be alike. All return 0, as a fuzzer's entry does. */
#ifndef HTEL_TESTS_HOSTILE_H
#define HTEL_TESTS_HOSTILE_H

#include <stddef.h>
#include <stdint.h>

#include "healthtel/decode.h"

int hostile_frame(const uint8_t *bytes, size_t size); /* as a frame, with the checksum put right */
int hostile_data(const uint8_t *bytes, size_t size);  /* as Frame.data or .columns */
int hostile_birth(const uint8_t *bytes, size_t size);
int hostile_receipt(const uint8_t *bytes, size_t size);

/* The readings of `data`, by any birth that was decoded. */
void hostile_read(const htel_birth *birth, uint64_t tick, const uint8_t *data, size_t size);

/* A birth with channels of each kind and of the rates at the ends of what is allowed. */
const htel_birth *hostile_desk(void);

/* Not assert(): it stays in every build, and needs no test program around it. */
#define MUST(what) ((what) ? (void)0 : hostile_broken(#what, __FILE__, __LINE__))
_Noreturn void hostile_broken(const char *what, const char *file, int line);

#endif
