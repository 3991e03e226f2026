/* SPDX-License-Identifier: Apache-2.0 */
/* --text and --jsonl: frame by frame. Names come from outside: what is no plain text in them is not
 * printed as it is. */
#include "print.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define TEXT_VALUES 8u /* of a block of samples */

static const char *const class_names[] = {"alarm", "numeric", "waveform"};
static const char *const kind_names[] = {"numeric", "waveform", "alarm"};
static const char *const cause_names[] = {"unspecified", "ring_full", "outbox_full",
                                          "unclean_stop"};
static const char *const state_names[] = {"inactive", "active", "acknowledged", "paused"};
static const char *const priority_names[] = {"none", "low", "medium", "high"};
static const char *const quality_names[] = {"valid",    "sensor_off", "artefact",   "estimated",
                                            "no_value", "reserved_5", "reserved_6", "reserved_7"};

#define NAME(names, number) name_of(names, sizeof(names) / sizeof(names)[0], number)

static const char *name_of(const char *const *names, size_t count, unsigned number) {
  return number < count ? names[number] : "unknown";
}

const char *print_quality(uint8_t quality) {
  return NAME(quality_names, quality);
}

const char *print_name(const htel_birth *birth, unsigned channel, char *room) {
  const htel_birth_channel *c = &birth->channels[channel];
  if (c->name[0] == '\0')
    snprintf(room, PRINT_NAME_BYTES, "code_%" PRIu32 "_%u", c->code, (unsigned)c->index);
  else
    snprintf(room, PRINT_NAME_BYTES, "%s", c->name);
  for (char *p = room; *p != '\0'; p++)
    if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f) *p = '?';
  return room;
}

bool print_wanted(const print_options *o, const htel_birth *birth, uint8_t channel) {
  char room[PRINT_NAME_BYTES];
  if (channel >= birth->channel_count) return false;
  if (o->channel_count == 0) return true;
  print_name(birth, channel, room);
  for (unsigned i = 0; i < o->channel_count; i++)
    if (strcmp(o->channels[i], room) == 0) return true;
  return false;
}

uint64_t print_sample_tick(const readings_run *run, const htel_birth *birth, unsigned i) {
  const htel_rate *rate = &birth->channels[run->channel].rate;
  uint64_t num = rate->num == 0 ? 1 : rate->num;
  return run->tick + (run->phase + (uint64_t)i * 1000u * rate->den) / num;
}

/* ---- Text ------------------------------------------------------------------------------ */

