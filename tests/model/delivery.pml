/* SPDX-License-Identifier: Apache-2.0 */
/* delivery.pml - how a frame gets to the ingest, as docs/DELIVERY.md says it, for spin to try in
 * every order that there is.
 *
 *     device --up--> broker --bus--> ingest --stored_told, aside_told--> device
 *        ^                                       (receipts, by key)
 *        +------ faults(): connections end, the broker forgets; the ingest is killed in its steps
 *
 * world.pml has what there is, outbox.pml what a device keeps; here is who does what.
 *
 * A frame is a number here, from 0 to FRAMES - 1, which stands for its bytes: two frames with one
 * key are a cloned device's, or a mistake. Sets of frames are masks, one bit a frame. Time is left
 * out but for this: what waits long enough outwaits all that is under way (QUIET); how often it
 * does not, EARLY says. Every fault has a budget, so that all runs come to an end, and at the end
 * audit() asks for each frame that was ever closed whether it is accounted for.
 *
 * An at sign before a word names a transition; docs/DELIVERY.md lists them, with the function that
 * each stands for, and run.sh holds both lists against each other. Configurations are in
 * run.sh, too. BUG plants one of the mistakes that the model must be able to find. */

#include "world.pml"
#include "outbox.pml"

/* ---- the connection ------------------------------------------------------------------------ */

/* @down The connection ends: what is on its way up is lost from some point on, as the broker may
 * have taken any number before; all frames in flight become WAITING. */
inline down(d) {
  printf("device %d: connection down\n", d);
  do
  :: up?_
  :: empty(up) -> break
  od;
  acks = 0;
  if
  :: BUG == 8 && dev[d].in_flight -> /* the oldest is forgotten: it stays as it is for ever */
    oldest(i, dev[d].in_flight);
    dev[d].waiting = dev[d].waiting | (dev[d].in_flight & ~BIT(i));
    dev[d].in_flight = BIT(i)
  :: else ->
    dev[d].waiting = dev[d].waiting | dev[d].in_flight;
    dev[d].in_flight = 0
  fi;
  i = 0;
  dev[d].link = OFFLINE
}

/* Any of the receipts that are under way end with a connection. */
inline lose_receipts() {
  do
  :: stored_told & BIT(r) -> stored_told = stored_told & ~BIT(r)
  :: aside_told & BIT(r) -> aside_told = aside_told & ~BIT(r)
  :: r < 24 && (RECEIPTS >> (r + 1)) -> r++
  :: break
  od;
  r = 0
}

/* ---- the start ----------------------------------------------------------------------------- */

/* A carrier that is durable tells for itself; a record that stays gets an id of the new boot. */
inline ledger_mount(d, c) {
  if
  :: dev[d].carrier[c] && !(BIT(dev[d].carrier[c] - 1) & gone) -> dev[d].lost[c] = 0
  :: else
  fi;
  if
  :: dev[d].lost[c] -> dev[d].id_last++; dev[d].id[c] = dev[d].id_last
  :: else -> dev[d].id[c] = 0
  fi;
  dev[d].carrier[c] = 0
}

/* @boot The counter is durable before the boot uses it. What earlier boots left is UNCLEAN_STOP,
 * until a clean end; on flash the ledger remembers all but the last one. */
inline start_boot(d, cut) {
  if
  :: FLASH ->
    ledger_mount(d, 0);
    ledger_mount(d, 1);
    if
    :: dev[d].unclean_carrier && !(BIT(dev[d].unclean_carrier - 1) & gone) -> dev[d].unclean = 0
    :: else
    fi;
    if
    :: cut && BUG != 12 -> dev[d].unclean = dev[d].unclean | BIT(dev[d].boot)
    :: else
    fi
  :: else ->
    dev[d].unclean = 0;
    i = (BUG == 15 && dev[d].owed_from < dev[d].boot -> dev[d].boot : dev[d].owed_from);
    do
    :: i <= dev[d].boot && BUG != 12 -> dev[d].unclean = dev[d].unclean | BIT(i); i++
    :: else -> break
    od;
    i = 0
  fi;
  dev[d].unclean_carrier = 0;
  dev[d].sent = 0;
  dev[d].next = 1;
  dev[d].reboots--;
  if
  :: BUG == 3 -> skip
  :: else -> dev[d].boot++
  fi;
  dev[d].link = OFFLINE;
  printf("device %d starts boot %d\n", d, dev[d].boot)
}

/* @cut The power goes, or the processor is reset. RAM: all is gone. FLASH: what is not durable is,
 * from some frame on, and what was freed last may be there again. */
