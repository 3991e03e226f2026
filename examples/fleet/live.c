/* SPDX-License-Identifier: Apache-2.0 */
/* live.c - a live run from beginning to end.
 *
 *     begin: certificates, database -> record -> deliver and close -> check -> result
 *
 * All devices have their turns in one thread: at their appointments, and when the poller says that
 * their socket is ready. They begin one after the other, so that they do not all shake hands at
 * one moment; after an outage each one's own backoff spreads them. */
#include "live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/json.h"
#include "htel_paho.h"
#include "live_check.h"
#include "live_device.h"
#include "result_json.h"

#define PATH_BYTES 1024u
#define HOST_BYTES 254u
#define BEGIN_STEP_MS 20u   /* between the first connects of two devices, */
#define BEGIN_MS_MAX 30000u /* and of the first and the last */
#define CLOSE_MS 60000u /* to deliver the rest, beside the time in which reconnects are spread */
#define CLOSE_GRACE_MS 10000
#define STEP_MS 1000
#define EVENTS 256
#define DESCRIPTORS_BESIDE 64u /* for all but the devices' sockets */
#define ERRORS_TOLD_MAX 8u

typedef struct live {
  const live_options *options;
  const scenario *scenario;
  live_world world;
  plan plan;
  live_device *devices;
  uint32_t count;
  char host[HOST_BYTES];
  char *ca_pem;
  live_check *check;
  result result;
  result_point before; /* sums at the last point */
  int64_t point_ms;    /* when the next is due */
  int64_t recorded_ms; /* how long was recorded */
  double cpu_s;        /* that recording took */
  char *error;
  size_t error_size;
} live;

static bool fail(live *l, const char *text) {
  snprintf(l->error, l->error_size, "%s", text);
  return false;
}

/* ---- Beginning ------------------------------------------------------------------------------- */

static bool broker_take(live *l) {
  const char *colon = strrchr(l->options->broker, ':');
  size_t size = colon != NULL ? (size_t)(colon - l->options->broker) : strlen(l->options->broker);
  char *end = NULL;
  unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 8883u;
  bool ok = colon == NULL || (colon[1] >= '0' && colon[1] <= '9' && *end == '\0');
  if (!ok || port < 1 || port > 65535 || size == 0 || size >= sizeof l->host)
    return fail(l, "the broker must be given as HOST:PORT, such as broker.example:8883");
  memcpy(l->host, l->options->broker, size);
  l->world.dial.host = l->host;
  l->world.dial.port = (uint16_t)port;
  return true;
}

static bool path_make(live *l, char path[PATH_BYTES], const char *dir, const char *name,
                      const char *end) {
  int chars = snprintf(path, PATH_BYTES, "%s/%s%s", dir, name, end);
  return (chars > 0 && chars < (int)PATH_BYTES) || fail(l, "the directory's path is too long");
}

static bool ca_load(live *l) {
  char path[PATH_BYTES];
  const char *ca = l->options->ca;
  if (ca == NULL) {
    if (!path_make(l, path, l->options->certificate_dir, "ca", ".crt")) return false;
    ca = path;
  }
  int rc = htel_pem_load(ca, &l->ca_pem);
  l->world.dial.ca_pem = l->ca_pem;
  if (rc == 0) return true;
  snprintf(l->error, l->error_size, "%s: %s", ca, htel_strerror(rc));
  return false;
}

/* Each connection takes a descriptor. */
static bool descriptors_allow(live *l) {
  rlim_t wanted = l->options->devices + DESCRIPTORS_BESIDE;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return true;
  limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
  if (limit.rlim_cur == wanted && setrlimit(RLIMIT_NOFILE, &limit) == 0) return true;
  snprintf(l->error, l->error_size,
           "%u devices need %llu open files, %llu are allowed: raise the limit (ulimit -Hn)",
           (unsigned)l->options->devices, (unsigned long long)wanted,
           (unsigned long long)limit.rlim_max);
  return false;
}

