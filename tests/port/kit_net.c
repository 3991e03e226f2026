/* SPDX-License-Identifier: Apache-2.0 */
/* kit_net.c - the transport, against a peer that echoes, stalls, closes and resets (peer.h). */
#include <string.h>

#include "kit_internal.h"

#define CONNECT_MS 10000u
#define CLOSE_MS 5000u
#define ANSWER_MS 10000u
#define IDLE_MS_MAX 20u /* a wait that need not trust the transport's wake-up */
#define ECHO_BYTES 8192u
#define SILENCE_MS 600u
#define STALL_MS 400u
#define WAITED_MS 200u /* a call that took so long has waited */
#define STALL_BYTES_MAX (4u << 20)
#define CLOSE_BYTES 5000u
#define END_BYTES 3000u
#define CYCLES 12u
#define LATE_MS 250u
#define NOWHERE_MS 1500u
#define CALL_DEFAULT_MS 5u
#define PIECE 512u
#define WAIT_MS_MAX 1000u /* as ports/mqtt has it */
#define STALL_PIECE 509u  /* fits no buffer evenly */

static const char net_section[] = "Network";
static const char *const call_names[NET_CALLS] = {"open()", "step()", "read()", "write()",
                                                  "close()"};

/* ---- Calls, each with its time ------------------------------------------------------------- */

static void called(kit *k, unsigned call, uint32_t from_ms) {
  uint32_t took_ms = kit_ms(k) - from_ms;
  if (took_ms > k->net_longest_ms[call]) k->net_longest_ms[call] = took_ms;
}

static int net_open(kit *k, const htel_mqtt_transport *net, uint32_t timeout_ms) {
  uint32_t from_ms = kit_ms(k);
  int rc = net->open(net->ctx, timeout_ms);
  called(k, NET_OPEN, from_ms);
  return rc;
}

static int net_step(kit *k, const htel_mqtt_transport *net) {
  uint32_t from_ms = kit_ms(k);
  int rc = net->step(net->ctx);
  called(k, NET_STEP, from_ms);
  return rc;
}

static int net_close(kit *k, const htel_mqtt_transport *net, bool orderly) {
  uint32_t from_ms = kit_ms(k);
  int rc = net->close(net->ctx, orderly);
  called(k, NET_CLOSE, from_ms);
  return rc;
}

/* read() and write() must give a count from 0 to size, or a negative error that is not a wish to
 * be called again. Other results end the check. */
static bool count_is_good(kit *k, const char *function, int n, size_t size) {
  if (n == HTEL_E_PORT) {
    kit_fail(k, "%s is not filled in yet: it returns HTEL_E_PORT as the template does", function);
  } else if (n == HTEL_E_AGAIN) {
    kit_fail(k, "%s returned HTEL_E_AGAIN: where it would block it must return 0", function);
  } else if (n > 0 && (size_t)n > size) {
    kit_fail(k, "%s returned %d of %u bytes", function, n, (unsigned)size);
  }
  return !kit_failed(k);
}

static int net_read(kit *k, uint8_t *bytes, size_t size) {
  uint32_t from_ms = kit_ms(k);
  int n = k->stream.read(k->stream.ctx, bytes, size);
  called(k, NET_READ, from_ms);
  return count_is_good(k, "stream.read()", n, size) ? n : HTEL_E_CLOSED;
}

static int net_write(kit *k, const uint8_t *bytes, size_t size) {
  uint32_t from_ms = kit_ms(k);
  int n = k->stream.write(k->stream.ctx, bytes, size);
  called(k, NET_WRITE, from_ms);
  return count_is_good(k, "stream.write()", n, size) ? n : HTEL_E_CLOSED;
}

/* Sleeps as the product would, but no longer than IDLE_MS_MAX. */
static void idle(kit *k) {
  uint32_t ms = k->net->wait_ms(k->net->ctx);
  kit_wait(k, ms < IDLE_MS_MAX ? ms : IDLE_MS_MAX);
}

static bool in_time(kit *k, uint32_t from_ms, uint32_t span_ms) {
  return kit_ms(k) - from_ms < span_ms;
}

/* ---- Connections --------------------------------------------------------------------------- */

static bool ready(kit *k) {
  if (k->net == NULL) kit_skip(k, "there is no transport");
  if (k->net_broken) kit_skip(k, "the peer must first be reached");
  return k->net != NULL && !k->net_broken && kit_needs_clock(k);
}

