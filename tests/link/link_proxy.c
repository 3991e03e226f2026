/* SPDX-License-Identifier: Apache-2.0 */
/* link_proxy.c - see link_proxy.h. One thread, one poll: every round looks at the faults once,
 * moves what may move, and sleeps until the next byte is due. */
#include "link_proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PAIRS_MAX 16
#define ROUND_US 20000
#define QUEUE_BYTES 16384u
#define PARCELS_MAX 256u
#define SOCKET_BYTES 8192 /* of the kernel's buffers: the network itself holds little */
#define SEGMENT_BYTES 1400
#define BURST_PER_S 20u /* a slow way passes a twentieth of a second's bytes at once */
#define FAREWELL_US 1000000u

typedef struct parcel { /* bytes that came together */
  uint64_t due_us;
  size_t size;
} parcel;

typedef struct pipe_way {
  proxy_way fault;
  uint8_t bytes[QUEUE_BYTES];
  size_t used;
  parcel parcels[PARCELS_MAX];
  size_t parcel_count;
  double allowance; /* bytes that bytes_per_s lets in now */
  uint64_t looked_us;
  uint64_t budget; /* bytes until the end strikes */
  bool ended;      /* its source has said all, */
  bool told;       /* and its sink knows */
} pipe_way;

typedef struct proxy_pair {
  int client, server; /* client -1: no pair here; server -1: swallowed */
  pipe_way up, down;
  unsigned generation;
  uint64_t since_us;
  uint64_t leave_us; /* said goodbye to both: closed then at the latest; 0: not yet */
  bool stalled;
  uint8_t header[5]; /* of the record that the client is sending */
  unsigned header_used;
  unsigned body_left;
} proxy_pair;

static uint64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* ---- Counting ---------------------------------------------------------------------------- */

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

static void bytes_note(link_proxy *self, proxy_pair *pair, bool up, const uint8_t *bytes,
                       size_t size) {
  pthread_mutex_lock(&self->mutex);
  if (up) {
    self->counts.bytes_up += size;
    records_note(self, pair, bytes, size);
  } else {
    self->counts.bytes_down += size;
  }
  pthread_mutex_unlock(&self->mutex);
}

/* ---- Ending ------------------------------------------------------------------------------ */

