/* SPDX-License-Identifier: Apache-2.0 */
/* test_impostor.c - another user's processes go for every port that the link opens.
 *
 * While a link connects, publishes and disconnects again and again, a scout (a thread of ours)
 * notes each socket of this process that listens. Two processes of another user (uid 65534 when we
 * are root) attack what it has noted, before, during and after the connections: the connector
 * connects and speaks: as paho would, and as a device that publishes; the binder      tries to take
 * the port for itself, and listens there when it succeeds. Nothing of theirs may reach the broker,
 * not a byte may reach them, and the link must come up all the same. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "link_client.h"

#define NOBODY 65534
#define ROUNDS 25
#define HOLD_MS 120 /* each connection stays up for this long */
#define MARK "IMPOSTOR"
#define PORTS_MAX 64

/* Seen by all processes. */
typedef struct arena {
  atomic_bool stop;
  atomic_ushort ports[PORTS_MAX]; /* the newest that the scout saw, in a ring */
  atomic_uint port_count;
  atomic_uint not_loopback;   /* listening sockets of ours on another address */
  atomic_uint connects;       /* by the connector, that succeeded */
  atomic_uint bytes_received; /* by either */
  atomic_uint binds;          /* by the binder, that succeeded (the link was done with the port) */
  atomic_uint visitors;       /* at a port that the binder took */
} arena;

static arena *shared;

/* ---- The scout ------------------------------------------------------------------------------ */

static bool is_known(uint16_t port) {
  for (size_t i = 0; i < PORTS_MAX; i++) {
    if (atomic_load(&shared->ports[i]) == port) {
      return true;
    }
  }
  return false;
}

static void socket_look(int fd) {
  int listening = 0;
  struct sockaddr_in address = {0};
  socklen_t flag_size = sizeof listening, size = sizeof address;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &flag_size) != 0 || !listening ||
      getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
    return;
  }
  if (address.sin_family != AF_INET || address.sin_addr.s_addr != htonl(INADDR_LOOPBACK)) {
    atomic_fetch_add(&shared->not_loopback, 1);
  }
  uint16_t port = ntohs(address.sin_port);
  if (!is_known(port)) {
    unsigned at = atomic_load(&shared->port_count);
    atomic_store(&shared->ports[at % PORTS_MAX], port);
    atomic_store(&shared->port_count, at + 1);
  }
}

static void *scout_main(void *arg) {
  (void)arg;
  while (!atomic_load(&shared->stop)) {
    DIR *descriptors = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (descriptors != NULL && (entry = readdir(descriptors)) != NULL) {
      if (entry->d_name[0] != '.') {
        socket_look(atoi(entry->d_name));
      }
    }
    closedir(descriptors);
    sleep_ms(1);
  }
  return NULL;
}

/* ---- The attackers, in processes of their own ---------------------------------------------------
 */

static const uint8_t hello[] = {0x10, 17, 0, 4, 'M', 'Q', 'T', 'T', 4,  2,
                                0,    60, 0, 5, 'd', 'e', 'v', '-', '1'};
static const uint8_t publish[] = {0x30, 29,  0,   19,  'h', 't', 'e', 'l', '/', 'v', '1',
                                  '/',  'd', 'e', 'v', '-', '1', '/', 'f', 'r', 'a', 'm',
                                  'e',  'I', 'M', 'P', 'O', 'S', 'T', 'O', 'R'};

static struct sockaddr_in address_of(uint32_t host, uint16_t port) {
  return (struct sockaddr_in){
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(host), .sin_port = htons(port)};
}

static void receive_some(int fd, int wait_ms) {
  uint8_t bytes[256];
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  if (poll(&wait, 1, wait_ms) > 0) {
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) {
      atomic_fetch_add(&shared->bytes_received, (unsigned)n);
    }
  }
}

/* Linux connects a socket to itself when its own port happens to be the free one asked for. */
static bool is_itself(int fd) {
  struct sockaddr_in own = {0}, peer = {0};
  socklen_t own_size = sizeof own, peer_size = sizeof peer;
  return getsockname(fd, (struct sockaddr *)&own, &own_size) == 0 &&
         getpeername(fd, (struct sockaddr *)&peer, &peer_size) == 0 &&
         own.sin_port == peer.sin_port;
}

static void connector_try(uint16_t port, unsigned how) {
  static const char proxy[] = "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = address_of(INADDR_LOOPBACK, port);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && !is_itself(fd)) {
    atomic_fetch_add(&shared->connects, 1);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (how % 2 == 0) {
      send(fd, proxy, sizeof proxy, MSG_NOSIGNAL);
    }
    send(fd, hello, sizeof hello, MSG_NOSIGNAL);
    send(fd, publish, sizeof publish, MSG_NOSIGNAL);
    receive_some(fd, how % 8 == 0 ? 30 : 1);
  }
  close(fd);
}

/* Who came to the port that the binder took? The connector is known by what it says; our own
 * process would say something else, or wait to be spoken to. */
static void visitor_hear(int fd) {
  uint8_t bytes[512];
  size_t used = 0;
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  while (used < sizeof bytes && poll(&wait, 1, 100) > 0) {
    ssize_t n = recv(fd, bytes + used, sizeof bytes - used, 0);
    if (n <= 0) {
      break;
    }
    used += (size_t)n;
    if (memmem(bytes, used, MARK, sizeof MARK - 1) != NULL) {
      return;
    }
  }
  atomic_fetch_add(&shared->visitors, 1);
  atomic_fetch_add(&shared->bytes_received, (unsigned)used);
}

