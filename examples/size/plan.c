/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "frame.h"
#include "store.h"
#include "trial.h"

#define DAY_S 86400.0
#define TRIAL_S_MAX 14400.0 /* of signal; longer outages are reckoned from it */
#define MIN_FRAME_BYTES 512u
#define RING_BYTES_MIN 256u
#define RING_BYTES_MAX 1048576u
#define FRAME_STEP_BYTES 64u /* frame sizes are multiples of it */
#define ALARM_BYTES 48u      /* a frame with an alarm or an anchor, about */
#define ALARM_BURST 8u       /* so many at once, beyond the rate */
#define ANCHORS_PER_HOUR 1u
#define GATHER_BYTES_EACH 1.5 /* a reading that waits to be modelled (HTEL_CODING_BEST), about */
#define GATHER_BYTES_EACH_MAX 2.5
#define FLASH_ENTRIES_BYTES 4096u
#define RECORD_BYTES 40u /* beside a frame on flash: its record and its receipt */
#define BLOCK_HEADER_BYTES 32u
#define FLASH_SPARE_BLOCKS 7u /* open in each log, and what the pool keeps */

/* Bytes on the wire beyond the payload, everything included: MQTT, TLS 1.2, TCP/IPv4 with
 * timestamps, receipts. Within 2 % of what docs/WIRE.md measured. */
#define WIRE_PUBLISH_BYTES 35.0 /* header and topic, with a device id of 12 characters */
#define WIRE_PUBACK_BYTES 4.0
#define WIRE_RECEIPT_BYTES 57.0
#define WIRE_RECORD_BYTES 29.0  /* of TLS, beside its contents */
#define WIRE_SEGMENT_BYTES 52.0 /* headers */
#define WIRE_SEGMENT_ROOM 1448.0
#define WIRE_ACKS 3.0          /* segments without data, beside those for full ones */
#define WIRE_DOWN 2.0          /* segments from the broker */
#define WIRE_ALONE_BYTES 137.0 /* a receipt that comes when PUBACK is long gone */
#define WIRE_ALONE_FROM_S 12u  /* as frames further apart have it */
#define WIRE_PING_BYTES 218.0
#define WIRE_PING_S 60.0 /* keep-alive */

/* Bytes of stack of who calls htel_poll, coding and with a handshake; and of mbedTLS's heap in one,
 * beside the two record buffers: all as the firmware of examples/mcu reports them on Cortex-M. */
#define STACK_FAST 2104u
#define STACK_BEST 5464u
#define STACK_TLS 3576u
#define TLS_HEAP_FIXED 6360u

static uint32_t round_up(uint64_t value, uint32_t step) {
  return (uint32_t)((value + step - 1u) / step * step);
}

static double rate_of(htel_rate rate) {
  return rate.num == 0 ? 0 : (double)rate.num / (rate.den == 0 ? 1 : rate.den);
}

/* ---- channels -------------------------------------------------------------------------- */

static void alarm_channel_add(plan *p, const wish *w) {
  if (w->alarms_per_hour == 0 || p->config.channel_count == HTEL_CHANNELS_MAX) return;
  p->channels[p->config.channel_count++] =
      (htel_channel){.code = HTEL_MDC_PRIVATE(0xF000u), .kind = HTEL_ALARM, .index = 255};
}

static void channels_from_wish(plan *p, const wish *w) {
  for (uint16_t i = 0; i < w->channel_count; i++) {
    const wish_channel *c = &w->channels[i];
    double block = rate_of(c->rate) * w->block_ms / 1000;
    p->channels[i] =
        (htel_channel){.code = HTEL_MDC_PRIVATE(0xF001u),
                       .kind = c->signal->waveform ? HTEL_WAVEFORM : HTEL_NUMERIC,
                       .rate = c->rate,
                       .index = (uint8_t)i,
                       .block_max = c->signal->waveform ? (uint16_t)(block < 1      ? 1
                                                                     : block > 4096 ? 4096
                                                                                    : block)
                                                        : 0};
  }
  p->config.channel_count = w->channel_count;
}

/* ---- the ring: all that comes between two polls ---------------------------------------------- */

