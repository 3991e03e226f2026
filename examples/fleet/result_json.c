/* SPDX-License-Identifier: Apache-2.0 */
#include "result_json.h"

#include <string.h>

#include "common/json.h"
#include "fleet.h"

#define WEAR_DIGITS 1000.0
#define COMMAND_BYTES (4u * SCENARIO_FILE_BYTES + 512u)

typedef struct named {
  const char *name;
  uint64_t value;
} named;

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void add_all(cJSON *to, const named *items, size_t count) {
  for (size_t i = 0; i < count; i++) json_add_uint(to, items[i].name, items[i].value);
}

static double device_hours(const result *r, const scenario *s) {
  return (double)r->devices * s->hours;
}

static uint64_t told(const oracle_totals *t) {
  return t->covered_ring + t->covered_evicted + t->covered_unclean + t->covered_quarantine +
         t->covered_damaged;
}

/* A word of a shell: quoted where it needs to be. `to` has room for four times the word and 3. */
static void word_quote(char *to, const char *word) {
  static const char plain[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./,:=+@%-";
  if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
    strcpy(to, word);
    return;
  }
  *to++ = '\'';
  for (; *word != '\0'; word++) {
    if (*word != '\'') {
      *to++ = *word;
      continue;
    }
    memcpy(to, "'\\''", 4);
    to += 4;
  }
  memcpy(to, "'", 2);
}

static void faults_list(char *to, size_t size, fault_set faults) {
  if (faults == FAULT_ALL || faults == 0) {
    snprintf(to, size, "%s", faults == 0 ? "none" : "all");
    return;
  }
  size_t at = 0;
  for (unsigned k = 0; k < FAULT_KINDS && at < size; k++)
    if ((faults >> k & 1u) != 0)
      at += (size_t)snprintf(to + at, size - at, "%s%s", at > 0 ? "," : "",
                             fault_name((fault_kind)k));
}

/* The command that makes this run again, in the directory that this one was run in. The cell is
 * always named: the scenario may have another one than the options gave. */
static void command_line(char *to, size_t size, const scenario *s, uint64_t seed, uint32_t only) {
  char name[4u * SCENARIO_FILE_BYTES + 3u], faults[256], alone[24] = "";
  word_quote(name, s->file[0] != '\0' ? s->file : s->name);
  faults_list(faults, sizeof faults, s->faults);
  if (only != FLEET_ALL) snprintf(alone, sizeof alone, " --only %u", (unsigned)only);
  snprintf(to, size,
           "htel-fleet --scenario %s --devices %u --hours %u --seed %llu --cell %u%s --faults %s",
           name, (unsigned)s->devices, (unsigned)s->hours, (unsigned long long)seed,
           (unsigned)s->cell_devices, alone, faults);
}

static cJSON *configuration_json(const scenario *s) {
  cJSON *c = cJSON_CreateObject();
  static const char *const codings[] = {"zlib", "fast", "best"};
  const named items[] = {
      {"devices", s->devices},
      {"hours", s->hours},
      {"cell", s->cell_devices},
      {"age_ms_max", s->age_ms_max},
      {"frame_bytes_max", s->bytes_max},
      {"ring_bytes", s->ring_bytes},
      {"outbox_bytes", s->outbox_bytes},
      {"flash_bytes", s->flash ? (uint64_t)s->flash_block_bytes * s->flash_block_count : 0},
      {"keep_alive_s", s->keep_alive_s},
      {"spread_ms", s->spread_ms},
      {"latency_ms", s->latency_ms},
      {"commit_ms", s->commit_ms},
      {"channels", s->channel_count},
      {"memory_bytes_max", s->memory_bytes_max}};
  add_all(c, items, COUNT(items));
  cJSON_AddStringToObject(c, "coding", codings[s->coding % 3u]);
  return c;
}

static cJSON *violation_json(const violation *v, const char *command) {
  cJSON *o = cJSON_CreateObject();
  char replay[COMMAND_BYTES + 32u];
  cJSON_AddStringToObject(o, "kind", violation_name(v->kind));
  json_add_int(o, "at_ms", v->at_ms);
  if (v->device != UINT32_MAX) json_add_uint(o, "device", v->device);
  if (v->channel != UINT32_MAX) json_add_uint(o, "channel", v->channel);
  json_add_uint(o, "number", v->number);
  cJSON_AddStringToObject(o, "text", v->text);
  if (v->device == UINT32_MAX) return o;
  snprintf(replay, sizeof replay, "%s --replay %u", command, (unsigned)v->device);
  cJSON_AddStringToObject(o, "replay", replay);
  return o;
}

