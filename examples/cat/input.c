/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "input.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture.h"
#include "placing.h"

#define DAMAGED_TOLD 50u /* so that a file of another kind does not bury the rest */
#define ANY_DEVICE "-"   /* shown for raw frames without --device */

static bool fail(input *in, const char *name, const char *why) {
  fprintf(stderr, "htel-cat: %s: %s\n", name, why);
  in->failed = true;
  return false;
}

/* Room for one more item at least. */
static bool grow(input *in, void **items, size_t item_bytes, size_t count, size_t *room) {
  if (count < *room) return true;
  size_t more = *room == 0 ? 256 : 2 * *room;
  void *larger = realloc(*items, more * item_bytes);
  if (larger == NULL) return fail(in, "index", "no memory");
  *items = larger;
  *room = more;
  return true;
}

/* ---- What is known of devices, births, anchors ---------------------------------------- */

/* False: too many, or no memory. */
static bool device_number(input *in, const char *device, uint16_t *number) {
  for (size_t i = in->device_count; i > 0; i--) {
    if (strcmp(in->devices[i - 1], device) != 0) continue;
    *number = (uint16_t)(i - 1);
    return true;
  }
  if (in->device_count == INPUT_DEVICES_MAX) return fail(in, device, "too many devices");
  void *larger = realloc(in->devices, (in->device_count + 1) * sizeof *in->devices);
  if (larger == NULL) return fail(in, "index", "no memory");
  in->devices = larger;
  *number = (uint16_t)in->device_count;
  snprintf(in->devices[in->device_count++], DEVICE_BYTES, "%s", device);
  return true;
}

/* birth_count when there is none. */
static size_t birth_find(const input *in, const char *device, uint32_t schema) {
  size_t i = 0;
  for (; i < in->birth_count; i++) {
    const input_birth *b = &in->births[i];
    if (b->birth.schema == schema && (b->device[0] == '\0' || strcmp(b->device, device) == 0))
      break;
  }
  return i;
}

/* 0, or HTEL_E_*. */
static int birth_add(input *in, const char *device, const uint8_t *bytes, size_t size) {
  input_birth *births = realloc(in->births, (in->birth_count + 1) * sizeof *births);
  if (births == NULL) return HTEL_E_MEMORY;
  in->births = births;
  input_birth *b = &births[in->birth_count];
  int rc = htel_birth_decode(&b->birth, bytes, size);
  if (rc < 0) return rc;
  if (birth_find(in, device, b->birth.schema) != in->birth_count) return 0;
  snprintf(b->device, sizeof b->device, "%s", device);
  in->birth_count++;
  return 0;
}

static bool anchors_add(input *in, uint16_t device, const htel_frame *frame) {
  for (unsigned i = 0; i < frame->anchor_count; i++) {
    void *p = in->anchors;
    bool room = grow(in, &p, sizeof *in->anchors, in->anchor_count, &in->anchor_room);
    in->anchors = p;
    if (!room) return false;
    in->anchors[in->anchor_count++] =
        (input_anchor){frame->boot, frame->sequence, device, frame->anchors[i]};
  }
  return true;
}

/* ---- Finding frames ------------------------------------------------------------------- */

/* How a place is named in messages. */
static void tell(const input *in, uint16_t file, uint64_t offset, const char *why) {
  if (file == INPUT_DATABASE)
    fprintf(stderr, "htel-cat: %s: frame in row %" PRIu64 ": %s\n", in->db_name, offset, why);
  else
    fprintf(stderr, "htel-cat: %s: at byte %" PRIu64 ": %s\n", in->files[file].name, offset, why);
}

static void tell_damaged(input *in, uint16_t file, uint64_t offset, const char *why) {
  in->damaged++;
  if (in->damaged < DAMAGED_TOLD) {
    tell(in, file, offset, why);
  } else if (in->damaged == DAMAGED_TOLD) {
    fprintf(stderr, "htel-cat: what else is damaged is only counted\n");
  }
}

static bool wanted(const input *in, const char *device) {
  return in->device_wanted == NULL || strcmp(in->device_wanted, device) == 0;
}

static bool frame_add(input *in, const char *device, const uint8_t *bytes, size_t size,
                      uint16_t file, uint64_t offset) {
  frame_check check;
  frame_open(&check, bytes, size);
  if (check.fate != FRAME_GOOD) {
    tell_damaged(in, file, offset, check.reason == NULL ? "no memory" : check.reason);
    return true;
  }
  input_entry e = {.boot = check.boot,
                   .offset = offset,
                   .tick = check.frame.tick,
                   .tick_min = UINT64_MAX,
                   .sequence = check.sequence,
                   .size = (uint32_t)size,
                   .schema = check.frame.schema,
                   .file = file,
                   .order = (uint32_t)in->entry_count};
  memcpy(e.digest, check.digest, DIGEST_BYTES);
  if (!device_number(in, device, &e.device) || !anchors_add(in, e.device, &check.frame))
    return false;
  void *p = in->entries;
  bool room = grow(in, &p, sizeof *in->entries, in->entry_count, &in->entry_room);
  in->entries = p;
  if (room) in->entries[in->entry_count++] = e;
  return room;
}

