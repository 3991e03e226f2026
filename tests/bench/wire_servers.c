/* SPDX-License-Identifier: Apache-2.0 */
/* wire_servers.c - certificates by examples/certs.sh, mosquitto as examples/mosquitto.conf.in
 * configures it, and htel-ingest as it comes. Each client has a listener of its own, so that the
 * port tells whose packet it is. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire.h"

#define START_MS_MAX 15000u
#define END_MS_MAX 5000u
#define ARGUMENTS_MAX (2 * WIRE_JOBS_MAX + 8)

typedef char text[WIRE_PATH_MAX + 80];

static int complain(const char *what) {
  fprintf(stderr, "htel-bench: %s\n", what);
  return -1;
}

/* Its output goes to `log`; it dies with us. */
static pid_t start(const char *log, const char *const arguments[]) {
  char *copies[ARGUMENTS_MAX] = {NULL};
  for (size_t i = 0; i + 1 < ARGUMENTS_MAX && arguments[i] != NULL; i++)
    copies[i] = strdup(arguments[i]);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    execvp(copies[0], copies);
    fprintf(stderr, "%s: %s\n", copies[0], strerror(errno));
    _exit(127);
  }
  for (size_t i = 0; i < ARGUMENTS_MAX; i++) free(copies[i]);
  return pid;
}

static void end(pid_t pid) {
  if (pid <= 0) return;
  kill(pid, SIGTERM);
  for (uint32_t ms = 0; ms < END_MS_MAX; ms += 20) {
    if (waitpid(pid, NULL, WNOHANG) != 0) return;
    wire_sleep_ms(20);
  }
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

static bool log_has(const char *path, const char *word) {
  char line[512];
  bool found = false;
  FILE *file = fopen(path, "re");
  while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
    found = strstr(line, word) != NULL;
  if (file != NULL) fclose(file);
  return found;
}

static void log_show(const char *path) {
  char line[512];
  FILE *file = fopen(path, "re");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) fputs(line, stderr);
  if (file != NULL) fclose(file);
}

static int log_wait(pid_t pid, const char *path, const char *word) {
  for (uint32_t ms = 0; ms < START_MS_MAX && waitpid(pid, NULL, WNOHANG) == 0; ms += 20) {
    if (log_has(path, word)) return 0;
    wire_sleep_ms(20);
  }
  log_show(path);
  return -1;
}

static int directory_make(wire_servers *s) {
  const char *base = getenv("TMPDIR");
  snprintf(s->dir, sizeof s->dir, "%s/htel-wire-XXXXXX",
           base != NULL && base[0] != '\0' && strlen(base) < 200 ? base : P_tmpdir);
  if (mkdtemp(s->dir) == NULL) {
    s->dir[0] = '\0';
    return complain("no temporary directory");
  }
  snprintf(s->certs, sizeof s->certs, "%s/certs", s->dir);
  return 0;
}

static int certs_make(const wire_servers *s, const wire_job *jobs, size_t job_count) {
  const char *arguments[ARGUMENTS_MAX] = {"bash", BENCH_SOURCE "/examples/certs.sh", s->certs};
  size_t n = 3;
  for (size_t i = 0; i < job_count; i++) {
    arguments[n++] = "--device";
    arguments[n++] = jobs[i].device;
  }
  text log;
  int status = -1;
  snprintf(log, sizeof log, "%s/certs.log", s->dir);
  pid_t pid = start(log, arguments);
  if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0) return 0;
  log_show(log);
  return complain("no certificates");
}

static int file_append(FILE *to, const char *path) {
  char line[512];
  FILE *from = fopen(path, "re");
  if (from == NULL) return -1;
  while (fgets(line, sizeof line, from) != NULL) fputs(line, to);
  fclose(from);
  return 0;
}

/* The example's rules, and topics for those who do not use ours. */
static int acl_write(const char *path) {
  FILE *to = fopen(path, "wex");
  if (to == NULL) return -1;
  int rc = file_append(to, BENCH_SOURCE "/examples/mosquitto.acl");
  fputs(
      "\npattern write devices/%u/vitals\npattern write spBv1.0/+/+/%u\n"
      "pattern read spBv1.0/+/NCMD/%u\n",
      to);
  return fclose(to) == 0 ? rc : -1;
}

static void listener_write(FILE *to, unsigned port, const char *certs) {
  fprintf(to,
          "listener %u 127.0.0.1\ncafile %s/ca.crt\ncertfile %s/broker.crt\nkeyfile %s/broker.key\n"
          "require_certificate true\nuse_identity_as_username true\ntls_version tlsv1.2\n",
          port, certs, certs, certs);
}

static int broker_start(wire_servers *s, const wire_job *jobs, size_t job_count) {
  text conf, acl, log;
  snprintf(conf, sizeof conf, "%s/mosquitto.conf", s->dir);
  snprintf(acl, sizeof acl, "%s/acl", s->dir);
  snprintf(log, sizeof log, "%s/mosquitto.log", s->dir);
  FILE *to = acl_write(acl) == 0 ? fopen(conf, "wex") : NULL;
  if (to == NULL) return complain("the broker cannot be configured");
  fprintf(to, "user root\nallow_anonymous false\nacl_file %s\npersistence false\nlog_dest stderr\n",
          acl);
  listener_write(to, WIRE_PORT_INGEST, s->certs);
  for (size_t i = 0; i < job_count; i++) listener_write(to, jobs[i].port, s->certs);
  if (fclose(to) != 0) return complain("the broker cannot be configured");
  const char *arguments[] = {"mosquitto", "-c", conf, NULL};
  s->broker = start(log, arguments);
  if (s->broker > 0 && log_wait(s->broker, log, "running") == 0) return 0;
  return complain("mosquitto does not start (Debian: mosquitto)");
}

static int ingest_start(wire_servers *s, const char *tools) {
  text program, db, ca, cert, key, log;
  snprintf(program, sizeof program, "%s/htel-ingest", tools);
  snprintf(db, sizeof db, "%s/ingest.db", s->dir);
  snprintf(ca, sizeof ca, "%s/ca.crt", s->certs);
  snprintf(cert, sizeof cert, "%s/ingest.crt", s->certs);
  snprintf(key, sizeof key, "%s/ingest.key", s->certs);
  snprintf(log, sizeof log, "%s/ingest.log", s->dir);
  const char *arguments[] = {program,          "run",  "--db", db,       "--broker",
                             "localhost:9000", "--ca", ca,     "--cert", cert,
                             "--key",          key,    NULL};
  s->ingest = start(log, arguments);
  if (s->ingest > 0 && log_wait(s->ingest, log, " at localhost:") == 0) return 0;
  return complain("htel-ingest does not start: is it built beside htel-bench?");
}

int wire_servers_start(wire_servers *s, const char *tools, const wire_job *jobs, size_t job_count) {
  *s = (wire_servers){.broker = -1, .ingest = -1};
  if (directory_make(s) != 0 || certs_make(s, jobs, job_count) != 0 ||
      broker_start(s, jobs, job_count) != 0)
    return -1;
  return ingest_start(s, tools);
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *walk) {
  (void)status;
  (void)flag;
  (void)walk;
  return remove(path);
}

void wire_servers_stop(wire_servers *s) {
  end(s->ingest);
  end(s->broker);
  if (s->dir[0] != '\0') nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  *s = (wire_servers){.broker = -1, .ingest = -1};
}
