/* SPDX-License-Identifier: Apache-2.0 */
/* test_posix.c - ports/posix: the boot file above all, since a boot number given twice would give
 * frame keys twice; waking from a signal handler; the runner over the real core with a link of a
 * few lines. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "htel_posix.h"
#include "posix_boot.h"

#define LINE_CHARS 68

static char directory[64], boot_file[80];

static int setup(void **state) {
  (void)state;
  strcpy(directory, "/tmp/htel-posix-XXXXXX");
  if (mkdtemp(directory) == NULL) {
    return -1;
  }
  snprintf(boot_file, sizeof boot_file, "%s/boot", directory);
  return 0;
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *walk) {
  (void)status;
  (void)flag;
  (void)walk;
  return remove(path);
}

static int teardown(void **state) {
  (void)state;
  return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void file_write(const char *bytes, size_t size) {
  int fd = open(boot_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, bytes, size), (ssize_t)size);
  close(fd);
}

static size_t file_read(char *bytes, size_t room) {
  int fd = open(boot_file, O_RDONLY);
  assert_true(fd >= 0);
  ssize_t size = read(fd, bytes, room);
  close(fd);
  assert_true(size >= 0);
  return (size_t)size;
}

/* One life of a device: what boot_begin said. */
static htel_boot live(bool clean) {
  htel_posix posix;
  htel_boot boot = {0};
  assert_int_equal(htel_posix_open(&posix, boot_file), 0);
  htel_port port = htel_posix_port(&posix, NULL);
  assert_int_equal(port.boot_begin(port.ctx, &boot), 0);
  if (clean) {
    assert_int_equal(port.boot_end(port.ctx), 0);
  }
  htel_posix_close(&posix);
  return boot;
}

/* ---- The boot file -----------------------------------------------------------------------------
 */

static void test_boots_count_up_and_remember_how_they_ended(void **state) {
  (void)state;
  htel_boot boot = live(true); /* the file is not there */
  assert_int_equal(boot.number, 1);
  assert_false(boot.unclean);
  boot = live(false);
  assert_int_equal(boot.number, 2);
  assert_false(boot.unclean);
  boot = live(false);
  assert_int_equal(boot.number, 3);
  assert_true(boot.unclean);
  assert_int_equal(boot.unclean_first, 2);
  boot = live(true); /* boot 3's report of boot 2 was lost with boot 3: both are told */
  assert_int_equal(boot.number, 4);
  assert_int_equal(boot.unclean_first, 2);
  boot = live(true);
  assert_int_equal(boot.number, 5);
  assert_false(boot.unclean);
}

static int begin_with(const char *bytes, size_t size) {
  htel_posix posix;
  htel_boot boot;
  file_write(bytes, size);
  assert_int_equal(htel_posix_open(&posix, boot_file), 0);
  htel_port port = htel_posix_port(&posix, NULL);
  int rc = port.boot_begin(port.ctx, &boot);
  htel_posix_close(&posix);
  return rc;
}

static void test_a_damaged_file_is_an_error_and_stays(void **state) {
  (void)state;
  char line[LINE_CHARS + 2] = {0}, after[LINE_CHARS + 2] = {0};
  live(false);
  live(true);
  assert_int_equal(file_read(line, sizeof line), LINE_CHARS);
  for (size_t i = 0; i < LINE_CHARS; i++) { /* every bit of it */
    for (unsigned bit = 0; bit < 8; bit++) {
      char damaged[LINE_CHARS];
      memcpy(damaged, line, LINE_CHARS);
      damaged[i] = (char)((unsigned char)damaged[i] ^ (1u << bit));
      assert_int_equal(begin_with(damaged, LINE_CHARS), HTEL_E_STORE);
      assert_int_equal(file_read(after, sizeof after), LINE_CHARS);
      assert_memory_equal(after, damaged, LINE_CHARS);
    }
  }
  for (size_t size = 0; size < LINE_CHARS; size++) { /* every length */
    assert_int_equal(begin_with(line, size), HTEL_E_STORE);
  }
  assert_int_equal(begin_with(line, LINE_CHARS + 1), HTEL_E_STORE);
  assert_int_equal(begin_with(line, LINE_CHARS), 0);
}

