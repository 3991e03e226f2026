/* SPDX-License-Identifier: Apache-2.0 */
#include "strange.h"

/* Where two random numbers are drawn, each has a line of its own: in one expression the compiler
 * would choose their order. */

enum { STEP_MS = 40, READINGS_A_SECOND = 400 };
#define TICK_BEGIN 4294960000u /* so that 32 bits are soon passed */

static uint32_t below(strange *it, uint32_t limit) {
  return random_below(&it->random, limit);
}
static int32_t around(strange *it, uint32_t range) {
  return random_around(&it->random, range);
}
static bool chance(strange *it, uint32_t of) {
  return below(it, of) == 0;
}

static uint32_t port_tick(void *ctx) {
  return ((strange *)ctx)->tick;
}

static int port_random(void *ctx, uint8_t *buf, size_t size) {
  for (size_t i = 0; i < size; i++) buf[i] = (uint8_t)random_u32(&((strange *)ctx)->random);
  return 0;
}

/* Now and then boots before this one ended without a word. */
static int port_boot_begin(void *ctx, htel_boot *boot) {
  strange *it = ctx;
  *boot = (htel_boot){.number = 1000 + below(it, 1000)};
  boot->unclean = chance(it, 2);
  boot->unclean_first = boot->number - 1 - below(it, 3);
  return 0;
}

/* ---- What it measures ----------------------------------------------------------------------- */

static htel_channel channel_make(strange *it, unsigned i, uint8_t kind) {
  static const htel_rate wave_rates[] = {{360, 1},  {250, 1}, {1000, 3}, {64, 1},
                                         {2000, 1}, {32, 1},  {999, 8},  {1, 3}};
  static const htel_rate numeric_rates[] = {{0, 0}, {1, 1}, {1, 5}, {4, 1}, {3, 1}, {1000, 1}};
  static const char *const names[] = {NULL, "A", "B", "ECG_II", "x,y", "a\"b", "C"};
  htel_channel ch = {
      .code = 100 + i / 3, .index = (uint8_t)(i % 3), .kind = kind, .block_max = 128};
  ch.name = names[below(it, sizeof names / sizeof names[0])];
  if (kind == HTEL_WAVEFORM)
    ch.rate = wave_rates[below(it, sizeof wave_rates / sizeof wave_rates[0])];
  if (kind == HTEL_NUMERIC) ch.rate = numeric_rates[below(it, 6)];
  ch.exponent = (int8_t)around(it, 12);
  ch.gain = around(it, 1000);
  ch.offset = around(it, 1u << 30);
  return ch;
}

/* Groups of one to three alike: two leads, three axes, systolic and diastolic. */
static void channels_make(strange *it) {
  uint32_t budget = READINGS_A_SECOND;
  for (unsigned turn = 0; turn < 20 && it->count + 4u < STRANGE_CHANNELS; turn++) {
    unsigned group = 1 + below(it, 3);
    htel_channel like =
        channel_make(it, it->count, it->count == 0 || chance(it, 3) ? HTEL_WAVEFORM : HTEL_NUMERIC);
    uint32_t cost =
        like.kind == HTEL_WAVEFORM ? group * (1 + like.rate.num / like.rate.den) : group;
    if (cost > budget) continue;
    budget -= cost;
    strange_signal signal = {.until = TICK_BEGIN, .next = TICK_BEGIN};
    signal.period = chance(it, 2) ? 1000 : 200 + below(it, 5000);
    signal.jitter = chance(it, 2) ? 0 : below(it, 400);
    for (unsigned k = 0; k < group; k++) {
      htel_channel own = channel_make(it, it->count, like.kind);
      own.rate = like.rate;
      it->signals[it->count] = signal;
      it->channels[it->count++] = own;
    }
  }
  it->channels[it->count] = channel_make(it, it->count, HTEL_ALARM);
  it->count++;
}

/* ---- What it sees ---------------------------------------------------------------------------- */

static int32_t sum(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a + (uint32_t)b);
}

static int32_t signal_next(strange *it, unsigned channel) {
  strange_signal *s = &it->signals[channel];
  if ((int32_t)(it->tick - s->until) >= 0) {
    s->until = it->tick + 500 + below(it, 20000);
    s->shape = it->is_wild && chance(it, 8) ? below(it, 4) : 4 + below(it, 8);
    if (it->is_wild && chance(it, 20)) s->value = (int32_t)random_u32(&it->random);
    if (chance(it, 4)) s->value = around(it, 2000);
    s->slope = around(it, it->is_wild ? 100000 : 100);
  }
  switch (s->shape) {
    /* Wild, where blocks are as good as columns: */
    case 0: s->value = sum(s->value, around(it, 1u << 30)); break;
    case 1: s->value = (int32_t)random_u32(&it->random); break;
    case 2: s->value = s->value == INT32_MAX ? INT32_MIN : INT32_MAX; break;
    case 3:
      s->value = chance(it, 40) ? (int32_t)random_u32(&it->random) : (int32_t)below(it, 3);
      break;
    /* and tame: */
    case 4: break; /* it stands still */
    case 5: s->value = sum(s->value, around(it, 3)); break;
    case 6: s->value = sum(s->value, s->slope); break;
    case 7: s->value = sum(5000, around(it, 100)); break;
    case 8: /* it swings */
      s->slope -= (s->value % 100000) / 64;
      s->value = sum(s->value % 100000, s->slope % 10000 + around(it, 2));
      break;
    case 9: s->value = sum(s->value, 22 * around(it, 2)); break;
    case 10: s->value = sum(s->value, chance(it, 4) ? around(it, 40) : 0); break;
    default: /* it goes with the one before */
      s->value = channel > 0 ? sum(it->signals[channel - 1].value, around(it, 4)) : 7;
      break;
  }
  return s->value;
}

