/* SPDX-License-Identifier: Apache-2.0 */
/* htel_posix.h - what Linux gives the core: a clock, random bytes, a durable boot number, a
 * wake-up, a file in the place of flash, and a thread that polls.
 *
 *     htel_posix posix;
 *     htel_posix_open(&posix, "/var/lib/monitor/boot");
 *     htel_port port = htel_posix_port(&posix, htel_paho_link(paho));
 *     htel_open(&tel, memory, sizeof memory, &config, &port);
 *     htel_posix_runner_start(&runner, tel, &posix);      polls in a thread of its own
 *     ...                                                 htel_record from any thread
 *     htel_posix_runner_stop(&runner, 10000);             flushes, closes, joins
 *     htel_posix_close(&posix);
 *
 * Without the runner, a loop does the same:
 *
 *     for (;;) htel_posix_wait(&posix, htel_poll(tel));
 *
 * Clock: CLOCK_BOOTTIME, which goes on while the machine sleeps.
 * UTC: CLOCK_REALTIME; not known (HTEL_E_AGAIN) while it shows less than HTEL_POSIX_UTC_MS_OLDEST,
 * since a clock older than this library was never set (boards without a battery begin in 1970, or
 * at the date of their image). Its uncertainty is the kernel's own bound while something
 * disciplines the clock (NTP, PTP), otherwise HTEL_POSIX_UNSYNC_MS.
 *
 * The boot file holds the boot number and since when boots did not end cleanly, with a checksum. It
 * is replaced whole (written beside, synced, renamed, directory synced), so a power cut leaves the
 * old or the new one. A lock on `<boot_file>.lock` is held while open, and is given up by the
 * kernel when the process dies: two processes with one identity are refused. A file that does not
 * read back right is an error and stays as it is: beginning again at 0 would give frame keys twice.
 */
#ifndef HTEL_POSIX_H
#define HTEL_POSIX_H

#include <pthread.h>

#include "healthtel/healthtel.h"

