/* SPDX-License-Identifier: Apache-2.0 */
#include "pack.h"

#include "frame.h"
#include "model.h"
#include "plant.h"
#include "zip.h"

#define ZIP_REST_FRAMES 7u /* waveform frames that zlib is not tried on after it did not pay */
#define ANCHORS_WAITING_MAX ((uint8_t)(sizeof((htel *)0)->anchors / sizeof(htel_anchor)))

void pack_anchor(htel *tel) {
  if (PLANT(24)) return;
  /* A clock that jumps faster than frames are closed: the newest anchors matter most. */
  if (tel->anchor_count == ANCHORS_WAITING_MAX) {
    for (uint8_t i = 1; i < ANCHORS_WAITING_MAX; i++) tel->anchors[i - 1] = tel->anchors[i];
    tel->anchor_count--;
  }
  tel->anchors[tel->anchor_count++] = tel->time.anchor;
}

bool pack_system_waiting(const htel *tel) {
  return tel->anchor_count > 0 || loss_waiting(&tel->losses);
}

void pack_evicted(htel *tel, const outbox_entry *entry) {
  if (!PLANT(27)) loss_evicted(&tel->losses, entry);
  tel->stats.frames_evicted++;
  tel->stats.readings_evicted += entry->readings;
  if (entry->frame_class != HTEL_CLASS_ALARM) return;
  loss_returned(&tel->losses, entry->token);
  if (tel->time.known && tel->anchor_count == 0)
    pack_anchor(tel); /* it may have carried the only one */
}

/* False: it is the newcomer that must go. */
static bool evict(htel *tel, uint8_t frame_class) {
  outbox *o = &tel->outbox;
  if (o->code != NULL) return o->code->evict(tel, frame_class);
  outbox_entry *victim = outbox_victim(o, frame_class);
  if (victim == NULL) return false;
  pack_evicted(tel, victim);
  outbox_free(o, victim);
  return true;
}

/* Room for a frame, evicting what must go; NULL when it is the newcomer that must. */
static uint8_t *make_room(htel *tel, uint8_t frame_class, uint32_t size) {
  outbox *o = &tel->outbox;
  for (;;) { /* each round frees a frame */
    uint8_t *out =
        o->code != NULL ? o->code->reserve(tel, frame_class, size) : outbox_reserve(o, size);
    if (out != NULL || !evict(tel, frame_class)) return out;
  }
}

/* Anchors and loss records that fit come along; bytes that they add at most. */
static uint32_t take_company(htel *tel, frame_parts *parts, htel_loss losses[LOSS_ENTRIES],
                             uint32_t room, bool with_losses) {
  uint32_t fit = room / FRAME_ANCHOR_BYTES_MAX;
  parts->anchors = tel->anchors;
  parts->anchor_count = (uint16_t)(tel->anchor_count < fit ? tel->anchor_count : fit);
  uint32_t bytes = parts->anchor_count * FRAME_ANCHOR_BYTES_MAX;
  fit = (room - bytes) / FRAME_LOSS_BYTES_MAX;
  if (fit > LOSS_ENTRIES) fit = LOSS_ENTRIES;
  parts->losses = losses;
  if (with_losses)
    parts->loss_count = loss_take(&tel->losses, parts->sequence, losses, (uint16_t)fit);
  return bytes + parts->loss_count * FRAME_LOSS_BYTES_MAX;
}

/* Has zlib try its luck, straight into the frame's place or just behind it: frame_encode moves it
 * down. Waveforms seldom deflate, and trying costs more than all else: after a failure it rests. */
static void compress(htel *tel, frame_parts *parts, uint8_t *out) {
  if (tel->zip == NULL || parts->data_bytes == 0) return;
  bool waveform = parts->frame_class == HTEL_CLASS_WAVEFORM;
  if (waveform && tel->zip_rest > 0) {
    tel->zip_rest--;
    return;
  }
  uint8_t *to = out + FRAME_ENVELOPE_BYTES_MAX;
  size_t zipped =
      zip_blocks(tel->zip, tel->zip_bytes, tel->channels, tel->channel_count, parts->data,
                 parts->data_bytes, to, parts->data_bytes, &parts->data_size);
  if (waveform && zipped == 0) tel->zip_rest = ZIP_REST_FRAMES;
  if (zipped == 0) return;
  parts->coding = FRAME_DEFLATED;
  parts->data = to;
  parts->data_bytes = zipped;
}

