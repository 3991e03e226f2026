/* SPDX-License-Identifier: Apache-2.0 */
/* outbox_flash.c - the outbox whose frames lie in a store on flash.
 *
 *     arena:  box | blocks' states | a frame being put together | entries ...
 *
 * The entries are a window on the store: frames that are in flight or have been, those closed while
 * the connection is up, and of each class the next one of the backlog, for which a cursor walks the
 * log. A frame enters the window once and stays until it is freed, so the cursor never goes back.
 *
 * Frames become durable in groups (persist_frames, persist_ms), alarms at once; until then their
 * entry is UNSAFE and they are not published. The ledger of losses is written together with what it
 * tells of: when frames are evicted, before the next frame when one was refused, and before a frame
 * that carries some of it. What the flash does not take down has not been told: the ledger in RAM
 * goes back to what it was, and the frames stay. */
#include <string.h>

#include "client.h"
#include "loss_bytes.h"
#include "loss_join.h"
#include "pack.h"
#include "plant.h"
#include "store.h"

#define ENTRIES_BYTES 8192u
#define ENTRIES_BYTES_MIN 1024u
#define EARLIER_BOOT 0x80000000u /* in tokens */
#define ALARM_ENTRIES 4u         /* kept free for alarms */
#define LOADS_MAX 4u             /* frames looked at in one step, for each class */
#define READ_TRIES 3u            /* of a frame, before it counts as lost */
#define READ_AGAIN_MS 100u
#define PERSIST_MS_MAX 3600000u
#define FLASH_BYTES_MAX 0x1000000u
#define BLOCK_OF_READINGS_BYTES_MIN 4u      /* channel, count, mode, first value */
#define ORDINAL_REFUSED (0x80000000u + 16u) /* numbers that no frame on flash has */
#define NEVER UINT32_MAX

typedef struct place {
  uint32_t serial, offset;
  uint16_t index;
  uint16_t checked; /* how often it had been sent when its bytes were looked at last */
} place;

/* Frames receipted one after the other in a block: freed with one program. */
typedef struct freed_run {
  store_frame first;
  uint16_t count;
} freed_run;

/* The walk over the frames of a class. */
typedef struct walk {
  store_frame at;
  bool begun; /* `at` has been set */
  bool done;  /* there was nothing behind it */
  uint8_t tries;
  uint64_t again_at; /* after a read that failed */
} walk;

/* What had been told of before an attempt to tell more. */
typedef struct told {
  loss_ledger losses;
  uint64_t readings_evicted;
  uint32_t frames_evicted;
} told;

typedef struct box {
  store store;
  uint8_t *frame; /* where one is put together */
  walk walks[HTEL_CLASS_COUNT];
  freed_run runs[HTEL_CLASS_COUNT];
  told before;
  int refusal;            /* why the last reserve found no room */
  uint32_t readings_most; /* in a frame */
  uint32_t earlier;       /* frames of earlier boots that have entered the window */
  uint8_t unsafe;         /* frames appended since the last sync */
  uint8_t persist_frames;
  uint32_t persist_ms;
  uint64_t unsafe_since;
} box;

static box *box_of(htel *tel) {
  return tel->outbox.flash;
}

static uint32_t align_8(uint32_t bytes) {
  return (bytes + 7u) / 8u * 8u;
}

/* ---- configuration and opening --------------------------------------------------------- */

static uint32_t fixed_bytes(const htel_flash *flash, uint32_t frame_bytes) {
  return align_8(sizeof(box)) + align_8(flash->block_count * (uint32_t)sizeof(store_block)) +
         align_8(frame_bytes);
}

static bool is_power_of_2(uint32_t value, uint32_t least, uint32_t most) {
  return value >= least && value <= most && (value & (value - 1u)) == 0;
}

