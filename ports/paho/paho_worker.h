/* SPDX-License-Identifier: Apache-2.0 */
/* paho_worker.h - the thread behind a link: one connection after the other, each from name to end.
 *
 *     resolve -> TCP -> TLS, verified -> listen, paho connects -> CONNACK -> SUBACK -> up -> end
 *     paho_worker.c                    | paho_pump.c
 *
 * The steps up to TLS are plain code that waits; the pump is a loop over four descriptors. */
#ifndef HTEL_PAHO_WORKER_H
#define HTEL_PAHO_WORKER_H

#include <poll.h>

#include "htel_paho.h"
#include "htel_socket.h"
#include "htel_tls.h"
#include "paho_mailbox.h"
#include "paho_mqtt.h"
#include "posix_resolve.h"

struct htel_paho {
  htel_link link;
  mailbox mail;
  pthread_t thread;
  void *anchor;

  char host[HTEL_TLS_HOST_CHARS_MAX + 1];
  char alpn_name[256];
  const char *alpn[2];
  uint16_t port;
  uint32_t connect_timeout_ms;

  /* The worker's own. */
  htel_tls_identity identity;
  resolve_job *job; /* may outlive a connection, see posix_resolve.h */
  mail_session session;
  uint64_t deadline_ms; /* of coming up */

  pthread_mutex_t stats_mutex;
  htel_paho_stats stats;
};

/* pthread_create's function; `arg` is the htel_paho. Ends after mail_quit(). */
void *worker_main(void *arg);

/* Milliseconds of a clock that goes on in sleep. */
uint64_t worker_now_ms(void);

/* Until one of `fds` is ready, the worker is woken, or `until_ms`. The first of `fds` is filled in
 * here with the worker's own eventfd. */
void worker_wait(htel_paho *paho, struct pollfd *fds, nfds_t count, uint64_t until_ms);

/* Carries one MQTT session over a verified TLS connection, to its end. Returns why it ended; 0 when
 * it was closed in good order. */
int pump_run(htel_paho *paho, htel_tls *tls, int tls_fd);

#endif
