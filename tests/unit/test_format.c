/* SPDX-License-Identifier: Apache-2.0 */
/* test_format.c - docs/FORMAT.md's worked example is what the encoder makes, byte by byte, and says
 * what the decoder reads. The document is parsed, so it cannot grow stale. And what it says is to
 * be refused is refused.
 *
 * Its fenced blocks are named by their info string. In "hex NAME" everything up to a
 * semicolon is bytes; in "text NAME" everything is text. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "birth.h"
#include "code.h"
#include "frame.h"

static const htel_channel channels[] = {
    {.code = HTEL_MDC_ECG_LEAD_II,
     .name = "ECG_II",
     .unit = HTEL_UNIT_MV,
     .kind = HTEL_WAVEFORM,
     .rate = {360, 1},
     .gain = 200,
     .offset = 1024},
    {.code = HTEL_MDC_PULSE_RATE_OXIMETER, .unit = HTEL_UNIT_PER_MIN, .kind = HTEL_NUMERIC},
    {.code = HTEL_MDC_PRIVATE(0xF000), .name = "ALARM", .kind = HTEL_ALARM},
};
static const birth_source source = {"1.0.0", channels, 3};

#define FRAME_TICK 5000u

static size_t make_data(uint8_t *out, size_t room) {
  static const int32_t ecg[] = {1020, 1021, 1023, 1024, 1024, 1025, 1060, 1130,
                                1190, 1140, 1050, 1000, 1010, 1018, 1021, 1022};
  static const int32_t pulse[] = {72, 73, 73};
  static const uint32_t ticks[] = {5010, 6010, 7010};
  static const uint8_t quality[] = {HTEL_VALID, HTEL_VALID, HTEL_ESTIMATED};
  code_column waves = {.channel = 0,
                       .kind = HTEL_WAVEFORM,
                       .count = 16,
                       .values = ecg,
                       .tick_first = 5002,
                       .phase = 280};
  code_column numerics = {.channel = 1,
                          .kind = HTEL_NUMERIC,
                          .count = 3,
                          .values = pulse,
                          .quality = quality,
                          .ticks = ticks,
                          .tick_first = 5010};
  htel_alarm_event event = {HTEL_MDC_PRIVATE(0xF001), HTEL_ALARM_ACTIVE, HTEL_PRIORITY_MEDIUM,
                            false, 1};
  size_t used = code_block_encode(&waves, FRAME_TICK, CODE_RICE, out, room);
  assert_true(used > 0);
  used += code_block_encode(&numerics, FRAME_TICK, CODE_RICE, out + used, room - used);
  return used + code_alarm_encode(2, &event, 7100, FRAME_TICK, out + used, room - used);
}

static size_t make_frame(uint8_t *out, size_t room) {
  static const htel_anchor anchor = {4000, 1795305600000, 25};
  uint8_t data[256];
  frame_parts parts = {.boot = 3,
                       .sequence = 17,
                       .frame_class = HTEL_CLASS_WAVEFORM,
                       .tick = FRAME_TICK,
                       .schema = birth_schema(&source),
                       .data = data,
                       .data_bytes = make_data(data, sizeof data),
                       .anchors = &anchor,
                       .anchor_count = 1};
  int size = frame_encode(&parts, out, room);
  assert_true(size > 0);
  return (size_t)size;
}

/* ---- The document ------------------------------------------------------------------------ */

static char document[65536];

static int load(void **state) {
  (void)state;
  FILE *file = fopen(HTEL_FORMAT_MD, "rb");
  if (!file) return -1;
  size_t size = fread(document, 1, sizeof document - 1, file);
  fclose(file);
  document[size] = '\0';
  return size > 0 && size < sizeof document - 1 ? 0 : -1;
}

/* The text of the fenced block of that name. */
static char *fenced(const char *name) {
  static char text[16384];
  char fence[64];
  snprintf(fence, sizeof fence, "\n```%s\n", name);
  const char *begin = strstr(document, fence);
  if (!begin) fail_msg("docs/FORMAT.md has no block \"%s\"", name);
  begin += strlen(fence);
  const char *end = strstr(begin, "```");
  assert_non_null(end);
  size_t size = (size_t)(end - begin);
  assert_in_range(size, 1, sizeof text - 1);
  memcpy(text, begin, size);
  text[size] = '\0';
  return text;
}

