/* SPDX-License-Identifier: Apache-2.0 */
/* paho_pump.c - carries one MQTT session between paho's end of the tunnel and TLS.
 *
 *     paho <-> tunnel --[ up   ]--> TLS <-> broker
 *                     <-[ down ]--
 *
 * Two buffers of fixed size; a full one stops the reading on its other side. Round by round: move
 * bytes, hear what paho said, hand it messages, see whether it is time to end, wait. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "paho_tunnel.h"
#include "paho_worker.h"

#define BUFFER_BYTES 16384u
#define ROUND_MS 1000u
#define CLOSE_ACK_MS 2000u /* for acknowledgements, before DISCONNECT */
#define CLOSE_MS 5000u     /* for the whole goodbye */
#define VERDICT_MS 2000u   /* for paho to make out why the broker hung up */
/* paho sends its PINGREQ one keep-alive after the last packet and up to two seconds late: shorter
 * silences mean nothing when the keep-alive is only a few seconds. */
#define PING_LATE_MS 3000u

/* paho 1.3.12 leaks the messages that are still in its queue when its handle is destroyed: so few
 * are handed to it at a time, and before the end it gets a moment to write them out. */
#define HANDED_MAX 16u
#define GATHER_MS 10u /* for paho to write them out; it takes one or two */
#define DRAIN_MS 500u

enum { FD_WAKE, FD_TLS, FD_TUNNEL, FD_LISTENER, FD_COUNT };

typedef struct buffer {
  uint8_t bytes[BUFFER_BYTES];
  size_t used;
} buffer;

/* Follows the MQTT packets in what paho sends, to count those that are messages. */
typedef struct packet_counter {
  uint32_t publishes;
  uint32_t skip; /* bytes left of the packet's body */
  uint32_t length;
  unsigned shift;
  bool in_length;
} packet_counter;

typedef struct pump {
  htel_paho *paho;
  htel_tls *tls;
  int tls_fd;
  tunnel tun;
  mqtt_client mqtt;
  buffer up, down;
  packet_counter sent;
  uint32_t handed; /* messages given to paho; those not yet in `sent` are in its queue */
  bool preamble_done;
  bool is_up;        /* CONNACK: messages may follow, behind SUBSCRIBE */
  bool greeted;      /* SUBACK too, where there is a subscription */
  bool tunnel_ended; /* paho has closed its end */
  bool tunnel_told;  /* we have closed ours, in our direction */
  int tls_error;     /* why TLS ended, 0 before */
  uint64_t ended_ms; /* when one of the two ended first, 0 before */
  uint64_t heard_ms; /* last bytes from the broker */
  uint64_t close_ms; /* when close() was asked for, 0 before */
  bool disconnecting;
  uint64_t gather_ms;      /* until then what paho writes is gathered, 0: it has written all */
  bool written;            /* the socket holds bytes back */
  uint32_t impostors_told; /* already in the link's statistics */
  bool moved;              /* this round moved bytes: do not wait yet */
} pump;

static void consume(buffer *buf, size_t size) {
  buf->used -= size;
  memmove(buf->bytes, buf->bytes + size, buf->used);
}

static void packets_count(packet_counter *counter, const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size;) {
    if (counter->skip > 0) {
      size_t body = size - i < counter->skip ? size - i : counter->skip;
      counter->skip -= (uint32_t)body;
      i += body;
    } else if (!counter->in_length) {
      counter->publishes += bytes[i] >> 4 == 3;
      counter->in_length = true;
      counter->length = 0;
      counter->shift = 0;
      i++;
    } else {
      counter->length |= (uint32_t)(bytes[i] & 127u) << counter->shift;
      counter->shift += 7;
      counter->in_length = bytes[i] >= 128 && counter->shift < 28;
      counter->skip = counter->in_length ? 0 : counter->length;
      i++;
    }
  }
}

/* ---- Moving bytes ------------------------------------------------------------------------- */

