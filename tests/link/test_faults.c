/* SPDX-License-Identifier: Apache-2.0 */
/* test_faults.c - one set of cases for both links: every fault of network, broker and ingest, with
 * a real broker and a real ingest, and each time the same question: is every reading stored once,
 * or explained, and did no call wait?
 *
 *     test_faults --link paho|mqtt [--broker mosquitto|rabbitmq]
 *                 [--only PART_OF_A_NAME] [--seed N] [--jobs N]
 *
 * Each case is a process of its own, three at a time since they mostly wait: one that dies of
 * SIGPIPE, say, is one that failed, and no case finds what another has left behind. */
#include <errno.h>
#include <getopt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "faults_scene.h"
#include "rabbitmq.h"

#define CASE_S_MAX 100u
#define JOBS_MAX 8u
#define SKIPPED 77 /* as CMakeLists.txt says */

typedef struct fault_case {
  const char *name;
  void (*run)(void **state);
  enum { EACH_BROKER, ONE_BROKER } with; /* those that are not about the broker: one will do */
} fault_case;

/* Those that take longest first. */
static const fault_case cases[] = {
    {"alarms_pass_the_backlog", case_alarms_pass_the_backlog, EACH_BROKER},
    {"flapping", case_flapping, EACH_BROKER},
    {"slow_link", case_slow_link, EACH_BROKER},
    {"half_open_idle", case_half_open_idle, EACH_BROKER},
    {"half_open_sending", case_half_open_sending, EACH_BROKER},
    {"one_way_up", case_one_way_up, EACH_BROKER},
    {"one_way_down", case_one_way_down, EACH_BROKER},
    {"broker_reads_one_byte_a_second", case_broker_reads_one_byte_a_second, EACH_BROKER},
    {"broker_says_nothing", case_broker_says_nothing, ONE_BROKER},
    {"broker_killed", case_broker_killed, EACH_BROKER},
    {"pubacks_never_come", case_pubacks_never_come, ONE_BROKER},
    {"receipts_come_late", case_receipts_come_late, EACH_BROKER},
    {"receipts_never_come", case_receipts_never_come, EACH_BROKER},
    {"ingest_killed", case_ingest_killed, EACH_BROKER},
    {"database_locked", case_database_locked, EACH_BROKER},
    {"disk_full", case_disk_full, ONE_BROKER},
    {"hostile_frames", case_hostile_frames, ONE_BROKER},
    {"boot_number_given_twice", case_boot_number_given_twice, ONE_BROKER},
    {"broker_refuses", case_broker_refuses, ONE_BROKER},
    {"delay_and_jitter", case_delay_and_jitter, EACH_BROKER},
    {"name_server_hangs", case_name_server_hangs, ONE_BROKER},
    {"name_server_fails", case_name_server_fails, ONE_BROKER},
    {"one_byte_fragments", case_one_byte_fragments, EACH_BROKER},
    {"broken_pipe", case_broken_pipe, ONE_BROKER},
    {"would_block", case_would_block, EACH_BROKER},
    {"overflow_is_told", case_overflow_is_told, ONE_BROKER},
    {"good_network", case_good_network, EACH_BROKER},
};

typedef struct job {
  const fault_case *what;
  pid_t pid;
  FILE *output;
  uint64_t since_ms;
} job;

/* paho ignores SIGPIPE for the whole process; ports/mqtt must do without. */
static bool sigpipe_is_as_expected(void) {
  struct sigaction action;
  sigaction(SIGPIPE, NULL, &action);
  return !faults.mqtt || action.sa_handler == SIG_DFL;
}

static void case_main(const fault_case *what) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(CASE_S_MAX);
  const struct CMUnitTest test = {.name = what->name, .test_func = what->run};
  int failed = _cmocka_run_group_tests(what->name, &test, 1, NULL, NULL);
  if (!sigpipe_is_as_expected()) {
    printf("somebody changed what SIGPIPE does\n");
    failed++;
  }
  exit(failed == 0 ? 0 : 1);
}

static void job_start(job *self, const fault_case *what) {
  *self = (job){.what = what, .output = tmpfile(), .since_ms = now_ms()};
  fflush(NULL);
  self->pid = self->output != NULL ? fork() : -1;
  if (self->pid < 0) {
    perror("test_faults");
    exit(2);
  }
  if (self->pid > 0) return;
  dup2(fileno(self->output), STDOUT_FILENO);
  dup2(fileno(self->output), STDERR_FILENO);
  case_main(what);
}

