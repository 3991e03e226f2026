/* SPDX-License-Identifier: Apache-2.0 */
/* tls_identity.c - certificates, key and the rules of every handshake, set up once. */
#include "tls_internal.h"

#include <string.h>

#include <mbedtls/pk.h>
#if defined(MBEDTLS_HAVE_TIME)
#include <mbedtls/platform_time.h>
#endif
#if MBEDTLS_VERSION_NUMBER >= 0x03000000 && \
    (defined(MBEDTLS_USE_PSA_CRYPTO) || defined(MBEDTLS_SSL_PROTO_TLS1_3))
#include <psa/crypto.h>
#define NEEDS_PSA 1
#endif

/* Ephemeral keys and authenticated encryption only, short records' overhead first: a device's
 * frames are small. AES before ChaCha, since most parts have AES in hardware. */
static const int ciphersuites[] = {
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS1_3_AES_128_CCM_SHA256,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
    0};

#if MBEDTLS_VERSION_NUMBER < 0x03010000
/* A small build may lack some of these, and 2.28 refuses to offer what it has not. */
static const mbedtls_ecp_group_id groups[] = {
#if defined(MBEDTLS_ECP_DP_SECP256R1_ENABLED)
    MBEDTLS_ECP_DP_SECP256R1,
#endif
#if defined(MBEDTLS_ECP_DP_CURVE25519_ENABLED)
    MBEDTLS_ECP_DP_CURVE25519,
#endif
#if defined(MBEDTLS_ECP_DP_SECP384R1_ENABLED)
    MBEDTLS_ECP_DP_SECP384R1,
#endif
    MBEDTLS_ECP_DP_NONE};
/* 2.28 would take SHA-1 in the server's key exchange by default; 3.x has left it out. */
static const int signature_hashes[] = {MBEDTLS_MD_SHA256,
#if defined(MBEDTLS_SHA512_C)
                                       MBEDTLS_MD_SHA384, MBEDTLS_MD_SHA512,
#endif
                                       MBEDTLS_MD_NONE};
#else
static const uint16_t groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
#endif

static int entropy_get(void *ctx, unsigned char *buf, size_t size) {
  htel_tls_identity *identity = ctx;
  if (identity->config.entropy != NULL) {
    return identity->config.entropy(identity->config.entropy_ctx, buf, size) == 0
               ? 0
               : MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
  }
#if defined(MBEDTLS_ENTROPY_C)
  return mbedtls_entropy_func(&identity->entropy, buf, size);
#else
  return MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
#endif
}

/* 0 while it is not known. */
static int64_t clock_s(const htel_tls_identity *identity) {
  if (identity->config.utc != NULL) {
    int64_t ms = 0;
    return identity->config.utc(identity->config.utc_ctx, &ms) == 0 && ms > 0 ? ms / 1000 : 0;
  }
#if defined(MBEDTLS_HAVE_TIME)
  int64_t now_s = (int64_t)mbedtls_time(NULL);
  return now_s > 0 ? now_s : 0;
#else
  return 0;
#endif
}

int identity_now(const htel_tls_identity *identity, int64_t *now_s, bool *by_floor) {
  int64_t floor_s = identity->config.utc_floor_ms / 1000;
  *now_s = clock_s(identity);
  *by_floor = *now_s < floor_s;
  if (*by_floor) {
    *now_s = floor_s;
  }
  return *now_s > 0 ? 0 : HTEL_E_TLS_NO_TIME;
}

static int config_check(const htel_tls_config *config) {
  if (config->host == NULL || config->host[0] == '\0' ||
      strlen(config->host) > HTEL_TLS_HOST_CHARS_MAX || config->ca_pem == NULL ||
      (config->cert_pem == NULL) != (config->key_pem == NULL) || config->utc_floor_ms < 0) {
    return HTEL_E_ARGUMENT;
  }
#if !defined(MBEDTLS_HAVE_TIME)
  if (config->utc == NULL) {
    return HTEL_E_ARGUMENT;
  }
#endif
#if !defined(MBEDTLS_ENTROPY_C)
  if (config->entropy == NULL) {
    return HTEL_E_ARGUMENT;
  }
#endif
  size_t count = 0;
  while (config->alpn != NULL && config->alpn[count] != NULL) {
    if (++count > HTEL_TLS_ALPN_MAX) {
      return HTEL_E_ARGUMENT;
    }
  }
  return 0;
}

