/* SPDX-License-Identifier: Apache-2.0 */
/* tls_error.c - from mbedTLS's codes, verification flags and the server's alerts to one
 * HTEL_E_TLS_* that tells an engineer what to change. docs/TLS.md has them in a table. */
#include "tls_internal.h"

#include <mbedtls/rsa.h>

/* TLS alert descriptions, RFC 5246 section 7.2, RFC 8446 section 6, RFC 7301. */
enum {
  ALERT_UNEXPECTED_MESSAGE = 10,
  ALERT_BAD_RECORD_MAC = 20,
  ALERT_RECORD_OVERFLOW = 22,
  ALERT_HANDSHAKE_FAILURE = 40,
  ALERT_BAD_CERTIFICATE = 42,
  ALERT_UNSUPPORTED_CERTIFICATE = 43,
  ALERT_CERTIFICATE_REVOKED = 44,
  ALERT_CERTIFICATE_EXPIRED = 45,
  ALERT_CERTIFICATE_UNKNOWN = 46,
  ALERT_ILLEGAL_PARAMETER = 47,
  ALERT_UNKNOWN_CA = 48,
  ALERT_ACCESS_DENIED = 49,
  ALERT_DECODE_ERROR = 50,
  ALERT_DECRYPT_ERROR = 51,
  ALERT_PROTOCOL_VERSION = 70,
  ALERT_INSUFFICIENT_SECURITY = 71,
  ALERT_UNRECOGNIZED_NAME = 112,
  ALERT_CERTIFICATE_REQUIRED = 116,
  ALERT_NO_APPLICATION_PROTOCOL = 120
};

#define MINOR_TLS12 3 /* 3.3 on the wire */

static const struct {
  uint8_t alert;
  int error;
} alerts[] = {
    {ALERT_UNEXPECTED_MESSAGE, HTEL_E_TLS_GARBLED},
    {ALERT_BAD_RECORD_MAC, HTEL_E_TLS_GARBLED},
    {ALERT_RECORD_OVERFLOW, HTEL_E_TLS_GARBLED},
    {ALERT_HANDSHAKE_FAILURE, HTEL_E_TLS_CIPHER},
    {ALERT_BAD_CERTIFICATE, HTEL_E_TLS_CLIENT_CERT},
    {ALERT_UNSUPPORTED_CERTIFICATE, HTEL_E_TLS_CLIENT_CERT},
    {ALERT_CERTIFICATE_REVOKED, HTEL_E_TLS_CLIENT_REVOKED},
    {ALERT_CERTIFICATE_EXPIRED, HTEL_E_TLS_CLIENT_EXPIRED},
    {ALERT_CERTIFICATE_UNKNOWN, HTEL_E_TLS_CLIENT_CERT},
    {ALERT_ILLEGAL_PARAMETER, HTEL_E_TLS_GARBLED},
    {ALERT_UNKNOWN_CA, HTEL_E_TLS_CLIENT_CERT},
    {ALERT_ACCESS_DENIED, HTEL_E_TLS_CLIENT_CERT},
    {ALERT_DECODE_ERROR, HTEL_E_TLS_GARBLED},
    {ALERT_DECRYPT_ERROR, HTEL_E_TLS_GARBLED},
    {ALERT_PROTOCOL_VERSION, HTEL_E_TLS_VERSION},
    {ALERT_INSUFFICIENT_SECURITY, HTEL_E_TLS_CIPHER},
    {ALERT_UNRECOGNIZED_NAME, HTEL_E_TLS_NAME},
    {ALERT_CERTIFICATE_REQUIRED, HTEL_E_TLS_CLIENT_CERT},
    {ALERT_NO_APPLICATION_PROTOCOL, HTEL_E_TLS_ALPN},
};

/* The first that applies is told. Without a trusted signature nothing else in a certificate means
 * anything; a revoked one is never merely out of date; then what a clock or a renewal would cure.
 */
