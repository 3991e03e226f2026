/* SPDX-License-Identifier: Apache-2.0 */
#include "births.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool births_open(births *b) {
  b->slots = calloc(BIRTHS_SLOTS, sizeof *b->slots);
  return b->slots != NULL;
}

void births_close(births *b) {
  free(b->slots);
  b->slots = NULL;
}

void births_forget(births *b) {
  for (unsigned i = 0; i < BIRTHS_SLOTS; i++) b->slots[i].device[0] = '\0';
}

int births_find(births *b, const store *s, const char *device, uint32_t schema,
                const htel_birth **birth) {
  uint32_t hash = htel_crc32(schema, device, strlen(device));
  births_slot *slot = &b->slots[hash % BIRTHS_SLOTS];
  *birth = &slot->birth;
  if (slot->birth.schema == schema && strcmp(slot->device, device) == 0) return STORE_OK;

  *birth = NULL;
  size_t size;
  int rc = s->birth_get(s->ctx, device, schema, b->bytes, sizeof b->bytes, &size);
  if (rc != STORE_OK || size == 0) return rc;
  slot->device[0] = '\0';
  if (htel_birth_decode(&slot->birth, b->bytes, size) < 0 || slot->birth.schema != schema)
    return STORE_OK; /* damaged in the store: as if it were not there, so it is asked for */
  snprintf(slot->device, sizeof slot->device, "%s", device);
  *birth = &slot->birth;
  return STORE_OK;
}

bool wanted_due(wanted *w, const char *device, int64_t now_ms, int64_t interval_ms) {
  uint32_t hash = htel_crc32(0, device, strlen(device)) | 1u; /* 0 is a free slot */
  uint32_t slot = hash / 2 % WANTED_SLOTS;
  if (w->slots[slot].hash == hash && now_ms - w->slots[slot].asked_ms < interval_ms) return false;
  w->slots[slot].hash = hash;
  w->slots[slot].asked_ms = now_ms;
  return true;
}
