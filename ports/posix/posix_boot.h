/* SPDX-License-Identifier: Apache-2.0 */
/* posix_boot.h - the file that holds the boot number: one line of text, replaced whole.
 *
 *     healthtel-boot 1 00000000000000000042 00000000000000000041 9f2c11aa\n
 *     magic   format   number, 20 digits    first unclean boot   CRC-32 of all before it
 *
 * The second number is that of the first boot since the last one that ended cleanly: from
 * boot_begin() on this boot itself, or one before it that was cut off too; 0 after boot_end(). Who
 * finds one at the start knows that all boots from there on were cut off. The line has one length
 * and one spelling, so anything else is damage. */
#ifndef HTEL_POSIX_BOOT_H
#define HTEL_POSIX_BOOT_H

#include <stdint.h>

typedef struct boot_record {
  uint64_t number;
  uint64_t unclean_first; /* 0: ended cleanly */
} boot_record;

/* 1: read; 0: there is no such file; HTEL_E_STORE: there is, and it is damaged or unreadable. */
int boot_read(const char *path, boot_record *record);

/* Replaces the file; on stable storage when it returns 0. HTEL_E_STORE otherwise: then the
 * old file is still whole. */
int boot_write(const char *path, const boot_record *record);

#endif
