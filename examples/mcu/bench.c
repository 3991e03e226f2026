/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c - see bench.h. To be run under -icount shift=10, where an instruction is 1024 ns.
 *
 * The device is one ECG at 250 Hz and three numerics a second, as most patches and small monitors
 * are. Its ECG has the values of the built-in recording, which was taken at 360 Hz. */
#include "bench.h"

#include "board.h"
#include "device.h"
#include "gauge.h"
#include "text.h"

#define RATE_HZ 250u
#define BLOCK 10u /* 40 ms */
#define OUTAGE_S 60u
#define RECORDS 24u
#define RAM_FAST 24576u /* what a minute may take */
#define RAM_BEST 36864u

enum { ECG, NUMERIC, CHANNELS = 4 };

static const htel_channel channels[CHANNELS] = {
    {.code = HTEL_MDC_ECG_LEAD_II, .kind = HTEL_WAVEFORM, .rate = {RATE_HZ, 1}, .block_max = BLOCK},
    {.code = HTEL_MDC_PULSE_RATE_OXIMETER, .rate = {1, 1}},
    {.code = HTEL_MDC_SPO2, .rate = {1, 1}},
    {.code = HTEL_MDC_RESPIRATION_RATE, .rate = {1, 1}},
};

static uint32_t overhead; /* of a measurement */

static uint32_t instructions_since(uint32_t began_cycles) {
  uint32_t all = (uint32_t)gauge_instructions(clock_cycles() - began_cycles);
  return all > overhead ? all - overhead : 0;
}

/* ---- A port without a network ---------------------------------------------------------------- */

static uint32_t now_ms;
static bool woken;

static uint32_t turned_tick_ms(void *ctx) {
  (void)ctx;
  return now_ms;
}

static uint32_t real_tick_ms(void *ctx) {
  (void)ctx;
  return clock_ms();
}

static void bench_wake(void *ctx) {
  (void)ctx;
  woken = true;
}

static int bench_random(void *ctx, uint8_t *buf, size_t size) {
  (void)ctx;
  for (size_t i = 0; i < size; i++) buf[i] = (uint8_t)(i * 37u);
  return 0;
}

static int no_open(void *ctx, const htel_link_session *session) {
  (void)ctx;
  (void)session;
  return HTEL_E_CONNECT;
}

static int no_publish(void *ctx, const htel_message *message) {
  (void)ctx;
  (void)message;
  return HTEL_E_CLOSED;
}

static int no_next(void *ctx, htel_link_event *event) {
  (void)ctx;
  (void)event;
  return 0;
}

static uint32_t no_wait_ms(void *ctx) {
  (void)ctx;
  return 1000;
}

static void no_close(void *ctx) {
  (void)ctx;
}

static const htel_link no_link = {.open = no_open,
                                  .publish = no_publish,
                                  .next = no_next,
                                  .wait_ms = no_wait_ms,
                                  .close = no_close};
static const htel_port bench_port = {
    .tick_ms = turned_tick_ms, .random = bench_random, .wake = bench_wake, .link = &no_link};
static const htel_port real_port = {
    .tick_ms = real_tick_ms, .random = bench_random, .wake = bench_wake, .link = &no_link};

/* ---- Recording ---------------------------------------------------------------------------------
 */

typedef struct spread {
  uint32_t least, most;
} spread;

static void spread_add(spread *s, uint32_t n) {
  if (s->least == 0 || n < s->least) s->least = n;
  if (n > s->most) s->most = n;
}

static void spread_print(const char *what, const spread *s) {
  line_begin("bench:");
  line_text("what", what);
  line_number("instructions", s->least);
  line_number("most", s->most);
  line_end();
}

static const int32_t block[BLOCK] = {1001, 1003, 1004, 1008, 1010, 1009, 1007, 1004, 1003, 1002};

static htel_config config_of(uint8_t coding) {
  return (htel_config){.device_id = "bench",
                       .channels = channels,
                       .channel_count = CHANNELS,
                       .ring_bytes = {1024},
                       .coding = coding,
                       .batch = {.bytes_max = 2048}};
}

/* With the firmware's own clock, as an interrupt calls it. The dearest ones wake the poller. */
static void bench_record(htel *tel) {
  spread numeric = {0, 0}, wave = {0, 0};
  for (uint32_t i = 0; i < RECORDS; i++) {
    uint32_t began = clock_cycles();
    htel_record(tel, NUMERIC, 72);
    spread_add(&numeric, instructions_since(began));
    began = clock_cycles();
    htel_record_block(tel, ECG, block, BLOCK);
    spread_add(&wave, instructions_since(began));
    if (i % 12u == 11u) htel_poll(tel);
  }
  spread_print("record", &numeric);
  spread_print("record_block_of_10", &wave);
}

static void bench_records(void *memory, size_t size) {
  htel_config config = config_of(HTEL_CODING_FAST);
  htel *tel;
  config.outbox.bytes = 4608;
  if (htel_open(&tel, memory, size, &config, &real_port) == 0) bench_record(tel);
}

