/* SPDX-License-Identifier: Apache-2.0 */
/* paho_mailbox.c - see paho_mailbox.h. */
#include "paho_mailbox.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WAIT_MS 1000u
#define KEEP_ALIVE_S 60u

static void lock(mailbox *mail) {
  pthread_mutex_lock(&mail->mutex);
}

static void unlock(mailbox *mail) {
  pthread_mutex_unlock(&mail->mutex);
}

static void core_wake(mailbox *mail) {
  if (mail->wake != NULL) {
    mail->wake(mail->wake_ctx);
  }
}

/* With the mutex: true when the eventfd must be written (once until the worker has looked). */
static bool worker_wake_needed(mailbox *mail) {
  bool needed = !mail->worker_woken;
  mail->worker_woken = true;
  return needed;
}

static void worker_wake(mailbox *mail, bool needed) {
  if (needed) {
    uint64_t one = 1;
    ssize_t n = write(mail->worker_fd, &one, sizeof one); /* cannot be full: see worker_woken */
    (void)n;
  }
}

int mail_init(mailbox *mail, void (*wake)(void *), void *wake_ctx) {
  memset(mail, 0, sizeof *mail);
  mail->wake = wake;
  mail->wake_ctx = wake_ctx;
  for (size_t i = 0; i < MAIL_SLOTS; i++) {
    mail->slots[i].mail = mail;
  }
  mail->worker_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (mail->worker_fd < 0) {
    return HTEL_E_MEMORY;
  }
  if (pthread_mutex_init(&mail->mutex, NULL) != 0) {
    close(mail->worker_fd);
    return HTEL_E_MEMORY;
  }
  return 0;
}

void mail_free(mailbox *mail) {
  for (size_t i = 0; i < MAIL_SLOTS; i++) {
    free(mail->slots[i].payload);
  }
  pthread_mutex_destroy(&mail->mutex);
  close(mail->worker_fd);
}

/* ---- Events, with the mutex ---------------------------------------------------------- */

static void event_push(mailbox *mail, htel_link_event_kind kind, int error, size_t slot) {
  uint32_t at = (mail->event_head + mail->event_count++) % MAIL_EVENTS;
  mail->events[at].kind = kind;
  mail->events[at].error = error;
  mail->events[at].slot = (uint16_t)slot;
}

static void slot_release(mail_slot *slot) {
  free(slot->payload);
  slot->payload = NULL;
  slot->state = SLOT_FREE;
}

/* QUEUED and SENT messages of a connection that has ended. */
static void slots_drop(mailbox *mail) {
  for (size_t i = 0; i < MAIL_SLOTS; i++) {
    if (mail->slots[i].state == SLOT_QUEUED || mail->slots[i].state == SLOT_SENT) {
      slot_release(&mail->slots[i]);
    }
  }
  mail->queue_head = mail->queue_count = 0;
  mail->unacked = mail->unacked_bytes = 0;
}

/* ---- The core's side ------------------------------------------------------------------ */

static bool text_copy(char *to, size_t room, const char *from) {
  size_t chars = strnlen(from, room);
  if (chars == room) {
    return false;
  }
  memcpy(to, from, chars + 1);
  return true;
}

static int session_copy(mail_session *to, const htel_link_session *from) {
  memset(to, 0, sizeof *to);
  if (from->client_id == NULL || from->will_topic == NULL ||
      (from->will == NULL && from->will_size > 0)) {
    return HTEL_E_ARGUMENT;
  }
  if (from->will_size > sizeof to->will ||
      !text_copy(to->client_id, sizeof to->client_id, from->client_id) ||
      !text_copy(to->will_topic, sizeof to->will_topic, from->will_topic) ||
      (from->receive_topic != NULL &&
       !text_copy(to->receive_topic, sizeof to->receive_topic, from->receive_topic))) {
    return HTEL_E_TOO_LARGE;
  }
  if (from->will_size > 0) {
    memcpy(to->will, from->will, from->will_size);
  }
  to->will_size = from->will_size;
  to->keep_alive_s = from->keep_alive_s != 0 ? from->keep_alive_s : KEEP_ALIVE_S;
  return 0;
}

int mail_open(mailbox *mail, const htel_link_session *session) {
  mail_session copy;
  int rc = session_copy(&copy, session);
  if (rc != 0) {
    return rc;
  }
  bool wake = false;
  lock(mail);
  if (mail->phase != MAIL_IDLE) {
    rc = HTEL_E_AGAIN;
  } else {
    mail->session = copy;
    mail->phase = MAIL_OPENING;
    mail->answers = (mail_answers){0};
    mail->requests = (mail_requests){.open = true, .quit = mail->requests.quit};
    wake = worker_wake_needed(mail);
  }
  unlock(mail);
  worker_wake(mail, wake);
  return rc;
}