/* Closes until it is done; bounded. */
static bool hang_up(kit *k, bool orderly) {
  uint32_t from_ms = kit_ms(k);
  int rc;
  do {
    rc = net_close(k, k->net, orderly);
    if (rc != HTEL_E_AGAIN) break;
    if (!orderly) {
      kit_fail(k, "close() that is not orderly returned HTEL_E_AGAIN: it must be done at once");
      return false;
    }
    idle(k);
  } while (in_time(k, from_ms, CLOSE_MS));
  if (rc != HTEL_E_AGAIN) return kit_returned(k, "transport.close()", rc);
  kit_fail(k, "close() still said HTEL_E_AGAIN after %u ms: it must give up by itself",
           (unsigned)CLOSE_MS);
  (void)net_close(k, k->net, false);
  return false;
}

void kit_net_hang_up(kit *k) {
  if (k->stream.read != NULL) (void)net_close(k, k->net, false);
  k->stream = (htel_stream){0};
}

static int open_again(kit *k) {
  uint32_t from_ms = kit_ms(k);
  int rc = net_open(k, k->net, CONNECT_MS);
  while (rc == HTEL_E_AGAIN && in_time(k, from_ms, CLOSE_MS)) {
    idle(k);
    rc = net_open(k, k->net, CONNECT_MS);
  }
  return rc;
}

/* 0, or what open() or step() said in the end, which `function` then names. */
static int connect_quietly(kit *k, const char **function) {
  *function = "transport.open()";
  int rc = open_again(k);
  if (rc != 0) return rc;
  *function = "transport.step()";
  uint32_t from_ms = kit_ms(k);
  rc = net_step(k, k->net);
  while (rc == HTEL_E_AGAIN && in_time(k, from_ms, CONNECT_MS + 1000u)) {
    idle(k);
    rc = net_step(k, k->net);
  }
  if (rc == 0) k->stream = k->net->stream(k->net->ctx);
  if (rc != 0) (void)net_close(k, k->net, false);
  return rc;
}

/* Writes all of it, or fails. */
static bool send_all(kit *k, const uint8_t *bytes, size_t size) {
  uint32_t from_ms = kit_ms(k);
  for (size_t at = 0; at < size;) {
    int n = net_write(k, bytes + at, size - at);
    if (kit_failed(k)) return false;
    if (n < 0 || !in_time(k, from_ms, ANSWER_MS)) {
      kit_fail(k,
               n < 0 ? "stream.write() returned %d on a connection that is up"
                     : "stream.write() said %d for 10 s while the peer was reading",
               n);
      return false;
    }
    at += (size_t)n;
    if (n == 0) idle(k);
  }
  return true;
}

/* Reads `size` bytes, or fails. */
static bool receive_all(kit *k, uint8_t *bytes, size_t size) {
  uint32_t from_ms = kit_ms(k);
  for (size_t at = 0; at < size;) {
    int n = net_read(k, bytes + at, size - at);
    if (kit_failed(k)) return false;
    if (n < 0 || !in_time(k, from_ms, ANSWER_MS)) {
      kit_fail(k,
               n < 0 ? "stream.read() returned %d on a connection that is up"
                     : "stream.read() said %d for 10 s although the peer has answered",
               n);
      return false;
    }
    at += (size_t)n;
    if (n == 0) idle(k);
  }
  return true;
}

static bool command(kit *k, char letter, uint32_t argument) {
  uint8_t bytes[PEER_COMMAND_BYTES] = {(uint8_t)letter};
  peer_number_write(bytes + 1, argument);
  return send_all(k, bytes, sizeof bytes);
}

static bool connect(kit *k, char letter, uint32_t argument) {
  const char *function;
  int rc = connect_quietly(k, &function);
  if (rc == HTEL_E_AGAIN) {
    kit_fail(k,
             "%s said HTEL_E_AGAIN for more than its %u ms: it must end with 0 or an error by "
             "itself",
             function, (unsigned)CONNECT_MS);
    return false;
  }
  if (!kit_returned(k, function, rc)) return false;
  if (k->stream.read == NULL || k->stream.write == NULL) {
    kit_fail(k, "transport.stream() is not filled in: read or write is NULL");
    return false;
  }
  return command(k, letter, argument);
}

/* ---- The peer's clock ---------------------------------------------------------------------- */

