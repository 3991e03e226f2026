/* SPDX-License-Identifier: Apache-2.0 */
/* decode.c - births and frames as messages: what came from outside, checked into plain structs.
 * The readings inside a frame are read by reader.c.
 *
 * nanopb parses; what it would take silently is looked for before (a newer format, an
 * encryption header, a second checksum) or after (ranges of numbers). */
#include "healthtel/decode.h"

#include <pb_decode.h>
#include <string.h>

#include "frame.h"
#include "proto.h"

#define BIRTH_FORMAT 1u
#define RATE_PART_MAX 1000000u
#define EXPONENT_MAX 12

#define CRC_TAG 0x7Du /* field 15, fixed32 */
#define CRC_FIELD_BYTES 5u
#define FIELD_ENCRYPTION 12u
#define FIELD_CRC 15u

/* ---- Birth ------------------------------------------------------------------------------ */

/* Where a string goes, and what was wrong with it: nanopb's callbacks can only say "no". */
typedef struct text_room {
  char *text;
  size_t chars_max;
  int *error;
} text_room;

/* Printable ASCII alone: names end up in terminals, logs and CSV files. */
static bool text_decode(pb_istream_t *stream, const pb_field_t *field, void **arg) {
  (void)field;
  text_room *room = *arg;
  size_t size = stream->bytes_left;
  if (size > room->chars_max) {
    *room->error = HTEL_E_TOO_LARGE;
    return false;
  }
  if (!pb_read(stream, (pb_byte_t *)room->text, size)) return false;
  room->text[size] = '\0';
  for (size_t i = 0; i < size; i++) {
    if (room->text[i] < 0x20 || room->text[i] > 0x7E) return false;
  }
  return true;
}

/* Whether the fields from `first` to `last` are strings or messages, wherever they come: where one
 * is a number, nanopb would hand its bytes over as if they were one. */
static bool fields_are_bytes(pb_istream_t stream, uint32_t first, uint32_t last) {
  pb_wire_type_t type;
  uint32_t field;
  bool end;
  while (pb_decode_tag(&stream, &type, &field, &end)) {
    if (field >= first && field <= last && type != PB_WT_STRING) return false;
    if (!pb_skip_field(&stream, type)) return false;
  }
  return end;
}

typedef struct birth_room {
  htel_birth *birth;
  int error; /* HTEL_E_FORMAT unless something more precise is known */
} birth_room;

static bool rate_is_right(const healthtel_v1_Channel *message) {
  if (message->kind == healthtel_v1_Kind_KIND_ALARM) return message->rate_num == 0;
  if (message->kind == healthtel_v1_Kind_KIND_WAVEFORM && message->rate_num == 0) return false;
  return message->rate_num <= RATE_PART_MAX && message->rate_den <= RATE_PART_MAX;
}

static bool channel_is_new(const htel_birth *birth, const htel_birth_channel *channel) {
  for (uint16_t i = 0; i < birth->channel_count; i++) {
    const htel_birth_channel *other = &birth->channels[i];
    if (other->code == channel->code && other->index == channel->index) return false;
  }
  return true;
}

