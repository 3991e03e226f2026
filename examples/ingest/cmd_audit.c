/* SPDX-License-Identifier: Apache-2.0 */
/* htel-ingest audit: one report for each device, in words or as JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "commands.h"
#include "common/json.h"
#include "store_sqlite.h"

#define HOLES_PRINTED 100u /* in words; JSON has all */

enum { OPT_DB = 256, OPT_DEVICE, OPT_JSON };

typedef struct audit_options {
  const char *db, *device;
  bool json;
} audit_options;

typedef struct audit_run {
  const audit_options *options;
  const store *store;
  cJSON *list;
  bool clean, failed, found;
} audit_run;

static void print_ranges(const char *title, const audit_ranges *ranges) {
  if (ranges->count == 0) return;
  printf("  %s:\n", title);
  for (size_t i = 0; i < ranges->count && i < HOLES_PRINTED; i++) {
    const audit_range *r = &ranges->items[i];
    printf("    boot %" PRIu64 ", sequence %" PRIu32, r->boot, r->first);
    if (r->last != r->first) printf(" to %" PRIu32, r->last);
    putchar('\n');
  }
  if (ranges->count > HOLES_PRINTED)
    printf("    ... and %zu more (--json has all)\n", ranges->count - HOLES_PRINTED);
}

static void print_words(const audit_report *r) {
  printf("device %s: %s\n", r->device,
         audit_clean(r) ? "all accounted for" : "NOT ALL ACCOUNTED FOR");
  printf("  boots               %zu\n", r->boot_count);
  printf("  frames              %" PRIu64 "\n", r->frames);
  printf("  readings            %" PRIu64 " (%" PRIu64 " numeric, %" PRIu64 " waveform, %" PRIu64
         " alarm)\n",
         r->numerics + r->samples + r->alarms, r->numerics, r->samples, r->alarms);
  printf("  duplicates refused  %" PRIu64 "\n", r->counters[STORE_DUPLICATES]);
  printf("  quarantined         %" PRIu64 "\n", r->quarantined);
  printf("  unreadable          %" PRIu64 "\n", r->counters[STORE_UNREADABLE]);
  printf("  lost, ring full     %" PRIu64 "\n", r->lost_ring_full);
  printf("  lost, outbox full   %s%" PRIu64 " in %" PRIu64 " frames\n",
         r->lost_outbox_at_most ? "at most " : "", r->lost_outbox_full, r->lost_outbox_frames);
  printf("  unclean stops       %" PRIu64, r->unclean_stops);
  if (r->unclean_stops > 0 && r->lost_unclean_open)
    printf(" (an unknown number of readings lost)");
  else if (r->unclean_stops > 0)
    printf(" (at most %" PRIu64 " readings lost)", r->lost_unclean);
  putchar('\n');
  if (r->lost_other > 0) printf("  lost, other causes  %" PRIu64 "\n", r->lost_other);
  printf("  unexplained holes   %" PRIu64, r->hole_count);
  if (r->holes_among_evicted > 0)
    printf(" (%" PRIu64 " somewhere among evicted frames)", r->holes_among_evicted);
  putchar('\n');
  printf("  alerts              %" PRIu64 "\n", r->alerts);
  print_ranges("unexplained", &r->holes);
  print_ranges("missing in boots that stopped uncleanly", &r->unclean_holes);
}

static void add_ranges(cJSON *to, const char *name, const audit_ranges *ranges) {
  cJSON *list = cJSON_AddArrayToObject(to, name);
  for (size_t i = 0; i < ranges->count; i++) {
    cJSON *item = cJSON_CreateObject();
    json_add_uint(item, "boot", ranges->items[i].boot);
    json_add_uint(item, "first", ranges->items[i].first);
    json_add_uint(item, "last", ranges->items[i].last);
    cJSON_AddItemToArray(list, item);
  }
}

