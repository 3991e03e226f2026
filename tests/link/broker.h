/* SPDX-License-Identifier: Apache-2.0 */
/* broker.h - servers for tests: a real mosquitto with mutual TLS, and other programs, on loopback.
 * rabbitmq.h has another broker of the same shape.
 *
 *     broker_certs(dir, "--device", "monitor-1", NULL)     what examples/certs.sh makes
 *     broker_start(&broker, dir, "")                       -> broker.port
 *     pid = broker_subscribe(&broker, dir, "ingest", "htel/v1/#", out, "-v", NULL)
 *     broker_publish(&broker, dir, "monitor-1", "htel/v1/monitor-1/frame", "-m", "text", NULL)
 *     broker_kill(&broker); broker_restart(&broker)        SIGKILL, and the same port again
 *     broker_stop(&broker)
 *
 * Each has a port and a temporary directory of its own, waits are bounded, and servers die with the
 * test (PR_SET_PDEATHSIG). Failures are reported by cmocka. */
#ifndef HTEL_TEST_BROKER_H
#define HTEL_TEST_BROKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BROKER_PATH_MAX 512

typedef struct broker broker;

/* What differs between one broker program and another. */
typedef struct broker_kind {
  void (*launch)(broker *self);      /* sets pid; the port and dir/ are as they were */
  bool (*is_up)(const broker *self); /* it takes connections */
  unsigned start_ms_max;
  int stop_signal; /* ends it in good time */
} broker_kind;

struct broker {
  const broker_kind *kind;
  uint16_t port;
  pid_t pid;                 /* -1: not running */
  char dir[BROKER_PATH_MAX]; /* configuration, log, persistence */
  long log_start;            /* of dir/log, when it was launched last */
};

/* A fresh temporary directory; removed by directory_remove. */
void directory_make(char path[BROKER_PATH_MAX]);
void directory_remove(const char *path);

/* Makes `path` with a CA, the broker's, the ingest's and the devices' certificates; arguments for
 * certs.sh follow, NULL at the end. */
void broker_certs(char path[BROKER_PATH_MAX], ...);

/* mosquitto on a free port with certificates of `certs`; a device may write and read its own topics
 * alone, as examples/mosquitto.acl says. `extra`: more lines of configuration, or "". */
void broker_start(broker *self, const char *certs, const char *extra);
void broker_kill(broker *self);    /* SIGKILL, waits until it is gone */
void broker_restart(broker *self); /* after broker_kill */
void broker_stop(broker *self);    /* and removes its directory */

/* For rabbitmq.c: tries ports until `configure` has one with which it starts. */
void broker_begin(broker *self, const broker_kind *kind, const char *certs, const char *extra,
                  void (*configure)(const broker *self, const char *certs, const char *extra));

/* mosquitto_sub with the certificate `name`, its output going to `out`: it gets every message that
 * is published at QoS 1 after this call; retained ones perhaps twice. Further arguments follow,
 * NULL at the end. */
pid_t broker_subscribe(const broker *self, const char *certs, const char *name, const char *topic,
                       const char *out, ...);
/* mosquitto_pub at QoS 1; the broker has it when this returns. */
void broker_publish(const broker *self, const char *certs, const char *name, const char *topic,
                    ...);
/* The same, but the broker is to break the connection over it: whether it did. */
bool broker_publish_refused(const broker *self, const char *certs, const char *name,
                            const char *topic, ...);

/* Any program, its output going to `log`. */
pid_t process_start(const char *log, const char *const arguments[]);
/* Sends the signal and waits for the end; SIGKILL after 5 s. Returns waitpid's status. */
int process_end(pid_t pid, int sig);
/* Runs to its end, at most 30 s; the exit status, -1 when it was killed. */
int process_run(const char *log, const char *const arguments[]);

/* A port of 127.0.0.1 that was free a moment ago. */
uint16_t port_free(void);
/* Waits until something listens there; false after 10 s. */
bool port_wait(uint16_t port);

/* Size of a file, -1 when there is none; whether a file holds these bytes; waiting for
 * them, false after 15 s. */
long file_size(const char *path);
bool file_contains(const char *path, const char *text);
bool file_wait(const char *path, const char *text);

void sleep_ms(unsigned ms);
uint64_t now_ms(void);

#endif
