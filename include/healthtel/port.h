/* SPDX-License-Identifier: Apache-2.0 */
/* port.h - what a platform provides: a clock, random bytes, a boot number, a link, flash.
 *
 * A port is one struct of functions with a context. The core calls them from the thread that calls
 * htel_poll, unless a line says otherwise. None may block for longer than the platform can do
 * without htel_poll. Errors are negative HTEL_E_*. ports/template is a file to fill in,
 * docs/PORTING.md the way, and tests/port a kit that says what is wrong with a port. */
#ifndef HEALTHTEL_PORT_H
#define HEALTHTEL_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Link: one MQTT 3.1.1 connection over TLS, QoS 1 --------------------------------- */

/* What the session is to look like; valid during the call of open(). */
typedef struct htel_link_session {
  const char *client_id;  /* at most 36 characters of [A-Za-z0-9_-] */
  const char *will_topic; /* retained will, QoS 1 */
  const uint8_t *will;
  size_t will_size;          /* at most 32 */
  const char *receive_topic; /* subscribe to it before anything is published; NULL: to nothing */
  uint16_t keep_alive_s;
} htel_link_session;

/* A message to publish at QoS 1. The payload is pulled: the link calls read() for any piece, in
 * publish() or in a later next(), until the last byte is out, so that it need not keep a copy.
 * read() fills `size` bytes from `offset` and returns 0, or a negative error when the message has
 * gone (evicted): the link must then drop the connection, since a begun packet cannot be taken
 * back. `topic` is valid during publish() only. */
typedef struct htel_message {
  const char *topic;
  uint32_t size;  /* payload bytes, 0 to 61440 */
  uint32_t token; /* names the message to read() and in HTEL_LINK_ACKED */
  bool retain;
  void *source;
  int (*read)(void *source, uint32_t token, uint32_t offset, uint8_t *buf, size_t size);
} htel_message;

typedef enum htel_link_event_kind {
  HTEL_LINK_UP = 1,     /* verified and connected; the subscription is made, or on its way ahead
                           of all that will be published: should it be refused, DOWN says so */
  HTEL_LINK_DOWN = 2,   /* ended or failed to come up; `error` says why, 0 after close() */
  HTEL_LINK_ACKED = 3,  /* PUBACK for `token` */
  HTEL_LINK_MESSAGE = 4 /* a message on receive_topic: `payload`, `size` */
} htel_link_event_kind;

typedef struct htel_link_event {
  htel_link_event_kind kind;
  int error;
  uint32_t token;
  const uint8_t *payload; /* valid until the next call of next() */
  size_t size; /* at most HTEL_LINK_MESSAGE_BYTES_MAX; longer ones are dropped by the link */
} htel_link_event;

#define HTEL_LINK_MESSAGE_BYTES_MAX 512u

/* The order of calls: open -> next... (UP) -> publish/next... -> close or DOWN -> open again. After
 * open() returned 0 exactly one DOWN follows in the end. All functions return at once. */
typedef struct htel_link {
  void *ctx;
  /* Starts a connection. 0: under way; HTEL_E_AGAIN: the last one is still being taken down. */
  int (*open)(void *ctx, const htel_link_session *session);
  /* 0: accepted, ACKED will follow unless DOWN does; HTEL_E_AGAIN: no room now, try after the next
   * next(). Any other error: the connection is being dropped. */
  int (*publish)(void *ctx, const htel_message *message);
  /* Does what there is to do, in bounded time, and takes the next event: 1 event, 0 none. */
  int (*next)(void *ctx, htel_link_event *event);
  /* Milliseconds until next() should be called again although nothing woke it (0 to 1000). To be
   * asked after each round of next() and publish(): what waited for company is sent then. */
  uint32_t (*wait_ms)(void *ctx);
  /* Begins an orderly end (MQTT DISCONNECT, TLS close); DOWN with error 0 follows. */
  void (*close)(void *ctx);
} htel_link;

/* ---- Flash: where the outbox lies when it is to survive a power cut --------------------- */