static int ring_find(plan *p, const wish *w, char *error) {
  double words = 32; /* kept for alarms */
  for (uint16_t i = 0; i < p->config.channel_count; i++) {
    const htel_channel *c = &p->channels[i];
    uint32_t record = RING_HEAD_WORDS + (c->kind == HTEL_WAVEFORM ? c->block_max : 1u);
    double per_s = c->kind == HTEL_WAVEFORM ? rate_of(c->rate) / c->block_max : rate_of(c->rate);
    words += record * (floor(per_s * w->poll_ms / 1000) + 2);
  }
  p->config.ring_bytes[0] = RING_BYTES_MIN;
  while (p->config.ring_bytes[0] < 4 * words && p->config.ring_bytes[0] < RING_BYTES_MAX)
    p->config.ring_bytes[0] *= 2;
  if (p->config.ring_bytes[0] >= 4 * words) return 0;
  snprintf(error, PLAN_ERROR_BYTES_MAX,
           "%.0f bytes of readings come between two polls, a ring holds %u: a smaller --poll-ms",
           4 * words, RING_BYTES_MAX);
  return -1;
}

/* ---- frames, by the figures of docs/SIZES.md --------------------------------------------------
 */

/* Seconds from frame to frame: those of a frame, or more where readings are rarer than that. */
static double class_period(const wish *w, bool waveform) {
  double fastest = 0;
  for (uint16_t i = 0; i < w->channel_count; i++) {
    double rate = rate_of(w->channels[i].rate);
    if (w->channels[i].signal->waveform == waveform && rate > fastest) fastest = rate;
  }
  return fastest * w->frame_s >= 1 || fastest == 0 ? w->frame_s : 1 / fastest;
}

static double class_frame_bytes(const wish *w, bool waveform, double period, double *readings) {
  double bytes = SIGNAL_ENVELOPE;
  *readings = 0;
  for (uint16_t i = 0; i < w->channel_count; i++) {
    const wish_channel *c = &w->channels[i];
    double channel, reading;
    if (c->signal->waveform != waveform) continue;
    signal_cost(c->signal, w->coding, &channel, &reading);
    double given = waveform ? w->wave_bytes : w->numeric_bytes;
    double count = rate_of(c->rate) * period;
    bytes += given > 0 ? given * count : channel + reading * count;
    *readings += count;
  }
  return *readings > 0 ? bytes : 0;
}

/* What gathers before a frame is closed. */
static double gather_bytes(const wish *w, double frame, double readings) {
  return w->coding == HTEL_CODING_BEST ? GATHER_BYTES_EACH * readings : frame;
}

/* The largest frame that a log of these blocks takes. */
static uint32_t frame_room_max(const wish *w) {
  const htel_flash flash = {.block_bytes = w->flash_block_bytes,
                            .block_count = STORE_BLOCKS_MIN,
                            .program_bytes = w->flash_program_bytes};
  const store log = {.flash = &flash};
  uint32_t most =
      w->on_flash ? store_frame_bytes_max(&log, HTEL_CLASS_ALARM) : HTEL_FRAME_BYTES_MAX;
  if (most > HTEL_FRAME_BYTES_MAX) most = HTEL_FRAME_BYTES_MAX;
  return most / FRAME_STEP_BYTES * FRAME_STEP_BYTES;
}

static uint32_t frame_room(const wish *w, double gathered) {
  if (w->frame_bytes != 0) return w->frame_bytes;
  double bytes = gathered * (100 + w->margin) / 100 + FRAME_ENVELOPE_BYTES_MAX;
  if (bytes > frame_room_max(w)) bytes = frame_room_max(w);
  uint32_t room = round_up((uint64_t)bytes, FRAME_STEP_BYTES);
  return room < MIN_FRAME_BYTES ? MIN_FRAME_BYTES : room;
}

static uint32_t count_of(double count) {
  return count < UINT32_MAX / 2 ? (uint32_t)ceil(count) : UINT32_MAX / 2;
}

static uint32_t frames_in(double seconds, double frame_s, double parts) {
  /* and the one before, whose receipt was to come */
  return count_of(parts * (ceil(seconds / frame_s) + 1));
}