bool kit_peer_clock_open(kit *k) {
  const char *function;
  const htel_mqtt_transport *net = k->net;
  if (net == NULL || net->open == NULL || net->step == NULL || net->stream == NULL ||
      net->wait_ms == NULL || net->close == NULL || connect_quietly(k, &function) != 0)
    return false;
  uint8_t bytes[PEER_COMMAND_BYTES] = {'T'};
  return k->stream.write != NULL && k->stream.read != NULL &&
         k->stream.write(k->stream.ctx, bytes, sizeof bytes) == (int)sizeof bytes;
}

bool kit_peer_clock(kit *k, uint32_t *ms, uint32_t *round_ms) {
  uint8_t answer[4];
  uint32_t from_ms = kit_ms(k);
  size_t used = 0;
  if (k->stream.write(k->stream.ctx, answer, 1) != 1) return false;
  while (used < sizeof answer && in_time(k, from_ms, ANSWER_MS)) {
    int n = k->stream.read(k->stream.ctx, answer + used, sizeof answer - used);
    if (n < 0 || (size_t)n > sizeof answer - used) return false;
    used += (size_t)n;
    if (n == 0) kit_wait(k, 1);
  }
  *ms = peer_number_read(answer);
  *round_ms = kit_ms(k) - from_ms;
  return used == sizeof answer;
}

/* ---- The checks ---------------------------------------------------------------------------- */

/* The rest can only be tried once it opens. */
static void check_open(kit *k) {
  int rc = net_open(k, k->net, CONNECT_MS);
  if (rc == HTEL_E_PORT)
    kit_fail(k,
             "net_open is not filled in yet: it returns HTEL_E_PORT as the template does. Then "
             "net_step, stream_read, stream_write, net_wait_ms and net_close are to be looked at");
  (void)net_close(k, k->net, false);
}

static void check_there(kit *k) {
  const htel_mqtt_transport *net = k->net;
  if (net == NULL) {
    kit_skip(k, "there is no transport");
    return;
  }
  if (net->open == NULL || net->step == NULL || net->stream == NULL || net->wait_ms == NULL ||
      net->close == NULL)
    kit_fail(k, "open, step, stream, wait_ms and close must all be there");
  else if (kit_returned(k, "transport.close()", net_close(k, net, false)) &&
           kit_returned(k, "transport.close() called twice", net_close(k, net, false)))
    check_open(k);
  if (kit_failed(k)) k->net_broken = true;
}

static void check_connect(kit *k) {
  if (!ready(k)) return;
  if (connect(k, 'E', 0)) (void)hang_up(k, false);
  k->net_broken = kit_failed(k);
  if (kit_failed(k)) kit_net_hang_up(k);
}

static void echo(kit *k) {
  uint8_t *out = k->scratch, *in = k->scratch + 2u * PIECE;
  uint32_t sent = 0, got = 0, from_ms = kit_ms(k);
  while (got < ECHO_BYTES && in_time(k, from_ms, ANSWER_MS)) {
    uint32_t size = 1u + sent % (PIECE - 1u), shift = sent % 3u; /* all sizes and alignments */
    if (size > ECHO_BYTES - sent) size = ECHO_BYTES - sent;
    for (uint32_t i = 0; i < size; i++) out[shift + i] = peer_byte(sent + i);
    int w = size > 0 ? net_write(k, out + shift, size) : 0;
    memset(out, 0xEE, PIECE + 3u); /* it is ours again */
    int r = net_read(k, in + shift, 1u + got % (PIECE - 1u));
    if (kit_failed(k)) return;
    if (w < 0 || r < 0) {
      kit_fail(k, "%s returned %d on a connection that is up",
               w < 0 ? "stream.write()" : "stream.read()", w < 0 ? w : r);
      return;
    }
    for (int i = 0; i < r; i++)
      if (in[shift + (uint32_t)i] != peer_byte(got + (uint32_t)i)) {
        kit_fail(k,
                 "byte %u came back as 0x%x and not 0x%x: bytes are lost, doubled or changed. "
                 "Does write() return what was really taken, is its buffer copied?",
                 (unsigned)got + (unsigned)i, in[shift + (uint32_t)i],
                 peer_byte(got + (uint32_t)i));
        return;
      }
    sent += (uint32_t)w;
    got += (uint32_t)r;
    if (w == 0 && r == 0) idle(k);
  }
  if (got < ECHO_BYTES)
    kit_fail(k, "of %u bytes to the peer and back %u came in %u ms", (unsigned)ECHO_BYTES,
             (unsigned)got, (unsigned)ANSWER_MS);
  kit_say(k, "%u bytes in %u ms", (unsigned)ECHO_BYTES, (unsigned)(kit_ms(k) - from_ms));
}

