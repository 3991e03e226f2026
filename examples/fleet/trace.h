/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h - what happened to one device and to its server, kept line by line for --replay. */
#ifndef FLEET_TRACE_H
#define FLEET_TRACE_H

#include <stdio.h>

#include "result.h"

#define TRACE_LINES_MAX 4000000u

typedef struct trace_line_at {
  int64_t at_ms;
  uint32_t device;
  uint32_t text_at;
} trace_line_at;

typedef struct trace_log {
  uint32_t device; /* whose lines are kept; those of the server always are */
  trace_line_at *lines;
  size_t count, room;
  char *text;
  size_t text_used, text_room;
  bool cut; /* there were more */
} trace_log;

/* As cell_options.trace, with a trace_log as ctx. */
void trace_line(void *ctx, int64_t at_ms, uint32_t device, const char *text);
void trace_free(trace_log *log);

/* The lines within `around_ms` of the device's first violation, or of the run's where it has none;
 * -1, or no violation at all: all of them. */
void trace_print(FILE *to, const trace_log *log, const result *r, int64_t around_ms);

#endif
