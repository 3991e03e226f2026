/* SPDX-License-Identifier: Apache-2.0 */
/* The flash outbox's log on a simulated flash: what goes in comes out, over mounts, evictions, bad
 * blocks and wear. tests/crash has the power cuts. Each test runs on four geometries. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ports/sim/flash_sim.h"
#include "store.h"
#include "store_format.h"

static const flash_geometry geometries[] = {{"4 KB blocks, 1-byte programs", 4096, 64, 1},
                                            {"64 KB blocks, 8-byte programs", 65536, 16, 8},
                                            {"4 KB blocks, 16-byte programs", 4096, 64, 16},
                                            {"16 KB in all", 4096, 4, 16}};

typedef struct bench {
  flash_sim flash;
  store s;
  store_block blocks[64];
  store_boot boot;
  uint32_t sequence;
  uint8_t bytes[4096];
} bench;

static const uint8_t drop_oldest[HTEL_CLASS_COUNT] = {0};

static void mount(bench *b) {
  assert_int_equal(store_mount(&b->s, &b->flash.port, b->blocks), 0);
}

static void begin(bench *b) {
  mount(b);
  assert_int_equal(store_boot_begin(&b->s, 100, &b->boot), 0);
  b->sequence = 0;
}

static void fill(uint8_t *bytes, uint32_t size, uint64_t boot, uint32_t sequence) {
  for (uint32_t i = 0; i < size; i++) bytes[i] = (uint8_t)(i * 7u + sequence * 13u + boot);
}

static int append(bench *b, uint8_t frame_class, uint32_t size) {
  store_frame f = {.boot = b->boot.number,
                   .sequence = b->sequence + 1u,
                   .readings = 10,
                   .size = size,
                   .tick_first = 1000u * b->sequence,
                   .tick_last = 1000u * b->sequence + 999u,
                   .frame_class = frame_class};
  fill(b->bytes, size, f.boot, f.sequence);
  int rc = store_append(&b->s, &f, b->bytes);
  if (rc == 0) b->sequence++;
  return rc;
}

/* Appends, evicting as the core does. Frames evicted. */
static uint32_t append_anyway(bench *b, uint8_t frame_class, uint32_t size) {
  uint32_t evicted = 0;
  int rc;
  while ((rc = append(b, frame_class, size)) == HTEL_E_FULL) {
    store_frame victim;
    int found = store_victim(&b->s, frame_class, drop_oldest, &victim);
    if (found == 0) return evicted; /* all that is there matters more */
    assert_int_equal(found, 1);
    store_frame f = victim;
    do evicted++;
    while (store_next_in_block(&b->s, &f) == 1);
    assert_int_equal(store_evict(&b->s, &victim, (const uint8_t *)"told", 4), 0);
  }
  assert_int_equal(rc, 0);
  return evicted;
}

static void check_bytes(bench *b, const store_frame *f) {
  uint8_t want[4096], got[4096];
  assert_int_equal(store_check(&b->s, f), 0);
  fill(want, f->size, f->boot, f->sequence);
  assert_int_equal(store_read(&b->s, f, 0, got, f->size), 0);
  assert_memory_equal(want, got, f->size);
}

static uint32_t count(bench *b, uint8_t frame_class) {
  store_frame f;
  uint32_t n = 0;
  uint64_t last = 0;
  for (int rc = store_first(&b->s, frame_class, &f); rc == 1; rc = store_next(&b->s, &f)) {
    uint64_t key = f.boot << 32 | f.sequence;
    assert_true(key > last);
    last = key;
    assert_int_equal(f.frame_class, frame_class);
    assert_int_equal(f.lost, 0);
    check_bytes(b, &f);
    n++;
  }
  return n;
}

static void free_all(bench *b, uint8_t frame_class) {
  store_frame f;
  while (store_first(&b->s, frame_class, &f) == 1) assert_int_equal(store_free(&b->s, &f, 1), 0);
}

/* ---- tests ------------------------------------------------------------------------------- */

static void test_frames_come_back_after_a_mount(bench *b) {
  begin(b);
  assert_int_equal(b->boot.number, 1);
  assert_false(b->boot.unclean);
  for (uint32_t i = 0; i < 9; i++) append_anyway(b, (uint8_t)(i % 3u), 200u + i);
  assert_true(store_persisted(&b->s) < 9);
  assert_int_equal(store_sync(&b->s), 0);
  assert_int_equal(store_persisted(&b->s), 9);
  for (unsigned mounts = 0; mounts < 3; mounts++) {
    for (uint8_t c = 0; c < 3; c++) assert_int_equal(count(b, c), 3);
    mount(b);
  }
}

