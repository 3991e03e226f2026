/* SPDX-License-Identifier: Apache-2.0 */
/* sim_net.c - the made-up device's TCP: two queues to a peer (peer.h), and the port's transport. */
#include <string.h>

#include "sim.h"

#define CONNECT_US 3000u
#define PCBS 6u /* connections that the stack has room for */

enum { IDLE, CONNECTING, UP, CLOSING };

static uint32_t now_ms(const sim *s) {
  return (uint32_t)(s->now_us / 1000u);
}

/* ---- The stack ----------------------------------------------------------------------------- */

static void move_out(sim *s) {
  sim_net *n = &s->net;
  if (n->kept != NULL) memcpy(n->out + n->out_used - n->kept_count, n->kept, n->kept_count);
  n->kept = NULL;
  size_t taken = peer_take(&n->peer, n->out, n->out_used, now_ms(s));
  n->out_used -= (uint32_t)taken;
  memmove(n->out, n->out + taken, n->out_used);
}

static void move_in(sim *s) {
  sim_net *n = &s->net;
  size_t got = peer_give(&n->peer, n->in + n->in_used, SIM_QUEUE_BYTES - n->in_used, now_ms(s));
  peer_sent(&n->peer, got);
  n->in_used += (uint32_t)got;
}

void sim_net_run(sim *s) {
  sim_net *n = &s->net;
  if (n->state == IDLE || n->state == CONNECTING || n->reset) return;
  move_out(s);
  move_in(s);
  peer_ending ending = peer_ends(&n->peer, now_ms(s));
  if (ending == PEER_RESETS) {
    n->reset = true;
    n->in_used = n->out_used = 0;
  }
  if (ending != PEER_STAYS) n->ended = true;
}

static void stack_close(sim *s) {
  sim_net *n = &s->net;
  if (n->state == UP || n->state == CLOSING) peer_closed(&n->peer);
  n->state = IDLE;
  n->out_used = n->in_used = 0;
  n->ended = n->reset = n->armed = false;
}

/* ---- The stream ---------------------------------------------------------------------------- */

static int stream_read(void *ctx, uint8_t *buf, size_t size) {
  sim *s = ctx;
  sim_net *n = &s->net;
  sim_spend(s, 2);
  sim_net_run(s);
  if (s->broken == NET_READ_WAITS)
    while (n->in_used == 0 && !n->ended) {
      sim_spend(s, 100);
      sim_net_run(s);
    }
  if (s->broken == NET_READ_TIMES_OUT && n->in_used == 0 && !n->ended) sim_spend(s, 10000);
  if (s->broken == NET_END_COMES_FIRST && n->ended) return HTEL_E_LINK_LOST;
  if (n->in_used == 0) {
    if (s->broken == NET_READ_SAYS_AGAIN && !n->ended) return HTEL_E_AGAIN;
    if (s->broken == NET_END_IS_ZERO && !n->reset) return 0;
    if (s->broken == NET_RESET_IS_HIDDEN && n->reset) return 0;
    return n->ended ? HTEL_E_LINK_LOST : 0;
  }
  uint32_t count = n->in_used < size ? n->in_used : (uint32_t)size;
  memcpy(buf, n->in, count);
  n->in_used -= count;
  memmove(n->in, n->in + count, n->in_used);
  return (int)count;
}

static int stream_write(void *ctx, const uint8_t *buf, size_t size) {
  sim *s = ctx;
  sim_net *n = &s->net;
  sim_spend(s, 2);
  sim_net_run(s);
  if (n->reset && s->broken != NET_RESET_IS_HIDDEN) return HTEL_E_LINK_LOST;
  if (n->reset) return (int)size;
  if (s->broken == NET_WRITE_WAITS)
    while (n->out_used == SIM_QUEUE_BYTES) {
      sim_spend(s, 100);
      sim_net_run(s);
    }
  uint32_t room = SIM_QUEUE_BYTES - n->out_used;
  uint32_t count = room < size ? room : (uint32_t)size;
  memcpy(n->out + n->out_used, buf, count);
  n->out_used += count;
  if (s->broken == NET_KEEPS_BUFFER && n->kept == NULL && count > 64) {
    n->kept = buf;
    n->kept_count = count;
  }
  return s->broken == NET_WRITE_TAKES_TOO_MUCH && count > 0 ? (int)size : (int)count;
}

