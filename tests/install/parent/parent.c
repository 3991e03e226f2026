/* SPDX-License-Identifier: Apache-2.0 */
/* parent.c - asks the library, built within another project, how much memory a monitor takes. */
#include <stdio.h>

#include "healthtel/healthtel.h"

int main(void) {
  static const htel_channel channels[] = {
      {.code = HTEL_MDC_SPO2, .name = "SPO2", .unit = HTEL_UNIT_PERCENT}};
  const htel_config config = {.device_id = "parent", .channels = channels, .channel_count = 1};
  int32_t bytes = htel_memory_needed(&config);
  printf("%ld bytes\n", (long)bytes);
  return bytes > 0 ? 0 : 1;
}
