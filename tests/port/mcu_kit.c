/* SPDX-License-Identifier: Apache-2.0 */
/* mcu_kit.c - the conformance kit on a bare microcontroller: the port of examples/mcu with lwIP, on
 * an emulated board. Built there as kit.elf; tests/port/mcu.sh runs it.
 *
 *     arg=port=N     where the peer listens on the emulator's host
 *     arg=flash=FILE the NOR's bytes
 *     arg=again      an earlier run has left its note there */
#include <string.h>

#include "board.h"
#include "flash_file.h"
#include "htel_lwip.h"
#include "kit.h"
#include "net.h"
#include "semihost.h"
#include "text.h"

#define INTERRUPTS_HZ 1000u
#define HOST "10.0.2.2"     /* the host's loopback, as QEMU's user network has it */
#define NOBODY "10.0.2.250" /* in that network, and nobody's */

extern uint8_t stack_bottom[], stack_top[]; /* the linker's */

static volatile bool woken;
static void (*volatile handler_now)(void *arg);
static void *volatile handler_arg;

static uint32_t port_tick_ms(void *ctx) {
  (void)ctx;
  return clock_ms();
}

static void port_wake(void *ctx) {
  (void)ctx;
  woken = true;
}

/* FOR TESTS ONLY, as semihost.h says. */
static int port_random(void *ctx, uint8_t *buf, size_t size) {
  static int source = -1;
  (void)ctx;
  if (source < 0) source = semihost_open("/dev/urandom", SEMIHOST_READ);
  return source >= 0 && semihost_read(source, buf, size) == size ? 0 : HTEL_E_RANDOM;
}

uint32_t net_random(void) {
  uint32_t value = 0;
  (void)port_random(NULL, (uint8_t *)&value, sizeof value);
  return value;
}

/* ---- Hooks --------------------------------------------------------------------------------- */

void board_on_wave(void) {
  board_wave_ack();
  void (*handler)(void *arg) = handler_now;
  if (handler != NULL) handler(handler_arg);
}

/* Each millisecond, so that no sleep is longer. */
void board_on_numerics(void) {
  board_numerics_ack();
}

static void device_interrupts(void *ctx, void (*handler)(void *arg), void *arg) {
  (void)ctx;
  handler_now = NULL;
  handler_arg = arg;
  handler_now = handler;
}

static void device_wait(void *ctx, uint32_t ms) {
  (void)ctx;
  uint32_t from_ms = clock_ms();
  while (!net_poll() && !woken && clock_ms() - from_ms < ms) clock_sleep();
  woken = false;
}

static void device_sleep(void *ctx, uint32_t ms) {
  (void)ctx;
  uint32_t from_ms = clock_ms();
  while (clock_ms() - from_ms < ms) clock_sleep();
}

static void device_print(void *ctx, const char *text) {
  (void)ctx;
  semihost_print(text);
}

/* ---- The run ------------------------------------------------------------------------------- */

static bool tcp_make(htel_lwip *tcp, const char *to, uint16_t port) {
  static ip_addr_t addresses[2];
  static unsigned used;
  ip_addr_t *address = &addresses[used++];
  htel_lwip_config config = {.address = address, .port = port, .tick_ms = port_tick_ms};
  return ipaddr_aton(to, address) != 0 && htel_lwip_init(tcp, &config) == 0;
}

int main(void) {
  static max_align_t memory[KIT_MEMORY_BYTES / sizeof(max_align_t)];
  static char arguments[400], path[200], word[2];
  static flash_file nor;
  static htel_lwip peer, nobody;
  static htel_mqtt mqtt;
  static uint8_t buffer[HTEL_MQTT_BUFFER_BYTES(960)];
  static htel_port port = {.tick_ms = port_tick_ms, .random = port_random, .wake = port_wake};
  board_init();
  clock_start();
  board_timers_start(BOARD_HZ / INTERRUPTS_HZ, BOARD_HZ / 1000u);
  __asm volatile("cpsie i");
  if (semihost_arguments(arguments, sizeof arguments) != 0) return 2;
  int32_t number = argument_number(arguments, "port", 65535, -1);
  if (number <= 0 || argument_text(arguments, "flash", path, sizeof path) == NULL ||
      flash_file_open(&nor, path) != 0) {
    semihost_print("port=N or flash=FILE is missing, or the file cannot be used\n");
    return 2;
  }
  net_start();
  for (uint32_t from_ms = clock_ms(); !net_is_up() && clock_ms() - from_ms < 10000;)
    device_wait(NULL, 10);
  if (!tcp_make(&peer, HOST, (uint16_t)number) || !tcp_make(&nobody, NOBODY, (uint16_t)number))
    return 2;
  htel_mqtt_config link = {.transport = htel_lwip_transport(&peer),
                           .tick_ms = port_tick_ms,
                           .buffer = buffer,
                           .buffer_size = sizeof buffer};
  if (htel_mqtt_init(&mqtt, &link) != 0) return 2;
  port.link = htel_mqtt_link(&mqtt);
  kit_config config = {.port = &port,
                       .flash = &nor.flash,
                       .outbox = &htel_outbox_on_flash,
                       .transport = htel_lwip_transport(&peer),
                       .nowhere = htel_lwip_transport(&nobody),
                       .memory = memory,
                       .memory_size = sizeof memory,
                       .print = device_print,
                       .wait = device_wait,
                       .sleep = device_sleep,
                       .interrupts = device_interrupts,
                       .again = argument_text(arguments, "again", word, sizeof word) != NULL,
                       .call_ms_max = 100, /* the emulator's host has other things to do */
                       .stack_lowest = stack_bottom,
                       .stack_bytes = (size_t)(stack_top - stack_bottom)};
  return kit_run(&config, NULL) == 0 ? 0 : 1;
}
