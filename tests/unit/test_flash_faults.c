/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox on flash where things go wrong: reads, syncs and bits that fail, frames put aside by
 * the ingest, resets in between. What is lost is told of, once; what is not lost is delivered. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "../../ports/sim/flash_sim.h"
#include "fake.h"
#include "loss_join.h"
#include "store.h"

enum { PULSE, ECG, ALARM, CHANNELS };

static const htel_channel channels[CHANNELS] = {
    [PULSE] = {.code = HTEL_MDC_PULSE_RATE_OXIMETER},
    [ECG] = {.code = HTEL_MDC_ECG_LEAD_II, .kind = HTEL_WAVEFORM, .rate = {360, 1}},
    [ALARM] = {.code = 1, .kind = HTEL_ALARM},
};

/* The simulated flash with a saboteur before it. */
typedef struct device {
  fake world;
  flash_sim sim;
  htel_flash flash;
  uint32_t programs[2]; /* addresses of the last two */
  uint32_t bad_address; /* reads that touch it fail, */
  unsigned bad_reads;   /* so often */
  bool sync_fails;
  htel *tel;
  htel_config config;
  htel_config_fault fault;
  max_align_t memory[16384];
  uint32_t refused;
} device;

static device it;

static int flash_read(void *ctx, uint32_t address, uint8_t *buf, size_t size) {
  (void)ctx;
  bool touches = it.bad_address >= address && it.bad_address - address < size;
  if (touches && it.bad_reads > 0) {
    it.bad_reads--;
    return HTEL_E_STORE;
  }
  return it.sim.port.read(&it.sim, address, buf, size);
}

static int flash_program(void *ctx, uint32_t address, const uint8_t *buf, size_t size) {
  (void)ctx;
  it.programs[0] = it.programs[1];
  it.programs[1] = address;
  return it.sim.port.program(&it.sim, address, buf, size);
}

static int flash_erase(void *ctx, uint32_t block) {
  (void)ctx;
  return it.sim.port.erase(&it.sim, block);
}

static int flash_sync(void *ctx) {
  (void)ctx;
  return it.sync_fails ? HTEL_E_STORE : it.sim.port.sync(&it.sim);
}

static const flash_geometry part_128k = {"128 KB", 4096, 32, 4};
static const flash_geometry part_256k = {"256 KB", 16384, 16, 4};
static const flash_geometry part_16k = {"16 KB", 4096, 4, 1};

static void begin(const flash_geometry *part) {
  memset(&it, 0, sizeof it);
  fake_init(&it.world, 42);
  flash_sim_init(&it.sim, part, 1);
  it.flash = it.sim.port;
  it.flash.read = flash_read;
  it.flash.program = flash_program;
  it.flash.erase = flash_erase;
  it.flash.sync = flash_sync;
  it.world.reachable = false;
  it.world.reads_may_fail = true;
  it.config =
      (htel_config){.device_id = "device-1",
                    .channels = channels,
                    .channel_count = CHANNELS,
                    .batch = {.age_ms_max = 1000, .bytes_max = 1024},
                    .outbox = {.code = &htel_outbox_on_flash, .flash = &it.flash, .bytes = 2048},
                    .fault = &it.fault};
}

/* On, for the first time or after a reset. */
static void power(void) {
  fake_reset(&it.world);
  assert_int_equal(htel_open(&it.tel, it.memory, sizeof it.memory, &it.config, &it.world.port), 0);
}

static void finish(void) {
  assert_string_equal(it.sim.violation, "");
  flash_sim_free(&it.sim);
  fake_free(&it.world);
}

static void run_ms(uint32_t ms) {
  fake_run(&it.world, it.tel, ms);
}

static void online(void) {
  it.world.reachable = true;
  it.tel->delivery.retry_at = 0;
  run_ms(200);
}

/* One frame of a single numeric. */
static void frame_now(int32_t value) {
  assert_int_equal(htel_record(it.tel, PULSE, value), 0);
  htel_poll(it.tel);
  it.world.tick_ms += 1001;
  htel_poll(it.tel);
}

