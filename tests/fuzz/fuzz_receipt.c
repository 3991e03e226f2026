/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_receipt.c - receipts: any bytes at all, and a whole client that gets them from an ingest
 * that lies.
 *
 * The first byte chooses. The client records, and a link tells it whatever the input says:
 * receipts made of noise or of numbers near the right ones, acknowledgements of anything, ends.
 * Held against it, all the time: a frame leaves the outbox only when it was published and then
 * receipted, or evicted and counted. And in the end, when the ingest has become honest: every
 * reading that was accepted is in a frame that was published, or in a loss record. */
#include "client.h"
#include "fuzz.h"

enum { PULSE, ECG, ALARM, CHANNELS };
static const htel_channel channels[CHANNELS] = {
    [PULSE] = {.code = 1},
    [ECG] = {.code = 2, .kind = HTEL_WAVEFORM, .rate = {100, 1}, .column_samples = 32},
    [ALARM] = {.code = 3, .kind = HTEL_ALARM},
};

#define BOOT 7u
#define FRAMES_MAX 2048u
#define EVENTS_MAX 64u
#define LOSSES_MAX 4096u
#define STEPS_MAX 400u
#define TICK_FIRST 1000u

typedef struct published_frame {
  uint32_t crc; /* of all bytes */
  uint32_t readings;
  uint8_t frame_class;
  bool sent, receipted;
  bool aside; /* receipted as quarantined: nothing that it carried was understood */
} published_frame;

typedef struct event {
  htel_link_event told;
  uint8_t bytes[HTEL_RECEIPT_BYTES_MAX];
} event;

typedef struct world {
  uint32_t tick_ms;
  uint64_t random;
  htel_link link;
  htel_port port;
  htel *tel;
  bool open, up, honest, boot_ended;
  uint8_t refuse; /* so many publishes say HTEL_E_AGAIN */
  int open_result;
  event events[EVENTS_MAX];
  unsigned event_first, event_count;
  event told;
  uint64_t accepted, refused[CHANNELS];
  uint32_t last_token;
  htel_birth birth;
  uint8_t payload[HTEL_FRAME_BYTES_MAX];
  published_frame frames[FRAMES_MAX]; /* by sequence */
  struct {
    htel_loss loss;
    uint32_t carrier; /* sequence of the frame */
  } losses[LOSSES_MAX];
  unsigned loss_count;
} world;

static world w;
static htel_reader reader;
static htel_series series;

/* ---- Port ----------------------------------------------------------------------------- */

static uint32_t port_tick(void *ctx) {
  (void)ctx;
  return w.tick_ms;
}

static int port_random(void *ctx, uint8_t *buf, size_t size) {
  (void)ctx;
  for (size_t i = 0; i < size; i++) {
    w.random = w.random * 6364136223846793005u + 1442695040888963407u;
    buf[i] = (uint8_t)(w.random >> 56);
  }
  return 0;
}

static int port_boot_begin(void *ctx, htel_boot *boot) {
  (void)ctx;
  *boot = (htel_boot){.number = BOOT};
  return 0;
}

static int port_boot_end(void *ctx) {
  (void)ctx;
  w.boot_ended = true;
  return 0;
}

/* ---- Link ----------------------------------------------------------------------------- */

static event *event_put(htel_link_event_kind kind) {
  if (w.event_count == EVENTS_MAX) return NULL;
  event *e = &w.events[(w.event_first + w.event_count++) % EVENTS_MAX];
  e->told = (htel_link_event){.kind = kind};
  return e;
}

static void receipt_put(const uint8_t *bytes, size_t size) {
  event *e = w.up ? event_put(HTEL_LINK_MESSAGE) : NULL;
  if (e == NULL) return;
  if (size > sizeof e->bytes) size = sizeof e->bytes;
  if (size > 0) memcpy(e->bytes, bytes, size);
  e->told.size = size;
}

static void ack_put(uint32_t token) {
  event *e = w.up ? event_put(HTEL_LINK_ACKED) : NULL;
  if (e != NULL) e->told.token = token;
}

/* What was under way is gone with the connection. */
static void down(int error) {
  if (!w.open) return;
  w.open = w.up = false;
  w.event_count = 0;
  event_put(HTEL_LINK_DOWN)->told.error = error;
}

static int link_open(void *ctx, const htel_link_session *session) {
  (void)ctx;
  MUST(!w.open && session->receive_topic != NULL);
  w.open = w.open_result == 0;
  return w.open_result;
}