static void binder_try(uint16_t port, unsigned how) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  struct sockaddr_in address = address_of(how % 2 == 0 ? INADDR_LOOPBACK : INADDR_ANY, port);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 4) == 0) {
    atomic_fetch_add(&shared->binds, 1);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int visitor = poll(&wait, 1, 20) > 0 ? accept(fd, NULL, NULL) : -1;
    if (visitor >= 0) {
      visitor_hear(visitor);
      close(visitor);
    }
  }
  close(fd);
}

static pid_t attacker_start(void (*attack)(uint16_t port, unsigned how)) {
  pid_t pid = fork();
  if (pid != 0) {
    return pid;
  }
  if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
    _exit(1);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  for (unsigned how = 0; !atomic_load(&shared->stop); how++) {
    unsigned count = atomic_load(&shared->port_count);
    unsigned newest = count < 3 ? count : 3; /* and those just given up */
    for (unsigned i = 0; i < newest; i++) {
      attack(atomic_load(&shared->ports[(count - 1 - i) % PORTS_MAX]), how);
    }
    if (count == 0) {
      sleep_ms(1);
    }
  }
  _exit(0);
}

/* ---- The test
 * ------------------------------------------------------------------------------------- */

static pid_t subscriber_start(const char *certs, const broker *mosquitto, const char *out) {
  return broker_subscribe(mosquitto, certs, "ingest", "htel/v1/#", out, "-v", NULL);
}

/* Until all that the broker has taken so far is in `out`. */
static void messages_flush(const char *certs, const broker *mosquitto, const char *out,
                           uint32_t round) {
  char text[24];
  snprintf(text, sizeof text, "all until %u.", (unsigned)round);
  broker_publish(mosquitto, certs, "dev-1", "htel/v1/dev-1/status", "-m", text, NULL);
  assert_true(file_wait(out, text));
}

static void test_nobody_else_can_use_the_tunnel(void **state) {
  (void)state;
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(shared != MAP_FAILED);
  /* Before there is anything of ours that they could inherit. */
  pid_t connector = attacker_start(connector_try);
  pid_t binder = attacker_start(binder_try);
  pthread_t scout;
  assert_int_equal(pthread_create(&scout, NULL, scout_main, NULL), 0);

  char certs[BROKER_PATH_MAX], out[BROKER_PATH_MAX + 16];
  broker mosquitto;
  broker_certs(certs, "--device", "dev-1", NULL);
  broker_start(&mosquitto, certs, "queue_qos0_messages true"); /* the connector's are */
  snprintf(out, sizeof out, "%s/messages", certs);
  pid_t subscriber = subscriber_start(certs, &mosquitto, out);

  link_client client;
  link_client_new(&client,
                  &(link_client_options){.certs = certs, .id = "dev-1", .port = mosquitto.port});
  for (uint32_t i = 1; i <= ROUNDS; i++) {
    link_client_up(&client);
    assert_int_equal(link_client_publish(&client, "htel/v1/dev-1/frame", 16, i), 0);
    assert_true(link_client_until(&client, &client.acks, i, 10000));
    assert_false(link_client_until(&client, &client.downs, i, HOLD_MS));
    if (i % 3 == 0) { /* the other way to end */
      messages_flush(certs, &mosquitto, out, i);
      broker_kill(&mosquitto);
      assert_true(link_client_until(&client, &client.downs, i, 10000));
      process_end(subscriber, SIGKILL);
      broker_restart(&mosquitto);
      subscriber = subscriber_start(certs, &mosquitto, out);
    } else {
      link_client_close(&client);
    }
  }
  sleep_ms(200); /* after: the ports are free now */
  htel_paho_stats stats;
  htel_paho_stats_get(client.paho, &stats);
  link_client_free(&client);
  sleep_ms(200);
  atomic_store(&shared->stop, true);
  pthread_join(scout, NULL);
  assert_int_equal(process_end(connector, 0), 0);
  assert_int_equal(process_end(binder, 0), 0);
  messages_flush(certs, &mosquitto, out, ROUNDS + 1);
  process_end(subscriber, SIGTERM);

  print_message(
      "%u ports, %u connections by another user, %u refused; %u binds after use; %u visitors\n",
      atomic_load(&shared->port_count), atomic_load(&shared->connects), stats.impostors,
      atomic_load(&shared->binds), atomic_load(&shared->visitors));
  assert_true(atomic_load(&shared->port_count) >= ROUNDS);
  assert_true(atomic_load(&shared->connects) > ROUNDS);
  assert_true(stats.impostors > ROUNDS);
  assert_int_equal(atomic_load(&shared->not_loopback), 0);
  assert_int_equal(atomic_load(&shared->bytes_received), 0);
  assert_int_equal(atomic_load(&shared->visitors), 0);
  assert_true(file_contains(out, "htel/v1/dev-1/frame"));
  assert_false(file_contains(out, MARK));
  char log[BROKER_PATH_MAX + 16];
  snprintf(log, sizeof log, "%s/log", mosquitto.dir);
  assert_false(file_contains(log, MARK));
  broker_stop(&mosquitto);
  directory_remove(certs);
  munmap(shared, sizeof *shared);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nobody_else_can_use_the_tunnel),
  };
  return cmocka_run_group_tests_name("impostor", tests, NULL, NULL);
}
