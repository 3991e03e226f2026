/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { FIELD_DEVICE = 1, FIELD_BIRTH = 2, FIELD_FRAME = 3, WIRE_BYTES = 2 };

static size_t varint_bytes(size_t value) {
  size_t bytes = 1;
  while (value >>= 7) bytes++;
  return bytes;
}

static void varint_write(FILE *file, size_t value) {
  for (; value > 127; value >>= 7) putc((int)(value & 127) | 128, file);
  putc((int)value, file);
}

static size_t field_bytes(size_t size) {
  return 1 + varint_bytes(size) + size;
}

static void field_write(FILE *file, int field, const void *bytes, size_t size) {
  putc(field << 3 | WIRE_BYTES, file);
  varint_write(file, size);
  fwrite(bytes, 1, size, file);
}

/* A frame, a birth; 0 for what is not captured (status). */
static int field_of(const char *topic) {
  const char *last = strrchr(topic, '/');
  if (!last) return 0;
  if (strcmp(last, "/birth") == 0) return FIELD_BIRTH;
  return strcmp(last, "/frame") == 0 ? FIELD_FRAME : 0;
}

static int link_open(void *ctx, const htel_link_session *session) {
  capture *c = ctx;
  (void)session;
  c->up = c->up_due = true;
  return 0;
}

/* A full disk takes the connection down, so that nothing counts as delivered that is not. */
static int link_broken(capture *c) {
  if (c->error == 0) c->error = errno ? errno : EIO;
  c->up = c->up_due = false;
  c->down_due = true;
  return HTEL_E_LINK_LOST;
}

static int link_publish(void *ctx, const htel_message *message) {
  capture *c = ctx;
  if (!c->up) return HTEL_E_LINK_LOST;
  if (c->ack_count == CAPTURE_ACKS_MAX) return HTEL_E_AGAIN;
  if (message->size > sizeof c->message) return HTEL_E_TOO_LARGE;
  int field = field_of(message->topic);
  if (field) {
    int rc = message->read(message->source, message->token, 0, c->message, message->size);
    if (rc != 0) return rc;
    size_t device_size = strlen(c->device);
    errno = 0;
    varint_write(c->file, field_bytes(device_size) + field_bytes(message->size));
    field_write(c->file, FIELD_DEVICE, c->device, device_size);
    field_write(c->file, field, c->message, message->size);
    if (fflush(c->file) != 0 || ferror(c->file)) return link_broken(c);
  }
  c->acks[c->ack_count++] = message->token;
  return 0;
}

static int link_next(void *ctx, htel_link_event *event) {
  capture *c = ctx;
  *event = (htel_link_event){0};
  if (c->up_due) {
    c->up_due = false;
    event->kind = HTEL_LINK_UP;
    return 1;
  }
  if (c->ack_count > 0) {
    event->kind = HTEL_LINK_ACKED;
    event->token = c->acks[0];
    memmove(c->acks, c->acks + 1, --c->ack_count * sizeof c->acks[0]);
    return 1;
  }
  if (c->down_due) {
    c->down_due = false;
    event->kind = HTEL_LINK_DOWN;
    event->error = c->error ? HTEL_E_LINK_LOST : 0;
    return 1;
  }
  return 0;
}

static uint32_t link_wait_ms(void *ctx) {
  const capture *c = ctx;
  return c->up_due || c->down_due || c->ack_count > 0 ? 0 : 1000;
}

static void link_close(void *ctx) {
  capture *c = ctx;
  if (!c->up) return;
  c->up = c->up_due = false;
  c->down_due = true;
}

int capture_open(capture *c, const char *path, const char *device) {
  *c = (capture){.device = device};
  c->link = (htel_link){.ctx = c,
                        .open = link_open,
                        .publish = link_publish,
                        .next = link_next,
                        .wait_ms = link_wait_ms,
                        .close = link_close};
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600); /* readings: nobody else's */
  if (fd < 0) return -1;
  c->file = fdopen(fd, "wb");
  if (c->file) return 0;
  int why = errno;
  close(fd);
  errno = why;
  return -1;
}

const htel_link *capture_link(capture *c) {
  return &c->link;
}

int capture_close(capture *c) {
  if (!c->file) return 0;
  errno = 0;
  if (fclose(c->file) != 0 && c->error == 0) c->error = errno ? errno : EIO;
  c->file = NULL;
  errno = c->error;
  return c->error ? -1 : 0;
}
