/* SPDX-License-Identifier: Apache-2.0 */
/* htel-ingest run and import: an intake between a source and the SQLite store. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture.h"
#include "commands.h"
#include "intake.h"
#include "source_file.h"
#include "source_mqtt.h"
#include "store_sqlite.h"

#define IDLE_WAIT_MS 200u /* how soon a signal to end is noticed */

enum {
  OPT_DB = 256,
  OPT_BROKER,
  OPT_CA,
  OPT_CERT,
  OPT_KEY,
  OPT_CLIENT_ID,
  OPT_COMMIT_MS,
  OPT_COMMIT_FRAMES,
  OPT_PAUSE_MS,
  OPT_PAUSE_AFTER_COMMIT_MS,
  OPT_STATE_S,
  OPT_JSON
};

typedef struct run_options {
  const char *db, *ca, *cert, *key, *client_id;
  char host[256];
  uint16_t port;
  uint32_t commit_ms, commit_frames, pause_ms, pause_after_commit_ms, state_s;
  bool json, quiet;
  char **files; /* import */
  int file_count;
} run_options;

/* ---- The real world ------------------------------------------------------------------- */

static volatile sig_atomic_t asked_to_end;

static void on_signal(int number) {
  (void)number;
  asked_to_end = 1;
}

static void signals_catch(void) {
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
}

