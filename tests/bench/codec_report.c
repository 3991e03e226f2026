/* SPDX-License-Identifier: Apache-2.0 */
/* codec_report.c - the figures, for people and for machines. */
#include <string.h>

#include "codec.h"

#define BEST (CODEC_LEVELS - 1)

const char *codec_class_name(codec_class class_of) {
  static const char *const names[] = {"waves", "scalars", "cgm", "all"};
  return names[class_of];
}

/* Negative: there is none for all of its readings. */
static double peer_figure(const codec_result *r, size_t n) {
  if (r->peers[n].readings == 0 || r->peers[n].readings != r->readings) return -1;
  return codec_per_reading(r->peers[n].bytes, r->readings);
}

static double level_figure(const codec_result *r, unsigned level) {
  return codec_per_reading(r->levels[level].payload_bytes, r->readings);
}

static uint64_t mismatches_of(const codec_result *r) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < CODEC_LEVELS; i++) sum += r->levels[i].mismatches;
  return sum;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static void figure_print(double value) {
  if (value < 0)
    printf(" %7s", "-");
  else
    printf(" %7.*f", value < 10 ? 4 : 2, value);
}

static void sizes_line(const codec_result *r) {
  printf("%-26s %9llu %6llu", base_name(r->file), (unsigned long long)r->readings,
         (unsigned long long)r->levels[BEST].frames);
  for (unsigned i = 0; i < CODEC_LEVELS; i++) figure_print(level_figure(r, i));
  printf(" |");
  for (size_t i = 0; i < peer_count; i++) figure_print(peer_figure(r, i));
  printf(" %6llu %6llu\n", (unsigned long long)r->birth_bytes,
         (unsigned long long)mismatches_of(r));
}

static void sizes_head(uint32_t frame_s) {
  printf("bytes a reading: payloads as published, frames of %u s (slower than 1 Hz: %u rows)\n\n",
         (unsigned)frame_s, (unsigned)frame_s);
  printf("%-26s %9s %6s", "", "readings", "frames");
  for (unsigned i = 0; i < CODEC_LEVELS; i++) printf(" %7s", codec_level_names[i]);
  printf(" |");
  for (size_t i = 0; i < peer_count; i++) printf(" %7s", peers[i].head);
  printf(" %6s %6s\n", "birth", "wrong");
}

static void cost_line(const codec_result *r) {
  printf("%-26s", base_name(r->file));
  for (unsigned i = 0; i < CODEC_LEVELS; i++) {
    const codec_cost *c = &r->levels[i].instructions;
    if (c->encode < 0)
      printf(" %5s/%5s", "-", "-");
    else
      printf(" %5.0f/%5.0f", c->encode, c->decode);
  }
  printf(" |");
  for (unsigned i = 0; i < CODEC_LEVELS; i++)
    printf(" %5.1f/%5.1f", r->levels[i].per_second.encode / 1e6,
           r->levels[i].per_second.decode / 1e6);
  printf(" | %7d", (int)r->ram.columns);
  for (unsigned i = 0; i < CODEC_LEVELS; i++) printf(" %6d", (int)r->ram.beyond[i]);
  for (unsigned i = 0; i < CODEC_LEVELS; i++)
    printf(" %5lld/%5lld", (long long)r->ram.stack[i], (long long)r->ram.stack_decode[i]);
  printf("\n");
}

static void cost_head(void) {
  printf(
      "\ncost, coding (record to acknowledged frame) / decoding: instructions a reading; millions\n"
      "of readings a second; bytes of RAM: readings waiting to be coded, what a level takes "
      "beyond\n"
      "them and the batch buffer, stack. The decoder takes %u bytes for every level.\n\n",
      (unsigned)sizeof(codec_decoder));
  printf("%-26s", "");
  for (unsigned i = 0; i < CODEC_LEVELS; i++) printf(" %11s", codec_level_names[i]);
  printf(" |");
  for (unsigned i = 0; i < CODEC_LEVELS; i++) printf(" %11s", codec_level_names[i]);
  printf(" | %7s", "columns");
  for (unsigned i = 0; i < CODEC_LEVELS; i++) printf(" %6s", codec_level_names[i]);
  for (unsigned i = 0; i < CODEC_LEVELS; i++) printf(" %11s", codec_level_names[i]);
  printf("\n");
}

