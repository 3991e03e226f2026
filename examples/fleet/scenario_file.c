/* SPDX-License-Identifier: Apache-2.0 */
/* scenario_file.c - reads scenario files: sections of `name = value` lines, by inih.
 *
 * One table says which names there are, what they hold and within which bounds. */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"
#include "scenarios.h"

#define FILE_BYTES_MAX 65536u

typedef enum value_type {
  NUMBER,  /* whole, uint32_t */
  SHORT,   /* whole, uint16_t */
  SIGNED,  /* whole, int32_t */
  BYTE,    /* whole, uint8_t */
  TIME,    /* with a unit: ms, s, min, h; uint32_t of ms */
  MOMENT,  /* the same, int64_t */
  SECONDS, /* the same, uint32_t of whole s; bounds are in ms */
  BYTES,   /* with KB or MB, or bytes */
  SWITCH,  /* yes or no */
  RATE,    /* Hz: 250, or 1000/3 */
  WORD,    /* one of a list, see words; uint8_t */
  KIND,    /* the same, htel_kind */
  TEXT,    /* char[], bounded by max */
  FAULTS   /* fault_set */
} value_type;

typedef struct entry {
  const char *section, *name;
  value_type type;
  size_t at;
  int64_t min, max;
  const char *words; /* "zlib fast best": their places are the values */
} entry;

#define IN(member) offsetof(scenario, member)
#define CHANNEL(member) offsetof(scenario_channel, member)
#define EVENT(member) offsetof(scenario_event, member)

static const entry entries[] = {
    {"run", "title", TEXT, IN(title), 0, 95, NULL},
    {"run", "devices", NUMBER, IN(devices), 1, 100000, NULL},
    {"run", "hours", NUMBER, IN(hours), 1, 8784, NULL},
    {"run", "faults", FAULTS, IN(faults), 0, 0, NULL},
    {"run", "cell", NUMBER, IN(cell_devices), 1, 10000, NULL},
    {"device", "coding", WORD, IN(coding), 0, 0, "zlib fast best"},
    {"device", "age", TIME, IN(age_ms_max), 100, 3600000, NULL},
    {"device", "frame-bytes", SHORT, IN(bytes_max), 512, 61440, NULL},
    {"device", "ring-bytes", BYTES, IN(ring_bytes), 256, 1048576, NULL},
    {"device", "outbox-bytes", BYTES, IN(outbox_bytes), 1024, 16777216, NULL},
    {"device", "persist-frames", BYTE, IN(persist_frames), 1, 32, NULL},
    {"device", "flash", SWITCH, IN(flash), 0, 0, NULL},
    {"device", "flash-block-bytes", BYTES, IN(flash_block_bytes), 4096, 65536, NULL},
    {"device", "flash-blocks", NUMBER, IN(flash_block_count), 4, 4096, NULL},
    {"device", "flash-program-bytes", NUMBER, IN(flash_program_bytes), 1, 16, NULL},
    {"device", "keep-alive", SECONDS, IN(keep_alive_s), 5000, 3600000, NULL},
    {"device", "spread", TIME, IN(spread_ms), 100, 3600000, NULL},
    {"device", "window-bytes", BYTES, IN(window_bytes), 256, 16384, NULL},
    {"device", "sleep-every", TIME, IN(sleep_every_ms), 0, 86400000, NULL},
    {"device", "memory-bytes", BYTES, IN(memory_bytes_max), 4096, 67108864, NULL},
    {"network", "latency", TIME, IN(latency_ms), 0, 60000, NULL},
    {"network", "jitter", TIME, IN(jitter_ms), 0, 60000, NULL},
    {"network", "up-bytes-per-s", BYTES, IN(up_bytes_per_s), 0, 1000000000, NULL},
    {"network", "down-bytes-per-s", BYTES, IN(down_bytes_per_s), 0, 1000000000, NULL},
    {"server", "commit", TIME, IN(commit_ms), 1, 60000, NULL},
    {"server", "broker-forgets", SWITCH, IN(broker_forgets), 0, 0, NULL},
    {"channel", "kind", KIND, CHANNEL(kind), 0, 0, "numeric waveform alarm"},
    {"channel", "code", NUMBER, CHANNEL(code), 1, UINT32_MAX, NULL},
    {"channel", "period", TIME, CHANNEL(period_ms), 10, 86400000, NULL},
    {"channel", "rate", RATE, CHANNEL(rate), 0, 0, NULL},
    {"channel", "burst", TIME, CHANNEL(burst_ms), 1, 86400000, NULL},
    {"channel", "burst-every", TIME, CHANNEL(burst_every_ms), 1, 86400000, NULL},
    {"channel", "alarms-per-day", NUMBER, CHANNEL(alarms_per_day), 0, 10000, NULL},
    {"channel", "low", SIGNED, CHANNEL(low), INT32_MIN / 2, INT32_MAX / 2, NULL},
    {"channel", "high", SIGNED, CHANNEL(high), INT32_MIN / 2, INT32_MAX / 2, NULL},
    {"channel", "ring", BYTE, CHANNEL(ring), 0, 7, NULL},
    {"event", "at", MOMENT, EVENT(at_ms), 0, 31622400000, NULL},
    {"event", "for", TIME, EVENT(for_ms), 0, 86400000, NULL},
    {"event", "share", BYTE, EVENT(share_pct), 1, 100, NULL},
};

