/* SPDX-License-Identifier: Apache-2.0 */
/* htel_dial.c - see htel_dial.h.
 *
 *     IDLE -> RESOLVING -> CONNECTING -> OPEN -> WAITING -> IDLE
 *
 * WAITING has sent FIN and lets the broker hang up too: were the socket closed with bytes unread,
 * the kernel would send a reset, and the broker might lose our DISCONNECT and publish the will. All
 * this carries bytes; TLS is ports/mbedtls/htel_tls_transport.c, which stands around it. */
#include "htel_dial.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "htel_socket.h"
#include "htel_tls_transport.h"
#include "posix_resolve.h"

#define PORT 8883u
#define ADDRESS_MS_MIN 1000u /* for each address of a name, however many there are */
#define FAREWELL_MS 500u     /* for the broker to hang up after our goodbye */
#define WAIT_MS 1000u
#define DRAIN_READS_MAX 16u

enum { IDLE, RESOLVING, CONNECTING, OPEN, WAITING };

struct htel_dial {
  htel_mqtt_transport plain; /* what stands here */
  htel_tls_transport secure; /* around it */
  htel_posix *posix;
  htel_port port; /* of posix: the clock */
  char host[HTEL_TLS_HOST_CHARS_MAX + 1];
  char alpn_name[256];
  const char *alpn[2];
  uint16_t tcp_port;
  htel_tls_identity identity;

  int state;
  uint32_t began_ms, span_ms;         /* of the attempt, or of the farewell */
  uint32_t address_ms, address_share; /* of the present address */
  resolve_job *job;                   /* may outlive an attempt, see posix_resolve.h */
  resolve_list list;
  unsigned at; /* in the list */
  htel_socket sock;
  bool read_blocked, write_blocked; /* since the last wait_ms */
  bool written;                     /* the same: the socket holds bytes back */
};

static uint32_t now_ms(const htel_dial *dial) {
  return dial->port.tick_ms(dial->port.ctx);
}

static uint32_t rest_ms(const htel_dial *dial, uint32_t from_ms, uint32_t span_ms) {
  uint32_t past_ms = now_ms(dial) - from_ms;
  return past_ms < span_ms ? span_ms - past_ms : 0;
}

static uint32_t left_ms(const htel_dial *dial) {
  return rest_ms(dial, dial->began_ms, dial->span_ms);
}

/* ---- Connecting ------------------------------------------------------------------------ */

static int dial_open(void *ctx, uint32_t timeout_ms) {
  htel_dial *dial = ctx;
  if (dial->state != IDLE) return HTEL_E_AGAIN;
  dial->began_ms = now_ms(dial);
  dial->span_ms = timeout_ms;
  dial->state = RESOLVING;
  return 0;
}

/* Begins with the address at `at`, or the first after it to which there is a way. */
static int address_try(htel_dial *dial) {
  for (; dial->at < dial->list.count && left_ms(dial) > 0; dial->at++) {
    const struct sockaddr *address = (const struct sockaddr *)&dial->list.entries[dial->at].address;
    if (htel_socket_connect(&dial->sock, address, dial->list.entries[dial->at].size) != 0) continue;
    uint32_t share = left_ms(dial) / (dial->list.count - dial->at);
    dial->address_ms = now_ms(dial);
    dial->address_share = share > ADDRESS_MS_MIN ? share : ADDRESS_MS_MIN;
    dial->state = CONNECTING;
    return HTEL_E_AGAIN;
  }
  return HTEL_E_CONNECT;
}

static int step_resolve(htel_dial *dial) {
  if (dial->job == NULL) dial->job = resolve_start(dial->host, dial->tcp_port);
  if (dial->job == NULL) return HTEL_E_MEMORY;
  int rc = resolve_result(dial->job, &dial->list);
  if (rc == HTEL_E_AGAIN) return left_ms(dial) > 0 ? HTEL_E_AGAIN : HTEL_E_RESOLVE;
  resolve_release(dial->job);
  dial->job = NULL;
  dial->at = 0;
  return rc != 0 ? rc : address_try(dial);
}

static int step_connect(htel_dial *dial) {
  int rc = htel_socket_finish(&dial->sock);
  if (rc == HTEL_E_AGAIN && rest_ms(dial, dial->address_ms, dial->address_share) > 0) return rc;
  if (rc == 0) {
    htel_socket_hold(&dial->sock);
    dial->state = OPEN;
    return 0;
  }
  htel_socket_close(&dial->sock);
  dial->at++;
  return address_try(dial);
}

static int dial_step(void *ctx) {
  htel_dial *dial = ctx;
  int rc = HTEL_E_AGAIN;
  if (dial->state == RESOLVING) rc = step_resolve(dial);
  if (dial->state == CONNECTING) rc = step_connect(dial);
  return dial->state == OPEN ? 0 : rc;
}

/* ---- Connected ------------------------------------------------------------------------- */

static int stream_read(void *ctx, uint8_t *buf, size_t size) {
  htel_dial *dial = ctx;
  htel_stream raw = htel_socket_stream(&dial->sock);
  int n = raw.read(raw.ctx, buf, size);
  dial->read_blocked = n == 0;
  return n;
}

static int stream_write(void *ctx, const uint8_t *buf, size_t size) {
  htel_dial *dial = ctx;
  htel_stream raw = htel_socket_stream(&dial->sock);
  int n = raw.write(raw.ctx, buf, size);
  dial->write_blocked = n == 0;
  dial->written = true;
  return n;
}

static htel_stream dial_stream(void *ctx) {
  return (htel_stream){.ctx = ctx, .read = stream_read, .write = stream_write};
}

