/* SPDX-License-Identifier: Apache-2.0 */
/* sim_broker_parts.h - what the broker's files share: sim_broker.c (what it is as a whole),
 * sim_session.c (one client's connection), sim_hostile.c (what no broker should do). */
#ifndef HTEL_SIM_BROKER_PARTS_H
#define HTEL_SIM_BROKER_PARTS_H

#include "sim_post.h"

#define SESSION_PACKET_BYTES_MAX 66000u /* longer ones end the connection */
#define SESSION_ACKS_MAX 64u            /* PUBACKs that wait for their time */
#define SESSION_IN_FLIGHT_MAX 20u       /* given, and no PUBACK yet: mosquitto's default */

typedef struct session_bytes {
  uint8_t *at;
  uint32_t used, room;
} session_bytes;

typedef struct session_ack {
  int64_t due_ms;
  uint16_t id;
} session_ack;

/* A connection, from TLS to its end. */
typedef struct session {
  sim_conn *conn;
  uint32_t place; /* in the broker's list and agenda */
  uint32_t device;
  bool connected; /* CONNECT came and was answered with 0: there is a will */
  bool orderly;   /* DISCONNECT came: the will is dropped */
  bool stalled;   /* the ingest's queue has no room for its next PUBLISH */
  bool over;      /* to be ended, as `how` says */
  sim_end how;
  char *client_id, *will_topic; /* and the will: one piece of memory, at client_id */
  uint8_t *will;
  uint16_t will_size;
  uint16_t keep_alive_s;
  char *receipt_topic;      /* subscribed to; NULL: nothing yet */
  int64_t heard_ms;         /* last bytes */
  int64_t slow_ms;          /* SIM_BROKER_SLOW: not before */
  int64_t hostile_ms;       /* SIM_BROKER_HOSTILE: the next act */
  bool hostile_begun, liar; /* one that lies keeps to the protocol */
  session_bytes in;         /* of a packet that is not whole yet, or not read */
  session_bytes out;        /* not taken by the connection yet */
  session_bytes later;      /* PUBLISH packets that wait for room in flight, each behind its size */
  session_bytes held;       /* the payload of a receipt that is held back */
  int64_t held_ms;          /* not for longer than that */
  uint16_t in_flight[SESSION_IN_FLIGHT_MAX]; /* packet ids; 0: free */
  uint16_t next_id;
  session_ack *acks; /* SESSION_ACKS_MAX; NULL: never needed */
  uint32_t ack_count;
  /* What its frames have shown: the highest boot, its highest sequence; 0: nothing */
  uint64_t boot_max;
  uint32_t sequence_max;
  uint16_t last_id; /* of its last PUBLISH */
} session;

struct sim_broker {
  sim_queue *queue;
  uint32_t actor, ingest_actor;
  sim_net *net;
  sim_random random;
  sim_broker_habits habits;
  sim_broker_counts counts;
  sim_broker_tap tap;
  bool down;
  bool subacks_refused; /* the next refusal is at SUBACK */
  sim_post post;        /* for the ingest */
  sim_shelf shelf;
  bool any_stalled;
  session **sessions;                 /* by place; NULL: free */
  uint32_t *id_hashes, *topic_hashes; /* by place; 0: none */
  uint32_t room;
  sim_queue agenda;                               /* of the places */
  uint8_t scratch[2u * SESSION_PACKET_BYTES_MAX]; /* what is read or made just now */
  uint8_t packet[SESSION_PACKET_BYTES_MAX];
};

static inline int64_t broker_now_ms(const sim_broker *b) {
  return b->queue->now_ms;
}

static inline bool broker_chance(sim_broker *b, uint32_t pct) {
  return pct > 0 && random_below(&b->random, 100u) < pct;
}

/* ---- sim_broker.c ---- */
/* The message goes to the ingest; false: not now. */
bool broker_has_room(const sim_broker *b);
void broker_give(sim_broker *b, const sim_message *message);
/* The session with this client id that is not `but`; NULL: none. */
session *broker_session_of(sim_broker *b, const char *client_id, const session *but);
/* Ends it at once: `s` is gone. */
void broker_session_end(sim_broker *b, session *s, sim_end how);

/* ---- sim_session.c ---- */
session *session_new(sim_broker *b, sim_conn *conn, uint32_t place);
void session_free(session *s);
/* Reads, answers, writes what is due; sets `over` where it is to end. */
void session_step(sim_broker *b, session *s);
/* When it is to be stepped although nothing comes. */
int64_t session_next_ms(const sim_broker *b, const session *s);
void session_receipt(sim_broker *b, session *s, const uint8_t *payload, size_t size);
/* As it is, in the order of all else. */
void session_send(session *s, const uint8_t *bytes, uint32_t size);
/* A whole PUBLISH into `to`; id 0: QoS 0. Its size; 0: no room. */
uint32_t session_publish_make(const char *topic, uint16_t id, const uint8_t *payload, size_t size,
                              uint8_t *to, uint32_t room);
void session_over(session *s, sim_end how);

/* ---- sim_hostile.c ---- */
/* Does something that it should not, to a session that is connected, and says when to do so again.
 */
void hostile_act(sim_broker *b, session *s);
/* Learns from a frame that came: from every one, whatever the mood is. */
void hostile_learn(session *s, const uint8_t *frame, size_t size);
/* Answers a CONNECT as it should not; false: it does not this time. */
bool hostile_connack(sim_broker *b, session *s);

#endif