static void link_close(void *ctx) {
  (void)ctx;
  down(0);
}

static uint32_t link_wait(void *ctx) {
  (void)ctx;
  return w.event_count > 0 ? 0 : 1000;
}

static void frame_keep(published_frame *kept, const htel_frame *frame) {
  kept->sent = true;
  kept->frame_class = frame->frame_class;
  MUST(htel_reader_open(&reader, frame, &w.birth) == 0);
  int rc;
  while ((rc = htel_reader_next(&reader, &series)) == 1) kept->readings += series.count;
  MUST(rc == 0);
  for (unsigned i = 0; i < frame->loss_count; i++) {
    MUST(w.loss_count < LOSSES_MAX);
    w.losses[w.loss_count].loss = frame->losses[i];
    w.losses[w.loss_count++].carrier = frame->sequence;
  }
}

static void frame_publish(uint32_t token, uint32_t size) {
  static htel_frame frame;
  MUST(htel_frame_decode(&frame, w.payload, size) == 0);
  MUST(frame.boot == BOOT && frame.sequence == token && token < FRAMES_MAX);
  published_frame *kept = &w.frames[token];
  uint32_t crc = htel_crc32(0, w.payload, size);
  if (kept->sent) {
    MUST(!kept->receipted && kept->crc == crc); /* never again, or byte for byte the same */
  } else {
    frame_keep(kept, &frame);
  }
  kept->crc = crc;
  if (!w.honest) return;
  htel_receipt receipt = {.boot = BOOT, .stored_count = 1, .stored = {{token, token}}};
  uint8_t bytes[HTEL_RECEIPT_BYTES_MAX];
  int n = htel_receipt_encode(&receipt, bytes, sizeof bytes);
  MUST(n > 0);
  ack_put(token);
  receipt_put(bytes, (size_t)n);
}

static int link_publish(void *ctx, const htel_message *m) {
  (void)ctx;
  MUST(w.up && m->size <= sizeof w.payload);
  if (w.refuse > 0) w.refuse--;
  if (w.refuse > 0 || w.event_count + 2 > EVENTS_MAX) return HTEL_E_AGAIN;
  w.last_token = m->token;
  for (uint32_t at = 0; at < m->size;) { /* in pieces, as a small link pulls it */
    uint32_t n = m->size - at < 200 ? m->size - at : 200;
    MUST(m->read(m->source, m->token, at, w.payload + at, n) == 0);
    at += n;
  }
  const char *kind = strrchr(m->topic, '/');
  if (strcmp(kind, "/frame") == 0) {
    frame_publish(m->token, m->size);
  } else if (strcmp(kind, "/birth") == 0) {
    MUST(htel_crc32(0, w.payload, m->size) == w.birth.schema);
    htel_receipt receipt = {.birth_count = 1, .births = {w.birth.schema}};
    uint8_t bytes[HTEL_RECEIPT_BYTES_MAX];
    if (w.honest) receipt_put(bytes, (size_t)htel_receipt_encode(&receipt, bytes, sizeof bytes));
  } else {
    MUST(strcmp(kind, "/status") == 0);
    if (w.honest) ack_put(m->token);
  }
  return 0;
}

/* What a client that reads this receipt may free, and must. */
static void receipt_note(const uint8_t *bytes, size_t size) {
  htel_receipt r;
  hostile_receipt(bytes, size);
  if (htel_receipt_decode(&r, bytes, size) != 0 || r.boot != BOOT) return;
  for (uint32_t s = 1; s < w.tel->sequence_next; s++) {
    bool stored = false, aside = false;
    for (unsigned i = 0; i < r.stored_count; i++)
      stored |= s >= r.stored[i].first && s <= r.stored[i].last;
    for (unsigned i = 0; i < r.quarantined_count; i++)
      aside |= s >= r.quarantined[i].first && s <= r.quarantined[i].last;
    published_frame *f = &w.frames[s];
    if (!(stored || aside) || !f->sent || f->receipted) continue;
    f->receipted = true;
    f->aside = aside && outbox_find(&w.tel->outbox, s) != NULL; /* it was not evicted before */
  }
}

static int link_next(void *ctx, htel_link_event *out) {
  (void)ctx;
  if (w.event_count == 0) return 0;
  w.told = w.events[w.event_first];
  w.event_first = (w.event_first + 1) % EVENTS_MAX;
  w.event_count--;
  if (w.told.told.kind == HTEL_LINK_UP) w.up = true;
  if (w.told.told.kind == HTEL_LINK_MESSAGE) {
    w.told.told.payload = w.told.bytes;
    receipt_note(w.told.bytes, w.told.told.size);
  }
  *out = w.told.told;
  return 1;
}

