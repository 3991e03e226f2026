/* SPDX-License-Identifier: Apache-2.0 */
/* htel_tls.c - one TLS connection: handshake, read, write, and the session kept for the next.
 *
 * An error is sticky: after one, mbedTLS's state is not to be used again, so every later call
 * returns the same. Nothing is written for the caller before `verified` is set, which only a
 * finished handshake does, either with a chain looked at and found good, or on a session that such
 * a handshake made. */
#include "htel_tls.h"

#include <limits.h>
#include <string.h>

#if defined(MBEDTLS_ECP_RESTARTABLE)
#include <mbedtls/ecp.h>
#endif

#include "tls_internal.h"

#define TICKETS_MAX 16u         /* in a row; servers send two */
#define READ_BYTES_MAX 0x10000u /* in one call: a few of the largest records */

/* What a server may send without end (alerts that are only warnings, for one) must not keep us in a
 * call for as long as it likes: it would block now, says the stream then. */
static int stream_receive(void *ctx, unsigned char *buf, size_t size) {
  htel_tls *tls = ctx;
  if (tls->read_budget == 0) {
    tls->wants = HTEL_TLS_WANTS_CPU;
    return MBEDTLS_ERR_SSL_WANT_READ;
  }
  size = size > tls->read_budget ? tls->read_budget : size;
  int n = tls->stream.read(tls->stream.ctx, buf, size);
  if (n == 0) {
    tls->wants = HTEL_TLS_WANTS_READ;
    return MBEDTLS_ERR_SSL_WANT_READ;
  }
  if (n < 0) {
    tls->stream_error = n;
    return MBEDTLS_ERR_SSL_CONN_EOF;
  }
  tls->read_budget -= (uint32_t)n;
  for (int i = 0; i < n && tls->first_count < sizeof tls->first; i++) {
    tls->first[tls->first_count++] = buf[i];
  }
  return n;
}

static int stream_send(void *ctx, const unsigned char *buf, size_t size) {
  htel_tls *tls = ctx;
  int n = tls->stream.write(tls->stream.ctx, buf, size > INT_MAX ? INT_MAX : size);
  if (n == 0) {
    tls->wants = HTEL_TLS_WANTS_WRITE;
    return MBEDTLS_ERR_SSL_WANT_WRITE;
  }
  if (n < 0 && !tls->verified) {
    /* A server that refuses our certificate sends an alert and hangs up while we are still sending.
     * Claim that it went out: the next step then reads the alert, or finds the end. */
    return (int)(size > INT_MAX ? INT_MAX : size);
  }
  if (n < 0) {
    tls->stream_error = n;
    return MBEDTLS_ERR_SSL_CONN_EOF;
  }
  return n;
}

static void session_forget(htel_tls_identity *identity) {
  mbedtls_ssl_session_free(&identity->session);
  mbedtls_ssl_session_init(&identity->session);
  identity->session_kept = false;
}

/* Nothing is kept of a connection whose certificate was judged without a clock: the next one looks
 * at it again. */
static void session_keep(htel_tls *tls) {
  htel_tls_identity *identity = tls->identity;
  session_forget(identity);
  if (tls->by_floor) {
    return;
  }
  identity->session_kept = mbedtls_ssl_get_session(&tls->ssl, &identity->session) == 0;
}

static bool session_usable(const htel_tls_identity *identity, const htel_tls *tls) {
  int64_t age_s = tls->now_s - identity->session_verified_s;
  return identity->session_kept && !tls->by_floor && age_s >= 0 && age_s < HTEL_TLS_SESSION_S_MAX &&
         tls->now_s < identity->session_until_s;
}

/* Notes the error and forgets a session that was on offer: the next attempt is a full handshake. */
static int fail(htel_tls *tls, int error) {
  tls->error = error;
  if (!tls->verified && tls->session_offered) {
    session_forget(tls->identity);
  }
  return error;
}

/* HTEL_E_AGAIN where mbedTLS only wants to be called again, 0 where it failed. */
static int wants_again(htel_tls *tls, int rc) {
  if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE) {
    return HTEL_E_AGAIN;
  }
  if (rc == MBEDTLS_ERR_SSL_CRYPTO_IN_PROGRESS || rc == MBEDTLS_ERR_SSL_ASYNC_IN_PROGRESS) {
    tls->wants = HTEL_TLS_WANTS_CPU;
    return HTEL_E_AGAIN;
  }
  return 0;
}

int htel_tls_ready(const htel_tls_identity *identity) {
  int64_t now_s;
  bool by_floor;
  return identity_now(identity, &now_s, &by_floor);
}

int htel_tls_start(htel_tls *tls, htel_tls_identity *identity, htel_stream stream) {
  memset(tls, 0, sizeof *tls);
  mbedtls_ssl_init(&tls->ssl);
  tls->identity = identity;
  tls->stream = stream;
  tls->until_s = INT64_MAX;
  int rc = identity_now(identity, &tls->now_s, &tls->by_floor);
  if (rc != 0) {
    return fail(tls, rc);
  }
  if (mbedtls_ssl_setup(&tls->ssl, &identity->ssl) != 0 ||
      mbedtls_ssl_set_hostname(&tls->ssl, identity->config.host) != 0) {
    return fail(tls, HTEL_E_MEMORY);
  }
  mbedtls_ssl_set_bio(&tls->ssl, tls, stream_send, stream_receive, NULL);
  if (!session_usable(identity, tls)) {
    session_forget(identity);
  } else {
    tls->session_offered = mbedtls_ssl_set_session(&tls->ssl, &identity->session) == 0;
  }
  return 0;
}