static cJSON *series_json(const result *r) {
  cJSON *o = cJSON_CreateObject();
  json_add_int(o, "step_ms", r->step_ms);
  static const struct {
    const char *name;
    size_t at;
  } columns[] = {{"connects", offsetof(result_point, connects)},
                 {"backlog_frames", offsetof(result_point, backlog_frames)},
                 {"backlog_devices", offsetof(result_point, backlog_devices)},
                 {"up_bytes", offsetof(result_point, up_bytes)},
                 {"down_bytes", offsetof(result_point, down_bytes)},
                 {"stored", offsetof(result_point, stored)},
                 {"online", offsetof(result_point, online)}};
  for (size_t c = 0; c < COUNT(columns); c++) {
    cJSON *list = cJSON_AddArrayToObject(o, columns[c].name);
    for (uint32_t i = 0; i < r->point_count; i++) {
      uint64_t value;
      memcpy(&value, (const char *)&r->points[i] + columns[c].at, sizeof value);
      cJSON_AddItemToArray(list, cJSON_CreateNumber((double)value));
    }
  }
  return o;
}

static cJSON *delays_json(const result *r) {
  cJSON *list = cJSON_CreateArray();
  for (unsigned i = 0; i < RESULT_DELAYS; i++) {
    if (r->delays[i] == 0 && r->delays_alarm[i] == 0) continue;
    cJSON *o = cJSON_CreateObject();
    if (i + 1u < RESULT_DELAYS) json_add_int(o, "ms_max", result_delay_ms(i));
    json_add_uint(o, "readings", r->delays[i]);
    json_add_uint(o, "alarms", r->delays_alarm[i]);
    cJSON_AddItemToArray(list, o);
  }
  return list;
}

static cJSON *wears_json(const result *r) {
  cJSON *list = cJSON_CreateArray();
  for (unsigned i = 0; i < RESULT_WEARS; i++) {
    if (r->wears[i] == 0) continue;
    cJSON *o = cJSON_CreateObject();
    if (i + 1u < RESULT_WEARS) json_add_uint(o, "erases_max", result_wear_erases(i));
    json_add_uint(o, "devices", r->wears[i]);
    cJSON_AddItemToArray(list, o);
  }
  return list;
}

static cJSON *storm_json(const result *r, const scenario *s) {
  cJSON *o = cJSON_CreateObject();
  json_add_int(o, "at_ms", r->storm_ms);
  json_add_uint(o, "devices", r->storm_devices);
  json_add_uint(o, "connects_max_in_a_second", r->storm_connects_max);
  json_add_uint(o, "connects_limit", result_storm_limit(r->devices, s->spread_ms));
  json_add_int(o, "all_back_ms", r->storm_back_ms);
  cJSON *list = cJSON_AddArrayToObject(o, "connects_by_second");
  for (unsigned i = 0; i < RESULT_CONNECT_SECONDS; i++)
    cJSON_AddItemToArray(list, cJSON_CreateNumber(r->connect_seconds[i]));
  return o;
}

static cJSON *worst_json(const result *r) {
  cJSON *list = cJSON_CreateArray();
  for (uint32_t i = 0; i < r->worst_count; i++) {
    const result_device *d = &r->worst[i];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "id", d->id);
    const named items[] = {{"device", d->number},
                           {"accepted", d->accepted},
                           {"stored", d->stored},
                           {"told", d->told},
                           {"violations", d->violations},
                           {"boots", d->boots},
                           {"connects", d->connects},
                           {"frames_resent", d->frames_resent},
                           {"flash_erases_max", d->flash_erases_max},
                           {"memory_bytes", d->memory_bytes}};
    add_all(o, items, COUNT(items));
    cJSON_AddItemToArray(list, o);
  }
  return list;
}

