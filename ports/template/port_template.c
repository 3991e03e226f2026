/* SPDX-License-Identifier: Apache-2.0 */
/* port_template.c - a port to your platform: copy this file, fill in what says FIXME, from the top
 * to the bottom, and run the conformance kit after each part. docs/PORTING.md is the guide; its
 * sections are named as the parts here.
 *
 * It compiles and links as it is. A function that is not filled in returns HTEL_E_PORT, and the kit
 * says so. What your platform does not have is left out in `port`, `flash` or the kit's
 * configuration at the end, as is said there.
 *
 *     -DPORT_KIT            makes the conformance kit of it: main() runs the checks
 *     -DPORT_KIT_AGAIN      with it: for a run after a reset
 *     -DPORT_KIT_ONLY='"flash"'   with it: only the checks whose names begin so
 *     none of them          makes the first reading: main() sends a number each second
 *     -DPORT_ERASE          with that: erases the flash first
 *
 * All of it is called from one thread (the one that calls htel_poll), except tick_ms and wake,
 * which are called from interrupts too. Nothing may wait: what is not there yet is asked for again
 * later. Errors are negative HTEL_E_* (error.h), never a vendor's status. */
#include <stdio.h>
#include <string.h>

#include "healthtel/healthtel.h"
#include "htel_mqtt.h"

/* FIXME includes: your platform's headers; state and helpers that several parts share (the wake-up
 * flag). */

/* FIXME names: where htel-port-peer runs; an address in your network that nobody has (both for the
 * kit); where the broker is, and the name that its certificate has. */
#define PEER_HOST "192.168.1.2"
#define PEER_PORT 7788
#define NOWHERE_HOST "192.168.1.254"
#define BROKER_HOST "192.168.1.2"
#define BROKER_PORT 8883
#define BROKER_NAME "localhost"
#define DEVICE_ID "first-device"

/* ---- Start --------------------------------------------------------------------------------- */

/* What main() does first: clocks, console, network; returns when there is an address. */
static void device_begin(void) {
  /* FIXME begin */
}

/* ---- Clock --------------------------------------------------------------------------------- */

/* Milliseconds since boot.
 *   - goes on in every sleep that the product uses
 *   - from 4294967295 to 0, not earlier: no 32-bit microseconds that are divided
 *   - called from any interrupt: what has two words is read again until both agree
 *   - steps of 10 ms at most, 1 ms if it can be */
static uint32_t port_tick_ms(void *ctx) {
  (void)ctx;
  /* FIXME tick_ms: read your timer. */
  return 0;
}

/* ---- Random -------------------------------------------------------------------------------- */

/* `size` unpredictable bytes, any number from 1. From the part's generator of true random numbers,
 * or from what mbedTLS makes of it; never rand(), a tick or a serial number: TLS keys are made of
 * it. 0, or HTEL_E_RANDOM when the generator fails: then nothing is sent, and that is right. */
static int port_random(void *ctx, uint8_t *buf, size_t size) {
  (void)ctx;
  (void)buf;
  (void)size;
  /* FIXME random: fill all of buf. */
  return HTEL_E_PORT;
}

/* ---- Boot number --------------------------------------------------------------------------- */

/* Only where the outbox is in RAM: with the outbox on flash, write NULL for both in `port` below.
 * Without any storage too: then boot numbers are random.
 *
 * Adds one to a number on stable storage, and returns once the new one is surely there. The first
 * boot is 1. Beside the number lies the first boot that was not ended by boot_end: 0 none.
 *   boot->number          the new number
 *   boot->unclean         whether there was such a boot before this one
 *   boot->unclean_first   which, or 0
 * and where there was none, this boot is noted as the first. Both are written together: a power cut
 * must leave the old pair or the new one (two places in turn, each with a checksum). HTEL_E_STORE
 * where that cannot be done; never begin at 1 again because the storage could not be read. */
static int port_boot_begin(void *ctx, htel_boot *boot) {
  (void)ctx;
  (void)boot;
  /* FIXME boot_begin: read, add one, write, wait until it is written. */
  return HTEL_E_PORT;
}

/* This boot ended well: writes 0 for the first boot that was not ended, and keeps the number. */
static int port_boot_end(void *ctx) {
  (void)ctx;
  /* FIXME boot_end: write, wait until it is written. */
  return HTEL_E_PORT;
}

/* ---- Time of day --------------------------------------------------------------------------- */

/* Unix time in ms and how wrong it may be (+-). HTEL_E_AGAIN while the clock was never set, which
 * is no error. A clock of whole seconds is +-1000 ms. May be NULL in `port`: then time comes with
 * the first receipt, or from htel_utc_set(). */
