/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - see link.h. */
#include "link.h"

#include "board.h"
#include "htel_lwip.h"
#include "htel_mqtt.h"
#include "htel_tls_transport.h"
#include "net.h"

#define HOST "localhost"  /* in the broker's certificate */
#define WINDOW_BYTES 960u /* of MQTT, so that it fits a TLS record of 1 KB */
#define ECP_OPS 200u      /* between two looks at the rings: docs/SIZES.md has what that takes */
#define BUILD_UTC_MS (MCU_BUILD_UTC_S * INT64_C(1000))

static htel_lwip tcp;
static htel_tls_identity identity;
static htel_tls_transport secure;
static htel_mqtt mqtt;
static ip_addr_t address;
static link_stats stats;
static uint64_t attempt_cycles;
static bool securing, dropped;

static uint32_t tick_ms(void *ctx) {
  (void)ctx;
  return clock_ms();
}

/* ---- The transport between MQTT and TLS ------------------------------------------------------ */

static const htel_mqtt_transport *inner(void) {
  return htel_tls_transport_get(&secure);
}

static int gauged_open(void *ctx, uint32_t timeout_ms) {
  (void)ctx;
  if (!net_is_up()) return HTEL_E_AGAIN; /* no address yet */
  attempt_cycles = 0;
  dropped = false;
  int rc = inner()->open(inner()->ctx, timeout_ms);
  securing = rc == 0;
  return rc;
}

static int gauged_step(void *ctx) {
  (void)ctx;
  uint32_t resumed = secure.stats.resumed;
  uint32_t began = clock_cycles();
  int rc = inner()->step(inner()->ctx);
  attempt_cycles += clock_cycles() - began;
  if (rc == HTEL_E_AGAIN) return rc;
  securing = false;
  if (rc == 0 && secure.stats.resumed == resumed) stats.handshake_cycles = attempt_cycles;
  if (rc == 0 && secure.stats.resumed != resumed) stats.resumption_cycles = attempt_cycles;
  return rc;
}

static int gauged_read(void *ctx, uint8_t *buf, size_t size) {
  (void)ctx;
  if (dropped) return HTEL_E_LINK_LOST;
  htel_stream stream = inner()->stream(inner()->ctx);
  return stream.read(stream.ctx, buf, size);
}

static int gauged_write(void *ctx, const uint8_t *buf, size_t size) {
  (void)ctx;
  if (dropped) return HTEL_E_LINK_LOST;
  htel_stream stream = inner()->stream(inner()->ctx);
  return stream.write(stream.ctx, buf, size);
}

static htel_stream gauged_stream(void *ctx) {
  return (htel_stream){.ctx = ctx, .read = gauged_read, .write = gauged_write};
}

static uint32_t gauged_wait_ms(void *ctx) {
  (void)ctx;
  return inner()->wait_ms(inner()->ctx);
}

static int gauged_close(void *ctx, bool orderly) {
  (void)ctx;
  securing = false;
  return inner()->close(inner()->ctx, orderly);
}

static const htel_mqtt_transport gauged = {.open = gauged_open,
                                           .step = gauged_step,
                                           .stream = gauged_stream,
                                           .wait_ms = gauged_wait_ms,
                                           .close = gauged_close};

/* ---- The whole ----------------------------------------------------------------------------- */

int link_start(const link_config *config) {
  if (ipaddr_aton(config->address, &address) == 0) return HTEL_E_ARGUMENT;
  /* No clock of its own: certificates are judged by the day of the build until a receipt has told
   * the time. docs/TLS.md has what that means. */
  htel_tls_config tls = {.host = HOST,
                         .ca_pem = config->ca_pem,
                         .cert_pem = config->cert_pem,
                         .key_pem = config->key_pem,
                         .utc = config->utc,
                         .utc_floor_ms = BUILD_UTC_MS,
                         .entropy = entropy_get,
                         .ecp_ops_max = ECP_OPS};
  int rc = htel_tls_identity_load(&identity, &tls);
  if (rc != 0) return rc;
  htel_lwip_config to = {.address = &address, .port = config->port, .tick_ms = tick_ms};
  rc = htel_lwip_init(&tcp, &to);
  if (rc != 0) return rc;
  htel_tls_transport_config over = {
      .under = htel_lwip_transport(&tcp), .identity = &identity, .tick_ms = tick_ms};
  rc = htel_tls_transport_init(&secure, &over);
  if (rc != 0) return rc;
  static uint8_t buffer[HTEL_MQTT_BUFFER_BYTES(WINDOW_BYTES)];
  static const htel_mqtt_config publisher = {
      .transport = &gauged, .tick_ms = tick_ms, .buffer = buffer, .buffer_size = sizeof buffer};
  return htel_mqtt_init(&mqtt, &publisher);
}

const htel_link *link_get(void) {
  return htel_mqtt_link(&mqtt);
}

link_stats link_stats_get(void) {
  stats.handshakes = secure.stats.handshakes;
  stats.resumed = secure.stats.resumed;
  return stats;
}

bool link_is_securing(void) {
  return securing;
}

void link_drop(void) {
  dropped = true;
}
