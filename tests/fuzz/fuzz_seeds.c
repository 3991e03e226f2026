/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_seeds.c DIR - makes what fuzzing begins with: DIR/<fuzzer>/<name>, by the real encoder, of
 * numbers from a generator.
 *
 * The fuzzers whose inputs are programs (mqtt, code, intake, the client of receipt) need none: they
 * find their own in seconds. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "batch.h"
#include "birth.h"
#include "capture.h"
#include "code.h"
#include "frame.h"
#include "fuzz.h"
#include "model.h"
#include "../../ports/sim/sim_random.h"
#include "zip.h"

#define CHANNELS_MAX 6u

static const char *root;
static sim_random rnd = {1};
static htel_channel channels[CHANNELS_MAX];
static uint8_t blocks[8192], bytes[16384];
static size_t blocks_size;

static void save(const char *fuzzer, const char *name, unsigned number, const void *prefix,
                 size_t prefix_size, const void *body, size_t size) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", root, fuzzer);
  if (mkdir(path, 0777) != 0) MUST(errno == EEXIST);
  snprintf(path, sizeof path, "%s/%s/%s%u", root, fuzzer, name, number);
  FILE *file = fopen(path, "wb");
  MUST(file != NULL);
  MUST(fwrite(prefix, 1, prefix_size, file) == prefix_size);
  MUST(fwrite(body, 1, size, file) == size && fclose(file) == 0);
}

/* ---- Frames --------------------------------------------------------------------------- */

/* Channels as those of hostile_desk(), so that the readings can be read there. */
static void channels_make(void) {
  const htel_birth *desk = hostile_desk();
  MUST(desk->channel_count == CHANNELS_MAX);
  for (unsigned i = 0; i < CHANNELS_MAX; i++)
    channels[i] = (htel_channel){.code = i,
                                 .kind = desk->channels[i].kind,
                                 .rate = desk->channels[i].rate,
                                 .gain = i % 2 ? 200 : 0,
                                 .offset = i % 3 ? -5 : 0,
                                 .exponent = (int8_t)-i,
                                 .unit = i % 2 ? "mV" : NULL,
                                 .name = i % 3 ? "CHANNEL" : NULL};
}

static void block_add(unsigned n, uint64_t tick) {
  static int32_t values[64];
  static uint32_t ticks[64];
  static uint8_t quality[64];
  uint8_t *out = blocks + blocks_size;
  size_t room = sizeof blocks - blocks_size;
  uint8_t channel = (uint8_t)random_below(&rnd, CHANNELS_MAX);
  if (channels[channel].kind == HTEL_ALARM) {
    htel_alarm_event event = {
        .code = n, .state = n & 3u, .priority = n >> 2 & 3u, .latched = (n & 1u) != 0};
    blocks_size += code_alarm_encode(channel, &event, tick + n, tick, out, room);
    return;
  }
  int32_t level = random_around(&rnd, 2000);
  uint32_t step = 1u << random_below(&rnd, 20);
  for (unsigned i = 0; i < 64; i++) {
    values[i] = level += random_around(&rnd, step);
    ticks[i] = (uint32_t)tick + i * 1000u + (n % 2 ? random_below(&rnd, 9) : 0);
    quality[i] = (uint8_t)(i / 10 % 5);
  }
  ticks[0] = (uint32_t)tick;
  code_column column = {.channel = channel,
                        .kind = channels[channel].kind,
                        .count = (uint16_t)(1u + random_below(&rnd, 64)),
                        .values = values,
                        .ticks = ticks,
                        .quality = n % 3 == 0 ? quality : NULL,
                        .tick_first = tick};
  blocks_size += code_block_encode(&column, tick, n % 4 ? CODE_RICE : CODE_BYTES, out, room);
}

static size_t frame_make(unsigned n, frame_parts *parts) {
  static const htel_anchor anchors[] = {{5, 1700000000000, 25}, {900, 1700000001000, 3}};
  static const htel_loss losses[] = {
      {.cause = HTEL_CAUSE_RING_FULL, .channel = 1, .tick_last = 70, .readings = 4, .id = 1},
      {.cause = HTEL_CAUSE_OUTBOX_FULL,
       .frame_class = HTEL_CLASS_WAVEFORM,
       .sequence_first = 3,
       .sequence_last = 9,
       .frames = 7,
       .readings = 3000,
       .tick_first = 12,
       .tick_last = 3000,
       .id = 2,
       .at_most = true},
      {.cause = HTEL_CAUSE_UNCLEAN_STOP, .boot = 2, .boot_last = 6, .id = 3}};
  *parts = (frame_parts){.boot = 7,
                         .sequence = n + 1,
                         .frame_class = (uint8_t)(n % 3),
                         .tick = 1000000,
                         .schema = hostile_desk()->schema,
                         .session = n % 4 == 0 ? 12345 : 0,
                         .data = blocks,
                         .data_bytes = blocks_size,
                         .anchors = anchors,
                         .anchor_count = (uint16_t)(n % 3),
                         .losses = losses,
                         .loss_count = (uint16_t)(n % 4)};
  int size = frame_encode(parts, bytes, sizeof bytes);
  MUST(size > 0);
  return (size_t)size;
}