static const char *verdict(int status) {
  if (WIFEXITED(status)) return WEXITSTATUS(status) == 0 ? "ok" : "see below";
  return WTERMSIG(status) == SIGALRM ? "took too long" : strsignal(WTERMSIG(status));
}

/* Whether it was good. */
static bool job_end(job *self, int status) {
  char line[1024];
  printf("\n%s: %s%s, %.1f s\n", self->what->name, status == 0 ? "" : "FAILED: ", verdict(status),
         (double)(now_ms() - self->since_ms) / 1000.0);
  rewind(self->output);
  while (fgets(line, sizeof line, self->output) != NULL)
    if (line[0] != '[' || status != 0) printf("    %s", line); /* cmocka's own only on failure */
  fclose(self->output);
  self->pid = 0;
  fflush(stdout);
  return status == 0;
}

static job *job_find(job *jobs, unsigned count, pid_t pid) {
  for (unsigned i = 0; i < count; i++)
    if (jobs[i].pid == pid) return &jobs[i];
  return NULL;
}

/* How many failed. */
static unsigned run_all(const char *only, unsigned jobs_max) {
  job jobs[JOBS_MAX] = {0};
  unsigned failed = 0, running = 0, ran = 0;
  size_t next = 0, count = sizeof cases / sizeof cases[0];
  while (next < count || running > 0) {
    while (next < count && running < jobs_max) {
      const fault_case *what = &cases[next++];
      if (only != NULL ? strstr(what->name, only) == NULL
                       : faults.rabbitmq && what->with == ONE_BROKER)
        continue;
      job_start(job_find(jobs, jobs_max, 0), what);
      running++;
      ran++;
    }
    int status;
    pid_t pid = running > 0 ? waitpid(-1, &status, 0) : -1;
    job *ended = pid > 0 ? job_find(jobs, jobs_max, pid) : NULL;
    if (ended == NULL) continue;
    failed += !job_end(ended, status);
    running--;
  }
  printf("\n%u cases, %u failed\n", ran, failed);
  return ran == 0 ? 1 : failed;
}

static unsigned number(const char *text, unsigned max) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (errno != 0 || *end != '\0' || end == text || value > max) {
    fprintf(stderr, "test_faults: '%s' is not a number up to %u\n", text, max);
    exit(2);
  }
  return (unsigned)value;
}

static void usage(void) {
  fputs(
      "usage: test_faults --link paho|mqtt [--broker mosquitto|rabbitmq]\n"
      "                   [--only TEXT] [--seed N] [--jobs N]\n",
      stderr);
  exit(2);
}

/* Which of two words an option has. */
static bool second_of(const char *text, const char *first, const char *second) {
  if (strcmp(text, first) != 0 && strcmp(text, second) != 0) usage();
  return strcmp(text, second) == 0;
}

int main(int argc, char **argv) {
  static const struct option options[] = {
      {"link", required_argument, NULL, 'l'}, {"broker", required_argument, NULL, 'b'},
      {"only", required_argument, NULL, 'o'}, {"seed", required_argument, NULL, 's'},
      {"jobs", required_argument, NULL, 'j'}, {0}};
  const char *link = NULL, *only = NULL;
  unsigned jobs = 3;
  faults.seed = (unsigned)getpid();
  for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (c) {
      case 'l': faults.mqtt = second_of(link = optarg, "paho", "mqtt"); break;
      case 'b': faults.rabbitmq = second_of(optarg, "mosquitto", "rabbitmq"); break;
      case 'o': only = optarg; break;
      case 's': faults.seed = number(optarg, UINT32_MAX); break;
      case 'j': jobs = number(optarg, JOBS_MAX); break;
      default: usage();
    }
  }
  if (link == NULL || jobs == 0 || optind != argc) usage();
  if (faults.rabbitmq && !rabbitmq_installed()) {
    puts("skipped: rabbitmq-server is not installed");
    return SKIPPED;
  }
  static char certs[BROKER_PATH_MAX];
  broker_certs(certs, "--device", "dev-1", "--device", "dev-2", NULL);
  faults.certs = certs;
  printf("link %s, seed %u\n", link, faults.seed);
  unsigned failed = run_all(only, jobs);
  directory_remove(certs);
  return failed == 0 ? 0 : 1;
}
