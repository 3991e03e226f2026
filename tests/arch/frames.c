/* SPDX-License-Identifier: Apache-2.0 */
/* frames.c - what the library makes of the same readings must be the same bytes on every machine.
 *
 * Strange devices (tests/interop/strange.h) live through a minute at each coding level, with their
 * frames in RAM; and through an outage, a reset and a recovery with their frames on a flash that is
 * too small. Each birth and frame that is published is printed as it is, then read back, and what
 * was read is printed as a checksum, as is all of the flash. run.sh runs this program on the host
 * and on other architectures, and compares what they print. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../interop/strange.h"
#include "healthtel/decode.h"

enum {
  SEEDS = 4,
  SECONDS = 60,
  FRAME_S = 10,
  MEMORY_BYTES = 1 << 19,
  OUTBOX_BYTES = 1 << 17,
  BLOCK_BYTES = 4096,
  BLOCKS = 12,
  ACKS_MAX = 128
};

/* ---- A broker that prints ------------------------------------------------------------------- */

static struct {
  bool offline; /* connections are refused */
  bool up, up_due, down_due;
  uint32_t acks[ACKS_MAX]; /* oldest first */
  unsigned ack_count;
  uint32_t readings, losses[4], crc; /* of what was read back; losses by cause */
  uint8_t message[HTEL_FRAME_BYTES_MAX];
} broker;

static htel_birth birth;
static htel_frame frame;
static htel_reader reader;
static htel_series series;

static _Noreturn void fail(const char *what, int rc) {
  printf("FAILED: %s: %s\n", what, rc == 0 ? "" : htel_strerror(rc));
  exit(1);
}

static void print_bytes(const char *what, const uint8_t *bytes, size_t size) {
  static const char digits[] = "0123456789abcdef";
  char line[129];
  printf("%s %u\n", what, (unsigned)size);
  for (size_t at = 0; at < size; at += 64) {
    size_t chars = 0;
    for (size_t i = at; i < size && i < at + 64; i++) {
      line[chars++] = digits[bytes[i] >> 4];
      line[chars++] = digits[bytes[i] & 15];
    }
    line[chars] = 0;
    puts(line);
  }
}

/* Into the checksum, in an order of bytes of its own. */
static void sum_up(uint64_t value) {
  uint8_t bytes[8];
  for (unsigned i = 0; i < 8; i++) bytes[i] = (uint8_t)(value >> 8 * i);
  broker.crc = htel_crc32(broker.crc, bytes, sizeof bytes);
}

static void sum_up_series(void) {
  sum_up(series.channel);
  sum_up(series.phase);
  for (unsigned i = 0; i < series.count; i++) {
    sum_up(series.ticks[i]);
    sum_up(series.quality[i]);
    if (series.kind == HTEL_ALARM) {
      const htel_alarm_event *event = &series.alarms[i];
      sum_up(event->code);
      sum_up((uint64_t)event->state << 24 | (uint64_t)event->priority << 16 |
             (uint64_t)event->latched << 8 | event->source);
    } else {
      sum_up((uint32_t)series.values[i]);
    }
  }
  broker.readings += series.count;
}

static void frame_read(size_t size) {
  int rc = htel_frame_decode(&frame, broker.message, size);
  if (rc == 0) rc = htel_reader_open(&reader, &frame, &birth);
  if (rc != 0) fail("a frame of its own", rc);
  for (unsigned i = 0; i < frame.anchor_count; i++) sum_up((uint64_t)frame.anchors[i].utc_ms);
  for (unsigned i = 0; i < frame.loss_count; i++) {
    const htel_loss *loss = &frame.losses[i];
    sum_up(loss->tick_first);
    sum_up(loss->tick_last);
    sum_up(loss->readings);
    broker.losses[loss->cause & 3]++;
  }
  while ((rc = htel_reader_next(&reader, &series)) == 1) sum_up_series();
  if (rc != 0) fail("readings of its own", rc);
}

static int link_open(void *ctx, const htel_link_session *session) {
  (void)ctx, (void)session;
  broker.up = broker.up_due = !broker.offline;
  broker.down_due = broker.offline;
  broker.ack_count = 0;
  return 0;
}

static int link_publish(void *ctx, const htel_message *message) {
  (void)ctx;
  if (!broker.up) return HTEL_E_LINK_LOST;
  if (broker.ack_count == ACKS_MAX) return HTEL_E_AGAIN;
  int rc = message->read(message->source, message->token, 0, broker.message, message->size);
  if (rc != 0) return rc;
  const char *kind = strrchr(message->topic, '/') + 1;
  print_bytes(kind, broker.message, message->size);
  if (strcmp(kind, "birth") == 0) rc = htel_birth_decode(&birth, broker.message, message->size);
  if (rc != 0) fail("a birth of its own", rc);
  if (strcmp(kind, "frame") == 0) frame_read(message->size);
  broker.acks[broker.ack_count++] = message->token;
  return 0;
}

static int link_next(void *ctx, htel_link_event *event) {
  (void)ctx;
  *event = (htel_link_event){0};
  if (broker.up_due) {
    broker.up_due = false;
    event->kind = HTEL_LINK_UP;
    return 1;
  }
  if (broker.ack_count > 0) {
    event->kind = HTEL_LINK_ACKED;
    event->token = broker.acks[0];
    broker.ack_count--;
    memmove(broker.acks, broker.acks + 1, broker.ack_count * sizeof broker.acks[0]);
    return 1;
  }
  if (!broker.down_due) return 0;
  broker.down_due = false;
  event->kind = HTEL_LINK_DOWN;
  event->error = broker.offline ? HTEL_E_REFUSED : 0;
  return 1;
}

