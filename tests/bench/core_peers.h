/* SPDX-License-Identifier: Apache-2.0 */
/* core_peers.h - what a device could do instead, on the same readings: other queues in the place of
 * the ring, other encoders in the place of batch, code and frame. */
#ifndef HTEL_TESTS_CORE_PEERS_H
#define HTEL_TESTS_CORE_PEERS_H

#include <stdint.h>

#define CORE_PEERS_RECORDS 1024u /* that a queue takes before it is emptied */

typedef struct core_peers core_peers;

core_peers *core_peers_open(void); /* NULL: out of memory */
void core_peers_close(core_peers *p);
void core_peers_empty(core_peers *p);

/* One reading into a queue behind a mutex, or into Concurrency Kit's ring for one producer and one
 * consumer. 0, or -1: full. */
int core_peers_mutex(core_peers *p, uint8_t channel, int32_t value, uint32_t tick);
int core_peers_ck(core_peers *p, uint8_t channel, int32_t value, uint32_t tick);

/* `count` samples are copied to a batch, which every 10 s becomes a message: nanopb, then zlib.
 * plain: every reading a message with its channel, tick and value; zlib as it is by default.
 * packed: differences as packed sint32, zlib with a window of 2^9 and memory level 1. */
typedef enum core_peers_form { CORE_PEERS_PLAIN, CORE_PEERS_PACKED } core_peers_form;
/* Bytes of the message that was closed, 0: none was, or -1. */
int core_peers_samples(core_peers *p, core_peers_form form, const int32_t *samples, uint16_t count);

#endif
