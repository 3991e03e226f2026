/* SPDX-License-Identifier: Apache-2.0 */
/* --csv: one row for each instant, one column for each channel.
 *
 * Channels lie in different frames, and frames overlap in time, so readings wait in memory until no
 * later frame of the boot can hold an earlier one. That is known exactly: a first walk over all
 * frames notes the earliest tick of each, and the least of those that are still to come is the
 * watermark. What waits is what overlaps, not the recording. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

#define COLUMNS_MAX 1024u

typedef struct cell {
  uint64_t tick;
  int64_t ms; /* as printed: UTC, or the tick where no anchor is known */
  uint64_t order;
  int32_t value;
  uint16_t column;
  uint8_t quality;
} cell;

typedef struct csv {
  const print_options *options;
  char (*names)[PRINT_NAME_BYTES];
  unsigned column_count;
  uint16_t *columns_of; /* birth number * HTEL_CHANNELS_MAX + channel -> column */
  cell *cells;
  size_t count, room;
  uint64_t order;
  bool no_memory;
} csv;
#define NO_COLUMN UINT16_MAX

/* ---- Columns --------------------------------------------------------------------------- */

/* Births of one device share a column where the channel has the same name; within a birth two
 * channels of one name are two columns. */
static uint16_t column_for(csv *c, const char *name, const bool *taken) {
  for (unsigned i = 0; i < c->column_count; i++)
    if (!taken[i] && strcmp(c->names[i], name) == 0) return (uint16_t)i;
  if (c->column_count == COLUMNS_MAX) return NO_COLUMN;
  snprintf(c->names[c->column_count], PRINT_NAME_BYTES, "%s", name);
  return (uint16_t)c->column_count++;
}

static void birth_columns(csv *c, const htel_birth *birth, uint16_t *columns) {
  bool taken[COLUMNS_MAX] = {false};
  char room[PRINT_NAME_BYTES];
  for (unsigned i = 0; i < HTEL_CHANNELS_MAX; i++) {
    columns[i] = NO_COLUMN;
    if (i >= birth->channel_count || birth->channels[i].kind == HTEL_ALARM) continue;
    if (!print_wanted(c->options, birth, (uint8_t)i)) continue;
    columns[i] = column_for(c, print_name(birth, i, room), taken);
    if (columns[i] != NO_COLUMN) taken[columns[i]] = true;
  }
}

static bool columns_make(csv *c, const input *in, const bool *birth_used) {
  c->names = calloc(COLUMNS_MAX, sizeof *c->names);
  c->columns_of = calloc((in->birth_count + 1) * HTEL_CHANNELS_MAX, sizeof *c->columns_of);
  if (c->names == NULL || c->columns_of == NULL) return false;
  for (size_t i = 0; i < in->birth_count; i++)
    if (birth_used[i])
      birth_columns(c, &in->births[i].birth, c->columns_of + i * HTEL_CHANNELS_MAX);
  return true;
}

static void print_quoted(const char *name, const char *after) {
  if (strpbrk(name, ",\"") == NULL) {
    printf("%s%s", name, after);
    return;
  }
  putchar('"');
  for (; *name != '\0'; name++) {
    if (*name == '"') putchar('"');
    putchar(*name);
  }
  printf("%s\"", after);
}

static void print_header(const csv *c) {
  const char *comma = "";
  if (!c->options->no_time) {
    printf("t_ms");
    comma = ",";
  }
  for (unsigned i = 0; i < c->column_count; i++) {
    printf("%s", comma);
    print_quoted(c->names[i], "");
    comma = ",";
    if (!c->options->quality) continue;
    printf(",");
    print_quoted(c->names[i], ".q");
  }
  putchar('\n');
}

/* ---- Cells ----------------------------------------------------------------------------- */

static void cell_add(csv *c, const input_decoded *d, uint64_t tick, uint16_t column, int32_t value,
                     uint8_t quality) {
  if (column == NO_COLUMN || c->no_memory) return;
  if (c->count == c->room) {
    size_t room = c->room == 0 ? 4096 : 2 * c->room;
    cell *cells = realloc(c->cells, room * sizeof *cells);
    c->no_memory = cells == NULL;
    if (cells == NULL) return;
    c->cells = cells;
    c->room = room;
  }
  int64_t ms = (int64_t)tick + (d->placed ? d->offset_ms : 0);
  c->cells[c->count++] = (cell){tick, ms, c->order++, value, column, quality};
}

