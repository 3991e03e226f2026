/* SPDX-License-Identifier: Apache-2.0 */
/* memory_table.c - the sorted arrays of the store in memory, and its devices by hash. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory_parts.h"

#define BUCKETS_FIRST 64u

/* ---- Sorted arrays --------------------------------------------------------------------------- */

void *list_at(const mem_list *l, size_t item_bytes, uint32_t at) {
  return (char *)l->items + (size_t)at * item_bytes;
}

uint32_t list_find(const mem_list *l, size_t item_bytes, mem_before before, const void *key) {
  uint32_t low = 0, high = l->count;
  if (high == 0 || before(list_at(l, item_bytes, high - 1), key)) return high;
  high--;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (before(list_at(l, item_bytes, middle), key))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Grows by an eighth: there are many of these, and what lies idle in them adds up. */
static bool list_grow(memory_store *m, mem_device *d, mem_list *l, size_t item_bytes) {
  uint32_t more = l->room < 32 ? 4 : l->room / 8;
  void *items = realloc(l->items, ((size_t)l->room + more) * item_bytes);
  if (items == NULL) return false;
  l->items = items;
  l->room += more;
  d->bytes += more * item_bytes;
  m->bytes += more * item_bytes;
  return true;
}

void *list_insert(memory_store *m, mem_device *d, mem_list *l, size_t item_bytes, uint32_t at) {
  if (l->count == l->room && !list_grow(m, d, l, item_bytes)) return NULL;
  char *hole = list_at(l, item_bytes, at);
  memmove(hole + item_bytes, hole, (size_t)(l->count - at) * item_bytes);
  l->count++;
  return hole;
}

void list_remove(mem_list *l, size_t item_bytes, uint32_t at) {
  char *item = list_at(l, item_bytes, at);
  l->count--;
  memmove(item, item + item_bytes, (size_t)(l->count - at) * item_bytes);
}

/* ---- By key ---------------------------------------------------------------------------------- */

static bool boot_before(const void *item, const void *key) {
  return (int64_t)((const mem_boot *)item)->boot < (int64_t) * (const uint64_t *)key;
}

static bool frame_before(const void *item, const void *key) {
  return ((const mem_frame *)item)->sequence < *(const uint32_t *)key;
}

static bool anchor_before(const void *item, const void *key) {
  return (int64_t)((const mem_anchor *)item)->anchor.tick < (int64_t) * (const uint64_t *)key;
}

static bool key_is_before(mem_key a, mem_key b) {
  if (a.boot != b.boot) return (int64_t)a.boot < (int64_t)b.boot;
  return a.sequence < b.sequence;
}

static bool key_before(const void *item, const void *key) {
  return key_is_before(*(const mem_key *)item, *(const mem_key *)key);
}

static bool loss_before(const void *item, const void *key) {
  const store_loss_row *row = item;
  return key_is_before((mem_key){row->carrier_boot, row->loss.id}, *(const mem_key *)key);
}

static bool birth_before(const void *item, const void *key) {
  return ((const mem_birth *)item)->schema < *(const uint32_t *)key;
}

static bool digest_before(const void *item, const void *key) {
  return memcmp(item, key, DIGEST_BYTES) < 0;
}

mem_place boot_place(const mem_device *d, uint64_t boot) {
  uint32_t at = list_find(&d->boots, sizeof(mem_boot), boot_before, &boot);
  const mem_boot *boots = d->boots.items;
  return (mem_place){at, at < d->boots.count && boots[at].boot == boot};
}

mem_place frame_place(const mem_boot *b, uint32_t sequence) {
  uint32_t at = list_find(&b->frames, sizeof(mem_frame), frame_before, &sequence);
  const mem_frame *frames = b->frames.items;
  return (mem_place){at, at < b->frames.count && frames[at].sequence == sequence};
}

mem_place anchor_place(const mem_boot *b, uint64_t tick) {
  uint32_t at = list_find(&b->anchors, sizeof(mem_anchor), anchor_before, &tick);
  const mem_anchor *anchors = b->anchors.items;
  return (mem_place){at, at < b->anchors.count && anchors[at].anchor.tick == tick};
}

mem_place loss_place(const mem_device *d, uint64_t carrier_boot, uint32_t id) {
  mem_key key = {carrier_boot, id};
  uint32_t at = list_find(&d->losses, sizeof(store_loss_row), loss_before, &key);
  const store_loss_row *rows = d->losses.items;
  bool found =
      at < d->losses.count && rows[at].carrier_boot == carrier_boot && rows[at].loss.id == id;
  return (mem_place){at, found};
}

mem_place birth_place(const mem_device *d, uint32_t schema) {
  uint32_t at = list_find(&d->births, sizeof(mem_birth), birth_before, &schema);
  const mem_birth *births = d->births.items;
  return (mem_place){at, at < d->births.count && births[at].schema == schema};
}

mem_place digest_place(const mem_device *d, const uint8_t *digest) {
  uint32_t at = list_find(&d->digests, sizeof(mem_digest), digest_before, digest);
  const mem_digest *digests = d->digests.items;
  return (mem_place){at,
                     at < d->digests.count && memcmp(digests[at].bytes, digest, DIGEST_BYTES) == 0};
}

mem_place key_place(const mem_device *d, mem_key key) {
  uint32_t at = list_find(&d->keys, sizeof(mem_key), key_before, &key);
  const mem_key *keys = d->keys.items;
  return (mem_place){at, at < d->keys.count && !key_is_before(key, keys[at])};
}

mem_boot *boot_find(const mem_device *d, uint64_t boot) {
  mem_place place = boot_place(d, boot);
  return place.found ? list_at(&d->boots, sizeof(mem_boot), place.at) : NULL;
}

mem_boot *boot_need(memory_store *m, mem_device *d, uint64_t boot) {
  mem_place place = boot_place(d, boot);
  if (place.found) return list_at(&d->boots, sizeof(mem_boot), place.at);
  mem_boot *b = list_insert(m, d, &d->boots, sizeof *b, place.at);
  if (b != NULL) *b = (mem_boot){.boot = boot};
  return b;
}

/* ---- Devices --------------------------------------------------------------------------------- */

static uint32_t hash_of(const char *id) { /* FNV-1a */
  uint32_t hash = 2166136261u;
  for (; *id != '\0'; id++) hash = (hash ^ (uint8_t)*id) * 16777619u;
  return hash;
}

static mem_device *look_up(memory_store *m, const char *id, uint32_t hash) {
  if (m->bucket_count == 0) return NULL;
  mem_device *d = m->buckets[hash & (m->bucket_count - 1)];
  while (d != NULL && (d->hash != hash || strcmp(d->id, id) != 0)) d = d->next;
  if (d != NULL) m->last = d;
  return d;
}

mem_device *device_find(memory_store *m, const char *id) {
  mem_device *d = m->last;
  if (d == NULL || strcmp(d->id, id) != 0) d = look_up(m, id, hash_of(id));
  return d != NULL && d->known ? d : NULL;
}

static void hang_in(memory_store *m, mem_device *d) {
  mem_device **bucket = &m->buckets[d->hash & (m->bucket_count - 1)];
  d->next = *bucket;
  *bucket = d;
}

static bool buckets_grow(memory_store *m) {
  uint32_t count = m->bucket_count == 0 ? BUCKETS_FIRST : 2 * m->bucket_count;
  mem_device **buckets = calloc(count, sizeof(mem_device *));
  if (buckets == NULL) return false;
  free(m->buckets);
  m->buckets = buckets;
  m->bytes += (count - m->bucket_count) * sizeof(mem_device *);
  m->bucket_count = count;
  for (uint32_t i = 0; i < m->device_count; i++) hang_in(m, m->devices[i]);
  return true;
}

static bool devices_grow(memory_store *m) {
  uint32_t room = m->device_room == 0 ? 16 : 2 * m->device_room;
  mem_device **devices = realloc(m->devices, room * sizeof(mem_device *));
  if (devices == NULL) return false;
  m->devices = devices;
  m->bytes += (room - m->device_room) * sizeof(mem_device *);
  m->device_room = room;
  return true;
}

mem_device *device_need(memory_store *m, const char *id) {
  if (m->last != NULL && strcmp(m->last->id, id) == 0) return m->last;
  uint32_t hash = hash_of(id);
  mem_device *d = look_up(m, id, hash);
  if (d != NULL) return d;
  if (m->device_count == m->device_room && !devices_grow(m)) return NULL;
  if (m->device_count >= m->bucket_count && !buckets_grow(m)) return NULL;
  d = calloc(1, sizeof *d);
  if (d == NULL) return NULL;
  snprintf(d->id, sizeof d->id, "%s", id);
  d->hash = hash;
  d->bytes = sizeof *d;
  m->bytes += sizeof *d;
  hang_in(m, d);
  m->devices[m->device_count++] = d;
  m->sorted = false;
  return m->last = d;
}

static void device_free_one(mem_device *d) {
  mem_boot *boots = d->boots.items;
  for (uint32_t i = 0; i < d->boots.count; i++) {
    free(boots[i].frames.items);
    free(boots[i].anchors.items);
  }
  mem_birth *births = d->births.items;
  for (uint32_t i = 0; i < d->births.count; i++) free(births[i].bytes);
  free(d->boots.items);
  free(d->losses.items);
  free(d->births.items);
  free(d->digests.items);
  free(d->keys.items);
  free(d->alerts.items);
  free(d);
}

void device_free_all(memory_store *m) {
  for (uint32_t i = 0; i < m->device_count; i++) device_free_one(m->devices[i]);
  free(m->devices);
  free(m->buckets);
}

static int compare_ids(const void *left, const void *right) {
  const mem_device *const *a = left, *const *b = right;
  return strcmp((*a)->id, (*b)->id);
}

void devices_sort(memory_store *m) {
  if (m->sorted || m->device_count == 0) return;
  qsort(m->devices, m->device_count, sizeof(mem_device *), compare_ids);
  m->sorted = true;
}