static void test_boots_are_counted_and_unclean_ones_told(bench *b) {
  begin(b);
  begin(b); /* the first was cut */
  assert_int_equal(b->boot.number, 2);
  assert_true(b->boot.unclean);
  assert_int_equal(b->boot.unclean_first, 1);
  assert_int_equal(b->boot.at_risk, 100);
  begin(b); /* the second told nobody */
  assert_int_equal(b->boot.unclean_first, 1);
  assert_int_equal(b->boot.at_risk, 200);
  assert_int_equal(store_losses_write(&b->s, (const uint8_t *)"1-2", 3, 0), 0);
  begin(b);
  assert_int_equal(b->boot.unclean_first, 3);
  assert_int_equal(b->boot.at_risk, 100);
  assert_int_equal(store_boot_end(&b->s), 0);
  begin(b);
  assert_int_equal(b->boot.number, 5);
  assert_false(b->boot.unclean);
  assert_int_equal(store_boot_end(&b->s), 0);
  append_anyway(b, 1, 100); /* it goes on after all */
  store_sync(&b->s);
  begin(b);
  assert_true(b->boot.unclean);
}

static void test_many_boots_do_not_fill_the_flash(bench *b) {
  for (unsigned i = 1; i <= 500; i++) {
    begin(b);
    assert_int_equal(b->boot.number, i);
    if (i % 3u == 0) assert_int_equal(store_losses_write(&b->s, (uint8_t *)&i, sizeof i, 0), 0);
  }
  unsigned i = 0;
  assert_int_equal(store_losses_read(&b->s, (uint8_t *)&i, sizeof i), sizeof i);
  assert_int_equal(i, 498);
}

static void test_freed_frames_do_not_come_back(bench *b) {
  begin(b);
  for (uint32_t i = 0; i < 8; i++) append_anyway(b, 1, 150);
  store_sync(&b->s);
  store_frame f;
  assert_int_equal(store_first(&b->s, 1, &f), 1);
  assert_int_equal(store_next(&b->s, &f), 1);
  assert_int_equal(store_free(&b->s, &f, 3), 0); /* 2 to 4 */
  assert_int_equal(store_free(&b->s, &f, 2), 0); /* again: nothing */
  assert_int_equal(count(b, 1), 5);
  store_sync(&b->s);
  mount(b);
  assert_int_equal(count(b, 1), 5);
  assert_int_equal(store_first(&b->s, 1, &f), 1);
  assert_int_equal(f.sequence, 1);
  assert_int_equal(store_next(&b->s, &f), 1);
  assert_int_equal(f.sequence, 5);
}

/* In steady use each block is erased again and again, and evenly. */
static void test_wear_is_even(bench *b) {
  begin(b);
  for (uint32_t i = 0; i < 400u * b->flash.geometry.block_count; i++) {
    append_anyway(b, (uint8_t)(i % 8u == 0 ? 0 : i % 2u + 1u), b->flash.geometry.block_bytes / 16u);
    store_sync(&b->s);
    if (i % 5u == 0)
      for (uint8_t c = 0; c < 3; c++) free_all(b, c);
  }
  uint64_t sum = 0;
  uint32_t most = 0;
  for (uint32_t i = 0; i < b->flash.geometry.block_count; i++) {
    sum += b->flash.wear[i];
    if (b->flash.wear[i] > most) most = b->flash.wear[i];
  }
  assert_true(sum > 4u * b->flash.geometry.block_count);
  print_message("most worn: %.2f of the mean\n",
                (double)most * b->flash.geometry.block_count / (double)sum);
  assert_true(most * b->flash.geometry.block_count <= 2u * sum);
}

/* The record of a frame as if it had never been programmed. */
static void unwrite(bench *b, uint32_t block, uint32_t offset, uint32_t size) {
  uint32_t unit = b->flash.geometry.program_bytes;
  uint32_t at = block * b->flash.geometry.block_bytes + offset;
  uint32_t bytes = (32u + size + unit - 1u) / unit * unit;
  memset(b->flash.data + at, 0xFF, bytes);
  memset(b->flash.used + at / unit, 0, bytes / unit);
}

/* A cut has kept frame 4 alone of 2, 3 and 4, and the block does not take the mark that makes the
 * mount see it. It is dropped at once, and does not come to light at a later mount. */
