/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* wire.c - htel-bench wire: see wire.h.
 *
 *     htel-bench wire               a table for each traffic
 *     htel-bench wire --json        the same for machines
 *     htel-bench wire --check       exit status 1 when a bar is broken
 *     htel-bench wire --quick       only what the bars need
 *     htel-bench wire --pcap FILE   the packets, for other tools
 *
 * Exit status: 0; 1 when a bar is broken or something went wrong; 77 where the system does not
 * allow a network namespace; 64 when the command line is wrong.
 *
 * All clients run at once, each in a process of its own and at a port of its own. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire.h"

#define RUN_MS_MAX 240000u
#define EXIT_SKIPPED 77 /* no network of our own: nothing was measured */

typedef struct options {
  bool json, check, quick;
  const char *pcap, *traffic;
  const char *ecg, *numerics, *minutes, *glucose;
} options;

enum { OPTION_PCAP = 256, OPTION_ECG, OPTION_NUMERICS, OPTION_MINUTES, OPTION_GLUCOSE };

static const struct argp_option option_table[] = {
    {"json", 'j', 0, 0, "Print JSON", 0},
    {"check", 'c', 0, 0, "Fail when a bar is broken", 0},
    {"quick", 'q', 0, 0, "Only what the bars need", 0},
    {"traffic", 't', "NAME", 0, "Only this one", 0},
    {"pcap", OPTION_PCAP, "FILE", 0, "Write the packets there", 0},
    {"ecg", OPTION_ECG, "FILE", 0, "A recording of an ECG (CSV with JSON beside it)", 0},
    {"numerics", OPTION_NUMERICS, "FILE", 0, "... of numerics, a row a second", 0},
    {"minutes", OPTION_MINUTES, "FILE", 0, "... of numerics, a row a minute", 0},
    {"glucose", OPTION_GLUCOSE, "FILE", 0, "... of glucose, a row in five minutes", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
  options *o = state->input;
  switch (key) {
    case 'j': o->json = true; return 0;
    case 'c': o->check = true; return 0;
    case 'q': o->quick = true; return 0;
    case 't':
      o->traffic = arg;
      for (size_t i = 0; i < wire_traffic_count; i++)
        if (strcmp(arg, wire_traffics[i].name) == 0) return 0;
      argp_error(state, "no traffic '%s'", arg);
      return 0;
    case OPTION_PCAP: o->pcap = arg; return 0;
    case OPTION_ECG: o->ecg = arg; return 0;
    case OPTION_NUMERICS: o->numerics = arg; return 0;
    case OPTION_MINUTES: o->minutes = arg; return 0;
    case OPTION_GLUCOSE: o->glucose = arg; return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .doc =
        "Whole TCP/IP bytes of a device's connection, both ways, for typical traffic: by both "
        "links of healthtel, and by an ordinary client with JSON and Sparkplug B. Needs a "
        "network namespace of its own, mosquitto, and htel-ingest beside this program."};

/* ---- What is run ----------------------------------------------------------------------------- */

static int path_take(char to[WIRE_PATH_MAX], const char *given, const char *name) {
  const char *shared = getenv("HEALTHTEL_SHARED");
  if (shared == NULL || shared[0] == '\0') shared = BENCH_SOURCE "/../shared";
  int n = given != NULL ? snprintf(to, WIRE_PATH_MAX, "%s", given)
                        : snprintf(to, WIRE_PATH_MAX, "%s/corpus/%s", shared, name);
  if (n < 0 || n >= (int)WIRE_PATH_MAX) return -1;
  if (access(to, R_OK) == 0) return 0;
  to[0] = '\0'; /* synthetic */
  return given == NULL ? 0 : -1;
}

/* The readings of every job. -1: a recording that was asked for is not there. */
static int recordings_take(wire_job *job, const options *o) {
  if (path_take(job->ecg, o->ecg, "mitdb100_ecg360.csv") != 0 ||
      path_take(job->numerics, o->numerics, "smartcare_num1.csv") != 0 ||
      path_take(job->minutes, o->minutes, "mimic3_s25047_num.csv") != 0 ||
      path_take(job->glucose, o->glucose, "cgm_dexcomG6.csv") != 0)
    return -1;
  if (job->ecg[0] == '\0') snprintf(job->ecg, sizeof job->ecg, "%s", BENCH_RECORDING);
  return 0;
}

static bool is_wanted(const options *o, const wire_traffic *t, uint8_t client) {
  if (o->traffic != NULL && strcmp(o->traffic, t->name) != 0) return false;
  bool each = client == WIRE_JSON || client == WIRE_SPARKPLUG;
  if (each && t->message_speed == 0) return false;
  if (client == WIRE_JSON_ARRAY && t->message_ms == t->period_ms) return false; /* as WIRE_JSON */
  if (!o->quick) return true;
  if (strcmp(t->name, "wearable") == 0) return client == WIRE_MQTT || client == WIRE_JSON;
  return strcmp(t->name, "ecg-10s") == 0 && (client == WIRE_MQTT || client == WIRE_PAHO);
}

static size_t jobs_make(const options *o, const wire_job *like, wire_job jobs[WIRE_JOBS_MAX]) {
  size_t n = 0;
  for (size_t t = 0; t < wire_traffic_count; t++) {
    for (uint8_t client = 0; client < WIRE_CLIENTS && n < WIRE_JOBS_MAX; client++) {
      const wire_traffic *traffic = &wire_traffics[t];
      if (!is_wanted(o, traffic, client)) continue;
      bool ordinary = client == WIRE_JSON || client == WIRE_SPARKPLUG;
      wire_job *job = &jobs[n];
      *job = *like;
      job->port = (uint16_t)(WIRE_PORT_FIRST + n);
      job->client = client;
      job->traffic = (uint8_t)t;
      job->speed = ordinary ? traffic->message_speed : traffic->speed;
      job->periods = traffic->periods;
      /* JSON and Sparkplug B send each second or so: fewer periods tell as much. */
      if (ordinary && !traffic->hourly && traffic->periods > 4) job->periods = 4;
      snprintf(job->device, sizeof job->device, "4f7a19c3-%03u", (unsigned)n);
      n++;
    }
  }
  return n;
}

/* ---- Processes ------------------------------------------------------------------------------- */

typedef struct child {
  pid_t pid;
  int fd; /* what it tells; -1: it has told */
} child;

/* Does not return. */
static void child_run(const wire_job *job, const char *tools, int fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (job->client == WIRE_MQTT || job->client == WIRE_PAHO) {
    wire_told told = {0};
    int rc = wire_device_run(job, &told);
    _exit(write(fd, &told, sizeof told) == (ssize_t)sizeof told && rc == 0 ? 0 : 1);
  }
  int ends[2];
  char program[WIRE_PATH_MAX + 32];
  snprintf(program, sizeof program, "%s/htel-bench-ordinary", tools);
  if (pipe(ends) == 0 && write(ends[1], job, sizeof *job) == (ssize_t)sizeof *job) {
    int in = fcntl(ends[0], F_DUPFD, 10), out = fcntl(fd, F_DUPFD, 10);
    dup2(in, 3);
    dup2(out, 4);
    execl(program, program, (char *)NULL);
    fprintf(stderr, "htel-bench: %s: %s\n", program, strerror(errno));
  }
  _exit(1);
}

static int children_start(child *children, const wire_job *jobs, size_t count, const char *tools) {
  for (size_t i = 0; i < count; i++) children[i] = (child){.pid = -1, .fd = -1};
  for (size_t i = 0; i < count; i++) {
    int ends[2];
    if (pipe(ends) != 0) return -1;
    fflush(NULL);
    children[i].pid = fork();
    if (children[i].pid == 0) child_run(&jobs[i], tools, ends[1]);
    close(ends[1]);
    children[i].fd = ends[0];
    if (children[i].pid < 0) return -1;
  }
  return 0;
}

static void children_end(child *children, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (children[i].fd >= 0) close(children[i].fd);
    if (children[i].pid > 0) {
      kill(children[i].pid, SIGKILL);
      waitpid(children[i].pid, NULL, 0);
    }
  }
}

static int told_read(child *c, const wire_job *job, wire_told *told) {
  ssize_t n = read(c->fd, told, sizeof *told);
  close(c->fd);
  c->fd = -1;
  if (n == (ssize_t)sizeof *told && told->error[0] == '\0') return 0;
  told->error[sizeof told->error - 1] = '\0';
  fprintf(stderr, "htel-bench: %s, %s: %s\n", wire_traffics[job->traffic].name,
          wire_client_name(job->client), n == (ssize_t)sizeof *told ? told->error : "it died");
  return -1;
}

/* Captures until all have told. */
static int watch(wire_tap *tap, child *children, const wire_job *jobs, wire_result *results,
                 size_t count) {
  struct pollfd fds[WIRE_JOBS_MAX + 1];
  int64_t until = wire_now_us() + RUN_MS_MAX * 1000ll;
  for (size_t left = count; left > 0;) {
    fds[count] = (struct pollfd){.fd = wire_tap_fd(tap), .events = POLLIN};
    for (size_t i = 0; i < count; i++)
      fds[i] = (struct pollfd){.fd = children[i].fd, .events = POLLIN};
    if (poll(fds, count + 1, 1000) < 0 && errno != EINTR) return -1;
    if (wire_tap_take(tap) != 0) return -1;
    for (size_t i = 0; i < count; i++) {
      if (children[i].fd < 0 || fds[i].revents == 0) continue;
      if (told_read(&children[i], &jobs[i], &results[i].told) != 0) return -1;
      left--;
    }
    if (wire_now_us() < until) continue;
    fprintf(stderr, "htel-bench: it takes too long\n");
    return -1;
  }
  wire_sleep_ms(100);
  return wire_tap_end(tap);
}

/* ---- Figures --------------------------------------------------------------------------------- */

static void cost_add(wire_cost *to, const wire_cost *from) {
  to->up += from->up;
  to->down += from->down;
  to->packets += from->packets;
  to->empty += from->empty;
  to->headers += from->headers;
  to->empty_bytes += from->empty_bytes;
  to->shake += from->shake;
  to->records += from->records;
  to->sent += from->sent;
  to->acks += from->acks;
  to->messages += from->messages;
  to->pongs += from->pongs;
  to->record_count += from->record_count;
  to->again += from->again;
}

static void result_make(const wire_tap *tap, const wire_job *job, wire_result *r) {
  r->job = job;
  uint32_t shakes = 0;
  for (uint32_t i = 0; i < r->told.span_count && i < WIRE_SPANS_MAX; i++) {
    const wire_span *s = &r->told.spans[i];
    wire_cost cost = wire_tap_cost(tap, job->port, s->begin_us, s->end_us);
    const wire_connection *c = wire_tap_connection(tap, job->port, s->begin_us, s->end_us);
    if (i == 0) {
      r->first = cost;
      r->handshake_first = c != NULL ? c->handshake : 0;
      r->ticket_bytes = c != NULL ? c->ticket_bytes : 0;
      r->ticket_s = c != NULL ? c->ticket_s : 0;
      continue;
    }
    cost_add(&r->rest, &cost);
    r->sum.payload += s->payload;
    r->sum.readings += s->readings;
    r->sum.messages += s->messages;
    r->sum.periods += s->periods;
    if (cost.up + cost.down > r->connection_max) r->connection_max = cost.up + cost.down;
    if (c != NULL && ++shakes > 0) r->handshake_rest += c->handshake;
  }
  if (shakes > 0) r->handshake_rest /= shakes;
}

static int run(const options *o, const wire_job *jobs, size_t count, const char *tools) {
  static wire_result results[WIRE_JOBS_MAX];
  child children[WIRE_JOBS_MAX];
  wire_tap *tap = wire_tap_open(WIRE_PORT_FIRST, (uint16_t)count, o->pcap);
  int rc = tap == NULL ? -1 : children_start(children, jobs, count, tools);
  if (rc == 0) rc = watch(tap, children, jobs, results, count);
  if (tap != NULL) children_end(children, count);
  for (size_t i = 0; rc == 0 && i < count; i++) result_make(tap, &jobs[i], &results[i]);
  wire_tap_free(tap);
  if (rc != 0) return 1;
  (o->json ? wire_report_json : wire_report_table)(results, count);
  return o->check && wire_bars_check(results, count) > 0 ? 1 : 0;
}

static int tools_find(char to[WIRE_PATH_MAX]) {
  ssize_t n = readlink("/proc/self/exe", to, WIRE_PATH_MAX - 1);
  if (n <= 0) return -1;
  to[n] = '\0';
  *strrchr(to, '/') = '\0';
  return 0;
}

int wire_main(int argc, char **argv) {
  options o = {0};
  static char name[] = "htel-bench wire";
  argv[0] = name;
  argp_err_exit_status = 64;
  argp_parse(&parser, argc, argv, 0, NULL, &o);
  static wire_job like, jobs[WIRE_JOBS_MAX];
  char error[300], tools[WIRE_PATH_MAX];
  if (recordings_take(&like, &o) != 0 || tools_find(tools) != 0) {
    fprintf(stderr, "htel-bench: a recording cannot be read\n");
    return 1;
  }
  if (wire_net_enter(error, sizeof error) != 0) {
    fprintf(stderr, "htel-bench: %s\n", error);
    return EXIT_SKIPPED;
  }
  size_t count = jobs_make(&o, &like, jobs);
  wire_servers servers;
  int status = 1;
  if (wire_servers_start(&servers, tools, jobs, count) == 0) {
    for (size_t i = 0; i < count; i++)
      snprintf(jobs[i].certs, sizeof jobs[i].certs, "%s/certs", servers.dir);
    status = run(&o, jobs, count, tools);
  }
  wire_servers_stop(&servers);
  return status;
}