static void text_time(const input_decoded *d, uint64_t tick) {
  printf("tick %" PRIu64, tick);
  if (!d->placed) return;
  int64_t ms = (int64_t)tick + d->offset_ms;
  int64_t seconds = ms / 1000 - (ms % 1000 < 0);
  time_t t = (time_t)seconds;
  struct tm utc;
  char text[40];
  if (gmtime_r(&t, &utc) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
    return;
  printf(" = %s.%03dZ", text, (int)(ms - seconds * 1000));
}

static void text_anchors(const htel_frame *frame) {
  for (unsigned i = 0; i < frame->anchor_count; i++)
    printf("  anchor: tick %" PRIu64 " is UTC %" PRId64 " ms, +-%" PRIu32 " ms\n",
           frame->anchors[i].tick, frame->anchors[i].utc_ms, frame->anchors[i].uncertainty_ms);
}

static void text_losses(const input_decoded *d) {
  char room[PRINT_NAME_BYTES];
  for (unsigned i = 0; i < d->frame->loss_count; i++) {
    const htel_loss *l = &d->frame->losses[i];
    printf("  lost: %s, boot %" PRIu64, NAME(cause_names, l->cause), l->boot);
    if (l->cause == HTEL_CAUSE_RING_FULL && l->channel < d->birth->channel_count)
      printf(", channel %s", print_name(d->birth, l->channel, room));
    if (l->cause == HTEL_CAUSE_OUTBOX_FULL)
      printf(", %" PRIu32 " %s frames of sequence %" PRIu32 " to %" PRIu32, l->frames,
             NAME(class_names, l->frame_class), l->sequence_first, l->sequence_last);
    printf(", ticks %" PRIu64 " to %" PRIu64 ", %s%" PRIu64 " readings\n", l->tick_first,
           l->tick_last, l->at_most ? "at most " : "", l->readings);
  }
}

static void text_wave(const input_decoded *d, const readings_run *run) {
  printf(", %u samples from ", (unsigned)run->count);
  text_time(d, run->tick);
  printf(":");
  for (unsigned i = 0; i < run->count && i < TEXT_VALUES; i++)
    printf(" %" PRId32, d->readings.samples[run->at + i]);
  puts(run->count > TEXT_VALUES ? " ..." : "");
  const uint8_t *quality = d->readings.sample_quality + run->at;
  for (unsigned first = 0, end; !run->valid && first < run->count; first = end) {
    for (end = first; end < run->count && quality[end] == quality[first];) end++;
    printf("    samples %u to %u: %s\n", first, end - 1, print_quality(quality[first]));
  }
}

static void text_event(const input_decoded *d, const readings_run *run, unsigned i) {
  const readings_event *e = &d->readings.events[run->at + i];
  char room[PRINT_NAME_BYTES];
  printf("    ");
  text_time(d, e->tick);
  if (run->kind == HTEL_NUMERIC) {
    printf(": %" PRId32 "%s%s\n", e->value, e->quality == HTEL_VALID ? "" : ", ",
           e->quality == HTEL_VALID ? "" : print_quality(e->quality));
    return;
  }
  printf(": code %" PRIu32 " %s, priority %s%s", e->alarm.code, NAME(state_names, e->alarm.state),
         NAME(priority_names, e->alarm.priority), e->alarm.latched ? ", latched" : "");
  if (e->alarm.source < d->birth->channel_count)
    printf(", concerns %s", print_name(d->birth, e->alarm.source, room));
  putchar('\n');
}

void print_text(const input_decoded *d, const print_options *o) {
  const htel_frame *f = d->frame;
  printf("frame %s/%" PRIu64 "/%" PRIu32 " %s, ", d->device, f->boot, f->sequence,
         NAME(class_names, f->frame_class));
  text_time(d, f->tick);
  printf(", session %" PRIu64 ", schema %08" PRIx32 ", %s, %zu bytes\n", f->session, f->schema,
         f->coding == 0 ? "stored" : "deflated", d->size);
  text_anchors(f);
  text_losses(d);
  char room[PRINT_NAME_BYTES];
  for (size_t k = 0; k < d->readings.run_count; k++) {
    const readings_run *run = &d->readings.runs[k];
    if (!print_wanted(o, d->birth, run->channel)) continue;
    printf("  %s %s", NAME(kind_names, run->kind), print_name(d->birth, run->channel, room));
    if (run->kind == HTEL_WAVEFORM) {
      text_wave(d, run);
      continue;
    }
    printf(", %u %s\n", (unsigned)run->count, run->kind == HTEL_ALARM ? "events" : "readings");
    for (unsigned i = 0; i < run->count; i++) text_event(d, run, i);
  }
}

/* ---- JSON lines ------------------------------------------------------------------------ */

/* print_name leaves plain ASCII, so quotes and backslashes are all there is to escape. */
static void json_string(const char *text) {
  putchar('"');
  for (; *text != '\0'; text++) {
    if (*text == '"' || *text == '\\') putchar('\\');
    putchar(*text);
  }
  putchar('"');
}

static void json_head(const input_decoded *d, const readings_run *run, uint64_t tick) {
  char room[PRINT_NAME_BYTES];
  printf("{\"device\":\"%s\",\"boot\":%" PRIu64 ",\"sequence\":%" PRIu32 ",\"session\":%" PRIu64
         ",\"kind\":\"%s\",\"channel\":",
         d->device, d->frame->boot, d->frame->sequence, d->frame->session,
         NAME(kind_names, run->kind));
  json_string(print_name(d->birth, run->channel, room));
  printf(",\"tick\":%" PRIu64, tick);
  if (d->placed) printf(",\"utc_ms\":%" PRId64, (int64_t)tick + d->offset_ms);
}

static void json_wave(const input_decoded *d, const readings_run *run) {
  const htel_birth_channel *c = &d->birth->channels[run->channel];
  json_head(d, run, run->tick);
  printf(",\"phase\":%" PRIu32 ",\"rate\":[%" PRIu32 ",%" PRIu32 "],\"samples\":[", run->phase,
         c->rate.num, c->rate.den);
  for (unsigned i = 0; i < run->count; i++)
    printf("%s%" PRId32, i == 0 ? "" : ",", d->readings.samples[run->at + i]);
  printf("]");
  for (unsigned i = 0; !run->valid && i < run->count; i++)
    printf("%s%u", i == 0 ? ",\"quality\":[" : ",",
           (unsigned)d->readings.sample_quality[run->at + i]);
  puts(run->valid ? "}" : "]}");
}

static void json_event(const input_decoded *d, const readings_run *run, unsigned i) {
  const readings_event *e = &d->readings.events[run->at + i];
  char room[PRINT_NAME_BYTES];
  json_head(d, run, e->tick);
  if (run->kind == HTEL_NUMERIC) {
    printf(",\"value\":%" PRId32 ",\"quality\":%u}\n", e->value, (unsigned)e->quality);
    return;
  }
  printf(",\"code\":%" PRIu32 ",\"state\":\"%s\",\"priority\":\"%s\",\"latched\":%s", e->alarm.code,
         NAME(state_names, e->alarm.state), NAME(priority_names, e->alarm.priority),
         e->alarm.latched ? "true" : "false");
  if (e->alarm.source < d->birth->channel_count) {
    printf(",\"source\":");
    json_string(print_name(d->birth, e->alarm.source, room));
  }
  puts("}");
}

void print_jsonl(const input_decoded *d, const print_options *o) {
  for (size_t k = 0; k < d->readings.run_count; k++) {
    const readings_run *run = &d->readings.runs[k];
    if (!print_wanted(o, d->birth, run->channel)) continue;
    if (run->kind == HTEL_WAVEFORM) {
      json_wave(d, run);
      continue;
    }
    for (unsigned i = 0; i < run->count; i++) json_event(d, run, i);
  }
}