static void test_what_a_mount_did_not_see_stays_unseen(bench *b) {
  if (b->flash.geometry.block_count == STORE_BLOCKS_MIN) return; /* none to move it to */
  begin(b);
  append_anyway(b, 2, 100);
  assert_int_equal(store_sync(&b->s), 0);
  append_anyway(b, 0, 100);
  store_frame alarm;
  assert_int_equal(store_first(&b->s, 0, &alarm), 1);
  unwrite(b, b->s.tails[0].block, alarm.offset, 100);
  uint32_t block = b->s.tails[2].block, offset = b->s.tails[2].end;
  append_anyway(b, 2, 100);
  append_anyway(b, 2, 100);
  unwrite(b, block, offset, 100);
  b->flash.bad[block] = true;
  for (unsigned i = 0; i < 4; i++) {
    begin(b);
    assert_int_equal(count(b, 0), 0);
    assert_int_equal(count(b, 2), 1);
  }
}

static void flip_header(bench *b, uint32_t block) {
  uint64_t bit = 8ull * block * b->flash.geometry.block_bytes;
  flash_sim_flip(&b->flash, bit + 70);
  flash_sim_flip(&b->flash, bit + 101);
}

/* The header of a block rots beyond repair while frames are in it: life goes on without them. */
static void test_a_header_that_rots_stops_nothing(bench *b) {
  if (b->flash.geometry.block_count == STORE_BLOCKS_MIN) return; /* none to spare */
  begin(b);
  uint32_t size = b->flash.geometry.block_bytes / 16u;
  for (uint32_t evicted = 0; evicted < 40;) evicted += append_anyway(b, 2, size);
  store_frame f;
  assert_int_equal(store_first(&b->s, 2, &f), 1);
  uint32_t block = 0;
  while (b->s.blocks[block].serial != f.serial) block++;
  flip_header(b, block);
  mount(b); /* unseen */
  begin(b);
  assert_int_equal(store_first(&b->s, 2, &f), 1);
  block = 0;
  while (b->s.blocks[block].serial != f.serial) block++;
  b->s.look.block = STORE_NONE;
  flip_header(b, block); /* at run time */
  uint32_t serial = f.serial;
  assert_int_equal(store_first(&b->s, 2, &f), 1);
  assert_int_not_equal(f.serial, serial);
  for (uint32_t i = 0; i < 200; i++) append_anyway(b, 2, size);
  assert_int_equal(b->s.stats.blocks_unread, 1);
}

static void test_a_receipt_for_a_block_without_frames_does_nothing(bench *b) {
  begin(b);
  store_frame f = {.serial = b->s.blocks[b->s.tails[0].block].serial};
  assert_int_equal(store_free(&b->s, &f, 1), 0);
  assert_int_equal(store_free(&b->s, &f, 9), 0);
}

/* A frame whose header cannot be read is told of with the next one, until it is freed. */
static void test_frames_that_cannot_be_read_are_told_of(bench *b) {
  begin(b);
  for (uint32_t i = 0; i < 5; i++) {
    append_anyway(b, 1, 100);
    assert_int_equal(store_sync(&b->s), 0); /* each says that those before it were durable */
  }
  store_frame f;
  assert_int_equal(store_first(&b->s, 1, &f), 1);
  assert_int_equal(store_next(&b->s, &f), 1);
  uint32_t block = b->s.tails[1].block;
  b->flash.unread_from = block * b->flash.geometry.block_bytes + f.offset;
  b->flash.unread_to = b->flash.unread_from + 16u;
  for (unsigned i = 0; i < 2; i++) {
    begin(b);
    assert_int_equal(store_first(&b->s, 1, &f), 1);
    assert_int_equal(f.lost, 0);
    assert_int_equal(store_next(&b->s, &f), 1);
    assert_int_equal(f.sequence, 3);
    assert_int_equal(f.lost, 1);
  }
  f.index = (uint16_t)(f.index - f.lost);
  assert_int_equal(store_free(&b->s, &f, f.lost), 0);
  assert_int_equal(store_sync(&b->s), 0);
  mount(b);
  assert_int_equal(count(b, 1), 4); /* which says that none of them is behind a lost one */
}

