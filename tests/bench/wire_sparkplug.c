/* SPDX-License-Identifier: Apache-2.0 */
/* wire_sparkplug.c - see wire_sparkplug.h. Values are integers as the converter gave them; names,
 * units and scales would be properties of the birth, which only makes it longer: left out. */
#include "wire_sparkplug.h"

#include <pb_encode.h>
#include <string.h>

enum { PAYLOAD_TIMESTAMP = 1, PAYLOAD_METRICS = 2, PAYLOAD_SEQ = 3 };
enum {
  METRIC_NAME = 1,
  METRIC_ALIAS = 2,
  METRIC_TIMESTAMP = 3,
  METRIC_DATATYPE = 4,
  METRIC_IS_HISTORICAL = 5,
  METRIC_IS_NULL = 7,
  METRIC_INT_VALUE = 10,
  METRIC_LONG_VALUE = 11
};
enum { DATATYPE_INT32 = 3, DATATYPE_INT64 = 4 };

#define METRIC_BYTES_MAX 96u

static bool number(pb_ostream_t *to, uint32_t field, uint64_t value) {
  return pb_encode_tag(to, PB_WT_VARINT, field) && pb_encode_varint(to, value);
}

static bool text(pb_ostream_t *to, uint32_t field, const char *value) {
  return pb_encode_tag(to, PB_WT_STRING, field) &&
         pb_encode_string(to, (const pb_byte_t *)value, strlen(value));
}

static pb_ostream_t rest(const sparkplug *s) {
  return pb_ostream_from_buffer(s->bytes + s->size, s->room - s->size);
}

static void taken(sparkplug *s, const pb_ostream_t *to, bool ok) {
  s->size += to->bytes_written;
  s->failed |= !ok;
}

static void metric_add(sparkplug *s, const uint8_t *metric, const pb_ostream_t *made, bool ok) {
  pb_ostream_t to = rest(s);
  ok = ok && pb_encode_tag(&to, PB_WT_STRING, PAYLOAD_METRICS) &&
       pb_encode_string(&to, metric, made->bytes_written);
  taken(s, &to, ok);
}

void sparkplug_begin(sparkplug *s, uint64_t timestamp_ms) {
  s->size = 0;
  s->failed = false;
  pb_ostream_t to = rest(s);
  taken(s, &to, number(&to, PAYLOAD_TIMESTAMP, timestamp_ms));
}

void sparkplug_session(sparkplug *s, uint64_t timestamp_ms, uint64_t session) {
  uint8_t bytes[METRIC_BYTES_MAX];
  pb_ostream_t m = pb_ostream_from_buffer(bytes, sizeof bytes);
  bool ok = text(&m, METRIC_NAME, "bdSeq") && number(&m, METRIC_TIMESTAMP, timestamp_ms) &&
            number(&m, METRIC_DATATYPE, DATATYPE_INT64) && number(&m, METRIC_LONG_VALUE, session);
  metric_add(s, bytes, &m, ok);
}

void sparkplug_define(sparkplug *s, const char *name, uint32_t alias, uint64_t timestamp_ms) {
  uint8_t bytes[METRIC_BYTES_MAX];
  pb_ostream_t m = pb_ostream_from_buffer(bytes, sizeof bytes);
  bool ok = text(&m, METRIC_NAME, name) && number(&m, METRIC_ALIAS, alias) &&
            number(&m, METRIC_TIMESTAMP, timestamp_ms) &&
            number(&m, METRIC_DATATYPE, DATATYPE_INT32) && number(&m, METRIC_IS_NULL, 1);
  metric_add(s, bytes, &m, ok);
}

void sparkplug_value(sparkplug *s, uint32_t alias, uint64_t timestamp_ms, int32_t value,
                     bool is_null, bool is_late) {
  uint8_t bytes[METRIC_BYTES_MAX];
  pb_ostream_t m = pb_ostream_from_buffer(bytes, sizeof bytes);
  bool ok = number(&m, METRIC_ALIAS, alias) && number(&m, METRIC_TIMESTAMP, timestamp_ms);
  if (is_late) ok = ok && number(&m, METRIC_IS_HISTORICAL, 1);
  ok = ok &&
       (is_null ? number(&m, METRIC_IS_NULL, 1) : number(&m, METRIC_INT_VALUE, (uint32_t)value));
  metric_add(s, bytes, &m, ok);
}

void sparkplug_end(sparkplug *s, uint8_t sequence) {
  pb_ostream_t to = rest(s);
  taken(s, &to, number(&to, PAYLOAD_SEQ, sequence));
}
