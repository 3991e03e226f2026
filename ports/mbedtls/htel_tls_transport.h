/* SPDX-License-Identifier: Apache-2.0 */
/* htel_tls_transport.h - TLS around a transport of ports/mqtt, whatever carries its bytes.
 *
 *     htel_mqtt --htel_mqtt_transport--> htel_tls_transport --htel_mqtt_transport--> TCP, a modem,
 * ...
 *
 *     htel_tls_identity_load(&identity, &tls)         certificates, key, entropy, clock
 *     htel_tls_transport_init(&secure, &config)       over a transport that only carries bytes
 *     static htel_mqtt_config mqtt = {.transport = htel_tls_transport_get(&secure), ...};
 *
 * So a port to a new network stack is a plain transport, and all rules of TLS are those of every
 * other device. A handshake that is cut in pieces (htel_tls_config.ecp_ops_max) goes on in the next
 * htel_poll. No heap but mbedTLS's own; the struct is the caller's. */
#ifndef HTEL_TLS_TRANSPORT_H
#define HTEL_TLS_TRANSPORT_H

#include "healthtel/error.h"
#include "htel_mqtt.h"
#include "htel_tls.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct htel_tls_transport_config {
  const htel_mqtt_transport *under; /* carries the bytes; kept */
  htel_tls_identity *identity;      /* loaded; kept */
  uint32_t (*tick_ms)(void *ctx);   /* as htel_port.tick_ms */
  void *tick_ctx;
} htel_tls_transport_config;

/* For tests and status pages. */
typedef struct htel_tls_transport_stats {
  uint32_t handshakes; /* that succeeded */
  uint32_t resumed;    /* of which resumed a session */
} htel_tls_transport_stats;

/* The members are for htel_tls_transport.c, except stats. Must not move after init. */
typedef struct htel_tls_transport {
  htel_tls_transport_stats stats;
  htel_mqtt_transport transport;
  htel_tls_transport_config config;
  int state;
  uint32_t began_ms, span_ms; /* of the attempt, or of the farewell */
  htel_tls tls;
} htel_tls_transport;

/* 0, or HTEL_E_ARGUMENT. */
int htel_tls_transport_init(htel_tls_transport *secure, const htel_tls_transport_config *config);

const htel_mqtt_transport *htel_tls_transport_get(htel_tls_transport *secure);

#ifdef __cplusplus
}
#endif

#endif