/* A flash that does not answer for a moment: the mount does without, or says so; nothing goes. */
static void test_an_outage_costs_nothing(bench *b) {
  begin(b);
  for (uint32_t i = 0; i < 12; i++) {
    append_anyway(b, (uint8_t)(i % 3u), 100);
    assert_int_equal(store_sync(&b->s), 0);
  }
  uint64_t before = b->flash.counts.reads;
  mount(b);
  uint64_t reads = b->flash.counts.reads - before;
  uint32_t refused = 0;
  for (uint64_t k = 0; k < reads; k += 1u + k / 64u) {
    static const uint32_t lengths[] = {3, 40, 4000};
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
      b->flash.outage_from = b->flash.counts.reads + 1u + k;
      b->flash.outage_to = b->flash.outage_from + lengths[i];
      int rc = store_mount(&b->s, &b->flash.port, b->blocks);
      b->flash.outage_to = 0;
      if (rc != 0) {
        assert_int_equal(rc, HTEL_E_STORE);
        refused++;
        mount(b);
      }
      for (uint8_t c = 0; c < 3; c++) assert_int_equal(count(b, c), 4);
    }
  }
  assert_true(refused > 0);
}

/* Who walks from frame to frame while the flash does not answer is told so, and neither that there
 * are no more nor that some are lost. */
static void test_an_outage_ends_no_walk(bench *b) {
  begin(b);
  for (uint32_t i = 0; i < 6; i++) append_anyway(b, 1, 100);
  assert_int_equal(store_sync(&b->s), 0);
  uint32_t refused = 0;
  for (uint32_t k = 0; k < 40; k++) {
    for (uint32_t length = 1; length < 2000; length += 1u + length / 4u) {
      store_frame f = {0};
      b->flash.outage_from = b->flash.counts.reads + 1u + k;
      b->flash.outage_to = b->flash.outage_from + length;
      for (uint32_t n = 0, tries = 0; n < 6; tries++) {
        assert_true(tries < 4000);
        store_frame next = f;
        int rc = n == 0 ? store_first(&b->s, 1, &next) : store_next(&b->s, &next);
        if (rc != 1) assert_int_equal(rc, HTEL_E_STORE);
        refused += rc != 1;
        if (rc != 1) continue;
        assert_int_equal(next.lost, 0);
        if (n > 0) assert_int_equal(next.sequence, f.sequence + 1u);
        f = next;
        n++;
      }
      b->flash.outage_to = 0;
    }
  }
  assert_true(refused > 0);
}

/* Numerics fill the flash and stay; waveforms go round in what is left. */
static void test_wear_is_even_beside_old_frames(bench *b) {
  if (b->flash.geometry.block_count < 16) return;
  begin(b);
  uint32_t size = b->flash.geometry.block_bytes / 16u;
  while (store_bytes_used(&b->s) <
         b->flash.geometry.block_count * b->flash.geometry.block_bytes / 10u * 7u)
    append_anyway(b, 1, size);
  for (uint32_t i = 0; i < 800u * b->flash.geometry.block_count; i++) {
    append_anyway(b, 2, size);
    store_sync(&b->s);
  }
  uint64_t sum = 0;
  uint32_t most = 0;
  for (uint32_t i = 0; i < b->flash.geometry.block_count; i++) {
    sum += b->flash.wear[i];
    if (b->flash.wear[i] > most) most = b->flash.wear[i];
  }
  print_message("most worn: %.2f of the mean\n",
                (double)most * b->flash.geometry.block_count / (double)sum);
  assert_true(most * b->flash.geometry.block_count <= 2u * sum);
  assert_true(count(b, 1) > 0);
}

static void test_eviction_takes_waveforms_first(bench *b) {
  begin(b);
  uint32_t size = 1000;
  append_anyway(b, 0, 100);
  append_anyway(b, 1, size);
  while (append(b, 2, size) == 0) store_sync(&b->s);
  uint32_t waves = count(b, 2);
  assert_true(waves > 0);
  store_frame victim;
  assert_int_equal(store_victim(&b->s, 1, drop_oldest, &victim), 1);
  assert_int_equal(victim.frame_class, 2);
  uint8_t refuse[3] = {0, 0, HTEL_REFUSE_NEWEST};
  assert_int_equal(store_victim(&b->s, 2, refuse, &victim), 0);
  uint32_t evicted = append_anyway(b, 2, size);
  assert_true(evicted > 0);
  assert_int_equal(count(b, 2), waves - evicted + 1u);
  assert_int_equal(count(b, 0), 1);
  assert_int_equal(count(b, 1), 1);
  store_sync(&b->s);
  mount(b);
  assert_int_equal(count(b, 2), waves - evicted + 1u);
  char told[8];
  assert_int_equal(store_losses_read(&b->s, (uint8_t *)told, sizeof told), 4);
  assert_memory_equal(told, "told", 4);
}