static void check_echo(kit *k) {
  if (!ready(k)) return;
  if (connect(k, 'E', 0)) echo(k);
  kit_net_hang_up(k);
}

/* While the peer says nothing, each read must come back at once, with 0. */
static void silence(kit *k) {
  uint32_t shortest_ms = UINT32_MAX;
  uint8_t byte;
  for (unsigned i = 0; i < 8; i++) {
    uint32_t from_ms = kit_ms(k);
    int n = net_read(k, &byte, 1);
    uint32_t took_ms = kit_ms(k) - from_ms;
    if (kit_failed(k)) return;
    if (n < 0) {
      kit_fail(k, "stream.read() returned %d where nothing has come yet: 0 means that", n);
    } else if (took_ms >= WAITED_MS) {
      kit_fail(k,
               "stream.read() waited %u ms for a byte: it must return 0 at once. Make the socket "
               "non-blocking",
               (unsigned)took_ms);
    }
    if (kit_failed(k)) return;
    if (took_ms < shortest_ms) shortest_ms = took_ms;
  }
  if (shortest_ms >= 2)
    kit_fail(k,
             "each stream.read() took at least %u ms although nothing had come: a receive "
             "timeout is a wait too. Make the socket non-blocking",
             (unsigned)shortest_ms);
  (void)receive_all(k, &byte, 1);
}

static void check_silence(kit *k) {
  if (!ready(k)) return;
  if (connect(k, 'D', SILENCE_MS)) silence(k);
  kit_net_hang_up(k);
  k->net_broken = kit_failed(k); /* the rest might wait for ever */
}

static void counted_bytes(kit *k, uint32_t from) {
  for (uint32_t i = 0; i < STALL_PIECE; i++) k->scratch[i] = peer_byte(from + i);
}

/* Writes counted bytes until it would block, and sees how the next few calls behave. What comes
 * next lies in the scratch bytes. */
static uint32_t write_until_full(kit *k) {
  uint32_t sent = 0, full = 0, shortest_ms = UINT32_MAX, longest_ms = 0;
  counted_bytes(k, sent);
  while (sent < STALL_BYTES_MAX && full < 8) {
    uint32_t from_ms = kit_ms(k);
    int n = net_write(k, k->scratch, STALL_PIECE);
    uint32_t took_ms = kit_ms(k) - from_ms;
    if (kit_failed(k)) return sent;
    if (n < 0) {
      kit_fail(k,
               "stream.write() returned %d after %u bytes that the peer does not read yet: 0 "
               "means would block",
               n, (unsigned)sent);
      return sent;
    }
    if (took_ms > longest_ms) longest_ms = took_ms;
    if (n == 0 && took_ms < shortest_ms) shortest_ms = took_ms;
    full += n == 0;
    sent += (uint32_t)n;
    counted_bytes(k, sent);
  }
  if (longest_ms >= WAITED_MS || (full >= 8 && shortest_ms >= 2))
    kit_fail(k,
             "stream.write() waited %u ms for a peer that does not read: it must return 0, or "
             "what it could take, at once",
             (unsigned)longest_ms);
  return sent;
}

static void stall(kit *k) {
  uint8_t answer[8];
  uint8_t end = PEER_END;
  uint32_t sent = write_until_full(k);
  /* What gave 0 is offered again, the same and no less: TLS wants it so. */
  if (kit_failed(k) || !send_all(k, k->scratch, STALL_PIECE)) return;
  sent += STALL_PIECE;
  if (!send_all(k, &end, 1) || !receive_all(k, answer, sizeof answer)) return;
  uint32_t came = peer_number_read(answer), wrong_at = peer_number_read(answer + 4);
  if (came != sent || wrong_at != PEER_NONE)
    kit_fail(k,
             "stream.write() said it took %u bytes, %u came, the first wrong one at %d: it must "
             "return what was really taken",
             (unsigned)sent, (unsigned)came, wrong_at == PEER_NONE ? -1 : (int)wrong_at);
  kit_say(k, "full after %u bytes", (unsigned)sent);
}

static void check_stall(kit *k) {
  if (!ready(k)) return;
  if (connect(k, 'S', STALL_MS)) stall(k);
  kit_net_hang_up(k);
}

