/* SPDX-License-Identifier: Apache-2.0 */
/* input.h - finds the frames in what htel-cat is given, in order, each once.
 *
 *     input_add_*   -> an index: where each frame lies, its key; births and anchors
 *     input_sort    -> by device, boot and sequence; duplicates dropped
 *     input_frame   -> one frame, read again from where it lies, decoded
 *
 * Only the index is in memory, about 100 bytes a frame, and one frame at a time. What is damaged is
 * told on stderr with its place and counted; the rest goes on. */
#ifndef CAT_INPUT_H
#define CAT_INPUT_H

#include <sqlite3.h>
#include <stdio.h>

#include "image.h"
#include "message.h"

#define INPUT_DEVICES_MAX 65535u

typedef struct input_entry {
  uint64_t boot;
  uint64_t offset;   /* in its file, or row number in the database */
  uint64_t tick;     /* of the frame */
  uint64_t tick_min; /* of its readings; input_ticks fills it in. UINT64_MAX: none, or unreadable */
  uint32_t sequence;
  uint32_t size;
  uint32_t schema;
  uint16_t device;
  uint16_t file; /* INPUT_DATABASE for the database */
  uint8_t digest[DIGEST_BYTES];
  uint32_t order; /* in which it was found */
} input_entry;
#define INPUT_DATABASE UINT16_MAX

typedef struct input_birth {
  char device[DEVICE_BYTES]; /* "": given by --birth, for any device */
  htel_birth birth;
} input_birth;

typedef struct input_anchor {
  uint64_t boot;
  uint32_t sequence;
  uint16_t device;
  htel_anchor anchor;
} input_anchor;

typedef struct input_file {
  FILE *file;
  const char *name;
} input_file;

typedef struct input {
  const char *device_wanted; /* or NULL */
  input_file *files;
  size_t file_count;
  sqlite3 *db;
  sqlite3_stmt *payload;
  const char *db_name;
  char (*devices)[DEVICE_BYTES];
  size_t device_count;
  input_entry *entries;
  size_t entry_count, entry_room;
  input_birth *births;
  size_t birth_count;
  input_anchor *anchors; /* sorted by device, boot and tick after input_sort */
  size_t anchor_count, anchor_room;
  htel_anchor *boot_anchors; /* those of the boot looked at last */
  size_t boot_anchor_count;
  uint16_t boot_device;
  uint64_t boot;
  bool boot_known;
  uint64_t damaged, duplicates;
  bool failed; /* a file could not be read, or memory was short: said already */
  uint8_t bytes[HTEL_FRAME_BYTES_MAX];
  frame_reader reader;
} input;

/* A frame, ready to be printed. */
typedef struct input_decoded {
  const char *device;
  const htel_frame *frame;
  const htel_birth *birth;
  size_t birth_number; /* which of input.births */
  size_t size;         /* bytes of payload */
  bool placed;
  int64_t offset_ms; /* UTC of tick 0 */
  frame_check check;
  readings readings;
} input_decoded;

bool input_add_birth(input *in, const char *path);
bool input_add_file(input *in, const char *path); /* "-": the standard input */
bool input_add_store(input *in, const image *im); /* all frames that can be read */
bool input_add_database(input *in, const char *path);
void input_sort(input *in);
void input_free(input *in);

/* Decodes entry `i`. False: it cannot be; that was told, once, and counted. `out` is used again
 * from call to call, and freed with input_decoded_free. */
bool input_frame(input *in, size_t i, input_decoded *out);
void input_decoded_free(input_decoded *out);

/* Fills in tick_min of every entry. */
void input_ticks(input *in, input_decoded *work);

#endif