static void alarms_estimate(plan *p, const wish *w, double seconds) {
  double per_hour = w->alarms_per_hour + ANCHORS_PER_HOUR;
  uint32_t burst = w->alarms_per_hour > 0 ? ALARM_BURST : 0;
  p->classes[HTEL_CLASS_ALARM] =
      (plan_class){.used = true,
                   .frame_bytes = ALARM_BYTES,
                   .frame_bytes_max = ALARM_BYTES,
                   .frames_per_day = per_hour * 24,
                   .frames_waiting = (uint32_t)ceil(per_hour * seconds / 3600) + 1u + burst};
}

/* Bytes that an open frame of the class takes, as the library lays it out. */
static double class_room(const plan *p, uint8_t c) {
  htel_config config = p->config;
  config.outbox = (htel_outbox_config){.bytes = 4u * HTEL_FRAME_BYTES_MAX};
  int32_t bytes = config_apply(&config, NULL);
  uint8_t *here = bytes > 0 ? malloc((size_t)bytes) : NULL;
  double room = p->config.batch.bytes_max - FRAME_ENVELOPE_BYTES_MAX;
  if (here != NULL && config_apply(&config, here) > 0)
    room = ((const htel *)(const void *)here)->batch.frames[c].room;
  free(here);
  return room;
}

static void class_estimate(plan *p, const wish *w, uint8_t c) {
  double readings, seconds = w->outage_s + w->reconnect_s;
  double period = class_period(w, c == HTEL_CLASS_WAVEFORM);
  double bytes = class_frame_bytes(w, c == HTEL_CLASS_WAVEFORM, period, &readings);
  if (readings == 0) return;
  double gathered = gather_bytes(w, bytes, readings), room = class_room(p, c);
  double parts = gathered > room ? ceil(gathered / room) : 1; /* a frame is closed when full */
  bytes = (bytes + (parts - 1) * SIGNAL_ENVELOPE) / parts;
  p->readings_day += readings / period * DAY_S;
  p->classes[c] = (plan_class){.used = true,
                               .frame_bytes = bytes,
                               .frame_bytes_max = (uint32_t)ceil(bytes * (100 + w->margin) / 100),
                               .frames_per_day = parts / period * DAY_S,
                               .frames_waiting = frames_in(seconds, period, parts)};
}

static void frames_estimate(plan *p, const wish *w) {
  double gathered = 0, readings;
  alarms_estimate(p, w, w->outage_s + w->reconnect_s);
  for (unsigned wave = 0; wave < 2; wave++) {
    double bytes = class_frame_bytes(w, wave == 1, class_period(w, wave == 1), &readings);
    double here = gather_bytes(w, bytes, readings);
    if (here > gathered) gathered = here;
  }
  p->config.batch.bytes_max = (uint16_t)frame_room(w, gathered);
  class_estimate(p, w, HTEL_CLASS_NUMERIC);
  class_estimate(p, w, HTEL_CLASS_WAVEFORM);
  for (unsigned c = 0; c < HTEL_CLASS_COUNT; c++)
    p->outbox_waiting +=
        (uint64_t)p->classes[c].frames_waiting * outbox_bytes_for(p->classes[c].frame_bytes_max);
}

/* ---- frames, by coding recordings --------------------------------------------------------------
 */

static int trial_of(const plan *p, const wish *w, uint32_t duration_s, uint32_t outage_at_s,
                    trial_result *result, char *error) {
  trial_plan t = {.paths = w->recordings,
                  .path_count = w->recording_count,
                  .config = &p->config,
                  .poll_ms = w->poll_ms,
                  .duration_s = duration_s,
                  .outage_at_s = outage_at_s,
                  .outage_s = outage_at_s == 0 ? 0 : w->outage_s};
  return trial_run(&t, result, error, PLAN_ERROR_BYTES_MAX);
}

/* The most that frames closed within so many seconds take, wherever these begin. */
static uint32_t worst_window(const trial_result *r, double seconds,
                             uint32_t waiting[HTEL_CLASS_COUNT]) {
  uint64_t window_ms = (uint64_t)(seconds * 1000);
  uint64_t sum = 0, most = 0;
  uint32_t counts[HTEL_CLASS_COUNT] = {0}, first = 0;
  for (uint32_t i = 0; i < r->frame_count; i++) {
    const trial_frame *f = &r->frames[i];
    sum += outbox_bytes_for(f->size);
    counts[f->frame_class]++;
    for (; r->frames[first].tick + window_ms < f->tick; first++) {
      sum -= outbox_bytes_for(r->frames[first].size);
      counts[r->frames[first].frame_class]--;
    }
    if (sum <= most) continue;
    most = sum;
    memcpy(waiting, counts, sizeof counts);
  }
  return (uint32_t)most;
}

