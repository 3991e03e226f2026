/* SPDX-License-Identifier: Apache-2.0 */
/* htel_dial.h - to a broker and back on Linux, without ever waiting: the transport of ports/mqtt.
 *
 *     htel_dial_new(&dial, &config)                   once for each broker and identity
 *     static htel_mqtt_config mqtt = {.transport = htel_dial_transport(dial), ...};
 *     htel_dial_free(dial)                            after htel_close
 *
 * The name is resolved in a thread of its own (getaddrinfo blocks), each address is tried in turn,
 * the TLS handshake goes on as bytes come. All else happens in the thread that polls, which
 * htel_posix_wait() wakes when the connection has something to do. The session is kept for
 * resumption. What is written between two waits shares TCP segments. */
#ifndef HTEL_DIAL_H
#define HTEL_DIAL_H

#include "healthtel/error.h"
#include "htel_mqtt.h"
#include "htel_posix.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct htel_dial htel_dial;

typedef struct htel_dial_config {
  const char *host; /* DNS name: resolved, sent (SNI) and verified in the certificate */
  uint16_t port;    /* 0 counts as 8883 */
  const char *ca_pem, *cert_pem, *key_pem, *crl_pem; /* texts, see htel_tls_config */
  const char *alpn;     /* one protocol name, such as "x-amzn-mqtt-ca" on port 443, or NULL */
  int64_t utc_floor_ms; /* what time it is at least while no clock is set, see htel_tls_config; 0:
                           wait for the clock */
  htel_posix *posix; /* clock (htel_posix_utc), and what the polling thread sleeps in. Kept. Must be
                        there. */
} htel_dial_config;

/* All else in `config` is copied or parsed: it may go afterwards. HTEL_E_ARGUMENT,
 * HTEL_E_TLS_CREDENTIALS, HTEL_E_MEMORY, HTEL_E_RANDOM. */
int htel_dial_new(htel_dial **dial, const htel_dial_config *config);

const htel_mqtt_transport *htel_dial_transport(htel_dial *dial);

/* Hangs up where a connection is still there. NULL is allowed. */
void htel_dial_free(htel_dial *dial);

/* For tests and status pages; in the thread that polls. */
typedef struct htel_dial_stats {
  uint32_t handshakes; /* TLS handshakes that succeeded */
  uint32_t resumed;    /* of which resumed a session */
} htel_dial_stats;
htel_dial_stats htel_dial_stats_get(const htel_dial *dial);

#ifdef __cplusplus
}
#endif

#endif