/* The peer sends and closes: all that it sent must be read, and only then its end. */
static void end(kit *k) {
  uint32_t got = 0, from_ms;
  int n = 0;
  kit_pause(k, 200);
  from_ms = kit_ms(k);
  while (in_time(k, from_ms, 3000)) {
    n = net_read(k, k->scratch, 100);
    if (kit_failed(k)) return;
    if (n < 0) break;
    for (int i = 0; i < n; i++)
      if (k->scratch[i] != peer_byte(got + (uint32_t)i))
        kit_fail(k, "byte %u is wrong", (unsigned)got + (unsigned)i);
    got += (uint32_t)n;
    if (n == 0) idle(k);
  }
  if (got != END_BYTES) {
    kit_fail(k,
             "the peer sent %u bytes and closed; %u were read before stream.read() said %d: what "
             "has come must be read first",
             (unsigned)END_BYTES, (unsigned)got, n);
  } else if (n == 0) {
    kit_fail(k,
             "the peer has closed, and stream.read() goes on to return 0: that means nothing "
             "yet. The end is HTEL_E_LINK_LOST");
  } else if (n != HTEL_E_LINK_LOST || net_read(k, k->scratch, 1) >= 0) {
    kit_fail(k,
             "after the end stream.read() returned %d, and then not an error again: "
             "HTEL_E_LINK_LOST is wanted, each time",
             n);
  }
}

static void check_end(kit *k) {
  if (!ready(k)) return;
  if (connect(k, 'C', END_BYTES)) end(k);
  kit_net_hang_up(k);
}

/* Reads or writes until there is an error, for at most 3 s. */
static int until_error(kit *k, bool writing) {
  uint32_t from_ms = kit_ms(k);
  int n = 0;
  while (n >= 0 && in_time(k, from_ms, 3000)) {
    n = writing ? net_write(k, k->scratch, 16) : net_read(k, k->scratch, 16);
    if (n >= 0) idle(k);
  }
  return n;
}

static void check_reset(kit *k) {
  if (!ready(k)) return;
  if (connect(k, 'X', 50)) {
    if (until_error(k, false) >= 0)
      kit_fail(k, "the peer has reset the connection, and stream.read() returns no error");
    else if (until_error(k, true) >= 0)
      kit_fail(k, "the peer has reset the connection, and stream.write() still takes bytes");
  }
  kit_net_hang_up(k);
}

/* What was written before an orderly close must arrive: MQTT's DISCONNECT is such. */
static bool write_and_close(kit *k) {
  if (!connect(k, 'K', 0)) return false;
  for (uint32_t sent = 0; sent < CLOSE_BYTES; sent += CLOSE_BYTES / 10u) {
    for (uint32_t i = 0; i < CLOSE_BYTES / 10u; i++) k->scratch[i] = peer_byte(sent + i);
    if (!send_all(k, k->scratch, CLOSE_BYTES / 10u)) return false;
  }
  k->stream = (htel_stream){0};
  return hang_up(k, true);
}

static void check_close(kit *k) {
  uint8_t answer[8];
  if (!ready(k)) return;
  if (write_and_close(k)) {
    kit_pause(k, 300);
    if (connect(k, 'Q', 0) && receive_all(k, answer, sizeof answer)) {
      uint32_t came = peer_number_read(answer);
      if (came != CLOSE_BYTES || peer_number_read(answer + 4) != PEER_NONE)
        kit_fail(k,
                 "%u bytes were written, then close() was orderly, and %u arrived: what was "
                 "written must be sent first (MQTT's goodbye is such; without it the broker "
                 "publishes the will)",
                 (unsigned)CLOSE_BYTES, (unsigned)came);
    }
  }
  kit_net_hang_up(k);
}

/* Connections one after the other, ended in every way: something that is not given back runs out.
 */
static void check_again(kit *k) {
  if (!ready(k)) return;
  for (unsigned i = 0; i < CYCLES && !kit_failed(k); i++) {
    uint8_t byte = (uint8_t)i;
    if (i % 4u == 3u) { /* in the middle of connecting */
      int rc = open_again(k);
      if (rc == 0) (void)net_step(k, k->net);
      (void)kit_returned(k, "transport.open()", rc);
      (void)hang_up(k, false);
      continue;
    }
    if (connect(k, 'E', 0) && send_all(k, &byte, 1) && receive_all(k, &byte, 1)) {
      k->stream = (htel_stream){0};
      if (hang_up(k, i % 2u == 0))
        (void)kit_returned(k, "close() called twice", net_close(k, k->net, false));
    }
    if (kit_failed(k)) {
      size_t used = strlen(k->words);
      static const char after[] =
          " (after some connections that worked: is everything given back?)";
      if (i > 0 && used + sizeof after <= sizeof k->words)
        memcpy(k->words + used, after, sizeof after);
    }
  }
  kit_net_hang_up(k);
  k->net_broken = kit_failed(k);
}