#define ENTRIES (sizeof entries / sizeof *entries)

typedef struct reading {
  scenario *s;
  const char *text;  /* what is left of it, */
  int line;          /* and where that is */
  bool own_channels; /* the file has channels of its own */
  char section[64];
  bool seen[ENTRIES], seen_rates[FAULT_KINDS]; /* in this section */
  int error_line;
  char error[240];
} reading;

static int wrong(reading *r, const char *name, const char *why) {
  snprintf(r->error, sizeof r->error, "'%.40s': %s", name, why);
  r->error_line = r->line;
  return 0;
}

/* A number with one of the units behind it; multiplied. */
typedef struct unit {
  const char *name;
  int64_t factor;
} unit;

static const unit no_units[] = {{"", 1}, {NULL, 0}};
static const unit byte_units[] = {{"", 1}, {"B", 1}, {"KB", 1024}, {"MB", 1048576}, {NULL, 0}};
static const unit time_units[] = {
    {"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {NULL, 0}};

static bool number_read(const char *text, const unit *units, int64_t *out) {
  char *end;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (errno != 0 || end == text || isspace((unsigned char)*text)) return false;
  while (*end == ' ') end++;
  if (value == 0 && *end == '\0') {
    *out = 0;
    return true;
  }
  for (; units->name != NULL; units++) {
    if (strcmp(end, units->name) != 0) continue;
    if (value > INT64_MAX / 4000000 || value < INT64_MIN / 4000000) return false;
    *out = value * units->factor;
    return true;
  }
  return false;
}

static int number_store(reading *r, const entry *e, char *to, const char *value) {
  bool is_time = e->type == TIME || e->type == MOMENT || e->type == SECONDS;
  const unit *units = is_time ? time_units : e->type == BYTES ? byte_units : no_units;
  int64_t n;
  char why[96];
  if (!number_read(value, units, &n))
    return wrong(r, e->name,
                 is_time            ? "a time with its unit is wanted: 500 ms, 30 s, 5 min, 2 h"
                 : e->type == BYTES ? "a number of bytes is wanted: 4096, 4 KB, 1 MB"
                                    : "a whole number is wanted");
  if (n < e->min || n > e->max) {
    snprintf(why, sizeof why, "must be %lld to %lld%s", (long long)e->min, (long long)e->max,
             is_time ? " ms" : "");
    return wrong(r, e->name, why);
  }
  if (e->type == SECONDS && n % 1000 != 0) return wrong(r, e->name, "must be whole seconds");
  if (e->type == SECONDS) n /= 1000;
  uint32_t u32 = (uint32_t)n;
  uint16_t u16 = (uint16_t)n;
  uint8_t u8 = (uint8_t)n;
  int32_t i32 = (int32_t)n;
  switch (e->type) {
    case MOMENT: memcpy(to, &n, sizeof n); break;
    case SIGNED: memcpy(to, &i32, sizeof i32); break;
    case SHORT: memcpy(to, &u16, sizeof u16); break;
    case BYTE: memcpy(to, &u8, sizeof u8); break;
    default: memcpy(to, &u32, sizeof u32); break;
  }
  return 1;
}

static int rate_store(reading *r, const entry *e, char *to, const char *value) {
  int64_t num, den = 1;
  char copy[32];
  bool fits = (size_t)snprintf(copy, sizeof copy, "%s", value) < sizeof copy;
  char *slash = strchr(copy, '/');
  if (slash != NULL) *slash++ = '\0';
  bool ok = fits && number_read(copy, no_units, &num) &&
            (slash == NULL || number_read(slash, no_units, &den));
  if (!ok || num < 1 || num > 1000000 || den < 1 || den > 1000000)
    return wrong(r, e->name, "samples a second are wanted: 250, or 1000/3");
  htel_rate rate = {(uint32_t)num, (uint32_t)den};
  memcpy(to, &rate, sizeof rate);
  return 1;
}

static int word_store(reading *r, const entry *e, char *to, const char *value) {
  uint32_t n = 0;
  for (const char *at = e->words; *at != '\0'; n++) {
    size_t size = strcspn(at, " ");
    if (strlen(value) == size && memcmp(at, value, size) == 0) {
      uint8_t u8 = (uint8_t)n;
      htel_kind kind = (htel_kind)n;
      if (e->type == WORD) memcpy(to, &u8, sizeof u8);
      if (e->type == KIND) memcpy(to, &kind, sizeof kind);
      return 1;
    }
    at += size;
    while (*at == ' ') at++;
  }
  char why[96];
  snprintf(why, sizeof why, "must be one of: %s", e->words);
  return wrong(r, e->name, why);
}

static int store(reading *r, const entry *e, void *base, const char *value) {
  char *to = (char *)base + e->at;
  if (e->type == RATE) return rate_store(r, e, to, value);
  if (e->type == WORD || e->type == KIND) return word_store(r, e, to, value);
  if (e->type == FAULTS) {
    char why[120];
    fault_set set;
    if (!fault_set_parse(&set, value, why, sizeof why)) return wrong(r, e->name, why);
    memcpy(to, &set, sizeof set);
    return 1;
  }
  if (e->type == TEXT) {
    if (strlen(value) > (size_t)e->max) return wrong(r, e->name, "too long");
    memcpy(to, value, strlen(value) + 1u);
    return 1;
  }
  if (e->type == SWITCH) {
    bool yes = strcmp(value, "yes") == 0;
    if (!yes && strcmp(value, "no") != 0) return wrong(r, e->name, "must be yes or no");
    memcpy(to, &yes, sizeof yes);
    return 1;
  }
  return number_store(r, e, to, value);
}

/* ---- Sections -------------------------------------------------------------------------------- */

static scenario_channel *channel_begin(reading *r, const char *name) {
  scenario *s = r->s;
  if (!r->own_channels) s->channel_count = 0; /* instead of the standard ones */
  r->own_channels = true;
  if (s->channel_count == SCENARIO_CHANNELS_MAX || strlen(name) > HTEL_NAME_CHARS_MAX) return NULL;
  for (uint32_t i = 0; i < s->channel_count; i++)
    if (strcmp(s->channels[i].name, name) == 0) return NULL;
  scenario_channel *ch = &s->channels[s->channel_count++];
  *ch = (scenario_channel){.code = HTEL_MDC_PRIVATE(0xF000), .low = 0, .high = 100};
  memcpy(ch->name, name, strlen(name) + 1u);
  return ch;
}

static scenario_event *event_begin(reading *r, const char *name) {
  scenario *s = r->s;
  if (s->event_count == SCENARIO_EVENTS_MAX) return NULL;
  size_t size = strcspn(name, " "); /* "storm", or "storm 2" */
  for (unsigned k = 0; k < FAULT_KINDS; k++) {
    const char *fault = fault_name((fault_kind)k);
    if (strlen(fault) != size || memcmp(fault, name, size) != 0) continue;
    scenario_event *e = &s->events[s->event_count++];
    *e = (scenario_event){.kind = (fault_kind)k, .share_pct = 100};
    return e;
  }
  return NULL;
}

/* Where the values of a section go; NULL: there is no such section, or no room for it. */
static void *section_base(reading *r, const char *section, bool begins, const char **kind) {
  scenario *s = r->s;
  if (strncmp(section, "channel ", 8) == 0) {
    *kind = "channel";
    return begins ? channel_begin(r, section + 8) : &s->channels[s->channel_count - 1u];
  }
  if (strncmp(section, "event ", 6) == 0) {
    *kind = "event";
    return begins ? event_begin(r, section + 6) : &s->events[s->event_count - 1u];
  }
  *kind = section;
  return s;
}

static const char twice[] =
    "given twice in this section (events of one fault need names of their "
    "own: \"storm 1\", \"storm 2\"; or is the line after it indented?)";

static int rate_of_fault(reading *r, const char *name, const char *value) {
  char *end;
  errno = 0;
  double rate = strtod(value, &end);
  bool sane = rate == 0.0 || (rate >= SCENARIO_RATE_MIN && rate <= SCENARIO_RATE_MAX);
  if (errno != 0 || end == value || *end != '\0' || !sane)
    return wrong(r, name, "times a day are wanted: 0, or 0.001 to 10000");
  for (unsigned k = 0; k < FAULT_KINDS; k++) {
    if (strcmp(fault_name((fault_kind)k), name) != 0) continue;
    if (r->seen_rates[k]) return wrong(r, name, twice);
    r->seen_rates[k] = true;
    r->s->per_day[k] = rate;
    return 1;
  }
  return wrong(r, name, "there is no such fault: --list-faults has them all");
}

static int on_line(void *user, const char *section, const char *name, const char *value) {
  reading *r = user;
  if (r->error[0] != '\0') return 0;
  bool begins = strcmp(section, r->section) != 0;
  if (begins) memset(r->seen, 0, sizeof r->seen);
  snprintf(r->section, sizeof r->section, "%s", section);
  if (strcmp(section, "rates") == 0) return rate_of_fault(r, name, value);
  const char *kind;
  void *base = section_base(r, section, begins, &kind);
  if (base == NULL)
    return wrong(r, section,
                 "no such fault, a channel twice, a name over 31 characters, or too many of them");
  bool known = false;
  for (size_t i = 0; i < ENTRIES; i++) {
    if (strcmp(entries[i].section, kind) != 0) continue;
    known = true;
    if (strcmp(entries[i].name, name) != 0) continue;
    if (r->seen[i]) return wrong(r, name, twice);
    r->seen[i] = true;
    return store(r, &entries[i], base, value);
  }
  if (known) return wrong(r, name, "there is no such line in this section (docs/FLEET.md)");
  return wrong(r, section,
               "sections are run, device, channel NAME, network, server, rates, event FAULT");
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* The next line, for inih. One that it would cut in two ends the reading. */
static char *line_next(char *to, int room, void *user) {
  reading *r = user;
  if (*r->text == '\0') return NULL;
  r->line++;
  size_t size = strcspn(r->text, "\n");
  if (size + 2u > (size_t)room) {
    if (r->error[0] == '\0') wrong(r, "line", "too long: 190 characters at most");
    return NULL;
  }
  if (r->text[size] == '\n') size++;
  memcpy(to, r->text, size);
  to[size] = '\0';
  r->text += size;
  return to;
}

/* An event that can never come is a mistake in the file; options may well leave some out. */
static const char *events_wrong(const scenario *s) {
  for (uint32_t i = 0; i < s->event_count; i++) {
    const scenario_event *e = &s->events[i];
    if (e->at_ms >= (int64_t)s->hours * 3600000)
      return "an event comes after the end of the run: give more hours";
    if ((s->faults >> e->kind & 1u) == 0) return "an event is of a fault that `faults` leaves out";
  }
  return NULL;
}

static bool text_read(scenario *s, const char *name, const char *text, char *error,
                      size_t error_size) {
  reading r = {.s = s, .text = text};
  int line = ini_parse_stream(line_next, &r, on_line, &r);
  if (line == 0) line = r.error_line; /* a line too long */
  if (line != 0) {
    snprintf(error, error_size, "%s, line %d: %s", name, line < 0 ? 0 : line,
             line == r.error_line ? r.error : "not a [section], `name = value` or ; comment");
    return false;
  }
  char why[200];
  const char *event = events_wrong(s);
  if (event == NULL && scenario_check(s, why, sizeof why)) return true;
  snprintf(error, error_size, "%s: %s", name, event != NULL ? event : why);
  return false;
}

const char *scenario_builtin_name(unsigned i) {
  return i < scenarios_count ? scenarios[i].name : NULL;
}

const char *scenario_builtin_text(unsigned i) {
  return i < scenarios_count ? scenarios[i].text : NULL;
}

/* The title line of the file. */
void scenario_builtin_title(unsigned i, char *title, size_t size) {
  scenario s;
  char error[256];
  scenario_standard(&s);
  title[0] = '\0';
  if (i < scenarios_count && text_read(&s, "", scenarios[i].text, error, sizeof error))
    snprintf(title, size, "%s", s.title);
}

static char *file_read(const char *path, char *error, size_t error_size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    snprintf(error, error_size, "%s: %s (--list-scenarios names those built in)", path,
             strerror(errno));
    return NULL;
  }
  char *text = malloc(FILE_BYTES_MAX + 1u);
  size_t size = text == NULL ? 0 : fread(text, 1, FILE_BYTES_MAX + 1u, file);
  bool bad = text == NULL || ferror(file) || size > FILE_BYTES_MAX || memchr(text, 0, size) != NULL;
  fclose(file);
  if (bad) {
    snprintf(error, error_size, "%s: cannot be read, is over 64 KiB, or is not text", path);
    free(text);
    return NULL;
  }
  text[size] = '\0';
  return text;
}

bool scenario_load(scenario *s, const char *name, char *error, size_t error_size) {
  scenario_standard(s);
  for (unsigned i = 0; i < scenarios_count; i++) {
    if (strcmp(scenarios[i].name, name) != 0) continue;
    snprintf(s->name, sizeof s->name, "%s", name);
    return text_read(s, name, scenarios[i].text, error, error_size);
  }
  if (strlen(name) >= sizeof s->file) {
    snprintf(error, error_size, "scenario: a path of %u characters at most",
             (unsigned)sizeof s->file - 1u);
    return false;
  }
  char *text = file_read(name, error, error_size);
  if (text == NULL) return false;
  snprintf(s->file, sizeof s->file, "%s", name);
  const char *base = strrchr(name, '/');
  snprintf(s->name, sizeof s->name, "%.31s", base != NULL ? base + 1 : name);
  s->title[0] = '\0';
  bool ok = text_read(s, name, text, error, error_size);
  free(text);
  return ok;
}
