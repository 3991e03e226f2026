/* SPDX-License-Identifier: Apache-2.0 */
/* receipts.h - turns what became of single frames into receipts: ranges, one message for each
 * device and boot.
 *
 * Notes are gathered while a batch is written and made into messages after its commit, never
 * before. */
#ifndef INGEST_RECEIPTS_H
#define INGEST_RECEIPTS_H

#include "healthtel/decode.h"

typedef enum receipt_kind {
  RECEIPT_STORED,
  RECEIPT_QUARANTINED,
  RECEIPT_BIRTH,       /* number: a schema that is stored */
  RECEIPT_BIRTH_WANTED /* a frame names a schema that is not */
} receipt_kind;

typedef struct receipt_note {
  const char *device;
  uint64_t boot; /* 0 for births, which belong to no boot */
  receipt_kind kind;
  uint32_t number; /* sequence or schema */
} receipt_note;

typedef struct receipts {
  receipt_note *notes;
  size_t count, room;
} receipts;

void receipts_free(receipts *r);
void receipts_clear(receipts *r);

/* `device` must stay until the notes are cleared. False: no memory. */
bool receipts_add(receipts *r, receipt_note note);

/* Sorts the notes and calls `send` with one encoded receipt after another. A device with more
 * ranges than fit gets several. Returns how many. */
size_t receipts_send(receipts *r, int64_t utc_ms, uint32_t pause_ms,
                     void (*send)(void *arg, const char *device, const uint8_t *bytes, size_t size),
                     void *arg);

#endif
