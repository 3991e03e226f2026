/* SPDX-License-Identifier: Apache-2.0 */
/* host.c - see host.h. */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "peer_server.h"

#define STACK_BYTES 262144u
#define INTERRUPT_US 1000
#define RUNS_MAX 100

/* Sanitizers keep things of their own on the stack. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_IS_OURS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_IS_OURS 0
#endif
#endif
#ifndef STACK_IS_OURS
#define STACK_IS_OURS 1
#endif

typedef struct arguments {
  const char *directory, *only;
  int runs;
  bool json;
} arguments;

typedef struct run {
  port_host host;
  host_trial *trial;
  int result;
} run;

/* ---- What the kit says --------------------------------------------------------------------- */

static bool json, json_begun;

static void print(void *ctx, const char *text) {
  (void)ctx;
  if (json) return;
  fputs(text, stdout);
  fflush(stdout); /* a port may end the process, or wait for ever */
}

static void json_text(const char *text) {
  putchar('"');
  for (; *text != '\0'; text++) {
    if (*text == '"' || *text == '\\') putchar('\\');
    putchar(*text);
  }
  putchar('"');
}

/* One object a line: {"check":"clock.moves","outcome":"pass","section":"Clock","words":""} */
static void report(void *ctx, const kit_result *result) {
  static const char *const outcomes[] = {"pass", "fail", "skip"};
  (void)ctx;
  if (!json) return;
  fputs(json_begun ? ",\n" : "[\n", stdout);
  json_begun = true;
  fputs("{\"check\":", stdout);
  json_text(result->name);
  printf(",\"outcome\":\"%s\",\"section\":", outcomes[result->outcome]);
  json_text(result->section);
  fputs(",\"words\":", stdout);
  json_text(result->words);
  putchar('}');
}

/* ---- Interrupts: a signal ------------------------------------------------------------------ */

static void (*volatile handler_now)(void *arg);
static void *volatile handler_arg;

static void on_signal(int number) {
  (void)number;
  int saved = errno;
  void (*handler)(void *arg) = handler_now;
  if (handler != NULL) handler(handler_arg);
  errno = saved;
}

static void interrupts(void *ctx, void (*handler)(void *arg), void *arg) {
  (void)ctx;
  struct itimerval timer = {0};
  setitimer(ITIMER_REAL, &timer, NULL);
  handler_now = NULL;
  if (handler == NULL) return;
  handler_arg = arg;
  handler_now = handler;
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  timer.it_value.tv_usec = timer.it_interval.tv_usec = INTERRUPT_US;
  setitimer(ITIMER_REAL, &timer, NULL);
}

static void signals(int how) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  pthread_sigmask(how, &set, NULL);
}

static void host_sleep(void *ctx, uint32_t ms) {
  (void)ctx;
  struct timespec left = {.tv_sec = ms / 1000u, .tv_nsec = (long)(ms % 1000u) * 1000000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
}

/* ---- The network --------------------------------------------------------------------------- */

static void *serve(void *arg) {
  peer_serve(*(const int *)arg);
  return NULL;
}

/* A queue of connections that nobody takes, and that is full: others get no answer. */
static int nowhere_make(uint16_t *port) {
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof here;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (const struct sockaddr *)&here, size) != 0 ||
      listen(listener, 0) != 0 || getsockname(listener, (struct sockaddr *)&here, &size) != 0)
    return -1;
  for (unsigned i = 0; i < 3; i++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || (connect(fd, (const struct sockaddr *)&here, size) != 0 && errno != EINPROGRESS))
      return -1;
  }
  *port = ntohs(here.sin_port);
  return 0;
}

/* ---- A run --------------------------------------------------------------------------------- */

static void *run_on_stack(void *arg) {
  run *r = arg;
  signals(SIG_UNBLOCK);
  r->result = r->trial(&r->host);
  return NULL;
}