/* Raw NOR-like flash, or a file that behaves like it. The outbox owns all of it and writes nothing
 * twice: a unit of program_bytes is programmed once and not again before its block is erased, so
 * that flash with ECC may be used. An erased byte reads 0xFF.
 *
 * What is asked of it when the power fails:
 *   - what was programmed or erased before sync() returned 0 is there afterwards;
 *   - of what came later, each operation may have happened, not happened, or happened in part (any
 *     bits), in any order, and nothing else has changed.
 * No operation is called from an interrupt, none while another is under way. Each returns 0 or a
 * negative HTEL_E_*. A failing program() or erase() costs the block: what is readable in it is
 * still delivered, then it is retired. A failing read(), as where the part's own ECC gives up, is
 * tried again a few times: then that frame is lost, and told of. A failing sync() is tried again
 * with the next frame or after persist_ms. htel_poll says how many operations it may take. */
typedef struct htel_flash {
  void *ctx;
  uint32_t block_bytes;   /* what one erase clears: a power of two, 4096 to 65536 */
  uint32_t block_count;   /* 4 to 4096; 16 KiB to 16 MiB in all */
  uint32_t program_bytes; /* what one program writes at least: a power of two, 1 to 16 */
  /* `size` bytes from `address`, any alignment, within one block. 0, or HTEL_E_STORE where they
   * cannot be read, as when the flash's own code finds more wrong bits than it can set right: never
   * wrong bytes and 0 where the part knows better. It is asked three times; then the frames that
   * touch these bytes are lost, and a block whose first 32 bytes cannot be read is
   * erased. */
  int (*read)(void *ctx, uint32_t address, uint8_t *buf, size_t size);
  /* `address` and `size` are multiples of program_bytes, within one block, erased since they were
   * last programmed. `buf` may have any alignment. */
  int (*program)(void *ctx, uint32_t address, const uint8_t *buf, size_t size);
  int (*erase)(void *ctx, uint32_t block);
  /* Returns 0 once all that was programmed and erased before is on the medium (where program() and
   * erase() themselves wait for it: at once). */
  int (*sync)(void *ctx);
} htel_flash;

/* ---- Port ---------------------------------------------------------------------------- */

typedef struct htel_boot {
  uint64_t number; /* never given twice by one device; one more than the last */
  bool unclean;    /* boots unclean_first to number - 1 were not ended by boot_end(): what they
                      had in RAM was lost. A whole run of them, since the report of one boot's loss
                      may itself have been lost with the next */
  uint64_t unclean_first;
} htel_boot;

typedef struct htel_port {
  void *ctx;
  /* Milliseconds since boot, monotonic, goes on in sleep, wraps at 2^32. Called from interrupts.
   * Must be there. */
  uint32_t (*tick_ms)(void *ctx);
  /* `size` unpredictable bytes. Must be there. */
  int (*random)(void *ctx, uint8_t *buf, size_t size);
  /* Counts a durable boot counter up, on stable storage before it returns. NULL: the core takes 63
   * random bits instead (and cannot report unclean stops). */
  int (*boot_begin)(void *ctx, htel_boot *boot);
  /* Notes that this boot ended with everything delivered. May be NULL. */
  int (*boot_end)(void *ctx);
  /* Unix time in ms and its uncertainty; HTEL_E_AGAIN while not known. May be NULL (htel_utc_set).
   */
  int (*utc)(void *ctx, int64_t *utc_ms, uint32_t *uncertainty_ms);
  /* htel_poll is wanted now. Called from record functions, so also from interrupts and signal
   * handlers; must be safe there. May be NULL on platforms that poll anyway. */
  void (*wake)(void *ctx);
  const htel_link *link; /* must be there */
} htel_port;

/* ---- Byte stream: what TLS stands on and what it offers to those above --------------- */

/* A connected, non-blocking byte stream. Counts are positive; 0 = would block; negative = error
 * (HTEL_E_LINK_LOST at end of stream). */
typedef struct htel_stream {
  void *ctx;
  int (*read)(void *ctx, uint8_t *buf, size_t size);
  int (*write)(void *ctx, const uint8_t *buf, size_t size);
} htel_stream;

#ifdef __cplusplus
}
#endif
#endif
