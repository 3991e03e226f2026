/* SPDX-License-Identifier: Apache-2.0 */
/* htel-ingest compare: finds which channels of the database a recording became, and compares. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "common/json.h"
#include "compare.h"

#define RECORDINGS_MAX 32
#define SUMMARY_BYTES_MAX 1048576u

enum { OPT_DB = 256, OPT_DEVICE, OPT_RECORDING, OPT_SUMMARY, OPT_BOOT, OPT_JSON };

typedef struct compare_options {
  const char *db, *device, *summary;
  const char *recordings[RECORDINGS_MAX];
  int recording_count;
  bool boot_given, json;
  uint64_t boot;
} compare_options;

typedef struct compare_run {
  compare_options *o;
  sqlite3 *db;
  cJSON *summary;
  char error[RECORDING_PATH_BYTES_MAX + 512];
} compare_run;

static int fail(compare_run *run, const char *file, const char *why) {
  snprintf(run->error, sizeof run->error, "%s: %s", file, why);
  return -1;
}

/* The recording's own words, which name file and line. */
static int fail_recording(compare_run *run, const recording *rec) {
  snprintf(run->error, sizeof run->error, "%s", rec->error);
  return -1;
}

/* ---- Without a summary: by the names of the channels ----------------------------------- */

/* The device's boot, where it has one alone. */
static int find_boot(compare_run *run) {
  if (run->o->boot_given) return 0;
  sqlite3_stmt *stmt = NULL;
  int64_t boots = 0;
  if (sqlite3_prepare_v2(run->db,
                         "SELECT count(DISTINCT f.boot), max(f.boot) FROM frames f JOIN devices d"
                         " ON d.id = f.device_id WHERE d.device = ?",
                         -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_bind_text(stmt, 1, run->o->device, -1, SQLITE_STATIC) == SQLITE_OK &&
      sqlite3_step(stmt) == SQLITE_ROW) {
    boots = sqlite3_column_int64(stmt, 0);
    run->o->boot = (uint64_t)sqlite3_column_int64(stmt, 1);
  }
  sqlite3_finalize(stmt);
  if (boots == 1) return 0;
  return fail(run, run->o->device,
              boots == 0 ? "the database has no frames of this device"
                         : "the device has several boots: choose one with --boot or --summary");
}

/* The number of the channel with this name, and whether readings of it are waveforms. */
static int find_channel(compare_run *run, const char *name, uint8_t *channel) {
  sqlite3_stmt *stmt = NULL;
  int found = -1;
  if (sqlite3_prepare_v2(run->db,
                         "SELECT DISTINCT c.channel FROM channels c JOIN devices d"
                         " ON d.id = c.device_id WHERE d.device = ? AND c.name = ?",
                         -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_bind_text(stmt, 1, run->o->device, -1, SQLITE_STATIC) == SQLITE_OK &&
      sqlite3_bind_text(stmt, 2, name, -1, SQLITE_STATIC) == SQLITE_OK &&
      sqlite3_step(stmt) == SQLITE_ROW) {
    *channel = (uint8_t)sqlite3_column_int(stmt, 0);
    found = sqlite3_step(stmt) == SQLITE_DONE ? 0 : -1; /* several have this name */
  }
  sqlite3_finalize(stmt);
  return found;
}

/* When the channel's first reading was taken. */
static int find_first(compare_run *run, compare_task *task, bool wave) {
  char sql[400];
  snprintf(sql, sizeof sql,
           "SELECT min(x.tick + f.utc_offset_ms) FROM frames f JOIN devices d"
           " ON d.id = f.device_id JOIN %s x ON x.frame_id = f.id"
           " WHERE d.device = ? AND f.boot = ? AND x.channel = ?",
           wave ? "waves" : "numerics");
  sqlite3_stmt *stmt = NULL;
  bool found = sqlite3_prepare_v2(run->db, sql, -1, &stmt, NULL) == SQLITE_OK &&
               sqlite3_bind_text(stmt, 1, task->device, -1, SQLITE_STATIC) == SQLITE_OK &&
               sqlite3_bind_int64(stmt, 2, (int64_t)task->boot) == SQLITE_OK &&
               sqlite3_bind_int(stmt, 3, task->channels[0]) == SQLITE_OK &&
               sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL;
  if (found) task->first_ms = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  return found ? 0 : -1;
}

/* Its rows are counted by reading it. */
static int count_rows(compare_run *run, recording *rec, uint64_t *rows) {
  recording_row row;
  int rc;
  *rows = 0;
  while ((rc = recording_next(rec, &row)) == 1) ++*rows;
  return rc == 0 ? 0 : fail_recording(run, rec);
}

static int task_by_names(compare_run *run, recording *rec, compare_task *task) {
  if (find_boot(run) != 0 || count_rows(run, rec, &task->rows) != 0) return -1;
  task->boot = run->o->boot;
  task->utc = true;
  for (unsigned i = 0; i < rec->channel_count; i++)
    if (find_channel(run, rec->channels[i].name, &task->channels[i]) != 0)
      return fail(run, rec->channels[i].name,
                  "the device has no channel, or several, of this name: give --summary");
  if (find_first(run, task, rec->kind == HTEL_WAVEFORM) != 0)
    return fail(run, rec->path, "no reading of it is stored with a time");
  return 0;
}

/* ---- With the monitor's summary --------------------------------------------------------- */

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? path : slash + 1;
}

static const cJSON *summary_recording(const cJSON *summary, const char *path) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(summary, "recordings");
  const cJSON *item;
  cJSON_ArrayForEach(item, list) {
    const char *file = json_string(item, "file");
    if (file != NULL && strcmp(base_name(file), base_name(path)) == 0) return item;
  }
  return NULL;
}

