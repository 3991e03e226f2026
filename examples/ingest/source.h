/* SPDX-License-Identifier: Apache-2.0 */
/* source.h - where messages come from and receipts go to: a broker, a file, a simulator.
 *
 * One struct of functions, called by one thread. What threads a source has of its own is its own
 * business. */
#ifndef INGEST_SOURCE_H
#define INGEST_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct source_message {
  const char *topic;
  const uint8_t *payload; /* NULL when it was longer than any message of ours and not kept */
  size_t size;            /* as it was sent */
} source_message;

enum { SOURCE_MESSAGE = 1, SOURCE_NONE = 0, SOURCE_END = -1 };

typedef struct source {
  void *ctx;
  /* The next message, waiting `wait_ms` for it at most. SOURCE_MESSAGE: valid until the next call;
   * SOURCE_NONE: nothing came; SOURCE_END: nothing will come any more. */
  int (*next)(void *ctx, uint32_t wait_ms, source_message *message);
  /* Publishes a receipt: QoS 1, not retained. Never waits. False: it could not be taken and is
   * gone, which is no harm, since its frames come again and are receipted again. */
  bool (*publish)(void *ctx, const char *topic, const uint8_t *payload, size_t size);
  /* Takes nothing new in; next() still gives what is here already, then SOURCE_END. */
  void (*stop)(void *ctx);
  /* Gets out what was published, as far as that goes at once, and ends. */
  void (*close)(void *ctx);
} source;

#endif
