/* SPDX-License-Identifier: Apache-2.0 */
/* htel_lwip.h - to a broker and back over lwIP's raw API, without ever waiting: a plain transport
 * of ports/mqtt for microcontrollers, to have TLS around it (ports/mbedtls/htel_tls_transport.h).
 *
 *     htel_lwip_init(&tcp, &config)
 *     htel_tls_transport_init(&secure, &{.under = htel_lwip_transport(&tcp), ...})
 *
 * The firmware's loop feeds lwIP (netif->input, sys_check_timeouts) and calls htel_poll in one
 * context, with NO_SYS or with lwIP's core locked, never from an interrupt. Call htel_poll after
 * each round in which lwIP had something to do: nothing else wakes it when bytes come.
 *
 * Memory is lwIP's pools and heap, as lwipopts.h bounds them: what comes waits in the pbufs it came
 * in, TCP_WND bytes at most, since the window opens only as they are read; what goes is copied into
 * lwIP's heap, TCP_SND_BUF bytes at most, and shares segments with all that is written until the
 * next htel_poll ends. What finds no room would block. */
#ifndef HTEL_LWIP_H
#define HTEL_LWIP_H

#include <lwip/ip_addr.h>
#include <lwip/pbuf.h>
#include <lwip/tcp.h>

#include "healthtel/error.h"
#include "htel_mqtt.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct htel_lwip_config {
  const char *host;               /* looked up by DNS (LWIP_DNS) where there is no address; kept */
  const ip_addr_t *address;       /* of the broker, kept; or NULL */
  uint16_t port;                  /* 0 counts as 8883 */
  uint32_t (*tick_ms)(void *ctx); /* as htel_port.tick_ms */
  void *tick_ctx;
} htel_lwip_config;

/* The members are for htel_lwip.c. Must not move after htel_lwip_init. */
typedef struct htel_lwip {
  htel_mqtt_transport transport;
  htel_lwip_config config;
  int state;
  uint32_t began_ms, span_ms; /* of the attempt, or of the farewell */
  ip_addr_t address;
  bool asked;          /* lwIP, for the name's address */
  int found;           /* what it said, HTEL_E_AGAIN so far */
  struct tcp_pcb *pcb; /* NULL once lwIP has freed it */
  struct pbuf *in;     /* what has come and is not read yet */
  bool ended;          /* the other end will send no more */
} htel_lwip;

/* 0, or HTEL_E_ARGUMENT. */
int htel_lwip_init(htel_lwip *tcp, const htel_lwip_config *config);

const htel_mqtt_transport *htel_lwip_transport(htel_lwip *tcp);

#ifdef __cplusplus
}
#endif

#endif
