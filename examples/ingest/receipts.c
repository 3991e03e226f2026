/* SPDX-License-Identifier: Apache-2.0 */
#include "receipts.h"

#include <stdlib.h>
#include <string.h>

#include "../../src/plant.h"

#define BIRTHS_MAX (sizeof((htel_receipt *)0)->births / sizeof(uint32_t))

void receipts_free(receipts *r) {
  free(r->notes);
  *r = (receipts){0};
}

void receipts_clear(receipts *r) {
  r->count = 0;
}

bool receipts_add(receipts *r, receipt_note note) {
  if (r->count == r->room) {
    size_t room = r->room == 0 ? 256 : 2 * r->room;
    receipt_note *notes = realloc(r->notes, room * sizeof *notes);
    if (notes == NULL) return false;
    r->notes = notes;
    r->room = room;
  }
  r->notes[r->count++] = note;
  return true;
}

static int compare(const void *left, const void *right) {
  const receipt_note *a = left, *b = right;
  int order = strcmp(a->device, b->device);
  if (order != 0) return order;
  if (a->boot != b->boot) return a->boot < b->boot ? -1 : 1;
  if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
  if (a->number != b->number) return a->number < b->number ? -1 : 1;
  return 0;
}

/* Adds a sequence to sorted ranges. False: it needs a new range and there is none left. */
static bool range_add(htel_range *ranges, uint16_t *count, uint32_t sequence) {
  if (*count > 0 && sequence <= ranges[*count - 1].last) return true; /* said twice */
  if (PLANT(48) && *count > 0 && sequence == ranges[*count - 1].last + 2) ranges[*count - 1].last++;
  if (*count > 0 && sequence == ranges[*count - 1].last + 1) {
    ranges[*count - 1].last = sequence;
    return true;
  }
  if (*count == HTEL_RANGES_MAX) return false;
  ranges[(*count)++] = (htel_range){sequence, sequence};
  return true;
}

static bool birth_add(htel_receipt *receipt, uint32_t schema) {
  if (receipt->birth_count > 0 && receipt->births[receipt->birth_count - 1] == schema) return true;
  if (receipt->birth_count == BIRTHS_MAX) return false;
  receipt->births[receipt->birth_count++] = schema;
  return true;
}

/* False: the receipt is full. */
static bool note_add(htel_receipt *receipt, const receipt_note *note) {
  switch (note->kind) {
    case RECEIPT_STORED: return range_add(receipt->stored, &receipt->stored_count, note->number);
    case RECEIPT_QUARANTINED:
      return range_add(receipt->quarantined, &receipt->quarantined_count, note->number);
    case RECEIPT_BIRTH: return birth_add(receipt, note->number);
    case RECEIPT_BIRTH_WANTED: receipt->birth_wanted = true; return true;
  }
  return true;
}

size_t receipts_send(receipts *r, int64_t utc_ms, uint32_t pause_ms,
                     void (*send)(void *arg, const char *device, const uint8_t *bytes, size_t size),
                     void *arg) {
  if (r->count == 0) return 0;
  qsort(r->notes, r->count, sizeof *r->notes, compare);
  size_t sent = 0;
  for (size_t i = 0; i < r->count;) {
    const receipt_note *first = &r->notes[i];
    htel_receipt receipt = {.boot = first->boot, .utc_ms = utc_ms, .pause_ms = pause_ms};
    while (i < r->count && r->notes[i].boot == first->boot &&
           strcmp(r->notes[i].device, first->device) == 0 && note_add(&receipt, &r->notes[i]))
      i++;
    uint8_t bytes[HTEL_RECEIPT_BYTES_MAX];
    int size = htel_receipt_encode(&receipt, bytes, sizeof bytes);
    if (size <= 0) continue; /* cannot be: the largest receipt fits */
    send(arg, first->device, bytes, (size_t)size);
    sent++;
  }
  return sent;
}
