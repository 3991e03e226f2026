/* SPDX-License-Identifier: Apache-2.0 */
/* paho_worker.c - see paho_worker.h. */
#include "paho_worker.h"

#include <errno.h>
#include <time.h>

#define ADDRESS_MS_MIN 1000u /* for each address of a name, however many there are */
#define FAREWELL_MS 500u     /* for the broker to hang up after our goodbye */

uint64_t worker_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

void worker_wait(htel_paho *paho, struct pollfd *fds, nfds_t count, uint64_t until_ms) {
  fds[0] = (struct pollfd){.fd = paho->mail.worker_fd, .events = POLLIN};
  uint64_t now_ms = worker_now_ms();
  uint64_t ms = until_ms > now_ms ? until_ms - now_ms : 0;
  if (poll(fds, count, ms > 60000 ? 60000 : (int)ms) < 0) {
    for (nfds_t i = 0; i < count; i++) {
      fds[i].revents = 0;
    }
  }
  mail_wake_clear(&paho->mail);
}

/* Waits for one descriptor. 0: ready, or worth looking; HTEL_E_CLOSED: the core or htel_paho_free
 * wants an end; `late`: the time is over. */
static int wait_for(htel_paho *paho, int fd, short events, uint64_t until_ms, int late) {
  struct pollfd fds[2] = {[1] = {.fd = fd, .events = events}};
  worker_wait(paho, fds, 2, until_ms);
  mail_requests requests = mail_requests_get(&paho->mail);
  if (requests.close || requests.quit) {
    return HTEL_E_CLOSED;
  }
  return fds[1].revents == 0 && worker_now_ms() >= until_ms ? late : 0;
}

static int step_resolve(htel_paho *paho, resolve_list *list) {
  if (paho->job == NULL) {
    paho->job = resolve_start(paho->host, paho->port);
    if (paho->job == NULL) {
      return HTEL_E_MEMORY;
    }
  }
  int rc;
  while ((rc = resolve_result(paho->job, list)) == HTEL_E_AGAIN) {
    int waited = wait_for(paho, resolve_fd(paho->job), POLLIN, paho->deadline_ms, HTEL_E_RESOLVE);
    if (waited != 0) {
      return waited; /* the job goes on by itself; the next attempt finds it */
    }
  }
  resolve_release(paho->job);
  paho->job = NULL;
  return rc;
}

static int connect_one(htel_paho *paho, htel_socket *sock, const resolve_list *list, unsigned at) {
  int rc = htel_socket_connect(sock, (const struct sockaddr *)&list->entries[at].address,
                               list->entries[at].size);
  uint64_t now_ms = worker_now_ms();
  uint64_t share_ms =
      paho->deadline_ms > now_ms ? (paho->deadline_ms - now_ms) / (list->count - at) : 0;
  uint64_t until_ms = now_ms + (share_ms > ADDRESS_MS_MIN ? share_ms : ADDRESS_MS_MIN);
  while (rc == 0 && (rc = htel_socket_finish(sock)) == HTEL_E_AGAIN) {
    rc = wait_for(paho, sock->fd, POLLOUT, until_ms, HTEL_E_CONNECT);
  }
  if (rc != 0) {
    htel_socket_close(sock);
  }
  return rc;
}

static int step_connect(htel_paho *paho, htel_socket *sock) {
  resolve_list list;
  int rc = step_resolve(paho, &list);
  if (rc != 0) {
    return rc;
  }
  for (unsigned i = 0; i < list.count; i++) {
    rc = connect_one(paho, sock, &list, i);
    if (rc != HTEL_E_CONNECT || worker_now_ms() >= paho->deadline_ms) {
      return rc;
    }
  }
  return rc;
}

static int step_tls(htel_paho *paho, htel_tls *tls, const htel_socket *sock) {
  int rc;
  htel_socket_hold(sock);
  while ((rc = htel_tls_handshake(tls)) == HTEL_E_AGAIN) {
    htel_tls_wants wants = htel_tls_wanted(tls);
    short events = wants == HTEL_TLS_WANTS_READ ? POLLIN : POLLOUT; /* CPU: as good as at once */
    htel_socket_push(sock);
    rc = wait_for(paho, sock->fd, events, paho->deadline_ms, HTEL_E_LINK_SILENT);
    if (rc != 0) {
      return rc;
    }
    if (worker_now_ms() >= paho->deadline_ms) {
      return HTEL_E_LINK_SILENT; /* a server that drips, or never stops */
    }
  }
  if (rc == 0) {
    pthread_mutex_lock(&paho->stats_mutex);
    paho->stats.handshakes++;
    paho->stats.resumed += htel_tls_resumed(tls);
    pthread_mutex_unlock(&paho->stats_mutex);
  }
  return rc;
}

/* Says that nothing follows, and waits until the broker has hung up too: were the socket closed
 * with bytes unread, the kernel would send a reset, and the broker might lose our DISCONNECT and
 * publish the will. */
static void farewell(htel_paho *paho, htel_tls *tls, const htel_socket *sock) {
  if (htel_tls_close_notify(tls) != 0) {
    return;
  }
  shutdown(sock->fd, SHUT_WR);
  uint64_t until_ms = worker_now_ms() + FAREWELL_MS;
  while (worker_now_ms() < until_ms && !mail_requests_get(&paho->mail).quit) {
    uint8_t ignored[512];
    ssize_t n = recv(sock->fd, ignored, sizeof ignored, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
      return;
    }
    if (n < 0) {
      struct pollfd fds[2] = {[1] = {.fd = sock->fd, .events = POLLIN}};
      worker_wait(paho, fds, 2, until_ms);
    }
  }
}

static int connection_secure(htel_paho *paho, htel_socket *sock) {
  htel_tls tls;
  int rc = htel_tls_start(&tls, &paho->identity, htel_socket_stream(sock));
  if (rc == 0) {
    rc = step_tls(paho, &tls, sock);
  }
  if (rc == 0) {
    rc = pump_run(paho, &tls, sock->fd);
    if (rc == 0) {
      farewell(paho, &tls, sock);
    }
  }
  htel_tls_free(&tls);
  return rc;
}

static int connection_run(htel_paho *paho) {
  paho->deadline_ms = worker_now_ms() + paho->connect_timeout_ms;
  htel_socket sock = HTEL_SOCKET_NONE;
  int rc = htel_tls_ready(&paho->identity); /* no clock: the server is not even connected to */
  if (rc == 0) {
    rc = step_connect(paho, &sock);
  }
  if (rc == 0) {
    rc = connection_secure(paho, &sock);
  }
  htel_socket_close(&sock);
  return rc;
}

void *worker_main(void *arg) {
  htel_paho *paho = arg;
  while (!mail_requests_get(&paho->mail).quit) {
    if (mail_begin(&paho->mail, &paho->session)) {
      int rc = connection_run(paho);
      mail_down(&paho->mail, rc != 0 ? rc : HTEL_E_LINK_LOST);
    } else {
      struct pollfd fds[1];
      worker_wait(paho, fds, 1, UINT64_MAX);
    }
  }
  if (paho->job != NULL) {
    resolve_release(paho->job);
    paho->job = NULL;
  }
  return NULL;
}
