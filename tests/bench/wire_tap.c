/* SPDX-License-Identifier: Apache-2.0 */
/* wire_tap.c - captures loopback and sorts what it sees.
 *
 *     IP packet = headers + piece of a TCP stream -> TLS records -> plain sizes -> MQTT kinds
 *
 * Nothing is decrypted. TLS shows the kind and the length of its records, and the cipher suite says
 * how much of that length is not plain text. mosquitto writes each MQTT packet as a record of its
 * own, so the plain length tells its kind: 4 bytes are CONNACK or PUBACK, 5 SUBACK, 2 PINGRESP, and
 * all else a message. TLS 1.3 hides the end of the handshake: there it is the client's record that
 * has the size of Finished, and for the server the first one that can be CONNACK. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

#define CONNECTIONS_MAX 256u
#define PACKETS_MAX 400000u
#define ETHERNET_BYTES 14u /* loopback pretends to have such a header */
#define CAPTURE_BUFFER (32 << 20)

#define RECORD_HEAD 5u
#define RECORD_HANDSHAKE 22
#define RECORD_DATA 23
#define CONNACK_TLS13 21u /* 4 plain bytes, type, tag */

enum { KIND_SHAKE, KIND_DATA };

typedef struct stream {
  uint32_t next; /* sequence number that comes next */
  bool begun;
  bool talking; /* TLS 1.3: what comes is no handshake any more */
  uint8_t head[RECORD_HEAD];
  uint32_t head_used, left;
  uint8_t body[80]; /* how the record begins */
  uint32_t body_used;
} stream;

typedef struct connection {
  wire_connection told;
  stream up, down;
  bool established; /* MQTT has been seen */
} connection;

typedef struct packet {
  int64_t at_us;
  uint16_t port;
  bool is_up, is_empty, again;
  uint16_t ip_bytes, header_bytes;
  uint32_t shake, records, record_count, plain, acks, messages, pongs;
} packet;

struct wire_tap {
  pcap_t *pcap;
  pcap_dumper_t *dump;
  uint16_t port_first, port_count;
  connection *connections;
  size_t connection_count;
  packet *packets;
  size_t packet_count;
  const char *broken;
};

/* ---- TLS ------------------------------------------------------------------------------------- */

static bool is_tls13(const connection *c) {
  return c->told.cipher >> 8 == 0x13;
}

/* What a data record holds beside its plain text. */
static uint32_t record_overhead(const connection *c) {
  bool chacha = c->told.cipher >= 0xCCA8 && c->told.cipher <= 0xCCAA;
  return is_tls13(c) ? 17 : chacha ? 16 : 24;
}

static uint32_t number(const uint8_t *bytes, unsigned size) {
  uint32_t n = 0;
  for (unsigned i = 0; i < size; i++) n = n << 8 | bytes[i];
  return n;
}

/* A server's handshake message in the clear: type, length, body. */
static void handshake_read(connection *c, const stream *s) {
  const uint8_t *b = s->body;
  if (s->body_used >= 76 && b[0] == 2) { /* ServerHello: version, random, session id, suite */
    uint32_t at = 4 + 2 + 32 + 1 + (uint32_t)b[38];
    if (at + 2 <= s->body_used) c->told.cipher = (uint16_t)number(b + at, 2);
  } else if (s->body_used >= 41 && b[0] == 2 && b[38] == 0) {
    c->told.cipher = (uint16_t)number(b + 39, 2);
  }
  if (s->body_used >= 10 && b[0] == 4) { /* NewSessionTicket: lifetime, ticket */
    c->told.ticket_s = number(b + 4, 4);
    c->told.ticket_bytes = number(b + 8, 2);
  }
}

static int data_kind(connection *c, stream *s, bool is_up, uint32_t length) {
  if (!is_tls13(c) || s->talking) return KIND_DATA;
  if (is_up) {
    s->talking = length == 4 + 32 + 17 || length == 4 + 48 + 17; /* Finished */
    return KIND_SHAKE;
  }
  if (!c->up.talking || length != CONNACK_TLS13) return KIND_SHAKE;
  s->talking = true;
  return KIND_DATA;
}

static void plain_sort(packet *p, uint32_t plain) {
  p->plain += plain;
  if (p->is_up) return;
  if (plain == 2)
    p->pongs += plain;
  else if (plain == 4 || plain == 5)
    p->acks += plain;
  else
    p->messages += plain;
}

static void record_end(connection *c, stream *s, packet *p) {
  uint32_t length = number(s->head + 3, 2);
  int kind = s->head[0] == RECORD_DATA ? data_kind(c, s, p->is_up, length) : KIND_SHAKE;
  uint32_t overhead = record_overhead(c);
  if (kind == KIND_SHAKE || length < overhead) {
    p->shake += RECORD_HEAD + length;
  } else {
    p->records += RECORD_HEAD + overhead;
    p->record_count++;
    plain_sort(p, length - overhead);
  }
  if (!p->is_up && s->head[0] == RECORD_HANDSHAKE) handshake_read(c, s);
  s->head_used = s->body_used = 0;
}

