/* SPDX-License-Identifier: Apache-2.0 */
/* capture.h - a link that needs no broker: it writes what is published to a file.
 *
 * The file is a sequence of Capture messages (healthtel.proto), each with its length before it as a
 * varint: the birth, then the frames. Everything is acknowledged at once. */
#ifndef HTEL_MONITOR_CAPTURE_H
#define HTEL_MONITOR_CAPTURE_H

#include <stdio.h>

#include "healthtel/decode.h"

#define CAPTURE_ACKS_MAX 128u

typedef struct capture {
  FILE *file;
  const char *device;
  htel_link link;
  bool up, up_due, down_due;
  int error;                       /* errno of the first write that failed, or 0 */
  uint32_t acks[CAPTURE_ACKS_MAX]; /* tokens that wait for next(), oldest first */
  unsigned ack_count;
  uint8_t message[HTEL_FRAME_BYTES_MAX];
} capture;

/* `device` is kept by reference; the struct must not move while open. 0, or -1 with errno. */
int capture_open(capture *c, const char *path, const char *device);
const htel_link *capture_link(capture *c);
/* 0, or -1 with errno when not everything reached the file. */
int capture_close(capture *c);

#endif