static void tunnel_read(pump *self) {
  while (self->tun.fd >= 0 && !self->tunnel_ended && self->up.used < BUFFER_BYTES) {
    ssize_t n = recv(self->tun.fd, self->up.bytes + self->up.used, BUFFER_BYTES - self->up.used, 0);
    if (n > 0) {
      if (self->preamble_done) {
        packets_count(&self->sent, self->up.bytes + self->up.used, (size_t)n);
      }
      self->up.used += (size_t)n;
      self->moved = true;
      continue;
    }
    self->tunnel_ended = n == 0 || (errno != EAGAIN && errno != EINTR);
    return;
  }
}

static void tunnel_write(pump *self) {
  while (self->tun.fd >= 0 && !self->tunnel_ended && self->down.used > 0) {
    ssize_t n = send(self->tun.fd, self->down.bytes, self->down.used, MSG_NOSIGNAL);
    if (n > 0) {
      consume(&self->down, (size_t)n);
      self->moved = true;
      continue;
    }
    self->tunnel_ended = errno != EAGAIN && errno != EINTR;
    return;
  }
}

static void tls_read(pump *self) {
  while (self->tls_error == 0 && self->down.used < BUFFER_BYTES) {
    int n = htel_tls_read(self->tls, self->down.bytes + self->down.used,
                          BUFFER_BYTES - self->down.used);
    if (n == 0) {
      return;
    }
    if (n < 0) {
      self->tls_error = n;
      return;
    }
    self->down.used += (size_t)n;
    self->heard_ms = worker_now_ms();
    self->moved = true;
  }
}

/* paho writes each message by itself: those handed to it together are to share a record, the first
 * ones with SUBSCRIBE. */
static bool is_gathering(pump *self) {
  bool all = (self->handed > 0 && self->handed == self->sent.publishes) ||
             self->up.used > BUFFER_BYTES / 2;
  if (all || worker_now_ms() >= self->gather_ms) {
    self->gather_ms = 0;
  }
  return self->gather_ms != 0;
}

static void tls_write(pump *self) {
  if (is_gathering(self)) {
    return;
  }
  while (self->tls_error == 0 && self->preamble_done && self->up.used > 0) {
    int n = htel_tls_write(self->tls, self->up.bytes, self->up.used);
    if (n == 0) {
      return;
    }
    if (n < 0) {
      self->tls_error = n;
      return;
    }
    consume(&self->up, (size_t)n);
    self->moved = self->written = true;
  }
}

/* TLS has ended early and paho has all that came, perhaps a refusal: an end of file after it lets
 * paho notice too. */
static void tunnel_tell(pump *self) {
  if (self->tls_error != 0 && !self->greeted && self->down.used == 0 && self->tun.fd >= 0 &&
      !self->tunnel_told) {
    shutdown(self->tun.fd, SHUT_WR);
    self->tunnel_told = true;
  }
}

/* What paho sends first is for its proxy, that is, for us. */
static int preamble_take(pump *self) {
  if (self->preamble_done || self->up.used == 0) {
    return 0;
  }
  int size = tunnel_preamble(self->up.bytes, self->up.used);
  if (size > 0) {
    consume(&self->up, (size_t)size);
    packets_count(&self->sent, self->up.bytes, self->up.used);
    self->preamble_done = true;
  }
  return size < 0 ? size : 0;
}

/* ---- What paho said ------------------------------------------------------------------------- */

static int connack_error(int code) {
  switch (code) {
    case 1: /* protocol version */
    case 2: /* client id */
    case 3: /* server unavailable */ return HTEL_E_REFUSED;
    case 4: /* user name or password */
    case 5: /* not authorized */ return HTEL_E_UNAUTHORIZED;
    default: return HTEL_E_LINK_LOST;
  }
}

static int answers_hear(pump *self) {
  htel_paho *paho = self->paho;
  mail_answers answers = mail_answers_get(&paho->mail);
  if (answers.connect_failed && answers.connect_code > 0) {
    return connack_error(answers.connect_code);
  }
  if (answers.subscribe_failed) {
    return HTEL_E_SUBSCRIBE;
  }
  if ((answers.connect_failed || answers.lost) && !self->disconnecting) {
    /* Either TLS has ended and paho noticed, or paho did not like what the broker sent. */
    return self->tls_error != 0 ? self->tls_error : HTEL_E_PROTOCOL;
  }
  if (!answers.connected) {
    return 0;
  }
  bool subscribes = paho->session.receive_topic[0] != '\0';
  self->greeted = !subscribes || answers.subscribed;
  if (self->is_up) {
    return 0;
  }
  int rc = subscribes ? mqtt_subscribe(&self->mqtt, paho->session.receive_topic) : 0;
  if (rc == 0) {
    self->is_up = true;
    self->gather_ms = worker_now_ms() + GATHER_MS;
    mail_up(&paho->mail);
  }
  return rc;
}

