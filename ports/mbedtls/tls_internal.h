/* SPDX-License-Identifier: Apache-2.0 */
/* tls_internal.h - what the parts of ports/mbedtls tell each other, and what differs between
 * mbedTLS 2.28 and 3.x. */
#ifndef HTEL_TLS_INTERNAL_H
#define HTEL_TLS_INTERNAL_H

#include "htel_tls.h"

#if MBEDTLS_VERSION_NUMBER < 0x02130000
#error "mbedTLS 2.28 or later is needed"
#endif
#if MBEDTLS_VERSION_NUMBER < 0x03000000 && \
    !(defined(MBEDTLS_X509_CHECK_KEY_USAGE) && defined(MBEDTLS_X509_CHECK_EXTENDED_KEY_USAGE))
#error "MBEDTLS_X509_CHECK_KEY_USAGE and MBEDTLS_X509_CHECK_EXTENDED_KEY_USAGE are needed"
#endif
#if !defined(MBEDTLS_SSL_SERVER_NAME_INDICATION)
#error "MBEDTLS_SSL_SERVER_NAME_INDICATION is needed"
#endif

#if MBEDTLS_VERSION_NUMBER < 0x03000000
#define HTEL_MBEDTLS_PRIVATE(member) member
#define HTEL_ERR_BAD_CERTIFICATE MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE
#define HTEL_ERR_BAD_VERSION MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION
#else
#define HTEL_MBEDTLS_PRIVATE(member) MBEDTLS_PRIVATE(member)
#define HTEL_ERR_BAD_CERTIFICATE MBEDTLS_ERR_SSL_BAD_CERTIFICATE
#define HTEL_ERR_BAD_VERSION MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION
#endif

/* What verify_certificate() finds beside mbedTLS's flags, in bits that mbedTLS leaves free. */
#define FAULT_SELF_SIGNED                                                                        \
  0x01000000u                         /* the server's own certificate, and nobody else signed it \
                                       */
#define FAULT_CHAIN 0x02000000u       /* the last one's issuer is neither sent nor configured */
#define FAULT_NOT_CA 0x04000000u      /* it is there, but may not sign what it signed */
#define FAULT_CA_EXPIRED 0x08000000u  /* one above the server's own has expired */
#define FAULT_CRL_MISSING 0x10000000u /* lists were configured, none by the server's CA */

/* Unix time in seconds that certificates are to be judged by: the clock's, or the floor's while the
 * clock shows less. 0, or HTEL_E_TLS_NO_TIME. */
int identity_now(const htel_tls_identity *identity, int64_t *now_s, bool *by_floor);

/* Whether the connection has come to TLS 1.3. */
static inline bool is_tls13(const htel_tls *tls) {
#if defined(MBEDTLS_SSL_PROTO_TLS1_3) && MBEDTLS_VERSION_NUMBER >= 0x03020000
  return mbedtls_ssl_get_version_number(&tls->ssl) == MBEDTLS_SSL_VERSION_TLS1_3;
#else
  (void)tls;
  return false;
#endif
}

/* mbedtls_ssl_conf_verify's callback, with the identity as context: sees each certificate of the
 * chain. (The callback of one connection, mbedtls_ssl_set_verify, is passed over by TLS 1.3
 * in 3.6.) */
int verify_certificate(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags);

/* The HTEL_E_* for what a handshake step, read or write returned. */
int error_of(htel_tls *tls, int rc);

#endif