/* Alarms that fill everything push out all else, then each other. */
static void test_alarms_take_all(bench *b) {
  begin(b);
  for (uint32_t i = 0; i < 3u * b->flash.geometry.block_count * 65536u / 4096u; i++) {
    append_anyway(b, 2, 500);
    append_anyway(b, 0, 1500);
    store_sync(&b->s);
    if (i % 50u == 0) begin(b);
  }
  assert_true(count(b, 0) > 0);
}

static void test_held_blocks_are_spared(bench *b) {
  if (b->flash.geometry.block_count < 16) return;
  begin(b);
  while (append(b, 2, 2000) == 0) store_sync(&b->s);
  store_frame oldest, victim;
  assert_int_equal(store_first(&b->s, 2, &oldest), 1);
  store_hold(&b->s, &oldest, true);
  assert_int_equal(store_victim(&b->s, 2, drop_oldest, &victim), 1);
  assert_true(victim.serial > oldest.serial);
  store_hold(&b->s, &oldest, false);
  assert_int_equal(store_victim(&b->s, 2, drop_oldest, &victim), 1);
  assert_int_equal(victim.serial, oldest.serial);
}

static void test_bad_blocks_are_retired(bench *b) {
  if (b->flash.geometry.block_count < 16) return;
  begin(b);
  for (uint32_t i = 0; i < b->flash.geometry.block_count; i += 5) b->flash.bad[i] = i > 0;
  uint32_t frames = 0;
  while (append(b, (uint8_t)(frames % 2u + 1u), 900) == 0) {
    store_sync(&b->s);
    frames++;
  }
  store_stats stats;
  store_stats_get(&b->s, &stats);
  assert_true(stats.blocks_bad > 0);
  assert_int_equal(count(b, 1) + count(b, 2), frames);
  begin(b);
  assert_int_equal(count(b, 1) + count(b, 2), frames);
}

static void test_foreign_flash_is_left_alone(bench *b) {
  uint8_t text[64];
  memset(text, 'x', sizeof text);
  flash_sim_fill(&b->flash, text, sizeof text);
  assert_int_equal(store_mount(&b->s, &b->flash.port, b->blocks), HTEL_E_FORMAT);
  assert_int_equal(b->flash.counts.programs + b->flash.counts.erases, 0);
}

static void test_other_layouts_are_left_alone(bench *b) {
  begin(b);
  uint8_t header[32];
  uint32_t at = 0;
  for (uint32_t i = 0; i < b->flash.geometry.block_count; i++)
    if (b->flash.data[i * b->flash.geometry.block_bytes] != 0xFF)
      at = i * b->flash.geometry.block_bytes;
  block_header h;
  memcpy(header, b->flash.data + at, sizeof header);
  assert_true(format_header_read(&h, header));
  h.layout = 2;
  format_header_write(&h, header);
  memcpy(b->flash.data + at, header, sizeof header);
  uint64_t programs = b->flash.counts.programs, erases = b->flash.counts.erases;
  assert_int_equal(store_mount(&b->s, &b->flash.port, b->blocks), HTEL_E_VERSION);
  assert_int_equal(b->flash.counts.programs, programs);
  assert_int_equal(b->flash.counts.erases, erases);
}

static void test_a_frame_is_not_made_dearer_than_promised(bench *b) {
  if (b->flash.geometry.block_count < 16) return;
  begin(b);
  for (uint32_t size = 512; size <= 2048; size *= 2) {
    store_stats before, after;
    store_stats_get(&b->s, &before);
    for (unsigned i = 0; i < 1000; i++) {
      append_anyway(b, (uint8_t)(i % 2u + 1u), size);
      store_sync(&b->s);
      free_all(b, (uint8_t)(i % 2u + 1u));
    }
    store_stats_get(&b->s, &after);
    uint64_t programmed = after.program_bytes - before.program_bytes;
    assert_true(10u * programmed <= 11u * 1000u * size + 10u * 24u * 1000u);
    print_message("%u bytes: %.1f programmed, %.3f syncs a frame\n", (unsigned)size,
                  (double)programmed / 1000.0, (after.syncs - before.syncs) / 1000.0);
    assert_true(after.syncs - before.syncs <= 1000);
  }
}

