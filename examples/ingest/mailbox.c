/* SPDX-License-Identifier: Apache-2.0 */
#include "mailbox.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

bool mailbox_init(mailbox *box) {
  memset(box, 0, sizeof *box);
  pthread_condattr_t attr;
  if (pthread_condattr_init(&attr) != 0) return false;
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  bool ok = pthread_mutex_init(&box->mutex, NULL) == 0 &&
            pthread_cond_init(&box->filled, &attr) == 0 &&
            pthread_cond_init(&box->drained, &attr) == 0;
  pthread_condattr_destroy(&attr);
  return ok;
}

void mailbox_free(mailbox *box) {
  for (size_t i = 0; i < box->count; i++)
    mail_free(&box->mails[(box->first + i) % MAILBOX_MESSAGES_MAX]);
  pthread_cond_destroy(&box->filled);
  pthread_cond_destroy(&box->drained);
  pthread_mutex_destroy(&box->mutex);
}

void mail_free(mail *m) {
  free(m->topic);
  *m = (mail){0};
}

static bool mail_make(mail *m, const char *topic, size_t topic_size, const void *payload,
                      size_t size, size_t keep_max) {
  size_t kept = size <= keep_max ? size : 0;
  char *block = malloc(topic_size + 1 + kept);
  if (block == NULL) return false;
  memcpy(block, topic, topic_size);
  block[topic_size] = '\0';
  *m = (mail){.topic = block, .size = size, .kept = kept};
  m->payload = (uint8_t *)block + topic_size + 1;
  if (kept > 0) memcpy(m->payload, payload, kept);
  return true;
}

static bool is_full(const mailbox *box) {
  return box->count == MAILBOX_MESSAGES_MAX || box->bytes >= MAILBOX_BYTES_MAX;
}

bool mailbox_put(mailbox *box, const char *topic, size_t topic_size, const void *payload,
                 size_t size, size_t keep_max, bool wait) {
  mail m;
  if (!mail_make(&m, topic, topic_size, payload, size, keep_max)) return false;
  pthread_mutex_lock(&box->mutex);
  while (wait && is_full(box) && !box->closed) pthread_cond_wait(&box->drained, &box->mutex);
  bool taken = !box->closed && !is_full(box);
  if (taken) {
    box->mails[(box->first + box->count++) % MAILBOX_MESSAGES_MAX] = m;
    box->bytes += m.kept;
    pthread_cond_signal(&box->filled);
  }
  pthread_mutex_unlock(&box->mutex);
  if (!taken) mail_free(&m);
  return taken;
}

static struct timespec after_ms(uint32_t ms) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_sec += ms / 1000u;
  t.tv_nsec += (long)(ms % 1000u) * 1000000L;
  if (t.tv_nsec >= 1000000000L) {
    t.tv_sec++;
    t.tv_nsec -= 1000000000L;
  }
  return t;
}

int mailbox_take(mailbox *box, uint32_t wait_ms, mail *out) {
  struct timespec until = after_ms(wait_ms);
  pthread_mutex_lock(&box->mutex);
  while (box->count == 0 && !box->closed && wait_ms > 0)
    if (pthread_cond_timedwait(&box->filled, &box->mutex, &until) != 0) break;
  int rc = box->count > 0 ? 1 : box->closed ? -1 : 0;
  if (rc == 1) {
    *out = box->mails[box->first];
    box->first = (box->first + 1) % MAILBOX_MESSAGES_MAX;
    box->count--;
    box->bytes -= out->kept;
    pthread_cond_signal(&box->drained);
  }
  pthread_mutex_unlock(&box->mutex);
  return rc;
}

void mailbox_close(mailbox *box) {
  pthread_mutex_lock(&box->mutex);
  box->closed = true;
  pthread_cond_broadcast(&box->filled);
  pthread_cond_broadcast(&box->drained);
  pthread_mutex_unlock(&box->mutex);
}

size_t mailbox_count(mailbox *box) {
  pthread_mutex_lock(&box->mutex);
  size_t count = box->count;
  pthread_mutex_unlock(&box->mutex);
  return count;
}