/* What is wrong with the flash, or NULL. */
static const char *flash_fault(const htel_flash *flash) {
  if (flash == NULL) return "outbox.code is for flash: say which";
  if (flash->read == NULL || flash->program == NULL || flash->erase == NULL || flash->sync == NULL)
    return "read, program, erase and sync must be there";
  if (!is_power_of_2(flash->block_bytes, 4096u, 65536u))
    return "block_bytes: a power of two from 4096 to 65536";
  if (!is_power_of_2(flash->program_bytes, 1u, 16u))
    return "program_bytes: a power of two from 1 to 16";
  if (flash->block_count < STORE_BLOCKS_MIN || flash->block_count > STORE_BLOCKS_MAX ||
      flash->block_count > FLASH_BYTES_MAX / flash->block_bytes)
    return "block_count: from 4 to 4096, and at most 16 MiB in all";
  return NULL;
}

static int32_t fault(const htel_config *config, const char *field, const char *why) {
  if (config->fault != NULL) *config->fault = (htel_config_fault){.field = field, .why = why};
  return HTEL_E_CONFIG;
}

static int32_t flash_check(const htel_config *config, uint32_t frame_bytes, uint32_t *arena_bytes) {
  const htel_outbox_config *c = &config->outbox;
  const char *wrong = flash_fault(c->flash);
  if (wrong != NULL) return fault(config, "outbox.flash", wrong);
  store s = {.flash = c->flash};
  if (frame_bytes > store_frame_bytes_max(&s, HTEL_CLASS_ALARM))
    return fault(config, "batch.bytes_max",
                 "frames do not fit the blocks of outbox.flash: 2048 fits any");
  if (c->persist_frames > STORE_UNSYNCED_MAX)
    return fault(config, "outbox.persist_frames", "from 1 to 32, or 0 for 1");
  if (c->persist_ms > PERSIST_MS_MAX)
    return fault(config, "outbox.persist_ms", "at most an hour (3600000), or 0 for 1000");
  uint32_t bytes = c->bytes == 0 ? ENTRIES_BYTES : c->bytes;
  if (bytes < ENTRIES_BYTES_MIN || bytes > 0x40000000u)
    return fault(config, "outbox.bytes", "on flash from 1024 to 1 GiB, or 0 for 8192");
  *arena_bytes = fixed_bytes(c->flash, frame_bytes) + bytes;
  return 0;
}

/* Lays the box out at the start of the arena; what is behind it stays for the entries. */
static box *box_lay(htel *tel, const htel_config *config) {
  outbox *o = &tel->outbox;
  const htel_flash *flash = config->outbox.flash;
  box *x = (box *)(void *)o->arena;
  uint32_t fixed = fixed_bytes(flash, tel->frame_bytes_max);
  memset(x, 0, sizeof *x);
  x->frame = o->arena + fixed - align_8(tel->frame_bytes_max);
  x->persist_frames = config->outbox.persist_frames == 0 ? 1u : config->outbox.persist_frames;
  x->persist_ms = config->outbox.persist_ms == 0 ? 1000u : config->outbox.persist_ms;
  o->flash = x;
  o->arena += fixed;
  o->size -= fixed;
  return x;
}

/* Readings that fit an open frame: those of a column take a few bytes when all are the same. */
static uint64_t readings_most(const htel *tel, uint32_t room) {
  uint64_t column = 8u;
  for (unsigned i = 0; i < tel->channel_count; i++)
    if (tel->batch.columns[i].room > column) column = tel->batch.columns[i].room;
  return room / BLOCK_OF_READINGS_BYTES_MIN * column;
}