/* A wave, and another like it; or numerics with some missing: in columns. */
static void columns_save(unsigned n) {
  static uint64_t memory[768];
  static uint8_t columns[sizeof blocks];
  static int32_t values[HTEL_COLUMN_SAMPLES_MAX];
  static uint32_t ticks[HTEL_COLUMN_SAMPLES_MAX];
  static uint8_t quality[HTEL_COLUMN_SAMPLES_MAX];
  MUST(model_writer_bytes() <= sizeof memory);
  if (model_writer_bytes() == 0) return;
  static const uint8_t of[] = {0, 3, 1};
  blocks_size = 0;
  for (unsigned i = 0; i < 1 + n % 3; i++) {
    uint8_t channel = n % 2 ? 1 : of[i];
    code_column c = {.channel = channel,
                     .kind = channels[channel].kind,
                     .count = (uint16_t)(20 + 30 * (n % 8)),
                     .values = values,
                     .ticks = ticks,
                     .tick_first = 1000000};
    if (c.kind == HTEL_NUMERIC && n % 4 == 3) c.quality = quality;
    for (unsigned k = 0; k < c.count; k++) {
      values[k] = (int32_t)(k * k % (90 + n)) * (1 + (int32_t)n % 3) + random_around(&rnd, 4);
      ticks[k] = 1000000u + 1000u * k + (n % 5 == 1 ? random_below(&rnd, 9) : 0);
      quality[k] = random_below(&rnd, 9) ? HTEL_VALID : HTEL_NO_VALUE;
    }
    ticks[0] = 1000000;
    uint8_t *to = blocks + blocks_size;
    size_t size = code_block_encode(&c, 1000000, CODE_QUICK, to + BATCH_LENGTH_BYTES, 2048);
    MUST(size > 0);
    to[0] = (uint8_t)size;
    to[1] = (uint8_t)(size >> 8);
    blocks_size += BATCH_LENGTH_BYTES + size;
    if (n % 2) break;
  }
  bool modelled;
  size_t size =
      model_write(memory, channels, CHANNELS_MAX, blocks, blocks_size, columns, &modelled);
  if (modelled) save("frame", "columns", n, "\1\2\0\0", 4, columns, size);
}

static void frames_save(unsigned n) {
  static uint8_t zipped[8192];
  static uint64_t arena[2048];
  blocks_size = 0;
  for (unsigned i = 0; i <= n % 4; i++) block_add(n + i, 1000000);
  frame_parts parts;
  size_t size = frame_make(n, &parts);
  save("frame", "frame", n, "\0", 1, bytes, size);
  save("frame", "data", n, "\1\2\0\0", 4, blocks, blocks_size);
  save("frame", "read", n, "\3", 1, blocks, blocks_size);
  uint32_t inflated = 0;
  size_t deflated = zip_blocks(arena, zip_arena_bytes(), channels, CHANNELS_MAX, blocks,
                               blocks_size, zipped, sizeof zipped, &inflated);
  if (deflated > 0) save("frame", "zip", n, "\2", 1, zipped, deflated);
}

/* ---- The others ----------------------------------------------------------------------- */

static void birth_save(unsigned n) {
  birth_source about = {n % 2 ? "1.2.3" : NULL, channels, (uint16_t)(1 + n % CHANNELS_MAX)};
  uint32_t size = birth_size(&about);
  MUST(size <= sizeof bytes && birth_read(&about, 0, bytes, size) == 0);
  memcpy(bytes + size, blocks, blocks_size);
  uint8_t prefix[2] = {(uint8_t)blocks_size, (uint8_t)(blocks_size >> 8)};
  save("birth", "birth", n, prefix, 2, bytes, size + blocks_size);
}

static void receipt_save(unsigned n) {
  htel_receipt r = {.boot = 7,
                    .utc_ms = n % 2 ? 1700000000000 : 0,
                    .pause_ms = n % 3 ? 0 : 5000,
                    .stored_count = (uint16_t)(n % 5),
                    .quarantined_count = (uint16_t)(n % 3),
                    .birth_count = (uint16_t)(n % 4),
                    .births = {1, 2, 3, 4},
                    .birth_wanted = n % 6 == 0};
  for (unsigned i = 0; i < 5; i++)
    r.stored[i] = r.quarantined[i] = (htel_range){1 + 9 * i, 5 + 9 * i};
  int size = htel_receipt_encode(&r, bytes, sizeof bytes);
  MUST(size >= 0);
  save("receipt", "receipt", n, "\x80", 1, bytes, (size_t)size);
}

