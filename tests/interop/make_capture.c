/* SPDX-License-Identifier: Apache-2.0 */
/* make_capture.c - a device whose readings are stranger than any patient's, as a capture file.
 *
 *     make_capture zlib|fast|best SEED FRAME_S SECONDS OUT.htel
 *
 * A seed chooses channels of all kinds and rates, then some thousands of readings: signals of many
 * shapes up to the ends of 32 bits, gaps, qualities, values that are not there, times that jump and
 * go back, alarms, a clock that is set, a ring that is too small. Decoders that agree on such a
 * capture to the byte agree on the format. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/random.h"
#include "capture.h"
#include "healthtel/healthtel.h"

enum { CHANNELS = 24, STEP_MS = 40, MEMORY_BYTES = 1 << 23, READINGS_A_SECOND = 400 };
#define TICK_BEGIN 4294960000u /* so that 32 bits are soon passed */

typedef struct signal {
  unsigned shape;
  int32_t value, slope;
  uint32_t until;  /* tick of the next change of shape */
  uint64_t sample; /* waveforms: which one is next, by the clock */
  uint32_t next;   /* numerics: tick of the next reading */
  uint32_t period, jitter;
  uint8_t quality;
} signal;

typedef struct device {
  test_random random;
  uint32_t tick;
  capture out;
  htel_port port;
  htel *tel;
  htel_channel channels[CHANNELS];
  signal signals[CHANNELS];
  uint16_t count;
  bool is_wild;
} device;

static device it;
static _Alignas(max_align_t) uint8_t memory[MEMORY_BYTES];

static uint32_t below(uint32_t limit) {
  return random_below(&it.random, limit);
}
static int32_t around(uint32_t range) {
  return random_around(&it.random, range);
}
static bool chance(uint32_t of) {
  return below(of) == 0;
}

static uint32_t port_tick(void *ctx) {
  return ((device *)ctx)->tick;
}

static int port_random(void *ctx, uint8_t *buf, size_t size) {
  for (size_t i = 0; i < size; i++) buf[i] = (uint8_t)random_u32(&((device *)ctx)->random);
  return 0;
}

/* Now and then boots before this one ended without a word. */
static int port_boot_begin(void *ctx, htel_boot *boot) {
  (void)ctx;
  *boot = (htel_boot){.number = 1000 + below(1000), .unclean = chance(2)};
  boot->unclean_first = boot->number - 1 - below(3);
  return 0;
}

/* ---- What it measures --------------------------------------------------------------------------
 */

static htel_channel channel_make(unsigned i, uint8_t kind) {
  static const htel_rate wave_rates[] = {{360, 1},  {250, 1}, {1000, 3}, {64, 1},
                                         {2000, 1}, {32, 1},  {999, 8},  {1, 3}};
  static const htel_rate numeric_rates[] = {{0, 0}, {1, 1}, {1, 5}, {4, 1}, {3, 1}, {1000, 1}};
  static const char *const names[] = {NULL, "A", "B", "ECG_II", "x,y", "a\"b", "C"};
  htel_channel ch = {
      .code = 100 + i / 3, .index = (uint8_t)(i % 3), .kind = kind, .block_max = 128};
  ch.name = names[below(sizeof names / sizeof names[0])];
  if (kind == HTEL_WAVEFORM) ch.rate = wave_rates[below(sizeof wave_rates / sizeof wave_rates[0])];
  if (kind == HTEL_NUMERIC) ch.rate = numeric_rates[below(6)];
  ch.exponent = (int8_t)around(12);
  ch.gain = around(1000);
  ch.offset = around(1u << 30);
  return ch;
}

