/* SPDX-License-Identifier: Apache-2.0 */
/* kit_note.c - what a run leaves on the flash for the next: a note in block 0, and block 1 full of
 * a pattern that the note names. */
#include <string.h>

#include "healthtel/decode.h"
#include "kit_internal.h"

#define NOTE_MAGIC 0x4B49544Eu
#define PIECE 256u

_Static_assert(sizeof(kit_note) <= KIT_NOTE_BYTES, "the note has room to be padded");

uint8_t kit_pattern(uint32_t address, uint32_t seed) {
  uint32_t x = (address + 1u) * 2654435761u ^ seed * 40503u; /* no two blocks alike */
  return (uint8_t)(x >> 24 ^ x >> 11);
}

static bool is_power_of_2(uint32_t n) {
  return n != 0 && (n & (n - 1u)) == 0;
}

const char *kit_flash_fault(const htel_flash *f) {
  if (!is_power_of_2(f->block_bytes) || f->block_bytes < 4096u || f->block_bytes > 65536u)
    return "block_bytes must be a power of two, 4096 to 65536: several small pages of the part may "
           "make one block";
  if (f->block_count < 4u || f->block_count > 4096u) return "block_count must be 4 to 4096";
  if ((uint64_t)f->block_bytes * f->block_count > 16777216u) return "there may be 16 MiB at most";
  if (!is_power_of_2(f->program_bytes) || f->program_bytes > 16u)
    return "program_bytes must be a power of two, 1 to 16";
  if (f->read == NULL || f->program == NULL || f->erase == NULL || f->sync == NULL)
    return "read, program, erase and sync must all be there";
  return NULL;
}

static uint32_t note_crc(const kit_note *note) {
  return htel_crc32(0, note, offsetof(kit_note, crc));
}

void kit_note_read(kit *k) {
  const htel_flash *f = k->flash;
  kit_note note;
  if (f == NULL || kit_flash_fault(f) != NULL) return;
  if (f->read(f->ctx, 0, (uint8_t *)&note, sizeof note) != 0) return;
  if (note.magic != NOTE_MAGIC || note.crc != note_crc(&note)) return;
  k->before = note;
  k->now = note;
  k->note_found = true;
}

static bool fill(kit *k) {
  const htel_flash *f = k->flash;
  for (uint32_t at = f->block_bytes; at < 2u * f->block_bytes; at += PIECE) {
    for (uint32_t i = 0; i < PIECE; i++) k->scratch[i] = kit_pattern(at + i, k->now.run);
    if (f->program(f->ctx, at, k->scratch, PIECE) != 0) return false;
  }
  return true;
}

/* One more boot, that nobody ends: the first of the next run must know of it. */
static void boot_leave(kit *k) {
  htel_boot boot = {0};
  k->now.boot = 0;
  if (k->port->boot_begin == NULL || k->port->boot_begin(k->port->ctx, &boot) != 0) return;
  k->now.boot = boot.number;
  k->now.unclean_first = boot.unclean ? boot.unclean_first : boot.number;
}

void kit_no_note(kit *k, const char *what, uint32_t value) {
  if (k->flash == NULL)
    kit_skip(k, "there is no flash to keep a note on: reset, run again and compare %s, 0x%x", what,
             (unsigned)value);
  else
    kit_skip(k, "no note of an earlier run: reset the device and run again (%s: 0x%x)", what,
             (unsigned)value);
}

/* What fails here has failed in a check before. A run of a few checks only keeps a note up that is
 * there, since the boot number goes on. */
void kit_note_write(kit *k) {
  const htel_flash *f = k->flash;
  if (f == NULL || kit_flash_fault(f) != NULL || (k->config->only != NULL && !k->note_found))
    return;
  boot_leave(k);
  k->now.magic = NOTE_MAGIC;
  k->now.run++;
  k->now.spare = 0;
  k->now.crc = note_crc(&k->now);
  if (f->erase(f->ctx, 0) != 0 || f->erase(f->ctx, 1) != 0 || !fill(k)) return;
  memset(k->scratch, 0xFF, KIT_NOTE_BYTES);
  memcpy(k->scratch, &k->now, sizeof k->now);
  if (f->program(f->ctx, 0, k->scratch, KIT_NOTE_BYTES) == 0) (void)f->sync(f->ctx);
}
