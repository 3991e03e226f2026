/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* codec.c - htel-bench codec: see codec.h.
 *
 *     htel-bench codec FILE.csv...               tables
 *     htel-bench codec --json FILE.csv...        an object a file, one a line; the last is "all"
 *     htel-bench codec --markdown FILE.csv...    the tables of docs/SIZES.md
 *     htel-bench codec --svg FILE FILE.csv...    writes the plot, too
 *
 * Exit status 1 when a reading came back other than it went in. */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codec.h"

#define FRAME_S 10u
#define FRAME_S_MAX 3600u
#define TIMED_NS_MIN 50000000
#define FILES_MAX 1000u

typedef struct options {
  bool json, markdown, counted;
  uint32_t frame_s;
  const char *svg;
  char **files;
  size_t file_count;
} options;

enum { OPTION_COUNTED = 256, OPTION_SVG };

static const struct argp_option option_table[] = {
    {"json", 'j', 0, 0, "Print JSON, an object a line", 0},
    {"markdown", 'm', 0, 0, "Print tables in Markdown", 0},
    {"frame-s", 'f', "N", 0, "Frames of N seconds (slower than 1 Hz: N rows), 10 by default", 0},
    {"svg", OPTION_SVG, "FILE", 0, "Write a plot as well", 0},
    {"counted", OPTION_COUNTED, 0, OPTION_HIDDEN, "The run under callgrind", 0},
    {0},
};

static uint32_t frame_s_parse(const char *text, struct argp_state *state) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (errno != 0 || *end != 0 || *text < '0' || *text > '9' || value < 1 || value > FRAME_S_MAX)
    argp_error(state, "--frame-s must be a whole number of 1 to %u, not '%s'", FRAME_S_MAX, text);
  return (uint32_t)value;
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
  options *o = state->input;
  switch (key) {
    case 'j': o->json = true; return 0;
    case 'm': o->markdown = true; return 0;
    case 'f': o->frame_s = frame_s_parse(arg, state); return 0;
    case OPTION_SVG: o->svg = arg; return 0;
    case OPTION_COUNTED: o->counted = true; return 0;
    case ARGP_KEY_ARGS:
      o->files = state->argv + state->next;
      o->file_count = (size_t)(state->argc - state->next);
      return 0;
    case ARGP_KEY_END:
      if (o->file_count == 0) argp_error(state, "which recordings? htel-bench codec FILE.csv...");
      if (o->file_count > FILES_MAX) argp_error(state, "at most %u recordings", FILES_MAX);
      if (o->json && o->markdown) argp_error(state, "--json or --markdown, not both");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "FILE.csv...",
    .doc =
        "Bytes a reading of recordings (a CSV with a JSON beside it), by level, beside other "
        "encoders over the same frames; instructions, speed, RAM. Everything is decoded again "
        "and compared: exit status 1 when a reading differs."};

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* as bench.c */
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- One level of one recording -------------------------------------------------------------- */

/* Plays it, again and again for a while. Readings a second, or -1. */
static double time_encode(const codec_input *in, unsigned level, uint32_t frame_s,
                          codec_stream *s) {
  int64_t spent_ns = 0;
  uint64_t readings = 0;
  while (spent_ns < TIMED_NS_MIN) {
    codec_device *device = codec_device_open(in, level, frame_s, s);
    if (!device) return -1;
    int64_t start = now_ns();
    int rc = codec_device_play(device);
    spent_ns += now_ns() - start;
    codec_device_free(device);
    if (rc != 0) return -1;
    readings += codec_readings(in);
  }
  return (double)readings * 1e9 / (double)spent_ns;
}

static double time_decode(codec_decoder *d, const codec_stream *s) {
  int64_t spent_ns = 0;
  uint64_t readings = 0;
  while (spent_ns < TIMED_NS_MIN) {
    int64_t start = now_ns();
    uint64_t now = codec_decode(d, s);
    spent_ns += now_ns() - start;
    readings += now;
    if (now == 0) break; /* unreadable: that has been told */
  }
  return (double)readings * 1e9 / (double)spent_ns;
}

static int play_stacked(void *ctx) {
  return codec_device_play(ctx);
}

typedef struct decoding {
  codec_decoder *d;
  const codec_stream *s;
} decoding;

