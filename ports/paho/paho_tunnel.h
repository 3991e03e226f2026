/* SPDX-License-Identifier: Apache-2.0 */
/* paho_tunnel.h - the loopback connection between paho and the worker.
 *
 * Any process of the machine can connect to a loopback port, so who is at the other end is asked of
 * the kernel: the connection is ours when one of this process's own descriptors is its other end,
 * that is, has our peer's address as its own and our address as its peer. Four numbers
 * name a TCP connection and no two connections share them. Everything else is closed unread.
 *
 * The listener stays open, refusing, until paho's handle is gone: were the port free, another
 * process could take it, and wait there for paho.
 *
 * paho obeys the environment variable http_proxy, and would take everything it sends, in plain
 * text, to whoever that names. Only a proxy given in its options goes before it. So the tunnel is
 * given to paho as its proxy, and answers its HTTP CONNECT. */
#ifndef HTEL_PAHO_TUNNEL_H
#define HTEL_PAHO_TUNNEL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct tunnel {
  int listen_fd;
  int fd;                     /* the connection with paho, -1 before */
  struct sockaddr_in address; /* of the listener */
  uint32_t impostors;
} tunnel;

#define TUNNEL_NONE \
  { .listen_fd = -1, .fd = -1 }

/* Listens on a fresh port of 127.0.0.1. 0 or HTEL_E_CONNECT. */
int tunnel_listen(tunnel *tun);
uint16_t tunnel_port(const tunnel *tun);

/* Looks at those who knock: takes paho's connection, once; refuses all others. A bounded number at
 * one call. */
void tunnel_accept(tunnel *tun);

/* Length of the proxy request that `bytes` begin with, with all that belongs to it; 0: not complete
 * yet; HTEL_E_PROTOCOL: it is none. */
int tunnel_preamble(const uint8_t *bytes, size_t size);

void tunnel_close(tunnel *tun);

#endif
