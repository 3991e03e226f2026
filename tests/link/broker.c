/* SPDX-License-Identifier: Apache-2.0 */
/* broker.c - see broker.h. HTEL_TEST_SOURCE is the project's root, set by the build. */
#include "broker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 64
#define START_TRIES 5

uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

void sleep_ms(unsigned ms) {
  struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
  while (nanosleep(&time, &time) != 0 && errno == EINTR) {
  }
}

/* ---- Files ------------------------------------------------------------------------------- */

void directory_make(char path[BROKER_PATH_MAX]) {
  const char *parent = getenv("TMPDIR");
  snprintf(path, BROKER_PATH_MAX, "%s/htel-test-XXXXXX",
           parent != NULL && strlen(parent) < 200 ? parent : "/tmp");
  assert_non_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *walk) {
  (void)status;
  (void)flag;
  (void)walk;
  return remove(path);
}

void directory_remove(const char *path) {
  nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

long file_size(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 ? (long)status.st_size : -1;
}

bool file_contains(const char *path, const char *text) {
  long size = file_size(path);
  size_t length = strlen(text);
  FILE *file = fopen(path, "rb");
  if (file == NULL || size <= 0) {
    if (file != NULL) {
      fclose(file);
    }
    return false;
  }
  char *bytes = malloc((size_t)size);
  assert_non_null(bytes);
  size_t got = fread(bytes, 1, (size_t)size, file);
  fclose(file);
  bool found = memmem(bytes, got, text, length) != NULL;
  free(bytes);
  return found;
}

bool file_wait(const char *path, const char *text) {
  for (uint64_t until = now_ms() + 15000; now_ms() < until; sleep_ms(20)) {
    if (file_contains(path, text)) {
      return true;
    }
  }
  return false;
}

/* ---- Processes ----------------------------------------------------------------------------- */

pid_t process_start(const char *log, const char *const arguments[]) {
  char *copies[ARGUMENTS_MAX + 1];
  size_t count = 0;
  for (; arguments[count] != NULL; count++) {
    assert_true(count < ARGUMENTS_MAX);
    copies[count] = strdup(arguments[count]);
  }
  copies[count] = NULL;
  int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  assert_true(out >= 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int never[2]; /* standard input that neither says anything nor ends: openssl ends with it */
    if (pipe(never) == 0) {
      dup2(never[0], STDIN_FILENO);
    }
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    execvp(copies[0], copies);
    _exit(127);
  }
  close(out);
  for (size_t i = 0; i < count; i++) {
    free(copies[i]);
  }
  return pid;
}

static int process_wait(pid_t pid, unsigned timeout_ms) {
  int status = 0;
  for (uint64_t until = now_ms() + timeout_ms; now_ms() < until; sleep_ms(5)) {
    if (waitpid(pid, &status, WNOHANG) == pid) {
      return status;
    }
  }
  kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  return status;
}

int process_end(pid_t pid, int sig) {
  kill(pid, sig);
  return process_wait(pid, 5000);
}

int process_run(const char *log, const char *const arguments[]) {
  int status = process_wait(process_start(log, arguments), 30000);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- Ports ------------------------------------------------------------------------------------
 */

uint16_t port_free(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
  close(fd);
  return ntohs(address.sin_port);
}

static bool port_open(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
  bool open = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
  close(fd);
  return open;
}

bool port_wait(uint16_t port) {
  for (uint64_t until = now_ms() + 10000; now_ms() < until; sleep_ms(20)) {
    if (port_open(port)) {
      return true;
    }
  }
  return false;
}

/* ---- The broker ---------------------------------------------------------------------------------
 */

void broker_certs(char path[BROKER_PATH_MAX], ...) {
  directory_make(path);
  const char *arguments[ARGUMENTS_MAX] = {HTEL_TEST_SOURCE "/examples/certs.sh", path};
  size_t count = 2;
  va_list more;
  va_start(more, path);
  while (count < ARGUMENTS_MAX - 1 && (arguments[count] = va_arg(more, const char *)) != NULL) {
    count++;
  }
  va_end(more);
  arguments[count] = NULL;
  char log[BROKER_PATH_MAX + 16];
  snprintf(log, sizeof log, "%s/certs.log", path);
  assert_int_equal(process_run(log, arguments), 0);
}

static void mosquitto_launch(broker *self) {
  char conf[BROKER_PATH_MAX + 16], log[BROKER_PATH_MAX + 16];
  snprintf(conf, sizeof conf, "%s/conf", self->dir);
  snprintf(log, sizeof log, "%s/log", self->dir);
  const char *arguments[] = {"mosquitto", "-c", conf, NULL};
  self->pid = process_start(log, arguments);
}

static bool mosquitto_is_up(const broker *self) {
  return port_open(self->port);
}

static const broker_kind mosquitto_kind = {
    .launch = mosquitto_launch,
    .is_up = mosquitto_is_up,
    .start_ms_max = 10000,
    .stop_signal = SIGTERM,
};

static void mosquitto_configure(const broker *self, const char *certs, const char *extra) {
  char path[BROKER_PATH_MAX + 16];
  snprintf(path, sizeof path, "%s/conf", self->dir);
  FILE *conf = fopen(path, "w");
  assert_non_null(conf);
  fprintf(conf,
          "listener %u 127.0.0.1\n"
          "%s" /* as root it would change to a user who cannot read the certificates */
          "cafile %s/ca.crt\n"
          "certfile %s/broker.crt\n"
          "keyfile %s/broker.key\n"
          "require_certificate true\n"
          "use_identity_as_username true\n"
          "allow_anonymous false\n"
          "acl_file " HTEL_TEST_SOURCE
          "/examples/mosquitto.acl\n"
          "persistence false\n"
          "log_dest stderr\n"
          "%s\n",
          (unsigned)self->port, geteuid() == 0 ? "user root\n" : "", certs, certs, certs, extra);
  fclose(conf);
}

static void broker_launch(broker *self) {
  char log[BROKER_PATH_MAX + 16];
  snprintf(log, sizeof log, "%s/log", self->dir);
  self->log_start = file_size(log) > 0 ? file_size(log) : 0;
  self->kind->launch(self);
}

/* Whether it came up; false when the port was snatched and it has ended. */
static bool broker_up(broker *self) {
  for (uint64_t until = now_ms() + self->kind->start_ms_max; now_ms() < until; sleep_ms(20)) {
    if (waitpid(self->pid, NULL, WNOHANG) == self->pid) {
      self->pid = -1;
      return false;
    }
    if (self->kind->is_up(self)) {
      return true;
    }
  }
  broker_kill(self); /* it hangs */
  return false;
}

void broker_begin(broker *self, const broker_kind *kind, const char *certs, const char *extra,
                  void (*configure)(const broker *self, const char *certs, const char *extra)) {
  *self = (broker){.kind = kind, .pid = -1};
  directory_make(self->dir);
  for (int i = 0; i < START_TRIES; i++) {
    self->port = port_free();
    configure(self, certs, extra);
    broker_launch(self);
    if (broker_up(self)) {
      return;
    }
  }
  fail_msg("the broker does not start: see %s/log", self->dir);
}

void broker_start(broker *self, const char *certs, const char *extra) {
  broker_begin(self, &mosquitto_kind, certs, extra, mosquitto_configure);
}

void broker_kill(broker *self) {
  if (self->pid > 0) {
    process_end(self->pid, SIGKILL);
    self->pid = -1;
  }
}

void broker_restart(broker *self) {
  broker_launch(self);
  assert_true(broker_up(self));
}

void broker_stop(broker *self) {
  if (self->pid > 0) {
    process_end(self->pid, self->kind->stop_signal);
    self->pid = -1;
  }
  directory_remove(self->dir);
}

/* ---- Its clients --------------------------------------------------------------------------- */

typedef struct tool {
  char port[8], ca[BROKER_PATH_MAX + 64], cert[BROKER_PATH_MAX + 64], key[BROKER_PATH_MAX + 64];
  char log[BROKER_PATH_MAX + 16];
  const char *arguments[ARGUMENTS_MAX + 1];
  size_t count;
} tool;

static void tool_add(tool *self, const char *argument) {
  assert_true(self->count < ARGUMENTS_MAX);
  self->arguments[self->count++] = argument;
  self->arguments[self->count] = NULL;
}

static void tool_begin(tool *self, const char *program, const broker *to, const char *certs,
                       const char *name, const char *topic) {
  self->count = 0;
  snprintf(self->port, sizeof self->port, "%u", (unsigned)to->port);
  snprintf(self->ca, sizeof self->ca, "%s/ca.crt", certs);
  snprintf(self->cert, sizeof self->cert, "%s/%s.crt", certs, name);
  snprintf(self->key, sizeof self->key, "%s/%s.key", certs, name);
  snprintf(self->log, sizeof self->log, "%s/tools.log", to->dir);
  const char *arguments[] = {program,    "-h",    "localhost", "-p",     self->port,
                             "-q",       "1",     "--cafile",  self->ca, "--cert",
                             self->cert, "--key", self->key,   "-t",     topic};
  for (size_t i = 0; i < sizeof arguments / sizeof arguments[0]; i++) {
    tool_add(self, arguments[i]);
  }
}

static void tool_more(tool *self, va_list more) {
  const char *argument;
  while ((argument = va_arg(more, const char *)) != NULL) {
    tool_add(self, argument);
  }
}

/* mosquitto_sub does not say when it has subscribed. So a first one only subscribes (-E), and
 * leaves its session to the second. */
pid_t broker_subscribe(const broker *self, const char *certs, const char *name, const char *topic,
                       const char *out, ...) {
  static unsigned sessions;
  char id[24];
  snprintf(id, sizeof id, "reader-%u", sessions++);
  tool sub;
  tool_begin(&sub, "mosquitto_sub", self, certs, name, topic);
  tool_add(&sub, "-c");
  tool_add(&sub, "-i");
  tool_add(&sub, id);
  va_list more;
  va_start(more, out);
  tool_more(&sub, more);
  va_end(more);
  size_t count = sub.count;
  tool_add(&sub, "-E");
  assert_int_equal(process_run(sub.log, sub.arguments), 0);
  sub.arguments[count] = NULL;
  return process_start(out, sub.arguments);
}

static int publish_run(const broker *self, const char *certs, const char *name, const char *topic,
                       va_list more) {
  tool pub;
  tool_begin(&pub, "mosquitto_pub", self, certs, name, topic);
  tool_more(&pub, more);
  return process_run(pub.log, pub.arguments);
}

void broker_publish(const broker *self, const char *certs, const char *name, const char *topic,
                    ...) {
  va_list more;
  va_start(more, topic);
  int status = publish_run(self, certs, name, topic, more);
  va_end(more);
  assert_int_equal(status, 0);
}

bool broker_publish_refused(const broker *self, const char *certs, const char *name,
                            const char *topic, ...) {
  va_list more;
  va_start(more, topic);
  int status = publish_run(self, certs, name, topic, more);
  va_end(more);
  return status != 0;
}