/* ---- What must hold ------------------------------------------------------------------- */

static void check(void) {
  static bool held[FRAMES_MAX];
  uint32_t end = w.tel->sequence_next;
  MUST(end <= FRAMES_MAX);
  memset(held, 0, sizeof held);
  const outbox *o = &w.tel->outbox;
  uint32_t in_flight = 0, in_flight_bytes = 0, frames = 0;
  for (const outbox_entry *e = outbox_next(o, NULL); e != NULL; e = outbox_next(o, e)) {
    MUST(e->sequence < end);
    held[e->sequence] = true;
    MUST(!w.frames[e->sequence].receipted);
    frames++;
    if (e->state != OUTBOX_IN_FLIGHT) continue;
    MUST(w.frames[e->sequence].sent && w.up);
    in_flight++;
    in_flight_bytes += e->size;
  }
  MUST(frames == o->frames && in_flight == o->in_flight && in_flight_bytes == o->in_flight_bytes);
  MUST(in_flight <= 100 && (in_flight <= 1 || in_flight_bytes <= 65536));
  uint32_t gone = 0;
  for (uint32_t s = 1; s < end; s++) gone += !held[s] && !w.frames[s].receipted;
  htel_stats stats;
  htel_stats_get(w.tel, &stats);
  MUST(gone <= stats.frames_evicted);
  MUST(stats.frames_closed == end - 1);
  MUST(stats.frames_closed ==
       frames + stats.frames_delivered + stats.frames_quarantined + stats.frames_evicted);
}

/* Not known, or another version of the same record says more, or the same earlier. */
static bool superseded(unsigned i) {
  const htel_loss *a = &w.losses[i].loss;
  if (w.frames[w.losses[i].carrier].aside) return true;
  for (unsigned j = 0; j < w.loss_count; j++) {
    const htel_loss *b = &w.losses[j].loss;
    if (j == i || b->id != a->id || w.frames[w.losses[j].carrier].aside) continue;
    if (b->readings > a->readings || (b->readings == a->readings && b->frames > a->frames))
      return true;
    if (b->readings == a->readings && b->frames == a->frames && j < i) return true;
  }
  return false;
}

/* As an ingest reads them: what was evicted, less what arrived all the same. */
static uint64_t evicted_by(const htel_loss *l) {
  uint64_t readings = l->readings;
  if (l->at_most) return readings;
  for (uint32_t s = l->sequence_first; s <= l->sequence_last; s++) {
    MUST(s < w.tel->sequence_next);
    const published_frame *f = &w.frames[s];
    if (f->sent && f->frame_class == l->frame_class) {
      MUST(readings >= f->readings);
      readings -= f->readings;
    }
  }
  return readings;
}

static void account(void) {
  uint64_t published = 0, evicted = 0, refused[CHANNELS] = {0};
  bool at_most = false;
  for (uint32_t s = 1; s < w.tel->sequence_next; s++) published += w.frames[s].readings;
  for (unsigned i = 0; i < w.loss_count; i++) {
    const htel_loss *l = &w.losses[i].loss;
    if (superseded(i)) continue;
    if (l->cause == HTEL_CAUSE_RING_FULL) refused[l->channel] += l->readings;
    if (l->cause != HTEL_CAUSE_OUTBOX_FULL) continue;
    evicted += evicted_by(l);
    at_most |= l->at_most;
  }
  MUST(at_most ? w.accepted <= published + evicted : w.accepted == published + evicted);
  for (unsigned c = 0; c < CHANNELS; c++) MUST(refused[c] == w.refused[c]);
}

/* ---- Steps ---------------------------------------------------------------------------- */

static void count(unsigned channel, unsigned readings, int rc) {
  MUST(rc == 0 || rc == HTEL_E_FULL);
  if (rc == 0)
    w.accepted += readings;
  else
    w.refused[channel] += readings;
}

static void record(fuzz_in *in) {
  uint8_t n = fuzz_u8(in);
  for (unsigned i = 0; i < n; i++)
    count(PULSE, 1, htel_record_at(w.tel, PULSE, (int32_t)i * n, n & 7u, w.tick_ms - (n & 3u)));
}