static int port_utc(void *ctx, int64_t *utc_ms, uint32_t *uncertainty_ms) {
  (void)ctx;
  (void)utc_ms;
  (void)uncertainty_ms;
  /* FIXME utc: read the clock. */
  return HTEL_E_PORT;
}

/* ---- Wake-up ------------------------------------------------------------------------------- */

/* htel_poll is wanted now. Called from interrupts: set a flag, give a semaphore, no more. */
static void port_wake(void *ctx) {
  (void)ctx;
  /* FIXME wake: set the flag that device_wait looks at. */
}

/* The place where your main loop sleeps: until port_wake() was called, since the last time too, or
 * something came from the network, or `ms` have passed. Between looking at the flag and sleeping no
 * interrupt may come in between (interrupts off, then WFI; or a semaphore). Clears the flag. A
 * network stack that wants to be served by the main loop is served here. */
static void device_wait(void *ctx, uint32_t ms) {
  (void)ctx;
  (void)ms;
  /* FIXME wait: sleep. As it is, it comes back at once: all works, and uses all the power. */
}

/* ---- Flash --------------------------------------------------------------------------------- */

/* The part of the flash that is the outbox's alone. A unit of program_bytes is programmed once and
 * not again before its block is erased. With ECC a unit is what one check code covers: 8 bytes on
 * many parts, 16 on some. Several small pages of the part may make one block. */
/* FIXME geometry: of your part. */
#define FLASH_BLOCK_BYTES 4096u /* what one flash_erase clears: a power of two, 4096 to 65536 */
#define FLASH_BLOCKS 16u        /* 4 to 4096, 16 MiB in all at most */
#define FLASH_PROGRAM_BYTES 8u  /* a power of two, 1 to 16 */

/* `size` bytes from `address` (0 is the first byte of the outbox's), any alignment of all three,
 * within one block. What was programmed or erased last: no cache in between. */
static int flash_read(void *ctx, uint32_t address, uint8_t *buf, size_t size) {
  (void)ctx;
  (void)address;
  (void)buf;
  (void)size;
  /* FIXME flash_read */
  return HTEL_E_PORT;
}

/* `address` and `size` are multiples of FLASH_PROGRAM_BYTES, within one block, erased. `buf` may
 * lie anywhere: copy it where the part wants words. Cut it at the part's pages (256 bytes on SPI
 * flash). 0 once it was accepted and went well; HTEL_E_STORE where the part says no. */
static int flash_program(void *ctx, uint32_t address, const uint8_t *buf, size_t size) {
  (void)ctx;
  (void)address;
  (void)buf;
  (void)size;
  /* FIXME flash_program */
  return HTEL_E_PORT;
}

/* Block `block`, counted from 0: afterwards all of it reads 0xFF, and nothing else has changed. */
static int flash_erase(void *ctx, uint32_t block) {
  (void)ctx;
  (void)block;
  /* FIXME flash_erase */
  return HTEL_E_PORT;
}

/* 0 once all that was programmed and erased before is on the medium. Where program and erase wait
 * for that themselves: at once. */
static int flash_sync(void *ctx) {
  (void)ctx;
  /* FIXME flash_sync */
  return HTEL_E_PORT;
}

/* ---- Network ------------------------------------------------------------------------------- */

/* One TCP connection. TLS and MQTT come on top and are not your business. Over lwIP all of this is
 * there: ports/lwip. */
typedef struct net {
  const char *host;
  uint16_t port;
  uint32_t began_ms, timeout_ms;
  bool up;
  /* FIXME net: your socket or control block, and what you have to remember. */
} net;

/* Begins to connect and returns at once: 0; HTEL_E_AGAIN while the last connection is still being
 * taken down; HTEL_E_RESOLVE or HTEL_E_CONNECT where it cannot be. */
static int net_open(void *ctx, uint32_t timeout_ms) {
  net *n = ctx;
  n->began_ms = port_tick_ms(NULL);
  n->timeout_ms = timeout_ms;
  n->up = false;
  /* FIXME net_open: look up n->host, begin to connect to n->port, do not wait for either. */
  return HTEL_E_PORT;
}

/* Goes on: HTEL_E_AGAIN while connecting; 0 when connected; HTEL_E_CONNECT when it failed, or when
 * timeout_ms have passed since net_open. */
static int net_step(void *ctx) {
  net *n = ctx;
  (void)n;
  /* FIXME net_step */
  return HTEL_E_PORT;
}

/* What has come, at most `size` bytes: how many; 0 where nothing has (the other end is silent, that
 * is no error); HTEL_E_LINK_LOST when the connection has ended or broken, each time, but only after
 * all that came before was read. Never waits: a receive timeout of 1 ms is a wait too. */
static int stream_read(void *ctx, uint8_t *buf, size_t size) {
  net *n = ctx;
  (void)n;
  (void)buf;
  (void)size;
  /* FIXME stream_read */
  return HTEL_E_PORT;
}