inline power_cut(d) {
  printf("device %d: power cut\n", d);
  if
  :: IS_UP(d) -> d_step { down(d) }
  :: else
  fi;
  if
  :: FLASH ->
    do
    :: dev[d].unsafe ->
      oldest(f, dev[d].unsafe);
      dev[d].unsafe = dev[d].unsafe & ~BIT(f);
      dev[d].waiting = dev[d].waiting | BIT(f)
    :: break
    od;
    assert(!(dev[d].unsafe & dev[d].sent)); /* nobody has seen a number that a cut takes away */
    gone = gone | dev[d].unsafe | dev[d].refused;
    dev[d].lost[0] = (BUG == 14 -> 0 : dev[d].lost[0] & ~dev[d].refused);
    dev[d].lost[1] = dev[d].lost[1] & ~dev[d].refused;
    do
    :: dev[d].freed -> any(f, dev[d].freed); dev[d].waiting = dev[d].waiting | BIT(f);
      dev[d].freed = dev[d].freed & ~BIT(f)
    :: break
    od
  :: else ->
    gone = gone | OUTBOX(d) | LOST(d);
    dev[d].waiting = 0;
    dev[d].lost[0] = 0;
    dev[d].lost[1] = 0;
    dev[d].carrier[0] = 0;
    dev[d].carrier[1] = 0
  fi;
  dev[d].unsafe = 0;
  dev[d].freed = 0;
  dev[d].refused = 0;
  f = 0;
  start_boot(d, true)
}

/* ---- the device ---------------------------------------------------------------------------- */

#define GATHERS(d) (dev[d].link != LEAVING && dev[d].link != CLOSED)
#define MAY_END(d) (dev[d].recorded == DATA && !OWES(d))

proctype device(byte d; byte other) {
  byte f, r;
  bool good;
  do
  :: atomic {
      GATHERS(d) && dev[d].recorded < DATA ->
      dev[d].recorded++;
      d_step { close_frame(d, false, false) }
    }
  :: atomic {
      GATHERS(d) && dev[d].recorded < DATA && dev[d].alarms ->
      dev[d].recorded++;
      dev[d].alarms--;
      d_step { close_frame(d, true, (dev[d].link == ONLINE)) }
    }
  :: atomic { /* for loss records alone: only while connected, and while no others are under way */
      dev[d].link == ONLINE && OPEN(d) && !(OUTBOX(d) & alarms) ->
      d_step { close_frame(d, true, true) }
    }
  :: atomic { /* @sync closed frames become durable, and what was freed, and the ledger */
      FLASH && GATHERS(d) && (dev[d].unsafe || dev[d].freed) ->
      printf("device %d syncs\n", d);
      dev[d].waiting = dev[d].waiting | dev[d].unsafe;
      dev[d].unsafe = 0;
      dev[d].freed = 0
    }
  :: atomic { /* @connect the backoff is over */
      dev[d].link == OFFLINE && (OWES(d) || dev[d].recorded < DATA) ->
      dev[d].link = CONNECTING
    }
  :: atomic { /* @up of two with one client id the broker ends the older connection */
#if DEVICES > 1
      dev[d].link == CONNECTING && (dev[other].link != ONLINE || kicks) ->
#else
      dev[d].link == CONNECTING ->
#endif
#if DEVICES > 1
      if
      :: dev[other].link == ONLINE -> kicks--; d_step { down(other) }
      :: else
      fi;
#endif
      printf("device %d is online\n", d);
      dev[d].link = ONLINE
    }
  :: atomic { /* @publish alarms first; then live and backlog, of which either may come first */
      dev[d].link == ONLINE && (dev[d].waiting || (BUG == 10 && dev[d].unsafe)) &&
      COUNT(dev[d].in_flight) < WINDOW && nfull(up) ->
      if
      :: BUG == 10 && dev[d].unsafe ->
        oldest(f, dev[d].unsafe);
        up!f;
        dev[d].sent = dev[d].sent | BIT(f)
      :: dev[d].waiting & alarms -> oldest(f, dev[d].waiting & alarms)
      :: dev[d].waiting && !(dev[d].waiting & alarms) -> any(f, dev[d].waiting)
      fi;
      if
      :: dev[d].waiting & BIT(f) ->
        printf("device %d publishes frame %d\n", d, f);
        up!f;
        dev[d].waiting = dev[d].waiting & ~BIT(f);
        dev[d].in_flight = dev[d].in_flight | BIT(f);
        dev[d].sent = dev[d].sent | BIT(f)
      :: else
      fi;
      f = 0
    }
  :: atomic { /* @resend no receipt within receipt_wait_ms */
      dev[d].link == ONLINE && dev[d].in_flight && BUG != 8 && (QUIET || (BUSY && early)) ->
      if
      :: QUIET
      :: BUSY -> early--
      fi;
      any(f, dev[d].in_flight);
      printf("device %d waits no longer for a receipt of frame %d\n", d, f);
      dev[d].in_flight = dev[d].in_flight & ~BIT(f);
      dev[d].waiting = dev[d].waiting | BIT(f);
      f = 0
    }
  :: atomic { /* @puback frees only in BROKER mode */
      PUBACKS && dev[d].link == ONLINE && acks ->
      any(f, acks);
      acks = acks & ~BIT(f);
      d_step {
        if
        :: dev[d].in_flight & BIT(f) -> free_frame(d, f); ledger_done(d, f)
        :: else
        fi
      }
      f = 0
    }
  :: atomic { /* a receipt: each is for one key here, a real one for ranges of them */
      dev[d].link == ONLINE && RECEIPTS && !BROKER_MODE ->
      any(r, RECEIPTS);
      if
      :: stored_told & BIT(r) -> good = true
      :: aside_told & BIT(r) -> good = false
      fi;
#if DIGESTS
      printf("device %d: receipt for frame %d, stored: %d\n", d, r, good);
#else
      printf("device %d: receipt for boot %d, sequence %d, stored: %d\n", d, BOOT(r), SEQUENCE(r),
             good);
#endif
      d_step {
        do
        :: f < closed ->
          if
          :: (OUTBOX(d) & dev[d].sent & BIT(f)) &&
             (NAMED(f) == r || (BUG == 4 && SEQUENCE(key[f]) == SEQUENCE(r))) ->
            free_frame(d, f);
            if
            :: good -> ledger_done(d, f)   /* @receipt_stored */
            :: else -> ledger_return(d, f) /* @receipt_quarantined */
            fi
          :: else /* @receipt_ignored of another boot, of none that is here, or never sent */
          fi;
          f++
        :: else -> break
        od;
        f = 0
      }
      if
      :: twice -> twice-- /* and it comes once more */
      :: good -> stored_told = stored_told & ~BIT(r)
      :: !good -> aside_told = aside_told & ~BIT(r)
      fi;
      r = 0;
      good = false
    }
  :: atomic {
      GATHERS(d) && dev[d].reboots -> power_cut(d)
    }
  :: atomic { /* @leave htel_close; on flash also with frames that wait */
      GATHERS(d) && dev[d].unsafe == 0 &&
      (MAY_END(d) || (dev[d].reboots && (FLASH || !OWES(d)))) ->
      dev[d].freed = 0;
      dev[d].refused = 0;
      if
      :: IS_UP(d) -> d_step { down(d) }; dev[d].link = LEAVING
      :: else -> dev[d].link = CLOSED
      fi
    }
  :: atomic { /* @closed the boot has ended cleanly */
      dev[d].link == LEAVING -> dev[d].link = CLOSED
    }
  :: atomic {
      dev[d].link == CLOSED && !MAY_END(d) ->
      dev[d].owed_from = dev[d].boot + 1;
      d_step { start_boot(d, false) }
    }
  :: atomic {
      dev[d].link == CLOSED && MAY_END(d) -> finished++; break
    }
  od
}

