/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_post.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 4096u
#define ROOM_KEPT 65536u /* when it is empty */

/* How a message begins in the ring; topic with its NUL and payload follow. */
typedef struct post_head {
  int64_t sent_ms;
  uint32_t device, topic_size, size;
} post_head;

void sim_post_free(sim_post *p) {
  free(p->bytes);
  free(p->taken);
  *p = (sim_post){0};
}

void sim_post_clear(sim_post *p) {
  p->first = p->used = 0;
  p->count = 0;
}

static void ring_read(const sim_post *p, size_t at, void *to, size_t size) {
  at = (p->first + at) % p->room;
  size_t whole = size < p->room - at ? size : p->room - at;
  memcpy(to, p->bytes + at, whole);
  if (size > whole) memcpy((uint8_t *)to + whole, p->bytes, size - whole);
}

static void ring_add(sim_post *p, const void *from, size_t size) {
  size_t at = (p->first + p->used) % p->room;
  size_t whole = size < p->room - at ? size : p->room - at;
  memcpy(p->bytes + at, from, whole);
  if (size > whole) memcpy(p->bytes, (const uint8_t *)from + whole, size - whole);
  p->used += size;
}

static bool ring_grow(sim_post *p, size_t more) {
  if (p->room - p->used >= more) return true;
  size_t room = p->room > 0 ? p->room : ROOM_MIN;
  while (room - p->used < more) room *= 2u;
  uint8_t *bytes = malloc(room);
  if (bytes == NULL) return false;
  if (p->used > 0) ring_read(p, 0, bytes, p->used);
  free(p->bytes);
  p->bytes = bytes;
  p->room = room;
  p->first = 0;
  return true;
}

bool sim_post_put(sim_post *p, const sim_message *message) {
  post_head head = {.sent_ms = message->sent_ms,
                    .device = message->device,
                    .topic_size = (uint32_t)strlen(message->topic) + 1u,
                    .size = (uint32_t)message->size};
  if (!ring_grow(p, sizeof head + head.topic_size + head.size)) return false;
  ring_add(p, &head, sizeof head);
  ring_add(p, message->topic, head.topic_size);
  if (head.size > 0) ring_add(p, message->payload, head.size);
  p->count++;
  return true;
}

bool sim_post_take(sim_post *p, sim_message *out) {
  if (p->count == 0) return false;
  post_head head;
  ring_read(p, 0, &head, sizeof head);
  size_t size = (size_t)head.topic_size + head.size;
  if (size > p->taken_room) {
    uint8_t *taken = realloc(p->taken, 2u * size);
    if (taken == NULL) return false;
    p->taken = taken;
    p->taken_room = 2u * size;
  }
  ring_read(p, sizeof head, p->taken, size);
  p->first = (p->first + sizeof head + size) % p->room;
  p->used -= sizeof head + size;
  if (--p->count == 0 && p->room > ROOM_KEPT) {
    free(p->bytes);
    p->bytes = NULL;
    p->room = p->first = 0;
  }
  *out = (sim_message){.topic = (const char *)p->taken,
                       .payload = p->taken + head.topic_size,
                       .size = head.size,
                       .device = head.device,
                       .sent_ms = head.sent_ms};
  return true;
}

/* ---- Retained ------------------------------------------------------------------------------ */

uint32_t sim_text_hash(const char *text) {
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (; *text != '\0'; text++) hash = (hash ^ (uint8_t)*text) * 16777619u;
  return hash | 1u; /* never 0 */
}

void sim_shelf_clear(sim_shelf *s) {
  for (uint32_t i = 0; i < s->count; i++) free(s->kept[i]);
  free(s->kept);
  *s = (sim_shelf){0};
}

static uint32_t shelf_find(const sim_shelf *s, uint32_t hash, const char *topic) {
  for (uint32_t i = 0; i < s->count; i++)
    if (s->kept[i]->hash == hash && strcmp(s->kept[i]->message.topic, topic) == 0) return i;
  return s->count;
}

static sim_kept *kept_new(const sim_message *message, uint32_t hash) {
  size_t topic_size = strlen(message->topic) + 1u;
  sim_kept *k = malloc(sizeof *k + topic_size + message->size);
  if (k == NULL) return NULL;
  char *topic = (char *)(k + 1);
  uint8_t *payload = (uint8_t *)topic + topic_size;
  memcpy(topic, message->topic, topic_size);
  memcpy(payload, message->payload, message->size);
  *k = (sim_kept){hash, *message};
  k->message.topic = topic;
  k->message.payload = payload;
  return k;
}

static void shelf_drop(sim_shelf *s, uint32_t at) {
  free(s->kept[at]);
  memmove(s->kept + at, s->kept + at + 1, (--s->count - at) * sizeof *s->kept);
}

bool sim_shelf_put(sim_shelf *s, const sim_message *message) {
  uint32_t hash = sim_text_hash(message->topic);
  uint32_t at = shelf_find(s, hash, message->topic);
  if (message->size == 0) {
    if (at < s->count) shelf_drop(s, at);
    return true;
  }
  if (at == s->room) {
    uint32_t room = s->room == 0 ? 16u : 2u * s->room;
    sim_kept **kept = realloc(s->kept, room * sizeof *kept);
    if (kept == NULL) return false;
    s->kept = kept;
    s->room = room;
  }
  sim_kept *k = kept_new(message, hash);
  if (k == NULL) return false;
  if (at == s->count)
    s->count++;
  else
    free(s->kept[at]);
  s->kept[at] = k;
  return true;
}
