/* SPDX-License-Identifier: Apache-2.0 */
/* link_proxy.c - see link_proxy.h. */
#include "link_proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PAIRS_MAX 8
#define ROUND_MS 20

typedef struct proxy_pair {
  int client, server; /* -1: no pair here */
  uint8_t header[5];  /* of the record that the client is sending */
  unsigned header_used;
  unsigned body_left;
} proxy_pair;

static void records_note(link_proxy *self, proxy_pair *pair, const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (pair->body_left > 0) {
      pair->body_left--;
      continue;
    }
    pair->header[pair->header_used++] = bytes[i];
    if (pair->header_used == sizeof pair->header) {
      self->counts.records_up[pair->header[0]]++;
      pair->body_left = (unsigned)pair->header[3] << 8 | pair->header[4];
      pair->header_used = 0;
    }
  }
}

static void send_all(int fd, const uint8_t *bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t n = send(fd, bytes + done, size - done, MSG_NOSIGNAL);
    if (n <= 0) {
      return;
    }
    done += (size_t)n;
  }
}

/* false when this side has ended. */
static bool pass_on(link_proxy *self, proxy_pair *pair, bool up) {
  uint8_t bytes[16384];
  ssize_t n = recv(up ? pair->client : pair->server, bytes, sizeof bytes, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
    return true;
  }
  if (n <= 0) {
    return false;
  }
  pthread_mutex_lock(&self->mutex);
  if (up) {
    self->counts.bytes_up += (uint64_t)n;
    records_note(self, pair, bytes, (size_t)n);
  } else {
    self->counts.bytes_down += (uint64_t)n;
  }
  pthread_mutex_unlock(&self->mutex);
  send_all(up ? pair->server : pair->client, bytes, (size_t)n);
  return true;
}

static void pair_close(proxy_pair *pair) {
  if (pair->client >= 0) {
    close(pair->client);
    close(pair->server);
  }
  *pair = (proxy_pair){.client = -1, .server = -1};
}

static void pair_open(link_proxy *self, proxy_pair *pair, int client) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons(self->target)};
  int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(server, (struct sockaddr *)&address, sizeof address) != 0) {
    close(client);
    close(server);
    return;
  }
  *pair = (proxy_pair){.client = client, .server = server};
  pthread_mutex_lock(&self->mutex);
  self->counts.connections++;
  pthread_mutex_unlock(&self->mutex);
}

static void accept_one(link_proxy *self, proxy_pair pairs[PAIRS_MAX]) {
  int client = accept4(self->listen_fd, NULL, NULL, SOCK_CLOEXEC);
  for (size_t i = 0; client >= 0 && i < PAIRS_MAX; i++) {
    if (pairs[i].client < 0) {
      pair_open(self, &pairs[i], client);
      return;
    }
  }
  if (client >= 0) {
    close(client);
  }
}

static void *proxy_main(void *arg) {
  link_proxy *self = arg;
  proxy_pair pairs[PAIRS_MAX];
  for (size_t i = 0; i < PAIRS_MAX; i++) {
    pairs[i] = (proxy_pair){.client = -1, .server = -1};
  }
  while (!atomic_load(&self->stop)) {
    struct pollfd fds[1 + 2 * PAIRS_MAX] = {{.fd = self->listen_fd, .events = POLLIN}};
    bool frozen = atomic_load(&self->frozen);
    for (size_t i = 0; i < PAIRS_MAX; i++) {
      fds[1 + 2 * i] = (struct pollfd){.fd = frozen ? -1 : pairs[i].client, .events = POLLIN};
      fds[2 + 2 * i] = (struct pollfd){.fd = frozen ? -1 : pairs[i].server, .events = POLLIN};
    }
    if (poll(fds, 1 + 2 * PAIRS_MAX, ROUND_MS) <= 0) {
      continue;
    }
    for (size_t i = 0; i < PAIRS_MAX; i++) {
      if ((fds[1 + 2 * i].revents != 0 && !pass_on(self, &pairs[i], true)) ||
          (fds[2 + 2 * i].revents != 0 && !pass_on(self, &pairs[i], false))) {
        pair_close(&pairs[i]);
      }
    }
    if (fds[0].revents != 0) {
      accept_one(self, pairs);
    }
  }
  for (size_t i = 0; i < PAIRS_MAX; i++) {
    pair_close(&pairs[i]);
  }
  return NULL;
}

void proxy_start(link_proxy *self, uint16_t target) {
  memset(self, 0, sizeof *self);
  self->target = target;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  self->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_int_equal(bind(self->listen_fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(self->listen_fd, (struct sockaddr *)&address, &size), 0);
  assert_int_equal(listen(self->listen_fd, 8), 0);
  self->port = ntohs(address.sin_port);
  pthread_mutex_init(&self->mutex, NULL);
  assert_int_equal(pthread_create(&self->thread, NULL, proxy_main, self), 0);
}

void proxy_stop(link_proxy *self) {
  atomic_store(&self->stop, true);
  pthread_join(self->thread, NULL);
  close(self->listen_fd);
  pthread_mutex_destroy(&self->mutex);
}

void proxy_freeze(link_proxy *self, bool frozen) {
  atomic_store(&self->frozen, frozen);
}

proxy_counts proxy_counts_take(link_proxy *self) {
  pthread_mutex_lock(&self->mutex);
  proxy_counts counts = self->counts;
  memset(&self->counts, 0, sizeof self->counts);
  pthread_mutex_unlock(&self->mutex);
  return counts;
}
