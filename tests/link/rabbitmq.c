/* SPDX-License-Identifier: Apache-2.0 */
/* rabbitmq.c - see rabbitmq.h.
 *
 * Debian's start scripts change the user, fork, and leave epmd behind; so the Erlang machine is
 * started as they would, but directly: `env` becomes `erl`, which becomes the machine, one process
 * that is our child. A node that listens for no other (-dist_listen false) needs no epmd.
 *
 * Reading the settings of forty plug-ins takes longer than all the rest. So it is given a folder
 * with the few that are needed, and a configuration in Erlang's own form, which no plug-in has to
 * translate. */
#include "rabbitmq.h"

#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PLUGINS "/usr/lib/rabbitmq/lib/rabbitmq_server-*/plugins/*-*"
#define PATH_BYTES (BROKER_PATH_MAX + 64)

bool rabbitmq_installed(void) {
  glob_t found;
  bool any = glob(PLUGINS, 0, NULL, &found) == 0;
  globfree(&found);
  return any && access("/usr/bin/erl", X_OK) == 0;
}

/* ---- Its files --------------------------------------------------------------------------------
 */

static FILE *file_open(const broker *self, const char *name) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/%s", self->dir, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  return file;
}

/* What makes it one of three. A session that outlives its connection is kept by all of them. */
static void write_cluster(FILE *file) {
  fputs(
      "  {cluster_nodes, {['rabbit1@localhost', 'rabbit2@localhost', 'rabbit3@localhost'], "
      "disc}},\n"
      "  {cluster_partition_handling, pause_minority},\n",
      file);
}

static void write_config(const broker *self, const char *certs, const rabbitmq_member *member) {
  FILE *file = file_open(self, "node.config");
  fputs("[{rabbit, [\n", file);
  if (member != NULL) {
    write_cluster(file);
  }
  fprintf(file,
          "  {tcp_listeners, []},\n"
          "  {ssl_options, [\n"
          "    {cacertfile, \"%s/ca.crt\"}, {certfile, \"%s/broker.crt\"},\n"
          "    {keyfile, \"%s/broker.key\"},\n"
          "    {verify, verify_peer}, {fail_if_no_peer_cert, true},\n"
          "    {versions, ['tlsv1.3', 'tlsv1.2']}]},\n"
          "  {ssl_cert_login_from, common_name},\n"
          "  {load_definitions, \"%s/definitions.json\"},\n"
          "  {log, [{console, [{enabled, true}, {level, info}]}, {file, [{file, false}]}]}]},\n"
          " {rabbitmq_mqtt, [\n"
          "  {ssl_cert_login, true}, {allow_anonymous, false},\n"
          "  {tcp_listeners, []}, {ssl_listeners, [{\"127.0.0.1\", %u}]},\n"
          "  {durable_queue_type, %s},\n"
          "  {retained_message_store, rabbit_mqtt_retained_msg_store_dets}]}].\n",
          certs, certs, certs, self->dir, (unsigned)self->port,
          member != NULL ? "quorum" : "classic");
  fclose(file);
  file = file_open(self, "enabled_plugins");
  fputs("[rabbitmq_mqtt].\n", file);
  fclose(file);
}

/* Calls back with the name of each user: who has a certificate. */
static void users_visit(const char *certs, void (*visit)(FILE *file, const char *user, bool first),
                        FILE *file) {
  char pattern[PATH_BYTES];
  snprintf(pattern, sizeof pattern, "%s/*.crt", certs);
  glob_t found;
  assert_int_equal(glob(pattern, 0, NULL, &found), 0);
  bool first = true;
  for (size_t i = 0; i < found.gl_pathc; i++) {
    char user[64];
    const char *name = strrchr(found.gl_pathv[i], '/') + 1;
    snprintf(user, sizeof user, "%.*s", (int)(strlen(name) - strlen(".crt")), name);
    if (strcmp(user, "ca") == 0 || strcmp(user, "broker") == 0) {
      continue;
    }
    visit(file, user, first);
    first = false;
  }
  globfree(&found);
}

static void write_user(FILE *file, const char *user, bool first) {
  fprintf(file,
          "%s\n  {\"name\": \"%s\", \"password_hash\": \"\", \"tags\": \"\","
          " \"hashing_algorithm\": \"rabbit_password_hashing_sha256\"}",
          first ? "" : ",", user);
}