static void sums_add(cJSON *o, const result *r) {
  const oracle_totals *t = &r->totals;
  const named items[] = {{"readings_accepted", t->accepted},
                         {"readings_refused", t->refused},
                         {"readings_stored", t->stored},
                         {"readings_checked", t->checked},
                         {"readings_told", told(t)}};
  add_all(o, items, COUNT(items));
  cJSON *causes = cJSON_AddObjectToObject(o, "told_by_cause");
  const named by[] = {{"ring_full", t->covered_ring},
                      {"outbox_full", t->covered_evicted},
                      {"unclean_stop", t->covered_unclean},
                      {"quarantine", t->covered_quarantine},
                      {"flash_damage", t->covered_damaged}};
  add_all(causes, by, COUNT(by));
  const device_counts *c = &r->sum;
  const named more[] = {{"frames_placed_in_utc", t->placed},
                        {"utc_error_ms_max", t->utc_error_ms_max},
                        {"boots", c->boots},
                        {"resets", c->resets},
                        {"power_cuts", c->power_cuts},
                        {"frames", c->frames_closed},
                        {"frames_resent", c->frames_resent},
                        {"frames_refused_as_known", r->intake.duplicates},
                        {"frames_in_conflict", r->intake.conflicts},
                        {"payload_bytes", c->payload_bytes},
                        {"connects", c->connects},
                        {"connect_failures", c->connect_failures},
                        {"polls", c->polls},
                        {"receipts", r->intake.receipts},
                        {"commits", r->intake.commits},
                        {"memory_bytes_max", r->memory_bytes_max},
                        {"flash_programs", c->flash_programs},
                        {"flash_erases", c->flash_erases},
                        {"flash_erases_of_a_block_max", r->wear_erases_max}};
  add_all(o, more, COUNT(more));
  cJSON_AddNumberToObject(o, "flash_wear_ratio_max",
                          (double)(uint64_t)(r->wear_ratio_max * WEAR_DIGITS) / WEAR_DIGITS);
}

cJSON *result_json(const result *r, const scenario *s, uint64_t seed, uint32_t only) {
  cJSON *o = cJSON_CreateObject();
  if (o == NULL) return NULL;
  char command[COMMAND_BYTES], digest[20];
  command_line(command, sizeof command, s, seed, only);
  snprintf(digest, sizeof digest, "%016llx", (unsigned long long)r->digest);
  cJSON_AddStringToObject(o, "verdict", r->totals.violations == 0 ? "kept" : "broken");
  json_add_uint(o, "lost", r->totals.lost);
  json_add_uint(o, "duplicates", r->totals.duplicates);
  json_add_uint(o, "violations", r->totals.violations);
  cJSON_AddStringToObject(o, "version", HTEL_VERSION);
  cJSON_AddStringToObject(o, "scenario", s->name);
  cJSON_AddStringToObject(o, "title", s->title);
  json_add_uint(o, "seed", seed);
  cJSON_AddStringToObject(o, "command", command);
  cJSON_AddStringToObject(o, "digest", digest);
  json_add_uint(o, "devices", r->devices);
  json_add_uint(o, "hours", s->hours);
  json_add_int(o, "run_ms", r->run_ms);
  cJSON_AddItemToObject(o, "configuration", configuration_json(s));
  sums_add(o, r);
  cJSON *faults = cJSON_AddObjectToObject(o, "faults");
  for (unsigned k = 0; k < FAULT_KINDS; k++)
    if ((s->faults >> k & 1u) != 0) json_add_uint(faults, fault_name((fault_kind)k), r->faults[k]);
  cJSON *list = cJSON_AddArrayToObject(o, "violation_list");
  for (uint32_t i = 0; i < r->violation_count; i++)
    cJSON_AddItemToArray(list, violation_json(&r->violations[i], command));
  cJSON_AddItemToObject(o, "delays", delays_json(r));
  cJSON_AddItemToObject(o, "flash_wear", wears_json(r));
  if (r->storm_ms >= 0) cJSON_AddItemToObject(o, "storm", storm_json(r, s));
  cJSON_AddItemToObject(o, "series", series_json(r));
  cJSON_AddItemToObject(o, "worst_devices", worst_json(r));
  cJSON *machine = cJSON_AddObjectToObject(o, "machine");
  cJSON_AddNumberToObject(machine, "wall_s", (double)(uint64_t)(r->wall_s * 1000.0) / 1000.0);
  json_add_uint(machine, "rss_bytes_max", r->rss_bytes_max);
  cJSON_AddNumberToObject(
      machine, "device_hours_per_s",
      r->wall_s > 0.0 ? (double)(uint64_t)(device_hours(r, s) / r->wall_s) : 0.0);
  return o;
}

/* ---- For people
 * ----------------------------------------------------------------------------------- */