static int task_by_summary(compare_run *run, recording *rec, compare_task *task) {
  const cJSON *item = summary_recording(run->summary, task->csv_path);
  if (item == NULL) return fail(run, task->csv_path, "the summary does not speak of it");
  const char *device = json_string(run->summary, "device");
  if (device == NULL || strcmp(device, task->device) != 0)
    return fail(run, run->o->summary, "the summary is of another device");
  task->boot = run->o->boot;
  const cJSON *channels = cJSON_GetObjectItemCaseSensitive(item, "channels");
  if (cJSON_GetArraySize(channels) != (int)rec->channel_count)
    return fail(run, task->csv_path, "the summary has another number of channels");
  for (unsigned i = 0; i < rec->channel_count; i++) {
    int64_t number;
    if (!json_int(cJSON_GetArrayItem(channels, (int)i), "channel", 0, HTEL_CHANNELS_MAX - 1,
                  &number))
      return fail(run, run->o->summary, "a channel's number is missing or out of range");
    task->channels[i] = (uint8_t)number;
  }
  int64_t rows;
  if (!json_int(item, "rows", 0, RECORDING_ROWS_MAX, &rows))
    return fail(run, run->o->summary, "'rows' is missing or out of range");
  task->rows = (uint64_t)rows;
  task->utc = json_int(item, "first_utc_ms", -RECORDING_TIME_MS_MAX, RECORDING_TIME_MS_MAX,
                       &task->first_ms);
  if (!task->utc && !json_int(item, "first_tick", 0, INT64_MAX, &task->first_ms))
    return fail(run, run->o->summary, "'first_utc_ms' and 'first_tick' are missing");
  return 0;
}

/* Boots may be larger than a double holds exactly: this number is read from the file's text. */
static int summary_boot(compare_run *run) {
  FILE *file = fopen(run->o->summary, "r");
  if (file == NULL) return fail(run, run->o->summary, "cannot be read");
  char text[4096];
  size_t size = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[size] = '\0';
  const char *at = strstr(text, "\"boot\"");
  if (at != NULL) at = strpbrk(at, "0123456789");
  if (at == NULL) return fail(run, run->o->summary, "'boot' is missing");
  if (!run->o->boot_given) run->o->boot = strtoull(at, NULL, 10);
  return 0;
}

/* ---- All of it -------------------------------------------------------------------------- */

static int compare_one(compare_run *run, const char *path, compare_result *result) {
  recording *rec = calloc(1, sizeof *rec);
  if (rec == NULL) return fail(run, path, "no memory");
  compare_task task = {.device = run->o->device, .csv_path = path};
  int rc = recording_open(rec, path) == 0 ? 0 : fail_recording(run, rec);
  if (rc == 0)
    rc = run->summary != NULL ? task_by_summary(run, rec, &task) : task_by_names(run, rec, &task);
  recording_close(rec);
  free(rec);
  if (rc != 0) return -1;
  return compare_recording(run->db, &task, result, run->error, sizeof run->error);
}