static void drain(void) {
  int rc = HTEL_E_AGAIN;
  it.world.reachable = true;
  for (unsigned i = 0; i < 4000 && rc == HTEL_E_AGAIN; i++) {
    rc = htel_close(it.tel, 600000);
    run_ms(100);
  }
  assert_int_equal(rc, 0);
}

/* The ring refuses some: a loss record is owed. */
static void ring_loses(void) {
  while (htel_record(it.tel, PULSE, 1) == 0) continue;
  it.refused = 1;
  for (unsigned i = 0; i < 6; i++) it.refused += htel_record(it.tel, PULSE, 1) != 0;
}

static uint64_t told_of_ring(uint64_t boot) {
  uint64_t readings = 0;
  for (size_t i = 0; i < it.world.loss_count; i++) {
    const htel_loss *l = &it.world.losses[i];
    if (l->cause == HTEL_CAUSE_RING_FULL && l->boot == boot && l->channel == PULSE)
      readings += l->readings;
  }
  return readings;
}

static uint32_t told_of_outbox(uint64_t boot, uint32_t sequence) {
  uint32_t times = 0;
  for (size_t i = 0; i < it.world.loss_count; i++) {
    const htel_loss *l = &it.world.losses[i];
    times += l->cause == HTEL_CAUSE_OUTBOX_FULL && l->boot == boot &&
             sequence >= l->sequence_first && sequence <= l->sequence_last;
  }
  return times;
}

/* ---- frames that the ingest puts aside ---------------------------------------------------- */

static void test_losses_in_a_frame_put_aside_outlive_a_reset(void **state) {
  (void)state;
  begin(&part_128k);
  power();
  it.world.quarantine = true;
  ring_loses();
  online();
  while (loss_waiting(&it.tel->losses)) run_ms(5);  /* until a frame has it, */
  while (!loss_waiting(&it.tel->losses)) run_ms(5); /* and comes back with it */
  power();
  it.world.quarantine = false;
  drain();
  assert_int_equal(told_of_ring(1), it.refused);
  finish();
}

/* Boot 1 sends a frame with a loss record, and nobody gets it. */
static void carry_in_boot_1(void) {
  power();
  it.world.lose_frames_pct = 100;
  it.world.lose_acks_pct = 100;
  ring_loses();
  online();
  run_ms(3000);
  it.world.lose_frames_pct = it.world.lose_acks_pct = 0;
  it.world.reachable = false;
}

static void test_losses_of_an_earlier_boot_put_aside_outlive_a_reset(void **state) {
  (void)state;
  begin(&part_128k);
  carry_in_boot_1();
  power();
  it.world.quarantine = true;
  online();
  run_ms(1000);
  assert_true(it.tel->stats.frames_quarantined > 0);
  power();
  it.world.quarantine = false;
  drain();
  assert_int_equal(told_of_ring(1), it.refused);
  finish();
}

/* What was said and receipted is not said again by later boots, however they come and go. */
static void test_what_was_told_is_not_told_again_after_clean_boots(void **state) {
  (void)state;
  begin(&part_128k);
  power();
  ring_loses();
  for (unsigned i = 0; i < 4; i++) {
    drain();
    power();
  }
  drain();
  assert_int_equal(told_of_ring(1), it.refused);
  finish();
}

/* ---- bits and reads that fail ------------------------------------------------------------- */

static void rot_carrier(unsigned bits) {
  begin(&part_128k);
  carry_in_boot_1();
  uint32_t at = it.programs[1]; /* the last: the alarm frame's bytes */
  for (unsigned i = 0; i < bits; i++) flash_sim_flip(&it.sim, ((uint64_t)at + 9u * i) * 8u + i);
  power();
  drain();
  assert_int_equal(told_of_ring(1), it.refused);
  finish();
}

static void test_losses_in_a_rotten_frame_are_told_again(void **state) {
  (void)state;
  rot_carrier(2);
}

static void test_losses_in_a_frame_with_a_wrong_bit_are_read_from_it(void **state) {
  (void)state;
  rot_carrier(1);
}