static cJSON *make_json(const audit_report *r) {
  cJSON *o = cJSON_CreateObject();
  cJSON_AddStringToObject(o, "device", r->device);
  cJSON_AddBoolToObject(o, "clean", audit_clean(r));
  cJSON *boots = cJSON_AddArrayToObject(o, "boots");
  for (size_t i = 0; i < r->boot_count; i++) {
    cJSON *boot = cJSON_CreateObject();
    json_add_uint(boot, "boot", r->boots[i].boot);
    json_add_uint(boot, "frames", r->boots[i].frames);
    json_add_uint(boot, "highest", r->boots[i].highest);
    cJSON_AddBoolToObject(boot, "unclean", r->boots[i].unclean);
    cJSON_AddItemToArray(boots, boot);
  }
  json_add_uint(o, "frames", r->frames);
  json_add_uint(o, "readings", r->numerics + r->samples + r->alarms);
  json_add_uint(o, "numerics", r->numerics);
  json_add_uint(o, "samples", r->samples);
  json_add_uint(o, "alarms", r->alarms);
  json_add_uint(o, "payload_bytes", r->payload_bytes);
  for (unsigned i = 0; i < STORE_COUNTERS; i++)
    json_add_uint(o, store_counter_name(i), r->counters[i]);
  json_add_uint(o, "quarantined", r->quarantined);
  json_add_uint(o, "lost_ring_full", r->lost_ring_full);
  json_add_uint(o, "lost_outbox_full", r->lost_outbox_full);
  json_add_uint(o, "lost_outbox_frames", r->lost_outbox_frames);
  cJSON_AddBoolToObject(o, "lost_outbox_at_most", r->lost_outbox_at_most);
  json_add_uint(o, "unclean_stops", r->unclean_stops);
  json_add_uint(o, "lost_unclean_at_most", r->lost_unclean);
  cJSON_AddBoolToObject(o, "lost_unclean_unknown", r->lost_unclean_open);
  json_add_uint(o, "lost_other", r->lost_other);
  json_add_uint(o, "unexplained_holes", r->hole_count);
  add_ranges(o, "holes", &r->holes);
  add_ranges(o, "unclean_holes", &r->unclean_holes);
  json_add_uint(o, "alerts", r->alerts);
  return o;
}

static bool visit_device(void *arg, const char *device) {
  audit_run *run = arg;
  if (run->options->device != NULL && strcmp(device, run->options->device) != 0) return true;
  run->found = true;
  audit_report report;
  int rc = audit_device(run->store, device, &report);
  if (rc != STORE_OK) {
    fprintf(stderr, "htel-ingest: device %s cannot be audited: %s\n", device,
            rc == STORE_AGAIN ? "the database is locked, or memory is short; try again"
                              : "the database is damaged");
    run->failed = true;
  } else {
    run->clean &= audit_clean(&report);
    if (run->list != NULL)
      cJSON_AddItemToArray(run->list, make_json(&report));
    else
      print_words(&report);
  }
  audit_free(&report);
  return !run->failed;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  audit_options *o = state->input;
  switch (key) {
    case OPT_DB: o->db = arg; return 0;
    case OPT_DEVICE: o->device = arg; return 0;
    case OPT_JSON: o->json = true; return 0;
    case ARGP_KEY_END: option_required(state, "db", o->db); return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

int command_audit(int argc, char **argv) {
  static const struct argp_option table[] = {
      {"db", OPT_DB, "FILE", 0, "The ingest's database", 0},
      {"device", OPT_DEVICE, "ID", 0, "This device alone (default: all)", 0},
      {"json", OPT_JSON, NULL, 0, "One JSON object with a list of devices", 0},
      {0},
  };
  static const char about[] =
      "Says for each device what is stored, what was lost and why, and which frames are missing "
      "without a reason.\v"
      "Frames that a device still holds back or sends just now show as holes: audit it when it "
      "has delivered everything. Exit status: 0 everything is accounted for, 3 there are "
      "unexplained holes or alerts, 1 it could not be said, 64 the command line is wrong.";
  const struct argp argp = {.options = table, .parser = parse, .doc = about};
  audit_options o = {0};
  if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0) return EXIT_FAILED;
  store db;
  char error[256];
  if (store_sqlite_open(&db, o.db, STORE_SQLITE_READ, error, sizeof error) != 0) {
    fprintf(stderr, "htel-ingest: database '%s' %s\n", o.db, error);
    return EXIT_FAILED;
  }
  audit_run run = {.options = &o, .store = &db, .clean = true};
  cJSON *json = o.json ? cJSON_CreateObject() : NULL;
  if (json != NULL) run.list = cJSON_AddArrayToObject(json, "devices");
  if (db.devices_visit(db.ctx, visit_device, &run) != STORE_OK) run.failed = true;
  if (json != NULL) {
    char *text = cJSON_Print(json);
    if (text != NULL) puts(text);
    cJSON_free(text);
    cJSON_Delete(json);
  }
  if (o.device != NULL && !run.found && !run.failed) {
    fprintf(stderr, "htel-ingest: the database has no device %s\n", o.device);
    run.failed = true;
  }
  db.close(db.ctx);
  if (run.failed) return EXIT_FAILED;
  return run.clean ? EXIT_GOOD : EXIT_FINDINGS;
}
