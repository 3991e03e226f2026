/* SPDX-License-Identifier: Apache-2.0 */
/* peer_main.c - htel-port-peer: what a device under the conformance kit connects to.
 *
 * For a trial in a network that you trust: it answers anybody. It stores nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer.h"
#include "peer_server.h"

static const char usage[] =
    "htel-port-peer [ADDRESS [PORT]]\n"
    "The other end of the conformance kit's connections (docs/PORTING.md).\n"
    "  ADDRESS  IPv4 address to listen on (127.0.0.1; 0.0.0.0: all)\n"
    "  PORT     1 to 65535 (7788), or 0: one that is free\n";

int main(int argc, char **argv) {
  const char *address = argc > 1 ? argv[1] : "127.0.0.1";
  char *end = NULL;
  long number = argc > 2 ? strtol(argv[2], &end, 10) : (long)PEER_PORT;
  if (argc > 3 || address[0] == '-' || (end != NULL && *end != '\0') || number < 0 ||
      number > 65535) {
    bool asked = argc == 2 && strcmp(argv[1], "--help") == 0;
    fputs(usage, asked ? stdout : stderr);
    return asked ? 0 : 2;
  }
  uint16_t port = (uint16_t)number;
  int listener = peer_listen(address, &port);
  if (listener < 0) {
    fprintf(stderr, "htel-port-peer: cannot listen on %s port %u: %s\n", address, (unsigned)port,
            strerror(errno));
    return 1;
  }
  printf("htel-port-peer: listening on %s port %u\n", address, (unsigned)port);
  fflush(stdout);
  peer_serve(listener);
  return 1;
}
