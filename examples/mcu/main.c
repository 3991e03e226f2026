/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - a monitor on a bare microcontroller: two interrupts record, one loop delivers.
 *
 *     timer interrupts (device.c) --htel_record--> healthtel --MQTT, TLS, lwIP--> broker
 *                                                     |
 *                                                     +-- outbox on flash
 *
 * The loop takes frames from the Ethernet controller, runs lwIP's timers, polls healthtel when
 * something came or its wait is over, and sleeps otherwise. README.md lists the arguments and what
 * is printed. */
#include <mbedtls/memory_buffer_alloc.h>
#include <mbedtls/platform_util.h>
#include <string.h>

#include "bench.h"
#include "board.h"
#include "device.h"
#include "flash_file.h"
#include "gauge.h"
#include "link.h"
#include "net.h"
#include "semihost.h"
#include "text.h"

#define FRAME_BYTES 2048u
#define OUTBOX_ENTRY_BYTES 1024u
#define CLOSE_MS 60000u
#define CLOSE_BEFORE_RESET_MS 3000u
#define STALL_AT_MS 3000u
#define SECONDS_MAX 86400
#define PEM_BYTES_MAX 2048u

/* What the client needs, and mbedTLS's heap. The bench, which has no TLS, takes both. */
static struct {
  max_align_t client[MCU_CLIENT_BYTES / sizeof(max_align_t)];
  max_align_t tls_heap[MCU_TLS_HEAP_BYTES / sizeof(max_align_t)];
} ram;
static flash_file nor;
static htel *tel;
static int32_t client_needed;
static char arguments[400];
static volatile bool woken;

/* ---- What the port provides ------------------------------------------------------------------ */

static uint32_t port_tick_ms(void *ctx) {
  (void)ctx;
  return clock_ms();
}

static void port_wake(void *ctx) {
  (void)ctx;
  woken = true;
}

/* FOR TESTS ONLY: a product asks its random number generator. */
int entropy_get(void *ctx, uint8_t *buf, size_t size) {
  static int source = -1;
  (void)ctx;
  if (source < 0) source = semihost_open("/dev/urandom", SEMIHOST_READ);
  return source >= 0 && semihost_read(source, buf, size) == size ? 0 : HTEL_E_RANDOM;
}

uint32_t net_random(void) {
  uint32_t value = 0;
  (void)entropy_get(NULL, (uint8_t *)&value, sizeof value);
  return value;
}

static int utc_from_receipts(void *ctx, int64_t *utc_ms) {
  uint32_t uncertainty_ms;
  (void)ctx;
  return tel != NULL ? htel_utc_now(tel, utc_ms, &uncertainty_ms) : HTEL_E_AGAIN;
}

/* ---- Setting up ------------------------------------------------------------------------------ */

static int fail(const char *what, int rc) {
  line_begin("fw: error");
  line_text("what", what);
  line_number("code", rc);
  line_text("name", rc < 0 ? htel_errname(rc) : "");
  line_end();
  return 2;
}

/* DIR/NAME.SUFFIX into `buf`, with a zero at its end. */
static bool pem_load(const char *dir, const char *name, const char *suffix, char *buf) {
  char path[240];
  if (strlen(dir) + strlen(name) + strlen(suffix) + 2u > sizeof path) return false;
  strcpy(path, dir);
  strcat(path, "/");
  strcat(path, name);
  strcat(path, suffix);
  int file = semihost_open(path, SEMIHOST_READ);
  if (file < 0) return false;
  size_t size = semihost_read(file, buf, PEM_BYTES_MAX);
  semihost_close(file);
  buf[size < PEM_BYTES_MAX ? size : 0] = '\0';
  return size > 0 && size < PEM_BYTES_MAX;
}

/* The texts lie where the client's memory will be. FOR TESTS ONLY: a product has its key in flash
 * that nobody can read, or in a secure element. */
static int credentials_load(const char *device) {
  char *ca = (char *)ram.client, *cert = ca + PEM_BYTES_MAX, *key = cert + PEM_BYTES_MAX;
  char dir[200], broker[32];
  _Static_assert(sizeof ram.client >= 3u * PEM_BYTES_MAX, "no room for the texts");
  if (argument_text(arguments, "dir", dir, sizeof dir) == NULL) return fail("dir=DIR", 0);
  int32_t port = argument_number(arguments, "port", 65535, -1);
  if (port <= 0) return fail("port=1..65535", 0);
  if (argument_text(arguments, "broker", broker, sizeof broker) == NULL)
    strcpy(broker, "10.0.2.2"); /* the host's loopback, as QEMU's user network has it */
  if (!pem_load(dir, "ca", ".crt", ca) || !pem_load(dir, device, ".crt", cert) ||
      !pem_load(dir, device, ".key", key))
    return fail("certificates_or_key_not_readable", 0);
  link_config config = {.address = broker,
                        .port = (uint16_t)port,
                        .ca_pem = ca,
                        .cert_pem = cert,
                        .key_pem = key,
                        .utc = utc_from_receipts};
  int rc = link_start(&config);
  mbedtls_platform_zeroize(ram.client, 3u * PEM_BYTES_MAX);
  return rc == 0 ? 0 : fail("link", rc);
}

