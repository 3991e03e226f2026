/* SPDX-License-Identifier: Apache-2.0 */
/* kit_random.c - random(): fills what it is given, gives something else each time and each boot.
 * Whether the bytes are unpredictable no test can say: that is the part's manual's business. */
#include <string.h>

#include "kit_internal.h"

#define DRAWS 16u
#define DRAW_BYTES_MAX 37u
#define GUARD 8u
#define GUARD_BYTE 0x5Au
#define STREAM_BYTES 1024u
#define ONES_OFF_MAX 320u /* 7 sigma of 8192 coins */
#define SAME_MAX 40u      /* of 1023, where 4 are to be expected */

static const char random_section[] = "Random";

static bool draw(kit *k, uint8_t *bytes, size_t size) {
  return kit_returned(k, "random()", k->port->random(k->port->ctx, bytes, size));
}

static bool is_blank(const uint8_t *bytes, size_t size, uint8_t with) {
  for (size_t i = 0; i < size; i++)
    if (bytes[i] != with) return false;
  return true;
}

/* Sizes that are no whole words: each byte must change in some draw, none beyond may. */
static void check_fills(kit *k) {
  static const size_t sizes[] = {1, 2, 3, 5, 8, 13, 31, DRAW_BYTES_MAX};
  uint8_t bytes[DRAW_BYTES_MAX + GUARD];
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
    bool changed[DRAW_BYTES_MAX] = {false};
    for (unsigned i = 0; i < DRAWS; i++) {
      uint8_t blank = (i & 1u) != 0 ? 0x00 : 0xFF;
      memset(bytes, blank, sizes[s]);
      memset(bytes + sizes[s], GUARD_BYTE, GUARD);
      if (!draw(k, bytes, sizes[s])) return;
      if (!is_blank(bytes + sizes[s], GUARD, GUARD_BYTE))
        kit_fail(k, "random() of %u bytes wrote beyond their end: does it write whole words?",
                 (unsigned)sizes[s]);
      for (size_t b = 0; b < sizes[s]; b++)
        if (bytes[b] != blank) changed[b] = true;
    }
    for (size_t b = 0; b < sizes[s]; b++)
      if (!changed[b])
        kit_fail(k, "random() of %u bytes leaves byte %u as it was: does it fill whole words only?",
                 (unsigned)sizes[s], (unsigned)b);
  }
}

static void check_repeats(kit *k) {
  uint8_t all[DRAWS][16];
  for (unsigned i = 0; i < DRAWS; i++)
    if (!draw(k, all[i], sizeof all[i])) return;
  for (unsigned i = 1; i < DRAWS; i++)
    for (unsigned j = 0; j < i; j++)
      if (memcmp(all[i], all[j], sizeof all[i]) == 0)
        kit_fail(k,
                 "calls %u and %u of random() gave the same 16 bytes: a generator that is "
                 "seeded anew each time, or read faster than it makes new words",
                 j + 1, i + 1);
}

static void check_balance(kit *k) {
  uint8_t *bytes = k->scratch;
  uint16_t same[256] = {0};
  for (size_t at = 0; at < STREAM_BYTES; at += 32)
    if (!draw(k, bytes + at, 32)) return;
  unsigned ones = 0;
  for (size_t i = 0; i < STREAM_BYTES; i++)
    for (unsigned bit = 0; bit < 8; bit++) ones += (unsigned)bytes[i] >> bit & 1u;
  unsigned off = ones > 4096u ? ones - 4096u : 4096u - ones;
  if (off > ONES_OFF_MAX)
    kit_fail(k,
             "%u of 8192 bits are ones, 4096 are to be expected: no generator, or one that is "
             "not running",
             ones);
  for (size_t i = 1; i < STREAM_BYTES; i++) same[(uint8_t)(bytes[i] - bytes[i - 1])]++;
  for (unsigned d = 0; d < 256; d++)
    if (same[d] > SAME_MAX)
      kit_fail(k, "%u of 1023 bytes are their neighbour plus %u: a counter, not random", same[d],
               d);
}

/* The first bytes of this boot, beside those of the last. */
static void check_boots(kit *k) {
  if (!draw(k, k->now.random, sizeof k->now.random)) return;
  if (!k->note_found) {
    kit_no_note(k, "the first bytes of this boot", peer_number_read(k->now.random));
    return;
  }
  if (memcmp(k->now.random, k->before.random, sizeof k->now.random) == 0)
    kit_fail(k,
             "random() begins with the same bytes after a reset: it has no entropy. TLS keys "
             "and boot numbers would repeat: use the part's TRNG, or a secret seed in flash that "
             "is renewed before use");
}

/* First of all, so that the draw is that of a fresh boot. */
const kit_check kit_random_checks[] = {{"random.boots", random_section, check_boots},
                                       {"random.fills", random_section, check_fills},
                                       {"random.repeats", random_section, check_repeats},
                                       {"random.balance", random_section, check_balance},
                                       {NULL, NULL, NULL}};