/* Five frames wait in the flash; the third cannot be read. */
static void five_frames(void) {
  begin(&part_128k);
  power();
  for (int32_t i = 1; i <= 5; i++) {
    frame_now(i);
    if (i == 3) it.bad_address = it.programs[1];
  }
  assert_int_equal(it.tel->sequence_next, 6);
}

static void test_a_read_that_fails_for_a_while_costs_nothing(void **state) {
  (void)state;
  five_frames();
  power();
  it.bad_reads = 4; /* the store itself tries a few times */
  online();
  drain();
  for (uint32_t s = 1; s <= 5; s++) assert_non_null(fake_find_of(&it.world, 1, s));
  assert_int_equal(told_of_outbox(1, 3), 0);
  finish();
}

static void test_a_frame_that_cannot_be_read_is_told_of(void **state) {
  (void)state;
  five_frames();
  power();
  it.bad_reads = UINT32_MAX;
  drain();
  for (uint32_t s = 1; s <= 5; s++) assert_int_equal(s == 3, fake_find_of(&it.world, 1, s) == NULL);
  assert_int_equal(told_of_outbox(1, 3), 1);
  finish();
}

static void test_frames_whose_headers_are_rotten_are_told_of_once(void **state) {
  (void)state;
  begin(&part_128k);
  power();
  uint32_t header = 0;
  for (int32_t i = 1; i <= 5; i++) {
    frame_now(i);
    if (i == 3) header = it.programs[0];
  }
  flash_sim_flip(&it.sim, (uint64_t)header * 8u + 3u);
  flash_sim_flip(&it.sim, ((uint64_t)header + 6u) * 8u);
  power();
  it.world.no_receipts = true; /* the frames around it stay for the next boot */
  online();
  run_ms(3000);
  assert_int_equal(told_of_outbox(1, 3), 1);
  power();
  it.world.no_receipts = false;
  drain();
  assert_int_equal(told_of_outbox(1, 3), 1);
  assert_null(fake_find_of(&it.world, 1, 3));
  for (unsigned i = 0; i < 2; i++) { /* nor later */
    it.world.reachable = false;
    power();
    frame_now(6);
    drain();
  }
  assert_int_equal(told_of_outbox(1, 3), 1);
  for (size_t i = 0; i < it.world.loss_count; i++)
    if (it.world.losses[i].cause == HTEL_CAUSE_OUTBOX_FULL) {
      assert_int_equal(it.world.losses[i].frames, 1);
      assert_true(it.world.losses[i].at_most);
      assert_int_equal(it.world.losses[i].sequence_first, 3);
      assert_int_equal(it.world.losses[i].sequence_last, 3);
    }
  finish();
}

/* A flash that answers nothing for a while is not a bad one: what is programmed then is kept. */
static void test_an_outage_of_reads_retires_no_block_and_loses_nothing(void **state) {
  (void)state;
  begin(&part_128k);
  power();
  frame_now(1);
  it.sim.outage_from = it.sim.counts.reads + 1u;
  it.sim.outage_to = UINT64_MAX;
  frame_now(2);
  frame_now(3);
  it.sim.outage_to = 0;
  frame_now(4);
  drain();
  for (uint32_t s = 1; s <= 4; s++) assert_non_null(fake_find_of(&it.world, 1, s));
  assert_int_equal(told_of_outbox(1, 2) + told_of_outbox(1, 3), 0);
  store_stats stats;
  store_stats_get((store *)it.tel->outbox.flash, &stats);
  assert_int_equal(stats.blocks_bad, 0);
  finish();
}

/* A flash that stays silent is not filled for ever with what nobody can read back: newcomers are
 * refused, and told of when it is back. No block is blamed for it. */