/* In a process of its own. */
static int run_here(const arguments *args, host_trial *trial, bool again) {
  static _Alignas(4096) uint8_t stack[STACK_BYTES];
  static max_align_t memory[KIT_MEMORY_BYTES / sizeof(max_align_t)];
  static run r;
  static int listener;
  r = (run){.trial = trial, .result = -1};
  r.host.directory = args->directory;
  r.host.config = (kit_config){.memory = memory,
                               .memory_size = sizeof memory,
                               .print = print,
                               .report = report,
                               .again = again,
                               .only = args->only,
                               .sleep = host_sleep,
                               .interrupts = interrupts,
                               .call_ms_max = 1000, /* a host has other things to do as well */
                               .flash_ms_max = 5000};
  pthread_t peer, thread;
  pthread_attr_t attributes;
  signals(SIG_BLOCK);
  listener = peer_listen("127.0.0.1", &r.host.peer_port);
  if (listener < 0 || nowhere_make(&r.host.nowhere_port) != 0 ||
      pthread_attr_init(&attributes) != 0 || pthread_create(&peer, NULL, serve, &listener) != 0) {
    fprintf(stderr, "no peer: %s\n", strerror(errno));
    return 1;
  }
  if (STACK_IS_OURS && pthread_attr_setstack(&attributes, stack, sizeof stack) == 0) {
    r.host.config.stack_lowest = stack;
    r.host.config.stack_bytes = sizeof stack;
  }
  if (pthread_create(&thread, &attributes, run_on_stack, &r) != 0) return 1;
  pthread_join(thread, NULL);
  return r.result == 0 ? 0 : 1;
}

static int run_in_child(const arguments *args, host_trial *trial, bool again) {
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) return 1;
  if (child == 0) {
    int result = run_here(args, trial, again);
    if (json) fputs("\n]\n", stdout);
    fflush(stdout);
    _exit(result);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFSIGNALED(status)) printf("the port ended the run: signal %d\n", WTERMSIG(status));
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

/* ---- Arguments ----------------------------------------------------------------------------- */

static const char usage[] =
    "[--dir DIR] [--runs N] [--only NAME] [--json]\n"
    "Runs the conformance kit (docs/PORTING.md) against a port; exit status 0 when it passes.\n"
    "  --dir DIR    where the port keeps its files; what is there counts as an earlier run's\n"
    "               (a new directory, removed in the end)\n"
    "  --runs N     so many runs, with a reset before each (2)\n"
    "  --only NAME  only checks whose names begin so: flash, net.stall\n"
    "  --json       an array of results for each run\n";

static bool arguments_parse(arguments *args, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    bool has_value = i + 1 < argc;
    if (strcmp(argv[i], "--json") == 0) {
      args->json = true;
    } else if (strcmp(argv[i], "--dir") == 0 && has_value) {
      args->directory = argv[++i];
    } else if (strcmp(argv[i], "--only") == 0 && has_value) {
      args->only = argv[++i];
    } else if (strcmp(argv[i], "--runs") == 0 && has_value) {
      args->runs = atoi(argv[++i]);
    } else {
      return false;
    }
  }
  return args->runs >= 1 && args->runs <= RUNS_MAX;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place) {
  (void)status;
  (void)kind;
  (void)place;
  return remove(path);
}

int host_main(int argc, char **argv, host_trial *trial) {
  char temporary[] = "/tmp/htel-port-XXXXXX";
  arguments args = {.runs = 2};
  if (!arguments_parse(&args, argc, argv)) {
    fprintf(stderr, "%s %s", argv[0], usage);
    return 2;
  }
  bool own = args.directory == NULL, again = !own;
  if (own) args.directory = mkdtemp(temporary);
  if (args.directory == NULL) {
    perror("no temporary directory");
    return 1;
  }
  json = args.json;
  int failed = 0;
  for (int i = 0; i < args.runs; i++, again = true) {
    if (!json) printf("run %d of %d%s\n", i + 1, args.runs, again ? ", after a reset" : "");
    failed |= run_in_child(&args, trial, again && args.only == NULL);
  }
  if (own) nftw(args.directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
  return failed;
}
