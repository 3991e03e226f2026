/* SPDX-License-Identifier: Apache-2.0 */
/* make_capture.c - a strange device (strange.h) as a capture file.
 *
 *     make_capture zlib|fast|best SEED FRAME_S SECONDS OUT.htel
 *
 * Decoders that agree on such a capture to the byte agree on the format. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "strange.h"

enum { MEMORY_BYTES = 1 << 23 };

static strange it;
static capture out;
static _Alignas(max_align_t) uint8_t memory[MEMORY_BYTES];

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
  strange_init(&it, strtoull(argv[2], NULL, 10));
  if (capture_open(&out, argv[5], "strange-1") != 0) return fail("the file cannot be written");
  htel_port port = strange_port(&it, capture_link(&out));
  htel_config_fault fault = {0};
  htel_config config = strange_config(&it, (htel_coding)coding, frame_s);
  config.fault = &fault;
  int rc = htel_open(&it.tel, memory, sizeof memory, &config, &port);
  if (rc != 0) return fail(fault.field != NULL ? fault.why : htel_strerror(rc));
  strange_live(&it, (uint32_t)strtoul(argv[4], NULL, 10));
  rc = strange_close(&it);
  if (rc != 0) return fail(htel_strerror(rc));
  return capture_close(&out) == 0 ? 0 : fail("the file cannot be written");
}
