/* SPDX-License-Identifier: Apache-2.0 */
/* host.h - what a port under the conformance kit finds on a host: the kit's arguments, a peer in a
 * thread, an address that does not answer, interrupts by signals, a stack of known size.
 *
 *     int main(int argc, char **argv) { return host_main(argc, argv, port_trial); }
 *
 * Each run is a process of its own, so that the next one is after a reset. */
#ifndef HTEL_TESTS_PORT_HOST_H
#define HTEL_TESTS_PORT_HOST_H

#include "kit.h"

/* What the host has; a trial takes from it what it needs. */
typedef struct port_host {
  const char *directory; /* where the port may keep files; the same in all runs */
  uint16_t peer_port;    /* on 127.0.0.1: a peer */
  uint16_t nowhere_port; /* on 127.0.0.1: connections are never answered */
  kit_config config;     /* memory, print, interrupts, stack and the like, filled in */
} port_host;

/* Opens the port, fills in the rest of host->config and gives kit_run()'s result. */
typedef int host_trial(port_host *host);

int host_main(int argc, char **argv, host_trial *trial);

#endif