/* Groups of one to three alike: two leads, three axes, systolic and diastolic. */
static void channels_make(void) {
  uint32_t budget = READINGS_A_SECOND;
  for (unsigned turn = 0; turn < 20 && it.count + 4u < CHANNELS; turn++) {
    unsigned group = 1 + below(3);
    htel_channel like =
        channel_make(it.count, it.count == 0 || chance(3) ? HTEL_WAVEFORM : HTEL_NUMERIC);
    uint32_t cost =
        like.kind == HTEL_WAVEFORM ? group * (1 + like.rate.num / like.rate.den) : group;
    if (cost > budget) continue;
    budget -= cost;
    uint32_t period = chance(2) ? 1000 : 200 + below(5000), jitter = chance(2) ? 0 : below(400);
    for (unsigned k = 0; k < group; k++) {
      htel_channel own = channel_make(it.count, like.kind);
      own.rate = like.rate;
      it.signals[it.count] =
          (signal){.until = TICK_BEGIN, .next = TICK_BEGIN, .period = period, .jitter = jitter};
      it.channels[it.count++] = own;
    }
  }
  it.channels[it.count] = channel_make(it.count, HTEL_ALARM);
  it.count++;
}

/* ---- What it sees
 * -------------------------------------------------------------------------------- */

static int32_t sum(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a + (uint32_t)b);
}

static int32_t signal_next(unsigned channel) {
  signal *s = &it.signals[channel];
  if ((int32_t)(it.tick - s->until) >= 0) {
    s->until = it.tick + 500 + below(20000);
    s->shape = it.is_wild && chance(8) ? below(4) : 4 + below(8);
    if (it.is_wild && chance(20)) s->value = (int32_t)random_u32(&it.random);
    if (chance(4)) s->value = around(2000);
    s->slope = around(it.is_wild ? 100000 : 100);
  }
  switch (s->shape) {
    /* Wild, where blocks are as good as columns: */
    case 0: s->value = sum(s->value, around(1u << 30)); break;
    case 1: s->value = (int32_t)random_u32(&it.random); break;
    case 2: s->value = s->value == INT32_MAX ? INT32_MIN : INT32_MAX; break;
    case 3: s->value = chance(40) ? (int32_t)random_u32(&it.random) : (int32_t)below(3); break;
    /* and tame: */
    case 4: break; /* it stands still */
    case 5: s->value = sum(s->value, around(3)); break;
    case 6: s->value = sum(s->value, s->slope); break;
    case 7: s->value = sum(5000, around(100)); break;
    case 8: /* it swings */
      s->slope -= (s->value % 100000) / 64;
      s->value = sum(s->value % 100000, s->slope % 10000 + around(2));
      break;
    case 9: s->value = sum(s->value, 22 * around(2)); break;
    case 10: s->value = sum(s->value, chance(4) ? around(40) : 0); break;
    default: /* it goes with the one before */
      s->value = channel > 0 ? sum(it.signals[channel - 1].value, around(4)) : 7;
      break;
  }
  return s->value;
}

static htel_quality quality_next(signal *s, uint32_t lasting) {
  if (chance(lasting)) s->quality = (uint8_t)(chance(2) ? HTEL_VALID : below(8));
  return (htel_quality)s->quality;
}

static void wave_record(unsigned channel) {
  signal *s = &it.signals[channel];
  const htel_rate *rate = &it.channels[channel].rate;
  uint64_t now = (uint64_t)(it.tick - TICK_BEGIN) * rate->num / (1000u * rate->den);
  if (chance(200)) s->sample += below(2000); /* a gap */
  int32_t samples[128];
  while (s->sample < now) {
    uint16_t count = (uint16_t)(1 + below(100));
    if (count > now - s->sample) count = (uint16_t)(now - s->sample);
    for (unsigned i = 0; i < count; i++) samples[i] = signal_next(channel);
    uint32_t tick = TICK_BEGIN + (uint32_t)(s->sample * 1000u * rate->den / rate->num);
    htel_record_block_at(it.tel, channel, samples, count, quality_next(s, 300), tick);
    s->sample += count;
  }
}

