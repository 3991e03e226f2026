/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "options.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cell.h"

#define AROUND_MS 60000u
#define LIVE_SECONDS 60u

const char *argp_program_version = "htel-fleet " HTEL_VERSION;

static const char about[] =
    "Simulates a fleet of devices in virtual time: the library as it is shipped, against faults of "
    "network, broker, ingest, flash and clock; then checks every reading.\v"
    "The same seed gives the same run on any machine. Exit status: 0 the promise was kept, 1 it "
    "was broken, 2 the run could not be made, 64 the command line is wrong.\n\n"
    "Examples:\n"
    "  htel-fleet --devices 1000 --hours 24 --seed 7 --faults all --report run.html\n"
    "  htel-fleet --scenario city-power-cut --json\n"
    "  htel-fleet --devices 10 --hours 2 --seeds 1000 --first\n"
    "  htel-fleet --devices 10 --hours 2 --seed 4711 --replay 3 --around 60";

enum {
  OPT_DEVICES = 256,
  OPT_HOURS,
  OPT_SEED,
  OPT_SEEDS,
  OPT_FAULTS,
  OPT_SCENARIO,
  OPT_CELL,
  OPT_JOBS,
  OPT_FIRST,
  OPT_SHRINK,
  OPT_ONLY,
  OPT_REPLAY,
  OPT_AROUND,
  OPT_TRACE,
  OPT_JSON,
  OPT_REPORT,
  OPT_PROGRESS,
  OPT_LIST_SCENARIOS,
  OPT_PRINT_SCENARIO,
  OPT_LIST_FAULTS,
  OPT_LIST_DEVICES,
  OPT_LIVE,
  OPT_CA,
  OPT_CERTS,
  OPT_KEYS,
  OPT_DATABASE,
  OPT_SECONDS
};

static const struct argp_option table[] = {
    {"scenario", OPT_SCENARIO, "NAME|FILE", 0,
     "One of --list-scenarios, or a file (default standard); the options below change it", 1},
    {"devices", OPT_DEVICES, "N", 0, "Devices, 1 to 100000", 1},
    {"hours", OPT_HOURS, "H", 0, "Hours of virtual time, 1 to 8784", 1},
    {"faults", OPT_FAULTS, "LIST", 0,
     "all, none, or names of --list-faults joined by commas; a leading - takes one out", 1},
    {"cell", OPT_CELL, "N", 0, "Devices that share a broker and an ingest", 1},

    {NULL, 0, NULL, 0, "How often:", 2},
    {"seed", OPT_SEED, "S", 0, "Which run (default 1)", 2},
    {"seeds", OPT_SEEDS, "N", 0, "N runs, of the seeds from --seed on", 2},
    {"first", OPT_FIRST, NULL, 0, "With --seeds: end at the first that breaks the promise", 2},
    {"jobs", OPT_JOBS, "N", 0, "Threads (default: as many as there are processors)", 2},

    {NULL, 0, NULL, 0, "When a seed breaks the promise:", 3},
    {"replay", OPT_REPLAY, "DEVICE", 0,
     "Print what happened to this device, and to its server, around its first violation", 3},
    {"around", OPT_AROUND, "S", 0, "So many seconds before and after (default 60)", 3},
    {"trace", OPT_TRACE, NULL, 0, "With --replay: the whole run", 3},
    {"only", OPT_ONLY, "DEVICE", 0, "Simulate this device of the fleet alone", 3},
    {"shrink", OPT_SHRINK, NULL, 0,
     "Look for a smaller run that fails in the same way, and print it", 3},

    {NULL, 0, NULL, 0, "What to print:", 4},
    {"json", OPT_JSON, NULL, 0, "One line of JSON on standard output", 4},
    {"report", OPT_REPORT, "FILE.html", 0, "Write a report that needs nothing else to be read", 4},
    {"progress", OPT_PROGRESS, "yes|no", 0, "On standard error (default: where that is a terminal)",
     4},

    {NULL, 0, NULL, 0, "In real time, against a real broker and ingest:", 5},
    {"live", OPT_LIVE, "HOST:PORT", 0, "MQTT broker, by the name in its certificate", 5},
    {"ca", OPT_CA, "FILE", 0,
     "Certificates that may sign the broker's (PEM; default ca.crt in --certs)", 5},
    {"certs", OPT_CERTS, "DIR", 0,
     "ID.crt and ID.key of each device (see --list-devices), and ca.crt", 5},
    {"keys", OPT_KEYS, "DIR", 0, "ID.key of each device, where they are not in --certs", 5},
    {"database", OPT_DATABASE, "FILE", 0, "htel-ingest's, to check every reading at the end", 5},
    {"seconds", OPT_SECONDS, "N", 0, "Record for so long (default 60)", 5},

    {NULL, 0, NULL, 0, "Ask:", 6},
    {"list-scenarios", OPT_LIST_SCENARIOS, NULL, 0, "Those built in", 6},
    {"print-scenario", OPT_PRINT_SCENARIO, "NAME", 0, "Its file, to begin one's own with", 6},
    {"list-faults", OPT_LIST_FAULTS, NULL, 0, "What can go wrong", 6},
    {"list-devices", OPT_LIST_DEVICES, NULL, 0,
     "The ids of this seed's devices, which a live run needs certificates for", 6},
    {0}};