static void test_a_flash_that_stays_silent_refuses_and_tells(void **state) {
  (void)state;
  enum { FRAMES = 100 };
  begin(&part_128k);
  power();
  frame_now(0);
  it.sim.outage_from = it.sim.counts.reads + 1u;
  it.sim.outage_to = UINT64_MAX;
  for (int32_t i = 1; i < FRAMES; i++) frame_now(i);
  htel_stats now;
  htel_stats_get(it.tel, &now);
  assert_in_range(now.frames_evicted, FRAMES / 2, FRAMES);
  it.sim.outage_to = 0;
  frame_now(FRAMES);
  drain();
  for (uint32_t s = 1; s <= FRAMES; s++)
    if (fake_find_of(&it.world, 1, s) == NULL) assert_int_equal(told_of_outbox(1, s), 1);
  store_stats stats;
  store_stats_get((store *)it.tel->outbox.flash, &stats);
  assert_int_equal(stats.blocks_bad, 0);
  finish();
}

/* A flush is not over while there may be more behind frames that are damaged. */
static void test_a_flush_goes_on_behind_damaged_frames(void **state) {
  (void)state;
  begin(&part_128k);
  power();
  for (int32_t i = 1; i <= 20; i++) {
    frame_now(i);
    if (i == 1 || i > 14) continue;
    flash_sim_flip(&it.sim, (uint64_t)it.programs[1] * 8u);
    flash_sim_flip(&it.sim, ((uint64_t)it.programs[1] + 3u) * 8u);
  }
  int rc; /* a clean end, so that no alarm frame is waited for */
  while ((rc = htel_close(it.tel, 1)) == HTEL_E_AGAIN) it.world.tick_ms++;
  power();
  it.world.reachable = true;
  while ((rc = htel_flush(it.tel, 60000)) == HTEL_E_AGAIN) it.world.tick_ms++;
  assert_int_equal(rc, 0);
  for (uint32_t s = 15; s <= 20; s++) assert_non_null(fake_find_of(&it.world, 1, s));
  drain();
  for (uint32_t s = 2; s <= 14; s++) assert_int_equal(told_of_outbox(1, s), 1);
  finish();
}

/* ---- a flash that fails ------------------------------------------------------------------- */

/* Frames of up to `closed` that are in the ledger. */
static uint32_t given_up(uint32_t closed) {
  uint32_t frames = 0;
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) {
    const htel_loss *l = &it.tel->losses.entries[i].loss;
    if (l->cause != HTEL_CAUSE_OUTBOX_FULL || l->sequence_first > closed) continue;
    uint32_t last = l->sequence_last < closed ? l->sequence_last : closed;
    frames += last - l->sequence_first + 1u;
  }
  return frames;
}

/* It is full, and its sync fails for a while, from any moment on: at most the one block goes whose
 * room could not be used then. Nothing is told of that is not lost. */
static void fail_when_full(const flash_geometry *part, int32_t more) {
  begin(part);
  power();
  while (it.tel->stats.frames_evicted == 0) frame_now(1);
  for (int32_t i = 0; i < more; i++) frame_now(1);
  uint32_t closed = it.tel->sequence_next - 1u, before = given_up(closed);
  it.sync_fails = true;
  for (int32_t i = 0; i < 200; i++) frame_now(i);
  uint32_t evicted = given_up(closed) - before;
  assert_in_range(evicted, 0, 70);
  uint32_t told = 0;
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) told += it.tel->losses.entries[i].loss.frames;
  assert_int_equal(told, it.tel->stats.frames_evicted);
  it.sync_fails = false;
  frame_now(1);
  closed = it.tel->sequence_next - 1u;
  drain();
  uint64_t stored = 0;
  for (uint32_t s = 1; s <= closed; s++) {
    bool there = fake_find_of(&it.world, 1, s) != NULL;
    stored += there;
    assert_true(there || told_of_outbox(1, s) > 0);
  }
  fake_lost lost;
  fake_account(&it.world, it.tel->sequence_next - 1u, &lost);
  assert_int_equal(lost.holes, 0);
  if (!lost.at_most[HTEL_CLASS_NUMERIC]) /* a reading a frame */
    assert_int_equal(stored + lost.evicted[HTEL_CLASS_NUMERIC], closed);
  if (evicted == 0) assert_int_equal(stored, closed - it.tel->stats.frames_evicted);
  finish();
}

static void test_what_fails_is_not_given_up(void **state) {
  (void)state;
  for (int32_t more = 0; more < 66; more++) {
    fail_when_full(&part_16k, more);
    fail_when_full(&part_128k, more);
  }
}