static int decode_stacked(void *ctx) {
  const decoding *of = ctx;
  return codec_decode(of->d, of->s) > 0 ? 0 : -1;
}

static int stack_measure(const codec_input *in, unsigned level, uint32_t frame_s, codec_stream *s,
                         codec_decoder *d, codec_ram *ram) {
  codec_device *device = codec_device_open(in, level, frame_s, s);
  if (!device) return -1;
  ram->stack[level] = codec_stack_bytes(play_stacked, device);
  codec_device_free(device);
  decoding of = {d, s};
  ram->stack_decode[level] = codec_stack_bytes(decode_stacked, &of);
  return ram->stack[level] < 0 ? -1 : 0;
}

static int level_measure(const codec_input *in, unsigned level, uint32_t frame_s, codec_stream *s,
                         codec_decoder *d, codec_level *out) {
  out->per_second.encode = time_encode(in, level, frame_s, s);
  if (out->per_second.encode < 0) return -1;
  out->frames = s->count;
  out->payload_bytes = s->size;
  out->mismatches = codec_mismatches(d, in, s);
  out->per_second.decode = time_decode(d, s);
  out->instructions = (codec_cost){-1, -1};
  uint32_t frames = in->frame_count + in->about.irregular; /* one carries the time alone */
  if (s->count != frames)
    fprintf(stderr, "htel-bench: %s: %s: %u frames instead of %u\n", in->about.path,
            codec_level_names[level], (unsigned)s->count, (unsigned)frames);
  return 0;
}

static int peers_measure(const codec_input *in, codec_result *out) {
  for (size_t i = 0; i < peer_count; i++) {
    if (peers[i].waves_only && in->class_of != CODEC_WAVES) continue;
    int64_t bytes = peer_total(&peers[i], in);
    if (bytes < 0) return -1;
    out->peers[i].readings = codec_readings(in);
    out->peers[i].bytes = (uint64_t)bytes;
  }
  return 0;
}

/* The birth is a function of the configuration alone, so every level must publish the same. */
static int recording_measure(const char *path, uint32_t frame_s, codec_decoder *d,
                             codec_result *out) {
  codec_input in;
  codec_stream s = {0};
  if (codec_input_load(&in, path, frame_s, 0) != 0) return -1;
  *out = (codec_result){
      .file = path, .class_of = in.class_of, .files = 1, .readings = codec_readings(&in)};
  int rc = codec_ram_get(&in, frame_s, &out->ram);
  uint32_t birth_crc = 0;
  for (unsigned level = 0; level < CODEC_LEVELS && rc == 0; level++) {
    rc = level_measure(&in, level, frame_s, &s, d, &out->levels[level]);
    if (rc == 0) rc = stack_measure(&in, level, frame_s, &s, d, &out->ram);
    uint32_t crc = htel_crc32(0, s.birth, s.birth_bytes);
    if (level == 0) birth_crc = crc;
    if (crc == birth_crc) continue;
    fprintf(stderr, "htel-bench: %s: the birth depends on the level\n", path);
    out->levels[level].mismatches++;
  }
  out->birth_bytes = s.birth_bytes;
  if (rc == 0) rc = peers_measure(&in, out);
  codec_stream_free(&s);
  codec_input_free(&in);
  return rc;
}

/* ---- Sums ------------------------------------------------------------------------------------ */

static void cost_add(codec_cost *sum, const codec_cost *c, uint64_t readings) {
  bool none = sum->encode < 0 || c->encode < 0;
  sum->encode = none ? -1 : sum->encode + c->encode * (double)readings;
  sum->decode = none ? -1 : sum->decode + c->decode * (double)readings;
}

static void ram_most(codec_ram *most, const codec_ram *ram) {
  if (ram->columns > most->columns) most->columns = ram->columns;
  for (unsigned i = 0; i < CODEC_LEVELS; i++) {
    if (ram->beyond[i] > most->beyond[i]) most->beyond[i] = ram->beyond[i];
    if (ram->stack[i] > most->stack[i]) most->stack[i] = ram->stack[i];
    if (ram->stack_decode[i] > most->stack_decode[i]) most->stack_decode[i] = ram->stack_decode[i];
  }
}

