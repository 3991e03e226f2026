/* SPDX-License-Identifier: Apache-2.0 */
/* htel_lwip.c - see htel_lwip.h.
 *
 *     IDLE -> RESOLVING -> CONNECTING -> OPEN -> ENDING -> IDLE
 *
 * ENDING has sent FIN and lets the broker hang up too: closed with bytes unread, lwIP would send a
 * reset, and the broker might lose our DISCONNECT and publish the will. */
#include "htel_lwip.h"

#include <string.h>

#if LWIP_DNS
#include <lwip/dns.h>
#endif

#define PORT 8883u
#define FAREWELL_MS 500u /* for the broker to hang up after our goodbye */
#define WAIT_MS 1000u
#define DRAIN_READS_MAX 16u

enum { IDLE, RESOLVING, CONNECTING, OPEN, ENDING };

static uint32_t left_ms(const htel_lwip *tcp) {
  uint32_t past_ms = tcp->config.tick_ms(tcp->config.tick_ctx) - tcp->began_ms;
  return past_ms < tcp->span_ms ? tcp->span_ms - past_ms : 0;
}

static void state_set(htel_lwip *tcp, int state, uint32_t span_ms) {
  tcp->state = state;
  tcp->began_ms = tcp->config.tick_ms(tcp->config.tick_ctx);
  tcp->span_ms = span_ms;
}

/* ---- Called by lwIP ---------------------------------------------------------------------- */

static err_t on_connected(void *ctx, struct tcp_pcb *pcb, err_t error) {
  htel_lwip *tcp = ctx;
  (void)pcb;
  (void)error; /* always ERR_OK: failures come to on_error() */
  if (tcp->state == CONNECTING) tcp->state = OPEN;
  return ERR_OK;
}

/* The control block is freed already. */
static void on_error(void *ctx, err_t error) {
  htel_lwip *tcp = ctx;
  (void)error;
  tcp->pcb = NULL;
}

/* The sender's window is not opened for these bytes yet: tcp_read() does. */
static err_t on_received(void *ctx, struct tcp_pcb *pcb, struct pbuf *p, err_t error) {
  htel_lwip *tcp = ctx;
  (void)pcb;
  (void)error;
  if (p == NULL) {
    tcp->ended = true;
  } else if (tcp->in == NULL) {
    tcp->in = p;
  } else {
    pbuf_cat(tcp->in, p);
  }
  return ERR_OK;
}

/* ---- Connecting -------------------------------------------------------------------------- */

static int transport_open(void *ctx, uint32_t timeout_ms) {
  htel_lwip *tcp = ctx;
  if (tcp->state != IDLE) return HTEL_E_AGAIN;
  state_set(tcp, RESOLVING, timeout_ms);
  tcp->found = HTEL_E_AGAIN;
  tcp->asked = false;
  return 0;
}

#if LWIP_DNS
/* lwIP cannot be told to forget a question: an answer that comes late may find another state. */
static void on_found(const char *name, const ip_addr_t *address, void *ctx) {
  htel_lwip *tcp = ctx;
  (void)name;
  if (tcp->state != RESOLVING || !tcp->asked || tcp->found != HTEL_E_AGAIN) return;
  tcp->found = address != NULL ? 0 : HTEL_E_RESOLVE;
  if (address != NULL) tcp->address = *address;
}

static int name_ask(htel_lwip *tcp) {
  err_t error = dns_gethostbyname(tcp->config.host, &tcp->address, on_found, tcp);
  if (error == ERR_INPROGRESS) return HTEL_E_AGAIN;
  return error == ERR_OK ? 0 : HTEL_E_RESOLVE;
}
#else
static int name_ask(htel_lwip *tcp) {
  (void)tcp;
  return HTEL_E_RESOLVE;
}
#endif

static int address_find(htel_lwip *tcp) {
  if (tcp->config.address != NULL) {
    tcp->address = *tcp->config.address;
    return 0;
  }
  if (!tcp->asked) {
    tcp->asked = true;
    tcp->found = name_ask(tcp);
  }
  return tcp->found == HTEL_E_AGAIN && left_ms(tcp) == 0 ? HTEL_E_RESOLVE : tcp->found;
}

static int step_resolve(htel_lwip *tcp) {
  int rc = address_find(tcp);
  if (rc != 0) return rc;
  tcp->pcb = tcp_new_ip_type(IP_GET_TYPE(&tcp->address));
  if (tcp->pcb == NULL) return HTEL_E_MEMORY;
  tcp_arg(tcp->pcb, tcp);
  tcp_err(tcp->pcb, on_error);
  tcp_recv(tcp->pcb, on_received);
  tcp_nagle_disable(tcp->pcb); /* transport_wait_ms() says when */
  tcp->state = CONNECTING;
  return tcp_connect(tcp->pcb, &tcp->address, tcp->config.port, on_connected) == ERR_OK
             ? HTEL_E_AGAIN
             : HTEL_E_CONNECT;
}