/* Takes what there is room for, at most `size` bytes: how many; 0 where there is no room now;
 * HTEL_E_LINK_LOST when the connection has ended. `buf` is gone when it returns. Never waits. */
static int stream_write(void *ctx, const uint8_t *buf, size_t size) {
  net *n = ctx;
  (void)n;
  (void)buf;
  (void)size;
  /* FIXME stream_write */
  return HTEL_E_PORT;
}

static htel_stream net_stream(void *ctx) {
  return (htel_stream){.ctx = ctx, .read = stream_read, .write = stream_write};
}

/* Called before each sleep: for how many ms device_wait may sleep although nothing wakes it, 0 to
 * 1000. 1000 where bytes that come (or room, or the end of connecting) are sure to end device_wait:
 * by port_wake() in the receive callback, or by a select() in device_wait. Otherwise how late they
 * may be seen: 20 costs power, 200 costs time. */
static uint32_t net_wait_ms(void *ctx) {
  (void)ctx;
  /* FIXME net_wait_ms: may stay. */
  return 20;
}

/* Ends the connection, in whatever state it is, and gives everything back. Called when nothing is
 * open too: 0. `orderly`: all that was written goes out first, then FIN, then until the other end
 * has closed, or half a second has passed: HTEL_E_AGAIN until then, and it is called again. Not
 * orderly: at once, always 0. */
static int net_close(void *ctx, bool orderly) {
  net *n = ctx;
  (void)orderly;
  n->up = false;
  /* FIXME net_close: as it is, it is right only where nothing is open. */
  return 0;
}

/* ---- Put together: nothing to fill in, but something to leave out -------------------------- */

#define TRANSPORT(net)                                                      \
  {                                                                         \
    .ctx = (net), .open = net_open, .step = net_step, .stream = net_stream, \
    .wait_ms = net_wait_ms, .close = net_close                              \
  }

static const htel_flash flash = {.block_bytes = FLASH_BLOCK_BYTES,
                                 .block_count = FLASH_BLOCKS,
                                 .program_bytes = FLASH_PROGRAM_BYTES,
                                 .read = flash_read,
                                 .program = flash_program,
                                 .erase = flash_erase,
                                 .sync = flash_sync};

static htel_port port = {.tick_ms = port_tick_ms,
                         .random = port_random,
                         .boot_begin = port_boot_begin, /* NULL: not there */
                         .boot_end = port_boot_end,     /* NULL with it */
                         .utc = port_utc,               /* NULL: not there */
                         .wake = port_wake};

static htel_mqtt mqtt;
static uint8_t mqtt_buffer[HTEL_MQTT_BUFFER_BYTES(1024)];

static int mqtt_over(const htel_mqtt_transport *transport) {
  static htel_mqtt_config config = {
      .tick_ms = port_tick_ms, .buffer = mqtt_buffer, .buffer_size = sizeof mqtt_buffer};
  config.transport = transport;
  port.link = htel_mqtt_link(&mqtt);
  return htel_mqtt_init(&mqtt, &config);
}

static void device_print(void *ctx, const char *text) {
  (void)ctx;
  /* FIXME print: may stay where the C library prints to a console of yours. */
  fputs(text, stdout);
  fflush(stdout);
}

#ifdef PORT_KIT
#include "kit.h"

/* ---- Conformance kit: what it cannot do by itself ------------------------------------------ */

/* The deepest sleep of the product, for `ms`, woken by a timer. Without such a sleep: NULL. */
static void device_sleep(void *ctx, uint32_t ms) {
  (void)ctx;
  (void)ms;
  /* FIXME sleep: set the timer, sleep, come back when `ms` are over. */
}

/* From now on handler(arg) is called from an interrupt of the priority that the product will record
 * from, 100 to 2000 times a second, by a timer of its own; with NULL no more. */
static void device_interrupts(void *ctx, void (*handler)(void *arg), void *arg) {
  (void)ctx;
  (void)handler;
  (void)arg;
  /* FIXME interrupts: start or stop the timer. */
}

/* FIXME budgets: the longest call of the network's functions, and of the flash's. For that long
 * nothing is polled. A busy host needs 100 and 5000. */
#define CALL_MS_MAX 5u
#define FLASH_MS_MAX 500u

