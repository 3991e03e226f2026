/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include <stdlib.h>
#include <string.h>

enum { FRAME_BYTES_MAX = 4096 };

/* ---- Bytes that only one frame and one ledger can have -------------------------------- */

/* Some look like erased or worn-out flash. */
static void frame_fill(const model_frame *f, uint8_t *bytes) {
  sim_random r = {f->boot * 0x10001u + f->sequence * 8u + f->frame_class};
  uint32_t kind = random_below(&r, 8);
  for (uint32_t i = 0; i < f->size; i++) {
    if (kind == 0) bytes[i] = 0xFF;
    if (kind == 1) bytes[i] = 0;
    if (kind > 1) bytes[i] = (uint8_t)random_u32(&r);
    if (kind == 2 && i > f->size / 2) bytes[i] = 0xFF;
  }
  for (uint32_t i = 0; i < 4 && i < f->size; i++) bytes[i] = (uint8_t)(f->sequence >> (8 * i));
}

static size_t ledger_fill(uint32_t number, uint8_t *bytes) {
  sim_random r = {number};
  size_t size = 4 + random_below(&r, STORE_LOSSES_BYTES_MAX - 3);
  for (size_t i = 0; i < size; i++)
    bytes[i] = (uint8_t)(i < 4 ? number >> (8 * i) : random_u32(&r));
  return size;
}

/* ---- Life ----------------------------------------------------------------------------- */

void device_init(device *d, flash_sim *flash, uint64_t seed) {
  *d = (device){.flash = flash, .random = {seed}};
  d->tick = random_below(&d->random, 1000000);
  d->blocks = malloc(flash->geometry.block_count * sizeof *d->blocks);
  if (d->blocks == NULL) abort();
  model_init(&d->model);
}

void device_free(device *d) {
  free(d->blocks);
  model_free(&d->model);
}

void device_copy(device *to, const device *from) {
  model kept = to->model;
  store_block *blocks = to->blocks;
  *to = *from;
  to->blocks = blocks;
  to->model = kept;
  model_copy(&to->model, &from->model);
}

static bool fine(const device *d) {
  return d->model.fault == MODEL_GOOD && !d->flash->dead && !d->worn_out &&
         d->flash->violation[0] == '\0';
}

/* An answer that must not be, unless the power or the last good block has gone. */
static bool wrong(device *d, const char *call, int rc) {
  if (d->wears && (rc == HTEL_E_STORE || rc == HTEL_E_FULL) && !d->flash->dead && !d->worn_out) {
    d->worn_out = true;
    d->last_call = call;
    d->last_answer = rc;
  }
  if (!d->flash->dead && !d->worn_out)
    model_fail(&d->model, MODEL_ANSWER, "%s returned %d", call, rc);
  return false;
}

static void note_persisted(device *d) {
  uint32_t persisted = store_persisted(&d->store);
  if (persisted > d->sequence)
    model_fail(&d->model, MODEL_ANSWER, "store_persisted says %u, the last frame is %u", persisted,
               d->sequence);
  model_persisted(&d->model, persisted);
}

/* ---- The check after a mount ---------------------------------------------------------- */

static bool check_bytes(device *d, const store_frame *found, const model_frame *expected) {
  uint8_t bytes[FRAME_BYTES_MAX], wanted[FRAME_BYTES_MAX];
  int rc = store_check(&d->store, found);
  if (rc == HTEL_E_CRC || (rc == HTEL_E_STORE && d->model.rot && !d->flash->dead)) return false;
  if (rc != 0) return wrong(d, "store_check", rc);
  uint32_t offset = found->sequence % 3u < found->size ? found->sequence % 3u : 0;
  rc = store_read(&d->store, found, 0, bytes, offset);
  if (rc == 0) rc = store_read(&d->store, found, offset, bytes + offset, found->size - offset);
  if (rc != 0) return wrong(d, "store_read", rc);
  frame_fill(expected, wanted);
  if (memcmp(bytes, wanted, found->size) == 0) return true;
  model_fail(&d->model, MODEL_ALTERED, "bytes of frame %llu.%u differ",
             (unsigned long long)found->boot, found->sequence);
  return true;
}