bool input_add_birth(input *in, const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return fail(in, path, strerror(errno));
  size_t size = fread(in->bytes, 1, sizeof in->bytes, file);
  fclose(file);
  int rc = birth_add(in, "", in->bytes, size);
  return rc == 0 ? true : fail(in, path, rc == HTEL_E_MEMORY ? "no memory" : "this is not a birth");
}

/* The whole file may be one raw frame, as a subscriber gets it. */
static bool raw_frame_add(input *in, uint16_t number, bool *is_raw) {
  FILE *file = in->files[number].file;
  *is_raw = false;
  size_t size = fread(in->bytes, 1, sizeof in->bytes, file);
  bool whole = size > 0 && getc(file) == EOF;
  rewind(file);
  frame_check check;
  if (whole) frame_open(&check, in->bytes, size);
  if (!whole || check.fate == FRAME_UNREADABLE) return true;
  *is_raw = true;
  const char *device = in->device_wanted != NULL ? in->device_wanted : ANY_DEVICE;
  return frame_add(in, device, in->bytes, size, number, 0);
}

static bool capture_add(input *in, uint16_t number, capture_reader *reader) {
  capture_begin(reader, in->files[number].file);
  for (bool begun = false;; begun = true) {
    capture_entry entry;
    int rc = capture_next(reader, &entry);
    if (rc == 0) return true;
    if (rc == CAPTURE_BROKEN || (rc == CAPTURE_DAMAGED && !begun)) {
      tell_damaged(in, number, entry.offset,
                   "neither a capture nor a frame from here on; the rest is not read");
      return true;
    }
    if (rc == CAPTURE_DAMAGED) {
      tell_damaged(in, number, entry.offset, "a damaged message, passed over");
      continue;
    }
    if (!wanted(in, entry.device)) continue;
    if (entry.kind == CAPTURE_FRAME) {
      if (!frame_add(in, entry.device, entry.bytes, entry.size, number, entry.offset)) return false;
    } else if (birth_add(in, entry.device, entry.bytes, entry.size) != 0) {
      tell_damaged(in, number, entry.offset, "this birth cannot be read");
    }
  }
}

/* A stream that cannot be read twice goes into an unnamed temporary file first. */
static FILE *spool(FILE *from) {
  FILE *to = tmpfile();
  char buf[65536];
  size_t n;
  while (to != NULL && (n = fread(buf, 1, sizeof buf, from)) > 0) {
    if (fwrite(buf, 1, n, to) == n) continue;
    fclose(to);
    return NULL;
  }
  if (to != NULL) rewind(to);
  return to;
}

static FILE *open_twice(const char *path) {
  if (strcmp(path, "-") == 0) return spool(stdin);
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseeko(file, 0, SEEK_SET) == 0) return file;
  FILE *copy = spool(file); /* a pipe */
  fclose(file);
  return copy;
}

bool input_add_file(input *in, const char *path) {
  if (in->file_count == INPUT_DATABASE) return fail(in, path, "too many files");
  input_file *files = realloc(in->files, (in->file_count + 1) * sizeof *files);
  if (files == NULL) return fail(in, path, "no memory");
  in->files = files;
  FILE *file = open_twice(path);
  if (file == NULL) return fail(in, path, strerror(errno));
  uint16_t number = (uint16_t)in->file_count++;
  files[number] = (input_file){file, strcmp(path, "-") == 0 ? "(standard input)" : path};
  bool is_raw;
  if (!raw_frame_add(in, number, &is_raw)) return false;
  if (is_raw) return true;
  capture_reader *reader = malloc(sizeof *reader);
  if (reader == NULL) return fail(in, path, "no memory");
  bool ok = capture_add(in, number, reader);
  free(reader);
  if (ferror(file)) return fail(in, path, "cannot be read to its end");
  return ok;
}

/* ---- A device's flash ------------------------------------------------------------------ */

bool input_add_store(input *in, const image *im) {
  if (in->file_count == INPUT_DATABASE) return fail(in, im->name, "too many files");
  input_file *files = realloc(in->files, (in->file_count + 1) * sizeof *files);
  if (files == NULL) return fail(in, im->name, "no memory");
  in->files = files;
  FILE *file = fopen(im->name, "rb");
  if (file == NULL) return fail(in, im->name, strerror(errno));
  uint16_t number = (uint16_t)in->file_count++;
  files[number] = (input_file){file, im->name};
  const char *device = in->device_wanted != NULL ? in->device_wanted : ANY_DEVICE;
  bool ok = true;
  for (size_t i = 0; ok && i < im->frame_count; i++) {
    const image_frame *f = &im->frames[i];
    if (!f->damaged)
      ok = frame_add(in, device, im->bytes + f->address, f->size, number, f->address);
  }
  return ok;
}