static void write_permission(FILE *file, const char *user, bool first) {
  fprintf(file,
          "%s\n  {\"user\": \"%s\", \"vhost\": \"/\", \"configure\": \"^mqtt-subscription-\","
          "\n   \"write\": \"^(amq\\\\.topic|mqtt-subscription-.*)$\","
          " \"read\": \"^(amq\\\\.topic|mqtt-subscription-.*)$\"}",
          first ? "" : ",", user);
}

/* As examples/mosquitto.acl; a slash in a topic is a dot here. */
static void write_topics(FILE *file, const char *user, bool first) {
  bool ingest = strcmp(user, "ingest") == 0;
  fprintf(file,
          "%s\n  {\"user\": \"%s\", \"vhost\": \"/\", \"exchange\": \"amq.topic\","
          "\n   \"write\": \"%s\", \"read\": \"%s\"}",
          first ? "" : ",", user,
          ingest ? "^htel\\\\.v1\\\\.[^.]+\\\\.receipt$"
                 : "^htel\\\\.v1\\\\.{username}\\\\.(frame|birth|status)$",
          ingest ? "^htel\\\\.v1\\\\." : "^htel\\\\.v1\\\\.{username}\\\\.receipt$");
}

static void write_definitions(const broker *self, const char *certs) {
  FILE *file = file_open(self, "definitions.json");
  fputs("{\"vhosts\": [{\"name\": \"/\"}],\n \"users\": [", file);
  users_visit(certs, write_user, file);
  fputs("],\n \"permissions\": [", file);
  users_visit(certs, write_permission, file);
  fputs("],\n \"topic_permissions\": [", file);
  users_visit(certs, write_topics, file);
  fputs("]}\n", file);
  fclose(file);
}

/* All that do not belong to another plug-in. */
static bool plugin_needed(const char *name) {
  static const char *const not_needed[] = {"rabbitmq_", "cow", "gun-", "jose-", "eetcd-"};
  if (strncmp(name, "rabbitmq_mqtt-", 14) == 0 || strncmp(name, "rabbitmq_prelaunch-", 19) == 0) {
    return true;
  }
  for (size_t i = 0; i < sizeof not_needed / sizeof not_needed[0]; i++) {
    if (strncmp(name, not_needed[i], strlen(not_needed[i])) == 0) {
      return false;
    }
  }
  return true;
}

static void link_plugins(const broker *self) {
  char path[2 * PATH_BYTES];
  snprintf(path, sizeof path, "%s/plugins", self->dir);
  if (mkdir(path, 0700) != 0) {
    assert_int_equal(errno, EEXIST); /* a second try with another port */
    return;
  }
  glob_t found;
  if (glob(PLUGINS, 0, NULL, &found) != 0) {
    fail_msg("RabbitMQ is not installed (apt-get install rabbitmq-server)");
  }
  for (size_t i = 0; i < found.gl_pathc; i++) {
    const char *name = strrchr(found.gl_pathv[i], '/') + 1;
    snprintf(path, sizeof path, "%s/plugins/%.100s", self->dir, name);
    if (plugin_needed(name)) {
      assert_int_equal(symlink(found.gl_pathv[i], path), 0);
    }
  }
  globfree(&found);
}

static void files_make(const broker *self, const char *certs, const rabbitmq_member *member) {
  write_config(self, certs, member);
  write_definitions(self, certs);
  link_plugins(self);
}

static void configure(const broker *self, const char *certs, const char *extra) {
  (void)extra;
  files_make(self, certs, NULL);
}

/* ---- Its process ------------------------------------------------------------------------------
 */

enum { WORDS_MAX = 64, WORD_BYTES = PATH_BYTES + 32 };

/* A command line, and the environment before it. */
typedef struct words {
  char text[WORDS_MAX][WORD_BYTES];
  const char *list[WORDS_MAX + 1];
  size_t count;
} words;

__attribute__((format(printf, 2, 3))) static void word_add(words *self, const char *format, ...) {
  assert_true(self->count < WORDS_MAX);
  va_list values;
  va_start(values, format);
  vsnprintf(self->text[self->count], WORD_BYTES, format, values);
  va_end(values);
  self->list[self->count] = self->text[self->count];
  self->list[++self->count] = NULL;
}