static void capture_save(unsigned n) {
  char *text = NULL;
  size_t size = 0;
  FILE *file = open_memstream(&text, &size);
  MUST(file != NULL);
  birth_source about = {NULL, channels, CHANNELS_MAX};
  uint32_t birth = birth_size(&about);
  static uint8_t birth_bytes[1024];
  MUST(birth <= sizeof birth_bytes && birth_read(&about, 0, birth_bytes, birth) == 0);
  capture_write(file, "d-1", CAPTURE_BIRTH, birth_bytes, birth);
  for (unsigned i = 0; i < 3; i++) {
    blocks_size = 0;
    block_add(n + i, 1000000);
    frame_parts parts;
    frame_make(n + i, &parts);
    parts.schema = birth_schema(&about);
    int frame = frame_encode(&parts, bytes, sizeof bytes);
    MUST(frame > 0 && capture_write(file, "d-1", CAPTURE_FRAME, bytes, (size_t)frame) == 0);
  }
  MUST(fclose(file) == 0);
  save("files", "capture", n, "\3", 1, text, size);
  free(text);
}

static void recording_save(unsigned n, const char *json, const char *csv) {
  uint8_t prefix[3] = {0, (uint8_t)strlen(json), (uint8_t)(strlen(json) >> 8)};
  int size = snprintf((char *)bytes, sizeof bytes, "%s%s", json, csv);
  MUST(size > 0);
  save("files", "recording", n, prefix, 3, bytes, (size_t)size);
}

static void files_save(void) {
  recording_save(
      0,
      "{\"kind\":\"ecg\",\"rate_hz\":360,\"n_rows\":3,\"channels\":[{\"name\":\"ECG_II\","
      "\"unit\":\"mV\",\"gain\":200,\"offset\":1024}]}",
      "ECG_II\n975\n-981\n1000\n");
  recording_save(1,
                 "{\"kind\":\"scalar\",\"irregular\":true,\"note\":\"-32768 = no value\","
                 "\"channels\":[{\"name\":\"HR\",\"unit\":\"bpm\",\"gain\":1,\"offset\":0},"
                 "{\"name\":\"own\",\"unit\":\"\",\"gain\":12.84,\"offset\":-5}]}",
                 "t_ms,HR,own\n1700000000000,72,5\n1700000001001,-32768,6\r\n");
  recording_save(2,
                 "{\"kind\":\"cgm\",\"rate_hz\":0.003333,\"channels\":[{\"name\":\"GLUCOSE\","
                 "\"unit\":\"mg/dL\",\"gain\":1e-3,\"offset\":0}]}",
                 "GLUCOSE\n2147483647\n-2147483648");
  static const char line[] =
      "healthtel-boot 1 00000000000000000042 00000000000000000041 00000000\n";
  save("files", "boot", 0, "\1", 1, line, sizeof line - 1);
  save("files", "boot", 1, "\2", 1, line + 17, 42);
}

/* Programs for fuzz_message(): more of each thing than there is room for. */
static void messages_save(void) {
  static const char ranges[] = "\x81\xb2\x01\x05\x02\x09\xf0\xef\xef";
  static const char anchors[] = "\x04\x02\x01\xba\x01\x05\x02\x07\xf0\xef";
  static const char losses[] = "\x04\x02\x01\xbb\x01\x01\x09\x07\xf0\xef\xef";
  static const char births[] = "\xff\xff\xb3\xa4\x05\x01\x05\xf0\xef\xef\xef\xef\xef";
  save("receipt", "message", 0, ranges, sizeof ranges - 1, "", 0);
  save("frame", "message", 0, anchors, sizeof anchors - 1, "", 0);
  save("frame", "message", 1, losses, sizeof losses - 1, "", 0);
  save("birth", "message", 0, births, sizeof births - 1, "", 0);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: fuzz_seeds DIR\n");
    return 2;
  }
  root = argv[1];
  if (mkdir(root, 0777) != 0) MUST(errno == EEXIST);
  channels_make();
  for (unsigned n = 0; n < 24; n++) {
    columns_save(n);
    frames_save(n);
    birth_save(n);
    receipt_save(n);
  }
  for (unsigned n = 0; n < 4; n++) capture_save(n);
  files_save();
  messages_save();
  return 0;
}
