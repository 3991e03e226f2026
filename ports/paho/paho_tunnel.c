/* SPDX-License-Identifier: Apache-2.0 */
/* paho_tunnel.c - see paho_tunnel.h. */
#include "paho_tunnel.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "healthtel/error.h"

#define ACCEPTS_MAX 16u       /* at one call */
#define BACKLOG 16            /* impostors that knock at once must not keep paho out */
#define DESCRIPTORS_MAX 65536 /* looked through where /proc is missing */
#define PREAMBLE_BYTES_MAX 1024u
/* paho notices room for an unfinished write only once a second: let all that may be in flight fit.
 */
#define SOCKET_BUFFER_BYTES (512 * 1024)

int tunnel_listen(tunnel *tun) {
  *tun = (tunnel)TUNNEL_NONE;
  tun->address.sin_family = AF_INET;
  tun->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  tun->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (tun->listen_fd < 0) {
    return HTEL_E_CONNECT;
  }
  int size = SOCKET_BUFFER_BYTES;
  setsockopt(tun->listen_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size); /* as much as allowed */
  socklen_t length = sizeof tun->address;
  /* Neither SO_REUSEADDR nor SO_REUSEPORT: nobody may share the port. */
  if (bind(tun->listen_fd, (const struct sockaddr *)&tun->address, sizeof tun->address) != 0 ||
      getsockname(tun->listen_fd, (struct sockaddr *)&tun->address, &length) != 0 ||
      listen(tun->listen_fd, BACKLOG) != 0) {
    tunnel_close(tun);
    return HTEL_E_CONNECT;
  }
  return 0;
}

uint16_t tunnel_port(const tunnel *tun) {
  return tun->listen_fd >= 0 ? ntohs(tun->address.sin_port) : 0;
}

static bool same(const struct sockaddr_in *a, const struct sockaddr_in *b) {
  return a->sin_family == AF_INET && b->sin_family == AF_INET && a->sin_port == b->sin_port &&
         a->sin_addr.s_addr == b->sin_addr.s_addr;
}

/* Whether `fd` is the other end of the connection from `peer` to `self`. */
static bool is_other_end(int fd, const struct sockaddr_in *peer, const struct sockaddr_in *self) {
  struct sockaddr_in own = {0}, remote = {0};
  socklen_t own_size = sizeof own, remote_size = sizeof remote;
  return getsockname(fd, (struct sockaddr *)&own, &own_size) == 0 && own_size == sizeof own &&
         same(&own, peer) && getpeername(fd, (struct sockaddr *)&remote, &remote_size) == 0 &&
         remote_size == sizeof remote && same(&remote, self);
}

/* This process's descriptor of the other end, or -1: the connection is someone else's. */
static int other_end(const struct sockaddr_in *peer, const struct sockaddr_in *self) {
  int found = -1;
  DIR *descriptors = opendir("/proc/self/fd");
  if (descriptors == NULL) {
    for (int fd = 0; fd < DESCRIPTORS_MAX && found < 0; fd++) {
      found = is_other_end(fd, peer, self) ? fd : -1;
    }
    return found;
  }
  const struct dirent *entry;
  while (found < 0 && (entry = readdir(descriptors)) != NULL) {
    int fd = entry->d_name[0] != '.' ? atoi(entry->d_name) : -1;
    found = fd >= 0 && is_other_end(fd, peer, self) ? fd : -1;
  }
  closedir(descriptors);
  return found;
}

static void refuse(tunnel *tun, int fd) {
  struct linger at_once = {.l_onoff = 1, .l_linger = 0}; /* reset: nothing lingers */
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
  tun->impostors++;
}

static void welcome(tunnel *tun, int fd, int paho_fd) {
  static const char answer[] = "HTTP/1.1 200 OK\r\n\r\n";
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  /* What paho leaves out for its own: without the one, a burst may wait 40 ms for a delayed
   * acknowledgement; without the other, programs that this process starts could write to the
   * tunnel. */
  setsockopt(paho_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(paho_fd, F_SETFD, FD_CLOEXEC);
  /* Before paho has asked: it then finds the answer at once, and does not sleep. A fresh socket has
   * room for 19 bytes; if it fails, so will the connection. */
  ssize_t n = send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
  (void)n;
  tun->fd = fd;
}

void tunnel_accept(tunnel *tun) {
  for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
    struct sockaddr_in peer = {0};
    socklen_t size = sizeof peer;
    int fd = accept4(tun->listen_fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      return;
    }
    int paho_fd = tun->fd < 0 && size == sizeof peer ? other_end(&peer, &tun->address) : -1;
    if (paho_fd >= 0) {
      welcome(tun, fd, paho_fd);
    } else {
      refuse(tun, fd);
    }
  }
}

int tunnel_preamble(const uint8_t *bytes, size_t size) {
  static const char method[] = "CONNECT ";
  static const char end[] = "\r\n\r\n";
  if (size >= sizeof method - 1 && memcmp(bytes, method, sizeof method - 1) != 0) {
    return HTEL_E_PROTOCOL;
  }
  for (size_t i = 0; i + 4 <= size && i < PREAMBLE_BYTES_MAX; i++) {
    if (memcmp(bytes + i, end, 4) != 0) {
      continue;
    }
    /* paho 1.3.12 sends its string's NUL too; MQTT begins with another byte. */
    if (i + 4 == size) {
      return 0;
    }
    return (int)(i + 4 + (bytes[i + 4] == 0 ? 1 : 0));
  }
  return size < PREAMBLE_BYTES_MAX ? 0 : HTEL_E_PROTOCOL;
}

void tunnel_close(tunnel *tun) {
  if (tun->fd >= 0) {
    close(tun->fd);
  }
  if (tun->listen_fd >= 0) {
    close(tun->listen_fd);
  }
  tun->fd = -1;
  tun->listen_fd = -1;
}
