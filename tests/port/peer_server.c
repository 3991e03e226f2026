/* SPDX-License-Identifier: Apache-2.0 */
/* peer_server.c - see peer_server.h. The receive buffer is kept small, so that a sender to whom
 * nobody listens notices soon. */
#include "peer_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"

#define CONNECTIONS_MAX 16u
#define RECEIVE_BYTES 8192
#define POLL_MS 2 /* the clock of S, D and X */

typedef struct connection {
  int fd; /* -1: free */
  peer peer;
  uint8_t in[2048];
  size_t in_used;
  bool in_ended, closing;
} connection;

static uint32_t clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint32_t)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

int peer_listen(const char *address, uint16_t *port) {
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(*port)};
  socklen_t size = sizeof here;
  int yes = 1, room = RECEIVE_BYTES;
  if (inet_pton(AF_INET, address, &here.sin_addr) != 1) {
    errno = EINVAL;
    return -1;
  }
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (bind(fd, (const struct sockaddr *)&here, size) != 0 || listen(fd, 16) != 0 ||
      getsockname(fd, (struct sockaddr *)&here, &size) != 0) {
    close(fd);
    return -1;
  }
  *port = ntohs(here.sin_port);
  return fd;
}

static void connection_end(connection *c) {
  peer_closed(&c->peer);
  close(c->fd);
  c->fd = -1;
}

static void connection_reset(connection *c) {
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  connection_end(c);
}

static void connection_take(connection *listener_slots, int listener, peer_count *last) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
    connection *c = &listener_slots[i];
    if (c->fd >= 0) continue;
    memset(c, 0, sizeof *c);
    c->fd = fd;
    peer_begin(&c->peer, last);
    return;
  }
  close(fd);
}

/* 1: something came; 0: nothing; -1: the connection is broken. */
static int connection_read(connection *c, uint32_t now_ms) {
  if (c->in_used < sizeof c->in && !c->in_ended) {
    ssize_t n = recv(c->fd, c->in + c->in_used, sizeof c->in - c->in_used, 0);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return -1;
    if (n == 0) c->in_ended = true;
    if (n > 0) c->in_used += (size_t)n;
  }
  size_t taken = peer_take(&c->peer, c->in, c->in_used, now_ms);
  c->in_used -= taken;
  memmove(c->in, c->in + taken, c->in_used);
  return taken > 0;
}

static int connection_write(connection *c, uint32_t now_ms) {
  uint8_t bytes[1024];
  size_t size = peer_give(&c->peer, bytes, sizeof bytes, now_ms);
  if (size == 0) return 0;
  ssize_t n = send(c->fd, bytes, size, MSG_NOSIGNAL);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
  peer_sent(&c->peer, (size_t)n);
  return 1;
}

static void connection_run(connection *c, uint32_t now_ms) {
  int more;
  do {
    int in = connection_read(c, now_ms);
    int out = in < 0 ? in : connection_write(c, now_ms);
    if (out < 0) {
      connection_end(c);
      return;
    }
    more = in | out;
  } while (more != 0);
  peer_ending ending = peer_ends(&c->peer, now_ms);
  if (ending == PEER_RESETS) {
    connection_reset(c);
  } else if (c->in_ended && c->in_used == 0) {
    connection_end(c);
  } else if (ending == PEER_CLOSES && !c->closing) {
    shutdown(c->fd, SHUT_WR);
    c->closing = true;
  }
}

void peer_serve(int listener) {
  static connection slots[CONNECTIONS_MAX];
  peer_count last = {0, PEER_NONE};
  for (unsigned i = 0; i < CONNECTIONS_MAX; i++) slots[i].fd = -1;
  for (;;) {
    struct pollfd fds[CONNECTIONS_MAX + 1] = {{.fd = listener, .events = POLLIN}};
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
      fds[i + 1] = (struct pollfd){.fd = slots[i].fd, .events = 0};
    if (poll(fds, CONNECTIONS_MAX + 1, POLL_MS) < 0 && errno != EINTR) return;
    if ((fds[0].revents & (POLLERR | POLLNVAL)) != 0) return;
    if ((fds[0].revents & POLLIN) != 0) connection_take(slots, listener, &last);
    uint32_t now_ms = clock_ms();
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
      if (slots[i].fd >= 0) connection_run(&slots[i], now_ms);
  }
}
