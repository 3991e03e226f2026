/* SPDX-License-Identifier: Apache-2.0 */
/* birth.c - see birth.h. The message is written by nanopb into a stream that keeps nothing: one
 * that counts (size), one that sums (schema), one that lets a window's bytes through (read). */
#include "birth.h"

#include <pb_encode.h>
#include <string.h>

#include "healthtel/decode.h"
#include "proto.h"

#define BIRTH_FORMAT 1u

static bool string_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg) {
  const char *text = *arg;
  if (!text || !*text) return true;
  return pb_encode_tag_for_field(stream, field) &&
         pb_encode_string(stream, (const pb_byte_t *)text, strlen(text));
}

/* What counts as a default in the configuration is written as one, so that it gives one schema. */
static void channel_fill(healthtel_v1_Channel *message, const htel_channel *channel) {
  message->code = channel->code;
  message->index = channel->index;
  message->kind = (healthtel_v1_Kind)channel->kind;
  message->name.funcs.encode = string_encode;
  message->name.arg = proto_arg(channel->name);
  message->unit.funcs.encode = string_encode;
  message->unit.arg = proto_arg(channel->unit && *channel->unit ? channel->unit : HTEL_UNIT_ONE);
  message->rate_num = channel->rate.num;
  message->rate_den = channel->rate.num != 0 && channel->rate.den != 1 ? channel->rate.den : 0;
  message->gain = channel->gain == 1 ? 0 : channel->gain;
  message->offset = channel->offset;
  message->exponent = channel->exponent;
}

static bool channels_encode(pb_ostream_t *stream, const pb_field_t *field, void *const *arg) {
  const birth_source *source = *arg;
  for (uint16_t i = 0; i < source->channel_count; i++) {
    healthtel_v1_Channel message = healthtel_v1_Channel_init_zero;
    channel_fill(&message, &source->channels[i]);
    if (!pb_encode_tag_for_field(stream, field) ||
        !pb_encode_submessage(stream, healthtel_v1_Channel_fields, &message)) {
      return false;
    }
  }
  return true;
}

static bool birth_encode(const birth_source *source, pb_ostream_t *stream) {
  healthtel_v1_Birth message = healthtel_v1_Birth_init_zero;
  message.format = BIRTH_FORMAT;
  message.firmware.funcs.encode = string_encode;
  message.firmware.arg = proto_arg(source->firmware);
  message.channels.funcs.encode = channels_encode;
  message.channels.arg = proto_arg(source);
  return pb_encode(stream, healthtel_v1_Birth_fields, &message);
}

uint32_t birth_size(const birth_source *source) {
  pb_ostream_t stream = PB_OSTREAM_SIZING;
  return birth_encode(source, &stream) ? (uint32_t)stream.bytes_written : 0;
}

static bool crc_write(pb_ostream_t *stream, const pb_byte_t *bytes, size_t count) {
  uint32_t *crc = stream->state;
  *crc = htel_crc32(*crc, bytes, count);
  return true;
}

uint32_t birth_schema(const birth_source *source) {
  uint32_t crc = 0;
  pb_ostream_t stream = {.callback = crc_write, .state = &crc, .max_size = SIZE_MAX};
  birth_encode(source, &stream);
  return crc;
}

typedef struct window {
  uint32_t skip; /* bytes before the window that are still to come */
  uint8_t *at;
  size_t left;
} window;

/* Fails when the window is full, which saves encoding the rest. */
static bool window_write(pb_ostream_t *stream, const pb_byte_t *bytes, size_t count) {
  window *w = stream->state;
  size_t skip = count < w->skip ? count : w->skip;
  w->skip -= (uint32_t)skip;
  size_t take = count - skip < w->left ? count - skip : w->left;
  if (take > 0) memcpy(w->at, bytes + skip, take);
  w->at += take;
  w->left -= take;
  return w->left > 0;
}

int birth_read(const birth_source *source, uint32_t offset, uint8_t *buf, size_t size) {
  if (size == 0) return 0;
  window w = {offset, buf, size};
  pb_ostream_t stream = {.callback = window_write, .state = &w, .max_size = SIZE_MAX};
  birth_encode(source, &stream);
  return w.left == 0 ? 0 : HTEL_E_ARGUMENT;
}
