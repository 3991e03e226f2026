/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"

#include <errno.h>
#include <string.h>

#include "pbwalk.h"

enum { FIELD_DEVICE = 1, FIELD_BIRTH = 2, FIELD_FRAME = 3, TYPE_BYTES = 2 };

bool device_id_valid(const char *id, size_t size) {
  if (size == 0 || size > HTEL_DEVICE_ID_CHARS_MAX) return false;
  for (size_t i = 0; i < size; i++) {
    char c = id[i];
    bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '-') return false;
  }
  return true;
}

void capture_begin(capture_reader *reader, FILE *file) {
  reader->file = file;
  reader->offset = 0;
}

/* The length before a message. 1, 0 at the end of the file, CAPTURE_BROKEN. */
static int read_length(capture_reader *reader, size_t *length) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 28; shift += 7) {
    int byte = getc(reader->file);
    if (byte == EOF) return shift == 0 && !ferror(reader->file) ? 0 : CAPTURE_BROKEN;
    reader->offset++;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte >= 0x80) continue;
    if (value > CAPTURE_BYTES_MAX) return CAPTURE_BROKEN;
    *length = (size_t)value;
    return 1;
  }
  return CAPTURE_BROKEN;
}

static int parse(capture_entry *entry, const uint8_t *bytes, size_t size, uint64_t offset) {
  pbwalk w = {.bytes = bytes, .size = size};
  pbwalk_field field;
  int rc;
  while ((rc = pbwalk_next(&w, &field)) == 1) {
    if (field.type != TYPE_BYTES) continue;
    if (field.number == FIELD_DEVICE) {
      if (!device_id_valid((const char *)field.bytes, field.size)) return CAPTURE_DAMAGED;
      memcpy(entry->device, field.bytes, field.size);
      entry->device[field.size] = '\0';
    } else if (field.number == FIELD_BIRTH || field.number == FIELD_FRAME) {
      entry->kind = field.number == FIELD_BIRTH ? CAPTURE_BIRTH : CAPTURE_FRAME;
      entry->bytes = field.bytes;
      entry->size = field.size;
      entry->offset = offset + (uint64_t)(field.bytes - bytes);
    }
  }
  bool whole = rc == 0 && entry->device[0] != '\0' && entry->bytes != NULL;
  return whole ? 1 : CAPTURE_DAMAGED;
}

int capture_next(capture_reader *reader, capture_entry *entry) {
  *entry = (capture_entry){.offset = reader->offset};
  size_t length;
  int rc = read_length(reader, &length);
  if (rc != 1) return rc;
  if (fread(reader->buf, 1, length, reader->file) != length) return CAPTURE_BROKEN;
  uint64_t offset = reader->offset;
  reader->offset += length;
  return parse(entry, reader->buf, length, offset);
}

static size_t put_varint(uint8_t *out, size_t value) {
  size_t n = 0;
  for (; value >= 0x80; value >>= 7) out[n++] = (uint8_t)(value | 0x80u);
  out[n++] = (uint8_t)value;
  return n;
}

int capture_write(FILE *file, const char *device, capture_kind kind, const uint8_t *bytes,
                  size_t size) {
  size_t chars = strlen(device);
  if (!device_id_valid(device, chars) || size > HTEL_FRAME_BYTES_MAX) {
    errno = EINVAL;
    return -1;
  }
  uint8_t inner[HTEL_DEVICE_ID_CHARS_MAX + 16];
  size_t n = 0;
  inner[n++] = FIELD_DEVICE << 3 | TYPE_BYTES;
  inner[n++] = (uint8_t)chars;
  memcpy(inner + n, device, chars);
  n += chars;
  inner[n++] = (uint8_t)((kind == CAPTURE_BIRTH ? FIELD_BIRTH : FIELD_FRAME) << 3 | TYPE_BYTES);
  n += put_varint(inner + n, size);
  uint8_t length[10];
  size_t length_size = put_varint(length, n + size);
  bool ok = fwrite(length, 1, length_size, file) == length_size && fwrite(inner, 1, n, file) == n &&
            fwrite(bytes, 1, size, file) == size;
  return ok ? 0 : -1;
}