static void test_the_last_number_is_not_passed(void **state) {
  (void)state;
  boot_record last = {.number = UINT64_MAX}, read_back;
  assert_int_equal(boot_write(boot_file, &last), 0);
  assert_int_equal(boot_read(boot_file, &read_back), 1);
  assert_true(read_back.number == UINT64_MAX);
  char line[LINE_CHARS + 1];
  size_t size = file_read(line, sizeof line);
  assert_int_equal(begin_with(line, size), HTEL_E_STORE);
}

static void test_two_openers_are_refused(void **state) {
  (void)state;
  htel_posix first, second;
  assert_int_equal(htel_posix_open(&first, boot_file), 0);
  assert_int_equal(htel_posix_open(&second, boot_file), HTEL_E_STORE);
  pid_t child = fork();
  if (child == 0) {
    close(first.lock_fd); /* a lock is shared with children: the duplicate must not matter */
    _exit(htel_posix_open(&second, boot_file) == HTEL_E_STORE ? 0 : 1);
  }
  int status;
  waitpid(child, &status, 0);
  assert_int_equal(status, 0);
  htel_posix_close(&first);
  assert_int_equal(htel_posix_open(&second, boot_file), 0); /* free again */
  htel_posix_close(&second);
}

static void test_a_killed_process_gives_the_file_back(void **state) {
  (void)state;
  int ready[2];
  assert_int_equal(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    htel_posix posix;
    htel_boot boot;
    htel_posix_open(&posix, boot_file);
    htel_port port = htel_posix_port(&posix, NULL);
    port.boot_begin(port.ctx, &boot);
    ssize_t n = write(ready[1], "x", 1);
    (void)n;
    pause();
    _exit(0);
  }
  char byte;
  assert_int_equal(read(ready[0], &byte, 1), 1);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  htel_boot boot = live(true);
  assert_int_equal(boot.number, 2);
  assert_true(boot.unclean);
  close(ready[0]);
  close(ready[1]);
}