static htel_quality quality_next(strange *it, strange_signal *s, uint32_t lasting) {
  if (chance(it, lasting)) s->quality = (uint8_t)(chance(it, 2) ? HTEL_VALID : below(it, 8));
  return (htel_quality)s->quality;
}

static void wave_record(strange *it, unsigned channel) {
  strange_signal *s = &it->signals[channel];
  const htel_rate *rate = &it->channels[channel].rate;
  uint64_t now = (uint64_t)(it->tick - TICK_BEGIN) * rate->num / (1000u * rate->den);
  if (chance(it, 200)) s->sample += below(it, 2000); /* a gap */
  int32_t samples[128];
  while (s->sample < now) {
    uint16_t count = (uint16_t)(1 + below(it, 100));
    if (count > now - s->sample) count = (uint16_t)(now - s->sample);
    for (unsigned i = 0; i < count; i++) samples[i] = signal_next(it, channel);
    uint32_t tick = TICK_BEGIN + (uint32_t)(s->sample * 1000u * rate->den / rate->num);
    htel_record_block_at(it->tel, channel, samples, count, quality_next(it, s, 300), tick);
    s->sample += count;
  }
}

/* All of a group have one period, and so one time; some come late, or are out of order. */
static void numeric_record(strange *it, unsigned channel) {
  strange_signal *s = &it->signals[channel];
  while ((int32_t)(it->tick - s->next) >= 0) {
    uint32_t tick = s->next - (s->jitter > 0 && chance(it, 3) ? below(it, s->jitter) : 0);
    htel_quality quality = quality_next(it, s, 15);
    htel_record_at(it->tel, channel, signal_next(it, channel), quality, tick);
    s->next += chance(it, 50) ? 3 * s->period : s->period;
  }
}

static void alarm_record(strange *it, unsigned channel) {
  if (!chance(it, 150)) return;
  htel_alarm_event event = {.code = random_u32(&it->random)};
  event.state = (uint8_t)below(it, 4);
  event.priority = (uint8_t)below(it, 4);
  event.latched = chance(it, 2);
  event.source = (uint8_t)below(it, it->count);
  if (chance(it, 4)) event.source = HTEL_NO_SOURCE;
  htel_alarm(it->tel, channel, &event);
}

void strange_live(strange *it, uint32_t seconds) {
  htel_utc_set(it->tel, TICK_BEGIN, 1795305600000, 25);
  uint32_t late = 0;
  for (uint32_t i = 0; i < seconds * 1000 / STEP_MS; i++) {
    it->tick += STEP_MS;
    if (chance(it, 500)) {
      uint32_t uncertainty_ms = below(it, 1000);
      htel_utc_set(it->tel, it->tick, 1795305600000 + around(it, 100000), uncertainty_ms);
    }
    if (chance(it, 2000)) htel_session_set(it->tel, random_u64(&it->random));
    for (unsigned c = 0; c < it->count; c++) {
      if (it->channels[c].kind == HTEL_WAVEFORM) wave_record(it, c);
      if (it->channels[c].kind == HTEL_NUMERIC) numeric_record(it, c);
      if (it->channels[c].kind == HTEL_ALARM) alarm_record(it, c);
    }
    if (chance(it, 300)) late = below(it, 120); /* the ring fills up */
    if (late > 0)
      late--;
    else
      htel_poll(it->tel);
  }
}

/* ---- Its life -------------------------------------------------------------------------------- */

void strange_init(strange *it, uint64_t seed) {
  *it = (strange){.random = {seed}, .tick = TICK_BEGIN};
  it->is_wild = chance(it, 3);
  channels_make(it);
}

htel_port strange_port(strange *it, const htel_link *link) {
  return (htel_port){.ctx = it,
                     .tick_ms = port_tick,
                     .random = port_random,
                     .boot_begin = port_boot_begin,
                     .link = link};
}

htel_config strange_config(strange *it, htel_coding coding, uint32_t frame_s) {
  return (htel_config){.device_id = "strange-1",
                       .firmware = "0.0.1",
                       .channels = it->channels,
                       .channel_count = it->count,
                       .ring_bytes = {2048},
                       .session = random_u64(&it->random),
                       .coding = (uint8_t)coding,
                       .batch = {frame_s * 1000, 61440},
                       .outbox = {.bytes = 1 << 20},
                       .delivery = {.mode = HTEL_DELIVERY_BROKER, .rate_per_s_max = 90}};
}

int strange_close(strange *it) {
  int rc;
  do {
    it->tick += STEP_MS;
    rc = htel_close(it->tel, 60000);
  } while (rc == HTEL_E_AGAIN);
  return rc;
}