static int64_t clock_ms(clockid_t which) {
  struct timespec t;
  clock_gettime(which, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t utc_ms(void *ctx) {
  (void)ctx;
  return clock_ms(CLOCK_REALTIME);
}

static int64_t tick_ms(void *ctx) {
  (void)ctx;
  return clock_ms(CLOCK_MONOTONIC);
}

/* Ends early when a signal comes. */
static void sleep_ms(void *ctx, uint32_t ms) {
  (void)ctx;
  struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
  if (!asked_to_end) nanosleep(&t, NULL);
}

static const intake_clock real_clock = {NULL, utc_ms, tick_ms, sleep_ms};

/* ---- What it says: counts and reasons, never readings --------------------------------- */

static void tell_link(void *arg, bool up, const char *text) {
  const run_options *o = arg;
  if (up && o->quiet) return;
  if (o->json)
    printf("{\"event\":\"%s\"}\n", up ? "up" : "down");
  else if (up)
    printf("htel-ingest: %s at %s:%u\n", text, o->host, (unsigned)o->port);
  if (!up)
    fprintf(stderr, "htel-ingest: broker %s:%u: %s; trying again\n", o->host, (unsigned)o->port,
            text);
  fflush(stdout);
}

static void tell_alert(void *arg, const store_alert *alert) {
  (void)arg;
  fprintf(stderr, "htel-ingest: alert: device %s", alert->device);
  if (alert->keyed)
    fprintf(stderr, ", boot %" PRIu64 ", sequence %" PRIu32, alert->boot, alert->sequence);
  fprintf(stderr, ": %s: %s\n", alert->kind, alert->detail);
}

static void tell_state(const run_options *o, const intake_stats *s, const source *src) {
  source_mqtt_stats link = {0};
  if (src != NULL) source_mqtt_stats_get(src, &link);
  static const char text[] =
      "htel-ingest: %s, %" PRIu64 " frames and %" PRIu64 " readings stored, %" PRIu64
      " duplicates, %" PRIu64 " quarantined, %" PRIu64 " unreadable, %" PRIu64
      " without birth, %" PRIu64 " commits (%" PRIu64 " held up), %" PRIu64
      " receipts, %zu waiting, %" PRIu64 " refused\n";
  static const char json[] =
      "{\"event\":\"%s\",\"frames\":%" PRIu64 ",\"readings\":%" PRIu64 ",\"duplicates\":%" PRIu64
      ",\"quarantined\":%" PRIu64 ",\"unreadable\":%" PRIu64 ",\"unknown_schema\":%" PRIu64
      ",\"commits\":%" PRIu64 ",\"held_up\":%" PRIu64 ",\"receipts\":%" PRIu64
      ",\"waiting\":%zu,\"refused\":%" PRIu64 "}\n";
  const char *word = o->json       ? "state"
                     : src == NULL ? "done"
                     : link.up     ? "connected"
                                   : "not connected";
  printf(o->json ? json : text, word, s->stored, s->readings, s->duplicates,
         s->conflicts + s->poison, s->unreadable, s->birthless, s->commits, s->commit_retries,
         s->receipts, link.waiting, s->refused + s->births_refused);
  fflush(stdout);
}

/* ---- Running -------------------------------------------------------------------------- */

/* Until a signal comes or the source ends. False: at the end something was not committed. */
static bool drive(const run_options *o, intake *in, const source *src, bool is_broker) {
  int64_t told_ms = tick_ms(NULL);
  bool stopped = false, held_up = false;
  for (;;) {
    int rc = intake_step(in, stopped ? 0 : IDLE_WAIT_MS);
    if (rc == INTAKE_END) return true;
    if (rc == INTAKE_HELD_UP && !held_up)
      fprintf(stderr,
              "htel-ingest: the database cannot be written (locked, deleted, damaged, or the disk "
              "is full): nothing is receipted until it can; devices keep what they have\n");
    if (rc == INTAKE_WROTE && held_up)
      fprintf(stderr, "htel-ingest: the database can be written again\n");
    if (rc != INTAKE_IDLE) held_up = rc == INTAKE_HELD_UP;
    if (asked_to_end && !stopped) {
      src->stop(src->ctx); /* from here on only what is here already */
      stopped = true;
    } else if (stopped && held_up) {
      return false; /* not receipted, so it comes again */
    }
    int64_t now_ms = tick_ms(NULL);
    if (is_broker && !o->quiet && now_ms - told_ms >= (int64_t)o->state_s * 1000) {
      tell_state(o, intake_stats_get(in), src);
      told_ms = now_ms;
    }
  }
}

/* paho obeys these: it would go through a proxy that nobody told us of, or write payloads, which
 * hold readings, to a trace file. */
static void environment_clean(void) {
  static const char *const names[] = {"http_proxy", "https_proxy", "MQTT_C_CLIENT_TRACE"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) unsetenv(names[i]);
}

static intake *intake_make(const run_options *o, const source *src, const store *db) {
  intake_config config = {.source = src,
                          .store = db,
                          .clock = &real_clock,
                          .commit_ms = o->commit_ms,
                          .commit_messages = o->commit_frames,
                          .pause_ms = o->pause_ms,
                          .pause_after_commit_ms = o->pause_after_commit_ms,
                          .alert = tell_alert};
  intake *in = intake_open(&config);
  if (in == NULL) fprintf(stderr, "htel-ingest: no memory\n");
  return in;
}

static bool store_open(const run_options *o, store *db) {
  char error[256];
  if (store_sqlite_open(db, o->db, STORE_SQLITE_WRITE, error, sizeof error) == 0) return true;
  fprintf(stderr, "htel-ingest: database '%s' %s\n", o->db, error);
  return false;
}

static int run(run_options *o) {
  store db;
  if (!store_open(o, &db)) return EXIT_FAILED;
  environment_clean();
  source_mqtt_config config = {.host = o->host,
                               .port = o->port,
                               .client_id = o->client_id,
                               .ca_file = o->ca,
                               .cert_file = o->cert,
                               .key_file = o->key,
                               .state = tell_link,
                               .state_arg = o};
  source src;
  char error[256];
  if (source_mqtt_open(&src, &config, error, sizeof error) != 0) {
    fprintf(stderr, "htel-ingest: %s\n", error);
    db.close(db.ctx);
    return EXIT_FAILED;
  }
  bool good = false;
  intake *in = intake_make(o, &src, &db);
  if (in != NULL) {
    good = drive(o, in, &src, true) && intake_stats_get(in)->refused == 0;
    if (!o->quiet) tell_state(o, intake_stats_get(in), &src);
  }
  src.close(src.ctx);
  intake_close(in);
  db.close(db.ctx);
  return good ? EXIT_GOOD : EXIT_FAILED;
}

/* ---- Options -------------------------------------------------------------------------- */

static void broker_parse(struct argp_state *state, run_options *o, const char *text) {
  const char *colon = strrchr(text, ':');
  size_t chars = colon == NULL ? 0 : (size_t)(colon - text);
  if (chars == 0 || chars >= sizeof o->host ||
      strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:[]") < chars) {
    argp_error(state, "--broker must be HOST:PORT");
    return;
  }
  memcpy(o->host, text, chars);
  o->host[chars] = '\0';
  o->port = (uint16_t)option_number(state, "broker's port", colon + 1, 1, 65535);
}

static error_t parse_common(int key, char *arg, struct argp_state *state) {
  run_options *o = state->input;
  switch (key) {
    case OPT_DB: o->db = arg; return 0;
    case OPT_COMMIT_MS:
      o->commit_ms = (uint32_t)option_number(state, "commit-ms", arg, 0, 10000);
      return 0;
    case OPT_COMMIT_FRAMES:
      o->commit_frames =
          (uint32_t)option_number(state, "commit-frames", arg, 1, INTAKE_BATCH_MESSAGES_MAX);
      return 0;
    case OPT_JSON: o->json = true; return 0;
    case 'q': o->quiet = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static error_t parse_run(int key, char *arg, struct argp_state *state) {
  run_options *o = state->input;
  switch (key) {
    case OPT_BROKER: broker_parse(state, o, arg); return 0;
    case OPT_CA: o->ca = arg; return 0;
    case OPT_CERT: o->cert = arg; return 0;
    case OPT_KEY: o->key = arg; return 0;
    case OPT_CLIENT_ID:
      if (!device_id_valid(arg, strlen(arg)))
        argp_error(state, "--client-id must be 1 to 36 of A-Z a-z 0-9 _ -");
      o->client_id = arg;
      return 0;
    case OPT_PAUSE_MS:
      o->pause_ms = (uint32_t)option_number(state, "pause-ms", arg, 0, 3600000);
      return 0;
    case OPT_PAUSE_AFTER_COMMIT_MS:
      o->pause_after_commit_ms =
          (uint32_t)option_number(state, "pause-after-commit-ms", arg, 0, 600000);
      return 0;
    case OPT_STATE_S:
      o->state_s = (uint32_t)option_number(state, "state-s", arg, 1, 86400);
      return 0;
    case ARGP_KEY_END:
      option_required(state, "db", o->db);
      option_required(state, "broker", o->host[0] == '\0' ? NULL : o->host);
      option_required(state, "ca", o->ca);
      option_required(state, "cert", o->cert);
      option_required(state, "key", o->key);
      return 0;
    default: return parse_common(key, arg, state);
  }
}

static const struct argp_option run_table[] = {
    {"db", OPT_DB, "FILE", 0, "SQLite database; made when it is not there", 1},
    {"broker", OPT_BROKER, "HOST:PORT", 0, "MQTT broker, by the name in its certificate", 1},
    {"ca", OPT_CA, "FILE", 0, "Certificates that may sign the broker's (PEM)", 1},
    {"cert", OPT_CERT, "FILE", 0, "The ingest's certificate (PEM)", 1},
    {"key", OPT_KEY, "FILE", 0, "Its private key (PEM)", 1},
    {"client-id", OPT_CLIENT_ID, "ID", 0, "Name of the session at the broker (default ingest)", 1},
    {"commit-ms", OPT_COMMIT_MS, "MS", 0,
     "Commit when the oldest message of a batch is this old (default 20)", 2},
    {"commit-frames", OPT_COMMIT_FRAMES, "N", 0, "... or when it holds so many (default 500)", 2},
    {"pause-ms", OPT_PAUSE_MS, "MS", 0,
     "Ask devices in each receipt to hold back for so long, alarms excepted (default 0)", 2},
    {"state-s", OPT_STATE_S, "S", 0, "A line of counts every S seconds (default 10)", 3},
    {"json", OPT_JSON, NULL, 0, "Say it as JSON lines", 3},
    {"quiet", 'q', NULL, 0, "Errors and alerts only", 3},
    {"pause-after-commit-ms", OPT_PAUSE_AFTER_COMMIT_MS, "MS", 0,
     "For tests: wait between commit and receipts", 4},
    {0},
};

int command_run(int argc, char **argv) {
  run_options o = {.client_id = "ingest", .commit_ms = 20, .commit_frames = 500, .state_s = 10};
  static const char about[] =
      "Takes frames from an MQTT broker into a database, and tells devices what is stored.\v"
      "Frames and their readings are committed many at a time; receipts go out after the commit. "
      "While the database cannot be written nothing is receipted and nothing is lost. SIGTERM and "
      "SIGINT: what is here is committed and receipted, then it ends. Exit status: 0, 1 when "
      "it could not start or end in order, 64 when the command line is wrong.";
  const struct argp argp = {.options = run_table, .parser = parse_run, .doc = about};
  error_t rc = argp_parse(&argp, argc, argv, 0, NULL, &o);
  if (rc != 0) return EXIT_FAILED;
  signals_catch();
  return run(&o);
}

/* ---- Import --------------------------------------------------------------------------- */

static bool import_one(run_options *o, const store *db, const char *path) {
  FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
  source src;
  if (file == NULL || !source_file_open(&src, file, path)) {
    fprintf(stderr, "htel-ingest: '%s' cannot be read: %m\n", path);
    if (file != NULL && file != stdin) fclose(file);
    return false;
  }
  intake *in = intake_make(o, &src, db);
  bool good = in != NULL && drive(o, in, &src, false);
  if (good) {
    const intake_stats *s = intake_stats_get(in);
    good = s->poison + s->conflicts + s->unreadable + s->birthless + s->births_refused +
               s->refused + source_file_damaged(&src) ==
           0;
    if (!o->quiet) tell_state(o, s, NULL);
  }
  intake_close(in);
  src.close(src.ctx);
  if (file != stdin) fclose(file);
  return good;
}

static error_t parse_import(int key, char *arg, struct argp_state *state) {
  run_options *o = state->input;
  switch (key) {
    case ARGP_KEY_ARGS:
      o->files = state->argv + state->next;
      o->file_count = state->argc - state->next;
      return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "a capture file is missing"); return 0;
    case ARGP_KEY_END: option_required(state, "db", o->db); return 0;
    default: return parse_common(key, arg, state);
  }
}

static const struct argp_option import_table[] = {
    {"db", OPT_DB, "FILE", 0, "SQLite database; made when it is not there", 0},
    {"commit-frames", OPT_COMMIT_FRAMES, "N", 0, "Messages in a transaction (default 500)", 0},
    {"json", OPT_JSON, NULL, 0, "Say it as JSON", 0},
    {"quiet", 'q', NULL, 0, "Errors and alerts only", 0},
    {0},
};

int command_import(int argc, char **argv) {
  run_options o = {.commit_ms = 10000, .commit_frames = 500};
  static const char about[] =
      "Takes births and frames from capture files (as htel-monitor --out writes) into a database.\v"
      "A file may be - for the standard input. What is stored already is passed over. Exit status: "
      "0 when "
      "everything is stored, 1 when something was not, 64 when the command line is wrong.";
  const struct argp argp = {
      .options = import_table, .parser = parse_import, .args_doc = "FILE...", .doc = about};
  if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_FAILED;
  signals_catch();
  store db;
  if (!store_open(&o, &db)) return EXIT_FAILED;
  bool good = true;
  for (int i = 0; i < o.file_count && !asked_to_end; i++) good &= import_one(&o, &db, o.files[i]);
  db.close(db.ctx);
  return good && !asked_to_end ? EXIT_GOOD : EXIT_FAILED;
}