/* Sleeps for as long as the transport says, trusting that it is woken. */
static void check_wakes(kit *k) {
  const kit_config *c = k->config;
  if (!ready(k)) return;
  if (c->wait == NULL) {
    kit_skip(k, "wait() was not given: bytes that wake nobody would not be seen");
    return;
  }
  uint8_t byte;
  uint32_t said_ms = 0, from_ms;
  int n = 0;
  if (!connect(k, 'D', SILENCE_MS)) {
    kit_net_hang_up(k);
    return;
  }
  from_ms = kit_ms(k);
  while ((n = net_read(k, &byte, 1)) == 0 && in_time(k, from_ms, 5000)) {
    said_ms = k->net->wait_ms(k->net->ctx);
    if (said_ms > WAIT_MS_MAX) said_ms = WAIT_MS_MAX;
    c->wait(c->ctx, said_ms);
  }
  uint32_t took_ms = kit_ms(k) - from_ms;
  kit_net_hang_up(k);
  if (n != 1) {
    kit_fail(k, "stream.read() returned %d", n);
  } else if (took_ms > SILENCE_MS + LATE_MS) {
    kit_fail(k,
             "a byte lay there for %u ms: wait_ms() said %u, and what came did not end wait(). "
             "Call wake() from the receive interrupt or callback, or let wait_ms() say 20",
             (unsigned)(took_ms - SILENCE_MS), (unsigned)said_ms);
  }
}

static void check_nowhere(kit *k) {
  const htel_mqtt_transport *net = k->config->nowhere;
  if (!kit_needs_clock(k)) return;
  if (net == NULL) {
    kit_skip(k, "nowhere was not given: a connection that is never answered would not be seen");
    return;
  }
  if (k->net_broken) {
    kit_skip(k, "the peer must first be reached");
    return;
  }
  uint32_t from_ms = kit_ms(k);
  int rc = net_open(k, net, NOWHERE_MS);
  if (rc == 0) {
    do {
      rc = net_step(k, net);
      if (rc == HTEL_E_AGAIN) kit_wait(k, IDLE_MS_MAX);
    } while (rc == HTEL_E_AGAIN && in_time(k, from_ms, 2u * NOWHERE_MS));
  }
  uint32_t took_ms = kit_ms(k) - from_ms;
  (void)net_close(k, net, false);
  if (rc == 0) kit_fail(k, "step() says connected where nobody answers");
  if (rc > 0) (void)kit_returned(k, "transport.step()", rc);
  if (rc == HTEL_E_AGAIN || took_ms >= 2u * NOWHERE_MS)
    kit_fail(k, "no error %u ms after open() with timeout_ms %u: it must come by itself",
             (unsigned)took_ms, (unsigned)NOWHERE_MS);
  kit_say(k, "error %d after %u ms", rc, (unsigned)took_ms);
}

static void check_calls(kit *k) {
  uint32_t max_ms = k->config->call_ms_max != 0 ? k->config->call_ms_max : CALL_DEFAULT_MS;
  if (!ready(k)) return;
  for (unsigned i = 0; i < NET_CALLS; i++) {
    if (k->net_longest_ms[i] > max_ms)
      kit_fail(k,
               "%s took %u ms, %u are allowed (call_ms_max): nothing else is done meanwhile. It "
               "must start the work and return",
               call_names[i], (unsigned)k->net_longest_ms[i], (unsigned)max_ms);
    kit_say(k, "%s%s %u ms", i > 0 ? ", " : "", call_names[i], (unsigned)k->net_longest_ms[i]);
  }
}

const kit_check kit_net_checks[] = {
    {"net.there", net_section, check_there},     {"net.connect", net_section, check_connect},
    {"net.silence", net_section, check_silence}, {"net.again", net_section, check_again},
    {"net.echo", net_section, check_echo},

    {"net.stall", net_section, check_stall},     {"net.end", net_section, check_end},
    {"net.reset", net_section, check_reset},     {"net.close", net_section, check_close},

    {"net.wakes", net_section, check_wakes},     {"net.nowhere", net_section, check_nowhere},
    {"net.calls", net_section, check_calls},     {NULL, NULL, NULL}};