static bool devices_make(live *l) {
  const live_options *o = l->options;
  const char *key_dir = o->key_dir != NULL ? o->key_dir : o->certificate_dir;
  l->devices = calloc(o->devices, sizeof *l->devices);
  if (l->devices == NULL) return fail(l, "no memory");
  for (; l->count < o->devices; l->count++) {
    char certificate[PATH_BYTES], key[PATH_BYTES], id[PLAN_ID_BYTES];
    plan_device_id(id, o->seed, l->count);
    if (!path_make(l, certificate, o->certificate_dir, id, ".crt") ||
        !path_make(l, key, key_dir, id, ".key"))
      return false;
    if (live_device_init(&l->devices[l->count], &l->world, l->count, certificate, key, l->error,
                         l->error_size))
      continue;
    live_device_free(&l->devices[l->count]);
    return false;
  }
  return true;
}

static int64_t utc_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One point of the series a second, or fewer where the run is long. */
static bool result_begin(live *l) {
  if (!result_init(&l->result, l->scenario)) return fail(l, "no memory");
  int64_t whole_ms = (int64_t)l->options->seconds * 1000 + CLOSE_MS + 2 * l->scenario->spread_ms;
  l->result.step_ms = (whole_ms / STEP_MS / RESULT_POINTS_MAX + 1) * STEP_MS;
  return true;
}

static bool live_begin(live *l) {
  const live_options *o = l->options;
  if (o->certificate_dir == NULL)
    return fail(l, "a directory of certificates is needed: each device has one (docs/FLEET.md)");
  if (o->devices == 0 || o->devices > LIVE_DEVICES_MAX)
    return fail(l, "a live run takes 1 to 10000 devices");
  if (!broker_take(l) || !descriptors_allow(l) || !result_begin(l)) return false;
  l->world.plan = &l->plan;
  l->world.seed = o->seed;
  l->world.poller = epoll_create1(EPOLL_CLOEXEC);
  if (l->world.poller < 0 || htel_posix_open(&l->world.posix, NULL) != 0 ||
      !sim_queue_init(&l->world.queue, o->devices))
    return fail(l, "no memory");
  if (plan_make(&l->plan, l->scenario, l->error, l->error_size) != 0 || !ca_load(l)) return false;
  if (o->database != NULL) {
    l->check = live_check_open(o->database, l->error, l->error_size);
    if (l->check == NULL) return false;
  }
  return devices_make(l);
}

static void live_free(live *l) {
  for (uint32_t i = 0; i < l->count; i++) live_device_free(&l->devices[i]);
  free(l->devices);
  live_check_close(l->check);
  result_free(&l->result);
  sim_queue_free(&l->world.queue);
  htel_posix_close(&l->world.posix);
  if (l->world.poller >= 0) close(l->world.poller);
  htel_pem_free(l->ca_pem);
}

/* ---- A point in time ------------------------------------------------------------------------- */