static void test_what_a_power_cut_left_beside_is_no_matter(void **state) {
  (void)state;
  live(true);
  char beside[96], victim[96];
  snprintf(beside, sizeof beside, "%s.new", boot_file);
  snprintf(victim, sizeof victim, "%s/victim", directory);
  int fd = open(victim, O_WRONLY | O_CREAT, 0600);
  assert_int_equal(write(fd, "keep", 4), 4);
  close(fd);
  assert_int_equal(symlink(victim, beside), 0); /* and no link is followed */
  assert_int_equal(live(true).number, 2);
  struct stat status;
  assert_int_equal(stat(victim, &status), 0);
  assert_int_equal(status.st_size, 4);
  assert_int_equal(lstat(beside, &status), -1);
  assert_int_equal(stat(boot_file, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_paths_that_cannot_be(void **state) {
  (void)state;
  htel_posix posix;
  char long_one[HTEL_POSIX_PATH_CHARS_MAX + 2];
  memset(long_one, 'a', sizeof long_one - 1);
  long_one[sizeof long_one - 1] = '\0';
  assert_int_equal(htel_posix_open(&posix, ""), HTEL_E_ARGUMENT);
  assert_int_equal(htel_posix_open(&posix, long_one), HTEL_E_ARGUMENT);
  assert_int_equal(htel_posix_open(&posix, "/nowhere/at/all/boot"), HTEL_E_STORE);
  assert_int_equal(htel_posix_open(&posix, directory), 0); /* found out when it is read */
  htel_port port = htel_posix_port(&posix, NULL);
  htel_boot boot;
  assert_int_equal(port.boot_begin(port.ctx, &boot), HTEL_E_STORE);
  htel_posix_close(&posix);
  char lock[96];
  snprintf(lock, sizeof lock, "%s.lock", directory);
  remove(lock);
}

static void test_without_a_file_there_is_no_boot_counter(void **state) {
  (void)state;
  htel_posix posix;
  assert_int_equal(htel_posix_open(&posix, NULL), 0);
  htel_port port = htel_posix_port(&posix, NULL);
  assert_null(port.boot_begin);
  assert_null(port.boot_end);
  htel_posix_close(&posix);
}

/* ---- Clock, random bytes, waking
 * ----------------------------------------------------------------- */

static void test_clock_and_random_bytes(void **state) {
  (void)state;
  htel_posix posix;
  assert_int_equal(htel_posix_open(&posix, NULL), 0);
  htel_port port = htel_posix_port(&posix, NULL);
  uint32_t before = port.tick_ms(port.ctx);
  htel_posix_wait(&posix, 30);
  assert_in_range(port.tick_ms(port.ctx) - before, 29, 2000);
  uint8_t one[300] = {0}, other[300] = {0};
  assert_int_equal(port.random(port.ctx, one, sizeof one), 0);
  assert_int_equal(port.random(port.ctx, other, sizeof other), 0);
  assert_memory_not_equal(one, other, sizeof one);
  int64_t utc_ms;
  uint32_t uncertainty_ms;
  assert_int_equal(port.utc(port.ctx, &utc_ms, &uncertainty_ms),
                   0); /* a test machine knows the year */
  assert_in_range(utc_ms / 1000, time(NULL) - 2, time(NULL) + 2);
  assert_true(uncertainty_ms > 0);
  htel_posix_close(&posix);
}

/* The system's clock, as the linker's --wrap gives it to all of this program. */
static int64_t system_clock_s = -1; /* -1: the real one */

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now) {
  int rc = __real_clock_gettime(clock, now);
  if (clock == CLOCK_REALTIME && system_clock_s >= 0) now->tv_sec = (time_t)system_clock_s;
  return rc;
}

static void test_a_clock_that_was_never_set_and_one_that_was_learnt(void **state) {
  (void)state;
  htel_posix posix;
  assert_int_equal(htel_posix_open(&posix, NULL), 0);
  htel_port port = htel_posix_port(&posix, NULL);
  int64_t utc_ms, oldest_s = HTEL_POSIX_UTC_MS_OLDEST / 1000;
  uint32_t uncertainty_ms;
  system_clock_s = oldest_s - 1;
  assert_int_equal(port.utc(port.ctx, &utc_ms, &uncertainty_ms), HTEL_E_AGAIN);
  assert_int_equal(htel_posix_utc(&posix, &utc_ms), HTEL_E_AGAIN);
  htel_posix_utc_learn(&posix, HTEL_POSIX_UTC_MS_OLDEST - 1); /* nobody lives there */
  assert_int_equal(htel_posix_utc(&posix, &utc_ms), HTEL_E_AGAIN);
  htel_posix_utc_learn(&posix, 1800000000000);
  assert_int_equal(htel_posix_utc(&posix, &utc_ms), 0);
  assert_in_range(utc_ms, 1800000000000, 1800000002000);
  htel_posix_wait(&posix, 30);
  assert_int_equal(htel_posix_utc(&posix, &utc_ms), 0);
  assert_in_range(utc_ms, 1800000000029, 1800000005000);                        /* it goes on */
  assert_int_equal(port.utc(port.ctx, &utc_ms, &uncertainty_ms), HTEL_E_AGAIN); /* for the core */
  system_clock_s = oldest_s;
  assert_int_equal(htel_posix_utc(&posix, &utc_ms), 0); /* set at last: that counts */
  assert_in_range(utc_ms / 1000, oldest_s, oldest_s);
  assert_int_equal(port.utc(port.ctx, &utc_ms, &uncertainty_ms), 0);
  system_clock_s = -1;
  htel_posix_close(&posix);
}

static htel_posix *signalled;

static void on_signal(int sig) {
  (void)sig;
  htel_posix_wake(signalled);
}

static void test_a_signal_handler_wakes(void **state) {
  (void)state;
  htel_posix posix;
  assert_int_equal(htel_posix_open(&posix, NULL), 0);
  signalled = &posix;
  struct sigaction action = {.sa_handler = on_signal}, before;
  sigaction(SIGALRM, &action, &before);
  raise(SIGALRM); /* before the wait: kept */
  uint64_t since = now_ms();
  htel_posix_wait(&posix, 5000);
  assert_true(now_ms() - since < 1000);
  timer_t timer; /* during it */
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
  assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  struct itimerspec in_50_ms = {.it_value.tv_nsec = 50000000};
  timer_settime(timer, 0, &in_50_ms, NULL);
  htel_posix_wait(&posix, 5000);
  assert_true(now_ms() - since < 2000);
  since = now_ms(); /* and no longer */
  htel_posix_wait(&posix, 30);
  assert_true(now_ms() - since >= 29);
  timer_delete(timer);
  sigaction(SIGALRM, &before, NULL);
  htel_posix_close(&posix);
}

typedef struct counting {
  htel_posix posix;
  atomic_uint given;
} counting;

static void *giver_main(void *arg) {
  counting *self = arg;
  for (unsigned i = 0; i < 20000; i++) {
    atomic_fetch_add(&self->given, 1);
    htel_posix_wake(&self->posix);
  }
  return NULL;
}

static void test_waking_keeps_errno(void **state) {
  (void)state;
  htel_posix posix;
  assert_int_equal(htel_posix_open(&posix, NULL), 0);
  int wake_fd = posix.wake_fd;
  posix.wake_fd = -1; /* the write fails with EBADF */
  errno = ERANGE;
  htel_posix_wake(&posix);
  assert_int_equal(errno, ERANGE);
  posix.wake_fd = wake_fd;
  htel_posix_close(&posix);
}

static void test_no_wake_is_lost(void **state) {
  (void)state;
  counting self;
  assert_int_equal(htel_posix_open(&self.posix, NULL), 0);
  atomic_init(&self.given, 0);
  pthread_t giver;
  pthread_create(&giver, NULL, giver_main, &self);
  uint64_t since = now_ms();
  while (atomic_load(&self.given) < 20000) { /* a lost one would cost a minute */
    htel_posix_wait(&self.posix, 60000);
  }
  assert_true(now_ms() - since < 30000);
  pthread_join(giver, NULL);
  htel_posix_close(&self.posix);
}

/* Many clients in a loop of its own: what the next wait would watch is told once. */
static void test_a_loop_of_ones_own_learns_what_to_watch(void **state) {
  (void)state;
  htel_posix posix;
  int fd;
  short events;
  assert_int_equal(htel_posix_open(&posix, NULL), 0);
  assert_false(htel_posix_watched(&posix, &fd, &events));
  htel_posix_watch(&posix, 7, POLLIN);
  htel_posix_watch(&posix, 8, POLLIN | POLLOUT); /* the last one counts, as for a wait */
  assert_true(htel_posix_watched(&posix, &fd, &events));
  assert_int_equal(fd, 8);
  assert_int_equal(events, POLLIN | POLLOUT);
  assert_false(htel_posix_watched(&posix, &fd, &events));
  htel_posix_watch(&posix, 8, POLLIN);
  htel_posix_wait(&posix, 0); /* forgets it too */
  assert_false(htel_posix_watched(&posix, &fd, &events));
  htel_posix_close(&posix);
}

/* ---- The runner
 * ------------------------------------------------------------------------------------ */

/* A link that is up at once and acknowledges everything. Used by the runner's thread alone. */
typedef struct echo {
  htel_link link;
  htel_link_event events[64];
  unsigned head, count;
  bool up, deaf; /* deaf: acknowledges nothing */
  atomic_uint published;
} echo;

static void echo_say(echo *self, htel_link_event event) {
  assert_true(self->count < 64);
  self->events[(self->head + self->count++) % 64] = event;
}

static int echo_open(void *ctx, const htel_link_session *session) {
  echo *self = ctx;
  (void)session;
  self->up = true;
  echo_say(self, (htel_link_event){.kind = HTEL_LINK_UP});
  return 0;
}

static int echo_publish(void *ctx, const htel_message *message) {
  echo *self = ctx;
  if (self->count > 60) {
    return HTEL_E_AGAIN;
  }
  atomic_fetch_add(&self->published, 1);
  if (!self->deaf) {
    echo_say(self, (htel_link_event){.kind = HTEL_LINK_ACKED, .token = message->token});
  }
  return 0;
}

static int echo_next(void *ctx, htel_link_event *event) {
  echo *self = ctx;
  if (self->count == 0) {
    return 0;
  }
  *event = self->events[self->head];
  self->head = (self->head + 1) % 64;
  self->count--;
  return 1;
}

static uint32_t echo_wait_ms(void *ctx) {
  const echo *self = ctx;
  return self->count > 0 ? 0 : 1000;
}

static void echo_close(void *ctx) {
  echo *self = ctx;
  if (self->up) {
    self->up = false;
    echo_say(self, (htel_link_event){.kind = HTEL_LINK_DOWN});
  }
}

static void echo_init(echo *self, bool deaf) {
  memset(self, 0, sizeof *self);
  self->deaf = deaf;
  self->link = (htel_link){.ctx = self,
                           .open = echo_open,
                           .publish = echo_publish,
                           .next = echo_next,
                           .wait_ms = echo_wait_ms,
                           .close = echo_close};
}

typedef struct device {
  htel_posix posix;
  htel_port port;
  htel_posix_runner runner;
  echo wire;
  htel *tel;
  void *memory;
} device;

static const htel_channel pulse = {.code = HTEL_MDC_HEART_RATE, .kind = HTEL_NUMERIC};

static void device_start(device *self, bool deaf) {
  echo_init(&self->wire, deaf);
  assert_int_equal(htel_posix_open(&self->posix, boot_file), 0);
  self->port = htel_posix_port(&self->posix, &self->wire.link);
  htel_config config = {.device_id = "bed-7",
                        .channels = &pulse,
                        .channel_count = 1,
                        .batch.age_ms_max = 50,
                        .delivery.mode = HTEL_DELIVERY_BROKER};
  int32_t size = htel_memory_needed(&config);
  assert_true(size > 0);
  self->memory = aligned_alloc(64, ((size_t)size + 63) / 64 * 64);
  assert_int_equal(htel_open(&self->tel, self->memory, (size_t)size, &config, &self->port), 0);
  assert_int_equal(htel_posix_runner_start(&self->runner, self->tel, &self->posix), 0);
}

static void device_end(device *self) {
  free(self->memory);
  htel_posix_close(&self->posix);
}

static void test_runner_delivers_and_ends_the_boot(void **state) {
  (void)state;
  device self;
  device_start(&self, false);
  for (int32_t i = 0; i < 200; i++) {
    while (htel_record(self.tel, 0, i) != 0) {
      usleep(1000);
    }
    usleep(500);
    htel_stats stats;
    htel_posix_runner_lock(&self.runner);
    htel_stats_get(self.tel, &stats);
    htel_posix_runner_unlock(&self.runner);
    assert_true(stats.boot == 1);
  }
  assert_int_equal(htel_posix_runner_stop(&self.runner, 10000), 0);
  assert_true(atomic_load(&self.wire.published) > 0);
  device_end(&self);
  htel_boot boot = live(true);
  assert_int_equal(boot.number, 2);
  assert_false(boot.unclean); /* htel_close told the boot file */
}

static void test_runner_keeps_the_deadline(void **state) {
  (void)state;
  device self;
  device_start(&self, true);
  assert_int_equal(htel_record(self.tel, 0, 72), 0);
  uint64_t since = now_ms();
  assert_int_equal(htel_posix_runner_stop(&self.runner, 300), HTEL_E_TIMEOUT);
  assert_in_range(now_ms() - since, 250, 3000);
  device_end(&self);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
      TEST(test_boots_count_up_and_remember_how_they_ended),
      TEST(test_a_damaged_file_is_an_error_and_stays),
      TEST(test_the_last_number_is_not_passed),
      TEST(test_two_openers_are_refused),
      TEST(test_a_killed_process_gives_the_file_back),
      TEST(test_what_a_power_cut_left_beside_is_no_matter),
      TEST(test_paths_that_cannot_be),
      TEST(test_without_a_file_there_is_no_boot_counter),
      TEST(test_clock_and_random_bytes),
      TEST(test_a_clock_that_was_never_set_and_one_that_was_learnt),
      TEST(test_a_signal_handler_wakes),
      TEST(test_waking_keeps_errno),
      TEST(test_no_wake_is_lost),
      TEST(test_a_loop_of_ones_own_learns_what_to_watch),
      TEST(test_runner_delivers_and_ends_the_boot),
      TEST(test_runner_keeps_the_deadline),
  };
  return cmocka_run_group_tests_name("posix", tests, NULL, NULL);
}