/* Of the boot's frames: what a reading costs on the wire, without MQTT and TLS. */
static double bytes_per_reading(compare_run *run) {
  sqlite3_stmt *stmt = NULL;
  double ratio = 0;
  if (sqlite3_prepare_v2(run->db,
                         "SELECT sum(length(f.payload)), sum(f.numerics + f.samples + f.alarms)"
                         " FROM frames f JOIN devices d ON d.id = f.device_id"
                         " WHERE d.device = ? AND f.boot = ?",
                         -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_bind_text(stmt, 1, run->o->device, -1, SQLITE_STATIC) == SQLITE_OK &&
      sqlite3_bind_int64(stmt, 2, (int64_t)run->o->boot) == SQLITE_OK &&
      sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_int64(stmt, 1) > 0)
    ratio = sqlite3_column_double(stmt, 0) / sqlite3_column_double(stmt, 1);
  sqlite3_finalize(stmt);
  return ratio;
}

static void print_result(const compare_options *o, const compare_result *r, double ratio) {
  static const char words[] =
      "recorded=%" PRIu64 " stored=%" PRIu64 " lost=%" PRIu64 " duplicates=%" PRIu64
      " mismatches=%" PRIu64 " bytes_per_reading=%.3f\n";
  static const char json[] =
      "{\"recorded\":%" PRIu64 ",\"stored\":%" PRIu64 ",\"lost\":%" PRIu64
      ",\"duplicates\":%" PRIu64 ",\"mismatches\":%" PRIu64
      ",\"bytes_per_reading\":%.3f,\"wrong_values\":%" PRIu64 ",\"wrong_qualities\":%" PRIu64
      ",\"wrong_times\":%" PRIu64 ",\"unexpected\":%" PRIu64 "}\n";
  uint64_t mismatches = compare_mismatches(r);
  if (o->json)
    printf(json, r->recorded, r->stored, r->lost, r->duplicates, mismatches, ratio, r->wrong_values,
           r->wrong_qualities, r->wrong_times, r->unexpected);
  else
    printf(words, r->recorded, r->stored, r->lost, r->duplicates, mismatches, ratio);
  if (mismatches > 0 && !o->json)
    printf("of the mismatches: values %" PRIu64 ", qualities %" PRIu64 ", times %" PRIu64
           ", unexpected %" PRIu64 "\n",
           r->wrong_values, r->wrong_qualities, r->wrong_times, r->unexpected);
}

static int run_all(compare_run *run) {
  compare_options *o = run->o;
  if (o->summary != NULL) {
    char error[512];
    run->summary = json_load(o->summary, SUMMARY_BYTES_MAX, error, sizeof error);
    if (run->summary == NULL) return fail(run, o->summary, error);
    if (summary_boot(run) != 0) return -1;
  }
  compare_result result = {0};
  for (int i = 0; i < o->recording_count; i++)
    if (compare_one(run, o->recordings[i], &result) != 0) return -1;
  print_result(o, &result, bytes_per_reading(run));
  bool good = result.recorded > 0 && result.lost + result.duplicates == 0 &&
              compare_mismatches(&result) == 0;
  return good ? EXIT_GOOD : EXIT_FINDINGS;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  compare_options *o = state->input;
  switch (key) {
    case OPT_DB: o->db = arg; return 0;
    case OPT_DEVICE: o->device = arg; return 0;
    case OPT_SUMMARY: o->summary = arg; return 0;
    case OPT_JSON: o->json = true; return 0;
    case OPT_BOOT:
      o->boot = option_number(state, "boot", arg, 0, UINT64_MAX);
      o->boot_given = true;
      return 0;
    case OPT_RECORDING:
      if (o->recording_count == RECORDINGS_MAX)
        argp_error(state, "--recording may be given %d times at most", RECORDINGS_MAX);
      o->recordings[o->recording_count++] = arg;
      return 0;
    case ARGP_KEY_END:
      option_required(state, "db", o->db);
      option_required(state, "device", o->device);
      option_required(state, "recording", o->recording_count == 0 ? NULL : "");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

int command_compare(int argc, char **argv) {
  static const struct argp_option table[] = {
      {"db", OPT_DB, "FILE", 0, "The ingest's database", 0},
      {"device", OPT_DEVICE, "ID", 0, "The device that played it", 0},
      {"recording", OPT_RECORDING, "FILE.csv", 0,
       "The recording, its JSON beside it; may be given several times", 0},
      {"summary", OPT_SUMMARY, "FILE", 0,
       "What htel-monitor --summary wrote: when it began, which channels, how many rows. Without "
       "it channels are found by name, and time is counted from the first stored reading",
       0},
      {"boot", OPT_BOOT, "N", 0, "Which boot of the device, where it has several", 0},
      {"json", OPT_JSON, NULL, 0, "Say it as JSON", 0},
      {0},
  };
  static const char about[] =
      "Compares what is stored with the recording that was played: each value, quality and time.\v"
      "Exit status: 0 everything recorded is stored once and equal, 3 it is not, 1 it could not "
      "be said, 64 the command line is wrong.";
  const struct argp argp = {.options = table, .parser = parse, .doc = about};
  compare_options o = {0};
  if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_FAILED;
  compare_run run = {.o = &o};
  int rc;
  if (sqlite3_open_v2(o.db, &run.db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
    rc = fail(&run, o.db, "cannot be opened: check path and permissions");
  else
    rc = run_all(&run);
  if (rc < 0) fprintf(stderr, "htel-ingest: %s\n", run.error);
  cJSON_Delete(run.summary);
  sqlite3_close(run.db);
  return rc < 0 ? EXIT_FAILED : rc;
}