static void check_frame(device *d, const store_frame *found) {
  model_frame frame = {.boot = found->boot,
                       .tick_first = found->tick_first,
                       .tick_last = found->tick_last,
                       .sequence = found->sequence,
                       .size = found->size,
                       .readings = found->readings,
                       .frame_class = found->frame_class};
  model_frame *expected = model_found(&d->model, &frame);
  d->counts.frames++;
  d->lost += found->lost;
  if (found->lost != 0 && !d->model.rot && !d->model.ruin)
    model_fail(&d->model, MODEL_LOST, "%u frames before %llu.%u are said to be lost",
               (unsigned)found->lost, (unsigned long long)found->boot, found->sequence);
  if (expected == NULL || d->model.fault != MODEL_GOOD) return;
  bool read = d->thorough || expected->unsynced || expected->going || expected->evicting_by != 0 ||
              random_below(&d->random, 8) == 0;
  if (!read || check_bytes(d, found, expected)) return;
  /* What was not durable yet may be torn, as long as the store says so. */
  bool torn = expected->unsynced || expected->damaged;
  if (!expected->damaged) d->damaged_ever++;
  expected->damaged = true;
  d->damaged++;
  if (!torn && !d->model.rot)
    model_fail(&d->model, MODEL_ALTERED, "frame %llu.%u is damaged",
               (unsigned long long)found->boot, found->sequence);
}

static void check_ledger(device *d) {
  uint8_t bytes[STORE_LOSSES_BYTES_MAX], wanted[STORE_LOSSES_BYTES_MAX];
  int size = store_losses_read(&d->store, bytes, sizeof bytes);
  uint32_t number = 0;
  if (size >= 4)
    number =
        bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
  if (size != 0) {
    size_t bytes_wanted = ledger_fill(number, wanted);
    if (size < 4 || (size_t)size != bytes_wanted || memcmp(bytes, wanted, bytes_wanted) != 0) {
      model_fail(&d->model, MODEL_LEDGER, "the ledger cannot be read (%d)", size);
      return;
    }
  }
  model_check_begin(&d->model, number);
}

bool device_check(device *d) {
  d->damaged = d->lost = 0;
  check_ledger(d);
  uint32_t limit = d->flash->geometry.block_count * STORE_FRAMES_MAX;
  for (uint8_t c = 0; c < HTEL_CLASS_COUNT && fine(d); c++) {
    store_frame frame;
    uint32_t seen = 0;
    int rc = store_first(&d->store, c, &frame);
    while (rc == 1 && fine(d) && seen++ < limit) {
      if (frame.frame_class != c)
        model_fail(&d->model, MODEL_ALTERED, "class %u iterated, %u found", c, frame.frame_class);
      check_frame(d, &frame);
      rc = store_next(&d->store, &frame);
    }
    if (fine(d) && rc != 0) return wrong(d, "store_first or store_next", rc);
  }
  if (fine(d)) model_check_end(&d->model);
  return fine(d);
}

/* ---- Ledger, eviction ------------------------------------------------------------------ */

/* The least important class that has a frame and is not more important than the newcomer's. */
static int class_to_go(const device *d, uint8_t newcomer, const uint8_t *when_full) {
  int worst = -1;
  for (size_t i = 0; i < d->model.count; i++) {
    const model_frame *f = &d->model.frames[i];
    if (f->going || f->evicting_by != 0 || f->frame_class < newcomer) continue;
    if (f->frame_class == newcomer && when_full[newcomer] == HTEL_REFUSE_NEWEST) continue;
    if (f->coming) continue;
    if (f->frame_class > worst) worst = f->frame_class;
  }
  return worst;
}