/* ---- when frames are durable -------------------------------------------------------------- */

static void test_a_flush_does_not_wait_for_persist_ms(void **state) {
  (void)state;
  begin(&part_128k);
  it.config.outbox.persist_frames = 32;
  it.config.outbox.persist_ms = 60000;
  power();
  online();
  assert_int_equal(htel_record(it.tel, PULSE, 1), 0);
  int rc;
  while ((rc = htel_flush(it.tel, 3000)) == HTEL_E_AGAIN) run_ms(10);
  assert_int_equal(rc, 0);
  finish();
}

static void test_poll_wants_to_run_when_frames_are_to_be_durable(void **state) {
  (void)state;
  begin(&part_128k);
  it.config.outbox.persist_frames = 32;
  it.config.outbox.persist_ms = 250;
  power();
  frame_now(1);
  assert_true(it.tel->outbox.frames > 0);
  it.tel->delivery.retry_at = it.tel->time.now + 100000u;
  assert_in_range(htel_poll(it.tel), 1, 250);
  it.world.tick_ms += 250;
  htel_poll(it.tel);
  uint32_t syncs = (uint32_t)it.sim.counts.syncs;
  it.world.tick_ms += 250;
  htel_poll(it.tel);
  assert_int_equal(it.sim.counts.syncs, syncs);
  finish();
}

/* ---- what a boot had at risk -------------------------------------------------------------- */

/* A flat line takes next to nothing: many readings are in RAM when the power goes. */
static void test_the_bound_of_an_unclean_stop_holds_for_a_flat_line(void **state) {
  (void)state;
  begin(&part_256k);
  htel_channel long_columns[CHANNELS];
  memcpy(long_columns, channels, sizeof channels);
  long_columns[ECG].column_samples = 512;
  it.config.channels = long_columns;
  it.config.batch = (htel_batch_config){.age_ms_max = 86400000, .bytes_max = 8192};
  power();
  static const int32_t flat[60];
  uint64_t said = 0;
  while (it.tel->stats.frames_closed == 0 && said < 10000000) {
    uint32_t closed = it.tel->stats.frames_closed;
    it.world.tick_ms += 167;
    said += htel_record_block(it.tel, ECG, flat, 60) == 0 ? 60u : 0u;
    htel_poll(it.tel);
    if (it.tel->stats.frames_closed != closed) break;
  }
  it.config.batch.age_ms_max = 1000;
  power(); /* one frame is on flash: what it holds was as much in RAM a moment before */
  drain();
  uint64_t bound = 0;
  for (size_t i = 0; i < it.world.loss_count; i++)
    if (it.world.losses[i].cause == HTEL_CAUSE_UNCLEAN_STOP) bound += it.world.losses[i].readings;
  assert_true(said > 20000);
  assert_true(bound >= said);
  finish();
}

/* ---- time ---------------------------------------------------------------------------------- */

/* A receipt for a frame of an earlier boot may be for what that boot sent. */
static void test_frames_of_earlier_boots_tell_no_time(void **state) {
  (void)state;
  begin(&part_128k);
  power();
  frame_now(1);
  power();
  it.world.server_time = true;
  it.world.utc_ms = 1700000000000;
  online();
  run_ms(500);
  assert_true(it.tel->stats.frames_delivered > 0);
  assert_non_null(fake_find_of(&it.world, 1, 1));
  assert_false(it.tel->time.known && it.tel->stats.frames_published == 1);
  finish();
}

/* ---- what a poll costs ---------------------------------------------------------------------- */