static int messages_send(pump *self) {
  if (!self->is_up) {
    return 0;
  }
  uint8_t *payload = NULL;
  mail_slot *slot;
  while (self->handed - self->sent.publishes < HANDED_MAX &&
         (slot = mail_take(&self->paho->mail, &payload)) != NULL) {
    int rc = mqtt_publish(&self->mqtt, slot, payload);
    free(payload);
    if (rc != 0) {
      return rc;
    }
    self->handed++;
    self->gather_ms = worker_now_ms() + GATHER_MS;
  }
  return 0;
}

/* ---- Ending -----------------------------------------------------------------------------------
 */

/* HTEL_E_AGAIN: goes on; otherwise the result of the pump. */
static int close_check(pump *self, uint64_t now_ms) {
  mail_requests requests = mail_requests_get(&self->paho->mail);
  if (requests.quit) {
    return HTEL_E_CLOSED;
  }
  if (requests.abort != 0) {
    return requests.abort;
  }
  if (!requests.close) {
    return HTEL_E_AGAIN;
  }
  if (!self->is_up) {
    return HTEL_E_CLOSED;
  }
  if (self->close_ms == 0) {
    self->close_ms = now_ms;
  }
  if (now_ms >= self->close_ms + CLOSE_MS) {
    return HTEL_E_CLOSED;
  }
  if (!self->disconnecting &&
      (mail_unacked(&self->paho->mail) == 0 || now_ms >= self->close_ms + CLOSE_ACK_MS)) {
    self->disconnecting = true;
    mqtt_disconnect(&self->mqtt);
  }
  return HTEL_E_AGAIN;
}

static uint64_t silence_ms(const pump *self) {
  uint64_t keep_alive_ms = (uint64_t)self->paho->session.keep_alive_s * 1000u;
  uint64_t late_ms = keep_alive_ms + PING_LATE_MS;
  return keep_alive_ms * 3 / 2 > late_ms ? keep_alive_ms * 3 / 2 : late_ms;
}

/* When the connection is to be given up, should nothing happen. */
static uint64_t deadline_ms(const pump *self) {
  return self->greeted ? self->heard_ms + silence_ms(self) : self->paho->deadline_ms;
}

static int deadline_error(const pump *self) {
  if (!self->greeted && self->tun.fd < 0 && self->tun.impostors > 0) {
    return HTEL_E_IMPOSTOR; /* they kept paho from getting through */
  }
  return HTEL_E_LINK_SILENT;
}

/* HTEL_E_AGAIN: goes on. 0: said goodbye in good order. */
static int end_check(pump *self) {
  uint64_t now_ms = worker_now_ms();
  int rc = close_check(self, now_ms);
  if (rc != HTEL_E_AGAIN) {
    return rc;
  }
  if (self->tunnel_ended && self->disconnecting && (self->up.used == 0 || self->tls_error != 0)) {
    return self->tls_error;
  }
  if (self->tls_error != 0 || (self->tunnel_ended && !self->disconnecting)) {
    self->ended_ms = self->ended_ms != 0 ? self->ended_ms : now_ms;
    /* A refusal is with paho, which closes its end before it tells: answers_hear will know. */
    bool settled =
        self->tun.fd < 0 || (self->greeted && (self->tunnel_ended || self->down.used == 0));
    if (!settled && now_ms < self->ended_ms + VERDICT_MS) {
      return HTEL_E_AGAIN;
    }
    return self->tls_error != 0 ? self->tls_error : HTEL_E_PROTOCOL;
  }
  return now_ms >= deadline_ms(self) ? deadline_error(self) : HTEL_E_AGAIN;
}

/* ---- The loop ---------------------------------------------------------------------------------
 */

