/* SPDX-License-Identifier: Apache-2.0 */
/* rabbitmq_node DIR CERTS PORT [NUMBER EPMD_PORT OWN_PORT] - RabbitMQ as broker of a test script:
 * this process becomes it, so that its process id is the broker's. With a number it is one of three
 * that make a cluster (rabbitmq.h). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "rabbitmq.h"

static uint16_t port_parse(const char *text) {
  long port = strtol(text, NULL, 10);
  return port >= 1 && port <= 65535 ? (uint16_t)port : 0;
}

int main(int argc, char **argv) {
  uint16_t port = argc > 3 ? port_parse(argv[3]) : 0;
  rabbitmq_member member = {0};
  if (argc == 7) {
    member.number = (unsigned)strtoul(argv[4], NULL, 10);
    member.epmd_port = port_parse(argv[5]);
    member.port = port_parse(argv[6]);
  }
  if (port == 0 || (argc != 4 && (argc != 7 || member.epmd_port == 0 || member.port == 0))) {
    fprintf(stderr, "usage: rabbitmq_node DIR CERTS PORT [NUMBER EPMD_PORT OWN_PORT]\n");
    return 64;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  rabbitmq_become(argv[1], argv[2], port, argc == 7 ? &member : NULL);
  perror("rabbitmq_node: env");
  return 1;
}