static const struct {
  uint32_t flags;
  int error;
} verdicts[] = {
    {FAULT_SELF_SIGNED, HTEL_E_TLS_SELF_SIGNED},
    {FAULT_CHAIN, HTEL_E_TLS_CHAIN},
    {FAULT_NOT_CA, HTEL_E_TLS_NOT_CA},
    {MBEDTLS_X509_BADCERT_NOT_TRUSTED | MBEDTLS_X509_BADCERT_MISSING |
         MBEDTLS_X509_BADCERT_SKIP_VERIFY,
     HTEL_E_TLS_CA},
    {MBEDTLS_X509_BADCERT_REVOKED, HTEL_E_TLS_REVOKED},
    {MBEDTLS_X509_BADCERT_FUTURE, HTEL_E_TLS_NOT_YET},
    {MBEDTLS_X509_BADCERT_EXPIRED, HTEL_E_TLS_EXPIRED},
    {FAULT_CA_EXPIRED, HTEL_E_TLS_CA_EXPIRED},
    {MBEDTLS_X509_BADCERT_CN_MISMATCH, HTEL_E_TLS_NAME},
    {MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
         MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
     HTEL_E_TLS_USAGE},
    {MBEDTLS_X509_BADCERT_BAD_MD, HTEL_E_TLS_HASH},
    {MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY, HTEL_E_TLS_WEAK},
    {MBEDTLS_X509_BADCRL_NOT_TRUSTED | MBEDTLS_X509_BADCRL_EXPIRED | MBEDTLS_X509_BADCRL_FUTURE |
         MBEDTLS_X509_BADCRL_BAD_MD | MBEDTLS_X509_BADCRL_BAD_PK | MBEDTLS_X509_BADCRL_BAD_KEY |
         FAULT_CRL_MISSING,
     HTEL_E_TLS_CRL},
};

/* mbedTLS's codes, without what a lower layer has added to them. */
static const struct {
  int code;
  int error;
} codes[] = {
    {HTEL_ERR_BAD_VERSION, HTEL_E_TLS_VERSION},
    /* A signature by another key looks wrong in one of several ways, by chance. */
    {MBEDTLS_ERR_ECP_VERIFY_FAILED, HTEL_E_TLS_SIGNATURE},
    {MBEDTLS_ERR_ECP_BAD_INPUT_DATA, HTEL_E_TLS_SIGNATURE},
    {MBEDTLS_ERR_RSA_VERIFY_FAILED, HTEL_E_TLS_SIGNATURE},
    {MBEDTLS_ERR_RSA_INVALID_PADDING, HTEL_E_TLS_SIGNATURE},
    {MBEDTLS_ERR_RSA_BAD_INPUT_DATA, HTEL_E_TLS_SIGNATURE},
    {MBEDTLS_ERR_RSA_PUBLIC_FAILED, HTEL_E_TLS_SIGNATURE},
    {MBEDTLS_ERR_PK_SIG_LEN_MISMATCH, HTEL_E_TLS_SIGNATURE},
    {MBEDTLS_ERR_SSL_PK_TYPE_MISMATCH, HTEL_E_TLS_SIGNATURE},
    /* 2.28 and 3.x before 3.6.3 cannot join a handshake message that was cut; none can hold one
     * that is larger than MBEDTLS_SSL_IN_CONTENT_LEN, nor follow a chain of any length. */
    {MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE, HTEL_E_TLS_TOO_LARGE},
    {MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL, HTEL_E_TLS_TOO_LARGE},
    {MBEDTLS_ERR_X509_FATAL_ERROR, HTEL_E_TLS_TOO_LARGE},
    {MBEDTLS_ERR_X509_UNKNOWN_VERSION, HTEL_E_TLS_KIND},
    {MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG, HTEL_E_TLS_KIND},
    {MBEDTLS_ERR_X509_UNKNOWN_OID, HTEL_E_TLS_KIND},
    {MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE, HTEL_E_TLS_KIND},
    {MBEDTLS_ERR_X509_INVALID_FORMAT, HTEL_E_TLS_KIND},
    {MBEDTLS_ERR_X509_INVALID_EXTENSIONS, HTEL_E_TLS_KIND},
    {MBEDTLS_ERR_PK_UNKNOWN_PK_ALG, HTEL_E_TLS_KIND},
    {MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE, HTEL_E_TLS_KIND},
    {MBEDTLS_ERR_ECP_INVALID_KEY, HTEL_E_TLS_GARBLED},
    {MBEDTLS_ERR_SSL_INVALID_MAC, HTEL_E_TLS_GARBLED},
    {MBEDTLS_ERR_SSL_INVALID_RECORD, HTEL_E_TLS_GARBLED},
    {MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE, HTEL_E_TLS_GARBLED},
    {MBEDTLS_ERR_SSL_UNEXPECTED_RECORD, HTEL_E_TLS_GARBLED},
    {MBEDTLS_ERR_SSL_BAD_INPUT_DATA, HTEL_E_TLS_GARBLED},
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    {MBEDTLS_ERR_SSL_BAD_HS_SERVER_HELLO, HTEL_E_TLS_GARBLED},
    {MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE_REQUEST, HTEL_E_TLS_GARBLED},
    {MBEDTLS_ERR_SSL_BAD_HS_SERVER_KEY_EXCHANGE, HTEL_E_TLS_GARBLED},
    {MBEDTLS_ERR_SSL_BAD_HS_SERVER_HELLO_DONE, HTEL_E_TLS_GARBLED},
    {MBEDTLS_ERR_SSL_BAD_HS_CHANGE_CIPHER_SPEC, HTEL_E_TLS_GARBLED},
    {MBEDTLS_ERR_SSL_BAD_HS_NEW_SESSION_TICKET, HTEL_E_TLS_GARBLED},
    {MBEDTLS_ERR_SSL_BAD_HS_FINISHED, HTEL_E_TLS_GARBLED},
#else
    {MBEDTLS_ERR_SSL_DECODE_ERROR, HTEL_E_TLS_GARBLED},
    {MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER, HTEL_E_TLS_GARBLED},
    {MBEDTLS_ERR_SSL_UNSUPPORTED_EXTENSION, HTEL_E_TLS_GARBLED},
    {MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE, HTEL_E_TLS_CIPHER},
    {MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL, HTEL_E_TLS_ALPN},
#endif
    {MBEDTLS_ERR_SSL_CONN_EOF, HTEL_E_TLS_CLOSED},
    {MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY, HTEL_E_TLS_CLOSED},
    {MBEDTLS_ERR_SSL_ALLOC_FAILED, HTEL_E_MEMORY},
    {MBEDTLS_ERR_X509_ALLOC_FAILED, HTEL_E_MEMORY},
};