static void frames_count(plan *p, const trial_result *r, uint32_t duration_s, uint8_t c) {
  uint64_t bytes = 0;
  uint32_t count = 0, max = 0;
  for (uint32_t i = 0; i < r->frame_count; i++) {
    if (r->frames[i].frame_class != c) continue;
    bytes += r->frames[i].size;
    if (r->frames[i].size > max) max = r->frames[i].size;
    count++;
  }
  p->classes[c].used = count > 0;
  p->classes[c].frame_bytes = count > 0 ? (double)bytes / count : 0;
  p->classes[c].frame_bytes_max = max;
  p->classes[c].frames_per_day = count * DAY_S / duration_s;
}

/* Alarms that the wish adds to those of no recording. */
static uint32_t alarms_add(plan *p, const wish *w, double seconds) {
  plan_class frames = p->classes[HTEL_CLASS_ALARM];
  if (w->alarms_per_hour == 0) return 0;
  alarms_estimate(p, w, seconds);
  plan_class *alarms = &p->classes[HTEL_CLASS_ALARM];
  if (frames.frames_waiting > alarms->frames_waiting) return 0;
  return (alarms->frames_waiting - frames.frames_waiting) * outbox_bytes_for(ALARM_BYTES);
}

/* Plays so long that the whole recording and two windows have been seen, within bounds. */
static uint32_t trial_seconds(const wish *w, const trial_device *device) {
  double longest = 0;
  for (unsigned i = 0; i < device->track_count; i++) {
    const track *t = &device->tracks[i];
    double rows = t->recording != NULL ? (double)t->recording->rows_stated : 0;
    double rate = rate_of(t->rate);
    if (rate > 0 && rows / rate > longest) longest = rows / rate;
  }
  double least = 2.0 * (w->outage_s + w->reconnect_s) + 4.0 * w->frame_s;
  double most = TRIAL_S_MAX > 20.0 * w->frame_s ? TRIAL_S_MAX : 20.0 * w->frame_s;
  double seconds = longest > least ? longest : least;
  return (uint32_t)ceil(seconds < most ? seconds : most);
}

/* The smallest frame that holds what so many seconds bring: found by playing. */
static int frame_room_try(plan *p, const wish *w, uint32_t duration_s, char *error) {
  trial_result r;
  uint32_t largest = 0, count;
  p->config.batch.bytes_max = HTEL_FRAME_BYTES_MAX;
  if (trial_of(p, w, duration_s, 0, &r, error) != 0) return -1;
  for (uint32_t i = 0; i < r.frame_count; i++)
    if (r.frames[i].size > largest) largest = r.frames[i].size;
  free(r.frames);
  count = r.frame_count;
  double readings = (double)r.recorded * w->frame_s / duration_s;
  p->config.batch.bytes_max = (uint16_t)frame_room(w, largest);
  if (w->coding != HTEL_CODING_BEST) return 0;
  for (double each = 1; each <= GATHER_BYTES_EACH_MAX; each += 0.125) {
    p->config.batch.bytes_max = (uint16_t)frame_room(w, each * readings);
    if (trial_of(p, w, duration_s, 0, &r, error) != 0) return -1;
    free(r.frames);
    if (r.frame_count <= count + count / 100) break;
    if (p->config.batch.bytes_max + FRAME_STEP_BYTES > frame_room_max(w)) break;
  }
  return 0;
}