static void frame_add(csv *c, const input_decoded *d, const uint16_t *columns) {
  for (size_t k = 0; k < d->readings.run_count; k++) {
    const readings_run *run = &d->readings.runs[k];
    uint16_t column = columns[run->channel];
    for (unsigned i = 0; i < run->count && run->kind != HTEL_ALARM; i++) {
      if (run->kind == HTEL_WAVEFORM) {
        cell_add(c, d, print_sample_tick(run, d->birth, i), column,
                 d->readings.samples[run->at + i], d->readings.sample_quality[run->at + i]);
      } else {
        const readings_event *e = &d->readings.events[run->at + i];
        cell_add(c, d, e->tick, column, e->value, e->quality);
      }
    }
  }
}

static int cell_compare(const void *left, const void *right) {
  const cell *a = left, *b = right;
  if (a->tick != b->tick) return a->tick < b->tick ? -1 : 1;
  if (a->column != b->column) return a->column < b->column ? -1 : 1;
  return a->order < b->order ? -1 : 1;
}

static void print_row(const csv *c, const cell *const *row, int64_t ms) {
  const char *comma = "";
  if (!c->options->no_time) {
    printf("%" PRId64, ms);
    comma = ",";
  }
  for (unsigned i = 0; i < c->column_count; i++) {
    fputs(comma, stdout);
    comma = ",";
    if (row[i] != NULL) printf("%" PRId32, row[i]->value);
    if (!c->options->quality) continue;
    putchar(',');
    if (row[i] != NULL) fputs(print_quality(row[i]->quality), stdout);
  }
  putchar('\n');
}

/* Cells of one tick: a row, or as many as one channel has readings there (faster than 1000 Hz). */
static void print_tick(const csv *c, const cell *cells, size_t count) {
  for (size_t turn = 0, printed = 0; printed < count; turn++) {
    const cell *row[COLUMNS_MAX] = {NULL};
    size_t same = 0; /* how many of this column came before */
    const cell *earliest = NULL;
    for (size_t i = 0; i < count; i++) {
      same = i > 0 && cells[i].column == cells[i - 1].column ? same + 1 : 0;
      if (same != turn) continue;
      row[cells[i].column] = &cells[i];
      if (earliest == NULL || cells[i].order < earliest->order) earliest = &cells[i];
      printed++;
    }
    if (earliest != NULL) print_row(c, row, earliest->ms);
  }
}

/* Prints what is earlier than `watermark`; the rest goes on waiting. */
static void flush(csv *c, uint64_t watermark) {
  if (c->count == 0) return;
  qsort(c->cells, c->count, sizeof *c->cells, cell_compare);
  size_t first = 0;
  while (first < c->count && c->cells[first].tick < watermark) {
    size_t end = first;
    while (end < c->count && c->cells[end].tick == c->cells[first].tick) end++;
    print_tick(c, c->cells + first, end - first);
    first = end;
  }
  c->count -= first;
  memmove(c->cells, c->cells + first, c->count * sizeof *c->cells);
}

/* ---- All frames ------------------------------------------------------------------------ */

/* tick_min of each entry becomes the least of those after it in its boot: the watermark once it is
 * read. */
static void watermarks_make(input *in) {
  uint64_t least = UINT64_MAX;
  for (size_t i = in->entry_count; i > 0; i--) {
    input_entry *e = &in->entries[i - 1];
    if (i < in->entry_count && in->entries[i].boot != e->boot) least = UINT64_MAX;
    uint64_t own = e->tick_min;
    e->tick_min = least;
    if (own < least) least = own;
  }
}

static void walk(csv *c, input *in, input_decoded *d) {
  for (size_t i = 0; i < in->entry_count && !c->no_memory; i++) {
    if (input_frame(in, i, d)) frame_add(c, d, c->columns_of + d->birth_number * HTEL_CHANNELS_MAX);
    flush(c, in->entries[i].tick_min);
  }
}

/* Births that no frame names make no columns. */
static void births_mark(const input *in, bool *used) {
  for (size_t k = 0; k < in->birth_count; k++)
    for (size_t i = 0; i < in->entry_count && !used[k]; i++)
      used[k] = in->entries[i].schema == in->births[k].birth.schema;
}

bool print_csv(input *in, const print_options *o) {
  if (in->device_count > 1) {
    fprintf(stderr,
            "htel-cat: --csv shows one device, and there are several: choose one with "
            "--device\n");
    return false;
  }
  csv c = {.options = o};
  input_decoded *d = calloc(1, sizeof *d);
  bool *used = calloc(in->birth_count + 1, sizeof *used);
  bool ok = d != NULL && used != NULL;
  if (ok) births_mark(in, used);
  if (ok && columns_make(&c, in, used)) {
    input_ticks(in, d);
    watermarks_make(in);
    print_header(&c);
    walk(&c, in, d);
    ok = !c.no_memory;
  } else {
    ok = false;
  }
  if (!ok) fprintf(stderr, "htel-cat: no memory\n");
  if (d != NULL) input_decoded_free(d);
  free(d);
  free(used);
  free(c.names);
  free(c.columns_of);
  free(c.cells);
  return ok;
}
