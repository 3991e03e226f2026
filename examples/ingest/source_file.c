/* SPDX-License-Identifier: Apache-2.0 */
#include "source_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"

typedef struct source_file {
  capture_reader reader;
  const char *name;
  uint64_t damaged;
  bool over;
  char topic[sizeof "htel/v1//frame" + HTEL_DEVICE_ID_CHARS_MAX + 1];
} source_file;

static int next(void *ctx, uint32_t wait_ms, source_message *message) {
  (void)wait_ms; /* a file never makes one wait */
  source_file *f = ctx;
  while (!f->over) {
    capture_entry entry;
    int rc = capture_next(&f->reader, &entry);
    if (rc == 1) {
      snprintf(f->topic, sizeof f->topic, "htel/v1/%s/%s", entry.device,
               entry.kind == CAPTURE_BIRTH ? "birth" : "frame");
      *message = (source_message){f->topic, entry.bytes, entry.size};
      return SOURCE_MESSAGE;
    }
    f->over = rc != CAPTURE_DAMAGED;
    if (rc == 0) break;
    f->damaged++;
    fprintf(stderr, "%s: at byte %" PRIu64 ": %s\n", f->name, entry.offset,
            f->over ? "not a capture from here on; the rest is not read"
                    : "a damaged message, passed over");
  }
  return SOURCE_END;
}

static bool publish(void *ctx, const char *topic, const uint8_t *payload, size_t size) {
  (void)ctx, (void)topic, (void)payload, (void)size;
  return true; /* nobody waits for a receipt */
}

static void stop(void *ctx) {
  ((source_file *)ctx)->over = true;
}

static void close_file(void *ctx) {
  free(ctx);
}

bool source_file_open(source *s, FILE *file, const char *name) {
  source_file *f = calloc(1, sizeof *f);
  if (f == NULL) return false;
  capture_begin(&f->reader, file);
  f->name = name;
  *s = (source){.ctx = f, .next = next, .publish = publish, .stop = stop, .close = close_file};
  return true;
}

uint64_t source_file_damaged(const source *s) {
  return ((const source_file *)s->ctx)->damaged;
}
