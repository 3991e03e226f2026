/* SPDX-License-Identifier: Apache-2.0 */
/* tls_error.c - from mbedTLS's codes, verification flags and the server's alerts to one
 * HTEL_E_TLS_* that tells an engineer what to change. */
#include "tls_internal.h"

/* TLS alert descriptions, RFC 5246 section 7.2, RFC 8446 section 6, RFC 7301. */
enum {
  ALERT_HANDSHAKE_FAILURE = 40,
  ALERT_BAD_CERTIFICATE = 42,
  ALERT_UNSUPPORTED_CERTIFICATE = 43,
  ALERT_CERTIFICATE_REVOKED = 44,
  ALERT_CERTIFICATE_EXPIRED = 45,
  ALERT_CERTIFICATE_UNKNOWN = 46,
  ALERT_UNKNOWN_CA = 48,
  ALERT_ACCESS_DENIED = 49,
  ALERT_PROTOCOL_VERSION = 70,
  ALERT_UNRECOGNIZED_NAME = 112,
  ALERT_CERTIFICATE_REQUIRED = 116,
  ALERT_NO_APPLICATION_PROTOCOL = 120
};

#define MINOR_TLS12 3 /* 3.3 on the wire */

static const struct {
  uint8_t alert;
  int error;
} alerts[] = {
    {ALERT_BAD_CERTIFICATE, HTEL_E_TLS_CLIENT_CERT},
    {ALERT_UNSUPPORTED_CERTIFICATE, HTEL_E_TLS_CLIENT_CERT},
    {ALERT_CERTIFICATE_REVOKED, HTEL_E_TLS_CLIENT_CERT},
    {ALERT_CERTIFICATE_EXPIRED, HTEL_E_TLS_CLIENT_CERT},
    {ALERT_CERTIFICATE_UNKNOWN, HTEL_E_TLS_CLIENT_CERT},
    {ALERT_UNKNOWN_CA, HTEL_E_TLS_CLIENT_CERT},
    {ALERT_ACCESS_DENIED, HTEL_E_TLS_CLIENT_CERT},
    {ALERT_CERTIFICATE_REQUIRED, HTEL_E_TLS_CLIENT_CERT},
    {ALERT_PROTOCOL_VERSION, HTEL_E_TLS_VERSION},
    {ALERT_UNRECOGNIZED_NAME, HTEL_E_TLS_NAME},
    {ALERT_NO_APPLICATION_PROTOCOL, HTEL_E_TLS_ALPN},
};

/* The first that applies is told. Without a trusted signature nothing else in a certificate means
 * anything; a revoked one is never merely out of date; then what a clock or a renewal would cure.
 */
static const struct {
  uint32_t flags;
  int error;
} verdicts[] = {
    {MBEDTLS_X509_BADCERT_NOT_TRUSTED | MBEDTLS_X509_BADCERT_MISSING |
         MBEDTLS_X509_BADCERT_SKIP_VERIFY,
     HTEL_E_TLS_CA},
    {MBEDTLS_X509_BADCERT_REVOKED, HTEL_E_TLS_REVOKED},
    {MBEDTLS_X509_BADCERT_FUTURE, HTEL_E_TLS_NOT_YET},
    {MBEDTLS_X509_BADCERT_EXPIRED, HTEL_E_TLS_EXPIRED},
    {MBEDTLS_X509_BADCERT_CN_MISMATCH, HTEL_E_TLS_NAME},
    {MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
         MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
     HTEL_E_TLS_USAGE},
    {MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY,
     HTEL_E_TLS_WEAK},
    {MBEDTLS_X509_BADCRL_NOT_TRUSTED | MBEDTLS_X509_BADCRL_EXPIRED | MBEDTLS_X509_BADCRL_FUTURE |
         MBEDTLS_X509_BADCRL_BAD_MD | MBEDTLS_X509_BADCRL_BAD_PK | MBEDTLS_X509_BADCRL_BAD_KEY,
     HTEL_E_TLS_CREDENTIALS},
};

static int error_of_flags(uint32_t flags) {
  for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
    if ((flags & verdicts[i].flags) != 0) {
      return verdicts[i].error;
    }
  }
  return HTEL_E_TLS;
}

static int error_of_alert(const htel_tls *tls) {
  uint8_t alert = tls->ssl.HTEL_MBEDTLS_PRIVATE(in_msg)[1];
  if (alert == ALERT_HANDSHAKE_FAILURE && tls->chain_length > 0) {
    return HTEL_E_TLS_CLIENT_CERT; /* it has sent its certificate, so what it misses is ours */
  }
  /* An old server finds none of its ciphers among ours before it looks at the version; but it
   * writes its own version on the record. */
  if (alert == ALERT_HANDSHAKE_FAILURE && tls->first_count > 2 && tls->first[2] < MINOR_TLS12) {
    return HTEL_E_TLS_VERSION;
  }
  for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++) {
    if (alerts[i].alert == alert) {
      return alerts[i].error;
    }
  }
  return HTEL_E_TLS;
}

/* Whether the first bytes from the server can begin a TLS record: type 20 to 23, major version 3.
 */
static bool looks_like_tls(const htel_tls *tls) {
  return (tls->first_count < 1 || (tls->first[0] >= 20 && tls->first[0] <= 23)) &&
         (tls->first_count < 2 || tls->first[1] == 3);
}

int error_of(htel_tls *tls, int rc) {
  if (!tls->verified && (tls->first_count == 0 || !looks_like_tls(tls)) &&
      (tls->stream_error != 0 || tls->first_count > 0)) {
    return HTEL_E_TLS_NOT_TLS; /* answered in plain text, or hung up on our hello */
  }
  if (tls->stream_error != 0 && rc != MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
    return tls->stream_error;
  }
  switch (rc) {
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
    case HTEL_ERR_BAD_CERTIFICATE:
      /* Key usage is judged after the chain: only mbedTLS's own result has it. */
      return error_of_flags(tls->verify_flags | (mbedtls_ssl_get_verify_result(&tls->ssl) &
                                                 ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED |
                                                             MBEDTLS_X509_BADCERT_FUTURE)));
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE: return error_of_alert(tls);
    case HTEL_ERR_BAD_VERSION: return HTEL_E_TLS_VERSION;
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY: return HTEL_E_LINK_LOST;
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
    case MBEDTLS_ERR_X509_ALLOC_FAILED: return HTEL_E_MEMORY;
    default: return HTEL_E_TLS;
  }
}
