/* SPDX-License-Identifier: Apache-2.0 */
/* outbox.pml - frames that a device keeps, and the ledger of those that it lost. All of this
 * happens within one step of a device: nobody sees it half done. */

/* ---- the ledger of losses ------------------------------------------------------------------ */

inline ledger_lose(d, c, set) {
  if
  :: BUG == 6 -> skip
  :: else ->
    if
    :: dev[d].lost[c] == 0 -> dev[d].id_last++; dev[d].id[c] = dev[d].id_last
    :: else /* @loss_grow told already or not: it is told again, larger, under the same id */
    fi;
    dev[d].lost[c] = dev[d].lost[c] | (set);
    if
    :: BUG == 13 && dev[d].carrier[c] -> skip
    :: else -> dev[d].carrier[c] = 0
    fi
  fi
}

inline ledger_reopen(d, c, f) {
  if
  :: dev[d].carrier[c] == f + 1 ->
    dev[d].lost[c] = (BUG == 11 -> 0 : dev[d].lost[c]);
    dev[d].carrier[c] = 0
  :: else
  fi;
  if
  :: FLASH && BOOT(key[f]) != dev[d].boot && carried[CARRIED(f, c)] && BUG != 11 ->
    ledger_lose(d, c, carried[CARRIED(f, c)])
  :: else
  fi
}

/* @loss_return The frame that carried records is evicted or put aside: they go again. Those of an
 * earlier boot's frame are in no ledger any more: they are read out of it. */
inline ledger_return(d, f) {
  ledger_reopen(d, 0, f);
  ledger_reopen(d, 1, f);
  if
  :: dev[d].unclean_carrier == f + 1 -> dev[d].unclean_carrier = 0
  :: else
  fi;
  if
  :: FLASH && BOOT(key[f]) != dev[d].boot && carried_unclean[f] ->
    dev[d].unclean = dev[d].unclean | carried_unclean[f];
    dev[d].unclean_carrier = 0
  :: else
  fi
}

/* @loss_done The frame that carried records is receipted. */
inline ledger_done(d, f) {
  if
  :: dev[d].carrier[0] == f + 1 -> dev[d].lost[0] = 0; dev[d].carrier[0] = 0
  :: else
  fi;
  if
  :: dev[d].carrier[1] == f + 1 -> dev[d].lost[1] = 0; dev[d].carrier[1] = 0
  :: else
  fi;
  if
  :: dev[d].unclean_carrier == f + 1 -> dev[d].unclean = 0; dev[d].unclean_carrier = 0
  :: else
  fi
}

/* @loss_take A frame takes all entries along that are open. */
inline ledger_take(d, c, f) {
  if
  :: dev[d].lost[c] && dev[d].carrier[c] == 0 ->
    carried[CARRIED(f, c)] = dev[d].lost[c];
    carried_id[CARRIED(f, c)] = dev[d].id[c];
    dev[d].carrier[c] = f + 1
  :: else
  fi
}

/* ---- the outbox ---------------------------------------------------------------------------- */

inline outbox_drop(d, set) {
  dev[d].unsafe = dev[d].unsafe & ~(set);
  dev[d].waiting = dev[d].waiting & ~(set);
  dev[d].in_flight = dev[d].in_flight & ~(set)
}

/* The oldest of the least important class, rather one that is not in flight. */
inline choose_victim(d, is_alarm) {
  victim = FRAMES;
  if
  :: REFUSE && !(is_alarm) -> skip
  :: (OUTBOX(d) & ~alarms & ~dev[d].in_flight) && !REFUSE ->
    oldest(victim, OUTBOX(d) & ~alarms & ~dev[d].in_flight)
  :: else ->
    if
    :: (OUTBOX(d) & ~alarms) -> oldest(victim, OUTBOX(d) & ~alarms)
    :: else ->
      if
      :: (is_alarm) && (OUTBOX(d) & alarms & ~dev[d].in_flight) ->
        oldest(victim, OUTBOX(d) & alarms & ~dev[d].in_flight)
      :: (is_alarm) && !(OUTBOX(d) & alarms & ~dev[d].in_flight) && OUTBOX(d) ->
        oldest(victim, OUTBOX(d))
      :: else
      fi
    fi
  fi
}

/* Room for one more frame, or `victim` is FRAMES. @evict */
inline make_room(d, is_alarm) {
  victim = 0;
  do
  :: COUNT(OUTBOX(d)) < ROOM || victim == FRAMES -> break
  :: else ->
    choose_victim(d, is_alarm);
    if
    :: victim < FRAMES ->
      printf("device %d evicts frame %d\n", d, victim);
      outbox_drop(d, BIT(victim));
      ledger_lose(d, CLASS(victim), BIT(victim));
      ledger_return(d, victim)
    :: else
    fi
  od
}

inline keep(d, f) {
  if
  :: FLASH -> dev[d].unsafe = dev[d].unsafe | BIT(f)
  :: else -> dev[d].waiting = dev[d].waiting | BIT(f)
  fi
}

/* @close_frame numbers a frame and puts it into the outbox. @refuse Where there is no room it is
 * as if it had been evicted at once: its number is used. */
inline close_frame(d, is_alarm, with_losses) {
  assert(closed < FRAMES); /* else the configuration is too small for itself */
  n = closed;
  closed++;
  key[n] = KEY(dev[d].boot, dev[d].next);
  dev[d].next++;
  if
  :: is_alarm -> alarms = alarms | BIT(n)
  :: else
  fi;
  if
  :: with_losses ->
    ledger_take(d, 0, n);
    ledger_take(d, 1, n);
    if
    :: dev[d].unclean && dev[d].unclean_carrier == 0 ->
      carried_unclean[n] = dev[d].unclean;
      dev[d].unclean_carrier = n + 1
    :: else
    fi
  :: else
  fi;
  dev[d].refused = 0; /* on flash the ledger is written before the next frame */
  printf("device %d closes frame %d (boot %d, sequence %d), with loss records: %d\n", d, n,
         dev[d].boot, dev[d].next - 1, with_losses);
  make_room(d, is_alarm);
  if
  :: victim < FRAMES -> keep(d, n)
  :: else ->
    printf("device %d has no room for frame %d\n", d, n);
    ledger_lose(d, CLASS(n), BIT(n));
    dev[d].refused = dev[d].refused | BIT(n);
    if
    :: BUG == 2 -> dev[d].next--
    :: else
    fi
  fi;
  n = 0;
  victim = 0
}

/* A receipt (or, in BROKER mode, a PUBACK) frees a frame. What it means must be true. */
inline free_frame(d, f) {
  printf("device %d frees frame %d\n", d, f);
  assert(BROKER_MODE || KEY_IS_ENOUGH || (BIT(f) & (stored | aside)));
  outbox_drop(d, BIT(f));
  if
  :: FLASH -> dev[d].freed = dev[d].freed | BIT(f)
  :: else
  fi
}