/* 1: a block has gone; 0: nothing may go; -1: a fault, or the power went. */
static int evict(device *d, uint8_t newcomer, const uint8_t *when_full) {
  store_frame victim;
  int rc = store_victim(&d->store, newcomer, when_full, &victim);
  int worst = class_to_go(d, newcomer, when_full);
  if (rc < 0 || rc > 1 || d->flash->dead) return wrong(d, "store_victim", rc) ? 1 : -1;
  if (d->model.ruin && rc == 1) worst = victim.frame_class;
  if (rc == 0 && (d->model.ruin || worst == HTEL_CLASS_ALARM))
    return 0; /* the block that holds the notes stays */
  if ((rc == 0 ? -1 : (int)victim.frame_class) != worst) {
    model_fail(&d->model, MODEL_ANSWER, "class %d is to go, store_victim names %d", worst,
               rc == 0 ? -1 : (int)victim.frame_class);
    return -1;
  }
  if (rc == 0) return 0;
  uint32_t number = ++d->ledger, limit = STORE_FRAMES_MAX;
  store_frame frame = victim;
  do {
    model_frame *f = model_find(&d->model, frame.boot, frame.sequence);
    if (f == NULL && !d->model.ruin) {
      model_fail(&d->model, MODEL_TWICE, "the victim's block has frame %llu.%u",
                 (unsigned long long)frame.boot, frame.sequence);
      return -1;
    }
    if (f != NULL) f->evicting_by = number;
    d->counts.evicted++;
    rc = store_next_in_block(&d->store, &frame);
  } while (rc == 1 && limit-- > 0);
  if (rc != 0) return wrong(d, "store_next_in_block", rc) ? 1 : -1;
  uint8_t bytes[STORE_LOSSES_BYTES_MAX];
  size_t size = ledger_fill(number, bytes);
  model_ledger_doubt(&d->model, number, 0, d->running);
  flash_sim_trace(d->flash, "evict block %u of class %u, ledger %u", victim.serial,
                  (unsigned)victim.frame_class, number);
  rc = store_evict(&d->store, &victim, bytes, size);
  if (rc != 0) return wrong(d, "store_evict", rc) ? 1 : -1;
  if (!d->running) model_ledger_certain(&d->model, number); /* else with the next sync */
  note_persisted(d);
  return 1;
}

/* False also where it must wait: nothing may go to make room for it (d->full). */
static bool write_ledger(device *d) {
  uint8_t bytes[STORE_LOSSES_BYTES_MAX];
  int rc = HTEL_E_FULL;
  for (uint32_t tries = 0; rc == HTEL_E_FULL && tries <= d->flash->geometry.block_count; tries++) {
    uint32_t number = ++d->ledger;
    size_t size = ledger_fill(number, bytes);
    model_ledger_doubt(&d->model, number, d->sequence, d->running);
    flash_sim_trace(d->flash, "ledger %u, up to %u", number, d->sequence);
    rc = store_losses_write(&d->store, bytes, size, d->sequence);
    if (rc == 0) {
      model_ledger_certain(&d->model, number);
      note_persisted(d);
      d->unclean = false;
      return fine(d);
    }
    if (rc != HTEL_E_FULL || d->flash->dead) return wrong(d, "store_losses_write", rc);
    model_ledger_undone(&d->model, number);
    int gone = evict(d, HTEL_CLASS_ALARM, d->when_full);
    if (gone < 0) return false;
    if (gone == 0) break;
  }
  d->full = true;
  return false;
}

/* ---- Boots ----------------------------------------------------------------------------- */

/* Without a boot nothing can be freed, so the oldest may go even where the newest is to be refused.
 */
