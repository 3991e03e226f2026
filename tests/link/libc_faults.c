/* SPDX-License-Identifier: Apache-2.0 */
/* libc_faults.c - see libc_faults.h. */
#include "libc_faults.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>

#include "broker.h"

#define HANG_MS_MAX 10000u

static atomic_int mood;
static atomic_uint stutter_port, stutter_percent, stutter_bytes, stutter_state, blocked, break_port;

void resolver_set(resolver_mood now) {
  atomic_store(&mood, (int)now);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  if (atomic_load(&mood) == RESOLVER_GOOD) return real(host, service, hints, found);
  uint64_t until = now_ms() + HANG_MS_MAX;
  while (atomic_load(&mood) == RESOLVER_HANGS && now_ms() < until) sleep_ms(20);
  return EAI_AGAIN;
}

void sockets_stutter(uint16_t port, unsigned percent, unsigned bytes_max) {
  atomic_store(&stutter_percent, percent);
  atomic_store(&stutter_bytes, bytes_max);
  atomic_store(&stutter_port, port);
}

void sockets_break(uint16_t port) {
  atomic_store(&break_port, port);
}

unsigned sockets_blocked(void) {
  return atomic_load(&blocked);
}

static unsigned dice(unsigned sides) { /* good enough for bad luck */
  unsigned x = atomic_fetch_add(&stutter_state, 0x9E3779B9u);
  x ^= x >> 16;
  x *= 0x85EBCA6Bu;
  x ^= x >> 13;
  x *= 0xC2B2AE35u;
  return (x ^ x >> 16) % sides;
}

static bool leads_to(int fd, unsigned port) {
  struct sockaddr_in peer = {0};
  socklen_t size = sizeof peer;
  return port != 0 && getpeername(fd, (struct sockaddr *)&peer, &size) == 0 &&
         peer.sin_family == AF_INET && ntohs(peer.sin_port) == port;
}

/* How much of `size` may pass; 0: would block. */
static size_t stutter(int fd, size_t size) {
  if (size == 0 || !leads_to(fd, atomic_load(&stutter_port))) return size;
  if (dice(100) < atomic_load(&stutter_percent)) {
    atomic_fetch_add(&blocked, 1);
    return 0;
  }
  size_t most = 1 + dice(atomic_load(&stutter_bytes));
  return size < most ? size : most;
}

static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_recv)(int, void *, size_t, int);

__attribute__((constructor)) static void find_real(void) { /* while there is one thread */
  *(void **)&real_send = dlsym(RTLD_NEXT, "send");
  *(void **)&real_recv = dlsym(RTLD_NEXT, "recv");
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
  if (leads_to(fd, atomic_load(&break_port))) {
    atomic_store(&break_port, 0);
    shutdown(fd, SHUT_WR); /* what the kernel says then, it says as when the peer has gone */
  }
  size_t now = stutter(fd, size);
  if (now > 0 || size == 0) return real_send(fd, bytes, now, flags);
  errno = EAGAIN;
  return -1;
}

ssize_t recv(int fd, void *bytes, size_t size, int flags) {
  size_t now = stutter(fd, size);
  if (now > 0 || size == 0) return real_recv(fd, bytes, now, flags);
  errno = EAGAIN;
  return -1;
}
