/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_mqtt.c - anything that a broker can send to ports/mqtt, for libFuzzer.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -DHTEL_FUZZER -Iinclude -Iports/mqtt \
 *       tests/fuzz/fuzz_mqtt.c ports/mqtt/[hm]*.c -o fuzz_mqtt && ./fuzz_mqtt
 * tests/fuzz/corpus_mqtt
 *
 * The input: a byte that says how the stream behaves, then what the broker sends. Without
 * HTEL_FUZZER there is a main() that plays the files, or folders of files, that it is given. */
#include <stdlib.h>
#include <string.h>

#include "htel_mqtt.h"

#define BYTES_MAX 65536u
#define TURNS_MAX 4000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct world {
  const uint8_t *bytes;
  size_t left;
  size_t piece; /* at most so many bytes at a time */
  bool stutter; /* every other call would block */
  bool blocked;
  uint32_t now_ms;
} world;

static bool blocks(world *w) {
  w->blocked = w->stutter && !w->blocked;
  return w->blocked;
}

static int stream_read(void *ctx, uint8_t *buf, size_t size) {
  world *w = ctx;
  if (blocks(w)) return 0;
  if (w->left == 0) return HTEL_E_LINK_LOST;
  size_t n = size < w->piece ? size : w->piece;
  if (n > w->left) n = w->left;
  memcpy(buf, w->bytes, n);
  w->bytes += n;
  w->left -= n;
  return (int)n;
}

static int stream_write(void *ctx, const uint8_t *buf, size_t size) {
  world *w = ctx;
  (void)buf;
  if (blocks(w)) return 0;
  return (int)(size < w->piece ? size : w->piece);
}

static int transport_open(void *ctx, uint32_t timeout_ms) {
  (void)ctx, (void)timeout_ms;
  return 0;
}

static int transport_step(void *ctx) {
  (void)ctx;
  return 0;
}

static htel_stream transport_stream(void *ctx) {
  return (htel_stream){.ctx = ctx, .read = stream_read, .write = stream_write};
}

static uint32_t transport_wait_ms(void *ctx) {
  (void)ctx;
  return 10;
}

static int transport_close(void *ctx, bool orderly) {
  (void)ctx, (void)orderly;
  return 0;
}

static uint32_t tick_ms(void *ctx) {
  const world *w = ctx;
  return w->now_ms;
}

static int message_read(void *source, uint32_t token, uint32_t offset, uint8_t *buf, size_t size) {
  (void)source, (void)token, (void)offset;
  memset(buf, 0x5a, size);
  return 0;
}

/* What the core relies on. */
static void check(const htel_link_event *event, bool *up, uint32_t *published) {
  bool good = true;
  switch (event->kind) {
    case HTEL_LINK_UP:
      good = !*up;
      *up = true;
      break;
    case HTEL_LINK_DOWN: good = event->error <= 0; break;
    case HTEL_LINK_ACKED: good = *up && event->token >= 1 && event->token <= *published; break;
    case HTEL_LINK_MESSAGE: good = *up && event->size <= HTEL_LINK_MESSAGE_BYTES_MAX; break;
    default: good = false;
  }
  if (!good) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  world w = {.bytes = data + 1,
             .left = size - 1,
             .piece = 1u + (data[0] & 0x3fu) * 8u,
             .stutter = (data[0] & 0x40u) != 0};
  htel_mqtt_transport transport = {.ctx = &w,
                                   .open = transport_open,
                                   .step = transport_step,
                                   .stream = transport_stream,
                                   .wait_ms = transport_wait_ms,
                                   .close = transport_close};
  static uint8_t buffer[HTEL_MQTT_BUFFER_BYTES(HTEL_MQTT_WINDOW_BYTES_MIN)];
  htel_mqtt_config config = {.transport = &transport,
                             .tick_ms = tick_ms,
                             .tick_ctx = &w,
                             .buffer = buffer,
                             .buffer_size = sizeof buffer};
  htel_mqtt mqtt;
  if (htel_mqtt_init(&mqtt, &config) != 0) abort();
  const htel_link *link = htel_mqtt_link(&mqtt);
  htel_link_session session = {
      .client_id = "d", .will_topic = "d/status", .receive_topic = "d/receipt"};
  if (link->open(link->ctx, &session) != 0) abort();
  bool up = false;
  uint32_t published = 0;
  htel_message message = {.topic = "d/frame", .source = &w, .read = message_read};
  for (unsigned turn = 0; turn < TURNS_MAX; turn++) {
    htel_link_event event;
    while (link->next(link->ctx, &event) == 1) {
      check(&event, &up, &published);
      if (event.kind == HTEL_LINK_DOWN) return 0;
    }
    message.token = published + 1;
    message.size = (published * 97u) % 700u;
    if (published < 40 && link->publish(link->ctx, &message) == 0) published++;
    uint32_t wait = link->wait_ms(link->ctx);
    if (wait > 1000) abort();
    w.now_ms += wait;
  }
  return 0;
}

#ifndef HTEL_FUZZER
#include <dirent.h>
#include <stdio.h>

static unsigned played, failed;

static void play_file(const char *path) {
  static uint8_t bytes[BYTES_MAX];
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    failed++;
    return;
  }
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  LLVMFuzzerTestOneInput(bytes, size);
  played++;
}

static void play(const char *path) {
  DIR *dir = opendir(path);
  if (dir == NULL) {
    play_file(path);
    return;
  }
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    char file[1024];
    if (entry->d_name[0] == '.') continue;
    if (snprintf(file, sizeof file, "%s/%s", path, entry->d_name) < (int)sizeof file)
      play_file(file);
  }
  closedir(dir);
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) play(argv[i]);
  printf("%u inputs, %u could not be read\n", played, failed);
  return played > 0 && failed == 0 ? 0 : 1;
}
#endif