static bool begin_boot(device *d) {
  static const uint8_t any_may_go[HTEL_CLASS_COUNT] = {0};
  uint32_t risk = random_below(&d->random, 10000);
  for (uint32_t tries = 0; tries <= d->flash->geometry.block_count; tries++) {
    unsigned count = d->model.state_count;
    for (unsigned i = 0; i < count; i++) {
      model_state next = model_next_boot(&d->model.states[i], risk);
      model_doubt(&d->model, &next);
    }
    store_boot boot = {0};
    flash_sim_trace(d->flash, "boot begin");
    int rc = store_boot_begin(&d->store, risk, &boot);
    if (rc == 0) {
      d->model.state_count = count;
      model_boot(&d->model, boot.number, boot.unclean, boot.unclean_first, boot.at_risk, risk);
      d->running = true;
      d->unclean = boot.unclean;
      d->sequence = 0;
      return fine(d);
    }
    if (rc != HTEL_E_FULL || d->flash->dead) return wrong(d, "store_boot_begin", rc);
    if (evict(d, HTEL_CLASS_ALARM, any_may_go) != 1)
      return wrong(d, "store_boot_begin, nothing to evict", rc);
  }
  return wrong(d, "store_boot_begin, after evictions", HTEL_E_FULL);
}

static bool drop(device *d, const store_frame *frame, uint16_t count) {
  int rc = store_free(&d->store, frame, count);
  return rc == 0 || wrong(d, "store_free", rc);
}

/* Tells of frames that cannot be read, then frees them: what the core does at its start. */
static bool drop_damaged(device *d) {
  if (d->damaged == 0 && d->lost == 0) return true;
  if (!write_ledger(d)) return d->full;
  for (uint8_t c = 0; c < HTEL_CLASS_COUNT; c++) {
    store_frame frame;
    int rc = store_first(&d->store, c, &frame);
    for (; rc == 1 && fine(d); rc = store_next(&d->store, &frame)) {
      store_frame lost = frame;
      lost.index = (uint16_t)(frame.index - frame.lost);
      if (!drop(d, &lost, frame.lost)) return false;
      model_frame *f = model_find(&d->model, frame.boot, frame.sequence);
      if (f == NULL || !f->damaged) continue;
      f->going = true;
      if (!drop(d, &frame, 1)) return false;
    }
    if (rc != 0) return wrong(d, "store_first or store_next", rc);
  }
  return true;
}

bool device_mount(device *d) {
  d->running = false;
  d->counts.mounts++;
  memset(&d->store, 0xA5, sizeof d->store);
  flash_sim_trace(d->flash, "mount");
  int rc = store_mount(&d->store, &d->flash->port, d->blocks);
  if (rc != 0) return wrong(d, "store_mount", rc);
  return device_check(d) && begin_boot(d) && drop_damaged(d);
}

/* What the boot before left untold goes into a ledger first, as the core does it. */
static bool end_boot(device *d) {
  if ((d->unclean || d->model.refused != 0) && !write_ledger(d)) return false;
  int rc = HTEL_E_FULL, gone = 1;
  for (uint32_t i = 0; rc == HTEL_E_FULL && i <= d->flash->geometry.block_count; i++) {
    if (!device_sync(d)) return false;
    model_state clean = d->model.states[0];
    clean.clean = true;
    unsigned states = d->model.state_count;
    model_doubt(&d->model, &clean);
    flash_sim_trace(d->flash, "boot end");
    rc = store_boot_end(&d->store);
    if (rc == 0) {
      model_certain(&d->model, &clean);
      return true;
    }
    if (rc != HTEL_E_FULL || d->flash->dead) break;
    d->model.state_count = states;
    gone = evict(d, HTEL_CLASS_ALARM, d->when_full);
    if (gone < 0) return false;
    if (gone == 0) {
      d->full = true;
      return false;
    }
  }
  return wrong(d, "store_boot_end", rc);
}

/* ---- Frames ---------------------------------------------------------------------------- */

bool device_sync(device *d) {
  flash_sim_trace(d->flash, "sync");
  int rc = store_sync(&d->store);
  if (rc != 0) return wrong(d, "store_sync", rc);
  note_persisted(d);
  uint32_t wanted = d->model.refused != 0 ? d->model.refused - 1 : d->sequence;
  if (store_persisted(&d->store) != wanted)
    model_fail(&d->model, MODEL_ANSWER, "synced, but store_persisted says %u of %u",
               store_persisted(&d->store), wanted);
  model_synced(&d->model);
  return fine(d);
}