/* ---- A minute of signal
 * -------------------------------------------------------------------------- */

typedef struct minute {
  uint64_t polls;   /* instructions of all of them */
  uint64_t closing; /* of those that closed a frame */
  uint32_t closed;  /* frames */
  uint32_t count;   /* polls */
  uint32_t most;    /* instructions of a poll */
  uint32_t samples;
} minute;

static uint32_t poll_once(htel *tel, minute *m) {
  htel_stats s;
  htel_stats_get(tel, &s);
  uint32_t frames = s.frames_closed, began = clock_cycles();
  uint32_t wait_ms = htel_poll(tel);
  uint32_t took = instructions_since(began);
  htel_stats_get(tel, &s);
  m->polls += took;
  m->count++;
  if (took > m->most) m->most = took;
  if (s.frames_closed == frames) return wait_ms;
  m->closing += took;
  m->closed += s.frames_closed - frames;
  return wait_ms;
}

/* As the firmware's loop does: a poll when a ring is half full, and when its wait is over. */
static void play(htel *tel, minute *m, unsigned channel_count) {
  int32_t samples[BLOCK];
  uint32_t at = 0, polled_ms = 0, wait_ms = 0;
  now_ms = 0;
  for (uint32_t n = 0; n < OUTAGE_S * RATE_HZ / BLOCK; n++) {
    for (unsigned i = 0; i < BLOCK; i++) {
      samples[i] = recording[at];
      at = at + 1u < recording_samples ? at + 1u : 0;
    }
    now_ms += BLOCK * 1000u / RATE_HZ;
    htel_record_block(tel, ECG, samples, BLOCK);
    if (n % (RATE_HZ / BLOCK) == 0)
      for (unsigned c = NUMERIC; c < channel_count; c++)
        htel_record(tel, c, device_numeric(c, now_ms / 1000u));
    m->samples += BLOCK;
    if (!woken && now_ms - polled_ms < wait_ms) continue;
    woken = false;
    polled_ms = now_ms;
    wait_ms = poll_once(tel, m);
  }
}

/* A poll that finds nothing to do. */
static uint32_t idle_instructions(htel *tel) {
  htel_poll(tel);
  uint32_t began = clock_cycles();
  htel_poll(tel);
  return instructions_since(began);
}

/* The outbox gets what the level's RAM leaves. Nothing may be evicted in a minute; what the outbox
 * did not need is not counted. */
static int bench_coding(const char *name, uint8_t coding, uint32_t ram, unsigned channel_count,
                        void *memory, size_t size) {
  htel_config config = config_of(coding);
  config.channel_count = (uint16_t)channel_count;
  config.outbox.bytes = 8192;
  int32_t needed = htel_memory_needed(&config);
  if (needed < 0) return 0; /* not built in */
  config.outbox.bytes += (ram - (uint32_t)needed) & ~15u;
  needed = htel_memory_needed(&config);
  htel *tel;
  minute m = {0};
  htel_stats s;
  if ((uint32_t)needed > size || htel_open(&tel, memory, size, &config, &bench_port) != 0) {
    line_begin("bench: no memory");
    line_end();
    return 1;
  }
  uint32_t idle = idle_instructions(tel);
  play(tel, &m, channel_count);
  htel_stats_get(tel, &s);
  line_begin("bench: what=coding");
  line_text("level", name);
  line_number("channels", channel_count);
  line_number("instructions_a_sample", (int64_t)(m.polls / m.samples));
  line_number("polls", m.count);
  line_number("idle_poll", idle);
  line_number("closing_a_frame", m.closed > 0 ? (int64_t)(m.closing / m.closed) : 0);
  line_number("poll_most", m.most);
  line_number("frames", m.closed);
  line_number("payload", (int64_t)s.payload_bytes);
  line_number("ram_given", needed);
  line_number("ram_needed", needed - (int64_t)(config.outbox.bytes - s.outbox_bytes_max));
  line_number("outage_s", OUTAGE_S);
  line_number("evicted", (int64_t)(s.readings_evicted + s.readings_refused));
  line_number("stack_peak", board_stack_peak());
  line_end();
  return s.readings_evicted + s.readings_refused == 0 ? 0 : 1;
}

int bench_run(void *memory, size_t size) {
  uint32_t began = clock_cycles();
  overhead = (uint32_t)gauge_instructions(clock_cycles() - began);
  line_begin("bench:");
  line_text("board", BOARD_NAME);
  line_number("icount", gauge_exact());
  line_end();
  bench_records(memory, size);
  int lost = 0;
  for (unsigned n = 1; n <= CHANNELS; n += CHANNELS - 1u)
    lost |= bench_coding("fast", HTEL_CODING_FAST, RAM_FAST, n, memory, size);
  for (unsigned n = 1; n <= CHANNELS; n += CHANNELS - 1u)
    lost |= bench_coding("best", HTEL_CODING_BEST, RAM_BEST, n, memory, size);
  return lost;
}
