/* SPDX-License-Identifier: Apache-2.0 */
/* htel_socket.c - see htel_socket.h. */
#include "htel_socket.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

/* None of these changes what arrives, only when and in how many segments: a system that does not
 * know one is as good. */
static void option_set(const htel_socket *sock, int option, int value) {
  setsockopt(sock->fd, IPPROTO_TCP, option, &value, sizeof value);
}

int htel_socket_connect(htel_socket *sock, const struct sockaddr *address, socklen_t size) {
  sock->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (sock->fd < 0) {
    return HTEL_E_CONNECT;
  }
  option_set(sock, TCP_NODELAY, 1);
  option_set(sock, TCP_QUICKACK, 0); /* the last of the three segments goes with our first data */
  if (connect(sock->fd, address, size) != 0 && errno != EINPROGRESS) {
    htel_socket_close(sock);
    return HTEL_E_CONNECT;
  }
  return 0;
}

int htel_socket_finish(htel_socket *sock) {
  struct pollfd fd = {.fd = sock->fd, .events = POLLOUT};
  int ready = poll(&fd, 1, 0);
  if (ready == 0 || (ready < 0 && errno == EINTR)) {
    return HTEL_E_AGAIN;
  }
  int error = 0;
  socklen_t size = sizeof error;
  if (ready < 0 || getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
    return HTEL_E_CONNECT;
  }
  return 0;
}

static bool would_block(void) {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static int socket_read(void *ctx, uint8_t *buf, size_t size) {
  const htel_socket *sock = ctx;
  ssize_t n = recv(sock->fd, buf, size > INT_MAX ? INT_MAX : size, 0);
  if (n > 0) {
    return (int)n;
  }
  return n < 0 && would_block() ? 0 : HTEL_E_LINK_LOST;
}

static int socket_write(void *ctx, const uint8_t *buf, size_t size) {
  const htel_socket *sock = ctx;
  ssize_t n = send(sock->fd, buf, size > INT_MAX ? INT_MAX : size, MSG_NOSIGNAL);
  if (n >= 0) {
    return (int)n;
  }
  return would_block() ? 0 : HTEL_E_LINK_LOST;
}

htel_stream htel_socket_stream(htel_socket *sock) {
  return (htel_stream){.ctx = sock, .read = socket_read, .write = socket_write};
}

void htel_socket_hold(const htel_socket *sock) {
  option_set(sock, TCP_CORK, 1);
}

/* After a pause Linux acknowledges each segment that comes at once, in a segment of its own. Told
 * that this is a conversation, it waits 40 ms for something to go with. */
void htel_socket_push(const htel_socket *sock) {
  option_set(sock, TCP_QUICKACK, 0);
  option_set(sock, TCP_CORK, 0);
  option_set(sock, TCP_CORK, 1);
}

void htel_socket_close(htel_socket *sock) {
  if (sock->fd >= 0) {
    close(sock->fd);
    sock->fd = -1;
  }
}