/* ---- The ingest's database ------------------------------------------------------------- */

static bool db_fail(input *in) {
  return fail(in, in->db_name, sqlite3_errmsg(in->db));
}

static bool db_births_add(input *in) {
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(in->db,
                              "SELECT d.device, b.bytes, b.schema FROM births b JOIN devices d"
                              " ON d.id = b.device_id ORDER BY d.device, b.received_ms",
                              -1, &stmt, NULL);
  while (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
    const char *device = (const char *)sqlite3_column_text(stmt, 0);
    if (device == NULL || !wanted(in, device)) continue;
    if (birth_add(in, device, sqlite3_column_blob(stmt, 1),
                  (size_t)sqlite3_column_bytes(stmt, 1)) != 0) {
      in->damaged++;
      fprintf(stderr, "htel-cat: %s: birth %08" PRIx64 ": cannot be read\n", in->db_name,
              (uint64_t)sqlite3_column_int64(stmt, 2));
    }
  }
  sqlite3_finalize(stmt);
  return rc == SQLITE_OK ? true : db_fail(in);
}

static bool db_frames_add(input *in) {
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(in->db,
                              "SELECT f.id, d.device, f.payload FROM frames f JOIN devices d"
                              " ON d.id = f.device_id ORDER BY f.id",
                              -1, &stmt, NULL);
  bool ok = rc == SQLITE_OK;
  while (ok && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const char *device = (const char *)sqlite3_column_text(stmt, 1);
    const uint8_t *payload = sqlite3_column_blob(stmt, 2);
    if (device == NULL || payload == NULL || !wanted(in, device)) continue;
    ok = frame_add(in, device, payload, (size_t)sqlite3_column_bytes(stmt, 2), INPUT_DATABASE,
                   (uint64_t)sqlite3_column_int64(stmt, 0));
  }
  if (ok && rc != SQLITE_DONE) ok = db_fail(in);
  sqlite3_finalize(stmt);
  return ok;
}