static uint32_t link_wait_ms(void *ctx) {
  (void)ctx;
  return 0;
}

static void link_close(void *ctx) {
  (void)ctx;
  broker.down_due = broker.up;
  broker.up = broker.up_due = false;
}

static const htel_link link_here = {.open = link_open,
                                    .publish = link_publish,
                                    .next = link_next,
                                    .wait_ms = link_wait_ms,
                                    .close = link_close};

/* ---- A flash in memory ---------------------------------------------------------------------- */

static uint8_t flash_bytes[BLOCKS * BLOCK_BYTES];

static int flash_read(void *ctx, uint32_t address, uint8_t *buf, size_t size) {
  (void)ctx;
  memcpy(buf, flash_bytes + address, size);
  return 0;
}

static int flash_program(void *ctx, uint32_t address, const uint8_t *buf, size_t size) {
  (void)ctx;
  memcpy(flash_bytes + address, buf, size);
  return 0;
}

static int flash_erase(void *ctx, uint32_t block) {
  (void)ctx;
  memset(flash_bytes + block * BLOCK_BYTES, 0xFF, BLOCK_BYTES);
  return 0;
}

static int flash_sync(void *ctx) {
  (void)ctx;
  return 0;
}

static const htel_flash flash = {.block_bytes = BLOCK_BYTES,
                                 .block_count = BLOCKS,
                                 .program_bytes = 8,
                                 .read = flash_read,
                                 .program = flash_program,
                                 .erase = flash_erase,
                                 .sync = flash_sync};

/* ---- The run -------------------------------------------------------------------------------- */

static strange device;
static htel_port port;
static htel_config config;
static _Alignas(max_align_t) uint8_t memory[MEMORY_BYTES];

static void device_make(htel_coding coding, uint64_t seed) {
  strange_init(&device, seed);
  port = strange_port(&device, &link_here);
  config = strange_config(&device, coding, FRAME_S);
  config.outbox.bytes = OUTBOX_BYTES;
}

static void device_open(void) {
  htel_config_fault fault = {0};
  config.fault = &fault;
  int rc = htel_open(&device.tel, memory, sizeof memory, &config, &port);
  if (rc != 0) fail(fault.why != NULL ? fault.why : "htel_open", rc);
}

static void device_close(void) {
  int rc = strange_close(&device);
  if (rc != 0) fail("htel_close", rc);
  const uint32_t *losses = broker.losses;
  printf("readings %" PRIu32 " crc %08" PRIx32 "\n", broker.readings, broker.crc);
  printf("losses ring %" PRIu32 " outbox %" PRIu32 " stop %" PRIu32 "\n",
         losses[HTEL_CAUSE_RING_FULL], losses[HTEL_CAUSE_OUTBOX_FULL],
         losses[HTEL_CAUSE_UNCLEAN_STOP]);
  memset(broker.losses, 0, sizeof broker.losses);
  broker.readings = broker.crc = 0;
}

static void run_in_ram(htel_coding coding, uint64_t seed) {
  device_make(coding, seed);
  device_open();
  strange_live(&device, SECONDS);
  device_close();
}

static void print_flash(void) {
  printf("flash crc %08" PRIx32 "\n", htel_crc32(0, flash_bytes, sizeof flash_bytes));
}

/* The broker is away for so long that frames have to go, then the power fails. */
static void run_on_flash(htel_coding coding, uint64_t seed) {
  memset(flash_bytes, 0xFF, sizeof flash_bytes);
  device_make(coding, seed);
  config.outbox.bytes = 0;
  config.outbox.code = &htel_outbox_on_flash;
  config.outbox.flash = &flash;
  config.batch.bytes_max = 2048;
  device_open();
  strange_live(&device, SECONDS / 2);
  broker.offline = true;
  device_open(); /* a reset: what was in RAM is gone */
  strange_live(&device, 2 * SECONDS);
  print_flash();
  device_open();
  broker.offline = false;
  strange_live(&device, SECONDS);
  device_close();
  print_flash();
}

/* Waveforms as slow, as fast and as odd as may be: their times need more than 32 bits. */
static void run_of_rates(htel_coding coding) {
  static const htel_rate rates[] = {{1, 1000000}, {1000000, 1}, {999983, 1000000}};
  static int32_t samples[64];
  device_make(coding, 1);
  memset(device.channels, 0, sizeof device.channels);
  config.channel_count = sizeof rates / sizeof rates[0];
  for (unsigned c = 0; c < config.channel_count; c++)
    device.channels[c] = (htel_channel){.code = c, .kind = HTEL_WAVEFORM, .rate = rates[c]};
  device_open();
  for (unsigned turn = 0; turn < 60; turn++) {
    device.tick += 1000;
    for (unsigned c = 0; c < config.channel_count; c++) {
      for (unsigned i = 0; i < 64; i++) samples[i] = (int32_t)(turn * 64 + i) * (int32_t)(c + 1);
      htel_record_block(device.tel, c, samples, (uint16_t)(1 + turn % 64));
    }
    htel_poll(device.tel);
  }
  device_close();
}

int main(void) {
  static const char *const names[] = {"zlib", "fast", "best"};
  for (unsigned coding = 0; coding < 3; coding++) {
    printf("run %s rates\n", names[coding]);
    run_of_rates((htel_coding)coding);
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
      printf("run %s %u in RAM\n", names[coding], seed);
      run_in_ram((htel_coding)coding, seed);
      printf("run %s %u on flash\n", names[coding], seed);
      run_on_flash((htel_coding)coding, seed);
    }
  }
  puts("end");
  return 0;
}