/* The dearest poll of a device with a full flash, online, with damage in it. */
static void test_a_poll_takes_a_bounded_number_of_operations(void **state) {
  (void)state;
  begin(&part_128k);
  power();
  for (int32_t i = 0; it.tel->stats.frames_evicted == 0; i++) {
    frame_now(i);
    if (i % 5 == 0) flash_sim_flip(&it.sim, (uint64_t)it.programs[1] * 8u);
    if (i % 5 == 0) flash_sim_flip(&it.sim, ((uint64_t)it.programs[1] + 3u) * 8u);
  }
  power();
  it.world.reachable = true;
  flash_counts most = {0};
  for (unsigned i = 0; i < 20000; i++) {
    flash_counts before = it.sim.counts;
    if (i % 100 == 0) (void)htel_record(it.tel, PULSE, 1);
    htel_poll(it.tel);
    const flash_counts *now = &it.sim.counts;
    if (now->programs - before.programs > most.programs)
      most.programs = now->programs - before.programs;
    if (now->erases - before.erases > most.erases) most.erases = now->erases - before.erases;
    if (now->syncs - before.syncs > most.syncs) most.syncs = now->syncs - before.syncs;
    if (now->bytes_read - before.bytes_read > most.bytes_read)
      most.bytes_read = now->bytes_read - before.bytes_read;
    it.world.tick_ms += 10;
  }
  print_message("a poll: at most %u programs, %u erases, %u syncs, %u bytes read\n",
                (unsigned)most.programs, (unsigned)most.erases, (unsigned)most.syncs,
                (unsigned)most.bytes_read);
  assert_in_range(most.programs, 1, 60);
  assert_in_range(most.erases, 0, 8);
  assert_in_range(most.syncs, 1, 20);
  finish();
}

/* ---- configuration -------------------------------------------------------------------------- */

static void refused(const char *field, const char *why) {
  assert_int_equal(htel_memory_needed(&it.config), HTEL_E_CONFIG);
  assert_string_equal(it.fault.field, field);
  if (strstr(it.fault.why, why) == NULL) fail_msg("%s: %s", field, it.fault.why);
}

static void with_part(uint32_t block_bytes, uint32_t block_count, uint32_t program_bytes) {
  it.flash = it.sim.port;
  it.flash.block_bytes = block_bytes;
  it.flash.block_count = block_count;
  it.flash.program_bytes = program_bytes;
}

static void test_a_flash_out_of_bounds_is_refused_with_its_reason(void **state) {
  (void)state;
  begin(&part_128k);
  assert_true(htel_memory_needed(&it.config) > 0);
  static const uint32_t blocks[] = {0, 2048, 4097, 12288, 131072, 0x80000000u};
  for (unsigned i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
    with_part(blocks[i], 16, 4);
    refused("outbox.flash", "block_bytes");
  }
  static const uint32_t units[] = {0, 3, 12, 32, 0x80000000u};
  for (unsigned i = 0; i < sizeof units / sizeof units[0]; i++) {
    with_part(4096, 16, units[i]);
    refused("outbox.flash", "program_bytes");
  }
  with_part(4096, 3, 4);
  refused("outbox.flash", "from 4 to 4096");
  with_part(4096, 4097, 4);
  refused("outbox.flash", "from 4 to 4096");
  with_part(65536, 257, 4);
  refused("outbox.flash", "16 MiB");
  with_part(65536, 256, 16);
  assert_true(htel_memory_needed(&it.config) > 0);
  it.flash.sync = NULL;
  refused("outbox.flash", "must be there");
  with_part(4096, 32, 4);
  it.flash.read = NULL;
  refused("outbox.flash", "must be there");
  with_part(4096, 32, 4);
  it.config.outbox.bytes = UINT32_MAX;
  refused("outbox.bytes", "1 GiB");
  it.config.outbox.bytes = 1023;
  refused("outbox.bytes", "1024");
  it.config.outbox.bytes = 0;
  it.config.outbox.persist_frames = 33;
  refused("outbox.persist_frames", "32");
  it.config.outbox.persist_frames = 0;
  it.config.outbox.persist_ms = 3600001;
  refused("outbox.persist_ms", "hour");
  it.config.outbox.persist_ms = 0;
  it.config.batch.bytes_max = 4096;
  refused("batch.bytes_max", "2048 fits any");
  finish();
}

/* ---- the ledger over several boots ---------------------------------------------------------- */

