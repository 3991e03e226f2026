/* SPDX-License-Identifier: Apache-2.0 */
/* wire_net.c - a network with nobody else in it: namespaces of our own, loopback alone.
 *
 * Loopback would carry 64 KB in one packet. With the MTU of Ethernet, and without the offloads that
 * let the stack hand over more than one segment at once, what the capture sees is what a cable
 * would carry. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#define MTU 1500

static int file_write(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t size = (ssize_t)strlen(text);
  int rc = write(fd, text, (size_t)size) == size ? 0 : -1;
  close(fd);
  return rc;
}

/* Who we are out there is root in here, and only in here. */
static int identity_map(uid_t uid, gid_t gid) {
  char map[32];
  file_write("/proc/self/setgroups", "deny"); /* older kernels do not have it */
  snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
  if (file_write("/proc/self/uid_map", map) != 0) return -1;
  snprintf(map, sizeof map, "0 %u 1", (unsigned)gid);
  return file_write("/proc/self/gid_map", map);
}

static int offload_off(int sock, struct ifreq *lo, uint32_t command) {
  struct ethtool_value value = {.cmd = command, .data = 0};
  lo->ifr_data = (char *)&value;
  return ioctl(sock, SIOCETHTOOL, lo);
}

static int loopback_up(int sock) {
  struct ifreq lo = {.ifr_name = "lo"};
  lo.ifr_mtu = MTU;
  if (ioctl(sock, SIOCSIFMTU, &lo) != 0) return -1;
  if (offload_off(sock, &lo, ETHTOOL_STSO) != 0 || offload_off(sock, &lo, ETHTOOL_SGSO) != 0 ||
      offload_off(sock, &lo, ETHTOOL_SGRO) != 0)
    return -1;
  memset(&lo.ifr_ifru, 0, sizeof lo.ifr_ifru);
  lo.ifr_flags = IFF_UP | IFF_RUNNING;
  return ioctl(sock, SIOCSIFFLAGS, &lo);
}

int wire_net_enter(char *error, size_t error_size) {
  uid_t uid = geteuid();
  gid_t gid = getegid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) {
    if (identity_map(uid, gid) != 0) {
      snprintf(error, error_size, "the user namespace cannot be set up: %s", strerror(errno));
      return -1;
    }
  } else if (unshare(CLONE_NEWNET) != 0) {
    snprintf(error, error_size,
             "no network namespace: %s. As root, or allow them: sysctl "
             "kernel.unprivileged_userns_clone=1 user.max_user_namespaces=1000; in a container "
             "they need CAP_SYS_ADMIN",
             strerror(errno));
    return -1;
  }
  /* "localhost" may be ::1 too, where nobody listens: an attempt would be no fault of a client. */
  file_write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
  int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int rc = sock < 0 ? -1 : loopback_up(sock);
  if (rc != 0)
    snprintf(error, error_size, "loopback cannot be set up as Ethernet: %s", strerror(errno));
  if (sock >= 0) close(sock);
  return rc;
}