static const unsigned char *text(const char *pem) {
  return (const unsigned char *)pem;
}

static int key_parse(htel_tls_identity *identity, const char *pem) {
  size_t size = strlen(pem) + 1;
#if MBEDTLS_VERSION_NUMBER < 0x03000000
  int rc = mbedtls_pk_parse_key(&identity->key, text(pem), size, NULL, 0);
  if (rc == 0) {
    rc = mbedtls_pk_check_pair(&identity->cert.pk, &identity->key);
  }
#else
  int rc = mbedtls_pk_parse_key(&identity->key, text(pem), size, NULL, 0, mbedtls_ctr_drbg_random,
                                &identity->random);
  if (rc == 0) {
    rc = mbedtls_pk_check_pair(&identity->cert.pk, &identity->key, mbedtls_ctr_drbg_random,
                               &identity->random);
  }
#endif
  return rc == 0 ? 0 : HTEL_E_TLS_CREDENTIALS;
}

/* A positive result counts the certificates that could not be read: not one may be. */
static int credentials_parse(htel_tls_identity *identity, const htel_tls_config *config) {
  if (mbedtls_x509_crt_parse(&identity->ca, text(config->ca_pem), strlen(config->ca_pem) + 1) !=
      0) {
    return HTEL_E_TLS_CREDENTIALS;
  }
#if defined(MBEDTLS_X509_CRL_PARSE_C)
  if (config->crl_pem != NULL && mbedtls_x509_crl_parse(&identity->crl, text(config->crl_pem),
                                                        strlen(config->crl_pem) + 1) != 0) {
    return HTEL_E_TLS_CREDENTIALS;
  }
#else
  if (config->crl_pem != NULL) {
    return HTEL_E_ARGUMENT;
  }
#endif
  if (config->cert_pem == NULL) {
    return 0;
  }
  if (mbedtls_x509_crt_parse(&identity->cert, text(config->cert_pem),
                             strlen(config->cert_pem) + 1) != 0) {
    return HTEL_E_TLS_CREDENTIALS;
  }
  return key_parse(identity, config->key_pem);
}