static bool channel_decode(pb_istream_t *stream, const pb_field_t *field, void **arg) {
  (void)field;
  birth_room *room = *arg;
  htel_birth *birth = room->birth;
  if (birth->channel_count == HTEL_CHANNELS_MAX) {
    room->error = HTEL_E_TOO_LARGE;
    return false;
  }
  htel_birth_channel *channel = &birth->channels[birth->channel_count];
  text_room name = {channel->name, HTEL_NAME_CHARS_MAX, &room->error};
  text_room unit = {channel->unit, HTEL_UNIT_CHARS_MAX, &room->error};
  healthtel_v1_Channel message = healthtel_v1_Channel_init_zero;
  message.name.funcs.decode = text_decode;
  message.name.arg = &name;
  message.unit.funcs.decode = text_decode;
  message.unit.arg = &unit;
  if (!fields_are_bytes(*stream, healthtel_v1_Channel_name_tag, healthtel_v1_Channel_unit_tag))
    return false;
  if (!pb_decode(stream, healthtel_v1_Channel_fields, &message)) return false;

  if ((uint32_t)message.kind > HTEL_ALARM || !rate_is_right(&message)) return false;
  if (message.exponent < -EXPONENT_MAX || message.exponent > EXPONENT_MAX) return false;
  channel->code = message.code;
  channel->index = message.index;
  channel->kind = (uint8_t)message.kind;
  channel->rate.num = message.rate_num;
  channel->rate.den = message.rate_den == 0 ? 1 : message.rate_den;
  channel->gain = message.gain == 0 ? 1 : message.gain;
  channel->offset = message.offset;
  channel->exponent = message.exponent;
  if (channel->unit[0] == '\0') memcpy(channel->unit, HTEL_UNIT_ONE, sizeof HTEL_UNIT_ONE);
  if (!channel_is_new(birth, channel)) return false;
  birth->channel_count++;
  return true;
}

/* The format comes first, so that a newer message is known for one whatever follows. */
static int format_check(const uint8_t *bytes, size_t size) {
  pb_istream_t stream = pb_istream_from_buffer(bytes, size);
  pb_wire_type_t type;
  uint32_t field, format;
  bool end;
  if (!pb_decode_tag(&stream, &type, &field, &end)) return HTEL_E_FORMAT;
  if (field != healthtel_v1_Birth_format_tag || type != PB_WT_VARINT) return HTEL_E_FORMAT;
  if (!pb_decode_varint32(&stream, &format)) return HTEL_E_FORMAT;
  return format > BIRTH_FORMAT ? HTEL_E_VERSION : 0;
}

int htel_birth_decode(htel_birth *birth, const uint8_t *bytes, size_t size) {
  memset(birth, 0, sizeof *birth);
  if (size > HTEL_FRAME_BYTES_MAX) return HTEL_E_TOO_LARGE;
  int rc = format_check(bytes, size);
  if (rc != 0) return rc;

  birth_room room = {birth, HTEL_E_FORMAT};
  text_room firmware = {birth->firmware, HTEL_NAME_CHARS_MAX, &room.error};
  healthtel_v1_Birth message = healthtel_v1_Birth_init_zero;
  message.firmware.funcs.decode = text_decode;
  message.firmware.arg = &firmware;
  message.channels.funcs.decode = channel_decode;
  message.channels.arg = &room;
  pb_istream_t stream = pb_istream_from_buffer(bytes, size);
  if (!fields_are_bytes(stream, healthtel_v1_Birth_firmware_tag, healthtel_v1_Birth_channels_tag))
    return HTEL_E_FORMAT;
  if (!pb_decode(&stream, healthtel_v1_Birth_fields, &message)) return room.error;
  if (message.format != BIRTH_FORMAT || birth->channel_count == 0) return HTEL_E_FORMAT;
  birth->format = message.format;
  birth->schema = htel_crc32(0, bytes, size);
  return 0;
}

/* ---- Frame ------------------------------------------------------------------------------ */

typedef struct frame_room {
  htel_frame *frame;
  int error;
} frame_room;

/* Leaves the bytes where they are: a stream over memory has its place there as its state. */
static bool data_decode(pb_istream_t *stream, const pb_field_t *field, void **arg) {
  (void)field;
  htel_frame *frame = *arg;
  if (frame->data != NULL) return false; /* there is one at most */
  frame->data = stream->state;
  frame->data_bytes = stream->bytes_left;
  return pb_read(stream, NULL, stream->bytes_left);
}