static void record_block(fuzz_in *in) {
  int32_t samples[64];
  uint8_t n = fuzz_u8(in), times = fuzz_u8(in) % 16u;
  for (unsigned i = 0; i < 64; i++) samples[i] = (int32_t)(i * n * (i & 5u));
  uint16_t size = (uint16_t)(1u + n % 64u);
  for (unsigned i = 0; i <= times; i++)
    count(ECG, size, htel_record_block(w.tel, ECG, samples, size));
}

static void alarm(fuzz_in *in) {
  uint8_t n = fuzz_u8(in);
  htel_alarm_event happened = {.code = n, .state = n & 3u, .priority = n >> 2 & 3u};
  count(ALARM, 1, htel_alarm(w.tel, ALARM, &happened));
}

static htel_range range_near(fuzz_in *in) {
  uint32_t last = w.tel->sequence_next + 2u, back = fuzz_u8(in), more = fuzz_u8(in);
  uint32_t first = back < last ? last - back : 1;
  if (more == 255) return (htel_range){first, UINT32_MAX};
  return (htel_range){first, first + more % 16u};
}

static void receipt_near(fuzz_in *in) {
  uint8_t what = fuzz_u8(in);
  htel_receipt r = {.boot = what & 1u ? BOOT + fuzz_u8(in) : BOOT,
                    .stored_count = what >> 1 & 3u,
                    .quarantined_count = what >> 3 & 1u,
                    .birth_count = what >> 4 & 1u,
                    .births = {what & 32u ? w.tel->schema : fuzz_u32(in)},
                    .birth_wanted = (what & 64u) != 0};
  if (what & 128u) r.pause_ms = fuzz_u32(in);
  if (what & 128u) r.utc_ms = (int64_t)fuzz_u64(in);
  for (unsigned i = 0; i < r.stored_count; i++) r.stored[i] = range_near(in);
  for (unsigned i = 0; i < r.quarantined_count; i++) r.quarantined[i] = range_near(in);
  uint8_t bytes[HTEL_RECEIPT_BYTES_MAX];
  int n = htel_receipt_encode(&r, bytes, sizeof bytes);
  MUST(n >= 0);
  receipt_put(bytes, (size_t)n);
}

static void receipt_raw(fuzz_in *in) {
  const uint8_t *bytes;
  size_t n = fuzz_bytes(in, fuzz_u8(in), &bytes);
  receipt_put(bytes, n);
}

static void step(fuzz_in *in) {
  static const uint32_t times[] = {1, 50, 999, 5001, 10001, 31000, 120000, 3600000};
  static const int results[] = {0, 0, HTEL_E_AGAIN, HTEL_E_MEMORY};
  switch (fuzz_u8(in) % 14u) {
    case 0: record(in); break;
    case 1: record_block(in); break;
    case 2: alarm(in); break;
    case 3: w.tick_ms += times[fuzz_u8(in) % 8u]; break;
    case 4: w.tick_ms += fuzz_u16(in); break;
    case 5: receipt_near(in); break;
    case 6: receipt_raw(in); break;
    case 7: ack_put(fuzz_u8(in) & 1u ? fuzz_u32(in) : w.last_token - fuzz_u8(in)); break;
    case 8: down(HTEL_E_LINK_LOST); break;
    case 9: w.refuse = fuzz_u8(in); break;
    case 10: htel_session_set(w.tel, fuzz_u64(in)); break;
    case 11: htel_utc_set(w.tel, w.tick_ms, (int64_t)fuzz_u64(in), fuzz_u16(in)); break;
    case 12: w.open_result = results[fuzz_u8(in) % 4u]; break;
    default: htel_flush(w.tel, fuzz_u8(in)); break;
  }
}

static void poll(void) {
  if (w.open && !w.up && w.event_count == 0) event_put(HTEL_LINK_UP);
  MUST(htel_poll(w.tel) <= 1000);
}

/* The ledger of losses was full: they wait in their channel's counter. */
static bool refused_waiting(void) {
  for (unsigned c = 0; c < CHANNELS; c++)
    if (w.tel->states[c].refused != w.tel->states[c].refused_counted) return true;
  return false;
}

