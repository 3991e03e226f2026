/* SPDX-License-Identifier: Apache-2.0 */
/* core_peers.c - see core_peers.h. No queue stands before the encoders here: that is to their
 * advantage. The deflate state is made once and reset for each message. */
#include "core_peers.h"

#include <ck_ring.h>
#include <pb_encode.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "healthtel/decode.h"
#include "peer.pb.h"

#define SLOTS (2u * CORE_PEERS_RECORDS)
#define BATCH 3600u /* 10 s at 360 Hz */
#define SAMPLES_A_SECOND 360u
#define MESSAGE_BYTES 65536u

typedef struct slot {
  uint32_t tick;
  int32_t value;
  uint8_t channel, quality;
} slot;

CK_RING_PROTOTYPE(slots, slot)

struct core_peers {
  /* Queues. */
  pthread_mutex_t lock;
  uint32_t head, tail;
  slot queue[SLOTS];
  ck_ring_t ck;
  slot ck_slots[SLOTS];
  /* Encoders. */
  z_stream zlib[CORE_PEERS_PACKED + 1];
  uint32_t sequence, gathered;
  int32_t batch[BATCH];
  peer_Series series;
  uint8_t message[MESSAGE_BYTES], out[MESSAGE_BYTES];
};

core_peers *core_peers_open(void) {
  core_peers *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  pthread_mutex_init(&p->lock, NULL);
  z_stream *plain = &p->zlib[CORE_PEERS_PLAIN], *packed = &p->zlib[CORE_PEERS_PACKED];
  int rc = deflateInit2(plain, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
  if (rc == Z_OK) rc = deflateInit2(packed, 9, Z_DEFLATED, -9, 1, Z_DEFAULT_STRATEGY);
  core_peers_empty(p);
  if (rc == Z_OK) return p;
  core_peers_close(p);
  return NULL;
}

void core_peers_close(core_peers *p) {
  if (!p) return;
  for (int i = 0; i <= CORE_PEERS_PACKED; i++) deflateEnd(&p->zlib[i]);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

void core_peers_empty(core_peers *p) {
  p->head = p->tail = p->gathered = 0;
  ck_ring_init(&p->ck, SLOTS);
}

/* ---- Queues ---------------------------------------------------------------------------------- */

int core_peers_mutex(core_peers *p, uint8_t channel, int32_t value, uint32_t tick) {
  pthread_mutex_lock(&p->lock);
  bool room = p->head - p->tail < SLOTS;
  if (room) p->queue[p->head++ % SLOTS] = (slot){.tick = tick, .value = value, .channel = channel};
  pthread_mutex_unlock(&p->lock);
  return room ? 0 : -1;
}

int core_peers_ck(core_peers *p, uint8_t channel, int32_t value, uint32_t tick) {
  slot taken = {.tick = tick, .value = value, .channel = channel};
  return CK_RING_ENQUEUE_SPSC(slots, &p->ck, p->ck_slots, &taken) ? 0 : -1;
}

/* ---- Encoders -------------------------------------------------------------------------------- */

static bool readings_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg) {
  const core_peers *p = *arg;
  for (uint32_t i = 0; i < BATCH; i++) {
    peer_Reading reading = {
        .channel = 1, .tick = i * 1000u / SAMPLES_A_SECOND, .value = p->batch[i]};
    if (!pb_encode_tag_for_field(stream, field) ||
        !pb_encode_submessage(stream, peer_Reading_fields, &reading))
      return false;
  }
  return true;
}

static bool plain_encode(core_peers *p, pb_ostream_t *stream) {
  peer_Plain message = {.boot = 1,
                        .sequence = p->sequence,
                        .tick = p->sequence * 10000u,
                        .schema = 0x12345678,
                        .readings = {.funcs.encode = readings_encode, .arg = p}};
  return pb_encode(stream, peer_Plain_fields, &message);
}

static bool series_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg) {
  const core_peers *p = *arg;
  return pb_encode_tag_for_field(stream, field) &&
         pb_encode_submessage(stream, peer_Series_fields, &p->series);
}

static bool packed_encode(core_peers *p, pb_ostream_t *stream) {
  p->series.channel = 1;
  p->series.deltas_count = BATCH;
  p->series.deltas[0] = p->batch[0];
  for (uint32_t i = 1; i < BATCH; i++) p->series.deltas[i] = p->batch[i] - p->batch[i - 1];
  peer_Packed message = {.boot = 1,
                         .sequence = p->sequence,
                         .tick = p->sequence * 10000u,
                         .schema = 0x12345678,
                         .series = {.funcs.encode = series_encode, .arg = p}};
  return pb_encode(stream, peer_Packed_fields, &message);
}

static int deflated(core_peers *p, core_peers_form form, size_t size) {
  z_stream *z = &p->zlib[form];
  z->next_in = p->message;
  z->avail_in = (uInt)size;
  z->next_out = p->out;
  z->avail_out = sizeof p->out;
  if (deflateReset(z) != Z_OK || deflate(z, Z_FINISH) != Z_STREAM_END) return -1;
  return (int)z->total_out;
}

static int message_close(core_peers *p, core_peers_form form) {
  pb_ostream_t stream = pb_ostream_from_buffer(p->message, sizeof p->message);
  p->sequence++;
  if (!(form == CORE_PEERS_PLAIN ? plain_encode : packed_encode)(p, &stream)) return -1;
  int bytes = deflated(p, form, stream.bytes_written);
  if (bytes > 0) htel_crc32(0, p->out, (size_t)bytes); /* they would not go without one either */
  return bytes;
}

int core_peers_samples(core_peers *p, core_peers_form form, const int32_t *samples,
                       uint16_t count) {
  int closed = 0;
  while (count > 0 && closed >= 0) {
    uint32_t room = BATCH - p->gathered;
    uint32_t n = count < room ? count : room;
    memcpy(p->batch + p->gathered, samples, n * sizeof *samples);
    p->gathered += n;
    samples += n;
    count = (uint16_t)(count - n);
    if (p->gathered < BATCH) continue;
    p->gathered = 0;
    closed = message_close(p, form);
  }
  return closed;
}