int main(void) {
  static max_align_t memory[KIT_MEMORY_BYTES / sizeof(max_align_t)];
  static net peer = {.host = PEER_HOST, .port = PEER_PORT},
             nobody = {.host = NOWHERE_HOST, .port = PEER_PORT};
  static const htel_mqtt_transport transport = TRANSPORT(&peer), nowhere = TRANSPORT(&nobody);
  device_begin();
  if (mqtt_over(&transport) != 0) return 2;
  kit_config config = {.port = &port,
                       .flash = &flash,                 /* NULL: not there */
                       .outbox = &htel_outbox_on_flash, /* NULL: frames are in RAM */
                       .transport = &transport,
                       .nowhere = &nowhere,
                       .memory = memory,
                       .memory_size = sizeof memory,
                       .print = device_print,
                       .wait = device_wait,
                       .sleep = device_sleep,           /* NULL: it never sleeps deeper */
                       .interrupts = device_interrupts, /* NULL: nothing records from interrupts */
                       .call_ms_max = CALL_MS_MAX,
                       .flash_ms_max = FLASH_MS_MAX};
#ifdef PORT_KIT_AGAIN
  config.again = true;
#endif
#ifdef PORT_KIT_ONLY
  config.only = PORT_KIT_ONLY;
#endif
  return kit_run(&config, NULL) == 0 ? 0 : 1;
}

#else
#include "htel_tls_transport.h"

/* ---- First reading ------------------------------------------------------------------------- */

/* FIXME certificates: the CA of your broker, and this device's certificate and key, as PEM text. */
static const char ca_pem[] = "";
static const char cert_pem[] = "";
static const char key_pem[] = "";

/* The time by which certificates are judged. */
static int tls_utc(void *ctx, int64_t *utc_ms) {
  uint32_t uncertainty_ms;
  return port.utc != NULL ? port.utc(ctx, utc_ms, &uncertainty_ms) : HTEL_E_AGAIN;
}

static int fail(const char *what, int rc) {
  device_print(NULL, what);
  device_print(NULL, ": ");
  device_print(NULL, htel_strerror(rc));
  device_print(NULL, "\n");
  return 1;
}

static void tell(const htel_stats *stats) {
  static bool connected;
  static int32_t error;
  if (stats->connected != connected)
    device_print(NULL, connected ? "disconnected\n" : "connected\n");
  if (stats->last_error != error && stats->last_error != 0) (void)fail("link", stats->last_error);
  connected = stats->connected;
  error = stats->last_error;
}

int main(void) {
  static max_align_t memory[32768 / sizeof(max_align_t)];
  static const htel_channel channels[] = {{.code = HTEL_MDC_SPO2, .unit = HTEL_UNIT_PERCENT}};
  static net broker = {.host = BROKER_HOST, .port = BROKER_PORT};
  static const htel_mqtt_transport transport = TRANSPORT(&broker);
  static htel_tls_identity identity;
  static htel_tls_transport secure;
  static htel *tel;
  htel_tls_config tls = {.host = BROKER_NAME,
                         .ca_pem = ca_pem,
                         .cert_pem = cert_pem,
                         .key_pem = key_pem,
                         .utc = tls_utc,
                         .utc_floor_ms = INT64_C(1767225600000), /* no clock: 2026-01-01 at least */
                         .entropy = port_random};
  htel_tls_transport_config around = {
      .under = &transport, .identity = &identity, .tick_ms = port_tick_ms};
  htel_config config = {.device_id = DEVICE_ID,
                        .channels = channels,
                        .channel_count = 1,
                        .coding = HTEL_CODING_FAST,
                        .batch = {.age_ms_max = 5000, .bytes_max = 1024},
                        .outbox = {.bytes = 8192, .code = &htel_outbox_on_flash, .flash = &flash}};
  /* Frames in RAM: leave .code and .flash out. No htel-ingest yet: */
  config.delivery.mode = HTEL_DELIVERY_BROKER;

  device_begin();
#ifdef PORT_ERASE /* once, after the kit has been at the flash */
  for (uint32_t block = 0; block < FLASH_BLOCKS; block++) (void)flash_erase(NULL, block);
#endif
  int rc = htel_tls_identity_load(&identity, &tls);
  if (rc != 0) return fail("certificates", rc);
  rc = htel_tls_transport_init(&secure, &around);
  if (rc == 0) rc = mqtt_over(htel_tls_transport_get(&secure));
  if (rc != 0) return fail("link", rc);
  rc = htel_open(&tel, memory, sizeof memory, &config, &port);
  if (rc == HTEL_E_FORMAT) return fail("there is something else on the flash: -DPORT_ERASE", rc);
  if (rc != 0) return fail("htel_open", rc);

  uint32_t recorded_ms = port_tick_ms(NULL);
  for (;;) {
    if (port_tick_ms(NULL) - recorded_ms >= 1000) { /* in a product: from an interrupt */
      recorded_ms += 1000;
      (void)htel_record(tel, 0, 97);
    }
    uint32_t wait_ms = htel_poll(tel);
    htel_stats stats;
    htel_stats_get(tel, &stats);
    tell(&stats);
    device_wait(NULL, wait_ms < 100 ? wait_ms : 100);
  }
}

#endif