static void versions_set(mbedtls_ssl_config *ssl) {
#if MBEDTLS_VERSION_NUMBER < 0x03020000
  mbedtls_ssl_conf_min_version(ssl, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#else
  mbedtls_ssl_conf_min_tls_version(ssl, MBEDTLS_SSL_VERSION_TLS1_2);
#endif
#if defined(MBEDTLS_SSL_PROTO_TLS1_3) && MBEDTLS_VERSION_NUMBER >= 0x03020000
  mbedtls_ssl_conf_tls13_key_exchange_modes(ssl,
                                            MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ALL);
#endif
#if defined(MBEDTLS_SSL_PROTO_TLS1_3) && defined(MBEDTLS_SSL_SESSION_TICKETS) && \
    defined(MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED)
  mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
      ssl, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
#endif
}

/* What is true of every handshake. */
static int rules_set(htel_tls_identity *identity) {
  mbedtls_ssl_config *ssl = &identity->ssl;
  const htel_tls_config *config = &identity->config;
  if (mbedtls_ssl_config_defaults(ssl, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                  MBEDTLS_SSL_PRESET_DEFAULT) != 0) {
    return HTEL_E_MEMORY;
  }
  versions_set(ssl);
  mbedtls_ssl_conf_authmode(ssl, MBEDTLS_SSL_VERIFY_REQUIRED);
  mbedtls_ssl_conf_verify(ssl, verify_certificate, identity);
  mbedtls_ssl_conf_cert_profile(ssl, &mbedtls_x509_crt_profile_next);
  mbedtls_ssl_conf_ciphersuites(ssl, ciphersuites);
#if MBEDTLS_VERSION_NUMBER < 0x03010000
  mbedtls_ssl_conf_curves(ssl, groups);
  mbedtls_ssl_conf_sig_hashes(ssl, signature_hashes);
#else
  mbedtls_ssl_conf_groups(ssl, groups);
#endif
  mbedtls_ssl_conf_rng(ssl, mbedtls_ctr_drbg_random, &identity->random);
  mbedtls_ssl_conf_ca_chain(ssl, &identity->ca, identity->crl_given ? &identity->crl : NULL);
  if (config->cert_pem != NULL &&
      mbedtls_ssl_conf_own_cert(ssl, &identity->cert, &identity->key) != 0) {
    return HTEL_E_MEMORY;
  }
#if defined(MBEDTLS_SSL_ALPN)
  /* 2.28 declares the list without const and does not write to it. */
  if (config->alpn != NULL && mbedtls_ssl_conf_alpn_protocols(ssl, identity->alpn) != 0) {
    return HTEL_E_ARGUMENT;
  }
#else
  if (config->alpn != NULL) {
    return HTEL_E_ARGUMENT;
  }
#endif
  return 0;
}

static int identity_fill(htel_tls_identity *identity, const htel_tls_config *config) {
#if defined(NEEDS_PSA)
  if (psa_crypto_init() != PSA_SUCCESS) {
    return HTEL_E_RANDOM;
  }
#endif
  if (mbedtls_ctr_drbg_seed(&identity->random, entropy_get, identity,
                            (const unsigned char *)"healthtel", 9) != 0) {
    return HTEL_E_RANDOM;
  }
  int rc = credentials_parse(identity, config);
  return rc != 0 ? rc : rules_set(identity);
}

int htel_tls_identity_load(htel_tls_identity *identity, const htel_tls_config *config) {
  int rc = config_check(config);
  if (rc != 0) {
    return rc;
  }
  memset(identity, 0, sizeof *identity);
  identity->config = *config;
  identity->crl_given = config->crl_pem != NULL;
  for (size_t i = 0; config->alpn != NULL && config->alpn[i] != NULL; i++) {
    identity->alpn[i] = config->alpn[i];
  }
  mbedtls_ssl_config_init(&identity->ssl);
  mbedtls_x509_crt_init(&identity->ca);
  mbedtls_x509_crt_init(&identity->cert);
#if defined(MBEDTLS_X509_CRL_PARSE_C)
  mbedtls_x509_crl_init(&identity->crl);
#endif
  mbedtls_pk_init(&identity->key);
  mbedtls_ctr_drbg_init(&identity->random);
  mbedtls_ssl_session_init(&identity->session);
#if defined(MBEDTLS_ENTROPY_C)
  mbedtls_entropy_init(&identity->entropy);
#endif
  rc = identity_fill(identity, config);
  if (rc != 0) {
    htel_tls_identity_free(identity);
    return rc;
  }
  /* The texts may go now. */
  identity->config.ca_pem = NULL;
  identity->config.cert_pem = NULL;
  identity->config.key_pem = NULL;
  identity->config.crl_pem = NULL;
  return 0;
}

void htel_tls_identity_free(htel_tls_identity *identity) {
  mbedtls_ssl_session_free(&identity->session);
  identity->session_kept = false;
  mbedtls_ssl_config_free(&identity->ssl);
  mbedtls_pk_free(&identity->key);
#if defined(MBEDTLS_X509_CRL_PARSE_C)
  mbedtls_x509_crl_free(&identity->crl);
#endif
  mbedtls_x509_crt_free(&identity->cert);
  mbedtls_x509_crt_free(&identity->ca);
  mbedtls_ctr_drbg_free(&identity->random);
#if defined(MBEDTLS_ENTROPY_C)
  mbedtls_entropy_free(&identity->entropy);
#endif
}