#ifdef __cplusplus /* which has no <stdatomic.h> before C++23 */
#include <atomic>
typedef std::atomic_bool htel_posix_flag;
typedef std::atomic_llong htel_posix_time;
extern "C" {
#else
#include <stdatomic.h>
typedef atomic_bool htel_posix_flag;
typedef atomic_llong htel_posix_time;
#endif

#define HTEL_POSIX_PATH_CHARS_MAX 1000u
#define HTEL_POSIX_UTC_MS_OLDEST INT64_C(1704067200000) /* 2024-01-01 */
#define HTEL_POSIX_UNSYNC_MS 1000u /* assumed error of a clock that nothing disciplines */

/* The caller's; the members are for the functions below. Must not move while open. */
typedef struct htel_posix {
  int wake_fd;               /* eventfd */
  int lock_fd;               /* holds the lock on the boot file, -1 without one */
  htel_posix_flag woken;     /* a wake-up is on its way: another needs no system call */
  int watch_fd;              /* ends the next wait too, */
  short watch_events;        /* on these of poll()'s events; 0: nothing is watched */
  uint64_t boot;             /* the number given last, 0 before */
  htel_posix_time learnt_ms; /* Unix time less CLOCK_BOOTTIME, 0 while nothing was learnt */
  char boot_file[HTEL_POSIX_PATH_CHARS_MAX + 1];
} htel_posix;

/* `boot_file`: where the boot number lives, in a directory that this process may write; created
 * when missing, beginning with boot 1. NULL: no file; the core then takes random boot numbers and
 * cannot tell an unclean stop. HTEL_E_STORE: another process has it open, or the directory cannot
 * be written. HTEL_E_ARGUMENT: path empty or longer than HTEL_POSIX_PATH_CHARS_MAX. */
int htel_posix_open(htel_posix *posix, const char *boot_file);
void htel_posix_close(htel_posix *posix);

/* The port for htel_open(): tick_ms, random, boot_begin and boot_end (with a boot file), utc, wake.
 * Keep the struct as long as the client. `link` is kept by reference. */
htel_port htel_posix_port(htel_posix *posix, const htel_link *link);

/* Unix time in ms for judging certificates: the system's clock; while that was never set, what was
 * learnt; HTEL_E_AGAIN where neither is known. Any thread. The argument is a htel_posix (void *,
 * so that it fits where a function with a context is wanted). */
int htel_posix_utc(void *posix, int64_t *utc_ms);

/* For devices that no NTP reaches: it is utc_ms now, said the ingest in a receipt. To be called
 * after htel_poll with what htel_utc_now() gives, where the application sets no time itself:
 *
 *     if (htel_utc_now(tel, &utc_ms, &uncertainty_ms) == 0) htel_posix_utc_learn(&posix, utc_ms);
 *
 * The system's clock stays as it is, and the core goes on taking its time from receipts. */
void htel_posix_utc_learn(htel_posix *posix, int64_t utc_ms);

/* Ends the wait that is under way, or the next one. Any thread, any signal handler; keeps errno.
 * The argument is a htel_posix (void *, so that it fits where a function with a context is wanted).
 */
void htel_posix_wake(void *posix);

/* Sleeps until woken or until `ms` have passed. One thread at a time. */
void htel_posix_wait(htel_posix *posix, uint32_t ms);

/* The next wait, and that one only, also ends when `fd` has one of poll()'s `events`, or an error.
 * For links that work in the polling thread itself; call it in that thread. */
void htel_posix_watch(htel_posix *posix, int fd, short events);

/* For a loop of one's own around many clients that share one htel_posix and one thread: what the
 * next htel_posix_wait would watch, to be asked after each htel_poll. Forgets it, as that wait
 * would; false: nothing. */
bool htel_posix_watched(htel_posix *posix, int *fd, short *events);

/* ---- A file in the place of flash ---------------------------------------------------- */

/* Where the outbox lies when it is to outlive the process and the machine's power:
 *
 *     htel_posix_flash store;
 *     htel_posix_flash_open(&store, "/var/lib/monitor/store", 0, 0, 0);
 *     config.outbox.code = &htel_outbox_on_flash;
 *     config.outbox.flash = &store.flash;
 *     ...                                                 htel_open to htel_close
 *     htel_posix_flash_close(&store);
 *
 * With it no boot file is needed: the boot counter lies in the store.
 *
 * What is programmed or erased is durable once sync() has returned 0: it is fdatasync(). The file
 * has its full size from the beginning, so that a full disk shows when it is made and not later.
 * It is the application's readings, so nobody but its owner may read it (mode 0600), and it
 * belongs to one process: a lock on `<path>.lock` and one on the file itself are held while it is
 * open, and are given up by the kernel when the process dies.
 *
 * Once a write or a sync has failed, all that follow fail too until the file is opened anew: the
 * kernel may have dropped what it could not write, so that no later sync would tell the truth. */
#define HTEL_POSIX_FLASH_BYTES 1048576u /* of a new file, unless told otherwise */
#define HTEL_POSIX_FLASH_BLOCK_BYTES 4096u
#define HTEL_POSIX_FLASH_WHY_BYTES 160u

/* The caller's; `flash` is for htel_config.outbox.flash, the rest for the functions below. Must
 * not move while open. */
typedef struct htel_posix_flash {
  htel_flash flash;
  int fd;
  int lock_fd;
  bool failed;                          /* nothing more is written */
  char why[HTEL_POSIX_FLASH_WHY_BYTES]; /* what went wrong first, in words; "" while nothing has */
} htel_posix_flash;

/* Opens the file, or makes one that is erased throughout; a power cut meanwhile leaves the whole
 * file or none. Its bytes are never cut off, nor added to.
 *   bytes          of the whole file: 16 KiB to 16 MiB, whole blocks; 0: as large as it is, or
 *                  HTEL_POSIX_FLASH_BYTES for a new one
 *   block_bytes    4096 to 65536, a power of two; 0 counts as HTEL_POSIX_FLASH_BLOCK_BYTES
 *   program_bytes  1 to 16, a power of two; 0 counts as 1
 * The last two must be as they were when the file was made: another geometry, and bytes that are
 * no log, are refused by htel_open (HTEL_E_VERSION, HTEL_E_FORMAT) and stay as they are.
 * HTEL_E_ARGUMENT: a size out of range, a path that is empty or longer than
 * HTEL_POSIX_PATH_CHARS_MAX. HTEL_E_STORE: another process has it open, it is of another size, no
 * regular file, or the system refuses something: `why` says what. */
int htel_posix_flash_open(htel_posix_flash *self, const char *path, uint32_t bytes,
                          uint32_t block_bytes, uint32_t program_bytes);

/* After htel_close; `why` stays. Also after an open that failed. What was not synced is left to the
 * kernel: it is not lost unless the power is. */
void htel_posix_flash_close(htel_posix_flash *self);

/* ---- A thread that polls ----------------------------------------------------------- */

/* The caller's; must not move between start and stop. */
typedef struct htel_posix_runner {
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t turn_changed;
  uint64_t turn_next, turn_now; /* those who wait for the client are served in order */
  htel *tel;
  htel_posix *posix;
  uint32_t timeout_ms;
  htel_posix_flag stop;
  int result;
} htel_posix_runner;

/* Starts the thread. From here on only the record functions may be called on `tel` without the lock
 * below. All signals are blocked in the thread: handlers run in the application's own.
 * HTEL_E_MEMORY when the system refuses a thread. */
int htel_posix_runner_start(htel_posix_runner *runner, htel *tel, htel_posix *posix);

/* Ends the polling with htel_close(tel, timeout_ms), called until it is done, and joins the thread.
 * Returns htel_close's result: 0 all delivered, HTEL_E_TIMEOUT. */
int htel_posix_runner_stop(htel_posix_runner *runner, uint32_t timeout_ms);

/* Between these two the caller may call htel_stats_get, htel_session_set, htel_utc_set and
 * the like; not htel_close. Keep it short: nothing is sent meanwhile. */
void htel_posix_runner_lock(htel_posix_runner *runner);
void htel_posix_runner_unlock(htel_posix_runner *runner);

#ifdef __cplusplus
}
#endif

#endif
