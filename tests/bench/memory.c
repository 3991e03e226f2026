/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - the RAM of a bedside monitor: one ECG at 360 Hz, three numerics, frames of 10 s and
 * an outbox of 32 KiB, as htel_memory_needed says it. */
#include "bench.h"

#define OUTBOX_BYTES 32768u
#define RING_BYTES 2048u /* the default */

int bench_memory_get(bench_memory *memory) {
  static const htel_channel channels[] = {
      {.code = HTEL_MDC_ECG_LEAD_II, .kind = HTEL_WAVEFORM, .rate = {360, 1}},
      {.code = HTEL_MDC_HEART_RATE},
      {.code = HTEL_MDC_SPO2},
      {.code = HTEL_MDC_RESPIRATION_RATE}};
  htel_config config = {.device_id = "bench",
                        .channels = channels,
                        .channel_count = sizeof channels / sizeof channels[0],
                        .ring_bytes = {RING_BYTES},
                        .batch = {.age_ms_max = 10000},
                        .outbox = {.bytes = OUTBOX_BYTES},
                        .coding = HTEL_CODING_FAST};
  int32_t fast = htel_memory_needed(&config);
#if HEALTHTEL_ZLIB
  config.coding = HTEL_CODING_ZLIB;
#endif
  int32_t all = htel_memory_needed(&config);
  if (fast < 0 || all < 0) return -1;
  memory->all = (uint32_t)all;
  memory->outbox = OUTBOX_BYTES;
  memory->ring = RING_BYTES;
  memory->zlib = (uint32_t)(all - fast);
  memory->rest = (uint32_t)fast - OUTBOX_BYTES - RING_BYTES;
  return 0;
}