/* Marks the connection for ending: nothing can be published any more. */
static int publish_abort(mailbox *mail, mail_slot *slot, int error) {
  lock(mail);
  if (slot != NULL) {
    slot_release(slot);
  }
  mail->requests.abort = error;
  bool wake = worker_wake_needed(mail);
  unlock(mail);
  worker_wake(mail, wake);
  return error;
}

/* A free slot marked FILLING, or the reason why not. */
static int slot_reserve(mailbox *mail, uint32_t size, mail_slot **slot) {
  int rc = HTEL_E_AGAIN;
  lock(mail);
  if (mail->phase != MAIL_UP || mail->requests.close || mail->requests.abort != 0) {
    rc = HTEL_E_CLOSED;
  } else if (mail->unacked_bytes + size <= MAIL_BYTES_MAX) {
    for (size_t i = 0; i < MAIL_SLOTS && rc != 0; i++) {
      if (mail->slots[i].state == SLOT_FREE) {
        *slot = &mail->slots[i];
        (*slot)->state = SLOT_FILLING;
        rc = 0;
      }
    }
  }
  unlock(mail);
  return rc;
}

static int slot_enqueue(mailbox *mail, mail_slot *slot) {
  int rc = 0;
  bool wake = false;
  lock(mail);
  if (mail->phase != MAIL_UP) { /* it ended while the payload was being copied */
    slot_release(slot);
    rc = HTEL_E_CLOSED;
  } else {
    slot->state = SLOT_QUEUED;
    uint32_t at = (mail->queue_head + mail->queue_count++) % MAIL_SLOTS;
    mail->queue[at] = (uint16_t)(slot - mail->slots);
    mail->unacked++;
    mail->unacked_bytes += slot->size;
    wake = worker_wake_needed(mail);
  }
  unlock(mail);
  worker_wake(mail, wake);
  return rc;
}

int mail_publish(mailbox *mail, const htel_message *message) {
  if (message->topic == NULL || message->size > MAIL_PAYLOAD_MAX) {
    return publish_abort(mail, NULL, HTEL_E_TOO_LARGE);
  }
  mail_slot *slot = NULL;
  int rc = slot_reserve(mail, message->size, &slot);
  if (rc != 0) {
    return rc;
  }
  if (!text_copy(slot->topic, sizeof slot->topic, message->topic)) {
    return publish_abort(mail, slot, HTEL_E_TOO_LARGE);
  }
  slot->token = message->token;
  slot->size = message->size;
  slot->retain = message->retain;
  slot->payload = malloc(message->size > 0 ? message->size : 1);
  if (slot->payload == NULL) {
    lock(mail);
    slot_release(slot);
    unlock(mail);
    return HTEL_E_AGAIN;
  }
  if (message->size > 0) {
    rc = message->read(message->source, message->token, 0, slot->payload, message->size);
  }
  return rc != 0 ? publish_abort(mail, slot, rc) : slot_enqueue(mail, slot);
}

static void inbound_pop(mailbox *mail, htel_link_event *event) {
  uint32_t at = mail->inbound_head;
  event->size = mail->inbound[at].size;
  event->payload = mail->current;
  memcpy(mail->current, mail->inbound[at].bytes, event->size);
  mail->inbound_head = (at + 1) % MAIL_INBOUND;
  mail->inbound_count--;
}

int mail_next(mailbox *mail, htel_link_event *event) {
  memset(event, 0, sizeof *event);
  lock(mail);
  if (mail->event_count == 0) {
    unlock(mail);
    return 0;
  }
  uint32_t at = mail->event_head;
  mail->event_head = (at + 1) % MAIL_EVENTS;
  mail->event_count--;
  event->kind = mail->events[at].kind;
  event->error = mail->events[at].error;
  if (event->kind == HTEL_LINK_ACKED) {
    mail_slot *slot = &mail->slots[mail->events[at].slot];
    event->token = slot->token;
    slot_release(slot);
  } else if (event->kind == HTEL_LINK_MESSAGE) {
    inbound_pop(mail, event);
  } else if (event->kind == HTEL_LINK_DOWN) {
    mail->phase = MAIL_IDLE;
  }
  unlock(mail);
  return 1;
}

uint32_t mail_wait_ms(mailbox *mail) {
  lock(mail);
  uint32_t ms = mail->event_count > 0 ? 0 : WAIT_MS;
  unlock(mail);
  return ms;
}

void mail_close(mailbox *mail) {
  bool wake = false;
  lock(mail);
  if (mail->phase == MAIL_OPENING || mail->phase == MAIL_UP) {
    mail->requests.close = true;
    wake = worker_wake_needed(mail);
  }
  unlock(mail);
  worker_wake(mail, wake);
}

/* ---- The worker's side ---------------------------------------------------------------- */

void mail_quit(mailbox *mail) {
  lock(mail);
  mail->requests.quit = true;
  bool wake = worker_wake_needed(mail);
  unlock(mail);
  worker_wake(mail, wake);
}