/* All of a group have one period, and so one time; some come late, or are out of order. */
static void numeric_record(unsigned channel) {
  signal *s = &it.signals[channel];
  while ((int32_t)(it.tick - s->next) >= 0) {
    uint32_t tick = s->next - (s->jitter > 0 && chance(3) ? below(s->jitter) : 0);
    htel_record_at(it.tel, channel, signal_next(channel), quality_next(s, 15), tick);
    s->next += chance(50) ? 3 * s->period : s->period;
  }
}

static void alarm_record(unsigned channel) {
  if (!chance(150)) return;
  htel_alarm_event event = {.code = random_u32(&it.random),
                            .state = (uint8_t)below(4),
                            .priority = (uint8_t)below(4),
                            .latched = chance(2),
                            .source = (uint8_t)below(it.count)};
  if (chance(4)) event.source = HTEL_NO_SOURCE;
  htel_alarm(it.tel, channel, &event);
}

static void live(uint32_t seconds) {
  htel_utc_set(it.tel, TICK_BEGIN, 1795305600000, 25);
  uint32_t late = 0;
  for (uint32_t i = 0; i < seconds * 1000 / STEP_MS; i++) {
    it.tick += STEP_MS;
    if (chance(500)) htel_utc_set(it.tel, it.tick, 1795305600000 + around(100000), below(1000));
    if (chance(2000)) htel_session_set(it.tel, random_u64(&it.random));
    for (unsigned c = 0; c < it.count; c++) {
      if (it.channels[c].kind == HTEL_WAVEFORM) wave_record(c);
      if (it.channels[c].kind == HTEL_NUMERIC) numeric_record(c);
      if (it.channels[c].kind == HTEL_ALARM) alarm_record(c);
    }
    if (chance(300)) late = below(120); /* the ring fills up */
    if (late > 0)
      late--;
    else
      htel_poll(it.tel);
  }
}

/* ---- The run
 * ------------------------------------------------------------------------------------- */

static int coding_of(const char *name) {
  static const char *const names[] = {"zlib", "fast", "best"};
  for (int i = 0; i < 3; i++)
    if (strcmp(name, names[i]) == 0) return i;
  return -1;
}

static int fail(const char *what) {
  fprintf(stderr, "make_capture: %s\n", what);
  return 1;
}

int main(int argc, char **argv) {
  int coding = argc == 6 ? coding_of(argv[1]) : -1;
  if (coding < 0) return fail("usage: make_capture zlib|fast|best SEED FRAME_S SECONDS OUT.htel");
  uint32_t frame_s = (uint32_t)strtoul(argv[3], NULL, 10);
  it.random.state = strtoull(argv[2], NULL, 10);
  it.tick = TICK_BEGIN;
  it.is_wild = chance(3);
  channels_make();
  if (capture_open(&it.out, argv[5], "strange-1") != 0) return fail("the file cannot be written");
  it.port = (htel_port){.ctx = &it,
                        .tick_ms = port_tick,
                        .random = port_random,
                        .boot_begin = port_boot_begin,
                        .link = capture_link(&it.out)};
  htel_config_fault fault = {0};
  htel_config config = {.device_id = "strange-1",
                        .firmware = "0.0.1",
                        .channels = it.channels,
                        .channel_count = it.count,
                        .ring_bytes = {2048},
                        .session = random_u64(&it.random),
                        .coding = (uint8_t)coding,
                        .batch = {frame_s * 1000, 61440},
                        .outbox = {.bytes = 1 << 20},
                        .delivery = {.mode = HTEL_DELIVERY_BROKER, .rate_per_s_max = 90},
                        .fault = &fault};
  int rc = htel_open(&it.tel, memory, sizeof memory, &config, &it.port);
  if (rc != 0) return fail(fault.field != NULL ? fault.why : htel_strerror(rc));
  live((uint32_t)strtoul(argv[4], NULL, 10));
  do {
    it.tick += STEP_MS;
    rc = htel_close(it.tel, 60000);
  } while (rc == HTEL_E_AGAIN);
  if (rc != 0) return fail(htel_strerror(rc));
  return capture_close(&it.out) == 0 ? 0 : fail("the file cannot be written");
}
