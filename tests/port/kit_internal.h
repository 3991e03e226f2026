/* SPDX-License-Identifier: Apache-2.0 */
/* kit_internal.h - what the kit's files share. A check is a function that passes unless it calls
 * kit_fail(); the first words count. */
#ifndef HTEL_TESTS_PORT_KIT_INTERNAL_H
#define HTEL_TESTS_PORT_KIT_INTERNAL_H

#include "kit.h"
#include "peer.h"

#define KIT_WORDS_MAX 240u
#define KIT_SCRATCH_BYTES 4096u /* of the caller's memory */
#define KIT_SPINS_MAX 5000000u  /* turns of a loop that waits for the clock */

/* What a run leaves in block 0 for the next one. */
#define KIT_NOTE_BYTES 64u
typedef struct kit_note {
  uint32_t magic, run; /* block 1 is filled with kit_pattern(address, run) */
  uint8_t random[16];
  uint64_t boot;          /* number that boot_begin() gave last; 0: none */
  uint64_t unclean_first; /* what the next boot must report */
  uint32_t spare, crc;
} kit_note;

enum { NET_OPEN, NET_STEP, NET_READ, NET_WRITE, NET_CLOSE, NET_CALLS };

typedef struct kit {
  const kit_config *config;
  const htel_port *port;
  const htel_flash *flash;
  const htel_mqtt_transport *net;
  uint8_t *scratch;   /* KIT_SCRATCH_BYTES */
  bool clock_works;   /* waiting for it makes sense */
  bool flash_broken;  /* the checks that stand on it are not made */
  bool flash_failed;  /* a check of it: no outbox is tried on it */
  bool net_broken;    /* the peer was not reached */
  htel_stream stream; /* of the connection under way */
  uint32_t net_longest_ms[NET_CALLS];
  bool note_found; /* an earlier run left `before` */
  kit_note before, now;
  kit_outcome outcome; /* of the check under way */
  char words[KIT_WORDS_MAX];
} kit;

typedef struct kit_check {
  const char *name, *section;
  void (*run)(kit *k);
} kit_check;

extern const kit_check kit_clock_checks[], kit_random_checks[], kit_boot_checks[],
    kit_flash_checks[], kit_net_checks[], kit_client_checks[]; /* each ends with a NULL name */

/* Words: %s, %u (unsigned), %d (int) and %x (unsigned) only. kit_say() adds to those of a pass. */
void kit_fail(kit *k, const char *words, ...) __attribute__((format(printf, 2, 3)));
void kit_skip(kit *k, const char *words, ...) __attribute__((format(printf, 2, 3)));
void kit_say(kit *k, const char *words, ...) __attribute__((format(printf, 2, 3)));
bool kit_failed(const kit *k);
/* Skips the check where the clock stands. */
bool kit_needs_clock(kit *k);

/* Fails the check where `rc` is neither 0 nor a negative error; says "not filled in" for the
 * template's HTEL_E_PORT. True: it is 0. */
bool kit_returned(kit *k, const char *function, int rc);

uint32_t kit_ms(const kit *k);
/* Waits by the product's own wait(), or by looking at the clock. */
void kit_wait(kit *k, uint32_t ms);
/* kit_wait() until `ms` are over, whatever wakes it; returns at once where the clock stands. */
void kit_pause(kit *k, uint32_t ms);

/* One round trip to the peer for its clock (kit_net.c): true, its clock and how long it took. */
bool kit_peer_clock_open(kit *k);
bool kit_peer_clock(kit *k, uint32_t *ms, uint32_t *round_ms);
void kit_net_hang_up(kit *k);

/* The note on the flash, at the beginning and the end of a run (kit_note.c). */
void kit_note_read(kit *k);
void kit_note_write(kit *k);
/* Skips a check for want of the note; `value` can then be compared by hand. */
void kit_no_note(kit *k, const char *what, uint32_t value);
/* What block 1 is filled with by run `seed`. */
uint8_t kit_pattern(uint32_t address, uint32_t seed);
/* What is wrong with the geometry, or NULL. */
const char *kit_flash_fault(const htel_flash *flash);

#endif
