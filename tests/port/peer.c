/* SPDX-License-Identifier: Apache-2.0 */
/* peer.c - see peer.h. */
#include "peer.h"

#include <string.h>

static uint8_t letter(const peer *p) {
  return p->command_used == PEER_COMMAND_BYTES ? p->command[0] : 0;
}

static bool counts(const peer *p) {
  return letter(p) == 'S' || letter(p) == 'K';
}

void peer_begin(peer *p, peer_count *last) {
  memset(p, 0, sizeof *p);
  p->last = last;
  p->count.wrong_at = PEER_NONE;
}

static void out_number(peer *p, uint32_t number) {
  if (PEER_ECHO_BYTES - p->out_used < 4) return;
  peer_number_write(p->out + p->out_used, number);
  p->out_used += 4;
}

static void out_count(peer *p, const peer_count *count) {
  out_number(p, count->bytes);
  out_number(p, count->wrong_at);
}

static void command_begin(peer *p, uint32_t now_ms) {
  p->argument = peer_number_read(p->command + 1);
  p->began_ms = now_ms;
  if (letter(p) != 'Q') return;
  out_count(p, p->last);
  *p->last = (peer_count){0, PEER_NONE};
}

static void count_byte(peer *p, uint8_t byte) {
  if (p->counted) return;
  if (letter(p) == 'S' && byte == PEER_END) {
    p->counted = true;
    out_count(p, &p->count);
    return;
  }
  if (byte != peer_byte(p->count.bytes) && p->count.wrong_at == PEER_NONE)
    p->count.wrong_at = p->count.bytes;
  p->count.bytes++;
}

/* One byte; false: no room for it now. */
static bool take_byte(peer *p, uint8_t byte, uint32_t now_ms) {
  if (p->command_used < PEER_COMMAND_BYTES) {
    p->command[p->command_used++] = byte;
    if (p->command_used == PEER_COMMAND_BYTES) command_begin(p, now_ms);
    return true;
  }
  if (letter(p) == 'S' && now_ms - p->began_ms < p->argument) return false;
  if (counts(p)) count_byte(p, byte);
  if (letter(p) == 'E') {
    if (p->out_used == PEER_ECHO_BYTES) return false;
    p->out[p->out_used++] = byte;
  }
  if (letter(p) == 'T') {
    if (PEER_ECHO_BYTES - p->out_used < 4) return false;
    out_number(p, now_ms);
  }
  return true;
}

size_t peer_take(peer *p, const uint8_t *bytes, size_t size, uint32_t now_ms) {
  size_t taken = 0;
  while (taken < size && take_byte(p, bytes[taken], now_ms)) taken++;
  return taken;
}

/* C and D make their bytes as they go. */
static uint32_t made_left(const peer *p, uint32_t now_ms) {
  if (letter(p) == 'C') return p->argument - p->sent;
  if (letter(p) == 'D' && now_ms - p->began_ms >= p->argument) return 1u - p->sent;
  return 0;
}

size_t peer_give(peer *p, uint8_t *bytes, size_t size, uint32_t now_ms) {
  if (p->out_used > 0) {
    size_t n = p->out_used < size ? p->out_used : size;
    memcpy(bytes, p->out, n);
    return n;
  }
  size_t left = made_left(p, now_ms);
  size_t n = left < size ? left : size;
  for (size_t i = 0; i < n; i++) bytes[i] = peer_byte(p->sent + (uint32_t)i);
  return n;
}

void peer_sent(peer *p, size_t size) {
  if (p->out_used == 0) {
    p->sent += (uint32_t)size;
    return;
  }
  p->out_used -= (uint32_t)size;
  memmove(p->out, p->out + size, p->out_used);
}

peer_ending peer_ends(const peer *p, uint32_t now_ms) {
  if (letter(p) == 'C' && p->sent == p->argument) return PEER_CLOSES;
  if (letter(p) == 'X' && now_ms - p->began_ms >= p->argument) return PEER_RESETS;
  return PEER_STAYS;
}

void peer_closed(peer *p) {
  if (letter(p) == 'K') *p->last = p->count;
}
