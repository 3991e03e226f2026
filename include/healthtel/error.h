/* SPDX-License-Identifier: Apache-2.0 */
/* error.h - every error of the library, in one table.
 *
 * Negative, so that a count or 0 means success. The text of each says what happened and what to do;
 * htel_strerror() returns it. Codes keep their numbers for ever: they travel in statistics and in
 * reports. */
#ifndef HEALTHTEL_ERROR_H
#define HEALTHTEL_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, number, text) */
#define HTEL_ERRORS(X)                                                                            \
  X(HTEL_E_AGAIN, -1, "not done yet: call again later")                                           \
  X(HTEL_E_ARGUMENT, -2, "an argument is out of range, or the channel is of another kind")        \
  X(HTEL_E_CONFIG, -3, "the configuration is wrong: htel_config.fault names the field and why")   \
  X(HTEL_E_MEMORY, -4, "the memory is too small or misaligned: ask htel_memory_needed()")         \
  X(HTEL_E_FULL, -5, "no room: the reading was refused and counted as lost")                      \
  X(HTEL_E_TIMEOUT, -6, "the deadline passed before everything was delivered")                    \
  X(HTEL_E_PORT, -7, "the port lacks a function that must be there")                              \
  X(HTEL_E_CLOSED, -8, "the client or the link is closed")                                        \
  X(HTEL_E_RANDOM, -9, "the port's random source failed: without it nothing is sent")             \
  X(HTEL_E_STORE, -10, "the boot counter's store cannot be read or written")                      \
  X(HTEL_E_TOO_LARGE, -11, "larger than the configured or documented limit")                      \
  X(HTEL_E_FORMAT, -20, "the bytes are not a healthtel message")                                  \
  X(HTEL_E_CRC, -21, "the frame's checksum does not match: it was damaged")                       \
  X(HTEL_E_SCHEMA, -22, "the frame names a birth that is not the one given")                      \
  X(HTEL_E_VERSION, -23, "made by a newer format than this library knows: update the decoder")    \
  X(HTEL_E_UNSUPPORTED, -24, "needs a part that this build leaves out (zlib)")                    \
  X(HTEL_E_RESOLVE, -40, "the broker's host name cannot be resolved: check name and DNS")         \
  X(HTEL_E_CONNECT, -41, "no TCP connection to the broker: check address, port and firewall")     \
  X(HTEL_E_REFUSED, -42, "the broker refused the session: check client id and permissions")       \
  X(HTEL_E_UNAUTHORIZED, -43, "the broker does not accept this device's certificate or id")       \
  X(HTEL_E_LINK_LOST, -44, "the connection was lost")                                             \
  X(HTEL_E_LINK_SILENT, -45, "the broker is silent, in the handshake or for 1.5 keep-alives")     \
  X(HTEL_E_PROTOCOL, -46, "the broker broke the MQTT protocol")                                   \
  X(HTEL_E_SUBSCRIBE, -47, "the broker refused the receipt topic: check its access control")      \
  X(HTEL_E_IMPOSTOR, -48, "another process tried to use the connection; it was refused")          \
  X(HTEL_E_TLS, -60, "the server ended the TLS handshake without saying why: see its log")        \
  X(HTEL_E_TLS_CA, -61, "the server's certificate is signed by another CA than ours")             \
  X(HTEL_E_TLS_NAME, -62, "the server's certificate is for another host name: use a name in it")  \
  X(HTEL_E_TLS_EXPIRED, -63, "the server's certificate has expired: renew it, or set the clock")  \
  X(HTEL_E_TLS_NOT_YET, -64, "the server's certificate is not valid yet: is the clock set?")      \
  X(HTEL_E_TLS_REVOKED, -65, "a certificate of the server is revoked: give it a new one")         \
  X(HTEL_E_TLS_NOT_TLS, -66, "the server does not speak TLS on this port: check the port")        \
  X(HTEL_E_TLS_VERSION, -67, "the server offers no TLS version that we have: enable 1.2 there")   \
  X(HTEL_E_TLS_WEAK, -68, "a key in the server's chain is too short: RSA 2048, curves 256 bits")  \
  X(HTEL_E_TLS_USAGE, -69, "the server's certificate is not for servers: check its key usage")    \
  X(HTEL_E_TLS_CLIENT_CERT, -70, "the server refused our certificate: does it know its CA?")      \
  X(HTEL_E_TLS_ALPN, -71, "the server does not know the configured ALPN protocol")                \
  X(HTEL_E_TLS_CREDENTIALS, -72, "CA, certificate or key cannot be read, or do not fit together") \
  X(HTEL_E_TLS_NO_TIME, -73, "the clock is not set: certificates cannot be checked yet")          \
  X(HTEL_E_TLS_SELF_SIGNED, -74, "the server's certificate is self-signed: have our CA sign it")  \
  X(HTEL_E_TLS_CHAIN, -75, "no way up to our CA: the server must send its intermediates")         \
  X(HTEL_E_TLS_NOT_CA, -76, "a certificate of the server's chain may not sign those below")       \
  X(HTEL_E_TLS_CA_EXPIRED, -77, "a CA above the server's certificate has expired: renew that")    \
  X(HTEL_E_TLS_HASH, -78, "a certificate of the server is signed with MD5 or SHA-1: use SHA-256") \
  X(HTEL_E_TLS_CRL, -79, "no valid revocation list for the server's CA: fetch a new one")         \
  X(HTEL_E_TLS_KIND, -80, "a certificate of the server cannot be read: use ECDSA or RSA")         \
  X(HTEL_E_TLS_CIPHER, -81, "no common cipher or curve: the server needs ECDHE, GCM and P-256")   \
  X(HTEL_E_TLS_SIGNATURE, -82, "the server does not hold its certificate's key: an impostor?")    \
  X(HTEL_E_TLS_CLOSED, -83, "the server hung up in the handshake: check the port and its log")    \
  X(HTEL_E_TLS_GARBLED, -84, "broken TLS came: something on the way, or the server, is faulty")   \
  X(HTEL_E_TLS_TOO_LARGE, -85, "the server's chain is too long for us: shorten it")               \
  X(HTEL_E_TLS_NO_CERT, -86, "the server asks for our certificate, and we have none: add one")    \
  X(HTEL_E_TLS_CLIENT_EXPIRED, -87, "our certificate has expired, says the server: renew it")     \
  X(HTEL_E_TLS_CLIENT_REVOKED, -88, "our certificate is revoked, says the server: get another")

#define HTEL_ERROR_ENUM(name, number, text) name = (number),
typedef enum htel_error { HTEL_OK = 0, HTEL_ERRORS(HTEL_ERROR_ENUM) } htel_error;
#undef HTEL_ERROR_ENUM

/* Words for an error code; never NULL. The text is static. Any thread, any context. */
const char *htel_strerror(int error);

/* The code's name ("HTEL_E_TLS_NAME"), for machine-readable output; never NULL. */
const char *htel_errname(int error);

#ifdef __cplusplus
}
#endif
#endif
