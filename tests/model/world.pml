/* SPDX-License-Identifier: Apache-2.0 */
/* world.pml - how large the world of delivery.pml is, and all that is in it: devices, frames, what
 * is under way, what the ingest has, and the faults that are still to come. */

#ifndef DEVICES
#define DEVICES 1 /* 2: a device and its clone, which share id, boot counter and topic */
#endif
#ifndef DATA
#define DATA 3 /* frames with readings that each device closes; loss records come on top */
#endif
#ifndef FRAMES
#define FRAMES 3 /* of all kinds and devices; at most 8 */
#endif
#ifndef WINDOW
#define WINDOW 2 /* in flight */
#endif
#ifndef ROOM
#define ROOM FRAMES /* in the outbox */
#endif
#ifndef REFUSE
#define REFUSE 0 /* 1: a full outbox refuses the newcomer (when_full) */
#endif
#ifndef FLASH
#define FLASH 0 /* 1: the outbox is on flash */
#endif
#ifndef BROKER_MODE
#define BROKER_MODE 0 /* 1: HTEL_DELIVERY_BROKER: PUBACK stands for the receipt */
#endif
#ifndef DIGESTS
#define DIGESTS 0 /* 1: as if a receipt said whose bytes it is for; ours names keys alone */
#endif
#ifndef KEY_IS_ENOUGH
#define KEY_IS_ENOUGH 0 /* 1: a frame counts as told of where a clone's is stored under its key */
#endif
#ifndef REBOOTS
#define REBOOTS 0 /* of each device */
#endif
#ifndef DROPS
#define DROPS 0 /* connections that end */
#endif
#ifndef KICKS
#define KICKS 0 /* times that a device takes over the connection of its clone */
#endif
#ifndef CRASHES
#define CRASHES 0 /* of the broker: it may forget what it had acknowledged */
#endif
#ifndef KILLS
#define KILLS 0 /* of the ingest */
#endif
#ifndef POISONS
#define POISONS 0 /* frames that arrive undamaged, and that the ingest cannot read all the same */
#endif
#ifndef TWICE
#define TWICE 0 /* frames or receipts that come once more */
#endif
#ifndef EARLY
#define EARLY 0 /* resends while something is still under way */
#endif
#ifndef ALARMS
#define ALARMS 0 /* so many frames with readings may be alarms */
#endif
#ifndef BUG
#define BUG 0
#endif

#define PUBACKS (BROKER_MODE || BUG == 1) /* elsewhere PUBACK changes nothing that is modelled */
#define BIT(n) (1 << (n))
#define COUNT(m)                                                                          \
  (((m) & 1) + ((m) >> 1 & 1) + ((m) >> 2 & 1) + ((m) >> 3 & 1) + ((m) >> 4 & 1) +        \
   ((m) >> 5 & 1) + ((m) >> 6 & 1) + ((m) >> 7 & 1))

/* The key of a frame: boot and sequence, both from 1. */
#define KEY(boot, sequence) (((boot) - 1) * FRAMES + (sequence) - 1)
#define BOOT(key) ((key) / FRAMES + 1)
#define SEQUENCE(key) ((key) % FRAMES + 1)
#define CLASS(f) ((alarms >> (f)) & 1) /* 1: alarm, goes first and is kept longest */
#define CARRIED(f, class) ((f) * 2 + (class))
#define IDS (FRAMES + 3 * REBOOTS + 1) /* of loss records, from 1 */
#define NAMED(f) (DIGESTS -> (f) : key[f]) /* what a receipt says */

mtype:connection = {OFFLINE, CONNECTING, ONLINE, LEAVING, CLOSED};

typedef device_state {
  mtype:connection link;
  byte boot, next; /* sequence of the next frame */
  byte recorded;   /* frames with readings that were closed, */
  byte alarms;     /* of which alarms may still be */
  byte reboots;    /* that may come */
  byte owed_from;  /* RAM: the first boot that did not end cleanly, kept by the port */
  /* States of a frame: outbox_state. One that is in none of these is freed or lost. */
  byte unsafe, waiting, in_flight;
  byte sent;       /* published since the last start */
  byte freed;      /* FLASH: receipted, and not durably noted: a cut brings them back */
  byte refused;    /* FLASH: newcomers of which no ledger on flash tells yet */
  /* The ledger. A carrier is a frame's number + 1; 0: the entry is open. */
  byte lost[2], id[2], carrier[2]; /* by class: frames evicted or refused: a record that grows */
  byte id_last;
  byte unclean, unclean_carrier;   /* boots, BIT(boot) */
};

device_state dev[DEVICES];

/* What is true of each frame, whoever knows it. */
byte closed; /* how many there are */
byte key[FRAMES];
byte alarms;                  /* those of class alarm: they may carry loss records */
byte gone;                    /* taken by a cut */
byte carried[2 * FRAMES];     /* what they carry: frames lost, by class (CARRIED), */
byte carried_id[2 * FRAMES];  /* under this id; */
byte carried_unclean[FRAMES]; /* boots that ended uncleanly */

/* Under way. */
chan up = [WINDOW + 1] of {byte};  /* on the connection, in order */
chan bus = [WINDOW + 1] of {byte}; /* acknowledged by the broker, for the ingest */
byte acks;                         /* PUBACKs */
int stored_told, aside_told;       /* receipts, as BIT(NAMED(frame)); in no order */
bool busy;                         /* the ingest has taken something and not told of it */

/* At the ingest, committed. */
byte stored, aside;
byte told[IDS];                    /* by id: frames that loss records tell of */
byte told_unclean;
bool alert;

/* Faults left. */
byte drops = DROPS, kicks = KICKS, crashes = CRASHES, kills = KILLS;
byte poisons = POISONS, twice = TWICE, early = EARLY;

byte finished; /* devices that owe nothing any more */
bool accounted;

hidden byte i, n, victim;

#define OUTBOX(d) (dev[d].unsafe | dev[d].waiting | dev[d].in_flight)
#define LOST(d) (dev[d].lost[0] | dev[d].lost[1])
#define OWES(d) (OUTBOX(d) | LOST(d) | dev[d].unclean)
#define OPEN(d)                                                                             \
  ((dev[d].lost[0] && dev[d].carrier[0] == 0) || (dev[d].lost[1] && dev[d].carrier[1] == 0) || \
   (dev[d].unclean && dev[d].unclean_carrier == 0))
#define IS_UP(d) (dev[d].link == CONNECTING || dev[d].link == ONLINE)
#define RECEIPTS (stored_told | aside_told)
#define SETTLED (empty(up) && empty(bus) && !busy)
#define QUIET (SETTLED && acks == 0 && RECEIPTS == 0)
#define BUSY (nempty(up) || nempty(bus) || busy || acks != 0 || RECEIPTS != 0)

/* Any one of a set that is not empty. */
inline any(it, set) {
  it = 0;
  do
  :: (BIT(it) & (set)) -> break
  :: ((set) >> (it + 1)) -> it++
  od
}

inline oldest(it, set) {
  it = 0;
  do
  :: (BIT(it) & (set)) -> break
  :: else -> it++
  od
}