static int error_of_flags(uint32_t flags) {
  for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
    if ((flags & verdicts[i].flags) != 0) {
      return verdicts[i].error;
    }
  }
  return HTEL_E_TLS_GARBLED; /* no certificate, or not a list of them */
}

/* High-level codes are multiples of 0x80, to which a low-level one may have been added. */
static int error_of_code(int rc) {
  int high = -(-rc & 0x7f80);
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
    if (codes[i].code == rc || codes[i].code == high) {
      return codes[i].error;
    }
  }
  return HTEL_E_TLS;
}

static int alert_meaning(const htel_tls *tls, uint8_t alert) {
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

static int error_of_alert(const htel_tls *tls) {
  int error = alert_meaning(tls, tls->ssl.HTEL_MBEDTLS_PRIVATE(in_msg)[1]);
  bool have_cert = tls->identity->cert.version != 0;
  return error == HTEL_E_TLS_CLIENT_CERT && !have_cert ? HTEL_E_TLS_NO_CERT : error;
}

/* Whether the first bytes from the server can begin a TLS record: type 20 to 23, major version 3.
 */
static bool looks_like_tls(const htel_tls *tls) {
  return (tls->first_count < 1 || (tls->first[0] >= 20 && tls->first[0] <= 23)) &&
         (tls->first_count < 2 || tls->first[1] == 3);
}

static int error_of_handshake(htel_tls *tls, int rc) {
  if (!looks_like_tls(tls)) {
    return HTEL_E_TLS_NOT_TLS;
  }
  switch (rc) {
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE: return error_of_alert(tls);
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
    case HTEL_ERR_BAD_CERTIFICATE:
      /* Key usage is judged after the chain: only mbedTLS's own result has it. */
      return error_of_flags(tls->verify_flags | (mbedtls_ssl_get_verify_result(&tls->ssl) &
                                                 ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED |
                                                             MBEDTLS_X509_BADCERT_FUTURE)));
    default: break;
  }
  if (tls->stream_error == HTEL_E_LINK_LOST) {
    return HTEL_E_TLS_CLOSED;
  }
  return tls->stream_error != 0 ? tls->stream_error : error_of_code(rc);
}

/* A server of TLS 1.3 looks at our certificate when our handshake is over. */
static int error_of_connection(const htel_tls *tls, int rc) {
  if (rc == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE && is_tls13(tls)) {
    return error_of_alert(tls);
  }
  if (rc == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE || rc == MBEDTLS_ERR_SSL_CONN_EOF ||
      rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
    return tls->stream_error != 0 ? tls->stream_error : HTEL_E_LINK_LOST;
  }
  return error_of_code(rc);
}

int error_of(htel_tls *tls, int rc) {
  return tls->verified ? error_of_connection(tls, rc) : error_of_handshake(tls, rc);
}
