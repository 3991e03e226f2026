/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#define SERVER UINT32_MAX

static bool room_make(trace_log *log, size_t text_size) {
  if (log->count == log->room) {
    size_t room = log->room == 0 ? 1024u : 2u * log->room;
    trace_line_at *lines = realloc(log->lines, room * sizeof *lines);
    if (lines == NULL) return false;
    log->lines = lines;
    log->room = room;
  }
  if (log->text_used + text_size > log->text_room) {
    size_t room = 2u * (log->text_used + text_size) + 4096u;
    char *text = room > UINT32_MAX ? NULL : realloc(log->text, room);
    if (text == NULL) return false;
    log->text = text;
    log->text_room = room;
  }
  return true;
}

void trace_line(void *ctx, int64_t at_ms, uint32_t number, const char *text) {
  trace_log *log = ctx;
  if (number != log->device && number != SERVER) return;
  size_t size = strlen(text) + 1u;
  if (log->count >= TRACE_LINES_MAX || !room_make(log, size)) {
    log->cut = true;
    return;
  }
  log->lines[log->count++] = (trace_line_at){at_ms, number, (uint32_t)log->text_used};
  memcpy(log->text + log->text_used, text, size);
  log->text_used += size;
}

void trace_free(trace_log *log) {
  free(log->lines);
  free(log->text);
  *log = (trace_log){0};
}

static const violation *first_of(const result *r, uint32_t number) {
  for (uint32_t i = 0; i < r->violation_count; i++)
    if (r->violations[i].device == number) return &r->violations[i];
  return r->violation_count > 0 ? &r->violations[0] : NULL;
}

static void time_print(FILE *to, int64_t ms) {
  fprintf(to, "%3lld:%02lld:%02lld.%03lld  ", (long long)(ms / 3600000),
          (long long)(ms / 60000 % 60), (long long)(ms / 1000 % 60), (long long)(ms % 1000));
}

static void violation_print(FILE *to, const violation *v) {
  time_print(to, v->at_ms);
  fprintf(to, "VIOLATION %s, device %u: %s\n", violation_name(v->kind), (unsigned)v->device,
          v->text);
}

void trace_print(FILE *to, const trace_log *log, const result *r, int64_t around_ms) {
  const violation *v = first_of(r, log->device);
  bool told = v == NULL;
  for (size_t i = 0; i < log->count; i++) {
    const trace_line_at *line = &log->lines[i];
    if (!told && line->at_ms > v->at_ms) {
      violation_print(to, v);
      told = true;
    }
    if (v != NULL && around_ms >= 0 &&
        (line->at_ms < v->at_ms - around_ms || line->at_ms > v->at_ms + around_ms))
      continue;
    time_print(to, line->at_ms);
    if (line->device == SERVER)
      fprintf(to, "server     %s\n", log->text + line->text_at);
    else
      fprintf(to, "device %-4u%s\n", (unsigned)line->device, log->text + line->text_at);
  }
  if (!told) violation_print(to, v);
  if (log->cut) fprintf(to, "(more happened than is kept)\n");
  if (v == NULL) fprintf(to, "no violation in this run\n");
}