static void stats_update(pump *self) {
  pthread_mutex_lock(&self->paho->stats_mutex);
  self->paho->stats.impostors += self->tun.impostors - self->impostors_told;
  self->paho->stats.tunnel_port = tunnel_port(&self->tun);
  pthread_mutex_unlock(&self->paho->stats_mutex);
  self->impostors_told = self->tun.impostors;
}

static void round_wait(pump *self) {
  struct pollfd fds[FD_COUNT] = {
      [FD_TLS] = {.fd = self->tls_error == 0 ? self->tls_fd : -1},
      [FD_TUNNEL] = {.fd = self->tunnel_ended ? -1 : self->tun.fd},
      [FD_LISTENER] = {.fd = self->tun.listen_fd, .events = POLLIN},
  };
  if (self->down.used < BUFFER_BYTES) {
    fds[FD_TLS].events |= POLLIN;
  }
  if (self->up.used > 0 && self->preamble_done && self->gather_ms == 0) {
    fds[FD_TLS].events |= POLLOUT;
  }
  if (self->up.used < BUFFER_BYTES) {
    fds[FD_TUNNEL].events |= POLLIN;
  }
  if (self->down.used > 0) {
    fds[FD_TUNNEL].events |= POLLOUT;
  }
  for (int i = FD_TLS; i <= FD_TUNNEL; i++) {
    if (fds[i].events == 0) {
      fds[i].fd = -1; /* or a hang-up, which cannot be masked, would end the wait at once */
    }
  }
  uint64_t now_ms = worker_now_ms();
  uint64_t until_ms = self->moved ? now_ms : now_ms + ROUND_MS;
  uint64_t deadline = deadline_ms(self);
  if (self->gather_ms != 0 && self->gather_ms < until_ms) {
    until_ms = self->gather_ms;
  }
  if (self->written && self->preamble_done && !self->moved) {
    htel_socket_push(&(htel_socket){self->tls_fd});
    self->written = false;
  }
  worker_wait(self->paho, fds, FD_COUNT, deadline < until_ms ? deadline : until_ms);
}

static int round_run(pump *self) {
  self->moved = false;
  tunnel_accept(&self->tun);
  if (self->tun.impostors != self->impostors_told) {
    stats_update(self);
  }
  tunnel_read(self);
  int rc = preamble_take(self);
  if (rc != 0) {
    return rc;
  }
  tls_write(self);
  tls_read(self);
  tunnel_write(self);
  tunnel_tell(self);
  rc = answers_hear(self);
  if (rc == 0) {
    rc = messages_send(self);
  }
  return rc != 0 ? rc : end_check(self);
}

/* Lets paho write its queue out, to nobody. */
static void queue_drain(pump *self) {
  uint64_t until_ms = worker_now_ms() + DRAIN_MS;
  while (self->handed != self->sent.publishes && self->tun.fd >= 0 && !self->tunnel_ended &&
         worker_now_ms() < until_ms) {
    struct pollfd fds[2] = {[1] = {.fd = self->tun.fd, .events = POLLIN}};
    worker_wait(self->paho, fds, 2, until_ms);
    tunnel_read(self);
    self->up.used = 0;
  }
}

int pump_run(htel_paho *paho, htel_tls *tls, int tls_fd) {
  pump *self = calloc(1, sizeof *self);
  if (self == NULL) {
    return HTEL_E_MEMORY;
  }
  self->paho = paho;
  self->tls = tls;
  self->tls_fd = tls_fd;
  self->heard_ms = worker_now_ms();
  self->written = true; /* the end of the handshake, which goes with CONNECT */
  int rc = tunnel_listen(&self->tun);
  if (rc == 0) {
    stats_update(self);
    rc = mqtt_begin(&self->mqtt, &paho->mail, &paho->session, tunnel_port(&self->tun),
                    paho->connect_timeout_ms);
  }
  while (rc == 0 && (rc = round_run(self)) == HTEL_E_AGAIN) {
    round_wait(self);
    rc = 0;
  }
  queue_drain(self);
  mqtt_end(&self->mqtt); /* first: the port must be ours until paho is done with it */
  tunnel_close(&self->tun);
  stats_update(self);
  free(self);
  return rc;
}