static void words_environment(words *self, const broker *of) {
  static const char *const names[][2] = {
      {"HOME", ""},
      {"RABBITMQ_CONFIG_FILE", "none"},
      {"RABBITMQ_CONF_ENV_FILE", "none"},
      {"RABBITMQ_ADVANCED_CONFIG_FILE", "node.config"},
      {"RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"},
      {"RABBITMQ_PLUGINS_DIR", "plugins"},
      {"RABBITMQ_MNESIA_BASE", "data"},
      {"RABBITMQ_LOG_BASE", "logs"},
      {"RABBITMQ_PID_FILE", "pid"},
      {"ERL_LIBS", "plugins"},
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    word_add(self, "%s=%s/%s", names[i][0], of->dir, names[i][1]);
  }
  word_add(self, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
  word_add(self, "LANG=C.UTF-8");
  word_add(self, "ERL_CRASH_DUMP_SECONDS=0");
}

/* Alone: it listens for no other, and looks for epmd where nobody is. */
static void words_alone(words *self) {
  word_add(self, "RABBITMQ_NODENAME=rabbit@localhost");
  word_add(self, "ERL_EPMD_PORT=1");
  word_add(self, "erl");
  word_add(self, "-sname");
  word_add(self, "rabbit@localhost");
  word_add(self, "-dist_listen");
  word_add(self, "false");
}

/* One of three, on loopback alone. */
static void words_member(words *self, const rabbitmq_member *member) {
  word_add(self, "RABBITMQ_NODENAME=rabbit%u@localhost", member->number);
  word_add(self, "ERL_EPMD_PORT=%u", (unsigned)member->epmd_port);
  word_add(self, "ERL_EPMD_ADDRESS=127.0.0.1");
  word_add(self, "erl");
  word_add(self, "-sname");
  word_add(self, "rabbit%u@localhost", member->number);
  static const char *const ends[] = {"inet_dist_listen_min", "inet_dist_listen_max"};
  for (unsigned i = 0; i < 2; i++) {
    word_add(self, "-kernel");
    word_add(self, "%s", ends[i]);
    word_add(self, "%u", (unsigned)member->port);
  }
  word_add(self, "-kernel");
  word_add(self, "inet_dist_use_interface");
  word_add(self, "{127,0,0,1}");
}

static void words_make(words *self, const broker *of, const rabbitmq_member *member) {
  static const char *const rest[] = {
      "-start_epmd", "false",      "-noinput",
      "-s",          "rabbit",     "boot",
      "-boot",       "start_sasl", "+W",
      "w",           "+S",         "1:1",
      "+sbwt",       "none",       "+B",
      "i",           "-syslog",    "logger",
      "[]",          "-syslog",    "syslog_error_logger",
      "false",       "-kernel",    "prevent_overlapping_partitions",
      "false",
  };
  self->count = 0;
  word_add(self, "env");
  word_add(self, "-i");
  words_environment(self, of);
  if (member != NULL) {
    words_member(self, member);
  } else {
    words_alone(self);
  }
  for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
    word_add(self, "%s", rest[i]);
  }
}

static void launch(broker *self) {
  static words command;
  words_make(&command, self, NULL);
  char log[PATH_BYTES];
  snprintf(log, sizeof log, "%s/log", self->dir);
  self->pid = process_start(log, command.list);
}

/* It listens a moment before it knows its users. */
static bool is_up(const broker *self) {
  char path[PATH_BYTES], line[512];
  snprintf(path, sizeof path, "%s/log", self->dir);
  FILE *log = fopen(path, "r");
  if (log == NULL) {
    return false;
  }
  bool up = false;
  fseek(log, self->log_start, SEEK_SET);
  while (!up && fgets(line, sizeof line, log) != NULL) {
    up = strstr(line, RABBITMQ_UP) != NULL;
  }
  fclose(log);
  return up;
}

void broker_start_rabbitmq(broker *self, const char *certs) {
  /* An orderly end takes a second and serves nobody: the directory goes with it. */
  static const broker_kind kind = {
      .launch = launch, .is_up = is_up, .start_ms_max = 60000, .stop_signal = SIGKILL};
  broker_begin(self, &kind, certs, "", configure);
}

void rabbitmq_become(const char *dir, const char *certs, uint16_t port,
                     const rabbitmq_member *member) {
  static broker self;
  static words command;
  self.port = port;
  assert_true(strlen(dir) < sizeof self.dir);
  memcpy(self.dir, dir, strlen(dir) + 1);
  files_make(&self, certs, member);
  words_make(&command, &self, member);
  char *arguments[WORDS_MAX + 1] = {NULL};
  for (size_t i = 0; i < command.count; i++) {
    arguments[i] = command.text[i];
  }
  execvp(arguments[0], arguments);
}
