/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - the ingest in a simulation: htel-ingest's own intake over the broker's queue and the
 * store in memory, in virtual time.
 *
 *     sim_broker -> source -> intake (gather, check, commit, receipt) -> sim_broker
 *
 * Nothing in it waits: it is run at appointments. It can be killed at any moment, also between
 * commit and receipt; what it had gathered and not committed is gone, and comes again. */
#ifndef FLEET_SERVER_H
#define FLEET_SERVER_H

#include "intake.h"
#include "memory_store.h"
#include "sim_broker.h"

typedef struct server server;

/* NULL: no memory. utc_of_zero: Unix ms of ms 0 of the run. */
server *server_new(sim_queue *queue, uint32_t actor, sim_broker *broker, memory_store *store,
                   uint32_t commit_ms, int64_t utc_of_zero);
void server_free(server *s);

void server_step(server *s); /* its turn; makes its next appointment itself */

typedef enum server_kill {
  SERVER_KILL_NOW,           /* what was gathered is gone */
  SERVER_KILL_BEFORE_COMMIT, /* in the next transaction, before it is committed */
  SERVER_KILL_AFTER_COMMIT   /* in the next transaction, between commit and receipts */
} server_kill;
void server_kill_it(server *s, server_kill how);
void server_start(server *s);
bool server_is_up(const server *s);

/* Over all its lives. */
const intake_stats *server_stats(server *s);
uint64_t server_alerts(const server *s);

#endif