/* The handshake is over: is everything as it must be? */
static int handshake_accept(htel_tls *tls) {
  htel_tls_identity *identity = tls->identity;
  bool resumed = tls->chain_length == 0;
  if (resumed && !tls->session_offered) {
    return HTEL_E_TLS; /* no certificate was looked at, and none before */
  }
  if (tls->verify_flags != 0 || mbedtls_ssl_get_verify_result(&tls->ssl) != 0) {
    return HTEL_E_TLS_CA;
  }
#if defined(MBEDTLS_SSL_ALPN)
  if (identity->config.alpn != NULL && mbedtls_ssl_get_alpn_protocol(&tls->ssl) == NULL) {
    return HTEL_E_TLS_ALPN; /* else this might be another service that has a good certificate */
  }
#endif
  tls->verified = true;
  if (!resumed) {
    identity->session_verified_s = tls->now_s;
    identity->session_until_s = tls->until_s;
  }
  if (is_tls13(tls)) {
    session_forget(identity); /* tickets are for one use; new ones come with the first reads */
  } else {
    session_keep(tls);
  }
  return 0;
}

/* The limit is mbedTLS's for all it does: nobody else's work is to be cut. */
static int handshake_go_on(htel_tls *tls) {
#if defined(MBEDTLS_ECP_RESTARTABLE)
  mbedtls_ecp_set_max_ops(tls->identity->config.ecp_ops_max);
  int rc = mbedtls_ssl_handshake(&tls->ssl);
  mbedtls_ecp_set_max_ops(0);
  return rc;
#else
  return mbedtls_ssl_handshake(&tls->ssl);
#endif
}

int htel_tls_handshake(htel_tls *tls) {
  if (tls->error != 0) {
    return tls->error;
  }
  if (tls->verified) {
    return 0;
  }
  tls->identity->handshaking = tls;
  tls->read_budget = READ_BYTES_MAX;
  int rc = handshake_go_on(tls);
  tls->identity->handshaking = NULL;
  if (rc != 0) {
    return wants_again(tls, rc) != 0 ? HTEL_E_AGAIN : fail(tls, error_of(tls, rc));
  }
  rc = handshake_accept(tls);
  return rc != 0 ? fail(tls, rc) : 0;
}

htel_tls_wants htel_tls_wanted(const htel_tls *tls) {
  return tls->wants;
}

/* TLS 1.3 sends tickets when it likes, and 3.x tells of each by an error of read or of write: keep
 * it and call again. */
static bool took_ticket(htel_tls *tls, int rc) {
#if defined(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
  if (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
    session_keep(tls);
    return true;
  }
#else
  (void)tls;
  (void)rc;
#endif
  return false;
}

int htel_tls_read(htel_tls *tls, uint8_t *buf, size_t size) {
  if (tls->error != 0) {
    return tls->error;
  }
  if (!tls->verified) {
    return HTEL_E_CLOSED;
  }
  int rc;
  unsigned tickets = 0;
  tls->read_budget = READ_BYTES_MAX;
  do {
    rc = mbedtls_ssl_read(&tls->ssl, buf, size);
  } while (took_ticket(tls, rc) && ++tickets < TICKETS_MAX);
  if (rc > 0) {
    return rc;
  }
  if (wants_again(tls, rc) != 0) {
    return 0;
  }
  return fail(tls, rc == 0 ? HTEL_E_LINK_LOST : error_of(tls, rc));
}

int htel_tls_write(htel_tls *tls, const uint8_t *buf, size_t size) {
  if (tls->error != 0) {
    return tls->error;
  }
  if (!tls->verified) {
    return HTEL_E_CLOSED;
  }
  if (size == 0) {
    return 0;
  }
  /* A record that could not go out whole is kept by mbedTLS, which must be asked again with the
   * same length; it does not look at the bytes a second time. */
  size_t piece = tls->write_pending;
  tls->read_budget = READ_BYTES_MAX; /* 1.3 may have to read, to write */
  if (piece > size) {
    return fail(tls, HTEL_E_ARGUMENT);
  }
  if (piece == 0) {
    int most = mbedtls_ssl_get_max_out_record_payload(&tls->ssl);
    piece = most > 0 && size > (size_t)most ? (size_t)most : size;
  }
  int rc;
  unsigned tickets = 0;
  do {
    rc = mbedtls_ssl_write(&tls->ssl, buf, piece);
  } while (took_ticket(tls, rc) && ++tickets < TICKETS_MAX);
  if (rc > 0) {
    tls->write_pending = 0;
    return rc;
  }
  if (wants_again(tls, rc) != 0) {
    tls->write_pending = piece;
    return 0;
  }
  return fail(tls, error_of(tls, rc));
}

static int tls_stream_read(void *ctx, uint8_t *buf, size_t size) {
  return htel_tls_read(ctx, buf, size);
}

static int tls_stream_write(void *ctx, const uint8_t *buf, size_t size) {
  return htel_tls_write(ctx, buf, size);
}

htel_stream htel_tls_stream(htel_tls *tls) {
  return (htel_stream){.ctx = tls, .read = tls_stream_read, .write = tls_stream_write};
}

int htel_tls_close_notify(htel_tls *tls) {
  if (tls->error != 0) {
    return tls->error;
  }
  if (!tls->verified) {
    return HTEL_E_CLOSED;
  }
  int rc = mbedtls_ssl_close_notify(&tls->ssl);
  if (rc == 0) {
    return 0;
  }
  return wants_again(tls, rc) != 0 ? HTEL_E_AGAIN : fail(tls, error_of(tls, rc));
}

bool htel_tls_resumed(const htel_tls *tls) {
  return tls->verified && tls->chain_length == 0;
}

void htel_tls_free(htel_tls *tls) {
  mbedtls_ssl_free(&tls->ssl);
  tls->verified = false;
  if (tls->error == 0) {
    tls->error = HTEL_E_CLOSED;
  }
}