/* The whole frame as columns, straight into its place as above; or its blocks made smaller. */
static void model(htel *tel, frame_parts *parts, uint8_t *blocks, uint8_t *out) {
  if (parts->frame_class == HTEL_CLASS_ALARM || parts->data_bytes == 0) return;
  uint8_t *to = out + FRAME_ENVELOPE_BYTES_MAX;
  bool modelled;
  parts->data_bytes = model_write(tel->zip, tel->channels, tel->channel_count, blocks,
                                  parts->data_bytes, to, &modelled);
  if (!modelled) return;
  parts->coding = FRAME_MODELLED;
  parts->data = to;
}

/* False: the flash did not take it. */
static bool keep(htel *tel, outbox_entry *entry, uint16_t anchor_count) {
  const htel_outbox_code *code = tel->outbox.code;
  if (code != NULL) {
    if (code->commit(tel, entry) != 0) return false;
  } else {
    outbox_commit(&tel->outbox, entry);
  }
  tel->stats.payload_bytes += entry->size;
  for (uint16_t i = anchor_count; i < tel->anchor_count; i++)
    tel->anchors[i - anchor_count] = tel->anchors[i];
  tel->anchor_count = (uint8_t)(tel->anchor_count - anchor_count);
  return true;
}

static void pack_frame(htel *tel, uint8_t frame_class, bool with_losses) {
  const batch_frame *f = &tel->batch.frames[frame_class];
  htel_loss losses[LOSS_ENTRIES];
  frame_parts parts = {.boot = tel->boot,
                       .sequence = tel->sequence_next,
                       .frame_class = frame_class,
                       .tick = f->used > 0 ? f->tick : tel->time.now,
                       .schema = tel->schema,
                       .session = tel->session,
                       .data = f->blocks,
                       .data_bytes = f->used};
  uint32_t size = FRAME_ENVELOPE_BYTES_MAX + f->used;
  if (frame_class == HTEL_CLASS_ALARM)
    size += take_company(tel, &parts, losses, tel->frame_bytes_max - size, with_losses);
  if (f->used == 0 && parts.anchor_count == 0 && parts.loss_count == 0) return;

  tel->sequence_next++;
  tel->stats.frames_closed++;
  outbox_entry entry = {.boot = tel->boot,
                        .token = parts.sequence,
                        .sequence = parts.sequence,
                        .ordinal = tel->ordinal_next[frame_class]++,
                        .readings = f->readings,
                        .tick_first = f->readings > 0 ? f->tick_first : parts.tick,
                        .tick_last = f->readings > 0 ? f->tick_last : parts.tick,
                        .frame_class = frame_class,
                        .state = OUTBOX_WAITING};
  uint8_t *out = make_room(tel, frame_class, size);
  int bytes = HTEL_E_FULL;
  if (out != NULL) {
    if (tel->coding == HTEL_CODING_ZLIB) compress(tel, &parts, out);
    if (HEALTHTEL_BEST && tel->coding == HTEL_CODING_BEST) model(tel, &parts, f->blocks, out);
    bytes = frame_encode(&parts, out, size);
  }
  entry.size = entry.kept = (uint32_t)bytes;
  /* A frame that cannot stay is as if it had been evicted at once. */
  if (bytes < 0 || !keep(tel, &entry, parts.anchor_count)) pack_evicted(tel, &entry);
}

void pack_class(htel *tel, uint8_t frame_class, bool with_losses) {
  bool all;
  do { /* each round empties at least one column: any single one fits into an empty frame */
    all = batch_flush(&tel->batch, frame_class);
    pack_frame(tel, frame_class, with_losses);
    batch_taken(&tel->batch, frame_class);
  } while (!all);
}