/* ---- The transport ------------------------------------------------------------------------- */

static int net_open(void *ctx, uint32_t timeout_ms) {
  sim *s = ctx;
  sim_net *n = &s->net;
  sim_spend(s, 10);
  if (n->state != IDLE) return HTEL_E_AGAIN;
  if (s->broken == NET_CLOSE_LEAKS && n->opened >= PCBS) return HTEL_E_MEMORY;
  n->opened++;
  n->state = CONNECTING;
  n->since_us = s->now_us;
  n->timeout_ms = timeout_ms;
  if (s->broken == NET_CONNECT_WAITS) sim_spend(s, 40000);
  return 0;
}

static int net_step(void *ctx) {
  sim *s = ctx;
  sim_net *n = &s->net;
  sim_spend(s, 10);
  if (n->state != CONNECTING) return n->state == UP ? 0 : HTEL_E_CLOSED;
  if (s->now_us - n->since_us < CONNECT_US || s->broken == NET_NEVER_CONNECTS) return HTEL_E_AGAIN;
  n->state = UP;
  n->ended = n->reset = false;
  peer_begin(&n->peer, &n->count);
  return 0;
}

static htel_stream net_stream(void *ctx) {
  return (htel_stream){.ctx = ctx, .read = stream_read, .write = stream_write};
}

static uint32_t net_wait_ms(void *ctx) {
  sim *s = ctx;
  s->net.armed = s->broken != NET_SLEEPER_IS_LEFT;
  return s->net.state == CONNECTING || s->net.state == CLOSING ? 1 : 1000;
}

static int net_close(void *ctx, bool orderly) {
  sim *s = ctx;
  sim_net *n = &s->net;
  sim_spend(s, 10);
  if (s->broken == NET_CLOSE_ONCE_ONLY && n->state == IDLE) return HTEL_E_CLOSED;
  if (orderly && n->state == UP) n->state = CLOSING;
  if (n->state == CLOSING && s->broken != NET_CLOSE_LOSES) {
    if (n->out_used > 0 && orderly && !n->reset) {
      if (s->now_us % 3u == 0) sim_net_run(s);
      return HTEL_E_AGAIN;
    }
  }
  stack_close(s);
  return 0;
}

/* ---- An address that does not answer ------------------------------------------------------- */

static int nowhere_open(void *ctx, uint32_t timeout_ms) {
  sim *s = ctx;
  s->nowhere_us = s->now_us;
  s->nowhere_ms = timeout_ms;
  return 0;
}

static int nowhere_step(void *ctx) {
  sim *s = ctx;
  sim_spend(s, 10);
  if (s->broken == NET_NEVER_GIVES_UP) return HTEL_E_AGAIN;
  return s->now_us - s->nowhere_us < (uint64_t)s->nowhere_ms * 1000u ? HTEL_E_AGAIN
                                                                     : HTEL_E_CONNECT;
}

static uint32_t nowhere_wait_ms(void *ctx) {
  (void)ctx;
  return 20;
}

static int nowhere_close(void *ctx, bool orderly) {
  (void)ctx;
  (void)orderly;
  return 0;
}

void sim_net_init(sim *s) {
  s->net.count = (peer_count){0, PEER_NONE};
  s->transport = (htel_mqtt_transport){s, net_open, net_step, net_stream, net_wait_ms, net_close};
  s->nowhere = (htel_mqtt_transport){s,          nowhere_open,    nowhere_step,
                                     net_stream, nowhere_wait_ms, nowhere_close};
}