/* Speeds are summed as times. */
static void result_add(codec_result *sum, const codec_result *r) {
  sum->files++;
  sum->readings += r->readings;
  sum->birth_bytes += r->birth_bytes;
  ram_most(&sum->ram, &r->ram);
  for (unsigned i = 0; i < CODEC_LEVELS; i++) {
    const codec_level *from = &r->levels[i];
    codec_level *to = &sum->levels[i];
    to->frames += from->frames;
    to->payload_bytes += from->payload_bytes;
    to->mismatches += from->mismatches;
    cost_add(&to->instructions, &from->instructions, r->readings);
    to->per_second.encode += (double)r->readings / from->per_second.encode;
    to->per_second.decode += (double)r->readings / from->per_second.decode;
  }
  for (size_t i = 0; i < peer_count; i++) {
    sum->peers[i].readings += r->peers[i].readings;
    sum->peers[i].bytes += r->peers[i].bytes;
  }
}

static void result_close(codec_result *sum) {
  double readings = (double)sum->readings;
  for (unsigned i = 0; i < CODEC_LEVELS && sum->files > 0; i++) {
    codec_level *level = &sum->levels[i];
    if (level->instructions.encode >= 0) {
      level->instructions.encode /= readings;
      level->instructions.decode /= readings;
    }
    level->per_second.encode = readings / level->per_second.encode;
    level->per_second.decode = readings / level->per_second.decode;
  }
}

static void results_sum(codec_result *results, size_t count, codec_result *classes) {
  codec_result *all = &results[count];
  *all = (codec_result){.file = "all", .class_of = CODEC_CLASSES};
  for (int c = 0; c < CODEC_CLASSES; c++)
    classes[c] =
        (codec_result){.file = codec_class_name((codec_class)c), .class_of = (codec_class)c};
  for (size_t i = 0; i < count; i++) {
    result_add(all, &results[i]);
    result_add(&classes[results[i].class_of], &results[i]);
  }
  result_close(all);
  for (int c = 0; c < CODEC_CLASSES; c++) result_close(&classes[c]);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static int measure(const options *o, codec_result *results) {
  codec_decoder *d = calloc(1, sizeof *d);
  codec_cost *costs = calloc(o->file_count * CODEC_LEVELS, sizeof *costs);
  int rc = d && costs ? 0 : -1;
  if (rc != 0) fprintf(stderr, "htel-bench: out of memory\n");
  for (size_t i = 0; i < o->file_count && rc == 0; i++)
    rc = recording_measure(o->files[i], o->frame_s, d, &results[i]);
  if (rc == 0 && codec_count(o->files, o->file_count, o->frame_s, costs))
    for (size_t i = 0; i < o->file_count * CODEC_LEVELS; i++)
      results[i / CODEC_LEVELS].levels[i % CODEC_LEVELS].instructions = costs[i];
  free(costs);
  free(d);
  return rc;
}

static int report(const options *o, codec_result *results) {
  codec_result classes[CODEC_CLASSES];
  results_sum(results, o->file_count, classes);
  const codec_result *all = &results[o->file_count];
  (o->json       ? codec_report_json
   : o->markdown ? codec_report_markdown
                 : codec_report_table)(results, o->file_count, classes, o->frame_s);
  if (fflush(stdout) != 0) {
    fprintf(stderr, "htel-bench: standard output: %s\n", strerror(errno));
    return 1;
  }
  if (o->svg && codec_plot(o->svg, classes, all, o->frame_s) != 0) return 1;
  uint64_t wrong = 0;
  for (unsigned i = 0; i < CODEC_LEVELS; i++) wrong += all->levels[i].mismatches;
  if (wrong == 0) return 0;
  fprintf(stderr, "htel-bench: %llu mismatches\n", (unsigned long long)wrong);
  return 1;
}

int codec_main(int argc, char **argv) {
  static char name[] = "htel-bench codec";
  argv[0] = name;
  options o = {.frame_s = FRAME_S};
  argp_parse(&parser, argc, argv, 0, NULL, &o);
  if (o.counted) return codec_count_child(o.files, o.file_count, o.frame_s);
  codec_result *results = calloc(o.file_count + 1, sizeof *results);
  if (!results) return 1;
  int status = measure(&o, results) == 0 ? report(&o, results) : 1;
  free(results);
  return status;
}
