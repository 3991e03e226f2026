/* SPDX-License-Identifier: Apache-2.0 */
/* plant.h - bugs planted on purpose, for the crash harness to find: with -DHEALTHTEL_PLANT=n the
 * n-th is there. Never in a library that is shipped: without the flag nothing of it is compiled.
 *
 *      1 a block is erased before the note that gives it up is durable
 *      2 the checksum of a record does not cover its length
 *      3 the boot number of a cut boot is used again
 *      4 the end of a log is the first blank unit; what lies behind it is not looked at
 *      5 a block is erased without a note that gives it up
 *      6 the boot number is used before it is durable
 *      7 a block is evicted without the ledger that tells of it
 *      8 checksums of headers and records are not compared
 *      9 a block with leftovers is written without an erase
 *     10 wear is not looked at
 *     11 what was not synced counts as durable
 *     12 the checksum of a frame's bytes is not compared
 *     13 frames behind a hole in what was not durable are kept
 *     14 a block is written before its erase is durable
 *     15 a new block of log 0 does not take the ledger along
 *     16 the next receipt goes to the first blank slot
 *     17 of two copies of a block the older one counts
 *     18 another ledger is written before an eviction is durable */
#ifndef HTEL_SRC_PLANT_H
#define HTEL_SRC_PLANT_H

#ifdef HEALTHTEL_PLANT
#define PLANT(n) (HEALTHTEL_PLANT == (n))
#else
#define PLANT(n) 0
#endif

#endif