static int frames_try(plan *p, const wish *w, const trial_device *device, char *error) {
  double seconds = w->outage_s + w->reconnect_s + w->frame_s;
  uint32_t duration_s = trial_seconds(w, device);
  trial_result r;
  uint32_t waiting[HTEL_CLASS_COUNT] = {0};
  p->config.outbox.bytes = 1u << 20; /* nothing waits long in these */
  p->config.ring_bytes[0] = 1u << 20;
  p->config.batch.bytes_max = (uint16_t)w->frame_bytes;
  if (w->frame_bytes == 0 && frame_room_try(p, w, duration_s, error) != 0) return -1;
  if (trial_of(p, w, duration_s, 0, &r, error) != 0) return -1;
  double window = seconds < duration_s / 2.0 ? seconds : duration_s / 2.0;
  p->outbox_waiting = worst_window(&r, window, waiting);
  for (uint8_t c = 0; c < HTEL_CLASS_COUNT; c++) {
    frames_count(p, &r, duration_s, c);
    p->classes[c].frames_waiting = count_of(waiting[c] * seconds / window);
  }
  p->outbox_waiting = (uint64_t)ceil((double)p->outbox_waiting * seconds / window);
  p->readings_day = (double)r.recorded * DAY_S / duration_s;
  free(r.frames);
  p->outbox_waiting += alarms_add(p, w, seconds);
  return 0;
}

/* ---- the outbox ---------------------------------------------------------------------------- */

/* Room to put the next frame together behind those that wait. */
static uint32_t outbox_headroom(const plan *p, const wish *w) {
  uint32_t room = FRAME_ENVELOPE_BYTES_MAX + 8u;
  return w->coding == HTEL_CODING_BEST ? p->config.batch.bytes_max + room : room;
}

static int outbox_in_ram(plan *p, const wish *w, char *error) {
  uint64_t bytes = p->outbox_waiting + outbox_headroom(p, w);
  uint32_t least = 2u * outbox_bytes_for(p->config.batch.bytes_max);
  if (bytes < least) bytes = least;
  if (bytes > 1u << 30) {
    snprintf(error, PLAN_ERROR_BYTES_MAX,
             "an outbox of %.0f MB: beyond what RAM can hold; see --outbox flash",
             (double)bytes / 1e6);
    return -1;
  }
  p->config.outbox = (htel_outbox_config){.bytes = round_up(bytes, FRAME_STEP_BYTES)};
  return 0;
}

#define FLASH_BYTES_MAX (16u << 20) /* port.h */

/* Blocks belong to one class each, and frames lie whole in one. */
static int outbox_on_flash(plan *p, const wish *w, char *error) {
  uint64_t blocks = FLASH_SPARE_BLOCKS;
  for (unsigned c = 0; c < HTEL_CLASS_COUNT; c++) {
    const plan_class *k = &p->classes[c];
    if (!k->used) continue;
    uint32_t each = round_up(k->frame_bytes_max, w->flash_program_bytes) + RECORD_BYTES;
    uint32_t in_block = (w->flash_block_bytes - BLOCK_HEADER_BYTES) / each;
    if (in_block == 0) in_block = 1; /* then the library refuses the configuration */
    blocks += (k->frames_waiting + in_block - 1u) / in_block;
  }
  if (blocks * w->flash_block_bytes > FLASH_BYTES_MAX) {
    snprintf(error, PLAN_ERROR_BYTES_MAX,
             "%.1f MB of flash for frames: the log has 16 MiB at most: a shorter outage, or fewer "
             "readings",
             (double)blocks * w->flash_block_bytes / 1e6);
    return -1;
  }
  p->flash = part_flash(w->flash_block_bytes, (uint32_t)blocks, w->flash_program_bytes);
  p->config.outbox = (htel_outbox_config){
      .bytes = FLASH_ENTRIES_BYTES, .code = &htel_outbox_on_flash, .flash = &p->flash};
  p->log_bytes = (uint32_t)blocks * w->flash_block_bytes;
  return 0;
}

/* ---- memory ---------------------------------------------------------------------------- */

static uint32_t part_bytes(plan_memory *m, const target *t, uint64_t bytes) {
  uint32_t aligned = round_up(bytes, t->state.align);
  m->all += aligned;
  return aligned;
}

/* The parts that config.c lays out, in its order. What is pointers in them differs by machine; how
 * many of each there are was decided when it laid them out here. */
