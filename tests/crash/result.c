/* SPDX-License-Identifier: Apache-2.0 */
/* result.c - what a part says while it runs, and when something fails. */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "crash.h"

double crash_now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void crash_progress(const crash_result *r) {
  static double last;
  double now = crash_now_s();
  if (now - last < 1.0) return;
  last = now;
  fprintf(stderr, "%s %s %s seed %llu: operation %llu, %llu cuts, %llu mounts\n", r->part,
          r->geometry, r->mode, (unsigned long long)r->seed, (unsigned long long)r->operations,
          (unsigned long long)r->cuts, (unsigned long long)r->mounts);
}

void crash_fail(crash_result *r, const char *format, ...) {
  if (r->failure[0] != '\0') return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(r->failure, sizeof r->failure, format, arguments);
  va_end(arguments);
}

bool crash_settle(crash_result *r, const model *m, const flash_sim *flash, const char *when) {
  if (m->fault == MODEL_GOOD && flash->violation[0] == '\0') return true;
  if (r->failure[0] != '\0') return false;
  if (m->fault == MODEL_TWICE)
    r->twice++;
  else if (m->fault == MODEL_HOLE)
    r->holes++;
  else if (m->fault == MODEL_ALTERED)
    r->altered++;
  else
    r->lost++;
  crash_fail(r, "%s: %s%s%s", when, m->what,
             m->what[0] != '\0' && flash->violation[0] != '\0' ? "; " : "", flash->violation);
  return false;
}