bool input_add_database(input *in, const char *path) {
  in->db_name = path;
  if (sqlite3_open_v2(path, &in->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
      sqlite3_prepare_v2(in->db, "SELECT payload FROM frames WHERE id = ?", -1, &in->payload,
                         NULL) != SQLITE_OK)
    return fail(in, path, "cannot be read as a database of htel-ingest");
  return db_births_add(in) && db_frames_add(in);
}

/* ---- Order ----------------------------------------------------------------------------- */

static int entry_compare(const void *left, const void *right) {
  const input_entry *a = left, *b = right;
  if (a->device != b->device) return a->device < b->device ? -1 : 1;
  if (a->boot != b->boot) return a->boot < b->boot ? -1 : 1;
  if (a->sequence != b->sequence) return a->sequence < b->sequence ? -1 : 1;
  return a->order < b->order ? -1 : a->order > b->order;
}

static int anchor_compare(const void *left, const void *right) {
  const input_anchor *a = left, *b = right;
  if (a->device != b->device) return a->device < b->device ? -1 : 1;
  if (a->boot != b->boot) return a->boot < b->boot ? -1 : 1;
  if (a->anchor.tick != b->anchor.tick) return a->anchor.tick < b->anchor.tick ? -1 : 1;
  return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

static void duplicates_drop(input *in) {
  size_t kept = 0;
  for (size_t i = 1; i < in->entry_count; i++) {
    const input_entry *e = &in->entries[i];
    const input_entry *last = &in->entries[kept];
    bool same_key =
        e->device == last->device && e->boot == last->boot && e->sequence == last->sequence;
    if (!same_key) {
      in->entries[++kept] = *e;
    } else if (memcmp(e->digest, last->digest, DIGEST_BYTES) == 0) {
      in->duplicates++;
    } else {
      tell_damaged(in, e->file, e->offset, "another frame came before under this key; passed over");
    }
  }
  if (in->entry_count > 0) in->entry_count = kept + 1;
}

/* Of several anchors at one tick the one from the latest frame counts, as in the ingest. */
static void anchors_drop(input *in) {
  size_t kept = 0;
  for (size_t i = 1; i < in->anchor_count; i++) {
    const input_anchor *a = &in->anchors[i];
    const input_anchor *last = &in->anchors[kept];
    bool same =
        a->device == last->device && a->boot == last->boot && a->anchor.tick == last->anchor.tick;
    in->anchors[same ? kept : ++kept] = *a;
  }
  if (in->anchor_count > 0) in->anchor_count = kept + 1;
}

void input_sort(input *in) {
  if (in->entry_count > 1) qsort(in->entries, in->entry_count, sizeof *in->entries, entry_compare);
  if (in->anchor_count > 1)
    qsort(in->anchors, in->anchor_count, sizeof *in->anchors, anchor_compare);
  duplicates_drop(in);
  anchors_drop(in);
  if (in->anchor_count > 0) {
    in->boot_anchors = malloc(in->anchor_count * sizeof *in->boot_anchors);
    if (in->boot_anchors == NULL) fail(in, "index", "no memory");
  }
}

/* ---- One frame ------------------------------------------------------------------------- */

/* The boot's anchors, in a row of their own. Frames come boot by boot, so this is rarely done. */
static void boot_select(input *in, const input_entry *e) {
  if (in->boot_known && in->boot_device == e->device && in->boot == e->boot) return;
  in->boot_known = true;
  in->boot_device = e->device;
  in->boot = e->boot;
  in->boot_anchor_count = 0;
  if (in->boot_anchors == NULL) return;
  input_anchor from = {.boot = e->boot, .device = e->device};
  size_t low = 0, high = in->anchor_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (anchor_compare(&in->anchors[middle], &from) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  for (; low < in->anchor_count && in->anchors[low].device == e->device &&
         in->anchors[low].boot == e->boot;
       low++)
    in->boot_anchors[in->boot_anchor_count++] = in->anchors[low].anchor;
}

static bool payload_read(input *in, const input_entry *e) {
  if (e->file != INPUT_DATABASE) {
    FILE *file = in->files[e->file].file;
    return fseeko(file, (off_t)e->offset, SEEK_SET) == 0 &&
           fread(in->bytes, 1, e->size, file) == e->size;
  }
  sqlite3_reset(in->payload);
  if (sqlite3_bind_int64(in->payload, 1, (int64_t)e->offset) != SQLITE_OK ||
      sqlite3_step(in->payload) != SQLITE_ROW ||
      (size_t)sqlite3_column_bytes(in->payload, 0) != e->size)
    return false;
  memcpy(in->bytes, sqlite3_column_blob(in->payload, 0), e->size);
  sqlite3_reset(in->payload);
  return true;
}

static const char *decode(input *in, const input_entry *e, input_decoded *out) {
  if (!payload_read(in, e)) return "cannot be read any more";
  frame_open(&out->check, in->bytes, e->size);
  if (out->check.fate != FRAME_GOOD) return "changed while it was read";
  out->device = in->devices[e->device];
  out->birth_number = birth_find(in, out->device, e->schema);
  if (out->birth_number == in->birth_count) return "its birth is not here: give --birth FILE";
  out->birth = &in->births[out->birth_number].birth;
  frame_read(&out->check, &in->reader, out->birth, &out->readings);
  if (out->check.fate == FRAME_LATER) return "no memory";
  if (out->check.fate != FRAME_GOOD) return out->check.reason;
  out->frame = &out->check.frame;
  out->size = e->size;
  return NULL;
}

bool input_frame(input *in, size_t i, input_decoded *out) {
  input_entry *e = &in->entries[i];
  if (e->size == 0) return false; /* told before */
  const char *why = decode(in, e, out);
  if (why != NULL) {
    tell_damaged(in, e->file, e->offset, why);
    e->size = 0;
    return false;
  }
  boot_select(in, e);
  const htel_anchor *anchor = placing_find(in->boot_anchors, in->boot_anchor_count, e->tick);
  out->placed = anchor != NULL;
  out->offset_ms = anchor == NULL ? 0 : placing_offset_ms(anchor);
  return true;
}

void input_decoded_free(input_decoded *out) {
  readings_free(&out->readings);
}

void input_ticks(input *in, input_decoded *work) {
  for (size_t i = 0; i < in->entry_count; i++) {
    if (!input_frame(in, i, work)) continue;
    for (size_t k = 0; k < work->readings.run_count; k++) {
      const readings_run *run = &work->readings.runs[k];
      uint64_t least = run->tick;
      for (unsigned n = 0; run->kind != HTEL_WAVEFORM && n < run->count; n++)
        if (work->readings.events[run->at + n].tick < least)
          least = work->readings.events[run->at + n].tick;
      if (least < in->entries[i].tick_min) in->entries[i].tick_min = least;
    }
  }
}

void input_free(input *in) {
  for (size_t i = 0; i < in->file_count; i++) fclose(in->files[i].file);
  sqlite3_finalize(in->payload);
  sqlite3_close(in->db);
  free(in->files);
  free(in->devices);
  free(in->entries);
  free(in->births);
  free(in->anchors);
  free(in->boot_anchors);
}
