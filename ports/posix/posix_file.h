/* SPDX-License-Identifier: Apache-2.0 */
/* posix_file.h - what the boot file and the file in the place of flash share: they belong to one
 * process, and are there whole or not at all. Failures leave errno. */
#ifndef HTEL_POSIX_FILE_H
#define HTEL_POSIX_FILE_H

#include <stddef.h>

/* Takes the lock beside `path` (`<path>.lock`): a descriptor to hold, or -1; EWOULDBLOCK: another
 * process has it. The lock is on a file of its own, since a lock on a file that is replaced stays
 * with the old one. It is never removed: removing it would let two processes hold locks on two
 * files of one name. */
int file_lock(const char *path);

/* All of it: 0, or -1. */
int file_write(int fd, const void *bytes, size_t size);

/* A new name in the directory of `path` is durable once its directory is: 0, or -1. */
int file_directory_sync(const char *path);

#endif
