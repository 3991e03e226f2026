/* SPDX-License-Identifier: Apache-2.0 */
/* peer_server.h - peer.h over TCP, for a few connections at a time, in one thread. */
#ifndef HTEL_TESTS_PORT_PEER_SERVER_H
#define HTEL_TESTS_PORT_PEER_SERVER_H

#include <stdint.h>

/* Listens on `address` (IPv4 in dots) and `port` (0: one that is free, written there). A
 * descriptor, or -1 with errno. */
int peer_listen(const char *address, uint16_t *port);

/* Serves until the process ends, or an error of the listening socket. */
void peer_serve(int listener);

#endif