static void memory_add(const htel *tel, const htel_config *config, const target *t,
                       const target *here, plan_memory *m) {
  const batch *b = &tel->batch;
  m->state += part_bytes(m, t, t->state.client);
  m->ring += part_bytes(m, t, (uint64_t)tel->ring_count * t->state.ring);
  for (uint16_t i = 0; i < tel->ring_count; i++)
    m->ring += part_bytes(m, t, 4u * (tel->rings[i].mask + 1u));
  m->state += part_bytes(m, t, (uint64_t)tel->channel_count * t->state.channel);
  m->columns += part_bytes(m, t, (uint64_t)tel->channel_count * t->state.column);
  for (uint16_t i = 0; i < tel->channel_count; i++) {
    uint32_t room = b->columns[i].room;
    m->columns += part_bytes(m, t, 4u * room);
    if (config->channels[i].kind != HTEL_NUMERIC) continue;
    m->columns += part_bytes(m, t, 4u * room) + part_bytes(m, t, room);
  }
  for (unsigned c = 0; c < HTEL_CLASS_COUNT; c++) m->frames += part_bytes(m, t, b->frames[c].room);
  uint32_t arena = tel->outbox.size + config->outbox.bytes % 8; /* of which it uses whole eights */
  if (config->outbox.code != NULL)
    arena = arena - round_up(here->state.flash_box, 8) + round_up(t->state.flash_box, 8);
  m->outbox += part_bytes(m, t, arena);
  uint32_t coding = config->coding == HTEL_CODING_BEST   ? t->state.best
                    : config->coding == HTEL_CODING_ZLIB ? t->state.zlib
                                                         : 0;
  m->coding += part_bytes(m, t, coding);
}

bool plan_memory_on(const htel_config *config, const target *t, plan_memory *memory) {
  *memory = (plan_memory){0};
  int32_t bytes = config_apply(config, NULL);
  uint8_t *here = bytes > 0 ? malloc((size_t)bytes) : NULL;
  if (here == NULL) return false;
  config_apply(config, here);
  memory_add((const htel *)(const void *)here, config, t, target_find("host"), memory);
  free(here);
  return true;
}

/* ---- all together --------------------------------------------------------------------- */

static void costs_add(plan *p, const wish *w) {
  const target_flash *f = &w->target->flash;
  const target_state *s = &w->target->state;
  p->core_flash = f->core;
  p->runtime_flash = f->runtime;
  if (w->on_flash) p->flash_outbox_flash = f->flash;
  if (w->coding == HTEL_CODING_BEST) p->coding_flash = f->best;
  if (w->coding == HTEL_CODING_ZLIB) p->coding_flash = f->zlib;
  p->stack = w->coding == HTEL_CODING_BEST ? STACK_BEST : STACK_FAST;
  if (w->texts) p->texts_flash = f->texts + f->words;
  if (w->link) {
    p->link_ram = s->mqtt + HTEL_LINK_MESSAGE_BYTES_MAX + w->tls_out_bytes;
    p->link_flash = f->mqtt;
  }
  if (w->tls) {
    p->tls_ram = s->tls;
    p->tls_heap = TLS_HEAP_FIXED + w->tls_in_bytes + w->tls_out_bytes;
    p->tls_flash = f->tls + f->mbedtls;
    p->runtime_flash += f->runtime_link;
    if (p->stack < STACK_TLS) p->stack = STACK_TLS;
  }
  p->ram_all = p->there.all + p->link_ram + p->tls_ram + p->tls_heap + p->stack;
  p->flash_all = p->core_flash + p->flash_outbox_flash + p->coding_flash + p->link_flash +
                 p->tls_flash + p->texts_flash + p->runtime_flash + p->log_bytes;
  p->fits_ram = w->ram_bytes == 0 || (uint64_t)p->ram_all + w->other_ram <= w->ram_bytes;
  p->fits_flash = w->flash_bytes == 0 || (uint64_t)p->flash_all + w->other_flash <= w->flash_bytes;
}

/* `frames` frames sent together, of `payload` bytes in all. */
static double wire_bytes(double frames, double payload, double records) {
  double up = payload + WIRE_PUBLISH_BYTES * frames + WIRE_RECORD_BYTES * records;
  double segments = ceil(up / WIRE_SEGMENT_ROOM);
  double acks = WIRE_ACKS + (segments > 2 ? floor(segments / 2) : 0);
  return up + (WIRE_PUBACK_BYTES * frames + WIRE_RECEIPT_BYTES + WIRE_RECORD_BYTES * WIRE_DOWN) +
         WIRE_SEGMENT_BYTES * (segments + WIRE_DOWN + acks);
}