/* From here on all is well, and a pause is over: the client must come to rest, and owe nothing. */
static void come_to_rest(void) {
  down(HTEL_E_LINK_LOST);
  w.honest = true;
  w.refuse = 0;
  w.open_result = 0;
  htel_session_set(w.tel, 0); /* closes the open frames */
  for (unsigned i = 0; i < 2000; i++) {
    poll();
    if (i % 32 == 0) receipt_put(NULL, 0); /* one that says nothing, and so no pause */
    w.tick_ms += 900;
    const htel *t = w.tel;
    if (t->outbox.frames == 0 && !loss_waiting(&t->losses) && t->anchor_count == 0 &&
        !refused_waiting() && w.event_count == 0 && t->delivery.state == DELIVERY_ONLINE &&
        i > 30) {
      return;
    }
  }
  hostile_broken("the client does not come to rest", __FILE__, __LINE__);
}

/* While it closes the ingest goes on to lie, or not. It ends in time, and says what is so. */
static void close_in_time(uint8_t timeout_s) {
  uint32_t began_ms = w.tick_ms;
  int rc = htel_close(w.tel, timeout_s * 1000u);
  for (; rc == HTEL_E_AGAIN; rc = htel_close(w.tel, timeout_s * 1000u)) {
    MUST(w.tick_ms - began_ms <= timeout_s * 1000u + 10000u);
    if (w.open && !w.up && w.event_count == 0) event_put(HTEL_LINK_UP);
    if (w.honest && w.up) ack_put(w.last_token);
    w.tick_ms += 100;
  }
  MUST(rc == 0 || rc == HTEL_E_TIMEOUT);
  MUST(w.boot_ended == (rc == 0));
  if (w.honest) MUST(rc == 0);
  if (rc == 0) account();
}

static void client_open(uint8_t settings) {
  static max_align_t memory[8192];
  static const uint32_t outbox_bytes[] = {1300, 4096, 16384, 65536};
  memset(&w, 0, offsetof(world, payload));
  memset(w.frames, 0, sizeof w.frames);
  w.loss_count = 0;
  w.random = settings;
  w.tick_ms = settings & 64u ? UINT32_MAX - 100000u : TICK_FIRST;
  w.link = (htel_link){.open = link_open,
                       .publish = link_publish,
                       .next = link_next,
                       .wait_ms = link_wait,
                       .close = link_close};
  w.port = (htel_port){.tick_ms = port_tick,
                       .random = port_random,
                       .boot_begin = port_boot_begin,
                       .boot_end = port_boot_end,
                       .link = &w.link};
  htel_config config = {.device_id = "d",
                        .channels = channels,
                        .channel_count = CHANNELS,
                        .ring_bytes = {settings & 1u ? 1024 : 4096},
                        .coding = settings & 2u ? HTEL_CODING_FAST : HTEL_CODING_ZLIB,
                        .batch = {.age_ms_max = 10000, .bytes_max = settings & 4u ? 600 : 3584},
                        .outbox = {.bytes = outbox_bytes[settings >> 3 & 3u]}};
  if (!HEALTHTEL_ZLIB) config.coding = HTEL_CODING_FAST;
  if (settings & 32u) config.outbox.when_full[HTEL_CLASS_WAVEFORM] = HTEL_REFUSE_NEWEST;
  uint32_t least = 2u * outbox_bytes_for(config.batch.bytes_max);
  if (config.outbox.bytes < least) config.outbox.bytes = least;
  int32_t needed = htel_memory_needed(&config);
  MUST(needed > 0 && (size_t)needed <= sizeof memory);
  MUST(htel_open(&w.tel, memory, (size_t)needed, &config, &w.port) == 0);
}

/* An ingest may have the birth from long ago. */
static void birth_know(void) {
  uint32_t size = birth_size(&w.tel->birth);
  MUST(size <= sizeof w.payload && birth_read(&w.tel->birth, 0, w.payload, size) == 0);
  MUST(htel_birth_decode(&w.birth, w.payload, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  fuzz_in in = {data, size};
  uint8_t settings = fuzz_u8(&in);
  if (settings & 128u) {
    uint8_t made[1024];
    size_t n = settings & 1u ? fuzz_message(&in, made, sizeof made, 1) : 0;
    return settings & 1u ? hostile_receipt(made, n) : hostile_receipt(in.at, in.left);
  }
  client_open(settings);
  birth_know();
  for (unsigned i = 0; i < STEPS_MAX && in.left > 0 && w.tel->sequence_next < 1500; i++) {
    step(&in);
    poll();
    if (i % 4 == 0) check();
  }
  check();
  uint8_t ending = data[size - 1];
  if (ending & 1u) come_to_rest();
  check();
  if (w.honest) account();
  close_in_time(ending >> 1);
  return 0;
}