static size_t fenced_bytes(const char *name, uint8_t *bytes, size_t room) {
  size_t size = 0;
  for (char *line = strtok(fenced(name), "\n"); line; line = strtok(NULL, "\n")) {
    unsigned byte;
    int taken;
    for (char *at = line; *at && *at != ';'; at += taken) {
      if (*at == ' ') {
        taken = 1;
      } else {
        assert_int_equal(sscanf(at, "%2x%n", &byte, &taken), 1);
        assert_int_equal(taken, 2);
        assert_true(size < room);
        bytes[size++] = (uint8_t)byte;
      }
    }
  }
  return size;
}

static void expect_block(const char *name, const uint8_t *bytes, size_t size) {
  uint8_t documented[1024];
  size_t documented_size = fenced_bytes(name, documented, sizeof documented);
  if (documented_size == size && memcmp(documented, bytes, size) == 0) return;
  for (size_t i = 0; i < size; i++) print_error("%02X ", bytes[i]);
  fail_msg("docs/FORMAT.md, block \"%s\": the encoder gives the %zu bytes above", name, size);
}

static void test_the_birth_is_as_documented(void **state) {
  (void)state;
  uint8_t bytes[1024];
  uint32_t size = birth_size(&source);
  assert_int_equal(birth_read(&source, 0, bytes, size), 0);
  expect_block("hex birth", bytes, size);
  char schema[32];
  snprintf(schema, sizeof schema, "0x%08" PRIX32, birth_schema(&source));
  if (!strstr(document, schema)) fail_msg("docs/FORMAT.md does not name the schema %s", schema);
}

static void test_the_frame_is_as_documented(void **state) {
  (void)state;
  uint8_t bytes[1024];
  expect_block("hex frame", bytes, make_frame(bytes, sizeof bytes));
}

static void test_the_capture_is_as_documented(void **state) {
  (void)state;
  uint8_t documented[1024];
  size_t size = fenced_bytes("hex capture", documented, sizeof documented);
  uint8_t bytes[1024] = {0};
  size_t frame = make_frame(bytes + 8, sizeof bytes - 8);
  /* length, device "d-1", then the frame: its length has one byte */
  assert_in_range(frame, 1, 120);
  const uint8_t head[8] = {(uint8_t)(frame + 7), 0x0A, 3, 'd', '-', '1', 0x1A, (uint8_t)frame};
  memcpy(bytes, head, sizeof head);
  assert_in_range(size, 9, frame + 8); /* the document shows its beginning */
  assert_memory_equal(documented, bytes, size);
}

static void append(char *text, size_t room, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  size_t used = strlen(text);
  vsnprintf(text + used, room - used, format, arguments);
  va_end(arguments);
}

static void append_series(char *text, size_t room, const htel_series *s) {
  for (unsigned i = 0; i < s->count; i++) {
    append(text, room, "%u %llu", s->channel, (unsigned long long)s->ticks[i]);
    if (s->kind == HTEL_ALARM) {
      const htel_alarm_event *a = &s->alarms[i];
      append(text, room, " code %" PRIu32 " state %u priority %u latched %u source %u\n", a->code,
             a->state, a->priority, a->latched, a->source);
    } else {
      append(text, room, " %" PRId32 " %u\n", s->values[i], s->quality[i]);
    }
  }
}

