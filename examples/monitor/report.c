/* SPDX-License-Identifier: Apache-2.0 */
/* Counts, states and error words; never a reading's value. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/json.h"
#include "monitor.h"

static void recorded_sum(const monitor *m, uint64_t *recorded, uint64_t *refused) {
  *recorded = *refused = 0;
  for (unsigned i = 0; i < m->player_count; i++) {
    *recorded += m->players[i].recorded;
    *refused += m->players[i].refused;
  }
}

/* Columns that a line may take on the terminal; a longer one would wrap and stay. */
static int terminal_columns(void) {
  struct winsize size;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return 79;
  return size.ws_col - 1;
}

void report_progress(monitor *m) {
  uint64_t now_ms = monitor_clock_ms();
  bool terminal = isatty(STDERR_FILENO) == 1;
  if (m->options.quiet || !(terminal || m->options.progress) || now_ms - m->told_ms < 1000) return;
  m->told_ms = now_ms;
  const htel_stats *s = &m->stats;
  /* What happened, without the advice behind the colon: that comes at the end, where it is needed.
   */
  const char *why = s->last_error ? htel_strerror(s->last_error) : "connecting";
  char line[256];
  snprintf(line, sizeof line,
           "%4" PRIu64 " s  recorded %" PRIu64 "  delivered %" PRIu64 "  lost %" PRIu64
           "  waiting %u frames  %.*s",
           (now_ms - m->begun_ms) / 1000, s->readings_accepted, s->readings_delivered,
           s->readings_refused + s->readings_evicted, s->frames_waiting,
           s->connected ? 9 : (int)strcspn(why, ":"), s->connected ? "connected" : why);
  if (terminal)
    fprintf(stderr, "\r\033[K%.*s", terminal_columns(), line);
  else
    fprintf(stderr, "%s\n", line);
  fflush(stderr);
}

static void recordings_add(const monitor *m, cJSON *json) {
  cJSON *list = cJSON_AddArrayToObject(json, "recordings");
  for (unsigned i = 0; i < m->track_count; i++) {
    const track *t = &m->tracks[i];
    if (!t->recording) continue;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "file", t->label);
    cJSON *channels = cJSON_AddArrayToObject(item, "channels");
    for (uint16_t c = 0; c < t->channel_count; c++) {
      cJSON *channel = cJSON_CreateObject();
      cJSON_AddNumberToObject(channel, "channel", t->channel_first + c);
      cJSON_AddStringToObject(channel, "name", t->channels[c].name);
      cJSON_AddItemToArray(channels, channel);
    }
    json_add_uint(item, "first_tick", m->tick0 + t->start_ms);
    if (m->utc_known)
      json_add_int(item, "first_utc_ms", m->utc0_ms + (int64_t)t->start_ms);
    else
      cJSON_AddNullToObject(item, "first_utc_ms");
    json_add_uint(item, "rows", t->rows_played);
    json_add_uint(item, "repeat", m->options.repeat);
    cJSON_AddItemToArray(list, item);
  }
}

static cJSON *summary_make(const monitor *m, bool complete) {
  const htel_stats *s = &m->stats;
  uint64_t recorded, refused;
  recorded_sum(m, &recorded, &refused);
  cJSON *json = cJSON_CreateObject();
  cJSON_AddStringToObject(json, "device", m->options.device);
  json_add_uint(json, "boot", s->boot);
  recordings_add(m, json);
  json_add_uint(json, "recorded", recorded);
  json_add_uint(json, "refused", refused);
  json_add_uint(json, "evicted", s->readings_evicted);
  json_add_uint(json, "delivered", s->readings_delivered);
  json_add_uint(json, "payload_bytes", s->payload_bytes);
  json_add_uint(json, "frames", s->frames_closed);
  json_add_uint(json, "frames_resent", s->frames_resent);
  json_add_uint(json, "frames_quarantined", s->frames_quarantined);
  json_add_uint(json, "frames_waiting", s->frames_waiting);
  json_add_uint(json, "connects", s->connects);
  json_add_uint(json, "connect_failures", s->connect_failures);
  json_add_uint(json, "disconnects", s->disconnects);
  json_add_uint(json, "outbox_bytes_max", s->outbox_bytes_max);
  json_add_uint(json, "poll_ms_max", s->poll_ms_max);
  cJSON_AddStringToObject(json, "last_error", s->last_error ? htel_errname(s->last_error) : "");
  cJSON_AddBoolToObject(json, "complete", complete);
  return json;
}

static void say(const monitor *m, bool complete) {
  const htel_stats *s = &m->stats;
  uint64_t recorded, refused;
  recorded_sum(m, &recorded, &refused);
  if (!complete) {
    uint64_t gone = s->readings_delivered + s->readings_evicted;
    fprintf(stderr, "htel-monitor: %" PRIu64 " readings in %u frames remain undelivered%s%s\n",
            s->readings_accepted > gone ? s->readings_accepted - gone : 0, s->frames_waiting,
            s->last_error ? ": " : "", s->last_error ? htel_strerror(s->last_error) : "");
  }
  if (m->options.quiet || m->options.json) return;
  printf("htel-monitor: %" PRIu64 " readings recorded, %" PRIu64 " delivered, %" PRIu64
         " lost (ring full %" PRIu64 ", outbox full %" PRIu64 "); %" PRIu64
         " bytes in %u frames, %.3f bytes a reading; %u connections\n",
         recorded, s->readings_delivered, refused + s->readings_evicted, refused,
         s->readings_evicted, s->payload_bytes, s->frames_closed,
         recorded ? (double)s->payload_bytes / (double)recorded : 0.0, s->connects);
}

int report_end(monitor *m, int close_result) {
  bool complete = close_result == 0;
  if (isatty(STDERR_FILENO) == 1 && !m->options.quiet) fprintf(stderr, "\r\033[K");
  say(m, complete);
  int rc = 0;
  cJSON *json = summary_make(m, complete);
  if (m->options.json) {
    char *text = cJSON_PrintUnformatted(json);
    if (text) puts(text);
    cJSON_free(text);
  }
  char error[512];
  if (m->options.summary && json_store(json, m->options.summary, error, sizeof error) != 0) {
    fprintf(stderr, "htel-monitor: %s\n", error);
    rc = -1;
  }
  cJSON_Delete(json);
  return rc;
}