/* ---- the others ---------------------------------------------------------------------------- */

/* QoS 1: a frame is kept, then acknowledged. */
proctype broker() {
  byte f;
end:
  do
  :: atomic {
      nempty(up) && nfull(bus) ->
      up?f;
      bus!f;
      if
      :: PUBACKS -> acks = acks | BIT(f)
      :: else
      fi;
      f = 0
    }
  od
}

/* Loss records of a frame that is stored: of those under one id the largest counts, which must be
 * one that holds all others. */
inline loss_keep(f, c) {
  i = carried_id[CARRIED(f, c)];
  if
  :: i ->
    assert((told[i] & carried[CARRIED(f, c)]) == told[i] ||
           (told[i] & carried[CARRIED(f, c)]) == carried[CARRIED(f, c)]);
    if
    :: COUNT(carried[CARRIED(f, c)]) > COUNT(told[i]) -> told[i] = carried[CARRIED(f, c)]
    :: else
    fi
  :: else
  fi;
  i = 0
}

inline losses_keep(f) {
  loss_keep(f, 0);
  loss_keep(f, 1);
  told_unclean = told_unclean | carried_unclean[f]
}

inline put_aside(f) {
  printf("ingest puts frame %d aside\n", f);
  aside = aside | BIT(f);
  alert = true;
  good = false
}