/* What is in the frame of a documented block, as text. */
static const char *readings_of(const char *block) {
  static htel_birth birth;
  static htel_frame frame;
  static htel_reader reader;
  static htel_series series;
  uint8_t birth_bytes[1024], frame_bytes[1024];
  size_t birth_bytes_size = fenced_bytes("hex birth", birth_bytes, sizeof birth_bytes);
  size_t frame_bytes_size = fenced_bytes(block, frame_bytes, sizeof frame_bytes);
  assert_int_equal(htel_birth_decode(&birth, birth_bytes, birth_bytes_size), 0);
  assert_int_equal(htel_frame_decode(&frame, frame_bytes, frame_bytes_size), 0);
  assert_int_equal(htel_reader_open(&reader, &frame, &birth), 0);
  static char text[4096];
  text[0] = '\0';
  int rc;
  while ((rc = htel_reader_next(&reader, &series)) == 1) append_series(text, sizeof text, &series);
  assert_int_equal(rc, 0);
  return text;
}

static void test_the_documented_bytes_are_read_as_documented(void **state) {
  (void)state;
  const char *text = readings_of("hex frame");
  assert_string_equal(fenced("text readings"), text);
}

/* The same readings but for the alarm, which is the last line. An encoder may write other columns
 * for them: it is free in what it predicts by. */
static void test_the_documented_columns_are_read_as_documented(void **state) {
  (void)state;
  const char *text = readings_of("hex columns");
  char *documented = fenced("text readings");
  char *alarm = strstr(documented, "\n2 ");
  assert_non_null(alarm);
  alarm[1] = '\0';
  assert_string_equal(documented, text);
}

/* ---- tests/vectors/refused.txt ------------------------------------------------------------- */

static const char *kind_of(int rc) {
  switch (rc) {
    case 0: return "ok";
    case HTEL_E_FORMAT: return "format";
    case HTEL_E_TOO_LARGE: return "too_large";
    case HTEL_E_CRC: return "crc";
    case HTEL_E_UNSUPPORTED: return "unsupported";
    case HTEL_E_SCHEMA: return "schema";
    case HTEL_E_VERSION: return "version";
    default: return htel_strerror(rc);
  }
}

static int frame_try(const uint8_t *bytes, size_t size, const htel_birth *birth) {
  static htel_frame frame;
  static htel_reader reader;
  static htel_series series;
  int rc = htel_frame_decode(&frame, bytes, size);
  if (rc == 0) rc = htel_reader_open(&reader, &frame, birth);
  if (rc == 0)
    while ((rc = htel_reader_next(&reader, &series)) == 1) {
    }
  return rc;
}

static size_t hex_bytes(const char *hex, uint8_t *bytes, size_t room) {
  size_t size = 0;
  unsigned byte;
  for (; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
    assert_true(size < room);
    bytes[size++] = (uint8_t)byte;
  }
  return size;
}

static void test_what_is_to_be_refused_is_refused_as_documented(void **state) {
  (void)state;
  static char line[8192], hex[8192];
  static htel_birth first, birth;
  uint8_t bytes[4096];
  FILE *file = fopen(HTEL_REFUSED, "r");
  assert_non_null(file);
  unsigned count = 0;
  while (fgets(line, sizeof line, file)) {
    if (line[0] == '#') continue;
    char what[8], kind[16], *why = strchr(line, ';');
    assert_non_null(why);
    *why = '\0';
    hex[0] = '\0';
    assert_in_range(sscanf(line, "%7s %15s %8191s", what, kind, hex), 2, 3);
    size_t size = hex_bytes(hex, bytes, sizeof bytes);
    bool is_birth = strcmp(what, "birth") == 0;
    int rc = is_birth ? htel_birth_decode(&birth, bytes, size) : frame_try(bytes, size, &first);
    if (strcmp(kind_of(rc), kind) != 0)
      fail_msg("a %s is taken as %s, not %s:%s", what, kind_of(rc), kind, why + 1);
    if (count++ == 0) first = birth;
  }
  fclose(file);
  assert_in_range(count, 100, 10000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_birth_is_as_documented),
      cmocka_unit_test(test_the_frame_is_as_documented),
      cmocka_unit_test(test_the_capture_is_as_documented),
      cmocka_unit_test(test_the_documented_bytes_are_read_as_documented),
      cmocka_unit_test(test_the_documented_columns_are_read_as_documented),
      cmocka_unit_test(test_what_is_to_be_refused_is_refused_as_documented),
  };
  return cmocka_run_group_tests_name("format", tests, load, NULL);
}
