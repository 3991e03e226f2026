/* SPDX-License-Identifier: Apache-2.0 */
/* codec.h - htel-bench codec: how few bytes a reading takes, beside what else is in use.
 *
 *     codec_input.c    a recording in memory, and where its frames begin
 *     codec_client.c   a device: the client, a clock that is set by hand, a link that keeps frames
 *     codec_check.c    the public decoder over those frames, every reading held against the input
 *     codec_count.c    instructions, by callgrind; codec_stack.c: depth of the stack
 *     peers.c          the other encoders, over the same frames (peer_*.c)
 *     codec_report.c   table, JSON, Markdown; codec_plot.c: SVG
 *     codec.c          what is done in which order */
#ifndef HTEL_TESTS_CODEC_H
#define HTEL_TESTS_CODEC_H

#include "common/recording.h"
#include "healthtel/decode.h"
#include "peers.h"

/* ---- A recording ----------------------------------------------------------------------------- */

typedef enum codec_class { CODEC_WAVES, CODEC_SCALARS, CODEC_CGM, CODEC_CLASSES } codec_class;

typedef struct codec_input {
  recording about;
  codec_class class_of;
  uint64_t rows;
  int32_t *values;      /* channel after channel, `rows` of each */
  uint8_t *quality;     /* likewise */
  uint64_t *offset_ms;  /* of each row since row 0 */
  bool by_rows;         /* slower than 1 Hz: frames hold so many rows, not seconds */
  uint32_t frame_count; /* frame i holds the rows frame_rows[i] to frame_rows[i + 1] - 1 */
  uint64_t *frame_rows;
} codec_input;

/* `rows_max`: no more are read; 0: all. 0, or -1 with a message on stderr. */
int codec_input_load(codec_input *in, const char *path, uint32_t frame_s, uint64_t rows_max);
void codec_input_free(codec_input *in);

static inline uint64_t codec_readings(const codec_input *in) {
  return in->rows * in->about.channel_count;
}
static inline const int32_t *codec_values(const codec_input *in, uint16_t channel) {
  return in->values + in->rows * channel;
}
static inline const uint8_t *codec_quality(const codec_input *in, uint16_t channel) {
  return in->quality + in->rows * channel;
}

/* ---- A device -------------------------------------------------------------------------------- */

#define CODEC_LEVELS 3u
extern const htel_coding codec_levels[CODEC_LEVELS]; /* FAST, ZLIB, BEST */
extern const char *const codec_level_names[CODEC_LEVELS];

/* What was published, one frame's payload after the other. */
typedef struct codec_stream {
  uint8_t *bytes;
  size_t size, room;
  size_t *ends; /* of each frame */
  uint32_t count, count_room;
  uint8_t birth[8192];
  size_t birth_bytes;
} codec_stream;

void codec_stream_free(codec_stream *stream);

typedef struct codec_device codec_device;

/* Connected, its birth published into `out`, which stays the caller's. NULL with a message on
 * stderr. */
codec_device *codec_device_open(const codec_input *in, unsigned level, uint32_t frame_s,
                                codec_stream *out);
/* Plays all rows; the frames are in the stream then. 0, or -1 with a message on stderr. */
int codec_device_play(codec_device *device);
void codec_device_free(codec_device *device);

/* Bytes of RAM for the recording's channels: by htel_memory_needed, and on the stack. */
typedef struct codec_ram {
  int32_t columns;                    /* readings that wait to be coded, at every level */
  int32_t beyond[CODEC_LEVELS];       /* what a level takes beyond that and its batch buffer */
  int64_t stack[CODEC_LEVELS];        /* deepest, recording and polling; */
  int64_t stack_decode[CODEC_LEVELS]; /* and decoding */
} codec_ram;
/* All but the stack. */
int codec_ram_get(const codec_input *in, uint32_t frame_s, codec_ram *ram);
/* Bytes of stack that function() takes, what it calls included; -1 when it fails. */
int64_t codec_stack_bytes(int (*function)(void *ctx), void *ctx);

/* ---- Back again ------------------------------------------------------------------------------ */

typedef struct codec_decoder { /* about 1.3 MB, the same for every level */
  htel_birth birth;
  htel_frame frame;
  htel_reader reader;
  htel_series series;
} codec_decoder;

/* Readings in the stream; no comparing. */
uint64_t codec_decode(codec_decoder *d, const codec_stream *stream);
/* Readings that came back with another value, quality or time, or did not, or were never there. */
uint64_t codec_mismatches(codec_decoder *d, const codec_input *in, const codec_stream *stream);

/* ---- Figures --------------------------------------------------------------------------------- */

typedef struct codec_cost { /* each for one reading; negative: not counted */
  double encode, decode;
} codec_cost;

typedef struct codec_level {
  uint64_t frames, payload_bytes, mismatches;
  codec_cost instructions, per_second;
} codec_level;

typedef struct codec_result {
  const char *file;
  codec_class class_of; /* CODEC_CLASSES: all */
  uint32_t files;
  uint64_t readings, birth_bytes;
  codec_ram ram;
  codec_level levels[CODEC_LEVELS];
  struct {
    uint64_t readings; /* 0: not for this recording */
    uint64_t bytes;
  } peers[PEERS_MAX];
} codec_result;

/* Instructions of files[0] to files[count - 1], [file * CODEC_LEVELS + level]. False: there is no
 * callgrind here, or it failed: a message on stderr. */
bool codec_count(char *const *files, size_t count, uint32_t frame_s, codec_cost *costs);
/* What the program does as its own child under callgrind. Its exit status. */
int codec_count_child(char *const *files, size_t count, uint32_t frame_s);

const char *codec_class_name(codec_class class_of);
/* results[count] is "all"; classes[] the sums by class, files 0 where there were none. */
void codec_report_table(const codec_result *results, size_t count, const codec_result *classes,
                        uint32_t frame_s);
void codec_report_json(const codec_result *results, size_t count, const codec_result *classes,
                       uint32_t frame_s);
void codec_report_markdown(const codec_result *results, size_t count, const codec_result *classes,
                           uint32_t frame_s);
/* 0, or -1 with a message on stderr. */
int codec_plot(const char *path, const codec_result *classes, const codec_result *all,
               uint32_t frame_s);

static inline double codec_per_reading(uint64_t bytes, uint64_t readings) {
  return readings ? (double)bytes / (double)readings : 0;
}

int codec_main(int argc, char **argv);

#endif