/* 16 MB, full: a mount reads headers and the ends of the logs. */
static void mount_reads_little(const flash_geometry *part, uint32_t size) {
  static store_block blocks[4096];
  bench *b = calloc(1, sizeof *b);
  assert_non_null(b);
  flash_sim_init(&b->flash, part, 1);
  assert_int_equal(store_mount(&b->s, &b->flash.port, blocks), 0);
  assert_int_equal(store_boot_begin(&b->s, 100, &b->boot), 0);
  for (uint32_t i = 0; append(b, (uint8_t)(i % 16u == 0 ? 0 : 1u + i % 2u), size) == 0; i++)
    store_sync(&b->s);
  uint64_t before = b->flash.counts.bytes_read;
  assert_int_equal(store_mount(&b->s, &b->flash.port, blocks), 0);
  uint64_t reads = b->flash.counts.bytes_read - before;
  uint64_t all = (uint64_t)part->block_bytes * part->block_count;
  print_message("mount of %s: %llu bytes read, %.2f %%\n", part->name, (unsigned long long)reads,
                100.0 * (double)reads / (double)all);
  assert_true(50u * reads <= all);
  assert_true(count(b, 1) > 0);
  flash_sim_free(&b->flash);
  free(b);
}

static void test_a_mount_of_16_mb_reads_little(void **state) {
  (void)state;
  static const flash_geometry parts[] = {{"4096 blocks of 4 KB", 4096, 4096, 1},
                                         {"256 blocks of 64 KB", 65536, 256, 16}};
  for (unsigned i = 0; i < 2; i++)
    for (uint32_t size = 300; size <= 2400; size *= 8) mount_reads_little(&parts[i], size);
}

static void test_the_ram_is_as_promised(bench *b) {
  (void)b;
  assert_true(sizeof(store) <= 512);
  assert_int_equal(sizeof(store_block), 8);
}

/* ---- each on each geometry ----------------------------------------------------------------- */

typedef void store_test(bench *b);

static const struct {
  const char *name;
  store_test *run;
} tests[] = {
#define TEST(name) \
  { #name, name }
    TEST(test_frames_come_back_after_a_mount),
    TEST(test_boots_are_counted_and_unclean_ones_told),
    TEST(test_many_boots_do_not_fill_the_flash),
    TEST(test_freed_frames_do_not_come_back),
    TEST(test_what_a_mount_did_not_see_stays_unseen),
    TEST(test_a_header_that_rots_stops_nothing),
    TEST(test_a_receipt_for_a_block_without_frames_does_nothing),
    TEST(test_frames_that_cannot_be_read_are_told_of),
    TEST(test_an_outage_costs_nothing),
    TEST(test_an_outage_ends_no_walk),
    TEST(test_wear_is_even),
    TEST(test_wear_is_even_beside_old_frames),
    TEST(test_eviction_takes_waveforms_first),
    TEST(test_alarms_take_all),
    TEST(test_held_blocks_are_spared),
    TEST(test_bad_blocks_are_retired),
    TEST(test_foreign_flash_is_left_alone),
    TEST(test_other_layouts_are_left_alone),
    TEST(test_a_frame_is_not_made_dearer_than_promised),
    TEST(test_the_ram_is_as_promised)};
enum { TESTS = sizeof tests / sizeof tests[0], GEOMETRIES = 4 };

typedef struct trial {
  store_test *run;
  const flash_geometry *geometry;
} trial;

static void run_trial(void **state) {
  const trial *t = *state;
  bench *b = calloc(1, sizeof *b);
  assert_non_null(b);
  flash_sim_init(&b->flash, t->geometry, 1);
  t->run(b);
  assert_string_equal(b->flash.violation, "");
  flash_sim_free(&b->flash);
  free(b);
}

int main(void) {
  static trial trials[TESTS * GEOMETRIES];
  static struct CMUnitTest list[TESTS * GEOMETRIES + 1];
  static char names[TESTS * GEOMETRIES][96];
  for (unsigned i = 0; i < TESTS * GEOMETRIES; i++) {
    trials[i] = (trial){tests[i / GEOMETRIES].run, &geometries[i % GEOMETRIES]};
    snprintf(names[i], sizeof names[i], "%s: %s", tests[i / GEOMETRIES].name,
             geometries[i % GEOMETRIES].name);
    list[i] =
        (struct CMUnitTest){.name = names[i], .test_func = run_trial, .initial_state = &trials[i]};
  }
  list[TESTS * GEOMETRIES] =
      (struct CMUnitTest)cmocka_unit_test(test_a_mount_of_16_mb_reads_little);
  return _cmocka_run_group_tests("store", list, TESTS * GEOMETRIES + 1, NULL, NULL);
}