static bool coding_is_best(void) {
  char word[8];
  const char *coding = argument_text(arguments, "coding", word, sizeof word);
  return coding != NULL && strcmp(coding, "best") == 0;
}

static int client_open(const char *device) {
  static htel_port port = {.tick_ms = port_tick_ms, .random = entropy_get, .wake = port_wake};
  htel_config_fault fault = {0};
  htel_config config = {
      .device_id = device,
      .firmware = "mcu-1",
      .channels = device_channels,
      .channel_count = CH_COUNT,
      .ring_count = 2,
      .ring_bytes = {RING_ECG_BYTES, RING_NUMERICS_BYTES},
      .coding = coding_is_best() ? HTEL_CODING_BEST : HTEL_CODING_FAST,
      .batch = {.age_ms_max = 5000, .bytes_max = FRAME_BYTES},
      .outbox = {.bytes = OUTBOX_ENTRY_BYTES, .code = &htel_outbox_on_flash, .flash = &nor.flash},
      .delivery = {.backoff_base_ms = 500, .backoff_max_ms = 2000, .receipt_wait_ms = 5000},
      .fault = &fault};
  port.link = link_get();
  client_needed = htel_memory_needed(&config);
  int rc = htel_open(&tel, ram.client, sizeof ram.client, &config, &port);
  if (rc == HTEL_E_MEMORY) return fail("client_memory_needed", client_needed);
  return rc == 0 ? 0 : fail(fault.field != NULL ? fault.field : "client", rc);
}

static int set_up(const char *device) {
  char path[200];
  mbedtls_memory_buffer_alloc_init((unsigned char *)ram.tls_heap, sizeof ram.tls_heap);
  if (argument_text(arguments, "flash", path, sizeof path) == NULL) return fail("flash=FILE", 0);
  int rc = flash_file_open(&nor, path);
  if (rc != 0) return fail("flash_file", rc);
  rc = credentials_load(device);
  if (rc != 0) return rc;
  net_start();
  return client_open(device);
}

/* ---- The loop ------------------------------------------------------------------------------ */

typedef struct run {
  uint32_t began_ms;
  uint32_t record_ms, reset_ms, drop_each_ms, stall_ms; /* 0: never */
  uint32_t drop_ms;                                     /* the next one */
  bool closing, stalled;
  int closed;                                  /* what htel_close says */
  uint32_t ring_seen, ring_peak;               /* ECG samples between the beginnings of two polls */
  uint32_t poll_cycles_max, secure_cycles_max; /* of a poll; of one while connecting */
} run;

static void poll_begins(run *r) {
  uint32_t taken = device_counted.accepted[CH_ECG];
  if (taken - r->ring_seen > r->ring_peak) r->ring_peak = taken - r->ring_seen;
  r->ring_seen = taken;
}

/* One htel_poll, or htel_close; how long to wait for the next. */
static uint32_t poll_once(run *r) {
  uint32_t wait_ms = 1;
  bool securing = link_is_securing();
  poll_begins(r);
  uint32_t began = clock_cycles();
  if (r->closing)
    r->closed = htel_close(tel, r->reset_ms > 0 ? CLOSE_BEFORE_RESET_MS : CLOSE_MS);
  else
    wait_ms = htel_poll(tel);
  uint32_t took = clock_cycles() - began;
  uint32_t *max = securing ? &r->secure_cycles_max : &r->poll_cycles_max;
  if (took > *max) *max = took;
  return wait_ms;
}

/* What the arguments want to happen at some time. */
static void events(run *r, uint32_t past_ms) {
  if (r->drop_each_ms > 0 && past_ms >= r->drop_ms && !r->closing) {
    r->drop_ms += r->drop_each_ms;
    link_drop();
    woken = true;
  }
  if (r->stall_ms > 0 && past_ms >= STALL_AT_MS && !r->stalled) {
    r->stalled = true;
    for (uint32_t from = clock_ms(); clock_ms() - from < r->stall_ms;) {
    }
  }
  if (!r->closing && past_ms >= r->record_ms) {
    device_stop();
    r->closing = true;
    r->closed = HTEL_E_AGAIN;
    woken = true;
  }
}

static void run_until_closed(run *r) {
  uint32_t wait_ms = 0, polled_ms = clock_ms();
  while (!r->closing || r->closed == HTEL_E_AGAIN) {
    events(r, clock_ms() - r->began_ms);
    bool news = net_poll();
    if (news || woken || clock_ms() - polled_ms >= wait_ms) {
      woken = false;
      polled_ms = clock_ms();
      wait_ms = poll_once(r);
    } else {
      clock_sleep(); /* the next sample wakes us, should the news have come just before this */
    }
  }
}

