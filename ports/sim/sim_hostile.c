/* SPDX-License-Identifier: Apache-2.0 */
/* sim_hostile.c - a broker that does what it should not.
 *
 * All of it but one thing: a receipt that is right for a frame which the device sent. Who may
 * write to its receipt topic can make it forget its frames; that is for access control to keep out,
 * and no promise is made. So receipts made here are for other boots, for sequence numbers far
 * beyond any, for frames that waited and were certainly never sent (sim_conn_write_at_once), or
 * cannot be read. */
#include <string.h>

#include "healthtel/decode.h"
#include "sim_broker_parts.h"

#define ACT_MS_MIN 500u
#define ACT_MS_MAX 20000u
#define FAR_SEQUENCES 1000000u /* no device gets so far while a receipt is on its way */
#define FAR_BOOTS 1000u
#define NEVER_SENT 64u
#define NO_RECEIPT 0x07u /* a wire type that there is not: nothing after it is read */

static uint32_t below(sim_broker *b, uint32_t limit) {
  return random_below(&b->random, limit);
}

static void fill(sim_broker *b, uint8_t *to, size_t size) {
  for (size_t i = 0; i < size; i++) to[i] = (uint8_t)random_u32(&b->random);
}

/* ---- What it knows ------------------------------------------------------------------------- */

/* A varint of a frame; bytes of it, 0: it is none. */
static size_t varint(const uint8_t *at, size_t size, uint64_t *value) {
  *value = 0;
  for (size_t i = 0; i < size && i < 10; i++) {
    *value |= (uint64_t)(at[i] & 0x7fu) << 7u * i;
    if (at[i] < 0x80) return i + 1;
  }
  return 0;
}

/* The first two fields are boot and sequence: docs/FORMAT.md. */
void hostile_learn(session *s, const uint8_t *frame, size_t size) {
  uint64_t boot = 0, sequence = 0;
  size_t at = size > 0 && frame[0] == 0x08 ? varint(frame + 1, size - 1, &boot) : 0;
  if (at == 0 || ++at >= size || frame[at] != 0x10) return;
  if (varint(frame + at + 1, size - at - 1, &sequence) == 0) return;
  if (boot < s->boot_max) return;
  if (boot > s->boot_max || sequence > s->sequence_max) s->sequence_max = (uint32_t)sequence;
  s->boot_max = boot;
}

/* ---- Receipts ------------------------------------------------------------------------------ */

/* Whether it went out. */
static bool payload_send(sim_broker *b, session *s, const uint8_t *payload, size_t size,
                         bool at_once) {
  if (s->receipt_topic == NULL) return false;
  uint16_t id = (uint16_t)below(b, 65536u); /* 0: QoS 0 */
  uint32_t n =
      session_publish_make(s->receipt_topic, id, payload, size, b->packet, sizeof b->packet);
  if (at_once) return sim_conn_write_at_once(s->conn, b->packet, n);
  session_send(s, b->packet, n);
  return true;
}

static bool receipt_send(sim_broker *b, session *s, const htel_receipt *receipt, bool at_once) {
  uint8_t payload[HTEL_RECEIPT_BYTES_MAX];
  int size = htel_receipt_encode(receipt, payload, sizeof payload);
  return size > 0 && payload_send(b, s, payload, (size_t)size, at_once);
}

static htel_receipt receipt_for(sim_broker *b, uint64_t boot, uint32_t first, uint32_t last) {
  htel_receipt r = {.boot = boot};
  if (below(b, 2) == 0) r.utc_ms = (int64_t)(random_u64(&b->random) >> below(b, 40));
  htel_range range = {first, last};
  if (below(b, 3) == 0)
    r.quarantined[r.quarantined_count++] = range;
  else
    r.stored[r.stored_count++] = range;
  return r;
}

static bool act_other_boot(sim_broker *b, session *s) {
  uint64_t boot = s->boot_max + FAR_BOOTS + below(b, 1000000u);
  htel_receipt r = receipt_for(b, boot, 1, UINT32_MAX);
  return receipt_send(b, s, &r, false);
}

static bool act_far_sequences(sim_broker *b, session *s) {
  if (s->sequence_max == 0 || s->sequence_max > UINT32_MAX - 2u * FAR_SEQUENCES) return false;
  htel_receipt r = receipt_for(b, s->boot_max, s->sequence_max + FAR_SEQUENCES, UINT32_MAX);
  return receipt_send(b, s, &r, false);
}

static bool act_never_sent(sim_broker *b, session *s) {
  if (s->sequence_max == 0 || s->sequence_max > UINT32_MAX - NEVER_SENT || s->in.used > 0 ||
      s->out.used > 0 || s->stalled)
    return false;
  htel_receipt r = receipt_for(b, s->boot_max, s->sequence_max + 1u, s->sequence_max + NEVER_SENT);
  return receipt_send(b, s, &r, true);
}