static void stream_take(connection *c, stream *s, packet *p, const uint8_t *data, size_t size) {
  while (size > 0) {
    if (s->head_used < RECORD_HEAD) {
      s->head[s->head_used++] = *data++;
      size--;
      if (s->head_used == RECORD_HEAD) s->left = number(s->head + 3, 2);
    } else {
      uint32_t n = size < s->left ? (uint32_t)size : s->left;
      uint32_t room = (uint32_t)sizeof s->body - s->body_used;
      uint32_t keep = n < room ? n : room;
      memcpy(s->body + s->body_used, data, keep);
      s->body_used += keep;
      s->left -= n;
      data += n;
      size -= n;
    }
    if (s->head_used == RECORD_HEAD && s->left == 0) record_end(c, s, p);
  }
}

/* ---- TCP ------------------------------------------------------------------------------------- */

static connection *connection_find(wire_tap *tap, uint16_t port, uint16_t client_port, bool is_new,
                                   int64_t at_us) {
  for (size_t i = tap->connection_count; i-- > 0 && !is_new;)
    if (tap->connections[i].told.port == port &&
        tap->connections[i].told.client_port == client_port)
      return &tap->connections[i];
  if (!is_new || tap->connection_count == CONNECTIONS_MAX) return NULL;
  connection *c = &tap->connections[tap->connection_count++];
  *c = (connection){.told = {.port = port, .client_port = client_port, .began_us = at_us}};
  return c;
}

/* The new part of a segment. */
static void segment_take(wire_tap *tap, connection *c, packet *p, uint32_t sequence,
                         const uint8_t *data, size_t size) {
  stream *s = p->is_up ? &c->up : &c->down;
  if (size == 0) return;
  if (!s->begun) {
    s->begun = true;
    s->next = sequence;
  }
  int32_t known = (int32_t)(s->next - sequence);
  if (known < 0) {
    tap->broken = "a segment is missing in the capture";
    return;
  }
  p->again = known > 0;
  if ((size_t)known >= size) return;
  data += known;
  size -= (size_t)known;
  s->next += (uint32_t)size;
  stream_take(c, s, p, data, size);
}

/* Until MQTT is seen. A packet that carries the end of the handshake and MQTT: what is not MQTT. */
static void handshake_count(connection *c, const packet *p) {
  if (c->established) return;
  c->established = p->record_count > 0;
  if (!c->established)
    c->told.handshake += p->ip_bytes;
  else if (p->shake > 0)
    c->told.handshake += p->header_bytes + p->shake;
}

static void packet_take(wire_tap *tap, int64_t at_us, const uint8_t *bytes, size_t size) {
  struct iphdr ip;
  struct tcphdr tcp;
  if (size < sizeof ip) return;
  memcpy(&ip, bytes, sizeof ip);
  size_t ip_head = ip.ihl * 4u, total = ntohs(ip.tot_len);
  if (ip.version != 4 || ip.protocol != IPPROTO_TCP || ip_head < sizeof ip || total > size ||
      total < ip_head + sizeof tcp)
    return;
  memcpy(&tcp, bytes + ip_head, sizeof tcp);
  size_t head = ip_head + tcp.doff * 4u;
  if (head > total) return;
  uint16_t from = ntohs(tcp.source), to = ntohs(tcp.dest);
  bool is_up = to >= tap->port_first && to - tap->port_first < tap->port_count;
  bool begins = tcp.syn && !tcp.ack;
  connection *c = connection_find(tap, is_up ? to : from, is_up ? from : to, begins, at_us);
  if (c == NULL || tap->packet_count == PACKETS_MAX) {
    tap->broken = c == NULL ? "a packet belongs to no connection" : "too many packets";
    return;
  }
  packet *p = &tap->packets[tap->packet_count++];
  *p = (packet){.at_us = at_us,
                .port = is_up ? to : from,
                .is_up = is_up,
                .is_empty = head == total,
                .ip_bytes = (uint16_t)total,
                .header_bytes = (uint16_t)head};
  if (!tcp.syn) segment_take(tap, c, p, ntohl(tcp.seq), bytes + head, total - head);
  handshake_count(c, p);
}

/* ---- The capture ----------------------------------------------------------------------------- */

static void on_packet(u_char *arg, const struct pcap_pkthdr *head, const u_char *bytes) {
  wire_tap *tap = (wire_tap *)(void *)arg;
  if (tap->dump != NULL) pcap_dump((u_char *)tap->dump, head, bytes);
  if (head->caplen < head->len) {
    tap->broken = "a packet was cut off";
  } else if (head->caplen > ETHERNET_BYTES) {
    packet_take(tap, (int64_t)head->ts.tv_sec * 1000000 + head->ts.tv_usec, bytes + ETHERNET_BYTES,
                head->caplen - ETHERNET_BYTES);
  }
}