static double cpu_s(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
         (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void progress(const live *l, int64_t now_ms, const result_point *p, const char *last_error) {
  if (!l->options->progress) return;
  fprintf(stderr,
          "htel-fleet: %lld s: %llu of %u connected, %llu connects, %llu frames wait, "
          "%llu readings delivered%s%s\n",
          (long long)(now_ms / 1000), (unsigned long long)p->online, (unsigned)l->count,
          (unsigned long long)p->connects, (unsigned long long)p->backlog_frames,
          (unsigned long long)p->stored, last_error != NULL ? "; " : "",
          last_error != NULL ? last_error : "");
}

/* Closes a point of the series. */
static void point_take(live *l, int64_t now_ms) {
  result_point sum = {0};
  const char *last_error = NULL;
  for (uint32_t i = 0; i < l->count; i++) {
    live_device *d = &l->devices[i];
    live_device_look(d);
    const htel_stats *s = &d->stats;
    bool connected = d->tel != NULL && s->connected;
    sum.online += connected;
    sum.connects += s->connects;
    sum.stored += s->readings_delivered;
    sum.backlog_frames += s->frames_waiting;
    sum.backlog_devices += s->frames_waiting > 0;
    if (!connected && d->state == LIVE_RUNNING && s->last_error != 0)
      last_error = htel_strerror(s->last_error);
  }
  progress(l, now_ms, &sum, last_error);
  result_point point = sum;
  point.connects -= l->before.connects;
  point.stored -= l->before.stored;
  l->before = sum;
  (void)result_point_add(&l->result, &point); /* there is room: result_begin */
  l->point_ms += l->result.step_ms;
}

/* ---- Turns ----------------------------------------------------------------------------------- */

static bool is_stopped(const live *l) {
  return l->options->stop != NULL && *l->options->stop;
}

/* Waits until somebody's turn has come, and gives all of these theirs. False: the system refuses.
 */
static bool round_make(live *l, int64_t end_ms) {
  struct epoll_event events[EVENTS];
  sim_queue *queue = &l->world.queue;
  int64_t now_ms = live_now_ms(&l->world), next_ms = sim_queue_next_ms(queue);
  if (next_ms > l->point_ms) next_ms = l->point_ms;
  if (next_ms > end_ms) next_ms = end_ms;
  int count =
      epoll_wait(l->world.poller, events, EVENTS, next_ms > now_ms ? (int)(next_ms - now_ms) : 0);
  if (count < 0 && errno != EINTR) return fail(l, strerror(errno));
  now_ms = live_now_ms(&l->world);
  for (int i = 0; i < count; i++) {
    l->devices[events[i].data.u32].ready = true;
    sim_queue_sooner(queue, events[i].data.u32, now_ms);
  }
  uint32_t number;
  while (sim_queue_next_ms(queue) <= now_ms && sim_queue_take(queue, &number))
    live_device_turn(&l->devices[number], now_ms);
  if (now_ms >= l->point_ms) point_take(l, now_ms);
  return true;
}

static bool record(live *l) {
  int64_t end_ms = (int64_t)l->options->seconds * 1000;
  uint32_t step_ms = BEGIN_STEP_MS;
  if (l->count * BEGIN_STEP_MS > BEGIN_MS_MAX) step_ms = BEGIN_MS_MAX / l->count;
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  l->world.zero_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
  l->world.utc_of_zero = utc_ms();
  l->point_ms = l->result.step_ms;
  double cpu_before_s = cpu_s();
  for (uint32_t i = 0; i < l->count; i++) sim_queue_set(&l->world.queue, i, (int64_t)i * step_ms);
  while (live_now_ms(&l->world) < end_ms && !is_stopped(l))
    if (!round_make(l, end_ms)) return false;
  l->recorded_ms = live_now_ms(&l->world);
  l->cpu_s = cpu_s() - cpu_before_s;
  return true;
}

static bool all_closed(const live *l) {
  for (uint32_t i = 0; i < l->count; i++)
    if (l->devices[i].state != LIVE_CLOSED) return false;
  return true;
}

/* Where nothing ever came up, the time to deliver need not be waited for. */
static bool was_up(live *l) {
  int32_t last_error = 0;
  for (uint32_t i = 0; i < l->count; i++) {
    live_device_look(&l->devices[i]);
    if (l->devices[i].stats.connects > 0) return true;
    if (l->devices[i].stats.last_error != 0) last_error = l->devices[i].stats.last_error;
    if (l->devices[i].state == LIVE_CLOSED) last_error = l->devices[i].close_result;
  }
  snprintf(l->error, l->error_size, "no device could connect to %s: %s", l->options->broker,
           last_error != 0 ? htel_strerror(last_error) : "there was no time for it");
  return false;
}

static bool deliver(live *l) {
  uint32_t timeout_ms = CLOSE_MS + 2u * l->scenario->spread_ms;
  int64_t now_ms = live_now_ms(&l->world), end_ms = now_ms + timeout_ms + CLOSE_GRACE_MS;
  for (uint32_t i = 0; i < l->count; i++) live_device_finish(&l->devices[i], timeout_ms, now_ms);
  while (!all_closed(l) && live_now_ms(&l->world) < end_ms)
    if (!round_make(l, end_ms)) return false;
  point_take(l, live_now_ms(&l->world));
  return true;
}

/* ---- The verdict ----------------------------------------------------------------------------- */

static device_counts counts_of(const live_device *d) {
  const htel_stats *s = &d->stats;
  return (device_counts){.boots = 1,
                         .readings_accepted = s->readings_accepted,
                         .frames_closed = s->frames_closed,
                         .frames_resent = s->frames_resent,
                         .payload_bytes = s->payload_bytes,
                         .connects = s->connects,
                         .connect_failures = s->connect_failures,
                         .poll_ms_max = s->poll_ms_max,
                         .polls = d->polls,
                         .memory_bytes = sizeof *d + d->memory_size + d->mqtt_config.buffer_size +
                                         oracle_memory_bytes(d->oracle)};
}

static bool judge(live *l) {
  int64_t now_ms = live_now_ms(&l->world);
  for (uint32_t i = 0; i < l->count; i++) {
    live_device *d = &l->devices[i];
    if (d->close_result != 0)
      oracle_blame(d->oracle, VIOLATION_STUCK, now_ms, UINT32_MAX, d->stats.frames_waiting,
                   d->stats.frames_waiting > 0
                       ? "frames were left when the time to deliver was over"
                       : htel_strerror(d->close_result));
    if (l->check != NULL &&
        !live_check_device(l->check, d, &l->result, now_ms, l->error, l->error_size))
      return false;
    device_counts counts = counts_of(d);
    result_machine_add(&l->result, d->number, d->id, d->oracle, &counts);
  }
  l->result.run_ms = now_ms;
  return true;
}

/* ---- What it says ---------------------------------------------------------------------------- */

/* Members of a simulated run's result that say nothing here. */
static const char *const foreign[] = {"hours",
                                      "command",
                                      "digest",
                                      "faults",
                                      "resets",
                                      "power_cuts",
                                      "frames_refused_as_known",
                                      "frames_in_conflict",
                                      "receipts",
                                      "commits",
                                      "flash_programs",
                                      "flash_erases",
                                      "flash_erases_of_a_block_max",
                                      "flash_wear_ratio_max",
                                      "machine"};
/* And those that only a look into the database can tell. */
static const char *const checked[] = {"lost",          "duplicates",       "readings_stored",
                                      "readings_told", "readings_checked", "told_by_cause",
                                      "delays"};

static void sums_say(const live *l, cJSON *out) {
  uint64_t delivered = 0, evicted = 0, published = 0, failures = 0;
  for (uint32_t i = 0; i < l->count; i++) {
    const htel_stats *s = &l->devices[i].stats;
    delivered += s->readings_delivered;
    evicted += s->readings_evicted;
    published += s->frames_published;
    failures += s->disconnects;
  }
  json_add_uint(out, "readings_delivered", delivered);
  json_add_uint(out, "readings_evicted", evicted);
  json_add_uint(out, "frames_published", published);
  json_add_uint(out, "disconnects", failures);
}

static void delays_say(const live *l, cJSON *out) {
  static const struct {
    const char *name;
    unsigned pct;
  } marks[] = {{"p50", 50}, {"p95", 95}, {"p99", 99}, {"max", 100}};
  cJSON *delay = cJSON_AddObjectToObject(out, "delay_ms");
  for (unsigned i = 0; i < sizeof marks / sizeof *marks; i++)
    json_add_int(delay, marks[i].name, live_check_delay_ms(l->check, marks[i].pct));
}

/* Why devices were last without a connection, by how many. */
static void errors_say(const live *l, cJSON *out) {
  cJSON *errors = cJSON_AddObjectToObject(out, "last_errors");
  struct {
    int32_t error;
    uint32_t devices;
  } seen[ERRORS_TOLD_MAX] = {{0, 0}};
  for (uint32_t i = 0; i < l->count; i++) {
    int32_t error = l->devices[i].stats.last_error;
    unsigned at = 0;
    while (at < ERRORS_TOLD_MAX && seen[at].error != 0 && seen[at].error != error) at++;
    if (error == 0 || at == ERRORS_TOLD_MAX) continue;
    seen[at].error = error;
    seen[at].devices++;
  }
  for (unsigned i = 0; i < ERRORS_TOLD_MAX && seen[i].error != 0; i++)
    json_add_uint(errors, htel_errname(seen[i].error), seen[i].devices);
}

static double rounded(double value) {
  return (double)(int64_t)(value * 100.0 + 0.5) / 100.0;
}

static void machine_say(const live *l, cJSON *out) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  cJSON *machine = cJSON_AddObjectToObject(out, "machine");
  cJSON_AddNumberToObject(machine, "recorded_s", rounded((double)l->recorded_ms / 1000.0));
  cJSON_AddNumberToObject(machine, "cpu_s", rounded(l->cpu_s));
  cJSON_AddNumberToObject(machine, "cpu_pct_of_a_core",
                          rounded(100000.0 * l->cpu_s / (double)(l->recorded_ms + 1)));
  json_add_uint(machine, "rss_bytes_max", (uint64_t)use.ru_maxrss * 1024u);
}

static bool say(const live *l, cJSON *out) {
  cJSON *all = result_json(&l->result, l->scenario, l->options->seed, UINT32_MAX);
  if (all == NULL) return false;
  for (unsigned i = 0; i < sizeof foreign / sizeof *foreign; i++)
    cJSON_DeleteItemFromObject(all, foreign[i]);
  for (unsigned i = 0; l->check == NULL && i < sizeof checked / sizeof *checked; i++)
    cJSON_DeleteItemFromObject(all, checked[i]);
  cJSON *series = cJSON_GetObjectItem(all, "series");
  cJSON_DeleteItemFromObject(series, "up_bytes");
  cJSON_DeleteItemFromObject(series, "down_bytes");
  cJSON *each;
  cJSON_ArrayForEach(each, cJSON_GetObjectItem(all, "violation_list"))
      cJSON_DeleteItemFromObject(each, "replay");
  while (all->child != NULL) {
    each = cJSON_DetachItemViaPointer(all, all->child);
    cJSON_AddItemToObject(out, each->string, each);
  }
  cJSON_Delete(all);
  cJSON_AddBoolToObject(out, "live", true);
  cJSON_AddBoolToObject(out, "database_checked", l->check != NULL);
  json_add_uint(out, "seconds", (uint64_t)(l->recorded_ms / 1000));
  sums_say(l, out);
  if (l->check != NULL) delays_say(l, out);
  errors_say(l, out);
  machine_say(l, out);
  return true;
}

/* ---- The whole ------------------------------------------------------------------------------- */

int live_run(const live_options *options, const scenario *s, cJSON *out, char *error,
             size_t error_size) {
  live l = {.options = options,
            .scenario = s,
            .world = {.poller = -1, .posix = {.wake_fd = -1, .lock_fd = -1}},
            .error = error,
            .error_size = error_size};
  bool ran = live_begin(&l) && record(&l) && was_up(&l) && deliver(&l) && judge(&l);
  if (ran && !say(&l, out)) ran = fail(&l, "no memory");
  int rc = !ran ? 2 : l.result.totals.violations == 0 ? 0 : 1;
  live_free(&l);
  return rc;
}

void live_ids_print(FILE *out, const live_options *options) {
  char id[PLAN_ID_BYTES];
  for (uint32_t i = 0; i < options->devices; i++) {
    plan_device_id(id, options->seed, i);
    fprintf(out, "%s\n", id);
  }
}
