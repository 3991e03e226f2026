/* SPDX-License-Identifier: Apache-2.0 */
/* sim_net.h - the network between devices and a broker, byte by byte, in virtual time.
 *
 *     ports/mqtt --htel_mqtt_transport--> path ==connection==> broker
 *
 * A path is a device's way to the broker: it has a latency, a bandwidth each way, habits (small
 * reads, short writes, would-block) and a state (see sim_way). A connection is two queues of bytes
 * that arrive later. Everything random is drawn from the path's own generator: what one device does
 * changes nothing for another.
 *
 * It ends in one of these ways: FIN and RST are told to the other end when they arrive (RST
 * overtakes bytes and drops them), death is told to nobody. Each side's bytes under way may arrive
 * in part first.
 *
 * TLS is not simulated byte by byte: a handshake takes round trips and bytes, and ends as
 * `tls_error` says; then not one application byte passes. */
#ifndef HTEL_SIM_NET_H
#define HTEL_SIM_NET_H

#include "htel_mqtt.h"
#include "sim_queue.h"
#include "sim_random.h"

typedef enum sim_name { SIM_NAME_OK = 0, SIM_NAME_FAILS, SIM_NAME_HANGS } sim_name;

typedef enum sim_way {
  SIM_WAY_OPEN = 0,
  SIM_WAY_REFUSED, /* new connections are refused at once; those that are stay */
  SIM_WAY_SILENT   /* whatever is sent or on its way, either way, is gone; nobody is told */
} sim_way;

typedef enum sim_end { SIM_END_FIN, SIM_END_RST, SIM_END_DEATH } sim_end;

/* May be changed at any time; holds for what is sent from then on. */
typedef struct sim_shape {
  uint32_t latency_ms;        /* one way */
  uint32_t jitter_ms;         /* 0 to so much more; order is kept */
  uint32_t up_bytes_per_s;    /* device to broker; 0: any */
  uint32_t down_bytes_per_s;  /* broker to device; 0: any */
  uint32_t send_buffer_bytes; /* of each end; a write beyond it would block; 0 counts as 16384 */
  uint32_t read_bytes_max;    /* of one read or write, at random up to so many; 0: any */
  uint8_t block_pct;          /* reads and writes that would block for no reason, 0 to 95 */
} sim_shape;

typedef struct sim_net sim_net;
typedef struct sim_path sim_path;
typedef struct sim_conn sim_conn; /* as the broker sees it */

typedef struct sim_path_counts {
  uint64_t opens, ups;           /* attempts; handshakes that went well */
  uint64_t up_bytes, down_bytes; /* application bytes that arrived */
  uint64_t handshake_bytes;      /* both ways */
  uint64_t lost_bytes;           /* sent and never arrived, or never read */
  uint64_t unverified_bytes;     /* written without a handshake that went well: must be 0 */
} sim_path_counts;

/* What a path does, chosen by whoever makes the weather. Read and write freely between steps. */
struct sim_path {
  htel_mqtt_transport transport; /* for the device */
  sim_shape shape;
  sim_name name;
  sim_way way;
  int tls_error;            /* 0, or the HTEL_E_TLS_* with which handshakes end */
  uint32_t handshake_trips; /* round trips of TCP and TLS; 0 counts as 3 */
  uint32_t handshake_bytes; /* in all; 0 counts as 3200 (docs/WIRE.md) */
  sim_path_counts counts;
  sim_random random;
  sim_net *net;
  uint32_t device;              /* number of the device, for the broker */
  uint32_t actor;               /* whose appointment is made when something comes for the device */
  struct sim_path_state *state; /* the rest is sim_net.c's */
};

/* The broker's side. Called in the middle of a device's step or of the queue's turn for the net:
 * they only note it and make an appointment for the broker. */
typedef struct sim_listener {
  void *ctx;
  bool (*accepts)(void *ctx); /* whether somebody listens at all now */
  /* Each is followed by a turn of the broker at sim_conn_ready_ms(). */
  void (*connected)(void *ctx, sim_conn *conn);
  /* Something will be there at `at_ms`: bytes, an end, or room to write. May be NULL. */
  void (*ready)(void *ctx, sim_conn *conn, int64_t at_ms);
} sim_listener;

/* `broker_actor` gets an appointment when bytes or an end arrive there. */
sim_net *sim_net_new(sim_queue *queue, const sim_listener *listener, uint32_t broker_actor);
void sim_net_free(sim_net *net);

/* False: no memory. `seed` is the path's own. A path must not move. */
bool sim_path_init(sim_path *path, sim_net *net, uint32_t device, uint32_t actor, uint64_t seed);
void sim_path_free(sim_path *path);

/* Cuts the device's connection, as seen from both ends; nothing where there is none. */
void sim_path_cut(sim_path *path, sim_end how);
/* The device lost its power: its end knows nothing any more; the broker's end is as with `how`. */
void sim_path_reset(sim_path *path, sim_end how);
bool sim_path_is_up(const sim_path *path); /* the device's handshake is done and nothing ended */
/* When what is under way on the device's connection now, either way, will all have arrived. */
int64_t sim_path_clear_ms(const sim_path *path);
/* The first rule of htel_mqtt_transport that the device broke (other bytes after a write that would
 * block, a stream that is used when it is closed...); NULL: none. */
const char *sim_path_violation(const sim_path *path);

/* ---- The broker's end of a connection ---- */
/* When something is there to be read or an end is to be noticed; SIM_NEVER: nothing under way. */
int64_t sim_conn_ready_ms(const sim_conn *conn);
/* As htel_stream: bytes, 0: would block, HTEL_E_LINK_LOST: ended (FIN or RST). */
int sim_conn_read(sim_conn *conn, uint8_t *buf, size_t size);
int sim_conn_write(sim_conn *conn, const uint8_t *buf, size_t size);
/* Gives the connection up; `conn` is gone. SIM_END_DEATH: as when the broker's machine dies. */
void sim_conn_close(sim_conn *conn, sim_end how);
uint32_t sim_conn_device(const sim_conn *conn);
/* The device may send messages from now on: CONNACK goes out. */
void sim_conn_welcome(sim_conn *conn);
/* To the device in no time, whatever the path is like: the next that it reads. False: not now.
 * It is only done where this tells for certain what the device has sent: since its last reset all
 * messages went over this connection, all of it was read here, and nothing is under way in either
 * direction. (For a broker that makes receipts for frames that were never sent.) */
bool sim_conn_write_at_once(sim_conn *conn, const uint8_t *buf, size_t size);
/* For the owner's use. */
void sim_conn_tag_set(sim_conn *conn, void *tag);
void *sim_conn_tag(const sim_conn *conn);

/* Bytes of memory that the path takes now, with what is under way. */
size_t sim_path_memory_bytes(const sim_path *path);

#endif
