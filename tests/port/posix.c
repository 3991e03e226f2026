/* SPDX-License-Identifier: Apache-2.0 */
/* posix.c - the conformance kit against ports/posix: clock, random bytes, boot file, wake-up, the
 * file in the place of flash, and its sockets as a transport. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>

#include "host.h"
#include "htel_posix.h"
#include "htel_socket.h"

/* A plain TCP transport to one address. The product's own is ports/dial, which speaks TLS. */
typedef struct plain {
  htel_mqtt_transport transport;
  htel_posix *posix;
  htel_port clock;
  struct sockaddr_in address;
  htel_socket sock;
  uint32_t began_ms, timeout_ms;
  bool up, closing;
} plain;

static uint32_t past_ms(const plain *p) {
  return p->clock.tick_ms(p->clock.ctx) - p->began_ms;
}

static int plain_open(void *ctx, uint32_t timeout_ms) {
  plain *p = ctx;
  if (p->sock.fd >= 0) return HTEL_E_AGAIN;
  p->began_ms = p->clock.tick_ms(p->clock.ctx);
  p->timeout_ms = timeout_ms;
  p->up = p->closing = false;
  return htel_socket_connect(&p->sock, (const struct sockaddr *)&p->address, sizeof p->address);
}

static int plain_step(void *ctx) {
  plain *p = ctx;
  int rc = p->up ? 0 : htel_socket_finish(&p->sock);
  p->up = rc == 0;
  return rc == HTEL_E_AGAIN && past_ms(p) >= p->timeout_ms ? HTEL_E_CONNECT : rc;
}

static htel_stream plain_stream(void *ctx) {
  plain *p = ctx;
  return htel_socket_stream(&p->sock);
}

static uint32_t plain_wait_ms(void *ctx) {
  plain *p = ctx;
  if (p->sock.fd < 0) return 1000;
  htel_posix_watch(p->posix, p->sock.fd, p->up ? POLLIN : POLLOUT);
  return p->up ? 1000 : 100;
}

/* Orderly: half closed, then until the other end has closed too or half a second has passed. */
static int plain_close(void *ctx, bool orderly) {
  plain *p = ctx;
  if (orderly && p->up) {
    uint8_t ignored[256];
    htel_stream stream = htel_socket_stream(&p->sock);
    if (!p->closing) {
      shutdown(p->sock.fd, SHUT_WR);
      p->began_ms = p->clock.tick_ms(p->clock.ctx);
      p->closing = true;
    }
    if (stream.read(stream.ctx, ignored, sizeof ignored) >= 0 && past_ms(p) < 500)
      return HTEL_E_AGAIN;
  }
  htel_socket_close(&p->sock);
  p->up = p->closing = false;
  return 0;
}

static void plain_init(plain *p, htel_posix *posix, uint16_t port) {
  *p = (plain){.transport = {.ctx = p,
                             .open = plain_open,
                             .step = plain_step,
                             .stream = plain_stream,
                             .wait_ms = plain_wait_ms,
                             .close = plain_close},
               .posix = posix,
               .clock = htel_posix_port(posix, NULL),
               .address = {.sin_family = AF_INET,
                           .sin_port = htons(port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
               .sock = HTEL_SOCKET_NONE};
}

static void posix_wait(void *ctx, uint32_t ms) {
  htel_posix_wait(ctx, ms);
}

static int trial(port_host *host) {
  static htel_posix posix;
  static htel_posix_flash flash;
  static plain peer, nowhere;
  static htel_mqtt mqtt;
  static uint8_t buffer[HTEL_MQTT_BUFFER_BYTES(1400)];
  char boot[1000], store[1000];
  snprintf(boot, sizeof boot, "%s/boot", host->directory);
  snprintf(store, sizeof store, "%s/store", host->directory);
  if (htel_posix_open(&posix, boot) != 0 || htel_posix_flash_open(&flash, store, 0, 0, 8) != 0) {
    fprintf(stderr, "the port cannot be opened: %s\n", flash.why);
    return 1;
  }
  plain_init(&peer, &posix, host->peer_port);
  plain_init(&nowhere, &posix, host->nowhere_port);
  htel_mqtt_config link = {.transport = &peer.transport,
                           .tick_ms = peer.clock.tick_ms,
                           .tick_ctx = peer.clock.ctx,
                           .buffer = buffer,
                           .buffer_size = sizeof buffer};
  htel_mqtt_init(&mqtt, &link);
  htel_port port = htel_posix_port(&posix, htel_mqtt_link(&mqtt));
  kit_config *config = &host->config;
  config->port = &port;
  config->flash = &flash.flash;
  config->outbox = &htel_outbox_on_flash;
  config->transport = &peer.transport;
  config->nowhere = &nowhere.transport;
  config->ctx = &posix;
  config->wait = posix_wait;
  int failed = kit_run(config, NULL);
  htel_posix_flash_close(&flash);
  htel_posix_close(&posix);
  return failed;
}

int main(int argc, char **argv) {
  return host_main(argc, argv, trial);
}