static void socket_close(int fd, bool reset) {
  if (fd < 0) return;
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  if (reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  close(fd);
}

static void pair_close(proxy_pair *pair, bool reset) {
  socket_close(pair->client, reset);
  socket_close(pair->server, reset);
  pair->client = pair->server = -1;
}

static void pair_end(link_proxy *self, proxy_pair *pair, proxy_end end) {
  pthread_mutex_lock(&self->mutex);
  self->counts.ends++;
  pthread_mutex_unlock(&self->mutex);
  if (end == PROXY_RESET || end == PROXY_DEATH) {
    pair_close(pair, end == PROXY_RESET);
  } else if (end == PROXY_STALL) {
    pair->stalled = true;
  } else {
    shutdown(pair->client, SHUT_WR);
    shutdown(pair->server, SHUT_WR);
    pair->leave_us = now_us() + FAREWELL_US;
  }
}

/* What still comes is thrown away: closing over it would make a reset of the good end. */
static void pair_leave(proxy_pair *pair, uint64_t now) {
  uint8_t ignored[4096];
  bool gone = true;
  for (int i = 0; i < 2; i++) {
    ssize_t n = recv(i == 0 ? pair->client : pair->server, ignored, sizeof ignored, MSG_DONTWAIT);
    gone = gone && (n == 0 || (n < 0 && errno != EAGAIN));
  }
  if (gone || now >= pair->leave_us) pair_close(pair, false);
}

/* ---- Moving bytes ------------------------------------------------------------------------ */

static void pipe_begin(pipe_way *pipe, const proxy_way *fault, uint64_t now) {
  pipe->fault = *fault;
  pipe->budget = fault->end_after != 0 ? fault->end_after : UINT64_MAX;
  pipe->allowance = 0;
  pipe->looked_us = now;
}

static void pipe_look(pipe_way *pipe, uint64_t now) {
  double most = pipe->fault.bytes_per_s / (double)BURST_PER_S;
  pipe->allowance += (double)(now - pipe->looked_us) * pipe->fault.bytes_per_s / 1e6;
  if (pipe->allowance > (most > 1 ? most : 1)) pipe->allowance = most > 1 ? most : 1;
  pipe->looked_us = now;
}

static size_t pipe_room(const pipe_way *pipe) {
  if (pipe->ended || pipe->fault.frozen || pipe->parcel_count == PARCELS_MAX) return 0;
  size_t room = QUEUE_BYTES - pipe->used;
  if (pipe->fault.bytes_per_s != 0 && pipe->allowance < (double)room)
    room = (size_t)pipe->allowance;
  return room;
}

static size_t pipe_due(const pipe_way *pipe, uint64_t now) {
  size_t due = 0;
  if (pipe->fault.frozen) return 0;
  for (size_t i = 0; i < pipe->parcel_count && pipe->parcels[i].due_us <= now; i++)
    due += pipe->parcels[i].size;
  if (pipe->fault.piece_bytes != 0 && due > pipe->fault.piece_bytes) due = pipe->fault.piece_bytes;
  return due < pipe->budget ? due : (size_t)pipe->budget;
}

static void pipe_drop(pipe_way *pipe, size_t size) {
  pipe->used -= size;
  memmove(pipe->bytes, pipe->bytes + size, pipe->used);
  size_t done = 0;
  for (; size > 0 && size >= pipe->parcels[done].size; done++) size -= pipe->parcels[done].size;
  pipe->parcel_count -= done;
  memmove(pipe->parcels, pipe->parcels + done, pipe->parcel_count * sizeof pipe->parcels[0]);
  if (size > 0) pipe->parcels[0].size -= size;
}

/* false: the source has been reset. */
static bool pipe_fill(link_proxy *self, proxy_pair *pair, bool up, uint64_t now) {
  pipe_way *pipe = up ? &pair->up : &pair->down;
  size_t room = pipe_room(pipe);
  if (room == 0) return true;
  uint8_t *to = pipe->bytes + pipe->used;
  ssize_t n = recv(up ? pair->client : pair->server, to, room, MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) {
    pipe->ended = true;
    return true;
  }
  bytes_note(self, pair, up, to, (size_t)n);
  const proxy_way *fault = &pipe->fault;
  uint64_t due = now + fault->delay_ms * 1000u;
  if (fault->jitter_ms != 0) due += (uint64_t)rand() % (fault->jitter_ms * 1000u);
  if (pipe->parcel_count > 0 && due < pipe->parcels[pipe->parcel_count - 1].due_us)
    due = pipe->parcels[pipe->parcel_count - 1].due_us; /* late, but never out of order */
  pipe->parcels[pipe->parcel_count++] = (parcel){.due_us = due, .size = (size_t)n};
  pipe->used += (size_t)n;
  pipe->allowance -= fault->bytes_per_s != 0 ? (double)n : 0;
  return true;
}

/* false: the sink has gone. */
static bool pipe_empty(proxy_pair *pair, bool up, uint64_t now) {
  pipe_way *pipe = up ? &pair->up : &pair->down;
  int to = up ? pair->server : pair->client;
  size_t due = pipe_due(pipe, now);
  if (due > 0) {
    ssize_t n = send(to, pipe->bytes, due, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    pipe_drop(pipe, (size_t)n);
    if (pipe->budget != UINT64_MAX) pipe->budget -= (size_t)n;
  }
  if (pipe->ended && !pipe->told && pipe->used == 0 && !pipe->fault.frozen) {
    shutdown(to, SHUT_WR);
    pipe->told = true;
  }
  return true;
}

static void pair_move(link_proxy *self, proxy_pair *pair, uint64_t now) {
  if (pair->client < 0 || pair->stalled) return;
  if (pair->leave_us != 0) {
    pair_leave(pair, now);
    return;
  }
  bool alive = pipe_fill(self, pair, true, now) && pipe_fill(self, pair, false, now) &&
               pipe_empty(pair, true, now) && pipe_empty(pair, false, now);
  if (!alive) {
    pair_close(pair, true);
  } else if (pair->up.told && pair->down.told) {
    pair_close(pair, false);
  } else if (pair->up.budget == 0 || pair->down.budget == 0) {
    pair_end(self, pair, pair->up.budget == 0 ? pair->up.fault.end : pair->down.fault.end);
  }
}

/* ---- Connections ------------------------------------------------------------------------- */

static int target_connect(uint16_t target) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(target)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, bytes = SOCKET_BYTES;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

/* One that is not used, or the oldest one that is stalled. */
static proxy_pair *pair_find(proxy_pair pairs[PAIRS_MAX]) {
  proxy_pair *found = NULL;
  for (size_t i = 0; i < PAIRS_MAX; i++) {
    if (pairs[i].client < 0) return &pairs[i];
    if (pairs[i].stalled && (found == NULL || pairs[i].since_us < found->since_us))
      found = &pairs[i];
  }
  if (found != NULL) pair_close(found, true);
  return found;
}

static void accept_one(link_proxy *self, proxy_pair pairs[PAIRS_MAX], uint64_t now) {
  int client = accept4(self->listen_fd, NULL, NULL, SOCK_CLOEXEC), on = 1;
  if (client < 0) return;
  pthread_mutex_lock(&self->mutex);
  proxy_door door = self->faults.door;
  uint16_t target = self->target;
  pthread_mutex_unlock(&self->mutex);
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  int server = door == PROXY_OPEN ? target_connect(target) : -1;
  proxy_pair *pair = door != PROXY_REFUSES ? pair_find(pairs) : NULL;
  if (pair == NULL || (door == PROXY_OPEN && server < 0)) {
    socket_close(client, true);
    socket_close(server, true);
    return;
  }
  memset(pair, 0, sizeof *pair);
  pair->client = client;
  pair->server = server;
  pair->since_us = now;
  pair->stalled = door == PROXY_SWALLOWS;
  pthread_mutex_lock(&self->mutex);
  self->counts.connections++;
  pair->generation = self->generation - 1; /* so that faults_take begins with it */
  pthread_mutex_unlock(&self->mutex);
}

static void faults_take(link_proxy *self, proxy_pair pairs[PAIRS_MAX], uint64_t now) {
  pthread_mutex_lock(&self->mutex);
  for (size_t i = 0; i < PAIRS_MAX; i++) {
    proxy_pair *pair = &pairs[i];
    if (self->stall) pair->stalled = true;
    if (pair->generation == self->generation) continue;
    pair->generation = self->generation;
    pipe_begin(&pair->up, &self->faults.up, now);
    pipe_begin(&pair->down, &self->faults.down, now);
  }
  self->stall = false;
  pthread_mutex_unlock(&self->mutex);
}

/* ---- The loop ---------------------------------------------------------------------------- */

/* When a pipe can go on although nothing comes. */
static uint64_t pipe_wait(const pipe_way *pipe, uint64_t now) {
  uint64_t wait = ROUND_US;
  if (pipe->parcel_count > 0 && pipe->parcels[0].due_us > now) wait = pipe->parcels[0].due_us - now;
  if (pipe->fault.bytes_per_s != 0 && pipe->allowance < 1) {
    uint64_t more = (uint64_t)((1 - pipe->allowance) * 1e6 / pipe->fault.bytes_per_s) + 1;
    wait = more < wait ? more : wait;
  }
  return wait;
}

static short socket_events(const pipe_way *in, const pipe_way *out, uint64_t now) {
  return (short)((pipe_room(in) > 0 ? POLLIN : 0) | (pipe_due(out, now) > 0 ? POLLOUT : 0));
}

static void round_wait(link_proxy *self, proxy_pair pairs[PAIRS_MAX]) {
  struct pollfd fds[1 + 2 * PAIRS_MAX] = {{.fd = self->listen_fd, .events = POLLIN}};
  uint64_t now = now_us(), wait = ROUND_US;
  for (size_t i = 0; i < PAIRS_MAX; i++) {
    proxy_pair *pair = &pairs[i];
    struct pollfd *client = &fds[1 + 2 * i], *server = &fds[2 + 2 * i];
    client->fd = server->fd = -1;
    if (pair->client < 0 || pair->stalled || pair->leave_us != 0) continue;
    pipe_look(&pair->up, now);
    pipe_look(&pair->down, now);
    client->events = socket_events(&pair->up, &pair->down, now);
    server->events = socket_events(&pair->down, &pair->up, now);
    client->fd = client->events != 0 ? pair->client : -1; /* a hang-up cannot be masked */
    server->fd = server->events != 0 ? pair->server : -1;
    uint64_t up = pipe_wait(&pair->up, now), down = pipe_wait(&pair->down, now);
    wait = up < wait ? up : wait;
    wait = down < wait ? down : wait;
  }
  struct timespec time = {.tv_nsec = (long)wait * 1000};
  ppoll(fds, 1 + 2 * PAIRS_MAX, &time, NULL);
}

static void *proxy_main(void *arg) {
  link_proxy *self = arg;
  proxy_pair *pairs = calloc(PAIRS_MAX, sizeof *pairs);
  if (pairs == NULL) abort();
  for (size_t i = 0; i < PAIRS_MAX; i++) pairs[i].client = pairs[i].server = -1;
  while (!atomic_load(&self->stop)) {
    uint64_t now = now_us();
    accept_one(self, pairs, now);
    faults_take(self, pairs, now);
    for (size_t i = 0; i < PAIRS_MAX; i++) pair_move(self, &pairs[i], now);
    round_wait(self, pairs);
  }
  for (size_t i = 0; i < PAIRS_MAX; i++) pair_close(&pairs[i], false);
  free(pairs);
  return NULL;
}

void proxy_start(link_proxy *self, uint16_t target) {
  memset(self, 0, sizeof *self);
  self->target = target;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int bytes = SOCKET_BYTES, segment = SEGMENT_BYTES;
  self->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  setsockopt(self->listen_fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes); /* inherited */
  setsockopt(self->listen_fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  setsockopt(self->listen_fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
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

void proxy_set(link_proxy *self, const proxy_faults *faults) {
  pthread_mutex_lock(&self->mutex);
  self->faults = *faults;
  self->generation++;
  pthread_mutex_unlock(&self->mutex);
}

void proxy_freeze(link_proxy *self, bool frozen) {
  proxy_set(self, &(proxy_faults){.up.frozen = frozen, .down.frozen = frozen});
}

void proxy_stall(link_proxy *self) {
  pthread_mutex_lock(&self->mutex);
  self->stall = true;
  pthread_mutex_unlock(&self->mutex);
}

void proxy_lead(link_proxy *self, uint16_t target) {
  pthread_mutex_lock(&self->mutex);
  self->target = target;
  pthread_mutex_unlock(&self->mutex);
}

proxy_counts proxy_counts_take(link_proxy *self) {
  pthread_mutex_lock(&self->mutex);
  proxy_counts counts = self->counts;
  memset(&self->counts, 0, sizeof self->counts);
  pthread_mutex_unlock(&self->mutex);
  return counts;
}
