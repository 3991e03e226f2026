/* SPDX-License-Identifier: Apache-2.0 */
/* htel-fleet: runs the library for a fleet of devices against faults, in virtual time, and says
 * whether the promise was kept. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fleet.h"
#include "live.h"
#include "options.h"
#include "report.h"
#include "result_json.h"
#include "trace.h"

enum { EXIT_KEPT = 0, EXIT_BROKEN = 1, EXIT_CANNOT = 2 };

static volatile bool stop;

static void on_end(int signal_number) {
  (void)signal_number;
  stop = true;
}

static void put(const char *text) {
  ssize_t written = write(STDERR_FILENO, text, strlen(text));
  (void)written;
}

/* The seed is what is needed to see it again. */
static void on_crash(int signal_number) {
  char text[24];
  uint64_t seed;
  uint32_t cell;
  fleet_where(&seed, &cell);
  size_t at = sizeof text - 1;
  text[at] = '\0';
  do text[--at] = (char)('0' + seed % 10u);
  while ((seed /= 10u) > 0);
  put("htel-fleet: the program under test crashed; run it again with --seed ");
  put(text + at);
  put("\n");
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

static void signals_begin(void) {
  struct sigaction end = {.sa_handler = on_end};
  sigaction(SIGINT, &end, NULL);
  sigaction(SIGTERM, &end, NULL);
  struct sigaction crash = {.sa_handler = on_crash};
  sigaction(SIGSEGV, &crash, NULL);
  sigaction(SIGABRT, &crash, NULL);
  sigaction(SIGFPE, &crash, NULL);
  sigaction(SIGBUS, &crash, NULL);
}

static void progress(void *ctx, uint64_t done, uint64_t all, uint64_t violations) {
  const options *o = ctx;
  if (!o->progress) return;
  fprintf(stderr, "\rhtel-fleet: %llu of %llu %s, %llu violations%s", (unsigned long long)done,
          (unsigned long long)all, o->seeds > 1 ? "seeds" : "cells", (unsigned long long)violations,
          done == all ? "\n" : "");
}

static int fail(const char *what) {
  fprintf(stderr, "htel-fleet: %s\n", what);
  return EXIT_CANNOT;
}

static fleet fleet_of(options *o) {
  return (fleet){.scenario = &o->scenario,
                 .seed = o->seed,
                 .jobs = o->jobs,
                 .only = o->only,
                 .stop = &stop,
                 .progress = progress,
                 .progress_ctx = o};
}

static int not_run(void) {
  return fail(stop ? "stopped" : "not enough memory: try fewer --jobs or a smaller --cell");
}

/* Text or JSON on stdout, and the report. */
static int tell(const options *o, const result *r) {
  cJSON *json = result_json(r, &o->scenario, o->seed, o->only);
  if (json == NULL) return not_run();
  int rc = r->totals.violations == 0 ? EXIT_KEPT : EXIT_BROKEN;
  if (o->json) {
    char *text = cJSON_PrintUnformatted(json);
    if (text != NULL) puts(text);
    free(text);
  } else {
    result_print(stdout, r, &o->scenario, o->seed, o->only);
  }
  char error[256];
  if (o->report != NULL && report_write(o->report, json, error, sizeof error) != 0) {
    rc = fail(error);
  }
  cJSON_Delete(json);
  return rc;
}

static int run_one(options *o) {
  char error[256];
  if (o->report != NULL && report_check(o->report, error, sizeof error) != 0) return fail(error);
  fleet f = fleet_of(o);
  result r;
  if (!fleet_run(&f, &r)) return not_run();
  int rc = tell(o, &r);
  result_free(&r);
  return rc;
}

/* ---- --seeds -------------------------------------------------------------------------------- */

typedef struct many {
  const options *options;
  result sum;
  uint64_t seeds, failed, first_failed;
} many;

static bool seed_done(void *ctx, uint64_t seed, const result *r) {
  many *m = ctx;
  m->seeds++;
  if (!result_add(&m->sum, r)) return false;
  if (r->totals.violations == 0) return true;
  if (m->failed++ == 0) m->first_failed = seed;
  if (m->options->progress) fputc('\n', stderr);
  fprintf(stderr, "htel-fleet: seed %llu breaks the promise\n", (unsigned long long)seed);
  return !m->options->first;
}

static int run_seeds(options *o) {
  fleet f = fleet_of(o);
  many m = {.options = o};
  if (!result_init(&m.sum, &o->scenario)) return not_run();
  bool ok = fleet_seeds(&f, o->seeds, seed_done, &m);
  int rc = ok ? result_seeds_tell(&m.sum, &o->scenario, o->seed, m.seeds, m.failed, m.first_failed,
                                  o->json)
                    ? EXIT_KEPT
                    : EXIT_BROKEN
              : not_run();
  result_free(&m.sum);
  return rc;
}

/* ---- --replay and --shrink ------------------------------------------------------------------- */

static int run_replay(options *o) {
  trace_log log = {.device = o->replay};
  fleet f = fleet_of(o);
  f.only = o->only;
  f.trace = trace_line;
  f.trace_ctx = &log;
  f.progress = NULL;
  result r;
  if (!fleet_run(&f, &r)) {
    trace_free(&log);
    return not_run();
  }
  trace_print(stdout, &log, &r, o->trace_whole ? -1 : (int64_t)o->around_ms);
  int rc = r.totals.violations == 0 ? EXIT_KEPT : EXIT_BROKEN;
  result_free(&r);
  trace_free(&log);
  return rc;
}

static int run_shrink(options *o) {
  fleet f = fleet_of(o);
  f.progress = NULL;
  unsigned runs = fleet_shrink(&f, &o->scenario);
  if (stop) return not_run();
  if (runs == 0) {
    printf("htel-fleet: seed %llu keeps the promise: nothing to make smaller\n",
           (unsigned long long)o->seed);
    return EXIT_KEPT;
  }
  o->only = f.only;
  fprintf(stderr, "htel-fleet: made smaller in %u runs\n", runs);
  run_one(o);
  return EXIT_BROKEN;
}

static int run_live(options *o) {
  cJSON *out = cJSON_CreateObject();
  char error[256] = "not enough memory";
  o->live.stop = &stop;
  int rc = out == NULL ? EXIT_CANNOT : live_run(&o->live, &o->scenario, out, error, sizeof error);
  if (rc == EXIT_CANNOT) fail(error);
  char *text = rc == EXIT_CANNOT ? NULL : o->json ? cJSON_PrintUnformatted(out) : cJSON_Print(out);
  if (text != NULL) puts(text);
  free(text);
  cJSON_Delete(out);
  return rc;
}

static int run(options *o) {
  if (o->live.broker != NULL) return run_live(o);
  if (o->replay != FLEET_ALL) return run_replay(o);
  if (o->shrink) return run_shrink(o);
  if (o->seeds > 1) return run_seeds(o);
  return run_one(o);
}

int main(int argc, char **argv) {
  static options o;
  options_parse(&o, argc, argv); /* ends the program where it was only asked something */
  signals_begin();
  int rc = run(&o);
  bool written = fflush(stdout) == 0 && ferror(stdout) == 0;
  return written ? rc : fail("standard output cannot be written: is its disk full?");
}
