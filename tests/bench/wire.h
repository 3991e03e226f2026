/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - htel-bench wire: whole TCP/IP bytes of a device's connection, both ways.
 *
 *     wire.c          what is measured, in which order; bars
 *     wire_net.c      a private network: only loopback, cut into segments as Ethernet would
 *     wire_servers.c  certificates, mosquitto with a port for each client, htel-ingest
 *     wire_tap.c      the capture: every packet, sorted into kinds
 *     wire_device.c   a device with healthtel, over either link      (a process each)
 *     wire_ordinary.c the same readings as an ordinary client sends them (a program of its own)
 *     wire_signal.c   the readings
 *     wire_report.c   the figures
 *
 * A client runs in a process of its own and tells when what it did began and ended, in spans: the
 * tap's packets of its port in that time are what it cost. */
#ifndef HTEL_TESTS_WIRE_H
#define HTEL_TESTS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WIRE_PATH_MAX 512
#define WIRE_SPANS_MAX 8u
#define WIRE_JOBS_MAX 32u
#define WIRE_PORT_INGEST 9000u
#define WIRE_PORT_FIRST 9001u /* of the clients, one each */

typedef enum wire_client {
  WIRE_MQTT,       /* healthtel, ports/mqtt */
  WIRE_PAHO,       /* healthtel, ports/paho */
  WIRE_JSON,       /* an ordinary client: paho.mqtt.c with its own TLS, JSON */
  WIRE_JSON_ARRAY, /* the same, kinder: many readings in one message */
  WIRE_SPARKPLUG,  /* the same client, Sparkplug B */
  WIRE_CLIENTS
} wire_client;

typedef enum wire_readings { WIRE_ECG, WIRE_WEARABLE, WIRE_GLUCOSE } wire_readings;

typedef struct wire_traffic {
  const char *name, *what;
  wire_readings readings;
  bool hourly;            /* connects for each period, and disconnects */
  uint32_t period_ms;     /* a frame's */
  uint32_t row_ms;        /* numerics: from one to the next */
  uint32_t message_ms;    /* an ordinary client's messages; of WIRE_JSON_ARRAY: period_ms */
  uint32_t speed;         /* standing: how much faster than the real thing it runs */
  uint32_t message_speed; /* the same, of clients that send every message_ms */
  uint32_t periods;       /* measured; the first connection of hourly ones not counted */
} wire_traffic;

extern const wire_traffic wire_traffics[];
extern const size_t wire_traffic_count;

/* What a client's process is given. */
typedef struct wire_job {
  uint16_t port;
  uint8_t client;  /* wire_client */
  uint8_t traffic; /* of wire_traffics */
  uint32_t speed, periods;
  char device[40];
  char certs[WIRE_PATH_MAX + 16];
  char ecg[WIRE_PATH_MAX], numerics[WIRE_PATH_MAX], minutes[WIRE_PATH_MAX];
  char glucose[WIRE_PATH_MAX]; /* recordings; empty: synthetic */
} wire_job;

typedef struct wire_span {
  int64_t begin_us, end_us; /* Unix time */
  uint64_t payload;         /* bytes of the messages that carry readings */
  uint32_t readings, messages, periods;
} wire_span;

/* What it tells. Span 0 is the coming up, or the first connection of an hourly client. */
typedef struct wire_told {
  uint32_t span_count;
  wire_span spans[WIRE_SPANS_MAX];
  uint32_t handshakes, resumed; /* as the client saw it */
  char error[200];              /* empty: all went well */
} wire_told;

/* Both return 0, or -1 with told->error. */
int wire_device_run(const wire_job *job, wire_told *told);
int wire_ordinary_run(const wire_job *job, wire_told *told);

int64_t wire_now_us(void); /* Unix time */
void wire_sleep_ms(uint32_t ms);

/* ---- The network and the servers ------------------------------------------------------------- */

/* Moves this process, which must have one thread, into namespaces of its own. 0, or -1 with `error`
 * saying why and what to do. */
int wire_net_enter(char *error, size_t error_size);

typedef struct wire_servers {
  char dir[WIRE_PATH_MAX], certs[WIRE_PATH_MAX + 16];
  pid_t broker, ingest;
} wire_servers;

/* `tools`: where htel-ingest lies. 0, or -1 with a message on stderr; wire_servers_stop() in any
 * case. */
int wire_servers_start(wire_servers *servers, const char *tools, const wire_job *jobs,
                       size_t job_count);
void wire_servers_stop(wire_servers *servers);

/* ---- The capture ----------------------------------------------------------------------------- */

/* Bytes; of IP packets, unless said otherwise. */
typedef struct wire_cost {
  uint32_t up, down;              /* whole packets */
  uint32_t packets, empty;        /* packets; of which without data: SYN, FIN, ACK */
  uint32_t headers, empty_bytes;  /* IP and TCP headers of packets with data; empty packets */
  uint32_t shake;                 /* TLS records of handshakes and alerts */
  uint32_t records;               /* TLS: headers, nonces and tags around what follows */
  uint32_t sent;                  /* plain MQTT, up */
  uint32_t acks, messages, pongs; /* plain MQTT, down: acknowledgements, receipts, PINGRESP */
  uint32_t record_count, again;   /* TLS records with MQTT; packets sent twice */
} wire_cost;

typedef struct wire_connection {
  uint16_t port, client_port;
  int64_t began_us;
  uint32_t handshake; /* bytes of packets until TLS was established */
  uint32_t ticket_bytes, ticket_s;
  uint16_t cipher;
} wire_connection;

typedef struct wire_tap wire_tap;

/* Begins to capture on loopback; `pcap_path` may be NULL. NULL with a message on stderr. */
wire_tap *wire_tap_open(uint16_t port_first, uint16_t port_count, const char *pcap_path);
int wire_tap_fd(const wire_tap *tap);
int wire_tap_take(wire_tap *tap); /* what is there. 0, or -1 with a message on stderr */
/* 0, or -1 with a message on stderr: packets were missed, so no figure is right. */
int wire_tap_end(wire_tap *tap);
wire_cost wire_tap_cost(const wire_tap *tap, uint16_t port, int64_t begin_us, int64_t end_us);
/* The connection of a port that began in that time, or NULL. */
const wire_connection *wire_tap_connection(const wire_tap *tap, uint16_t port, int64_t begin_us,
                                           int64_t end_us);
void wire_tap_free(wire_tap *tap);

/* ---- The figures ----------------------------------------------------------------------------- */

typedef struct wire_result {
  const wire_job *job;
  wire_told told;
  wire_cost first, rest;                    /* span 0; all others together */
  wire_span sum;                            /* of the others */
  uint32_t handshake_first, handshake_rest; /* a connection; 0: there was none */
  uint32_t connection_max;                  /* the dearest of the others */
  uint32_t ticket_bytes, ticket_s;
} wire_result;

const char *wire_client_name(uint8_t client);
/* Bytes beyond the payload for each 10 s. */
double wire_beyond_10s(const wire_result *result);
/* Bytes of one connection of an hourly client, the first one left out. */
double wire_each(const wire_result *result);
void wire_report_table(const wire_result *results, size_t count);
void wire_report_json(const wire_result *results, size_t count);
/* Tells on stderr which bars are broken. How many. */
unsigned wire_bars_check(const wire_result *results, size_t count);

int wire_main(int argc, char **argv);

#endif
