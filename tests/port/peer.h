/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h - the other end of the conformance kit's connections, as a machine without sockets: bytes
 * in, bytes out, a clock from outside. htel-port-peer drives it over TCP, the simulated port drives
 * it in memory.
 *
 * A connection begins with a command: a letter and a number of four bytes, most significant first.
 *
 *     E        sends back all that comes
 *     S n      reads nothing for n ms, then all up to PEER_END; then sends two numbers: how many
 *              bytes came, and where the first wrong one was (PEER_NONE: nowhere)
 *     C n      sends n bytes, then closes
 *     X n      resets the connection after n ms
 *     D n      sends one byte after n ms, nothing before
 *     T        answers each byte with its clock in ms
 *     K        reads until the connection ends, and remembers what S would have said
 *     Q        sends what the last K remembered, and forgets it
 *
 * Bytes that are counted follow peer_byte(), so that the receiver can check each one. */
#ifndef HTEL_TESTS_PORT_PEER_H
#define HTEL_TESTS_PORT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_COMMAND_BYTES 5u
#define PEER_END 0xFFu /* ends the bytes of S; peer_byte() never gives it */
#define PEER_NONE 0xFFFFFFFFu
#define PEER_ECHO_BYTES 1024u
#define PEER_PORT 7788u /* where htel-port-peer listens unless told otherwise */

/* Byte `at` of every counted stream: 0 to 250. */
static inline uint8_t peer_byte(uint32_t at) {
  return (uint8_t)((at * 7u + (at >> 8) * 13u) % 251u);
}

static inline void peer_number_write(uint8_t *to, uint32_t number) {
  for (unsigned i = 0; i < 4; i++) to[i] = (uint8_t)(number >> (24u - 8u * i));
}

static inline uint32_t peer_number_read(const uint8_t *from) {
  return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

typedef struct peer_count {
  uint32_t bytes, wrong_at;
} peer_count;

typedef enum peer_ending { PEER_STAYS, PEER_CLOSES, PEER_RESETS } peer_ending;

/* One connection. */
typedef struct peer {
  peer_count *last; /* of the last K; shared by all connections */
  uint8_t command[PEER_COMMAND_BYTES];
  uint32_t command_used;
  uint32_t argument, began_ms;
  peer_count count;
  uint32_t sent; /* of C and D */
  bool counted;  /* S: the end has come */
  uint8_t out[PEER_ECHO_BYTES];
  uint32_t out_used;
} peer;

void peer_begin(peer *p, peer_count *last);

/* How many of these bytes it takes now: 0 while it stalls or its room is full. */
size_t peer_take(peer *p, const uint8_t *bytes, size_t size, uint32_t now_ms);

/* What it has to send now; bytes that were not taken by peer_sent() come again. */
size_t peer_give(peer *p, uint8_t *bytes, size_t size, uint32_t now_ms);
void peer_sent(peer *p, size_t size);

/* What it does with the connection once peer_give() gives nothing. */
peer_ending peer_ends(const peer *p, uint32_t now_ms);

/* The other end has closed. */
void peer_closed(peer *p);

#endif
