/* SPDX-License-Identifier: Apache-2.0 */
/* peers.h - other ways to send the same readings, each by an encoder that is in use.
 *
 * Each gets the rows of one frame and says how many bytes its message has. Nothing is left out to
 * make it look worse: where a form has a choice, docs/SIZES.md says which one was taken. */
#ifndef HTEL_TESTS_PEERS_H
#define HTEL_TESTS_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEERS_MAX 12u
#define PEER_EPOCH_MS INT64_C(1760000000000) /* Unix time of row 0 where a recording has none */

struct codec_input;

/* Bytes that grow. */
typedef struct peer_buffer {
  uint8_t *bytes;
  size_t size, room;
  bool failed; /* out of memory; what is added is lost */
} peer_buffer;

void peer_buffer_reserve(peer_buffer *b, size_t more);
void peer_buffer_add(peer_buffer *b, const void *bytes, size_t size);
void peer_buffer_free(peer_buffer *b);

/* Rows of a recording that travel together. */
typedef struct peer_rows {
  const struct codec_input *in;
  uint64_t first, count;
  uint32_t sequence;
} peer_rows;

typedef struct peer {
  const char *name; /* in JSON */
  const char *head; /* of a column */
  const char *what;
  bool waves_only;
  bool whole;                              /* the recording at once, not frame by frame */
  int64_t (*bytes)(const peer_rows *rows); /* -1: it failed */
} peer;

extern const peer peers[];
extern const size_t peer_count;

/* Bytes of all frames (or of the whole recording), or -1 with a message on stderr. */
int64_t peer_total(const peer *p, const struct codec_input *in);

int64_t peer_time_ms(const struct codec_input *in, uint64_t row); /* Unix time */

/* The messages, behind what is in `out`. */
void peer_json(const peer_rows *rows, peer_buffer *out);
void peer_senml(const peer_rows *rows, peer_buffer *out);
void peer_sparkplug(const peer_rows *rows, peer_buffer *out);
void peer_packed(const peer_rows *rows, peer_buffer *out);
int64_t peer_flac(const peer_rows *rows); /* FLAC frames of all channels */

#endif
