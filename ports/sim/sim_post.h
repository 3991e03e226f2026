/* SPDX-License-Identifier: Apache-2.0 */
/* sim_post.h - messages that a broker keeps: those waiting for the ingest, and the retained ones.
 *
 * What waits lies end to end in one ring of bytes, which grows as it must and shrinks when it is
 * empty. Retained messages are kept one by one, by topic. */
#ifndef HTEL_SIM_POST_H
#define HTEL_SIM_POST_H

#include "sim_broker.h"

typedef struct sim_post {
  uint8_t *bytes;
  size_t room, first, used;
  uint32_t count; /* messages */
  uint8_t *taken; /* the last one taken */
  size_t taken_room;
} sim_post;

void sim_post_free(sim_post *p);
void sim_post_clear(sim_post *p);
/* False: no memory. */
bool sim_post_put(sim_post *p, const sim_message *message);
/* False: there is none, or no memory for it. Valid until the next call. */
bool sim_post_take(sim_post *p, sim_message *out);

typedef struct sim_kept {
  uint32_t hash;
  sim_message message; /* its texts follow */
} sim_kept;

typedef struct sim_shelf {
  sim_kept **kept;
  uint32_t count, room;
} sim_shelf;

void sim_shelf_clear(sim_shelf *s);
/* Takes the place of the one before it; an empty payload takes it away. False: no memory. */
bool sim_shelf_put(sim_shelf *s, const sim_message *message);

uint32_t sim_text_hash(const char *text);

#endif