typedef struct parsing {
  options *o;
  const char *scenario, *faults;
  uint32_t devices, hours, cell; /* 0: as in the scenario */
  bool list_devices;
} parsing;

static uint64_t number(struct argp_state *state, const char *name, const char *text, uint64_t min,
                       uint64_t max) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno != 0 || !isdigit((unsigned char)*text) || *end != '\0' || value < min || value > max)
    argp_error(state, "--%s must be a whole number of %llu to %llu", name, (unsigned long long)min,
               (unsigned long long)max);
  return value;
}

static void scenarios_list(void) {
  const char *name;
  char title[96];
  for (unsigned i = 0; (name = scenario_builtin_name(i)) != NULL; i++) {
    scenario_builtin_title(i, title, sizeof title);
    printf("%-20s %s\n", name, title);
  }
  exit(0);
}

static void scenario_print(struct argp_state *state, const char *wanted) {
  const char *name;
  for (unsigned i = 0; (name = scenario_builtin_name(i)) != NULL; i++) {
    if (strcmp(name, wanted) != 0) continue;
    fputs(scenario_builtin_text(i), stdout);
    exit(0);
  }
  argp_error(state, "there is no scenario '%s': see --list-scenarios", wanted);
}

static void faults_list(void) {
  for (unsigned k = 0; k < FAULT_KINDS; k++)
    printf("%-10s %s\n", fault_name((fault_kind)k), fault_text((fault_kind)k));
  exit(0);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  parsing *p = state->input;
  options *o = p->o;
  switch (key) {
    case OPT_SCENARIO: p->scenario = arg; break;
    case OPT_FAULTS: p->faults = arg; break;
    case OPT_DEVICES: p->devices = (uint32_t)number(state, "devices", arg, 1, 100000); break;
    case OPT_HOURS: p->hours = (uint32_t)number(state, "hours", arg, 1, 8784); break;
    case OPT_CELL: p->cell = (uint32_t)number(state, "cell", arg, 1, 10000); break;
    case OPT_SEED: o->seed = number(state, "seed", arg, 0, UINT64_MAX); break;
    case OPT_SEEDS: o->seeds = number(state, "seeds", arg, 1, 1000000000); break;
    case OPT_FIRST: o->first = true; break;
    case OPT_JOBS: o->jobs = (unsigned)number(state, "jobs", arg, 1, 64); break;
    case OPT_REPLAY: o->replay = (uint32_t)number(state, "replay", arg, 0, 200000); break;
    case OPT_AROUND:
      o->around_ms = 1000u * (uint32_t)number(state, "around", arg, 1, 864000);
      break;
    case OPT_TRACE: o->trace_whole = true; break;
    case OPT_ONLY: o->only = (uint32_t)number(state, "only", arg, 0, 99999); break;
    case OPT_SHRINK: o->shrink = true; break;
    case OPT_JSON: o->json = true; break;
    case OPT_REPORT: o->report = arg; break;
    case OPT_PROGRESS:
      o->progress = strcmp(arg, "yes") == 0;
      if (!o->progress && strcmp(arg, "no") != 0) argp_error(state, "--progress is yes or no");
      break;
    case OPT_LIVE: o->live.broker = arg; break;
    case OPT_CA: o->live.ca = arg; break;
    case OPT_CERTS: o->live.certificate_dir = arg; break;
    case OPT_KEYS: o->live.key_dir = arg; break;
    case OPT_DATABASE: o->live.database = arg; break;
    case OPT_SECONDS: o->live.seconds = (uint32_t)number(state, "seconds", arg, 1, 604800); break;
    case OPT_LIST_SCENARIOS: scenarios_list(); break;
    case OPT_PRINT_SCENARIO: scenario_print(state, arg); break;
    case OPT_LIST_FAULTS: faults_list(); break;
    case OPT_LIST_DEVICES: p->list_devices = true; break;
    case ARGP_KEY_ARG: argp_error(state, "there is an argument too many: '%s'", arg); break;
    default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

static void refuse(const char *error) {
  fprintf(stderr, "htel-fleet: %s\n", error);
  exit(64);
}

/* The scenario first, then what the options change in it. */
static void scenario_make(parsing *p) {
  scenario *s = &p->o->scenario;
  char error[256];
  const char *name = p->scenario != NULL ? p->scenario : "standard";
  if (!scenario_load(s, name, error, sizeof error)) refuse(error);
  if (p->devices > 0) s->devices = p->devices;
  if (p->hours > 0) s->hours = p->hours;
  if (p->cell > 0) s->cell_devices = p->cell;
  if (p->faults != NULL && !fault_set_parse(&s->faults, p->faults, error, sizeof error))
    refuse(error);
  if (!scenario_check(s, error, sizeof error)) refuse(error);
}

/* What does not go together, and what is said about it. */
static void contradictions(const options *o, bool around) {
  bool live = o->live.broker != NULL, replay = o->replay != FLEET_ALL, seeds = o->seeds > 1;
  const live_options *l = &o->live;
  bool live_part = l->ca != NULL || l->database != NULL || l->certificate_dir != NULL ||
                   l->key_dir != NULL || l->seconds != LIVE_SECONDS;
  uint32_t devices = o->scenario.devices, cell = o->scenario.cell_devices;
  uint64_t all = devices + (uint64_t)((devices + cell - 1u) / cell) * CELL_CLONES_MAX;
  const struct {
    bool wrong;
    const char *text;
  } rules[] = {
      {o->only != FLEET_ALL && o->only >= devices, "--only: there is no such device in this fleet"},
      {replay && o->replay >= all, "--replay: there is no such device in this fleet"},
      {seeds && (o->shrink || replay || o->report != NULL),
       "--seeds finds the seed; give that one by --seed to --replay, --shrink or --report"},
      {seeds && o->only != FLEET_ALL, "--only goes with one seed"},
      {o->first && !seeds, "--first goes with --seeds"},
      {replay && o->shrink, "--replay or --shrink, one at a time"},
      {replay && (o->json || o->report != NULL), "--replay prints a trace: no --json or --report"},
      {!replay && (around || o->trace_whole), "--around and --trace go with --replay"},
      {!live && live_part, "--ca, --certs, --keys, --database and --seconds go with --live"},
      {live && (seeds || o->shrink || replay || o->report != NULL || o->only != FLEET_ALL),
       "--live is real time: no --seeds, --shrink, --replay, --report or --only"},
      {live && l->certificate_dir == NULL, "--live needs --certs, the devices' certificates"},
      {live && devices > LIVE_DEVICES_MAX, "--live holds 10000 devices at most"},
  };
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    if (rules[i].wrong) refuse(rules[i].text);
}

void options_parse(options *o, int argc, char **argv) {
  static const struct argp argp = {.options = table, .parser = parse, .doc = about};
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  *o = (options){.seed = 1,
                 .seeds = 1,
                 .jobs = processors > 0 && processors <= 64 ? (unsigned)processors : 1u,
                 .only = FLEET_ALL,
                 .replay = FLEET_ALL,
                 .progress = isatty(STDERR_FILENO) != 0,
                 .live = {.seconds = LIVE_SECONDS}};
  parsing p = {.o = o};
  argp_err_exit_status = 64;
  argp_parse(&argp, argc, argv, 0, NULL, &p);
  scenario_make(&p);
  o->live.seed = o->seed;
  o->live.devices = o->scenario.devices;
  o->live.progress = o->progress;
  if (p.list_devices) {
    live_ids_print(stdout, &o->live);
    exit(0);
  }
  contradictions(o, o->around_ms != 0);
  if (o->around_ms == 0) o->around_ms = AROUND_MS;
}
