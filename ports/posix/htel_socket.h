/* SPDX-License-Identifier: Apache-2.0 */
/* htel_socket.h - a TCP connection as a byte stream: never blocks, never raises SIGPIPE.
 *
 *     htel_socket_connect(&sock, address, size)   -> 0
 *     htel_socket_finish(&sock)                   -> HTEL_E_AGAIN..., 0     (wait for POLLOUT
 * between) htel_stream stream = htel_socket_stream(&sock); htel_socket_close(&sock)
 *
 * Names are resolved elsewhere (getaddrinfo blocks). TCP_NODELAY is set, since frames are whole
 * messages, and close-on-exec. */
#ifndef HTEL_SOCKET_H
#define HTEL_SOCKET_H

#include <sys/socket.h>

#include "healthtel/error.h"
#include "healthtel/port.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct htel_socket {
  int fd; /* -1: none. For poll() by the caller. */
} htel_socket;

#define HTEL_SOCKET_NONE \
  { -1 }

/* Starts to connect. 0: under way; HTEL_E_CONNECT: cannot be. */
int htel_socket_connect(htel_socket *sock, const struct sockaddr *address, socklen_t size);

/* 0: connected; HTEL_E_AGAIN: not yet; HTEL_E_CONNECT: refused or unreachable. */
int htel_socket_finish(htel_socket *sock);

/* read and write as htel_stream says; `sock` must stay where it is. */
htel_stream htel_socket_stream(htel_socket *sock);

/* From here on what is written is held back until htel_socket_push(), or until a segment is full:
 * what is written in one go, such as the parts of a TLS handshake, then shares segments, at 52
 * bytes each. Forgotten bytes go by themselves after 200 ms. Linux; nothing is wrong where it has
 * no effect. */
void htel_socket_hold(const htel_socket *sock);

/* Sends what is held back: to be called before waiting for an answer. */
void htel_socket_push(const htel_socket *sock);

/* Also when nothing is open. */
void htel_socket_close(htel_socket *sock);

#ifdef __cplusplus
}
#endif

#endif
