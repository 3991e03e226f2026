/* SPDX-License-Identifier: Apache-2.0 */
/* htel_tls.h - a TLS client over any byte stream, with mbedTLS (2.28 to 3.6).
 *
 *     htel_tls_identity_load(&identity, &config)        once: parses CA, certificate, key
 *     htel_tls_start(&tls, &identity, stream)           for each connection
 *     htel_tls_handshake(&tls)                          until it is not HTEL_E_AGAIN
 *     htel_tls_read / htel_tls_write, or htel_tls_stream for both as a htel_stream
 *     htel_tls_close_notify(&tls), htel_tls_free(&tls)
 *     htel_tls_identity_free(&identity)
 *
 * The server is always verified: signed by the CA given, for the host name given, in its time, not
 * revoked, for use as a server. There is no switch for it, and nothing can be written before
 * it has succeeded. TLS 1.2 at least, 1.3 where mbedTLS has it; ephemeral elliptic-curve key
 * exchange and authenticated ciphers only; no SHA-1, RSA keys of 2048 bits at least.
 *
 * A session is kept in RAM in the identity and resumed by the next connection, which then costs
 * fewer bytes and no signature. It belongs to that identity, so it is never offered to another host
 * or under another CA. It is forgotten when a connection with it fails, when the server's
 * certificate would have expired since, and HTEL_TLS_SESSION_S_MAX after the certificate was last
 * looked at. docs/TLS.md has the rules in full, and what to do about each error.
 *
 * Each call reads a bounded number of bytes, however fast a server talks.
 *
 * No POSIX, no stdio, no threads: an identity and its connections belong to one thread at a time.
 * All structs are the caller's; mbedTLS takes heap for itself (about 10 KB in a handshake with
 * small records). */
#ifndef HTEL_TLS_H
#define HTEL_TLS_H

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>

#include "healthtel/error.h"
#include "healthtel/port.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HTEL_TLS_ALPN_MAX 4u
#define HTEL_TLS_HOST_CHARS_MAX 253u
#define HTEL_TLS_SESSION_S_MAX 86400 /* a full handshake at least once a day */

typedef struct htel_tls_config {
  const char *host; /* DNS name of the server: sent (SNI) and verified. Must be there. 2.28 does not
                       match IP addresses in certificates: use names. Kept by reference. */
  const char *ca_pem;   /* one or more CA certificates. Must be there. */
  const char *cert_pem; /* this device's certificate, then those between it and its CA; or NULL */
  const char *key_pem;  /* its key, not encrypted; NULL with cert_pem NULL */
  const char *crl_pem;  /* revocation lists, or NULL. With lists, the server's own CA must have one
                           that is in date, or the server is refused (HTEL_E_TLS_CRL); those of CAs
                           above it are used where they are there. Needs MBEDTLS_X509_CRL_PARSE_C.
                         */
  const char *const *alpn; /* protocols, best first, NULL at the end; or NULL for no ALPN. Kept by
                              reference. The server must choose one of them. */
  /* Unix time in ms; HTEL_E_AGAIN while the clock is not set. NULL: mbedTLS's own time, where it is
   * built with one. */
  int (*utc)(void *ctx, int64_t *utc_ms);
  void *utc_ctx;
  /* While the clock is not set: 0, no handshake is begun (HTEL_E_TLS_NO_TIME). Otherwise a Unix
   * time in ms that has surely passed, such as that of the build: while the clock shows less or
   * nothing, what expired before then is refused, "not yet valid" is not judged, and no session is
   * kept. So a certificate that expired since may still be taken: docs/TLS.md. */
  int64_t utc_floor_ms;
  /* `size` unpredictable bytes, 0 or an error. NULL: mbedTLS's entropy sources, where built. */
  int (*entropy)(void *ctx, uint8_t *buf, size_t size);
  void *entropy_ctx;
  /* Where mbedTLS is built with MBEDTLS_ECP_RESTARTABLE: about how much of elliptic-curve
   * arithmetic one htel_tls_handshake() does before it returns HTEL_E_AGAIN with
   * HTEL_TLS_WANTS_CPU, in mbedTLS's units (mbedtls_ecp_set_max_ops; a multiplication on P-256
   * takes some 3,500). 0: all at once. Used with ECDHE-ECDSA, where the server's certificate is
   * ECDSA. */
  uint32_t ecp_ops_max;
} htel_tls_config;

