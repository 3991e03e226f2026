/* SPDX-License-Identifier: Apache-2.0 */
/* netem - a bad network between two network namespaces, packet by packet.
 *
 *     near namespace (the caller's)                         far namespace (made here)
 *     192.0.2.1 htel0 <- tun -> pipe down -> | <- pipe up <- tun -> htel0 192.0.2.2
 *
 * What `tc qdisc ... netem` does in a kernel that has it, with the same words (netem_words.h), but
 * in a process: it needs no kernel module, is the same everywhere, draws from a seed, and changes
 * while it runs as a schedule says. It stays in the far namespace, so that others enter that one as
 * /proc/PID/ns/net. netem.sh is how scripts use it.
 *
 * Only loopback and its own device exist in either namespace: start it in one of your own
 * (`unshare --net`), not in the machine's. SIGINT or SIGTERM end it; then it prints what it did as
 * one line of JSON. Exit status: 0, 1 when it failed, 64 when the command line or the schedule is
 * wrong, 77 when it may not make devices or namespaces here. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "netem_pipe.h"

#define EXIT_USAGE 64
#define EXIT_NOT_ALLOWED 77
#define STEPS_MAX 2000u
#define LINE_BYTES_MAX 256u
#define BURST_PACKETS 64u        /* from one side, before the other is looked at */
#define NEAR_ADDRESS "192.0.2.1" /* set aside for documentation (RFC 5737) */
#define FAR_ADDRESS "192.0.2.2"

enum { UP, DOWN, DIRECTIONS };

static struct {
  netem_step steps[STEPS_MAX];
  unsigned step_count, step_next;
  uint64_t begun_us;
  int tun[DIRECTIONS];          /* where packets of this direction come from: far, near */
  netem_pipe pipes[DIRECTIONS]; /* up: from far to near */
  uint64_t refused;             /* packets that a device did not take */
} net;

static volatile sig_atomic_t stop_asked;

static void stop_ask(int signal) {
  (void)signal;
  stop_asked = 1;
}

static _Noreturn void die(int status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("netem: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(status);
}

static _Noreturn void die_of(const char *what) {
  bool denied = errno == EPERM || errno == EACCES || errno == ENOENT || errno == ENODEV;
  die(denied ? EXIT_NOT_ALLOWED : EXIT_FAILURE, "%s: %s", what, strerror(errno));
}

static uint64_t clock_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- Devices --------------------------------------------------------------------------- */

static void address_put(struct sockaddr *to, const char *text) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  inet_pton(AF_INET, text, &address.sin_addr);
  memcpy(to, &address, sizeof address);
}

static void interface_up(int control, const char *name) {
  struct ifreq request = {.ifr_flags = IFF_UP};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  if (ioctl(control, SIOCSIFFLAGS, &request) != 0) die_of(name);
}

/* The device htel0 with this address, and loopback, in the namespace that we are in. */
static int tun_open(const char *address) {
  int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tun < 0) die_of("/dev/net/tun");
  struct ifreq request = {.ifr_name = "htel0", .ifr_flags = IFF_TUN | IFF_NO_PI};
  if (ioctl(tun, TUNSETIFF, &request) != 0) die_of("a tun device");
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (control < 0) die_of("socket");
  address_put(&request.ifr_addr, address);
  if (ioctl(control, SIOCSIFADDR, &request) != 0) die_of(address);
  address_put(&request.ifr_netmask, "255.255.255.0");
  if (ioctl(control, SIOCSIFNETMASK, &request) != 0) die_of("netmask");
  interface_up(control, "htel0");
  interface_up(control, "lo");
  close(control);
  return tun;
}

/* Not in a namespace that has a network: it would be the machine's. */
static void room_check(void) {
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct if_nameindex *list = if_nameindex();
  if (control < 0 || !list) die_of("the network interfaces");
  for (const struct if_nameindex *i = list; i->if_index; i++) {
    struct ifreq request = {.ifr_flags = 0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", i->if_name);
    if (ioctl(control, SIOCGIFFLAGS, &request) != 0) die_of(i->if_name);
    if ((request.ifr_flags & IFF_UP) && strcmp(i->if_name, "lo") != 0)
      die(EXIT_FAILURE, "%s is up here: start it in a namespace of its own (unshare --net)",
          i->if_name);
  }
  if_freenameindex(list);
  close(control);
}

static void devices_open(void) {
  room_check();
  net.tun[DOWN] = tun_open(NEAR_ADDRESS);
  if (unshare(CLONE_NEWNET) != 0) die_of("a network namespace");
  net.tun[UP] = tun_open(FAR_ADDRESS);
}

/* ---- Settings -------------------------------------------------------------------------- */

static void step_add(const char *text, const char *where) {
  char error[128];
  if (net.step_count == STEPS_MAX) die(EXIT_USAGE, "%s: more than %u steps", where, STEPS_MAX);
  netem_step *step = &net.steps[net.step_count];
  if (!netem_step_parse(step, text, error, sizeof error)) die(EXIT_USAGE, "%s: %s", where, error);
  if (net.step_count > 0 && step->at_us < step[-1].at_us)
    die(EXIT_USAGE, "%s: before the step above it", where);
  net.step_count++;
}

static void schedule_read(const char *path) {
  FILE *file = fopen(path, "re");
  if (!file) die(EXIT_USAGE, "%s: %s", path, strerror(errno));
  char line[LINE_BYTES_MAX], where[LINE_BYTES_MAX];
  for (unsigned number = 1; fgets(line, sizeof line, file); number++) {
    snprintf(where, sizeof where, "%s, line %u", path, number);
    if (!strchr(line, '\n')) die(EXIT_USAGE, "%s: too long, or its end is missing", where);
    if (line[0] != '#' && line[0] != '\n') step_add(line, where);
  }
  fclose(file);
}

static void steps_apply(uint64_t now_us) {
  for (; net.step_next < net.step_count; net.step_next++) {
    const netem_step *step = &net.steps[net.step_next];
    if (net.begun_us + step->at_us > now_us) return;
    if (step->directions & NETEM_UP) netem_pipe_set(&net.pipes[UP], &step->settings, now_us);
    if (step->directions & NETEM_DOWN) netem_pipe_set(&net.pipes[DOWN], &step->settings, now_us);
  }
}

/* ---- Packets --------------------------------------------------------------------------- */

static void packets_take_in(int direction) {
  uint8_t bytes[NETEM_PACKET_BYTES_MAX + 1];
  for (unsigned i = 0; i < BURST_PACKETS; i++) {
    ssize_t size = read(net.tun[direction], bytes, sizeof bytes);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size < 0) die_of("reading from a tun device");
    netem_pipe_put(&net.pipes[direction], clock_us(), bytes, (size_t)size);
  }
}

