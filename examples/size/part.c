/* SPDX-License-Identifier: Apache-2.0 */
#include "part.h"

#include <stdalign.h>
#include <string.h>
#include <strings.h>

#include "client.h"
#include "model.h"
#include "store.h"
#include "zip.h"

static const target targets[] = {
#include "targets.inc"
};

static target host = {.name = "host", .title = "this machine"};

/* KB of 1,024 bytes; RAM that software can use as it likes. */
static const part parts[] = {
    {"stm32l476rg", "m4", 128, 1024, "ST DS10198: 96 KB SRAM1 + 32 KB SRAM2, 1 MB flash"},
    {"stm32l432kc", "m4", 64, 256, "ST DS11451: 64 KB SRAM, 256 KB flash"},
    {"stm32l4r5zi", "m4", 640, 2048, "ST DS12023: 640 KB SRAM, 2 MB flash"},
    {"stm32g0b1re", "m0", 144, 512, "ST DS13560: 144 KB SRAM (128 with parity), 512 KB flash"},
    {"stm32l072cz", "m0", 20, 192, "ST DS10685: 20 KB SRAM, 192 KB flash"},
    {"nrf52832", "m4", 64, 512, "Nordic nRF52832 PS, 'Memory', variant AA"},
    {"nrf52840", "m4", 256, 1024, "Nordic nRF52840 PS, 'Memory'"},
    {"rp2040", "m0", 264, 2048, "RP2040 datasheet, 264 KB SRAM; flash is outside: 2 MB on a Pico"},
    {"esp32-c3", "rv32", 400, 4096,
     "Espressif ESP32-C3 datasheet: 400 KB SRAM, 16 of it cache (Wi-Fi takes its share); FH4: 4 MB "
     "flash"},
    {"lm3s6965", "m4", 64, 256, "TI LM3S6965 data sheet: 64 KB SRAM, 256 KB flash; Cortex-M3"},
};

static int paper_read(void *ctx, uint32_t address, uint8_t *buf, size_t size) {
  (void)ctx, (void)address, (void)buf, (void)size;
  return HTEL_E_STORE;
}

static int paper_program(void *ctx, uint32_t address, const uint8_t *buf, size_t size) {
  (void)ctx, (void)address, (void)buf, (void)size;
  return HTEL_E_STORE;
}

static int paper_erase(void *ctx, uint32_t block) {
  (void)ctx, (void)block;
  return HTEL_E_STORE;
}

static int paper_sync(void *ctx) {
  (void)ctx;
  return HTEL_E_STORE;
}

htel_flash part_flash(uint32_t block_bytes, uint32_t block_count, uint32_t program_bytes) {
  return (htel_flash){.block_bytes = block_bytes,
                      .block_count = block_count,
                      .program_bytes = program_bytes,
                      .read = paper_read,
                      .program = paper_program,
                      .erase = paper_erase,
                      .sync = paper_sync};
}

/* The struct is outbox_flash.c's own: what its arena takes beside what is known of it. */
static uint32_t flash_box_bytes(void) {
  enum { BLOCKS = 4, FRAME = 512, ENTRIES = 1024 };
  const htel_flash flash = part_flash(4096, BLOCKS, 1);
  const htel_config config = {.outbox = {.bytes = ENTRIES, .flash = &flash}};
  uint32_t bytes = 0;
  (void)htel_outbox_on_flash.check(&config, FRAME, &bytes);
  return bytes == 0 ? 0 : bytes - BLOCKS * (uint32_t)sizeof(store_block) - FRAME - ENTRIES;
}

static const target *host_measured(void) {
  host.state = (target_state){.align = alignof(max_align_t),
                              .best = (uint32_t)model_writer_bytes(),
                              .channel = sizeof(channel_state),
                              .client = sizeof(htel),
                              .column = sizeof(batch_column),
                              .flash_block = sizeof(store_block),
                              .flash_box = flash_box_bytes(),
                              .outbox_entry = sizeof(outbox_entry),
                              .ring = sizeof(ring),
                              .zlib = (uint32_t)zip_arena_bytes()};
  return &host;
}

const target *target_at(unsigned i) {
  unsigned count = sizeof targets / sizeof *targets;
  return i < count ? &targets[i] : i == count ? host_measured() : NULL;
}

const target *target_find(const char *name) {
  const target *t;
  for (unsigned i = 0; (t = target_at(i)) != NULL; i++)
    if (strcmp(t->name, name) == 0) return t;
  return NULL;
}

const part *part_at(unsigned i) {
  return i < sizeof parts / sizeof *parts ? &parts[i] : NULL;
}

const part *part_find(const char *name) {
  for (unsigned i = 0; part_at(i) != NULL; i++)
    if (strcasecmp(parts[i].name, name) == 0) return &parts[i];
  return NULL;
}
