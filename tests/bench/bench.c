/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* bench.c - htel-bench: what the core costs, in instructions and by the wall clock.
 *
 *     htel-bench core            a table
 *     htel-bench core --json     the same for machines
 *     htel-bench core --check    instructions only; exit status 1 when one is over its bar
 *     htel-bench codec FILE...   bytes a reading: see codec.h
 *     htel-bench wire            bytes on the wire: see wire.h
 *     htel-bench outbox          what the outbox on flash costs: see outbox.h
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#if BENCH_CODEC
#include "codec.h"
#endif
#include "outbox.h"
#include "wire.h"

#define OPERATIONS_MAX 16u
#define TIMED_NS_MIN 40000000 /* an operation is repeated for so long, */
#define TIMED_ROUNDS 5        /* so often */
#define REPEATS_MAX 1000000u

typedef struct options {
  const char *recording;
  bool json, check, counted;
  bool suite_given;
} options;

enum { OPTION_COUNTED = 256 };

static const struct argp_option option_table[] = {
    {"json", 'j', 0, 0, "Print JSON", 0},
    {"check", 'c', 0, 0, "Count instructions only; fail when one is over its bar", 0},
    {"recording", 'r', "FILE", 0, "A recording (CSV with JSON beside it), one ECG first", 0},
    {"counted", OPTION_COUNTED, 0, OPTION_HIDDEN, "The run under callgrind", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
  options *o = state->input;
  switch (key) {
    case 'j': o->json = true; return 0;
    case 'c': o->check = true; return 0;
    case 'r': o->recording = arg; return 0;
    case OPTION_COUNTED: o->counted = true; return 0;
    case ARGP_KEY_ARG:
      if (o->suite_given || strcmp(arg, "core") != 0)
        argp_error(state, "the suites are 'core', 'wire' and 'outbox', not '%s'", arg);
      o->suite_given = true;
      return 0;
    case ARGP_KEY_END:
      if (!o->suite_given) argp_error(state, "which suite? htel-bench core, wire or outbox");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "core",
    .doc =
        "What the healthtel core costs: instructions (callgrind, -O2) and units a second. "
        "'htel-bench codec' measures bytes a reading, 'htel-bench wire' bytes on the wire, "
        "'htel-bench outbox' the outbox on flash: see their --help."};

/* Of this thread's own processor time: what others do on the machine counts less. */
static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Units a second, prepare() not timed; negative on failure. */
static double time_once(const bench_operation *op, bench *b) {
  int64_t spent_ns = 0;
  double units = 0;
  for (uint32_t i = 0; i < REPEATS_MAX && spent_ns < TIMED_NS_MIN; i++) {
    if (op->prepare(b) != 0) return -1;
    int64_t start = now_ns();
    op->run(b);
    spent_ns += now_ns() - start;
    units += op->units(b);
  }
  return spent_ns > 0 ? units * 1e9 / (double)spent_ns : -1;
}

/* ---- Side by side ------------------------------------------------------------------- */

/* Readings a second of ours for each one of theirs. */
static const struct {
  const char *ours, *theirs;
  double at_least; /* 0: no bar */
} ratios[] = {
    {"record", "mutex", 0}, {"record", "ck_ring", 0},  {"poll", "plain", 0},
    {"poll", "packed", 5},  {"poll_best", "plain", 0}, {"poll_best", "packed", 1.5},
};
#define RATIO_COUNT (sizeof ratios / sizeof ratios[0])

static double per_second_of(const double *per_second, const char *name) {
  for (size_t i = 1; i < bench_operation_count; i++)
    if (strcmp(bench_operations[i].name, name) == 0) return per_second[i];
  return 0; /* built without it */
}

static double ratio_get(const double *per_second, size_t i) {
  double theirs = per_second_of(per_second, ratios[i].theirs);
  return theirs > 0 ? per_second_of(per_second, ratios[i].ours) / theirs : 0;
}

static void print_ratios(const double *per_second) {
  printf("\nreadings a second, as a multiple:\n");
  for (size_t i = 0; i < RATIO_COUNT; i++) {
    double ratio = ratio_get(per_second, i);
    if (ratio <= 0) continue;
    printf("  %-10s is %6.2f times %-8s", ratios[i].ours, ratio, ratios[i].theirs);
    if (ratios[i].at_least > 0) printf("  (at least %g)", ratios[i].at_least);
    printf("\n");
  }
}

static bool under_bar(const double *per_second) {
  bool under = false;
  for (size_t i = 0; i < RATIO_COUNT; i++) {
    double ratio = ratio_get(per_second, i);
    if (ratio <= 0 || ratio >= ratios[i].at_least) continue;
    fprintf(stderr, "htel-bench: %s is %.2f times as fast as %s, it should be %g times\n",
            ratios[i].ours, ratio, ratios[i].theirs, ratios[i].at_least);
    under = true;
  }
  return under;
}

static void print_json_ratios(const double *per_second) {
  const char *comma = "";
  printf("\n],\n \"ratios\": [");
  for (size_t i = 0; i < RATIO_COUNT; i++) {
    double ratio = ratio_get(per_second, i);
    if (ratio <= 0) continue;
    printf("%s\n  {\"ours\": \"%s\", \"theirs\": \"%s\", \"times\": %.3f, \"at_least\": %g}", comma,
           ratios[i].ours, ratios[i].theirs, ratio, ratios[i].at_least);
    comma = ",";
  }
}

/* All operations in turn, a few times, and the best of each: others may use the machine, and ratios
 * are to be of figures from the same moments. */
static int time_all(bench *b, double *per_second) {
  for (int round = 0; round < TIMED_ROUNDS; round++)
    for (size_t i = 1; i < bench_operation_count; i++) {
      double now = time_once(&bench_operations[i], b);
      if (now < 0) return -1;
      if (now > per_second[i]) per_second[i] = now;
    }
  return 0;
}

static void print_json(const bench_count *counts, const double *per_second, bool timed,
                       const bench_memory *memory) {
  printf("{\"suite\": \"core\", \"compiler\": \"%s\", \"flags\": \"%s\", \"operations\": [",
         __VERSION__, BENCH_FLAGS);
  for (size_t i = 1; i < bench_operation_count; i++) {
    const bench_operation *op = &bench_operations[i];
    printf("%s\n  {\"name\": \"%s\", \"unit\": \"%s\", \"instructions\": %.2f", i > 1 ? "," : "",
           op->name, op->unit, counts[i].instructions);
    if (op->instructions_max) printf(", \"instructions_max\": %u", (unsigned)op->instructions_max);
    if (timed) printf(", \"per_second\": %.0f", per_second[i]);
    printf("}");
  }
  if (timed) print_json_ratios(per_second);
  printf(
      "\n],\n \"memory_bytes\": {\"all\": %u, \"outbox\": %u, \"ring\": %u, \"zlib\": %u, "
      "\"rest\": %u}}\n",
      (unsigned)memory->all, (unsigned)memory->outbox, (unsigned)memory->ring,
      (unsigned)memory->zlib, (unsigned)memory->rest);
}

static void print_table(const bench_count *counts, const double *per_second, bool timed,
                        const bench_memory *memory) {
  printf("%-13s %-12s %13s %6s %14s\n", "operation", "unit", "instructions", "bar",
         timed ? "units/s" : "");
  for (size_t i = 1; i < bench_operation_count; i++) {
    const bench_operation *op = &bench_operations[i];
    char bar[16] = "", speed[32] = "";
    if (op->instructions_max) snprintf(bar, sizeof bar, "%u", (unsigned)op->instructions_max);
    if (timed) snprintf(speed, sizeof speed, "%.0f", per_second[i]);
    printf("%-13s %-12s %13.1f %6s %14s  %s\n", op->name, op->unit, counts[i].instructions, bar,
           speed, op->what);
  }
  printf(
      "memory of one ECG, three numerics, 32 KiB of outbox: %u bytes (outbox %u, ring %u, "
      "zlib %u, batches and state %u)\n",
      (unsigned)memory->all, (unsigned)memory->outbox, (unsigned)memory->ring,
      (unsigned)memory->zlib, (unsigned)memory->rest);
  if (timed) print_ratios(per_second);
}

static bool over_bar(const bench_count *counts) {
  bool over = false;
  for (size_t i = 1; i < bench_operation_count; i++) {
    const bench_operation *op = &bench_operations[i];
    if (op->instructions_max == 0 || counts[i].instructions <= op->instructions_max) continue;
    fprintf(stderr, "htel-bench: %s costs %.1f instructions, %u are allowed\n", op->name,
            counts[i].instructions, (unsigned)op->instructions_max);
    over = true;
  }
  return over;
}

int main(int argc, char **argv) {
#if BENCH_CODEC
  if (argc > 1 && strcmp(argv[1], "codec") == 0) return codec_main(argc - 1, argv + 1);
#endif
#if BENCH_WIRE
  if (argc > 1 && strcmp(argv[1], "wire") == 0) return wire_main(argc - 1, argv + 1);
#endif
  if (argc > 1 && strcmp(argv[1], "outbox") == 0)
    return outbox_main(argc - 1, argv + 1, BENCH_RECORDING);
  options o = {.recording = BENCH_RECORDING};
  argp_parse(&parser, argc, argv, 0, NULL, &o);
  bench *b = bench_open(o.recording);
  if (!b) return 1;
  if (o.counted) {
    int status = bench_count_child(b);
    bench_close(b);
    return status;
  }

  bench_count counts[OPERATIONS_MAX];
  double per_second[OPERATIONS_MAX] = {0};
  int rc = bench_operation_count <= OPERATIONS_MAX ? bench_count_all(o.recording, counts) : -1;
  if (rc == 0 && !o.check) rc = time_all(b, per_second);
  bench_close(b);
  bench_memory memory;
  if (rc != 0 || bench_memory_get(&memory) != 0) return 1;
  (o.json ? print_json : print_table)(counts, per_second, !o.check, &memory);
  bool bad = over_bar(counts);
  if (!o.check) bad |= under_bar(per_second);
  return bad ? 1 : 0;
}
