/* SPDX-License-Identifier: Apache-2.0 */
/* rabbitmq.h - a second broker that is not ours: RabbitMQ's MQTT listener, in the place of
 * mosquitto (broker.h), with the same certificates and the same rights.
 *
 *     broker_certs(certs, "--device", "dev-1", NULL)
 *     broker_start_rabbitmq(&broker, certs)    5 s or more
 *     broker_kill(&broker)                     SIGKILL
 *     broker_restart(&broker)                  3 to 7 s
 *     broker_stop(&broker)
 *
 * One node, one process, no clustering and no epmd, so that nothing outlives the test. What differs
 * from mosquitto, seen from outside:
 *
 *   - it closes the connection of who publishes what he may not; mosquitto drops the message
 *   - a message that somebody has subscribed to is acknowledged when it is on disk
 *   - a subscription with wildcards gets no retained messages, one without does; those that came
 *     in the last moments before a SIGKILL are gone
 *   - users are the certificates that lie in `certs` when it starts, all but "ca" and "broker" */
#ifndef HTEL_TEST_RABBITMQ_H
#define HTEL_TEST_RABBITMQ_H

#include "broker.h"

void broker_start_rabbitmq(broker *self, const char *certs);

/* Whether it is installed. */
bool rabbitmq_installed(void);

/* One of three that make a cluster, rabbit1@localhost to rabbit3@localhost. All have the same file
 * .erlang.cookie in their directories, and an epmd that the script has started. */
typedef struct rabbitmq_member {
  unsigned number;
  uint16_t epmd_port, port; /* epmd's, and its own for the others */
} rabbitmq_member;

/* For scripts: this process becomes the broker, with its files in `dir`. It takes connections when
 * it has printed a line with RABBITMQ_UP. `member`: NULL for a broker on its own. Returns when it
 * could not. */
#define RABBITMQ_UP "Ready to start client connection"
void rabbitmq_become(const char *dir, const char *certs, uint16_t port,
                     const rabbitmq_member *member);

#endif