/* ---- The report ---------------------------------------------------------------------------- */

extern const char flash_used[], ram_used[]; /* the linker's: their addresses are the numbers */

static void report(const run *r, const char *end) {
  static const char *const names[CH_COUNT] = {"ecg", "pulse", "spo2", "resp", "alarm"};
  htel_stats s;
  size_t heap = 0, blocks = 0;
  uint32_t refused = 0;
  htel_stats_get(tel, &s);
  link_stats l = link_stats_get();
  mbedtls_memory_buffer_alloc_max_get(&heap, &blocks);
  line_begin("fw:");
  line_text("board", BOARD_NAME);
  line_number("boot", (int64_t)s.boot);
  line_text("end", end);
  line_text("coding", coding_is_best() ? "best" : "fast");
  for (unsigned i = 0; i < CH_COUNT; i++) {
    line_number(names[i], device_counted.accepted[i]);
    refused += device_counted.refused[i];
  }
  line_number("refused", refused);
  line_number("evicted", (int64_t)s.readings_evicted);
  line_number("quarantined", s.frames_quarantined);
  line_number("waiting", s.frames_waiting);
  line_number("frames", s.frames_closed);
  line_number("resent", s.frames_resent);
  line_number("connects", s.connects);
  line_number("disconnects", s.disconnects);
  line_number("handshakes", l.handshakes);
  line_number("resumed", l.resumed);
  line_number("last_error", s.last_error);
  line_number("flash", (int64_t)(uintptr_t)flash_used);
  line_number("ram_static", (int64_t)(uintptr_t)ram_used);
  line_number("client", client_needed);
  line_number("client_given", (int64_t)sizeof ram.client);
  line_number("tls_heap", (int64_t)heap);
  line_number("tls_heap_blocks", (int64_t)blocks);
  line_number("tls_heap_given", (int64_t)sizeof ram.tls_heap);
  line_number("stack_peak", board_stack_peak());
  line_number("ring_peak_samples", r->ring_peak);
  line_number("poll_instructions_max", (int64_t)gauge_instructions(r->poll_cycles_max));
  line_number("connecting_instructions_max", (int64_t)gauge_instructions(r->secure_cycles_max));
  line_number("handshake_instructions", (int64_t)gauge_instructions(l.handshake_cycles));
  line_number("resumption_instructions", (int64_t)gauge_instructions(l.resumption_cycles));
  line_number("icount", gauge_exact());
  line_number("nor_programs", nor.programs);
  line_number("nor_erases", nor.erases);
  line_number("nor_programmed_twice", nor.programmed_twice);
  line_end();
}

/* ---- main ---------------------------------------------------------------------------------- */

/* A number from the arguments times `unit`, 0 where it is not there. */
static int number_take(const char *name, int32_t max, uint32_t unit, uint32_t *value) {
  int32_t number = argument_number(arguments, name, max, 0);
  *value = number > 0 ? (uint32_t)number * unit : 0;
  return number >= 0 ? 0 : fail(name, HTEL_E_ARGUMENT);
}

static int run_take(run *r) {
  int rc = number_take("seconds", SECONDS_MAX, 1000u, &r->record_ms);
  if (rc == 0) rc = number_take("reset", SECONDS_MAX, 1000u, &r->reset_ms);
  if (rc == 0) rc = number_take("drop", SECONDS_MAX, 1000u, &r->drop_each_ms);
  if (rc == 0) rc = number_take("stall", 60000, 1u, &r->stall_ms);
  r->drop_ms = r->drop_each_ms;
  return rc;
}

static int play(void) {
  static char device[HTEL_DEVICE_ID_CHARS_MAX + 1];
  static run r;
  if (argument_text(arguments, "device", device, sizeof device) == NULL) strcpy(device, "mcu-1");
  int rc = run_take(&r);
  if (rc == 0) rc = set_up(device);
  if (rc != 0) return rc;
  htel_stats s;
  htel_stats_get(tel, &s);
  if (s.boot != 1) r.reset_ms = 0;
  if (r.reset_ms > 0) r.record_ms = r.reset_ms;
  line_begin("fw: recording");
  line_number("boot", (int64_t)s.boot);
  line_end();
  r.began_ms = clock_ms();
  device_start(tel);
  run_until_closed(&r);
  report(&r, r.reset_ms > 0 ? "reset" : r.closed == 0 ? "closed" : "timeout");
  if (r.reset_ms > 0) board_reset();
  return r.closed == 0 ? 0 : 1;
}

int main(void) {
  board_init();
  clock_start();
  __asm volatile("cpsie i");
  if (semihost_arguments(arguments, sizeof arguments) != 0) return fail("arguments", 0);
  gauge_start();
  char word[2];
  if (argument_text(arguments, "bench", word, sizeof word) != NULL)
    return bench_run(&ram, sizeof ram);
  return play();
}
