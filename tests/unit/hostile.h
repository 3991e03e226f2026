/* SPDX-License-Identifier: Apache-2.0 */
/* hostile.h - anything at all, given to the decoders: bodies for tests and for a fuzzer.
 *
 * Each takes any bytes, decodes them in every way there is, and aborts when a decoder says that it
 * went well but its result breaks a promise of decode.h. All return 0, as a fuzzer's entry does. */
#ifndef HTEL_TESTS_HOSTILE_H
#define HTEL_TESTS_HOSTILE_H

#include <stddef.h>
#include <stdint.h>

int hostile_frame(const uint8_t *bytes, size_t size); /* as a frame, with the checksum put right */
int hostile_data(const uint8_t *bytes, size_t size);  /* as Frame.data, stored and deflated */
int hostile_birth(const uint8_t *bytes, size_t size);
int hostile_receipt(const uint8_t *bytes, size_t size);

#endif
