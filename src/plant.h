/* SPDX-License-Identifier: Apache-2.0 */
/* plant.h - bugs planted on purpose, for the crash harness and the fleet simulator to find: with
 * -DHEALTHTEL_PLANT=n the n-th is there. Never in a library that is shipped: without the flag
 * nothing of it is compiled.
 *
 * In the log on flash, for tests/crash:
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
 *     18 another ledger is written before an eviction is durable
 *
 * Anywhere between recording and the ingest's database, for htel-fleet (examples/fleet):
 *     19 a frame is freed at its PUBACK, although delivery is by receipt
 *     20 each boot has the number of the first
 *     21 an alarm does not wake the poller
 *     22 a receipt of another boot is honoured
 *     23 reconnects come without jitter
 *     24 no anchor is ever sent
 *     25 a clock that jumps gets no new anchor
 *     26 the ingest does not compare the digests of two frames under one key
 *     27 evicted frames are not recorded as lost
 *     28 alarms stand behind the backlog, and the backlog before live frames
 *     29 a loss record without a receipt goes into the next alarm frame too, under another id
 *     30 readings that a ring refused are told one short
 *     31 a frame whose receipt does not come is not sent again on this connection
 *     32 what has its PUBACK when the connection ends counts as delivered
 *     33 the silence of a broker is not noticed
 *     34 a receipt's ranges reach one further than they say
 *     35 after a gap a waveform goes on one sample late
 *     36 ticks do not go beyond 32 bits
 *     37 a reading from before the tick's wrap that is taken after it counts as one from after it
 *     38 an unclean stop is not told
 *     39 a waveform's block has the quality of its last samples throughout
 *     40 server time is taken from frames that were sent more than once, too
 *     41 the ingest receipts what it could not commit
 *     42 the ingest raises no alert for what it puts aside
 *     43 the ledger does not name a loss record's carrier before that may be durable
 *     44 htel_close does not wait for loss records that no frame carries yet
 *     45 a receipt frees frames that were never sent
 *     46 an anchor says that it is exact
 *     47 a range joined over frames that were not evicted does not say that it is a bound
 *     48 the ingest's receipts close a hole of one frame
 *     49 a late frame is placed in time by the anchor behind it
 *     50 samples that wrap in the ring are read one off */
#ifndef HTEL_SRC_PLANT_H
#define HTEL_SRC_PLANT_H

#ifdef HEALTHTEL_PLANT
#define PLANT(n) (HEALTHTEL_PLANT == (n))
#else
#define PLANT(n) 0
#endif

#endif
