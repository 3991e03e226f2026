/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox.h - a bounded queue of messages between two threads.
 *
 * The one that puts waits while it is full, so that pressure goes back to where the messages come
 * from; nothing is dropped. Bounded by count and by bytes. */
#ifndef INGEST_MAILBOX_H
#define INGEST_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAILBOX_MESSAGES_MAX 4096u
#define MAILBOX_BYTES_MAX 16777216u

typedef struct mail {
  char *topic; /* one block of memory with the payload behind it, freed by the taker */
  uint8_t *payload;
  size_t size; /* as sent */
  size_t kept; /* payload bytes that are here: all or none */
} mail;

typedef struct mailbox {
  pthread_mutex_t mutex;
  pthread_cond_t filled, drained;
  mail mails[MAILBOX_MESSAGES_MAX];
  size_t first, count, bytes;
  bool closed;
} mailbox;

bool mailbox_init(mailbox *box);
void mailbox_free(mailbox *box); /* with what is in it */

/* Copies a message in. Payloads longer than `keep_max` are announced by their size alone. Waits for
 * room when `wait` is set. False: closed, or no memory, or full and not waiting: it was not taken.
 */
bool mailbox_put(mailbox *box, const char *topic, size_t topic_size, const void *payload,
                 size_t size, size_t keep_max, bool wait);

/* Takes the oldest message, waiting at most wait_ms. 1: taken, mail_free() it; 0: none came;
 * -1: closed and empty. */
int mailbox_take(mailbox *box, uint32_t wait_ms, mail *out);
void mail_free(mail *m);

/* Nothing more goes in, and nobody waits any more; what is in it can still be taken. */
void mailbox_close(mailbox *box);

size_t mailbox_count(mailbox *box);

#endif