static void lines_print(const codec_result *results, size_t count, const codec_result *classes,
                        void (*line)(const codec_result *)) {
  for (size_t i = 0; i < count; i++) line(&results[i]);
  printf("\n");
  for (int c = 0; c < CODEC_CLASSES; c++)
    if (classes[c].files > 0) line(&classes[c]);
  line(&results[count]);
}

void codec_report_table(const codec_result *results, size_t count, const codec_result *classes,
                        uint32_t frame_s) {
  sizes_head(frame_s);
  lines_print(results, count, classes, sizes_line);
  printf("\n");
  for (size_t i = 0; i < peer_count; i++) printf("%-8s %s\n", peers[i].head, peers[i].what);
  cost_head();
  lines_print(results, count, classes, cost_line);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_text(const char *text) {
  putchar('"');
  for (const char *c = text; *c; c++) {
    if (*c == '"' || *c == '\\') putchar('\\');
    if ((unsigned char)*c < 0x20)
      printf("\\u%04x", (unsigned)(unsigned char)*c);
    else
      putchar(*c);
  }
  putchar('"');
}

static void json_number(const char *name, double value) {
  if (value < 0)
    printf("\"%s\":null", name);
  else
    printf("\"%s\":%.6g", name, value);
}

static void json_level(const codec_result *r, unsigned i) {
  static const char *const names[CODEC_LEVELS] = {"fast", "zlib", "best"};
  const codec_level *level = &r->levels[i];
  printf(
      "%s\"%s\":{\"frames\":%llu,\"payload_bytes\":%llu,\"bytes_per_reading\":%.6f,"
      "\"mismatches\":%llu,",
      i > 0 ? "," : "", names[i], (unsigned long long)level->frames,
      (unsigned long long)level->payload_bytes, level_figure(r, i),
      (unsigned long long)level->mismatches);
  json_number("instructions_encode", level->instructions.encode);
  putchar(',');
  json_number("instructions_decode", level->instructions.decode);
  printf(
      ",\"encode_per_second\":%.0f,\"decode_per_second\":%.0f,\"ram_bytes\":%d,"
      "\"stack_encode_bytes\":%lld,\"stack_decode_bytes\":%lld}",
      level->per_second.encode, level->per_second.decode, (int)r->ram.beyond[i],
      (long long)r->ram.stack[i], (long long)r->ram.stack_decode[i]);
}

/* All but the closing brace. */
static void json_result(const codec_result *r, uint32_t frame_s) {
  printf("{\"file\":");
  json_text(r->file);
  printf(
      ",\"class\":\"%s\",\"frame_s\":%u,\"readings\":%llu,\"frames\":%llu,"
      "\"payload_bytes\":%llu,\"bytes_per_reading\":%.6f,\"birth_bytes\":%llu,"
      "\"mismatches\":%llu,\"ram_columns_bytes\":%d,\"ram_decoder_bytes\":%u,\"levels\":{",
      codec_class_name(r->class_of), (unsigned)frame_s, (unsigned long long)r->readings,
      (unsigned long long)r->levels[BEST].frames, (unsigned long long)r->levels[BEST].payload_bytes,
      level_figure(r, BEST), (unsigned long long)r->birth_bytes,
      (unsigned long long)mismatches_of(r), (int)r->ram.columns, (unsigned)sizeof(codec_decoder));
  for (unsigned i = 0; i < CODEC_LEVELS; i++) json_level(r, i);
  printf("},\"peers\":{");
  for (size_t i = 0; i < peer_count; i++) {
    if (i > 0) putchar(',');
    json_number(peers[i].name, peer_figure(r, i));
  }
  printf("}");
}

void codec_report_json(const codec_result *results, size_t count, const codec_result *classes,
                       uint32_t frame_s) {
  for (size_t i = 0; i < count; i++) {
    json_result(&results[i], frame_s);
    printf("}\n");
  }
  json_result(&results[count], frame_s);
  printf(",\"classes\":{");
  bool some = false;
  for (int c = 0; c < CODEC_CLASSES; c++) {
    if (classes[c].files == 0) continue;
    printf("%s\"%s\":", some ? "," : "", codec_class_name((codec_class)c));
    json_result(&classes[c], frame_s);
    printf("}");
    some = true;
  }
  printf("}}\n");
}

/* ---- Markdown -------------------------------------------------------------------------------- */

static void markdown_cell(double value) {
  if (value < 0)
    printf(" |");
  else
    printf(" %.*f |", value < 10 ? 3 : 1, value);
}

/* A row: one figure by class, from peer `n`, or from the level where `n` is negative. */
static void markdown_row(const char *what, int n, unsigned level, const codec_result *classes,
                         const codec_result *all, bool ours) {
  printf("| %s%s%s |", ours ? "**" : "", what, ours ? "**" : "");
  for (int c = 0; c <= CODEC_CLASSES; c++) {
    const codec_result *r = c < CODEC_CLASSES ? &classes[c] : all;
    double value = n < 0 ? level_figure(r, level) : peer_figure(r, (size_t)n);
    markdown_cell(r->files == 0 ? -1 : value);
  }
  printf("\n");
}

static void markdown_sizes(const codec_result *classes, const codec_result *all, uint32_t frame_s) {
  printf("Bytes a reading, frames of %u s (slower than 1 Hz: %u rows):\n\n", (unsigned)frame_s,
         (unsigned)frame_s);
  printf("| | waves | scalars | cgm | all |\n|---|---:|---:|---:|---:|\n");
  for (size_t i = 0; i < peer_count; i++)
    markdown_row(peers[i].what, (int)i, 0, classes, all, false);
  for (unsigned i = 0; i < CODEC_LEVELS; i++) {
    char what[64];
    snprintf(what, sizeof what, "healthtel `%s`", codec_level_names[i]);
    markdown_row(what, -1, i, classes, all, i == BEST);
  }
}

static size_t peer_find(const char *name) {
  size_t i = 0;
  while (i + 1 < peer_count && strcmp(peers[i].name, name) != 0) i++;
  return i;
}

static void markdown_files(const codec_result *results, size_t count) {
  size_t flac = peer_find("flac8"), packed = peer_find("packed_zlib_9_1");
  printf("\n| recording | readings | birth |");
  for (unsigned i = 0; i < CODEC_LEVELS; i++) printf(" `%s` |", codec_level_names[i]);
  printf(" %s | %s |\n|---|---:|---:|---:|---:|---:|---:|---:|\n", peers[packed].what,
         peers[flac].what);
  for (size_t i = 0; i < count; i++) {
    const codec_result *r = &results[i];
    const char *name = base_name(r->file);
    printf("| %.*s | %llu | %llu |", (int)(strlen(name) - 4), name, (unsigned long long)r->readings,
           (unsigned long long)r->birth_bytes);
    for (unsigned l = 0; l < CODEC_LEVELS; l++) markdown_cell(level_figure(r, l));
    markdown_cell(peer_figure(r, packed));
    markdown_cell(peer_figure(r, flac));
    printf("\n");
  }
}

static void markdown_cost(const codec_result *classes, const codec_result *all) {
  printf(
      "\n| | instructions a waveform sample: coding | decoding | a scalar: coding | decoding | RAM "
      "beyond the batch | stack: coding | decoding |\n|---|---:|---:|---:|---:|---:|---:|---:|\n");
  for (unsigned i = 0; i < CODEC_LEVELS; i++) {
    printf("| `%s` |", codec_level_names[i]);
    for (int c = CODEC_WAVES; c <= CODEC_SCALARS; c++) {
      const codec_cost *cost = &classes[c].levels[i].instructions;
      if (classes[c].files == 0 || cost->encode < 0)
        printf(" | |");
      else
        printf(" %.0f | %.0f |", cost->encode, cost->decode);
    }
    printf(" %d | %lld | %lld |\n", (int)all->ram.beyond[i], (long long)all->ram.stack[i],
           (long long)all->ram.stack_decode[i]);
  }
}

void codec_report_markdown(const codec_result *results, size_t count, const codec_result *classes,
                           uint32_t frame_s) {
  markdown_sizes(classes, &results[count], frame_s);
  markdown_files(results, count);
  markdown_cost(classes, &results[count]);
}