static uint32_t size_of(device *d, uint8_t frame_class, bool large) {
  static const uint32_t least[HTEL_CLASS_COUNT] = {20, 40, 100};
  static const uint32_t most[HTEL_CLASS_COUNT] = {160, 700, FRAME_BYTES_MAX};
  uint32_t max = store_frame_bytes_max(&d->store, frame_class);
  if (max > most[frame_class]) max = most[frame_class];
  uint32_t size = least[frame_class] + random_below(&d->random, max - least[frame_class] + 1);
  uint32_t half = least[frame_class] + (size - least[frame_class]) / 4;
  if (large) return random_below(&d->random, 4) == 0 ? half : max;
  return random_below(&d->random, 4) == 0 ? size : half;
}

/* Where the boot had ended it may or may not have been taken up again for this frame. */
static bool refuse(device *d) {
  d->model.either = d->model.state_count > 1;
  model_remove(&d->model, d->model.states[0].boot, d->sequence);
  d->counts.refused++;
  if (d->model.refused == 0) d->model.refused = d->sequence;
  return write_ledger(d) || d->full;
}

static bool append(device *d, uint8_t frame_class, bool large) {
  uint8_t bytes[FRAME_BYTES_MAX];
  d->counts.appends++;
  d->full = false;
  if (d->model.refused != 0 && !write_ledger(d)) { /* the numbers before it are not told of yet */
    d->sequence++;
    return d->full;
  }
  d->tick += random_below(&d->random, 5000);
  model_frame frame = {.boot = d->model.states[0].boot,
                       .tick_first = d->tick,
                       .tick_last = d->tick + random_below(&d->random, 20000),
                       .sequence = ++d->sequence,
                       .size = size_of(d, frame_class, large),
                       .readings = random_below(&d->random, 1u << 14),
                       .frame_class = frame_class};
  frame_fill(&frame, bytes);
  frame.coming = true;
  model_append(&d->model, &frame);
  unsigned states = d->model.state_count;
  for (unsigned i = 0; i < states; i++) { /* a boot that had ended goes on */
    model_state again = d->model.states[i];
    again.clean = false;
    model_doubt(&d->model, &again);
  }
  for (uint32_t tries = 0; tries <= d->flash->geometry.block_count; tries++) {
    store_frame f = {.boot = frame.boot,
                     .tick_first = frame.tick_first,
                     .tick_last = frame.tick_last,
                     .sequence = frame.sequence,
                     .readings = frame.readings,
                     .size = frame.size,
                     .frame_class = frame_class};
    flash_sim_trace(d->flash, "append %llu.%u class %u, %u bytes", (unsigned long long)f.boot,
                    f.sequence, (unsigned)frame_class, f.size);
    int rc = store_append(&d->store, &f, bytes);
    if (rc == 0) {
      model_find(&d->model, frame.boot, frame.sequence)->coming = false;
      d->model.either = false;
      note_persisted(d);
      return fine(d);
    }
    if (rc != HTEL_E_FULL || d->flash->dead) return wrong(d, "store_append", rc);
    int gone = evict(d, frame_class, d->when_full);
    if (gone < 0) return false;
    if (gone == 0) return refuse(d);
  }
  return wrong(d, "store_append, after evictions", HTEL_E_FULL);
}

/* Frees a run of frames of one block that are persisted, so may have been receipted. */
static bool release(device *d, bool first) {
  uint8_t c = (uint8_t)random_below(&d->random, HTEL_CLASS_COUNT);
  store_frame frame;
  int rc = d->cold[c] ? 0 : store_first(&d->store, c, &frame);
  if (rc == 0) return true;
  uint32_t skip = first ? 0 : random_below(&d->random, 12);
  while (rc == 1 && skip-- > 0) {
    store_frame next = frame;
    rc = store_next(&d->store, &next);
    if (rc == 1) frame = next;
  }
  if (rc < 0) return wrong(d, "store_first or store_next", rc);
  uint32_t run = 1 + random_below(&d->random, first ? 8 : 3);
  store_frame last = frame, at = frame;
  uint32_t taken = 0;
  for (rc = 1; rc == 1 && taken < run; rc = store_next_in_block(&d->store, &at)) {
    model_frame *f = model_find(&d->model, at.boot, at.sequence);
    if (f == NULL || f->unsynced) break;
    f->going = true;
    last = at;
    taken++;
  }
  if (rc < 0) return wrong(d, "store_next_in_block", rc);
  if (taken == 0) return true;
  d->counts.freed += taken;
  flash_sim_trace(d->flash, "free %llu.%u to %llu.%u of block %u", (unsigned long long)frame.boot,
                  frame.sequence, (unsigned long long)last.boot, last.sequence, frame.serial);
  rc = store_free(&d->store, &frame, (uint16_t)(last.index - frame.index + 1));
  return rc == 0 ? fine(d) : wrong(d, "store_free", rc);
}

