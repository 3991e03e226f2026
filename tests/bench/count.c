/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* count.c - instructions of each operation, exactly, by callgrind.
 *
 * The program starts itself once more under valgrind. That child tells callgrind by client requests
 * when to collect: from the first to the last instruction of a run and nothing else. The
 * port's clock is left out by name (--toggle-collect), since it is the platform's cost.
 *
 *     parent                                    child, under callgrind
 *     reads "name units rounds" lines  <-pipe-  prepare; zero; collect; run; stop; dump; print
 *     reads the totals of DIR/out.1, .2, ...    */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#if defined(__has_include)
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#endif
#endif
#ifndef CALLGRIND_ZERO_STATS
#error "valgrind/callgrind.h is missing (Debian: valgrind)"
#endif

int bench_count_child(bench *b) {
  for (size_t i = 0; i < bench_operation_count; i++) {
    const bench_operation *op = &bench_operations[i];
    int rc = op->prepare(b);
    if (rc != 0) {
      fprintf(stderr, "htel-bench: %s: %s\n", op->name, htel_strerror(rc));
      return 1;
    }
    op->run(b); /* once uncounted: the dynamic linker looks functions up on the first call */
    rc = op->prepare(b);
    if (rc != 0) return 1;
    CALLGRIND_ZERO_STATS;
    CALLGRIND_TOGGLE_COLLECT;
    op->run(b);
    CALLGRIND_TOGGLE_COLLECT;
    CALLGRIND_DUMP_STATS;
    printf("%s %u %u\n", op->name, (unsigned)op->units(b), (unsigned)op->rounds(b));
  }
  return 0;
}

double bench_count_total(const char *dir, size_t index) {
  char path[256], line[512];
  snprintf(path, sizeof path, "%s/out.%zu", dir, index);
  FILE *file = fopen(path, "r");
  if (!file) return -1;
  double total = -1;
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "totals: %lf", &total) == 1) break;
  fclose(file);
  return total;
}

static void dir_remove(const char *dir) {
  DIR *listing = opendir(dir);
  if (listing) {
    for (const struct dirent *e = readdir(listing); e; e = readdir(listing))
      if (e->d_name[0] != '.') unlinkat(dirfd(listing), e->d_name, 0);
    closedir(listing);
  }
  rmdir(dir);
}

/* What the child runs: valgrind, this program, `args`. */
static void child_exec(const char *dir, const char *clock, char *const *args, size_t arg_count) {
  char self[4096], file[300], toggle[100];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  char **argv = calloc(arg_count + 8, sizeof *argv);
  if (length < 0 || !argv) return;
  self[length] = '\0';
  snprintf(file, sizeof file, "--callgrind-out-file=%s/out", dir);
  snprintf(toggle, sizeof toggle, "--toggle-collect=%s", clock);
  char valgrind[] = "valgrind", tool[] = "--tool=callgrind", quiet[] = "-q",
       off[] = "--collect-atstart=no";
  char *const head[] = {valgrind, tool, quiet, off, toggle, file, self};
  size_t heads = sizeof head / sizeof head[0];
  memcpy(argv, head, sizeof head);
  memcpy(argv + heads, args, arg_count * sizeof *argv);
  execvp(argv[0], argv);
}

/* Starts the child; its standard output is the result. */
static FILE *child_start(const char *dir, const char *clock, char *const *args, size_t arg_count,
                         pid_t *pid) {
  int ends[2];
  if (pipe(ends) != 0) return NULL;
  *pid = fork();
  if (*pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    child_exec(dir, clock, args, arg_count);
    fprintf(stderr, "htel-bench: valgrind cannot be started: %s (Debian: valgrind)\n",
            strerror(errno));
    _exit(127);
  }
  close(ends[1]);
  FILE *out = *pid < 0 ? NULL : fdopen(ends[0], "r");
  if (!out) close(ends[0]);
  return out;
}

static int counts_read(FILE *out, const char *dir, void *ctx) {
  bench_count *counts = ctx;
  double loop = 0; /* instructions of one empty round */
  char name[64];
  unsigned units = 0, rounds = 0;
  for (size_t i = 0; i < bench_operation_count; i++) {
    if (fscanf(out, "%63s %u %u", name, &units, &rounds) != 3 || units == 0 ||
        strcmp(name, bench_operations[i].name) != 0)
      return -1;
    double total = bench_count_total(dir, i + 1);
    if (total < 0) return -1;
    if (i == 0) loop = total / rounds;
    counts[i].instructions = (i == 0 ? total : total - loop * rounds) / units;
  }
  return 0;
}

int bench_count_run(const char *clock, char *const *args, size_t arg_count,
                    int (*read)(FILE *out, const char *dir, void *ctx), void *ctx) {
  const char *base = getenv("TMPDIR");
  char dir[200];
  int length = snprintf(dir, sizeof dir, "%s/htel-bench-XXXXXX", base && *base ? base : P_tmpdir);
  if (length < 0 || (size_t)length >= sizeof dir || !mkdtemp(dir)) {
    fprintf(stderr, "htel-bench: no temporary directory: %s\n", strerror(errno));
    return -1;
  }
  pid_t pid = -1;
  int status = -1, rc = -1;
  fflush(NULL);
  FILE *out = child_start(dir, clock, args, arg_count, &pid);
  if (out) {
    /* The dumps are complete when the child has gone, the lines fit in the pipe. */
    if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0)
      rc = read(out, dir, ctx);
    fclose(out);
  }
  dir_remove(dir);
  if (rc != 0) fprintf(stderr, "htel-bench: counting under callgrind failed\n");
  return rc;
}

int bench_count_all(const char *recording_path, bench_count *counts) {
  char suite[] = "core", recording[] = "--recording", counted[] = "--counted", path[4096];
  if (snprintf(path, sizeof path, "%s", recording_path) >= (int)sizeof path) return -1;
  char *const args[] = {suite, recording, path, counted};
  return bench_count_run("bench_clock", args, sizeof args / sizeof args[0], counts_read, counts);
}
