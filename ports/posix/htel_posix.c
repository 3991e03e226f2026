/* SPDX-License-Identifier: Apache-2.0 */
/* htel_posix.c - clock, random bytes, UTC, wake-up, and the port made of them.
 *
 * Waking must be cheap (record functions do it) and safe in a signal handler: an eventfd, and a
 * flag that spares the system call while a wake-up is already on its way. The waiter first empties
 * the eventfd and then clears the flag. A wake between the two is not written, but it need not be:
 * this waiter is about to return, and its caller polls. The other order would lose wake-ups. */
#include "htel_posix.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "posix_boot.h"
#include "posix_file.h"

static int64_t clock_ms(clockid_t clock) {
  struct timespec now;
  return clock_gettime(clock, &now) == 0 ? (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 : 0;
}

static uint32_t tick_ms(void *ctx) {
  (void)ctx;
  return (uint32_t)clock_ms(CLOCK_BOOTTIME);
}

static int random_bytes(void *ctx, uint8_t *buf, size_t size) {
  (void)ctx;
  while (size > 0) {
    /* Blocks only in early boot, until the kernel has gathered its first entropy. */
    ssize_t n = getrandom(buf, size, 0);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return HTEL_E_RANDOM;
    }
    buf += n;
    size -= (size_t)n;
  }
  return 0;
}

static int utc(void *ctx, int64_t *utc_ms, uint32_t *uncertainty_ms) {
  (void)ctx;
  int64_t ms = clock_ms(CLOCK_REALTIME);
  if (ms < HTEL_POSIX_UTC_MS_OLDEST) {
    return HTEL_E_AGAIN; /* never set: see the header */
  }
  *utc_ms = ms;
  *uncertainty_ms = HTEL_POSIX_UNSYNC_MS;
  struct timex state = {.modes = 0}; /* only reads */
  int sync = adjtimex(&state);
  if (sync >= 0 && sync != TIME_ERROR && (state.status & STA_UNSYNC) == 0 && state.maxerror >= 0) {
    *uncertainty_ms = (uint32_t)(state.maxerror / 1000) + 1; /* us, rounded up */
  }
  return 0;
}

int htel_posix_utc(void *posix, int64_t *utc_ms) {
  htel_posix *self = posix;
  *utc_ms = clock_ms(CLOCK_REALTIME);
  if (*utc_ms >= HTEL_POSIX_UTC_MS_OLDEST) {
    return 0;
  }
  int64_t learnt_ms = atomic_load(&self->learnt_ms);
  *utc_ms = clock_ms(CLOCK_BOOTTIME) + learnt_ms;
  return learnt_ms != 0 ? 0 : HTEL_E_AGAIN;
}

void htel_posix_utc_learn(htel_posix *posix, int64_t utc_ms) {
  if (utc_ms >= HTEL_POSIX_UTC_MS_OLDEST) {
    atomic_store(&posix->learnt_ms, utc_ms - clock_ms(CLOCK_BOOTTIME));
  }
}

static int boot_begin(void *ctx, htel_boot *boot) {
  htel_posix *posix = ctx;
  boot_record record = {0};
  int found = boot_read(posix->boot_file, &record);
  if (found < 0) {
    return found;
  }
  if (record.number == UINT64_MAX) {
    return HTEL_E_STORE;
  }
  uint64_t unclean_first = record.unclean_first;
  boot_record next = {.number = record.number + 1};
  next.unclean_first = unclean_first != 0 ? unclean_first : next.number;
  int rc = boot_write(posix->boot_file, &next);
  if (rc != 0) {
    return rc;
  }
  posix->boot = next.number;
  boot->number = next.number;
  boot->unclean = unclean_first != 0;
  boot->unclean_first = unclean_first;
  return 0;
}

static int boot_end(void *ctx) {
  htel_posix *posix = ctx;
  if (posix->boot == 0) {
    return HTEL_E_STORE;
  }
  return boot_write(posix->boot_file, &(boot_record){.number = posix->boot});
}

int htel_posix_open(htel_posix *posix, const char *boot_file) {
  memset(posix, 0, sizeof *posix);
  posix->lock_fd = -1;
  posix->wake_fd = -1;
  if (boot_file != NULL) {
    size_t chars = strnlen(boot_file, HTEL_POSIX_PATH_CHARS_MAX + 1);
    if (chars == 0 || chars > HTEL_POSIX_PATH_CHARS_MAX) {
      return HTEL_E_ARGUMENT;
    }
    memcpy(posix->boot_file, boot_file, chars);
    posix->lock_fd = file_lock(boot_file);
    if (posix->lock_fd < 0) {
      return HTEL_E_STORE;
    }
  }
  posix->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (posix->wake_fd < 0) {
    htel_posix_close(posix);
    return HTEL_E_MEMORY;
  }
  return 0;
}

void htel_posix_close(htel_posix *posix) {
  if (posix->wake_fd >= 0) {
    close(posix->wake_fd);
  }
  if (posix->lock_fd >= 0) {
    close(posix->lock_fd); /* gives the lock up */
  }
  posix->wake_fd = -1;
  posix->lock_fd = -1;
}

htel_port htel_posix_port(htel_posix *posix, const htel_link *link) {
  bool durable = posix->lock_fd >= 0;
  return (htel_port){
      .ctx = posix,
      .tick_ms = tick_ms,
      .random = random_bytes,
      .boot_begin = durable ? boot_begin : NULL,
      .boot_end = durable ? boot_end : NULL,
      .utc = utc,
      .wake = htel_posix_wake,
      .link = link,
  };
}

void htel_posix_wake(void *posix) {
  htel_posix *self = posix;
  if (atomic_exchange(&self->woken, true)) {
    return;
  }
  int saved = errno;
  uint64_t one = 1;
  ssize_t n = write(self->wake_fd, &one, sizeof one); /* fails only when full: then it wakes */
  (void)n;
  errno = saved;
}

void htel_posix_watch(htel_posix *posix, int fd, short events) {
  posix->watch_fd = fd;
  posix->watch_events = events;
}

bool htel_posix_watched(htel_posix *posix, int *fd, short *events) {
  *fd = posix->watch_fd;
  *events = posix->watch_events;
  posix->watch_events = 0;
  return *events != 0;
}

void htel_posix_wait(htel_posix *posix, uint32_t ms) {
  struct pollfd fds[2] = {{.fd = posix->wake_fd, .events = POLLIN},
                          {.fd = posix->watch_fd, .events = posix->watch_events}};
  nfds_t count_fds = posix->watch_events != 0 ? 2 : 1;
  posix->watch_events = 0;
  /* A signal ends the wait early: its handler may have recorded something. */
  (void)poll(fds, count_fds, ms > INT32_MAX ? INT32_MAX : (int)ms);
  uint64_t count;
  ssize_t n = read(posix->wake_fd, &count, sizeof count); /* would block when nothing woke it */
  (void)n;
  atomic_exchange(&posix->woken, false);
}