static int filter_set(wire_tap *tap) {
  char text[64];
  struct bpf_program program;
  snprintf(text, sizeof text, "ip and tcp portrange %u-%u", (unsigned)tap->port_first,
           tap->port_first + tap->port_count - 1u);
  if (pcap_compile(tap->pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN) != 0) return -1;
  int rc = pcap_setfilter(tap->pcap, &program);
  pcap_freecode(&program);
  return rc;
}

static int capture_begin(wire_tap *tap, const char *pcap_path) {
  char error[PCAP_ERRBUF_SIZE] = "no memory";
  tap->pcap = pcap_create("lo", error);
  if (tap->pcap == NULL) {
    fprintf(stderr, "htel-bench: no capture: %s\n", error);
    return -1;
  }
  pcap_set_snaplen(tap->pcap, 65535);
  pcap_set_immediate_mode(tap->pcap, 1);
  pcap_set_buffer_size(tap->pcap, CAPTURE_BUFFER);
  if (pcap_activate(tap->pcap) < 0 || pcap_datalink(tap->pcap) != DLT_EN10MB ||
      filter_set(tap) != 0 || pcap_setnonblock(tap->pcap, 1, error) != 0) {
    fprintf(stderr, "htel-bench: no capture: %s\n", pcap_geterr(tap->pcap));
    return -1;
  }
  if (pcap_path == NULL) return 0;
  tap->dump = pcap_dump_open(tap->pcap, pcap_path);
  if (tap->dump != NULL) return 0;
  fprintf(stderr, "htel-bench: %s\n", pcap_geterr(tap->pcap));
  return -1;
}

wire_tap *wire_tap_open(uint16_t port_first, uint16_t port_count, const char *pcap_path) {
  wire_tap *tap = calloc(1, sizeof *tap);
  if (tap == NULL) return NULL;
  tap->port_first = port_first;
  tap->port_count = port_count;
  tap->connections = calloc(CONNECTIONS_MAX, sizeof *tap->connections);
  tap->packets = calloc(PACKETS_MAX, sizeof *tap->packets);
  if (tap->connections != NULL && tap->packets != NULL && capture_begin(tap, pcap_path) == 0)
    return tap;
  wire_tap_free(tap);
  return NULL;
}

int wire_tap_fd(const wire_tap *tap) {
  return pcap_get_selectable_fd(tap->pcap);
}

int wire_tap_take(wire_tap *tap) {
  int count;
  do {
    count = pcap_dispatch(tap->pcap, -1, on_packet, (u_char *)tap);
  } while (count > 0);
  if (count < 0) tap->broken = pcap_geterr(tap->pcap);
  if (tap->broken == NULL) return 0;
  fprintf(stderr, "htel-bench: the capture failed: %s\n", tap->broken);
  return -1;
}

int wire_tap_end(wire_tap *tap) {
  struct pcap_stat stat;
  int rc = wire_tap_take(tap);
  if (rc == 0 && pcap_stats(tap->pcap, &stat) == 0 && stat.ps_drop > 0) {
    fprintf(stderr, "htel-bench: the capture missed %u packets: run it on a quieter machine\n",
            stat.ps_drop);
    rc = -1;
  }
  if (tap->dump != NULL && pcap_dump_flush(tap->dump) != 0) rc = -1;
  return rc;
}

wire_cost wire_tap_cost(const wire_tap *tap, uint16_t port, int64_t begin_us, int64_t end_us) {
  wire_cost cost = {0};
  for (size_t i = 0; i < tap->packet_count; i++) {
    const packet *p = &tap->packets[i];
    if (p->port != port || p->at_us < begin_us || p->at_us >= end_us) continue;
    *(p->is_up ? &cost.up : &cost.down) += p->ip_bytes;
    cost.packets++;
    cost.empty += p->is_empty;
    *(p->is_empty ? &cost.empty_bytes : &cost.headers) += p->header_bytes;
    cost.shake += p->shake;
    cost.records += p->records;
    cost.record_count += p->record_count;
    cost.sent += p->is_up ? p->plain : 0;
    cost.acks += p->acks;
    cost.messages += p->messages;
    cost.pongs += p->pongs;
    cost.again += p->again;
  }
  return cost;
}

const wire_connection *wire_tap_connection(const wire_tap *tap, uint16_t port, int64_t begin_us,
                                           int64_t end_us) {
  for (size_t i = 0; i < tap->connection_count; i++) {
    const wire_connection *c = &tap->connections[i].told;
    if (c->port == port && c->began_us >= begin_us && c->began_us < end_us) return c;
  }
  return NULL;
}

void wire_tap_free(wire_tap *tap) {
  if (tap == NULL) return;
  if (tap->dump != NULL) pcap_dump_close(tap->dump);
  if (tap->pcap != NULL) pcap_close(tap->pcap);
  free(tap->connections);
  free(tap->packets);
  free(tap);
}
