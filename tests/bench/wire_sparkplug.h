/* SPDX-License-Identifier: Apache-2.0 */
/* wire_sparkplug.h - payloads of Sparkplug B, in protobuf by the field numbers of its specification
 * (3.0, "Payload definition"): birth with names and aliases, data by alias. */
#ifndef HTEL_TESTS_WIRE_SPARKPLUG_H
#define HTEL_TESTS_WIRE_SPARKPLUG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sparkplug {
  uint8_t *bytes;
  size_t size, room;
  bool failed;
} sparkplug;

/* All write behind what is there. */
void sparkplug_begin(sparkplug *s, uint64_t timestamp_ms);
/* The death certificate's and the birth's counter of sessions. */
void sparkplug_session(sparkplug *s, uint64_t timestamp_ms, uint64_t session);
/* Of a birth: what an alias means. */
void sparkplug_define(sparkplug *s, const char *name, uint32_t alias, uint64_t timestamp_ms);
/* `is_null`: there was no value. `is_late`: from before the connection. */
void sparkplug_value(sparkplug *s, uint32_t alias, uint64_t timestamp_ms, int32_t value,
                     bool is_null, bool is_late);
void sparkplug_end(sparkplug *s, uint8_t sequence);

#endif