/* @commit One transaction. Whether the key is there decides first, and then the bytes. */
inline commit(f) {
  h = 0;
  do
  :: h < closed && !((BIT(h) & stored) && key[h] == key[f]) -> h++
  :: else -> break
  od;
  if
  :: h < closed && (h == f || BUG == 5) && BUG != 9 ->
    assert(h == f); /* a duplicate has the same bytes; it is receipted again */
    good = true
  :: h < closed && h != f && BUG != 5 -> /* another frame under this key */
    assert(DEVICES > 1); /* only a clone's is */
    put_aside(f)
  :: h == closed && (poison || (BIT(f) & aside)) -> /* its loss records can be read */
    put_aside(f);
    losses_keep(f)
  :: else ->
    printf("ingest stores frame %d\n", f);
    assert(!(BIT(f) & stored));
    stored = stored | BIT(f);
    losses_keep(f);
    good = true
  fi;
  again = (h == f);
  poison = false;
  h = 0
}

inline tell(f) {
  if
  :: BUG == 16 && again
  :: good && !(BUG == 16 && again) -> stored_told = stored_told | BIT(NAMED(f))
  :: else -> aside_told = aside_told | BIT(NAMED(f))
  fi;
  good = false;
  again = false;
  f = 0;
  busy = false
}

/* Killed before the commit it forgets what it has; between commit and receipt nobody is told. */
proctype ingest() {
  byte f, h;
  bool good, again, poison;
end:
  do
  :: atomic {
      nempty(bus) ->
      busy = true;
      if
      :: bus?f
      :: twice -> twice--; bus?<f>
      fi;
      if
      :: BUG == 7 -> good = true; stored_told = stored_told | BIT(NAMED(f))
      :: else
      fi;
      if
      :: kills -> printf("ingest is killed before the commit\n"); kills--; good = false; f = 0;
        busy = false; goto end
      :: true
      fi;
      if
      :: poisons && !((aside | stored) & BIT(f)) -> poisons--; poison = true
      :: true
      fi;
      d_step { commit(f) }
    }
    atomic { /* @receipt after the commit */
      if
      :: kills -> printf("ingest is killed before the receipt\n"); kills--; good = false;
        again = false; f = 0; busy = false
      :: true -> tell(f)
      fi
    }
  od
}

/* What may go wrong between device and ingest. */
proctype faults() {
  byte d, r;
end:
  do
  :: atomic { /* a connection ends */
      drops && (IS_UP(0) || (DEVICES > 1 && IS_UP(DEVICES - 1))) ->
      drops--;
      if
      :: IS_UP(0) -> d = 0
      :: DEVICES > 1 && IS_UP(DEVICES - 1) -> d = DEVICES - 1
      fi;
      d_step { down(d) }
      d = 0;
      lose_receipts()
    }
  :: atomic { /* the broker crashes: any of what it held may be gone */
      crashes ->
      crashes--;
      printf("broker crashes\n");
      if
      :: IS_UP(0) -> d_step { down(0) }
      :: else
      fi;
#if DEVICES > 1
      if
      :: IS_UP(1) -> d_step { down(1) }
      :: else
      fi;
#endif
      d = len(bus);
      do
      :: d -> bus?r; bus!r; d--
      :: d -> bus?_; d--
      :: d == 0 -> break
      od;
      r = 0;
      lose_receipts()
    }
  od
}

/* ---- the promise --------------------------------------------------------------------------- */

/* Stored, put aside, or told of as lost under a number that no other frame has. */
inline account(f) {
  n = 0;
  i = 0;
  do
  :: i < IDS -> n = n | told[i]; i++
  :: else -> break
  od;
  i = 0;
  do
  :: i < closed ->
    if
    :: i != f && (BIT(i) & stored) && key[i] == key[f] ->
      n = (KEY_IS_ENOUGH -> n | BIT(f) : n & ~BIT(f))
    :: else
    fi;
    i++
  :: else -> break
  od;
  printf("frame %d: stored %d, aside %d, told %d, gone %d\n", f, (stored >> f) & 1,
         (aside >> f) & 1, (n >> f) & 1, (gone >> f) & 1);
  assert(((stored | aside | n) & BIT(f)) ||
         ((gone & BIT(f)) && (told_unclean & BIT(BOOT(key[f])))));
  i = 0;
  n = 0
}

proctype audit() {
  byte f;
  atomic {
    finished == DEVICES && SETTLED ->
    assert(alert == (aside != 0));
    d_step {
      do
      :: f < closed -> account(f); f++
      :: else -> break
      od;
      f = 0
    }
    accounted = true
  }
}

init {
  byte d;
  atomic {
    do
    :: d < DEVICES ->
      dev[d].link = OFFLINE;
      dev[d].boot = 1;
      dev[d].next = 1;
      dev[d].owed_from = 1;
      dev[d].reboots = REBOOTS;
      dev[d].alarms = ALARMS;
      run device(d, 1 - d);
      d++
    :: else -> break
    od;
    d = 0;
    run broker();
    run ingest();
    run faults();
    run audit()
  }
}

ltl promise { <> accounted }