mail_requests mail_requests_get(mailbox *mail) {
  lock(mail);
  mail_requests requests = mail->requests;
  unlock(mail);
  return requests;
}

mail_answers mail_answers_get(mailbox *mail) {
  lock(mail);
  mail_answers answers = mail->answers;
  unlock(mail);
  return answers;
}

void mail_wake_clear(mailbox *mail) {
  lock(mail);
  uint64_t count;
  ssize_t n = read(mail->worker_fd, &count, sizeof count);
  (void)n;
  mail->worker_woken = false;
  unlock(mail);
}

int mail_begin(mailbox *mail, mail_session *session) {
  lock(mail);
  bool begin = mail->requests.open;
  if (begin) {
    mail->requests.open = false;
    *session = mail->session;
  }
  unlock(mail);
  return begin;
}

void mail_up(mailbox *mail) {
  lock(mail);
  mail->phase = MAIL_UP;
  event_push(mail, HTEL_LINK_UP, 0, 0);
  unlock(mail);
  core_wake(mail);
}

void mail_down(mailbox *mail, int error) {
  lock(mail);
  mail->phase = MAIL_ENDED;
  slots_drop(mail);
  event_push(mail, HTEL_LINK_DOWN, mail->requests.close ? 0 : error, 0);
  unlock(mail);
  core_wake(mail);
}

mail_slot *mail_take(mailbox *mail, uint8_t **payload) {
  mail_slot *slot = NULL;
  lock(mail);
  if (mail->queue_count > 0) {
    slot = &mail->slots[mail->queue[mail->queue_head]];
    mail->queue_head = (mail->queue_head + 1) % MAIL_SLOTS;
    mail->queue_count--;
    slot->state = SLOT_SENT; /* before paho has it: its acknowledgement may be quicker than we */
    *payload = slot->payload;
    slot->payload = NULL;
  }
  unlock(mail);
  return slot;
}

uint32_t mail_unacked(mailbox *mail) {
  lock(mail);
  uint32_t count = mail->unacked;
  unlock(mail);
  return count;
}

uint32_t mail_inbound_dropped(mailbox *mail) {
  lock(mail);
  uint32_t count = mail->inbound_dropped;
  unlock(mail);
  return count;
}

/* ---- paho's callbacks' side --------------------------------------------------------------- */

void mail_acked(mail_slot *slot) {
  mailbox *mail = slot->mail;
  lock(mail);
  bool known = slot->state == SLOT_SENT;
  if (known) {
    slot->state = SLOT_ACKED;
    mail->unacked--;
    mail->unacked_bytes -= slot->size;
    event_push(mail, HTEL_LINK_ACKED, 0, (size_t)(slot - mail->slots));
  }
  bool wake = mail->requests.close && worker_wake_needed(mail); /* it waits for the last one */
  unlock(mail);
  worker_wake(mail, wake);
  if (known) {
    core_wake(mail);
  }
}

void mail_received(mailbox *mail, const uint8_t *payload, size_t size) {
  bool taken = false;
  lock(mail);
  if (size > HTEL_LINK_MESSAGE_BYTES_MAX || mail->inbound_count == MAIL_INBOUND) {
    mail->inbound_dropped++;
  } else {
    uint32_t at = (mail->inbound_head + mail->inbound_count++) % MAIL_INBOUND;
    mail->inbound[at].size = (uint16_t)size;
    if (size > 0) {
      memcpy(mail->inbound[at].bytes, payload, size);
    }
    event_push(mail, HTEL_LINK_MESSAGE, 0, 0);
    taken = true;
  }
  unlock(mail);
  if (taken) {
    core_wake(mail);
  }
}

static void answers_set(mailbox *mail, mail_answers set) {
  lock(mail);
  mail_answers *answers = &mail->answers;
  answers->connected |= set.connected;
  answers->connect_failed |= set.connect_failed;
  answers->connect_code = set.connect_failed ? set.connect_code : answers->connect_code;
  answers->subscribed |= set.subscribed;
  answers->subscribe_failed |= set.subscribe_failed;
  answers->lost |= set.lost;
  bool wake = worker_wake_needed(mail);
  unlock(mail);
  worker_wake(mail, wake);
}

void mail_answer_connected(mailbox *mail) {
  answers_set(mail, (mail_answers){.connected = true});
}

void mail_answer_connect_failed(mailbox *mail, int code) {
  answers_set(mail, (mail_answers){.connect_failed = true, .connect_code = code});
}

void mail_answer_subscribed(mailbox *mail, bool granted) {
  answers_set(mail, (mail_answers){.subscribed = granted, .subscribe_failed = !granted});
}

void mail_answer_lost(mailbox *mail) {
  answers_set(mail, (mail_answers){.lost = true});
}
