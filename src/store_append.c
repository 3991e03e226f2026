/* SPDX-License-Identifier: Apache-2.0 */
/* store_append.c - frames in, and when they are durable. */
#include "healthtel/decode.h"
#include "store_state.h"

#define READINGS_MAX 0xFFFFFFu
#define TICK_MAX 0xFFFFFFFFFFu
#define TRIES_MAX 8u /* blocks that may turn out bad one after another */

/* Log 0 has notes at the start of each block, and room for another ledger is to stay. */
#define LOG_0_BYTES (32u + 2u * (STORE_LOSSES_BYTES_MAX + 48u))

uint32_t store_frame_bytes_max(const store *s, uint8_t frame_class) {
  uint32_t taken = FORMAT_HEADER_BYTES + FORMAT_RECORD_BYTES +
                   (1u + STORE_SLOTS_SPARE) * slot_bytes(s) +
                   (frame_class == HTEL_CLASS_ALARM ? LOG_0_BYTES : 0);
  uint32_t bytes = (s->flash->block_bytes - taken) / 16u * 16u;
  return bytes < HTEL_FRAME_BYTES_MAX ? bytes : HTEL_FRAME_BYTES_MAX;
}

static void look_appended(store *s, const store_tail *tail, uint16_t block, const record *r) {
  store_look *l = &s->look;
  if (l->block != block) return;
  l->end = tail->end;
  if (r->kind != RECORD_FRAME) return;
  l->count = (uint16_t)(r->index + 1u);
  l->live++;
  l->freed[r->index / 8u] &= (uint8_t) ~(1u << r->index % 8u);
}

int append_record(store *s, uint8_t log, record *r, const uint8_t *payload, uint32_t *offset) {
  store_tail *tail = &s->tails[log];
  uint8_t bytes[FORMAT_RECORD_BYTES];
  r->behind = (uint8_t)(r->sequence - s->persisted);
  r->boot_low = (uint16_t)s->boot;
  r->payload_crc = htel_crc32(0, payload, r->size);
  format_record_write(r, bytes);
  for (unsigned i = 0; i < TRIES_MAX; i++) {
    uint16_t block = tail->block;
    int rc = flash_program(s, block, tail->end, bytes, sizeof bytes);
    if (rc == 0) rc = flash_program(s, block, tail->end + FORMAT_RECORD_BYTES, payload, r->size);
    if (rc == 0) {
      *offset = tail->end;
      tail->end += stride_of(s, r->size);
      look_appended(s, tail, block, r);
      return 0;
    }
    rc = move_block(s, block, true);
    if (rc == 0) continue;
    tail->block = STORE_NONE; /* what is in it can still be read, but nothing added */
    state_set(s, block, STATE_UNSEEN);
    return rc;
  }
  return HTEL_E_STORE;
}

static int check(const store *s, const store_frame *frame) {
  if (!s->begun) return HTEL_E_CLOSED;
  if (frame->frame_class >= STORE_LOGS || frame->boot != s->boot || frame->sequence <= s->sequence)
    return HTEL_E_ARGUMENT;
  if (frame->size > store_frame_bytes_max(s, frame->frame_class) ||
      frame->readings > READINGS_MAX || frame->tick_first > TICK_MAX ||
      frame->tick_last < frame->tick_first || frame->tick_last - frame->tick_first > UINT32_MAX)
    return HTEL_E_TOO_LARGE;
  return 0;
}

/* Whatever has to be before the frame: a limit on what is not durable, a boot that has not ended
 * after all, a pool from which a block can still be given up, an open block with room. */
int store_reserve(store *s, uint8_t frame_class, uint32_t size, uint32_t sequence) {
  int rc = 0;
  if (!s->begun) return HTEL_E_CLOSED;
  if (size > store_frame_bytes_max(s, frame_class)) return HTEL_E_TOO_LARGE;
  if (sequence - s->persisted > STORE_UNSYNCED_MAX) rc = store_sync(s);
  if (rc == 0) rc = room_pool_raise(s, room_spare(s));
  if (rc == 0 && s->ended) rc = boot_resume(s);
  if (rc == 0) rc = room_tend(s, size);
  if (rc != 0 || room_fits(s, frame_class, size, true)) return rc;
  return room_open(s, frame_class, size);
}

bool store_was_durable(const store *s, uint32_t sequence) {
  return s->ended || sequence <= s->proven;
}

int store_append(store *s, store_frame *frame, const uint8_t *bytes) {
  int rc = check(s, frame);
  if (rc == 0) rc = store_reserve(s, frame->frame_class, frame->size, frame->sequence);
  if (rc == 0 && frame->sequence - s->persisted > STORE_UNSYNCED_MAX)
    return HTEL_E_ARGUMENT; /* numbers were used that no ledger tells of */
  if (rc != 0) return rc;
  store_tail *tail = &s->tails[frame->frame_class];
  record r = {.kind = RECORD_FRAME,
              .size = (uint16_t)frame->size,
              .sequence = frame->sequence,
              .index = tail->count,
              .readings = frame->readings,
              .tick_first = frame->tick_first,
              .tick_span = (uint32_t)(frame->tick_last - frame->tick_first)};
  rc = append_record(s, frame->frame_class, &r, bytes, &frame->offset);
  if (rc != 0) return rc;
  s->sequence = frame->sequence;
  frame->serial = s->blocks[tail->block].serial;
  frame->index = tail->count++;
  frame->ordinal = tail->ordinal_next++;
  frame->lost = 0;
  return 0;
}

int store_sync(store *s) {
  if (!s->dirty) {
    s->persisted = s->sequence;
    return 0;
  }
  if (!PLANT(11) && s->flash->sync(s->flash->ctx) != 0) return HTEL_E_STORE;
  s->stats.syncs++;
  s->dirty = false;
  s->evict_unsynced = false;
  s->slots_unsynced = 0;
  s->persisted = s->sequence;
  if (s->counts[STATE_GOING] + s->counts[STATE_ERASED] == 0) return 0;
  for (uint16_t i = 0; i < s->flash->block_count; i++) {
    if (s->blocks[i].state == STATE_GOING) state_set(s, i, STATE_GONE);
    if (s->blocks[i].state == STATE_ERASED) state_set(s, i, STATE_READY);
  }
  return 0;
}

uint32_t store_persisted(const store *s) {
  return s->persisted;
}