static bool anchor_decode(pb_istream_t *stream, const pb_field_t *field, void **arg) {
  (void)field;
  frame_room *room = *arg;
  htel_frame *frame = room->frame;
  if (frame->anchor_count == HTEL_ANCHORS_MAX) {
    room->error = HTEL_E_TOO_LARGE;
    return false;
  }
  healthtel_v1_Anchor message = healthtel_v1_Anchor_init_zero;
  if (!pb_decode(stream, healthtel_v1_Anchor_fields, &message)) return false;
  htel_anchor *anchor = &frame->anchors[frame->anchor_count++];
  anchor->tick = message.tick;
  anchor->utc_ms = message.utc_ms;
  anchor->uncertainty_ms = message.uncertainty_ms;
  return true;
}

/* A reader may go through the range, or subtract: it must make sense. */
static bool loss_is_right(const htel_loss *loss) {
  if (loss->cause != HTEL_CAUSE_OUTBOX_FULL) return true;
  if (loss->sequence_first < 1 || loss->sequence_first > loss->sequence_last) return false;
  if (loss->boot_last != 0) return true; /* the range of several boots */
  return loss->frames == 0 || loss->frames - 1 <= loss->sequence_last - loss->sequence_first;
}

/* An enum's number, which a compiler with short enums has checked already. */
static bool is_byte(uint32_t number) {
  return number <= UINT8_MAX;
}

static uint8_t class_of(uint32_t on_wire) {
  return on_wire >= HTEL_CLASS_COUNT ? (uint8_t)on_wire : (uint8_t)((on_wire + 1u) % 3u);
}

static bool loss_decode(pb_istream_t *stream, const pb_field_t *field, void **arg) {
  (void)field;
  frame_room *room = *arg;
  htel_frame *frame = room->frame;
  if (frame->loss_count == HTEL_LOSSES_MAX) {
    room->error = HTEL_E_TOO_LARGE;
    return false;
  }
  healthtel_v1_Loss message = healthtel_v1_Loss_init_zero;
  if (!pb_decode(stream, healthtel_v1_Loss_fields, &message)) return false;
  if (!is_byte((uint32_t)message.cause) || !is_byte((uint32_t)message.frame_class)) return false;
  htel_loss *loss = &frame->losses[frame->loss_count++];
  loss->cause = (uint8_t)message.cause;
  loss->boot = message.boot; /* 0: filled in below, when the frame's is known */
  loss->channel = message.channel;
  loss->frame_class = class_of((uint32_t)message.frame_class);
  loss->sequence_first = message.sequence_first;
  loss->sequence_last = message.sequence_last;
  loss->tick_first = message.tick_first;
  loss->tick_last = message.tick_last;
  loss->readings = message.readings;
  loss->at_most = message.at_most;
  loss->frames = message.frames;
  loss->id = message.id;
  loss->boot_last = message.boot_last;
  return loss_is_right(loss);
}

static bool columns_decode(pb_istream_t *stream, const pb_field_t *field, void **arg) {
  htel_frame *frame = *arg;
  if (frame->data != NULL) return false;
  frame->coding = FRAME_MODELLED;
  return data_decode(stream, field, arg);
}

static bool frame_parse(frame_room *room, healthtel_v1_Frame *message, const uint8_t *bytes,
                        size_t size) {
  message->data.funcs.decode = data_decode;
  message->data.arg = room->frame;
  message->columns.funcs.decode = columns_decode;
  message->columns.arg = room->frame;
  message->anchors.funcs.decode = anchor_decode;
  message->anchors.arg = room;
  message->losses.funcs.decode = loss_decode;
  message->losses.arg = room;
  pb_istream_t stream = pb_istream_from_buffer(bytes, size);
  return pb_decode(&stream, healthtel_v1_Frame_fields, message);
}

/* What nanopb would let pass. It steps over fields that it does not know: an encrypted frame would
 * be taken for a plain one, and what stands at or behind the checksum is no frame of ours. And a
 * number where bytes should be it would copy to a place of its own, where data must not point, and
 * read as an anchor or a loss that no other decoder sees. */
