/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - see frame.h. nanopb writes all fields but the checksum, in the order of their
 * numbers; the checksum is added behind them by hand, since it covers the bytes before it and must
 * be there even when it is 0, which protobuf would leave out. */
#include "frame.h"

#include <pb_encode.h>
#include <string.h>

#include "proto.h"

#define CRC_TAG 0x7Du /* field 15, fixed32 */
#define CRC_FIELD_BYTES 5u

static bool data_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg) {
  const frame_parts *parts = *arg;
  if (parts->data_bytes == 0) return true;
  return pb_encode_tag_for_field(stream, field) &&
         pb_encode_string(stream, parts->data, parts->data_bytes);
}

/* Our classes go by importance; on the wire the commonest is 0, which is left out. */
static healthtel_v1_FrameClass class_on_wire(uint8_t frame_class) {
  return (healthtel_v1_FrameClass)((frame_class + 2u) % 3u);
}

static bool anchors_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg) {
  const frame_parts *parts = *arg;
  for (uint16_t i = 0; i < parts->anchor_count; i++) {
    const htel_anchor *anchor = &parts->anchors[i];
    healthtel_v1_Anchor message = {anchor->tick, anchor->utc_ms, anchor->uncertainty_ms};
    if (!pb_encode_tag_for_field(stream, field) ||
        !pb_encode_submessage(stream, healthtel_v1_Anchor_fields, &message)) {
      return false;
    }
  }
  return true;
}

static bool losses_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg) {
  const frame_parts *parts = *arg;
  for (uint16_t i = 0; i < parts->loss_count; i++) {
    const htel_loss *loss = &parts->losses[i];
    healthtel_v1_Loss message = healthtel_v1_Loss_init_zero;
    message.cause = (healthtel_v1_Cause)loss->cause;
    message.boot = loss->boot == parts->boot ? 0 : loss->boot;
    message.channel = loss->channel;
    message.frame_class = class_on_wire(loss->frame_class);
    message.sequence_first = loss->sequence_first;
    message.sequence_last = loss->sequence_last;
    message.tick_first = loss->tick_first;
    message.tick_last = loss->tick_last;
    message.readings = loss->readings;
    message.at_most = loss->at_most;
    message.frames = loss->frames;
    message.id = loss->id;
    message.boot_last = loss->boot_last;
    if (!pb_encode_tag_for_field(stream, field) ||
        !pb_encode_submessage(stream, healthtel_v1_Loss_fields, &message)) {
      return false;
    }
  }
  return true;
}

/* Moves instead of copying, since `data` may lie in the very buffer that is written. */
static bool frame_write(pb_ostream_t *stream, const pb_byte_t *bytes, size_t count) {
  uint8_t *at = stream->state;
  memmove(at, bytes, count);
  stream->state = at + count;
  return true;
}

int frame_encode(const frame_parts *parts, uint8_t *out, size_t room) {
  if (room < CRC_FIELD_BYTES) return HTEL_E_TOO_LARGE;
  healthtel_v1_Frame message = healthtel_v1_Frame_init_zero;
  message.boot = parts->boot;
  message.sequence = parts->sequence;
  message.frame_class = class_on_wire(parts->frame_class);
  message.tick = parts->tick;
  message.schema = parts->schema;
  bool modelled = parts->coding == FRAME_MODELLED;
  message.coding = modelled ? 0 : (healthtel_v1_Coding)parts->coding;
  message.data_size = parts->coding == FRAME_DEFLATED ? parts->data_size : 0;
  pb_callback_t *data = modelled ? &message.columns : &message.data;
  data->funcs.encode = data_encode;
  data->arg = proto_arg(parts);
  message.session = parts->session;
  message.anchors.funcs.encode = anchors_encode;
  message.anchors.arg = proto_arg(parts);
  message.losses.funcs.encode = losses_encode;
  message.losses.arg = proto_arg(parts);

  pb_ostream_t stream = {.callback = frame_write, .state = out, .max_size = room - CRC_FIELD_BYTES};
  if (!pb_encode(&stream, healthtel_v1_Frame_fields, &message)) return HTEL_E_TOO_LARGE;

  size_t size = stream.bytes_written;
  uint32_t crc = htel_crc32(0, out, size);
  out[size++] = CRC_TAG;
  for (unsigned shift = 0; shift < 32; shift += 8) out[size++] = (uint8_t)(crc >> shift);
  return (int)size;
}

int status_encode(bool online, uint64_t boot, uint8_t *out, size_t room) {
  healthtel_v1_Status message = {online, boot};
  pb_ostream_t stream = pb_ostream_from_buffer(out, room);
  if (!pb_encode(&stream, healthtel_v1_Status_fields, &message)) return HTEL_E_TOO_LARGE;
  return (int)stream.bytes_written;
}