/* Who we are, whom we trust, which server we speak to; and the session to resume. */
typedef struct htel_tls_identity {
  htel_tls_config config; /* its PEM members are not used after loading */
  const char *alpn[HTEL_TLS_ALPN_MAX + 1];
  mbedtls_ssl_config ssl;
  mbedtls_x509_crt ca, cert;
  mbedtls_x509_crl crl;
  bool crl_given;
  mbedtls_pk_context key;
  mbedtls_ctr_drbg_context random;
#if defined(MBEDTLS_ENTROPY_C)
  mbedtls_entropy_context entropy;
#endif
  struct htel_tls *handshaking; /* whose handshake mbedTLS is at: for the verification callback */
  mbedtls_ssl_session session;
  bool session_kept;
  int64_t session_verified_s; /* Unix time at which its certificate was looked at; 0 not known */
  int64_t session_until_s;    /* when the first certificate of its chain expires */
} htel_tls_identity;

/* What has to happen before the next call makes sense. */
typedef enum htel_tls_wants {
  HTEL_TLS_WANTS_READ,  /* the stream must become readable */
  HTEL_TLS_WANTS_WRITE, /* the stream must become writable */
  HTEL_TLS_WANTS_CPU    /* nothing: a long computation was cut in pieces, call again */
} htel_tls_wants;

/* One connection. Must not move between start and free. */
typedef struct htel_tls {
  mbedtls_ssl_context ssl;
  htel_tls_identity *identity;
  htel_stream stream;
  htel_tls_wants wants;
  int stream_error;      /* what the stream said, told instead of mbedTLS's words for it */
  int error;             /* sticky: once failed, every call returns it */
  uint32_t verify_flags; /* of the whole chain, MBEDTLS_X509_BADCERT_* */
  uint32_t chain_length; /* certificates looked at; 0 when the session was resumed */
  int64_t now_s;         /* when it was started: what certificates are judged by */
  bool by_floor;         /* that is utc_floor_ms, for want of a clock */
  int64_t until_s;       /* when the first certificate or revocation list of the chain runs out */
  size_t write_pending;  /* bytes that a write which would block has taken already */
  uint32_t read_budget;  /* bytes that the present call may still read from the stream */
  uint8_t first[5];      /* how the server's answer begins: TLS or something else? */
  uint8_t first_count;
  bool session_offered, verified;
} htel_tls;

/* Parses and checks everything once. The PEM texts may go afterwards. 0; HTEL_E_ARGUMENT (host, CA
 * or time missing, too many protocols), HTEL_E_TLS_CREDENTIALS (not readable, or key and
 * certificate do not fit), HTEL_E_RANDOM. After an error there is nothing to free. */
int htel_tls_identity_load(htel_tls_identity *identity, const htel_tls_config *config);
void htel_tls_identity_free(htel_tls_identity *identity);

/* Whether a handshake could be begun now, for one who is about to connect: 0, or
 * HTEL_E_TLS_NO_TIME.
 */
int htel_tls_ready(const htel_tls_identity *identity);

/* Begins a connection over a connected stream. 0, HTEL_E_TLS_NO_TIME, HTEL_E_MEMORY. */
int htel_tls_start(htel_tls *tls, htel_tls_identity *identity, htel_stream stream);

/* Goes on as far as the stream allows. 0: verified, ready; HTEL_E_AGAIN: see htel_tls_wanted();
 * otherwise HTEL_E_TLS*, or the stream's error when it ended in the middle. */
int htel_tls_handshake(htel_tls *tls);

/* After a handshake, read or write that could not go on. */
htel_tls_wants htel_tls_wanted(const htel_tls *tls);

/* As htel_stream says: bytes done, 0 would block, or an error; HTEL_E_CLOSED before the
 * handshake is done. Read until it gives 0: decrypted bytes may wait inside, where poll() does not
 * see them. After a write gave 0, the next one must begin with the same bytes and have no fewer. */
int htel_tls_read(htel_tls *tls, uint8_t *buf, size_t size);
int htel_tls_write(htel_tls *tls, const uint8_t *buf, size_t size);
htel_stream htel_tls_stream(htel_tls *tls);

/* Tells the server that nothing follows. 0 sent, HTEL_E_AGAIN would block, or an error (all may be
 * ignored). */
int htel_tls_close_notify(htel_tls *tls);

/* Whether this connection resumed the session kept before. */
bool htel_tls_resumed(const htel_tls *tls);

/* Gives mbedTLS's memory back. Also after an error. */
void htel_tls_free(htel_tls *tls);

#ifdef __cplusplus
}
#endif

#endif