static int fields_check(const uint8_t *bytes, size_t size) {
  pb_istream_t stream = pb_istream_from_buffer(bytes, size);
  while (stream.bytes_left > 0) {
    pb_wire_type_t type;
    uint32_t field;
    bool end;
    if (!pb_decode_tag(&stream, &type, &field, &end)) return HTEL_E_FORMAT;
    if (field == FIELD_ENCRYPTION) return HTEL_E_UNSUPPORTED;
    if (field == 0 || field >= FIELD_CRC) return HTEL_E_FORMAT;
    bool is_bytes =
        field == healthtel_v1_Frame_data_tag || field == healthtel_v1_Frame_columns_tag ||
        field == healthtel_v1_Frame_anchors_tag || field == healthtel_v1_Frame_losses_tag;
    if (is_bytes && type != PB_WT_STRING) return HTEL_E_FORMAT;
    if (!pb_skip_field(&stream, type)) return HTEL_E_FORMAT;
  }
  return 0;
}

static int crc_check(const uint8_t *bytes, size_t size) {
  if (size < CRC_FIELD_BYTES) return HTEL_E_FORMAT;
  const uint8_t *field = bytes + size - CRC_FIELD_BYTES;
  if (field[0] != CRC_TAG) return HTEL_E_FORMAT;
  uint32_t crc = 0;
  for (unsigned i = 0; i < 4; i++) crc |= (uint32_t)field[1 + i] << (8 * i);
  return crc == htel_crc32(0, bytes, size - CRC_FIELD_BYTES) ? 0 : HTEL_E_CRC;
}

/* Coding and data must agree. */
static int coding_check(const htel_frame *frame) {
  if (frame->coding == FRAME_MODELLED && frame->data_bytes == 0) return HTEL_E_FORMAT;
  if (frame->coding != FRAME_DEFLATED) {
    return frame->data_size == 0 ? 0 : HTEL_E_FORMAT;
  }
  bool sized = frame->data_size >= 1 && frame->data_size <= HTEL_INFLATED_BYTES_MAX;
  return sized && frame->data_bytes > 0 ? 0 : HTEL_E_FORMAT;
}

int htel_frame_decode(htel_frame *frame, const uint8_t *bytes, size_t size) {
  memset(frame, 0, sizeof *frame);
  if (size > HTEL_FRAME_BYTES_MAX) return HTEL_E_TOO_LARGE;
  int rc = crc_check(bytes, size);
  if (rc != 0) return rc;
  size -= CRC_FIELD_BYTES;
  rc = fields_check(bytes, size);
  if (rc != 0) return rc;

  frame_room room = {frame, HTEL_E_FORMAT};
  healthtel_v1_Frame message = healthtel_v1_Frame_init_zero;
  if (!frame_parse(&room, &message, bytes, size)) return room.error;
  if (message.sequence == 0 || (uint32_t)message.frame_class >= HTEL_CLASS_COUNT) {
    return HTEL_E_FORMAT;
  }
  if ((uint32_t)message.coding > healthtel_v1_Coding_CODING_DEFLATE) return HTEL_E_UNSUPPORTED;
  frame->boot = message.boot;
  frame->sequence = message.sequence;
  frame->frame_class = class_of((uint32_t)message.frame_class);
  if (frame->coding == FRAME_MODELLED && message.coding != 0) return HTEL_E_FORMAT;
  if (frame->coding != FRAME_MODELLED) frame->coding = (uint8_t)message.coding;
  frame->tick = message.tick;
  frame->session = message.session;
  frame->schema = message.schema;
  frame->data_size = message.data_size;
  rc = coding_check(frame);
  if (rc != 0) return rc;
  if (frame->coding != FRAME_DEFLATED) {
    frame->data_size = (uint32_t)frame->data_bytes;
  }
  for (uint16_t i = 0; i < frame->loss_count; i++) {
    if (frame->losses[i].boot == 0) frame->losses[i].boot = frame->boot;
  }
  return 0;
}