static void violations_print(FILE *to, const result *r, const char *command) {
  for (uint32_t i = 0; i < r->violation_count; i++) {
    const violation *v = &r->violations[i];
    fprintf(to, "  %s", violation_name(v->kind));
    if (v->device != UINT32_MAX) fprintf(to, ", device %u", (unsigned)v->device);
    fprintf(to, ", at %.3f s: %s (%llu)\n", (double)v->at_ms / 1000.0, v->text,
            (unsigned long long)v->number);
  }
  if (r->violation_count > 0 && r->violations[0].device != UINT32_MAX)
    fprintf(to, "  see it: %s --replay %u\n", command, (unsigned)r->violations[0].device);
}

void result_print(FILE *to, const result *r, const scenario *s, uint64_t seed, uint32_t only) {
  const oracle_totals *t = &r->totals;
  char command[COMMAND_BYTES];
  command_line(command, sizeof command, s, seed, only);
  fprintf(to, "%s: %s\n", s->name, s->title);
  fprintf(to, "devices=%u hours=%u seed=%llu readings=%llu stored=%llu checked=%llu told=%llu\n",
          (unsigned)r->devices, (unsigned)s->hours, (unsigned long long)seed,
          (unsigned long long)t->accepted, (unsigned long long)t->stored,
          (unsigned long long)t->checked, (unsigned long long)told(t));
  fprintf(to,
          "told: ring full %llu, outbox full %llu, unclean stop %llu, clone %llu, damage %llu\n",
          (unsigned long long)t->covered_ring, (unsigned long long)t->covered_evicted,
          (unsigned long long)t->covered_unclean, (unsigned long long)t->covered_quarantine,
          (unsigned long long)t->covered_damaged);
  fprintf(to, "faults:");
  for (unsigned k = 0; k < FAULT_KINDS; k++)
    if (r->faults[k] > 0)
      fprintf(to, " %s %llu", fault_name((fault_kind)k), (unsigned long long)r->faults[k]);
  fprintf(to, "\nmemory %llu bytes a device at most; %.1f s, %.0f device-hours a second\n",
          (unsigned long long)r->memory_bytes_max, r->wall_s,
          r->wall_s > 0.0 ? device_hours(r, s) / r->wall_s : 0.0);
  if (r->storm_ms >= 0)
    fprintf(to,
            "after the storm: %u connects in one second at most (%u allowed), all back %.1f s\n",
            (unsigned)r->storm_connects_max, (unsigned)result_storm_limit(r->devices, s->spread_ms),
            (double)r->storm_back_ms / 1000.0);
  violations_print(to, r, command);
  fprintf(to, "lost=%llu duplicates=%llu violations=%llu: the promise was %s\n",
          (unsigned long long)t->lost, (unsigned long long)t->duplicates,
          (unsigned long long)t->violations, t->violations == 0 ? "kept" : "broken");
}

bool result_seeds_tell(const result *sum, const scenario *s, uint64_t first_seed, uint64_t seeds,
                       uint64_t failed, uint64_t first_failed, bool json) {
  const oracle_totals *t = &sum->totals;
  char command[COMMAND_BYTES];
  command_line(command, sizeof command, s, first_failed, FLEET_ALL);
  if (!json) {
    printf("seeds=%llu from=%llu failed=%llu readings=%llu checked=%llu told=%llu\n",
           (unsigned long long)seeds, (unsigned long long)first_seed, (unsigned long long)failed,
           (unsigned long long)t->accepted, (unsigned long long)t->checked,
           (unsigned long long)told(t));
    if (failed > 0) violations_print(stdout, sum, command);
    printf("lost=%llu duplicates=%llu violations=%llu\n", (unsigned long long)t->lost,
           (unsigned long long)t->duplicates, (unsigned long long)t->violations);
    return failed == 0;
  }
  cJSON *o = cJSON_CreateObject();
  const named items[] = {
      {"seeds", seeds},  {"first_seed", first_seed},    {"seeds_failed", failed},
      {"lost", t->lost}, {"duplicates", t->duplicates}, {"violations", t->violations}};
  add_all(o, items, COUNT(items));
  sums_add(o, sum);
  if (failed > 0) {
    json_add_uint(o, "first_failed", first_failed);
    cJSON_AddItemToObject(o, "violation", violation_json(&sum->violations[0], command));
  }
  char *text = cJSON_PrintUnformatted(o);
  if (text != NULL) puts(text);
  cJSON_free(text);
  cJSON_Delete(o);
  return failed == 0;
}