/* Asks for a pause without end, or for the birth again and again. */
static bool act_demands(sim_broker *b, session *s) {
  htel_receipt r = {.boot = s->boot_max};
  r.birth_wanted = below(b, 2) == 0;
  if (!r.birth_wanted) r.pause_ms = UINT32_MAX - below(b, 3);
  return receipt_send(b, s, &r, false);
}

static bool act_no_receipt(sim_broker *b, session *s) {
  uint8_t payload[3000];
  size_t size = 1u + below(b, below(b, 4) == 0 ? (uint32_t)sizeof payload : 64u);
  fill(b, payload, size);
  payload[0] |= NO_RECEIPT;
  return payload_send(b, s, payload, size, false);
}

/* ---- Packets ------------------------------------------------------------------------------- */

static bool act_garbage(sim_broker *b, session *s) {
  static const uint8_t heads[] = {0x00, 0x10, 0x36, 0x60, 0x80, 0xa0, 0xe0, 0xf0}; /* no broker's */
  uint8_t bytes[64];
  size_t size = 1u + below(b, sizeof bytes);
  fill(b, bytes, size);
  bytes[0] = heads[below(b, sizeof heads)];
  session_send(s, bytes, (uint32_t)size);
  return true;
}

/* A packet that never ends; the connection does, or does not. */
static bool act_cut(sim_broker *b, session *s) {
  uint8_t payload[200];
  fill(b, payload, sizeof payload);
  payload[0] |= NO_RECEIPT;
  uint32_t n = session_publish_make("htel/v1/x/receipt", 1, payload, sizeof payload, b->packet,
                                    sizeof b->packet);
  session_send(s, b->packet, 1u + below(b, n - 1u));
  if (below(b, 3) > 0) session_over(s, below(b, 2) == 0 ? SIM_END_FIN : SIM_END_RST);
  return true;
}

static bool act_puback(sim_broker *b, session *s) {
  uint16_t id = (uint16_t)below(b, 65536u);
  if (below(b, 2) == 0) id = s->last_id ^ (uint16_t)(1u << below(b, 16));
  session_send(s, (uint8_t[]){0x40, 2, (uint8_t)(id >> 8), (uint8_t)id}, 4);
  return true;
}

static bool act_packet(sim_broker *b, session *s) {
  static const struct {
    uint8_t size, bytes[9];
  } packets[] = {
      {4, {0x20, 2, 0, 0}},                   /* CONNACK again */
      {5, {0x90, 3, 0, 25, 1}},               /* SUBACK again */
      {5, {0x90, 3, 0xff, 0xff, 1}},          /* SUBACK for what was not asked */
      {2, {0xd0, 0}},                         /* PINGRESP without a ping */
      {5, {0x40, 3, 0, 1, 0}},                /* PUBACK with a byte too many */
      {4, {0x32, 2, 0, 0}},                   /* PUBLISH too short */
      {6, {0x30, 4, 0, 0, 0, 1}},             /* without a topic */
      {7, {0x32, 5, 0, 1, 'x', 0, 0}},        /* with packet id 0 */
      {7, {0x34, 5, 0, 1, 'x', 0, 1}},        /* at QoS 2 */
      {7, {0x30, 5, 0, 9, 'x', 'x', 'x'}},    /* its topic longer than itself */
      {6, {0x30, 0xff, 0xff, 0xff, 0xff, 1}}, /* a length of five bytes */
      {5, {0x30, 0xff, 0xff, 0xff, 0x7f}},    /* the longest there can be, */
      {4, {0x40, 2, 0, 0}},                   /* PUBACK for id 0 */
  };
  unsigned which = below(b, sizeof packets / sizeof packets[0]);
  session_send(s, packets[which].bytes, packets[which].size);
  return true;
}

/* Lies first: what they can do takes time, so some sessions see nothing else. */
static bool (*const acts[])(sim_broker *b, session *s) = {
    act_other_boot, act_far_sequences, act_never_sent, act_never_sent, act_demands,
    act_no_receipt, act_puback,        act_garbage,    act_cut,        act_packet};
enum { LIES = 7, ACTS = sizeof acts / sizeof acts[0] };

void hostile_act(sim_broker *b, session *s) {
  if (!s->hostile_begun) s->liar = below(b, 2) == 0;
  s->hostile_begun = true;
  s->hostile_ms = broker_now_ms(b) + ACT_MS_MIN + below(b, ACT_MS_MAX - ACT_MS_MIN);
  if (acts[below(b, s->liar ? LIES : ACTS)](b, s)) b->counts.hostile_acts++;
}

bool hostile_connack(sim_broker *b, session *s) {
  static const uint8_t answers[][4] = {
      {0x20, 2, 1, 0}, {0x20, 2, 0, 6}, {0x20, 3, 0, 0}, {0xd0, 0, 0x20, 2}, {0x40, 2, 0, 1}};
  if (below(b, 4) > 0) return false;
  session_send(s, answers[below(b, sizeof answers / sizeof answers[0])], 4);
  session_over(s, SIM_END_FIN);
  b->counts.hostile_acts++;
  return true;
}
