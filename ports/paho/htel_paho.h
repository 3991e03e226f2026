/* SPDX-License-Identifier: Apache-2.0 */
/* htel_paho.h - the link for hosts: MQTT by paho.mqtt.c, TLS by mbedTLS.
 *
 *     htel_paho_new(&paho, &config)                 once for each broker and identity
 *     htel_posix_port(&posix, htel_paho_link(paho))  the core does the rest
 *     htel_paho_free(paho)                           after htel_close
 *
 * paho has no hook for a transport, so it speaks plain MQTT to a listener inside this process, and
 * a thread carries the bytes on through TLS:
 *
 *     core --queue--> worker --paho--> 127.0.0.1:ephemeral --worker--> mbedTLS --TCP--> broker
 *
 * What keeps that safe: the listener exists only after the broker has been verified; one connection
 * is taken, and only from a socket that this very process owns (any other is closed unread
 * and counted); the port stays ours until paho's handle is destroyed; paho never reconnects by
 * itself.
 *
 * Threads: one worker a link, two of paho's own, and one for each name being resolved. The
 * functions of the htel_link return at once: they take a short lock, and never call paho, the
 * network or the resolver.
 *
 * What paho does to the whole process: SIGPIPE is set to "ignore"; its trace is cut down to errors,
 * since it would print payloads. Its own trust in the environment (http_proxy) is switched off for
 * our connections. */
#ifndef HTEL_PAHO_H
#define HTEL_PAHO_H

#include "healthtel/error.h"
#include "healthtel/port.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct htel_paho htel_paho;

typedef struct htel_paho_config {
  const char *host; /* DNS name: resolved, sent (SNI) and verified in the certificate */
  uint16_t port;    /* 0 counts as 8883 */
  const char *ca_pem, *cert_pem, *key_pem, *crl_pem; /* texts, see htel_tls_config */
  const char *alpn; /* one protocol name, such as "x-amzn-mqtt-ca" on port 443, or NULL */
  uint32_t connect_timeout_ms; /* name to CONNACK, all together; 0 counts as 20000 */
  /* Unix time in ms, or HTEL_E_AGAIN: as htel_posix_utc with a htel_posix. Called from the link's
   * thread. NULL: the system's clock, not known before 2024. */
  int (*utc)(void *ctx, int64_t *utc_ms);
  void *utc_ctx;
  int64_t utc_floor_ms; /* what time it is at least while no clock is set, see htel_tls_config; 0:
                           wait for the clock */
  void (*wake)(void *); /* an event waits for next(). Called from other threads. May be NULL. */
  void *wake_ctx;
} htel_paho_config;

/* Everything in `config` is copied or parsed: it may go afterwards. HTEL_E_ARGUMENT,
 * HTEL_E_TLS_CREDENTIALS, HTEL_E_MEMORY, HTEL_E_RANDOM. */
int htel_paho_new(htel_paho **paho, const htel_paho_config *config);

const htel_link *htel_paho_link(htel_paho *paho);

/* Ends a connection that is still there (without waiting for the broker) and the worker. `wake` may
 * be called until it returns: free the link before what wakes. NULL is allowed. May take as long as
 * paho needs to stop: up to about a second. A name being resolved is left to end by itself and does
 * not hold this up. */
void htel_paho_free(htel_paho *paho);

/* For tests and status pages. Any thread. */
typedef struct htel_paho_stats {
  uint32_t impostors;  /* connections to the listener refused because another process owned them */
  uint32_t handshakes; /* TLS handshakes that succeeded */
  uint32_t resumed;    /* of which resumed a session */
  uint32_t messages_dropped; /* received, but too long or more than wait for next() */
  uint16_t tunnel_port;      /* the listener's port while there is one, else 0 */
} htel_paho_stats;
void htel_paho_stats_get(htel_paho *paho, htel_paho_stats *stats);

/* Reads a PEM file of at most 64 KiB into memory, with a NUL at its end. HTEL_E_TLS_CREDENTIALS
 * when it cannot be read, is empty, too large or no text. htel_pem_free() wipes it. */
int htel_pem_load(const char *path, char **pem);
void htel_pem_free(char *pem);

#ifdef __cplusplus
}
#endif

#endif