static int transport_step(void *ctx) {
  htel_lwip *tcp = ctx;
  if (tcp->state == RESOLVING) return step_resolve(tcp);
  if (tcp->state == OPEN) return 0;
  return tcp->pcb != NULL && left_ms(tcp) > 0 ? HTEL_E_AGAIN : HTEL_E_CONNECT;
}

/* ---- Connected --------------------------------------------------------------------------- */

static int transport_read(void *ctx, uint8_t *buf, size_t size) {
  htel_lwip *tcp = ctx;
  if (tcp->in == NULL) return tcp->pcb == NULL || tcp->ended ? HTEL_E_LINK_LOST : 0;
  u16_t piece = size < tcp->in->tot_len ? (u16_t)size : tcp->in->tot_len;
  pbuf_copy_partial(tcp->in, buf, piece, 0);
  tcp->in = pbuf_free_header(tcp->in, piece);
  if (tcp->pcb != NULL) tcp_recved(tcp->pcb, piece);
  return piece;
}

static int transport_write(void *ctx, const uint8_t *buf, size_t size) {
  htel_lwip *tcp = ctx;
  if (tcp->pcb == NULL) return HTEL_E_LINK_LOST;
  size_t room = tcp_sndbuf(tcp->pcb);
  if (size > room) size = room;
  if (size == 0) return 0;
  err_t error = tcp_write(tcp->pcb, buf, (u16_t)size, TCP_WRITE_FLAG_COPY);
  if (error == ERR_MEM) return 0; /* there is some as acknowledgements come in */
  return error == ERR_OK ? (int)size : HTEL_E_LINK_LOST;
}

static htel_stream transport_stream(void *ctx) {
  return (htel_stream){.ctx = ctx, .read = transport_read, .write = transport_write};
}

static uint32_t least(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

/* What was written goes out here, where nothing more will be for a while. */
static uint32_t transport_wait_ms(void *ctx) {
  htel_lwip *tcp = ctx;
  if (tcp->pcb != NULL && tcp->state >= OPEN) tcp_output(tcp->pcb);
  if (tcp->state == IDLE || tcp->state == OPEN) return WAIT_MS;
  if (tcp->state == RESOLVING && !tcp->asked) return 0;
  if (tcp->state == CONNECTING && tcp->pcb == NULL) return 0; /* refused */
  return least(left_ms(tcp), WAIT_MS);
}

/* ---- Ending ------------------------------------------------------------------------------ */

static int hang_up(htel_lwip *tcp) {
  if (tcp->in != NULL) pbuf_free(tcp->in);
  tcp->in = NULL;
  struct tcp_pcb *pcb = tcp->pcb;
  tcp->pcb = NULL;
  if (pcb != NULL) {
    tcp_arg(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_recv(pcb, NULL);
    if (!tcp->ended || tcp_close(pcb) != ERR_OK) tcp_abort(pcb);
  }
  tcp->ended = false;
  tcp->state = IDLE;
  return 0;
}

/* Whether the broker has hung up too. */
static bool drained(htel_lwip *tcp) {
  uint8_t ignored[128];
  int n = 1;
  for (unsigned i = 0; i < DRAIN_READS_MAX && n > 0; i++)
    n = transport_read(tcp, ignored, sizeof ignored);
  return n < 0;
}

static int transport_close(void *ctx, bool orderly) {
  htel_lwip *tcp = ctx;
  if (!orderly || tcp->state < OPEN) return hang_up(tcp);
  if (tcp->state == OPEN) {
    state_set(tcp, ENDING, FAREWELL_MS);
    if (tcp->pcb != NULL) tcp_shutdown(tcp->pcb, 0, 1); /* FIN, after all that was written */
  }
  return left_ms(tcp) == 0 || drained(tcp) ? hang_up(tcp) : HTEL_E_AGAIN;
}

/* ---- The whole --------------------------------------------------------------------------- */

int htel_lwip_init(htel_lwip *tcp, const htel_lwip_config *config) {
  if (config->tick_ms == NULL || (config->address == NULL && (config->host == NULL || !LWIP_DNS)))
    return HTEL_E_ARGUMENT;
  memset(tcp, 0, sizeof *tcp);
  tcp->config = *config;
  if (tcp->config.port == 0) tcp->config.port = PORT;
  tcp->transport = (htel_mqtt_transport){.ctx = tcp,
                                         .open = transport_open,
                                         .step = transport_step,
                                         .stream = transport_stream,
                                         .wait_ms = transport_wait_ms,
                                         .close = transport_close};
  return 0;
}

const htel_mqtt_transport *htel_lwip_transport(htel_lwip *tcp) {
  return &tcp->transport;
}