/* ---- Ending ---------------------------------------------------------------------------- */

static int hang_up(htel_dial *dial) {
  htel_socket_close(&dial->sock);
  dial->read_blocked = dial->write_blocked = dial->written = false;
  dial->state = IDLE;
  return 0;
}

/* Whether the broker has hung up too. */
static bool drained(htel_dial *dial) {
  htel_stream raw = htel_socket_stream(&dial->sock);
  uint8_t ignored[512];
  int n = 1;
  for (unsigned i = 0; i < DRAIN_READS_MAX && n > 0; i++)
    n = raw.read(raw.ctx, ignored, sizeof ignored);
  return n < 0;
}

static int dial_close(void *ctx, bool orderly) {
  htel_dial *dial = ctx;
  if (!orderly || dial->state < OPEN) return hang_up(dial);
  if (dial->state == OPEN) {
    shutdown(dial->sock.fd, SHUT_WR);
    dial->state = WAITING;
    dial->began_ms = now_ms(dial);
    dial->span_ms = FAREWELL_MS;
  }
  return left_ms(dial) == 0 || drained(dial) ? hang_up(dial) : HTEL_E_AGAIN;
}

/* ---- Sleeping ---------------------------------------------------------------------------- */

static uint32_t wait_stream(htel_dial *dial) {
  int events = (dial->read_blocked ? POLLIN : 0) | (dial->write_blocked ? POLLOUT : 0);
  dial->read_blocked = dial->write_blocked = false; /* the next read or write will say */
  if (events != 0) htel_posix_watch(dial->posix, dial->sock.fd, (short)events);
  return WAIT_MS;
}

static uint32_t dial_wait_ms(void *ctx) {
  htel_dial *dial = ctx;
  if (dial->written) htel_socket_push(&dial->sock);
  dial->written = false;
  switch (dial->state) {
    case RESOLVING:
      if (dial->job == NULL) return 0; /* not begun */
      htel_posix_watch(dial->posix, resolve_fd(dial->job), POLLIN);
      return left_ms(dial);
    case CONNECTING:
      htel_posix_watch(dial->posix, dial->sock.fd, POLLOUT);
      return rest_ms(dial, dial->address_ms, dial->address_share);
    case OPEN: return wait_stream(dial);
    case WAITING: htel_posix_watch(dial->posix, dial->sock.fd, POLLIN); return left_ms(dial);
    default: return WAIT_MS;
  }
}

/* ---- The whole --------------------------------------------------------------------------- */

static int config_take(htel_dial *dial, const htel_dial_config *config) {
  if (config->posix == NULL || config->host == NULL || config->ca_pem == NULL ||
      strnlen(config->host, sizeof dial->host) == sizeof dial->host ||
      (config->alpn != NULL &&
       strnlen(config->alpn, sizeof dial->alpn_name) == sizeof dial->alpn_name))
    return HTEL_E_ARGUMENT;
  dial->posix = config->posix;
  dial->port = htel_posix_port(config->posix, NULL);
  strcpy(dial->host, config->host);
  if (config->alpn != NULL) {
    strcpy(dial->alpn_name, config->alpn);
    dial->alpn[0] = dial->alpn_name;
  }
  dial->tcp_port = config->port != 0 ? config->port : PORT;
  htel_tls_config tls = {
      .host = dial->host,
      .ca_pem = config->ca_pem,
      .cert_pem = config->cert_pem,
      .key_pem = config->key_pem,
      .crl_pem = config->crl_pem,
      .alpn = config->alpn != NULL ? dial->alpn : NULL,
      .utc = htel_posix_utc,
      .utc_ctx = config->posix,
      .utc_floor_ms = config->utc_floor_ms,
  };
  return htel_tls_identity_load(&dial->identity, &tls);
}

static void transports_set(htel_dial *dial) {
  dial->plain = (htel_mqtt_transport){.ctx = dial,
                                      .open = dial_open,
                                      .step = dial_step,
                                      .stream = dial_stream,
                                      .wait_ms = dial_wait_ms,
                                      .close = dial_close};
  htel_tls_transport_config config = {.under = &dial->plain,
                                      .identity = &dial->identity,
                                      .tick_ms = dial->port.tick_ms,
                                      .tick_ctx = dial->port.ctx};
  htel_tls_transport_init(&dial->secure, &config); /* all of it is there */
}

int htel_dial_new(htel_dial **dial, const htel_dial_config *config) {
  *dial = NULL;
  htel_dial *self = calloc(1, sizeof *self);
  if (self == NULL) return HTEL_E_MEMORY;
  self->sock = (htel_socket)HTEL_SOCKET_NONE;
  int rc = config_take(self, config);
  if (rc != 0) {
    free(self);
    return rc;
  }
  transports_set(self);
  *dial = self;
  return 0;
}

const htel_mqtt_transport *htel_dial_transport(htel_dial *dial) {
  return htel_tls_transport_get(&dial->secure);
}

void htel_dial_free(htel_dial *dial) {
  if (dial == NULL) return;
  const htel_mqtt_transport *transport = htel_dial_transport(dial);
  transport->close(transport->ctx, false);
  if (dial->job != NULL) resolve_release(dial->job);
  htel_tls_identity_free(&dial->identity);
  explicit_bzero(dial, sizeof *dial);
  free(dial);
}

htel_dial_stats htel_dial_stats_get(const htel_dial *dial) {
  return (htel_dial_stats){dial->secure.stats.handshakes, dial->secure.stats.resumed};
}
