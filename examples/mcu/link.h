/* SPDX-License-Identifier: Apache-2.0 */
/* link.h - the way to the broker: MQTT over TLS over lwIP, each a part of healthtel's ports.
 *
 *     htel_mqtt -> this file -> htel_tls_transport -> htel_lwip
 *
 * This file's own transport passes all on; it counts what handshakes cost, and can lose the
 * connection on purpose. */
#ifndef MCU_LINK_H
#define MCU_LINK_H

#include "healthtel/port.h"

typedef struct link_config {
  const char *address; /* dotted */
  uint16_t port;
  const char *ca_pem, *cert_pem, *key_pem; /* may go afterwards */
  int (*utc)(void *ctx, int64_t *utc_ms);
} link_config;

typedef struct link_stats {
  uint32_t handshakes, resumed;
  uint64_t handshake_cycles, resumption_cycles; /* of the last one of each kind */
} link_stats;

/* 0, or HTEL_E_*. */
int link_start(const link_config *config);
const htel_link *link_get(void);
link_stats link_stats_get(void);
bool link_is_securing(void); /* a connection is being made */
void link_drop(void);        /* as if the radio had gone */

int entropy_get(void *ctx, uint8_t *buf, size_t size); /* given by main.c */

#endif