static uint32_t at_most_32(uint64_t value) {
  return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* So many accepted readings a boot may have in RAM at most: rings full of single samples, columns,
 * open frames, frames that are not durable yet, one that was refused and is not told of yet. */
static uint32_t at_risk(const htel *tel) {
  const box *x = tel->outbox.flash;
  uint64_t readings = 0;
  for (unsigned i = 0; i < tel->ring_count; i++) readings += tel->rings[i].mask + 1u;
  for (unsigned i = 0; i < tel->channel_count; i++) readings += tel->batch.columns[i].room;
  for (unsigned i = 0; i < HTEL_CLASS_COUNT; i++)
    readings += readings_most(tel, tel->batch.frames[i].room);
  readings += (uint64_t)x->readings_most * (x->persist_frames + 1u);
  return at_most_32(readings);
}

/* Entries mostly share their carrier, and to look for it is dear. */
typedef struct carrier_look {
  box *box;
  uint32_t frame_bytes_max;
  uint32_t asked; /* 0: none yet */
  bool durable;
} carrier_look;

static bool carrier_find(const carrier_look *look, uint32_t carrier) {
  box *x = look->box;
  store *s = &x->store;
  store_frame f;
  int rc = store_first(s, HTEL_CLASS_ALARM, &f);
  while (rc == 1 && (f.boot != s->losses_boot || f.sequence != carrier)) rc = store_next(s, &f);
  if (rc == 0 && s->losses_boot == s->boot && store_was_durable(s, carrier)) return true;
  if (rc == 0) return store_was_freed(s, HTEL_CLASS_ALARM, s->losses_boot, carrier);
  return rc == 1 && f.size <= look->frame_bytes_max && store_repair(s, &f, x->frame) == 0;
}

/* The frame that carried some of the ledger is here and can be read, or it is receipted, or was
 * durable. Of a boot before the last one the latter cannot be known: rather tell twice than not at
 * all. */
static bool carrier_is_durable(void *ctx, uint32_t carrier) {
  carrier_look *look = ctx;
  if (look->asked != carrier) look->durable = carrier_find(look, carrier);
  look->asked = carrier;
  return look->durable;
}

/* 1: some of what is in it has been said already; 0: nothing of it. */
static int ledger_read(htel *tel) {
  uint8_t bytes[STORE_LOSSES_BYTES_MAX];
  carrier_look look = {.box = box_of(tel), .frame_bytes_max = tel->frame_bytes_max};
  int size = store_losses_read(&look.box->store, bytes, sizeof bytes);
  if (size <= 0) return size == HTEL_E_CRC ? 0 : size;
  loss_bytes_read(&tel->losses, bytes, (size_t)size, carrier_is_durable, &look);
  return loss_bytes_write(&tel->losses, 0, bytes) < (size_t)size;
}

/* ---- eviction -------------------------------------------------------------------------- */

static void entry_from(outbox_entry *e, const store_frame *f) {
  *e = (outbox_entry){.boot = f->boot,
                      .token = f->sequence,
                      .sequence = f->sequence,
                      .ordinal = f->ordinal,
                      .size = f->size,
                      .kept = sizeof(place),
                      .readings = f->readings,
                      .tick_first = f->tick_first,
                      .tick_last = f->tick_last,
                      .frame_class = f->frame_class,
                      .state = OUTBOX_WAITING};
}

static place *place_of(const outbox_entry *e) {
  return (place *)(void *)(uintptr_t)outbox_frame(e);
}

/* The frame of a window entry, as far as the store needs it to find it. */
static void frame_of(const outbox_entry *e, store_frame *f) {
  const place *p = place_of(e);
  *f = (store_frame){.boot = e->boot,
                     .sequence = e->sequence,
                     .size = e->size,
                     .serial = p->serial,
                     .offset = p->offset,
                     .index = p->index,
                     .frame_class = e->frame_class};
}

static void runs_flush(box *x) {
  for (unsigned c = 0; c < HTEL_CLASS_COUNT; c++) {
    /* If it fails the frames are there again after a restart; the ingest knows them by then. */
    if (x->runs[c].count > 0) (void)store_free(&x->store, &x->runs[c].first, x->runs[c].count);
    x->runs[c].count = 0;
  }
}

/* Blocks with frames that the link may be at are better not evicted. */
static void hold_in_flight(htel *tel, bool held) {
  outbox *o = &tel->outbox;
  for (outbox_entry *e = outbox_next(o, NULL); e != NULL; e = outbox_next(o, e)) {
    store_frame f;
    if (e->state != OUTBOX_IN_FLIGHT) continue;
    frame_of(e, &f);
    store_hold(&box_of(tel)->store, &f, held);
  }
}

static void window_forget(htel *tel, uint32_t serial) {
  outbox *o = &tel->outbox;
  for (outbox_entry *e = outbox_next(o, NULL); e != NULL; e = outbox_next(o, e))
    if (place_of(e)->serial == serial) outbox_free(o, e);
}

/* ---- telling of losses ------------------------------------------------------------------ */

static void told_keep(htel *tel) {
  box_of(tel)->before = (told){.losses = tel->losses,
                               .readings_evicted = tel->stats.readings_evicted,
                               .frames_evicted = tel->stats.frames_evicted};
}

static void told_undo(htel *tel) {
  const told *before = &box_of(tel)->before;
  tel->losses = before->losses;
  tel->stats.readings_evicted = before->readings_evicted;
  tel->stats.frames_evicted = before->frames_evicted;
}

static size_t ledger_bytes(htel *tel, uint8_t bytes[LOSS_BYTES_MAX]) {
  loss_clamp(&tel->losses);
  return loss_bytes_write(&tel->losses, tel->boot, bytes);
}

/* The ledger goes to flash if it finds room there. */
static int ledger_put(htel *tel, uint32_t sequence) {
  uint8_t bytes[LOSS_BYTES_MAX];
  size_t size = ledger_bytes(tel, bytes);
  return store_losses_write(&box_of(tel)->store, bytes, size, sequence);
}

/* An alarm frame of an earlier boot may carry loss records that no ledger has any more. */
static void take_back(htel *tel, const store_frame *f) {
  box *x = box_of(tel);
  htel_frame frame;
  if (f->frame_class != HTEL_CLASS_ALARM || f->boot == tel->boot) return;
  if (f->size > tel->frame_bytes_max || store_repair(&x->store, f, x->frame) != 0) return;
  if (htel_frame_decode(&frame, x->frame, f->size) != 0) return;
  for (uint16_t i = 0; i < frame.loss_count; i++) loss_take_back(&tel->losses, &frame.losses[i]);
}

static void frame_lost(htel *tel, const store_frame *f) {
  outbox_entry e;
  entry_from(&e, f);
  if (loss_is_told(&tel->losses, &e)) return;
  if (f->boot != tel->boot) e.token = EARLIER_BOOT; /* no carrier that the ledger knows */
  take_back(tel, f);
  loss_make_way(&tel->losses, f->frame_class, f->boot);
  pack_evicted(tel, &e);
}

/* Frames right before `f` that cannot be read: their number is known, and that they came after
 * `behind`, where that lies in the same block. */
static void unread_lost(htel *tel, const store_frame *behind, const store_frame *f) {
  box *x = box_of(tel);
  if (f->lost == 0) return;
  if (behind != NULL && behind->serial != f->serial) behind = NULL;
  htel_loss loss = {.cause = HTEL_CAUSE_OUTBOX_FULL,
                    .boot = behind != NULL ? behind->boot : x->store.look.boot,
                    .frame_class = f->frame_class,
                    .sequence_first = 1,
                    .sequence_last = INT32_MAX,
                    .tick_last = f->tick_first,
                    .readings = (uint64_t)f->lost * x->readings_most,
                    .frames = f->lost,
                    .at_most = true};
  if (loss.boot >= f->boot) { /* else nobody knows how many are of which boot */
    loss.boot = f->boot;
    loss.sequence_last = f->sequence - 1u;
    if (behind != NULL) loss.sequence_first = behind->sequence + 1u;
    if (behind != NULL) loss.tick_first = behind->tick_last;
  } else {
    loss.boot_last = f->boot;
  }
  if (loss.sequence_first <= loss.sequence_last) loss_take_back(&tel->losses, &loss);
}

/* ---- eviction -------------------------------------------------------------------------- */

/* Gives up the block that a frame of `frame_class` may push out. 1; 0: there is none; or an error:
 * then nothing has gone. */
static int evict_block(htel *tel, uint8_t frame_class, const uint8_t *when_full) {
  store *s = &box_of(tel)->store;
  store_frame victim;
  runs_flush(box_of(tel));
  hold_in_flight(tel, true);
  int rc = store_victim(s, frame_class, when_full, &victim);
  hold_in_flight(tel, false);
  if (rc != 1) return rc;
  told_keep(tel);
  store_frame f = victim;
  unread_lost(tel, NULL, &f);
  for (;;) {
    frame_lost(tel, &f);
    store_frame behind = f;
    rc = store_next_in_block(s, &f);
    if (rc != 1) break;
    unread_lost(tel, &behind, &f);
  }
  uint8_t bytes[LOSS_BYTES_MAX];
  size_t size = ledger_bytes(tel, bytes);
  if (rc == 0) rc = store_evict(s, &victim, bytes, size);
  if (rc != 0) {
    told_undo(tel);
    return rc;
  }
  window_forget(tel, victim.serial);
  return 1;
}

static const uint8_t drop_oldest[HTEL_CLASS_COUNT] = {0};

/* Makes room for itself, whatever when_full says: nothing may be lost without it. */
static int ledger_write(htel *tel, uint32_t sequence) {
  for (;;) { /* each round gives up a block */
    int rc = ledger_put(tel, sequence);
    if (rc != HTEL_E_FULL) return rc;
    if (evict_block(tel, HTEL_CLASS_ALARM, drop_oldest) != 1) return HTEL_E_STORE;
  }
}

/* Nothing is given up for a flash that fails: that would not mend it. */
static bool flash_evict(htel *tel, uint8_t frame_class) {
  bool full = box_of(tel)->refusal == HTEL_E_FULL;
  if (full && evict_block(tel, frame_class, tel->outbox.when_full) == 1) return true;
  loss_make_way(&tel->losses, frame_class, tel->boot); /* for the newcomer */
  return false;
}

/* ---- opening --------------------------------------------------------------------------- */

/* Without a boot no receipt could free anything: so room is made for it, whatever when_full says.
 */
static int boot_begin(htel *tel, uint32_t risk, store_boot *boot) {
  box *x = box_of(tel);
  for (;;) { /* each round gives up a block */
    int rc = store_boot_begin(&x->store, risk, boot);
    if (rc != HTEL_E_FULL) return rc;
    if (evict_block(tel, HTEL_CLASS_ALARM, drop_oldest) != 1) return HTEL_E_STORE;
  }
}

static int flash_open(htel *tel, const htel_config *config) {
  box *x = box_lay(tel, config);
  for (unsigned c = 0; c < HTEL_CLASS_COUNT; c++) {
    uint32_t most = at_most_32(readings_most(tel, tel->batch.frames[c].room));
    if (most > x->readings_most) x->readings_most = most;
    tel->ordinal_next[c] = ORDINAL_REFUSED; /* for those that never get there */
  }
  uint8_t *blocks = (uint8_t *)x + align_8(sizeof *x);
  int rc = store_mount(&x->store, config->outbox.flash, (store_block *)(void *)blocks);
  if (rc == 0) rc = ledger_read(tel);
  if (rc < 0) return rc;
  /* Only this boot knows what its predecessor has said, and may be cut before it says so: what was
   * said leaves the ledger first. Where there is no room for that, later. */
  bool stale = rc == 1 && ledger_put(tel, 0) != 0;
  store_boot boot;
  bool owed = loss_waiting(&tel->losses);
  rc = boot_begin(tel, at_risk(tel), &boot);
  if (rc != 0) return rc;
  tel->boot = boot.number;
  if (boot.unclean && !PLANT(38))
    loss_unclean_at_most(&tel->losses, boot.unclean_first, boot.number - 1u, boot.at_risk);
  if (boot.unclean || owed) return ledger_write(tel, 0);
  if (stale) (void)ledger_put(tel, 0);
  return 0;
}

/* ---- frames in ------------------------------------------------------------------------- */

static bool window_room(const htel *tel, uint8_t frame_class) {
  const outbox *o = &tel->outbox;
  uint32_t spare = frame_class == HTEL_CLASS_ALARM ? 0 : ALARM_ENTRIES;
  return o->size - o->used >= (spare + 1u) * outbox_bytes_for(sizeof(place));
}

static bool window_put(htel *tel, outbox_entry *e, const store_frame *f) {
  outbox *o = &tel->outbox;
  if (!window_room(tel, e->frame_class)) return false;
  place p = {.serial = f->serial, .offset = f->offset, .index = f->index};
  e->token = f->boot == tel->boot ? f->sequence : EARLIER_BOOT | ++box_of(tel)->earlier;
  e->kept = sizeof p;
  e->boot = f->boot;
  bool safe = f->boot != tel->boot || f->sequence <= store_persisted(&box_of(tel)->store);
  e->state = safe ? OUTBOX_WAITING : OUTBOX_UNSAFE;
  uint8_t *to = outbox_reserve(o, sizeof p);
  if (to == NULL) return false;
  memcpy(to, &p, sizeof p);
  outbox_commit(o, e);
  return true;
}

static bool carries_losses(const htel *tel, uint32_t sequence) {
  for (unsigned i = 0; i < LOSS_ENTRIES; i++)
    if (tel->losses.entries[i].carrier == sequence) return true;
  return false;
}

/* Numbers of frames that were refused are told of before the next frame is put together: else it
 * would be taken for one behind a hole. And the ledger names the carrier of a record before that
 * may be durable: else both would be said after a cut. */
static uint8_t *flash_reserve(htel *tel, uint8_t frame_class, uint32_t size) {
  box *x = box_of(tel);
  uint32_t sequence = tel->sequence_next - 1u; /* of this frame */
  bool ledger = x->store.sequence + 1u < sequence ||
                (frame_class == HTEL_CLASS_ALARM && carries_losses(tel, sequence) && !PLANT(43));
  x->refusal = ledger ? ledger_write(tel, sequence - 1u) : 0;
  if (x->refusal == 0) x->refusal = store_reserve(&x->store, frame_class, size, sequence);
  return x->refusal == 0 ? x->frame : NULL;
}

static int make_safe(htel *tel) {
  box *x = box_of(tel);
  int rc = store_sync(&x->store);
  if (rc != 0) return rc;
  x->unsafe = 0;
  outbox *o = &tel->outbox;
  for (outbox_entry *e = outbox_next(o, NULL); e != NULL; e = outbox_next(o, e))
    if (e->state == OUTBOX_UNSAFE) e->state = OUTBOX_WAITING;
  return 0;
}

static int flash_commit(htel *tel, outbox_entry *entry) {
  box *x = box_of(tel);
  store_frame f = {.boot = tel->boot,
                   .tick_first = entry->tick_first,
                   .tick_last = entry->tick_last,
                   .sequence = entry->sequence,
                   .readings = entry->readings,
                   .size = entry->size,
                   .frame_class = entry->frame_class};
  int rc = store_append(&x->store, &f, x->frame);
  if (rc != 0) loss_make_way(&tel->losses, f.frame_class, f.boot); /* it will be told of as lost */
  if (rc != 0) return rc;
  entry->ordinal = f.ordinal;
  if (x->unsafe++ == 0) x->unsafe_since = tel->time.now;
  bool alarm = f.frame_class == HTEL_CLASS_ALARM;
  if (alarm || x->unsafe >= x->persist_frames) (void)make_safe(tel); /* else it is tried again */
  if (tel->delivery.state != DELIVERY_ONLINE || !window_put(tel, entry, &f))
    x->walks[f.frame_class].done = false;
  return 0;
}

/* ---- frames out ------------------------------------------------------------------------ */

static bool window_has(const htel *tel, const store_frame *f) {
  const outbox *o = &tel->outbox;
  for (const outbox_entry *e = outbox_next(o, NULL); e != NULL; e = outbox_next(o, e))
    if (place_of(e)->serial == f->serial && place_of(e)->index == f->index) return true;
  return false;
}

/* The ledger as it is now is told, and then the frames go; or neither. */
static void lose(htel *tel, const store_frame *first, uint16_t count) {
  if (ledger_put(tel, 0) == 0)
    (void)store_free(&box_of(tel)->store, first, count);
  else
    told_undo(tel); /* they stay: the next boot finds them again */
}

/* Frames that cannot be read any more, `f` itself or some right before it, are lost. */
static void lose_unread(htel *tel, const store_frame *behind, const store_frame *f) {
  store_frame first = *f;
  first.index = (uint16_t)(f->index - f->lost);
  told_keep(tel);
  unread_lost(tel, behind, f);
  lose(tel, &first, f->lost);
}

static void lose_frame(htel *tel, const store_frame *f) {
  told_keep(tel);
  frame_lost(tel, f);
  lose(tel, f, 1);
}

static uint32_t walk_later(htel *tel, walk *w) {
  w->again_at = tel->time.now + READ_AGAIN_MS;
  return READ_AGAIN_MS;
}

/* The walk stands before `next`: 1: it is in the window now; 0: it is not to be sent, go on; or a
 * read error that may pass. */
static int window_take(htel *tel, walk *w, const store_frame *next) {
  if (next->lost > 0) lose_unread(tel, w->begun ? &w->at : NULL, next);
  int sound = store_check(&box_of(tel)->store, next);
  bool failed = sound < 0 && sound != HTEL_E_CRC && sound != HTEL_E_CLOSED;
  if (failed && ++w->tries < READ_TRIES) return sound;
  w->tries = 0;
  if (failed || sound == HTEL_E_CRC) lose_frame(tel, next);
  outbox_entry e;
  entry_from(&e, next);
  return sound == 0 && window_put(tel, &e, next) ? 1 : 0;
}

/* The next frame of a class that is not in the window yet. Milliseconds until there is to be looked
 * again; NEVER: for now all of them have been seen, or there is no room. */
static uint32_t window_load(htel *tel, uint8_t frame_class) {
  box *x = box_of(tel);
  walk *w = &x->walks[frame_class];
  if (w->done || !window_room(tel, frame_class)) return NEVER;
  if (tel->time.now < w->again_at) return (uint32_t)(w->again_at - tel->time.now);
  for (unsigned i = 0; i < LOADS_MAX; i++) {
    store_frame next = w->at;
    int rc = w->begun ? store_next(&x->store, &next) : store_first(&x->store, frame_class, &next);
    if (rc < 0) return walk_later(tel, w);
    w->done = rc == 0;
    if (rc == 0) return NEVER;
    rc = window_has(tel, &next) ? 0 : window_take(tel, w, &next);
    if (rc < 0) return walk_later(tel, w);
    w->at = next;
    w->begun = true;
    if (rc == 1) return NEVER;
  }
  return 0;
}

/* Something of this class is there to be sent: for all but alarms something from before the
 * connection, since what came later is in the window already. */
static bool window_waits(const htel *tel, uint8_t frame_class) {
  const outbox *o = &tel->outbox;
  for (const outbox_entry *e = outbox_next(o, NULL); e != NULL; e = outbox_next(o, e)) {
    if (e->frame_class != frame_class || e->state == OUTBOX_IN_FLIGHT) continue;
    bool live = (int32_t)e->token >= (int32_t)tel->delivery.live_from;
    if (!live || frame_class == HTEL_CLASS_ALARM) return true;
  }
  return false;
}

/* Milliseconds until frames that are not durable have to be. */
static uint32_t safe_fill(htel *tel) {
  box *x = box_of(tel);
  if (x->unsafe == 0) return NEVER;
  uint64_t age = tel->time.now - x->unsafe_since;
  if (!tel->flushing && age < x->persist_ms) return x->persist_ms - (uint32_t)age;
  if (make_safe(tel) == 0) return NEVER;
  x->unsafe_since = tel->time.now; /* not at every poll */
  return x->persist_ms;
}

/* What goes out again may have rotted since it was read, and would go out in vain for ever. */
static void window_check(htel *tel) {
  outbox *o = &tel->outbox;
  for (outbox_entry *e = outbox_next(o, NULL); e != NULL; e = outbox_next(o, e)) {
    if (e->sends < 2u || place_of(e)->checked == e->sends) continue;
    store_frame f;
    frame_of(e, &f);
    f.readings = e->readings;
    f.tick_first = e->tick_first;
    f.tick_last = e->tick_last;
    place_of(e)->checked = e->sends;
    if (store_check(&box_of(tel)->store, &f) != HTEL_E_CRC) return;
    lose_frame(tel, &f);
    outbox_free(o, e);
    return;
  }
}

static uint32_t flash_fill(htel *tel) {
  runs_flush(box_of(tel));
  window_check(tel);
  uint32_t wait = safe_fill(tel);
  tel->outbox.more = false;
  for (uint8_t c = 0; c < HTEL_CLASS_COUNT; c++) {
    uint32_t again = window_waits(tel, c) ? NEVER : window_load(tel, c);
    if (again < wait) wait = again;
    if (!box_of(tel)->walks[c].done) tel->outbox.more = true;
  }
  return wait;
}

static int flash_read_frame(htel *tel, const outbox_entry *entry, uint32_t offset, uint8_t *buf,
                            size_t size) {
  store_frame f;
  frame_of(entry, &f);
  return store_read(&box_of(tel)->store, &f, offset, buf, size);
}

/* What the frame carried is on flash again, as still to be said; true also where it carried
 * nothing. */
static bool aside_kept(htel *tel, const outbox_entry *entry) {
  store_frame f;
  frame_of(entry, &f);
  told_keep(tel);
  take_back(tel, &f);
  if (!loss_waiting(&tel->losses) || ledger_put(tel, 0) == 0) return true;
  told_undo(tel);
  return false;
}

static void flash_freed(htel *tel, const outbox_entry *entry, bool aside) {
  bool alarm = entry->frame_class == HTEL_CLASS_ALARM;
  if (aside && alarm && !aside_kept(tel, entry))
    return; /* it stays: after a restart it goes again */
  freed_run *run = &box_of(tel)->runs[entry->frame_class];
  const place *p = place_of(entry);
  if (run->count > 0 && run->first.serial == p->serial &&
      run->first.index + run->count == p->index) {
    run->count++;
    return;
  }
  if (run->count > 0) (void)store_free(&box_of(tel)->store, &run->first, run->count);
  frame_of(entry, &run->first);
  run->count = 1;
}

static uint32_t flash_used(const htel *tel) {
  const box *x = tel->outbox.flash;
  return store_bytes_used(&x->store);
}

/* No frames are given up for the note of a clean end: then it was an unclean one. */
static int flash_close(htel *tel, bool clean) {
  box *x = box_of(tel);
  runs_flush(x);
  int rc = make_safe(tel);
  bool untold = loss_waiting(&tel->losses) || x->store.sequence + 1u < tel->sequence_next;
  if (rc == 0 && untold) rc = ledger_write(tel, tel->sequence_next - 1u);
  return rc != 0 || !clean ? rc : store_boot_end(&x->store);
}

const htel_outbox_code htel_outbox_on_flash = {.check = flash_check,
                                               .open = flash_open,
                                               .reserve = flash_reserve,
                                               .commit = flash_commit,
                                               .evict = flash_evict,
                                               .fill = flash_fill,
                                               .read = flash_read_frame,
                                               .freed = flash_freed,
                                               .used = flash_used,
                                               .close = flash_close};