static void packets_give_out(int direction) {
  int to = net.tun[direction == UP ? DOWN : UP];
  const netem_packet *packet;
  while ((packet = netem_pipe_take(&net.pipes[direction], clock_us())) != NULL)
    if (write(to, packet->bytes, packet->size) != packet->size) net.refused++;
}

static uint64_t next_us(void) {
  uint64_t next = UINT64_MAX;
  if (net.step_next < net.step_count) next = net.begun_us + net.steps[net.step_next].at_us;
  for (int d = 0; d < DIRECTIONS; d++) {
    uint64_t due_us = netem_pipe_due_us(&net.pipes[d]);
    if (due_us < next) next = due_us;
  }
  return next;
}

/* Sleeps until a packet comes, one is due, or a stop is asked for. */
static void wait_for_work(const sigset_t *while_asleep) {
  struct pollfd fds[DIRECTIONS] = {{.fd = net.tun[UP], .events = POLLIN},
                                   {.fd = net.tun[DOWN], .events = POLLIN}};
  uint64_t now_us = clock_us(), until_us = next_us();
  uint64_t us = until_us > now_us ? until_us - now_us : 0;
  struct timespec wait = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
  if (ppoll(fds, DIRECTIONS, until_us == UINT64_MAX ? NULL : &wait, while_asleep) < 0 &&
      errno != EINTR)
    die_of("ppoll");
}

static void run(void) {
  sigset_t stops, before;
  sigemptyset(&stops);
  sigaddset(&stops, SIGINT);
  sigaddset(&stops, SIGTERM);
  sigprocmask(SIG_BLOCK, &stops, &before);
  sigdelset(&before, SIGINT);
  sigdelset(&before, SIGTERM);
  struct sigaction action = {.sa_handler = stop_ask};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  net.begun_us = clock_us();
  while (!stop_asked) {
    steps_apply(clock_us());
    for (int d = 0; d < DIRECTIONS; d++) {
      packets_take_in(d);
      packets_give_out(d);
    }
    wait_for_work(&before);
  }
}

/* ---- From outside ---------------------------------------------------------------------- */

static void counts_print(const char *name, const netem_counts *c) {
  printf("\"%s\":{\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"passed\":%" PRIu64
         ",\"passed_bytes\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"cut\":%" PRIu64
         ",\"overflow\":%" PRIu64 ",\"duplicated\":%" PRIu64 ",\"reordered\":%" PRIu64
         ",\"corrupted\":%" PRIu64 "},",
         name, c->packets, c->bytes, c->passed, c->passed_bytes, c->lost, c->cut, c->overflow,
         c->duplicated, c->reordered, c->corrupted);
}

static uint64_t seed_parse(const char *text) {
  char *end;
  errno = 0;
  uint64_t seed = strtoull(text, &end, 10);
  if (errno || *text < '0' || *text > '9' || *end) die(EXIT_USAGE, "--seed must be a whole number");
  return seed;
}

static uint64_t arguments_take(int argc, char **argv) {
  static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                          {"schedule", required_argument, NULL, 'f'},
                                          {NULL, 0, NULL, 0}};
  uint64_t seed = 1;
  const char *schedule = NULL;
  for (int c; (c = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
    if (c == 's') seed = seed_parse(optarg);
    if (c == 'f') schedule = optarg;
    if (c == '?')
      die(EXIT_USAGE,
          "usage: netem [--seed N] [--schedule FILE] [up|down|both] [WORD...]\n"
          "e.g. netem --seed 7 delay 200ms 50ms loss 5%% rate 64kbit limit 50");
  }
  char text[LINE_BYTES_MAX] = "";
  for (size_t used = 0; optind < argc; optind++) {
    int n = snprintf(text + used, sizeof text - used, "%s ", argv[optind]);
    if (n < 0 || (size_t)n >= sizeof text - used) die(EXIT_USAGE, "too many words");
    used += (size_t)n;
  }
  step_add(text, "arguments");
  if (schedule) schedule_read(schedule);
  return seed;
}

int main(int argc, char **argv) {
  uint64_t seed = arguments_take(argc, argv);
  netem_pipe_init(&net.pipes[UP], seed);
  netem_pipe_init(&net.pipes[DOWN], ~seed);
  devices_open();
  printf("netem: ready, seed %" PRIu64 "\n", seed);
  fflush(stdout);
  run();
  putchar('{');
  counts_print("up", &net.pipes[UP].counts);
  counts_print("down", &net.pipes[DOWN].counts);
  printf("\"seed\":%" PRIu64 ",\"refused\":%" PRIu64 "}\n", seed, net.refused);
  return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
