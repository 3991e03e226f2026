/* SPDX-License-Identifier: Apache-2.0 */
/* paho_mailbox.h - everything that the core's thread, the worker and paho's threads share.
 *
 *     core    open, publish, close ->  [ request | slots, queue ]  -> worker
 *     core    next                 <-  [ events                 ]  <- worker, paho's callbacks
 *     worker                       <-  [ what paho said         ]  <- paho's callbacks
 *
 * One mutex, held for copies only: never while paho, the network or the core's functions are
 * called. An eventfd wakes the worker, config.wake the core; both are called without the mutex.
 *
 * A message holds its slot from publish() until the core has read its ACKED event. So there are
 * never more ACKED events than slots, the ring of events has room for all of them, and none is ever
 * lost. */
#ifndef HTEL_PAHO_MAILBOX_H
#define HTEL_PAHO_MAILBOX_H

#include <pthread.h>

#include "healthtel/healthtel.h"

#define MAIL_SLOTS 128u /* messages between publish() and ACKED */
#define MAIL_BYTES_MAX \
  (256u * 1024u) /* their payloads; less than the tunnel's socket buffers hold */
#define MAIL_PAYLOAD_MAX 61440u
#define MAIL_INBOUND 64u /* received messages that wait for next(); newer ones are dropped */
#define MAIL_TOPIC_CHARS_MAX 255u
#define MAIL_WILL_MAX 32u
#define MAIL_EVENTS (MAIL_SLOTS + MAIL_INBOUND + 2u) /* and one UP, one DOWN */

typedef enum mail_phase {
  MAIL_IDLE,    /* no connection; open() is welcome */
  MAIL_OPENING, /* the worker is at it */
  MAIL_UP,
  MAIL_ENDED /* DOWN waits for next() */
} mail_phase;

/* htel_link_session, copied. */
typedef struct mail_session {
  char client_id[HTEL_DEVICE_ID_CHARS_MAX + 1];
  char will_topic[MAIL_TOPIC_CHARS_MAX + 1];
  char receive_topic[MAIL_TOPIC_CHARS_MAX + 1]; /* empty: none */
  uint8_t will[MAIL_WILL_MAX];
  size_t will_size;
  uint16_t keep_alive_s;
} mail_session;

typedef enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_QUEUED, SLOT_SENT, SLOT_ACKED } slot_state;

typedef struct mailbox mailbox;

typedef struct mail_slot {
  mailbox *mail; /* so that a slot alone is context enough for paho's callback */
  slot_state state;
  uint32_t token;
  uint32_t size;
  bool retain;
  uint8_t *payload; /* while FILLING and QUEUED */
  char topic[MAIL_TOPIC_CHARS_MAX + 1];
} mail_slot;

/* What paho's callbacks said since the connection began. */
typedef struct mail_answers {
  bool connected;
  bool connect_failed;
  int connect_code; /* CONNACK's code when positive */
  bool subscribed;
  bool subscribe_failed;
  bool lost;
} mail_answers;

/* What the core asks of the worker. */
typedef struct mail_requests {
  bool open, close, quit;
  int abort; /* a message could not be read any more: end with this error */
} mail_requests;

struct mailbox {
  pthread_mutex_t mutex;
  void (*wake)(void *); /* the core */
  void *wake_ctx;
  int worker_fd; /* eventfd: the worker */
  bool worker_woken;

  mail_phase phase;
  mail_requests requests;
  mail_session session;
  mail_answers answers;

  mail_slot slots[MAIL_SLOTS];
  uint16_t queue[MAIL_SLOTS]; /* indices of QUEUED slots, oldest at queue_head */
  uint32_t queue_head, queue_count;
  uint32_t unacked, unacked_bytes; /* QUEUED and SENT */

  struct {
    htel_link_event_kind kind;
    int error;
    uint16_t slot;
  } events[MAIL_EVENTS];
  uint32_t event_head, event_count;

  struct {
    uint16_t size;
    uint8_t bytes[HTEL_LINK_MESSAGE_BYTES_MAX];
  } inbound[MAIL_INBOUND];
  uint32_t inbound_head, inbound_count;
  uint32_t inbound_dropped;
  uint8_t current[HTEL_LINK_MESSAGE_BYTES_MAX]; /* what the last event of next() points to */
};

int mail_init(mailbox *mail, void (*wake)(void *), void *wake_ctx);
void mail_free(mailbox *mail);

/* ---- The core's side ------------------------------------------------------------------ */
int mail_open(mailbox *mail, const htel_link_session *session);
int mail_publish(mailbox *mail, const htel_message *message);
int mail_next(mailbox *mail, htel_link_event *event);
uint32_t mail_wait_ms(mailbox *mail);
void mail_close(mailbox *mail);

/* ---- The worker's side ---------------------------------------------------------------- */
void mail_quit(mailbox *mail); /* called by htel_paho_free */
mail_requests mail_requests_get(mailbox *mail);
mail_answers mail_answers_get(mailbox *mail);
void mail_wake_clear(mailbox *mail); /* the worker has seen its eventfd */

/* Takes up an open request: 1 and a copy of the session, or 0. */
int mail_begin(mailbox *mail, mail_session *session);
void mail_up(mailbox *mail);
void mail_down(mailbox *mail, int error); /* paho's handle must be gone: no more callbacks */

/* The oldest queued message, or NULL. The payload becomes the caller's, to free(); the slot may be
 * looked at until paho has taken the message, since it may then be acknowledged and used again. */
mail_slot *mail_take(mailbox *mail, uint8_t **payload);
uint32_t mail_unacked(mailbox *mail);
uint32_t mail_inbound_dropped(mailbox *mail);

/* ---- paho's callbacks' side --------------------------------------------------------------- */
void mail_acked(mail_slot *slot);
void mail_received(mailbox *mail, const uint8_t *payload, size_t size);
/* Changes the answers under the lock and wakes the worker. */
void mail_answer_connected(mailbox *mail);
void mail_answer_connect_failed(mailbox *mail, int code);
void mail_answer_subscribed(mailbox *mail, bool granted);
void mail_answer_lost(mailbox *mail);

#endif