/* ---- Steps ----------------------------------------------------------------------------- */

static const device_phase day[] = {
    /*              steps  a  n  w free any sync ledger reset boot cut */
    {"steady", false, 120, {2, 6, 4, 8, 1, 4, 0, 0, 0, 0}},
    {"offline", true, 160, {1, 4, 8, 0, 0, 2, 1, 0, 0, 0}},
    {"drained", false, 60, {1, 1, 1, 20, 2, 4, 0, 0, 0, 0}},
    {"out of order", false, 80, {2, 5, 4, 2, 8, 4, 1, 0, 0, 0}},
    {"one class", false, 60, {0, 12, 0, 1, 1, 3, 0, 0, 0, 0}},
    {"alarms", false, 60, {12, 1, 1, 1, 1, 3, 0, 0, 0, 0}},
    {"boots", false, 40, {1, 3, 2, 4, 2, 2, 1, 2, 3, 0}},
    {"cuts", false, 40, {2, 4, 3, 4, 2, 2, 1, 0, 0, 3}},
};
enum { PHASES = sizeof day / sizeof day[0] };

static device_act draw(device *d, const device_phase *phase) {
  uint32_t sum = 0;
  for (unsigned i = 0; i < ACTS; i++) sum += phase->weights[i];
  uint32_t at = random_below(&d->random, sum);
  unsigned act = 0;
  while (at >= phase->weights[act]) at -= phase->weights[act++];
  return (device_act)act;
}

static bool act(device *d, const device_phase *phase) {
  device_act what = draw(d, phase);
  switch (what) {
    case ACT_ALARM:
    case ACT_NUMERIC:
    case ACT_WAVEFORM: return append(d, (uint8_t)what, phase->large);
    case ACT_FREE_FIRST:
    case ACT_FREE_ANY: return release(d, what == ACT_FREE_FIRST);
    case ACT_SYNC: return device_sync(d);
    case ACT_LEDGER: return write_ledger(d) || d->full;
    case ACT_RESET: return device_mount(d);
    case ACT_BOOT:
      if (!end_boot(d)) return d->full;
      return random_below(&d->random, 4) == 0 || device_mount(d);
    case ACT_CUT:
      if (d->flash->cut_after == 0) d->flash->cut_after = 1 + random_below(&d->random, 12);
      return true;
    case ACTS: break;
  }
  return true;
}

bool device_step(device *d, const device_phase *phase) {
  d->full = false;
  act(d, phase);
  for (int tries = 0; d->flash->dead && tries < 6; tries++) {
    flash_sim_power_on(d->flash);
    if (tries < 4 && random_below(&d->random, 4) == 0) /* again, in the recovery */
      d->flash->cut_after = 1 + random_below(&d->random, 6);
    device_mount(d);
  }
  if (d->flash->violation[0] != '\0')
    model_fail(&d->model, MODEL_ANSWER, "%s", d->flash->violation);
  return fine(d);
}

bool device_live(device *d, uint32_t *step) {
  uint32_t at = (*step)++, phase = 0;
  uint32_t cycle = 0;
  for (unsigned i = 0; i < PHASES; i++) cycle += day[i].steps;
  at %= cycle;
  while (at >= day[phase].steps) at -= day[phase++].steps;
  return device_step(d, &day[phase]);
}
