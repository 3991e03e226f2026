/* SPDX-License-Identifier: Apache-2.0 */
/* htel_tls_transport.c - see htel_tls_transport.h.
 *
 *     IDLE -> CONNECTING -> SECURING -> OPEN -> NOTIFYING -> ENDING -> IDLE
 *
 * NOTIFYING sends close_notify; in ENDING the transport below says goodbye in its own way. */
#include "htel_tls_transport.h"

#include <string.h>

#define FAREWELL_MS 500u

enum { IDLE, CONNECTING, SECURING, OPEN, NOTIFYING, ENDING };

static uint32_t now_ms(const htel_tls_transport *secure) {
  return secure->config.tick_ms(secure->config.tick_ctx);
}

static uint32_t left_ms(const htel_tls_transport *secure) {
  uint32_t past_ms = now_ms(secure) - secure->began_ms;
  return past_ms < secure->span_ms ? secure->span_ms - past_ms : 0;
}

static int secure_open(void *ctx, uint32_t timeout_ms) {
  htel_tls_transport *secure = ctx;
  const htel_mqtt_transport *under = secure->config.under;
  if (secure->state != IDLE) return HTEL_E_AGAIN;
  int rc = under->open(under->ctx, timeout_ms);
  if (rc != 0) return rc;
  secure->began_ms = now_ms(secure);
  secure->span_ms = timeout_ms;
  secure->state = CONNECTING;
  return 0;
}

static int step_connect(htel_tls_transport *secure) {
  const htel_mqtt_transport *under = secure->config.under;
  int rc = htel_tls_ready(secure->config.identity);
  if (rc == 0) rc = under->step(under->ctx); /* no clock: its name is not even looked up */
  if (rc != 0) return rc;
  secure->state = SECURING; /* from here on there is something to free */
  return htel_tls_start(&secure->tls, secure->config.identity, under->stream(under->ctx));
}

static int step_secure(htel_tls_transport *secure) {
  int rc = htel_tls_handshake(&secure->tls);
  if (rc == HTEL_E_AGAIN) return left_ms(secure) > 0 ? HTEL_E_AGAIN : HTEL_E_LINK_SILENT;
  if (rc != 0) return rc;
  secure->stats.handshakes++;
  secure->stats.resumed += htel_tls_resumed(&secure->tls);
  secure->state = OPEN;
  return 0;
}

static int secure_step(void *ctx) {
  htel_tls_transport *secure = ctx;
  int rc = 0;
  if (secure->state == CONNECTING) rc = step_connect(secure);
  if (secure->state == SECURING && rc == 0) rc = step_secure(secure);
  return rc;
}

static int secure_read(void *ctx, uint8_t *buf, size_t size) {
  htel_tls_transport *secure = ctx;
  return htel_tls_read(&secure->tls, buf, size);
}

static int secure_write(void *ctx, const uint8_t *buf, size_t size) {
  htel_tls_transport *secure = ctx;
  return htel_tls_write(&secure->tls, buf, size);
}

static htel_stream secure_stream(void *ctx) {
  return (htel_stream){.ctx = ctx, .read = secure_read, .write = secure_write};
}

/* The transport below ends as `orderly` says, and as long as it takes. */
static int under_close(htel_tls_transport *secure, bool orderly) {
  const htel_mqtt_transport *under = secure->config.under;
  if (secure->state >= SECURING && secure->state < ENDING) htel_tls_free(&secure->tls);
  secure->state = ENDING;
  int rc = under->close(under->ctx, orderly);
  if (rc != HTEL_E_AGAIN) secure->state = IDLE;
  return rc;
}

static int secure_close(void *ctx, bool orderly) {
  htel_tls_transport *secure = ctx;
  if (!orderly || secure->state < OPEN) return under_close(secure, false);
  if (secure->state == OPEN) {
    secure->state = NOTIFYING;
    secure->began_ms = now_ms(secure);
    secure->span_ms = FAREWELL_MS;
  }
  if (secure->state == NOTIFYING) {
    if (left_ms(secure) == 0) return under_close(secure, false);
    if (htel_tls_close_notify(&secure->tls) == HTEL_E_AGAIN) return HTEL_E_AGAIN;
  }
  return under_close(secure, true);
}

static uint32_t secure_wait_ms(void *ctx) {
  htel_tls_transport *secure = ctx;
  const htel_mqtt_transport *under = secure->config.under;
  uint32_t wait = under->wait_ms(under->ctx); /* in any case: it may have something to send */
  if (secure->state < CONNECTING || secure->state == ENDING) return wait;
  if (secure->state > CONNECTING && htel_tls_wanted(&secure->tls) == HTEL_TLS_WANTS_CPU) return 0;
  uint32_t left = secure->state == OPEN ? wait : left_ms(secure);
  return left < wait ? left : wait;
}

int htel_tls_transport_init(htel_tls_transport *secure, const htel_tls_transport_config *config) {
  if (config->under == NULL || config->identity == NULL || config->tick_ms == NULL)
    return HTEL_E_ARGUMENT;
  memset(secure, 0, sizeof *secure);
  secure->config = *config;
  secure->transport = (htel_mqtt_transport){.ctx = secure,
                                            .open = secure_open,
                                            .step = secure_step,
                                            .stream = secure_stream,
                                            .wait_ms = secure_wait_ms,
                                            .close = secure_close};
  return 0;
}

const htel_mqtt_transport *htel_tls_transport_get(htel_tls_transport *secure) {
  return &secure->transport;
}