static void test_a_record_that_finds_no_entry_is_told_by_its_boot(void **state) {
  (void)state;
  loss_ledger ledger = {0};
  for (uint8_t c = 0; c < 7; c++) {
    htel_loss loss = {.cause = HTEL_CAUSE_RING_FULL, .channel = c, .boot = 3, .readings = 10};
    loss_take_back(&ledger, &loss);
  }
  uint64_t readings = 0;
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) readings += ledger.entries[i].loss.readings;
  assert_int_equal(readings, 70);
}

static outbox_entry frame_of_boot(uint64_t boot, uint32_t n) {
  return (outbox_entry){
      .boot = boot, .sequence = n, .ordinal = n, .readings = 1, .frame_class = HTEL_CLASS_NUMERIC};
}

static void evict(loss_ledger *ledger, uint64_t boot, uint32_t n) {
  outbox_entry e = frame_of_boot(boot, n);
  loss_make_way(ledger, HTEL_CLASS_NUMERIC, boot);
  loss_evicted(ledger, &e);
}

static void test_boots_are_joined_only_where_they_must(void **state) {
  (void)state;
  loss_ledger ledger = {0};
  evict(&ledger, 1, 5);
  evict(&ledger, 2, 6);
  evict(&ledger, 2, 7);
  for (unsigned i = 0; i < LOSS_ENTRIES; i++) assert_false(ledger.entries[i].loss.at_most);
  outbox_entry told = frame_of_boot(2, 7), untold = frame_of_boot(2, 8);
  assert_true(loss_is_told(&ledger, &told));
  assert_false(loss_is_told(&ledger, &untold));
  evict(&ledger, 3, 8);
  uint64_t boot_last = 0;
  for (unsigned i = 0; i < LOSS_ENTRIES; i++)
    if (ledger.entries[i].loss.at_most) boot_last = ledger.entries[i].loss.boot_last;
  assert_int_equal(boot_last, 2);
}

static void test_no_more_frames_are_told_than_there_are_numbers(void **state) {
  (void)state;
  loss_ledger ledger = {0};
  evict(&ledger, 1, 5);
  ledger.entries[0].loss.frames = 3;
  ledger.entries[0].loss.sequence_last = 6;
  loss_clamp(&ledger);
  assert_int_equal(ledger.entries[0].loss.frames, 2);
  assert_true(ledger.entries[0].loss.at_most);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_losses_in_a_frame_put_aside_outlive_a_reset),
      cmocka_unit_test(test_losses_of_an_earlier_boot_put_aside_outlive_a_reset),
      cmocka_unit_test(test_what_was_told_is_not_told_again_after_clean_boots),
      cmocka_unit_test(test_losses_in_a_rotten_frame_are_told_again),
      cmocka_unit_test(test_losses_in_a_frame_with_a_wrong_bit_are_read_from_it),
      cmocka_unit_test(test_a_read_that_fails_for_a_while_costs_nothing),
      cmocka_unit_test(test_a_frame_that_cannot_be_read_is_told_of),
      cmocka_unit_test(test_frames_whose_headers_are_rotten_are_told_of_once),
      cmocka_unit_test(test_an_outage_of_reads_retires_no_block_and_loses_nothing),
      cmocka_unit_test(test_a_flash_that_stays_silent_refuses_and_tells),
      cmocka_unit_test(test_a_flush_goes_on_behind_damaged_frames),
      cmocka_unit_test(test_what_fails_is_not_given_up),
      cmocka_unit_test(test_a_flush_does_not_wait_for_persist_ms),
      cmocka_unit_test(test_poll_wants_to_run_when_frames_are_to_be_durable),
      cmocka_unit_test(test_the_bound_of_an_unclean_stop_holds_for_a_flat_line),
      cmocka_unit_test(test_frames_of_earlier_boots_tell_no_time),
      cmocka_unit_test(test_a_poll_takes_a_bounded_number_of_operations),
      cmocka_unit_test(test_a_flash_out_of_bounds_is_refused_with_its_reason),
      cmocka_unit_test(test_a_record_that_finds_no_entry_is_told_by_its_boot),
      cmocka_unit_test(test_boots_are_joined_only_where_they_must),
      cmocka_unit_test(test_no_more_frames_are_told_than_there_are_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