/* Numerics and waveforms go together, alarms alone. */
static void wire_add(plan *p, const wish *w) {
  double sendings = 0, frames = 0, payload = 0;
  for (unsigned c = 0; c < HTEL_CLASS_COUNT; c++) {
    const plan_class *k = &p->classes[c];
    p->payload_day += k->frames_per_day * k->frame_bytes;
    if (c == HTEL_CLASS_ALARM) continue;
    if (k->frames_per_day > sendings) sendings = k->frames_per_day;
    frames += k->frames_per_day;
    payload += k->frames_per_day * k->frame_bytes;
  }
  double alone = w->frame_s > WIRE_ALONE_FROM_S ? WIRE_ALONE_BYTES : 0;
  double pings = (ceil(w->frame_s / WIRE_PING_S) - 1) * DAY_S / w->frame_s;
  const plan_class *alarms = &p->classes[HTEL_CLASS_ALARM];
  p->wire_day =
      alarms->frames_per_day * wire_bytes(1, alarms->frame_bytes, 1) + pings * WIRE_PING_BYTES;
  if (sendings == 0) return;
  double each = payload / sendings, records = ceil(each / w->tls_out_bytes);
  if (records < frames / sendings) records = frames / sendings;
  p->wire_day += sendings * (alone + wire_bytes(frames / sendings, each, records));
}

/* Plays an outage in the recordings with the very configuration that came out. */
static int outage_try(plan *p, const wish *w, char *error) {
  uint32_t at_s = w->outage_s / 2 + 2 * w->frame_s;
  trial_result r;
  if (w->on_flash || w->outage_s > TRIAL_S_MAX) return 0; /* there is no flash here */
  if (trial_of(p, w, at_s + 2 * w->outage_s + w->reconnect_s + 2 * w->frame_s, at_s, &r, error))
    return -1;
  p->tried = true;
  p->tried_lost = r.stats.readings_evicted + r.refused + r.stats.frames_evicted;
  p->tried_used = r.stats.outbox_bytes_max;
  free(r.frames);
  return 0;
}

int plan_make(plan *p, const wish *w, char *error) {
  trial_device device = {0};
  htel_config_fault fault = {0};
  *p = (plan){.config = {.device_id = "htel-size", .coding = w->coding}};
  p->config.channels = p->channels;
  p->config.batch.age_ms_max = w->frame_s * 1000u;
  p->config.delivery.backoff_max_ms = w->reconnect_s * 1000u;
  p->config.fault = &fault;
  int rc = 0;
  if (w->recording_count > 0) {
    if (trial_device_open(&device, w->recordings, w->recording_count, 1, error,
                          PLAN_ERROR_BYTES_MAX) != 0)
      return -1;
    memcpy(p->channels, device.channels, sizeof p->channels);
    p->config.channel_count = device.channel_count;
    rc = frames_try(p, w, &device, error);
  } else {
    channels_from_wish(p, w);
  }
  if (rc == 0) alarm_channel_add(p, w);
  if (rc == 0) rc = ring_find(p, w, error);
  if (rc == 0 && w->recording_count == 0) frames_estimate(p, w);
  if (rc == 0) rc = w->on_flash ? outbox_on_flash(p, w, error) : outbox_in_ram(p, w, error);
  if (rc == 0 && !plan_memory_on(&p->config, w->target, &p->there)) {
    snprintf(error, PLAN_ERROR_BYTES_MAX, "%s: %s", fault.field ? fault.field : "memory",
             fault.why ? fault.why : "there is not enough of it here");
    rc = -1;
  }
  if (rc == 0) plan_memory_on(&p->config, target_find("host"), &p->here);
  if (rc == 0 && w->recording_count > 0) rc = outage_try(p, w, error);
  if (rc == 0) {
    costs_add(p, w);
    wire_add(p, w);
  }
  /* Their names were the recordings'. */
  for (uint16_t i = 0; w->recording_count > 0 && i < p->config.channel_count; i++)
    p->channels[i].name = p->channels[i].unit = NULL;
  trial_device_close(&device);
  p->config.fault = NULL;
  return rc;
}
